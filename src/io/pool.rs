//! The I/O threads of one context: started when needed, joined when the context goes.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::io::thread::IoThread;
use crate::io::{Finish, IoMailbox, Resolver, ToIo};
use crate::options::IoAffinity;
use crate::sync::{
    AtomicU64, Condvar, Mutex, Ordering, Process, do_each, lock, spawn, wait, wait_until, wake,
};
use crate::transport::{Call, faults};

/// Where I/O threads come from.
pub(crate) struct Pool {
    most_threads: usize,
    cores: Vec<usize>,
    state: Mutex<State>,
    /// The last thread has ended.
    ended: Condvar,
    resolver: Arc<Resolver>,
    /// Held by each connection that is parted from.
    parting: Arc<()>,
    process: Process,
}

#[derive(Default)]
struct State {
    threads: Vec<Handle>,
    /// Threads that have not ended.
    running: usize,
    is_finished: bool,
    /// Tasks that wait for the end of all threads.
    waiting: Vec<Waker>,
    /// To be done behind it.
    last: Option<Last>,
}

type Last = Box<dyn FnOnce() + Send>;

struct Handle {
    /// Threads are counted from zero, but not started in that order.
    number: usize,
    mailbox: Arc<IoMailbox>,
    load: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Pool {
    /// At most `most_threads` threads; the first is pinned to the first of `cores`, and so on, round again.
    pub(crate) fn new(most_threads: usize, cores: Vec<usize>) -> Self {
        let (state, process) = (Mutex::default(), Process::current());
        let (ended, resolver) = (Condvar::new(), Arc::default());
        let parting = Arc::default();
        Self { most_threads, cores, state, ended, resolver, parting, process }
    }

    /// Looks names up for the tasks of all threads.
    pub(crate) fn resolver(&self) -> &Arc<Resolver> {
        &self.resolver
    }

    /// A place for a connection that is parted from, until it is dropped. `None`: so many have one, or a few more where
    /// threads ask at the same time.
    pub(crate) fn enter_parting(&self, most: usize) -> Option<Arc<()>> {
        (Arc::strong_count(&self.parting) <= most).then(|| Arc::clone(&self.parting))
    }

    /// Connections that are parted from.
    #[cfg(test)]
    pub(crate) fn partings(&self) -> usize {
        Arc::strong_count(&self.parting) - 1
    }

    /// Whether this process was forked since: then it has none of the threads.
    pub(crate) fn is_inherited(&self) -> bool {
        !self.process.is_current()
    }

    /// The least loaded thread among those that `affinity` allows, or among all if there is none; a new one as
    /// long as there may be more and every other has something to do.
    ///
    /// # Errors
    ///
    /// See [`NoThread`].
    pub(crate) fn pick(self: &Arc<Self>, affinity: IoAffinity) -> Result<Arc<IoMailbox>, NoThread> {
        let is_possible = (0..self.most_threads).any(|number| affinity.allows(number));
        let affinity = if is_possible { affinity } else { IoAffinity::ANY };
        if self.is_inherited() {
            return Err(NoThread::Finished); // first: a thread that is not here may hold the lock
        }
        let mut state = lock(&self.state);
        if state.is_finished {
            return Err(NoThread::Finished);
        }
        let is_idle = state.least_loaded(affinity).is_some_and(|handle| handle.load() == 0);
        let mut failed = NoThread::NoneAllowed;
        if !is_idle {
            let is_new = |number: &usize| {
                affinity.allows(*number) && !state.threads.iter().any(|handle| handle.number == *number)
            };
            match (0..self.most_threads).find(is_new).map(|number| self.start(number)) {
                Some(Ok(handle)) => {
                    state.threads.push(handle);
                    state.running += 1;
                }
                // The threads that we have will do.
                Some(Err(error)) => failed = NoThread::Failed(error),
                None => {}
            }
        }
        let Some(handle) = state.least_loaded(affinity) else { return Err(failed) };
        handle.load.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::clone(&handle.mailbox))
    }

    /// Starts no more threads, and lets every one end when its tasks have ended.
    pub(crate) fn finish(&self, finish: Finish) {
        if self.is_inherited() {
            return;
        }
        let mut state = lock(&self.state);
        state.is_finished = true;
        let mailboxes: Vec<_> = state.threads.iter().map(|handle| Arc::clone(&handle.mailbox)).collect();
        drop(state);
        for mailbox in mailboxes {
            mailbox.post(ToIo::Finish(finish));
        }
    }

    /// Whether this is one of its threads, on which nobody can wait for them: a task that was woken here may run at once.
    pub(crate) fn is_here(&self) -> bool {
        let this = thread::current().id();
        lock(&self.state).threads.iter().any(|handle| handle.thread.thread().id() == this)
    }

