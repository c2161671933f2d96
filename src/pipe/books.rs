//! The books of one socket: what has gone where, for any thread that asks.
//!
//! Keeps no counts of its own but of what was dropped: it knows the two rings of every pipe, where both ends write down
//! how far they are. A producer does that only now and then, so that a message costs nothing: what is sent and not yet
//! taken may be told late, by what fits a segment.
#![forbid(unsafe_code)]

use std::fmt;

use crate::endpoint::Endpoint;
use crate::pipe::Pipe;
use crate::pipe::dropped::{Dropped, Drops};
use crate::pipe::latest::Latest;
use crate::pipe::outstanding::Outstanding;
use crate::pipe::producer::Producer;
use crate::pipe::ring::Ring;
use crate::pipe::wake::WakeUp;
use crate::sync::{Arc, Mutex, lock};

/// What has gone through pipes, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) handed_over: u64,
    /// Of those.
    pub(crate) unread: u64,
    pub(crate) queued: u64,
    pub(crate) lost: u64,
    pub(crate) octets_sent: u64,
    pub(crate) received: u64,
    pub(crate) octets_received: u64,
    pub(crate) replaced: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { handed_over, unread, queued, lost, octets_sent, received, octets_received, replaced } =
            other;
        self.handed_over += handed_over;
        self.unread += unread;
        self.queued += queued;
        self.lost += lost;
        self.octets_sent += octets_sent;
        self.received += received;
        self.octets_received += octets_received;
        self.replaced += replaced;
    }

    /// Counts what becomes of what a producer has sent.
    pub(crate) fn add_outstanding(&mut self, outstanding: &Outstanding) {
        // Whether anybody still takes from the queue comes first: then what is left can only be too little.
        let is_over = outstanding.is_consumer_gone();
        let left = outstanding.left();
        // Of a queue of one, what is left may have come since.
        self.handed_over += outstanding.sent().saturating_sub(left);
        self.unread += outstanding.unread();
        if is_over {
            self.lost += left;
        } else {
            self.queued += left;
        }
    }
}

#[derive(Default)]
pub(crate) struct Books {
    drops: Drops,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    /// In the order of the pipes' ids; also of pipes that are gone, as long as their peers may take something, or have
    /// not confirmed that they have it.
    open: Vec<Page>,
    /// By pipe, if the socket conflates.
    latest: Vec<(u64, LatestBoth)>,
    settled: Totals,
    /// Peers of the socket, which was dropped, that may not have all that they were told, as far as it is settled.
    unconfirmed: u64,
    /// Of those that are open, so many may be closed.
    gone: usize,
}

/// Pages of pipes that are gone, which lie here until somebody asks, or until they are half of all.
const PAGES_GONE_MAX: usize = 16;

/// Both directions of one pipe.
struct Page {
    id: u64,
    outbound: Arc<Ring>,
    inbound: Arc<Ring>,
    /// To a peer, and not to a socket of this process. Then this side counts in whose place a newer message came.
    is_connection: bool,
    /// The socket does not have it any more, and has counted what it dropped with it.
    is_gone: bool,
    /// It was there when the socket was dropped: nobody else will tell whether its peer has everything.
    was_last: bool,
}

/// What takes the place of the queues, if the socket conflates.
struct LatestBoth {
    out: Option<Latest>,
    back: Option<Latest>,
}

impl Producer {
    /// Octets of frames, with their headers, since the pipe was made.
    pub(crate) fn octets_sent(&self) -> u64 {
        self.octets + u64::from(self.written.octets)
    }

    /// Writes down for other threads how much was sent: whenever there is something to be done anyway.
    pub(super) fn write_down(&self) {
        self.ring.note_sent(self.sent(), self.octets_sent());
    }
}

impl Books {
    pub(crate) fn drops(&self) -> &Drops {
        &self.drops
    }

    /// A pipe has come.
    pub(super) fn open(&self, pipe: &Pipe) {
        let page = Page {
            id: pipe.id,
            outbound: Arc::clone(&pipe.outbound.ring),
            inbound: Arc::clone(&pipe.inbound.ring),
            is_connection: pipe.assist.is_some(),
            is_gone: false,
            was_last: false,
        };
        let mut pages = lock(&self.pages);
        // Nearly always the last: a newer pipe has a greater id.
        let at = pages.open.partition_point(|other| other.id < page.id);
        pages.open.insert(at, page);
        if pipe.latest_out.is_some() || pipe.latest_in.is_some() {
            let (out, back) = (pipe.latest_out.clone(), pipe.latest_in.clone());
            pages.latest.push((pipe.id, LatestBoth { out, back }));
        }
    }

