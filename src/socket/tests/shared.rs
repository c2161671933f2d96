//! One socket in many threads: whole messages, each once, and everybody has their turn.

use std::sync::Mutex;
use std::thread::ScopedJoinHandle;

use super::ledger::{Ledger, count};
use super::*;
use crate::socket::shared::Side;
use crate::sync::{AtomicBool, lock_std};
use crate::{
    AnyPattern, Dealer, Pair, Pub, RecvError, Rep, Req, RequestError, Router, RoutingId, SharedSocket,
    SocketType, Stream, Sub, Subscription, XPub, XSub,
};

const THREADS: u32 = 8;

#[test]
fn every_type_can_be_shared() {
    fn shares<T: Clone + Send + Sync>() {}
    shares::<SharedSocket<AnyPattern>>();
    shares::<(SharedSocket<Dealer>, SharedSocket<Pair>, SharedSocket<Router>, SharedSocket<Stream>)>();
    shares::<(SharedSocket<Pub>, SharedSocket<Sub>, SharedSocket<XPub>, SharedSocket<XSub>)>();
    shares::<(SharedSocket<Push>, SharedSocket<Pull>, SharedSocket<Req>, SharedSocket<Rep>)>();
}

#[test]
fn eight_threads_send_through_one_socket_and_eight_receive_through_another() {
    // L-05, E-10, E-11: nothing lost, doubled or mixed; what one thread sent comes in its order.
    over(ALL, |place| {
        let each: u32 = count(400, 20_000);
        let mut pull: Socket<Pull> = place.builder().recv_hwm(20).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push: Socket<Push> = place.builder().send_hwm(20).open().unwrap();
        push.connect(&*endpoint).unwrap();
        let (push, pull) = (SharedSocket::new(push), SharedSocket::new(pull));
        let ledger = Mutex::new(Ledger::new(1));
        let left = AtomicU64::new(u64::from(THREADS * each));
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (push, pull, ledger, left) = (push.clone(), pull.clone(), &ledger, &left);
                scope.spawn(move || {
                    for at in 0..each {
                        let message = {
                            let mut ledger = lock_std(ledger);
                            let octets = if at % 50 == 0 { LARGE } else { at as usize % 300 };
                            let message = ledger.next(number, octets);
                            ledger.accepted(number, 1);
                            message
                        };
                        push.send_timeout(message, PATIENCE).unwrap();
                    }
                });
                scope.spawn(move || {
                    while left.load(Ordering::SeqCst) > 0 {
                        if let Ok(message) = pull.recv_timeout(TURN) {
                            lock_std(ledger).delivered(number, &message);
                            left.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
        let ledger = ledger.into_inner().unwrap();
        ledger.figures.check(1);
        let outgoing = push.into_socket().unwrap().outgoing();
        assert_eq!((outgoing.accepted(), outgoing.lost), (u64::from(THREADS * each), 0));
    });
}

#[test]
fn a_thread_that_waits_for_a_message_keeps_no_sender_out() {
    over(ALL, |place| {
        let (mut peer, endpoint) = place.bound::<Pair>();
        let pair = SharedSocket::new(place.connected::<Pair>(&endpoint));
        thread::scope(|scope| {
            for round in 0..20 {
                let waiting = scope.spawn(|| pair.recv_timeout(PATIENCE));
                eventually("it waits", || pair.hub_waiting(Side::Messages) == (1, true));
                for number in 0..100 {
                    pair.send_timeout(&numbered(number), PATIENCE).unwrap();
                    assert_eq!(number_of(&recv(&mut peer)), number);
                }
                assert!(!waiting.is_finished());
                send(&mut peer, &numbered(round));
                assert_eq!(number_of(&waiting.join().unwrap().unwrap()), round);
            }
        });
    });
}

/// A pair that has no more room, its peer, and how many messages lie between them.
fn full_pair(place: &Place) -> (Socket<Pair>, SharedSocket<Pair>, u64) {
    let (mut peer, endpoint) = place.bound::<Pair>();
    let mut pair: Socket<Pair> = place.builder().send_hwm(1).open().unwrap();
    pair.connect(&endpoint).unwrap();
    send(&mut pair, "first");
    assert_eq!(recv(&mut peer), "first");
    let queued = fill(&mut pair, &Message::from(vec![1; 100_000]));
    (peer, SharedSocket::new(pair), queued)
}

#[test]
fn a_thread_that_waits_for_room_keeps_no_receiver_out() {
    over(ALL, |place| {
        let (mut peer, pair, queued) = full_pair(place);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| pair.send_timeout("last", PATIENCE));
            eventually("it waits", || pair.hub_waiting(Side::Room) == (1, true));
            for number in 0..100 {
                send(&mut peer, &numbered(number));
                assert_eq!(number_of(&pair.recv_timeout(PATIENCE).unwrap()), number);
            }
            assert!(!waiting.is_finished());
            for _ in 0..queued {
                recv(&mut peer);
            }
            waiting.join().unwrap().unwrap();
        });
        assert_eq!(recv(&mut peer), "last");
    });
}

#[test]
fn both_halves_work_at_the_same_time() {
    fn exchange<P: Sends + Receives + crate::Splits>(place: &Place) {
        const EACH: u32 = 2000;
        let (ours, endpoint) = place.bound::<P>();
        let theirs: Socket<P> = place.connected(&endpoint);
        thread::scope(|scope| {
            for socket in [ours, theirs] {
                let (sending, receiving) = socket.split();
                scope.spawn(move || {
                    for number in 0..EACH {
                        sending.send_timeout([&numbered(number), &[7; 4]], PATIENCE).unwrap();
                    }
                    // With this linger the socket must outlive its messages.
                    eventually("everything is sent", || sending.with(|it| it.outgoing().queued == 0));
                });
                scope.spawn(move || {
                    for number in 0..EACH {
                        assert_eq!(receiving.recv_timeout(PATIENCE).unwrap(), [numbered(number), [7; 4]]);
                    }
                });
            }
        });
    }
    over(ALL, exchange::<Pair>);
    over(ALL, exchange::<Dealer>);
}

#[test]
fn halves_of_a_router_serve_many_dealers() {
    over(ALL, |place| {
        const EACH: u32 = 500;
        let (router, endpoint) = place.bound::<Router>();
        let (sending, receiving) = router.split();
        let (pass_on, passed_on) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..3 * EACH {
                    pass_on.send(receiving.recv_timeout(PATIENCE).unwrap()).unwrap();
                }
            });
            scope.spawn(move || {
                for (from, message) in passed_on {
                    sending.send_to_timeout(&from, message, PATIENCE).unwrap();
                }
                assert_eq!(sending.with(|router| router.dropped().total()), 0);
                eventually("everything is sent", || sending.with(|it| it.outgoing().queued == 0));
            });
            for _ in 0..3 {
                let mut dealer: Socket<Dealer> = place.connected(&endpoint);
                scope.spawn(move || {
                    for number in 0..EACH {
                        send(&mut dealer, &numbered(number));
                        assert_eq!(number_of(&recv(&mut dealer)), number);
                    }
                });
            }
        });
    });
}

