//! Transports: non-blocking streams and listeners over tcp and ipc, as two enums.
//!
//! Owns descriptors and socket options. Never sees a frame, a message or a thread; readiness comes from the
//! I/O thread, which registers what is made here. All descriptors are close-on-exec.
#![deny(unsafe_code)] // but in `syscalls`
#![allow(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind has dozens of variants, and grows")]

mod call;
#[cfg(all(test, unix, not(loom)))]
pub(crate) mod faults;
#[cfg(not(all(test, unix, not(loom))))]
#[path = "no_faults.rs"]
pub(crate) mod faults;
pub(crate) mod inproc;
#[cfg(unix)]
mod ipc;
mod kernel;
#[cfg(unix)]
mod syscalls;
mod tcp;

use std::hint::spin_loop;
use std::io::{self, IoSlice, IoSliceMut};
#[cfg(not(unix))]
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use crate::endpoint::{Address, Endpoint, Host, IpcAddress, SourceAddress};
use crate::error::{BindErrorKind, OsError};
use crate::options::{Options, ProcessCredentials};
pub(crate) use call::Call;
#[cfg(target_os = "linux")]
pub(crate) use syscalls::wait_briefly;

/// See the Linux form: elsewhere waits are counted in milliseconds.
#[cfg(not(target_os = "linux"))]
pub(crate) fn wait_briefly<T>(_: &T, _: Duration) -> bool {
    false
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Nothing now; readiness will be reported.
    Dry,
    /// The peer will send no more.
    End,
    /// So many octets.
    Octets(usize),
}

/// Where a stream is connected to: a name is already resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Ipc(IpcAddress),
    Tcp(SocketAddr),
    TcpFrom(Box<SourceAddress>, SocketAddr),
}

impl Target {
    /// As an endpoint; none for ipc, where it says no more than what was connected to.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Ipc(_) => None,
            Self::Tcp(address) | Self::TcpFrom(_, address) => Some(Endpoint::tcp(*address)),
        }
    }
}

/// System calls of [`Stream::set_patience`]: one for the timeout, two to read the descriptor's flags and to change them.
pub(crate) const PATIENCE_CALLS: u64 = 3;

/// To hear of what can be read, and of the end. And of an urgent octet, which is no part of the stream: a read ends there,
/// so that a short one does not mean that nothing is left.
#[cfg(any(target_os = "linux", target_os = "android"))]
const READER: Interest = Interest::READABLE.add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const READER: Interest = Interest::READABLE;

/// A connected, or connecting, stream of octets.
#[derive(Debug)]
pub(crate) enum Stream {
    #[cfg(unix)]
    Ipc(mio::net::UnixStream),
    Tcp(mio::net::TcpStream),
}

/// Calls the same method of whatever transport it is.
macro_rules! each {
    ($self:expr, $enum:ident, $inner:ident => $call:expr) => {
        match $self {
            #[cfg(unix)]
            $enum::Ipc($inner) => $call,
            $enum::Tcp($inner) => $call,
        }
    };
}

impl Stream {
    /// Starts to connect; readiness to write tells that it is over.
    pub(crate) fn connect(target: &Target, options: &Options) -> io::Result<Self> {
        match target {
            #[cfg(unix)]
            Target::Ipc(address) => ipc::connect(address, options).map(Self::Ipc),
            #[cfg(not(unix))]
            Target::Ipc(_) => Err(io::ErrorKind::Unsupported.into()),
            Target::Tcp(address) => tcp::connect(*address, None, options).map(Self::Tcp),
            Target::TcpFrom(source, address) => tcp::connect(*address, Some(source), options).map(Self::Tcp),
        }
    }

    /// Whether the connection stands; an error when it failed.
    pub(crate) fn check_connected(&self) -> io::Result<bool> {
        faults::before(Call::GetOption)?;
        faults::before(Call::Outcome)?;
        if let Some(error) = each!(self, Self, stream => stream.take_error())? {
            return Err(error);
        }
        match self {
            #[cfg(unix)]
            Self::Ipc(stream) => {
                is_connected(faults::before(Call::GetOption).and_then(|()| stream.peer_addr()).map(drop))
            }
            Self::Tcp(stream) => tcp::check_connected(stream),
        }
    }

