//! Where threads meet that share a socket: one at a time is in it, and nobody who waits keeps others out.
//!
//! Who finds no message, or no room, lines up, one line for each, and leaves the socket to the others. One of all
//! those who wait, the watcher, sleeps in the socket's mailbox; the others sleep until they are called. Whoever takes
//! mail in, be it on the way to something else, calls the first of each line, and whoever leaves a line calls the next.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::io::{SocketMailbox, ToSocket};
use crate::limits::PASSED_MAX;
use crate::patterns::Pattern;
use crate::pipe::Ready;
use crate::session;
use crate::socket::Socket;
use crate::socket::core::Core;
use crate::socket::shared::lock::{FairLock, Guard};
use crate::socket_type::SocketType;
use crate::sync::{Condvar, Mutex, lock, wait, wait_until};

/// A socket, and who waits for it.
pub(super) struct Hub<P: Pattern> {
    inside: FairLock<Inside<P>>,
    mailbox: Arc<SocketMailbox>,
    /// How long a thread looks before it sleeps.
    spin: Duration,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) enum Side {
    Messages,
    Room,
}

/// What only one thread at a time may see.
struct Inside<P: Pattern> {
    socket: Socket<P>,
    messages: Line,
    room: Line,
    watcher: Option<Arc<Waiter>>,
    /// The socket's changes of which the lines were told.
    told: u64,
    /// Those who wait for room wait for that of different peers: none of them is before another.
    is_addressed: bool,
}

/// Those who wait for the same, in their order.
#[derive(Default)]
struct Line {
    waiters: VecDeque<Arc<Waiter>>,
    /// How often the first was passed.
    passed: u32,
}

/// Where one thread sleeps.
#[derive(Default)]
struct Waiter {
    is_called: Mutex<bool>,
    call: Condvar,
}

impl<P: Pattern> Hub<P> {
    pub(super) fn new(socket: Socket<P>) -> Self {
        let mailbox = Arc::clone(&socket.core.mailbox);
        let (spin, told) = (socket.core.context.spin, socket.core.changes());
        let is_addressed = matches!(socket.socket_type(), SocketType::Router | SocketType::Stream);
        let (messages, room) = (Line::default(), Line::default());
        let inside = Inside { socket, messages, room, watcher: None, told, is_addressed };
        Self { inside: FairLock::new(inside), mailbox, spin }
    }

    pub(super) fn into_socket(self) -> Socket<P> {
        self.inside.into_inner().socket
    }

    /// Does something with the socket that does not wait.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Socket<P>) -> R) -> R {
        let mut inside = self.inside.take();
        let done = act(&mut inside.socket);
        inside.tell();
        done
    }

    /// Tries once. `None`: nothing there, or others wait for it already.
    #[inline]
    pub(super) fn attempt<R>(
        &self,
        side: Side,
        attempt: impl FnOnce(&mut Socket<P>) -> Option<R>,
    ) -> Option<R> {
        self.inside.take().attempt_passing(side, attempt)
    }

    /// Tries until it succeeds, or the deadline has passed: then `None`.
    #[inline]
    pub(super) fn wait<R>(
        &self,
        side: Side,
        deadline: impl FnOnce(&Core) -> Option<Instant>,
        mut attempt: impl FnMut(&mut Socket<P>) -> Option<R>,
    ) -> Option<R> {
        let mut inside = self.inside.take();
        match inside.attempt_passing(side, &mut attempt) {
            Some(done) => Some(done),
            None => self.wait_in_line(inside, side, deadline, attempt),
        }
    }

    #[cold]
    fn wait_in_line<'a, R>(
        &'a self,
        mut inside: Guard<'a, Inside<P>>,
        side: Side,
        deadline: impl FnOnce(&Core) -> Option<Instant>,
        mut attempt: impl FnMut(&mut Socket<P>) -> Option<R>,
    ) -> Option<R> {
        let deadline = deadline(&inside.socket.core);
        let me = Arc::new(Waiter::default());
        inside.line(side).waiters.push_back(Arc::clone(&me));
        loop {
            let is_watcher = inside.watcher.is_none();
            if is_watcher {
                inside.watcher = Some(Arc::clone(&me));
            }
            drop(inside);
            let is_in_time = if is_watcher {
                session::wait(iter::once(&*self.mailbox), deadline, self.spin)
            } else {
                // What this thread has queued does not wait for a tick while it sleeps elsewhere than its streams know.
                session::leave();
                me.wait(deadline)
            };
            inside = self.inside.take();
            if is_watcher {
                inside.watcher = None;
                let Socket { core, pattern } = &mut inside.socket;
                core.take_mail(pattern);
                inside.tell();
            }
            // Also when the time is over: there may be something by now.
            let done = if inside.may_try(side, &me) { attempt(&mut inside.socket) } else { None };
            inside.tell();
            if done.is_some() || !is_in_time {
                inside.leave(side, &me);
                return done;
            }
        }
    }

    /// Calls whoever waits first, because something has changed that the socket does not tell.
    pub(super) fn call_first(&self, side: Side) {
        self.inside.take().call_first(side);
    }

    /// How many threads wait, and whether one of them watches.
    #[cfg(test)]
    pub(super) fn waiting(&self, side: Side) -> (usize, bool) {
        let mut inside = self.inside.take();
        (inside.line(side).waiters.len(), inside.watcher.is_some())
    }
}

