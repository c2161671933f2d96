//! One connection's protocol state, from the first octet to the last command.
//!
//! ```text
//!                                     ┌───▶ Judged: handle_verdict
//!             64 octets, our mechanism    ▼      the last command, a type we talk to
//!  new ─▶ Greeting ─────────────────▶ Handshake ───────────────▶ Traffic ─┐ PING: PONG
//!          │   │ our first command       │                        ▲ │  ▲  │ other: ignored
//!          │   │ ZMTP 1.0 or 2.0         │   the routing id       │ │  └──┘
//!          │   └───────────────▶ RoutingId ───────────────────────┘ │
//!          └────────────────┬────────┴───┴──────────────────────────┘
//!                           ▼ anything else
//!                         Failed
//! ```
//!
//! The driver feeds it the octets of the handshake and the bodies of later command frames; it frames and
//! delivers messages itself. Source: RFC 37, "Overall Behavior" and "Backwards Interoperability".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{AuthStatus, ProtocolError};
use crate::frame;
use crate::options::{Admission, Decision, Options};
use crate::socket_type::SocketType;
use crate::wire::command::{self, Command};
use crate::wire::greeting::{self, Greeted, Version};
use crate::wire::heartbeat::{Heartbeat, Signs, Silent};
use crate::wire::mechanism::{Boxes, Handshake, Question, Step, enter_name, takes_names_lightly};
use crate::wire::metadata::{Local, Peer};
use crate::wire::old;
use crate::wire::outbox::Outbox;

/// One connection's protocol state.
#[derive(Debug)]
pub(crate) struct Connection {
    local: Local,
    phase: Phase,
    /// From the end of the handshake on, with a peer that knows commands.
    heartbeat: Option<Box<Heartbeat>>,
    /// As whom the peer was let in.
    admission: Option<Arc<Admission>>,
    /// From the end of a handshake of CURVE until they are taken.
    boxes: Option<Box<Boxes>>,
    /// Boxed: most connections never hear any of it.
    asides: Option<Box<Asides>>,
}

/// What peers of this library say beside messages.
#[derive(Debug, Default)]
struct Asides {
    /// The last question that the peer has answered.
    answer: Option<u64>,
    /// The last question of the peer.
    asked: Option<u64>,
    /// The peer goes, and has received so many messages.
    going: Option<u64>,
}

#[derive(Debug)]
enum Phase {
    /// The peer's greeting is coming in.
    Greeting(greeting::Incoming),
    /// A command of its handshake is.
    Handshake { version: Version, command: command::Incoming, handshake: Handshake },
    /// Nothing comes in until it is decided whether the peer may.
    Judged { version: Version, handshake: Handshake, question: Question },
    /// A peer of ZMTP 1.0 or 2.0 says what it is called.
    RoutingId(old::Incoming),
    /// Both READYs, or routing ids, are through.
    Traffic(Peer),
    /// Over, and why: every further call returns the same.
    Failed(ProtocolError),
}

impl Connection {
    /// Starts a connection and puts as much of our greeting into `out` as any version understands.
    pub(crate) fn new(local: Local, out: &mut Outbox) -> Self {
        greeting::start(&local, out);
        let phase = Phase::Greeting(greeting::Incoming::new());
        Self { local, phase, heartbeat: None, admission: None, boxes: None, asides: None }
    }

    /// Those of the socket.
    pub(crate) fn options(&self) -> &Options {
        &self.local.options
    }

