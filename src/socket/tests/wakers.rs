//! Who is woken: everybody who waits for a socket, in whatever way, and whoever else waits for it; and when ready
//! futures give way. As streams and sinks are not there without their feature, the tests poll as these do.

use std::pin::pin;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{self, Poll, Wake, Waker};

use super::conservation::until_peers;
use super::ends::Raw;
use super::tasks::{Parked, poll_up_to};
use super::*;
use crate::limits::READY_RESULTS_MAX;
use crate::patterns::Strategy as _;
use crate::pipe::{Patience, Pipes, Sleepers};
use crate::sync::locks_taken;
use crate::{Hwm, Pair, RecvError, Router, SharedSocket};

type Received = Result<Message, RecvError>;

/// A task's waker, and where that was called.
fn task() -> (Arc<Parked>, Waker) {
    let parked = Parked::new();
    (Arc::clone(&parked), Waker::from(parked))
}

/// As the stream does.
fn poll_next(socket: &mut Socket<Pair>, waker: &Waker) -> Poll<Received> {
    let mut message = Message::new();
    let Socket { core, pattern } = socket;
    core.poll_attempt(pattern, &task::Context::from_waker(waker), Sleepers::STREAM, |core, pattern| {
        core.pipes.set_patience(Patience::None);
        let mut verb = |pattern: &mut Pair, pipes: &mut Pipes| pattern.try_recv(pipes, &mut message);
        match core.poll_recv(pattern, &mut verb) {
            Err(RecvError::WouldBlock) => Poll::Pending,
            taken_or_not => Poll::Ready(taken_or_not),
        }
    })
    .map(|taken| taken.map(|()| message))
}

