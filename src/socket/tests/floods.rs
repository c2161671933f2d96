//! Peers that send what nobody wants, as fast as they can: no call stays with them.
//!
//! A call that does not wait is judged by the messages and notes that it has taken, and by the frames and commands that
//! it has looked at; one that waits, or a shutdown, by coming back at all while the flood goes on.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::JoinHandle;

use super::*;
use crate::limits::{CALL_BUDGET, CHORES_PER_LOOK, CHORES_PER_WORK};
use crate::pipe::Chores;
use crate::sync::AtomicBool;
use crate::{
    AnyPattern, Interest, Poller, Proxy, Pub, RecvError, Rep, Req, SharedSocket, SocketType, Sub, XPub,
};

/// More than what a call handles for its peers, by the notices that come with them.
const MOST: u64 = CALL_BUDGET as u64 + 64;

/// More than the chores that a call does for so many peers: its budget, what is thrown away of it once more, and what each
/// look is granted.
fn most_chores(peers: usize) -> u64 {
    u64::from(4 * CALL_BUDGET * CHORES_PER_WORK) + 4 * u64::from(CHORES_PER_LOOK) * peers as u64
}

/// Connections that send the same octets for ever.
struct Flood {
    streams: Arc<Mutex<Vec<TcpStream>>>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    /// From `peers` sockets of this type, whose connections `meet` makes.
    fn start(
        peers: usize,
        name: &str,
        lot: &[u8],
        meet: impl Fn() -> TcpStream + Send + Sync + 'static,
    ) -> Self {
        let (streams, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let chunk = lot.repeat(64 * 1024 / lot.len() + 1);
        let hello = matrix::greeting_and_ready(name);
        let meet = Arc::new(meet);
        let threads = (0..peers).map(|_| {
            let (streams, is_over, meet) = (Arc::clone(&streams), Arc::clone(&is_over), Arc::clone(&meet));
            let (chunk, hello) = (chunk.clone(), hello.clone());
            thread::spawn(move || {
                let mut stream = meet();
                let mut answers = stream.try_clone().unwrap();
                streams.lock().unwrap().push(stream.try_clone().unwrap());
                thread::scope(|scope| {
                    // Whoever does not read the answers is not read for long.
                    scope.spawn(move || while answers.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
                    stream.write_all(&hello).unwrap();
                    while !is_over.load(Ordering::Relaxed) && stream.write_all(&chunk).is_ok() {}
                    let _ = stream.shutdown(Shutdown::Both);
                });
            })
        });
        let threads = threads.collect();
        Self { streams, is_over, threads }
    }

    fn to(endpoint: &str, peers: usize, name: &str, lot: &[u8]) -> Self {
        let address = endpoint.strip_prefix("tcp://").unwrap().to_owned();
        Self::start(peers, name, lot, move || TcpStream::connect(&address).unwrap())
    }

    fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.streams.lock().unwrap().iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    /// What `call` returns while the flood goes on; it is stopped should that take too long.
    fn during<T>(&self, what: &str, call: impl FnOnce() -> T) -> T {
        let is_done = (Mutex::new(false), std::sync::Condvar::new());
        thread::scope(|scope| {
            let is_late = scope.spawn(|| {
                let guard = is_done.0.lock().unwrap();
                let (guard, _) = is_done.1.wait_timeout_while(guard, PATIENCE, |is_done| !*is_done).unwrap();
                let is_late = !*guard;
                if is_late {
                    self.stop();
                }
                is_late
            });
            let result = call();
            *is_done.0.lock().unwrap() = true;
            is_done.1.notify_all();
            assert!(!is_late.join().unwrap(), "{what} comes back only with the end of the flood");
            result
        })
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// Messages and notes that calls of the socket have taken so far.
fn handled<P: Pattern>(socket: &Socket<P>) -> u64 {
    let pipes = &socket.core.pipes;
    pipes.gone().received + pipes.iter().map(crate::pipe::Pipe::received).sum::<u64>()
}

struct Case {
    ours: SocketType,
    theirs: &'static str,
    what: &'static str,
    lot: Vec<u8>,
}

fn cases() -> Vec<Case> {
    use SocketType::{Dealer, Pair, Pub, Pull, Push, Rep, Req, Router, Sub, XPub, XSub};
    let topic = |name: &[u8], topic: &[u8]| {
        let body = [&[u8::try_from(name.len()).unwrap()], name, topic].concat();
        [&[4, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    };
    let one = b"\0\x01x".to_vec();
    let long = [&[0, 64][..], &[b'x'; 64]].concat();
    let malformed = [one.clone(), b"\x01\x01a\0\x01b".to_vec()].concat();
    let tiny = [b"\x01\0".repeat(500), b"\0\x01x".to_vec()].concat();
    let mut cases = Vec::new();
    let mut add = |ours, theirs, what, lot: &[u8]| cases.push(Case { ours, theirs, what, lot: lot.to_vec() });
    add(Push, "PULL", "unwanted", &one);
    add(Push, "PULL", "unwanted of 64 octets", &long);
    add(Push, "PULL", "tiny frames", &tiny);
    add(Req, "REP", "unasked", b"\x01\0\0\x01x");
    add(Req, "REP", "malformed", &malformed);
    add(Rep, "REQ", "malformed", &malformed);
    add(Rep, "REQ", "malformed of 64 octets", &long);
    add(Sub, "PUB", "unmatched", &one);
    add(Sub, "PUB", "unmatched of 64 octets", &long);
    add(Sub, "PUB", "tiny frames", &tiny);
    add(Pair, "PAIR", "tiny frames", &tiny); // and all but one are turned away
    for (ours, theirs) in [(Pub, "SUB"), (XPub, "SUB")] {
        let again = [topic(b"SUBSCRIBE", b"a"), topic(b"CANCEL", b"a")].concat();
        add(ours, theirs, "subscriptions that come and go", &again);
        add(ours, theirs, "the same subscription", &topic(b"SUBSCRIBE", b"a"));
        add(ours, theirs, "cancellations of nothing", &topic(b"CANCEL", b"a"));
        add(ours, theirs, "subscriptions as messages", b"\0\x02\x01b\0\x02\0b");
    }
    add(Pub, "SUB", "unwanted", &one);
    for (ours, theirs) in [
        (Dealer, "ROUTER"),
        (Pair, "PAIR"),
        (Pub, "SUB"),
        (Pull, "PUSH"),
        (Push, "PULL"),
        (Rep, "REQ"),
        (Req, "REP"),
        (Router, "DEALER"),
        (Sub, "PUB"),
        (XPub, "SUB"),
        (XSub, "PUB"),
    ] {
        add(ours, theirs, "PINGs", b"\x04\x07\x04PING\0\0");
        add(ours, theirs, "PINGs with a context", b"\x04\x16\x04PING\0\x07a context of 15");
        add(ours, theirs, "PONGs", b"\x04\x0D\x04PONGquestion");
        add(ours, theirs, "unknown commands", b"\x04\x05\x04WHAT");
    }
    cases
}

/// Makes each call of the socket under the flood.
fn call_all(socket: &mut Socket<AnyPattern>, flood: &Flood, what: &str) {
    let is_asked = |socket: &mut Socket<AnyPattern>| socket.socket_type() == SocketType::Req;
    let most_chores = most_chores(flood.threads.len());
    for round in 0..20 {
        let (before, chores_before) = (handled(socket), Chores::done());
        flood.during(what, || {
            let _ = socket.try_send("a message");
        });
        let (sent, chores_sent) = (handled(socket), Chores::done());
        assert!(sent - before <= MOST, "{what}: {} in a send", sent - before);
        let chores = chores_sent - chores_before;
        assert!(chores <= most_chores, "{what}: {chores} chores in a send");
        flood.during(what, || {
            let _ = socket.try_recv();
        });
        let received = handled(socket) - sent;
        assert!(received <= MOST, "{what}: {received} in a receive");
        let chores = Chores::done() - chores_sent;
        assert!(chores <= most_chores, "{what}: {chores} chores in a receive");
        if round % 5 == 0 || is_asked(socket) {
            let _ = flood.during(what, || socket.recv_timeout(TURN));
            let _ = flood.during(what, || socket.send_timeout("another message", TURN));
        }
    }
}

fn open(place: &Place, case: &Case) -> Socket<AnyPattern> {
    let mut builder = place.context.builder_for_any(case.ours).linger(Linger::DISCARD);
    if case.ours == SocketType::Req {
        builder = builder.req_relaxed(true).req_correlate(true);
    }
    let mut socket = builder.open().unwrap();
    if case.ours == SocketType::Sub {
        socket.subscribe("wanted").unwrap();
    }
    socket
}

#[test]
fn no_call_stays_with_those_who_connect_and_flood() {
    for case in cases() {
        for peers in [1, 10] {
            let place = Place::new(Transport::Tcp);
            let mut socket = open(&place, &case);
            let endpoint = socket.bind(place.address()).unwrap();
            let flood = Flood::to(&endpoint.to_string(), peers, case.theirs, &case.lot);
            let what = format!("{:?} under {} from {peers}", case.ours, case.what);
            eventually("all are connected", || {
                let _ = socket.try_send("settling");
                socket.peers().len() == if case.ours == SocketType::Pair { 1 } else { peers }
            });
            call_all(&mut socket, &flood, &what);
        }
    }
}

#[test]
fn no_call_stays_with_those_who_are_connected_to_and_flood() {
    for case in cases() {
        let place = Place::new(Transport::Tcp);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let mut socket = open(&place, &case);
        socket.connect(&*endpoint).unwrap();
        let flood = Flood::start(1, case.theirs, &case.lot, move || listener.accept().unwrap().0);
        let what = format!("{:?} under {}, connected", case.ours, case.what);
        eventually("it is connected", || socket.peers().len() == 1);
        call_all(&mut socket, &flood, &what);
    }
}

#[test]
fn a_shutdown_is_seen_under_a_flood() {
    for case in cases().into_iter().filter(|case| !case.what.contains("64")) {
        let place = Place::new(Transport::Tcp);
        let mut socket = open(&place, &case);
        let endpoint = socket.bind(place.address()).unwrap();
        let flood = Flood::to(&endpoint.to_string(), 2, case.theirs, &case.lot);
        let what = format!("{:?} under {}", case.ours, case.what);
        eventually("all are connected", || socket.peers().len() == 2);
        flood.during(&what, || {
            thread::scope(|scope| {
                scope.spawn(|| place.context.shutdown());
                if case.ours.can_receive() {
                    while socket.recv().is_ok_and(|_| true) || socket.try_send("x").is_ok() {}
                    assert_eq!(socket.recv(), Err(RecvError::Terminated));
                } else {
                    while socket.send("x").is_ok() {}
                }
            });
        });
    }
}

#[test]
fn what_a_push_is_sent_is_dropped_and_counted_though_nobody_calls_it() {
    let place = Place::new(Transport::Tcp);
    let mut push: Socket<Push> = place.open();
    let endpoint = push.bind(place.address()).unwrap();
    let monitor = push.monitor();
    let mut stream = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
    stream.write_all(&matrix::greeting_and_ready("PULL")).unwrap();
    // Ten times what its queue would hold, a large one, and one of many parts. The answer to the PING comes behind all.
    let large = [&[2][..], &(300_000_u64).to_be_bytes(), &vec![7; 300_000]].concat();
    stream
        .write_all(&[b"\0\x01x".repeat(10_000), large, b"\x01\x01a\x01\0\0\x01b".to_vec()].concat())
        .unwrap();
    stream.write_all(b"\x04\x0A\x04PING\0\0end").unwrap();
    let mut heard = Vec::new();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    eventually("it is answered", || {
        let mut octets = [0; 256];
        let count = stream.read(&mut octets).unwrap();
        heard.extend_from_slice(&octets[..count]);
        heard.ends_with(b"\x04PONGend")
    });
    assert_eq!((push.dropped().unwanted, push.dropped().total()), (10_002, 10_002));
    assert_eq!(handled(&push), 0);
    eventually("monitors are told", || {
        monitor.try_recv().is_ok_and(|event| format!("{event:?}").contains("unwanted: "))
    });
}

/// Wakes nobody, and counts.
#[derive(Default)]
struct Count(AtomicU64);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A REP that two peers flood with what is malformed.
fn flooded_rep() -> (Place, Socket<Rep>, Flood) {
    let place = Place::new(Transport::Tcp);
    let (rep, endpoint) = place.bound::<Rep>();
    let flood = Flood::to(&endpoint.to_string(), 2, "REQ", b"\0\x01x");
    eventually("all are connected", || rep.peers().len() == 2);
    (place, rep, flood)
}

#[test]
fn a_poll_of_a_future_ends_and_comes_again_under_a_flood() {
    let (_place, mut rep, flood) = flooded_rep();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    for _ in 0..50 {
        let before = handled(&rep);
        {
            let mut recv = pin!(rep.recv_async());
            let mut context = TaskContext::from_waker(&waker);
            let polled = flood.during("a poll", || recv.as_mut().poll(&mut context).is_pending());
            assert!(polled);
        }
        let work = handled(&rep) - before;
        assert!(work <= MOST, "{work}");
        if work >= u64::from(CALL_BUDGET) / 2 {
            // There was more: nobody else would wake it.
            eventually("it is woken", || count.0.load(Ordering::SeqCst) > 0);
        }
    }
    drop(flood);
    // Nothing is left over: a request of an honest peer is heard.
    assert!(matches!(pin!(rep.recv_async()).poll(&mut TaskContext::from_waker(&waker)), Poll::Pending));
}

#[test]
fn a_request_behind_a_flood_is_heard_by_each_way_to_wait() {
    let lot = [b"\0\x01x".repeat(20_000), b"\x01\0\0\x01q".to_vec()].concat();
    for way in ["blocks", "task", "polls", "proxy"] {
        let place = Place::new(Transport::Tcp);
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut stream = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
        stream.write_all(&matrix::greeting_and_ready("REQ")).unwrap();
        let writer = {
            let (mut stream, lot) = (stream.try_clone().unwrap(), lot.clone());
            thread::spawn(move || stream.write_all(&lot))
        };
        match way {
            "blocks" => assert_eq!(*rep.recv_timeout(PATIENCE).unwrap().message(), "q"),
            "task" => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let request =
                    runtime.block_on(async { rep.recv_async().await.map(|it| it.message().clone()) });
                assert_eq!(request.unwrap(), "q");
            }
            "polls" => {
                let mut poller = Poller::new();
                poller.add(&mut rep, Interest::READABLE, ()).unwrap();
                eventually("it is heard", || {
                    assert!(!poller.wait(Some(PATIENCE)).unwrap().is_empty());
                    rep.try_recv().is_ok_and(|request| *request.message() == "q")
                });
            }
            _ => {
                let mut worker: Socket<Rep> = place.open();
                let backend = worker.bind(place.address()).unwrap();
                let req: Socket<Req> = place.connected(&backend.endpoint().clone());
                let proxy = Proxy::new(rep, req).unwrap();
                let control = proxy.control();
                thread::scope(|scope| {
                    let end = scope.spawn(|| proxy.run());
                    assert_eq!(*worker.recv_timeout(PATIENCE).unwrap().message(), "q");
                    control.terminate();
                    drop(end.join().unwrap());
                });
            }
        }
        writer.join().unwrap().unwrap();
    }
}

#[test]
fn threads_that_share_a_socket_hear_what_is_behind_a_flood() {
    let lot = [b"\0\x01x".repeat(20_000), b"\0\x01w\0\x01w".to_vec()].concat();
    let place = Place::new(Transport::Tcp);
    let (mut sub, endpoint) = place.bound::<Sub>();
    sub.subscribe("w").unwrap();
    let mut stream = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
    let shared = SharedSocket::new(sub);
    thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| shared.recv_timeout(PATIENCE)));
        stream.write_all(&matrix::greeting_and_ready("PUB")).unwrap();
        stream.write_all(&lot).unwrap();
        for thread in threads {
            assert_eq!(thread.join().unwrap().unwrap(), "w");
        }
    });
}

#[test]
fn whoever_waits_for_subscribers_hears_of_the_deadline_under_a_flood() {
    let place = Place::new(Transport::Tcp);
    let (mut publisher, endpoint) = place.bound::<Pub>();
    let flood = Flood::to(&endpoint.to_string(), 10, "SUB", b"\x04\x08\x06CANCELa");
    for _ in 0..5 {
        let waited = flood.during("a wait", || publisher.wait_for_subscribers(11, TURN));
        assert!(waited.is_err());
        let before = handled(&publisher);
        flood.during("a look", || publisher.topic_count());
        assert!(handled(&publisher) - before <= MOST);
    }
}

#[test]
fn subscriptions_go_on_being_taken_in_while_an_xpub_waits() {
    // What is left over has its turn although nothing new comes: 3,000 notices, and then silence.
    let place = Place::new(Transport::Tcp);
    let mut xpub: Socket<XPub> = place.builder().recv_hwm(10_000).open().unwrap();
    let endpoint = xpub.bind(place.address()).unwrap();
    let mut stream = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
    stream.write_all(&matrix::greeting_and_ready("SUB")).unwrap();
    stream.write_all(&b"\x04\x0B\x09SUBSCRIBEa".repeat(3000)).unwrap();
    stream.write_all(b"\x04\x0E\x09SUBSCRIBElast").unwrap();
    assert_eq!(xpub.recv_timeout(PATIENCE).unwrap(), b"\x01a");
    assert_eq!(xpub.recv_timeout(PATIENCE).unwrap(), b"\x01last");
    let mut sub: Socket<Sub> = place.connected(&endpoint.endpoint().clone());
    sub.subscribe("other").unwrap();
    assert_eq!(xpub.recv_timeout(PATIENCE).unwrap(), b"\x01other");
}
