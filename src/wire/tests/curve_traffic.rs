//! What is said behind CURVE's handshake: C-13 to C-15, C-33 to C-40.

use super::curve::{connected, vector};
use super::*;
use crate::wire::{Boxes, Opener};

fn boxes(pair: &mut Pair) -> [Boxes; 2] {
    let [(client, _), (server, _)] = &mut pair.ends;
    [*client.take_boxes().unwrap(), *server.take_boxes().unwrap()]
}

fn seal(boxes: &mut Boxes, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let start = boxes.sealer.begin(flags, body.len(), &mut out).unwrap();
    out.extend_from_slice(body);
    boxes.sealer.end(start, &mut out);
    out
}

/// The body of a frame in short form.
fn body_of(frame: &[u8]) -> Vec<u8> {
    assert_eq!((frame[0], usize::from(frame[1])), (0, frame.len() - 2));
    frame[2..].to_vec()
}

fn open(opener: &mut Opener, body: &[u8]) -> Result<(u8, Vec<u8>), ProtocolError> {
    let mut body = body.to_vec();
    opener.open(&mut body).map(|(flags, body)| (flags, body.to_vec()))
}

#[test]
fn messages_are_what_libsodium_makes_of_them() {
    // C-13, C-36, C-37, C-38, D16: numbers go on behind the handshake's.
    let [mut client, mut server] = boxes(&mut connected());
    let octets: Vec<u8> = (0..300).map(|octet| octet as u8).collect();
    for (flags, plain, from_client, name) in
        [(1, &b"hello"[..], true, "MESSAGE"), (4, b"\x04PING\0\0", true, "CMD"), (0, &octets, false, "BIG")]
    {
        let (from, to) = if from_client { (&mut client, &mut server) } else { (&mut server, &mut client) };
        let sealed = seal(from, flags, plain);
        let expected = body("MESSAGE", &vector(name));
        let header = sealed.len() - expected.len();
        assert_eq!(sealed[header..], expected);
        assert_eq!(open(&mut to.opener, &expected), Ok((flags, plain.to_vec())));
    }
}

#[test]
fn what_was_said_once_is_not_heard_twice() {
    // C-15, C-34, C-36, B-02: each of a hundred, at each later time; and one's own words sent back.
    let [mut client, mut server] = boxes(&mut connected());
    let frames: Vec<Vec<u8>> = (0..100_u8).map(|number| body_of(&seal(&mut client, 0, &[number]))).collect();
    for (number, frame) in frames.iter().enumerate() {
        assert_eq!(open(&mut server.opener, frame), Ok((0, vec![number as u8])));
        for old in &frames[..=number] {
            assert_eq!(open(&mut server.opener, old), Err(ProtocolError::Repeated));
        }
        assert_eq!(open(&mut client.opener, frame), Err(ProtocolError::Undecipherable), "reflected");
    }
    // C-40: numbers count only when the tag is right.
    let mut forged = frames[0].clone();
    forged[8..16].copy_from_slice(&u64::MAX.to_be_bytes());
    assert_eq!(open(&mut server.opener, &forged), Err(ProtocolError::Undecipherable));
    let next = body_of(&seal(&mut client, 0, b"next"));
    assert_eq!(open(&mut server.opener, &next), Ok((0, b"next".to_vec())));
}

#[test]
fn a_message_with_any_bit_flipped_is_refused() {
    // C-39
    let [mut client, mut server] = boxes(&mut connected());
    let frame = body_of(&seal(&mut client, 0, b"hello, world"));
    for bit in 0..frame.len() * 8 {
        let mut flipped = frame.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&mut server.opener, &flipped).is_err(), "bit {bit}");
    }
    for length in 0..frame.len() {
        assert!(open(&mut server.opener, &frame[..length]).is_err(), "{length}");
    }
    for clear in [&b"hello"[..], b"", b"\x05READY", b"\x07MESSAGe", b"\x04PING\0\0"] {
        assert_eq!(open(&mut server.opener, clear), Err(ProtocolError::UnexpectedCommand), "C-33");
    }
    assert_eq!(open(&mut server.opener, &frame), Ok((0, b"hello, world".to_vec())));
}

#[test]
fn flags_inside_of_the_box_are_checked() {
    // C-37, C-38, D16: 0 to 2 mean something, a command with MORE does not, nor does any other bit.
    let [mut client, mut server] = boxes(&mut connected());
    for flags in 0..=255_u8 {
        let mut out = Vec::new();
        let start = client.sealer.begin(0, 0, &mut out).unwrap();
        *out.last_mut().unwrap() = flags;
        client.sealer.end(start, &mut out);
        let expected = match flags {
            0 => Ok((0, vec![])),
            1 => Ok((1, vec![])),
            2 => Ok((4, vec![])),
            3 => Err(ProtocolError::CommandWithMore),
            _ => Err(ProtocolError::ReservedFlags(flags)),
        };
        assert_eq!(open(&mut server.opener, &body_of(&out)), expected);
    }
}

#[test]
fn bodies_of_every_size_come_back() {
    let [mut client, mut server] = boxes(&mut connected());
    for size in (0..600).chain([1 << 16, (1 << 20) + 1]) {
        let plain: Vec<u8> = (0..size).map(|at| (at * 7) as u8).collect();
        let sealed = seal(&mut client, 0, &plain);
        let header = sealed.len() - plain.len() - 33;
        assert!(open(&mut server.opener, &sealed[header..]) == Ok((0, plain)), "{size}");
    }
}
