//! The values of options that say how a connection is kept alive.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use super::value::{TIME, Unit, non_zero, write_time_or};
use crate::error::InvalidValue;

/// How often a peer is asked for a sign of life.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::HeartbeatInterval;
///
/// let every = HeartbeatInterval::every(Duration::from_secs(5));
/// assert_eq!(every.interval(), Some(Duration::from_secs(5)));
/// assert_eq!(HeartbeatInterval::every(Duration::ZERO), HeartbeatInterval::OFF);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeartbeatInterval(Option<Duration>);

impl HeartbeatInterval {
    /// Never. What a peer asks is answered all the same.
    pub const OFF: Self = Self(None);

    /// Returns a pause between two PINGs; zero is off.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self(non_zero(interval))
    }

    /// Returns the pause; `None` when peers are not asked.
    #[must_use]
    pub const fn interval(self) -> Option<Duration> {
        self.0
    }
}

impl From<Duration> for HeartbeatInterval {
    fn from(interval: Duration) -> Self {
        Self::every(interval)
    }
}

impl fmt::Display for HeartbeatInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time_or(f, self.0, "off")
    }
}

impl Unit for HeartbeatInterval {
    const UNIT: &'static str = TIME;
}

/// How long a PING may go without a sign of life.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::HeartbeatTimeout;
///
/// let interval = Duration::from_secs(5);
/// assert_eq!(HeartbeatTimeout::INTERVAL.limit(interval), Some(interval));
/// assert_eq!(HeartbeatTimeout::NEVER.limit(interval), None);
/// let second = Duration::from_secs(1);
/// assert_eq!(HeartbeatTimeout::after(second).limit(interval), Some(second));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeartbeatTimeout(Limit);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Limit {
    After(Duration),
    Interval,
    Never,
}

impl HeartbeatTimeout {
    /// As long as [`heartbeat_interval`](crate::Options::heartbeat_interval).
    pub const INTERVAL: Self = Self(Limit::Interval);

    /// For ever: PINGs are sent, and nobody minds if they are not answered.
    pub const NEVER: Self = Self(Limit::Never);

    /// Returns a limit; zero is [`NEVER`](Self::NEVER), as in libzmq.
    #[must_use]
    pub const fn after(limit: Duration) -> Self {
        if limit.is_zero() { Self::NEVER } else { Self(Limit::After(limit)) }
    }

    /// Returns the limit with PINGs at this interval; `None` for ever.
    #[must_use]
    pub const fn limit(self, interval: Duration) -> Option<Duration> {
        match self.0 {
            Limit::After(limit) => Some(limit),
            Limit::Interval => Some(interval),
            Limit::Never => None,
        }
    }
}

impl From<Duration> for HeartbeatTimeout {
    fn from(limit: Duration) -> Self {
        Self::after(limit)
    }
}

impl fmt::Display for HeartbeatTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Limit::After(limit) => write!(f, "{limit:?}"),
            Limit::Interval => f.write_str("the interval"),
            Limit::Never => f.write_str("never"),
        }
    }
}

impl Unit for HeartbeatTimeout {
    const UNIT: &'static str = TIME;
}

/// How long a peer should bear our silence, as our PINGs tell it: up to 6553.5 seconds in tenths.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{HeartbeatTtl, InvalidValue};
///
/// let ttl = HeartbeatTtl::after(Duration::from_millis(256))?;
/// assert_eq!(ttl.limit(), Some(Duration::from_millis(200)));
/// assert!(HeartbeatTtl::after(Duration::from_secs(6554)).is_err());
/// # Ok::<(), InvalidValue>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeartbeatTtl {
    tenths: u16,
}

impl HeartbeatTtl {
    /// The peer is told nothing.
    pub const NONE: Self = Self { tenths: 0 };

    /// Returns a time, rounded down to tenths of a second; under one tenth is [`NONE`](Self::NONE).
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] from 6553.6 seconds on, which the wire cannot say.
    pub fn after(limit: Duration) -> Result<Self, InvalidValue> {
        let tenths = u16::try_from(limit.as_millis() / 100).map_err(|_| TOO_LONG)?;
        Ok(Self { tenths })
    }

    /// Returns the time; `None` when the peer is told nothing.
    #[must_use]
    pub const fn limit(self) -> Option<Duration> {
        non_zero(Duration::from_millis(self.tenths as u64 * 100))
    }

    pub(crate) const fn tenths(self) -> u16 {
        self.tenths
    }
}

impl fmt::Display for HeartbeatTtl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time_or(f, self.limit(), "none")
    }
}

impl Unit for HeartbeatTtl {
    const UNIT: &'static str = TIME;
}

/// What is wrong with other values.
const TOO_LONG: InvalidValue = InvalidValue::new("heartbeat_ttl", "less than 6553.6 seconds");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_goes_up_to_what_the_wire_can_say() {
        // H-11: libzmq takes 6553599 ms, and keeps tenths of a second.
        let most = HeartbeatTtl::after(Duration::from_millis(6_553_599)).unwrap();
        assert_eq!((most.tenths(), most.to_string()), (65_535, "6553.5s".to_owned()));
        assert!(HeartbeatTtl::after(Duration::from_millis(6_553_600)).is_err());
        assert_eq!(HeartbeatTtl::after(Duration::from_millis(99)), Ok(HeartbeatTtl::NONE));
    }
}
