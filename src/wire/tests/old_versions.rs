//! ZMTP 1.0 and 2.0: Z-16, Z-20, Z-21, Z-23, B-01, B-03; RFC 13, RFC 15, RFC 37 "Backwards Interoperability".

use std::time::{Duration, Instant};

use super::super::{Refusal, Signs};
use super::*;
use crate::options::PlainCredentials;
use crate::options::{HeartbeatInterval, Options};

/// Types with a number in RFC 15, in its order.
const RFC15: [SocketType; 9] = [
    SocketType::Pair,
    SocketType::Pub,
    SocketType::Sub,
    SocketType::Req,
    SocketType::Rep,
    SocketType::Dealer,
    SocketType::Router,
    SocketType::Pull,
    SocketType::Push,
];

fn local_named(socket_type: SocketType, routing_id: &[u8]) -> Local {
    Local { options: named(routing_id), ..local(socket_type) }
}

/// A frame of ZMTP 1.0, in short form if it fits.
fn frame1(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len() + 1) {
        Ok(length) if length < 0xFF => [&[length, flags], body].concat(),
        _ => long_frame1(flags, body),
    }
}

fn long_frame1(flags: u8, body: &[u8]) -> Vec<u8> {
    [&[0xFF], &(body.len() as u64 + 1).to_be_bytes()[..], &[flags], body].concat()
}

/// The greeting of a ZMTP 2.0 peer: signature, revision, socket type, routing id.
fn greeting2(revision: u8, code: u8, routing_id: &[u8]) -> Vec<u8> {
    let octets = u8::try_from(routing_id.len()).unwrap();
    [b"\xff\0\0\0\0\0\0\0\0\x7f", &[revision, code, 0, octets][..], routing_id].concat()
}

/// What we send before anything is known.
fn signature(routing_id_octets: u8) -> [u8; 10] {
    [0xFF, 0, 0, 0, 0, 0, 0, 0, routing_id_octets + 1, 0x7F]
}

#[test]
fn a_peer_of_zmtp_1_is_known_by_its_first_octets() {
    // Z-23: "If this first octet is not %FF, then the other peer is using ZMTP 1.0"; "if the least significant bit is
    // 0, then the other peer is using ZMTP 1.0". RFC 13: "The flags octet of an identity frame SHALL not be validated".
    let longest = vec![7; 255];
    for routing_id in [&b""[..], b"a", b"ab", &longest[..252], &longest[..253], &longest[..254], &longest] {
        // libzmq 2 sets flags that mean nothing.
        for frame in [0, 0x7E]
            .into_iter()
            .flat_map(|flags| [frame1(flags, routing_id), long_frame1(flags, routing_id)])
        {
            let outcome = every_cut(SocketType::Pull, &[&frame[..], b"\x02\0m"].concat());
            assert_eq!(outcome.result, Ok(frame.len()), "the message is left to the caller");
            let peer = outcome.peer();
            assert_eq!((peer.major, peer.minor, &peer.routing_id[..]), (1, 0, routing_id));
            assert!(peer.properties.is_empty());
            assert_eq!(outcome.sent, signature(0));
        }
    }
}

#[test]
fn our_signature_is_the_header_of_our_routing_id_in_zmtp_1() {
    // RFC 37: "we have already sent 10 octets, which the other peer interprets as the start of an identity frame. We
    // continue by sending the body of the identity frame (zero or more octets)."
    for &socket_type in SocketType::ALL {
        let announces = matches!(socket_type, SocketType::Dealer | SocketType::Req | SocketType::Router);
        let routing_id = if announces { &b"me"[..] } else { b"" };
        let outcome = every_cut(local_named(socket_type, b"me"), b"\x01\0");
        let ours = [&signature(routing_id.len() as u8), routing_id].concat();
        assert_eq!(outcome.sent, ours);
        let theirs = crate::frame::zmtp1::parse(&ours).unwrap().unwrap();
        assert_eq!(theirs.body_octets, routing_id.len() as u64);
    }
}

#[test]
fn the_type_of_a_peer_of_zmtp_1_is_one_that_ours_may_talk_to() {
    // RFC 13: "There is no exchange or validation of content types in the wire format."
    for &ours in SocketType::ALL.iter().filter(|ours| !ours.is_raw()) {
        assert!(ours.talks_to(every_cut(ours, b"\x01\0").peer().socket_type));
    }
}

