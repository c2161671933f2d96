//! What goes between threads beside messages: two closed sets of notices, and their mailboxes.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use crate::error::{ConnectionError, OsError, ProtocolError};
use crate::interest::Interest;
use crate::io::{Bell, Task};
use crate::pipe::{Feed, Mailbox, NameLost, Pipe, Ready, Signal, Wake};
use crate::sync::{AtomicU64, Ordering, Process};

/// How a context ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finish {
    /// When it is over at the latest; none: when everything is sent.
    pub(crate) by: Option<Instant>,
    /// Peers that are not there are not waited for.
    pub(crate) is_hurried: bool,
}

/// To an I/O thread.
pub(crate) enum ToIo {
    /// End when every task has ended, or at the given time.
    Finish(Finish),
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
    /// Call at this time.
    WakeAt(Instant),
    /// The connection of this task is over; `was_ready`: after a handshake.
    Ended { end: End, was_ready: bool },
    /// The context ends: what is queued now is the last.
    Finish(Finish),
    /// Look in a while whether the connection is quiet.
    LookLater,
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
    /// The application asked for it.
    Dismissed,
    /// The socket waits no more for what it has asked the peer; `was_heard`: which has said something before.
    GivenUp { was_heard: bool },
    /// The operating system says so.
    Io(OsError),
    /// Its peer's name belongs to another connection.
    NameLost(NameLost),
    /// The peer closed it.
    PeerClosed,
    /// The peer broke the protocol, or refused us.
    Protocol(ProtocolError),
    /// The socket closed it, and everything is handed to the kernel.
    Sent,
    /// The peer gave no sign of life in time.
    Silent,
    /// A peer that had connected to us has closed, or is gone, before it said anything.
    Unheard,
}

impl End {
    /// What went wrong; nothing if this side ended it.
    pub(crate) fn error(self) -> Option<ConnectionError> {
        match self {
            Self::Dismissed => Some(ConnectionError::Dismissed),
            Self::GivenUp { .. } => Some(ConnectionError::GivenUp),
            Self::Io(error) => Some(ConnectionError::Io(error)),
            Self::NameLost(why) => Some(why.error()),
            Self::PeerClosed | Self::Unheard => Some(ConnectionError::PeerClosed),
            Self::Protocol(error) => Some(ConnectionError::Protocol(error)),
            Self::Sent => None,
            Self::Silent => Some(ConnectionError::Silent),
        }
    }
}

/// To a socket.
#[derive(Debug)]
pub(crate) enum ToSocket {
    /// A new peer.
    Attach(Box<Pipe>),
    /// This connection was ended through its handle.
    Disconnect(u64),
    /// Let the peer at this pipe go.
    LetGo(u64),
    /// What the other end of a pipe of this process subscribes to.
    Feed(u64, Feed),
    /// The other end of a pipe of this process takes no message of more octets.
    MessageMax(u64, u64),
    /// A pipe that the socket waits for has changed.
    Ready(u64, Ready),
    /// The context was shut down.
    Terminated,
}

/// An I/O thread's mailbox, and the way to wake the thread out of its poll.
pub(crate) struct IoMailbox {
    mailbox: Mailbox<ToIo>,
    bell: Bell,
    registry: mio::Registry,
    /// Connections of the thread that tick.
    ticking: AtomicU64,
    /// Where the thread runs.
    process: Process,
}

impl IoMailbox {
    pub(super) fn new(bell: Bell, registry: mio::Registry) -> Self {
        let (mailbox, process) = (Mailbox::new(), Process::current());
        Self { mailbox, bell, registry, ticking: AtomicU64::new(0), process }
    }

    /// Whether this process has the thread, and is no forked child of the one that has.
    pub(crate) fn is_here(&self) -> bool {
        self.process.is_current()
    }

    /// The thread's poll.
    pub(crate) fn registry(&self) -> &mio::Registry {
        &self.registry
    }

    /// Posts, and wakes the thread if it sleeps. In a forked child there is no such thread, and the way to wake it is
    /// the parent's: the item is dropped.
    pub(crate) fn post(&self, item: ToIo) {
        if !self.is_here() {
            return;
        }
        if !self.mailbox.post(item).is_none() {
            self.bell.ring();
        }
    }

    /// So many more connections of this thread tick.
    pub(crate) fn count_ticking(&self, more: isize) {
        // Relaxed: only their thread counts, and reads.
        self.ticking.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// How many connections of this thread tick.
    pub(crate) fn ticking(&self) -> u64 {
        self.ticking.load(Ordering::Relaxed)
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

/// A socket's mailbox, and how whoever waits for it is woken.
pub(crate) type SocketMailbox = Signal<ToSocket>;

impl ToSocket {
    /// What the socket may be able to do now. Nothing, if it can look after this when it does something anyway.
    fn hint(&self) -> Interest {
        match self {
            // A peer that tells of its first message, or what is there already.
            Self::Attach(pipe) if pipe.tells => Interest::WRITABLE,
            Self::MessageMax(..) | Self::Ready(_, Ready::Closed | Ready::Quiet) => Interest::NONE,
            Self::Ready(_, Ready::Readable) => Interest::READABLE,
            Self::Ready(_, Ready::Writable) => Interest::WRITABLE,
            Self::Attach(_) | Self::Disconnect(_) | Self::LetGo(_) | Self::Feed(..) | Self::Terminated => {
                Interest::BOTH
            }
        }
    }
}

impl SocketMailbox {
    /// Posts a notice, and wakes whoever waits.
    pub(crate) fn post(&self, item: ToSocket) {
        let hint = item.hint();
        self.post_with(item, hint);
    }

    /// Takes out peers that came and went while nobody looked, if many have gathered: those that `is_over` says so of, but
    /// for the first `kept`.
    pub(crate) fn sweep_peers(&self, mut kept: usize, is_over: impl Fn(&mut Pipe) -> bool) -> Vec<ToSocket> {
        let mut over = HashSet::new();
        self.sweep(2 * kept, |item| match item {
            ToSocket::Attach(pipe) => {
                let is_over = is_over(pipe);
                let is_kept = is_over && kept > 0;
                kept -= usize::from(is_kept);
                is_over && !is_kept && over.insert(pipe.id)
            }
            // Behind the peer that it is about.
            ToSocket::Ready(id, _) => over.contains(id),
            ToSocket::Disconnect(_)
            | ToSocket::Feed(..)
            | ToSocket::LetGo(_)
            | ToSocket::MessageMax(..)
            | ToSocket::Terminated => false,
        })
    }

    /// Messages that peers have sent of whom the socket has not heard yet.
    pub(crate) fn unreceived(&self) -> u64 {
        let mut messages = 0;
        self.look(|item| {
            if let ToSocket::Attach(pipe) = item {
                messages += pipe.unreceived();
            }
        });
        messages
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
