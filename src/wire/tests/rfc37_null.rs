//! N-01 to N-10 and N-19 to N-22: who sends what, in which order, and who is refused.

use super::*;

/// The nineteen socket types of RFC 37.
const TYPES: [&[u8]; 19] = [
    b"REQ", b"REP", b"DEALER", b"ROUTER", b"PUB", b"XPUB", b"SUB", b"XSUB", b"PUSH", b"PULL", b"PAIR",
    b"CLIENT", b"SERVER", b"RADIO", b"DISH", b"SCATTER", b"GATHER", b"PEER", b"CHANNEL",
];

#[test]
fn ready_is_sent_at_once_behind_the_peers_greeting() {
    // N-01, N-02, N-04, N-05, N-07, D1: each side sends READY before it tries to read one; exact octets.
    for &socket_type in SocketType::ALL {
        let outcome = every_cut(socket_type, &greeting(3, 1, b"NULL"));
        assert_eq!(outcome.commands(), ready_of(socket_type, b""));
        assert_eq!((outcome.result, outcome.peer), (Ok(64), None));
    }
    assert_eq!(ready(&[("Socket-Type", b"PULL")]), READY_PULL);
}

#[test]
fn a_silent_peer_is_no_peer() {
    // N-02, N-06: "having both sent and received a READY command"; every proper prefix of the handshake.
    let stream = [&greeting(3, 1, b"NULL")[..], &ready(&[("Socket-Type", b"PUSH")])].concat();
    for len in 0..stream.len() {
        let outcome = feed(SocketType::Pull, &stream[..len], []);
        assert_eq!((outcome.result, outcome.peer), (Ok(len), None));
    }
    assert_eq!(every_cut(SocketType::Pull, &stream).result, Ok(stream.len()));
}

#[test]
fn the_matrix_of_socket_types_is_enforced_with_an_error() {
    // N-03, N-21, N-22: "it SHOULD handle errors by returning an ERROR command, and then disconnecting".
    for &ours in SocketType::ALL {
        for theirs in TYPES {
            let stream = [&greeting(3, 1, b"NULL")[..], &ready(&[("Socket-Type", theirs)])].concat();
            let outcome = every_cut(ours, &stream);
            let our_ready = ready_of(ours, b"");
            let known = SocketType::from_name(theirs);
            if let Some(known) = known.filter(|known| ours.talks_to(*known)) {
                assert_eq!(outcome.peer().socket_type, known);
                assert_eq!(outcome.commands(), our_ready);
                continue;
            }
            let expected =
                known.map_or(ProtocolError::UnknownSocketType, ProtocolError::IncompatibleSocketTypes);
            assert_eq!(outcome.error(), expected);
            assert_eq!(outcome.commands(), [&our_ready, ERROR_SOCKET_TYPE].concat());
        }
    }
}

#[test]
fn an_unknown_socket_type_is_refused_with_an_error() {
    // N-21, N-22: type names are exact, upper case, without padding.
    for theirs in [&b"push"[..], b"Push", b"PUSH\0", b"PUS", b" PUSH", b"", b"\xff\xff"] {
        let outcome = after_greeting(&ready(&[("Socket-Type", theirs)]));
        assert_eq!(outcome.error(), ProtocolError::UnknownSocketType);
        assert_eq!(outcome.commands(), [READY_PULL, ERROR_SOCKET_TYPE].concat());
    }
}

#[test]
fn a_missing_socket_type_is_refused_with_an_error() {
    // N-19: "The sender SHOULD specify the Socket-Type."
    for frames in [ready(&[]), ready(&[("Identity", b"a")]), ready(&[("X-Socket-Type", b"PUSH")])] {
        let outcome = after_greeting(&frames);
        assert_eq!(outcome.error(), ProtocolError::MissingSocketType);
        assert_eq!(outcome.commands(), [READY_PULL, ERROR_SOCKET_TYPE].concat());
    }
}

#[test]
fn our_error_follows_the_grammar() {
    // N-08: "error = command-size %d5 "ERROR" error-reason", of visible characters.
    let [0x04, size, 5, name_and_reason @ ..] = ERROR_SOCKET_TYPE else { panic!("no ERROR") };
    assert_eq!(usize::from(*size), 1 + name_and_reason.len());
    let (name, reason) = name_and_reason.split_at(5);
    assert_eq!(name, b"ERROR");
    assert_eq!(usize::from(reason[0]), reason.len() - 1);
    assert!(reason[1..].iter().all(u8::is_ascii_graphic));
    // And the other end takes it for what it is.
    assert_eq!(after_greeting(ERROR_SOCKET_TYPE).error(), refused("Wrong-Socket-Type"));
}

#[test]
fn an_error_of_the_peer_ends_the_handshake() {
    // N-08, C-42: "error-reason = short-size 0*255VCHAR". Reasons with spaces are common, and only for logs.
    for reason in [&b""[..], b"4", b"200", b"404", b"4000", b"Invalid socket type", &[b'x'; 255]] {
        let data = [&[reason.len() as u8], reason].concat();
        let outcome = after_greeting(&command("ERROR", &data));
        assert_eq!(outcome.error(), ProtocolError::RefusedByPeer(Reason::from_octets(reason)));
        assert_eq!(outcome.commands(), READY_PULL);
    }
}

