//! Secured sockets: who is let in, who is not, and what both are told.
#![allow(clippy::cast_possible_truncation, reason = "numbers that repeat do")]

use super::*;
use crate::{
    Admission, AuthStatus, Authorizer, Candidate, ConnectionError, ConnectionState, Dealer, Decision,
    Mechanism, Metadata, NotReadyKind, OpenError, OptionError, PlainCredentials, ProtocolError, Pub, Reason,
    Rep, Req, Router, Security, SocketType, Stream, Sub, XPub,
};

/// The two sides of a mechanism.
#[derive(Clone)]
pub(super) struct Sides {
    pub(super) server: Security,
    pub(super) client: Security,
}

impl Sides {
    pub(super) fn plain() -> Self {
        let alice = PlainCredentials::new("alice", "opensesame").unwrap();
        Self { server: Security::PlainServer, client: Security::PlainClient(alice) }
    }

    #[cfg(feature = "curve")]
    pub(super) fn curve() -> Self {
        let [keys, servers] = [(); 2].map(|()| crate::CurveKeyPair::generate().unwrap());
        let server_key = servers.public_key();
        let client = Security::CurveClient { keys, server_key };
        Self { server: Security::CurveServer { keys: servers }, client }
    }

    pub(super) fn null() -> Self {
        Self { server: Security::Null, client: Security::Null }
    }

    /// Those with secrets.
    pub(super) fn secret() -> Vec<Self> {
        vec![
            Self::plain(),
            #[cfg(feature = "curve")]
            Self::curve(),
        ]
    }

    pub(super) fn all() -> Vec<Self> {
        [vec![Self::null()], Self::secret()].concat()
    }

    fn mechanism(&self) -> Mechanism {
        self.server.mechanism()
    }
}

impl Place {
    pub(super) fn guarded<P: Pattern>(
        &self,
        sides: &Sides,
        authorizer: &Authorizer,
    ) -> (Socket<P>, Endpoint) {
        let builder = self.builder().security(sides.server.clone()).authorizer(authorizer);
        let mut socket = builder.open().unwrap();
        let endpoint = socket.bind(self.address()).unwrap().into();
        (socket, endpoint)
    }

    pub(super) fn client<P: Pattern>(&self, sides: &Sides) -> Socket<P> {
        self.builder()
            .security(sides.client.clone())
            .reconnect_interval(Duration::from_millis(5))
            .open()
            .unwrap()
    }
}

/// Decides so, and keeps what it was asked.
fn recording(decision: Decision) -> (Authorizer, Arc<std::sync::Mutex<Vec<Candidate>>>) {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let authorizer = Authorizer::new(move |candidate: &Candidate| {
        kept.lock().unwrap().push(candidate.clone());
        decision.clone()
    });
    (authorizer, asked)
}

#[test]
fn messages_of_every_size_go_both_ways() {
    // C-35, C-38, P-09: one frame and many, small and large, empty and by reference, in order.
    for sides in Sides::all() {
        for &transport in WIRES {
            let place = Place::new(transport);
            let (mut router, endpoint) = place.guarded::<Router>(&sides, &Authorizer::anyone());
            let mut dealer = place.client::<Dealer>(&sides);
            dealer.connect(&endpoint).unwrap();
            let sizes = [0, 1, 31, 221, 222, 223, 255, 256, 8191, 8192, 8193, 65_536, 300_000, 3 << 20];
            for (number, size) in sizes.into_iter().enumerate() {
                let body = vec![number as u8; size];
                let message: Message = [&[number as u8][..], &body, b"", b"end"].into();
                dealer.send(message.clone()).unwrap();
                let (sender, received) = router.recv().unwrap();
                assert!(received == message, "{size}");
                router.send_to(&sender, received).unwrap();
                assert!(dealer.recv().unwrap() == message, "{size}");
            }
        }
    }
}

#[test]
fn streams_arrive_whole_and_in_order() {
    for sides in Sides::all() {
        let place = Place::new(Transport::Tcp);
        let (mut pull, endpoint) = place.guarded::<Pull>(&sides, &Authorizer::anyone());
        let mut push = place.client::<Push>(&sides);
        push.connect(&endpoint).unwrap();
        let sender = thread::spawn(move || {
            for number in 0..20_000_u32 {
                let size = if number % 1000 == 0 { 100_000 } else { number as usize % 300 };
                push.send([&number.to_be_bytes()[..], &vec![number as u8; size]]).unwrap();
            }
            push.close(PATIENCE)
        });
        for number in 0..20_000_u32 {
            let message = pull.recv().unwrap();
            let size = if number % 1000 == 0 { 100_000 } else { number as usize % 300 };
            let frames: Vec<_> = message.frames().map(crate::Frame::as_bytes).collect();
            assert!(frames == [&number.to_be_bytes()[..], &vec![number as u8; size]], "{number}");
        }
        assert_eq!(sender.join().unwrap().dropped, 0);
    }
}

