//! inproc: two sockets of one context hold the two ends of the same pipes. No I/O thread, no second copy.
//!
//! Bind and connect come in any order. The high-water mark of a pipe is the sum of the sender's and the
//! receiver's, as in libzmq: with the defaults exactly 2000 messages.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};

use crate::endpoint::Endpoint;
use crate::error::{BindErrorKind, ConnectErrorKind, ProtocolError};
use crate::io::{SocketMailbox, ToSocket, unique_id};
use crate::limits::COPIED_BODY_MAX_INPROC;
use crate::options::{FixedMessage, Hwm, HwmOctets, MaxMessageSize};
use crate::patterns::Strategy;
use crate::pipe::{
    Claim, Consumer, Feed, Latest, Names, Pipe, Producer, Reader, Upstream, WakeUp, note, pipe,
};
use crate::routing_id::RoutingId;
use crate::session::{ConnectionState, EventKind, PeerInfo, Peers, Reach, Said, Scene, Status};
use crate::socket::core::Core;
use crate::socket::endpoints::Lease;
use crate::socket_type::SocketType;
use crate::sync::{AtomicBool, lock};
use crate::transport::inproc;

/// The inproc names of one context.
pub(crate) type InprocNames = inproc::Names<Binder, Waiting>;

/// Who is bound to a name.
#[derive(Debug)]
pub(crate) struct Binder {
    party: Party,
    mailbox: Arc<SocketMailbox>,
    peers: Arc<Peers>,
    names: Option<Arc<Names>>,
}

/// The other ends of the pipes of a connect that came before the bind.
#[derive(Debug)]
pub(crate) struct Waiting {
    party: Party,
    /// How the connecter calls its peer; none: as that announces itself.
    peer_name: RoutingId,
    to_connecter: Producer,
    from_connecter: Consumer,
    latest: LatestBoth,
    /// What the connecter's handle shows, its peers, and how it reaches the one that comes.
    status: Arc<Status>,
    /// Weak: it is found only later that a connecter is gone.
    peers: Weak<Peers>,
    reach: (Arc<SocketMailbox>, u64),
    /// The connecter's name, once there is somebody who knows it.
    lease: Lease,
}

/// What takes the place of the queues, if a side conflates, as one socket has it.
#[derive(Debug, Default)]
struct LatestBoth {
    out: Option<Latest>,
    back: Option<Latest>,
}

/// What the two sides must know of each other.
#[derive(Clone, Debug)]
struct Party {
    socket_type: SocketType,
    routing_id: RoutingId,
    conflates: bool,
    send_hwm: Hwm,
    recv_hwm: Hwm,
    send_hwm_octets: HwmOctets,
    recv_hwm_octets: HwmOctets,
    message_max: MaxMessageSize,
    /// What it subscribes to.
    upstream: Option<Arc<Upstream>>,
    hello: FixedMessage,
}

impl Core {
    fn party(&self) -> Party {
        let (send_hwm, recv_hwm) = (self.options().send_hwm(), self.options().recv_hwm());
        let routing_id = self.options().routing_id();
        let (send_hwm_octets, recv_hwm_octets) =
            (self.options().send_hwm_octets(), self.options().recv_hwm_octets());
        let (socket_type, conflates) = (self.socket_type, self.options().conflate());
        let upstream = self.upstream.as_ref().map(Arc::clone);
        Party {
            socket_type,
            routing_id,
            conflates,
            send_hwm,
            recv_hwm,
            send_hwm_octets,
            recv_hwm_octets,
            message_max: self.options().max_message_size(),
            upstream,
            hello: self.options().hello_msg(),
        }
    }

