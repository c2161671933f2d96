//! What peers can make us hold, driven to its bound and measured in octets: the rows of the manual's page of bounds that
//! no other test of raw peers measures. B-33, B-37, B-40, B-52, F-12, R-02.
//!
//! Figures are printed: run with `--nocapture`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;
use std::time::{Duration, Instant};

use cap::Cap;
use interop_tests::raw::vectors::{G_NULL31, PING, PONG, command, frame, long_frame, message, ready_with};
use interop_tests::raw::{ALLOCATOR_LIMIT, Account, DEADLINE, FIGURE, Meeting, Peer, Role, Transport, alone};
use peermq::{Context, Pub, Pull, Router, Socket};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

/// The longest command behind the handshake.
const COMMAND_MAX: usize = 1_048_592;

/// Most parts of a message.
const PARTS_MAX: usize = 131_072;

/// Most topics of a peer.
const TOPICS_MAX: u32 = 4_000_000;

/// Octets of the largest segment of a pipe, and of what a connection has beside its pipes.
const PIPE: usize = 128 * 1024 + 8 * 1024;

/// Everything that was said was taken notice of.
fn settle(peer: &mut Peer) {
    peer.write(PING);
    assert_eq!(peer.read(PONG.len()), PONG);
}

#[test]
fn a_command_is_held_up_to_its_limit_and_no_octet_further() {
    alone("a_command_is_held_up_to_its_limit_and_no_octet_further", || {
        let mut meeting = Meeting::<Pull>::new(Role::Binds, Transport::Tcp);
        let mut peer = meeting.ready_peer();
        peer.write(&message(&["first"]));
        assert_eq!(meeting.socket.recv().unwrap(), "first");
        let longest = command("FOO", &vec![7; COMMAND_MAX - 4]);
        let longer = command("FOO", &vec![7; COMMAND_MAX - 3]);
        assert_eq!(longest.len(), COMMAND_MAX + 9);
        let before = Account::take(&ALLOCATOR);
        // One after the other: each is forgotten when it is whole, however it came.
        for drip in [1, 100, 1] {
            let (most, drops) = longest.split_at(longest.len() - drip);
            peer.write(most);
            for drop in drops.chunks(1) {
                meeting.settle();
                let octets = before.wait_growth(COMMAND_MAX);
                assert!(octets <= COMMAND_MAX + PIPE, "{octets}");
                peer.write(drop);
            }
            settle(&mut peer);
            let octets = before.growth();
            println!(
                "{FIGURE}of the longest command, its last {drip} octets one by one: {octets} octets left"
            );
            assert!(octets <= PIPE, "{octets}");
        }
        peer.write(&message(&["behind"]));
        assert_eq!(meeting.socket.recv().unwrap(), "behind");
        // One octet more, of which nothing has come.
        let before = Account::take(&ALLOCATOR);
        peer.write(&longer[..9]);
        peer.read_to_end();
        assert!(before.growth() <= PIPE, "{}", before.growth());
        meeting.live();
    });
}

#[test]
fn a_message_on_its_way_in_costs_what_has_come_of_it() {
    alone("a_message_on_its_way_in_costs_what_has_come_of_it", || {
        let mut meeting = Meeting::<Pull>::new(Role::Binds, Transport::Tcp);
        meeting.live();
        // One body: nothing is reserved for the header alone, then a mebioctet, and never more than has come.
        const BODY: usize = 48 << 20;
        const READ: usize = 256 * 1024;
        let whole = long_frame(0, &vec![7; BODY]);
        let mut peer = meeting.ready_peer();
        let before = Account::take(&ALLOCATOR);
        let mut said = 0;
        for part in [9, 1 << 20, 3 << 20, 5 << 20, 20 << 20, BODY + 8] {
            peer.write(&whole[said..part]);
            said = part;
            let octets = before.wait_growth(if part == 9 { 0 } else { part.min(BODY) });
            println!("{FIGURE}{part} octets of a body have come: {octets} octets");
            assert!(octets <= (2 * (part + READ)).clamp(1 << 20, BODY) + PIPE, "{octets} for {part}");
        }
        peer.write(&whole[said..]);
        assert_eq!(meeting.socket.recv().unwrap().size(), BODY);
        drop(whole);
        // Parts without an end: as many as there may be, and one more.
        for body in [&b""[..], b"x", &[7; 100]] {
            let mut peer = meeting.ready_peer();
            let part = frame(1, body);
            let before = Account::take(&ALLOCATOR);
            for _ in 0..PARTS_MAX / 1024 {
                peer.write(&part.repeat(1024));
            }
            settle(&mut peer);
            let (octets, came) = (before.growth(), PARTS_MAX * part.len());
            println!("{FIGURE}{PARTS_MAX} parts of {} octets, {came} in all: {octets} octets", body.len());
            assert!((came..=came * 5 / 4 + PIPE).contains(&octets), "{octets} for {came}");
            _ = peer.try_write(&part);
            peer.read_to_end();
            assert!(meeting.socket.try_recv().is_err());
            before.assert_restored();
        }
    });
}

