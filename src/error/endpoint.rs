//! Errors about an endpoint: which it was, and why.
//!
//! The reasons are enums to be matched; the errors around them keep the text of the endpoint, for who prints them.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::fmt;

use thiserror::Error;

use crate::endpoint::{Address, Endpoint};
use crate::error::{ConnectionError, OsError};
use crate::socket_type::SocketType;

/// A text that is not an endpoint, and why.
///
/// ```
/// use peermq::{Endpoint, EndpointErrorKind};
///
/// let error = "tcp://host:70000".parse::<Endpoint>().unwrap_err();
/// assert_eq!(error.kind(), EndpointErrorKind::InvalidPort);
/// assert!(error.to_string().starts_with("`tcp://host:70000` is not an endpoint: the port"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not an endpoint: {kind}")]
pub struct EndpointError {
    text: Box<str>,
    kind: EndpointErrorKind,
}

impl EndpointError {
    pub(crate) fn new(text: impl Into<Box<str>>, kind: EndpointErrorKind) -> Self {
        Self { text: text.into(), kind }
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns why it is not an endpoint.
    #[must_use]
    pub fn kind(&self) -> EndpointErrorKind {
        self.kind
    }
}

/// Lets `bind` and `connect` take an endpoint that is already parsed: that conversion cannot fail.
impl From<Infallible> for EndpointError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Why a text is not an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointErrorKind {
    /// `tcp://:5555`: a host is missing. Use `*` to bind to every interface.
    #[error("the host is empty; write `*` to bind to every interface")]
    EmptyHost,
    /// `inproc://` without a name.
    #[error("the inproc name is empty")]
    EmptyName,
    /// `ipc://` without a path, or `ipc://@` without a name.
    #[error("the ipc path is empty")]
    EmptyPath,
    /// A host with characters that no host, interface or address has.
    #[error("the host is not a name, an interface or an address; IPv6 goes in brackets: [::1]:5555")]
    InvalidHost,
    /// An ipc path with a NUL octet.
    #[error("the ipc path holds a NUL octet")]
    InvalidPath,
    /// A port that is not a number from 0 to 65535 or `*`.
    #[error("the port is not a number from 1 to 65535; to bind, also 0 or `*`, any free one")]
    InvalidPort,
    /// `tcp://host` without a port.
    #[error("the port is missing; write host:port; to bind, port 0 or `*` is any free one")]
    MissingPort,
    /// No `://`.
    #[error("the scheme is missing; write tcp://host:port, ipc://path or inproc://name")]
    MissingScheme,
    /// An inproc name longer than 256 octets.
    #[error("the inproc name is longer than {max} octets", max = crate::limits::INPROC_NAME_MAX)]
    NameTooLong,
    /// An ipc path that does not fit a socket address.
    #[error("the ipc path is longer than {max} octets", max = crate::limits::IPC_PATH_MAX)]
    PathTooLong,
    /// A scheme other than tcp, ipc and inproc, which are in lower case.
    #[error("the scheme is not tcp, ipc or inproc, in lower case")]
    UnknownScheme,
}

/// A `bind` or `unbind` that failed: of what, and why. The socket is as it was before the call.
///
/// ```
/// use peermq::{BindErrorKind, Context, Pull};
///
/// let context = Context::new();
/// context.open::<Pull>()?.unbind("inproc://jobs").expect_err("it was not bound");
/// let mut pull = context.open::<Pull>()?;
/// pull.bind("inproc://jobs")?;
/// let error = context.open::<Pull>()?.bind("inproc://jobs").unwrap_err();
/// assert_eq!(error.kind(), BindErrorKind::AddressInUse);
/// assert_eq!(error.endpoint(), Some("inproc://jobs"));
/// assert!(error.to_string().starts_with("cannot bind to inproc://jobs: the address is in use"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct BindError {
    endpoint: Option<Box<str>>,
    kind: BindErrorKind,
    is_of_unbind: bool,
}

impl BindError {
    /// None: it was a descriptor.
    pub(crate) fn new(endpoint: Option<&Endpoint>, kind: BindErrorKind) -> Self {
        let endpoint = endpoint.map(|endpoint| endpoint.to_string().into());
        Self { endpoint, kind, is_of_unbind: false }
    }

    /// It was to be unbound.
    pub(crate) fn of_unbind(error: impl Into<Self>) -> Self {
        Self { is_of_unbind: true, ..error.into() }
    }

