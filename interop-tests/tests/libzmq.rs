//! libzmq as a peer: PUSH/PULL and PAIR, both directions, both bind sides, tcp and ipc; every message is
//! compared. `our_*` sends from us to libzmq, `their_*` the other way. B-13, E-08, N-21, F-19.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::random::Random;
use interop_tests::raw::{DEADLINE, Transport, message_of};
use interop_tests::tally;
use interop_tests::theirs::Address;
use peermq::{Context, Pair, Pattern, Pull, Push, Receives, ReconnectInterval, Sends, Socket};

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
const SIZES: [usize; 8] = [0, 1, 254, 255, 256, 65_535, 65_536, 5 << 20];

type Frames = Vec<Vec<u8>>;

/// The messages of every test: single frames of every size, multipart of 1 to 1,000 parts, a mix, and many.
fn messages() -> Vec<Frames> {
    let mut random = Random(2);
    let mut messages: Vec<Frames> = SIZES.map(|size| vec![random.octets(size)]).to_vec();
    for parts in [1, 2, 3, 10, 100, 255, 256, 999, 1000] {
        messages.push((0..parts).map(|part| random.octets(part % 300)).collect());
    }
    messages.push(SIZES.map(|size| random.octets(size)).to_vec());
    for number in 0..3000 {
        let octets = random.below(600);
        messages.push(vec![format!("{number}").into_bytes(), random.octets(octets)]);
    }
    messages
}

fn open_ours<P: Pattern>() -> Socket<P> {
    let context = Context::builder().io_threads(1).build();
    let builder = context.builder_for::<P>().send_timeout(DEADLINE).recv_timeout(DEADLINE);
    builder.reconnect_interval(ReconnectInterval::Every(Duration::from_millis(5))).open().unwrap()
}

fn open_theirs(context: &zmq::Context, kind: zmq::SocketType) -> zmq::Socket {
    let socket = context.socket(kind).unwrap();
    let wait = i32::try_from(DEADLINE.as_millis()).unwrap();
    socket.set_sndtimeo(wait).unwrap();
    socket.set_rcvtimeo(wait).unwrap();
    socket.set_linger(wait).unwrap();
    socket
}

/// A socket of ours and one of theirs, connected.
fn meet<P: Pattern>(kind: zmq::SocketType, transport: Transport, binds: Binds) -> (Socket<P>, zmq::Socket) {
    let mut ours = open_ours::<P>();
    let theirs = open_theirs(&zmq::Context::new(), kind);
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
    (ours, theirs)
}

/// From us to libzmq.
fn send_to_theirs<P: Sends>(ours: &mut Socket<P>, theirs: zmq::Socket, messages: &[Frames]) -> zmq::Socket {
    let expected = messages.to_vec();
    let receiving = thread::spawn(move || {
        for frames in &expected {
            assert!(theirs.recv_multipart(0).unwrap() == *frames, "{} parts", frames.len());
        }
        theirs
    });
    for frames in messages {
        match &frames[..] {
            [single] => ours.send(single).unwrap(),
            _ => ours.send(message_of(frames)).unwrap(),
        }
    }
    receiving.join().unwrap()
}

/// From libzmq to us.
fn receive_from_theirs<P: Receives>(
    ours: &mut Socket<P>,
    theirs: zmq::Socket,
    messages: &[Frames],
) -> zmq::Socket {
    let sent = messages.to_vec();
    let sending = thread::spawn(move || {
        for frames in &sent {
            theirs.send_multipart(frames, 0).unwrap();
        }
        theirs
    });
    for frames in messages {
        assert!(ours.recv().unwrap() == message_of(frames), "{} parts", frames.len());
    }
    sending.join().unwrap()
}

fn tally(pattern: &str, transport: Transport, binds: Binds, direction: &str, messages: usize) {
    let transport = if transport == Transport::Tcp { "tcp" } else { "ipc" };
    let direction = format!("{direction}, {} bind", if binds == Binds::We { "we" } else { "they" });
    tally::count("libzmq", pattern, transport, &direction, messages);
}

