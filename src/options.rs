//! Socket options: one table, from which everything that lists options is made.
//!
//! A row gives doc, name, value type, default, libzmq's code, when a change takes effect, and the socket types
//! that have the option (all, if none are named). [`Options`], its getters and [`Options::TABLE`] come from it
//! here; whoever needs one more method per option calls [`for_each_option`] with a macro of its own.
//!
//! Ranges live in the value types (`options/value.rs`), so any assignment to a field leaves legal options.
#![forbid(unsafe_code)]

mod admission;
mod allowed_keys;
mod announce;
mod authorizer;
mod connection;
#[cfg(feature = "curve")]
mod curve;
#[cfg(not(feature = "curve"))]
#[path = "options/no_curve.rs"]
mod curve;
mod dialing;
mod hwm;
mod kernel;
mod security;
mod value;
mod welcome;
#[cfg(feature = "curve")]
mod z85;
mod zap;

pub use self::admission::{AddressRanges, HandshakesMax};
pub use self::announce::{FixedMessage, Metadata};
pub(crate) use self::authorizer::Credentials;
pub use self::authorizer::{Admission, Authorizer, Candidate, Decision, ProcessCredentials};
pub use self::connection::{HeartbeatInterval, HeartbeatTimeout, HeartbeatTtl};
pub(crate) use self::curve::fill_random;
pub use self::curve::{CurveKeyPair, CurvePublicKey};
pub use self::dialing::{BatchSize, IoAffinity, ReconnectStop, SocksProxy};
pub use self::hwm::{Hwm, HwmOctets};
pub use self::kernel::{DeviceName, KeepaliveProbes, KernelTime, TcpKeepalive};
pub use self::security::{Mechanism, PlainCredentials, Security};
pub use self::value::{
    Backlog, HandshakeInterval, KernelBuffer, Linger, MaxMessageSize, ReconnectInterval,
    ReconnectIntervalMax, RouterNotify, Timeout,
};
pub use self::welcome::WelcomeMessage;
pub use self::zap::ZapDomain;

use self::value::Unit;
use crate::routing_id::RoutingId;
use crate::socket_type::SocketType;

