//! The reading end as octets: what lies in the pipe is what goes on the wire.
//!
//! The session's side of an outbound pipe. It gathers everything that is published into slices for one
//! vectored write, and moves on by however many octets the kernel took. Segments are given back, and
//! messages counted as taken, only when whole messages were handed over: after a broken connection
//! [`rewind`](Drain::rewind) starts again at the first message that was not.
#![allow(unsafe_code, reason = "reads what is published")]

use std::fmt;
use std::io::IoSlice;

use smallvec::SmallVec;

use crate::frame::{MORE, encode_header};
use crate::limits::{GATHER_OCTETS_MAX, GATHER_SLICES_MAX};
use crate::pipe::consumer::{Consumer, Position, body_at, frame_at, frame_end};
use crate::pipe::pipe;
use crate::sync::Arc;

/// What one vectored write takes.
pub(crate) type Slices<'a> = SmallVec<[IoSlice<'a>; GATHER_SLICES_MAX]>;

/// The octet-wise reading end of a pipe.
pub(crate) struct Drain {
    /// Stands behind the last whole message that the kernel has.
    pub(super) consumer: Consumer,
    /// Stands behind the last octet that the kernel has.
    pub(super) written: Option<Written>,
    /// How far the last `gather` got, if that was all there was: the end of a message.
    pub(super) gathered: Option<Position>,
}

#[derive(Clone, Copy)]
pub(super) struct Written {
    at: Position,
    /// Octets of the body that comes next which the kernel has.
    of_body: usize,
}

// SAFETY: the pointers in places lead to segments that the consumer, which is `Send`, keeps live.
unsafe impl Send for Drain {}

impl Drain {
    pub(super) fn new(consumer: Consumer) -> Self {
        Self { consumer, written: None, gathered: None }
    }

