//! One socket for many threads: a handle that can be cloned, and halves that only send or only receive.
//!
//! A socket itself knows nothing of it and has no lock: see `shared/hub.rs` for who waits where, and
//! `shared/lock.rs` for who comes next.
#![forbid(unsafe_code)]

mod hub;
mod lock;
mod tasks;
mod turns;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{OptionError, RecvError, SendError, Unsent};
use crate::message::{Message, Payload};
use crate::patterns::{Addresses, Pattern, Receives, Router, Sends, Splits, Stream};
use crate::pipe::Pipes;
use crate::routing_id::RoutingId;
use crate::session::Waited;
use crate::socket::core::{Core, RecvVerb, SendVerb};
use crate::socket::shared::hub::Hub;
pub(super) use crate::socket::shared::hub::Side;
use crate::socket::{Change, Socket};

/// A socket for many threads: a handle whose clones are the same socket.
///
/// Every verb takes `&self`, and does all of its message or nothing: whatever threads do at the same time, messages
/// stay whole, and each is sent or received once. A thread that waits for a message or for room keeps nobody out;
/// those who wait for the same are served in their order, and none is passed more than a hundred times in a row by
/// threads that come later and find what they want at once.
///
/// Threads wait in a call, tasks in a future ([`send_async`](SharedSocket::send_async),
/// [`recv_async`](SharedSocket::recv_async)), in the same lines.
///
/// A [`Socket`] of one thread has no lock and is faster; better than one socket for many senders may be a socket for
/// each, connected to the same endpoint. What one thread sends arrives in its order, if it goes to one peer.
///
/// What runs inside of its calls must not use it, as it would wait for itself: the destructor of a body
/// ([`Bytes::from_owner`](bytes::Bytes::from_owner)) runs in whichever call lets the last of it go.
///
/// It ends with its last handle, as a socket does that is dropped; [`into_socket`](Self::into_socket) takes it out.
/// The verbs of a REQ and a REP are a whole exchange each: [`request`](SharedSocket::<crate::Req>::request) and
/// [`answer`](SharedSocket::<crate::Rep>::answer). (With a type chosen at run time, turns are the socket's, whichever
/// thread they fall to.)
///
/// ```
/// use std::thread;
///
/// use peermq::{Context, Pull, Push, SharedSocket};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// pull.bind("inproc://log")?;
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://log")?;
/// let push = SharedSocket::new(push);
/// let threads: Vec<_> = (0..4)
///     .map(|number| {
///         let push = push.clone();
///         thread::spawn(move || push.send(["from thread", &number.to_string()]))
///     })
///     .collect();
/// for thread in threads {
///     thread.join().expect("it did not panic")?;
///     assert_eq!(pull.recv()?.frame_count(), 2);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Verbs exist where they mean something, here, too:
///
/// ```compile_fail,E0599
/// use peermq::{Context, Pull, SharedSocket};
///
/// let pull = SharedSocket::new(Context::new().open::<Pull>()?);
/// pull.send("a PULL does not send")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail,E0599
/// use peermq::{Context, Dealer};
///
/// let (sending, _receiving) = Context::new().open::<Dealer>()?.split();
/// sending.recv()?; // the half that sends does not receive
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SharedSocket<P: Pattern, H = Whole> {
    hub: Arc<Hub<P>>,
    half: PhantomData<fn() -> H>,
}

/// The half of a [split](Socket::split) socket that sends. Clones are the same half.
pub type SendHalf<P> = SharedSocket<P, Sending>;

/// The half of a [split](Socket::split) socket that receives. Clones are the same half.
pub type RecvHalf<P> = SharedSocket<P, Receiving>;

/// All of a [`SharedSocket`].
///
/// ```
/// # use peermq::{Context, Pair, SharedSocket, Whole};
/// let whole: SharedSocket<Pair, Whole> = SharedSocket::new(Context::new().open::<Pair>()?);
/// # Ok::<(), peermq::OpenError>(())
/// ```
#[derive(Debug)]
pub enum Whole {}