    pub(super) fn bind_inproc<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: &Endpoint,
        name: &str,
    ) -> Result<(), BindErrorKind> {
        let ours = self.party();
        let (mailbox, peers) = (Arc::clone(&self.mailbox), Arc::clone(&self.peers));
        let binder = Binder { party: ours.clone(), mailbox, peers, names: self.names.clone() };
        let waiting = lock(&self.context.inproc).bind(name, binder).ok_or(BindErrorKind::AddressInUse)?;
        let scene = Scene { endpoint: Some(endpoint), ..Scene::default() };
        self.peers.watchers().tell(scene, EventKind::Listening);
        for waiting in waiting {
            let Waiting { party: theirs, peer_name, mut to_connecter, mut from_connecter, latest, .. } =
                waiting;
            let (status, peers, reach, lease) = (waiting.status, waiting.peers, waiting.reach, waiting.lease);
            if from_connecter.is_finished() {
                continue; // gone, and has left nothing
            }
            if !ours.socket_type.talks_to(theirs.socket_type) {
                let error = ProtocolError::IncompatibleSocketTypes(ours.socket_type);
                status.fail(ConnectionState::Failed, error.into());
                continue; // dropping the ends closes the connecter's
            }
            let id = unique_id();
            match theirs.claim(self.names.as_ref(), &self.peers, endpoint, id) {
                Ok(claim) => *lock(&lease) = claim,
                Err(error) => {
                    status.fail(ConnectionState::Failed, error.into());
                    continue;
                }
            }
            if latest.out.is_none() {
                to_connecter.set_limit(sum(ours.send_hwm, theirs.recv_hwm));
            }
            limit_octets(&mut to_connecter, ours.send_hwm_octets, theirs.recv_hwm_octets);
            to_connecter.limit_message(theirs.message_max.limit());
            if let Some(limit) = ours.message_max.limit() {
                let (mailbox, their_id) = &reach;
                mailbox.post(ToSocket::MessageMax(*their_id, limit));
            }
            if latest.back.is_none() {
                from_connecter.set_limit(sum(theirs.send_hwm, ours.recv_hwm));
            }
            if theirs.socket_type.takes_notes() {
                let name = if peer_name.is_none() { &ours.routing_id } else { &peer_name };
                to_connecter.note(&note::up(name.as_bytes()));
            }
            if latest.out.is_none() {
                ours.greet(&mut to_connecter);
            }
            let (mailbox, their_id) = &reach;
            if let Some(feed) = ours.feed(*their_id, mailbox) {
                mailbox.post(ToSocket::Feed(*their_id, feed));
            }
            let peer = Some(theirs.routing_id.clone());
            let mut pipe = end(id, to_connecter, from_connecter, latest, peer, &self.mailbox);
            pipe.feed = theirs.feed(pipe.id, &self.mailbox);
            let our_reach = Reach::Pipe(Arc::clone(&self.mailbox), pipe.id);
            self.peers.insert(pipe.id, endpoint, theirs.info(endpoint, true), our_reach);
            if self.attach(pattern, pipe).is_some() {
                let (mailbox, id) = reach;
                if let Some(peers) = peers.upgrade() {
                    peers.insert(id, endpoint, ours.info(endpoint, false), Reach::Pipe(mailbox, id));
                }
                status.set(ConnectionState::Ready);
                if let Some(upstream) = &theirs.upstream {
                    upstream.nudge();
                }
            }
        }
        Ok(())
    }

    /// Connects to `name` and returns the id of the pipe, and the name that this socket has there. A `peer_name` goes
    /// before what the peer announces.
    pub(super) fn connect_inproc<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: &Endpoint,
        name: &str,
        peer_name: RoutingId,
        status: &Arc<Status>,
    ) -> Result<(u64, Lease), ConnectErrorKind> {
        let ours = self.party();
        let context = Arc::clone(&self.context);
        let (their_id, lease) = (unique_id(), Lease::default());
        let mut names = lock(&context.inproc);
        let theirs = match names.bound(name) {
            Some(binder) if !ours.socket_type.talks_to(binder.party.socket_type) => {
                return Err(ConnectErrorKind::IncompatibleSocketTypes(binder.party.socket_type));
            }
            Some(Binder { party, mailbox, peers, names }) => {
                let claim = ours.claim(names.as_ref(), peers, endpoint, their_id);
                *lock(&lease) = claim.map_err(|_| ConnectErrorKind::RoutingIdInUse)?;
                Some((party.clone(), Arc::clone(mailbox), Arc::clone(peers)))
            }
            None => None,
        };
        let (send_hwm, recv_hwm) = theirs
            .as_ref()
            .map_or((Hwm::messages(0), Hwm::messages(0)), |(party, ..)| (party.send_hwm, party.recv_hwm));
        let of_nobody = theirs.is_none();
        let limit = |ours: Hwm, theirs: Hwm| {
            if of_nobody { ours.limit().map(u64::from) } else { sum(ours, theirs) }
        };
        let binder = theirs.as_ref().map(|(party, ..)| party);
        let out = Party::conflate(Some(&ours), binder);
        let back = Party::conflate(binder, Some(&ours));
        let no_room = |latest: &Option<Latest>| latest.is_some().then_some(0);
        let out_limit = no_room(&out).or_else(|| limit(ours.send_hwm, recv_hwm));
        let back_limit = no_room(&back).or_else(|| limit(ours.recv_hwm, send_hwm));
        let (mut to_binder, from_connecter) = pipe(out_limit);
        let (mut to_connecter, from_binder) = pipe(back_limit);
        let (theirs_in, theirs_out) =
            theirs.as_ref().map_or((HwmOctets::UNLIMITED, HwmOctets::UNLIMITED), |(party, ..)| {
                (party.recv_hwm_octets, party.send_hwm_octets)
            });
        limit_octets(&mut to_binder, ours.send_hwm_octets, theirs_in);
        limit_octets(&mut to_connecter, theirs_out, ours.recv_hwm_octets);
        to_binder.limit_message(binder.and_then(|binder| binder.message_max.limit()));
        to_connecter.limit_message(ours.message_max.limit());
        if out.is_none() {
            ours.greet(&mut to_binder);
        }
        if let (Some((party, ..)), true) = (&theirs, back.is_none()) {
            party.greet(&mut to_connecter);
        }
        let announced = theirs.as_ref().map(|(party, ..)| party.routing_id.clone());
        let peer = if peer_name.is_none() { announced } else { Some(peer_name.clone()) };
        let latest = LatestBoth { out: out.clone(), back: back.clone() };
        let mut pipe = end(unique_id(), to_binder, from_binder, latest, peer, &self.mailbox);
        pipe.is_up = theirs.is_some();
        pipe.feed = theirs.as_ref().and_then(|(party, ..)| party.feed(pipe.id, &self.mailbox));
        let id = pipe.id;
        // Peers that are known by name may be any number.
        let refused = if self.names.is_some() {
            ConnectErrorKind::RoutingIdInUse
        } else {
            ConnectErrorKind::OnePeerOnly
        };
        self.attach(pattern, pipe).ok_or(refused)?;
        let latest = LatestBoth { out: back, back: out };
        match theirs {
            Some((theirs, mailbox, peers)) => {
                let our_reach = Reach::Pipe(Arc::clone(&self.mailbox), id);
                self.peers.insert(id, endpoint, theirs.info(endpoint, false), our_reach);
                status.set(ConnectionState::Ready);
                let announced = Some(ours.routing_id.clone());
                let mut pipe = end(their_id, to_connecter, from_connecter, latest, announced, &mailbox);
                pipe.feed = ours.feed(pipe.id, &mailbox);
                let reach = Reach::Pipe(Arc::clone(&mailbox), pipe.id);
                peers.insert(pipe.id, endpoint, ours.info(endpoint, true), reach);
                mailbox.post(ToSocket::Attach(Box::new(pipe)));
            }
            None => {
                names.forget_waiting(Waiting::is_over);
                let (status, peers) = (Arc::clone(status), Arc::downgrade(&self.peers));
                let reach = (Arc::clone(&self.mailbox), id);
                let (party, lease) = (ours, Arc::clone(&lease));
                let waiting = Waiting {
                    party,
                    peer_name,
                    to_connecter,
                    from_connecter,
                    latest,
                    status,
                    peers,
                    reach,
                    lease,
                };
                names.wait(name, waiting);
            }
        }
        Ok((id, lease))
    }
}

