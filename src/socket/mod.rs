//! Sockets: the verbs that applications use.
#![forbid(unsafe_code)]

mod addressed;
mod any;
mod builder;
mod call;
mod change;
mod close;
mod core;
#[cfg(unix)]
mod descriptor;
mod endpoints;
#[cfg(feature = "futures")]
mod futures;
mod handles;
pub(crate) mod inproc;
mod monitor;
mod observed;
mod outgoing;
mod poll;
mod proxy;
mod pubsub;
mod rep;
mod req;
mod shared;
mod stats;
#[cfg(test)]
mod tests;
mod verbs;
mod waiting;
pub(crate) mod zap;

use std::fmt;
use std::time::{Duration, Instant};

pub use builder::Builder;
pub use change::Change;
pub use close::CloseReport;
#[cfg(unix)]
pub use descriptor::Descriptor;
pub use handles::{Binding, BindingState, Connection};
pub use observed::Pollable;
pub use outgoing::Outgoing;
pub use poll::{PollItem, poll};
pub use proxy::{Proxy, ProxyControl, ProxyEnd, ProxyPassed, ProxyStatistics, proxy};
pub use rep::Request;
pub use req::Reply;
pub use shared::{MayReceive, MaySend, Receiving, RecvHalf, SendHalf, Sending, SharedSocket, Whole};
pub(crate) use stats::Archive;
pub use stats::{PeerStats, Stats, Totals, Traffic};

use crate::endpoint::Endpoint;
use crate::error::{BindError, ConnectError, EndpointError, RecvError, Unsent};
use crate::message::{Message, Payload};
use crate::options::Options;
use crate::patterns::{Pattern, Receives, Sends};
use crate::pipe::Pipes;
use crate::session::Peer;
use crate::socket::close::Closing;
use crate::socket::core::{Core, Limit};
use crate::socket_type::SocketType;

/// A socket of type `P`, such as [`Push`](crate::Push), [`Router`](crate::Router) or [`Pub`](crate::Pub).
///
/// Binds and connects to any number of endpoints, in any order, over tcp, ipc and inproc. It is `Send` and
/// can be moved between threads; its verbs take `&mut self`, so that two threads cannot be in one socket.
///
/// [`close`](Self::close) waits for what is queued and tells what became of it. Dropping the socket closes it
/// without waiting: peers get what was sent as [`linger`](crate::Options::linger)
/// says, and the [`Context`](crate::Context) waits for that when it is dropped itself.
///
/// ```
/// use peermq::{Context, Pull, Push};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// let endpoint = pull.bind("tcp://127.0.0.1:0")?;
/// let mut push = context.open::<Push>()?;
/// push.connect(&endpoint)?;
/// push.send(["a message", "of two frames"])?;
/// assert_eq!(pull.recv()?, ["a message", "of two frames"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Sharing one between threads does not compile; a [`SharedSocket`], or the halves of [`split`](Self::split), can be:
///
/// ```compile_fail,E0499
/// use peermq::{Context, Push};
///
/// let mut push = Context::new().open::<Push>()?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| push.send("from one thread"));
///     scope.spawn(|| push.send("from another"));
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail,E0599
/// # use peermq::{Context, Push};
/// let push = Context::new().open::<Push>()?;
/// let another = push.clone();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Socket<P: Pattern> {
    core: Core,
    pattern: P,
}

