//! The writing end as octets: what the kernel delivers lands in the pipe where the application finds it.
//!
//! The session's side of an inbound pipe. It lends room for the next read, then skims frame headers to find
//! message ends, commands and violations; whole messages are published, a frame under way is not. The body
//! of a frame that is longer than what one read brings gets a buffer of its own, which grows only as octets
//! arrive and is read in place. That of a command goes with its buffer: what lies between messages is held as long
//! as they are.
#![allow(unsafe_code, reason = "writes behind what is published")]

use std::io::IoSliceMut;

use crate::error::ProtocolError;
use crate::frame::{COMMAND, COUNTED, HEADER_MAX, Header, LONG, MORE, NOTE};
use crate::limits::{BEHIND_LARGE_BODY, COPIED_BODY_MAX, PARTS_MAX, SEGMENT_BODIES, TRAFFIC_COMMAND_MAX};
use crate::pipe::budget::Chores;
use crate::pipe::large_body::{LargeBody, Shelf};
use crate::pipe::note;
use crate::pipe::passage::Passage;
use crate::pipe::producer::{Producer, Refused};

/// Why skimming stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skimmed {
    /// The application's end is gone.
    Closed,
    /// No chores are left; there is more in the pipe's own octets.
    Cut,
    /// The high-water mark is reached; there may be more messages in the pipe's own octets.
    Full,
    /// All that was read is skimmed.
    Dry,
}

/// Room for one vectored read.
pub(crate) type Room<'a> = [IoSliceMut<'a>; 2];

/// The octet-wise writing end of a pipe.
#[derive(Debug)]
pub(crate) struct Intake {
    producer: Producer,
    /// End of the octets in the tail; those behind what the producer counts as written are not skimmed.
    raw_end: usize,
    /// Octets that the frame under way takes in all, as far as is known.
    needed: usize,
    /// Frames of the message under way.
    parts: u32,
    /// Octets of their bodies, as the headers say.
    octets: u64,
    has_news: bool,
    large: Option<LargeBody>,
    shelf: Shelf,
}

impl Intake {
    pub(super) fn new(producer: Producer) -> Self {
        let raw_end = producer.written.octets as usize;
        Self {
            producer,
            raw_end,
            needed: 0,
            parts: 0,
            octets: 0,
            has_news: false,
            large: None,
            shelf: Shelf::default(),
        }
    }

    /// Lends room for one read, never empty, and tells how large it is: the tail; or the rest of a large body
    /// and, behind its end, some of the tail, so that one read brings the next header too.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::FrameTooLarge`] when memory for a large body is refused.
    #[inline]
    pub(crate) fn room(&mut self) -> Result<(Room<'_>, usize), ProtocolError> {
        if self.large.is_none() {
            self.reserve_tail();
        }
        let (body, ends_body): (&mut [u8], bool) = match &mut self.large {
            Some(large) => {
                let left = large.left();
                let room = large.room()?;
                let ends_body = room.len() == left;
                (room, ends_body)
            }
            None => (&mut [], true),
        };
        let from = self.raw_end;
        let tail = self.producer.tail();
        let to = match (body.is_empty(), ends_body) {
            (true, _) => tail.capacity(),
            (false, true) => tail.capacity().min(from + BEHIND_LARGE_BODY),
            (false, false) => from,
        };
        // SAFETY: we are the producer; `raw_end` is behind what is published; we hold no other access.
        let behind = unsafe { tail.spare(from, to) };
        let octets = body.len() + behind.len();
        Ok(([IoSliceMut::new(body), IoSliceMut::new(behind)], octets))
    }

    /// Makes sure that the tail has room: the rest of a frame under way must fit, and a read should bring
    /// many small ones.
    fn reserve_tail(&mut self) {
        let capacity = self.producer.tail().capacity();
        let written = self.producer.written.octets as usize;
        let rest = self.needed.saturating_sub(self.raw_end - written);
        // A frame that has the segment for itself stays there: moved for each read, one that comes octet by octet would
        // leave a segment behind for each of them.
        let least = if written == 0 && rest > 0 { 0 } else { capacity / 4 };
        if capacity - self.raw_end < rest.max(least) {
            self.make_room(1);
        }
    }

