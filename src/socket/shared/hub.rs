//! Where threads meet that share a socket: one at a time is in it, and nobody who waits keeps others out.
//!
//! Who finds no message, or no room, lines up, one line for each, and leaves the socket to the others. One of all
//! those who wait, the watcher, sleeps in the socket's mailbox; the others sleep until they are called. Whoever takes
//! mail in, be it on the way to something else, calls the first of each line, and whoever leaves a line calls the next.
//! Threads and tasks stand in the same lines.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use std::{iter, mem};

use crate::interest::Interest;
use crate::io::{SocketMailbox, ToSocket};
use crate::limits::{EXCHANGES_PASSED_MAX, LOOKS_PER_POLL, PASSED_MAX};
use crate::patterns::Pattern;
use crate::pipe::{Ready, Signal, Sleepers};
use crate::session::{self, Manner, Waited};
use crate::socket::Socket;
use crate::socket::core::Core;
use crate::socket::shared::lock::{FairLock, Guard};
use crate::socket_type::SocketType;
use crate::sync::{Mutex, lock, wake};

/// A socket, and who waits for it.
pub(super) struct Hub<P: Pattern> {
    inside: FairLock<Inside<P>>,
    mailbox: Arc<SocketMailbox>,
    /// How a thread waits.
    manner: Manner,
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
    /// How often those who wait are passed.
    passed_max: u32,
}

/// Those who wait for the same, in their order.
#[derive(Default)]
struct Line {
    waiters: VecDeque<Arc<Waiter>>,
    /// How often the first was passed.
    passed: u32,
    /// Since somebody asked last, others were served, and the first was called for that.
    is_told: bool,
}

/// Where one thread sleeps, or how one task is woken.
struct Waiter {
    call: Signal<()>,
    task: Mutex<Option<Waker>>,
}

impl<P: Pattern> Hub<P> {
    pub(super) fn new(socket: Socket<P>) -> Self {
        let mailbox = Arc::clone(&socket.core.mailbox);
        let (manner, told) = (socket.core.context.manner(), socket.core.changes());
        let is_addressed = matches!(socket.socket_type(), SocketType::Router | SocketType::Stream);
        let (messages, room) = (Line::default(), Line::default());
        let is_exchange = socket.socket_type().takes_turns();
        let passed_max = if is_exchange { EXCHANGES_PASSED_MAX } else { PASSED_MAX };
        let inside = Inside { socket, messages, room, watcher: None, told, is_addressed, passed_max };
        Self { inside: FairLock::new(inside), mailbox, manner }
    }

    pub(super) fn into_socket(self) -> Socket<P> {
        self.inside.into_inner().socket
    }

