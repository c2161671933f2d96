//! Peers of ZMTP 1.0, 2.0 and 3.0, made of octets: every type that those versions had, with every type of ours
//! that may talk to it, both bind sides, tcp and ipc. Z-15 to Z-17, Z-23, F-02, F-05 to F-09, F-14, F-19, N-21,
//! N-23, S-01 to S-03, R-03, R-18, B-08; RFC 13, 15 and 23.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(clippy::wildcard_enum_match_arm, reason = "SocketType grows")]

use std::time::Duration;

use interop_tests::raw::old::{OldPeer, SIGNATURE, TYPES, Version};
use interop_tests::raw::random::Random;
use interop_tests::raw::{DEADLINE, Listener, Meeting, Peer, Role, Transport, everywhere, message_of};
use interop_tests::tally;
use peermq::{
    AnyPattern, ConnectionError, Context, HeartbeatInterval, Linger, Message, NotReadyKind, ProtocolError,
    Pub, Publishes, Pull, Push, ReconnectInterval, Router, RoutingId, Socket, SocketType, Sub, Subscription,
    XPub,
};

type Any = Socket<AnyPattern>;
type Frames = Vec<Vec<u8>>;

/// A socket of ours, of any type, and where to meet it.
struct Place {
    socket: Any,
    endpoint: String,
    listener: Option<Listener>,
}

impl Place {
    fn new(socket_type: SocketType, role: Role, transport: Transport) -> Self {
        let context = Context::builder().io_threads(1).build();
        let mut builder = context
            .builder_for_any(socket_type)
            .reconnect_interval(ReconnectInterval::Every(Duration::from_millis(1)))
            .send_timeout(DEADLINE)
            .recv_timeout(DEADLINE)
            .linger(Linger::DISCARD);
        if !our_id(socket_type).is_empty() {
            builder = builder.routing_id(RoutingId::new(our_id(socket_type)).unwrap());
        }
        let mut socket = builder.open().unwrap();
        if role == Role::Connects {
            let listener = Listener::bind(transport);
            socket.connect(listener.endpoint()).unwrap();
            return Self { socket, endpoint: String::new(), listener: Some(listener) };
        }
        let endpoint = socket.bind(transport.free_endpoint()).unwrap().to_string();
        Self { socket, endpoint, listener: None }
    }

    fn peer(&self) -> Peer {
        match &self.listener {
            Some(listener) => listener.accept(),
            None => Peer::connect(&self.endpoint),
        }
    }
}

/// The routing id of our sockets, if their type announces one.
fn our_id(socket_type: SocketType) -> &'static [u8] {
    match socket_type {
        SocketType::Dealer | SocketType::Req | SocketType::Router => b"ours",
        _ => b"",
    }
}

/// Every type of ours, with every type that an old peer of it may have.
fn pairs() -> impl Iterator<Item = (SocketType, &'static str)> {
    SocketType::ALL.iter().flat_map(|&ours| {
        TYPES
            .into_iter()
            .filter(move |name| ours.talks_to(SocketType::from_name(name.as_bytes()).unwrap()))
            .map(move |name| (ours, name))
    })
}

/// Messages with bodies of all sizes that matter to a framing, and of many parts.
fn messages() -> Vec<Frames> {
    let body = |octets| Random(octets as u64 + 1).octets(octets);
    let sizes = [0, 1, 252, 253, 254, 255, 256, 257, 8191, 8192, 8193, 70_000];
    let mut messages: Vec<Frames> = sizes.into_iter().map(|octets| vec![body(octets)]).collect();
    messages.push(vec![b"a".to_vec(), Vec::new(), body(300), body(254), Vec::new(), b"z".to_vec()]);
    messages.push(vec![Vec::new(), Vec::new()]);
    messages.push(vec![body(100_000), body(3), body(70_000)]);
    messages
}

fn with(front: &[&[u8]], frames: &Frames) -> Frames {
    front.iter().map(|frame| frame.to_vec()).chain(frames.iter().cloned()).collect()
}

