//! STREAM: octets with peers that know nothing of ZeroMQ, here plain sockets of the standard library.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use socket2::SockRef;

use super::*;
use crate::{
    BindErrorKind, ConnectErrorKind, ConnectionError, ConnectionState, RecvError, Router, RoutingId,
    SendError, SocketType, Stream,
};

fn place() -> Place {
    Place::new(Transport::Tcp)
}

/// A bound STREAM, and where a plain socket finds it.
fn bound(place: &Place, builder: Builder<Stream>) -> (Socket<Stream>, SocketAddr) {
    let mut stream = builder.open().unwrap();
    let address = address_of(&stream.bind(place.address()).unwrap());
    (stream, address)
}

fn address_of(endpoint: &Endpoint) -> SocketAddr {
    endpoint.to_string().strip_prefix("tcp://").unwrap().parse().unwrap()
}

fn plain(address: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(address).unwrap())
}

fn patient(plain: TcpStream) -> TcpStream {
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.set_write_timeout(Some(PATIENCE)).unwrap();
    plain
}

/// A plain socket that listens, and its endpoint.
fn listener() -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    (listener, endpoint)
}

fn accept(listener: &TcpListener) -> TcpStream {
    patient(listener.accept().unwrap().0)
}

/// The next octets or news, and from whom.
fn next(stream: &mut Socket<Stream>) -> (RoutingId, Vec<u8>) {
    let (from, message) = stream.recv_timeout(PATIENCE).unwrap();
    assert_eq!(message.frame_count(), 1);
    (from, message.body().to_vec())
}

/// News of a peer, and of which one.
fn news(stream: &mut Socket<Stream>) -> RoutingId {
    let (from, octets) = next(stream);
    assert!(octets.is_empty(), "{octets:?}");
    from
}

/// All octets of a peer until the news that it has disconnected.
fn rest(stream: &mut Socket<Stream>, peer: &RoutingId) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (from, octets) = next(stream);
        assert_eq!(&from, peer);
        if octets.is_empty() {
            return all;
        }
        all.extend(octets);
    }
}

fn try_send_error(stream: &mut Socket<Stream>, to: &RoutingId) -> SendError {
    let unsent = stream.try_send_to(to, Message::from("octets")).unwrap_err();
    assert_eq!(unsent.message, Some("octets".into()));
    unsent.error
}

/// The peer closes without a word.
fn reset(plain: TcpStream) {
    SockRef::from(&plain).set_linger(Some(Duration::ZERO)).unwrap();
    drop(plain);
}

fn random(dice: &mut Dice, count: usize) -> Vec<u8> {
    (0..count).map(|_| u8::try_from(dice.roll(256)).unwrap()).collect()
}

#[test]
fn it_serves_http() {
    let place = place();
    let (mut server, address) = bound(&place, place.builder());
    for number in 0..3 {
        let mut browser = plain(address);
        write!(browser, "GET /{number} HTTP/1.0\r\n\r\n").unwrap();
        let peer = news(&mut server);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let (from, octets) = next(&mut server);
            assert_eq!(from, peer);
            request.extend(octets);
        }
        let path = String::from_utf8(request).unwrap().split(' ').nth(1).unwrap().to_owned();
        server.send_to(&peer, ["HTTP/1.0 200 OK\r\n", "\r\n", &path]).unwrap();
        server.send_to(&peer, "").unwrap();
        let mut answer = String::new();
        browser.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, format!("HTTP/1.0 200 OK\r\n\r\n/{number}"));
        assert_eq!(try_send_error(&mut server, &peer), SendError::Unroutable);
    }
    eventually("everybody has gone", || server.peers().is_empty());
    assert_eq!(server.try_recv(), Err(RecvError::WouldBlock), "no news of those that we sent away");
}

