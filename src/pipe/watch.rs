//! Watching: a streaming end of a pipe looks for its peer for a moment before it asks to be woken.
//!
//! Between two threads, being woken costs both of them more than the messages of that time. The looks are
//! few and far between, so that the watched cache line stays with the one who writes it, and the longer it
//! takes, the more often the processor is offered to other threads.
#![forbid(unsafe_code)]

use std::hint::spin_loop;
use std::time::Instant;

use crate::limits::{PAUSES_PER_LOOK, STREAM_MESSAGES, STREAM_SPIN};
use crate::sync::give_way;

/// Tells whether an end of a pipe streams: many messages went through it since it waited last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Streak {
    /// How many had gone through when it did.
    waited_at: u64,
    /// How many had gone through when it was watched last.
    watched_at: u64,
}

impl Streak {
    /// Looks for a moment, if so many messages are a stream. Whether `is_there` has said so. One that says so sooner than
    /// a thread could be woken was worth no wait: the stream goes on, if anything goes through before the next watch.
    pub(super) fn watch(&mut self, messages: u64, is_there: impl FnMut() -> bool) -> bool {
        let watched = if messages - self.waited_at < STREAM_MESSAGES || messages == self.watched_at {
            Watched::InVain
        } else {
            watch(is_there)
        };
        self.watched_at = messages;
        if watched != Watched::Soon {
            self.waited_at = messages;
        }
        watched != Watched::InVain
    }
}

/// What came of watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// Before it was worth to offer the processor to others.
    Soon,
    Late,
    InVain,
}

/// Looks until `is_there` says so or the time is over.
pub(super) fn watch(mut is_there: impl FnMut() -> bool) -> Watched {
    let begin = Instant::now();
    loop {
        for _ in 0..PAUSES_PER_LOOK {
            spin_loop();
        }
        let waited = begin.elapsed();
        let is_late = waited >= STREAM_SPIN / 8;
        if is_there() {
            return if is_late { Watched::Late } else { Watched::Soon };
        }
        if waited >= STREAM_SPIN {
            return Watched::InVain;
        }
        if is_late {
            give_way();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "its clock runs with its steps: each look takes too long")]
    fn a_stream_goes_on_while_something_goes_through_between_two_watches() {
        let mut streak = Streak::default();
        assert!(!streak.watch(STREAM_MESSAGES - 1, || unreachable!("too few")));
        let mut messages = 2 * STREAM_MESSAGES;
        for _ in 0..10 {
            // Unless this thread does not run for a while at just that moment.
            let was_there = (0..100).any(|_| {
                messages += STREAM_MESSAGES;
                streak.watch(messages, || true) && streak.watch(messages + 1, || true)
            });
            assert!(was_there);
        }
        assert!(
            !streak.watch(messages + 1, || true),
            "what it looks for is of no use: nothing has gone through"
        );
    }
}
