//! Timers of one I/O thread: a heap of times and task numbers. Cancelling is ignoring: a task looks at its
//! own deadlines when it is called.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::limits::PEERS_MANY;

#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Timers {
    pub(super) fn add(&mut self, when: Instant, id: u64) {
        self.heap.push(Reverse((when, id)));
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
        let Reverse((_, id)) = self.heap.pop()?;
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
}