#[test]
fn it_asks_a_web_server() {
    let place = place();
    let (listener, endpoint) = listener();
    let mut client = place.open::<Stream>();
    client.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
    let peer = news(&mut client);
    client.send_to(&peer, "GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut server = accept(&listener);
    let mut request = [0; 18];
    server.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"GET / HTTP/1.0\r\n\r\n");
    let page = random(&mut Dice(1), 300_000);
    server.write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
    server.write_all(&page).unwrap();
    drop(server);
    assert_eq!(rest(&mut client, &peer), [b"HTTP/1.0 200 OK\r\n\r\n", &page[..]].concat());
}

#[test]
fn random_octets_in_random_chunks_come_back_equal_whoever_connects() {
    let echo = |mut stream: Socket<Stream>, plain: TcpStream| {
        let peer = news(&mut stream);
        let mut reading = plain.try_clone().unwrap();
        thread::scope(|scope| {
            let writer = scope.spawn(move || {
                let (mut dice, mut plain, mut sent) = (Dice(7), plain, Vec::new());
                while sent.len() < 2 << 20 {
                    let size = [1, 100, 8192, 100_000][dice.roll(4)];
                    let octets = random(&mut dice, 1 + size);
                    plain.write_all(&octets).unwrap();
                    sent.extend(octets);
                }
                plain.shutdown(Shutdown::Write).unwrap();
                sent
            });
            let reader = scope.spawn(move || {
                let mut heard = Vec::new();
                reading.read_to_end(&mut heard).unwrap();
                heard
            });
            loop {
                let (from, octets) = next(&mut stream);
                assert_eq!(from, peer);
                if octets.is_empty() {
                    break;
                }
                stream.send_to_timeout(&peer, octets, PATIENCE).unwrap();
            }
            assert!(writer.join().unwrap() == reader.join().unwrap());
        });
    };
    let place = place();
    let (stream, address) = bound(&place, place.builder());
    echo(stream, plain(address));
    let (listener, endpoint) = listener();
    let mut stream = place.open::<Stream>();
    stream.connect(&endpoint).unwrap();
    echo(stream, accept(&listener));
}

#[test]
fn news_say_who_comes_and_who_goes() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder());
    let (mut ada, bob) = (plain(address), plain(address));
    let (one, two) = (news(&mut stream), news(&mut stream));
    assert_ne!(one, two);
    assert_eq!(stream.peers().len(), 2);
    assert_eq!(stream.peers()[0].socket_type(), SocketType::Stream);
    ada.write_all(b"I am Ada").unwrap();
    let (a, octets) = next(&mut stream);
    assert_eq!(octets, b"I am Ada");
    let b = if a == one { two } else { one };
    drop(bob);
    assert_eq!(news(&mut stream), b);
    assert_eq!(try_send_error(&mut stream, &b), SendError::Unroutable);
    ada.write_all(b"and go").unwrap();
    drop(ada);
    assert_eq!(rest(&mut stream, &a), b"and go");
    assert_eq!(stream.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn without_notify_only_octets_are_received() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder().stream_notify(false));
    for number in 0..10_u8 {
        let mut peer = plain(address);
        peer.write_all(&[number]).unwrap();
        drop(peer);
        assert_eq!(next(&mut stream).1, [number]);
    }
    assert_eq!(stream.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn a_name_that_nobody_has_is_unroutable() {
    let mut stream = place().open::<Stream>();
    let nobody = RoutingId::new("nobody").unwrap();
    assert_eq!(try_send_error(&mut stream, &nobody), SendError::Unroutable);
    assert_eq!(stream.send_to(&nobody, "").unwrap_err().error, SendError::Unroutable);
    assert_eq!(stream.send_to(&nobody, "x").unwrap_err().error, SendError::Unroutable);
}

#[test]
fn a_peer_that_does_not_read_is_full_and_harms_nobody_else() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder().send_hwm(10).linger(Linger::Forever));
    let mut slow = plain(address);
    let peer = news(&mut stream);
    let mut fast = plain(address);
    let other = news(&mut stream);
    let (mut dice, mut sent, mut turns) = (Dice(3), Vec::new(), 0);
    // The kernel may probe the peer's window meanwhile, and find a little room.
    while turns < TURNS {
        let octets = random(&mut dice, 60_000);
        match stream.send_to_timeout(&peer, &octets, TURN) {
            Ok(()) => {
                sent.extend(octets);
                turns = 0;
            }
            Err(unsent) => {
                assert_eq!((unsent.error, unsent.message), (SendError::WouldBlock, None));
                turns += 1;
            }
        }
    }
    stream.send_to(&other, "hello").unwrap();
    let mut heard = [0; 5];
    fast.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    let reader = thread::spawn(move || {
        let mut heard = Vec::new();
        slow.read_to_end(&mut heard).unwrap();
        heard
    });
    stream.send_to_timeout(&peer, "the end", PATIENCE).unwrap();
    stream.send_to(&peer, "").unwrap();
    sent.extend(b"the end");
    assert!(reader.join().unwrap() == sent);
}