    /// Does something with the socket that does not wait.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Socket<P>) -> R) -> R {
        let mut inside = self.inside.take();
        let done = inside.waiting(|inside| inside.work(act));
        inside.ask_again(Side::Messages);
        inside.ask_again(Side::Room);
        inside.tell();
        drop(inside);
        done
    }

    /// Tries once. `None`: nothing there, or others wait for it already.
    #[inline]
    pub(super) fn attempt<R>(
        &self,
        side: Side,
        attempt: impl FnOnce(&mut Socket<P>) -> Option<R>,
    ) -> Option<R> {
        let mut inside = self.inside.take();
        let done = inside.attempt_passing(side, attempt);
        drop(inside);
        done
    }

    /// Tries until it succeeds; else: why it ended.
    #[inline]
    pub(super) fn wait<R>(
        &self,
        side: Side,
        deadline: impl FnOnce(&Core) -> Option<Instant>,
        mut attempt: impl FnMut(&mut Socket<P>) -> Option<R>,
    ) -> Result<R, Waited> {
        let mut inside = self.inside.take();
        match inside.attempt_passing(side, &mut attempt) {
            Some(done) => {
                drop(inside);
                Ok(done)
            }
            None => self.wait_in_line(inside, side, deadline, attempt),
        }
    }

    /// The same for a task: ready when it has succeeded. Dropped before, it has done nothing.
    pub(super) fn call<R, F>(&self, side: Side, attempt: F) -> Call<'_, P, F>
    where
        F: FnMut(&mut Socket<P>) -> Option<R> + Unpin,
    {
        Call { hub: self, side, attempt, place: None }
    }

    #[cold]
    fn wait_in_line<'a, R>(
        &'a self,
        mut inside: Guard<'a, Inside<P>>,
        side: Side,
        deadline: impl FnOnce(&Core) -> Option<Instant>,
        mut attempt: impl FnMut(&mut Socket<P>) -> Option<R>,
    ) -> Result<R, Waited> {
        let deadline = deadline(&inside.socket.core);
        let me = Arc::new(Waiter::new());
        inside.join(side, &me);
        let place = Place { hub: self, side, waiter: Some(&me) };
        let mut inside = inside; // behind its place, so that a panic lets go of it first
        loop {
            let is_watcher = inside.watch(&me);
            drop(inside);
            let waited = if is_watcher {
                session::wait_as(iter::once(&*self.mailbox), deadline, self.manner)
            } else {
                me.wait(deadline, self.manner)
            };
            inside = self.inside.take();
            // Also when the time is over: there may be something by now.
            let done = inside.attempt_in_line(side, &me, &mut attempt);
            if done.is_some() || waited != Waited::News {
                place.leave(&mut inside);
                drop(inside);
                return done.ok_or(waited);
            }
        }
    }

    /// Gives the socket back, before a task returns that is in line. `false`: there is something new, it tries again.
    fn sleep_as_task(&self, mut inside: Guard<'_, Inside<P>>, waiter: &Arc<Waiter>, waker: &Waker) -> bool {
        let is_watcher = inside.watch(waiter);
        drop(inside);
        // First, as it may read what this task waits for.
        session::leave();
        !is_watcher || self.mailbox.register(Sleepers::CALL, waker)
    }

    /// What the mailbox wakes, if it is this one. With the socket in hand: nobody else can have begun to watch.
    fn take_waker(&self, inside: &Inside<P>, waiter: &Arc<Waiter>) -> Option<Waker> {
        if inside.is_watcher(waiter) { self.mailbox.take_waker(Sleepers::CALL) } else { None }
    }

    /// Calls whoever waits first, because something has changed that the socket does not tell.
    pub(super) fn call_first(&self, side: Side) {
        let mut inside = self.inside.take();
        inside.call_first(side);
        drop(inside);
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
        if self.line(side).passed >= self.passed_max {
            return None;
        }
        let done = self.work(attempt);
        if done.is_some() && !self.line(side).waiters.is_empty() {
            let counts = u32::from(!self.is_mixed(side));
            self.line(side).passed += counts;
            self.ask_again(side);
        }
        self.tell();
        done
    }

    /// A pipe tells once, and who asked it last may have found that it need not wait: then nobody is told of what comes
    /// next. So whoever waits asks again.
    #[cold]
    fn ask_again(&mut self, side: Side) {
        let line = self.line(side);
        if !line.waiters.is_empty() && !mem::replace(&mut line.is_told, true) {
            self.call_first(side);
        }
    }

    /// Lines up, having asked.
    fn join(&mut self, side: Side, waiter: &Arc<Waiter>) {
        let line = self.line(side);
        line.is_told = false;
        line.waiters.push_back(Arc::clone(waiter));
    }

    /// Tries again after a sleep, if it is this one's turn.
    fn attempt_in_line<R>(
        &mut self,
        side: Side,
        waiter: &Arc<Waiter>,
        attempt: impl FnOnce(&mut Socket<P>) -> Option<R>,
    ) -> Option<R> {
        if self.is_watcher(waiter) {
            self.watcher = None;
            self.work(|Socket { core, pattern }| core.take_mail(pattern));
            self.tell();
        }
        if !self.may_try(side, waiter) {
            return None;
        }
        self.line(side).is_told = false;
        let done = self.work(attempt);
        self.tell();
        done
    }

    /// Works in the socket. If that panics, those who wait ask again: nobody has told them of anything.
    #[inline]
    fn work<R>(&mut self, work: impl FnOnce(&mut Socket<P>) -> R) -> R {
        let panicked = Panicked(self);
        let done = work(&mut panicked.0.socket);
        mem::forget(panicked);
        done
    }

    /// Watches, if nobody else does. Whether it is this one who watches.
    fn watch(&mut self, waiter: &Arc<Waiter>) -> bool {
        let watcher = self.watcher.get_or_insert_with(|| Arc::clone(waiter));
        Arc::ptr_eq(watcher, waiter)
    }

    fn is_watcher(&self, waiter: &Arc<Waiter>) -> bool {
        self.watcher.as_ref().is_some_and(|watcher| Arc::ptr_eq(watcher, waiter))
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
            for at in 0..self.room.waiters.len() {
                self.call(self.room.waiters.get(at).map(Arc::clone));
            }
        } else {
            let first = self.line(side).waiters.front().map(Arc::clone);
            self.call(first);
        }
    }

    fn call(&mut self, waiter: Option<Arc<Waiter>>) {
        let Some(waiter) = waiter else { return };
        if let Some(task) = &*lock(&waiter.task) {
            wake(task.clone()); // when the socket is given back
        } else if self.is_watcher(&waiter) {
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
            (line.passed, line.is_told) = (0, false);
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

/// What is dropped when work in a socket panics.
struct Panicked<'a, P: Pattern>(&'a mut Inside<P>);

impl<P: Pattern> Drop for Panicked<'_, P> {
    fn drop(&mut self) {
        let Self(inside) = self;
        inside.call_first(Side::Messages);
        inside.call_first(Side::Room);
    }
}

