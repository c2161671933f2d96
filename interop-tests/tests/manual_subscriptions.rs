//! `xpub_manual` and `xpub_manual_last_value` do what libzmq's ZMQ_XPUB_MANUAL and ZMQ_XPUB_MANUAL_LAST_VALUE do: the same
//! script with either publisher, and every message that each subscriber gets is compared. S-38
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unsafe_code, reason = "the crate zmq has no access to options by number")]

use std::collections::BTreeSet;

use interop_tests::raw::DEADLINE;
use interop_tests::raw::random::Random;
use interop_tests::tally;
use peermq::{Context, Message, Socket, XPub, XSub};

/// Codes of zmq.h.
const XPUB_MANUAL: i32 = 71;
const XPUB_MANUAL_LAST_VALUE: i32 = 98;

const SUBSCRIBERS: usize = 3;
const TOPICS: [&str; 4] = ["a", "ab", "b", ""];
/// What all of them have from the start.
const END: &str = "the end";

/// An XPUB whose application subscribes for its peers.
enum Publisher {
    Ours(Box<Socket<XPub>>),
    Theirs(zmq::Socket),
}

impl Publisher {
    fn ours(option: i32) -> (Self, String) {
        let builder = Context::new().builder_for::<XPub>().recv_timeout(DEADLINE);
        let builder = match option {
            XPUB_MANUAL => builder.xpub_manual(true),
            _ => builder.xpub_manual_last_value(true),
        };
        let mut xpub = builder.open().unwrap();
        let endpoint = xpub.bind("tcp://127.0.0.1:0").unwrap().to_string();
        (Self::Ours(Box::new(xpub)), endpoint)
    }

    fn theirs(option: i32) -> (Self, String) {
        let mut xpub = zmq::Context::new().socket(zmq::XPUB).unwrap();
        let on = 1_i32;
        // SAFETY: the handle is live, and the value is an int, as the option wants.
        let set = unsafe {
            zmq_sys::zmq_setsockopt(xpub.as_mut_ptr(), option, (&raw const on).cast(), size_of::<i32>())
        };
        assert_eq!(set, 0, "{option}");
        xpub.set_rcvtimeo(i32::try_from(DEADLINE.as_millis()).unwrap()).unwrap();
        xpub.set_linger(0).unwrap();
        xpub.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = xpub.get_last_endpoint().unwrap().unwrap();
        (Self::Theirs(xpub), endpoint)
    }

    /// What the application is told next.
    fn told(&mut self) -> Vec<u8> {
        match self {
            Self::Ours(xpub) => xpub.recv().unwrap().body().to_vec(),
            Self::Theirs(xpub) => xpub.recv_bytes(0).unwrap(),
        }
    }

    fn subscribe(&mut self, topic: &str) {
        match self {
            Self::Ours(xpub) => xpub.subscribe(topic).unwrap(),
            Self::Theirs(xpub) => xpub.set_subscribe(topic.as_bytes()).unwrap(),
        }
    }

    fn unsubscribe(&mut self, topic: &str) {
        match self {
            Self::Ours(xpub) => drop(xpub.unsubscribe(topic)),
            Self::Theirs(xpub) => xpub.set_unsubscribe(topic.as_bytes()).unwrap(),
        }
    }

    fn send(&mut self, message: &str) {
        match self {
            Self::Ours(xpub) => xpub.send(message).unwrap(),
            Self::Theirs(xpub) => xpub.send(message, 0).unwrap(),
        }
    }
}

/// One that gets whatever is sent to it.
struct Subscriber {
    socket: Socket<XSub>,
    asked: BTreeSet<&'static str>,
    /// Each topic once: libzmq keeps a set, where ours counts.
    granted: BTreeSet<&'static str>,
}

impl Subscriber {
    fn new(publisher: &mut Publisher, endpoint: &str) -> Self {
        let mut socket = Context::new().builder_for::<XSub>().recv_timeout(DEADLINE).open().unwrap();
        socket.connect(endpoint).unwrap();
        socket.subscribe(END).unwrap();
        assert_eq!(publisher.told(), format!("\x01{END}").into_bytes());
        publisher.subscribe(END);
        publisher.send("for nobody");
        Self { socket, asked: BTreeSet::new(), granted: BTreeSet::new() }
    }

    /// Asks for a topic, or takes that back.
    fn ask(&mut self, topic: &'static str) -> Vec<u8> {
        if self.asked.insert(topic) {
            self.socket.subscribe(topic).unwrap();
            return [b"\x01", topic.as_bytes()].concat();
        }
        self.asked.remove(topic);
        assert!(self.socket.unsubscribe(topic));
        [b"\0", topic.as_bytes()].concat()
    }

    fn messages(mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.last().is_none_or(|last| *last != END) {
            messages.push(self.socket.recv().unwrap());
        }
        messages
    }
}

/// Runs the script of this number. What each subscriber has received.
fn received((mut publisher, endpoint): (Publisher, String), seed: u64) -> [Vec<Message>; SUBSCRIBERS] {
    let mut random = Random(seed);
    let mut subscribers = [(); SUBSCRIBERS].map(|()| Subscriber::new(&mut publisher, &endpoint));
    for number in 0..100 {
        let subscriber = &mut subscribers[random.below(SUBSCRIBERS)];
        let asked = subscriber.ask(TOPICS[random.below(TOPICS.len())]);
        assert_eq!(publisher.told(), asked);
        // Whatever was asked, the application grants something, or takes it back, or does nothing.
        let topic = TOPICS[random.below(TOPICS.len())];
        if random.below(4) == 0 {
            // Nothing.
        } else if subscriber.granted.insert(topic) {
            publisher.subscribe(topic);
        } else {
            subscriber.granted.remove(topic);
            publisher.unsubscribe(topic);
        }
        for part in 0..random.below(3) {
            publisher.send(&format!("{} {number}.{part}", ["a", "abc", "b", "c"][random.below(4)]));
        }
    }
    // The first one may be for the last who asked only.
    publisher.send("the end of the script");
    publisher.send(END);
    subscribers.map(Subscriber::messages)
}

fn is_the_same(option: i32, name: &str) {
    let mut count = 0;
    for seed in 0..20 {
        let (ours, theirs) =
            (received(Publisher::ours(option), seed), received(Publisher::theirs(option), seed));
        assert_eq!(ours, theirs, "seed {seed}");
        count += ours.iter().map(Vec::len).sum::<usize>();
    }
    tally::count("libzmq", "XPUB to XSUB", "tcp", &format!("the same script, {name}"), count);
}

#[test]
fn an_application_subscribes_for_its_peers() {
    is_the_same(XPUB_MANUAL, "manual");
}

#[test]
fn the_message_behind_a_subscription_is_for_that_peer_alone() {
    is_the_same(XPUB_MANUAL_LAST_VALUE, "manual, last value");
}
