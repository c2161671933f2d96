//! inproc: names of one context, bound and connected to in any order.

use super::*;
use crate::{
    AnswerError, BindErrorKind, ConnectErrorKind, Pair, Receives, RecvError, SendError, Sends, SocketType,
};

#[test]
fn a_name_is_bound_once_and_free_after_unbind_or_drop() {
    let place = Place::new(Transport::Inproc);
    let (mut first, name) = place.bound::<Pull>();
    let mut second: Socket<Pull> = place.open();
    assert_eq!(second.bind(&name).map_err(|error| error.kind()), Err(BindErrorKind::AddressInUse));
    assert_eq!(first.bind(&name).map_err(|error| error.kind()), Err(BindErrorKind::AddressInUse));
    first.unbind(&name).unwrap();
    assert_eq!(first.unbind(&name).map_err(|error| error.kind()), Err(BindErrorKind::NotBound));
    assert_eq!(second.bind(&name).as_deref(), Ok(&name));
    drop(second);
    assert_eq!(first.bind(&name).as_deref(), Ok(&name));
}

#[test]
fn peers_stay_when_their_name_goes() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, name) = place.bound::<Pull>();
    let mut push: Socket<Push> = place.connected(&name);
    pull.unbind(&name).unwrap();
    send(&mut push, "still here");
    assert_eq!(recv(&mut pull), "still here");
    let mut late: Socket<Push> = place.connected(&name);
    send(&mut late, "for whoever binds next");
    assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    let mut next: Socket<Pull> = place.open();
    next.bind(&name).unwrap();
    assert_eq!(recv(&mut next), "for whoever binds next");
}

#[test]
fn names_of_two_contexts_are_apart() {
    let (here, there) = (Place::new(Transport::Inproc), Place::new(Transport::Inproc));
    let (mut ours, name) = here.bound::<Pull>();
    let mut theirs: Socket<Pull> = there.open();
    theirs.bind(&name).unwrap();
    let mut push: Socket<Push> = here.connected(&name);
    send(&mut push, "ours");
    assert_eq!(recv(&mut ours), "ours");
    assert_eq!(theirs.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn a_type_that_cannot_be_talked_to_is_named() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, name) = place.bound::<Pull>();
    let refused = Err(ConnectErrorKind::IncompatibleSocketTypes(SocketType::Pull));
    assert_eq!(place.open::<Pull>().connect(&name).map_err(|error| error.kind()), refused);
    assert_eq!(place.open::<Pair>().connect(&name).map_err(|error| error.kind()), refused);
    let mut push: Socket<Push> = place.connected(&name);
    send(&mut push, "unharmed");
    assert_eq!(recv(&mut pull), "unharmed");
}

#[test]
fn a_type_that_cannot_be_talked_to_is_let_go_at_the_bind() {
    let place = Place::new(Transport::Inproc);
    let name = place.address();
    let mut pair: Socket<Pair> = place.connected(&name);
    pair.try_send("for another pair").unwrap();
    let mut push: Socket<Push> = place.connected(&name);
    push.try_send("for a pull").unwrap();
    let mut pull: Socket<Pull> = place.open();
    pull.bind(&name).unwrap();
    assert_eq!(recv(&mut pull), "for a pull");
    assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    // The pair has no peer any more, and may have another.
    eventually("the pair is free", || pair.try_send("nobody").is_err());
    let (mut other, there) = place.bound::<Pair>();
    pair.connect(&there).unwrap();
    send(&mut pair, "a pair at last");
    assert_eq!(recv(&mut other), "a pair at last");
}

#[test]
fn connecters_that_went_before_the_bind_and_left_nothing_do_not_gather() {
    let place = Place::new(Transport::Inproc);
    let mut waits: Socket<Push> = place.connected(&place.address());
    for number in 0..1000 {
        drop(place.connected::<Push>(&place.address()));
        let endpoint = place.address();
        waits.connect(&endpoint).unwrap();
        waits.disconnect(&endpoint).unwrap();
        let waiting = place.context.inner.inproc.lock().unwrap().waiting();
        assert!(waiting <= 3, "{waiting} after {number}");
    }
}

#[test]
fn a_connecter_that_went_before_the_bind_leaves_its_messages() {
    // L-05: accepted, so delivered.
    let place = Place::new(Transport::Inproc);
    let name = place.address();
    let mut push: Socket<Push> = place.context.open().unwrap();
    push.connect(&name).unwrap();
    push.try_send("left behind").unwrap();
    drop(push);
    let mut pull: Socket<Pull> = place.open();
    pull.bind(&name).unwrap();
    assert_eq!(recv(&mut pull), "left behind");
}

