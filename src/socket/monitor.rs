//! Watching a socket: as typed events, or in libzmq's form as messages.
//!
//! Source of the form: libzmq's zmq_socket_monitor(3) and zmq_socket_monitor_versioned(3).
#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::time::Duration;

use crate::context::Context;
use crate::endpoint::{Address, Endpoint};
use crate::error::{BindError, BindErrorKind, ConnectionError, EndpointError, OsError, ProtocolError};
use crate::message::Message;
use crate::patterns::{Pair, Pattern};
use crate::session::{Event, EventKind, Monitor, Watcher};
use crate::socket::Socket;
use crate::socket::core::Core;

impl<P: Pattern> Socket<P> {
    /// Watches what happens to this socket's endpoints and peers from now on. A socket can have several monitors.
    #[must_use = "a monitor that is dropped watches no more"]
    pub fn monitor(&self) -> Monitor {
        self.core.peers.watchers().monitor(self.core.context.manner())
    }

    /// Tells what happens from now on as libzmq's `zmq_socket_monitor` does: a PAIR socket that is bound to an inproc
    /// `endpoint` sends the `events` of this set to the PAIR that connects there, each as a frame with the event (16
    /// bits) and a value (32 bits), in the order of this machine, and a frame with the endpoint.
    ///
    /// Never waits: events for which there is no reader, or no room, are dropped. The last one is `MONITOR_STOPPED`
    /// (0x400), when the socket is dropped, and so comes before the end of connections that linger. Nothing that
    /// happens to inproc endpoints is told. For news with reasons, and of what was missed, see
    /// [`monitor`](Self::monitor).
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind); [`BindErrorKind::NotSupported`] for what is no inproc endpoint.
    ///
    /// ```
    /// use peermq::{Context, Pair, Pull};
    ///
    /// const LISTENING: u16 = 8;
    ///
    /// let context = Context::new();
    /// let mut pull = context.open::<Pull>()?;
    /// pull.monitor_pair("inproc://news", LISTENING)?;
    /// let mut news = context.open::<Pair>()?;
    /// news.connect("inproc://news")?;
    /// let binding = pull.bind("tcp://127.0.0.1:0")?;
    /// let event = news.recv()?;
    /// assert_eq!(event.body()[..2], LISTENING.to_ne_bytes());
    /// assert_eq!(event.frame(1).unwrap().to_str()?, binding.to_string());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn monitor_pair<E>(&mut self, endpoint: E, events: u16) -> Result<(), BindError>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        self.add_pair(endpoint, events.into(), Form::One)
    }

    /// The same in version 2 of the form: frames with the event, with the number of values, and with each value (64
    /// bits each), then one with our endpoint and one with the peer's, which are empty where they are not known.
    ///
    /// # Errors
    ///
    /// As for [`monitor_pair`](Self::monitor_pair).
    pub fn monitor_pair_v2<E>(&mut self, endpoint: E, events: u64) -> Result<(), BindError>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        self.add_pair(endpoint, events, Form::Two)
    }

    fn add_pair<E>(&mut self, endpoint: E, events: u64, form: Form) -> Result<(), BindError>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        let endpoint = endpoint.try_into().map_err(|error| BindError::from(error.into()))?;
        if !is_inproc(&endpoint) {
            return Err(BindError::new(Some(&endpoint), BindErrorKind::NotSupported));
        }
        let context = Context { inner: self.core.context.clone() };
        let mut pair =
            context.open::<Pair>().map_err(|_| BindError::new(Some(&endpoint), BindErrorKind::Terminated))?;
        pair.bind(endpoint)?;
        self.core.peers.watchers().add(Box::new(MonitorPair { pair, events, form }));
        Ok(())
    }
}

impl Core {
    /// Tells PAIRs that watch that it is over. They go here, on the socket's own thread: they may be the last sockets
    /// of their context, whose end waits for I/O threads.
    pub(super) fn stop_pairs(&self) {
        for mut watcher in self.peers.watchers().take_others() {
            watcher.on_stop();
        }
    }
}

/// A PAIR that tells of events.
struct MonitorPair {
    pair: Socket<Pair>,
    events: u64,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    One,
    Two,
}

