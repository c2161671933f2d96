//! Who a socket is talking to now: one entry for each connection whose handshake is done.
//!
//! Written when a connection becomes ready and when it ends, read when somebody asks; messages never come by.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::endpoint::Endpoint;
use crate::error::ConnectionError;
use crate::io::{SocketMailbox, ToSocket};
use crate::options::{Admission, ProcessCredentials};
use crate::pipe::Books;
use crate::routing_id::RoutingId;
use crate::session::monitor::{Scene, Watchers};
use crate::session::{EventKind, Link};
use crate::socket_type::SocketType;
use crate::sync::{AtomicBool, Mutex, Ordering, lock};

/// What is known of a peer since its handshake.
#[derive(Debug)]
pub(crate) struct PeerInfo {
    pub(crate) endpoint: Endpoint,
    pub(crate) is_accepted: bool,
    pub(crate) socket_type: SocketType,
    pub(crate) routing_id: RoutingId,
    pub(crate) version: (u8, u8),
    pub(crate) properties: Arc<[(Box<str>, Bytes)]>,
    pub(crate) admission: Option<Arc<Admission>>,
    pub(crate) process: Option<ProcessCredentials>,
    /// The connection's, if it has one.
    pub(crate) descriptor: Option<i32>,
    pub(crate) messages: Said,
    /// It was asked to go: of a peer of this process, which its socket lets go.
    pub(crate) is_let_go: AtomicBool,
}

/// Which messages are a peer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The pipe in which they are; none if the connection has only one, or keeps it for the next peer.
    pub(crate) pipe: Option<u64>,
    /// As many in front of them are those of its predecessors.
    pub(crate) behind: u64,
}

/// How to end a connection.
#[derive(Clone)]
pub(crate) enum Reach {
    /// inproc: the socket lets the pipe go.
    Pipe(Arc<SocketMailbox>, u64),
    Link(Weak<Link>),
}

/// The peers of one socket, by the numbers of their connections, and who watches them.
///
/// One whose connection is over stays as long as its pipe: messages of its may be received still.
#[derive(Debug)]
pub(crate) struct Peers {
    known: Mutex<HashMap<u64, Entry>>,
    watchers: Watchers,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    /// The connection is over.
    is_over: bool,
    /// The socket has let the pipe go.
    is_let_go: bool,
}

impl Peers {
    /// A peer is ready that was met at `endpoint`.
    pub(crate) fn insert(&self, id: u64, endpoint: &Endpoint, info: PeerInfo, reach: Reach) {
        let peer = Peer { info: Arc::new(info), reach };
        let entry = Entry { peer: peer.clone(), is_over: false, is_let_go: false };
        let replaced = lock(&self.known).insert(id, entry);
        drop(replaced); // behind the lock
        self.watchers.tell(peer.scene(id, endpoint), EventKind::Ready(peer.clone()));
    }

    /// The connection to this peer is over. Returns the peer if it was ready until now: watchers are
    /// [told](Self::tell_end) when nothing is left of it.
    pub(crate) fn end(&self, id: u64) -> Option<Peer> {
        let mut was_over = true;
        let known = self.change(id, |entry| was_over = std::mem::replace(&mut entry.is_over, true));
        known.filter(|_| !was_over)
    }

    /// The socket has let a pipe go, from which no more messages of this peer's will be received.
    pub(crate) fn let_go(&self, id: u64, pipe: u64) {
        self.change(id, |entry| {
            entry.is_let_go |= entry.peer.info.messages.pipe.is_none_or(|its_pipe| its_pipe == pipe);
        });
    }

    /// A peer is gone, and its pipe; if it was ready until now, watchers hear of it.
    pub(crate) fn remove(&self, id: u64, endpoint: Option<&Endpoint>, error: Option<ConnectionError>) {
        let removed = lock(&self.known).remove(&id).filter(|entry| !entry.is_over);
        self.tell_end(id, removed.map(|entry| entry.peer), endpoint, error);
    }

    /// None yet, of a socket whose messages are counted in these books.
    pub(crate) fn new(books: Arc<Books>) -> Self {
        Self { known: Mutex::default(), watchers: Watchers::new(books) }
    }

    /// Where the peer of this connection is, if it is known.
    pub(crate) fn endpoint(&self, id: u64) -> Option<Endpoint> {
        lock(&self.known).get(&id).map(|entry| entry.peer.info.endpoint.clone())
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Whether nobody is remembered.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.known).is_empty()
    }

    pub(crate) fn list(&self) -> Vec<Peer> {
        let peers = lock(&self.known);
        let standing = peers.iter().filter(|(_, entry)| !entry.is_over);
        let mut peers: Vec<_> = standing.map(|(id, entry)| (*id, entry.peer.clone())).collect();
        peers.sort_unstable_by_key(|(id, _)| *id);
        peers.into_iter().map(|(_, peer)| peer).collect()
    }

    /// Whose message it was: the one with this number, of this pipe of this connection.
    pub(crate) fn of_message(&self, id: u64, pipe: u64, number: u64) -> Option<Peer> {
        let peers = lock(&self.known);
        let entry = peers.get(&id)?;
        let said = entry.peer.info.messages;
        let is_its = said.pipe.is_none_or(|its_pipe| its_pipe == pipe);
        // A pipe that keeps the newest message only does not count them.
        let is_behind = said.behind == 0 || number > said.behind;
        (is_its && is_behind).then(|| entry.peer.clone())
    }

    /// Whether this is the peer that `id` has now.
    pub(crate) fn is_current(&self, id: u64, info: &Arc<PeerInfo>) -> bool {
        lock(&self.known).get(&id).is_some_and(|entry| !entry.is_over && Arc::ptr_eq(&entry.peer.info, info))
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Entry)) -> Option<Peer> {
        let mut known = lock(&self.known);
        let entry = known.get_mut(&id)?;
        change(entry);
        let peer = entry.peer.clone();
        if entry.is_over && entry.is_let_go {
            known.remove(&id);
        }
        drop(known);
        Some(peer) // dropped behind the lock
    }

    /// Tells watchers of the end of this peer, which was met at `endpoint`; without an `error` because of this side.
    pub(crate) fn tell_end(
        &self,
        id: u64,
        peer: Option<Peer>,
        endpoint: Option<&Endpoint>,
        error: Option<ConnectionError>,
    ) {
        if let Some(peer) = peer {
            let scene = peer.scene(id, endpoint.unwrap_or(&peer.info.endpoint));
            self.watchers.tell(scene, EventKind::Disconnected(error));
        }
    }
}

