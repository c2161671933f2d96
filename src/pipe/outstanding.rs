//! What a producer has left in its pipe, for whoever wants to know what becomes of it.
#![forbid(unsafe_code)]

use crate::pipe::ring::Ring;
use crate::sync::Arc;

/// Messages of a producer, which may be gone.
pub(crate) struct Outstanding {
    ring: Arc<Ring>,
    sent: u64,
}

impl Outstanding {
    pub(super) fn new(ring: Arc<Ring>, sent: u64) -> Self {
        Self { ring, sent }
    }

    /// Messages since the pipe was made.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Messages that were not taken.
    pub(crate) fn left(&self) -> u64 {
        self.sent.saturating_sub(self.ring.consumed())
    }

    /// Whether nobody will take anything any more.
    pub(crate) fn is_consumer_gone(&self) -> bool {
        self.ring.is_consumer_gone()
    }

    /// Asks for the producer's wake-up when everything is taken, or will not be. `false`: it is so already.
    /// The wake-up may come early.
    pub(crate) fn wait(&self) -> bool {
        self.ring.wait_for_all(self.sent)
    }
}
