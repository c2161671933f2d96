//! REQ: one request, its reply and no other, and no state from which it cannot go on.

use std::net::{TcpListener, TcpStream};

use super::reconnect::quick;
use super::*;
use crate::limits::GIVE_UPS_AT_ONCE;
use crate::socket::core::Limit;
use crate::{
    Builder, ConnectionError, ConnectionState, Payload, RecvError, Rep, Req, Router, RoutingId, SendError,
};

const SHORT: Duration = Duration::from_millis(5);

/// Takes the next request as a ROUTER sees it.
fn hear(router: &mut Socket<Router>) -> (RoutingId, Message) {
    router.recv_timeout(PATIENCE).unwrap()
}

fn ask<'a>(req: &'a mut Socket<Req>, what: &str) -> crate::Reply<'a> {
    req.request_timeout(what, PATIENCE).unwrap()
}

fn answer(rep: &mut Socket<Rep>, what: &str) {
    rep.recv_timeout(PATIENCE).unwrap().reply(what).unwrap();
}

#[test]
fn it_asks_any_number_of_peers_in_turn() {
    // Tq6: k·p requests, each gets exactly k; 1, 2 and 100 peers.
    over(ALL, |place| {
        for count in [1, 2, 100] {
            let mut req: Socket<Req> = place.open();
            let mut reps: Vec<Socket<Rep>> = Vec::new();
            for _ in 0..count {
                let (rep, endpoint) = place.bound::<Rep>();
                req.connect(&endpoint).unwrap();
                reps.push(rep);
            }
            for _ in 0..3 {
                for rep in &mut reps {
                    let mut reply = ask(&mut req, "whose turn?");
                    answer(rep, "mine");
                    assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "mine");
                }
            }
        }
    });
}

#[test]
fn a_request_has_an_empty_frame_in_front_and_so_has_a_reply() {
    //
    over(ALL, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut req: Socket<Req> = place.connected(&endpoint);
        let mut reply = req.request_timeout(["hi", "", "there"], PATIENCE).unwrap();
        let (from, message) = hear(&mut router);
        assert_eq!(message, ["", "hi", "", "there"]);
        for malformed in [Message::from("no delimiter"), ["a", "b"].into(), "".into(), ["", ""].into()] {
            let is_reply = malformed == ["", ""];
            router.send_to(&from, malformed).unwrap();
            if is_reply {
                assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "");
            }
        }
        assert_eq!(reply.try_recv(), Err(RecvError::OutOfTurn));
        drop(reply);
        // Nothing was given up: the same connection serves the next one.
        let mut reply = ask(&mut req, "again");
        assert_eq!(hear(&mut router), (from.clone(), ["", "again"].into()));
        router.send_to(&from, ["", "yes"]).unwrap();
        assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "yes");
    });
}

#[test]
fn only_the_peer_that_was_asked_is_heard() {
    // the other answers first, and often; later requests to both work.
    over(ALL, |place| {
        let mut req: Socket<Req> = place.open();
        let mut routers: Vec<Socket<Router>> = Vec::new();
        for _ in 0..2 {
            let (router, endpoint) = place.bound::<Router>();
            req.connect(&endpoint).unwrap();
            routers.push(router);
        }
        let mut known: [Option<RoutingId>; 2] = [None, None];
        for number in 0..200_u32 {
            let mut reply = req.request_timeout(&numbered(number), PATIENCE).unwrap();
            let mut asked = None;
            eventually("one of them is asked", || {
                for (at, router) in routers.iter_mut().enumerate() {
                    if let Ok((from, message)) = router.try_recv() {
                        assert_eq!(message, [&[], &numbered(number)[..]]);
                        known[at] = Some(from);
                        asked = Some(at);
                    }
                }
                asked.is_some()
            });
            let asked = asked.unwrap();
            if let Some(other) = &known[1 - asked] {
                // What comes late from one that is asked next would be taken for its answer, so only the
                // last one is well-formed.
                let words: &[&str] = if number == 199 { &["", "not asked"] } else { &["not asked"] };
                for _ in 0..3 {
                    let message = Message::from_frames(words.iter().copied()).unwrap();
                    routers[1 - asked].send_to(other, message).unwrap();
                }
            }
            let from = known[asked].clone().unwrap();
            routers[asked].send_to(&from, [&[], &numbered(number)[..]]).unwrap();
            assert_eq!(number_of(&reply.recv_timeout(PATIENCE).unwrap()), number);
        }
        assert!(known.iter().all(Option::is_some), "both were asked");
    });
}

