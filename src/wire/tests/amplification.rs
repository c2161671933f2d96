//! E-21: whoever has not proven who it is cannot make us say more than it says itself, after the greetings, which both
//! sides send of their own accord.
//!
//! So nobody can have us flood somebody else, not even over a transport on which senders can be forged.

use super::*;
use crate::error::AuthStatus;

const GREETING: usize = 64;

/// Feeds every beginning of `stream`: with all of its octets the peer is let in, or not, as the verdict says.
#[track_caller]
fn says_no_more_than_it_hears(local: &Local, stream: &[u8], verdict: &Decision) {
    for end in 0..=stream.len() {
        let said = feed_judged(local.clone(), &stream[..end], [], verdict).sent.len();
        assert!(said <= GREETING + end.saturating_sub(GREETING), "{said} octets after {end}, {verdict:?}");
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
        for octets in [0, 1, 100, 194, 3000] {
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
