//! Passages: connections that came and went at a pipe that outlives them, in order with the messages.
//!
//! In the pipe there is a note only that says where to look. What happens before that is read, with no message in
//! between, is one passage: a connection that came and went while nobody looked is nothing. So a peer that comes and
//! goes without end takes no more room than its messages, which are limited.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

/// What has become of a peer since its socket looked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passage {
    /// The connection that the socket knows of is over; what the peer said of itself does not hold any more.
    pub(crate) has_left: bool,
    /// Then a connection became ready, whose peer announced this routing id; empty without one.
    pub(crate) arrived: Option<Box<[u8]>>,
}

/// Passages of one pipe that were not read, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Passages {
    waiting: VecDeque<Passage>,
    /// Messages in front of the last one.
    messages: u64,
}

impl Passage {
    /// The connection is over.
    pub(crate) fn leave(&mut self) {
        self.has_left |= self.arrived.take().is_none();
    }

    /// A connection is ready.
    pub(crate) fn arrive(&mut self, routing_id: &[u8]) {
        self.arrived = Some(routing_id.into());
    }
}

impl Passages {
    /// Notes what happened behind so many messages. `true`: the reader has to be told where to look.
    pub(super) fn note(&mut self, messages: u64, note: impl FnOnce(&mut Passage)) -> bool {
        if let (Some(last), true) = (self.waiting.back_mut(), self.messages == messages) {
            note(last);
            return false;
        }
        let mut passage = Passage::default();
        note(&mut passage);
        self.waiting.push_back(passage);
        self.messages = messages;
        true
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The next one.
    pub(super) fn take(&mut self) -> Option<Passage> {
        let passage = self.waiting.pop_front();
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        passage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(has_left: bool, arrived: Option<&str>) -> Option<Passage> {
        Some(Passage { has_left, arrived: arrived.map(|name| name.as_bytes().into()) })
    }

    #[test]
    fn who_came_and_went_while_nobody_looked_is_nobody() {
        let mut passages = Passages::default();
        assert!(passages.note(0, |passage| passage.arrive(b"a")));
        for name in [b"b", b"c"] {
            assert!(!passages.note(0, Passage::leave) && !passages.note(0, |passage| passage.arrive(name)));
        }
        assert_eq!((passages.take(), passages.take()), (passage(false, Some("c")), None));
        // Known now: its end is told, and the next one's beginning.
        assert!(passages.note(0, Passage::leave));
        assert!(!passages.note(0, |passage| passage.arrive(b"d")) && !passages.note(0, Passage::leave));
        assert_eq!(passages.take(), passage(true, None));
        assert!(passages.note(0, |passage| passage.arrive(b"e")) && !passages.note(0, Passage::leave));
        assert_eq!(passages.take(), passage(false, None));
    }

    #[test]
    fn a_message_stays_between_what_was_before_it_and_behind() {
        let mut passages = Passages::default();
        assert!(passages.note(0, |passage| passage.arrive(b"a")));
        assert!(passages.note(1, Passage::leave) && !passages.note(1, |passage| passage.arrive(b"b")));
        assert!(passages.note(2, Passage::leave));
        assert_eq!(passages.take(), passage(false, Some("a")));
        assert_eq!(passages.take(), passage(true, Some("b")));
        assert_eq!((passages.take(), passages.take()), (passage(true, None), None));
    }
}
