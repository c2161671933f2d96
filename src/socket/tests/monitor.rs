//! Monitors: what is told of endpoints and peers, in which order, and with which reasons.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::task::{self, Waker};

use super::security::Sides;
use super::tasks::{Parked, poll_up_to, run};
use super::*;
use crate::{
    AddressRanges, AuthStatus, Authorizer, BindErrorKind, ConnectionError, Event, EventKind, HandshakesMax,
    Monitor, Pair, ProtocolError, Pub, ReconnectInterval, RecvError, Rep, SocketType, TurnedAway,
};

/// The next event.
fn next(monitor: &Monitor) -> Event {
    monitor.recv_timeout(PATIENCE).unwrap()
}

/// The next event of a kind, whatever comes before it.
pub(super) fn until(monitor: &Monitor, is_it: impl Fn(&EventKind) -> bool) -> Event {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let event = next(monitor);
        if is_it(&event.kind) {
            return event;
        }
        assert!(Instant::now() < deadline, "it was never told; the last that was: {event:?}");
    }
}

/// The kinds of what comes until the socket is gone, by their names.
fn names(monitor: Monitor) -> Vec<String> {
    let mut before = None;
    let name = |event: Event| {
        assert!(before.replace(event.at).is_none_or(|before| before <= event.at), "not in order");
        let text = format!("{:?}", event.kind);
        text.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
    };
    monitor.map(name).collect()
}

/// A connect is told of until messages flow.
fn check_dialer(monitor: &Monitor, endpoint: &Endpoint) {
    let connecting = next(monitor);
    assert!(matches!(connecting.kind, EventKind::Connecting));
    assert_eq!(connecting.endpoint.as_ref(), Some(endpoint));
    let connected = next(monitor);
    assert!(matches!(connected.kind, EventKind::Connected));
    let ready = next(monitor);
    assert!(matches!(&ready.kind, EventKind::Ready(peer) if peer.socket_type() == SocketType::Pull));
    assert_eq!([connecting.connection, connected.connection], [ready.connection; 2]);
    assert!(ready.connection.is_some() && !ready.is_accepted);
}

#[test]
fn a_connection_is_told_of_from_both_sides_from_begin_to_end() {
    over(WIRES, |place| {
        let (mut pull, mut push) = (place.open::<Pull>(), place.open::<Push>());
        let (ours, theirs) = (pull.monitor(), push.monitor());
        let binding = pull.bind(place.address()).unwrap();
        let connection = push.connect(&binding).unwrap();
        send(&mut push, "hello");
        recv(&mut pull);

        let listening = next(&ours);
        assert!(matches!(listening.kind, EventKind::Listening));
        assert_eq!(listening.endpoint.as_ref(), Some(binding.endpoint()));
        assert_eq!((listening.connection, listening.is_accepted), (None, false));
        let accepted = next(&ours);
        assert!(matches!(accepted.kind, EventKind::Accepted));
        assert_eq!(accepted.endpoint.as_ref(), Some(binding.endpoint()));
        assert_eq!(accepted.address.is_some(), place.transport == Transport::Tcp);
        let ready = next(&ours);
        let EventKind::Ready(peer) = &ready.kind else { panic!("{ready:?}") };
        assert_eq!(
            (peer.socket_type(), peer.is_accepted(), ready.is_accepted),
            (SocketType::Push, true, true)
        );
        assert_eq!((ready.connection, &ready.address), (accepted.connection, &Some(peer.endpoint().clone())));
        if place.transport == Transport::Tcp {
            assert_eq!(ready.address, accepted.address);
        }

        check_dialer(&theirs, connection.endpoint());

        drop(push);
        assert_eq!(names(theirs), ["Disconnected", "Closed", "Stopped"]);
        let gone = next(&ours);
        assert!(matches!(gone.kind, EventKind::Disconnected(Some(ConnectionError::PeerClosed))), "{gone:?}");
        assert_eq!(gone.connection, accepted.connection);
        binding.unbind();
        drop(pull);
        assert_eq!(names(ours), ["Closed", "Stopped"]);
    });
}

