//! Sessions: a stream, the wire's state machine and a peer's two pipes, put together.
//!
//! The only place where descriptors, ZMTP and pipes meet. A [`Link`] holds at most one session and lets
//! either its I/O thread or the socket's own thread drive it; listeners and dialers make sessions.

mod alarms;
mod attempts;
mod backoff;
mod calls;
mod care;
mod dialer;
mod driver;
mod event;
mod gate;
mod give_way;
mod half_open;
mod leave;
mod link;
mod listener;
mod live;
mod lookout;
#[cfg(feature = "metrics")]
mod meters;
#[cfg(not(feature = "metrics"))]
#[path = "no_meters.rs"]
mod meters;
mod monitor;
mod pace;
mod parting;
mod peers;
mod protocol;
mod quiet;
mod raw;
mod sealed;
mod socks;
mod status;
mod streams;
mod tasks;
mod ticker;
#[cfg(feature = "tracing")]
mod traces;
#[cfg(not(feature = "tracing"))]
#[path = "no_traces.rs"]
mod traces;
mod translator;
mod vitals;
mod work;
pub(crate) mod zap;
mod zmtp1;

pub(crate) use dialer::Dialer;
pub use event::{Event, EventKind, TurnedAway};
pub(crate) use gate::{Doorkeeper, Inquiry};
pub(crate) use give_way::poll_in_turn;
pub(crate) use half_open::HalfOpen;
pub(crate) use link::Link;
#[cfg(test)]
pub(crate) use link::late::hold_up;
pub(crate) use listener::Bound;
pub(crate) use live::Live;
pub use monitor::Monitor;
pub(crate) use monitor::{Scene, Watcher};
pub use peers::{CloseReason, Peer};
pub(crate) use peers::{PeerInfo, Peers, Reach, Said};
pub use status::ConnectionState;
pub(crate) use status::Status;
#[cfg(test)]
pub(crate) use streams::polls;
pub(crate) use streams::{Manner, Waited, leave, wait, wait_as, wait_aside};
#[cfg(test)]
pub(crate) use ticker::fruitful_looks;
pub(crate) use traces::tell_left;
pub use vitals::ConnectionCounts;

use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::io::{SocketMailbox, ToSocket};
use crate::limits::{NOTES_OCTETS_PER_PEER, UNHEARD_CHORES, VISITORS_TOLD_MAX};
use crate::message::Message;
use crate::options::{Options, Security};
use crate::pipe::{
    Books, Chores, Consumer, Drain, Intake, Latest, Names, Pipe, Producer, Refused, Upstream, WakeUp, pipe,
};
use crate::routing_id::RoutingId;
use crate::session::quiet::Quiet;
use crate::socket_type::SocketType;

/// What every session of a socket needs to know of it.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) socket_type: SocketType,
    pub(crate) options: Arc<Options>,
    /// As in the options, for all connections.
    pub(crate) security: Arc<Security>,
    pub(crate) mailbox: Arc<SocketMailbox>,
    /// How the socket calls the peer; none: as that announces itself.
    pub(crate) peer_name: RoutingId,
    /// What is bound or connected to.
    pub(crate) endpoint: Endpoint,
    pub(crate) peers: Arc<Peers>,
    /// What a SUB or XSUB subscribes to.
    pub(crate) upstream: Option<Arc<Upstream>>,
    /// The names of the socket's peers, if it addresses them by name.
    pub(crate) names: Option<Arc<Names>>,
    pub(crate) half_open: Arc<HalfOpen>,
    /// What of the options may have changed since.
    pub(crate) live: Arc<Live>,
    /// How long a call looks before it sleeps.
    pub(crate) spin: Duration,
    /// Asks the program's ZAP handler.
    pub(crate) doorkeeper: Option<Arc<dyn Doorkeeper>>,
}

impl Owner {
    /// Whether the pipes to a peer that the socket connects to outlive the connection.
    pub(crate) fn keeps_pipes(&self) -> bool {
        self.socket_type.keeps_queues() && !self.options.immediate()
    }

    /// How the socket calls a peer that announces itself so.
    fn name_of<'a>(&'a self, announced: &'a [u8]) -> &'a [u8] {
        if self.peer_name.is_none() { announced } else { self.peer_name.as_bytes() }
    }
}

impl Owner {
    /// Tells whoever watches what has happened at this endpoint.
    pub(crate) fn tell(&self, scene: Scene<'_>, kind: EventKind) {
        self.peers.watchers().tell(Scene { endpoint: Some(&self.endpoint), ..scene }, kind);
    }

    /// Forgets peers that came and went while nobody called the socket. If it would have told of them, of some it does.
    fn forget_unseen(&self) {
        let is_telling = self.socket_type.tells_of_peers() || self.live.tells_of_peers();
        let told = if is_telling { VISITORS_TOLD_MAX } else { 0 };
        let can_receive = self.socket_type.can_receive();
        for item in self.mailbox.sweep_peers(told, |pipe| pipe.is_left_behind(can_receive)) {
            if let ToSocket::Attach(pipe) = &item {
                if let Some(connection) = &pipe.assist {
                    self.peers.let_go(connection.id(), pipe.id);
                }
            }
        }
    }

