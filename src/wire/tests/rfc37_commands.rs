//! F-12, F-16 to F-18, N-10 and H-01 to H-06: commands among the messages.

use super::*;
use crate::error::AuthStatus;

/// What one command body leads to in the traffic phase, and what is sent for it.
fn handle(body: &[u8]) -> (Result<(), ProtocolError>, Vec<u8>) {
    let (mut connection, mut out) = in_traffic(1);
    let result = connection.handle_command(body, &mut out).map(|is_note| assert!(!is_note));
    assert_eq!(connection.peer().is_some(), result.is_ok());
    if result.is_err() {
        assert_eq!(
            connection.handle_command(b"\x04PING\0\0", &mut out).map(drop),
            result,
            "an error is final"
        );
        assert_eq!(connection.handle_octets(b"x", now(), &mut out).map(|_| ()), result);
    }
    (result, out.octets().to_vec())
}

#[test]
fn ping_is_answered_with_its_context() {
    // H-02, H-03: "it SHALL respond with a PONG command that echoes the ping-context"; any TTL.
    let mut random = Random(3);
    for len in 0..=16 {
        for ttl in [[0, 0], [0, 1], [0xFF, 0xFF]] {
            let context = random.octets(len);
            let (result, sent) = handle(&body("PING", &[&ttl[..], &context].concat()));
            assert_eq!(result, Ok(()));
            assert_eq!(sent, command("PONG", &context));
        }
    }
    assert_eq!(handle(b"\x04PING\0\0").1, b"\x04\x05\x04PONG");
}

#[test]
fn of_a_context_of_more_than_16_octets_the_first_16_come_back() {
    // H-04: "which may be empty and MUST not exceed 16 octets"; libzmq cuts the answer.
    let mut random = Random(4);
    for len in [17, 18, 255, 256, 65_536] {
        let context = random.octets(len);
        let (result, sent) = handle(&body("PING", &[&[0, 0], &context[..]].concat()));
        assert_eq!(result, Ok(()));
        assert_eq!(sent, command("PONG", &context[..16]));
    }
}

#[test]
fn a_ping_without_a_whole_ttl_closes() {
    // H-05, B-31, B-42: `04 05 04 PING`, `04 06 04 PING 00`: no PONG.
    for ping in [&b"\x04PING"[..], b"\x04PING\0"] {
        assert_eq!(handle(ping), (Err(ProtocolError::MalformedCommand), vec![]));
    }
}

#[test]
fn every_ping_is_answered_in_order() {
    // H-06: 10,000 PINGs with contexts of their own, the PONGs written as they come.
    let (mut connection, mut out) = in_traffic(0);
    for n in 0..10_000u32 {
        let context = n.to_be_bytes();
        connection.handle_command(&body("PING", &[&[0, 0], &context[..]].concat()), &mut out).unwrap();
        assert_eq!(out.octets(), command("PONG", &context));
        out.advance(out.len());
    }
}

#[test]
fn an_outbox_that_nobody_empties_says_that_it_is_full() {
    // H-09: a peer that pings and does not read; what is held stays within one PONG of the limit.
    let (mut connection, mut out) = in_traffic(1);
    let ping = body("PING", &[7; 18]);
    let mut answered = 0;
    while !out.is_full() {
        connection.handle_command(&ping, &mut out).unwrap();
        answered += 1;
    }
    assert_eq!(answered, limits::OUTBOX_OCTETS.div_ceil(23));
    assert!(out.len() < limits::OUTBOX_OCTETS + 23);
    out.advance(23);
    assert!(!out.is_full());
}

#[test]
fn unknown_commands_and_pong_are_ignored() {
    // F-17: `04 04 03 464F4F`; a million of them leave nothing behind.
    let (mut connection, mut out) = in_traffic(1);
    for ignored in [body("FOO", b""), body("FOO", &[0; 1000]), body("PONG", b""), body("PONG", &[1; 16])] {
        for _ in 0..250_000 {
            assert_eq!(connection.handle_command(&ignored, &mut out), Ok(false));
        }
    }
    assert!(out.is_empty());
    let longest = "X".repeat(255);
    assert_eq!(handle(&body(&longest, b"x")), (Ok(()), vec![]));
}

#[test]
fn commands_of_other_patterns_are_ignored() {
    // F-18: SUBSCRIBE to a PULL, JOIN to a PUSH.
    for (ours, theirs) in [("PULL", "PUSH"), ("PUSH", "PULL"), ("PAIR", "PAIR")] {
        let ours = SocketType::from_name(ours.as_bytes()).unwrap();
        let mut out = Outbox::new();
        let mut connection = Connection::new(local(ours), &mut out);
        let stream = [&greeting(3, 1, b"NULL")[..], &ready(&[("Socket-Type", theirs.as_bytes())])].concat();
        connection.handle_octets(&stream, now(), &mut out).unwrap();
        out.advance(out.len());
        for name in ["SUBSCRIBE", "CANCEL", "JOIN", "LEAVE", "HELLO", "WELCOME", "INITIATE", "MESSAGE"] {
            for data in [&b""[..], b"A", &[0xFF; 300]] {
                assert_eq!(connection.handle_command(&body(name, data), &mut out), Ok(false));
            }
        }
        assert!(out.is_empty() && connection.peer().is_some());
    }
}