#[test]
fn inproc_peers_are_told_of_too() {
    for binds_first in [true, false] {
        let place = Place::new(Transport::Inproc);
        let (mut pull, mut push) = (place.open::<Pull>(), place.open::<Push>());
        let (ours, theirs) = (pull.monitor(), push.monitor());
        let endpoint = place.address();
        if binds_first {
            pull.bind(&endpoint).unwrap();
        }
        push.connect(&endpoint).unwrap();
        if !binds_first {
            pull.bind(&endpoint).unwrap();
        }
        send(&mut push, "hello");
        recv(&mut pull);
        drop(push);
        assert!(pull.try_recv().is_err());
        assert_eq!(names(theirs), ["Ready", "Closed", "Disconnected", "Stopped"]);
        drop(pull);
        assert_eq!(names(ours), ["Listening", "Ready", "Disconnected", "Closed", "Stopped"]);
    }
}

#[test]
fn a_dialer_tells_of_each_try_and_its_pause() {
    over(WIRES, |place| {
        let interval = Duration::from_millis(3);
        let mut push: Socket<Push> = place.builder().reconnect_interval(interval).open().unwrap();
        let monitor = push.monitor();
        let endpoint = place.address();
        push.connect(&endpoint).unwrap();
        for _ in 0..3 {
            let failed = until(&monitor, |kind| !matches!(kind, EventKind::Connecting));
            let EventKind::ConnectFailed(reason) = failed.kind else { panic!("{failed:?}") };
            let EventKind::Retried { pause, error } = next(&monitor).kind else { panic!("no pause") };
            assert_eq!(error, reason);
            assert!(pause >= interval / 2 && pause <= interval * 2, "{pause:?}");
        }
        let mut pull = place.open::<Pull>();
        pull.bind(&endpoint).unwrap();
        until(&monitor, |kind| matches!(kind, EventKind::Ready(_)));
        drop(pull);
        let gone = next(&monitor);
        assert!(matches!(gone.kind, EventKind::Disconnected(Some(_))), "{gone:?}");
        assert!(matches!(next(&monitor).kind, EventKind::Retried { .. }));
    });
}

#[test]
fn a_bind_that_fails_is_told_of() {
    over(ALL, |place| {
        let (_first, endpoint) = place.bound::<Pull>();
        let mut second = place.open::<Pull>();
        let monitor = second.monitor();
        let error = second.bind(&endpoint).unwrap_err();
        let event = next(&monitor);
        assert!(matches!(event.kind, EventKind::BindFailed(told) if told == error.kind()), "{event:?}");
        assert_eq!(event.endpoint, Some(endpoint));
    });
}

/// What a listener and a dialer are told of why they did not come together.
fn failures<L: Pattern, D: Pattern>(
    place: &Place,
    listener: Builder<L>,
    dialer: Builder<D>,
) -> (ConnectionError, ConnectionError) {
    let (mut listener, mut dialer) = (listener.open().unwrap(), dialer.open().unwrap());
    let monitors = [listener.monitor(), dialer.monitor()];
    dialer.connect(listener.bind(place.address()).unwrap()).unwrap();
    let [ours, theirs] = monitors.each_ref().map(|monitor| {
        let event = until(monitor, |kind| matches!(kind, EventKind::HandshakeFailed(_)));
        let EventKind::HandshakeFailed(reason) = event.kind else { panic!("{event:?}") };
        reason
    });
    (ours, theirs)
}

#[test]
fn both_sides_are_told_why_a_handshake_failed() {
    // C-29, and "failed authentication looks like a dead network".
    over(WIRES, |place| {
        let (ours, theirs) = failures(place, place.builder::<Push>(), place.builder::<Pub>());
        assert_eq!(ours, ProtocolError::IncompatibleSocketTypes(SocketType::Pub).into());
        let expected =
            [ProtocolError::IncompatibleSocketTypes(SocketType::Push).into(), ConnectionError::PeerClosed];
        assert!(expected.contains(&theirs), "{theirs:?}");

        for sides in Sides::all() {
            // What the words are is told on this side only.
            let words = crate::Reason::new("not on the list");
            let decision = crate::Decision::Refuse(AuthStatus::Refused, words);
            let refusing = Authorizer::new(move |_| decision.clone());
            let server = place.builder::<Pull>().security(sides.server.clone()).authorizer(refusing);
            let (ours, theirs) =
                failures(place, server, place.builder::<Push>().security(sides.client.clone()));
            assert_eq!(ours, ProtocolError::NotLetIn(AuthStatus::Refused, words).into());
            assert_eq!(theirs, ProtocolError::NotLetInByPeer(AuthStatus::Refused).into());
        }
    });
}

