//! The only door to atomics, cells, locks and fences: `std`, or loom when the models run.
//!
//! Owns the asymmetric fence: [`light_fence`] on the side that runs for every message costs nothing on
//! Linux, because [`heavy_fence`] on the side that goes to sleep makes every running thread of the process
//! execute a barrier (`membarrier`). Elsewhere, and under loom, both are ordinary fences.
//!
//! And [`Process`], which tells a forked child from its parent; and [`wake`], which wakes tasks when no lock is held.
//!
//! Measured in a prototype (64 B over tcp, two pinned cores): 42 million messages/s with a full fence for
//! every message, 58 million with the asymmetric one.
#![allow(unsafe_code, reason = "the membarrier system call, signals, and to hear of forks")]
#![allow(clippy::disallowed_types, reason = "this is the door")]

#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence},
    sync::{Arc, Condvar, Mutex},
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering},
    sync::{Arc, Condvar, Mutex},
};

#[cfg(all(not(loom), not(target_os = "linux")))]
use std::sync::atomic::fence;

mod each;
mod held;

pub(crate) use each::do_each;
#[cfg(not(loom))]
pub(crate) use held::Holding;
#[cfg(all(test, not(loom)))]
pub(crate) use held::taken as locks_taken;
pub(crate) use held::{Held, wake};

use std::io;
use std::sync::{Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Locks, also when a thread panicked while it held the lock: what is behind our locks is valid at each
/// step, and a panic in one thread must not become a panic in all.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> Held<'_, T> {
    held::hold(mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

/// [`lock`] for what no loom model watches, because it lives as long as an application wants. No task is woken under it.
pub(crate) fn lock_std<T>(mutex: &StdMutex<T>) -> StdMutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks if nobody else holds the lock.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<Held<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(held::hold(guard)),
        Err(TryLockError::Poisoned(poisoned)) => Some(held::hold(poisoned.into_inner())),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Waits on `condvar`; may wake early.
pub(crate) fn wait<'a, T>(condvar: &Condvar, held: Held<'a, T>) -> Held<'a, T> {
    held::while_waiting(held, |guard| condvar.wait(guard).unwrap_or_else(PoisonError::into_inner))
}

/// Waits on `condvar` until `deadline`; may wake early.
pub(crate) fn wait_until<'a, T>(condvar: &Condvar, held: Held<'a, T>, deadline: Instant) -> Held<'a, T> {
    let left = deadline.saturating_duration_since(Instant::now());
    held::while_waiting(held, |guard| match condvar.wait_timeout(guard, left) {
        Ok((guard, _)) => guard,
        Err(poisoned) => poisoned.into_inner().0,
    })
}

/// A cell that loom can watch.
#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// A value whose leak fails the model.
#[cfg(loom)]
pub(crate) use loom::alloc::Track;

/// A cell with loom's interface.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// Offers the processor to other threads.
pub(crate) use std::thread::yield_now as give_way;

/// Puts its content on cache lines of its own: 128 octets, since processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

/// A process, as what was made in it remembers it. A child that is forked has the memory of its parent, but not its
/// threads, and shares its descriptors: what it inherits must be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u64);

impl Process {
    pub(crate) fn current() -> Self {
        #[cfg(unix)]
        forks::count_from_now();
        Self(forks::counted())
    }

    /// Whether this code runs in it.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self.0 == forks::counted()
    }
}

#[cfg(unix)]
mod forks {
    use std::sync::Once;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// How many forks lie between this process and the one that counted first.
    static FORKS: AtomicU64 = AtomicU64::new(0);
    static COUNTING: Once = Once::new();

    pub(super) fn count_from_now() {
        COUNTING.call_once(|| {
            // SAFETY: `count` may be called in a child between fork and exec, where only what is safe in a signal
            // handler is: it adds to an atomic number. It is code of this library, for whose unloading the C library
            // forgets it. When there is no room for it no fork will be noticed, and nothing else is wrong.
            unsafe { libc::pthread_atfork(None, None, Some(count)) };
        });
    }

