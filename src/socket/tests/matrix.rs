//! Every socket type with every other, over every transport, both bind sides: RFC 37, "The Socket-Type
//! property". E-06, N-21, N-22.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::{
    AnyPattern, ConnectErrorKind, Connection, ConnectionError, ConnectionState, NotReadyKind, ProtocolError,
    ReconnectStop, RoutingId, SendError, SocketType, Subscription,
};

type Any = Socket<AnyPattern>;

const TRANSPORTS: &[Transport] = &[Transport::Inproc, Transport::Ipc, Transport::Tcp];

impl Place {
    /// A socket of a type, which has a name if the type has names.
    fn open_any(&self, socket_type: SocketType, name: &str) -> Any {
        let mut builder = self.context.builder_for_any(socket_type).linger(Linger::DISCARD);
        builder = builder.reconnect_stop(ReconnectStop::HANDSHAKE_FAILED);
        if socket_type.announces_routing_id() {
            builder = builder.routing_id(RoutingId::new(name).unwrap());
        }
        if socket_type == SocketType::Router {
            builder = builder.router_mandatory(true);
        }
        builder.open().unwrap()
    }
}

/// Every type that speaks ZMTP.
fn types() -> impl Iterator<Item = SocketType> + Clone {
    SocketType::ALL.iter().copied().filter(|socket_type| *socket_type != SocketType::Stream)
}

/// Each ordered pair: who binds, and who connects.
fn pairs(talk: bool) -> impl Iterator<Item = (SocketType, SocketType)> {
    let all = types();
    all.clone()
        .flat_map(move |a| all.clone().map(move |b| (a, b)))
        .filter(move |(a, b)| a.talks_to(*b) == talk)
}

/// Whether messages go this way between two types that talk.
fn may_say(from: SocketType, to: SocketType) -> bool {
    use SocketType::{Pub, Pull, Push, Sub};
    ![Pull, Sub].contains(&from) && ![Pub, Push].contains(&to)
}

/// Sends a text, in the envelope that the two types want, and receives it.
fn say(from: &mut Any, to: &mut Any, to_name: &str, text: &str) {
    use SocketType::{Dealer, Pub, Rep, Req, Router, XPub};
    if [Pub, XPub].contains(&from.socket_type()) {
        to.subscribe("").unwrap();
        from.wait_for_subscribers(1, PATIENCE).unwrap();
    }
    let mut frames = Vec::new();
    if from.socket_type() == Router {
        frames.push(to_name);
    }
    if [Dealer, Router].contains(&from.socket_type()) && [Rep, Req].contains(&to.socket_type()) {
        frames.push("");
    }
    frames.push(text);
    let message = Message::from_frames(frames).unwrap();
    eventually("the peer is known by its name", || {
        let sent = from.send_timeout(&message, PATIENCE).map_err(|unsent| unsent.error);
        assert!(matches!(sent, Ok(()) | Err(SendError::Unroutable)), "{sent:?}");
        sent.is_ok()
    });
    let heard = loop {
        let heard = recv(to);
        if Subscription::from_message(&heard).is_none() {
            break heard;
        }
    };
    assert_eq!(heard.frames().last().unwrap(), text);
}

fn exchange(binder: &mut Any, connecter: &mut Any) {
    let (a, b) = (binder.socket_type(), connecter.socket_type());
    // A REQ asks first, a REP never does; a publisher waits for its subscriber, which waits for nobody.
    let is_swapped = b == SocketType::Req || a == SocketType::Rep || b == SocketType::XPub;
    let (first, second, first_name, second_name) = if is_swapped {
        (connecter, binder, "connecter", "binder")
    } else {
        (binder, connecter, "binder", "connecter")
    };
    let (a, b) = (first.socket_type(), second.socket_type());
    for _ in 0..3 {
        if may_say(a, b) {
            say(first, second, second_name, "one");
        }
        if may_say(b, a) {
            say(second, first, first_name, "two");
        }
    }
}

#[test]
fn types_that_may_talk_exchange_messages_whoever_binds() {
    // E-06, N-21
    over(TRANSPORTS, |place| {
        for (a, b) in pairs(true) {
            let (mut binder, mut connecter) = (place.open_any(a, "binder"), place.open_any(b, "connecter"));
            let endpoint = binder.bind(place.address()).unwrap();
            let connection = connecter.connect(&endpoint).unwrap();
            connection.wait_ready(PATIENCE).unwrap();
            exchange(&mut binder, &mut connecter);
            assert_eq!((connection.state(), connection.last_error()), (ConnectionState::Ready, None));
            assert_eq!(connecter.peers()[0].socket_type(), a, "{b:?}");
        }
    });
}

