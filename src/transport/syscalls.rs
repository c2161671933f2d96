//! System calls for which nothing that this crate uses anyway has a safe wrapper: the only file of the transports with
//! `unsafe`.
#![allow(unsafe_code, reason = "system calls without a safe wrapper")]

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::time::Duration;

use mio::net::UnixStream;
use socket2::SockRef;

use crate::options::ProcessCredentials;
use crate::transport::{Call, faults};

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

/// Writes as much as the kernel takes, without waiting; a peer that is gone is an error, not a signal.
#[inline]
pub(super) fn send(socket: &(impl AsFd + AsRawFd), slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let no_signal = if cfg!(target_vendor = "apple") { 0 } else { libc::MSG_NOSIGNAL };
    let flags = libc::MSG_DONTWAIT | no_signal;
    match slices {
        // Negative for an error.
        [one] => usize::try_from(send_one(socket, one, flags)).map_err(|_| io::Error::last_os_error()),
        slices => SockRef::from(socket).send_vectored_with_flags(slices, flags),
    }
}

/// Locks a file for this descriptor; `WouldBlock` when another one has it.
pub(super) fn try_lock(file: &File) -> io::Result<()> {
    faults::before(Call::Lock)?;
    // SAFETY: the descriptor is open as long as `file` is borrowed; nothing else is handed over.
    let done = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives a lock back.
pub(super) fn unlock(file: &File) {
    // SAFETY: as of `try_lock`.
    let _ = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

/// Waits a while, or until a signal comes.
pub(super) fn pause(time: Duration) {
    let milliseconds = libc::c_int::try_from(time.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: there are no descriptors, so the pointer to them is not looked at.
    let _ = unsafe { libc::poll(ptr::null_mut(), 0, milliseconds) };
}

/// Waits until `poll`, which polls for others, has something to report, or `timeout` has passed. `false`: this system
/// cannot wait so briefly.
#[cfg(target_os = "linux")]
pub(crate) fn wait_briefly(poll: &impl AsRawFd, timeout: Duration) -> bool {
    if faults::before(Call::Poll).is_err() {
        return true;
    }
    let mut fd = libc::pollfd { fd: poll.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let time = libc::timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos().into() };
    // SAFETY: the descriptor is open as long as `poll` is borrowed, there is one as the number says, and both structures
    // live until the call returns. It changes no signal mask. What it returns does not matter: the caller polls next.
    unsafe { libc::ppoll(&raw mut fd, 1, &raw const time, ptr::null()) };
    true
}

/// Glibc's `recv` can be cancelled, which costs two atomic changes a call (until its version 2.41): the bare call saves
/// a hundredth of a round trip.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn receive_one(socket: &impl AsRawFd, room: &mut [u8], flags: libc::c_int) -> libc::ssize_t {
    let (octets, nowhere) = (room.as_mut_ptr(), ptr::null_mut::<u8>());
    // SAFETY: as of `recv`: the descriptor is open as long as `socket` is borrowed, the kernel writes no further than
    // `room` is long, and is given no place for an address.
    let count = unsafe {
        libc::syscall(libc::SYS_recvfrom, socket.as_raw_fd(), octets, room.len(), flags, nowhere, nowhere)
    };
    libc::ssize_t::try_from(count).unwrap_or(-1)
}

/// See [`receive_one`].
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn send_one(socket: &impl AsRawFd, octets: &[u8], flags: libc::c_int) -> libc::ssize_t {
    let nowhere = ptr::null::<u8>();
    // SAFETY: as of `send`: the descriptor is open as long as `socket` is borrowed, the kernel reads no further than
    // `octets` is long, and there is no address.
    let count = unsafe {
        libc::syscall(
            libc::SYS_sendto,
            socket.as_raw_fd(),
            octets.as_ptr(),
            octets.len(),
            flags,
            nowhere,
            0usize,
        )
    };
    libc::ssize_t::try_from(count).unwrap_or(-1)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn receive_one(socket: &impl AsRawFd, room: &mut [u8], flags: libc::c_int) -> libc::ssize_t {
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel writes no further than `room` is
    // long.
    unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn send_one(socket: &impl AsRawFd, octets: &[u8], flags: libc::c_int) -> libc::ssize_t {
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel reads no further than `octets` is
    // long.
    unsafe { libc::send(socket.as_raw_fd(), octets.as_ptr().cast(), octets.len(), flags) }
}

/// Has the kernel choose the port of a socket that is bound to port 0 when it connects: it may be one that another
/// connection has, to another peer.
#[cfg(target_os = "linux")]
pub(super) fn choose_port_late(socket: &impl AsRawFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let octets = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or_default();
    // SAFETY: the descriptor is open as long as `socket` is borrowed; `on` is a live number, and `octets` says its size,
    // so that the kernel reads no further.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            octets,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the peer has closed its side, or the connection is broken, whatever is still to be read.
pub(super) fn is_peer_closed(socket: &impl AsRawFd) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let closed = libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let closed = libc::POLLHUP | libc::POLLERR;
    let mut polled = libc::pollfd { fd: socket.as_raw_fd(), events: closed, revents: 0 };
    // SAFETY: the descriptor is open as long as `socket` is borrowed; `polled` is one live `pollfd`, as the count says.
    let mut poll = || match unsafe { libc::poll(&raw mut polled, 1, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    };
    // A signal that comes now ends the call, although it does not wait.
    while let Err(error) = faults::before(Call::Poll).and_then(|()| poll()) {
        if error.kind() != io::ErrorKind::Interrupted {
            return false;
        }
    }
    polled.revents & closed != 0
}

/// Octets, the end included, of which the peer's kernel has not said that it has them. None where the system does not
/// tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn unacknowledged(socket: &impl AsRawFd) -> Option<u64> {
    let mut octets: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the kernel writes one `int`, which is live.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) };
    if result == 0 { u64::try_from(octets).ok() } else { None }
}

/// See the other one.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn unacknowledged(_: &impl AsRawFd) -> Option<u64> {
    None
}

/// How many descriptors this process may have; `None`: the system does not say.
pub(super) fn descriptors_max() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live `rlimit`, which the call fills.
    let done = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    // Through one that holds both: the number has a sign on some systems.
    (done == 0).then(|| i128::from(limit.rlim_cur)).and_then(|most| u64::try_from(most).ok())
}

/// The process at the other end of a Unix domain socket, as the kernel knew it when the connection was made.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn peer_process(stream: &UnixStream) -> Option<ProcessCredentials> {
    faults::before(Call::GetOption).ok()?;
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_brief_wait_lasts_its_time_unless_there_is_something_to_report() {
        let poll = mio::Poll::new().unwrap();
        let (begin, time) = (Instant::now(), Duration::from_micros(200));
        assert!(wait_briefly(&poll, time));
        assert!(begin.elapsed() >= time);
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
        waker.wake().unwrap();
        assert!(wait_briefly(&poll, Duration::from_secs(3600))); // or this test would never end
    }
}
