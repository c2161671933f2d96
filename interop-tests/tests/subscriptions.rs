//! Subscriptions as octets: S-01 to S-07, S-13, S-31, S-33, S-39, Z-17, B-09, B-10, B-33.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;
use std::thread;
use std::time::Duration;

use cap::Cap;
use interop_tests::raw::random::Random;
use interop_tests::raw::vectors::{G_NULL30, G_NULL31, command, frame, message, ready};
use interop_tests::raw::{
    ALLOCATOR_LIMIT, Account, DEADLINE, FIGURE, Listener, Meeting, Peer, Role, Speaks, Transport, alone,
    everywhere, full_or,
};
use peermq::{Context, NotSubscribed, Pub, Publishes, Sub, Subscribes, XPub, XSub};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

/// The longest topic that a publisher takes.
const LONGEST: usize = 1024 * 1024;

fn subscribe(topic: &[u8]) -> Vec<u8> {
    command("SUBSCRIBE", topic)
}

fn cancel(topic: &[u8]) -> Vec<u8> {
    command("CANCEL", topic)
}

/// A raw peer of this version that has shaken hands.
fn greet<P: Speaks>(mut peer: Peer, greeting: &[u8; 64]) -> Peer {
    peer.write(&[&greeting[..], &ready(P::PEER)].concat());
    assert!(peer.take_handshake());
    peer
}

fn expect(peer: &mut Peer, octets: &[u8]) {
    assert_eq!(peer.read(octets.len()), octets);
}

fn commands_go_out<S: Speaks + Subscribes>() {
    everywhere::<S>(|meeting| {
        let mut peer = greet::<S>(meeting.peer(), &G_NULL31);
        meeting.socket.subscribe("A").unwrap();
        expect(&mut peer, b"\x04\x0b\x09SUBSCRIBEA");
        meeting.socket.subscribe("").unwrap();
        expect(&mut peer, b"\x04\x0a\x09SUBSCRIBE");
        assert!(meeting.socket.unsubscribe("A"));
        expect(&mut peer, b"\x04\x08\x06CANCELA");
        for octets in [244, 245, 246, 247, 255, 1000] {
            let topic = vec![0xFE; octets];
            meeting.socket.subscribe(&topic).unwrap();
            expect(&mut peer, &subscribe(&topic));
            assert!(meeting.socket.unsubscribe(&topic));
            expect(&mut peer, &cancel(&topic));
        }
    });
}

#[test]
fn subscriptions_go_out_as_commands() {
    // S-02, S-03, F-10
    commands_go_out::<Sub>();
    commands_go_out::<XSub>();
}

fn messages_go_out<S: Speaks + Subscribes>() {
    everywhere::<S>(|meeting| {
        meeting.socket.subscribe("A").unwrap();
        let mut peer = greet::<S>(meeting.peer(), &G_NULL30);
        expect(&mut peer, b"\x00\x02\x01A");
        meeting.socket.subscribe("").unwrap();
        expect(&mut peer, b"\x00\x01\x01");
        assert!(meeting.socket.unsubscribe("A"));
        expect(&mut peer, b"\x00\x02\x00A");
        let topic = vec![7; 255];
        meeting.socket.subscribe(&topic).unwrap();
        expect(&mut peer, &frame(0, &[&[1], &topic[..]].concat()));
    });
}

#[test]
fn to_a_peer_of_zmtp_3_0_they_go_out_as_messages() {
    // Z-17, S-02, S-03
    messages_go_out::<Sub>();
    messages_go_out::<XSub>();
}

#[test]
fn every_connection_is_told_everything() {
    // S-33, S-05: each topic once; then every subscription, and the last cancellation.
    everywhere::<Sub>(|meeting| {
        for topic in ["b", "a", "b", "c"] {
            meeting.socket.subscribe(topic).unwrap();
        }
        for round in 0..3 {
            let mut peer = greet::<Sub>(meeting.peer(), &G_NULL31);
            expect(&mut peer, &[subscribe(b"a"), subscribe(b"b"), subscribe(b"c")].concat());
            meeting.socket.subscribe("c").unwrap();
            expect(&mut peer, &subscribe(b"c"));
            meeting.socket.unsubscribe("c");
            meeting.socket.unsubscribe("c");
            expect(&mut peer, &cancel(b"c"));
            meeting.socket.subscribe("c").unwrap();
            expect(&mut peer, &subscribe(b"c"));
            if round % 2 == 0 {
                peer.reset();
            }
        }
        meeting.socket.unsubscribe("b");
        let mut peer = greet::<Sub>(meeting.peer(), &G_NULL31);
        expect(&mut peer, &[subscribe(b"a"), subscribe(b"b"), subscribe(b"c")].concat());
    });
}

