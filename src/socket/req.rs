//! The verbs that only REQ has: a request, and its reply.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::{RecvError, Unsent};
use crate::message::{Message, Payload};
use crate::patterns::{Req, Strategy as _};
use crate::pipe::Pipes;
use crate::socket::Socket;
use crate::socket::core::{Core, Limit};

impl Socket<Req> {
    /// Sends a request to the next peer. The socket is borrowed until its reply is taken or given up.
    ///
    /// Waits at most [`send_timeout`](crate::Options::send_timeout) for a peer with room (default: for ever);
    /// without peers it waits too. A [`connect`](Self::connect) counts as a peer from the start, whether or not anybody
    /// answers there, unless [`immediate`](crate::Options::immediate) is set, which inproc does not heed. Nothing is
    /// discarded.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::SendError::WouldBlock) when the time is over,
    /// [`Terminated`](crate::SendError::Terminated) when the context is shut down. Both hand the message
    /// back.
    #[inline]
    pub fn request<'a>(&mut self, message: impl Into<Payload<'a>>) -> Result<Reply<'_>, Unsent> {
        self.give_up();
        self.core.send(&mut self.pattern, message.into(), Core::send_deadline)?;
        Ok(Reply { socket: self })
    }

    /// Sends a request as [`request`](Self::request) does, but waits no longer than `timeout` for a peer with
    /// room.
    ///
    /// # Errors
    ///
    /// As for [`request`](Self::request).
    pub fn request_timeout<'a>(
        &mut self,
        message: impl Into<Payload<'a>>,
        timeout: Duration,
    ) -> Result<Reply<'_>, Unsent> {
        self.give_up();
        let deadline = Instant::now().checked_add(timeout);
        self.core.send(&mut self.pattern, message.into(), |_| deadline)?;
        Ok(Reply { socket: self })
    }

    /// Sends a request as [`request`](Self::request) does, in a task, for any executor and without a timeout: the
    /// future is ready when the request is queued.
    ///
    /// Cancel-safe: the request is queued in the poll that returns `Ok`. Dropped before, the future has sent nothing,
    /// and drops the message.
    ///
    /// # Errors
    ///
    /// [`Terminated`](crate::SendError::Terminated) when the context is shut down; the message is handed back.
    pub fn request_async<'a, 'b>(
        &'a mut self,
        message: impl Into<Payload<'b>>,
    ) -> impl Future<Output = Result<Reply<'a>, Unsent>> + Send {
        let payload = message.into();
        async move {
            self.give_up();
            self.core.send_call(&mut self.pattern, payload, Req::try_send).await?;
            Ok(Reply { socket: self })
        }
    }

    /// Sends a request if a peer has room now.
    ///
    /// # Errors
    ///
    /// As for [`request`](Self::request), [`WouldBlock`](crate::SendError::WouldBlock) at once.
    #[inline]
    pub fn try_request<'a>(&mut self, message: impl Into<Payload<'a>>) -> Result<Reply<'_>, Unsent> {
        self.give_up();
        self.core.try_send(&mut self.pattern, message.into())?;
        Ok(Reply { socket: self })
    }

    /// Gives the last request up, if it still waits.
    #[inline]
    pub(super) fn give_up(&mut self) {
        // What a forked child has inherited waits in its parent.
        if self.pattern.is_waiting() && !self.core.is_inherited() {
            self.give_up_waiting();
        }
    }

    #[cold]
    fn give_up_waiting(&mut self) {
        // The reply may be here by now; then there is nothing to be given up.
        if self.core.try_recv(&mut self.pattern, &mut Message::new()).is_ok() {
            self.core.pipes.drops().unwanted.add(1);
        } else {
            self.pattern.give_up(&mut self.core.pipes);
            self.core.settle(&mut self.pattern);
        }
        self.core.show(&mut self.pattern, false);
    }
}