    /// Takes octets of the handshake, in any cut, and returns how many it consumed.
    ///
    /// Consumes all of them until the handshake ends or has a [`question`](Self::question), and nothing behind it:
    /// what follows the peer's last command, or its routing id, is traffic. Holds one greeting, or one command of up to `HANDSHAKE_COMMAND_MAX` octets.
    ///
    /// # Errors
    ///
    /// The first thing that the peer did wrong, or its refusal. The caller writes what is in `out`, which may
    /// end with an ERROR command, and closes.
    pub(crate) fn handle_octets(
        &mut self,
        octets: &[u8],
        now: Instant,
        out: &mut Outbox,
    ) -> Result<usize, ProtocolError> {
        let mut rest = octets;
        match self.take_handshake(&mut rest, now, out) {
            Ok(()) => Ok(octets.len() - rest.len()),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// What has to be decided before the handshake goes on, if that is so.
    pub(crate) fn question(&self) -> Option<&Question> {
        match &self.phase {
            Phase::Judged { question, .. } => Some(question),
            Phase::Failed(_)
            | Phase::Greeting(_)
            | Phase::Handshake { .. }
            | Phase::RoutingId(_)
            | Phase::Traffic(_) => None,
        }
    }

    /// Goes on with what was decided; without a question, does nothing.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::NotLetIn`], [`ProtocolError::RoutingIdInUse`]. The caller writes what is in `out`, and closes.
    pub(crate) fn handle_verdict(
        &mut self,
        verdict: Decision,
        out: &mut Outbox,
    ) -> Result<(), ProtocolError> {
        let Phase::Judged { handshake, .. } = &mut self.phase else { return Ok(()) };
        match verdict {
            Decision::Allow(admission) => {
                self.admission = Some(Arc::new(admission));
                let gone_on = handshake.admit(&self.local, out).and_then(|step| self.go_on(step));
                gone_on.map_err(|error| self.fail(error))
            }
            Decision::Refuse(status, reason) => {
                if status != AuthStatus::NotNow {
                    command::push_error(out, status.text());
                }
                Err(self.fail(ProtocolError::NotLetIn(status, reason)))
            }
        }
    }

    /// What everything is encrypted with from the end of the handshake on, if it is; once.
    pub(crate) fn take_boxes(&mut self) -> Option<Box<Boxes>> {
        self.boxes.take()
    }

    /// Takes the body of a command frame that came after the handshake.
    ///
    /// Answers PING, but leaves a [question](Self::take_asked) to the caller, and ignores what other patterns and later
    /// versions may say. `true`: the command is for the socket, which takes notes.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::MalformedCommand`]; [`ProtocolError::UnexpectedCommand`] on a second READY;
    /// [`ProtocolError::ReservedFlags`] from a peer of ZMTP 2.0, which has none; [`ProtocolError::RefusedByPeer`] on ERROR, which answers our READY when the peer sent its own first.
    pub(crate) fn handle_command(&mut self, body: &[u8], out: &mut Outbox) -> Result<bool, ProtocolError> {
        let answered = match (&self.phase, &mut self.heartbeat) {
            (Phase::Traffic(_), Some(heartbeat)) => match answer(body, heartbeat, out) {
                Ok(Said::Answer(question)) => {
                    self.asides.get_or_insert_default().answer = Some(question);
                    Ok(false)
                }
                Ok(Said::Question(question)) => {
                    self.asides.get_or_insert_default().asked = Some(question);
                    Ok(false)
                }
                Ok(Said::Going(received)) => {
                    self.asides.get_or_insert_default().going = Some(received);
                    Ok(false)
                }
                Ok(Said::Topic) => Ok(self.local.socket_type.takes_notes()),
                Ok(Said::Nothing) => Ok(false),
                Err(error) => Err(error),
            },
            (Phase::Traffic(_), None) => Err(ProtocolError::ReservedFlags(frame::COMMAND)),
            (Phase::Failed(error), _) => Err(*error),
            (
                Phase::Greeting(_) | Phase::Handshake { .. } | Phase::Judged { .. } | Phase::RoutingId(_),
                _,
            ) => Err(ProtocolError::UnexpectedCommand),
        };
        answered.map_err(|error| self.fail(error))
    }

    /// Tells the peer why it is not wanted, if its version has a word for that. That its name belongs to another is for
    /// those only who do not take it for final.
    pub(crate) fn refuse(&self, refusal: Refusal, out: &mut Outbox) {
        let Some(peer) = self.peer().filter(|peer| peer.knows_commands()) else { return };
        let reason = match refusal {
            Refusal::Closed => "Closed",
            Refusal::NameHandedOver => command::ROUTING_ID_HANDED_OVER,
            Refusal::NameInUse => command::ROUTING_ID_IN_USE,
        };
        if refusal == Refusal::Closed || takes_names_lightly(&self.local, peer) {
            command::push_error(out, reason);
        }
    }

    /// Tells the peer of a subscription or of the end of one, in the form that its version knows, while `out`
    /// holds nothing else.
    pub(crate) fn tell_topic(&self, is_subscribe: bool, topic: &[u8], out: &mut Outbox) {
        match self.peer() {
            Some(peer) if peer.knows_topics() => command::push_topic(out, is_subscribe, topic),
            Some(_) => self.push_message(&[&[u8::from(is_subscribe)], topic], out),
            None => return,
        }
        out.count_as_unasked();
    }

    /// Asks whether the peer has taken what it was told before: a PING with this number in its context. `false`: a peer
    /// of this version would not answer.
    pub(crate) fn ask(&self, question: u64, out: &mut Outbox) -> bool {
        let Some(heartbeat) = self.heartbeat.as_ref().filter(|_| self.peer().is_some_and(Peer::knows_topics))
        else {
            return false;
        };
        command::push_question(out, heartbeat.ttl_tenths(), question);
        true
    }

    /// The last question that the peer has answered, once.
    pub(crate) fn take_answer(&mut self) -> Option<u64> {
        self.asides.as_mut()?.answer.take()
    }

    /// The last question of the peer whether what it has said before was taken, once. Only the last one has to be answered.
    pub(crate) fn take_asked(&mut self) -> Option<u64> {
        self.asides.as_mut()?.asked.take()
    }

    /// Answers a question of the peer.
    pub(crate) fn answer(&self, question: u64, out: &mut Outbox) {
        command::push_answer(out, question);
    }

    /// Whether the peer knows last words: those of a PING.
    pub(crate) fn knows_last_words(&self) -> bool {
        self.peer().is_some_and(Peer::knows_heartbeats)
    }

    /// Says last words: see [`LastWords`](crate::wire::LastWords). Also to a peer that has broken the protocol.
    pub(crate) fn say_last(&self, received: u64, out: &mut Outbox) {
        command::push_going(out, received);
    }

    /// How many messages the peer has received, if it has said that it goes.
    pub(crate) fn last_words(&self) -> Option<u64> {
        self.asides.as_ref()?.going
    }

    /// Sends a message of one frame, whose body is the parts in a row, between those of the application.
    pub(crate) fn push_message(&self, parts: &[&[u8]], out: &mut Outbox) {
        if self.peer().is_some_and(Peer::is_zmtp1) {
            out.push_zmtp1_message(parts);
        } else {
            out.push_message(parts);
        }
    }

    /// The message, framed as in later versions, that a peer of ZMTP 1.0 means without saying it: its subscriptions
    /// stay with it, so that a publisher has to send everything (RFC 13, "A subscriber SHALL NOT send any content").
    pub(crate) fn unsaid(&self) -> &'static [u8] {
        let is_publisher = matches!(self.local.socket_type, SocketType::Pub | SocketType::XPub);
        if is_publisher && self.peer().is_some_and(Peer::is_zmtp1) { b"\0\x01\x01" } else { b"" }
    }

    /// The peer, once its handshake is through and until the connection fails.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        match &self.phase {
            Phase::Traffic(peer) => Some(peer),
            Phase::Failed(_)
            | Phase::Greeting(_)
            | Phase::Handshake { .. }
            | Phase::Judged { .. }
            | Phase::RoutingId(_) => None,
        }
    }

    /// Whether [`handle_timeout`](Self::handle_timeout) should be called without waiting for a deadline.
    pub(crate) fn wants_timer(&self) -> bool {
        self.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.has_news())
    }

    /// Looks after heartbeats, which begin with the traffic, of peers that know them: see
    /// [`Heartbeat::handle_timeout`].
    ///
    /// # Errors
    ///
    /// [`Silent`] when the peer is taken for gone.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        signs: Signs,
        out: &mut Outbox,
    ) -> Result<Option<Instant>, Silent> {
        match &mut self.heartbeat {
            Some(heartbeat) => heartbeat.handle_timeout(now, signs, out),
            None => Ok(None),
        }
    }

    /// Has a peer that knows heartbeats show soon that it is there: see [`Heartbeat::doubt`]. `false`: it knows none.
    pub(crate) fn doubt(&mut self, now: Instant, signs: Signs, out: &mut Outbox) -> bool {
        if !self.peer().is_some_and(Peer::knows_heartbeats) {
            return false;
        }
        self.heartbeat.as_mut().is_some_and(|heartbeat| {
            heartbeat.doubt(now, signs, out);
            true
        })
    }

    /// How long the answer to a PING took last.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.heartbeat.as_ref()?.round_trip()
    }

    fn take_handshake(
        &mut self,
        octets: &mut &[u8],
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), ProtocolError> {
        loop {
            match &mut self.phase {
                Phase::Greeting(greeting) => {
                    let Some(greeted) = greeting.take(octets, &self.local, out)? else { return Ok(()) };
                    self.phase = match greeted {
                        Greeted::Current(version) => {
                            let handshake = Handshake::start(&self.local, out)?;
                            Phase::Handshake { version, command: command::Incoming::new(), handshake }
                        }
                        Greeted::One(begun) => Phase::RoutingId(old::Incoming::one(&self.local, begun)),
                        Greeted::Two(socket_type) => Phase::RoutingId(old::Incoming::two(socket_type)),
                    };
                }
                Phase::Handshake { version, command, handshake } => {
                    let taken = command.take(octets).inspect_err(|error| {
                        if matches!(error, ProtocolError::CommandTooLarge(_)) {
                            command::push_error(out, command::TOO_LARGE); // it would come again, as long as it is
                        }
                    });
                    let Some(mut body) = taken? else { return Ok(()) };
                    *command = command::Incoming::new();
                    match handshake.handle_command(&self.local, *version, &mut body, now, out)? {
                        Step::Waits => {}
                        step @ (Step::Asks(_) | Step::Done(..)) => self.go_on(step)?,
                    }
                }
                Phase::RoutingId(routing_id) => {
                    let Some(peer) = routing_id.take(octets)? else { return Ok(()) };
                    enter_name(&self.local, &peer, None)?; // there is no word for it
                    self.phase = self.begin_traffic(peer);
                }
                Phase::Judged { .. } | Phase::Traffic(_) => return Ok(()),
                Phase::Failed(error) => return Err(*error),
            }
        }
    }

    /// Goes from the handshake, or from waiting for a verdict, to what comes next.
    fn go_on(&mut self, step: Step) -> Result<(), ProtocolError> {
        let failed = Phase::Failed(ProtocolError::UnexpectedCommand);
        let (Phase::Handshake { version, handshake, .. } | Phase::Judged { version, handshake, .. }) =
            std::mem::replace(&mut self.phase, failed)
        else {
            return Err(ProtocolError::UnexpectedCommand);
        };
        self.phase = match step {
            Step::Asks(question) => Phase::Judged { version, handshake, question },
            Step::Done(mut peer, boxes) => {
                peer.admission = self.admission.take();
                self.boxes = boxes;
                self.begin_traffic(peer)
            }
            Step::Waits => Phase::Handshake { version, command: command::Incoming::new(), handshake },
        };
        Ok(())
    }

    fn begin_traffic(&mut self, peer: Peer) -> Phase {
        let settings = || (&*self.local.options).into();
        self.heartbeat = peer.knows_commands().then(|| Box::new(Heartbeat::new(settings())));
        Phase::Traffic(peer)
    }

    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.phase = Phase::Failed(error);
        self.heartbeat = None;
        error
    }

    /// Octets of memory that the peer has made us hold.
    #[cfg(test)]
    pub(super) fn held_octets(&self) -> usize {
        match &self.phase {
            Phase::Greeting(greeting) => greeting.held_octets(),
            Phase::Handshake { command, .. } => command.held_octets(),
            Phase::RoutingId(routing_id) => routing_id.held_octets(),
            Phase::Judged { .. } | Phase::Traffic(_) | Phase::Failed(_) => 0,
        }
    }
}

