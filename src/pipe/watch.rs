//! Watching: a streaming end of a pipe looks for its peer for a moment before it asks to be woken.
//!
//! Between two threads, being woken costs both of them more than the messages of that time. The looks are
//! few and far between, so that the watched cache line stays with the one who writes it, and the longer it
//! takes, the more often the processor is offered to other threads.
#![forbid(unsafe_code)]

use std::hint::spin_loop;
use std::time::Instant;

use crate::limits::{PAUSES_PER_LOOK, STREAM_SPIN};
use crate::sync::give_way;

/// Looks until `is_there` says so or the time is over: then `false`.
pub(super) fn watch(mut is_there: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        for _ in 0..PAUSES_PER_LOOK {
            spin_loop();
        }
        let waited = begin.elapsed();
        if is_there() {
            return true;
        }
        if waited >= STREAM_SPIN {
            return false;
        }
        if waited >= STREAM_SPIN / 8 {
            give_way();
        }
    }
}
