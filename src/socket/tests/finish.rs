//! The end of a context: what is waited for, how long, and who is told.

use std::io::{Read, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::ends::{Raw, TCP_AND_IPC, last_words, listen, system_address};
use super::tasks::run;
use super::*;
use crate::io::Finish;
use crate::limits::{DROP_LINGER, LEAVE_LOOK};
use crate::{CloseReport, ConnectionState, FinishReport, Pair, Pub, RecvError, Router, Stream, Sub, Timeout};

/// A sender in a context of its own that is connected to where nobody is, with ten messages.
fn unsent(place: &Place) -> (Context, Socket<Push>, Endpoint) {
    unsent_in(Context::new(), place)
}

fn unsent_in(context: Context, place: &Place) -> (Context, Socket<Push>, Endpoint) {
    let endpoint = place.address();
    let mut push: Socket<Push> = context.open().unwrap();
    let connection = push.connect(&endpoint).unwrap();
    for number in 0..10 {
        push.send(&numbered(number)).unwrap();
    }
    eventually("nobody is there", || connection.state() == ConnectionState::Waiting);
    (context, push, endpoint)
}

fn undelivered(report: &FinishReport) -> Vec<(String, u64)> {
    report.undelivered.iter().map(|it| (it.endpoint.to_string(), it.messages)).collect()
}

#[test]
fn finish_flushes_what_open_sockets_have_queued() {
    // L-05: sockets need not be dropped, as those in a `static` are not.
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let context = Context::new();
        let mut push: Socket<Push> = context.open().unwrap();
        push.connect(&endpoint).unwrap();
        for number in 0..500 {
            push.send(&numbered(number)).unwrap();
        }
        let before = push.stats().total.outgoing.handed_over;
        let report = context.finish(Timeout::Never);
        let flushed = push.stats().total.outgoing.handed_over - before;
        assert!(report.flushed <= flushed, "some may have gone since `before`, and before the call");
        assert_eq!((report.dropped, undelivered(&report)), (0, Vec::new()));
        assert_eq!(report.unconfirmed, 0, "the peer has everything");
        for number in 0..500 {
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
        assert_eq!(push.try_send("late").unwrap_err().error, SendError::Terminated);
    });
}

