//! Who looks after a connection: its I/O thread, or the socket's own thread while it streams.
//!
//! ```text
//!          the caller moves many octets,
//!          or messages come fast               it waits, for this peer only
//!    Told ─────────────────────────────▶ Ticked ─────────────────────────▶ Lent
//!      ▲                                   │                                 │
//!      └── no call, few messages in a tick ┴──── nothing to do for some ─────┘
//! ```
//!
//! `Told`: kernel and pipes tell the I/O thread of every change. `Ticked`: the caller flushes and fills; the
//! pipes tell nobody, because the I/O thread looks by itself at every tick. `Lent`: the kernel, too, tells
//! only the caller, which waits for its own descriptor instead of for another thread.
#![forbid(unsafe_code)]

use std::hint::spin_loop;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::io::{IoMailbox, Readiness};
use crate::limits::{LENT_IDLE_WAITS, STREAM_LOOK, STREAM_SPIN};
use crate::session::calls::Calls;
use crate::transport::Stream;

/// The only token of a lent connection's poll.
const STREAM: Token = Token(0);

#[derive(Debug)]
pub(super) enum Care {
    Lent(Waiter),
    Ticked,
    Told,
}

/// What a caller waits with.
#[derive(Debug)]
pub(super) struct Waiter {
    poll: Poll,
    /// Waits in a row that brought nothing.
    idle: u32,
}

impl Care {
    pub(super) fn is_told(&self) -> bool {
        matches!(self, Self::Told)
    }

    /// Takes `stream` out of the I/O thread's poll and lends it. On an error it is where it was.
    pub(super) fn lend(
        &mut self,
        stream: &mut Stream,
        io: &IoMailbox,
        token: Token,
        calls: &mut Calls,
    ) -> io::Result<()> {
        calls.count();
        let poll = io.take_poll().map_or_else(Poll::new, Ok)?;
        calls.count();
        stream.deregister(io.registry())?;
        calls.count();
        if let Err(error) = stream.register(poll.registry(), STREAM) {
            stream.register(io.registry(), token)?;
            return Err(error);
        }
        *self = Self::Lent(Waiter { poll, idle: 0 });
        Ok(())
    }

    /// Puts `stream` back where its I/O thread hears of it; what is ready now is reported at once.
    pub(super) fn take_back(
        &mut self,
        stream: &mut Stream,
        io: &IoMailbox,
        token: Token,
        calls: &mut Calls,
    ) -> io::Result<()> {
        let Self::Lent(waiter) = std::mem::replace(self, Self::Told) else { return Ok(()) };
        calls.count();
        stream.deregister(waiter.poll.registry())?;
        io.give_poll(waiter.poll);
        calls.count();
        stream.register(io.registry(), token)
    }
}

impl Waiter {
    /// Whether waiting has brought nothing for so long that the I/O thread should have the connection back.
    pub(super) fn is_idle(&self) -> bool {
        self.idle >= LENT_IDLE_WAITS
    }

    /// Notes whether the last wait brought anything.
    pub(super) fn note(&mut self, has_moved: bool) {
        self.idle = if has_moved { 0 } else { self.idle + 1 };
    }

    /// Waits for the kernel to report, `timeout` at most. Looks for a moment before it sleeps, unless the last wait
    /// was in vain: in a stream the peer is about to do its part, and being woken costs both sides more than that.
    pub(super) fn wait(
        &mut self,
        events: &mut Events,
        timeout: Duration,
        calls: &mut Calls,
    ) -> Option<Readiness> {
        if self.idle == 0 {
            let begin = Instant::now();
            let mut look_at = STREAM_LOOK;
            while begin.elapsed() < STREAM_SPIN {
                calls.count();
                self.poll.poll(events, Some(Duration::ZERO)).ok()?;
                if let Some(event) = events.iter().next() {
                    return Some(Readiness::from(event));
                }
                thread::yield_now();
                while begin.elapsed() < look_at {
                    spin_loop();
                }
                look_at *= 2;
            }
        }
        // An interrupted wait is an early one: the caller looks at its own deadline.
        calls.count();
        self.poll.poll(events, Some(timeout)).ok()?;
        events.iter().next().map(Readiness::from)
    }
}
