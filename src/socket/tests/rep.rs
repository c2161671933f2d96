//! REP: envelopes, and who gets a reply.

use super::reconnect::quick;
use super::*;
use crate::socket::core::Limit;
use crate::{Dealer, Dropped, Frame, KernelBuffer, Payload, RecvError, Rep, Req, Router, SendError};

/// Answers `count` requests with what was asked.
fn echo(rep: &mut Socket<Rep>, count: usize) {
    for _ in 0..count {
        let mut request = rep.recv_timeout(PATIENCE).unwrap();
        let message = request.take_message();
        request.reply(message).unwrap();
    }
}

#[test]
fn a_request_comes_back_as_it_was() {
    // random parts, both bind sides, one peer and many.
    over(ALL, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut reqs: Vec<Socket<Req>> = (0..20).map(|_| place.connected(&endpoint)).collect();
        for _ in 0..5 {
            let (mut req, endpoint) = (place.open::<Req>(), place.address());
            req.bind(&endpoint).unwrap();
            rep.connect(&endpoint).unwrap();
            reqs.push(req);
        }
        let mut dice = Dice(11);
        for req in &mut reqs {
            let parts = (0..=dice.roll(5)).map(|_| vec![7; dice.roll(400)]);
            let message = Message::from_frames(parts.collect::<Vec<_>>()).unwrap();
            let mut reply = req.request_timeout(&message, PATIENCE).unwrap();
            echo(&mut rep, 1);
            assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), message);
        }
    });
}

#[test]
fn an_envelope_of_any_depth_comes_back_verbatim() {
    //
    over(ALL, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut dealer: Socket<Dealer> = place.connected(&endpoint);
        for depth in 0..=32 {
            let addresses = (0..depth).map(|hop| Frame::from(vec![1 + hop; 1 + usize::from(hop) * 9]));
            let mut frames: Vec<Frame> = addresses.collect();
            frames.push(Frame::new());
            frames.extend(["data", "", "more"].map(Frame::from));
            let message = Message::from(frames);
            send(&mut dealer, &message);
            let mut request = rep.recv_timeout(PATIENCE).unwrap();
            let data = request.take_message();
            assert_eq!(data, ["data", "", "more"]);
            request.reply(data).unwrap();
            assert_eq!(recv(&mut dealer), message);
        }
    });
}

#[test]
fn a_malformed_request_is_dropped_and_counted() {
    // R-13, D17: the connection stays. 10^5 frames without a delimiter are bounded by the parser's limit.
    over(ALL, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut dealer: Socket<Dealer> = place.connected(&endpoint);
        send(&mut dealer, "no delimiter");
        send(&mut dealer, ["a", "b", "c"]);
        send(&mut dealer, "");
        send(&mut dealer, ["nothing behind it", ""]);
        send(&mut dealer, Message::from_frames((0..100_000).map(|_| "x")).unwrap());
        send(&mut dealer, ["", "good"]);
        echo(&mut rep, 1);
        assert_eq!(recv(&mut dealer), ["", "good"]);
        assert_eq!(rep.dropped(), Dropped { malformed: 5, ..Dropped::default() });
    });
}

#[test]
fn requests_are_taken_from_the_peers_in_turn() {
    // R-14, Tq5
    over(ALL, |place| {
        let mut rep: Socket<Rep> = place.builder().recv_hwm(101).open().unwrap();
        let endpoint = rep.bind(place.address()).unwrap();
        let small = KernelBuffer::octets(16 * 1024).unwrap();
        let mut dealers: Vec<Socket<Dealer>> =
            (0..5).map(|_| place.builder().send_hwm(1).send_buffer(small).open().unwrap()).collect();
        thread::scope(|scope| {
            for (peer, dealer) in (0..).zip(&mut dealers) {
                dealer.connect(&endpoint).unwrap();
                let message = Message::from([vec![], numbered(peer).to_vec(), vec![0; LARGE]]);
                scope.spawn(move || fill(dealer, &message));
            }
        });
        let mut served = [0_usize; 5];
        for _ in 0..500 {
            let request = rep.recv_timeout(PATIENCE).unwrap();
            served[number_of(request.message()) as usize] += 1;
        }
        assert!(served.iter().all(|count| count.abs_diff(100) <= 1), "{served:?}");
    });
}

#[test]
fn every_reply_reaches_who_asked() {
    // 100 peers interleaved.
    over(ALL, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut dealers: Vec<Socket<Dealer>> = (0..100).map(|_| place.connected(&endpoint)).collect();
        for round in 0..20 {
            for (peer, dealer) in (0..).zip(&mut dealers) {
                send(dealer, [&[], &numbered(peer * 1000 + round)[..]]);
            }
            echo(&mut rep, dealers.len());
            for (peer, dealer) in (0..).zip(&mut dealers) {
                assert_eq!(recv(dealer), [&[], &numbered(peer * 1000 + round)[..]]);
            }
        }
    });
}