/// Why a connection is closed on request: see [`Peer::close`].
///
/// ```
/// use peermq::{CloseReason, Context, Pull, Push};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// pull.bind("inproc://guests")?;
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://guests")?;
/// pull.peers()[0].close(CloseReason::Dismissed);
/// assert!(pull.try_recv().is_err());
/// assert!(pull.peers().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// No fault of the peer's: it may come back.
    Dismissed,
    /// The peer is told with an ERROR command, which ZMTP 3 has; one that follows RFC 37 does not come back.
    Refused,
}

/// A peer whose handshake is done, as [`Socket::peers`](crate::Socket::peers) found it.
///
/// A snapshot: the connection may be over when it is looked at.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Pull, Push, SocketType};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// let binding = pull.bind("tcp://127.0.0.1:0")?;
/// let mut push = context.open::<Push>()?;
/// push.connect(&binding)?.wait_ready(Duration::from_secs(10))?;
/// let peers = push.peers();
/// assert_eq!(peers[0].socket_type(), SocketType::Pull);
/// assert_eq!(peers[0].endpoint(), binding.endpoint());
/// assert!(!peers[0].is_accepted());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Peer {
    info: Arc<PeerInfo>,
    reach: Reach,
}

impl Peer {
    /// Closes this connection. One that this side made is made again after a pause, since the peer may be at fault: to end it for good, use
    /// [`Connection::disconnect`](crate::Connection::disconnect). inproc does not come back, and goes when its
    /// socket makes its next call.
    ///
    /// Messages that the kernel has arrive if the peer reads on and closes within a second; others on their way are lost as
    /// with a connection that breaks. Does not wait: while a call of the socket is at work on the connection, it ends when
    /// that has done, some milliseconds later. Does nothing in a forked child: the connection is the parent's.
    pub fn close(&self, reason: CloseReason) {
        match &self.reach {
            // Once is enough: a socket that nobody calls would gather them.
            Reach::Pipe(mailbox, id) if !self.info.is_let_go.swap(true, Ordering::Relaxed) => {
                mailbox.post(ToSocket::LetGo(*id));
            }
            Reach::Pipe(..) => {}
            Reach::Link(link) => {
                if let Some(link) = link.upgrade() {
                    link.close(&self.info, reason);
                }
            }
        }
    }

    /// Returns where the peer is: its address with tcp, else the endpoint at which both met.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.info.endpoint
    }

    /// Whether the peer connected to us.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.info.is_accepted
    }

    /// Returns the type of the peer's socket. With ZMTP 1.0, which does not tell: one that ours may talk to.
    #[must_use]
    pub fn socket_type(&self) -> SocketType {
        self.info.socket_type
    }

    /// Returns the routing id that the peer announced, if any.
    #[must_use]
    pub fn routing_id(&self) -> &RoutingId {
        &self.info.routing_id
    }

    /// Returns the ZMTP version that the peer speaks, such as `(3, 1)`.
    #[must_use]
    pub fn version(&self) -> (u8, u8) {
        self.info.version
    }

    /// Returns what the peer said of itself in READY, in its order and spelling; nothing with inproc, nor before
    /// ZMTP 3.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.info.properties.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Returns the user as whom the peer was let in, if somebody was asked who knew: see
    /// [`Decision::allow_as`](crate::Decision::allow_as). Nothing that the peer says can take its place.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.info.admission.as_ref().map(|admission| admission.user_id()).filter(|user| !user.is_empty())
    }

    /// Returns as whom the peer was let in, if somebody was asked.
    #[must_use]
    pub fn admission(&self) -> Option<&Admission> {
        self.info.admission.as_deref()
    }

    /// Returns who the peer's process ran as when it connected, with ipc, where the system tells. Of a peer to which
    /// we have connected, the process that began to listen.
    #[must_use]
    pub fn process(&self) -> Option<ProcessCredentials> {
        self.info.process
    }

    /// Returns one property, whatever the case of its name: one of the [`admission`](Self::admission), else of READY.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&[u8]> {
        let admitted = self.admission().into_iter().flat_map(Admission::properties);
        let mut properties = admitted.chain(self.properties());
        properties.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Peer {
    fn scene<'a>(&'a self, id: u64, endpoint: &'a Endpoint) -> Scene<'a> {
        let (address, descriptor) = (Some(&self.info.endpoint), self.info.descriptor);
        Scene {
            endpoint: Some(endpoint),
            address,
            connection: Some(id),
            is_accepted: self.info.is_accepted,
            descriptor,
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.info, f)
    }
}