#[test]
fn finish_waits_for_ever_if_it_is_told_to() {
    // the peer comes only when the call waits.
    over(WIRES, |place| {
        let (context, push, endpoint) = unsent(place);
        // Not in a scope: should nobody come, it is not waited for.
        let finish = thread::spawn(move || context.finish(Timeout::Never));
        let mut pull: Socket<Pull> = place.open();
        pull.bind(&endpoint).unwrap();
        for number in 0..10 {
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
        let report = finish.join().unwrap();
        assert_eq!((report.flushed, report.dropped), (10, 0));
        drop(push);
    });
}

#[test]
fn finish_tells_what_was_dropped_and_for_whom() {
    over(WIRES, |place| {
        for is_open in [true, false] {
            let (context, mut push, endpoint) = unsent(place);
            let other = place.address();
            push.connect(&other).unwrap();
            push.send("the eleventh").unwrap();
            push.send("the twelfth").unwrap();
            let kept = is_open.then_some(push);
            let report = context.finish(Duration::from_millis(20));
            assert_eq!((report.flushed, report.dropped), (0, 12), "open: {is_open}");
            let mut told = undelivered(&report);
            told.sort_by_key(|(_, messages)| std::cmp::Reverse(*messages));
            assert_eq!(told.iter().map(|(_, messages)| messages).sum::<u64>(), 12);
            assert!(
                told.iter().all(|(to, _)| *to == endpoint.to_string() || *to == other.to_string()),
                "{told:?}"
            );
            assert_eq!(context.finish(Timeout::Never), FinishReport::default(), "once is enough");
            drop((kept, context));
        }
    });
}

#[test]
fn finish_counts_peers_that_may_not_have_read_what_the_kernel_has() {
    over(TCP_AND_IPC, |place| {
        for is_open in [true, false] {
            for stays in [true, false] {
                let context = Context::new();
                let mut push: Socket<Push> = context.open().unwrap();
                let endpoint = push.bind(place.address()).unwrap().into();
                let mut peer = Raw::connect(&endpoint, "PULL");
                send(&mut push, "seven");
                eventually("the kernel has it", || push.stats().total.outgoing.handed_over == 1);
                let kept = is_open.then_some(push);
                let _ = context.stats(); // lets go of what is over
                let report = thread::scope(|scope| {
                    if stays {
                        return context.finish(STALL);
                    }
                    let finish = scope.spawn(|| context.finish(PATIENCE));
                    peer.hear_to_the_end();
                    peer.0.shutdown(std::net::Shutdown::Both).unwrap();
                    finish.join().unwrap()
                });
                let case = format!("open: {is_open}, stays: {stays}");
                assert_eq!((report.flushed, report.dropped), (0, 0), "{case}");
                assert_eq!(report.unconfirmed, u64::from(stays), "{case}");
                drop(kept);
            }
        }
    });
}

#[test]
fn finish_counts_what_was_not_received() {
    over(WIRES, |place| {
        let context = Context::new();
        let mut pull: Socket<Pull> = context.open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push: Socket<Push> = place.connected(&endpoint);
        for number in 0..10 {
            send(&mut push, &numbered(number));
        }
        assert_eq!(number_of(&recv(&mut pull)), 0);
        eventually("they are here", || pull.stats().peers.iter().map(|peer| peer.waiting).sum::<u64>() == 9);
        assert_eq!(context.finish(Timeout::Never).unreceived, 9);
        assert_eq!(pull.recv(), Err(RecvError::Terminated));
    });
}

#[test]
fn finish_does_not_wait_for_room_that_nobody_makes() {
    // Peers that have closed their half, or go on, in front of a full queue; and one that asks, and reads no answers.
    let message = [[0, 5].as_slice(), &[7; 5]].concat();
    let question = b"\x04\x17\x04PING\0\0sixteen octets..".to_vec();
    over(TCP_AND_IPC, |place| {
        for (said, closes_half) in [(&message, true), (&message, false), (&question, false)] {
            let context = Context::new();
            let mut pull = context.builder_for::<Pull>().recv_hwm(10_u32).open().unwrap();
            let endpoint = pull.bind(place.address()).unwrap().into();
            let mut peer = Raw::connect(&endpoint, "PUSH");
            let much = said.repeat(100_000);
            peer.0.set_write_timeout(Some(STALL)).unwrap();
            while peer.0.write(&much).is_ok_and(|written| written == much.len()) {}
            if closes_half {
                peer.0.shutdown(std::net::Shutdown::Write).unwrap();
            }
            let (sender, receiver) = std::sync::mpsc::channel();
            thread::spawn(move || sender.send(context.finish(Timeout::Never)).unwrap());
            let report = receiver.recv_timeout(PATIENCE).expect("it ends");
            assert_eq!(report.unreceived >= 10, *said == message, "{report:?}");
            assert_eq!(pull.recv(), Err(RecvError::Terminated));
        }
    });
}

#[test]
fn finish_and_close_count_peers_that_went_and_have_not_read_everything() {
    over(TCP_AND_IPC, |place| {
        for exit in ["close", "drop", "drop, and a look", "finish"] {
            let context = Context::new();
            let mut pair = context.builder_for::<Pair>().recv_hwm(1_u32).open().unwrap();
            let endpoint = pair.bind(place.address()).unwrap().into();
            let mut peer = Raw::connect(&endpoint, "PAIR");
            for _ in 0..40 {
                send(&mut pair, &[7; 100]);
                peer.say(&[[0, 100].as_slice(), &[7; 100]].concat());
            }
            eventually("the kernel has all", || pair.outgoing().queued == 0);
            peer.say(&last_words(3));
            peer.0.shutdown(std::net::Shutdown::Write).unwrap();
            eventually("it has closed its half", || {
                pair.core.pipes.iter().any(|pipe| pipe.outstanding().is_consumer_gone())
            });
            let report = if exit == "close" {
                Err(pair.close(PATIENCE))
            } else {
                let _open = (exit == "finish").then_some(pair);
                if exit.ends_with("look") {
                    peer.hear_to_the_end();
                    let _ = context.stats(); // lets go of what is over
                }
                Ok(context.finish(PATIENCE))
            };
            let (dropped, unconfirmed) = match report {
                Err(report) => (report.dropped, report.unconfirmed),
                Ok(report) => (report.dropped, report.unconfirmed),
            };
            assert_eq!((dropped, unconfirmed), (0, 1), "{exit}");
        }
    });
}

#[test]
fn finish_counts_peers_that_have_gone_without_all_and_that_no_call_has_heard_of() {
    over(TCP_AND_IPC, |place| {
        let context = Context::new();
        let mut push = context.open::<Push>().unwrap();
        let endpoint = push.bind(place.address()).unwrap();
        let mut pull: Socket<Pull> = place.builder().recv_hwm(1).open().unwrap();
        pull.connect(endpoint.endpoint()).unwrap();
        (0..40).for_each(|number| send(&mut push, &numbered(number)));
        eventually("the kernel has all", || push.outgoing().queued == 0);
        let _ = recv(&mut pull);
        pull.close(PATIENCE);
        let is_over = |pipe: &crate::pipe::Pipe| {
            pipe.outstanding().is_consumer_gone() && pipe.inbound.is_producer_gone()
        };
        eventually("its connection is over", || push.core.pipes.iter().any(is_over));
        let report = context.finish(PATIENCE);
        assert_eq!((report.dropped, report.unconfirmed), (0, 1), "{report:?}");
        drop(push);
    });
}

#[test]
fn finish_counts_what_came_from_peers_that_no_call_has_looked_at() {
    over(TCP_AND_IPC, |place| {
        for (conflates, left) in [(false, 5), (true, 1)] {
            for exit in 0..4 {
                let context = Context::new();
                let mut pull = context.builder_for::<Pull>().conflate(conflates).open().unwrap();
                let endpoint = pull.bind(place.address()).unwrap();
                let mut push: Socket<Push> = place.open();
                push.connect(endpoint.endpoint()).unwrap();
                (0..5).for_each(|number| send(&mut push, &numbered(number)));
                let CloseReport { dropped, unconfirmed, .. } = push.close(PATIENCE);
                assert_eq!((dropped, unconfirmed), (0, 0));
                let unreceived = match exit {
                    0 => context.finish(PATIENCE).unreceived,
                    1 => run(context.finish_async(PATIENCE)).unreceived,
                    2 => {
                        context.shutdown();
                        context.finish(PATIENCE).unreceived
                    }
                    _ => pull.close(PATIENCE).unreceived,
                };
                assert_eq!(unreceived, left, "{exit}");
            }
        }
    });
}

#[test]
fn without_an_end_a_peer_that_has_everything_and_stays_is_waited_for_until_the_next_look() {
    // And no longer: this takes one look, which is seconds.
    over(&[Transport::Ipc, Transport::Tcp], |place| {
        let context = Context::new();
        let mut pair: Socket<Pair> = context.open().unwrap();
        let endpoint = pair.bind(place.address()).unwrap().into();
        let mut peer = Raw::connect(&endpoint, "PAIR");
        send(&mut pair, "all there is");
        assert_eq!(peer.frame(), b"all there is");
        let begun = Instant::now();
        let report = context.finish(Timeout::Never);
        assert!(begun.elapsed() >= LEAVE_LOOK);
        assert_eq!((report.dropped, report.unconfirmed), (0, 1), "{report:?}");
    });
}

#[test]
fn finish_ends_with_every_kind_of_socket_open() {
    // Nothing is queued: nothing is waited for, in whatever state the connections are.
    over(WIRES, |place| {
        let context = Context::new();
        let mut publisher: Socket<Pub> = context.open().unwrap();
        let at = publisher.bind(place.address()).unwrap();
        let mut subscriber: Socket<Sub> = context.open().unwrap();
        subscriber.subscribe("a").unwrap();
        subscriber.connect(&at).unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        let mut router: Socket<Router> = context.open().unwrap();
        router.connect(place.address()).unwrap();
        let mut stream: Socket<Stream> = context.open().unwrap();
        let listens = stream.bind("tcp://127.0.0.1:0").unwrap();
        let address = listens.to_string();
        let mut silent = std::net::TcpStream::connect(address.trim_start_matches("tcp://")).unwrap();
        let (_, greeting) = stream.recv().unwrap();
        assert!(greeting.body().is_empty());
        let mut shy: Socket<Push> = context.open().unwrap();
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        shy.connect(Endpoint::tcp(mute.local_addr().unwrap())).unwrap();
        let (_open, _) = mute.accept().unwrap();
        let report = context.finish(Timeout::Never);
        assert_eq!((report.dropped, undelivered(&report)), (0, Vec::new()));
        assert_eq!(silent.read(&mut [0]).unwrap(), 0, "the peer sees the end");
    });
}

#[test]
fn finish_in_a_task_is_the_same_and_can_be_left_alone() {
    over(WIRES, |place| {
        let (context, push, _) = unsent(place);
        let report = run(context.finish_async(Duration::from_millis(20)));
        assert_eq!((report.flushed, report.dropped), (0, 10));
        drop((push, context));
        // Dropped after its first poll.
        let (mut pull, endpoint) = place.bound::<Pull>();
        let context = Context::new();
        let mut push: Socket<Push> = context.open().unwrap();
        push.connect(&endpoint).unwrap();
        push.send("it goes on").unwrap();
        let mut future = Box::pin(context.finish_async(Timeout::Never));
        let waker = std::task::Waker::noop();
        let _ = future.as_mut().poll(&mut std::task::Context::from_waker(waker));
        drop(future);
        assert_eq!(recv(&mut pull), "it goes on");
    });
}

/// Whether the context ends long before what lingers would have been given up.
fn ends_soon(context: Context) {
    let weak = Arc::downgrade(&context.inner);
    let begun = Instant::now();
    drop(context);
    assert!(weak.upgrade().is_none());
    assert!(begun.elapsed() < DROP_LINGER / 2, "it has waited for {:?}", begun.elapsed());
}

#[test]
fn after_a_shutdown_nobody_is_waited_for_who_is_not_there() {
    over(WIRES, |place| {
        let (context, push, _) = unsent(place);
        context.shutdown();
        drop(push);
        ends_soon(context);
        // Nor for one who is there and does not read.
        let (_pull, endpoint) = place.bound::<Pull>();
        let context = Context::new();
        let mut push: Socket<Push> = context.open().unwrap();
        push.connect(&endpoint).unwrap();
        fill(&mut push, &Message::from(vec![1; LARGE]));
        context.shutdown();
        drop(push);
        ends_soon(context);
    });
}

#[test]
fn in_a_hurry_nobody_is_tried_again_who_cannot_be_reached() {
    // With pauses that never end, and no time at which all is given up.
    over(TCP_AND_IPC, |place| {
        let sender = |endpoint: &Endpoint| {
            let context = Context::new();
            let builder = context.builder_for::<Push>().reconnect_interval(Duration::MAX);
            let mut push = builder.linger(Linger::DISCARD).open().unwrap();
            let connection = push.connect(endpoint).unwrap();
            push.send("to nobody").unwrap();
            (context, push, connection)
        };
        let hurry = |context: &Context| context.inner.pool.finish(Finish { by: None, is_hurried: true });
        let ends = |context: &Context, what: &str| {
            let deadline = Instant::now() + PATIENCE;
            assert!(context.inner.pool.wait(Some(deadline)), "over {:?} it {what}", place.transport);
        };
        let (context, _push, connection) = sender(&place.address());
        eventually("nobody is there", || connection.state() == ConnectionState::Waiting);
        hurry(&context);
        ends(&context, "waits for its pause");

        let endpoint = place.address();
        let listener = listen(&endpoint);
        let (context, push, _) = sender(&endpoint);
        let peer = listener.accept().unwrap();
        hurry(&context);
        eventually("the connection knows", || !push.core.pipes.stopped().is_empty());
        drop((peer, listener));
        ends(&context, "pauses");
    });
}

#[test]
fn who_has_connected_and_says_nothing_is_not_waited_for() {
    over(TCP_AND_IPC, |place| {
        let context = Context::new();
        let mut pull = context.builder_for::<Pull>().handshake_interval(Duration::ZERO).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap().into();
        let (domain, address) = system_address(&endpoint);
        let silent = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
        silent.set_read_timeout(Some(PATIENCE)).unwrap();
        silent.connect(&address).unwrap();
        // It was accepted when it is greeted.
        (&silent).read_exact(&mut [0; 10]).unwrap();
        context.inner.pool.finish(Finish { by: None, is_hurried: false });
        let deadline = Instant::now() + PATIENCE;
        assert!(context.inner.pool.wait(Some(deadline)), "over {:?}", place.transport);
        drop((silent, pull));
    });
}

#[test]
fn a_panic_is_not_held_up() {
    over(WIRES, |place| {
        for builder in [Context::builder(), Context::builder().linger(2 * DROP_LINGER)] {
            let begun = Instant::now();
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let (_context, _push, _) = unsent_in(builder.build(), place);
                std::panic::resume_unwind(Box::new("something else is wrong"));
            }));
            assert!(panicked.is_err());
            assert!(begun.elapsed() < DROP_LINGER / 2, "it has waited for {:?}", begun.elapsed());
        }
    });
}

