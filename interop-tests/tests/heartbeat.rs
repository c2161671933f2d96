//! PING and PONG on real sockets: H-01 to H-14, B-42, B-60.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::random::Random;
use interop_tests::raw::vectors::{G_NULL31, PING, PONG, command, greeting, message, ping, ready};
use interop_tests::raw::{DEADLINE, Meeting, Peer, Role, Speaks, Transport, everywhere, full_or};
use peermq::{Builder, HeartbeatTimeout, HeartbeatTtl, Pair, Pull, Push, Receives};

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
fn of_a_context_of_more_than_16_octets_the_first_16_come_back() {
    // H-04
    everywhere::<Pull>(|meeting| {
        for octets in [17, 255, 65_000] {
            let mut peer = meeting.ready_peer();
            peer.write(&ping(&vec![7; octets]));
            assert_eq!(peer.frame().unwrap().body, [&b"\x04PONG"[..], &[7; 16]].concat(), "{octets}");
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
        peer.write(&G_NULL31);
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

const SECOND: Duration = Duration::from_secs(1);

/// How often ours asks in these tests: often, but no test fails because a machine is slow.
const INTERVAL: Duration = Duration::from_millis(50);

/// After how long a peer that must answer counts as silent: many times as long as a busy machine keeps a thread
/// waiting.
const SILENT: Duration = Duration::from_secs(2);

/// Each role over each transport, with PINGs every [`INTERVAL`] and these options on top.
fn asking(options: impl Fn(Builder<Pull>) -> Builder<Pull>, test: impl Fn(Meeting<Pull>)) {
    for role in [Role::Binds, Role::Connects] {
        for transport in [Transport::Ipc, Transport::Tcp] {
            test(Meeting::with(role, transport, |builder| options(builder.heartbeat_interval(INTERVAL))));
        }
    }
}

#[test]
fn our_pings_come_after_the_handshake_and_carry_our_ttl() {
    // H-01, H-02
    let ttl = HeartbeatTtl::after(Duration::from_millis(25_650)).unwrap();
    asking(
        |builder| builder.heartbeat_ttl(ttl).heartbeat_timeout(HeartbeatTimeout::NEVER),
        |meeting| {
            let mut peer = meeting.peer();
            peer.write(&G_NULL31);
            assert_eq!(peer.read(64), G_NULL31);
            assert_eq!(peer.frame().unwrap().body[..6], *b"\x05READY");
            // Longer than the interval: nothing more before our READY.
            assert_eq!(peer.frame_within(4 * INTERVAL), None);
            peer.write(&ready(Pull::PEER));
            assert_eq!(peer.frame().unwrap().body, b"\x04PING\x01\x00");
        },
    );
}

#[test]
fn a_peer_of_zmtp_3_0_is_asked_when_heartbeats_are_configured() {
    // D15
    asking(
        |builder| builder,
        |meeting| {
            let mut peer = meeting.peer();
            peer.write(&[&greeting(3, 0, b"NULL")[..], &ready(Pull::PEER)].concat());
            assert!(peer.take_handshake());
            assert_eq!(peer.frame().unwrap().body, b"\x04PING\0\0");
        },
    );
}

#[test]
fn a_peer_that_gives_no_sign_of_life_is_closed_and_connected_to_again() {
    // H-07, H-10, H-12
    asking(
        |builder| builder,
        |mut meeting| {
            for _ in 0..3 {
                let mut peer = meeting.ready_peer();
                let start = Instant::now();
                assert_eq!(peer.frame().unwrap().body, b"\x04PING\0\0");
                assert_eq!(peer.read_to_end(), b"");
                assert!(start.elapsed() >= INTERVAL);
            }
            meeting.live();
        },
    );
}

#[test]
fn data_without_pong_is_a_sign_of_life() {
    // H-08: also while the application streams, and reads the connection itself.
    asking(
        |builder| builder.heartbeat_timeout(SILENT),
        |mut meeting| {
            let mut peer = meeting.ready_peer();
            let mut writer = peer.try_clone();
            let until = Instant::now() + 2 * SILENT;
            let writing = thread::spawn(move || {
                let block: Vec<u8> = (0..500).flat_map(|_| message(&[[7; 100]])).collect();
                let mut messages = 0;
                while Instant::now() < until {
                    writer.write(&block);
                    messages += 500;
                }
                messages
            });
            let mut received = 0;
            while !writing.is_finished() {
                received += i32::from(meeting.socket.recv_timeout(INTERVAL).is_ok());
            }
            let sent = writing.join().unwrap();
            while received < sent {
                assert_eq!(meeting.socket.recv().unwrap().body(), [7; 100]);
                received += 1;
            }
            assert_eq!(peer.frame().unwrap().body, b"\x04PING\0\0");
        },
    );
}

#[test]
fn few_pings_go_to_a_peer_that_does_not_answer() {
    // H-09
    asking(
        |builder| builder.heartbeat_timeout(SILENT),
        |meeting| {
            let mut peer = meeting.ready_peer();
            let pings = peer.read_to_end();
            assert_eq!(pings, PING.repeat(3));
        },
    );
}

#[test]
fn a_reader_that_stalls_and_goes_on_misses_nothing() {
    // B-17: with room for one message, PINGs on both sides of what does not fit, and peers that come again. 250 times at
    // each place; 10^5 times in all with `PEERMQ_FULL`.
    let pong = |peer: &mut Peer, context: &[u8]| {
        loop {
            let frame = peer.frame().unwrap();
            if frame.body.starts_with(b"\x04PING") {
                peer.write(PONG);
            } else {
                return assert_eq!((frame.flags, frame.body), (4, [b"\x04PONG", context].concat()));
            }
        }
    };
    asking(
        |builder| builder.heartbeat_timeout(SILENT).recv_hwm(1),
        |mut meeting| {
            let mut peer = meeting.ready_peer();
            for cycle in 0..u32::try_from(full_or(25_000, 250)).unwrap() {
                if cycle % 100 == 99 {
                    peer.finish();
                    peer.read_to_end();
                    peer = meeting.ready_peer();
                }
                let text = |number: u32| (3 * cycle + number).to_string();
                let three = (0..3).flat_map(|number| message(&[text(number)]));
                let three = three.collect::<Vec<_>>();
                peer.write(&[&ping(b"first")[..], &three, &ping(b"last")].concat());
                pong(&mut peer, b"first");
                if cycle % 50 == 0 {
                    meeting.settle();
                }
                for number in 0..3 {
                    assert_eq!(meeting.socket.recv().unwrap(), text(number));
                }
                pong(&mut peer, b"last");
            }
        },
    );
}

#[test]
fn a_peer_that_outlives_its_own_ttl_in_silence_is_closed() {
    // H-11, H-12: ours asks nothing itself.
    everywhere::<Pull>(|meeting| {
        let mut peer = meeting.ready_peer();
        let start = Instant::now();
        peer.write(&command("PING", b"\0\x01"));
        assert_eq!(peer.frame().unwrap().body, b"\x04PONG");
        assert_eq!(peer.read_to_end(), b"");
        assert!(start.elapsed() >= SECOND / 10);
        meeting.live();
    });
}

#[test]
fn a_ttl_of_zero_and_a_later_ping_take_a_ttl_back() {
    // H-13, H-14
    everywhere::<Pull>(|meeting| {
        let mut peer = meeting.ready_peer();
        peer.write(&[command("PING", b"\0\x05"), command("PING", b"\0\0")].concat());
        for _ in 0..2 {
            assert_eq!(peer.frame().unwrap().body, b"\x04PONG");
        }
        // Twice the first TTL later it is still there.
        assert_eq!(peer.frame_within(SECOND), None);
        peer.write(&message(&["still here"]));
        assert_eq!(meeting.socket.recv().unwrap(), "still here");
    });
}

/// One of theirs that asks every [`INTERVAL`] and closes after [`SILENT`], as whoever hears it is to do.
fn theirs_that_asks(context: &zmq::Context) -> zmq::Socket {
    let [interval, silent] = [INTERVAL, SILENT].map(|time| i32::try_from(time.as_millis()).unwrap());
    let theirs = context.socket(zmq::PUSH).unwrap();
    theirs.set_linger(0).unwrap();
    theirs.set_heartbeat_ivl(interval).unwrap();
    theirs.set_heartbeat_timeout(silent).unwrap();
    theirs.set_heartbeat_ttl(silent).unwrap();
    theirs
}

#[test]
fn libzmq_and_ours_keep_each_other_alive_in_both_roles() {
    // H-03, H-06, H-08: for longer than a silent peer is kept; a connection that breaks is seen by their monitor.
    for we_bind in [true, false] {
        let context = zmq::Context::new();
        let theirs = theirs_that_asks(&context);
        let events = i32::try_from(zmq_sys::ZMQ_EVENT_DISCONNECTED).unwrap();
        theirs.monitor("inproc://monitor", events).unwrap();
        let monitor = context.socket(zmq::PAIR).unwrap();
        monitor.connect("inproc://monitor").unwrap();
        let builder = peermq::Context::new().builder_for::<Pull>();
        let mut ours = builder.heartbeat_interval(INTERVAL).heartbeat_timeout(SILENT).open().unwrap();
        if we_bind {
            theirs.connect(&ours.bind("tcp://127.0.0.1:0").unwrap().to_string()).unwrap();
        } else {
            theirs.bind("tcp://127.0.0.1:*").unwrap();
            ours.connect(theirs.get_last_endpoint().unwrap().unwrap()).unwrap();
        }
        for number in 0..2 {
            theirs.send(&number.to_string(), 0).unwrap();
            assert_eq!(ours.recv_timeout(30 * SECOND).unwrap(), number.to_string());
            let wait = i64::try_from(2 * SILENT.as_millis()).unwrap();
            assert_eq!(monitor.poll(zmq::POLLIN, wait).unwrap(), 0, "the connection broke");
        }
    }
}
