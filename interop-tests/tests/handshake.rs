//! The NULL handshake and its metadata on real sockets: N-01 to N-06, N-09, N-10, N-17, N-19 to N-22, N-24 to
//! N-26, E-01, E-03, B-39.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use interop_tests::raw::vectors::{
    ERROR, G_NULL30, G_NULL31, PING, REFUSAL, command, message, ready, ready_with,
};
use interop_tests::raw::{Meeting, Peer, Role, Speaks, Transport, everywhere};
use peermq::{Pair, Pull, Push};

/// Everything that RFC 37 lists, and some that it does not.
const TYPES: [&str; 24] = [
    "REQ", "REP", "DEALER", "ROUTER", "PUB", "XPUB", "SUB", "XSUB", "PUSH", "PULL", "PAIR", "CLIENT",
    "SERVER", "RADIO", "DISH", "SCATTER", "GATHER", "PEER", "CHANNEL", "", "push", "Pull", "PAIRS", "STREAM",
];

/// What a peer hears that says all of this at once, until we close.
fn answer<P: Speaks>(meeting: &Meeting<P>, octets: &[u8]) -> Vec<u8> {
    let mut peer = meeting.peer();
    peer.write(&G_NULL31);
    assert_eq!(peer.read(64), G_NULL31);
    let expected = ready(P::NAME);
    assert_eq!(peer.read(expected.len()), expected);
    // We may close before the last of it is written.
    _ = peer.try_write(octets);
    peer.read_to_end()
}

fn silent_peer_gets_no_message<P: Speaks + peermq::Sends>() {
    for greeting in [&G_NULL31, &G_NULL30] {
        let mut meeting = Meeting::<P>::new(Role::Connects, Transport::Tcp);
        // Queued before there is any connection.
        meeting.socket.send("early").unwrap();
        let mut peer = meeting.peer();
        // Ours is sent first: greeting and READY do not wait for the peer's READY ...
        assert_eq!(peer.read(10), G_NULL31[..10]);
        peer.write(greeting);
        assert_eq!(peer.read(54), G_NULL31[10..]);
        let expected = ready(P::NAME);
        assert_eq!(peer.read(expected.len()), expected);
        // ... but the message does: it comes behind the octets of the peer's READY, however late.
        let theirs = ready(P::PEER);
        peer.write(&theirs[..theirs.len() - 1]);
        meeting.settle();
        assert!(peer.is_silent());
        peer.write(&theirs[theirs.len() - 1..]);
        assert_eq!(peer.message().unwrap(), [b"early"]);
    }
}

#[test]
fn ready_goes_out_first_and_messages_only_behind_the_peers() {
    // N-02, N-05, N-06, Z-10, E-18
    silent_peer_gets_no_message::<Push>();
    silent_peer_gets_no_message::<Pair>();
}

fn ready_is_answered<P: Speaks>() {
    everywhere::<P>(|meeting| {
        let mut peer = meeting.peer();
        peer.write(&[&G_NULL31[..], &ready(P::PEER)].concat());
        // The only property is Socket-Type: of these types none announces an Identity.
        let expected = [&G_NULL31[..], &ready(P::NAME)].concat();
        assert_eq!(peer.read(expected.len()), expected);
    });
}

#[test]
fn ready_is_answered_in_both_roles() {
    // N-01, N-04, N-07, N-19
    ready_is_answered::<Push>();
    ready_is_answered::<Pull>();
    ready_is_answered::<Pair>();
}

#[test]
fn what_is_no_ready_ends_the_handshake_and_delivers_nothing() {
    // N-09: a message instead of READY; other commands too. E-02: closed, which `answer` waits for.
    everywhere::<Pull>(|meeting| {
        for octets in [b"\0\x02hi", &b"\x01\x02hi\0\x02ho"[..], b"\0\0", PING, &command("FOO", b"")] {
            assert_eq!(answer(meeting, &[octets, &ready("PUSH"), &message(&["x"])].concat()), b"");
        }
        assert!(meeting.socket.try_recv().is_err());
        meeting.live();
    });
}

#[test]
fn a_second_ready_ends_the_connection_behind_what_came_before() {
    // N-10
    everywhere::<Pull>(|meeting| {
        let ready = ready("PUSH");
        let octets = [&ready, &message(&["before"])[..], &ready, &message(&["behind"])].concat();
        assert_eq!(answer(meeting, &octets), b"");
        assert_eq!(meeting.socket.recv().unwrap(), "before");
        meeting.live();
        assert!(meeting.socket.try_recv().is_err());
    });
}

#[test]
fn error_ends_the_connection_in_any_state() {
    // N-10: ERROR instead of READY, READY behind it, ERROR behind READY.
    for transport in [Transport::Tcp, Transport::Ipc] {
        let mut meeting = Meeting::<Pull>::new(Role::Binds, transport);
        let ready = ready("PUSH");
        for octets in [ERROR.to_vec(), [ERROR, &ready].concat(), [&ready, ERROR].concat()] {
            assert_eq!(answer(&meeting, &octets), b"");
        }
        meeting.live();
    }
}

#[test]
fn a_socket_that_was_refused_does_not_come_again_and_its_others_go_on() {
    // E-01, N-10
    for octets in [ERROR.to_vec(), [&ready("PUSH"), ERROR].concat()] {
        let mut meeting = Meeting::<Pull>::new(Role::Connects, Transport::Tcp);
        assert_eq!(answer(&meeting, &octets), b"");
        meeting.live();
    }
}