#[test]
fn a_peer_whose_octets_nobody_takes_is_stopped() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder().recv_hwm(2).recv_buffer(buffer()));
    let plain = plain(address);
    SockRef::from(&plain).set_send_buffer_size(1 << 16).unwrap();
    plain.set_nonblocking(true).unwrap();
    let mut sent = 0_usize;
    let chunk = vec![7; 1 << 16];
    // Until no more is taken, and there is an end to that.
    let mut turns = 0;
    while turns < TURNS {
        match (&plain).write(&chunk) {
            Ok(count) => {
                sent += count;
                turns = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                thread::sleep(TURN);
                turns += 1;
            }
        }
        assert!(sent < 16 << 20, "{sent} octets were taken");
    }
    plain.shutdown(Shutdown::Write).unwrap();
    let peer = news(&mut stream);
    assert_eq!(rest(&mut stream, &peer).len(), sent);
}

fn buffer() -> crate::KernelBuffer {
    crate::KernelBuffer::octets(1 << 16).unwrap()
}

#[test]
fn what_a_peer_sent_before_it_closed_is_received() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder().recv_hwm(3));
    for size in [1, 8191, 8192, 8193, 1 << 20] {
        let octets = random(&mut Dice(5), size);
        let (mut plain, copy) = (plain(address), octets.clone());
        let writer = thread::spawn(move || plain.write_all(&copy).unwrap());
        let peer = news(&mut stream);
        assert!(rest(&mut stream, &peer) == octets);
        writer.join().unwrap();
    }
}

#[test]
fn a_peer_that_closed_its_side_can_be_answered_until_that_is_received() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder());
    let mut plain = plain(address);
    plain.write_all(b"question").unwrap();
    plain.shutdown(Shutdown::Write).unwrap();
    let peer = news(&mut stream);
    assert_eq!(next(&mut stream), (peer.clone(), b"question".to_vec()));
    let answer = random(&mut Dice(9), 4 << 20);
    stream.send_to(&peer, &answer).unwrap();
    assert_eq!(news(&mut stream), peer);
    assert_eq!(try_send_error(&mut stream, &peer), SendError::Unroutable);
    let mut heard = Vec::new();
    plain.read_to_end(&mut heard).unwrap();
    assert!(heard == answer);
    eventually("the connection is over", || stream.peers().is_empty());
}

#[test]
fn a_reset_is_news_at_any_time() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder());
    // Idle, with octets both ways, and after it closed its side.
    for step in 0..3 {
        let mut plain = plain(address);
        let peer = news(&mut stream);
        if step > 0 {
            plain.write_all(b"octets").unwrap();
            assert_eq!(next(&mut stream).1, b"octets");
        }
        if step > 1 {
            plain.shutdown(Shutdown::Write).unwrap();
        }
        let _ = stream.try_send_to(&peer, vec![1; 1 << 20]);
        reset(plain);
        assert_eq!(news(&mut stream), peer, "{step}");
        eventually("the connection is over", || stream.peers().is_empty());
        assert_eq!(try_send_error(&mut stream, &peer), SendError::Unroutable);
    }
}

