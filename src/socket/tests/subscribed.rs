//! Waiting until publishers know what is wanted, and until somebody wants a certain topic.

use super::pubsub::{EACH, met};
use super::tasks::run;
use super::*;
use crate::limits::CHANGES_PER_CALL;
use crate::{NotSubscribed, Pub, Publishes, Sub, SubscribersError, Subscribes, XPub, XSub};

fn timed_out(subscribed: usize, publishers: usize) -> Result<(), NotSubscribed> {
    Err(NotSubscribed::TimedOut { subscribed, publishers })
}

fn nothing_is_missed<P: Publishes, S: Subscribes>(place: &Place) {
    for binds in EACH {
        let (mut publisher, mut subscriber) = met::<P, S>(place, binds, &[]);
        for round in 0..50 {
            let topic = format!("{round}.");
            subscriber.subscribe(&topic).unwrap();
            // The publisher is in no call meanwhile.
            subscriber.wait_subscribed(PATIENCE).unwrap();
            publisher.send(&topic).unwrap();
            assert_eq!(recv(&mut subscriber), topic, "{binds:?}");
            if round % 2 == 0 {
                assert!(subscriber.unsubscribe(&topic));
            }
        }
    }
}

#[test]
fn who_waits_until_it_is_subscribed_misses_nothing() {
    over(ALL, nothing_is_missed::<Pub, Sub>);
    over(ALL, nothing_is_missed::<Pub, XSub>);
    over(ALL, nothing_is_missed::<XPub, Sub>);
}

#[test]
fn every_publisher_is_waited_for_and_every_connect() {
    over(ALL, |place| {
        let mut subscriber: Socket<Sub> = place.open();
        subscriber.subscribe("a").unwrap();
        assert_eq!(subscriber.wait_subscribed(TURN), timed_out(0, 0));
        let mut publishers = Vec::new();
        for _ in 0..3 {
            let (publisher, endpoint) = place.bound::<Pub>();
            subscriber.connect(&endpoint).unwrap();
            publishers.push(publisher);
        }
        // And one that connects to us.
        let ours = subscriber.bind(place.address()).unwrap().into();
        publishers.push(place.connected(&ours));
        eventually("it is there", || subscriber.peers().len() == 4);
        subscriber.wait_subscribed(PATIENCE).unwrap();
        for publisher in &mut publishers {
            publisher.send("a").unwrap();
            assert_eq!(recv(&mut subscriber), "a");
        }
        let nowhere = place.address();
        subscriber.connect(&nowhere).unwrap();
        subscriber.subscribe("b").unwrap();
        let mut waited = subscriber.wait_subscribed(TURN);
        eventually("the others have confirmed it", || {
            waited = subscriber.wait_subscribed(TURN);
            waited == timed_out(4, 5)
        });
        subscriber.disconnect(&nowhere).unwrap();
        assert_eq!(subscriber.wait_subscribed(PATIENCE), Ok(()));
    });
}

#[test]
fn a_publisher_that_comes_or_comes_back_ends_the_wait() {
    over(ALL, |place| {
        let endpoint = place.address();
        let soon = crate::ReconnectInterval::Every(TURN);
        let mut subscriber = place.builder::<Sub>().reconnect_interval(soon).open().unwrap();
        for round in 0..if place.transport == Transport::Inproc { 1 } else { 5 } {
            if round == 0 {
                subscriber.connect(&endpoint).unwrap();
            }
            subscriber.subscribe(format!("{round}")).unwrap();
            thread::scope(|scope| {
                let waiting = scope.spawn(|| subscriber.wait_subscribed(PATIENCE));
                let mut publisher: Socket<Pub> = place.open();
                eventually("the address is free", || publisher.bind(&endpoint).is_ok());
                if round % 2 == 0 {
                    assert_eq!(waiting.join().unwrap(), Ok(()));
                }
                publisher
            });
        }
    });
}

