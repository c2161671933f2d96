//! The system calls that can fail, by what they are for.
#![forbid(unsafe_code)]

/// A kind of system call: what a test can make fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(all(test, unix)), allow(dead_code, reason = "nobody asks, and some sites are of Unix alone"))]
pub(crate) enum Call {
    Accept,
    Bind,
    Connect,
    /// To a Unix domain socket, which answers at once.
    ConnectIpc,
    /// `getsockopt`, `getsockname`, `getpeername`.
    GetOption,
    Listen,
    /// To lock a directory.
    Lock,
    /// To look at a file.
    Look,
    /// To open a directory.
    Open,
    /// What the kernel says of a connection that it was to make, or has: `SO_ERROR`.
    Outcome,
    /// To wait in a poll.
    Poll,
    /// A poll itself, its waker, or one more descriptor of it.
    PollNew,
    Read,
    /// To remove a file.
    Remove,
    /// To change what is wanted of a descriptor in a poll, or to take it out.
    Reregister,
    /// To write to, or read from, a pair of sockets of this process.
    Ring,
    /// To enter a descriptor into a poll, or what is wanted of it.
    Register,
    SetOption,
    Socket,
    /// To start a thread.
    Spawn,
    /// To wake a thread out of its poll.
    Wake,
    Write,
}
