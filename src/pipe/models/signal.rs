//! A signal, and each way to wait for it, against what is published, a close, and a shutdown.
//!
//! The pipe wakes the signal as a socket's does: a message, the end of the pipe and a shutdown are posted there, and
//! whoever waits must see each of them.

use std::sync::Arc as StdArc;
use std::task::{Wake as WakeTask, Waker};

use super::*;
use crate::interest::Interest;
use crate::pipe::{Heed, Observer, Signal, Sleepers, Wake};

/// What is posted to a socket.
#[derive(Debug, PartialEq)]
enum Post {
    Ready(Ready),
    Terminated,
}

struct Socket {
    consumer: Consumer,
    signal: Arc<Signal<Post>>,
    received: u32,
    is_terminated: bool,
    until: Until,
}

/// What ends a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Until {
    Closed,
    /// Both messages are there.
    Received,
    Terminated,
}

/// What a step of the socket has found.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    /// What ends the scene.
    All,
    /// Nothing, and the pipe will tell.
    Nothing,
    Something,
}

struct Mailman(Arc<Signal<Post>>);

impl Wake for Mailman {
    fn wake(&self, _: u64, ready: Ready) {
        let hint = if ready == Ready::Readable { Interest::READABLE } else { Interest::NONE };
        self.0.post_with(Post::Ready(ready), hint);
    }
}

/// Rings for a task or a thread in a poll.
struct Bell(Arc<Notify>);

impl WakeTask for Bell {
    fn wake(self: StdArc<Self>) {
        self.0.notify();
    }
}

impl Socket {
    /// As a call that does not wait: handles the mail, and tries.
    fn step(&mut self) -> Found {
        let mut mail = Vec::new();
        self.signal.take(&mut mail);
        self.is_terminated |= mail.contains(&Post::Terminated);
        if self.is_terminated && self.until == Until::Terminated {
            return Found::All;
        }
        let mut message = Message::new();
        loop {
            match self.consumer.try_recv(&mut message) {
                Ok(()) => {
                    self.received += 1;
                    let is_last = self.until == Until::Received && self.received == 2;
                    return if is_last { Found::All } else { Found::Something };
                }
                Err(NoMessage::Closed) if self.until == Until::Closed => return Found::All,
                // As a socket, which is told of the end of each pipe.
                Err(NoMessage::Closed) => return Found::Nothing,
                Err(NoMessage::Dry) if self.consumer.wait_for_messages() => return Found::Nothing,
                Err(NoMessage::Dry) => {}
            }
        }
    }

    /// As [`Pipes::look`].
    fn has_message(&mut self) -> bool {
        loop {
            if self.consumer.has_message() {
                return true;
            }
            if self.consumer.is_finished() || self.consumer.wait_for_messages() {
                return false;
            }
        }
    }

    /// As what an observed socket shows: whether a call would find something.
    fn settle(&mut self) {
        loop {
            let mut mail = Vec::new();
            self.signal.take(&mut mail);
            self.is_terminated |= mail.contains(&Post::Terminated);
            let is_readable = self.is_terminated || self.has_message();
            if self.signal.settle(if is_readable { Interest::READABLE } else { Interest::NONE }) {
                return;
            }
        }
    }
}

/// A socket, a peer that sends two messages and closes, and somebody who shuts the context down.
fn scenes(untils: &[Until], receive: impl Fn(&mut Socket) + Copy + Sync + Send + 'static) {
    for until in untils.iter().copied() {
        check_within(3, move || {
            let signal = Arc::new(Signal::new());
            let (mut producer, mut consumer) = pipe(None);
            consumer.set_wake_up(WakeUp::new(7, StdArc::new(Mailman(Arc::clone(&signal)))));
            let other = {
                let signal = Arc::clone(&signal);
                thread::spawn(move || {
                    producer.try_send(&mut Message::from("a").into()).unwrap();
                    match until {
                        Until::Closed => {}
                        Until::Received => producer.try_send(&mut Message::from("b").into()).unwrap(),
                        Until::Terminated => signal.post_with(Post::Terminated, Interest::BOTH),
                    }
                })
            };
            let mut socket = Socket { consumer, signal, received: 0, is_terminated: false, until };
            receive(&mut socket);
            let expected = [(Until::Closed, 1), (Until::Received, 2), (Until::Terminated, socket.received)];
            assert!(expected.contains(&(until, socket.received)));
            socket.signal.close();
            other.join().unwrap();
        });
    }
}