/// The half of a [`SharedSocket`] that sends: see [`SendHalf`].
///
/// ```
/// # use peermq::{Context, Pair, Sending, SharedSocket};
/// let (sending, _) = Context::new().open::<Pair>()?.split();
/// let sending: SharedSocket<Pair, Sending> = sending;
/// # Ok::<(), peermq::OpenError>(())
/// ```
#[derive(Debug)]
pub enum Sending {}

/// The half of a [`SharedSocket`] that receives: see [`RecvHalf`].
///
/// ```
/// # use peermq::{Context, Pair, Receiving, SharedSocket};
/// let (_, receiving) = Context::new().open::<Pair>()?.split();
/// let receiving: SharedSocket<Pair, Receiving> = receiving;
/// # Ok::<(), peermq::OpenError>(())
/// ```
#[derive(Debug)]
pub enum Receiving {}

/// What may send: [`Whole`] and [`Sending`].
pub trait MaySend {}
impl MaySend for Sending {}
impl MaySend for Whole {}

/// What may receive: [`Whole`] and [`Receiving`].
pub trait MayReceive {}
impl MayReceive for Receiving {}
impl MayReceive for Whole {}

impl<P: Splits> Socket<P> {
    /// Splits the socket into a half that sends and a half that receives, for two threads at the same time.
    ///
    /// [`SharedSocket::into_socket`] puts them together again.
    ///
    /// ```
    /// use std::thread;
    ///
    /// use peermq::{Context, Pair};
    ///
    /// let context = Context::new();
    /// let mut echo = context.open::<Pair>()?;
    /// echo.bind("inproc://echo")?;
    /// let mut pair = context.open::<Pair>()?;
    /// pair.connect("inproc://echo")?;
    /// let (sending, receiving) = pair.split();
    /// let sender = thread::spawn(move || (0..10).try_for_each(|number| sending.send(vec![number])));
    /// for number in 0..10 {
    ///     let message = echo.recv()?;
    ///     echo.send(message)?;
    ///     assert_eq!(receiving.recv()?, vec![number]);
    /// }
    /// sender.join().expect("it did not panic")?;
    /// let pair = receiving.into_socket().expect("the other half is gone");
    /// assert_eq!(pair.outgoing().handed_over, 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn split(self) -> (SendHalf<P>, RecvHalf<P>) {
        let hub = Arc::new(Hub::new(self));
        (SharedSocket { hub: Arc::clone(&hub), half: PhantomData }, SharedSocket { hub, half: PhantomData })
    }
}

impl<P: Pattern> SharedSocket<P> {
    /// Shares a socket.
    #[must_use]
    pub fn new(socket: Socket<P>) -> Self {
        Self { hub: Arc::new(Hub::new(socket)), half: PhantomData }
    }
}

