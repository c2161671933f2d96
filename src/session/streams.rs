//! The connections that a thread streams on. Their pipes tell nobody, so before the thread sleeps, in whatever
//! socket, it writes what it has queued on all of them: nothing waits for a tick because its sender waits for
//! something else.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::sync::Weak;

use crate::session::link::Link;

thread_local! {
    static STREAMS: RefCell<Vec<Weak<Link>>> = const { RefCell::new(Vec::new()) };
}

/// Enters a connection that this thread streams on.
pub(super) fn enter(link: Weak<Link>) {
    // While the thread ends there is no list any more, and no sleep either.
    let _ = STREAMS.try_with(|streams| streams.borrow_mut().push(link));
}

/// Writes what is queued on the connections that this thread streams on. Called before it sleeps.
pub(crate) fn flush_streams() {
    let _ = STREAMS.try_with(|streams| {
        streams.borrow_mut().retain(|link| link.upgrade().is_some_and(|link| link.flush_stream()));
    });
}