/// The numbers of libzmq's zmq.h.
mod number {
    pub(super) const CONNECTED: u64 = 0x0001;
    pub(super) const CONNECT_DELAYED: u64 = 0x0002;
    pub(super) const CONNECT_RETRIED: u64 = 0x0004;
    pub(super) const LISTENING: u64 = 0x0008;
    pub(super) const BIND_FAILED: u64 = 0x0010;
    pub(super) const ACCEPTED: u64 = 0x0020;
    pub(super) const ACCEPT_FAILED: u64 = 0x0040;
    pub(super) const CLOSED: u64 = 0x0080;
    pub(super) const DISCONNECTED: u64 = 0x0200;
    pub(super) const MONITOR_STOPPED: u64 = 0x0400;
    pub(super) const HANDSHAKE_FAILED_NO_DETAIL: u64 = 0x0800;
    pub(super) const HANDSHAKE_SUCCEEDED: u64 = 0x1000;
    pub(super) const HANDSHAKE_FAILED_PROTOCOL: u64 = 0x2000;
    pub(super) const HANDSHAKE_FAILED_AUTH: u64 = 0x4000;

    /// What a peer did wrong, as the value of `HANDSHAKE_FAILED_PROTOCOL`.
    pub(super) mod protocol {
        pub(crate) const ZMTP_UNSPECIFIED: i32 = 0x1000_0000;
        pub(crate) const UNEXPECTED_COMMAND: i32 = 0x1000_0001;
        pub(crate) const MALFORMED_COMMAND: i32 = 0x1000_0011;
        pub(crate) const INVALID_METADATA: i32 = 0x1000_0018;
        pub(crate) const CRYPTOGRAPHIC: i32 = 0x1100_0001;
        pub(crate) const MECHANISM_MISMATCH: i32 = 0x1100_0002;
    }
}

impl MonitorPair {
    fn tell(&mut self, number: u64, value: i32, ours: String, theirs: String) {
        if self.events & number == 0 {
            return;
        }
        let message = match self.form {
            #[allow(clippy::cast_possible_truncation, reason = "the mask has no more than 16 bits")]
            Form::One => {
                let event = [&(number as u16).to_ne_bytes()[..], &value.to_ne_bytes()].concat();
                Message::from([event, if ours.is_empty() { theirs } else { ours }.into_bytes()])
            }
            Form::Two => {
                let [number, count, value] = [number, 1, value as u64].map(u64::to_ne_bytes);
                Message::from([&number[..], &count, &value, ours.as_bytes(), theirs.as_bytes()])
            }
        };
        // Nobody reads, or not fast enough: whoever tells must not wait for that.
        let _ = self.pair.try_send(message);
    }
}

impl Watcher for MonitorPair {
    fn on_event(&mut self, event: &Event) {
        if event.endpoint.as_ref().is_none_or(is_inproc) {
            return;
        }
        let text =
            |endpoint: &Option<Endpoint>| endpoint.as_ref().map_or_else(String::new, Endpoint::to_string);
        let (ours, theirs) = if is_connect(event) {
            (String::new(), text(&event.endpoint))
        } else {
            (text(&event.endpoint), text(&event.address))
        };
        for (number, value) in in_numbers(event).into_iter().flatten() {
            self.tell(number, value, ours.clone(), theirs.clone());
        }
    }

    fn on_stop(&mut self) {
        self.tell(number::MONITOR_STOPPED, 0, String::new(), String::new());
    }
}

/// Whether it happened to what this socket is connected to.
fn is_connect(event: &Event) -> bool {
    event.connection.is_some() && !event.is_accepted
}

/// An event as libzmq's, of which there may be two, with their values.
fn in_numbers(event: &Event) -> [Option<(u64, i32)>; 2] {
    let descriptor = event.descriptor.unwrap_or(-1);
    let one = |number, value| [Some((number, value)), None];
    match &event.kind {
        EventKind::AcceptFailed(error) => one(number::ACCEPT_FAILED, errno(*error)),
        EventKind::Accepted => one(number::ACCEPTED, descriptor),
        EventKind::BindFailed(error) => one(number::BIND_FAILED, bind_errno(*error)),
        EventKind::Closed(_) if is_connect(event) => [None, None],
        EventKind::Closed(_) | EventKind::ConnectFailed(_) => one(number::CLOSED, descriptor),
        EventKind::Connected => one(number::CONNECTED, descriptor),
        EventKind::Connecting => one(number::CONNECT_DELAYED, libc::EINPROGRESS),
        EventKind::Disconnected(_) | EventKind::Left => one(number::DISCONNECTED, descriptor),
        EventKind::HandshakeFailed(error) => {
            [Some(handshake_failed(*error)), Some((number::DISCONNECTED, descriptor))]
        }
        EventKind::Listening => one(number::LISTENING, descriptor),
        EventKind::Dropped(_) | EventKind::Missed(_) | EventKind::RoutingIdInUse(_) | EventKind::Stopped => {
            [None, None]
        }
        EventKind::Ready(_) => one(number::HANDSHAKE_SUCCEEDED, 0),
        EventKind::Retried { pause, .. } => one(number::CONNECT_RETRIED, milliseconds(*pause)),
        EventKind::TurnedAway(_) => one(number::ACCEPT_FAILED, libc::EACCES),
    }
}

