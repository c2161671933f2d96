//! Frames of old versions, at every cut and in bad shape, on their way in and out: F-02, F-04, F-07, F-09, F-14, F-19,
//! Z-23, Z-24, B-04, B-08, B-52, D8, D14; RFC 13 and 15.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;
use std::time::Duration;

use cap::Cap;
use interop_tests::raw::old::{OldPeer, Version, long_frame1};
use interop_tests::raw::random::Random;
use interop_tests::raw::{
    ALLOCATOR_LIMIT, Account, Meeting, Peer, Role, Transport, alone, everywhere, message_of,
};
use interop_tests::tally;
use peermq::{Hwm, KernelBuffer, MaxMessageSize, Message, Pull, Push, XSub};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

type Frames = Vec<Vec<u8>>;

fn of(frames: &Frames) -> Message {
    message_of(frames)
}

/// A whole conversation of a peer that sends, and its messages.
fn conversation(version: Version) -> (Vec<u8>, Vec<Frames>) {
    let messages = [&["one"][..], &[""], &["two", "", &"x".repeat(260)], &["end"]];
    let mut octets = version.handshake("PUSH", b"name");
    octets.extend(messages.iter().flat_map(|frames| version.message(frames)));
    let frames = messages.iter().map(|frames| frames.iter().map(|it| it.as_bytes().to_vec()).collect());
    (octets, frames.collect())
}

#[test]
fn a_conversation_is_the_same_at_every_cut() {
    // Z-23, Z-24, SPLIT: whole, octet by octet, and every single offset.
    for version in Version::ALL {
        let (octets, messages) = conversation(version);
        everywhere::<Pull>(|meeting| {
            let transport = meeting.transport;
            let mut say = |cuts: Vec<usize>| {
                let mut peer = meeting.peer();
                peer.write_cut(&octets, cuts);
                for frames in &messages {
                    assert_eq!(meeting.socket.recv().unwrap(), of(frames));
                }
                peer.finish();
                assert_eq!(peer.read_to_end(), version.answer("PULL", b""));
            };
            say(vec![]);
            say((1..octets.len()).collect());
            if transport == Transport::Tcp {
                (1..octets.len()).step_by(3).for_each(|cut| say(vec![cut]));
            }
        });
    }
}

#[test]
fn a_peer_that_goes_at_any_octet_leaves_whole_messages_only() {
    // F-14, X-01: FIN and RST.
    for version in [Version::One, Version::Two] {
        let (octets, messages) = conversation(version);
        let ends: Vec<usize> = (0..messages.len())
            .map(|count| {
                let rest: usize = messages[count + 1..].iter().map(|it| version.message(it).len()).sum();
                octets.len() - rest
            })
            .collect();
        for role in [Role::Binds, Role::Connects] {
            let mut meeting = Meeting::<Pull>::new(role, Transport::Tcp);
            for end in 0..octets.len() {
                let mut peer = meeting.peer();
                _ = peer.read(10);
                peer.write(&octets[..end]);
                let whole = ends.iter().filter(|at| **at <= end).count();
                for frames in &messages[..whole] {
                    assert_eq!(meeting.socket.recv().unwrap(), of(frames));
                }
                if end % 2 == 0 {
                    peer.finish();
                    peer.read_to_end();
                } else {
                    peer.reset();
                }
            }
            meeting.live();
        }
    }
}

#[test]
fn two_bodies_of_any_size_around_a_buffer_are_whole() {
    // B-08
    let mut meeting = Meeting::<Pull>::new(Role::Binds, Transport::Tcp);
    let mut peer = OldPeer::new(meeting.peer(), Version::One, ("PUSH", b""), ("PULL", b""));
    let sizes = || (8190..=8200).chain(252..=257);
    for first in sizes() {
        for second in sizes() {
            let bodies =
                [first, second].map(|octets| vec![vec![u8::try_from(octets % 251).unwrap(); octets]]);
            peer.peer.write(&bodies.each_ref().map(|frames| Version::One.message(frames)).concat());
            for frames in &bodies {
                assert!(meeting.socket.recv().unwrap() == of(frames));
            }
        }
    }
}

#[test]
fn long_headers_of_small_frames_are_taken() {
    // F-09. RFC 13: "For frames with lengths of 1 to 254 octets this encoding MAY be also used."
    let mut meeting = Meeting::<Pull>::new(Role::Binds, Transport::Tcp);
    let mut peer = meeting.peer();
    peer.write(&[long_frame1(0, b"id"), long_frame1(1, b"hello"), long_frame1(0, b"")].concat());
    assert_eq!(meeting.socket.recv().unwrap(), ["hello", ""]);
    assert_eq!(meeting.socket.peers()[0].routing_id().as_bytes(), b"id");
}

#[test]
fn flags_that_libzmq_2_sets_for_no_purpose_mean_nothing() {
    // What 2.1.11 says: 7E or 7F in every frame, that of the routing id included.
    everywhere::<Pull>(|meeting| {
        let mut peer = meeting.peer();
        peer.write(b"\x01\x7e\x06\x7fhello\x03\x7ehi\x01\x7e");
        assert_eq!(meeting.socket.recv().unwrap(), ["hello", "hi"]);
        assert_eq!(meeting.socket.recv().unwrap(), "");
        peer.finish();
        assert_eq!(peer.read_to_end(), Version::One.answer("PULL", b""));
    });
}

