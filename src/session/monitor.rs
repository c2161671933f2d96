//! Monitors: who watches what happens to a socket's endpoints and peers.
//!
//! Whoever makes something happen tells it here and goes on: a reader that stops costs nobody anything but itself,
//! which is told how much it missed. While nobody watches, telling is one look at a flag; messages never come by.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::error::RecvError;
use crate::io::unique_id;
use crate::limits::{DROPPED_LOOK, DROPPED_PAUSE, MONITOR_EVENTS_MAX};
use crate::pipe::{Books, Dropped, Sleepers};
use crate::session::give_way::poll_in_turn;
use crate::session::streams::{Manner, Waited};
use crate::session::tasks::Tasks;
use crate::session::vitals::Tally;
use crate::session::{ConnectionCounts, Event, EventKind, meters, traces};
use crate::sync::{AtomicBool, Mutex, Ordering, lock, wake};
use crate::time::later;

/// What happens to the endpoints and peers of one socket: [`Socket::monitor`](crate::Socket::monitor) begins to watch.
///
/// Can be read from any thread, and as an iterator, which ends behind [`EventKind::Stopped`]; in a task of any executor,
/// by [`recv_async`](Self::recv_async), and with the feature `futures` as a `Stream` (`into_stream`). Holds 1,000 events.
/// A reader that stops holds nothing up: what came while its monitor was full is told as one [`EventKind::Missed`], in
/// its place. Dropping the monitor ends the watch.
///
/// ```
/// use peermq::{Context, EventKind, Pull, Push};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// let monitor = pull.monitor();
/// let binding = pull.bind("tcp://127.0.0.1:0")?;
/// let mut push = context.open::<Push>()?;
/// push.connect(&binding)?;
/// push.send("hello")?;
/// assert_eq!(pull.recv()?, "hello");
/// drop((push, pull));
/// let mut guests = 0;
/// for event in monitor {
///     if let EventKind::Ready(peer) = event.kind {
///         println!("a {:?} has come from {}", peer.socket_type(), peer.endpoint());
///         guests += 1;
///     }
/// }
/// assert_eq!(guests, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Monitor {
    queue: Arc<Queue>,
    /// How a thread waits for it.
    manner: Manner,
}

impl Monitor {
    /// Receives the next event, as soon as there is one.
    ///
    /// # Errors
    ///
    /// [`RecvError::Terminated`] behind [`EventKind::Stopped`]; [`RecvError::Interrupted`] by a signal, if the context
    /// is [`interruptible`](crate::ContextBuilder::interruptible).
    pub fn recv(&self) -> Result<Event, RecvError> {
        self.queue.recv(None, self.manner)
    }

    /// Receives the next event, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvError::WouldBlock`] when the time is over, and as for [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Event, RecvError> {
        self.queue.recv(Instant::now().checked_add(timeout), self.manner)
    }

    /// Receives the next event in a task: the future is ready as soon as there is one. For any executor.
    ///
    /// Nobody wakes a task because messages were dropped: it is told so with the next event, or at the end.
    ///
    /// Cancel-safe: an event is taken in the poll that returns it. Dropped before, the future has taken nothing.
    ///
    /// # Errors
    ///
    /// [`RecvError::Terminated`] behind [`EventKind::Stopped`].
    ///
    /// ```
    /// use futures::executor::block_on;
    /// use futures::future::join;
    /// use peermq::{Context, EventKind, Pull};
    ///
    /// let mut pull = Context::new().open::<Pull>()?;
    /// let monitor = pull.monitor();
    /// let watching = async {
    ///     let event = monitor.recv_async().await?;
    ///     assert!(matches!(event.kind, EventKind::Listening));
    ///     Ok::<(), peermq::RecvError>(())
    /// };
    /// let (watched, bound) = block_on(join(watching, async { pull.bind("tcp://127.0.0.1:0") }));
    /// watched?;
    /// bound?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_async(&self) -> impl Future<Output = Result<Event, RecvError>> + Send {
        NextEvent { queue: &self.queue, id: unique_id() }
    }

    /// The next event for a `Stream`, of which there is one for each monitor.
    #[cfg_attr(not(feature = "futures"), allow(dead_code, reason = "streams are not there"))]
    pub(crate) fn poll_event(&mut self, context: &Context<'_>) -> Poll<Result<Event, RecvError>> {
        self.queue.poll(STREAM_ID, context)
    }

    /// Receives an event if there is one.
    ///
    /// # Errors
    ///
    /// As for [`recv_timeout`](Self::recv_timeout).
    pub fn try_recv(&self) -> Result<Event, RecvError> {
        self.queue.next()
    }
}

