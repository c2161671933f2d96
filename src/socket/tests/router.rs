//! ROUTER: names, and who gets what.

use std::collections::HashSet;

use super::reconnect::{lose_again, quick};
use super::*;
use crate::socket::core::Limit;
use crate::{
    ConnectErrorKind, Dealer, KernelBuffer, RecvError, Req, Router, RouterNotify, RoutingId, SendError,
};

fn name(text: &str) -> RoutingId {
    RoutingId::new(text).unwrap()
}

fn named<P: Pattern>(place: &Place, text: &str) -> Socket<P> {
    place.builder().routing_id(name(text)).open().unwrap()
}

fn mandatory(place: &Place) -> Socket<Router> {
    place.builder().router_mandatory(true).open().unwrap()
}

fn hear(router: &mut Socket<Router>) -> (RoutingId, Message) {
    router.recv_timeout(PATIENCE).unwrap()
}

/// Sends until the peer of this name is there.
fn send_when_there(router: &mut Socket<Router>, to: &RoutingId, message: &str) {
    eventually("there is a peer of this name", || match router.try_send_to(to, message) {
        Ok(()) => true,
        Err(unsent) => {
            assert_eq!((unsent.error, unsent.message), (SendError::Unroutable, None));
            false
        }
    });
}

#[test]
fn a_peer_is_addressed_by_the_name_that_it_announced() {
    // N-23: both bind sides.
    over(ALL, |place| {
        let mut router = mandatory(place);
        let endpoint = router.bind(place.address()).unwrap();
        let mut ada: Socket<Dealer> = named(place, "ada");
        ada.connect(&endpoint).unwrap();
        let mut bob: Socket<Dealer> = named(place, "bob");
        router.connect(bob.bind(place.address()).unwrap()).unwrap();
        send_when_there(&mut router, &name("ada"), "to ada");
        send_when_there(&mut router, &name("bob"), "to bob");
        assert_eq!((recv(&mut ada), recv(&mut bob)), ("to ada".into(), "to bob".into()));
        send(&mut ada, ["from", "ada"]);
        assert_eq!(hear(&mut router), (name("ada"), ["from", "ada"].into()));
        send(&mut bob, "from bob");
        assert_eq!(hear(&mut router), (name("bob"), "from bob".into()));
    });
}

#[test]
fn peers_without_a_name_get_one_of_their_own() {
    //
    over(ALL, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut names = HashSet::new();
        let mut dealers: Vec<Socket<Dealer>> = (0..50).map(|_| place.connected(&endpoint)).collect();
        for (number, dealer) in (0..).zip(&mut dealers) {
            send(dealer, &numbered(number));
        }
        for _ in 0..dealers.len() {
            let (from, message) = hear(&mut router);
            assert!(from.as_bytes().len() == 5 && from.as_bytes()[0] == 0);
            router.send_to(&from, message).unwrap();
            assert!(names.insert(from));
        }
        for (number, dealer) in (0..).zip(&mut dealers) {
            assert_eq!(number_of(&recv(dealer)), number);
        }
    });
}

#[test]
fn routers_talk_to_each_other() {
    //
    over(ALL, |place| {
        let mut here: Socket<Router> = named(place, "here");
        let mut there: Socket<Router> = named(place, "there");
        here.connect_as(&name("you"), there.bind(place.address()).unwrap()).unwrap();
        here.send_to(&name("you"), "hello").unwrap();
        assert_eq!(hear(&mut there), (name("here"), "hello".into()));
        there.send_to(&name("here"), "hello back").unwrap();
        assert_eq!(hear(&mut here), (name("you"), "hello back".into()));
    });
}

#[test]
fn a_peer_named_by_connect_as_has_its_queue_at_once() {
    // R-37, Tq1
    over(ALL, |place| {
        let endpoint = place.address();
        let mut router = mandatory(place);
        router.connect_as(&name("worker"), &endpoint).unwrap();
        for number in 0..1000 {
            router.try_send_to(&name("worker"), &numbered(number)).unwrap();
        }
        let mut dealer: Socket<Dealer> = named(place, "its own idea");
        dealer.bind(&endpoint).unwrap();
        for number in 0..1000 {
            assert_eq!(number_of(&recv(&mut dealer)), number);
        }
        send(&mut dealer, "done");
        assert_eq!(hear(&mut router), (name("worker"), "done".into()));
        let taken = router.connect_as(&name("worker"), place.address());
        assert_eq!(taken.map_err(|error| error.kind()), Err(ConnectErrorKind::RoutingIdInUse));
    });
}

