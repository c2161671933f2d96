//! REQ, REP, DEALER and ROUTER against peers made of octets: what goes over the wire, and what must not be
//! taken from it., N-23, N-27, D17.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::HashSet;
use std::time::Duration;

use interop_tests::raw::random::Random;
use interop_tests::raw::vectors::{G_NULL31, PONG, frame, message, ready_with};
use interop_tests::raw::{DEADLINE, Listener, Peer, Transport, message_of};
use peermq::{
    Builder, Context, Dealer, Message, Pattern, ReconnectInterval, RecvError, Rep, Req, Router, RoutingId,
    Socket,
};

const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Ipc];

fn builder<P: Pattern>() -> Builder<P> {
    let builder = Context::builder().io_threads(1).build().builder_for::<P>();
    let builder = builder.send_timeout(DEADLINE).recv_timeout(DEADLINE).linger(Duration::ZERO);
    builder.reconnect_interval(ReconnectInterval::Every(Duration::from_millis(1)))
}

/// A bound socket of ours, and where.
fn bound<P: Pattern>(transport: Transport, builder: Builder<P>) -> (Socket<P>, String) {
    let mut socket = builder.open().unwrap();
    let free = if transport == Transport::Tcp { "tcp://127.0.0.1:0" } else { "ipc://*" };
    let endpoint = socket.bind(free).unwrap().to_string();
    (socket, endpoint)
}

/// The next connection at a listener, with the handshake done.
fn accepted(listener: &Listener, socket_type: &str) -> Peer {
    let mut peer = listener.accept();
    assert!(peer.shake_hands(socket_type));
    peer
}

/// A peer of a bound socket, with the handshake done.
fn connected(endpoint: &str, socket_type: &str) -> Peer {
    let mut peer = Peer::connect(endpoint);
    assert!(peer.shake_hands(socket_type));
    peer
}

/// The same, with a routing id.
fn named(endpoint: &str, socket_type: &str, name: &str) -> Peer {
    let mut peer = announced(endpoint, socket_type, name);
    assert!(peer.take_handshake());
    peer
}

/// One that has sent its part of the handshake.
fn announced(endpoint: &str, socket_type: &str, name: &str) -> Peer {
    let mut peer = Peer::connect(endpoint);
    let ready = ready_with(&[("Socket-Type", socket_type.as_bytes()), ("Identity", name.as_bytes())]);
    _ = peer.try_write(&[&G_NULL31[..], &ready].concat());
    peer
}

#[test]
fn a_request_on_the_wire_is_an_empty_frame_and_the_data() {
    //
    for transport in TRANSPORTS {
        let listener = Listener::bind(transport);
        let mut req: Socket<Req> = builder().open().unwrap();
        req.connect(listener.endpoint()).unwrap();
        let mut reply = req.request("hi").unwrap();
        let mut peer = accepted(&listener, "REP");
        assert_eq!(peer.read(6), b"\x01\0\0\x02hi");
        // Replies without a delimiter, or with nothing behind it, are dropped.
        peer.write(&[message(&["hi"]), message(&["a", "b"]), message(&[""])].concat());
        assert_eq!(reply.recv_timeout(Duration::from_millis(20)), Err(RecvError::WouldBlock));
        peer.write(b"\x01\0\x01\x02yo\0\0");
        assert_eq!(reply.recv().unwrap(), ["yo", ""]);
        let reply = req.request(["a", ""]).unwrap();
        assert_eq!(peer.read(7), b"\x01\0\x01\x01a\0\0");
        peer.write(&message(&["", "done"]));
        assert_eq!(reply.recv().unwrap(), "done");
    }
}

#[test]
fn a_number_on_the_wire_is_four_octets_in_front() {
    // libzmq's form of ZMQ_REQ_CORRELATE.
    let listener = Listener::bind(Transport::Tcp);
    let mut req: Socket<Req> = builder().req_correlate(true).open().unwrap();
    req.connect(listener.endpoint()).unwrap();
    let mut peer = None;
    let mut last: Option<u32> = None;
    for _ in 0..5 {
        let reply = req.request("hi").unwrap();
        let peer = peer.get_or_insert_with(|| accepted(&listener, "ROUTER"));
        let octets = peer.read(12);
        assert_eq!((&octets[..2], &octets[6..]), (&b"\x01\x04"[..], &b"\x01\0\0\x02hi"[..]));
        let number = u32::from_be_bytes(octets[2..6].try_into().unwrap());
        assert!(last.is_none_or(|last| last.wrapping_add(1) == number));
        last = Some(number);
        peer.write(&message(&[&number.wrapping_sub(1).to_be_bytes()[..], b"", b"late"]));
        peer.write(&message(&["", "no number"]));
        peer.write(&message(&[&number.to_be_bytes()[..], b"", b"right"]));
        assert_eq!(reply.recv().unwrap(), "right");
    }
}

