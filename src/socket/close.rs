//! Closing a socket with a report.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use crate::io::ToSocket;
use crate::patterns::Strategy;
use crate::pipe::{Assist, Outstanding, Pipe};
use crate::socket::core::Core;

/// What became of the messages that a socket held when it was closed.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Push};
///
/// let context = Context::new();
/// let mut push = context.open::<Push>()?;
/// push.connect("tcp://127.0.0.1:9")?;
/// push.send("nobody is there")?;
/// let report = push.close(Duration::from_millis(10));
/// assert_eq!((report.flushed, report.dropped), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Messages that were handed over since: to the kernel, or with inproc to the other socket.
    pub flushed: u64,
    /// Messages that were not, and never will be.
    pub dropped: u64,
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
    /// Asks to be told when it is over. `false`: it is.
    fn wait(&self) -> bool {
        self.connection.is_some() && self.outstanding.wait()
    }

    fn dropped(&self) -> u64 {
        if self.connection.is_some() || self.outstanding.is_consumer_gone() {
            self.outstanding.left().min(self.queued)
        } else {
            0
        }
    }
}

impl Core {
    /// Sends what is queued until `deadline`; none is for ever.
    pub(super) fn close<P: Strategy>(mut self, pattern: &P, deadline: Option<Instant>) -> CloseReport {
        let before = self.pipes.dropped().unreceived;
        let mut unreceived = pattern.unreceived();
        let mut mail = Vec::new();
        self.unbind_all();
        self.stop_all(deadline);
        self.mailbox.take(&mut mail);
        for item in mail.drain(..) {
            if let ToSocket::Attach(mut pipe) = item {
                unreceived += pipe.unreceived(); // of a peer that nobody has looked at yet
            }
        }
        let queues: Vec<_> = self
            .pipes
            .keys()
            .into_iter()
            .filter_map(|key| self.remove_pipe(key))
            .map(|pipe| finish(pipe, deadline))
            .collect();
        unreceived += self.pipes.dropped().unreceived - before;
        // Each is asked, so that each tells.
        while queues.iter().filter(|queue| queue.wait()).count() > 0 {
            if !self.mailbox.wait(deadline) {
                queues.iter().filter_map(|queue| queue.connection.as_ref()).for_each(|it| it.cut());
                break;
            }
            // Whatever it says: a queue has moved, or a peer has come too late.
            self.mailbox.take(&mut mail);
            mail.clear();
        }
        let dropped = queues.iter().map(Queue::dropped).sum();
        let queued: u64 = queues.iter().map(|queue| queue.queued).sum();
        CloseReport { flushed: queued - dropped, dropped, unreceived }
    }
}

/// Lets a connection send what is queued.
fn finish(pipe: Pipe, deadline: Option<Instant>) -> Queue {
    if let Some(connection) = &pipe.assist {
        connection.stop(deadline);
    }
    let outstanding = pipe.outstanding();
    Queue { queued: outstanding.left(), outstanding, connection: pipe.assist }
}