impl Party {
    /// What this one subscribes to, for the pipe `id` of a publisher that has its mail at `mailbox`.
    fn feed(&self, id: u64, mailbox: &Arc<SocketMailbox>) -> Option<Feed> {
        Some(self.upstream.as_ref()?.open(WakeUp::new(id, Arc::clone(mailbox)), Reader::Publisher))
    }

    /// What takes the place of the queue from `sender` to `receiver`, as far as they are known. A receiver
    /// that binds after its sender has connected cannot conflate, as the option says: the queue is there already,
    /// and its sender may be full of it in another thread.
    fn conflate(sender: Option<&Self>, receiver: Option<&Self>) -> Option<Latest> {
        let by_sender = sender.is_some_and(|it| it.conflates && it.socket_type.conflates_out());
        let by_receiver = receiver.is_some_and(|it| it.conflates && it.socket_type.conflates_in());
        (by_sender || by_receiver).then(Latest::new)
    }

    /// Claims this one's name, for the pipe `id`, among the `names` of a socket with these `peers`.
    fn claim(
        &self,
        names: Option<&Arc<Names>>,
        peers: &Peers,
        endpoint: &Endpoint,
        id: u64,
    ) -> Result<Option<Claim>, ProtocolError> {
        let Some(names) = names.filter(|_| !self.routing_id.is_none()) else { return Ok(None) };
        let claim = Claim::new(names, &self.routing_id, id);
        if claim.is_none() {
            let scene = Scene { endpoint: Some(endpoint), is_accepted: true, ..Scene::default() };
            peers.watchers().tell(scene, EventKind::RoutingIdInUse(self.routing_id.clone()));
            return Err(ProtocolError::RoutingIdRefused);
        }
        Ok(claim)
    }