/// Why a connection ends that had begun to carry messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// This side wants it so.
    Closed,
    /// The peer's name belongs to a newer connection.
    NameHandedOver,
    /// The peer's name belongs to another peer.
    NameInUse,
}

/// What a command of the traffic phase leaves to do.
enum Said {
    Answer(u64),
    Going(u64),
    Nothing,
    Question(u64),
    /// For the socket.
    Topic,
}

/// Answers a command of the traffic phase, or leaves it at that.
fn answer(body: &[u8], heartbeat: &mut Heartbeat, out: &mut Outbox) -> Result<Said, ProtocolError> {
    match Command::parse(body)? {
        Command::Ping { ttl_tenths, context } => {
            heartbeat.on_ping(ttl_tenths);
            command::push_pong(out, context);
        }
        Command::Question { ttl_tenths, question } => {
            heartbeat.on_ping(ttl_tenths);
            return Ok(Said::Question(question));
        }
        // Not answered: nobody would hear it, and the kernel there would answer with a reset.
        Command::Going(received) => return Ok(Said::Going(received)),
        Command::Pong => heartbeat.on_pong(),
        Command::Answer(question) => return Ok(Said::Answer(question)),
        Command::Topic => return Ok(Said::Topic),
        Command::Other => {}
        Command::Error(reason) => return Err(command::refusal(reason)),
        Command::Ready(_) => return Err(ProtocolError::UnexpectedCommand),
    }
    Ok(Said::Nothing)
}
