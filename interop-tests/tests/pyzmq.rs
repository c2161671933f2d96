//! pyzmq as a peer, in a process of its own: PUSH/PULL, PAIR, REQ/REP, DEALER/ROUTER and PUB/SUB, both
//! directions, both bind sides, tcp and ipc; every message is compared by the side that gets it. `python/peer.py`
//! says what it does and how it is told. Its libzmq is another one than that of `tests/libzmq.rs`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::random::Random;
use interop_tests::raw::{DEADLINE, Transport, message_of};
use interop_tests::tally;
use peermq::{
    Builder, Context, Dealer, Hwm, Message, Pair, Pattern, Pub, Pull, Push, Receives, ReconnectInterval, Rep,
    Req, Router, RoutingId, SendError, Sends, Socket, Sub,
};
use tempfile::TempDir;

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

/// The frame sizes that change something on the wire or in memory.
const SIZES: [usize; 6] = [0, 1, 255, 256, 65_536, 1 << 20];

/// The routing ids that `python/peer.py` knows.
const OURS: &[u8] = b"one of ours";
const THEIRS: &[u8] = b"one of theirs";

type Frames = Vec<Vec<u8>>;

/// pyzmq, told to do one task with one socket. Killed when dropped.
struct Peer {
    process: Child,
    lines: Receiver<String>,
    /// What it reads; it ends itself when this is dropped.
    input: Sender<Vec<u8>>,
    /// Where its ipc endpoint is.
    _directory: TempDir,
}

impl Peer {
    /// Starts it and connects it to ours: `task` begins with the verb and the type of its socket.
    fn meet<P: Pattern>(
        ours: &mut Socket<P>,
        (transport, binds): (Transport, Binds),
        task: [&str; 2],
        topics: &[&str],
        messages: &[Frames],
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = match (binds, transport) {
            (Binds::We, Transport::Tcp) => ours.bind("tcp://127.0.0.1:*").unwrap().to_string(),
            (Binds::We, Transport::Ipc) => ours.bind("ipc://*").unwrap().to_string(),
            (Binds::They, Transport::Tcp) => String::from("tcp://127.0.0.1:*"),
            (Binds::They, Transport::Ipc) => format!("ipc://{}", directory.path().join("pyzmq").display()),
        };
        let side = if binds == Binds::We { "connect" } else { "bind" };
        let peer = Self::start(directory, &[&task[..], &[side, &place[..]], topics].concat());
        let endpoint = peer.line();
        if binds == Binds::They {
            ours.connect(endpoint.strip_prefix("at ").unwrap()).unwrap();
        }
        peer.input.send(encode(messages)).unwrap();
        peer
    }

