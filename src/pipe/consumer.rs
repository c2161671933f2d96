//! The reading end: takes whole messages out, one at a time.
//!
//! The application's side of an inbound pipe. It decodes here, on its own thread; small bodies are copied,
//! large ones shared. The session's side of an outbound pipe takes octets instead: [`Drain`](super::Drain).
#![allow(unsafe_code, reason = "reads what is published")]

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use bytes::Bytes;

use crate::frame::{COMMAND, COUNTED, HEADER_MAX, Header, LONG, MORE, NOTE};
use crate::limits::UNREAD_LOOKS;
use crate::message::Message;
use crate::pipe::passage::Passage;
use crate::pipe::ring::Ring;
use crate::pipe::segment::{Segment, Word};
use crate::pipe::taken_body::TakenBody;
use crate::pipe::wake::WakeUp;
use crate::pipe::watch::Streak;
use crate::sync::{Arc, do_each};

/// Why no message can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoMessage {
    /// The other end is gone and everything was taken.
    Closed,
    /// Nothing is published that was not taken.
    Dry,
}

/// What was taken out of a pipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Taken {
    #[default]
    Message,
    /// The first frame of the message is the body of a command that the session left for the socket.
    Note,
}

/// A place in the chain, and what was passed in its segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) segment: NonNull<Segment>,
    /// Segments before this one: what orders two places.
    pub(super) ordinal: u64,
    pub(super) octets: u32,
    pub(super) bodies: u8,
    pub(super) messages: u32,
}

impl Position {
    pub(super) fn first(segment: NonNull<Segment>) -> Self {
        Self { segment, ordinal: 0, octets: 0, bodies: 0, messages: 0 }
    }

    /// The start of the segment behind a sealed one.
    pub(super) fn behind(self, sealed: &Segment) -> Self {
        let Some(next) = sealed.next() else { unreachable!("a sealed segment has a next one") };
        Self { ordinal: self.ordinal + 1, ..Self::first(next) }
    }

    /// The place in this segment behind everything that `word` publishes.
    pub(super) fn end_of(self, word: Word) -> Self {
        Self { octets: word.octets, bodies: word.bodies, messages: word.messages, ..self }
    }

    /// Moves on to `end` in the same segment, drops the bodies that lie between and returns their octets.
    ///
    /// # Safety
    ///
    /// The caller is the consumer, `self` is what it has taken, the segment is live and has published
    /// everything up to `end`.
    #[inline]
    pub(super) unsafe fn move_to(&mut self, end: Self) -> usize {
        let from = self.bodies;
        // Moved before anything is dropped: the drop of a body is foreign code and may panic.
        *self = end;
        if from == end.bodies {
            return 0;
        }
        // SAFETY: as the caller has promised.
        unsafe { end.drop_bodies(from) }
    }

    /// Drops the bodies from this one on, and returns their octets.
    ///
    /// # Safety
    ///
    /// As for [`move_to`](Self::move_to).
    unsafe fn drop_bodies(self, from: u8) -> usize {
        let mut octets = 0;
        // SAFETY: live by the caller's promise.
        let segment = unsafe { self.segment.as_ref() };
        do_each(from..self.bodies, |index| {
            // SAFETY: published by the caller's promise; the place counted those that were taken before.
            let body = unsafe { segment.take_body(usize::from(index)) };
            octets += body.len();
        });
        octets
    }

    /// What orders places in one chain.
    pub(super) fn order(self) -> (u64, u32, u8) {
        (self.ordinal, self.octets, self.bodies)
    }
}

/// The reading end of a pipe.
pub(crate) struct Consumer {
    pub(super) ring: Arc<Ring>,
    /// Up to here everything was taken; `None` until the producer has started the chain.
    pub(super) taken: Option<Position>,
    /// What `taken.segment` had published at the last look.
    limit: Word,
    /// Messages taken since the pipe was made.
    pub(super) received: u64,
    streak: Streak,
}

// SAFETY: the raw pointers lead to segments of the one chain, of which the consumer touches only what was
// published with Release. `&mut self` and no `Clone` keep it the only consumer.
unsafe impl Send for Consumer {}

impl Consumer {
    /// Passages that nobody has taken.
    #[cfg(test)]
    pub(super) fn passages(&self) -> usize {
        self.ring.passages()
    }

