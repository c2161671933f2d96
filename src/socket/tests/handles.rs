//! Handles of bindings and connections, and the list of peers.

use std::net::{TcpListener, TcpStream};

use super::*;
use crate::{
    AuthStatus, Binding, BindingState, CloseReason, Connection, ConnectionError, ConnectionState, Hwm,
    NotReadyKind, Pair, ProtocolError, Reason, ReconnectInterval, ReconnectStop, RecvError, SocketType,
};

fn is_shared<T: Clone + Send + Sync + 'static>() {}

fn await_state(connection: &Connection, state: ConnectionState) {
    eventually(&format!("{connection:?} is {state:?}"), || connection.state() == state);
}

fn tcp_address(endpoint: &Endpoint) -> String {
    endpoint.to_string().replace("tcp://", "")
}

#[test]
fn handles_go_to_any_thread() {
    is_shared::<Connection>();
    is_shared::<Binding>();
    is_shared::<crate::Peer>();
}

#[test]
fn a_connection_tells_when_it_is_ready_also_before_the_bind() {
    // E-07
    over(ALL, |place| {
        let endpoint = place.address();
        let mut push: Socket<Push> =
            place.builder().reconnect_interval(Duration::from_millis(1)).open().unwrap();
        let connection = push.connect(&endpoint).unwrap();
        assert_eq!(connection.endpoint(), &endpoint);
        assert!(matches!(
            connection.wait_ready(STALL / 10).map_err(|error| error.kind()),
            Err(NotReadyKind::TimedOut(_))
        ));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| connection.wait_ready(PATIENCE));
            let mut pull: Socket<Pull> = place.open();
            let binding = pull.bind(&endpoint).unwrap();
            assert_eq!(binding.state(), BindingState::Listening);
            assert_eq!(waiting.join().unwrap(), Ok(()));
            assert_eq!(connection.state(), ConnectionState::Ready);
            send(&mut push, "over it");
            assert_eq!(recv(&mut pull), "over it");
        });
    });
}

#[test]
fn a_connection_tells_why_nobody_answers() {
    let place = Place::new(Transport::Tcp);
    let mut push: Socket<Push> = place.open();
    let connection = push.connect(place.address()).unwrap();
    eventually("the system has said something", || connection.last_error().is_some());
    let Some(ConnectionError::Io(error)) = connection.last_error() else { panic!("{connection:?}") };
    assert_eq!(error.kind, std::io::ErrorKind::ConnectionRefused);
    assert!(!connection.state().is_final());
    let nowhere = push.connect("tcp://name.invalid:1").unwrap();
    eventually("the name is known to be unknown", || {
        nowhere.last_error() == Some(ConnectionError::NoAddress)
    });
}

#[test]
fn types_that_do_not_match_fail_for_good() {
    // E-01: the ERROR of the bound side is final; whichever of both is heard first, the reason is there.
    over(ALL, |place| {
        let endpoint = place.address();
        let mut wrong: Socket<Push> = place.open();
        let mut push: Socket<Push> = place.open();
        if place.transport != Transport::Inproc {
            wrong.bind(&endpoint).unwrap();
        }
        let connection = push.connect(&endpoint).unwrap();
        if place.transport == Transport::Inproc {
            wrong.bind(&endpoint).unwrap();
        }
        eventually("the types are compared", || connection.last_error().is_some());
        let error = connection.last_error();
        let expected = [
            ConnectionError::Protocol(ProtocolError::IncompatibleSocketTypes(SocketType::Push)),
            ConnectionError::Protocol(ProtocolError::RefusedByPeer(Reason::from_octets(
                b"Wrong-Socket-Type",
            ))),
        ];
        assert!(expected.contains(&error.unwrap()), "{error:?}");
        if place.transport == Transport::Inproc {
            assert_eq!(
                connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
                Err(NotReadyKind::Failed(expected[0]))
            );
        }
    });
}

