//! A single peer: for socket types that have one at most.
//!
//! Source: RFC 31, PAIR: "MAY connect to at most one PAIR peer".
#![forbid(unsafe_code)]

use crate::message::{Message, Payload};
use crate::pipe::{PipeKey, Pipes, Refused};
use crate::routing::{NoneReady, NotSent};

/// The peer, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Single {
    peer: Option<PipeKey>,
    /// The peer had no message when asked; it will tell when it has.
    is_dry: bool,
}

impl Single {
    /// Takes the peer. `false`: there is one already, and it stays.
    pub(crate) fn add(&mut self, key: PipeKey) -> bool {
        if self.peer.is_some() {
            return false;
        }
        *self = Self { peer: Some(key), is_dry: false };
        true
    }

    pub(crate) fn remove(&mut self, key: PipeKey) {
        if self.peer == Some(key) {
            self.peer = None;
        }
    }

    /// The peer has messages.
    pub(crate) fn resume(&mut self) {
        self.is_dry = false;
    }

    /// Whether the peer has a message, or a note. If not, it tells when it has one.
    pub(crate) fn has_message(&mut self, pipes: &mut Pipes) -> bool {
        let Some(peer) = self.peer.filter(|_| !self.is_dry) else { return false };
        self.is_dry = pipes.look(peer).is_err();
        !self.is_dry
    }

    /// Whether the peer has room. If not, it tells when it has.
    pub(crate) fn has_room(&mut self, pipes: &mut Pipes) -> bool {
        self.peer.is_some_and(|peer| pipes.look_for_room(peer).is_ok())
    }

    #[inline]
    pub(crate) fn send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), NotSent> {
        let peer = self.peer.ok_or(NoneReady)?;
        pipes.send(peer, payload).map_err(|refused| match refused {
            Refused::Closed | Refused::Full => NotSent::NoneReady,
            Refused::TooLarge => NotSent::TooLarge,
        })
    }

    #[inline]
    pub(crate) fn recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), NoneReady> {
        let peer = self.peer.ok_or(NoneReady)?;
        if self.is_dry {
            return Err(NoneReady);
        }
        match pipes.recv(peer, message) {
            Ok(()) => {
                pipes.heard = Some(peer);
                Ok(())
            }
            Err(_) => {
                self.is_dry = true;
                Err(NoneReady)
            }
        }
    }
}
