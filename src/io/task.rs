//! What an I/O thread runs.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use mio::Registry;
use mio::event::Event;

use crate::io::timers::Timers;
use crate::io::{IoMailbox, Notice, Pool};

/// Whether a task goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Fate {
    Done,
    Goes,
}

/// What the kernel reports of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) is_readable: bool,
    pub(crate) is_writable: bool,
    /// The peer closed its half, there is an error to fetch by reading, or an urgent octet has come: in each case a short
    /// read was not the last.
    pub(crate) is_closed: bool,
}

impl From<&Event> for Readiness {
    fn from(event: &Event) -> Self {
        Self {
            is_readable: event.is_readable(),
            is_writable: event.is_writable(),
            is_closed: event.is_read_closed() || event.is_error() || event.is_priority(),
        }
    }
}

/// A listener, a dialer or a connection. Each call is short and never blocks.
///
/// A task that panics is dropped; the thread and its other tasks go on.
pub(crate) trait Task: Send {
    /// The first call, on the task's thread.
    fn on_start(&mut self, turn: &mut Turn<'_>) -> Fate;
    /// The kernel reports on a descriptor that was registered under the task's number. Edge-triggered.
    fn on_event(&mut self, ready: Readiness, turn: &mut Turn<'_>) -> Fate;
    /// Somebody posted a notice.
    fn on_notice(&mut self, notice: Notice, turn: &mut Turn<'_>) -> Fate;
    /// A time that was asked for has come; perhaps one that does not matter any more.
    fn on_timer(&mut self, turn: &mut Turn<'_>) -> Fate;
}

/// What a task can use during a call.
pub(crate) struct Turn<'a> {
    /// The task's number.
    pub(crate) id: u64,
    /// The time at which the thread woke.
    pub(crate) now: Instant,
    pub(crate) registry: &'a Registry,
    pub(crate) mailbox: &'a Arc<IoMailbox>,
    pub(crate) pool: &'a Arc<Pool>,
    pub(super) timers: &'a mut Timers,
    pub(super) again: &'a mut Vec<u64>,
}

impl Turn<'_> {
    /// Asks for [`Task::on_timer`] at `when`.
    pub(crate) fn wake_at(&mut self, when: Instant) {
        self.timers.add(when, self.id);
    }

    /// The same, at that very moment: it costs a wake-up of its own.
    pub(crate) fn wake_promptly_at(&mut self, when: Instant) {
        self.timers.add_prompt(when, self.id);
    }

    /// Asks for [`Notice::Drive`] when the other tasks of the thread had their turn.
    pub(crate) fn come_again(&mut self) {
        self.again.push(self.id);
    }
}

/// What turns of a test's task need; without a thread, and with whatever time the test likes.
#[cfg(test)]
pub(crate) struct Bench {
    poll: mio::Poll,
    mailbox: Arc<IoMailbox>,
    pool: Arc<Pool>,
    timers: Timers,
    again: Vec<u64>,
}

#[cfg(test)]
impl Bench {
    #[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    pub(crate) fn new() -> Self {
        let poll = mio::Poll::new().unwrap();
        let bell = crate::io::Bell::new(poll.registry(), mio::Token(0)).unwrap();
        let mailbox = Arc::new(IoMailbox::new(bell, poll.registry().try_clone().unwrap()));
        let pool = Arc::new(Pool::new(1, Vec::new()));
        Self { poll, mailbox, pool, timers: Timers::default(), again: Vec::new() }
    }

    /// A turn of a task that has this number.
    pub(crate) fn turn(&mut self, id: u64, now: Instant) -> Turn<'_> {
        let Self { poll, mailbox, pool, timers, again } = self;
        Turn { id, now, registry: poll.registry(), mailbox, pool, timers, again }
    }

    /// When the next task has asked to be called.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}
