//! Both sides go at the same time: nobody is told that a message was read which the other side threw away.
//!
//! Each is asked what it has received, and what it knows to have left; a side whose `close` has confirmed everything
//! must find all of its messages there.

use std::net::Shutdown;

use super::conservation::attend;
use super::conservation_ends::{MECHANISMS, secured};
use super::ends::{Raw, TCP_AND_IPC, last_words, listen};
use super::*;
use crate::io::{Finish, ToSocket};
use crate::{AnyPattern, CloseReason, CloseReport, ConnectionState, KernelBuffer, SocketType};

/// How long who goes waits for a peer that does not come back, and has not taken everything.
const WITHIN: Duration = Duration::from_millis(500);

/// How a side goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Close,
    /// Of the one that connected.
    Disconnect,
    /// Of its context, with the socket open.
    Finish,
    /// Lets the peer go, and receives what is left.
    PeerClose,
    /// Of its context, and then it closes.
    Shutdown,
}

const EXITS: [Exit; 5] = [Exit::Close, Exit::Disconnect, Exit::Finish, Exit::PeerClose, Exit::Shutdown];

/// A side, in a context of its own.
struct Side {
    context: Context,
    socket: Socket<AnyPattern>,
    /// Messages that it has received, or knows to have left.
    accounted: u64,
}

/// What a side tells when it has gone.
#[derive(Debug)]
struct Gone {
    accounted: u64,
    /// It was told that the other one has everything; none if that is not told.
    is_confirmed: Option<bool>,
}

impl Side {
    fn new(socket_type: SocketType, mechanism: usize, is_bound: bool) -> Self {
        let context = Context::new();
        let socket = secured(context.builder_for_any(socket_type), mechanism, is_bound)
            .linger(PATIENCE)
            .recv_hwm(10)
            .send_hwm(0)
            .open()
            .unwrap();
        Self { context, socket, accounted: 0 }
    }

    fn send(&mut self, messages: u64, octets: usize) {
        (0..messages).for_each(|_| self.socket.send_timeout(vec![7; octets], PATIENCE).unwrap());
    }

    fn receive(&mut self, messages: u64) {
        (0..messages).for_each(|_| drop(self.socket.recv_timeout(PATIENCE).unwrap()));
        self.accounted += messages;
    }

    fn go(self, exit: Exit, endpoint: &Endpoint) -> Gone {
        let Self { context, mut socket, mut accounted } = self;
        let mut is_confirmed = None;
        match exit {
            Exit::Close | Exit::Shutdown => {
                if exit == Exit::Shutdown {
                    context.shutdown();
                }
                let CloseReport { dropped, unconfirmed, unreceived, .. } = socket.close(WITHIN);
                accounted += unreceived;
                is_confirmed = Some((dropped, unconfirmed) == (0, 0));
            }
            Exit::Disconnect => {
                let _ = socket.disconnect(endpoint); // it may be gone
                accounted += socket.dropped().unreceived;
            }
            Exit::Finish => {
                // It says nothing of a peer that was gone before.
                accounted += context.finish(WITHIN).unreceived;
            }
            Exit::PeerClose => {
                socket.peers().iter().for_each(|peer| peer.close(CloseReason::Dismissed));
                eventually("it is gone", || {
                    while socket.try_recv().is_ok() {
                        accounted += 1;
                    }
                    socket.peers().is_empty()
                });
                while socket.try_recv().is_ok() {
                    accounted += 1;
                }
                // It may be back with what it has not sent.
                accounted += socket.close(Duration::ZERO).unreceived;
            }
        }
        Gone { accounted, is_confirmed }
    }
}

/// As many at most.
fn some(dice: &mut Dice, most: u64) -> u64 {
    dice.roll(usize::try_from(most + 1).unwrap()).try_into().unwrap()
}