#[test]
fn a_peer_of_zmtp_2_is_known_by_its_revision() {
    // Z-23: "If this is 1 or 2, we have a ZMTP 2.0 peer."
    let longest = vec![7; 255];
    for revision in [1, 2] {
        for routing_id in [&b""[..], b"a", &longest] {
            let greeting = greeting2(revision, 8, routing_id);
            let outcome =
                every_cut(local_named(SocketType::Pull, b"me"), &[&greeting[..], b"\0\x01m"].concat());
            assert_eq!(outcome.result, Ok(greeting.len()), "the message is left to the caller");
            let peer = outcome.peer();
            assert_eq!((peer.major, peer.minor, &peer.routing_id[..]), (2, 0, routing_id));
            assert_eq!(peer.socket_type, SocketType::Push);
            // Our version, then what RFC 15 has.
            assert_eq!(outcome.sent, [&signature(0)[..], &[3, 7, 0, 0]].concat());
        }
    }
    // A long header with a small size is legal (F-09).
    let long = [&greeting2(1, 8, b"")[..12], b"\x02\0\0\0\0\0\0\0\x02ab"].concat();
    assert_eq!(&every_cut(SocketType::Pull, &long).peer().routing_id[..], b"ab");
}

#[test]
fn a_peer_of_zmtp_2_hears_our_type_and_routing_id_behind_its_revision() {
    for sent in 0..=14 {
        let outcome = feed(local_named(SocketType::Dealer, b"me"), &greeting2(1, 6, b"")[..sent], []);
        assert_eq!((outcome.result, outcome.peer.is_some()), (Ok(sent), sent == 14));
        let ours = [&signature(2)[..], &[3, 5, 0, 2], b"me"].concat();
        let heard = match sent {
            0..10 => 10,
            10 => 11,
            _ => ours.len(),
        };
        assert_eq!(outcome.sent, &ours[..heard]);
    }
}

#[test]
fn the_matrix_of_socket_types_is_enforced_in_zmtp_2_without_a_word() {
    // N-21. RFC 15: "Any other socket combinations SHOULD be handled by silently disconnecting the other peer".
    for &ours in SocketType::ALL {
        for code in 0..=255 {
            let outcome = every_cut(ours, &greeting2(1, code, b""));
            // libzmq's own XPUB and XSUB say 9 and 10.
            let theirs = match code {
                9 => Some(SocketType::XPub),
                10 => Some(SocketType::XSub),
                _ => RFC15.get(usize::from(code)).copied(),
            };
            let expected = match theirs {
                Some(theirs) if ours.talks_to(theirs) => Ok(14),
                Some(theirs) => Err(ProtocolError::IncompatibleSocketTypes(theirs)),
                None => Err(ProtocolError::UnknownSocketType),
            };
            assert_eq!(outcome.result, expected, "{ours:?} {code}");
            // "XPUB and XSUB sockets are implemented at the protocol level as PUB and SUB sockets."
            let known = ours.name().trim_start_matches('X');
            let ours = RFC15.iter().position(|it| it.name() == known).map_or(11, |at| at as u8);
            assert_eq!(outcome.sent, [&signature(0)[..], &[3, ours, 0, 0]].concat());
        }
    }
}

#[test]
fn routing_ids_that_nobody_may_have_are_refused() {
    // D11. RFC 13: "Identities SHOULD NOT start with a zero octet"; "Peers MAY reject identities".
    let too_long = vec![7; 256];
    for frame in [frame1(0, b"\0"), frame1(0, b"\0abcd"), long_frame1(0, &too_long)] {
        assert_eq!(every_cut(SocketType::Pull, &frame).error(), ProtocolError::MalformedMetadata);
    }
    for (frame, error) in [
        (&b"\0\x01\0"[..], ProtocolError::MalformedMetadata),
        (b"\x02\0\0\0\0\0\0\x01\0", ProtocolError::MalformedMetadata),
        (b"\x02\x80\0\0\0\0\0\0\0", ProtocolError::FrameTooLarge(1 << 63)),
        (b"\x01\x01a", ProtocolError::UnexpectedCommand),
        (b"\x04\x01a", ProtocolError::UnexpectedCommand),
        (b"\x08\x01a", ProtocolError::ReservedFlags(8)),
    ] {
        let stream = [&greeting2(1, 8, b"")[..12], frame].concat();
        assert_eq!(every_cut(SocketType::Pull, &stream).error(), error);
    }
    // Before any of it is held: a size that no routing id has.
    for length in [0_u64, 257, 1 << 32, u64::MAX] {
        let stream = [&[0xFF], &length.to_be_bytes()[..], &[0]].concat();
        let error = if length == 0 { ProtocolError::FrameTooShort } else { ProtocolError::MalformedMetadata };
        assert_eq!(every_cut(SocketType::Pull, &stream).error(), error);
    }
}

