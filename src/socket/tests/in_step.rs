//! Callers in step with their peers work on their connections themselves; one that stays away holds nothing up.

use std::sync::mpsc;

use super::security::Sides;
use super::*;
use crate::{Authorizer, CloseReason, Dealer, Pair, RecvError, Rep, Req};

/// Round trips after which both sides are surely in step.
const STEPS: u32 = 50;

/// Each mechanism over each wire.
fn over_all(check: impl Fn(&Place, &Sides) + Sync) {
    over(WIRES, |place| Sides::all().iter().for_each(|sides| check(&Place::new(place.transport), sides)));
}

/// Here is the one that connects.
fn pair_up(place: &Place, sides: &Sides) -> (Socket<Pair>, Socket<Pair>) {
    let (there, endpoint) = place.guarded::<Pair>(sides, &Authorizer::anyone());
    let mut here = place.client::<Pair>(sides);
    here.connect(&endpoint).unwrap();
    (here, there)
}

/// Round trips on this thread and another one, which then has nothing more to do.
fn ping_pong(place: &Place, sides: &Sides, steps: u32) -> (Socket<Pair>, Socket<Pair>) {
    let (mut here, mut there) = pair_up(place, sides);
    let echo = thread::spawn(move || {
        for _ in 0..steps {
            let message = recv(&mut there);
            send(&mut there, message);
        }
        there
    });
    for number in 0..steps {
        send(&mut here, &numbered(number));
        assert_eq!(number_of(&recv(&mut here)), number);
    }
    (here, echo.join().unwrap())
}

/// Takes a request and sends it back.
fn answer(rep: &mut Socket<Rep>) -> Message {
    let mut request = rep.recv_timeout(PATIENCE).unwrap();
    let message = request.take_message();
    request.reply(&message).unwrap();
    message
}

#[test]
fn a_round_trip_costs_the_caller_two_system_calls() {
    // One to write, one to read, in which it waits.
    over_all(|place, sides| {
        let (mut here, mut there) = pair_up(place, sides);
        let calls = |socket: &Socket<Pair>| {
            let pipe = socket.core.pipes.iter().next().unwrap();
            pipe.assist.as_ref().unwrap().calls() + crate::session::polls()
        };
        thread::scope(|scope| {
            scope.spawn(move || {
                loop {
                    let message = recv(&mut there);
                    let is_last = message == "last";
                    send(&mut there, message);
                    if is_last {
                        break;
                    }
                }
            });
            let mut number = 0;
            // On a busy machine a connection goes back and forth between the caller and its I/O thread.
            eventually("ten round trips in a row cost no more", || {
                let before = calls(&here);
                for _ in 0..10 {
                    number += 1;
                    send(&mut here, &numbered(number));
                    assert_eq!(number_of(&recv(&mut here)), number);
                }
                calls(&here) - before <= 20
            });
            send(&mut here, "last");
            recv(&mut here);
        });
    });
}

/// A pair in step, of which one end then waits in another thread, which returns what it has done.
fn waiting<T: Send>(
    place: &Place,
    sides: &Sides,
    wait: impl FnOnce(&mut Socket<Pair>) -> T + Send,
    meanwhile: impl FnOnce(Socket<Pair>),
) -> T {
    let (mut here, there) = ping_pong(place, sides, STEPS);
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let waiter = scope.spawn(move || {
            tell.send(()).unwrap();
            wait(&mut here)
        });
        told.recv().unwrap();
        meanwhile(there);
        waiter.join().unwrap()
    })
}

#[test]
fn a_caller_that_waits_in_a_read_hears_of_what_else_happens() {
    over_all(|place, sides| {
        // The end of its context.
        let end = waiting(place, sides, |pair| pair.recv().unwrap_err(), |_there| place.context.shutdown());
        assert_eq!(end, RecvError::Terminated);
    });
    over_all(|place, sides| {
        // The end of the connection, and with it of the time.
        let wait = |pair: &mut Socket<Pair>| pair.recv_timeout(Duration::from_millis(200)).unwrap_err();
        assert_eq!(waiting(place, sides, wait, drop), RecvError::WouldBlock);
    });
    over_all(|place, sides| {
        // A message that comes in many pieces.
        let large = vec![7; 4_000_000];
        let found = waiting(place, sides, recv, |mut there| {
            send(&mut there, &large);
            assert_eq!(there.close(PATIENCE).dropped, 0);
        });
        assert!(found == large);
    });
}

