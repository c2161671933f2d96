//! Heartbeats: nothing that happens at the same time makes a socket forget to ask. H-07, H-10.

use std::sync::{Mutex, mpsc};

use super::ends::{Raw, listen};
use super::*;
use crate::{Authorizer, Candidate, Decision, ReconnectInterval};

const WIRES: &[Transport] = &[Transport::Ipc, Transport::Tcp];

/// Long enough for everything that happens in one.
const INTERVAL: Duration = Duration::from_millis(250);

/// Sends PING, and never takes a peer for silent.
fn asking(place: &Place) -> Socket<Pull> {
    let builder = place.builder().reconnect_interval(ReconnectInterval::Every(TURN));
    builder.heartbeat_interval(INTERVAL).heartbeat_timeout(2 * PATIENCE).open().unwrap()
}

/// Waits for the next PING.
fn is_asked(peer: &mut Raw) {
    let frame = peer.frame();
    assert!(frame.starts_with(b"\x04PING"), "{frame:?}");
}

#[test]
fn a_peer_that_answers_while_the_io_thread_is_late_is_asked_again() {
    over(WIRES, |place| {
        let place = Place::in_context(place.transport, Context::builder().io_threads(1).build());
        // Somebody else's authorizer holds the thread up.
        let ((tell, held), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
        let released = Mutex::new(released);
        let slow = Authorizer::new(move |_: &Candidate| {
            tell.send(()).unwrap();
            let _ = released.lock().unwrap().recv();
            Decision::allow()
        });
        let mut other: Socket<Pull> = place.builder().authorizer(&slow).open().unwrap();
        let elsewhere = other.bind(place.address()).unwrap();
        let mut pull = asking(&place);
        let endpoint = pull.bind(place.address()).unwrap().into();
        let mut peer = Raw::connect(&endpoint, "PUSH");
        is_asked(&mut peer);
        let visitors = Place::new(place.transport);
        let _visitor: Socket<Push> = visitors.connected(elsewhere.endpoint());
        held.recv_timeout(PATIENCE).unwrap();
        // Some messages, so that the socket's own thread hears the next ones, too.
        for _ in 0..20 {
            peer.say(b"\0\x01x");
            assert_eq!(recv(&mut pull), "x");
        }
        // The next PING is late when the answer to the last one comes.
        pull.recv_timeout(INTERVAL).unwrap_err();
        peer.say(b"\x04\x05\x04PONG\0\x01y");
        assert_eq!(recv(&mut pull), "y");
        is_asked(&mut peer);
        release.send(()).unwrap();
        is_asked(&mut peer);
    });
}

#[test]
fn a_peer_that_comes_back_within_an_interval_is_asked() {
    over(WIRES, |place| {
        let endpoint = place.address();
        let listener = listen(&endpoint);
        let mut pull = asking(place);
        pull.connect(&endpoint).unwrap();
        // When it goes the time of its next PING is still to come.
        is_asked(&mut Raw::accept(&listener, "PUSH"));
        let mut peer = Raw::accept(&listener, "PUSH");
        (0..3).for_each(|_| is_asked(&mut peer));
    });
}