#[test]
fn subscriptions_go_through_the_same_box() {
    // D16: commands are sealed, too.
    for sides in Sides::all() {
        let place = Place::new(Transport::Tcp);
        let (mut publisher, endpoint) = place.guarded::<Pub>(&sides, &Authorizer::anyone());
        let mut sub = place.client::<Sub>(&sides);
        sub.subscribe("a").unwrap();
        sub.connect(&endpoint).unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        for message in ["b1", "a1", "a2"] {
            publisher.send(message).unwrap();
        }
        assert_eq!(sub.recv().unwrap(), "a1");
        assert_eq!(sub.recv().unwrap(), "a2");
        let (mut xpub, endpoint) = place.guarded::<XPub>(&sides, &Authorizer::anyone());
        sub.connect(&endpoint).unwrap();
        assert_eq!(xpub.recv().unwrap(), "\u{1}a");
        assert!(sub.unsubscribe("a"));
        assert_eq!(xpub.recv().unwrap(), "\0a");
    }
}

#[test]
fn heartbeats_go_through_the_same_box() {
    for sides in Sides::all() {
        let place = Place::new(Transport::Tcp);
        let (mut rep, endpoint) = place.guarded::<Rep>(&sides, &Authorizer::anyone());
        let mut req: Socket<Req> = place
            .builder()
            .security(sides.client.clone())
            .heartbeat_interval(Duration::from_millis(2))
            .heartbeat_timeout(PATIENCE)
            .open()
            .unwrap();
        let connection = req.connect(&endpoint).unwrap();
        for _ in 0..200 {
            let reply = req.request("ping").unwrap();
            rep.recv().unwrap().reply("pong").unwrap();
            assert_eq!(reply.recv().unwrap(), "pong");
            thread::yield_now();
        }
        assert_eq!(connection.last_error(), None);
    }
}

#[test]
fn the_candidate_is_what_it_has_shown() {
    // address, mechanism, credentials, properties; the process with ipc.
    for sides in Sides::all() {
        for &transport in WIRES {
            let place = Place::new(transport);
            let admission = Admission::new("alice", Metadata::new([("X-Zone", "eu")]).unwrap());
            let (authorizer, asked) = recording(Decision::Allow(admission));
            let (mut pull, endpoint) = place.guarded::<Pull>(&sides, &authorizer);
            let mut push = place
                .builder::<Push>()
                .security(sides.client.clone())
                .metadata(Metadata::new([("X-Zone", "us")]).unwrap())
                .open()
                .unwrap();
            push.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
            push.send("hello").unwrap();
            assert_eq!(pull.recv().unwrap(), "hello");
            let peer = pull.peers().remove(0);
            assert_eq!(peer.user_id(), Some("alice"));
            assert_eq!(peer.property("x-zone"), Some(&b"eu"[..]), "who lets in knows better than the peer");
            assert!(peer.properties().any(|it| it == ("X-Zone", b"us")));
            assert_eq!(push.peers()[0].user_id(), None);
            let candidate = asked.lock().unwrap().remove(0);
            assert_eq!(candidate.mechanism(), sides.mechanism());
            match &sides.client {
                Security::PlainClient(credentials) => {
                    assert_eq!(candidate.plain(), Some(credentials));
                    assert_eq!(candidate.properties().count(), 0);
                }
                #[cfg(feature = "curve")]
                Security::CurveClient { keys, .. } => {
                    assert_eq!(candidate.public_key(), Some(keys.public_key()))
                }
                _ => assert!(candidate.plain().is_none() && candidate.public_key().is_none()),
            }
            if sides.mechanism() != Mechanism::Plain {
                let of_type = ("Socket-Type", &b"PUSH"[..]);
                assert_eq!(candidate.properties().next(), Some(of_type));
            }
            if transport == Transport::Tcp {
                assert_eq!(candidate.endpoint(), peer.endpoint());
                assert!(candidate.endpoint() != &endpoint && candidate.process().is_none());
            } else {
                assert_eq!(candidate.endpoint(), &endpoint);
                let process = candidate.process().unwrap();
                assert_eq!(process.pid, Some(process_id()));
                assert_eq!(peer.process(), Some(process));
            }
        }
    }
}

