//! Statistics: exact for each peer and in all, from the socket's thread and from any other.

use super::*;
use crate::{Dealer, EventKind, HeartbeatInterval, Outgoing, Pub, Rep, Req, Router, RoutingId, Sub, Totals};

/// Octets of a frame of so many, with its header.
fn framed(octets: u64) -> u64 {
    octets + if octets < 256 { 2 } else { 9 }
}

#[test]
fn messages_and_octets_are_the_same_on_both_sides() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push = place.connected::<Push>(&endpoint);
        let mut octets = 0;
        for size in (0..3000).chain([LARGE as u64, 1_000_000]) {
            let body = vec![7; usize::try_from(size).unwrap()];
            push.send_timeout([&body[..], b"behind"], PATIENCE).unwrap();
            octets += framed(size) + framed(6);
            assert_eq!(push.stats().total.sent.octets, octets);
            assert_eq!(recv(&mut pull).size() as u64, size + 6);
            assert_eq!(pull.stats().total.received.octets, octets);
        }
        eventually("nothing is queued", || push.stats().total.outgoing.queued == 0);
        let (ours, theirs) = (push.stats(), pull.stats());
        assert_eq!(ours.total.sent, theirs.total.received);
        assert_eq!(ours.total.sent.messages, 3002);
        assert_eq!((ours.peers.len(), theirs.peers.len()), (1, 1));
        assert_eq!((ours.peers[0].sent, theirs.peers[0].received), (ours.total.sent, ours.total.sent));
        assert_eq!(ours.total.outgoing.handed_over, 3002);
        // Also of what is gone.
        drop(push);
        eventually("the peer is gone", || pull.try_recv().is_err() && pull.stats().peers.is_empty());
        assert_eq!(pull.stats().total.received, ours.total.sent);
    });
}

#[test]
fn what_waits_is_told_for_each_peer_and_side() {
    over(ALL, |place| {
        let mut pulls = [place.open::<Pull>(), place.open::<Pull>()];
        let (mut push, endpoint) = place.bound::<Push>();
        for pull in &mut pulls {
            pull.connect(&endpoint).unwrap();
        }
        settle(&mut push, &mut pulls);
        let before = push.stats();
        for _ in 0..20 {
            send(&mut push, "in turn");
        }
        let stats = push.stats();
        assert_eq!(stats.total.sent.messages - before.total.sent.messages, 20);
        for (peer, before) in stats.peers.iter().zip(&before.peers) {
            assert_eq!(peer.connection, before.connection);
            assert_eq!(peer.sent.messages - before.sent.messages, 10);
            let Outgoing { handed_over, unread, queued, lost } = peer.outgoing;
            assert_eq!((handed_over + queued, unread, lost), (peer.sent.messages, 0, 0));
        }
        for pull in &mut pulls {
            recv(pull);
            eventually("the others wait", || {
                pull.core.handle_mail(&mut pull.pattern);
                pull.stats().peers[0].waiting == 9
            });
        }
    });
}

#[test]
fn a_context_tells_the_same_from_any_thread_and_of_sockets_that_are_gone() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push = place.connected::<Push>(&endpoint);
        let body = vec![7; 1000];
        for _ in 0..500 {
            send(&mut push, &body[..]);
        }
        for _ in 0..500 {
            recv(&mut pull);
        }
        let context = place.context.clone();
        let look = || thread::scope(|scope| scope.spawn(|| context.stats()).join().unwrap());
        let mut totals = Totals::default();
        eventually("everything is written down", || {
            totals = look();
            totals.outgoing.queued == 0 && totals.sent.messages == 500
        });
        assert_eq!(
            (totals.received.messages, totals.outgoing.handed_over, totals.outgoing.lost),
            (500, 500, 0)
        );
        drop(push);
        drop(pull);
        eventually("the last octets are written down", || {
            totals = look();
            totals.sent == totals.received
        });
        assert_eq!((totals.sent.messages, totals.sent.octets), (500, 500 * framed(1000)));
        assert_eq!(look().received, totals.received, "counted once");
    });
}

#[test]
fn a_full_queue_is_told_exactly_from_any_thread() {
    let place = Place::new(Transport::Inproc);
    let mut push: Socket<Push> = place.builder().send_hwm(7).open().unwrap();
    push.connect(place.address()).unwrap();
    while push.try_send("queued").is_ok() {}
    let totals = place.context.stats();
    assert_eq!((totals.sent.messages, totals.outgoing.queued), (7, 7));
    drop(push);
    let totals = place.context.stats();
    assert_eq!((totals.outgoing.queued + totals.outgoing.lost, totals.outgoing.handed_over), (7, 0));
}

