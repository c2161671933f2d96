//! Timers of one I/O thread: a heap of times and task numbers. Cancelling is ignoring: a task looks at its
//! own deadlines when it is called. Those of tasks that are gone are taken out when they may be many.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::limits::{PEERS_MANY, TIMERS_SWEPT_MIN};

#[derive(Debug)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    /// The last of those that are not to be late.
    prompt: Option<Instant>,
    /// At so many it is worth to look for those of tasks that are gone.
    sweep_at: usize,
}

impl Default for Timers {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), prompt: None, sweep_at: TIMERS_SWEPT_MIN }
    }
}

impl Timers {
    pub(super) fn add(&mut self, when: Instant, id: u64) {
        self.heap.push(Reverse((when, id)));
    }

    /// The same for one that is not to be late: of many, for the last of them.
    pub(super) fn add_prompt(&mut self, when: Instant, id: u64) {
        self.prompt = Some(when);
        self.add(when, id);
    }

    /// Whether the next one is not to be late. Others are not worth a wake-up each: those that are due at nearly the same
    /// time have one, as the kernel's poll counts milliseconds.
    pub(super) fn is_next_prompt(&self) -> bool {
        self.prompt.is_some() && self.next() == self.prompt
    }

    /// Takes out the timers of tasks that are not there any more, if so many have gathered that it is worth to look:
    /// whoever connects and leaves, over and over, would leave one for as long as a handshake may take.
    pub(super) fn sweep(&mut self, is_there: impl Fn(u64) -> bool) {
        if self.heap.len() < self.sweep_at {
            return;
        }
        self.heap.retain(|Reverse((_, id))| is_there(*id));
        // Twice as many, so that looking costs each timer no more than a step or two.
        self.sweep_at = TIMERS_SWEPT_MIN.max(2 * self.heap.len());
        self.heap.shrink_to(self.sweep_at);
    }

    /// When the next timer is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((when, _))| *when)
    }

    /// Takes one timer that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u64> {
        if self.next()? > now {
            return None;
        }
        let Reverse((when, id)) = self.heap.pop()?;
        self.prompt = self.prompt.filter(|prompt| *prompt > when);
        if self.heap.capacity() >= 8 * PEERS_MANY.max(self.heap.len()) {
            self.heap.shrink_to_fit();
        }
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_are_due_in_order_and_not_early() {
        let start = Instant::now();
        let mut timers = Timers::default();
        for (id, delay) in [(1, 30), (2, 10), (3, 20)] {
            timers.add(start + Duration::from_millis(delay), id);
        }
        assert_eq!(timers.take_due(start), None);
        let later = start + Duration::from_millis(20);
        assert_eq!((timers.take_due(later), timers.take_due(later)), (Some(2), Some(3)));
        assert_eq!(timers.take_due(later), None);
        assert_eq!(timers.next(), Some(start + Duration::from_millis(30)));
    }

    #[test]
    fn the_last_that_is_not_to_be_late_is_known_until_it_is_due() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut timers = Timers::default();
        timers.add(at(1), 1);
        assert!(!timers.is_next_prompt());
        timers.add_prompt(at(2), 2);
        timers.add_prompt(at(3), 3);
        let mut were_prompt = Vec::new();
        for _ in 0..3 {
            were_prompt.push(timers.is_next_prompt());
            timers.take_due(at(9)).unwrap();
        }
        assert_eq!((were_prompt, timers.prompt), (vec![false, false, true], None));
    }

    #[test]
    fn timers_of_tasks_that_are_gone_do_not_gather() {
        let (start, hour) = (Instant::now(), Duration::from_secs(3600));
        let mut timers = Timers::default();
        // Ten tasks stay, and a million come and go.
        for id in 0..1_000_000 {
            timers.add(start + hour, id);
            timers.sweep(|id| id < 10);
            assert!(timers.heap.len() <= TIMERS_SWEPT_MIN && timers.heap.capacity() <= 2 * TIMERS_SWEPT_MIN);
        }
        let due: Vec<_> = std::iter::from_fn(|| timers.take_due(start + hour)).take(10).collect();
        assert_eq!(due, (0..10).collect::<Vec<_>>());
    }
}
