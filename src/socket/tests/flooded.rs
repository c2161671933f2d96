//! A socket that is flooded: makes every call, and counts what each does for the peers.
//!
//! The bounds are numbers, and not made of the limits that they keep watch over: who raises one hears of it here.

use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context as TaskContext, Waker};

use super::flooders::Flood;
use super::*;
use crate::pipe::Tally;
use crate::{AnyPattern, Frame, Interest, PollItem, Poller, RecvError, SocketType, poll};

pub(super) type Any = Socket<AnyPattern>;

/// Messages that a call takes, or one attempt of a call that waits.
const MESSAGES_MAX: u64 = 1_100;

/// Octets of those: of what is thrown away half a mebibyte and a message more, beside one that is received.
const OCTETS_MAX: u64 = 800_000;

/// Looks of a call that does not wait.
const LOOKS_MAX: u64 = 2;

/// Looks of one poll of a future.
const POLL_LOOKS_MAX: u64 = 4;

/// Frames and commands that such a call looks at: its budget, what is thrown away of it once more, and what each look at
/// one of so many peers is granted.
fn chores_max(peers: usize) -> u64 {
    33_000 + 2_100 * peers as u64
}

/// A cell of the table at work: a socket whose calls are counted.
pub(super) struct Trial<'a> {
    pub(super) ours: SocketType,
    /// Where it is in the table.
    pub(super) cell: String,
    pub(super) flood: &'a Flood,
    /// What it does now.
    pub(super) now: &'a Mutex<String>,
    /// Who has sent something, as a ROUTER or STREAM knows it.
    pub(super) known: Option<Frame>,
}

impl Trial<'_> {
    /// Makes each call.
    pub(super) fn make_calls(mut self, mut socket: Any, context: Option<&Context>) {
        for _ in 0..5 {
            self.calls_that_do_not_wait(&mut socket);
        }
        self.calls_that_wait(&mut socket);
        self.polls_of_futures(&mut socket);
        self.calls_that_are_watched(&mut socket);
        self.calls_that_wait(&mut socket);
        if let Some(context) = context {
            self.see_shutdown(&mut socket, context);
        }
        self.call("close", || socket.close(Duration::ZERO));
    }

    /// Makes a call, and counts what it does.
    fn call<T>(&self, name: &str, call: impl FnOnce() -> T) -> (T, Tally) {
        let what = format!("{name}, {}", self.cell);
        what.clone_into(&mut self.now.lock().unwrap());
        let (result, tally) = Tally::of(call);
        self.check(&what, &tally);
        (result, tally)
    }

    fn check(&self, what: &str, tally: &Tally) {
        let most_chores = chores_max(self.flood.peers());
        assert!(tally.most.chores <= most_chores, "{what}: {tally:?}");
        // What a deaf socket's session throws away counts as chores.
        let is_few = tally.most.messages <= MESSAGES_MAX || self.ours.is_deaf();
        assert!(is_few, "{what}: {tally:?}");
        assert!(tally.most.octets <= OCTETS_MAX || self.ours.is_deaf(), "{what}: {tally:?}");
    }

    /// Makes a call that does not wait.
    fn call_once<T>(&self, name: &str, call: impl FnOnce() -> T) -> T {
        let (result, tally) = self.call(name, call);
        assert!(tally.looks <= LOOKS_MAX, "{name}, {}: {tally:?}", self.cell);
        result
    }

    /// A message that can be sent, if anything can.
    fn message(&self) -> Message {
        let frames = self.known.iter().cloned().chain([Frame::from("a message")]);
        Message::from_frames(frames).unwrap()
    }

    fn note(&mut self, received: Result<Message, RecvError>) {
        if matches!(self.ours, SocketType::Router | SocketType::Stream) {
            let name = received.ok().and_then(|message| message.frame(0).cloned());
            self.known = name.or_else(|| self.known.take());
        }
    }

    fn calls_that_do_not_wait(&mut self, socket: &mut Any) {
        let message = self.message();
        let _ = self.call_once("try_send", || socket.try_send(message));
        let received = self.call_once("try_recv", || socket.try_recv());
        self.note(received);
        self.call_once("readiness", || socket.readiness());
    }

    fn calls_that_wait(&mut self, socket: &mut Any) {
        let message = self.message();
        let _ = self.call("send_timeout", || socket.send_timeout(message, TURN));
        let received = self.call("recv_timeout", || socket.recv_timeout(TURN)).0;
        self.note(received);
        let _ = self.call("poll", || poll(&mut [PollItem::new(socket, Interest::READABLE)], Some(TURN)));
    }

    fn polls_of_futures(&mut self, socket: &mut Any) {
        let mut context = TaskContext::from_waker(Waker::noop());
        let message = self.message();
        let send = || drop(pin!(socket.send_async(message)).poll(&mut context));
        let tally = self.call("send_async", send).1;
        assert!(tally.looks <= POLL_LOOKS_MAX, "send_async, {}: {tally:?}", self.cell);
        let tally = self.call("recv_async", || drop(pin!(socket.recv_async()).poll(&mut context))).1;
        assert!(tally.looks <= POLL_LOOKS_MAX, "recv_async, {}: {tally:?}", self.cell);
    }

    /// Calls of a socket that a poller watches.
    fn calls_that_are_watched(&mut self, socket: &mut Any) {
        let mut poller = Poller::new();
        self.call_once("add", || poller.add(socket, Interest::BOTH, ()).unwrap());
        for _ in 0..3 {
            let _ = self.call("wait", || poller.wait(Some(TURN)).map(<[_]>::len));
            self.calls_that_do_not_wait(socket);
        }
        self.call_once("remove", || poller.remove(socket).unwrap());
    }

    /// Calls that end because the context is shut down meanwhile.
    fn see_shutdown(&self, socket: &mut Any, context: &Context) {
        let is_over = Arc::new(AtomicBool::new(false));
        "shutdown".clone_into(&mut self.now.lock().unwrap());
        thread::scope(|scope| {
            scope.spawn(|| {
                context.shutdown();
                is_over.store(true, Ordering::SeqCst);
            });
            let mut is_told = || {
                matches!(socket.recv(), Err(RecvError::Terminated))
                    || socket.send(self.message()).is_err_and(|unsent| unsent.error == SendError::Terminated)
            };
            let ((), tally) = Tally::until(&is_over, || while !is_told() {});
            let what = format!("shutdown, {}", self.cell);
            self.check(&what, &tally);
            // The first that begins behind it sees it.
            assert!(tally.late <= 1, "{what}: {tally:?}");
        });
        assert_eq!(self.call_once("recv", || socket.recv()), Err(RecvError::Terminated));
        let sent = self.call_once("send", || socket.send(self.message()));
        assert_eq!(sent.unwrap_err().error, SendError::Terminated);
    }
}
