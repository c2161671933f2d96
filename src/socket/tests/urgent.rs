//! Octets that a peer sends as urgent: they are no part of the stream, and hold nothing up.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use socket2::SockRef;

use super::ends::Raw;
use super::in_step::is_at_work;
use super::*;
use crate::{Pull, Stream};

const TCP_AND_IPC: &[Transport] = &[Transport::Ipc, Transport::Tcp];

impl Raw {
    fn say_urgently(&self) {
        assert_eq!(self.0.send_out_of_band(b"!").unwrap(), 1);
    }
}

#[test]
fn what_is_behind_an_urgent_octet_is_heard_although_nobody_calls() {
    over(TCP_AND_IPC, |place| {
        let context = Context::builder().io_threads(1).build();
        let place = Place::in_context(place.transport, context.clone());
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut raw = Raw::connect(&endpoint, "PUSH");
        eventually("the peer is there", || {
            let _ = pull.try_recv();
            pull.core.pipes.iter().next().is_some()
        });
        let assist = Arc::clone(pull.core.pipes.iter().next().unwrap().assist.as_ref().unwrap());
        for _ in 0..20 {
            let mut is_said = false;
            eventually("nobody else is at work on it", || {
                assist.hold(&mut || {
                    if std::mem::replace(&mut is_said, true) {
                        return;
                    }
                    raw.say(b"\x04\x0A\x04PING\0\0one");
                    raw.say_urgently();
                    raw.say(b"\x04\x0A\x04PING\0\0two");
                    // Its I/O thread has heard of everything, and no other event will come.
                    assert!(is_at_work(&context, place.transport));
                })
            });
            let mut answers = [0; 20];
            raw.0.read_exact(&mut answers).unwrap();
            assert_eq!(&answers, b"\x04\x08\x04PONGone\x04\x08\x04PONGtwo");
        }
        // And it is not looked at over and over.
        let calls = assist.calls();
        for _ in 0..20 {
            assert!(is_at_work(&context, place.transport));
        }
        assert_eq!(assist.calls(), calls);
    });
}

#[test]
fn messages_around_urgent_octets_arrive_without_them() {
    over(TCP_AND_IPC, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut raw = Raw::connect(&endpoint, "PUSH");
        for number in 0..100 {
            // One at a time: tcp makes an urgent octet behind which another one comes a part of the stream.
            let [a, b, c, d] = numbered(number);
            raw.say(&[0, 4, a, b]);
            raw.say_urgently();
            raw.say(&[c, d]);
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
    });
}

#[test]
fn a_stream_hears_what_is_around_urgent_octets() {
    let place = Place::new(Transport::Tcp);
    let (mut socket, endpoint) = place.bound::<Stream>();
    let mut peer = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
    peer.write_all(b"ab").unwrap();
    assert_eq!(SockRef::from(&peer).send_out_of_band(b"!").unwrap(), 1);
    peer.write_all(b"cd").unwrap();
    let mut heard = Vec::new();
    while heard.len() < 4 {
        heard.extend_from_slice(socket.recv_timeout(PATIENCE).unwrap().1.body());
    }
    assert_eq!(heard, b"abcd");
    drop(peer);
    // The end is heard, too.
    while !socket.recv_timeout(PATIENCE).unwrap().1.body().is_empty() {}
}
