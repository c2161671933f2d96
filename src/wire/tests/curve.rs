//! C-01 to C-46 as far as they can be seen without a socket.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::error::AuthStatus;
use crate::limits::COOKIE_LIFE;
use crate::options::{Credentials, CurveKeyPair, CurvePublicKey};

/// Made by another implementation with the same keys and the same "random" octets.
const VECTORS: &str = include_str!("curve_vectors.txt");

pub(super) fn vector(name: &str) -> Vec<u8> {
    let mut lines = VECTORS.lines().filter_map(|line| line.split_once(' '));
    let (_, hex) = lines.find(|(found, _)| *found == name).unwrap();
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

pub(super) fn keys(secret: u8) -> CurveKeyPair {
    CurveKeyPair::from_secret_bytes([secret; 32])
}

pub(super) fn server() -> Settings {
    Settings::CurveServer { keys: keys(2) }
}

pub(super) fn client() -> Settings {
    Settings::CurveClient { keys: keys(1), server_key: keys(2).public_key() }
}

fn servers_random(room: &mut [u8]) -> bool {
    draw(1, 103, room)
}

pub(super) fn our_server() -> Local {
    let security = Security::new(server().into(), true, true, servers_random);
    Local { security, ..local(SocketType::Pull) }
}

fn our_client() -> Local {
    Local { security: guarded(client()), ..local(SocketType::Push) }
}

pub(super) fn greeting_of(is_server: bool) -> Vec<u8> {
    let mut octets = greeting(3, 1, b"CURVE");
    octets[32] = u8::from(is_server);
    octets.to_vec()
}

pub(super) fn hello() -> Vec<u8> {
    command("HELLO", &vector("HELLO"))
}

fn welcome() -> Vec<u8> {
    command("WELCOME", &vector("WELCOME"))
}

pub(super) fn initiate() -> Vec<u8> {
    command("INITIATE", &vector("INITIATE"))
}

fn curve_ready() -> Vec<u8> {
    command("READY", &vector("READY"))
}

/// A server's outcome of a client's commands.
fn served(commands: &[&[u8]]) -> Outcome {
    feed(our_server(), &[&greeting_of(false), &commands.concat()[..]].concat(), [])
}

/// A client's outcome of a server's commands.
fn answered(commands: &[&[u8]]) -> Outcome {
    feed(our_client(), &[&greeting_of(true), &commands.concat()[..]].concat(), [])
}

/// Two that have shaken hands.
pub(super) fn connected() -> Pair {
    let mut pair = Pair::of([our_client(), our_server()]);
    assert_eq!(pair.run(1000), [Ok(()), Ok(())]);
    pair
}

#[test]
fn the_handshake_is_what_libsodium_makes_of_it() {
    // C-04, C-05, C-06, C-08, C-09, C-16, C-18, C-19, C-24, C-26, C-30, C-31, Z-05, Z-06: octet by octet.
    assert_eq!([hello().len(), welcome().len()], [2 + 0xC8, 2 + 0xA8]);
    assert!(vector("INITIATE").len() + 9 >= 257 && vector("READY").len() + 6 >= 30);
    let mut pair = Pair::of([our_client(), our_server()]);
    let mut said = [Vec::new(), Vec::new()];
    assert_eq!(pair.record(1000, &mut said), [Ok(()), Ok(())]);
    assert_eq!(said[0], [&greeting_of(false), &hello()[..], &initiate()].concat());
    assert_eq!(said[1], [&greeting_of(true), &welcome()[..], &curve_ready()].concat());
    let [of_client, of_server] = pair.peers().map(Option::unwrap);
    assert_eq!((of_client.socket_type, of_server.socket_type), (SocketType::Pull, SocketType::Push));
    assert_eq!(of_server.admission.as_ref().unwrap().user_id(), "somebody");
    // C-46, F-11: who the client is can be seen nowhere, nor what it says of itself.
    let all = said.concat();
    assert!(!all.windows(32).any(|octets| octets == keys(1).public_key().as_bytes()));
    assert!(!all.windows(6).any(|octets| octets == b"Socket"));
}

#[test]
fn every_cut_comes_to_the_same() {
    // SPLIT
    let server = every_cut(our_server(), &[&greeting_of(false), &hello()[..], &initiate()].concat());
    assert_eq!(server.commands(), [welcome(), curve_ready()].concat());
    let client = every_cut(our_client(), &[&greeting_of(true), &welcome()[..], &curve_ready()].concat());
    assert_eq!(client.commands(), [hello(), initiate()].concat());
}

#[test]
fn the_one_who_is_asked_sees_the_proven_key_and_the_properties() {
    let mut out = Outbox::new();
    RANDOM.set([0; 2]);
    let mut connection = Connection::new(our_server(), &mut out);
    let stream = [&greeting_of(false), &hello()[..], &initiate()].concat();
    assert_eq!(connection.handle_octets(&stream, now(), &mut out), Ok(stream.len()));
    let question = connection.question().unwrap();
    assert_eq!(question.credentials, Credentials::Curve(keys(1).public_key()));
    assert_eq!(&*question.properties, [("Socket-Type".into(), Bytes::from_static(b"PUSH"))]);
    assert!(!out.octets().windows(5).any(|five| five == b"READY"), "C-30: not before it is let in");
}

#[test]
fn a_refusal_is_an_error_with_the_status_or_nothing() {
    // C-29, C-41, A-12, A-21, D4
    let stream = [&greeting_of(false), &hello()[..], &initiate()].concat();
    for (status, said) in [
        (AuthStatus::Refused, &b"\x04\x0a\x05ERROR\x03400"[..]),
        (AuthStatus::Failed, b"\x04\x0a\x05ERROR\x03500"),
        (AuthStatus::NotNow, b""),
    ] {
        let outcome = feed_judged(our_server(), &stream, [], &Decision::Refuse(status, Reason::new("why")));
        assert_eq!(outcome.error(), ProtocolError::NotLetIn(status, Reason::new("why")));
        assert_eq!(outcome.commands(), [&welcome(), said].concat());
        if !said.is_empty() {
            // C-02: both before WELCOME and in place of READY.
            for before in [vec![], welcome()] {
                assert_eq!(answered(&[&before, said]).error(), ProtocolError::NotLetInByPeer(status));
            }
        }
    }
}

/// Every flipped bit of the data of `command`, which `judge` gets as a whole frame.
fn flip(name: &str, data: &[u8], mut judge: impl FnMut(&[u8], usize)) {
    for bit in 0..data.len() * 8 {
        let mut flipped = data.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        judge(&command(name, &flipped), bit);
    }
}

#[test]
fn a_hello_with_any_bit_flipped_is_refused() {
    // C-05, C-06, C-09, C-10: nothing is answered. Montgomery's curve ignores the top bit of C', the box does not
    // know of it.
    flip("HELLO", &vector("HELLO"), |frame, bit| {
        let outcome = served(&[frame]);
        if bit == (2 + 72 + 31) * 8 + 7 {
            assert!(outcome.result.is_ok());
        } else {
            assert!(outcome.result.is_err() && outcome.commands().is_empty(), "bit {bit}");
        }
    });
}

#[test]
fn a_welcome_with_any_bit_flipped_is_refused() {
    // C-22, C-01: the client says nothing more.
    flip("WELCOME", &vector("WELCOME"), |frame, bit| {
        let outcome = answered(&[frame]);
        assert_eq!(outcome.error(), ProtocolError::Undecipherable, "bit {bit}");
        assert_eq!(outcome.commands(), hello());
    });
}

#[test]
fn an_initiate_with_any_bit_flipped_is_refused() {
    // C-24, C-26, C-28, C-29: cookie, number and box.
    flip("INITIATE", &vector("INITIATE"), |frame, bit| {
        let outcome = served(&[&hello(), frame]);
        assert!(outcome.result.is_err() && outcome.peer.is_none(), "bit {bit}");
        assert_eq!(outcome.commands(), welcome());
    });
}

#[test]
fn a_ready_with_any_bit_flipped_is_refused() {
    // C-32
    flip("READY", &vector("READY"), |frame, bit| {
        let outcome = answered(&[&welcome(), frame]);
        assert_eq!(outcome.error(), ProtocolError::Undecipherable, "bit {bit}");
        assert_eq!(outcome.commands(), [hello(), initiate()].concat());
    });
}

#[test]
fn a_name_with_any_bit_flipped_is_another_command() {
    // C-10, C-22, C-28, C-32: the bits of the header and of the name, which `flip` does not reach.
    let commands = [
        (hello(), vec![], true),
        (initiate(), hello(), true),
        (welcome(), vec![], false),
        (curve_ready(), welcome(), false),
    ];
    for (frame, before, is_server) in commands {
        let name_ends = frame.len().min(16);
        for bit in 0..name_ends * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let outcome =
                if is_server { served(&[&before, &flipped]) } else { answered(&[&before, &flipped]) };
            // A larger size waits for the rest.
            assert!(outcome.peer.is_none() || flipped[..2] == [6, 0], "bit {bit}");
        }
    }
}

