//! One socket in many tasks: whatever drops their futures, nothing is lost, and everybody has their turn.

use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{self, Poll, Wake, Waker};

use super::ledger::{Ledger, count};
use super::reconnect::quick;
use super::tasks::{Parked, poll_up_to, run};
use super::*;
use crate::socket::shared::Side;
use crate::sync::lock_std;
use crate::{Dealer, Pair, RecvError, Rep, Req, RequestError, Router, RoutingId, SharedSocket, Stream};

/// Polls a future once.
fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>, parked: &Arc<Parked>) -> Poll<T> {
    future.poll(&mut task::Context::from_waker(&Waker::from(Arc::clone(parked))))
}

/// Polls a future, which waits now, until it is ready.
fn finish<T>(mut future: Pin<&mut impl Future<Output = T>>, parked: &Arc<Parked>) -> T {
    loop {
        parked.wait();
        if let Poll::Ready(done) = poll_once(future.as_mut(), parked) {
            return done;
        }
    }
}

#[test]
fn shared_futures_dropped_at_any_poll_lose_nothing_and_repeat_nothing() {
    // L-05, E-10: tasks that give up now and then, and threads, all in the same two sockets.
    const TASKS: u32 = 4;
    const THREADS: u32 = 2;
    over(ALL, |place| {
        let each: u32 = count(300, 20_000);
        let mut pull: Socket<Pull> = place.builder().recv_hwm(3).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push: Socket<Push> = place.builder().send_hwm(3).open().unwrap();
        push.connect(&*endpoint).unwrap();
        let (push, pull) = (SharedSocket::new(push), SharedSocket::new(pull));
        let ledger = Mutex::new(Ledger::new(1));
        thread::scope(|scope| {
            let mut senders = Vec::new();
            for number in 0..TASKS + THREADS {
                let (push, pull, ledger) = (&push, &pull, &ledger);
                senders.push(scope.spawn(move || {
                    let mut attempts = 0;
                    for _ in 0..each {
                        let message = {
                            let mut ledger = lock_std(ledger);
                            let message = ledger.next(number, 40);
                            ledger.accepted(number, 1);
                            message
                        };
                        if number >= TASKS {
                            push.send_timeout(message, PATIENCE).unwrap();
                            continue;
                        }
                        loop {
                            attempts += 1;
                            match poll_up_to(attempts % 4, push.send_async(message.clone())) {
                                Some(sent) => break sent.unwrap(),
                                None => thread::yield_now(),
                            }
                        }
                    }
                }));
                scope.spawn(move || {
                    for attempt in 0.. {
                        let message = if number < TASKS {
                            poll_up_to(attempt % 4, pull.recv_async()).map(Result::unwrap)
                        } else {
                            Some(pull.recv_timeout(PATIENCE).unwrap())
                        };
                        match message {
                            Some(message) if message == "the end" => break,
                            Some(message) => drop(lock_std(ledger).delivered(number, &message)),
                            None => thread::yield_now(),
                        }
                    }
                });
            }
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            (0..TASKS + THREADS).for_each(|_| push.send_timeout("the end", PATIENCE).unwrap());
        });
        assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
        assert_eq!(
            (pull.hub_waiting(Side::Messages), push.hub_waiting(Side::Room)),
            ((0, false), (0, false))
        );
        ledger.into_inner().unwrap().figures.check(1);
        let sent = u64::from((TASKS + THREADS) * each + TASKS + THREADS);
        assert_eq!(push.into_socket().unwrap().outgoing().accepted(), sent);
    });
}

