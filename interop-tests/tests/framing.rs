//! Frames between raw peers and applications: F-02 to F-09, F-14 to F-19, B-04, B-40.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::time::{Duration, Instant};

use interop_tests::raw::random::Random;
use interop_tests::raw::vectors::{
    G_NULL30, G_NULL31, PING, PONG, command, frame, long_frame, message, ready,
};
use interop_tests::raw::{DEADLINE, Meeting, Peer, Role, Speaks, Transport, everywhere, message_of};
use peermq::{Pair, Pull, Push, Receives, Sends};

/// Sizes around every change of form, and beyond what fits a kernel's buffer.
const SIZES: [usize; 13] =
    [0, 1, 254, 255, 256, 257, 8191, 8192, 8193, 65_535, 65_536, 1 << 20, (5 << 20) + 1];

/// A body that no other size or seed has.
fn body(octets: usize) -> Vec<u8> {
    Random(octets as u64).octets(octets)
}

/// A raw peer of this version that has shaken hands.
fn peer_of<P: Speaks>(meeting: &Meeting<P>, greeting: &[u8; 64]) -> Peer {
    loop {
        let mut peer = meeting.peer();
        _ = peer.try_write(&[&greeting[..], &ready(P::PEER)].concat());
        if peer.take_handshake() {
            return peer;
        }
    }
}

fn bodies_arrive<P: Speaks + Receives>(greeting: &[u8; 64]) {
    everywhere::<P>(|meeting| {
        let mut peer = peer_of(meeting, greeting);
        for size in SIZES {
            peer.write(&frame(0, &body(size)));
            assert!(meeting.socket.recv().unwrap() == body(size), "{size}");
            // F-09: the long form is legal at any size.
            peer.write(&long_frame(0, &body(size)));
            assert!(meeting.socket.recv().unwrap() == body(size), "long {size}");
        }
    });
}

fn bodies_go_out<P: Speaks + Sends>(greeting: &[u8; 64]) {
    everywhere::<P>(|meeting| {
        let mut peer = peer_of(meeting, greeting);
        for size in SIZES {
            meeting.socket.send(body(size)).unwrap();
            // F-05, F-06: the short form up to 255, the long one above, and nothing else on the wire.
            let expected = frame(0, &body(size));
            assert!(peer.read(expected.len()) == expected, "{size}");
        }
        meeting.socket.send(["a", "", "c"]).unwrap();
        let expected = message(&["a", "", "c"]);
        assert_eq!(peer.read(expected.len()), expected);
    });
}

#[test]
fn bodies_of_every_form_arrive_as_sent() {
    // F-05, F-06, F-08, F-09
    bodies_arrive::<Pull>(&G_NULL31);
    bodies_arrive::<Pair>(&G_NULL31);
}

#[test]
fn bodies_go_out_in_the_form_that_fits_their_size() {
    // F-01, F-05, F-06, F-08, E-16: messages are in clear frames, as with every mechanism that does not encrypt.
    bodies_go_out::<Push>(&G_NULL31);
    bodies_go_out::<Pair>(&G_NULL31);
}

#[test]
fn a_3_0_peer_is_spoken_to_in_the_same_frames() {
    // F-19: F-05 to F-09 again, both directions.
    bodies_arrive::<Pull>(&G_NULL30);
    bodies_go_out::<Push>(&G_NULL30);
    bodies_arrive::<Pair>(&G_NULL30);
}

#[test]
fn a_message_of_edge_sized_frames_arrives_whole_at_any_cut() {
    // F-06, F-14, SPLIT with seeded cuts.
    let frames: Vec<Vec<u8>> = [0, 255, 256, 1, 70_000, 0].into_iter().map(body).collect();
    let octets = message(&frames);
    for greeting in [&G_NULL31, &G_NULL30] {
        everywhere::<Pull>(|meeting| {
            let mut random = Random(6);
            let mut peer = peer_of(meeting, greeting);
            for every in [100_000, 20_000, 5_000, 700] {
                peer.write_cut(&octets, random.cuts(octets.len(), every));
                assert!(meeting.socket.recv().unwrap() == message_of(&frames), "{every}");
            }
        });
    }
}

/// Octets behind the handshake that end the connection.
fn is_refused<P: Speaks + Receives>(meeting: &mut Meeting<P>, octets: &[u8]) {
    let mut peer = meeting.ready_peer();
    // The other side may close before all of it is written.
    _ = peer.try_write(&[octets, &message(&["behind"])].concat());
    assert_eq!(peer.read_to_end(), b"", "{octets:02x?}");
}