impl<P: Pattern> Inside<P> {
    /// Tries, unless those who wait were passed too often.
    #[inline]
    fn attempt_passing<R>(
        &mut self,
        side: Side,
        attempt: impl FnOnce(&mut Socket<P>) -> Option<R>,
    ) -> Option<R> {
        if self.line(side).passed >= PASSED_MAX {
            return None;
        }
        let done = attempt(&mut self.socket);
        let passes = done.is_some() && !self.is_mixed(side);
        let line = self.line(side);
        line.passed += u32::from(passes && !line.waiters.is_empty());
        self.tell();
        done
    }

    /// Calls the first of each line, if there were news for the socket.
    #[inline]
    fn tell(&mut self) {
        let changes = self.socket.core.changes();
        if changes != self.told {
            self.told = changes;
            self.call_first(Side::Messages);
            self.call_first(Side::Room);
        }
    }

    /// Calls the first in line; all, if none of them is before another.
    fn call_first(&mut self, side: Side) {
        if self.is_mixed(side) {
            return self.room.waiters.iter().for_each(|waiter| self.call(waiter));
        }
        if let Some(first) = self.line(side).waiters.front().map(Arc::clone) {
            self.call(&first);
        }
    }

    fn call(&self, waiter: &Arc<Waiter>) {
        if self.watcher.as_ref().is_some_and(|watcher| Arc::ptr_eq(watcher, waiter)) {
            // It sleeps in the mailbox; what is in the mail does not matter.
            self.socket.core.mailbox.post(ToSocket::Ready(0, Ready::Quiet));
        } else {
            waiter.call();
        }
    }

    fn is_mixed(&self, side: Side) -> bool {
        self.is_addressed && side == Side::Room
    }

    fn may_try(&mut self, side: Side, waiter: &Arc<Waiter>) -> bool {
        self.is_mixed(side) || self.is_first(side, waiter)
    }

    fn is_first(&mut self, side: Side, waiter: &Arc<Waiter>) -> bool {
        self.line(side).waiters.front().is_some_and(|first| Arc::ptr_eq(first, waiter))
    }

    /// A thread waits no more: others may find what it has left, and somebody has to watch.
    fn leave(&mut self, side: Side, waiter: &Arc<Waiter>) {
        let was_first = self.is_first(side, waiter);
        let line = self.line(side);
        line.waiters.retain(|other| !Arc::ptr_eq(other, waiter));
        if was_first {
            line.passed = 0;
            self.call_first(side);
        }
        if self.watcher.is_none() {
            self.call_first(Side::Messages);
            self.call_first(Side::Room);
        }
    }

    #[inline]
    fn line(&mut self, side: Side) -> &mut Line {
        match side {
            Side::Messages => &mut self.messages,
            Side::Room => &mut self.room,
        }
    }
}

impl Waiter {
    /// Sleeps until it is called or `deadline` has passed. `false`: it has.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut is_called = lock(&self.is_called);
        while !*is_called {
            is_called = match deadline {
                None => wait(&self.call, is_called),
                Some(deadline) if Instant::now() >= deadline => return false,
                Some(deadline) => wait_until(&self.call, is_called, deadline),
            };
        }
        *is_called = false;
        true
    }

    fn call(&self) {
        *lock(&self.is_called) = true;
        self.call.notify_one();
    }
}