#[test]
fn without_a_peer_the_request_is_handed_back() {
    // Promise 6, R-06
    over(ALL, |place| {
        let mut req: Socket<Req> = place.open();
        for _ in 0..2 {
            let unsent = req.try_request(["a", "b"]).unwrap_err();
            assert_eq!((unsent.error, unsent.message), (SendError::WouldBlock, Some(["a", "b"].into())));
            let unsent = req.request_timeout("nobody", SHORT).unwrap_err();
            assert_eq!((unsent.error, unsent.message), (SendError::WouldBlock, None));
            req.bind(place.address()).unwrap();
        }
    });
}

#[test]
fn a_request_waits_for_its_first_peer() {
    // no peer, then a peer appears.
    over(ALL, |place| {
        let (mut req, endpoint) = place.bound::<Req>();
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(ask(&mut req, "anybody?").recv_timeout(PATIENCE).unwrap(), "me"));
            let mut rep: Socket<Rep> = place.connected(&endpoint);
            answer(&mut rep, "me");
        });
    });
}

#[test]
fn a_request_is_queued_for_a_peer_that_comes_later() {
    // R-07, Tq1
    over(ALL, |place| {
        let endpoint = place.address();
        let mut req: Socket<Req> = quick(place);
        req.connect(&endpoint).unwrap();
        let mut reply = req.try_request("anybody?").unwrap();
        let mut rep: Socket<Rep> = place.open();
        rep.bind(&endpoint).unwrap();
        answer(&mut rep, "me");
        assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "me");
    });
}

#[test]
fn a_peer_that_connected_takes_its_request_with_it() {
    // Tq2: the next peer gets none of it.
    over(ALL, |place| {
        let (mut req, endpoint) = place.bound::<Req>();
        for round in 0..10_u32 {
            // Asked until this one hears it: the last one may not be known to be gone yet.
            let mut rep: Socket<Rep> = place.connected(&endpoint);
            eventually("it is asked", || {
                let Ok(mut reply) = req.try_request(&numbered(round)) else { return false };
                let Ok(request) = rep.recv_timeout(STALL) else { return false };
                assert_eq!(number_of(request.message()), round);
                if round % 2 == 0 {
                    return true; // leaves without an answer
                }
                request.reply("answer").unwrap();
                assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "answer");
                true
            });
        }
    });
}

/// A late reply is never taken for the answer to a later request, whoever binds.
fn a_late_reply_is_not_taken(place: &Place, options: impl Fn(Builder<Req>) -> Builder<Req>, binds: bool) {
    let interval = Duration::from_millis(1);
    let mut req: Socket<Req> = options(place.builder().reconnect_interval(interval)).open().unwrap();
    let mut router: Socket<Router> = quick(place);
    if binds {
        router.connect(req.bind(place.address()).unwrap()).unwrap();
    } else {
        req.connect(router.bind(place.address()).unwrap()).unwrap();
    }
    let envelope = |message: &Message| {
        let frames = message.frames().take_while(|frame| !frame.is_empty());
        frames.cloned().chain([crate::Frame::new()]).collect::<Vec<_>>()
    };
    for number in 0..20 {
        let mut first = req.request_timeout("first", PATIENCE).unwrap();
        let (from_first, message) = hear(&mut router);
        let mut late = envelope(&message);
        late.push("late".into());
        assert_eq!(first.recv_timeout(Duration::ZERO), Err(RecvError::WouldBlock));
        if number % 2 == 0 {
            drop(first);
            router.send_to(&from_first, Message::from(late)).unwrap();
        } else {
            router.send_to(&from_first, Message::from(late)).unwrap();
            drop(first);
        }
        let mut second = req.request_timeout(&numbered(number), PATIENCE).unwrap();
        let (from, message) = hear(&mut router);
        let mut answer = envelope(&message);
        assert_eq!(*message.frame(answer.len()).unwrap(), numbered(number));
        answer.push((&numbered(number)).into());
        router.send_to(&from, Message::from(answer)).unwrap();
        assert_eq!(number_of(&second.recv_timeout(PATIENCE).unwrap()), number);
    }
}

