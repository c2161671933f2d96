//! What a session tells its peer of subscriptions, and asks: whether the peer has them.
//!
//! The question is a PING behind the subscriptions. A publisher of this library has them in the queue to its socket by
//! the time that it answers. libzmq may answer a moment before it hands on what it has read together with the question,
//! so it is asked once more: the second answer comes behind that.
#![forbid(unsafe_code)]

use crate::limits::FEED_OCTETS;
use crate::pipe::{Change, Feed};
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
    /// Puts a batch of subscriptions into an empty outbox.
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