/// As the sink does.
fn poll_ready(socket: &mut Socket<Pair>, waker: &Waker) -> Poll<()> {
    let Socket { core, pattern } = socket;
    core.poll_attempt(pattern, &task::Context::from_waker(waker), Sleepers::SINK, |core, pattern| {
        core.handle_mail(pattern);
        if core.readiness(pattern).is_writable() { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// Waits for room as the sink does. There may be some now and then, as the kernel takes more when it has time.
fn wait_for_room(socket: &mut Socket<Pair>, waker: &Waker) {
    while poll_ready(socket, waker).is_ready() {
        fill(socket, &Message::from(vec![0; LARGE]));
    }
}

fn wait_for<T>(parked: &Parked, mut poll: impl FnMut() -> Poll<T>) -> T {
    loop {
        parked.wait();
        if let Poll::Ready(done) = poll() {
            return done;
        }
    }
}

/// What happens to a socket between the time when two tasks wait for it and the time when they are woken.
type Between = fn(&mut Socket<Pair>);

/// A thread waits itself, with a timeout, and a future is dropped: neither takes what wakes the tasks.
const BETWEEN: [Between; 4] = [
    |_| {},
    |socket| drop(socket.send_timeout("no room yet", TURN)),
    |socket| drop(socket.recv_timeout(TURN)),
    |socket| drop(poll_up_to(1, socket.send_async("no room yet"))),
];

#[test]
fn a_task_that_reads_a_socket_and_one_that_writes_to_it_are_both_woken() {
    over(ALL, |place| {
        for between in BETWEEN {
            for is_reader_first in [true, false] {
                let hwm = Hwm::messages(1);
                let mut far: Socket<Pair> = place.builder().recv_hwm(hwm).send_hwm(hwm).open().unwrap();
                let endpoint = far.bind(place.address()).unwrap();
                let mut near: Socket<Pair> = place.builder().recv_hwm(hwm).send_hwm(hwm).open().unwrap();
                near.connect(&*endpoint).unwrap();
                fill(&mut near, &Message::from(vec![0; LARGE]));
                let ((reader, read), (writer, write)) = (task(), task());
                if is_reader_first {
                    assert!(poll_next(&mut near, &read).is_pending());
                    wait_for_room(&mut near, &write);
                } else {
                    wait_for_room(&mut near, &write);
                    assert!(poll_next(&mut near, &read).is_pending());
                }
                between(&mut near);
                send(&mut far, "to be read");
                let message = wait_for(&reader, || poll_next(&mut near, &read));
                assert_eq!(message.unwrap(), "to be read");
                // Both wait again.
                assert!(poll_next(&mut near, &read).is_pending());
                wait_for_room(&mut near, &write);
                let mut is_full = true;
                while is_full {
                    writer.forget();
                    between(&mut near);
                    eventually("the one that writes is woken", || {
                        while far.try_recv().is_ok() {}
                        writer.is_woken()
                    });
                    is_full = poll_ready(&mut near, &write).is_pending();
                }
            }
        }
    });
}

/// Counts how often it was called.
#[derive(Default)]
struct Counter(AtomicU64);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// How often in a row a call is ready before it gives way, of which its task must hear at once. The next time it is
/// ready again.
fn ready_in_a_row(mut poll: impl FnMut(&mut task::Context<'_>) -> Poll<()>) -> u32 {
    let counter = Arc::new(Counter::default());
    let waker = Waker::from(Arc::clone(&counter));
    let mut context = task::Context::from_waker(&waker);
    for ready in 0..=READY_RESULTS_MAX {
        if poll(&mut context).is_pending() {
            assert_eq!(counter.0.load(Ordering::SeqCst), 1, "woken already");
            assert!(poll(&mut context).is_ready(), "there is something");
            return ready;
        }
    }
    panic!("it never gives way");
}

/// One poll of a new future.
fn once<T>(future: impl Future<Output = T>, context: &mut task::Context<'_>) -> Poll<T> {
    pin!(future).poll(context)
}

#[test]
fn futures_that_are_ready_give_way() {
    let hwm = Hwm::messages(0);
    let context = Context::new();
    let open = || context.builder_for::<Pair>().recv_hwm(hwm).send_hwm(hwm).open().unwrap();
    let (mut near, mut far) = (open(), open());
    far.bind("inproc://far").unwrap();
    near.connect("inproc://far").unwrap();
    let mut router: Socket<Router> = context.builder_for().recv_hwm(hwm).send_hwm(hwm).open().unwrap();
    router.bind("inproc://router").unwrap();
    let mut dealer: Socket<crate::Dealer> = context.builder_for().recv_hwm(hwm).send_hwm(hwm).open().unwrap();
    dealer.connect("inproc://router").unwrap();
    for _ in 0..6 * READY_RESULTS_MAX {
        dealer.send("a").unwrap();
    }
    let (name, mut message) = (router.recv().unwrap().0, Message::new());
    // Each is the first after a result of the one before.
    let first = ready_in_a_row(|context| once(near.send_async("a"), context).map(Result::unwrap));
    assert_eq!(first, READY_RESULTS_MAX);
    let mut from = name.clone();
    let next = [
        ready_in_a_row(|context| once(far.recv_async(), context).map(|it| drop(it.unwrap()))),
        ready_in_a_row(|context| once(near.send_async("a"), context).map(Result::unwrap)),
        ready_in_a_row(|context| once(far.recv_into_async(&mut message), context).map(Result::unwrap)),
        ready_in_a_row(|context| once(router.recv_async(), context).map(|it| drop(it.unwrap()))),
        ready_in_a_row(|context| {
            once(router.recv_from_into_async(&mut from, &mut message), context).map(Result::unwrap)
        }),
        ready_in_a_row(|context| once(router.send_to_async(&name, "a"), context).map(Result::unwrap)),
        ready_in_a_row(|context| poll_ready(&mut near, context.waker())),
        {
            (0..=READY_RESULTS_MAX).for_each(|_| far.send("a").unwrap());
            ready_in_a_row(|context| poll_next(&mut near, context.waker()).map(|it| drop(it.unwrap())))
        },
    ];
    assert_eq!(next, [READY_RESULTS_MAX - 1; 8]);
    let (near, far) = (SharedSocket::new(near), SharedSocket::new(far));
    let (router, monitor) = (SharedSocket::new(router), dealer.monitor());
    let shared = [
        ready_in_a_row(|context| once(near.send_async("a"), context).map(Result::unwrap)),
        ready_in_a_row(|context| once(far.recv_async(), context).map(|it| drop(it.unwrap()))),
        ready_in_a_row(|context| once(router.recv_async(), context).map(|it| drop(it.unwrap()))),
        ready_in_a_row(|context| once(router.send_to_async(&name, "a"), context).map(Result::unwrap)),
        {
            for number in 0..READY_RESULTS_MAX {
                drop(dealer.bind(format!("inproc://{number}")).unwrap()); // an event each
            }
            ready_in_a_row(|context| once(monitor.recv_async(), context).map(|it| drop(it.unwrap())))
        },
    ];
    assert_eq!(shared, [READY_RESULTS_MAX - 1; 5]);
}

#[test]
fn futures_that_are_ready_at_once_take_no_lock() {
    let place = Place::new(Transport::Inproc);
    let (mut far, endpoint) = place.bound::<Pair>();
    let mut near: Socket<Pair> = place.connected(&endpoint);
    let mut context = task::Context::from_waker(Waker::noop());
    let mut message = Message::new();
    for _ in 0..READY_RESULTS_MAX {
        near.send("a").unwrap();
    }
    far.recv().unwrap();
    let before = locks_taken();
    for _ in 0..READY_RESULTS_MAX / 4 {
        assert!(matches!(once(near.send_async("a"), &mut context), Poll::Ready(Ok(()))));
        assert!(matches!(once(far.recv_into_async(&mut message), &mut context), Poll::Ready(Ok(()))));
    }
    assert_eq!(locks_taken() - before, 0);
}

/// A waker that keeps whoever calls it until it is told to go on.
struct Keeps {
    called: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl Wake for Keeps {
    fn wake(self: Arc<Self>) {
        self.called.send(()).unwrap();
        let _ = self.go_on.lock().unwrap().recv_timeout(PATIENCE);
    }
}

/// A task that waits for messages, and keeps who wakes it: it has, when the one says so, until the other does.
pub(super) fn keeper(socket: &mut Socket<Pull>) -> (impl Future, Receiver<()>, Sender<()>) {
    let ((called, calls), (going, go_on)) = (channel(), channel());
    let waker = Waker::from(Arc::new(Keeps { called, go_on: Mutex::new(go_on) }));
    let mut recv = Box::pin(socket.recv_async());
    assert!(recv.as_mut().poll(&mut task::Context::from_waker(&waker)).is_pending());
    (recv, calls, going)
}

#[test]
fn a_task_is_woken_when_all_is_there_that_its_connection_had_to_read() {
    let place = Place::in_context(Transport::Ipc, Context::builder().io_threads(1).build());
    let (mut pull, endpoint) = place.bound::<Pull>();
    let mut peer = Raw::connect(&endpoint, "PUSH");
    until_peers(&mut pull, 1, 1);
    // Whoever reads is kept until everything has come.
    let (mut other, at) = place.bound::<Pull>();
    let (_other, is_kept, go_on) = keeper(&mut other);
    let mut far: Socket<Push> = Context::new().open().unwrap();
    far.connect(&at).unwrap();
    far.send("wait").unwrap();
    is_kept.recv_timeout(PATIENCE).unwrap();
    let (recv, is_woken, _go_on) = keeper(&mut pull);
    let frame = [&[2][..], &(LARGE as u64).to_be_bytes(), &[7; LARGE]].concat();
    peer.say(&frame.repeat(5));
    drop(go_on);
    is_woken.recv_timeout(PATIENCE).unwrap();
    drop(recv);
    // It does not go on reading meanwhile; nor can this thread, unless all was given back.
    let found = (0..).take_while(|_| pull.try_recv().is_ok()).count();
    assert_eq!(found, 5);
}

#[test]
fn a_task_that_is_ready_with_any_of_several_futures_gives_way() {
    let place = Place::new(Transport::Inproc);
    let mut sockets = [(); 3].map(|()| {
        let (pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        (0..READY_RESULTS_MAX).for_each(|_| push.send("a").unwrap());
        (pull, push)
    });
    let mut context = task::Context::from_waker(Waker::noop());
    // As `select!`, which is ready when one of them is.
    let mut results = 0;
    while sockets.iter_mut().any(|(pull, _)| once(pull.recv_async(), &mut context).is_ready()) {
        results += 1;
        assert!(results <= READY_RESULTS_MAX, "it never returns to its executor");
    }
    assert_eq!(results, READY_RESULTS_MAX);
    assert!(once(sockets[0].0.recv_async(), &mut context).is_pending(), "there is nothing any more");
    assert!(once(sockets[1].0.recv_async(), &mut context).is_ready());
}

#[test]
fn whoever_waits_again_and_again_leaves_one_waker() {
    let place = Place::new(Transport::Inproc);
    let (mut pair, _) = place.bound::<Pair>();
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let (parked, waker) = task();
            assert!(poll_next(&mut pair, &waker).is_pending() && poll_ready(&mut pair, &waker).is_pending());
            parked
        })
        .collect();
    let held: Vec<_> = tasks.iter().map(|parked| Arc::strong_count(parked) - 1).collect();
    assert_eq!(held.iter().sum::<usize>(), 2, "one that reads, and one that writes");
    assert_eq!(held[999], 2);
}
