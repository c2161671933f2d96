//! inproc: two sockets of one context hold the two ends of the same pipes. No I/O thread, no second copy.
//!
//! Bind and connect come in any order. The high-water mark of a pipe is the sum of the sender's and the
//! receiver's, as in libzmq: with the defaults exactly 2000 messages.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::endpoint::{Address, Endpoint};
use crate::error::{BindError, ConnectError};
use crate::io::{SocketMailbox, ToSocket, unique_id};
use crate::limits::COPIED_BODY_MAX_INPROC;
use crate::options::Hwm;
use crate::patterns::Strategy;
use crate::pipe::{Consumer, Feed, Pipe, Producer, Upstream, WakeUp, note, pipe};
use crate::routing_id::RoutingId;
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
}

/// The other ends of the pipes of a connect that came before the bind.
#[derive(Debug)]
pub(crate) struct Waiting {
    party: Party,
    /// The connecter's pipe, and where it hears of it.
    pipe: u64,
    mailbox: Arc<SocketMailbox>,
    to_connecter: Producer,
    from_connecter: Consumer,
}

/// What the two sides must know of each other.
#[derive(Clone, Debug)]
struct Party {
    socket_type: SocketType,
    routing_id: RoutingId,
    send_hwm: Hwm,
    recv_hwm: Hwm,
    /// What it subscribes to.
    upstream: Option<Arc<Upstream>>,
}

impl Party {
    /// What this one subscribes to, for the pipe `id` of a publisher that has its mail at `mailbox`.
    fn feed(&self, id: u64, mailbox: &Arc<SocketMailbox>) -> Option<Feed> {
        Some(self.upstream.as_ref()?.open(WakeUp::new(id, Arc::clone(mailbox))))
    }
}

impl Core {
    fn party(&self) -> Party {
        let (send_hwm, recv_hwm) = (self.options().send_hwm(), self.options().recv_hwm());
        let routing_id = self.options().routing_id();
        let upstream = self.upstream.as_ref().map(Arc::clone);
        Party { socket_type: self.socket_type, routing_id, send_hwm, recv_hwm, upstream }
    }

    pub(super) fn bind_inproc<P: Strategy>(&mut self, pattern: &mut P, name: &str) -> Result<(), BindError> {
        let ours = self.party();
        let binder = Binder { party: ours.clone(), mailbox: Arc::clone(&self.mailbox) };
        let waiting = lock(&self.context.inproc).bind(name, binder).ok_or(BindError::AddressInUse)?;
        for waiting in waiting {
            let Waiting { party: theirs, pipe, mailbox, mut to_connecter, mut from_connecter } = waiting;
            if !ours.socket_type.talks_to(theirs.socket_type) || from_connecter.is_finished() {
                continue; // dropping the ends closes the connecter's
            }
            to_connecter.set_limit(sum(ours.send_hwm, theirs.recv_hwm));
            from_connecter.set_limit(sum(theirs.send_hwm, ours.recv_hwm));
            if theirs.socket_type.takes_notes() {
                to_connecter.note(&note::up(ours.routing_id.as_bytes()));
            }
            if let Some(feed) = ours.feed(pipe, &mailbox) {
                mailbox.post(ToSocket::Feed(pipe, feed));
            }
            let pipe = end(to_connecter, from_connecter, Some(&theirs), &self.mailbox);
            self.attach(pattern, pipe);
        }
        Ok(())
    }

    pub(super) fn unbind_inproc(&self, endpoint: &Endpoint) {
        if let Address::Inproc(name) = endpoint.address() {
            lock(&self.context.inproc).unbind(name);
        }
    }

    /// Connects to `name` and returns the id of the pipe.
    pub(super) fn connect_inproc<P: Strategy>(
        &mut self,
        pattern: &mut P,
        name: &str,
    ) -> Result<u64, ConnectError> {
        let ours = self.party();
        let context = Arc::clone(&self.context);
        let mut names = lock(&context.inproc);
        let theirs = match names.bound(name) {
            Some(binder) if !ours.socket_type.talks_to(binder.party.socket_type) => {
                return Err(ConnectError::IncompatibleSocketTypes(binder.party.socket_type));
            }
            Some(binder) => Some((binder.party.clone(), Arc::clone(&binder.mailbox))),
            None => None,
        };
        let (send_hwm, recv_hwm) = theirs
            .as_ref()
            .map_or((Hwm::messages(0), Hwm::messages(0)), |(party, _)| (party.send_hwm, party.recv_hwm));
        let of_nobody = theirs.is_none();
        let limit = |ours: Hwm, theirs: Hwm| {
            if of_nobody { ours.limit().map(u64::from) } else { sum(ours, theirs) }
        };
        let (to_binder, from_connecter) = pipe(limit(ours.send_hwm, recv_hwm));
        let (to_connecter, from_binder) = pipe(limit(ours.recv_hwm, send_hwm));
        let pipe = end(to_binder, from_binder, theirs.as_ref().map(|(party, _)| party), &self.mailbox);
        let id = pipe.id;
        self.attach(pattern, pipe).ok_or(ConnectError::OnePeerOnly)?;
        match theirs {
            Some((_, mailbox)) => {
                let pipe = end(to_connecter, from_connecter, Some(&ours), &mailbox);
                mailbox.post(ToSocket::Attach(Box::new(pipe)));
            }
            None => {
                names.forget_waiting(Waiting::is_over);
                let mailbox = Arc::clone(&self.mailbox);
                names.wait(name, Waiting { party: ours, pipe: id, mailbox, to_connecter, from_connecter });
            }
        }
        Ok(id)
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
    mut outbound: Producer,
    mut inbound: Consumer,
    peer: Option<&Party>,
    mailbox: &Arc<SocketMailbox>,
) -> Pipe {
    let id = unique_id();
    outbound.share_above(COPIED_BODY_MAX_INPROC);
    outbound.set_wake_up(WakeUp::new(id, Arc::clone(mailbox)));
    inbound.set_wake_up(WakeUp::new(id, Arc::clone(mailbox)));
    let feed = peer.and_then(|peer| peer.feed(id, mailbox));
    let peer = peer.map(|peer| peer.routing_id.clone());
    Pipe { id, outbound, inbound, peer, assist: None, feed }
}

/// Sender's and receiver's high-water marks together; no limit if either has none.
fn sum(sender: Hwm, receiver: Hwm) -> Option<u64> {
    Some(u64::from(sender.limit()?) + u64::from(receiver.limit()?))
}