/// The place of a thread in a line, which it leaves also if it panics.
struct Place<'a, P: Pattern> {
    hub: &'a Hub<P>,
    side: Side,
    waiter: Option<&'a Arc<Waiter>>,
}

impl<P: Pattern> Place<'_, P> {
    /// The same with the socket in hand.
    fn leave(mut self, inside: &mut Inside<P>) {
        if let Some(waiter) = self.waiter.take() {
            inside.leave(self.side, waiter);
        }
    }
}

impl<P: Pattern> Drop for Place<'_, P> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        let mut inside = self.hub.inside.take();
        if inside.is_watcher(waiter) {
            inside.watcher = None;
        }
        inside.leave(self.side, waiter);
    }
}

/// A verb that a task waits for.
#[must_use = "futures do nothing unless they are polled"]
pub(super) struct Call<'a, P: Pattern, F> {
    hub: &'a Hub<P>,
    side: Side,
    attempt: F,
    /// Its place in the line.
    place: Option<Arc<Waiter>>,
}

impl<P: Pattern, F> Call<'_, P, F> {
    /// Waits no more: somebody else is next, and watches.
    fn leave(&mut self, mut inside: Guard<'_, Inside<P>>) {
        let me = self.place.take();
        let mut old = None;
        if let Some(me) = &me {
            old = self.hub.take_waker(&inside, me);
            if inside.is_watcher(me) {
                inside.watcher = None;
            }
            inside.leave(self.side, me);
        }
        drop(inside);
        drop((me, old)); // without the lock: they may be the last of a task, whose drop runs foreign code
    }
}

impl<P: Pattern, R, F: FnMut(&mut Socket<P>) -> Option<R> + Unpin> Future for Call<'_, P, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let this = self.get_mut();
        let who = match this.side {
            Side::Messages => Sleepers::STREAM,
            Side::Room => Sleepers::SINK,
        };
        let caller = (Arc::as_ptr(&this.hub.mailbox).addr(), who);
        session::poll_in_turn(caller, context, || this.poll_call(context))
    }
}

