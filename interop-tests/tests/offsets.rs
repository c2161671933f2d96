//! Peers that go, or stop, at every octet of a conversation, F-14, B-61.
//!
//! On real sockets, in both roles. A good peer of the same socket goes on throughout where the type has room
//! for it; descriptors, threads and memory are counted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;
use std::time::Duration;

use cap::Cap;
use interop_tests::raw::random::Random;
use interop_tests::raw::vectors::{G_NULL31, PING, message, ready};
use interop_tests::raw::{
    ALLOCATOR_LIMIT, Account, Meeting, Peer, Role, Speaks, Transport, alone, message_of,
};
use peermq::{Message, Pair, Pull, Push, Receives};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

/// How a peer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fin,
    Rst,
}

/// What a peer says, from the first octet to the last.
struct Script {
    octets: Vec<u8>,
    handshake_octets: usize,
    /// Messages, and the offset behind the last octet of each.
    messages: Vec<(usize, Message)>,
    /// Where the middle of a large body begins and ends, which is not cut at every octet.
    middle: (usize, usize),
}

impl Script {
    fn new(peer: &str) -> Self {
        let body = |octets| Random(octets as u64).octets(octets);
        let mut octets = [&G_NULL31[..], &ready(peer)].concat();
        let handshake_octets = octets.len();
        let mut messages = Vec::new();
        let mut middle = (0, 0);
        for frames in [
            vec![body(0)],
            vec![body(1)],
            vec![body(255)],
            vec![body(256)],
            vec![body(2), body(0), body(300), body(3)],
            vec![body(70_000)],
        ] {
            let from = octets.len();
            octets.extend(message(&frames));
            octets.extend_from_slice(PING);
            let end = octets.len() - PING.len();
            if end - from > 70_000 {
                middle = (from + 9 + 16, end - 16);
            }
            messages.push((end, message_of(&frames)));
        }
        Self { octets, handshake_octets, messages, middle }
    }

    fn offsets(&self) -> impl Iterator<Item = usize> + '_ {
        (0..=self.octets.len()).filter(|offset| !(self.middle.0..self.middle.1).contains(offset))
    }

    /// What has come whole when the first `end` octets have.
    fn whole(&self, end: usize) -> impl Iterator<Item = &Message> {
        self.messages.iter().take_while(move |(at, _)| *at <= end).map(|(_, message)| message)
    }

    /// Says the first `end` octets on a new connection that the socket has accepted.
    fn say<P: Speaks>(&self, meeting: &mut Meeting<P>, end: usize) -> Peer {
        loop {
            let mut peer = meeting.peer();
            assert_eq!(peer.read(10), G_NULL31[..10]);
            let first = end.min(self.handshake_octets);
            peer.write(&self.octets[..first]);
            if end > 10 {
                assert_eq!(peer.read(54), G_NULL31[10..]);
            }
            if end <= self.handshake_octets {
                return peer;
            }
            if peer.frame().is_some() && P::serves(&mut meeting.socket, &mut peer) {
                _ = peer.try_write(&self.octets[first..end]);
                return peer;
            }
        }
    }
}

fn go(mut peer: Peer, end: End) {
    match end {
        End::Fin => {
            peer.finish();
            peer.read_to_end();
        }
        End::Rst => peer.reset(),
    }
}

/// A good peer that says one message, when a round is over.
struct Good {
    peer: Option<Peer>,
    said: usize,
}

impl Good {
    fn new<P: Speaks>(meeting: &Meeting<P>) -> Self {
        Self { peer: meeting.has_room().then(|| meeting.good_peer()), said: 0 }
    }

    fn say(&mut self) -> Option<String> {
        let peer = self.peer.as_mut()?;
        self.said += 1;
        let text = format!("still here {}", self.said);
        peer.write(&message(&[&text]));
        Some(text)
    }
}

/// Receives until nothing is missing; what came from the script, in order.
fn collect<P: Receives>(meeting: &mut Meeting<P>, script: usize, good: Option<String>) -> Vec<Message> {
    let (mut from_script, mut missing) = (Vec::new(), good);
    while missing.is_some() || from_script.len() < script {
        let message = meeting.socket.recv().unwrap();
        if missing.as_ref().is_some_and(|text| message == *text) {
            missing = None;
        } else {
            from_script.push(message);
        }
    }
    from_script
}

