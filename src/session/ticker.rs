//! The ticks of a connection whose socket streams, and the times of its heartbeats.
#![forbid(unsafe_code)]

use std::time::Instant;

use crate::io::Turn;
use crate::limits::STREAM_TICK;
use crate::session::Link;
use crate::session::link::work;

/// When the next tick is due; `None` while the pipes tell of every change.
#[derive(Debug, Default)]
pub(super) struct Ticker(Option<Instant>);

impl Ticker {
    /// Ticks now, and from now on.
    pub(super) fn start(&mut self, link: &Link, turn: &mut Turn<'_>) {
        self.0 = None;
        if link.tick() {
            self.schedule(turn);
        }
    }

    fn schedule(&mut self, turn: &mut Turn<'_>) {
        let at = turn.now + STREAM_TICK;
        self.0 = Some(at);
        turn.wake_at(at);
    }

    /// Ticks if it is time.
    pub(super) fn on_timer(&mut self, link: &Link, turn: &mut Turn<'_>) {
        if self.0.is_some_and(|at| turn.now >= at) {
            self.start(link, turn);
        }
    }
}

/// When a session wants to look after its heartbeats next, if at all.
#[derive(Debug, Default)]
pub(super) struct Beat(Option<Instant>);

impl Beat {
    /// Not later than at this time.
    pub(super) fn wake_at(&mut self, at: Instant, turn: &mut Turn<'_>) {
        self.0 = Some(self.0.map_or(at, |before| before.min(at)));
        turn.wake_at(at);
    }

    /// What to note for the session now, once for each time.
    pub(super) fn due(&mut self, now: Instant) -> u8 {
        if self.0.is_some_and(|at| now >= at) {
            self.0 = None;
            work::BEAT
        } else {
            0
        }
    }
}
