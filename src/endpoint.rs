//! Endpoints: where a socket binds or connects, parsed once.
//!
//! Checks the form only: whether a host exists, an interface is up or a path can be written shows when the
//! socket binds or connects. Nothing here resolves names or touches the file system.
//!
//! The grammar is libzmq's for tcp, ipc and inproc (RFC 37 leaves addresses to the implementation), less the
//! source address (`tcp://source;destination`) and IPv6 zones.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::EndpointError;
use crate::limits::{HOST_NAME_MAX, INPROC_NAME_MAX, IPC_PATH_MAX};

/// Where a socket binds or connects.
///
/// | text | meaning |
/// |---|---|
/// | `tcp://host:port` | a name, an IPv4 address, or an IPv6 address in brackets; to bind also an interface |
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
/// use peermq::{Endpoint, EndpointError};
///
/// let endpoint: Endpoint = "tcp://[::1]:5555".parse()?;
/// assert_eq!(endpoint.scheme(), "tcp");
/// assert_eq!(endpoint.port(), Some(5555));
/// assert_eq!(endpoint, Endpoint::tcp("[::1]:5555".parse().unwrap()));
/// assert_eq!(Endpoint::try_from("tcp://*:*")?, "tcp://*:0"); // as it is displayed
/// assert_eq!(Endpoint::try_from("tcp://host:70000"), Err(EndpointError::InvalidPort));
/// # Ok::<(), EndpointError>(())
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
    /// A DNS name; to bind, perhaps the name of an interface.
    Name(String),
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
    /// Returns the tcp endpoint of a socket address. Port 0 is any free port; an IPv6 scope id is not kept.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self { address: Address::Tcp { host: Host::Ip(address.ip()), port: address.port() } }
    }

    /// Returns the ipc endpoint of a path. It is always a path in the file system, even if it starts with `@`.
    ///
    /// # Errors
    ///
    /// [`EmptyPath`](EndpointError::EmptyPath), [`InvalidPath`](EndpointError::InvalidPath) with a NUL octet,
    /// [`PathTooLong`](EndpointError::PathTooLong) beyond 107 octets.
    pub fn ipc(path: impl AsRef<Path>) -> Result<Self, EndpointError> {
        let path = path.as_ref();
        let octets = path.as_os_str().as_encoded_bytes();
        let path = match octets.first() {
            // As a text these would be an abstract name or the wildcard.
            Some(b'@') => Path::new(".").join(path),
            Some(b'*') if octets.len() == 1 => Path::new(".").join(path),
            _ => path.to_path_buf(),
        };
        check_path(path.as_os_str().as_encoded_bytes())?;
        Ok(Self { address: Address::Ipc(IpcAddress::Path(path)) })
    }

    /// Returns the inproc endpoint of a name.
    ///
    /// # Errors
    ///
    /// [`EmptyName`](EndpointError::EmptyName), [`NameTooLong`](EndpointError::NameTooLong) beyond 256 octets.
    pub fn inproc(name: impl Into<String>) -> Result<Self, EndpointError> {
        let name = name.into();
        match name.len() {
            0 => Err(EndpointError::EmptyName),
            1..=INPROC_NAME_MAX => Ok(Self { address: Address::Inproc(name) }),
            _ => Err(EndpointError::NameTooLong),
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
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Ipc(IpcAddress::Any) => f.write_str(WILDCARD),
            Address::Ipc(IpcAddress::Abstract(name)) => write!(f, "@{name}"),
            Address::Ipc(IpcAddress::Path(path)) => write!(f, "{}", path.display()),
            Address::Inproc(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str(WILDCARD),
            Self::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        match text.split_once(SEPARATOR) {
            None | Some(("", _)) => Err(EndpointError::MissingScheme),
            Some((TCP, rest)) => parse_tcp(rest).map(|address| Self { address }),
            Some((IPC, rest)) => parse_ipc(rest).map(|address| Self { address: Address::Ipc(address) }),
            Some((INPROC, rest)) => Self::inproc(rest),
            Some(_) => Err(EndpointError::UnknownScheme),
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

/// Lets `bind` and `connect` take an endpoint that is already parsed: that conversion cannot fail.
impl From<Infallible> for EndpointError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

fn parse_tcp(text: &str) -> Result<Address, EndpointError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(EndpointError::InvalidHost)?;
            let host = match address {
                "" => return Err(EndpointError::EmptyHost),
                _ => address.parse::<Ipv6Addr>().map_err(|_| EndpointError::InvalidHost)?,
            };
            let port = match port.strip_prefix(':') {
                Some(port) => port,
                None if port.is_empty() => return Err(EndpointError::MissingPort),
                None => return Err(EndpointError::InvalidHost),
            };
            (Host::Ip(host.into()), port)
        }
        None => {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
            (parse_host(host)?, port)
        }
    };
    Ok(Address::Tcp { host, port: parse_port(port)? })
}

/// Parses a host without brackets.
fn parse_host(text: &str) -> Result<Host, EndpointError> {
    if text.is_empty() {
        return Err(EndpointError::EmptyHost);
    }
    if text == WILDCARD {
        return Ok(Host::Any);
    }
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => Ok(Host::Ip(address.into())),
        // `::1:5555` could be an address and a port, or an address alone.
        Ok(IpAddr::V6(_)) => Err(EndpointError::InvalidHost),
        Err(_) if is_host_name(text) => Ok(Host::Name(text.to_owned())),
        Err(_) => Err(EndpointError::InvalidHost),
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

fn parse_port(text: &str) -> Result<u16, EndpointError> {
    match text {
        "" => Err(EndpointError::MissingPort),
        WILDCARD => Ok(0),
        // `u16::from_str` takes a plus sign.
        _ if text.bytes().all(|octet| octet.is_ascii_digit()) => {
            text.parse().map_err(|_| EndpointError::InvalidPort)
        }
        _ => Err(EndpointError::InvalidPort),
    }
}

fn parse_ipc(text: &str) -> Result<IpcAddress, EndpointError> {
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

/// Checks what `sun_path` asks of a path, and of a name in the abstract namespace.
fn check_path(octets: &[u8]) -> Result<(), EndpointError> {
    if octets.is_empty() {
        return Err(EndpointError::EmptyPath);
    }
    if octets.contains(&0) {
        return Err(EndpointError::InvalidPath);
    }
    if octets.len() > IPC_PATH_MAX {
        return Err(EndpointError::PathTooLong);
    }
    Ok(())
}

const TCP: &str = "tcp";
const IPC: &str = "ipc";
const INPROC: &str = "inproc";
const SEPARATOR: &str = "://";
const WILDCARD: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        text.parse()
    }

    #[test]
    fn canonical_texts_parse_and_display_unchanged() {
        for text in [
            "tcp://127.0.0.1:0",
            "tcp://*:5555",
            "tcp://*:0",
            "tcp://[::1]:5555",
            "tcp://[::]:65535",
            "tcp://eth0:5555",
            "tcp://eth0.100:5555",
            "tcp://host.name:5555",
            "tcp://host.name.:5555",
            "ipc:///tmp/a.sock",
            "ipc://relative/path",
            "ipc://@abstract",
            "ipc://./@file",
            "ipc://*",
            "inproc://name",
            "inproc://a://b",
        ] {
            let endpoint = parse(text).unwrap();
            assert_eq!(endpoint.to_string(), text);
            assert_eq!(Endpoint::try_from(endpoint.to_string()).as_ref(), Ok(&endpoint));
            assert_eq!(Endpoint::from(&endpoint), endpoint);
            assert!(text.starts_with(endpoint.scheme()));
            assert_eq!(endpoint.port().is_some(), text.starts_with("tcp"));
        }
    }

    #[test]
    fn other_spellings_become_canonical() {
        for (text, canonical) in [
            ("tcp://*:*", "tcp://*:0"),
            ("tcp://[0:0::1]:00080", "tcp://[::1]:80"),
            ("tcp://127.0.0.1:*", "tcp://127.0.0.1:0"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), canonical);
            assert_eq!(parse(text), parse(canonical));
        }
    }

    #[test]
    fn each_mistake_has_its_error() {
        use EndpointError::*;
        let long_host = format!("tcp://{}:1", "a".repeat(HOST_NAME_MAX + 1));
        let long_path = format!("ipc://{}", "p".repeat(IPC_PATH_MAX + 1));
        let long_abstract = format!("ipc://@{}", "p".repeat(IPC_PATH_MAX + 1));
        let long_name = format!("inproc://{}", "n".repeat(INPROC_NAME_MAX + 1));
        for (text, error) in [
            ("", MissingScheme),
            ("tcp", MissingScheme),
            ("tcp:/host:1", MissingScheme),
            ("://host:1", MissingScheme),
            ("TCP://host:1", UnknownScheme),
            ("udp://host:1", UnknownScheme),
            (" tcp://host:1", UnknownScheme),
            ("tcp://", EmptyHost),
            ("tcp://:5555", EmptyHost),
            ("tcp://[]:5555", EmptyHost),
            ("tcp://host", MissingPort),
            ("tcp://host:", MissingPort),
            ("tcp://[::1]", MissingPort),
            ("tcp://[::1]:", MissingPort),
            ("tcp://host:70000", InvalidPort),
            ("tcp://host:65536", InvalidPort),
            ("tcp://host:+5", InvalidPort),
            ("tcp://host:-1", InvalidPort),
            ("tcp://host: 5", InvalidPort),
            ("tcp://host:5 ", InvalidPort),
            ("tcp://host:٥", InvalidPort),
            ("tcp://host:5/path", InvalidPort),
            ("tcp://::1:5555", InvalidHost),
            ("tcp://[::1:5555", InvalidHost),
            ("tcp://[::1]5555", InvalidHost),
            ("tcp://[127.0.0.1]:5555", InvalidHost),
            ("tcp://[fe80::1%eth0]:5555", InvalidHost),
            ("tcp://127.0.0.256:5555", InvalidHost),
            ("tcp://ho st:5555", InvalidHost),
            ("tcp://*a:5555", InvalidHost),
            ("tcp://a..b:5555", InvalidHost),
            ("tcp://a;b:5555", InvalidHost),
            ("tcp://a:1;b:5555", InvalidHost),
            (&long_host, InvalidHost),
            ("ipc://", EmptyPath),
            ("ipc://@", EmptyPath),
            ("ipc://a\0b", InvalidPath),
            ("ipc://@a\0b", InvalidPath),
            (&long_path, PathTooLong),
            (&long_abstract, PathTooLong),
            ("inproc://", EmptyName),
            (&long_name, NameTooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_longest_paths_and_names_are_accepted() {
        assert!(parse(&format!("ipc://{}", "p".repeat(IPC_PATH_MAX))).is_ok());
        assert!(parse(&format!("ipc://@{}", "p".repeat(IPC_PATH_MAX))).is_ok());
        assert!(parse(&format!("inproc://{}", "n".repeat(INPROC_NAME_MAX))).is_ok());
    }

    #[test]
    fn constructors_agree_with_the_text() {
        assert_eq!(Endpoint::tcp("127.0.0.1:80".parse().unwrap()), parse("tcp://127.0.0.1:80").unwrap());
        assert_eq!(Endpoint::ipc("/tmp/a"), parse("ipc:///tmp/a"));
        assert_eq!(Endpoint::inproc("name"), parse("inproc://name"));
        assert_eq!(Endpoint::ipc(""), Err(EndpointError::EmptyPath));
        assert_eq!(Endpoint::ipc("a\0"), Err(EndpointError::InvalidPath));
    }

    #[test]
    fn a_path_stays_a_path() {
        for name in ["@file", "*"] {
            let endpoint = Endpoint::ipc(name).unwrap();
            assert!(matches!(endpoint.address(), Address::Ipc(IpcAddress::Path(_))));
            assert_eq!(parse(&endpoint.to_string()), Ok(endpoint));
        }
    }

    #[test]
    fn wildcards_are_host_port_and_path() {
        for text in ["tcp://*:5555", "tcp://127.0.0.1:*", "tcp://host:0", "ipc://*"] {
            assert!(parse(text).unwrap().is_wildcard(), "{text}");
        }
        for text in ["tcp://0.0.0.0:5555", "ipc://a*", "ipc://@*", "inproc://*"] {
            assert!(!parse(text).unwrap().is_wildcard(), "{text}");
        }
    }

    #[test]
    fn any_text_parses_to_a_round_trip_or_an_error() {
        // Pieces that meet the parser's branches far more often than random characters would.
        const PIECES: [&str; 24] = [
            "tcp",
            "ipc",
            "inproc",
            "://",
            ":",
            "*",
            "@",
            "[",
            "]",
            "::",
            "1",
            "65535",
            "99999",
            ".",
            "/",
            "a",
            "é",
            "\0",
            " ",
            "%",
            ";",
            "-",
            "127.0.0.1",
            "fe80",
        ];
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = |below: usize| {
            // xorshift64
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % below as u64).unwrap()
        };
        let mut parsed = 0;
        for _ in 0..200_000 {
            let mut text = String::new();
            if random(4) > 0 {
                text.push_str(["tcp://", "ipc://", "inproc://"][random(3)]);
            }
            for _ in 0..random(8) {
                text.push_str(PIECES[random(PIECES.len())]);
            }
            if let Ok(endpoint) = parse(&text) {
                parsed += 1;
                assert_eq!(parse(&endpoint.to_string()), Ok(endpoint), "{text}");
            }
        }
        assert!(parsed > 1000, "{parsed}");
    }
}
