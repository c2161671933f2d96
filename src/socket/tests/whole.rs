//! Limits of messages hold for all frames together, and for those who send as for those who receive.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::security::Sides;
use super::*;
use crate::limits::PARTS_MAX;
use crate::{
    AnyPattern, Authorizer, ConnectionError, MaxMessageSize, NotReadyKind, ProtocolError, SocketType,
    SubscribeError, XSub,
};

#[test]
fn a_message_over_the_limit_in_all_ends_the_connection_whatever_the_mechanism() {
    over(&[Transport::Tcp, Transport::Ipc], |place| {
        for sides in Sides::all() {
            let (mut push, endpoint) = place.guarded::<Push>(&sides, &Authorizer::anyone());
            let limit = MaxMessageSize::octets(1000);
            let mut pull: Socket<Pull> =
                place.builder().security(sides.client.clone()).max_message_size(limit).open().unwrap();
            let connection = pull.connect(&endpoint).unwrap();
            connection.wait_ready(PATIENCE).unwrap();
            let part = vec![7; 250];
            send(&mut push, Message::from_frames([&part[..]; 4]).unwrap());
            assert_eq!(recv(&mut pull).size(), 1000);
            send(&mut push, Message::from_frames([&part[..], &part, &part, &part, b"x"]).unwrap());
            let refused = ConnectionError::Protocol(ProtocolError::MessageTooLarge(1001));
            eventually("it ends for that reason", || connection.last_error() == Some(refused));
            assert!(pull.try_recv().is_err());
        }
    });
}

#[test]
fn more_for_ever_is_held_up_to_the_limit_only() {
    // ZMTP 3 and ZMTP 1.0, whose frames have another form.
    let three =
        [matrix::greeting_and_ready("PUSH"), [&[1, 200][..], &[7; 200]].concat().repeat(10_000)].concat();
    let one = [b"\x01\0".to_vec(), [&[201, 1][..], &[7; 200]].concat().repeat(10_000)].concat();
    for octets in [three, one] {
        let place = Place::new(Transport::Tcp);
        let mut pull: Socket<Pull> =
            place.builder().max_message_size(MaxMessageSize::octets(100_000)).open().unwrap();
        let monitor = pull.monitor();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut stream = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(&octets);
        let _ = stream.read_to_end(&mut Vec::new());
        let mut events = String::new();
        eventually("it is told why", || {
            events.extend(monitor.try_recv().map(|event| format!("{event:?}")));
            events.contains("MessageTooLarge(100200)")
        });
        assert!(pull.try_recv().is_err());
    }
}

/// A message of so many frames.
fn parts(count: u32) -> Message {
    Message::from_frames((0..count).map(|_| "x")).unwrap()
}

#[test]
fn a_message_of_more_parts_than_any_peer_takes_is_handed_back() {
    use SocketType::{Dealer, Pair, Pub, Push, Rep, Req, Router, XPub, XSub};
    let place = Place::new(Transport::Tcp);
    for ours in [Dealer, Pair, Pub, Push, Rep, Req, Router, XPub, XSub] {
        let mut socket: Socket<AnyPattern> =
            place.context.builder_for_any(ours).linger(Linger::DISCARD).open().unwrap();
        socket.connect(place.address()).unwrap();
        if ours == Rep {
            // A reply has an envelope in front, and is refused while the request still waits for one.
            let endpoint = socket.bind(place.address()).unwrap();
            let mut req = place.context.open_any(Req).unwrap();
            req.connect(&endpoint).unwrap();
            send(&mut req, "a question");
            recv(&mut socket);
            let unsent = socket.try_send(parts(PARTS_MAX)).unwrap_err();
            assert_eq!(unsent.error, SendError::TooManyParts);
            send(&mut socket, unsent.message.unwrap().frame(0).unwrap());
            assert_eq!(recv(&mut req), "x");
            continue;
        }
        let too_many = parts(PARTS_MAX + 1);
        let unsent = socket.send(too_many.clone()).unwrap_err();
        assert_eq!(
            (unsent.error, unsent.message.unwrap().frame_count()),
            (SendError::TooManyParts, 131_073),
            "{ours:?}"
        );
        assert_eq!(socket.send(&too_many).unwrap_err().error, SendError::TooManyParts);
        if ours == Req {
            assert_eq!(
                socket.send(parts(PARTS_MAX)).unwrap_err().error,
                SendError::TooManyParts,
                "its delimiter"
            );
            // The next request has a number, whatever the last one had.
            socket.change().req_correlate(true).apply().unwrap();
            assert_eq!(
                socket.send(parts(PARTS_MAX - 1)).unwrap_err().error,
                SendError::TooManyParts,
                "its delimiter and its number"
            );
        }
        assert_eq!(socket.stats().total.sent.messages, 0);
    }
}

#[test]
fn as_many_parts_as_a_peer_takes_arrive_and_what_is_behind_a_refused_message_too() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        assert!(push.send(parts(PARTS_MAX + 1)).is_err());
        send(&mut push, parts(PARTS_MAX));
        send(&mut push, "behind");
        assert_eq!(recv(&mut pull).frame_count(), PARTS_MAX as usize);
        assert_eq!(recv(&mut pull), "behind");
    });
}

#[test]
fn topics_that_publishers_refuse_are_not_told_them() {
    let place = Place::new(Transport::Tcp);
    let mut xpub: Socket<crate::XPub> = place.open();
    let endpoint = xpub.bind(place.address()).unwrap();
    let mut xsub: Socket<XSub> = place.builder().xsub_verbose_unsubscribe(true).open().unwrap();
    let connection = xsub.connect(&endpoint).unwrap();
    connection.wait_ready(PATIENCE).unwrap();
    let long = vec![7; (1 << 20) + 1];
    assert_eq!(xsub.subscribe(&long), Err(SubscribeError::TooMuch));
    assert!(!xsub.unsubscribe(&long));
    for first in [0, 1] {
        let unsent = xsub.send([&[first][..], &long].concat()).unwrap_err();
        assert_eq!((unsent.error, unsent.message.unwrap().size()), (SendError::TopicTooLong, long.len() + 1));
    }
    xsub.subscribe("a").unwrap();
    assert_eq!(recv(&mut xpub), b"\x01a");
    assert_eq!(connection.last_error(), None);
    assert_ne!(connection.wait_ready(PATIENCE).map_err(|error| error.kind()), Err(NotReadyKind::Closed));
}
