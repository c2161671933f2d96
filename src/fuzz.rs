//! What must hold whatever a peer says, a file holds, or a program sets: each as a function of octets, for the fuzzer
//! in `interop-tests/fuzz` and for seeded tests. There with the feature `bench-internals` only, which is no part of the
//! interface.
//!
//! A function returns, or panics because something does not hold.
#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "what does not hold ends the run"
)]

use std::sync::Arc;
use std::time::Instant;

use crate::endpoint::Endpoint;
use crate::error::{AuthStatus, ProtocolError, Reason};
use crate::frame::{COMMAND, Header, LONG, MORE};
use crate::limits::TRAFFIC_COMMAND_MAX;
use crate::message::{Frame, Message};
use crate::options::{
    AddressRanges, CurveKeyPair, CurvePublicKey, Decision, DeviceName, Options, PlainCredentials, Security,
    ZapDomain,
};
use crate::pipe::{self, Chores, Consumer};
use crate::routing::{Removed, Seat, Topics};
use crate::routing_id::RoutingId;
use crate::session::zap;
use crate::socket_type::SocketType;
use crate::wire::{self, Connection, Local, Outbox};

/// A name, and what is to hold.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("commands", commands),
    ("endpoints", endpoints),
    ("frames", frames),
    ("handshakes", handshakes),
    ("metadata", metadata),
    ("options", options),
    ("sealed", sealed),
    ("topics", topics),
    ("tampering", tampering),
    ("zap", zap_replies),
];

/// Decisions out of octets.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn octet(&mut self) -> u8 {
        let Some((octet, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *octet
    }

    fn below(&mut self, end: usize) -> usize {
        let number = usize::from(self.octet()) << 8 | usize::from(self.octet());
        if end == 0 { 0 } else { number % end }
    }

    fn octets(&mut self, most: usize) -> &'a [u8] {
        let count = self.below(most + 1).min(self.0.len());
        let (octets, rest) = self.0.split_at(count);
        self.0 = rest;
        octets
    }

    /// Growing offsets into so many octets.
    fn cuts(&mut self, octets: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = (0..self.octet() % 8).map(|_| self.below(octets + 1)).collect();
        cuts.sort_unstable();
        cuts.push(octets);
        cuts
    }
}

/// As good as random, and always the same: so the other side of a handshake can be known.
fn random(room: &mut [u8]) -> bool {
    for (octet, value) in room.iter_mut().zip(0x51_u8..) {
        *octet = value.wrapping_mul(167);
    }
    true
}

/// One side, which has connected or was connected to.
fn local(socket_type: SocketType, settings: Security, routing_id: &[u8], is_accepted: bool) -> Local {
    Local {
        socket_type,
        options: Arc::new(Options { routing_id: RoutingId::from_peer(routing_id), ..Options::default() }),
        security: wire::Security::new(Arc::new(settings), true, is_accepted, random),
        naming: None,
        comes_back: !is_accepted,
    }
}

/// The two sides of each mechanism.
fn sides(number: u8) -> [Security; 2] {
    let keys = |secret| CurveKeyPair::from_secret_bytes([secret; 32]);
    match number % 3 {
        0 => [Security::Null, Security::Null],
        1 => {
            let alice = PlainCredentials::new("alice", "secret").unwrap_or_else(|_| unreachable!("short"));
            [Security::PlainClient(alice), Security::PlainServer]
        }
        _ => {
            let server_key = keys(2).public_key();
            [Security::CurveClient { keys: keys(1), server_key }, Security::CurveServer { keys: keys(2) }]
        }
    }
}

/// One end of a conversation, and what it says.
struct End {
    connection: Connection,
    out: Outbox,
    decision: Decision,
}

impl End {
    fn new(local: Local, decision: Decision) -> Self {
        let mut out = Outbox::new();
        Self { connection: Connection::new(local, &mut out), out, decision }
    }

    /// Takes octets, as a session does; how many.
    fn take(&mut self, octets: &[u8], now: Instant) -> Result<usize, ProtocolError> {
        let mut taken = 0;
        loop {
            let rest = octets.get(taken..).unwrap_or_default();
            taken += self.connection.handle_octets(rest, now, &mut self.out)?;
            if self.connection.question().is_none() {
                return Ok(taken);
            }
            self.connection.handle_verdict(self.decision.clone(), &mut self.out)?;
        }
    }

    fn say(&mut self) -> Vec<u8> {
        let octets = self.out.octets().to_vec();
        self.out.advance(octets.len());
        octets
    }
}

