//! The values of options that say where, how long and how much a socket's connections work.
#![forbid(unsafe_code)]

use std::fmt;
use std::ops::BitOr;

use super::value::{OCTETS, Unit};
use crate::endpoint::Endpoint;
use crate::error::{EndpointError, EndpointErrorKind, InvalidValue};
use crate::limits::{READ_OCTETS_PER_TURN, WRITE_OCTETS_PER_TURN};

/// After which ends of a connection a dialer does not try again.
///
/// ```
/// use peermq::ReconnectStop;
///
/// let stop = ReconnectStop::REFUSED | ReconnectStop::HANDSHAKE_FAILED;
/// assert!(stop.contains(ReconnectStop::REFUSED));
/// assert!(!stop.contains(ReconnectStop::DISCONNECTED));
/// assert_eq!(stop.to_string(), "refused, handshake failed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReconnectStop(u8);

impl ReconnectStop {
    /// It always tries again.
    pub const NEVER: Self = Self(0);

    /// Nobody listens there.
    pub const REFUSED: Self = Self(1);

    /// The two ends did not agree on the protocol.
    pub const HANDSHAKE_FAILED: Self = Self(2);

    /// A connection that stood was lost.
    pub const DISCONNECTED: Self = Self(4);

    /// Whether everything in `other` is in this, too.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ReconnectStop {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for ReconnectStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::REFUSED, "refused"),
            (Self::HANDSHAKE_FAILED, "handshake failed"),
            (Self::DISCONNECTED, "disconnected"),
        ];
        let names: Vec<_> =
            names.into_iter().filter(|(it, _)| self.contains(*it)).map(|(_, it)| it).collect();
        if names.is_empty() { f.write_str("never") } else { f.write_str(&names.join(", ")) }
    }
}

impl Unit for ReconnectStop {
    const UNIT: &'static str = "set";
}

/// Which of a context's I/O threads serve a connection.
///
/// Threads that do not exist are left out; if no other is named, any thread will do.
///
/// ```
/// use peermq::IoAffinity;
///
/// let affinity = IoAffinity::threads([0, 2])?;
/// assert_eq!(affinity.mask(), 0b101);
/// assert_eq!(IoAffinity::from_mask(0), IoAffinity::ANY);
/// # Ok::<(), peermq::InvalidValue>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IoAffinity(u64);

impl IoAffinity {
    /// The least loaded one.
    pub const ANY: Self = Self(0);

    /// Returns a choice of threads, counted from zero.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for a number above 63.
    pub fn threads(numbers: impl IntoIterator<Item = u32>) -> Result<Self, InvalidValue> {
        let bits = numbers.into_iter().map(|number| 1_u64.checked_shl(number).ok_or(NO_THREAD));
        Ok(Self(bits.collect::<Result<Vec<_>, _>>()?.into_iter().fold(0, BitOr::bitor)))
    }

    /// Returns a choice of threads, one bit for each.
    #[must_use]
    pub const fn from_mask(mask: u64) -> Self {
        Self(mask)
    }

    /// Returns one bit for each thread; zero is any.
    #[must_use]
    pub const fn mask(self) -> u64 {
        self.0
    }

    pub(crate) fn allows(self, number: usize) -> bool {
        self.0 == 0 || number < 64 && self.0 >> number & 1 == 1
    }
}

impl fmt::Display for IoAffinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_str("any") } else { write!(f, "{:#b}", self.0) }
    }
}

impl Unit for IoAffinity {
    const UNIT: &'static str = "mask";
}

/// How much one connection moves before the others of its I/O thread get their turn.
///
/// ```
/// use peermq::{BatchSize, InvalidValue};
///
/// assert_eq!(BatchSize::octets(65_536)?.size(), 65_536);
/// assert!(BatchSize::octets(0).is_err());
/// # Ok::<(), InvalidValue>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchSize(u32);

impl BatchSize {
    /// 1 MiB.
    pub const READ: Self = Self(READ_OCTETS_PER_TURN);

    /// 4 MiB.
    pub const WRITE: Self = Self(WRITE_OCTETS_PER_TURN);

    /// Returns a size of `n` octets.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for zero, and beyond 2³¹-1.
    pub const fn octets(n: u32) -> Result<Self, InvalidValue> {
        if n > 0 && n <= i32::MAX.unsigned_abs() { Ok(Self(n)) } else { Err(NO_BATCH) }
    }

    /// Returns the size in octets.
    #[must_use]
    pub const fn size(self) -> u32 {
        self.0
    }
}

impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Unit for BatchSize {
    const UNIT: &'static str = OCTETS;
}

/// A SOCKS5 proxy through which tcp connections are made.
///
/// ```
/// use peermq::{EndpointErrorKind, SocksProxy};
///
/// assert_eq!(SocksProxy::new("localhost:1080")?.to_string(), "localhost:1080");
/// let error = SocksProxy::new("localhost").unwrap_err();
/// assert_eq!((error.text(), error.kind()), ("localhost", EndpointErrorKind::MissingPort));
/// # Ok::<(), peermq::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SocksProxy(Option<Box<Endpoint>>);

impl SocksProxy {
    /// Connections are made directly.
    pub const NONE: Self = Self(None);

    /// Returns the proxy at `host:port`, where the host is a name, an IPv4 address, or an IPv6 address in brackets.
    ///
    /// # Errors
    ///
    /// See [`EndpointError`]; a wildcard is an invalid host or port.
    pub fn new(address: &str) -> Result<Self, EndpointError> {
        let refused = |kind| Err(EndpointError::new(address, kind));
        let endpoint: Endpoint = match format!("tcp://{address}").parse() {
            Ok(endpoint) => endpoint,
            Err(error) => return refused(error.kind()),
        };
        if endpoint.port() == Some(0) {
            return refused(EndpointErrorKind::InvalidPort);
        }
        if endpoint.is_wildcard() || endpoint.source().is_some() {
            return refused(EndpointErrorKind::InvalidHost);
        }
        Ok(Self(Some(Box::new(endpoint))))
    }

    /// Returns the proxy as a tcp endpoint; `None` for direct connections.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.0.as_deref()
    }
}

impl fmt::Display for SocksProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(endpoint) => f.write_str(endpoint.to_string().trim_start_matches("tcp://")),
            None => f.write_str("none"),
        }
    }
}

impl Unit for SocksProxy {
    const UNIT: &'static str = "host:port";
}

/// What is wrong with other values.
const NO_THREAD: InvalidValue = InvalidValue::new("affinity", "numbers from 0 to 63");

/// What is wrong with other values.
const NO_BATCH: InvalidValue = InvalidValue::new("in_batch_size or out_batch_size", "1 to 2147483647 octets");