impl<P: Pattern, H> SharedSocket<P, H> {
    /// Does something else with the socket: bind, connect, subscribe, look at its peers. All other threads wait
    /// meanwhile, but those that wait for messages or room anyway; so it should not wait itself, and cannot use a handle
    /// of the same socket.
    ///
    /// ```
    /// use peermq::{Context, Push, SharedSocket};
    ///
    /// let push = SharedSocket::new(Context::new().open::<Push>()?);
    /// push.with(|push| push.connect("tcp://127.0.0.1:5555").map(drop))?;
    /// assert_eq!(push.with(|push| push.peers().len()), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with<R>(&self, act: impl FnOnce(&mut Socket<P>) -> R) -> R {
        self.hub.with(act)
    }

    /// Changes options, as [`Socket::change`] does: those that `set` names, all or none. Verbs that wait already go on
    /// with the timeouts that they have.
    ///
    /// # Errors
    ///
    /// As for [`Change::apply`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use peermq::{Context, Push, SendError, SharedSocket};
    ///
    /// let push = SharedSocket::new(Context::new().open::<Push>()?);
    /// push.change(|change| change.send_timeout(Duration::from_millis(1)).linger(Duration::ZERO))?;
    /// assert_eq!(push.send("nobody is there").unwrap_err().error, SendError::WouldBlock);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn change(
        &self,
        set: impl for<'a> FnOnce(Change<'a, P>) -> Change<'a, P>,
    ) -> Result<(), OptionError> {
        self.with(|socket| set(socket.change()).apply())
    }

    /// Takes the socket out, if this is the last handle; else it is handed back.
    ///
    /// # Errors
    ///
    /// This handle, when there are others.
    pub fn into_socket(self) -> Result<Socket<P>, Self> {
        let Self { hub, half } = self;
        Arc::try_unwrap(hub).map(Hub::into_socket).map_err(|hub| Self { hub, half })
    }

    /// How many threads wait, and whether one of them watches.
    #[cfg(test)]
    pub(super) fn hub_waiting(&self, side: Side) -> (usize, bool) {
        self.hub.waiting(side)
    }

    fn send_waiting(
        &self,
        mut payload: Payload<'_>,
        deadline: impl FnOnce(&Core) -> Option<Instant>,
        mut verb: impl SendVerb<P>,
    ) -> Result<(), Unsent> {
        let sent = self.hub.wait(Side::Room, deadline, |socket| socket.attempt_send(&mut payload, &mut verb));
        sent_or_back(sent, payload)
    }

    fn send_now(&self, mut payload: Payload<'_>, mut verb: impl SendVerb<P>) -> Result<(), Unsent> {
        let sent = self.hub.attempt(Side::Room, |socket| socket.attempt_send(&mut payload, &mut verb));
        sent_or_back(sent.ok_or(Waited::InVain), payload)
    }

    fn recv_waiting(
        &self,
        deadline: impl FnOnce(&Core) -> Option<Instant>,
        mut verb: impl RecvVerb<P>,
    ) -> Result<(), RecvError> {
        taken_or_not(self.hub.wait(Side::Messages, deadline, |socket| socket.attempt_recv(&mut verb)))
    }

    fn recv_now(&self, mut verb: impl RecvVerb<P>) -> Result<(), RecvError> {
        let taken = self.hub.attempt(Side::Messages, |socket| socket.attempt_recv(&mut verb));
        taken.unwrap_or(Err(RecvError::WouldBlock))
    }
}

impl<P: Sends, H: MaySend> SharedSocket<P, H> {
    /// Sends one message, as [`Socket::send`] does.
    ///
    /// # Errors
    ///
    /// As for [`Socket::send`].
    pub fn send<'a>(&self, message: impl Into<Payload<'a>>) -> Result<(), Unsent> {
        self.send_waiting(message.into(), Core::send_deadline, P::try_send)
    }

    /// Sends one message as [`send`](Self::send) does, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Socket::send`].
    pub fn send_timeout<'a>(&self, message: impl Into<Payload<'a>>, timeout: Duration) -> Result<(), Unsent> {
        let deadline = Instant::now().checked_add(timeout);
        self.send_waiting(message.into(), |_| deadline, P::try_send)
    }

    /// Sends one message if a peer has room now, and not too many threads wait for it already.
    ///
    /// # Errors
    ///
    /// As for [`Socket::try_send`].
    pub fn try_send<'a>(&self, message: impl Into<Payload<'a>>) -> Result<(), Unsent> {
        self.send_now(message.into(), P::try_send)
    }
}

impl<P: Receives, H: MayReceive> SharedSocket<P, H> {
    /// Receives the next message, as [`Socket::recv`] does.
    ///
    /// # Errors
    ///
    /// As for [`Socket::recv`].
    pub fn recv(&self) -> Result<Message, RecvError> {
        let mut message = Message::new();
        self.recv_into(&mut message).map(|()| message)
    }