#[test]
fn frames_that_break_the_grammar_end_the_connection() {
    // F-02, F-04, D8: what was right before is delivered, what is wrong is not.
    let wrong: [(Version, &[u8]); 7] = [
        (Version::One, b"\0"),
        (Version::One, b"\xff\0\0\0\0\0\0\0\0\0"),
        (Version::One, b"\x02\x02x"),
        (Version::One, b"\x02\x80x"),
        (Version::Two, b"\x04\x07\x04PING\0\0"),
        (Version::Two, b"\x08\x01x"),
        (Version::Two, b"\x05\x01x"),
    ];
    for (version, octets) in wrong {
        everywhere::<Pull>(|meeting| {
            let mut peer = OldPeer::new(meeting.peer(), version, ("PUSH", b""), ("PULL", b""));
            let good = version.message(&["good"]);
            _ = peer.peer.try_write(&[&good[..], octets, &good].concat());
            assert_eq!(peer.peer.read_to_end(), b"", "{version:?} {octets:02x?}");
            assert_eq!(meeting.socket.recv().unwrap(), "good");
            meeting.live();
            assert!(meeting.socket.try_recv().is_err());
        });
    }
}

#[test]
fn sizes_are_judged_before_anything_is_reserved() {
    // F-07, B-04, B-52: over the limit at the header; without a limit, memory follows what arrives.
    alone("sizes_are_judged_before_anything_is_reserved", || {
        let header = |version, octets: u64| match version {
            Version::One => [&[0xFF], &(octets + 1).to_be_bytes()[..], &[0]].concat(),
            Version::Two | Version::Three => [&[2], &octets.to_be_bytes()[..]].concat(),
        };
        for version in [Version::One, Version::Two] {
            let limit = MaxMessageSize::octets(1000);
            let mut meeting =
                Meeting::<Pull>::with(Role::Binds, Transport::Tcp, |builder| builder.max_message_size(limit));
            let mut peer = OldPeer::new(meeting.peer(), version, ("PUSH", b""), ("PULL", b""));
            peer.say(&[vec![7; 1000]]);
            assert_eq!(meeting.socket.recv().unwrap().frame(0).unwrap().len(), 1000);
            peer.peer.write(&header(version, 1001));
            assert_eq!(peer.peer.read_to_end(), b"");
            for size in [1 << 63, u64::MAX - 1] {
                let mut meeting = Meeting::<Pull>::new(Role::Binds, Transport::Tcp);
                let mut peer = OldPeer::new(meeting.peer(), version, ("PUSH", b""), ("PULL", b""));
                peer.peer.write(&header(version, size));
                assert_eq!(peer.peer.read_to_end(), b"");
                meeting.live();
            }
            let mut meeting = Meeting::<Pull>::new(Role::Binds, Transport::Tcp);
            let account = Account::take(&ALLOCATOR);
            let mut peer = OldPeer::new(meeting.peer(), version, ("PUSH", b""), ("PULL", b""));
            peer.peer.write(&header(version, (1 << 63) - 1));
            peer.peer.write(&vec![7; 3 << 20]);
            meeting.live();
            assert!(account.growth() < 10 << 20, "{}", account.growth());
        }
    });
}

#[test]
fn an_old_peer_that_stops_inside_its_handshake_is_closed_in_time() {
    // at every octet; the routing id is part of the handshake.
    let limit = Duration::from_secs(2);
    for version in [Version::One, Version::Two] {
        let octets = version.handshake("PUSH", b"name");
        let mut meeting =
            Meeting::<Pull>::with(Role::Binds, Transport::Tcp, |builder| builder.handshake_interval(limit));
        let mut good = OldPeer::new(meeting.peer(), version, ("PUSH", b""), ("PULL", b""));
        let stopped = |end: usize| {
            let mut peer = meeting.peer();
            peer.write(&octets[..end]);
            peer
        };
        let peers: Vec<Peer> = (0..octets.len()).map(stopped).collect();
        for mut peer in peers {
            let heard = peer.read_to_end();
            assert!(version.answer("PULL", b"").starts_with(&heard), "{version:?} {heard:02x?}");
        }
        good.say(&["still here"]);
        assert_eq!(meeting.socket.recv().unwrap(), "still here");
    }
}

