//! libzmq and pyzmq as peers in processes of their own: every pair of socket types that talk to each other, both
//! directions, both bind sides, tcp and ipc; every message is compared by the side that gets it. The rows of
//! [`PAIRS`] are what is tested. B-13, N-21, F-19, R-01 to R-48, S-01 to S-38.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::wildcard_enum_match_arm, reason = "most types need nothing special")]

use std::borrow::Cow;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::random::Random;
use interop_tests::raw::{DEADLINE, message_of};
use interop_tests::theirs::{Address, Binds, Frames, Implementation, Place, Theirs};
use peermq::{
    AnyPattern, Context, Hwm, Message, ReconnectInterval, RoutingId, SendError, Socket, SocketType,
    Subscription,
};

/// What a pair of sockets does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Ours sends, theirs receives.
    OursSend,
    /// Theirs sends, ours receives.
    TheirsSend,
    /// Ours sends, and theirs sends it back.
    OursAsk,
    /// Theirs sends, and ours sends it back.
    TheirsAsk,
}

use Does::{OursAsk, OursSend, TheirsAsk, TheirsSend};
use SocketType as T;

/// Whoever asks puts `ahead` in front of its messages.
struct Pair {
    ours: T,
    theirs: T,
    does: &'static [Does],
    ahead: &'static [&'static [u8]],
}

const fn pair(ours: T, theirs: T, does: &'static [Does], ahead: &'static [&'static [u8]]) -> Pair {
    Pair { ours, theirs, does, ahead }
}

const OURS: &[u8] = b"one of ours";
const THEIRS: &[u8] = b"one of theirs";

/// The delimiter of REQ and REP, and what any number of hops before it leave.
const FAR: &[&[u8]] = &[b"hop", b"another hop", b""];

/// Each pair of types that RFC 28 to 31 allow, in both roles.
const PAIRS: [Pair; 26] = [
    pair(T::Push, T::Pull, &[OursSend], &[]),
    pair(T::Pull, T::Push, &[TheirsSend], &[]),
    pair(T::Pair, T::Pair, &[OursSend, TheirsSend, OursAsk, TheirsAsk], &[]),
    pair(T::Req, T::Rep, &[OursAsk], &[]),
    pair(T::Rep, T::Req, &[TheirsAsk], &[]),
    pair(T::Req, T::Router, &[OursAsk], &[]),
    pair(T::Router, T::Req, &[TheirsAsk], &[]),
    pair(T::Dealer, T::Rep, &[OursAsk], &[b""]),
    pair(T::Dealer, T::Rep, &[OursAsk], FAR),
    pair(T::Rep, T::Dealer, &[TheirsAsk], &[b""]),
    pair(T::Rep, T::Dealer, &[TheirsAsk], FAR),
    pair(T::Dealer, T::Dealer, &[OursSend, TheirsSend, OursAsk, TheirsAsk], &[]),
    pair(T::Dealer, T::Router, &[OursAsk], &[]),
    pair(T::Dealer, T::Router, &[TheirsAsk], &[OURS]),
    pair(T::Router, T::Dealer, &[OursAsk], &[THEIRS]),
    pair(T::Router, T::Dealer, &[TheirsAsk], &[]),
    pair(T::Router, T::Router, &[OursAsk], &[THEIRS]),
    pair(T::Router, T::Router, &[TheirsAsk], &[OURS]),
    pair(T::Pub, T::Sub, &[OursSend], &[]),
    pair(T::Pub, T::XSub, &[OursSend], &[]),
    pair(T::XPub, T::Sub, &[OursSend], &[]),
    pair(T::XPub, T::XSub, &[OursSend, TheirsAsk], &[]),
    pair(T::Sub, T::Pub, &[TheirsSend], &[]),
    pair(T::Sub, T::XPub, &[TheirsSend], &[]),
    pair(T::XSub, T::Pub, &[TheirsSend], &[]),
    pair(T::XSub, T::XPub, &[TheirsSend, OursAsk], &[]),
];

/// Single frames of every size that changes something on the wire or in memory, multipart of 1 to 1,000 parts, a
/// mix, and many small ones.
fn messages() -> &'static [Frames] {
    const SIZES: [usize; 8] = [0, 1, 254, 255, 256, 65_535, 65_536, 1 << 20];
    static MESSAGES: OnceLock<Vec<Frames>> = OnceLock::new();
    MESSAGES.get_or_init(|| {
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
    })
}

