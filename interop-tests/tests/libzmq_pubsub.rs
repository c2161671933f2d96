//! libzmq as a peer: PUB, SUB, XPUB and XSUB, both directions, both bind sides, tcp and ipc; every message is
//! compared. `our_*` publish to libzmq, `their_*` the other way. S-01 to S-38, B-13, E-08.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::random::Random;
use interop_tests::raw::{DEADLINE, Transport, message_of};
use interop_tests::tally;
use interop_tests::theirs::Address;
use peermq::{
    Context, Hwm, Message, Pattern, Pub, Publishes, ReconnectInterval, Socket, Sub, Subscribes, XPub, XSub,
};

/// Who binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binds {
    We,
    They,
}

const EVERYWHERE: [(Transport, Binds); 4] = [
    (Transport::Tcp, Binds::We),
    (Transport::Tcp, Binds::They),
    (Transport::Ipc, Binds::We),
    (Transport::Ipc, Binds::They),
];

type Frames = Vec<Vec<u8>>;

/// The frame sizes that change something on the wire or in memory.
const SIZES: [usize; 8] = [0, 1, 254, 255, 256, 65_535, 65_536, 5 << 20];

/// Messages of which those that begin with "a" or "bc" are wanted, and which.
fn messages() -> (Vec<Frames>, Vec<Frames>) {
    let mut random = Random(3);
    let mut messages: Vec<Frames> = Vec::new();
    for topic in ["a", "bc", "b", ""] {
        messages.extend(SIZES.map(|size| vec![[topic.as_bytes(), &random.octets(size)].concat()]));
        messages.push(SIZES.map(|size| [topic.as_bytes(), &random.octets(size)].concat()).to_vec());
        for parts in [2, 3, 100, 1000] {
            messages.push((0..parts).map(|part| [topic.as_bytes(), &vec![9; part % 300]].concat()).collect());
        }
    }
    for number in 0..3000 {
        let topic = ["a", "ab", "b", "bc", "c", ""][random.below(6)];
        let octets = random.below(600);
        messages.push(vec![format!("{topic}{number}").into_bytes(), random.octets(octets)]);
    }
    // What is awaited in the end.
    messages.push(vec![b"a, the end".to_vec()]);
    let is_wanted = |frames: &&Frames| frames[0].starts_with(b"a") || frames[0].starts_with(b"bc");
    let wanted = messages.iter().filter(is_wanted).cloned().collect();
    (messages, wanted)
}

/// Without limits: what is lost is lost by mistake.
fn open_ours<P: Pattern>() -> Socket<P> {
    let context = Context::builder().io_threads(1).build();
    let builder = context.builder_for::<P>().send_timeout(DEADLINE).recv_timeout(DEADLINE);
    let builder = builder.send_hwm(Hwm::UNLIMITED).recv_hwm(Hwm::UNLIMITED);
    builder.reconnect_interval(ReconnectInterval::Every(Duration::from_millis(5))).open().unwrap()
}

fn open_theirs(context: &zmq::Context, kind: zmq::SocketType) -> zmq::Socket {
    let socket = context.socket(kind).unwrap();
    let wait = i32::try_from(DEADLINE.as_millis()).unwrap();
    socket.set_sndhwm(0).unwrap();
    socket.set_rcvhwm(0).unwrap();
    socket.set_sndtimeo(wait).unwrap();
    socket.set_rcvtimeo(wait).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_reconnect_ivl(5).unwrap();
    socket
}

/// Connects the two.
fn join<P: Pattern>(ours: &mut Socket<P>, theirs: &zmq::Socket, transport: Transport, binds: Binds) {
    match binds {
        Binds::We => {
            let endpoint = ours.bind(transport.free_endpoint()).unwrap().to_string();
            theirs.connect(&endpoint).unwrap();
        }
        Binds::They => {
            let address = Address::new();
            theirs.bind(&address.endpoint(transport)).unwrap();
            let connection = ours.connect(theirs.get_last_endpoint().unwrap().unwrap()).unwrap();
            // Before the address goes.
            connection.wait_ready(DEADLINE).unwrap();
        }
    }
}

/// Subscribes as this type does.
fn subscribe_theirs(theirs: &zmq::Socket, topic: &[u8]) {
    if theirs.get_socket_type().unwrap() == zmq::SUB {
        return theirs.set_subscribe(topic).unwrap();
    }
    theirs.send([b"\x01", topic].concat(), 0).unwrap();
}