/// Both go, the second in this way. How many messages nobody has accounted for, and how many of both were told
/// that the other has everything.
fn both_go(
    place: &Place,
    types: [SocketType; 2],
    mechanism: usize,
    exit: Exit,
    dice: &mut Dice,
) -> (u64, u64) {
    let talks_back = types[1].can_send();
    // Who disconnects has connected.
    let is_bound = exit != Exit::Disconnect && dice.roll(2) == 0;
    let mut first = Side::new(types[0], mechanism, !is_bound);
    let mut second = Side::new(types[1], mechanism, is_bound);
    let endpoint = place.address();
    let (bound, connected) = if is_bound { (&mut second, &mut first) } else { (&mut first, &mut second) };
    bound.socket.bind(&endpoint).unwrap();
    let connection = connected.socket.connect(&endpoint).unwrap();
    connection.wait_ready(PATIENCE).unwrap();
    eventually("both are there", || !bound.socket.peers().is_empty());
    let octets = [1, 100, 3000][dice.roll(3)];
    let sent = 1 + some(dice, 60);
    let told_back = if talks_back { some(dice, 30) } else { 0 };
    first.send(sent, octets);
    second.send(told_back, octets);
    second.receive(some(dice, sent));
    first.receive(some(dice, told_back));
    // What `finish` tells of are peers that the socket knows.
    attend(&mut first.socket);
    attend(&mut second.socket);
    let [first, second] = thread::scope(|scope| {
        let goes = scope.spawn(|| first.go(Exit::Close, &endpoint));
        (0..dice.roll(200)).for_each(|_| thread::yield_now());
        let second = second.go(exit, &endpoint);
        [goes.join().unwrap(), second]
    });
    let mut thrown_away = 0;
    let mut confirmed = 0;
    for (sender, receiver, sent) in [(&first, &second, sent), (&second, &first, told_back)] {
        assert!(receiver.accounted <= sent, "{types:?}, {mechanism}, {exit:?}: {first:?}, {second:?}");
        thrown_away += sent - receiver.accounted;
        if sender.is_confirmed == Some(true) {
            confirmed += 1;
            let of = format!("{sent}, {:?} over {:?}, {mechanism}, {exit:?}", types, place.transport);
            assert_eq!(receiver.accounted, sent, "of {of}: {first:?}, {second:?}");
        }
    }
    (thrown_away, confirmed)
}

#[test]
fn nobody_is_told_that_what_was_thrown_away_has_arrived() {
    over(TCP_AND_IPC, |place| {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let (mut thrown_away, mut confirmed) = (0, 0);
        for round in 0..ledger::count(6, 200) {
            for types in [[SocketType::Push, SocketType::Pull], [SocketType::Dealer, SocketType::Dealer]] {
                for exit in EXITS {
                    let mechanism = round % MECHANISMS;
                    let (left, told) = both_go(place, types, mechanism, exit, &mut dice);
                    thrown_away += left;
                    confirmed += told;
                }
            }
        }
        assert!(thrown_away > 0, "nothing was thrown away");
        assert!(confirmed > 0, "nobody was told anything");
    });
}

#[test]
fn who_goes_with_everything_received_confirms_that() {
    over(TCP_AND_IPC, |place| {
        for mechanism in 0..MECHANISMS {
            for exit in EXITS {
                for _ in 0..5 {
                    let mut pull = Side::new(SocketType::Pull, mechanism, true);
                    let mut push = Side::new(SocketType::Push, mechanism, false);
                    let endpoint = pull.socket.bind(place.address()).unwrap().into();
                    let connection = push.socket.connect(&endpoint).unwrap();
                    push.send(50, 100);
                    let (gone, report) = thread::scope(|scope| {
                        let closing = scope.spawn(|| push.socket.close(PATIENCE));
                        eventually("the close has begun", || connection.state() == ConnectionState::Closed);
                        pull.receive(50);
                        (pull.go(exit, &endpoint), closing.join().unwrap())
                    });
                    assert_eq!(gone.accounted, 50);
                    let CloseReport { dropped, uncertain, unconfirmed, .. } = report;
                    assert_eq!((dropped, uncertain, unconfirmed), (0, 0, 0), "{mechanism}, {exit:?}");
                }
            }
        }
    });
}