    extern "C" fn count() {
        // Relaxed: the child has one thread.
        FORKS.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn counted() -> u64 {
        // Relaxed: it changes only while there is one thread.
        FORKS.load(Ordering::Relaxed)
    }
}

/// Has `act` called on a thread of its own when the program ends in order: `main` has returned, or `exit` was called.
#[cfg(all(unix, not(loom)))]
pub(crate) fn at_exit(act: fn()) {
    exits::call(act);
}

/// On this platform nobody hears of it.
#[cfg(not(any(unix, loom)))]
pub(crate) fn at_exit(_: fn()) {}

#[cfg(all(unix, not(loom)))]
mod exits {
    use std::sync::OnceLock;

    static ACT: OnceLock<fn()> = OnceLock::new();

    pub(super) fn call(act: fn()) {
        ACT.get_or_init(|| {
            // SAFETY: `run` may be called when `exit` runs what was registered: it starts a thread and waits for it,
            // and lets no panic through. It is code of this library, for whose unloading the C library calls it. When
            // there is no room for it nobody will hear of the end, and nothing else is wrong.
            unsafe { libc::atexit(run) };
            act
        });
    }

    extern "C" fn run() {
        // A thread of its own: this one's variables may be gone, which those who listen may need.
        if let Some(thread) = ACT.get().and_then(|act| super::spawn("peermq-exit".to_owned(), act).ok()) {
            let _ = thread.join(); // a panic has been told of
        }
    }
}

#[cfg(not(unix))]
mod forks {
    pub(super) fn counted() -> u64 {
        0
    }
}

/// Starts a thread on which no signal handlers of the program run: those are for its own threads, and what one has
/// interrupted goes on there. Except for those that tell of what the thread itself does: faults, and a profiler's clock.
pub(crate) fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let _blocked = signals::Blocked::new(); // what this thread blocks, the new one does from its start
    thread::Builder::new().name(name).spawn(run)
}

#[cfg(unix)]
mod signals {
    use std::mem::MaybeUninit;
    use std::ptr;

    use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPROF, SIGSEGV, SIGSYS, SIGTRAP};

    const OF_THE_THREAD: [libc::c_int; 8] =
        [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPROF, SIGSEGV, SIGSYS, SIGTRAP];

    /// While it is there this thread gets no signals; then, those that it got before.
    pub(super) struct Blocked(Option<libc::sigset_t>);

    impl Blocked {
        pub(super) fn new() -> Self {
            let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
            // SAFETY: room for a set, which is filled.
            unsafe { libc::sigfillset(all.as_mut_ptr()) };
            for signal in OF_THE_THREAD {
                // SAFETY: a set that was filled, and the number of a signal.
                unsafe { libc::sigdelset(all.as_mut_ptr(), signal) };
            }
            // SAFETY: a set that was filled, and room for another one.
            let failed = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr()) };
            // SAFETY: written, unless it failed.
            Self((failed == 0).then(|| unsafe { before.assume_init() }))
        }
    }

    impl Drop for Blocked {
        fn drop(&mut self) {
            if let Some(before) = &self.0 {
                // SAFETY: the set that this thread had. It cannot fail with a set that was in force.
                unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
            }
        }
    }
}

#[cfg(not(unix))]
mod signals {
    pub(super) struct Blocked;

    impl Blocked {
        pub(super) fn new() -> Self {
            Self
        }
    }
}

/// The cheap half of the asymmetric fence: orders this thread's earlier stores before its later loads, as
/// seen by a thread that runs [`heavy_fence`].
#[cfg(any(loom, not(target_os = "linux")))]
#[inline]
pub(crate) fn light_fence() {
    fence(Ordering::SeqCst);
}

/// The dear half of the asymmetric fence.
#[cfg(any(loom, not(target_os = "linux")))]
#[inline]
pub(crate) fn heavy_fence() {
    fence(Ordering::SeqCst);
}

/// Whatever has to be done once, before the first fence.
#[cfg(any(loom, not(target_os = "linux")))]
pub(crate) fn prepare_fences() {}

#[cfg(all(test, not(loom), target_os = "linux"))]
pub(crate) use membarrier::are_fences_prepared;
#[cfg(all(not(loom), target_os = "linux"))]
pub(crate) use membarrier::{heavy_fence, light_fence, prepare_fences};

