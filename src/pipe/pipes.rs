//! The pipes of one socket, under keys that go stale safely.
//!
//! A pattern keeps keys and calls [`send`](Pipes::send) and [`recv`](Pipes::recv); the pipes belong to the
//! socket. A call that finds a pipe full or dry has already asked to be told when that changes.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::{Message, Payload};
use crate::pipe::{Consumer, NoMessage, Producer, Refused};

/// A pipe of a socket. Stale once the pipe is gone: a new pipe in the same place has another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PipeKey {
    index: u32,
    generation: u32,
}

/// The thread that would sleep does the I/O itself: what a connection lends to its socket's thread.
pub(crate) trait Assist: Send + Sync {
    /// Writes what the outbound pipe holds. `true`: the kernel takes no more now.
    fn flush(&self) -> bool;
    /// Reads into the inbound pipe what has arrived.
    fn fill(&self);
    /// Waits until the kernel has something to read or room to write, `timeout` at most, and does it.
    /// `false`: the connection is not lent to this thread, which must wait for its I/O thread.
    fn wait(&self, timeout: Duration) -> bool;
    /// The socket is done with the connection; what is queued may be sent until `deadline`.
    fn stop(&self, deadline: Option<Instant>);
    /// Whether the socket said that it is done.
    fn is_stopped(&self) -> bool;
    /// System calls made for the connection that stands, on its stream and on the poll of a waiting caller.
    #[cfg(test)]
    fn calls(&self) -> u64;
}

/// A socket's ends of the two pipes to one peer.
pub(crate) struct Pipe {
    /// The name under which the pipes tell that they are ready.
    pub(crate) id: u64,
    pub(crate) outbound: Producer,
    pub(crate) inbound: Consumer,
    /// The connection behind the pipes; none for inproc.
    pub(crate) assist: Option<Arc<dyn Assist>>,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    pipe: Option<Pipe>,
}

/// All pipes of one socket.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_id: HashMap<u64, PipeKey>,
    /// Pipes that were found closed and empty, to be removed.
    finished: Vec<PipeKey>,
    /// A pipe holds much that the kernel does not take.
    is_far_ahead: bool,
    is_patient: bool,
}