fn of(frames: &Frames) -> Message {
    message_of(frames)
}

/// Exchanges all messages in the directions and the envelopes of these types. How many went over the wire.
fn converse(ours: &mut Any, peer: &mut OldPeer, theirs: &str, version: Version) -> usize {
    use SocketType::{Dealer, Pub, Pull, Push, Rep, Req, Router, Sub, XPub, XSub};
    let socket_type = ours.socket_type();
    let mut count = 0;
    if [Sub, XSub].contains(&socket_type) {
        ours.subscribe("").unwrap();
        assert_eq!(peer.hear(), [[1]]);
    }
    if [Pub, XPub].contains(&socket_type) {
        // A subscriber of 1.0 does not tell what it wants.
        if version != Version::One {
            peer.say(&[[1]]);
        }
        ours.wait_for_subscribers(1, DEADLINE).unwrap();
    }
    if socket_type == XPub {
        assert_eq!(
            Subscription::from_message(&ours.recv().unwrap()),
            Some(Subscription::Subscribe(&b""[..]))
        );
    }
    for frames in &messages() {
        let (mut to_us, mut to_them) = (frames.clone(), frames.clone());
        let mut envelope = Vec::new();
        match socket_type {
            Req => {
                ours.send(of(frames)).unwrap();
                assert!(peer.hear() == with(&[b""], frames));
                peer.say(&with(&[b""], frames));
                assert!(ours.recv().unwrap() == of(frames));
                count += 2;
                continue;
            }
            Rep => {
                // A DEALER may stand for others, whose names are in front.
                let envelope: &[&[u8]] = if theirs == "DEALER" { &[b"one", b"two", b""] } else { &[b""] };
                peer.say(&with(envelope, frames));
                assert!(ours.recv().unwrap() == of(frames));
                ours.send(of(frames)).unwrap();
                assert!(peer.hear() == with(envelope, frames));
                count += 2;
                continue;
            }
            Router if theirs == "REQ" => envelope = vec![Vec::new()],
            Dealer if theirs == "REP" => envelope = vec![Vec::new()],
            _ => {}
        }
        to_us.splice(0..0, envelope.clone());
        to_them.splice(0..0, envelope);
        let mut name = None;
        if ![Push, Pub, XPub].contains(&socket_type) {
            peer.say(&to_us);
            let mut got = ours.recv().unwrap();
            if socket_type == Router {
                name = Some(b"theirs".to_vec());
                to_us.splice(0..0, name.clone());
            }
            assert!(std::mem::take(&mut got) == of(&to_us));
            count += 1;
        }
        if ![Pull, Sub, XSub].contains(&socket_type) {
            ours.send(of(&name.into_iter().chain(to_them.clone()).collect())).unwrap();
            assert!(peer.hear() == to_them);
            count += 1;
        }
    }
    count
}

fn talk(version: Version, role: Role, transport: Transport) {
    for (ours, theirs) in pairs() {
        let mut place = Place::new(ours, role, transport);
        let names = ((theirs, &b"theirs"[..]), (ours.name(), our_id(ours)));
        let mut peer = OldPeer::new(place.peer(), version, names.0, names.1);
        let count = converse(&mut place.socket, &mut peer, theirs, version);
        let met = &place.socket.peers()[0];
        let expected = match version {
            Version::One => (1, 0),
            Version::Two => (2, 0),
            Version::Three => (3, 0),
        };
        assert_eq!((met.version(), met.is_accepted()), (expected, role == Role::Binds));
        if version != Version::One {
            assert_eq!(met.socket_type().name(), theirs);
        }
        assert_eq!(peer.finish(), b"", "{version:?} {ours:?} {theirs}");
        let transport = if transport == Transport::Tcp { "tcp" } else { "ipc" };
        let direction = if role == Role::Binds { "both, we bind" } else { "both, they bind" };
        tally::count(version.name(), &format!("{} {theirs}", ours.name()), transport, direction, count);
    }
}

