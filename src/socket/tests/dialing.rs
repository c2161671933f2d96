//! Names and addresses: which are tried, when, and how many at a time.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Condvar, Mutex};

use super::*;
use crate::io::names;
use crate::limits::{ATTEMPTS_AT_ONCE, LOOKUPS_AT_ONCE, LOOKUPS_IN_ALL, LOOKUPS_OF_CONTEXT};
use crate::session::hold_up;
use crate::{
    Connection, ConnectionError, ConnectionState, DeviceName, EventKind, ReconnectInterval, ReconnectStop,
    SocksProxy, Timeout,
};

/// An address at which the system answers nobody, because its backlog is full.
struct Silent {
    _socket: socket2::Socket,
    _waiting: Vec<TcpStream>,
}

impl Silent {
    fn at(address: SocketAddr) -> Self {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(0).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, STALL / 3) {
            waiting.push(stream);
        }
        Self { _socket: socket, _waiting: waiting }
    }
}

fn socket_address(endpoint: &Endpoint) -> SocketAddr {
    endpoint.to_string().strip_prefix("tcp://").unwrap().parse().unwrap()
}

/// Hosts of this machine with the same port, at which nobody listens.
fn hosts<const COUNT: usize>() -> [SocketAddr; COUNT] {
    let address = socket_address(&Place::new(Transport::Tcp).address());
    let SocketAddr::V4(address) = address else { unreachable!("it is IPv4") };
    let [a, _, c, d] = address.ip().octets();
    // No other address has this port and one of these octets.
    std::array::from_fn(|number| {
        SocketAddr::from(([a, 251 + u8::try_from(number).unwrap(), c, d], address.port()))
    })
}

/// A name that stands for these addresses, with their port.
fn name_of(addresses: &[SocketAddr]) -> String {
    let (name, known) = (format!("n{}.test", unique()), addresses.to_vec());
    names::answer(&name, move || known.clone());
    format!("{name}:{}", addresses[0].port())
}

fn connect(push: &mut Socket<Push>, addresses: &[SocketAddr]) -> Connection {
    push.connect(format!("tcp://{}", name_of(addresses))).unwrap()
}

fn bound(place: &Place, address: SocketAddr) -> Socket<Pull> {
    let mut pull = place.open();
    pull.bind(Endpoint::tcp(address)).unwrap();
    pull
}

fn exchange(push: &mut Socket<Push>, pull: &mut Socket<Pull>) {
    send(push, "hello");
    assert_eq!(recv(pull), "hello");
}

#[test]
fn a_name_whose_first_addresses_are_silent_is_reached_at_the_next() {
    // The system alone tries each of them for two minutes.
    let place = Place::new(Transport::Tcp);
    let addresses = hosts::<3>();
    let _silent = [Silent::at(addresses[0]), Silent::at(addresses[1])];
    let mut pull = bound(&place, addresses[2]);
    for device in ["", "lo"] {
        let builder = place.builder().connect_timeout(Timeout::Never);
        let mut push = builder.bind_to_device(DeviceName::new(device).unwrap()).open().unwrap();
        let connection = connect(&mut push, &addresses);
        connection.wait_ready(PATIENCE).unwrap();
        assert_eq!(connection.last_error(), None, "it was the first try");
        exchange(&mut push, &mut pull);
    }
}

#[test]
fn a_name_falls_back_to_the_other_family() {
    let place = Place::new(Transport::Tcp);
    // Of a port that no other process has: all of them have this host.
    let other = TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap();
    let [address] = hosts();
    let address = SocketAddr::new(address.ip(), other.port());
    let mut pull = bound(&place, address);
    // The first family is refused, silent, and not wanted.
    let check = |pull: &mut Socket<Pull>, is_wanted| {
        let builder = place.builder().ipv6(is_wanted).connect_timeout(Timeout::Never);
        let mut push: Socket<Push> = builder.open().unwrap();
        connect(&mut push, &[other, address]);
        exchange(&mut push, pull);
    };
    check(&mut pull, true);
    let _silent = Silent::at(other);
    check(&mut pull, true);
    check(&mut pull, false);
}