impl<P: Pattern> Socket<P> {
    /// Binds to an endpoint and returns a handle, which tells the one that it got: with the port, if any free
    /// one was asked for.
    ///
    /// tcp: an address, `*` for every interface, an interface's name, or a host name that stands for a
    /// local address (which is looked up here and may block). ipc: a path that does not exist, or is a
    /// socket on which nobody listens. inproc: a name that is free in this context.
    ///
    /// # Errors
    ///
    /// See [`BindErrorKind`](crate::BindErrorKind); the socket is as before.
    pub fn bind<E>(&mut self, endpoint: E) -> Result<Binding, BindError>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        let endpoint = endpoint.try_into().map_err(|error| BindError::from(error.into()))?;
        let bound = self.core.bind(&mut self.pattern, &endpoint);
        self.core.show(&mut self.pattern, true);
        bound.map_err(|kind| BindError::new(Some(&endpoint), kind))
    }

    /// Listens on a descriptor that is bound and listens already: from systemd's socket activation, or from a
    /// parent that opened a privileged port. tcp and Unix domain sockets; the file of the latter stays when the
    /// binding is closed. Takes the place of libzmq's option `USE_FD`.
    ///
    /// # Errors
    ///
    /// [`BindErrorKind::NotListening`](crate::BindErrorKind::NotListening), [`BindErrorKind::NotSupported`](crate::BindErrorKind::NotSupported) for other kinds of sockets, `Io` and `Terminated`;
    /// the descriptor is closed.
    ///
    /// ```
    /// use peermq::{Context, Pull};
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let mut pull = Context::new().open::<Pull>()?;
    /// let binding = pull.bind_fd(listener.into())?;
    /// assert_ne!(binding.port(), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(unix)]
    pub fn bind_fd(&mut self, fd: std::os::fd::OwnedFd) -> Result<Binding, BindError> {
        self.core.bind_fd(fd).map_err(|kind| BindError::new(None, kind))
    }

    /// Connects to an endpoint, which need not exist yet.
    ///
    /// Returns at once: an I/O thread connects, and connects again whenever the connection is lost.
    /// The handle tells how that goes, and can be dropped.
    ///
    /// Messages for this peer are queued from now on, up to the high-water mark, unless
    /// [`immediate`](crate::Options::immediate) is set.
    ///
    /// A DEALER, PUB, REQ or SUB that is connected to the same endpoint already, not over inproc, stays as it is, and the
    /// handle is the first one's: a second connection would bring every message twice, or answers at random. Sockets of
    /// other types are connected as often as they are told to. libzmq does the same.
    ///
    /// A DEALER or ROUTER may connect to an endpoint that it is bound to, and hears itself then. A PAIR may not, since it
    /// has one peer: [`ToItself`](crate::ConnectErrorKind::ToItself).
    ///
    /// # Errors
    ///
    /// See [`ConnectErrorKind`](crate::ConnectErrorKind); the socket is as before.
    pub fn connect<E>(&mut self, endpoint: E) -> Result<Connection, ConnectError>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        let endpoint = endpoint.try_into().map_err(|error| ConnectError::from(error.into()))?;
        let connected = self.core.connect(&mut self.pattern, endpoint.clone());
        connected.map_err(|kind| ConnectError::new(&endpoint, kind))
    }

    /// Stops listening on an endpoint, given as [`bind`](Self::bind) returned it. Its address is free when
    /// this returns. Peers that are connected stay.
    ///
    /// # Errors
    ///
    /// [`BindErrorKind::NotBound`](crate::BindErrorKind::NotBound) when this socket is not bound to it,
    /// [`Endpoint`](crate::BindErrorKind::Endpoint) for a text that is none, and
    /// [`Terminated`](crate::BindErrorKind::Terminated) in a forked child: the listener is its parent's.
    pub fn unbind<E>(&mut self, endpoint: E) -> Result<(), BindError>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        let endpoint = endpoint.try_into().map_err(|error| BindError::of_unbind(error.into()))?;
        let unbound = self.core.unbind(&endpoint);
        unbound.map_err(|kind| BindError::of_unbind(BindError::new(Some(&endpoint), kind)))
    }

    /// Ends the connection to an endpoint, given as to [`connect`](Self::connect). Messages queued for it
    /// are still sent as [`linger`](crate::Options::linger) says; messages that came from it and were not
    /// received are dropped.
    ///
    /// # Errors
    ///
    /// [`ConnectErrorKind::NotConnected`](crate::ConnectErrorKind::NotConnected) when this socket is not connected to it,
    /// [`Endpoint`](crate::ConnectErrorKind::Endpoint) for a text that is none, and
    /// [`Terminated`](crate::ConnectErrorKind::Terminated) in a forked child: the connection is its parent's.
    pub fn disconnect<E>(&mut self, endpoint: E) -> Result<(), ConnectError>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        let endpoint = endpoint.try_into().map_err(|error| ConnectError::of_disconnect(error.into()))?;
        let disconnected = self.core.disconnect(&mut self.pattern, &endpoint);
        disconnected.map_err(|kind| ConnectError::of_disconnect(ConnectError::new(&endpoint, kind)))
    }

    /// Closes the socket: hands everything over that is queued, and waits until each peer has closed its end of the
    /// connection behind that, `within` at most. The rest is dropped; [`linger`](crate::Options::linger) does not matter.
    ///
    /// A peer that receives closes its end at once when it has read everything: a round trip, if it is not slow. One that
    /// this socket has sent nothing is not waited for. The report tells what is known of which messages. Messages that
    /// arrived and were not received are dropped, and counted, too.
    pub fn close(self, within: Duration) -> CloseReport {
        let deadline = Instant::now().checked_add(within);
        Closing::new(self.core, &self.pattern, deadline).wait(deadline)
    }

    /// Closes the socket as [`close`](Self::close) does, in a task, for any executor.
    ///
    /// Cancel-safe: dropped after its first poll, the future leaves what is queued to be sent `within` the same time,
    /// and nobody is told. Dropped before, it drops the socket.
    pub async fn close_async(self, within: Duration) -> CloseReport {
        let deadline = Instant::now().checked_add(within);
        Closing::new(self.core, &self.pattern, deadline).finish().await
    }

    /// Returns the type of this socket.
    #[must_use]
    pub fn socket_type(&self) -> SocketType {
        self.core.socket_type
    }

    /// Returns who this socket is talking to: peers whose handshake is done, in the order in which they came.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.core.peers.list()
    }

    /// Returns from whom the message is that was received last: with user id, metadata and address, as
    /// [`peers`](Self::peers) shows them. Costs a look into a list, and receiving costs nothing more.
    ///
    /// Also when the peer has gone since; `None` once the socket has made further calls then, when the connection was
    /// made again since the message came, and of messages that are no peer's, such as a ROUTER's news.
    ///
    /// ```
    /// use peermq::{Context, Pull, Push, SocketType};
    ///
    /// let context = Context::new();
    /// let mut pull = context.open::<Pull>()?;
    /// let binding = pull.bind("tcp://127.0.0.1:0")?;
    /// let mut push = context.open::<Push>()?;
    /// push.connect(&binding)?;
    /// push.send("hello")?;
    /// pull.recv()?;
    /// let from = pull.last_peer().ok_or("somebody has sent it")?;
    /// assert_eq!(from.socket_type(), SocketType::Push);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn last_peer(&self) -> Option<Peer> {
        self.core.last_peer()
    }

    /// Returns the options, as they are now.
    #[must_use]
    pub fn options(&self) -> &Options {
        self.core.options()
    }
}

