//! Statistics: what has gone where, for each peer and in all.
//!
//! Nothing is counted here: the pipes count their messages and octets, the patterns what they drop, and connections how
//! they fare. A snapshot adds up.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use crate::patterns::{Dropped, Pattern};
use crate::pipe::{self, Books, Pipe};
use crate::routing_id::RoutingId;
use crate::session::ConnectionCounts;
use crate::socket::core::Core;
use crate::socket::{Outgoing, Socket};
use crate::sync::do_each;

/// Messages, and the octets of their frames.
///
/// The octets are those of frames with their headers, as they are on the wire but for encryption and the handshake;
/// commands of the peer that came between its messages, and what the library notes there, are among those received.
/// Sockets with [`conflate`](crate::Options::conflate) do not count octets.
///
/// ```
/// use peermq::{Context, Pull, Push};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// pull.bind("inproc://work")?;
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://work")?;
/// push.send("12345678")?;
/// pull.recv()?;
/// assert_eq!((push.stats().total.sent.octets, pull.stats().total.received.octets), (10, 10));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Whole messages.
    pub messages: u64,
    /// Octets of their frames, with headers.
    pub octets: u64,
}

/// What has gone through a socket, or all sockets of a context, so far.
///
/// ```
/// use peermq::{Context, Push};
///
/// let context = Context::new();
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://later")?;
/// push.send("a job")?;
/// let total = push.stats().total;
/// assert_eq!((total.sent.messages, total.outgoing.queued, total.dropped.total()), (1, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Queued for peers: once for each peer.
    pub sent: Traffic,
    /// What became of these messages.
    pub outgoing: Outgoing,
    /// Came from peers and was taken from their queues: received, or dropped as `malformed` or `unwanted`. A
    /// publisher's subscribers' subscriptions count as messages.
    pub received: Traffic,
    /// Messages that were dropped, by reason.
    pub dropped: Dropped,
    /// How the connections fare; of a context, nothing.
    pub connections: ConnectionCounts,
}

/// What a socket has sent, received and dropped so far: see [`Socket::stats`].
///
/// ```
/// use peermq::{Context, Pull, Push};
///
/// let context = Context::new();
/// let mut push = context.open::<Push>()?;
/// let binding = push.bind("tcp://127.0.0.1:0")?;
/// let mut pulls = [context.open::<Pull>()?, context.open::<Pull>()?];
/// for pull in &mut pulls {
///     pull.connect(&binding)?;
/// }
/// push.send("a job")?;
/// push.send("another one")?;
/// let stats = push.stats();
/// assert_eq!(stats.total.sent.messages, stats.peers.iter().map(|peer| peer.sent.messages).sum());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// In all, peers that are gone included.
    pub total: Totals,
    /// Peers with queues: those that are there, and those that are connected to, in the order in which they came.
    pub peers: Vec<PeerStats>,
}

/// What a socket has sent to one peer and received from it: see [`Socket::stats`].
///
/// For a peer that is connected to, over all of its connections; but a REQ that gives a request up without
/// [`req_correlate`](crate::Options::req_correlate) begins anew, and only the sums of the socket go on.
///
/// ```
/// use peermq::{Context, Push};
///
/// let context = Context::new();
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://nobody")?;
/// push.send("nobody is there")?;
/// let peer = &push.stats().peers[0];
/// assert_eq!((peer.sent.messages, peer.outgoing.queued, peer.reconnects), (1, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// The number of the connection, as in [`Event::connection`](crate::Event::connection).
    pub connection: u64,
    /// The routing id by which a ROUTER knows it, or which it announced; none if it is not known.
    pub routing_id: Option<RoutingId>,
    /// Queued for it.
    pub sent: Traffic,
    /// What became of these messages.
    pub outgoing: Outgoing,
    /// Came from it and was taken from its queue.
    pub received: Traffic,
    /// Messages that have come from it and wait to be received.
    pub waiting: u64,
    /// How often its connection was lost and made again.
    pub reconnects: u64,
    /// How long the answer to the last heartbeat took, if there are
    /// [heartbeats](crate::Options::heartbeat_interval), and one was answered on this connection.
    pub round_trip: Option<Duration>,
}

impl<P: Pattern> Socket<P> {
    /// Returns what this socket has sent, received and dropped so far, for each peer and in all. Exact as of
    /// its last call: a peer that has come since is not among the [peers](Stats::peers) yet. Takes no lock that a connection
    /// holds.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }
}