#[test]
fn a_late_reply_is_never_taken_for_another() {
    // Without a number in the envelope the connection of the first request is closed.
    over(ALL, |place| a_late_reply_is_not_taken(place, |builder| builder, false));
    over(WIRES, |place| a_late_reply_is_not_taken(place, |builder| builder.immediate(true), false));
}

#[test]
fn a_late_reply_is_never_taken_for_another_when_it_binds() {
    // A REP that connects forgets its replies with the connection; a ROUTER would keep them.
    over(WIRES, |place| {
        let (mut req, endpoint) = place.bound::<Req>();
        let mut rep: Socket<Rep> = quick(place);
        rep.connect(&endpoint).unwrap();
        for number in 0..20 {
            let mut first = ask(&mut req, "first");
            let late = rep.recv_timeout(PATIENCE).unwrap();
            assert_eq!(first.try_recv(), Err(RecvError::WouldBlock));
            if number % 2 == 0 {
                drop(first);
                late.reply("late").unwrap();
            } else {
                late.reply("late").unwrap();
                drop(first);
            }
            let mut second = req.request_timeout(&numbered(number), PATIENCE).unwrap();
            let mut request = rep.recv_timeout(PATIENCE).unwrap();
            let message = request.take_message();
            request.reply(message).unwrap();
            assert_eq!(number_of(&second.recv_timeout(PATIENCE).unwrap()), number);
        }
    });
}

#[test]
fn a_late_reply_is_known_by_its_number() {
    for binds in [false, true] {
        over(ALL, |place| a_late_reply_is_not_taken(place, |builder| builder.req_correlate(true), binds));
    }
}

#[test]
fn a_number_in_front_of_the_envelope_comes_back() {
    // libzmq's form: four octets, then the empty frame; another one for each request.
    over(ALL, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut req: Socket<Req> = place.builder().req_correlate(true).open().unwrap();
        req.connect(&endpoint).unwrap();
        let mut last: Option<(RoutingId, u32)> = None;
        for _ in 0..10 {
            let mut reply = ask(&mut req, "question");
            let (from, message) = hear(&mut router);
            let number = number_of(&message);
            assert_eq!(message, [&numbered(number)[..], b"", b"question"]);
            if let Some((before, last)) = last {
                // Given up or not, the connection is the same.
                assert_eq!((from.clone(), number), (before, last.wrapping_add(1)));
            }
            for wrong in [number.wrapping_sub(1), number.wrapping_add(1000)] {
                router.send_to(&from, [&numbered(wrong)[..], b"", b"wrong"]).unwrap();
            }
            router.send_to(&from, ["", "no number"]).unwrap();
            if number % 2 == 0 {
                router.send_to(&from, [&numbered(number)[..], b"", b"right"]).unwrap();
                assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "right");
            }
            last = Some((from, number));
        }
    });
}

#[test]
fn a_reply_that_is_forgotten_does_not_stop_the_socket() {
    over(ALL, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut req: Socket<Req> = quick(place);
        req.connect(&endpoint).unwrap();
        std::mem::forget(ask(&mut req, "forgotten"));
        answer(&mut rep, "too late");
        let mut reply = ask(&mut req, "remembered");
        eventually("the right one is answered", || {
            let Ok(mut request) = rep.try_recv() else { return false };
            let message = request.take_message();
            let is_right = message == "remembered";
            request.reply(message).unwrap();
            is_right
        });
        assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "remembered");
    });
}

#[test]
fn send_and_receive_take_turns() {
    // the verbs of the other form; with the typed ones it does not compile.
    let place = Place::new(Transport::Inproc);
    let (mut rep, endpoint) = place.bound::<Rep>();
    for is_relaxed in [false, true] {
        let mut req: Socket<Req> =
            place.builder().req_relaxed(is_relaxed).req_correlate(is_relaxed).open().unwrap();
        req.connect(&endpoint).unwrap();
        let mut message = Message::new();
        assert_eq!(req.core.try_recv(&mut req.pattern, &mut message), Err(RecvError::OutOfTurn));
        for _ in 0..3 {
            req.core.try_send(&mut req.pattern, Payload::from("first")).unwrap();
            assert_eq!(req.core.try_recv(&mut req.pattern, &mut message), Err(RecvError::WouldBlock));
            let again = req.core.try_send(&mut req.pattern, Payload::from("second"));
            if is_relaxed {
                again.unwrap();
                answer(&mut rep, "to the first");
            } else {
                let unsent = again.unwrap_err();
                assert_eq!((unsent.error, unsent.message), (SendError::OutOfTurn, None));
            }
            answer(&mut rep, "to the last");
            req.core.recv(&mut req.pattern, &mut message, Limit::Option).unwrap();
            assert_eq!(message, "to the last");
            assert_eq!(req.core.try_recv(&mut req.pattern, &mut message), Err(RecvError::OutOfTurn));
        }
    }
}