#[test]
fn the_reply_of_a_peer_that_was_not_asked_is_discarded() {
    // two peers, the other answers first; later requests work.
    for transport in TRANSPORTS {
        let listeners = [Listener::bind(transport), Listener::bind(transport)];
        let mut req: Socket<Req> = builder().open().unwrap();
        for listener in &listeners {
            req.connect(listener.endpoint()).unwrap();
        }
        let mut reply = req.request("first").unwrap();
        let [mut first, mut second] = listeners.each_ref().map(|listener| accepted(listener, "REP"));
        assert_eq!(first.message().unwrap(), [&b""[..], b"first"]);
        second.write(&message(&["", "not asked"]));
        assert_eq!(reply.recv_timeout(Duration::from_millis(20)), Err(RecvError::WouldBlock));
        first.write(&message(&["", "asked"]));
        assert_eq!(reply.recv().unwrap(), "asked");
        for is_second in [true, false, true] {
            let peer = if is_second { &mut second } else { &mut first };
            let reply = req.request("next").unwrap();
            assert_eq!(peer.message().unwrap(), [&b""[..], b"next"]);
            peer.write(&message(&["", "answer"]));
            assert_eq!(reply.recv().unwrap(), "answer");
        }
    }
}

#[test]
fn a_request_that_is_given_up_takes_its_connection_with_it() {
    for transport in TRANSPORTS {
        let listener = Listener::bind(transport);
        let mut req: Socket<Req> = builder().open().unwrap();
        req.connect(listener.endpoint()).unwrap();
        drop(req.request("never on the wire").unwrap());
        for round in 0..20 {
            let text = format!("{round}");
            let mut reply = req.request(&text).unwrap();
            // The connection of the last one may be on its way; it brings nothing.
            let mut peer = loop {
                let mut peer = listener.accept();
                if peer.shake_hands("REP") && peer.frame_within(DEADLINE) == Some(Some(delimiter())) {
                    break peer;
                }
            };
            assert_eq!(peer.frame().unwrap().body, text.as_bytes());
            assert_eq!(reply.try_recv(), Err(RecvError::WouldBlock));
            drop(reply);
            _ = peer.try_write(&message(&["", "too late"]));
            assert_eq!(peer.read_to_end(), b"");
        }
    }
}

fn delimiter() -> interop_tests::raw::Frame {
    interop_tests::raw::Frame { flags: 1, body: Vec::new() }
}

#[test]
fn an_envelope_goes_back_octet_for_octet() {
    // depth 0 to 32, random addresses and data.
    for transport in TRANSPORTS {
        let (mut rep, endpoint) = bound::<Rep>(transport, builder());
        let mut peer = connected(&endpoint, "DEALER");
        let mut random = Random(13);
        for depth in 0..=32 {
            let hops = (0..depth).map(|hop| random.octets(1 + hop * 9)).collect::<Vec<_>>();
            let data = vec![random.octets(300), Vec::new(), random.octets(70_000)];
            let octets = message(&[&hops[..], &[Vec::new()], &data].concat());
            peer.write(&octets);
            let request = rep.recv().unwrap();
            assert_eq!(*request.message(), message_of(&data));
            request.reply(message_of(&data)).unwrap();
            assert!(peer.read(octets.len()) == octets, "depth {depth}");
        }
    }
}

#[test]
fn a_malformed_request_costs_nothing_but_itself() {
    // R-13, D17: dropped and counted, and the connection stays; 10^5 frames without a delimiter, too.
    for transport in TRANSPORTS {
        let (mut rep, endpoint) = bound::<Rep>(transport, builder());
        let mut peer = connected(&endpoint, "REQ");
        peer.write(&[message(&["x"]), message(&[""]), message(&["a", ""])].concat());
        peer.write(&[frame(1, b"x").repeat(100_000), frame(0, b"x")].concat());
        peer.write(&message(&["", "good"]));
        rep.recv().unwrap().reply("answer").unwrap();
        assert_eq!(peer.message().unwrap(), [&b""[..], b"answer"]);
        assert_eq!(rep.dropped().malformed, 4);
    }
}

