//! DEALER: its queues are those of a PAIR, its turns those of PUSH and PULL, and so are the tests.

use super::{bounds, queues, reconnect, routing, *};
use crate::{Dealer, Rep, Router, RoutingId};

#[test]
fn messages_wait_for_a_peer_that_comes_later() {
    // R-25, Tq1
    over(ALL, queues::messages_wait_for_a_peer_that_comes_later::<Dealer, Dealer>);
}

#[test]
fn the_queue_survives_reconnects() {
    // R-25, Tq1: "survives 10 reconnects"
    reconnect::the_queue_survives_reconnects::<Dealer, Dealer>();
}

#[test]
fn the_queue_of_a_peer_that_left_is_destroyed() {
    // R-26, Tq2
    over(ALL, queues::the_queue_of_a_peer_that_left_is_destroyed::<Dealer, Dealer>);
}

#[test]
fn the_two_directions_are_independent() {
    // R-24, Tq4
    over(ALL, queues::the_two_directions_are_independent::<Dealer>);
}

#[test]
fn its_queues_are_bounded() {
    // Tq3
    over(ALL, bounds::a_stalled_peer_bounds_what_is_accepted::<Dealer, Dealer>);
}

#[test]
fn peers_are_served_in_turn() {
    // R-29, Tq6
    over(ALL, routing::those_connected_to_are_served_in_turn::<Dealer, Dealer>);
    over(ALL, routing::those_that_connected_are_served_in_turn::<Dealer, Dealer>);
}

#[test]
fn a_stalled_peer_is_skipped() {
    //
    over(ALL, routing::a_stalled_peer_is_skipped::<Dealer, Dealer>);
}

#[test]
fn peers_are_received_from_in_turn() {
    // Tq5
    over(ALL, routing::peers_are_received_from_in_turn::<Dealer, Dealer>);
}

#[test]
fn without_a_peer_the_message_is_handed_back() {
    //
    over(ALL, routing::without_a_peer_the_message_is_handed_back::<Dealer>);
}

#[test]
fn it_talks_to_every_type_that_it_may_and_changes_nothing() {
    //
    over(ALL, |place| {
        let (mut dealer, here) = place.bound::<Dealer>();
        let (mut rep, there) = place.bound::<Rep>();
        let mut router: Socket<Router> = place.connected(&here);
        let message = Message::from(["", "a", "", "b"]);

        send(&mut dealer, &message);
        let (from, got) = router.recv_timeout(PATIENCE).unwrap();
        assert_eq!(got, message);
        router.send_to(&from, got).unwrap();
        assert_eq!(recv(&mut dealer), message);

        drop(router);
        eventually("the router is gone", || dealer.try_send("lost with the router").is_err());
        dealer.connect(&there).unwrap();
        send(&mut dealer, &message);
        let mut request = rep.recv_timeout(PATIENCE).unwrap();
        let data = request.take_message();
        assert_eq!(data, ["a", "", "b"]);
        request.reply(data).unwrap();
        assert_eq!(recv(&mut dealer), message);
    });
}

#[test]
fn it_probes_a_router_at_once() {
    over(ALL, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let name = RoutingId::new("prober").unwrap();
        let mut dealer: Socket<Dealer> =
            place.builder().routing_id(name.clone()).probe_router(true).open().unwrap();
        dealer.connect(&endpoint).unwrap();
        assert_eq!(router.recv_timeout(PATIENCE).unwrap(), (name.clone(), Message::from("")));
        router.send_to(&name, "known before it spoke").unwrap();
        assert_eq!(recv(&mut dealer), "known before it spoke");
    });
}
