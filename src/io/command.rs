//! What goes between threads beside messages: two closed sets of notices, and their mailboxes.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use crate::error::OsError;
use crate::error::ProtocolError;
use crate::io::Task;
use crate::pipe::{Feed, Mailbox, Pipe, Ready, Wake};

/// To an I/O thread.
pub(crate) enum ToIo {
    /// End when every task has ended, or at the given time.
    Finish(Instant),
    /// Something for one task.
    Notice(u64, Notice),
    /// A new task, and its number.
    Start(u64, Box<dyn Task>),
}

/// To one task of an I/O thread.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    /// There is work that needs no event of the kernel.
    Drive,
    /// The connection of this task is over; `was_ready`: after a handshake.
    Ended { end: End, was_ready: bool },
    /// A name was looked up; empty when it has no address.
    Resolved(Vec<SocketAddr>),
    /// The socket's own thread streams: look after its connection at every tick.
    Tick,
    /// The socket is done with this task; what is queued may still be sent until the given time.
    Stop(Option<Instant>),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The operating system says so.
    Io(OsError),
    /// The peer closed it.
    PeerClosed,
    /// The peer broke the protocol, or refused us.
    Protocol(ProtocolError),
    /// The socket closed it, and everything is handed to the kernel.
    Sent,
}

/// To a socket.
#[derive(Debug)]
pub(crate) enum ToSocket {
    /// A new peer.
    Attach(Box<Pipe>),
    /// What the other end of a pipe of this process subscribes to.
    Feed(u64, Feed),
    /// A pipe that the socket waits for has changed.
    Ready(u64, Ready),
    /// The context was shut down.
    Terminated,
}

/// An I/O thread's mailbox, and the way to wake the thread out of its poll.
pub(crate) struct IoMailbox {
    mailbox: Mailbox<ToIo>,
    waker: mio::Waker,
    registry: mio::Registry,
}

impl IoMailbox {
    pub(super) fn new(waker: mio::Waker, registry: mio::Registry) -> Self {
        Self { mailbox: Mailbox::new(), waker, registry }
    }

    /// The thread's poll.
    pub(crate) fn registry(&self) -> &mio::Registry {
        &self.registry
    }

    /// Posts, and wakes the thread if it sleeps.
    pub(crate) fn post(&self, item: ToIo) {
        if self.mailbox.post(item) {
            // A failure leaves the thread asleep until its next event. The eventfd can only be full, which
            // means that it is signalled already.
            let _ = self.waker.wake();
        }
    }

    pub(super) fn mailbox(&self) -> &Mailbox<ToIo> {
        &self.mailbox
    }
}

impl fmt::Debug for IoMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoMailbox").finish_non_exhaustive()
    }
}

/// A socket's mailbox.
pub(crate) struct SocketMailbox(Mailbox<ToSocket>);

impl SocketMailbox {
    pub(crate) fn new() -> Self {
        Self(Mailbox::new())
    }

    pub(crate) fn post(&self, item: ToSocket) {
        let is_elsewhere = self.0.post(item);
        debug_assert!(!is_elsewhere, "a socket's thread sleeps in its mailbox only");
    }

    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.0.has_mail()
    }

    pub(crate) fn take(&self, into: &mut Vec<ToSocket>) {
        self.0.take(into);
    }

    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        self.0.wait(deadline)
    }

    /// The socket is gone: a peer that still comes is let go.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}

impl Wake for SocketMailbox {
    fn wake(&self, id: u64, ready: Ready) {
        self.post(ToSocket::Ready(id, ready));
    }
}

impl fmt::Debug for SocketMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketMailbox").finish_non_exhaustive()
    }
}