#[test]
fn tasks_and_threads_are_served_in_their_order() {
    over(ALL, |place| {
        let (pull, endpoint) = place.bound::<Pull>();
        let (pull, mut push) = (SharedSocket::new(pull), place.connected::<Push>(&endpoint));
        let (first, last) = (Parked::new(), Parked::new());
        let mut one = pin!(pull.recv_async());
        assert!(poll_once(one.as_mut(), &first).is_pending());
        thread::scope(|scope| {
            let two = scope.spawn(|| pull.recv_timeout(PATIENCE).unwrap());
            eventually("it waits", || pull.hub_waiting(Side::Messages) == (2, true));
            let mut three = pin!(pull.recv_async());
            assert!(poll_once(three.as_mut(), &last).is_pending());
            assert_eq!(pull.hub_waiting(Side::Messages), (3, true));
            (0..3).for_each(|number| send(&mut push, &numbered(number)));
            assert_eq!(number_of(&finish(one.as_mut(), &first).unwrap()), 0);
            assert_eq!(number_of(&two.join().unwrap()), 1);
            assert_eq!(number_of(&finish(three.as_mut(), &last).unwrap()), 2);
        });
        assert_eq!(pull.hub_waiting(Side::Messages), (0, false));
    });
}

#[test]
fn a_task_is_passed_a_bounded_number_of_times() {
    let place = Place::new(Transport::Inproc);
    let (pull, endpoint) = place.bound::<Pull>();
    let (pull, mut push) = (SharedSocket::new(pull), place.connected::<Push>(&endpoint));
    let parked = Parked::new();
    let mut waiting = pin!(pull.recv_async());
    assert!(poll_once(waiting.as_mut(), &parked).is_pending());
    let most = crate::limits::PASSED_MAX;
    (0..=most).for_each(|number| send(&mut push, &numbered(number)));
    for number in 0..most {
        assert_eq!(number_of(&pull.try_recv().unwrap()), number);
    }
    assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock), "the last one is the task's");
    assert_eq!(number_of(&finish(waiting, &parked).unwrap()), most);
    send(&mut push, "free again");
    assert_eq!(pull.try_recv().unwrap(), "free again");
}

#[test]
fn whoever_is_behind_a_task_that_gives_up_is_next() {
    over(ALL, |place| {
        let (pull, endpoint) = place.bound::<Pull>();
        let (pull, mut push) = (SharedSocket::new(pull), place.connected::<Push>(&endpoint));
        for is_called in [false, true] {
            let (first, second) = (Parked::new(), Parked::new());
            let mut one = Box::pin(pull.recv_async());
            assert!(poll_once(one.as_mut(), &first).is_pending());
            let mut two = pin!(pull.recv_async());
            assert!(poll_once(two.as_mut(), &second).is_pending());
            thread::scope(|scope| {
                let three = scope.spawn(|| pull.recv_timeout(PATIENCE).unwrap());
                eventually("it waits", || pull.hub_waiting(Side::Messages) == (3, true));
                if is_called {
                    send(&mut push, "for two");
                    first.wait();
                    drop(one);
                } else {
                    drop(one);
                    send(&mut push, "for two");
                }
                assert_eq!(finish(two.as_mut(), &second).unwrap(), "for two");
                send(&mut push, "for three");
                assert_eq!(three.join().unwrap(), "for three");
            });
            assert_eq!(pull.hub_waiting(Side::Messages), (0, false));
        }
    });
}

#[test]
fn a_task_that_waits_for_a_message_keeps_no_sender_out() {
    over(ALL, |place| {
        let (mut peer, endpoint) = place.bound::<Pair>();
        let (sending, receiving) = place.connected::<Pair>(&endpoint).split();
        let parked = Parked::new();
        for number in 0..50 {
            let mut waiting = pin!(receiving.recv_async());
            assert!(poll_once(waiting.as_mut(), &parked).is_pending());
            run(sending.send_async(&numbered(number))).unwrap();
            assert_eq!(number_of(&recv(&mut peer)), number);
            send(&mut peer, &numbered(number));
            assert_eq!(number_of(&finish(waiting, &parked).unwrap()), number);
        }
    });
}

