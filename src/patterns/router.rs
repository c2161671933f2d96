//! ROUTER: knows its peers by name, tells from whom a message is and sends to whom it is told.
//!
//! A peer's name is in its pipe: announced, made up, or given by `connect_as`. Source: RFC 28/REQREP.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use crate::error::{ConnectErrorKind, RecvError, SendError};
use crate::limits::ROUTER_NEWS_MAX;
use crate::message::{Message, Payload};
use crate::options::{Options, RouterNotify};
use crate::patterns::{
    Addresses, Addressing, Attach, Pattern, Splits, Strategy, probe, recv_behind_name, send_behind_name,
};
use crate::pipe::note::Note;
use crate::pipe::{NameLost, Names, Pipe, PipeKey, Pipes, Refused, Taken, Waste};
use crate::routing::{FairQueue, PeerTable};
use crate::routing_id::RoutingId;
use crate::socket_type::SocketType;

/// ROUTER: both ways with any number of [`Dealer`](crate::Dealer), [`Req`](crate::Req) and [`Router`] peers,
/// each of which has a [`RoutingId`](crate::RoutingId).
///
/// `recv` takes one message from each peer in turn and tells from whom it is; `send_to` sends to the peer of
/// that name and never waits: a message for a peer that is not there, or whose queue is full, is dropped and
/// counted ([`dropped`](crate::Socket::dropped)), unless
/// [`router_mandatory`](crate::Options::router_mandatory) is set. What comes from a REQ has an empty frame in
/// front, which the reply needs, too. Source: RFC 28/REQREP.
///
/// A name belongs to one peer at a time: another one that announces it is refused in the handshake, before it sends
/// anything, and may try again; whoever has the name has to show within two seconds that it is there, and loses it
/// otherwise. With [`router_handover`](crate::Options::router_handover) the newcomer takes the name over, at this socket's
/// next call, and the old connection is closed. Replies to what the former holder has sent go to the newcomer then. Two
/// that both connect again with one name displace each other again and
/// again, with growing pauses if they are of this library, which are told why. A peer that we connect to has its name from the moment
/// that it is connected, and keeps it and its queue while it is away; with
/// [`connect_as`](crate::Socket::connect_as) it has one at once. What is queued for it goes to whoever answers
/// at that endpoint, whatever name that announces.
///
/// ```
/// use peermq::{Context, Dealer, Router, RoutingId};
///
/// let context = Context::new();
/// let mut router = context.open::<Router>()?;
/// router.bind("inproc://names")?;
/// let mut ada = context.builder_for::<Dealer>().routing_id(RoutingId::new("ada")?).open()?;
/// ada.connect("inproc://names")?;
/// ada.send("hello")?;
/// let (from, message) = router.recv()?;
/// assert_eq!((from.as_bytes(), message.body()), (&b"ada"[..], &b"hello"[..]));
/// router.send_to(&from, "hello, Ada")?;
/// assert_eq!(ada.recv()?, "hello, Ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Router {
    incoming: FairQueue,
    peers: PeerTable,
    /// Names that peers have, or will have when they are attached.
    names: Arc<Names>,
    /// Peers that came or went, of whom empty messages are to tell.
    news: VecDeque<RoutingId>,
    /// Where messages and notes are taken into.
    taken: Message,
    /// Whose message was taken last.
    heard_last: Option<PipeKey>,
    is_mandatory: bool,
    hands_over: bool,
    probes: bool,
    notify: RouterNotify,
}

impl Router {
    /// The peer of this name. Replies go to whoever was heard last: a look at its name saves the table.
    #[inline]
    fn find(&self, pipes: &mut Pipes, name: &[u8]) -> Option<PipeKey> {
        let last = self.heard_last.filter(|last| {
            let peer = pipes.get_mut(*last).and_then(|pipe| pipe.peer.as_ref());
            peer.is_some_and(|peer| peer.as_bytes() == name)
        });
        last.or_else(|| self.peers.find(name))
    }

    /// Whether a new peer of this name would be refused.
    fn refuses(&self, pipes: &mut Pipes, name: &RoutingId) -> bool {
        let other = self.peers.find(name.as_bytes());
        !self.hands_over && other.is_some_and(|other| !pipes.is_gone(other))
    }

    /// Claims a name for a peer of this process; for other peers their connection has done so.
    fn claim(&self, pipes: &mut Pipes, key: PipeKey, name: &RoutingId) -> bool {
        let is_gone = pipes.is_gone(key);
        let Some(pipe) = pipes.get_mut(key) else { return false };
        pipe.assist.is_some() || is_gone || self.names.claim(name, pipe.id, None)
    }

    /// Takes a name from a peer.
    fn release(&mut self, pipes: &mut Pipes, key: PipeKey, name: &RoutingId) {
        self.peers.remove(name, key);
        if let Some(pipe) = pipes.get_mut(key) {
            self.names.release(name, holder(pipe));
        }
    }