/// One frame each, of no octet to 64 MiB.
fn sizes() -> &'static [Frames] {
    static SIZES: OnceLock<Vec<Frames>> = OnceLock::new();
    SIZES.get_or_init(|| {
        let random = Random(64).octets(64 << 20);
        [0, 1, 16, 256, 4096, 65_536, 1 << 20, 16 << 20, 64 << 20]
            .map(|size| vec![random[..size].to_vec()])
            .into()
    })
}

/// Each row that does this, at each place.
fn everywhere(theirs: Implementation, does: Does) {
    for pair in PAIRS.iter().filter(|pair| pair.does.contains(&does)) {
        for place in Place::EVERYWHERE {
            exchange(theirs, pair, does, place, messages());
        }
    }
}

fn exchange(implementation: Implementation, pair: &Pair, does: Does, place: Place, messages: &[Frames]) {
    let what = format!(
        "{} {} to {} {place:?} {does:?}",
        implementation.name(),
        pair.ours.name(),
        pair.theirs.name()
    );
    println!("{what}");
    let address = Address::new();
    let ahead: Frames = pair.ahead.iter().map(|frame| frame.to_vec()).collect();
    let asked = asked(pair, messages);
    let with_ahead = || asked.iter().map(|frames| [&ahead[..], frames].concat());
    match does {
        OursSend => {
            let (sent, wanted) = published(pair.ours, messages);
            let (mut ours, theirs) = meet(implementation, pair, (place, &address), "receive");
            theirs.give(&wanted);
            if is_publisher(pair.ours) {
                ours.wait_for_subscribers(1, DEADLINE).unwrap();
            }
            sent.iter().for_each(|frames| ours.send(message_of(frames)).unwrap());
            theirs.finish(wanted.len());
        }
        TheirsSend => {
            let (sent, wanted) = published(pair.theirs, messages);
            let (mut ours, theirs) = meet(implementation, pair, (place, &address), "send");
            theirs.give(&sent);
            let mut next = is_publisher(pair.theirs).then(|| first_after_questions(&mut ours, &theirs));
            for frames in &wanted {
                let message = next.take().unwrap_or_else(|| ours.recv().unwrap());
                assert!(message == message_of(frames), "{} parts", frames.len());
            }
            theirs.finish(sent.len());
        }
        OursAsk => {
            let (mut ours, _theirs) = meet(implementation, pair, (place, &address), "echo");
            if pair.ours == T::XSub {
                wait_for_an_answer(&mut ours);
            }
            for frames in with_ahead() {
                send_when_routable(&mut ours, &frames);
                assert!(ours.recv().unwrap() == message_of(&frames), "{} parts", frames.len());
            }
        }
        TheirsAsk => {
            let (mut ours, theirs) = meet(implementation, pair, (place, &address), "ask");
            theirs.give(&with_ahead().collect::<Vec<_>>());
            if pair.ours == T::XPub {
                let told = ours.recv().unwrap();
                assert!(Subscription::from_message(&told).is_some_and(|it| it.is_subscribe()));
                theirs.tell();
            }
            for frames in asked.iter() {
                let message = ours.recv().unwrap();
                let got: Frames = message.frames().map(|frame| frame.to_vec()).collect();
                assert!(got.ends_with(frames), "{} parts", frames.len());
                ours.send(message).unwrap();
            }
            theirs.finish(messages.len());
        }
    }
    count(implementation, pair, does, place, messages.len());
}

