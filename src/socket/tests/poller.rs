//! A poller and descriptors: what is ready is reported, as long as it is, and nothing else.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::*;
use crate::limits::MAIL_UNSEEN_MAX;
use crate::transport::faults::{Harm, Plan};
use crate::{
    Dealer, Descriptor, Hwm, Interest, Pair, PollError, PollEvent, Poller, Pub, RecvError, Rep, Req, Router,
    Sub,
};

const READABLE: Interest = Interest::READABLE;
const WRITABLE: Interest = Interest::WRITABLE;
const BOTH: Interest = Interest::BOTH;

/// What is ready without waiting.
fn now<K: Clone>(poller: &mut Poller<K>) -> Vec<(K, Interest)> {
    let events = poller.wait(Some(Duration::ZERO)).unwrap();
    events.iter().map(|event| (event.key.clone(), event.ready)).collect()
}

/// What is ready next.
fn next<K: Clone>(poller: &mut Poller<K>) -> Vec<(K, Interest)> {
    let events = poller.wait(Some(PATIENCE)).unwrap();
    assert!(!events.is_empty(), "nothing is ready");
    events.iter().map(|event| (event.key.clone(), event.ready)).collect()
}

/// A poller with one socket.
fn alone_in_poller<P: Pattern>(socket: &mut Socket<P>, interest: Interest) -> Poller<()> {
    let mut poller = Poller::new();
    poller.add(socket, interest, ()).unwrap();
    poller
}

#[test]
fn an_undrained_socket_is_reported_again_and_a_drained_one_is_not() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut poller = Poller::new();
        poller.add(&mut pull, READABLE, "pull").unwrap();
        assert_eq!(now(&mut poller), []);
        let mut push: Socket<Push> = place.connected(&endpoint);
        (0..3).for_each(|number| send(&mut push, &numbered(number)));
        for number in 0..3 {
            assert_eq!(next(&mut poller), [("pull", READABLE)]);
            // One message for each report, and never a try in vain, as programs do that come from libzmq.
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
        assert_eq!(now(&mut poller), []);
        send(&mut push, "more");
        assert_eq!(next(&mut poller), [("pull", READABLE)]);
        assert_eq!(recv(&mut pull), "more");
        assert_eq!(now(&mut poller), []);
    });
}

#[test]
fn who_comes_late_is_reported_at_once() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "before");
        send(&mut push, "and more");
        assert_eq!(recv(&mut pull), "before");
        let mut poller = alone_in_poller(&mut pull, READABLE);
        assert_eq!(next(&mut poller), [((), READABLE)]);
    });
}

#[test]
fn a_socket_that_is_ready_for_what_nobody_asked_does_not_end_the_wait() {
    over(ALL, |place| {
        let (mut dealer, endpoint) = place.bound::<Dealer>();
        let mut other: Socket<Dealer> = place.connected(&endpoint);
        send(&mut other, "unread");
        eventually("it has come", || {
            dealer.core.handle_mail(&mut dealer.pattern);
            dealer.core.readiness(&mut dealer.pattern) == BOTH
        });
        let mut poller = alone_in_poller(&mut dealer, Interest::NONE);
        assert_eq!(now(&mut poller), []);
        poller.modify(&dealer, WRITABLE).unwrap();
        assert_eq!(now(&mut poller), [((), WRITABLE)]);
        poller.modify(&dealer, BOTH).unwrap();
        assert_eq!(now(&mut poller), [((), BOTH)]);
        poller.modify(&dealer, Interest::NONE).unwrap();
        assert!(poller.wait(Some(TURN)).unwrap().is_empty());
    });
}

#[test]
fn a_full_socket_is_reported_when_it_has_room() {
    over(ALL, |place| {
        let mut push: Socket<Push> = place.builder().send_hwm(2).open().unwrap();
        let endpoint = place.address();
        push.bind(&endpoint).unwrap();
        let mut poller = alone_in_poller(&mut push, WRITABLE);
        assert_eq!(now(&mut poller), [], "nobody is there");
        let mut pull: Socket<Pull> = place.builder().recv_hwm(2).open().unwrap();
        pull.connect(&endpoint).unwrap();
        assert_eq!(next(&mut poller), [((), WRITABLE)]);
        let count = fill(&mut push, &Message::from(vec![7; 1000]));
        assert_eq!(now(&mut poller), []);
        let receiver = thread::spawn(move || {
            (0..count).for_each(|_| drop(recv(&mut pull)));
            pull
        });
        assert_eq!(next(&mut poller), [((), WRITABLE)]);
        push.try_send("it has").unwrap();
        drop(receiver.join().unwrap());
    });
}

