//! The ticks of a connection whose socket streams, and the times of its heartbeats.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::io::{IoMailbox, Turn};
use crate::limits::{IN_STEP_TICK, QUIET_LOOK, STREAM_TICK, STREAM_TICKS_MAX, TICKING_PER_TICK};
use crate::session::Link;
use crate::session::care::Gait;
use crate::session::work;
use crate::time::later;

/// When the next tick is due; `None` while the pipes tell of every change.
#[derive(Debug, Default)]
pub(super) struct Ticker(Option<Ticking>);

/// A connection that ticks, among others of its I/O thread.
#[derive(Debug)]
struct Ticking {
    at: Instant,
    thread: Arc<IoMailbox>,
}

impl Ticker {
    /// Ticks now, and from now on.
    pub(super) fn start(&mut self, link: &Link, turn: &mut Turn<'_>) {
        let gait = link.tick();
        if gait == Gait::Quiet {
            self.0 = None;
            return;
        }
        let ticking = self.0.get_or_insert_with(|| Ticking::new(turn));
        let is_stream = gait == Gait::Stream;
        let pause = if is_stream { length(ticking.thread.ticking()) } else { IN_STEP_TICK };
        ticking.at = later(turn.now, pause);
        turn.wake_at(ticking.at);
    }

    /// Ticks if it is time.
    pub(super) fn on_timer(&mut self, link: &Link, turn: &mut Turn<'_>) {
        if self.0.as_ref().is_some_and(|ticking| turn.now >= ticking.at) {
            self.start(link, turn);
        }
    }
}

impl Ticking {
    fn new(turn: &Turn<'_>) -> Self {
        let thread = Arc::clone(turn.mailbox);
        thread.count_ticking(1);
        Self { at: turn.now, thread }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.thread.count_ticking(-1);
    }
}

/// Time between two ticks of each of so many connections.
fn length(ticking: u64) -> Duration {
    let ticks = (ticking / TICKING_PER_TICK).clamp(1, STREAM_TICKS_MAX);
    STREAM_TICK * ticks as u32
}

/// When a session wants to look after its heartbeats and its memory next, if at all.
#[derive(Debug, Default)]
pub(super) struct Beat {
    beat_at: Option<Instant>,
    look_at: Option<Instant>,
}

impl Beat {
    /// Heartbeats: not later than at this time.
    pub(super) fn wake_at(&mut self, at: Instant, turn: &mut Turn<'_>) {
        self.beat_at = Some(self.beat_at.map_or(at, |before| before.min(at)));
        turn.wake_at(at);
    }

    /// Memory: in a while.
    pub(super) fn look_later(&mut self, turn: &mut Turn<'_>) {
        let at = later(turn.now, QUIET_LOOK);
        self.look_at = Some(at);
        turn.wake_at(at);
    }

    /// What to note for the session now, once for each time.
    pub(super) fn due(&mut self, now: Instant) -> u8 {
        let is_due = |at: &mut Option<Instant>| at.take_if(|at| now >= *at).is_some();
        let beat = if is_due(&mut self.beat_at) { work::BEAT } else { 0 };
        let look = if is_due(&mut self.look_at) { work::QUIET } else { 0 };
        beat | look
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_tick_less_often() {
        for (ticking, ticks) in [(1, 1), (TICKING_PER_TICK, 1), (2 * TICKING_PER_TICK, 2), (10_000, 4)] {
            assert_eq!(length(ticking), STREAM_TICK * ticks, "{ticking}");
        }
    }
}
