//! From whom a message is.

use super::security::Sides;
use super::*;
use crate::{
    AnyPattern, Authorizer, Candidate, Dealer, Decision, Hwm, Pair, Peer, Pub, Rep, Req, Router,
    RouterNotify, RoutingId, SocketType, Stream, Sub, XPub, XSub,
};

/// A server that knows two users, and a client for each.
fn users<P: Pattern, Q: Pattern>(place: &Place) -> (Socket<P>, [Socket<Q>; 2]) {
    let authorizer = Authorizer::new(|candidate: &Candidate| {
        let name = candidate.plain().map(|it| String::from_utf8(it.username().to_vec()).unwrap());
        Decision::allow_as(name.unwrap_or_default())
    });
    let sides = Sides::plain();
    let mut server =
        place.builder().security(sides.server).authorizer(authorizer).recv_timeout(PATIENCE).open().unwrap();
    let endpoint: Endpoint = server.bind(place.address()).unwrap().into();
    let clients = ["alice", "bob"].map(|name| {
        let credentials = crate::PlainCredentials::new(name, "x").unwrap();
        let security = crate::Security::PlainClient(credentials);
        let mut client: Socket<Q> = place.builder().security(security).open().unwrap();
        client.connect(&endpoint).unwrap();
        client
    });
    (server, clients)
}

fn user(peer: Option<Peer>) -> String {
    peer.and_then(|peer| peer.user_id().map(str::to_owned)).unwrap_or_default()
}

#[test]
fn every_message_has_its_user() {
    over(WIRES, |place| {
        let (mut pull, clients) = users::<Pull, Push>(place);
        assert!(pull.last_peer().is_none(), "nothing was received yet");
        for mut client in clients {
            for number in 0..50 {
                client.send(number.to_string()).unwrap();
            }
            let name = client.options().security.clone();
            let crate::Security::PlainClient(credentials) = name else { panic!() };
            client.send(credentials.username()).unwrap();
            // Gone, but for what it has said.
            assert_eq!(client.close(PATIENCE).dropped, 0);
        }
        let mut said = std::collections::HashMap::<String, usize>::new();
        for _ in 0..102 {
            let message = pull.recv().unwrap();
            let name = user(pull.last_peer());
            assert!(!name.is_empty());
            *said.entry(name.clone()).or_default() += 1;
            if message.body().len() > 2 {
                assert_eq!(message, name.as_str());
            }
        }
        assert_eq!((said["alice"], said["bob"]), (51, 51));
    });
}

#[test]
fn every_type_that_receives_tells() {
    over(WIRES, |place| {
        let (mut rep, [mut req, _bob]) = users::<Rep, Req>(place);
        let reply = req.request("hello").unwrap();
        let request = rep.recv().unwrap();
        assert_eq!(user(request.peer()), "alice");
        request.reply("you too").unwrap();
        reply.recv().unwrap();
        assert_eq!(req.last_peer().unwrap().socket_type(), SocketType::Rep);

        let (mut router, [_alice, mut dealer]) = users::<Router, Dealer>(place);
        dealer.send("hello").unwrap();
        let (from, _) = router.recv().unwrap();
        assert_eq!(user(router.last_peer()), "bob");
        router.send_to(&from, "you too").unwrap();
        dealer.recv().unwrap();
        assert_eq!(dealer.last_peer().unwrap().socket_type(), SocketType::Router);

        let (mut xpub, [mut alice, mut bob]) = users::<XPub, Sub>(place);
        alice.subscribe("a").unwrap();
        bob.subscribe("b").unwrap();
        for _ in 0..2 {
            let name = if xpub.recv().unwrap() == b"\x01a" { "alice" } else { "bob" };
            assert_eq!(user(xpub.last_peer()), name);
        }
        xpub.send("a1").unwrap();
        alice.recv().unwrap();
        assert_eq!(alice.last_peer().unwrap().socket_type(), SocketType::XPub);

        let (mut pair, endpoint) = place.bound::<Pair>();
        let mut alice: Socket<Pair> = place.connected(&endpoint);
        send(&mut alice, "hello");
        recv(&mut pair);
        assert!(pair.last_peer().unwrap().is_accepted());

        let (mut xsub, [mut alice, _bob]) = users::<XSub, Pub>(place);
        xsub.subscribe("").unwrap();
        alice.wait_for_subscribers(1, PATIENCE).unwrap();
        alice.send("news").unwrap();
        xsub.recv().unwrap();
        assert_eq!(user(xsub.last_peer()), "alice");
    });
}