#[test]
fn our_push_reaches_their_pull_unchanged() {
    let messages = messages();
    for (transport, binds) in EVERYWHERE {
        let (mut ours, theirs) = meet::<Push>(zmq::PULL, transport, binds);
        send_to_theirs(&mut ours, theirs, &messages);
        tally("PUSH to PULL", transport, binds, "ours to theirs", messages.len());
    }
}

#[test]
fn their_push_reaches_our_pull_unchanged() {
    let messages = messages();
    for (transport, binds) in EVERYWHERE {
        let (mut ours, theirs) = meet::<Pull>(zmq::PUSH, transport, binds);
        receive_from_theirs(&mut ours, theirs, &messages);
        tally("PUSH to PULL", transport, binds, "theirs to ours", messages.len());
    }
}

#[test]
fn our_pair_and_their_pair_exchange_everything_both_ways() {
    let messages = messages();
    for (transport, binds) in EVERYWHERE {
        let (mut ours, theirs) = meet::<Pair>(zmq::PAIR, transport, binds);
        let theirs = send_to_theirs(&mut ours, theirs, &messages);
        tally("PAIR", transport, binds, "ours to theirs", messages.len());
        let theirs = receive_from_theirs(&mut ours, theirs, &messages);
        tally("PAIR", transport, binds, "theirs to ours", messages.len());
        // In turn: each waits for the other.
        for frames in &messages[..20] {
            ours.send(message_of(frames)).unwrap();
            let echo = theirs.recv_multipart(0).unwrap();
            theirs.send_multipart(&echo, 0).unwrap();
            assert!(ours.recv().unwrap() == message_of(frames));
        }
        tally("PAIR", transport, binds, "in turn", 40);
    }
}

#[test]
fn our_push_shares_out_among_several_of_theirs() {
    let mut ours = open_ours::<Push>();
    let endpoint = ours.bind("tcp://127.0.0.1:0").unwrap().to_string();
    let context = zmq::Context::new();
    let workers: Vec<zmq::Socket> = (0..3).map(|_| open_theirs(&context, zmq::PULL)).collect();
    // One after the other: each is known to be there when it has its first message.
    for (at, worker) in workers.iter().enumerate() {
        worker.connect(&endpoint).unwrap();
        let until = Instant::now() + DEADLINE;
        while worker.poll(zmq::POLLIN, 1).unwrap() == 0 {
            ours.send("are you there?").unwrap();
            assert!(Instant::now() < until, "worker {at} gets nothing");
        }
    }
    for number in 0..3000 {
        ours.send(["work", &format!("{number}")]).unwrap();
    }
    let mut done: Vec<u32> = Vec::new();
    // A worker whose queue is full for a moment is skipped, so the shares need not be equal.
    let until = Instant::now() + DEADLINE;
    while done.len() < 3000 {
        assert!(Instant::now() < until, "{} of 3000", done.len());
        for worker in &workers {
            while worker.poll(zmq::POLLIN, 1).unwrap() != 0 {
                if let [_, number] = &worker.recv_multipart(0).unwrap()[..] {
                    done.push(std::str::from_utf8(number).unwrap().parse().unwrap());
                }
            }
        }
    }
    done.sort_unstable();
    assert!(done.into_iter().eq(0..3000));
    tally("PUSH to PULL", Transport::Tcp, Binds::We, "ours to theirs", 3000);
}

#[test]
fn their_push_is_heard_again_after_it_was_restarted() {
    // E-08, E-04: theirs binds, goes, and comes back at the same place, ten times.
    for transport in [Transport::Tcp, Transport::Ipc] {
        let mut ours = open_ours::<Pull>();
        let context = zmq::Context::new();
        let address = Address::new();
        let mut endpoint = address.endpoint(transport);
        for round in 0..10 {
            let theirs = open_theirs(&context, zmq::PUSH);
            bind_again(&theirs, &endpoint);
            if round == 0 {
                endpoint = theirs.get_last_endpoint().unwrap().unwrap();
                ours.connect(&endpoint[..]).unwrap();
            }
            for number in 0..100 {
                theirs.send_multipart([&format!("{round}"), &format!("{number}")], 0).unwrap();
                assert_eq!(ours.recv().unwrap(), [format!("{round}"), format!("{number}")]);
            }
        }
        tally("PUSH to PULL", transport, Binds::They, "theirs to ours, restarted", 1000);
    }
}

