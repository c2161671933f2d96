//! What a socket says that it is ready for: a message that is told of is received, whatever peers send beside it.

use std::net::TcpStream;

use super::ends::Raw;
use super::*;
use crate::pipe::LOOKS;
use crate::{
    AnyPattern, Dealer, Interest, PollError, PollItem, Poller, Pub, RecvError, Req, Router, RouterNotify,
    SocketType, Stream, Sub, poll,
};

const READABLE: Interest = Interest::READABLE;

/// What a raw peer says of which only some is for the application.
struct Lot {
    socket_type: SocketType,
    peer: &'static str,
    /// Frames of messages, and whether the application is to receive them.
    messages: &'static [(&'static [&'static [u8]], bool)],
}

const LARGE_AND_UNWANTED: &[u8] = &[b'b'; 20_000];

const LOTS: &[Lot] = &[
    Lot {
        socket_type: SocketType::Sub,
        peer: "PUB",
        messages: &[
            (&[b"b"], false),
            (&[b"apple"], true),
            (&[b"", b"a"], false),
            (&[LARGE_AND_UNWANTED, b"a"], false),
            (&[b"a", LARGE_AND_UNWANTED], true),
            (&[b"a"], true),
            (&[b"b", b"a"], false),
        ],
    },
    Lot {
        socket_type: SocketType::Rep,
        peer: "REQ",
        messages: &[
            (&[b"no delimiter"], false),
            (&[b""], false),
            (&[b"", b"question"], true),
            (&[b"nothing behind", b""], false),
            (&[b"way", b"back", b"", b"question", LARGE_AND_UNWANTED], true),
            (&[LARGE_AND_UNWANTED], false),
        ],
    },
    Lot {
        socket_type: SocketType::XPub,
        peer: "SUB",
        messages: &[(&[b"\x01a"], true), (&[b"\x01a"], false), (&[b"\0unknown"], false), (&[b"\x01b"], true)],
    },
    Lot { socket_type: SocketType::XSub, peer: "PUB", messages: &[(&[b"b"], true), (&[b"", b"a"], true)] },
    Lot { socket_type: SocketType::Pull, peer: "PUSH", messages: &[(&[b"b"], true), (&[b"", b"a"], true)] },
    Lot { socket_type: SocketType::Pair, peer: "PAIR", messages: &[(&[b"b"], true), (&[b"", b"a"], true)] },
    Lot {
        socket_type: SocketType::Dealer,
        peer: "ROUTER",
        messages: &[(&[b"b"], true), (&[b"", b"a"], true)],
    },
    Lot {
        socket_type: SocketType::Router,
        peer: "DEALER",
        messages: &[(&[b"b"], true), (&[b"", b"a"], true)],
    },
];

/// A message as it goes over the wire.
fn octets(frames: &[&[u8]]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let more = u8::from(index + 1 < frames.len());
        match u8::try_from(frame.len()) {
            Ok(size) => octets.extend([more, size]),
            Err(_) => {
                octets.push(more | 2);
                octets.extend((frame.len() as u64).to_be_bytes());
            }
        }
        octets.extend(*frame);
    }
    octets
}

/// Waits until the socket is told to be readable.
fn wait<P: Pattern>(socket: &mut Socket<P>) {
    let mut items = [PollItem::new(socket, READABLE)];
    assert_eq!(poll(&mut items, Some(PATIENCE)), Ok(1));
    assert_eq!(items[0].ready(), READABLE);
}

