//! Where sockets bind and connect, and what happens to what was there before.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Barrier;

use super::*;
use crate::transport::Call;
use crate::transport::faults::Plan;
use crate::{
    BindErrorKind, ConnectErrorKind, Connection, ConnectionState, Dealer, EndpointErrorKind, Pub,
    ReconnectInterval, Rep, Req, Router, Sub, XPub, XSub,
};

/// A message goes to `pull`, bound to `endpoint`.
fn reaches(place: &Place, pull: &mut Socket<Pull>, endpoint: impl AsRef<str>) {
    let mut push: Socket<Push> = place.builder().ipv6(true).open().unwrap();
    push.connect(endpoint.as_ref()).unwrap();
    send(&mut push, endpoint.as_ref());
    assert_eq!(recv(pull), endpoint.as_ref());
}

#[test]
fn bind_returns_what_it_got() {
    let place = Place::new(Transport::Tcp);
    for text in ["tcp://127.0.0.1:0", "tcp://127.0.0.1:*", "tcp://localhost:0", "tcp://lo:0", "tcp://*:0"] {
        let mut pull: Socket<Pull> = place.open();
        let endpoint = pull.bind(text).unwrap();
        let port = endpoint.port().unwrap();
        assert_ne!(port, 0, "{text}");
        reaches(&place, &mut pull, format!("tcp://127.0.0.1:{port}"));
        reaches(&place, &mut pull, format!("tcp://localhost:{port}"));
        reaches(&place, &mut pull, endpoint.to_string());
        pull.unbind(&endpoint).unwrap();
    }
}

#[test]
fn ipv6_is_bound_and_connected_to_where_the_machine_has_it() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let place = Place::new(Transport::Tcp);
    let mut pull: Socket<Pull> = place.builder().ipv6(true).open().unwrap();
    let endpoint = pull.bind("tcp://[::1]:0").unwrap();
    assert!(endpoint.to_string().starts_with("tcp://[::1]:"));
    reaches(&place, &mut pull, endpoint.to_string());
    // The wildcard takes both.
    let port = pull.bind("tcp://*:0").unwrap().port().unwrap();
    reaches(&place, &mut pull, format!("tcp://[::1]:{port}"));
    reaches(&place, &mut pull, format!("tcp://127.0.0.1:{port}"));
}

