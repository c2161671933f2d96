//! Signals: whose threads run the handlers, and what becomes of calls that wait. Each test in a process of its own.

use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::Signal;

use super::*;
use crate::socket::shared::Side;
use crate::sync::AtomicBool;
use crate::{
    Dealer, Interest, NotReadyKind, NotSubscribed, Pair, PollError, PollItem, Poller, Pub, RecvError, Rep,
    Req, RequestError, Router, SharedSocket, Sub, SubscribersError, poll,
};

/// Has SIGUSR1 run a handler, which the C library does again and again.
fn handle_signals() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).map(drop).unwrap();
    });
}

/// What `call` returns while this thread gets a signal every millisecond; they end should that take too long.
fn in_a_storm<T>(what: &str, call: impl FnOnce() -> T) -> T {
    let me: Pthread = pthread_self();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let storm = scope.spawn(|| {
            let end = Instant::now() + PATIENCE;
            while !is_over.load(Ordering::Relaxed) && Instant::now() < end {
                pthread_kill(me, Signal::SIGUSR1).unwrap();
                thread::sleep(TURN); // the storm's own pace
            }
            is_over.load(Ordering::Relaxed)
        });
        let result = call();
        is_over.store(true, Ordering::Relaxed);
        assert!(storm.join().unwrap(), "{what} ends only with the storm");
        result
    })
}

/// A DEALER whose thread is in step with a ROUTER, so that it waits in reads.
fn in_step(context: &Context) -> (Socket<Dealer>, Socket<Router>) {
    let mut router = context.open::<Router>().unwrap();
    let endpoint = router.bind("tcp://127.0.0.1:0").unwrap().endpoint().clone();
    let mut dealer = context.open::<Dealer>().unwrap();
    dealer.connect(&endpoint).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..500 {
                let (from, message) = router.recv_timeout(PATIENCE).unwrap();
                router.send_to(&from, message).unwrap();
            }
        });
        for _ in 0..500 {
            send(&mut dealer, "ping");
            recv(&mut dealer);
        }
    });
    (dealer, router)
}

/// What the kernel says of a thread of this process.
#[cfg(target_os = "linux")]
fn blocked(task: &std::path::Path) -> u64 {
    let status = std::fs::read_to_string(task.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn threads_of_the_library_block_signals_and_no_others_do() {
    alone("signals::threads_of_the_library_block_signals_and_no_others_do", || {
        let before = blocked("/proc/thread-self".as_ref());
        let context = Context::builder().io_threads(2).build();
        let zap = context.builder_for::<Pull>().zap_domain(crate::ZapDomain::new("global").unwrap()).open();
        let mut sockets = [(); 4].map(|()| context.open::<Pull>().unwrap());
        for socket in &mut sockets {
            socket.bind("tcp://127.0.0.1:0").unwrap();
        }
        eventually("each has its name", || {
            let mut ours = 0;
            for task in std::fs::read_dir("/proc/self/task").unwrap() {
                let task = task.unwrap().path();
                let name = std::fs::read_to_string(task.join("comm")).unwrap();
                if !name.starts_with("peermq-io") && !name.starts_with("peermq zap") {
                    continue;
                }
                ours += 1;
                let blocked = blocked(&task);
                let blocks = |signal: Signal| blocked & 1 << (signal as u32 - 1) != 0;
                for signal in
                    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGALRM, Signal::SIGCHLD]
                {
                    assert!(blocks(signal), "{name} runs handlers of {signal}");
                }
                for signal in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGABRT, Signal::SIGPROF] {
                    assert!(!blocks(signal), "{name} dies of {signal} without its handler");
                }
            }
            ours >= 3
        });
        assert_eq!(blocked("/proc/thread-self".as_ref()), before);
        drop(zap);
    });
}

#[test]
fn a_call_goes_on_after_a_signal_and_keeps_its_deadline() {
    alone("signals::a_call_goes_on_after_a_signal_and_keeps_its_deadline", || {
        handle_signals();
        let context = Context::new();
        let (mut dealer, mut router) = in_step(&context);
        for _ in 0..3 {
            let received = in_a_storm("a receive", || dealer.recv_timeout(STALL / 2));
            assert_eq!(received, Err(RecvError::WouldBlock));
        }
        send(&mut dealer, "ping");
        let (from, _) = router.recv_timeout(PATIENCE).unwrap();
        in_a_storm("a receive", || {
            thread::scope(|scope| {
                scope.spawn(|| router.send_to(&from, "pong").unwrap());
                assert_eq!(recv(&mut dealer), "pong");
            });
        });
        in_a_storm("a receive", || {
            thread::scope(|scope| {
                scope.spawn(|| context.shutdown());
                assert_eq!(dealer.recv(), Err(RecvError::Terminated));
            });
        });
    });
}

