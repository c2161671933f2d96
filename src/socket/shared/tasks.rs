//! The verbs of a shared socket as futures, for any executor.
#![forbid(unsafe_code)]

use crate::error::{RecvError, Unsent};
use crate::message::{Message, Payload};
use crate::patterns::{Addresses, Pattern, Receives, Router, Sends, Stream};
use crate::pipe::Pipes;
use crate::routing_id::RoutingId;
use crate::socket::Socket;
use crate::socket::core::{RecvVerb, SendVerb};
use crate::socket::shared::hub::Side;
use crate::socket::shared::{MayReceive, MaySend, SharedSocket, recv_verb, send_verb, sent_or_back};

impl<P: Pattern, H> SharedSocket<P, H> {
    async fn send_call(
        &self,
        mut payload: Payload<'_>,
        mut verb: impl SendVerb<P> + Unpin,
    ) -> Result<(), Unsent> {
        let attempt = |socket: &mut Socket<P>| socket.attempt_send(&mut payload, &mut verb);
        let sent = self.hub.call(Side::Room, attempt).await;
        sent_or_back(Ok(sent), payload)
    }

    fn recv_call<'a>(
        &'a self,
        mut verb: impl RecvVerb<P> + Unpin + 'a,
    ) -> impl Future<Output = Result<(), RecvError>> {
        self.hub.call(Side::Messages, move |socket: &mut Socket<P>| socket.attempt_recv(&mut verb))
    }
}

impl<P: Sends, H: MaySend> SharedSocket<P, H> {
    /// Sends one message in a task: the future is ready when the message is queued. For any executor, and without a
    /// timeout, as [`Socket::send_async`] does.
    ///
    /// Tasks and threads wait for their turn in the same line. A future that was polled once keeps its place there, and
    /// others behind it, until it is ready or dropped: poll it on.
    ///
    /// Cancel-safe: the message is queued in the poll that returns `Ok`. Dropped before, the future has sent nothing,
    /// and drops the message; who wants to keep that sends a clone or a reference.
    ///
    /// # Errors
    ///
    /// As for [`Socket::send`], but for `WouldBlock`.
    ///
    /// ```
    /// use futures::executor::block_on;
    /// use futures::future::join_all;
    /// use peermq::{Context, Pull, Push, SharedSocket};
    ///
    /// let context = Context::new();
    /// let mut pull = context.open::<Pull>()?;
    /// pull.bind("inproc://tasks")?;
    /// let mut push = context.open::<Push>()?;
    /// push.connect("inproc://tasks")?;
    /// let push = SharedSocket::new(push);
    /// let tasks = ["from one task", "from another"].map(|text| {
    ///     let push = push.clone();
    ///     async move { push.send_async(text).await }
    /// });
    /// block_on(join_all(tasks)).into_iter().collect::<Result<(), _>>()?;
    /// assert_eq!((pull.recv()?, pull.recv()?), ("from one task".into(), "from another".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_async<'a>(
        &'a self,
        message: impl Into<Payload<'a>>,
    ) -> impl Future<Output = Result<(), Unsent>> + Send {
        self.send_call(message.into(), P::try_send)
    }
}

impl<P: Receives, H: MayReceive> SharedSocket<P, H> {
    /// Receives the next message in a task: the future is ready when there is one. For any executor, and without a
    /// timeout, as [`Socket::recv_async`] does.
    ///
    /// Tasks and threads wait for their turn in the same line. A future that was polled once keeps its place there, and
    /// others behind it, until it is ready or dropped: poll it on.
    ///
    /// Cancel-safe: a message is taken in the poll that returns it. Dropped before, the future has taken nothing.
    ///
    /// # Errors
    ///
    /// [`Terminated`](RecvError::Terminated) when the context is shut down.
    pub async fn recv_async(&self) -> Result<Message, RecvError> {
        let mut message = Message::new();
        self.recv_into_async(&mut message).await.map(|()| message)
    }

    /// Receives the next message into `message`, in a task, as [`recv_async`](Self::recv_async) does.
    ///
    /// Cancel-safe: dropped before it is ready, the future has taken nothing, and `message` is as before.
    ///
    /// # Errors
    ///
    /// As for [`recv_async`](Self::recv_async).
    pub fn recv_into_async<'a>(
        &'a self,
        message: &'a mut Message,
    ) -> impl Future<Output = Result<(), RecvError>> + Send {
        self.recv_call(|pattern: &mut P, pipes: &mut Pipes| pattern.try_recv(pipes, message))
    }
}

impl<P: Addresses, H: MaySend> SharedSocket<P, H> {
    /// Sends one message to the peer of this name, in a task: as [`Socket::send_to_async`] does, for any executor and
    /// without a timeout.
    ///
    /// Cancel-safe: the message is queued in the poll that returns `Ok`. Dropped before, the future has sent nothing,
    /// and drops the message.
    ///
    /// # Errors
    ///
    /// As for [`Socket::send_to`], but for `WouldBlock`.
    pub fn send_to_async<'a>(
        &'a self,
        to: &'a RoutingId,
        message: impl Into<Payload<'a>>,
    ) -> impl Future<Output = Result<(), Unsent>> + Send {
        self.send_call(message.into(), send_verb(to))
    }
}

impl<P: Addresses, H: MayReceive> SharedSocket<P, H> {
    /// Receives the next message into `message`, and from whom it is into `from`, in a task: as
    /// [`Socket::recv_from_into_async`] does, for any executor and without a timeout.
    ///
    /// Cancel-safe: dropped before it is ready, the future has taken nothing, and both are as before.
    ///
    /// # Errors
    ///
    /// [`Terminated`](RecvError::Terminated) when the context is shut down.
    pub fn recv_from_into_async<'a>(
        &'a self,
        from: &'a mut RoutingId,
        message: &'a mut Message,
    ) -> impl Future<Output = Result<(), RecvError>> + Send {
        self.recv_call(recv_verb(from, message))
    }

    async fn recv_from_async(&self) -> Result<(RoutingId, Message), RecvError> {
        let (mut from, mut message) = (RoutingId::NONE, Message::new());
        self.recv_from_into_async(&mut from, &mut message).await.map(|()| (from, message))
    }
}

impl<H: MayReceive> SharedSocket<Router, H> {
    /// Receives the next message, and tells from whom it is, in a task: for any executor and without a timeout.
    ///
    /// Cancel-safe: a message is taken in the poll that returns it. Dropped before, the future has taken nothing.
    ///
    /// # Errors
    ///
    /// [`Terminated`](RecvError::Terminated) when the context is shut down.
    pub async fn recv_async(&self) -> Result<(RoutingId, Message), RecvError> {
        self.recv_from_async().await
    }
}

impl<H: MayReceive> SharedSocket<Stream, H> {
    /// Receives the next octets, and tells from whom they are, in a task: for any executor and without a timeout.
    ///
    /// Cancel-safe: a message is taken in the poll that returns it. Dropped before, the future has taken nothing.
    ///
    /// # Errors
    ///
    /// [`Terminated`](RecvError::Terminated) when the context is shut down.
    pub async fn recv_async(&self) -> Result<(RoutingId, Message), RecvError> {
        self.recv_from_async().await
    }
}