#[test]
fn the_wildcard_is_that_of_ipv4_where_no_socket_takes_both() {
    // No IPv6 in the kernel, none switched on, and a system that keeps the two apart.
    let place = Place::new(Transport::Tcp);
    let failing = [
        (Call::Socket, libc::EAFNOSUPPORT),
        (Call::Bind, libc::EADDRNOTAVAIL),
        (Call::SetOption, libc::EINVAL),
    ];
    for (call, errno) in failing {
        let mut pull: Socket<Pull> = place.builder().ipv6(true).open().unwrap();
        let endpoint = bind_failing(&mut pull, "tcp://*:0", call, errno).unwrap();
        assert!(endpoint.starts_with("tcp://0.0.0.0:"), "{endpoint} without {call:?}");
        reaches(&place, &mut pull, endpoint.replace("0.0.0.0", "127.0.0.1"));
    }
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    // Whoever names the address of IPv6 gets it.
    let mut pull: Socket<Pull> = place.builder().ipv6(true).open().unwrap();
    let endpoint = bind_failing(&mut pull, "tcp://[::]:0", Call::SetOption, libc::EINVAL).unwrap();
    reaches(&place, &mut pull, endpoint.replace("[::]", "[::1]"));
    // A port of which somebody else has one half is in use.
    let other = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
    other.set_only_v6(true).unwrap();
    other.bind(&"[::]:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    other.listen(1).unwrap();
    let port = other.local_addr().unwrap().as_socket().unwrap().port();
    let error = pull.bind(format!("tcp://*:{port}")).unwrap_err();
    assert_eq!(error.kind(), BindErrorKind::AddressInUse);
}

/// Binds while the next such call fails.
fn bind_failing(pull: &mut Socket<Pull>, text: &str, call: Call, errno: i32) -> Option<String> {
    let plan = Plan::quiet();
    let _entered = plan.enter();
    plan.fail_next(call, errno);
    pull.bind(text).map(|binding| binding.endpoint().to_string()).ok()
}

#[test]
fn connect_refuses_what_only_bind_can_use() {
    let mut push: Socket<Push> = Place::new(Transport::Tcp).open();
    for text in ["tcp://*:5555", "tcp://127.0.0.1:0", "tcp://127.0.0.1:*", "ipc://*"] {
        assert_eq!(
            push.connect(text).map_err(|error| error.kind()),
            Err(ConnectErrorKind::Wildcard),
            "{text}"
        );
    }
}

#[test]
fn an_error_names_the_endpoint_that_it_is_about() {
    let place = Place::new(Transport::Tcp);
    let (_bound, endpoint) = place.bound::<Pull>();
    let (mut pull, mut router): (Socket<Pull>, Socket<Router>) = (place.open(), place.open());
    let mut any = place.context.open_any(crate::SocketType::Router).unwrap();
    let name = crate::RoutingId::new("name").unwrap();
    let (text, wildcard) = (endpoint.to_string(), "tcp://*:1");
    for (named, of_bind) in [
        (&*text, pull.bind(&endpoint).unwrap_err()),
        (&*text, pull.bind(&text).unwrap_err()),
        (&*text, pull.unbind(&endpoint).unwrap_err()),
        ("nothing", pull.bind("nothing").unwrap_err()),
        ("nothing", pull.unbind("nothing").unwrap_err()),
        ("nothing", pull.monitor_pair("nothing", 1).unwrap_err()),
        (&*text, pull.monitor_pair(&text, 1).unwrap_err()),
    ] {
        assert_eq!(of_bind.endpoint(), Some(named));
        assert!(of_bind.to_string().contains(named), "{of_bind}");
    }
    for (named, of_connect) in [
        (wildcard, pull.connect(wildcard).unwrap_err()),
        (&*text, pull.disconnect(&endpoint).unwrap_err()),
        (wildcard, router.connect_as(&name, wildcard).unwrap_err()),
        (wildcard, any.connect_as(&name, wildcard).unwrap_err()),
        ("nothing", pull.connect("nothing").unwrap_err()),
        ("nothing", pull.disconnect("nothing").unwrap_err()),
        ("nothing", any.connect_as(&name, "nothing").unwrap_err()),
    ] {
        assert_eq!(of_connect.endpoint(), named);
        assert!(of_connect.to_string().contains(named), "{of_connect}");
    }
}

#[test]
fn a_text_that_is_no_endpoint_is_refused_with_the_reason() {
    let mut pull: Socket<Pull> = Place::new(Transport::Tcp).open();
    let long = format!("ipc:///{}", "x".repeat(200));
    for (text, reason) in [
        ("", EndpointErrorKind::MissingScheme),
        ("127.0.0.1:5555", EndpointErrorKind::MissingScheme),
        ("udp://127.0.0.1:5555", EndpointErrorKind::UnknownScheme),
        ("tcp://127.0.0.1", EndpointErrorKind::MissingPort),
        ("tcp://:5555", EndpointErrorKind::EmptyHost),
        ("tcp://127.0.0.1:70000", EndpointErrorKind::InvalidPort),
        ("ipc://", EndpointErrorKind::EmptyPath),
        ("inproc://", EndpointErrorKind::EmptyName),
        (&long, EndpointErrorKind::PathTooLong),
    ] {
        assert_eq!(
            pull.bind(text).map_err(|error| error.kind()),
            Err(BindErrorKind::Endpoint(reason)),
            "{text}"
        );
        assert_eq!(
            pull.connect(text).map_err(|error| error.kind()),
            Err(ConnectErrorKind::Endpoint(reason)),
            "{text}"
        );
        assert_eq!(
            pull.unbind(text).map_err(|error| error.kind()),
            Err(BindErrorKind::Endpoint(reason)),
            "{text}"
        );
    }
}

#[test]
fn an_address_is_bound_once() {
    //
    over(ALL, |place| {
        let (mut first, endpoint) = place.bound::<Pull>();
        let mut second: Socket<Pull> = place.open();
        assert_eq!(second.bind(&endpoint).map_err(|error| error.kind()), Err(BindErrorKind::AddressInUse));
        assert_eq!(first.bind(&endpoint).map_err(|error| error.kind()), Err(BindErrorKind::AddressInUse));
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "for the first");
        assert_eq!(recv(&mut first), "for the first");
    });
}

#[test]
fn unbind_frees_the_address_at_once_and_keeps_the_peers() {
    //
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "before");
        assert_eq!(recv(&mut pull), "before");
        for _ in 0..20 {
            pull.unbind(&endpoint).unwrap();
            assert_eq!(pull.unbind(&endpoint).map_err(|error| error.kind()), Err(BindErrorKind::NotBound));
            let mut other: Socket<Pull> = place.open();
            other.bind(&endpoint).unwrap();
            drop(other);
            pull.bind(&endpoint).unwrap();
        }
        send(&mut push, "after");
        assert_eq!(recv(&mut pull), "after");
    });
}