#[test]
fn drops_are_told_by_reason_in_all_three_places_and_to_monitors() {
    let place = Place::new(Transport::Inproc);
    let mut news: Socket<Pub> = place.builder().send_hwm(1).open().unwrap();
    let monitor = news.monitor();
    let endpoint = place.address();
    news.bind(&endpoint).unwrap();
    let mut sub: Socket<Sub> = place.builder().recv_hwm(1).open().unwrap();
    sub.connect(&endpoint).unwrap();
    sub.subscribe("").unwrap();
    news.wait_for_subscribers(1, PATIENCE).unwrap();
    for _ in 0..12 {
        news.send("news").unwrap();
    }
    assert_eq!(news.dropped().full, 10);
    assert_eq!(news.stats().total.dropped, news.dropped());
    assert_eq!(place.context.stats().dropped, news.dropped());
    let told = |monitor: &crate::Monitor| loop {
        if let EventKind::Dropped(dropped) = monitor.recv_timeout(PATIENCE).unwrap().kind {
            return dropped;
        }
    };
    assert_eq!(told(&monitor), news.dropped());
    // More comes in the next summary, or in the last.
    news.send("news").unwrap();
    news.send("news").unwrap();
    drop(news);
    assert_eq!(told(&monitor).full, 2);
    assert_eq!(place.context.stats().dropped.full, 12);
}

#[test]
fn reconnects_and_failures_are_counted() {
    over(WIRES, |place| {
        let endpoint = place.address();
        let interval = Duration::from_millis(1);
        let mut push: Socket<Push> = place.builder().reconnect_interval(interval).open().unwrap();
        let connection = push.connect(&endpoint).unwrap();
        eventually("it was tried", || push.stats().total.connections.connects_failed >= 2);
        for round in 0..3 {
            let mut pull = place.open::<Pull>();
            eventually("the address is free", || pull.bind(&endpoint).is_ok());
            connection.wait_ready(PATIENCE).unwrap();
            let stats = push.stats();
            assert_eq!((stats.peers.len(), stats.peers[0].reconnects), (1, round));
            assert_eq!(
                (stats.total.connections.reconnects, stats.total.connections.ready),
                (round, round + 1)
            );
            drop(pull);
            eventually("it is gone", || push.stats().total.connections.disconnected == round + 1);
        }
        let mut wrong = place.open::<Req>();
        eventually("the address is free", || wrong.bind(&endpoint).is_ok());
        eventually("they cannot talk", || push.stats().total.connections.handshakes_failed > 0);
        assert_eq!(push.stats().total.connections.ready, 3);
    });
}

#[test]
fn the_round_trip_of_heartbeats_is_told() {
    over(WIRES, |place| {
        let (rep, endpoint) = place.bound::<Rep>();
        let often = HeartbeatInterval::from(Duration::from_millis(5));
        let mut req: Socket<Req> = place.builder().heartbeat_interval(often).open().unwrap();
        req.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
        assert!(rep.stats().peers.iter().all(|peer| peer.round_trip.is_none()), "it does not ask");
        eventually("a PING was answered", || req.stats().peers[0].round_trip.is_some());
        assert!(req.stats().peers[0].round_trip.is_some_and(|it| it > Duration::ZERO && it < PATIENCE));
    });
}

#[test]
fn peers_of_a_router_are_told_by_name() {
    over(ALL, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut dealers: Vec<Socket<Dealer>> = ["a", "b"]
            .map(|name| {
                let mut dealer: Socket<Dealer> =
                    place.builder().routing_id(RoutingId::new(name).unwrap()).open().unwrap();
                dealer.connect(&endpoint).unwrap();
                send(&mut dealer, "hello");
                dealer
            })
            .into();
        router.recv_timeout(PATIENCE).unwrap();
        router.recv_timeout(PATIENCE).unwrap();
        for (name, count) in [("a", 3), ("b", 5)] {
            let name = RoutingId::new(name).unwrap();
            (0..count).for_each(|_| router.send_to(&name, "answer").unwrap());
            let stats = router.stats();
            let peer = stats.peers.iter().find(|peer| peer.routing_id.as_ref() == Some(&name)).unwrap();
            assert_eq!((peer.sent.messages, peer.received.messages), (count, 1));
        }
        for (dealer, count) in dealers.iter_mut().zip([3, 5]) {
            (0..count).for_each(|_| drop(recv(dealer)));
            assert_eq!(dealer.stats().total.received.messages, count);
        }
    });
}