#[test]
fn every_other_length_is_refused() {
    // C-10, C-22, C-23, C-31: of data that are else right, and of zeros.
    for (name, before, is_server, whole) in [
        ("HELLO", vec![], true, vector("HELLO")),
        ("INITIATE", hello(), true, vector("INITIATE")),
        ("WELCOME", vec![], false, vector("WELCOME")),
        ("READY", welcome(), false, vector("READY")),
    ] {
        let lengths = (0..=400).chain([512, 1023, 1024, 3000]);
        for length in lengths.filter(|length| *length != whole.len()) {
            let mut cut = whole.clone();
            cut.resize(length, 0);
            for data in [cut, vec![0; length]] {
                let frame = command(name, &data);
                let outcome =
                    if is_server { served(&[&before, &frame]) } else { answered(&[&before, &frame]) };
                assert!(outcome.result.is_err() && outcome.peer.is_none(), "{name} of {length}");
            }
        }
    }
    for size in [3073_u64, 65_536, 1 << 20, 1 << 31, (1 << 63) - 1] {
        let outcome = served(&[&hello(), &too_long(size)]);
        assert_eq!(outcome.error(), ProtocolError::CommandTooLarge(size));
        assert!(outcome.commands().ends_with(ERROR_TOO_LARGE));
    }
}