#[test]
fn another_mechanism_and_a_silent_peer_are_told_apart() {
    over(WIRES, |place| {
        for sides in Sides::all() {
            if sides.server.mechanism() != crate::Mechanism::Null {
                let server = place.builder::<Pull>().security(sides.server.clone());
                let (ours, theirs) = failures(place, server, place.builder::<Push>());
                assert_eq!(ours, ProtocolError::MechanismMismatch.into());
                assert_eq!(theirs, ProtocolError::MechanismMismatch.into());
            }
        }
    });
    let place = Place::new(Transport::Tcp);
    let short = Duration::from_millis(20);
    let mut pull: Socket<Pull> = place.builder().handshake_interval(short).open().unwrap();
    let monitor = pull.monitor();
    let binding = pull.bind("tcp://127.0.0.1:0").unwrap();
    let mut silent = TcpStream::connect(("127.0.0.1", binding.port().unwrap())).unwrap();
    let event = until(&monitor, |kind| matches!(kind, EventKind::HandshakeFailed(_)));
    let timeout = ConnectionError::from(ProtocolError::HandshakeTimeout);
    assert!(matches!(event.kind, EventKind::HandshakeFailed(reason) if reason == timeout), "{event:?}");
    assert_eq!(event.address, Some(Endpoint::tcp(silent.local_addr().unwrap())));
    // Its end shows, and nothing else is told of it.
    let mut octets = Vec::new();
    let _ = silent.read_to_end(&mut octets);
    pull.unbind(&binding).unwrap();
    assert!(matches!(next(&monitor).kind, EventKind::Closed(None)));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut push: Socket<Push> = place.builder().handshake_interval(short).open().unwrap();
    let monitor = push.monitor();
    push.connect(Endpoint::tcp(listener.local_addr().unwrap())).unwrap();
    let event = until(&monitor, |kind| matches!(kind, EventKind::HandshakeFailed(_)));
    assert!(matches!(event.kind, EventKind::HandshakeFailed(reason) if reason == timeout), "{event:?}");
    assert_eq!(event.address, Some(Endpoint::tcp(listener.local_addr().unwrap())));
}

#[test]
fn repeated_failures_from_one_address_are_told_with_the_address_and_can_be_kept_out() {
    // E-19: "log and block repeated failed peers by address": an event for each failure, and a filter.
    let place = Place::new(Transport::Tcp);
    let mut pull = place.open::<Pull>();
    let monitor = pull.monitor();
    let binding = pull.bind("tcp://127.0.0.1:0").unwrap();
    let mut failed: Vec<Endpoint> = Vec::new();
    for _ in 0..20 {
        let mut stranger = TcpStream::connect(("127.0.0.1", binding.port().unwrap())).unwrap();
        let address = Endpoint::tcp(stranger.local_addr().unwrap());
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let event = until(&monitor, |kind| matches!(kind, EventKind::HandshakeFailed(_)));
        let EventKind::HandshakeFailed(ConnectionError::Protocol(_)) = event.kind else {
            panic!("{event:?}")
        };
        assert_eq!(event.address, Some(address));
        failed.extend(event.address);
    }
    assert_eq!(failed.len(), 20);

    let host = AddressRanges::new(["127.0.0.1"]).unwrap();
    let mut pull: Socket<Pull> = place.builder().accept_never(host).open().unwrap();
    let monitor = pull.monitor();
    let binding = pull.bind("tcp://127.0.0.1:0").unwrap();
    let stranger = TcpStream::connect(("127.0.0.1", binding.port().unwrap())).unwrap();
    let event = until(&monitor, |kind| !matches!(kind, EventKind::Listening));
    assert!(matches!(event.kind, EventKind::TurnedAway(TurnedAway::Address)), "{event:?}");
    assert_eq!(event.address, Some(Endpoint::tcp(stranger.local_addr().unwrap())));
}

