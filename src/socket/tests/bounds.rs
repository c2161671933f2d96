//! High-water marks: exact, in messages, on both sides.

use super::*;
use crate::{Hwm, KernelBuffer, Pair, SendError};

/// Messages of [`LARGE`] octets that two kernel buffers of 64 KiB (doubled by Linux) and a read that is
/// under way can hold.
const IN_THE_KERNEL: u64 = 24;

/// Tq3: accepted ≤ send_hwm + recv_hwm + kernel buffers; inproc exactly send_hwm + recv_hwm.
pub(super) fn a_stalled_peer_bounds_what_is_accepted<S: Sends, R: Receives>(place: &Place) {
    let small = KernelBuffer::octets(64 * 1024).unwrap();
    for (send_hwm, recv_hwm) in [(1, 1), (2, 1), (1, 10), (10, 2), (1000, 1000)] {
        let drops = Drops::default();
        let mut receiver: Socket<R> = place.builder().recv_hwm(recv_hwm).recv_buffer(small).open().unwrap();
        let endpoint = receiver.bind(place.address()).unwrap();
        let mut sender: Socket<S> = place.builder().send_hwm(send_hwm).send_buffer(small).open().unwrap();
        sender.connect(&endpoint).unwrap();
        let accepted = fill_with(|| drops.body(), |message| sender.send_timeout(message, TURN));
        let limits = u64::from(send_hwm + recv_hwm);
        match place.transport {
            Transport::Inproc => assert_eq!(accepted, limits),
            Transport::Abstract | Transport::Ipc | Transport::Tcp => {
                assert!((limits..=limits + IN_THE_KERNEL).contains(&accepted), "{accepted} of {limits}")
            }
        }
        // What the sender still holds is its own queue, and no more is accepted or held afterwards.
        for _ in 0..100 {
            assert_eq!(sender.try_send(drops.body()).unwrap_err().error, SendError::WouldBlock);
        }
        let handed_back = 101;
        assert!(accepted + handed_back - drops.count() <= limits);
        // One out is room again, in the end.
        for _ in 0..accepted {
            assert_eq!(recv(&mut receiver).size(), LARGE);
        }
        send(&mut sender, "room again");
        assert_eq!(recv(&mut receiver), "room again");
    }
}

#[test]
fn push_and_pull_queues_are_bounded() {
    // L-02, L-07, Tq3
    over(ALL, a_stalled_peer_bounds_what_is_accepted::<Push, Pull>);
}

#[test]
fn pair_queues_are_bounded() {
    // L-11, Tq3
    over(ALL, a_stalled_peer_bounds_what_is_accepted::<Pair, Pair>);
}

#[test]
fn inproc_takes_exactly_2000_messages_by_default() {
    // Promise 5, L-02, L-07, Tq3
    let place = Place::new(Transport::Inproc);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let mut push: Socket<Push> = place.connected(&endpoint);
    let mut accepted = 0;
    while push.try_send("one of many").is_ok() {
        accepted += 1;
    }
    assert_eq!(accepted, 2000);
    recv(&mut pull);
    push.try_send("one more").unwrap();
    assert_eq!(push.try_send("too many").unwrap_err().error, SendError::WouldBlock);
}

#[test]
fn without_a_peer_the_senders_limit_is_exact() {
    // Promise 5, L-02, L-04, Tq1, Tq3
    over(ALL, |place| {
        for limit in [1, 2, 10, 1000] {
            let mut push: Socket<Push> = place.builder().send_hwm(limit).open().unwrap();
            push.connect(place.address()).unwrap();
            for _ in 0..limit {
                push.try_send("queued").unwrap();
            }
            assert_eq!(push.try_send("too many").unwrap_err().error, SendError::WouldBlock);
        }
    });
}

#[test]
fn a_limit_of_zero_is_no_limit() {
    //
    over(ALL, |place| {
        let mut pull: Socket<Pull> = place.builder().recv_hwm(Hwm::UNLIMITED).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push: Socket<Push> = place.builder().send_hwm(Hwm::UNLIMITED).open().unwrap();
        push.connect(&endpoint).unwrap();
        for number in 0..50_000 {
            push.try_send(&numbered(number)).unwrap();
        }
        for number in 0..50_000 {
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
    });
}

#[test]
fn inproc_limits_add_up_also_when_the_connect_came_first() {
    // Tq1, Tq3
    let place = Place::new(Transport::Inproc);
    let endpoint = place.address();
    let mut push: Socket<Push> = place.builder().send_hwm(3).open().unwrap();
    push.connect(&endpoint).unwrap();
    for _ in 0..3 {
        push.try_send("before").unwrap();
    }
    push.try_send("too many").unwrap_err();
    let mut pull: Socket<Pull> = place.builder().recv_hwm(4).open().unwrap();
    pull.bind(&endpoint).unwrap();
    for _ in 0..4 {
        push.try_send("after").unwrap();
    }
    push.try_send("too many").unwrap_err();
}

#[test]
fn a_sender_that_waits_for_a_bind_is_told_of_it() {
    // L-04, Tq1: the bind adds the receiver's limit, which is room that nobody took a message for.
    let place = Place::new(Transport::Inproc);
    let endpoint = place.address();
    let mut push: Socket<Push> = place.builder().send_hwm(1).open().unwrap();
    push.connect(&endpoint).unwrap();
    push.try_send("queued").unwrap();
    push.try_send("too many").unwrap_err();
    let mut pull: Socket<Pull> = place.open();
    pull.bind(&endpoint).unwrap();
    assert!(push.core.mailbox.has_mail());
    push.try_send("waited").unwrap();
    assert_eq!(recv(&mut pull), "queued");
    assert_eq!(recv(&mut pull), "waited");
}

#[test]
fn a_queue_is_bounded_in_octets_too() {
    // The limit in octets holds to a segment and the message that crosses it; an empty queue takes any one.
    const LIMIT: u64 = 1 << 20;
    for size in [100, 3_000, 100_000, 3 << 20] {
        over(ALL, |place| {
            let builder = place.builder::<Push>().send_hwm(0).send_hwm_octets(LIMIT);
            let mut push = builder.open().unwrap();
            let endpoint = place.address();
            push.connect(&endpoint).unwrap();
            let message = vec![7; size];
            let mut sent = 0_u64;
            while push.try_send(&message).is_ok() {
                sent += 1;
            }
            let (octets, size) = (sent * size as u64, size as u64);
            assert!(octets >= (LIMIT * 7 / 8).min(size) && octets <= LIMIT * 11 / 8 + size, "{octets}");
            let mut pull = place.builder::<Pull>().recv_hwm_octets(LIMIT).open().unwrap();
            pull.bind(&endpoint).unwrap();
            for _ in 0..sent {
                assert_eq!(pull.recv_timeout(PATIENCE).unwrap(), message[..]);
            }
            // And there is room again.
            for _ in 0..sent * 3 {
                push.send_timeout(&message, PATIENCE).unwrap();
                assert_eq!(pull.recv_timeout(PATIENCE).unwrap(), message[..]);
            }
        });
    }
}

#[test]
fn what_finds_room_by_writing_what_was_queued_is_written_too() {
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.builder().send_hwm(1).open().unwrap();
        push.connect(&endpoint).unwrap();
        for _ in 0..200 {
            // Without a call in between that would write it later.
            for number in 0..5 {
                send(&mut push, &numbered(number));
            }
            for number in 0..5 {
                assert_eq!(number_of(&recv(&mut pull)), number);
            }
        }
    });
}
