//! What a socket drops, it counts: every message that was accepted or has arrived is somewhere in the books.

use super::conservation::attend;
use super::*;
use crate::{AnyPattern, Dealer, Dropped, Pub, Rep, Req, Router, RoutingId, SocketType, Sub, XSub};

fn name(name: &str) -> RoutingId {
    RoutingId::new(name).unwrap()
}

#[test]
fn a_req_counts_the_replies_that_it_does_not_take() {
    //
    over(ALL, |place| {
        let (mut req, endpoint) = place.bound::<Req>();
        let mut routers: Vec<Socket<Router>> = (0..2)
            .map(|_| {
                let mut router: Socket<Router> = place.open();
                router.connect_as(&name("client"), &endpoint).unwrap();
                router
            })
            .collect();
        eventually("both are known", || {
            attend(&mut req);
            req.core.pipes.iter().count() == 2
        });
        let mut reply = req.try_request("who answers?").unwrap();
        let mut asked = None;
        eventually("one is asked", || {
            asked = routers.iter_mut().position(|router| router.try_recv().is_ok());
            asked.is_some()
        });
        let asked = asked.unwrap();
        routers[1 - asked].send_to(&name("client"), ["", "not from me"]).unwrap();
        routers[asked].send_to(&name("client"), "no empty frame").unwrap();
        for answer in ["yours", "and once more"] {
            routers[asked].send_to(&name("client"), ["", answer]).unwrap();
        }
        assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "yours");
        drop(reply);
        routers[asked].send_to(&name("client"), ["", "and long after"]).unwrap();
        eventually("all of it has come", || {
            attend(&mut req);
            let pipes = &mut req.core.pipes;
            let keys = pipes.keys().into_iter();
            let waiting: u64 =
                keys.map(|key| pipes.get_mut(key).map_or(0, |pipe| pipe.inbound.unread())).sum();
            req.dropped().total() + waiting == 4
        });
        // What came behind a reply is looked at before the next request to the same peer.
        for _ in 0..2 {
            let mut reply = req.try_request("and now?").unwrap();
            let answer = |router: &mut Socket<Router>| {
                router.try_recv().is_ok_and(|(from, _)| router.send_to(&from, ["", "you"]).is_ok())
            };
            eventually("one is asked", || routers.iter_mut().any(answer));
            assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "you");
        }
        let dropped = Dropped { malformed: 1, unwanted: 3, ..Dropped::default() };
        assert_eq!((req.dropped(), req.stats().total.dropped), (dropped, dropped));
        // Three requests, and their replies.
        let delivered = 3 + 3;
        assert_conserved(place, delivered, dropped);
    });
}

/// What was sent in this context was delivered or dropped, for these reasons, and nothing is queued.
fn assert_conserved(place: &Place, delivered: u64, dropped: Dropped) {
    eventually("what was sent is written down", || {
        let outgoing = place.context.stats().outgoing;
        outgoing.queued == 0 && outgoing.accepted() == delivered + dropped.malformed + dropped.unwanted
    });
    let totals = place.context.stats();
    assert_eq!(totals.dropped, dropped);
    assert_eq!((totals.sent.messages, totals.outgoing.lost), (totals.received.messages, 0));
}

#[test]
fn replies_are_taken_or_counted_when_requests_are_given_up() {
    over(ALL, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut req = place.builder::<Req>().req_correlate(true).open().unwrap();
        req.connect(&endpoint).unwrap();
        let mut dice = Dice(7);
        let (mut answered, mut taken) = (0, 0);
        for round in 0..300 {
            let mut reply = req.request(&numbered(round)).unwrap();
            rep.recv_timeout(PATIENCE).unwrap().reply(&numbered(round)).unwrap();
            answered += 1;
            // The last one is behind all others.
            if round == 299 || dice.roll(3) > 0 {
                assert_eq!(number_of(&reply.recv_timeout(PATIENCE).unwrap()), round);
                taken += 1;
            }
        }
        let dropped = Dropped { unwanted: answered - taken, ..Dropped::default() };
        assert_eq!(req.dropped(), dropped);
        // Every request came, and was answered.
        assert_conserved(place, answered + taken, dropped);
    });
}

#[test]
fn a_message_that_is_replaced_is_counted_once() {
    over(ALL, |place| {
        for (round, (sender_conflates, receiver_conflates)) in
            (1..).zip([(true, false), (false, true), (true, true)])
        {
            let mut pull = place.builder::<Pull>().conflate(receiver_conflates).open().unwrap();
            let endpoint = pull.bind(place.address()).unwrap();
            let mut push = place.builder::<Push>().conflate(sender_conflates).open().unwrap();
            push.connect(&endpoint).unwrap();
            let (mut received, mut last) = (0, 0);
            for number in 1..=3000 {
                send(&mut push, &numbered(number));
                if number % 100 == 0 {
                    last = number_of(&recv(&mut pull));
                    received += 1;
                }
            }
            while last < 3000 {
                last = number_of(&recv(&mut pull));
                received += 1;
            }
            let (sent, got) = (push.dropped(), pull.dropped());
            assert_eq!(received + sent.replaced + got.replaced, 3000, "{sent:?} {got:?}");
            assert_eq!(sent.total() + got.total(), sent.replaced + got.replaced);
            // And so it is when the peer is gone.
            drop(push);
            eventually("it is gone", || {
                attend(&mut pull);
                pull.core.pipes.iter().count() == 0
            });
            assert_eq!(pull.dropped(), got);
            // The same in the context, of sockets that are gone, too.
            let totals = place.context.stats();
            assert_eq!(totals.received.messages + totals.dropped.replaced, round * 3000);
            assert_eq!(totals.dropped.total(), totals.dropped.replaced);
        }
    });
}

