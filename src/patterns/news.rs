//! What peers have said to an XPUB and its application has not received: how much of it may wait, and for whom.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use crate::limits::{NEWS_MAX, NEWS_OCTETS_MAX, NEWS_OCTETS_PER_PEER, NEWS_PER_PEER};
use crate::message::{Frame, Message};
use crate::options::Options;
use crate::pipe::PipeKey;
use crate::routing::{Seat, Topics};

/// What an XPUB's application has to receive.
#[derive(Debug)]
pub(super) struct News {
    pub(super) told: Told,
    /// With manual subscriptions: what peers said, which has no effect.
    pub(super) asked: Option<Topics>,
    pub(super) queue: VecDeque<Item>,
    /// Of all messages in it.
    octets: usize,
    /// By seat.
    waiting: Vec<Waiting>,
    /// Whose news the application received last.
    pub(super) last: Option<(PipeKey, Seat)>,
    /// The next message is for that one alone.
    pub(super) greets_last: bool,
}

/// Which subscriptions the application is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// All, even what has no effect: the application may count.
    All,
    /// The first to a topic, and the last cancellation.
    Changes,
    Subscriptions,
}

#[derive(Debug)]
pub(super) struct Item {
    /// `None`: the peer has left.
    pub(super) from: Option<(PipeKey, Seat)>,
    pub(super) message: Message,
    pub(super) is_user_message: bool,
}

/// Whether a peer may say more, or what the application has to receive before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    ForItsOwn,
    ForOthers,
    No,
}

/// What of one peer waits for the application.
#[derive(Debug, Default)]
struct Waiting {
    items: usize,
    octets: usize,
    user_messages: usize,
    /// Nothing more is taken in until some is received.
    is_held: bool,
}

impl News {
    /// Nothing yet.
    pub(super) fn new(options: &Options) -> Self {
        let is_manual = options.xpub_manual || options.xpub_manual_last_value;
        let told = if options.xpub_verboser || is_manual {
            Told::All
        } else if options.xpub_verbose {
            Told::Subscriptions
        } else {
            Told::Changes
        };
        Self {
            told,
            asked: is_manual.then(Topics::new),
            queue: VecDeque::new(),
            octets: 0,
            waiting: Vec::new(),
            last: None,
            greets_last: options.xpub_manual_last_value,
        }
    }

    pub(super) fn put(&mut self, key: PipeKey, seat: Seat, message: Message, is_user_message: bool) {
        let octets = octets_of(&message);
        if let Some(waiting) = self.waiting.get_mut(seat as usize) {
            waiting.items += 1;
            waiting.octets += octets;
            waiting.user_messages += usize::from(is_user_message);
        }
        self.octets += octets;
        self.queue.push_back(Item { from: Some((key, seat)), message, is_user_message });
    }

    pub(super) fn put_of_none(&mut self, message: Message) {
        self.octets += octets_of(&message);
        self.queue.push_back(Item { from: None, message, is_user_message: false });
    }

    /// Whether as much waits as may.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= NEWS_MAX || self.octets >= NEWS_OCTETS_MAX
    }

    /// Whether more may be taken in from this peer before the application has received something: at most one of its
    /// messages waits outside of its queue, so that all get their turn and its limit holds.
    pub(super) fn hold(&mut self, seat: Seat, is_full: bool) -> Hold {
        let at = seat as usize;
        if at >= self.waiting.len() {
            self.waiting.resize_with(at + 1, Waiting::default);
        }
        let Some(waiting) = self.waiting.get_mut(at) else { return Hold::No };
        waiting.is_held = waiting.items >= NEWS_PER_PEER
            || waiting.octets >= NEWS_OCTETS_PER_PEER
            || waiting.user_messages > 0
            || (waiting.items > 0 && is_full);
        match waiting.is_held {
            true => Hold::ForItsOwn,
            false if is_full => Hold::ForOthers,
            false => Hold::No,
        }
    }

    /// Notes that the application received an item. `is_there`: its peer still has its seat. The peer that was held for
    /// it, if there is one.
    pub(super) fn received(&mut self, item: &Item, is_there: bool) -> Option<PipeKey> {
        let octets = octets_of(&item.message);
        self.octets = self.octets.saturating_sub(octets);
        if !item.is_user_message {
            self.last = item.from;
        }
        let (key, seat) = item.from.filter(|_| is_there)?;
        let waiting = self.waiting.get_mut(seat as usize)?;
        waiting.items = waiting.items.saturating_sub(1);
        waiting.octets = waiting.octets.saturating_sub(octets);
        waiting.user_messages = waiting.user_messages.saturating_sub(usize::from(item.is_user_message));
        std::mem::take(&mut waiting.is_held).then_some(key)
    }

    /// The peer has left; what it said is still to be received.
    pub(super) fn forget(&mut self, seat: Seat) {
        if let Some(waiting) = self.waiting.get_mut(seat as usize) {
            *waiting = Waiting::default();
        }
    }
}

/// What a message counts for: its octets, and the places of its frames but the first, of which an item has one anyway.
fn octets_of(message: &Message) -> usize {
    message.size() + (message.frame_count() - 1) * size_of::<Frame>()
}