    /// `count` octets of the room were filled.
    #[inline]
    pub(crate) fn filled(&mut self, mut count: usize) {
        if let Some(large) = &mut self.large {
            count -= large.filled(count);
        }
        let room = self.producer.tail().capacity() - self.raw_end;
        assert!(count <= room, "a read fills no more than the room it was lent");
        self.raw_end += count;
    }

    /// Takes octets that came behind the handshake.
    pub(crate) fn push(&mut self, octets: &[u8]) {
        if self.producer.tail().capacity() - self.raw_end < octets.len() {
            self.make_room(octets.len());
        }
        // SAFETY: we are the producer; `raw_end` is behind what is published, and the room was checked.
        unsafe { self.producer.tail().write(self.raw_end, octets) };
        self.raw_end += octets.len();
    }

    /// Puts a note for the socket behind everything that was skimmed; it does not count as a message. Nothing
    /// else may be there: called between sessions, or right after a handshake.
    pub(crate) fn note(&mut self, body: &[u8]) {
        self.producer.note(body);
        self.raw_end = self.producer.written.octets as usize;
    }

    /// Tells the socket what became of the connection: see [`Passage`]. Called between sessions, as
    /// [`note`](Self::note).
    pub(crate) fn note_passage(&mut self, note: impl FnOnce(&mut Passage)) {
        if self.producer.ring.note_passage(self.producer.sent(), note) {
            self.note(note::PASSAGE);
        }
    }

    /// Puts a message of one frame behind everything that was skimmed, if there is room, or if it is the last.
    /// Called between sessions, as [`note`](Self::note).
    pub(crate) fn deliver(&mut self, body: &[u8], is_last: bool) {
        if is_last || self.producer.has_room().is_ok() {
            self.producer.deliver(body);
            self.raw_end = self.producer.written.octets as usize;
        }
    }

    /// Finds whole messages in what was read and publishes them. A message has `max_octets` in all its frames at most, and
    /// is refused with the header of the frame that goes beyond. Each command's body goes to `on_command`,
    /// which says whether it is a note for the socket. Goes on as long as there are chores left.
    ///
    /// # Errors
    ///
    /// What the peer did wrong, or `on_command`'s error. Whole messages before it are published.
    #[inline]
    pub(crate) fn skim(
        &mut self,
        max_octets: u64,
        chores: &mut Chores,
        mut on_command: impl FnMut(&[u8]) -> Result<bool, ProtocolError>,
    ) -> Result<Skimmed, ProtocolError> {
        if self.is_skimmed() {
            return Ok(Skimmed::Dry);
        }
        let skimmed = self.skim_frames(max_octets, chores, &mut on_command);
        if self.parts == 0 && self.large.is_none() {
            self.publish();
        }
        skimmed
    }

    /// Whole messages since the pipe was made.
    pub(crate) fn heard(&self) -> u64 {
        self.producer.sent()
    }

    /// Whole messages that the socket has taken, of those since the pipe was made.
    pub(crate) fn taken(&self) -> u64 {
        self.producer.ring.consumed()
    }

    /// Asks to be woken when there is room. `false`: something changed already, look again.
    pub(crate) fn wait_for_room(&mut self) -> bool {
        self.producer.wait_for_room()
    }

    /// Asks to be woken when there is room, or when the first so many messages were taken.
    pub(crate) fn wait_for_room_or_taken(&mut self, taken: u64) -> bool {
        self.producer.wait_for_room_or_taken(taken)
    }

    /// Asks to be woken when the first so many messages were taken. `false`: they are, or never will be.
    pub(crate) fn wait_until_taken(&mut self, taken: u64) -> bool {
        self.producer.wait_until_taken(taken)
    }