    /// Returns the endpoint, or the text that is none; `None` for a descriptor.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Returns why it failed.
    #[must_use]
    pub fn kind(&self) -> BindErrorKind {
        self.kind
    }
}

impl From<EndpointError> for BindError {
    fn from(error: EndpointError) -> Self {
        let (endpoint, kind) = (Some(error.text), BindErrorKind::Endpoint(error.kind));
        Self { endpoint, kind, is_of_unbind: false }
    }
}

impl From<EndpointError> for BindErrorKind {
    fn from(error: EndpointError) -> Self {
        Self::Endpoint(error.kind)
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind;
        let call = if self.is_of_unbind { "unbind from" } else { "bind to" };
        let endpoint = self.endpoint().unwrap_or("the descriptor");
        // A text may have blanks at its ends.
        let quote = if matches!(kind, BindErrorKind::Endpoint(_)) { "`" } else { "" };
        write!(f, "cannot {call} {quote}{endpoint}{quote}: {kind}")
    }
}

/// Why `bind` or `unbind` failed. The socket is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BindErrorKind {
    /// Another socket is bound to this address or inproc name, or somebody listens at this path.
    #[error("the address is in use; choose another one, or end the socket or program that is bound there")]
    AddressInUse,
    /// The text is not an endpoint.
    #[error("it is not an endpoint: {0}")]
    Endpoint(EndpointErrorKind),
    /// The operating system refused.
    #[error("{0}")]
    Io(OsError),
    /// tcp or ipc in a context whose [`io_threads`](crate::ContextBuilder::io_threads) are 0.
    #[error("the context has no I/O threads, without which there is inproc only")]
    NoIoThreads,
    /// The directory of an ipc path does not exist.
    #[error("the directory of this path does not exist")]
    NoSuchDirectory,
    /// No interface has this name, or the name has no local address.
    #[error("no local interface has this name or address; `*` is every interface")]
    NoSuchInterface,
    /// The path holds something that is not a socket: a file or a directory, which is left alone.
    #[error("the path exists and is not a socket; choose another one, or remove it")]
    NotASocket,
    /// `bind_fd` of a descriptor that does not listen.
    #[error("it is not a socket that listens")]
    NotListening,
    /// `unbind` of an endpoint that this socket did not bind.
    #[error("this socket is not bound to it; give the endpoint that `bind` returned")]
    NotBound,
    /// This transport does not exist on this platform; or `monitor_pair` at what is no inproc endpoint.
    #[error("this platform, or this call, has no such transport")]
    NotSupported,
    /// An endpoint with a source address, from which one can connect.
    #[error("a source address is where connections come from; bind to an endpoint without one")]
    SourceAddress,
    /// A STREAM socket on anything but tcp.
    #[error("a socket of this type has tcp only")]
    TcpOnly,
    /// The context was shut down. Also in a forked child, to whose parent the socket belongs.
    #[error("the context was shut down, or belongs to the parent of this process")]
    Terminated,
    /// A PAIR at an endpoint that it is connected to: it has one peer, which it cannot be itself.
    #[error("this socket is connected to it, and cannot be its own peer")]
    ToItself,
}

/// A `connect` or `disconnect` that failed: of what, and why. The socket is as it was before the call.
///
/// ```
/// use peermq::{ConnectErrorKind, Context, Push};
///
/// let mut push = Context::new().open::<Push>()?;
/// let error = push.connect("tcp://*:5555").unwrap_err();
/// assert_eq!(error.kind(), ConnectErrorKind::Wildcard);
/// assert!(error.to_string().starts_with("cannot connect to tcp://*:5555: a wildcard"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConnectError {
    endpoint: Box<str>,
    kind: ConnectErrorKind,
    is_of_disconnect: bool,
}

impl ConnectError {
    pub(crate) fn new(endpoint: &Endpoint, kind: ConnectErrorKind) -> Self {
        Self { endpoint: endpoint.to_string().into(), kind, is_of_disconnect: false }
    }

    /// It was to be disconnected.
    pub(crate) fn of_disconnect(error: impl Into<Self>) -> Self {
        Self { is_of_disconnect: true, ..error.into() }
    }

    /// Returns the endpoint, or the text that is none.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns why it failed.
    #[must_use]
    pub fn kind(&self) -> ConnectErrorKind {
        self.kind
    }
}