    /// The first message to every new peer.
    pub(crate) fn hello(&self) -> Option<&[u8]> {
        self.options.hello_msg.octets().filter(|_| self.socket_type.sends_unasked())
    }
}

/// A session's ends of the two pipes to its socket.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) outbound: Drain,
    pub(crate) inbound: Intake,
    /// Where outbound messages come from, if the socket conflates; boxed, as few do.
    latest_out: Option<Box<LatestOut>>,
    /// Where inbound messages go to, if not to the socket's queue.
    diverted: Option<Box<Diverted>>,
    quiet: Quiet,
}

/// A conflating socket's message on its way to the outbound pipe, which is the session's own then.
#[derive(Debug)]
struct LatestOut {
    latest: Latest,
    outbound: Producer,
    /// Tells when the socket is gone; carries nothing.
    socket: Consumer,
}

/// Messages from the inbound pipe, which is the session's own.
#[derive(Debug)]
struct Diverted {
    to: Destination,
    inbound: Consumer,
    /// Tells when the socket is gone; carries nothing.
    socket: Producer,
}

impl Diverted {
    /// Messages that the session has taken for a socket that receives no more, which it has not received.
    fn left_behind(&self, is_over: bool) -> u64 {
        match &self.to {
            Destination::Latest(latest) => u64::from(is_over && !latest.is_empty()),
            Destination::Nowhere(_) => 0,
        }
    }
}

/// Where messages go to that do not go to a socket's queue.
#[derive(Debug)]
enum Destination {
    /// To a conflating socket.
    Latest(Latest),
    /// Nowhere: the socket does not receive. Counted there.
    Nowhere(Arc<Books>),
}

impl Ends {
    /// Moves the latest message into an outbound pipe that is dry.
    #[inline]
    fn refill(&mut self) {
        if let Some(out) = &mut self.latest_out {
            if self.outbound.is_dry() {
                if let Some(message) = out.latest.take() {
                    // The pipe is dry and holds one: it has room.
                    let _ = out.outbound.try_send(&mut message.into());
                }
            }
        }
    }

    /// Whether inbound messages replace each other, or are dropped: there is always room for them.
    fn is_diverting(&self) -> bool {
        self.diverted.is_some()
    }

    /// Moves the last of the inbound messages to the socket, or drops them. `false`: the socket is gone.
    #[inline]
    fn hand_over(&mut self, chores: &mut Chores) -> bool {
        let Some(diverted) = &mut self.diverted else { return true };
        let mut message = Message::new();
        let mut dropped = 0;
        while diverted.inbound.try_recv(&mut message).is_ok() {
            let frames = u32::try_from(message.frame_count()).unwrap_or(u32::MAX);
            chores.note(frames.saturating_mul(UNHEARD_CHORES));
            chores.note_octets(message.size());
            match &diverted.to {
                Destination::Latest(latest) => latest.put(std::mem::take(&mut message)),
                Destination::Nowhere(_) => dropped += 1,
            }
        }
        if let (Destination::Nowhere(books), 1..) = (&diverted.to, dropped) {
            books.drops().unheard.add(dropped);
        }
        diverted.socket.has_room() != Err(Refused::Closed)
    }

    /// Whether the socket is gone and the kernel has everything.
    #[inline]
    fn is_finished(&mut self) -> bool {
        match &mut self.latest_out {
            Some(out) => out.socket.is_finished() && out.latest.is_empty() && self.outbound.is_dry(),
            None => self.outbound.is_finished(),
        }
    }

    /// Whether the kernel has everything, as far as is known.
    fn is_dry(&mut self) -> bool {
        self.outbound.is_dry() && self.latest_out.as_ref().is_none_or(|out| out.latest.is_empty())
    }

    /// The peer takes no more, and nobody comes after it: the socket is told at once, while what the peer has said may
    /// wait to be received.
    fn drop_queue(&mut self) {
        self.latest_out = None;
        self.outbound.let_go();
    }

    /// The connection is gone: nothing of it is left, and the pipes rest.
    fn start_again(&mut self) {
        self.outbound.rewind();
        self.inbound.roll_back();
        self.quiet = Quiet::default();
        self.rest();
    }

    /// Messages that have gone either way.
    fn messages(&self) -> u64 {
        self.outbound.sent() + self.inbound.heard()
    }

    /// Whether a pipe holds more than a quiet one needs, as far as is seen from here.
    fn is_large(&self) -> bool {
        self.inbound.is_large() || self.outbound.is_large()
    }

    /// Gives up what quiet pipes do not need, and asks the socket to do so.
    fn rest(&mut self) {
        self.inbound.rest();
        if let Some(out) = &mut self.latest_out {
            out.outbound.rest();
        }
        self.outbound.rest();
        self.hand_over(&mut Chores::of_turn());
    }