#[cfg(all(not(loom), target_os = "linux"))]
mod membarrier {
    use std::sync::atomic::{AtomicU8, Ordering, compiler_fence, fence};
    use std::thread;
    use std::time::Duration;

    /// Nobody has asked the kernel.
    const UNKNOWN: u8 = 0;
    /// Heavy fences reach all threads, so that light ones need do nothing.
    const REGISTERED: u8 = 1;
    /// Both are ordinary fences.
    const UNAVAILABLE: u8 = 2;
    /// The kernel has changed its mind: light fences are ordinary ones again, but there may be threads that have not
    /// seen that yet.
    const WITHDRAWN: u8 = 3;

    /// How long a thread may take at most to see that light fences are ordinary ones, and to have shown what it stored
    /// before: its processor does both within microseconds, or at its next interrupt, for which 10 ms are one tick of
    /// the slowest kernel.
    const SEEN_WITHIN: Duration = Duration::from_millis(10);

    static PROCESS: Asymmetry = Asymmetry::new();

    /// Registers the process with the kernel, if it is not yet. Free as long as it has one thread; else the kernel
    /// waits for all processors, 15 to 45 ms, which is not what a first message should wait for.
    pub(crate) fn prepare_fences() {
        PROCESS.prepare(membarrier);
    }

    /// Whether the kernel was asked.
    #[cfg(test)]
    pub(crate) fn are_fences_prepared() -> bool {
        PROCESS.0.load(Ordering::Relaxed) != UNKNOWN
    }

    #[inline]
    pub(crate) fn light_fence() {
        PROCESS.light_fence();
    }

    pub(crate) fn heavy_fence() {
        PROCESS.heavy_fence(membarrier);
    }

    /// What both halves of the fence know of each other.
    pub(super) struct Asymmetry(AtomicU8);

    impl Asymmetry {
        pub(super) const fn new() -> Self {
            Self(AtomicU8::new(UNKNOWN))
        }

        #[inline]
        pub(super) fn light_fence(&self) {
            // Relaxed: a stale UNKNOWN only costs a full fence, which pairs with either heavy fence. A stale
            // REGISTERED is waited for by whoever withdraws it.
            if self.0.load(Ordering::Relaxed) == REGISTERED {
                compiler_fence(Ordering::SeqCst);
            } else {
                fence(Ordering::SeqCst);
            }
        }

        pub(super) fn heavy_fence(&self, call: impl Fn(libc::c_int) -> bool) {
            fence(Ordering::SeqCst);
            match self.prepare(&call) {
                REGISTERED if call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) => {}
                // Registered and refused all the same: a sandbox that was put up since. It refuses every other form of
                // the call, too.
                REGISTERED | WITHDRAWN => self.withdraw(),
                _ => {}
            }
        }

        /// Registers the process once. Both halves agree, because only a registered process skips the light
        /// fence, and a heavy fence never runs before the answer is known.
        pub(super) fn prepare(&self, call: impl Fn(libc::c_int) -> bool) -> u8 {
            match self.0.load(Ordering::Acquire) {
                UNKNOWN => {
                    let registered = call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
                    let state = if registered { REGISTERED } else { UNAVAILABLE };
                    // Two threads may both register: the kernel gives both the same answer. One that has come further
                    // meanwhile stays ahead.
                    match self.0.compare_exchange(UNKNOWN, state, Ordering::AcqRel, Ordering::Acquire) {
                        Ok(_) => state,
                        Err(known) => known,
                    }
                }
                known => known,
            }
        }

        /// Makes light fences ordinary ones, and waits until every thread has done with those that were not. Whoever
        /// comes meanwhile waits as long itself.
        #[cold]
        fn withdraw(&self) {
            self.0.store(WITHDRAWN, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            thread::sleep(SEEN_WITHIN);
            self.0.store(UNAVAILABLE, Ordering::SeqCst);
        }
    }

