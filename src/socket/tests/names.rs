//! Two peers of a ROUTER with the same name: which of them has it, and what becomes of the other.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use socket2::{SockFilter, SockRef};

use super::monitor::until;
use super::security::Sides;
use super::*;
use crate::{
    Authorizer, Binding, CloseReason, ConnectErrorKind, ConnectionError, ConnectionState, Dealer, Decision,
    EventKind, Hwm, Mechanism, Monitor, OptionError, ProtocolError, RecvError, Router, RoutingId,
    SharedSocket,
};

fn ada() -> RoutingId {
    RoutingId::new("ada").unwrap()
}

fn named(builder: Builder<Dealer>) -> Socket<Dealer> {
    builder.routing_id(ada()).reconnect_interval(Duration::from_millis(5)).open().unwrap()
}

fn hear(router: &mut Socket<Router>) -> (RoutingId, Message) {
    router.recv_timeout(PATIENCE).unwrap()
}

/// A greeting of ZMTP 3, NULL, and the READY of a DEALER that is called ada, with these properties behind.
pub(super) fn greeting(minor: u8, properties: &[u8]) -> Vec<u8> {
    let ready = [b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x03ada", properties].concat();
    let version = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, minor];
    let frame = [4, u8::try_from(ready.len()).unwrap()];
    [&version[..], b"NULL", &[0; 48], &frame, &ready].concat()
}

/// The whole conversation of an old peer that is called ada.
const ZMTP1: &[u8] = b"\x04\0ada";
const ZMTP2: &[u8] = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05\0\x03ada";

/// A peer without a library, that says so much.
fn stranger(binding: &Binding, says: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", binding.port().unwrap())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(says).unwrap();
    stream
}

/// What it hears until it is closed.
fn hears(mut stranger: TcpStream) -> Vec<u8> {
    let mut octets = Vec::new();
    let _ = stranger.read_to_end(&mut octets);
    octets
}

