//! Connections that are lost and made again.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::conservation::attend;
use super::*;
use crate::sync::AtomicBool;
use crate::{
    CloseReason, ConnectionState, Dealer, Pair, ReconnectInterval, RecvError, Router, RoutingId, Sub, XPub,
};

/// A tcp endpoint's address.
fn address(endpoint: &Endpoint) -> String {
    endpoint.to_string().strip_prefix("tcp://").unwrap().to_owned()
}

/// Takes the connection that a socket which lost its peer makes next, and loses it.
///
/// That it comes is how one knows from outside that the loss was noticed.
pub(super) fn lose_again(endpoint: &Endpoint) {
    let mut listener = None;
    eventually("the address is free", || {
        listener = TcpListener::bind(address(endpoint)).ok();
        listener.is_some()
    });
    drop(listener.unwrap().accept().unwrap());
}

pub(super) fn quick<P: Pattern>(place: &Place) -> Socket<P> {
    place.builder().reconnect_interval(Duration::from_millis(1)).open().unwrap()
}

/// Tq1, R-25: the queue is created at connect and survives reconnects, in order, nothing twice.
pub(super) fn the_queue_survives_reconnects<S: Sends, R: Receives>() {
    let place = Place::new(Transport::Tcp);
    let endpoint = place.address();
    let mut sender: Socket<S> = quick(&place);
    sender.connect(&endpoint).unwrap();
    let mut next = 0;
    for round in 0..10 {
        for number in 0..200 {
            sender.try_send(&numbered(round * 200 + number)).unwrap();
        }
        for _ in 0..3 {
            lose_again(&endpoint);
        }
        let mut receiver: Socket<R> = place.open();
        eventually("the address is free", || receiver.bind(&endpoint).is_ok());
        for _ in 0..200 {
            assert_eq!(number_of(&recv(&mut receiver)), next);
            next += 1;
        }
        assert_eq!(receiver.try_recv(), Err(RecvError::WouldBlock));
        drop(receiver);
        lose_again(&endpoint);
    }
}

#[test]
fn push_keeps_its_queue_over_reconnects() {
    // Promise 12, L-02, E-08, E-10, E-11, Tq1
    the_queue_survives_reconnects::<Push, Pull>();
}

#[test]
fn pair_keeps_its_queue_over_reconnects() {
    // L-10, E-08, E-10, E-11, Tq1
    the_queue_survives_reconnects::<Pair, Pair>();
}

/// E-11: what a connection left comes before what its peer's next one brings, however many there are.
fn what_was_left_comes_first<S: Sends, R: Receives>(place: &Place) {
    let mut receiver: Socket<R> = place.open();
    let endpoint = receiver.bind(place.address()).unwrap();
    let mut stays: Socket<S> = place.open();
    stays.connect(&endpoint).unwrap();
    send(&mut stays, &numbered(1000));
    let mut next = 0;
    for connections in 2..5 {
        for _ in 0..connections {
            let mut sender: Socket<S> = place.context.open().unwrap();
            sender.connect(&endpoint).unwrap();
            for _ in 0..10 {
                send(&mut sender, &numbered(next));
                next += 1;
            }
            eventually("it is known", || receiver.peers().len() >= 2);
            sender.close(PATIENCE);
        }
        eventually("all losses are noticed", || {
            receiver.core.handle_mail(&mut receiver.pattern);
            let gone = receiver.core.pipes.iter().filter(|pipe| pipe.inbound.is_producer_gone());
            gone.count() == connections as usize
        });
        let mut numbers: Vec<u32> = (0..connections * 10 + u32::from(connections == 2))
            .map(|_| number_of(&recv(&mut receiver)))
            .collect();
        // Who was there before takes part in the turn meanwhile.
        numbers.retain(|number| *number != 1000);
        assert_eq!(numbers, (next - connections * 10..next).collect::<Vec<_>>());
        assert_eq!(receiver.try_recv(), Err(RecvError::WouldBlock));
    }
}

#[test]
fn pull_receives_what_a_lost_connection_left_first() {
    // E-11
    over(ALL, what_was_left_comes_first::<Push, Pull>);
}

#[test]
fn dealer_receives_what_a_lost_connection_left_first() {
    // E-11
    over(ALL, what_was_left_comes_first::<Dealer, Dealer>);
}

#[test]
fn what_a_connection_left_comes_first_when_its_socket_ended_it() {
    // E-11: it has noticed that before the peer can be back.
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = quick(place);
        push.connect(&endpoint).unwrap();
        let mut dice = Dice(5);
        let (mut sent, mut received) = (0, 0);
        for round in 1..=50 {
            for _ in 0..1 + dice.roll(20) {
                send(&mut push, &numbered(sent));
                sent += 1;
            }
            let waiting = u64::from(sent - received);
            eventually("all have come", || {
                attend(&mut pull);
                pull.stats().peers.iter().map(|peer| peer.waiting).sum::<u64>() == waiting
            });
            let before = pull.core.pipes.keys();
            pull.peers().iter().for_each(|peer| peer.close(CloseReason::Dismissed));
            // At once, or when whoever is at work on the connection has done.
            eventually("all have left", || before.iter().all(|key| pull.core.pipes.has_left(*key)));
            for _ in 0..dice.roll(usize::try_from(waiting).unwrap()) {
                assert_eq!(number_of(&recv(&mut pull)), received);
                received += 1;
            }
            eventually("the peer is back", || push.stats().peers[0].reconnects == round);
        }
    });
}