fn unsubscribe_theirs(theirs: &zmq::Socket, topic: &[u8]) {
    if theirs.get_socket_type().unwrap() == zmq::SUB {
        return theirs.set_unsubscribe(topic).unwrap();
    }
    theirs.send([b"\0", topic].concat(), 0).unwrap();
}

/// Publishes until `is_heard`, for publishers that cannot say who has subscribed.
fn publish_until(what: &str, mut publish: impl FnMut(), mut is_heard: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_heard() {
        assert!(Instant::now() < until, "{what}");
        publish();
        thread::yield_now();
    }
}

/// Looks until it is so. libzmq takes a new connection in, and tells it what it subscribes to, only while its
/// application is in a call: here.
fn eventually(what: &str, theirs: &zmq::Socket, is_so: impl FnMut() -> bool) {
    let call = || {
        theirs.get_events().unwrap();
    };
    publish_until(what, call, is_so);
}

/// What our XPUB is told next.
fn told(ours: &mut Socket<XPub>, theirs: &zmq::Socket) -> Message {
    let mut message = Message::new();
    eventually("something is told", theirs, || ours.try_recv_into(&mut message).is_ok());
    message
}

fn tally(pattern: &str, transport: Transport, binds: Binds, direction: &str, messages: usize) {
    let transport = if transport == Transport::Tcp { "tcp" } else { "ipc" };
    let direction = format!("{direction}, {} bind", if binds == Binds::We { "we" } else { "they" });
    tally::count("libzmq", pattern, transport, &direction, messages);
}

fn our_publisher_reaches<P: Publishes>(kind: zmq::SocketType, pattern: &str) {
    let (messages, wanted) = messages();
    for (transport, binds) in EVERYWHERE {
        let mut ours = open_ours::<P>();
        let theirs = open_theirs(&zmq::Context::new(), kind);
        join(&mut ours, &theirs, transport, binds);
        subscribe_theirs(&theirs, b"a");
        subscribe_theirs(&theirs, b"bc");
        eventually("both topics are known", &theirs, || ours.topic_count() == 2);
        ours.wait_for_subscribers(1, DEADLINE).unwrap();
        let expected = wanted.clone();
        let receiving = thread::spawn(move || {
            for frames in &expected {
                assert!(theirs.recv_multipart(0).unwrap() == *frames, "{} parts", frames.len());
            }
            theirs
        });
        for frames in &messages {
            match &frames[..] {
                [single] => ours.send(single).unwrap(),
                _ => ours.send(message_of(frames)).unwrap(),
            }
        }
        let theirs = receiving.join().unwrap();
        unsubscribe_theirs(&theirs, b"a");
        unsubscribe_theirs(&theirs, b"bc");
        eventually("both are taken back", &theirs, || ours.subscriber_count() == 0);
        assert_eq!((ours.topic_count(), ours.dropped().total()), (0, 0));
        tally(pattern, transport, binds, "ours to theirs", wanted.len());
    }
}

#[test]
fn our_pub_reaches_their_sub() {
    our_publisher_reaches::<Pub>(zmq::SUB, "PUB to SUB");
}

#[test]
fn our_pub_reaches_their_xsub() {
    our_publisher_reaches::<Pub>(zmq::XSUB, "PUB to XSUB");
}

#[test]
fn our_xpub_reaches_their_sub() {
    our_publisher_reaches::<XPub>(zmq::SUB, "XPUB to SUB");
}

#[test]
fn our_xpub_reaches_their_xsub() {
    our_publisher_reaches::<XPub>(zmq::XSUB, "XPUB to XSUB");
}