#[test]
fn a_connection_lost_in_any_state_of_the_handshake_is_tried_again() {
    // E-03, E-04: closed at every octet, FIN and RST.
    let octets = [&G_NULL31[..], &ready("PUSH")].concat();
    for transport in [Transport::Tcp, Transport::Ipc] {
        let mut meeting = Meeting::<Pull>::new(Role::Connects, transport);
        for end in 0..octets.len() {
            let mut peer = meeting.peer();
            peer.write(&octets[..end]);
            if end % 2 == 0 {
                peer.finish();
                peer.read_to_end();
            } else {
                peer.reset();
            }
        }
        let mut peer = meeting.ready_peer();
        assert!(Pull::exchange(&mut meeting.socket, &mut peer, 100));
    }
}

#[test]
fn a_truncated_ready_is_refused() {
    // N-17, B-39: every prefix of a valid body as a whole frame.
    let whole = ready_with(&[("Socket-Type", b"PUSH"), ("Identity", b"")]);
    for role in [Role::Binds, Role::Connects] {
        let mut meeting = Meeting::<Pull>::new(role, Transport::Tcp);
        for end in (0..whole.len() - 2).filter(|&end| end != ready("PUSH").len() - 2) {
            let octets = [&[4, u8::try_from(end).unwrap()], &whole[2..2 + end]].concat();
            let heard = answer(&meeting, &octets);
            // A READY without any property is well formed; it lacks the Socket-Type, and is told so.
            assert_eq!(heard, if end == 6 { REFUSAL } else { b"" }, "{end}");
        }
        meeting.live();
    }
}

fn matrix<P: Speaks>() {
    for role in [Role::Binds, Role::Connects] {
        let mut meeting = Meeting::<P>::new(role, Transport::Tcp);
        for theirs in TYPES {
            if theirs != P::PEER {
                assert_eq!(answer(&meeting, &ready(theirs)), REFUSAL, "{theirs}");
            }
        }
        assert_eq!(answer(&meeting, &ready_with(&[])), REFUSAL);
        meeting.live();
    }
}

#[test]
fn other_socket_types_get_an_error_and_are_closed() {
    // N-21, N-22, N-03
    matrix::<Push>();
    matrix::<Pull>();
    matrix::<Pair>();
}

/// A message passes from a peer with this READY.
fn is_taken(meeting: &mut Meeting<Pull>, ready: &[u8]) {
    let mut peer: Peer = meeting.peer();
    peer.write(&[&G_NULL31[..], ready, &message(&["a", "b"])].concat());
    assert_eq!(meeting.socket.recv().unwrap(), ["a", "b"]);
    peer.finish();
    peer.read_to_end();
}

#[test]
fn properties_that_nobody_knows_are_ignored() {
    // N-20: 100 of them, and X- names; N-13.
    let names: Vec<String> = (0..100).map(|number| format!("X-{number}")).collect();
    let mut properties: Vec<(&str, &[u8])> = names.iter().map(|name| (&name[..], &b"value"[..])).collect();
    properties.push(("socket-TYPE", b"PUSH"));
    everywhere::<Pull>(|meeting| is_taken(meeting, &ready_with(&properties)));
}

#[test]
fn an_identity_adds_nothing_to_messages_of_a_socket_that_does_not_route() {
    // N-24, N-25: 0 to 255 octets.
    everywhere::<Pull>(|meeting| {
        for identity in [&b""[..], b"me", &[0xFF; 255]] {
            is_taken(meeting, &ready_with(&[("Socket-Type", b"PUSH"), ("Identity", identity)]));
        }
    });
}

#[test]
fn an_identity_that_is_too_long_or_starts_with_zero_is_refused() {
    // N-25, N-26 (D11)
    everywhere::<Pull>(|meeting| {
        for identity in [&[1; 256][..], b"\0", b"\0\x01\x02\x03\x04"] {
            let ready = ready_with(&[("Socket-Type", b"PUSH"), ("Identity", identity)]);
            assert_eq!(answer(meeting, &ready), b"");
        }
        meeting.live();
    });
}

#[test]
fn a_handshake_that_takes_too_long_is_ended_by_one_deadline() {
    // a peer that stops anywhere before the end of its READY; dripping does not buy time.
    let octets = [&G_NULL31[..], &ready("PUSH")].concat();
    let limit = std::time::Duration::from_millis(200);
    for transport in [Transport::Tcp, Transport::Ipc] {
        let mut meeting =
            Meeting::<Pull>::with(Role::Binds, transport, |builder| builder.handshake_interval(limit));
        let mut good = meeting.good_peer();
        let peers: Vec<Peer> = (0..octets.len())
            .map(|end| {
                let mut peer = meeting.peer();
                // An error says that its time is over.
                _ = peer.try_write(&octets[..end]);
                peer
            })
            .collect();
        for mut peer in peers {
            peer.read_to_end();
        }
        let mut dripping = meeting.peer();
        while dripping.try_write(b"\xff").is_ok() {}
        // A peer that has shaken hands stays as long as it likes.
        assert!(Pull::exchange(&mut meeting.socket, &mut good, 100));
        // The connecting role gives up too, and tries again.
        let mut meeting =
            Meeting::<Pull>::with(Role::Connects, transport, |builder| builder.handshake_interval(limit));
        for end in [0, 10, 64, octets.len() - 1] {
            let mut peer = meeting.peer();
            _ = peer.try_write(&octets[..end]);
            peer.read_to_end();
        }
        meeting.live();
    }
}