#[test]
fn a_new_peer_is_heard_by_a_caller_that_waits_for_another() {
    over(WIRES, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        thread::scope(|scope| {
            scope.spawn(|| while answer(&mut rep) != "last" {});
            let mut first: Socket<Req> = place.connected(&endpoint);
            for number in 0..20 {
                let ask = |req: &mut Socket<Req>, text: &[u8]| {
                    let mut reply = req.request_timeout(text, PATIENCE).unwrap();
                    assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), *text);
                };
                // In step with the one, which is still there and silent when the other comes.
                (0..STEPS / 10).for_each(|_| ask(&mut first, &numbered(number)));
                ask(&mut place.connected(&endpoint), &numbered(number));
            }
            first.request_timeout("last", PATIENCE).unwrap().recv_timeout(PATIENCE).unwrap();
        });
    });
}

#[test]
fn callers_that_look_before_they_sleep_find_the_same() {
    for transport in [Transport::Tcp, Transport::Ipc, Transport::Inproc] {
        let place = Place::in_context(transport, Context::builder().spin(Duration::from_micros(200)).build());
        let (mut here, mut there) = ping_pong(&place, &Sides::null(), STEPS);
        // Longer than they look.
        let late = thread::spawn(move || {
            assert_eq!(there.recv_timeout(Duration::from_millis(5)).unwrap_err(), RecvError::WouldBlock);
            send(&mut there, "late");
            there
        });
        assert_eq!(recv(&mut here), "late");
        late.join().unwrap();
    }
}

#[test]
fn nothing_waits_for_a_caller_that_stays_away() {
    over(WIRES, |place| {
        let (here, mut there) = ping_pong(place, &Sides::null(), STEPS);
        // No thread is in a call of either socket: their I/O threads see the end, and do what is to be done.
        assert_eq!((here.peers().len(), there.peers().len()), (1, 1));
        drop(here);
        eventually("the peer is seen to go", || there.peers().is_empty());
        there.try_recv().unwrap_err();
    });
}

#[test]
fn a_caller_that_stays_away_is_written_for() {
    over(WIRES, |place| {
        let (mut here, mut there) = ping_pong(place, &Sides::null(), STEPS);
        // Faster than a caller writes itself, and then nothing.
        for number in 0..10 {
            send(&mut here, &numbered(number));
        }
        for number in 0..10 {
            assert_eq!(number_of(&recv(&mut there)), number);
        }
    });
}

#[test]
fn a_look_without_waiting_finds_what_has_come() {
    over(WIRES, |place| {
        let (mut here, mut there) = ping_pong(place, &Sides::null(), STEPS);
        for number in 0..100 {
            send(&mut here, &numbered(number));
            let mut found = None;
            eventually("it is found", || {
                found = there.recv_timeout(Duration::ZERO).or_else(|_| there.try_recv()).ok();
                found.is_some()
            });
            assert_eq!(number_of(&found.unwrap()), number);
        }
    });
}

#[test]
fn sockets_in_step_go_on_in_other_threads() {
    over(WIRES, |place| {
        let (mut here, mut there) = ping_pong(place, &Sides::null(), STEPS);
        for round in 0..5 {
            // Each time in threads that have never seen them.
            let one = thread::spawn(move || {
                for number in 0..STEPS {
                    send(&mut here, &numbered(number));
                    assert_eq!(number_of(&recv(&mut here)), number, "round {round}");
                }
                here
            });
            let other = thread::spawn(move || {
                for _ in 0..STEPS {
                    let message = recv(&mut there);
                    send(&mut there, message);
                }
                there
            });
            (here, there) = (one.join().unwrap(), other.join().unwrap());
        }
    });
}

#[test]
fn a_caller_in_step_with_one_socket_leaves_its_others_to_their_io_thread() {
    over(WIRES, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        let (mut pull, other) = place.bound::<Pull>();
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                // In step with both, and from then on in calls of one only.
                for _ in 0..STEPS {
                    answer(&mut rep);
                    recv(&mut pull);
                }
                tell.send(()).unwrap();
                while answer(&mut rep) != "last" {}
                // What came for the other one meanwhile.
                for number in 0..100 {
                    assert_eq!(number_of(&recv(&mut pull)), number);
                }
            });
            let mut req: Socket<Req> = place.connected(&endpoint);
            let mut push: Socket<Push> = place.connected(&other);
            let mut ask = |text: &str| {
                let mut reply = req.request_timeout(text, PATIENCE).unwrap();
                assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), text);
            };
            for _ in 0..STEPS {
                ask("step");
                send(&mut push, "step");
            }
            told.recv().unwrap();
            for number in 0..100 {
                send(&mut push, &numbered(number));
                ask("again");
            }
            ask("last");
        });
    });
}

