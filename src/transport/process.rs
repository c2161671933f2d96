//! Who is at the other end of a Unix domain socket: as the kernel knew it when the connection was made.
//!
//! In the list of files with `unsafe`, because nothing that this crate uses anyway has a safe way to ask.
#![allow(unsafe_code, reason = "a system call without a safe wrapper")]

use mio::net::UnixStream;

use crate::options::ProcessCredentials;

/// The process at the other end.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn of(stream: &UnixStream) -> Option<ProcessCredentials> {
    use std::os::fd::AsRawFd as _;

    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let size = size_of::<libc::ucred>();
    let mut octets = libc::socklen_t::try_from(size).ok()?;
    // SAFETY: the descriptor is open as long as `stream` is borrowed; `found` is a live `ucred`, plain numbers that may
    // have any value, and `octets` says its size, so that the kernel writes no further.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut octets,
        )
    };
    let is_whole = usize::try_from(octets) == Ok(size);
    let pid = u32::try_from(found.pid).ok().filter(|pid| *pid > 0);
    (result == 0 && is_whole).then_some(ProcessCredentials { pid, uid: found.uid, gid: found.gid })
}

/// The process at the other end; not known on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn of(_: &UnixStream) -> Option<ProcessCredentials> {
    None
}