#[test]
fn whoever_leaves_without_a_word_has_failed_at_nothing() {
    // Health checks open a connection and close it, with or without a reset, and with or without a look at the greeting.
    let place = Place::new(Transport::Tcp);
    let mut pull = place.open::<Pull>();
    let monitor = pull.monitor();
    let binding = pull.bind("tcp://127.0.0.1:0").unwrap();
    for number in 0..40 {
        let mut check = TcpStream::connect(("127.0.0.1", binding.port().unwrap())).unwrap();
        if number % 2 == 0 {
            check.read_exact(&mut [0; 10]).unwrap();
        }
        if number % 4 < 2 {
            socket2::SockRef::from(&check).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(check);
        let event = until(&monitor, |kind| !matches!(kind, EventKind::Accepted | EventKind::Listening));
        assert!(matches!(event.kind, EventKind::Left), "{number}: {event:?}");
    }
    let counts = pull.stats().total.connections;
    assert_eq!((counts.accepted, counts.left, counts.handshakes_failed), (40, 40, 0));
    // One octet is a handshake that fails.
    let mut stranger = TcpStream::connect(("127.0.0.1", binding.port().unwrap())).unwrap();
    stranger.write_all(b"\xff").unwrap();
    stranger.read_exact(&mut [0; 10]).unwrap();
    drop(stranger);
    let event = until(&monitor, |kind| !matches!(kind, EventKind::Accepted));
    assert!(matches!(event.kind, EventKind::HandshakeFailed(_)), "{event:?}");
}

#[test]
fn too_many_half_open_connections_are_told_of() {
    let place = Place::new(Transport::Tcp);
    let one = HandshakesMax::from(1);
    let mut pull: Socket<Pull> = place.builder().handshakes_max(one).open().unwrap();
    let monitor = pull.monitor();
    let binding = pull.bind("tcp://127.0.0.1:0").unwrap();
    let _strangers = [(); 2].map(|()| TcpStream::connect(("127.0.0.1", binding.port().unwrap())).unwrap());
    until(&monitor, |kind| matches!(kind, EventKind::Accepted));
    assert!(matches!(next(&monitor).kind, EventKind::TurnedAway(TurnedAway::TooMany)));
}

#[test]
fn a_reader_that_stops_holds_nobody_up_and_learns_how_much_it_missed() {
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let monitor = pull.monitor();
        let mut come = 0;
        for _ in 0..400 {
            // Three events each, in a monitor that holds 1,000.
            let mut push = place.connected::<Push>(&endpoint);
            send(&mut push, "hello");
            assert_eq!(recv(&mut pull), "hello");
            come += 1;
            drop(push);
            eventually("it is gone", || pull.peers().is_empty());
        }
        drop(pull);
        let (mut told, mut missed) = (0, 0);
        for event in monitor {
            if let EventKind::Missed(count) = event.kind {
                missed += count;
            } else if event.connection.is_some() {
                told += 1;
            }
        }
        // The end of the binding came behind, and may be among those missed.
        let all = 3 * come;
        assert!(missed > 0 && (all..=all + 1).contains(&(told + missed)), "{told} told, {missed} missed");
    });
}

#[test]
fn a_thread_that_waits_for_events_hears_of_them() {
    let place = Place::new(Transport::Tcp);
    let mut pull = place.open::<Pull>();
    let monitor = pull.monitor();
    assert_eq!(monitor.try_recv().unwrap_err(), RecvError::WouldBlock);
    assert_eq!(monitor.recv_timeout(TURN).unwrap_err(), RecvError::WouldBlock);
    thread::scope(|scope| {
        let watching = scope.spawn(move || names(monitor));
        pull.bind("tcp://127.0.0.1:0").unwrap();
        drop(pull);
        assert_eq!(watching.join().unwrap(), ["Listening", "Closed", "Stopped"]);
    });
}

#[test]
fn futures_of_events_dropped_at_any_poll_lose_none_and_repeat_none() {
    over(ALL, |place| {
        const COUNT: usize = 100;
        let mut push = place.open::<Push>();
        let monitor = push.monitor();
        let watching = thread::spawn(move || {
            let mut names = Vec::new();
            for attempt in 0.. {
                match poll_up_to(attempt % 4, monitor.recv_async()) {
                    Some(Ok(event)) => names.push(event.kind.name()),
                    Some(Err(error)) => {
                        assert_eq!(error, RecvError::Terminated);
                        break;
                    }
                    None => thread::yield_now(),
                }
            }
            names
        });
        for _ in 0..COUNT {
            let binding = push.bind(place.address()).unwrap();
            push.unbind(binding.endpoint()).unwrap();
        }
        drop(push);
        let names = watching.join().unwrap();
        let told: Vec<_> =
            ["listening", "closed"].into_iter().cycle().take(2 * COUNT).chain(["stopped"]).collect();
        assert_eq!(names, told);
    });
}

