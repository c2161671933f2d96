//! XPUB and XSUB: subscriptions as messages, and messages upstream.

use super::pubsub::{Binds, EACH, met};
use super::*;
use crate::patterns::Strategy as _;
use crate::{Pub, Publishes, RecvError, Sub, SubscribeError, Subscribes, Subscription, XPub, XSub};

pub(super) fn news(topic: &str) -> Message {
    Subscription::Subscribe(topic.as_bytes()).to_message()
}

pub(super) fn end(topic: &str) -> Message {
    Subscription::Unsubscribe(topic.as_bytes()).to_message()
}

/// A bound XPUB with these options, and two subscribers.
fn xpub_and_two<S: Subscribes>(
    place: &Place,
    options: impl FnOnce(Builder<XPub>) -> Builder<XPub>,
) -> (Socket<XPub>, Socket<S>, Socket<S>) {
    let mut xpub = options(place.builder()).open().unwrap();
    let endpoint = xpub.bind(place.address()).unwrap();
    (xpub, place.connected(&endpoint), place.connected(&endpoint))
}

#[test]
fn an_xpub_is_told_of_the_first_subscription_and_the_last_cancellation() {
    // S-23, S-24
    over(ALL, |place| {
        let (mut xpub, mut first, mut second) = xpub_and_two::<Sub>(place, |builder| builder);
        first.subscribe("a").unwrap();
        assert_eq!(recv(&mut xpub), news("a"));
        second.subscribe("a").unwrap();
        second.subscribe("b").unwrap();
        assert_eq!(recv(&mut xpub), news("b"));
        assert_eq!((xpub.topic_count(), xpub.subscriber_count()), (2, 2));
        first.unsubscribe("a");
        eventually("one has left", || xpub.subscriber_count() == 1);
        assert_eq!(xpub.try_recv(), Err(RecvError::WouldBlock));
        second.unsubscribe("a");
        assert_eq!(recv(&mut xpub), end("a"));
    });
}

#[test]
fn a_verbose_xpub_is_told_of_every_subscription() {
    over(ALL, verbose_tells_all::<Sub>);
    over(ALL, verbose_tells_all::<XSub>);
}