fn says(heard: &[u8], text: &str) -> bool {
    heard.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Waits until somebody is refused, and tells why.
fn refusal(monitor: &Monitor) -> ConnectionError {
    let event = until(monitor, |kind| matches!(kind, EventKind::HandshakeFailed(_)));
    let EventKind::HandshakeFailed(error) = event.kind else { panic!("{event:?}") };
    error
}

#[test]
fn a_name_in_use_is_refused_before_ready_and_the_queue_waits() {
    // N-27, R-35
    over(WIRES, |place| {
        for sides in Sides::all() {
            for is_guarded in [false, true] {
                if !is_guarded && sides.server.mechanism() != Mechanism::Null {
                    continue; // would let nobody in
                }
                let everybody = Authorizer::new(|_| Decision::allow());
                let asked = if is_guarded { everybody } else { Authorizer::NONE };
                let builder = place.builder().security(sides.server.clone()).authorizer(asked);
                let mut router: Socket<Router> = builder.open().unwrap();
                let endpoint: Endpoint = router.bind(place.address()).unwrap().into();
                let client = || place.builder().security(sides.client.clone());
                let mut first = named(client());
                first.connect(&endpoint).unwrap();
                send(&mut first, "first");
                assert_eq!(hear(&mut router), (ada(), "first".into()));

                let mut second = named(client());
                let monitors = [router.monitor(), second.monitor()];
                let connection = second.connect(&endpoint).unwrap();
                for number in 0..100 {
                    send(&mut second, &numbered(number));
                }
                let told = until(&monitors[0], |kind| matches!(kind, EventKind::RoutingIdInUse(_)));
                assert!(matches!(&told.kind, EventKind::RoutingIdInUse(name) if *name == ada()));
                assert_eq!(refusal(&monitors[0]), ProtocolError::RoutingIdInUse.into());
                assert_eq!(refusal(&monitors[1]), ProtocolError::RoutingIdRefused.into());
                eventually("the handle says so", || {
                    connection.last_error() == Some(ProtocolError::RoutingIdRefused.into())
                });
                // Whoever has the name keeps it.
                assert_eq!(router.try_recv(), Err(RecvError::WouldBlock));
                router.send_to(&ada(), "for the first").unwrap();
                assert_eq!(recv(&mut first), "for the first");
                assert_eq!(second.try_recv(), Err(RecvError::WouldBlock));

                drop(first);
                for number in 0..100 {
                    let (from, message) = hear(&mut router);
                    assert_eq!((from, number_of(&message)), (ada(), number));
                }
                assert_eq!(router.dropped(), crate::Dropped::default());
                drop(second);
                let readies = (&monitors[1]).into_iter().filter(|it| matches!(it.kind, EventKind::Ready(_)));
                assert_eq!(readies.count(), 1);
            }
        }
    });
}

#[test]
fn a_peer_that_is_gone_without_a_word_loses_its_name() {
    // As after a network that was cut: its connection stands, and nothing comes.
    let place = Place::new(Transport::Tcp);
    let mut router = place.open::<Router>();
    let binding = router.bind("tcp://127.0.0.1:0").unwrap();
    let monitor = router.monitor();
    let silent = stranger(&binding, &greeting(1, b""));
    until(&monitor, |kind| matches!(kind, EventKind::Ready(_)));
    let mut dealer = named(place.builder());
    dealer.connect(&binding).unwrap();
    for number in 0..100 {
        send(&mut dealer, &numbered(number));
    }
    let end = until(&monitor, |kind| matches!(kind, EventKind::Disconnected(_)));
    assert!(matches!(end.kind, EventKind::Disconnected(Some(ConnectionError::Silent))), "{end:?}");
    for number in 0..100 {
        let (from, message) = hear(&mut router);
        assert_eq!((from, number_of(&message)), (ada(), number));
    }
    drop(silent);
}

/// The line is cut: the kernel keeps no octet of what comes for this end, and so does not answer either.
fn cut(stranger: &TcpStream) {
    let code = u16::try_from(libc::BPF_RET | libc::BPF_K).unwrap();
    SockRef::from(stranger).attach_filter(&[SockFilter::new(code, 0, 0, 0)]).unwrap();
}

#[test]
fn an_old_peer_that_is_gone_without_a_word_loses_its_name_too() {
    // It knows no PING: the kernel finds out. What a ROUTER says until it hears of a peer has so many octets.
    let strangers = [(ZMTP1.to_vec(), 10), (ZMTP2.to_vec(), 14), (greeting(0, b""), 107)];
    thread::scope(|scope| {
        for (words, octets) in strangers {
            scope.spawn(move || finds_out(&words, octets));
        }
    });
}

fn finds_out(words: &[u8], octets: usize) {
    let place = Place::new(Transport::Tcp);
    let mut router = place.open::<Router>();
    let binding = router.bind("tcp://127.0.0.1:0").unwrap();
    let monitor = router.monitor();
    let bob = RoutingId::new("bob").unwrap();
    let at = words.windows(3).position(|part| part == b"ada").unwrap();
    let words_of_bob = [&words[..at], b"bob", &words[at + 3..]].concat();
    let said: &[u8] = if words == ZMTP1 { b"\x03\0hi" } else { b"\0\x02hi" };
    let [gone, mut lives] = [words, &words_of_bob].map(|words| {
        let mut stranger = stranger(&binding, words);
        stranger.read_exact(&mut vec![0; octets]).unwrap();
        // With it goes that all was heard: nothing of ours is on its way, for whose sake the kernel would not ask.
        stranger.write_all(said).unwrap();
        assert_eq!(hear(&mut router).1, "hi");
        stranger
    });
    cut(&gone);
    // The one that lives is asked first.
    let builder = place.builder().routing_id(bob.clone()).reconnect_interval(Duration::from_millis(5));
    let mut other: Socket<Dealer> = builder.open().unwrap();
    other.connect(&binding).unwrap();
    assert_eq!(refusal(&monitor), ProtocolError::RoutingIdInUse.into());
    let mut dealer = named(place.builder());
    dealer.connect(&binding).unwrap();
    for number in 0..100 {
        send(&mut dealer, &numbered(number));
    }
    let end = disconnected(&monitor);
    assert!(matches!(end, Some(ConnectionError::Io(_))), "{end:?}");
    for number in 0..100 {
        let (from, message) = hear(&mut router);
        assert_eq!((from, number_of(&message)), (ada(), number));
    }
    lives.write_all(said).unwrap();
    assert_eq!(hear(&mut router), (bob, "hi".into()));
    assert_eq!(router.peers().len(), 2);
}

#[test]
fn who_is_refused_again_and_again_comes_back_less_and_less_often() {
    let place = Place::new(Transport::Tcp);
    let (mut router, endpoint) = place.bound::<Router>();
    let mut first = named(place.builder());
    first.connect(&endpoint).unwrap();
    send(&mut first, "first");
    hear(&mut router);
    let mut second = named(place.builder());
    let monitor = second.monitor();
    second.connect(&endpoint).unwrap();
    for refusals in 0..6 {
        let event = until(&monitor, |kind| matches!(kind, EventKind::Retried { .. }));
        let EventKind::Retried { pause, error } = event.kind else { panic!("{event:?}") };
        assert_eq!(error, ProtocolError::RoutingIdRefused.into());
        let least = 5 * TURN * (1 << refusals);
        assert!((least..2 * least).contains(&pause), "{pause:?} behind {refusals} others");
    }
}

#[test]
fn only_who_says_to_come_back_is_told_why() {
    // E-01: for others an ERROR is final.
    let place = Place::new(Transport::Tcp);
    let mut router = place.open::<Router>();
    let binding = router.bind("tcp://127.0.0.1:0").unwrap();
    let mut first = named(place.builder());
    first.connect(&binding).unwrap();
    send(&mut first, "first");
    hear(&mut router);
    for (properties, is_told) in [(&b""[..], false), (b"\x0aName-Retry\0\0\0\x011", true)] {
        let heard = hears(stranger(&binding, &greeting(1, properties)));
        assert!(heard.len() >= 64 && !says(&heard, "READY"), "{heard:?}");
        assert_eq!(says(&heard, "\x05ERROR\x11Routing-Id-In-Use"), is_told);
    }
}

#[test]
fn peers_of_old_versions_have_names_too() {
    let place = Place::new(Transport::Tcp);
    for says in [ZMTP1, ZMTP2, &greeting(0, b"")] {
        let mut router = place.open::<Router>();
        let binding = router.bind("tcp://127.0.0.1:0").unwrap();
        let monitor = router.monitor();
        let first = stranger(&binding, says);
        until(&monitor, |kind| matches!(kind, EventKind::Ready(_)));
        let second = stranger(&binding, says);
        assert_eq!(refusal(&monitor), ProtocolError::RoutingIdInUse.into());
        hears(second);
        drop(first);
        until(&monitor, |kind| matches!(kind, EventKind::Disconnected(_)));
        let _third = stranger(&binding, says);
        until(&monitor, |kind| matches!(kind, EventKind::Ready(_)));
    }
}

#[test]
fn a_router_hands_names_over_from_when_it_is_told_so_until_it_is_told_otherwise() {
    over(ALL, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut first = named(place.builder());
        first.connect(&endpoint).unwrap();
        send(&mut first, "first");
        assert_eq!(hear(&mut router), (ada(), "first".into()));
        let router = SharedSocket::new(router);
        router.change(|change| change.router_handover(true)).unwrap();
        let mut second = named(place.builder());
        second.connect(&endpoint).unwrap();
        send(&mut second, "second");
        assert_eq!(router.recv_timeout(PATIENCE), Ok((ada(), "second".into())));
        drop(first);
        router.change(|change| change.router_handover(false)).unwrap();
        assert!(router.with(|router| !router.options().router_handover()));
        let monitor = router.with(|router| router.monitor());
        let mut third = named(place.builder());
        let _ = third.connect(&endpoint); // over inproc it says so at once
        until(&monitor, |kind| matches!(kind, EventKind::RoutingIdInUse(_)));
        let foreign = router.change(|change| change.send_hwm(Hwm::messages(7)).xpub_nodrop(true));
        assert!(matches!(foreign, Err(OptionError::ForeignOption { option: "xpub_nodrop", .. })));
        assert_ne!(router.with(|router| router.options().send_hwm()), Hwm::messages(7));
    });
}