#[test]
fn addresses_that_lose_are_closed() {
    alone("dialing::addresses_that_lose_are_closed", || {
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
        let place = Place::in_context(Transport::Tcp, Context::builder().io_threads(1).build());
        let addresses = hosts::<3>();
        let _silent = [Silent::at(addresses[0]), Silent::at(addresses[1])];
        let mut pull = bound(&place, addresses[2]);
        let mut push: Socket<Push> = place.open();
        push.connect(Endpoint::tcp(addresses[2])).unwrap();
        exchange(&mut push, &mut pull);
        let before = descriptors();
        let mut push: Socket<Push> = place.open();
        connect(&mut push, &addresses);
        exchange(&mut push, &mut pull);
        assert_eq!(descriptors(), before + 2, "both ends of one connection");
    });
}

#[test]
fn a_proxy_whose_first_address_is_silent_or_no_proxy_is_reached_at_the_next() {
    let place = Place::new(Transport::Tcp);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let addresses = hosts::<3>();
    let _silent = Silent::at(addresses[0]);
    let (no_proxy, proxy) =
        (TcpListener::bind(addresses[1]).unwrap(), TcpListener::bind(addresses[2]).unwrap());
    let builder = place.builder().socks_proxy(SocksProxy::new(&name_of(&addresses)).unwrap());
    let mut push = builder.connect_timeout(Timeout::Never).open().unwrap();
    let target = socket_address(&endpoint);
    // They end with the connection; nobody waits for them if it is never made.
    thread::spawn(move || no_proxy.accept().unwrap().0.write_all(b"HTTP/1.1 400\r\n"));
    thread::spawn(move || grant(&proxy, target));
    let connection = push.connect(&endpoint).unwrap();
    connection.wait_ready(PATIENCE).unwrap();
    assert_eq!(connection.last_error(), None, "it was the first try");
    exchange(&mut push, &mut pull);
}

/// A SOCKS5 proxy for one connection to this target.
fn grant(proxy: &TcpListener, target: SocketAddr) {
    let (mut client, _) = proxy.accept().unwrap();
    client.read_exact(&mut [0; 3]).unwrap();
    client.write_all(&[5, 0]).unwrap();
    client.read_exact(&mut [0; 10]).unwrap();
    let mut target = TcpStream::connect(target).unwrap();
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let (mut from_client, mut to_target) = (client.try_clone().unwrap(), target.try_clone().unwrap());
    thread::scope(|scope| {
        scope.spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_target);
            let _ = to_target.shutdown(std::net::Shutdown::Write);
        });
        let _ = std::io::copy(&mut target, &mut client);
    });
}

#[test]
fn a_silent_host_is_asked_anew() {
    // As after an outage: what the system has asked before may be asked again in a minute only.
    let place = Place::new(Transport::Tcp);
    let [address] = hosts();
    let silent = Silent::at(address);
    let builder = place.builder().connect_timeout(STALL / 10).reconnect_interval(TURN);
    let mut push = builder.open().unwrap();
    let connection = push.connect(Endpoint::tcp(address)).unwrap();
    eventually("it is given up", || connection.last_error() == Some(ConnectionError::TimedOut));
    assert_ne!(connection.state(), ConnectionState::Failed);
    drop(silent);
    let mut pull = place.open();
    eventually("the address is free", || pull.bind(Endpoint::tcp(address)).is_ok());
    exchange(&mut push, &mut pull);
    assert_eq!(crate::Options::default().connect_timeout(), Timeout::CONNECT, "which ends");
}

#[test]
fn a_name_is_refused_when_all_its_addresses_are() {
    let place = Place::new(Transport::Tcp);
    let addresses = hosts::<3>();
    let open = || -> Socket<Push> {
        let builder = place.builder().reconnect_stop(ReconnectStop::REFUSED);
        builder.connect_timeout(STALL / 10).open().unwrap()
    };
    let mut push = open();
    let connection = connect(&mut push, &addresses);
    eventually("nobody listens", || connection.state() == ConnectionState::Failed);
    let silent = Silent::at(addresses[0]);
    let mut push = open();
    let connection = connect(&mut push, &addresses);
    eventually("one has not refused", || connection.state() == ConnectionState::Waiting);
    drop(silent);
    let mut push = open();
    let mut pull = bound(&place, addresses[2]);
    connect(&mut push, &addresses);
    exchange(&mut push, &mut pull);
}

