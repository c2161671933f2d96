//! A descriptor of the system's that is readable while a socket can do something.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crate::error::OsError;
use crate::interest::Interest;
use crate::io::SocketMailbox;
use crate::patterns::Pattern;
use crate::pipe::Observer;
use crate::socket::Socket;
use crate::socket::observed::Observed as _;
use crate::sync::{Mutex, lock};
use crate::transport::{Call, faults};

/// A descriptor that is readable while its socket has something to receive, or can send, as it was asked for by
/// [`Socket::descriptor`]. For any event loop that waits for descriptors: epoll, mio, libuv, Python's asyncio.
///
/// Level-triggered: readable until the socket was used so that there is nothing more to be done, and from a shutdown
/// of the context, or the end of the socket, for ever. For edge-triggered loops: receive until
/// [`WouldBlock`](crate::RecvError::WouldBlock). Now and then it is readable although there is nothing after all, so
/// use the calls that do not wait, or ask [`Socket::readiness`](crate::Socket::readiness). Never read from it, nor write to it: the socket does.
///
/// The descriptor is closed with this value. It takes two of the process, and a system call each time that it begins
/// or ends to be readable; a socket without one pays nothing.
///
/// ```
/// use std::os::fd::AsFd;
///
/// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
/// use peermq::{Context, Interest, Pull, Push, RecvError};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// let endpoint = pull.bind("tcp://127.0.0.1:0")?;
/// let descriptor = pull.descriptor(Interest::READABLE)?;
/// let mut push = context.open::<Push>()?;
/// push.connect(&endpoint)?;
/// push.send("here")?;
///
/// let message = loop {
///     poll(&mut [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
///     match pull.try_recv() {
///         Err(RecvError::WouldBlock) => {} // now and then there is nothing after all
///         received => break received?,
///     }
/// };
/// assert_eq!(message, "here");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Descriptor {
    lamp: Arc<Lamp>,
    mailbox: Arc<SocketMailbox>,
}

/// Two ends of a stream: as long as there is an octet in it, one of them is readable.
struct Lamp {
    near: UnixStream,
    far: UnixStream,
    interest: Interest,
    is_lit: Mutex<bool>,
}

impl Lamp {
    fn new(interest: Interest) -> Result<Self, OsError> {
        faults::before(Call::Socket)?;
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok(Self { near, far, interest, is_lit: Mutex::new(false) })
    }

    fn set(&self, light: bool) {
        let mut is_lit = lock(&self.is_lit);
        if light == *is_lit {
            return;
        }
        // There is one octet at most: neither can fail for want of room, or of an octet.
        match self.pass(light) {
            Ok(_) => *is_lit = light,
            // Whoever waits for it would sleep for ever. The end of a stream needs no memory, and is readable from now
            // on: looking in vain is better.
            Err(_) if light => *is_lit = self.far.shutdown(Shutdown::Write).is_ok(),
            Err(_) => {}
        }
    }

    /// Writes the octet, or reads it.
    fn pass(&self, light: bool) -> io::Result<usize> {
        loop {
            let passed = faults::before(Call::Ring)
                .and_then(|()| if light { (&self.far).write(&[0]) } else { (&self.near).read(&mut [0]) });
            if !matches!(&passed, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
                return passed;
            }
        }
    }
}

impl Observer for Lamp {
    fn show(&self, ready: Interest) {
        self.set(!(ready & self.interest).is_none());
    }

    fn is_awaited(&self) -> bool {
        false
    }

    fn end(&self) {
        self.set(true);
    }
}

impl<P: Pattern> Socket<P> {
    /// Returns a descriptor that is readable while this socket has something to receive, can send, or either, as
    /// `interest` says: see [`Descriptor`].
    ///
    /// # Errors
    ///
    /// [`OsError`] when the process has no descriptors left.
    pub fn descriptor(&mut self, interest: Interest) -> Result<Descriptor, OsError> {
        let lamp = Arc::new(Lamp::new(interest)?);
        let mailbox = self.observe(Arc::clone(&lamp) as _);
        Ok(Descriptor { lamp, mailbox })
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lamp.near.as_fd()
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.lamp.near.as_raw_fd()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let observer: Arc<dyn Observer> = Arc::clone(&self.lamp) as _;
        self.mailbox.ignore(&observer);
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptor").field("fd", &self.as_raw_fd()).finish_non_exhaustive()
    }
}
