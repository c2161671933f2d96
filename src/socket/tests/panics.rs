//! Threads that panic between two calls, in step with a peer: every other socket of their I/O thread goes on, and so does
//! theirs if somebody keeps it. X-34.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Mutex, mpsc};
use std::task::{Poll, Waker};

use super::*;
use crate::limits::DROP_LINGER;
use crate::socket::shared::Side;
use crate::{CloseReason, HeartbeatInterval, Pair, ReconnectInterval, RecvError, Rep, Req, SharedSocket};

/// Round trips after which both sides are surely in step.
const STEPS: u32 = 50;

const SOON: ReconnectInterval = ReconnectInterval::Every(Duration::from_millis(1));

/// What the threads panic with.
const ON_PURPOSE: &str = "this panic is part of the test";

/// Runs `check` with one I/O thread for all sockets, which must have nothing left to do behind it.
fn on_one_io_thread(check: impl Fn(&Place) + Sync) {
    over(WIRES, |place| {
        let context = Context::builder().io_threads(1).build();
        let place = Place::in_context(place.transport, context);
        check(&place);
        let Place { context, directory, .. } = place;
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            drop(context);
            tell.send(()).unwrap();
        });
        // It would end by itself after DROP_LINGER, whatever were left.
        told.recv_timeout(DROP_LINGER / 2).expect("the context ends");
        drop(directory);
    });
}

/// Two sockets in step, each with a thread of its own.
fn step(here: &mut Socket<Pair>, there: &mut Socket<Pair>) {
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..STEPS {
                let message = recv(there);
                assert_eq!(number_of(&message), number);
                send(there, message);
            }
        });
        for number in 0..STEPS {
            send(here, &numbered(number));
            assert_eq!(number_of(&recv(here)), number);
        }
    });
}

/// Two sockets that were in step.
fn pair_in_step(place: &Place) -> (Socket<Pair>, Socket<Pair>) {
    let (mut there, endpoint) = place.bound();
    let mut here = place.connected(&endpoint);
    step(&mut here, &mut there);
    (here, there)
}

/// Sockets that have nothing to do with whoever panics, but the context and its I/O thread.
struct Bystanders {
    here: Socket<Pair>,
    there: Socket<Pair>,
    pull: Socket<Pull>,
    endpoint: Endpoint,
}

impl Bystanders {
    fn new(place: &Place) -> Self {
        let (here, there) = pair_in_step(place);
        let (pull, endpoint) = place.bound();
        Self { here, there, pull, endpoint }
    }

    /// Old connections go on, new ones are accepted, and PING is answered while nobody is in a call.
    fn go_on(&mut self, place: &Place) {
        step(&mut self.here, &mut self.there);
        let mut push: Socket<Push> = beating(place);
        push.connect(&self.endpoint).unwrap().wait_ready(PATIENCE).unwrap();
        send(&mut push, "new");
        assert_eq!(recv(&mut self.pull), "new");
        is_answered(&push);
    }
}

/// A socket that sends PING.
fn beating<P: Pattern>(place: &Place) -> Socket<P> {
    let often = HeartbeatInterval::from(Duration::from_millis(5));
    place.builder().heartbeat_interval(often).heartbeat_timeout(PATIENCE).open().unwrap()
}

fn is_answered<P: Pattern>(socket: &Socket<P>) {
    eventually("a PING is answered", || socket.stats().peers[0].round_trip.is_some());
}

/// Unwinds as any panic does, without a message of it: there are thousands here.
pub(super) fn panic_on_purpose() -> ! {
    resume_unwind(Box::new(ON_PURPOSE))
}

/// What panics when it is dropped.
struct Body;
impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &[7; LARGE]
    }
}
impl Drop for Body {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic_on_purpose();
        }
    }
}

/// Runs what panics on purpose, and nothing else does.
pub(super) fn panics(act: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(act)).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&ON_PURPOSE));
}

/// The same in a thread of its own.
fn panics_elsewhere(act: impl FnOnce() + Send) {
    let panic = thread::scope(|scope| scope.spawn(act).join()).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&ON_PURPOSE));
}