#[test]
fn a_publisher_that_sends_what_nobody_wants_is_not_heard() {
    // S-31
    everywhere::<Sub>(|meeting| {
        meeting.socket.subscribe("good-").unwrap();
        let mut peer = meeting.ready_peer();
        for body in ["", "g", "good", "bad", "\0good-"] {
            peer.write(&message(&[body, "good-"]));
        }
        peer.write(&message(&["good-1", "x"]));
        assert_eq!(meeting.socket.recv().unwrap(), ["good-1", "x"]);
        assert!(meeting.socket.try_recv().is_err());
        meeting.live();
    });
}

#[test]
fn a_publisher_of_zmtp_3_1_is_asked_twice_whether_it_has_the_subscriptions() {
    everywhere::<Sub>(|meeting| {
        let mut peer = greet::<Sub>(meeting.peer(), &G_NULL31);
        meeting.socket.subscribe("A").unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| meeting.socket.wait_subscribed(DEADLINE));
            expect(&mut peer, &subscribe(b"A"));
            for _ in 0..2 {
                let question = peer.read(25);
                assert!(question.starts_with(b"\x04\x17\x04PING\0\0"), "{question:x?}");
                assert!(!waiting.is_finished());
                peer.write(&command("PONG", b"another"));
                peer.write(&command("PONG", &question[9..]));
            }
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
        // Once is enough for as long as nothing changes.
        assert_eq!(meeting.socket.wait_subscribed(DEADLINE), Ok(()));
        // Who does not answer is not taken for somebody who knows.
        meeting.socket.subscribe("B").unwrap();
        let missing = meeting.socket.peers().first().map(|peer| peer.endpoint().clone());
        assert!(missing.is_some());
        let timed_out = Err(NotSubscribed::TimedOut { missing, subscribed: 0, publishers: 1 });
        assert_eq!(meeting.socket.wait_subscribed(Duration::from_millis(20)), timed_out);
    });
}

#[test]
fn a_publisher_of_zmtp_3_0_is_told_and_not_asked() {
    everywhere::<Sub>(|meeting| {
        let mut peer = greet::<Sub>(meeting.peer(), &G_NULL30);
        meeting.socket.subscribe("A").unwrap();
        assert_eq!(meeting.socket.wait_subscribed(DEADLINE), Ok(()));
        meeting.socket.subscribe("").unwrap();
        expect(&mut peer, b"\x00\x02\x01A\x00\x01\x01");
    });
}

fn only_what_was_subscribed_to_is_on_the_wire<P: Speaks + Publishes>(greeting: &[u8; 64]) {
    everywhere::<P>(|meeting| {
        let mut peer = greet::<P>(meeting.peer(), greeting);
        let wait = |socket: &mut peermq::Socket<P>, count| {
            while socket.topic_count() != count {
                thread::yield_now();
            }
        };
        let say = |peer: &mut Peer, is_subscribe, topic: &[u8]| {
            peer.write(&match (greeting[11], is_subscribe) {
                (0, _) => message(&[[&[u8::from(is_subscribe)], topic].concat()]),
                (_, true) => subscribe(topic),
                (_, false) => cancel(topic),
            });
        };
        say(&mut peer, true, b"a");
        say(&mut peer, true, b"a");
        say(&mut peer, true, b"end");
        wait(&mut meeting.socket, 2);
        for body in ["b", "a1", "", "A", "end"] {
            meeting.socket.send([body, "a"]).unwrap();
        }
        expect(&mut peer, &[message(&["a1", "a"]), message(&["end", "a"])].concat());
        // S-06: what was never said is taken back.
        say(&mut peer, false, b"b");
        say(&mut peer, false, b"");
        say(&mut peer, true, b"mark");
        wait(&mut meeting.socket, 3);
        meeting.socket.send("a2").unwrap();
        expect(&mut peer, &message(&["a2"]));
        // Not S-05, which counts: one cancellation takes both back, as with libzmq.
        say(&mut peer, false, b"a");
        wait(&mut meeting.socket, 2);
        meeting.socket.send("a3").unwrap();
        meeting.socket.send("end").unwrap();
        expect(&mut peer, &message(&["end"]));
        drop(peer);
        wait(&mut meeting.socket, 0);
        meeting.live();
    });
}

#[test]
fn what_was_not_subscribed_to_is_never_on_the_wire() {
    // S-01, S-05, S-06, S-11, Z-17
    only_what_was_subscribed_to_is_on_the_wire::<Pub>(&G_NULL31);
    only_what_was_subscribed_to_is_on_the_wire::<Pub>(&G_NULL30);
    only_what_was_subscribed_to_is_on_the_wire::<XPub>(&G_NULL31);
    only_what_was_subscribed_to_is_on_the_wire::<XPub>(&G_NULL30);
}

