//! A translator: between the frames of a peer and those of the pipes, where these are not the same.
//!
//! Stands between a session's stream and its pipes, so that nothing else needs to know of old frames, nor of
//! encryption.
#![forbid(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

use crate::io::End;
use crate::pipe::Chores;
use crate::session::sealed::Sealed;
use crate::session::zmtp1::Zmtp1;
use crate::transport::{Read, Stream};

/// What is under way in both directions.
#[derive(Debug)]
#[cfg_attr(
    feature = "curve",
    expect(clippy::large_enum_variant, reason = "in a box, and one with a peer of ZMTP 1.0 may be as large")
)]
pub(super) enum Translator {
    Sealed(Sealed),
    Zmtp1(Zmtp1),
}

/// What one write has done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Octets of the outbox.
    pub(super) control: usize,
    /// Octets of the pipe.
    pub(super) frames: usize,
    /// The kernel took less than it was given.
    pub(super) is_short: bool,
}

impl Written {
    /// When the first `done` of `total` octets were taken, of which the first are control octets.
    pub(super) fn of(done: usize, total: usize, control_octets: usize) -> Self {
        let control = done.min(control_octets);
        Self { control, frames: done - control, is_short: done < total }
    }
}

impl Translator {
    /// Fills `room` with translated octets, as far as the kernel has any: with none, when all that came is a part of
    /// a frame.
    ///
    /// Told how long to spin it waits for the kernel once, if it [can](Self::can_wait): see
    /// [`Stream::wait_and_read`]. Ends when no chores are left, and then [has more](Self::has_more).
    ///
    /// # Errors
    ///
    /// What the peer did wrong, behind everything that was right.
    pub(super) fn read(
        &mut self,
        stream: &mut Stream,
        room: &mut [IoSliceMut<'_>],
        waits: Option<Duration>,
        chores: &mut Chores,
    ) -> Result<Read, End> {
        match self {
            Self::Sealed(translator) => translator.read(stream, room, waits, chores),
            Self::Zmtp1(translator) => translator.read(stream, room),
        }
    }

    /// Whether a read can wait. Peers of ZMTP 1.0 are not worth it.
    pub(super) fn can_wait(&self) -> bool {
        match self {
            Self::Sealed(_) => true,
            Self::Zmtp1(_) => false,
        }
    }

    /// Whether there is more to [`read`](Self::read) without the kernel.
    pub(super) fn has_more(&self) -> bool {
        match self {
            Self::Sealed(translator) => translator.has_more(),
            Self::Zmtp1(translator) => translator.has_more(),
        }
    }

    /// Writes `control_octets`, then frames. What is done with is what the kernel has.
    pub(super) fn write(
        &mut self,
        stream: &mut Stream,
        slices: &[IoSlice<'_>],
        control_octets: usize,
    ) -> Result<Written, End> {
        match self {
            Self::Sealed(translator) => translator.write(stream, slices, control_octets),
            Self::Zmtp1(translator) => {
                let total = slices.iter().map(|slice| slice.len()).sum();
                let done = translator.write(stream, slices, control_octets).map_err(End::Io)?;
                Ok(Written::of(done, total, control_octets))
            }
        }
    }

    /// Takes out what the kernel has not taken, as it shall have it, with these control octets behind it. How many octets
    /// of the pipe are in it.
    pub(super) fn take_rest(&mut self, control: &[u8]) -> (Vec<u8>, usize) {
        match self {
            Self::Sealed(translator) => translator.take_rest(control),
            Self::Zmtp1(_) => (control.to_vec(), 0),
        }
    }

    /// Whether something may be written that is not a frame's. Inside of a body the pipe says that it may not.
    pub(super) fn is_between_frames(&self) -> bool {
        match self {
            Self::Sealed(_) => true,
            Self::Zmtp1(translator) => translator.is_between_frames(),
        }
    }

    /// Whether buffers are kept and used again, or given back as soon as they are empty.
    pub(super) fn keep_buffers(&mut self, keep: bool) {
        match self {
            Self::Sealed(translator) => translator.keep_buffers(keep),
            Self::Zmtp1(_) => {}
        }
    }
}
