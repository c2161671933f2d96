//! The ticks of a connection whose socket streams, and the times of its heartbeats.
#![forbid(unsafe_code)]

#[cfg(test)]
mod counted;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::io::{IoMailbox, Turn};
use crate::limits::{
    BURST_LOOK, BURST_LOOKS, IN_STEP_TICK, QUIET_LOOK, STREAM_TICK, STREAM_TICKS_MAX, TICKING_PER_TICK,
};
use crate::session::Link;
use crate::session::care::Gait;
use crate::session::work;
use crate::time::later;

#[cfg(test)]
pub(crate) use counted::fruitful_looks;
#[cfg(test)]
use counted::look;

/// When the next tick is due; `None` while the pipes tell of every change.
#[derive(Debug, Default)]
pub(super) struct Ticker(Option<Ticking>);

/// A connection that ticks, among others of its I/O thread.
#[derive(Debug)]
struct Ticking {
    at: Instant,
    looks: Looks,
    thread: Arc<IoMailbox>,
}

/// Looks between the ticks of a stream that has just begun. It may be a burst, behind which its caller does something else
/// and leaves the end of it to the I/O thread.
#[derive(Debug, Default)]
struct Looks {
    is_stream: bool,
    left: u32,
}

impl Looks {
    /// A tick is over, and the next one is due after `pause`. How long until that, or until a look.
    fn begin(&mut self, gait: Gait, pause: Duration) -> Duration {
        let was_stream = std::mem::replace(&mut self.is_stream, gait == Gait::Stream);
        let is_new = self.is_stream && !was_stream;
        self.left = if is_new && pause == STREAM_TICK { BURST_LOOKS } else { 0 };
        if self.left > 0 { BURST_LOOK } else { pause }
    }

    /// How long until the next look, or the tick, if it is time for a look now.
    fn take(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        Some(BURST_LOOK)
    }
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
        ticking.at = later(turn.now, ticking.looks.begin(gait, pause));
        if ticking.looks.left > 0 {
            turn.wake_promptly_at(ticking.at);
        } else {
            turn.wake_at(ticking.at);
        }
    }

    /// Ticks if it is time, or looks.
    pub(super) fn on_timer(&mut self, link: &Link, turn: &mut Turn<'_>) {
        let Some(ticking) = self.0.as_mut().filter(|ticking| turn.now >= ticking.at) else { return };
        let Some(pause) = ticking.looks.take() else { return self.start(link, turn) };
        ticking.at = later(turn.now, pause);
        turn.wake_promptly_at(ticking.at);
        look(link);
    }
}

/// Writes what the caller has left.
#[cfg(not(test))]
fn look(link: &Link) {
    link.look_between_ticks();
}

impl Ticking {
    fn new(turn: &Turn<'_>) -> Self {
        let thread = Arc::clone(turn.mailbox);
        thread.count_ticking(1);
        Self { at: turn.now, looks: Looks::default(), thread }
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
    /// Heartbeats: not later than at this time. Then the session asks again, also for a time that it has asked for: only
    /// the first of all is known here.
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

    /// Looks from the begin of a tick to its end, and when that is.
    fn looks(looks: &mut Looks, gait: Gait, pause: Duration) -> (usize, Duration) {
        let first = looks.begin(gait, pause);
        let more: Vec<_> = std::iter::from_fn(|| looks.take()).collect();
        (more.len(), first + more.iter().sum::<Duration>())
    }

    #[test]
    fn a_stream_that_begins_is_looked_at_within_its_first_tick_and_in_no_other() {
        let mut stream = Looks::default();
        for _ in 0..2 {
            assert_eq!(looks(&mut stream, Gait::Stream, STREAM_TICK), (BURST_LOOKS as usize, STREAM_TICK));
            assert_eq!(looks(&mut stream, Gait::Stream, STREAM_TICK), (0, STREAM_TICK));
            assert_eq!(looks(&mut stream, Gait::InStep, IN_STEP_TICK), (0, IN_STEP_TICK));
        }
        // Where many tick, the looks would be what a thread does.
        assert_eq!(looks(&mut stream, Gait::Stream, 2 * STREAM_TICK), (0, 2 * STREAM_TICK));
    }

    #[test]
    fn many_tick_less_often() {
        for (ticking, ticks) in [(1, 1), (TICKING_PER_TICK, 1), (2 * TICKING_PER_TICK, 2), (10_000, 4)] {
            assert_eq!(length(ticking), STREAM_TICK * ticks, "{ticking}");
        }
    }
}