    fn membarrier(command: libc::c_int) -> bool {
        if cfg!(miri) {
            return false; // it does not know the call: both halves are ordinary fences
        }
        // SAFETY: membarrier(2) takes three integers and touches no memory of ours; the kernel checks the
        // command and answers an unknown one with EINVAL.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    #[cfg(test)]
    mod tests {
        use std::cell::Cell;
        use std::sync::atomic::AtomicU64;

        use super::*;
        use crate::sync::CachePadded;

        /// A game of two threads, `rounds` times: each stores, fences, and looks whether the other has stored. Returns
        /// how often neither has seen the other.
        fn both_blind(fences: &Asymmetry, rounds: u64, call: impl Fn(libc::c_int) -> bool + Sync) -> u64 {
            // Each on lines of its own, so that a store takes a while.
            let [ours, theirs, light_at, heavy_at, saw_none] =
                [(); 5].map(|()| CachePadded(AtomicU64::new(0)));
            // A round begins, and ends, for both at once.
            let meet = |own: &AtomicU64, other: &AtomicU64, at: u64| {
                own.store(at, Ordering::SeqCst);
                let mut looks = 0_u32;
                while other.load(Ordering::SeqCst) < at {
                    looks += 1;
                    if looks.is_multiple_of(1000) {
                        thread::yield_now(); // the other may wait for this processor
                    } else {
                        std::hint::spin_loop();
                    }
                }
            };
            // Not at the same moment in each round, so that both are at the same moment in some.
            let pause = |steps: u64| (0..steps).for_each(|_| compiler_fence(Ordering::SeqCst));
            let mut blind = 0;
            thread::scope(|scope| {
                scope.spawn(|| {
                    for round in 1..=rounds {
                        meet(&light_at.0, &heavy_at.0, 2 * round - 1);
                        pause(round % 16);
                        ours.0.store(round, Ordering::Relaxed);
                        fences.light_fence();
                        if theirs.0.load(Ordering::Relaxed) < round {
                            saw_none.0.store(round, Ordering::Relaxed);
                        }
                        meet(&light_at.0, &heavy_at.0, 2 * round);
                    }
                });
                for round in 1..=rounds {
                    meet(&heavy_at.0, &light_at.0, 2 * round - 1);
                    pause(round / 16 % 16);
                    theirs.0.store(round, Ordering::Relaxed);
                    fences.heavy_fence(&call);
                    let is_blind = ours.0.load(Ordering::Relaxed) < round;
                    meet(&heavy_at.0, &light_at.0, 2 * round);
                    blind += u64::from(is_blind && saw_none.0.load(Ordering::Relaxed) == round);
                }
            });
            blind
        }

        #[test]
        fn one_of_both_sees_the_other_whatever_the_kernel_says_and_when() {
            assert_eq!(both_blind(&Asymmetry::new(), 20_000, membarrier), 0, "as the kernel has it");
            assert_eq!(both_blind(&Asymmetry::new(), 20_000, |_| false), 0, "refused from the start");
            let calls = AtomicU64::new(0);
            let until_200 = |command| calls.fetch_add(1, Ordering::Relaxed) < 200 && membarrier(command);
            assert_eq!(both_blind(&Asymmetry::new(), 20_000, until_200), 0, "refused from some time on");
        }

        #[test]
        fn a_refusal_after_the_registration_makes_light_fences_ordinary_ones() {
            let fences = Asymmetry::new();
            let calls = Cell::new(0);
            let only_registers = |command| {
                calls.set(calls.get() + 1);
                command == libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
            };
            assert_eq!(fences.prepare(only_registers), REGISTERED);
            fences.heavy_fence(only_registers);
            assert_eq!((fences.0.load(Ordering::Relaxed), calls.get()), (UNAVAILABLE, 2));
            // And the kernel is not asked again.
            fences.heavy_fence(only_registers);
            assert_eq!(calls.get(), 2);
        }

        #[test]
        fn a_process_is_registered_once() {
            let fences = Asymmetry::new();
            let calls = Cell::new(0);
            for _ in 0..3 {
                fences.prepare(|_| {
                    calls.set(calls.get() + 1);
                    true
                });
            }
            assert_eq!(calls.get(), 1);
        }
    }
}
