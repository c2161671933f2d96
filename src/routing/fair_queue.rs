//! Fair queueing in: one message from each peer that has some, in turn.
//!
//! Source: RFC 30, PULL: "SHALL receive incoming messages from its peers using a fair-queuing strategy".
#![forbid(unsafe_code)]

use crate::message::Message;
use crate::pipe::{NoMessage, PipeKey, Pipes, Taken};
use crate::routing::NoneReady;

/// Peers in turn.
#[derive(Debug, Default)]
pub(crate) struct FairQueue {
    /// Peers that may have messages. One that runs dry leaves, and comes back when it tells of more.
    active: Vec<PipeKey>,
    next: usize,
}

impl FairQueue {
    /// A new peer, or one that has messages again.
    pub(crate) fn add(&mut self, key: PipeKey) {
        // It may tell of messages that were found meanwhile: one place in the turn is enough.
        if !self.active.contains(&key) {
            self.active.push(key);
        }
    }

    pub(crate) fn remove(&mut self, key: PipeKey) {
        self.active.retain(|other| *other != key);
    }

    /// Takes the next message; passes over notes. From whom it is.
    #[inline]
    pub(crate) fn recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<PipeKey, NoneReady> {
        let next = self.next_by(|key| pipes.recv(key, message).map(|()| Taken::Message))?;
        Ok(next.0)
    }

    /// Takes the next message or note, and tells from whom it is. A note does not use up a peer's turn.
    #[inline]
    pub(crate) fn take(
        &mut self,
        pipes: &mut Pipes,
        message: &mut Message,
    ) -> Result<(PipeKey, Taken), NoneReady> {
        self.next_by(|key| pipes.take(key, message))
    }

    #[inline]
    fn next_by(
        &mut self,
        mut take: impl FnMut(PipeKey) -> Result<Taken, NoMessage>,
    ) -> Result<(PipeKey, Taken), NoneReady> {
        loop {
            let Some(&key) = self.active.get(self.next).or_else(|| self.active.first()) else {
                return Err(NoneReady);
            };
            if self.next >= self.active.len() {
                self.next = 0;
            }
            if let Ok(taken) = take(key) {
                self.next += usize::from(taken == Taken::Message);
                return Ok((key, taken));
            }
            // Dry, or closed: the next peer moves into its place.
            self.active.remove(self.next);
        }
    }
}
