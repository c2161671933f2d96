//! Sockets as `Stream` and `Sink` of the crate futures, and monitors as `Stream`: the feature `futures`.
//!
//! What they do is what [`recv_async`](Socket::recv_async) and [`send_async`](Socket::send_async) do. The wakers of the
//! task that reads and of the one that writes, which may be two, stay in the socket until they are woken.
#![forbid(unsafe_code)]

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream as FuturesStream;
use futures_sink::Sink;

use crate::error::{RecvError, Unsent};
use crate::message::Message;
use crate::patterns::{Pattern, Receives, Router, Sends, Stream};
use crate::pipe::{Patience, Pipes, Sleepers};
use crate::routing_id::RoutingId;
use crate::session::{self, Event, Monitor};
use crate::socket::Socket;
use crate::socket::core::RecvVerb;
use crate::socket_type::SocketType;

impl Monitor {
    /// Events as they come, to [`EventKind::Stopped`](crate::EventKind::Stopped), which is the last. With the feature
    /// `futures`; what it does is what [`recv_async`](Self::recv_async) does.
    ///
    /// ```
    /// use futures::StreamExt as _;
    /// use peermq::{Context, Pull};
    ///
    /// let mut pull = Context::new().open::<Pull>()?;
    /// let events = pull.monitor().into_stream();
    /// pull.bind("tcp://127.0.0.1:0")?;
    /// drop(pull);
    /// let names = futures::executor::block_on(events.map(|event| event.kind.name()).collect::<Vec<_>>());
    /// assert_eq!(names, ["listening", "closed", "stopped"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> impl FuturesStream<Item = Event> + Send + Unpin {
        Events(self)
    }
}

/// A monitor, which is an iterator, as a stream: one type that is both has every adapter twice.
struct Events(Monitor);

impl FuturesStream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().0.poll_event(context).map(Result::ok)
    }
}

/// Messages as they come, to the shutdown of the context.
impl<P: Receives + Unpin> FuturesStream for Socket<P> {
    type Item = Result<Message, RecvError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut message = Message::new();
        let verb = |pattern: &mut P, pipes: &mut Pipes| pattern.try_recv(pipes, &mut message);
        self.get_mut().poll_item(context, verb).map(|item| item.map(|taken| taken.map(|()| message)))
    }
}

/// Messages, and from whom they are, to the shutdown of the context.
impl FuturesStream for Socket<Router> {
    type Item = Result<(RoutingId, Message), RecvError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        poll_from(self.get_mut(), context)
    }
}

/// Octets and news, and from whom they are, to the shutdown of the context.
impl FuturesStream for Socket<Stream> {
    type Item = Result<(RoutingId, Message), RecvError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        poll_from(self.get_mut(), context)
    }
}

fn poll_from<P: crate::patterns::Addresses>(
    socket: &mut Socket<P>,
    context: &Context<'_>,
) -> Poll<Option<Result<(RoutingId, Message), RecvError>>> {
    let (mut from, mut message) = (RoutingId::NONE, Message::new());
    let verb = |pattern: &mut P, pipes: &mut Pipes| pattern.recv_from(pipes, &mut from, &mut message);
    socket.poll_item(context, verb).map(|item| item.map(|taken| taken.map(|()| (from, message))))
}

impl<P: Pattern> Socket<P> {
    fn poll_item(
        &mut self,
        context: &Context<'_>,
        mut verb: impl RecvVerb<P>,
    ) -> Poll<Option<Result<(), RecvError>>> {
        self.core.poll_attempt(&mut self.pattern, context, Sleepers::STREAM, |core, pattern| {
            core.pipes.start(Patience::None);
            match core.poll_recv(pattern, &mut verb) {
                Err(RecvError::WouldBlock) => Poll::Pending,
                Err(RecvError::Terminated) => Poll::Ready(None),
                taken_or_not => {
                    if matches!(core.socket_type, SocketType::Rep | SocketType::Req) {
                        // It is the sink's turn, of which no peer tells.
                        core.mailbox.rouse(Sleepers::SINK);
                    }
                    Poll::Ready(Some(taken_or_not))
                }
            }
        })
    }
}

/// Is ready when a peer has room. Messages are queued at once, and I/O threads send them: there is nothing to be
/// flushed. Closing it does nothing, as its drop closes the socket. A message that a PUB or XPUB with
/// [`xpub_nodrop`](crate::Options::xpub_nodrop) cannot queue comes back as an error.
impl<P: Sends + Unpin> Sink<Message> for Socket<P> {
    type Error = Unsent;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        let Self { core, pattern } = self.get_mut();
        core.poll_attempt(pattern, context, Sleepers::SINK, |core, pattern| {
            core.attend(pattern);
            // Terminated: the send says so.
            if core.readiness(pattern).is_writable() { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Unsent> {
        self.get_mut().try_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        session::leave();
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        self.poll_flush(context)
    }
}