    /// What became of connections, when a note says that something did.
    pub(super) fn take_passage(&mut self) -> Option<Passage> {
        self.ring.take_passage()
    }

    pub(super) fn new(ring: Arc<Ring>) -> Self {
        Self { ring, taken: None, limit: Word::default(), received: 0, streak: Streak::default() }
    }

    /// Takes the next message into `message`, whose first frame's allocation is used again. Passes over notes.
    #[inline]
    pub(crate) fn try_recv(&mut self, message: &mut Message) -> Result<(), NoMessage> {
        if self.take_small(message) { Ok(()) } else { self.recv_any(message) }
    }

    /// Takes the next message or note into `message`.
    #[inline]
    pub(crate) fn try_take(&mut self, message: &mut Message) -> Result<Taken, NoMessage> {
        if self.take_small(message) { Ok(Taken::Message) } else { self.take_any(message) }
    }

    /// The fast path: a message of one frame in short form, if that is what comes next; else one in long form whose body
    /// lies among the octets.
    #[inline]
    fn take_small(&mut self, message: &mut Message) -> bool {
        let limit = self.limit;
        // Not while bodies by reference are in view, which leave only their headers among the octets.
        let Some(taken) = self.taken.as_mut().filter(|taken| taken.bodies == limit.bodies) else {
            return false;
        };
        // SAFETY: the segment is live until we pass its end, which is not here.
        let segment = unsafe { &*taken.segment.as_ptr() };
        // SAFETY: we are the consumer, and `limit` is what we saw published.
        let octets = unsafe { segment.octets(taken.octets as usize, limit.octets as usize) };
        let [0, size, rest @ ..] = octets else {
            let is_taken = take_long(taken, octets, message);
            if is_taken {
                self.count_message();
            }
            return is_taken;
        };
        let Some(body) = rest.get(..usize::from(*size)) else { return false };
        message.start().assign(body);
        taken.octets += 2 + u32::from(*size);
        self.count_message();
        true
    }

    #[inline(never)]
    fn recv_any(&mut self, message: &mut Message) -> Result<(), NoMessage> {
        while self.take_any(message)? == Taken::Note {}
        Ok(())
    }

    #[inline(never)]
    fn take_any(&mut self, message: &mut Message) -> Result<Taken, NoMessage> {
        let mut is_first = true;
        let mut taken = Taken::Message;
        loop {
            let (flags, body) = self.next_frame()?;
            if flags & COMMAND != 0 {
                if flags & NOTE == 0 {
                    continue; // the session has answered it
                }
                taken = Taken::Note;
                if flags & COUNTED == 0 {
                    body.copy_to(message.start());
                    return Ok(taken);
                }
            }
            let frame = if is_first { message.start() } else { message.add() };
            body.copy_to(frame);
            is_first = false;
            if flags & MORE == 0 {
                break;
            }
        }
        self.count_message();
        Ok(taken)
    }

    #[inline]
    pub(super) fn count_message(&mut self) {
        if let Some(taken) = &mut self.taken {
            taken.messages += 1;
        }
        self.received += 1;
        self.ring.consume(self.received);
        #[cfg(test)]
        crate::pipe::Tally::note_message();
    }

    /// Watches for messages for a moment, if many came since it waited last. Whether there are some.
    pub(crate) fn watch_for_messages(&mut self) -> bool {
        let mut streak = self.streak;
        let is_there = streak.watch(self.received, || self.refill());
        self.streak = streak;
        is_there
    }

    /// Asks to be woken at the next publish. `false`: something is there already, look again.
    pub(crate) fn wait_for_messages(&mut self) -> bool {
        if self.ring.is_reader_told() {
            return true;
        }
        let ring = Arc::clone(&self.ring);
        ring.wait_for_messages(|| self.refill())
    }

    /// The same while nothing can be published.
    pub(crate) fn wait_for_messages_alone(&mut self) -> bool {
        let is_dry = !self.refill();
        self.ring.wait_for_messages_alone(is_dry)
    }

    /// Changes the high-water mark; `None` is no limit. The producer sees it when it seems full.
    pub(crate) fn set_limit(&mut self, limit: Option<u64>) {
        self.ring.raise_limit(limit);
    }

