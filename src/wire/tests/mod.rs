//! The protocol against RFC 37, every vector in every cut.
//!
//! [`every_cut`] feeds one stream whole, octet by octet, split at each offset and at seeded random places, and
//! demands the same outcome; [`Pair`] connects two of our own. Clause ids are in the first comment of a test.
#![forbid(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "the vectors are short, the random octets meant to be cut"
)]

mod amplification;
mod captures;
#[cfg(feature = "curve")]
mod curve;
#[cfg(feature = "curve")]
mod curve_traffic;
mod fuzz_mechanisms;
mod hostile;
mod old_versions;
mod rfc24_plain;
mod rfc37_commands;
mod rfc37_greeting;
mod rfc37_heartbeat;
mod rfc37_metadata;
mod rfc37_null;

use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::metadata::Peer;
use super::{Connection, Local, Outbox, Security};
use crate::error::{ProtocolError, Reason};
use crate::limits;
use crate::options::{Decision, Options, Security as Settings};
use crate::routing_id::RoutingId;
use crate::socket_type::SocketType;

/// Most octets a connection may hold for its peer: the inline greeting, or one whole command.
const HELD_MAX: usize = limits::HANDSHAKE_COMMAND_MAX as usize;

/// What a stream of octets led to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    /// Octets consumed in all, or the error.
    result: Result<usize, ProtocolError>,
    peer: Option<Peer>,
    /// Everything we sent, the greeting included.
    sent: Vec<u8>,
}

impl Outcome {
    fn error(&self) -> ProtocolError {
        self.result.expect_err("the stream should have been refused")
    }

    fn peer(&self) -> &Peer {
        self.peer.as_ref().expect("the handshake should have ended")
    }

    /// What we sent behind the greeting.
    fn commands(&self) -> &[u8] {
        self.sent.get(64..).unwrap_or_default()
    }
}

impl From<SocketType> for Local {
    fn from(socket_type: SocketType) -> Self {
        local(socket_type)
    }
}

fn local(socket_type: SocketType) -> Local {
    Local {
        socket_type,
        options: Arc::default(),
        security: Security::none(),
        naming: None,
        comes_back: false,
    }
}

fn named(routing_id: &[u8]) -> Arc<Options> {
    Arc::new(Options { routing_id: RoutingId::from_peer(routing_id), ..Options::default() })
}

/// What a socket demands that asks somebody about its peers.
fn guarded(settings: Settings) -> Security {
    Security::new(settings.into(), true, true, random)
}

/// As good as random, and the same in every run of [`feed`].
fn random(room: &mut [u8]) -> bool {
    draw(0, 101, room)
}

fn draw(of: usize, step: u8, room: &mut [u8]) -> bool {
    RANDOM.with(|drawn| {
        let mut all = drawn.get();
        for octet in room {
            all[of] = all[of].wrapping_mul(181).wrapping_add(step);
            *octet = all[of];
        }
        drawn.set(all);
    });
    true
}

thread_local! {
    /// What was drawn last: by whoever has no other source, and by servers of CURVE.
    static RANDOM: Cell<[u8; 2]> = const { Cell::new([0; 2]) };
}

/// Feeds `stream` in the pieces that `cuts`, in ascending order, make of it. Whoever asks to be let in is.
fn feed(local: impl Into<Local>, stream: &[u8], cuts: impl IntoIterator<Item = usize>) -> Outcome {
    feed_judged(local, stream, cuts, &Decision::allow())
}

/// As [`feed`], with this verdict about whoever asks to be let in.
fn feed_judged(
    local: impl Into<Local>,
    stream: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    verdict: &Decision,
) -> Outcome {
    RANDOM.set([0; 2]);
    let mut out = Outbox::new();
    let mut connection = Connection::new(local.into(), &mut out);
    let mut result = Ok(0);
    let mut start = 0;
    for end in cuts.into_iter().chain([stream.len()]) {
        let piece = &stream[start..end];
        start = end;
        match take(&mut connection, piece, verdict, &mut out) {
            Ok(consumed) => {
                result = result.map(|before| before + consumed);
                assert!(
                    consumed == piece.len() || connection.peer().is_some(),
                    "stopped inside the handshake"
                );
            }
            Err(error) => {
                result = Err(error);
                assert_eq!(connection.handle_octets(b"x", now(), &mut out), Err(error), "an error is final");
                assert_eq!(connection.peer(), None);
                break;
            }
        }
        assert!(connection.held_octets() <= HELD_MAX, "{} octets held", connection.held_octets());
    }
    Outcome { result, peer: connection.peer().cloned(), sent: out.octets().to_vec() }
}

/// Takes octets, and the verdict when there is a question.
fn take(
    connection: &mut Connection,
    octets: &[u8],
    verdict: &Decision,
    out: &mut Outbox,
) -> Result<usize, ProtocolError> {
    let mut taken = 0;
    loop {
        taken += connection.handle_octets(&octets[taken..], now(), out)?;
        if connection.question().is_none() {
            return Ok(taken);
        }
        assert_eq!(connection.handle_octets(b"x", now(), out), Ok(0), "nothing comes in meanwhile");
        connection.handle_verdict(verdict.clone(), out)?;
    }
}

/// SPLIT: the outcome of `stream`, which must be the same in every cut.
#[track_caller]
fn every_cut(local: impl Into<Local>, stream: &[u8]) -> Outcome {
    let local = local.into();
    let feed = |stream: &[u8], cuts: &[usize]| feed(local.clone(), stream, cuts.iter().copied());
    let whole = feed(stream, &[]);
    let all: Vec<usize> = (1..stream.len()).collect();
    assert_eq!(feed(stream, &all), whole, "octet by octet");
    for cut in 0..=stream.len() {
        assert_eq!(feed(stream, &[cut]), whole, "cut at {cut}");
    }
    let mut random = Random(0x5eed);
    for _ in 0..16 {
        let mut cuts: Vec<usize> = (0..random.below(8)).map(|_| random.below(stream.len() + 1)).collect();
        cuts.sort_unstable();
        assert_eq!(feed(stream, &cuts), whole, "cut at {cuts:?}");
    }
    whole
}