    /// The peer's address; `None` for ipc, where peers have no names, and if the kernel does not tell, as of one that has
    /// reset the connection.
    pub(crate) fn peer(&self) -> Option<Endpoint> {
        self.peer_address().map(Endpoint::tcp)
    }

    /// Readies the kernel's buffers for large bodies.
    pub(crate) fn widen(&self, options: &Options) {
        if let (Self::Tcp(stream), Some(peer)) = (self, self.peer_address()) {
            kernel::widen(&SockRef::from(stream), peer, options);
        }
    }

    fn peer_address(&self) -> Option<SocketAddr> {
        match self {
            #[cfg(unix)]
            Self::Ipc(_) => None,
            Self::Tcp(stream) => tcp::peer_address(stream).ok(),
        }
    }

    /// The descriptor's number, where there are such.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        #[cfg(unix)]
        return Some(each!(self, Self, stream => std::os::fd::AsRawFd::as_raw_fd(stream)));
        #[cfg(not(unix))]
        None
    }

    /// Who the peer's process runs as, with ipc, where the system tells.
    pub(crate) fn process(&self) -> Option<ProcessCredentials> {
        match self {
            #[cfg(unix)]
            Self::Ipc(stream) => syscalls::peer_process(stream),
            Self::Tcp(_) => None,
        }
    }

    /// Makes [`wait_and_read`](Self::wait_and_read) wait, for so long.
    #[cfg(unix)]
    pub(crate) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        faults::before(Call::SetOption)?;
        each!(self, Self, stream => {
            let socket = SockRef::from(stream);
            socket.set_read_timeout(Some(patience))?;
            socket.set_nonblocking(false)
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn set_patience(&self, _: Duration) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Has the kernel find out soon whether a tcp peer is still there. With ipc it knows.
    pub(crate) fn doubt(&self) {
        match self {
            #[cfg(unix)]
            Self::Ipc(_) => {}
            Self::Tcp(stream) => kernel::doubt(&SockRef::from(stream)),
        }
    }

    /// Reads what is there.
    #[inline]
    pub(crate) fn read(&mut self, room: &mut [IoSliceMut<'_>]) -> Result<Read, OsError> {
        self.receive(room, false)
    }

    /// Reads what is there, or what comes while its patience lasts; looks for `spin` before it sleeps.
    #[inline]
    pub(crate) fn wait_and_read(
        &mut self,
        room: &mut [IoSliceMut<'_>],
        spin: Duration,
    ) -> Result<Read, OsError> {
        if !spin.is_zero() {
            let begin = Instant::now();
            while begin.elapsed() < spin {
                match self.read(room)? {
                    Read::Dry => spin_loop(),
                    read => return Ok(read),
                }
            }
        }
        self.receive(room, true)
    }

    /// A read that waits and is interrupted is over: its caller has its own deadline to look at.
    fn receive(&mut self, room: &mut [IoSliceMut<'_>], mut waits: bool) -> Result<Read, OsError> {
        loop {
            #[cfg(unix)]
            let received = each!(self, Self, stream => stream.try_io(|| {
                faults::read(stream, room, |room| syscalls::receive(stream, room, waits))
            }));
            #[cfg(not(unix))]
            let received = each!(self, Self, stream => stream.read_vectored(room));
            let error = match received {
                Ok(0) => return Ok(Read::End),
                Ok(count) => return Ok(Read::Octets(count)),
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(Read::Dry),
                io::ErrorKind::Interrupted => waits = false,
                _ => return Err(error.into()),
            }
        }
    }

    /// Writes as much as the kernel takes; zero when it takes nothing now.
    #[inline]
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, OsError> {
        loop {
            #[cfg(unix)]
            let sent = each!(self, Self, stream => stream.try_io(|| {
                faults::write(stream, slices, |slices| syscalls::send(stream, slices))
            }));
            #[cfg(not(unix))]
            let sent = each!(self, Self, stream => stream.write_vectored(slices));
            let error = match sent {
                Ok(count) => return Ok(count),
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(0),
                io::ErrorKind::Interrupted => {}
                _ => return Err(error.into()),
            }
        }
    }

    /// Tells the peer that nothing more will come. An error means that the peer is gone already.
    pub(crate) fn finish(&self) {
        let _ = each!(self, Self, stream => stream.shutdown(Shutdown::Write));
    }

    /// Whether the peer has closed its side, or the connection is broken, whatever is still to be read: what is written
    /// from now on would reach nobody.
    pub(crate) fn is_peer_closed(&self) -> bool {
        #[cfg(unix)]
        return each!(self, Self, stream => syscalls::is_peer_closed(stream));
        #[cfg(not(unix))]
        false
    }

    /// Octets that may still be lost if the connection is cut: the peer's kernel does not have them. None over ipc, and
    /// where the system does not tell.
    pub(crate) fn unacknowledged(&self) -> Option<u64> {
        match self {
            // What was written lies with the peer already.
            #[cfg(unix)]
            Self::Ipc(_) => None,
            #[cfg(unix)]
            Self::Tcp(stream) => syscalls::unacknowledged(stream),
            #[cfg(not(unix))]
            Self::Tcp(_) => None,
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.enter(registry, token, READER | Interest::WRITABLE)
    }

    /// From now on only of what can be read, and the end.
    pub(crate) fn hush_writer(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.change(registry, token, READER)
    }

    /// Only of what can be read, and the end.
    pub(crate) fn register_reader(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.enter(registry, token, READER)
    }

    /// From now on of room to write into as well.
    pub(crate) fn tell_writer(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.change(registry, token, READER | Interest::WRITABLE)
    }

    fn enter(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        faults::before(Call::Register)?;
        each!(self, Self, stream => stream.register(registry, token, interest))?;
        faults::entered(self.descriptor(), registry, token, interest);
        Ok(())
    }

    fn change(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        faults::before(Call::Reregister)?;
        each!(self, Self, stream => stream.reregister(registry, token, interest))?;
        faults::entered(self.descriptor(), registry, token, interest);
        Ok(())
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        faults::before(Call::Reregister)?;
        faults::left(self.descriptor());
        each!(self, Self, stream => stream.deregister(registry))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        faults::left(self.descriptor());
        // A child that was forked may hold the same descriptor: closing this one would not tell the peer.
        let _ = each!(self, Self, stream => stream.shutdown(Shutdown::Both));
    }
}

/// What a connecting stream's peer address says.
fn is_connected(peer: io::Result<()>) -> io::Result<bool> {
    match peer {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// A bound listener.
#[derive(Debug)]
pub(crate) enum Listener {
    #[cfg(unix)]
    Ipc(ipc::Listener),
    Tcp(tcp::Listener),
}

impl Listener {
    /// Binds, and tells the endpoint that it got. Looks a host name up, so it may block.
    pub(crate) fn bind(address: &Address, options: &Options) -> Result<(Self, Endpoint), BindErrorKind> {
        match address {
            Address::Tcp { source: Some(_), .. } => Err(BindErrorKind::SourceAddress),
            Address::Tcp { host, port, source: None } => {
                let (listener, address) = bind_tcp(host, *port, options)?;
                Ok((Self::Tcp(tcp::Listener::ours(listener)), Endpoint::tcp(address)))
            }
            #[cfg(unix)]
            Address::Ipc(address) => {
                let (listener, endpoint) = ipc::Listener::bind(address, options)?;
                Ok((Self::Ipc(listener), endpoint))
            }
            #[cfg(not(unix))]
            Address::Ipc(_) => Err(BindErrorKind::NotSupported),
            Address::Inproc(_) => Err(BindErrorKind::NotSupported),
        }
    }

    /// Takes over a descriptor that listens already, and tells its endpoint.
    #[cfg(unix)]
    pub(crate) fn from_fd(fd: std::os::fd::OwnedFd) -> Result<(Self, Endpoint), BindErrorKind> {
        let socket = socket2::Socket::from(fd);
        let os_error = |error: io::Error| BindErrorKind::Io(error.into());
        let told = faults::before(Call::GetOption).and_then(|()| socket.local_addr());
        let address = told.map_err(os_error)?;
        // Not every system tells; elsewhere the first accept does.
        #[cfg(target_os = "linux")]
        if !faults::before(Call::GetOption).and_then(|()| socket.is_listener()).map_err(os_error)? {
            return Err(BindErrorKind::NotListening);
        }
        socket.set_nonblocking(true).map_err(os_error)?;
        match address.as_socket() {
            Some(address) => {
                let listener = mio::net::TcpListener::from_std(socket.into());
                Ok((Self::Tcp(tcp::Listener::of_others(listener)), Endpoint::tcp(address)))
            }
            None => {
                let (listener, endpoint) = ipc::Listener::from_socket(socket, &address)?;
                Ok((Self::Ipc(listener), endpoint))
            }
        }
    }

    /// Takes the next connection; `None` when none waits. With the address of its peer, which over ipc has none.
    pub(crate) fn accept(&self, options: &Options) -> io::Result<Option<(Stream, Option<SocketAddr>)>> {
        loop {
            let accepted = faults::before_ready(Call::Accept, self.descriptor()).and_then(|()| match self {
                #[cfg(unix)]
                Self::Ipc(listener) => listener.accept(options).map(|stream| (Stream::Ipc(stream), None)),
                Self::Tcp(listener) => {
                    let accepted = listener.accept(options);
                    accepted.map(|(stream, peer)| (Stream::Tcp(stream), Some(peer)))
                }
            });
            match accepted {
                Ok(stream) => return Ok(Some(stream)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // The peer went before we came: the next one in the queue is fine.
                Err(error) if is_of_one_peer(error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The descriptor's number, where there are such.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        #[cfg(unix)]
        return Some(match self {
            Self::Ipc(listener) => listener.descriptor(),
            Self::Tcp(listener) => listener.descriptor(),
        });
        #[cfg(not(unix))]
        None
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let listener: &mut dyn Source = match self {
            #[cfg(unix)]
            Self::Ipc(listener) => listener.source(),
            Self::Tcp(listener) => listener.source(),
        };
        let registered = faults::before(Call::Register)
            .and_then(|()| listener.register(registry, token, Interest::READABLE));
        if registered.is_err() {
            // In debug builds mio takes it for registered, and would refuse the next try.
            let _ = listener.deregister(registry);
        }
        registered?;
        faults::entered(self.descriptor(), registry, token, Interest::READABLE);
        Ok(())
    }
}

fn bind_tcp(
    host: &Host,
    port: u16,
    options: &Options,
) -> Result<(mio::net::TcpListener, SocketAddr), BindErrorKind> {
    let mut failed = BindErrorKind::NoSuchInterface;
    let is_any = *host == Host::Any;
    for address in tcp::local_addresses(host, port, options)? {
        match tcp::bind(address, is_any, options) {
            Ok(bound) => return Ok(bound),
            Err(error) => failed = bind_error(&error),
        }
        if is_any && failed == BindErrorKind::AddressInUse {
            break; // with the port of IPv4 alone, peers would find somebody else behind that of IPv6
        }
    }
    Err(failed)
}

fn bind_error(error: &io::Error) -> BindErrorKind {
    match error.kind() {
        io::ErrorKind::AddrInUse => BindErrorKind::AddressInUse,
        io::ErrorKind::AddrNotAvailable => BindErrorKind::NoSuchInterface,
        _ => BindErrorKind::Io(error.into()),
    }
}

fn is_of_one_peer(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NotConnected
    )
}

pub(crate) use tcp::look_up;

/// Fails as the system does when a process has no descriptor left, if it could not have more than so many.
pub(crate) fn check_descriptors(count: usize) -> io::Result<()> {
    #[cfg(unix)]
    let most = syscalls::descriptors_max();
    #[cfg(not(unix))]
    let most: Option<u64> = None; // handles have no such limit
    match most {
        Some(most) if count as u64 >= most => Err(io::Error::from_raw_os_error(libc::EMFILE)),
        Some(_) | None => Ok(()),
    }
}