    /// A pipe goes, and what it dropped is counted.
    pub(super) fn settle(&self, pipe: &Pipe) {
        let mut pages = lock(&self.pages);
        if let Ok(at) = pages.open.binary_search_by_key(&pipe.id, |page| page.id) {
            pages.open.get_mut(at).into_iter().for_each(|page| page.is_gone = true);
            pages.gone += 1;
        }
        let is_many = pages.gone > PAGES_GONE_MAX && pages.gone > pages.open.len() / 2;
        let closed = if is_many { pages.settle() } else { Vec::new() };
        drop(pages);
        drop(closed);
    }

    /// The socket is dropped, with the pipes that it has now.
    pub(crate) fn note_drop(&self) {
        let mut pages = lock(&self.pages);
        pages.open.iter_mut().filter(|page| !page.is_gone).for_each(|page| page.was_last = true);
    }

    /// What has gone where so far, and what was dropped.
    pub(crate) fn so_far(&self) -> (Totals, Dropped) {
        let mut pages = lock(&self.pages);
        let closed = pages.settle();
        let mut totals = pages.settled;
        for page in &pages.open {
            totals.add(&page.totals(latest_of(&pages.latest, page.id)));
        }
        drop(pages);
        drop(closed);
        let mut dropped = self.drops.so_far();
        dropped.replaced += totals.replaced;
        (totals, dropped)
    }

    /// What was dropped so far.
    pub(crate) fn dropped(&self) -> Dropped {
        self.so_far().1
    }

    /// The queues from which connections take; and how many peers of connections that are over may not have all.
    pub(crate) fn queues(&self) -> (Vec<Queue>, u64) {
        let pages = lock(&self.pages);
        let (mut queues, mut unconfirmed) = (Vec::new(), pages.unconfirmed);
        for page in &pages.open {
            let both = latest_of(&pages.latest, page.id);
            let outstanding = page.outstanding(both);
            // A connection that is written to no more may be read from still.
            if outstanding.is_consumer_gone() && page.inbound.is_producer_gone() {
                unconfirmed += u64::from(page.is_unconfirmed(both));
                continue;
            }
            let Some(reader) = outstanding.reader() else { continue };
            let Some(to) = reader.destination() else { continue };
            let handed_over = outstanding.sent() - outstanding.left();
            let latest = both.and_then(|both| both.out.clone());
            let outbound = Arc::clone(&page.outbound);
            queues.push(Queue { outbound, latest, handed_over, reader, to });
        }
        (queues, unconfirmed)
    }

    /// Messages that have come over connections, and that the socket, which is open, has not received. Exact when the
    /// connections are gone.
    pub(crate) fn unreceived(&self) -> u64 {
        let pages = lock(&self.pages);
        let over_connections = pages.open.iter().filter(|page| page.is_connection);
        over_connections.map(|page| unreceived(&page.inbound, latest_of(&pages.latest, page.id))).sum()
    }

    /// Whether nothing will change any more.
    pub(crate) fn is_closed(&self) -> bool {
        let mut pages = lock(&self.pages);
        let closed = pages.settle();
        let is_closed = pages.open.is_empty();
        drop(pages);
        drop(closed);
        is_closed
    }

    /// Nobody will ask any more: lets go of all pipes, which may lead back to these books.
    pub(crate) fn burn(&self) {
        let pages = std::mem::take(&mut *lock(&self.pages));
        drop(pages);
    }
}

/// What is queued for one connection.
pub(crate) struct Queue {
    outbound: Arc<Ring>,
    /// In the place of the queue, if the socket conflates.
    latest: Option<Latest>,
    /// What its kernel had when this was made.
    handed_over: u64,
    reader: WakeUp,
    to: Endpoint,
}

impl Queue {
    /// Where it goes.
    pub(crate) fn to(&self) -> &Endpoint {
        &self.to
    }