#[test]
fn what_a_peer_takes_is_sent_also_when_a_thread_panics() {
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let context = Context::new();
            let mut push: Socket<Push> = context.open().unwrap();
            push.connect(&endpoint).unwrap();
            push.send("last words").unwrap();
            std::panic::resume_unwind(Box::new("something else is wrong"));
        }));
        assert!(panicked.is_err());
        assert_eq!(recv(&mut pull), "last words");
    });
}

#[test]
fn the_builder_says_how_long_a_drop_waits_also_behind_a_shutdown() {
    over(WIRES, |place| {
        for is_shut_down in [false, true] {
            let linger = Duration::from_millis(100);
            let context = Context::builder().linger(linger).build();
            let mut push: Socket<Push> = context.open().unwrap();
            push.connect(place.address()).unwrap();
            push.send("to nobody").unwrap();
            if is_shut_down {
                context.shutdown();
            }
            drop(push);
            let begun = Instant::now();
            drop(context);
            assert!(begun.elapsed() >= linger, "shut down: {is_shut_down}");
            assert!(begun.elapsed() < DROP_LINGER / 2);
        }
    });
}

#[test]
fn a_drop_that_waits_tells_for_what_and_what_was_lost() {
    let said = alone_and_said("finish::a_drop_that_waits_tells_for_what_and_what_was_lost", || {
        let context = Context::builder().linger(Duration::from_millis(1500)).build();
        let mut push: Socket<Push> = context.open().unwrap();
        push.connect("tcp://127.0.0.1:9").unwrap();
        push.send("nobody is there").unwrap();
        drop((push, context));
    });
    let Some(said) = said else { return };
    // For what, for how much longer than the second that is over, and how to change that; and then when it was given up.
    let waits = "peermq: a context that was dropped waits until what is queued (1) for tcp://127.0.0.1:9 is sent: \
        500ms at most; see ContextBuilder::linger";
    assert!(said.contains(waits), "{said}");
    let lost = "what is queued (1) for tcp://127.0.0.1:9 was dropped with the context, ";
    let (_, after) = said.split_once(lost).unwrap_or_else(|| unreachable!("{said}"));
    let (seconds, _) = after.split_once("s after its end began").unwrap();
    assert!(seconds.parse::<f64>().unwrap() >= 1.5, "{said}");
}

#[test]
fn a_program_that_ends_with_its_sockets_open_sends_what_it_can_and_tells_of_the_rest() {
    static CONTEXT: std::sync::LazyLock<Context> = std::sync::LazyLock::new(Context::new);
    static OPEN: std::sync::Mutex<Vec<Socket<Push>>> = std::sync::Mutex::new(Vec::new());
    const AT: &str = "PEERMQ_TEST_AT";
    let name = "finish::a_program_that_ends_with_its_sockets_open_sends_what_it_can_and_tells_of_the_rest";
    let place = Place::new(Transport::Tcp);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let said = alone_with(name, (AT, &endpoint.to_string()), || {
        for at in [std::env::var(AT).unwrap().as_str(), "tcp://127.0.0.1:9"] {
            let mut push: Socket<Push> = CONTEXT.open().unwrap();
            push.connect(at).unwrap();
            push.send("sent at the end of main").unwrap();
            OPEN.lock().unwrap().push(push);
        }
    });
    let Some(said) = said else { return };
    assert_eq!(recv(&mut pull), "sent at the end of main");
    let lost = "peermq: what is queued (1) for tcp://127.0.0.1:9 was lost with the program";
    assert!(said.contains(lost), "{said}");
}