#[test]
fn shared_requests_and_answers_are_dropped_at_any_poll() {
    over(ALL, |place| {
        const ASKERS: u32 = 3;
        let each: u32 = count(20, 500);
        let (rep, endpoint) = place.bound::<Rep>();
        // What is given up costs a connection.
        let mut req: Socket<Req> = quick(place);
        req.connect(&endpoint).unwrap();
        let (rep, req) = (SharedSocket::new(rep), SharedSocket::new(req));
        let left = AtomicU64::new(u64::from(ASKERS));
        thread::scope(|scope| {
            for asker in 0..ASKERS {
                let (req, left) = (&req, &left);
                scope.spawn(move || {
                    for number in 0..each {
                        // Given up at any poll, it is asked again; the reply is always that to the last request.
                        let text = [numbered(asker), numbered(number)].concat();
                        let reply = (1..).find_map(|polls| poll_up_to(polls, req.request_async(&text)));
                        assert_eq!(reply.unwrap().unwrap(), text);
                    }
                    left.fetch_sub(1, Ordering::SeqCst);
                });
            }
            for answerer in 0..2 {
                let (rep, left) = (&rep, &left);
                scope.spawn(move || {
                    while left.load(Ordering::SeqCst) > 0 {
                        if answerer == 0 {
                            let _ = rep.answer_timeout(TURN, |request| request);
                        } else {
                            poll_up_to(1, rep.answer_async(|request| request));
                            thread::yield_now();
                        }
                    }
                });
            }
        });
        assert_eq!((req.hub_waiting(Side::Room), rep.hub_waiting(Side::Messages)), ((0, false), (0, false)));
    });
}

#[test]
fn shared_routers_and_streams_wait_in_tasks() {
    over(ALL, |place| {
        let (router, endpoint) = place.bound::<Router>();
        let router = SharedSocket::new(router);
        let mut dealer: Socket<Dealer> = place.connected(&endpoint);
        send(&mut dealer, "hello");
        let (name, message) = run(router.recv_async()).unwrap();
        assert_eq!(message, "hello");
        run(router.send_to_async(&name, message)).unwrap();
        assert_eq!(recv(&mut dealer), "hello");
    });
    let place = Place::new(Transport::Tcp);
    let (stream, endpoint) = place.bound::<Stream>();
    let stream = SharedSocket::new(stream);
    let mut far: Socket<Stream> = place.connected(&endpoint);
    let (there, _) = far.recv_timeout(PATIENCE).unwrap();
    let (from, news) = run(stream.recv_async()).unwrap();
    assert_eq!(news, "");
    run(stream.send_to_async(&from, "octets")).unwrap();
    assert_eq!(far.recv_timeout(PATIENCE).unwrap(), (there, "octets".into()));
}

#[test]
fn shared_futures_go_from_thread_to_thread() {
    fn is_send<T: Send>(_: &T) {}
    let place = Place::new(Transport::Inproc);
    let (push, pull) = (SharedSocket::new(place.open::<Push>()), SharedSocket::new(place.open::<Pull>()));
    let (req, rep) = (SharedSocket::new(place.open::<Req>()), SharedSocket::new(place.open::<Rep>()));
    let router = SharedSocket::new(place.open::<Router>());
    let name = RoutingId::new("name").unwrap();
    is_send(&push.send_async("borrowed"));
    is_send(&pull.recv_async());
    is_send(&router.recv_async());
    is_send(&router.send_to_async(&name, "borrowed"));
    is_send(&req.request_async("borrowed"));
    is_send(&rep.answer_async(|request| request));
}

#[test]
fn a_dropped_shared_future_has_done_nothing_and_lets_its_task_go() {
    let place = Place::new(Transport::Inproc);
    let (push, pull) = (SharedSocket::new(place.open::<Push>()), SharedSocket::new(place.open::<Pull>()));
    let drops = Drops::default();
    assert!(poll_up_to(1, push.send_async(drops.body())).is_none());
    assert_eq!((drops.count(), push.with(|push| push.outgoing().accepted())), (1, 0));
    let (first, second) = (Parked::new(), Parked::new());
    {
        let (mut watching, mut behind) = (pin!(pull.recv_async()), pin!(pull.recv_async()));
        assert!(poll_once(watching.as_mut(), &first).is_pending());
        assert!(poll_once(behind.as_mut(), &first).is_pending());
        // A task that moves is woken where it was polled last.
        assert!(poll_once(watching.as_mut(), &second).is_pending());
        assert!(poll_once(behind.as_mut(), &second).is_pending());
        assert_eq!(Arc::strong_count(&first), 1);
    }
    assert_eq!(Arc::strong_count(&second), 1);
}

