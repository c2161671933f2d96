//! What happens behind and beside floods: who is told, what is counted, and what is heard although somebody floods.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use super::flooders::{Flood, Script};
use super::*;
use crate::limits::CALL_BUDGET;
use crate::{Interest, Poller, Proxy, Pub, Rep, Req, SharedSocket, Sub, XPub};

/// More than what a call handles for its peers, by the notices that come with them.
const MOST: u64 = CALL_BUDGET as u64 + 64;

/// Messages and notes that calls of the socket have taken so far.
fn handled<P: Pattern>(socket: &Socket<P>) -> u64 {
    let pipes = &socket.core.pipes;
    pipes.gone().received + pipes.iter().map(crate::pipe::Pipe::received).sum::<u64>()
}

/// What is done by `call` while the flood goes on.
fn during<T>(flood: &Flood, what: &str, call: impl FnOnce() -> T) -> T {
    flood.during(&Mutex::new(what.to_owned()), call)
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
    let flood = Flood::to(&endpoint, 2, &Script::of("REQ", b"\0\x01x"));
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
            let polled = during(&flood, "a poll", || recv.as_mut().poll(&mut context).is_pending());
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
    let flood = Flood::to(&endpoint, 10, &Script::of("SUB", b"\x04\x08\x06CANCELa"));
    for _ in 0..5 {
        let waited = during(&flood, "a wait", || publisher.wait_for_subscribers(11, TURN));
        assert!(waited.is_err());
        let before = handled(&publisher);
        during(&flood, "a look", || publisher.topic_count());
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
