//! Socket options: one table, from which everything that lists options is made.
//!
//! A row gives doc, name, value type, default, libzmq's code, when a change takes effect, and the socket types
//! that have the option (all, if none are named). [`Options`], its getters and [`Options::TABLE`] come from it
//! here; whoever needs one more method per option calls [`for_each_option`] with a macro of its own.
//!
//! Ranges live in the value types (`options/value.rs`), so any assignment to a field leaves legal options.
#![forbid(unsafe_code)]

mod value;
mod welcome;

pub use self::value::{
    Backlog, HandshakeInterval, Hwm, KernelBuffer, Linger, MaxMessageSize, ReconnectInterval,
    ReconnectIntervalMax, Timeout,
};
pub use self::welcome::WelcomeMessage;

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

            /// How long a closed socket keeps trying to send what is queued.
            linger: Linger = Linger::Forever, code 17, when Live;

            /// How long `send` waits for room.
            send_timeout: Timeout = Timeout::Never, code 28, when Live;

            /// How long `recv` waits for a message.
            recv_timeout: Timeout = Timeout::Never, code 27, when Live;

            /// The pause before a lost or refused connection is tried again.
            reconnect_interval: ReconnectInterval = ReconnectInterval::DEFAULT, code 18, when NextConnect;

            /// How far the pause grows, doubling after each failure.
            reconnect_interval_max: ReconnectIntervalMax = ReconnectIntervalMax::NO_GROWTH, code 21,
                when NextConnect;

            /// How long a new connection may take until both ends have agreed on the protocol.
            handshake_interval: HandshakeInterval = HandshakeInterval::DEFAULT, code 66, when NextConnect;

            /// Longest frame that a peer may send. A longer one ends the connection before its body is read.
            max_message_size: MaxMessageSize = MaxMessageSize::UNLIMITED, code 22, when NextConnect;

            /// Most connections that wait to be accepted by a bound endpoint.
            backlog: Backlog = Backlog::DEFAULT, code 19, when NextConnect;

            /// Queue messages for finished connections only, not for peers that may never answer.
            immediate: bool = false, code 39, when NextConnect;

            /// The name by which ROUTER peers address this socket; without one each of them makes one up.
            routing_id: RoutingId = RoutingId::NONE, code 5, when NextConnect,
                only [Dealer, Req, Router];

            /// Use IPv6 beside IPv4 for names and wildcards.
            ipv6: bool = false, code 42, when NextConnect;

            /// The kernel's send buffer of a connection (`SO_SNDBUF`).
            send_buffer: KernelBuffer = KernelBuffer::SYSTEM, code 11, when NextConnect;

            /// The kernel's receive buffer of a connection (`SO_RCVBUF`).
            recv_buffer: KernelBuffer = KernelBuffer::SYSTEM, code 12, when NextConnect;

            /// Tell the application of every subscription, not only of the first to a topic.
            xpub_verbose: bool = false, code 40, when Open, only [XPub];

            /// Tell the application of every subscription and of every cancellation.
            xpub_verboser: bool = false, code 78, when Open, only [XPub];

            /// A send waits, as `send_timeout` says, until every subscriber has room; nothing is dropped.
            xpub_nodrop: bool = false, code 69, when Open, only [Pub, XPub];

            /// Subscriptions have no effect but that the application receives them; it subscribes for the peers.
            xpub_manual: bool = false, code 71, when Open, only [XPub];

            /// What every new subscriber is sent first, whatever it subscribes to.
            xpub_welcome_message: WelcomeMessage = WelcomeMessage::NONE, code 72, when Open,
                only [Pub, XPub];

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
        /// Set when the socket is built; each getter tells the default.
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
    /// libzmq's number, such as 23 for `ZMQ_SNDHWM`.
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
    fn a_builder_made_from_the_table_sets_every_option() {
        let second = Duration::from_secs(1);
        let options = Builder::default()
            .send_hwm(7)
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
            .send_buffer(KernelBuffer::octets(1 << 16).unwrap())
            .recv_buffer(KernelBuffer::SYSTEM)
            .xpub_verbose(true)
            .xpub_verboser(true)
            .xpub_nodrop(true)
            .xpub_manual(true)
            .xpub_welcome_message("hello")
            .invert_matching(true)
            .only_first_subscribe(true)
            .options;
        assert_eq!(options.send_hwm(), Hwm::messages(7));
        assert_eq!(options.recv_hwm().limit(), None);
        assert_eq!(options.linger(), Linger::AtMost(second));
        assert_eq!(options.send_timeout(), Timeout::After(second));
        assert_eq!(options.recv_timeout(), Timeout::After(Duration::ZERO));
        assert_eq!(options.reconnect_interval(), ReconnectInterval::Never);
        assert_eq!(options.reconnect_interval_max().limit(), Some(second));
        assert_eq!(options.handshake_interval(), HandshakeInterval::UNLIMITED);
        assert_eq!(options.max_message_size().limit(), Some(1 << 20));
        assert_eq!(options.backlog().limit(), 500);
        assert!(options.immediate() && options.ipv6());
        assert_eq!(options.send_buffer().size(), Some(1 << 16));
        assert_eq!(options.recv_buffer(), KernelBuffer::SYSTEM);
        assert!(options.xpub_verbose() && options.xpub_verboser() && options.xpub_nodrop());
        assert!(options.xpub_manual() && options.invert_matching() && options.only_first_subscribe());
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
            ("linger", 17, "for ever", "time"),
            ("send_timeout", 28, "never", "time"),
            ("recv_timeout", 27, "never", "time"),
            ("reconnect_interval", 18, "100ms", "time"),
            ("reconnect_interval_max", 21, "no growth", "time"),
            ("handshake_interval", 66, "30s", "time"),
            ("max_message_size", 22, "unlimited", "octets"),
            ("backlog", 19, "100", "connections"),
            ("immediate", 39, "false", "boolean"),
            ("routing_id", 5, "none", "octets"),
            ("ipv6", 42, "false", "boolean"),
            ("send_buffer", 11, "the system's", "octets"),
            ("recv_buffer", 12, "the system's", "octets"),
            ("xpub_verbose", 40, "false", "boolean"),
            ("xpub_verboser", 78, "false", "boolean"),
            ("xpub_nodrop", 69, "false", "boolean"),
            ("xpub_manual", 71, "false", "boolean"),
            ("xpub_welcome_message", 72, "none", "octets"),
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
