//! What happens to the endpoints and peers of a socket, as whoever watches is told.
#![forbid(unsafe_code)]

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::endpoint::Endpoint;
use crate::error::{BindErrorKind, ConnectionError, OsError};
use crate::pipe::Dropped;
use crate::routing_id::RoutingId;
use crate::session::Peer;

/// Something that happened to an endpoint or a peer of a socket: see [`Monitor`](crate::Monitor).
///
/// ```
/// use peermq::{Context, EventKind, Pull};
///
/// let mut pull = Context::new().open::<Pull>()?;
/// let monitor = pull.monitor();
/// let binding = pull.bind("tcp://127.0.0.1:0")?;
/// let event = monitor.recv()?;
/// assert!(matches!(event.kind, EventKind::Listening));
/// assert_eq!(event.endpoint.as_ref(), Some(binding.endpoint()));
/// assert_eq!(event.to_string(), format!("{binding}: listening"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When it happened. Events come in the order of their times.
    pub at: Instant,
    /// What happened.
    pub kind: EventKind,
    /// The endpoint that is bound, or connected to.
    pub endpoint: Option<Endpoint>,
    /// Where the peer is, or may be: its address with tcp.
    pub address: Option<Endpoint>,
    /// The number of the connection, which all of its events share; a connect keeps it when it connects again. Greater
    /// than those of connections before, of all sockets. None for what happens to a bound endpoint.
    pub connection: Option<u64>,
    /// The peer has connected to us.
    pub is_accepted: bool,
    /// The descriptor in question, for libzmq's form of events.
    pub(crate) descriptor: Option<i32>,
}

/// One line for people who read logs: where it happened, and what, in plain words that may change. Characters that would
/// end the line or control a terminal, of which names of endpoints may have some, are escaped.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = OneLine(f);
        if let Some(endpoint) = &self.endpoint {
            write!(line, "{endpoint}: ")?;
        }
        write!(line, "{}", self.kind)?;
        let details = [
            self.address
                .as_ref()
                .filter(|at| Some(*at) != self.endpoint.as_ref())
                .map(|at| format!("peer {at}")),
            self.connection.map(|number| format!("connection {number}")),
        ];
        let mut before = " (";
        for detail in details.into_iter().flatten() {
            write!(line, "{before}{detail}")?;
            before = ", ";
        }
        if before == " (" { Ok(()) } else { line.write_str(")") }
    }
}

/// Escapes what does not belong in a line.
struct OneLine<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            self.0.write_str(plain)?;
            part.chars()
                .skip(plain.chars().count())
                .try_for_each(|it| write!(self.0, "{}", it.escape_default()))?;
        }
        Ok(())
    }
}

/// What happened: see [`Event`].
///
/// ```text
/// bound:      Listening | BindFailed      then Closed
///             AcceptFailed, TurnedAway    now and then
/// accepted:   Accepted ─▶ Ready ─▶ Disconnected
///                     └─▶ HandshakeFailed | Disconnected | Left
/// connected:  Connecting ─▶ Connected ─▶ Ready ─▶ Disconnected ─┐
///              ▲       │           └─▶ HandshakeFailed ─────────┤
///              │       └─▶ ConnectFailed ───────────────────────┤
///              └──────────────── Retried ◀──────────────────────┴─▶ Closed
/// ```
///
/// With inproc there are `Listening`, `BindFailed`, `Ready`, `RoutingIdInUse`, `Disconnected` and `Closed`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// No connection could be accepted: out of descriptors, for example. It is tried again every 50 ms; told once until
    /// it goes on.
    AcceptFailed(OsError),
    /// A peer has connected; the handshake comes next.
    Accepted,
    /// Nothing was bound.
    BindFailed(BindErrorKind),
    /// Nobody listens there any more, or it is not connected to any more; and why, if this side did not want it so.
    Closed(Option<ConnectionError>),
    /// The system, or a proxy, could not connect to this address.
    ConnectFailed(ConnectionError),
    /// The system has connected; the handshake comes next.
    Connected,
    /// The system connects to this address, or to the proxy's.
    Connecting,
    /// A connection is over, and why. `None`: this side ended it, perhaps before the handshake was done.
    Disconnected(Option<ConnectionError>),
    /// Messages were dropped since the monitor last said so, or since it began to watch: a summary, at most one in a
    /// second and a last one at the end.
    Dropped(Dropped),
    /// Peer and socket did not come together: the peer broke the protocol, was refused or refused us (with a status),
    /// uses another mechanism, left, or took too long.
    HandshakeFailed(ConnectionError),
    /// A peer that had connected has left before it said anything, as health checks and port scans do: nothing has
    /// failed. Such peers are counted as [`ConnectionCounts::left`](crate::ConnectionCounts::left).
    Left,
    /// Peers can connect.
    Listening,
    /// So many events came while this monitor was full.
    Missed(u64),
    /// The handshake is done, and messages flow.
    Ready(Peer),
    /// It will be tried to connect again, after a pause; and why.
    Retried {
        /// How long the pause is. Zero after this side has given its peer up.
        pause: Duration,
        /// What went wrong.
        error: ConnectionError,
    },
    /// A peer announced this routing id, which another peer of the ROUTER has: it is refused, and the other one has to
    /// show that it is still there. `HandshakeFailed` of the same connection follows, but with inproc.
    RoutingIdInUse(RoutingId),
    /// The socket is gone, with all its connections: the last event.
    Stopped,
    /// A peer had connected, and was closed before it could say anything.
    TurnedAway(TurnedAway),
}