fn verbose_tells_all<S: Subscribes>(place: &Place) {
    // S-24
    let (mut xpub, mut first, mut second) = xpub_and_two::<S>(place, |builder| builder.xpub_verbose(true));
    for subscriber in [&mut first, &mut second] {
        for _ in 0..2 {
            subscriber.subscribe("a").unwrap();
            assert_eq!(recv(&mut xpub), news("a"));
        }
        // Taken back and said again: both are told, for a last value may be waited for.
        assert!(subscriber.unsubscribe("a"));
        subscriber.subscribe("a").unwrap();
        assert_eq!(recv(&mut xpub), news("a"));
    }
    for subscriber in [&mut first, &mut second] {
        subscriber.unsubscribe("a");
        subscriber.unsubscribe("a");
    }
    assert_eq!(recv(&mut xpub), end("a"));
    assert_eq!(xpub.topic_count(), 0);
    assert_eq!(xpub.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn a_verboser_xpub_is_told_of_every_cancellation_too() {
    // S-24
    over(ALL, |place| {
        let (mut xpub, mut first, mut second) =
            xpub_and_two::<Sub>(place, |builder| builder.xpub_verboser(true));
        for subscriber in [&mut first, &mut second] {
            subscriber.subscribe("a").unwrap();
            assert_eq!(recv(&mut xpub), news("a"));
        }
        first.unsubscribe("a");
        assert_eq!(recv(&mut xpub), end("a"));
        drop(second);
        assert_eq!(recv(&mut xpub), end("a"));
    });
}

#[test]
fn what_a_peer_wanted_is_cancelled_when_it_leaves() {
    // S-25: 1,000 notices, none lost, none doubled.
    over(ALL, |place| {
        let (mut xpub, mut leaving, mut staying) = xpub_and_two::<Sub>(place, |builder| builder);
        staying.subscribe("500").unwrap();
        assert_eq!(recv(&mut xpub), news("500"));
        let topics: Vec<String> = (0..1000).map(|number: u32| number.to_string()).collect();
        for topic in &topics {
            leaving.subscribe(topic).unwrap();
        }
        let mut told: Vec<Message> = (0..999).map(|_| recv(&mut xpub)).collect();
        drop(leaving);
        let mut cancelled: Vec<Message> = (0..999).map(|_| recv(&mut xpub)).collect();
        let mut others: Vec<&String> = topics.iter().filter(|topic| *topic != "500").collect();
        others.sort();
        told.sort_by(|a, b| a.body().cmp(b.body()));
        cancelled.sort_by(|a, b| a.body().cmp(b.body()));
        for (at, topic) in others.into_iter().enumerate() {
            assert_eq!((&told[at], &cancelled[at]), (&news(topic), &end(topic)));
        }
        assert_eq!((xpub.topic_count(), xpub.subscriber_count()), (1, 1));
        assert_eq!(xpub.try_recv(), Err(RecvError::WouldBlock));
        xpub.send("500").unwrap();
        assert_eq!(recv(&mut staying), "500");
    });
}

#[test]
fn an_xsub_subscribes_by_messages() {
    // S-37, S-38
    over(ALL, |place| {
        for binds in EACH {
            let (mut xpub, mut xsub) = met::<XPub, XSub>(place, binds, &[]);
            xsub.send(b"\x01a").unwrap();
            xsub.send(Message::from(b"\x01")).unwrap();
            xsub.send(Subscription::Subscribe(b"b")).unwrap();
            let mut told: Vec<Message> = (0..3).map(|_| recv(&mut xpub)).collect();
            told.sort_by(|a, b| a.body().cmp(b.body()));
            assert_eq!(told, [news(""), news("a"), news("b")]);
            assert_eq!(xsub.subscription_count(), 3);
            xpub.send("whatever").unwrap();
            assert_eq!(recv(&mut xsub), "whatever");
            xsub.send(b"\0").unwrap();
            assert_eq!(recv(&mut xpub), end(""));
            // No such subscription: nothing happens.
            xsub.send(b"\0xyz").unwrap();
            xpub.send("whatever").unwrap();
            xpub.send("a").unwrap();
            assert_eq!(recv(&mut xsub), "a");
        }
        let mut xsub: Socket<XSub> = place.open();
        let mut longest = [&[1][..], &vec![2; 1024 * 1024]].concat();
        xsub.send(&longest).unwrap();
        longest.push(2);
        let unsent = xsub.send(&longest).unwrap_err();
        assert_eq!(unsent.error, SendError::TopicTooLong);
    });
}

#[test]
fn messages_of_an_xsub_reach_every_publisher_that_receives() {
    // S-21, S-22, S-35, S-13, S-19
    over(ALL, |place| {
        let (mut xsub, endpoint) = place.bound::<XSub>();
        let mut xpubs: Vec<Socket<XPub>> = (0..3).map(|_| place.connected(&endpoint)).collect();
        let mut publisher: Socket<Pub> = place.connected(&endpoint);
        xsub.subscribe("").unwrap();
        for xpub in &mut xpubs {
            assert_eq!(recv(xpub), news(""));
        }
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        for number in 0..100_u8 {
            let message = Message::from([vec![b'n', number], vec![1; usize::from(number) * 100], vec![]]);
            xsub.send(&message).unwrap();
            for xpub in &mut xpubs {
                assert!(recv(xpub) == message);
            }
        }
        publisher.send("still there").unwrap();
        assert_eq!(recv(&mut xsub), "still there");
    });
}

#[test]
fn an_xsub_never_waits_for_a_publisher_that_does_not_receive() {
    // S-36, S-22, Tq3, Tq4: bounded though nobody receives, and the other direction goes on.
    over(ALL, |place| {
        let mut xpub: Socket<XPub> = place.builder().recv_hwm(10).open().unwrap();
        let endpoint = xpub.bind(place.address()).unwrap();
        let mut xsub: Socket<XSub> = place.builder().send_hwm(10).open().unwrap();
        xsub.connect(&endpoint).unwrap();
        xsub.subscribe("").unwrap();
        xpub.wait_for_subscribers(1, PATIENCE).unwrap();
        assert_eq!(recv(&mut xpub), news(""));
        let drops = Drops::default();
        for _ in 0..5000 {
            xsub.send(drops.body()).unwrap();
        }
        for number in 0..100 {
            xpub.send(&numbered(number)).unwrap();
            assert_eq!(number_of(&recv(&mut xsub)), number);
        }
        let heard = 5000 - xsub.dropped().full;
        for _ in 0..heard {
            assert_eq!(recv(&mut xpub).size(), LARGE);
        }
        assert_eq!(xpub.try_recv(), Err(RecvError::WouldBlock));
        assert!((10..4000).contains(&heard), "{heard}");
        eventually("all are dropped", || drops.count() == 5000);
    });
}

#[test]
fn subscribers_that_send_are_heard_in_turn() {
    // S-22, Tq5
    over(ALL, |place| {
        const ROUNDS: u32 = 50;
        let (mut xpub, endpoint) = place.bound::<XPub>();
        let mut xsubs: Vec<Socket<XSub>> = (0..4).map(|_| place.connected(&endpoint)).collect();
        for (number, xsub) in xsubs.iter_mut().enumerate() {
            xsub.subscribe(number.to_string()).unwrap();
            // It is there.
            assert_eq!(recv(&mut xpub), news(&number.to_string()));
        }
        for (number, xsub) in (0..).zip(&mut xsubs) {
            for _ in 0..2 * ROUNDS {
                xsub.send([&b"#"[..], &numbered(number)]).unwrap();
            }
        }
        let mut served = [0_u32; 4];
        for turn in 0..4 * 2 * ROUNDS {
            let message = recv(&mut xpub);
            let frame = message.frame(1).unwrap();
            served[u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize] += 1;
            if turn == 4 * ROUNDS - 1 && place.transport == Transport::Inproc {
                assert!(served.iter().all(|count| count.abs_diff(ROUNDS) <= 1), "{served:?}");
            }
        }
        assert_eq!(served, [2 * ROUNDS; 4]);
    });
}

#[test]
fn an_xpub_that_never_receives_stops_its_peer_and_nobody_else() {
    // S-22, B-32: what gathers is bounded; the rest waits at the peer and is there in the end.
    over(&[Transport::Inproc, Transport::Tcp], |place| {
        const MANY: usize = crate::limits::NEWS_PER_PEER + 5000;
        let (mut xpub, mut many, mut few) = xpub_and_two::<Sub>(place, |builder| builder);
        for number in 0..MANY {
            many.subscribe(number.to_string()).unwrap();
        }
        eventually("as many as may gather", || xpub.topic_count() >= crate::limits::NEWS_PER_PEER);
        few.subscribe("few").unwrap();
        xpub.wait_for_subscribers(2, PATIENCE).unwrap();
        assert_eq!(xpub.topic_count(), crate::limits::NEWS_PER_PEER + 1);
        xpub.send("few").unwrap();
        assert_eq!(recv(&mut few), "few");
        let told: std::collections::HashSet<Vec<u8>> =
            (0..=MANY).map(|_| recv(&mut xpub).body().to_vec()).collect();
        assert_eq!((told.len(), xpub.topic_count()), (MANY + 1, MANY + 1));
        drop(many);
        for _ in 0..MANY {
            assert!(!Subscription::from_message(&recv(&mut xpub)).unwrap().is_subscribe());
        }
        assert_eq!(xpub.topic_count(), 1);
    });
}

#[test]
fn whoever_comes_and_goes_cannot_fill_an_xpub_that_does_not_receive() {
    // B-32: subscriptions of peers that left wait for the application as those of others do.
    let place = Place::new(Transport::Inproc);
    let (mut xpub, endpoint) = place.bound::<XPub>();
    let topic = |number: usize| {
        let mut topic = vec![b'x'; crate::limits::TOPIC_OCTETS_MAX];
        topic[..8].copy_from_slice(&number.to_be_bytes());
        topic
    };
    let most = crate::limits::NEWS_OCTETS_MAX / crate::limits::TOPIC_OCTETS_MAX;
    let mut taken = 0;
    for number in 0..2 * most {
        let mut sub: Socket<Sub> = place.connected(&endpoint);
        sub.subscribe(topic(number)).unwrap();
        xpub.try_send("").unwrap();
        taken += xpub.topic_count();
        drop(sub);
        xpub.try_send("").unwrap();
        assert_eq!(xpub.topic_count(), 0);
    }
    // One that holds, and its end, of each.
    assert!(taken >= most / 2 && taken <= most, "{taken}");
    let mut waits: Socket<Sub> = place.connected(&endpoint);
    waits.subscribe("waits").unwrap();
    xpub.try_send("waits").unwrap();
    assert_eq!(xpub.topic_count(), 0);
    for number in 0..taken {
        assert_eq!(recv(&mut xpub), Subscription::Subscribe(&topic(number)).to_message());
        assert_eq!(recv(&mut xpub), Subscription::Unsubscribe(&topic(number)).to_message());
    }
    xpub.wait_for_subscribers(1, PATIENCE).unwrap();
    xpub.send("waits").unwrap();
    assert_eq!(recv(&mut waits), "waits");
}

#[test]
fn who_takes_the_seat_of_a_peer_that_left_is_heard() {
    // S-22, B-32: what the old one said still waits for the application, and is not the new one's.
    over(ALL, |place| {
        let (mut xpub, endpoint) = place.bound::<XPub>();
        let mut old: Socket<XSub> = place.connected(&endpoint);
        old.subscribe("old").unwrap();
        xpub.wait_for_subscribers(1, PATIENCE).unwrap();
        drop(old);
        eventually("it has left", || {
            xpub.try_send("").unwrap();
            xpub.subscriber_count() == 0 && xpub.topic_count() == 0
        });
        let mut new: Socket<XSub> = place.connected(&endpoint);
        new.subscribe("new").unwrap();
        for text in ["m1", "m2", "m3"] {
            new.send(text).unwrap();
        }
        eventually("one of its messages waits", || {
            xpub.try_send("").unwrap();
            xpub.pattern.unreceived() == 1
        });
        // Its messages may overtake its subscription.
        let told: Vec<Message> = (0..6).map(|_| recv(&mut xpub)).collect();
        for message in [news("old"), end("old"), news("new")] {
            assert!(told.contains(&message), "{message:?} in {told:?}");
        }
        let said: Vec<&Message> = told.iter().filter(|message| message.body().starts_with(b"m")).collect();
        assert_eq!(said, ["m1", "m2", "m3"]);
        new.subscribe("more").unwrap();
        assert_eq!(recv(&mut xpub), news("more"));
    });
}

#[test]
fn frames_without_octets_cannot_fill_an_xpub_that_does_not_receive() {
    // B-32: a frame takes memory of its own.
    use crate::limits::{NEWS_OCTETS_MAX, PARTS_MAX};
    let place = Place::new(Transport::Inproc);
    let (mut xpub, endpoint) = place.bound::<XPub>();
    let empty = Message::from_frames(vec![""; PARTS_MAX as usize]).unwrap();
    let most = NEWS_OCTETS_MAX / (PARTS_MAX as usize * size_of::<crate::Frame>()) + 1;
    for _ in 0..most + 3 {
        let mut xsub: Socket<XSub> = place.connected(&endpoint);
        xsub.send(&empty).unwrap();
        drop(xsub);
        xpub.try_send("").unwrap();
        xpub.try_send("").unwrap();
    }
    assert_eq!(xpub.pattern.unreceived(), most as u64);
    for _ in 0..most + 3 {
        assert_eq!(recv(&mut xpub).frame_count(), PARTS_MAX as usize);
    }
    assert_eq!(xpub.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn with_manual_subscriptions_the_application_decides() {
    over(ALL, |place| {
        let (mut xpub, mut first, mut second) =
            xpub_and_two::<Sub>(place, |builder| builder.xpub_manual(true));
        assert_eq!(xpub.subscribe("a"), Err(SubscribeError::NoPeer));
        assert!(!xpub.unsubscribe("a"));
        first.subscribe("").unwrap();
        assert_eq!(recv(&mut xpub), news(""));
        assert_eq!(xpub.subscriber_count(), 0);
        xpub.subscribe("allowed").unwrap();
        second.subscribe("").unwrap();
        assert_eq!(recv(&mut xpub), news(""));
        xpub.subscribe("all").unwrap();
        assert_eq!(xpub.subscriber_count(), 2);
        for message in ["x", "all", "allowed"] {
            xpub.send(message).unwrap();
        }
        assert_eq!(recv(&mut first), "allowed");
        assert_eq!(recv(&mut second), "all");
        assert_eq!(recv(&mut second), "allowed");
        assert!(xpub.unsubscribe("all"));
        assert_eq!(xpub.subscriber_count(), 1);
        drop(first);
        assert_eq!(recv(&mut xpub), end(""));
        // Its last words came before its end.
        eventually("the peer is gone", || xpub.topic_count() == 0);
        assert_eq!(xpub.subscribe("for nobody"), Err(SubscribeError::NoPeer));
    });
}

#[test]
fn the_last_value_goes_to_who_has_just_subscribed() {
    over(ALL, |place| {
        let (mut xpub, mut first, mut second) =
            xpub_and_two::<Sub>(place, |builder| builder.xpub_manual_last_value(true));
        for (subscriber, last) in [(&mut first, "a1"), (&mut second, "a2")] {
            subscriber.subscribe("a").unwrap();
            assert_eq!(recv(&mut xpub), news("a"));
            assert_eq!(xpub.topic_count(), usize::from(last == "a2"), "it subscribes for nobody by itself");
            xpub.subscribe("a").unwrap();
            send(&mut xpub, last);
            // Once: whoever is to subscribe for that peer, too, does it before.
            assert_eq!(xpub.subscribe("b"), Err(SubscribeError::NoPeer));
        }
        send(&mut xpub, "a3");
        for (subscriber, values) in [(&mut first, ["a1", "a3"]), (&mut second, ["a2", "a3"])] {
            assert_eq!([recv(subscriber), recv(subscriber)], values.map(Message::from));
        }
        // Who does not want the message does not get it, nor does anybody else.
        second.subscribe("other").unwrap();
        assert_eq!(recv(&mut xpub), news("other"));
        xpub.subscribe("other").unwrap();
        send(&mut xpub, "b");
        send(&mut xpub, "other");
        assert_eq!(recv(&mut second), "other");
        // A peer that left is no reason to tell nobody.
        second.subscribe("more").unwrap();
        assert_eq!(recv(&mut xpub), news("more"));
        drop(second);
        eventually("it is gone", || xpub.subscriber_count() == 1);
        send(&mut xpub, "a4");
        assert_eq!(recv(&mut first), "a4");
    });
}

#[test]
fn a_verbose_xsub_tells_of_every_cancellation_at_once() {
    over(ALL, |place| {
        for is_verbose in [false, true] {
            let mut xpub = place.builder::<XPub>().xpub_verboser(true).open().unwrap();
            let endpoint = xpub.bind(place.address()).unwrap();
            let mut xsub = place.builder::<XSub>().xsub_verbose_unsubscribe(is_verbose).open().unwrap();
            // What is there before the connection is told once, unless each cancellation is told, too.
            xsub.subscribe("before").unwrap();
            xsub.subscribe("before").unwrap();
            xsub.connect(&endpoint).unwrap();
            for _ in 0..if is_verbose { 2 } else { 1 } {
                assert_eq!(recv(&mut xpub), news("before"));
            }
            for _ in 0..3 {
                xsub.subscribe("a").unwrap();
                assert_eq!(recv(&mut xpub), news("a"));
            }
            assert!(xsub.unsubscribe("a"));
            if is_verbose {
                assert_eq!(recv(&mut xpub), end("a"));
            }
            xsub.send(b"\x00a").unwrap();
            if is_verbose {
                // Without effect, as the first took all of them back; an application that counts hears of it.
                assert_eq!(recv(&mut xpub), end("a"));
            }
            assert!(!xsub.unsubscribe("b"));
            if is_verbose {
                assert_eq!(recv(&mut xpub), end("b"));
            }
            xsub.subscribe("c").unwrap();
            assert_eq!(recv(&mut xpub), news("c"));
            let known = if is_verbose { 2 } else { 3 };
            assert_eq!((xpub.topic_count(), xsub.subscription_count()), (known, 3));
            assert!(xsub.unsubscribe("a"));
            assert_eq!(recv(&mut xpub), end("a"));
            assert!(!xsub.unsubscribe("a"));
            assert_eq!(xpub.topic_count(), 2);
        }
    });
}

#[test]
fn a_new_subscriber_is_welcomed() {
    fn welcomed<P: Publishes>(place: &Place) {
        for binds in EACH {
            let mut publisher: Socket<P> = place.builder().xpub_welcome_message("welcome").open().unwrap();
            let mut subscriber: Socket<XSub> = place.open();
            let endpoint = place.address();
            match binds {
                Binds::Publisher | Binds::PublisherLast => {
                    publisher.bind(&endpoint).unwrap();
                    subscriber.connect(&endpoint).unwrap();
                }
                Binds::Subscriber | Binds::SubscriberLast => {
                    publisher.connect(&endpoint).unwrap();
                    subscriber.bind(&endpoint).unwrap();
                }
            }
            subscriber.subscribe("a").unwrap();
            publisher.wait_for_subscribers(1, PATIENCE).unwrap();
            assert_eq!(recv(&mut subscriber), "welcome");
        }
    }
    over(ALL, welcomed::<Pub>);
    over(ALL, welcomed::<XPub>);
}

#[test]
fn with_nodrop_a_send_waits_until_all_have_room_and_nothing_is_lost() {
    // Promise 6
    over(ALL, |place| {
        let mut publisher: Socket<Pub> = place.builder().xpub_nodrop(true).send_hwm(5).open().unwrap();
        let endpoint = publisher.bind(place.address()).unwrap();
        let mut subscribers: Vec<Socket<Sub>> = (0..2)
            .map(|_| {
                let mut socket: Socket<Sub> = place.builder().recv_hwm(5).open().unwrap();
                socket.connect(&endpoint).unwrap();
                socket.subscribe("").unwrap();
                socket
            })
            .collect();
        publisher.wait_for_subscribers(2, PATIENCE).unwrap();
        let message = Message::from(vec![1; LARGE]);
        let accepted = fill(&mut publisher, &message);
        assert_eq!(publisher.try_send(message.clone()).unwrap_err().message, Some(message.clone()));
        // One of them makes room, which is not enough; then the other wakes the send.
        for _ in 0..accepted {
            recv(&mut subscribers[0]);
        }
        // The kernel may have found a little more for the other one.
        let more = fill(&mut publisher, &message);
        assert!(place.transport != Transport::Inproc || more == 0);
        for _ in 0..more {
            recv(&mut subscribers[0]);
        }
        thread::scope(|scope| {
            scope.spawn(|| send(&mut publisher, "the last"));
            for _ in 0..accepted + more {
                recv(&mut subscribers[1]);
            }
        });
        for subscriber in &mut subscribers {
            assert_eq!(recv(subscriber), "the last");
            assert_eq!(subscriber.try_recv(), Err(RecvError::WouldBlock));
        }
        assert_eq!(publisher.dropped().total(), 0);
    });
}

#[test]
fn of_several_frames_all_or_only_the_first_can_be_subscriptions() {
    over(ALL, |place| {
        for only_first in [false, true] {
            let mut xpub: Socket<XPub> = place.open();
            let endpoint = xpub.bind(place.address()).unwrap();
            let mut xsub: Socket<XSub> = place.builder().only_first_subscribe(only_first).open().unwrap();
            xsub.connect(&endpoint).unwrap();
            xsub.send([b"\x01a", b"\x01b"]).unwrap();
            xsub.send(b"\x01c").unwrap();
            let count = if only_first { 2 } else { 3 };
            eventually("all are known", || xpub.topic_count() == count);
        }
    });
}

#[test]
fn a_chain_of_xsub_and_xpub_hands_subscriptions_and_messages_on() {
    // What a forwarder does, by hand: SUB to XPUB, XSUB to PUB.
    over(ALL, |place| {
        let (mut publisher, upstream) = place.bound::<Pub>();
        let mut xsub: Socket<XSub> = place.connected(&upstream);
        let (mut xpub, downstream) = place.bound::<XPub>();
        let mut subscribers: Vec<Socket<Sub>> = (0..2).map(|_| place.connected(&downstream)).collect();
        for subscriber in &mut subscribers {
            subscriber.subscribe("a").unwrap();
        }
        xpub.wait_for_subscribers(2, PATIENCE).unwrap();
        xsub.send(recv(&mut xpub)).unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        publisher.send(["a", "body"]).unwrap();
        xpub.send(recv(&mut xsub)).unwrap();
        for subscriber in &mut subscribers {
            assert_eq!(recv(subscriber), ["a", "body"]);
        }
        drop(subscribers);
        xsub.send(recv(&mut xpub)).unwrap();
        eventually("nobody wants anything", || publisher.subscriber_count() == 0);
    });
}