#[test]
fn types_that_may_talk_do_so_whoever_comes_first() {
    // E-06, E-07
    over(TRANSPORTS, |place| {
        for (a, b) in pairs(true) {
            let (mut binder, mut connecter) = (place.open_any(a, "binder"), place.open_any(b, "connecter"));
            let endpoint = place.address();
            let connection = connecter.connect(&endpoint).unwrap();
            binder.bind(&endpoint).unwrap();
            connection.wait_ready(PATIENCE).unwrap();
            exchange(&mut binder, &mut connecter);
        }
    });
}

fn assert_refused(connection: &Connection, binder: SocketType) {
    let error = ConnectionError::Protocol(ProtocolError::IncompatibleSocketTypes(binder));
    assert_eq!(
        connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
        Err(NotReadyKind::Failed(error)),
        "{connection:?}"
    );
    assert_eq!((connection.state(), connection.last_error()), (ConnectionState::Failed, Some(error)));
}

#[test]
fn types_that_may_not_talk_refuse_each_other_visibly() {
    // N-21, N-22
    over(&[Transport::Ipc, Transport::Tcp], |place| {
        for (a, b) in pairs(false) {
            let (mut binder, mut connecter) = (place.open_any(a, "binder"), place.open_any(b, "connecter"));
            let endpoint = binder.bind(place.address()).unwrap();
            assert_refused(&connecter.connect(&endpoint).unwrap(), a);
            assert!(binder.peers().is_empty() && connecter.peers().is_empty(), "{a:?} {b:?}");
        }
    });
}

#[test]
fn types_that_may_not_talk_refuse_each_other_in_process() {
    // N-21
    let place = Place::new(Transport::Inproc);
    for (a, b) in pairs(false) {
        let (mut binder, mut connecter) = (place.open_any(a, "binder"), place.open_any(b, "connecter"));
        let endpoint = binder.bind(place.address()).unwrap();
        assert_eq!(
            connecter.connect(&endpoint).unwrap_err().kind(),
            ConnectErrorKind::IncompatibleSocketTypes(a),
            "{b:?}"
        );
        let endpoint = place.address();
        let connection = connecter.connect(&endpoint).unwrap();
        binder.bind(&endpoint).unwrap();
        assert_refused(&connection, a);
    }
}

#[test]
fn whoever_says_a_wrong_type_reads_why_and_then_the_end() {
    // N-22: "the peer SHOULD return an ERROR command and then disconnect", for a peer that sends octets.
    let place = Place::new(Transport::Tcp);
    for (ours, theirs) in pairs(false) {
        let mut binder = place.open_any(ours, "binder");
        let endpoint = binder.bind(place.address()).unwrap();
        let mut stream = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&greeting_and_ready(theirs.name())).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        let error = heard.windows(7).position(|octets| octets == b"\x05ERROR\x11");
        assert!(error.is_some_and(|at| heard[at + 7..] == *b"Wrong-Socket-Type"), "{ours:?} {theirs:?}");
    }
}

#[test]
fn a_stream_talks_to_nobody_whoever_binds() {
    // N-21, N-22
    let place = Place::new(Transport::Tcp);
    assert!(SocketType::Stream.peers().is_empty());
    for socket_type in types() {
        let (mut stream, mut other) =
            (place.open_any(SocketType::Stream, ""), place.open_any(socket_type, ""));
        let connection = other.connect(stream.bind(place.address()).unwrap()).unwrap();
        let peer = recv(&mut stream).frame(0).unwrap().clone();
        assert_eq!(recv(&mut stream).frame(1).unwrap(), b"\xff\0\0\0\0\0\0\0\x01\x7f");
        assert_eq!(connection.state(), ConnectionState::ShakingHands, "it waits for a greeting");
        send(&mut stream, [&peer[..], b""]);
        let error = ConnectionError::PeerClosed;
        assert_eq!(
            connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
            Err(NotReadyKind::Failed(error)),
            "{socket_type:?}"
        );

        stream.connect(other.bind(place.address()).unwrap()).unwrap();
        let peer = recv(&mut stream).frame(0).unwrap().clone();
        send(&mut stream, [&peer[..], &greeting_and_ready("STREAM")]);
        let mut heard = Vec::new();
        eventually("the refusal is here", || {
            let message = recv(&mut stream);
            heard.extend_from_slice(message.frame(1).unwrap());
            message.frame(1).unwrap().is_empty()
        });
        assert!(heard.ends_with(b"\x05ERROR\x11Wrong-Socket-Type"), "{socket_type:?}");
        assert!(other.peers().is_empty());
    }
}

pub(super) fn greeting_and_ready(socket_type: &str) -> Vec<u8> {
    let mut octets = [&[0xFF][..], &[0; 8], &[0x7F, 3, 1], b"NULL", &[0; 48]].concat();
    let name = [b"\x05READY\x0BSocket-Type\0\0\0", &[u8::try_from(socket_type.len()).unwrap()][..]].concat();
    octets.extend([4, u8::try_from(name.len() + socket_type.len()).unwrap()]);
    octets.extend(name);
    octets.extend(socket_type.as_bytes());
    octets
}
