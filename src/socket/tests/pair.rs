//! PAIR has one peer at most.

use super::*;
use crate::{BindErrorKind, ConnectErrorKind, Dealer, Pair, RecvError, Router, RouterNotify, RoutingId};

/// Messages go both ways.
fn talk(ours: &mut Socket<Pair>, theirs: &mut Socket<Pair>) {
    for number in 0..100 {
        send(ours, &numbered(number));
        send(theirs, &numbered(number + 1));
        assert_eq!(number_of(&recv(theirs)), number);
        assert_eq!(number_of(&recv(ours)), number + 1);
    }
}

#[test]
fn a_second_connect_is_refused() {
    // L-09
    over(ALL, |place| {
        let (mut ours, endpoint) = place.bound::<Pair>();
        let mut theirs: Socket<Pair> = place.connected(&endpoint);
        assert_eq!(
            theirs.connect(place.address()).map_err(|error| error.kind()),
            Err(ConnectErrorKind::OnePeerOnly)
        );
        assert_eq!(
            theirs.connect(&endpoint).map_err(|error| error.kind()),
            Err(ConnectErrorKind::OnePeerOnly)
        );
        talk(&mut ours, &mut theirs);
        assert_eq!(
            ours.connect(place.address()).map_err(|error| error.kind()),
            Err(ConnectErrorKind::OnePeerOnly)
        );
        talk(&mut ours, &mut theirs);
    });
}

#[test]
fn a_second_peer_is_refused_while_the_first_lives() {
    // L-09: second peer is refused while the first lives, the first unharmed; after it goes the next is
    // accepted.
    over(ALL, |place| {
        let (mut ours, endpoint) = place.bound::<Pair>();
        let mut first: Socket<Pair> = place.connected(&endpoint);
        talk(&mut ours, &mut first);
        let mut second: Socket<Pair> = place.connected(&endpoint);
        for _ in 0..20 {
            let _ = second.try_send("from the second");
            talk(&mut ours, &mut first);
            assert_eq!(second.try_recv(), Err(RecvError::WouldBlock));
        }
        drop(second);
        talk(&mut ours, &mut first);
        drop(first);
        eventually("the first is gone", || ours.try_send("lost with the first").is_err());
        let mut third: Socket<Pair> = place.connected(&endpoint);
        talk(&mut ours, &mut third);
    });
}

#[test]
fn a_peer_that_is_refused_gets_its_turn_when_the_first_goes() {
    // L-09, E-08: it connects again and again; inproc connects once.
    over(WIRES, |place| {
        let (mut ours, endpoint) = place.bound::<Pair>();
        let mut first: Socket<Pair> = place.connected(&endpoint);
        talk(&mut ours, &mut first);
        let mut second: Socket<Pair> = place.connected(&endpoint);
        talk(&mut ours, &mut first);
        drop(first);
        eventually("the first is gone", || ours.try_send("lost with the first").is_err());
        eventually("the second is here", || {
            let _ = ours.try_send("for the second");
            second.try_recv().is_ok()
        });
    });
}

#[test]
fn what_the_first_peer_sent_is_received_after_it_went() {
    // L-09 (closing state), L-13
    over(ALL, |place| {
        let (mut ours, endpoint) = place.bound::<Pair>();
        let mut first: Socket<Pair> = place.context.open().unwrap();
        first.connect(&endpoint).unwrap();
        for number in 0..500 {
            send(&mut first, &numbered(number));
        }
        drop(first);
        for number in 0..500 {
            assert_eq!(number_of(&recv(&mut ours)), number);
        }
        assert_eq!(ours.try_recv(), Err(RecvError::WouldBlock));
        let mut next: Socket<Pair> = place.connected(&endpoint);
        eventually("the next is accepted", || {
            let _ = ours.try_send("welcome");
            next.try_recv().is_ok()
        });
    });
}

#[test]
fn a_pair_disconnects_and_finds_another_peer() {
    // L-09
    over(ALL, |place| {
        let (mut one, here) = place.bound::<Pair>();
        let (mut other, there) = place.bound::<Pair>();
        let mut moving: Socket<Pair> = place.connected(&here);
        talk(&mut one, &mut moving);
        moving.disconnect(&here).unwrap();
        assert_eq!(
            moving.disconnect(&here).map_err(|error| error.kind()),
            Err(ConnectErrorKind::NotConnected)
        );
        moving.connect(&there).unwrap();
        talk(&mut other, &mut moving);
        assert_eq!(one.try_recv(), Err(RecvError::WouldBlock));
    });
}

#[test]
fn it_is_not_its_own_peer() {
    over(ALL, |place| {
        let (mut ours, endpoint) = place.bound::<Pair>();
        let refused = ours.connect(&endpoint).unwrap_err();
        assert_eq!(refused.kind(), ConnectErrorKind::ToItself);
        assert!(refused.to_string().ends_with("this socket is bound to it, and cannot be its own peer"));
        let mut theirs: Socket<Pair> = place.connected(&endpoint);
        talk(&mut ours, &mut theirs);

        // The other way round, before anybody is there.
        let endpoint = place.address();
        let mut ours: Socket<Pair> = place.connected(&endpoint);
        let refused = ours.bind(&endpoint).unwrap_err();
        assert_eq!(refused.kind(), BindErrorKind::ToItself);
        let mut theirs: Socket<Pair> = place.open();
        theirs.bind(&endpoint).unwrap();
        talk(&mut ours, &mut theirs);

        // Nor is it once it has disconnected, or unbound: then it is as if it had never been.
        theirs.unbind(&endpoint).unwrap();
        ours.disconnect(&endpoint).unwrap();
        ours.bind(&endpoint).unwrap();
    });
}

#[test]
fn those_who_may_have_many_peers_may_have_themselves() {
    over(ALL, |place| {
        let (mut dealer, endpoint) = place.bound::<Dealer>();
        dealer.connect(&endpoint).unwrap();
        for number in 0..100 {
            send(&mut dealer, &numbered(number));
        }
        let mut heard: Vec<_> = (0..100).map(|_| number_of(&recv(&mut dealer))).collect();
        heard.sort_unstable();
        assert!(heard.into_iter().eq(0..100));

        let name = RoutingId::new("this one").unwrap();
        let mut router: Socket<Router> =
            place.builder().routing_id(name.clone()).router_notify(RouterNotify::CONNECT).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        let there = RoutingId::new("there").unwrap();
        router.connect_as(&there, &endpoint).unwrap();
        let mut news = [(); 2].map(|()| router.recv_timeout(PATIENCE).unwrap().0);
        news.sort_unstable_by_key(|name| name.as_bytes().to_vec());
        assert_eq!(news, [there.clone(), name.clone()]);
        for (to, from) in [(&there, &name), (&name, &there)] {
            router.send_to(to, "hello").unwrap();
            assert_eq!(router.recv_timeout(PATIENCE).unwrap(), (from.clone(), "hello".into()));
        }
    });
}
