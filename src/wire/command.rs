//! Commands: the frames that the two ends say to each other, not to their applications.
//!
//! Parses a body into what mechanisms and heartbeats act on, gathers a command of the handshake from
//! octets in any cut, and builds ours. A size is compared with the limit before room is made for a body.
//!
//! Source: RFC 37, "Formal Grammar": name length, name, data (D2).
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use smallvec::SmallVec;

use crate::error::{AuthStatus, ProtocolError, Reason};
use crate::frame::{COMMAND, HEADER_MAX, Header};
use crate::limits;
use crate::wire::outbox::Outbox;

/// A command of the peer, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// The peer gives up; its reason may be a status of RFC 27, else it is for logs.
    Error(&'a [u8]),
    /// Anything that parses and means nothing here: other patterns' and later versions' commands.
    Other,
    /// The answer to such a question.
    Answer(u64),
    /// A PING whose context says that the peer goes: see [`push_going`].
    Going(u64),
    /// The answer to a heartbeat.
    Pong,
    /// SUBSCRIBE or CANCEL: for the socket.
    Topic,
    /// A heartbeat, to be answered with the same context of up to 16 octets. Its TTL is in tenths of a second.
    Ping { ttl_tenths: u16, context: &'a [u8] },
    /// A PING whose context says that it is a question: see [`push_question`].
    Question { ttl_tenths: u16, question: u64 },
    /// The peer is ready; its metadata, still encoded.
    Ready(&'a [u8]),
}

impl<'a> Command<'a> {
    /// Parses the body of a command frame.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::MalformedCommand`] when the name or, for a known command, the data break the grammar.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let (name, data) = split_name(body).ok_or(ProtocolError::MalformedCommand)?;
        if name == ERROR.as_bytes() {
            return match data {
                [reason_octets, reason @ ..] if usize::from(*reason_octets) == reason.len() => {
                    Ok(Self::Error(reason))
                }
                _ => Err(ProtocolError::MalformedCommand),
            };
        }
        if name == PING.as_bytes() {
            return match data {
                [high, low, context @ ..] => {
                    let context = context.get(..PING_CONTEXT_MAX).unwrap_or(context);
                    let ttl_tenths = u16::from_be_bytes([*high, *low]);
                    if let Some(received) = number_behind(GOING, context) {
                        return Ok(Self::Going(received));
                    }
                    Ok(match question(context) {
                        Some(question) => Self::Question { ttl_tenths, question },
                        None => Self::Ping { ttl_tenths, context },
                    })
                }
                _ => Err(ProtocolError::MalformedCommand),
            };
        }
        Ok(match name {
            b"PONG" => question(data).map_or(Self::Pong, Self::Answer),
            b"READY" => Self::Ready(data),
            b"SUBSCRIBE" | b"CANCEL" => Self::Topic,
            _ => Self::Other,
        })
    }
}

/// A command frame of the handshake, as far as it has come.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The flags and the size.
    Header(SmallVec<[u8; HEADER_MAX]>),
    /// The body, of `wanted` octets in the end.
    Body { wanted: usize, octets: Vec<u8> },
    /// A body that is too long. It is refused when so many more of its octets have come: whoever sends no more than a
    /// header is not to hear a longer answer (E-21).
    TooLong { announced: u64, left: usize },
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self::Header(SmallVec::new())
    }

    /// Takes what belongs to the frame off the front of `input`; the body when it is complete.
    ///
    /// # Errors
    ///
    /// What [`Header::check`] finds, [`ProtocolError::UnexpectedCommand`] for a message,
    /// [`ProtocolError::CommandTooLarge`] behind as many octets as [`TOO_LARGE`] takes to be said; in all cases none of
    /// the body is held.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, ProtocolError> {
        if let Self::Header(held) = self {
            let header = loop {
                if let Some(header) = Header::parse(held) {
                    break header;
                }
                let Some((octet, rest)) = input.split_first() else { return Ok(None) };
                held.push(*octet);
                *input = rest;
            };
            *self = match check(header) {
                Err(ProtocolError::CommandTooLarge(announced)) => {
                    Self::TooLong { announced, left: error_octets(TOO_LARGE) }
                }
                wanted => Self::Body { wanted: wanted?, octets: Vec::new() },
            };
        }
        match self {
            Self::Header(_) => unreachable!("a header became a body just above"),
            Self::Body { wanted, octets } => {
                let missing = *wanted - octets.len();
                let (mine, rest) = input.split_at(missing.min(input.len()));
                grow(octets, mine.len(), *wanted);
                octets.extend_from_slice(mine);
                *input = rest;
                Ok((octets.len() == *wanted).then(|| std::mem::take(octets)))
            }
            Self::TooLong { announced, left } => {
                let (mine, rest) = input.split_at((*left).min(input.len()));
                *left -= mine.len();
                *input = rest;
                if *left == 0 { Err(ProtocolError::CommandTooLarge(*announced)) } else { Ok(None) }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn held_octets(&self) -> usize {
        match self {
            Self::Header(held) => held.capacity(),
            Self::Body { octets, .. } => octets.capacity(),
            Self::TooLong { .. } => 0,
        }
    }
}

/// Sends READY with encoded metadata.
pub(super) fn push_ready(out: &mut Outbox, metadata: &[u8]) {
    out.push_command(READY, &[metadata]);
}

/// Sends ERROR with a reason of up to 255 visible characters.
pub(super) fn push_error(out: &mut Outbox, reason: &'static str) {
    let Ok(reason_octets) = u8::try_from(reason.len()) else {
        unreachable!("reasons are literals of this module's users, all under 256 octets")
    };
    out.push_command(ERROR, &[&[reason_octets], reason.as_bytes()]);
}

/// Octets of the frame of such an ERROR.
pub(super) const fn error_octets(reason: &str) -> usize {
    2 + 1 + ERROR.len() + 1 + reason.len()
}

/// Asks for a sign of life, without a context.
pub(super) fn push_ping(out: &mut Outbox, ttl_tenths: u16) {
    out.push_command(PING, &[&ttl_tenths.to_be_bytes()]);
}

/// Asks whether everything before this was taken, by a PING that anybody answers with its context. Whoever knows what is
/// meant answers when it is so; no heartbeat has such a context.
pub(super) fn push_question(out: &mut Outbox, ttl_tenths: u16, question: u64) {
    out.push_command(PING, &[&ttl_tenths.to_be_bytes(), QUESTION, &question.to_be_bytes()]);
}

/// Answers such a question.
pub(super) fn push_answer(out: &mut Outbox, question: u64) {
    out.push_command(PONG, &[QUESTION, &question.to_be_bytes()]);
}

/// Says that this side goes, and how many messages of the peer it has received: the last frame before the end. A PING,
/// which every peer of ZMTP 3.1 takes; whoever knows what is meant does not answer it.
pub(super) fn push_going(out: &mut Outbox, received: u64) {
    out.push_command(PING, &[&[0, 0], GOING, &received.to_be_bytes()]);
}

/// What the last octets of a connection say, if they are such a frame.
pub(super) fn going(octets: &[u8]) -> Option<u64> {
    let data = octets.strip_prefix(&[COMMAND, 23, 4])?.strip_prefix(PING.as_bytes())?;
    number_behind(GOING, data.strip_prefix(&[0, 0])?)
}

/// The question that a context stands for, if it does.
fn question(context: &[u8]) -> Option<u64> {
    number_behind(QUESTION, context)
}

fn number_behind(prefix: &[u8], context: &[u8]) -> Option<u64> {
    context.strip_prefix(prefix)?.try_into().ok().map(u64::from_be_bytes)
}

/// Answers a PING.
pub(super) fn push_pong(out: &mut Outbox, context: &[u8]) {
    out.push_command(PONG, &[context]);
}

/// Sends SUBSCRIBE or CANCEL.
pub(super) fn push_topic(out: &mut Outbox, is_subscribe: bool, topic: &[u8]) {
    out.push_command(if is_subscribe { SUBSCRIBE } else { CANCEL }, &[topic]);
}

/// What an ERROR with this reason means.
pub(super) fn refusal(reason: &[u8]) -> ProtocolError {
    match AuthStatus::from_text(reason) {
        Some(status) => ProtocolError::NotLetInByPeer(status),
        None if reason == ROUTING_ID_IN_USE.as_bytes() => ProtocolError::RoutingIdRefused,
        None if reason == ROUTING_ID_HANDED_OVER.as_bytes() => ProtocolError::RoutingIdTakenOver,
        None => ProtocolError::RefusedByPeer(Reason::from_octets(reason)),
    }
}

/// The name, 1 to 255 letters, and the data behind it.
pub(super) fn split_name(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name_octets, rest) = body.split_first()?;
    let (name, data) = rest.split_at_checked(usize::from(*name_octets))?;
    (!name.is_empty() && name.iter().all(u8::is_ascii_alphabetic)).then_some((name, data))
}