#[test]
fn topics_up_to_the_limit_are_taken_and_longer_ones_end_the_connection() {
    // S-07, B-09
    everywhere::<Pub>(|meeting| {
        let mut peer = meeting.ready_peer();
        for topic in [vec![], vec![0], vec![255], vec![1; 255], vec![2; LONGEST]] {
            peer.write(&subscribe(&topic));
            peer.write(&cancel(&topic));
            peer.write(&subscribe(&topic));
        }
        while meeting.socket.topic_count() != 5 {
            thread::yield_now();
        }
        _ = peer.try_write(&subscribe(&vec![3; LONGEST + 1024]));
        assert_eq!(peer.read_to_end(), b"");
        let mut old = greet::<Pub>(meeting.peer(), &G_NULL30);
        _ = old.try_write(&message(&[[&[1], &vec![3; LONGEST + 1][..]].concat()]));
        while meeting.socket.wait_for_subscribers(1, Duration::from_millis(1)).is_ok() {}
        meeting.live();
    });
}

#[test]
fn a_subscription_inside_a_message_ends_the_connection() {
    everywhere::<Pub>(|meeting| {
        let mut peer = meeting.ready_peer();
        _ = peer.try_write(&[&frame(1, b"more")[..], &subscribe(b"a"), &frame(0, b"")].concat());
        assert_eq!(peer.read_to_end(), b"");
        meeting.live();
    });
}

#[test]
fn a_publisher_keeps_nothing_of_what_is_sent_to_it() {
    // S-13, S-06, B-10: messages upstream, and subscriptions, all of them twice, that are taken back at once. 10^5 of
    // each at each place; 10^6 with `PEERMQ_FULL`.
    alone("a_publisher_keeps_nothing_of_what_is_sent_to_it", || {
        everywhere::<Pub>(|meeting| {
            let mut peer = meeting.ready_peer();
            let topics = (0..100_u8).flat_map(|number| {
                let (subscribe, cancel) = (subscribe(&[number]).repeat(2), cancel(&[number]).repeat(2));
                [message(&["up", "stream"]), subscribe, cancel, self::cancel(b"none")].concat()
            });
            let round: Vec<u8> = topics.collect();
            let mut flood = |rounds: usize| {
                for number in 0..rounds {
                    peer.write(&round);
                    let mark = [&b"mark"[..], &number.to_be_bytes()].concat();
                    peer.write(&subscribe(&mark));
                    meeting.socket.wait_for_subscribers_to(&mark, 1, DEADLINE).unwrap();
                    peer.write(&cancel(&mark));
                    while meeting.socket.subscriber_count() > 0 {
                        thread::yield_now();
                    }
                }
            };
            // Segments grow with the traffic, up to a limit; then nothing more.
            flood(200);
            let account = Account::take(&ALLOCATOR);
            flood(full_or(10_000, 1000));
            assert!(account.growth() < 512 * 1024, "{}", account.growth());
        });
    });
}

#[test]
fn a_peer_that_subscribes_without_end_is_let_go() {
    // B-33: 10^6 topics of 1 KiB, if it may; and what it subscribed to is forgotten.
    alone("a_peer_that_subscribes_without_end_is_let_go", || {
        let mut meeting = Meeting::<Pub>::new(Role::Binds, Transport::Tcp);
        meeting.live();
        let account = Account::take(&ALLOCATOR);
        let mut peer = meeting.ready_peer();
        let greedy = thread::spawn(move || {
            let mut random = Random(33);
            let taken =
                (0..1_000_000).take_while(|_| peer.try_write(&subscribe(&random.octets(1024))).is_ok());
            let taken = taken.count();
            peer.reset();
            taken
        });
        let mut most = 0;
        while !greedy.is_finished() {
            meeting.socket.send("nobody's").unwrap();
            most = most.max(account.growth());
        }
        let taken = greedy.join().unwrap();
        println!("{FIGURE}let go after {taken} topics of 1 KiB, {} MiB", most >> 20);
        assert!(taken < 1_000_000 && most < 512 << 20, "{taken} {most}");
        while meeting.socket.topic_count() > 0 {
            thread::yield_now();
        }
        meeting.live();
        account.assert_closed_but(0);
        assert!(account.growth() < 1 << 20, "{}", account.growth());
    });
}

#[test]
fn disconnecting_ends_with_cancellations() {
    // S-39
    for transport in [Transport::Tcp, Transport::Ipc] {
        let listener = Listener::bind(transport);
        let mut socket = Context::new().open::<XSub>().unwrap();
        socket.connect(listener.endpoint()).unwrap();
        let mut peer = greet::<XSub>(listener.accept(), &G_NULL31);
        for topic in ["a", "b", "c"] {
            socket.subscribe(topic).unwrap();
            expect(&mut peer, &subscribe(topic.as_bytes()));
        }
        socket.disconnect(listener.endpoint()).unwrap();
        // And how many messages were received: see `peermq::manual::ends`.
        let last_words = b"\x04\x17\x04PING\0\0peermq--\0\0\0\0\0\0\0\0".to_vec();
        assert_eq!(peer.read_to_end(), [cancel(b"a"), cancel(b"b"), cancel(b"c"), last_words].concat());
    }
}
