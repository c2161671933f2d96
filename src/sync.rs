//! The only door to atomics, cells, locks and fences: `std`, or loom when the models run.
//!
//! Owns the asymmetric fence: [`light_fence`] on the side that runs for every message costs nothing on
//! Linux, because [`heavy_fence`] on the side that goes to sleep makes every running thread of the process
//! execute a barrier (`membarrier`). Elsewhere, and under loom, both are ordinary fences.
//!
//! And [`Process`], which tells a forked child from its parent.
//!
//! Measured in a prototype (64 B over tcp, two pinned cores): 42 million messages/s with a full fence for
//! every message, 58 million with the asymmetric one.
#![allow(unsafe_code, reason = "the membarrier system call, and to hear of forks")]
#![allow(clippy::disallowed_types, reason = "this is the door")]

#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

use std::sync::{Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError, TryLockError};
use std::time::Instant;

/// Locks, also when a thread panicked while it held the lock: what is behind our locks is valid at each
/// step, and a panic in one thread must not become a panic in all.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// [`lock`] for what no loom model watches, because it lives as long as an application wants.
pub(crate) fn lock_std<T>(mutex: &StdMutex<T>) -> StdMutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks if nobody else holds the lock.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Waits on `condvar`; may wake early.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits on `condvar` until `deadline`; may wake early.
pub(crate) fn wait_until<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: Instant,
) -> MutexGuard<'a, T> {
    let left = deadline.saturating_duration_since(Instant::now());
    match condvar.wait_timeout(guard, left) {
        Ok((guard, _)) => guard,
        Err(poisoned) => poisoned.into_inner().0,
    }
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

#[cfg(not(unix))]
mod forks {
    pub(super) fn counted() -> u64 {
        0
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

#[cfg(all(not(loom), target_os = "linux"))]
pub(crate) use membarrier::{heavy_fence, light_fence};

#[cfg(all(not(loom), target_os = "linux"))]
mod membarrier {
    use std::sync::atomic::{AtomicU8, Ordering, compiler_fence, fence};

    const UNKNOWN: u8 = 0;
    const REGISTERED: u8 = 1;
    const UNAVAILABLE: u8 = 2;

    static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

    #[inline]
    pub(crate) fn light_fence() {
        // Relaxed: a stale UNKNOWN only costs a full fence, which pairs with either heavy fence.
        if STATE.load(Ordering::Relaxed) == REGISTERED {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    pub(crate) fn heavy_fence() {
        fence(Ordering::SeqCst);
        if state() == REGISTERED && !membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
            // Registered and refused all the same: a sandbox that changed its mind. Light fences on other
            // threads may already be compiler fences, so the only safe order left is a scheduling pass.
            membarrier(libc::MEMBARRIER_CMD_GLOBAL);
        }
    }

    /// Registers the process once. Both halves agree, because only a registered process skips the light
    /// fence, and a heavy fence never runs before the answer is known.
    fn state() -> u8 {
        match STATE.load(Ordering::Acquire) {
            UNKNOWN => {
                let registered = membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
                let state = if registered { REGISTERED } else { UNAVAILABLE };
                // Two threads may both register: the kernel gives both the same answer.
                STATE.store(state, Ordering::Release);
                state
            }
            known => known,
        }
    }

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: membarrier(2) takes three integers and touches no memory of ours; the kernel checks the
        // command and answers an unknown one with EINVAL.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }
}
