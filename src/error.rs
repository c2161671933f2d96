//! One error enum per operation, and one for the wire. Blame is in the name.
//!
//! Variants carry small data only: no strings, no boxes; an error of the operating system appears as its
//! kind and raw code, so that every error can be compared and cloned.
#![forbid(unsafe_code)]

mod endpoint;
mod reason;
mod status;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::io;

use thiserror::Error;

pub use self::endpoint::{
    BindError, BindErrorKind, ConnectError, ConnectErrorKind, EndpointError, EndpointErrorKind, NotReady,
    NotReadyKind,
};
pub use self::reason::Reason;
pub use self::status::AuthStatus;
pub use self::value::InvalidValue;
use crate::endpoint::Endpoint;
use crate::message::Message;
use crate::socket_type::SocketType;

/// An error of the operating system: its kind, and its raw code where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.describe())]
pub struct OsError {
    /// What went wrong, as `std` classifies it.
    pub kind: io::ErrorKind,
    /// The raw code (`errno` on Unix); `None` when the error did not come from a system call.
    pub code: Option<i32>,
}

impl OsError {
    fn describe(&self) -> String {
        self.code.map_or_else(|| self.kind.to_string(), |code| io::Error::from_raw_os_error(code).to_string())
    }
}

impl From<&io::Error> for OsError {
    fn from(error: &io::Error) -> Self {
        Self { kind: error.kind(), code: error.raw_os_error() }
    }
}

impl From<io::Error> for OsError {
    fn from(error: io::Error) -> Self {
        Self::from(&error)
    }
}

/// Of errors that say all of what they wrap, so that it is not their [`source`](std::error::Error::source), too: whoever
/// prints the chain would print it twice.
macro_rules! wraps {
    ($($outer:ident :: $variant:ident ($inner:ty);)*) => {
        $(
            impl From<$inner> for $outer {
                fn from(inner: $inner) -> Self {
                    Self::$variant(inner)
                }
            }
        )*
    };
}

wraps! {
    AnswerError::NoRequest(RecvError);
    AnswerError::NotSent(Unsent);
    RequestError::NoReply(RecvError);
    RequestError::NotSent(Unsent);
}

/// Why a connection ended, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// [`Peer::close`](crate::Peer::close) ended it.
    #[error("the connection was closed on request")]
    Dismissed,
    /// A REQ waits no more for a reply of this peer, which could come later and be taken for the next one.
    #[error("the reply was given up")]
    GivenUp,
    /// A ROUTER has closed it: a newer connection announced the same routing id, and
    /// [`router_handover`](crate::Options::router_handover) is set. The peer is told
    /// [`RoutingIdTakenOver`](ProtocolError::RoutingIdTakenOver).
    #[error("its routing id was handed over to a newer connection; give one of them another id")]
    HandedOver,
    /// The operating system says so: connection refused, reset, no route.
    #[error("{0}")]
    Io(OsError),
    /// The host name has no address, or cannot be looked up.
    #[error("the host name has no address")]
    NoAddress,
    /// The peer closed it. With inproc: its socket is gone, or refused us.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// One end broke the protocol, or refused the other.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The SOCKS5 proxy did not connect us.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The peer gave no sign of life in time: within [`heartbeat_timeout`](crate::Options::heartbeat_timeout), or what it
    /// has announced itself, or two seconds when another peer wants its routing id.
    #[error("the peer gave no sign of life in time")]
    Silent,
    /// The operating system did not connect, or did not look the name up, within
    /// [`connect_timeout`](crate::Options::connect_timeout), or a proxy did not connect within
    /// [`handshake_interval`](crate::Options::handshake_interval). Or one of more than 16 silent addresses of a name, which
    /// was tried for 4 seconds, has made room for another one.
    #[error(
        "connecting or looking the name up took too long (connect_timeout), or a proxy did (handshake_interval)"
    )]
    TimedOut,
}

/// What a SOCKS5 proxy did instead of connecting us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It wants to know who we are, which is not supported.
    #[error("the proxy wants authentication")]
    AuthenticationWanted,
    /// It does not speak SOCKS5.
    #[error("the proxy does not speak SOCKS5")]
    NotSocks5,
    /// It says no, with this code of RFC 1928: 5 is connection refused, 4 host unreachable.
    #[error("the proxy refused with code {0}")]
    Refused(u8),
}

/// Why a [`Proxy`](crate::Proxy) was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// Sockets of this type cannot be sent copies at any time.
    #[error("a socket of type {0:?} cannot capture what passes")]
    CannotCapture(SocketType),
    /// Neither socket can send what the other receives.
    #[error("nothing can pass between {0:?} and {1:?}")]
    NothingPasses(SocketType, SocketType),
}

