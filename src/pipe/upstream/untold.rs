//! What one publisher has not been told yet, by topic: changes that cancel each other out take no room.
//!
//! Of each topic there is at most one entry, which says: so many cancellations, and behind them so many subscriptions.
//! What an XPUB could tell its application of is kept: every subscription that holds when it is told, and the
//! cancellation of what the publisher knows.
//!
//! They are told in the order in which they were made. Of several cancellations of a topic that is the place of the last,
//! which may be the one that counts, and of several subscriptions that of the first.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::limits::UNTOLD_MANY;
use crate::pipe::upstream::Change;

/// Changes that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Untold {
    entries: HashMap<Bytes, Entry>,
    /// The topics of what has these places.
    order: BTreeMap<u64, Bytes>,
    /// Of the last change.
    place: u64,
}

/// What is to be told of a topic.
#[derive(Debug)]
struct Entry {
    /// The publisher has the topic, as far as it was told.
    is_known: bool,
    /// Before the subscriptions: there are more of them only when none of those is left.
    cancellations: Run,
    subscriptions: Run,
}

/// Changes of one kind, which are told one behind the other.
#[derive(Debug, Default)]
struct Run {
    count: u64,
    /// In the order, unless there are none; 0 before the first.
    place: u64,
}

impl Untold {
    /// Topics of which there is something to tell.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are more than so many changes to tell.
    pub(super) fn has_more_than(&self, most: u64) -> bool {
        let changes =
            self.entries.values().map(|entry| entry.cancellations.count + entry.subscriptions.count);
        self.entries.len() as u64 > most || changes.sum::<u64>() > most
    }

    /// One more subscription. `was_held`: it is not the first.
    pub(super) fn subscribe(&mut self, topic: &Bytes, was_held: bool) {
        self.change(topic, was_held, |entry| entry.subscriptions.count += 1);
    }

    /// One of several subscriptions is gone: one that was not told need not be, if another is or will be.
    pub(super) fn take_back_one(&mut self, topic: &Bytes) {
        self.change(topic, true, |entry| {
            let is_only = !entry.is_known || entry.cancellations.count > 0;
            if entry.subscriptions.count > u64::from(is_only) {
                entry.subscriptions.count -= 1;
            }
        });
    }

    /// The last subscription is gone.
    pub(super) fn cancel_all(&mut self, topic: &Bytes) {
        self.change(topic, true, |entry| {
            entry.subscriptions.count = 0;
            entry.cancellations.count = u64::from(entry.is_known);
        });
    }

    /// One subscription less, of a publisher that counts.
    pub(super) fn cancel_one(&mut self, topic: &Bytes) {
        self.change(topic, true, |entry| match entry.subscriptions.count.checked_sub(1) {
            Some(fewer) => entry.subscriptions.count = fewer,
            None => entry.cancellations.count += 1,
        });
    }

    /// Tells of cancellations of a topic of which nothing waits.
    pub(super) fn cancel_often(&mut self, topic: &Bytes, times: u64) {
        self.change(topic, true, |entry| entry.cancellations.count = times);
    }

    /// Forgets all but the cancellations of those topics that the publisher knows and `is_gone` says so of.
    pub(super) fn keep_cancellations(&mut self, is_gone: impl Fn(&Bytes) -> bool) {
        self.entries.retain(|topic, entry| {
            entry.subscriptions.count = 0;
            entry.cancellations.count > 0 && is_gone(topic)
        });
        let entries = &self.entries;
        self.order.retain(|place, topic| {
            entries.get(topic).is_some_and(|entry| entry.cancellations.place == *place)
        });
    }

    /// What to tell next.
    pub(super) fn next(&mut self) -> Option<Change> {
        let (&place, topic) = self.order.first_key_value()?;
        let topic = topic.clone();
        let entry = self.entries.get_mut(&topic)?;
        let is_cancelled = entry.cancellations.count > 0;
        entry.is_known = !is_cancelled;
        let run = if is_cancelled { &mut entry.cancellations } else { &mut entry.subscriptions };
        run.count = run.count.saturating_sub(1);
        if run.count == 0 {
            self.order.remove(&place);
        }
        if entry.is_void() {
            self.forget(&topic);
        }
        Some(if is_cancelled { Change::Cancel(topic) } else { Change::Subscribe(topic) })
    }

    /// Changes the entry of a topic, which is made for that if there is none. `is_known`: then the publisher has the
    /// topic.
    fn change(&mut self, topic: &Bytes, is_known: bool, change: impl FnOnce(&mut Entry)) {
        let entry = self.entries.entry(topic.clone()).or_insert_with(|| Entry {
            is_known,
            cancellations: Run::default(),
            subscriptions: Run::default(),
        });
        let (cancelled, subscribed) = (entry.cancellations.count, entry.subscriptions.count);
        change(entry);
        self.place += 1;
        if entry.cancellations.count > cancelled {
            self.order.remove(&entry.cancellations.place);
            entry.cancellations.place = self.place;
            self.order.insert(self.place, topic.clone());
        }
        if entry.subscriptions.count == 0 {
            self.order.remove(&entry.subscriptions.place);
        } else if subscribed == 0 {
            entry.subscriptions.place = self.place;
            self.order.insert(self.place, topic.clone());
        }
        if entry.is_void() {
            self.forget(topic);
        }
    }

    /// Forgets an entry that says nothing.
    fn forget(&mut self, topic: &Bytes) {
        self.entries.remove(topic);
        if self.entries.is_empty() && self.entries.capacity() > UNTOLD_MANY {
            self.entries = HashMap::new();
        }
    }
}

impl Entry {
    fn is_void(&self) -> bool {
        self.cancellations.count == 0 && self.subscriptions.count == 0
    }
}