#[test]
fn whoever_is_refused_learns_why_as_the_status_says() {
    // C-02, C-03, C-29, A-12, E-01: 400 and 500 are final, 300 is not; no message gets through.
    for sides in Sides::all() {
        for status in [AuthStatus::Refused, AuthStatus::Failed, AuthStatus::NotNow] {
            let place = Place::new(Transport::Tcp);
            let authorizer = Authorizer::new(move |_: &Candidate| Decision::Refuse(status, Reason::NONE));
            let (mut pull, endpoint) = place.guarded::<Pull>(&sides, &authorizer);
            let mut push = place.client::<Push>(&sides);
            let connection = push.connect(&endpoint).unwrap();
            // It may be over already, for good.
            let sent = push.try_send("hello");
            if status == AuthStatus::NotNow {
                sent.unwrap();
                eventually("the state is seen", || {
                    connection.last_error() == Some(ConnectionError::PeerClosed)
                });
                assert_ne!(connection.state(), ConnectionState::Failed);
                authorizer.replace(|_: &Candidate| Decision::allow_as("late"));
                connection.wait_ready(PATIENCE).unwrap();
                assert_eq!(pull.recv().unwrap(), "hello");
                assert_eq!(pull.peers()[0].user_id(), Some("late"));
            } else {
                let error = ConnectionError::Protocol(ProtocolError::NotLetInByPeer(status));
                assert_eq!(
                    connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
                    Err(NotReadyKind::Failed(error))
                );
                assert!(pull.peers().is_empty() && pull.try_recv().is_err());
            }
        }
    }
}

#[test]
fn a_panic_in_the_authorizer_keeps_one_out_and_harms_nobody_else() {
    for sides in Sides::all() {
        let place = Place::new(Transport::Tcp);
        let authorizer = Authorizer::new(|_: &Candidate| panic!("this panic is part of the test"));
        let (mut pull, endpoint) = place.guarded::<Pull>(&sides, &authorizer);
        let mut push = place.client::<Push>(&sides);
        let error = ConnectionError::Protocol(ProtocolError::NotLetInByPeer(AuthStatus::Failed));
        let connection = push.connect(&endpoint).unwrap();
        assert_eq!(
            connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
            Err(NotReadyKind::Failed(error))
        );
        authorizer.replace(|_: &Candidate| Decision::allow());
        let mut push = place.client::<Push>(&sides);
        push.connect(&endpoint).unwrap();
        push.send("hello").unwrap();
        assert_eq!(pull.recv().unwrap(), "hello");
    }
}

#[test]
fn a_server_that_was_told_nothing_lets_nobody_in() {
    // P-12, A-21
    for sides in Sides::secret() {
        let place = Place::new(Transport::Tcp);
        let (pull, endpoint) = place.guarded::<Pull>(&sides, &Authorizer::NONE);
        let mut push = place.client::<Push>(&sides);
        let connection = push.connect(&endpoint).unwrap();
        let error = ConnectionError::Protocol(ProtocolError::NotLetInByPeer(AuthStatus::Refused));
        assert_eq!(
            connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
            Err(NotReadyKind::Failed(error))
        );
        assert!(pull.peers().is_empty());
    }
}

#[test]
fn no_two_mechanisms_agree() {
    // Z-19, Z-21, B-49: nothing is let in, and no message is lost to a weaker mechanism.
    for server in Sides::all() {
        for client in Sides::all().into_iter().filter(|client| client.mechanism() != server.mechanism()) {
            let place = Place::new(Transport::Tcp);
            let (mut pull, endpoint) = place.guarded::<Pull>(&server, &Authorizer::anyone());
            let mut push = place.client::<Push>(&client);
            let connection = push.connect(&endpoint).unwrap();
            push.send("secret").unwrap();
            let mismatch = ConnectionError::Protocol(ProtocolError::MechanismMismatch);
            eventually("the state is seen", || connection.last_error() == Some(mismatch));
            assert!(pull.peers().is_empty() && pull.try_recv().is_err());
            // LIVE
            let mut honest = place.client::<Push>(&server);
            honest.connect(&endpoint).unwrap();
            honest.send("hello").unwrap();
            assert_eq!(pull.recv().unwrap(), "hello");
        }
    }
}

#[test]
fn servers_may_connect_and_clients_may_bind() {
    for sides in Sides::secret() {
        let place = Place::new(Transport::Tcp);
        let mut pull = place.client::<Pull>(&sides);
        let endpoint = pull.bind(place.address()).unwrap();
        let builder = place.builder::<Push>().security(sides.server.clone());
        let mut push = builder.authorizer(Authorizer::anyone()).open().unwrap();
        push.connect(&endpoint).unwrap();
        push.send("hello").unwrap();
        assert_eq!(pull.recv().unwrap(), "hello");
    }
}