#[test]
fn a_receiver_that_goes_says_how_many_it_has_received() {
    over(TCP_AND_IPC, |place| {
        for exit in [Exit::Close, Exit::Finish, Exit::Shutdown] {
            for received in [0, 1, 3] {
                let mut pull = Side::new(SocketType::Pull, 0, true);
                let endpoint = pull.socket.bind(place.address()).unwrap().into();
                let mut peer = Raw::connect(&endpoint, "PUSH");
                peer.say(&b"\0\x01x".repeat(3));
                pull.receive(received);
                eventually("all have come", || {
                    attend(&mut pull.socket);
                    pull.socket.stats().peers.iter().map(|peer| peer.waiting).sum::<u64>() == 3 - received
                });
                assert_eq!(pull.go(exit, &endpoint).accounted, 3);
                let mut heard = Vec::new();
                std::io::Read::read_to_end(&mut peer.0, &mut heard).unwrap();
                assert_eq!(heard, last_words(u8::try_from(received).unwrap()), "{exit:?}");
            }
        }
    });
}

#[test]
fn what_comes_behind_the_count_of_a_receiver_that_goes_is_not_received() {
    over(TCP_AND_IPC, |place| {
        for conflates in [false, true] {
            let mut pull = place.context.builder_for::<Pull>().conflate(conflates).open().unwrap();
            let endpoint = pull.bind(place.address()).unwrap().into();
            let mut peer = Raw::connect(&endpoint, "PUSH");
            let mut mail = Vec::new();
            eventually("the peer is there", || {
                pull.core.mailbox.take(&mut mail);
                mail.iter().any(|item| matches!(item, ToSocket::Attach(_)))
            });
            let Some(ToSocket::Attach(mut pipe)) = mail.pop() else { panic!("it comes last") };
            assert_eq!(pipe.leave(), 0);
            peer.say(b"\0\x01x");
            peer.0.shutdown(Shutdown::Write).unwrap();
            let mut heard = Vec::new();
            std::io::Read::read_to_end(&mut peer.0, &mut heard).unwrap();
            assert_eq!(heard, last_words(0), "conflates: {conflates}");
            drop(pipe); // not before: the session has not seen that nobody is there
        }
    });
}

#[test]
fn a_peer_that_goes_too_confirms_what_it_says_and_no_more() {
    over(TCP_AND_IPC, |place| {
        let all = last_words(3);
        for (words, unconfirmed) in [
            (&b""[..], 0), // as others end that have read everything
            (&all[..], 0),
            (&last_words(2)[..], 1),
            (&last_words(4)[..], 1),
            (&[&b"\0\x05hello"[..], &all].concat()[..], 0),
            (&[&last_words(1)[..], b"\0\x05hello"].concat()[..], 0), // said, but not last
        ] {
            for cut in [0, words.len() / 2] {
                let endpoint = place.address();
                let listener = listen(&endpoint);
                let mut push: Socket<Push> = place.connected(&endpoint);
                let mut peer = Raw::accept(&listener, "PULL");
                (0..3).for_each(|_| send(&mut push, "something"));
                for _ in 0..3 {
                    assert_eq!(peer.frame(), b"something");
                }
                peer.say(&words[..cut]); // which may be heard before the close
                let report = thread::scope(|scope| {
                    let closing = scope.spawn(|| push.close(PATIENCE));
                    peer.hear_to_the_end();
                    peer.say(&words[cut..]);
                    drop(peer);
                    closing.join().unwrap()
                });
                assert_eq!((report.dropped, report.unconfirmed), (0, unconfirmed), "{words:?} at {cut}");
            }
        }
    });
}