    /// Collects slices of what is published and not written; none when the pipe is dry.
    ///
    /// `to_message_end`: only the rest of a message that is partly written, so that something else can go
    /// between messages.
    pub(crate) fn gather<'a>(&'a mut self, slices: &mut Slices<'a>, to_message_end: bool) {
        self.gathered = None;
        let Some(Written { mut at, mut of_body }) = self.start() else { return };
        let until = if to_message_end { self.end_of_message_under_way() } else { None };
        let mut room = GATHER_OCTETS_MAX;
        while slices.len() < GATHER_SLICES_MAX && room > 0 {
            // SAFETY: at or behind `taken`, so the segment is live, and stays so while `self` is borrowed.
            let segment = unsafe { &*at.segment.as_ptr() };
            let word = segment.published();
            let stop = until.map_or(u64::MAX, |end| end.ordinal);
            let (octets, bodies) = match until {
                Some(end) if at.ordinal == stop => (end.octets, end.bodies),
                _ => (word.octets, word.bodies),
            };
            let next_body = body_at(segment, at.bodies, bodies);
            match next_body {
                Some((before, body)) if before == at.octets => {
                    let rest = body.get(of_body..).unwrap_or_default();
                    room = room.saturating_sub(rest.len());
                    slices.push(IoSlice::new(rest));
                    at.bodies += 1;
                    of_body = 0;
                }
                _ => {
                    let end = next_body.map_or(octets, |(before, _)| before);
                    if at.octets < end {
                        // SAFETY: we are the consumer, and `end` is at or before what is published.
                        let run = unsafe { segment.octets(at.octets as usize, end as usize) };
                        room = room.saturating_sub(run.len());
                        slices.push(IoSlice::new(run));
                        at.octets = end;
                    } else if word.is_sealed && at.ordinal < stop {
                        at = at.behind(segment);
                    } else {
                        self.gathered = until.or_else(|| Some(at.end_of(word)));
                        break;
                    }
                }
            }
        }
    }

    /// Moves on by `count` octets of what was gathered. Whole messages among them count as taken.
    #[inline]
    pub(crate) fn advance(&mut self, mut count: usize) {
        let Some(Written { mut at, mut of_body }) = self.start() else { return };
        while count > 0 {
            // SAFETY: at or behind `taken`.
            let segment = unsafe { at.segment.as_ref() };
            let word = segment.published();
            let next_body = body_at(segment, at.bodies, word.bodies);
            match next_body {
                Some((before, body)) if before == at.octets => {
                    let step = count.min(body.len() - of_body);
                    count -= step;
                    of_body += step;
                    if of_body == body.len() {
                        at.bodies += 1;
                        of_body = 0;
                    }
                }
                _ => {
                    let end = next_body.map_or(word.octets, |(before, _)| before);
                    if at.octets == end {
                        at = at.behind(segment);
                        continue;
                    }
                    let step = count.min((end - at.octets) as usize);
                    count -= step;
                    at.octets += u32::try_from(step).unwrap_or_default();
                }
            }
        }
        let written = Written { at, of_body };
        self.written = Some(written);
        match self.gathered.take() {
            Some(end) if end.order() == at.order() && of_body == 0 => self.take_up_to(end),
            _ => self.take_whole_messages(at),
        }
    }

    /// Takes nothing more, and tells the producer so. What is counted stays.
    pub(crate) fn let_go(&mut self) {
        let (_, mut closed) = pipe(Some(0));
        closed.received = self.consumer.received;
        *self = Self::new(closed);
    }

    /// Messages that the kernel has, since the pipe was made.
    pub(crate) fn sent(&self) -> u64 {
        self.consumer.received
    }

    /// Wakes a producer that waits for room, even if not half of the queue is free: it will be long before
    /// more is taken.
    pub(crate) fn tell_of_room(&self) {
        self.consumer.ring.tell_of_room(self.consumer.received);
    }

    /// Starts again at the first message that was not wholly taken.
    pub(crate) fn rewind(&mut self) {
        self.written = None;
    }

    /// Whether the last octet written was the last of a message.
    pub(crate) fn is_between_messages(&self) -> bool {
        match (self.written, self.consumer.taken) {
            (Some(written), Some(taken)) => written.of_body == 0 && written.at.order() == taken.order(),
            _ => true,
        }
    }

    /// What leads from the last octet written to where `octets` that are not of the message under way can stand, and do
    /// not end one of its frames: the rest of a header, or of a body that has no more than that left.
    pub(crate) fn way_out(&self, octets: usize) -> Vec<u8> {
        let (Some(Written { at, of_body }), Some(mut frame)) = (self.written, self.consumer.taken) else {
            return Vec::new();
        };
        while let Some((end, flags, body)) = frame_at(frame) {
            if end.order() <= at.order() {
                frame = end;
                continue;
            }
            let (header, header_octets) = encode_header(flags & MORE, body.len());
            let header = header.get(..header_octets).unwrap_or_default();
            let of_shared = if at.bodies == end.bodies { 0 } else { body.len() - of_body };
            let left = end.octets.saturating_sub(at.octets) as usize + of_shared;
            if at.ordinal != end.ordinal || left >= header.len() + body.len() {
                break; // of this frame nothing was written
            }
            let of_header = header.get(header.len() - left.saturating_sub(body.len())..).unwrap_or_default();
            let of_body = body.get(body.len().saturating_sub(left)..).unwrap_or_default();
            let of_body = if of_body.len() > octets { &[][..] } else { of_body };
            return [of_header, of_body].concat();
        }
        Vec::new()
    }

    /// Asks to be woken at the next publish. `false`: something is there already, look again.
    /// `is_alone`: the producer is this thread's own.
    #[inline]
    pub(crate) fn wait_for_messages(&mut self, is_alone: bool) -> bool {
        if is_alone {
            let is_dry = self.is_dry();
            return self.consumer.ring.wait_for_messages_alone(is_dry);
        }
        if self.consumer.ring.is_reader_told() {
            return true;
        }
        let ring = Arc::clone(&self.consumer.ring);
        ring.wait_for_messages(|| !self.is_dry())
    }

    /// Whether the producer is gone and the kernel has everything.
    pub(crate) fn is_finished(&mut self) -> bool {
        self.consumer.ring.is_producer_gone() && self.is_dry()
    }

    /// Whether the kernel has everything that is published.
    pub(crate) fn is_dry(&mut self) -> bool {
        let Some(Written { mut at, .. }) = self.start() else { return true };
        loop {
            // SAFETY: at or behind `taken`.
            let segment = unsafe { at.segment.as_ref() };
            let word = segment.published();
            if at.octets != word.octets || at.bodies != word.bodies {
                return false;
            }
            if !word.is_sealed {
                return true;
            }
            at = at.behind(segment);
        }
    }

    fn start(&mut self) -> Option<Written> {
        if self.consumer.taken.is_none() {
            self.consumer.taken = self.consumer.ring.take_first().map(Position::first);
        }
        let taken = self.consumer.taken?;
        Some(*self.written.get_or_insert(Written { at: taken, of_body: 0 }))
    }

    fn end_of_message_under_way(&self) -> Option<Position> {
        if self.is_between_messages() { None } else { message_end(self.consumer.taken?) }
    }

    fn take_whole_messages(&mut self, written: Position) {
        let Some(mut end) = self.consumer.taken else { return };
        while let Some(next) = message_end(end) {
            if next.order() > written.order() {
                break;
            }
            end = next;
        }
        self.take_up_to(end);
    }

    /// Counts everything before `end`, the end of a message, as taken, and gives passed segments back.
    #[inline]
    pub(super) fn take_up_to(&mut self, end: Position) {
        let Some(taken) = &mut self.consumer.taken else { return };
        let before = self.consumer.received;
        loop {
            // SAFETY: live until it is given back below.
            let segment = unsafe { taken.segment.as_ref() };
            let is_last = taken.ordinal == end.ordinal;
            let passed = if is_last { end } else { taken.end_of(segment.published()) };
            self.consumer.received += u64::from(passed.messages - taken.messages);
            // SAFETY: live until it is given back below, and published up to `passed`.
            let octets = unsafe { taken.move_to(passed) };
            self.consumer.ring.free(octets);
            if is_last {
                break;
            }
            let emptied = taken.segment;
            self.consumer.ring.free(passed.octets as usize);
            *taken = taken.behind(segment);
            self.consumer.ring.give_spare(emptied);
        }
        if self.consumer.received != before {
            self.consumer.ring.consume(self.consumer.received);
        }
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

/// The end of the message that starts at `at`; `None` when nothing is published there.
fn message_end(mut at: Position) -> Option<Position> {
    loop {
        let (behind, flags) = frame_end(at)?;
        at = behind;
        if flags & MORE == 0 {
            at.messages += 1;
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, Payload};

    #[test]
    fn the_way_out_of_a_message_leads_behind_a_header_or_the_end_of_a_body() {
        // Copied, shared and empty bodies.
        let bodies = ["a".repeat(80), "b".repeat(9000), String::new(), "c".repeat(20), "d".repeat(26)];
        let message = Message::from(bodies.each_ref().map(String::as_str));
        let mut octets = Vec::new();
        // Behind so many octets, where it leads to.
        let mut ways = vec![0];
        for (number, body) in bodies.iter().enumerate() {
            let (header, header_octets) = encode_header(u8::from(number + 1 < bodies.len()), body.len());
            octets.extend_from_slice(&header[..header_octets]);
            let (start, end) = (octets.len(), octets.len() + body.len());
            octets.extend_from_slice(body.as_bytes());
            let is_long = body.len() > 25;
            ways.extend([if is_long { start } else { end }].repeat(header_octets - 1));
            ways.extend((start..end).map(|at| if end - at > 25 { at } else { end }));
            ways.push(end);
        }
        assert_eq!(ways.len(), octets.len() + 1);
        for (cut, way) in ways.into_iter().enumerate() {
            let (mut producer, consumer) = pipe(None);
            let mut drain = consumer.into_drain();
            producer.try_send(&mut Payload::from(message.clone())).unwrap();
            producer.try_send(&mut Payload::from(message.clone())).unwrap();
            drain.gather(&mut Slices::new(), false);
            drain.advance(cut);
            assert_eq!(drain.way_out(25), octets[cut..way], "cut {cut}");
        }
    }
}
