//! The greeting on real sockets: Z-01, Z-07, Z-10, Z-11, Z-16, Z-18, Z-19, Z-23, Z-24; X-04.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use interop_tests::raw::random::Random;
use interop_tests::raw::vectors::{G_NULL31, SIGNATURE_OCTETS, greeting, message, ready};
use interop_tests::raw::{Meeting, Role, Speaks, Transport, everywhere, message_of};
use peermq::{Pair, Pull, Push, Receives, Socket};

fn ours_comes_first<P: Speaks>() {
    everywhere::<P>(|meeting| {
        let mut peer = meeting.peer();
        assert_eq!(peer.read(SIGNATURE_OCTETS), G_NULL31[..10], "{:?} {:?}", meeting.role, meeting.transport);
        assert_eq!(peer.read_all_after(|peer| peer.finish()), b"");
        meeting.live();
    });
}

/// What comes after an action that makes the other side close.
trait After {
    fn read_all_after(&mut self, action: impl FnOnce(&mut Self)) -> Vec<u8>;
}

impl After for interop_tests::raw::Peer {
    fn read_all_after(&mut self, action: impl FnOnce(&mut Self)) -> Vec<u8> {
        action(self);
        self.read_to_end()
    }
}

#[test]
fn our_signature_comes_before_the_peer_says_anything() {
    // Z-01, Z-10, Z-23: what a peer of any version understands, and nothing else.
    ours_comes_first::<Push>();
    ours_comes_first::<Pull>();
    ours_comes_first::<Pair>();
}

#[test]
fn a_peer_that_stops_inside_its_greeting_has_as_much_of_ours_as_its_version_allows() {
    // Z-07, Z-11: every k of 0..64; all of ours from the eleventh on, as-server 00 in both roles.
    everywhere::<Pull>(|meeting| {
        for k in 0..G_NULL31.len() {
            let mut peer = meeting.peer();
            peer.write(&G_NULL31[..k]);
            let heard = match k {
                0..10 => 10,
                10 => 11,
                _ => 64,
            };
            assert_eq!(peer.read(heard), G_NULL31[..heard], "after {k} octets");
            peer.write(&G_NULL31[k..]);
            assert_eq!(peer.read(64 - heard), G_NULL31[heard..], "after {k} octets");
            peer.write(&ready("PUSH"));
            peer.write(&message(&["late"]));
            assert_eq!(peer.frame().unwrap().flags, 4);
            assert_eq!(meeting.socket.recv().unwrap(), "late");
            peer.finish();
            peer.read_to_end();
        }
    });
}

#[test]
fn what_is_no_zmtp_is_refused_without_a_ready() {
    // Z-16: a version that never was, and signatures that are none.
    let starts = [
        &greeting(0, 1, b"NULL")[..],
        b"\0",
        b"\0\0\0\x08",
        b"G",
        b"GET / HTTP/1.1",
        b"\xff\0\0\0\0\0\0\0\x01\x7d",
    ];
    everywhere::<Pull>(|meeting| {
        for start in starts {
            let mut peer = meeting.peer();
            peer.write(start);
            peer.finish();
            let heard = peer.read_to_end();
            // Closing with octets unread may take some of ours away again.
            assert!(G_NULL31[..11].starts_with(&heard), "{start:02x?}: {heard:02x?}");
        }
        meeting.live();
    });
}

#[test]
fn another_mechanism_gets_our_whole_greeting_and_no_ready() {
    // Z-18, Z-19
    let others: [&[u8]; 8] =
        [b"PLAIN", b"CURVE", b"null", b"NULLX", b"NULL ", b"NULL\0X", b"", b"NNNNNNNNNNNNNNNNNNNN"];
    everywhere::<Push>(|meeting| {
        for mechanism in others {
            let mut peer = meeting.peer();
            peer.write(&greeting(3, 1, mechanism));
            assert_eq!(peer.read_to_end(), G_NULL31, "{mechanism:?}");
        }
        meeting.live();
    });
}

#[test]
fn any_version_from_3_0_up_passes_messages() {
    // Z-14, Z-15
    everywhere::<Pull>(|meeting| {
        for (major, minor) in [(3, 0), (3, 1), (3, 2), (3, 255), (4, 0), (255, 255)] {
            let mut peer = meeting.peer();
            peer.write(&greeting(major, minor, b"NULL"));
            peer.write(&[ready("PUSH"), message(&["from", "afar"])].concat());
            assert_eq!(meeting.socket.recv().unwrap(), ["from", "afar"]);
            peer.finish();
            assert_eq!(peer.read_to_end(), [&G_NULL31[..], &ready("PULL")].concat());
        }
        meeting.live();
    });
}

/// A whole conversation of a peer that sends, and its messages.
fn conversation(peer: &str) -> (Vec<u8>, [Vec<&'static str>; 3]) {
    let messages = [vec!["one"], vec![""], vec!["two", "", "three"]];
    let mut octets = [&G_NULL31[..], &ready(peer)].concat();
    octets.extend(messages.iter().flat_map(|frames| message(frames)));
    (octets, messages)
}

fn converse<P: Speaks + Receives>(meeting: &mut Meeting<P>, cuts: impl IntoIterator<Item = usize>) {
    let (octets, messages) = conversation(P::PEER);
    let mut peer = meeting.peer();
    peer.write_cut(&octets, cuts);
    for frames in &messages {
        assert_eq!(received(&mut meeting.socket), message_of(frames));
    }
    peer.finish();
    assert_eq!(peer.read_to_end(), [&G_NULL31[..], &ready(P::NAME)].concat());
}

fn received<P: Receives>(socket: &mut Socket<P>) -> peermq::Message {
    socket.recv().unwrap()
}

#[test]
fn messages_right_behind_the_greeting_are_delivered() {
    // Z-24: greeting, READY and three messages in one write; X-04: one octet per write.
    everywhere::<Pull>(|meeting| {
        converse(meeting, []);
        converse(meeting, 1..conversation("PUSH").0.len());
    });
}

#[test]
fn a_conversation_is_the_same_at_every_cut() {
    // Z-24, SPLIT: every single offset, and seeded cuts.
    for role in [Role::Binds, Role::Connects] {
        let mut meeting = Meeting::<Pull>::new(role, Transport::Tcp);
        let len = conversation("PUSH").0.len();
        for cut in 1..len {
            converse(&mut meeting, [cut]);
        }
        let mut random = Random(24);
        for every in [2, 3, 5, 9, 17, 33] {
            converse(&mut meeting, random.cuts(len, every));
        }
        meeting.live();
    }
}

#[test]
fn a_pair_hears_a_conversation_in_single_octets() {
    // Z-24, X-04
    for role in [Role::Binds, Role::Connects] {
        let mut meeting = Meeting::<Pair>::new(role, Transport::Tcp);
        converse(&mut meeting, 1..conversation("PAIR").0.len());
        meeting.live();
    }
}
