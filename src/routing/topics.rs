//! Topics: who subscribed to what, as an index of prefixes.
//!
//! A compressed trie in an arena. Labels have a bounded length, so that splitting one costs little however long
//! a topic is; nothing recurses, so that a topic's length never shows on the stack (CVE-2021-20236). A node
//! with subscribers keeps its place for as long as it has them.
//!
//! Subscribers are seats: small numbers that the owner gives out. What one of them may hold is limited.
//! Source: RFC 37, "PUB-SUB": prefixes, binary. Not additive, as that has it: a set for each subscriber, as in every
//! publisher that is in use, because subscribers tell of each subscription and of the last cancellation only.
#![forbid(unsafe_code)]

use std::collections::{HashSet, hash_set};
use std::iter;

use smallvec::SmallVec;

use crate::limits::{LABEL_OCTETS_MAX, NODES_MANY, TOPIC_OCTETS_MAX, TOPIC_OCTETS_PER_PEER, TOPICS_PER_PEER};

/// A subscriber's number.
pub(crate) type Seat = u32;

/// A seat asked for more than a peer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// What a cancellation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// The seat had no such subscription.
    Nothing,
    /// It had one. `is_last`: nobody else has one.
    Topic { is_last: bool },
}

/// A topic with subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicId(u32);

/// What a seat that was left subscribed to.
pub(crate) type Left = iter::Map<hash_set::IntoIter<u32>, fn(u32) -> TopicId>;

/// Topics and their subscribers.
#[derive(Debug)]
pub(crate) struct Topics {
    /// The first is the root, which stands for the empty topic.
    nodes: Vec<Node>,
    /// Places without a node. Some may be behind the last one, whose places were given back.
    free: Vec<u32>,
    /// By seat.
    held: Vec<Held>,
    /// Topics with subscribers.
    count: usize,
}

#[derive(Debug, Default)]
struct Node {
    /// What the node adds to its parent's topic; empty for the root only.
    label: SmallVec<[u8; 16]>,
    parent: u32,
    /// In the order of the first octets of their labels.
    children: Vec<(u8, u32)>,
    subscribers: SmallVec<[Seat; 1]>,
}

/// What one seat subscribes to.
#[derive(Debug, Default)]
struct Held {
    nodes: HashSet<u32>,
    octets: usize,
}

const ROOT: u32 = 0;

