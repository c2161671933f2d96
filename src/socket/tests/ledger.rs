//! Who sent what, and who received it: the books of a run, in which every message has a number.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::*;

/// How many messages went where. Sums of many runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) runs: u64,
    pub(super) came: u64,
    pub(super) left: u64,
    pub(super) accepted: u64,
    pub(super) delivered: u64,
    /// Counted by the library, for lack of room or of a peer.
    pub(super) dropped: u64,
    /// Counted by the library, when a peer left.
    pub(super) lost: u64,
    /// Counted by the library: they had come to who left.
    pub(super) unreceived: u64,
    /// With the kernel when a connection was cut: accepted, and nowhere else.
    pub(super) cut: u64,
}

impl Figures {
    pub(super) fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.came += other.came;
        self.left += other.left;
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.dropped += other.dropped;
        self.lost += other.lost;
        self.unreceived += other.unreceived;
        self.cut += other.cut;
    }

    /// Accepted = delivered + dropped by reason + lost with a peer + not received by one + cut off with a
    /// connection.
    pub(super) fn check(&self, seed: u64) {
        let all = self.delivered + self.dropped + self.lost + self.unreceived + self.cut;
        assert_eq!(self.accepted, all, "seed {seed}: {self}");
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, came, left, accepted, delivered, dropped, lost, unreceived, cut } = self;
        write!(
            f,
            "{runs} runs, {came} peers came, {left} left: accepted {accepted} = delivered {delivered}"
        )?;
        write!(
            f,
            " + dropped {dropped} + lost with a peer {lost} + not received {unreceived} + cut off {cut}; \
             duplicates 0, inversions 0"
        )
    }
}

/// What was sent and received in one run.
#[derive(Debug)]
pub(super) struct Ledger {
    seed: u64,
    pub(super) figures: Figures,
    next: HashMap<u32, u32>,
    /// By sender and receiver: the last number. Numbers only grow.
    last: HashMap<(u32, u32), u32>,
    /// None if each receiver gets a copy.
    seen: Option<HashSet<(u32, u32)>>,
    /// How many each has received.
    received: HashMap<u32, u64>,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        let figures = Figures { runs: 1, ..Figures::default() };
        let seen = Some(HashSet::new());
        Self { seed, figures, next: HashMap::new(), last: HashMap::new(), seen, received: HashMap::new() }
    }

    /// Books for messages that go to many.
    pub(super) fn of_copies(seed: u64) -> Self {
        Self { seen: None, ..Self::new(seed) }
    }

    /// The sender's next message, of two frames and about so many octets.
    pub(super) fn next(&self, sender: u32, octets: usize) -> Message {
        let number = self.next.get(&sender).copied().unwrap_or(0);
        Message::from([[numbered(sender), numbered(number)].concat(), vec![filler(number); octets]])
    }

    /// The sender's next message was accepted, in so many copies.
    pub(super) fn accepted(&mut self, sender: u32, copies: u64) {
        *self.next.entry(sender).or_default() += 1;
        self.figures.accepted += copies;
    }

    /// A message has arrived: whole, as it was sent, in order, and for the first time. Its number.
    pub(super) fn delivered(&mut self, receiver: u32, message: &Message) -> (u32, u32) {
        let seed = self.seed;
        assert_eq!(message.frame_count(), 2, "seed {seed}: in part");
        let body = message.body();
        let sender = u32::from_be_bytes(body[..4].try_into().unwrap());
        let number = u32::from_be_bytes(body[4..].try_into().unwrap());
        assert!(number < self.next[&sender], "seed {seed}: never sent");
        assert!(
            message.frame(1).unwrap().iter().all(|octet| *octet == filler(number)),
            "seed {seed}: corrupt"
        );
        if let Some(last) = self.last.insert((sender, receiver), number) {
            assert!(last < number, "seed {seed}: {number} of {sender} behind {last} at {receiver}");
        }
        if let Some(seen) = &mut self.seen {
            assert!(seen.insert((sender, number)), "seed {seed}: {number} of {sender} twice");
        }
        self.figures.delivered += 1;
        *self.received.entry(receiver).or_default() += 1;
        (sender, number)
    }

    /// How many messages this one has received.
    pub(super) fn delivered_to(&self, receiver: u32) -> u64 {
        self.received.get(&receiver).copied().unwrap_or(0)
    }

    /// What was accepted and has not arrived.
    pub(super) fn missing(&self) -> u64 {
        self.figures.accepted - self.figures.delivered
    }
}

fn filler(number: u32) -> u8 {
    u8::try_from(number % 251).unwrap()
}

/// Whether tests run in full: with the counts that are promised, not with those that fit a quick run.
pub(super) fn is_full() -> bool {
    std::env::var_os("PEERMQ_FULL").is_some()
}

/// `few`, or `many` in a full run.
pub(super) fn count<T>(few: T, many: T) -> T {
    if is_full() { many } else { few }
}
