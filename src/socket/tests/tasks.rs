//! The verbs as futures: whatever drops them, nothing is lost, and whoever waits is woken.

use std::pin::pin;
use std::task::{self, Poll, Wake, Waker};

use super::*;
use crate::sync::AtomicBool;
use crate::{
    Dealer, NotReadyKind, Pair, Pub, RecvError, Rep, Req, Router, RoutingId, Sub, SubscribersError, XPub,
};

/// A task that is a thread.
pub(super) struct Parked {
    thread: thread::Thread,
    is_woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Parked {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), is_woken: AtomicBool::new(false) })
    }

    pub(super) fn is_woken(&self) -> bool {
        self.is_woken.load(Ordering::SeqCst)
    }

    pub(super) fn forget(&self) {
        self.is_woken.store(false, Ordering::SeqCst);
    }

    pub(super) fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_woken.swap(false, Ordering::SeqCst) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nobody woke the task");
            thread::park_timeout(left);
        }
    }
}

/// Polls a future at most so often, each time that it is woken, and drops it.
pub(super) fn poll_up_to<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let parked = Parked::new();
    let waker = Waker::from(Arc::clone(&parked));
    let mut future = pin!(future);
    for poll in 0..polls {
        if poll > 0 {
            parked.wait();
        }
        if let Poll::Ready(done) = future.as_mut().poll(&mut task::Context::from_waker(&waker)) {
            return Some(done);
        }
    }
    None
}

pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    poll_up_to(usize::MAX, future).unwrap()
}

#[test]
fn futures_dropped_at_any_poll_lose_nothing_and_repeat_nothing() {
    over(ALL, |place| {
        const COUNT: u32 = 3_000;
        let mut pull: Socket<Pull> = place.builder().recv_hwm(3).open().unwrap();
        let endpoint = place.address();
        pull.bind(&endpoint).unwrap();
        let mut push: Socket<Push> = place.builder().send_hwm(3).open().unwrap();
        push.connect(&endpoint).unwrap();
        let sender = thread::spawn(move || {
            let mut attempts = 0;
            for number in 0..COUNT {
                loop {
                    attempts += 1;
                    match poll_up_to(attempts % 4, push.send_async(&numbered(number))) {
                        Some(sent) => break sent.unwrap(),
                        None => thread::yield_now(),
                    }
                }
            }
            push
        });
        let mut attempts = 0;
        for number in 0..COUNT {
            let message = loop {
                attempts += 1;
                if let Some(message) = poll_up_to(attempts % 4, pull.recv_async()) {
                    break message.unwrap();
                }
                thread::yield_now();
            };
            assert_eq!(number_of(&message), number);
        }
        let push = sender.join().unwrap();
        assert_eq!(push.outgoing().accepted(), u64::from(COUNT));
        assert!(pull.try_recv().is_err());
    });
}

#[test]
fn requests_and_replies_are_dropped_at_any_poll() {
    over(ALL, |place| {
        const COUNT: u32 = 300;
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut req: Socket<Req> = place.connected(&endpoint);
        let server = thread::spawn(move || {
            let mut attempts = 0;
            for number in 0..COUNT {
                loop {
                    attempts += 1;
                    if let Some(request) = poll_up_to(attempts % 3, rep.recv_async()) {
                        let mut request = request.unwrap();
                        assert_eq!(number_of(request.message()), number);
                        let message = request.take_message();
                        request.reply(message).unwrap();
                        break;
                    }
                }
            }
            rep
        });
        for number in 0..COUNT {
            let mut reply = run(req.request_async(&numbered(number))).unwrap();
            // The request stays, whatever becomes of the futures that wait for its reply.
            let message = (0..).find_map(|attempt| poll_up_to(attempt % 4, reply.recv_async()));
            assert_eq!(number_of(&message.unwrap().unwrap()), number);
            assert_eq!(run(reply.recv_async()), Err(RecvError::OutOfTurn));
        }
        drop(server.join().unwrap());
    });
}

#[test]
fn a_round_trip_between_tasks_and_threads() {
    over(ALL, |place| {
        let (mut there, endpoint) = place.bound::<Pair>();
        let mut here: Socket<Pair> = place.connected(&endpoint);
        const COUNT: u32 = 2_000;
        let echo = thread::spawn(move || {
            for number in 0..COUNT {
                // By turns, so that connections are lent, and given back.
                let message =
                    if number % 7 < 4 { run(there.recv_async()).unwrap() } else { recv(&mut there) };
                if number % 5 < 2 {
                    send(&mut there, message);
                } else {
                    run(there.send_async(message)).unwrap();
                }
            }
            there
        });
        let mut message = Message::new();
        for number in 0..COUNT {
            run(here.send_async(&numbered(number))).unwrap();
            if number % 3 == 0 {
                message = recv(&mut here);
            } else {
                run(here.recv_into_async(&mut message)).unwrap();
            }
            assert_eq!(number_of(&message), number);
        }
        drop(echo.join().unwrap());
    });
}

#[test]
fn a_router_waits_in_tasks() {
    over(ALL, |place| {
        let mut router: Socket<Router> = place.builder().router_mandatory(true).send_hwm(1).open().unwrap();
        let endpoint = place.address();
        router.bind(&endpoint).unwrap();
        let mut dealer: Socket<Dealer> = place.builder().recv_hwm(1).open().unwrap();
        dealer.connect(&endpoint).unwrap();
        send(&mut dealer, "hello");
        let (name, message) = run(router.recv_async()).unwrap();
        assert_eq!(message, "hello");
        let receiver = thread::spawn(move || {
            (0..500).for_each(|number| assert_eq!(number_of(&recv(&mut dealer)), number));
        });
        for number in 0..500 {
            run(router.send_to_async(&name, &numbered(number))).unwrap();
        }
        receiver.join().unwrap();
        let unsent = run(router.send_to_async(&RoutingId::new("nobody").unwrap(), "lost?")).unwrap_err();
        assert_eq!((unsent.error, unsent.message), (SendError::Unroutable, None));
    });
}