#[test]
fn a_reply_to_a_peer_that_is_gone_is_dropped() {
    // Promise 8, R-20: and the next request is served.
    over(ALL, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        for round in 0..20 {
            let mut gone: Socket<Req> = place.connected(&endpoint);
            let reply = gone.request_timeout("question", PATIENCE).unwrap();
            let request = rep.recv_timeout(PATIENCE).unwrap();
            drop(reply);
            drop(gone);
            request.reply("too late").unwrap();
            assert!(rep.dropped().unroutable <= round + 1);
            let mut next: Socket<Req> = place.connected(&endpoint);
            let mut reply = next.request_timeout("next", PATIENCE).unwrap();
            echo(&mut rep, 1);
            assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "next");
        }
    });
}

#[test]
fn a_reply_to_a_peer_that_is_back_is_dropped() {
    // the one who asked is gone; whoever is at that endpoint now did not ask.
    over(WIRES, |place| {
        let endpoint = place.address();
        let mut rep: Socket<Rep> = quick(place);
        rep.connect(&endpoint).unwrap();
        for round in 0..20 {
            let mut asks: Socket<Dealer> = place.open();
            eventually("the address is free", || asks.bind(&endpoint).is_ok());
            send(&mut asks, ["", "question"]);
            let request = rep.recv_timeout(PATIENCE).unwrap();
            drop(asks);
            let mut back: Socket<Dealer> = place.open();
            eventually("the address is free", || back.bind(&endpoint).is_ok());
            send(&mut back, ["", "another question"]);
            request.reply("too late").unwrap();
            eventually("the answer to the other one is here", || {
                if let Ok(request) = rep.try_recv() {
                    request.reply("in time").unwrap();
                }
                back.try_recv().is_ok_and(|message| {
                    assert_eq!(message, ["", "in time"], "round {round}");
                    true
                })
            });
            drop(back);
        }
    });
}

#[test]
fn a_reply_never_waits() {
    // Promise 6, R-21: a peer that asks and does not read.
    over(ALL, |place| {
        let small = KernelBuffer::octets(64 * 1024).unwrap();
        let mut rep: Socket<Rep> = place.builder().send_hwm(5).send_buffer(small).open().unwrap();
        let endpoint = rep.bind(place.address()).unwrap();
        let mut dealer: Socket<Dealer> = place.builder().recv_hwm(5).recv_buffer(small).open().unwrap();
        dealer.connect(&endpoint).unwrap();
        let mut asked = 0;
        while rep.dropped().full < 100 {
            send(&mut dealer, ["", "question"]);
            rep.recv_timeout(PATIENCE).unwrap().reply(vec![1; LARGE]).unwrap();
            asked += 1;
        }
        let mut answers = 0;
        eventually("what was not dropped is here", || {
            answers += u64::from(dealer.try_recv().is_ok());
            answers + rep.dropped().full == asked
        });
    });
}

#[test]
fn receive_and_send_take_turns() {
    // the verbs of the other form; with the typed ones it does not compile.
    let place = Place::new(Transport::Inproc);
    let (mut rep, endpoint) = place.bound::<Rep>();
    let mut dealer: Socket<Dealer> = place.connected(&endpoint);
    let mut message = Message::new();
    let unsent = rep.core.try_send(&mut rep.pattern, Payload::from("unasked")).unwrap_err();
    assert_eq!((unsent.error, unsent.message), (SendError::OutOfTurn, None));
    for _ in 0..2 {
        send(&mut dealer, ["", "question"]);
        send(&mut dealer, ["", "question"]);
        rep.core.try_recv(&mut rep.pattern, &mut message).unwrap();
        assert_eq!(rep.core.try_recv(&mut rep.pattern, &mut message), Err(RecvError::OutOfTurn));
        rep.core.try_send(&mut rep.pattern, Payload::from("answer")).unwrap();
        let unsent = rep.core.try_send(&mut rep.pattern, Payload::from("again")).unwrap_err();
        assert_eq!(unsent.error, SendError::OutOfTurn);
        // A request that is dropped, or forgotten altogether, does not stop the socket.
        std::mem::forget(rep.try_recv().unwrap());
        assert_eq!(rep.try_recv().unwrap_err(), RecvError::WouldBlock);
        assert_eq!(recv(&mut dealer), ["", "answer"]);
    }
}

#[test]
fn a_request_finds_its_way_back_through_routers() {
    // a queue of a ROUTER and a DEALER in between.
    over(ALL, |place| {
        let (mut front, outside) = place.bound::<Router>();
        let (mut back, inside) = place.bound::<Dealer>();
        let mut rep: Socket<Rep> = place.connected(&inside);
        let mut reqs: Vec<Socket<Req>> = (0..10).map(|_| place.connected(&outside)).collect();
        let mut message = Message::new();
        for (number, req) in (0..).zip(&mut reqs) {
            let mut reply = req.request_timeout(&numbered(number), PATIENCE).unwrap();
            front.core.recv(&mut front.pattern, &mut message, Limit::Option).unwrap();
            send(&mut back, &message);
            echo(&mut rep, 1);
            let answer = recv(&mut back);
            front.core.try_send(&mut front.pattern, answer.into()).unwrap();
            assert_eq!(number_of(&reply.recv_timeout(PATIENCE).unwrap()), number);
        }
    });
}