impl From<EndpointError> for ConnectError {
    fn from(error: EndpointError) -> Self {
        let kind = ConnectErrorKind::Endpoint(error.kind);
        Self { endpoint: error.text, kind, is_of_disconnect: false }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, kind, is_of_disconnect } = self;
        let call = if *is_of_disconnect { "disconnect from" } else { "connect to" };
        // A text may have blanks at its ends.
        let quote = if matches!(kind, ConnectErrorKind::Endpoint(_)) { "`" } else { "" };
        write!(f, "cannot {call} {quote}{endpoint}{quote}: {kind}")
    }
}

/// Why `connect` or `disconnect` failed. The socket is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The text is not an endpoint.
    #[error("it is not an endpoint: {0}")]
    Endpoint(EndpointErrorKind),
    /// The socket bound under this inproc name has a type that this one cannot talk to.
    #[error("the socket bound there is of type {0:?}, which cannot talk to this one")]
    IncompatibleSocketTypes(SocketType),
    /// The operating system refused.
    #[error("{0}")]
    Io(OsError),
    /// tcp or ipc in a context whose [`io_threads`](crate::ContextBuilder::io_threads) are 0.
    #[error("the context has no I/O threads, without which there is inproc only")]
    NoIoThreads,
    /// `disconnect` of an endpoint that this socket is not connected to.
    #[error("this socket is not connected to it")]
    NotConnected,
    /// This transport does not exist on this platform; or `connect_as` on a socket of a type that does not know
    /// its peers by name.
    #[error("this platform, or this socket type, has no such thing")]
    NotSupported,
    /// The socket type has one peer only, and there is one.
    #[error("a socket of this type has one peer only, and this one has it; disconnect from that first")]
    OnePeerOnly,
    /// `connect_as` with a routing id that another peer has (unless `router_handover` is set). With inproc also: the
    /// ROUTER that is bound there has another peer of our routing id.
    #[error(
        "another peer has this routing id; choose another one, or set router_handover if it is a ROUTER's"
    )]
    RoutingIdInUse,
    /// A STREAM socket on anything but tcp.
    #[error("a socket of this type has tcp only")]
    TcpOnly,
    /// The context was shut down. Also in a forked child, to whose parent the socket belongs.
    #[error("the context was shut down, or belongs to the parent of this process")]
    Terminated,
    /// A PAIR to an endpoint that it is bound to: it has one peer, which it cannot be itself.
    #[error("this socket is bound to it, and cannot be its own peer")]
    ToItself,
    /// A wildcard host or port, which only `bind` can use.
    #[error("a wildcard host or port can be bound to only; name a host and a port")]
    Wildcard,
}

/// A connection for which somebody has waited in vain: to where, and why. See
/// [`Connection::wait_ready`](crate::Connection::wait_ready).
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, NotReadyKind, Push};
///
/// let mut push = Context::new().open::<Push>()?;
/// let error = push.connect("inproc://nobody")?.wait_ready(Duration::ZERO).unwrap_err();
/// assert_eq!(error.kind(), NotReadyKind::TimedOut(None));
/// let nobody = "no connection to inproc://nobody: nobody in this context has bound this name";
/// assert_eq!(error.to_string(), nobody);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct NotReady {
    endpoint: Endpoint,
    kind: NotReadyKind,
}

impl NotReady {
    pub(crate) fn new(endpoint: &Endpoint, kind: NotReadyKind) -> Self {
        Self { endpoint: endpoint.clone(), kind }
    }

    /// Returns what was to be connected to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns why it is not ready.
    #[must_use]
    pub fn kind(&self) -> NotReadyKind {
        self.kind
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, kind } = self;
        write!(f, "no connection to {endpoint}: ")?;
        match (endpoint.address(), kind) {
            // It is ready as soon as the name is bound.
            (Address::Inproc(_), NotReadyKind::TimedOut(None)) => {
                f.write_str("nobody in this context has bound this name")
            }
            _ => write!(f, "{kind}"),
        }
    }
}

/// Why a connection is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotReadyKind {
    /// It was ended on this side.
    #[error("it was closed")]
    Closed,
    /// It will never be: it is not tried again.
    #[error("it failed for good: {0}")]
    Failed(ConnectionError),
    /// A signal came during the wait: see [`interruptible`](crate::ContextBuilder::interruptible).
    #[error("interrupted by a signal")]
    Interrupted,
    /// Not yet; and what went wrong last, if anything did.
    #[error("it is not ready{}", .0.map_or_else(|| " yet".to_owned(), |error| format!(": {error}")))]
    TimedOut(Option<ConnectionError>),
}
