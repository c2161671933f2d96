//! TCP: how streams and listeners are made. Source: RFC 37, "TCP transport"; libzmq's zmq_tcp(7).
#![forbid(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::endpoint::{Host, SourceAddress, Zone};
use crate::error::BindErrorKind;
use crate::options::Options;
use crate::transport::{Call, faults, kernel};

pub(super) fn connect(
    address: SocketAddr,
    source: Option<&SourceAddress>,
    options: &Options,
) -> io::Result<TcpStream> {
    faults::before(Call::Socket)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    kernel::prepare(&socket, address, options)?;
    kernel::set_stream_options(&SockRef::from(&socket), address, options)?;
    if let Some(source) = source {
        bind_to_source(&socket, source, address)?;
    }
    match faults::before(Call::Connect).and_then(|()| socket.connect(&address.into())) {
        Ok(()) => {}
        Err(error) if is_in_progress(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

pub(super) fn check_connected(stream: &TcpStream) -> io::Result<bool> {
    let peer = peer_address(stream);
    // A connect to a free port of the ephemeral range can meet itself (B-30).
    if let Ok(peer) = peer {
        faults::before(Call::GetOption)?;
        if stream.local_addr()? == peer {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
    }
    super::is_connected(peer.map(drop))
}

pub(super) fn peer_address(stream: &TcpStream) -> io::Result<SocketAddr> {
    faults::before(Call::GetOption)?;
    stream.peer_addr()
}

/// `is_for_both`: an IPv6 address that IPv4 peers have to reach, too.
pub(super) fn bind(
    address: SocketAddr,
    is_for_both: bool,
    options: &Options,
) -> io::Result<(TcpListener, SocketAddr)> {
    faults::before(Call::Socket)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if cfg!(unix) {
        // A restarted server gets its port back at once; elsewhere the option means stealing it.
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv6() {
        let is_dual = faults::before(Call::SetOption).and_then(|()| socket.set_only_v6(false));
        if is_for_both {
            is_dual?;
        } // else it takes both where the system can
    }
    kernel::prepare(&socket, address, options)?;
    faults::before(Call::Bind)?;
    socket.bind(&address.into())?;
    faults::before(Call::Listen)?;
    socket.listen(i32::try_from(options.backlog().limit()).unwrap_or(i32::MAX))?;
    let listener = TcpListener::from_std(socket.into());
    faults::before(Call::GetOption)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    is_ours: bool,
}

impl Listener {
    /// One that nobody else is to listen with.
    pub(super) fn ours(listener: TcpListener) -> Self {
        Self { listener, is_ours: true }
    }

    /// One that somebody else has made, who may go on with it.
    pub(super) fn of_others(listener: TcpListener) -> Self {
        Self { listener, is_ours: false }
    }

    pub(super) fn accept(&self, options: &Options) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.listener.accept()?;
        kernel::set_stream_options(&SockRef::from(&stream), peer, options)?;
        Ok((stream, peer))
    }

    #[cfg(unix)]
    pub(super) fn descriptor(&self) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(&self.listener)
    }

    /// What the system's poll watches.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        &mut self.listener
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.is_ours {
            kernel::stop_listening(&SockRef::from(&self.listener));
        }
    }
}

/// The addresses that a host to bind to stands for, best first.
pub(super) fn local_addresses(
    host: &Host,
    port: u16,
    options: &Options,
) -> Result<Vec<SocketAddr>, BindErrorKind> {
    let any4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    match host {
        Host::Any if options.ipv6() => Ok(vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), any4]),
        Host::Any => Ok(vec![any4]),
        Host::Ip(_) | Host::Zoned(_, Zone::Index(_)) => Ok(host.address(port).into_iter().collect()),
        Host::Zoned(address, Zone::Name(name)) => Ok(with_port(look_up(&format!("{address}%{name}")), port)),
        Host::Name(name) => {
            let mut addresses = interface_addresses(name);
            addresses.sort_by_key(|address| address.is_ipv4() == options.ipv6());
            if addresses.is_empty() {
                addresses = look_up(name);
            }
            addresses.retain(|address| options.ipv6() || address.is_ipv4());
            Ok(with_port(addresses, port))
        }
    }
}

/// Binds to the first address of `source` from which one can connect to `peer`.
fn bind_to_source(socket: &Socket, source: &SourceAddress, peer: SocketAddr) -> io::Result<()> {
    let addresses = match &source.host {
        Host::Any if peer.is_ipv4() => vec![(Ipv4Addr::UNSPECIFIED, 0).into()],
        Host::Any => vec![(Ipv6Addr::UNSPECIFIED, 0).into()],
        Host::Ip(_) | Host::Zoned(_, Zone::Index(_)) => source.host.address(0).into_iter().collect(),
        Host::Zoned(address, Zone::Name(name)) => {
            let mut addresses = interface_addresses(name);
            addresses.retain(|it| it.ip() == *address);
            addresses
        }
        Host::Name(name) => interface_addresses(name),
    };
    let address = addresses.into_iter().find(|address| address.is_ipv4() == peer.is_ipv4());
    let mut address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    address.set_port(source.port);
    faults::before(Call::SetOption)?;
    // As libzmq: one port serves for connections to several peers.
    socket.set_reuse_address(true)?;
    #[cfg(target_os = "linux")]
    if source.port == 0 {
        // Where it cannot be had, a port is taken that nobody has.
        let _ = super::syscalls::choose_port_late(socket);
    }
    faults::before(Call::Bind)?;
    socket.bind(&address.into())
}

fn with_port(mut addresses: Vec<SocketAddr>, port: u16) -> Vec<SocketAddr> {
    addresses.iter_mut().for_each(|address| address.set_port(port));
    addresses
}

/// Looks a name up: its addresses as the system sorts them, none if it has none. Blocks.
pub(crate) fn look_up(name: &str) -> Vec<SocketAddr> {
    (name, 0).to_socket_addrs().map(Iterator::collect).unwrap_or_default()
}

/// The addresses of an interface, those that mean something on its link only last, and with their zone.
fn interface_addresses(name: &str) -> Vec<SocketAddr> {
    let mut interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.sort_by_key(if_addrs::Interface::is_link_local);
    let its_addresses = interfaces.into_iter().filter(|interface| interface.name == name).map(|interface| {
        let zone = interface.index.filter(|_| interface.is_link_local()).unwrap_or(0);
        match interface.ip() {
            IpAddr::V4(address) => (address, 0).into(),
            IpAddr::V6(address) => SocketAddrV6::new(address, 0, 0, zone).into(),
        }
    });
    its_addresses.collect()
}

/// EAGAIN says on Unix that nothing was begun, and nothing would tell of an end.
fn is_in_progress(error: &io::Error) -> bool {
    let is_begun = cfg!(not(unix)) && error.kind() == io::ErrorKind::WouldBlock;
    is_begun || error.raw_os_error() == Some(libc::EINPROGRESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_has_met_itself_counts_as_refused() {
        // B-30: a connect from the very port to which it goes.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket.connect(&socket.local_addr().unwrap()).unwrap();
        let stream = TcpStream::from_std(socket.into());
        assert_eq!(check_connected(&stream).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
