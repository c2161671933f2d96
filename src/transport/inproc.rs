//! inproc: names of one context, and who waits for them.
//!
//! A map, no more: what is bound and what waits are the caller's types. Connecting to a name that nobody
//! has bound yet is legal (libzmq ≥ 4.0); such connections wait here in the order in which they came.
#![forbid(unsafe_code)]

use std::collections::HashMap;

/// Names, each bound by one `B` or waited for by some `W`.
#[derive(Debug)]
pub(crate) struct Names<B, W> {
    bound: HashMap<String, B>,
    waiting: HashMap<String, Vec<W>>,
}

impl<B, W> Default for Names<B, W> {
    fn default() -> Self {
        Self { bound: HashMap::new(), waiting: HashMap::new() }
    }
}

impl<B, W> Names<B, W> {
    /// Binds a name and returns who waited for it; `None` when it is bound already.
    pub(crate) fn bind(&mut self, name: &str, binder: B) -> Option<Vec<W>> {
        if self.bound.contains_key(name) {
            return None;
        }
        self.bound.insert(name.to_owned(), binder);
        Some(self.waiting.remove(name).unwrap_or_default())
    }

    pub(crate) fn bound(&self, name: &str) -> Option<&B> {
        self.bound.get(name)
    }

    pub(crate) fn wait(&mut self, name: &str, waiter: W) {
        self.waiting.entry(name.to_owned()).or_default().push(waiter);
    }

    /// Frees the name.
    pub(crate) fn unbind(&mut self, name: &str) -> bool {
        self.bound.remove(name).is_some()
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// Forgets the waiters that `is_gone` names.
    pub(crate) fn forget_waiting(&mut self, mut is_gone: impl FnMut(&mut W) -> bool) {
        self.waiting.retain(|_, waiters| {
            waiters.retain_mut(|waiter| !is_gone(waiter));
            !waiters.is_empty()
        });
    }
}
