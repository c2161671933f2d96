//! The verbs of ROUTER and STREAM: from whom, and to whom.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::error::{ConnectError, EndpointError, RecvError, SendError, Unsent};
use crate::message::{Message, Payload};
use crate::patterns::{Addresses, Router, Stream};
use crate::pipe::Pipes;
use crate::routing_id::RoutingId;
use crate::socket::core::{Core, Limit};
use crate::socket::{Connection, Socket};

impl<P: Addresses> Socket<P> {
    /// Receives the next message into `message`, and from whom it is into `from`. Their allocations are used
    /// again: none for a message of one frame that fits. On an error both are as before.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](RecvError::WouldBlock) when the time is over, [`Terminated`](RecvError::Terminated)
    /// when the context is shut down.
    #[inline]
    pub fn recv_from_into(&mut self, from: &mut RoutingId, message: &mut Message) -> Result<(), RecvError> {
        let verb = |pattern: &mut P, pipes: &mut Pipes| pattern.recv_from(pipes, from, message);
        self.core.recv_by(&mut self.pattern, Limit::Option, verb)
    }

    /// Receives a message if one is here now, as [`recv_from_into`](Self::recv_from_into) does.
    ///
    /// # Errors
    ///
    /// As for [`recv_from_into`](Self::recv_from_into), `WouldBlock` at once.
    #[inline]
    pub fn try_recv_from_into(
        &mut self,
        from: &mut RoutingId,
        message: &mut Message,
    ) -> Result<(), RecvError> {
        let verb = |pattern: &mut P, pipes: &mut Pipes| pattern.recv_from(pipes, from, message);
        self.core.try_recv_by(&mut self.pattern, verb)
    }

    /// Receives the next message into `message`, and from whom it is into `from`, in a task: as
    /// [`recv_from_into`](Self::recv_from_into) does, for any executor.
    ///
    /// Cancel-safe: dropped before it is ready, the future has taken nothing, and both are as before.
    ///
    /// # Errors
    ///
    /// [`Terminated`](RecvError::Terminated) when the context is shut down.
    pub fn recv_from_into_async<'a>(
        &'a mut self,
        from: &'a mut RoutingId,
        message: &'a mut Message,
    ) -> impl Future<Output = Result<(), RecvError>> + Send {
        let verb = |pattern: &mut P, pipes: &mut Pipes| pattern.recv_from(pipes, from, message);
        self.core.recv_call(&mut self.pattern, verb)
    }

    /// Sends one message to the peer of this name, in a task: as [`send_to`](Self::send_to) does, for any executor
    /// and without a timeout.
    ///
    /// Cancel-safe: the message is queued in the poll that returns `Ok`. Dropped before, the future has sent
    /// nothing, and drops the message.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to), but for `WouldBlock`.
    pub fn send_to_async<'a>(
        &'a mut self,
        to: &'a RoutingId,
        message: impl Into<Payload<'a>>,
    ) -> impl Future<Output = Result<(), Unsent>> + Send {
        self.core.send_call(&mut self.pattern, message.into(), verb(to))
    }

    /// Sends one message to the peer of this name.
    ///
    /// A ROUTER never waits, and a message that cannot be queued is [dropped](Socket::<Router>::dropped); but with
    /// [`router_mandatory`](crate::Options::router_mandatory) it waits for room, at most
    /// [`send_timeout`](crate::Options::send_timeout) (default: for ever), and drops nothing. So does a STREAM,
    /// always; its message goes out as the octets of its frames, and one without octets closes the connection
    /// behind what is queued.
    ///
    /// # Errors
    ///
    /// [`Terminated`](SendError::Terminated) when the context is shut down. Unless it drops:
    /// [`Unroutable`](SendError::Unroutable) when no peer has this name, and
    /// [`WouldBlock`](SendError::WouldBlock) when the time is over. All hand the message back.
    #[inline]
    pub fn send_to<'a>(&mut self, to: &RoutingId, message: impl Into<Payload<'a>>) -> Result<(), Unsent> {
        self.send_by(to, message.into(), Core::send_deadline)
    }

    /// Sends one message as [`send_to`](Self::send_to) does, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to).
    pub fn send_to_timeout<'a>(
        &mut self,
        to: &RoutingId,
        message: impl Into<Payload<'a>>,
        timeout: Duration,
    ) -> Result<(), Unsent> {
        let deadline = Instant::now().checked_add(timeout);
        self.send_by(to, message.into(), |_| deadline)
    }

    /// Sends one message as [`send_to`](Self::send_to) does, but does not wait.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to), [`WouldBlock`](SendError::WouldBlock) at once.
    #[inline]
    pub fn try_send_to<'a>(&mut self, to: &RoutingId, message: impl Into<Payload<'a>>) -> Result<(), Unsent> {
        self.core.try_send_by(&mut self.pattern, message.into(), verb(to))
    }

    /// Connects as [`connect`](Self::connect) does, to a peer that has this name here, whatever it announces.
    /// [`RoutingId::NONE`] lets it keep its own.
    ///
    /// A ROUTER's peer can be sent to at once, a STREAM's from when it is connected.
    ///
    /// # Errors
    ///
    /// See [`ConnectErrorKind`](crate::ConnectErrorKind); [`RoutingIdInUse`](crate::ConnectErrorKind::RoutingIdInUse) when another peer has this name
    /// and [`router_handover`](crate::Options::router_handover) is not set.
    pub fn connect_as<E>(&mut self, name: &RoutingId, endpoint: E) -> Result<Connection, ConnectError>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<EndpointError>,
    {
        let endpoint = endpoint.try_into().map_err(|error| ConnectError::from(error.into()))?;
        let connected = self.core.connect_as(&mut self.pattern, endpoint.clone(), name);
        connected.map_err(|kind| ConnectError::new(&endpoint, kind))
    }

    fn recv_from_within(&mut self, timeout: Duration) -> Result<(RoutingId, Message), RecvError> {
        let (mut from, mut message) = (RoutingId::NONE, Message::new());
        let verb = |pattern: &mut P, pipes: &mut Pipes| pattern.recv_from(pipes, &mut from, &mut message);
        self.core.recv_by(&mut self.pattern, Limit::After(timeout), verb)?;
        Ok((from, message))
    }

    #[inline]
    fn send_by(
        &mut self,
        to: &RoutingId,
        payload: Payload<'_>,
        deadline: impl FnOnce(&Core) -> Option<Instant>,
    ) -> Result<(), Unsent> {
        if self.pattern.waits_for_room() {
            self.core.send_by(&mut self.pattern, payload, deadline, verb(to))
        } else {
            self.core.try_send_by(&mut self.pattern, payload, verb(to))
        }
    }
}