#[test]
fn a_peer_that_it_connected_to_has_a_name_once_it_is_there() {
    // not before the peer has told its name, and without anybody receiving.
    over(ALL, |place| {
        let endpoint = place.address();
        let mut router = mandatory(place);
        router.connect(&endpoint).unwrap();
        assert_eq!(router.try_send_to(&name("late"), "?").unwrap_err().error, SendError::Unroutable);
        let mut dealer: Socket<Dealer> = named(place, "late");
        dealer.bind(&endpoint).unwrap();
        send_when_there(&mut router, &name("late"), "there you are");
        assert_eq!(recv(&mut dealer), "there you are");
    });
}

#[test]
fn its_queue_survives_reconnects_and_the_name_follows_the_peer() {
    //
    let place = Place::new(Transport::Tcp);
    let endpoint = place.address();
    let mut router: Socket<Router> = quick(&place);
    router.connect(&endpoint).unwrap();
    let mut before: Option<RoutingId> = None;
    for round in 0..5_u32 {
        if let Some(before) = &before {
            router.send_to(before, "kept").unwrap();
        }
        for _ in 0..3 {
            lose_again(&endpoint);
        }
        // Twice the same name, then another.
        let mut dealer: Socket<Dealer> = named(&place, &format!("dealer-{}", round / 2));
        eventually("the address is free", || dealer.bind(&endpoint).is_ok());
        if before.is_some() {
            assert_eq!(recv(&mut dealer), "kept");
        }
        send(&mut dealer, "here");
        let (from, message) = hear(&mut router);
        assert_eq!((&from, message), (&name(&format!("dealer-{}", round / 2)), "here".into()));
        router.send_to(&from, "welcome").unwrap();
        assert_eq!(recv(&mut dealer), "welcome");
        before = Some(from);
        drop(dealer);
        lose_again(&endpoint);
    }
    assert_eq!(router.dropped().unroutable, 0);
    router.send_to(&name("dealer-0"), "nobody has this name any more").unwrap();
    assert_eq!(router.dropped().unroutable, 1);
}

#[test]
fn the_queue_of_a_peer_that_left_is_destroyed() {
    // Tq2: a later peer of the same name gets none of it.
    over(ALL, |place| {
        let drops = Drops::default();
        let small = KernelBuffer::octets(64 * 1024).unwrap();
        let mut router: Socket<Router> =
            place.builder().router_mandatory(true).send_hwm(50).send_buffer(small).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        let connect = || {
            let builder = place.builder::<Dealer>().routing_id(name("ada"));
            let mut dealer = builder.recv_hwm(1).recv_buffer(small).open().unwrap();
            dealer.connect(&endpoint).unwrap();
            dealer
        };
        let mut dealer = connect();
        send_when_there(&mut router, &name("ada"), "first");
        assert_eq!(recv(&mut dealer), "first");
        let send = |message| router.send_to_timeout(&name("ada"), message, TURN);
        let accepted = fill_with(|| drops.body(), send);
        assert!(accepted >= 50);
        drop(dealer);
        eventually("the peer is gone", || {
            let unsent = router.try_send_to(&name("ada"), "?").unwrap_err();
            unsent.error == SendError::Unroutable
        });
        let mut again = connect();
        send_when_there(&mut router, &name("ada"), "second");
        assert_eq!(recv(&mut again), "second");
        assert_eq!(again.try_recv(), Err(RecvError::WouldBlock));
        eventually("every queued body is dropped", || {
            let _ = router.try_recv();
            drops.count() == accepted + 1
        });
    });
}

