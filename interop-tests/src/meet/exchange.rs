//! Every message comes through as it was sent: all sizes that change something on the wire, multipart, many. The
//! side that gets it compares it.

use std::collections::BTreeSet;
use std::iter;
use std::thread;
use std::time::Instant;

use peermq::{
    Builder, Dealer, Message, Pattern, Pub, Pull, Push, Receives, Rep, Req, Router, RoutingId, SendError,
    Sends, Socket, Sub,
};

use super::{
    Frames, Implementation, Meeting, Peer, THEIRS, Task, builder, named, octets, unlimited, unnamed,
};
use crate::raw::random::Random;
use crate::raw::{DEADLINE, message_of};

/// PUSH to their PULL.
pub fn our_push_reaches_their_pull(theirs: &Implementation) {
    ours_send::<Push>(theirs, "PUSH to PULL", "PULL");
}

/// PUSH to our PULL.
pub fn their_push_reaches_our_pull(theirs: &Implementation) {
    theirs_send::<Pull>(theirs, "PUSH to PULL", "PUSH");
}

/// REQ to their REP and back.
pub fn our_req_asks_their_rep(theirs: &Implementation) {
    ours_ask::<Req>(theirs, "REQ/REP", "REP", unnamed, |ours, request| {
        ours.request(request).unwrap().recv().unwrap()
    });
}

/// REQ to our REP and back.
pub fn their_req_asks_our_rep(theirs: &Implementation) {
    theirs_ask::<Rep>(theirs, "REQ/REP", "REQ", unnamed, |ours| {
        let mut request = ours.recv().unwrap();
        let message = request.take_message();
        request.reply(&message).unwrap();
        message
    });
}

/// DEALER to their ROUTER and back.
pub fn our_dealer_asks_their_router(theirs: &Implementation) {
    ours_ask::<Dealer>(theirs, "DEALER/ROUTER", "ROUTER", named, send_and_receive);
}

/// DEALER to our ROUTER and back.
pub fn their_dealer_asks_our_router(theirs: &Implementation) {
    theirs_ask::<Router>(theirs, "DEALER/ROUTER", "DEALER", unnamed, |ours| {
        let (from, message) = ours.recv().unwrap();
        assert_eq!(from, RoutingId::new(THEIRS).unwrap());
        ours.send_to(&from, &message).unwrap();
        message
    });
}

/// ROUTER to their DEALER and back.
pub fn our_router_asks_their_dealer(theirs: &Implementation) {
    let name = RoutingId::new(THEIRS).unwrap();
    let open = |builder: Builder<Router>| builder.router_mandatory(true);
    ours_ask::<Router>(theirs, "DEALER/ROUTER", "DEALER", open, |ours, message| {
        let until = Instant::now() + DEADLINE;
        while let Err(unsent) = ours.send_to(&name, &message) {
            assert!(unsent.error == SendError::Unroutable && Instant::now() < until, "{unsent}");
            thread::yield_now();
        }
        let (from, message) = ours.recv().unwrap();
        assert_eq!(from, name);
        message
    });
}

/// ROUTER to our DEALER and back.
pub fn their_router_asks_our_dealer(theirs: &Implementation) {
    theirs_ask::<Dealer>(theirs, "DEALER/ROUTER", "ROUTER", named, send_back);
}

/// PUB to their SUB.
pub fn our_pub_reaches_their_sub(theirs: &Implementation) {
    for topics in SUBSCRIPTIONS {
        let (published, wanted) = published(topics);
        for place in theirs.places() {
            let mut ours = unlimited::<Pub>();
            let task = Task { topics, messages: &wanted, ..Task::new("receive", "SUB") };
            let (_meeting, peer) = Meeting::begin(theirs, &mut ours, place, &task);
            await_topics(&mut ours, topics.len());
            for frames in &published {
                ours.send(message_of(frames)).unwrap();
            }
            peer.finish(wanted.len());
            assert_eq!(ours.dropped().total(), 0);
            theirs.count("PUB to SUB", place, "ours to theirs", wanted.len());
        }
    }
}

/// PUB to our SUB.
pub fn their_pub_reaches_our_sub(theirs: &Implementation) {
    for topics in SUBSCRIPTIONS {
        let (published, wanted) = published(topics);
        for place in theirs.places() {
            let mut ours = unlimited::<Sub>();
            for topic in topics {
                ours.subscribe(topic).unwrap();
            }
            let task = Task { topics, messages: &published, ..Task::new("send", "PUB") };
            let (_meeting, peer) = Meeting::begin(theirs, &mut ours, place, &task);
            let mut first = Some(await_publisher(&mut ours, topics, &peer));
            for frames in &wanted {
                let message = first.take().unwrap_or_else(|| ours.recv().unwrap());
                assert!(message == message_of(frames), "{} parts", frames.len());
            }
            peer.finish(published.len());
            theirs.count("PUB to SUB", place, "theirs to ours", wanted.len());
        }
    }
}

/// Ours sends everything, theirs compares.
pub fn ours_send<P: Sends>(theirs: &Implementation, pattern: &str, kind: &str) {
    let messages = messages();
    for place in theirs.places() {
        let mut ours = builder::<P>().open().unwrap();
        let task = Task { messages: &messages, ..Task::new("receive", kind) };
        let (_meeting, peer) = Meeting::begin(theirs, &mut ours, place, &task);
        for frames in &messages {
            ours.send(message_of(frames)).unwrap();
        }
        peer.finish(messages.len());
        theirs.count(pattern, place, "ours to theirs", messages.len());
    }
}

