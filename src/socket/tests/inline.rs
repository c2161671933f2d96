//! Tasks that run at once, on the thread that wakes them, and then call everything: no lock is held when that happens.
//!
//! each scene is a way in which a waker is called. A lock that is held is a thread that never comes back.

use std::any::Any;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, TryLockError};
use std::task::{self, Wake, Waker};

use super::*;
use crate::sync::AtomicBool;
use crate::{
    CloseReason, Connection, Dealer, Hwm, Interest, Pair, Poller, Proxy, Pub, Router, RouterNotify,
    SharedSocket, Sub, XPub, ZapDomain,
};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task, and an executor that knows nothing but to run it.
struct Inline {
    task: Mutex<Option<Task>>,
    is_woken: AtomicBool,
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        while self.is_woken.load(Ordering::SeqCst) {
            // Whoever runs it now looks again.
            let mut task = match self.task.try_lock() {
                Ok(task) => task,
                Err(TryLockError::WouldBlock) => return,
                Err(TryLockError::Poisoned(_)) => panic!("the task has panicked"),
            };
            while self.is_woken.swap(false, Ordering::SeqCst) {
                let waker = Waker::from(Arc::clone(&self));
                let mut context = task::Context::from_waker(&waker);
                if task.as_mut().is_some_and(|task| task.as_mut().poll(&mut context).is_ready()) {
                    *task = None;
                }
            }
        }
    }
}

/// Says that a task has ended, or a thread.
pub(super) struct Ends(pub(super) Sender<()>);

impl Ends {
    /// Runs a task, which has ended when it says so.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let end = self.0.clone();
        let task: Task = Box::pin(async move {
            future.await;
            end.send(()).unwrap();
        });
        Waker::from(Arc::new(Inline { task: Mutex::new(Some(task)), is_woken: AtomicBool::new(false) }))
            .wake();
    }
}

/// Calls whatever takes a lock.
fn busy(context: &Context) {
    let Ok(mut pull) = context.open::<Pull>() else { return };
    let monitor = pull.monitor();
    let name = format!("inproc://busy-{}", unique());
    pull.bind(&name).unwrap();
    let (mut push, mut sub) = (context.open::<Push>().unwrap(), context.open::<Sub>().unwrap());
    push.connect(&name).unwrap();
    push.try_send("a").unwrap();
    assert_eq!(pull.try_recv().unwrap(), "a");
    let mut publisher = context.open::<XPub>().unwrap();
    publisher.bind(format!("{name}-news")).unwrap();
    sub.connect(format!("{name}-news")).unwrap();
    sub.subscribe("a").unwrap();
    assert!(publisher.try_recv().is_ok());
    drop((pull.stats(), pull.peers(), context.stats(), monitor.try_recv()));
    pull.last_peer().unwrap().close(CloseReason::Dismissed);
    pull.bind("tcp://127.0.0.1:0").unwrap();
}

/// What is done to whom, in a context with one I/O thread. Returns how many tasks end, and what they need until then.
type Scene = fn(&Place, &Ends) -> (usize, Box<dyn Any>);

