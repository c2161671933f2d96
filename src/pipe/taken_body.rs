//! What the reading end hands out of a frame: see [`Consumer`](super::Consumer).
#![forbid(unsafe_code)]

use bytes::Bytes;

use crate::message::Frame;

/// A body on its way out of the pipe.
pub(super) enum TakenBody<'a> {
    Copied(&'a [u8]),
    Shared(Bytes),
}

impl TakenBody<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Copied(octets) => octets.len(),
            Self::Shared(body) => body.len(),
        }
    }

    #[inline]
    pub(super) fn copy_to(self, frame: &mut Frame) {
        match self {
            Self::Copied(octets) => frame.assign(octets),
            Self::Shared(body) => frame.assign_shared(body),
        }
    }
}