/// Theirs sends everything, ours compares.
pub fn theirs_send<P: Receives>(theirs: &Implementation, pattern: &str, kind: &str) {
    let messages = messages();
    for place in theirs.places() {
        let mut ours = builder::<P>().open().unwrap();
        let task = Task { messages: &messages, ..Task::new("send", kind) };
        let (_meeting, peer) = Meeting::begin(theirs, &mut ours, place, &task);
        for frames in &messages {
            assert!(ours.recv().unwrap() == message_of(frames), "{} parts", frames.len());
        }
        peer.finish(messages.len());
        theirs.count(pattern, place, "theirs to ours", messages.len());
    }
}

/// Theirs sends back what it gets; ours asks in the verbs of its type.
pub fn ours_ask<P: Pattern>(
    theirs: &Implementation,
    pattern: &str,
    kind: &str,
    open: impl Fn(Builder<P>) -> Builder<P>,
    ask: impl Fn(&mut Socket<P>, Message) -> Message,
) {
    let messages = messages();
    for place in theirs.places() {
        let mut ours = open(builder()).open().unwrap();
        let _peer = Meeting::begin(theirs, &mut ours, place, &Task::new("echo", kind));
        for frames in &messages {
            assert!(ask(&mut ours, message_of(frames)) == message_of(frames), "{} parts", frames.len());
        }
        theirs.count(pattern, place, "ours ask", 2 * messages.len());
    }
}

/// Ours sends back what it gets, in the verbs of its type; theirs compares it too.
pub fn theirs_ask<P: Pattern>(
    theirs: &Implementation,
    pattern: &str,
    kind: &str,
    open: impl Fn(Builder<P>) -> Builder<P>,
    answer: impl Fn(&mut Socket<P>) -> Message,
) {
    let messages = messages();
    for place in theirs.places() {
        let mut ours = open(builder()).open().unwrap();
        let task = Task { messages: &messages, ..Task::new("ask", kind) };
        let (_meeting, peer) = Meeting::begin(theirs, &mut ours, place, &task);
        for frames in &messages {
            assert!(answer(&mut ours) == message_of(frames), "{} parts", frames.len());
        }
        peer.finish(messages.len());
        theirs.count(pattern, place, "theirs ask", 2 * messages.len());
    }
}

/// Waits until so many topics have arrived.
pub fn await_topics(ours: &mut Socket<Pub>, count: usize) {
    let until = Instant::now() + DEADLINE;
    while ours.topic_count() < count {
        assert!(Instant::now() < until, "{} topics", ours.topic_count());
        thread::yield_now();
    }
}

/// Their PUB asks for each topic until it is told that all of them are heard. Returns what it publishes first.
pub fn await_publisher(ours: &mut Socket<Sub>, topics: &[&str], peer: &Peer) -> Message {
    let questions: BTreeSet<Frames> =
        topics.iter().map(|topic| vec![format!("{topic}?").into_bytes()]).collect();
    let mut heard = BTreeSet::new();
    while heard.len() < questions.len() {
        let question = octets(&ours.recv().unwrap());
        assert!(questions.contains(&question));
        heard.insert(question);
    }
    peer.tell();
    iter::repeat_with(|| ours.recv().unwrap()).find(|message| !questions.contains(&octets(message))).unwrap()
}

fn send_and_receive<P: Sends + Receives>(ours: &mut Socket<P>, message: Message) -> Message {
    ours.send(message).unwrap();
    ours.recv().unwrap()
}

fn send_back<P: Sends + Receives>(ours: &mut Socket<P>) -> Message {
    let message = ours.recv().unwrap();
    ours.send(&message).unwrap();
    message
}

/// Single frames of every size, multipart of 1 to 1,000 parts, a mix, and many small ones.
fn messages() -> Vec<Frames> {
    let mut random = Random(37);
    let mut messages: Vec<Frames> = SIZES.map(|size| vec![random.octets(size)]).to_vec();
    for parts in [1, 2, 3, 255, 256, 1000] {
        messages.push((0..parts).map(|part| random.octets(part % 300)).collect());
    }
    messages.push(SIZES.map(|size| random.octets(size)).to_vec());
    for number in 0..300 {
        let octets = random.below(600);
        messages.push(vec![format!("{number}").into_bytes(), random.octets(octets)]);
    }
    messages
}

/// Messages of which some have these topics, and those that have.
fn published(topics: &[&str]) -> (Vec<Frames>, Vec<Frames>) {
    let mut published = Vec::new();
    for topic in topics.iter().chain(&["b", "c"]) {
        for mut frames in messages() {
            if let Some(front) = frames[0].get_mut(..topic.len()) {
                front.copy_from_slice(topic.as_bytes());
            }
            published.push(frames);
        }
    }
    let has_topic = |frames: &&Frames| topics.iter().any(|topic| frames[0].starts_with(topic.as_bytes()));
    let wanted = published.iter().filter(has_topic).cloned().collect();
    (published, wanted)
}

/// The frame sizes that change something on the wire or in memory.
const SIZES: [usize; 7] = [0, 1, 255, 256, 65_535, 65_536, 1 << 20];

/// What subscribers ask for: a choice, and everything.
const SUBSCRIPTIONS: [&[&str]; 2] = [&["a", "bc"], &[""]];