#[test]
fn only_so_many_addresses_of_a_name_are_tried_at_the_same_time() {
    // And all have their turn, although the system alone would try the first of them for two minutes.
    let place = Place::new(Transport::Tcp);
    let [silent, address] = hosts();
    let _silent = Silent::at(silent);
    let mut pull = bound(&place, address);
    let mut push: Socket<Push> = place.builder().connect_timeout(Timeout::Never).open().unwrap();
    let monitor = push.monitor();
    let mut addresses = [silent; ATTEMPTS_AT_ONCE + 3];
    addresses[ATTEMPTS_AT_ONCE + 2] = address;
    let connection = connect(&mut push, &addresses);
    let (mut started, mut failed) = (0, 0);
    loop {
        let kind = monitor.recv_timeout(PATIENCE).unwrap().kind;
        if matches!(kind, EventKind::Connected) {
            break;
        }
        started += usize::from(matches!(kind, EventKind::Connecting));
        failed += usize::from(matches!(kind, EventKind::ConnectFailed(ConnectionError::TimedOut)));
        assert!(started <= ATTEMPTS_AT_ONCE + failed);
    }
    assert_eq!((started, failed), (ATTEMPTS_AT_ONCE + 3, 3));
    exchange(&mut push, &mut pull);
    assert_eq!(connection.last_error(), None, "it was the first try");
}

/// A resolver that is silent until it is told to go on, and who has asked it.
#[derive(Default)]
struct Slow {
    asked: Mutex<(Vec<String>, bool)>,
    change: Condvar,
}

impl Slow {
    /// An endpoint with a name that this resolver is asked for.
    fn name(self: &Arc<Self>, address: SocketAddr) -> String {
        let (name, slow) = (format!("slow{}.test", unique()), Arc::clone(self));
        let known = name.clone();
        names::answer(&name, move || {
            let mut asked = slow.asked.lock().unwrap();
            asked.0.push(known.clone());
            drop(slow.change.wait_while(asked, |asked| !asked.1).unwrap());
            vec![address]
        });
        format!("tcp://{name}:{}", address.port())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().0.clone()
    }

    fn go_on(&self) {
        self.asked.lock().unwrap().1 = true;
        self.change.notify_all();
    }
}

#[test]
fn a_name_is_looked_up_once_for_all_who_connect_to_it() {
    let place = Place::new(Transport::Tcp);
    let (slow, [address]) = (Arc::<Slow>::default(), hosts());
    let mut pull = bound(&place, address);
    let name = slow.name(address);
    let mut sockets: Vec<Socket<Push>> = (0..100).map(|_| place.open()).collect();
    let connections: Vec<_> = sockets.iter_mut().map(|push| push.connect(&name[..]).unwrap()).collect();
    eventually("all have asked", || place.context.inner.pool.resolver().asking() == 100);
    slow.go_on();
    connections.iter().for_each(|connection| connection.wait_ready(PATIENCE).unwrap());
    exchange(&mut sockets[99], &mut pull);
    assert_eq!(slow.asked().len(), 1);
}

#[test]
fn a_lookup_that_takes_too_long_is_told_and_tried_again_and_its_late_answer_counts() {
    let place = Place::new(Transport::Tcp);
    let [address] = hosts();
    let mut pull = bound(&place, address);
    let resolver = place.context.inner.pool.resolver();
    // Again and again, and in the middle of a pause that nobody waits for.
    for (pause, retries) in [(TURN, 3), (100 * PATIENCE, 1)] {
        let slow = Arc::<Slow>::default();
        let builder = place.builder().connect_timeout(STALL / 10).reconnect_interval(pause);
        let mut push: Socket<Push> = builder.open().unwrap();
        let monitor = push.monitor();
        let connection = push.connect(&slow.name(address)[..]).unwrap();
        for _ in 0..retries {
            let next = || monitor.recv_timeout(PATIENCE).unwrap().kind;
            let error = ConnectionError::TimedOut;
            assert!(matches!(next(), EventKind::ConnectFailed(why) if why == error));
            assert!(matches!(next(), EventKind::Retried { error: why, .. } if why == error));
        }
        eventually("the handle tells", || connection.last_error() == Some(ConnectionError::TimedOut));
        slow.go_on();
        exchange(&mut push, &mut pull);
        assert_eq!((slow.asked().len(), resolver.asking()), (1, 0), "it was looked up once");
    }
}