impl<P: Sends> Socket<P> {
    /// Sends one message: octets of the caller's, which are copied once, or a [`Message`].
    ///
    /// Waits at most [`send_timeout`](crate::Options::send_timeout) for a peer with room (default: for
    /// ever); without peers it waits too. A [`connect`](Self::connect) counts as a peer from the start, whether or not
    /// anybody answers there, unless [`immediate`](crate::Options::immediate) is set, which inproc does not heed. Nothing
    /// is discarded, unless [`conflate`](crate::Options::conflate) is set. Types that send to all
    /// ([`Pub`](crate::Pub), [`XPub`](crate::XPub), [`XSub`](crate::XSub)) never wait, and drop what has no
    /// room. When this returns the message is queued, not yet on the wire.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::SendError::WouldBlock) when the time is over,
    /// [`Terminated`](crate::SendError::Terminated) when the context is shut down; and what the socket type
    /// does not allow, see [`SendError`](crate::SendError). All hand the message back, if
    /// it was given away and not lent: see [`Unsent`].
    #[inline]
    pub fn send<'a>(&mut self, message: impl Into<Payload<'a>>) -> Result<(), Unsent> {
        self.core.send(&mut self.pattern, message.into(), Core::send_deadline)
    }

    /// Sends one message as [`send`](Self::send) does, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_timeout<'a>(
        &mut self,
        message: impl Into<Payload<'a>>,
        timeout: Duration,
    ) -> Result<(), Unsent> {
        let deadline = Instant::now().checked_add(timeout);
        self.core.send(&mut self.pattern, message.into(), |_| deadline)
    }

    /// Sends one message as [`send`](Self::send) does, in a task: the future is ready when the message is queued.
    ///
    /// For any executor: nothing of it is needed but that it polls again when it is woken. No timeout applies; the
    /// executor has its own. See [`manual::executors`](crate::manual::executors).
    ///
    /// Cancel-safe: the message is queued in the poll that returns `Ok`. Dropped before, the future has sent
    /// nothing, and drops the message; who wants to keep that sends a clone or a reference.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send), but for `WouldBlock`.
    pub fn send_async<'a>(
        &'a mut self,
        message: impl Into<Payload<'a>>,
    ) -> impl Future<Output = Result<(), Unsent>> + Send {
        self.core.send_call(&mut self.pattern, message.into(), P::try_send)
    }

    /// Sends one message if a peer has room now.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::SendError::WouldBlock) when none has,
    /// [`Terminated`](crate::SendError::Terminated) when the context is shut down. Both hand the message
    /// back.
    #[inline]
    pub fn try_send<'a>(&mut self, message: impl Into<Payload<'a>>) -> Result<(), Unsent> {
        self.core.try_send(&mut self.pattern, message.into())
    }
}

