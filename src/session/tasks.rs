//! Tasks that wait for the same thing to happen.
#![forbid(unsafe_code)]

use std::task::Waker;

use crate::sync::{Mutex, lock};

/// Who is woken when it happens.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    id: u64,
    waker: Waker,
}

impl Tasks {
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