/// What became of a stream: as many octets were taken, or it was refused; what was answered.
fn outcome(
    local: &Local,
    decision: &Decision,
    stream: &[u8],
    cuts: &[usize],
    now: Instant,
) -> (Result<usize, ProtocolError>, bool, Vec<u8>) {
    let mut end = End::new(local.clone(), decision.clone());
    let (mut taken, mut from) = (0, 0);
    for &cut in cuts {
        let piece = stream.get(from..cut).unwrap_or_default();
        from = cut;
        match end.take(piece, now) {
            Ok(count) => {
                taken += count;
                assert!(count == piece.len() || end.connection.peer().is_some(), "it stopped halfway");
            }
            Err(error) => {
                assert_eq!(end.take(b"x", now), Err(error), "an error is final");
                assert!(end.connection.peer().is_none());
                return (Err(error), false, end.say());
            }
        }
    }
    let is_ready = end.connection.peer().is_some();
    (Ok(taken), is_ready, end.say())
}

/// Any octets to each mechanism and role, greeted or not: every cut comes to the same, and nobody is let in who
/// should not be.
pub fn handshakes(data: &[u8]) {
    let mut source = Source(data);
    let (mechanism, role, is_greeted) = (source.octet(), source.octet() % 2, source.octet() % 4 > 0);
    let settings = sides(mechanism)[usize::from(role)].clone();
    let local = local([SocketType::Push, SocketType::Pull][usize::from(role)], settings, b"", role == 1);
    let statuses = [AuthStatus::Failed, AuthStatus::NotNow, AuthStatus::Refused];
    let decision = match source.octet() % 6 {
        number @ 0..3 => Decision::Refuse(statuses[usize::from(number)], Reason::NONE),
        _ => Decision::allow_as("somebody"),
    };
    let cuts = source.octet();
    let mut stream = Vec::new();
    if is_greeted {
        let other = sides(mechanism)[1 - usize::from(role)].clone();
        let other = self::local(SocketType::Pair, other, b"", role == 0);
        // All of it, which is heard when the first octets of ours were.
        let mut other = End::new(other, Decision::allow());
        let mut ours = End::new(local.clone(), Decision::allow());
        _ = other.take(&ours.say(), Instant::now());
        stream = other.say();
        _ = ours.take(&stream, Instant::now());
        _ = other.take(&ours.say(), Instant::now());
        stream.extend(other.say());
        stream.truncate(64);
    }
    stream.extend_from_slice(source.0);
    let now = Instant::now();
    let whole = outcome(&local, &decision, &stream, &[stream.len()], now);
    let mut source = Source(data);
    source.0 = source.0.get(usize::from(cuts % 5)..).unwrap_or_default();
    assert_eq!(outcome(&local, &decision, &stream, &source.cuts(stream.len()), now), whole);
    assert!(!(whole.1 && role == 1 && matches!(decision, Decision::Refuse(..))), "refused, and let in");
}

/// Two of ours, with somebody in between who edits what they say. With CURVE an edit ends it: who is ready has heard
/// what the other has said.
pub fn tampering(data: &[u8]) {
    let mut source = Source(data);
    let mechanism = source.octet();
    let [client, server] = sides(mechanism);
    let id = source.octets(255).to_vec();
    let id = if id.first() == Some(&0) { &[][..] } else { &id };
    let mut ends = [(SocketType::Dealer, client, id), (SocketType::Router, server, &b""[..])].map(
        |(kind, settings, id)| {
            End::new(local(kind, settings, id, kind == SocketType::Router), Decision::allow_as("somebody"))
        },
    );
    let now = Instant::now();
    let (mut is_edited, mut is_over) = (false, false);
    for _ in 0..12 {
        for from in [0, 1] {
            let mut octets = ends[from].say();
            if !octets.is_empty() && source.octet() % 16 == 1 {
                let before = octets.clone();
                edit(&mut octets, &mut source);
                is_edited |= octets != before;
            }
            is_over |= !octets.is_empty() && ends[1 - from].take(&octets, now).is_err();
        }
    }
    let [client, server] = &ends;
    if !is_edited {
        assert!(!is_over && client.connection.peer().is_some() && server.connection.peer().is_some());
    }
    if let Some(peer) = server.connection.peer().filter(|_| mechanism % 3 == 2) {
        assert_eq!(peer.routing_id, id, "an edit of what was sealed has come through");
    }
}

