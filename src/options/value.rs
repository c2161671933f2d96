//! The values that options take. A value that exists is in range: whoever reads one checks nothing.
//!
//! "For ever", "no limit" and the like are variants or named constants, never the -1 and 0 of the C interface.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::InvalidValue;
use crate::limits::{BACKLOG, CONNECT_TIMEOUT, HANDSHAKE_INTERVAL};
use crate::routing_id::RoutingId;
use crate::time::later;

/// What the values of a type count, for the manual.
pub(super) trait Unit {
    const UNIT: &'static str;
}

impl Unit for bool {
    const UNIT: &'static str = "boolean";
}

impl Unit for u8 {
    const UNIT: &'static str = "octet";
}

impl Unit for u32 {
    const UNIT: &'static str = "number";
}

impl Unit for RoutingId {
    const UNIT: &'static str = "octets";
}

/// Of which events a ROUTER tells by empty messages.
///
/// ```
/// use peermq::RouterNotify;
///
/// assert!(RouterNotify::CONNECT.on_connect() && !RouterNotify::CONNECT.on_disconnect());
/// assert_eq!(RouterNotify::BOTH.to_string(), "connect and disconnect");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouterNotify {
    on_connect: bool,
    on_disconnect: bool,
}

impl RouterNotify {
    /// That a peer has connected, and that it is gone.
    pub const BOTH: Self = Self { on_connect: true, on_disconnect: true };
    /// That a peer has connected.
    pub const CONNECT: Self = Self { on_connect: true, on_disconnect: false };
    /// That a peer is gone.
    pub const DISCONNECT: Self = Self { on_connect: false, on_disconnect: true };
    /// Of nothing.
    pub const NOTHING: Self = Self { on_connect: false, on_disconnect: false };

    /// Whether it tells that a peer has connected.
    #[must_use]
    pub const fn on_connect(self) -> bool {
        self.on_connect
    }

    /// Whether it tells that a peer is gone.
    #[must_use]
    pub const fn on_disconnect(self) -> bool {
        self.on_disconnect
    }
}

impl fmt::Display for RouterNotify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.on_connect, self.on_disconnect) {
            (true, true) => "connect and disconnect",
            (true, false) => "connect",
            (false, true) => "disconnect",
            (false, false) => "nothing",
        })
    }
}

impl Unit for RouterNotify {
    const UNIT: &'static str = "events";
}

/// How long a closed socket keeps trying to send what is queued.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::Linger;
///
/// assert_eq!(Linger::from(Duration::from_secs(2)), Linger::AtMost(Duration::from_secs(2)));
/// assert_eq!(Linger::from(Duration::ZERO), Linger::DISCARD);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Linger {
    /// Until everything is sent.
    Forever,
    /// This long; then the rest is discarded.
    AtMost(Duration),
}

impl Linger {
    /// Not at all: what has not been sent is discarded.
    pub const DISCARD: Self = Self::AtMost(Duration::ZERO);

    /// Returns the limit; `None` for ever.
    #[must_use]
    pub const fn limit(self) -> Option<Duration> {
        match self {
            Self::Forever => None,
            Self::AtMost(limit) => Some(limit),
        }
    }
}

impl From<Duration> for Linger {
    fn from(limit: Duration) -> Self {
        Self::AtMost(limit)
    }
}

impl fmt::Display for Linger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time_or(f, self.limit(), "for ever")
    }
}

impl Unit for Linger {
    const UNIT: &'static str = TIME;
}

/// How long a call waits before it gives up.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::Timeout;
///
/// assert_eq!(Timeout::from(Duration::from_millis(5)).limit(), Some(Duration::from_millis(5)));
/// assert_eq!(Timeout::Never.limit(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// It waits for ever.
    Never,
    /// It waits this long.
    After(Duration),
}

impl Timeout {
    /// 5 seconds.
    pub const CONNECT: Self = Self::After(CONNECT_TIMEOUT);

    /// It does not wait.
    pub const AT_ONCE: Self = Self::After(Duration::ZERO);

    /// Returns the longest wait; `None` for ever.
    #[must_use]
    pub const fn limit(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::After(limit) => Some(limit),
        }
    }
}

impl From<Duration> for Timeout {
    fn from(limit: Duration) -> Self {
        Self::After(limit)
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time_or(f, self.limit(), "for ever")
    }
}

impl Unit for Timeout {
    const UNIT: &'static str = TIME;
}

/// The pause before a connection is tried again.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::ReconnectInterval;
///
/// assert_eq!(ReconnectInterval::DEFAULT, Duration::from_millis(100).into());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReconnectInterval {
    /// A connection that is lost or refused stays so.
    Never,
    /// This pause, and a random part of up to as much again on top. Less than a millisecond, such as zero, is taken as
    /// a millisecond.
    Every(Duration),
}

impl ReconnectInterval {
    /// 100 milliseconds.
    pub const DEFAULT: Self = Self::Every(Duration::from_millis(100));

    /// Returns the pause; `None` when there is no second try.
    #[must_use]
    pub const fn pause(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::Every(pause) => Some(pause),
        }
    }
}