    /// Receives the next message into `message`, as [`Socket::recv_into`] does.
    ///
    /// # Errors
    ///
    /// As for [`Socket::recv`].
    pub fn recv_into(&self, message: &mut Message) -> Result<(), RecvError> {
        let verb = |pattern: &mut P, pipes: &mut Pipes| pattern.try_recv(pipes, message);
        self.recv_waiting(recv_deadline, verb)
    }

    /// Receives the next message, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Socket::recv`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message, RecvError> {
        let mut message = Message::new();
        let deadline = Instant::now().checked_add(timeout);
        let verb = |pattern: &mut P, pipes: &mut Pipes| pattern.try_recv(pipes, &mut message);
        self.recv_waiting(|_| deadline, verb).map(|()| message)
    }

    /// Receives a message if one is here now, and not too many threads wait for it already.
    ///
    /// # Errors
    ///
    /// As for [`Socket::try_recv`].
    pub fn try_recv(&self) -> Result<Message, RecvError> {
        let mut message = Message::new();
        let verb = |pattern: &mut P, pipes: &mut Pipes| pattern.try_recv(pipes, &mut message);
        self.recv_now(verb).map(|()| message)
    }
}

impl<P: Addresses, H: MaySend> SharedSocket<P, H> {
    /// Sends one message to the peer of this name, as [`Socket::send_to`] does.
    ///
    /// # Errors
    ///
    /// As for [`Socket::send_to`].
    pub fn send_to<'a>(&self, to: &RoutingId, message: impl Into<Payload<'a>>) -> Result<(), Unsent> {
        self.send_waiting(message.into(), Core::send_deadline, send_verb(to))
    }

    /// Sends one message as [`send_to`](Self::send_to) does, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Socket::send_to`].
    pub fn send_to_timeout<'a>(
        &self,
        to: &RoutingId,
        message: impl Into<Payload<'a>>,
        timeout: Duration,
    ) -> Result<(), Unsent> {
        let deadline = Instant::now().checked_add(timeout);
        self.send_waiting(message.into(), |_| deadline, send_verb(to))
    }

    /// Sends one message as [`send_to`](Self::send_to) does, but does not wait.
    ///
    /// # Errors
    ///
    /// As for [`Socket::try_send_to`].
    pub fn try_send_to<'a>(&self, to: &RoutingId, message: impl Into<Payload<'a>>) -> Result<(), Unsent> {
        self.send_now(message.into(), send_verb(to))
    }
}

impl<P: Addresses, H: MayReceive> SharedSocket<P, H> {
    /// Receives the next message into `message`, and from whom it is into `from`, as [`Socket::recv_from_into`] does.
    ///
    /// # Errors
    ///
    /// As for [`Socket::recv_from_into`].
    pub fn recv_from_into(&self, from: &mut RoutingId, message: &mut Message) -> Result<(), RecvError> {
        self.recv_waiting(recv_deadline, recv_verb(from, message))
    }

    fn recv_from(
        &self,
        deadline: impl FnOnce(&Core) -> Option<Instant>,
    ) -> Result<(RoutingId, Message), RecvError> {
        let (mut from, mut message) = (RoutingId::NONE, Message::new());
        self.recv_waiting(deadline, recv_verb(&mut from, &mut message)).map(|()| (from, message))
    }

    fn try_recv_from(&self) -> Result<(RoutingId, Message), RecvError> {
        let (mut from, mut message) = (RoutingId::NONE, Message::new());
        self.recv_now(recv_verb(&mut from, &mut message)).map(|()| (from, message))
    }
}

impl<H: MayReceive> SharedSocket<Router, H> {
    /// Receives the next message, and tells from whom it is.
    ///
    /// # Errors
    ///
    /// As for [`Socket::recv_from_into`].
    pub fn recv(&self) -> Result<(RoutingId, Message), RecvError> {
        self.recv_from(recv_deadline)
    }

    /// Receives the next message, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Socket::recv_from_into`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<(RoutingId, Message), RecvError> {
        let deadline = Instant::now().checked_add(timeout);
        self.recv_from(|_| deadline)
    }

    /// Receives a message if one is here now.
    ///
    /// # Errors
    ///
    /// As for [`Socket::recv_from_into`], `WouldBlock` at once.
    pub fn try_recv(&self) -> Result<(RoutingId, Message), RecvError> {
        self.try_recv_from()
    }
}