fn edit(octets: &mut Vec<u8>, source: &mut Source<'_>) {
    let at = source.below(octets.len());
    match source.octet() % 4 {
        0 => octets[at] ^= 1 << (source.octet() % 8),
        1 => octets.truncate(at),
        2 => drop(octets.splice(at..at, source.octets(300).iter().copied())),
        _ => drop(octets.drain(at..(at + source.below(64)).min(octets.len()))),
    }
}

/// Frames behind CURVE's handshake, some of them changed, repeated or left out: what opens is what was sealed, in
/// order.
pub fn sealed(data: &[u8]) {
    let mut source = Source(data);
    let [client, server] = sides(2);
    let mut ends = [(SocketType::Push, client), (SocketType::Pull, server)].map(|(kind, settings)| {
        End::new(local(kind, settings, b"", kind == SocketType::Pull), Decision::allow())
    });
    let now = Instant::now();
    for _ in 0..4 {
        for from in [0, 1] {
            let octets = ends[from].say();
            assert_eq!(ends[1 - from].take(&octets, now), Ok(octets.len()));
        }
    }
    let [mut client, mut server] = ends.map(|mut end| end.connection.take_boxes().unwrap());
    let mut last = Vec::new();
    while !source.0.is_empty() {
        let flags = source.octet() & (MORE | COMMAND);
        let action = source.octet();
        let body = source.octets(2000);
        let mut frame = Vec::new();
        let start = client.sealer.begin(flags, body.len(), &mut frame).unwrap();
        frame.extend_from_slice(body);
        client.sealer.end(start, &mut frame);
        let header = Header::parse(&frame).unwrap();
        let mut sealed = frame.split_off(header.header_octets);
        let expected =
            if flags == MORE | COMMAND { Err(ProtocolError::CommandWithMore) } else { Ok((flags, body)) };
        match action % 8 {
            0 => {
                let at = source.below(sealed.len());
                sealed[at] ^= 1 << (source.octet() % 8);
                assert!(server.opener.open(&mut sealed).is_err(), "it was changed");
            }
            1 => {
                sealed.truncate(source.below(sealed.len()));
                assert!(server.opener.open(&mut sealed).is_err(), "it was cut");
            }
            2 => {
                assert!(last.is_empty() || server.opener.open(&mut last.clone()).is_err(), "it was repeated")
            }
            3 => {} // left out
            _ => {
                last.clone_from(&sealed);
                assert_eq!(server.opener.open(&mut sealed), expected);
            }
        }
    }
}

/// Octets behind a handshake: messages and commands come out as a decoder finds them that has all of them at once.
pub fn frames(data: &[u8]) {
    let mut source = Source(data);
    let max = if source.octet() % 2 == 0 { u64::MAX } else { u64::from(source.octet()) * 16 };
    let mut cuts = source.cuts(source.0.len());
    let stream = source.0;
    cuts.iter_mut().for_each(|cut| *cut = (*cut).min(stream.len()));
    let (producer, mut consumer) = pipe::pipe(None);
    let mut intake = producer.into_intake();
    let (mut messages, mut commands, mut from, mut error) = (Vec::new(), Vec::new(), 0, false);
    'all: for cut in cuts {
        let mut piece = stream.get(from..cut).unwrap_or_default();
        from = cut;
        while !piece.is_empty() {
            let Ok((mut room, _)) = intake.room() else { break 'all };
            let mut filled = 0;
            for slice in &mut room {
                let (now, rest) = piece.split_at(piece.len().min(slice.len()));
                for (place, octet) in slice.iter_mut().zip(now) {
                    *place = *octet;
                }
                filled += now.len();
                piece = rest;
            }
            intake.filled(filled);
            let skimmed = intake.skim(max, &mut Chores::of_turn(), |command| {
                commands.push(command.to_vec());
                Ok(false)
            });
            drain(&mut consumer, &mut messages);
            if skimmed.is_err() {
                error = true;
                break 'all;
            }
        }
    }
    let (expected, expected_commands, is_wrong) = decode(stream, max);
    assert_eq!((messages, error), (expected, is_wrong));
    assert_eq!(commands, expected_commands);
}

fn drain(consumer: &mut Consumer, messages: &mut Vec<Message>) {
    let mut message = Message::new();
    while consumer.try_recv(&mut message).is_ok() {
        messages.push(std::mem::take(&mut message));
    }
}