#[test]
fn a_peer_that_is_dropped_and_bound_again_is_found() {
    // E-03, E-08
    over(WIRES, |place| {
        let endpoint = place.address();
        let mut push: Socket<Push> = quick(place);
        push.connect(&endpoint).unwrap();
        for _ in 0..10 {
            let mut pull: Socket<Pull> = place.open();
            pull.bind(&endpoint).unwrap();
            // What went to the last peer's kernel just before it left is lost with it.
            eventually("the peer is back", || {
                let _ = push.try_send("are you there?");
                pull.try_recv().is_ok()
            });
        }
    });
}

#[test]
fn a_push_that_lost_one_peer_serves_the_other() {
    // L-03, L-05
    over(ALL, |place| {
        let (mut push, endpoint) = place.bound::<Push>();
        let mut stays: Socket<Pull> = place.connected(&endpoint);
        let goes: Socket<Pull> = place.connected(&endpoint);
        let mut both = [stays, goes];
        settle(&mut push, &mut both);
        let [stays_again, goes] = both;
        stays = stays_again;
        drop(goes);
        // Its share is lost until the loss is noticed; from then on everything goes to the other.
        let mut in_a_row = 0;
        eventually("everything goes to one peer", || {
            send(&mut push, "whose turn?");
            in_a_row = if stays.recv_timeout(STALL).is_ok() { in_a_row + 1 } else { 0 };
            in_a_row == 10
        });
    });
}

#[test]
fn nothing_is_sent_before_the_handshake_and_nothing_to_a_stranger() {
    // E-08: a listener that never speaks costs no message.
    let place = Place::new(Transport::Tcp);
    let endpoint = place.address();
    let listener = TcpListener::bind(address(&endpoint)).unwrap();
    let mut push: Socket<Push> = quick(&place);
    push.connect(&endpoint).unwrap();
    push.try_send("not for strangers").unwrap();
    for _ in 0..5 {
        let (mut stranger, _) = listener.accept().unwrap();
        let mut greeting = [0; 10];
        stranger.read_exact(&mut greeting).unwrap();
        assert_eq!((greeting[0], greeting[9]), (0xFF, 0x7F));
        stranger.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drop(stranger);
    }
    drop(listener);
    let mut pull: Socket<Pull> = place.open();
    eventually("the address is free", || pull.bind(&endpoint).is_ok());
    assert_eq!(recv(&mut pull), "not for strangers");
}

#[test]
fn a_connection_that_may_not_be_tried_again_is_not() {
    // X-40: -1 = never.
    let place = Place::new(Transport::Tcp);
    let endpoint = place.address();
    let listener = TcpListener::bind(address(&endpoint)).unwrap();
    let mut push: Socket<Push> = place.builder().reconnect_interval(ReconnectInterval::Never).open().unwrap();
    push.connect(&endpoint).unwrap();
    drop(listener.accept().unwrap());
    // The dialer ends, and with it the queue; a new one can be made.
    eventually("there is no peer", || push.send_timeout("nobody", Duration::from_millis(1)).is_err());
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// How a line breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// FIN: what was sent arrives.
    Finish,
    /// RST: what is on its way is thrown away, at both ends.
    Reset,
}

/// Carries octets both ways, and cuts the connection after a while: one direction's `octets`.
fn carry(client: TcpStream, server: &str, octets: usize, cut: Cut) {
    let Ok(server) = TcpStream::connect(server) else { return };
    let (from_client, from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| copy(from_server, &client, usize::MAX));
        copy(from_client, &server, octets);
        if cut == Cut::Reset {
            for stream in [&client, &server] {
                socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    });
}

fn copy(mut from: TcpStream, mut to: &TcpStream, most: usize) {
    let (mut left, mut room) = (most, [0; 4096]);
    while left > 0 {
        let wanted = room.len().min(left);
        let Ok(count @ 1..) = from.read(&mut room[..wanted]) else { return };
        if to.write_all(&room[..count]).is_err() {
            return;
        }
        left -= count;
    }
}

#[test]
fn no_message_comes_twice_or_in_part_over_a_line_that_breaks() {
    // Promise 1, 2, E-09, E-10, E-11, F-14: cut at any octet; what is lost is lost whole.
    over_a_line_that_breaks(Cut::Finish);
}

#[test]
fn no_message_comes_twice_or_in_part_over_a_line_that_is_reset() {
    // E-09, E-10, E-11, X-11, B-28: a sequence-numbered soak with RSTs.
    over_a_line_that_breaks(Cut::Reset);
}