impl Iterator for Monitor {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        (&*self).next()
    }
}

/// No signal ends it.
impl Iterator for &Monitor {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.queue.recv(None, Manner::default()).ok()
    }
}

/// Under this number a monitor's stream waits. Futures have numbers from 1.
const STREAM_ID: u64 = 0;

/// See [`Monitor::recv_async`].
struct NextEvent<'a> {
    queue: &'a Queue,
    /// Names the task's waker.
    id: u64,
}

impl Future for NextEvent<'_> {
    type Output = Result<Event, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.queue.poll(self.id, context)
    }
}

impl Drop for NextEvent<'_> {
    fn drop(&mut self) {
        self.queue.tasks.forget(self.id);
    }
}

/// Events on their way to one monitor.
struct Queue {
    told: Mutex<Told>,
    /// Woken by the next event.
    tasks: Tasks,
    drops: Mutex<Drops>,
}

#[derive(Default)]
struct Told {
    events: VecDeque<Event>,
    /// Events since the last one in the queue, and when the first of them was.
    missed: Option<(u64, Instant)>,
    /// When the socket went.
    stopped_at: Option<Instant>,
    is_over: bool,
}

/// Dropped messages, of which the monitor itself finds out when it is read: whoever drops does not tell.
struct Drops {
    books: Arc<Books>,
    /// What the reader knows.
    told: Dropped,
    /// When to look next.
    look_at: Option<Instant>,
}

impl Drops {
    /// What was dropped since the last look, if it is time for one, or if it is the `last`.
    fn look(&mut self, is_last: bool) -> Option<Event> {
        let now = Instant::now();
        if !is_last && self.look_at.is_some_and(|at| now < at) {
            return None;
        }
        let dropped = self.books.dropped();
        if dropped == self.told {
            return None;
        }
        self.look_at = now.checked_add(DROPPED_PAUSE);
        let since = dropped.since(&std::mem::replace(&mut self.told, dropped));
        Some(Event::of_monitor(now, EventKind::Dropped(since)))
    }
}

impl Queue {
    fn new(drops: Drops) -> Self {
        Self { told: Mutex::default(), tasks: Tasks::default(), drops: Mutex::new(drops) }
    }

    fn recv(&self, deadline: Option<Instant>, manner: Manner) -> Result<Event, RecvError> {
        let look = || Some(self.next()).filter(|next| !matches!(next, Err(RecvError::WouldBlock)));
        loop {
            // Nobody tells of dropped messages.
            let look_at = later(Instant::now(), DROPPED_LOOK);
            let until = deadline.map_or(look_at, |at| at.min(look_at));
            match self.tasks.wait(Some(until), manner, look) {
                Ok(event_or_end) => return event_or_end,
                Err(Waited::Interrupted) => return Err(RecvError::Interrupted),
                Err(_) if deadline.is_some_and(|at| Instant::now() >= at) => {
                    return Err(RecvError::WouldBlock);
                }
                Err(_) => {}
            }
        }
    }

    fn poll(&self, id: u64, context: &Context<'_>) -> Poll<Result<Event, RecvError>> {
        poll_in_turn((std::ptr::from_ref(self).addr(), Sleepers::CALL), context, || {
            // The waker first: an event after it wakes, and one before it is seen.
            self.tasks.enter(id, context.waker());
            match self.next() {
                Err(RecvError::WouldBlock) => Poll::Pending,
                event_or_end => {
                    self.tasks.forget(id);
                    Poll::Ready(event_or_end)
                }
            }
        })
    }

    fn next(&self) -> Result<Event, RecvError> {
        loop {
            let mut told = lock(&self.told);
            if let Some(event) = told.take() {
                return Ok(event);
            }
            let is_last = told.stopped_at.is_some();
            drop(told);
            // Without that lock: a look may find the socket's last connection gone, and then we are told to stop.
            if let Some(dropped) = lock(&self.drops).look(is_last) {
                return Ok(dropped);
            }
            let mut told = lock(&self.told);
            if told.has_news() && !is_last {
                continue;
            }
            return told.end();
        }
    }
}

impl Told {
    fn push(&mut self, event: &Event) {
        if self.events.len() >= MONITOR_EVENTS_MAX {
            self.missed.get_or_insert((0, event.at)).0 += 1;
            return;
        }
        let missed = self.take_missed();
        self.events.extend(missed);
        self.events.push_back(event.clone());
    }

