//! The system calls that can fail, by what they are for.
#![forbid(unsafe_code)]

/// A kind of system call: what a test can make fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(all(test, unix)), allow(dead_code, reason = "nobody asks, and some sites are of Unix alone"))]
pub(crate) enum Call {
    Accept,
    Bind,
    Connect,
    /// `getsockopt`, `getsockname`, `getpeername`.
    GetOption,
    Listen,
    /// To wait in a poll.
    Poll,
    /// A poll itself, its waker, or one more descriptor of it.
    PollNew,
    Read,
    /// To write to, or read from, a pair of sockets of this process.
    Ring,
    /// To enter a descriptor into a poll, or what is wanted of it.
    Register,
    SetOption,
    Socket,
    /// To start a thread.
    Spawn,
    Write,
}
