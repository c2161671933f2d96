//! Descriptors of the program's own, to wait for beside sockets.
//!
//! mio tells of changes only. So that a descriptor is reported as long as it is ready, one that was reported is
//! entered again before the next wait, at which the kernel looks at it anew.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Poll, Registry, Token};

use crate::interest::Interest;
use crate::io::Bell;
use crate::limits::EVENTS_PER_POLL;
use crate::transport::{Call, faults};

const BELL: Token = Token(usize::MAX);

/// A poll for descriptors, out of which a thread can be woken.
pub(crate) struct Descriptors {
    poll: Poll,
    events: Events,
    waker: Waker,
    entered: HashMap<RawFd, Interest>,
    /// Reported since they were entered.
    reported: Vec<RawFd>,
}

impl Descriptors {
    pub(crate) fn new() -> io::Result<Self> {
        faults::before(Call::PollNew)?;
        let poll = Poll::new()?;
        let waker = Waker::from(Arc::new(Bell::new(poll.registry(), BELL)?));
        let events = Events::with_capacity(EVENTS_PER_POLL);
        Ok(Self { poll, events, waker, entered: HashMap::new(), reported: Vec::new() })
    }

    /// What wakes the thread that waits.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(crate) fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        if let Some(wanted) = wanted(interest) {
            enter(self.poll.registry(), fd, wanted)?;
        }
        self.entered.insert(fd, interest);
        Ok(())
    }

    pub(crate) fn modify(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let Some(before) = self.entered.get_mut(&fd) else { return Ok(()) };
        let registry = self.poll.registry();
        match (wanted(*before), wanted(interest)) {
            (None, None) => {}
            (None, Some(wanted)) => enter(registry, fd, wanted)?,
            (Some(_), Some(wanted)) => change(registry, fd, wanted)?,
            (Some(_), None) => take_out(registry, fd)?,
        }
        *before = interest;
        Ok(())
    }

    pub(crate) fn remove(&mut self, fd: RawFd) {
        self.reported.retain(|other| *other != fd);
        if self.entered.remove(&fd).is_some_and(|interest| !interest.is_none()) {
            // Fails when it was closed before, which has removed it.
            let _ = take_out(self.poll.registry(), fd);
        }
    }

    /// Waits until one of them is ready, the waker is called, or the time is over. Whether a signal ended the wait.
    ///
    /// # Errors
    ///
    /// What the system says when it cannot wait; another call may.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        self.events.clear();
        while let Some(fd) = self.reported.last().copied() {
            if let Some(wanted) = self.entered.get(&fd).copied().and_then(wanted) {
                match change(self.poll.registry(), fd, wanted) {
                    // It was closed, and is reported no more.
                    Err(error) if is_gone(&error) => {}
                    // It would not be reported in this wait; the next one tries again.
                    done => done?,
                }
            }
            self.reported.pop();
        }
        match faults::before(Call::Poll).and_then(|()| self.poll.poll(&mut self.events, timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                return Ok(true);
            }
            done => done?,
        }
        self.reported.extend(self.events.iter().filter_map(fd));
        Ok(false)
    }

    /// Which of them are ready, and for what, as the last wait has found.
    pub(crate) fn reports(&self) -> impl Iterator<Item = (RawFd, Interest)> {
        self.events.iter().filter_map(|event| {
            let fd = fd(event)?;
            let is_over = event.is_error() || event.is_read_closed() || event.is_write_closed();
            let readable = if event.is_readable() || is_over { Interest::READABLE } else { Interest::NONE };
            let writable = if event.is_writable() || is_over { Interest::WRITABLE } else { Interest::NONE };
            let ready = *self.entered.get(&fd)? & (readable | writable);
            (!ready.is_none()).then_some((fd, ready))
        })
    }
}

fn enter(registry: &Registry, fd: RawFd, wanted: mio::Interest) -> io::Result<()> {
    faults::before(Call::Register)?;
    registry.register(&mut SourceFd(&fd), token(fd), wanted)
}

fn change(registry: &Registry, fd: RawFd, wanted: mio::Interest) -> io::Result<()> {
    faults::before(Call::Reregister)?;
    registry.reregister(&mut SourceFd(&fd), token(fd), wanted)
}

fn take_out(registry: &Registry, fd: RawFd) -> io::Result<()> {
    faults::before(Call::Reregister)?;
    registry.deregister(&mut SourceFd(&fd))
}

/// Whether the kernel does not know a descriptor: also one of this number that was opened since.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOENT | libc::EPERM))
}

/// Whose event it is; none: the waker's.
fn fd(event: &Event) -> Option<RawFd> {
    RawFd::try_from(event.token().0).ok()
}

fn token(fd: RawFd) -> Token {
    Token(usize::try_from(fd).unwrap_or(usize::MAX))
}

fn wanted(interest: Interest) -> Option<mio::Interest> {
    match (interest.is_readable(), interest.is_writable()) {
        (true, true) => Some(mio::Interest::READABLE | mio::Interest::WRITABLE),
        (true, false) => Some(mio::Interest::READABLE),
        (false, true) => Some(mio::Interest::WRITABLE),
        (false, false) => None,
    }
}
