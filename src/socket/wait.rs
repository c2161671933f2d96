//! Waiting for several sockets at once.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::patterns::Pattern;
use crate::session;
use crate::socket::Socket;
use crate::socket::core::Core;

/// A socket of any type, for [`wait_any`]. Implemented by this crate only.
#[allow(private_bounds, reason = "sealed: how a socket waits is not for other crates")]
pub trait Waits: HasCore {}

trait HasCore {
    fn core(&self) -> &Core;
}

impl<P: Pattern> HasCore for Socket<P> {
    fn core(&self) -> &Core {
        &self.core
    }
}

impl<P: Pattern> Waits for Socket<P> {}

/// Waits until one of several sockets may have something to do: a message, room, a new peer, or a shutdown
/// of its context. `timeout` is how long at most; `None` is for ever.
///
/// For a loop that serves several sockets with one thread: take what there is with the calls that do not wait
/// until each says [`WouldBlock`](crate::RecvError::WouldBlock), then wait. Nothing is missed in between: a
/// call that says so has asked to be told of the change. Returns `false` when the time is over, and perhaps
/// sometimes `true` for something that is no message.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Pull, Push, wait_any};
///
/// let context = Context::new();
/// let mut urgent = context.open::<Pull>()?;
/// urgent.bind("inproc://urgent")?;
/// let mut bulk = context.open::<Pull>()?;
/// bulk.bind("inproc://bulk")?;
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://bulk")?;
/// push.send("work")?;
/// let message = loop {
///     if let Ok(message) = urgent.try_recv().or_else(|_| bulk.try_recv()) {
///         break message;
///     }
///     assert!(wait_any(&mut [&mut urgent, &mut bulk], Some(Duration::from_secs(10))));
/// };
/// assert_eq!(message, "work");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait_any(sockets: &mut [&mut dyn Waits], timeout: Option<Duration>) -> bool {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let spin = sockets.iter().map(|socket| socket.core().context.spin).max().unwrap_or_default();
    session::wait(sockets.iter().map(|socket| &*socket.core().mailbox), deadline, spin)
}
