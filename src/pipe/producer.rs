//! The writing end: frames messages into the tail segment and publishes whole messages.
//!
//! Half a message cannot be seen: frames are written behind what is published, and one store per publish
//! moves that mark. Rolling back is moving the write position back to the mark.
#![allow(unsafe_code, reason = "writes behind what is published")]

use std::fmt;
use std::ptr::NonNull;

use bytes::Bytes;

use crate::frame::{COMMAND, HEADER_MAX, MORE, NOTE, SHORT_BODY_MAX, encode_header};
use crate::limits::{BATCH_OCTETS, COPIED_BODY_MAX, SEGMENT_BODIES, SEGMENT_OCTETS_MAX, SEGMENT_OCTETS_MIN};
use crate::message::{Frame, Payload, PayloadKind};
use crate::pipe::outstanding::Outstanding;
use crate::pipe::ring::Ring;
use crate::pipe::segment::{Packed, Segment, Word};
use crate::pipe::wake::WakeUp;
use crate::pipe::watch::{Streak, watch};
use crate::sync::{Arc, do_each};

/// Why a pipe takes no message now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The other end is gone; nothing will ever be read.
    Closed,
    /// The high-water mark is reached.
    Full,
    /// The other end takes no message of this size, or of so many parts.
    TooLarge,
}

/// The part of the chain that the producer works on.
#[derive(Clone, Copy)]
pub(super) struct Chain {
    /// Where frames are written.
    pub(super) tail: NonNull<Segment>,
    /// The last segment that the consumer can see; the tail, unless a message under way outgrew it.
    pub(super) visible: NonNull<Segment>,
    /// What `visible` will publish once the message under way ends in another segment.
    sealed: Word,
    /// What `visible` has published: the end of the last whole message.
    /// As it was stored: copying the fields right after they were written one by one stalls the processor.
    pub(super) mark: Packed,
}

/// The writing end of a pipe.
pub(crate) struct Producer {
    pub(super) ring: Arc<Ring>,
    pub(super) chain: Option<Chain>,
    /// What of the tail is written: octets, bodies, and messages that end in it.
    pub(super) written: Word,
    /// Whole messages since the pipe was made.
    sent: u64,
    /// How far `sent` may go before the consumer's progress is looked at again.
    credit: u64,
    pub(super) next_capacity: usize,
    /// Octets in filled segments and in bodies by reference since the last batch.
    batch_octets: usize,
    /// How many of them are a batch.
    batch_max: usize,
    /// The same, less the bodies by reference.
    copied_octets: usize,
    /// What `sent` was at the last batch of copied octets.
    batch_at: u64,
    streak: Streak,
    /// Longest body that is copied.
    pub(super) copied_max: usize,
    /// Longest message that is taken, all its frames together.
    pub(super) message_max: usize,
    /// Octets of filled segments and of bodies by reference since the pipe was made.
    pub(super) octets: u64,
    /// Most of them that the consumer may not have let go.
    octets_limit: u64,
    segment_max: usize,
    /// The other end is known to be gone, or to go: nothing more is taken.
    is_cut_off: bool,
    /// Whoever sends looks after a consumer that waits, in [`take_due`](Self::take_due).
    is_attended: bool,
    /// The consumer waited, and has not been woken.
    is_due: bool,
}

// SAFETY: the raw pointers lead to segments of the one chain; what the producer writes there is its own
// until it is published with Release. `&mut self` and no `Clone` keep it the only producer.
unsafe impl Send for Producer {}

impl Producer {
    pub(super) fn new(ring: Arc<Ring>) -> Self {
        let credit = ring.limit();
        Self {
            ring,
            chain: None,
            written: Word::default(),
            sent: 0,
            credit,
            next_capacity: SEGMENT_OCTETS_MIN,
            batch_octets: 0,
            batch_max: BATCH_OCTETS,
            copied_octets: 0,
            batch_at: 0,
            streak: Streak::default(),
            copied_max: COPIED_BODY_MAX,
            message_max: usize::MAX,
            octets: 0,
            octets_limit: u64::MAX,
            segment_max: SEGMENT_OCTETS_MAX,
            is_cut_off: false,
            is_attended: false,
            is_due: false,
        }
    }

