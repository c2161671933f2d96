//! Handles of what a socket is bound and connected to, for any thread.
#![forbid(unsafe_code)]

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::context::ContextInner;
use crate::endpoint::{Address, Endpoint};
use crate::error::{ConnectionError, NotReady, OsError};
use crate::io::{SocketMailbox, ToSocket};
use crate::pipe::Assist;
use crate::session::{Bound, ConnectionState, EventKind, Link, Manner, Peers, Scene, Status};
use crate::sync::{Mutex, Process, lock};

/// One endpoint that a socket is connected to, as [`Socket::connect`](crate::Socket::connect) returns it.
///
/// Clones are the same connection. Dropping the handle changes nothing: the connection is the socket's. It can
/// be used from any thread, also while another one waits in the socket.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{ConnectionError, ConnectionState, Context, NotReadyKind, Pull, Push};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// let binding = pull.bind("tcp://127.0.0.1:0")?;
/// let mut push = context.open::<Push>()?;
/// let connection = push.connect(&binding)?;
/// connection.wait_ready(Duration::from_secs(10))?;
/// assert_eq!(connection.state(), ConnectionState::Ready);
///
/// // Two PUSH sockets have nothing to say to each other.
/// let mut other = context.open::<Push>()?;
/// let binding = other.bind("tcp://127.0.0.1:0")?;
/// let wrong = push.connect(&binding)?;
/// assert!(matches!(
///     wrong.wait_ready(Duration::from_millis(100)).unwrap_err().kind(),
///     NotReadyKind::Failed(ConnectionError::Protocol(_)) | NotReadyKind::TimedOut(_)
/// ));
/// wrong.disconnect();
/// assert_eq!(wrong.state(), ConnectionState::Closed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Connected>,
}

struct Connected {
    id: u64,
    endpoint: Endpoint,
    status: Arc<Status>,
    mailbox: Arc<SocketMailbox>,
    /// How a thread waits for it.
    manner: Manner,
    /// None for inproc. The link holds descriptors of its I/O thread, a forgotten handle should not.
    link: Option<Weak<Link>>,
    /// To which the connection belongs, and not to a forked child.
    process: Process,
}

impl Connection {
    pub(super) fn new(
        id: u64,
        endpoint: Endpoint,
        status: Arc<Status>,
        mailbox: Arc<SocketMailbox>,
        manner: Manner,
        link: Option<&Arc<Link>>,
    ) -> Self {
        let (link, process) = (link.map(Arc::downgrade), Process::current());
        Self { inner: Arc::new(Connected { id, endpoint, status, mailbox, manner, link, process }) }
    }

    /// Ends the connection. Messages queued for it are still sent, as long as [`linger`](crate::Options::linger) says;
    /// it connects no more. Does nothing if it is over already, nor in a forked child: it is the parent's.
    ///
    /// The socket learns of it at once, also in a call that waits. inproc: the peer sees it when the socket makes
    /// its next call, or is in one.
    pub fn disconnect(&self) {
        if !self.inner.process.is_current() || !self.inner.status.set(ConnectionState::Closed) {
            return;
        }
        self.inner.mailbox.post(ToSocket::Disconnect(self.inner.id));
        if let Some(link) = self.inner.link.as_ref().and_then(Weak::upgrade) {
            link.stop(link.owner().live.linger_deadline());
        }
    }

    /// Waits until messages flow, `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`NotReady`] says whether it is too early, and what went wrong last, or that it will never be.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), NotReady> {
        let deadline = Instant::now().checked_add(timeout);
        let waited = self.inner.status.wait_ready(deadline, self.inner.manner);
        waited.map_err(|kind| NotReady::new(self.endpoint(), kind))
    }

    /// Waits until messages flow, in a task, for any executor and without a timeout.
    ///
    /// Cancel-safe: it changes nothing.
    ///
    /// # Errors
    ///
    /// [`NotReady`] says why it will never be.
    pub async fn wait_ready_async(&self) -> Result<(), NotReady> {
        let waited = self.inner.status.ready().await;
        waited.map_err(|kind| NotReady::new(self.endpoint(), kind))
    }

    /// Returns what was connected to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Returns what the connection is doing now.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.inner.status.state()
    }

    /// Returns why it last ended or could not be made, also if it stands again now.
    #[must_use]
    pub fn last_error(&self) -> Option<ConnectionError> {
        self.inner.status.last_error()
    }

    pub(super) fn id(&self) -> u64 {
        self.inner.id
    }

    pub(super) fn status(&self) -> &Arc<Status> {
        &self.inner.status
    }
}

/// The same connection, not one to the same endpoint.
impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Connection {}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("endpoint", &self.inner.endpoint)
            .field("state", &self.state())
            .field("last_error", &self.last_error())
            .finish()
    }
}

