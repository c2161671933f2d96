//! How subscriptions reach publishers that come, go and come back, and what those who lie about them get.

use std::collections::HashSet;

use super::xpubsub::{end, news};
use super::*;
use crate::limits::CHANGES_PER_CALL;
use crate::{Pub, Publishes, ReconnectInterval, Sub, Subscribes, Subscription, XPub, XSub};

fn restless<S: Subscribes>(place: &Place) -> Socket<S> {
    let soon = ReconnectInterval::Every(Duration::from_millis(1));
    place.builder().reconnect_interval(soon).open().unwrap()
}

fn a_publisher_that_comes_back_is_told_everything<P: Publishes, S: Subscribes>(place: &Place) {
    const TOPICS: usize = 500;
    let endpoint = place.address();
    let mut subscriber: Socket<S> = restless(place);
    subscriber.connect(&endpoint).unwrap();
    for number in 0..TOPICS {
        subscriber.subscribe(format!("{number:03}")).unwrap();
    }
    subscriber.subscribe("gone").unwrap();
    for round in 0..5 {
        let mut publisher: Socket<P> = place.open();
        eventually("the address is free", || publisher.bind(&endpoint).is_ok());
        if round == 1 {
            assert!(subscriber.unsubscribe("gone"));
        }
        let count = if round == 0 { TOPICS + 1 } else { TOPICS };
        // The subscriber is in no call meanwhile.
        eventually("everything is known again", || publisher.topic_count() == count);
        for number in 0..TOPICS {
            publisher.send(format!("{number:03}.{round}")).unwrap();
            assert_eq!(recv(&mut subscriber), format!("{number:03}.{round}"));
        }
    }
}

#[test]
fn a_publisher_that_was_restarted_is_told_all_topics_again() {
    // S-33
    over(WIRES, a_publisher_that_comes_back_is_told_everything::<Pub, Sub>);
    over(WIRES, a_publisher_that_comes_back_is_told_everything::<XPub, XSub>);
}

#[test]
fn a_subscriber_that_was_restarted_is_forgotten_and_known_again() {
    // S-11, S-25, S-27: the publisher connects, and its pipe outlives the connection.
    over(WIRES, |place| {
        let endpoint = place.address();
        let soon = ReconnectInterval::Every(Duration::from_millis(1));
        let mut xpub: Socket<XPub> = place.builder().reconnect_interval(soon).open().unwrap();
        xpub.connect(&endpoint).unwrap();
        for round in 0..5 {
            let mut subscriber: Socket<Sub> = place.open();
            eventually("the address is free", || subscriber.bind(&endpoint).is_ok());
            let topic = format!("topic {round}");
            subscriber.subscribe(&topic).unwrap();
            assert_eq!(recv(&mut xpub), Subscription::Subscribe(topic.as_bytes()).to_message());
            xpub.send(&topic).unwrap();
            assert_eq!(recv(&mut subscriber), topic);
            drop(subscriber);
            assert_eq!(recv(&mut xpub), Subscription::Unsubscribe(topic.as_bytes()).to_message());
            assert_eq!((xpub.subscriber_count(), xpub.topic_count()), (0, 0));
        }
    });
}

#[test]
fn many_topics_reach_a_publisher_that_connects_late() {
    // The whole is told in parts: more than fits any buffer.
    over(ALL, |place| {
        const TOPICS: usize = 30_000;
        let (mut subscriber, endpoint) = place.bound::<Sub>();
        for number in 0..TOPICS {
            subscriber.subscribe(format!("a topic of some length, and its number: {number}.")).unwrap();
        }
        let mut publisher: Socket<Pub> = place.connected(&endpoint);
        eventually("all are known", || publisher.topic_count() == TOPICS);
        for number in (0..TOPICS).step_by(1000) {
            let message = format!("a topic of some length, and its number: {number}. Body");
            publisher.send(&message).unwrap();
            assert_eq!(recv(&mut subscriber), message);
        }
        for number in 0..TOPICS {
            assert!(subscriber.unsubscribe(format!("a topic of some length, and its number: {number}.")));
        }
        eventually("all are taken back", || publisher.subscriber_count() == 0);
        assert_eq!(publisher.topic_count(), 0);
    });
}

#[test]
fn changes_while_connections_come_and_go_end_in_the_same_topics() {
    // Promise 9, X-43, and 9 of the matrix of losses: the set is equal after every reconnect.
    over(ALL, |place| {
        let (mut subscriber, endpoint) = place.bound::<Sub>();
        let mut dice = Dice(0xD1CE);
        let mut held: HashSet<String> = HashSet::new();
        for _ in 0..20 {
            let mut publisher: Socket<XPub> = place.connected(&endpoint);
            for _ in 0..500 {
                let topic = dice.roll(300).to_string();
                if held.remove(&topic) {
                    subscriber.unsubscribe(&topic);
                } else {
                    subscriber.subscribe(&topic).unwrap();
                    held.insert(topic);
                }
                if dice.roll(10) == 0 {
                    publisher.try_send("beside").unwrap();
                }
            }
            subscriber.subscribe("end").unwrap();
            let mut known: HashSet<String> = HashSet::new();
            eventually("the end is known", || {
                while let Ok(message) = publisher.try_recv() {
                    let subscription = Subscription::from_message(&message).unwrap();
                    let topic = String::from_utf8(subscription.topic().to_vec()).unwrap();
                    let is_news =
                        if subscription.is_subscribe() { known.insert(topic) } else { known.remove(&topic) };
                    assert!(is_news, "{subscription:?}");
                }
                known.len() == held.len() + 1 && known.contains("end")
            });
            known.remove("end");
            assert_eq!(known, held);
            subscriber.unsubscribe("end");
        }
    });
}

