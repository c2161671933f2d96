//! The verbs that only REP has: a request, and the reply to it.
#![forbid(unsafe_code)]

use std::time::Duration;
use std::{fmt, mem};

use crate::error::{RecvError, Unsent};
use crate::message::{Message, Payload};
use crate::patterns::{Rep, Strategy as _};
use crate::pipe::Pipes;
use crate::session::Peer;
use crate::socket::Socket;
use crate::socket::core::Limit;

impl Socket<Rep> {
    /// Receives the next request. Waits at most [`recv_timeout`](crate::Options::recv_timeout) for one
    /// (default: for ever). The socket is borrowed until the request is answered or dropped.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](RecvError::WouldBlock) when the time is over, [`Terminated`](RecvError::Terminated)
    /// when the context is shut down.
    pub fn recv(&mut self) -> Result<Request<'_>, RecvError> {
        self.pattern.forget();
        let mut message = Message::new();
        self.core.recv(&mut self.pattern, &mut message, Limit::Option)?;
        Ok(Request { socket: self, message })
    }

    /// Receives the next request, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Request<'_>, RecvError> {
        self.pattern.forget();
        let mut message = Message::new();
        self.core.recv(&mut self.pattern, &mut message, Limit::After(timeout))?;
        Ok(Request { socket: self, message })
    }

    /// Receives the next request in a task, for any executor and without a timeout.
    ///
    /// Cancel-safe: a request is taken in the poll that returns it. Dropped before, the future has taken nothing.
    ///
    /// # Errors
    ///
    /// [`Terminated`](RecvError::Terminated) when the context is shut down.
    pub async fn recv_async(&mut self) -> Result<Request<'_>, RecvError> {
        self.pattern.forget();
        let mut message = Message::new();
        let verb = |pattern: &mut Rep, pipes: &mut Pipes| pattern.try_recv(pipes, &mut message);
        self.core.recv_call(&mut self.pattern, verb).await?;
        Ok(Request { socket: self, message })
    }

    /// Receives a request if one is here now.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv), [`WouldBlock`](RecvError::WouldBlock) at once.
    pub fn try_recv(&mut self) -> Result<Request<'_>, RecvError> {
        self.pattern.forget();
        let mut message = Message::new();
        self.core.try_recv(&mut self.pattern, &mut message)?;
        Ok(Request { socket: self, message })
    }
}

/// A request that can be answered, once; made by [`Socket::recv`](crate::Socket::recv).
///
/// Dropping it leaves it without an answer, and the socket can take the next one.
///
/// ```
/// use peermq::{Context, Rep, Req};
///
/// let context = Context::new();
/// let mut echo = context.open::<Rep>()?;
/// echo.bind("inproc://echo")?;
/// let mut client = context.open::<Req>()?;
/// client.connect("inproc://echo")?;
///
/// let reply = client.request(["two", "frames"])?;
/// let mut request = echo.recv()?;
/// let message = request.take_message();
/// request.reply(message)?;
/// assert_eq!(reply.recv()?, ["two", "frames"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Answering twice does not compile:
///
/// ```compile_fail,E0382
/// # use peermq::{Context, Rep};
/// # let mut echo = Context::new().open::<Rep>()?;
/// let request = echo.recv()?;
/// request.reply("once")?;
/// request.reply("twice")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Nor does taking the next request before this one is answered or dropped:
///
/// ```compile_fail,E0499
/// # use peermq::{Context, Rep};
/// # let mut echo = Context::new().open::<Rep>()?;
/// let first = echo.recv()?;
/// let second = echo.recv()?;
/// first.reply("late")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a request that is dropped gets no answer"]
pub struct Request<'a> {
    socket: &'a mut Socket<Rep>,
    message: Message,
}

impl Request<'_> {
    /// Returns what was asked, without the envelope.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Takes the message out, which leaves one empty frame; the request can still be answered.
    #[must_use]
    pub fn take_message(&mut self) -> Message {
        mem::take(&mut self.message)
    }

    /// Returns who asks: see [`Socket::last_peer`](crate::Socket::last_peer).
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.socket.last_peer()
    }

    /// Sends the answer to whoever asked. Never waits: an answer for a peer that is gone, or whose queue is
    /// full, is [dropped](Socket::dropped).
    ///
    /// # Errors
    ///
    /// [`Terminated`](crate::SendError::Terminated) when the context is shut down;
    /// [`TooManyParts`](crate::SendError::TooManyParts) and [`TooLarge`](crate::SendError::TooLarge), which no peer, or not
    /// this one, would take. The message is handed back.
    pub fn reply<'a>(self, message: impl Into<Payload<'a>>) -> Result<(), Unsent> {
        let Socket { core, pattern } = &mut *self.socket;
        core.try_send(pattern, message.into())
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.socket.pattern.forget();
        self.socket.core.show(&mut self.socket.pattern, false);
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("message", &self.message).finish_non_exhaustive()
    }
}