    /// Gives the peer the name that it announced, or one that is made up. `false`: another peer has it.
    fn name(&mut self, pipes: &mut Pipes, key: PipeKey, announced: RoutingId) -> bool {
        self.heard_last = None; // names change hands
        let before = pipes.get_mut(key).and_then(|pipe| pipe.peer.take());
        let is_made_up = |name: &RoutingId| name.as_bytes().first() == Some(&0);
        let name = match &before {
            Some(before) if announced.is_none() && is_made_up(before) => before.clone(),
            _ if announced.is_none() => self.peers.make_up(),
            _ => announced,
        };
        let other = self.peers.find(name.as_bytes()).filter(|other| *other != key);
        if other.is_some() && self.refuses(pipes, &name) || !self.claim(pipes, key, &name) {
            if let Some(before) = before {
                self.release(pipes, key, &before);
            }
            return false;
        }
        if let Some(other) = other {
            self.set_up(pipes, other, false);
            if !pipes.is_gone(other) {
                pipes.hang_up(other, NameLost::HandedOver);
            }
        }
        if let Some(before) = before.filter(|before| *before != name) {
            self.release(pipes, key, &before);
        }
        self.peers.enter(name.clone(), key);
        if let Some(pipe) = pipes.get_mut(key) {
            pipe.peer = Some(name);
        }
        true
    }

    /// Takes notes until the peer has a name: it may be sent to although nobody receives.
    fn identify(&mut self, pipes: &mut Pipes, key: PipeKey) {
        while pipes.get_mut(key).is_some_and(|pipe| pipe.peer.is_none()) {
            if !pipes.spend(1) {
                return pipes.put_off(key);
            }
            match pipes.take(key, &mut self.taken) {
                Ok(Taken::Note) => self.on_note(pipes, key),
                Ok(Taken::Message) => {
                    pipes.drops().unwanted.add(1);
                    pipes.spend_on(Waste::of(&self.taken));
                }
                Err(_) => return,
            }
        }
    }

    /// Does what the note says that was taken from this peer's pipe.
    fn on_note(&mut self, pipes: &mut Pipes, key: PipeKey) {
        match Note::parse(self.taken.body()) {
            Some(Note::Up(announced)) => {
                let announced = RoutingId::from_peer(announced);
                self.arrive(pipes, key, announced);
            }
            Some(Note::Passage) => {
                let passage = pipes.take_passage(key);
                if passage.has_left {
                    self.set_up(pipes, key, false);
                }
                if let Some(announced) = passage.arrived {
                    self.arrive(pipes, key, RoutingId::from_peer(&announced));
                }
            }
            Some(Note::Cancel(_) | Note::Down | Note::Subscribe(_)) | None => {}
        }
    }

    /// A connection of this pipe is ready, with a peer that announced this name.
    fn arrive(&mut self, pipes: &mut Pipes, key: PipeKey, announced: RoutingId) {
        if self.name(pipes, key, announced) {
            self.set_up(pipes, key, true);
        } else {
            pipes.hang_up(key, NameLost::InUse);
        }
    }

    /// The peer is there, or is not; tells of a change, if wanted.
    fn set_up(&mut self, pipes: &mut Pipes, key: PipeKey, is_up: bool) {
        let Some(pipe) = pipes.get_mut(key) else { return };
        if pipe.is_up != is_up {
            pipe.is_up = is_up;
            let name = pipe.peer.clone();
            self.tell(name, is_up);
        }
    }

    fn tell(&mut self, name: Option<RoutingId>, is_up: bool) {
        let is_wanted = if is_up { self.notify.on_connect() } else { self.notify.on_disconnect() };
        if is_wanted && self.news.len() < ROUTER_NEWS_MAX {
            self.news.extend(name);
        }
    }
}

/// The number under which the peer at this pipe has its name.
fn holder(pipe: &Pipe) -> u64 {
    pipe.assist.as_ref().map_or(pipe.id, |connection| connection.id())
}

impl Pattern for Router {}
impl Addresses for Router {}
impl Splits for Router {}

impl Addressing for Router {
    #[inline]
    fn recv_from(
        &mut self,
        pipes: &mut Pipes,
        from: &mut RoutingId,
        message: &mut Message,
    ) -> Result<(), RecvError> {
        loop {
            if let Some(peer) = self.news.pop_front() {
                pipes.heard = None;
                *from = peer;
                message.start().assign(&[]);
                return Ok(());
            }
            let (key, taken) = self.incoming.take(pipes, &mut self.taken)?;
            if taken == Taken::Note {
                self.on_note(pipes, key);
            } else if let Some(name) = pipes.get_mut(key).and_then(|pipe| pipe.peer.as_ref()) {
                from.assign(name);
                self.heard_last = Some(key);
                mem::swap(&mut self.taken, message);
                return Ok(());
            } else {
                // Without a name it is refused, and what it sent before it knew is not heard.
                pipes.drops().unwanted.add(1);
            }
            if !pipes.spend_on(Waste::of(&self.taken)) {
                return Err(RecvError::WouldBlock);
            }
        }
    }

