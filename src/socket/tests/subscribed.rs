//! Waiting until publishers know what is wanted, and until somebody wants a certain topic.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;

use super::matrix::greeting_and_ready;
use super::pubsub::{EACH, met};
use super::tasks::run;
use super::*;
use crate::limits::CHANGES_PER_CALL;
use crate::{NotSubscribed, Pub, Publishes, Sub, SubscribersError, Subscribes, XPub, XSub};

fn nobody() -> Result<(), NotSubscribed> {
    Err(NotSubscribed::TimedOut { missing: None, subscribed: 0, publishers: 0 })
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
        assert_eq!(subscriber.wait_subscribed(TURN), nobody());
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
            let missing = Some(nowhere.clone());
            waited == Err(NotSubscribed::TimedOut { missing, subscribed: 4, publishers: 5 })
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

/// Far more than a publisher takes in with one call.
const BULK: usize = 10_000;

fn of_bulk(number: usize) -> String {
    format!("{number:05}.")
}

fn nothing_is_missed_after_bulk<P: Publishes>(place: &Place) {
    let (mut publisher, mut subscriber) = met::<P, Sub>(place, EACH[0], &[]);
    (0..BULK).for_each(|number| subscriber.subscribe(of_bulk(number)).unwrap());
    let (over, is_over) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            subscriber.wait_subscribed(PATIENCE).unwrap();
            over.send(()).unwrap();
        });
        // A call now and then.
        eventually("it knows", || {
            publisher.send("nobody's").unwrap();
            is_over.recv_timeout(TURN).is_ok()
        });
    });
    // Those that came last first: by then there have been many calls for the others.
    for number in (0..BULK).rev() {
        publisher.send(of_bulk(number)).unwrap();
        assert_eq!(recv(&mut subscriber), of_bulk(number));
    }
}

#[test]
fn who_has_subscribed_to_a_lot_and_waits_misses_nothing() {
    over(ALL, nothing_is_missed_after_bulk::<Pub>);
    over(ALL, nothing_is_missed_after_bulk::<XPub>);
}

#[test]
fn a_publisher_that_waits_for_one_topic_of_a_lot_has_that() {
    over(ALL, |place| {
        let (mut publisher, endpoint) = place.bound::<Pub>();
        let mut subscribers: Vec<Socket<Sub>> = (0..2).map(|_| place.connected(&endpoint)).collect();
        for subscriber in &mut subscribers {
            (0..BULK).for_each(|number| subscriber.subscribe(of_bulk(number)).unwrap());
        }
        for number in [BULK - 1, 0, BULK / 2] {
            publisher.wait_for_subscribers_to(of_bulk(number), 2, PATIENCE).unwrap();
            publisher.send(of_bulk(number)).unwrap();
            for subscriber in &mut subscribers {
                assert_eq!(recv(subscriber), of_bulk(number));
            }
        }
    });
}

const QUESTION: &[u8] = b"peermq??\0\0\0\0\0\0\0\x01";

fn ping(context: &[u8]) -> Vec<u8> {
    [&[4, u8::try_from(7 + context.len()).unwrap()], &b"\x04PING\0\0"[..], context].concat()
}

fn has_pong(octets: &[u8], context: &[u8]) -> bool {
    let pong = [&b"\x04PONG"[..], context].concat();
    octets.windows(pong.len()).any(|window| window == pong)
}

/// Reads on until there is a PONG with this context.
fn read_until_pong(stream: &mut TcpStream, octets: &mut Vec<u8>, context: &[u8]) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    while !has_pong(octets, context) {
        let mut more = [0; 256];
        let count = stream.read(&mut more).unwrap();
        assert!(count > 0, "it was closed: {octets:x?}");
        octets.extend(&more[..count]);
    }
}

fn subscriptions(numbers: std::ops::Range<usize>) -> Vec<u8> {
    numbers.flat_map(|number| [b"\x04\x10\x09SUBSCRIBE", of_bulk(number).as_bytes()].concat()).collect()
}