#[test]
fn what_the_kernel_did_not_get_is_sent_again() {
    // Sealed anew: none twice, none torn, the last of all too.
    for sides in Sides::secret() {
        let place = Place::new(Transport::Tcp);
        let builder = place.builder::<Pull>().security(sides.server.clone()).authorizer(Authorizer::anyone());
        let mut pull = builder.recv_hwm(1).recv_timeout(PATIENCE).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push = place.client::<Push>(&sides);
        push.connect(&endpoint).unwrap();
        let message = |number: u32| [number.to_be_bytes().to_vec(), vec![number as u8; 20_000]];
        let mut sent = 0;
        while push.send_timeout(message(sent), STALL).is_ok() {
            sent += 1;
        }
        pull.peers()[0].close(crate::CloseReason::Dismissed);
        let mut next = 0;
        while next < sent {
            let received = pull.recv().unwrap();
            let number = u32::from_be_bytes(received.frame(0).unwrap().as_bytes().try_into().unwrap());
            assert!(number >= next && received.frame(1).unwrap().as_bytes() == message(number)[1]);
            next = number + 1;
        }
    }
}

#[test]
fn inproc_asks_nobody() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, endpoint) = place.guarded::<Pull>(&Sides::plain(), &Authorizer::NONE);
    let mut push = place.connected::<Push>(&endpoint);
    push.send("hello").unwrap();
    assert_eq!(pull.recv().unwrap(), "hello");
}

#[test]
fn a_stream_has_no_mechanism() {
    let place = Place::new(Transport::Tcp);
    let refused = OpenError::ForeignOption { option: "security", socket_type: SocketType::Stream };
    let opened = place.builder::<Stream>().security(Security::PlainServer).open();
    assert_eq!(opened.err(), Some(refused));
    let opened = place.builder::<Stream>().authorizer(Authorizer::anyone()).open();
    assert_eq!(opened.err(), Some(refused));
    let refused = OptionError::ForeignOption { option: "security", socket_type: SocketType::Stream };
    let mut stream = place.open::<Stream>();
    assert_eq!(stream.change().security(Security::PlainServer).apply(), Err(refused));
    assert_eq!(stream.change().authorizer(Authorizer::anyone()).apply(), Err(refused));
    assert_eq!(stream.options().security, Security::Null);
}

#[test]
fn secrets_are_in_no_debug_output() {
    for sides in Sides::secret() {
        let place = Place::new(Transport::Tcp);
        let builder = place.builder::<Push>().security(sides.client.clone());
        let mut shown = format!("{builder:?} {:?} {}", sides.client, sides.client);
        let socket = builder.open().unwrap();
        shown += &format!("{:?}", socket.options());
        assert!(!shown.contains("opensesame"));
        #[cfg(feature = "curve")]
        if let Security::CurveClient { keys, .. } = &sides.client {
            assert!(
                shown.contains(&keys.public_key().to_string())
                    && !shown.contains(keys.secret_text().as_str())
            );
        }
    }
}

#[cfg(feature = "curve")]
mod curve {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::CurveKeyPair;

    /// Octets that a PUSH sends before its messages: greeting, HELLO, INITIATE.
    const HANDSHAKE: usize = 64 + 202 + 286;

    #[test]
    fn only_keys_of_the_list_are_let_in() {
        let place = Place::new(Transport::Tcp);
        let sides = Sides::curve();
        let path = place.directory.path().join("allowed");
        std::fs::write(&path, "").unwrap();
        let (mut pull, endpoint) = place.guarded::<Pull>(&sides, &Authorizer::allowed_keys(&path).unwrap());
        let mut push = place.client::<Push>(&sides);
        let refused = ConnectionError::Protocol(ProtocolError::NotLetInByPeer(AuthStatus::Refused));
        let connection = push.connect(&endpoint).unwrap();
        assert_eq!(
            connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
            Err(NotReadyKind::Failed(refused))
        );
        let Security::CurveClient { keys, .. } = &sides.client else { unreachable!() };
        std::fs::write(&path, format!("{} alice", keys.public_key())).unwrap();
        let mut push = place.client::<Push>(&sides);
        push.connect(&endpoint).unwrap();
        push.send("hello").unwrap();
        assert_eq!(pull.recv().unwrap(), "hello");
        assert_eq!(pull.peers()[0].user_id(), Some("alice"));
    }