/// The outcome for a PULL of a good greeting and `frames` behind it.
#[track_caller]
fn after_greeting(frames: &[u8]) -> Outcome {
    every_cut(SocketType::Pull, &[&greeting(3, 1, b"NULL"), frames].concat())
}

/// Two of our own connections and the octets between them.
struct Pair {
    ends: [(Connection, Outbox); 2],
}

impl Pair {
    fn new(a: SocketType, b: SocketType) -> Self {
        Self::of([local(a), local(b)])
    }

    fn of(locals: [Local; 2]) -> Self {
        RANDOM.set([0; 2]);
        Self {
            ends: locals.map(|local| {
                let mut out = Outbox::new();
                (Connection::new(local, &mut out), out)
            }),
        }
    }

    /// Carries up to `piece` octets at a time each way until both are silent.
    fn run(&mut self, piece: usize) -> [Result<(), ProtocolError>; 2] {
        self.record(piece, &mut [Vec::new(), Vec::new()])
    }

    /// As [`run`](Self::run), and keeps what each end has said.
    fn record(&mut self, piece: usize, said: &mut [Vec<u8>; 2]) -> [Result<(), ProtocolError>; 2] {
        let mut results = [Ok(()); 2];
        loop {
            let mut is_silent = true;
            for (from, to) in [(0, 1), (1, 0)] {
                let out = &mut self.ends[from].1;
                let octets = out.octets()[..piece.min(out.len())].to_vec();
                out.advance(octets.len());
                is_silent &= octets.is_empty();
                said[from].extend_from_slice(&octets);
                let (connection, out) = &mut self.ends[to];
                results[to] = take(connection, &octets, &Decision::allow_as("somebody"), out)
                    .map(|consumed| assert_eq!(consumed, octets.len(), "nothing follows READY here"));
            }
            if is_silent {
                return results;
            }
        }
    }

    fn peers(&self) -> [Option<&Peer>; 2] {
        [self.ends[0].0.peer(), self.ends[1].0.peer()]
    }
}

/// A PULL in its traffic phase, greeted by a PUSH of ZMTP 3.`minor`; the outbox is empty.
fn in_traffic(minor: u8) -> (Connection, Outbox) {
    let mut out = Outbox::new();
    let mut connection = Connection::new(local(SocketType::Pull), &mut out);
    let stream = [&greeting(3, minor, b"NULL")[..], &ready(&[("Socket-Type", b"PUSH")])].concat();
    assert_eq!(connection.handle_octets(&stream, now(), &mut out), Ok(stream.len()));
    out.advance(out.len());
    (connection, out)
}

/// What an ERROR with these words means.
fn refused(words: &str) -> ProtocolError {
    ProtocolError::RefusedByPeer(Reason::from_octets(words.as_bytes()))
}

/// A time that does not matter.
fn now() -> Instant {
    static NOW: OnceLock<Instant> = OnceLock::new();
    *NOW.get_or_init(Instant::now)
}

fn greeting(major: u8, minor: u8, mechanism: &[u8]) -> [u8; 64] {
    let mut octets = [0; 64];
    octets[0] = 0xFF;
    octets[9..12].copy_from_slice(&[0x7F, major, minor]);
    octets[12..12 + mechanism.len()].copy_from_slice(mechanism);
    octets
}

fn command(name: &str, data: &[u8]) -> Vec<u8> {
    frame(&body(name, data))
}

/// A command frame around a body of any kind.
fn frame(body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(size) => [&[4, size], body].concat(),
        Err(_) => [&[6], &(body.len() as u64).to_be_bytes()[..], body].concat(),
    }
}

/// The beginning of a command frame of this size, which is over the limit: it is refused at its last octet here.
fn too_long(size: u64) -> Vec<u8> {
    [&[6], &size.to_be_bytes()[..], &[b'x'; ERROR_TOO_LARGE.len()]].concat()
}

fn body(name: &str, data: &[u8]) -> Vec<u8> {
    [&[name.len() as u8], name.as_bytes(), data].concat()
}

fn property(name: &str, value: &[u8]) -> Vec<u8> {
    [&[name.len() as u8], name.as_bytes(), &(value.len() as u32).to_be_bytes(), value].concat()
}

fn metadata(properties: &[(&str, &[u8])]) -> Vec<u8> {
    properties.iter().flat_map(|(name, value)| property(name, value)).collect()
}

fn ready(properties: &[(&str, &[u8])]) -> Vec<u8> {
    command("READY", &metadata(properties))
}

/// Our READY as a whole frame: with the routing id where RFC 37 asks for it.
fn ready_of(socket_type: SocketType, routing_id: &[u8]) -> Vec<u8> {
    let name = ("Socket-Type", socket_type.name().as_bytes());
    let announces = matches!(socket_type, SocketType::Dealer | SocketType::Req | SocketType::Router);
    if announces { ready(&[name, ("Identity", routing_id)]) } else { ready(&[name]) }
}

/// Our READY for a PULL, and the ERROR that answers a wrong socket type.
const READY_PULL: &[u8] = b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PULL";
const ERROR_TOO_LARGE: &[u8] = b"\x04\x22\x05ERROR\x1bHandshake-Command-Too-Large";
const ERROR_SOCKET_TYPE: &[u8] = b"\x04\x18\x05ERROR\x11Wrong-Socket-Type";

/// Xorshift64: the same sequence in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
