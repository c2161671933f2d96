//! How fast messages go to the kernel while each is written as soon as it is there.
#![forbid(unsafe_code)]

use std::time::Instant;

use crate::limits::{
    IN_STEP_PAUSE, PACE_WRITES, STREAM_MESSAGES, STREAM_OCTETS, STREAM_SINGLES, STREAM_TICK,
};

/// Tells a sender whose messages need not be written one by one, because every tick brings many.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<Lot>);

/// Some writes in a row.
#[derive(Debug)]
struct Lot {
    began: Instant,
    /// Messages that the kernel had then.
    sent: u64,
    writes: u32,
}

impl Pace {
    /// Notes a write, after which the kernel has `sent` messages. Whether it ends a lot in which each tick of time
    /// brought as many as make a stream. The clock is read at the ends of a lot only.
    pub(super) fn note_write(&mut self, sent: u64, now: impl FnOnce() -> Instant) -> bool {
        let Some(lot) = &mut self.0 else {
            self.0 = Some(Lot { began: now(), sent, writes: 0 });
            return false;
        };
        lot.writes += 1;
        if lot.writes < PACE_WRITES {
            return false;
        }
        let messages = u128::from(sent.saturating_sub(lot.sent));
        let nanoseconds = now().duration_since(lot.began).as_nanos();
        self.0 = None;
        messages * STREAM_TICK.as_nanos() >= u128::from(STREAM_MESSAGES) * nanoseconds
    }
}

/// Tells a caller that is in step with its peer: it looks for messages soon again, after a few.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// Messages that had gone either way when the caller last looked.
    messages: u64,
    looked_at: Option<Instant>,
    /// Whether the last message that ended was the peer's.
    has_heard: Option<bool>,
    /// How many times in a row the caller of a stream has moved a single message.
    singles: u32,
}

impl Steps {
    /// Notes that the caller looks, after so many messages either way. Whether it is in step. The clock is read
    /// when there were any since the last look.
    pub(super) fn note_look(&mut self, messages: u64, now: impl FnOnce() -> Instant) -> bool {
        if messages == self.messages {
            return false;
        }
        let (now, last) = (now(), self.looked_at);
        (self.messages, self.looked_at) = (messages, Some(now));
        last.is_some_and(|last| now.duration_since(last) < IN_STEP_PAUSE)
    }

    /// Notes octets and messages that the caller of a stream has moved in one go, and whether it was its turn. Whether
    /// there was only one many times in a row: it waits for each, which is no stream.
    pub(super) fn note_single(&mut self, octets: u64, messages: u64, is_turn: bool) -> bool {
        self.singles = match messages {
            0 => self.singles,
            1 if octets < STREAM_OCTETS || is_turn => self.singles + 1,
            _ => 0,
        };
        self.singles >= STREAM_SINGLES
    }

    /// Notes octets read and written in one go, of so many messages that ended. Whether it was the caller's turn:
    /// one message, or a part of it, and the one before went the other way.
    pub(super) fn note_turn(&mut self, heard: u64, written: u64, messages: u64) -> bool {
        let has_heard = match (heard, written) {
            _ if messages == 0 => return true,
            (_, 0) => Some(true),
            (0, _) => Some(false),
            (_, _) => None,
        };
        let last = std::mem::replace(&mut self.has_heard, has_heard);
        messages <= 1 && has_heard.is_some() && last != has_heard
    }
}

/// The time that a caller still has to wait in reads for the rest of a message.
#[derive(Debug)]
pub(super) struct Grace {
    /// Messages that had gone either way when it was given.
    messages: u64,
    has_begun: bool,
    since: Option<Instant>,
}

impl Grace {
    pub(super) fn new(messages: u64) -> Self {
        Self { messages, has_begun: false, since: None }
    }

    /// Whether the caller goes on waiting, after so many messages either way. The clock is read from the second time on:
    /// most messages come in one piece.
    pub(super) fn is_left(&mut self, messages: u64) -> bool {
        messages == self.messages
            && (!std::mem::replace(&mut self.has_begun, true)
                || self.since.get_or_insert_with(Instant::now).elapsed() < STREAM_TICK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_ends_with_the_message_or_a_tick_later() {
        let mut grace = Grace::new(3);
        assert!(grace.is_left(3));
        assert_eq!(grace.since, None);
        assert!(grace.is_left(3));
        assert!(!grace.is_left(4));
        grace.since = Instant::now().checked_sub(STREAM_TICK);
        assert!(!grace.is_left(3));
    }

    #[test]
    fn one_message_the_other_way_is_a_turn() {
        let mut steps = Steps::default();
        assert!(steps.note_turn(0, 100_000, 1));
        assert!(!steps.note_turn(0, 100_000, 1));
        assert!(steps.note_turn(100_000, 0, 1));
        assert!(steps.note_turn(0, 100_000, 0));
        assert!(steps.note_turn(0, 100_000, 1));
        assert!(!steps.note_turn(0, 100_000, 1));
        assert!(!steps.note_turn(0, 100_000, 2));
        assert!(!steps.note_turn(100, 100, 1));
    }

    #[test]
    fn single_messages_in_a_row_are_no_stream() {
        let mut steps = Steps::default();
        let mut is_over = |octets, messages| steps.note_single(octets, messages, false);
        assert!((1..STREAM_SINGLES).all(|_| !is_over(10, 1)));
        assert!(!is_over(20, 2));
        assert!((1..STREAM_SINGLES).all(|_| !is_over(0, 0) && !is_over(10, 1)));
        assert!(is_over(10, 1));
        assert!(!is_over(STREAM_OCTETS, 1));
        let mut is_over = |octets| steps.note_single(octets, 1, true);
        assert!((1..STREAM_SINGLES).all(|_| !is_over(STREAM_OCTETS)));
        assert!(is_over(STREAM_OCTETS));
    }

    #[test]
    fn looks_with_messages_in_between_are_in_step_if_they_come_soon() {
        let start = Instant::now();
        let mut steps = Steps::default();
        assert!(!steps.note_look(0, || unreachable!("nothing has come")));
        assert!(!steps.note_look(1, || start));
        assert!(!steps.note_look(1, || unreachable!("nothing has come")));
        assert!(!steps.note_look(3, || start + IN_STEP_PAUSE));
        assert!(steps.note_look(4, || start + IN_STEP_PAUSE * 3 / 2));
    }

    /// A lot of writes that takes this many ticks and messages.
    fn is_stream(pace: &mut Pace, ticks: u32, messages: u64) -> bool {
        let start = Instant::now();
        assert!(!pace.note_write(0, || start));
        for _ in 1..PACE_WRITES {
            assert!(!pace.note_write(0, || unreachable!("the clock is read at the ends of a lot")));
        }
        pace.note_write(messages, || start + STREAM_TICK * ticks)
    }

    #[test]
    fn a_lot_of_writes_with_many_messages_in_each_tick_is_a_stream() {
        let mut pace = Pace::default();
        assert!(is_stream(&mut pace, 1, STREAM_MESSAGES));
        assert!(!is_stream(&mut pace, 1, STREAM_MESSAGES - 1));
        assert!(is_stream(&mut pace, 10, STREAM_MESSAGES * 10));
        assert!(!is_stream(&mut pace, 10, STREAM_MESSAGES * 10 - 1));
    }
}
