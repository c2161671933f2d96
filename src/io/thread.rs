//! The loop of one I/O thread.
//!
//! Each round: sleep until an event, a notice or a timer; then every task that has something gets one turn.
//! A task that panics is dropped, so that the thread and everybody else's connections go on.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::io::task::{Fate, Readiness, Task, Turn};
use crate::io::timers::Timers;
use crate::io::{Bell, Finish, IoMailbox, Notice, Pool, ToIo};
use crate::limits::{BRIEF_WAIT, EVENTS_PER_POLL, MAILBOX_CAPACITY, PEERS_MANY};
use crate::pipe::Sleepers;
use crate::sync::{AtomicU64, Ordering, do_each};
use crate::transport::{Call, faults, wait_briefly};

/// The token of the mailbox; tasks are numbered from 1.
const MAILBOX: Token = Token(0);

/// An I/O thread's state.
pub(super) struct IoThread {
    poll: Poll,
    mailbox: Arc<IoMailbox>,
    pool: Arc<Pool>,
    tasks: HashMap<u64, Box<dyn Task>>,
    /// How many tasks this thread has; read by whoever looks for the least loaded thread.
    load: Arc<AtomicU64>,
    timers: Timers,
    again: Vec<u64>,
    finish: Option<Finish>,
}

impl IoThread {
    pub(super) fn new(pool: Arc<Pool>, load: Arc<AtomicU64>) -> io::Result<Self> {
        faults::before(Call::PollNew)?;
        let poll = Poll::new()?;
        let bell = Bell::new(poll.registry(), MAILBOX)?;
        faults::before(Call::PollNew)?;
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            poll,
            mailbox: Arc::new(IoMailbox::new(bell, registry)),
            pool,
            tasks: HashMap::new(),
            load,
            timers: Timers::default(),
            again: Vec::with_capacity(EVENTS_PER_POLL),
            finish: None,
        })
    }

    pub(super) fn mailbox(&self) -> &Arc<IoMailbox> {
        &self.mailbox
    }

    /// Runs until [`ToIo::Finish`].
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        let mut mail = Vec::with_capacity(MAILBOX_CAPACITY);
        let mut again = Vec::with_capacity(EVENTS_PER_POLL);
        loop {
            self.sleep(&mut events);
            let now = Instant::now();
            for event in &events {
                let Token(id) = event.token();
                let ready = Readiness::from(event);
                self.call(id as u64, now, |task, turn| task.on_event(ready, turn));
            }
            self.mailbox.mailbox().take(&mut mail);
            for item in mail.drain(..) {
                self.handle(item, now);
            }
            while let Some(id) = self.timers.take_due(now) {
                self.call(id, now, |task, turn| task.on_timer(turn));
            }
            self.timers.sweep(|id| self.tasks.contains_key(&id));
            std::mem::swap(&mut self.again, &mut again);
            for id in again.drain(..) {
                self.call(id, now, |task, turn| task.on_notice(Notice::Drive, turn));
            }
            // Tasks that are still in the mail were counted when they were given to this thread.
            if !self.mailbox.mailbox().has_mail() {
                // Relaxed: a hint for balancing.
                self.load.store(self.tasks.len() as u64, Ordering::Relaxed);
            }
            // A task that has ended may have left something to a new one.
            let has_tasks = !self.tasks.is_empty() || self.mailbox.mailbox().has_items();
            let is_over = |by: Option<Instant>| !has_tasks || by.is_some_and(|by| now >= by);
            if self.finish.is_some_and(|finish| is_over(finish.by)) {
                return;
            }
        }
    }

    fn sleep(&mut self, events: &mut Events) {
        let may_sleep = self.again.is_empty() && self.mailbox.mailbox().sleep_elsewhere(Sleepers::POLL);
        let timeout = if may_sleep {
            let by = self.finish.and_then(|finish| finish.by);
            let next = self.timers.next().into_iter().chain(by).min();
            next.map(|at| at.saturating_duration_since(Instant::now()))
        } else {
            Some(Duration::ZERO)
        };
        let timeout = match timeout {
            Some(brief)
                if self.timers.is_next_prompt()
                    && !brief.is_zero()
                    && brief < BRIEF_WAIT
                    && wait_briefly(&self.poll, brief) =>
            {
                Some(Duration::ZERO)
            }
            timeout => timeout,
        };
        if faults::before(Call::Poll).and_then(|()| self.poll.poll(events, timeout)).is_err() {
            // EINTR: a signal. Whatever else there could be, the next round looks at mail and timers too.
            events.clear();
        }
        self.mailbox.mailbox().awake(Sleepers::POLL);
    }

    fn handle(&mut self, item: ToIo, now: Instant) {
        match item {
            ToIo::Finish(finish) => self.finish(finish, now),
            ToIo::Notice(id, notice) => self.call(id, now, |task, turn| task.on_notice(notice, turn)),
            ToIo::Start(id, task) => {
                self.tasks.insert(id, task);
                self.call(id, now, |task, turn| task.on_start(turn));
                if let Some(finish) = self.finish {
                    self.call(id, now, |task, turn| task.on_notice(Notice::Finish(finish), turn));
                }
            }
        }
    }

    /// Lets all tasks end; told again, at the earlier time.
    fn finish(&mut self, finish: Finish, now: Instant) {
        let before = self.finish.and_then(|before| before.by);
        let finish = Finish { by: before.into_iter().chain(finish.by).min(), ..finish };
        self.finish = Some(finish);
        let tasks: Vec<u64> = self.tasks.keys().copied().collect();
        for id in tasks {
            self.call(id, now, |task, turn| task.on_notice(Notice::Finish(finish), turn));
        }
    }

    /// Gives task `id` a turn, if it is still there: an event can be older than the end of its task.
    fn call(&mut self, id: u64, now: Instant, act: impl FnOnce(&mut dyn Task, &mut Turn<'_>) -> Fate) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let mut turn = Turn {
            id,
            now,
            registry: self.poll.registry(),
            mailbox: &self.mailbox,
            pool: &self.pool,
            timers: &mut self.timers,
            again: &mut self.again,
        };
        let fate = catch_unwind(AssertUnwindSafe(|| act(task.as_mut(), &mut turn)));
        if !matches!(fate, Ok(Fate::Goes)) {
            let task = self.tasks.remove(&id);
            // What it holds may panic in its turn, as a message does whose body does.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
            if self.tasks.capacity() >= 8 * PEERS_MANY.max(self.tasks.len()) {
                self.tasks.shrink_to_fit();
            }
        }
    }
}

/// However it ends.
impl Drop for IoThread {
    fn drop(&mut self) {
        let (mailbox, tasks) = (&self.mailbox, &mut self.tasks);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            // A task that another thread hands over too late would hold this mailbox for ever.
            mailbox.mailbox().close();
        }));
        let _ = catch_unwind(AssertUnwindSafe(|| do_each(tasks.drain(), drop)));
    }
}