    /// Frames one message and publishes it. On success the payload is copied or moved out; else it is whole.
    #[inline]
    pub(crate) fn try_send(&mut self, payload: &mut Payload<'_>) -> Result<(), Refused> {
        self.has_room()?;
        if !self.write_small(payload) {
            self.fits(&[], payload)?;
            self.write(payload);
        }
        self.end_messages(1);
        self.publish();
        Ok(())
    }

    /// The fast path: one frame that is copied, if it fits the tail.
    #[inline]
    fn write_small(&mut self, payload: &Payload<'_>) -> bool {
        let (Some(body), Some(chain)) = (payload.only_body(), &self.chain) else { return false };
        // SAFETY: the tail is live.
        let tail = unsafe { &*chain.tail.as_ptr() };
        let at = self.written.octets as usize;
        let room = tail.capacity() - at;
        let header_octets = if body.len() <= SHORT_BODY_MAX { 2 } else { HEADER_MAX };
        if body.len() > self.copied_max || room < header_octets + body.len() {
            return false;
        }
        // SAFETY: we are the producer, `at` is behind what is published, and the room was checked.
        let octets = unsafe { tail.write_frame(at, 0, body) };
        self.advance(octets);
        true
    }

    /// Frames one message with other frames in front, as [`try_send`](Self::try_send) does.
    #[inline]
    pub(crate) fn try_send_behind(
        &mut self,
        envelope: &[Frame],
        payload: &mut Payload<'_>,
    ) -> Result<(), Refused> {
        self.has_room()?;
        self.fits(envelope, payload)?;
        for frame in envelope {
            self.write_frame(MORE, frame);
        }
        self.write(payload);
        self.end_messages(1);
        self.publish();
        Ok(())
    }

    /// Frames the payload's frames behind what is written.
    fn write(&mut self, payload: &mut Payload<'_>) {
        match &mut payload.0 {
            PayloadKind::Slice(body) => self.write_slice(body),
            PayloadKind::Borrowed(first, rest) => {
                self.write_frame(flags(rest.is_empty()), first);
                for (left, frame) in (0..rest.len()).rev().zip(*rest) {
                    self.write_frame(flags(left == 0), frame);
                }
            }
            PayloadKind::Owned(message) => {
                let (first, rest) = message.first_and_rest_mut();
                self.move_frame(flags(rest.is_empty()), first);
                for (left, frame) in (0..rest.len()).rev().zip(rest) {
                    self.move_frame(flags(left == 0), frame);
                }
            }
        }
    }

    /// Publishes a note for the socket at the other end, which does not count as a message.
    pub(crate) fn note(&mut self, body: &[u8]) {
        self.write_copied(COMMAND | NOTE, body);
        self.publish();
    }

    /// Publishes a message of one frame, also beyond the high-water mark.
    pub(crate) fn deliver(&mut self, body: &[u8]) {
        self.write_slice(body);
        self.end_messages(1);
        self.credit = self.credit.max(self.sent);
        self.publish();
    }

    /// Takes no more messages: nobody will read them. Without this, as many as there is credit for would be
    /// taken before the other end is looked at again.
    pub(crate) fn cut_off(&mut self) {
        self.is_cut_off = true;
        self.credit = self.sent;
    }

