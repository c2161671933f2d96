//! E-21: whoever has not proven who it is cannot make us say more than it says itself, after the greetings, which both
//! sides send of their own accord.
//!
//! So nobody can have us flood somebody else, not even over a transport on which senders can be forged. Where nobody is
//! asked, with plain NULL, there are no strangers: what goes out before a peer has said who it is has a bound.

use super::*;
use crate::error::AuthStatus;

const GREETING: usize = 64;

/// Feeds every beginning of `stream`, until the peer is no stranger any more.
#[track_caller]
fn says_no_more_than_it_hears(local: &Local, stream: &[u8], verdict: &Decision) {
    for end in 0..=stream.len() {
        let outcome = feed_judged(local.clone(), &stream[..end], [], verdict);
        let said = outcome.sent.len();
        let is_stranger = outcome.peer.is_none();
        assert!(said <= GREETING.max(end) || !is_stranger, "{said} octets after {end}, {verdict:?}");
    }
}

fn verdicts() -> [Decision; 3] {
    let refuse = |status| Decision::Refuse(status, Reason::new("why"));
    [Decision::allow(), refuse(AuthStatus::Refused), refuse(AuthStatus::Failed)]
}

#[test]
fn a_stranger_of_plain_hears_no_more_than_it_says() {
    // E-21. A HELLO without name and password has ten octets, and its refusal twelve: by RFC 24, nothing is shorter.
    let short = command("HELLO", b"\x01a\x01b");
    for hello in [rfc24_plain::HELLO, &short] {
        for verdict in verdicts() {
            let stream = [&rfc24_plain::greeting_of(false), hello].concat();
            says_no_more_than_it_hears(&rfc24_plain::server(), &stream, &verdict);
        }
    }
}

#[cfg(feature = "curve")]
#[test]
fn a_stranger_of_curve_hears_no_more_than_it_says() {
    // E-21: "CURVE HELLO 202 > WELCOME 170".
    assert!(curve::hello().len() > curve::vector("WELCOME").len() + 2);
    for verdict in verdicts() {
        let stream = [curve::greeting_of(false), curve::hello(), curve::initiate()].concat();
        says_no_more_than_it_hears(&curve::our_server(), &stream, &verdict);
    }
}

#[test]
fn nonsense_is_answered_with_less() {
    // E-21
    for name in ["HELLO", "INITIATE", "READY", "NOBODY-KNOWS"] {
        for octets in [0, 1, 100, 194, 3000, 3100] {
            let stream = [&greeting(3, 1, b"NULL")[..], &command(name, &vec![0; octets])].concat();
            says_no_more_than_it_hears(&guarded_null(SocketType::Pull), &stream, &Decision::allow());
            let stream = [&rfc24_plain::greeting_of(false)[..], &command(name, &vec![0; octets])].concat();
            says_no_more_than_it_hears(&rfc24_plain::server(), &stream, &Decision::allow());
            #[cfg(feature = "curve")]
            {
                let stream = [&curve::greeting_of(false)[..], &command(name, &vec![0; octets])].concat();
                says_no_more_than_it_hears(&curve::our_server(), &stream, &Decision::allow());
            }
        }
    }
}

#[test]
fn what_is_too_long_is_answered_with_no_more_than_has_come_of_it() {
    // E-21: from its header on, of nine octets.
    let local = guarded_null(SocketType::Pull);
    let header = &too_long(1 << 40)[..9];
    let octet_by_octet = [&greeting(3, 1, b"NULL")[..], header, &[b'x'; 100]].concat();
    says_no_more_than_it_hears(&local, &octet_by_octet, &Decision::allow());
    assert_eq!(feed(local, &octet_by_octet, []).commands(), ERROR_TOO_LARGE);
}

fn guarded_null(socket_type: SocketType) -> Local {
    Local { security: guarded(Settings::Null), ..local(socket_type) }
}

#[test]
fn a_stranger_of_null_hears_no_more_than_it_says() {
    // E-21, where somebody is asked about each peer: of every socket type, of none, and of one that nobody knows.
    let names = SocketType::ALL.iter().map(|it| it.name().as_bytes()).chain([&b"X"[..], b""]);
    let mut readies: Vec<Vec<u8>> = names.map(|name| ready(&[("Socket-Type", name)])).collect();
    readies.extend([ready(&[]), ready(&[("Identity", b"a")])]);
    for &ours in SocketType::ALL.iter().filter(|ours| !ours.is_raw()) {
        for ready in &readies {
            for verdict in verdicts() {
                let stream = [&greeting(3, 1, b"NULL")[..], ready].concat();
                says_no_more_than_it_hears(&guarded_null(ours), &stream, &verdict);
            }
        }
        // Whoever names a type that does not fit is told, however short its name is.
        let unfit =
            SocketType::ALL.iter().find(|theirs| theirs.name().len() == 3 && !ours.talks_to(**theirs));
        let unfit = ready(&[("Socket-Type", unfit.unwrap().name().as_bytes())]);
        let outcome = feed(guarded_null(ours), &[&greeting(3, 1, b"NULL")[..], &unfit].concat(), []);
        assert_eq!(outcome.commands(), ERROR_SOCKET_TYPE, "{ours:?}");
    }
}

#[test]
fn where_nobody_is_asked_a_peer_hears_who_we_are_and_no_more() {
    // E-21, D1: READY, with the longest routing id, as soon as the greeting is there, and nothing until the peer's.
    let longest = [7; limits::ROUTING_ID_MAX];
    for &ours in SocketType::ALL.iter().filter(|ours| !ours.is_raw()) {
        let local = Local { options: named(&longest), ..local(ours) };
        let theirs = ours.peers()[0].name().as_bytes();
        let stream = [&greeting(3, 1, b"NULL")[..], &ready(&[("Socket-Type", theirs)])].concat();
        let said = |end: usize| feed(local.clone(), &stream[..end], []).sent.len();
        for end in 0..GREETING {
            assert!(said(end) <= GREETING);
        }
        let most = GREETING + ready_of(ours, &longest).len();
        assert!(most <= GREETING + 2 + HELD_MAX);
        assert!((GREETING..=stream.len()).all(|end| said(end) == most), "{ours:?}");
    }
}

#[test]
fn old_peers_hear_a_routing_id_and_no_more() {
    // E-21: behind one octet of ZMTP 1.0, and behind the version of ZMTP 2.0.
    let longest = [7; limits::ROUTING_ID_MAX];
    for &ours in SocketType::ALL.iter().filter(|ours| !ours.is_raw()) {
        let local = Local { options: named(&longest), ..local(ours) };
        let said = |stream: &[u8]| feed(local.clone(), stream, []).sent.len();
        let ours = usize::from(ours.announces_routing_id()) * longest.len();
        let one = [&b"\xff\0\0\0\0\0\0\x01\0\0"[..], &longest].concat();
        for end in 0..=one.len() {
            assert!(said(&one[..end]) <= 10 + ours, "{end}");
        }
        assert_eq!(said(b"\x01"), 10 + ours);
        let two = [&b"\xff\0\0\0\0\0\0\0\0\x7f\x01"[..], &[0; 300]].concat();
        assert!((0..=two.len()).all(|end| said(&two[..end]) <= 11 + 3 + ours));
        assert_eq!((said(&two[..10]), said(&two[..11])), (11, 11 + 3 + ours));
    }
}