#[test]
fn a_closed_connection_ends_with_cancellations_and_the_others_stay() {
    // S-39
    over(ALL, |place| {
        let (mut stays, first) = place.bound::<XPub>();
        let (mut goes, second) = place.bound::<XPub>();
        let mut subscriber: Socket<XSub> = place.open();
        subscriber.connect(&first).unwrap();
        subscriber.connect(&second).unwrap();
        subscriber.subscribe("a").unwrap();
        for publisher in [&mut stays, &mut goes] {
            assert_eq!(recv(publisher), b"\x01a");
        }
        subscriber.disconnect(&second).unwrap();
        assert_eq!(recv(&mut goes), b"\0a");
        stays.send("a").unwrap();
        assert_eq!(recv(&mut subscriber), "a");
    });
}

/// An XPUB and one that subscribed to these topics before it connected; who comes first is bound or connects.
fn met_after_subscribing<S: Subscribes>(
    place: &Place,
    is_bound_first: bool,
    topics: &[String],
) -> (Socket<XPub>, Socket<S>) {
    let (mut xpub, mut subscriber) = (place.open::<XPub>(), place.open::<S>());
    let endpoint = place.address();
    topics.iter().for_each(|topic| subscriber.subscribe(topic).unwrap());
    if is_bound_first {
        xpub.bind(&endpoint).unwrap();
    }
    subscriber.connect(&endpoint).unwrap();
    if !is_bound_first {
        xpub.bind(&endpoint).unwrap();
    }
    (xpub, subscriber)
}

fn later_changes_come_behind_what_a_new_connection_is_told<S: Subscribes>(place: &Place) {
    // More than is told at once.
    let topics: Vec<String> = (0..2000).map(|number| format!("{number:04} of some octets")).collect();
    for is_bound_first in [false, true] {
        let (mut xpub, mut subscriber) = met_after_subscribing::<S>(place, is_bound_first, &topics);
        assert_eq!(recv(&mut xpub), news(&topics[0]));
        assert!(subscriber.unsubscribe(&topics[0]));
        subscriber.subscribe("0 at last").unwrap();
        subscriber.subscribe(&topics[0]).unwrap();
        for topic in &topics[1..] {
            assert_eq!(recv(&mut xpub), news(topic));
        }
        for change in [end(&topics[0]), news("0 at last"), news(&topics[0])] {
            assert_eq!(recv(&mut xpub), change);
        }
    }
}

#[test]
fn an_xpub_is_told_of_changes_behind_what_was_subscribed_to_before() {
    over(ALL, later_changes_come_behind_what_a_new_connection_is_told::<Sub>);
    over(ALL, later_changes_come_behind_what_a_new_connection_is_told::<XSub>);
}

#[test]
fn changes_that_wait_for_an_xpub_are_told_in_the_order_in_which_they_were_made() {
    over(ALL, |place| {
        let (mut xpub, mut sub) = met_after_subscribing::<Sub>(place, true, &["a".into()]);
        assert_eq!(recv(&mut xpub), news("a"));
        // The XPUB is in no call meanwhile.
        sub.subscribe("a").unwrap();
        sub.subscribe("b").unwrap();
        sub.unsubscribe("a");
        sub.unsubscribe("a");
        sub.subscribe("c").unwrap();
        sub.subscribe("a").unwrap();
        for change in [news("b"), end("a"), news("c"), news("a")] {
            assert_eq!(recv(&mut xpub), change);
        }
    });
}

#[test]
fn a_cancellation_behind_a_wait_never_overtakes_an_older_subscription() {
    over(ALL, |place| {
        for round in 0..100 {
            let topics = ["a", "b", "c"].map(String::from);
            let (mut xpub, mut sub) = met_after_subscribing::<Sub>(place, round % 2 == 0, &topics);
            thread::scope(|scope| {
                scope.spawn(|| {
                    sub.wait_subscribed(PATIENCE).unwrap();
                    sub.unsubscribe("a");
                    sub.subscribe("0").unwrap();
                });
                let mut told = vec![recv(&mut xpub)];
                while told.last() != Some(&news("0")) {
                    told.push(recv(&mut xpub));
                }
                // What was cancelled before it was told is not.
                let all = [news("a"), news("b"), news("c"), end("a"), news("0")];
                let without = [news("b"), news("c"), news("0")];
                assert!(told == all || told == without, "round {round}: {told:?}");
            });
        }
    });
}