#[test]
fn halves_of_xpub_and_xsub_publish_and_hear_subscriptions() {
    over(ALL, |place| {
        let (xpub, endpoint) = place.bound::<XPub>();
        let (publishing, listening) = xpub.split();
        let (subscribing, receiving) = place.connected::<XSub>(&endpoint).split();
        let news = thread::spawn(move || listening.recv_timeout(PATIENCE).unwrap());
        subscribing.send_timeout(b"\x01a", PATIENCE).unwrap();
        assert_eq!(news.join().unwrap(), Subscription::Subscribe(b"a").to_message());
        publishing.send("abc").unwrap();
        assert_eq!(receiving.recv_timeout(PATIENCE).unwrap(), "abc");
        receiving.with(|it| it.unsubscribe("a"));
    });
}

#[test]
fn halves_of_a_stream_exchange_octets() {
    let place = Place::new(Transport::Tcp);
    let (stream, endpoint) = place.bound::<Stream>();
    let (sending, receiving) = stream.split();
    let mut far: Socket<Stream> = place.connected(&endpoint);
    let (there, _) = far.recv_timeout(PATIENCE).unwrap();
    far.send_to_timeout(&there, "hello", PATIENCE).unwrap();
    let (from, news) = receiving.recv_timeout(PATIENCE).unwrap();
    assert_eq!(news, "");
    assert_eq!(receiving.recv_timeout(PATIENCE).unwrap(), (from.clone(), "hello".into()));
    sending.send_to(&from, "back").unwrap();
    assert_eq!(far.recv_timeout(PATIENCE).unwrap().1, "back");
    assert_eq!(receiving.try_recv(), Err(RecvError::WouldBlock));
}

