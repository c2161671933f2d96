//! Between the sealed frames of CURVE and those of the pipes: see [`Translator`](super::translator::Translator).
//!
//! What comes is opened where it was read to. What goes out is copied once, out of the pipe, and sealed there; a frame is
//! done with when the kernel has all of it, so that after a broken connection nothing is missing, and nothing comes
//! twice. A frame is sealed and opened as a whole, so both directions hold the whole of it, as far as it has come.
//!
//! Source: RFC 26, "The MESSAGE Command".
#![forbid(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;
use std::time::Duration;

use smallvec::SmallVec;

use crate::error::ProtocolError;
use crate::frame::{COMMAND, HEADER_MAX, Header, LONG, encode_header};
use crate::io::End;
use crate::limits::{OPEN_CHORES, SEALED_KEPT, SEALED_OCTETS, TRAFFIC_COMMAND_MAX};
use crate::pipe::Chores;
use crate::session::translator::Written;
use crate::transport::{Read, Stream};
use crate::wire::{Boxes, Opener, Sealer};

/// What is under way in both directions.
#[derive(Debug)]
pub(super) struct Sealed {
    incoming: Incoming,
    outgoing: Outgoing,
    keeps_buffers: bool,
}

#[derive(Debug)]
struct Incoming {
    opener: Opener,
    max_body_octets: u64,
    /// All of it can be written to; what has come is in `held`.
    buffer: Vec<u8>,
    held: Range<usize>,
    /// Of a frame that was opened: what is for the pipe. Before `held`.
    ready: Range<usize>,
    /// What the peer did wrong behind that, or what the kernel had to say.
    error: Option<End>,
}

#[derive(Debug)]
struct Outgoing {
    sealer: Sealer,
    /// Octets at the front of the outbox that are not to be sealed: the end of the handshake.
    unsealed: usize,
    /// What the kernel shall have, from `taken` on.
    batch: Vec<u8>,
    taken: usize,
    /// What it was made of, and how many of those are done with.
    pieces: SmallVec<[Piece; PIECES_FEW]>,
    done: usize,
}

/// Pieces of a batch for which a quiet connection needs no memory beside: an answer to a PING, and a small message.
const PIECES_FEW: usize = 4;

/// What is done with as a whole: a sealed frame, or the end of the handshake.
#[derive(Debug)]
struct Piece {
    /// Where it ends in the batch.
    end: usize,
    /// Octets that it was before.
    octets: usize,
    /// They were of the outbox.
    is_control: bool,
}

impl Sealed {
    /// Begins behind the handshake, of which `unsealed` octets are in the outbox still. `behind` is what the peer has
    /// sent behind it.
    pub(super) fn new(boxes: Boxes, max_body_octets: u64, unsealed: usize, behind: &[u8]) -> Self {
        let Boxes { sealer, opener } = boxes;
        let incoming = Incoming {
            opener,
            max_body_octets,
            buffer: behind.to_vec(),
            held: 0..behind.len(),
            ready: 0..0,
            error: None,
        };
        let outgoing =
            Outgoing { sealer, unsealed, batch: Vec::new(), taken: 0, pieces: SmallVec::new(), done: 0 };
        Self { incoming, outgoing, keeps_buffers: false }
    }

    pub(super) fn keep_buffers(&mut self, keep: bool) {
        self.keeps_buffers = keep;
        if !keep {
            self.incoming.give_back();
            self.outgoing.give_back();
        }
    }

    pub(super) fn has_more(&self) -> bool {
        let Incoming { error, ready, held, .. } = &self.incoming;
        let is_whole = match self.incoming.next_frame() {
            Ok(frame) => frame.is_some_and(|(_, total)| total <= held.len()),
            Err(_) => true,
        };
        error.is_some() || !ready.is_empty() || is_whole
    }

