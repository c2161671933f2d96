//! Z-01 to Z-24 as far as they can be seen without a socket.

use super::*;

/// RFC 37's greeting of a NULL peer, written out.
const G_NULL31: &[u8; 64] = b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Ours. "In this case the peer MAY use the padding field for older protocol detection": the size of an empty
/// routing id and its flags.
const O_NULL31: &[u8; 64] = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

const READY_PUSH: &[u8] = b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH";

fn greeted_with(octets: &[u8; 64]) -> Outcome {
    every_cut(SocketType::Pull, &[octets, READY_PUSH].concat())
}

#[test]
fn ours_begins_with_what_every_version_understands() {
    // Z-01, Z-10, Z-23: "Send a 10-octet pseudo-signature consisting of "%xFF size %x7F"".
    for &socket_type in SocketType::ALL {
        let mut out = Outbox::new();
        let connection = Connection::new(local(socket_type), &mut out);
        assert_eq!(out.octets(), &O_NULL31[..10]);
        assert_eq!(connection.peer(), None);
    }
}

#[test]
fn a_socket_that_never_falls_back_sends_64_octets_at_once() {
    // Z-01, Z-02, Z-03, Z-06, Z-07, Z-08, Z-10, Z-12, Z-13, Z-22: "When a peer does not need backwards
    // interoperability, it SHOULD send its full greeting immediately"; nor does its padding tell of a routing id.
    for &socket_type in SocketType::ALL {
        let mut out = Outbox::new();
        let security = guarded(Settings::Null);
        let options = named(b"id");
        let connection = Connection::new(Local { security, options, ..local(socket_type) }, &mut out);
        assert_eq!(out.octets(), G_NULL31);
        assert_eq!(connection.peer(), None);
    }
}

#[test]
fn one_greeting_is_sent_as_theirs_allows_it_and_ready_only_behind_the_whole_of_theirs() {
    // Z-01 to Z-08, Z-11, Z-18: "A peer announces precisely one security mechanism"; a stalling peer has all of
    // ours from its eleventh octet on.
    for sent in 0..=64 {
        let outcome = feed(SocketType::Pull, &greeting(3, 1, b"NULL")[..sent], []);
        assert_eq!(outcome.result, Ok(sent));
        let ours = match sent {
            0..10 => &O_NULL31[..10],
            10 => &O_NULL31[..11],
            _ => O_NULL31,
        };
        assert_eq!(&outcome.sent[..ours.len()], ours);
        assert_eq!(&outcome.sent[ours.len()..], if sent == 64 { READY_PULL } else { b"" });
    }
}

#[test]
fn two_of_ours_never_wait_for_each_other() {
    // Z-11, N-05: each peer sends before it waits.
    for piece in [1, 2, 3, 11, 63, 64, 65, 1000] {
        let mut pair = Pair::new(SocketType::Push, SocketType::Pull);
        assert_eq!(pair.run(piece), [Ok(()); 2]);
        let types = pair.peers().map(|peer| peer.unwrap().socket_type);
        assert_eq!(types, [SocketType::Pull, SocketType::Push]);
    }
}

#[test]
fn padding_is_never_interpreted() {
    // Z-09: "A peer SHALL NOT assign any significance to the padding field and MUST NOT validate this".
    let mut random = Random(9);
    let fixed = [[0; 8], [0xFF; 8], [0, 0, 0, 0, 0, 0, 0, 1]];
    let paddings = (0..10_000).map(|_| random.next().to_be_bytes());
    for padding in fixed.into_iter().chain(paddings) {
        let mut octets = *G_NULL31;
        octets[1..9].copy_from_slice(&padding);
        let outcome = feed(SocketType::Pull, &[&octets, READY_PUSH].concat(), [5]);
        assert_eq!(outcome.peer().socket_type, SocketType::Push, "{padding:02x?}");
    }
}