#[test]
fn what_cannot_be_routed_is_dropped_and_counted() {
    // Tq3: never waits, whatever the timeout.
    over(ALL, |place| {
        let small = KernelBuffer::octets(64 * 1024).unwrap();
        let mut router: Socket<Router> = place.builder().send_hwm(10).send_buffer(small).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        for _ in 0..7 {
            router.send_to(&name("nobody"), "lost").unwrap();
        }
        assert_eq!((router.dropped().unroutable, router.dropped().full), (7, 0));
        let builder = place.builder::<Dealer>().routing_id(name("slow"));
        let mut dealer = builder.recv_hwm(10).recv_buffer(small).open().unwrap();
        dealer.connect(&endpoint).unwrap();
        send(&mut dealer, "here");
        hear(&mut router);
        let mut sent = 0;
        while router.dropped().full < 500 {
            router.send_to(&name("slow"), [&numbered(sent)[..], &[1; LARGE]]).unwrap();
            sent += 1;
        }
        // What was not dropped arrives, in order.
        let mut received = Vec::new();
        eventually("everything that was not dropped is here", || {
            received.extend(dealer.try_recv().map(|message| number_of(&message)));
            received.len() as u64 + router.dropped().full == u64::from(sent)
        });
        assert!(received.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(dealer.try_recv(), Err(RecvError::WouldBlock));
        assert_eq!(router.dropped().unroutable, 7);
    });
}

#[test]
fn a_mandatory_router_says_so_and_waits_for_room() {
    // Promise 6, R-47: unknown, and full.
    over(ALL, |place| {
        let mut router: Socket<Router> = place.builder().router_mandatory(true).send_hwm(5).open().unwrap();
        let unsent = router.send_to(&name("nobody"), ["a", "b"]).unwrap_err();
        assert_eq!((unsent.error, unsent.message), (SendError::Unroutable, Some(["a", "b"].into())));
        let endpoint = place.address();
        router.connect_as(&name("slow"), &endpoint).unwrap();
        for number in 0..5 {
            router.try_send_to(&name("slow"), &numbered(number)).unwrap();
        }
        let unsent = router.try_send_to(&name("slow"), "full").unwrap_err();
        assert_eq!((unsent.error, unsent.message), (SendError::WouldBlock, None));
        let short = Duration::from_millis(5);
        let unsent = router.send_to_timeout(&name("slow"), "full", short).unwrap_err();
        assert_eq!(unsent.error, SendError::WouldBlock);
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 5..1000 {
                    router.send_to(&name("slow"), &numbered(number)).unwrap();
                }
            });
            let mut dealer: Socket<Dealer> = place.open();
            dealer.bind(&endpoint).unwrap();
            for number in 0..1000 {
                assert_eq!(number_of(&recv(&mut dealer)), number);
            }
        });
        assert_eq!(router.dropped(), crate::Dropped::default());
    });
}

#[test]
fn a_second_peer_of_a_name_is_refused_until_the_first_is_gone() {
    // Promise 17, N-27
    over(WIRES, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut first: Socket<Dealer> = named(place, "ada");
        first.connect(&endpoint).unwrap();
        send(&mut first, "first");
        assert_eq!(hear(&mut router), (name("ada"), "first".into()));
        let mut second: Socket<Dealer> = place
            .builder()
            .routing_id(name("ada"))
            .reconnect_interval(Duration::from_millis(1))
            .open()
            .unwrap();
        second.connect(&endpoint).unwrap();
        send(&mut second, "second");
        for _ in 0..20 {
            router.send_to(&name("ada"), "for the first").unwrap();
            assert_eq!(recv(&mut first), "for the first");
            let _ = router.try_recv().map(|(_, message)| assert_eq!(message, "second"));
        }
        assert_eq!(second.try_recv(), Err(RecvError::WouldBlock));
        drop(first);
        // Messages of the second went with connections that were refused; now it is heard.
        eventually("the second is heard", || {
            let _ = second.try_send("now");
            matches!(router.try_recv(), Ok((from, message)) if from == name("ada") && message == "now")
        });
        router.send_to(&name("ada"), "for the second").unwrap();
        assert_eq!(recv(&mut second), "for the second");
    });
}

#[test]
fn a_second_peer_that_it_connects_to_is_refused_until_the_first_is_gone() {
    // N-27: the connection that this side made is closed, too, and tried again.
    over(WIRES, |place| {
        let mut router: Socket<Router> = quick(place);
        let mut first: Socket<Dealer> = named(place, "ada");
        let first_endpoint = first.bind(place.address()).unwrap();
        router.connect(&first_endpoint).unwrap();
        send(&mut first, "first");
        assert_eq!(hear(&mut router), (name("ada"), "first".into()));
        let mut second: Socket<Dealer> = named(place, "ada");
        router.connect(second.bind(place.address()).unwrap()).unwrap();
        for _ in 0..20 {
            let _ = second.try_send("second");
            router.send_to(&name("ada"), "for the first").unwrap();
            assert_eq!(recv(&mut first), "for the first");
            assert_eq!(router.try_recv(), Err(RecvError::WouldBlock));
        }
        assert_eq!(second.try_recv(), Err(RecvError::WouldBlock));
        // The name belongs to the connect, also while the peer is away; a disconnect frees it.
        router.disconnect(&first_endpoint).unwrap();
        eventually("the second is heard", || {
            let _ = second.try_send("second");
            matches!(router.try_recv(), Ok((from, message)) if from == name("ada") && message == "second")
        });
        router.send_to(&name("ada"), "for the second").unwrap();
        assert_eq!(recv(&mut second), "for the second");
    });
}