    /// See [`Translator::read`](super::translator::Translator::read).
    pub(super) fn read(
        &mut self,
        stream: &mut Stream,
        room: &mut [IoSliceMut<'_>],
        mut waits: Option<Duration>,
        chores: &mut Chores,
    ) -> Result<Read, End> {
        let (mut filled, mut was_short, mut has_come) = (0, false, false);
        for slice in room {
            let mut slice: &mut [u8] = slice;
            while !slice.is_empty() {
                if filled > 0 && !chores.is_any_left() && self.has_more() {
                    return Ok(Read::Octets(filled));
                }
                let is_ready = !self.incoming.ready.is_empty();
                if !is_ready && self.incoming.open_next() {
                    chores.note(OPEN_CHORES);
                } else if !is_ready {
                    // A short read has emptied the kernel's buffer: no need to ask once more.
                    let read = if was_short && has_come {
                        Read::Dry
                    } else {
                        self.incoming.read(stream, filled, &mut was_short, waits.take())?
                    };
                    match read {
                        Read::Octets(_) => {
                            has_come = true;
                            continue;
                        }
                        Read::Dry | Read::End => {
                            if !self.keeps_buffers {
                                self.incoming.give_back();
                            }
                            return Ok(if has_come || filled > 0 { Read::Octets(filled) } else { read });
                        }
                    }
                }
                let count = self.incoming.copy_to(slice);
                filled += count;
                slice = slice.get_mut(count..).unwrap_or_default();
            }
        }
        Ok(Read::Octets(filled))
    }

    /// Writes what is left of the last batch; if there was none, seals the next and writes that.
    pub(super) fn write(
        &mut self,
        stream: &mut Stream,
        slices: &[IoSlice<'_>],
        control_octets: usize,
    ) -> Result<Written, End> {
        let outgoing = &mut self.outgoing;
        if outgoing.batch.is_empty() {
            outgoing.seal(slices, control_octets).map_err(End::Protocol)?;
        }
        let rest = outgoing.batch.get(outgoing.taken..).unwrap_or_default();
        outgoing.taken += stream.write(&[IoSlice::new(rest)]).map_err(End::Io)?;
        let written = outgoing.written();
        if !self.keeps_buffers && !written.is_short {
            outgoing.give_back();
        }
        Ok(written)
    }

    /// See [`Translator::take_rest`](super::translator::Translator::take_rest).
    pub(super) fn take_rest(&mut self, control: &[u8]) -> (Vec<u8>, usize) {
        let outgoing = &mut self.outgoing;
        let (mut sealed, mut frames) = (0, 0);
        for piece in outgoing.pieces.drain(..).skip(outgoing.done) {
            *(if piece.is_control { &mut sealed } else { &mut frames }) += piece.octets;
        }
        let mut rest = std::mem::take(&mut outgoing.batch);
        rest.drain(..outgoing.taken);
        (outgoing.taken, outgoing.done) = (0, 0);
        let control = control.get(sealed..).unwrap_or_default();
        if !control.is_empty() {
            // Sealed is all of it, which is little; else there is nothing to end with.
            match outgoing.seal(&[IoSlice::new(control)], control.len()) {
                Ok(()) => rest.append(&mut outgoing.batch),
                Err(_) => return (Vec::new(), 0),
            }
        }
        (rest, frames)
    }
}

impl Incoming {
    /// Opens the next frame, if all of it is there. `false`: it is not, or there is an error.
    fn open_next(&mut self) -> bool {
        if self.error.is_some() {
            return false;
        }
        match self.open() {
            Ok(is_open) => is_open,
            Err(error) => {
                self.error = Some(End::Protocol(error));
                false
            }
        }
    }

    fn open(&mut self) -> Result<bool, ProtocolError> {
        let Some((header, total)) = self.next_frame()? else { return Ok(false) };
        if total > self.held.len() {
            return Ok(false);
        }
        let start = self.held.start;
        self.held.start += total;
        let body = self.buffer.get_mut(start + header.header_octets..start + total).unwrap_or_default();
        let (flags, body) = self.opener.open(body)?;
        let octets = body.len();
        // The body is the end of what was sealed: there is room for a header before it.
        let (header, header_octets) = encode_header(flags, octets);
        let at = self.held.start - octets - header_octets;
        self.ready = at..self.held.start;
        for (place, octet) in self.buffer.iter_mut().skip(at).zip(header.iter().take(header_octets)) {
            *place = *octet;
        }
        Ok(true)
    }

    /// The header of the next frame, and its octets with the header's, when it is there.
    fn next_frame(&self) -> Result<Option<(Header, usize)>, ProtocolError> {
        let held = self.buffer.get(self.held.clone()).unwrap_or_default();
        let Some(header) = Header::parse(held) else { return Ok(None) };
        if header.flags & !(COMMAND | LONG) != 0 {
            return Err(ProtocolError::ReservedFlags(header.flags));
        }
        let most = self.max_body_octets.max(TRAFFIC_COMMAND_MAX).saturating_add(Sealer::OVERHEAD as u64);
        let header = header.check(most)?;
        let octets = usize::try_from(header.body_octets).ok().and_then(|it| it.checked_add(HEADER_MAX));
        match octets {
            Some(octets) => Ok(Some((header, octets - HEADER_MAX + header.header_octets))),
            None => Err(ProtocolError::FrameTooLarge(header.body_octets)),
        }
    }

    /// Moves what is ready to `room`, as much as it takes.
    fn copy_to(&mut self, room: &mut [u8]) -> usize {
        let ready = self.buffer.get(self.ready.clone()).unwrap_or_default();
        let count = ready.len().min(room.len());
        if let (Some(room), Some(ready)) = (room.get_mut(..count), ready.get(..count)) {
            room.copy_from_slice(ready);
        }
        self.ready.start += count;
        count
    }

    /// One read from the kernel, unless an error comes first: behind `filled` octets, that waits.
    fn read(
        &mut self,
        stream: &mut Stream,
        filled: usize,
        was_short: &mut bool,
        waits: Option<Duration>,
    ) -> Result<Read, End> {
        match self.error {
            Some(_) if filled > 0 => return Ok(Read::Dry),
            Some(error) => return Err(error),
            None => {}
        }
        self.make_room();
        let room = self.buffer.get_mut(self.held.end..).unwrap_or_default();
        let wanted = room.len();
        let room = &mut [IoSliceMut::new(room)];
        let read = match waits {
            Some(spin) if filled == 0 => stream.wait_and_read(room, spin),
            _ => stream.read(room),
        };
        match read {
            Ok(Read::Octets(count)) => {
                self.held.end += count;
                *was_short = count < wanted;
            }
            Ok(Read::Dry | Read::End) => {}
            Err(error) => {
                // What was filled is to be heard first.
                self.error = Some(End::Io(error));
                return if filled > 0 { Ok(Read::Dry) } else { Err(End::Io(error)) };
            }
        }
        read.map_err(End::Io)
    }

    /// Makes room for a read: at the front, and by doubling, but never beyond what a frame under way takes.
    fn make_room(&mut self) {
        if self.held.start > 0 {
            self.buffer.copy_within(self.held.clone(), 0);
            self.held = 0..self.held.len();
            self.ready = 0..0;
        }
        if self.held.end < self.buffer.len() {
            return;
        }
        // What fills the buffer is much, or a frame that does not fit.
        let wanted = match self.next_frame() {
            Ok(Some((_, total))) => total.max(SEALED_OCTETS),
            Ok(None) | Err(_) => SEALED_OCTETS,
        };
        let octets = (2 * self.buffer.len()).clamp(SEALED_KEPT, wanted.max(SEALED_KEPT));
        let octets = octets.max(self.held.end + 1);
        self.buffer.reserve_exact(octets - self.buffer.len());
        self.buffer.resize(octets, 0);
    }

    /// Gives the buffer back, if it is empty and large.
    fn give_back(&mut self) {
        if self.held.is_empty() && self.ready.is_empty() && self.buffer.len() > SEALED_KEPT {
            self.buffer = Vec::new();
            (self.held, self.ready) = (0..0, 0..0);
        }
    }
}

impl Outgoing {
    /// Seals whole frames until the batch is large enough.
    fn seal(&mut self, slices: &[IoSlice<'_>], control_octets: usize) -> Result<(), ProtocolError> {
        let (control, frames) = slices.split_at(usize::from(control_octets > 0));
        if let [control] = control {
            let (unsealed, sealed) = control.split_at(self.unsealed.min(control.len()));
            self.batch.extend_from_slice(unsealed);
            self.unsealed -= unsealed.len();
            if !unsealed.is_empty() {
                self.end_piece(unsealed.len(), true);
            }
            self.seal_frames(&[IoSlice::new(sealed)], true)?;
        }
        self.seal_frames(frames, false)
    }

    /// The batch holds all of what these octets were made to.
    fn end_piece(&mut self, octets: usize, is_control: bool) {
        self.pieces.push(Piece { end: self.batch.len(), octets, is_control });
    }

    /// Seals whole frames until the batch is large enough. What is not all there is left for the next batch.
    fn seal_frames(&mut self, slices: &[IoSlice<'_>], is_control: bool) -> Result<(), ProtocolError> {
        let mut slices = slices.iter();
        let mut rest: &[u8] = &[];
        while self.batch.len() < SEALED_OCTETS {
            if rest.is_empty() {
                let Some(next) = slices.next() else { break };
                rest = next;
                continue;
            }
            let Some(header) = Header::parse(rest) else {
                unreachable!("headers are whole in pipes and outboxes")
            };
            let Ok(octets) = usize::try_from(header.body_octets) else { unreachable!("it is in memory") };
            rest = rest.get(header.header_octets..).unwrap_or_default();
            if octets > 0 && rest.is_empty() {
                // A body by reference: all of a slice.
                let Some(next) = slices.next() else { break };
                rest = next;
            }
            let Some((body, behind)) = rest.split_at_checked(octets) else {
                unreachable!("a body is whole in a slice")
            };
            self.make_room(HEADER_MAX + Sealer::OVERHEAD + octets);
            let at = self.sealer.begin(header.flags, octets, &mut self.batch)?;
            self.batch.extend_from_slice(body);
            self.sealer.end(at, &mut self.batch);
            rest = behind;
            self.end_piece(header.header_octets + octets, is_control);
        }
        Ok(())
    }

    /// Makes room for so many octets more: by doubling, but never beyond a batch and the frame that ends it.
    fn make_room(&mut self, octets: usize) {
        let needed = self.batch.len() + octets;
        if needed > self.batch.capacity() {
            let target = needed.max((2 * self.batch.capacity()).min(SEALED_OCTETS));
            self.batch.reserve_exact(target - self.batch.len());
        }
    }

    /// What the kernel has, by whole pieces, since this was asked last.
    fn written(&mut self) -> Written {
        let mut written = Written { control: 0, frames: 0, is_short: self.taken < self.batch.len() };
        while let Some(piece) = self.pieces.get(self.done).filter(|piece| piece.end <= self.taken) {
            *(if piece.is_control { &mut written.control } else { &mut written.frames }) += piece.octets;
            self.done += 1;
        }
        if !written.is_short {
            self.batch.clear();
            self.pieces.clear();
            (self.taken, self.done) = (0, 0);
        }
        written
    }

    /// Gives the buffers back, if they are empty and large.
    fn give_back(&mut self) {
        if self.batch.is_empty() && self.batch.capacity() > SEALED_KEPT {
            self.batch = Vec::new();
            self.pieces = SmallVec::new();
        }
    }
}

#[cfg(all(unix, feature = "curve"))]
#[cfg(test)]
mod tests {
    use mio::net::UnixStream;

    use super::*;

    /// What each buffer has had at most.
    #[derive(Debug, Default)]
    struct Most {
        incoming: usize,
        batch: usize,
        pieces: usize,
    }

    impl Most {
        fn see(&mut self, sender: &Sealed, receiver: &Sealed) {
            let Outgoing { batch, pieces, .. } = &sender.outgoing;
            self.incoming = self.incoming.max(receiver.incoming.buffer.capacity());
            self.batch = self.batch.max(batch.capacity());
            self.pieces = self.pieces.max(pieces.capacity() * size_of::<Piece>());
        }
    }

    /// Passes so many frames of a size from one to the other; what they held meanwhile, and what they keep.
    fn pass(count: usize, size: usize) -> (Most, Most) {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut near, mut far) = (Stream::Ipc(near), Stream::Ipc(far));
        let [mut sender, mut receiver] =
            Boxes::of_both_ends().map(|boxes| Sealed::new(boxes, u64::MAX >> 1, 0, &[]));
        sender.keep_buffers(true);
        receiver.keep_buffers(true);
        let (header, octets) = encode_header(0, size);
        let frames = [&header[..octets], &vec![7; size]].concat().repeat(count);
        let (mut rest, mut heard, mut most) = (&frames[..], 0, Most::default());
        let mut room = vec![0; 1 << 20];
        while heard < frames.len() {
            if !rest.is_empty() {
                let written = sender.write(&mut near, &[IoSlice::new(rest)], 0).unwrap();
                rest = &rest[written.frames..];
            }
            most.see(&sender, &receiver);
            let mut chores = Chores::of_turn();
            let room = &mut room[..];
            let read = receiver.read(&mut far, &mut [IoSliceMut::new(room)], None, &mut chores).unwrap();
            if let Read::Octets(count) = read {
                assert!(count / (octets + size) <= 1030, "of a turn");
                assert!(room[..count] == frames[heard..heard + count]);
                heard += count;
            }
            most.see(&sender, &receiver);
        }
        sender.keep_buffers(false);
        receiver.keep_buffers(false);
        let mut kept = Most::default();
        kept.see(&sender, &receiver);
        (most, kept)
    }

    #[test]
    fn at_work_it_holds_a_batch_and_a_frame_each_way_and_little_when_it_is_quiet() {
        for (count, size) in [(50_000, 0), (50_000, 1), (5000, 100), (100, 60_000), (4, 700_000)] {
            let (most, kept) = pass(count, size);
            let frame = HEADER_MAX + Sealer::OVERHEAD + size;
            let (batch, incoming) = (SEALED_OCTETS + frame, SEALED_OCTETS.max(frame));
            assert!((SEALED_OCTETS..=batch).contains(&most.batch), "{most:?} of {size}");
            assert!((frame.min(SEALED_OCTETS / 2)..=incoming).contains(&most.incoming), "{most:?} of {size}");
            assert!(most.pieces <= 96 * 1024, "{most:?} of {size}");
            let most = kept.incoming.max(kept.batch).max(kept.pieces);
            assert!(most <= SEALED_KEPT, "{kept:?} of {size}");
        }
    }
}