#[test]
fn a_peer_that_asks_for_too_much_is_let_go_and_the_others_stay() {
    // S-07, B-33: topics longer than allowed, as a peer of ZMTP 3.0 would send them.
    over(ALL, |place| {
        let (mut xpub, endpoint) = place.bound::<XPub>();
        let mut good: Socket<Sub> = place.connected(&endpoint);
        good.subscribe("a").unwrap();
        assert_eq!(recv(&mut xpub), b"\x01a");
        let mut greedy: Socket<XSub> = place.connected(&endpoint);
        greedy.subscribe("b").unwrap();
        assert_eq!(recv(&mut xpub), b"\x01b");
        let mut topic = vec![1; crate::limits::TOPIC_OCTETS_MAX + 2];
        topic[1] = 7;
        greedy.send_as_it_is(&topic);
        assert_eq!(recv(&mut xpub), b"\0b");
        xpub.send("a").unwrap();
        assert_eq!(recv(&mut good), "a");
    });
}

impl Socket<XSub> {
    /// Sends what is a subscription as a message.
    fn send_as_it_is(&mut self, octets: &[u8]) {
        self.core.handle_mail(&mut self.pattern);
        let keys = self.core.pipes.keys();
        self.core.pipes.send(keys[0], &mut crate::Payload::from(octets)).unwrap();
    }
}

#[test]
fn cancellations_of_nothing_and_messages_upstream_leave_nothing_behind() {
    // S-06, S-13, B-10
    over(ALL, |place| {
        let (mut publisher, endpoint) = place.bound::<Pub>();
        let mut subscriber: Socket<XSub> = place.connected(&endpoint);
        subscriber.subscribe("a").unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        for _ in 0..2000 {
            subscriber.send_as_it_is(b"\0b");
            subscriber.send("upstream").unwrap();
            publisher.send("a").unwrap();
            assert_eq!(recv(&mut subscriber), "a");
        }
        assert_eq!((publisher.topic_count(), publisher.subscriber_count()), (1, 1));
    });
}

#[test]
fn what_a_subscriber_of_this_process_changes_costs_a_publisher_no_more_than_a_share_per_call() {
    // Counted are the times for which a call holds the lock that the subscriber needs, too: each is that of one change.
    let place = Place::new(Transport::Inproc);
    let (mut publisher, endpoint) = place.bound::<Pub>();
    let mut sub: Socket<Sub> = place.connected(&endpoint);
    let upstream = Arc::clone(sub.core.upstream.as_ref().unwrap());
    let looks_of_a_call = |publisher: &mut Socket<Pub>| {
        let before = upstream.looks();
        publisher.try_send("none").unwrap();
        upstream.looks() - before
    };
    looks_of_a_call(&mut publisher);
    // One topic, however often it changes: it is known now, and then it is not.
    for is_known in [true, false] {
        for _ in 0..10_000 {
            sub.subscribe("topic").unwrap();
            sub.unsubscribe("topic");
        }
        if is_known {
            sub.subscribe("topic").unwrap();
        }
        let looks = looks_of_a_call(&mut publisher);
        assert!((1..=3).contains(&looks), "{looks}: a change or two, and that there is no more");
        assert_eq!(publisher.topic_count(), usize::from(is_known));
        if is_known {
            sub.unsubscribe("topic");
        }
    }
    // Where nothing has changed no call looks.
    looks_of_a_call(&mut publisher);
    assert_eq!((0..100).map(|_| looks_of_a_call(&mut publisher)).sum::<u64>(), 0);
    // Many topics: a share per call, and in the end all of them.
    let many = 20 * CHANGES_PER_CALL;
    for number in 0..many {
        sub.subscribe(number.to_string()).unwrap();
    }
    let (mut calls, mut known) = (0_u64, 0);
    eventually("it knows all", || {
        let looks = looks_of_a_call(&mut publisher);
        assert!(looks <= most(), "{looks} in one call");
        // A call as well.
        let before = upstream.looks();
        known = publisher.topic_count();
        assert!(upstream.looks() - before <= most(), "after {calls} calls");
        calls += 2;
        known == many
    });
    assert!(calls >= many as u64 / most(), "{calls}");
    // While the subscriber goes on, too.
    let (is_over, changes) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let ending = Ending(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let topic = (changes.fetch_add(1, Ordering::Relaxed) % 1000).to_string();
                sub.subscribe(&topic).unwrap();
                sub.unsubscribe(&topic);
            }
        });
        eventually("there were many calls and changes", || {
            for _ in 0..20_000 {
                let looks = looks_of_a_call(&mut publisher);
                assert!(looks <= most(), "{looks} in one call");
            }
            changes.load(Ordering::Relaxed) > 1000
        });
        drop(ending);
    });
}

/// Most changes that one call looks for: a share when it takes its mail in, and one of what was left before.
fn most() -> u64 {
    2 * CHANGES_PER_CALL as u64
}
