//! High-water marks: how much may be queued.
#![forbid(unsafe_code)]

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use super::value::{UNLIMITED, Unit, write_or};

/// A limit on queued messages.
///
/// ```
/// use peermq::Hwm;
///
/// assert_eq!(Hwm::messages(10).limit(), Some(10));
/// assert_eq!(Hwm::messages(0), Hwm::UNLIMITED);
/// assert_eq!(Hwm::from(10), Hwm::messages(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hwm(Option<NonZeroU32>);

impl Hwm {
    /// No limit but memory.
    pub const UNLIMITED: Self = Self(None);

    /// Returns a limit of `n` messages; 0 is no limit.
    #[must_use]
    pub const fn messages(n: u32) -> Self {
        Self(NonZeroU32::new(n))
    }

    /// Returns the limit in messages; `None` when there is none.
    #[must_use]
    pub const fn limit(self) -> Option<u32> {
        match self.0 {
            Some(n) => Some(n.get()),
            None => None,
        }
    }
}

impl From<u32> for Hwm {
    fn from(n: u32) -> Self {
        Self::messages(n)
    }
}

impl fmt::Display for Hwm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_or(f, self.0, UNLIMITED)
    }
}

impl Unit for Hwm {
    const UNIT: &'static str = "messages";
}

/// A limit on octets of queued messages.
///
/// ```
/// use peermq::HwmOctets;
///
/// assert_eq!(HwmOctets::octets(1 << 20).limit(), Some(1 << 20));
/// assert_eq!(HwmOctets::octets(0), HwmOctets::UNLIMITED);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HwmOctets(Option<NonZeroU64>);

impl HwmOctets {
    /// No limit but memory.
    pub const UNLIMITED: Self = Self(None);

    /// Returns a limit of `n` octets; 0 is no limit.
    #[must_use]
    pub const fn octets(n: u64) -> Self {
        Self(NonZeroU64::new(n))
    }

    /// Returns the limit in octets; `None` when there is none.
    #[must_use]
    pub const fn limit(self) -> Option<u64> {
        match self.0 {
            Some(n) => Some(n.get()),
            None => None,
        }
    }
}

impl From<u64> for HwmOctets {
    fn from(n: u64) -> Self {
        Self::octets(n)
    }
}

impl fmt::Display for HwmOctets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_or(f, self.0, UNLIMITED)
    }
}

impl Unit for HwmOctets {
    const UNIT: &'static str = "octets";
}