#[test]
fn over_inproc_the_connect_fails_or_the_bind_says_so() {
    let place = Place::new(Transport::Inproc);
    let (mut router, endpoint) = place.bound::<Router>();
    let monitor = router.monitor();
    let mut first = named(place.builder());
    first.connect(&endpoint).unwrap();
    send(&mut first, "first");
    let mut second = named(place.builder());
    assert_eq!(second.connect(&endpoint).unwrap_err().kind(), ConnectErrorKind::RoutingIdInUse);
    let told = until(&monitor, |kind| matches!(kind, EventKind::RoutingIdInUse(_)));
    assert!(matches!(&told.kind, EventKind::RoutingIdInUse(name) if *name == ada()));
    // Nor does it come in by another door.
    let tcp = router.bind("tcp://127.0.0.1:0").unwrap();
    let refused = second.connect(&tcp).unwrap();
    assert_eq!(refusal(&monitor), ProtocolError::RoutingIdInUse.into());
    refused.disconnect();
    assert_eq!(hear(&mut router), (ada(), "first".into()));
    // It is free although the ROUTER makes no call.
    first.disconnect(&endpoint).unwrap();
    second.connect(&endpoint).unwrap();
    send(&mut second, "second");
    assert_eq!(hear(&mut router), (ada(), "second".into()));
    drop(second);
    first.connect(&endpoint).unwrap();

    // Two that wait for a bind.
    let endpoint = place.address();
    let mut waiting = [(); 2].map(|()| named(place.builder()));
    let connections = waiting.each_mut().map(|dealer| dealer.connect(&endpoint).unwrap());
    let mut late = place.open::<Router>();
    late.bind(&endpoint).unwrap();
    assert_eq!(connections[0].state(), ConnectionState::Ready);
    assert_eq!(connections[1].state(), ConnectionState::Failed);
    assert_eq!(connections[1].last_error(), Some(ProtocolError::RoutingIdRefused.into()));
}