impl From<Duration> for ReconnectInterval {
    fn from(pause: Duration) -> Self {
        Self::Every(pause)
    }
}

impl fmt::Display for ReconnectInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time_or(f, self.pause(), "never")
    }
}

impl Unit for ReconnectInterval {
    const UNIT: &'static str = TIME;
}

/// How far the pause between two tries may grow.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::ReconnectIntervalMax;
///
/// let minute = ReconnectIntervalMax::up_to(Duration::from_secs(60));
/// assert_eq!(minute.limit(), Some(Duration::from_secs(60)));
/// assert_eq!(ReconnectIntervalMax::up_to(Duration::ZERO), ReconnectIntervalMax::NO_GROWTH);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReconnectIntervalMax(Option<Duration>);

impl ReconnectIntervalMax {
    /// The pause stays as it is.
    pub const NO_GROWTH: Self = Self(None);

    /// Returns a limit for a growing pause; zero is no growth.
    #[must_use]
    pub const fn up_to(limit: Duration) -> Self {
        Self(non_zero(limit))
    }

    /// Returns the longest pause; `None` when it does not grow.
    #[must_use]
    pub const fn limit(self) -> Option<Duration> {
        self.0
    }
}

impl From<Duration> for ReconnectIntervalMax {
    fn from(limit: Duration) -> Self {
        Self::up_to(limit)
    }
}

impl fmt::Display for ReconnectIntervalMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time_or(f, self.0, "no growth")
    }
}

impl Unit for ReconnectIntervalMax {
    const UNIT: &'static str = TIME;
}

/// How long a greeting and handshake may take in all.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::HandshakeInterval;
///
/// assert_eq!(HandshakeInterval::DEFAULT.limit(), Some(Duration::from_secs(30)));
/// assert_eq!(HandshakeInterval::at_most(Duration::ZERO), HandshakeInterval::UNLIMITED);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandshakeInterval(Option<Duration>);

impl HandshakeInterval {
    /// 30 seconds.
    pub const DEFAULT: Self = Self::at_most(HANDSHAKE_INTERVAL);

    /// No deadline: a peer that stays silent keeps its connection.
    pub const UNLIMITED: Self = Self(None);

    /// Returns a deadline; zero is none.
    #[must_use]
    pub const fn at_most(limit: Duration) -> Self {
        Self(non_zero(limit))
    }

    /// Returns the deadline; `None` when there is none.
    #[must_use]
    pub const fn limit(self) -> Option<Duration> {
        self.0
    }

    /// When a handshake that begins now has to be over.
    pub(crate) fn deadline(self, now: Instant) -> Option<Instant> {
        self.0.map(|limit| later(now, limit))
    }
}

impl From<Duration> for HandshakeInterval {
    fn from(limit: Duration) -> Self {
        Self::at_most(limit)
    }
}

impl fmt::Display for HandshakeInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time_or(f, self.0, UNLIMITED)
    }
}

impl Unit for HandshakeInterval {
    const UNIT: &'static str = TIME;
}

/// The longest message that a peer may send, all its frames together.
///
/// ```
/// use peermq::MaxMessageSize;
///
/// assert_eq!(MaxMessageSize::octets(1 << 20).limit(), Some(1_048_576));
/// assert_eq!(MaxMessageSize::octets(0).limit(), Some(0)); // only empty frames
/// assert_eq!(MaxMessageSize::UNLIMITED.limit(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxMessageSize(Option<u64>);

impl MaxMessageSize {
    /// No limit but memory.
    pub const UNLIMITED: Self = Self(None);

    /// Returns a limit of `n` octets.
    #[must_use]
    pub const fn octets(n: u64) -> Self {
        Self(Some(n))
    }

    /// Returns the limit in octets; `None` when there is none.
    #[must_use]
    pub const fn limit(self) -> Option<u64> {
        self.0
    }
}

impl From<u64> for MaxMessageSize {
    fn from(n: u64) -> Self {
        Self::octets(n)
    }
}

impl fmt::Display for MaxMessageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_or(f, self.0, UNLIMITED)
    }
}

impl Unit for MaxMessageSize {
    const UNIT: &'static str = OCTETS;
}

/// Most connections that wait to be accepted. The system may have a lower limit of its own.
///
/// ```
/// use peermq::{Backlog, InvalidValue};
///
/// assert_eq!(Backlog::from(500), Backlog::connections(500)?);
/// assert!(Backlog::connections(u32::MAX).is_err());
/// # Ok::<(), InvalidValue>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backlog(u32);

impl Backlog {
    /// 100 connections. Where thousands of peers may come at once, 4096 is what Linux allows unless it is told
    /// otherwise.
    pub const DEFAULT: Self = Self(BACKLOG);

    /// Returns a limit of `n` connections.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] beyond 2³¹-1, the most that `listen` takes.
    pub const fn connections(n: u32) -> Result<Self, InvalidValue> {
        if is_c_int(n) { Ok(Self(n)) } else { Err(NO_BACKLOG) }
    }

