//! Waiting for many sockets, and for descriptors, at once.
//!
//! A socket that has something to do enters itself in its poller's list, so waiting costs the same with one and with
//! a thousand. Without descriptors the poller's thread does the I/O of its sockets itself while it waits, as a blocking
//! call does; with some it sleeps in a poll of its own, and I/O threads do it.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::fmt;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::PollError;
use crate::interest::Interest;
#[cfg(unix)]
use crate::io::Descriptors;
use crate::io::{SocketMailbox, unique_id};
#[cfg(unix)]
use crate::pipe::Sleepers;
use crate::pipe::{Observer, Signal};
use crate::session::{self, Manner, Waited};
use crate::socket::Pollable;
use crate::sync::{Mutex, lock};

/// Waits for any number of sockets, and for descriptors of the system beside them, on one thread.
///
/// Each is added with a key of the program's choice, which says later whose turn it is. Level-triggered: what is ready
/// is reported at each [`wait`](Self::wait) until it is used so that there is nothing more to be done; what it is
/// ready for is reported only to who wants that. After a shutdown of its context, a socket is ready for everything.
///
/// What it reports is a hint, since it does not have the sockets: now and then one is reported that has nothing after
/// all, a SUB whose message matches no subscription, or one whose peer has left. Use the calls that do not wait, or ask
/// the socket ([`Socket::readiness`](crate::Socket::readiness)), which knows; [`poll`](crate::poll) asks a few sockets
/// that are lent to it.
///
/// To send to a certain peer, or on a socket that drops what finds no room, is always worth a try: a ROUTER, STREAM, PUB,
/// XPUB and XSUB are always writable. A REQ is readable while its reply is here, and writable while it has no request
/// under way; a REP is readable while it has not received one, and writable while it has.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Interest, Poller, Pull, Push};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum Line {
///     Bulk,
///     Urgent,
/// }
///
/// let context = Context::new();
/// let mut urgent = context.open::<Pull>()?;
/// urgent.bind("inproc://urgent")?;
/// let mut bulk = context.open::<Pull>()?;
/// bulk.bind("inproc://bulk")?;
/// let mut poller = Poller::new();
/// poller.add(&mut urgent, Interest::READABLE, Line::Urgent)?;
/// poller.add(&mut bulk, Interest::READABLE, Line::Bulk)?;
/// assert!(poller.wait(Some(Duration::ZERO))?.is_empty());
///
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://bulk")?;
/// push.send("work")?;
/// for event in poller.wait(None)? {
///     assert_eq!(event.key, Line::Bulk);
///     assert_eq!(bulk.try_recv()?, "work");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Poller<K> {
    desk: Arc<Desk>,
    sockets: HashMap<u64, Entry<K>>,
    /// Sockets that had something to do when last looked at, or have said so since, and their seats: one that was
    /// removed and added again has another seat, which is listed itself.
    pub(crate) listed: VecDeque<(u64, u64)>,
    events: Vec<PollEvent<K>>,
    /// How it waits: as the most patient of its sockets, and signals end that if they do for any.
    manner: Manner,
    #[cfg(unix)]
    descriptors: Option<Descriptors>,
    #[cfg(unix)]
    keys: HashMap<RawFd, K>,
    /// Descriptors come before sockets in the next report, as these filled the last one.
    #[cfg(unix)]
    are_descriptors_first: bool,
}

/// Something that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PollEvent<K> {
    /// The key with which it was added.
    pub key: K,
    /// For what it is ready, of what was asked for.
    pub ready: Interest,
}

struct Entry<K> {
    key: K,
    seat: Arc<Seat>,
    mailbox: Arc<SocketMailbox>,
}

impl<K> Entry<K> {
    fn leave(self) -> K {
        let observer: Arc<dyn Observer> = self.seat;
        self.mailbox.ignore(&observer);
        self.key
    }
}

/// What a poller shares with its sockets.
struct Desk {
    /// Sockets that have something to do, and their seats.
    signal: Signal<(u64, u64)>,
}

/// A socket's place at a desk.
struct Seat {
    /// Unlike that of any other.
    number: u64,
    socket: u64,
    desk: Arc<Desk>,
    state: Mutex<SeatState>,
}

#[derive(Default)]
struct SeatState {
    interest: Interest,
    ready: Interest,
    /// The poller has it in its list, or will find it in its mail.
    is_listed: bool,
    is_over: bool,
}

impl Seat {
    fn change(&self, change: impl FnOnce(&mut SeatState)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let has_news = state.is_over || !(state.ready & state.interest).is_none();
        if has_news && !state.is_listed {
            state.is_listed = true;
            drop(state);
            self.desk.signal.post_with((self.socket, self.number), Interest::NONE);
        }
    }

    /// What there is to report; nothing, and the socket lists itself again when there is. `None`: it is gone.
    fn look(&self) -> Option<Interest> {
        let mut state = lock(&self.state);
        if state.is_over {
            return None;
        }
        let ready = state.ready & state.interest;
        state.is_listed = !ready.is_none();
        Some(ready)
    }
}

