//! REQ and REP for many threads and tasks: an exchange is one verb.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::error::{AnswerError, RecvError, RequestError, SendError};
use crate::message::{Message, Payload};
use crate::patterns::{Pattern, Rep, Req, Strategy as _};
use crate::socket::Socket;
use crate::socket::core::Core;
use crate::socket::shared::hub::{Hub, Side};
use crate::socket::shared::{SharedSocket, recv_deadline, sent_or_back, taken_or_not};

impl SharedSocket<Req> {
    /// Sends a request and waits for its reply: one exchange, between which no other comes. Other threads' requests
    /// wait for their turn, in their order.
    ///
    /// Waits at most [`send_timeout`](crate::Options::send_timeout) for its turn and for a peer with room, and at most
    /// [`recv_timeout`](crate::Options::recv_timeout) for the reply (default: both for ever). A request without a reply
    /// in time is given up, see [`Req`].
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// ```
    /// use std::thread;
    ///
    /// use peermq::{Context, Rep, Req, SharedSocket};
    ///
    /// let context = Context::new();
    /// let mut server = context.open::<Rep>()?;
    /// server.bind("inproc://double")?;
    /// let mut client = context.open::<Req>()?;
    /// client.connect("inproc://double")?;
    /// let client = SharedSocket::new(client);
    /// let threads: Vec<_> = (0..3)
    ///     .map(|number| {
    ///         let client = client.clone();
    ///         thread::spawn(move || assert_eq!(client.request(vec![number]), Ok(vec![2 * number].into())))
    ///     })
    ///     .collect();
    /// for _ in 0..3 {
    ///     let request = server.recv()?;
    ///     let double = vec![2 * request.message().body()[0]];
    ///     request.reply(double)?;
    /// }
    /// threads.into_iter().for_each(|thread| thread.join().expect("the right reply"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request<'a>(&self, message: impl Into<Payload<'a>>) -> Result<Message, RequestError> {
        self.exchange(message.into(), Core::send_deadline, recv_deadline)
    }

    /// Sends a request as [`request`](Self::request) does, but waits no longer than `timeout` in all.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn request_timeout<'a>(
        &self,
        message: impl Into<Payload<'a>>,
        timeout: Duration,
    ) -> Result<Message, RequestError> {
        let deadline = Instant::now().checked_add(timeout);
        self.exchange(message.into(), |_| deadline, |_| deadline)
    }

    fn exchange(
        &self,
        mut payload: Payload<'_>,
        send_deadline: impl FnOnce(&Core) -> Option<Instant>,
        reply_deadline: impl FnOnce(&Core) -> Option<Instant>,
    ) -> Result<Message, RequestError> {
        let sent = self.hub.wait(Side::Room, send_deadline, |socket| socket.attempt_request(&mut payload));
        sent_or_back(sent, payload)?;
        let mut turn = RequestTurn { hub: &self.hub, is_open: true };
        let mut message = Message::new();
        let taken = self.hub.wait(Side::Messages, reply_deadline, |socket| socket.attempt_take(&mut message));
        let taken = taken_or_not(taken);
        turn.is_open = taken.is_err();
        Ok(taken.map(|()| message)?)
    }

    /// Sends a request and waits for its reply, as [`request`](Self::request) does, in a task, for any executor and
    /// without a timeout.
    ///
    /// Cancel-safe: dropped before the request is queued, the future has sent nothing. Dropped later, it gives the
    /// request up, so that others have their turn.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn request_async<'a>(
        &'a self,
        message: impl Into<Payload<'a>>,
    ) -> impl Future<Output = Result<Message, RequestError>> + Send {
        let mut payload = message.into();
        async move {
            let sent = self.hub.call(Side::Room, |socket| socket.attempt_request(&mut payload)).await;
            sent_or_back(Ok(sent), payload)?;
            let mut turn = RequestTurn { hub: &self.hub, is_open: true };
            let mut message = Message::new();
            let taken = self.hub.call(Side::Messages, |socket| socket.attempt_take(&mut message)).await;
            turn.is_open = taken.is_err();
            Ok(taken.map(|()| message)?)
        }
    }
}

impl Socket<Req> {
    /// `None`: no room, or it is another one's turn.
    fn attempt_request(&mut self, payload: &mut Payload<'_>) -> Option<Result<(), SendError>> {
        // Else a relaxed REQ would give up the request of another thread.
        let is_free = !self.pattern.is_waiting();
        if is_free { self.attempt_send(payload, &mut Req::try_send) } else { None }
    }
}

impl<P: Pattern> Socket<P> {
    fn attempt_take(&mut self, message: &mut Message) -> Option<Result<(), RecvError>> {
        self.attempt_recv(&mut |pattern: &mut P, pipes: &mut _| pattern.try_recv(pipes, message))
    }
}