fn handshake_failed(error: ConnectionError) -> (u64, i32) {
    let protocol = match error {
        ConnectionError::Io(error) => return (number::HANDSHAKE_FAILED_NO_DETAIL, errno(error)),
        ConnectionError::Protocol(ProtocolError::HandshakeTimeout) => {
            return (number::HANDSHAKE_FAILED_NO_DETAIL, libc::ETIMEDOUT);
        }
        ConnectionError::Protocol(
            ProtocolError::NotLetIn(status, _) | ProtocolError::NotLetInByPeer(status),
        ) => {
            return (number::HANDSHAKE_FAILED_AUTH, status.code().into());
        }
        ConnectionError::Protocol(protocol) => protocol,
        ConnectionError::Dismissed
        | ConnectionError::GivenUp
        | ConnectionError::HandedOver
        | ConnectionError::NoAddress
        | ConnectionError::PeerClosed
        | ConnectionError::Proxy(_)
        | ConnectionError::Silent
        | ConnectionError::TimedOut => return (number::HANDSHAKE_FAILED_NO_DETAIL, libc::EPIPE),
    };
    (number::HANDSHAKE_FAILED_PROTOCOL, protocol_code(protocol))
}

#[allow(clippy::wildcard_enum_match_arm, reason = "libzmq tells few of them apart")]
fn protocol_code(error: ProtocolError) -> i32 {
    match error {
        ProtocolError::DuplicateProperty
        | ProtocolError::IncompatibleSocketTypes(_)
        | ProtocolError::MalformedMetadata
        | ProtocolError::MissingSocketType
        | ProtocolError::UnknownSocketType => number::protocol::INVALID_METADATA,
        ProtocolError::MalformedCommand => number::protocol::MALFORMED_COMMAND,
        ProtocolError::MechanismMismatch => number::protocol::MECHANISM_MISMATCH,
        ProtocolError::Repeated | ProtocolError::Undecipherable => number::protocol::CRYPTOGRAPHIC,
        ProtocolError::UnexpectedCommand => number::protocol::UNEXPECTED_COMMAND,
        _ => number::protocol::ZMTP_UNSPECIFIED,
    }
}

fn bind_errno(error: BindErrorKind) -> i32 {
    match error {
        BindErrorKind::AddressInUse => libc::EADDRINUSE,
        BindErrorKind::Endpoint(_)
        | BindErrorKind::NotBound
        | BindErrorKind::NotListening
        | BindErrorKind::SourceAddress
        | BindErrorKind::ToItself => libc::EINVAL,
        BindErrorKind::Io(error) => errno(error),
        BindErrorKind::NoIoThreads => libc::EAGAIN,
        BindErrorKind::NoSuchDirectory => libc::ENOENT,
        BindErrorKind::NoSuchInterface => libc::ENODEV,
        BindErrorKind::NotASocket => libc::ENOTSOCK,
        BindErrorKind::NotSupported | BindErrorKind::TcpOnly => libc::EPROTONOSUPPORT,
        BindErrorKind::Terminated => libc::ECANCELED,
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind has dozens of variants, and grows")]
fn errno(error: OsError) -> i32 {
    error.code.unwrap_or(match error.kind {
        ErrorKind::TimedOut => libc::ETIMEDOUT,
        _ => libc::EIO,
    })
}

fn milliseconds(pause: Duration) -> i32 {
    i32::try_from(pause.as_millis()).unwrap_or(i32::MAX)
}

fn is_inproc(endpoint: &Endpoint) -> bool {
    matches!(endpoint.address(), Address::Inproc(_))
}