#[test]
fn it_probes_a_router_at_once() {
    over(ALL, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut req: Socket<Req> = place.builder().probe_router(true).open().unwrap();
        req.connect(&endpoint).unwrap();
        let (from, probe) = hear(&mut router);
        assert_eq!(probe, "");
        let mut reply = ask(&mut req, "question");
        assert_eq!(hear(&mut router), (from.clone(), ["", "question"].into()));
        router.send_to(&from, ["", "answer"]).unwrap();
        assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "answer");
    });
}

/// Serves so many lives at this endpoint: each answers a few requests, and every second one dies with one in
/// its hands.
fn live_and_die(place: &Place, endpoint: &Endpoint, lives: usize) {
    let mut dice = Dice(7);
    for life in 0..lives {
        let mut rep: Socket<Rep> = place.open();
        eventually("the address is free", || rep.bind(endpoint).is_ok());
        for _ in 0..=dice.roll(3) {
            let mut request = rep.recv_timeout(PATIENCE).unwrap();
            let message = request.take_message();
            request.reply(message).unwrap();
        }
        if life % 2 == 0 {
            drop(rep.recv_timeout(PATIENCE).unwrap());
        }
    }
}

/// Asks until the server has died often enough. `ask` returns the answer, if it came in the time that it is given.
fn ask_dying_servers(place: &Place, mut ask: impl FnMut(&Endpoint, u32, Duration) -> Option<u32> + Send) {
    const LIVES: usize = 1000;
    let endpoint = place.address();
    let (mut asked, mut answered) = (0, 0);
    thread::scope(|scope| {
        let server = scope.spawn(|| live_and_die(place, &endpoint, LIVES));
        // What died with its server is given up soon; where answers take longer than that, later.
        let mut patience = SHORT;
        while !server.is_finished() {
            asked += 1;
            if let Some(answer) = ask(&endpoint, asked, patience) {
                assert_eq!(answer, asked, "the answer to another request");
                answered += 1;
                patience = SHORT;
            } else {
                patience = PATIENCE.min(2 * patience);
            }
        }
        server.join().unwrap();
    });
    println!(
        "promise 8 {:?}: {LIVES} lives, {answered} of {asked} answered, wrong 0, stuck 0",
        place.transport
    );
    assert!(answered >= LIVES, "{answered} of {asked}");
}

#[test]
fn it_is_never_stuck_when_servers_die() {
    // Promise 8, R-06, R-09: a thousand times; no wrong answer, no dead end.
    let place = Place::new(Transport::Tcp);
    let mut req: Option<Socket<Req>> = None;
    ask_dying_servers(&place, |endpoint, number, patience| {
        let req = req.get_or_insert_with(|| {
            let mut req = quick::<Req>(&place);
            req.connect(endpoint).unwrap();
            req
        });
        let mut reply = req.request_timeout(&numbered(number), PATIENCE).unwrap();
        reply.recv_timeout(patience).ok().map(|message| number_of(&message))
    });
}

#[test]
fn it_is_never_stuck_when_servers_die_relaxed_and_correlated() {
    // Promise 8
    let place = Place::new(Transport::Ipc);
    let interval = Duration::from_millis(1);
    let builder = place.builder::<Req>().reconnect_interval(interval);
    let mut req = builder.req_relaxed(true).req_correlate(true).open().unwrap();
    let mut is_connected = false;
    ask_dying_servers(&place, |endpoint, number, patience| {
        if !std::mem::replace(&mut is_connected, true) {
            req.connect(endpoint).unwrap();
        }
        let soon = |wait| move |_: &_| Instant::now().checked_add(wait);
        let Socket { core, pattern } = &mut req;
        core.send(pattern, Payload::from(&numbered(number)), soon(PATIENCE)).unwrap();
        let mut message = Message::new();
        core.recv(pattern, &mut message, Limit::After(patience)).ok().map(|()| number_of(&message))
    });
}