#[test]
fn a_lookup_that_takes_too_long_is_the_last_for_who_does_not_connect_again() {
    let place = Place::new(Transport::Tcp);
    let (slow, [address]) = (Arc::<Slow>::default(), hosts());
    let builder = place.builder().connect_timeout(STALL / 10).reconnect_interval(ReconnectInterval::Never);
    let mut push: Socket<Push> = builder.open().unwrap();
    let connection = push.connect(&slow.name(address)[..]).unwrap();
    eventually("it has failed", || connection.state() == ConnectionState::Failed);
    assert_eq!(connection.last_error(), Some(ConnectionError::TimedOut));
    eventually("it asks no more", || place.context.inner.pool.resolver().asking() == 0);
    slow.go_on();
}

/// Threads of this process that look names up.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.starts_with("peermq-dns")).count()
}

#[test]
fn contexts_that_are_gone_leave_only_so_many_threads_behind_and_others_ask_again() {
    alone("dialing::contexts_that_are_gone_leave_only_so_many_threads_behind_and_others_ask_again", || {
        let (slow, [address]) = (Arc::<Slow>::default(), hosts());
        let most = usize::try_from(LOOKUPS_IN_ALL).unwrap();
        let ask = |names: usize| {
            let place = Place::new(Transport::Tcp);
            let mut push: Socket<Push> = place.builder().reconnect_interval(TURN).open().unwrap();
            let connections: Vec<_> =
                (0..names).map(|_| push.connect(&slow.name(address)[..]).unwrap()).collect();
            (place, push, connections)
        };
        for number in 1..=2 * most / LOOKUPS_AT_ONCE {
            let asked = ask(LOOKUPS_AT_ONCE);
            let expected = most.min(number * LOOKUPS_AT_ONCE);
            eventually("all threads look up", || slow.asked().len() == expected);
            assert_eq!(threads(), expected);
            drop(asked);
        }
        let (place, mut push, connections) = ask(1);
        let failed = Some(ConnectionError::NoAddress);
        eventually("it finds no address", || connections[0].last_error() == failed);
        let mut pull = bound(&place, address);
        slow.go_on();
        exchange(&mut push, &mut pull);
    });
}

#[test]
fn silent_names_take_a_few_threads_and_no_more_of_them_when_the_context_is_gone() {
    alone("dialing::silent_names_take_a_few_threads_and_no_more_of_them_when_the_context_is_gone", || {
        let place = Place::new(Transport::Tcp);
        let (slow, [address]) = (Arc::<Slow>::default(), hosts());
        let mut push: Socket<Push> = place.open();
        for _ in 0..2 * LOOKUPS_OF_CONTEXT {
            push.connect(&slow.name(address)[..]).unwrap();
        }
        eventually("all threads look up", || slow.asked().len() == LOOKUPS_OF_CONTEXT);
        assert_eq!(threads(), LOOKUPS_OF_CONTEXT);
        drop((push, place));
        slow.go_on();
        eventually("they end", || threads() == 0);
        let asked = slow.asked();
        assert_eq!(asked.len(), LOOKUPS_OF_CONTEXT, "the others were not asked for any more");
        assert_eq!(asked.iter().collect::<HashSet<_>>().len(), LOOKUPS_OF_CONTEXT);
    });
}

#[test]
fn names_whose_servers_are_silent_delay_no_others() {
    let place = Place::new(Transport::Tcp);
    let (slow, [address]) = (Arc::<Slow>::default(), hosts());
    let mut pull = bound(&place, address);
    let mut silent: Socket<Push> = place.open();
    for number in 1..=3 {
        for _ in 0..LOOKUPS_AT_ONCE {
            silent.connect(&slow.name(address)[..]).unwrap();
        }
        eventually("all of them are looked up", || slow.asked().len() == number * LOOKUPS_AT_ONCE);
        let mut push: Socket<Push> = place.open();
        connect(&mut push, &[address]);
        exchange(&mut push, &mut pull);
    }
    slow.go_on();
}

/// Where a connection to this endpoint comes from, as its peer sees it.
fn seen_source(place: &Place, source: &str, addresses: &[SocketAddr]) -> SocketAddr {
    let mut pull = bound(place, addresses[addresses.len() - 1]);
    let mut push: Socket<Push> = place.open();
    push.connect(format!("tcp://{source};{}", name_of(addresses))).unwrap();
    exchange(&mut push, &mut pull);
    socket_address(pull.peers()[0].endpoint())
}

