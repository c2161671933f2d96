//! Endpoints: where a socket binds or connects, parsed once.
//!
//! Checks the form only: whether a host exists, an interface is up or a path can be written shows when the
//! socket binds or connects. Nothing here resolves names or touches the file system.
//!
//! The grammar is libzmq's for tcp, ipc and inproc (RFC 37 leaves addresses to the implementation).
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{EndpointError, EndpointErrorKind};
use crate::limits::{DEVICE_NAME_MAX, HOST_NAME_MAX, INPROC_NAME_MAX, IPC_PATH_MAX};

/// Where a socket binds or connects.
///
/// | text | meaning |
/// |---|---|
/// | `tcp://host:port` | a name, an IPv4 address, or an IPv6 address in brackets; to bind also an interface |
/// | `tcp://[fe80::1%eth0]:port` | an IPv6 address and its zone: the name of an interface, or its number |
/// | `tcp://source;host:port` | the same, from a source `address:port` or `interface:port`, port 0 or `*` for any; to connect only |
/// | `tcp://*:port` | every interface; to bind only |
/// | `tcp://host:*`, `tcp://host:0` | any free port; to bind only |
/// | `ipc://path` | a Unix domain socket, at most 107 octets |
/// | `ipc://@name` | a Unix domain socket in Linux's abstract namespace |
/// | `ipc://*` | a path of the library's choice; to bind only |
/// | `inproc://name` | a socket in the same context, at most 256 octets |
///
/// Displays as its canonical text, which parses back to an equal endpoint.
///
/// ```
/// use peermq::{Endpoint, EndpointErrorKind};
///
/// let endpoint: Endpoint = "tcp://[::1]:5555".parse()?;
/// assert_eq!(endpoint.scheme(), "tcp");
/// assert_eq!(endpoint.port(), Some(5555));
/// assert_eq!(endpoint, Endpoint::tcp("[::1]:5555".parse().unwrap()));
/// assert_eq!(Endpoint::try_from("tcp://*:*")?, "tcp://*:0"); // as it is displayed
/// let error = Endpoint::try_from("tcp://host:70000").unwrap_err();
/// assert_eq!(error.kind(), EndpointErrorKind::InvalidPort);
/// # Ok::<(), peermq::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    address: Address,
}

/// An endpoint by transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// Port 0 is any free port.
    Tcp {
        host: Host,
        port: u16,
        source: Option<Box<SourceAddress>>,
    },
    Ipc(IpcAddress),
    /// 1 to [`INPROC_NAME_MAX`] octets.
    Inproc(String),
}

/// The host of a tcp endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// `*`: every interface.
    Any,
    Ip(IpAddr),
    /// An address that means something only on one link.
    Zoned(Ipv6Addr, Zone),
    /// A DNS name; to bind, perhaps the name of an interface.
    Name(String),
}

/// The link on which an IPv6 address means something. Source: RFC 4007.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Zone {
    Index(NonZeroU32),
    /// The name of an interface.
    Name(Box<str>),
}

/// Where a connection comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceAddress {
    /// A name is that of an interface.
    pub(crate) host: Host,
    /// 0 is any free port.
    pub(crate) port: u16,
}

/// The address of a Unix domain socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum IpcAddress {
    /// `*`: a path of the library's choice.
    Any,
    /// A name in the abstract namespace, without the `@`; 1 to [`IPC_PATH_MAX`] octets, no NUL.
    Abstract(String),
    /// 1 to [`IPC_PATH_MAX`] octets, no NUL.
    Path(PathBuf),
}

