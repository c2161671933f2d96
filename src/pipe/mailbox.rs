//! A mailbox: notices from many threads to one, and the place where that one sleeps.
//!
//! Not for messages: a notice is posted once per sleep of a pipe, so a lock serves. A poster learns whether
//! the owner sleeps in some place of its own (an I/O thread in its poll) and must be woken there.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use crate::interest::Interest;
use crate::limits::{MAIL_SWEPT_MIN, MAIL_UNSEEN_MAX, MAILBOX_CAPACITY, PEERS_MANY};
use crate::sync::{AtomicU8, Condvar, Held, Mutex, Ordering, do_each, lock, wait, wait_until};

/// Something was posted.
const MAIL: u8 = 1;
/// Somebody observes.
const OBSERVED: u8 = 2;

/// Is shown what the owner of a mailbox can do, whatever thread the owner is on: a poller's, or a descriptor's.
///
/// Called with the mailbox locked: must not call back.
pub(crate) trait Observer: Send + Sync {
    /// What the owner can do now, or perhaps: it says itself when it has looked.
    fn show(&self, ready: Interest);
    /// Whether a thread sleeps for it in a poll, and does there what the kernel reports.
    fn is_awaited(&self) -> bool;
    /// The owner is gone.
    fn end(&self);
}

/// Who sleeps until something is posted. An owner may do so in several ways at a time: one task reads a socket, another
/// one writes to it, and a thread has it in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sleepers(u8);

impl Sleepers {
    pub(crate) const NONE: Self = Self(0);
    /// A thread in [`Mailbox::wait`], which is woken here. Those below sleep elsewhere: the poster wakes them.
    const HERE: Self = Self(1);
    /// A thread in a poll.
    pub(crate) const POLL: Self = Self(2);
    /// The task of a future, of which there is one at a time.
    pub(crate) const CALL: Self = Self(4);
    /// The task that reads a stream.
    #[cfg_attr(not(feature = "futures"), allow(dead_code, reason = "streams are not there"))]
    pub(crate) const STREAM: Self = Self(8);
    /// The task that writes to a sink.
    #[cfg_attr(not(feature = "futures"), allow(dead_code, reason = "sinks are not there"))]
    pub(crate) const SINK: Self = Self(16);
    /// All that sleep elsewhere: the thread, and the tasks.
    pub(crate) const ELSEWHERE: [Self; 4] = [Self::POLL, Self::CALL, Self::STREAM, Self::SINK];

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub(crate) fn includes(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

/// What of that which is posted observers are told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heed {
    /// Of what a change can come from others.
    pub(crate) hints: Interest,
    /// Any notice may mean that the owner has something to do.
    pub(crate) is_curious: bool,
}

struct State<T> {
    items: Vec<T>,
    /// At so many it is worth to look for those that are void.
    sweep_at: usize,
    /// The owner has left something to be done, of which no notice tells.
    is_reminded: bool,
    asleep: Sleepers,
    /// The owner will never look again: what is posted is dropped.
    is_gone: bool,
    /// What observers were shown last.
    ready: Interest,
    observers: Vec<Arc<dyn Observer>>,
    heed: Heed,
}

impl<T> State<T> {
    fn has_news(&self) -> bool {
        self.is_reminded || !self.items.is_empty()
    }