#[test]
fn a_thread_that_sleeps_in_its_mailbox() {
    scenes(&[Until::Closed, Until::Received, Until::Terminated], |socket| {
        loop {
            match socket.step() {
                Found::All => return,
                Found::Something => {}
                Found::Nothing => assert!(socket.signal.wait(None)),
            }
        }
    });
}

#[test]
fn a_task_that_leaves_its_waker() {
    scenes(&[Until::Closed, Until::Received, Until::Terminated], |socket| {
        let bell = Arc::new(Notify::new());
        let waker = Waker::from(StdArc::new(Bell(Arc::clone(&bell))));
        loop {
            match socket.step() {
                Found::All => return,
                // As a future that is ready, or dropped.
                Found::Something => socket.signal.unregister(Sleepers::CALL),
                Found::Nothing if socket.signal.register(Sleepers::CALL, &waker) => bell.wait(),
                Found::Nothing => {}
            }
        }
    });
}

/// A poller's list of one: whether the socket is in it.
struct Seat {
    desk: Signal<()>,
    state: loom::sync::Mutex<(Interest, bool)>,
}

impl Observer for Seat {
    fn show(&self, ready: Interest) {
        let mut state = self.state.lock().unwrap();
        state.0 = ready;
        if ready.is_readable() && !std::mem::replace(&mut state.1, true) {
            drop(state);
            self.desk.post_with((), Interest::NONE);
        }
    }

    fn is_awaited(&self) -> bool {
        false
    }

    fn end(&self) {}
}

impl Seat {
    /// Whether the socket is to be looked at; if not, it lists itself when it is.
    fn look(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.1 = state.0.is_readable();
        state.1
    }
}

#[test]
fn a_poller_that_sees_what_is_shown() {
    // That a peer is gone is no reason to look.
    scenes(&[Until::Received, Until::Terminated], |socket| {
        let seat = StdArc::new(Seat { desk: Signal::new(), state: loom::sync::Mutex::default() });
        let heed = Heed { hints: Interest::READABLE, is_curious: false };
        socket.signal.observe(StdArc::clone(&seat) as _, heed);
        socket.settle();
        loop {
            while !seat.look() {
                assert!(seat.desk.wait(None));
                seat.desk.take(&mut Vec::new());
            }
            let found = socket.step();
            if found == Found::All {
                return;
            }
            socket.settle();
        }
    });
}

/// A descriptor: lit while there is something, and the event loop sleeps until it is.
struct Lamp {
    is_lit: loom::sync::Mutex<bool>,
    lit: loom::sync::Condvar,
}

impl Observer for Lamp {
    fn show(&self, ready: Interest) {
        *self.is_lit.lock().unwrap() = ready.is_readable();
        if ready.is_readable() {
            self.lit.notify_one();
        }
    }

    fn is_awaited(&self) -> bool {
        false
    }

    fn end(&self) {}
}

#[test]
fn an_event_loop_that_waits_for_a_descriptor() {
    // That a peer is gone is no reason to look.
    scenes(&[Until::Received, Until::Terminated], |socket| {
        let lamp =
            StdArc::new(Lamp { is_lit: loom::sync::Mutex::new(false), lit: loom::sync::Condvar::new() });
        let heed = Heed { hints: Interest::READABLE, is_curious: false };
        socket.signal.observe(StdArc::clone(&lamp) as _, heed);
        socket.settle();
        loop {
            let mut is_lit = lamp.is_lit.lock().unwrap();
            while !*is_lit {
                is_lit = lamp.lit.wait(is_lit).unwrap();
            }
            drop(is_lit);
            let found = socket.step();
            if found == Found::All {
                return;
            }
            socket.settle();
        }
    });
}