impl Socket<Router> {
    /// Receives the next message, and tells from whom it is. Waits at most
    /// [`recv_timeout`](crate::Options::recv_timeout) for one (default: for ever).
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](RecvError::WouldBlock) when the time is over, [`Terminated`](RecvError::Terminated)
    /// when the context is shut down.
    #[inline]
    pub fn recv(&mut self) -> Result<(RoutingId, Message), RecvError> {
        let (mut from, mut message) = (RoutingId::NONE, Message::new());
        self.recv_from_into(&mut from, &mut message).map(|()| (from, message))
    }

    /// Receives the next message, and tells from whom it is, in a task: as [`recv`](Self::recv) does, for any
    /// executor and without a timeout.
    ///
    /// Cancel-safe: a message is taken in the poll that returns it. Dropped before, the future has taken nothing.
    ///
    /// # Errors
    ///
    /// [`Terminated`](RecvError::Terminated) when the context is shut down.
    pub async fn recv_async(&mut self) -> Result<(RoutingId, Message), RecvError> {
        let (mut from, mut message) = (RoutingId::NONE, Message::new());
        self.recv_from_into_async(&mut from, &mut message).await.map(|()| (from, message))
    }

    /// Receives the next message, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<(RoutingId, Message), RecvError> {
        self.recv_from_within(timeout)
    }

    /// Receives a message if one is here now.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](RecvError::WouldBlock) when none is, [`Terminated`](RecvError::Terminated) when the
    /// context is shut down.
    #[inline]
    pub fn try_recv(&mut self) -> Result<(RoutingId, Message), RecvError> {
        let (mut from, mut message) = (RoutingId::NONE, Message::new());
        self.try_recv_from_into(&mut from, &mut message).map(|()| (from, message))
    }
}

impl Socket<Stream> {
    /// Receives the next octets, and tells from whom they are; no octets: that peer has connected, or has
    /// disconnected. Waits at most
    /// [`recv_timeout`](crate::Options::recv_timeout) for some (default: for ever).
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](RecvError::WouldBlock) when the time is over, [`Terminated`](RecvError::Terminated)
    /// when the context is shut down.
    #[inline]
    pub fn recv(&mut self) -> Result<(RoutingId, Message), RecvError> {
        let (mut from, mut message) = (RoutingId::NONE, Message::new());
        self.recv_from_into(&mut from, &mut message).map(|()| (from, message))
    }

    /// Receives the next octets, and tells from whom they are, in a task: as [`recv`](Self::recv) does, for any
    /// executor and without a timeout.
    ///
    /// Cancel-safe: a message is taken in the poll that returns it. Dropped before, the future has taken nothing.
    ///
    /// # Errors
    ///
    /// [`Terminated`](RecvError::Terminated) when the context is shut down.
    pub async fn recv_async(&mut self) -> Result<(RoutingId, Message), RecvError> {
        let (mut from, mut message) = (RoutingId::NONE, Message::new());
        self.recv_from_into_async(&mut from, &mut message).await.map(|()| (from, message))
    }

    /// Receives as [`recv`](Self::recv) does, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<(RoutingId, Message), RecvError> {
        self.recv_from_within(timeout)
    }

    /// Receives octets, or news of a peer, if there are some now.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](RecvError::WouldBlock) when there are none, [`Terminated`](RecvError::Terminated) when the
    /// context is shut down.
    #[inline]
    pub fn try_recv(&mut self) -> Result<(RoutingId, Message), RecvError> {
        let (mut from, mut message) = (RoutingId::NONE, Message::new());
        self.try_recv_from_into(&mut from, &mut message).map(|()| (from, message))
    }
}

/// Sends to this peer.
fn verb<P: Addresses>(
    to: &RoutingId,
) -> impl FnMut(&mut P, &mut Pipes, &mut Payload<'_>) -> Result<(), SendError> {
    |pattern, pipes, payload| pattern.send_to(pipes, to.as_bytes(), payload)
}