#[test]
fn what_an_old_peer_did_not_take_whole_goes_whole_to_the_next() {
    // E-03, F-14: whatever versions the two speak.
    // The first is more than two kernel buffers hold.
    let bodies: Vec<Frames> =
        [(1, 16 << 20), (2, 300), (3, 0)].map(|(mark, octets)| vec![vec![mark; octets], vec![7]]).to_vec();
    for (first, second) in [
        (Version::One, Version::Three),
        (Version::One, Version::One),
        (Version::Two, Version::One),
        (Version::Three, Version::One),
    ] {
        for part in [0, 1, 9, 10, 11, 100_000] {
            let mut meeting = Meeting::<Push>::new(Role::Connects, Transport::Tcp);
            let peer = meeting.peer();
            peer.shrink_buffer();
            let mut peer = OldPeer::new(peer, first, ("PULL", b""), ("PUSH", b""));
            for frames in &bodies {
                meeting.socket.send(of(frames)).unwrap();
            }
            let heard = first.message(&bodies[0]);
            assert!(peer.peer.read(part) == heard[..part]);
            peer.peer.reset();
            let mut peer = OldPeer::new(meeting.peer(), second, ("PULL", b""), ("PUSH", b""));
            for frames in &bodies {
                assert!(peer.hear() == *frames, "{first:?} {second:?} {part}");
            }
        }
    }
}

#[test]
fn a_slow_peer_of_zmtp_1_hears_every_octet_in_its_place() {
    // The kernel stops anywhere: in a header, at its end, in a body.
    for seed in 0..4 {
        let mut random = Random(seed + 1);
        let mut meeting = Meeting::<Push>::new(Role::Connects, Transport::Tcp);
        let peer = meeting.peer();
        peer.shrink_buffer();
        let mut peer = OldPeer::new(peer, Version::One, ("PULL", b""), ("PUSH", b""));
        let messages: Vec<Frames> = (0..3000)
            .map(|_| {
                let parts = 1 + random.below(3);
                (0..parts)
                    .map(|_| {
                        let octets = [0, 1, 253, 254, 255, 600, 20_000][random.below(7)];
                        random.octets(octets)
                    })
                    .collect()
            })
            .collect();
        let (socket, messages) = (&mut meeting.socket, &messages);
        std::thread::scope(|scope| {
            scope.spawn(move || messages.iter().for_each(|frames| socket.send(of(frames)).unwrap()));
            for frames in messages {
                assert!(peer.hear() == *frames);
            }
        });
        tally::count("ZMTP 1.0", "PUSH PULL", "tcp", "ours to theirs, they bind", messages.len());
    }
}

#[test]
fn subscriptions_and_messages_never_mix_on_their_way_to_an_old_publisher() {
    // S-02, S-03, D14: an XSUB says both, to a peer that reads slowly; buffers so small and messages so short that the
    // kernel often stops in the header of one.
    for (version, transport) in
        Version::ALL.into_iter().flat_map(|it| [(it, Transport::Tcp), (it, Transport::Ipc)])
    {
        let mut meeting = Meeting::<XSub>::with(Role::Connects, transport, |builder| {
            builder.send_hwm(Hwm::UNLIMITED).send_buffer(KernelBuffer::octets(4096).unwrap())
        });
        let peer = meeting.peer();
        peer.shrink_buffer();
        let mut peer = OldPeer::new(peer, version, ("PUB", b""), ("XSUB", b""));
        let upstream = |number: usize| vec![vec![b'u'; if number % 100 == 0 { 254 } else { 1 }]];
        let count = 100_000;
        for number in 0..count {
            meeting.socket.send(of(&upstream(number))).unwrap();
        }
        // A topic now and then, while the messages go as fast as they are heard.
        let (mut messages, mut topics) = (0, 0);
        while messages < count || topics < count / 50 {
            let heard = peer.hear();
            if heard[0][0] == 1 {
                assert_eq!(heard, [format!("\x01topic {topics}").as_bytes()]);
                topics += 1;
            } else {
                assert!(heard == upstream(messages), "{messages}");
                if messages % 50 == 0 {
                    meeting.socket.subscribe(format!("topic {}", messages / 50)).unwrap();
                }
                messages += 1;
            }
        }
    }
}

#[test]
fn a_flood_of_one_version_counts_as_many_as_were_sent() {
    // F-19: streaming, in both directions, with the small messages that fill a buffer.
    for version in Version::ALL {
        let mut meeting = Meeting::<Pull>::new(Role::Binds, Transport::Tcp);
        let mut peer = OldPeer::new(meeting.peer(), version, ("PUSH", b""), ("PULL", b""));
        let count = 100_000_u32;
        let socket = &mut meeting.socket;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for batch in 0..count / 100 {
                    let batch = (0..100).map(|at| version.message(&[(batch * 100 + at).to_be_bytes()]));
                    peer.peer.write(&batch.collect::<Vec<_>>().concat());
                }
            });
            for number in 0..count {
                assert_eq!(socket.recv().unwrap(), number.to_be_bytes()[..]);
            }
        });
        tally::count(version.name(), "PULL PUSH", "tcp", "theirs to ours, we bind", count as usize);
        let mut meeting = Meeting::<Push>::new(Role::Binds, Transport::Tcp);
        let mut peer = OldPeer::new(meeting.peer(), version, ("PULL", b""), ("PUSH", b""));
        let socket = &mut meeting.socket;
        std::thread::scope(|scope| {
            scope.spawn(move || (0..count).for_each(|number| socket.send(&number.to_be_bytes()).unwrap()));
            for number in 0..count {
                assert_eq!(peer.hear(), [number.to_be_bytes()]);
            }
        });
        tally::count(version.name(), "PUSH PULL", "tcp", "ours to theirs, we bind", count as usize);
    }
}