impl<P: Pattern, R, F: FnMut(&mut Socket<P>) -> Option<R> + Unpin> Call<'_, P, F> {
    fn poll_call(&mut self, context: &Context<'_>) -> Poll<R> {
        let (hub, side) = (self.hub, self.side);
        let me = if let Some(me) = &self.place {
            me.set_task(context.waker());
            Arc::clone(me)
        } else {
            let mut inside = hub.inside.take();
            if let Some(done) = inside.attempt_passing(side, &mut self.attempt) {
                drop(inside);
                return Poll::Ready(done);
            }
            let me = Arc::new(Waiter::new());
            me.set_task(context.waker());
            inside.join(side, &me);
            self.place = Some(Arc::clone(&me));
            if hub.sleep_as_task(inside, &me, context.waker()) {
                return Poll::Pending;
            }
            me
        };
        let mut looks = 0;
        loop {
            let mut inside = hub.inside.take();
            let old = hub.take_waker(&inside, &me);
            if let Some(done) = inside.attempt_in_line(side, &me, &mut self.attempt) {
                self.leave(inside);
                return Poll::Ready(done);
            }
            looks += 1;
            let is_cut_short = inside.socket.core.pipes.is_cut_short() || looks == LOOKS_PER_POLL;
            let may_sleep = hub.sleep_as_task(inside, &me, context.waker());
            drop(old); // without the lock, as above
            if !may_sleep && is_cut_short {
                // Others of the executor have their turn first.
                context.waker().wake_by_ref();
            }
            if may_sleep || is_cut_short {
                return Poll::Pending;
            }
        }
    }
}

impl<P: Pattern, F> Drop for Call<'_, P, F> {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.leave(self.hub.inside.take());
        }
    }
}

impl Waiter {
    fn new() -> Self {
        Self { call: Signal::new(), task: Mutex::new(None) }
    }

    /// The task is woken by this waker from now on.
    fn set_task(&self, waker: &Waker) {
        let mut task = lock(&self.task);
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            let old = task.replace(waker.clone());
            drop(task);
            drop(old); // without the lock, as above
        }
    }

    /// Sleeps until it is called.
    fn wait(&self, deadline: Option<Instant>, manner: Manner) -> Waited {
        let waited = session::wait_aside(&self.call, deadline, manner);
        self.call.take(&mut Vec::new());
        waited
    }

    fn call(&self) {
        self.call.post_with((), Interest::NONE);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::patterns::Pull;
    use crate::sync::{AtomicBool, Ordering};

    const PATIENCE: Duration = Duration::from_secs(30);

    fn until(is_so: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() && Instant::now() < deadline {
            thread::yield_now();
        }
        is_so()
    }

    #[test]
    fn whoever_is_passed_tries_again() {
        // The pipe had told, and who passed has asked it last, and not waited.
        let context = crate::Context::new();
        for side in [Side::Messages, Side::Room] {
            let hub = Hub::new(context.open::<Pull>().unwrap());
            let is_there = AtomicBool::new(false);
            let is_called = thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let late = Instant::now().checked_add(3 * PATIENCE);
                        hub.wait(side, |_| late, |_| is_there.load(Ordering::SeqCst).then_some(()))
                    });
                }
                assert!(until(|| hub.waiting(side) == (3, true)));
                // Once in vain, and once not.
                assert_eq!(hub.attempt(side, |_| Some(())), Some(()));
                assert!(until(|| !hub.inside.take().line(side).is_told));
                is_there.store(true, Ordering::SeqCst);
                hub.with(|_| ());
                let is_called = until(|| hub.waiting(side).0 == 0);
                hub.call_first(side); // so that the test ends, whatever it found
                is_called
            });
            assert!(is_called, "{side:?}");
        }
    }

    #[test]
    fn whoever_waits_for_an_exchange_is_passed_by_few() {
        let context = crate::Context::new();
        let hub = Hub::new(context.open::<crate::Req>().unwrap());
        let is_there = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let late = Instant::now().checked_add(3 * PATIENCE);
                hub.wait(Side::Room, |_| late, |_| is_there.load(Ordering::SeqCst).then_some(()))
            });
            let is_waiting = until(|| hub.waiting(Side::Room) == (1, true));
            let passed =
                (0..PASSED_MAX).take_while(|_| hub.attempt(Side::Room, |_| Some(())).is_some()).count();
            is_there.store(true, Ordering::SeqCst);
            hub.call_first(Side::Room); // so that the test ends, whatever it found
            assert!(is_waiting);
            assert_eq!(passed, EXCHANGES_PASSED_MAX as usize);
        });
    }
}