#[test]
fn whoever_goes_leaves_no_name_behind() {
    over(WIRES, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let names = Arc::clone(router.core.names.as_ref().unwrap());
        let is_there = || eventually("it has its name", || names.count() == 1);
        let is_free = |how: &str| eventually(how, || names.count() == 0);
        let connected = || {
            let mut dealer = named(place.builder());
            dealer.connect(&endpoint).unwrap();
            is_there();
            dealer
        };
        // Without a call of the ROUTER.
        drop(connected());
        is_free("the peer was closed");
        connected().disconnect(&endpoint).unwrap();
        is_free("the peer has disconnected");
        let dealer = connected();
        eventually("the peer is listed", || router.peers().len() == 1);
        router.peers()[0].close(CloseReason::Refused);
        is_free("the peer was refused");
        drop(dealer);
        // Those to whom the ROUTER has connected.
        let mut bound = named(place.builder());
        let theirs: Endpoint = bound.bind(place.address()).unwrap().into();
        router.connect(&theirs).unwrap();
        is_there();
        router.disconnect(&theirs).unwrap();
        is_free("it was disconnected");
        router.connect_as(&RoutingId::new("bob").unwrap(), &theirs).unwrap();
        assert_eq!(names.count(), 1);
        router.disconnect(&theirs).unwrap();
        is_free("it was disconnected with the name that it was given");
        let dealer = connected();
        drop(router);
        is_free("the ROUTER is gone");
        drop(dealer);
    });
    let place = Place::new(Transport::Tcp);
    let mut router = place.open::<Router>();
    let binding = router.bind("tcp://127.0.0.1:0").unwrap();
    let monitor = router.monitor();
    let names = Arc::clone(router.core.names.as_ref().unwrap());
    // A frame with reserved flags, no frame, and half a handshake.
    for behind in [&b"\x80\0"[..], b""] {
        drop(stranger(&binding, &[&greeting(1, b""), behind].concat()));
        until(&monitor, |kind| matches!(kind, EventKind::Disconnected(_)));
        eventually("it has left no name", || names.count() == 0);
    }
    let half = greeting(1, b"");
    drop(stranger(&binding, &half[..half.len() - 1]));
    until(&monitor, |kind| matches!(kind, EventKind::HandshakeFailed(_)));
    assert_eq!(names.count(), 0, "it had none");
}

fn disconnected(monitor: &Monitor) -> Option<ConnectionError> {
    let event = until(monitor, |kind| matches!(kind, EventKind::Disconnected(_)));
    let EventKind::Disconnected(error) = event.kind else { panic!("{event:?}") };
    error
}

/// Whether one of these events tells of a pause that has doubled some times.
fn has_grown(monitor: &Monitor) -> bool {
    std::iter::from_fn(|| monitor.try_recv().ok())
        .any(|event| matches!(event.kind, EventKind::Retried { pause, .. } if pause >= 40 * TURN))
}

