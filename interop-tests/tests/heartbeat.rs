//! PING and PONG on real sockets: H-03 to H-06, B-42, B-60.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::sync::mpsc;
use std::thread;

use interop_tests::raw::random::Random;
use interop_tests::raw::vectors::{PING, command, message, ping};
use interop_tests::raw::{DEADLINE, Meeting, Role, Speaks, Transport, everywhere};
use peermq::{Pair, Pull, Push, Receives};

fn contexts_come_back<P: Speaks>() {
    everywhere::<P>(|meeting| {
        let mut peer = meeting.ready_peer();
        let mut random = Random(3);
        for octets in 0..=16 {
            let context = random.octets(octets);
            peer.write(&ping(&context));
            let frame = peer.frame().unwrap();
            assert_eq!((frame.flags, frame.body), (4, [b"\x04PONG", &context[..]].concat()));
        }
    });
}

#[test]
fn a_ping_is_answered_with_its_context() {
    // H-03; the application does nothing meanwhile.
    contexts_come_back::<Push>();
    contexts_come_back::<Pull>();
    contexts_come_back::<Pair>();
}

#[test]
fn a_context_of_more_than_16_octets_ends_the_connection() {
    // H-04
    everywhere::<Pull>(|meeting| {
        for octets in [17, 255, 65_000] {
            let mut peer = meeting.ready_peer();
            _ = peer.try_write(&ping(&vec![7; octets]));
            assert_eq!(peer.read_to_end(), b"", "{octets}");
        }
        meeting.live();
    });
}

#[test]
fn a_ping_without_a_whole_ttl_ends_the_connection_without_a_pong() {
    // H-05, B-42
    everywhere::<Pull>(|meeting| {
        for data in [&b""[..], b"\0"] {
            let mut peer = meeting.ready_peer();
            peer.write(&command("PING", data));
            assert_eq!(peer.read_to_end(), b"");
        }
        meeting.live();
    });
}

#[test]
fn every_ping_is_answered_in_order() {
    // H-06: 10,000 with distinct contexts, written by a thread that does not wait for answers.
    everywhere::<Pull>(|meeting| {
        let mut peer = meeting.ready_peer();
        let pings: Vec<u8> = (0..10_000_u32).flat_map(|number| ping(&number.to_be_bytes())).collect();
        let mut writer = peer.try_clone();
        let writing = thread::spawn(move || writer.write(&pings));
        for number in 0..10_000_u32 {
            let expected = [&b"\x04PONG"[..], &number.to_be_bytes()].concat();
            assert_eq!(peer.frame().unwrap().body, expected);
        }
        writing.join().unwrap();
    });
}

#[test]
fn a_ping_is_answered_during_a_stream_that_never_waits() {
    // H-03: a sender that streams looks after its connection itself, but hears the peer only when it waits.
    let mut meeting = Meeting::<Push>::new(Role::Binds, Transport::Tcp);
    let mut peer = meeting.ready_peer();
    let mut pinging = peer.try_clone();
    let (tell, told) = mpsc::channel();
    let reading = thread::spawn(move || {
        while let Some(frame) = peer.frame() {
            let is_pong = frame.flags == 4;
            if tell.send(is_pong).is_err() {
                break;
            }
        }
    });
    // First more than the kernel takes at once, so that it waits; then less and less, without a pause, until
    // there is always room.
    let body = vec![7; 65_536];
    let (mut under_way, mut batches_since_ping, mut is_answered) = (0, 0, false);
    for _ in 0..1000 {
        meeting.socket.send(&body).unwrap();
        under_way += 1;
    }
    while !is_answered {
        for _ in 0..2 {
            meeting.socket.send(&body).unwrap();
        }
        under_way += 2;
        for _ in 0..if under_way > 8 { 3 } else { 2 } {
            let is_pong = told.recv_timeout(DEADLINE).unwrap();
            is_answered |= is_pong;
            under_way -= u32::from(!is_pong);
        }
        if under_way <= 8 {
            if batches_since_ping == 0 {
                pinging.write(PING);
            }
            batches_since_ping += 1;
        }
        // The peer is heard every millisecond, in which some 20 batches go.
        assert!(batches_since_ping < 3000, "no answer");
    }
    pinging.finish();
    drop((told, meeting));
    reading.join().unwrap();
}

#[test]
fn a_ping_inside_the_handshake_is_refused() {
    // B-60, H-01
    everywhere::<Push>(|meeting| {
        let mut peer = meeting.peer();
        peer.write(&interop_tests::raw::vectors::G_NULL31);
        peer.write(PING);
        let heard = peer.read_to_end();
        assert!(!heard.windows(4).any(|octets| octets == b"PONG"));
        meeting.live();
    });
}

fn pings_inside_a_message<P: Speaks + Receives>() {
    everywhere::<P>(|meeting| {
        let mut peer = meeting.ready_peer();
        let part = |flags, body: &[u8]| interop_tests::raw::vectors::frame(flags, body);
        let large = vec![7; 300_000];
        let frames: [&[u8]; 4] = [b"first", &large, b"", b"last"];
        for (number, frame) in frames.iter().enumerate() {
            peer.write(&ping(&[1]));
            peer.write(&part(u8::from(number < 3), frame));
            peer.write(&ping(&[2]));
        }
        // Answered while the message is still under way, and after.
        for number in 0..8 {
            assert_eq!(peer.frame().unwrap().body, [&b"\x04PONG"[..], &[1 + number % 2]].concat());
        }
        let got = meeting.socket.recv().unwrap();
        assert!(got.frames().map(|frame| frame.as_bytes()).eq(frames));
        peer.write(&message(&["next"]));
        assert_eq!(meeting.socket.recv().unwrap(), "next");
    });
}

#[test]
fn pings_between_the_frames_of_a_message_leave_it_whole() {
    // D14, F-16
    pings_inside_a_message::<Pull>();
    pings_inside_a_message::<Pair>();
}