    /// Whoever waits for messages of this pipe is told through `wake_up`.
    pub(crate) fn set_wake_up(&mut self, wake_up: WakeUp) {
        self.ring.set_reader(wake_up);
    }

    /// Whether the last look at the pipe saw more than was taken since.
    #[inline]
    pub(crate) fn has_in_view(&self) -> bool {
        self.taken.is_some_and(|taken| taken.octets != self.limit.octets)
    }

    /// Whether messages may be there, or the news that none will come.
    #[inline]
    pub(crate) fn may_have_more(&mut self) -> bool {
        self.taken.is_none_or(|taken| taken.octets != self.limit.octets)
            || self.ring.is_producer_gone()
            || self.refill()
    }

    /// Whether the other end is gone; messages may be left.
    pub(crate) fn is_producer_gone(&self) -> bool {
        self.ring.is_producer_gone()
    }

    /// Whether the other end is gone and no message is left to take.
    pub(crate) fn is_finished(&mut self) -> bool {
        self.ring.is_producer_gone() && !self.has_message()
    }

    /// Messages that are published and were not taken; without notes and commands. Where there are notes that count,
    /// frames are looked at, but not more than [`UNREAD_LOOKS`]: what is behind those counts, whatever it is.
    pub(crate) fn unread(&mut self) -> u64 {
        // First: whether there are notes among these is known then.
        let waiting = self.waiting();
        if !self.ring.is_noted() {
            return waiting;
        }
        if !self.refill() {
            return 0;
        }
        let (mut at, mut messages, mut notes) = (self.taken, 0, 0);
        for _ in 0..UNREAD_LOOKS {
            let Some((behind, flags)) = at.and_then(frame_end) else { return messages };
            at = Some(behind);
            #[cfg(test)]
            crate::pipe::Tally::note_chores(1);
            messages += u64::from(flags & (COMMAND | MORE) == 0);
            notes += u64::from(flags & COUNTED != 0);
        }
        messages.max(waiting.saturating_sub(notes))
    }

    /// Octets of frames that were taken, with their headers, since the pipe was made.
    pub(crate) fn octets(&self) -> u64 {
        self.ring.freed() + self.taken.map_or(0, |taken| u64::from(taken.octets))
    }

    /// Messages taken since the pipe was made.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Messages that are published and were not taken, notes that count as such included: one look at each segment.
    pub(crate) fn waiting(&self) -> u64 {
        let Some(mut at) = self.taken.or_else(|| self.ring.first().map(Position::first)) else { return 0 };
        let mut messages = 0;
        loop {
            // SAFETY: at or behind what was taken, which only this end lets go.
            let segment = unsafe { at.segment.as_ref() };
            let word = segment.published();
            messages += u64::from(word.messages.saturating_sub(at.messages));
            if !word.is_sealed {
                return messages;
            }
            at = at.behind(segment);
        }
    }

    /// Whether a message is published; passes over commands before it, which the session has answered.
    pub(crate) fn has_message(&mut self) -> bool {
        while self.refill() {
            let Some(Position { segment, octets, .. }) = self.taken else { return false };
            // SAFETY: the segment is live until we pass its end.
            let segment = unsafe { segment.as_ref() };
            // SAFETY: we are the consumer, and `limit` is what we saw published.
            let unread = unsafe { segment.octets(octets as usize, self.limit.octets as usize) };
            if unread.first().is_none_or(|flags| flags & (COMMAND | NOTE) != COMMAND)
                || self.next_frame().is_err()
            {
                return true;
            }
        }
        false
    }

    /// The next frame of what is published, which is whole messages only: after a first frame of a message
    /// the others are there.
    #[inline]
    pub(super) fn next_frame(&mut self) -> Result<(u8, TakenBody<'_>), NoMessage> {
        if self.taken.is_none_or(|taken| taken.octets == self.limit.octets) && !self.refill() {
            return Err(self.why_dry());
        }
        let limit = self.limit;
        let Some(taken) = &mut self.taken else { return Err(NoMessage::Dry) };
        // SAFETY: the segment is live until we pass its end, and the borrow of `self` keeps us here.
        let segment = unsafe { &*taken.segment.as_ptr() };
        // SAFETY: we are the consumer, and `limit` is what we saw published.
        let octets = unsafe { segment.octets(taken.octets as usize, limit.octets as usize) };
        let [flags, size, rest @ ..] = octets else { unreachable!("whole frames are published") };
        if flags & LONG == 0 && (limit.bodies == taken.bodies) {
            let Some(body) = rest.get(..usize::from(*size)) else {
                unreachable!("whole frames are published")
            };
            taken.octets += 2 + u32::from(*size);
            return Ok((*flags, TakenBody::Copied(body)));
        }
        let (flags, body) = Self::long_frame(&self.ring, segment, taken, limit, octets);
        #[cfg(test)]
        crate::pipe::Tally::note_octets(body.len());
        Ok((flags, body))
    }