    /// Asks to be told of the next message to send. `false`: there is one already, look again. `is_alone`: the
    /// socket cannot send meanwhile.
    #[inline]
    fn wait_for_messages(&mut self, is_alone: bool) -> bool {
        match &self.latest_out {
            Some(out) => self.outbound.is_dry() && out.latest.wait() && !out.socket.is_producer_gone(),
            None => self.outbound.wait_for_messages(is_alone),
        }
    }
}

/// Makes the two pipes between `owner`'s socket and a link.
pub(crate) fn connect_pipes(owner: &Owner, link: &Arc<Link>) -> (Pipe, Ends) {
    let (mut pipe, outbound, inbound) = make_pipes(owner, link);
    let (outbound, inbound) = (outbound.into_drain(), inbound.into_intake());
    let mut ends = Ends { outbound, inbound, latest_out: None, diverted: None, quiet: Quiet::default() };
    if owner.options.conflate() {
        conflate(owner, link, &mut pipe, &mut ends);
    } else if owner.mailbox.is_observed() {
        // Nobody has to look before the first message is there.
        pipe.tells = pipe.inbound.wait_for_messages_alone();
    }
    if owner.socket_type.is_deaf() {
        let books = Arc::clone(owner.peers.watchers().books());
        divert(owner, link, &mut pipe, &mut ends, Destination::Nowhere(books));
    }
    (pipe, ends)
}

/// The two pipes, with messages at both ends.
fn make_pipes(owner: &Owner, link: &Arc<Link>) -> (Pipe, Consumer, Producer) {
    let id = crate::io::unique_id();
    let (mut to_peer, mut outbound) = pipe(owner.options.send_hwm().limit().map(u64::from));
    let (mut inbound, mut from_peer) = pipe(owner.options.recv_hwm().limit().map(u64::from));
    if let Some(limit) = owner.options.send_hwm_octets().limit() {
        to_peer.limit_octets(limit);
    }
    let limit = owner.options.recv_hwm_octets().limit();
    // What a publisher's peers say are topics, which it has to take in: strangers decide how large they are.
    let of_topics = owner.socket_type.is_publisher().then_some(NOTES_OCTETS_PER_PEER);
    if let Some(limit) = limit.into_iter().chain(of_topics).min() {
        inbound.limit_octets(limit);
    }
    to_peer.set_wake_up(WakeUp::new(id, Arc::clone(&owner.mailbox)));
    to_peer.attend();
    from_peer.set_wake_up(WakeUp::new(id, Arc::clone(&owner.mailbox)));
    outbound.set_wake_up(WakeUp::new(link.id(), Arc::clone(link)));
    inbound.set_wake_up(WakeUp::new(link.id(), Arc::clone(link)));
    let assist: Arc<Link> = Arc::clone(link);
    let pipe = Pipe { is_up: false, assist: Some(assist), ..Pipe::new(id, to_peer, from_peer) };
    (pipe, outbound, inbound)
}

/// Puts one place each between the pipes and a socket that conflates: as libzmq, for what it may send or
/// receive without a peer of its choice.
fn conflate(owner: &Owner, link: &Arc<Link>, pipe: &mut Pipe, ends: &mut Ends) {
    let id = pipe.id;
    if owner.socket_type.conflates_out() {
        let (mut to_session, mut socket) = crate::pipe::pipe(Some(0));
        to_session.set_wake_up(WakeUp::new(id, Arc::clone(&owner.mailbox)));
        socket.set_wake_up(WakeUp::new(link.id(), Arc::clone(link)));
        let latest = Latest::new();
        latest.set_wake_up(WakeUp::new(link.id(), Arc::clone(link)));
        pipe.latest_out = Some(latest.clone());
        let outbound = std::mem::replace(&mut pipe.outbound, to_session);
        latest.set_way_out(&outbound);
        ends.latest_out = Some(Box::new(LatestOut { latest, outbound, socket }));
    }
    if owner.socket_type.conflates_in() {
        let latest = Latest::new();
        latest.set_wake_up(WakeUp::new(id, Arc::clone(&owner.mailbox)));
        pipe.latest_in = Some(latest.clone());
        divert(owner, link, pipe, ends, Destination::Latest(latest));
    }
}

/// Keeps the inbound pipe for the session; the socket's end tells of the end of the connection only.
fn divert(owner: &Owner, link: &Arc<Link>, pipe: &mut Pipe, ends: &mut Ends, to: Destination) {
    let (mut socket, mut from_session) = crate::pipe::pipe(Some(0));
    from_session.set_wake_up(WakeUp::new(pipe.id, Arc::clone(&owner.mailbox)));
    socket.set_wake_up(WakeUp::new(link.id(), Arc::clone(link)));
    let inbound = std::mem::replace(&mut pipe.inbound, from_session);
    ends.diverted = Some(Box::new(Diverted { to, inbound, socket }));
}
