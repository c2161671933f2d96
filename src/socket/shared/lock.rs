//! A lock that starves nobody: whoever waits for it is passed a bounded number of times, and by no one who came later
//! and waits as well.
//!
//! What it guards is taken out and put back, so that the mutex inside is held for a moment only, whatever is done
//! meanwhile. Handing it to the next in line each time would cost a switch of threads for each message: a thread that
//! runs may pass those that sleep, [`PASSED_MAX`] times in a row.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::hint::spin_loop;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::limits::{LOCK_LOOKS, PASSED_MAX, PAUSES_PER_LOOK};
use crate::sync::{Condvar, Holding, Mutex, lock, wait};

/// Gives one thread at a time what it guards.
pub(super) struct FairLock<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    /// None: somebody has it.
    value: Option<Box<T>>,
    /// Who waits, in their order.
    line: VecDeque<Arc<Condvar>>,
    /// The first in line was woken, and has not looked yet.
    is_called: bool,
    /// How often the first in line was passed.
    passed: u32,
}

/// What is guarded, until this is dropped.
pub(super) struct Guard<'a, T> {
    lock: &'a FairLock<T>,
    value: Option<Box<T>>,
    /// Tasks that are woken meanwhile run when it is put back: they may want it themselves.
    held: Option<Holding>,
}

impl<T> FairLock<T> {
    pub(super) fn new(value: T) -> Self {
        let value = Some(Box::new(value));
        Self { state: Mutex::new(State { value, line: VecDeque::new(), is_called: false, passed: 0 }) }
    }

    /// Takes what is guarded; waits until it is there.
    #[inline]
    pub(super) fn take(&self) -> Guard<'_, T> {
        let value = lock(&self.state).take_passing();
        let value = value.or_else(|| Some(self.take_in_line()));
        Guard { lock: self, value, held: Some(Holding::new()) }
    }

    pub(super) fn into_inner(self) -> T {
        let state = self.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(value) = state.value else { unreachable!("a guard borrows the lock") };
        *value
    }

    #[cold]
    fn take_in_line(&self) -> Box<T> {
        for _ in 0..LOCK_LOOKS {
            for _ in 0..PAUSES_PER_LOOK {
                spin_loop();
            }
            if let Some(value) = lock(&self.state).take_passing() {
                return value;
            }
        }
        let place = Arc::new(Condvar::new());
        let mut state = lock(&self.state);
        if let Some(value) = state.take_passing() {
            return value;
        }
        state.line.push_back(Arc::clone(&place));
        loop {
            state = wait(&place, state);
            if !state.line.front().is_some_and(|first| Arc::ptr_eq(first, &place)) {
                continue; // woken by nobody
            }
            state.is_called = false;
            if let Some(value) = state.value.take() {
                state.line.pop_front();
                state.passed = 0;
                return value;
            }
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.state).line.len()
    }
}

impl<T> State<T> {
    /// Takes what is guarded, if it is there and the first in line was not passed too often.
    #[inline]
    fn take_passing(&mut self) -> Option<Box<T>> {
        if !self.line.is_empty() {
            if self.passed >= PASSED_MAX || self.value.is_none() {
                return None;
            }
            self.passed += 1;
        }
        self.value.take()
    }
}

impl<T> Guard<'_, T> {
    /// Calls what may wait for others, tasks for instance, which must be woken meanwhile.
    pub(super) fn waiting<R>(&mut self, act: impl FnOnce(&mut T) -> R) -> R {
        self.held = None;
        let done = act(self);
        self.held = Some(Holding::new());
        done
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        let Some(value) = &self.value else { unreachable!("put back when it is dropped") };
        value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        let Some(value) = &mut self.value else { unreachable!("put back when it is dropped") };
        value
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let mut state = lock(&self.lock.state);
        state.value = self.value.take();
        if state.is_called {
            return;
        }
        if let Some(first) = state.line.front().map(Arc::clone) {
            state.is_called = true;
            drop(state);
            first.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::sync::{AtomicU64, Ordering};

    const THREADS: u64 = 8;
    const PATIENCE: Duration = Duration::from_secs(30);

    fn until(is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
    }

    #[test]
    fn one_thread_at_a_time_has_what_is_guarded() {
        const EACH: u64 = 20_000;
        let (count, at_work) = (FairLock::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let mut count = count.take();
                        assert_eq!(at_work.fetch_add(1, Ordering::SeqCst), 0);
                        *count += 1;
                        at_work.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!((*count.take(), count.waiting()), (THREADS * EACH, 0));
        assert_eq!(count.into_inner(), THREADS * EACH);
    }

    #[test]
    fn those_who_wait_get_it_in_their_order() {
        let order = FairLock::new(Vec::new());
        thread::scope(|scope| {
            let held = order.take();
            for number in 0..THREADS {
                let order = &order;
                scope.spawn(move || order.take().push(number));
                until(|| order.waiting() as u64 == number + 1);
            }
            drop(held);
        });
        assert_eq!(order.into_inner(), (0..THREADS).collect::<Vec<_>>());
    }

    #[test]
    fn whoever_waits_is_passed_a_bounded_number_of_times() {
        for _ in 0..20 {
            // How often others had it since the one who waits came.
            let passed = FairLock::new(None::<u32>);
            thread::scope(|scope| {
                let mut held = passed.take();
                let patient = scope.spawn(|| passed.take().take());
                until(|| passed.waiting() == 1);
                *held = Some(0);
                drop(held);
                let deadline = Instant::now() + PATIENCE;
                while let Some(count) = &mut *passed.take() {
                    *count += 1;
                    assert!(Instant::now() < deadline);
                }
                let passed = patient.join().unwrap();
                assert!(passed.is_some_and(|passed| passed <= PASSED_MAX), "{passed:?}");
            });
        }
    }

    #[test]
    fn it_is_put_back_when_a_thread_panics() {
        let guarded = FairLock::new(1);
        thread::scope(|scope| {
            let panicking = scope.spawn(|| {
                let _guard = guarded.take();
                panic!("on purpose");
            });
            panicking.join().unwrap_err();
        });
        assert_eq!(*guarded.take(), 1);
    }
}
