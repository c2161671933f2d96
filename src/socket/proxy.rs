//! A proxy: passes messages between two sockets, both ways, on one thread.
//!
//! Each way holds one message at most: one that was taken and has no room yet. While it is held nothing more is
//! taken that way, so what piles up does so in the queue of whoever sends too fast. [`ProxyControl`] steers, from
//! other threads.
//!
//! ```text
//!               taken          captured             has room
//!    Empty ──────────▶ ToCapture ──────▶ ToSend ─────────────▶ Empty
//! ```
//!
//! Source: libzmq's zmq_proxy(3) and zmq_proxy_steerable(3); RFC 28 to 30 for what the types do with it.
#![forbid(unsafe_code)]

mod control;

use std::fmt;

pub use control::{ProxyControl, ProxyPassed, ProxyStatistics};

use crate::error::{ForwardError, RecvError, SendError};
use crate::io::SocketMailbox;
use crate::limits::PROXY_BATCH;
use crate::message::{Message, Payload, PayloadKind};
use crate::patterns::{Pattern, Sends};
use crate::session;
use crate::socket::Socket;
use crate::socket::proxy::control::{Order, Post};

/// Passes messages between two sockets until their context is shut down, as `zmq_proxy` does. A [`Proxy`] can be
/// steered and listened to, too.
///
/// # Errors
///
/// As for [`Proxy::new`].
///
/// ```
/// use std::thread;
///
/// use peermq::{Context, Pull, Push, proxy};
///
/// let context = Context::new();
/// let mut frontend = context.open::<Pull>()?;
/// frontend.bind("inproc://in")?;
/// let mut backend = context.open::<Push>()?;
/// backend.bind("inproc://out")?;
/// let running = thread::spawn(move || proxy(frontend, backend));
///
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://in")?;
/// let mut pull = context.open::<Pull>()?;
/// pull.connect("inproc://out")?;
/// push.send("through")?;
/// assert_eq!(pull.recv()?, "through");
///
/// context.shutdown();
/// let end = running.join().expect("it did not panic")?;
/// assert_eq!(end.statistics.to_backend.messages, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn proxy<F: Pattern, B: Pattern>(
    frontend: Socket<F>,
    backend: Socket<B>,
) -> Result<ProxyEnd<F, B>, ForwardError> {
    Ok(Proxy::new(frontend, backend)?.run())
}

/// A proxy between two sockets: whatever one receives the other sends, both ways where both can.
///
/// Any two types will do between which something can pass, also such as the program chose at run time. Those that
/// belong together: ROUTER and DEALER for requests and replies, XSUB and XPUB for subscriptions up and messages
/// down, PULL and PUSH, two PAIRs. A ROUTER or STREAM has the routing id in the first frame.
///
/// No message is lost in between. One is taken when there is nothing that waits for room the same way; one that
/// has no room is held, and nothing more is taken that way. Large bodies are passed on by reference. What a type
/// drops by itself it drops here, too: a ROUTER without [`router_mandatory`](crate::Options::router_mandatory), and
/// an XPUB without [`xpub_nodrop`](crate::Options::xpub_nodrop), do not wait for a peer that is slow.
///
/// ```
/// use std::thread;
///
/// use peermq::{Context, Dealer, Proxy, Pub, Rep, Req, Router, Sub};
///
/// let context = Context::new();
/// let mut frontend = context.open::<Router>()?;
/// frontend.bind("inproc://clients")?;
/// let mut backend = context.open::<Dealer>()?;
/// backend.bind("inproc://servers")?;
/// let mut capture = context.open::<Pub>()?;
/// let proxy = Proxy::new(frontend, backend)?.capture(capture)?;
/// let control = proxy.control();
/// let running = thread::spawn(move || proxy.run());
///
/// let mut server = context.open::<Rep>()?;
/// server.connect("inproc://servers")?;
/// let mut client = context.open::<Req>()?;
/// client.connect("inproc://clients")?;
/// let reply = client.request("ping")?;
/// server.recv()?.reply("pong")?;
/// assert_eq!(reply.recv()?, "pong");
///
/// control.terminate();
/// let end = running.join().expect("it did not panic");
/// assert_eq!((end.statistics.to_backend.messages, end.statistics.to_frontend.messages), (1, 1));
/// assert_eq!((end.to_backend, end.to_frontend), (None, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it does nothing before it is run"]
pub struct Proxy<F: Pattern, B: Pattern> {
    frontend: Socket<F>,
    backend: Socket<B>,
    capture: Option<Box<dyn Capture>>,
    up: Way,
    down: Way,
    post: Post,
}