const SCENES: &[(&str, Scene)] = &[
    ("a message comes, and its peer is sent away", |place, ends| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let context = place.context.clone();
        ends.spawn(async move {
            assert_eq!(pull.recv_async().await.unwrap(), "a");
            busy(&context);
            pull.last_peer().unwrap().close(CloseReason::Dismissed);
        });
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "a");
        (1, Box::new(push))
    }),
    ("there is room", |place, ends| {
        let hwm = Hwm::messages(1);
        let mut pull: Socket<Pull> = place.builder().recv_hwm(hwm).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push: Socket<Push> = place.builder().send_hwm(hwm).open().unwrap();
        push.connect(&*endpoint).unwrap();
        let context = place.context.clone();
        ends.spawn(async move {
            for number in 0..20 {
                push.send_async(&numbered(number)).await.unwrap();
                busy(&context);
            }
            assert_eq!(push.close_async(PATIENCE).await.dropped, 0);
            busy(&context);
        });
        (0..20).for_each(|number| assert_eq!(number_of(&recv(&mut pull)), number));
        (1, Box::new(()))
    }),
    ("the context is shut down", |place, ends| {
        let open = || place.context.clone();
        let (mut pull, endpoint) = place.bound::<Pull>();
        let context = open();
        ends.spawn(async move {
            pull.recv_async().await.unwrap_err();
            busy(&context);
        });
        let (mut push, context) = (place.open::<Push>(), open());
        ends.spawn(async move {
            push.send_async("to nobody").await.unwrap_err();
            busy(&context);
        });
        let (mut publisher, context) = (place.open::<Pub>(), open());
        ends.spawn(async move {
            publisher.wait_for_subscribers_async(1).await.unwrap_err();
            drop(publisher);
            busy(&context);
        });
        let (shared, context) = (SharedSocket::new(place.connected::<Pair>(&place.address())), open());
        ends.spawn(async move {
            shared.recv_async().await.unwrap_err();
            shared.send_async("never").await.unwrap_err();
            drop(shared);
            busy(&context);
        });
        drop(endpoint);
        place.context.shutdown();
        (4, Box::new(()))
    }),
    ("connections become ready, fail, and are closed", |place, ends| {
        let (mut push, endpoint) = (place.open::<Push>(), place.address());
        let waits = |connection: Connection, is_ready: bool| {
            let context = place.context.clone();
            ends.spawn(async move {
                assert_eq!(connection.wait_ready_async().await.is_ok(), is_ready);
                busy(&context);
                connection.disconnect();
                connection.wait_ready_async().await.unwrap_err();
            });
        };
        waits(push.connect(&endpoint).unwrap(), true);
        let never = push.connect(place.address()).unwrap();
        waits(never.clone(), false);
        let mut pull = place.open::<Pull>();
        pull.bind(&endpoint).unwrap();
        never.disconnect();
        // The first one is closed by its task.
        eventually("it is", || push.try_send("a").is_err());
        (2, Box::new((push, pull)))
    }),
    ("events are told", |place, ends| {
        let mut pull = place.open::<Pull>();
        let (monitor, context) = (pull.monitor(), place.context.clone());
        ends.spawn(async move {
            while monitor.recv_async().await.is_ok() {
                busy(&context)
            }
        });
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "a");
        assert_eq!(recv(&mut pull), "a");
        drop(push);
        eventually("it has left", || pull.try_recv().is_err() && pull.peers().is_empty());
        (1, Box::new(()))
    }),
    ("events are told to a pair", |place, ends| {
        let mut pull = place.open::<Pull>();
        let name = format!("inproc://events-{}", unique());
        pull.monitor_pair(&name, 0xffff).unwrap();
        let (mut events, context) = (place.connected::<Pair>(&name.parse().unwrap()), place.context.clone());
        ends.spawn(async move {
            events.recv_async().await.unwrap();
            busy(&context);
        });
        pull.bind("tcp://127.0.0.1:0").unwrap(); // with inproc such monitors hear of nothing
        (1, Box::new(pull))
    }),
    ("topics are subscribed to", |place, ends| {
        let (mut publisher, endpoint) = place.bound::<XPub>();
        let context = place.context.clone();
        ends.spawn(async move {
            for topic in ["a", "b"] {
                let notice = publisher.recv_async().await.unwrap();
                assert_eq!(notice.body(), [b"\x01", topic.as_bytes()].concat());
                busy(&context);
                publisher.try_send(topic).unwrap();
            }
        });
        let mut sub: Socket<Sub> = place.connected(&endpoint);
        for topic in ["a", "b"] {
            sub.subscribe(topic).unwrap();
            assert_eq!(recv(&mut sub), topic);
        }
        (1, Box::new(sub))
    }),
    ("the first subscriber comes", |place, ends| {
        let (mut publisher, endpoint) = place.bound::<Pub>();
        let context = place.context.clone();
        ends.spawn(async move {
            publisher.wait_for_subscribers_async(1).await.unwrap();
            busy(&context);
            publisher.try_send("news").unwrap();
        });
        let mut sub: Socket<Sub> = place.connected(&endpoint);
        sub.subscribe("").unwrap();
        assert_eq!(recv(&mut sub), "news");
        (1, Box::new(()))
    }),
    ("peers greet, and say good-bye", |place, ends| {
        let mut router: Socket<Router> = place.builder().router_notify(RouterNotify::BOTH).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        let context = place.context.clone();
        ends.spawn(async move {
            // Here, the greeting, and gone.
            for _ in 0..3 {
                router.recv_async().await.unwrap();
                busy(&context);
                router.bind(format!("inproc://router-{}", unique())).unwrap();
            }
        });
        let mut dealer: Socket<Dealer> = place.builder().hello_msg("hello").open().unwrap();
        dealer.connect(&*endpoint).unwrap().wait_ready(PATIENCE).unwrap();
        (1, Box::new(()))
    }),
    ("a peer that was waited for is bound", |place, ends| {
        let (endpoint, context) = (place.address(), place.context.clone());
        let (mut dealer, there) = (place.connected::<Dealer>(&endpoint), endpoint.clone());
        ends.spawn(async move {
            assert_eq!(dealer.recv_async().await.unwrap(), "hello");
            busy(&context);
            dealer.disconnect(&there).unwrap();
        });
        let mut router: Socket<Router> = place.builder().hello_msg("hello").open().unwrap();
        router.bind(&endpoint).unwrap();
        (1, Box::new(router))
    }),
    ("tasks share a socket", |place, ends| {
        let (shared, endpoint) = place.bound::<Pair>();
        let shared = SharedSocket::new(shared);
        for _ in 0..2 {
            let (shared, context) = (shared.clone(), place.context.clone());
            ends.spawn(async move {
                let message = shared.recv_async().await.unwrap();
                busy(&context);
                shared.send_async(message).await.unwrap();
                drop(shared.with(|shared| shared.peers()));
            });
        }
        let mut there: Socket<Pair> = place.connected(&endpoint);
        for text in ["a", "b"] {
            send(&mut there, text);
            assert_eq!(recv(&mut there), text);
        }
        (2, Box::new(()))
    }),
    ("the sender shares its socket with its receiver's task", |place, ends| {
        let (mut there, endpoint) = place.bound::<Pair>();
        let here = SharedSocket::new(place.connected::<Pair>(&endpoint));
        let (other, context) = (here.clone(), place.context.clone());
        ends.spawn(async move {
            let message = there.recv_async().await.unwrap();
            busy(&context);
            there.send_async(message).await.unwrap();
            // The same that another thread may be in.
            assert_eq!(other.recv_async().await.unwrap(), "a");
        });
        here.send_timeout("a", PATIENCE).unwrap();
        (1, Box::new(here))
    }),
    ("the last handle of a context goes", |place, ends| {
        if place.transport == Transport::Inproc {
            return (0, Box::new(()));
        }
        let context = Context::builder().io_threads(1).build();
        let mut pull = context.open::<Pull>().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push: Socket<Push> = place.connected(&endpoint);
        ends.spawn(async move {
            assert_eq!(pull.recv_async().await.unwrap(), "a");
            drop((pull, context));
        });
        send(&mut push, "a");
        (1, Box::new(push))
    }),
    ("a context is finished", |place, ends| {
        let context = Context::builder().io_threads(1).build();
        let mut pull = context.open::<Pull>().unwrap();
        pull.bind("tcp://127.0.0.1:0").unwrap();
        let other = place.context.clone();
        ends.spawn(async move {
            context.finish_async(PATIENCE).await;
            busy(&other);
        });
        (1, Box::new(pull))
    }),
    ("a task waits with a poller", |place, ends| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let context = place.context.clone();
        ends.spawn(async move {
            for text in ["a", "b"] {
                assert_eq!(pull.recv_async().await.unwrap(), text);
                // What it has sent itself: nobody else may be there to send who does not wait for this thread.
                let (mut own, mut push) = (context.open::<Pull>().unwrap(), context.open::<Push>().unwrap());
                let name = format!("inproc://polled-{}", unique());
                own.bind(&name).unwrap();
                push.connect(&name).unwrap();
                let mut poller = Poller::new();
                poller.add(&mut pull, Interest::READABLE, 0).unwrap();
                poller.add(&mut own, Interest::READABLE, 1).unwrap();
                poller.wait(Some(Duration::ZERO)).unwrap();
                push.try_send("own").unwrap();
                // The next one may be there as well.
                assert!(poller.wait(Some(PATIENCE)).unwrap().iter().any(|event| event.key == 1));
                assert_eq!(own.try_recv().unwrap(), "own");
                busy(&context);
            }
        });
        let mut push: Socket<Push> = place.connected(&endpoint);
        for text in ["a", "b"] {
            send(&mut push, text);
        }
        (1, Box::new(push))
    }),
    ("a task waits for a descriptor", |place, ends| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let context = place.context.clone();
        ends.spawn(async move {
            assert_eq!(pull.recv_async().await.unwrap(), "a");
            let (mut own, mut push) = (context.open::<Pull>().unwrap(), context.open::<Push>().unwrap());
            let name = format!("inproc://shown-{}", unique());
            own.bind(&name).unwrap();
            push.connect(&name).unwrap();
            let shown = own.descriptor(Interest::READABLE).unwrap();
            let mut poller = Poller::new();
            poller.add_fd(&shown, Interest::READABLE, ()).unwrap();
            assert!(poller.wait(Some(Duration::ZERO)).unwrap().is_empty());
            push.try_send("own").unwrap();
            assert_eq!(poller.wait(Some(PATIENCE)).unwrap().len(), 1);
            assert_eq!(own.try_recv().unwrap(), "own");
            // The socket whose message has woken it, too, and it goes with its descriptor.
            drop(pull.descriptor(Interest::READABLE).unwrap());
            busy(&context);
        });
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "a");
        (1, Box::new(push))
    }),
    ("whoever is watched by a poller is woken beside it", |place, ends| {
        // The poller sits at the mailbox that wakes the task.
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut poller = Poller::new();
        poller.add(&mut pull, Interest::READABLE, ()).unwrap();
        let watching = thread::spawn(move || {
            poller.wait(Some(PATIENCE)).unwrap();
        });
        let context = place.context.clone();
        ends.spawn(async move {
            assert_eq!(pull.recv_async().await.unwrap(), "a");
            busy(&context);
        });
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "a");
        watching.join().unwrap();
        (1, Box::new(push))
    }),
    ("a task steers the proxy that wakes it", |place, ends| {
        let (frontend, into) = place.bound::<Pull>();
        let (backend, out) = place.bound::<Push>();
        let mut pull: Socket<Pull> = place.connected(&out);
        let mut push: Socket<Push> = place.connected(&into);
        let proxy = Proxy::new(frontend, backend).unwrap();
        let (control, context) = (proxy.control(), place.context.clone());
        ends.spawn(async move {
            for number in 0..10 {
                assert_eq!(number_of(&pull.recv_async().await.unwrap()), number);
                control.pause();
                assert!(control.statistics().to_backend.messages <= 10);
                busy(&context);
                control.resume();
            }
            control.pause();
            control.terminate();
        });
        let running = thread::spawn(move || proxy.run());
        (0..10).for_each(|number| send(&mut push, &numbered(number)));
        let end = running.join().unwrap();
        assert_eq!((end.statistics.to_backend.messages, end.was_shut_down), (10, false));
        (1, Box::new(push))
    }),
    ("a ZAP handler is asked", |place, ends| {
        if place.transport == Transport::Inproc {
            return (0, Box::new(()));
        }
        let (mut handler, context) = (place.open::<Router>(), place.context.clone());
        handler.bind("inproc://zeromq.zap.01").unwrap();
        ends.spawn(async move {
            let (from, request) = handler.recv_async().await.unwrap();
            busy(&context);
            let mut reply = Message::from("");
            for frame in [&b"1.0"[..], request.frame(2).unwrap(), b"200", b"", b"alice", b""] {
                reply.push(frame);
            }
            handler.send_to(&from, reply).unwrap();
        });
        let domain = ZapDomain::new("global").unwrap();
        let mut pull: Socket<Pull> = place.builder().zap_domain(domain).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "a");
        assert_eq!(recv(&mut pull), "a");
        (1, Box::new(()))
    }),
];

#[test]
fn a_task_that_runs_at_once_may_call_everything() {
    over(ALL, |place| {
        for (name, scene) in SCENES {
            let transport = place.transport;
            let (tell, told) = channel();
            thread::spawn(move || {
                let place = Place::in_context(transport, Context::builder().io_threads(1).build());
                let (end, ended) = channel();
                let (tasks, kept) = scene(&place, &Ends(end));
                for _ in 0..tasks {
                    ended.recv_timeout(PATIENCE).expect("the task ends");
                }
                drop(kept);
                // The I/O thread lives, and serves others, unless the context was shut down.
                if let Ok(mut pull) = place.builder::<Pull>().open() {
                    let endpoint = pull.bind(place.address()).unwrap();
                    let mut push = place.open::<Push>();
                    push.connect(&*endpoint).unwrap();
                    send(&mut push, "alive");
                    assert_eq!(recv(&mut pull), "alive");
                }
                tell.send(()).unwrap();
            });
            told.recv_timeout(2 * PATIENCE).unwrap_or_else(|_| panic!("{name}: a thread waits for ever"));
        }
    });
}
