//! libzmq as a peer: REQ, REP, DEALER and ROUTER, both directions, both bind sides, tcp and ipc; every message
//! is compared on both sides. `ours_ask` and `theirs_ask` say who begins; the other one sends back what it
//! got., N-23, E-08.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::random::Random;
use interop_tests::raw::{DEADLINE, Transport, message_of};
use interop_tests::tally;
use interop_tests::theirs::Address;
use peermq::{
    Builder, Context, Dealer, Message, Pattern, ReconnectInterval, Rep, Req, Router, RoutingId, SendError,
    Socket,
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

const SIZES: [usize; 8] = [0, 1, 254, 255, 256, 65_535, 65_536, 2 << 20];

const OURS: &[u8] = b"one of ours";
const THEIRS: &[u8] = b"one of theirs";

type Frames = Vec<Vec<u8>>;

/// Single frames of every size, multipart, a mix, and many small ones.
fn messages() -> Vec<Frames> {
    let mut random = Random(28);
    let mut messages: Vec<Frames> = SIZES.map(|size| vec![random.octets(size)]).to_vec();
    for parts in [1, 2, 3, 10, 255, 256, 1000] {
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

fn open_theirs(context: &zmq::Context, kind: zmq::SocketType) -> zmq::Socket {
    let socket = context.socket(kind).unwrap();
    let wait = i32::try_from(DEADLINE.as_millis()).unwrap();
    socket.set_sndtimeo(wait).unwrap();
    socket.set_rcvtimeo(wait).unwrap();
    socket.set_linger(0).unwrap();
    if kind != zmq::REP {
        socket.set_identity(THEIRS).unwrap();
    }
    socket
}

/// Connects a socket of ours and one of theirs.
fn meet<P: Pattern>(ours: &mut Socket<P>, theirs: &zmq::Socket, transport: Transport, binds: Binds) {
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

fn octets(message: &Message) -> Frames {
    message.frames().map(|frame| frame.to_vec()).collect()
}

fn ours() -> RoutingId {
    RoutingId::new(OURS).unwrap()
}

fn theirs() -> RoutingId {
    RoutingId::new(THEIRS).unwrap()
}

/// A socket of ours that asks, in the verbs of its type.
trait Asks: Pattern + Sized {
    /// Sends, and returns what comes back.
    fn ask(socket: &mut Socket<Self>, frames: &Frames) -> Frames;
}

/// A socket of ours that sends back what it gets, in the verbs of its type.
trait Answers: Pattern + Sized {
    fn answer(socket: &mut Socket<Self>) -> Frames;
}

impl Asks for Req {
    fn ask(socket: &mut Socket<Self>, frames: &Frames) -> Frames {
        octets(&socket.request(message_of(frames)).unwrap().recv().unwrap())
    }
}

impl Asks for Dealer {
    fn ask(socket: &mut Socket<Self>, frames: &Frames) -> Frames {
        socket.send(message_of(frames)).unwrap();
        octets(&socket.recv().unwrap())
    }
}

impl Asks for Router {
    fn ask(socket: &mut Socket<Self>, frames: &Frames) -> Frames {
        let until = Instant::now() + DEADLINE;
        while let Err(unsent) = socket.send_to(&theirs(), message_of(frames)) {
            assert!(unsent.error == SendError::Unroutable && Instant::now() < until, "{unsent}");
            thread::yield_now();
        }
        let (from, message) = socket.recv().unwrap();
        assert_eq!(from, theirs());
        octets(&message)
    }
}

impl Answers for Rep {
    fn answer(socket: &mut Socket<Self>) -> Frames {
        let mut request = socket.recv().unwrap();
        let message = request.take_message();
        request.reply(&message).unwrap();
        octets(&message)
    }
}

impl Answers for Dealer {
    fn answer(socket: &mut Socket<Self>) -> Frames {
        let message = socket.recv().unwrap();
        socket.send(&message).unwrap();
        octets(&message)
    }
}

impl Answers for Router {
    fn answer(socket: &mut Socket<Self>) -> Frames {
        let (from, message) = socket.recv().unwrap();
        assert_eq!(from, theirs());
        socket.send_to(&from, &message).unwrap();
        octets(&message)
    }
}

/// Ours asks, theirs answers. They see so many frames in front of ours.
fn ours_ask<P: Asks>(
    what: &str,
    kind: zmq::SocketType,
    in_front: usize,
    open: impl Fn(Builder<P>) -> Builder<P>,
    envelope: &[&[u8]],
) {
    let messages = messages();
    for (transport, binds) in EVERYWHERE {
        let mut ours = open(builder()).open().unwrap();
        let theirs = open_theirs(&zmq::Context::new(), kind);
        meet(&mut ours, &theirs, transport, binds);
        let expected = messages.clone();
        let answering = thread::spawn(move || {
            for frames in &expected {
                let got = theirs.recv_multipart(0).unwrap();
                assert!(got[in_front..] == frames[..], "{} parts", frames.len());
                if kind == zmq::ROUTER {
                    assert_eq!(got[0], OURS);
                }
                theirs.send_multipart(&got, 0).unwrap();
            }
            theirs
        });
        for frames in &messages {
            let sent: Frames = envelope.iter().map(|part| part.to_vec()).chain(frames.clone()).collect();
            assert!(P::ask(&mut ours, &sent) == sent, "{} parts", frames.len());
        }
        drop(answering.join().unwrap());
        count(what, transport, binds, "ours ask", 2 * messages.len());
    }
}

/// Theirs asks, ours answers. They put frames in front, of which ours see all but `taken`.
fn theirs_ask<P: Answers>(
    what: &str,
    kind: zmq::SocketType,
    set: impl Fn(&zmq::Socket),
    open: impl Fn(Builder<P>) -> Builder<P>,
    in_front: &[&'static [u8]],
    seen: &[&[u8]],
) {
    let messages = messages();
    for (transport, binds) in EVERYWHERE {
        let mut ours = open(builder()).open().unwrap();
        let theirs = open_theirs(&zmq::Context::new(), kind);
        set(&theirs);
        meet(&mut ours, &theirs, transport, binds);
        let (asked, in_front) = (messages.clone(), in_front.to_vec());
        let asking = thread::spawn(move || {
            for frames in asked {
                let sent: Frames = in_front.iter().map(|part| part.to_vec()).chain(frames).collect();
                let until = Instant::now() + DEADLINE;
                while let Err(error) = theirs.send_multipart(&sent, 0) {
                    assert!(error == zmq::Error::EHOSTUNREACH && Instant::now() < until, "{error}");
                    thread::yield_now();
                }
                assert!(theirs.recv_multipart(0).unwrap() == sent, "{} parts", sent.len());
            }
            theirs
        });
        for frames in &messages {
            let expected: Frames = seen.iter().map(|part| part.to_vec()).chain(frames.clone()).collect();
            assert!(P::answer(&mut ours) == expected, "{} parts", frames.len());
        }
        drop(asking.join().unwrap());
        count(what, transport, binds, "theirs ask", 2 * messages.len());
    }
}

fn count(pattern: &str, transport: Transport, binds: Binds, direction: &str, messages: usize) {
    let transport = if transport == Transport::Tcp { "tcp" } else { "ipc" };
    let direction = format!("{direction}, {} bind", if binds == Binds::We { "we" } else { "they" });
    tally::count("libzmq", pattern, transport, &direction, messages);
}

fn named<P: Pattern>(builder: Builder<P>) -> Builder<P> {
    builder.routing_id(ours())
}

fn nothing(_: &zmq::Socket) {}

/// Their ROUTER says so when a peer is not there yet.
fn mandatory(socket: &zmq::Socket) {
    socket.set_router_mandatory(true).unwrap();
}

#[test]
fn our_req_asks_their_rep() {
    ours_ask::<Req>("REQ/REP", zmq::REP, 0, |builder| builder, &[]);
    ours_ask::<Req>("REQ/REP, correlate", zmq::REP, 0, |builder| builder.req_correlate(true), &[]);
}

#[test]
fn their_req_asks_our_rep() {
    theirs_ask::<Rep>("REQ/REP", zmq::REQ, nothing, |builder| builder, &[], &[]);
    let relaxed = |socket: &zmq::Socket| {
        socket.set_req_correlate(true).unwrap();
        socket.set_req_relaxed(true).unwrap();
    };
    theirs_ask::<Rep>("REQ/REP, correlate", zmq::REQ, relaxed, |builder| builder, &[], &[]);
}

#[test]
fn our_req_asks_their_router() {
    // The routing id and the delimiter; with a number, one frame more.
    ours_ask::<Req>("REQ/ROUTER", zmq::ROUTER, 2, named, &[]);
    let correlate = |builder| named(builder).req_correlate(true);
    ours_ask::<Req>("REQ/ROUTER, correlate", zmq::ROUTER, 3, correlate, &[]);
}

#[test]
fn their_req_asks_our_router() {
    theirs_ask::<Router>("REQ/ROUTER", zmq::REQ, nothing, |builder| builder, &[], &[b""]);
}

#[test]
fn our_dealer_asks_their_router() {
    ours_ask::<Dealer>("DEALER/ROUTER", zmq::ROUTER, 1, named, &[]);
}

#[test]
fn their_dealer_asks_our_router() {
    theirs_ask::<Router>("DEALER/ROUTER", zmq::DEALER, nothing, |builder| builder, &[], &[]);
}

#[test]
fn our_router_asks_their_dealer() {
    let open = |builder: Builder<Router>| builder.router_mandatory(true);
    ours_ask::<Router>("DEALER/ROUTER", zmq::DEALER, 0, open, &[]);
}

#[test]
fn their_router_asks_our_dealer() {
    theirs_ask::<Dealer>("DEALER/ROUTER", zmq::ROUTER, mandatory, named, &[OURS], &[]);
}

#[test]
fn our_dealer_and_their_dealer_ask_each_other() {
    ours_ask::<Dealer>("DEALER", zmq::DEALER, 0, |builder| builder, &[]);
    theirs_ask::<Dealer>("DEALER", zmq::DEALER, nothing, |builder| builder, &[], &[]);
}

#[test]
fn our_dealer_asks_their_rep() {
    ours_ask::<Dealer>("DEALER/REP", zmq::REP, 0, |builder| builder, &[b""]);
    ours_ask::<Dealer>("DEALER/REP, far", zmq::REP, 0, |builder| builder, &[b"hop", b"another hop", b""]);
}

#[test]
fn their_dealer_asks_our_rep() {
    theirs_ask::<Rep>("DEALER/REP", zmq::DEALER, nothing, |builder| builder, &[b""], &[]);
    let far: &[&'static [u8]] = &[b"hop", b"another hop", b""];
    theirs_ask::<Rep>("DEALER/REP, far", zmq::DEALER, nothing, |builder| builder, far, &[]);
}

#[test]
fn our_router_and_their_router_ask_each_other() {
    let open = |builder| named(builder).router_mandatory(true);
    ours_ask::<Router>("ROUTER", zmq::ROUTER, 1, open, &[]);
    theirs_ask::<Router>("ROUTER", zmq::ROUTER, mandatory, named, &[OURS], &[]);
}

#[test]
fn a_probe_makes_either_side_known() {
    for (transport, binds) in EVERYWHERE {
        let mut router = builder::<Router>().open().unwrap();
        let prober = open_theirs(&zmq::Context::new(), zmq::DEALER);
        prober.set_probe_router(true).unwrap();
        meet(&mut router, &prober, transport, binds);
        // A peer that connects is taken up when the socket is used.
        let until = Instant::now() + DEADLINE;
        let probe = loop {
            if let Ok(probe) = router.try_recv() {
                break probe;
            }
            assert!(prober.poll(zmq::POLLIN, 1).unwrap() == 0 && Instant::now() < until);
        };
        assert_eq!(probe, (theirs(), Message::from("")));
        router.send_to(&theirs(), "known").unwrap();
        assert_eq!(prober.recv_bytes(0).unwrap(), b"known");

        let mut prober = named(builder::<Dealer>()).probe_router(true).open().unwrap();
        let router = open_theirs(&zmq::Context::new(), zmq::ROUTER);
        meet(&mut prober, &router, transport, binds);
        let until = Instant::now() + DEADLINE;
        while router.poll(zmq::POLLIN, 1).unwrap() == 0 {
            assert!(prober.try_recv().is_err() && Instant::now() < until);
        }
        assert_eq!(router.recv_multipart(0).unwrap(), [OURS, b""]);
        router.send_multipart([OURS, b"known"], 0).unwrap();
        assert_eq!(prober.recv().unwrap(), "known");
        count("DEALER/ROUTER, probe", transport, binds, "both", 4);
    }
}

#[test]
fn peers_without_a_name_are_told_apart() {
    // names that we make up, for their sockets; each gets its own answer.
    for transport in [Transport::Tcp, Transport::Ipc] {
        let mut router = builder::<Router>().open().unwrap();
        let endpoint = router.bind(transport.free_endpoint()).unwrap().to_string();
        let context = zmq::Context::new();
        let dealers: Vec<zmq::Socket> = (0..50)
            .map(|_| {
                let dealer = context.socket(zmq::DEALER).unwrap();
                dealer.set_rcvtimeo(i32::try_from(DEADLINE.as_millis()).unwrap()).unwrap();
                dealer.set_linger(0).unwrap();
                dealer.connect(&endpoint).unwrap();
                dealer
            })
            .collect();
        for (number, dealer) in dealers.iter().enumerate() {
            dealer.send(&format!("{number}"), 0).unwrap();
        }
        for _ in &dealers {
            let (from, message) = router.recv().unwrap();
            router.send_to(&from, message).unwrap();
        }
        for (number, dealer) in dealers.iter().enumerate() {
            assert_eq!(dealer.recv_bytes(0).unwrap(), format!("{number}").into_bytes());
        }
        count("DEALER/ROUTER", transport, Binds::We, "theirs ask", 2 * dealers.len());
    }
}

#[test]
fn our_req_goes_on_when_their_rep_was_restarted() {
    // E-08: asked in vain while theirs is away, heard when it is back; never the answer to another request.
    for correlates in [false, true] {
        for transport in [Transport::Tcp, Transport::Ipc] {
            let mut ours = builder::<Req>().req_correlate(correlates).open().unwrap();
            let context = zmq::Context::new();
            let address = Address::new();
            let mut endpoint = address.endpoint(transport);
            let (mut number, mut answered) = (0_u32, 0);
            for round in 0..20 {
                let theirs = open_theirs(&context, zmq::REP);
                bind_again(&theirs, &endpoint);
                if round == 0 {
                    endpoint = theirs.get_last_endpoint().unwrap().unwrap();
                    ours.connect(&endpoint[..]).unwrap();
                }
                let echo = thread::spawn(move || {
                    for _ in 0..10 {
                        let request = theirs.recv_bytes(0).unwrap();
                        theirs.send(request, 0).unwrap();
                    }
                    // Dies with a request in its hands.
                    theirs.recv_bytes(0).unwrap();
                });
                while !echo.is_finished() {
                    number += 1;
                    let mut reply = ours.request(&number.to_be_bytes()).unwrap();
                    // Lost with theirs, or with the one before: then a second passes.
                    let until = Instant::now() + Duration::from_secs(1);
                    while !echo.is_finished() && Instant::now() < until {
                        if let Ok(reply) = reply.recv_timeout(Duration::from_millis(10)) {
                            assert_eq!(reply, &number.to_be_bytes());
                            answered += 1;
                            break;
                        }
                    }
                }
                echo.join().unwrap();
            }
            assert!(answered >= 100, "{answered} of {number}");
            count("REQ/REP", transport, Binds::They, "ours ask, restarted", answered);
        }
    }
}

#[test]
fn their_req_goes_on_when_our_rep_was_restarted() {
    let context = zmq::Context::new();
    let theirs = context.socket(zmq::REQ).unwrap();
    theirs.set_req_correlate(true).unwrap();
    theirs.set_req_relaxed(true).unwrap();
    theirs.set_rcvtimeo(200).unwrap();
    theirs.set_linger(0).unwrap();
    theirs.set_reconnect_ivl(5).unwrap();
    let mut endpoint = Address::new().endpoint(Transport::Tcp);
    let (mut number, mut answered) = (0_u32, 0);
    for round in 0..20 {
        let mut ours = builder::<Rep>().open().unwrap();
        endpoint = ours.bind(&endpoint[..]).unwrap().to_string();
        if round == 0 {
            theirs.connect(&endpoint).unwrap();
        }
        let echo = thread::spawn(move || {
            for _ in 0..10 {
                Rep::answer(&mut ours);
            }
            drop(ours.recv().unwrap());
        });
        while !echo.is_finished() {
            number += 1;
            theirs.send(&number.to_be_bytes()[..], 0).unwrap();
            if let Ok(reply) = theirs.recv_bytes(0) {
                assert_eq!(reply, number.to_be_bytes());
                answered += 1;
            }
        }
        echo.join().unwrap();
    }
    assert!(answered >= 100, "{answered} of {number}");
    count("REQ/REP", Transport::Tcp, Binds::We, "theirs ask, restarted", answered);
}

/// Binds to a place that another socket has just left.
fn bind_again(socket: &zmq::Socket, endpoint: &str) {
    let until = Instant::now() + DEADLINE;
    while let Err(error) = socket.bind(endpoint) {
        assert!(error == zmq::Error::EADDRINUSE && Instant::now() < until, "{endpoint}: {error}");
        thread::yield_now();
    }
}

#[test]
fn what_their_dealer_has_queued_waits_until_its_name_is_free() {
    // N-27: refused without a word, it comes back; an ERROR would be the end.
    for transport in [Transport::Tcp, Transport::Ipc] {
        let mut router = builder::<Router>().open().unwrap();
        let endpoint = router.bind(transport.free_endpoint()).unwrap().to_string();
        let context = zmq::Context::new();
        let [first, second] = [(); 2].map(|()| open_theirs(&context, zmq::DEALER));
        first.connect(&endpoint).unwrap();
        first.send("first", 0).unwrap();
        assert_eq!(router.recv().unwrap(), (theirs(), "first".into()));
        second.set_reconnect_ivl(5).unwrap();
        second.connect(&endpoint).unwrap();
        for number in 0..100 {
            second.send(&format!("{number}"), 0).unwrap();
        }
        let until = Instant::now() + DEADLINE;
        while router.stats().total.connections.handshakes_failed < 5 {
            assert!(Instant::now() < until, "nobody was refused");
            thread::yield_now();
        }
        // Whoever has the name keeps it.
        router.send_to(&theirs(), "for the first").unwrap();
        assert_eq!(first.recv_bytes(0).unwrap(), b"for the first");
        assert!(router.try_recv().is_err());
        drop(first);
        for number in 0..100 {
            assert_eq!(router.recv().unwrap(), (theirs(), format!("{number}").into()));
        }
    }
}