/// Public keys with which everybody knows the outcome: of small order, in all spellings.
fn small_order() -> Vec<[u8; 32]> {
    let hex = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let octets = |hex: &str| -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    };
    let all = hex.map(octets);
    let with_top_bit = all.map(|mut octets| {
        octets[31] |= 0x80;
        octets
    });
    [all, with_top_bit].concat()
}

#[test]
fn keys_of_small_order_are_refused() {
    // C-10, C-22, B-36: as C' in a HELLO, as S' in a WELCOME of the right server, as S.
    for point in small_order() {
        let mut data = vector("HELLO");
        data[74..106].copy_from_slice(&point);
        assert_eq!(served(&[&command("HELLO", &data)]).error(), ProtocolError::Undecipherable);
        let settings = Settings::CurveClient { keys: keys(1), server_key: CurvePublicKey::from_bytes(point) };
        let local = Local { security: guarded(settings), ..local(SocketType::Push) };
        assert_eq!(feed(local, &greeting_of(true), []).error(), ProtocolError::Undecipherable);
        let evil = evil::welcome(&vector("HELLO"), &point);
        let outcome = answered(&[&evil]);
        assert_eq!((outcome.error(), outcome.commands()), (ProtocolError::Undecipherable, &hello()[..]));
    }
}

/// What somebody says who has the right keys, and does not keep to the rules.
mod evil {
    use salsa20::cipher::array::Array;
    use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
    use salsa20::{XSalsa20, hsalsa};
    use x25519_dalek::x25519;

    use super::*;

    fn crypto_box(text: &[u8], nonce: &[u8], public: &[u8], secret: [u8; 32]) -> Vec<u8> {
        let shared = x25519(secret, public.try_into().unwrap());
        let key = hsalsa::<salsa20::cipher::consts::U10>(&Array(shared), &Array([0; 16]));
        secret_box(text, nonce, key.0)
    }

    fn secret_box(text: &[u8], nonce: &[u8], key: [u8; 32]) -> Vec<u8> {
        use poly1305::universal_hash::KeyInit as _;

        let mut octets = [&[0; 32], text].concat();
        XSalsa20::new(&Array(key), &Array::try_from(nonce).unwrap()).apply_keystream(&mut octets);
        let tag_key: [u8; 32] = octets[..32].try_into().unwrap();
        let tag = poly1305::Poly1305::new(&Array(tag_key)).compute_unpadded(&octets[32..]);
        [&tag[..], &octets[32..]].concat()
    }