/// Why a socket could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// An option was set that sockets of this type do not have.
    #[error("a socket of type {socket_type:?} has no option `{option}`")]
    ForeignOption {
        /// The name of the option, as in [`Options::TABLE`](crate::Options::TABLE).
        option: &'static str,
        /// The type that was to be opened.
        socket_type: SocketType,
    },
    /// With a [`zap_domain`](crate::Options::zap_domain): the thread that asks the handler could not be started.
    #[error("cannot open: {0}")]
    Io(OsError),
    /// The context was shut down. Also in a child that was forked since the context was built.
    #[error("the context was shut down, or belongs to the parent of this process")]
    Terminated,
}

/// Why options of an open socket were not changed. They are all as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionError {
    /// This option is fixed when the socket is opened: [`TakesEffect::Open`](crate::TakesEffect::Open).
    #[error("the option `{option}` is fixed when the socket is opened")]
    Fixed {
        /// The name of the option, as in [`Options::TABLE`](crate::Options::TABLE).
        option: &'static str,
    },
    /// Sockets of this type do not have this option.
    #[error("a socket of type {socket_type:?} has no option `{option}`")]
    ForeignOption {
        /// The name of the option, as in [`Options::TABLE`](crate::Options::TABLE).
        option: &'static str,
        /// The type of the socket.
        socket_type: SocketType,
    },
    /// The operating system has no thread for a first `zap_domain`.
    #[error("cannot ask a ZAP handler: {0}")]
    Io(OsError),
    /// The context was shut down.
    #[error("the context was shut down")]
    Terminated,
}

/// Why a message was not queued. The caller has it still, or gets it back: see [`Unsent::message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// A signal came while the call waited: see [`interruptible`](crate::ContextBuilder::interruptible).
    #[error("interrupted by a signal")]
    Interrupted,
    /// A message for a ROUTER or STREAM without a body behind the routing id.
    #[error("there is no message behind the routing id")]
    MissingBody,
    /// This socket type does not send.
    #[error("a socket of this type does not send")]
    NotSupported,
    /// A REQ waits for the reply to its last request, or a REP has no request to reply to.
    #[error("it is not this socket's turn to send: receive first")]
    OutOfTurn,
    /// The context was shut down; this socket will never send again.
    #[error("the context was shut down")]
    Terminated,
    /// The peer whose turn it is, a socket of this process, has set a
    /// [`max_message_size`](crate::Options::max_message_size) that is less.
    #[error("the message is larger than the peer takes")]
    TooLarge,
    /// An XSUB's subscription to a topic that is longer than publishers accept.
    #[error("the topic is longer than {max} octets", max = crate::limits::TOPIC_OCTETS_MAX)]
    TopicTooLong,
    /// A message of more than 131,072 frames, which no peer of this library takes.
    #[error("the message has more than {max} frames", max = crate::limits::PARTS_MAX)]
    TooManyParts,
    /// No peer has this routing id (ROUTER with `router_mandatory`, STREAM).
    #[error("no peer has this routing id")]
    Unroutable,
    /// No peer had room before `send_timeout` passed; at once for `try_send`.
    #[error("no peer is connected, or none has room for the message")]
    WouldBlock,
}

/// A message that was not sent, and why. What `{:?}` shows of the message is its size: it may hold secrets.
///
/// ```
/// use peermq::{Context, Message, Push};
///
/// let mut push = Context::new().open::<Push>()?;
/// let unsent = push.try_send(Message::from("given away")).expect_err("nobody is there");
/// assert_eq!(unsent.message, Some(Message::from("given away")));
/// let unsent = push.try_send("lent").expect_err("nobody is there");
/// assert_eq!(unsent.message, None);
/// # Ok::<(), peermq::OpenError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Error)]
#[error("{error}")]
pub struct Unsent {
    /// Why it was not sent.
    pub error: SendError,
    /// The message, whole and unchanged, if it was given away. `None` if it was lent (`&[u8]`, `&str`, `&Message` and
    /// the like): the caller has it still, and nothing of it was copied.
    pub message: Option<Message>,
}

impl fmt::Debug for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Unsent");
        shown.field("error", &self.error);
        if let Some(message) = &self.message {
            shown.field("frames", &message.frame_count()).field("octets", &message.size());
        }
        shown.finish_non_exhaustive()
    }
}

/// Why a [`Poller`](crate::Poller) or [`poll`](crate::poll) does not do what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PollError {
    /// The socket or descriptor is in this poller already.
    #[error("it is in this poller already")]
    Duplicate,
    /// There is nothing to wait for, and no timeout.
    #[error("nothing to wait for, and no timeout")]
    Empty,
    /// A signal came during the wait: see [`interruptible`](crate::ContextBuilder::interruptible).
    #[error("interrupted by a signal")]
    Interrupted,
    /// The system cannot wait for it.
    #[error("cannot wait for it: {0}")]
    Io(OsError),
    /// The socket or descriptor is not in this poller.
    #[error("it is not in this poller")]
    NotFound,
}

