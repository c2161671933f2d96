//! Where a thread waits for the connections that are lent to it.
#![forbid(unsafe_code)]

use std::hint::spin_loop;
use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token};

use crate::io::{Bell, Readiness};
use crate::limits::{EVENTS_PER_POLL, STREAM_LOOK, STREAM_SPIN};
use crate::pipe::Rung;
use crate::session::calls::Calls;
use crate::transport::{Call, faults};

/// The token of the bell; links have their numbers, which start at 1.
const BELL: Token = Token(0);

/// A thread's poll.
pub(super) struct Lookout {
    poll: Poll,
    events: Events,
    desk: Arc<Desk>,
    /// The same, for mailboxes.
    ring: Waker,
    /// The last wait brought nothing.
    was_in_vain: bool,
    /// It began when its time was over.
    was_late: bool,
    /// A signal handler ran instead.
    was_interrupted: bool,
    calls: Calls,
}

/// What others need to know of a lookout: where to register a stream, and how to wake the thread.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) registry: Registry,
    bell: Bell,
    rung: Rung,
}

impl Wake for Desk {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.ring() {
            self.bell.ring();
        }
    }
}

impl Lookout {
    pub(super) fn new() -> io::Result<Self> {
        faults::before(Call::PollNew)?;
        let poll = Poll::new()?;
        faults::before(Call::PollNew)?;
        let registry = poll.registry().try_clone()?;
        let bell = Bell::new(&registry, BELL)?;
        let desk = Arc::new(Desk { registry, bell, rung: Rung::default() });
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_POLL),
            ring: Waker::from(Arc::clone(&desk)),
            desk,
            was_in_vain: false,
            was_late: false,
            was_interrupted: false,
            calls: Calls::default(),
        })
    }

    /// Before the thread asks to be rung for.
    pub(super) fn forget_ringing(&self) {
        self.desk.rung.forget();
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// What wakes the thread.
    pub(super) fn ring(&self) -> &Waker {
        &self.ring
    }

    /// Waits until the kernel has something to report, somebody rings, or `deadline` has passed. `false`: it has.
    /// Looks for `spin` before it sleeps, and in a stream for a moment at least, unless the last wait was in vain: the
    /// peer is about to do its part, and being woken costs both sides more than that.
    pub(super) fn wait(&mut self, deadline: Option<Instant>, is_streaming: bool, spin: Duration) -> bool {
        self.was_late = false;
        if !is_streaming && deadline.is_none() && spin.is_zero() {
            self.poll(None);
            return true;
        }
        let begin = Instant::now();
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(begin));
        if timeout == Some(Duration::ZERO) {
            self.was_late = true;
            return self.poll(timeout);
        }
        let was_in_vain = std::mem::replace(&mut self.was_in_vain, false) || !is_streaming;
        let least = if was_in_vain { Duration::ZERO } else { STREAM_SPIN };
        let spin = spin.max(least).min(timeout.unwrap_or(Duration::MAX));
        let mut look_at = STREAM_LOOK;
        while begin.elapsed() < spin {
            if self.poll(Some(Duration::ZERO)) {
                return true;
            }
            thread::yield_now();
            while begin.elapsed() < look_at {
                spin_loop();
            }
            look_at *= 2;
        }
        self.was_in_vain = !self.poll(timeout);
        // An interrupted wait is an early one: the caller looks at its own deadline.
        deadline.is_none_or(|deadline| !self.was_in_vain || Instant::now() < deadline)
    }

    fn poll(&mut self, timeout: Option<Duration>) -> bool {
        self.calls.count();
        let polled = faults::before(Call::Poll).and_then(|()| self.poll.poll(&mut self.events, timeout));
        self.was_interrupted = polled.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted);
        if polled.is_err() {
            self.events.clear();
        }
        !self.events.is_empty()
    }

    /// Whether a signal ended the last wait.
    pub(super) fn was_interrupted(&self) -> bool {
        self.was_interrupted
    }

    /// Whether the time of the last wait was over when it began.
    pub(super) fn was_late(&self) -> bool {
        self.was_late
    }

    /// Whether somebody rang during the last wait.
    pub(super) fn has_rung(&self) -> bool {
        self.events.iter().any(|event| event.token() == BELL)
    }

    /// What the kernel reported of links during the last wait.
    pub(super) fn reports(&self) -> impl Iterator<Item = (u64, Readiness)> {
        let events = self.events.iter().filter(|event| event.token() != BELL);
        events.map(|event| (event.token().0 as u64, Readiness::from(event)))
    }

    /// Polls so far.
    #[cfg(test)]
    pub(super) fn calls(&self) -> u64 {
        self.calls.total()
    }
}
