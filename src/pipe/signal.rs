//! A socket's signal: notices for it, and whoever waits for them.
//!
//! One mailbox, and four ways to wait: a thread that sleeps in it, a thread that sleeps in a poll, tasks of some
//! executor, and observers, which are told of many sockets. The second and the third leave a [`Waker`], each in a place
//! of its own, so that none of them takes the wake-up of another one. Those who post do the same for all, once per
//! sleep of a pipe.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crate::interest::Interest;
use crate::pipe::Mailbox;
use crate::pipe::mailbox::{Heed, Observer, Sleepers};
use crate::sync::{AtomicBool, Mutex, Ordering, lock, wake};

/// Notices of type `T` for one owner, who waits for them here or elsewhere.
pub(crate) struct Signal<T> {
    mailbox: Mailbox<T>,
    /// How those are woken who do not sleep in the mailbox, as [`Sleepers::ELSEWHERE`] has them.
    wakers: Mutex<[Option<Waker>; Sleepers::ELSEWHERE.len()]>,
    /// The owner's thread sleeps in a poll, and does there what the kernel reports.
    is_awaited: AtomicBool,
}

impl<T> Signal<T> {
    pub(crate) fn new() -> Self {
        Self { mailbox: Mailbox::new(), wakers: Mutex::default(), is_awaited: AtomicBool::new(false) }
    }

    /// Posts a notice, after which the owner may be able to do what `hint` says, and wakes whoever waits.
    pub(crate) fn post_with(&self, item: T, hint: Interest) {
        let asleep = self.mailbox.post_with(item, hint);
        if !asleep.is_none() {
            self.wake(asleep);
        }
    }

    /// See [`Mailbox::remind`].
    pub(crate) fn remind(&self) {
        let asleep = self.mailbox.remind();
        if !asleep.is_none() {
            self.wake(asleep);
        }
    }

    /// Wakes whoever sleeps of these, without a notice: what they wait for may be possible now.
    #[cfg_attr(not(feature = "futures"), allow(dead_code, reason = "streams and sinks are not there"))]
    pub(crate) fn rouse(&self, who: Sleepers) {
        self.wake(self.mailbox.rouse(who));
    }

    fn wake(&self, asleep: Sleepers) {
        let wakers = lock(&self.wakers);
        let mut woken = [const { None }; Sleepers::ELSEWHERE.len()];
        for ((who, waker), woken) in Sleepers::ELSEWHERE.into_iter().zip(&*wakers).zip(&mut woken) {
            if asleep.includes(who) {
                woken.clone_from(waker);
            }
        }
        drop(wakers);
        let [poll, tasks @ ..] = woken;
        // It is one of this library, which does nothing but wake its thread.
        poll.into_iter().for_each(Waker::wake);
        tasks.into_iter().flatten().for_each(wake);
    }

    /// See [`Mailbox::sweep`].
    pub(crate) fn sweep(&self, least: usize, is_void: impl FnMut(&mut T) -> bool) -> Vec<T> {
        self.mailbox.sweep(least, is_void)
    }

    /// See [`Mailbox::look`].
    pub(crate) fn look(&self, each: impl FnMut(&mut T)) {
        self.mailbox.look(each);
    }

    /// Announces that the owner's thread will sleep in a poll until `waker` is called. `false`: something was
    /// posted, do not sleep.
    pub(crate) fn listen(&self, waker: &Waker) -> bool {
        self.is_awaited.store(true, Ordering::Relaxed);
        self.register(Sleepers::POLL, waker)
    }

    /// Announces that somebody sleeps, a task, say, until `waker` is called. `false`: something was posted, look again.
    pub(crate) fn register(&self, who: Sleepers, waker: &Waker) -> bool {
        let mut wakers = lock(&self.wakers);
        let place = Self::place(&mut *wakers, who);
        let old = match place {
            Some(Some(last)) if last.will_wake(waker) => None,
            Some(place) => place.replace(waker.clone()),
            None => None,
        };
        drop(wakers);
        drop(old); // without the lock: it may be the last of a task, whose drop runs foreign code
        self.mailbox.sleep_elsewhere(who)
    }

    fn place(wakers: &mut [Option<Waker>], who: Sleepers) -> Option<&mut Option<Waker>> {
        let mut places = Sleepers::ELSEWHERE.into_iter().zip(wakers);
        places.find_map(|(of, place)| (of == who).then_some(place))
    }

    /// The owner waits for its waker no more.
    pub(crate) fn stop_listening(&self) {
        self.is_awaited.store(false, Ordering::Relaxed);
        self.mailbox.awake(Sleepers::POLL);
    }

    /// The one who slept waits no more, and its waker is let go.
    pub(crate) fn unregister(&self, who: Sleepers) {
        drop(self.take_waker(who)); // as in `register`
    }

    /// The one who slept waits no more. Returns its waker, to be dropped without any lock.
    #[must_use]
    pub(crate) fn take_waker(&self, who: Sleepers) -> Option<Waker> {
        self.mailbox.awake(who);
        Self::place(&mut *lock(&self.wakers), who).and_then(Option::take)
    }

    /// Whether a thread sleeps in a poll for it. Exact on that thread.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed) || self.mailbox.is_awaited()
    }

    /// Whether somebody is shown what the owner can do. Exact on the owner's thread.
    pub(crate) fn is_observed(&self) -> bool {
        self.mailbox.is_observed()
    }

    /// Whether something was posted.
    pub(crate) fn has_items(&self) -> bool {
        self.mailbox.has_items()
    }

    /// From now on `observer` is shown what the owner can do. The owner says so next.
    pub(crate) fn observe(&self, observer: Arc<dyn Observer>, heed: Heed) {
        self.mailbox.observe(observer, heed);
    }

    /// From now on observers are told of this.
    pub(crate) fn set_heed(&self, heed: Heed) {
        self.mailbox.set_heed(heed);
    }

    /// Shows nothing more to `observer`.
    pub(crate) fn ignore(&self, observer: &Arc<dyn Observer>) {
        self.mailbox.ignore(observer);
    }

    /// The owner has looked, and shows what it can do. `false`: something was posted meanwhile, look again.
    pub(crate) fn settle(&self, ready: Interest) -> bool {
        self.mailbox.settle(ready)
    }

    /// Whether something was posted, or somebody observes.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.mailbox.has_mail()
    }

    /// See [`Mailbox::take`].
    pub(crate) fn take(&self, into: &mut Vec<T>) -> bool {
        self.mailbox.take(into)
    }

    /// See [`Mailbox::show_as_told`].
    pub(crate) fn show_as_told(&self, ready: Interest) {
        self.mailbox.show_as_told(ready);
    }

    /// See [`Mailbox::wait`].
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        self.mailbox.wait(deadline)
    }

    /// Drops everything that was posted, and from now on everything that will be.
    pub(crate) fn close(&self) {
        self.mailbox.close();
        let wakers = std::mem::take(&mut *lock(&self.wakers));
        drop(wakers); // as in `register`
    }
}