impl<H: MayReceive> SharedSocket<Stream, H> {
    /// Receives the next octets, and tells from whom they are; no octets: that peer has connected, or has disconnected.
    ///
    /// # Errors
    ///
    /// As for [`Socket::recv_from_into`].
    pub fn recv(&self) -> Result<(RoutingId, Message), RecvError> {
        self.recv_from(recv_deadline)
    }

    /// Receives as [`recv`](Self::recv) does, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Socket::recv_from_into`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<(RoutingId, Message), RecvError> {
        let deadline = Instant::now().checked_add(timeout);
        self.recv_from(|_| deadline)
    }

    /// Receives octets, or news of a peer, if there are some now.
    ///
    /// # Errors
    ///
    /// As for [`Socket::recv_from_into`], `WouldBlock` at once.
    pub fn try_recv(&self) -> Result<(RoutingId, Message), RecvError> {
        self.try_recv_from()
    }
}

impl<P: Pattern, H> Clone for SharedSocket<P, H> {
    fn clone(&self) -> Self {
        Self { hub: Arc::clone(&self.hub), half: PhantomData }
    }
}

impl<P: Pattern, H> fmt::Debug for SharedSocket<P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = std::any::type_name::<H>().rsplit("::").next();
        f.debug_struct("SharedSocket").field("half", &half).finish_non_exhaustive()
    }
}

impl<P: Pattern> Socket<P> {
    /// `None`: no room.
    #[inline]
    fn attempt_send(
        &mut self,
        payload: &mut Payload<'_>,
        verb: &mut impl SendVerb<P>,
    ) -> Option<Result<(), SendError>> {
        match self.core.try_pass_by(&mut self.pattern, payload, verb) {
            Err(SendError::WouldBlock) => None,
            sent_or_refused => Some(sent_or_refused),
        }
    }

    /// `None`: no message.
    #[inline]
    fn attempt_recv(&mut self, verb: &mut impl RecvVerb<P>) -> Option<Result<(), RecvError>> {
        match self.core.try_recv_by(&mut self.pattern, verb) {
            Err(RecvError::WouldBlock) => None,
            taken_or_refused => Some(taken_or_refused),
        }
    }
}

/// What a verb that sends says, or why there was no room.
#[inline]
fn sent_or_back(sent: Result<Result<(), SendError>, Waited>, mut payload: Payload<'_>) -> Result<(), Unsent> {
    let error = match sent {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(Waited::Interrupted) => SendError::Interrupted,
        Err(Waited::InVain | Waited::News) => SendError::WouldBlock,
    };
    Err(Unsent { error, message: payload.take_back() })
}

/// What a verb that receives says, or why there was nothing.
#[inline]
fn taken_or_not(taken: Result<Result<(), RecvError>, Waited>) -> Result<(), RecvError> {
    taken.unwrap_or_else(|waited| match waited {
        Waited::Interrupted => Err(RecvError::Interrupted),
        Waited::InVain | Waited::News => Err(RecvError::WouldBlock),
    })
}

/// When a verb that starts now waits for a message no longer.
fn recv_deadline(core: &Core) -> Option<Instant> {
    core.options().recv_timeout().limit().and_then(|limit| Instant::now().checked_add(limit))
}

fn send_verb<P: Addresses>(to: &RoutingId) -> impl SendVerb<P> {
    |pattern: &mut P, pipes: &mut Pipes, payload: &mut Payload<'_>| {
        pattern.send_to(pipes, to.as_bytes(), payload)
    }
}

fn recv_verb<P: Addresses>(from: &mut RoutingId, message: &mut Message) -> impl RecvVerb<P> {
    |pattern: &mut P, pipes: &mut Pipes| pattern.recv_from(pipes, from, message)
}
