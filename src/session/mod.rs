//! Sessions: a stream, the wire's state machine and a peer's two pipes, put together.
//!
//! The only place where descriptors, ZMTP and pipes meet. A [`Link`] holds at most one session and lets
//! either its I/O thread or the socket's own thread drive it; listeners and dialers make sessions.

mod backoff;
mod calls;
mod care;
mod dialer;
mod driver;
mod link;
mod listener;
mod pace;
mod ticker;

pub(crate) use dialer::Dialer;
pub(crate) use link::Link;
pub(crate) use listener::Bound;

use std::sync::Arc;

use crate::io::SocketMailbox;
use crate::options::Options;
use crate::pipe::{Drain, Intake, Pipe, WakeUp, pipe};
use crate::socket_type::SocketType;

/// What every session of a socket needs to know of it.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) socket_type: SocketType,
    pub(crate) options: Options,
    pub(crate) mailbox: Arc<SocketMailbox>,
}

/// A session's ends of the two pipes to its socket.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) outbound: Drain,
    pub(crate) inbound: Intake,
}

/// Makes the two pipes between `owner`'s socket and a link.
pub(crate) fn connect_pipes(owner: &Owner, link: &Arc<Link>) -> (Pipe, Ends) {
    let id = crate::io::unique_id();
    let (mut to_peer, outbound) = pipe(owner.options.send_hwm().limit().map(u64::from));
    let (inbound, mut from_peer) = pipe(owner.options.recv_hwm().limit().map(u64::from));
    let (mut outbound, mut inbound) = (outbound.into_drain(), inbound.into_intake());
    to_peer.set_wake_up(WakeUp::new(id, Arc::clone(&owner.mailbox)));
    from_peer.set_wake_up(WakeUp::new(id, Arc::clone(&owner.mailbox)));
    outbound.set_wake_up(WakeUp::new(link.id(), Arc::clone(link)));
    inbound.set_wake_up(WakeUp::new(link.id(), Arc::clone(link)));
    let assist: Arc<Link> = Arc::clone(link);
    (Pipe { id, outbound: to_peer, inbound: from_peer, assist: Some(assist) }, Ends { outbound, inbound })
}