#[test]
fn a_peers_error_is_final() {
    // E-01
    use std::io::Write;
    let place = Place::new(Transport::Tcp);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut push: Socket<Push> = place.builder().reconnect_interval(Duration::from_millis(1)).open().unwrap();
    let connection = push.connect(Endpoint::tcp(listener.local_addr().unwrap())).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let mut greeting = [0; 64];
    greeting[0] = 0xFF;
    greeting[9..16].copy_from_slice(&[0x7F, 3, 1, b'N', b'U', b'L', b'L']);
    peer.write_all(&greeting).unwrap();
    peer.write_all(b"\x04\x0a\x05ERROR\x03400").unwrap();
    let refused = ConnectionError::Protocol(ProtocolError::NotLetInByPeer(AuthStatus::Refused));
    assert_eq!(
        connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
        Err(NotReadyKind::Failed(refused))
    );
    assert_eq!((connection.state(), connection.last_error()), (ConnectionState::Failed, Some(refused)));
    connection.disconnect();
    assert_eq!(connection.state(), ConnectionState::Failed, "final");
}

#[test]
fn disconnecting_works_while_another_thread_waits_in_the_socket() {
    over(ALL, |place| {
        let (mut theirs, endpoint) = place.bound::<Pair>();
        let mut ours: Socket<Pair> = place.open();
        let connection = ours.connect(&endpoint).unwrap();
        send(&mut theirs, "hello");
        assert_eq!(recv(&mut ours), "hello");
        let free = place.address();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let result = ours.recv_timeout(STALL);
                (result, ours)
            });
            connection.disconnect();
            assert_eq!(connection.state(), ConnectionState::Closed);
            assert_eq!(
                connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
                Err(NotReadyKind::Closed)
            );
            let (result, mut ours) = waiting.join().unwrap();
            assert_eq!(result, Err(RecvError::WouldBlock));
            // A PAIR has room for its next peer, and the other side noticed.
            ours.connect(free).unwrap();
            eventually("the peer has noticed", || theirs.try_send("anybody?").is_err());
            assert_eq!(
                ours.disconnect(&endpoint).map_err(|error| error.kind()),
                Err(crate::ConnectErrorKind::NotConnected)
            );
        });
    });
}

#[test]
fn disconnecting_takes_effect_without_any_call_on_the_socket() {
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push = place.context.open::<Push>().unwrap();
        let connection = push.connect(&endpoint).unwrap();
        connection.wait_ready(PATIENCE).unwrap();
        for number in 0..100 {
            push.try_send(&numbered(number)).unwrap();
        }
        connection.disconnect();
        connection.disconnect();
        // What was queued is sent as linger says, and then the connection goes.
        for number in 0..100 {
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
        eventually("the peer is gone", || pull.peers().is_empty());
        assert!(push.try_send("nobody").is_err());
    });
}

#[test]
fn a_connection_that_never_came_is_disconnected_at_once() {
    // inproc keeps what was sent before the bind for whoever binds.
    over(WIRES, |place| {
        let endpoint = place.address();
        let mut push: Socket<Push> = place.open();
        let connection = push.connect(&endpoint).unwrap();
        push.try_send("nobody will get this").unwrap();
        connection.disconnect();
        assert!(push.try_send("no peer").is_err());
        drop(push);
        let mut pull: Socket<Pull> = place.open();
        pull.bind(&endpoint).unwrap();
        assert_eq!(pull.recv_timeout(STALL / 3).ok(), None);
    });
}

#[test]
fn dropping_the_socket_closes_its_handles() {
    over(ALL, |place| {
        let mut pull: Socket<Pull> = place.open();
        let binding = pull.bind(place.address()).unwrap();
        let mut push: Socket<Push> = place.open();
        let connection = push.connect(&binding).unwrap();
        drop((push, pull));
        assert_eq!(connection.state(), ConnectionState::Closed);
        assert_eq!(binding.state(), BindingState::Closed);
        binding.unbind();
        // The address is free.
        place.open::<Pull>().bind(binding.endpoint()).unwrap();
    });
}

#[test]
fn unbinding_through_the_handle_frees_the_address_at_once() {
    over(ALL, |place| {
        let mut pull: Socket<Pull> = place.open();
        let binding = pull.bind(place.address()).unwrap();
        thread::scope(|scope| scope.spawn(|| binding.clone().unbind()).join().unwrap());
        assert_eq!(binding.state(), BindingState::Closed);
        let mut other: Socket<Pull> = place.open();
        let again = other.bind(&binding).unwrap();
        binding.unbind();
        assert_eq!(again.state(), BindingState::Listening, "another binding of the same endpoint");
        assert_eq!(pull.unbind(&binding).map_err(|error| error.kind()), Err(crate::BindErrorKind::NotBound));
        assert_eq!((binding.last_error(), again.port()), (None, binding.port()));
    });
}