#[test]
fn a_signal_ends_calls_of_a_context_that_wants_it() {
    alone("signals::a_signal_ends_calls_of_a_context_that_wants_it", || {
        handle_signals();
        let context = Context::builder().interruptible(true).build();
        let (mut dealer, _router) = in_step(&context);
        assert_eq!(in_a_storm("a receive in step", || dealer.recv()), Err(RecvError::Interrupted));
        let timed = in_a_storm("a receive", || dealer.recv_timeout(2 * PATIENCE));
        assert_eq!(timed, Err(RecvError::Interrupted));
        // Without a connection.
        let mut pull = context.open::<Pull>().unwrap();
        assert_eq!(in_a_storm("a receive", || pull.recv()), Err(RecvError::Interrupted));
        let mut push = context.open::<Push>().unwrap();
        let unsent = in_a_storm("a send", || push.send(Message::from("kept"))).unwrap_err();
        assert_eq!((unsent.error, unsent.message), (SendError::Interrupted, Some("kept".into())));
        let mut publisher = context.open::<Pub>().unwrap();
        let waited = in_a_storm("a wait", || publisher.wait_for_subscribers(1, 2 * PATIENCE));
        assert_eq!(waited, Err(SubscribersError::Interrupted));
        let mut poller = Poller::new();
        poller.add(&mut pull, Interest::READABLE, ()).unwrap();
        assert_eq!(in_a_storm("a poll", || poller.wait(None).map(<[_]>::len)), Err(PollError::Interrupted));
        let (descriptor, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        poller.add_fd(&descriptor, Interest::READABLE, ()).unwrap();
        assert_eq!(in_a_storm("a poll", || poller.wait(None).map(<[_]>::len)), Err(PollError::Interrupted));
        let mut items = [PollItem::new(&mut pull, Interest::READABLE)];
        assert_eq!(in_a_storm("a poll", || poll(&mut items, None)), Err(PollError::Interrupted));
        // And the next call works.
        let mut other = context.open::<Push>().unwrap();
        other.connect(pull.bind("inproc://signals").unwrap().endpoint()).unwrap();
        send(&mut other, "a message");
        assert_eq!(recv(&mut pull), "a message");
    });
}

#[test]
fn a_signal_ends_waits_for_connections_subscriptions_and_events() {
    alone("signals::a_signal_ends_waits_for_connections_subscriptions_and_events", || {
        handle_signals();
        let context = Context::builder().interruptible(true).build();
        let mut subscriber = context.open::<Sub>().unwrap();
        for endpoint in ["inproc://nobody", "tcp://127.0.0.1:9"] {
            let connection = subscriber.connect(endpoint).unwrap();
            let ready = in_a_storm("a wait for a connection", || connection.wait_ready(2 * PATIENCE));
            let ready = ready.map_err(|error| error.kind());
            assert_eq!(ready, Err(NotReadyKind::Interrupted), "{endpoint}");
        }
        let subscribed = in_a_storm("a wait for subscriptions", || subscriber.wait_subscribed(2 * PATIENCE));
        assert_eq!(subscribed, Err(NotSubscribed::Interrupted));
        let mut pair = context.open::<Pair>().unwrap();
        let monitor = pair.monitor();
        let heard = || monitor.recv().map(|event| event.kind.name());
        assert_eq!(in_a_storm("a wait for an event", heard), Err(RecvError::Interrupted));
        let heard = || monitor.recv_timeout(2 * PATIENCE).map(|event| event.kind.name());
        assert_eq!(in_a_storm("a wait for an event", heard), Err(RecvError::Interrupted));
        // An iterator would be over.
        let next = in_a_storm("the next event", || {
            thread::scope(|scope| {
                scope.spawn(|| pair.bind("inproc://somebody").unwrap());
                (&monitor).next().map(|event| event.kind.name())
            })
        });
        assert_eq!(next, Some("listening"));
    });
}

#[test]
fn a_signal_ends_calls_on_a_shared_socket_whoever_watches_it() {
    alone("signals::a_signal_ends_calls_on_a_shared_socket_whoever_watches_it", || {
        handle_signals();
        let context = Context::builder().interruptible(true).build();
        let pair = SharedSocket::new(context.open::<Pair>().unwrap());
        let (req, rep) = (context.open::<Req>().unwrap(), context.open::<Rep>().unwrap());
        let (req, rep) = (SharedSocket::new(req), SharedSocket::new(rep));
        let receives = || pair.recv_timeout(2 * PATIENCE);
        let sent = || pair.send_timeout(Message::from("kept"), 2 * PATIENCE);
        let sends = || sent().map_err(|unsent| (unsent.error, unsent.message));
        let kept = || Err((SendError::Interrupted, Some(Message::from("kept"))));
        assert_eq!(in_a_storm("a receive", receives), Err(RecvError::Interrupted));
        assert_eq!(in_a_storm("a send", sends), kept());
        let answered = in_a_storm("an answer", || rep.answer(|request| request));
        assert_eq!(answered, Err(RecvError::Interrupted.into()));
        let asked = in_a_storm("a request", || req.request("nobody"));
        assert!(
            matches!(asked, Err(RequestError::NotSent(unsent)) if unsent.error == SendError::Interrupted)
        );
        // Behind another thread, which gets no signal, and sleeps in the socket.
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(pair.recv_timeout(PATIENCE).unwrap(), "for the first"));
            eventually("it waits", || pair.hub_waiting(Side::Messages) == (1, true));
            assert_eq!(in_a_storm("a receive", receives), Err(RecvError::Interrupted));
            assert_eq!(in_a_storm("a send", sends), kept());
            assert_eq!(pair.hub_waiting(Side::Messages), (1, true));
            let mut other = context.open::<Pair>().unwrap();
            other.connect(pair.with(|pair| pair.bind("inproc://shared")).unwrap().endpoint()).unwrap();
            send(&mut other, "for the first");
            eventually("it has it", || pair.hub_waiting(Side::Messages) == (0, false));
        });
    });
}