fn raw_subscriber(endpoint: &Endpoint) -> TcpStream {
    let mut stream = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
    stream.write_all(&greeting_and_ready("SUB")).unwrap();
    stream
}

#[test]
fn who_has_little_to_say_is_heard_beside_one_that_has_a_lot() {
    for _ in 0..10 {
        let place = Place::new(Transport::Tcp);
        let (mut publisher, endpoint) = place.bound::<Pub>();
        let mut talker = raw_subscriber(&endpoint);
        talker.write_all(&subscriptions(0..10 * CHANGES_PER_CALL)).unwrap();
        talker.write_all(&ping(b"1234567812345678")).unwrap();
        read_until_pong(&mut talker, &mut Vec::new(), b"1234567812345678");
        // All of that waits for the publisher's next call, and then this.
        let mut subscriber: Socket<Sub> = place.connected(&endpoint);
        for topic in ["a", "b"] {
            subscriber.subscribe(topic).unwrap();
            subscriber.wait_subscribed(PATIENCE).unwrap();
            publisher.send(topic).unwrap();
            assert_eq!(recv(&mut subscriber), topic);
        }
    }
}

#[test]
fn a_publisher_says_that_it_knows_when_its_next_call_does_and_answers_heartbeats_at_once() {
    for behind in [0, 2000] {
        let place = Place::new(Transport::Tcp);
        let (mut publisher, endpoint) = place.bound::<Pub>();
        let mut stream = raw_subscriber(&endpoint);
        let many = 3 * CHANGES_PER_CALL;
        stream.write_all(&subscriptions(0..many)).unwrap();
        let mut octets = Vec::new();
        for context in [QUESTION, b"", b"1234567812345678"] {
            stream.write_all(&ping(context)).unwrap();
        }
        read_until_pong(&mut stream, &mut octets, b"1234567812345678");
        assert!(!has_pong(&octets, QUESTION), "it cannot know all of them in one call");
        // So many that its queue is full of them: whoever reads waits for room, and for this.
        stream.write_all(&subscriptions(many..many + behind)).unwrap();
        eventually("a call has taken in enough", || publisher.topic_count() >= many - CHANGES_PER_CALL);
        read_until_pong(&mut stream, &mut octets, QUESTION);
        eventually("it has all", || publisher.topic_count() == many + behind);
        assert_eq!(publisher.dropped().total(), 0);
    }
}

#[test]
fn of_many_questions_the_last_is_answered() {
    let place = Place::new(Transport::Tcp);
    let (mut publisher, endpoint) = place.bound::<Pub>();
    let mut stream = raw_subscriber(&endpoint);
    let many = 2 * CHANGES_PER_CALL;
    stream.write_all(&subscriptions(0..many)).unwrap();
    for number in 0..10_000_u64 {
        stream.write_all(&ping(&[b"peermq??", &number.to_be_bytes()[..]].concat())).unwrap();
    }
    stream.write_all(&ping(QUESTION)).unwrap();
    stream.write_all(&ping(b"1234567812345678")).unwrap();
    let mut octets = Vec::new();
    read_until_pong(&mut stream, &mut octets, b"1234567812345678");
    assert!(!has_pong(&octets, b"peermq??"), "{octets:x?}");
    octets.clear();
    eventually("it has all", || publisher.topic_count() == many);
    read_until_pong(&mut stream, &mut octets, QUESTION);
    assert_eq!(octets, [&[4, 21], &b"\x04PONG"[..], QUESTION].concat());
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
    let timed_out = |subscribers| Err(SubscribersError::TimedOut { subscribers, wanted: subscribers + 1 });
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
        let nobody = Err(SubscribersError::TimedOut { subscribers: 0, wanted: 1 });
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
    assert_eq!(subscriber.wait_subscribed(TURN), nobody());
}