macro_rules! talks {
    ($($test:ident: $version:ident, $role:ident, $transport:ident;)*) => {
        $(
            #[test]
            fn $test() {
                // Z-17, Z-23, F-05 to F-08, F-19
                talk(Version::$version, Role::$role, Transport::$transport);
            }
        )*
    };
}

talks! {
    all_types_talk_to_zmtp_1_that_connects_over_tcp: One, Binds, Tcp;
    all_types_talk_to_zmtp_1_that_binds_over_tcp: One, Connects, Tcp;
    all_types_talk_to_zmtp_1_that_connects_over_ipc: One, Binds, Ipc;
    all_types_talk_to_zmtp_1_that_binds_over_ipc: One, Connects, Ipc;
    all_types_talk_to_zmtp_2_that_connects_over_tcp: Two, Binds, Tcp;
    all_types_talk_to_zmtp_2_that_binds_over_tcp: Two, Connects, Tcp;
    all_types_talk_to_zmtp_2_that_connects_over_ipc: Two, Binds, Ipc;
    all_types_talk_to_zmtp_2_that_binds_over_ipc: Two, Connects, Ipc;
    all_types_talk_to_zmtp_3_0_that_connects_over_tcp: Three, Binds, Tcp;
    all_types_talk_to_zmtp_3_0_that_binds_over_tcp: Three, Connects, Tcp;
    all_types_talk_to_zmtp_3_0_that_connects_over_ipc: Three, Binds, Ipc;
    all_types_talk_to_zmtp_3_0_that_binds_over_ipc: Three, Connects, Ipc;
}

#[test]
fn a_type_that_does_not_fit_is_refused_in_zmtp_2_without_a_word() {
    // N-21. RFC 15: "silently disconnecting the other peer".
    for (ours, theirs) in [(SocketType::Pull, "PULL"), (SocketType::Req, "DEALER"), (SocketType::Sub, "SUB")]
    {
        for role in [Role::Binds, Role::Connects] {
            let place = Place::new(ours, role, Transport::Tcp);
            let mut peer = place.peer();
            peer.write(&Version::Two.handshake(theirs, b"")[..12]);
            assert_eq!(peer.read_to_end(), Version::Two.answer(ours.name(), our_id(ours)));
            assert!(place.socket.peers().is_empty());
        }
    }
    let listener = Listener::bind(Transport::Tcp);
    let mut pull = Context::new().open::<Pull>().unwrap();
    let connection = pull.connect(listener.endpoint()).unwrap();
    let mut peer = listener.accept();
    peer.write(&Version::Two.handshake("PUB", b"")[..12]);
    let error = ConnectionError::Protocol(ProtocolError::IncompatibleSocketTypes(SocketType::Pub));
    while connection.last_error() != Some(error) {
        let told = connection.wait_ready(Duration::from_millis(1)).unwrap_err();
        assert!(matches!(told.kind(), NotReadyKind::TimedOut(_) | NotReadyKind::Failed(_)), "{told:?}");
    }
}