#[test]
fn libzmq_s_answers_for_fresh_sockets() {
    // zmq_getsockopt(3), ZMQ_EVENTS, as measured: what never waits is writable, the others have no peers.
    let place = Place::new(Transport::Inproc);
    let ready = |mut poller: Poller<()>| now(&mut poller).first().map_or(Interest::NONE, |event| event.1);
    assert_eq!(ready(alone_in_poller(&mut place.open::<Pub>(), BOTH)), WRITABLE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<Router>(), BOTH)), WRITABLE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<crate::XPub>(), BOTH)), WRITABLE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<crate::XSub>(), BOTH)), WRITABLE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<crate::Stream>(), BOTH)), WRITABLE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<Push>(), BOTH)), Interest::NONE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<Pull>(), BOTH)), Interest::NONE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<Sub>(), BOTH)), Interest::NONE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<Pair>(), BOTH)), Interest::NONE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<Dealer>(), BOTH)), Interest::NONE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<Req>(), BOTH)), Interest::NONE);
    assert_eq!(ready(alone_in_poller(&mut place.open::<Rep>(), BOTH)), Interest::NONE);
}

#[test]
fn requests_and_replies_are_ready_in_turn() {
    over(ALL, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut req: Socket<Req> = place.connected(&endpoint);
        let mut server = alone_in_poller(&mut rep, BOTH);
        let mut client = alone_in_poller(&mut req, BOTH);
        for _ in 0..20 {
            assert_eq!(next(&mut client), [((), WRITABLE)]);
            let mut reply = req.request("ping").unwrap();
            assert_eq!(now(&mut client), []);
            assert_eq!(next(&mut server), [((), READABLE)]);
            let request = rep.recv_timeout(PATIENCE).unwrap();
            assert_eq!(now(&mut server), [((), WRITABLE)]);
            request.reply("pong").unwrap();
            assert_eq!(now(&mut server), []);
            assert_eq!(next(&mut client), [((), READABLE)]);
            assert_eq!(reply.try_recv().unwrap(), "pong");
        }
        drop(req.request("given up").unwrap());
        next(&mut server);
        // The connection of a request that was given up ends, perhaps before the request has come: worth a look.
        eventually("it has looked", || rep.try_recv().is_err() && now(&mut server).is_empty());
    });
}

#[test]
fn a_poller_knows_what_it_has() {
    let place = Place::new(Transport::Inproc);
    let (mut one, other) = (place.open::<Pull>(), place.open::<Push>());
    let mut poller = Poller::new();
    assert_eq!(poller.wait(None), Err(PollError::Empty));
    assert_eq!(poller.wait(Some(TURN)), Ok(&[][..]));
    poller.add(&mut one, READABLE, 1).unwrap();
    assert_eq!(poller.add(&mut one, WRITABLE, 2), Err(PollError::Duplicate));
    assert_eq!(poller.modify(&other, BOTH), Err(PollError::NotFound));
    assert_eq!(poller.remove(&other), Err(PollError::NotFound));
    assert_eq!((poller.len(), poller.remove(&one), poller.is_empty()), (1, Ok(1), true));
    assert_eq!(poller.remove(&one), Err(PollError::NotFound));
    let (near, _far) = UnixStream::pair().unwrap();
    poller.add_fd(&near, READABLE, 3).unwrap();
    assert_eq!(poller.add_fd(&near, READABLE, 4), Err(PollError::Duplicate));
    assert_eq!((poller.len(), poller.remove_fd(&near), poller.len()), (1, Ok(3), 0));
    assert_eq!(poller.remove_fd(&near), Err(PollError::NotFound));
    assert_eq!(poller.modify_fd(&near, WRITABLE), Err(PollError::NotFound));
    let file = tempfile::tempfile().unwrap();
    assert!(matches!(poller.add_fd(&file, READABLE, 5), Err(PollError::Io(_))));
}

#[test]
fn a_socket_that_is_gone_or_removed_is_reported_no_more() {
    let place = Place::new(Transport::Inproc);
    let (mut gone, mut removed) = (place.open::<Pub>(), place.open::<Pub>());
    let mut poller = Poller::new();
    poller.add(&mut gone, WRITABLE, "gone").unwrap();
    poller.add(&mut removed, WRITABLE, "removed").unwrap();
    assert_eq!(now(&mut poller).len(), 2);
    drop(gone);
    poller.remove(&removed).unwrap();
    assert_eq!(now(&mut poller), []);
    assert!(poller.is_empty());
    assert!(!removed.core.mailbox.is_observed());
    let second = alone_in_poller(&mut removed, WRITABLE);
    assert!(removed.core.mailbox.is_observed());
    drop(second);
    assert!(!removed.core.mailbox.is_observed(), "a poller that is dropped lets its sockets go");
}

