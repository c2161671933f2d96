//! inproc: two sockets of one context hold the two ends of the same pipes. No I/O thread, no second copy.
//!
//! Bind and connect come in any order. The high-water mark of a pipe is the sum of the sender's and the
//! receiver's, as in libzmq: with the defaults exactly 2000 messages.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::error::{BindError, ConnectError, ProtocolError};
use crate::io::{SocketMailbox, ToSocket, unique_id};
use crate::limits::COPIED_BODY_MAX_INPROC;
use crate::options::{FixedMessage, Hwm};
use crate::patterns::Strategy;
use crate::pipe::{Consumer, Pipe, Producer, WakeUp, note, pipe};
use crate::routing_id::RoutingId;
use crate::session::{ConnectionState, PeerInfo, Peers, Reach, Status};
use crate::socket::core::Core;
use crate::socket_type::SocketType;
use crate::sync::lock;
use crate::transport::inproc::Names;

/// The inproc names of one context.
pub(crate) type InprocNames = Names<Binder, Waiting>;

/// Who is bound to a name.
#[derive(Debug)]
pub(crate) struct Binder {
    party: Party,
    mailbox: Arc<SocketMailbox>,
    peers: Arc<Peers>,
}

/// The other ends of the pipes of a connect that came before the bind.
#[derive(Debug)]
pub(crate) struct Waiting {
    party: Party,
    to_connecter: Producer,
    from_connecter: Consumer,
    /// What the connecter's handle shows, its peers, and how it reaches the one that comes.
    status: Arc<Status>,
    peers: Arc<Peers>,
    reach: (Arc<SocketMailbox>, u64),
}

/// What the two sides must know of each other.
#[derive(Clone, Debug)]
struct Party {
    socket_type: SocketType,
    routing_id: RoutingId,
    send_hwm: Hwm,
    recv_hwm: Hwm,
    hello: FixedMessage,
}

impl Core {
    fn party(&self) -> Party {
        let (send_hwm, recv_hwm) = (self.options().send_hwm(), self.options().recv_hwm());
        let routing_id = self.options().routing_id();
        let hello = self.options().hello_msg();
        Party { socket_type: self.socket_type, routing_id, send_hwm, recv_hwm, hello }
    }

    pub(super) fn bind_inproc<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: &Endpoint,
        name: &str,
    ) -> Result<(), BindError> {
        let ours = self.party();
        let (mailbox, peers) = (Arc::clone(&self.mailbox), Arc::clone(&self.peers));
        let binder = Binder { party: ours.clone(), mailbox, peers };
        let waiting = lock(&self.context.inproc).bind(name, binder).ok_or(BindError::AddressInUse)?;
        for Waiting { party: theirs, mut to_connecter, mut from_connecter, status, peers, reach } in waiting {
            if !ours.socket_type.talks_to(theirs.socket_type) {
                let error = ProtocolError::IncompatibleSocketTypes(ours.socket_type);
                status.fail(ConnectionState::Failed, error.into());
                continue; // dropping the ends closes the connecter's
            }
            to_connecter.set_limit(sum(ours.send_hwm, theirs.recv_hwm));
            from_connecter.set_limit(sum(theirs.send_hwm, ours.recv_hwm));
            if theirs.socket_type.takes_notes() {
                to_connecter.note(&note::up(ours.routing_id.as_bytes()));
            }
            ours.greet(&mut to_connecter);
            let pipe = end(to_connecter, from_connecter, Some(theirs.routing_id.clone()), &self.mailbox);
            let our_reach = Reach::Pipe(Arc::clone(&self.mailbox), pipe.id);
            self.peers.insert(pipe.id, theirs.info(endpoint, true), our_reach);
            if self.attach(pattern, pipe).is_some() {
                let (mailbox, id) = reach;
                peers.insert(id, ours.info(endpoint, false), Reach::Pipe(mailbox, id));
                status.set(ConnectionState::Ready);
            }
        }
        Ok(())
    }

    /// Connects to `name` and returns the id of the pipe.
    pub(super) fn connect_inproc<P: Strategy>(
        &mut self,
        pattern: &mut P,
        endpoint: &Endpoint,
        name: &str,
        status: &Arc<Status>,
    ) -> Result<u64, ConnectError> {
        let ours = self.party();
        let context = Arc::clone(&self.context);
        let mut names = lock(&context.inproc);
        let theirs = match names.bound(name) {
            Some(binder) if !ours.socket_type.talks_to(binder.party.socket_type) => {
                return Err(ConnectError::IncompatibleSocketTypes(binder.party.socket_type));
            }
            Some(Binder { party, mailbox, peers }) => {
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
        let (mut to_binder, from_connecter) = pipe(limit(ours.send_hwm, recv_hwm));
        let (mut to_connecter, from_binder) = pipe(limit(ours.recv_hwm, send_hwm));
        ours.greet(&mut to_binder);
        if let Some((party, ..)) = &theirs {
            party.greet(&mut to_connecter);
        }
        let peer = theirs.as_ref().map(|(party, ..)| party.routing_id.clone());
        let pipe = end(to_binder, from_binder, peer, &self.mailbox);
        let id = pipe.id;
        self.attach(pattern, pipe).ok_or(ConnectError::OnePeerOnly)?;
        match theirs {
            Some((theirs, mailbox, peers)) => {
                let our_reach = Reach::Pipe(Arc::clone(&self.mailbox), id);
                self.peers.insert(id, theirs.info(endpoint, false), our_reach);
                status.set(ConnectionState::Ready);
                let pipe = end(to_connecter, from_connecter, Some(ours.routing_id.clone()), &mailbox);
                let reach = Reach::Pipe(Arc::clone(&mailbox), pipe.id);
                peers.insert(pipe.id, ours.info(endpoint, true), reach);
                mailbox.post(ToSocket::Attach(Box::new(pipe)));
            }
            None => {
                names.forget_waiting(Waiting::is_over);
                let (status, peers) = (Arc::clone(status), Arc::clone(&self.peers));
                let reach = (Arc::clone(&self.mailbox), id);
                let party = ours;
                names.wait(name, Waiting { party, to_connecter, from_connecter, status, peers, reach });
            }
        }
        Ok(id)
    }
}

impl Party {
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
        }
    }
}

impl Waiting {
    /// Whether the connecter is gone and has left nothing.
    fn is_over(&mut self) -> bool {
        self.from_connecter.is_finished()
    }
}

/// A socket's ends of the two pipes to another socket.
fn end(
    mut outbound: Producer,
    mut inbound: Consumer,
    peer: Option<RoutingId>,
    mailbox: &Arc<SocketMailbox>,
) -> Pipe {
    let id = unique_id();
    outbound.share_above(COPIED_BODY_MAX_INPROC);
    outbound.set_wake_up(WakeUp::new(id, Arc::clone(mailbox)));
    inbound.set_wake_up(WakeUp::new(id, Arc::clone(mailbox)));
    Pipe { id, outbound, inbound, peer, assist: None }
}

/// Sender's and receiver's high-water marks together; no limit if either has none.
fn sum(sender: Hwm, receiver: Hwm) -> Option<u64> {
    Some(u64::from(sender.limit()?) + u64::from(receiver.limit()?))
}