/// Starts one receiver after the other; each waits when the next one starts.
fn receivers<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    pull: &'scope SharedSocket<Pull>,
    timeout: Duration,
) -> Vec<ScopedJoinHandle<'scope, Result<Message, RecvError>>> {
    (0..THREADS as usize)
        .map(|number| {
            let thread = scope.spawn(move || pull.recv_timeout(timeout));
            eventually("it waits", || pull.hub_waiting(Side::Messages) == (number + 1, true));
            thread
        })
        .collect()
}

#[test]
fn those_who_wait_for_messages_are_served_in_their_order() {
    over(ALL, |place| {
        let (pull, endpoint) = place.bound::<Pull>();
        let (pull, mut push) = (SharedSocket::new(pull), place.connected::<Push>(&endpoint));
        thread::scope(|scope| {
            let waiting = receivers(scope, &pull, PATIENCE);
            // All at once, or one by one.
            for number in 0..THREADS {
                send(&mut push, &numbered(number));
                if number < THREADS / 2 {
                    let left = (THREADS - number - 1) as usize;
                    eventually("one has it", || pull.hub_waiting(Side::Messages).0 == left);
                }
            }
            for (number, receiver) in (0..).zip(waiting) {
                assert_eq!(number_of(&receiver.join().unwrap().unwrap()), number);
            }
        });
        assert_eq!(pull.hub_waiting(Side::Messages), (0, false));
    });
}

#[test]
fn when_the_time_of_one_is_over_the_others_go_on_waiting() {
    over(ALL, |place| {
        let (pull, endpoint) = place.bound::<Pull>();
        let pull = SharedSocket::new(pull);
        thread::scope(|scope| {
            // The one that watches for all is the first whose time is over.
            let hasty = scope.spawn(|| pull.recv_timeout(STALL));
            eventually("it waits", || pull.hub_waiting(Side::Messages) == (1, true));
            let patient = [(); 2].map(|()| scope.spawn(|| pull.recv_timeout(PATIENCE)));
            assert_eq!(hasty.join().unwrap(), Err(RecvError::WouldBlock));
            let mut push: Socket<Push> = place.connected(&endpoint);
            send(&mut push, "one");
            send(&mut push, "two");
            let mut heard = patient.map(|thread| thread.join().unwrap().unwrap());
            heard.sort_by_key(|message| message.body().to_vec());
            assert_eq!(heard, ["one", "two"].map(Message::from));
        });
    });
}

#[test]
fn when_the_time_of_a_sender_is_over_a_receiver_goes_on_waiting() {
    over(ALL, |place| {
        let (mut peer, pair, _) = full_pair(place);
        thread::scope(|scope| {
            let sender = scope.spawn(|| pair.send_timeout("last", STALL));
            eventually("it watches for all", || pair.hub_waiting(Side::Room) == (1, true));
            let receiver = scope.spawn(|| pair.recv_timeout(PATIENCE));
            let unsent = sender.join().unwrap().unwrap_err();
            assert_eq!((unsent.error, unsent.message), (SendError::WouldBlock, None));
            eventually("the other one watches", || pair.hub_waiting(Side::Messages) == (1, true));
            send(&mut peer, "hello");
            assert_eq!(receiver.join().unwrap().unwrap(), "hello");
        });
    });
}

#[test]
fn whoever_waits_is_not_starved_by_those_who_do_not() {
    over(ALL, |place| {
        let (pull, endpoint) = place.bound::<Pull>();
        let (pull, mut push) = (SharedSocket::new(pull), place.connected::<Push>(&endpoint));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let (is_over, pull) = (&is_over, &pull);
            for _ in 0..2 {
                scope.spawn(move || {
                    while !is_over.load(Ordering::SeqCst) {
                        let _ = pull.try_recv();
                    }
                });
            }
            let patient = scope.spawn(move || {
                let _ending = Ending(is_over);
                for _ in 0..50 {
                    pull.recv_timeout(PATIENCE).unwrap();
                }
            });
            while !is_over.load(Ordering::SeqCst) {
                let _ = push.send_timeout("for anybody", TURN);
            }
            patient.join().unwrap();
        });
    });
}