#[test]
fn both_revisions_and_the_extra_types_of_libzmq_are_zmtp_2() {
    // Z-23: "If this is 1 or 2, we have a ZMTP 2.0 peer."
    let mut meeting = Meeting::<Pub>::new(Role::Binds, Transport::Tcp);
    for (revision, code) in [(1, 2), (2, 2), (1, 10)] {
        let mut peer = meeting.peer();
        peer.write(&[SIGNATURE, &[revision, code, 0, 0][..], b"\0\x02\x01a"].concat());
        meeting.socket.wait_for_subscribers(1, DEADLINE).unwrap();
        meeting.socket.send("a message").unwrap();
        let heard = [Version::Two.answer("PUB", b""), Version::Two.message(&["a message"])].concat();
        assert_eq!(peer.read(heard.len()), heard);
        drop(peer);
        while meeting.socket.subscriber_count() > 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn subscriptions_go_to_old_publishers_as_messages() {
    // Z-17, S-02, S-03, S-33: all topics to every connection, then each change.
    for version in Version::ALL {
        everywhere::<Sub>(|meeting| {
            let longest = vec![7; 254];
            meeting.socket.subscribe("a").unwrap();
            meeting.socket.subscribe(&longest).unwrap();
            let mut peer = OldPeer::new(meeting.peer(), version, ("PUB", b""), ("SUB", b""));
            assert_eq!(peer.hear(), [[&[1][..], &longest].concat()]);
            assert_eq!(peer.hear(), [b"\x01a"]);
            meeting.socket.subscribe("").unwrap();
            assert_eq!(peer.hear(), [b"\x01"]);
            assert!(meeting.socket.unsubscribe("a"));
            assert_eq!(peer.hear(), [b"\0a"]);
            assert!(meeting.socket.unsubscribe(""));
            assert_eq!(peer.hear(), [b"\0"]);
            // A publisher of 1.0 sends everything: what is not wanted is not received (S-31).
            meeting.socket.subscribe("good").unwrap();
            assert_eq!(peer.hear(), [b"\x01good"]);
            peer.say(&["bad", "good"]);
            peer.say(&["good", "bad"]);
            assert_eq!(meeting.socket.recv().unwrap(), ["good", "bad"]);
            assert!(meeting.socket.unsubscribe("good"));
            assert_eq!(peer.hear(), [b"\0good"]);
            assert!(meeting.socket.unsubscribe(&longest));
        });
    }
}

fn only_what_was_subscribed_to_is_sent<P: interop_tests::raw::Speaks + Publishes>() {
    for version in [Version::Two, Version::Three] {
        everywhere::<P>(|meeting| {
            let mut peer = OldPeer::new(meeting.peer(), version, ("SUB", b""), (P::NAME, b""));
            peer.say(&["\x01a"]);
            peer.say(&["\x01end"]);
            while meeting.socket.topic_count() < 2 {
                std::thread::yield_now();
            }
            for topic in ["b", "ab", "", "A", "end"] {
                meeting.socket.send([topic, "a"]).unwrap();
            }
            assert_eq!((peer.hear(), peer.hear()), (frames(&["ab", "a"]), frames(&["end", "a"])));
            peer.say(&["\0a"]);
            while meeting.socket.topic_count() > 1 {
                std::thread::yield_now();
            }
            meeting.socket.send("ab").unwrap();
            meeting.socket.send("end").unwrap();
            assert_eq!(peer.hear(), frames(&["end"]));
            drop(peer);
            while meeting.socket.topic_count() > 0 {
                std::thread::yield_now();
            }
        });
    }
}

fn frames(frames: &[&str]) -> Frames {
    frames.iter().map(|frame| frame.as_bytes().to_vec()).collect()
}

#[test]
fn subscribers_that_tell_what_they_want_get_nothing_else() {
    // Z-17, S-01, S-11
    only_what_was_subscribed_to_is_sent::<Pub>();
    only_what_was_subscribed_to_is_sent::<XPub>();
}

#[test]
fn a_subscriber_of_zmtp_1_gets_everything() {
    // RFC 13: "A subscriber SHALL NOT send any content."
    everywhere::<Pub>(|meeting| {
        let mut peer = OldPeer::new(meeting.peer(), Version::One, ("SUB", b""), ("PUB", b""));
        meeting.socket.wait_for_subscribers(1, DEADLINE).unwrap();
        // Programs that forwarded subscriptions before they had a version get no less.
        peer.say(&["\x01b"]);
        while meeting.socket.topic_count() < 2 {
            std::thread::yield_now();
        }
        for topic in ["a", "b", ""] {
            meeting.socket.send([topic, "x"]).unwrap();
            assert_eq!(peer.hear(), frames(&[topic, "x"]));
        }
        drop(peer);
        while meeting.socket.topic_count() > 0 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_router_knows_old_peers_by_their_routing_ids() {
    // N-23, R-39, D11: names of all sizes; one that nobody may have; one that is taken.
    for version in Version::ALL {
        let mut router = Context::new().builder_for::<Router>().recv_timeout(DEADLINE).open().unwrap();
        let endpoint = router.bind("tcp://127.0.0.1:0").unwrap().to_string();
        let longest = vec![7; 255];
        let mut peers = Vec::new();
        for name in [&b"a"[..], &longest[..253], &longest[..254], &longest] {
            let names = (("DEALER", name), ("ROUTER", &b""[..]));
            let mut peer = OldPeer::new(Peer::connect(&endpoint), version, names.0, names.1);
            peer.say(&["here"]);
            let (id, message) = router.recv().unwrap();
            assert_eq!((id.as_bytes(), message.frame(0).unwrap().as_bytes()), (name, &b"here"[..]));
            peers.push((id, peer));
        }
        for (id, peer) in peers.iter_mut().rev() {
            router.send_to(id, [&id.as_bytes()[..1], b""]).unwrap();
            assert_eq!(peer.hear(), [&id.as_bytes()[..1], b""]);
        }
        let mut nameless = OldPeer::new(Peer::connect(&endpoint), version, ("DEALER", b""), ("ROUTER", b""));
        nameless.say(&["who am I"]);
        let (id, _) = router.recv().unwrap();
        assert_eq!((id.as_bytes().len(), id.as_bytes()[0]), (5, 0));
        router.send_to(&id, "you").unwrap();
        assert_eq!(nameless.hear(), [b"you"]);
        // Taken, and then: starts with zero.
        if version == Version::Three {
            // It is not told that it may talk, nor that it may not: an ERROR would be final.
            let mut twin = Peer::connect(&endpoint);
            twin.write(&version.handshake("DEALER", b"a"));
            assert_eq!(twin.read_to_end(), version.answer("ROUTER", b"")[..64]);
        } else {
            let mut twin = OldPeer::new(Peer::connect(&endpoint), version, ("DEALER", b"a"), ("ROUTER", b""));
            let _ = twin.peer.try_write(&version.message(&["lost"]));
            twin.peer.read_to_end();
        }
        assert!(router.try_recv().is_err());
        peers[0].1.say(&["still here"]);
        assert_eq!(router.recv().unwrap().1, "still here");
        let mut zero = Peer::connect(&endpoint);
        _ = zero.try_write(&[version.handshake("DEALER", b"\0abcd"), version.message(&["lost"])].concat());
        zero.read_to_end();
        peers[0].1.say(&["still here"]);
        assert_eq!(router.recv().unwrap().1, "still here");
    }
}

#[test]
fn old_peers_hear_nothing_of_heartbeats_and_are_not_silent() {
    // H-01: PING came with ZMTP 3.1.
    const INTERVAL: Duration = Duration::from_millis(20);
    for version in [Version::One, Version::Two] {
        for role in [Role::Binds, Role::Connects] {
            let mut meeting = Meeting::<Pull>::with(role, Transport::Tcp, |builder| {
                builder.heartbeat_interval(HeartbeatInterval::every(INTERVAL))
            });
            let mut peer = OldPeer::new(meeting.peer(), version, ("PUSH", b""), ("PULL", b""));
            assert!(peer.is_left_alone(5 * INTERVAL));
            peer.say(&["still here"]);
            assert_eq!(meeting.socket.recv().unwrap(), "still here");
        }
    }
}

#[test]
fn a_greeting_of_the_application_comes_first_in_every_version() {
    for version in Version::ALL {
        for greeting in [b"hello".to_vec(), vec![7; 254], vec![7; 70_000]] {
            let mut meeting = Meeting::<Push>::with(Role::Connects, Transport::Tcp, |builder| {
                builder.hello_msg(greeting.clone())
            });
            meeting.socket.send("behind").unwrap();
            let mut peer = OldPeer::new(meeting.peer(), version, ("PULL", b""), ("PUSH", b""));
            assert!((peer.hear(), peer.hear()) == (vec![greeting], frames(&["behind"])));
        }
    }
}