    /// Waits until every thread has ended, or until `deadline`. `false`: the time is over.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        if self.is_inherited() {
            return true;
        }
        let mut state = lock(&self.state);
        while state.running > 0 {
            state = match deadline {
                Some(deadline) if Instant::now() >= deadline => return false,
                Some(deadline) => wait_until(&self.ended, state, deadline),
                None => wait(&self.ended, state),
            };
        }
        true
    }

    /// Whether every thread has ended; if not, `waker` is woken then.
    pub(crate) fn poll_ended(&self, waker: &Waker) -> bool {
        if self.is_inherited() {
            return true;
        }
        let mut state = lock(&self.state);
        let has_ended = state.running == 0;
        if !has_ended && !state.waiting.iter().any(|other| other.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        has_ended
    }

    /// Does this when every thread has ended: the last of them does, or this one, if they have.
    pub(crate) fn do_last(&self, act: impl FnOnce() + Send + 'static) {
        let mut state = lock(&self.state);
        if state.running > 0 {
            state.last = Some(Box::new(act));
            return;
        }
        drop(state);
        act();
    }

    /// Waits until every other thread is gone, with all that it had.
    pub(crate) fn join(&self) {
        if self.is_inherited() {
            return;
        }
        let threads = std::mem::take(&mut lock(&self.state).threads);
        let this = thread::current().id();
        for handle in threads.into_iter().filter(|handle| handle.thread.thread().id() != this) {
            // A task's panic does not end its thread; if the loop itself panicked there is nobody to tell.
            let _ = handle.thread.join();
        }
        self.resolver.finish();
    }

    /// How much each thread has to do, in the order in which they were started.
    #[cfg(test)]
    pub(crate) fn loads(&self) -> Vec<u64> {
        lock(&self.state).threads.iter().map(Handle::load).collect()
    }

    fn start(self: &Arc<Self>, index: usize) -> io::Result<Handle> {
        let load = Arc::new(AtomicU64::new(0));
        let io_thread = IoThread::new(Arc::clone(self), Arc::clone(&load))?;
        let mailbox = Arc::clone(io_thread.mailbox());
        let core = match self.cores.len() {
            0 => None,
            count => self.cores.get(index % count).copied(),
        };
        let pool = Arc::clone(self);
        faults::before(Call::Spawn)?;
        let run = faults::inherit(move || {
            let _running = Running(pool);
            if let Some(id) = core {
                pin_to(core_affinity::CoreId { id });
            }
            io_thread.run();
        });
        let thread = spawn(format!("peermq-io-{index}"), run)?;
        Ok(Handle { number: index, mailbox, load, thread })
    }
}

/// Why there is no thread for a task.
#[derive(Debug)]
pub(crate) enum NoThread {
    /// The operating system says so, and there is no other.
    Failed(io::Error),
    /// The pool is finished, or inherited.
    Finished,
    NoneAllowed,
}

/// A thread, until it ends.
struct Running(Arc<Pool>);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.running -= 1;
        let is_last = state.running == 0;
        let waiting = if is_last { std::mem::take(&mut state.waiting) } else { Vec::new() };
        let last = state.last.take_if(|_| is_last);
        drop(state);
        self.0.ended.notify_all();
        let _ = catch_unwind(AssertUnwindSafe(|| do_each(waiting, wake)));
        let _ = catch_unwind(AssertUnwindSafe(|| last.into_iter().for_each(|act| act())));
    }
}

impl State {
    fn least_loaded(&self, affinity: IoAffinity) -> Option<&Handle> {
        let allowed = self.threads.iter().filter(|handle| affinity.allows(handle.number));
        allowed.min_by_key(|handle| handle.load())
    }
}

impl Handle {
    fn load(&self) -> u64 {
        // Relaxed: a hint.
        self.load.load(Ordering::Relaxed)
    }
}

/// Pins this thread. A core that does not exist, or is not ours, leaves it where the system puts it.
fn pin_to(core: core_affinity::CoreId) {
    // Asked first: `set_for_current` panics for a number beyond the kernel's set.
    if core_affinity::get_core_ids().is_some_and(|ours| ours.contains(&core)) {
        core_affinity::set_for_current(core);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("most_threads", &self.most_threads).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_to_the_threads_that_they_name() {
        let pool = Arc::new(Pool::new(4, Vec::new()));
        let pick = |mask| pool.pick(IoAffinity::from_mask(mask)).unwrap();
        let third = pick(0b100);
        assert!(Arc::ptr_eq(&pick(0b100), &third));
        assert_eq!(lock(&pool.state).threads.len(), 1);
        // The third has work, so another one is started; two more are all there are.
        assert!(!Arc::ptr_eq(&pick(0b1100), &third));
        assert!(!Arc::ptr_eq(&pick(0b0011), &third));
        // A thread that does not exist is no reason to refuse a connection.
        drop(pick(1 << 60));
        pool.finish(Finish { by: Some(Instant::now()), is_hurried: false });
        assert!(pool.wait(None));
        pool.join();
    }
}
