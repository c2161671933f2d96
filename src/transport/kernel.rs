//! Socket options that the kernel acts on: set before a connection, or on one that was accepted.
//!
//! What a platform does not have is refused when it is asked for, not passed over.
#![forbid(unsafe_code)]

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, Socket};

use crate::limits::{
    DOUBT_PROBES, KEEPALIVE_PROBES_MAX, KEEPALIVE_TIME_MAX, LOOPBACK_BUFFER, LOOPBACK_BUFFER_WIDE,
};
use crate::options::Options;
use crate::transport::{Call, faults};

/// What has to be said before `bind` and `connect`, and holds for what a listener accepts, too.
pub(super) fn prepare(socket: &Socket, address: SocketAddr, options: &Options) -> io::Result<()> {
    faults::before(Call::SetOption)?;
    if let Some(name) = options.bind_to_device().name() {
        only_linux::bind_to_device(socket, name)?;
    }
    set_tos(&SockRef::from(socket), address, options)
}

/// What a tcp connection is like.
pub(super) fn set_stream_options(
    socket: &SockRef<'_>,
    peer: SocketAddr,
    options: &Options,
) -> io::Result<()> {
    // Batches are made in the pipe; the kernel's waiting for more would only add latency.
    socket.set_tcp_nodelay(true)?;
    if is_on_this_host(peer) {
        stay_on_this_host(socket);
    }
    set_buffers(socket, options)?;
    set_keepalive(socket, options)?;
    set_tos(socket, peer, options)?;
    only_linux::set_stream_options(socket, options)
}

/// Has nobody connect to this any more, also if a child that was forked holds the same descriptor. Where the system
/// knows no such thing it has to be closed.
pub(super) fn stop_listening(socket: &SockRef<'_>) {
    let _ = socket.shutdown(Shutdown::Both);
}

fn is_on_this_host(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

/// Over loopback no network is to be spared, and everything is a copy from one core's cache to another's: the
/// system's congestion control may pace by timers (BBR does), and its buffers grow beyond the cache.
fn stay_on_this_host(socket: &SockRef<'_>) {
    // Where it cannot be had, it is as the system is set.
    let _ = only_linux::send_unpaced(socket);
    let _ = socket.set_send_buffer_size(LOOPBACK_BUFFER);
    let _ = socket.set_recv_buffer_size(LOOPBACK_BUFFER);
}

/// Makes room for bodies that are larger than the buffers which suit small messages, where those are our choice.
pub(super) fn widen(socket: &SockRef<'_>, peer: SocketAddr, options: &Options) {
    if !is_on_this_host(peer) {
        return;
    }
    // Where they cannot be had, it goes on with the smaller ones.
    if options.send_buffer().size().is_none() {
        let _ = socket.set_send_buffer_size(LOOPBACK_BUFFER_WIDE);
    }
    if options.recv_buffer().size().is_none() {
        let _ = socket.set_recv_buffer_size(LOOPBACK_BUFFER_WIDE);
    }
}

pub(super) fn set_buffers(socket: &SockRef<'_>, options: &Options) -> io::Result<()> {
    faults::before(Call::SetOption)?;
    if let Some(octets) = options.send_buffer().size() {
        socket.set_send_buffer_size(octets as usize)?;
    }
    if let Some(octets) = options.recv_buffer().size() {
        socket.set_recv_buffer_size(octets as usize)?;
    }
    Ok(())
}

fn set_keepalive(socket: &SockRef<'_>, options: &Options) -> io::Result<()> {
    let Some(is_on) = options.tcp_keepalive().switch() else { return Ok(()) };
    socket.set_keepalive(is_on)?;
    if !is_on {
        return Ok(());
    }
    let mut keepalive = socket2::TcpKeepalive::new();
    if let Some(idle) = options.tcp_keepalive_idle().limit() {
        keepalive = keepalive.with_time(whole_seconds(idle).min(KEEPALIVE_TIME_MAX));
    }
    if let Some(interval) = options.tcp_keepalive_interval().limit() {
        keepalive = keepalive.with_interval(whole_seconds(interval).min(KEEPALIVE_TIME_MAX));
    }
    if let Some(count) = options.tcp_keepalive_count().count() {
        keepalive = keepalive.with_retries(count.min(KEEPALIVE_PROBES_MAX).into());
    }
    socket.set_tcp_keepalive(&keepalive)
}

/// Probes a peer from which nothing comes, until it answers or is taken for gone.
pub(super) fn doubt(socket: &SockRef<'_>) {
    let second = Duration::from_secs(1);
    let keepalive =
        socket2::TcpKeepalive::new().with_time(second).with_interval(second).with_retries(DOUBT_PROBES);
    // Where it cannot be had, the peer keeps its name until the system finds out.
    let _ = socket.set_tcp_keepalive(&keepalive);
}

/// The kernel counts seconds, and zero is none of them.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)))
}

