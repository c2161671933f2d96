//! What becomes of messages when their socket and context are dropped.

use super::*;
use crate::RecvError;

/// Shorter than the time for which a context waits at most for messages that linger for ever.
const NOT_FOR_EVER: Duration = Duration::from_secs(20);

/// A sender in a context of its own, connected to where nobody is bound, with messages queued.
fn unsent(place: &Place, linger: impl Into<Linger>) -> (Context, Socket<Push>, Endpoint) {
    let context = Context::new();
    let endpoint = place.address();
    let mut push: Socket<Push> = context.builder_for().linger(linger).open().unwrap();
    push.connect(&endpoint).unwrap();
    for number in 0..100 {
        push.try_send(&numbered(number)).unwrap();
    }
    (context, push, endpoint)
}

#[test]
fn messages_sent_just_before_the_drop_arrive() {
    // X-37, L-05
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        for _ in 0..20 {
            let context = Context::new();
            let mut push = context.open::<Push>().unwrap();
            push.connect(&endpoint).unwrap();
            for number in 0..500 {
                push.try_send(&numbered(number)).unwrap();
            }
            drop((push, context));
            for number in 0..500 {
                assert_eq!(number_of(&recv(&mut pull)), number);
            }
        }
    });
}

#[test]
fn messages_sent_just_before_the_drop_of_the_bound_side_arrive() {
    // X-37, L-05
    over(WIRES, |place| {
        for _ in 0..20 {
            let context = Context::new();
            let mut push = context.open::<Push>().unwrap();
            let endpoint = push.bind(place.address()).unwrap();
            let mut pull: Socket<Pull> = place.connected(&endpoint);
            send(&mut push, &numbered(0));
            for number in 1..500 {
                push.try_send(&numbered(number)).unwrap();
            }
            drop((push, context));
            for number in 0..500 {
                assert_eq!(number_of(&recv(&mut pull)), number);
            }
        }
    });
}

#[test]
fn a_drop_waits_for_a_receiver_that_is_slower() {
    // Promise 10, X-37 (-1 blocks until sent), L-05
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let context = Context::new();
        let mut push = context.open::<Push>().unwrap();
        push.connect(&endpoint).unwrap();
        let body = Message::from(vec![5; 3 * LARGE]);
        for _ in 0..1000 {
            push.try_send(&body).unwrap();
        }
        thread::scope(|scope| {
            scope.spawn(move || drop((push, context)));
            for _ in 0..1000 {
                assert_eq!(recv(&mut pull).size(), 3 * LARGE);
            }
        });
        assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    });
}

#[test]
fn messages_linger_for_a_peer_that_comes_later() {
    // X-37, Tq1
    over(WIRES, |place| {
        let (context, push, endpoint) = unsent(place, Linger::Forever);
        drop(push);
        thread::scope(|scope| {
            scope.spawn(move || drop(context));
            let mut pull: Socket<Pull> = place.open();
            pull.bind(&endpoint).unwrap();
            for number in 0..100 {
                assert_eq!(number_of(&recv(&mut pull)), number);
            }
        });
    });
}

#[test]
fn without_linger_a_drop_does_not_wait() {
    // Promise 10, X-37
    over(WIRES, |place| {
        let (context, push, _) = unsent(place, Linger::DISCARD);
        let start = Instant::now();
        drop((push, context));
        assert!(start.elapsed() < NOT_FOR_EVER);
    });
}

#[test]
fn a_drop_waits_as_long_as_the_linger_says() {
    // Promise 10, X-37
    over(WIRES, |place| {
        let linger = Duration::from_millis(100);
        let (context, push, _) = unsent(place, linger);
        let start = Instant::now();
        drop(push);
        drop(context);
        assert!(start.elapsed() >= linger);
        assert!(start.elapsed() < NOT_FOR_EVER);
    });
}

#[test]
fn linger_can_be_changed_until_the_drop() {
    //
    over(WIRES, |place| {
        let (context, mut push, _) = unsent(place, Linger::Forever);
        push.set_linger(Linger::DISCARD);
        let start = Instant::now();
        drop((push, context));
        assert!(start.elapsed() < NOT_FOR_EVER);
    });
}

#[test]
fn a_stalled_peer_holds_a_drop_no_longer_than_the_linger() {
    //
    over(WIRES, |place| {
        let (pull, endpoint) = place.bound::<Pull>();
        let context = Context::new();
        let mut push: Socket<Push> = context.builder_for().linger(Duration::from_millis(50)).open().unwrap();
        push.connect(&endpoint).unwrap();
        fill(&mut push, &Message::from(vec![1; LARGE]));
        let start = Instant::now();
        drop((push, context));
        assert!(start.elapsed() < NOT_FOR_EVER);
        drop(pull);
    });
}

#[test]
fn a_shutdown_does_not_discard_what_was_accepted() {
    // L-05
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let context = Context::new();
        let mut push = context.open::<Push>().unwrap();
        push.connect(&endpoint).unwrap();
        for number in 0..500 {
            push.try_send(&numbered(number)).unwrap();
        }
        context.shutdown();
        drop((push, context));
        for number in 0..500 {
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
    });
}

#[test]
fn a_disconnect_lingers_as_a_drop_does() {
    // Promise 10: -1 delivers everything, 0 discards, t bounds it.
    over(WIRES, |place| {
        for round in 0..20 {
            let (mut pull, endpoint) = place.bound::<Pull>();
            let mut push = place.context.open::<Push>().unwrap();
            let connection = push.connect(&endpoint).unwrap();
            for number in 0..100 {
                push.try_send(&numbered(number)).unwrap();
            }
            if round % 2 == 0 {
                connection.disconnect()
            } else {
                push.disconnect(&endpoint).unwrap()
            }
            for number in 0..100 {
                assert_eq!(number_of(&recv(&mut pull)), number);
            }
        }
        for linger in [Duration::ZERO, STALL / 10] {
            let drops = Drops::default();
            let mut push: Socket<Push> = place.context.builder_for().linger(linger).open().unwrap();
            let connection = push.connect(place.address()).unwrap();
            for _ in 0..10 {
                push.try_send(drops.body()).unwrap();
            }
            connection.disconnect();
            eventually("everything is discarded", || drops.count() == 10);
            drop(push);
        }
    });
}

#[test]
fn closes_without_end_deliver_everything_and_closes_without_linger_end() {
    // Promise 10: many closes of each kind, each with a context of its own to wait for.
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        for round in 0..100 {
            let (context, push, _) = unsent(place, Linger::DISCARD);
            drop((push, context));
            let context = Context::new();
            let mut push = context.open::<Push>().unwrap();
            push.connect(&endpoint).unwrap();
            push.try_send(&numbered(round)).unwrap();
            drop((push, context));
            assert_eq!(number_of(&recv(&mut pull)), round);
        }
        assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    });
}

#[test]
fn a_connection_that_shakes_hands_with_nothing_to_send_is_not_waited_for() {
    // The peer accepts, and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let context = Context::new();
    let mut push = context.builder_for::<Push>().linger(Linger::Forever).open().unwrap();
    let connection = push.connect(Endpoint::tcp(listener.local_addr().unwrap())).unwrap();
    let (_peer, _) = listener.accept().unwrap();
    eventually("it shakes hands", || connection.state() == crate::ConnectionState::ShakingHands);
    let weak = Arc::downgrade(&context.inner);
    let begun = Instant::now();
    drop((push, context));
    assert!(weak.upgrade().is_none());
    assert!(begun.elapsed() < crate::limits::DROP_LINGER, "the drop has given up waiting");
}
