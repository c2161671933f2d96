//! Closing a socket with a report.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use crate::io::ToSocket;
use crate::patterns::Strategy;
use crate::pipe::{Assist, Outstanding, Pipe, Sleepers};
use crate::socket::core::Core;

/// What became of the messages that a socket held when it was closed.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Pull, Push};
///
/// let context = Context::new();
/// let mut push = context.open::<Push>()?;
/// push.connect("tcp://127.0.0.1:9")?;
/// push.send("nobody is there")?;
/// let report = push.close(Duration::from_millis(10));
/// assert_eq!((report.flushed, report.dropped), (0, 1));
///
/// let mut pull = context.open::<Pull>()?;
/// let endpoint = pull.bind("tcp://127.0.0.1:0")?;
/// let mut push = context.open::<Push>()?;
/// push.connect(&endpoint)?;
/// push.send("hello")?;
/// let report = push.close(Duration::from_secs(10));
/// // No connection has broken before: see `manual::ends`.
/// let has_everything_arrived = report.dropped == 0 && report.unconfirmed == 0;
/// assert!(has_everything_arrived);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Messages that are with their peers: handed over since, to the kernel, and each peer has closed its end of the
    /// connection behind them; or with inproc to the other socket.
    pub flushed: u64,
    /// Messages that were not handed over, and never will be; also those for a peer that has just gone, which may have been
    /// told as [`lost`](crate::Outgoing::lost) already. For whom they were is not told here:
    /// [`stats`](crate::Socket::stats) tells before the close what is queued for each peer, and
    /// [`Context::finish`](crate::Context::finish) for whom it has dropped something.
    pub dropped: u64,
    /// Messages of which nobody knows: handed over to the kernel since, for a peer that is
    /// [unconfirmed](Self::unconfirmed). Those that the kernel had before, when the socket was closed, are not in here:
    /// zero alone does not mean that everything has arrived.
    pub uncertain: u64,
    /// Peers to whom this socket has handed over messages, now or before, and who have not closed their ends of the
    /// connections behind them: because the deadline passed, because they went first without all of it, or because the connection
    /// broke. What was handed over last may not arrive. Zero: all that was handed over on connections that stood when the
    /// socket was closed has been read by the peers; also by one that ends by itself just then, if it is of this library.
    pub unconfirmed: u64,
    /// Messages that had come over connections and were not received. With inproc the sender counts them, as
    /// [`lost`](crate::Outgoing::lost).
    pub unreceived: u64,
}

/// One peer's queue on its way out.
struct Queue {
    outstanding: Outstanding,
    /// Messages in it when the socket was closed.
    queued: u64,
    /// None for inproc, where the messages lie with the peer already.
    connection: Option<Arc<dyn Assist>>,
}

impl Queue {
    fn of(pipe: &Pipe) -> Self {
        let outstanding = pipe.outstanding();
        let connection = pipe.assist.as_ref().map(Arc::clone);
        Self { queued: outstanding.left(), outstanding, connection }
    }

    /// Asks to be told when its connection is over. `false`: it is.
    fn wait(&self) -> bool {
        self.connection.is_some() && self.outstanding.wait()
    }

    /// Drops what the kernel has not taken. A connection that has nothing of that kind ends by itself.
    fn cut(&self) {
        if let Some(connection) = self.connection.as_ref().filter(|_| self.outstanding.left() > 0) {
            connection.cut();
        }
    }

    /// Whether something was handed over that may not arrive.
    fn is_unconfirmed(&self) -> bool {
        let was_told = self.outstanding.sent() > self.outstanding.left();
        was_told && self.connection.as_ref().is_some_and(|connection| !connection.is_confirmed())
    }

    fn dropped(&self) -> u64 {
        if self.connection.is_some() || self.outstanding.is_consumer_gone() {
            self.outstanding.left().min(self.queued)
        } else {
            0
        }
    }
}

/// A socket that is closed, but for what it still sends.
pub(super) struct Closing {
    core: Core,
    queues: Vec<Queue>,
    unreceived: u64,
}

impl Closing {
    /// Lets connections send what is queued until `deadline`; none is for ever.
    pub(super) fn new<P: Strategy>(mut core: Core, pattern: &P, deadline: Option<Instant>) -> Self {
        if core.is_inherited() {
            return Self { core, queues: Vec::new(), unreceived: 0 };
        }
        // First: what goes while the socket closes is flushed.
        let queues: Vec<_> = core.pipes.iter().map(Queue::of).collect();
        let before = core.pipes.dropped().unreceived;
        let mut unreceived = pattern.unreceived();
        let mut mail = Vec::new();
        core.unbind_all();
        core.stop_all(deadline);
        core.mailbox.take(&mut mail);
        for item in mail {
            if let ToSocket::Attach(mut pipe) = item {
                unreceived += pipe.leave(); // of a peer that nobody has looked at yet
            }
        }
        for key in core.pipes.keys() {
            if let Some(Pipe { assist: Some(connection), .. }) = &core.remove_pipe(key) {
                connection.stop(deadline); // it sends what is queued
            }
        }
        unreceived += core.pipes.dropped().unreceived - before;
        Self { core, queues, unreceived }
    }

    /// Waits until every connection is over, or `deadline` has passed.
    pub(super) fn wait(mut self, deadline: Option<Instant>) -> CloseReport {
        while !self.is_over() {
            if !self.core.mailbox.wait(deadline) {
                self.queues.iter().for_each(Queue::cut);
                break;
            }
        }
        self.report()
    }

    /// The same in a task: the I/O threads see to the deadline.
    pub(super) async fn finish(mut self) -> CloseReport {
        poll_fn(|context| {
            while !self.is_over() {
                if self.core.mailbox.register(Sleepers::CALL, context.waker()) {
                    return Poll::Pending;
                }
            }
            Poll::Ready(self.report())
        })
        .await
    }

    /// Whether every connection is over. If not, the mailbox tells of a change.
    fn is_over(&mut self) -> bool {
        // Whatever it says: a queue has moved, or a peer has come too late.
        let mut mail = Vec::new();
        self.core.mailbox.take(&mut mail);
        for item in mail {
            if let ToSocket::Attach(mut pipe) = item {
                self.unreceived += pipe.leave();
            }
        }
        // Each is asked, so that each tells.
        self.queues.iter().filter(|queue| queue.wait()).count() == 0
    }

    fn report(&self) -> CloseReport {
        let mut report = CloseReport { unreceived: self.unreceived, ..CloseReport::default() };
        for queue in &self.queues {
            let is_unconfirmed = queue.is_unconfirmed();
            let dropped = queue.dropped();
            let handed_over = queue.queued - dropped;
            report.dropped += dropped;
            report.unconfirmed += u64::from(is_unconfirmed);
            *(if is_unconfirmed { &mut report.uncertain } else { &mut report.flushed }) += handed_over;
        }
        report
    }
}