    /// See [`Producer::is_left`].
    pub(crate) fn is_left(&self) -> bool {
        self.producer.is_left()
    }

    /// The last octets that came, as far as they are not skimmed.
    pub(crate) fn unskimmed(&mut self) -> &[u8] {
        if self.raw_end == self.producer.written.octets as usize {
            return &[];
        }
        let (from, to) = (self.producer.written.octets as usize, self.raw_end);
        // SAFETY: we are the producer, and nothing is written while the octets are borrowed.
        unsafe { self.producer.tail().octets(from, to) }
    }

    /// Whether buffers of large bodies are kept and used again.
    pub(crate) fn keep_buffers(&self, keep: bool) {
        if keep { self.shelf.open() } else { self.shelf.close() }
    }

    /// Forgets the message under way and octets that were not skimmed: the connection is gone.
    pub(crate) fn roll_back(&mut self) {
        self.producer.roll_back();
        self.raw_end = self.producer.written.octets as usize;
        self.needed = 0;
        self.parts = 0;
        self.octets = 0;
        self.large = None;
    }

    /// Whether a segment is larger than what a quiet pipe keeps.
    pub(crate) fn is_large(&self) -> bool {
        self.producer.is_large()
    }

    /// Gives up what a quiet pipe does not need, if nothing is under way.
    pub(crate) fn rest(&mut self) {
        if self.parts == 0 && !self.has_news && self.is_skimmed() {
            // Behind the last message lie only commands, which are done with.
            self.roll_back();
            self.producer.rest();
            self.raw_end = self.producer.written.octets as usize;
        }
    }

    fn is_skimmed(&self) -> bool {
        self.large.is_none() && self.raw_end == self.producer.written.octets as usize
    }

    /// Emptied segments that are kept.
    #[cfg(test)]
    pub(super) fn spares(&self) -> usize {
        self.producer.spares()
    }

    /// Octets of the segment that is being filled.
    #[cfg(test)]
    pub(super) fn tail_capacity(&mut self) -> usize {
        self.producer.tail().capacity()
    }

    /// Where that is.
    #[cfg(test)]
    pub(super) fn tail_place(&mut self) -> usize {
        std::ptr::from_ref(self.producer.tail()).addr()
    }

    fn skim_frames(
        &mut self,
        max_octets: u64,
        chores: &mut Chores,
        on_command: &mut impl FnMut(&[u8]) -> Result<bool, ProtocolError>,
    ) -> Result<Skimmed, ProtocolError> {
        loop {
            if let Some(reason) = self.end_large(on_command)? {
                return Ok(reason);
            }
            if max_octets >= u64::from(u8::MAX) {
                self.skim_messages(max_octets); // of those in short form none is over the limit
            }
            let from = self.producer.written.octets as usize;
            let raw_end = self.raw_end;
            // SAFETY: we are the producer, and nothing is written while `octets` lives.
            let octets = unsafe { self.producer.tail().octets(from, raw_end) };
            self.needed = HEADER_MAX;
            let Some(header) = Header::parse(octets) else { return Ok(Skimmed::Dry) };
            if !chores.is_any_left() {
                return Ok(Skimmed::Cut);
            }
            let header = header.check(max_octets.max(TRAFFIC_COMMAND_MAX))?;
            let length = usize::try_from(header.body_octets).unwrap_or(usize::MAX);
            if header.is_command() {
                chores.note_command(length)
            } else {
                chores.note(1)
            }
            let total = length.saturating_add(header.header_octets);
            if header.is_command() {
                if header.body_octets > TRAFFIC_COMMAND_MAX {
                    return Err(ProtocolError::CommandTooLarge(header.body_octets));
                }
                let Some(body) = octets.get(header.header_octets..total) else {
                    if length <= COPIED_BODY_MAX {
                        self.needed = total;
                        return Ok(Skimmed::Dry);
                    }
                    self.publish();
                    self.start_large(header, length)?;
                    continue;
                };
                let is_note = on_command(body)?;
                if is_note {
                    if let Some(reason) = self.mark_note(from, header.flags)? {
                        return Ok(reason);
                    }
                }
                self.producer.advance(total);
                if is_note {
                    self.end_frame(false);
                }
                continue;
            }
            header.check(max_octets)?;
            let is_whole = octets.len() >= total;
            let room =
                if self.parts == 0 { self.producer.has_room() } else { self.producer.has_room_to_go_on() };
            match room {
                Ok(()) => {}
                Err(Refused::Full) => return Ok(Skimmed::Full),
                Err(Refused::Closed | Refused::TooLarge) => return Ok(Skimmed::Closed),
            }
            if self.parts >= PARTS_MAX {
                return Err(ProtocolError::TooManyParts);
            }
            let message_octets = self.octets.saturating_add(header.body_octets);
            if message_octets > max_octets {
                return Err(ProtocolError::MessageTooLarge(message_octets));
            }
            if !is_whole && length <= COPIED_BODY_MAX {
                self.needed = total;
                return Ok(Skimmed::Dry);
            }
            if self.parts == 0 && (header.has_more() || !is_whole) {
                self.publish(); // what is whole so far: the message that starts here may take long
            }
            self.octets = message_octets;
            if is_whole {
                self.producer.advance(total);
                self.end_frame(header.has_more());
            } else {
                self.start_large(header, length)?;
            }
        }
    }

