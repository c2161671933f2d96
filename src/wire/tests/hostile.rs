//! Streams that no honest peer sends: no panic, no unbounded memory, the same verdict in every cut.

use super::*;

/// Every command that we know, well formed, as bodies.
fn commands() -> Vec<Vec<u8>> {
    vec![
        body("READY", &metadata(&[("Socket-Type", b"PUSH"), ("Identity", b"id"), ("Resource", b"a/b")])),
        body("ERROR", b"\x03400"),
        body("PING", &[9; 18]),
        body("PONG", &[9; 16]),
        body("SUBSCRIBE", b"A"),
        body("CANCEL", b"A"),
        body("JOIN", b"g"),
        body("LEAVE", b"g"),
    ]
}

#[test]
fn every_prefix_and_extension_of_every_command_is_survived() {
    // B-39, N-17, F-12
    for whole in commands() {
        for len in 0..=whole.len() {
            let prefix = &whole[..len];
            after_greeting(&frame(prefix));
            let (mut connection, mut out) = in_traffic(1);
            _ = connection.handle_command(prefix, &mut out);
            assert!(out.len() <= 23);
            for octet in [0, 1, 4, 0x7F, 0x80, 0xFF] {
                for more in [1, 4, 5, 255, 300] {
                    let extended = [prefix, &vec![octet; more]].concat();
                    let stream = [&greeting(3, 1, b"NULL")[..], &frame(&extended)].concat();
                    let outcome = feed(SocketType::Pull, &stream, []);
                    assert_eq!(feed(SocketType::Pull, &stream, 1..stream.len()), outcome);
                    let (mut connection, mut out) = in_traffic(1);
                    _ = connection.handle_command(&extended, &mut out);
                    assert!(out.len() <= 23);
                }
            }
        }
    }
}

#[test]
fn every_octet_of_a_handshake_may_be_any_other() {
    // B-39: all single-octet changes of a whole handshake.
    let good =
        [&greeting(3, 1, b"NULL")[..], &ready(&[("Socket-Type", b"PUSH"), ("Identity", b"id")])].concat();
    for at in 0..good.len() {
        for octet in 0..=255 {
            let mut stream = good.clone();
            stream[at] = octet;
            let whole = feed(SocketType::Pull, &stream, []);
            assert_eq!(feed(SocketType::Pull, &stream, 1..stream.len()), whole, "{at} {octet:#04x}");
            // With another first octet it may be the greeting of a ZMTP 1.0 peer.
            let is_old = whole.peer.as_ref().is_some_and(|peer| peer.major < 3) && [0, 9, 10].contains(&at);
            assert!(whole.peer.is_none() || is_old || whole.result.is_ok_and(|consumed| consumed > 64));
        }
    }
}

#[test]
fn random_streams_are_refused_or_wait_for_more_within_bounded_memory() {
    // B-39, B-42, E-20: ten thousand of them, from pure noise to commands with random insides.
    let mut random = Random(0xBAD);
    let known = commands();
    for round in 0..10_000 {
        let len = random.below(400);
        let noise = random.octets(len);
        let stream = match round % 5 {
            0 => noise,
            1 => [&[0xFF][..], &noise].concat(),
            2 => [&greeting(3, 1, b"NULL")[..], &noise].concat(),
            3 => [&greeting(3, 1, b"NULL")[..], &frame(&body("READY", &noise))].concat(),
            _ => {
                let mut body = known[random.below(known.len())].clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(body.len());
                    body[at] = random.next() as u8;
                }
                [&greeting(3, 1, b"NULL")[..], &frame(&body), &noise].concat()
            }
        };
        let whole = feed(SocketType::Pull, &stream, []);
        if let Ok(consumed) = whole.result {
            assert!(consumed == stream.len() || whole.peer.is_some());
        }
        let refusal = ERROR_SOCKET_TYPE.len().max(ERROR_TOO_LARGE.len());
        assert!(whole.sent.len() <= 64 + READY_PULL.len() + refusal);
        let cuts = (1..stream.len()).filter(|_| random.below(4) == 0);
        assert_eq!(feed(SocketType::Pull, &stream, cuts), whole);
    }
}

#[test]
fn random_command_bodies_are_survived_in_traffic() {
    // B-39, H-04, H-05
    let mut random = Random(0xF00D);
    let known = commands();
    for _ in 0..10_000 {
        let mut body = known[random.below(known.len())].clone();
        for _ in 0..random.below(4) {
            let at = random.below(body.len());
            body[at] = random.next() as u8;
        }
        body.truncate(random.below(body.len() + 4));
        let (mut connection, mut out) = in_traffic(1);
        _ = connection.handle_command(&body, &mut out);
        assert!(out.len() <= 23);
    }
}

#[test]
fn a_size_alone_makes_us_hold_nothing() {
    // B-37, E-20: room is made as octets arrive, not as they are announced.
    let mut out = Outbox::new();
    let mut connection = Connection::new(local(SocketType::Pull), &mut out);
    let announced = [&greeting(3, 1, b"NULL")[..], &[6], &(HELD_MAX as u64).to_be_bytes()].concat();
    assert_eq!(connection.handle_octets(&announced, now(), &mut out), Ok(announced.len()));
    assert_eq!(connection.held_octets(), 0);
    for dripped in 1..HELD_MAX {
        assert_eq!(connection.handle_octets(b"x", now(), &mut out), Ok(1));
        assert!(connection.held_octets() <= (2 * dripped).max(8));
    }
    // A name of 120 letters, and so a command that the handshake does not know.
    assert_eq!(connection.handle_octets(b"x", now(), &mut out), Err(ProtocolError::UnexpectedCommand));
    assert_eq!(connection.held_octets(), 0);
}

#[test]
fn a_handshake_of_many_properties_is_taken_in_good_time() {
    // B-39, N-18: the most properties that fit, each compared with all before it.
    let names: Vec<String> = (0..350).map(|n| format!("{n:x}")).collect();
    let mut properties: Vec<(&str, &[u8])> = vec![("Socket-Type", b"PUSH")];
    properties.extend(names.iter().map(|name| (&name[..], &b""[..])));
    let stream = [&greeting(3, 1, b"NULL")[..], &ready(&properties)].concat();
    assert_eq!(feed(SocketType::Pull, &stream, []).peer().properties.len(), 351);
}