/// How a proxy ended, and what is left of it: nothing that was taken is lost.
///
/// What arrived and was not taken is still in the sockets, which go on as before, or end as any other: see
/// [`Socket::close`] and [`linger`](crate::Options::linger).
///
/// ```
/// use peermq::{Context, Proxy, Pull, Push};
///
/// let context = Context::new();
/// let proxy = Proxy::new(context.open::<Pull>()?, context.open::<Push>()?)?;
/// proxy.control().terminate();
/// let end = proxy.run();
/// assert_eq!(end.to_backend, None);
/// assert!(!end.was_shut_down);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ProxyEnd<F: Pattern, B: Pattern> {
    /// The socket of this name.
    pub frontend: Socket<F>,
    /// The socket of this name.
    pub backend: Socket<B>,
    /// A message that was taken from the frontend and found no room at the backend.
    pub to_backend: Option<Message>,
    /// A message that was taken from the backend and found no room at the frontend.
    pub to_frontend: Option<Message>,
    /// What was passed on.
    pub statistics: ProxyStatistics,
    /// Whether a context was shut down; else [`ProxyControl::terminate`] was called.
    pub was_shut_down: bool,
}

impl<F: Pattern, B: Pattern> Proxy<F, B> {
    /// Makes a proxy, which takes nothing before it is [run](Self::run).
    ///
    /// # Errors
    ///
    /// [`NothingPasses`](ForwardError::NothingPasses) when neither of these types can send what the other receives.
    pub fn new(frontend: Socket<F>, backend: Socket<B>) -> Result<Self, ForwardError> {
        let (front, back) = (frontend.socket_type(), backend.socket_type());
        let up = Way::new(front.can_receive() && back.can_send());
        let down = Way::new(back.can_receive() && front.can_send());
        if !up.exists && !down.exists {
            return Err(ForwardError::NothingPasses(front, back));
        }
        Ok(Self { frontend, backend, capture: None, up, down, post: Post::new() })
    }

    /// Sends a copy of every message to this socket, too, before it is passed on: a PUB, PUSH, DEALER or PAIR, for
    /// example. A type that waits for room holds the proxy up until it has some, and a peer.
    ///
    /// # Errors
    ///
    /// [`CannotCapture`](ForwardError::CannotCapture) when sockets of this type do not send at any time.
    pub fn capture<C: Sends>(mut self, socket: Socket<C>) -> Result<Self, ForwardError> {
        let socket_type = socket.socket_type();
        if !socket_type.can_send() || socket_type.takes_turns() {
            return Err(ForwardError::CannotCapture(socket_type));
        }
        self.capture = Some(Box::new(socket));
        Ok(self)
    }

    /// Returns what steers the proxy from other threads.
    #[must_use]
    pub fn control(&self) -> ProxyControl {
        self.post.control()
    }

    /// Passes messages on until it is told to [terminate](ProxyControl::terminate), or a context is shut down.
    /// While there is nothing to do the thread sleeps.
    pub fn run(mut self) -> ProxyEnd<F, B> {
        let was_shut_down = loop {
            match self.post.report(self.statistics()) {
                Order::Run => match self.pass_round() {
                    Round::Over => break true,
                    Round::Again => {}
                    Round::Idle if self.watch() => {}
                    Round::Idle => self.wait(),
                },
                Order::Pause => {
                    self.take_mail();
                    if self.is_over() {
                        break true;
                    }
                    self.wait();
                }
                Order::Terminate => break false,
            }
        };
        // Perhaps there is room by now. A message that is refused is counted.
        let Self { frontend, backend, capture, up, down, .. } = &mut self;
        up.send(backend, capture);
        down.send(frontend, capture);
        let statistics = self.statistics();
        self.post.report(statistics);
        let Self { frontend, backend, mut up, mut down, .. } = self;
        let (to_backend, to_frontend) = (up.take_held(), down.take_held());
        ProxyEnd { frontend, backend, to_backend, to_frontend, statistics, was_shut_down }
    }