#[test]
fn an_error_whose_length_is_wrong_is_malformed() {
    // N-08: length > rest, length < rest, no length.
    for data in [&b""[..], b"\x01", b"\x04400", b"\x02400", b"\xff", b"\0x"] {
        assert_eq!(after_greeting(&command("ERROR", data)).error(), ProtocolError::MalformedCommand);
    }
}

#[test]
fn messages_before_ready_are_refused() {
    // N-09: `00 02 6869` right after the greeting.
    for frames in
        [&b"\0\x02hi"[..], b"\x01\x02hi", b"\x02\0\0\0\0\0\0\0\x02hi", b"\0\0", b"\x03\0\0\0\0\0\0\0\0"]
    {
        let outcome = after_greeting(frames);
        assert_eq!(outcome.error(), ProtocolError::UnexpectedCommand);
        assert_eq!(outcome.commands(), READY_PULL);
    }
}

#[test]
fn no_command_but_ready_and_error_is_taken_in_the_handshake() {
    // H-01, N-10: "at any point after the security handshake is complete".
    let ping = command("PING", b"\0\0");
    for frames in [ping, command("PONG", b""), command("FOO", b""), command("SUBSCRIBE", b"a")] {
        let outcome = after_greeting(&frames);
        assert_eq!(outcome.error(), ProtocolError::UnexpectedCommand);
        assert_eq!(outcome.commands(), READY_PULL);
    }
    // Command names are exact: "%d5 "READY"" in any other case is another command.
    let lower = command("ready", &metadata(&[("Socket-Type", b"PUSH")]));
    assert_eq!(after_greeting(&lower).error(), ProtocolError::UnexpectedCommand);
}

#[test]
fn ready_behind_error_changes_nothing() {
    // N-10: READY after ERROR.
    let frames = [command("ERROR", b"\0"), ready(&[("Socket-Type", b"PUSH")])].concat();
    assert_eq!(after_greeting(&frames).error(), refused(""));
}

#[test]
fn ready_in_the_long_form_is_ready() {
    // F-09: a long header with a small size is legal.
    let body = body("READY", &metadata(&[("Socket-Type", b"PUSH")]));
    let frames = [&[6], &(body.len() as u64).to_be_bytes()[..], &body].concat();
    assert_eq!(after_greeting(&frames).peer().socket_type, SocketType::Push);
}

#[test]
fn ready_of_any_size_up_to_the_limit_is_taken() {
    // F-10: bodies of 254 to 257 octets; the limit is the longest.
    let fixed = body("READY", &metadata(&[("Socket-Type", b"PUSH"), ("X-a", b"")])).len();
    for size in [254, 255, 256, 257, HELD_MAX] {
        let padding = vec![b'x'; size - fixed];
        let frames = ready(&[("Socket-Type", b"PUSH"), ("X-a", &padding)]);
        assert_eq!(after_greeting(&frames).peer().properties[1].1, padding);
    }
}

#[test]
fn incompatible_pairs_of_ours_both_learn_why() {
    // N-21, N-22, N-05
    for &a in SocketType::ALL {
        for &b in SocketType::ALL {
            for piece in [1, 7, 1000] {
                let mut pair = Pair::new(a, b);
                let results = pair.run(piece);
                if a.talks_to(b) {
                    assert_eq!(results, [Ok(()); 2]);
                    assert_eq!(pair.peers().map(|peer| peer.unwrap().socket_type), [b, a]);
                } else {
                    assert_eq!(results, [b, a].map(|t| Err(ProtocolError::IncompatibleSocketTypes(t))));
                    assert_eq!(pair.peers(), [None, None]);
                }
            }
        }
    }
}

#[test]
fn flags_and_sizes_are_checked_before_the_body() {
    // F-02, F-04, F-07, B-37: reserved bits, MORE on a command, sizes no command has; nothing is held for them.
    let ready = ready(&[("Socket-Type", b"PUSH")]);
    for flags in (0..=255u8).filter(|flags| flags & !7 != 0) {
        let mut frames = ready.clone();
        frames[0] = flags;
        frames.extend_from_slice(&[0; 8]);
        assert_eq!(after_greeting(&frames).error(), ProtocolError::ReservedFlags(flags));
    }
    for flags in [5, 7] {
        let frames = [flags, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(after_greeting(&frames).error(), ProtocolError::CommandWithMore);
    }
    for size in [HELD_MAX as u64 + 1, 1 << 32, (1 << 32) + 1, (1 << 63) - 1] {
        let outcome = after_greeting(&too_long(size));
        assert_eq!(outcome.error(), ProtocolError::CommandTooLarge(size));
        assert!(outcome.commands().ends_with(ERROR_TOO_LARGE));
    }
    for size in [1 << 63, u64::MAX] {
        let frames = [&[6], &size.to_be_bytes()[..]].concat();
        assert_eq!(after_greeting(&frames).error(), ProtocolError::FrameTooLarge(size));
    }
}
