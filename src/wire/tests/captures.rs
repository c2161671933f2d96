//! The captures, with the state machine in our place: what the peer says decodes to what is written there, at every
//! cut, and what we say is what is written there.

#[path = "../../../interop-tests/captures/mod.rs"]
mod reader;

use std::collections::VecDeque;

use reader::{Conversation, Step};

use super::*;
use crate::frame::{Header, encode_header, zmtp1};
use crate::options::PlainCredentials;

/// The octets of each side up to its last of the handshake, and what comes behind it.
fn split(conversation: &Conversation) -> (Vec<u8>, Vec<u8>, VecDeque<Step>) {
    let mut steps: VecDeque<Step> = conversation.steps.clone().into();
    let (mut peer, mut ours) = (Vec::new(), Vec::new());
    while let Some(Step::Ours(_) | Step::Peer(_)) = steps.front() {
        match steps.pop_front() {
            Some(Step::Ours(octets)) => ours.extend(octets),
            Some(Step::Peer(octets)) => peer.extend(octets),
            _ => unreachable!("looked at just before"),
        }
    }
    (peer, ours, steps)
}

fn local_of(conversation: &Conversation) -> Local {
    let socket_type = SocketType::from_name(conversation.socket_type.as_bytes()).unwrap();
    let security = match &conversation.plain {
        Some((name, password)) => {
            guarded(Settings::PlainClient(PlainCredentials::new(name, password).unwrap()))
        }
        None => local(socket_type).security,
    };
    Local { options: named(&conversation.routing_id), security, ..local(socket_type) }
}

#[test]
fn each_version_is_there() {
    let names: Vec<String> = reader::all(env!("CARGO_MANIFEST_DIR"))
        .iter()
        .map(|conversation| conversation.name.split(':').next().unwrap().to_owned())
        .collect();
    for name in ["zmtp-1.0", "zmtp-2.0", "zmtp-3.0-null", "zmtp-3.1-null"] {
        assert_eq!(names.iter().filter(|it| *it == name).count(), 3, "{name}");
    }
    assert!(names.iter().any(|it| it == "zmtp-3.1-plain"));
}

#[test]
fn handshakes_are_the_same_at_every_cut() {
    for conversation in reader::all(env!("CARGO_MANIFEST_DIR")) {
        let (peer, ours, _) = split(&conversation);
        let outcome = every_cut(local_of(&conversation), &peer);
        assert_eq!(outcome.sent, ours, "{}", conversation.name);
        let met = outcome.peer();
        assert_eq!((met.major, met.minor), conversation.version, "{}", conversation.name);
    }
}

#[test]
fn what_follows_decodes_and_encodes_as_it_is_written() {
    for conversation in reader::all(env!("CARGO_MANIFEST_DIR")) {
        let name = &conversation.name;
        let (peer, _, steps) = split(&conversation);
        let mut out = Outbox::new();
        let mut connection = Connection::new(local_of(&conversation), &mut out);
        let taken = connection.handle_octets(&peer, now(), &mut out).unwrap();
        out.advance(out.len());
        let is_zmtp1 = conversation.version.0 == 1;
        let (mut said, mut heard): (Vec<u8>, Vec<u8>) = (Vec::new(), peer[taken..].to_vec());
        for step in steps {
            match step {
                Step::Peer(octets) => {
                    heard.extend(octets);
                    while heard.get(..2).is_some_and(|start| !is_zmtp1 && start[0] == 4) {
                        let end = 2 + usize::from(heard[1]);
                        let Some(command) = heard.get(2..end) else { break };
                        connection.handle_command(command, &mut out).unwrap();
                        heard.drain(..end);
                    }
                }
                Step::Recv(frames) => {
                    while decode(is_zmtp1, &mut heard) != frames {
                        assert!(!heard.is_empty(), "{name}: {frames:02x?}");
                    }
                }
                Step::Ours(octets) => {
                    said.extend_from_slice(out.octets());
                    out.advance(out.len());
                    assert_eq!(said.get(..octets.len()), Some(&octets[..]), "{name}");
                    said.drain(..octets.len());
                }
                // A publisher sends what is wanted, and all of these topics say what that is.
                Step::Send(frames) if frames[0] == b"other" => {}
                Step::Send(frames) => said.extend(encode(is_zmtp1, &frames)),
                Step::Subscribe(topic) => connection.tell_topic(true, &topic, &mut out),
                Step::Unsubscribe(topic) => connection.tell_topic(false, &topic, &mut out),
                Step::Subscribers(count) => {
                    assert_eq!(count, 1, "{name}");
                    heard.clear();
                }
            }
        }
        assert_eq!((said, out.octets()), (Vec::new(), &b""[..]), "{name}");
    }
}

/// Takes a message off the front.
fn decode(is_zmtp1: bool, octets: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    loop {
        let header = if is_zmtp1 {
            zmtp1::check(zmtp1::parse(octets).unwrap().unwrap()).unwrap()
        } else {
            Header::parse(octets).unwrap().check(u64::MAX).unwrap()
        };
        let body = header.header_octets..header.header_octets + header.body_octets as usize;
        frames.push(octets[body.clone()].to_vec());
        octets.drain(..body.end);
        if !header.has_more() {
            return frames;
        }
    }
}

fn encode(is_zmtp1: bool, frames: &[Vec<u8>]) -> Vec<u8> {
    let frame = |(at, body): (usize, &Vec<u8>)| {
        let has_more = at + 1 < frames.len();
        if is_zmtp1 {
            let (header, octets) = zmtp1::encode(has_more, body.len() as u64);
            [&header[..octets], body].concat()
        } else {
            let (header, octets) = encode_header(u8::from(has_more), body.len());
            [&header[..octets], body].concat()
        }
    };
    frames.iter().enumerate().flat_map(frame).collect()
}