fn every_offset<P: Speaks + Receives>(role: Role, transport: Transport, end: End) {
    let script = Script::new(P::PEER);
    let mut meeting = Meeting::<P>::new(role, transport);
    let mut good = Good::new(&meeting);
    meeting.live();
    let account = Account::take(&ALLOCATOR);
    for offset in script.offsets() {
        let peer = script.say(&mut meeting, offset);
        go(peer, end);
        let whole: Vec<&Message> = script.whole(offset).collect();
        let text = good.say();
        match end {
            // Nothing that was whole is lost, and nothing else comes.
            End::Fin => assert!(collect(&mut meeting, whole.len(), text).iter().eq(whole), "{offset}"),
            // RST takes what was not read yet; whatever does come is whole, and in order.
            End::Rst => {
                let mut left = script.messages.iter().map(|(_, message)| message).cycle();
                for got in collect(&mut meeting, 0, text) {
                    assert!(left.by_ref().take(12).any(|message| *message == got), "{offset}");
                }
            }
        }
        while end == End::Rst && drain_one(&mut meeting, &script) {}
    }
    if role == Role::Connects {
        // That it comes again tells that it is done with what the last one said.
        drop(meeting.peer());
    }
    if good.peer.is_some() || role == Role::Binds {
        account.assert_closed_but(usize::from(role == Role::Connects));
    }
    while drain_one(&mut meeting, &script) {}
    meeting.live();
    drop(meeting);
    drop(good);
    account.assert_restored();
}

/// Takes a message that came late; it is one of the script's.
fn drain_one<P: Receives>(meeting: &mut Meeting<P>, script: &Script) -> bool {
    let Ok(got) = meeting.socket.try_recv() else { return false };
    assert!(script.messages.iter().any(|(_, message)| *message == got));
    true
}

#[test]
fn a_peer_that_ends_at_any_octet_leaves_what_was_whole_and_nothing_else() {
    // B-61: FIN; the peer still reads, and we close.
    alone("a_peer_that_ends_at_any_octet_leaves_what_was_whole_and_nothing_else", || {
        for transport in [Transport::Tcp, Transport::Ipc] {
            every_offset::<Pull>(Role::Binds, transport, End::Fin);
            every_offset::<Pull>(Role::Connects, transport, End::Fin);
        }
        every_offset::<Pair>(Role::Binds, Transport::Tcp, End::Fin);
        every_offset::<Pair>(Role::Connects, Transport::Ipc, End::Fin);
    });
}

#[test]
fn a_peer_that_resets_at_any_octet_leaves_whole_messages_only() {
    //
    alone("a_peer_that_resets_at_any_octet_leaves_whole_messages_only", || {
        for transport in [Transport::Tcp, Transport::Ipc] {
            every_offset::<Pull>(Role::Binds, transport, End::Rst);
            every_offset::<Pull>(Role::Connects, transport, End::Rst);
        }
        every_offset::<Pair>(Role::Binds, Transport::Ipc, End::Rst);
        every_offset::<Pair>(Role::Connects, Transport::Tcp, End::Rst);
    });
}

#[test]
fn a_sender_outlives_peers_that_go_at_any_octet() {
    // for PUSH: what a PULL peer says, and messages that nobody asked for.
    alone("a_sender_outlives_peers_that_go_at_any_octet", || {
        let script = Script::new("PULL");
        for transport in [Transport::Tcp, Transport::Ipc] {
            for role in [Role::Binds, Role::Connects] {
                let mut meeting = Meeting::<Push>::new(role, transport);
                meeting.live();
                let account = Account::take(&ALLOCATOR);
                let mut good = meeting.good_peer();
                for (round, offset) in script.offsets().enumerate() {
                    let peer = script.say(&mut meeting, offset);
                    go(peer, if round % 2 == 0 { End::Fin } else { End::Rst });
                    if round % 8 == 0 {
                        assert!(Push::exchange(&mut meeting.socket, &mut good, 3));
                    }
                }
                meeting.live();
                drop(meeting);
                drop(good);
                account.assert_restored();
            }
        }
    });
}

#[test]
fn a_peer_that_stalls_at_any_octet_harms_nobody_and_may_go_on() {
    // at most 150 stalled at a time.
    alone("a_peer_that_stalls_at_any_octet_harms_nobody_and_may_go_on", || {
        let script = Script::new("PUSH");
        for transport in [Transport::Tcp, Transport::Ipc] {
            let mut meeting = Meeting::<Pull>::new(Role::Binds, transport);
            meeting.live();
            let offsets: Vec<usize> = script.offsets().collect();
            let account = Account::take(&ALLOCATOR);
            let mut good = meeting.good_peer();
            for stalled in offsets.chunks(150) {
                let peers: Vec<_> =
                    stalled.iter().map(|&offset| (offset, script.say(&mut meeting, offset))).collect();
                let whole: usize = stalled.iter().map(|&offset| script.whole(offset).count()).sum();
                for _ in 0..whole {
                    let got = meeting.socket.recv().unwrap();
                    assert!(script.messages.iter().any(|(_, message)| *message == got));
                }
                assert!(Pull::exchange(&mut meeting.socket, &mut good, 100));
                for (offset, mut peer) in peers {
                    peer.write(&script.octets[offset..]);
                    for (_, message) in script.messages.iter().filter(|(at, _)| *at > offset) {
                        assert!(meeting.socket.recv().unwrap() == *message, "{offset}");
                    }
                    go(peer, End::Fin);
                }
            }
            drop(meeting);
            drop(good);
            account.assert_restored();
        }
    });
}

