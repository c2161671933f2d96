//! PUB and SUB: who gets what, what is dropped, and what subscriptions do.

use super::*;
use crate::{KernelBuffer, Pub, Publishes, RecvError, Sub, SubscribersError, Subscribes, XPub, XSub};

/// A publisher and a subscriber, with the publisher bound or connected, and the subscriber known to it.
pub(super) fn met<P: Publishes, S: Subscribes>(
    place: &Place,
    binds: Binds,
    topics: &[&str],
) -> (Socket<P>, Socket<S>) {
    let (mut publisher, mut subscriber) = (place.open::<P>(), place.open::<S>());
    match binds {
        Binds::Publisher => {
            let endpoint = publisher.bind(place.address()).unwrap();
            subscriber.connect(&endpoint).unwrap();
        }
        Binds::Subscriber => {
            let endpoint = subscriber.bind(place.address()).unwrap();
            publisher.connect(&endpoint).unwrap();
        }
        Binds::PublisherLast => {
            let endpoint = place.address();
            subscriber.connect(&endpoint).unwrap();
            publisher.bind(endpoint).unwrap();
        }
        Binds::SubscriberLast => {
            let endpoint = place.address();
            publisher.connect(&endpoint).unwrap();
            subscriber.bind(endpoint).unwrap();
        }
    }
    for topic in topics {
        subscriber.subscribe(topic).unwrap();
    }
    eventually("all topics are known", || publisher.topic_count() == topics.len());
    (publisher, subscriber)
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Binds {
    Publisher,
    PublisherLast,
    Subscriber,
    SubscriberLast,
}

pub(super) const EACH: [Binds; 4] =
    [Binds::Publisher, Binds::PublisherLast, Binds::Subscriber, Binds::SubscriberLast];

fn subscribers_get_what_they_subscribed_to<P: Publishes, S: Subscribes>(place: &Place) {
    for binds in EACH {
        let (mut publisher, mut subscriber) = met::<P, S>(place, binds, &["a", "bc", "\0"]);
        assert_eq!(publisher.wait_for_subscribers(1, PATIENCE), Ok(()));
        for topic in ["", "b", "a", "B", "bcd", "\0x", "xa", "ab", "end"] {
            publisher.send([topic, "unchanged", ""]).unwrap();
            publisher.send(topic).unwrap();
        }
        for topic in ["a", "bcd", "\0x", "ab"] {
            assert_eq!(recv(&mut subscriber), [topic, "unchanged", ""]);
            assert_eq!(recv(&mut subscriber), topic);
        }
        assert_eq!(publisher.dropped().total(), 0);
    }
}

#[test]
fn subscribers_get_what_they_subscribed_to_and_nothing_else() {
    // S-01, S-14, S-18, S-20, S-30, S-32, S-34, S-38: over every transport, whoever binds, in any order.
    over(ALL, subscribers_get_what_they_subscribed_to::<Pub, Sub>);
    over(ALL, subscribers_get_what_they_subscribed_to::<Pub, XSub>);
    over(ALL, subscribers_get_what_they_subscribed_to::<XPub, Sub>);
    over(ALL, subscribers_get_what_they_subscribed_to::<XPub, XSub>);
}

#[test]
fn one_thread_is_enough_for_both_ends() {
    // The SUB is in no call while its subscriptions travel.
    over(ALL, |place| {
        for binds in EACH {
            let (mut publisher, mut subscriber) = met::<Pub, Sub>(place, binds, &[]);
            subscriber.subscribe("topic").unwrap();
            publisher.wait_for_subscribers(1, PATIENCE).unwrap();
            publisher.send("topic 1").unwrap();
            assert_eq!(recv(&mut subscriber), "topic 1");
            assert!(subscriber.unsubscribe("topic"));
            eventually("the subscription is taken back", || publisher.subscriber_count() == 0);
            assert_eq!(publisher.topic_count(), 0);
        }
    });
}

#[test]
fn a_topic_is_compared_with_the_first_frame_only() {
    // S-15
    over(ALL, |place| {
        let (mut publisher, mut subscriber) = met::<Pub, Sub>(place, Binds::Publisher, &["ab"]);
        publisher.send(["a", "b"]).unwrap();
        publisher.send(["x", "ab"]).unwrap();
        publisher.send(["ab", "x"]).unwrap();
        assert_eq!(recv(&mut subscriber), ["ab", "x"]);
    });
}

#[test]
fn the_empty_topic_is_in_everything() {
    // S-04
    over(ALL, |place| {
        let (mut publisher, mut subscriber) = met::<Pub, Sub>(place, Binds::Publisher, &[""]);
        for message in ["", "a", "\0"] {
            publisher.send(message).unwrap();
            assert_eq!(recv(&mut subscriber), message);
        }
    });
}

#[test]
fn a_message_that_matches_several_topics_comes_once() {
    over(ALL, |place| {
        let (mut publisher, mut subscriber) = met::<Pub, Sub>(place, Binds::Publisher, &["", "a", "ab"]);
        publisher.send("abc").unwrap();
        publisher.send("next").unwrap();
        assert_eq!(recv(&mut subscriber), "abc");
        assert_eq!(recv(&mut subscriber), "next");
    });
}

#[test]
fn a_subscriber_counts_and_a_publisher_keeps_a_set() {
    // S-05 has publishers count. Subscribers that tell of each subscription and of the last cancellation, as all in use
    // do, would stay subscribed for ever then.
    fn both<P: Publishes, S: Subscribes>(place: &Place) {
        let (mut publisher, mut subscriber) = met::<P, S>(place, Binds::Publisher, &["a", "end"]);
        for _ in 0..2 {
            subscriber.subscribe("a").unwrap();
        }
        assert!(subscriber.unsubscribe("a") && subscriber.unsubscribe("a"));
        publisher.send("a1").unwrap();
        assert_eq!(recv(&mut subscriber), "a1");
        assert!(subscriber.unsubscribe("a"));
        assert!(!subscriber.unsubscribe("a"));
        eventually("the publisher knows", || publisher.topic_count() == 1);
        publisher.send("a2").unwrap();
        publisher.send("end").unwrap();
        assert_eq!(recv(&mut subscriber), "end");
    }
    over(ALL, both::<Pub, Sub>);
    over(ALL, both::<XPub, Sub>);
    over(ALL, both::<Pub, XSub>);
    over(ALL, both::<XPub, XSub>);
}

#[test]
fn nothing_is_received_of_a_topic_from_its_last_unsubscribe_on() {
    // S-31, whatever the publisher knows.
    over(ALL, |place| {
        let (mut publisher, mut subscriber) = met::<Pub, Sub>(place, Binds::Publisher, &["a", "end"]);
        publisher.send("a").unwrap();
        assert!(subscriber.unsubscribe("a"));
        publisher.send("a").unwrap();
        publisher.send("end").unwrap();
        assert_eq!(recv(&mut subscriber), "end");
    });
}

#[test]
fn topics_are_binary_and_of_any_length() {
    // S-07
    over(ALL, |place| {
        let (mut publisher, mut subscriber) = met::<Pub, Sub>(place, Binds::Publisher, &[]);
        let topics = [vec![0], vec![255], vec![7; 255], vec![8; 1024 * 1024], b"SUBSCRIBE".to_vec()];
        for topic in &topics {
            subscriber.subscribe(topic).unwrap();
        }
        eventually("all topics are known", || publisher.topic_count() == topics.len());
        for topic in &topics {
            let mut message = topic.clone();
            message.push(b'.');
            publisher.send(&message).unwrap();
            assert!(recv(&mut subscriber) == message);
        }
        let too_long = vec![8; 1024 * 1024 + 1];
        assert_eq!(subscriber.subscribe(&too_long), Err(crate::SubscribeError::TooMuch));
    });
}

#[test]
fn without_subscribers_nothing_is_kept_and_nothing_waits() {
    // S-17, S-11
    over(ALL, |place| {
        let (mut publisher, endpoint) = place.bound::<Pub>();
        for _ in 0..10_000 {
            publisher.send("into the wind").unwrap();
        }
        let mut subscriber: Socket<Sub> = place.connected(&endpoint);
        subscriber.subscribe("").unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        publisher.send("heard").unwrap();
        assert_eq!(recv(&mut subscriber), "heard");
    });
}

#[test]
fn waiting_for_subscribers_ends_in_time() {
    let (mut publisher, endpoint) = Place::new(Transport::Tcp).bound::<Pub>();
    let wait = Duration::from_millis(20);
    let timed_out = |subscribers| Err(SubscribersError::TimedOut { subscribers, wanted: subscribers + 1 });
    assert_eq!(publisher.wait_for_subscribers(0, wait), Ok(()));
    assert_eq!(publisher.wait_for_subscribers(1, wait), timed_out(0));
    let context = Context::new();
    let mut subscriber = context.open::<Sub>().unwrap();
    subscriber.connect(&endpoint).unwrap();
    subscriber.subscribe("a").unwrap();
    assert_eq!(publisher.wait_for_subscribers(1, PATIENCE), Ok(()));
    assert_eq!(publisher.wait_for_subscribers(2, wait), timed_out(1));
    drop(subscriber);
    eventually("the subscriber is gone", || publisher.subscriber_count() == 0);
}

fn a_stalled_subscriber_harms_nobody<P: Publishes>(place: &Place) {
    let mut publisher: Socket<P> = place.builder().send_hwm(10).send_buffer(small()).open().unwrap();
    let endpoint = publisher.bind(place.address()).unwrap();
    let open = |hwm| {
        let mut socket: Socket<Sub> = place.builder().recv_hwm(hwm).recv_buffer(small()).open().unwrap();
        socket.connect(&endpoint).unwrap();
        socket.subscribe("").unwrap();
        socket
    };
    let (mut stalled, mut fast) = (open(10), open(10));
    publisher.wait_for_subscribers(2, PATIENCE).unwrap();
    let mut message = vec![0; LARGE];
    for number in 0..2000 {
        message[..4].copy_from_slice(&numbered(number));
        publisher.send(&message).unwrap();
        assert_eq!(number_of(&recv(&mut fast)), number);
    }
    let dropped = publisher.dropped().full;
    assert!(dropped > 1000, "{dropped}");
    // S-12, S-27, S-28, Tq3: what is left is bounded; and nothing was dropped in silence.
    for _ in 0..2000 - dropped {
        recv(&mut stalled);
    }
    // S-16: it goes on.
    publisher.send("next").unwrap();
    assert_eq!(recv(&mut stalled), "next");
}

#[test]
fn a_stalled_subscriber_loses_and_the_others_get_everything() {
    // Promise 9, S-09, S-16, S-17, S-20
    over(ALL, a_stalled_subscriber_harms_nobody::<Pub>);
    over(ALL, a_stalled_subscriber_harms_nobody::<XPub>);
}

#[test]
fn publishers_are_heard_in_turn() {
    // S-29, Tq5
    over(ALL, |place| {
        const ROUNDS: u32 = 50;
        let (mut subscriber, endpoint) = place.bound::<Sub>();
        subscriber.subscribe("").unwrap();
        let mut publishers: Vec<Socket<Pub>> = (0..4).map(|_| place.connected(&endpoint)).collect();
        for (number, publisher) in (0..).zip(&mut publishers) {
            publisher.wait_for_subscribers(1, PATIENCE).unwrap();
            for _ in 0..2 * ROUNDS {
                publisher.send(&numbered(number)).unwrap();
            }
        }
        let mut served = [0_u32; 4];
        // Everything is there before it counts.
        let first: Vec<Message> = (0..4 * ROUNDS).map(|_| recv(&mut subscriber)).collect();
        for message in &first {
            served[number_of(message) as usize] += 1;
        }
        if place.transport == Transport::Inproc {
            assert!(served.iter().all(|count| count.abs_diff(ROUNDS) <= 1), "{served:?}");
        }
        for _ in 0..4 * ROUNDS {
            served[number_of(&recv(&mut subscriber)) as usize] += 1;
        }
        assert_eq!(served, [2 * ROUNDS; 4]);
        assert_eq!(subscriber.try_recv(), Err(RecvError::WouldBlock));
    });
}

#[test]
fn inverted_matching_passes_on_what_does_not_match() {
    over(ALL, |place| {
        let mut publisher: Socket<Pub> = place.builder().invert_matching(true).open().unwrap();
        let endpoint = publisher.bind(place.address()).unwrap();
        let mut subscriber: Socket<Sub> = place.builder().invert_matching(true).open().unwrap();
        subscriber.connect(&endpoint).unwrap();
        subscriber.subscribe("a").unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        for message in ["a1", "b1", "a2", ""] {
            publisher.send(message).unwrap();
        }
        assert_eq!(recv(&mut subscriber), "b1");
        assert_eq!(recv(&mut subscriber), "");
    });
}

#[test]
fn large_and_multipart_messages_reach_every_subscriber_unchanged() {
    // S-14
    over(ALL, |place| {
        let (mut publisher, endpoint) = place.bound::<Pub>();
        let mut subscribers: Vec<Socket<Sub>> = (0..3).map(|_| place.connected(&endpoint)).collect();
        subscribers.iter_mut().for_each(|subscriber| subscriber.subscribe("").unwrap());
        publisher.wait_for_subscribers(3, PATIENCE).unwrap();
        let mut dice = Dice(9);
        for _ in 0..50 {
            let frames: Vec<Vec<u8>> =
                (0..=dice.roll(5)).map(|_| vec![7; [0, 10, 5000, 100_000][dice.roll(4)]]).collect();
            let message = Message::from_frames(frames).unwrap();
            match dice.roll(2) {
                0 => publisher.send(&message).unwrap(),
                _ => publisher.send(message.clone()).unwrap(),
            }
            for subscriber in &mut subscribers {
                assert!(recv(subscriber) == message);
            }
        }
        // Dropped once nobody holds it.
        let drops = Drops::default();
        publisher.send(drops.body()).unwrap();
        assert!(subscribers.iter_mut().all(|subscriber| recv(subscriber).size() == LARGE));
        eventually("the body is dropped", || drops.count() == 1);
    });
}

/// No smaller than a segment of the loopback: see `promises::small`.
fn small() -> KernelBuffer {
    KernelBuffer::octets(64 * 1024).unwrap()
}

#[test]
fn a_pub_that_connects_keeps_its_queue_through_a_lost_connection() {
    // S-10, Tq1
    over(WIRES, |place| {
        let endpoint = place.address();
        let builder = place.builder::<Pub>().send_hwm(300).send_buffer(small());
        let mut publisher = builder.reconnect_interval(Duration::from_millis(1)).open().unwrap();
        publisher.connect(&endpoint).unwrap();
        let listen = || {
            let mut sub = place.builder::<Sub>().recv_hwm(1).recv_buffer(small()).open().unwrap();
            sub.subscribe("").unwrap();
            eventually("the address is free", || sub.bind(&endpoint).is_ok());
            sub
        };
        let mut first = listen();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        for number in 0..200 {
            send(&mut publisher, [numbered(number).to_vec(), vec![0; LARGE]]);
        }
        assert_eq!(number_of(&recv(&mut first)), 0);
        drop(first);
        let mut second = listen();
        // What was with the first one's kernel is lost; of the rest nothing, and nothing comes twice.
        let mut next = number_of(&recv(&mut second));
        assert!((1..200).contains(&next));
        while next < 199 {
            next += 1;
            assert_eq!(number_of(&recv(&mut second)), next);
        }
        assert_eq!(publisher.dropped().total(), 0);
    });
}