#[test]
fn an_address_that_is_not_ours_is_no_interface() {
    let mut pull: Socket<Pull> = Place::new(Transport::Tcp).open();
    for text in ["tcp://192.0.2.1:0", "tcp://nosuchinterface0:0"] {
        assert_eq!(
            pull.bind(text).map_err(|error| error.kind()),
            Err(BindErrorKind::NoSuchInterface),
            "{text}"
        );
    }
}

/// A path in the place's directory, and its endpoint.
fn path(place: &Place, name: &str) -> (PathBuf, Endpoint) {
    let path = place.directory.path().join(name);
    let endpoint = Endpoint::ipc(&path).unwrap();
    (path, endpoint)
}

#[test]
fn a_socket_file_that_nobody_listens_on_is_taken_over() {
    //
    let place = Place::new(Transport::Ipc);
    let (path, endpoint) = path(&place, "stale");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let mut pull: Socket<Pull> = place.open();
    pull.bind(&endpoint).unwrap();
    reaches(&place, &mut pull, endpoint.to_string());
    drop(pull);
    assert!(!path.exists());
}

/// Binds the path again and again, against everybody else: who has it is alone with it, and reachable.
fn struggle(path: &Path, rounds: u32) {
    let place = Place::new(Transport::Ipc);
    let (endpoint, mark) = (Endpoint::ipc(path).unwrap(), path.with_extension("mark"));
    let mut won = 0;
    eventually("it had the path often enough", || {
        let mut pull: Socket<Pull> = place.open();
        match pull.bind(&endpoint) {
            Ok(_) => won += 1,
            Err(error) if error.kind() == BindErrorKind::AddressInUse => return false,
            Err(error) => panic!("{error}"),
        }
        // One that has it too would find the mark.
        let marked = File::create_new(&mark).unwrap_or_else(|error| panic!("two have the path: {error}"));
        reaches(&place, &mut pull, endpoint.to_string());
        fs::remove_file(&mark).unwrap();
        drop((marked, pull));
        // And now and then somebody leaves a file behind, unless another one was faster.
        drop(UnixListener::bind(path));
        won == rounds
    });
}