/// A request that waits for its reply; made by [`Socket::request`].
///
/// Dropping it gives the request up, see [`Req`](crate::Req); the socket can send the next one then. When the
/// peer dies that was asked, no reply comes: it takes a timeout to notice that.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Rep, Req};
///
/// let context = Context::new();
/// let mut server = context.open::<Rep>()?;
/// let endpoint = server.bind("tcp://127.0.0.1:0")?;
/// let mut client = context.open::<Req>()?;
/// client.connect(&endpoint)?;
/// let mut reply = client.request("ping")?;
/// server.recv()?.reply("pong")?;
/// assert_eq!(reply.recv_timeout(Duration::from_secs(10))?, "pong");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Two requests at once do not compile:
///
/// ```compile_fail,E0499
/// # use peermq::{Context, Req};
/// # let mut client = Context::new().open::<Req>()?;
/// let first = client.request("one")?;
/// let second = client.request("two")?;
/// first.recv()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Nor does taking the reply twice:
///
/// ```compile_fail,E0382
/// # use peermq::{Context, Req};
/// # let mut client = Context::new().open::<Req>()?;
/// let reply = client.request("one")?;
/// reply.recv()?;
/// reply.recv()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it gives the request up"]
pub struct Reply<'a> {
    socket: &'a mut Socket<Req>,
}

impl Reply<'_> {
    /// Receives the reply. Waits at most [`recv_timeout`](crate::Options::recv_timeout) for it (default: for
    /// ever), and gives the request up on an error.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](RecvError::WouldBlock) when the time is over, [`Terminated`](RecvError::Terminated)
    /// when the context is shut down.
    #[inline]
    pub fn recv(self) -> Result<Message, RecvError> {
        let mut message = Message::new();
        self.recv_into(&mut message).map(|()| message)
    }

    /// Receives the reply into `message`, whose allocations are used again. On an error `message` holds
    /// nothing of use.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    #[inline]
    pub fn recv_into(self, message: &mut Message) -> Result<(), RecvError> {
        let Socket { core, pattern } = &mut *self.socket;
        core.recv(pattern, message, Limit::Option)
    }

    /// Receives the reply, but waits no longer than `timeout`. Can be called again after
    /// [`WouldBlock`](RecvError::WouldBlock).
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`OutOfTurn`](RecvError::OutOfTurn) when the reply was taken already.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Message, RecvError> {
        let Socket { core, pattern } = &mut *self.socket;
        let mut message = Message::new();
        core.recv(pattern, &mut message, Limit::After(timeout)).map(|()| message)
    }

    /// Receives the reply in a task, for any executor and without a timeout.
    ///
    /// Cancel-safe: the reply is taken in the poll that returns it. Dropped before, the future has taken nothing, and
    /// the request still waits: it is given up when this `Reply` is dropped.
    ///
    /// # Errors
    ///
    /// [`Terminated`](RecvError::Terminated) when the context is shut down; [`OutOfTurn`](RecvError::OutOfTurn) when
    /// the reply was taken already.
    pub fn recv_async(&mut self) -> impl Future<Output = Result<Message, RecvError>> + Send {
        let Socket { core, pattern } = &mut *self.socket;
        async move {
            let mut message = Message::new();
            let verb = |pattern: &mut Req, pipes: &mut Pipes| pattern.try_recv(pipes, &mut message);
            core.recv_call(pattern, verb).await?;
            Ok(message)
        }
    }

    /// Receives the reply if it is here now. Can be called again after
    /// [`WouldBlock`](RecvError::WouldBlock).
    ///
    /// # Errors
    ///
    /// As for [`recv_timeout`](Self::recv_timeout).
    pub fn try_recv(&mut self) -> Result<Message, RecvError> {
        let Socket { core, pattern } = &mut *self.socket;
        let mut message = Message::new();
        core.try_recv(pattern, &mut message).map(|()| message)
    }
}

impl Drop for Reply<'_> {
    fn drop(&mut self) {
        self.socket.give_up();
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("is_waiting", &self.socket.pattern.is_waiting()).finish()
    }
}
