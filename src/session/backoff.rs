//! How long a dialer pauses: growing if the options say so, and never in step with other dialers.
//!
//! Source: RFC 37, "Error handling": reconnect after a short, possibly random interval.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::limits::{RECONNECT_PAUSE_MIN, REFUSED_PAUSE_MAX};
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
    /// random part of up to as much again. libzmq has none when the maximum is set, and its clients come all at
    /// once.
    ///
    /// One that the peer `is_refusing` in so many words is not asked every time as soon as the options allow.
    pub(super) fn next_pause(
        &mut self,
        options: &Options,
        random: u64,
        is_refusing: bool,
    ) -> Option<Duration> {
        let base = match options.reconnect_interval() {
            ReconnectInterval::Never => return None,
            interval => interval.pause()?.max(RECONNECT_PAUSE_MIN),
        };
        let factor = 2_u32.saturating_pow(self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let most = options.reconnect_interval_max().limit();
        let pause = match most.or_else(|| is_refusing.then_some(REFUSED_PAUSE_MAX)) {
            Some(most) if most > base => base.saturating_mul(factor).min(most),
            _ => base,
        };
        let share = Duration::from_nanos(random % u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX).max(1));
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
            let pause = backoff.next_pause(&Options::default(), random, false).unwrap();
            assert!((BASE..2 * BASE).contains(&pause), "{pause:?}");
        }
    }

    #[test]
    fn with_a_maximum_the_pause_doubles_up_to_it_and_starts_again() {
        // E-05: growing on repeat.
        let options =
            Options { reconnect_interval_max: ReconnectIntervalMax::up_to(5 * BASE), ..Options::default() };
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..5).map(|_| backoff.next_pause(&options, 0, false).unwrap()).collect();
        assert_eq!(pauses, [BASE, 2 * BASE, 4 * BASE, 5 * BASE, 5 * BASE]);
        backoff.reset();
        assert_eq!(backoff.next_pause(&options, 0, false), Some(BASE));
    }

    #[test]
    fn a_peer_that_refuses_is_asked_less_and_less_often() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> =
            (0..6).map(|_| backoff.next_pause(&Options::default(), 0, true).unwrap()).collect();
        assert_eq!(pauses[..5], [BASE, 2 * BASE, 4 * BASE, 8 * BASE, 16 * BASE]);
        assert_eq!(pauses[5], REFUSED_PAUSE_MAX);
        // Not more often than the options say, and never sooner.
        let every = ReconnectInterval::Every(2 * REFUSED_PAUSE_MAX);
        let options = Options { reconnect_interval: every, ..Options::default() };
        assert_eq!(Backoff::default().next_pause(&options, 0, true), Some(2 * REFUSED_PAUSE_MAX));
    }

    #[test]
    fn never_is_never_and_zero_is_not_a_busy_loop() {
        //
        let options = Options { reconnect_interval: ReconnectInterval::Never, ..Options::default() };
        assert_eq!(Backoff::default().next_pause(&options, 0, false), None);
        let every = ReconnectInterval::Every(Duration::ZERO);
        let options = Options { reconnect_interval: every, ..Options::default() };
        assert_eq!(Backoff::default().next_pause(&options, 0, false), Some(RECONNECT_PAUSE_MIN));
    }

    #[test]
    fn the_attempts_of_64_clients_grow_rare_and_do_not_align() {
        // E-05, B-38: a server that is down for a minute, and clients that lost it at the same moment.
        let options = Options {
            reconnect_interval_max: ReconnectIntervalMax::up_to(Duration::from_secs(5)),
            ..Options::default()
        };
        let mut seed = 0x5EED_u64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut attempts = Vec::new();
        for _ in 0..64 {
            let (mut backoff, mut now) = (Backoff::default(), Duration::ZERO);
            for failures in 0.. {
                let pause = backoff.next_pause(&options, random(), false).unwrap();
                let grown = (BASE * 2_u32.pow(failures.min(10))).min(Duration::from_secs(5));
                assert!((grown..2 * grown).contains(&pause), "{failures}: {pause:?}");
                now += pause;
                if now > Duration::from_secs(60) {
                    break;
                }
                attempts.push(now);
            }
        }
        attempts.sort_unstable();
        assert!(attempts.windows(2).all(|two| two[0] < two[1]), "two at the same time");
        // A second has no more of them than the first, and from the twentieth on all are alike.
        let in_second = |second| attempts.iter().filter(|at| at.as_secs() == second).count();
        let most = (0..60).map(in_second).max().unwrap();
        assert!(most <= 3 * 64, "{most}");
        let late: Vec<usize> = (20..60).map(in_second).collect();
        let expected = late.iter().sum::<usize>() as f64 / late.len() as f64;
        let chi_squared: f64 = late.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
        // 99.9 % of 39 degrees of freedom.
        assert!(chi_squared < 72.1, "{chi_squared}: {late:?}");
    }
}
