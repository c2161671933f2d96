//! One connection's protocol state, from the first octet to the last command.
//!
//! ```text
//!             64 octets, our mechanism        READY, a type we talk to
//!  new ─▶ Greeting ─────────────────▶ Handshake ───────────────▶ Traffic ─┐ PING: PONG
//!   │        │ we send READY             │                          │  ▲  │ other: ignored
//!   we send  │                           │                          │  └──┘
//!   the      └───────────────┬───────────┴──────────────────────────┘
//!   greeting                 ▼ anything else
//!                          Failed
//! ```
//!
//! The driver feeds it the octets of the handshake and the bodies of later command frames; it frames and
//! delivers messages itself. Source: RFC 37, "Overall Behavior".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use crate::error::ProtocolError;
use crate::wire::command::{self, Command};
use crate::wire::greeting::{self, Version};
use crate::wire::heartbeat::{Heartbeat, Signs, Silent};
use crate::wire::mechanism::{Name, null};
use crate::wire::metadata::{Local, Peer};
use crate::wire::outbox::Outbox;

/// One connection's protocol state.
#[derive(Debug)]
pub(crate) struct Connection {
    local: Local,
    phase: Phase,
    heartbeat: Heartbeat,
}

#[derive(Debug)]
enum Phase {
    /// The peer's greeting is coming in.
    Greeting(greeting::Incoming),
    /// Its first command is.
    Handshake { version: Version, command: command::Incoming },
    /// Both READYs are through.
    Traffic(Peer),
    /// Over, and why: every further call returns the same.
    Failed(ProtocolError),
}

impl Connection {
    /// Starts a connection and puts our greeting into `out`, whole.
    pub(crate) fn new(local: Local, out: &mut Outbox) -> Self {
        greeting::push(out, Name::NULL);
        let heartbeat = Heartbeat::new(local.heartbeat);
        Self { local, phase: Phase::Greeting(greeting::Incoming::default()), heartbeat }
    }

    /// Takes octets of the handshake, in any cut, and returns how many it consumed.
    ///
    /// Consumes all of them until the handshake ends, and nothing behind it: what follows the peer's READY is
    /// traffic. Holds one greeting, or one command of up to `HANDSHAKE_COMMAND_MAX` octets.
    ///
    /// # Errors
    ///
    /// The first thing that the peer did wrong, or its refusal. The caller writes what is in `out`, which may
    /// end with an ERROR command, and closes.
    pub(crate) fn handle_octets(&mut self, octets: &[u8], out: &mut Outbox) -> Result<usize, ProtocolError> {
        let mut rest = octets;
        match self.take_handshake(&mut rest, out) {
            Ok(()) => Ok(octets.len() - rest.len()),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Takes the body of a command frame that came after the handshake.
    ///
    /// Answers PING, and ignores what other patterns and later versions may say. `true`: the command is for
    /// the socket, which takes notes.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::MalformedCommand`]; [`ProtocolError::UnexpectedCommand`] on a second READY;
    /// [`ProtocolError::RefusedByPeer`] on ERROR, which answers our READY when the peer sent its own first.
    pub(crate) fn handle_command(&mut self, body: &[u8], out: &mut Outbox) -> Result<bool, ProtocolError> {
        let answered = match self.phase {
            Phase::Traffic(_) => {
                let answered = answer(body, &mut self.heartbeat, out);
                answered.map(|is_note| is_note && self.local.socket_type.takes_notes())
            }
            Phase::Failed(error) => Err(error),
            Phase::Greeting(_) | Phase::Handshake { .. } => Err(ProtocolError::UnexpectedCommand),
        };
        answered.map_err(|error| self.fail(error))
    }

    /// Tells the peer that it is not wanted.
    pub(crate) fn refuse(&self, out: &mut Outbox) {
        command::push_error(out, "Closed");
    }

    /// Tells the peer of a subscription or of the end of one, in the form that its version knows, while `out`
    /// holds nothing else. A peer of ZMTP 3.0 gets a message (Z-17).
    pub(crate) fn tell_topic(&self, is_subscribe: bool, topic: &[u8], out: &mut Outbox) {
        match self.peer() {
            Some(Peer { major: 3, minor: 0, .. }) => out.push_message(&[&[u8::from(is_subscribe)], topic]),
            Some(_) => command::push_topic(out, is_subscribe, topic),
            None => return,
        }
        out.count_as_unasked();
    }

    /// The peer, once both READYs are through and until the connection fails.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        match &self.phase {
            Phase::Traffic(peer) => Some(peer),
            Phase::Greeting(_) | Phase::Handshake { .. } | Phase::Failed(_) => None,
        }
    }

    /// Whether [`handle_timeout`](Self::handle_timeout) should be called without waiting for a deadline.
    pub(crate) fn wants_timer(&self) -> bool {
        self.heartbeat.has_news() && self.peer().is_some()
    }

    /// Looks after heartbeats, which begin with the traffic: see [`Heartbeat::handle_timeout`].
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
        match self.phase {
            Phase::Traffic(_) => self.heartbeat.handle_timeout(now, signs, out),
            Phase::Greeting(_) | Phase::Handshake { .. } | Phase::Failed(_) => Ok(None),
        }
    }

    fn take_handshake(&mut self, octets: &mut &[u8], out: &mut Outbox) -> Result<(), ProtocolError> {
        loop {
            self.phase = match &mut self.phase {
                Phase::Greeting(greeting) => {
                    let Some(version) = greeting.take(octets, Name::NULL)? else { return Ok(()) };
                    null::start(&self.local, out);
                    Phase::Handshake { version, command: command::Incoming::new() }
                }
                Phase::Handshake { version, command } => {
                    let Some(body) = command.take(octets)? else { return Ok(()) };
                    let command = Command::parse(&body)?;
                    Phase::Traffic(null::handle_command(&self.local, *version, &command, out)?)
                }
                Phase::Traffic(_) => return Ok(()),
                Phase::Failed(error) => return Err(*error),
            };
        }
    }

    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.phase = Phase::Failed(error);
        error
    }

    /// Octets of memory that the peer has made us hold.
    #[cfg(test)]
    pub(super) fn held_octets(&self) -> usize {
        match &self.phase {
            Phase::Greeting(greeting) => greeting.held_octets(),
            Phase::Handshake { command, .. } => command.held_octets(),
            Phase::Traffic(_) | Phase::Failed(_) => 0,
        }
    }
}

/// Answers a command of the traffic phase, or leaves it at that. `true`: it is for the socket.
fn answer(body: &[u8], heartbeat: &mut Heartbeat, out: &mut Outbox) -> Result<bool, ProtocolError> {
    match Command::parse(body)? {
        Command::Ping { ttl_tenths, context } => {
            heartbeat.on_ping(ttl_tenths);
            command::push_pong(out, context);
        }
        Command::Topic => return Ok(true),
        Command::Other => {}
        Command::Error => return Err(ProtocolError::RefusedByPeer),
        Command::Ready(_) => return Err(ProtocolError::UnexpectedCommand),
    }
    Ok(false)
}