#[test]
fn a_second_peer_of_a_name_takes_over_if_it_may() {
    // N-27: the first is closed, and queued messages never cross.
    over(ALL, |place| {
        let mut router: Socket<Router> = place.builder().router_handover(true).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        let mut peers: Vec<Socket<Dealer>> = Vec::new();
        for number in 0..5 {
            let mut peer: Socket<Dealer> = place
                .builder()
                .routing_id(name("ada"))
                .reconnect_interval(crate::ReconnectInterval::Never)
                .open()
                .unwrap();
            peer.connect(&endpoint).unwrap();
            send(&mut peer, &numbered(number));
            let (from, message) = hear(&mut router);
            assert_eq!((from, number_of(&message)), (name("ada"), number));
            router.send_to(&name("ada"), &numbered(number)).unwrap();
            assert_eq!(number_of(&recv(&mut peer)), number);
            if let Some(last) = peers.last_mut() {
                eventually("the last one's connection is closed", || last.try_send("?").is_err());
                assert_eq!(last.try_recv(), Err(RecvError::WouldBlock));
            }
            peers.push(peer);
        }
    });
}

#[test]
fn it_tells_who_came_and_who_went() {
    over(ALL, |place| {
        let mut router: Socket<Router> = place.builder().router_notify(RouterNotify::BOTH).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        for text in ["ada", "bob"] {
            let mut dealer: Socket<Dealer> =
                place.context.builder_for().routing_id(name(text)).open().unwrap();
            dealer.connect(&endpoint).unwrap();
            send(&mut dealer, "hello");
            drop(dealer);
            assert_eq!(hear(&mut router), (name(text), Message::new()));
            assert_eq!(hear(&mut router), (name(text), "hello".into()));
            assert_eq!(hear(&mut router), (name(text), Message::new()));
        }
        assert_eq!(router.try_recv(), Err(RecvError::WouldBlock));
    });
}

#[test]
fn it_tells_when_a_peer_that_it_connected_to_comes_and_goes() {
    over(WIRES, |place| {
        let endpoint = place.address();
        let mut router: Socket<Router> = place
            .builder()
            .router_notify(RouterNotify::BOTH)
            .reconnect_interval(Duration::from_millis(1))
            .open()
            .unwrap();
        router.connect_as(&name("server"), &endpoint).unwrap();
        assert_eq!(router.try_recv(), Err(RecvError::WouldBlock));
        for _ in 0..3 {
            let mut dealer: Socket<Dealer> = place.open();
            eventually("the address is free", || dealer.bind(&endpoint).is_ok());
            assert_eq!(hear(&mut router), (name("server"), Message::new()));
            send(&mut dealer, "hello");
            assert_eq!(hear(&mut router), (name("server"), "hello".into()));
            drop(dealer);
            assert_eq!(hear(&mut router), (name("server"), Message::new()));
        }
    });
}

#[test]
fn it_receives_from_its_peers_in_turn() {
    // R-42, Tq5: p peers each with a full queue, over k·p receives every peer is served k ± 1.
    over(ALL, |place| {
        let mut router: Socket<Router> = place.builder().recv_hwm(101).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        let small = KernelBuffer::octets(16 * 1024).unwrap();
        let mut dealers: Vec<Socket<Dealer>> =
            (0..5).map(|_| place.builder().send_hwm(1).send_buffer(small).open().unwrap()).collect();
        thread::scope(|scope| {
            for (peer, dealer) in (0..).zip(&mut dealers) {
                dealer.connect(&endpoint).unwrap();
                let message = Message::from([numbered(peer).to_vec(), vec![0; LARGE]]);
                scope.spawn(move || fill(dealer, &message));
            }
        });
        let mut served = [0_usize; 5];
        for _ in 0..500 {
            served[number_of(&hear(&mut router).1) as usize] += 1;
        }
        assert!(served.iter().all(|count| count.abs_diff(100) <= 1), "{served:?}");
    });
}