#[test]
fn an_empty_message_closes_behind_everything_that_is_queued() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder().linger(PATIENCE));
    let mut plain = plain(address);
    let peer = news(&mut stream);
    let octets = random(&mut Dice(11), 100_000);
    for _ in 0..80 {
        stream.send_to_timeout(&peer, &octets, PATIENCE).unwrap();
    }
    plain.write_all(b"not read by anybody").unwrap();
    // Too many frames are too many, also where there is nothing in them, and are handed back.
    const PARTS: usize = crate::limits::PARTS_MAX as usize;
    for part in ["", "x"] {
        let unsent = stream.send_to(&peer, Message::from_frames(vec![part; PARTS + 1]).unwrap()).unwrap_err();
        assert_eq!(unsent.error, SendError::TooManyParts);
        assert_eq!(unsent.message.unwrap().frame_count(), PARTS + 1);
    }
    stream.send_to(&peer, ["", ""]).unwrap();
    let mut heard = Vec::new();
    plain.read_to_end(&mut heard).unwrap();
    assert!(heard == octets.repeat(80), "nothing else");
    // What it has not read was thrown away; the connection is over when the peer closes its half, too.
    assert_eq!(stream.peers().len(), 1);
    drop(plain);
    eventually("the connection is over", || stream.peers().is_empty());
}

#[test]
fn closing_the_socket_sends_what_is_queued() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder());
    let mut plain = plain(address);
    let peer = news(&mut stream);
    let octets = random(&mut Dice(13), 5 << 20);
    stream.send_to(&peer, &octets).unwrap();
    let reader = thread::spawn(move || {
        let mut heard = Vec::new();
        plain.read_to_end(&mut heard).unwrap();
        heard
    });
    assert_eq!(stream.close(PATIENCE).dropped, 0);
    assert!(reader.join().unwrap() == octets);
}

#[test]
fn connect_as_names_the_peer_through_every_connection() {
    let place = place();
    let (listener, endpoint) = listener();
    let name = RoutingId::new("server").unwrap();
    let mut stream = place.builder::<Stream>().reconnect_interval(Duration::from_millis(1)).open().unwrap();
    let connection = stream.connect_as(&name, &endpoint).unwrap();
    assert_eq!(stream.connect_as(&name, &endpoint).unwrap_err().kind(), ConnectErrorKind::RoutingIdInUse);
    for number in 0..5_u8 {
        let mut server = accept(&listener);
        server.write_all(&[number; 20_000]).unwrap();
        drop(server);
        assert_eq!(news(&mut stream), name);
        assert_eq!(rest(&mut stream, &name), [number; 20_000]);
    }
    let mut server = accept(&listener);
    assert_eq!(news(&mut stream), name);
    stream.send_to(&name, "hello").unwrap();
    stream.send_to(&name, "").unwrap();
    let mut heard = String::new();
    server.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");
    eventually("it is over for good", || connection.state() == ConnectionState::Closed);
}

#[test]
fn connections_under_one_name_do_not_mix() {
    let place = place();
    let (listener, endpoint) = listener();
    let name = RoutingId::new("server").unwrap();
    let mut stream = place.builder::<Stream>().reconnect_interval(Duration::from_millis(1)).open().unwrap();
    stream.connect_as(&name, &endpoint).unwrap();
    // After a reset the next connection comes whether or not the octets of the last one were received.
    for number in 0..20_u8 {
        let mut server = accept(&listener);
        for _ in 0..10 {
            server.write_all(&[number; 5000]).unwrap();
        }
        reset(server);
    }
    let mut last = accept(&listener);
    last.write_all(&[99]).unwrap();
    // One that was reset before this side knew that it stood is none.
    let mut heard = 0;
    while heard < 99 {
        assert_eq!(news(&mut stream), name);
        let (from, octets) = next(&mut stream);
        assert_eq!(from, name);
        let Some(&number) = octets.first() else { continue };
        assert!(number >= heard && octets.iter().all(|octet| *octet == number));
        heard = number + 1;
        if number < 99 {
            assert!(rest(&mut stream, &name).iter().all(|octet| *octet == number));
        }
    }
}