#[test]
fn a_socket_that_is_removed_and_added_again_is_reported_once() {
    let place = Place::new(Transport::Inproc);
    let (mut first, mut second) = (place.open::<Pub>(), place.open::<Pub>());
    let mut poller = Poller::new();
    for is_looked_at_between in [true, false] {
        for round in 0..5 {
            for (socket, key) in [(&mut first, "first"), (&mut second, "second")] {
                let is_there = poller.remove(socket).is_ok();
                assert_eq!(is_there, round > 0 || !is_looked_at_between);
                poller.add(socket, WRITABLE, key).unwrap();
            }
            if is_looked_at_between || round == 4 {
                assert_eq!(now(&mut poller), [("first", WRITABLE), ("second", WRITABLE)]);
                assert_eq!(poller.listed.len(), 2);
            }
        }
    }
}

#[test]
fn so_many_at_once_as_are_asked_for_and_the_others_next() {
    let place = Place::new(Transport::Inproc);
    let mut sockets: Vec<Socket<Pub>> = (0..10).map(|_| place.open()).collect();
    let mut poller = Poller::new();
    for (number, socket) in sockets.iter_mut().enumerate() {
        poller.add(socket, WRITABLE, number).unwrap();
    }
    let key = |event: &PollEvent<usize>| event.key;
    let first: Vec<_> = poller.wait_at_most(4, None).unwrap().iter().map(key).collect();
    let second: Vec<_> = poller.wait_at_most(6, None).unwrap().iter().map(key).collect();
    let all: HashSet<_> = first.iter().chain(&second).copied().collect();
    assert_eq!((first.len(), second.len(), all.len()), (4, 6, 10));
}

#[test]
fn sockets_and_descriptors_are_waited_for_together() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let mut poller = Poller::new();
        poller.add(&mut pull, READABLE, "socket").unwrap();
        poller.add_fd(&near, READABLE, "descriptor").unwrap();
        assert_eq!(now(&mut poller), []);
        for _ in 0..20 {
            send(&mut push, "a message");
            assert_eq!(next(&mut poller), [("socket", READABLE)]);
            assert_eq!(recv(&mut pull), "a message");
            far.write_all(b"ab").unwrap();
            for _ in 0..2 {
                assert_eq!(next(&mut poller), [("descriptor", READABLE)], "as long as there is something");
                near.read_exact(&mut [0]).unwrap();
            }
            assert_eq!(now(&mut poller), []);
        }
        let writer = thread::spawn(move || far.write_all(b"x").map(|()| far).unwrap());
        assert_eq!(next(&mut poller), [("descriptor", READABLE)]);
        poller.modify_fd(&near, WRITABLE).unwrap();
        assert_eq!(now(&mut poller), [("descriptor", WRITABLE)]);
        poller.modify_fd(&near, Interest::NONE).unwrap();
        assert_eq!(now(&mut poller), []);
        drop(writer.join().unwrap());
        poller.modify_fd(&near, READABLE).unwrap();
        assert_eq!(next(&mut poller), [("descriptor", READABLE)], "its peer is gone");
    });
}

#[test]
fn ready_descriptors_and_ready_sockets_have_their_turns() {
    let place = Place::new(Transport::Inproc);
    let mut socket = place.open::<Pub>();
    let (near, _far) = UnixStream::pair().unwrap();
    let mut poller = Poller::new();
    poller.add(&mut socket, WRITABLE, "socket").unwrap();
    poller.add_fd(&near, WRITABLE, "descriptor").unwrap();
    let turns: HashSet<_> = (0..2).map(|_| poller.wait_at_most(1, None).unwrap()[0].key).collect();
    assert_eq!(turns.len(), 2);
}

#[test]
fn one_poller_serves_a_thousand_sockets() {
    let place = Place::new(Transport::Inproc);
    let mut pulls = Vec::new();
    let mut pushes = Vec::new();
    let mut poller = Poller::new();
    for number in 0..1_000 {
        let (mut pull, endpoint) = place.bound::<Pull>();
        poller.add(&mut pull, READABLE, number).unwrap();
        pushes.push(place.connected::<Push>(&endpoint));
        pulls.push(pull);
    }
    let mut dice = Dice(7);
    // Everyone looks at its new peer once.
    while !now(&mut poller).into_iter().all(|(number, _)| pulls[number].try_recv().is_err()) {}
    assert_eq!(now(&mut poller), []);
    for _ in 0..1_000 {
        let number = dice.roll(1_000);
        send(&mut pushes[number], "here");
        assert_eq!(next(&mut poller), [(number, READABLE)]);
        assert!(poller.listed.len() == 1, "nobody else is looked at");
        assert_eq!(recv(&mut pulls[number]), "here");
    }
    assert_eq!(now(&mut poller), []);
}

