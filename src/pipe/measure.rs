//! How long a message may be for the other end to take it: its parts, and, in one process, where nothing else refuses
//! it, its octets. The fast path, of one short frame, does not come here.
#![forbid(unsafe_code)]

use crate::message::{Frame, Payload};
use crate::pipe::producer::{Producer, Refused};

impl Producer {
    /// Takes no message of more than so many octets from now on, all its frames together; `None` is no limit.
    pub(crate) fn limit_message(&mut self, limit: Option<u64>) {
        self.message_max = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        // So that the fast path, which looks at that only, leaves longer ones to be measured.
        self.copied_max = self.copied_max.min(self.message_max);
    }

    /// Whether the message is not longer than what is taken, and no longer than what any peer takes.
    #[inline]
    pub(super) fn fits(&self, envelope: &[Frame], payload: &Payload<'_>) -> Result<(), Refused> {
        if payload.has_too_many_parts(envelope.len()) {
            return Err(Refused::TooLarge);
        }
        if self.message_max == usize::MAX { Ok(()) } else { self.measure(envelope, payload) }
    }

    #[cold]
    fn measure(&self, envelope: &[Frame], payload: &Payload<'_>) -> Result<(), Refused> {
        let in_front: usize = envelope.iter().map(|frame| frame.len()).sum();
        let behind: usize = payload.frames().map(<[u8]>::len).sum();
        if self.message_max < in_front + behind { Err(Refused::TooLarge) } else { Ok(()) }
    }
}