#[test]
fn its_two_directions_are_independent() {
    // R-36, Tq4
    over(ALL, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut dealer: Socket<Dealer> = named(place, "ada");
        dealer.connect(&endpoint).unwrap();
        send(&mut dealer, vec![1; LARGE]);
        hear(&mut router);
        let accepted = fill(&mut dealer, &Message::from(vec![1; LARGE]));
        for number in 0..2000 {
            router.send_to(&name("ada"), &numbered(number)).unwrap();
            assert_eq!(number_of(&recv(&mut dealer)), number);
        }
        for _ in 0..accepted {
            assert_eq!(hear(&mut router).1.size(), LARGE);
        }
    });
}

#[test]
fn the_first_frame_is_the_name_where_there_is_one_verb_for_all_types() {
    //
    over(ALL, |place| {
        let mut router = mandatory(place);
        let endpoint = router.bind(place.address()).unwrap();
        let mut dealer: Socket<Dealer> = named(place, "ada");
        dealer.connect(&endpoint).unwrap();
        send(&mut dealer, ["two", "frames"]);
        let mut message = Message::new();
        router.core.recv(&mut router.pattern, &mut message, Limit::Option).unwrap();
        assert_eq!(message, ["ada", "two", "frames"]);
        router.core.try_send(&mut router.pattern, crate::Payload::from(&message)).unwrap();
        assert_eq!(recv(&mut dealer), ["two", "frames"]);
        for (message, error) in [
            (Message::from("ada"), SendError::MissingBody),
            (Message::from(["nobody", "body"]), SendError::Unroutable),
        ] {
            let unsent = router.core.try_send(&mut router.pattern, message.clone().into()).unwrap_err();
            assert_eq!((unsent.error, unsent.message.as_ref()), (error, Some(&message)));
            let unsent = router.core.try_send(&mut router.pattern, (&message).into()).unwrap_err();
            assert_eq!((unsent.error, unsent.message), (error, None));
        }
    });
}

#[test]
fn a_message_and_its_sender_are_as_before_when_there_is_none() {
    let (mut router, endpoint) = Place::new(Transport::Tcp).bound::<Router>();
    let place = Place::new(Transport::Tcp);
    let (mut from, mut message) = (name("before"), Message::from("before"));
    assert_eq!(router.try_recv_from_into(&mut from, &mut message), Err(RecvError::WouldBlock));
    assert_eq!((&from, &message), (&name("before"), &Message::from("before")));
    let mut req: Socket<Req> = place.connected(&endpoint);
    let reply = req.request("question").unwrap();
    router.recv_from_into(&mut from, &mut message).unwrap();
    assert_eq!(message, ["", "question"]);
    router.send_to(&from, ["", "answer"]).unwrap();
    assert_eq!(reply.recv().unwrap(), "answer");
}

#[test]
fn peers_that_left_leave_nothing_although_nobody_receives() {
    over(ALL, |place| {
        let mut router = mandatory(place);
        let endpoint = router.bind(place.address()).unwrap();
        for number in 0..20 {
            let ada = format!("ada-{number}");
            let mut dealer: Socket<Dealer> = named(place, &ada);
            dealer.connect(&endpoint).unwrap();
            send_when_there(&mut router, &name(&ada), "hello");
            assert_eq!(recv(&mut dealer), "hello");
        }
        eventually("they are gone", || {
            let _ = router.try_send_to(&name("nobody"), "?");
            router.core.handle_mail(&mut router.pattern);
            router.core.pipes.keys().is_empty()
        });
    });
}

#[test]
fn news_that_nobody_receives_do_not_pile_up() {
    let place = Place::new(Transport::Inproc);
    let mut router: Socket<Router> = place.builder().router_notify(RouterNotify::BOTH).open().unwrap();
    let endpoint = router.bind(place.address()).unwrap();
    for _ in 0..=crate::limits::ROUTER_NEWS_MAX / 2 {
        drop(place.connected::<Dealer>(endpoint.endpoint()));
        router.try_send_to(&name("nobody"), "").unwrap();
    }
    let heard = std::iter::from_fn(|| router.try_recv().ok()).count();
    assert_eq!(heard, crate::limits::ROUTER_NEWS_MAX);
}