/// Somebody's turn to have a reply; the next one's to ask when it is dropped.
struct RequestTurn<'a> {
    hub: &'a Hub<Req>,
    /// No reply was taken yet.
    is_open: bool,
}

impl Drop for RequestTurn<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // Nobody else has asked yet. With a reply somebody may have, and it is not ours to be given up.
            self.hub.with(Socket::give_up);
        }
        self.hub.call_first(Side::Room);
    }
}

impl SharedSocket<Rep> {
    /// Receives the next request, and sends what `answer` makes of it: one exchange. Other threads wait meanwhile, as a
    /// REP answers one request after the other; to work on several at once, see [`Router`](crate::Router), or a REP for
    /// each thread behind a [`Proxy`](crate::Proxy) of ROUTER and DEALER.
    ///
    /// Waits at most [`recv_timeout`](crate::Options::recv_timeout) for a request (default: for ever). When `answer`
    /// panics the request gets no answer.
    ///
    /// # Errors
    ///
    /// [`NoRequest`](AnswerError::NoRequest) when the time is over or the context is shut down,
    /// [`NotSent`](AnswerError::NotSent) when it is shut down before the answer was sent, or the answer is none that a
    /// peer would take.
    ///
    /// ```
    /// use peermq::{Context, Rep, Req, SharedSocket};
    ///
    /// let context = Context::new();
    /// let mut server = context.open::<Rep>()?;
    /// server.bind("inproc://echo")?;
    /// let server = SharedSocket::new(server);
    /// let mut client = context.open::<Req>()?;
    /// client.connect("inproc://echo")?;
    /// let reply = client.request("echo")?;
    /// server.answer(|request| request)?;
    /// assert_eq!(reply.recv()?, "echo");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn answer<M: Into<Payload<'static>>>(
        &self,
        answer: impl FnOnce(Message) -> M,
    ) -> Result<(), AnswerError> {
        self.answer_until(recv_deadline, answer)
    }

    /// Answers a request as [`answer`](Self::answer) does, but waits no longer than `timeout` for one.
    ///
    /// # Errors
    ///
    /// As for [`answer`](Self::answer).
    pub fn answer_timeout<M: Into<Payload<'static>>>(
        &self,
        timeout: Duration,
        answer: impl FnOnce(Message) -> M,
    ) -> Result<(), AnswerError> {
        let deadline = Instant::now().checked_add(timeout);
        self.answer_until(|_| deadline, answer)
    }

    fn answer_until<M: Into<Payload<'static>>>(
        &self,
        deadline: impl FnOnce(&Core) -> Option<Instant>,
        answer: impl FnOnce(Message) -> M,
    ) -> Result<(), AnswerError> {
        let mut message = Message::new();
        let taken =
            self.hub.wait(Side::Messages, deadline, |socket| socket.attempt_take_request(&mut message));
        taken_or_not(taken)?;
        self.answer_now(message, answer)
    }

    /// Answers a request as [`answer`](Self::answer) does, in a task, for any executor and without a timeout.
    ///
    /// Cancel-safe: a request is taken and answered in the poll that is ready. Dropped before, the future has taken
    /// nothing.
    ///
    /// # Errors
    ///
    /// As for [`answer`](Self::answer).
    pub async fn answer_async<M: Into<Payload<'static>>>(
        &self,
        answer: impl FnOnce(Message) -> M,
    ) -> Result<(), AnswerError> {
        let mut message = Message::new();
        self.hub.call(Side::Messages, |socket| socket.attempt_take_request(&mut message)).await?;
        self.answer_now(message, answer)
    }

    fn answer_now<M: Into<Payload<'static>>>(
        &self,
        message: Message,
        answer: impl FnOnce(Message) -> M,
    ) -> Result<(), AnswerError> {
        let mut turn = AnswerTurn { hub: &self.hub, is_open: true };
        let answer = answer(message).into();
        let sent = self.hub.with(|socket| socket.core.try_send(&mut socket.pattern, answer));
        // From now on another thread may have the next request.
        turn.is_open = sent.is_err();
        Ok(sent?)
    }
}

impl Socket<Rep> {
    /// `None`: no request, or another one has not answered yet.
    fn attempt_take_request(&mut self, message: &mut Message) -> Option<Result<(), RecvError>> {
        self.attempt_take(message).filter(|taken| *taken != Err(RecvError::OutOfTurn))
    }
}

/// A thread's turn to answer; the next thread's when it is dropped.
struct AnswerTurn<'a> {
    hub: &'a Hub<Rep>,
    /// No answer was sent yet.
    is_open: bool,
}

impl Drop for AnswerTurn<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.hub.with(|socket| socket.pattern.forget());
        }
        self.hub.call_first(Side::Messages);
    }
}
