//! What a producer has left in its pipe, for whoever wants to know what becomes of it.
#![forbid(unsafe_code)]

use std::fmt;

use crate::pipe::drain::Drain;
use crate::pipe::latest::Latest;
use crate::pipe::ring::Ring;
use crate::pipe::wake::WakeUp;
use crate::pipe::{Pipe, Pipes, Totals};
use crate::sync::Arc;

/// Messages of a producer, which may be gone.
pub(crate) struct Outstanding {
    ring: Arc<Ring>,
    sent: u64,
    /// Where they are, if not in the pipe: what is not there was taken.
    latest: Option<Latest>,
}

impl Outstanding {
    pub(super) fn new(ring: Arc<Ring>, sent: u64) -> Self {
        Self { ring, sent, latest: None }
    }

    pub(super) fn of_latest(ring: Arc<Ring>, sent: u64, latest: Latest) -> Self {
        Self { ring, sent, latest: Some(latest) }
    }

    /// Messages since the pipe was made.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Messages that were not taken.
    pub(crate) fn left(&self) -> u64 {
        match &self.latest {
            Some(latest) => u64::from(!latest.is_empty()),
            None => self.sent.saturating_sub(self.ring.consumed()),
        }
    }

    /// Messages that were taken, and that the peer has not received before it went.
    pub(crate) fn unread(&self) -> u64 {
        self.ring.unread()
    }

    /// Whether no count of it changes any more, once the producer is gone. Over a connection `back` brings the peer's
    /// messages, and the last of all what it says it has not received; else they lie with the peer.
    pub(super) fn is_settled(&self, back: Option<&Ring>) -> bool {
        let is_gone = self.is_consumer_gone();
        match back {
            Some(back) => is_gone && back.is_producer_gone(),
            None => is_gone || self.left() == 0,
        }
    }

    /// Who is woken for whoever takes it.
    pub(super) fn reader(&self) -> Option<WakeUp> {
        self.ring.reader()
    }

    /// Whether nobody will take anything any more.
    pub(crate) fn is_consumer_gone(&self) -> bool {
        self.ring.is_consumer_gone()
    }

    /// Asks for the producer's wake-up when nobody takes anything any more: the connection is over. `false`: it is so
    /// already. The wake-up may come early.
    pub(crate) fn wait(&self) -> bool {
        self.ring.wait_for_end()
    }
}

impl fmt::Debug for Outstanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outstanding").field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// Counts what the peer of a queue has not received before it went, also when nothing is taken from that queue any more.
pub(crate) struct Unread(Arc<Ring>);

impl Unread {
    pub(crate) fn add(&self, messages: u64) {
        self.0.note_unread(messages);
    }
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unread").field(&self.0.unread()).finish()
    }
}

impl Drain {
    pub(crate) fn unread(&self) -> Unread {
        Unread(Arc::clone(&self.consumer.ring))
    }
}

impl Pipe {
    /// Tells what becomes of what is queued for the peer now.
    pub(crate) fn outstanding(&self) -> Outstanding {
        match &self.latest_out {
            Some(latest) => latest.outstanding(&self.outbound.ring),
            None => self.outbound.outstanding(),
        }
    }

    /// Messages that were taken from the peer's queue since the pipe was made.
    pub(crate) fn received(&self) -> u64 {
        self.latest_in.as_ref().map_or_else(|| self.inbound.received(), Latest::taken)
    }

    /// Messages that have arrived and can be taken now.
    pub(crate) fn waiting(&self) -> u64 {
        self.latest_in.as_ref().map_or_else(|| self.inbound.waiting(), |latest| u64::from(!latest.is_empty()))
    }

    /// Takes no more messages, and tells how many are left. Whoever brings more finds out.
    pub(crate) fn leave(&mut self) -> u64 {
        self.inbound.ring.leave();
        self.unreceived()
    }

    /// Messages that have arrived and were not received. Without a connection they are still the sender's.
    pub(crate) fn unreceived(&mut self) -> u64 {
        if self.assist.is_none() {
            return 0;
        }
        let latest = self.latest_in.as_ref().is_some_and(|latest| !latest.is_empty());
        self.inbound.unread() + u64::from(latest)
    }
}

/// What was queued in pipes that the socket does not have any more.
#[derive(Debug, Default)]
pub(super) struct Departed {
    settled: Totals,
    /// Whose peers may still take something, or say what they go without.
    open: Vec<Unsettled>,
}

struct Unsettled {
    outstanding: Outstanding,
    /// Over a connection.
    back: Option<Arc<Ring>>,
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unsettled").field(&self.outstanding).finish()
    }
}

impl Departed {
    /// A pipe goes.
    pub(super) fn add(&mut self, pipe: &Pipe) {
        let back = pipe.assist.as_ref().map(|_| Arc::clone(&pipe.inbound.ring));
        self.open.push(Unsettled { outstanding: pipe.outstanding(), back });
        let settled = &mut self.settled;
        self.open.retain(|queue| {
            let is_settled = queue.outstanding.is_settled(queue.back.as_deref());
            if is_settled {
                settled.add_outstanding(&queue.outstanding);
            }
            !is_settled
        });
    }

    /// What has become of it.
    pub(super) fn totals(&self) -> Totals {
        let mut sum = self.settled;
        self.open.iter().for_each(|queue| sum.add_outstanding(&queue.outstanding));
        sum
    }
}

impl Pipes {
    /// What has become of what was queued in pipes that are gone.
    pub(crate) fn departed(&self) -> Totals {
        self.departed.totals()
    }
}