/// Both talk in large messages, of which the kernel holds a part only, and go at the same time.
fn both_go_while_they_talk(place: &Place, mechanism: usize, dice: &mut Dice) -> (u64, u64) {
    let mut sides = [true, false].map(|is_bound| {
        let context = Context::new();
        let small = KernelBuffer::octets(64 * 1024).unwrap();
        let socket = secured(context.builder_for_any(SocketType::Dealer), mechanism, is_bound)
            .send_buffer(small)
            .recv_buffer(small)
            .linger(PATIENCE)
            .recv_hwm(10)
            .send_hwm(0)
            .open()
            .unwrap();
        Side { context, socket, accounted: 0 }
    });
    let endpoint: Endpoint = sides[0].socket.bind(place.address()).unwrap().into();
    sides[1].socket.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
    eventually("both are there", || !sides[0].socket.peers().is_empty());
    // One has little to say, and is done with it while the other one goes on.
    let sent = [1 + some(dice, 20), 1 + some(dice, 20)];
    let octets = [[100, 300_000], [300_000, 100], [300_000, 300_000]][dice.roll(3)];
    for ((side, sent), octets) in sides.iter_mut().zip(sent).zip(octets) {
        side.send(sent, octets);
    }
    let received = [sent[1], sent[0]].map(|all| if dice.roll(2) == 0 { all } else { some(dice, all.min(3)) });
    for (side, received) in sides.iter_mut().zip(received) {
        side.receive(received);
        attend(&mut side.socket);
    }
    let [bound, connected] = sides;
    let turns = dice.roll(200);
    let gone = thread::scope(|scope| {
        let goes = scope.spawn(|| bound.go(Exit::Close, &endpoint));
        (0..turns).for_each(|_| thread::yield_now());
        let connected = connected.go(Exit::Close, &endpoint);
        [goes.join().unwrap(), connected]
    });
    let mut thrown_away = 0;
    let mut confirmed = 0;
    for (sender, receiver, sent) in [(&gone[0], &gone[1], sent[0]), (&gone[1], &gone[0], sent[1])] {
        assert!(receiver.accounted <= sent, "{mechanism}: {gone:?}");
        thrown_away += sent - receiver.accounted;
        if sender.is_confirmed == Some(true) {
            confirmed += 1;
            let of = format!("{sent} of {octets:?} octets over {:?}, {mechanism}", place.transport);
            assert_eq!(receiver.accounted, sent, "of {of}: {gone:?}");
        }
    }
    (thrown_away, confirmed)
}

#[test]
fn nobody_is_told_so_who_goes_while_the_other_is_in_the_middle_of_a_message() {
    over(TCP_AND_IPC, |place| {
        let mut dice = Dice(0xD1B5_4A32_D192_ED03);
        let (mut thrown_away, mut confirmed) = (0, 0);
        for round in 0..ledger::count(12, 200) {
            let (left, told) = both_go_while_they_talk(place, round % MECHANISMS, &mut dice);
            thrown_away += left;
            confirmed += told;
        }
        assert!(thrown_away > 0, "nothing was thrown away");
        assert!(confirmed > 0, "nobody was told anything");
    });
}

/// In the middle of a message to a peer that does not read, behind which there are others, and which has said three.
fn in_the_middle(place: &Place, context: &Context, is_bound: bool) -> (Socket<AnyPattern>, Endpoint, Raw) {
    let small = KernelBuffer::octets(64 * 1024).unwrap();
    let builder = context.builder_for_any(SocketType::Dealer).linger(Linger::DISCARD).send_hwm(0);
    let mut socket = builder.send_buffer(small).open().unwrap();
    let mut endpoint = place.address();
    let mut raw = if is_bound {
        endpoint = socket.bind(&endpoint).unwrap().into();
        Raw::connect(&endpoint, "DEALER")
    } else {
        let listener = listen(&endpoint);
        socket.connect(&endpoint).unwrap();
        Raw::accept(&listener, "DEALER")
    };
    raw.say(&b"\0\x01x".repeat(3));
    (0..3).for_each(|_| drop(socket.recv_timeout(PATIENCE).unwrap()));
    (0..2).for_each(|_| socket.send_timeout(vec![7; OF_WHICH_A_PART], PATIENCE).unwrap());
    // What comes first comes with all that the kernel has room for.
    raw.0.peek(&mut [std::mem::MaybeUninit::uninit()]).unwrap();
    (socket, endpoint, raw)
}

