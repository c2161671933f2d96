//! Publishers that make no calls, and peers that subscribe to a lot meanwhile.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use super::*;
use crate::Pub;
use crate::io::ToSocket;
use crate::limits::{NOTES_OCTETS_PER_PEER, TOPIC_OCTETS_MAX};
use crate::sync::AtomicBool;

/// Most topics of the longest that wait.
const MOST: u64 = NOTES_OCTETS_PER_PEER / TOPIC_OCTETS_MAX as u64 + 1;

fn subscriber(endpoint: &Endpoint) -> TcpStream {
    let mut stream = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&matrix::greeting_and_ready("SUB")).unwrap();
    stream
}

/// Reads until the answer to this PING is there: then the I/O thread has had its turn.
fn ping(stream: &mut TcpStream, context: [u8; 4]) {
    stream.write_all(&[b"\x04\x0B\x04PING\0\0", &context[..]].concat()).unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(&context) {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        heard.extend(octet);
    }
}

/// Subscribes to as many of the longest topics as the kernels and the publisher take, until it is over.
fn subscribe_to_all(stream: &mut TcpStream, is_over: &AtomicBool) {
    stream.set_write_timeout(Some(Duration::from_millis(10))).unwrap();
    let mut body = [&b"\x09SUBSCRIBE"[..], &vec![b'x'; TOPIC_OCTETS_MAX]].concat();
    let header = [&[6][..], &(body.len() as u64).to_be_bytes()].concat();
    for number in 0..u32::MAX {
        body[10..14].copy_from_slice(&number.to_be_bytes());
        let octets = [&header[..], &body].concat();
        let mut written = 0;
        while written < octets.len() {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            match stream.write(&octets[written..]) {
                Ok(count) => written += count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }
}

/// Reads answers of a peer that comes, until the I/O thread has had many turns.
fn ping_often(endpoint: &Endpoint) {
    let mut other = subscriber(endpoint);
    (0..50_u32).for_each(|number| ping(&mut other, number.to_be_bytes()));
}

#[test]
fn topics_wait_at_a_peer_whose_publisher_makes_no_calls_until_it_goes() {
    // B-32
    let place = Place::new(Transport::Tcp);
    let (publisher, endpoint) = place.bound::<Pub>();
    let mut stream = subscriber(&endpoint);
    let mut mail = Vec::new();
    eventually("it has come", || {
        publisher.core.mailbox.take(&mut mail);
        mail.iter().any(|item| matches!(item, ToSocket::Attach(_)))
    });
    let pipe = mail.iter().find_map(|item| if let ToSocket::Attach(pipe) = item { Some(pipe) } else { None });
    let (pipe, is_over) = (pipe.unwrap(), AtomicBool::new(false));
    thread::scope(|scope| {
        let ending = Ending(&is_over);
        let filling = scope.spawn(|| subscribe_to_all(&mut stream, &is_over));
        eventually("it is full", || pipe.inbound.waiting() >= MOST - 1);
        ping_often(&endpoint);
        let waiting = pipe.inbound.waiting();
        drop(ending);
        filling.join().unwrap();
        assert!(waiting <= MOST, "{waiting}");
    });
    // What nobody will take in does not keep a connection that was reset.
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    eventually("it is gone", || publisher.peers().is_empty());
}