#[test]
fn a_peer_that_comes_and_goes_in_silence_is_looked_at_once() {
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut poller = alone_in_poller(&mut pull, READABLE);
        for _ in 0..20 {
            assert_eq!(now(&mut poller), []);
            let mut push: Socket<Push> = place.open();
            push.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
            assert_eq!(now(&mut poller), [], "it has said nothing");
            drop(push);
            assert_eq!(next(&mut poller), [((), READABLE)], "its end is worth a look");
            assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
        }
        assert_eq!(now(&mut poller), []);
    });
}

#[test]
fn peers_that_come_in_silence_are_looked_at_before_they_pile_up() {
    let place = Place::new(Transport::Tcp);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let mut poller = alone_in_poller(&mut pull, READABLE);
    let come = || {
        let mut push: Socket<Push> = place.open();
        push.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
        push
    };
    let mut pushes = Vec::new();
    for _ in 0..MAIL_UNSEEN_MAX {
        pushes.push(come());
        assert_eq!(now(&mut poller), []);
    }
    pushes.push(come());
    assert_eq!(next(&mut poller), [((), READABLE)]);
    assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    assert_eq!((now(&mut poller), pull.core.pipes.iter().count()), (vec![], pushes.len()));
}

#[test]
fn a_socket_in_two_pollers_is_reported_by_both() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        let (mut one, mut other) =
            (alone_in_poller(&mut pull, READABLE), alone_in_poller(&mut pull, READABLE));
        send(&mut push, "for both");
        assert_eq!((next(&mut one), next(&mut other)), (vec![((), READABLE)], vec![((), READABLE)]));
        assert_eq!(recv(&mut pull), "for both");
        assert_eq!((now(&mut one), now(&mut other)), (vec![], vec![]));
    });
}

/// Whether a descriptor is readable, within a time.
fn is_readable(descriptor: &Descriptor, timeout: impl Into<PollTimeout>) -> bool {
    let mut fds = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    nix::poll::poll(&mut fds, timeout.into()).unwrap() == 1
}

#[test]
fn a_descriptor_is_readable_while_there_is_something_to_receive() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let descriptor = pull.descriptor(READABLE).unwrap();
        assert!(!is_readable(&descriptor, PollTimeout::ZERO));
        let mut push: Socket<Push> = place.connected(&endpoint);
        for round in 0..20 {
            (0..3).for_each(|_| send(&mut push, "here"));
            for _ in 0..3 {
                assert!(is_readable(&descriptor, PollTimeout::MAX), "{round}");
                assert_eq!(recv(&mut pull), "here");
            }
            assert!(!is_readable(&descriptor, PollTimeout::ZERO));
        }
        drop(descriptor);
        assert!(!pull.core.mailbox.is_observed());
    });
}

#[test]
fn a_descriptor_is_readable_although_there_was_no_memory_for_its_octet() {
    //
    let place = Place::new(Transport::Inproc);
    let plan = Plan::new(1, Harm::Any);
    for _ in 0..100 {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        let descriptor = pull.descriptor(READABLE).unwrap();
        let entered = plan.enter();
        send(&mut push, "here");
        drop(entered);
        assert!(is_readable(&descriptor, PollTimeout::ZERO));
    }
    assert!(plan.tally().total() > 0);
}

#[test]
fn a_descriptor_is_readable_while_there_is_room() {
    over(ALL, |place| {
        let mut push: Socket<Push> = place.builder().send_hwm(Hwm::messages(1)).open().unwrap();
        let endpoint = place.address();
        push.bind(&endpoint).unwrap();
        let descriptor = push.descriptor(WRITABLE).unwrap();
        assert!(!is_readable(&descriptor, PollTimeout::ZERO));
        let mut pull: Socket<Pull> = place.connected(&endpoint);
        assert!(is_readable(&descriptor, PollTimeout::MAX));
        push.try_send("there is").unwrap();
        assert_eq!(recv(&mut pull), "there is");
    });
}

#[test]
fn a_descriptor_tells_of_a_shutdown_and_of_the_end() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, mut other) = (place.open::<Pull>(), place.open::<Pull>());
    let (shut_down, gone) = (pull.descriptor(READABLE).unwrap(), other.descriptor(READABLE).unwrap());
    drop(other);
    assert!(is_readable(&gone, PollTimeout::ZERO) && !is_readable(&shut_down, PollTimeout::ZERO));
    place.context.shutdown();
    assert!(is_readable(&shut_down, PollTimeout::MAX));
    assert_eq!(pull.try_recv(), Err(RecvError::Terminated));
    assert!(is_readable(&shut_down, PollTimeout::ZERO), "for ever");
}