#[test]
fn every_order_of_bind_and_connect_delivers() {
    // Promise 14, X-47, E-07: seeded orders of N pushes and M pulls that bind or connect, and send in between.
    for seed in 1..=300 {
        let place = Place::new(Transport::Inproc);
        let mut dice = Dice(seed);
        let names: Vec<_> = (0..3).map(|_| place.address()).collect();
        let mut pulls: Vec<Socket<Pull>> = (0..3).map(|_| place.open()).collect();
        let mut pushes: Vec<Socket<Push>> = (0..3).map(|_| place.open()).collect();
        // Pull i binds name i; pushes connect to names at random; in a random order, with sends in between.
        let mut steps: Vec<(bool, usize, usize)> = (0..3).map(|pull| (true, pull, pull)).collect();
        steps.extend((0..9).map(|edge| (false, edge / 3, edge % 3)).filter(|_| dice.roll(2) == 0));
        let mut sent = 0;
        while !steps.is_empty() {
            let (is_bind, socket, name) = steps.swap_remove(dice.roll(steps.len()));
            if is_bind {
                pulls[socket].bind(&names[name]).unwrap();
            } else {
                pushes[socket].connect(&names[name]).unwrap();
            }
            for push in &mut pushes {
                sent += u32::from(push.try_send(&numbered(sent)).is_ok());
            }
        }
        let mut seen = vec![false; sent as usize];
        eventually("every message is here", || {
            for pull in &mut pulls {
                while let Ok(message) = pull.try_recv() {
                    let seen = &mut seen[number_of(&message) as usize];
                    assert!(!*seen, "seed {seed}: twice");
                    *seen = true;
                }
            }
            seen.iter().all(|seen| *seen)
        });
    }
}

#[test]
fn threads_that_bind_connect_send_and_drop_at_once_agree() {
    // real threads; whatever is received is whole, and received once, in order.
    let place = Place::new(Transport::Inproc);
    let name = place.address();
    for _ in 0..200 {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut push: Socket<Push> = place.connected(&name);
                for number in 0..50 {
                    if push.try_send(&numbered(number)).is_err() {
                        break;
                    }
                }
            });
            scope.spawn(|| {
                let mut pull: Socket<Pull> = place.open();
                pull.bind(&name).unwrap();
                let first = number_of(&recv(&mut pull));
                let mut next = first + 1;
                while let Ok(message) = pull.try_recv() {
                    assert_eq!(number_of(&message), next);
                    next += 1;
                }
            });
        });
        // What nobody took is waiting under the name: the next round must begin without it.
        let mut last: Socket<Pull> = place.open();
        last.bind(&name).unwrap();
        while last.try_recv().is_ok() {}
    }
}

/// Two sockets: the one takes no more than so many octets. Either binds, before or after the other connects.
fn with_a_limit<S: Pattern, R: Pattern>(octets: u64, mut act: impl FnMut(Socket<S>, Socket<R>)) {
    let place = Place::new(Transport::Inproc);
    for (sender_binds, binds_first) in [(false, false), (false, true), (true, false), (true, true)] {
        let name = place.address();
        let mut sender: Socket<S> = place.open();
        let mut receiver: Socket<R> = place.builder().max_message_size(octets).open().unwrap();
        for is_binder_s in [binds_first, !binds_first] {
            match (is_binder_s, sender_binds) {
                (true, true) => drop(sender.bind(&name).unwrap()),
                (true, false) => drop(receiver.bind(&name).unwrap()),
                (false, true) => drop(receiver.connect(&name).unwrap()),
                (false, false) => drop(sender.connect(&name).unwrap()),
            }
        }
        act(sender, receiver);
    }
}

/// Messages of as many octets, and of one more.
fn of_size(octets: usize) -> [Message; 4] {
    let body = |octets| vec![7_u8; octets];
    [
        Message::from(body(octets)),
        Message::from([body(octets / 2), body(octets - octets / 2)]),
        Message::from(body(octets + 1)),
        Message::from([body(octets / 2), body(octets - octets / 2), body(1)]),
    ]
}