#[test]
fn a_peer_that_is_connected_to_again_has_a_new_name() {
    let place = place();
    let (listener, endpoint) = listener();
    let mut stream = place.builder::<Stream>().reconnect_interval(Duration::from_millis(1)).open().unwrap();
    let connection = stream.connect(&endpoint).unwrap();
    drop(accept(&listener));
    let first = news(&mut stream);
    assert_eq!(news(&mut stream), first);
    let _server = accept(&listener);
    assert_ne!(news(&mut stream), first);
    assert!(matches!(connection.last_error(), Some(ConnectionError::PeerClosed | ConnectionError::Io(_))));
    connection.disconnect();
    eventually("it is gone", || stream.peers().is_empty());
}

#[test]
fn it_has_tcp_only() {
    for transport in [Transport::Abstract, Transport::Inproc, Transport::Ipc] {
        let place = Place::new(transport);
        let mut stream = place.open::<Stream>();
        assert_eq!(stream.bind(place.address()).unwrap_err().kind(), BindErrorKind::TcpOnly);
        assert_eq!(stream.connect(place.address()).unwrap_err().kind(), ConnectErrorKind::TcpOnly);
    }
}

#[test]
fn chosen_at_run_time_it_has_the_name_in_the_first_frame() {
    let place = place();
    let mut stream =
        place.context.builder_for_any(SocketType::Stream).linger(Linger::DISCARD).open().unwrap();
    let mut plain = plain(address_of(&stream.bind(place.address()).unwrap()));
    let connected = recv(&mut stream);
    let peer = connected.frame(0).unwrap().clone();
    assert_eq!(connected, [&peer[..], b""]);
    plain.write_all(b"hello").unwrap();
    assert_eq!(recv(&mut stream), [&peer[..], b"hello"]);
    send(&mut stream, [&peer[..], b"good", b"bye"]);
    assert_eq!(stream.try_send(&peer[..]).unwrap_err().error, SendError::MissingBody);
    send(&mut stream, [&peer[..], b""]);
    let mut heard = String::new();
    plain.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "goodbye");
}

#[test]
fn a_router_that_comes_by_waits_for_a_greeting_and_is_let_go() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder());
    let mut router = place.open::<Router>();
    let connection = router.connect(format!("tcp://{address}").as_str()).unwrap();
    let peer = news(&mut stream);
    assert_eq!(next(&mut stream).1[0], 0xFF);
    assert!(connection.wait_ready(STALL).is_err());
    drop(router);
    assert_eq!(rest(&mut stream, &peer), []);
}

#[test]
fn hundreds_of_peers_come_and_go_in_any_way() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder());
    let mut dice = Dice(17);
    for _ in 0..300 {
        let mut plain = plain(address);
        let peer = news(&mut stream);
        if dice.roll(2) == 0 {
            plain.write_all(b"octets").unwrap();
        }
        if dice.roll(2) == 0 {
            let _ = stream.try_send_to(&peer, "octets");
        }
        match dice.roll(3) {
            0 => drop(plain),
            1 => reset(plain),
            _ => {
                stream.send_to(&peer, "").unwrap();
                continue;
            }
        }
        rest(&mut stream, &peer);
    }
    eventually("nobody is left", || stream.peers().is_empty());
    assert_eq!(stream.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn what_was_sent_to_peers_that_are_gone_still_counts() {
    let place = place();
    let (mut stream, address) = bound(&place, place.builder());
    let counts = |stream: &Socket<Stream>| (stream.outgoing().accepted(), stream.stats().total.sent.messages);
    let mut dismissed = plain(address);
    let peer = news(&mut stream);
    stream.send_to(&peer, "goodbye").unwrap();
    stream.send_to(&peer, "").unwrap();
    let mut heard = String::new();
    dismissed.read_to_string(&mut heard).unwrap();
    assert_eq!((heard.as_str(), counts(&stream)), ("goodbye", (1, 1)));
    let gone = plain(address);
    let peer = news(&mut stream);
    stream.send_to(&peer, "more").unwrap();
    drop(gone);
    rest(&mut stream, &peer);
    assert_eq!(counts(&stream), (2, 2));
}