#[test]
fn a_connection_comes_from_the_source_that_is_asked_for() {
    let place = Place::new(Transport::Tcp);
    let [own, first, second] = hosts::<3>();
    let host = own.ip();
    let seen = seen_source(&place, &format!("{host}:*"), &[first]);
    assert_eq!(seen.ip(), host);
    assert_ne!(seen.port(), 0);
    assert_eq!(seen_source(&place, &own.to_string(), &[first]), own);
    // With the same port to another peer, behind an address that is silent.
    let _silent = Silent::at(first);
    assert_eq!(seen_source(&place, &own.to_string(), &[first, second]), own);
    for source in ["lo:0", "*:0"] {
        let [address] = hosts();
        assert!(seen_source(&place, source, &[address]).ip().is_loopback());
    }
}

#[test]
fn a_source_that_cannot_be_had_is_told() {
    let place = Place::new(Transport::Tcp);
    let [address] = hosts();
    let _pull = bound(&place, address);
    // Another host's address, another family, no interface.
    for source in ["192.0.2.1:0", "[::1]:0", "nowhere0:0"] {
        let mut push: Socket<Push> = place.open();
        let connection = push.connect(format!("tcp://{source};{address}")).unwrap();
        eventually("it is told", || connection.last_error().is_some());
        let error = connection.last_error();
        assert!(
            matches!(error, Some(ConnectionError::Io(error)) if error.kind == std::io::ErrorKind::AddrNotAvailable),
            "{source}: {error:?}"
        );
    }
    let mut pull: Socket<Pull> = place.open();
    let bound = pull.bind(format!("tcp://127.0.0.1:0;{address}"));
    assert_eq!(bound.unwrap_err().kind(), crate::BindErrorKind::SourceAddress);
    assert_eq!(SocksProxy::new("lo:0;host:1080").unwrap_err().kind(), crate::EndpointErrorKind::InvalidHost);
}

#[test]
fn an_address_with_a_zone_is_looked_up_as_it_is() {
    // Only the system knows which interface that is, and perhaps not yet.
    // Of a family that is not wanted of names.
    let place = Place::new(Transport::Tcp);
    let mut pull = place.open();
    let address = socket_address(pull.bind("tcp://[::1]:*").unwrap().endpoint());
    let zoned = format!("fe80::7%z{}", unique());
    names::answer(&zoned, move || vec![address]);
    let mut push: Socket<Push> = place.open();
    push.connect(format!("tcp://[{zoned}]:{}", address.port())).unwrap();
    exchange(&mut push, &mut pull);
}

#[test]
fn addresses_of_one_link_are_bound_connected_to_and_come_from_with_their_zone() {
    // If there is an interface with one.
    let interfaces = if_addrs::get_if_addrs().unwrap();
    let Some(interface) = interfaces.iter().find(|it| it.ip().is_ipv6() && it.is_link_local()) else {
        return;
    };
    let (ip, name, index) = (interface.ip(), &interface.name, interface.index.unwrap().to_string());
    let place = Place::new(Transport::Tcp);
    for zone in [name, &index] {
        let mut pull = place.open();
        let port = pull.bind(format!("tcp://[{ip}%{zone}]:*")).unwrap().port().unwrap();
        for source in [String::new(), format!("[{ip}%{zone}]:0;"), format!("{name}:0;")] {
            let mut push: Socket<Push> = place.open();
            push.connect(format!("tcp://{source}[{ip}%{zone}]:{port}")).unwrap();
            exchange(&mut push, &mut pull);
            if source.starts_with('[') {
                let peers = pull.peers();
                let seen = socket_address(peers.last().unwrap().endpoint());
                assert_eq!(seen.ip(), ip, "from {source}");
            }
        }
    }
}

#[test]
fn what_is_noted_while_an_io_thread_looks_for_a_late_handshake_is_done() {
    // Its timer comes although the handshake is over, and the socket's own thread finds the session taken.
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let limit = Duration::from_secs(1);
        let mut push: Socket<Push> = place.builder().handshake_interval(limit).open().unwrap();
        push.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
        send(&mut push, "first");
        assert_eq!(recv(&mut pull), "first");
        let (is_held, go) = hold_up::arrange(push.stats().peers[0].connection);
        let (tell, told) = std::sync::mpsc::channel();
        // Elsewhere: before this thread sleeps in a call it looks after its connections once more.
        let receiving = thread::spawn(move || tell.send(recv(&mut pull)).unwrap());
        is_held.recv_timeout(PATIENCE).unwrap();
        push.try_send("noted").unwrap();
        go.send(()).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "noted");
        receiving.join().unwrap();
    });
}
