//! What the ends of a pipe give up when nothing has gone through it for long.
//!
//! Spare segments are freed by whoever finds the pipe quiet. A large last segment is both ends' at once, so it takes
//! both: the producer goes on in a small one, and the consumer frees the large one as it walks on.
#![allow(unsafe_code, reason = "looks at segments in the chain")]

use crate::limits::{QUIET_SEGMENT_OCTETS, SEGMENT_OCTETS_MIN};
use crate::pipe::drain::Drain;
use crate::pipe::producer::Producer;
use crate::pipe::segment::Segment;

impl Producer {
    /// Whether the tail is larger than what a quiet pipe keeps.
    pub(crate) fn is_large(&self) -> bool {
        // SAFETY: the tail is live.
        self.chain.is_some_and(|chain| unsafe { chain.tail.as_ref() }.capacity() > QUIET_SEGMENT_OCTETS)
    }

    /// Gives up what a quiet pipe does not need, if the consumer has taken everything: spare segments, and a large
    /// tail, which the consumer frees when it walks on.
    pub(crate) fn rest(&mut self) {
        let Some(chain) = self.chain else { return };
        let is_whole = chain.visible == chain.tail && chain.mark == self.written.pack();
        if self.ring.consumed() != self.sent() || !is_whole {
            return;
        }
        self.ring.let_spares_go();
        if self.is_large() {
            self.next_capacity = SEGMENT_OCTETS_MIN;
            self.go_on_in(Segment::allocate(SEGMENT_OCTETS_MIN));
            self.publish();
        }
    }

    /// Emptied segments that are kept.
    #[cfg(test)]
    pub(super) fn spares(&self) -> usize {
        self.ring.spares()
    }
}

impl Drain {
    /// Whether the segment that is being read is larger than what a quiet pipe keeps.
    pub(crate) fn is_large(&self) -> bool {
        // SAFETY: `taken` is in a live segment.
        self.consumer.taken.is_some_and(|at| unsafe { at.segment.as_ref() }.capacity() > QUIET_SEGMENT_OCTETS)
    }

    /// Gives up what a quiet pipe does not need, and asks the producer to do so.
    pub(crate) fn rest(&mut self) {
        self.consumer.ring.let_spares_go();
        self.walk_on();
        if self.is_large() {
            self.consumer.ring.suggest_rest();
        }
    }

    /// Leaves sealed segments that are wholly written, which is not done before there is more to write.
    pub(crate) fn walk_on(&mut self) {
        let Some(mut end) = self.consumer.taken.filter(|_| self.is_between_messages()) else { return };
        loop {
            // SAFETY: at or behind `taken`.
            let segment = unsafe { end.segment.as_ref() };
            let word = segment.published();
            if !word.is_sealed || (end.octets, end.bodies) != (word.octets, word.bodies) {
                break;
            }
            end = end.behind(segment);
        }
        self.take_up_to(end);
        self.written = None;
        self.gathered = None;
    }
}