/// Hands the table of options to the macro `$callback`, which gets rows of this form:
///
/// `#[doc = ..].. name: Type = default, code 0, when Moment [, only [SocketType, ..]];`
///
/// The types are named without a path: the calling file imports them from here.
macro_rules! for_each_option {
    ($callback:ident) => {
        $callback! {
            /// Most messages queued for one peer. A full queue blocks or drops, as the socket type says.
            send_hwm: Hwm = Hwm::messages(1000), code 23, when NextConnect;

            /// Most messages from one peer that wait to be received. The peer has to wait when there are more.
            recv_hwm: Hwm = Hwm::messages(1000), code 24, when NextConnect;

            /// Most octets queued for one peer, beside the limit in messages; exact to a quarter of it or
            /// 128 KiB, whatever is less. A single message of any size finds room in an empty queue.
            send_hwm_octets: HwmOctets = HwmOctets::UNLIMITED, code -1, when NextConnect;

            /// Most octets from one peer that wait to be received, as for `send_hwm_octets`. A message of several frames
            /// counts as it arrives: beyond the limit its rest waits until those before it are received.
            recv_hwm_octets: HwmOctets = HwmOctets::UNLIMITED, code -2, when NextConnect;

            /// How long a closed socket keeps trying to send what is queued; the drop of the context ends it after
            /// 30 s, unless its builder says otherwise. SUB and XSUB have 0 in place of the default.
            linger: Linger = Linger::Forever, code 17, when Live;

            /// How long `send` waits for room.
            send_timeout: Timeout = Timeout::Never, code 28, when Live;

            /// How long `recv` waits for a message.
            recv_timeout: Timeout = Timeout::Never, code 27, when Live;

            /// The pause before a lost or refused connection is tried again. A random part of up to as much again comes
            /// on top.
            reconnect_interval: ReconnectInterval = ReconnectInterval::DEFAULT, code 18, when NextConnect;

            /// How far the pause grows, doubling after each failure. A random part of up to as much again comes on
            /// top. A maximum below the interval has no effect.
            reconnect_interval_max: ReconnectIntervalMax = ReconnectIntervalMax::NO_GROWTH, code 21,
                when NextConnect;

            /// After which failures a dialer does not try again.
            reconnect_stop: ReconnectStop = ReconnectStop::NEVER, code 109, when NextConnect;

            /// How long the system may take to connect to one address, until the attempt is begun anew; for ever: as
            /// long as the system tries, which is minutes. A name may take as long to be looked up; then it has failed,
            /// and an answer that comes later counts all the same. A proxy has `handshake_interval` to connect in turn.
            connect_timeout: Timeout = Timeout::CONNECT, code 79, when NextConnect;

            /// The SOCKS5 proxy, without authentication, through which tcp connections are made. It looks names up.
            socks_proxy: SocksProxy = SocksProxy::NONE, code 68, when NextConnect;

            /// How long a new connection may take until both ends have agreed on the protocol.
            handshake_interval: HandshakeInterval = HandshakeInterval::DEFAULT, code 66, when NextConnect;

            /// How often a peer is asked for a sign of life (PING). Off: never.
            heartbeat_interval: HeartbeatInterval = HeartbeatInterval::OFF, code 75, when NextConnect;

            /// How long a PING may go without any sign of life until the connection is closed; a dialer connects
            /// again.
            heartbeat_timeout: HeartbeatTimeout = HeartbeatTimeout::INTERVAL, code 77, when NextConnect;

            /// What our PINGs tell the peer: close when nothing comes from here for so long.
            heartbeat_ttl: HeartbeatTtl = HeartbeatTtl::NONE, code 76, when NextConnect;

            /// Longest message that a peer may send, all its frames together. The header of the frame that goes beyond
            /// ends the connection, before its body is read. libzmq looks at each frame alone. Within a process a
            /// larger one is refused when it is sent, with `TooLarge`; a PUB, XPUB or XSUB drops it for that peer;
            /// what was sent before the bind is not measured.
            max_message_size: MaxMessageSize = MaxMessageSize::UNLIMITED, code 22, when NextConnect;

            /// Most connections that wait to be accepted by a bound endpoint.
            backlog: Backlog = Backlog::DEFAULT, code 19, when NextConnect;

            /// Queue messages for finished connections only, not for peers that may never answer.
            immediate: bool = false, code 39, when NextConnect;

            /// Keep only the latest message for each peer, and from each peer, in the place of a queue. Whole
            /// messages; the older ones are discarded.
            /// Over inproc a receiver that binds after its sender has connected finds a queue, and gets all of it.
            conflate: bool = false, code 54, when NextConnect, only [Dealer, Pub, Pull, Push, Sub];

            /// The name by which ROUTER peers address this socket; without one each of them makes one up.
            routing_id: RoutingId = RoutingId::NONE, code 5, when NextConnect,
                only [Dealer, Req, Router];

            /// Say so when a message cannot be routed: `Unroutable` for a routing id that no peer has; a full
            /// queue is waited for. Without it such messages are dropped and counted.
            router_mandatory: bool = false, code 33, when Live, only [Router];

            /// A new peer with the routing id of another takes its place, and the old connection is closed, at the
            /// ROUTER's next call. Two that both connect again with one name displace each other again and again;
            /// those of this library are told why, and their pauses double. Without it the new one is refused.
            router_handover: bool = false, code 56, when Live, only [Router];

            /// Receive an empty message from a peer when it connects or disconnects.
            router_notify: RouterNotify = RouterNotify::NOTHING, code 97, when Live, only [Router];

            /// Receive an empty message from a peer when it connects or disconnects.
            stream_notify: bool = true, code 73, when Open, only [Stream];

            /// Send an empty message to each new peer, so that a ROUTER learns of this socket at once.
            probe_router: bool = false, code 51, when NextConnect, only [Dealer, Req, Router];

            /// Put a number in front of each request, and take only the reply that brings it back.
            req_correlate: bool = false, code 52, when Live, only [Req];

            /// Allow a request before the reply to the last one, which is given up.
            req_relaxed: bool = false, code 53, when Live, only [Req];
            /// Properties of the application's own, which every peer is told in READY.
            metadata: Metadata = Metadata::NONE, code 95, when NextConnect;

            /// The first message to every new peer, before all others.
            hello_msg: FixedMessage = FixedMessage::NONE, code 110, when NextConnect,
                only [Dealer, Pair, Push, Router];

            /// Delivered to this socket behind the last message of a peer that had connected to it, when it goes.
            disconnect_msg: FixedMessage = FixedMessage::NONE, code 111, when NextConnect,
                only [Dealer, Pair, Pull, Router];

            /// Delivered to this socket when a connection that it made is lost, and will be made again. Not when
            /// the queue is full.
            hiccup_msg: FixedMessage = FixedMessage::NONE, code 114, when NextConnect,
                only [Dealer, Pair, Pull, Router];

            /// The security mechanism, and what it needs. Both ends must have the same, one as the client and one as
            /// the server.
            security: Security = Security::Null, code 43, when NextConnect;

            /// Decides whom the socket lets in. A server of PLAIN or CURVE without it lets nobody in, unless a ZAP
            /// handler does.
            authorizer: Authorizer = Authorizer::NONE, code -3, when NextConnect;

            /// Ask the program's ZAP handler, which is bound to `inproc://zeromq.zap.01`, about every peer. Without
            /// such a handler nobody is let in.
            zap_domain: ZapDomain = ZapDomain::NONE, code 55, when NextConnect;

            /// Accept tcp connections from these addresses only; none: from all.
            accept_only: AddressRanges = AddressRanges::NONE, code -4, when NextConnect;

            /// Accept no tcp connection from these addresses, also if `accept_only` has them.
            accept_never: AddressRanges = AddressRanges::NONE, code -5, when NextConnect;

            /// Most accepted connections of the socket that are in their handshake; one more is closed at once. Unlimited, there
            /// is no limit from one address either, as in libzmq.
            handshakes_max: HandshakesMax = HandshakesMax::DEFAULT, code -6, when NextConnect;

            /// The same for those from one address, so that nobody can keep all others out; with IPv6 from one network of 64 bits.
            handshakes_max_per_address: HandshakesMax = HandshakesMax::FAIR_SHARE, code -7, when NextConnect;

            /// Use IPv6 beside IPv4 for names and wildcards.
            ipv6: bool = false, code 42, when NextConnect;

            /// The kernel's send buffer of a connection (`SO_SNDBUF`). Over loopback it is set to 256 KiB, or 1 MiB from the first large body on; Linux doubles what is set, for its own use.
            send_buffer: KernelBuffer = KernelBuffer::SYSTEM, code 11, when NextConnect;

            /// The kernel's receive buffer of a connection (`SO_RCVBUF`). Over loopback it is set to 256 KiB, or 1 MiB from the first large body on; Linux doubles what is set, for its own use.
            recv_buffer: KernelBuffer = KernelBuffer::SYSTEM, code 12, when NextConnect;

            /// Whether the kernel probes idle tcp connections (`SO_KEEPALIVE`).
            tcp_keepalive: TcpKeepalive = TcpKeepalive::System, code 34, when NextConnect;

            /// Probes without an answer after which the kernel gives up (`TCP_KEEPCNT`).
            tcp_keepalive_count: KeepaliveProbes = KeepaliveProbes::SYSTEM, code 35, when NextConnect;

            /// How long a tcp connection is idle before the first probe, in whole seconds (`TCP_KEEPIDLE`).
            tcp_keepalive_idle: KernelTime = KernelTime::SYSTEM, code 36, when NextConnect;

            /// The pause between two probes, in whole seconds (`TCP_KEEPINTVL`).
            tcp_keepalive_interval: KernelTime = KernelTime::SYSTEM, code 37, when NextConnect;

            /// The type-of-service octet of every packet (`IP_TOS`, `IPV6_TCLASS`); 0 leaves it to the system.
            tos: u8 = 0, code 57, when NextConnect;

            /// How long what was sent may go unacknowledged until the kernel gives the connection up
            /// (`TCP_USER_TIMEOUT`). Linux.
            tcp_max_retransmit: KernelTime = KernelTime::SYSTEM, code 80, when NextConnect;

            /// The only network interface to use (`SO_BINDTODEVICE`). Linux; may need privileges.
            bind_to_device: DeviceName = DeviceName::ANY, code 92, when NextConnect;

            /// The priority of every packet inside this host (`SO_PRIORITY`); 0 leaves it to the system, more than
            /// 6 may need privileges. Linux.
            priority: u32 = 0, code 112, when NextConnect;

            /// How long the kernel polls the network device when it has nothing (`SO_BUSY_POLL`), in microseconds.
            /// Linux; may need privileges.
            busy_poll: KernelTime = KernelTime::SYSTEM, code 113, when NextConnect;

            /// Which I/O threads of the context serve new connections.
            affinity: IoAffinity = IoAffinity::ANY, code 4, when NextConnect;

            /// Most octets that a connection reads before the others of its thread get their turn.
            in_batch_size: BatchSize = BatchSize::READ, code 101, when NextConnect;

            /// Most octets that a connection writes before the others of its thread get their turn.
            out_batch_size: BatchSize = BatchSize::WRITE, code 102, when NextConnect;
            /// Tell the application of every subscription, not only of the first to a topic.
            xpub_verbose: bool = false, code 40, when Open, only [XPub];

            /// Tell the application of every subscription and of every cancellation.
            xpub_verboser: bool = false, code 78, when Open, only [XPub];

            /// A send waits, as `send_timeout` says, until every subscriber has room; nothing is dropped.
            xpub_nodrop: bool = false, code 69, when Open, only [Pub, XPub];

            /// Subscriptions have no effect but that the application receives them; it subscribes for the peers.
            xpub_manual: bool = false, code 71, when Open, only [XPub];

            /// As `xpub_manual`, and the next message after a subscription was received goes to that peer only, if it
            /// wants it: a late subscriber gets the last value, and nobody else gets it again.
            xpub_manual_last_value: bool = false, code 98, when Open, only [XPub];

            /// What every new subscriber is sent first, whatever it subscribes to.
            xpub_welcome_message: WelcomeMessage = WelcomeMessage::NONE, code 72, when Open,
                only [Pub, XPub];

            /// Tell publishers of every `unsubscribe`, at once, not only of the last to a topic: for applications of an
            /// XPUB that count. A publisher lets go of the topic at the first.
            xsub_verbose_unsubscribe: bool = false, code 115, when Open, only [XSub];

            /// Pass on what does not match. Set it at both ends, or a SUB leaves nothing over.
            invert_matching: bool = false, code 74, when Open, only [Pub, Sub, XPub];

            /// Of a message of several frames only the first can be a subscription.
            only_first_subscribe: bool = false, code 108, when Open, only [XPub, XSub];
        }
    };
}
pub(crate) use for_each_option;

