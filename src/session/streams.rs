//! The connections that a thread streams on, or is in step with, and how it waits.
//!
//! Their pipes tell nobody, so before the thread sleeps, in whatever socket, it writes what it has queued on all of
//! them: nothing waits for a tick because its sender waits for something else. And while it sleeps the kernel tells
//! it, and not their I/O threads, what they have to be read or room to be written.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hint::spin_loop;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use crate::io::unique_id;
use crate::limits::{QUIET, STREAMS_FEW};
use crate::pipe::{Chores, Signal};
use crate::session::link::Link;
use crate::session::lookout::Lookout;
use crate::session::protocol::Turn;
use crate::session::work::noted;
use crate::sync::{
    AtomicU64, Condvar, Mutex, Ordering, Process, lock, wait as sleep, wait_until as sleep_until,
};

thread_local! {
    static STREAMS: RefCell<Streams> = RefCell::new(Streams::new());
    static WRITTEN: Cell<Written> = const { Cell::new(Written::NotSinceWait) };
}

/// When this thread last wrote a message for which a session waited.
#[derive(Clone, Copy)]
enum Written {
    NotSinceWait,
    Once,
    At(Instant),
}

/// As what a message is written at once, by this thread: as the first after a wait, or after a while. `None`: what
/// follows faster is left to the I/O thread, which takes it together.
pub(super) fn may_write() -> Option<Turn> {
    let last = WRITTEN.get();
    if let Written::NotSinceWait = last {
        // In lock-step nobody needs the clock.
        WRITTEN.set(Written::Once);
        return Some(Turn::Step);
    }
    let now = Instant::now();
    WRITTEN.set(Written::At(now));
    matches!(last, Written::At(last) if now - last >= QUIET).then_some(Turn::Call)
}

/// Whose news this thread hears when it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// Not that of the connection that was asked about.
    Others,
    /// Also that of this connection.
    This,
    ThisAlone,
}

/// Whether this thread hears of the connection that `streamer` belongs to.
pub(super) fn waits_for(streamer: &AtomicU64) -> WaitsFor {
    let streamer = streamer.load(Ordering::Relaxed);
    let found = STREAMS.try_with(|streams| match streams.try_borrow() {
        Ok(streams) if streams.id == streamer && streams.links.len() == 1 => WaitsFor::ThisAlone,
        Ok(streams) if streams.id == streamer => WaitsFor::This,
        Ok(_) | Err(_) => WaitsFor::Others,
    });
    found.unwrap_or(WaitsFor::Others)
}

/// This thread waits for what its peers do.
pub(super) fn note_wait() {
    let _ = WRITTEN.try_with(|written| written.set(Written::NotSinceWait));
}

/// Enters a connection that this thread streams on, if `streamer` says that it is not in its list. `true`: it was not.
#[inline]
pub(super) fn enter(streamer: &AtomicU64, id: u64, link: &Weak<Link>) -> bool {
    // While the thread ends there is no list any more, and no sleep either. It is in use when a body that is dropped
    // during a wait sends something itself: the next tick finds that.
    let is_new = with_streams(|streams| {
        // Relaxed: only this thread enters itself, and others find out at their next sleep.
        let is_new = streamer.load(Ordering::Relaxed) != streams.id;
        if is_new {
            streamer.store(streams.id, Ordering::Relaxed);
            streams.insert(id, link);
        }
        is_new
    });
    is_new.unwrap_or(false)
}

/// Waits until something is posted to one of the signals, the kernel has something to report of a connection that
/// is lent to this thread, or `deadline` has passed. `false`: it has, whatever was posted and reported: a thread whose
/// peers always have something to say must hear of its deadline, too. Looks for `spin` before it sleeps.
pub(crate) fn wait<'a, T: 'a>(
    signals: impl Iterator<Item = &'a Signal<T>> + Clone,
    deadline: Option<Instant>,
    spin: Duration,
) -> bool {
    wait_as(signals, deadline, Manner { spin, is_interruptible: false }) != Waited::InVain
}

/// The same, and ends when a handler of signals has run on this thread while it slept, if the manner is such.
pub(crate) fn wait_as<'a, T: 'a>(
    signals: impl Iterator<Item = &'a Signal<T>> + Clone,
    deadline: Option<Instant>,
    manner: Manner,
) -> Waited {
    note_wait();
    let waited = with_streams(|streams| streams.wait(signals.clone(), deadline, manner));
    // Where nothing tells of signals.
    waited.flatten().unwrap_or_else(|| match wait_for_mail(signals, deadline, manner.spin) {
        true => Waited::News,
        false => Waited::InVain,
    })
}

