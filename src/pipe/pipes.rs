//! The pipes of one socket, under keys that go stale safely.
//!
//! A pattern keeps keys and calls [`send`](Pipes::send) and [`recv`](Pipes::recv); the pipes belong to the
//! socket. A call that finds a pipe full or dry has already asked to be told when that changes.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits::{BATCH_OCTETS, BATCH_OCTETS_MIN, PEERS_MANY, PIPES_IN_CACHE};
use crate::message::{Frame, Message, Payload};
use crate::pipe::assist::Patience;
use crate::pipe::budget::Budget;
use crate::pipe::duplex::Pipe;
use crate::pipe::outstanding::Departed;
use crate::pipe::{
    Books, Change, Consumer, Dropped, Drops, Latest, NameLost, NoMessage, Opened, Passage, Producer, Refused,
    Taken, Totals,
};

/// A pipe of a socket. Stale once the pipe is gone: every pipe has another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PipeKey {
    index: u32,
    generation: u32,
}

/// What orders the pipes of one socket: an older one is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Since {
    connection: u64,
    pipe: u64,
}

/// On cache lines of its own, as a socket is.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    generation: u32,
    pipe: Option<Pipe>,
}

/// Where a message is taken from.
enum Source<'a> {
    Latest(Message),
    Queue(&'a mut Consumer),
}

/// All pipes of one socket.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Of the next pipe.
    generation: u32,
    /// Pipes that there were at most since memory was last given back.
    most: usize,
    by_id: BTreeMap<u64, PipeKey>,
    /// Pipes that were found closed and empty, to be removed.
    pub(super) finished: Vec<PipeKey>,
    /// Pipes that the pattern wants to be rid of.
    given_up: Vec<PipeKey>,
    pub(super) departed: Departed,
    /// A pipe holds much that the kernel does not take.
    is_far_ahead: bool,
    /// Of the call under way.
    patience: Patience,
    pub(super) budget: Budget,
    /// From whom the message was that the socket received last.
    pub(crate) heard: Option<PipeKey>,
    /// Octets of a batch to one peer.
    batch_octets: usize,
    /// What has gone where, for other threads.
    books: Arc<Books>,
    /// What has gone through pipes that are gone; without what became of it.
    gone: Totals,
}

