//! REQ: asks the next peer, then takes the answer of that peer and of no other. Source: RFC 28/REQREP.
//!
//! ```text
//!            send                          reply taken, or given up
//!    Idle ─────────▶ Waiting for one peer ──────────────────────────▶ Idle
//! ```
//!
//! A late reply must never be taken for the answer to a later request. With `req_correlate` a number in front
//! of the envelope tells, in libzmq's form; without it the connection of a request that is given up is, too.
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::error::{RecvError, SendError};
use crate::message::{Frame, Message, Payload};
use crate::options::Options;
use crate::patterns::{Attach, Pattern, Strategy, probe};
use crate::pipe::{Opened, PipeKey, Pipes, Waste};
use crate::routing::RoundRobin;
use crate::socket_type::SocketType;

/// REQ: asks one of its [`Rep`](crate::Rep) or [`Router`](crate::Router) peers, in turn, and waits for the
/// answer.
///
/// [`request`](crate::Socket::request) hands the question to the next peer that has room, and waits when there
/// is none. It returns a [`Reply`](crate::Reply), which borrows the socket until the answer is taken or, by
/// dropping it, given up: asking twice in a row does not compile, and there is no state from which a request
/// cannot go out. Source: RFC 28/REQREP.
///
/// A request that was given up may still be answered. So that this answer is not taken for that of a later
/// request, the connection to that peer is closed. A `connect` is made again at once, or after its pause when
/// the peer says nothing at all; a peer that connected to us comes again after its own pause, except over inproc. With [`req_correlate`](crate::Options::req_correlate)
/// the connection stays: a number in front of each request comes back with its answer. A REP brings it back, and
/// so does any peer that returns all frames up to the empty one.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Rep, Req};
///
/// let context = Context::new();
/// let mut server = context.open::<Rep>()?;
/// server.bind("inproc://time")?;
/// let mut client = context.builder_for::<Req>().req_correlate(true).open()?;
/// client.connect("inproc://time")?;
///
/// let mut reply = client.request("what time is it?")?;
/// assert!(reply.recv_timeout(Duration::from_millis(1)).is_err(), "nobody is there");
/// drop(reply);
///
/// let reply = client.request("and now?")?;
/// for _ in 0..2 {
///     let request = server.recv()?;
///     let answer = format!("{}: noon", request.message().to_str()?);
///     request.reply(answer)?;
/// }
/// assert_eq!(reply.recv()?, "and now?: noon");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Req {
    peers: RoundRobin,
    state: State,
    /// What the peer had sent up to this message was there before it was asked.
    unasked: u64,
    /// What goes in front of a request: its number, if wanted, and the empty delimiter.
    envelope: Vec<Frame>,
    /// The last request's number.
    number: u32,
    /// What went in front of the last reply. Kept for its allocation.
    front: Vec<Frame>,
    /// Whether the last request had a number.
    correlates: bool,
    /// Whether the next one has.
    will_correlate: bool,
    is_relaxed: bool,
    probes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// For the reply of this peer; none: it is gone, and no reply will come.
    Waiting(Option<PipeKey>),
}

impl Req {
    /// Sends no request and waits for no reply from now on: the last one is given up.
    pub(crate) fn give_up(&mut self, pipes: &mut Pipes) {
        let State::Waiting(peer) = self.state else { return };
        self.state = State::Idle;
        let Some(key) = peer else { return };
        if !self.correlates {
            self.peers.remove(key);
            let last = pipes.last_here(key);
            pipes.drop_up_to(key, last);
            pipes.give_up(key);
        } else {
            // From now on what comes from this peer is not waited for.
            pipes.discard(key);
        }
    }

    /// Whether a request waits for its reply.
    pub(crate) fn is_waiting(&self) -> bool {
        self.state != State::Idle
    }

    fn next_envelope(&mut self) {
        if self.correlates != self.will_correlate {
            self.correlates = self.will_correlate;
            self.envelope = envelope(self.correlates);
        }
        self.number = self.number.wrapping_add(1);
        if self.correlates {
            if let Some(first) = self.envelope.first_mut() {
                *first = Frame::from(&self.number.to_be_bytes());
            }
        }
    }

    /// Whether what came is the reply that is waited for.
    fn is_ours(&self, opened: Opened, pipes: &Pipes) -> bool {
        match opened {
            Opened::Whole => return true,
            // The answer to an earlier request.
            Opened::Unwanted(_) if self.front.len() == self.envelope.len() => pipes.drops().unwanted.add(1),
            Opened::Unwanted(_) | Opened::Malformed => pipes.drops().malformed.add(1),
        }
        false
    }