#[test]
fn every_sender_has_its_share() {
    // Until the last of them has sent so many, the others can have sent only so many more.
    let place = Place::new(Transport::Tcp);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let push = SharedSocket::new(place.connected::<Push>(&endpoint));
    let counts: Vec<AtomicU64> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ending = Ending(&is_over);
        for count in &counts {
            let (push, is_over) = (&push, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    if push.send_timeout("8 octets", TURN).is_ok() {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        eventually("everybody has sent", || {
            while pull.try_recv().is_ok() {}
            counts.iter().all(|count| count.load(Ordering::SeqCst) >= 500)
        });
    });
}

#[test]
fn a_shutdown_ends_every_wait() {
    // Promise 11, X-31
    over(ALL, |place| {
        for _ in 0..count(10, 200) {
            let place = Place::new(place.transport);
            let pull = SharedSocket::new(place.open::<Pull>());
            let pair = SharedSocket::new(place.open::<Pair>());
            let req = SharedSocket::new(place.open::<Req>());
            let rep = SharedSocket::new(place.open::<Rep>());
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| assert_eq!(pull.recv(), Err(RecvError::Terminated)));
                    scope.spawn(|| assert_eq!(pair.recv(), Err(RecvError::Terminated)));
                    scope.spawn(|| {
                        let unsent = pair.send(["handed", "back"]).unwrap_err();
                        assert_eq!(unsent.error, SendError::Terminated);
                        assert_eq!(unsent.message, Some(["handed", "back"].into()));
                    });
                    scope.spawn(|| {
                        let Err(RequestError::NotSent(unsent)) = req.request("x") else { panic!("sent") };
                        assert_eq!((unsent.error, unsent.message), (SendError::Terminated, None));
                    });
                    scope.spawn(|| {
                        let answered = rep.answer(|_| -> Message { unreachable!("nobody asks") });
                        assert_eq!(answered, Err(RecvError::Terminated.into()));
                    });
                }
                eventually("they wait", || pair.hub_waiting(Side::Room).0 == THREADS as usize);
                place.context.shutdown();
            });
            assert_eq!(pull.try_recv(), Err(RecvError::Terminated));
        }
    });
}

#[test]
fn requests_of_eight_threads_get_their_own_replies() {
    //
    over(ALL, |place| {
        const EACH: u32 = 50;
        let (server, endpoint) = place.bound::<Rep>();
        let server = SharedSocket::new(server);
        let client = SharedSocket::new(place.connected::<Req>(&endpoint));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| while server.answer(|request| request).is_ok() {});
            }
            let clients: Vec<_> = (0..THREADS)
                .map(|number| {
                    let client = client.clone();
                    scope.spawn(move || {
                        for at in 0..EACH {
                            let request = Message::from([&numbered(number), &numbered(at)]);
                            assert_eq!(client.request_timeout(request.clone(), PATIENCE), Ok(request));
                        }
                    })
                })
                .collect();
            let done: Vec<_> = clients.into_iter().map(ScopedJoinHandle::join).collect();
            place.context.shutdown(); // ends the servers
            done.into_iter().for_each(|client| client.unwrap());
        });
    });
}

#[test]
fn a_request_without_a_reply_lets_the_next_one_go() {
    over(ALL, |place| {
        let (mut server, endpoint) = place.bound::<Rep>();
        let client: Socket<Req> = {
            let mut client = place.builder().req_correlate(true).open().unwrap();
            client.connect(&endpoint).unwrap();
            client
        };
        let client = SharedSocket::new(client);
        thread::scope(|scope| {
            let hasty = scope.spawn(|| client.request_timeout("never answered", STALL));
            drop(server.recv_timeout(PATIENCE).unwrap());
            // Its turn does not come in time.
            let late = client.request_timeout(Message::from("too late"), TURN);
            if let Err(RequestError::NotSent(unsent)) = late {
                assert_eq!(unsent.message, Some("too late".into()));
            }
            let patient = scope.spawn(|| client.request_timeout("answered", PATIENCE));
            assert_eq!(hasty.join().unwrap(), Err(RequestError::NoReply(RecvError::WouldBlock)));
            loop {
                let mut request = server.recv_timeout(PATIENCE).unwrap();
                let message = request.take_message();
                let is_last = message == "answered";
                request.reply(message).unwrap();
                if is_last {
                    break;
                }
            }
            assert_eq!(patient.join().unwrap(), Ok("answered".into()));
        });
    });
}