impl Endpoint {
    /// Returns the tcp endpoint of a socket address. Port 0 is any free port; an IPv6 scope id is a zone.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(_) => Host::Ip(address.ip()),
            SocketAddr::V6(address) => match NonZeroU32::new(address.scope_id()) {
                Some(index) => Host::Zoned(*address.ip(), Zone::Index(index)),
                None => Host::Ip(IpAddr::V6(*address.ip())),
            },
        };
        Self { address: Address::Tcp { host, port: address.port(), source: None } }
    }

    /// Returns the ipc endpoint of a path. It is always a path in the file system, even if it starts with `@`.
    ///
    /// # Errors
    ///
    /// [`EmptyPath`](EndpointErrorKind::EmptyPath), [`InvalidPath`](EndpointErrorKind::InvalidPath) with a NUL octet,
    /// [`PathTooLong`](EndpointErrorKind::PathTooLong) beyond 107 octets.
    pub fn ipc(path: impl AsRef<Path>) -> Result<Self, EndpointError> {
        let path = path.as_ref();
        let octets = path.as_os_str().as_encoded_bytes();
        let path = match octets.first() {
            // As a text these would be an abstract name or the wildcard.
            Some(b'@') => Path::new(".").join(path),
            Some(b'*') if octets.len() == 1 => Path::new(".").join(path),
            _ => path.to_path_buf(),
        };
        check_path(path.as_os_str().as_encoded_bytes())
            .map_err(|kind| EndpointError::new(format!("{IPC}{SEPARATOR}{}", path.display()), kind))?;
        Ok(Self { address: Address::Ipc(IpcAddress::Path(path)) })
    }

    /// Returns the inproc endpoint of a name.
    ///
    /// # Errors
    ///
    /// [`EmptyName`](EndpointErrorKind::EmptyName), [`NameTooLong`](EndpointErrorKind::NameTooLong) beyond 256 octets.
    pub fn inproc(name: impl Into<String>) -> Result<Self, EndpointError> {
        match parse_inproc(name.into()) {
            Ok(address) => Ok(Self { address }),
            Err((name, kind)) => Err(EndpointError::new(format!("{INPROC}{SEPARATOR}{name}"), kind)),
        }
    }

    /// Returns the transport: `tcp`, `ipc` or `inproc`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        match self.address {
            Address::Tcp { .. } => TCP,
            Address::Ipc(_) => IPC,
            Address::Inproc(_) => INPROC,
        }
    }

    /// Returns the port of a tcp endpoint, 0 for any free one; `None` for other transports.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self.address {
            Address::Tcp { port, .. } => Some(port),
            Address::Ipc(_) | Address::Inproc(_) => None,
        }
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// Where connections to it come from, if it says so.
    pub(crate) fn source(&self) -> Option<&SourceAddress> {
        match &self.address {
            Address::Tcp { source, .. } => source.as_deref(),
            Address::Ipc(_) | Address::Inproc(_) => None,
        }
    }

    /// Whether a host, port or path is left to the library, so that one can bind to it but not connect.
    pub(crate) const fn is_wildcard(&self) -> bool {
        matches!(
            self.address,
            Address::Tcp { host: Host::Any, .. }
                | Address::Tcp { port: 0, .. }
                | Address::Ipc(IpcAddress::Any)
        )
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{SEPARATOR}", self.scheme())?;
        match &self.address {
            Address::Tcp { host, port, source: None } => write!(f, "{host}:{port}"),
            Address::Tcp { host, port, source: Some(source) } => write!(f, "{source};{host}:{port}"),
            Address::Ipc(IpcAddress::Any) => f.write_str(WILDCARD),
            Address::Ipc(IpcAddress::Abstract(name)) => write!(f, "@{name}"),
            Address::Ipc(IpcAddress::Path(path)) => write!(f, "{}", path.display()),
            Address::Inproc(name) => f.write_str(name),
        }
    }
}

impl Host {
    /// The address that it is, if nobody has to be asked for it.
    pub(crate) fn address(&self, port: u16) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some((*address, port).into()),
            Self::Zoned(address, Zone::Index(index)) => {
                Some(SocketAddrV6::new(*address, port, 0, index.get()).into())
            }
            Self::Zoned(_, Zone::Name(_)) | Self::Any | Self::Name(_) => None,
        }
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        write!(f, "{host}:{port}")
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str(WILDCARD),
            Self::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Zoned(address, zone) => write!(f, "[{address}%{zone}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let address = match text.split_once(SEPARATOR) {
            None | Some(("", _)) => Err(EndpointErrorKind::MissingScheme),
            Some((TCP, rest)) => parse_tcp(rest),
            Some((IPC, rest)) => parse_ipc(rest).map(Address::Ipc),
            Some((INPROC, rest)) => parse_inproc(rest.to_owned()).map_err(|(_, kind)| kind),
            Some(_) => Err(EndpointErrorKind::UnknownScheme),
        };
        match address {
            Ok(address) => Ok(Self { address }),
            Err(kind) => Err(EndpointError::new(text, kind)),
        }
    }
}

/// Whether it is shown as this text.
impl PartialEq<str> for Endpoint {
    fn eq(&self, text: &str) -> bool {
        let shown = self.to_string();
        shown == text
    }
}

/// Whether it is shown as this text.
impl PartialEq<&str> for Endpoint {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &str) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<&String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<&Self> for Endpoint {
    fn from(endpoint: &Self) -> Self {
        endpoint.clone()
    }
}

fn parse_tcp(text: &str) -> Result<Address, EndpointErrorKind> {
    let (source, text) = match text.split_once(';') {
        Some((source, text)) => (Some(source), text),
        None => (None, text),
    };
    let source = source.map(parse_host_and_port).transpose()?;
    let source = source.map(|(host, port)| Box::new(SourceAddress { host, port }));
    let (host, port) = parse_host_and_port(text)?;
    Ok(Address::Tcp { host, port, source })
}