/// Expands the table into [`Options`], its getters and [`Options::TABLE`].
macro_rules! options {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $value:ty = $default:expr, code $code:literal, when $when:ident
        $(, only [$($socket_type:ident),+])?;
    )*) => {
        /// The options of one socket.
        ///
        /// Set when the socket is built, or [later](crate::Socket::change); each getter tells the default.
        ///
        /// ```
        /// use peermq::{Hwm, Options};
        ///
        /// let options = Options::default();
        /// assert_eq!(options.send_hwm(), Hwm::messages(1000));
        /// assert!(!options.ipv6());
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Options {
            $(pub(crate) $name: $value,)*
        }

        impl Options {
            /// Every option, in the order of the manual.
            pub const TABLE: &'static [OptionInfo] = &[$(
                OptionInfo {
                    name: stringify!($name),
                    code: $code,
                    unit: <$value as Unit>::UNIT,
                    takes_effect: TakesEffect::$when,
                    only: &[$($(SocketType::$socket_type),+)?],
                    doc: concat!($($doc),+).trim_ascii(),
                    default: || {
                        let default: $value = $default;
                        default.to_string()
                    },
                },
            )*];

            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!("Default: `", stringify!($default), "`; libzmq's code ", $code, ".")]
                #[must_use]
                #[allow(clippy::clone_on_copy, reason = "some values are not")]
                pub fn $name(&self) -> $value {
                    self.$name.clone()
                }
            )*

            /// The options that have another value in `other`.
            pub(crate) fn differing(&self, other: &Self) -> impl Iterator<Item = &'static OptionInfo> + use<> {
                let differs = [$(self.$name != other.$name),*];
                Self::TABLE.iter().zip(differs).filter_map(|(row, differs)| differs.then_some(row))
            }

            /// The first option that differs from its default although sockets of this type do not have it.
            pub(crate) fn foreign_to(&self, socket_type: SocketType) -> Option<&'static str> {
                let mut set = self.differing(&Self::default());
                set.find(|row| !row.only.is_empty() && !row.only.contains(&socket_type)).map(|row| row.name)
            }
        }

        impl Default for Options {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }
    };
}