#[test]
fn a_reply_that_is_given_up_costs_no_pause() {
    let check = |place: &Place, is_immediate| {
        let (mut router, endpoint) = place.bound::<Router>();
        // With a pause it would never come back.
        let builder = place.builder().reconnect_interval(Duration::MAX).immediate(is_immediate);
        let mut req: Socket<Req> = builder.open().unwrap();
        let connection = req.connect(&endpoint).unwrap();
        for _ in 0..20 {
            drop(ask(&mut req, "never mind"));
            let reply = ask(&mut req, "and now?");
            let (from, message) = eventually_hears(&mut router, "and now?");
            router.send_to(&from, message).unwrap();
            assert_eq!(reply.recv().unwrap(), "and now?");
        }
        assert!(!connection.state().is_final());
    };
    over(WIRES, |place| check(place, false));
    over(WIRES, |place| check(place, true));
}

/// Takes requests until it is this one.
fn eventually_hears(router: &mut Socket<Router>, what: &str) -> (RoutingId, Message) {
    loop {
        let (from, message) = hear(router);
        if message.frame(1).is_some_and(|frame| *frame == *what.as_bytes()) {
            return (from, message);
        }
    }
}

#[test]
fn a_peer_that_never_answers_is_given_its_time() {
    over(WIRES, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut req: Socket<Req> = place.builder().reconnect_interval(Duration::MAX).open().unwrap();
        let connection = req.connect(&endpoint).unwrap();
        for _ in 0..=GIVE_UPS_AT_ONCE {
            let reply = ask(&mut req, "anybody there?");
            hear(&mut router);
            drop(reply);
        }
        eventually("it pauses", || connection.state() == ConnectionState::Waiting);
        assert_eq!(connection.last_error(), Some(ConnectionError::GivenUp));
    });
}

#[test]
fn a_request_that_is_given_up_before_the_handshake_ends_no_connection() {
    // A time for the reply that is shorter than the handshake would never let it end.
    let place = Place::new(Transport::Tcp);
    let (mut router, endpoint) = place.bound::<Router>();
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut req: Socket<Req> = place.open();
    let connection = req.connect(Endpoint::tcp(between.local_addr().unwrap())).unwrap();
    let (client, _) = between.accept().unwrap();
    eventually("the system has connected", || connection.state() == ConnectionState::ShakingHands);
    drop(ask(&mut req, "never mind"));
    assert_eq!(connection.last_error(), None);
    let server = TcpStream::connect(endpoint.to_string().strip_prefix("tcp://").unwrap()).unwrap();
    for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
        // Until one of both sockets is dropped.
        thread::spawn(move || std::io::copy(&mut from, &mut to));
    }
    let reply = ask(&mut req, "and now?");
    let (from, message) = hear(&mut router);
    assert_eq!(message, ["", "and now?"], "the other one was dropped");
    router.send_to(&from, message).unwrap();
    assert_eq!(reply.recv().unwrap(), "and now?");
    assert_eq!(connection.last_error(), None);
}

#[test]
fn a_connect_over_inproc_whose_request_is_given_up_says_what_became_of_it() {
    let place = Place::new(Transport::Inproc);
    let (mut rep, endpoint) = place.bound::<Rep>();
    let mut req: Socket<Req> = place.open();
    let connection = req.connect(&endpoint).unwrap();
    assert_eq!(connection.state(), ConnectionState::Ready);
    rep.unbind(&endpoint).unwrap();
    let give_up = |req: &mut Socket<Req>| drop(ask(req, "anybody?"));
    give_up(&mut req);
    req.try_request("settled").map(drop).unwrap();
    assert_eq!(connection.state(), ConnectionState::Connecting, "nobody is bound now");
    rep.bind(&endpoint).unwrap();
    assert_eq!(connection.state(), ConnectionState::Ready);
    rep.unbind(&endpoint).unwrap();
    let mut pull: Socket<Pull> = place.open();
    pull.bind(&endpoint).unwrap();
    give_up(&mut req);
    let _ = req.try_request("settled");
    assert_eq!(connection.state(), ConnectionState::Failed);
    assert_eq!(
        connection.last_error(),
        Some(crate::ProtocolError::IncompatibleSocketTypes(crate::SocketType::Pull).into())
    );
}