impl Topics {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Node::default()], free: Vec::new(), held: Vec::new(), count: 0 }
    }

    /// Subscribes a seat, which may have subscribed already. `true`: nobody had.
    pub(crate) fn add(&mut self, seat: Seat, topic: &[u8]) -> Result<bool, TooMuch> {
        if topic.len() > TOPIC_OCTETS_MAX {
            return Err(TooMuch);
        }
        if self.find(topic).is_some_and(|node| self.node(node).subscribers.contains(&seat)) {
            return Ok(false);
        }
        let held = self.held_mut(seat);
        if held.nodes.len() >= TOPICS_PER_PEER || held.octets + topic.len() > TOPIC_OCTETS_PER_PEER {
            return Err(TooMuch);
        }
        let node = self.make(topic);
        let held = self.held_mut(seat);
        held.nodes.insert(node);
        held.octets += topic.len();
        let subscribers = &mut self.node_mut(node).subscribers;
        subscribers.push(seat);
        let is_first = subscribers.len() == 1;
        self.count += usize::from(is_first);
        Ok(is_first)
    }

    /// Takes a seat's subscription back.
    pub(crate) fn remove(&mut self, seat: Seat, topic: &[u8]) -> Removed {
        let Some(node) = self.find(topic) else { return Removed::Nothing };
        if !self.node(node).subscribers.contains(&seat) {
            return Removed::Nothing;
        }
        let held = self.held_mut(seat);
        held.nodes.remove(&node);
        held.octets -= topic.len();
        Removed::Topic { is_last: self.forget_subscriber(node, seat) }
    }

    /// The seat is left: returns what it subscribed to, each to be given to [`forget`](Self::forget).
    pub(crate) fn leave(&mut self, seat: Seat) -> Left {
        std::mem::take(self.held_mut(seat)).nodes.into_iter().map(TopicId)
    }

    /// Forgets one topic of a seat that was left, and puts it into `topic`. `true`: nobody else has it.
    pub(crate) fn forget(&mut self, seat: Seat, id: TopicId, topic: &mut Vec<u8>) -> bool {
        topic.clear();
        let mut at = id.0;
        while at != ROOT {
            let node = self.node(at);
            topic.extend(node.label.iter().rev());
            at = node.parent;
        }
        topic.reverse();
        self.forget_subscriber(id.0, seat)
    }

    /// Topics that a seat subscribes to.
    pub(crate) fn count_of(&self, seat: Seat) -> usize {
        self.held.get(seat as usize).map_or(0, |held| held.nodes.len())
    }

    /// Topics that somebody subscribes to.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether a topic is a prefix of `octets`.
    #[inline]
    pub(crate) fn has_match(&self, octets: &[u8]) -> bool {
        !self.node(ROOT).subscribers.is_empty() || self.matches(octets).next().is_some()
    }

    /// The subscribers of each topic that is a prefix of `octets`, shortest first. A seat may be in several.
    #[inline]
    pub(crate) fn matches<'a>(&'a self, octets: &'a [u8]) -> Matches<'a> {
        Matches { topics: self, next: Some(ROOT), rest: octets }
    }

    #[inline]
    fn node(&self, at: u32) -> &Node {
        let Some(node) = self.nodes.get(at as usize) else { unreachable!("links lead to nodes") };
        node
    }

    fn node_mut(&mut self, at: u32) -> &mut Node {
        let Some(node) = self.nodes.get_mut(at as usize) else { unreachable!("links lead to nodes") };
        node
    }

    fn held_mut(&mut self, seat: Seat) -> &mut Held {
        let at = seat as usize;
        if at >= self.held.len() {
            self.held.resize_with(at + 1, Held::default);
        }
        let Some(held) = self.held.get_mut(at) else { unreachable!("it was just made") };
        held
    }

    /// Takes a seat out of a node. `true`: it was the last.
    fn forget_subscriber(&mut self, node: u32, seat: Seat) -> bool {
        let subscribers = &mut self.node_mut(node).subscribers;
        let Some(at) = subscribers.iter().position(|other| *other == seat) else {
            return false;
        };
        subscribers.swap_remove(at);
        let is_last = subscribers.is_empty();
        if is_last {
            self.count -= 1;
            self.prune(node);
        }
        is_last
    }

    /// The node of exactly this topic.
    fn find(&self, topic: &[u8]) -> Option<u32> {
        let (mut at, mut rest) = (ROOT, topic);
        while let Some(octet) = rest.first() {
            at = self.node(at).child(*octet)?;
            rest = rest.strip_prefix(&self.node(at).label[..])?;
        }
        Some(at)
    }

    /// The node of this topic, made if need be.
    fn make(&mut self, topic: &[u8]) -> u32 {
        let (mut at, mut rest) = (ROOT, topic);
        while let Some(octet) = rest.first() {
            let Some(child) = self.node(at).child(*octet) else {
                let (label, behind) = rest.split_at(rest.len().min(LABEL_OCTETS_MAX));
                (at, rest) = (self.add_child(at, label), behind);
                continue;
            };
            let label = &self.node(child).label;
            let common = label.iter().zip(rest).take_while(|(ours, theirs)| ours == theirs).count();
            at = if common == label.len() { child } else { self.split(child, common) };
            rest = rest.get(common..).unwrap_or_default();
        }
        at
    }

    fn add_child(&mut self, parent: u32, label: &[u8]) -> u32 {
        let node = Node { label: SmallVec::from_slice(label), parent, ..Node::default() };
        let child = self.put(node);
        self.node_mut(parent).set_child(label, child);
        child
    }

    fn put(&mut self, node: Node) -> u32 {
        while let Some(at) = self.free.pop() {
            if let Some(place) = self.nodes.get_mut(at as usize) {
                *place = node;
                return at;
            }
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1)
            .unwrap_or_else(|_| unreachable!("2^32 nodes do not fit in memory"))
    }

    /// Puts a new node in front of `lower`, with the first `octets` of its label.
    fn split(&mut self, lower: u32, octets: usize) -> u32 {
        let node = self.node_mut(lower);
        let parent = node.parent;
        let label: SmallVec<_> = node.label.drain(..octets).collect();
        let upper = self.put(Node { label: label.clone(), parent, ..Node::default() });
        self.node_mut(lower).parent = upper;
        let rest = self.node(lower).label.first().copied();
        self.node_mut(upper).children = rest.map(|octet| (octet, lower)).into_iter().collect();
        self.node_mut(parent).set_child(&label, upper);
        upper
    }

    /// Removes nodes that are of no use any more, from `at` upwards.
    fn prune(&mut self, mut at: u32) {
        while at != ROOT && self.node(at).subscribers.is_empty() {
            let node = self.node(at);
            let parent = node.parent;
            match node.children[..] {
                [] => {
                    let node = std::mem::take(self.node_mut(at));
                    self.node_mut(parent).drop_child(&node.label);
                    self.set_free(at);
                    at = parent;
                }
                [(_, child)] if node.label.len() + self.node(child).label.len() <= LABEL_OCTETS_MAX => {
                    let node = std::mem::take(self.node_mut(at));
                    let lower = self.node_mut(child);
                    lower.label.insert_from_slice(0, &node.label);
                    lower.parent = parent;
                    self.node_mut(parent).set_child(&node.label, child);
                    self.set_free(at);
                    return;
                }
                _ => return,
            }
        }
    }

    /// A place has no node any more. Those behind the last node are given back: nodes do not move.
    fn set_free(&mut self, at: u32) {
        self.free.push(at);
        let is_free = |(place, node): (usize, &Node)| place != ROOT as usize && node.label.is_empty();
        while self.nodes.iter().enumerate().next_back().is_some_and(is_free) {
            self.nodes.pop();
        }
        let places = self.nodes.len();
        if self.nodes.capacity() >= 4 * NODES_MANY.max(places) {
            self.nodes.shrink_to(2 * places);
            self.free.retain(|at| (*at as usize) < places);
            self.free.shrink_to(2 * places);
        }
    }
}

