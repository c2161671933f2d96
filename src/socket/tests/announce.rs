//! What sockets say without being asked: metadata, and messages at the begin and end of a connection.

use super::monitor::until;
use super::*;
use crate::{ConnectionError, EventKind, Metadata, Pair, ProtocolError, Pub};

#[test]
fn metadata_reaches_the_peer() {
    over(WIRES, |place| {
        let metadata = Metadata::new([("X-Zone", "eu-1"), ("X-Empty", "")]).unwrap();
        let (pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.builder().metadata(metadata).open().unwrap();
        push.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
        eventually("it is known", || pull.peers().len() == 1);
        let peer = &pull.peers()[0];
        assert_eq!(peer.property("x-zone"), Some(&b"eu-1"[..]));
        let names: Vec<_> = peer.properties().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["Socket-Type", "X-Zone", "X-Empty"]);
    });
}

#[test]
fn the_longest_metadata_fits_with_the_longest_name_and_every_mechanism() {
    // As long as may be: a property takes 1 octet, its name, 4 octets, its value.
    let metadata = Metadata::new([("X-a", vec![7; crate::limits::METADATA_OCTETS_MAX - 8])]).unwrap();
    let place = Place::new(Transport::Tcp);
    for sides in security::Sides::all() {
        let builder = place.builder::<crate::Router>().security(sides.server.clone());
        let everybody = crate::Authorizer::new(|_| crate::Decision::allow());
        let mut router = builder.authorizer(everybody).open().unwrap();
        let binding = router.bind(place.address()).unwrap();
        let builder = place.builder::<crate::Dealer>().security(sides.client.clone());
        let name = crate::RoutingId::new([7; 255]).unwrap();
        let mut dealer = builder.metadata(metadata.clone()).routing_id(name).open().unwrap();
        dealer.connect(&binding).unwrap().wait_ready(PATIENCE).unwrap();
    }
}

#[test]
fn a_peer_that_says_too_much_of_itself_is_told_so() {
    use std::io::{Read as _, Write as _};

    // The ERROR is final for it (E-01): it does not come again and again.
    let mut publisher = Place::new(Transport::Tcp).open::<Pub>();
    let monitor = publisher.monitor();
    let binding = publisher.bind("tcp://127.0.0.1:0").unwrap();
    for octets in [3_100_u32, 8_000, 30_000] {
        for _ in 0..20 {
            let (says, ready) = a_lot("SUB", octets);
            let mut peer = std::net::TcpStream::connect(("127.0.0.1", binding.port().unwrap())).unwrap();
            peer.write_all(&says).unwrap();
            let mut heard = Vec::new();
            peer.read_to_end(&mut heard).unwrap();
            assert!(heard.ends_with(b"\x05ERROR\x1bHandshake-Command-Too-Large"), "{heard:?}");
            let told = until(&monitor, |kind| matches!(kind, EventKind::HandshakeFailed(_)));
            let EventKind::HandshakeFailed(ConnectionError::Protocol(error)) = told.kind else {
                panic!("{told:?}")
            };
            assert_eq!(error, ProtocolError::CommandTooLarge(ready));
        }
    }
}

/// A greeting and a READY with so much metadata; and how long that command is.
fn a_lot(socket_type: &str, octets: u32) -> (Vec<u8>, u64) {
    let greeting = [&b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL"[..], &[0; 48]].concat();
    let mut ready = b"\x05READY\x0bSocket-Type".to_vec();
    ready.extend(u32::try_from(socket_type.len()).unwrap().to_be_bytes());
    ready.extend_from_slice(socket_type.as_bytes());
    ready.extend_from_slice(b"\x06X-Tags");
    ready.extend(octets.to_be_bytes());
    ready.extend(vec![b'v'; octets as usize]);
    let header = [&[6], &(ready.len() as u64).to_be_bytes()[..]].concat();
    ([&greeting[..], &header, &ready].concat(), ready.len() as u64)
}

#[test]
fn a_peer_that_says_too_much_of_itself_is_asked_less_and_less_often() {
    use std::io::Write as _;

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // Also for who accepts, with Linux.
    socket2::SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).unwrap();
    let mut subscriber: Socket<crate::Sub> =
        Place::new(Transport::Tcp).builder().reconnect_interval(5 * TURN).open().unwrap();
    let monitor = subscriber.monitor();
    subscriber.connect(Endpoint::tcp(listener.local_addr().unwrap())).unwrap();
    let (says, ready) = a_lot("PUB", 3_100);
    for failures in 0..6 {
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(&says).unwrap();
        let event = until(&monitor, |kind| matches!(kind, EventKind::Retried { .. }));
        let EventKind::Retried { pause, error } = event.kind else { panic!("{event:?}") };
        assert_eq!(error, ProtocolError::CommandTooLarge(ready).into());
        let least = 5 * TURN * (1 << failures);
        assert!((least..2 * least).contains(&pause), "{pause:?} behind {failures} others");
    }
}

#[test]
fn a_new_peer_is_greeted_before_anything_else() {
    over(ALL, |place| {
        let mut ours: Socket<Pair> = place.builder().hello_msg("hello").open().unwrap();
        let endpoint = place.address();
        let mut theirs: Socket<Pair> = place
            .builder()
            .hello_msg(vec![7; 300])
            .reconnect_interval(Duration::from_millis(1))
            .open()
            .unwrap();
        theirs.connect(&endpoint).unwrap();
        theirs.try_send("queued before").unwrap();
        ours.bind(&endpoint).unwrap();
        assert_eq!(recv(&mut theirs), "hello");
        assert_eq!(recv(&mut ours), vec![7; 300]);
        assert_eq!(recv(&mut ours), "queued before");
    });
}

#[test]
fn our_application_hears_of_a_peer_that_went() {
    over(WIRES, |place| {
        let mut pull: Socket<Pull> =
            place.builder().disconnect_msg("gone").hiccup_msg("never").open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        for number in 0..3 {
            let mut push: Socket<Push> = place.context.open().unwrap();
            push.connect(&endpoint).unwrap();
            send(&mut push, &numbered(number));
            drop(push);
            assert_eq!(number_of(&recv(&mut pull)), number);
            assert_eq!(recv(&mut pull), "gone");
        }
    });
}

#[test]
fn our_application_hears_of_a_connection_that_was_lost() {
    over(WIRES, |place| {
        let endpoint = place.address();
        let mut ours: Socket<Pair> = place
            .builder()
            .hiccup_msg("hiccup")
            .disconnect_msg("never")
            .recv_hwm(1)
            .reconnect_interval(Duration::from_millis(1))
            .open()
            .unwrap();
        ours.connect(&endpoint).unwrap();
        for _ in 0..3 {
            let mut theirs: Socket<Pair> = place.open();
            eventually("the address is free", || theirs.bind(&endpoint).is_ok());
            send(&mut theirs, "here");
            assert_eq!(recv(&mut ours), "here");
            drop(theirs);
            assert_eq!(recv(&mut ours), "hiccup");
        }
    });
}
