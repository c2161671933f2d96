//! The values of options that the kernel acts on.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use super::value::{Unit, write_or, write_time_or};
use crate::error::InvalidValue;
use crate::limits::DEVICE_NAME_MAX;

/// Whether the kernel probes idle tcp connections (`SO_KEEPALIVE`).
///
/// ```
/// use peermq::TcpKeepalive;
///
/// assert_eq!(TcpKeepalive::from(true), TcpKeepalive::On);
/// assert_eq!(TcpKeepalive::System.to_string(), "the system's");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpKeepalive {
    /// It does not.
    Off,
    /// It does.
    On,
    /// As the system is set.
    System,
}

impl TcpKeepalive {
    /// Returns what to set; `None` for the system's.
    #[must_use]
    pub const fn switch(self) -> Option<bool> {
        match self {
            Self::Off => Some(false),
            Self::On => Some(true),
            Self::System => None,
        }
    }
}

impl From<bool> for TcpKeepalive {
    fn from(is_on: bool) -> Self {
        if is_on { Self::On } else { Self::Off }
    }
}

impl fmt::Display for TcpKeepalive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_or(f, self.switch(), SYSTEM)
    }
}

impl Unit for TcpKeepalive {
    const UNIT: &'static str = "switch";
}

/// How many probes of an idle tcp connection may go without an answer.
///
/// ```
/// use peermq::KeepaliveProbes;
///
/// assert_eq!(KeepaliveProbes::from(5).count(), Some(5));
/// assert_eq!(KeepaliveProbes::from(0), KeepaliveProbes::SYSTEM);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeepaliveProbes(Option<u8>);

impl KeepaliveProbes {
    /// As the system is set.
    pub const SYSTEM: Self = Self(None);

    /// Returns the number; `None` for the system's.
    #[must_use]
    pub const fn count(self) -> Option<u8> {
        self.0
    }
}

impl From<u8> for KeepaliveProbes {
    fn from(count: u8) -> Self {
        Self((count > 0).then_some(count))
    }
}

impl fmt::Display for KeepaliveProbes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_or(f, self.0, SYSTEM)
    }
}

impl Unit for KeepaliveProbes {
    const UNIT: &'static str = "probes";
}

/// A time that the kernel keeps; it may round it.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::KernelTime;
///
/// let minute = Duration::from_secs(60);
/// assert_eq!(KernelTime::from(minute).limit(), Some(minute));
/// assert_eq!(KernelTime::from(Duration::ZERO), KernelTime::SYSTEM);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelTime(Option<Duration>);

impl KernelTime {
    /// As the system is set.
    pub const SYSTEM: Self = Self(None);

    /// Returns the time; `None` for the system's.
    #[must_use]
    pub const fn limit(self) -> Option<Duration> {
        self.0
    }
}

/// Zero is the system's, and more than 2³¹-1 milliseconds are so many.
impl From<Duration> for KernelTime {
    fn from(time: Duration) -> Self {
        Self((!time.is_zero()).then_some(time.min(MOST)))
    }
}

impl fmt::Display for KernelTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time_or(f, self.0, SYSTEM)
    }
}

impl Unit for KernelTime {
    const UNIT: &'static str = super::value::TIME;
}

/// The name of a network interface, such as `eth0`, or of a VRF.
///
/// ```
/// use peermq::{DeviceName, InvalidValue};
///
/// assert_eq!(DeviceName::new("eth0")?.name(), Some("eth0"));
/// assert!(DeviceName::new("far too long for Linux").is_err());
/// # Ok::<(), InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceName(Option<Box<str>>);

impl DeviceName {
    /// Any interface.
    pub const ANY: Self = Self(None);

    /// Returns a name; the empty one is [`ANY`](Self::ANY).
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for more than 15 octets, and for a NUL.
    pub fn new(name: &str) -> Result<Self, InvalidValue> {
        if name.len() > DEVICE_NAME_MAX || name.contains('\0') {
            return Err(NO_DEVICE);
        }
        Ok(Self((!name.is_empty()).then(|| name.into())))
    }

    /// Returns the name; `None` for any.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("any"))
    }
}

impl Unit for DeviceName {
    const UNIT: &'static str = "name";
}

const SYSTEM: &str = "the system's";

/// Most that `setsockopt` takes, in milliseconds.
const MOST: Duration = Duration::from_millis(i32::MAX as u64);

/// What is wrong with other values.
const NO_DEVICE: InvalidValue =
    InvalidValue::new("bind_to_device", "a name of at most 15 octets without NUL");
