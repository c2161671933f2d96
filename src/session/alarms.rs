//! The timers of a dialer: few, however often it connects.
//!
//! A timer cannot be called off. So none is asked for while an earlier one is under way: when that is due, whoever has
//! asked says again what it waits for. Without this, each try would leave one behind for as long as a handshake may take.
#![forbid(unsafe_code)]

use std::time::Instant;

use crate::io::Turn;

/// Times that the I/O thread knows and that are not over: each one earlier than the one before it.
#[derive(Debug, Default)]
pub(super) struct Alarms(Vec<Instant>);

impl Alarms {
    /// There will be a timer, at this time or before.
    pub(super) fn wake_at(&mut self, at: Instant, turn: &mut Turn<'_>) {
        if self.add(at) {
            turn.wake_at(at);
        }
    }

    /// Forgets those that are over.
    pub(super) fn on_timer(&mut self, now: Instant) {
        while self.0.last().is_some_and(|at| now >= *at) {
            self.0.pop();
        }
    }

    /// Whether a timer is needed for this time.
    fn add(&mut self, at: Instant) -> bool {
        let is_first = self.0.last().is_none_or(|first| at < *first);
        if is_first {
            self.0.push(at);
        }
        is_first
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_connects_over_and_over_has_a_timer_of_each_length() {
        let start = Instant::now();
        let (hour, pause) = (Duration::from_secs(3600), Duration::from_millis(100));
        let (mut alarms, mut now, mut long) = (Alarms::default(), start, 0);
        for _ in 0..100_000 {
            // A handshake, and a pause behind it.
            long += u32::from(alarms.add(now + hour));
            alarms.add(now + pause);
            assert!(alarms.0.len() <= 2);
            now += pause;
            alarms.on_timer(now);
        }
        assert_eq!(long, 3, "one an hour: it was {:?}", now - start);
    }

    #[test]
    fn who_waits_for_an_earlier_time_is_woken_then() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut alarms = Alarms::default();
        assert!(alarms.add(at(9)) && alarms.add(at(5)) && !alarms.add(at(5)) && !alarms.add(at(7)));
        alarms.on_timer(at(4));
        assert!(!alarms.add(at(6)));
        alarms.on_timer(at(5));
        assert!(alarms.add(at(6)) && !alarms.add(at(10)));
        alarms.on_timer(at(9));
        assert!(alarms.add(at(10)));
    }
}