for_each_option!(options);

/// One row of [`Options::TABLE`]: what a manual says about an option.
///
/// ```
/// use peermq::Options;
///
/// let row = Options::TABLE.iter().find(|row| row.name == "send_hwm").unwrap();
/// assert_eq!((row.code, row.unit), (23, "messages"));
/// assert_eq!(row.default_text(), "1000");
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OptionInfo {
    /// The name of the getter and of the builder's method.
    pub name: &'static str,
    /// libzmq's number, such as 23 for `ZMQ_SNDHWM`; negative for an option that libzmq does not have.
    pub code: i32,
    /// What the value counts or is.
    pub unit: &'static str,
    /// When a change is felt.
    pub takes_effect: TakesEffect,
    /// The socket types that have this option; empty for all.
    pub only: &'static [SocketType],
    /// What the option does, in Markdown.
    pub doc: &'static str,
    default: fn() -> String,
}

impl OptionInfo {
    /// Returns the default as text.
    #[must_use]
    pub fn default_text(&self) -> String {
        (self.default)()
    }
}

/// When a change of an option is felt.
///
/// ```
/// use peermq::{Options, TakesEffect};
///
/// let linger = Options::TABLE.iter().find(|row| row.name == "linger").unwrap();
/// assert_eq!(linger.takes_effect, TakesEffect::Live);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TakesEffect {
    /// At once, for connections that exist too.
    Live,
    /// With the next `bind` or `connect`; what is bound or connected keeps the old value.
    NextConnect,
    /// When the socket is opened.
    Open,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    /// What the builder does, with the same macro.
    #[derive(Default)]
    struct Builder {
        options: Options,
    }

    macro_rules! builder_methods {
        ($(
            $(#[doc = $doc:literal])+
            $name:ident: $value:ty = $default:expr, code $code:literal, when $when:ident
            $(, only [$($socket_type:ident),+])?;
        )*) => {
            #[allow(dead_code, reason = "the test sets some of them")]
            impl Builder {
                $(
                    $(#[doc = $doc])+
                    fn $name(mut self, value: impl Into<$value>) -> Self {
                        self.options.$name = value.into();
                        self
                    }
                )*
            }
        };
    }
    for_each_option!(builder_methods);

    #[test]
    fn a_builder_made_from_the_table_sets_options() {
        let second = Duration::from_secs(1);
        let options = Builder::default()
            .send_hwm(7)
            .send_hwm_octets(1 << 20)
            .recv_hwm_octets(HwmOctets::UNLIMITED)
            .conflate(true)
            .recv_hwm(Hwm::UNLIMITED)
            .linger(second)
            .send_timeout(second)
            .recv_timeout(Timeout::AT_ONCE)
            .reconnect_interval(ReconnectInterval::Never)
            .reconnect_interval_max(second)
            .handshake_interval(Duration::ZERO)
            .max_message_size(1 << 20)
            .backlog(500)
            .immediate(true)
            .ipv6(true)
            .routing_id(RoutingId::new("me").unwrap())
            .router_mandatory(true)
            .router_handover(true)
            .router_notify(RouterNotify::BOTH)
            .probe_router(true)
            .req_correlate(true)
            .req_relaxed(true)
            .send_buffer(KernelBuffer::octets(1 << 16).unwrap())
            .recv_buffer(KernelBuffer::SYSTEM)
            .xpub_verbose(true)
            .xpub_verboser(true)
            .xpub_nodrop(true)
            .xpub_manual(true)
            .xpub_manual_last_value(true)
            .xsub_verbose_unsubscribe(true)
            .xpub_welcome_message("hello")
            .invert_matching(true)
            .only_first_subscribe(true)
            .options;
        assert_eq!(options.send_hwm(), Hwm::messages(7));
        assert_eq!(options.recv_hwm().limit(), None);
        assert_eq!(options.send_hwm_octets(), HwmOctets::octets(1 << 20));
        assert_eq!(options.recv_hwm_octets().limit(), None);
        assert!(options.conflate());
        assert_eq!(options.linger(), Linger::AtMost(second));
        assert_eq!(options.send_timeout(), Timeout::After(second));
        assert_eq!(options.recv_timeout(), Timeout::After(Duration::ZERO));
        assert_eq!(options.reconnect_interval(), ReconnectInterval::Never);
        assert_eq!(options.reconnect_interval_max().limit(), Some(second));
        assert_eq!(options.handshake_interval(), HandshakeInterval::UNLIMITED);
        assert_eq!(options.max_message_size().limit(), Some(1 << 20));
        assert_eq!(options.backlog().limit(), 500);
        assert!(options.immediate() && options.ipv6());
        assert!(options.router_mandatory() && options.router_handover() && options.probe_router());
        assert!(options.req_correlate() && options.req_relaxed());
        assert_eq!(options.router_notify(), RouterNotify::BOTH);
        assert_eq!(options.send_buffer().size(), Some(1 << 16));
        assert_eq!(options.recv_buffer(), KernelBuffer::SYSTEM);
        assert!(options.xpub_verbose() && options.xpub_verboser() && options.xpub_nodrop());
        assert!(options.xpub_manual() && options.invert_matching() && options.only_first_subscribe());
        assert!(options.xpub_manual_last_value() && options.xsub_verbose_unsubscribe());
        assert_eq!(options.xpub_welcome_message().to_string(), "\"hello\"");
    }

    #[test]
    fn codes_and_names_are_unique() {
        let codes: HashSet<i32> = Options::TABLE.iter().map(|row| row.code).collect();
        let names: HashSet<&str> = Options::TABLE.iter().map(|row| row.name).collect();
        assert_eq!(codes.len(), Options::TABLE.len());
        assert_eq!(names.len(), Options::TABLE.len());
    }

    #[test]
    fn the_table_tells_codes_and_defaults() {
        let rows: Vec<_> =
            Options::TABLE.iter().map(|row| (row.name, row.code, row.default_text(), row.unit)).collect();
        let expected = [
            ("send_hwm", 23, "1000", "messages"),
            ("recv_hwm", 24, "1000", "messages"),
            ("send_hwm_octets", -1, "unlimited", "octets"),
            ("recv_hwm_octets", -2, "unlimited", "octets"),
            ("linger", 17, "for ever", "time"),
            ("send_timeout", 28, "for ever", "time"),
            ("recv_timeout", 27, "for ever", "time"),
            ("reconnect_interval", 18, "100ms", "time"),
            ("reconnect_interval_max", 21, "no growth", "time"),
            ("reconnect_stop", 109, "never", "set"),
            ("connect_timeout", 79, "5s", "time"),
            ("socks_proxy", 68, "none", "host:port"),
            ("handshake_interval", 66, "30s", "time"),
            ("heartbeat_interval", 75, "off", "time"),
            ("heartbeat_timeout", 77, "the interval", "time"),
            ("heartbeat_ttl", 76, "none", "time"),
            ("max_message_size", 22, "unlimited", "octets"),
            ("backlog", 19, "100", "connections"),
            ("immediate", 39, "false", "boolean"),
            ("conflate", 54, "false", "boolean"),
            ("routing_id", 5, "none", "octets"),
            ("router_mandatory", 33, "false", "boolean"),
            ("router_handover", 56, "false", "boolean"),
            ("router_notify", 97, "nothing", "events"),
            ("stream_notify", 73, "true", "boolean"),
            ("probe_router", 51, "false", "boolean"),
            ("req_correlate", 52, "false", "boolean"),
            ("req_relaxed", 53, "false", "boolean"),
            ("metadata", 95, "none", "properties"),
            ("hello_msg", 110, "none", "octets"),
            ("disconnect_msg", 111, "none", "octets"),
            ("hiccup_msg", 114, "none", "octets"),
            ("security", 43, "NULL", "mechanism"),
            ("authorizer", -3, "none", "callback"),
            ("zap_domain", 55, "none", "text"),
            ("accept_only", -4, "none", "ranges"),
            ("accept_never", -5, "none", "ranges"),
            ("handshakes_max", -6, "16384", "connections"),
            ("handshakes_max_per_address", -7, "a fair share", "connections"),
            ("ipv6", 42, "false", "boolean"),
            ("send_buffer", 11, "the system's", "octets"),
            ("recv_buffer", 12, "the system's", "octets"),
            ("tcp_keepalive", 34, "the system's", "switch"),
            ("tcp_keepalive_count", 35, "the system's", "probes"),
            ("tcp_keepalive_idle", 36, "the system's", "time"),
            ("tcp_keepalive_interval", 37, "the system's", "time"),
            ("tos", 57, "0", "octet"),
            ("tcp_max_retransmit", 80, "the system's", "time"),
            ("bind_to_device", 92, "any", "name"),
            ("priority", 112, "0", "number"),
            ("busy_poll", 113, "the system's", "time"),
            ("affinity", 4, "any", "mask"),
            ("in_batch_size", 101, "1048576", "octets"),
            ("out_batch_size", 102, "4194304", "octets"),
            ("xpub_verbose", 40, "false", "boolean"),
            ("xpub_verboser", 78, "false", "boolean"),
            ("xpub_nodrop", 69, "false", "boolean"),
            ("xpub_manual", 71, "false", "boolean"),
            ("xpub_manual_last_value", 98, "false", "boolean"),
            ("xpub_welcome_message", 72, "none", "octets"),
            ("xsub_verbose_unsubscribe", 115, "false", "boolean"),
            ("invert_matching", 74, "false", "boolean"),
            ("only_first_subscribe", 108, "false", "boolean"),
        ]
        .map(|(name, code, default, unit)| (name, code, default.to_owned(), unit));
        assert_eq!(rows, expected);
    }

    #[test]
    fn every_row_says_what_the_option_does() {
        for row in Options::TABLE {
            assert!(row.doc.ends_with('.') && !row.doc.starts_with(' '), "{}", row.name);
        }
    }
}
