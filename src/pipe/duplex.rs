//! Both pipes to one peer, as its socket has them.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use crate::message::Payload;
use crate::pipe::assist::Assist;
use crate::pipe::{Chores, Consumer, Feed, Latest, NameLost, Producer, Refused};
use crate::routing_id::RoutingId;

/// A socket's ends of the two pipes to one peer.
pub(crate) struct Pipe {
    /// The name under which the pipes tell that they are ready; a newer pipe has a greater one.
    pub(crate) id: u64,
    pub(crate) outbound: Producer,
    pub(crate) inbound: Consumer,
    /// In the place of the outbound queue, if the socket conflates; the pipe takes nothing then.
    pub(crate) latest_out: Option<Latest>,
    /// In the place of the inbound queue, if the socket conflates; the pipe carries nothing then.
    pub(crate) latest_in: Option<Latest>,
    /// The routing id that the peer announced; none if that is not known yet, and a note will tell.
    pub(crate) peer: Option<RoutingId>,
    /// A peer is there now; else, and when that changes, notes tell.
    pub(crate) is_up: bool,
    /// The connection behind the pipes; none for inproc.
    pub(crate) assist: Option<Arc<dyn Assist>>,
    /// What the SUB or XSUB at the other end subscribes to, if that is a socket of this process.
    pub(crate) feed: Option<Feed>,
    /// It was asked to tell of the first message before anybody looked.
    pub(crate) tells: bool,
    /// The socket has ended the connection on account of its peer's name.
    pub(crate) name_lost: Option<NameLost>,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Pipe {
    /// Ends of pipes to a socket of this process that is there and says no name.
    pub(crate) fn new(id: u64, outbound: Producer, inbound: Consumer) -> Self {
        Self {
            id,
            outbound,
            inbound,
            latest_out: None,
            latest_in: None,
            peer: None,
            is_up: true,
            assist: None,
            feed: None,
            tells: false,
            name_lost: None,
        }
    }

    /// Asks to be told of the next message. `false`: there is something already, look again.
    pub(super) fn wait_for_messages(&mut self) -> bool {
        let Some(assist) = &self.assist else { return self.inbound.wait_for_messages() };
        let mut waits = false;
        let was_held = assist.hold(&mut || waits = self.inbound.wait_for_messages_alone());
        if was_held { waits } else { self.inbound.wait_for_messages() }
    }

    /// What becomes of a message for which the queue has no room, if its sender does not wait.
    #[cold]
    pub(super) fn offer_to_full(
        &mut self,
        payload: &mut Payload<'_>,
        chores: &mut Chores,
    ) -> Result<(), Refused> {
        if let Some(latest) = &self.latest_out {
            self.outbound.fits(&[], payload)?;
            latest.put_behind(&[], payload);
            return Ok(());
        }
        let Some(assist) = &self.assist else { return Err(Refused::Full) };
        assist.flush(chores);
        self.outbound.try_send(payload)
    }

    /// Whether the peer is gone and everything from it was taken.
    pub(crate) fn is_finished(&mut self) -> bool {
        self.inbound.is_finished() && self.latest_in.as_ref().is_none_or(Latest::is_empty)
    }

    /// Whether its connection is gone, and has left nothing that the socket `can_receive`.
    pub(crate) fn is_left_behind(&mut self, can_receive: bool) -> bool {
        let is_gone = self.assist.is_some() && self.inbound.is_producer_gone();
        is_gone && !(can_receive && self.unreceived() > 0)
    }

    /// Messages whose place a newer one took; without a connection both sides share it, and the sender counts.
    pub(super) fn replaced(&self) -> u64 {
        let of_ours = self.latest_out.as_ref();
        let of_theirs = self.latest_in.as_ref().filter(|_| self.assist.is_some());
        of_ours.into_iter().chain(of_theirs).map(Latest::replaced).sum()
    }

    /// Connections that came and went, of which the socket does not know.
    #[cfg(test)]
    pub(crate) fn passages(&self) -> usize {
        self.inbound.passages()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.assist.as_ref().is_some_and(|assist| assist.is_stopped())
    }
}
