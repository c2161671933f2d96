//! Tasks that wait for the same thing to happen, and threads that wait as tasks do.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use crate::interest::Interest;
use crate::io::unique_id;
use crate::pipe::Signal;
use crate::session::streams::{Manner, Waited, wait_aside};
use crate::sync::{Mutex, lock};

/// Who is woken when it happens.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    id: u64,
    waker: Waker,
}

/// Where a thread sleeps until its waker is called.
struct Alarm(Signal<()>);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.post_with((), Interest::NONE);
    }
}

impl Tasks {
    /// Waits until `look` finds something, which looks again each time that it may have happened. Else: why it ended.
    pub(super) fn wait<T>(
        &self,
        deadline: Option<Instant>,
        manner: Manner,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T, Waited> {
        if let Some(found) = look() {
            return Ok(found);
        }
        let (alarm, id) = (Arc::new(Alarm(Signal::new())), unique_id());
        let waker = Waker::from(Arc::clone(&alarm));
        let mut waited = Waited::News;
        let outcome = loop {
            // The waker first: what happens after it wakes, and what has happened before is seen.
            self.enter(id, &waker);
            match look() {
                Some(found) => break Ok(found),
                None if waited == Waited::News => {}
                None => break Err(waited),
            }
            waited = wait_aside(&alarm.0, deadline, manner);
            alarm.0.take(&mut Vec::new());
        };
        self.forget(id);
        outcome
    }

    /// From now on, and until it has happened once, `waker` is called: the only one under this number.
    pub(super) fn enter(&self, id: u64, waker: &Waker) {
        self.forget(id);
        let waker = waker.clone();
        lock(&self.0).push(Waiting { id, waker });
    }

    pub(super) fn forget(&self, id: u64) {
        let mut tasks = lock(&self.0);
        let at = tasks.iter().position(|task| task.id == id);
        let old = at.map(|at| tasks.swap_remove(at));
        drop(tasks);
        drop(old); // without the lock: its drop may run foreign code
    }

    /// It has happened: whom to wake.
    pub(super) fn take(&self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut *lock(&self.0)).into_iter().map(|task| task.waker)
    }
}
