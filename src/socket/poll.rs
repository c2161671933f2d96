//! Waiting for several sockets that are lent for one call: each is asked what it can do, and asked again when it is told
//! of news. Costs as much as there are sockets; a [`Poller`](crate::Poller) of a thousand does not.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::PollError;
use crate::interest::Interest;
use crate::session::{self, Manner, Waited};
use crate::socket::Pollable;

/// A socket that [`poll`] is to wait for, and what for.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Interest, PollItem, Pub, poll};
///
/// let mut publisher = Context::new().open::<Pub>()?;
/// let mut items = [PollItem::new(&mut publisher, Interest::BOTH)];
/// assert_eq!(items[0].ready(), Interest::NONE, "nobody has asked");
/// assert_eq!(poll(&mut items, Some(Duration::ZERO))?, 1);
/// assert_eq!(items[0].ready(), Interest::WRITABLE);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "zmq_pollitem_t")]
pub struct PollItem<'a> {
    socket: &'a mut dyn Pollable,
    interest: Interest,
    ready: Interest,
}

impl<'a> PollItem<'a> {
    /// Returns an item for this socket, of which only what `interest` says is reported.
    #[must_use]
    pub fn new(socket: &'a mut dyn Pollable, interest: Interest) -> Self {
        Self { socket, interest, ready: Interest::NONE }
    }

    /// Returns what the last [`poll`] found the socket to be ready for, of what was asked for. Nothing before the first.
    #[must_use]
    pub fn ready(&self) -> Interest {
        self.ready
    }
}

impl fmt::Debug for PollItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PollItem");
        shown.field("interest", &self.interest).field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// Waits until one of these sockets, or more, is ready for what it was asked for, and returns how many are. None:
/// `timeout` is over; `None` is for ever.
///
/// Exact, as [`Socket::readiness`](crate::Socket::readiness) is: a socket that is readable has a message for the next
/// `try_recv`. After a shutdown of its context it is ready for everything, and the call says why. For a few sockets;
/// each look costs as much as there are. For many of them, and for descriptors of the system beside them, there is the
/// [`Poller`](crate::Poller), which reports what may be ready.
///
/// # Errors
///
/// [`PollError::Empty`] without items and without a timeout; [`PollError::Interrupted`] when a signal came before
/// anything was ready, if the context of a socket wants that. The items are ready for nothing then.
///
/// ```
/// use peermq::{Context, Interest, PollItem, Pull, Push, poll};
///
/// let context = Context::new();
/// let mut urgent = context.open::<Pull>()?;
/// urgent.bind("inproc://urgent")?;
/// let mut bulk = context.open::<Pull>()?;
/// bulk.bind("inproc://bulk")?;
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://bulk")?;
/// push.send("work")?;
///
/// let mut items = [&mut urgent, &mut bulk].map(|pull| PollItem::new(pull, Interest::READABLE));
/// assert_eq!(poll(&mut items, None)?, 1);
/// let [is_urgent, is_bulk] = items.map(|item| item.ready().is_readable());
/// assert!(!is_urgent && is_bulk);
/// assert_eq!(bulk.try_recv()?, "work");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "zmq_poll")]
pub fn poll(items: &mut [PollItem<'_>], timeout: Option<Duration>) -> Result<usize, PollError> {
    if items.is_empty() && timeout.is_none() {
        return Err(PollError::Empty);
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut manner = Manner::default();
    for item in &*items {
        let of_socket = item.socket.manner();
        manner.spin = manner.spin.max(of_socket.spin);
        manner.is_interruptible |= of_socket.is_interruptible;
    }
    loop {
        let count = look(items);
        if count > 0 {
            return Ok(count);
        }
        match session::wait_as(items.iter().map(|item| item.socket.mailbox()), deadline, manner) {
            Waited::News => {}
            // What came in the last moment.
            Waited::InVain => return Ok(look(items)),
            Waited::Interrupted => match look(items) {
                0 => return Err(PollError::Interrupted),
                count => return Ok(count),
            },
        }
    }
}

/// Asks each socket, also those of which nothing is wanted: what is posted to them must not end each wait.
fn look(items: &mut [PollItem<'_>]) -> usize {
    let mut count = 0;
    for item in items {
        item.ready = item.socket.look() & item.interest;
        count += usize::from(!item.ready.is_none());
    }
    count
}