    fn show(&mut self, ready: Interest) {
        self.ready = ready;
        self.observers.iter().for_each(|observer| observer.show(ready));
    }
}

/// Notices of type `T` for one owner.
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    arrival: Condvar,
    flags: AtomicU8,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        let state = State {
            items: Vec::with_capacity(MAILBOX_CAPACITY),
            sweep_at: MAIL_SWEPT_MIN,
            is_reminded: false,
            asleep: Sleepers::NONE,
            is_gone: false,
            ready: Interest::NONE,
            observers: Vec::new(),
            heed: Heed::default(),
        };
        Self { state: Mutex::new(state), arrival: Condvar::new(), flags: AtomicU8::new(0) }
    }

    /// Posts a notice. Returns who sleeps elsewhere, and must be woken by the caller.
    pub(crate) fn post(&self, item: T) -> Sleepers {
        self.post_with(item, Interest::NONE)
    }

    /// Posts a notice, after which the owner may be able to do what `hint` says.
    pub(crate) fn post_with(&self, item: T, hint: Interest) -> Sleepers {
        let mut state = lock(&self.state);
        if state.is_gone {
            drop(state); // first: dropping the item may post
            drop(item);
            return Sleepers::NONE;
        }
        state.items.push(item);
        // Relaxed, here and wherever flags are stored, always with the lock: a hint for `has_mail`; the items
        // themselves are behind the lock.
        self.flags.store(self.flags.load(Ordering::Relaxed) | MAIL, Ordering::Relaxed);
        if !state.observers.is_empty() {
            // Whoever never looks shall look before a storm of notices has gathered.
            let is_urgent = state.heed.is_curious || state.items.len() > MAIL_UNSEEN_MAX;
            let is_any = is_urgent || hint == Interest::BOTH;
            let hint = if is_any { Interest::BOTH } else { hint & state.heed.hints };
            let ready = state.ready | hint;
            if ready != state.ready {
                state.show(ready);
            }
        }
        self.rouse_all(state)
    }

    /// The owner has left something to be done: it looks again before it sleeps, or whoever sleeps for it does. Those who
    /// sleep elsewhere, whom the caller must wake.
    pub(crate) fn remind(&self) -> Sleepers {
        let mut state = lock(&self.state);
        if state.is_gone {
            return Sleepers::NONE;
        }
        state.is_reminded = true;
        self.flags.store(self.flags.load(Ordering::Relaxed) | MAIL, Ordering::Relaxed);
        self.rouse_all(state)
    }

    /// Wakes whoever sleeps here. Those who sleep elsewhere.
    fn rouse_all(&self, mut state: Held<'_, State<T>>) -> Sleepers {
        let asleep = std::mem::replace(&mut state.asleep, Sleepers::NONE);
        drop(state);
        if asleep.includes(Sleepers::HERE) {
            self.arrival.notify_one();
        }
        asleep.without(Sleepers::HERE)
    }

    /// Whether something was posted, or somebody observes: a hint that is right when the poster happened before.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.flags.load(Ordering::Relaxed) != 0
    }

    /// Whether something was posted.
    pub(crate) fn has_items(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & MAIL != 0
    }

    /// Whether somebody observes. Exact on the owner's thread.
    pub(crate) fn is_observed(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & OBSERVED != 0
    }

    /// From now on `observer` is shown what the owner can do. The owner says so next.
    pub(crate) fn observe(&self, observer: Arc<dyn Observer>, heed: Heed) {
        let mut state = lock(&self.state);
        state.observers.push(observer);
        state.heed = heed;
        self.flags.store(self.flags.load(Ordering::Relaxed) | OBSERVED, Ordering::Relaxed);
    }

    /// From now on observers are told of this.
    pub(crate) fn set_heed(&self, heed: Heed) {
        lock(&self.state).heed = heed;
    }

    /// Shows nothing more to `observer`.
    pub(crate) fn ignore(&self, observer: &Arc<dyn Observer>) {
        let mut state = lock(&self.state);
        state.observers.retain(|other| !Arc::ptr_eq(other, observer));
        if state.observers.is_empty() {
            self.flags.store(self.flags.load(Ordering::Relaxed) & !OBSERVED, Ordering::Relaxed);
        }
    }

    /// The owner has looked, and shows what it can do. `false`: something was posted meanwhile, look again.
    pub(crate) fn settle(&self, ready: Interest) -> bool {
        let mut state = lock(&self.state);
        let is_settled = state.items.is_empty();
        if is_settled {
            state.show(ready);
        }
        is_settled
    }

    /// The owner has looked, but not at everything: shows what it can do, and what changes of others it heeds.
    pub(crate) fn show_as_told(&self, ready: Interest) {
        let mut state = lock(&self.state);
        let ready = ready | state.heed.hints;
        state.show(ready);
    }

    /// Whether a thread sleeps in a poll for an observer.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_observed() && lock(&self.state).observers.iter().any(|observer| observer.is_awaited())
    }

    /// Takes everything that was posted, into the empty `into`. Whether the owner was reminded of something else.
    pub(crate) fn take(&self, into: &mut Vec<T>) -> bool {
        if into.capacity() > PEERS_MANY * MAILBOX_CAPACITY {
            // A storm of notices is over; the room for the next one is in the other list.
            *into = Vec::with_capacity(MAILBOX_CAPACITY);
        }
        let mut state = lock(&self.state);
        std::mem::swap(&mut state.items, into);
        state.sweep_at = MAIL_SWEPT_MIN;
        self.flags.store(self.flags.load(Ordering::Relaxed) & !MAIL, Ordering::Relaxed);
        std::mem::take(&mut state.is_reminded)
    }

    /// Takes out what is void, if the owner has let so much gather that it is worth to look, and so many at `least`.
    ///
    /// `is_void` is called with the mailbox locked: must not call back, nor drop anything.
    pub(crate) fn sweep(&self, least: usize, mut is_void: impl FnMut(&mut T) -> bool) -> Vec<T> {
        let mut state = lock(&self.state);
        if state.items.len() < state.sweep_at.max(least) {
            return Vec::new();
        }
        let items = std::mem::take(&mut state.items);
        let (mut void, mut left) = (Vec::new(), Vec::new());
        for mut item in items {
            if is_void(&mut item) { void.push(item) } else { left.push(item) }
        }
        state.sweep_at = MAIL_SWEPT_MIN.max(2 * left.len());
        state.items = left;
        void
    }

    /// Shows everything that was posted and not taken, with the mailbox locked, as [`sweep`](Self::sweep).
    pub(crate) fn look(&self, each: impl FnMut(&mut T)) {
        lock(&self.state).items.iter_mut().for_each(each);
    }

    /// Drops everything that was posted, and from now on everything that will be.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.is_gone = true;
        let items = std::mem::take(&mut state.items);
        let observers = std::mem::take(&mut state.observers);
        drop(state); // first: dropping the items may post
        do_each(items, drop);
        observers.iter().for_each(|observer| observer.end());
    }

    /// Sleeps until something is posted or `deadline` has passed. `false`: it has, whatever was posted.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut state = lock(&self.state);
        if state.has_news() {
            // Of an owner that is always told of something, nobody else looks at the time.
            return deadline.is_none_or(|deadline| Instant::now() < deadline);
        }
        while !state.has_news() {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                state.asleep = state.asleep.without(Sleepers::HERE);
                return false;
            }
            state.asleep = state.asleep.with(Sleepers::HERE);
            state = match deadline {
                None => wait(&self.arrival, state),
                Some(deadline) => wait_until(&self.arrival, state, deadline),
            };
        }
        state.asleep = state.asleep.without(Sleepers::HERE);
        true
    }

    /// Announces that the owner, or another one of its tasks, will sleep elsewhere. `false`: something was posted, do
    /// not sleep.
    pub(crate) fn sleep_elsewhere(&self, who: Sleepers) -> bool {
        let mut state = lock(&self.state);
        let may_sleep = !state.has_news();
        if may_sleep {
            state.asleep = state.asleep.with(who);
        }
        may_sleep
    }

    /// These woke by themselves.
    pub(crate) fn awake(&self, who: Sleepers) {
        let mut state = lock(&self.state);
        state.asleep = state.asleep.without(who);
    }

    /// Has these woken, without a notice. Returns who of them sleeps, and must be woken by the caller.
    #[cfg_attr(not(feature = "futures"), allow(dead_code, reason = "streams and sinks are not there"))]
    pub(crate) fn rouse(&self, who: Sleepers) -> Sleepers {
        let mut state = lock(&self.state);
        let roused = Sleepers(state.asleep.0 & who.0);
        state.asleep = state.asleep.without(who);
        roused
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Notify;
    use loom::thread;

    use super::*;
    use crate::pipe::models::{check, check_within};
    use crate::sync::Arc;

    /// A mailbox, and the place elsewhere where its owner sleeps.
    struct Post {
        mailbox: Mailbox<std::sync::Arc<()>>,
        bell: Notify,
        /// Every item is a clone: the count tells how many were not dropped.
        item: std::sync::Arc<()>,
    }

    impl Post {
        fn new() -> Arc<Self> {
            Arc::new(Self { mailbox: Mailbox::new(), bell: Notify::new(), item: std::sync::Arc::new(()) })
        }

        fn post(&self) {
            if !self.mailbox.post(std::sync::Arc::clone(&self.item)).is_none() {
                self.bell.notify();
            }
        }

        /// How many items there were.
        fn take(&self) -> usize {
            let mut items = Vec::new();
            self.mailbox.take(&mut items);
            items.len()
        }

        fn live(&self) -> usize {
            std::sync::Arc::strong_count(&self.item) - 1
        }
    }

    #[test]
    fn an_owner_that_waits_hears_of_every_post() {
        check(|| {
            let post = Post::new();
            let posters = [1, 2].map(|count| spawn(&post, move |post| (0..count).for_each(|_| post.post())));
            let mut taken = 0;
            while taken < 3 {
                assert!(post.mailbox.wait(None));
                taken += post.take();
            }
            posters.into_iter().for_each(|poster| poster.join().unwrap());
            assert_eq!((taken, post.live()), (3, 0));
        });
    }

    #[test]
    fn an_owner_that_sleeps_elsewhere_is_woken_there() {
        check(|| {
            let post = Post::new();
            let posters = [1, 2].map(|count| spawn(&post, move |post| (0..count).for_each(|_| post.post())));
            let mut taken = 0;
            while taken < 3 {
                if post.mailbox.sleep_elsewhere(Sleepers::CALL) {
                    post.bell.wait();
                }
                taken += post.take();
            }
            posters.into_iter().for_each(|poster| poster.join().unwrap());
        });
    }

    #[test]
    fn an_owner_that_woke_by_itself_finds_what_is_posted() {
        check_within(5, || {
            let post = Post::new();
            let poster = spawn(&post, |post| {
                post.post();
                post.post();
            });
            let mut taken = 0;
            if post.mailbox.sleep_elsewhere(Sleepers::CALL) {
                post.mailbox.awake(Sleepers::CALL);
                taken += post.take();
            }
            while taken < 2 {
                assert!(post.mailbox.wait(None));
                taken += post.take();
            }
            poster.join().unwrap();
        });
    }

    #[test]
    fn the_hint_is_right_when_the_posts_happened_before() {
        check_within(5, || {
            let post = Post::new();
            let poster = spawn(&post, |post| {
                post.post();
                post.post();
            });
            let taken = post.take();
            poster.join().unwrap();
            assert_eq!(post.mailbox.has_mail(), taken < 2);
        });
    }

    #[test]
    fn a_closed_mailbox_keeps_nothing() {
        check_within(5, || {
            let post = Post::new();
            let poster = spawn(&post, |post| {
                post.post();
                post.post();
            });
            post.mailbox.close();
            poster.join().unwrap();
            assert_eq!(post.live(), 0);
        });
    }

    fn spawn(post: &Arc<Post>, work: impl FnOnce(&Post) + 'static) -> thread::JoinHandle<()> {
        let post = Arc::clone(post);
        thread::spawn(move || work(&post))
    }
}