#[test]
fn other_protocols_are_not_taken_for_zmtp_1() {
    // B-12: nothing that they say may become a message.
    for stream in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\0\x2f\x01\0\0\x2b\x03\x03",
        b"SSH-2.0-OpenSSH_9.7\r\n",
        b"EHLO localhost\r\n",
        b"\r\n\r\n",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"\x10\x0c\0\x04MQTT",
        b"\x05\x7f",
    ] {
        let outcome = every_cut(SocketType::Pull, stream);
        assert_eq!(outcome.error(), ProtocolError::InvalidGreeting);
        assert_eq!(outcome.peer, None);
    }
}

/// A connection of `ours` with a peer of this version; the outbox is empty.
fn in_old_traffic(ours: SocketType, major: u8) -> (Connection, Outbox) {
    let options = Options {
        heartbeat_interval: HeartbeatInterval::every(Duration::from_secs(1)),
        ..Options::default()
    };
    let mut out = Outbox::new();
    let mut connection = Connection::new(Local { options: options.into(), ..local(ours) }, &mut out);
    let theirs = ours.peers()[0].revision_1();
    let stream = if major == 1 { b"\x01\0".to_vec() } else { greeting2(1, theirs, b"") };
    assert_eq!(connection.handle_octets(&stream, now(), &mut out), Ok(stream.len()));
    assert_eq!(connection.peer().unwrap().major, major);
    out.advance(out.len());
    (connection, out)
}

#[test]
fn old_peers_hear_no_command() {
    // Z-17, RFC 15: "A SUB socket sends a subscription message as one byte %x01 followed by the subscription body".
    for major in [1, 2] {
        let (mut connection, mut out) = in_old_traffic(SocketType::Sub, major);
        // H-01: heartbeats are options of ours, and no words of theirs.
        assert!(!connection.wants_timer());
        let later = Instant::now() + Duration::from_secs(3600);
        assert_eq!(connection.handle_timeout(later, Signs::default(), &mut out), Ok(None));
        connection.refuse(Refusal::Closed, &mut out);
        assert!(out.is_empty());
        connection.tell_topic(true, b"A", &mut out);
        connection.tell_topic(false, b"A", &mut out);
        connection.tell_topic(true, b"", &mut out);
        assert!(!out.is_full());
        connection.tell_topic(true, &[7; 300], &mut out);
        let body = [&[1][..], &[7; 300]].concat();
        let long = match major {
            1 => long_frame1(0, &body),
            _ => [&[2], &301_u64.to_be_bytes()[..], &body].concat(),
        };
        let short: &[u8] = match major {
            1 => b"\x03\0\x01A\x03\0\0A\x02\0\x01",
            _ => b"\0\x02\x01A\0\x02\0A\0\x01\x01",
        };
        assert_eq!(out.octets(), [short, &long].concat());
    }
}

#[test]
fn a_command_of_a_peer_that_has_none_is_refused() {
    // RFC 15: "Bits 2-7 are reserved for future use and MUST be zero."
    for commanded in commands() {
        let (mut connection, mut out) = in_old_traffic(SocketType::Pull, 2);
        let refused = Err(ProtocolError::ReservedFlags(4));
        assert_eq!(connection.handle_command(&commanded, &mut out), refused);
        assert!(out.is_empty());
        assert_eq!(connection.peer(), None);
    }
}

fn commands() -> [Vec<u8>; 4] {
    [body("PING", b"\0\0"), body("READY", b""), body("SUBSCRIBE", b"A"), body("FOO", b"")]
}