#[test]
fn two_that_displace_each_other_are_told_why_and_come_back_less_and_less_often() {
    over(WIRES, |place| {
        for sides in Sides::all() {
            let everybody = Authorizer::new(|_| Decision::allow());
            let builder = place.builder().security(sides.server.clone()).authorizer(everybody);
            let mut router: Socket<Router> = builder.router_handover(true).open().unwrap();
            let endpoint: Endpoint = router.bind(place.address()).unwrap().into();
            let at_router = router.monitor();
            let mut dealers = [(); 2].map(|()| named(place.builder().security(sides.client.clone())));
            let monitors = dealers.each_ref().map(|dealer| dealer.monitor());
            let connections = dealers.each_mut().map(|dealer| dealer.connect(&endpoint).unwrap());
            let mut grown = [false; 2];
            eventually("both are tried less often", || {
                let _ = router.try_recv();
                for (grown, monitor) in grown.iter_mut().zip(&monitors) {
                    *grown = *grown || has_grown(monitor);
                }
                grown == [true; 2]
            });
            assert_eq!(disconnected(&at_router), Some(ConnectionError::HandedOver));
            let why = connections.map(|connection| connection.last_error());
            assert_eq!(why, [Some(ProtocolError::RoutingIdTakenOver.into()); 2]);
        }
    });
}

#[test]
fn whoever_is_displaced_hears_it_in_the_words_that_it_knows() {
    // E-01: for others an ERROR is final.
    let place = Place::new(Transport::Tcp);
    for (properties, is_told) in [(&b""[..], false), (b"\x0aName-Retry\0\0\0\x011", true)] {
        let mut router: Socket<Router> = place.builder().router_handover(true).open().unwrap();
        let binding = router.bind("tcp://127.0.0.1:0").unwrap();
        let monitor = router.monitor();
        let displaced = stranger(&binding, &greeting(1, properties));
        until(&monitor, |kind| matches!(kind, EventKind::Ready(_)));
        assert_eq!(router.try_recv(), Err(RecvError::WouldBlock));
        let mut dealer = named(place.builder());
        dealer.connect(&binding).unwrap();
        send(&mut dealer, "here");
        assert_eq!(hear(&mut router), (ada(), "here".into()));
        assert_eq!(disconnected(&monitor), Some(ConnectionError::HandedOver));
        let heard = hears(displaced);
        assert_eq!(heard.ends_with(b"\x05ERROR\x16Routing-Id-Handed-Over"), is_told, "{heard:?}");
        assert_eq!(says(&heard, "ERROR"), is_told);
    }
}

#[test]
fn a_peer_of_this_process_that_is_displaced_is_told_why() {
    let place = Place::new(Transport::Inproc);
    let mut router: Socket<Router> = place.builder().router_handover(true).open().unwrap();
    let endpoint: Endpoint = router.bind(place.address()).unwrap().into();
    let at_router = router.monitor();
    let mut first = named(place.builder());
    let (connection, monitor) = (first.connect(&endpoint).unwrap(), first.monitor());
    send(&mut first, "first");
    assert_eq!(hear(&mut router), (ada(), "first".into()));
    let mut second = named(place.builder());
    second.connect(&endpoint).unwrap();
    send(&mut second, "second");
    assert_eq!(hear(&mut router), (ada(), "second".into()));
    assert_eq!(disconnected(&at_router), Some(ConnectionError::HandedOver));
    assert_eq!(first.try_recv(), Err(RecvError::WouldBlock));
    let why = ProtocolError::RoutingIdTakenOver.into();
    assert_eq!(disconnected(&monitor), Some(why));
    let end = until(&monitor, |kind| matches!(kind, EventKind::Closed(_)));
    assert!(matches!(end.kind, EventKind::Closed(Some(error)) if error == why), "{end:?}");
    assert_eq!((connection.state(), connection.last_error()), (ConnectionState::Failed, Some(why)));
}

#[test]
fn a_router_that_connects_to_two_of_one_name_does_so_less_and_less_often() {
    // N-27: refused by this side, or displaced.
    over(WIRES, |place| {
        for hands_over in [false, true] {
            let quick = Duration::from_millis(5);
            let builder = place.builder().reconnect_interval(quick).router_handover(hands_over);
            let mut router: Socket<Router> = builder.open().unwrap();
            let monitor = router.monitor();
            let mut dealers = [(); 2].map(|()| named(place.builder()));
            for dealer in &mut dealers {
                router.connect(dealer.bind(place.address()).unwrap()).unwrap();
            }
            eventually("it tries less often", || {
                let _ = router.try_recv();
                has_grown(&monitor)
            });
        }
    });
}
