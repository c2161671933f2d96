//! Heartbeats over a clock of their own: H-02, H-07 to H-11, H-13, H-14.

use std::time::{Duration, Instant};

use super::super::heartbeat::{Heartbeat, Signs, Silent};
use super::Outbox;
use crate::limits::{DOUBT_LIMIT, PINGS_UNANSWERED_MAX};
use crate::options::{HeartbeatInterval, HeartbeatTimeout, HeartbeatTtl, Options};

const SECOND: Duration = Duration::from_secs(1);

/// A heartbeat, its clock, and a peer that reads everything.
struct Bench {
    heartbeat: Heartbeat,
    start: Instant,
    out: Outbox,
    signs: Signs,
    next: Option<Instant>,
}

impl Bench {
    fn new(options: &Options) -> Self {
        let start = Instant::now();
        let heartbeat = Heartbeat::new(options.into());
        let mut bench = Self { heartbeat, start, out: Outbox::new(), signs: Signs::default(), next: None };
        assert_eq!(bench.at(Duration::ZERO), Ok(vec![]), "no PING is due at once");
        bench
    }

    /// One that sends no PINGs of its own.
    fn listener() -> Self {
        Self::new(&Options::default())
    }

    /// Looks at this time; what is sent.
    fn at(&mut self, time: Duration) -> Result<Vec<u8>, Silent> {
        self.next = self.heartbeat.handle_timeout(self.start + time, self.signs, &mut self.out)?;
        let sent = self.out.octets().to_vec();
        self.out.advance(sent.len());
        Ok(sent)
    }

    /// Looks whenever it wants to, up to this time; when it found silence.
    fn run(&mut self, until: Duration) -> Option<Duration> {
        while let Some(next) = self.next.filter(|next| *next <= self.start + until) {
            let time = next - self.start;
            if self.at(time).is_err() {
                return Some(time);
            }
        }
        None
    }

    fn ping(&mut self, ttl_tenths: u16, time: Duration) {
        self.heartbeat.on_ping(ttl_tenths);
        self.signs.heard += 9;
        if self.heartbeat.has_news() {
            assert_eq!(self.at(time), Ok(vec![]));
        }
    }
}

fn every_second() -> Options {
    Options { heartbeat_interval: HeartbeatInterval::every(SECOND), ..Options::default() }
}

#[test]
fn a_ping_carries_our_ttl_in_tenths_of_a_second() {
    // H-02
    let ttl = HeartbeatTtl::after(Duration::from_millis(25_699)).unwrap();
    let mut bench = Bench::new(&Options { heartbeat_ttl: ttl, ..every_second() });
    assert_eq!(bench.at(SECOND), Ok(b"\x04\x07\x04PING\x01\x00".to_vec()));
}

#[test]
fn without_an_interval_nothing_is_sent_and_no_timer_runs() {
    let mut bench = Bench::listener();
    assert!(!bench.heartbeat.has_news());
    assert_eq!((bench.at(1000 * SECOND), bench.next), (Ok(vec![]), None));
}

#[test]
fn a_peer_that_does_not_answer_in_time_is_silent() {
    // H-07, H-10: the timeout is the interval by default.
    assert_eq!(Bench::new(&every_second()).run(60 * SECOND), Some(2 * SECOND));
    let timeout = HeartbeatTimeout::after(SECOND / 4);
    let mut bench = Bench::new(&Options { heartbeat_timeout: timeout, ..every_second() });
    assert_eq!(bench.run(60 * SECOND), Some(SECOND + SECOND / 4));
}

#[test]
fn without_a_timeout_a_peer_may_be_silent_for_ever() {
    let timeout = HeartbeatTimeout::NEVER;
    let mut bench = Bench::new(&Options { heartbeat_timeout: timeout, ..every_second() });
    assert_eq!(bench.run(600 * SECOND), None);
}

#[test]
fn any_traffic_is_a_sign_of_life() {
    // H-08
    let mut bench = Bench::new(&every_second());
    for second in 1..100 {
        assert_eq!(bench.at(second * SECOND).unwrap().len(), 9, "{second}");
        bench.signs.heard += 1;
    }
    assert_eq!(bench.at(101 * SECOND), Ok(vec![4, 7, 4, b'P', b'I', b'N', b'G', 0, 0]));
}

#[test]
fn few_pings_are_outstanding() {
    // H-09: a timeout that is longer than the interval.
    let timeout = HeartbeatTimeout::after(100 * SECOND);
    let mut bench = Bench::new(&Options { heartbeat_timeout: timeout, ..every_second() });
    let sent: usize = (1..50).map(|second| bench.at(second * SECOND).unwrap().len() / 9).sum();
    assert_eq!(sent, usize::from(PINGS_UNANSWERED_MAX));
}