/// A DEALER of this name that the ROUTER at this endpoint has let in, and that has said something.
fn named(endpoint: &str, name: &[u8]) -> Peer {
    let mut peer = Peer::connect(endpoint);
    let ready = ready_with(&[("Socket-Type", b"DEALER"), ("Identity", name)]);
    peer.write(&[&G_NULL31[..], &ready].concat());
    assert!(peer.take_handshake());
    peer.write(&message(&["here"]));
    peer
}

#[test]
fn a_routing_id_costs_a_few_times_its_length_and_is_no_longer_than_it_may_be() {
    alone("a_routing_id_costs_a_few_times_its_length_and_is_no_longer_than_it_may_be", || {
        const PEERS: usize = 200;
        let cost = |octets: usize| {
            let context = Context::builder().io_threads(1).build();
            let builder = context.builder_for().linger(Duration::ZERO).recv_timeout(DEADLINE);
            let mut router: Socket<Router> = builder.open().unwrap();
            let endpoint = router.bind("tcp://127.0.0.1:*").unwrap().to_string();
            let name = |number: usize| format!("{number:x>octets$}").into_bytes();
            let mut peers = Vec::with_capacity(PEERS + 1);
            peers.push(named(&endpoint, &name(1000)));
            assert_eq!(router.recv().unwrap().0.as_bytes().len(), octets);
            let before = Account::take(&ALLOCATOR);
            for number in 0..PEERS {
                peers.push(named(&endpoint, &name(number)));
                assert_eq!(router.recv().unwrap().0.as_bytes(), name(number));
            }
            let cost = before.growth() / PEERS;
            println!("{FIGURE}with a routing id of {octets} octets: {cost} octets a connection");
            // An octet more is none.
            let mut peer = Peer::connect(&endpoint);
            let ready = ready_with(&[("Socket-Type", b"DEALER"), ("Identity", &[b'x'; 256])]);
            peer.write(&[&G_NULL31[..], &ready].concat());
            peer.read_to_end();
            assert_eq!(router.peers().len(), PEERS + 1);
            cost
        };
        let [short, long] = [4, 255].map(cost);
        assert!((short + 251..=short + 2048).contains(&long), "{short} {long}");
    });
}

/// The publisher makes calls until it is so.
fn publish_until(meeting: &mut Meeting<Pub>, mut is_so: impl FnMut(&mut Socket<Pub>) -> bool) {
    let until = Instant::now() + 4 * DEADLINE;
    while !is_so(&mut meeting.socket) {
        meeting.socket.try_send("for nobody").unwrap();
        let topics = meeting.socket.topic_count();
        assert!(Instant::now() < until, "{topics} topics");
    }
}

/// A peer subscribes to all of these topics, and to one more; what it cost before that.
fn subscribe_beyond(topics: u32, octets: usize, topic: impl Fn(u32) -> Vec<u8> + Sync) -> usize {
    let mut meeting = Meeting::<Pub>::new(Role::Binds, Transport::Tcp);
    let mut peer = meeting.ready_peer();
    publish_until(&mut meeting, |publisher| publisher.peers().len() == 1);
    let before = Account::take(&ALLOCATOR);
    let mut writer = peer.try_clone();
    let subscribe = |number: u32| command("SUBSCRIBE", &topic(number));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let batch = u32::try_from((1 << 20) / octets).unwrap();
            for from in (0..topics).step_by(batch as usize) {
                let batch = from..topics.min(from + batch);
                writer.write(&batch.flat_map(subscribe).collect::<Vec<_>>());
            }
        });
        publish_until(&mut meeting, |publisher| publisher.topic_count() >= topics as usize);
    });
    let cost = before.growth();
    println!("{FIGURE}{topics} topics of {octets} octets: {cost} octets, {} each", cost / topics as usize);
    // Once more is no more.
    peer.write(&subscribe(topics - 1));
    settle(&mut peer);
    for _ in 0..10 {
        meeting.socket.try_send("for nobody").unwrap();
    }
    assert_eq!(meeting.socket.topic_count(), topics as usize);
    peer.write(&subscribe(topics));
    publish_until(&mut meeting, |publisher| publisher.topic_count() == 0 && publisher.peers().is_empty());
    peer.read_to_end();
    drop(meeting);
    before.assert_restored();
    cost
}

#[test]
fn a_peer_has_so_many_topics_of_so_many_octets_and_no_more() {
    // B-33
    alone("a_peer_has_so_many_topics_of_so_many_octets_and_no_more", || {
        let cost = subscribe_beyond(TOPICS_MAX, 4, |number| number.to_be_bytes().to_vec());
        assert!(cost <= 256 * TOPICS_MAX as usize, "{cost}");
        let longest = |number: u32| {
            let mut topic = vec![7; 1 << 20];
            topic[..4].copy_from_slice(&number.to_be_bytes());
            topic
        };
        let cost = subscribe_beyond(256, 1 << 20, longest);
        assert!((256 << 20..512 << 20).contains(&cost), "{cost}");
    });
}