/// What a bound endpoint is doing.
///
/// ```
/// use peermq::{BindingState, Context, Pull};
///
/// let binding = Context::new().open::<Pull>()?.bind("tcp://127.0.0.1:0")?;
/// assert_eq!(binding.state(), BindingState::Closed, "its socket is gone");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BindingState {
    /// It was unbound, or its socket was closed. Final.
    Closed,
    /// Peers can connect.
    Listening,
    /// Peers that connect wait: none can be accepted, for the reason that [`Binding::last_error`] tells, such as a lack
    /// of descriptors. It is tried again every 50 ms.
    Paused,
}

/// One endpoint that a socket is bound to, as [`Socket::bind`](crate::Socket::bind) returns it.
///
/// Dereferences to the [`Endpoint`] that it got, with the port if any free one was asked for. Clones are the same
/// binding. Dropping the handle changes nothing. It can be used from any thread.
///
/// ```
/// use peermq::{BindingState, Context, Pull, Push};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// let binding = pull.bind("tcp://127.0.0.1:0")?;
/// assert_ne!(binding.port(), Some(0));
/// context.open::<Push>()?.connect(&binding)?;
/// assert_eq!(binding.state(), BindingState::Listening);
/// binding.unbind();
/// assert_eq!(binding.state(), BindingState::Closed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Binding {
    inner: Arc<BoundTo>,
}

struct BoundTo {
    endpoint: Endpoint,
    place: Mutex<Place>,
    /// Which listens, and no forked child.
    process: Process,
}

enum Place {
    Closed(Option<OsError>),
    Inproc(Weak<ContextInner>, Weak<Peers>),
    Listening(Bound),
}

impl Binding {
    pub(super) fn listening(endpoint: Endpoint, bound: Bound) -> Self {
        Self::at(endpoint, Place::Listening(bound))
    }

    pub(super) fn inproc(endpoint: Endpoint, context: &Arc<ContextInner>, peers: &Arc<Peers>) -> Self {
        Self::at(endpoint, Place::Inproc(Arc::downgrade(context), Arc::downgrade(peers)))
    }

    fn at(endpoint: Endpoint, place: Place) -> Self {
        let (place, process) = (Mutex::new(place), Process::current());
        Self { inner: Arc::new(BoundTo { endpoint, place, process }) }
    }

    /// Stops listening. The address is free when this returns; peers that are connected stay. Does nothing if it
    /// is closed already, nor in a forked child: the listener is the parent's.
    pub fn unbind(&self) {
        if !self.inner.process.is_current() {
            return;
        }
        let mut place = lock(&self.inner.place);
        let last_error = last_error(&place);
        let closed = std::mem::replace(&mut *place, Place::Closed(last_error));
        drop(place);
        let Place::Inproc(context, peers) = &closed else { return };
        if let (Some(context), Address::Inproc(name)) = (context.upgrade(), self.endpoint().address()) {
            lock(&context.inproc).unbind(name);
        }
        if let Some(peers) = peers.upgrade() {
            let scene = Scene { endpoint: Some(self.endpoint()), ..Scene::default() };
            peers.watchers().tell(scene, EventKind::Closed(None));
        }
    }

    /// Returns the endpoint, with the port or path that it got.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Returns whether peers can connect.
    #[must_use]
    pub fn state(&self) -> BindingState {
        match &*lock(&self.inner.place) {
            Place::Closed(_) => BindingState::Closed,
            Place::Listening(bound) if bound.is_paused() => BindingState::Paused,
            Place::Inproc(..) | Place::Listening(_) => BindingState::Listening,
        }
    }

    /// Returns why a connection could last not be accepted: out of descriptors, for example.
    #[must_use]
    pub fn last_error(&self) -> Option<OsError> {
        last_error(&lock(&self.inner.place))
    }
}

fn last_error(place: &Place) -> Option<OsError> {
    match place {
        Place::Closed(error) => *error,
        Place::Inproc(..) => None,
        Place::Listening(bound) => bound.last_error(),
    }
}

impl Deref for Binding {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        self.endpoint()
    }
}

impl From<Binding> for Endpoint {
    fn from(binding: Binding) -> Self {
        binding.endpoint().clone()
    }
}

impl From<&Binding> for Endpoint {
    fn from(binding: &Binding) -> Self {
        binding.endpoint().clone()
    }
}

/// The same binding, not one of the same endpoint.
impl PartialEq for Binding {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Binding {}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.endpoint(), f)
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("endpoint", self.endpoint())
            .field("state", &self.state())
            .field("last_error", &self.last_error())
            .finish()
    }
}