    fn take_missed(&mut self) -> Option<Event> {
        let (count, at) = self.missed.take()?;
        Some(Event::of_monitor(at, EventKind::Missed(count)))
    }

    /// Whether there is anything but silence.
    fn has_news(&self) -> bool {
        !self.events.is_empty() || self.missed.is_some() || self.stopped_at.is_some()
    }

    fn take(&mut self) -> Option<Event> {
        let Some(event) = self.events.pop_front() else { return self.take_missed() };
        if self.events.is_empty() {
            self.events.shrink_to_fit();
        }
        Some(event)
    }

    /// Behind all events.
    fn end(&mut self) -> Result<Event, RecvError> {
        match self.stopped_at {
            None => Err(RecvError::WouldBlock),
            Some(_) if self.is_over => Err(RecvError::Terminated),
            Some(at) => {
                self.is_over = true;
                Ok(Event::of_monitor(at, EventKind::Stopped))
            }
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = lock(&self.told);
        let mut shown = f.debug_struct("Queue");
        shown.field("events", &told.events.len()).field("missed", &told.missed).finish_non_exhaustive()
    }
}

impl Event {
    /// An event of the monitor's own.
    fn of_monitor(at: Instant, kind: EventKind) -> Self {
        Self {
            at,
            kind,
            endpoint: None,
            address: None,
            connection: None,
            is_accepted: false,
            descriptor: None,
        }
    }
}

/// What is told of events in another form than [`Monitor`].
pub(crate) trait Watcher: Send {
    /// Never waits, and drops no socket: locks are held.
    fn on_event(&mut self, event: &Event);
    /// Nothing more will be told.
    fn on_stop(&mut self);
}

/// Where something happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scene<'a> {
    pub(crate) endpoint: Option<&'a Endpoint>,
    pub(crate) address: Option<&'a Endpoint>,
    pub(crate) connection: Option<u64>,
    pub(crate) is_accepted: bool,
    pub(crate) descriptor: Option<i32>,
}

/// Who watches one socket. Dropped when the socket and all its connections are gone.
#[derive(Default)]
pub(crate) struct Watchers {
    is_any: AtomicBool,
    list: Mutex<List>,
    tally: Tally,
    books: Arc<Books>,
}

#[derive(Default)]
struct List {
    monitors: Vec<Weak<Queue>>,
    others: Vec<Box<dyn Watcher>>,
}

impl Watchers {
    /// For a socket whose messages are counted in these books.
    pub(crate) fn new(books: Arc<Books>) -> Self {
        Self { is_any: AtomicBool::new(false), list: Mutex::default(), tally: Tally::default(), books }
    }

    pub(crate) fn books(&self) -> &Arc<Books> {
        &self.books
    }

    /// A monitor that threads wait for in this manner.
    pub(crate) fn monitor(&self, manner: Manner) -> Monitor {
        let drops = Drops { books: Arc::clone(&self.books), told: self.books.dropped(), look_at: None };
        let queue = Arc::new(Queue::new(drops));
        let mut list = lock(&self.list);
        // Where nothing happens nobody else looks for those that were dropped.
        list.monitors.retain(|monitor| monitor.strong_count() > 0);
        list.monitors.push(Arc::downgrade(&queue));
        drop(list);
        // Relaxed: whoever asked to watch sees what it does next itself; what others do meanwhile is before or behind.
        self.is_any.store(true, Ordering::Relaxed);
        Monitor { queue, manner }
    }

    pub(crate) fn add(&self, watcher: Box<dyn Watcher>) {
        lock(&self.list).others.push(watcher);
        self.is_any.store(true, Ordering::Relaxed); // as above
    }

    /// Takes those out that are no monitors.
    pub(crate) fn take_others(&self) -> Vec<Box<dyn Watcher>> {
        std::mem::take(&mut lock(&self.list).others)
    }

