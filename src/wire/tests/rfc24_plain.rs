//! P-01 to P-10: who says what in PLAIN's handshake, and what becomes of everything else.

use super::*;
use crate::error::AuthStatus;
use crate::options::PlainCredentials;

pub(super) const HELLO: &[u8] = b"\x04\x13\x05HELLO\x05admin\x06secret";
const WELCOME: &[u8] = b"\x04\x08\x07WELCOME";

pub(super) fn server() -> Local {
    Local { security: guarded(Settings::PlainServer), ..local(SocketType::Pull) }
}

fn client_as(username: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Local {
    let settings = Settings::PlainClient(PlainCredentials::new(username, password).unwrap());
    Local { security: guarded(settings), ..local(SocketType::Push) }
}

fn client() -> Local {
    client_as("admin", "secret")
}

pub(super) fn greeting_of(is_server: bool) -> Vec<u8> {
    let mut octets = greeting(3, 1, b"PLAIN");
    octets[32] = u8::from(is_server);
    octets.to_vec()
}

fn initiate(socket_type: &[u8]) -> Vec<u8> {
    command("INITIATE", &metadata(&[("Socket-Type", socket_type)]))
}

/// A server's outcome of a client's commands.
#[track_caller]
fn served(commands: &[&[u8]]) -> Outcome {
    every_cut(server(), &[&greeting_of(false), &commands.concat()[..]].concat())
}

/// A client's outcome of a server's commands.
#[track_caller]
fn answered(commands: &[&[u8]]) -> Outcome {
    every_cut(client(), &[&greeting_of(true), &commands.concat()[..]].concat())
}

#[test]
fn the_greeting_tells_the_roles() {
    // P-01, Z-05, Z-06: "The as-server field SHALL be %x01 for the server".
    assert_eq!(feed(server(), b"", []).sent, greeting_of(true));
    assert_eq!(feed(client(), b"", []).sent, greeting_of(false));
}

#[test]
fn the_handshake_octet_by_octet() {
    // P-03, P-05, P-06, P-07, P-08, P-09: HELLO, WELCOME, INITIATE, READY, each answering the one before.
    let [hello, initiated] = [HELLO, &initiate(b"PUSH")];
    let server_outcome = served(&[hello, initiated]);
    assert_eq!(server_outcome.commands(), [WELCOME, READY_PULL].concat());
    assert_eq!(server_outcome.peer().socket_type, SocketType::Push);
    let client_outcome = answered(&[WELCOME, READY_PULL]);
    assert_eq!(client_outcome.commands(), [hello, initiated].concat());
    assert_eq!(client_outcome.peer().socket_type, SocketType::Pull);
    // Nothing goes out before it is its turn.
    assert_eq!(served(&[]).commands(), b"");
    assert_eq!(served(&[hello]).commands(), WELCOME);
    assert_eq!(answered(&[]).commands(), hello);
    assert_eq!(answered(&[WELCOME]).commands(), [hello, initiated].concat());
}

#[test]
fn names_and_passwords_have_up_to_255_octets() {
    // P-03
    for (username, password) in [(0, 0), (1, 0), (0, 1), (255, 255), (255, 0), (3, 255)] {
        let (username, password) = (vec![0xF1; username], vec![0; password]);
        let mut pair = Pair::of([client_as(&username, &password), server()]);
        let mut said = [Vec::new(), Vec::new()];
        assert_eq!(pair.record(7, &mut said), [Ok(()), Ok(())]);
        let data = [&[username.len() as u8], &username[..], &[password.len() as u8], &password].concat();
        let hello = command("HELLO", &data);
        assert!(said[0][64..].starts_with(&hello));
        let admission = pair.peers()[1].unwrap().admission.as_ref().unwrap();
        assert_eq!(admission.user_id(), "somebody");
    }
}

#[test]
fn the_one_who_is_asked_sees_what_was_said() {
    let mut out = Outbox::new();
    let mut connection = Connection::new(server(), &mut out);
    let stream = [&greeting_of(false), HELLO, b"more"].concat();
    assert_eq!(connection.handle_octets(&stream, now(), &mut out), Ok(stream.len() - 4));
    let question = connection.question().unwrap();
    let credentials = PlainCredentials::new("admin", "secret").unwrap();
    assert_eq!(question.credentials, crate::options::Credentials::Plain(credentials));
    assert!(question.properties.is_empty() && !format!("{question:?}").contains("secret"));
}

#[test]
fn a_refusal_is_an_error_with_the_status_or_nothing() {
    // P-05, A-12, A-21, D4: 400 and 500 are told, 300 is not; nothing of it depends on what was wrong (P-13).
    let stream = [&greeting_of(false), HELLO, &initiate(b"PUSH")[..]].concat();
    for (status, said) in [
        (AuthStatus::Refused, &b"\x04\x0a\x05ERROR\x03400"[..]),
        (AuthStatus::Failed, b"\x04\x0a\x05ERROR\x03500"),
        (AuthStatus::NotNow, b""),
    ] {
        for cut in 0..=stream.len() {
            let outcome =
                feed_judged(server(), &stream, [cut], &Decision::Refuse(status, Reason::new("why")));
            assert_eq!(
                (outcome.error(), outcome.commands()),
                (ProtocolError::NotLetIn(status, Reason::new("why")), said)
            );
        }
        if !said.is_empty() {
            for before in [&b""[..], WELCOME] {
                assert_eq!(answered(&[before, said]).error(), ProtocolError::NotLetInByPeer(status));
            }
        }
    }
    // As libzmq spells it.
    let spelt = frame(b"^RROR\x03400");
    assert_eq!(answered(&[&spelt]).error(), ProtocolError::NotLetInByPeer(AuthStatus::Refused));
    assert_eq!(served(&[&spelt]).error(), ProtocolError::MalformedCommand);
    assert_eq!(answered(&[&command("ERROR", b"\x02no")]).error(), refused("no"));
}

#[test]
fn a_malformed_hello_is_refused_and_nobody_is_asked() {
    // P-04: every prefix, and every other length.
    let hello = b"\x05admin\x06secret";
    let mut malformed: Vec<Vec<u8>> = (0..hello.len()).map(|len| hello[..len].to_vec()).collect();
    malformed.push([hello, &b"\0"[..]].concat());
    for at in [0, 6] {
        for length in (0..=255).filter(|length| *length != hello[at]) {
            let mut changed = hello.to_vec();
            changed[at] = length;
            malformed.push(changed);
        }
    }
    for data in malformed {
        // Some lengths leave a HELLO with other words in it.
        let is_whole = data.split_first().is_some_and(|(octets, rest)| {
            rest.get(usize::from(*octets)..)
                .and_then(<[u8]>::split_first)
                .is_some_and(|(octets, rest)| rest.len() == usize::from(*octets))
        });
        if is_whole {
            continue;
        }
        let outcome = served(&[&command("HELLO", &data)]);
        assert_eq!(
            (outcome.error(), outcome.commands()),
            (ProtocolError::MalformedCommand, &b""[..]),
            "{data:?}"
        );
    }
}

#[test]
fn a_welcome_with_data_is_refused() {
    // P-06
    for data in [&b"\0"[..], b"hello", &[0; 200]] {
        assert_eq!(answered(&[&command("WELCOME", data)]).error(), ProtocolError::MalformedCommand);
    }
}

#[test]
fn metadata_are_judged_as_with_null() {
    // P-08, N-12 to N-22.
    for (data, error) in [
        (metadata(&[]), ProtocolError::MissingSocketType),
        (metadata(&[("Socket-Type", b"PULL")]), ProtocolError::IncompatibleSocketTypes(SocketType::Pull)),
        (metadata(&[("Socket-Type", b"push")]), ProtocolError::UnknownSocketType),
        (b"\0\0\0\0\0".to_vec(), ProtocolError::MalformedMetadata),
        (metadata(&[("X-a", b""), ("x-A", b"")]), ProtocolError::DuplicateProperty),
    ] {
        let outcome = served(&[HELLO, &command("INITIATE", &data)]);
        assert_eq!(outcome.error(), error);
        assert!(!outcome.commands().windows(5).any(|five| five == b"READY"));
        let ours = if let ProtocolError::IncompatibleSocketTypes(_) = error {
            (metadata(&[("Socket-Type", b"PUSH")]), ProtocolError::IncompatibleSocketTypes(SocketType::Push))
        } else {
            (data, error)
        };
        assert_eq!(answered(&[WELCOME, &command("READY", &ours.0)]).error(), ours.1);
    }
}

#[test]
fn only_the_legal_order_of_commands_is_one() {
    // P-02, P-10: all sequences of up to four of {HELLO, WELCOME, INITIATE, READY, ERROR, a message}, on both sides.
    // Two clients, or two servers, are among them.
    let (push, pull) = (initiate(b"PUSH"), ready(&[("Socket-Type", b"PULL")]));
    let commands: [&[u8]; 6] = [HELLO, WELCOME, &push, &pull, b"\x04\x07\x05ERROR\0", b"\0\x02hi"];
    for (ours, is_server, legal) in [(server(), true, [0, 2]), (client(), false, [1, 3])] {
        for length in 0..=4_u32 {
            for number in 0..6_usize.pow(length) {
                let order: Vec<usize> = (0..length).map(|place| number / 6_usize.pow(place) % 6).collect();
                let said = order.iter().map(|it| commands[*it]).collect::<Vec<_>>().concat();
                let stream = [&greeting_of(!is_server), &said[..]].concat();
                let outcome = feed(ours.clone(), &stream, []);
                let is_ready = order.starts_with(&legal);
                assert_eq!(outcome.peer.is_some(), is_ready, "{order:?}");
                assert_eq!(outcome.result.is_ok(), legal.starts_with(&order) || is_ready, "{order:?}");
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_the_handshake_is_survived() {
    // P-10, SPLIT: nothing panics, and no cut changes what comes of it. A bit of a name or a password is another one.
    let said = [HELLO, &initiate(b"PUSH")].concat();
    for bit in 0..said.len() * 8 {
        let mut flipped = said.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        served(&[&flipped]);
    }
    let said = [WELCOME, READY_PULL].concat();
    for bit in 0..said.len() * 8 {
        let mut flipped = said.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        answered(&[&flipped]);
    }
}

#[test]
fn with_null_nobody_hears_ready_before_it_is_let_in() {
    // A-21, C-30: somebody has to be asked.
    let guarded = Local { security: guarded(Settings::Null), ..local(SocketType::Pull) };
    let stream = [&greeting(3, 1, b"NULL")[..], &ready(&[("Socket-Type", b"PUSH")])].concat();
    assert_eq!(feed(guarded.clone(), &stream[..64], []).commands(), b"");
    assert_eq!(every_cut(guarded.clone(), &stream).commands(), READY_PULL);
    let refused = feed_judged(guarded, &stream, [], &Decision::refuse());
    assert_eq!(refused.commands(), b"\x04\x0a\x05ERROR\x03400");
    assert_eq!(refused.error(), ProtocolError::NotLetIn(AuthStatus::Refused, Reason::NONE));
    // Whom we connect to is our own choice.
    let security = Security::new(Settings::Null.into(), true, false, random);
    assert_eq!(feed(Local { security, ..local(SocketType::Pull) }, &stream[..64], []).commands(), READY_PULL);
}