/// Whole messages, commands, and whether there is something wrong behind them.
fn decode(mut stream: &[u8], max: u64) -> (Vec<Message>, Vec<Vec<u8>>, bool) {
    let (mut messages, mut commands, mut parts) = (Vec::new(), Vec::new(), Vec::<Frame>::new());
    loop {
        let Some(&flags) = stream.first() else { return (messages, commands, false) };
        let (size, header) = if flags & LONG == 0 {
            let Some(size) = stream.get(1) else { return (messages, commands, false) };
            (u64::from(*size), 2)
        } else {
            let size = stream.get(1..9).and_then(<[u8]>::first_chunk);
            let Some(size) = size else { return (messages, commands, false) };
            (u64::from_be_bytes(*size), 9)
        };
        let is_command = flags & COMMAND != 0;
        let most = if is_command { TRAFFIC_COMMAND_MAX } else { max };
        let is_wrong = flags & !(COMMAND | LONG | MORE) != 0
            || is_command && flags & MORE != 0
            || size > most
            || size >= 1 << 63;
        if is_wrong {
            return (messages, commands, true);
        }
        let end = usize::try_from(size).ok().and_then(|size| size.checked_add(header));
        let Some(body) = end.and_then(|end| stream.get(header..end)) else {
            return (messages, commands, false);
        };
        stream = stream.get(header + body.len()..).unwrap_or_default();
        if is_command {
            commands.push(body.to_vec());
            continue;
        }
        parts.push(Frame::from(body));
        if flags & MORE == 0 {
            messages.extend(Message::from_frames(parts.drain(..)));
        }
    }
}

/// Commands behind a handshake: PING is answered with its context, an error is final, nothing else is said.
pub fn commands(data: &[u8]) {
    let mut ends = [SocketType::Push, SocketType::Pull]
        .map(|kind| End::new(local(kind, Security::Null, b"", kind == SocketType::Pull), Decision::allow()));
    let now = Instant::now();
    for _ in 0..3 {
        for from in [0, 1] {
            let said = ends[from].say();
            _ = ends[1 - from].take(&said, now);
        }
    }
    let [_, mut end] = ends;
    assert!(end.connection.peer().is_some());
    let mut source = Source(data);
    while !source.0.is_empty() {
        let body = source.octets(400).to_vec();
        let result = end.connection.handle_command(&body, &mut end.out);
        let said = end.say();
        match body.strip_prefix(b"\x04PING") {
            Some([_, _, ..]) if end.connection.take_asked().is_some() => assert!(said.is_empty()),
            Some([_, _, context @ ..]) if context.len() <= 16 => {
                assert!(said.ends_with(context) && said.len() == 7 + context.len());
            }
            Some(_) => assert!(result.is_err() && said.is_empty()),
            None => assert!(said.is_empty()),
        }
        if let Err(error) = result {
            let again = end.connection.handle_command(b"\x04PING\0\0", &mut end.out);
            assert_eq!(again.map(|_| ()), Err(error));
            return;
        }
    }
}

/// Metadata: what is taken says the same when it is said again.
pub fn metadata(data: &[u8]) {
    let Ok(properties) = wire::parse_metadata(data) else { return };
    let mut again = Vec::new();
    for (at, (name, value)) in properties.iter().enumerate() {
        assert!(!properties.iter().take(at).any(|(other, _)| other.eq_ignore_ascii_case(name)));
        again.push(u8::try_from(name.len()).unwrap());
        again.extend_from_slice(name.as_bytes());
        again.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        again.extend_from_slice(value);
    }
    assert_eq!(again, data);
}

/// A ZAP handler's answer: nobody is let in but by one that is as RFC 27 has it.
pub fn zap_replies(data: &[u8]) {
    let mut source = Source(data);
    let mut frames = Vec::new();
    while !source.0.is_empty() && frames.len() < 10 {
        // Mostly what makes sense there, or nobody would be let in.
        let frame: &[u8] = match (source.octet() % 8, frames.len()) {
            (0, _) => source.octets(300),
            (_, 0) => b"",
            (_, 1) => b"1.0",
            (_, 2) => b"7",
            (1, 3) => b"400",
            (_, 3) => b"200",
            (_, 4) => b"OK",
            (_, 5) => b"user",
            _ => b"\x01a\0\0\0\x01b",
        };
        frames.push(frame.to_vec());
    }
    let Some(reply) = Message::from_frames(frames.clone()) else { return };
    let Some((number, decision)) = zap::parse_reply(&reply) else { return };
    assert_eq!(frames[2], number.to_string().as_bytes());
    if let Decision::Allow(admission) = decision {
        assert!(frames.len() == 7 && frames[0].is_empty() && frames[1] == b"1.0" && frames[3] == b"200");
        assert!(frames[4].len() < 256 && frames[5] == admission.user_id().as_bytes());
    }
}