#[test]
fn a_sub_counts_what_it_filters() {
    // S-31, by chance of what was on its way when a subscription was taken back.
    over(ALL, |place| {
        let (mut publisher, endpoint) = place.bound::<Pub>();
        let mut sub: Socket<Sub> = place.connected(&endpoint);
        sub.subscribe("end").unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        let (mut dice, mut received) = (Dice(11), 0);
        for _ in 0..2000 {
            let topic = ["a", "b", "ab"][dice.roll(3)];
            match dice.roll(4) {
                0 => drop(sub.subscribe(topic)),
                1 => drop(sub.unsubscribe(topic)),
                2 => send(&mut publisher, [topic, "news"]),
                _ => received += u64::from(sub.try_recv().is_ok()),
            }
        }
        // Everything that can be filtered is, for sure.
        for topic in ["a", "b", "ab"] {
            sub.subscribe(topic).unwrap();
        }
        eventually("they are known", || publisher.topic_count() == 4);
        send(&mut publisher, "abc");
        for topic in ["a", "b", "ab"] {
            while sub.unsubscribe(topic) {}
        }
        send(&mut publisher, "end");
        while recv(&mut sub) != "end" {
            received += 1;
        }
        let dropped = sub.dropped();
        assert!(dropped.unwanted > 0 && dropped.total() == dropped.unwanted);
        assert_eq!(publisher.outgoing().accepted(), received + 1 + dropped.unwanted);
        assert_eq!(publisher.dropped().total(), 0);
    });
}

#[test]
fn a_pub_counts_what_it_is_sent() {
    // S-13
    over(ALL, |place| {
        let (mut publisher, endpoint) = place.bound::<Pub>();
        let mut xsub: Socket<XSub> = place.connected(&endpoint);
        xsub.subscribe("").unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        for _ in 0..100 {
            send(&mut xsub, "upstream");
        }
        assert_eq!(xsub.dropped().total(), 0);
        eventually("all have come", || {
            publisher.subscriber_count() == 1 && publisher.dropped().total() == 100
        });
        assert_eq!(publisher.dropped().unwanted, 100);
    });
}

#[test]
fn a_router_counts_what_a_peer_says_whose_name_it_refuses() {
    // N-27
    over(WIRES, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut dealers: Vec<Socket<Dealer>> = (0..2)
            .map(|_| {
                let mut dealer = place.builder::<Dealer>().routing_id(name("same")).open().unwrap();
                dealer.connect(&endpoint).unwrap();
                send(&mut dealer, "it is me");
                dealer
            })
            .collect();
        // Each comes again when it was refused; whoever has the name is heard.
        assert_eq!(router.recv_timeout(PATIENCE).unwrap().1, "it is me");
        drop(dealers.pop());
        drop(dealers.pop());
        eventually("both are gone", || {
            let _ = router.try_recv();
            router.peers().is_empty() && router.core.pipes.iter().count() == 0
        });
        // Or came while it was sent away.
        let Dropped { unreceived, unwanted, .. } = router.dropped();
        assert_eq!(router.dropped().total(), unreceived + unwanted);
    });
}

#[test]
fn sockets_of_any_type_count_the_same() {
    let place = Place::new(Transport::Inproc);
    let open = |socket_type| -> Socket<AnyPattern> { place.context.open_any(socket_type).unwrap() };
    let mut router = open(SocketType::Router);
    send(&mut router, ["nobody", "hello"]);
    assert_eq!(router.dropped(), Dropped { unroutable: 1, ..Dropped::default() });

    let mut rep = open(SocketType::Rep);
    let endpoint = rep.bind(place.address()).unwrap();
    let mut dealer = open(SocketType::Dealer);
    dealer.connect(&endpoint).unwrap();
    send(&mut dealer, "no empty frame");
    assert!(rep.try_recv().is_err());
    assert_eq!(rep.dropped(), Dropped { malformed: 1, ..Dropped::default() });
    assert_eq!(dealer.dropped().total(), 0);

    let mut publisher = place.context.builder_for_any(SocketType::Pub).send_hwm(1).open().unwrap();
    let endpoint = publisher.bind(place.address()).unwrap();
    let mut sub = place.context.builder_for_any(SocketType::Sub).recv_hwm(1).open().unwrap();
    sub.connect(&endpoint).unwrap();
    sub.subscribe("").unwrap();
    publisher.wait_for_subscribers(1, PATIENCE).unwrap();
    for number in 0..10 {
        send(&mut publisher, &numbered(number));
    }
    assert_eq!(publisher.dropped(), Dropped { full: 8, ..Dropped::default() });
    assert_eq!(publisher.outgoing().queued, 2);
    sub.unsubscribe("").unwrap();
    assert!(sub.try_recv().is_err());
    assert_eq!(sub.dropped(), Dropped { unwanted: 2, ..Dropped::default() });
    assert_eq!(publisher.outgoing().handed_over, 2);
}