#[test]
fn a_socket_that_a_panic_drops_is_closed_and_harms_no_other() {
    on_one_io_thread(|place| {
        let mut others = Bystanders::new(place);
        let (tell, told) = mpsc::channel();
        panics_elsewhere(move || {
            let (_here, there) = pair_in_step(place);
            tell.send(there).unwrap();
            panic_on_purpose();
        });
        let mut there = told.recv().unwrap();
        eventually("the peer is seen to go", || there.peers().is_empty());
        assert_eq!(there.try_recv(), Err(RecvError::WouldBlock));
        others.go_on(place);
    });
}

#[test]
fn a_socket_that_is_kept_goes_on_after_a_panic() {
    on_one_io_thread(|place| {
        let mut others = Bystanders::new(place);
        let (kept, told) = (Mutex::new(None), Mutex::new(None));
        panics_elsewhere(|| {
            let mut kept = kept.lock().unwrap();
            let (here, there) = pair_in_step(place);
            (*kept, *told.lock().unwrap()) = (Some(here), Some(there));
            panic_on_purpose();
        });
        let mut there: Socket<Pair> = told.into_inner().unwrap().unwrap();
        // What comes while nobody looks.
        for number in 0..STEPS {
            send(&mut there, &numbered(number));
        }
        others.go_on(place);
        let poisoned = kept.into_inner().unwrap_err();
        let mut here = poisoned.into_inner().unwrap();
        for number in 0..STEPS {
            assert_eq!(number_of(&recv(&mut here)), number);
        }
        step(&mut here, &mut there);
        assert_eq!(
            (here.try_recv(), there.try_recv()),
            (Err(RecvError::WouldBlock), Err(RecvError::WouldBlock))
        );
    });
}

#[test]
fn a_socket_that_is_left_behind_answers_heartbeats_and_takes_what_comes() {
    on_one_io_thread(|place| {
        let (left, endpoint) = place.bound::<Pair>();
        let left = Mutex::new(left);
        let mut peer: Socket<Pair> = beating(place);
        peer.connect(&endpoint).unwrap();
        panics_elsewhere(|| {
            let mut left = left.lock().unwrap();
            step(&mut left, &mut peer);
            panic_on_purpose();
        });
        let round_trip = || peer.stats().peers[0].round_trip;
        // The first answer may have been under way.
        for _ in 0..5 {
            let before = round_trip();
            eventually("a PING is answered", || round_trip() != before);
        }
        send(&mut peer, "late");
        assert_eq!(recv(&mut left.into_inner().unwrap_err().into_inner()), "late");
    });
}

#[test]
fn a_request_that_a_panic_drops_is_given_up() {
    on_one_io_thread(|place| {
        let mut others = Bystanders::new(place);
        let (mut rep, endpoint) = place.bound::<Rep>();
        // A request that was sent and is given up costs the connection.
        let mut req: Socket<Req> = place.builder().reconnect_interval(SOON).open().unwrap();
        req.connect(&endpoint).unwrap();
        let answer = |rep: &mut Socket<Rep>| {
            let mut request = rep.recv_timeout(PATIENCE).unwrap();
            let message = request.take_message();
            request.reply(&message).unwrap();
            message
        };
        thread::scope(|scope| {
            scope.spawn(|| while answer(&mut rep) != "last" {});
            for number in 0..STEPS / 5 {
                // The answer to this one may come, and must not be taken for that to the next.
                panics(|| {
                    let _reply = req.request_timeout("given up", PATIENCE).unwrap();
                    panic_on_purpose();
                });
                let mut reply = req.request_timeout(&numbered(number), PATIENCE).unwrap();
                assert_eq!(number_of(&reply.recv_timeout(PATIENCE).unwrap()), number);
            }
            req.request_timeout("last", PATIENCE).unwrap().recv_timeout(PATIENCE).unwrap();
        });
        // The other side: one that is asked, and panics.
        for number in 0..STEPS / 5 {
            let mut reply = req.request_timeout("not answered", PATIENCE).unwrap();
            panics(|| {
                let request = rep.recv_timeout(PATIENCE).unwrap();
                assert_eq!(*request.message(), "not answered");
                panic_on_purpose();
            });
            assert_eq!(reply.try_recv(), Err(RecvError::WouldBlock));
            drop(reply);
            let mut reply = req.request_timeout(&numbered(number), PATIENCE).unwrap();
            answer(&mut rep);
            assert_eq!(number_of(&reply.recv_timeout(PATIENCE).unwrap()), number);
        }
        others.go_on(place);
    });
}

