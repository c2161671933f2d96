//! When tasks give way to the others of their executor.
//!
//! A future that is ready never leaves its thread to anybody: a task that receives as fast as a peer sends would have
//! it for itself. So every so many results of a thread the next future is not ready, whatever there is, and wakes its
//! task at once. Counted by thread, as that is what the tasks of an executor share, whatever sockets they have.
//!
//! A task may wait for several futures, and be ready with any of them: it returns to its executor only if none is. So
//! once it is time each of them gives way, until one comes round again.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll};

use crate::limits::READY_RESULTS_MAX;
use crate::pipe::Sleepers;

/// Those that gave way and have not come round again, so many at most: whoever waits for more gives way to them only.
const GIVEN_MAX: usize = 64;

/// Who gives way: the address of where it waits, and in which way it does.
pub(crate) type Caller = (usize, Sleepers);

thread_local! {
    /// Results since the last time.
    static READY: Cell<u32> = const { Cell::new(0) };
    static GIVEN: RefCell<Vec<Caller>> = const { RefCell::new(Vec::new()) };
}

/// Calls `poll` and counts its result, or gives way: then the task is woken already.
#[inline]
pub(crate) fn poll_in_turn<T>(
    caller: Caller,
    context: &Context<'_>,
    poll: impl FnOnce() -> Poll<T>,
) -> Poll<T> {
    let results = READY.get();
    if results >= READY_RESULTS_MAX && gives_way(caller) {
        context.waker().wake_by_ref();
        return Poll::Pending;
    }
    let polled = poll();
    if polled.is_ready() {
        READY.set(READY.get().saturating_add(1));
    }
    polled
}

/// Whether this one has to, as it has not yet.
#[cold]
fn gives_way(caller: Caller) -> bool {
    // While the thread ends there is no list any more, and nobody to give way to.
    let is_new = GIVEN.try_with(|given| {
        let mut given = given.borrow_mut();
        let is_new = given.len() < GIVEN_MAX && !given.contains(&caller);
        if is_new {
            given.push(caller);
        } else {
            given.clear();
        }
        is_new
    });
    let is_new = is_new.unwrap_or(false);
    if !is_new {
        READY.set(0);
    }
    is_new
}