    /// Puts the first message to a new peer before all others.
    fn greet(&self, to_peer: &mut Producer) {
        if let Some(hello) = self.hello.octets().filter(|_| self.socket_type.sends_unasked()) {
            to_peer.deliver(hello);
        }
    }

    fn info(&self, endpoint: &Endpoint, is_accepted: bool) -> PeerInfo {
        PeerInfo {
            endpoint: endpoint.clone(),
            is_accepted,
            socket_type: self.socket_type,
            routing_id: self.routing_id.clone(),
            version: (3, 1),
            properties: Arc::default(),
            admission: None,
            process: None,
            descriptor: None,
            messages: Said::default(),
            is_let_go: AtomicBool::new(false),
        }
    }
}

impl Waiting {
    /// Whether the connecter is gone and has left nothing.
    fn is_over(&mut self) -> bool {
        self.from_connecter.is_finished()
    }
}

/// A socket's ends of the two pipes to another socket, if that is known yet.
fn end(
    id: u64,
    mut outbound: Producer,
    mut inbound: Consumer,
    latest: LatestBoth,
    peer: Option<RoutingId>,
    mailbox: &Arc<SocketMailbox>,
) -> Pipe {
    outbound.share_above(COPIED_BODY_MAX_INPROC);
    outbound.set_wake_up(WakeUp::new(id, Arc::clone(mailbox)));
    inbound.set_wake_up(WakeUp::new(id, Arc::clone(mailbox)));
    if let Some(latest) = &latest.back {
        latest.set_wake_up(WakeUp::new(id, Arc::clone(mailbox)));
    }
    let (latest_out, latest_in) = (latest.out, latest.back);
    Pipe { latest_out, latest_in, peer, ..Pipe::new(id, outbound, inbound) }
}

/// Limits a pipe by what sender and receiver set together, or by what one of them did.
fn limit_octets(producer: &mut Producer, sender: HwmOctets, receiver: HwmOctets) {
    match (sender.limit(), receiver.limit()) {
        (Some(sender), Some(receiver)) => producer.limit_octets(sender.saturating_add(receiver)),
        (Some(limit), None) | (None, Some(limit)) => producer.limit_octets(limit),
        (None, None) => {}
    }
}

/// Sender's and receiver's high-water marks together; no limit if either has none.
fn sum(sender: Hwm, receiver: Hwm) -> Option<u64> {
    Some(u64::from(sender.limit()?) + u64::from(receiver.limit()?))
}