fn their_publisher_reaches<S: Subscribes>(kind: zmq::SocketType, pattern: &str) {
    let (messages, wanted) = messages();
    for (transport, binds) in EVERYWHERE {
        let mut ours = open_ours::<S>();
        let theirs = open_theirs(&zmq::Context::new(), kind);
        join(&mut ours, &theirs, transport, binds);
        ours.subscribe("a").unwrap();
        ours.subscribe("bc").unwrap();
        if kind == zmq::XPUB {
            // S-02: as libzmq shows them.
            let mut told = [theirs.recv_bytes(0).unwrap(), theirs.recv_bytes(0).unwrap()];
            told.sort();
            assert_eq!(told, [b"\x01a".to_vec(), b"\x01bc".to_vec()]);
        }
        // The last of them is known when it is heard, and the first was told before.
        let publish = || theirs.send("bc?", 0).unwrap();
        publish_until("subscribed", publish, || ours.recv_timeout(Duration::from_millis(1)).is_ok());
        let sent = messages.clone();
        let sending = thread::spawn(move || {
            for frames in &sent {
                theirs.send_multipart(frames, 0).unwrap();
            }
            theirs
        });
        let mut expected = wanted.iter();
        let mut next = expected.next();
        while let Some(frames) = next {
            let message = ours.recv().unwrap();
            if message != "bc?" {
                assert!(message == message_of(frames), "{} parts", frames.len());
                next = expected.next();
            }
        }
        let theirs = sending.join().unwrap();
        assert!(ours.unsubscribe("a") && ours.unsubscribe("bc"));
        if kind == zmq::XPUB {
            // S-03
            assert_eq!(theirs.recv_bytes(0).unwrap(), b"\0a");
            assert_eq!(theirs.recv_bytes(0).unwrap(), b"\0bc");
        }
        tally(pattern, transport, binds, "theirs to ours", wanted.len());
    }
}

#[test]
fn their_pub_reaches_our_sub() {
    their_publisher_reaches::<Sub>(zmq::PUB, "PUB to SUB");
}

#[test]
fn their_pub_reaches_our_xsub() {
    their_publisher_reaches::<XSub>(zmq::PUB, "PUB to XSUB");
}

#[test]
fn their_xpub_reaches_our_sub() {
    their_publisher_reaches::<Sub>(zmq::XPUB, "XPUB to SUB");
}

#[test]
fn their_xpub_reaches_our_xsub() {
    their_publisher_reaches::<XSub>(zmq::XPUB, "XPUB to XSUB");
}

#[test]
fn one_cancellation_of_theirs_takes_two_subscriptions_back() {
    // libzmq tells of each subscription and of the last cancellation: a publisher that counts, as S-05 has it, would
    // go on sending for ever.
    for (transport, binds) in EVERYWHERE {
        for kind in [zmq::SUB, zmq::XSUB] {
            let context = zmq::Context::new();
            let theirs = open_theirs(&context, kind);
            let builder = Context::builder().io_threads(1).build().builder_for::<XPub>().xpub_verbose(true);
            let mut ours = builder.recv_timeout(DEADLINE).open().unwrap();
            join(&mut ours, &theirs, transport, binds);
            subscribe_theirs(&theirs, b"end");
            assert_eq!(told(&mut ours, &theirs), b"\x01end");
            for _ in 0..2 {
                subscribe_theirs(&theirs, b"a");
                assert_eq!(told(&mut ours, &theirs), b"\x01a");
            }
            unsubscribe_theirs(&theirs, b"a");
            unsubscribe_theirs(&theirs, b"a");
            assert_eq!(told(&mut ours, &theirs), b"\0a");
            ours.send("a").unwrap();
            ours.send("end").unwrap();
            assert_eq!(theirs.recv_bytes(0).unwrap(), b"end");
        }
        tally("XPUB to SUB", transport, binds, "ours to theirs, subscribed twice", 2);
    }
}

#[test]
fn their_publishers_know_when_the_wait_is_over() {
    for (transport, binds) in EVERYWHERE {
        for kind in [zmq::PUB, zmq::XPUB] {
            let context = zmq::Context::new();
            let theirs = open_theirs(&context, kind);
            let mut ours = open_ours::<Sub>();
            join(&mut ours, &theirs, transport, binds);
            for round in 0..200 {
                let topic = format!("{round}.");
                ours.subscribe(&topic).unwrap();
                ours.wait_subscribed(DEADLINE).unwrap();
                // A call that looks into the queue, as a send does now and then: what is in it takes effect.
                theirs.get_events().unwrap();
                theirs.send(&topic, 0).unwrap();
                assert_eq!(ours.recv().unwrap(), topic);
            }
        }
        tally("PUB to SUB", transport, binds, "theirs to ours, waited for", 400);
    }
}

fn twice<S: Subscribes>(transport: Transport, binds: Binds) {
    let context = zmq::Context::new();
    let theirs = open_theirs(&context, zmq::XPUB);
    theirs.set_xpub_verbose(true).unwrap();
    let mut ours = open_ours::<S>();
    join(&mut ours, &theirs, transport, binds);
    for _ in 0..3 {
        ours.subscribe("a").unwrap();
        assert_eq!(theirs.recv_bytes(0).unwrap(), b"\x01a");
    }
    assert!(ours.unsubscribe("a") && ours.unsubscribe("a"));
    theirs.send("a1", 0).unwrap();
    assert_eq!(ours.recv().unwrap(), "a1");
    assert!(ours.unsubscribe("a"));
    assert_eq!(theirs.recv_bytes(0).unwrap(), b"\0a");
}