impl<P: Receives> Socket<P> {
    /// Receives the next message. Waits at most [`recv_timeout`](crate::Options::recv_timeout) for one
    /// (default: for ever).
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](RecvError::WouldBlock) when the time is over, [`Terminated`](RecvError::Terminated)
    /// when the context is shut down, and [`Interrupted`](RecvError::Interrupted) by a signal if the context is
    /// [`interruptible`](crate::ContextBuilder::interruptible).
    #[inline]
    pub fn recv(&mut self) -> Result<Message, RecvError> {
        let mut message = Message::new();
        self.recv_into(&mut message).map(|()| message)
    }

    /// Receives the next message into `message`, whose allocation is used again: no allocation for a
    /// message of one frame that fits it. On an error `message` is as before.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    #[inline]
    pub fn recv_into(&mut self, message: &mut Message) -> Result<(), RecvError> {
        self.core.recv(&mut self.pattern, message, Limit::Option)
    }

    /// Receives the next message, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Message, RecvError> {
        let mut message = Message::new();
        self.core.recv(&mut self.pattern, &mut message, Limit::After(timeout)).map(|()| message)
    }

    /// Receives the next message in a task: the future is ready when there is one.
    ///
    /// For any executor: nothing of it is needed but that it polls again when it is woken. No timeout applies; the
    /// executor has its own. See [`manual::executors`](crate::manual::executors).
    ///
    /// Cancel-safe: a message is taken in the poll that returns it. Dropped before, the future has taken nothing.
    ///
    /// # Errors
    ///
    /// [`Terminated`](RecvError::Terminated) when the context is shut down.
    pub async fn recv_async(&mut self) -> Result<Message, RecvError> {
        let mut message = Message::new();
        self.recv_into_async(&mut message).await.map(|()| message)
    }

    /// Receives the next message into `message`, in a task: as [`recv_into`](Self::recv_into) and
    /// [`recv_async`](Self::recv_async) do.
    ///
    /// Cancel-safe: dropped before it is ready, the future has taken nothing, and `message` is as before.
    ///
    /// # Errors
    ///
    /// As for [`recv_async`](Self::recv_async).
    pub fn recv_into_async<'a>(
        &'a mut self,
        message: &'a mut Message,
    ) -> impl Future<Output = Result<(), RecvError>> + Send {
        self.core.recv_call(&mut self.pattern, |pattern: &mut P, pipes: &mut Pipes| {
            pattern.try_recv(pipes, message)
        })
    }

    /// Receives a message if one is here now.
    ///
    /// Looks at so many at most that this type of socket does not hand out, such as what a SUB has not subscribed to:
    /// behind 1,024 of them in a row it ends as if none were here, and the next call goes on there.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](RecvError::WouldBlock) when none is, [`Terminated`](RecvError::Terminated) when the
    /// context is shut down.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Message, RecvError> {
        let mut message = Message::new();
        self.core.try_recv(&mut self.pattern, &mut message).map(|()| message)
    }

    /// Receives a message into `message` if one is here now, as [`recv_into`](Self::recv_into) does.
    ///
    /// # Errors
    ///
    /// As for [`try_recv`](Self::try_recv).
    #[inline]
    pub fn try_recv_into(&mut self, message: &mut Message) -> Result<(), RecvError> {
        self.core.try_recv(&mut self.pattern, message)
    }
}

impl<P: Pattern> fmt::Debug for Socket<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("type", &self.core.socket_type).finish_non_exhaustive()
    }
}