    /// A HELLO around this text, with this number.
    pub(super) fn hello(text: &[u8], number: u64) -> Vec<u8> {
        let (secret, number) = ([9; 32], number.to_be_bytes());
        let nonce = [b"CurveZMQHELLO---", &number[..]].concat();
        let sealed = crypto_box(text, &nonce, keys(2).public_key().as_bytes(), secret);
        let public = keys(9).public_key();
        command("HELLO", &[&[1, 0], &[0; 72][..], public.as_bytes(), &number, &sealed].concat())
    }

    /// The server's answer to a HELLO, with this as S'.
    pub(super) fn welcome(hello: &[u8], server_transient: &[u8]) -> Vec<u8> {
        let text = [server_transient, &[0; 96]].concat();
        let nonce = [b"WELCOME-", &[7; 16][..]].concat();
        let sealed = crypto_box(&text, &nonce, &hello[74..106], [2; 32]);
        command("WELCOME", &[&[7; 16], &sealed[..]].concat())
    }

    /// What an INITIATE may say beside the truth.
    pub(super) struct Lies<'a> {
        pub(super) client: CurvePublicKey,
        pub(super) vouched_transient: Option<[u8; 32]>,
        pub(super) vouched_server: CurvePublicKey,
        pub(super) voucher: [u8; 32],
        pub(super) number: u64,
        pub(super) metadata: &'a [u8],
    }

    impl Default for Lies<'_> {
        fn default() -> Self {
            Self {
                client: keys(1).public_key(),
                vouched_transient: None,
                vouched_server: keys(2).public_key(),
                voucher: [1; 32],
                number: 2,
                metadata: b"\x0bSocket-Type\0\0\0\x04PUSH",
            }
        }
    }

    /// An INITIATE that answers a WELCOME to [`hello`].
    pub(super) fn initiate(welcome: &[u8], lies: &Lies<'_>) -> Vec<u8> {
        let transient = keys(9);
        let data = &welcome[2 + 8..];
        let nonce = [b"WELCOME-", &data[..16]].concat();
        let opened = crypto_open(&data[16..], &nonce, keys(2).public_key().as_bytes(), [9; 32]);
        let (server_transient, cookie) = opened.split_at(32);
        let vouched = lies.vouched_transient.unwrap_or_else(|| *transient.public_key().as_bytes());
        let vouch_nonce = [b"VOUCH---", &[5; 16][..]].concat();
        let vouched = [&vouched[..], lies.vouched_server.as_bytes()].concat();
        let vouch = crypto_box(&vouched, &vouch_nonce, server_transient, lies.voucher);
        let text = [lies.client.as_bytes(), &[5; 16][..], &vouch, lies.metadata].concat();
        let number = lies.number.to_be_bytes();
        let nonce = [b"CurveZMQINITIATE", &number[..]].concat();
        let sealed = crypto_box(&text, &nonce, server_transient, [9; 32]);
        command("INITIATE", &[cookie, &number[..], &sealed].concat())
    }

    /// What is in a box, whose tag is right.
    fn crypto_open(sealed: &[u8], nonce: &[u8], public: &[u8], secret: [u8; 32]) -> Vec<u8> {
        // The stream is its own inverse.
        crypto_box(&sealed[16..], nonce, public, secret)[16..].to_vec()
    }
}

#[test]
fn a_hello_of_the_right_shape_with_the_wrong_content_is_refused() {
    // C-09, B-35: 64 zeros, neither more nor less, nor anything else. Its number may be any.
    for number in [0, 1, 7, u64::MAX] {
        assert_eq!(served(&[&evil::hello(&[0; 64], number)]).result, Ok(64 + 202));
    }
    for text in [[1; 64], std::array::from_fn(|at| u8::from(at == 63))] {
        assert_eq!(served(&[&evil::hello(&text, 1)]).error(), ProtocolError::MalformedCommand);
    }
    for length in [0, 63, 65] {
        assert!(served(&[&evil::hello(&vec![0; length], 1)]).result.is_err());
    }
}

