//! Round robin out: each message goes to the next peer that has room.
//!
//! Source: RFC 30, PUSH: "SHALL route outgoing messages to available peers using a round-robin strategy".
#![forbid(unsafe_code)]

use crate::message::Payload;
use crate::pipe::{PipeKey, Pipes, Refused};
use crate::routing::turns::Turns;
use crate::routing::{NoneReady, NotSent};

/// Peers in turn.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin {
    active: Turns,
    /// Peers that were full when it was their turn.
    full: Vec<PipeKey>,
}

impl RoundRobin {
    pub(crate) fn add(&mut self, key: PipeKey) {
        self.active.add(key);
        // Room for all, so that sending never allocates.
        self.full.reserve(self.active.len());
    }

    pub(crate) fn remove(&mut self, key: PipeKey) {
        self.active.remove(key);
        self.full.retain(|other| *other != key);
    }

    /// A peer that was full has room, or is gone, which the next try will find.
    pub(crate) fn resume(&mut self, key: PipeKey) {
        if let Some(index) = self.full.iter().position(|other| *other == key) {
            self.full.swap_remove(index);
            self.active.add(key);
        }
    }

    /// Queues the payload for the next peer with room.
    #[inline]
    pub(crate) fn send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), NotSent> {
        self.send_by(pipes, |pipes, key| pipes.send(key, payload)).map(|_| ())
    }

    /// Queues what `try_send` does for the next peer with room, and tells which one that is.
    #[inline]
    pub(crate) fn send_by(
        &mut self,
        pipes: &mut Pipes,
        mut try_send: impl FnMut(&mut Pipes, PipeKey) -> Result<(), Refused>,
    ) -> Result<PipeKey, NotSent> {
        loop {
            let Some(key) = self.active.current() else {
                self.look_at_full(pipes)?;
                continue;
            };
            match try_send(pipes, key) {
                Ok(()) => {
                    self.active.advance();
                    return Ok(key);
                }
                Err(Refused::Full) => {
                    self.active.skip();
                    self.full.push(key);
                }
                Err(Refused::Closed) => self.active.skip(),
                Err(Refused::TooLarge) => return Err(NotSent::TooLarge),
            }
        }
    }

    /// Whether a payload would be queued. If not, each peer tells when it has room.
    pub(crate) fn has_room(&mut self, pipes: &mut Pipes) -> bool {
        loop {
            let Some(key) = self.active.current() else {
                if self.look_at_full(pipes).is_err() {
                    return false;
                }
                continue;
            };
            match pipes.look_for_room(key) {
                Ok(()) => return true,
                Err(Refused::Full) => {
                    self.active.skip();
                    self.full.push(key);
                }
                Err(Refused::Closed | Refused::TooLarge) => self.active.skip(),
            }
        }
    }

    /// Peers tell of room when half of their queue is free; one that has a little room serves a caller that
    /// would otherwise wait or fail.
    #[cold]
    fn look_at_full(&mut self, pipes: &mut Pipes) -> Result<(), NoneReady> {
        let (active, full) = (&mut self.active, &mut self.full);
        full.retain(|key| {
            let has_room = pipes.get_mut(*key).is_some_and(|pipe| pipe.outbound.has_room().is_ok());
            if has_room {
                active.add(*key);
            }
            !has_room
        });
        if self.active.is_empty() { Err(NoneReady) } else { Ok(()) }
    }
}