    #[test]
    fn the_wrong_key_of_the_server_is_tried_again_and_never_let_in() {
        // C-03, C-43
        let place = Place::new(Transport::Tcp);
        let sides = Sides::curve();
        let (pull, endpoint) = place.guarded::<Pull>(&sides, &Authorizer::anyone());
        let keys = CurveKeyPair::generate().unwrap();
        let server_key = CurveKeyPair::generate().unwrap().public_key();
        let wrong = Sides { client: Security::CurveClient { keys, server_key }, ..sides };
        let mut push = place.client::<Push>(&wrong);
        let connection = push.connect(&endpoint).unwrap();
        eventually("the state is seen", || connection.last_error() == Some(ConnectionError::PeerClosed));
        assert!(!connection.state().is_final() && pull.peers().is_empty());
    }

    /// A client and a server with somebody in between, who gets every octet before it is passed on.
    fn in_between(
        mut meddle: impl FnMut(bool, &mut Vec<u8>),
    ) -> (Place, Socket<Pull>, Socket<Push>, crate::Connection) {
        let place = Place::new(Transport::Tcp);
        let sides = Sides::curve();
        let (pull, endpoint) = place.guarded::<Pull>(&sides, &Authorizer::anyone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut push = place
            .builder::<Push>()
            .security(sides.client)
            .reconnect_interval(crate::ReconnectInterval::Never)
            .open()
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let connection = push.connect(format!("tcp://127.0.0.1:{port}").as_str()).unwrap();
        push.send("first").unwrap();
        let (mut client, _) = listener.accept().unwrap();
        let to = endpoint.to_string();
        let mut server = TcpStream::connect(to.strip_prefix("tcp://").unwrap()).unwrap();
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut room = [0; 4096];
            for from_client in [true, false] {
                let (from, to) =
                    if from_client { (&mut client, &mut server) } else { (&mut server, &mut client) };
                match from.read(&mut room) {
                    Ok(0) => return (place, pull, push, connection),
                    Ok(count) => {
                        let mut octets = room[..count].to_vec();
                        meddle(from_client, &mut octets);
                        // An error says that they have found out.
                        let _ = to.write_all(&octets);
                    }
                    Err(error)
                        if matches!(
                            error.kind(),
                            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                        ) => {}
                    Err(_) => return (place, pull, push, connection),
                }
            }
        }
        panic!("nobody has hung up");
    }

    #[test]
    fn a_message_that_was_tampered_with_is_not_received() {
        // C-39, B-02: the last octet; then the same message twice.
        let mut heard = 0;
        let (_place, mut pull, _push, connection) = in_between(|from_client, octets| {
            if from_client {
                heard += octets.len();
                if heard > HANDSHAKE {
                    *octets.last_mut().unwrap() ^= 1;
                }
            }
        });
        assert!(pull.try_recv().is_err());
        eventually("the state is seen", || connection.last_error().is_some());
        let mut heard = 0;
        let (_place, mut pull, _push, _) = in_between(|from_client, octets| {
            if from_client {
                let before = heard;
                heard += octets.len();
                if before >= HANDSHAKE {
                    let again = octets.clone();
                    octets.extend(again);
                }
            }
        });
        assert_eq!(pull.recv().unwrap(), "first");
        assert!(pull.try_recv().is_err());
    }

    #[test]
    fn nothing_that_is_said_can_be_read() {
        // C-46, F-11, C-13, C-32: neither message nor key nor type; numbers grow one by one.
        let said = Arc::new(std::sync::Mutex::new([Vec::new(), Vec::new()]));
        let kept = Arc::clone(&said);
        let (_place, mut pull, _push, _) = in_between(move |from_client, octets| {
            kept.lock().unwrap()[usize::from(from_client)].extend_from_slice(octets);
            let all = kept.lock().unwrap()[1].len();
            if all > HANDSHAKE {
                // Enough: this is no frame.
                octets.extend([0xFF; 64]);
            }
        });
        assert_eq!(pull.recv().unwrap(), "first");
        let [from_server, from_client] = said.lock().unwrap().clone();
        for octets in [&from_server, &from_client] {
            for clear in [&b"first"[..], b"PUSH", b"PULL", b"Socket"] {
                assert!(!octets.windows(clear.len()).any(|window| window == clear));
            }
        }
        // HELLO, INITIATE, MESSAGE: their numbers.
        let message = &from_client[from_client.len() - (2 + 33 + 5)..];
        assert_eq!(&message[..10], b"\0\x26\x07MESSAGE");
        assert_eq!(message[10..18], 3_u64.to_be_bytes());
    }
}
