//! Peers that take turns.
#![forbid(unsafe_code)]

use crate::pipe::PipeKey;

/// Peers in a circle, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turns {
    peers: Vec<PipeKey>,
    /// Less than there are peers, or zero.
    next: usize,
}

impl Turns {
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(super) fn contains(&self, key: PipeKey) -> bool {
        self.peers.contains(&key)
    }

    /// Whose turn it is.
    #[inline]
    pub(super) fn current(&self) -> Option<PipeKey> {
        self.peers.get(self.next).copied()
    }

    /// It is the turn of the next one.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.next = if self.next + 1 < self.peers.len() { self.next + 1 } else { 0 };
    }

    pub(super) fn add(&mut self, key: PipeKey) {
        self.peers.push(key);
    }

    /// Takes out whose turn it is; the next one moves into the place.
    #[cold]
    pub(super) fn skip(&mut self) {
        if self.next < self.peers.len() {
            self.peers.remove(self.next);
        }
        self.wrap();
    }

    pub(super) fn remove(&mut self, key: PipeKey) {
        self.retain(|other| *other != key);
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&PipeKey) -> bool) {
        self.peers.retain(keep);
        self.wrap();
    }

    fn wrap(&mut self) {
        if self.next >= self.peers.len() {
            self.next = 0;
        }
    }
}
