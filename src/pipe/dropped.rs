//! Messages that a socket has dropped, counted where they are.
//!
//! Only the socket's own thread counts, so that counting is a plain store; any thread may look.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};

/// Messages that a socket has dropped, by reason. They were accepted, or arrived, and nobody will see them.
///
/// A message for several peers counts once for each that does not get it. What was queued for a peer and is lost
/// with it is in [`Outgoing`](crate::Outgoing).
///
/// ```
/// use peermq::{Context, RoutingId, Router};
///
/// let mut router = Context::new().open::<Router>()?;
/// router.send_to(&RoutingId::new("nobody")?, "lost")?;
/// assert_eq!(router.dropped().unroutable, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The queue to the peer was full: of ROUTER and REP, and of PUB, XPUB and XSUB, which also count here what is larger
    /// than a peer of this process takes.
    pub full: u64,
    /// What came is not what peers of this type send: to REQ and REP.
    pub malformed: u64,
    /// With [`conflate`](crate::Options::conflate): a newer message took their place. In one process the sender
    /// counts them, else each side those that it replaced itself.
    pub replaced: u64,
    /// No such peer, or it is gone: of ROUTER and REP.
    pub unroutable: u64,
    /// They had come over a connection, and were not received before it was let go: disconnected, or closed with
    /// its socket, of which [`CloseReport`](crate::CloseReport) tells. With inproc the sender counts them, as
    /// [`lost`](crate::Outgoing::lost). Of a peer that has sent subscriptions, behind more than 4,096 frames those count
    /// as messages.
    pub unreceived: u64,
    /// They came, and nobody asked for them: replies to requests that were given up and those of others, what a SUB
    /// has not subscribed to, what a PUB or PUSH is sent, and the words of a peer whose name a ROUTER refuses.
    pub unwanted: u64,
}

impl Dropped {
    /// Returns how many there were, for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { full, malformed, replaced, unroutable, unreceived, unwanted } = self;
        full + malformed + replaced + unroutable + unreceived + unwanted
    }
}

impl Dropped {
    /// Returns what was dropped between an earlier look and this one.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let less = u64::saturating_sub;
        Self {
            full: less(self.full, before.full),
            malformed: less(self.malformed, before.malformed),
            replaced: less(self.replaced, before.replaced),
            unroutable: less(self.unroutable, before.unroutable),
            unreceived: less(self.unreceived, before.unreceived),
            unwanted: less(self.unwanted, before.unwanted),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let Self { full, malformed, replaced, unroutable, unreceived, unwanted } = other;
        self.full += full;
        self.malformed += malformed;
        self.replaced += replaced;
        self.unroutable += unroutable;
        self.unreceived += unreceived;
        self.unwanted += unwanted;
    }
}

/// The counters behind it.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    pub(crate) full: Count,
    pub(crate) malformed: Count,
    pub(crate) replaced: Count,
    pub(crate) unroutable: Count,
    pub(crate) unreceived: Count,
    pub(crate) unwanted: Count,
    /// Unwanted, too: by any thread, as nobody receives.
    pub(crate) unheard: SharedCount,
}

impl Drops {
    pub(crate) fn so_far(&self) -> Dropped {
        Dropped {
            full: self.full.get(),
            malformed: self.malformed.get(),
            replaced: self.replaced.get(),
            unroutable: self.unroutable.get(),
            unreceived: self.unreceived.get(),
            unwanted: self.unwanted.get() + self.unheard.0.get(),
        }
    }
}

/// What any thread counts, now and then.
#[derive(Debug, Default)]
pub(crate) struct SharedCount(Count);

impl SharedCount {
    pub(crate) fn add(&self, count: u64) {
        // Relaxed: a number that stands for itself.
        self.0.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// What one thread counts, and any may look at.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Called by one thread only.
    #[inline]
    pub(crate) fn add(&self, count: u64) {
        // Relaxed: a number that stands for itself, and nobody else stores.
        self.0.store(self.0.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