/// Nothing is there: it says so, and so does a receive.
fn has_nothing(socket: &mut Socket<AnyPattern>) {
    let mut items = [PollItem::new(socket, READABLE)];
    assert_eq!(poll(&mut items, Some(Duration::ZERO)), Ok(0));
    assert!(!socket.readiness().is_readable());
    assert_eq!(socket.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn each_message_that_is_told_of_is_received_and_what_nobody_wants_is_not_told_of() {
    // zmq_poll(3): "ZMQ_POLLIN: at least one message may be received from the socket without blocking".
    for (lot, is_observed) in LOTS.iter().flat_map(|lot| [(lot, false), (lot, true)]) {
        over(&[Transport::Ipc, Transport::Tcp], |place| {
            let mut socket = place.context.open_any(lot.socket_type).unwrap();
            let endpoint = place.address();
            socket.bind(&endpoint).unwrap();
            if lot.socket_type == SocketType::Sub {
                socket.subscribe("a").unwrap();
            }
            let mut poller = Poller::new();
            if is_observed {
                poller.add(&mut socket, READABLE, ()).unwrap();
            }
            let mut raw = Raw::connect(&endpoint, lot.peer);
            has_nothing(&mut socket);
            let (mut wanted, mut unwanted) = (0, 0);
            for _ in 0..20 {
                raw.say(&lot.messages.iter().flat_map(|(frames, _)| octets(frames)).collect::<Vec<_>>());
                for (frames, _) in lot.messages.iter().filter(|(_, is_wanted)| *is_wanted) {
                    if lot.socket_type == SocketType::XPub && wanted == 2 {
                        break; // it is told of a topic once
                    }
                    wait(&mut socket);
                    assert!(socket.readiness().is_readable(), "as long as it is there");
                    let message = socket.try_recv().expect("what was told of");
                    assert_eq!(message.frames().last().unwrap(), *frames.last().unwrap());
                    wanted += 1;
                    if lot.socket_type == SocketType::Rep {
                        assert!(!socket.readiness().is_readable(), "not before the reply");
                        socket.try_send("answer").unwrap();
                        raw.frame();
                    }
                }
                let counts_all = matches!(lot.socket_type, SocketType::Sub | SocketType::Rep);
                unwanted +=
                    lot.messages.iter().filter(|(_, is_wanted)| counts_all && !is_wanted).count() as u64;
                eventually("the rest is dropped by looking", || {
                    assert!(!socket.readiness().is_readable());
                    socket.dropped().unwanted + socket.dropped().malformed == unwanted
                });
                has_nothing(&mut socket);
                // A hint of what was dropped may come late, but none stays.
                eventually("the poller hears of it", || {
                    has_nothing(&mut socket);
                    !is_observed || poller.wait(Some(Duration::ZERO)).unwrap().is_empty()
                });
            }
        });
    }
}

#[test]
fn a_req_is_readable_when_its_own_reply_has_come() {
    for correlates in [false, true] {
        over(&[Transport::Ipc, Transport::Tcp], |place| {
            let builder = place.context.builder_for_any(SocketType::Req);
            let mut req = builder.req_correlate(correlates).open().unwrap();
            let endpoint = place.address();
            req.bind(&endpoint).unwrap();
            let mut raw = Raw::connect(&endpoint, "REP");
            for round in 0..20 {
                req.send_timeout("question", PATIENCE).unwrap();
                assert_eq!(req.readiness(), Interest::NONE);
                let number = if correlates { raw.frame() } else { Vec::new() };
                assert_eq!((raw.frame(), raw.frame()), (vec![], b"question".to_vec()));
                raw.say(&octets(&[b"no delimiter"]));
                if correlates {
                    raw.say(&octets(&[b"0", b"", b"to another one"]));
                    raw.say(&octets(&[b"", b"without a number"]));
                    raw.say(&octets(&[&number, b"", b"answer"]));
                } else {
                    raw.say(&octets(&[b"0", b"", b"with a way back"]));
                    raw.say(&octets(&[b"", b"answer"]));
                }
                wait(&mut req);
                assert_eq!(req.try_recv().unwrap(), "answer", "{round}");
                assert_eq!(req.readiness(), Interest::WRITABLE);
            }
        });
    }
}

#[test]
fn who_comes_and_goes_in_silence_makes_nothing_readable() {
    let place = Place::new(Transport::Tcp);
    let mut stream: Socket<Stream> = place.builder().stream_notify(false).open().unwrap();
    let endpoint: Endpoint = stream.bind("tcp://127.0.0.1:0").unwrap().into();
    let address = endpoint.to_string().strip_prefix("tcp://").unwrap().to_owned();
    let mut router: Socket<Router> = place.builder().router_notify(RouterNotify::BOTH).open().unwrap();
    let names: Endpoint = router.bind(place.address()).unwrap().into();
    for _ in 0..20 {
        drop(TcpStream::connect(&address).unwrap());
        let mut dealer: Socket<Dealer> = place.connected(&names);
        send(&mut dealer, "between its news");
        for is_empty in [true, false] {
            wait(&mut router);
            assert_eq!(router.try_recv().unwrap().1.body().is_empty(), is_empty);
        }
        drop(dealer);
        wait(&mut router);
        assert_eq!(router.try_recv().unwrap().1, "");
        assert!(!router.readiness().is_readable() && !stream.readiness().is_readable());
        assert!(stream.try_recv().is_err());
    }
    let mut last = TcpStream::connect(&address).unwrap();
    std::io::Write::write_all(&mut last, b"said").unwrap();
    wait(&mut stream);
    assert_eq!(stream.try_recv().unwrap().1, "said");
}

#[test]
fn what_is_told_of_is_judged_by_the_subscriptions_at_the_receive() {
    over(ALL, |place| {
        let (mut news, endpoint) = place.bound::<Pub>();
        let mut sub: Socket<Sub> = place.connected(&endpoint);
        sub.subscribe("a").unwrap();
        sub.subscribe("b").unwrap();
        eventually("both have come", || news.topic_count() == 2);
        news.send("a 1").unwrap();
        news.send("b 1").unwrap();
        wait(&mut sub);
        assert!(sub.unsubscribe("a"));
        wait(&mut sub);
        assert_eq!(sub.try_recv().unwrap(), "b 1");
        assert_eq!((sub.readiness(), sub.dropped().unwanted), (Interest::NONE, 1));
    });
}

#[test]
fn looking_leaves_the_last_peer_and_the_counts_as_they_are() {
    let place = Place::new(Transport::Tcp);
    let (mut sub, endpoint) = place.bound::<Sub>();
    sub.subscribe("a").unwrap();
    let mut first = Raw::connect(&endpoint, "PUB");
    first.say(&octets(&[b"a first"]));
    assert_eq!(recv(&mut sub), "a first");
    let mut second = Raw::connect(&endpoint, "XPUB");
    second.say(&octets(&[b"unwanted"]));
    second.say(&octets(&[b"a second"]));
    wait(&mut sub);
    assert_eq!(sub.dropped().unwanted, 1);
    assert_eq!(sub.last_peer().unwrap().socket_type(), SocketType::Pub);
    let report = sub.close(Duration::ZERO);
    assert_eq!(report.unreceived, 1, "what was told of is there until it is received");
}

#[test]
fn several_sockets_are_waited_for_and_those_that_are_ready_say_so() {
    over(ALL, |place| {
        let (mut quiet, _) = place.bound::<Pull>();
        let (mut pull, endpoint) = place.bound::<Pull>();
        let (mut ignored, elsewhere) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        let mut other: Socket<Push> = place.connected(&elsewhere);
        for round in 0..20 {
            thread::scope(|scope| {
                scope.spawn(|| {
                    send(&mut other, "nobody waits for it");
                    send(&mut push, &numbered(round));
                });
                let mut items = [
                    PollItem::new(&mut quiet, READABLE),
                    PollItem::new(&mut pull, READABLE),
                    PollItem::new(&mut ignored, Interest::NONE),
                ];
                assert_eq!(poll(&mut items, Some(PATIENCE)), Ok(1));
                let ready = items.map(|item| item.ready());
                assert_eq!(ready, [Interest::NONE, READABLE, Interest::NONE]);
            });
            assert_eq!(number_of(&pull.try_recv().unwrap()), round);
        }
        let polls = crate::session::polls();
        let mut items = [PollItem::new(&mut pull, READABLE), PollItem::new(&mut ignored, Interest::NONE)];
        assert_eq!(poll(&mut items, Some(STALL)), Ok(0));
        assert!(crate::session::polls() - polls < 1000, "it sleeps although something is unread");
        (0..20).for_each(|_| drop(recv(&mut ignored)));
    });
}

#[test]
fn poll_ends_with_its_time_and_after_a_shutdown() {
    over(ALL, |place| {
        assert_eq!(poll(&mut [], None), Err(PollError::Empty));
        assert_eq!(poll(&mut [], Some(TURN)), Ok(0));
        let (mut pull, _) = place.bound::<Pull>();
        let mut req: Socket<Req> = place.open();
        let mut items = [PollItem::new(&mut pull, READABLE), PollItem::new(&mut req, Interest::BOTH)];
        assert_eq!(poll(&mut items, Some(TURN)), Ok(0));
        thread::scope(|scope| {
            scope.spawn(|| place.context.shutdown());
            eventually("both are told", || poll(&mut items, Some(PATIENCE)) == Ok(2));
        });
        assert_eq!(items.map(|item| item.ready()), [READABLE, Interest::BOTH]);
        assert_eq!((pull.readiness(), pull.try_recv()), (Interest::BOTH, Err(RecvError::Terminated)));
    });
}

#[test]
fn an_envelope_of_many_frames_is_walked_once_however_often_somebody_looks() {
    const FRAMES: usize = 10_000;
    let walked = |rep: &mut Socket<AnyPattern>| {
        let before = LOOKS.get();
        (rep.readiness().is_readable(), LOOKS.get() - before)
    };
    over(ALL, |place| {
        let mut rep = place.context.open_any(SocketType::Rep).unwrap();
        let endpoint: Endpoint = rep.bind(place.address()).unwrap().into();
        let mut dealers: [Socket<Dealer>; 2] = [(); 2].map(|()| place.connected(&endpoint));
        let envelope = || vec![&b"hop"[..]; FRAMES].into_iter();
        let request = |text: &'static [u8]| Message::from_frames(envelope().chain([&b""[..], text])).unwrap();
        for dealer in &mut dealers {
            send(dealer, request(b"first"));
            send(dealer, request(b"second"));
        }
        for _ in 0..4 {
            eventually("a request is there", || rep.readiness().is_readable());
            assert_eq!(walked(&mut rep), (true, 0));
            wait(&mut rep);
            assert_eq!(walked(&mut rep), (true, 0));
            let asked = rep.try_recv().unwrap();
            assert!(asked == "first" || asked == "second");
            assert_eq!(walked(&mut rep), (false, 0), "not before the reply");
            rep.try_send("answer").unwrap();
        }
        assert!(!rep.readiness().is_readable());
        // What is no request is dropped, and not taken for the one that was looked at.
        send(&mut dealers[0], Message::from_frames(envelope()).unwrap());
        eventually("it is dropped", || {
            assert!(!rep.readiness().is_readable());
            rep.dropped().malformed == 1
        });
    });
}