#[test]
fn many_in_step_with_one_are_answered() {
    over(WIRES, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut dealer: Socket<Dealer> = place.connected(&endpoint);
                    for number in 0..200 {
                        let request = Message::from([&b""[..], &numbered(number)]);
                        send(&mut dealer, &request);
                        assert_eq!(recv(&mut dealer), request);
                    }
                });
            }
            for _ in 0..8 * 200 {
                answer(&mut rep);
            }
        });
    });
}

#[test]
fn an_io_thread_does_not_wait_for_whoever_works_on_a_connection() {
    // A caller that waits in a read holds its connection for milliseconds, while that ticks.
    over(WIRES, |place| {
        let (_here, there) = ping_pong(place, &Sides::null(), STEPS);
        let pipe = there.core.pipes.iter().next().unwrap();
        let accepted = Arc::clone(pipe.assist.as_ref().unwrap());
        let mut hold = || {
            let (_bound, endpoint) = place.bound::<Pull>();
            for _ in 0..100 {
                let mut push: Socket<Push> = place.context.open().unwrap();
                push.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
            }
        };
        eventually("nobody is at work on it", || accepted.hold(&mut hold));
    });
}

/// Whether the I/O thread of a context that has one only does its work: it connects two new sockets.
pub(super) fn is_at_work(context: &Context, transport: Transport) -> bool {
    let place = Place::in_context(transport, context.clone());
    let (_there, endpoint) = place.bound::<Pair>();
    let mut here: Socket<Pair> = place.open();
    here.connect(&endpoint).unwrap().wait_ready(PATIENCE).is_ok()
}

#[test]
fn nobody_waits_for_who_is_at_work_on_a_connection() {
    // As a caller is that waits in a read. Neither the deadline of its handshake, nor a close, nor its end stops those who
    // have something else to do, be it a connection that was made or one that was accepted.
    let limit = Duration::from_millis(200);
    over(WIRES, |place| {
        for is_accepted in [false, true] {
            let context = Context::builder().io_threads(1).build();
            let ours = Place::in_context(place.transport, context.clone());
            let theirs = Place::new(place.transport);
            let mut here: Socket<Pair> = ours.builder().handshake_interval(limit).open().unwrap();
            let mut there: Socket<Pair> = theirs.open();
            let (binds, connects) =
                if is_accepted { (&mut here, &mut there) } else { (&mut there, &mut here) };
            let endpoint: Endpoint = binds.bind(ours.address()).unwrap().into();
            connects.connect(&endpoint).unwrap();
            send(&mut there, "hello");
            assert_eq!(recv(&mut here), "hello");
            let (begin, peer) = (Instant::now(), here.peers().remove(0));
            let assist = Arc::clone(here.core.pipes.iter().next().unwrap().assist.as_ref().unwrap());
            let mut here = Some(here);
            thread::scope(|scope| {
                let mut meanwhile = || {
                    let Some(here) = here.take() else { return };
                    while begin.elapsed() < 2 * limit {
                        assert!(is_at_work(&context, place.transport), "a deadline waits");
                    }
                    let (tell, told) = mpsc::channel();
                    let (peer, tell_too) = (&peer, tell.clone());
                    scope.spawn(move || {
                        peer.close(CloseReason::Dismissed);
                        tell_too.send(()).unwrap();
                    });
                    assert_eq!(told.recv_timeout(PATIENCE), Ok(()), "a close waits");
                    assert!(is_at_work(&context, place.transport));
                    scope.spawn(move || {
                        drop(here);
                        tell.send(()).unwrap();
                    });
                    assert_eq!(told.recv_timeout(PATIENCE), Ok(()), "the end of the socket waits");
                    for _ in 0..10 {
                        assert!(is_at_work(&context, place.transport), "its task waits");
                    }
                };
                eventually("nobody else is at work on it", || assist.hold(&mut meanwhile));
            });
            eventually("it is closed", || there.try_recv().is_err() && there.peers().is_empty());
        }
    });
}

#[test]
fn a_close_is_carried_out_by_who_is_at_work_on_the_connection() {
    over(WIRES, |place| {
        let (mut there, endpoint) = place.bound::<Pair>();
        let mut here: Socket<Pair> = place.connected(&endpoint);
        send(&mut there, "hello");
        assert_eq!(recv(&mut here), "hello");
        let peer = there.peers().remove(0);
        let assist = Arc::clone(there.core.pipes.iter().next().unwrap().assist.as_ref().unwrap());
        eventually("nobody else is at work on it", || {
            assist.hold(&mut || {
                peer.close(CloseReason::Dismissed);
                assert_eq!(there.peers().len(), 1, "it cannot be done yet");
            })
        });
        assert!(there.peers().is_empty(), "it was done when it was given back");
    });
}