/// A server's outcome of a HELLO and of an INITIATE with lies in it.
fn lied_to(lies: &evil::Lies<'_>) -> Outcome {
    let hello = evil::hello(&[0; 64], 1);
    let welcome = served(&[&hello]).commands().to_vec();
    served(&[&hello, &evil::initiate(&welcome, lies)])
}

#[test]
fn a_vouch_for_somebody_else_is_refused() {
    // C-26, B-35: another C', another S, another C than the one that vouches.
    assert!(lied_to(&evil::Lies::default()).peer.is_some());
    for lies in [
        evil::Lies { vouched_transient: Some([9; 32]), ..Default::default() },
        evil::Lies { vouched_server: keys(3).public_key(), ..Default::default() },
        evil::Lies { client: keys(3).public_key(), ..Default::default() },
        evil::Lies { voucher: [3; 32], ..Default::default() },
    ] {
        let outcome = lied_to(&lies);
        assert_eq!((outcome.error(), outcome.peer), (ProtocolError::Undecipherable, None));
    }
    for point in small_order() {
        let lies = evil::Lies { client: CurvePublicKey::from_bytes(point), ..Default::default() };
        assert_eq!(lied_to(&lies).error(), ProtocolError::Undecipherable);
    }
}

#[test]
fn a_number_that_does_not_grow_is_refused() {
    // C-15
    for number in [0, 1] {
        let outcome = lied_to(&evil::Lies { number, ..Default::default() });
        assert_eq!(outcome.error(), ProtocolError::Repeated);
    }
    assert!(lied_to(&evil::Lies { number: u64::MAX, ..Default::default() }).peer.is_some());
}

#[test]
fn metadata_are_judged_as_with_null() {
    // C-27, C-23, B-05: N-12 to N-22, and as much of them as fits.
    let wrong = metadata(&[("Socket-Type", b"PULL")]);
    let most = metadata(&[("Socket-Type", b"PUSH"), ("X-a", &[7; 2700])]);
    for (metadata, error) in [
        (&b""[..], ProtocolError::MissingSocketType),
        (&wrong, ProtocolError::IncompatibleSocketTypes(SocketType::Pull)),
        (b"\0\0\0\0\0", ProtocolError::MalformedMetadata),
        (b"\x01a\xff\xff\xff\xff", ProtocolError::MalformedMetadata),
    ] {
        let outcome = lied_to(&evil::Lies { metadata, ..Default::default() });
        assert_eq!(outcome.error(), error);
    }
    let outcome = lied_to(&evil::Lies { metadata: &most, ..Default::default() });
    assert_eq!(outcome.peer().properties[1].1, [7; 2700][..]);
}

#[test]
fn a_cookie_is_good_once_and_for_a_minute() {
    // C-20, C-28, B-43: too late; again; of another connection; of another server.
    let stream = [&greeting_of(false), &hello()[..]].concat();
    for (late, is_good) in
        [(Duration::ZERO, true), (COOKIE_LIFE - Duration::from_millis(1), true), (COOKIE_LIFE, false)]
    {
        RANDOM.set([0; 2]);
        let mut out = Outbox::new();
        let mut connection = Connection::new(our_server(), &mut out);
        connection.handle_octets(&stream, now(), &mut out).unwrap();
        let taken = connection.handle_octets(&initiate(), now() + late, &mut out);
        let expected = if is_good { Ok(initiate().len()) } else { Err(ProtocolError::HandshakeTimeout) };
        assert_eq!((taken, connection.question().is_some()), (expected, is_good));
    }
    // What was recorded, word by word, to servers whose randomness is another.
    for drawn in 1..=255 {
        let mut out = Outbox::new();
        RANDOM.set([0, drawn]);
        let mut connection = Connection::new(our_server(), &mut out);
        let whole = [&stream, &initiate()[..]].concat();
        assert_eq!(connection.handle_octets(&whole, now(), &mut out), Err(ProtocolError::Undecipherable));
    }
}