/// A socket of each, connected.
fn meet(
    implementation: Implementation,
    pair: &Pair,
    (place, address): (Place, &Address),
    task: &str,
) -> (Socket<AnyPattern>, Theirs) {
    let mut ours = open_ours(pair.ours);
    let endpoint = match place.binds {
        Binds::We => ours.bind(place.transport.free_endpoint()).unwrap().to_string(),
        Binds::They => address.endpoint(place.transport),
    };
    let mut words = vec![task, pair.theirs.name(), place.their_side(), &endpoint[..]];
    words.extend(["RCVTIMEO=30000", "SNDTIMEO=30000"]);
    words.extend(match pair.theirs {
        T::Dealer | T::Req => &["ROUTING_ID=one of theirs"][..],
        T::Pub => &["SNDHWM=0", "TOPIC=a"],
        T::Router => &["ROUTING_ID=one of theirs", "ROUTER_MANDATORY=1"],
        T::Sub => &["RCVHWM=0", "SUBSCRIBE=a"],
        T::XPub if task == "send" => &["SNDHWM=0", "TOPIC=a"],
        T::XSub if task == "ask" => &["HOLD=1", "SUBSCRIBE="],
        T::XSub => &["RCVHWM=0", "SUBSCRIBE=a"],
        T::Pair | T::Pull | T::Push | T::Rep | T::Stream | T::XPub => &[],
        other => panic!("{other:?} is in no row"),
    });
    let theirs = Theirs::start(implementation, &words);
    let at = theirs.report("at");
    if place.binds == Binds::They {
        ours.connect(&at[..]).unwrap();
    }
    (ours, theirs)
}

fn open_ours(kind: T) -> Socket<AnyPattern> {
    let context = Context::builder().io_threads(1).build();
    let builder = context.builder_for_any(kind).send_timeout(DEADLINE).recv_timeout(DEADLINE);
    let builder = builder.reconnect_interval(ReconnectInterval::Every(Duration::from_millis(5)));
    let ours = RoutingId::new(OURS).unwrap();
    let mut socket = match kind {
        T::Dealer | T::Req => builder.routing_id(ours),
        T::Router => builder.routing_id(ours).router_mandatory(true),
        // Without limits: what is lost is lost by mistake.
        T::Pub | T::XPub => builder.send_hwm(Hwm::UNLIMITED),
        T::Sub | T::XSub => builder.recv_hwm(Hwm::UNLIMITED),
        _ => builder,
    }
    .open()
    .unwrap();
    if matches!(kind, T::Sub | T::XSub) {
        // What is sent back begins with "u", what is published with "a" or "b".
        socket.subscribe("a").unwrap();
        socket.subscribe("u").unwrap();
    }
    socket
}

fn is_publisher(kind: T) -> bool {
    matches!(kind, T::Pub | T::XPub)
}

/// What this type sends, and what of it arrives: of a publisher only what begins with "a".
fn published(kind: T, messages: &[Frames]) -> (Vec<Frames>, Vec<Frames>) {
    if !is_publisher(kind) {
        return (messages.to_vec(), messages.to_vec());
    }
    let with_topic = |topic: &[u8], frames: &Frames| {
        let mut frames = frames.clone();
        frames[0].splice(..0, topic.iter().copied());
        frames
    };
    let sent = messages.iter().flat_map(|it| [with_topic(b"b", it), with_topic(b"a", it)]).collect();
    (sent, messages.iter().map(|frames| with_topic(b"a", frames)).collect())
}

/// What is asked: of XPUB and XSUB, to which a frame is a subscription when it begins with 0 or 1, something else.
fn asked<'a>(pair: &Pair, messages: &'a [Frames]) -> Cow<'a, [Frames]> {
    if !matches!(pair.ours, T::XPub | T::XSub) {
        return Cow::Borrowed(messages);
    }
    let frame = |octets: &Vec<u8>| [b"u", &octets[..]].concat();
    messages.iter().map(|frames| frames.iter().map(frame).collect()).collect()
}