#[test]
fn whoever_waits_has_one_place_in_line_and_leaves_none() {
    let place = Place::new(Transport::Inproc);
    let (push, pull) = (SharedSocket::new(place.open::<Push>()), SharedSocket::new(place.open::<Pull>()));
    let lines = || (pull.hub_waiting(Side::Messages).0, push.hub_waiting(Side::Room).0);
    let parked = Parked::new();
    let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(pull.recv_async())).collect();
    let mut sending: Vec<_> = (0..100).map(|_| Box::pin(push.send_async("to nobody"))).collect();
    for _ in 0..100 {
        waiting.iter_mut().for_each(|it| assert!(poll_once(it.as_mut(), &parked).is_pending()));
        sending.iter_mut().for_each(|it| assert!(poll_once(it.as_mut(), &parked).is_pending()));
        // Others come, and give up.
        assert!(poll_up_to(1, pull.recv_async()).is_none() && poll_up_to(1, push.send_async("")).is_none());
        assert_eq!(pull.recv_timeout(Duration::ZERO), Err(RecvError::WouldBlock));
        assert_eq!(lines(), (100, 100));
    }
    drop((waiting, sending));
    assert_eq!(lines(), (0, 0));
    assert_eq!(Arc::strong_count(&parked), 1);
}

/// A task that runs as soon as it is woken, on the thread that wakes it.
struct Hasty(SharedSocket<Pull>);

impl Wake for Hasty {
    fn wake(self: Arc<Self>) {
        assert_eq!(self.0.try_recv(), Err(RecvError::WouldBlock));
    }
}

#[test]
fn a_task_may_run_as_soon_as_it_is_woken() {
    let pull = SharedSocket::new(Place::new(Transport::Inproc).open::<Pull>());
    let waking = thread::spawn(move || {
        let parked = Parked::new();
        let mut one = Box::pin(pull.recv_async());
        assert!(poll_once(one.as_mut(), &parked).is_pending());
        let mut two = pin!(pull.recv_async());
        let hasty = Waker::from(Arc::new(Hasty(pull.clone())));
        assert!(two.as_mut().poll(&mut task::Context::from_waker(&hasty)).is_pending());
        drop(one);
    });
    eventually("nobody waits for himself", || waking.is_finished());
    waking.join().unwrap();
}

#[test]
fn a_shutdown_ends_what_shared_futures_wait_for() {
    // X-03 for tasks of shared sockets
    let context = Context::new();
    let pull = SharedSocket::new(context.open::<Pull>().unwrap());
    let push = SharedSocket::new(context.open::<Push>().unwrap());
    let req = SharedSocket::new(context.open::<Req>().unwrap());
    let rep = SharedSocket::new(context.open::<Rep>().unwrap());
    thread::scope(|scope| {
        let waiting = [(); 2].map(|()| scope.spawn(|| run(pull.recv_async())));
        let sending = scope.spawn(|| run(push.send_async("to nobody")));
        let asking = scope.spawn(|| run(req.request_async("nobody")));
        let answering = scope.spawn(|| run(rep.answer_async(|request| request)));
        eventually("they wait", || {
            let waiting = (pull.hub_waiting(Side::Messages).0, push.hub_waiting(Side::Room).0);
            (waiting, req.hub_waiting(Side::Room).0, rep.hub_waiting(Side::Messages).0) == ((2, 1), 1, 1)
        });
        context.shutdown();
        for waiting in waiting {
            assert_eq!(waiting.join().unwrap(), Err(RecvError::Terminated));
        }
        let unsent = sending.join().unwrap().unwrap_err();
        assert_eq!((unsent.error, unsent.message), (SendError::Terminated, None));
        assert!(matches!(asking.join().unwrap(), Err(RequestError::NotSent(_))));
        assert_eq!(answering.join().unwrap(), Err(RecvError::Terminated.into()));
    });
}