#[test]
fn many_subscriptions_are_known_before_the_wait_ends() {
    over(ALL, |place| {
        let (mut publisher, endpoint) = place.bound::<Pub>();
        let mut subscriber: Socket<Sub> = place.connected(&endpoint);
        // As many as a publisher takes in with the first call that comes.
        for number in 0..CHANGES_PER_CALL {
            subscriber.subscribe(number.to_string()).unwrap();
        }
        subscriber.wait_subscribed(PATIENCE).unwrap();
        let last = (CHANGES_PER_CALL - 1).to_string();
        publisher.send(&last).unwrap();
        assert_eq!(recv(&mut subscriber), last);
        // More of them wait for the publisher's calls, of which there have to be some.
        for number in 0..20 * CHANGES_PER_CALL {
            subscriber.subscribe(format!("more {number}")).unwrap();
        }
        thread::scope(|scope| {
            let waiting = scope.spawn(|| subscriber.wait_subscribed(PATIENCE));
            eventually("it knows", || {
                publisher.send("nobody's").unwrap();
                waiting.is_finished()
            });
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
    });
}

#[test]
fn a_shutdown_ends_the_wait() {
    let place = Place::new(Transport::Tcp);
    let mut subscriber: Socket<Sub> = place.open();
    subscriber.connect(place.address()).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| subscriber.wait_subscribed(PATIENCE));
        place.context.shutdown();
        assert_eq!(waiting.join().unwrap(), Err(NotSubscribed::Terminated));
    });
}

#[test]
fn a_task_waits_until_it_is_subscribed() {
    over(ALL, |place| {
        let (mut publisher, endpoint) = place.bound::<Pub>();
        let mut subscriber: Socket<Sub> = place.connected(&endpoint);
        for round in 0..20 {
            let topic = format!("{round}.");
            subscriber.subscribe(&topic).unwrap();
            run(subscriber.wait_subscribed_async()).unwrap();
            publisher.send(&topic).unwrap();
            assert_eq!(recv(&mut subscriber), topic);
        }
        run(publisher.wait_for_subscribers_to_async("7.", 1)).unwrap();
    });
}

fn who_wants_it_is_counted<P: Publishes>(place: &Place) {
    let (mut publisher, endpoint) = place.bound::<P>();
    let mut subscribers: Vec<Socket<Sub>> = (0..3).map(|_| place.connected(&endpoint)).collect();
    let timed_out = |subscribers| Err(SubscribersError::TimedOut { subscribers });
    for (subscriber, topics) in subscribers.iter_mut().zip([&["a", "ab"][..], &["abc"], &["b"]]) {
        topics.iter().for_each(|topic| subscriber.subscribe(topic).unwrap());
        subscriber.wait_subscribed(PATIENCE).unwrap();
    }
    publisher.wait_for_subscribers(3, PATIENCE).unwrap();
    for (topic, count) in [("a", 1), ("ab", 1), ("abc", 2), ("abcd", 2), ("b", 1), ("", 0), ("c", 0)] {
        assert_eq!(publisher.wait_for_subscribers_to(topic, count, PATIENCE), Ok(()), "{topic}");
        assert_eq!(publisher.wait_for_subscribers_to(topic, count + 1, TURN), timed_out(count), "{topic}");
    }
    thread::scope(|scope| {
        let waiting = scope.spawn(|| publisher.wait_for_subscribers_to("c", 2, PATIENCE));
        subscribers[1].subscribe("").unwrap();
        subscribers[2].subscribe("c").unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
    drop(subscribers);
    eventually("all have left", || publisher.wait_for_subscribers_to("c", 1, TURN) == timed_out(0));
}

#[test]
fn a_publisher_waits_for_those_who_want_a_certain_topic() {
    over(ALL, who_wants_it_is_counted::<Pub>);
    over(ALL, who_wants_it_is_counted::<XPub>);
}

#[test]
fn with_inverted_matching_those_count_who_did_not_subscribe_to_it() {
    over(ALL, |place| {
        let mut publisher = place.builder::<Pub>().invert_matching(true).open().unwrap();
        let endpoint = publisher.bind(place.address()).unwrap();
        let mut subscriber: Socket<Sub> = place.open();
        subscriber.connect(&endpoint).unwrap();
        subscriber.subscribe("a").unwrap();
        publisher.wait_for_subscribers_to("b", 1, PATIENCE).unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        let nobody = Err(SubscribersError::TimedOut { subscribers: 0 });
        assert_eq!(publisher.wait_for_subscribers_to("a", 1, TURN), nobody);
    });
}

#[test]
fn a_socket_of_any_type_says_whether_it_can_wait() {
    let place = Place::new(Transport::Inproc);
    let mut pull = place.context.open_any(crate::SocketType::Pull).unwrap();
    assert_eq!(pull.wait_subscribed(TURN), Err(NotSubscribed::NotSupported));
    assert_eq!(pull.wait_for_subscribers_to("a", 0, TURN), Err(SubscribersError::NotSupported));
    let mut subscriber = place.context.open_any(crate::SocketType::Sub).unwrap();
    assert_eq!(subscriber.wait_subscribed(TURN), timed_out(0, 0));
}