#[test]
fn their_verbose_xpub_is_told_of_each_subscription_of_ours_and_of_the_last_cancellation() {
    for (transport, binds) in EVERYWHERE {
        twice::<Sub>(transport, binds);
        twice::<XSub>(transport, binds);
        tally("XPUB to SUB", transport, binds, "theirs to ours, subscribed twice", 2);
    }
}

#[test]
fn our_xpub_and_their_xsub_see_each_others_subscriptions_and_messages() {
    // S-21 to S-25, S-35, S-37
    for (transport, binds) in EVERYWHERE {
        let mut ours = open_ours::<XPub>();
        let context = zmq::Context::new();
        let theirs = open_theirs(&context, zmq::XSUB);
        join(&mut ours, &theirs, transport, binds);
        theirs.send(&b"\x01topic"[..], 0).unwrap();
        assert_eq!(told(&mut ours, &theirs), b"\x01topic");
        for number in 0..500 {
            theirs.send_multipart(["upstream", &number.to_string()], 0).unwrap();
            assert_eq!(ours.recv().unwrap(), ["upstream", &number.to_string()]);
        }
        drop(theirs);
        assert_eq!(ours.recv().unwrap(), b"\0topic");
        tally("XPUB to XSUB", transport, binds, "theirs to ours, upstream", 502);
    }
}

#[test]
fn their_xpub_and_our_xsub_see_each_others_subscriptions_and_messages() {
    for (transport, binds) in EVERYWHERE {
        let mut ours = open_ours::<XSub>();
        let theirs = open_theirs(&zmq::Context::new(), zmq::XPUB);
        join(&mut ours, &theirs, transport, binds);
        ours.send(b"\x01topic").unwrap();
        assert_eq!(theirs.recv_bytes(0).unwrap(), b"\x01topic");
        for number in 0..500 {
            ours.send(["upstream", &number.to_string()]).unwrap();
            assert_eq!(message_of(&theirs.recv_multipart(0).unwrap()), ["upstream", &number.to_string()]);
        }
        drop(ours);
        assert_eq!(theirs.recv_bytes(0).unwrap(), b"\0topic");
        tally("XPUB to XSUB", transport, binds, "ours to theirs, upstream", 502);
    }
}

#[test]
fn our_pub_knows_ten_thousand_topics_of_their_sub() {
    const TOPICS: usize = 10_000;
    for (transport, binds) in EVERYWHERE {
        let mut ours = open_ours::<Pub>();
        let theirs = open_theirs(&zmq::Context::new(), zmq::SUB);
        join(&mut ours, &theirs, transport, binds);
        for number in 0..TOPICS {
            theirs.set_subscribe(format!("{number:05}").as_bytes()).unwrap();
        }
        eventually("all are known", &theirs, || ours.topic_count() == TOPICS);
        for number in 0..TOPICS {
            ours.send([&format!("{number:05}"), "wanted"]).unwrap();
            ours.send([&format!("{number:04}x"), "unwanted"]).unwrap();
        }
        for number in 0..TOPICS {
            let got = theirs.recv_multipart(0).unwrap();
            assert_eq!(message_of(&got), [&format!("{number:05}"), "wanted"]);
        }
        for number in 0..TOPICS {
            theirs.set_unsubscribe(format!("{number:05}").as_bytes()).unwrap();
        }
        eventually("all are taken back", &theirs, || ours.topic_count() == 0);
        tally("PUB to SUB", transport, binds, "ours to theirs, 10,000 topics", TOPICS);
    }
}

#[test]
fn their_xpub_knows_ten_thousand_topics_of_our_sub() {
    const TOPICS: usize = 10_000;
    for (transport, binds) in EVERYWHERE {
        let mut ours = open_ours::<Sub>();
        let theirs = open_theirs(&zmq::Context::new(), zmq::XPUB);
        for number in 0..TOPICS {
            ours.subscribe(format!("{number:05}")).unwrap();
        }
        join(&mut ours, &theirs, transport, binds);
        for _ in 0..TOPICS {
            assert_eq!(theirs.recv_bytes(0).unwrap()[0], 1);
        }
        for number in 0..TOPICS {
            theirs.send_multipart([&format!("{number:05}"), "wanted"], 0).unwrap();
            theirs.send_multipart([&format!("{number:04}x"), "unwanted"], 0).unwrap();
        }
        for number in 0..TOPICS {
            assert_eq!(ours.recv().unwrap(), [&format!("{number:05}"), "wanted"]);
        }
        tally("XPUB to SUB", transport, binds, "theirs to ours, 10,000 topics", TOPICS);
    }
}