    /// Spends what a message cost that is not the reply. `false`: there is no budget for another.
    fn spend_on(&self, opened: Opened, pipes: &mut Pipes) -> bool {
        let behind = if let Opened::Unwanted(waste) = opened { waste } else { Waste::default() };
        pipes.spend_on(self.front.iter().fold(behind, |waste, frame| waste.and(frame.len())))
    }
}

/// The number and the delimiter, or the delimiter alone.
fn envelope(correlates: bool) -> Vec<Frame> {
    vec![Frame::new(); 1 + usize::from(correlates)]
}

impl Pattern for Req {}

impl Strategy for Req {
    const TYPE: Option<SocketType> = Some(SocketType::Req);

    fn new(_: SocketType, options: &Options) -> Self {
        let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
        Self {
            peers: RoundRobin::default(),
            state: State::Idle,
            unasked: 0,
            envelope: envelope(options.req_correlate()),
            number: u32::from_ne_bytes([a, b, c, d]),
            front: Vec::new(),
            correlates: options.req_correlate(),
            will_correlate: options.req_correlate(),
            is_relaxed: options.req_relaxed(),
            probes: options.probe_router(),
        }
    }

    fn on_options(&mut self, options: &Options) {
        self.will_correlate = options.req_correlate();
        self.is_relaxed = options.req_relaxed();
        self.probes = options.probe_router();
    }

    fn attach(&mut self, pipes: &mut Pipes, key: PipeKey) -> Attach {
        self.peers.add(key);
        if self.probes {
            probe(pipes, key);
        }
        pipes.discard(key);
        Attach::Accepted
    }

    fn detach(&mut self, _: &mut Pipes, key: PipeKey) {
        self.peers.remove(key);
        if self.state == State::Waiting(Some(key)) {
            self.state = State::Waiting(None);
        }
    }

    fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        // What was not asked for is not waited for.
        if self.state != State::Waiting(Some(key)) {
            pipes.discard(key);
        }
    }

    fn on_writable(&mut self, _: &mut Pipes, key: PipeKey) {
        self.peers.resume(key);
    }

    fn is_readable(&mut self, pipes: &mut Pipes) -> bool {
        let State::Waiting(Some(key)) = self.state else { return false };
        if !pipes.drop_up_to(key, self.unasked) {
            return false;
        }
        let mut message = Message::new();
        while pipes.look(key).is_ok() {
            let envelope = &self.envelope;
            let judged = pipes.head(key, |head| Opened::judge(head.frames, Some(envelope)));
            if judged == Some(Opened::Whole) {
                return true;
            }
            let taken = pipes.recv_enveloped(key, Some(&self.envelope), &mut self.front, &mut message);
            let Ok(opened) = taken else { return false };
            if self.is_ours(opened, pipes) || !self.spend_on(opened, pipes) {
                return false;
            }
        }
        false
    }

    fn is_writable(&mut self, pipes: &mut Pipes) -> bool {
        (self.is_relaxed || !self.is_waiting()) && self.peers.has_room(pipes)
    }

    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        // The envelope is made below.
        if payload.has_too_many_parts(1 + usize::from(self.will_correlate)) {
            return Err(SendError::TooManyParts);
        }
        if self.is_waiting() {
            if !self.is_relaxed {
                return Err(SendError::OutOfTurn);
            }
            self.give_up(pipes);
        }
        self.next_envelope();
        let (envelope, unasked) = (&self.envelope, &mut self.unasked);
        let asked = self.peers.send_by(pipes, |pipes, key| {
            *unasked = pipes.last_here(key);
            pipes.send_behind(key, envelope, payload)
        })?;
        self.state = State::Waiting(Some(asked));
        Ok(())
    }

    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        let State::Waiting(peer) = self.state else { return Err(RecvError::OutOfTurn) };
        let Some(key) = peer else { return Err(RecvError::WouldBlock) };
        if !pipes.drop_up_to(key, self.unasked) {
            return Err(RecvError::WouldBlock);
        }
        while let Ok(opened) = pipes.recv_enveloped(key, Some(&self.envelope), &mut self.front, message) {
            if self.is_ours(opened, pipes) {
                pipes.heard = Some(key);
                self.state = State::Idle;
                return Ok(());
            }
            if !self.spend_on(opened, pipes) {
                break;
            }
        }
        Err(RecvError::WouldBlock)
    }
}