    /// Returns the limit in connections, at most 2³¹-1.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.0
    }
}

impl From<u16> for Backlog {
    fn from(n: u16) -> Self {
        Self(n.into())
    }
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Unit for Backlog {
    const UNIT: &'static str = "connections";
}

/// The size of a kernel buffer. The system may round it, or have limits of its own.
///
/// ```
/// use peermq::{InvalidValue, KernelBuffer};
///
/// assert_eq!(KernelBuffer::octets(65_536)?.size(), Some(65_536));
/// assert!(KernelBuffer::octets(u32::MAX).is_err());
/// assert_eq!(KernelBuffer::SYSTEM.size(), None);
/// # Ok::<(), InvalidValue>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelBuffer(Option<u32>);

impl KernelBuffer {
    /// What the system gives, and tunes, by itself.
    pub const SYSTEM: Self = Self(None);

    /// Returns a size of `n` octets.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] beyond 2³¹-1, the most that `setsockopt` takes.
    pub const fn octets(n: u32) -> Result<Self, InvalidValue> {
        if is_c_int(n) { Ok(Self(Some(n))) } else { Err(NO_BUFFER) }
    }

    /// Returns the size in octets, at most 2³¹-1; `None` for the system's.
    #[must_use]
    pub const fn size(self) -> Option<u32> {
        self.0
    }
}

impl fmt::Display for KernelBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_or(f, self.0, "the system's")
    }
}

impl Unit for KernelBuffer {
    const UNIT: &'static str = OCTETS;
}

const fn is_c_int(n: u32) -> bool {
    n <= i32::MAX.unsigned_abs()
}

pub(super) const fn non_zero(time: Duration) -> Option<Duration> {
    if time.is_zero() { None } else { Some(time) }
}

pub(super) fn write_or(
    f: &mut fmt::Formatter<'_>,
    value: Option<impl fmt::Display>,
    otherwise: &str,
) -> fmt::Result {
    match value {
        Some(value) => write!(f, "{value}"),
        None => f.write_str(otherwise),
    }
}

pub(super) fn write_time_or(
    f: &mut fmt::Formatter<'_>,
    time: Option<Duration>,
    otherwise: &str,
) -> fmt::Result {
    match time {
        Some(time) => write!(f, "{time:?}"),
        None => f.write_str(otherwise),
    }
}

pub(super) const OCTETS: &str = "octets";
pub(super) const TIME: &str = "time";
pub(super) const UNLIMITED: &str = "unlimited";

/// What is wrong with other values.
const NO_BACKLOG: InvalidValue = InvalidValue::new("backlog", "0 to 2147483647 connections");

/// What is wrong with other values.
const NO_BUFFER: InvalidValue = InvalidValue::new("send_buffer or recv_buffer", "0 to 2147483647 octets");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Hwm;

    #[test]
    fn a_handshake_has_half_a_minute_unless_the_option_says_otherwise() {
        // Whoever accepts and whoever connects asks for the deadline here, once, when it begins.
        let now = Instant::now();
        let deadline = |options: &crate::Options| options.handshake_interval().deadline(now);
        let mut options = crate::Options::default();
        assert_eq!(deadline(&options), Some(now + Duration::from_secs(30)));
        options.handshake_interval = HandshakeInterval::at_most(Duration::from_millis(7));
        assert_eq!(deadline(&options), Some(now + Duration::from_millis(7)));
        options.handshake_interval = HandshakeInterval::UNLIMITED;
        assert_eq!(deadline(&options), None);
    }

    #[test]
    fn zero_means_what_the_type_says() {
        assert_eq!(Hwm::from(0).limit(), None);
        assert_eq!(HandshakeInterval::from(Duration::ZERO).limit(), None);
        assert_eq!(ReconnectIntervalMax::from(Duration::ZERO).limit(), None);
        assert_eq!(Linger::from(Duration::ZERO).limit(), Some(Duration::ZERO));
        assert_eq!(Timeout::from(Duration::ZERO).limit(), Some(Duration::ZERO));
        assert_eq!(ReconnectInterval::from(Duration::ZERO).pause(), Some(Duration::ZERO));
        assert_eq!(MaxMessageSize::from(0).limit(), Some(0));
    }

    #[test]
    fn sizes_end_where_the_system_calls_do() {
        let most = i32::MAX.unsigned_abs();
        assert_eq!(Backlog::connections(most).map(Backlog::limit), Ok(most));
        assert!(Backlog::connections(most + 1).is_err());
        assert_eq!(KernelBuffer::octets(most).map(KernelBuffer::size), Ok(Some(most)));
        assert!(KernelBuffer::octets(most + 1).is_err());
    }

    #[test]
    fn values_display_without_their_unit() {
        assert_eq!(Hwm::messages(5).to_string(), "5");
        assert_eq!(Linger::AtMost(Duration::from_millis(1500)).to_string(), "1.5s");
        assert_eq!(Timeout::AT_ONCE.to_string(), "0ns");
        assert_eq!(KernelBuffer(Some(4096)).to_string(), "4096");
    }
}
