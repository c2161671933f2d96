//! The examples that serve whoever comes, and strangers that send them rubbish: they go on, and serve everybody else.
//!
//! Rubbish is what no client of theirs sends: octets that are not UTF-8, nothing at all, too few frames and too many,
//! names that nobody has, another protocol, and half a handshake.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use interop_tests::program::Program;
use interop_tests::raw::DEADLINE;
use interop_tests::raw::vectors::G_NULL31;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use peermq::{Context, Message, Pair, Req, Socket, SocketType, Sub};

/// Messages that mean nothing to anybody.
fn rubbish() -> Vec<Message> {
    let frames: [&[&[u8]]; 12] = [
        &[b""],
        &[b"", b""],
        &[b"", b"", b""],
        &[b"", b"\0name", b"1"],
        &[b"", b"nobody", b"1"],
        &[b"", &[7; 300], b"1"],
        &[b"\xff\xfe\0\x80"],
        &[b"", b"\xff\xfe\0\x80"],
        &[b"cellar"],
        &[b"attic \xff"],
        &[&[0; 5000]],
        &[b"1", b"2", b"3", b"4", b"5", b"6"],
    ];
    frames.iter().map(|frames| Message::from_frames(frames.iter().copied()).unwrap()).collect()
}

/// Who comes, says something else, and goes.
fn stray(endpoint: &str) {
    let half = [&G_NULL31[..], b"\x04\x1a\x05READY\x0bSocket-Type"].concat();
    let wrong = [&G_NULL31[..], b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03XXX"].concat();
    let early = [&G_NULL31[..], b"\0\x05hello"].concat();
    for octets in [b"GET / HTTP/1.1\r\n\r\n", b"".as_slice(), &half, &wrong, &early, &[0xff; 100]] {
        let mut stream = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
        stream.write_all(octets).unwrap();
    }
}

/// Sends all of the rubbish as a socket of this type, and waits until it is with the other side.
fn pester(endpoint: &str, socket_type: SocketType) {
    stray(endpoint);
    let mut socket = Context::new().open_any(socket_type).unwrap();
    socket.connect(endpoint).unwrap().wait_ready(DEADLINE).unwrap();
    for message in rubbish() {
        socket.send_timeout(message, DEADLINE).unwrap();
    }
    assert_eq!(socket.close(DEADLINE).dropped, 0);
}

fn ask(endpoint: &str, question: &[u8]) -> Message {
    let mut req = Context::new().open::<Req>().unwrap();
    req.connect(endpoint).unwrap();
    let mut reply = req.request(question).unwrap();
    reply.recv_timeout(DEADLINE).unwrap()
}

#[test]
fn the_server_that_squares_goes_on() {
    let server = Program::example("request_reply", ["serve", "tcp://127.0.0.1:*"]);
    let place = server.line();
    pester(&place, SocketType::Dealer);
    for message in rubbish().into_iter().filter(|message| message.body() != b"1") {
        assert_eq!(ask(&place, message.body()), "not a number that I can square");
    }
    assert_eq!(ask(&place, b"12"), "144");
}

#[test]
fn the_broker_and_its_workers_go_on() {
    // It has work until somebody has written to this pipe.
    let folder = tempfile::tempdir().unwrap();
    let (pipe, text) = (folder.path().join("pipe"), folder.path().join("text"));
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    fs::write(&text, "one two three").unwrap();
    let broker = Program::example("load_balancer", [&pipe, &text]);
    let line = broker.line();
    let words: Vec<&str> = line.split_whitespace().collect();
    let [for_clients, .., for_workers, "for", "workers"] = words[..] else { unreachable!("{line}") };
    for _ in 0..3 {
        pester(for_clients, SocketType::Dealer);
        pester(for_workers, SocketType::Dealer);
        assert!(ask(for_clients, b"\xff\xfe").to_str().unwrap().parse::<u64>().is_err());
        assert_eq!(ask(for_clients, text.to_str().unwrap().as_bytes()), "3");
    }
    fs::write(&pipe, "four five").unwrap();
    // Its own check counts what we have asked, too, and fails.
    assert!(broker.line().starts_with("5 words in 2 files"));
}

#[test]
fn the_event_loop_goes_on() {
    let event_loop = Program::example("event_loop", ["--wait"]);
    let line = event_loop.line();
    let words: Vec<&str> = line.split_whitespace().collect();
    let [for_thermometers, .., for_visitors, "for", "visitors"] = words[..] else { unreachable!("{line}") };
    for _ in 0..5 {
        pester(for_thermometers, SocketType::Pub);
        assert!(event_loop.line().ends_with(" values since the last report"));
    }
    let until = Instant::now() + DEADLINE;
    loop {
        let mut heard = String::new();
        TcpStream::connect(for_visitors).unwrap().read_to_string(&mut heard).unwrap();
        assert!(!heard.contains("attic"), "{heard}");
        if ["cellar", "kitchen", "roof"].iter().all(|place| heard.contains(place)) {
            break;
        }
        assert!(Instant::now() < until, "{heard}");
    }
    event_loop.leave();
}

/// A PAIR that is alone with the example.
fn pair(folder: &Path) -> (Socket<Pair>, String) {
    (Context::new().open::<Pair>().unwrap(), format!("ipc://{}/game", folder.display()))
}

#[test]
fn both_sides_of_the_game_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (mut peer, endpoint) = pair(folder.path());
    let thinker = Program::example("peer_to_peer", ["think", &endpoint]);
    peer.connect(&*endpoint).unwrap();
    for message in rubbish().into_iter().filter(|message| message.body() != b"1") {
        peer.send_timeout(message, DEADLINE).unwrap();
        assert_eq!(peer.recv_timeout(DEADLINE).unwrap(), "guess a number");
    }
    let secret: String = thinker.line().chars().filter(char::is_ascii_digit).collect();
    peer.send(secret.as_str()).unwrap();
    assert_eq!(peer.recv_timeout(DEADLINE).unwrap(), "right");
    thinker.leave();

    let folder = tempfile::tempdir().unwrap();
    let (mut peer, endpoint) = pair(folder.path());
    peer.bind(&*endpoint).unwrap();
    let guesser = Program::example("peer_to_peer", ["guess", &endpoint]);
    assert_eq!(peer.recv_timeout(DEADLINE).unwrap(), "500");
    for message in rubbish() {
        peer.send_timeout(message, DEADLINE).unwrap();
        assert_eq!(guesser.line(), "[guesser] that is no answer to 500");
    }
    peer.send("lower").unwrap();
    assert_eq!(peer.recv_timeout(DEADLINE).unwrap(), "249");
    peer.send("right").unwrap();
    guesser.shows("[guesser] found 249 with 2 guesses");
    guesser.leave();
}

#[test]
fn the_room_and_its_guests_go_on() {
    let mut ada = Program::example("chat", ["--name", "ada", "--bind", "tcp://127.0.0.1:*"]);
    let place = ada.line();
    let place = place.strip_prefix("* the room is open at ").unwrap();
    ada.shows("* ada came");
    let mut guest = Context::new().open::<Sub>().unwrap();
    guest.subscribe("ada: ").unwrap();
    guest.subscribe(b"@\xff\xfe").unwrap();
    guest.connect(place).unwrap();
    guest.wait_subscribed(DEADLINE).unwrap();
    pester(place, SocketType::XSub);
    // What strangers say is told everybody, whatever it is; then what ada says.
    ada.type_in("still here");
    assert_eq!(guest.recv_timeout(DEADLINE).unwrap().frame(0).unwrap(), "ada: still here");
    let mut lines = Vec::new();
    while let Some(line) = ada.line_within(Duration::from_millis(300)) {
        lines.push(line);
    }
    assert!(lines.iter().any(|line| line.starts_with("* \u{fffd}")), "{lines:?}");
    ada.leave();
}