#[test]
fn a_subscriber_of_zmtp_1_wants_everything() {
    // RFC 13: "A subscriber SHALL NOT send any content", and so it cannot tell what it wants.
    for &ours in SocketType::ALL.iter().filter(|ours| !ours.is_raw()) {
        for major in [1, 2] {
            let is_publisher = [SocketType::Pub, SocketType::XPub].contains(&ours);
            let expected: &[u8] = if is_publisher && major == 1 { b"\0\x01\x01" } else { b"" };
            assert_eq!(in_old_traffic(ours, major).0.unsaid(), expected);
        }
    }
}

/// Sockets that demand more than NULL: by their mechanism, or because somebody is asked about each peer.
fn demanding() -> Vec<Local> {
    let credentials = PlainCredentials::new("me", "secret").unwrap();
    let all = [
        guarded(Settings::Null),
        guarded(Settings::PlainServer),
        guarded(Settings::PlainClient(credentials)),
        #[cfg(feature = "curve")]
        guarded(curve::server()),
        #[cfg(feature = "curve")]
        guarded(curve::client()),
    ];
    let named = |security| Local { security, ..local_named(SocketType::Router, b"me") };
    all.into_iter().map(named).collect()
}

#[test]
fn a_socket_that_demands_security_never_falls_back() {
    // Z-20, Z-21, B-01, B-03: "If the implementation's security mechanism is anything other than NULL, and it detects
    // a ZMTP 1.0 or 2.0 peer, it MUST immediately close the connection." No octet behind the one that tells counts.
    let starts: [(&[u8], ProtocolError); 10] = [
        (b"\x01\0", ProtocolError::InvalidGreeting),
        (b"\x05\0abcd", ProtocolError::InvalidGreeting),
        (b"\x01", ProtocolError::InvalidGreeting),
        (b"\xff\0\0\0\0\0\0\0\x01\0", ProtocolError::UnsupportedVersion(1)),
        (b"\xff\0\0\0\0\0\0\0\x01\x7e", ProtocolError::UnsupportedVersion(1)),
        (b"\xff\0\0\0\0\0\0\0\0\x7f\0", ProtocolError::UnsupportedVersion(0)),
        (b"\xff\0\0\0\0\0\0\0\0\x7f\x01", ProtocolError::UnsupportedVersion(1)),
        (b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05\0\0", ProtocolError::UnsupportedVersion(1)),
        (b"\xff\0\0\0\0\0\0\0\0\x7f\x02", ProtocolError::UnsupportedVersion(2)),
        (b"\xff\0\0\0\0\0\0\0\x01\x7f\x02\x05\0\0", ProtocolError::UnsupportedVersion(2)),
    ];
    let mut random = Random(0xD0);
    for local in demanding() {
        for (start, error) in starts {
            let ours = feed(local.clone(), b"", []).sent;
            assert_eq!(ours.len(), 64);
            every_cut(local.clone(), start);
            for _ in 0..1000 {
                // With messages of either framing, or anything else, behind it.
                let tail = match random.below(3) {
                    0 => frame1(0, b"hello"),
                    1 => b"\0\x05hello".to_vec(),
                    _ => random.octets(40),
                };
                let outcome = feed(local.clone(), &[start, &tail].concat(), [start.len()]);
                let refused = Outcome { result: Err(error), peer: None, sent: ours.clone() };
                assert_eq!(outcome, refused);
            }
        }
    }
}

#[test]
fn a_socket_that_demands_a_mechanism_takes_no_other() {
    // Z-19, Z-21: "asking for a less secure mechanism than the application has requested".
    let ready = ready(&[("Socket-Type", b"DEALER")]);
    for local in demanding() {
        let ours = local.security.settings.mechanism().name();
        let others =
            ["NULL", "PLAIN", "CURVE", "GSSAPI", "null", "NULLX", "NULL ", "NULL\0X", "CURVEZMQ", ""];
        for name in others.into_iter().filter(|name| *name != ours) {
            for minor in [0, 1] {
                let stream = [&greeting(3, minor, name.as_bytes())[..], &ready].concat();
                let outcome = every_cut(local.clone(), &stream);
                assert_eq!(outcome.error(), ProtocolError::MechanismMismatch);
                assert_eq!((outcome.peer.as_ref(), outcome.sent.len()), (None, 64));
            }
        }
    }
}