#[test]
fn messages_that_were_not_received_survive_a_panic() {
    on_one_io_thread(|place| {
        let mut others = Bystanders::new(place);
        let (mut here, mut there) = pair_in_step(place);
        for number in 0..STEPS {
            send(&mut there, Message::from([&numbered(number)[..], &[7; LARGE]]));
        }
        let mut next = 0;
        let mut check = |message: Message| {
            assert_eq!((number_of(&message), message.frame_count()), (next, 2));
            next += 1;
            next < STEPS
        };
        let mut is_more = true;
        while is_more {
            panics(|| {
                // With the message in hand, and, if no other is there yet, with a call that waits as a task.
                let mut message = recv(&mut here);
                is_more = check(std::mem::take(&mut message));
                let mut waits = pin!(here.recv_async());
                let polled = waits.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop()));
                if let Poll::Ready(message) = polled {
                    is_more = check(message.unwrap());
                }
                panic_on_purpose();
            });
        }
        others.go_on(place);
        step(&mut here, &mut there);
    });
}

#[test]
fn threads_that_share_a_socket_go_on_when_one_of_them_panics() {
    on_one_io_thread(|place| {
        let mut others = Bystanders::new(place);
        let (here, mut there) = pair_in_step(place);
        let here = SharedSocket::new(here);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| here.recv_timeout(PATIENCE));
            panics_elsewhere(|| {
                here.with(|here| {
                    send(here, "said");
                    panic_on_purpose();
                });
            });
            others.go_on(place);
            assert_eq!(recv(&mut there), "said");
            send(&mut there, "heard");
            assert_eq!(waiting.join().unwrap().unwrap(), "heard");
        });
        step(&mut here.into_socket().unwrap(), &mut there);
    });
}

#[test]
fn a_body_whose_drop_panics_harms_no_other_socket() {
    on_one_io_thread(|place| {
        let mut others = Bystanders::new(place);
        for _ in 0..5 {
            let (mut here, mut there) = pair_in_step(place);
            // It is dropped where it was written: in this call, or by the I/O thread, which gives the connection up.
            let sent =
                catch_unwind(AssertUnwindSafe(|| here.send_timeout(Bytes::from_owner(Body), PATIENCE)));
            others.go_on(place);
            if let Err(panic) = &sent {
                assert_eq!(panic.downcast_ref(), Some(&ON_PURPOSE));
                assert_eq!(recv(&mut there), [7; LARGE][..]);
                step(&mut here, &mut there);
            }
            drop(here);
            eventually("the peer is seen to go", || there.peers().is_empty());
        }
        others.go_on(place);
    });
}

#[test]
fn who_waits_for_a_shared_socket_goes_on_when_one_in_front_panics() {
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        pull.set_recv_timeout(PATIENCE);
        let mut push: Socket<Push> = place.connected(&endpoint);
        let pull = SharedSocket::new(pull);
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                let mut message = Message::from(Bytes::from_owner(Body));
                panics(|| pull.recv_into(&mut message).unwrap());
            });
            eventually("it waits", || pull.hub_waiting(Side::Messages).0 == 1);
            let second = scope.spawn(|| pull.recv_timeout(PATIENCE));
            eventually("both wait", || pull.hub_waiting(Side::Messages).0 == 2);
            send(&mut push, "one");
            send(&mut push, "two");
            first.join().unwrap();
            second.join().unwrap().unwrap();
        });
        send(&mut push, "three");
        pull.recv_timeout(PATIENCE).unwrap();
    });
}

#[test]
fn what_was_posted_behind_a_panic_is_not_lost() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let [mut one, mut other] = [(); 2].map(|()| -> Socket<Push> { place.connected(&endpoint) });
    pull.try_recv().unwrap_err();
    one.send(Bytes::from_owner(Body)).unwrap();
    pull.peers()[0].close(CloseReason::Dismissed);
    send(&mut other, "said");
    panics(|| drop(pull.try_recv()));
    assert_eq!(recv(&mut pull), "said");
}