    fn outstanding(&self) -> Outstanding {
        match &self.latest {
            Some(latest) => latest.outstanding(&self.outbound),
            None => Outstanding::new(Arc::clone(&self.outbound), self.outbound.sent().0),
        }
    }

    /// Messages that the kernel has not taken. Exact when the connection is gone.
    pub(crate) fn left(&self) -> u64 {
        self.outstanding().left()
    }

    /// Messages that the kernel has taken since this was made.
    pub(crate) fn flushed(&self) -> u64 {
        let outstanding = self.outstanding();
        (outstanding.sent() - outstanding.left()).saturating_sub(self.handed_over)
    }

    /// Whether something was handed over, ever, that may not arrive. Exact when the connection is gone.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        let outstanding = self.outstanding();
        outstanding.sent() > outstanding.left() && !self.reader.is_confirmed()
    }
}

/// Messages that have come, and that a socket that is open has not received.
fn unreceived(inbound: &Ring, both: Option<&LatestBoth>) -> u64 {
    match both.and_then(|both| both.back.as_ref()) {
        _ if inbound.is_consumer_gone() => 0,
        Some(latest) => u64::from(!latest.is_empty()),
        None => inbound.sent().0 - inbound.consumed(),
    }
}

impl Pages {
    /// Closes the pages of which nothing more comes, and returns them, to be dropped without a lock: with a page may go
    /// the last that kept a connection, and with that whoever watches it.
    #[must_use]
    fn settle(&mut self) -> Vec<Page> {
        if self.gone == 0 {
            return Vec::new();
        }
        let (settled, latest, unconfirmed) = (&mut self.settled, &mut self.latest, &mut self.unconfirmed);
        let (closed, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.open).into_iter().partition(|page| {
            let both = latest_of(latest, page.id);
            let is_over = page.is_gone && page.is_over(both);
            if is_over {
                settled.add(&page.totals(both));
                *unconfirmed += u64::from(page.is_unconfirmed(both));
                latest.retain(|(id, _)| *id != page.id);
            }
            is_over
        });
        self.open = open;
        self.gone = self.open.iter().filter(|page| page.is_gone).count();
        if self.open.len() < self.open.capacity() / 4 {
            self.open.shrink_to_fit();
        }
        closed
    }
}

fn latest_of(latest: &[(u64, LatestBoth)], id: u64) -> Option<&LatestBoth> {
    latest.iter().find(|(other, _)| *other == id).map(|(_, both)| both)
}

impl Page {
    fn is_over(&self, latest: Option<&LatestBoth>) -> bool {
        let back = self.is_connection.then_some(&*self.inbound);
        self.outbound.is_producer_gone()
            && self.inbound.is_consumer_gone()
            && self.outstanding(latest).is_settled(back)
    }

    /// Whether a peer whose connection is over may not have all: of a socket that was dropped, or that has not heard of it.
    fn is_unconfirmed(&self, latest: Option<&LatestBoth>) -> bool {
        let outstanding = self.outstanding(latest);
        let is_told_here = self.was_last || !self.is_gone;
        let was_told = is_told_here && self.is_connection && outstanding.sent() > outstanding.left();
        was_told && !outstanding.reader().is_some_and(|reader| reader.is_confirmed())
    }

    fn outstanding(&self, latest: Option<&LatestBoth>) -> Outstanding {
        match latest.and_then(|latest| latest.out.as_ref()) {
            Some(latest) => latest.outstanding(&self.outbound),
            None => Outstanding::new(Arc::clone(&self.outbound), self.outbound.sent().0),
        }
    }

    fn totals(&self, both: Option<&LatestBoth>) -> Totals {
        let of_ours = both.and_then(|latest| latest.out.as_ref());
        let back = both.and_then(|latest| latest.back.as_ref());
        let of_theirs = back.filter(|_| self.is_connection);
        let latest = of_ours.into_iter().chain(of_theirs).filter(|_| !self.is_gone);
        let mut totals = Totals {
            octets_sent: self.outbound.sent().1,
            received: back.map_or_else(|| self.inbound.consumed(), Latest::taken),
            octets_received: self.inbound.freed(),
            replaced: latest.map(Latest::replaced).sum(),
            ..Totals::default()
        };
        totals.add_outstanding(&self.outstanding(both));
        totals
    }
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").finish_non_exhaustive()
    }
}
