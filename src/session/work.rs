//! Notes of work to be done on a session.
#![forbid(unsafe_code)]

use crate::io::Readiness;

/// The kernel has octets for us.
pub(crate) const READABLE: u8 = 1;
/// The kernel has room again.
pub(crate) const WRITABLE: u8 = 2;
/// The peer has closed, there is an error, or an urgent octet is in the way: read until nothing is left.
pub(crate) const CLOSED: u8 = 4;
/// A pipe has changed: messages to write, or room to read into.
pub(crate) const PIPES: u8 = 8;
/// Somebody would like to have messages now: look at the kernel without being told.
pub(crate) const FILL: u8 = 16;
/// The socket's own thread is at work.
pub(crate) const CALLER: u8 = 32;
/// It may be time for a heartbeat.
pub(crate) const BEAT: u8 = 64;
/// Look whether the connection has been quiet for long.
pub(crate) const QUIET: u8 = 128;

/// Notes of work for what the kernel reports.
pub(super) fn noted(ready: Readiness) -> u8 {
    let mut noted = 0;
    if ready.is_readable {
        noted |= READABLE;
    }
    if ready.is_writable {
        noted |= WRITABLE;
    }
    if ready.is_closed {
        noted |= CLOSED;
    }
    noted
}