/// Waits until theirs, which repeats its question, is heard, and tells it so.
fn first_after_questions(ours: &mut Socket<AnyPattern>, theirs: &Theirs) -> Message {
    assert_eq!(ours.recv().unwrap(), "a?");
    theirs.tell();
    std::iter::repeat_with(|| ours.recv().unwrap()).find(|message| *message != "a?").unwrap()
}

fn send_when_routable(ours: &mut Socket<AnyPattern>, frames: &Frames) {
    let until = Instant::now() + DEADLINE;
    while let Err(unsent) = ours.send(message_of(frames)) {
        assert!(unsent.error == SendError::Unroutable && Instant::now() < until, "{unsent}");
        thread::yield_now();
    }
}

/// An XSUB drops what finds no peer, and theirs what nobody has subscribed to yet: asks until there is an answer.
fn wait_for_an_answer(ours: &mut Socket<AnyPattern>) {
    let until = Instant::now() + DEADLINE;
    let (mut asked, mut heard) = (0_u32, 0_u32);
    while heard == 0 || heard < asked {
        assert!(Instant::now() < until, "asked {asked} times, heard {heard}");
        if heard == 0 {
            asked += 1;
            ours.send(format!("u{asked}")).unwrap();
        }
        if let Ok(answer) = ours.recv_timeout(Duration::from_millis(10)) {
            heard = answer.to_str().unwrap().strip_prefix('u').unwrap().parse().unwrap();
        }
    }
}

fn count(implementation: Implementation, pair: &Pair, does: Does, place: Place, messages: usize) {
    // As the specifications call them: whoever asks, or sends, is first.
    let (first, second) = match does {
        OursSend | OursAsk => (pair.ours, pair.theirs),
        TheirsSend | TheirsAsk => (pair.theirs, pair.ours),
    };
    let (word, direction, messages) = match does {
        OursSend => ("to", "ours to theirs", messages),
        TheirsSend => ("to", "theirs to ours", messages),
        OursAsk => ("asks", "ours ask", 2 * messages),
        TheirsAsk => ("asks", "theirs ask", 2 * messages),
    };
    place.count(implementation, &format!("{} {word} {}", first.name(), second.name()), direction, messages);
}

#[test]
fn everything_that_ours_send_reaches_libzmq() {
    everywhere(Implementation::Libzmq, OursSend);
}

#[test]
fn everything_that_ours_send_reaches_pyzmq() {
    everywhere(Implementation::Pyzmq, OursSend);
}

#[test]
fn everything_that_libzmq_sends_reaches_ours() {
    everywhere(Implementation::Libzmq, TheirsSend);
}

#[test]
fn everything_that_pyzmq_sends_reaches_ours() {
    everywhere(Implementation::Pyzmq, TheirsSend);
}

#[test]
fn libzmq_answers_ours() {
    everywhere(Implementation::Libzmq, OursAsk);
}

#[test]
fn pyzmq_answers_ours() {
    everywhere(Implementation::Pyzmq, OursAsk);
}

#[test]
fn ours_answer_libzmq() {
    everywhere(Implementation::Libzmq, TheirsAsk);
}

#[test]
fn ours_answer_pyzmq() {
    everywhere(Implementation::Pyzmq, TheirsAsk);
}

#[test]
fn messages_of_no_octet_to_64_mib_arrive_unchanged() {
    // B-13; one pair each that sends, publishes and asks, in both roles.
    for pair in &PAIRS {
        if let (T::Push, _)
        | (_, T::Push)
        | (T::Pub, T::Sub)
        | (T::Sub, T::Pub)
        | (T::Req, T::Rep)
        | (T::Rep, T::Req) = (pair.ours, pair.theirs)
        {
            for implementation in Implementation::ALL {
                for place in Place::EVERYWHERE {
                    exchange(implementation, pair, pair.does[0], place, sizes());
                }
            }
        }
    }
}