fn set_tos(socket: &SockRef<'_>, address: SocketAddr, options: &Options) -> io::Result<()> {
    match (options.tos(), address) {
        (0, _) => Ok(()),
        (tos, SocketAddr::V4(_)) => socket.set_tos_v4(tos.into()),
        (tos, SocketAddr::V6(_)) => only_linux::set_traffic_class(socket, tos),
    }
}

#[cfg(target_os = "linux")]
mod only_linux {
    use super::*;

    pub(super) fn bind_to_device(socket: &Socket, name: &str) -> io::Result<()> {
        socket.bind_device(Some(name.as_bytes()))
    }

    pub(super) fn send_unpaced(socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_congestion(b"reno")
    }

    pub(super) fn set_traffic_class(socket: &SockRef<'_>, tos: u8) -> io::Result<()> {
        socket.set_tclass_v6(tos.into())
    }

    pub(super) fn set_stream_options(socket: &SockRef<'_>, options: &Options) -> io::Result<()> {
        if let limit @ Some(_) = options.tcp_max_retransmit().limit() {
            socket.set_tcp_user_timeout(limit)?;
        }
        if let Some(time) = options.busy_poll().limit() {
            let micros = time.as_micros().try_into().unwrap_or(i32::MAX);
            socket.set_busy_poll(micros.unsigned_abs())?;
        }
        match options.priority() {
            0 => Ok(()),
            priority => socket.set_priority(priority),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod only_linux {
    use super::*;
    use crate::options::KernelTime;

    pub(super) fn bind_to_device(_: &Socket, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn send_unpaced(_: &SockRef<'_>) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn set_traffic_class(_: &SockRef<'_>, _: u8) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn set_stream_options(_: &SockRef<'_>, options: &Options) -> io::Result<()> {
        let is_asked_for = options.tcp_max_retransmit() != KernelTime::SYSTEM
            || options.busy_poll() != KernelTime::SYSTEM
            || options.priority() != 0;
        if is_asked_for { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::options::{DeviceName, KeepaliveProbes, KernelBuffer, KernelTime, TcpKeepalive};
    use crate::transport::{Listener, Stream, Target};

    /// A live connection over loopback: the dialer's end and the accepted one.
    fn connect(address: &str, options: &Options) -> [Stream; 2] {
        let endpoint: Endpoint = format!("tcp://{address}:0").parse().unwrap();
        let (listener, bound) = Listener::bind(endpoint.address(), options).unwrap();
        let port = bound.port().unwrap();
        let ip = address.trim_matches(['[', ']']).parse().unwrap();
        let dialed = Stream::connect(&Target::Tcp(SocketAddr::new(ip, port)), options).unwrap();
        loop {
            if let Some((accepted, _)) = listener.accept(options).unwrap() {
                return [dialed, accepted];
            }
        }
    }

    fn on_both_ends(address: &str, options: &Options, check: impl Fn(&SockRef<'_>)) {
        for stream in connect(address, options) {
            match &stream {
                Stream::Tcp(stream) => check(&SockRef::from(stream)),
                Stream::Ipc(stream) => check(&SockRef::from(stream)),
            }
        }
    }

    fn seconds(seconds: u64) -> KernelTime {
        Duration::from_secs(seconds).into()
    }

    #[test]
    fn keepalive_is_read_back_from_both_ends() {
        let options = Options {
            tcp_keepalive: TcpKeepalive::On,
            tcp_keepalive_count: KeepaliveProbes::from(7),
            tcp_keepalive_idle: seconds(77),
            tcp_keepalive_interval: Duration::from_millis(1100).into(),
            ..Options::default()
        };
        on_both_ends("127.0.0.1", &options, |socket| {
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 7);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(77));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(2));
        });
        let options = Options { tcp_keepalive: TcpKeepalive::Off, ..options };
        on_both_ends("127.0.0.1", &options, |socket| assert!(!socket.keepalive().unwrap()));
    }

    #[test]
    fn the_type_of_service_is_read_back_from_both_ends() {
        let options = Options { tos: 0xB8, ..Options::default() };
        on_both_ends("127.0.0.1", &options, |socket| assert_eq!(socket.tos_v4().unwrap(), 0xB8));
        on_both_ends("[::1]", &options, |socket| assert_eq!(socket.tclass_v6().unwrap(), 0xB8));
    }

    #[test]
    fn the_longest_retransmission_is_read_back_from_both_ends() {
        let limit = Duration::from_millis(12_345);
        let options = Options { tcp_max_retransmit: limit.into(), ..Options::default() };
        on_both_ends("127.0.0.1", &options, |socket| {
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limit));
        });
    }

    #[test]
    fn the_priority_is_read_back_from_both_ends() {
        let options = Options { priority: 5, ..Options::default() };
        on_both_ends("127.0.0.1", &options, |socket| assert_eq!(socket.priority().unwrap(), 5));
    }

    #[test]
    fn buffers_are_read_back_from_both_ends() {
        let size = KernelBuffer::octets(50_000).unwrap();
        let options = Options { send_buffer: size, recv_buffer: size, ..Options::default() };
        on_both_ends("127.0.0.1", &options, |socket| {
            // Linux doubles what it is asked for.
            assert_eq!(socket.send_buffer_size().unwrap(), 100_000);
            assert_eq!(socket.recv_buffer_size().unwrap(), 100_000);
        });
    }

    #[test]
    fn over_loopback_nothing_is_paced_and_buffers_fit_the_cache() {
        for address in ["127.0.0.1", "[::1]"] {
            on_both_ends(address, &Options::default(), |socket| {
                let algorithm = socket.tcp_congestion().unwrap();
                assert_eq!(algorithm.split(|octet| *octet == 0).next(), Some(&b"reno"[..]));
                // Linux doubles what it is asked for, and grants what the system allows.
                assert!(socket.send_buffer_size().unwrap() <= 2 * LOOPBACK_BUFFER);
                assert!(socket.recv_buffer_size().unwrap() <= 2 * LOOPBACK_BUFFER);
            });
        }
    }

    #[test]
    fn large_bodies_widen_the_buffers_that_nobody_chose() {
        let size = KernelBuffer::octets(50_000).unwrap();
        let options = Options { recv_buffer: size, ..Options::default() };
        for stream in connect("127.0.0.1", &options) {
            stream.widen(&options);
            let Stream::Tcp(stream) = &stream else { unreachable!("it was tcp") };
            let socket = SockRef::from(stream);
            // As much as the system grants, if that is more than before.
            let other = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            other.set_send_buffer_size(LOOPBACK_BUFFER_WIDE).unwrap();
            assert_eq!(socket.send_buffer_size().unwrap(), other.send_buffer_size().unwrap());
            assert_eq!(socket.recv_buffer_size().unwrap(), 100_000);
        }
    }

    #[test]
    fn the_device_is_read_back_from_both_ends_and_others_are_refused() {
        let options = Options { bind_to_device: DeviceName::new("lo").unwrap(), ..Options::default() };
        on_both_ends("127.0.0.1", &options, |socket| {
            assert_eq!(socket.device().unwrap().as_deref(), Some(&b"lo"[..]));
        });
        let options = Options { bind_to_device: DeviceName::new("nowhere").unwrap(), ..Options::default() };
        let endpoint: Endpoint = "tcp://127.0.0.1:0".parse().unwrap();
        assert!(Listener::bind(endpoint.address(), &options).is_err());
    }

    #[test]
    fn busy_polling_reaches_the_kernel() {
        // Without the privilege the kernel says so, and does not pretend.
        let options = Options { busy_poll: Duration::from_micros(50).into(), ..Options::default() };
        let target = Target::Tcp("127.0.0.1:9".parse().unwrap());
        match &Stream::connect(&target, &options) {
            Ok(Stream::Tcp(stream)) => assert_eq!(SockRef::from(stream).busy_poll().unwrap(), 50),
            Ok(Stream::Ipc(_)) => unreachable!("it was tcp"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    }
}