fn over_a_line_that_breaks(cut: Cut) {
    let place = Place::new(Transport::Tcp);
    let (pull, endpoint) = place.bound::<Pull>();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut push: Socket<Push> = quick(&place);
    push.connect(Endpoint::tcp(proxy.local_addr().unwrap())).unwrap();
    let server = address(&endpoint);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Goes when it is over, before anybody is waited for: who carries may be held by all that it has not taken.
        let mut pull = pull;
        let _ending = Ending(&is_over);
        scope.spawn(|| {
            let mut dice = Dice(3);
            for cuts_left in (0..=60).rev() {
                let (client, _) = proxy.accept().unwrap();
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                let octets = if cuts_left > 0 { 1 + dice.roll(60_000) } else { usize::MAX };
                carry(client, &server, octets, cut);
            }
        });
        scope.spawn(|| {
            let mut push = push;
            let mut number = 0;
            while !is_over.load(Ordering::SeqCst) {
                let body = vec![u8::try_from(number % 251).unwrap(); 1 + number as usize % 3000];
                let message = Message::from([numbered(number).to_vec(), body]);
                if push.send_timeout(message, Duration::from_millis(10)).is_ok() {
                    number += 1;
                }
            }
            drop(push);
            // Whoever waits for the next connection looks whether it is over.
            let _ = TcpStream::connect(proxy.local_addr().unwrap());
        });
        let mut seen = std::collections::HashSet::new();
        let mut highest = 0;
        while seen.len() < 3000 {
            let message = recv(&mut pull);
            let number = number_of(&message);
            assert!(seen.insert(number), "{number} came twice");
            let body = vec![u8::try_from(number % 251).unwrap(); 1 + number as usize % 3000];
            assert!(message.frame_count() == 2 && *message.frame(1).unwrap() == body[..]);
            highest = highest.max(number);
        }
        assert!(highest as usize >= seen.len() - 1);
    });
}

/// Has peers come and go at `connection`, whose socket is in no call, and returns the last one, which stays.
fn peers_come_and_go<P: Pattern>(
    connection: &crate::Connection,
    mut open: impl FnMut(usize) -> Socket<P>,
) -> Socket<P> {
    const ROUNDS: usize = 30;
    for round in 0.. {
        let mut peer = open(round);
        eventually("the address is free", || peer.bind(connection.endpoint()).is_ok());
        eventually("it is there", || peer.peers().len() == 1);
        eventually("both know", || connection.state() == ConnectionState::Ready);
        if round == ROUNDS {
            return peer;
        }
        drop(peer);
        eventually("it has gone", || connection.state() != ConnectionState::Ready);
    }
    unreachable!("there is a last round")
}

#[test]
fn of_peers_that_came_and_went_unseen_a_router_knows_the_last() {
    over(WIRES, |place| {
        let mut router: Socket<Router> = quick(place);
        let connection = router.connect(place.address()).unwrap();
        let name = |round: usize| RoutingId::new(format!("peer {round}").as_bytes()).unwrap();
        let mut dealer = peers_come_and_go(&connection, |round| {
            place.builder::<Dealer>().routing_id(name(round)).open().unwrap()
        });
        assert_eq!(router.core.pipes.iter().map(crate::pipe::Pipe::passages).sum::<usize>(), 1);
        router.send_to_timeout(&name(30), "to the last", PATIENCE).unwrap();
        assert_eq!(recv(&mut dealer), "to the last");
        send(&mut dealer, "from the last");
        assert_eq!(router.recv_timeout(PATIENCE).unwrap(), (name(30), Message::from("from the last")));
        // Known now: its end is seen, and the next one's name.
        drop(dealer);
        eventually("it has gone", || connection.state() != ConnectionState::Ready);
        let mut dealer = peers_come_and_go(&connection, |round| {
            place.builder::<Dealer>().routing_id(name(99 - round)).open().unwrap()
        });
        send(&mut dealer, "from another");
        assert_eq!(router.recv_timeout(PATIENCE).unwrap(), (name(69), Message::from("from another")));
    });
}

#[test]
fn of_subscribers_that_came_and_went_unseen_a_publisher_knows_the_last() {
    over(WIRES, |place| {
        let mut publisher = place.builder::<XPub>().reconnect_interval(Duration::from_millis(1));
        publisher = publisher.xpub_welcome_message("welcome");
        let mut publisher = publisher.open().unwrap();
        let connection = publisher.connect(place.address()).unwrap();
        let mut subscriber: Socket<Sub> = peers_come_and_go(&connection, |_| place.open());
        assert_eq!(publisher.core.pipes.iter().map(crate::pipe::Pipe::passages).sum::<usize>(), 1);
        for topic in ["welcome", "a"] {
            subscriber.subscribe(topic).unwrap();
            assert_eq!(recv(&mut publisher), [b"\x01", topic.as_bytes()].concat());
        }
        publisher.send("a").unwrap();
        assert_eq!([recv(&mut subscriber), recv(&mut subscriber)], ["welcome", "a"].map(Message::from));
        drop(subscriber);
        let ends = [recv(&mut publisher), recv(&mut publisher)];
        assert!(ends.contains(&Message::from(b"\0a")) && ends.contains(&Message::from(b"\0welcome")));
    });
}
