//! Brokerless, ZeroMQ-compatible message sockets.
//!
//! Programs send each other whole messages: between threads (inproc), processes (ipc) and hosts (tcp), without
//! a server in between, and to and from any peer that speaks ZMTP, ZeroMQ's protocol.
//!
//! A [`Context`] opens sockets. A [`Socket`] has a type, which says what it does with messages, and any number
//! of peers, which it binds to or connects to in any order:
//!
//! * [`Push`] hands each message to the next peer that has room; [`Pull`] takes one from each in turn.
//! * [`Pair`] talks to a single peer, both ways.
//! * [`Req`] asks the next peer and waits for its answer; [`Rep`] answers one request after the other.
//! * [`Dealer`] sends to its peers in turn and receives from them in turn; [`Router`] knows them by name and
//!   answers whom it wants.
//! * [`Stream`] exchanges octets with peers that know nothing of ZeroMQ, such as web browsers.
//! * [`Pub`] sends each message to every [`Sub`] that subscribed to what it begins with; [`XPub`] and [`XSub`]
//!   are the same with subscriptions as messages, for what stands in between.
//! * [`AnyPattern`] is whichever of these the program is told at run time.
//!
//! ```
//! use peermq::{Context, Pull, Push};
//!
//! let context = Context::new();
//! let mut pull = context.open::<Pull>()?;
//! let endpoint = pull.bind("tcp://127.0.0.1:0")?;
//! let mut push = context.open::<Push>()?;
//! push.connect(&endpoint)?;
//! push.send("hello, world")?;
//! assert_eq!(pull.recv()?, "hello, world");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What may wait comes as a blocking call, with a timeout, and as a future for [any executor](manual::executors); a
//! [`Poller`] waits for many sockets, and a [`Descriptor`] lets any event loop do so.
//!
//! I/O threads connect, reconnect and move octets in the background; nothing has to be flushed. Queues are
//! bounded ([`send_hwm`](Options::send_hwm)), nothing is discarded (but by types that never wait, which count it:
//! [`Router`], [`Rep`], and those that send to all), and a send that fails hands the message back.
//!
//! When the last socket and the last handle of a context are dropped, as at the end of `main`, that waits until everything
//! is sent: [30 seconds at most](manual::ends), and after a second it tells for what.
//!
//! Where to read on: the verbs are at [`Socket`], settings in [`manual::options`], what is promised and what
//! may be lost in [`manual::compatibility`], what is guaranteed when something ends, and how to end at Ctrl-C, in
//! [`manual::ends`], how large everything can become in [`manual::bounds`], how it works in
//! [`manual::life_of_a_message`]. By default nothing is
//! protected, which is [not for public networks](manual::compatibility#null-is-not-for-public-networks): see
//! [`Security`], and the feature `curve` for encryption.
#![cfg_attr(
    loom,
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "the models need the lower floors, whose callers are left out"
    )
)]

#[cfg(all(feature = "bench-internals", not(loom)))]
#[doc(hidden)]
pub mod bench;
mod capabilities;
#[cfg(not(loom))]
mod context;
mod endpoint;
mod error;
mod frame;
#[cfg(all(any(test, feature = "bench-internals"), feature = "curve", not(loom)))]
#[doc(hidden)]
pub mod fuzz;
mod interest;
#[cfg(not(loom))]
mod io;
#[cfg(not(loom))]
#[cfg(test)]
mod layers;
mod limits;
#[cfg(not(loom))]
pub mod manual;
mod message;
mod options;
#[cfg(not(loom))]
mod patterns;
mod pipe;
#[cfg(not(loom))]
mod poller;
#[cfg(not(loom))]
mod routing;
mod routing_id;
#[cfg(not(loom))]
mod session;
#[cfg(not(loom))]
mod socket;
mod socket_type;
mod sync;
mod time;
mod timers;
#[cfg(not(loom))]
mod transport;
mod wire;

pub use capabilities::{VERSION, VERSION_PARTS, ZMTP_VERSION, has};
#[cfg(not(loom))]
pub use context::{Context, ContextBuilder, FinishReport, Undelivered};
pub use endpoint::Endpoint;
pub use error::{
    AnswerError, AuthStatus, BindError, BindErrorKind, ConnectError, ConnectErrorKind, ConnectionError,
    EndpointError, EndpointErrorKind, ForwardError, InvalidValue, NotReady, NotReadyKind, NotSubscribed,
    OpenError, OptionError, OsError, PollError, ProtocolError, ProxyError, Reason, RecvError, RequestError,
    SendError, SubscribeError, SubscribersError, Unsent,
};
pub use interest::Interest;
pub use message::{Frame, Frames, Message, Payload, Subscription};
pub use options::{
    AddressRanges, Admission, Authorizer, Backlog, BatchSize, Candidate, CurveKeyPair, CurvePublicKey,
    Decision, DeviceName, FixedMessage, HandshakeInterval, HandshakesMax, HeartbeatInterval,
    HeartbeatTimeout, HeartbeatTtl, Hwm, HwmOctets, IoAffinity, KeepaliveProbes, KernelBuffer, KernelTime,
    Linger, MaxMessageSize, Mechanism, Metadata, OptionInfo, Options, PlainCredentials, ProcessCredentials,
    ReconnectInterval, ReconnectIntervalMax, ReconnectStop, RouterNotify, Security, SocksProxy, TakesEffect,
    TcpKeepalive, Timeout, WelcomeMessage, ZapDomain,
};
#[cfg(not(loom))]
pub use patterns::{
    Addresses, AnyPattern, Dealer, Dropped, Pair, Pattern, Pub, Publishes, Pull, Push, Receives, Rep, Req,
    Router, Sends, Splits, Stream, Sub, Subscribes, XPub, XSub,
};
#[cfg(not(loom))]
pub use poller::{PollEvent, Poller};
pub use routing_id::RoutingId;
#[cfg(not(loom))]
pub use session::{
    CloseReason, ConnectionCounts, ConnectionState, Event, EventKind, Monitor, Peer, TurnedAway,
};
#[cfg(all(unix, not(loom)))]
pub use socket::Descriptor;
#[cfg(not(loom))]
pub use socket::{
    Binding, BindingState, Builder, Change, CloseReport, Connection, MayReceive, MaySend, Outgoing,
    PeerStats, PollItem, Pollable, Proxy, ProxyControl, ProxyEnd, ProxyPassed, ProxyStatistics, Receiving,
    RecvHalf, Reply, Request, SendHalf, Sending, SharedSocket, Socket, Stats, Totals, Traffic, Whole, poll,
    proxy,
};
pub use socket_type::SocketType;
pub use timers::{TimerId, Timers};