#[test]
fn any_version_from_3_0_up_is_accepted_and_answered_in_our_own() {
    // Z-14, Z-15, Z-17, F-19: "A peer MUST accept higher protocol versions as valid", and "SHALL always use
    // its own protocol".
    for (major, minor) in [(3, 0), (3, 1), (3, 2), (3, 255), (4, 0), (255, 255)] {
        let outcome = greeted_with(&greeting(major, minor, b"NULL"));
        assert_eq!((outcome.peer().major, outcome.peer().minor), (major, minor));
        assert_eq!(&outcome.sent[..64], O_NULL31);
        assert_eq!(outcome.commands(), READY_PULL);
    }
}

#[test]
fn a_version_that_never_was_is_refused_at_its_octet() {
    // Z-16: "If a peer cannot downgrade its protocol to match its peer, it MUST close".
    let octets = greeting(0, 0, b"NULL");
    for len in [11, 12, 64] {
        let outcome = every_cut(SocketType::Pull, &octets[..len]);
        assert_eq!(outcome.error(), ProtocolError::UnsupportedVersion(0));
        assert_eq!(outcome.sent, &O_NULL31[..11]);
    }
    assert_eq!(every_cut(SocketType::Pull, &octets[..10]).result, Ok(10));
}

#[test]
fn a_signature_ends_with_7f() {
    // Z-01: "signature = %xFF padding %x7F".
    for end in (0..=255u8).filter(|end| end & 1 == 1 && *end != 0x7F) {
        let mut octets = *G_NULL31;
        octets[9] = end;
        assert_eq!(every_cut(SocketType::Pull, &octets).error(), ProtocolError::InvalidGreeting);
    }
    let mut octets = *G_NULL31;
    octets[0] = 0;
    assert_eq!(every_cut(SocketType::Pull, &octets).error(), ProtocolError::InvalidGreeting);
}

#[test]
fn another_mechanism_is_refused_without_a_ready() {
    // Z-18, Z-19, Z-21: "If the mechanism that the peer received does not exactly match the mechanism it sent,
    // it MUST close the connection."
    let names: [&[u8]; 12] = [
        b"PLAIN",
        b"CURVE",
        b"GSSAPI",
        b"null",
        b"Null",
        b"NULLX",
        b"NULL ",
        b"NULL\0X",
        b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0X",
        b"NUL",
        b"",
        b"NULLNULLNULLNULLNULL",
    ];
    for name in names {
        let outcome = greeted_with(&greeting(3, 1, name));
        assert_eq!(outcome.error(), ProtocolError::MechanismMismatch);
        assert_eq!(outcome.sent, O_NULL31);
        // The verdict waits for the whole greeting, so that ours is owed and delivered.
        assert_eq!(feed(SocketType::Pull, &greeting(3, 1, name)[..63], []).result, Ok(63));
    }
}

#[test]
fn as_server_and_filler_mean_nothing_with_null() {
    // Z-08: "the as-server field SHALL have no significance".
    for as_server in [0, 1, 2, 255] {
        let mut octets = *G_NULL31;
        octets[32] = as_server;
        octets[33..].fill(as_server);
        assert_eq!(greeted_with(&octets).peer().socket_type, SocketType::Push);
    }
}

#[test]
fn what_follows_the_handshake_is_left_to_the_caller() {
    // Z-24, F-16: greeting, READY and three messages in one segment, and in every cut of it.
    let handshake = [G_NULL31, READY_PUSH].concat();
    let stream = [&handshake[..], b"\0\x01a", b"\x04\x07\x04PING\0\0", b"\x01\x01b\0\x01c"].concat();
    let outcome = feed(SocketType::Pull, &stream, []);
    assert_eq!(outcome.result, Ok(handshake.len()));
    let outcome = every_cut(SocketType::Pull, &stream);
    assert_eq!(outcome.result, Ok(handshake.len()));
    assert_eq!(outcome.commands(), READY_PULL);
}

#[test]
fn nothing_at_all_is_fine() {
    // Z-11: the deadline is the driver's.
    assert_eq!(every_cut(SocketType::Pull, b"").result, Ok(0));
}