#[test]
fn a_listener_that_stalls_at_any_octet_may_go_on() {
    // for the connecting role, and for PAIR.
    alone("a_listener_that_stalls_at_any_octet_may_go_on", || {
        stall_and_go_on::<Pull>(Role::Connects, Transport::Tcp);
        stall_and_go_on::<Pull>(Role::Connects, Transport::Ipc);
        stall_and_go_on::<Pair>(Role::Connects, Transport::Tcp);
        stall_and_go_on::<Pair>(Role::Binds, Transport::Tcp);
    });
}

fn stall_and_go_on<P: Speaks + Receives>(role: Role, transport: Transport) {
    let script = Script::new(P::PEER);
    let mut meeting = Meeting::<P>::new(role, transport);
    let mut good = Good::new(&meeting);
    for offset in script.offsets() {
        loop {
            let mut peer = script.say(&mut meeting, offset);
            let whole: Vec<&Message> = script.whole(offset).collect();
            let text = good.say();
            assert!(collect(&mut meeting, whole.len(), text).iter().eq(whole), "{offset}");
            let from = offset.max(script.handshake_octets);
            peer.write(&script.octets[offset..from]);
            if offset <= 10 {
                assert_eq!(peer.read(54), G_NULL31[10..]);
            }
            if offset < script.handshake_octets
                && !(peer.frame().is_some() && P::serves(&mut meeting.socket, &mut peer))
            {
                continue;
            }
            peer.write(&script.octets[from..]);
            for (_, message) in script.messages.iter().filter(|(at, _)| *at > offset) {
                assert!(meeting.socket.recv().unwrap() == *message, "{offset}");
            }
            go(peer, End::Fin);
            break;
        }
    }
    meeting.live();
}

#[test]
fn a_peer_that_stops_reading_is_passed_over_and_may_go_on() {
    // it stops at every octet of our handshake and of the first messages.
    alone("a_peer_that_stops_reading_is_passed_over_and_may_go_on", || {
        let body = vec![7; 100_000];
        for (end, role) in [(End::Fin, Role::Binds), (End::Rst, Role::Binds), (End::Fin, Role::Connects)] {
            let mut meeting = Meeting::<Push>::new(role, Transport::Tcp);
            meeting.live();
            let account = Account::take(&ALLOCATOR);
            for offset in (0..=64 + ready("PUSH").len()).step_by(3) {
                let mut good = meeting.good_peer();
                let mut peer = meeting.peer();
                peer.shrink_buffer();
                peer.write(&[&G_NULL31[..], &ready("PULL")].concat());
                let heard = peer.read(offset);
                // Large messages fill it; the good peer gets every one that it does not take.
                let reading = good.try_clone();
                let reader = std::thread::spawn(move || read_all(reading));
                for _ in 0..40 {
                    meeting.socket.send(&body).unwrap();
                }
                assert!([&G_NULL31[..], &ready("PUSH")].concat().starts_with(&heard));
                if end == End::Fin {
                    // It goes on, and finds the handshake and then whole messages.
                    _ = peer.read(64 + ready("PUSH").len() - offset);
                    // A connected socket may have kept short messages of the round before; a bound one may have
                    // met this peer behind all of the large ones.
                    let mut heard = 0;
                    while heard != body.len() {
                        let frame = peer.frame_within(Duration::from_millis(10));
                        heard = frame.map_or(0, |frame| frame.unwrap().body.len());
                        if heard == 0 {
                            meeting.socket.send(&body).unwrap();
                        }
                    }
                }
                peer.reset();
                good.finish();
                assert!(reader.join().unwrap() > 0);
                drop(good);
            }
            meeting.live();
            drop(meeting);
            account.assert_restored();
        }
    });
}

/// Reads messages until the other side closes; how many.
fn read_all(mut peer: Peer) -> usize {
    std::iter::from_fn(|| peer.message()).count()
}
