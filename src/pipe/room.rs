//! Waiting for what the consumer of a pipe takes.
#![forbid(unsafe_code)]

use crate::pipe::producer::Producer;

impl Producer {
    /// Asks to be woken when there is room. `false`: something changed already, look again.
    pub(crate) fn wait_for_room(&mut self) -> bool {
        self.wait_for_room_or_taken(u64::MAX)
    }

    /// Asks to be woken when there is room, or when the first so many messages were taken.
    pub(super) fn wait_for_room_or_taken(&mut self, taken: u64) -> bool {
        let resume_at = self.resume_at();
        self.ring.wait_for_room(resume_at.min(taken), || {
            let consumed = self.ring.consumed();
            let is_full = self.sent() - consumed >= self.ring.limit() || !self.has_octets_left();
            is_full && consumed < taken
        })
    }

    /// How many messages have to be taken for the pipe to have room for many: half of it.
    pub(super) fn resume_at(&self) -> u64 {
        if self.has_octets_left() {
            self.sent().saturating_sub(self.ring.limit() / 2)
        } else {
            let consumed = self.ring.consumed();
            consumed + (self.sent() - consumed).div_ceil(2)
        }
    }

    /// Asks to be woken when the first so many messages were taken. `false`: they are, or never will be.
    pub(super) fn wait_until_taken(&mut self, taken: u64) -> bool {
        self.ring.wait_for_room(taken, || self.ring.consumed() < taken)
    }
}
