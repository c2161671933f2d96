//! libzmq as a peer of STREAM: STREAM with STREAM, both bind sides; and a ROUTER on either side, which waits for
//! a greeting that does not come.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::{Duration, Instant};

use interop_tests::raw::DEADLINE;
use interop_tests::raw::random::Random;
use peermq::{Context, Router, RoutingId, Socket, Stream};

fn open_ours() -> Socket<Stream> {
    let context = Context::builder().io_threads(1).build();
    let builder = context.builder_for::<Stream>().send_timeout(DEADLINE).recv_timeout(DEADLINE);
    builder.linger(Duration::ZERO).open().unwrap()
}

fn open_theirs(kind: zmq::SocketType) -> zmq::Socket {
    let socket = zmq::Context::new().socket(kind).unwrap();
    let wait = i32::try_from(DEADLINE.as_millis()).unwrap();
    socket.set_sndtimeo(wait).unwrap();
    socket.set_rcvtimeo(wait).unwrap();
    socket.set_linger(0).unwrap();
    socket
}

/// A STREAM of each, connected, with what each calls the other.
fn meet(we_bind: bool) -> (Socket<Stream>, RoutingId, zmq::Socket, Vec<u8>) {
    let (mut ours, theirs) = (open_ours(), open_theirs(zmq::STREAM));
    if we_bind {
        theirs.connect(&ours.bind("tcp://127.0.0.1:*").unwrap().to_string()).unwrap();
    } else {
        theirs.bind("tcp://127.0.0.1:*").unwrap();
        ours.connect(theirs.get_last_endpoint().unwrap().unwrap()).unwrap();
    }
    let (them, connected) = ours.recv().unwrap();
    assert!(connected.body().is_empty());
    let connected = theirs.recv_multipart(0).unwrap();
    assert_eq!((connected.len(), connected[1].len()), (2, 0));
    (ours, them, theirs, connected[0].clone())
}

#[test]
fn octets_go_both_ways_whoever_binds() {
    for we_bind in [true, false] {
        let (mut ours, them, theirs, us) = meet(we_bind);
        let mut random = Random(11);
        for size in [1, 2, 255, 256, 8191, 8192, 8193, 300_000] {
            let octets = random.octets(size);
            ours.send_to(&them, &octets).unwrap();
            let mut heard = Vec::new();
            while heard.len() < size {
                let frames = theirs.recv_multipart(0).unwrap();
                assert_eq!((frames.len(), &frames[0]), (2, &us));
                heard.extend_from_slice(&frames[1]);
            }
            assert!(heard == octets, "{size} to them");
            theirs.send_multipart([&us, &octets], 0).unwrap();
            heard.clear();
            while heard.len() < size {
                let (from, message) = ours.recv().unwrap();
                assert_eq!(from, them);
                heard.extend_from_slice(message.body());
            }
            assert!(heard == octets, "{size} to us");
        }
    }
}

#[test]
fn an_empty_message_of_ours_is_news_to_them() {
    for we_bind in [true, false] {
        let (mut ours, them, theirs, us) = meet(we_bind);
        ours.send_to(&them, "good").unwrap();
        ours.send_to(&them, "bye").unwrap();
        ours.send_to(&them, "").unwrap();
        let mut heard = Vec::new();
        loop {
            let frames = theirs.recv_multipart(0).unwrap();
            assert_eq!(frames[0], us);
            if frames[1].is_empty() {
                break;
            }
            heard.extend_from_slice(&frames[1]);
        }
        assert_eq!(heard, b"goodbye");
    }
}

#[test]
fn an_empty_message_of_theirs_is_news_to_us() {
    for we_bind in [true, false] {
        let (mut ours, them, theirs, us) = meet(we_bind);
        theirs.send_multipart([&us[..], b"goodbye"], 0).unwrap();
        theirs.send_multipart([&us[..], b""], 0).unwrap();
        let deadline = Instant::now() + DEADLINE;
        let mut heard = Vec::new();
        loop {
            // libzmq closes a connection only while its application is in a call.
            theirs.get_events().unwrap();
            assert!(Instant::now() < deadline, "no news");
            let Ok((from, message)) = ours.recv_timeout(Duration::from_millis(10)) else { continue };
            assert_eq!(from, them);
            if message.body().is_empty() {
                break;
            }
            heard.extend_from_slice(message.body());
        }
        assert_eq!(heard, b"goodbye");
    }
}

#[test]
fn a_router_of_theirs_shows_its_greeting_and_hangs_nobody() {
    let (mut ours, theirs) = (open_ours(), open_theirs(zmq::ROUTER));
    theirs.connect(&ours.bind("tcp://127.0.0.1:*").unwrap().to_string()).unwrap();
    let (them, connected) = ours.recv().unwrap();
    assert!(connected.body().is_empty());
    assert_eq!(ours.recv().unwrap().1.body()[0], 0xFF);
    ours.send_to(&them, "HTTP/1.0 400 Bad Request\r\n\r\n").unwrap();
    ours.send_to(&them, "").unwrap();
    drop(theirs);
}

#[test]
fn a_stream_of_theirs_sees_the_greeting_of_our_router_which_hangs_nobody() {
    let theirs = open_theirs(zmq::STREAM);
    theirs.bind("tcp://127.0.0.1:*").unwrap();
    let context = Context::builder().io_threads(1).build();
    let mut router = context.builder_for::<Router>().linger(Duration::ZERO).open().unwrap();
    let connection = router.connect(theirs.get_last_endpoint().unwrap().unwrap()).unwrap();
    let us = theirs.recv_multipart(0).unwrap().remove(0);
    assert_eq!(theirs.recv_multipart(0).unwrap()[1][0], 0xFF);
    theirs.send_multipart([&us[..], b"HTTP/1.0 400 Bad Request\r\n\r\n"], 0).unwrap();
    let until = Instant::now() + DEADLINE;
    while connection.last_error().is_none() {
        assert!(connection.wait_ready(Duration::from_millis(1)).is_err());
        assert!(Instant::now() < until, "no greeting, and nobody says so");
    }
}
