//! Who is woken by a pipe, and how.
//!
//! A pipe knows only that somebody wants to hear of it; a socket's mailbox or an I/O thread's says what that
//! means. Called once per sleep, never per message, so the call may be dynamic.
#![forbid(unsafe_code)]

use std::fmt;

use crate::endpoint::Endpoint;
use crate::sync::Arc;

/// What a pipe has to say to somebody who waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// The producer is gone; told whether or not somebody waits.
    Closed,
    /// Nothing came for long, and more memory is held than a quiet pipe needs.
    Quiet,
    /// Messages came, or the producer is gone.
    Readable,
    /// There is room, or the consumer is gone.
    Writable,
}

/// Takes notices from pipes. Must not block, and must not call back into the pipe.
pub(crate) trait Wake: Send + Sync {
    /// Pipe `id` is `ready`.
    fn wake(&self, id: u64, ready: Ready);

    /// Where what it takes out of pipes goes; none: it keeps it.
    fn destination(&self) -> Option<Endpoint> {
        None
    }

    /// Whether a peer there has closed its half behind everything that it was told.
    fn is_confirmed(&self) -> bool {
        false
    }
}

/// One pipe's way to one waiter.
#[derive(Clone)]
pub(crate) struct WakeUp {
    id: u64,
    waiter: Arc<dyn Wake>,
}

impl WakeUp {
    /// `waiter` will hear of this pipe under the name `id`.
    #[cfg(not(loom))]
    pub(crate) fn new(id: u64, waiter: Arc<impl Wake + 'static>) -> Self {
        Self { id, waiter }
    }

    /// loom's `Arc` does not coerce to a trait object by itself.
    #[cfg(loom)]
    pub(crate) fn new(id: u64, waiter: std::sync::Arc<dyn Wake>) -> Self {
        Self { id, waiter: Arc::from_std(waiter) }
    }

    pub(super) fn destination(&self) -> Option<Endpoint> {
        self.waiter.destination()
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.waiter.is_confirmed()
    }

    pub(super) fn wake(&self, ready: Ready) {
        self.waiter.wake(self.id, ready);
    }
}

impl fmt::Debug for WakeUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeUp").field("id", &self.id).finish_non_exhaustive()
    }
}