fn larger_messages_are_handed_back<S: Sends, R: Receives>() {
    for octets in [10, 1_000, 1_000_000] {
        with_a_limit(octets as u64, |mut sender: Socket<S>, mut receiver: Socket<R>| {
            let [taken, parts, larger, more] = of_size(octets);
            for refused in [&larger, &more] {
                let unsent = sender.try_send(refused.clone()).unwrap_err();
                assert_eq!((unsent.error, unsent.message.as_ref()), (SendError::TooLarge, Some(refused)));
                assert_eq!(sender.send(refused).unwrap_err().error, SendError::TooLarge);
            }
            for message in [&taken, &parts] {
                send(&mut sender, message);
                assert_eq!(recv(&mut receiver), *message);
            }
        });
    }
}

#[test]
fn what_is_larger_than_the_peer_takes_is_handed_back() {
    larger_messages_are_handed_back::<Push, Pull>();
    larger_messages_are_handed_back::<crate::Dealer, crate::Dealer>();
    larger_messages_are_handed_back::<Pair, Pair>();
    let [taken, _, larger, _] = of_size(10);
    with_a_limit(10, |mut req: Socket<crate::Req>, mut rep: Socket<crate::Rep>| {
        assert_eq!(req.request(&larger).unwrap_err().error, SendError::TooLarge);
        let reply = req.request(&taken).unwrap();
        rep.recv_timeout(PATIENCE).unwrap().reply(&larger).unwrap(); // the other way there is no limit
        assert_eq!(reply.recv().unwrap(), larger);
    });
    with_a_limit(10, |mut rep: Socket<crate::Rep>, mut req: Socket<crate::Req>| {
        let reply = req.request(&larger).unwrap();
        let request = rep.recv_timeout(PATIENCE).unwrap();
        assert_eq!(request.reply(&larger).unwrap_err().error, SendError::TooLarge);
        drop(reply);
    });
    with_a_limit(10, |mut router: Socket<crate::Router>, mut dealer: Socket<crate::Dealer>| {
        send(&mut dealer, "hello");
        let (from, _) = router.recv_timeout(PATIENCE).unwrap();
        assert_eq!(router.send_to(&from, &larger).unwrap_err().error, SendError::TooLarge);
        router.send_to(&from, &taken).unwrap();
        assert_eq!(recv(&mut dealer), taken);
    });
}

#[test]
fn an_answer_that_the_asker_would_refuse_is_handed_back_and_the_next_is_sent() {
    let place = Place::new(Transport::Inproc);
    let [taken, _, larger, _] = of_size(10);
    let (rep, name) = place.bound::<crate::Rep>();
    let rep = crate::SharedSocket::new(rep);
    let mut req: Socket<crate::Req> = place.builder().max_message_size(10).open().unwrap();
    req.connect(&name).unwrap();
    for _ in 0..2 {
        let lost = req.request("first").unwrap();
        let Err(AnswerError::NotSent(unsent)) = rep.answer_timeout(PATIENCE, |_| larger.clone()) else {
            panic!("it was sent")
        };
        assert_eq!((unsent.error, unsent.message.as_ref()), (SendError::TooLarge, Some(&larger)));
        drop(lost);
    }
    assert_eq!(rep.answer_timeout(TURN, |_| taken.clone()), Err(RecvError::WouldBlock.into()));
    let reply = req.request("next").unwrap();
    rep.answer_timeout(PATIENCE, |_| taken.clone()).unwrap();
    assert_eq!(reply.recv().unwrap(), taken);
}

#[test]
fn a_publisher_drops_what_is_larger_than_a_subscriber_takes() {
    let [taken, _, larger, more] = of_size(10);
    with_a_limit(10, |mut publisher: Socket<crate::Pub>, mut subscriber: Socket<crate::Sub>| {
        subscriber.subscribe("").unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        publisher.send(&larger).unwrap();
        publisher.send(&more).unwrap();
        publisher.send(&taken).unwrap();
        assert_eq!(recv(&mut subscriber), taken);
        assert_eq!(publisher.dropped().full, 2);
    });
}

#[test]
fn what_takes_the_place_of_another_message_is_measured_too() {
    let place = Place::new(Transport::Inproc);
    let [taken, _, larger, _] = of_size(1_000);
    let mut pull: Socket<Pull> = place.builder().max_message_size(1_000).open().unwrap();
    let name = pull.bind(place.address()).unwrap();
    let mut push: Socket<Push> = place.builder().conflate(true).open().unwrap();
    push.connect(&name).unwrap();
    push.send(&taken).unwrap();
    assert_eq!(push.send(&larger).unwrap_err().error, SendError::TooLarge);
    assert_eq!(recv(&mut pull), taken);
}