#[test]
fn our_sub_tells_their_xpub_everything_again_when_it_comes_back() {
    // S-33, E-08
    for transport in [Transport::Tcp, Transport::Ipc] {
        let mut ours = open_ours::<Sub>();
        for number in 0..100 {
            ours.subscribe(format!("{number:02}")).unwrap();
        }
        let context = zmq::Context::new();
        let address = Address::new();
        let mut endpoint = address.endpoint(transport);
        for round in 0..10 {
            let theirs = open_theirs(&context, zmq::XPUB);
            bind_again(&theirs, &endpoint);
            if round == 0 {
                endpoint = theirs.get_last_endpoint().unwrap().unwrap();
                ours.connect(&endpoint[..]).unwrap();
            }
            let mut told: Vec<Vec<u8>> = (0..100).map(|_| theirs.recv_bytes(0).unwrap()).collect();
            told.sort();
            let expected = (0..100).map(|number| format!("\x01{number:02}").into_bytes());
            assert!(told.into_iter().eq(expected));
            for number in 0..100 {
                theirs.send(&format!("{number:02}.{round}"), 0).unwrap();
                assert_eq!(ours.recv().unwrap(), format!("{number:02}.{round}"));
            }
        }
        tally("XPUB to SUB", transport, Binds::They, "theirs to ours, restarted", 1000);
    }
}

#[test]
fn their_sub_tells_our_pub_everything_again_when_ours_comes_back() {
    let context = zmq::Context::new();
    let theirs = open_theirs(&context, zmq::SUB);
    for number in 0..100 {
        theirs.set_subscribe(format!("{number:02}").as_bytes()).unwrap();
    }
    let mut endpoint = Address::new().endpoint(Transport::Tcp);
    for round in 0..5 {
        let mut ours = open_ours::<Pub>();
        endpoint = ours.bind(&endpoint[..]).unwrap().to_string();
        if round == 0 {
            theirs.connect(&endpoint).unwrap();
        }
        eventually("all are known again", &theirs, || ours.topic_count() == 100);
        for number in 0..100 {
            ours.send(format!("{number:02}.{round}")).unwrap();
            assert_eq!(theirs.recv_string(0).unwrap().unwrap(), format!("{number:02}.{round}"));
        }
    }
    tally("PUB to SUB", Transport::Tcp, Binds::We, "ours to theirs, restarted", 500);
}

#[test]
fn our_pub_connects_to_their_sub_again_when_it_comes_back() {
    for transport in [Transport::Tcp, Transport::Ipc] {
        let mut ours = open_ours::<XPub>();
        let context = zmq::Context::new();
        let address = Address::new();
        let mut endpoint = address.endpoint(transport);
        for round in 0..5 {
            let theirs = open_theirs(&context, zmq::SUB);
            theirs.set_subscribe(format!("{round}").as_bytes()).unwrap();
            bind_again(&theirs, &endpoint);
            if round == 0 {
                endpoint = theirs.get_last_endpoint().unwrap().unwrap();
                ours.connect(&endpoint[..]).unwrap();
            }
            assert_eq!(told(&mut ours, &theirs), format!("\x01{round}"));
            for number in 0..100 {
                ours.send([format!("{round}"), format!("{number}")]).unwrap();
                let got = theirs.recv_multipart(0).unwrap();
                assert_eq!(message_of(&got), [format!("{round}"), format!("{number}")]);
            }
            drop(theirs);
            // S-25
            assert_eq!(ours.recv().unwrap(), format!("\0{round}"));
        }
        tally("XPUB to SUB", transport, Binds::They, "ours to theirs, restarted", 500);
    }
}

/// Binds to a place that another socket has just left.
fn bind_again(socket: &zmq::Socket, endpoint: &str) {
    let until = Instant::now() + DEADLINE;
    while let Err(error) = socket.bind(endpoint) {
        assert!(error == zmq::Error::EADDRINUSE && Instant::now() < until, "{endpoint}: {error}");
        thread::yield_now();
    }
}