    /// Passes on a batch at most each way.
    fn pass_round(&mut self) -> Round {
        self.take_mail();
        let seen = self.changes();
        let Self { frontend, backend, capture, up, down, .. } = self;
        let passed = up.passed.messages + down.passed.messages;
        let turns = [up.pass(frontend, backend, capture), down.pass(backend, frontend, capture)];
        // REQ and REP: what was passed on one way may let the other one go on.
        let has_moved = self.up.passed.messages + self.down.passed.messages != passed;
        // News of a socket that one way has taken in may be for the other.
        let has_news = self.changes() != seen;
        if turns.contains(&Turn::Over) {
            Round::Over
        } else if turns.contains(&Turn::Again)
            || has_news
            || has_moved && turns.contains(&Turn::WaitsForOther)
        {
            Round::Again
        } else {
            Round::Idle
        }
    }

    /// Takes in what concerns no message, so that it does not end every wait.
    fn take_mail(&mut self) {
        let Self { frontend, backend, .. } = self;
        frontend.core.take_mail(&mut frontend.pattern);
        backend.core.take_mail(&mut backend.pattern);
        if let Some(capture) = &mut self.capture {
            capture.take_mail();
        }
    }

    fn is_over(&self) -> bool {
        self.frontend.core.is_terminated() || self.backend.core.is_terminated()
    }

    /// Counts what was posted to any of the sockets.
    fn changes(&self) -> u64 {
        let capture = self.capture.as_ref().map_or(0, |capture| capture.changes());
        self.frontend.core.changes() + self.backend.core.changes() + capture
    }

    fn statistics(&self) -> ProxyStatistics {
        ProxyStatistics { to_backend: self.up.passed, to_frontend: self.down.passed }
    }

    /// Looks for a moment before this thread sleeps, if one way streams. Whether it can go on.
    fn watch(&mut self) -> bool {
        let Self { frontend, backend, up, down, .. } = self;
        up.watch(frontend, backend) || down.watch(backend, frontend)
    }

    /// Sleeps until one of the sockets, or whoever steers, has something for this thread.
    fn wait(&self) {
        let capture = self.capture.as_ref().map(|capture| capture.mailbox());
        let mailboxes = [
            Some(&*self.frontend.core.mailbox),
            Some(&*self.backend.core.mailbox),
            Some(self.post.mailbox()),
            capture,
        ];
        session::wait(mailboxes.into_iter().flatten(), None, self.frontend.core.context.spin);
    }
}

impl<F: Pattern, B: Pattern> fmt::Debug for Proxy<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("frontend", &self.frontend)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// What both ways have done in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// There may be more.
    Again,
    Idle,
    /// A context was shut down.
    Over,
}

/// Why one way has ended its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There may be more: the other way has its turn first.
    Again,
    /// Nothing to take, or no room; the sockets will tell.
    Waits,
    /// The other way has to go on first.
    WaitsForOther,
    /// A context was shut down.
    Over,
}

/// One way through the proxy.
#[derive(Debug)]
struct Way {
    /// Whether anything can pass.
    exists: bool,
    stage: Stage,
    /// The message that is held; else room for the next one.
    payload: Payload<'static>,
    passed: ProxyPassed,
}

/// Where the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Empty,
    ToCapture,
    ToSend,
}

impl Way {
    fn new(exists: bool) -> Self {
        let payload = Payload::from(Message::new());
        Self { exists, stage: Stage::Empty, payload, passed: ProxyPassed::default() }
    }

