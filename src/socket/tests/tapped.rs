//! What somebody on the way can see of an encrypted conversation.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::security::Sides;
use super::*;
use crate::{Authorizer, Dealer, Router};

const GREETING: usize = 64;
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Passes one connection on to `server`, and notes what each side says: the client, and the server.
fn tap(server: &Endpoint) -> (Endpoint, JoinHandle<[Vec<u8>; 2]>) {
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
fn nothing_but_commands_of_the_mechanism_can_be_seen_of_an_encrypted_conversation() {
    // E-17: "encrypted: data are commands", E-18, C-46: no frame without a command's name in it, and no message in any.
    // The bit for commands is not set on those with data, as libzmq has it; see the manual's page on compatibility.
    const SECRET: &str = "the words that nobody on the way may read";
    let place = Place::new(Transport::Tcp);
    let Sides { server: servers, client: clients } = Sides::curve();
    let builder = place.builder::<Router>().security(servers);
    let heartbeat = Duration::from_millis(5);
    let builder = builder.authorizer(Authorizer::anyone()).heartbeat_timeout(PATIENCE);
    let mut router = builder.heartbeat_interval(heartbeat).open().unwrap();
    let server = router.bind(place.address()).unwrap();
    let (tapped, tapping) = tap(server.endpoint());
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