#[test]
fn futures_go_from_thread_to_thread() {
    fn is_send<T: Send>(_: &T) {}
    let place = Place::new(Transport::Inproc);
    let (mut pull, mut push, mut router) =
        (place.open::<Pull>(), place.open::<Push>(), place.open::<Router>());
    let (mut req, mut rep, mut publisher) = (place.open::<Req>(), place.open::<Rep>(), place.open::<XPub>());
    let (name, mut message) = (RoutingId::new("name").unwrap(), Message::new());
    is_send(&pull.recv_async());
    is_send(&pull.recv_into_async(&mut message));
    is_send(&push.send_async("borrowed"));
    is_send(&router.recv_async());
    is_send(&router.send_to_async(&name, "borrowed"));
    is_send(&req.request_async("borrowed"));
    is_send(&rep.recv_async());
    is_send(&publisher.wait_for_subscribers_async(1));
    is_send(&push.connect("inproc://nobody").unwrap().wait_ready_async());
    is_send(&push.close_async(Duration::ZERO));
}

#[test]
fn a_dropped_send_has_sent_nothing() {
    let mut push = Place::new(Transport::Inproc).open::<Push>();
    let drops = Drops::default();
    assert!(poll_up_to(1, push.send_async(drops.body())).is_none());
    assert_eq!((drops.count(), push.outgoing().accepted()), (1, 0));
}

#[test]
fn a_dropped_future_lets_its_task_go() {
    let mut pull = Place::new(Transport::Inproc).open::<Pull>();
    let parked = Parked::new();
    let waker = Waker::from(Arc::clone(&parked));
    {
        let future = pin!(pull.recv_async());
        assert!(future.poll(&mut task::Context::from_waker(&waker)).is_pending());
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&parked), 1);
}

#[test]
fn a_task_that_moves_is_woken_where_it_was_polled_last() {
    let place = Place::new(Transport::Tcp);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let mut push: Socket<Push> = place.connected(&endpoint);
    let mut future = pin!(pull.recv_async());
    let (old, new) = (Parked::new(), Parked::new());
    for parked in [&old, &new] {
        let waker = Waker::from(Arc::clone(parked));
        assert!(future.as_mut().poll(&mut task::Context::from_waker(&waker)).is_pending());
    }
    send(&mut push, "here");
    let waker = Waker::from(Arc::clone(&new));
    let message = loop {
        new.wait();
        match future.as_mut().poll(&mut task::Context::from_waker(&waker)) {
            Poll::Ready(message) => break message,
            Poll::Pending => {}
        }
    };
    assert_eq!(message.unwrap(), "here");
    assert_eq!(Arc::strong_count(&old), 1);
}

#[test]
fn a_shutdown_ends_what_tasks_wait_for() {
    // X-03 for tasks
    let context = Context::new();
    let mut pull = context.open::<Pull>().unwrap();
    let mut push = context.open::<Push>().unwrap();
    let mut publisher = context.open::<XPub>().unwrap();
    let stopping = thread::spawn(move || {
        let mut attempts = 0..3;
        assert!(attempts.all(|_| context.open::<Pull>().is_ok()));
        context.shutdown();
    });
    assert_eq!(run(pull.recv_async()), Err(RecvError::Terminated));
    let unsent = run(push.send_async("to nobody")).unwrap_err();
    assert_eq!((unsent.error, unsent.message), (SendError::Terminated, None));
    let subscribers = run(publisher.wait_for_subscribers_async(1));
    assert_eq!(subscribers, Err(SubscribersError::Terminated));
    stopping.join().unwrap();
}

#[test]
fn tasks_wait_for_connections_and_subscribers() {
    over(ALL, |place| {
        let (mut publisher, endpoint) = place.bound::<Pub>();
        assert!(poll_up_to(1, publisher.wait_for_subscribers_async(1)).is_none());
        let mut subscriber = place.open::<Sub>();
        subscriber.subscribe("").unwrap();
        let connection = subscriber.connect(&endpoint).unwrap();
        run(connection.wait_ready_async()).unwrap();
        run(publisher.wait_for_subscribers_async(1)).unwrap();
        run(publisher.send_async("news")).unwrap();
        assert_eq!(run(subscriber.recv_async()).unwrap(), "news");
        let later = subscriber.connect(place.address()).unwrap();
        assert!(poll_up_to(1, later.wait_ready_async()).is_none());
        later.disconnect();
        let ended = run(later.wait_ready_async()).unwrap_err();
        assert_eq!((ended.kind(), ended.endpoint()), (NotReadyKind::Closed, later.endpoint()));
    });
}

#[test]
fn a_task_closes_its_socket_and_hears_what_was_sent() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        for number in 0..100 {
            run(push.send_async(&numbered(number))).unwrap();
        }
        let before = push.outgoing().handed_over;
        let report = run(push.close_async(PATIENCE));
        assert_eq!((report.dropped, report.unreceived), (0, 0));
        assert!(report.flushed + before <= 100);
        (0..100).for_each(|number| assert_eq!(number_of(&run(pull.recv_async()).unwrap()), number));
    });
}

#[test]
fn the_time_of_a_task_that_closes_its_socket_is_kept() {
    over(WIRES, |place| {
        let mut push = place.open::<Push>();
        push.connect(place.address()).unwrap();
        push.send("nobody is there").unwrap();
        let report = run(push.close_async(Duration::from_millis(10)));
        assert_eq!((report.flushed, report.dropped), (0, 1));
    });
}