impl Pipes {
    pub(crate) fn insert(&mut self, pipe: Pipe) -> PipeKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(slot) = self.slots.get_mut(index as usize) else { unreachable!("free or just made") };
        let key = PipeKey { index, generation: slot.generation };
        self.by_id.insert(pipe.id, key);
        slot.pipe = Some(pipe);
        key
    }

    pub(crate) fn remove(&mut self, key: PipeKey) -> Option<Pipe> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let pipe = slot.pipe.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        self.by_id.remove(&pipe.id);
        Some(pipe)
    }

    pub(crate) fn key(&self, id: u64) -> Option<PipeKey> {
        self.by_id.get(&id).copied()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: PipeKey) -> Option<&mut Pipe> {
        match self.slots.get_mut(key.index as usize) {
            Some(Slot { generation, pipe: Some(pipe) }) if *generation == key.generation => Some(pipe),
            _ => None,
        }
    }

    pub(crate) fn keys(&self) -> Vec<PipeKey> {
        self.by_id.values().copied().collect()
    }

    /// The pipes of connections that the socket is done with.
    pub(crate) fn stopped(&self) -> Vec<PipeKey> {
        let is_stopped = |key: &PipeKey| {
            let slot = self.slots.get(key.index as usize);
            slot.and_then(|slot| slot.pipe.as_ref()).is_some_and(Pipe::is_stopped)
        };
        self.by_id.values().copied().filter(is_stopped).collect()
    }

    /// Queues a message. Full: the pipe will tell when there is room.
    #[inline]
    pub(crate) fn send(&mut self, key: PipeKey, payload: &mut Payload<'_>) -> Result<(), Refused> {
        let Some(pipe) = self.get_mut(key) else { return Err(Refused::Closed) };
        match pipe.outbound.try_send(payload) {
            Ok(()) => {
                if pipe.outbound.take_batch() {
                    self.hand_on_batch(key);
                }
                Ok(())
            }
            Err(refused) => self.send_refused(key, payload, refused),
        }
    }

    /// Takes a message. Dry: the pipe will tell when there is one.
    #[inline]
    pub(crate) fn recv(&mut self, key: PipeKey, message: &mut Message) -> Result<(), NoMessage> {
        let Some(pipe) = self.get_mut(key) else { return Err(NoMessage::Closed) };
        match pipe.inbound.try_recv(message) {
            Ok(()) => return Ok(()),
            Err(NoMessage::Dry) => match self.recv_from_dry(key, message) {
                Err(NoMessage::Closed) => {}
                taken_or_dry => return taken_or_dry,
            },
            Err(NoMessage::Closed) => {}
        }
        self.finished.push(key);
        Err(NoMessage::Closed)
    }

    /// Says whether the call that comes may wait: then a pipe between two threads is watched for a moment
    /// before it is reported as full or dry.
    #[inline]
    pub(crate) fn set_patient(&mut self, is_patient: bool) {
        self.is_patient = is_patient;
    }

    /// After a batch's worth of octets: to the kernel with it, or a moment for the thread at the other end.
    #[cold]
    fn hand_on_batch(&mut self, key: PipeKey) {
        let may_watch = self.may_watch();
        let Some(pipe) = self.get_mut(key) else { return };
        match &pipe.assist {
            Some(assist) => self.is_far_ahead = assist.flush(),
            None if may_watch => pipe.outbound.let_catch_up(),
            None => {}
        }
    }

    /// Before this thread waits for another one to make room, it does the write itself.
    #[cold]
    fn send_to_full(&mut self, key: PipeKey, payload: &mut Payload<'_>) -> Result<(), Refused> {
        let may_watch = self.may_watch();
        let Some(pipe) = self.get_mut(key) else { return Err(Refused::Closed) };
        match &pipe.assist {
            Some(assist) => drop(assist.flush()),
            None if may_watch => pipe.outbound.watch_for_room(),
            None => {}
        }
        loop {
            match pipe.outbound.try_send(payload) {
                Err(Refused::Full) if pipe.outbound.wait_for_room() => return Err(Refused::Full),
                Err(Refused::Full) => {}
                sent_or_closed => return sent_or_closed,
            }
        }
    }

    /// Before this thread waits for another one to read, it reads itself.
    #[cold]
    fn recv_from_dry(&mut self, key: PipeKey, message: &mut Message) -> Result<(), NoMessage> {
        let may_watch = self.may_watch();
        let Some(pipe) = self.get_mut(key) else { return Err(NoMessage::Closed) };
        match &pipe.assist {
            Some(assist) => assist.fill(),
            None if may_watch => pipe.inbound.watch_for_messages(),
            None => {}
        }
        loop {
            match pipe.inbound.try_recv(message) {
                Err(NoMessage::Dry) if pipe.inbound.wait_for_messages() => return Err(NoMessage::Dry),
                Err(NoMessage::Dry) => {}
                taken_or_closed => return taken_or_closed,
            }
        }
    }

    fn may_watch(&self) -> bool {
        self.is_patient && self.by_id.len() == 1
    }

    /// Whether a pipe has been found to hold much that the kernel does not take, since the last call.
    #[inline]
    pub(crate) fn take_far_ahead(&mut self) -> bool {
        std::mem::take(&mut self.is_far_ahead)
    }

    /// The connection of the only peer, if there is one peer and it has a connection.
    pub(crate) fn only_connection(&self) -> Option<&Arc<dyn Assist>> {
        if self.by_id.len() != 1 {
            return None;
        }
        self.slots.iter().find_map(|slot| slot.pipe.as_ref())?.assist.as_ref()
    }

    #[cold]
    fn send_refused(
        &mut self,
        key: PipeKey,
        payload: &mut Payload<'_>,
        mut refused: Refused,
    ) -> Result<(), Refused> {
        if refused == Refused::Full {
            match self.send_to_full(key, payload) {
                Ok(()) => return Ok(()),
                Err(again) => refused = again,
            }
        }
        let is_over = self.get_mut(key).is_some_and(|pipe| pipe.inbound.is_finished());
        if refused == Refused::Closed && is_over {
            self.finished.push(key);
        }
        Err(refused)
    }

    /// Takes what a peer sent to a socket that does not receive, and asks to be told of more.
    pub(crate) fn discard(&mut self, key: PipeKey) {
        let mut message = Message::new();
        while self.recv(key, &mut message).is_ok() {}
    }

    /// The next pipe that was found closed and empty.
    #[inline]
    pub(crate) fn next_finished(&mut self) -> Option<PipeKey> {
        self.finished.pop()
    }
}

impl Pipe {
    pub(crate) fn is_stopped(&self) -> bool {
        self.assist.as_ref().is_some_and(|assist| assist.is_stopped())
    }
}