impl Pipes {
    pub(crate) fn insert(&mut self, pipe: Pipe) -> PipeKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(slot) = self.slots.get_mut(index as usize) else { unreachable!("free or just made") };
        let key = PipeKey { index, generation: self.generation };
        self.generation = self.generation.wrapping_add(1);
        self.by_id.insert(pipe.id, key);
        self.books.open(&pipe);
        self.most = self.most.max(self.by_id.len());
        *slot = Slot { generation: key.generation, pipe: Some(pipe) };
        self.share_cache(key);
        key
    }

    /// Makes batches smaller where there are more pipes, so that all of them together stay in the cache.
    fn share_cache(&mut self, key: PipeKey) {
        let share = PIPES_IN_CACHE * BATCH_OCTETS / self.by_id.len().next_power_of_two();
        let batch = share.clamp(BATCH_OCTETS_MIN, BATCH_OCTETS);
        if batch != self.batch_octets {
            self.batch_octets = batch;
            self.slots
                .iter_mut()
                .filter_map(|slot| slot.pipe.as_mut())
                .for_each(|pipe| pipe.outbound.set_batch(batch));
        } else if let Some(pipe) = self.get_mut(key) {
            pipe.outbound.set_batch(batch);
        }
    }

    pub(crate) fn remove(&mut self, key: PipeKey) -> Option<Pipe> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let mut pipe = slot.pipe.take()?;
        self.free.push(key.index);
        self.by_id.remove(&pipe.id);
        self.drops().replaced.add(pipe.replaced());
        self.drops().unreceived.add(pipe.leave());
        self.gone.octets_sent += pipe.outbound.octets_sent();
        self.gone.received += pipe.received();
        self.gone.octets_received += pipe.inbound.octets();
        self.departed.add(&pipe);
        self.books.settle(&pipe);
        if self.slots.len() >= PEERS_MANY && self.by_id.len() <= self.most / 4 {
            self.give_places_back();
        }
        Some(pipe)
    }

    /// Gives back the places of pipes that are gone, as far as no pipe lies behind them.
    fn give_places_back(&mut self) {
        self.most = self.by_id.len();
        let used = self.slots.iter().rposition(|slot| slot.pipe.is_some()).map_or(0, |last| last + 1);
        self.slots.truncate(used);
        self.slots.shrink_to_fit();
        self.free.retain(|index| (*index as usize) < used);
        self.free.shrink_to_fit();
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

    /// When a pipe came to be: what was connected or accepted later is greater.
    pub(crate) fn since(&mut self, key: PipeKey) -> Option<Since> {
        let pipe = self.get_mut(key)?;
        // The pipes of an accepted connection are made when its handshake is done, which may be late.
        let connection = pipe.assist.as_ref().map_or(pipe.id, |assist| assist.id());
        Some(Since { connection, pipe: pipe.id })
    }

    /// From whom the socket received last, if the pipe is there still.
    pub(crate) fn last_heard(&self) -> Option<&Pipe> {
        let key = self.heard?;
        let slot = self.slots.get(key.index as usize).filter(|slot| slot.generation == key.generation)?;
        slot.pipe.as_ref()
    }

    /// Whether nothing more comes from this peer than what is there.
    pub(crate) fn has_left(&mut self, key: PipeKey) -> bool {
        self.get_mut(key).is_some_and(|pipe| pipe.inbound.is_producer_gone())
    }

    pub(crate) fn keys(&self) -> Vec<PipeKey> {
        self.by_id.values().copied().collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pipe> {
        self.slots.iter().filter_map(|slot| slot.pipe.as_ref())
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
        self.send_by(key, &[], payload, Producer::try_send)
    }

    /// Queues a message with other frames in front, as [`send`](Self::send) does.
    #[inline]
    pub(crate) fn send_behind(
        &mut self,
        key: PipeKey,
        envelope: &[Frame],
        payload: &mut Payload<'_>,
    ) -> Result<(), Refused> {
        self.send_by(key, envelope, payload, |producer, payload| producer.try_send_behind(envelope, payload))
    }

    #[inline]
    fn send_by(
        &mut self,
        key: PipeKey,
        envelope: &[Frame],
        payload: &mut Payload<'_>,
        try_send: impl Fn(&mut Producer, &mut Payload<'_>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let Some(pipe) = self.get_mut(key) else { return Err(Refused::Closed) };
        match try_send(&mut pipe.outbound, payload) {
            Ok(()) => {
                if pipe.outbound.take_batch() {
                    self.hand_on_batch(key);
                }
                Ok(())
            }
            Err(refused) => self.send_refused(key, envelope, payload, refused, try_send),
        }
    }

    /// Queues a message if there is room now, for senders that never wait: a full pipe does not tell.
    #[inline]
    pub(crate) fn offer(&mut self, key: PipeKey, payload: &mut Payload<'_>) -> Result<(), Refused> {
        let Some(pipe) = self.get_mut(key) else { return Err(Refused::Closed) };
        match pipe.outbound.try_send(payload) {
            Ok(()) => {
                if pipe.outbound.take_batch() {
                    self.hand_on_batch(key);
                }
                Ok(())
            }
            Err(Refused::Full) => self.offer_to_full(key, payload),
            Err(refused) => Err(refused),
        }
    }

    #[cold]
    fn offer_to_full(&mut self, key: PipeKey, payload: &mut Payload<'_>) -> Result<(), Refused> {
        let mut chores = self.budget.chores();
        let Some(pipe) = self.get_mut(key) else { return Err(Refused::Closed) };
        let sent = pipe.offer_to_full(payload, &mut chores);
        let is_batch = sent.is_ok() && pipe.outbound.take_batch();
        self.budget.note_chores(&chores);
        if is_batch {
            self.hand_on_batch(key);
        }
        sent
    }

    /// Whether a message would be queued now.
    #[inline]
    pub(crate) fn has_room(&mut self, key: PipeKey) -> Result<(), Refused> {
        self.get_mut(key).map_or(Err(Refused::Closed), |pipe| pipe.outbound.has_room())
    }

    /// The next change in what the socket at the other end of a pipe of this process subscribes to.
    pub(crate) fn next_change(&mut self, key: PipeKey) -> Option<Change> {
        self.get_mut(key)?.feed.as_mut()?.next()
    }

    /// What the note says that was taken last: connections that came and went.
    pub(crate) fn take_passage(&mut self, key: PipeKey) -> Passage {
        self.get_mut(key).and_then(|pipe| pipe.inbound.take_passage()).unwrap_or_default()
    }

    /// Ends the connection to a peer that is not to be borne. The socket removes the pipe.
    pub(crate) fn expel(&mut self, key: PipeKey) {
        let Some(pipe) = self.get_mut(key) else { return };
        pipe.outbound.cut_off();
        if let Some(assist) = &pipe.assist {
            assist.expel();
        }
        self.finished.push(key);
    }

    /// Takes a message, and passes over notes. Dry: the pipe will tell when there is one.
    #[inline]
    pub(crate) fn recv(&mut self, key: PipeKey, message: &mut Message) -> Result<(), NoMessage> {
        self.recv_by(key, message, |source, message| match source {
            Source::Queue(queue) => queue.try_recv(message),
            Source::Latest(latest) => {
                *message = latest;
                Ok(())
            }
        })
    }

    /// Takes a message apart, and passes over notes: see [`Consumer::try_recv_enveloped`]. Dry: the pipe will tell when
    /// there is one.
    #[inline]
    pub(crate) fn recv_enveloped(
        &mut self,
        key: PipeKey,
        wanted: Option<&[Frame]>,
        envelope: &mut Vec<Frame>,
        message: &mut Message,
    ) -> Result<Opened, NoMessage> {
        self.recv_by(key, message, |source, message| match source {
            Source::Queue(queue) => queue.try_recv_enveloped(wanted, envelope, message),
            Source::Latest(latest) => Ok(Opened::open(latest, wanted, envelope, message)),
        })
    }

    /// Takes a message or a note. Dry: the pipe will tell when there is one.
    #[inline]
    pub(crate) fn take(&mut self, key: PipeKey, message: &mut Message) -> Result<Taken, NoMessage> {
        self.recv_by(key, message, |source, message| match source {
            Source::Queue(queue) => queue.try_take(message),
            Source::Latest(latest) => {
                *message = latest;
                Ok(Taken::Message)
            }
        })
    }

    #[inline]
    fn recv_by<T>(
        &mut self,
        key: PipeKey,
        message: &mut Message,
        mut try_recv: impl FnMut(Source<'_>, &mut Message) -> Result<T, NoMessage>,
    ) -> Result<T, NoMessage> {
        let Some(pipe) = self.get_mut(key) else { return Err(NoMessage::Closed) };
        match try_recv(Source::Queue(&mut pipe.inbound), message) {
            Err(_) if pipe.latest_in.is_some() => return self.recv_latest(key, message, try_recv),
            Err(NoMessage::Dry) => match self.recv_from_dry(key, message, try_recv) {
                Err(NoMessage::Closed) => {}
                taken_or_dry => return taken_or_dry,
            },
            Err(NoMessage::Closed) => {}
            taken => return taken,
        }
        self.finished.push(key);
        Err(NoMessage::Closed)
    }

    /// Takes the only message of a pipe that conflates.
    #[cold]
    fn recv_latest<T>(
        &mut self,
        key: PipeKey,
        message: &mut Message,
        mut try_recv: impl FnMut(Source<'_>, &mut Message) -> Result<T, NoMessage>,
    ) -> Result<T, NoMessage> {
        let mut chores = self.budget.chores();
        let Some(pipe) = self.get_mut(key) else { return Err(NoMessage::Closed) };
        if let Some(assist) = &pipe.assist {
            assist.fill(Patience::None, &mut chores);
        }
        self.budget.note_chores(&chores);
        let Some(pipe) = self.get_mut(key) else { return Err(NoMessage::Closed) };
        loop {
            let latest = pipe.latest_in.as_ref();
            if let Some(found) = latest.and_then(Latest::take) {
                return try_recv(Source::Latest(found), message);
            }
            if pipe.is_finished() {
                self.finished.push(key);
                return Err(NoMessage::Closed);
            }
            if pipe.latest_in.as_ref().is_none_or(Latest::wait) {
                return Err(NoMessage::Dry);
            }
        }
    }

    /// Says whether the call that comes may wait: then a pipe between two threads is watched for a moment
    /// before it is reported as full or dry.
    #[inline]
    pub(crate) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// An attempt of a call begins that may wait so long.
    #[inline]
    pub(crate) fn start(&mut self, patience: Patience) {
        self.patience = patience;
        self.start_attempt();
    }

    /// After a batch's worth of octets: to the kernel with it, or a moment for the thread at the other end.
    #[cold]
    fn hand_on_batch(&mut self, key: PipeKey) {
        let (may_watch, mut chores) = (self.may_watch(), self.budget.chores());
        let Some(pipe) = self.get_mut(key) else { return };
        match &pipe.assist {
            Some(assist) if pipe.outbound.take_due() => assist.hand_on(&mut chores),
            Some(assist) => self.is_far_ahead = assist.flush(&mut chores),
            None if may_watch => pipe.outbound.let_catch_up(),
            None => {}
        }
        self.budget.note_chores(&chores);
    }

    /// Before this thread waits for another one to make room, it does the write itself.
    #[cold]
    fn send_to_full(
        &mut self,
        key: PipeKey,
        payload: &mut Payload<'_>,
        try_send: impl Fn(&mut Producer, &mut Payload<'_>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let (may_watch, mut chores) = (self.may_watch(), self.budget.chores());
        let Some(pipe) = self.get_mut(key) else { return Err(Refused::Closed) };
        match &pipe.assist {
            Some(assist) => drop(assist.flush(&mut chores)),
            None if may_watch => drop(pipe.outbound.watch_for_room()),
            None => {}
        }
        self.budget.note_chores(&chores);
        let Some(pipe) = self.get_mut(key) else { return Err(Refused::Closed) };
        loop {
            match try_send(&mut pipe.outbound, payload) {
                Err(Refused::Full) if pipe.outbound.wait_for_room() => return Err(Refused::Full),
                Err(Refused::Full) => {}
                sent_or_closed => return sent_or_closed,
            }
        }
    }

    /// Before this thread waits for another one to read, it reads itself.
    #[cold]
    fn recv_from_dry<T>(
        &mut self,
        key: PipeKey,
        message: &mut Message,
        mut try_recv: impl FnMut(Source<'_>, &mut Message) -> Result<T, NoMessage>,
    ) -> Result<T, NoMessage> {
        let may_watch = self.may_watch();
        // Whoever has one peer only can wait for it alone.
        let is_shared = self.patience == Patience::Long && !may_watch;
        let patience = if is_shared { Patience::Short } else { self.patience };
        self.note_look();
        let mut chores = self.budget.chores();
        let Some(pipe) = self.get_mut(key) else { return Err(NoMessage::Closed) };
        match &pipe.assist {
            Some(assist) => assist.fill(patience, &mut chores),
            None if may_watch => drop(pipe.inbound.watch_for_messages()),
            None => {}
        }
        self.budget.note_chores(&chores);
        let Some(pipe) = self.get_mut(key) else { return Err(NoMessage::Closed) };
        loop {
            match try_recv(Source::Queue(&mut pipe.inbound), message) {
                Err(NoMessage::Dry) if pipe.wait_for_messages() => return Err(NoMessage::Dry),
                Err(NoMessage::Dry) => {}
                taken_or_closed => return taken_or_closed,
            }
        }
    }

    /// Watches for messages of the only peer for a moment, if it is a thread that streams. Whether there are some.
    #[cold]
    pub(crate) fn watch_for_messages(&mut self) -> bool {
        self.only_thread().is_some_and(|pipe| pipe.inbound.watch_for_messages())
    }

    /// The same for room.
    #[cold]
    pub(crate) fn watch_for_room(&mut self) -> bool {
        self.only_thread().is_some_and(|pipe| pipe.outbound.watch_for_room())
    }

    /// The pipe, if there is one only, and a thread of this process at its other end.
    fn only_thread(&mut self) -> Option<&mut Pipe> {
        let mut keys = self.by_id.values().copied();
        let (Some(key), None) = (keys.next(), keys.next()) else { return None };
        self.get_mut(key).filter(|pipe| pipe.assist.is_none())
    }

    fn may_watch(&self) -> bool {
        self.patience != Patience::None && self.by_id.len() == 1
    }

    /// Whether a pipe has been found to hold much that the kernel does not take, since the last call.
    #[inline]
    pub(crate) fn take_far_ahead(&mut self) -> bool {
        std::mem::take(&mut self.is_far_ahead)
    }

    /// Whether there is one peer, and it has a connection.
    pub(crate) fn has_only_connection(&self) -> bool {
        self.by_id.len() == 1 && self.iter().any(|pipe| pipe.assist.is_some())
    }

    #[cold]
    fn send_refused(
        &mut self,
        key: PipeKey,
        envelope: &[Frame],
        payload: &mut Payload<'_>,
        mut refused: Refused,
        try_send: impl Fn(&mut Producer, &mut Payload<'_>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        if let (Refused::Full, Some(pipe)) = (refused, self.get_mut(key)) {
            if let Some(latest) = &pipe.latest_out {
                pipe.outbound.fits(envelope, payload)?;
                latest.put_behind(envelope, payload);
                return Ok(());
            }
        }
        if refused == Refused::Full {
            match self.send_to_full(key, payload, try_send) {
                Ok(()) => {
                    if self.get_mut(key).is_some_and(|pipe| pipe.outbound.take_batch()) {
                        self.hand_on_batch(key);
                    }
                    return Ok(());
                }
                Err(again) => refused = again,
            }
        }
        let is_over = self.get_mut(key).is_some_and(Pipe::is_finished);
        if refused == Refused::Closed && is_over {
            self.finished.push(key);
        }
        Err(refused)
    }

    /// Messages that were dropped so far.
    pub(crate) fn dropped(&self) -> Dropped {
        let mut dropped = self.drops().so_far();
        dropped.replaced += self.iter().map(Pipe::replaced).sum::<u64>();
        dropped
    }

    /// Where dropped messages are counted.
    #[inline]
    pub(crate) fn drops(&self) -> &Drops {
        self.books.drops()
    }

    /// What has gone through pipes that are gone; without what became of it.
    pub(crate) fn gone(&self) -> &Totals {
        &self.gone
    }

    pub(crate) fn books(&self) -> &Arc<Books> {
        &self.books
    }

    /// Whether nothing that is sent to this peer can reach it any more.
    pub(crate) fn is_gone(&mut self, key: PipeKey) -> bool {
        self.get_mut(key).is_none_or(|pipe| pipe.outbound.is_closed())
    }

    /// Nothing has gone to this peer for long: gives up what a quiet pipe does not need.
    pub(crate) fn rest(&mut self, key: PipeKey) {
        let Some(pipe) = self.get_mut(key) else { return };
        pipe.outbound.rest();
        if pipe.outbound.take_batch() {
            self.hand_on_batch(key); // a session that waits has a segment to leave
        }
    }

    /// Ends the connection of a pipe at once because of its peer's name. What arrived is still received; a connect is
    /// tried again, with what is queued for it.
    pub(crate) fn hang_up(&mut self, key: PipeKey, why: NameLost) {
        let Some(pipe) = self.get_mut(key) else { return };
        if let Some(assist) = &pipe.assist {
            assist.hang_up(why);
        } else {
            pipe.name_lost = Some(why);
            self.finished.push(key);
        }
    }

    /// Ends the connection of a pipe soon, and drops what is queued, both ways. A connect is tried again, with
    /// a new pipe.
    pub(crate) fn give_up(&mut self, key: PipeKey) {
        self.given_up.push(key);
    }

    /// The next pipe that was found closed and empty.
    #[inline]
    pub(crate) fn next_finished(&mut self) -> Option<PipeKey> {
        self.finished.pop()
    }

    /// The next pipe that the pattern wants to be rid of.
    pub(crate) fn next_given_up(&mut self) -> Option<PipeKey> {
        self.given_up.pop()
    }
}
