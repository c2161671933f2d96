//! Shutdown, and dropping everything in any order.

use std::sync::mpsc;

use super::ledger::count;
use super::promises::spread;
use super::*;
use crate::context::{end_with_program, remembered};
use crate::{BindErrorKind, ConnectErrorKind, OpenError, Pair, RecvError, SendError};

#[test]
fn shutdown_ends_calls_that_wait_in_other_threads() {
    // Promise 11, X-31
    let rounds = count(200, 1000);
    over(ALL, |place| {
        let mut ended = Vec::new();
        for _ in 0..rounds {
            let place = Place::new(place.transport);
            let (mut pull, _) = place.bound::<Pull>();
            let mut push: Socket<Push> = place.open();
            let mut pair: Socket<Pair> = place.builder().send_hwm(1).open().unwrap();
            pair.connect(place.address()).unwrap();
            pair.try_send("fills the queue").unwrap();
            let (ready, are_ready) = mpsc::channel();
            let start = thread::scope(|scope| {
                let start = ready.clone();
                scope.spawn(move || {
                    start.send(()).unwrap();
                    assert_eq!(pull.recv(), Err(RecvError::Terminated));
                });
                let start = ready.clone();
                scope.spawn(move || {
                    start.send(()).unwrap();
                    let unsent = push.send(["handed", "back"]).unwrap_err();
                    assert_eq!(unsent.error, SendError::Terminated);
                    assert_eq!(unsent.message, Some(["handed", "back"].into()));
                });
                scope.spawn(move || {
                    ready.send(()).unwrap();
                    assert_eq!(pair.send("full").unwrap_err().error, SendError::Terminated);
                    assert_eq!(pair.recv(), Err(RecvError::Terminated));
                });
                for () in are_ready.iter().take(3) {}
                let start = Instant::now();
                place.context.shutdown();
                start
            });
            ended.push(start.elapsed());
        }
        println!(
            "promise 11 {:?}: {rounds} times 4 calls, the last ends after {}",
            place.transport,
            spread(ended)
        );
    });
}

#[test]
fn a_context_without_io_threads_has_inproc_only() {
    over(WIRES, |place| {
        let place = Place::in_context(place.transport, Context::builder().io_threads(0).build());
        let (mut pull, mut push): (Socket<Pull>, Socket<Push>) = (place.open(), place.open());
        let endpoint = place.address();
        assert_eq!(pull.bind(&endpoint).unwrap_err().kind(), BindErrorKind::NoIoThreads);
        assert_eq!(push.connect(&endpoint).unwrap_err().kind(), ConnectErrorKind::NoIoThreads);
        pull.bind("inproc://without-threads").unwrap();
        push.connect("inproc://without-threads").unwrap();
        send(&mut push, "hello");
        assert_eq!(recv(&mut pull), "hello");
        drop((pull, push));
        assert_eq!(place.context.finish(PATIENCE).dropped, 0);
    });
}

#[test]
fn after_a_shutdown_nothing_begins() {
    //
    over(ALL, |place| {
        let (mut ours, endpoint) = place.bound::<Pair>();
        let mut theirs: Socket<Pair> = place.connected(&endpoint);
        send(&mut theirs, "before");
        assert_eq!(recv(&mut ours), "before");
        let mut fresh: Socket<Pair> = place.open();
        place.context.clone().shutdown();
        assert_eq!(place.context.open::<Pull>().unwrap_err(), OpenError::Terminated);
        assert_eq!(fresh.bind(place.address()).map_err(|error| error.kind()), Err(BindErrorKind::Terminated));
        assert_eq!(fresh.connect(&endpoint).map_err(|error| error.kind()), Err(ConnectErrorKind::Terminated));
        for socket in [&mut ours, &mut theirs, &mut fresh] {
            assert_eq!(socket.try_send("late").unwrap_err().error, SendError::Terminated);
            assert_eq!(socket.send("late").unwrap_err().error, SendError::Terminated);
            assert_eq!(socket.try_recv(), Err(RecvError::Terminated));
            assert_eq!(socket.recv(), Err(RecvError::Terminated));
            assert_eq!(socket.recv_timeout(PATIENCE), Err(RecvError::Terminated));
        }
        place.context.shutdown();
    });
}

