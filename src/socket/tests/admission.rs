//! Who may connect at all, and how many at a time.

use std::sync::Mutex;

use super::*;
use crate::{AddressRanges, Dealer};

/// A connection that says nothing, if it is not closed at once.
fn greeted(from: &str, endpoint: &Endpoint) -> Option<std::net::TcpStream> {
    use std::io::Read as _;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let from: std::net::SocketAddr = format!("{from}:0").parse().unwrap();
    socket.bind(&from.into()).unwrap();
    let to = endpoint.to_string();
    let to: std::net::SocketAddr = to.strip_prefix("tcp://").unwrap().parse().unwrap();
    socket.connect(&to.into()).unwrap();
    let mut stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The greeting begins at once.
    matches!(stream.read(&mut [0; 10]), Ok(10)).then_some(stream)
}

#[test]
fn only_so_many_shake_hands_at_a_time() {
    // B-06, B-43: per socket and per address; who is done, or gone, does not count.
    let place = Place::new(Transport::Tcp);
    let builder = place.builder::<Pull>().handshakes_max(4).handshakes_max_per_address(2);
    let mut pull = builder.open().unwrap();
    let endpoint: Endpoint = pull.bind("tcp://127.0.0.1:0").unwrap().into();
    let mut held: Vec<_> = (0..2).map(|_| greeted("127.7.7.1", &endpoint).unwrap()).collect();
    assert!(greeted("127.7.7.1", &endpoint).is_none(), "too many from there");
    let mut push = place.connected::<Push>(&endpoint);
    send(&mut push, "hello");
    assert_eq!(recv(&mut pull), "hello");
    held.extend((0..2).map(|_| greeted("127.7.7.2", &endpoint).unwrap()));
    assert!(greeted("127.7.7.3", &endpoint).is_none(), "too many in all");
    held.clear();
    eventually("there is room again", || greeted("127.7.7.1", &endpoint).is_some());
}

#[test]
fn only_those_of_the_listed_addresses_are_accepted() {
    let place = Place::new(Transport::Tcp);
    let builder = place.builder::<Pull>();
    let builder = builder.accept_only(AddressRanges::new(["127.7.0.0/16", "127.0.0.1"]).unwrap());
    let mut pull = builder.accept_never(AddressRanges::new(["127.7.7.0/24"]).unwrap()).open().unwrap();
    let endpoint: Endpoint = pull.bind("tcp://127.0.0.1:0").unwrap().into();
    for (from, is_accepted) in
        [("127.7.1.1", true), ("127.7.7.1", false), ("127.8.1.1", false), ("127.0.0.1", true)]
    {
        assert_eq!(greeted(from, &endpoint).is_some(), is_accepted, "{from}");
    }
}

#[test]
fn lists_of_addresses_fail_closed() {
    let place = Place::new(Transport::Tcp);
    let nobody = AddressRanges::new::<&str>([]).unwrap();
    let mapped = AddressRanges::new(["::ffff:127.0.0.0/104"]).unwrap();
    let none = AddressRanges::NONE;
    for (only, never, is_accepted) in
        [(&nobody, &none, false), (&mapped, &none, true), (&none, &mapped, false)]
    {
        for host in ["127.0.0.1", "[::]"] {
            let builder = place.builder::<Pull>().accept_only(only.clone()).accept_never(never.clone());
            let mut pull = builder.ipv6(true).open().unwrap();
            let Ok(binding) = pull.bind(format!("tcp://{host}:0")) else { continue }; // no IPv6 here
            let endpoint = Endpoint::tcp(([127, 0, 0, 1], binding.port().unwrap()).into());
            assert_eq!(greeted("127.0.0.1", &endpoint).is_some(), is_accepted, "{host}");
        }
    }
}

/// A listener that nobody has looked at yet, and where somebody was who has connected, said so much and reset the
/// connection.
#[cfg(unix)]
fn said_and_gone(says: &[u8]) -> (std::net::TcpListener, Endpoint) {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stranger = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let from = Endpoint::tcp(stranger.local_addr().unwrap());
    stranger.write_all(says).unwrap();
    socket2::SockRef::from(&stranger).set_linger(Some(Duration::ZERO)).unwrap();
    (listener, from)
}

#[cfg(unix)]
#[test]
fn whoever_is_gone_before_it_is_looked_at_is_judged_by_where_it_was() {
    use super::monitor::until;
    use super::names::greeting;
    use crate::{EventKind, Stream, TurnedAway};

    let says = [&greeting(1, b"")[..], b"\0\x05hello"].concat();
    let place = Place::new(Transport::Tcp);
    let builder = place.builder::<Dealer>();
    let mut dealer = builder.accept_never(AddressRanges::new(["127.0.0.1"]).unwrap()).open().unwrap();
    let monitor = dealer.monitor();
    let (listener, from) = said_and_gone(&says);
    dealer.bind_fd(listener.into()).unwrap();
    let event = until(&monitor, |kind| !matches!(kind, EventKind::Listening));
    assert!(matches!(event.kind, EventKind::TurnedAway(TurnedAway::Address)), "{event:?}");
    assert_eq!(event.address.as_ref(), Some(&from));

    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&asked);
    let authorizer = crate::Authorizer::new(move |candidate| {
        note.lock().unwrap().push(candidate.endpoint().clone());
        crate::Decision::allow()
    });
    let mut dealer = place.builder::<Dealer>().authorizer(authorizer).open().unwrap();
    let monitor = dealer.monitor();
    let (listener, from) = said_and_gone(&says);
    dealer.bind_fd(listener.into()).unwrap();
    let event = until(&monitor, |kind| matches!(kind, EventKind::Ready(_)));
    let EventKind::Ready(peer) = event.kind else { unreachable!() };
    assert_eq!((peer.endpoint(), event.address.as_ref()), (&from, Some(&from)));
    assert_eq!(*asked.lock().unwrap(), [from]);
    assert_eq!(recv(&mut dealer), "hello");

    let mut stream: Socket<Stream> = place.open();
    let monitor = stream.monitor();
    let (listener, from) = said_and_gone(b"hello");
    stream.bind_fd(listener.into()).unwrap();
    let event = until(&monitor, |kind| matches!(kind, EventKind::Ready(_)));
    let EventKind::Ready(peer) = event.kind else { unreachable!() };
    assert_eq!(peer.endpoint(), &from);
}