    fn start(directory: TempDir, arguments: &[&str]) -> Self {
        let Ok(python) = std::env::var("PEERMQ_PYTHON") else {
            panic!("PEERMQ_PYTHON is not set: run interop-tests/run-all, which installs pyzmq and sets it");
        };
        let mut process = Command::new(python)
            .arg("-I")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/peer.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (input, written) = mpsc::channel::<Vec<u8>>();
        // Threads of their own, as pipes have no deadlines: both end with the process.
        thread::spawn(move || written.iter().try_for_each(|octets| stdin.write_all(&octets)));
        let (read, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| read.send(line))
        });
        Self { process, lines, input, _directory: directory }
    }

    /// What it reports next.
    fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("pyzmq reports nothing: {error}"))
    }

    /// Its task is done: it has sent, or got and compared, so many messages.
    fn finish(self, messages: usize) {
        assert_eq!(self.line(), format!("done {messages}"));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // An error says that it has ended.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// As `python/peer.py` reads messages.
fn encode(messages: &[Frames]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let mut encoded = number(messages.len()).to_vec();
    for frames in messages {
        encoded.extend(number(frames.len()));
        for frame in frames {
            encoded.extend(number(frame.len()));
            encoded.extend(frame);
        }
    }
    encoded
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

fn builder<P: Pattern>() -> Builder<P> {
    let context = Context::builder().io_threads(1).build();
    let builder = context.builder_for::<P>().send_timeout(DEADLINE).recv_timeout(DEADLINE);
    builder.reconnect_interval(ReconnectInterval::Every(Duration::from_millis(5)))
}

fn octets(message: &Message) -> Frames {
    message.frames().map(|frame| frame.to_vec()).collect()
}

fn count(pattern: &str, (transport, binds): (Transport, Binds), direction: &str, messages: usize) {
    let transport = if transport == Transport::Tcp { "tcp" } else { "ipc" };
    let direction = format!("{direction}, {} bind", if binds == Binds::We { "we" } else { "they" });
    tally::count("pyzmq", pattern, transport, &direction, messages);
}

fn ours_send<P: Sends>(pattern: &str, kind: &str) {
    let messages = messages();
    for place in EVERYWHERE {
        let mut ours = builder::<P>().open().unwrap();
        let theirs = Peer::meet(&mut ours, place, ["receive", kind], &[], &messages);
        for frames in &messages {
            ours.send(message_of(frames)).unwrap();
        }
        theirs.finish(messages.len());
        count(pattern, place, "ours to theirs", messages.len());
    }
}

fn theirs_send<P: Receives>(pattern: &str, kind: &str) {
    let messages = messages();
    for place in EVERYWHERE {
        let mut ours = builder::<P>().open().unwrap();
        let theirs = Peer::meet(&mut ours, place, ["send", kind], &[], &messages);
        for frames in &messages {
            assert!(ours.recv().unwrap() == message_of(frames), "{} parts", frames.len());
        }
        theirs.finish(messages.len());
        count(pattern, place, "theirs to ours", messages.len());
    }
}

/// Theirs sends back what it gets; ours asks in the verbs of its type.
fn ours_ask<P: Pattern>(
    pattern: &str,
    kind: &str,
    open: impl Fn(Builder<P>) -> Builder<P>,
    ask: impl Fn(&mut Socket<P>, Message) -> Message,
) {
    let messages = messages();
    for place in EVERYWHERE {
        let mut ours = open(builder()).open().unwrap();
        let _theirs = Peer::meet(&mut ours, place, ["echo", kind], &[], &[]);
        for frames in &messages {
            assert!(ask(&mut ours, message_of(frames)) == message_of(frames), "{} parts", frames.len());
        }
        count(pattern, place, "ours ask", 2 * messages.len());
    }
}

/// Ours sends back what it gets, in the verbs of its type; theirs compares it too.
fn theirs_ask<P: Pattern>(
    pattern: &str,
    kind: &str,
    open: impl Fn(Builder<P>) -> Builder<P>,
    answer: impl Fn(&mut Socket<P>) -> Message,
) {
    let messages = messages();
    for place in EVERYWHERE {
        let mut ours = open(builder()).open().unwrap();
        let theirs = Peer::meet(&mut ours, place, ["ask", kind], &[], &messages);
        for frames in &messages {
            assert!(answer(&mut ours) == message_of(frames), "{} parts", frames.len());
        }
        theirs.finish(messages.len());
        count(pattern, place, "theirs ask", 2 * messages.len());
    }
}

fn named<P: Pattern>(builder: Builder<P>) -> Builder<P> {
    builder.routing_id(RoutingId::new(OURS).unwrap())
}

fn unnamed<P: Pattern>(builder: Builder<P>) -> Builder<P> {
    builder
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

#[test]
fn our_push_reaches_their_pull() {
    ours_send::<Push>("PUSH to PULL", "PULL");
}

#[test]
fn their_push_reaches_our_pull() {
    theirs_send::<Pull>("PUSH to PULL", "PUSH");
}

#[test]
fn our_pair_and_their_pair_exchange_everything_both_ways() {
    ours_send::<Pair>("PAIR", "PAIR");
    theirs_send::<Pair>("PAIR", "PAIR");
    ours_ask::<Pair>("PAIR", "PAIR", unnamed, send_and_receive);
    theirs_ask::<Pair>("PAIR", "PAIR", unnamed, send_back);
}

#[test]
fn our_req_asks_their_rep() {
    ours_ask::<Req>("REQ/REP", "REP", unnamed, |ours, request| {
        ours.request(request).unwrap().recv().unwrap()
    });
}

#[test]
fn their_req_asks_our_rep() {
    theirs_ask::<Rep>("REQ/REP", "REQ", unnamed, |ours| {
        let mut request = ours.recv().unwrap();
        let message = request.take_message();
        request.reply(&message).unwrap();
        message
    });
}

#[test]
fn our_dealer_asks_their_router() {
    ours_ask::<Dealer>("DEALER/ROUTER", "ROUTER", named, send_and_receive);
}

#[test]
fn their_dealer_asks_our_router() {
    theirs_ask::<Router>("DEALER/ROUTER", "DEALER", unnamed, |ours| {
        let (from, message) = ours.recv().unwrap();
        assert_eq!(from, RoutingId::new(THEIRS).unwrap());
        ours.send_to(&from, &message).unwrap();
        message
    });
}

#[test]
fn our_router_asks_their_dealer() {
    let theirs = RoutingId::new(THEIRS).unwrap();
    let open = |builder: Builder<Router>| builder.router_mandatory(true);
    ours_ask::<Router>("DEALER/ROUTER", "DEALER", open, |ours, message| {
        let until = Instant::now() + DEADLINE;
        while let Err(unsent) = ours.send_to(&theirs, &message) {
            assert!(unsent.error == SendError::Unroutable && Instant::now() < until, "{unsent}");
            thread::yield_now();
        }
        let (from, message) = ours.recv().unwrap();
        assert_eq!(from, theirs);
        message
    });
}

#[test]
fn their_router_asks_our_dealer() {
    theirs_ask::<Dealer>("DEALER/ROUTER", "ROUTER", named, send_back);
}

/// What subscribers ask for: a choice, and everything.
const SUBSCRIPTIONS: [&[&str]; 2] = [&["a", "bc"], &[""]];

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

/// Without limits: what is lost is lost by mistake.
fn unlimited<P: Pattern>() -> Socket<P> {
    builder().send_hwm(Hwm::UNLIMITED).recv_hwm(Hwm::UNLIMITED).open().unwrap()
}

#[test]
fn our_pub_reaches_their_sub() {
    for topics in SUBSCRIPTIONS {
        let (published, wanted) = published(topics);
        for place in EVERYWHERE {
            let mut ours = unlimited::<Pub>();
            let theirs = Peer::meet(&mut ours, place, ["receive", "SUB"], topics, &wanted);
            let until = Instant::now() + DEADLINE;
            while ours.topic_count() < topics.len() {
                assert!(Instant::now() < until, "{} topics", ours.topic_count());
                thread::yield_now();
            }
            for frames in &published {
                ours.send(message_of(frames)).unwrap();
            }
            theirs.finish(wanted.len());
            assert_eq!(ours.dropped().total(), 0);
            count("PUB to SUB", place, "ours to theirs", wanted.len());
        }
    }
}

#[test]
fn their_pub_reaches_our_sub() {
    for topics in SUBSCRIPTIONS {
        let (published, wanted) = published(topics);
        for place in EVERYWHERE {
            let mut ours = unlimited::<Sub>();
            for topic in topics {
                ours.subscribe(topic).unwrap();
            }
            let theirs = Peer::meet(&mut ours, place, ["send", "PUB"], topics, &published);
            // It asks for each topic until it is told that all of them are heard.
            let questions: BTreeSet<String> = topics.iter().map(|topic| format!("{topic}?")).collect();
            let is_question = |message: &Message| questions.iter().any(|question| message == &question[..]);
            let mut heard = BTreeSet::new();
            while heard.len() < questions.len() {
                let question = ours.recv().unwrap();
                assert!(is_question(&question));
                heard.insert(octets(&question));
            }
            theirs.input.send(vec![1]).unwrap();
            let mut received = std::iter::repeat_with(|| ours.recv().unwrap());
            let mut first = received.by_ref().find(|message| !is_question(message));
            for frames in &wanted {
                let message = first.take().unwrap_or_else(|| received.next().unwrap());
                assert!(message == message_of(frames), "{} parts", frames.len());
            }
            theirs.finish(published.len());
            count("PUB to SUB", place, "theirs to ours", wanted.len());
        }
    }
}
