//! A mailbox: notices from many threads to one, and the place where that one sleeps.
//!
//! Not for messages: a notice is posted once per sleep of a pipe, so a lock serves. A poster learns whether
//! the owner sleeps in some place of its own (an I/O thread in its poll) and must be woken there.
#![forbid(unsafe_code)]

use std::time::Instant;

use crate::sync::{AtomicBool, Condvar, Mutex, Ordering, lock, wait, wait_until};

/// What the owner does while nothing is posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Awake,
    /// In [`Mailbox::wait`]: woken here.
    AsleepHere,
    /// Somewhere else: the poster wakes it.
    AsleepElsewhere,
    /// It will never look again: what is posted is dropped.
    Gone,
}

struct State<T> {
    items: Vec<T>,
    owner: Owner,
}

/// Notices of type `T` for one owner.
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    arrival: Condvar,
    has_mail: AtomicBool,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State { items: Vec::new(), owner: Owner::Awake }),
            arrival: Condvar::new(),
            has_mail: AtomicBool::new(false),
        }
    }

    /// Posts a notice. `true`: the owner sleeps elsewhere, and the caller must wake it.
    pub(crate) fn post(&self, item: T) -> bool {
        let mut state = lock(&self.state);
        if state.owner == Owner::Gone {
            drop(state); // first: dropping the item may post
            drop(item);
            return false;
        }
        state.items.push(item);
        // Relaxed: a hint for `has_mail`; the items themselves are behind the lock.
        self.has_mail.store(true, Ordering::Relaxed);
        let owner = std::mem::replace(&mut state.owner, Owner::Awake);
        drop(state);
        if owner == Owner::AsleepHere {
            self.arrival.notify_one();
        }
        owner == Owner::AsleepElsewhere
    }

    /// Whether something was posted: a hint that is right when the poster happened before.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Relaxed)
    }

    /// Takes everything that was posted, into the empty `into`.
    pub(crate) fn take(&self, into: &mut Vec<T>) {
        let mut state = lock(&self.state);
        std::mem::swap(&mut state.items, into);
        self.has_mail.store(false, Ordering::Relaxed);
    }

    /// Drops everything that was posted, and from now on everything that will be.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.owner = Owner::Gone;
        let items = std::mem::take(&mut state.items);
        drop(state); // first: dropping the items may post
        drop(items);
    }

    /// Sleeps until something is posted or `deadline` has passed. `false`: nothing was posted.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut state = lock(&self.state);
        while state.items.is_empty() {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                state.owner = Owner::Awake;
                return false;
            }
            state.owner = Owner::AsleepHere;
            state = match deadline {
                None => wait(&self.arrival, state),
                Some(deadline) => wait_until(&self.arrival, state, deadline),
            };
        }
        state.owner = Owner::Awake;
        true
    }

    /// Announces that the owner will sleep elsewhere. `false`: something was posted, do not sleep.
    pub(crate) fn sleep_elsewhere(&self) -> bool {
        let mut state = lock(&self.state);
        let may_sleep = state.items.is_empty();
        if may_sleep {
            state.owner = Owner::AsleepElsewhere;
        }
        may_sleep
    }

    /// The owner woke by itself.
    pub(crate) fn awake(&self) {
        lock(&self.state).owner = Owner::Awake;
    }
}