    /// The fast path: whole messages of one frame, one after the other.
    #[inline]
    fn skim_messages(&mut self, max_octets: u64) {
        if self.parts != 0 {
            return;
        }
        let from = self.producer.written.octets as usize;
        let raw_end = self.raw_end;
        let room = self.producer.room();
        // SAFETY: we are the producer, and nothing is written while `rest` lives.
        let mut rest = unsafe { self.producer.tail().octets(from, raw_end) };
        let before = rest.len();
        let mut messages = 0;
        while messages < room {
            let next = match *rest {
                [0, size, ref behind @ ..] => behind.get(usize::from(size)..),
                [LONG, a, b, c, d, e, f, g, h, ref behind @ ..] => {
                    let size = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                    if size > max_octets {
                        break;
                    }
                    usize::try_from(size).ok().and_then(|size| behind.get(size..))
                }
                _ => None,
            };
            let Some(next) = next else { break };
            rest = next;
            messages += 1;
        }
        let octets = before - rest.len();
        if messages > 0 {
            self.producer.advance(octets);
            self.producer.end_messages(messages);
            self.has_news = true;
        }
    }

    /// Ends the frame of a large body. Where that is not all there, or is a note for which there is no room: the reason to
    /// stop.
    #[inline]
    fn end_large(
        &mut self,
        on_command: &mut impl FnMut(&[u8]) -> Result<bool, ProtocolError>,
    ) -> Result<Option<Skimmed>, ProtocolError> {
        let Some(large) = &self.large else { return Ok(None) };
        if large.left() > 0 {
            return Ok(Some(Skimmed::Dry));
        }
        let flags = large.flags;
        if flags & COMMAND != 0 {
            let header_at = self.producer.written.octets as usize - HEADER_MAX;
            if !on_command(large.octets())? {
                // What is left of it has no body, and is passed over.
                let empty = [COMMAND | LONG, 0, 0, 0, 0, 0, 0, 0, 0];
                // SAFETY: we are the producer, and the header is behind what is published.
                unsafe { self.producer.tail().write(header_at, &empty) };
                self.large = None;
                return Ok(None);
            }
            if let Some(reason) = self.mark_note(header_at, flags)? {
                return Ok(Some(reason));
            }
        }
        if let Some(large) = self.large.take() {
            self.producer.put_body(large.into_bytes(&self.shelf));
            self.end_frame(flags & MORE != 0);
        }
        Ok(None)
    }

