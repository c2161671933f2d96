//! The locks of this library that a thread holds, and the tasks that it wakes when it has given them back.
//!
//! A waker may run its task at once, on the thread that calls it, and that task may call anything of this library: under
//! one of our locks it would wait for ever. Whoever finds out that a task has to run mostly holds one, often some floors
//! below. So a thread counts the locks that it holds, and a task that is woken meanwhile is woken when the last one is
//! given back.

#[cfg(all(test, not(loom)))]
pub(crate) use counted::taken;
#[cfg(not(loom))]
pub(crate) use counted::{Held, Holding, wake};
#[cfg(not(loom))]
pub(super) use counted::{hold, while_waiting};
#[cfg(loom)]
pub(crate) use uncounted::{Held, wake};
#[cfg(loom)]
pub(super) use uncounted::{hold, while_waiting};

#[cfg(not(loom))]
mod counted {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::marker::PhantomData;
    use std::ops::{Deref, DerefMut};
    use std::sync::MutexGuard;
    use std::task::Waker;

    /// Beside the count: tasks are due.
    const ARE_DUE: u32 = 1 << 31;

    #[cfg(test)]
    thread_local! {
        static TAKEN: Cell<u64> = const { Cell::new(0) };
    }

    thread_local! {
        /// How many locks this thread holds.
        static HELD: Cell<u32> = const { Cell::new(0) };
        static DUE: RefCell<VecDeque<Waker>> = const { RefCell::new(VecDeque::new()) };
    }

    /// What a mutex guards, until this is dropped.
    #[derive(Debug)]
    pub(crate) struct Held<'a, T: ?Sized> {
        guard: MutexGuard<'a, T>,
        /// Behind the guard, as fields are dropped in their order: tasks are woken when the lock is free.
        holding: Holding,
    }

    /// Counts as a lock, until this is dropped. On this thread only.
    #[derive(Debug)]
    pub(crate) struct Holding(PhantomData<*const ()>);

    /// How many locks this thread has taken so far.
    #[cfg(test)]
    pub(crate) fn taken() -> u64 {
        TAKEN.get()
    }

    impl Holding {
        #[inline]
        pub(crate) fn new() -> Self {
            HELD.set(HELD.get() + 1);
            #[cfg(test)]
            TAKEN.set(TAKEN.get() + 1);
            Self(PhantomData)
        }
    }

    impl Drop for Holding {
        #[inline]
        fn drop(&mut self) {
            let held = HELD.get() - 1;
            HELD.set(held);
            if held == ARE_DUE {
                wake_due();
            }
        }
    }

    /// Wakes a task: now, or when this thread has given back the locks that it holds.
    pub(crate) fn wake(waker: Waker) {
        if HELD.get() == 0 {
            return waker.wake();
        }
        let mut waker = Some(waker);
        let is_noted = DUE.try_with(|due| due.borrow_mut().extend(waker.take()));
        match waker {
            None => HELD.set(HELD.get() | ARE_DUE),
            // The thread ends, and has no list any more.
            Some(waker) => drop(is_noted.map(|()| waker.wake())),
        }
    }

    #[cold]
    fn wake_due() {
        /// If a waker panics, the others are called when the next lock is given back.
        struct Rest;
        impl Drop for Rest {
            fn drop(&mut self) {
                let is_any = DUE.try_with(|due| !due.borrow().is_empty()).unwrap_or(false);
                HELD.set(HELD.get() | if is_any { ARE_DUE } else { 0 });
            }
        }
        HELD.set(HELD.get() & !ARE_DUE);
        let _rest = Rest;
        while let Ok(Some(waker)) = DUE.try_with(|due| due.borrow_mut().pop_front()) {
            waker.wake();
        }
    }

    #[inline]
    pub(in crate::sync) fn hold<T: ?Sized>(guard: MutexGuard<'_, T>) -> Held<'_, T> {
        Held { guard, holding: Holding::new() }
    }

    /// Gives the lock up for the time of a wait.
    pub(in crate::sync) fn while_waiting<'a, T>(
        held: Held<'a, T>,
        wait: impl FnOnce(MutexGuard<'a, T>) -> MutexGuard<'a, T>,
    ) -> Held<'a, T> {
        let Held { guard, holding } = held;
        Held { guard: wait(guard), holding }
    }

    impl<T: ?Sized> Deref for Held<'_, T> {
        type Target = T;

        #[inline]
        fn deref(&self) -> &T {
            &self.guard
        }
    }

    impl<T: ?Sized> DerefMut for Held<'_, T> {
        #[inline]
        fn deref_mut(&mut self) -> &mut T {
            &mut self.guard
        }
    }

    #[cfg(test)]
    mod tests {
        use std::sync::{Arc, Mutex};
        use std::task::Wake;

        use super::*;

        /// Takes the lock, as a task does that runs at once, and says which one it is.
        struct Task(&'static str, Mutex<Vec<&'static str>>);

        impl Wake for Task {
            fn wake(self: Arc<Self>) {
                self.1.try_lock().unwrap().push(self.0);
            }
        }

        #[test]
        fn a_task_is_woken_when_the_last_lock_is_given_back() {
            let task = Arc::new(Task("it", Mutex::default()));
            let woken = || task.1.try_lock().map(|woken| woken.len());
            let other = Mutex::new(());
            let outer = hold(task.1.lock().unwrap());
            let inner = hold(other.lock().unwrap());
            wake(Arc::clone(&task).into());
            drop(inner);
            assert!(woken().is_err(), "it would have panicked");
            drop(outer);
            assert_eq!(woken().unwrap(), 1);
            wake(Arc::clone(&task).into());
            assert_eq!(woken().unwrap(), 2, "at once, where no lock is held");
        }

        #[test]
        fn a_waker_that_panics_keeps_no_other_from_being_called() {
            struct Bad;
            impl Wake for Bad {
                fn wake(self: Arc<Self>) {
                    panic!("this panic is part of the test");
                }
            }
            let task = Arc::new(Task("it", Mutex::default()));
            let other = Mutex::new(());
            let panicked = std::panic::catch_unwind(|| {
                let _held = hold(other.lock().unwrap());
                wake(Arc::new(Bad).into());
                wake(Arc::clone(&task).into());
            });
            assert!(panicked.is_err() && task.1.lock().unwrap().is_empty());
            drop(hold(other.lock().unwrap()));
            assert_eq!(task.1.lock().unwrap().len(), 1);
        }
    }
}

/// In models every thread is the same one for the system, and no waker takes a lock.
#[cfg(loom)]
mod uncounted {
    use std::task::Waker;

    use loom::sync::MutexGuard;

    pub(crate) type Held<'a, T> = MutexGuard<'a, T>;

    pub(crate) fn wake(waker: Waker) {
        waker.wake();
    }

    pub(in crate::sync) fn hold<T: ?Sized>(guard: MutexGuard<'_, T>) -> Held<'_, T> {
        guard
    }

    pub(in crate::sync) fn while_waiting<'a, T>(
        held: Held<'a, T>,
        wait: impl FnOnce(MutexGuard<'a, T>) -> MutexGuard<'a, T>,
    ) -> Held<'a, T> {
        wait(held)
    }
}
