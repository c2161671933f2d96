//! The I/O threads of one context: started when needed, joined when the context goes.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::io::thread::IoThread;
use crate::io::{IoMailbox, ToIo};
use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// Where I/O threads come from.
pub(crate) struct Pool {
    most_threads: usize,
    cores: Vec<usize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    threads: Vec<Handle>,
    is_finished: bool,
}

struct Handle {
    mailbox: Arc<IoMailbox>,
    load: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Pool {
    /// At most `most_threads` threads; the first is pinned to the first of `cores`, and so on, round again.
    pub(crate) fn new(most_threads: usize, cores: Vec<usize>) -> Self {
        Self { most_threads: most_threads.max(1), cores, state: Mutex::default() }
    }

    /// The least loaded thread; a new one as long as there may be more and every other has something to do.
    ///
    /// # Errors
    ///
    /// What the operating system says when the first thread cannot be started; `None` when the pool is
    /// finished.
    pub(crate) fn pick(self: &Arc<Self>) -> Result<Arc<IoMailbox>, Option<io::Error>> {
        let mut state = lock(&self.state);
        if state.is_finished {
            return Err(None);
        }
        // Relaxed: a hint.
        let least = state.threads.iter().min_by_key(|handle| handle.load.load(Ordering::Relaxed));
        let idle = least.filter(|handle| handle.load.load(Ordering::Relaxed) == 0);
        if idle.is_none() && state.threads.len() < self.most_threads {
            match self.start(state.threads.len()) {
                Ok(handle) => state.threads.push(handle),
                Err(error) if state.threads.is_empty() => return Err(Some(error)),
                Err(_) => {} // the threads that we have will do
            }
        }
        let least = state.threads.iter().min_by_key(|handle| handle.load.load(Ordering::Relaxed));
        let Some(handle) = least else { return Err(None) };
        handle.load.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::clone(&handle.mailbox))
    }

    /// Lets every thread end when its tasks have ended, at `deadline` at the latest, and waits for that.
    pub(crate) fn finish(&self, deadline: Instant) {
        let threads = {
            let mut state = lock(&self.state);
            state.is_finished = true;
            std::mem::take(&mut state.threads)
        };
        for handle in &threads {
            handle.mailbox.post(ToIo::Finish(deadline));
        }
        for handle in threads {
            // A task's panic does not end its thread; if the loop itself panicked there is nobody to tell.
            let _ = handle.thread.join();
        }
    }

    fn start(self: &Arc<Self>, index: usize) -> io::Result<Handle> {
        let load = Arc::new(AtomicU64::new(0));
        let io_thread = IoThread::new(Arc::clone(self), Arc::clone(&load))?;
        let mailbox = Arc::clone(io_thread.mailbox());
        let core = match self.cores.len() {
            0 => None,
            count => self.cores.get(index % count).copied(),
        };
        let thread = thread::Builder::new().name(format!("peermq-io-{index}")).spawn(move || {
            if let Some(id) = core {
                pin_to(core_affinity::CoreId { id });
            }
            io_thread.run();
        })?;
        Ok(Handle { mailbox, load, thread })
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