impl EventKind {
    /// Returns a name, as the features `tracing` and `metrics` use it: `handshake_failed`, for example.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AcceptFailed(_) => "accept_failed",
            Self::Accepted => "accepted",
            Self::BindFailed(_) => "bind_failed",
            Self::Closed(_) => "closed",
            Self::ConnectFailed(_) => "connect_failed",
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Disconnected(_) => "disconnected",
            Self::Dropped(_) => "dropped",
            Self::HandshakeFailed(_) => "handshake_failed",
            Self::Left => "left",
            Self::Listening => "listening",
            Self::Missed(_) => "missed",
            Self::Ready(_) => "ready",
            Self::Retried { .. } => "retried",
            Self::RoutingIdInUse(_) => "routing_id_in_use",
            Self::Stopped => "stopped",
            Self::TurnedAway(_) => "turned_away",
        }
    }

    /// Returns what went wrong, if something did.
    #[must_use]
    pub fn reason(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::AcceptFailed(error) => Some(error),
            Self::BindFailed(error) => Some(error),
            Self::Closed(error) | Self::Disconnected(error) => error.as_ref().map(|error| error as _),
            Self::ConnectFailed(error) | Self::HandshakeFailed(error) | Self::Retried { error, .. } => {
                Some(error)
            }
            Self::TurnedAway(why) => Some(why),
            Self::Accepted
            | Self::Connected
            | Self::Connecting
            | Self::Dropped(_)
            | Self::Left
            | Self::Listening
            | Self::Missed(_)
            | Self::Ready(_)
            | Self::RoutingIdInUse(_)
            | Self::Stopped => None,
        }
    }
}

/// What happened, in plain words that may change.
impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptFailed(error) => write!(f, "cannot accept connections for now: {error}"),
            Self::Accepted => f.write_str("a peer has connected"),
            Self::BindFailed(error) => write!(f, "not bound: {error}"),
            Self::Closed(None) => f.write_str("closed"),
            Self::Closed(Some(error)) => write!(f, "closed, and not tried again: {error}"),
            Self::ConnectFailed(error) => write!(f, "cannot connect: {error}"),
            Self::Connected => f.write_str("connected, the handshake comes next"),
            Self::Connecting => f.write_str("connecting"),
            Self::Disconnected(None) => f.write_str("the connection was ended by this side"),
            Self::Disconnected(Some(error)) => write!(f, "the connection is over: {error}"),
            Self::Dropped(dropped) => write!(f, "messages were dropped: {}", dropped.total()),
            Self::HandshakeFailed(error) => write!(f, "the handshake failed: {error}"),
            Self::Left => f.write_str("a peer has left before it said anything"),
            Self::Listening => f.write_str("listening"),
            Self::Missed(count) => write!(f, "events that this monitor has missed: {count}"),
            Self::Ready(peer) => {
                write!(f, "ready, with a socket of type {:?}", peer.socket_type())?;
                if !peer.routing_id().is_none() {
                    write!(f, ", routing id {}", peer.routing_id())?;
                }
                peer.user_id().map_or(Ok(()), |user| write!(f, ", user {user}"))
            }
            Self::Retried { pause: Duration::ZERO, error } => {
                write!(f, "will be tried again at once: {error}")
            }
            Self::Retried { pause, error } => {
                let pause = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                write!(f, "will be tried again in {pause:?}: {error}")
            }
            Self::RoutingIdInUse(name) => {
                write!(
                    f,
                    "a peer is refused, as another one has its routing id {name}; \
                     give one of them another id, or set router_handover"
                )
            }
            Self::Stopped => f.write_str("the socket is gone"),
            Self::TurnedAway(why) => write!(f, "a peer was turned away: {why}"),
        }
    }
}