impl Observer for Seat {
    fn show(&self, ready: Interest) {
        self.change(|state| state.ready = ready);
    }

    fn is_awaited(&self) -> bool {
        self.desk.signal.is_awaited()
    }

    fn end(&self) {
        self.change(|state| state.is_over = true);
    }
}

impl<K: Clone> Poller<K> {
    /// Returns a poller of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            desk: Arc::new(Desk { signal: Signal::new() }),
            sockets: HashMap::new(),
            manner: Manner::default(),
            listed: VecDeque::new(),
            events: Vec::new(),
            #[cfg(unix)]
            descriptors: None,
            #[cfg(unix)]
            keys: HashMap::new(),
            #[cfg(unix)]
            are_descriptors_first: false,
        }
    }

    /// Adds a socket. It is the program's as before, and reported under `key` when it is ready for something that
    /// `interest` says. A socket can be in several pollers; one that is dropped leaves them.
    ///
    /// # Errors
    ///
    /// [`PollError::Duplicate`] when it is in this one already.
    pub fn add<S: Pollable + ?Sized>(
        &mut self,
        socket: &mut S,
        interest: Interest,
        key: K,
    ) -> Result<(), PollError> {
        let id = socket.id();
        if self.sockets.contains_key(&id) {
            return Err(PollError::Duplicate);
        }
        let state = Mutex::new(SeatState { interest, ..SeatState::default() });
        let seat = Arc::new(Seat { number: unique_id(), socket: id, desk: Arc::clone(&self.desk), state });
        let mailbox = socket.observe(Arc::clone(&seat) as _);
        let manner = socket.manner();
        self.manner.spin = self.manner.spin.max(manner.spin);
        self.manner.is_interruptible |= manner.is_interruptible;
        self.sockets.insert(id, Entry { key, seat, mailbox });
        Ok(())
    }

    /// Changes what a socket is reported for.
    ///
    /// # Errors
    ///
    /// [`PollError::NotFound`] when it is not in this poller.
    pub fn modify<S: Pollable + ?Sized>(&mut self, socket: &S, interest: Interest) -> Result<(), PollError> {
        let entry = self.sockets.get(&socket.id()).ok_or(PollError::NotFound)?;
        entry.seat.change(|state| state.interest = interest);
        Ok(())
    }

    /// Removes a socket, and returns its key.
    ///
    /// # Errors
    ///
    /// [`PollError::NotFound`] when it is not in this poller.
    pub fn remove<S: Pollable + ?Sized>(&mut self, socket: &S) -> Result<K, PollError> {
        let entry = self.sockets.remove(&socket.id()).ok_or(PollError::NotFound)?;
        self.listed.retain(|(_, seat)| *seat != entry.seat.number);
        Ok(entry.leave())
    }

    /// Adds a descriptor of the system, such as a socket, a pipe or a timer. Remove it before it is closed: its number
    /// may be another one's soon. As long as there are any, each wait makes a system call or more.
    ///
    /// # Errors
    ///
    /// [`PollError::Duplicate`] when it is in this poller already, [`PollError::Io`] when it cannot be waited for, as a
    /// file cannot.
    #[cfg(unix)]
    pub fn add_fd(&mut self, fd: &impl AsFd, interest: Interest, key: K) -> Result<(), PollError> {
        let fd = fd.as_fd().as_raw_fd();
        if self.keys.contains_key(&fd) {
            return Err(PollError::Duplicate);
        }
        let descriptors = match &mut self.descriptors {
            Some(descriptors) => descriptors,
            none => none.insert(Descriptors::new().map_err(|error| PollError::Io(error.into()))?),
        };
        descriptors.add(fd, interest).map_err(|error| PollError::Io(error.into()))?;
        self.keys.insert(fd, key);
        Ok(())
    }

    /// Changes what a descriptor is reported for.
    ///
    /// # Errors
    ///
    /// [`PollError::NotFound`] when it is not in this poller, [`PollError::Io`] when it was closed.
    #[cfg(unix)]
    pub fn modify_fd(&mut self, fd: &impl AsFd, interest: Interest) -> Result<(), PollError> {
        let fd = fd.as_fd().as_raw_fd();
        match &mut self.descriptors {
            Some(descriptors) if self.keys.contains_key(&fd) => {
                descriptors.modify(fd, interest).map_err(|error| PollError::Io(error.into()))
            }
            Some(_) | None => Err(PollError::NotFound),
        }
    }

    /// Removes a descriptor, and returns its key.
    ///
    /// # Errors
    ///
    /// [`PollError::NotFound`] when it is not in this poller.
    #[cfg(unix)]
    pub fn remove_fd(&mut self, fd: &impl AsFd) -> Result<K, PollError> {
        let fd = fd.as_fd().as_raw_fd();
        let key = self.keys.remove(&fd).ok_or(PollError::NotFound)?;
        if let Some(descriptors) = &mut self.descriptors {
            descriptors.remove(fd);
        }
        if self.keys.is_empty() {
            self.descriptors = None;
        }
        Ok(key)
    }

    /// Returns how many sockets and descriptors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        #[cfg(unix)]
        let descriptors = self.keys.len();
        #[cfg(not(unix))]
        let descriptors = 0;
        self.sockets.len() + descriptors
    }

    /// Whether there is nothing to wait for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until something is ready, and returns all that is. Nothing: `timeout` is over; `None` is for ever.
    ///
    /// # Errors
    ///
    /// [`PollError::Empty`] when the poller is empty and the wait would never end; [`PollError::Io`] when the system
    /// cannot wait for descriptors; [`PollError::Interrupted`] if the context of a socket wants that.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<&[PollEvent<K>], PollError> {
        self.wait_at_most(usize::MAX, timeout)
    }

    /// Waits as [`wait`](Self::wait) does, and returns at most `count`. What is left comes first the next time.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    pub fn wait_at_most(
        &mut self,
        count: usize,
        timeout: Option<Duration>,
    ) -> Result<&[PollEvent<K>], PollError> {
        if self.is_empty() && timeout.is_none() {
            return Err(PollError::Empty);
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.events.clear();
        loop {
            self.gather(count)?;
            if !self.events.is_empty() || count == 0 {
                break;
            }
            if !self.sleep(deadline)? {
                // What came in the last moment.
                self.gather(count)?;
                break;
            }
        }
        Ok(&self.events)
    }

    /// Reports what is ready now, descriptors and sockets first in turn.
    fn gather(&mut self, count: usize) -> Result<(), PollError> {
        #[cfg(unix)]
        if self.descriptors.is_some() {
            if self.are_descriptors_first {
                self.gather_descriptors(count)?;
                self.gather_sockets(count);
            } else {
                self.gather_sockets(count);
                self.gather_descriptors(count)?;
            }
            self.are_descriptors_first = !self.are_descriptors_first;
            return Ok(());
        }
        self.gather_sockets(count);
        Ok(())
    }

    fn gather_sockets(&mut self, count: usize) {
        let mut mail = Vec::new();
        if self.desk.signal.has_mail() {
            self.desk.signal.take(&mut mail);
            self.listed.extend(mail);
        }
        for _ in 0..self.listed.len() {
            if self.events.len() >= count {
                return;
            }
            let Some((id, seat)) = self.listed.pop_front() else { return };
            let Some(entry) = self.sockets.get(&id).filter(|entry| entry.seat.number == seat) else {
                continue;
            };
            match entry.seat.look() {
                None => drop(self.sockets.remove(&id)),
                Some(ready) if ready.is_none() => {}
                Some(ready) => {
                    self.events.push(PollEvent { key: entry.key.clone(), ready });
                    self.listed.push_back((id, seat));
                }
            }
        }
    }

    #[cfg(unix)]
    fn gather_descriptors(&mut self, count: usize) -> Result<(), PollError> {
        let Some(descriptors) = &mut self.descriptors else { return Ok(()) };
        descriptors.wait(Some(Duration::ZERO)).map_err(|error| PollError::Io(error.into()))?;
        for (fd, ready) in descriptors.reports() {
            if let Some(key) = self.keys.get(&fd).filter(|_| self.events.len() < count) {
                self.events.push(PollEvent { key: key.clone(), ready });
            }
        }
        Ok(())
    }

    /// Sleeps until there may be something to report. `false`: `deadline` has passed.
    fn sleep(&mut self, deadline: Option<Instant>) -> Result<bool, PollError> {
        #[cfg(unix)]
        if let Some(descriptors) = &mut self.descriptors {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // The I/O threads hear of the connections, as this thread is not in their poll.
            session::leave();
            if self.desk.signal.register(Sleepers::POLL, descriptors.waker()) {
                // What it finds is found again by the next look.
                let waited = descriptors.wait(left);
                self.desk.signal.unregister(Sleepers::POLL);
                let was_interrupted = waited.map_err(|error| PollError::Io(error.into()))?;
                if was_interrupted && self.manner.is_interruptible {
                    return Err(PollError::Interrupted);
                }
            }
            return Ok(deadline.is_none_or(|deadline| Instant::now() < deadline));
        }
        match session::wait_as(std::iter::once(&self.desk.signal), deadline, self.manner) {
            Waited::News => Ok(true),
            Waited::InVain => Ok(false),
            Waited::Interrupted => Err(PollError::Interrupted),
        }
    }
}

impl<K: Clone> Default for Poller<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Drop for Poller<K> {
    fn drop(&mut self) {
        for (_, entry) in self.sockets.drain() {
            entry.leave();
        }
    }
}

impl<K> fmt::Debug for Poller<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("sockets", &self.sockets.len()).finish_non_exhaustive()
    }
}