#[test]
fn between_welcome_and_initiate_a_server_keeps_the_key_of_the_cookie_only() {
    // C-11, C-12: nothing that the peer has made us hold, nothing that grows, and no key that the cookie has.
    let mut out = Outbox::new();
    RANDOM.set([0; 2]);
    let mut connection = Connection::new(our_server(), &mut out);
    let before = connection.held_octets();
    let stream = [&greeting_of(false), &hello()[..]].concat();
    connection.handle_octets(&stream, now(), &mut out).unwrap();
    assert!(connection.held_octets() <= before, "{} octets", connection.held_octets());
    // Keys of its own are the socket's, and shared: what is here is a key, a time and a number.
    assert!(crate::wire::mechanism::half_open_octets() <= 256);
}

#[test]
fn commands_in_any_other_order_are_refused() {
    // C-28, C-32, C-33, C-44: INITIATE first, HELLO twice, READY before WELCOME, two clients, messages.
    let message = b"\0\x02hi".to_vec();
    let null_ready = ready(&[("Socket-Type", b"PUSH")]);
    let all = [hello(), welcome(), initiate(), curve_ready(), message, null_ready, command("PING", b"\0\0")];
    for (is_server, legal) in [(true, [0, 2]), (false, [1, 3])] {
        for first in 0..all.len() {
            for second in 0..all.len() {
                let commands: [&[u8]; 2] = [&all[first], &all[second]];
                let outcome = if is_server { served(&commands) } else { answered(&commands) };
                assert_eq!(outcome.peer.is_some(), [first, second] == legal, "{first} {second}");
                assert!(outcome.result.is_err() || [first, second] == legal, "{first} {second}");
            }
        }
    }
}

#[test]
fn two_servers_wait_for_each_other_and_two_clients_do_not() {
    // C-44, P-02
    let mut pair = Pair::of([our_server(), our_server()]);
    assert_eq!(pair.run(1000), [Ok(()), Ok(())]);
    assert_eq!(pair.peers(), [None, None]);
    let mut pair = Pair::of([our_client(), our_client()]);
    assert_eq!(pair.run(1000), [Err(ProtocolError::UnexpectedCommand); 2]);
}

#[test]
fn the_wrong_servers_key_ends_the_handshake_at_the_server() {
    let settings = Settings::CurveClient { keys: keys(1), server_key: keys(3).public_key() };
    let local = Local { security: guarded(settings), ..local(SocketType::Push) };
    let mut pair = Pair::of([local, our_server()]);
    let mut said = [Vec::new(), Vec::new()];
    assert_eq!(pair.record(1000, &mut said), [Ok(()), Err(ProtocolError::Undecipherable)]);
    assert_eq!(said[1], greeting_of(true), "nothing is answered");
}

#[test]
fn without_randomness_nothing_goes_on() {
    let security = Security::new(client().into(), true, true, |_| false);
    let local = Local { security, ..local(SocketType::Push) };
    assert_eq!(feed(local, &greeting_of(true), []).error(), ProtocolError::NoRandomness);
    let security = Security::new(server().into(), true, true, |_| false);
    let local = Local { security, ..super::local(SocketType::Pull) };
    let stream = [&greeting_of(false), &hello()[..]].concat();
    assert_eq!(feed(local, &stream, []).error(), ProtocolError::NoRandomness);
}

#[test]
fn connections_share_nothing() {
    // C-07, C-17, C-21, C-25, C-45: what one connection says can be read by no other, though all keys are the same.
    let mut seen = std::collections::HashSet::new();
    for drawn in 0..64 {
        RANDOM.set([drawn, drawn]);
        let mut out = [Outbox::new(), Outbox::new()];
        let [client_out, server_out] = &mut out;
        let mut client = Connection::new(our_client(), client_out);
        client.handle_octets(&greeting_of(true), now(), client_out).unwrap();
        let hello = client_out.octets()[64..].to_vec();
        let mut server = Connection::new(our_server(), server_out);
        server.handle_octets(&[&greeting_of(false), &hello[..]].concat(), now(), server_out).unwrap();
        let welcome = server_out.octets()[64..].to_vec();
        client.handle_octets(&welcome, now(), client_out).unwrap();
        for part in
            [&hello[2 + 6 + 74..][..32], &welcome[10..26], &client_out.octets()[64 + 202 + 18..][..96]]
        {
            assert!(seen.insert(part.to_vec()), "{drawn}");
        }
    }
}