impl Core {
    fn stats(&self) -> Stats {
        let mut peers: Vec<_> = self.pipes.iter().map(of_peer).collect();
        peers.sort_unstable_by_key(|peer| peer.connection);
        let gone = self.pipes.gone();
        let mut sent = Traffic { messages: 0, octets: gone.octets_sent };
        let mut received = Traffic { messages: gone.received, octets: gone.octets_received };
        for peer in &peers {
            sent.octets += peer.sent.octets;
            received.messages += peer.received.messages;
            received.octets += peer.received.octets;
        }
        let outgoing = self.outgoing();
        sent.messages = outgoing.accepted();
        let connections = self.peers.watchers().counts();
        let total = Totals { sent, outgoing, received, dropped: self.pipes.dropped(), connections };
        Stats { total, peers }
    }
}

fn of_peer(pipe: &Pipe) -> PeerStats {
    let mut totals = pipe::Totals::default();
    totals.add_outstanding(&pipe.outstanding());
    let outgoing = Outgoing::of(&totals);
    let vitals = pipe.assist.as_ref().map(|assist| assist.vitals()).unwrap_or_default();
    PeerStats {
        connection: pipe.assist.as_ref().map_or(pipe.id, |assist| assist.id()),
        routing_id: pipe.peer.clone(),
        sent: Traffic { messages: outgoing.accepted(), octets: pipe.outbound.octets_sent() },
        outgoing,
        received: Traffic { messages: pipe.received(), octets: pipe.inbound.octets() },
        waiting: pipe.waiting(),
        reconnects: vitals.reconnects,
        round_trip: vitals.round_trip,
    }
}

impl Totals {
    /// Adds what a socket has written down.
    pub(crate) fn add_books(&mut self, books: &Books) {
        let (totals, dropped) = books.so_far();
        let outgoing = Outgoing::of(&totals);
        self.sent.messages += outgoing.accepted();
        self.sent.octets += totals.octets_sent;
        self.outgoing.handed_over += outgoing.handed_over;
        self.outgoing.unread += outgoing.unread;
        self.outgoing.queued += outgoing.queued;
        self.outgoing.lost += outgoing.lost;
        self.received.messages += totals.received;
        self.received.octets += totals.octets_received;
        self.dropped.add(&dropped);
    }
}

/// The books of sockets that are gone.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    /// What was queued there may still be taken.
    open: Vec<Arc<Books>>,
    settled: Totals,
    /// Peers that may not have all that they were told, as far as the books are closed.
    unconfirmed: u64,
}

impl Archive {
    pub(crate) fn add(&mut self, books: Arc<Books>) {
        self.open.push(books);
        self.settle();
    }

    pub(crate) fn so_far(&mut self) -> Totals {
        self.settle();
        let mut totals = self.settled;
        self.open.iter().for_each(|books| totals.add_books(books));
        totals
    }

    /// Those of sockets whose messages may still be taken; and how many peers of the others may not have all.
    pub(crate) fn books(&self) -> (Vec<Arc<Books>>, u64) {
        (self.open.clone(), self.unconfirmed)
    }

    /// The context is gone.
    pub(crate) fn burn(&mut self) {
        do_each(self.open.drain(..), |books| books.burn());
    }

    fn settle(&mut self) {
        let Self { open, settled, unconfirmed } = self;
        open.retain(|books| {
            let is_closed = books.is_closed();
            if is_closed {
                settled.add_books(books);
                *unconfirmed += books.queues().1;
            }
            !is_closed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::{Pair, Socket};

    #[test]
    fn of_sockets_that_are_gone_a_sum_is_left() {
        let (context, mut archive) = (Context::new(), Archive::default());
        for round in 0..100 {
            let [mut here, mut there] = [(); 2].map(|()| context.open::<Pair>().unwrap());
            here.bind("inproc://again and again").unwrap();
            there.connect("inproc://again and again").unwrap();
            there.send("hello").unwrap();
            here.recv().unwrap();
            let books = |socket: &Socket<Pair>| Arc::clone(socket.core.pipes.books());
            let both = [books(&here), books(&there)];
            // A message that can still be received may be.
            there.send("left").unwrap();
            drop(there);
            let [ours, theirs] = both;
            archive.add(theirs);
            assert_eq!(archive.open.len(), 1);
            drop(here);
            archive.add(ours);
            assert!(archive.open.is_empty() && archive.open.capacity() <= 8);
            assert_eq!(archive.so_far().received.messages, round + 1);
        }
    }
}