fn parse_host_and_port(text: &str) -> Result<(Host, u16), EndpointErrorKind> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(EndpointErrorKind::InvalidHost)?;
            let host = parse_ipv6(address)?;
            let port = match port.strip_prefix(':') {
                Some(port) => port,
                None if port.is_empty() => return Err(EndpointErrorKind::MissingPort),
                None => return Err(EndpointErrorKind::InvalidHost),
            };
            (host, port)
        }
        None => {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
            (parse_host(host)?, port)
        }
    };
    Ok((host, parse_port(port)?))
}

/// Parses what is in brackets.
fn parse_ipv6(text: &str) -> Result<Host, EndpointErrorKind> {
    if text.is_empty() {
        return Err(EndpointErrorKind::EmptyHost);
    }
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let address = address.parse::<Ipv6Addr>().map_err(|_| EndpointErrorKind::InvalidHost)?;
    Ok(match zone {
        Some(zone) => Host::Zoned(address, parse_zone(zone).ok_or(EndpointErrorKind::InvalidHost)?),
        None => Host::Ip(address.into()),
    })
}

fn parse_zone(text: &str) -> Option<Zone> {
    let is_in_name = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    if text.bytes().all(|octet| octet.is_ascii_digit()) {
        return text.parse().ok().map(Zone::Index);
    }
    let is_name = text.len() <= DEVICE_NAME_MAX && text.bytes().all(is_in_name);
    is_name.then(|| Zone::Name(text.into()))
}

/// Parses a host without brackets.
fn parse_host(text: &str) -> Result<Host, EndpointErrorKind> {
    if text.is_empty() {
        return Err(EndpointErrorKind::EmptyHost);
    }
    if text == WILDCARD {
        return Ok(Host::Any);
    }
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => Ok(Host::Ip(address.into())),
        // `::1:5555` could be an address and a port, or an address alone.
        Ok(IpAddr::V6(_)) => Err(EndpointErrorKind::InvalidHost),
        Err(_) if is_host_name(text) => Ok(Host::Name(text.to_owned())),
        Err(_) => Err(EndpointErrorKind::InvalidHost),
    }
}

/// Whether `text` may be a DNS name, with or without its final dot, or the name of an interface.
fn is_host_name(text: &str) -> bool {
    let labels = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    };
    // Digits and dots alone are a mistyped IPv4 address: no top-level domain is numeric.
    let is_numeric = labels.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    labels.len() <= HOST_NAME_MAX && labels.split('.').all(is_label) && !is_numeric
}

fn parse_port(text: &str) -> Result<u16, EndpointErrorKind> {
    match text {
        "" => Err(EndpointErrorKind::MissingPort),
        WILDCARD => Ok(0),
        // `u16::from_str` takes a plus sign.
        _ if text.bytes().all(|octet| octet.is_ascii_digit()) => {
            text.parse().map_err(|_| EndpointErrorKind::InvalidPort)
        }
        _ => Err(EndpointErrorKind::InvalidPort),
    }
}

fn parse_ipc(text: &str) -> Result<IpcAddress, EndpointErrorKind> {
    if text == WILDCARD {
        return Ok(IpcAddress::Any);
    }
    let name = text.strip_prefix('@');
    check_path(name.unwrap_or(text).as_bytes())?;
    Ok(match name {
        Some(name) => IpcAddress::Abstract(name.to_owned()),
        None => IpcAddress::Path(PathBuf::from(text)),
    })
}

/// Checks a name, which is handed back if it is none.
fn parse_inproc(name: String) -> Result<Address, (String, EndpointErrorKind)> {
    match name.len() {
        0 => Err((name, EndpointErrorKind::EmptyName)),
        1..=INPROC_NAME_MAX => Ok(Address::Inproc(name)),
        _ => Err((name, EndpointErrorKind::NameTooLong)),
    }
}

/// Checks what `sun_path` asks of a path, and of a name in the abstract namespace.
fn check_path(octets: &[u8]) -> Result<(), EndpointErrorKind> {
    if octets.is_empty() {
        return Err(EndpointErrorKind::EmptyPath);
    }
    if octets.contains(&0) {
        return Err(EndpointErrorKind::InvalidPath);
    }
    if octets.len() > IPC_PATH_MAX {
        return Err(EndpointErrorKind::PathTooLong);
    }
    Ok(())
}

const TCP: &str = "tcp";
const IPC: &str = "ipc";
const INPROC: &str = "inproc";
const SEPARATOR: &str = "://";
const WILDCARD: &str = "*";
