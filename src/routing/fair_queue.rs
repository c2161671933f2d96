//! Fair queueing in: one message from each peer that has some, in turn.
//!
//! Source: RFC 30, PULL: "SHALL receive incoming messages from its peers using a fair-queuing strategy".
#![forbid(unsafe_code)]

use crate::message::Message;
use crate::pipe::{NoMessage, PipeKey, Pipes, Taken};
use crate::routing::NoneReady;
use crate::routing::turns::Turns;

/// Peers in turn.
#[derive(Debug, Default)]
pub(crate) struct FairQueue {
    /// Peers that may have messages. One that runs dry leaves, and comes back when it tells of more.
    active: Turns,
}

impl FairQueue {
    /// A new peer, or one that has messages again.
    pub(crate) fn add(&mut self, key: PipeKey) {
        // It may tell of messages that were found meanwhile: one place in the turn is enough.
        if !self.active.contains(key) {
            self.active.add(key);
        }
    }

    pub(crate) fn remove(&mut self, key: PipeKey) {
        self.active.remove(key);
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
        while let Some(key) = self.active.current() {
            if let Ok(taken) = take(key) {
                if taken == Taken::Message {
                    self.active.advance();
                }
                return Ok((key, taken));
            }
            self.active.skip(); // dry, or closed
        }
        Err(NoneReady)
    }
}