#[test]
fn peers_are_listed_while_they_are_there() {
    over(ALL, |place| {
        let (pull, endpoint) = place.bound::<Pull>();
        let mut pushes: Vec<Socket<Push>> = Vec::new();
        for _ in 0..3 {
            let mut push: Socket<Push> = place.open();
            push.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
            pushes.push(push);
        }
        let [theirs] = &pushes[0].peers()[..] else { panic!("one peer") };
        assert_eq!((theirs.socket_type(), theirs.version()), (SocketType::Pull, (3, 1)));
        assert_eq!((theirs.endpoint(), theirs.is_accepted()), (&endpoint, false));
        assert!(theirs.routing_id().is_none());
        eventually("all are known to the bound side", || pull.peers().len() == 3);
        let ours = &pull.peers()[0];
        assert!(ours.is_accepted() && ours.socket_type() == SocketType::Push);
        if place.transport == Transport::Inproc {
            assert_eq!(ours.properties().count(), 0);
        } else {
            assert_eq!(ours.property("socket-type"), Some(&b"PUSH"[..]));
        }
        assert_ne!(ours.endpoint().port(), Some(0));
        drop(pushes);
        let mut pull = pull;
        eventually("all are gone", || pull.try_recv().is_err() && pull.peers().is_empty());
    });
}

#[test]
fn a_peer_that_is_closed_comes_back_or_not() {
    over(WIRES, |place| {
        for (reason, state) in [
            (CloseReason::Dismissed, ConnectionState::Ready),
            (CloseReason::Refused, ConnectionState::Failed),
        ] {
            let (pull, endpoint) = place.bound::<Pull>();
            let mut push: Socket<Push> =
                place.builder().reconnect_interval(Duration::from_millis(1)).open().unwrap();
            let connection = push.connect(&endpoint).unwrap();
            connection.wait_ready(PATIENCE).unwrap();
            eventually("it is known", || pull.peers().len() == 1);
            pull.peers()[0].close(reason);
            eventually("the peer has noticed", || connection.last_error().is_some());
            await_state(&connection, state);
            // Closing from the side that connected: it connects again.
            if reason == CloseReason::Dismissed {
                eventually("it is back", || push.peers().len() == 1 && pull.peers().len() == 1);
                push.peers()[0].close(reason);
                eventually("it says why", || connection.last_error() == Some(ConnectionError::Dismissed));
                await_state(&connection, ConnectionState::Ready);
            }
        }
    });
}

#[test]
fn an_inproc_peer_can_be_closed() {
    let place = Place::new(Transport::Inproc);
    let (mut ours, endpoint) = place.bound::<Pair>();
    let mut theirs: Socket<Pair> = place.open();
    let connection = theirs.connect(&endpoint).unwrap();
    ours.peers()[0].close(CloseReason::Dismissed);
    assert_eq!(ours.try_recv(), Err(RecvError::WouldBlock));
    assert_eq!(theirs.try_recv(), Err(RecvError::WouldBlock));
    assert_eq!((ours.peers().len(), theirs.peers().len()), (0, 0));
    assert_eq!(
        connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
        Err(NotReadyKind::Failed(ConnectionError::PeerClosed))
    );
}

#[test]
fn a_dialer_stops_after_the_failures_that_it_was_told() {
    let place = Place::new(Transport::Tcp);
    let open = |stop| {
        let interval = ReconnectInterval::Every(Duration::from_millis(1));
        let socket: Socket<Push> =
            place.builder().reconnect_interval(interval).reconnect_stop(stop).open().unwrap();
        socket
    };
    // Refused.
    let mut push = open(ReconnectStop::REFUSED);
    let connection = push.connect(place.address()).unwrap();
    assert!(matches!(
        connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
        Err(NotReadyKind::Failed(ConnectionError::Io(_)))
    ));
    // A handshake that fails.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::tcp(listener.local_addr().unwrap());
    let mut push = open(ReconnectStop::HANDSHAKE_FAILED | ReconnectStop::REFUSED);
    let connection = push.connect(&endpoint).unwrap();
    drop(listener.accept().unwrap());
    assert!(matches!(
        connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
        Err(NotReadyKind::Failed(_))
    ));
    // A connection that is lost; before, it tries again.
    let mut push = open(ReconnectStop::DISCONNECTED);
    let connection = push.connect(&endpoint).unwrap();
    for _ in 0..2 {
        drop(listener.accept().unwrap());
    }
    drop(listener);
    let mut pull: Socket<Pull> = place.open();
    eventually("the address is free", || pull.bind(&endpoint).is_ok());
    connection.wait_ready(PATIENCE).unwrap();
    drop(pull);
    await_state(&connection, ConnectionState::Failed);
}