    /// Whether nobody will read what is written.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_cut_off || self.ring.is_consumer_gone()
    }

    /// Whether nobody will take anything more of what is published, or has counted it: dear, for the end of a
    /// connection.
    pub(crate) fn is_left(&self) -> bool {
        self.is_cut_off || self.ring.is_left()
    }

    /// Whether a message would be taken now.
    #[inline]
    pub(crate) fn has_room(&mut self) -> Result<(), Refused> {
        if self.sent == self.credit { self.refresh_credit() } else { Ok(()) }
    }

    /// Whether a message under way may grow: its octets count, and wait as those of a new one would. One that has the pipe
    /// for itself may.
    pub(super) fn has_room_to_go_on(&self) -> Result<(), Refused> {
        if self.octets_limit == u64::MAX || self.has_octets_left() { Ok(()) } else { Err(Refused::Full) }
    }

    /// Watches for room for a moment, if many messages went since it waited last. Whether there is some.
    pub(crate) fn watch_for_room(&mut self) -> bool {
        let resume_at = self.resume_at();
        self.streak.watch(self.sent, || self.ring.consumed() >= resume_at || self.ring.is_consumer_gone())
    }

    /// Gives a consumer that is more than a batch of copied octets behind a moment, so that what is queued
    /// stays in the cache.
    pub(crate) fn let_catch_up(&mut self) {
        if std::mem::take(&mut self.copied_octets) < BATCH_OCTETS {
            return;
        }
        let caught_up = std::mem::replace(&mut self.batch_at, self.sent);
        let _ = watch(|| self.ring.consumed() >= caught_up || self.ring.is_consumer_gone());
    }

    /// Whether the consumer has let go of enough octets. A pipe that it has emptied has room for any message.
    pub(super) fn has_octets_left(&self) -> bool {
        self.octets.saturating_sub(self.ring.freed()) < self.octets_limit || self.ring.consumed() == self.sent
    }

    /// Sets a high-water mark in octets beside the one in messages. It is exact to a segment, of which four
    /// fit.
    pub(crate) fn limit_octets(&mut self, limit: u64) {
        self.octets_limit = limit;
        let quarter = usize::try_from(limit / 4).unwrap_or(usize::MAX);
        self.segment_max = quarter.clamp(SEGMENT_OCTETS_MIN, SEGMENT_OCTETS_MAX);
    }

    /// Sets how many octets are a batch: a part of what stays in the cache, if there are many pipes.
    pub(crate) fn set_batch(&mut self, octets: usize) {
        self.batch_max = octets;
        self.segment_max = self.segment_max.min(octets);
    }

    /// More octets were written: the next message has to look whether there is room for it.
    fn count_octets(&mut self, octets: usize) {
        self.octets += octets as u64;
        if self.octets_limit != u64::MAX {
            self.credit = self.credit.min(self.sent + 1);
        }
    }

    /// Whether a batch's worth of octets was written since this last said so, or the consumer waits: a good moment
    /// to hand them on.
    #[inline]
    pub(crate) fn take_batch(&mut self) -> bool {
        let is_batch = self.batch_octets >= self.batch_max;
        if is_batch {
            self.batch_octets = 0;
        }
        is_batch
    }

    /// From now on whoever sends asks [`take_batch`](Self::take_batch) after each message, and then
    /// [`take_due`](Self::take_due): a consumer that waits is not woken otherwise.
    pub(crate) fn attend(&mut self) {
        self.is_attended = true;
    }

    /// Whether the consumer waits, and is now the caller's to wake.
    pub(crate) fn take_due(&mut self) -> bool {
        std::mem::take(&mut self.is_due)
    }

    /// The consumer waits.
    #[cold]
    fn wake_reader(&mut self) {
        if !self.is_attended {
            self.ring.wake_reader();
        } else if self.ring.take_waiting_reader() {
            self.is_due = true;
            self.batch_octets = self.batch_octets.max(self.batch_max);
        }
    }

    /// Tells what becomes of what is queued now.
    pub(crate) fn outstanding(&self) -> Outstanding {
        Outstanding::new(Arc::clone(&self.ring), self.sent)
    }

    /// Whoever waits for room in this pipe is told through `wake_up`.
    pub(crate) fn set_wake_up(&mut self, wake_up: WakeUp) {
        self.ring.set_writer(wake_up);
    }

    /// Bodies longer than `octets` travel by reference.
    pub(crate) fn share_above(&mut self, octets: usize) {
        self.copied_max = octets.min(self.message_max);
    }

    /// Changes the high-water mark; `None` is no limit.
    pub(crate) fn set_limit(&mut self, limit: Option<u64>) {
        self.ring.set_limit(limit);
        self.credit = self.sent;
    }

    /// Whole messages since the pipe was made.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Messages that surely find room.
    #[inline]
    pub(super) fn room(&mut self) -> u64 {
        if self.has_room().is_ok() { self.credit - self.sent } else { 0 }
    }

    /// Counts `count` whole messages that end at or before the write position, in the tail.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a segment has less than 2^24 messages")]
    pub(super) fn end_messages(&mut self, count: u64) {
        self.written.messages += count as u32;
        self.sent += count;
    }

    /// Shows all that is written to the consumer, and wakes it if it waits. Called at a message end.
    #[inline]
    pub(super) fn publish(&mut self) {
        let Some(chain) = &mut self.chain else { return };
        let word = self.written.pack();
        // SAFETY: the tail is live: the consumer frees a segment only after it is sealed.
        unsafe { Segment::publish(chain.tail, word) };
        chain.mark = word;
        if chain.visible != chain.tail {
            // The tail's word is stored; only now may the consumer walk on to it.
            // SAFETY: live until the consumer sees it sealed, which this store does; not touched after.
            unsafe { Segment::publish(chain.visible, chain.sealed.pack()) };
            chain.visible = chain.tail;
        }
        if self.ring.is_reader_waiting() {
            self.wake_reader();
        }
    }

    /// Forgets what is written behind the last whole message.
    pub(super) fn roll_back(&mut self) {
        do_each(self.take_back(), drop);
    }

    /// The same. Returns the bodies, to be dropped last: that is foreign code, which may panic.
    fn take_back(&mut self) -> Vec<Bytes> {
        let Some(chain) = &mut self.chain else { return Vec::new() };
        // SAFETY: live: the consumer has not seen it sealed.
        let visible = unsafe { chain.visible.as_ref() };
        let in_visible = if chain.visible == chain.tail { self.written } else { chain.sealed };
        let (mark, old_tail, in_tail) = (chain.mark.word(), chain.tail, self.written);
        let mut unseen = if chain.visible == old_tail { None } else { visible.next() };
        visible.unlink();
        chain.tail = chain.visible;
        self.written = mark;
        if unseen.is_some() {
            self.octets -= u64::from(in_visible.octets);
        }
        let mut bodies = Vec::new();
        for index in mark.bodies..in_visible.bodies {
            // SAFETY: written by us, not published, taken once.
            bodies.push(unsafe { visible.take_body(usize::from(index)) });
        }
        while let Some(segment) = unseen {
            // SAFETY: behind the visible segment, so only we can reach it.
            let block = unsafe { segment.as_ref() };
            let is_tail = segment == old_tail;
            let word = if is_tail { in_tail } else { block.published() };
            if !is_tail {
                self.octets -= u64::from(word.octets);
            }
            for index in 0..usize::from(word.bodies) {
                // SAFETY: written by us, not visible, taken once.
                bodies.push(unsafe { block.take_body(index) });
            }
            unseen = if is_tail { None } else { block.next() };
            // SAFETY: only we can reach it, and we go on from `unseen`.
            unsafe { Segment::free(segment) };
        }
        self.octets -= bodies.iter().map(|body| body.len() as u64).sum::<u64>();
        bodies
    }

    /// The tail segment; the first call makes it.
    #[inline]
    pub(super) fn tail(&mut self) -> &Segment {
        let tail = match &self.chain {
            Some(chain) => chain.tail,
            None => self.start(),
        };
        // SAFETY: the tail is live, and the borrow of `self` keeps it the tail.
        unsafe { &*tail.as_ptr() }
    }

    /// Octets of the tail behind what is published: what is written but belongs to no whole message yet.
    pub(super) fn unpublished_from(&self) -> u32 {
        match &self.chain {
            Some(chain) if chain.visible == chain.tail => chain.mark.word().octets,
            _ => 0,
        }
    }

    /// Starts a new tail with room for `needed` octets.
    #[cold]
    pub(super) fn grow(&mut self, needed: usize) {
        let capacity = self.tail().capacity();
        if self.written.octets as usize * 2 >= capacity {
            self.next_capacity = (capacity * 2).min(self.segment_max);
        }
        self.ring.set_busy();
        let tail = self.fresh_segment(needed.max(self.next_capacity));
        self.go_on_in(tail);
        self.batch_octets += capacity;
        self.copied_octets += capacity;
    }

    /// Seals the tail; `tail` is the next one.
    pub(super) fn go_on_in(&mut self, tail: NonNull<Segment>) {
        let Some(chain) = self.chain else { unreachable!("the callers have looked at the tail") };
        // SAFETY: the tail is live.
        let old = unsafe { chain.tail.as_ref() };
        old.link(tail);
        let word = Word { is_sealed: true, ..self.written };
        let sealed = if chain.visible == chain.tail {
            word
        } else {
            // SAFETY: live, and not visible: only we can reach it.
            unsafe { Segment::publish(chain.tail, word.pack()) };
            chain.sealed
        };
        self.chain = Some(Chain { tail, sealed, ..chain });
        self.count_octets(word.octets as usize);
        self.written = Word::default();
        self.write_down();
    }

    fn start(&mut self) -> NonNull<Segment> {
        let tail = Segment::allocate(self.next_capacity);
        self.chain = Some(Chain { tail, visible: tail, sealed: Word::default(), mark: Packed::default() });
        self.ring.start(tail);
        tail
    }

    fn fresh_segment(&mut self, capacity: usize) -> NonNull<Segment> {
        let Some(spare) = self.ring.take_spare() else { return Segment::allocate(capacity) };
        // SAFETY: taken out of the slot, so it is ours alone.
        let block = unsafe { spare.as_ref() };
        if block.capacity() < capacity {
            // SAFETY: ours alone, in no chain.
            unsafe { Segment::free(spare) };
            return Segment::allocate(capacity);
        }
        block.reset();
        spare
    }

    /// Writes a frame of a message that does not end.
    #[cfg(test)]
    pub(super) fn put_unpublished(&mut self, mut frame: Frame) {
        self.move_frame(MORE, &mut frame);
    }

    #[cold]
    fn refresh_credit(&mut self) -> Result<(), Refused> {
        self.write_down();
        if self.is_closed() {
            return Err(Refused::Closed);
        }
        self.credit = self.ring.consumed().saturating_add(self.ring.limit());
        if self.credit <= self.sent || !self.has_octets_left() {
            self.credit = self.sent;
            return Err(Refused::Full);
        }
        Ok(())
    }

    fn write_slice(&mut self, body: &[u8]) {
        if body.len() <= self.copied_max {
            self.write_copied(0, body);
        } else {
            self.write_shared(0, Bytes::copy_from_slice(body));
        }
    }

    fn write_frame(&mut self, flags: u8, frame: &Frame) {
        if frame.len() <= self.copied_max {
            self.write_copied(flags, frame);
        } else {
            self.write_shared(flags, frame.to_bytes());
        }
    }

    fn move_frame(&mut self, flags: u8, frame: &mut Frame) {
        if frame.len() <= self.copied_max {
            self.write_copied(flags, frame);
        } else {
            self.write_shared(flags, frame.take_bytes());
        }
    }

    fn write_copied(&mut self, flags: u8, body: &[u8]) {
        if self.tail().capacity() - (self.written.octets as usize) < HEADER_MAX + body.len() {
            self.grow(HEADER_MAX + body.len());
        }
        let at = self.written.octets as usize;
        // SAFETY: we are the producer, `at` is behind what is published, and the room was checked.
        let octets = unsafe { self.tail().write_frame(at, flags, body) };
        self.advance(octets);
    }

    fn write_shared(&mut self, flags: u8, body: Bytes) {
        let room = self.tail().capacity() - self.written.octets as usize;
        if room < HEADER_MAX || usize::from(self.written.bodies) == SEGMENT_BODIES {
            self.grow(HEADER_MAX);
        }
        let (header, header_octets) = encode_header(flags, body.len());
        let (header, _) = header.split_at(header_octets);
        let at = self.written.octets as usize;
        // SAFETY: we are the producer, `at` is behind what is published, and the room was checked.
        unsafe { self.tail().write(at, header) };
        self.advance(header_octets);
        self.put_body(body);
    }

    /// Puts a body by reference at the write position. The caller made sure that a slot is free.
    pub(super) fn put_body(&mut self, body: Bytes) {
        let Word { octets, bodies, .. } = self.written;
        self.batch_octets += body.len();
        self.count_octets(body.len());
        // SAFETY: we are the producer; the slot is free, so neither filled nor published.
        unsafe { self.tail().put_body(usize::from(bodies), octets, body) };
        self.written.bodies += 1;
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a segment has less than 2^24 octets")]
    pub(super) fn advance(&mut self, octets: usize) {
        self.written.octets += octets as u32;
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // Told first: the consumer sees nothing of what is rolled back.
        self.ring.producer_gone();
        let bodies = self.take_back();
        self.write_down();
        do_each(bodies, drop);
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("sent", &self.sent).finish_non_exhaustive()
    }
}

#[inline]
fn flags(is_last: bool) -> u8 {
    if is_last { 0 } else { MORE }
}