/// Why a peer that had connected was closed at once.
///
/// ```
/// use std::net::TcpStream;
///
/// use peermq::{AddressRanges, Context, EventKind, Pull, TurnedAway};
///
/// let ours = AddressRanges::new(["10.0.0.0/8"])?;
/// let mut pull = Context::new().builder_for::<Pull>().accept_only(ours).open()?;
/// let monitor = pull.monitor();
/// let binding = pull.bind("tcp://127.0.0.1:0")?;
/// assert!(matches!(monitor.recv()?.kind, EventKind::Listening));
/// let _stranger = TcpStream::connect(("127.0.0.1", binding.port().unwrap()))?;
/// let event = monitor.recv()?;
/// assert!(matches!(event.kind, EventKind::TurnedAway(TurnedAway::Address)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum TurnedAway {
    /// Nobody may connect from its address: see [`accept_only`](crate::Options::accept_only) and
    /// [`accept_never`](crate::Options::accept_never).
    #[error("nobody may connect from this address")]
    Address,
    /// As many as may are shaking hands: see [`handshakes_max`](crate::Options::handshakes_max) and
    /// [`handshakes_max_per_address`](crate::Options::handshakes_max_per_address).
    #[error("too many are shaking hands")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ProtocolError;

    fn line(event: &Event) -> String {
        let line = event.to_string();
        assert!(!line.contains(char::is_control), "{line:?}");
        line
    }

    #[test]
    fn every_event_is_a_line_of_plain_words() {
        let error = ConnectionError::from(ProtocolError::HandshakeTimeout);
        let os_error = OsError { kind: std::io::ErrorKind::TimedOut, code: None };
        let name = || RoutingId::new("a\nb").unwrap();
        let kinds = [
            EventKind::AcceptFailed(os_error),
            EventKind::Accepted,
            EventKind::BindFailed(BindErrorKind::AddressInUse),
            EventKind::Closed(None),
            EventKind::Closed(Some(error)),
            EventKind::ConnectFailed(error),
            EventKind::Connected,
            EventKind::Connecting,
            EventKind::Disconnected(None),
            EventKind::Disconnected(Some(error)),
            EventKind::Dropped(Dropped::default()),
            EventKind::HandshakeFailed(error),
            EventKind::Left,
            EventKind::Listening,
            EventKind::Missed(7),
            EventKind::Retried { pause: Duration::from_millis(100), error },
            EventKind::Retried { pause: Duration::ZERO, error },
            EventKind::RoutingIdInUse(name()),
            EventKind::Stopped,
            EventKind::TurnedAway(TurnedAway::TooMany),
        ];
        let endpoint: Endpoint = "tcp://host:1".parse().unwrap();
        let peer: Endpoint = "tcp://127.0.0.1:2".parse().unwrap();
        for kind in kinds {
            let reason = kind.reason().map(ToString::to_string);
            let event = Event {
                at: Instant::now(),
                kind,
                endpoint: Some(endpoint.clone()),
                address: Some(peer.clone()),
                connection: Some(5),
                is_accepted: true,
                descriptor: None,
            };
            let text = line(&event);
            assert!(text.starts_with("tcp://host:1: "), "{text}");
            assert!(text.ends_with(" (peer tcp://127.0.0.1:2, connection 5)"), "{text}");
            assert!(reason.is_none_or(|reason| text.contains(&reason)), "{text}");
            let bare = Event { endpoint: None, address: None, connection: None, ..event };
            assert_eq!(line(&bare), bare.kind.to_string());
        }
        let again = EventKind::Retried { pause: Duration::from_nanos(170_123_456), error };
        assert_eq!(again.to_string(), format!("will be tried again in 170ms: {error}"));
        let odd = Endpoint::inproc("two\nlines \u{1b}[31m").unwrap();
        let event = Event {
            at: Instant::now(),
            kind: EventKind::Listening,
            address: Some(odd.clone()),
            endpoint: Some(odd),
            connection: None,
            is_accepted: false,
            descriptor: None,
        };
        assert_eq!(line(&event), "inproc://two\\nlines \\u{1b}[31m: listening");
    }
}