#[test]
fn a_connect_that_takes_too_long_is_given_up() {
    // A backlog that is full: the system answers nobody.
    let place = Place::new(Transport::Tcp);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, STALL / 3) {
        waiting.push(stream);
    }
    let mut push: Socket<Push> = place.builder().connect_timeout(STALL / 6).open().unwrap();
    let connection = push.connect(Endpoint::tcp(address)).unwrap();
    eventually("it is given up", || connection.last_error() == Some(ConnectionError::TimedOut));
}

#[test]
fn a_handshake_that_takes_too_long_is_seen() {
    // Promise 15
    let place = Place::new(Transport::Tcp);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = place.builder().handshake_interval(STALL / 10);
    let mut push: Socket<Push> = builder.send_hwm(Hwm::messages(1)).open().unwrap();
    let connection = push.connect(Endpoint::tcp(listener.local_addr().unwrap())).unwrap();
    await_state(&connection, ConnectionState::ShakingHands);
    let error = ConnectionError::Protocol(ProtocolError::HandshakeTimeout);
    eventually("it is given up", || connection.last_error() == Some(error));
}

/// A proxy for one connection after the other: answers as told, and carries octets if it granted.
fn proxy(listener: &TcpListener, code: u8) {
    use std::io::{Read, Write};
    let (mut client, _) = listener.accept().unwrap();
    let mut hello = [0; 3];
    client.read_exact(&mut hello).unwrap();
    assert_eq!(hello, [5, 1, 0]);
    client.write_all(&[5, 0]).unwrap();
    let mut request = [0; 5];
    client.read_exact(&mut request).unwrap();
    assert_eq!(request[..4], [5, 1, 0, 3], "the name goes to the proxy as it is");
    let mut rest = vec![0; usize::from(request[4]) + 2];
    client.read_exact(&mut rest).unwrap();
    let (name, port) = rest.split_at(rest.len() - 2);
    assert_eq!(name, b"target.invalid");
    client.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    if code != 0 {
        return;
    }
    let port = u16::from_be_bytes([port[0], port[1]]);
    let mut target = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut from_client, mut to_target) = (client.try_clone().unwrap(), target.try_clone().unwrap());
    thread::scope(|scope| {
        scope.spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_target);
            let _ = to_target.shutdown(std::net::Shutdown::Write);
        });
        let _ = std::io::copy(&mut target, &mut client);
    });
}

#[test]
fn connections_go_through_a_socks_proxy() {
    let place = Place::new(Transport::Tcp);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy_at = crate::SocksProxy::new(&listener.local_addr().unwrap().to_string()).unwrap();
    let mut push: Socket<Push> =
        place.builder().socks_proxy(proxy_at).reconnect_interval(Duration::from_millis(1)).open().unwrap();
    let target = format!("tcp://target.invalid:{}", tcp_address(&endpoint).split_once(':').unwrap().1);
    // The target listens on an address of its own, the proxy looks on the usual one.
    let mut again: Socket<Pull> = place.open();
    let usual = again.bind(format!("tcp://127.0.0.1:{}", endpoint.port().unwrap())).unwrap();
    assert_eq!(usual.port(), endpoint.port());
    thread::scope(|scope| {
        scope.spawn(|| {
            proxy(&listener, 5);
            proxy(&listener, 0);
        });
        let connection = push.connect(&target[..]).unwrap();
        connection.wait_ready(PATIENCE).unwrap();
        let refused = ConnectionError::Proxy(crate::ProxyError::Refused(5));
        assert_eq!(connection.last_error(), Some(refused));
        for number in 0..1000 {
            send(&mut push, &numbered(number));
            assert_eq!(number_of(&recv(&mut again)), number);
        }
        drop(push);
    });
    assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
}