#[test]
fn a_reply_to_a_peer_that_was_reset_is_dropped() {
    // R-20, LIVE
    for transport in TRANSPORTS {
        let (mut rep, endpoint) = bound::<Rep>(transport, builder());
        for _ in 0..50 {
            let mut peer = connected(&endpoint, "REQ");
            peer.write(&message(&["", "question"]));
            let request = rep.recv().unwrap();
            peer.reset();
            request.reply(vec![7; 100_000]).unwrap();
            let mut good = connected(&endpoint, "REQ");
            good.write(&message(&["", "question"]));
            rep.recv().unwrap().reply("answer").unwrap();
            assert_eq!(good.message().unwrap(), [&b""[..], b"answer"]);
        }
    }
}

#[test]
fn a_router_puts_the_name_in_front_and_takes_it_off() {
    // N-23: the other side sees the rest only.
    for transport in TRANSPORTS {
        let (mut router, endpoint) = bound::<Router>(transport, builder());
        let mut peer = named(&endpoint, "DEALER", "ada");
        peer.write(b"\x01\0\0\x02hi");
        let (from, got) = router.recv().unwrap();
        assert_eq!((from.as_bytes(), got), (&b"ada"[..], Message::from(["", "hi"])));
        router.send_to(&from, ["", "yo"]).unwrap();
        assert_eq!(peer.read(6), b"\x01\0\0\x02yo");
        router.send_to(&from, "").unwrap();
        assert_eq!(peer.read(2), b"\0\0");
    }
}

#[test]
fn a_name_belongs_to_one_connection() {
    // N-27: refused and closed before READY, not left open unread; with handover the old one is closed.
    for transport in TRANSPORTS {
        let name = RoutingId::new("ada").unwrap();
        let (mut router, endpoint) = bound::<Router>(transport, builder());
        let mut first = named(&endpoint, "DEALER", "ada");
        first.write(&message(&["first"]));
        assert_eq!(router.recv().unwrap().1, "first");
        for _ in 0..20 {
            let mut second = announced(&endpoint, "DEALER", "ada");
            _ = second.try_write(&message(&["second"]));
            assert!(!second.take_handshake());
            assert_eq!(router.try_recv(), Err(RecvError::WouldBlock));
            router.send_to(&name, "for the first").unwrap();
            // It is asked whether it is still there.
            let heard = loop {
                let frame = first.frame().unwrap();
                if frame.flags & 4 == 0 {
                    break frame.body;
                }
                assert_eq!(&frame.body[..5], b"\x04PING");
                first.write(PONG);
            };
            assert_eq!(heard, b"for the first");
        }

        let (mut router, endpoint) = bound::<Router>(transport, builder().router_handover(true));
        let mut last: Option<Peer> = None;
        for number in 0..20 {
            let mut peer = named(&endpoint, "DEALER", "ada");
            peer.write(&message(&[format!("{number}")]));
            assert_eq!(router.recv().unwrap().1, format!("{number}"));
            router.send_to(&name, "for the last").unwrap();
            assert_eq!(peer.message().unwrap(), [b"for the last"]);
            if let Some(mut last) = last.replace(peer) {
                assert_eq!(last.read_to_end(), b"");
            }
        }
    }
}

#[test]
fn every_connection_without_a_name_gets_another_one() {
    //
    let (mut router, endpoint) = bound::<Router>(Transport::Ipc, builder());
    let mut names = HashSet::new();
    for _ in 0..500 {
        let mut peer = connected(&endpoint, "DEALER");
        peer.write(&message(&["hello"]));
        let (from, _) = router.recv().unwrap();
        assert_eq!((from.as_bytes().len(), from.as_bytes()[0]), (5, 0));
        assert!(names.insert(from));
    }
}

#[test]
fn a_dealer_adds_nothing_and_takes_nothing_away() {
    //
    let listener = Listener::bind(Transport::Tcp);
    let mut dealer: Socket<Dealer> = builder().open().unwrap();
    dealer.connect(listener.endpoint()).unwrap();
    let mut peer = accepted(&listener, "ROUTER");
    for frames in [&["a"][..], &[""], &["", "a"], &["a", "", ""]] {
        dealer.send(message_of(frames)).unwrap();
        let octets = message(frames);
        assert_eq!(peer.read(octets.len()), octets);
        peer.write(&octets);
        assert_eq!(dealer.recv().unwrap(), message_of(frames));
    }
}