    /// Passes on what there is, a batch at most.
    fn pass<S: Pattern, D: Pattern>(
        &mut self,
        source: &mut Socket<S>,
        destination: &mut Socket<D>,
        capture: &mut Option<Box<dyn Capture>>,
    ) -> Turn {
        if !self.exists {
            return Turn::Waits;
        }
        for _ in 0..PROXY_BATCH {
            if self.stage == Stage::Empty {
                match source.core.try_recv(&mut source.pattern, self.room()) {
                    Ok(()) => self.stage = Stage::ToCapture,
                    Err(RecvError::Terminated) => return Turn::Over,
                    Err(RecvError::OutOfTurn) => return Turn::WaitsForOther,
                    Err(RecvError::WouldBlock | RecvError::Interrupted | RecvError::NotSupported) => {
                        return Turn::Waits;
                    }
                }
            }
            if let Some(turn) = self.send(destination, capture) {
                return turn;
            }
        }
        Turn::Again
    }

    /// Sends the message that is held, if there is one. `None`: nothing is held any more.
    #[inline]
    fn send<D: Pattern>(
        &mut self,
        destination: &mut Socket<D>,
        capture: &mut Option<Box<dyn Capture>>,
    ) -> Option<Turn> {
        if self.stage == Stage::ToCapture {
            if let Some(capture) = capture {
                if capture.try_copy(self.payload.borrow()) == Err(SendError::WouldBlock) {
                    return Some(Turn::Waits);
                }
            }
            self.stage = Stage::ToSend;
        }
        if self.stage == Stage::ToSend {
            let octets = self.octets();
            match destination.core.try_pass(&mut destination.pattern, &mut self.payload) {
                Ok(()) => {
                    self.passed.messages += 1;
                    self.passed.octets += octets as u64;
                }
                Err(SendError::WouldBlock | SendError::Interrupted) => return Some(Turn::Waits),
                Err(SendError::OutOfTurn) => return Some(Turn::WaitsForOther),
                Err(SendError::Terminated) => return Some(Turn::Over),
                // It will never be sent: nobody has this name, or there is nothing behind it.
                Err(
                    SendError::MissingBody
                    | SendError::NotSupported
                    | SendError::TooLarge
                    | SendError::TooManyParts
                    | SendError::TopicTooLong
                    | SendError::Unroutable,
                ) => self.passed.refused += 1,
            }
            self.stage = Stage::Empty;
        }
        None
    }

    /// Looks for whatever this way waits for, if it goes between threads.
    fn watch<S: Pattern, D: Pattern>(&self, source: &mut Socket<S>, destination: &mut Socket<D>) -> bool {
        match self.stage {
            Stage::Empty => self.exists && source.core.pipes.watch_for_messages(),
            Stage::ToSend => destination.core.pipes.watch_for_room(),
            Stage::ToCapture => false,
        }
    }

    /// Octets of the message that is held.
    #[inline]
    fn octets(&self) -> usize {
        match self.payload.only_body() {
            Some(body) => body.len(),
            None => self.payload.frames().map(<[u8]>::len).sum(),
        }
    }

    /// Where the next message is to go.
    #[inline]
    fn room(&mut self) -> &mut Message {
        if !matches!(self.payload.0, PayloadKind::Owned(_)) {
            self.payload = Payload::from(Message::new()); // the last one was taken as a whole
        }
        let PayloadKind::Owned(message) = &mut self.payload.0 else { unreachable!("just made") };
        message
    }

    fn take_held(&mut self) -> Option<Message> {
        (self.stage != Stage::Empty).then(|| self.payload.take_message())
    }
}

/// A socket that is sent copies.
trait Capture: Send {
    fn try_copy(&mut self, payload: Payload<'_>) -> Result<(), SendError>;
    fn take_mail(&mut self);
    fn changes(&self) -> u64;
    fn mailbox(&self) -> &SocketMailbox;
}

impl<P: Sends> Capture for Socket<P> {
    fn try_copy(&mut self, mut payload: Payload<'_>) -> Result<(), SendError> {
        self.core.try_pass(&mut self.pattern, &mut payload)
    }

    fn take_mail(&mut self) {
        self.core.take_mail(&mut self.pattern);
    }

    fn changes(&self) -> u64 {
        self.core.changes()
    }

    fn mailbox(&self) -> &SocketMailbox {
        &self.core.mailbox
    }
}
