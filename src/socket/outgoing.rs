//! What became of the messages that a socket has queued.
//!
//! Taken from the counters that every pipe has anyway: nothing is counted for a message, only when a pipe goes.
#![forbid(unsafe_code)]

use crate::patterns::{Dropped, Pattern};
use crate::pipe::Totals;
use crate::socket::Socket;
use crate::socket::core::Core;

/// What became of the messages that a socket has queued for its peers so far.
///
/// Each message counts once for every peer that it was queued for. What was not queued is not in here: sends
/// that failed, and what [`dropped`](crate::Dropped) counts, such as messages that a socket with
/// [`conflate`](crate::Options::conflate) has replaced.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Pull, Push};
///
/// let context = Context::new();
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://work")?;
/// let mut pull = context.open::<Pull>()?;
/// pull.bind("inproc://work")?;
/// for job in ["one", "two", "three"] {
///     push.send(job)?;
/// }
/// pull.recv()?;
/// assert_eq!((push.outgoing().handed_over, push.outgoing().queued), (1, 2));
/// drop(pull);
/// assert_eq!((push.outgoing().handed_over, push.outgoing().lost), (1, 2));
/// assert_eq!(push.outgoing().accepted(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing {
    /// The kernel has them, or with inproc the peer has received them. A connection that breaks can still lose
    /// what is with the kernel.
    pub handed_over: u64,
    /// Of those that were handed over: what peers that have gone did not receive, as they said with their last words, see
    /// [`manual::ends`](crate::manual::ends#two-that-go-at-the-same-time). They count it as
    /// [`unreceived`](crate::Dropped::unreceived), as far as it had come into their queues. Only peers of this library say
    /// so, and none that dies.
    pub unread: u64,
    /// They wait for their peer. After [`disconnect`](crate::Socket::disconnect), as long as
    /// [`linger`](crate::Options::linger) says.
    pub queued: u64,
    /// The peer that they were queued for is gone, or let go, and so are they. Also a request that a REQ without
    /// [`req_correlate`](crate::Options::req_correlate) gave up before it was sent.
    pub lost: u64,
}

impl Outgoing {
    /// Returns how many messages were queued, in all.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.handed_over + self.queued + self.lost
    }

    pub(super) fn of(totals: &Totals) -> Self {
        let Totals { handed_over, unread, queued, lost, .. } = *totals;
        Self { handed_over, unread, queued, lost }
    }
}

impl Core {
    pub(super) fn outgoing(&self) -> Outgoing {
        let mut sum = self.pipes.departed();
        for pipe in self.pipes.iter() {
            sum.add_outstanding(&pipe.outstanding());
        }
        Outgoing::of(&sum)
    }
}

impl<P: Pattern> Socket<P> {
    /// Returns what became of the messages that were queued for peers so far, including those that are gone.
    #[must_use]
    pub fn outgoing(&self) -> Outgoing {
        self.core.outgoing()
    }

    /// Returns how many messages this socket has dropped so far, by reason: those that it was sent included.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.core.pipes.dropped()
    }
}