/// Octets that no kernel takes at once for somebody who does not read.
const OF_WHICH_A_PART: usize = 8_000_000;

/// What is heard to the end ends with the words that three messages were received, in the middle of one.
fn assert_cut_by_last_words(raw: &mut Raw, of: &str) {
    let mut heard = Vec::new();
    std::io::Read::read_to_end(&mut raw.0, &mut heard).unwrap();
    assert!(heard.len() < OF_WHICH_A_PART, "{of}: {} octets are no part", heard.len());
    assert!(heard.ends_with(&last_words(3)), "{of}: {:?}", &heard[heard.len().saturating_sub(25)..]);
}

#[test]
fn who_goes_in_the_middle_of_a_message_has_its_last_words_heard() {
    over(TCP_AND_IPC, |place| {
        for exit in [Exit::Close, Exit::Disconnect, Exit::PeerClose, Exit::Shutdown] {
            for is_bound in [false, true] {
                if is_bound && exit == Exit::Disconnect {
                    continue;
                }
                let context = Context::new();
                let (mut socket, endpoint, mut raw) = in_the_middle(place, &context, is_bound);
                match exit {
                    Exit::Close | Exit::Finish => assert_eq!(socket.close(Duration::ZERO).dropped, 2),
                    Exit::Disconnect => {
                        socket.disconnect(&endpoint).unwrap();
                        eventually("it is gone", || socket.peers().is_empty());
                    }
                    Exit::PeerClose => {
                        socket.peers()[0].close(CloseReason::Dismissed);
                        eventually("it is gone", || socket.peers().is_empty());
                    }
                    Exit::Shutdown => {
                        context.shutdown();
                        assert_eq!(socket.close(Duration::ZERO).dropped, 2);
                    }
                }
                assert_cut_by_last_words(&mut raw, &format!("{exit:?}, bound: {is_bound}"));
            }
        }
    });
}

#[test]
fn a_context_that_ends_has_the_last_words_of_its_sockets_heard() {
    over(TCP_AND_IPC, |place| {
        for _ in 0..10 {
            let context = Context::new();
            let (socket, _, mut raw) = in_the_middle(place, &context, true);
            assert_eq!(socket.close(Duration::ZERO).dropped, 2);
            context.inner.pool.finish(Finish { by: None, is_hurried: false });
            assert_cut_by_last_words(&mut raw, "the context has ended");
        }
    });
}

#[test]
fn who_finds_that_its_peer_has_gone_in_the_middle_of_a_message_says_its_last_words() {
    over(TCP_AND_IPC, |place| {
        let context = Context::new();
        let (socket, _, mut raw) = in_the_middle(place, &context, false);
        let connection = socket.core.pipes.iter().find_map(|pipe| pipe.assist.clone()).unwrap();
        thread::scope(|scope| {
            // It waits for the peer to come back, for what it has not heard: no longer than this.
            let closing = scope.spawn(|| socket.close(2 * WITHIN));
            // Before, it is the end of a connection of which the socket receives all: there is nothing to be said.
            eventually("the connection ends", || connection.is_stopped());
            raw.0.shutdown(Shutdown::Write).unwrap();
            assert_cut_by_last_words(&mut raw, "the peer has gone");
            assert_eq!(closing.join().unwrap().dropped, 2);
        });
    });
}