    #[allow(clippy::cast_possible_truncation, reason = "a segment has less than 2^24 octets")]
    fn long_frame<'a>(
        ring: &Ring,
        segment: &'a Segment,
        taken: &mut Position,
        limit: Word,
        octets: &'a [u8],
    ) -> (u8, TakenBody<'a>) {
        let Some(header) = Header::parse(octets) else { unreachable!("whole frames are published") };
        taken.octets += header.header_octets as u32;
        if taken.bodies < limit.bodies {
            let index = usize::from(taken.bodies);
            // SAFETY: published, and not taken: `taken.bodies` counts those that are.
            let (at, _) = unsafe { segment.body(index) };
            if at == taken.octets {
                taken.bodies += 1;
                // SAFETY: as above; the count has passed it, so it is taken once.
                let body = unsafe { segment.take_body(index) };
                ring.free(body.len());
                return (header.flags, TakenBody::Shared(body));
            }
        }
        let start = header.header_octets;
        let Some(body) = octets.get(start..start + header.body_octets as usize) else {
            unreachable!("whole frames are published")
        };
        taken.octets += body.len() as u32;
        (header.flags, TakenBody::Copied(body))
    }

    /// Looks at what is published now, and walks on to the next segment behind a sealed one. `false`: all
    /// is taken.
    #[cold]
    fn refill(&mut self) -> bool {
        let mut taken = match self.taken {
            Some(taken) => taken,
            None => match self.ring.take_first() {
                Some(first) => *self.taken.insert(Position::first(first)),
                None => return false,
            },
        };
        loop {
            // SAFETY: the segment is live until we give it back below.
            let segment = unsafe { taken.segment.as_ref() };
            let limit = segment.published();
            self.limit = limit;
            if limit.octets > taken.octets {
                return true;
            }
            if !limit.is_sealed {
                return false;
            }
            let emptied = taken.segment;
            self.ring.free(limit.octets as usize);
            taken = taken.behind(segment);
            self.taken = Some(taken);
            self.ring.give_spare(emptied);
        }
    }

    /// Drops the bodies that are published. One that panics is behind what is left.
    fn drop_bodies(&mut self) {
        // Always a new look: a drain moves `taken` on past the segment that `limit` speaks of.
        while self.refill() {
            let Some(taken) = &mut self.taken else { break };
            // SAFETY: live until we give it back, and `limit` is what it has published.
            unsafe { taken.move_to(taken.end_of(self.limit)) };
        }
    }

    fn why_dry(&mut self) -> NoMessage {
        // The order matters: what was published before the producer went is there after this load.
        if self.ring.is_producer_gone() && !self.refill() { NoMessage::Closed } else { NoMessage::Dry }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let octets = self.octets();
        self.ring.note_left(self.received + self.waiting());
        // Large bodies go now, not when the producer's end goes.
        do_each([Rest { consumer: self, octets }], |rest| rest.consumer.drop_bodies());
    }
}

/// What is left to be done when a consumer has dropped all bodies, or one that panics.
struct Rest<'a> {
    consumer: &'a mut Consumer,
    /// Octets that were taken.
    octets: u64,
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        let Self { consumer, octets } = self;
        while catch_unwind(AssertUnwindSafe(|| consumer.drop_bodies())).is_err() {}
        consumer.ring.set_freed(*octets);
        let rest = consumer.taken.map(|taken| (taken.segment, usize::from(taken.bodies)));
        consumer.ring.consumer_gone(rest);
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("received", &self.received).finish_non_exhaustive()
    }
}

/// The end of the frame that starts at `at`, and its flags; `None` when nothing is published there.
#[inline]
pub(super) fn frame_end(at: Position) -> Option<(Position, u8)> {
    find_frame(at).map(|(behind, header, ..)| (behind, header.flags))
}