#[test]
fn every_task_that_waits_for_events_is_woken() {
    let mut pull = Place::new(Transport::Inproc).open::<Pull>();
    let monitor = pull.monitor();
    thread::scope(|scope| {
        let parked = Parked::new();
        let waker = Waker::from(Arc::clone(&parked));
        let mut waiting = pin!(monitor.recv_async());
        assert!(waiting.as_mut().poll(&mut task::Context::from_waker(&waker)).is_pending());
        // In the same task another one waits, and gives up.
        assert!(pin!(monitor.recv_async()).poll(&mut task::Context::from_waker(&waker)).is_pending());
        let other = scope.spawn(|| run(monitor.recv_async()).unwrap().kind.name());
        pull.bind("inproc://one").unwrap();
        pull.bind("inproc://two").unwrap();
        parked.wait();
        assert_eq!(run(waiting).unwrap().kind.name(), "listening");
        assert_eq!(other.join().unwrap(), "listening");
        drop(waker);
        assert_eq!(Arc::strong_count(&parked), 1);
    });
}

/// A PAIR's event in libzmq's first form.
fn numbers(news: &mut Socket<Pair>) -> (u16, i32, String) {
    let message = recv(news);
    assert_eq!((message.frame_count(), message.body().len()), (2, 6));
    let (event, value) = message.body().split_at(2);
    let endpoint = message.frame(1).unwrap().to_str().unwrap().to_owned();
    (u16::from_ne_bytes(event.try_into().unwrap()), i32::from_ne_bytes(value.try_into().unwrap()), endpoint)
}

#[test]
fn a_pair_tells_in_libzmqs_numbers() {
    over(WIRES, |place| {
        let open_news = |name: &str| {
            let mut news = place.open::<Pair>();
            news.connect(format!("inproc://{name}")).unwrap();
            news
        };
        let (mut ours, mut theirs) = (open_news("pull"), open_news("push"));
        let (mut pull, mut push) = (place.open::<Pull>(), place.open::<Push>());
        pull.monitor_pair("inproc://pull", 0xFFFF).unwrap();
        push.monitor_pair("inproc://push", 0xFFFD).unwrap();
        let binding = pull.bind(place.address()).unwrap();
        push.connect(&binding).unwrap();
        send(&mut push, "hello");
        recv(&mut pull);
        let at = binding.to_string();
        let mut expect = |number: u16| {
            let (event, value, endpoint) = numbers(&mut ours);
            assert_eq!((event, &endpoint), (number, &at));
            value
        };
        assert!(expect(8) > 2, "the descriptor");
        let accepted = expect(0x20);
        assert!(accepted > 2);
        assert_eq!(expect(0x1000), 0);
        let (event, value, endpoint) = numbers(&mut theirs);
        assert_eq!((event, endpoint), (1, at.clone()), "without CONNECT_DELAYED, which is not in the set");
        assert!(value > 2);
        assert_eq!(numbers(&mut theirs).0, 0x1000);
        drop(push);
        let mut last = numbers(&mut theirs);
        if last.0 == 0x200 {
            last = numbers(&mut theirs); // the I/O thread was faster
        }
        assert_eq!(last, (0x0400, 0, String::new()));
        assert_eq!(expect(0x200), accepted);
        binding.unbind();
        expect(0x80);
        drop(pull);
        assert_eq!(numbers(&mut ours), (0x0400, 0, String::new()));
        eventually("the other PAIR is gone", || {
            let _ = ours.try_recv();
            ours.peers().is_empty()
        });
    });
}

#[test]
fn a_pair_tells_why_in_libzmqs_numbers() {
    // The values of zmq_socket_monitor(3).
    let place = Place::new(Transport::Tcp);
    let mut news = place.open::<Pair>();
    news.connect("inproc://news").unwrap();
    let refusing = Authorizer::new(|_| crate::Decision::refuse());
    let mut pull: Socket<Pull> = place.builder().authorizer(refusing).open().unwrap();
    pull.monitor_pair("inproc://news", 0x6890).unwrap(); // BIND_FAILED, CLOSED and HANDSHAKE_FAILED
    let binding = pull.bind("tcp://127.0.0.1:0").unwrap();
    let mut push = place.open::<Push>();
    push.connect(&binding).unwrap();
    assert_eq!(numbers(&mut news), (0x4000, 400, binding.to_string()));
    let mut stranger = TcpStream::connect(("127.0.0.1", binding.port().unwrap())).unwrap();
    stranger.write_all(&[0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1]).unwrap();
    stranger.write_all(b"CURVE").unwrap();
    stranger.write_all(&[0; 47]).unwrap();
    assert_eq!(numbers(&mut news), (0x2000, 0x1100_0002, binding.to_string()));
    assert_eq!(pull.bind(&binding).unwrap_err().kind(), BindErrorKind::AddressInUse);
    assert_eq!(numbers(&mut news), (0x10, libc::EADDRINUSE, binding.to_string()));
}