#[test]
fn a_reserved_flag_ends_the_connection() {
    // F-02 (D8): all 248 octets, short and long.
    for (role, transport) in [(Role::Binds, Transport::Tcp), (Role::Connects, Transport::Ipc)] {
        let mut meeting = Meeting::<Pull>::new(role, transport);
        for flags in 8..=255 {
            is_refused(&mut meeting, &[flags, 0]);
            is_refused(&mut meeting, &[flags, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        assert!(meeting.socket.try_recv().is_err());
        meeting.live();
    }
}

#[test]
fn a_command_with_more_ends_the_connection() {
    // F-04 (D9), F-13
    for greeting in [&G_NULL31, &G_NULL30] {
        everywhere::<Pull>(|meeting| {
            for octets in [&b"\x05\x07\x04PING\0\0"[..], b"\x07\0\0\0\0\0\0\0\x07\x04PING\0\0", b"\x05\0"] {
                let mut peer = peer_of(meeting, greeting);
                _ = peer.try_write(octets);
                assert_eq!(peer.read_to_end(), b"");
            }
            meeting.live();
        });
    }
}

#[test]
fn a_size_of_2_to_the_63_and_more_ends_the_connection() {
    // F-07, B-04
    everywhere::<Pull>(|meeting| {
        for size in [1 << 63, (1 << 63) + 1, u64::MAX, u64::MAX - 8, u64::MAX - 8192] {
            for flags in [2, 3, 6] {
                is_refused(meeting, &[&[flags], &size.to_be_bytes()[..]].concat());
            }
        }
        assert!(meeting.socket.try_recv().is_err());
        meeting.live();
    });
}

#[test]
fn a_long_header_with_a_small_size_is_legal() {
    // F-09, F-08
    everywhere::<Pull>(|meeting| {
        let mut peer = meeting.ready_peer();
        peer.write(b"\x02\0\0\0\0\0\0\0\x05hello");
        peer.write(b"\x06\0\0\0\0\0\0\0\x07\x04PING\0\0");
        peer.write(b"\x02\0\0\0\0\0\0\0\0");
        peer.write(b"\0\0");
        peer.write(b"\x03\0\0\0\0\0\0\0\x01a\0\x01b");
        assert_eq!(meeting.socket.recv().unwrap(), "hello");
        assert_eq!(meeting.socket.recv().unwrap(), "");
        assert_eq!(meeting.socket.recv().unwrap(), "");
        assert_eq!(meeting.socket.recv().unwrap(), ["a", "b"]);
        assert_eq!(peer.read(PONG.len()), PONG);
    });
}

#[test]
fn a_message_cut_off_at_any_octet_is_not_delivered() {
    // F-14: MORE frames, then FIN or RST at every offset.
    let octets = message(&["first", "", "third", "fourth"]);
    for role in [Role::Binds, Role::Connects] {
        let mut meeting = Meeting::<Pull>::new(role, Transport::Tcp);
        for end in 0..octets.len() {
            for is_reset in [false, true] {
                let mut peer = meeting.ready_peer();
                peer.write(&octets[..end]);
                if is_reset {
                    peer.reset();
                } else {
                    peer.finish();
                    assert_eq!(peer.read_to_end(), b"", "{end}");
                }
            }
        }
        // Compares everything that the socket has received.
        meeting.live();
        assert!(meeting.socket.try_recv().is_err());
    }
}

#[test]
fn a_peer_that_dies_inside_a_message_leaves_it_whole_for_the_next() {
    // F-14, B-13: killed at every octet of a message of five parts; what the next peer hears starts and ends
    // with whole messages.
    let parts = ["1", "", "333", "4444", "end"];
    let len = message(&parts).len();
    for role in [Role::Binds, Role::Connects] {
        let mut meeting = Meeting::<Push>::new(role, Transport::Tcp);
        for end in 1..=len {
            for is_reset in [false, true] {
                let mut peer = meeting.ready_peer();
                meeting.socket.send(parts).unwrap();
                // A connected socket keeps what was not sent; a bound one may still choose a dead peer.
                while meeting.role == Role::Binds && peer.frame_within(Duration::from_millis(1)).is_none() {
                    meeting.socket.send(parts).unwrap();
                }
                if meeting.role == Role::Connects {
                    let heard = peer.read(end);
                    assert_eq!(heard, message(&parts)[..end]);
                }
                if is_reset {
                    peer.reset();
                } else {
                    drop(peer);
                }
            }
        }
        let mut peer = meeting.ready_peer();
        let mut last = Vec::new();
        while last != [b"last"] {
            _ = meeting.socket.try_send("last");
            last = peer.message().unwrap();
            assert!(last == parts.map(str::as_bytes) || last == [b"last"], "{last:?}");
        }
    }
}

#[test]
fn commands_and_messages_mix_and_keep_their_order() {
    // F-16, F-17, F-18 (unknown commands and those of other patterns are no data), D14.
    let others = [
        command("FOO", b""),
        command("SUBSCRIBE", b"A"),
        command("CANCEL", b"A"),
        command("JOIN", b"g"),
        command("LEAVE", b"g"),
        PONG.to_vec(),
    ];
    for greeting in [&G_NULL31, &G_NULL30] {
        everywhere::<Pull>(|meeting| {
            let mut peer = peer_of(meeting, greeting);
            for number in 0..200 {
                let other = &others[number % others.len()];
                let text = format!("{number}");
                // Before, between and behind the two frames of a message.
                let parts = [PING, other, &frame(1, text.as_bytes()), PING, other, &frame(0, b"!"), other];
                peer.write(&parts.concat());
            }
            for number in 0..200 {
                assert_eq!(meeting.socket.recv().unwrap(), [&format!("{number}"), "!"]);
                assert_eq!(peer.read(PONG.len()), PONG);
                assert_eq!(peer.read(PONG.len()), PONG);
            }
        });
    }
}

#[test]
fn a_socket_that_only_sends_answers_commands_and_throws_messages_away() {
    // F-16, F-18
    everywhere::<Push>(|meeting| {
        let mut peer = meeting.ready_peer();
        // What the kernel has no room for waits until this thread has thrown messages away.
        let octets = [message(&["not", "for you"]).repeat(5000), PING.to_vec()].concat();
        let (mut rest, until) = (&octets[..], Instant::now() + DEADLINE);
        while !rest.is_empty() {
            assert!(Instant::now() < until, "{} octets are not taken", rest.len());
            let piece = &rest[..rest.len().min(14)];
            rest = &rest[peer.write_some(piece).unwrap()..];
            _ = meeting.socket.try_send("x");
        }
        loop {
            _ = meeting.socket.try_send("x");
            let frame = peer.frame().unwrap();
            if frame.flags == 4 {
                assert_eq!(frame.body, PONG[2..]);
                break;
            }
        }
    });
}