/// Endpoints: what is one is the same when it is written and read again.
pub fn endpoints(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let schemes = ["tcp://", "ipc://", "inproc://", "tcp://[", "ipc://@"];
    for scheme in [""].iter().chain(&schemes) {
        let Ok(endpoint) = format!("{scheme}{text}").parse::<Endpoint>() else { continue };
        assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
    }
}

/// Values of options: those that are taken are within their limits, and read as they were written.
pub fn options(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(id) = RoutingId::new(data) {
        assert!(id.as_bytes() == data && data.len() < 256 && data.first() != Some(&0));
    }
    if let Ok(key) = text.parse::<CurvePublicKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(keys) = CurveKeyPair::from_secret_text(&text) {
        assert_eq!(*keys.secret_text(), *text);
    }
    let (front, behind) = data.split_at(data.len() / 2);
    if let Ok(credentials) = PlainCredentials::new(front, behind) {
        assert!(credentials.username() == front && credentials.password() == behind && front.len() < 256);
    }
    if let Ok(domain) = ZapDomain::new(&text) {
        assert!(domain.name() == Some(&text) && !text.is_empty() && text.len() < 256);
    }
    _ = AddressRanges::new(text.split(','));
    _ = DeviceName::new(&text);
}

/// An index of subscriptions, against a list of them.
pub fn topics(data: &[u8]) {
    let (mut source, mut index, mut list) = (Source(data), Topics::new(), Vec::<(Seat, Vec<u8>)>::new());
    while !source.0.is_empty() {
        let (action, seat) = (source.octet() % 8, Seat::from(source.octet() % 4));
        // Of few letters, so that many begin alike.
        let topic: Vec<u8> = source.octets(12).iter().map(|octet| octet % 3).collect();
        let topic = if action >= 6 { topic.repeat(40) } else { topic };
        match action {
            0..=3 => {
                let is_first = !list.iter().any(|(_, held)| *held == topic);
                assert_eq!(index.add(seat, &topic), Ok(is_first));
                if !list.contains(&(seat, topic.clone())) {
                    list.push((seat, topic));
                }
            }
            4 | 6 => {
                let place = list.iter().position(|(other, held)| *other == seat && *held == topic);
                let removed = index.remove(seat, &topic);
                let Some(place) = place else {
                    assert_eq!(removed, Removed::Nothing);
                    continue;
                };
                list.swap_remove(place);
                let is_last = !list.iter().any(|(_, held)| *held == topic);
                assert_eq!(removed, Removed::Topic { is_last });
            }
            _ => {
                let mut expected: Vec<Seat> =
                    list.iter().filter(|(_, held)| topic.starts_with(held)).map(|(seat, _)| *seat).collect();
                let found = index.matches(&topic).flatten().copied();
                let mut found: Vec<Seat> = found.collect();
                for seats in [&mut expected, &mut found] {
                    seats.sort_unstable();
                    seats.dedup();
                }
                assert_eq!(found, expected);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splitmix64.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    #[test]
    fn each_target_holds_for_seeded_octets() {
        // B-12, B-39, B-56, P-10, C-10, C-28, C-39, A-11, S-05: a few hundred of each; more with PEERMQ_CASES.
        let cases = std::env::var("PEERMQ_CASES").map_or(200, |cases| cases.parse().unwrap());
        for (name, target) in TARGETS {
            let mut state = 0x5EED;
            for case in 0..cases {
                let octets = random(&mut state) % [8, 40, 400, 4000][case % 4];
                let few = random(&mut state) % 3 == 0;
                let data: Vec<u8> = (0..octets)
                    .map(|_| random(&mut state).to_le_bytes()[0] % if few { 8 } else { 255 })
                    .collect();
                println!("{name} {case}");
                target(&data);
            }
        }
    }

    #[test]
    fn a_conversation_that_nobody_edits_comes_to_its_end() {
        // Else the targets would look at refusals only.
        for mechanism in 0..3 {
            tampering(&[mechanism]);
        }
        sealed(&[0, 7, 0, 5, 1, 2, 3, 4, 5, 1, 7, 0, 1, 9]);
        assert!(decode(b"\0\x01a\x01\x01b\0\x01c\x04\x05\x04PONG", u64::MAX).0.len() == 2);
    }
}