/// The octets of the body that the header of a handshake command announces.
fn check(header: Header) -> Result<usize, ProtocolError> {
    let header = header.check(u64::MAX)?;
    if !header.is_command() {
        return Err(ProtocolError::UnexpectedCommand);
    }
    match usize::try_from(header.body_octets) {
        Ok(octets) if header.body_octets <= limits::HANDSHAKE_COMMAND_MAX => Ok(octets),
        _ => Err(ProtocolError::CommandTooLarge(header.body_octets)),
    }
}

/// Makes room for `more` octets: by doubling, but never beyond what the whole body takes.
fn grow(octets: &mut Vec<u8>, more: usize, wanted: usize) {
    let needed = octets.len() + more;
    if needed > octets.capacity() {
        let target = needed.max(2 * octets.capacity()).min(wanted);
        octets.reserve_exact(target - octets.len());
    }
}

/// The reason of an ERROR that is not final: see [`ProtocolError::RoutingIdRefused`].
pub(super) const ROUTING_ID_IN_USE: &str = "Routing-Id-In-Use";

/// The same, of a connection that stood: see [`ProtocolError::RoutingIdTakenOver`].
pub(super) const ROUTING_ID_HANDED_OVER: &str = "Routing-Id-Handed-Over";

/// The reason for a peer whose metadata is too long: a reason has no spaces.
pub(super) const TOO_LARGE: &str = "Handshake-Command-Too-Large";

const CANCEL: &str = "CANCEL";
const ERROR: &str = "ERROR";
const PING: &str = "PING";
const PONG: &str = "PONG";
const READY: &str = "READY";
const SUBSCRIBE: &str = "SUBSCRIBE";

/// What the context of a question begins with.
const QUESTION: &[u8] = b"peermq??";

/// What the context of the last PING begins with.
const GOING: &[u8] = b"peermq--";

/// Most octets that a PING may ask to have echoed; of more, the first come back, as libzmq does it (H-04).
const PING_CONTEXT_MAX: usize = 16;
