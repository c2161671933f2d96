//! Closing with a report: what was queued is flushed or dropped, and counted.

use super::*;
use crate::{ConnectionState, Pair, RecvError};

#[test]
fn what_is_queued_is_flushed_to_a_peer_that_is_there() {
    // Promise 10
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        for _ in 0..20 {
            let mut push: Socket<Push> = place.open();
            let connection = push.connect(&endpoint).unwrap();
            for number in 0..500 {
                push.try_send(&numbered(number)).unwrap();
            }
            let report = push.close(PATIENCE);
            assert!(report.flushed <= 500 && report.dropped == 0, "{report:?}");
            assert_eq!(connection.state(), ConnectionState::Closed);
            for number in 0..500 {
                assert_eq!(number_of(&recv(&mut pull)), number);
            }
        }
        assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    });
}

#[test]
fn what_nobody_takes_is_dropped_at_the_deadline_whatever_the_linger() {
    // Promise 10, X-37
    over(WIRES, |place| {
        let mut push = place.context.open::<Push>().unwrap();
        push.connect(place.address()).unwrap();
        for number in 0..100 {
            push.try_send(&numbered(number)).unwrap();
        }
        let start = Instant::now();
        let report = push.close(STALL / 3);
        assert_eq!((report.flushed, report.dropped), (0, 100));
        assert!(start.elapsed() >= STALL / 3);
    });
}

#[test]
fn flushed_and_dropped_are_exact_with_a_peer_that_stalls() {
    over(WIRES, |place| {
        for bodies in [10, 3 * LARGE] {
            let (mut pull, endpoint) = place.bound::<Pull>();
            let mut push: Socket<Push> = place.open();
            push.connect(&endpoint).unwrap();
            let accepted = fill(&mut push, &Message::from(vec![1; bodies]));
            let report = push.close(STALL / 6);
            assert!(report.dropped > 0);
            for _ in 0..accepted - report.dropped {
                assert_eq!(recv(&mut pull).size(), bodies);
            }
            eventually("the sender is gone", || pull.peers().is_empty());
            assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock), "{report:?} of {accepted}");
        }
    });
}

#[test]
fn a_peer_that_receives_slowly_gets_everything() {
    over(WIRES, |place| {
        let (mut push, endpoint) = place.bound::<Push>();
        let mut pull: Socket<Pull> = place.connected(&endpoint);
        send(&mut push, "ready");
        assert_eq!(recv(&mut pull), "ready");
        let body = Message::from(vec![5; 3 * LARGE]);
        for _ in 0..1000 {
            push.try_send(&body).unwrap();
        }
        thread::scope(|scope| {
            let closing = scope.spawn(move || push.close(PATIENCE));
            for _ in 0..1000 {
                assert_eq!(recv(&mut pull).size(), 3 * LARGE);
            }
            assert_eq!(closing.join().unwrap().dropped, 0);
        });
    });
}

#[test]
fn what_was_queued_for_a_peer_that_goes_is_dropped() {
    over(WIRES, |place| {
        let (mut push, endpoint) = place.bound::<Push>();
        let pull: Socket<Pull> = place.connected(&endpoint);
        fill(&mut push, &Message::from(vec![1; LARGE]));
        thread::scope(|scope| {
            let closing = scope.spawn(move || push.close(PATIENCE));
            drop(pull);
            assert!(closing.join().unwrap().dropped > 0);
        });
    });
}

#[test]
fn a_close_needs_neither_a_peer_nor_a_running_context() {
    over(ALL, |place| {
        let report = place.open::<Pair>().close(PATIENCE);
        assert_eq!((report.flushed, report.dropped), (0, 0));
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "first");
        assert_eq!(recv(&mut pull), "first");
        push.try_send("last").unwrap();
        place.context.shutdown();
        assert_eq!(push.close(PATIENCE).dropped, 0);
        assert_eq!(pull.close(Duration::ZERO).dropped, 0);
    });
}