#[test]
fn a_ping_that_waits_behind_messages_is_not_repeated_and_octets_that_are_taken_are_signs() {
    // H-09
    let mut bench = Bench::new(&every_second());
    for second in 1..6 {
        bench.signs.taken += 65_536;
        let at = bench.start + second * SECOND;
        assert!(bench.heartbeat.handle_timeout(at, bench.signs, &mut bench.out).is_ok());
        assert_eq!(bench.out.len(), 9);
    }
    // It takes no more, either: that was the last sign.
    let mut end = Ok(None);
    for second in 6..9 {
        let at = bench.start + second * SECOND;
        end = end.and_then(|_| bench.heartbeat.handle_timeout(at, bench.signs, &mut bench.out));
    }
    assert_eq!(end, Err(Silent));
}

#[test]
fn a_peer_that_we_do_not_read_is_not_silent() {
    // H-08: the application does not receive, so nobody knows.
    let mut bench = Bench::new(&every_second());
    bench.signs.is_deaf = true;
    assert_eq!(bench.run(100 * SECOND), None);
    bench.signs.is_deaf = false;
    let silent_at = bench.run(200 * SECOND).unwrap();
    assert!((101 * SECOND..=103 * SECOND).contains(&silent_at), "{silent_at:?}");
}

#[test]
fn the_ttl_of_a_peer_is_honoured_in_full() {
    // H-11: TTL 1 is 0.1 s; 65535 is 6553.5 s, which libzmq makes 65.5 s (#4226).
    for (tenths, ttl) in
        [(1, SECOND / 10), (655, 65 * SECOND + SECOND / 2), (65_535, 6553 * SECOND + SECOND / 2)]
    {
        let mut bench = Bench::listener();
        bench.ping(tenths, SECOND);
        assert_eq!(bench.run(10_000 * SECOND), Some(SECOND + ttl));
    }
}

#[test]
fn traffic_within_the_ttl_renews_it() {
    // H-11
    let mut bench = Bench::listener();
    bench.ping(10, Duration::ZERO);
    assert_eq!(bench.run(SECOND * 3 / 4), None);
    bench.signs.heard += 1;
    let silent_at = bench.run(10 * SECOND).unwrap();
    assert!((SECOND * 7 / 4..=SECOND * 2).contains(&silent_at), "{silent_at:?}");
}

#[test]
fn a_ttl_of_zero_is_no_hint() {
    // H-13
    let mut bench = Bench::listener();
    bench.ping(0, Duration::ZERO);
    assert_eq!((bench.heartbeat.has_news(), bench.next), (false, None));
}

#[test]
fn a_new_ping_replaces_the_ttl() {
    // H-14: longer, shorter, none.
    let mut bench = Bench::listener();
    bench.ping(1, Duration::ZERO);
    bench.ping(100, SECOND / 20);
    assert_eq!(bench.run(9 * SECOND), None);
    bench.ping(1, 9 * SECOND);
    bench.ping(0, 9 * SECOND + SECOND / 20);
    assert_eq!(bench.run(100 * SECOND), None);
    bench.ping(100, 100 * SECOND);
    bench.ping(1, 101 * SECOND);
    assert_eq!(bench.run(200 * SECOND), Some(101 * SECOND + SECOND / 10));
}

#[test]
fn a_peer_in_doubt_is_asked_once_and_gone_without_a_sign_of_life() {
    // Whatever the options say: never asked, or seldom.
    for options in [
        Options::default(),
        Options { heartbeat_interval: HeartbeatInterval::every(60 * SECOND), ..Options::default() },
    ] {
        let mut bench = Bench::new(&options);
        bench.signs.heard += 7; // said before, and not looked at
        let doubt =
            |bench: &mut Bench, time| bench.heartbeat.doubt(bench.start + time, bench.signs, &mut bench.out);
        doubt(&mut bench, SECOND);
        assert_eq!(bench.at(SECOND), Ok(b"\x04\x07\x04PING\0\0".to_vec()));
        doubt(&mut bench, 2 * SECOND);
        assert_eq!(bench.at(2 * SECOND), Ok(vec![]), "it was asked already");
        bench.signs.heard += 7;
        assert_eq!(bench.at(2 * SECOND), Ok(vec![]));
        assert_eq!(bench.run(10 * SECOND), None, "it has answered");
        doubt(&mut bench, 10 * SECOND);
        assert_eq!(bench.at(10 * SECOND), Ok(b"\x04\x07\x04PING\0\0".to_vec()));
        assert_eq!(bench.run(30 * SECOND), Some(10 * SECOND + DOUBT_LIMIT));
    }
}

#[test]
fn a_peer_that_changes_its_mind_leaves_few_timers() {
    // As a session does: a timer for each time that is nearer than the one before.
    let mut bench = Bench::listener();
    let (mut armed, mut timers) = (None, 0);
    for ttl_tenths in (1..=u16::MAX).rev() {
        bench.heartbeat.on_ping(ttl_tenths);
        bench.at(Duration::ZERO).unwrap();
        let next = bench.next.unwrap();
        if armed.is_none_or(|armed| next < armed) {
            (armed, timers) = (Some(next), timers + 1);
        }
    }
    assert!(timers <= 400, "{timers}");
}
