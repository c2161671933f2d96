//! Waiting for several sockets at once.

use super::*;
use crate::{Interest, Poller};

#[test]
fn a_thread_serves_two_sockets_and_misses_nothing() {
    over(ALL, |place| {
        const EACH: u32 = 5_000;
        let mut pulls: Vec<(Socket<Pull>, Endpoint)> = (0..2).map(|_| place.bound()).collect();
        let senders: Vec<_> = pulls
            .iter()
            .map(|(_, endpoint)| {
                let mut push = place.connected::<Push>(endpoint);
                thread::spawn(move || {
                    for number in 0..EACH {
                        push.send_timeout(&number.to_be_bytes(), PATIENCE).unwrap();
                        if number % 100 == 0 {
                            thread::yield_now(); // so that the receiver runs dry now and then
                        }
                    }
                    push
                })
            })
            .collect();
        let (left, right) = pulls.split_at_mut(1);
        let (left, right) = (&mut left[0].0, &mut right[0].0);
        let mut poller = Poller::new();
        poller.add(left, Interest::READABLE, ()).unwrap();
        poller.add(right, Interest::READABLE, ()).unwrap();
        let mut next = [0_u32; 2];
        while next != [EACH; 2] {
            let mut is_idle = true;
            for (pull, next) in [&mut *left, &mut *right].into_iter().zip(&mut next) {
                while let Ok(message) = pull.try_recv() {
                    assert_eq!(message, &next.to_be_bytes()[..]);
                    *next += 1;
                    is_idle = false;
                }
            }
            if is_idle {
                assert!(!poller.wait(Some(PATIENCE)).unwrap().is_empty(), "{next:?}");
            }
        }
        // What tells of messages that were taken already may still be there.
        eventually("there is nothing to do", || {
            assert!(left.try_recv().is_err() && right.try_recv().is_err(), "more than was sent");
            poller.wait(Some(Duration::ZERO)).unwrap().is_empty()
        });
        senders.into_iter().for_each(|sender| drop(sender.join().unwrap()));
    });
}

#[test]
fn a_shutdown_ends_the_wait() {
    let context = Context::new();
    let (mut one, mut other) = (context.open::<Pull>().unwrap(), context.open::<Push>().unwrap());
    let mut poller = Poller::new();
    poller.add(&mut one, Interest::READABLE, ()).unwrap();
    poller.add(&mut other, Interest::WRITABLE, ()).unwrap();
    let stopping = thread::spawn(move || context.shutdown());
    while one.try_recv() != Err(crate::RecvError::Terminated) {
        assert!(!poller.wait(Some(PATIENCE)).unwrap().is_empty());
    }
    stopping.join().unwrap();
}

#[test]
fn what_one_socket_has_queued_goes_out_while_its_thread_waits_in_another() {
    over(ALL, |place| {
        const COUNT: u32 = 20_000;
        let mut push: Socket<Push> = place.builder().send_hwm(COUNT).open().unwrap();
        let there = place.address();
        push.bind(&there).unwrap();
        let (mut pull, back) = place.bound::<Pull>();
        let mut far_pull = place.connected::<Pull>(&there);
        let mut far_push = place.connected::<Push>(&back);
        let echo = thread::spawn(move || {
            for _ in 0..COUNT {
                let message = far_pull.recv_timeout(PATIENCE).unwrap();
                far_push.send_timeout(message, PATIENCE).unwrap();
            }
            far_push
        });
        // More than the kernel holds, so that most of it is written while the thread waits for the echo.
        let body = |number: u32| number.to_be_bytes().repeat(128);
        for number in 0..COUNT {
            push.send_timeout(body(number), PATIENCE).unwrap();
        }
        for number in 0..COUNT {
            assert_eq!(pull.recv_timeout(PATIENCE).unwrap(), body(number));
        }
        drop(echo.join().unwrap());
    });
}

#[test]
fn a_socket_that_streams_moves_from_thread_to_thread() {
    over(WIRES, |place| {
        const EACH: u32 = 5_000;
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        for round in 0..6 {
            let senders = thread::spawn(move || {
                for number in 0..EACH {
                    push.send_timeout(&(round * EACH + number).to_be_bytes(), PATIENCE).unwrap();
                }
                push
            });
            let receiver = thread::spawn(move || {
                for number in 0..EACH {
                    let message = pull.recv_timeout(PATIENCE).unwrap();
                    assert_eq!(message, &(round * EACH + number).to_be_bytes()[..]);
                }
                pull
            });
            (push, pull) = (senders.join().unwrap(), receiver.join().unwrap());
        }
    });
}