    /// Whether anybody would hear of an event.
    pub(crate) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Relaxed) || traces::is_on() // as in `monitor`
    }

    /// How often what happened.
    pub(crate) fn counts(&self) -> ConnectionCounts {
        self.tally.so_far()
    }

    /// Another one of which nobody is told.
    pub(super) fn count_accept_failed(&self) {
        self.tally.count_accept_failed();
    }

    pub(super) fn count_reconnect(&self) {
        self.tally.count_reconnect();
    }

    pub(crate) fn tell(&self, scene: Scene<'_>, kind: EventKind) {
        self.tally.count(&kind);
        meters::count(scene, &kind);
        traces::tell(scene, &kind);
        if self.is_any() {
            self.tell_all(scene, kind);
        }
    }

    #[cold]
    fn tell_all(&self, scene: Scene<'_>, kind: EventKind) {
        let mut list = lock(&self.list);
        let event = Event {
            at: Instant::now(), // behind the lock: in the order in which it is told
            kind,
            endpoint: scene.endpoint.cloned(),
            address: scene.address.cloned(),
            connection: scene.connection,
            is_accepted: scene.is_accepted,
            descriptor: scene.descriptor,
        };
        list.monitors.retain(|monitor| {
            let Some(queue) = monitor.upgrade() else { return false };
            lock(&queue.told).push(&event);
            queue.tasks.take().for_each(wake);
            true
        });
        list.others.iter_mut().for_each(|watcher| watcher.on_event(&event));
        let is_any = !(list.monitors.is_empty() && list.others.is_empty());
        self.is_any.store(is_any, Ordering::Relaxed); // behind the lock, as whoever comes next
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        for queue in lock(&self.list).monitors.drain(..).filter_map(|monitor| monitor.upgrade()) {
            lock(&queue.told).stopped_at = Some(Instant::now());
            queue.tasks.take().for_each(wake);
        }
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").field("is_any", &self.is_any()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_monitor_counts_what_it_misses_and_tells_so_in_its_place() {
        let watchers = Watchers::default();
        let monitor = watchers.monitor(Manner::default());
        for _ in 0..MONITOR_EVENTS_MAX + 7 {
            watchers.tell(Scene::default(), EventKind::Accepted);
        }
        assert!(matches!(monitor.try_recv().unwrap().kind, EventKind::Accepted));
        watchers.tell(Scene::default(), EventKind::Listening);
        watchers.tell(Scene::default(), EventKind::Listening);
        for _ in 1..MONITOR_EVENTS_MAX {
            assert!(matches!(monitor.try_recv().unwrap().kind, EventKind::Accepted));
        }
        assert!(matches!(monitor.try_recv().unwrap().kind, EventKind::Missed(7)));
        assert!(matches!(monitor.try_recv().unwrap().kind, EventKind::Listening));
        // The note of what was missed took the place of the next one.
        assert!(matches!(monitor.try_recv().unwrap().kind, EventKind::Missed(1)));
        assert_eq!(monitor.try_recv().unwrap_err(), RecvError::WouldBlock);
        drop(watchers);
        assert!(matches!(monitor.recv().unwrap().kind, EventKind::Stopped));
        assert_eq!(monitor.recv().unwrap_err(), RecvError::Terminated);
    }

    #[test]
    fn events_at_the_end_of_a_full_monitor_are_told_as_missed() {
        let watchers = Watchers::default();
        let monitor = watchers.monitor(Manner::default());
        for _ in 0..MONITOR_EVENTS_MAX + 3 {
            watchers.tell(Scene::default(), EventKind::Accepted);
        }
        drop(watchers);
        let events: Vec<_> = monitor.collect();
        assert_eq!(events.len(), MONITOR_EVENTS_MAX + 2);
        assert!(matches!(events[MONITOR_EVENTS_MAX].kind, EventKind::Missed(3)));
        assert!(matches!(events[MONITOR_EVENTS_MAX + 1].kind, EventKind::Stopped));
        assert!(events.windows(2).all(|two| two[0].at <= two[1].at));
    }

    #[test]
    fn a_monitor_that_is_dropped_watches_no_more() {
        let watchers = Watchers::default();
        let (first, second) = (watchers.monitor(Manner::default()), watchers.monitor(Manner::default()));
        drop(first);
        watchers.tell(Scene::default(), EventKind::Accepted);
        assert!(watchers.is_any() && second.try_recv().is_ok());
        drop(second);
        watchers.tell(Scene::default(), EventKind::Accepted);
        assert!(!watchers.is_any());
    }

    #[test]
    fn monitors_that_were_dropped_do_not_gather() {
        let watchers = Watchers::default();
        let kept = watchers.monitor(Manner::default());
        for _ in 0..10_000 {
            drop(watchers.monitor(Manner::default()));
            assert!(lock(&watchers.list).monitors.len() <= 2);
        }
        watchers.tell(Scene::default(), EventKind::Accepted);
        assert!(matches!(kept.try_recv().unwrap().kind, EventKind::Accepted));
    }
}