/// Why no message was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// A signal came while the call waited: see [`interruptible`](crate::ContextBuilder::interruptible).
    #[error("interrupted by a signal")]
    Interrupted,
    /// This socket type does not receive.
    #[error("a socket of this type does not receive")]
    NotSupported,
    /// A REQ has sent no request, or a REP has not replied to the last one.
    #[error("it is not this socket's turn to receive: send first")]
    OutOfTurn,
    /// The context was shut down; this socket will never receive again.
    #[error("the context was shut down")]
    Terminated,
    /// No message arrived before `recv_timeout` passed; at once for `try_recv`.
    #[error("no message came in time, or none is waiting")]
    WouldBlock,
}

/// Why nothing of a certain kind came, behind its name.
fn cause(error: RecvError) -> String {
    if error == RecvError::WouldBlock { " came in time".to_owned() } else { format!(": {error}") }
}

/// Why a request of a [`SharedSocket`](crate::SharedSocket) has no reply.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It was sent, and no reply came: not in time, or the context was shut down. The request is given up.
    #[error("no reply{}", cause(*.0))]
    NoReply(RecvError),
    /// It was not sent, and is handed back: it was not this thread's turn in time, or no peer had room.
    #[error("not sent: {0}")]
    NotSent(Unsent),
}

/// Why a REP of many threads has sent no answer: see [`SharedSocket::answer`](crate::SharedSocket::answer).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// No request came: not in time, or the context was shut down.
    #[error("no request{}", cause(*.0))]
    NoRequest(RecvError),
    /// The answer was not sent, and is handed back. The request is left without one.
    #[error("not sent: {0}")]
    NotSent(Unsent),
}

/// Why a subscription was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// An XPUB subscribes for the peer whose subscription it received last, and there is no such peer.
    #[error("no subscription was received from a peer that is still there")]
    NoPeer,
    /// This socket type does not subscribe.
    #[error("a socket of this type does not subscribe")]
    NotSupported,
    /// A topic longer than publishers accept, or more topics than one peer may have.
    #[error(
        "the topic is longer than {longest} octets, or one more than the {most} that a socket may subscribe to",
        longest = crate::limits::TOPIC_OCTETS_MAX,
        most = crate::limits::TOPICS_PER_PEER
    )]
    TooMuch,
}

/// Whose confirmation was waited for in vain.
fn unconfirmed(missing: Option<&Endpoint>, subscribed: usize, publishers: usize) -> String {
    if publishers == 0 {
        return "there is no publisher: nothing is connected".to_owned();
    }
    let missing = missing.map_or_else(String::new, |endpoint| format!("; {endpoint} had not"));
    format!(
        "only {subscribed} of {publishers} publishers had confirmed the subscriptions when the time was over{missing}"
    )
}

/// Why not every publisher has what was subscribed to: see [`Socket::wait_subscribed`](crate::Socket::wait_subscribed).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotSubscribed {
    /// A signal came while the call waited: see [`interruptible`](crate::ContextBuilder::interruptible).
    #[error("interrupted by a signal")]
    Interrupted,
    /// This socket type does not subscribe.
    #[error("a socket of this type does not subscribe")]
    NotSupported,
    /// The context was shut down.
    #[error("the context was shut down")]
    Terminated,
    /// Only so many publishers had confirmed it when the time was over.
    #[error("{}", unconfirmed(.missing.as_ref(), *.subscribed, *.publishers))]
    TimedOut {
        /// One that had not: where it is connected, or was to be connected to. None if there is no publisher, for one of
        /// this process that makes no call, and if all have confirmed since.
        missing: Option<Endpoint>,
        /// Publishers that had.
        subscribed: usize,
        /// Publishers that are connected, and connects that had none.
        publishers: usize,
    },
}

/// Why there are not as many subscribers as were waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscribersError {
    /// A signal came while the call waited: see [`interruptible`](crate::ContextBuilder::interruptible).
    #[error("interrupted by a signal")]
    Interrupted,
    /// This socket type has no subscribers.
    #[error("a socket of this type has no subscribers")]
    NotSupported,
    /// The context was shut down.
    #[error("the context was shut down")]
    Terminated,
    /// There were only so many when the time was over.
    #[error("only {subscribers} of {wanted} peers had subscribed when the time was over")]
    TimedOut {
        /// Peers that had subscribed to something, or to what was waited for.
        subscribers: usize,
        /// As many were waited for.
        wanted: usize,
    },
}