#[test]
fn an_answer_that_panics_leaves_the_next_request_to_others() {
    let place = Place::new(Transport::Inproc);
    let (server, endpoint) = place.bound::<Rep>();
    let server = SharedSocket::new(server);
    let mut clients = [(); 2].map(|()| place.connected::<Req>(&endpoint));
    let [first, second] = &mut clients;
    let first = first.request("panic").unwrap();
    thread::scope(|scope| {
        let panicking =
            scope.spawn(|| server.answer_timeout(PATIENCE, |_| -> Message { panic!("on purpose") }));
        panicking.join().unwrap_err();
    });
    let mut reply = second.request("hello").unwrap();
    server.answer_timeout(PATIENCE, |request| request).unwrap();
    assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), "hello");
    drop(first);
}

#[test]
fn a_peer_without_room_keeps_no_other_peer_waiting() {
    over(ALL, |place| {
        let mut router: Socket<Router> = place.builder().router_mandatory(true).send_hwm(1).open().unwrap();
        let endpoint: Endpoint = router.bind(place.address()).unwrap().into();
        let [mut full, mut free] = ["full", "free"].map(|name| {
            let name = RoutingId::new(name).unwrap();
            let mut dealer: Socket<Dealer> =
                place.builder().routing_id(name.clone()).recv_hwm(1).open().unwrap();
            dealer.connect(&endpoint).unwrap();
            send(&mut dealer, "here I am");
            router.recv_timeout(PATIENCE).unwrap();
            (name, dealer)
        });
        let body = Message::from(vec![1; 100_000]);
        let queued = fill_with(|| body.clone(), |message| router.send_to_timeout(&full.0, message, TURN));
        let router = SharedSocket::new(router);
        thread::scope(|scope| {
            let waiting = [(); 2].map(|()| {
                let (router, name) = (&router, &full.0);
                scope.spawn(move || router.send_to_timeout(name, "last", PATIENCE))
            });
            eventually("they wait", || router.hub_waiting(Side::Room) == (2, true));
            for number in 0..300 {
                router.send_to_timeout(&free.0, &numbered(number), PATIENCE).unwrap();
                assert_eq!(number_of(&recv(&mut free.1)), number);
            }
            for _ in 0..queued {
                recv(&mut full.1);
            }
            assert_eq!((recv(&mut full.1), recv(&mut full.1)), ("last".into(), "last".into()));
            waiting.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        });
    });
}

#[test]
fn a_peer_that_comes_while_threads_wait_is_heard() {
    over(ALL, |place| {
        let pull = SharedSocket::new(place.open::<Pull>());
        thread::scope(|scope| {
            let waiting = receivers(scope, &pull, PATIENCE);
            let endpoint: Endpoint = pull.with(|pull| pull.bind(place.address())).unwrap().into();
            let mut push: Socket<Push> = place.connected(&endpoint);
            for _ in 0..THREADS {
                send(&mut push, "for one of you");
            }
            waiting
                .into_iter()
                .for_each(|thread| assert_eq!(thread.join().unwrap().unwrap(), "for one of you"));
        });
    });
}

#[test]
fn the_last_handle_gives_the_socket_back() {
    let pair = SharedSocket::new(Context::new().open::<Pair>().unwrap());
    let other = pair.clone();
    let pair = pair.into_socket().unwrap_err();
    drop(other);
    assert_eq!(pair.into_socket().unwrap().socket_type(), SocketType::Pair);
    let any = SharedSocket::new(Context::new().open_any(SocketType::Push).unwrap());
    assert_eq!(any.recv(), Err(RecvError::NotSupported));
    assert_eq!(format!("{any:?}"), "SharedSocket { half: Some(\"Whole\"), .. }");
}
