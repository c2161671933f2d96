//! How long a dialer pauses: growing if the options say so, and never in step with other dialers.
//!
//! Source: RFC 37, "Error handling": reconnect after a short, possibly random interval.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::limits::RECONNECT_PAUSE_MIN;
use crate::options::{Options, ReconnectInterval};

/// The pauses of one dialer.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection stood: the next pause is the shortest again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause before the next try; `None` when there is to be none. `random` is a number from all of u64.
    ///
    /// The base doubles with each failure up to `reconnect_interval_max`, if that is set; on top comes a
    /// random part of up to one base, as in libzmq.
    pub(super) fn next_pause(&mut self, options: &Options, random: u64) -> Option<Duration> {
        let base = match options.reconnect_interval() {
            ReconnectInterval::Never => return None,
            interval => interval.pause()?.max(RECONNECT_PAUSE_MIN),
        };
        let factor = 2_u32.saturating_pow(self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let pause = match options.reconnect_interval_max().limit() {
            Some(most) if most > base => base.saturating_mul(factor).min(most),
            _ => base,
        };
        let share = Duration::from_nanos(random % u64::try_from(base.as_nanos()).unwrap_or(u64::MAX).max(1));
        Some(pause.saturating_add(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ReconnectIntervalMax;

    const BASE: Duration = Duration::from_millis(100);

    #[test]
    fn without_a_maximum_the_pause_stays_between_one_and_two_bases() {
        let mut backoff = Backoff::default();
        for random in [0, 1, 99_999_999, u64::MAX] {
            let pause = backoff.next_pause(&Options::default(), random).unwrap();
            assert!((BASE..2 * BASE).contains(&pause), "{pause:?}");
        }
    }

    #[test]
    fn with_a_maximum_the_pause_doubles_up_to_it_and_starts_again() {
        // E-05: growing on repeat.
        let options =
            Options { reconnect_interval_max: ReconnectIntervalMax::up_to(5 * BASE), ..Options::default() };
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..5).map(|_| backoff.next_pause(&options, 0).unwrap()).collect();
        assert_eq!(pauses, [BASE, 2 * BASE, 4 * BASE, 5 * BASE, 5 * BASE]);
        backoff.reset();
        assert_eq!(backoff.next_pause(&options, 0), Some(BASE));
    }

    #[test]
    fn never_is_never_and_zero_is_not_a_busy_loop() {
        //
        let options = Options { reconnect_interval: ReconnectInterval::Never, ..Options::default() };
        assert_eq!(Backoff::default().next_pause(&options, 0), None);
        let every = ReconnectInterval::Every(Duration::ZERO);
        let options = Options { reconnect_interval: every, ..Options::default() };
        assert_eq!(Backoff::default().next_pause(&options, 0), Some(RECONNECT_PAUSE_MIN));
    }
}
