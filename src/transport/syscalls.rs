//! System calls for which nothing that this crate uses anyway has a safe wrapper: the only file of the transports with
//! `unsafe`.
#![allow(unsafe_code, reason = "system calls without a safe wrapper")]

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;

use mio::net::UnixStream;

use crate::options::ProcessCredentials;

/// Reads what is there, also from a socket that waits by itself: only if told to.
#[inline]
pub(super) fn receive(socket: &impl AsRawFd, room: &mut [IoSliceMut<'_>], waits: bool) -> io::Result<usize> {
    let flags = if waits { 0 } else { libc::MSG_DONTWAIT };
    let filled = match room {
        [one] => receive_one(socket, one, flags),
        [empty, one] if empty.is_empty() => receive_one(socket, one, flags),
        room => {
            // SAFETY: all zeros are a valid `msghdr`: numbers, and pointers that may be null.
            let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
            header.msg_iov = room.as_mut_ptr().cast();
            header.msg_iovlen = room.len() as _;
            // SAFETY: the descriptor is open as long as `socket` is borrowed; an `IoSliceMut` is an `iovec` of octets
            // that are borrowed for as long, and there are as many as the header says.
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) }
        }
    };
    // Negative for an error.
    usize::try_from(filled).map_err(|_| io::Error::last_os_error())
}

fn receive_one(socket: &impl AsRawFd, room: &mut [u8], flags: libc::c_int) -> libc::ssize_t {
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel writes no further than `room` is
    // long.
    unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) }
}

/// The process at the other end of a Unix domain socket, as the kernel knew it when the connection was made.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn peer_process(stream: &UnixStream) -> Option<ProcessCredentials> {
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
pub(super) fn peer_process(_: &UnixStream) -> Option<ProcessCredentials> {
    None
}
