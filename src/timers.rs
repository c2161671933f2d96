//! Timers for a thread that waits in a poller.
#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

/// One timer of [`Timers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(u64);

/// Timers that repeat until they are cancelled, for a thread that waits for sockets: [`timeout`](Self::timeout) says
/// how long it may wait, and [`execute`](Self::execute) calls those that are due.
///
/// Each carries a value of the program's choice, a key or a closure. No thread, no descriptor: a timer that is due
/// waits until somebody executes it, once however late that is.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Interest, Poller, Pull, Timers};
///
/// let mut pull = Context::new().open::<Pull>()?;
/// let mut poller = Poller::new();
/// poller.add(&mut pull, Interest::READABLE, ())?;
/// let mut timers = Timers::new();
/// let tick = timers.add(Duration::from_millis(1), "tick");
/// let mut ticks = 0;
/// while ticks < 3 {
///     for _ in poller.wait(timers.timeout())? {
///         // messages
///     }
///     timers.execute(|_, name| {
///         assert_eq!(*name, "tick");
///         ticks += 1;
///     });
/// }
/// assert_eq!(timers.cancel(tick), Some("tick"));
/// assert_eq!(timers.timeout(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Timers<T> {
    timers: HashMap<TimerId, Timer<T>>,
    /// In the order in which they are due, and were added.
    due: BTreeSet<(Instant, TimerId)>,
    next: u64,
}

struct Timer<T> {
    interval: Duration,
    /// None: too far away to be told.
    at: Option<Instant>,
    value: T,
}

impl<T> Timers<T> {
    /// Returns no timers.
    #[must_use]
    pub fn new() -> Self {
        Self { timers: HashMap::new(), due: BTreeSet::new(), next: 0 }
    }

    /// Adds a timer that is due after `interval`, and again each `interval` after it was executed.
    pub fn add(&mut self, interval: Duration, value: T) -> TimerId {
        let id = TimerId(self.next);
        self.next += 1;
        self.timers.insert(id, Timer { interval, at: None, value });
        self.reset(id);
        id
    }

    /// Cancels a timer, and returns its value; `None` when there is no such timer.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        let timer = self.timers.remove(&id)?;
        self.forget(id, timer.at);
        Some(timer.value)
    }

    /// Changes a timer's interval, and begins it anew. Returns `false` when there is no such timer.
    pub fn set_interval(&mut self, id: TimerId, interval: Duration) -> bool {
        if let Some(timer) = self.timers.get_mut(&id) {
            timer.interval = interval;
        }
        self.reset(id)
    }

    /// Begins a timer's interval anew. Returns `false` when there is no such timer.
    pub fn reset(&mut self, id: TimerId) -> bool {
        self.begin(id, Instant::now())
    }

    /// Returns how long it is until the next timer is due, zero when one is; `None` without timers. For
    /// [`Poller::wait`](crate::Poller::wait).
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        let (at, _) = self.due.first()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Calls `handle` for each timer that is due, once, the one that was due first at first. Their next interval begins
    /// now. Returns how many there were. If `handle` panics, those behind it are still due.
    pub fn execute(&mut self, handle: impl FnMut(TimerId, &mut T)) -> usize {
        self.execute_at(Instant::now(), handle)
    }

    fn execute_at(&mut self, now: Instant, mut handle: impl FnMut(TimerId, &mut T)) -> usize {
        // Those that are due stay so until it is their turn: `handle` may panic before.
        let due: Vec<_> = self.due.range(..=(now, TimerId(u64::MAX))).map(|(_, id)| *id).collect();
        for id in due.iter().copied() {
            self.begin(id, now);
            if let Some(timer) = self.timers.get_mut(&id) {
                handle(id, &mut timer.value);
            }
        }
        due.len()
    }

    fn begin(&mut self, id: TimerId, now: Instant) -> bool {
        let Some(timer) = self.timers.get_mut(&id) else { return false };
        let before = std::mem::replace(&mut timer.at, now.checked_add(timer.interval));
        if let Some(at) = timer.at {
            self.due.insert((at, id));
        }
        if before != self.timers.get(&id).and_then(|timer| timer.at) {
            self.forget(id, before);
        }
        true
    }

    fn forget(&mut self, id: TimerId, at: Option<Instant>) {
        if let Some(at) = at {
            self.due.remove(&(at, id));
        }
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Timers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("timers", &self.timers.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What is executed at a time.
    fn executed(timers: &mut Timers<&'static str>, now: Instant) -> Vec<&'static str> {
        let mut names = Vec::new();
        timers.execute_at(now, |_, name| names.push(*name));
        names
    }

    /// Timers of two and three seconds, and when they were added at the latest.
    fn two() -> (Timers<&'static str>, TimerId, TimerId, Instant) {
        let mut timers = Timers::new();
        let (three, two) = (timers.add(3 * SECOND, "three"), timers.add(2 * SECOND, "two"));
        (timers, two, three, Instant::now())
    }

    #[test]
    fn timers_repeat_in_the_order_in_which_they_are_due() {
        let (mut timers, _, _, start) = two();
        assert_eq!(executed(&mut timers, start + SECOND), [""; 0]);
        assert_eq!(executed(&mut timers, start + 3 * SECOND), ["two", "three"]);
        assert_eq!(executed(&mut timers, start + 4 * SECOND), [""; 0]);
        assert_eq!(executed(&mut timers, start + 5 * SECOND), ["two"]);
        // Late, and once all the same.
        assert_eq!(executed(&mut timers, start + 60 * SECOND), ["three", "two"]);
    }

    #[test]
    fn a_handler_that_panics_leaves_the_others_due() {
        let (mut timers, _, _, start) = two();
        let now = start + 3 * SECOND;
        let panics = std::panic::AssertUnwindSafe(|| {
            timers.execute_at(now, |_, name| {
                assert_ne!(*name, "two", "this panic is part of the test");
            });
        });
        std::panic::catch_unwind(panics).unwrap_err();
        assert_eq!(executed(&mut timers, now), ["three"]);
        assert_eq!(executed(&mut timers, now + 2 * SECOND), ["two"]);
    }

    #[test]
    fn a_cancelled_timer_is_gone() {
        let (mut timers, two, three, start) = two();
        assert_eq!((timers.cancel(two), timers.cancel(two)), (Some("two"), None));
        assert_eq!(executed(&mut timers, start + 9 * SECOND), ["three"]);
        assert!(timers.timeout().is_some());
        timers.cancel(three);
        assert_eq!(timers.timeout(), None);
        assert!(!timers.reset(three) && !timers.set_interval(three, SECOND));
    }

    #[test]
    fn an_interval_that_is_set_or_reset_begins_anew() {
        let (mut timers, two, three, start) = two();
        assert!(timers.begin(two, start + SECOND));
        assert_eq!(executed(&mut timers, start + 2 * SECOND + SECOND / 2), [""; 0]);
        assert!(timers.set_interval(three, Duration::ZERO));
        assert_eq!(timers.timeout(), Some(Duration::ZERO));
        assert_eq!(executed(&mut timers, start + 3 * SECOND), ["three", "two"]);
        assert_eq!(executed(&mut timers, start + 3 * SECOND), ["three"], "each once in a call");
    }

    #[test]
    fn an_interval_may_be_longer_than_time_itself() {
        let mut timers = Timers::new();
        let id = timers.add(Duration::MAX, "never");
        assert_eq!((timers.timeout(), timers.cancel(id)), (None, Some("never")));
    }
}