impl Node {
    #[inline]
    fn child(&self, octet: u8) -> Option<u32> {
        let at = self.children.binary_search_by_key(&octet, |(first, _)| *first).ok()?;
        self.children.get(at).map(|(_, child)| *child)
    }

    /// Makes `child`, whose label starts as `label` does, a child in the place of any other such.
    fn set_child(&mut self, label: &[u8], child: u32) {
        let Some(&octet) = label.first() else { return };
        match self.children.binary_search_by_key(&octet, |(first, _)| *first) {
            Ok(at) => {
                if let Some(entry) = self.children.get_mut(at) {
                    entry.1 = child;
                }
            }
            Err(at) => self.children.insert(at, (octet, child)),
        }
    }

    fn drop_child(&mut self, label: &[u8]) {
        let Some(octet) = label.first() else { return };
        self.children.retain(|(first, _)| first != octet);
        if self.children.is_empty() {
            self.children = Vec::new();
        }
    }
}

/// See [`Topics::matches`].
#[derive(Debug)]
pub(crate) struct Matches<'a> {
    topics: &'a Topics,
    /// The node to look at; `rest` is what its topic leaves of the octets.
    next: Option<u32>,
    rest: &'a [u8],
}

impl<'a> Iterator for Matches<'a> {
    type Item = &'a [Seat];

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let node = self.topics.node(self.next?);
            self.next = self.rest.first().and_then(|octet| node.child(*octet));
            if let Some(child) = self.next {
                match self.rest.strip_prefix(&self.topics.node(child).label[..]) {
                    Some(rest) => self.rest = rest,
                    None => self.next = None,
                }
            }
            if !node.subscribers.is_empty() {
                return Some(&node.subscribers);
            }
        }
    }
}

#[cfg(test)]
mod tests;