/// What a peer did that ZMTP does not allow; the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A command frame with the MORE flag.
    #[error("a command cannot have more frames")]
    CommandWithMore,
    /// A handshake command longer than the limit: of too much metadata, mostly.
    #[error("a handshake command of {0} octets is over the limit of {max}", max = crate::limits::HANDSHAKE_COMMAND_MAX)]
    CommandTooLarge(u64),
    /// The same metadata property twice.
    #[error("a metadata property appears twice")]
    DuplicateProperty,
    /// A frame longer than [`max_message_size`](crate::Options::max_message_size), or than 2^63-1 octets.
    #[error("a frame of {0} octets is longer than max_message_size permits")]
    FrameTooLarge(u64),
    /// A ZMTP 1.0 frame whose length leaves no room for its flags.
    #[error("a frame is too short for its flags")]
    FrameTooShort,
    /// The handshake did not end within [`handshake_interval`](crate::Options::handshake_interval).
    #[error("the handshake took longer than handshake_interval")]
    HandshakeTimeout,
    /// Both sockets have types that cannot be connected.
    #[error("a socket of type {0:?} cannot talk to this one")]
    IncompatibleSocketTypes(SocketType),
    /// The first octets are no ZMTP greeting.
    #[error("the greeting is not ZMTP")]
    InvalidGreeting,
    /// A message whose frames have more octets in all than [`max_message_size`](crate::Options::max_message_size): so many
    /// with the frame that was refused.
    #[error("a message of at least {0} octets is longer than max_message_size permits")]
    MessageTooLarge(u64),
    /// A command that does not parse.
    #[error("a malformed command")]
    MalformedCommand,
    /// Metadata that does not parse, or an illegal routing id.
    #[error("malformed metadata")]
    MalformedMetadata,
    /// The peer uses another security mechanism.
    #[error("the peer uses another security mechanism")]
    MechanismMismatch,
    /// The peer's READY has no Socket-Type.
    #[error("the peer did not announce its socket type")]
    MissingSocketType,
    /// No random octets could be had, which CURVE needs.
    #[error("the system has no random octets")]
    NoRandomness,
    /// We have not let the peer in: the status that it was told, and the words of whoever decided, which it was not:
    /// on the wire goes the status only, as libzmq has it.
    #[error("the peer was not let in (status {code}){1}", code = .0.code())]
    NotLetIn(AuthStatus, Reason),
    /// The peer has not let us in, and says so with an ERROR command.
    #[error("the peer did not let us in (status {code})", code = .0.code())]
    NotLetInByPeer(AuthStatus),
    /// The peer refused us with an ERROR command, in these words.
    #[error("the peer refused the connection{0}")]
    RefusedByPeer(Reason),
    /// Something encrypted that was said before, or in another order.
    #[error("something encrypted was repeated")]
    Repeated,
    /// A flags octet with a reserved bit.
    #[error("reserved flag bits are set: {0:#04x}")]
    ReservedFlags(u8),
    /// Another peer of this socket has the routing id that the peer announced. It may come again: the other one has to
    /// show that it is still there.
    #[error(
        "another peer has the routing id that the peer announced; give one of them another id, or set router_handover"
    )]
    RoutingIdInUse,
    /// The peer has another peer of our routing id, and says so. It is tried again, as that one may be gone by then.
    #[error(
        "the peer has another peer of our routing id; choose another one, or set router_handover on the ROUTER"
    )]
    RoutingIdRefused,
    /// The peer has given our routing id to a newer connection, and says so:
    /// [`router_handover`](crate::Options::router_handover) is set there. It is tried again, after pauses that grow: two
    /// that announce the same would take it from each other for ever.
    #[error(
        "the peer has handed our routing id over to a newer connection; choose another one, or end whoever has it"
    )]
    RoutingIdTakenOver,
    /// So much was encrypted on one connection that its numbers are used up.
    #[error("the connection has encrypted all that it may")]
    TooManyEncrypted,
    /// A message of more than 131,072 frames.
    #[error("a message has more than {max} frames", max = crate::limits::PARTS_MAX)]
    TooManyParts,
    /// A command or message that the state does not allow.
    #[error("a command or message in the wrong state")]
    UnexpectedCommand,
    /// Something encrypted that does not open: another key is needed, or it was tampered with.
    #[error("something encrypted does not open: a wrong key, or somebody in between")]
    Undecipherable,
    /// The peer's Socket-Type is unknown.
    #[error("the peer's socket type is unknown")]
    UnknownSocketType,
    /// A version that does not exist, or an old one at a socket that demands more than it can give.
    #[error("ZMTP {0} is not spoken")]
    UnsupportedVersion(u8),
}