#[test]
fn our_push_delivers_to_their_pull_when_it_comes_back() {
    // E-08: what was queued while theirs was away arrives when it is back, in order.
    for transport in [Transport::Tcp, Transport::Ipc] {
        let mut ours = open_ours::<Push>();
        let context = zmq::Context::new();
        let first = open_theirs(&context, zmq::PULL);
        let address = Address::new();
        first.bind(&address.endpoint(transport)).unwrap();
        let endpoint = first.get_last_endpoint().unwrap().unwrap();
        ours.connect(&endpoint[..]).unwrap();
        ours.send("hello").unwrap();
        assert_eq!(first.recv_bytes(0).unwrap(), b"hello");
        drop(first);
        let second = open_theirs(&context, zmq::PULL);
        bind_again(&second, &endpoint);
        // What is sent into the dying connection may be lost with it, but comes in order or not at all.
        let (mut sent, mut heard) = (0, Vec::new());
        let until = Instant::now() + DEADLINE;
        while heard.len() < 500 {
            assert!(Instant::now() < until, "{sent} sent, {} heard", heard.len());
            // Never waits for room: when every queue up to theirs is full, only this thread can make some.
            let is_full = ours.try_send(&u32::to_be_bytes(sent)).is_err();
            sent += u32::from(!is_full);
            while second.poll(zmq::POLLIN, i64::from(is_full || heard.is_empty())).unwrap() != 0 {
                heard.push(u32::from_be_bytes(second.recv_bytes(0).unwrap().try_into().unwrap()));
            }
        }
        assert!(heard.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{heard:?}");
        tally("PUSH to PULL", transport, Binds::They, "ours to theirs, restarted", 500);
        // More was sent than theirs takes before it goes: nobody is left for whom the rest could linger.
        ours.set_linger(Duration::ZERO);
    }
}

#[test]
fn their_pull_comes_back_to_our_push_when_ours_was_restarted() {
    // E-08 the other way: ours binds, goes, and comes back.
    let context = zmq::Context::new();
    let theirs = open_theirs(&context, zmq::PULL);
    let mut endpoint = Address::new().endpoint(Transport::Tcp);
    for round in 0..5 {
        let mut ours = open_ours::<Push>();
        endpoint = ours.bind(&endpoint[..]).unwrap().to_string();
        if round == 0 {
            theirs.connect(&endpoint).unwrap();
        }
        for number in 0..100 {
            ours.send([format!("{round}"), format!("{number}")]).unwrap();
            let got = theirs.recv_multipart(0).unwrap();
            assert_eq!(message_of(&got), [format!("{round}"), format!("{number}")]);
        }
    }
    tally("PUSH to PULL", Transport::Tcp, Binds::We, "ours to theirs, restarted", 500);
}

#[test]
fn their_sockets_of_other_types_are_refused_and_harm_nobody() {
    // N-21, N-22
    let mut ours = open_ours::<Pull>();
    let endpoint = ours.bind("tcp://127.0.0.1:0").unwrap().to_string();
    let context = zmq::Context::new();
    let kinds = [zmq::REQ, zmq::REP, zmq::DEALER, zmq::ROUTER, zmq::PUB, zmq::SUB, zmq::PULL, zmq::PAIR];
    let others: Vec<zmq::Socket> = kinds.into_iter().map(|kind| context.socket(kind).unwrap()).collect();
    for other in &others {
        other.set_linger(0).unwrap();
        other.connect(&endpoint).unwrap();
    }
    let good = open_theirs(&context, zmq::PUSH);
    good.connect(&endpoint).unwrap();
    for number in 0..1000 {
        good.send(&format!("{number}"), 0).unwrap();
        assert_eq!(ours.recv().unwrap(), format!("{number}"));
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