#[test]
fn of_all_who_bind_a_path_one_has_it() {
    // threads and processes, with files that others have left behind.
    const PATH: &str = "PEERMQ_TEST_PATH";
    if let Some(path) = std::env::var_os(PATH) {
        return struggle(path.as_ref(), 60);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("contended");
    let children = [(); 2].map(|()| {
        Command::new(std::env::current_exe().unwrap())
            .args([
                "socket::tests::endpoints::of_all_who_bind_a_path_one_has_it",
                "--exact",
                "--test-threads=1",
            ])
            .env(PATH, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    });
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| struggle(&path, 60));
        }
    });
    // All at once, with a file that was left behind.
    let stale = directory.path().join("stale");
    let endpoint = Endpoint::ipc(&stale).unwrap();
    let contexts = [(); 4].map(|()| Context::builder().io_threads(1).build());
    for round in 0..1000 {
        drop(UnixListener::bind(&stale).unwrap());
        let together = Barrier::new(contexts.len());
        let bind = |context: &Context| {
            let mut pull = context.open::<Pull>().unwrap();
            together.wait();
            let bound = pull.bind(&endpoint).map(drop).map_err(|error| error.kind());
            (pull, bound)
        };
        let bound: Vec<_> = thread::scope(|scope| {
            let all = contexts.each_ref().map(|context| scope.spawn(move || bind(context)));
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let losers = bound.iter().filter(|(_, bound)| *bound == Err(BindErrorKind::AddressInUse)).count();
        assert_eq!(losers, contexts.len() - 1, "round {round}: {bound:?}");
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
}

#[test]
fn a_path_in_use_or_of_another_kind_is_left_alone() {
    //
    let place = Place::new(Transport::Ipc);
    let mut pull: Socket<Pull> = place.open();

    let (live, endpoint) = path(&place, "live");
    let listener = UnixListener::bind(&live).unwrap();
    assert_eq!(pull.bind(&endpoint).map_err(|error| error.kind()), Err(BindErrorKind::AddressInUse));
    drop(listener);

    let (file, endpoint) = path(&place, "file");
    fs::write(&file, "precious").unwrap();
    assert_eq!(pull.bind(&endpoint).map_err(|error| error.kind()), Err(BindErrorKind::NotASocket));
    assert_eq!(fs::read(&file).unwrap(), b"precious");

    let (directory, endpoint) = path(&place, "directory");
    fs::create_dir(&directory).unwrap();
    assert_eq!(pull.bind(&endpoint).map_err(|error| error.kind()), Err(BindErrorKind::NotASocket));

    let (link, endpoint) = path(&place, "link");
    symlink(&live, &link).unwrap();
    assert_eq!(pull.bind(&endpoint).map_err(|error| error.kind()), Err(BindErrorKind::NotASocket));
    assert!(live.exists() && link.exists() && directory.exists());

    let (_, endpoint) = path(&place, "no/such/directory");
    assert_eq!(pull.bind(&endpoint).map_err(|error| error.kind()), Err(BindErrorKind::NoSuchDirectory));
}

#[test]
fn a_socket_file_is_removed_while_it_is_ours_and_only_then() {
    //
    let place = Place::new(Transport::Ipc);
    let mut pull: Socket<Pull> = place.open();

    let (unbound, endpoint) = path(&place, "unbound");
    pull.bind(&endpoint).unwrap();
    assert!(unbound.exists());
    pull.unbind(&endpoint).unwrap();
    assert!(!unbound.exists());

    let (gone, endpoint) = path(&place, "gone");
    pull.bind(&endpoint).unwrap();
    fs::remove_file(&gone).unwrap();
    pull.unbind(&endpoint).unwrap();

    let (replaced, endpoint) = path(&place, "replaced");
    pull.bind(&endpoint).unwrap();
    fs::remove_file(&replaced).unwrap();
    fs::write(&replaced, "somebody else's").unwrap();
    drop(pull);
    assert_eq!(fs::read(&replaced).unwrap(), b"somebody else's");
}

#[test]
fn ipc_chooses_a_path_of_its_own_and_removes_it() {
    //
    let place = Place::new(Transport::Ipc);
    let mut pull: Socket<Pull> = place.open();
    let endpoint = pull.bind("ipc://*").unwrap().to_string();
    let path = PathBuf::from(endpoint.strip_prefix("ipc://").unwrap());
    assert!(path.exists());
    reaches(&place, &mut pull, &endpoint);
    drop(pull);
    assert!(!path.exists());
}

#[test]
fn what_is_queued_is_sent_after_a_disconnect() {
    over(ALL, |place| {
        let endpoint = place.address();
        let mut push: Socket<Push> = place.context.open().unwrap();
        push.connect(&endpoint).unwrap();
        for number in 0..100 {
            push.try_send(&numbered(number)).unwrap();
        }
        push.disconnect(&endpoint).unwrap();
        assert_eq!(
            push.disconnect(&endpoint).map_err(|error| error.kind()),
            Err(ConnectErrorKind::NotConnected)
        );
        push.try_send("nobody").unwrap_err();
        let mut pull: Socket<Pull> = place.open();
        pull.bind(&endpoint).unwrap();
        for number in 0..100 {
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
    });
}

#[test]
fn disconnect_ends_a_connection_without_a_standing_queue() {
    // immediate: the queue is the connection's, and goes with it.
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.context.builder_for().immediate(true).open().unwrap();
        for _ in 0..20 {
            push.connect(&endpoint).unwrap();
            send(&mut push, "connected");
            push.disconnect(&endpoint).unwrap();
            push.try_send("late").unwrap_err();
            assert_eq!(recv(&mut pull), "connected");
            // Perhaps while hands are shaken.
            push.connect(&endpoint).unwrap();
            push.disconnect(&endpoint).unwrap();
            push.try_send("late").unwrap_err();
        }
        push.send_timeout("late", STALL).unwrap_err();
    });
}

#[test]
fn immediate_queues_nothing_for_a_peer_that_is_not_there() {
    // Promise 13
    over(WIRES, |place| {
        let endpoint = place.address();
        let mut push: Socket<Push> = place.builder().immediate(true).open().unwrap();
        push.connect(&endpoint).unwrap();
        push.try_send("nobody").unwrap_err();
        let (mut there, other) = place.bound::<Pull>();
        push.connect(&other).unwrap();
        for number in 0..100 {
            send(&mut push, &numbered(number));
            assert_eq!(number_of(&recv(&mut there)), number);
        }
        let mut late: Socket<Pull> = place.open();
        late.bind(&endpoint).unwrap();
        eventually("the late peer has its turn", || {
            let _ = push.try_send("turn");
            late.try_recv().is_ok()
        });
    });
}

#[test]
fn a_descriptor_that_listens_can_be_bound() {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixListener;

    use crate::BindErrorKind;

    let place = Place::new(Transport::Ipc);
    let path = place.directory.path().join("activated");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let expected = Endpoint::tcp(tcp.local_addr().unwrap());
    let stream = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    let mut pull: Socket<Pull> = place.open();
    let by_path = pull.bind_fd(UnixListener::bind(&path).unwrap().into()).unwrap();
    assert_eq!(by_path.endpoint(), &Endpoint::ipc(&path).unwrap());
    let by_port = pull.bind_fd(tcp.into()).unwrap();
    assert_eq!(by_port.endpoint(), &expected);
    for binding in [&by_path, &by_port] {
        let mut push: Socket<Push> = place.connected(binding);
        send(&mut push, "through a descriptor");
        assert_eq!(recv(&mut pull), "through a descriptor");
        binding.unbind();
    }
    assert!(path.exists(), "the file is not ours");
    for fd in [UdpSocket::bind("127.0.0.1:0").unwrap().into(), stream.into()] {
        assert_eq!(pull.bind_fd(fd).map_err(|error| error.kind()), Err(BindErrorKind::NotListening));
    }
}

/// Connects twice to the same endpoint.
fn connect_twice<P: Pattern, Q: Pattern>(place: &Place) -> (Socket<P>, Socket<Q>, [Connection; 2]) {
    let (peer, endpoint) = place.bound::<Q>();
    let mut socket: Socket<P> = place.open();
    let both = [(); 2].map(|()| socket.connect(&endpoint).unwrap());
    both.iter().for_each(|connection| connection.wait_ready(PATIENCE).unwrap());
    (socket, peer, both)
}

/// As libzmq: there would be every message twice, or an answer at random.
fn the_second_connect_is_the_first<P: Pattern, Q: Pattern>(place: &Place) {
    let (mut socket, mut peer, [first, second]) = connect_twice::<P, Q>(place);
    assert_eq!(first, second);
    assert_eq!(socket.peers().len(), 1);
    eventually("so does the peer see it", || peer.peers().len() == 1);
    // One disconnect ends it; then there can be another one.
    socket.disconnect(first.endpoint()).unwrap();
    assert_eq!(second.state(), ConnectionState::Closed);
    assert_eq!(
        socket.disconnect(first.endpoint()).map_err(|error| error.kind()),
        Err(ConnectErrorKind::NotConnected)
    );
    let third = socket.connect(first.endpoint()).unwrap();
    third.wait_ready(PATIENCE).unwrap();
    assert_ne!(third, first);
    // That of another socket is another one.
    let mut other: Socket<P> = place.open();
    assert_ne!(other.connect(first.endpoint()).unwrap(), third);
    drop((socket, other));
    eventually("nobody is there", || peer.peers().is_empty());
    let _ = peer.unbind(first.endpoint());
}

#[test]
fn a_second_connect_to_the_same_endpoint_is_the_first_where_two_make_no_sense() {
    over(WIRES, the_second_connect_is_the_first::<Dealer, Router>);
    over(WIRES, the_second_connect_is_the_first::<Pub, Sub>);
    over(WIRES, the_second_connect_is_the_first::<Req, Rep>);
    over(WIRES, the_second_connect_is_the_first::<Sub, Pub>);
}

#[test]
fn a_connect_behind_one_that_has_failed_is_another_one() {
    over(WIRES, |place| {
        let endpoint = place.address();
        let builder = place.builder::<Dealer>().reconnect_interval(ReconnectInterval::Never);
        let mut dealer = builder.immediate(true).open().unwrap();
        let first = dealer.connect(&endpoint).unwrap();
        eventually("nobody is there", || first.state() == ConnectionState::Failed);
        let _router = {
            let mut router: Socket<Router> = place.open();
            router.bind(&endpoint).unwrap();
            router
        };
        let second = dealer.connect(&endpoint).unwrap();
        assert_ne!(second, first);
        second.wait_ready(PATIENCE).unwrap();
    });
}

#[test]
fn a_second_connect_to_the_same_endpoint_is_another_one_elsewhere() {
    over(WIRES, |place| {
        let (push, _pull, [first, second]) = connect_twice::<Push, Pull>(place);
        assert_ne!(first, second);
        assert_eq!(push.peers().len(), 2);
        let (xsub, _xpub, [first, second]) = connect_twice::<XSub, XPub>(place);
        assert_ne!(first, second);
        assert_eq!(xsub.peers().len(), 2);
    });
    // And over inproc, as in libzmq.
    let (dealer, _router, [first, second]) = connect_twice::<Dealer, Router>(&Place::new(Transport::Inproc));
    assert_ne!(first, second);
    assert_eq!(dealer.peers().len(), 2);
}