/// Waits for what no connection of this thread tells of: those are left to their I/O threads meanwhile.
pub(crate) fn wait_aside<T>(signal: &Signal<T>, deadline: Option<Instant>, manner: Manner) -> Waited {
    leave();
    let waited = if manner.is_interruptible {
        with_streams(|streams| streams.wait_aside(signal, deadline)).flatten()
    } else {
        None
    };
    // Where nothing tells of signals.
    waited.unwrap_or_else(|| match signal.wait(deadline) {
        true => Waited::News,
        false => Waited::InVain,
    })
}

/// How a thread waits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// How long it looks before it sleeps.
    pub(crate) spin: Duration,
    /// Signals end its waits.
    pub(crate) is_interruptible: bool,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The deadline has passed.
    InVain,
    /// A handler of signals ran on this thread.
    Interrupted,
    News,
}

fn wait_for_mail<'a, T: 'a>(
    mut signals: impl Iterator<Item = &'a Signal<T>> + Clone,
    deadline: Option<Instant>,
    spin: Duration,
) -> bool {
    let all = signals.clone();
    if !spin.is_zero() {
        let begin = Instant::now();
        let end = deadline.into_iter().chain(begin.checked_add(spin)).min().unwrap_or(begin);
        while Instant::now() < end {
            if all.clone().any(Signal::has_mail) {
                return true;
            }
            spin_loop();
        }
    }
    if let (Some(only), None) = (signals.next(), signals.next()) {
        return only.wait(deadline);
    }
    let bell = Arc::new(Bell::default());
    let ring = Waker::from(Arc::clone(&bell));
    let mut is_quiet = true;
    for mailbox in all.clone() {
        is_quiet &= mailbox.listen(&ring);
    }
    let is_in_time = if is_quiet { bell.wait(deadline) } else { is_in_time(deadline) };
    all.for_each(Signal::stop_listening);
    is_in_time
}

fn is_in_time(deadline: Option<Instant>) -> bool {
    deadline.is_none_or(|deadline| Instant::now() < deadline)
}

/// Where one thread sleeps that waits for several sockets.
#[derive(Debug, Default)]
struct Bell {
    has_rung: Mutex<bool>,
    ringing: Condvar,
}

impl Bell {
    /// Sleeps until it rings or `deadline` has passed. `false`: it has not rung.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut has_rung = lock(&self.has_rung);
        while !*has_rung {
            has_rung = match deadline {
                None => sleep(&self.ringing, has_rung),
                Some(deadline) if Instant::now() >= deadline => return false,
                Some(deadline) => sleep_until(&self.ringing, has_rung, deadline),
            };
        }
        true
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *lock(&self.has_rung) = true;
        self.ringing.notify_one();
    }
}

/// Before a task of this thread is left: writes what the thread has queued on its streams, and has the I/O threads
/// hear again of what is lent to it. Nobody is in its poll until it waits.
pub(crate) fn leave() {
    note_wait();
    with_streams(Streams::leave);
}

/// Calls `act` with this thread's streams. `None`: they are in use, or the thread ends.
#[inline]
fn with_streams<T>(act: impl FnOnce(&mut Streams) -> T) -> Option<T> {
    let acted = STREAMS.try_with(|streams| {
        let mut streams = streams.try_borrow_mut().ok()?;
        if !streams.process.is_current() {
            // The connections are those of the process that was forked, and so is the poll: it would hear of them.
            *streams = Streams::new();
        }
        Some(act(&mut streams))
    });
    acted.ok().flatten()
}

/// One thread's.
struct Streams {
    /// Names this thread.
    id: u64,
    process: Process,
    links: BTreeMap<u64, Weak<Link>>,
    /// When there are so many, those that are gone are taken out.
    links_max: usize,
    /// Made when there is something to wait for.
    lookout: Option<Lookout>,
    /// What the kernel reported; empty between two waits.
    due: Vec<(Arc<Link>, u8)>,
}

impl Streams {
    fn new() -> Self {
        Self {
            id: unique_id(),
            process: Process::current(),
            links: BTreeMap::new(),
            links_max: STREAMS_FEW,
            lookout: None,
            due: Vec::new(),
        }
    }

