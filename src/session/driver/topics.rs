//! What a session tells its peer of subscriptions, and asks: whether the peer has them.
//!
//! The question is a PING behind the subscriptions. A publisher of this library answers when its socket has taken in all
//! of them but as many as its next call takes in before it does anything else; until then the session holds the question,
//! and answers whatever else the peer asks. libzmq may answer a moment before it hands on what it has read together with
//! the question, so it is asked once more: the second answer comes behind that.
#![forbid(unsafe_code)]

use crate::limits::{CHANGES_PER_CALL, FEED_OCTETS};
use crate::pipe::{Change, Feed, Intake};
use crate::session::driver::Session;
use crate::wire::{Connection, Outbox};

/// What the peer was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    Once(u64),
    Twice(u64),
    /// A peer of this version does not answer: it counts as told when the kernel has everything.
    InVain(u64),
}

/// The last question of the peer, until it is answered.
#[derive(Debug, Default)]
pub(super) struct Held(Option<Box<Question>>);

#[derive(Debug)]
struct Question {
    number: u64,
    /// Answered when the socket has taken so many messages, notes included.
    taken: u64,
}

impl Held {
    #[inline]
    pub(super) fn is_any(&self) -> bool {
        self.0.is_some()
    }

    /// Takes a question that has come, whose place is behind all that was skimmed, and answers it if it can be.
    pub(super) fn look(&mut self, inbound: &Intake, connection: &mut Connection, outbox: &mut Outbox) {
        if let Some(number) = connection.take_asked() {
            let taken = inbound.heard().saturating_sub(CHANGES_PER_CALL as u64);
            self.0 = Some(Box::new(Question { number, taken }));
        }
        if let Some(question) = self.0.take_if(|question| inbound.taken() >= question.taken) {
            connection.answer(question.number, outbox);
        }
    }

    /// Asks to be woken when there is room, or when the question can be answered.
    pub(super) fn wait_for_room(&self, inbound: &mut Intake) -> bool {
        match &self.0 {
            None => inbound.wait_for_room(),
            Some(question) => inbound.wait_for_room_or_taken(question.taken),
        }
    }
}

impl Asked {
    /// The peer has answered a question, which may be an older one.
    pub(super) fn on_answer(
        &mut self,
        answer: u64,
        feed: &mut Feed,
        connection: &Connection,
        outbox: &mut Outbox,
    ) {
        match *self {
            Self::Once(question) if question == answer => {
                connection.ask(question, outbox);
                *self = Self::Twice(question);
            }
            Self::Twice(question) if question == answer => {
                feed.confirm(question);
                *self = Self::Nothing;
            }
            Self::InVain(_) | Self::Nothing | Self::Once(_) | Self::Twice(_) => {}
        }
    }
}

impl Session {
    /// Answers the peer's question if its time has come, or sees to it that somebody looks again.
    pub(super) fn answer_if_taken(&mut self) {
        if !self.is_talking() {
            return; // nobody hears it
        }
        let (Some(ends), Held(Some(question))) = (&mut self.ends, &self.held) else { return };
        // A stream looks at each tick, and who waits for room has asked for this, too.
        let is_seen_to = self.care.is_stream() || self.is_full;
        if is_seen_to || !ends.inbound.wait_until_taken(question.taken) {
            self.held.look(&ends.inbound, &mut self.connection, &mut self.outbox);
        }
    }

    /// Puts a batch of subscriptions into an empty outbox.
    #[inline]
    pub(super) fn tell_topics(&mut self) {
        let Some(feed) = self.feed.as_mut().filter(|_| self.outbox.is_empty()) else { return };
        if let Asked::InVain(question) = self.asked {
            feed.confirm(question);
            self.asked = Asked::Nothing;
        }
        while self.outbox.len() < FEED_OCTETS {
            match feed.next() {
                Some(Change::Subscribe(topic)) => self.connection.tell_topic(true, &topic, &mut self.outbox),
                Some(Change::Cancel(topic)) => self.connection.tell_topic(false, &topic, &mut self.outbox),
                Some(Change::Question(question)) if self.connection.ask(question, &mut self.outbox) => {
                    self.asked = Asked::Once(question);
                }
                Some(Change::Question(question)) => self.asked = Asked::InVain(question),
                None => break,
            }
        }
        if let (Asked::InVain(question), true) = (self.asked, self.outbox.is_empty()) {
            feed.confirm(question);
            self.asked = Asked::Nothing;
        }
    }
}