#[test]
fn a_pair_tells_in_libzmqs_second_form() {
    let place = Place::new(Transport::Tcp);
    let mut news = place.open::<Pair>();
    news.connect("inproc://news").unwrap();
    let pause = ReconnectInterval::from(Duration::from_millis(7));
    let mut push: Socket<Push> = place.builder().reconnect_interval(pause).open().unwrap();
    push.monitor_pair_v2("inproc://news", 4).unwrap();
    let endpoint = place.address();
    push.connect(&endpoint).unwrap();
    let message = recv(&mut news);
    assert_eq!(message.frame_count(), 5);
    let number =
        |frame: usize| u64::from_ne_bytes(message.frame(frame).unwrap().as_bytes().try_into().unwrap());
    assert_eq!((number(0), number(1)), (4, 1));
    assert!((1..=14).contains(&number(2)), "{}", number(2));
    assert_eq!(
        (message.frame(3).unwrap().len(), message.frame(4).unwrap().to_str().unwrap()),
        (0, &*endpoint.to_string())
    );
}

#[test]
fn a_pair_that_nobody_reads_holds_nobody_up() {
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        pull.monitor_pair("inproc://unread", 0xFFFF).unwrap();
        let mut idle = place.builder::<Pair>().recv_hwm(1).open().unwrap();
        idle.connect("inproc://unread").unwrap();
        for _ in 0..400 {
            let mut push = place.connected::<Push>(&endpoint);
            send(&mut push, "hello");
            recv(&mut pull);
        }
        assert_eq!(
            pull.monitor_pair("tcp://127.0.0.1:0", 0xFFFF).map_err(|error| error.kind()),
            Err(BindErrorKind::NotSupported)
        );
        assert_eq!(
            pull.monitor_pair("inproc://unread", 0xFFFF).map_err(|error| error.kind()),
            Err(BindErrorKind::AddressInUse)
        );
    });
}

#[test]
fn a_peer_closed_on_request_is_told_of() {
    over(WIRES, |place| {
        let (rep, endpoint) = place.bound::<Rep>();
        let mut req = place.open::<crate::Req>();
        let monitor = rep.monitor();
        req.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
        eventually("the peer is there", || !rep.peers().is_empty());
        rep.peers()[0].close(crate::CloseReason::Dismissed);
        let gone = until(&monitor, |kind| matches!(kind, EventKind::Disconnected(_)));
        let dismissed = ConnectionError::Dismissed;
        assert!(matches!(gone.kind, EventKind::Disconnected(Some(error)) if error == dismissed), "{gone:?}");
    });
}

#[test]
fn the_last_look_at_a_socket_that_is_gone_ends() {
    // Whoever reads may be the one who finds its last connection gone.
    for _ in 0..200 {
        let place = Place::new(Transport::Abstract);
        let (mut push, mut pull) = (place.open::<Push>(), place.open::<Pull>());
        let monitor = push.monitor();
        let endpoint = pull.bind(place.address()).unwrap().to_string();
        push.connect(endpoint.as_str()).unwrap();
        send(&mut push, "hello");
        recv(&mut pull);
        drop((push, pull));
        assert_eq!(names(monitor).last().unwrap(), "Stopped");
    }
}

#[test]
fn a_context_that_is_gone_keeps_nothing_of_its_sockets() {
    for transport in ALL {
        let place = Place::new(*transport);
        let (mut push, mut pull) = (place.open::<Push>(), place.open::<Pull>());
        let peers = [Arc::downgrade(&push.core.peers), Arc::downgrade(&pull.core.peers)];
        let endpoint = pull.bind(place.address()).unwrap().to_string();
        push.connect(endpoint.as_str()).unwrap();
        send(&mut push, "hello");
        recv(&mut pull);
        drop((push, pull));
        drop(place);
        eventually("they are gone", || peers.iter().all(|peers| peers.upgrade().is_none()));
    }
}