    /// A thread that always finds what it looks for never waits, and a weak reference holds the memory of its link.
    fn insert(&mut self, id: u64, link: &Weak<Link>) {
        if self.links.len() >= self.links_max {
            self.links.retain(|_, link| link.strong_count() > 0);
            // Twice as many, so that looking costs each entry no more than a step or two.
            self.links_max = STREAMS_FEW.max(2 * self.links.len());
        }
        self.links.insert(id, Weak::clone(link));
    }

    fn leave(&mut self) {
        let (id, mut chores) = (self.id, Chores::of_call());
        self.links.retain(|_, link| {
            let flushed = link.upgrade().filter(|link| link.flush_stream(id, &mut chores));
            let Some(link) = flushed else { return false };
            link.lend(None);
            true
        });
    }

    /// As the function of this name. `None`: there is no descriptor for it.
    fn wait_aside<T>(&mut self, signal: &Signal<T>, deadline: Option<Instant>) -> Option<Waited> {
        let lookout = self.lookout()?;
        lookout.forget_ringing();
        let mut waited = if signal.listen(lookout.ring()) { Waited::InVain } else { Waited::News };
        while waited == Waited::InVain && lookout.wait(deadline, false, Duration::ZERO) {
            if lookout.has_rung() {
                waited = Waited::News;
            } else if lookout.was_interrupted() {
                waited = Waited::Interrupted;
            } else if lookout.was_late() {
                break;
            }
        }
        signal.stop_listening();
        Some(waited)
    }

    /// Without a descriptor for it the I/O threads do the work.
    fn lookout(&mut self) -> Option<&mut Lookout> {
        if self.lookout.is_none() {
            self.lookout = Lookout::new().ok();
        }
        self.lookout.as_mut()
    }

    /// As the function of this name. `None`: nothing is lent to this thread, which need not hear of signals, either.
    fn wait<'a, T: 'a>(
        &mut self,
        signals: impl Iterator<Item = &'a Signal<T>> + Clone,
        deadline: Option<Instant>,
        manner: Manner,
    ) -> Option<Waited> {
        let Manner { spin, is_interruptible } = manner;
        if self.links.is_empty() && !is_interruptible {
            return None;
        }
        let _ = self.lookout();
        let Self { id, links, lookout, due, .. } = self;
        let mut lookout = lookout.as_mut();
        let (mut is_streaming, mut is_any_lent) = (false, false);
        let mut chores = Chores::of_call();
        links.retain(|_, link| {
            let flushed = link.upgrade().filter(|link| link.flush_stream(*id, &mut chores));
            let Some(link) = flushed else { return false };
            is_streaming |= link.is_streamed();
            is_any_lent |= lookout.as_ref().is_some_and(|lookout| link.lend(Some(lookout.desk())));
            true
        });
        let lookout = lookout.take().filter(|_| is_any_lent || is_interruptible)?;
        lookout.forget_ringing();
        let mut is_quiet = true;
        for mailbox in signals.clone() {
            is_quiet &= mailbox.listen(lookout.ring());
        }
        let mut has_news = !is_quiet;
        let mut is_late = has_news && !is_in_time(deadline);
        let mut was_interrupted = false;
        while !has_news && lookout.wait(deadline, is_streaming, spin) {
            has_news = lookout.has_rung();
            for (id, ready) in lookout.reports() {
                let Some(link) = links.get(&id).and_then(Weak::upgrade) else { continue };
                if link.owner().mailbox.is_awaited() {
                    due.push((link, noted(ready)));
                } else {
                    // Its socket reads more at once when it is its turn.
                    link.leave(noted(ready), &mut chores);
                }
            }
            has_news |= !due.is_empty();
            is_late = lookout.was_late();
            if is_interruptible && !has_news && lookout.was_interrupted() {
                was_interrupted = true;
                break;
            }
        }
        signals.for_each(Signal::stop_listening);
        let mut chores = Chores::of_call();
        due.drain(..).for_each(|(link, work)| link.drive_for_caller(work, &mut chores));
        Some(match has_news && !is_late {
            true => Waited::News,
            false if was_interrupted => Waited::Interrupted,
            false => Waited::InVain,
        })
    }
}

/// Polls of this thread's lookout so far.
#[cfg(test)]
pub(crate) fn polls() -> u64 {
    STREAMS.with(|streams| streams.borrow().lookout.as_ref().map_or(0, Lookout::calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_never_waits_forgets_connections_that_are_gone() {
        for id in 1..1000 {
            assert!(enter(&AtomicU64::new(0), id, &Weak::new()));
            STREAMS.with(|streams| assert!(streams.borrow().links.len() <= STREAMS_FEW));
        }
    }
}
