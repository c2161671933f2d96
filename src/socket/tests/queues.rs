//! The queue of each peer: when it begins, what it keeps, and when it ends.

use super::*;
use crate::{KernelBuffer, Pair, RecvError};

/// L-02, L-10, E-07, Tq1: "create a double queue when initiating an outgoing connection".
pub(super) fn messages_wait_for_a_peer_that_comes_later<S: Sends, R: Receives>(place: &Place) {
    let endpoint = place.address();
    let mut sender: Socket<S> = place.connected(&endpoint);
    for number in 0..1000 {
        sender.try_send(&numbered(number)).unwrap();
    }
    let mut receiver: Socket<R> = place.open();
    receiver.bind(&endpoint).unwrap();
    for number in 0..1000 {
        assert_eq!(number_of(&recv(&mut receiver)), number);
    }
}

#[test]
fn push_keeps_messages_for_a_peer_that_comes_later() {
    // L-02, E-07, Tq1
    over(ALL, messages_wait_for_a_peer_that_comes_later::<Push, Pull>);
}

#[test]
fn pair_keeps_messages_for_a_peer_that_comes_later() {
    // L-10, E-07, Tq1
    over(ALL, messages_wait_for_a_peer_that_comes_later::<Pair, Pair>);
}

/// Tq2: "destroy its queue, and any messages in it, when a peer disconnects" (a peer that connected to us).
pub(super) fn the_queue_of_a_peer_that_left_is_destroyed<S: Sends, R: Receives>(place: &Place) {
    let drops = Drops::default();
    let mut sender: Socket<S> = place.builder().send_hwm(50).send_buffer(small()).open().unwrap();
    let endpoint = sender.bind(place.address()).unwrap();
    let mut receiver: Socket<R> = place.builder().recv_hwm(1).recv_buffer(small()).open().unwrap();
    receiver.connect(&endpoint).unwrap();
    send(&mut sender, "first");
    assert_eq!(recv(&mut receiver), "first");
    let accepted = fill_with(|| drops.body(), |message| sender.send_timeout(message, TURN));
    assert!(accepted >= 50);
    drop(receiver);
    // The message that was handed back is counted too.
    eventually("every queued body is dropped", || {
        assert!(sender.try_send("no peer").is_err() || drops.count() <= accepted);
        drops.count() == accepted + 1
    });
    eventually("the peer is gone", || sender.try_send("lost with the peer").is_err());

    let mut next: Socket<R> = place.connected(&endpoint);
    send(&mut sender, "for the next");
    assert_eq!(recv(&mut next), "for the next");
}

#[test]
fn push_destroys_the_queue_of_a_peer_that_left() {
    // Promise 12, L-02, Tq2
    over(ALL, the_queue_of_a_peer_that_left_is_destroyed::<Push, Pull>);
}

#[test]
fn pair_destroys_the_queue_of_a_peer_that_left() {
    // L-10, Tq2
    over(ALL, the_queue_of_a_peer_that_left_is_destroyed::<Pair, Pair>);
}

#[test]
fn pull_keeps_what_a_peer_sent_before_it_left() {
    // Promise 4, L-07, L-05: accepted = delivered, without faults.
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.context.open().unwrap();
        push.connect(&endpoint).unwrap();
        for number in 0..1000 {
            send(&mut push, &numbered(number));
        }
        drop(push);
        for number in 0..1000 {
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
        assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    });
}

/// Tq4: fill one, the other still moves.
pub(super) fn the_two_directions_are_independent<T: Sends + Receives>(place: &Place) {
    let (mut ours, endpoint) = place.bound::<T>();
    let mut theirs: Socket<T> = place.connected(&endpoint);
    let accepted = fill(&mut theirs, &Message::from(vec![1; LARGE]));
    assert!(accepted >= 2000);
    for number in 0..5000 {
        send(&mut ours, &numbered(number));
        assert_eq!(number_of(&recv(&mut theirs)), number);
    }
    for _ in 0..accepted {
        assert_eq!(recv(&mut ours).size(), LARGE);
    }
    assert_eq!(ours.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn the_two_directions_of_a_pair_are_independent() {
    // L-10, Tq4
    over(ALL, the_two_directions_are_independent::<Pair>);
}

#[test]
fn everything_accepted_is_delivered_through_small_queues() {
    // L-05, L-12, X-41: no wake-up is lost, whatever the limits.
    over(ALL, |place| {
        for (send_hwm, recv_hwm) in [(1, 1), (1, 7), (2, 1), (10, 3)] {
            let mut pull: Socket<Pull> = place.builder().recv_hwm(recv_hwm).open().unwrap();
            let endpoint = pull.bind(place.address()).unwrap();
            let mut push: Socket<Push> = place.builder().send_hwm(send_hwm).open().unwrap();
            push.connect(&endpoint).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| {
                    for number in 0..5000 {
                        send(&mut push, &numbered(number));
                    }
                });
                for number in 0..5000 {
                    assert_eq!(number_of(&recv(&mut pull)), number);
                }
            });
        }
    });
}

fn small() -> KernelBuffer {
    KernelBuffer::octets(64 * 1024).unwrap()
}
