//! What one publisher has not been told yet, by topic: changes that cancel each other out take no room.
//!
//! Of each topic there is at most one entry, which says: so many cancellations, and behind them so many subscriptions.
//! What an XPUB could tell its application of is kept: every subscription that holds when it is told, and the
//! cancellation of what the publisher knows. Topics are told in the order in which their entries came to be.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::limits::UNTOLD_MANY;
use crate::pipe::upstream::Change;

/// Changes that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Untold {
    entries: HashMap<Bytes, Entry>,
    /// By their places.
    order: BTreeMap<u64, Bytes>,
    /// Of the next entry.
    place: u64,
}

/// What is to be told of a topic.
#[derive(Debug)]
struct Entry {
    place: u64,
    /// The publisher has the topic, as far as it was told.
    is_known: bool,
    cancellations: u64,
    subscriptions: u64,
}

impl Untold {
    /// Topics of which there is something to tell.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are more than so many changes to tell.
    pub(super) fn has_more_than(&self, most: usize) -> bool {
        let changes = self.entries.values().map(|entry| entry.cancellations + entry.subscriptions);
        self.entries.len() > most || changes.sum::<u64>() > most as u64
    }

    /// One more subscription. `was_held`: it is not the first.
    pub(super) fn subscribe(&mut self, topic: &Bytes, was_held: bool) {
        self.change(topic, was_held, |entry| entry.subscriptions += 1);
    }

    /// One of several subscriptions is gone: one that was not told need not be, if another is or will be.
    pub(super) fn take_back_one(&mut self, topic: &Bytes) {
        self.change(topic, true, |entry| {
            let is_only = !entry.is_known || entry.cancellations > 0;
            if entry.subscriptions > u64::from(is_only) {
                entry.subscriptions -= 1;
            }
        });
    }

    /// The last subscription is gone.
    pub(super) fn cancel_all(&mut self, topic: &Bytes) {
        self.change(topic, true, |entry| {
            entry.subscriptions = 0;
            entry.cancellations = u64::from(entry.is_known);
        });
    }

    /// One subscription less, of a publisher that counts.
    pub(super) fn cancel_one(&mut self, topic: &Bytes) {
        self.change(topic, true, |entry| match entry.subscriptions.checked_sub(1) {
            Some(fewer) => entry.subscriptions = fewer,
            None => entry.cancellations += 1,
        });
    }

    /// Tells of subscriptions to a topic of which nothing waits.
    pub(super) fn subscribe_often(&mut self, topic: &Bytes, times: u64) {
        self.change(topic, false, |entry| entry.subscriptions = times);
    }

    /// Tells of cancellations of a topic.
    pub(super) fn cancel_often(&mut self, topic: &Bytes, times: u64) {
        self.change(topic, true, |entry| (entry.cancellations, entry.subscriptions) = (times, 0));
    }

    /// Forgets all but the cancellations of those topics that the publisher knows and `is_gone` says so of.
    pub(super) fn keep_cancellations(&mut self, is_gone: impl Fn(&Bytes) -> bool) {
        self.entries.retain(|topic, entry| {
            entry.subscriptions = 0;
            entry.cancellations > 0 && is_gone(topic)
        });
        let entries = &self.entries;
        self.order.retain(|_, topic| entries.contains_key(topic));
    }

    /// What to tell next.
    pub(super) fn next(&mut self) -> Option<Change> {
        let (_, topic) = self.order.first_key_value()?;
        let topic = topic.clone();
        let entry = self.entries.get_mut(&topic)?;
        let change = if entry.cancellations > 0 {
            entry.cancellations -= 1;
            entry.is_known = false;
            Change::Cancel(topic.clone())
        } else {
            entry.subscriptions = entry.subscriptions.saturating_sub(1);
            entry.is_known = true;
            Change::Subscribe(topic.clone())
        };
        if entry.is_void() {
            self.forget(&topic);
        }
        Some(change)
    }

    /// Changes the entry of a topic, which is made for that if there is none. `is_known`: then the publisher has the
    /// topic.
    fn change(&mut self, topic: &Bytes, is_known: bool, change: impl FnOnce(&mut Entry)) {
        let place = self.place;
        let entry = self.entries.entry(topic.clone()).or_insert_with(|| {
            self.order.insert(place, topic.clone());
            Entry { place, is_known, cancellations: 0, subscriptions: 0 }
        });
        self.place += u64::from(entry.place == place);
        change(entry);
        if entry.is_void() {
            self.forget(topic);
        }
    }

    fn forget(&mut self, topic: &Bytes) {
        if let Some(entry) = self.entries.remove(topic) {
            self.order.remove(&entry.place);
        }
        if self.entries.is_empty() && self.entries.capacity() > UNTOLD_MANY {
            self.entries = HashMap::new();
        }
    }
}

impl Entry {
    fn is_void(&self) -> bool {
        self.cancellations == 0 && self.subscriptions == 0
    }
}