#[test]
fn ready_and_error_behind_ready_close() {
    // N-10: second READY, ERROR after READY. The ERROR is the peer's answer to our READY.
    let again = body("READY", &metadata(&[("Socket-Type", b"PUSH")]));
    assert_eq!(handle(&again), (Err(ProtocolError::UnexpectedCommand), vec![]));
    assert_eq!(handle(&body("READY", b"")), (Err(ProtocolError::UnexpectedCommand), vec![]));
    assert_eq!(handle(b"\x05ERROR\x03404"), (Err(refused("404")), vec![]));
    let not_let_in = ProtocolError::NotLetInByPeer(AuthStatus::Refused);
    assert_eq!(handle(b"\x05ERROR\x03400"), (Err(not_let_in), vec![]));
    assert_eq!(handle(b"\x05ERROR\x04400"), (Err(ProtocolError::MalformedCommand), vec![]));
}

/// Bodies that are no command: empty, nameless, cut inside the name, names with other than letters.
const NO_COMMANDS: [&[u8]; 11] = [
    b"",
    b"\0",
    b"\0PING",
    b"\x05",
    b"\x05PING",
    b"\x02A1",
    b"\xffA",
    b"\x04PI G\0\0",
    b"\x04PI\0G\0\0",
    b"\x01\x80",
    b"\x05PING\0\0",
];

#[test]
fn a_body_that_is_no_command_closes_in_both_phases() {
    // F-12, D13: "command-name = short-size 1*255command-name-char", of letters.
    for body in NO_COMMANDS {
        assert_eq!(handle(body), (Err(ProtocolError::MalformedCommand), vec![]), "{body:02x?}");
        let outcome = after_greeting(&frame(body));
        assert_eq!(outcome.error(), ProtocolError::MalformedCommand, "{body:02x?}");
        assert_eq!(outcome.commands(), READY_PULL);
    }
}

#[test]
fn a_command_before_the_handshake_is_refused() {
    // H-01: the driver has no business here before `peer` is there, and gets an error for it.
    let mut out = Outbox::new();
    let mut connection = Connection::new(local(SocketType::Pull), &mut out);
    let result = connection.handle_command(b"\x04PING\0\0", &mut out);
    assert_eq!(result, Err(ProtocolError::UnexpectedCommand));
    assert_eq!(out.len(), 10);
}

#[test]
fn the_handshake_is_not_entered_again() {
    // F-16: octets behind the handshake belong to the caller, whatever they are.
    let (mut connection, mut out) = in_traffic(1);
    for octets in [&b""[..], b"x", &greeting(3, 1, b"NULL"), &ready(&[("Socket-Type", b"PUSH")])] {
        assert_eq!(connection.handle_octets(octets, now(), &mut out), Ok(0));
    }
    assert!(out.is_empty() && connection.peer().is_some());
}

#[test]
fn a_question_is_a_ping_whose_context_comes_back() {
    // RFC 37: "The body of a PONG ... SHALL contain the ping-context"; so it is no answer to a heartbeat.
    let (mut connection, mut out) = in_traffic(1);
    assert!(connection.ask(258, &mut out));
    assert_eq!(out.octets(), b"\x04\x17\x04PING\0\0peermq??\0\0\0\0\0\0\x01\x02");
    assert_eq!(connection.take_answer(), None);
    for pong in [&b"\x04PONG"[..], b"\x04PONGpeermq??1234567", b"\x04PONG1234567812345678"] {
        assert_eq!(connection.handle_command(pong, &mut out), Ok(false));
        assert_eq!(connection.take_answer(), None);
    }
    assert_eq!(connection.handle_command(b"\x04PONGpeermq??\0\0\0\0\0\0\x01\x02", &mut out), Ok(false));
    assert_eq!((connection.take_answer(), connection.take_answer()), (Some(258), None));
    // ZMTP 3.0 has no such commands.
    let (connection, mut out) = in_traffic(0);
    assert!(!connection.ask(1, &mut out) && out.is_empty());
}

#[test]
fn last_words_are_a_ping_that_is_heard_and_not_answered() {
    let (mut connection, mut out) = in_traffic(1);
    assert!(connection.knows_last_words());
    connection.say_last(258, &mut out);
    assert_eq!(out.octets(), b"\x04\x17\x04PING\0\0peermq--\0\0\0\0\0\0\x01\x02");
    out.advance(25);
    assert_eq!(connection.last_words(), None);
    let ping = b"\x04PING\0\0peermq--\0\0\0\0\0\0\x01\x02";
    assert_eq!(connection.handle_command(ping, &mut out), Ok(false));
    assert_eq!((connection.last_words(), out.is_empty()), (Some(258), true));
    // One octet less is a PING as any other.
    assert_eq!(connection.handle_command(&ping[..22], &mut out), Ok(false));
    assert!(!out.is_empty());
    // ZMTP 3.0 knows no PING.
    assert!(!in_traffic(0).0.knows_last_words());
}

#[test]
fn a_question_is_answered_when_its_time_has_come_and_other_pings_at_once() {
    let (mut connection, mut out) = in_traffic(1);
    for context in [&b""[..], b"peermq??", b"peermq??\0\0\0\0\0\0\x01", b"1234567812345678"] {
        let ping = [b"\x04PING\0\0", context].concat();
        assert_eq!(connection.handle_command(&ping, &mut out), Ok(false));
        let pong = [&[4, u8::try_from(5 + context.len()).unwrap()], &b"\x04PONG"[..], context].concat();
        assert_eq!((out.octets(), connection.take_asked()), (&pong[..], None));
        out.advance(pong.len());
    }
    let ping = b"\x04PING\0\0peermq??\0\0\0\0\0\0\x01\x02";
    assert_eq!(connection.handle_command(ping, &mut out), Ok(false));
    assert!(out.is_empty());
    assert_eq!((connection.take_asked(), connection.take_asked()), (Some(258), None));
    connection.answer(258, &mut out);
    assert_eq!(out.octets(), b"\x04\x15\x04PONGpeermq??\0\0\0\0\0\0\x01\x02");
}