#[test]
fn everything_drops_in_any_order_from_any_thread() {
    // context first, both ends at once, bound or connecting side first.
    over(ALL, |place| {
        let mut dice = Dice(9);
        for _ in 0..100 {
            let place = Place::new(place.transport);
            let (mut pull, endpoint) = place.bound::<Pull>();
            let mut push: Socket<Push> = place.connected(&endpoint);
            let dead: Socket<Pair> = place.connected(&place.address());
            for _ in 0..dice.roll(3) {
                send(&mut push, vec![1; 1 + dice.roll(20_000)]);
            }
            for _ in 0..dice.roll(2) {
                let _ = pull.try_recv();
            }
            let mut drops: Vec<Box<dyn FnOnce() + Send>> = vec![
                Box::new(move || drop(pull)),
                Box::new(move || drop(push)),
                Box::new(move || drop(dead)),
                Box::new(move || drop(place)),
            ];
            let mut threads = Vec::new();
            while !drops.is_empty() {
                let drop_one = drops.swap_remove(dice.roll(drops.len()));
                if dice.roll(2) == 0 {
                    drop_one();
                } else {
                    threads.push(thread::spawn(drop_one));
                }
            }
            for thread in threads {
                thread.join().unwrap();
            }
        }
    });
}

#[test]
fn many_threads_open_send_and_close() {
    //
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        for _ in 0..20 {
            thread::scope(|scope| {
                for number in 0..10 {
                    let endpoint = &endpoint;
                    scope.spawn(move || {
                        let mut push: Socket<Push> = place.context.open().unwrap();
                        push.connect(endpoint).unwrap();
                        send(&mut push, &numbered(number));
                    });
                }
            });
            let mut seen: Vec<u32> = (0..10).map(|_| number_of(&recv(&mut pull))).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
        assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    });
}

#[test]
fn a_context_without_endpoints_starts_and_stops() {
    for _ in 0..100 {
        drop(Context::new());
        let context = Context::default();
        let socket = context.open::<Pair>().unwrap();
        drop(context);
        drop(socket);
    }
}

#[test]
fn the_end_of_the_program_keeps_the_contexts_that_are_there_and_no_others() {
    alone("context::the_end_of_the_program_keeps_the_contexts_that_are_there_and_no_others", || {
        assert_eq!(remembered(), (0, 0));
        for _ in 0..1000 {
            drop(Context::new());
            assert!(remembered().0 <= 1);
        }
        let contexts: Vec<_> = (0..50).map(|_| Context::new()).collect();
        assert_eq!(remembered(), (50, 0));
        drop(contexts);
        let context = Context::new();
        assert_eq!(remembered(), (1, 0), "also when many go at once");
        for _ in 0..3 {
            end_with_program();
            assert_eq!(remembered(), (0, 1), "each of them once");
        }
        drop(context);
    });
}

#[test]
fn shutdown_ends_each_kind_of_call_many_times() {
    // Promise 11, X-31: with and without a deadline of its own, and while the caller streams.
    over(ALL, |place| {
        for round in 0..count(100, 1000) {
            let place = Place::new(place.transport);
            let (mut pull, endpoint) = place.bound::<Pull>();
            let mut push: Socket<Push> = place.connected(&endpoint);
            let mut lonely: Socket<Push> = place.open();
            let is_streaming = round % 4 == 0;
            thread::scope(|scope| {
                scope.spawn(move || {
                    let ended = loop {
                        match if round % 2 == 0 { pull.recv() } else { pull.recv_timeout(PATIENCE) } {
                            Ok(_) => {}
                            Err(error) => break error,
                        }
                    };
                    assert_eq!(ended, RecvError::Terminated);
                });
                scope.spawn(move || {
                    let ended = loop {
                        match push.send_timeout(vec![1; 100], PATIENCE) {
                            Ok(()) if is_streaming => {}
                            Ok(()) => return,
                            Err(unsent) => break unsent.error,
                        }
                    };
                    assert_eq!(ended, SendError::Terminated);
                });
                scope.spawn(move || {
                    let unsent = lonely.send_timeout("to nobody", PATIENCE).unwrap_err();
                    assert_eq!(unsent.error, SendError::Terminated);
                });
                place.context.shutdown();
            });
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_first_context_asks_the_kernel_for_its_fences_before_there_are_messages() {
    alone("context::the_first_context_asks_the_kernel_for_its_fences_before_there_are_messages", || {
        assert!(!crate::sync::are_fences_prepared());
        drop(Context::new());
        assert!(crate::sync::are_fences_prepared());
    });
}