/// The frame that starts at `at`: its end, its flags and its body. `None` when nothing is published there.
///
/// The caller holds the consumer of the chain as long as it holds the body.
#[allow(clippy::cast_possible_truncation, reason = "a segment has less than 2^24 octets")]
pub(super) fn frame_at<'a>(at: Position) -> Option<(Position, u8, &'a [u8])> {
    let (behind, header, body, octets) = find_frame(at)?;
    let start = header.header_octets;
    let copied = || octets.get(start..start + header.body_octets as usize);
    let Some(body) = body.map(|body| &body[..]).or_else(copied) else {
        unreachable!("whole frames are published")
    };
    Some((behind, header.flags, body))
}

/// A frame: its end, its header, its body if that is shared, and what is published of its segment from its start on.
type Found<'a> = (Position, Header, Option<&'a Bytes>, &'a [u8]);

/// The frame that starts at `at`, which is at or behind what was taken.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a segment has less than 2^24 octets")]
fn find_frame<'a>(mut at: Position) -> Option<Found<'a>> {
    loop {
        // SAFETY: the callers start at or behind `taken`, so the segment is live, and only this end lets it go.
        let segment = unsafe { &*at.segment.as_ptr() };
        let word = segment.published();
        if at.octets == word.octets {
            if !word.is_sealed {
                return None;
            }
            at = at.behind(segment);
            continue;
        }
        // SAFETY: we are the consumer, and `word` is published.
        let octets = unsafe { segment.octets(at.octets as usize, word.octets as usize) };
        let Some(header) = Header::parse(octets) else { unreachable!("whole frames are published") };
        at.octets += header.header_octets as u32;
        let body = body_at(segment, at.bodies, word.bodies).filter(|(before, _)| *before == at.octets);
        match body {
            Some(_) => at.bodies += 1,
            None => at.octets += header.body_octets as u32,
        }
        return Some((at, header, body.map(|(_, body)| body), octets));
    }
}

/// Body `index` of what `segment` publishes, and the octet it comes before.
pub(super) fn body_at(segment: &Segment, index: u8, published: u8) -> Option<(u32, &Bytes)> {
    if index < published {
        // SAFETY: published, and not taken: the callers pass the index of a place at or behind `taken`.
        Some(unsafe { segment.body(usize::from(index)) })
    } else {
        None
    }
}

/// Takes what comes next if it is a message of one frame in long form whose body lies among these octets.
#[inline(never)]
#[allow(clippy::cast_possible_truncation, reason = "a segment has less than 2^24 octets")]
fn take_long(taken: &mut Position, octets: &[u8], message: &mut Message) -> bool {
    let &[LONG, a, b, c, d, e, f, g, h, ref rest @ ..] = octets else { return false };
    let size = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let Some(body) = usize::try_from(size).ok().and_then(|size| rest.get(..size)) else { return false };
    message.start().assign(body);
    taken.octets += (HEADER_MAX + body.len()) as u32;
    #[cfg(test)]
    crate::pipe::Tally::note_octets(body.len());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe::{Chores, Tally, pipe};

    #[test]
    fn what_is_unread_is_told_with_so_many_looks() {
        let (producer, mut consumer) = pipe(None);
        let mut intake = producer.into_intake();
        let mut say = |octets: &[u8]| {
            let (mut room, size) = intake.room().unwrap();
            let count = std::io::Read::read_vectored(&mut &octets[..], &mut room).unwrap();
            assert!(count == octets.len() && count < size);
            intake.filled(count);
            intake.skim(u64::MAX, &mut Chores::of_turn(), |_| Ok(true)).unwrap();
        };
        let (note, message) = (b"\x04\x01n", b"\x01\0\x01\0\0\0");
        say(note);
        (0..1000).for_each(|_| say(message));
        say(note);
        assert_eq!(consumer.unread(), 1000);
        (0..1000).for_each(|_| say(message));
        let (unread, tally) = Tally::of(|| consumer.unread());
        assert_eq!((unread, tally.all.chores), (2000, u64::from(UNREAD_LOOKS)));
        // Behind so many frames everything counts.
        say(note);
        assert_eq!(consumer.unread(), 2001);
    }
}