    #[inline]
    fn send_to(
        &mut self,
        pipes: &mut Pipes,
        name: &[u8],
        payload: &mut Payload<'_>,
    ) -> Result<(), SendError> {
        let refused = match self.find(pipes, name) {
            Some(key) => match pipes.send(key, payload) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            },
            None => Refused::Closed,
        };
        if payload.has_too_many_parts(0) {
            return Err(SendError::TooManyParts);
        }
        match (refused, self.is_mandatory) {
            (Refused::TooLarge, _) => return Err(SendError::TooLarge),
            (Refused::Full, true) => return Err(SendError::WouldBlock),
            (Refused::Closed, true) => return Err(SendError::Unroutable),
            (Refused::Full, false) => pipes.drops().full.add(1),
            (Refused::Closed, false) => pipes.drops().unroutable.add(1),
        }
        Ok(())
    }

    fn waits_for_room(&self) -> bool {
        self.is_mandatory
    }
}

impl Strategy for Router {
    const TYPE: Option<SocketType> = Some(SocketType::Router);

    fn new(_: SocketType, options: &Options) -> Self {
        Self {
            incoming: FairQueue::default(),
            peers: PeerTable::new(),
            names: Arc::new(Names::new(options.router_handover())),
            news: VecDeque::new(),
            taken: Message::new(),
            heard_last: None,
            is_mandatory: options.router_mandatory(),
            hands_over: options.router_handover(),
            probes: options.probe_router(),
            notify: options.router_notify(),
        }
    }

    fn names(&self) -> Option<&Arc<Names>> {
        Some(&self.names)
    }

    fn check_name(&self, pipes: &mut Pipes, name: &RoutingId) -> Result<(), ConnectErrorKind> {
        if self.refuses(pipes, name) { Err(ConnectErrorKind::RoutingIdInUse) } else { Ok(()) }
    }

    fn on_options(&mut self, options: &Options) {
        self.is_mandatory = options.router_mandatory();
        self.hands_over = options.router_handover();
        self.names.set_hands_over(self.hands_over);
        self.probes = options.probe_router();
        self.notify = options.router_notify();
    }

    fn attach(&mut self, pipes: &mut Pipes, key: PipeKey) -> Attach {
        let Some(pipe) = pipes.get_mut(key) else { return Attach::Refused };
        let is_up = pipe.is_up;
        if let Some(announced) = pipe.peer.take() {
            if !self.name(pipes, key, announced) {
                return Attach::Refused;
            }
            if is_up {
                let name = pipes.get_mut(key).and_then(|pipe| pipe.peer.clone());
                self.tell(name, true);
            }
        }
        if self.probes {
            probe(pipes, key);
        }
        self.incoming.add(pipes, key);
        self.identify(pipes, key);
        Attach::Accepted
    }

    fn detach(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.incoming.remove(pipes, key);
        self.set_up(pipes, key, false);
        if let Some(name) = pipes.get_mut(key).and_then(|pipe| pipe.peer.take()) {
            self.release(pipes, key, &name);
        }
    }

    fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.incoming.add(pipes, key);
        self.identify(pipes, key);
    }

    fn on_writable(&mut self, _: &mut Pipes, _: PipeKey) {}

    fn is_readable(&mut self, pipes: &mut Pipes) -> bool {
        let heard = pipes.heard;
        let is_any = loop {
            if !self.news.is_empty() {
                break true;
            }
            let Some((key, is_note)) = self.incoming.look(pipes, |head| head.is_note) else { break false };
            if !is_note && pipes.get_mut(key).is_some_and(|pipe| pipe.peer.is_some()) {
                break true;
            }
            match self.incoming.take(pipes, &mut self.taken) {
                Ok((key, Taken::Note)) => self.on_note(pipes, key),
                Ok((_, Taken::Message)) => pipes.drops().unwanted.add(1),
                Err(_) => break false,
            }
            if !pipes.spend_on(Waste::of(&self.taken)) {
                break !self.news.is_empty();
            }
        };
        pipes.heard = heard;
        is_any
    }

    fn is_writable(&mut self, _: &mut Pipes) -> bool {
        true
    }

    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        send_behind_name(self, pipes, payload)
    }

    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        recv_behind_name(self, pipes, message)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::limits::CALL_BUDGET;
    use crate::pipe::{Pipe, pipe};

    #[test]
    fn what_comes_before_a_name_is_paid_for_by_its_frames() {
        let ((outbound, _far), (mut far, inbound)) = (pipe(None), pipe(None));
        let many = Message::from_frames(vec![""; CALL_BUDGET as usize]).unwrap();
        for _ in 0..5 {
            far.try_send(&mut Payload::from(&many)).unwrap();
        }
        let (mut router, mut pipes) =
            (Router::new(SocketType::Router, &Options::default()), Pipes::default());
        let key = pipes.insert(Pipe::new(1, outbound, inbound));
        for attempt in 1..=5 {
            pipes.start_attempt();
            router.identify(&mut pipes, key);
            assert_eq!((pipes.drops().unwanted.get(), pipes.take_put_off()), (attempt, vec![key]));
        }
    }
}
