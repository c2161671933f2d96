//! What somebody on the way can see of an encrypted conversation.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::security::Sides;
use super::*;
use crate::{Authorizer, Dealer, EventKind, ProtocolError, Pub, Router, Sub};

const GREETING: usize = 64;
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Passes one connection on to `server` with `pass`, which notes what each side says: the client, and the server.
fn tap(
    server: &Endpoint,
    pass: impl Fn(TcpStream, TcpStream) -> Vec<u8> + Copy + Send + 'static,
) -> (Endpoint, JoinHandle<[Vec<u8>; 2]>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = Endpoint::tcp(listener.local_addr().unwrap());
    let to = server.to_string();
    let tapping = thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(to.trim_start_matches("tcp://")).unwrap();
        let [back, from] = [client.try_clone().unwrap(), server.try_clone().unwrap()];
        let answers = thread::spawn(move || pass(from, back));
        let said = pass(client, server);
        [said, answers.join().unwrap()]
    });
    (at, tapping)
}

/// Passes octets on until their end.
fn pass(mut from: TcpStream, mut to: TcpStream) -> Vec<u8> {
    let (mut said, mut octets) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut octets) {
        said.extend_from_slice(&octets[..count]);
        if to.write_all(&octets[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    said
}

/// Passes frames on until they end, those behind the handshake with these flags beside their own; what they were.
fn pass_with(flags: u8, mut from: TcpStream, mut to: TcpStream) -> Vec<u8> {
    let mut passed = Vec::new();
    let _ = pass_frames(flags, &mut from, &mut to, &mut passed);
    let _ = to.shutdown(Shutdown::Write);
    passed
}

fn pass_frames(flags: u8, from: &mut TcpStream, to: &mut TcpStream, passed: &mut Vec<u8>) -> io::Result<()> {
    let mut octets = vec![0; GREETING];
    from.read_exact(&mut octets)?;
    loop {
        to.write_all(&octets)?;
        passed.append(&mut octets);
        octets.resize(2, 0);
        from.read_exact(&mut octets)?;
        let mut size = u64::from(octets[1]);
        if octets[0] & LONG != 0 {
            octets.resize(9, 0);
            from.read_exact(&mut octets[2..])?;
            size = u64::from_be_bytes(octets[1..].try_into().unwrap());
        }
        let header = octets.len();
        octets.resize(header + usize::try_from(size).unwrap(), 0);
        from.read_exact(&mut octets[header..])?;
        if octets[header..].starts_with(b"\x07MESSAGE") {
            octets[0] |= flags;
        }
    }
}

/// The flags and bodies of the frames behind a greeting; the last may be cut off.
fn frames(said: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = &said[GREETING..];
    let mut frames = Vec::new();
    while let [flags, behind @ ..] = rest {
        let (size, behind) = if flags & LONG == 0 {
            (behind[0] as usize, &behind[1..])
        } else {
            let (size, behind) = behind.split_first_chunk::<8>().unwrap();
            (usize::try_from(u64::from_be_bytes(*size)).unwrap(), behind)
        };
        let (body, behind) = behind.split_at(size);
        frames.push((flags & !LONG, body));
        rest = behind;
    }
    frames
}

#[test]
fn nothing_but_messages_of_the_mechanism_can_be_seen_of_an_encrypted_conversation() {
    // E-18, C-46: every frame has a command's name in it, and no frame has a message in clear. Not E-17 as RFC 37 has
    // it, "encrypted: data are commands": the bit for commands is on the frames of the handshake only. libzmq sends
    // sealed frames so, and loses those that have it: see the manual's page on compatibility.
    const SECRET: &str = "the words that nobody on the way may read";
    let place = Place::new(Transport::Tcp);
    let Sides { server: servers, client: clients } = Sides::curve();
    let builder = place.builder::<Router>().security(servers);
    let heartbeat = Duration::from_millis(5);
    let builder = builder.authorizer(Authorizer::anyone()).heartbeat_timeout(PATIENCE);
    let mut router = builder.heartbeat_interval(heartbeat).open().unwrap();
    let server = router.bind(place.address()).unwrap();
    let (tapped, tapping) = tap(server.endpoint(), pass);
    let mut dealer = place.builder::<Dealer>().security(clients).open().unwrap();
    dealer.connect(&tapped).unwrap();
    for size in [0, 1, 100, 300, LARGE] {
        dealer.send([SECRET.as_bytes().to_vec(), vec![7; size]]).unwrap();
        let (from, message) = router.recv_timeout(PATIENCE).unwrap();
        router.send_to(&from, message).unwrap();
        assert_eq!(dealer.recv_timeout(PATIENCE).unwrap().frame(1).unwrap().len(), size);
    }
    drop((dealer, router));
    let said = tapping.join().unwrap();
    let of_handshake: [&[&str]; 2] = [&["HELLO", "INITIATE"], &["WELCOME", "READY"]];
    for (said, handshake) in said.iter().zip(of_handshake) {
        assert!(!said.windows(9).any(|octets| SECRET.as_bytes().starts_with(octets)));
        let frames = frames(said);
        for (number, (flags, body)) in frames.iter().enumerate() {
            let name = &body[1..=usize::from(body[0])];
            let expected = handshake.get(number);
            assert_eq!(str::from_utf8(name), Ok(*expected.unwrap_or(&"MESSAGE")), "frame {number}");
            assert_eq!(
                *flags,
                if expected.is_some() { COMMAND } else { 0 },
                "frame {number}: also not {MORE}"
            );
        }
        // Two frames for each message, and perhaps heartbeats.
        assert!(frames.len() >= handshake.len() + 10, "{} frames", frames.len());
    }
}

#[test]
fn sealed_frames_are_taken_as_commands_too() {
    // E-17, RFC 26: "MESSAGE" is a command. Messages, heartbeats and subscriptions, both ways, as a peer sends them
    // that keeps to it.
    let place = Place::new(Transport::Tcp);
    let Sides { server: servers, client: clients } = Sides::curve();
    let builder = place.builder::<Router>().security(servers.clone()).authorizer(Authorizer::anyone());
    let mut router = builder.heartbeat_interval(TURN).heartbeat_timeout(PATIENCE).open().unwrap();
    let binding = router.bind(place.address()).unwrap();
    let (tapped, tapping) = tap(binding.endpoint(), |from, to| pass_with(COMMAND, from, to));
    let mut dealer = place.builder::<Dealer>().security(clients.clone()).open().unwrap();
    dealer.connect(&tapped).unwrap();
    for size in [0, 1, 100, 300, LARGE] {
        dealer.send([vec![6], vec![7; size]]).unwrap();
        let (from, message) = router.recv_timeout(PATIENCE).unwrap();
        router.send_to(&from, message).unwrap();
        assert_eq!(dealer.recv_timeout(PATIENCE).unwrap(), [vec![6], vec![7; size]]);
    }
    drop((dealer, router));
    for said in tapping.join().unwrap() {
        let frames = frames(&said);
        assert!(frames.len() >= 2 + 10 && frames.iter().all(|(flags, _)| *flags == COMMAND));
    }

    let builder = place.builder::<Pub>().security(servers).authorizer(Authorizer::anyone());
    let mut publisher = builder.open().unwrap();
    let binding = publisher.bind(place.address()).unwrap();
    let (tapped, tapping) = tap(binding.endpoint(), |from, to| pass_with(COMMAND, from, to));
    let mut sub = place.builder::<Sub>().security(clients).open().unwrap();
    sub.connect(&tapped).unwrap();
    sub.subscribe("a").unwrap();
    publisher.wait_for_subscribers_to("a", 1, PATIENCE).unwrap();
    publisher.send("a message").unwrap();
    assert_eq!(recv(&mut sub), "a message");
    drop((sub, publisher));
    tapping.join().unwrap();
}

#[test]
fn sealed_frames_with_any_other_flag_are_refused() {
    // F-01, D8: of MORE and what is reserved nobody can tell who has set it.
    for flags in [MORE, MORE | COMMAND, 8, 0x80] {
        let place = Place::new(Transport::Tcp);
        let Sides { server: servers, client: clients } = Sides::curve();
        let builder = place.builder::<Pull>().security(servers).authorizer(Authorizer::anyone());
        let mut pull = builder.open().unwrap();
        let binding = pull.bind(place.address()).unwrap();
        let monitor = pull.monitor();
        let (tapped, tapping) = tap(binding.endpoint(), move |from, to| pass_with(flags, from, to));
        let mut push = place.builder::<Push>().security(clients).open().unwrap();
        push.connect(&tapped).unwrap();
        send(&mut push, "never");
        let end = monitor::until(&monitor, |kind| matches!(kind, EventKind::Disconnected(_)));
        let refused = ProtocolError::ReservedFlags(flags).into();
        assert!(matches!(end.kind, EventKind::Disconnected(Some(error)) if error == refused), "{end:?}");
        assert!(pull.try_recv().is_err());
        drop((push, pull));
        tapping.join().unwrap();
    }
}