    /// Makes a command, whose header is there, a note for the socket. It counts as a message: it waits for room, and
    /// cannot stand inside another one.
    fn mark_note(&mut self, header_at: usize, flags: u8) -> Result<Option<Skimmed>, ProtocolError> {
        match self.producer.has_room() {
            _ if self.parts > 0 => return Err(ProtocolError::UnexpectedCommand),
            Ok(()) => {}
            Err(Refused::Full) => return Ok(Some(Skimmed::Full)),
            Err(Refused::Closed | Refused::TooLarge) => return Ok(Some(Skimmed::Closed)),
        }
        self.producer.ring.set_noted();
        // SAFETY: we are the producer, and the octet is behind what is published.
        unsafe { self.producer.tail().write(header_at, &[flags | NOTE | COUNTED]) };
        Ok(None)
    }

    fn end_frame(&mut self, has_more: bool) {
        if has_more {
            self.parts += 1;
        } else {
            (self.parts, self.octets) = (0, 0);
            self.producer.end_messages(1);
            self.has_news = true;
        }
    }

    fn publish(&mut self) {
        if std::mem::take(&mut self.has_news) {
            self.producer.publish();
        }
    }

    /// Gives the body behind the header at the write position a buffer of its own.
    fn start_large(&mut self, header: Header, wanted: usize) -> Result<(), ProtocolError> {
        if usize::from(self.producer.written.bodies) == SEGMENT_BODIES {
            self.make_room(0);
            if usize::from(self.producer.written.bodies) == SEGMENT_BODIES {
                self.start_segment(0);
            }
        }
        let from = self.producer.written.octets as usize + header.header_octets;
        let raw_end = self.raw_end;
        // SAFETY: we are the producer, and nothing is written while `start` lives.
        let start = unsafe { self.producer.tail().octets(from, raw_end) };
        let large = LargeBody::new(start, wanted, header.flags, &self.shelf)?;
        self.producer.advance(header.header_octets);
        self.raw_end = from;
        self.needed = 0;
        self.large = Some(large);
        Ok(())
    }

    /// Makes room behind the octets that are not skimmed: for `more`, and for the frame under way.
    #[cold]
    fn make_room(&mut self, more: usize) {
        let kept = self.producer.unpublished_from() as usize;
        let written = self.producer.written.octets as usize;
        if self.parts == 0 && !self.has_news && kept < written {
            // Between the last message and here lie only commands, which are done with.
            let raw_end = self.raw_end;
            // SAFETY: we are the producer; everything from `kept` on is not published.
            let octets = unsafe { self.producer.tail().spare(kept, raw_end) };
            octets.copy_within(written - kept.., 0);
            self.producer.written.octets = u32::try_from(kept).unwrap_or_default();
            self.raw_end = raw_end - (written - kept);
            let capacity = self.producer.tail().capacity();
            let (free, rest) = (capacity - self.raw_end, self.needed.saturating_sub(self.raw_end - kept));
            let fits_alone = kept == 0 && rest > 0 && free >= rest.max(more);
            if fits_alone || free >= (capacity / 2).max(self.needed).max(more) {
                return;
            }
        }
        self.start_segment(more);
    }

    /// Moves the octets that are not skimmed to a new segment.
    fn start_segment(&mut self, more: usize) {
        let from = self.producer.written.octets as usize;
        let unskimmed = self.raw_end - from;
        let old: *const _ = self.producer.tail();
        self.producer.grow(self.needed.max(HEADER_MAX).max(unskimmed + more));
        // SAFETY: the old tail stays live at least until the next publish seals it.
        let old = unsafe { &*old };
        // SAFETY: we are the producer, and write only to the new tail below.
        let octets = unsafe { old.octets(from, self.raw_end) };
        // SAFETY: the new tail has room for them, and nothing of it is published.
        unsafe { self.producer.tail().write(0, octets) };
        self.raw_end = unskimmed;
    }
}
