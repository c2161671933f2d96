//! What a thread does on behalf of peers, for tests that bound each call. Not in programs.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::sync::{AtomicBool, Ordering};

/// What was done for peers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Frames and commands that were looked at.
    pub(crate) chores: u64,
    /// Messages and notes that were taken.
    pub(crate) messages: u64,
    /// Octets in their frames, of those that are not short, and what was thrown away unseen.
    pub(crate) octets: u64,
}

impl Work {
    const NONE: Self = Self { chores: 0, messages: 0, octets: 0 };
}

/// What a call has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) all: Work,
    /// Most of it between two looks at the deadline, the mail and a shutdown.
    pub(crate) most: Work,
    /// Such looks.
    pub(crate) looks: u64,
    /// Those that began after the event was over for which the call should end.
    pub(crate) late: u64,
}

thread_local! {
    static TALLY: Cell<Tally> = const { Cell::new(Tally {
        all: Work::NONE,
        most: Work::NONE,
        looks: 0,
        late: 0,
    }) };
    /// What was done at the last look.
    static SEEN: Cell<Work> = const { Cell::new(Work::NONE) };
    static EVENT: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

impl Tally {
    /// What `call` returns, and what it has done on this thread.
    pub(crate) fn of<T>(call: impl FnOnce() -> T) -> (T, Self) {
        TALLY.set(Self::default());
        SEEN.set(Work::default());
        let result = call();
        Self::note_end();
        (result, TALLY.get())
    }

    /// The same of a call that should end when this event is over.
    pub(crate) fn until<T>(event: &Arc<AtomicBool>, call: impl FnOnce() -> T) -> (T, Self) {
        EVENT.set(Some(Arc::clone(event)));
        let counted = Self::of(call);
        EVENT.set(None);
        counted
    }

    pub(super) fn note_chores(chores: u64) {
        Self::note(|tally| tally.all.chores += chores);
    }

    pub(super) fn note_message() {
        Self::note(|tally| tally.all.messages += 1);
    }

    pub(crate) fn note_octets(octets: usize) {
        Self::note(|tally| tally.all.octets += octets as u64);
    }

    pub(super) fn note_look() {
        Self::note_end();
        // SeqCst: after whatever the event did.
        let is_late =
            EVENT.with_borrow(|event| event.as_ref().is_some_and(|event| event.load(Ordering::SeqCst)));
        Self::note(|tally| {
            tally.looks += 1;
            tally.late += u64::from(is_late);
        });
    }

    /// What lies between two looks ends here.
    fn note_end() {
        let all = TALLY.get().all;
        let seen = SEEN.replace(all);
        Self::note(|tally| {
            tally.most.chores = tally.most.chores.max(all.chores - seen.chores);
            tally.most.messages = tally.most.messages.max(all.messages - seen.messages);
            tally.most.octets = tally.most.octets.max(all.octets - seen.octets);
        });
    }

    fn note(change: impl FnOnce(&mut Self)) {
        let mut tally = TALLY.get();
        change(&mut tally);
        TALLY.set(tally);
    }
}
