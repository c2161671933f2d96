//! I/O threads: one poll, one mailbox and one timer heap each; nothing else is shared between them.
//!
//! Runs [`Task`]s (listeners, dialers, sessions), of which it knows only that they own descriptors and want
//! to hear of readiness, time and notices. Never sees a message, the wire or a pattern.

mod bell;
mod command;
#[cfg(unix)]
mod descriptors;
mod pool;
mod resolver;
mod task;
mod thread;
mod timers;

pub(crate) use bell::Bell;
pub(crate) use command::{End, Finish, IoMailbox, Notice, SocketMailbox, ToIo, ToSocket};
#[cfg(unix)]
pub(crate) use descriptors::Descriptors;
pub(crate) use pool::{NoThread, Pool};
#[cfg(test)]
pub(crate) use resolver::names;
pub(crate) use resolver::{Question, Resolver};
#[cfg(test)]
pub(crate) use task::Bench;
pub(crate) use task::{Fate, Readiness, Task, Turn};

use std::sync::atomic::Ordering;

use crate::sync::AtomicU64;

/// A number that nothing else in this process has or had, and greater than those before: names tasks, pipes
/// and sockets.
pub(crate) fn unique_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: it stands for itself. Calls of which one happens before the other get growing numbers.
    NEXT.fetch_add(1, Ordering::Relaxed)
}