#[test]
fn with_inproc_and_sockets_of_any_type_too() {
    let place = Place::new(Transport::Inproc);
    let endpoint = place.address();
    let mut pull = place.context.builder_for_any(SocketType::Pull).recv_timeout(PATIENCE).open().unwrap();
    pull.bind(&endpoint).unwrap();
    let mut push: Socket<Push> = place.connected(&endpoint);
    push.send("hello").unwrap();
    let pull: &mut Socket<AnyPattern> = &mut pull;
    pull.recv().unwrap();
    assert_eq!(pull.last_peer().unwrap().socket_type(), SocketType::Push);
    drop(push);
    assert!(pull.last_peer().is_some(), "no further call");
    eventually("it has gone", || pull.try_recv().is_err() && pull.last_peer().is_none());
}

#[test]
fn news_are_nobodys_messages_and_streams_are_known_while_they_stand() {
    let place = Place::new(Transport::Tcp);
    let builder = place.builder::<Router>().router_notify(RouterNotify::CONNECT).recv_timeout(PATIENCE);
    let mut router = builder.open().unwrap();
    let endpoint: Endpoint = router.bind(place.address()).unwrap().into();
    let builder = place.builder::<Dealer>().routing_id(RoutingId::new("ada").unwrap());
    let mut dealer = builder.open().unwrap();
    dealer.connect(&endpoint).unwrap();
    dealer.send("hello").unwrap();
    assert_eq!(router.recv().unwrap().1, "");
    assert!(router.last_peer().is_none());
    assert_eq!(router.recv().unwrap().1, "hello");
    assert_eq!(router.last_peer().unwrap().routing_id().as_bytes(), b"ada");

    let mut stream: Socket<Stream> = place.builder().recv_timeout(PATIENCE).open().unwrap();
    let endpoint = stream.bind(place.address()).unwrap();
    let peer = std::net::TcpStream::connect(endpoint.to_string().trim_start_matches("tcp://")).unwrap();
    let (from, _) = stream.recv().unwrap();
    let known = stream.last_peer().unwrap();
    assert_eq!(known.endpoint().to_string(), format!("tcp://{}", peer.local_addr().unwrap()));
    stream.send_to(&from, "").unwrap();
    drop(peer);
    eventually("nobody is there", || stream.peers().is_empty());
    assert!(stream.last_peer().is_none());
}

#[test]
fn what_an_earlier_connection_brought_is_not_the_next_ones() {
    // The socket has connected, and its peers come and go at the same endpoint.
    let place = Place::new(Transport::Tcp);
    let endpoint = place.address();
    let builder = place.builder::<Pull>().reconnect_interval(Duration::from_millis(1));
    let mut pull = builder.recv_hwm(Hwm::UNLIMITED).recv_timeout(PATIENCE).open().unwrap();
    let connection = pull.connect(&endpoint).unwrap();
    for round in ["first", "second"] {
        let mut push: Socket<Push> = place.open();
        push.bind(&endpoint).unwrap();
        push.send(round).unwrap();
        eventually("it has come", || pull.peers().iter().any(|peer| is_from(peer, &endpoint)));
        connection.wait_ready(PATIENCE).unwrap();
        let report = push.close(PATIENCE);
        assert_eq!(report.dropped, 0);
        eventually("it is over", || pull.peers().is_empty());
    }
    assert_eq!(pull.recv().unwrap(), "first");
    assert!(pull.last_peer().is_none(), "its connection was followed by another");
    assert_eq!(pull.recv().unwrap(), "second");
    assert!(is_from(&pull.last_peer().unwrap(), &endpoint), "it has only ended");
}

fn is_from(peer: &Peer, endpoint: &Endpoint) -> bool {
    peer.endpoint() == endpoint
}

#[test]
fn peers_that_are_gone_are_forgotten() {
    // ACCT: neither those that were heard nor those that never spoke.
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        for round in 0..50 {
            let mut push: Socket<Push> = place.connected(&endpoint);
            push.send("hello").unwrap();
            if round % 2 == 0 {
                assert_eq!(recv(&mut pull), "hello");
                assert!(pull.last_peer().is_some());
            }
            drop(push);
        }
        eventually("everybody is forgotten", || {
            while pull.try_recv().is_ok() {}
            pull.core.peers.is_empty()
        });
        assert!(pull.last_peer().is_none());
    });
}
