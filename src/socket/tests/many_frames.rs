//! Messages of many frames that are of no use to the socket: what a call does for them is counted by their frames.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::*;
use crate::limits::CALL_BUDGET;
use crate::{AnyPattern, Pub, Publishes, RecvError, SocketType, Sub, XPub};

/// Messages that wait.
const MESSAGES: usize = 30;

/// Frames of each: more than a call has a budget for.
const FRAMES: usize = 2 * CALL_BUDGET as usize;

/// Messages that calls of the socket have taken so far.
fn handled(socket: &Socket<AnyPattern>) -> u64 {
    let pipes = &socket.core.pipes;
    pipes.gone().received + pipes.iter().map(crate::pipe::Pipe::received).sum::<u64>()
}

/// A message of these frames, and of as many of `frame` as make [`FRAMES`], as it is sent by wire.
fn lot(in_front: &[&[u8]], frame: &[u8]) -> Vec<u8> {
    let frames = in_front.iter().copied().chain(std::iter::repeat(frame)).take(FRAMES);
    let mut octets = Vec::new();
    for (at, frame) in frames.enumerate() {
        octets.extend([u8::from(at + 1 < FRAMES), u8::try_from(frame.len()).unwrap()]);
        octets.extend_from_slice(frame);
    }
    octets
}

/// Sends all, and waits until the other side has read it.
fn say(stream: &mut TcpStream, octets: &[u8]) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(octets).unwrap();
    stream.write_all(b"\x04\x0A\x04PING\0\0end").unwrap();
    let mut heard = Vec::new();
    eventually("it is answered", || {
        let mut octets = [0; 4096];
        let count = stream.read(&mut octets).unwrap();
        heard.extend_from_slice(&octets[..count]);
        heard.ends_with(b"\x04PONGend")
    });
}

#[test]
fn what_was_subscribed_to_for_a_peer_that_left_is_forgotten_in_shares() {
    const TOPICS: usize = 20 * CALL_BUDGET as usize;
    let place = Place::new(Transport::Inproc);
    let mut xpub = place.builder::<XPub>().xpub_manual(true).open().unwrap();
    let endpoint = xpub.bind(place.address()).unwrap();
    let mut subs: Vec<Socket<Sub>> = (0..2).map(|_| place.connected(&endpoint)).collect();
    subs[0].subscribe("goes").unwrap();
    assert_eq!(recv(&mut xpub), b"\x01goes");
    for number in 0..TOPICS {
        xpub.subscribe(number.to_string()).unwrap();
    }
    subs[1].subscribe("0").unwrap();
    assert_eq!(recv(&mut xpub), b"\x010");
    xpub.subscribe("0").unwrap();
    drop(subs.remove(0));
    let mut left = TOPICS;
    eventually("all are forgotten but what somebody else wants", || {
        xpub.try_send("9").unwrap();
        let forgotten = left - xpub.topic_count();
        assert!(forgotten <= CALL_BUDGET as usize, "{forgotten}");
        left -= forgotten;
        left == 1
    });
    assert_eq!((xpub.subscriber_count(), recv(&mut xpub)), (1, Message::from(b"\0goes")));
    assert_eq!(xpub.try_recv(), Err(RecvError::WouldBlock));
    xpub.send("0").unwrap();
    assert_eq!(recv(&mut subs[0]), "0");
}

#[test]
fn a_message_of_many_subscriptions_takes_effect_in_shares_and_in_order() {
    assert_eq!(subscribe_at_once::<Pub>(|_| false), 0);
    assert_eq!(subscribe_at_once::<XPub>(|xpub| xpub.try_recv().is_ok()), TOPICS + 2);
}

const TOPICS: usize = 20 * CALL_BUDGET as usize;

/// How many notices the application has received.
fn subscribe_at_once<P: Publishes>(receives: impl Fn(&mut Socket<P>) -> bool) -> usize {
    let place = Place::new(Transport::Tcp);
    let (mut socket, endpoint) = place.bound::<P>();
    let mut stream = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
    stream.write_all(&matrix::greeting_and_ready("SUB")).unwrap();
    let topics = (0..TOPICS).map(|number| [b"\x01", number.to_string().as_bytes()].concat());
    let frames: Vec<_> =
        topics.chain([b"\x010".to_vec(), b"\x00".to_vec(), b"\x001".to_vec(), b"\x01end".to_vec()]).collect();
    let mut octets = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        octets.extend([u8::from(at + 1 < frames.len()), u8::try_from(frame.len()).unwrap()]);
        octets.extend(frame);
    }
    stream.write_all(&octets).unwrap();
    let (mut count, mut told) = (0, 0);
    let mut look_at = |socket: &mut Socket<P>| {
        let before = std::mem::replace(&mut count, socket.topic_count());
        // One for each of a call's attempts, of which some make two.
        assert!(count - before <= 2 * CALL_BUDGET as usize, "{before}, {count}");
        count
    };
    eventually("all are taken in", || {
        socket.try_send("none").unwrap();
        look_at(&mut socket);
        while receives(&mut socket) {
            told += 1;
            look_at(&mut socket);
        }
        look_at(&mut socket);
        socket.wait_for_subscribers_to("end", 1, Duration::ZERO).is_ok()
    });
    assert_eq!(socket.topic_count(), TOPICS);
    stream.write_all(&octets).unwrap();
    drop(stream);
    eventually("all are forgotten", || {
        socket.try_send("none").unwrap();
        while receives(&mut socket) {}
        socket.topic_count() == 0
    });
    told
}

#[test]
fn a_call_takes_no_more_messages_than_it_has_a_budget_for_their_frames() {
    use SocketType::{Pub, Req, XPub};
    type Case = (SocketType, &'static str, &'static str, &'static [&'static [u8]], &'static [u8]);
    let cases: [Case; 7] = [
        (Pub, "SUB", "unwanted", &[], b""),
        (Pub, "SUB", "subscriptions", &[], b"\x01a"),
        (Pub, "SUB", "cancellations", &[], b"\0a"),
        (Pub, "SUB", "what is none behind a subscription", &[b"\x01a"], b""),
        (XPub, "SUB", "the same subscription", &[], b"\x01a"),
        (Req, "REP", "behind another envelope", &[b"x", b""], b""),
        (Req, "REP", "malformed", &[], b"x"),
    ];
    for (ours, theirs, what, in_front, frame) in cases {
        let what = format!("{ours:?}: {what}");
        let place = Place::new(Transport::Tcp);
        let builder = place.context.builder_for_any(ours).linger(Linger::DISCARD);
        let mut socket = builder.open().unwrap();
        let endpoint = socket.bind(place.address()).unwrap().to_string();
        let mut stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
        stream.write_all(&matrix::greeting_and_ready(theirs)).unwrap();
        eventually("it is connected", || socket.try_send("a question").is_ok() && !socket.peers().is_empty());
        let before = handled(&socket);
        say(&mut stream, &lot(in_front, frame).repeat(MESSAGES));
        eventually("all are taken", || {
            let last = handled(&socket);
            if ours == Req {
                socket.try_recv().unwrap_err();
            } else {
                socket.try_send("").unwrap();
            }
            let count = handled(&socket) - last;
            // One for each of a call's attempts, of which some make two.
            assert!(count <= 2, "{what}: {count}");
            handled(&socket) - before == MESSAGES as u64
        });
    }
}
