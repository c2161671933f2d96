//! Proxies: what goes in comes out, once and whole, whatever happens on either side.

use super::ledger::{Ledger, count};
use super::*;
use crate::{
    AnyPattern, Dealer, ForwardError, Pair, Proxy, ProxyControl, ProxyEnd, Pub, RecvError, Rep, Req, Router,
    RoutingId, SocketType, Sub, XPub, XSub,
};

type Running<F, B> = thread::JoinHandle<ProxyEnd<F, B>>;

fn start<F: Pattern, B: Pattern>(proxy: Proxy<F, B>) -> (ProxyControl, Running<F, B>) {
    let control = proxy.control();
    (control, thread::spawn(move || proxy.run()))
}

/// A PULL and a PUSH with queues of so many messages, and where they are.
fn pull_and_push(place: &Place, queue: u32) -> (Proxy<Pull, Push>, Endpoint, Endpoint) {
    let mut frontend: Socket<Pull> = place.builder().recv_hwm(queue).open().unwrap();
    let mut backend: Socket<Push> = place.builder().send_hwm(queue).open().unwrap();
    let into = frontend.bind(place.address()).unwrap().into();
    let out = backend.bind(place.address()).unwrap().into();
    (Proxy::new(frontend, backend).unwrap(), into, out)
}

#[test]
fn everything_passes_once_whole_and_in_order_whoever_is_slow() {
    // L-05, E-10, E-11
    over(ALL, |place| {
        let (proxy, into, out) = pull_and_push(place, 10);
        let (control, running) = start(proxy);
        let mut push: Socket<Push> = place.builder().send_hwm(10).open().unwrap();
        push.connect(&into).unwrap();
        let mut pull: Socket<Pull> = place.builder().recv_hwm(10).open().unwrap();
        pull.connect(&out).unwrap();
        let (mut ledger, mut dice, mut octets) = (Ledger::new(1), Dice(1), 0);
        let total = count(3000, 100_000);
        while ledger.figures.accepted < total || ledger.missing() > 0 {
            // Sometimes the one is faster, sometimes the other, and they always stop at what is full or empty.
            for _ in 0..dice.roll(200) {
                let body = if dice.roll(50) == 0 { LARGE } else { dice.roll(300) };
                let message = ledger.next(0, body);
                let size = message.size() as u64;
                if ledger.figures.accepted == total || push.send_timeout(message, TURN).is_err() {
                    break;
                }
                ledger.accepted(0, 1);
                octets += size;
            }
            for _ in 0..dice.roll(200) {
                let Ok(message) = pull.recv_timeout(TURN) else { break };
                ledger.delivered(0, &message);
            }
        }
        control.pause();
        let passed = control.statistics().to_backend;
        assert_eq!((passed.messages, passed.octets, passed.refused), (total, octets, 0));
        control.terminate();
        let end = running.join().unwrap();
        assert_eq!(end.statistics.to_backend, passed);
        assert_eq!((end.to_backend, end.to_frontend, end.was_shut_down), (None, None, false));
        ledger.figures.check(1);
    });
}

#[test]
fn requests_and_replies_of_many_pass_both_ways() {
    // a shared queue of ROUTER and DEALER.
    over(ALL, |place| {
        const EACH: u32 = 300;
        let (frontend, clients) = place.bound::<Router>();
        let (backend, servers) = place.bound::<Dealer>();
        let (control, running) = start(Proxy::new(frontend, backend).unwrap());
        thread::scope(|scope| {
            for _ in 0..3 {
                let mut server: Socket<Rep> = place.connected(&servers);
                scope.spawn(move || {
                    while let Ok(mut request) = server.recv_timeout(2 * PATIENCE) {
                        let message = request.take_message();
                        if request.reply(message).is_err() {
                            return;
                        }
                    }
                });
            }
            let asking: Vec<_> = (0..4)
                .map(|client| {
                    let mut socket: Socket<Req> = place.connected(&clients);
                    scope.spawn(move || {
                        for number in 0..EACH {
                            let message = Message::from([&numbered(client), &numbered(number)]);
                            let mut reply = socket.request_timeout(message.clone(), PATIENCE).unwrap();
                            assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), message);
                        }
                    })
                })
                .collect();
            asking.into_iter().for_each(|client| client.join().unwrap());
            control.terminate();
            let end = running.join().unwrap();
            for passed in [end.statistics.to_backend, end.statistics.to_frontend] {
                assert_eq!(passed.messages, u64::from(4 * EACH));
            }
            place.context.shutdown(); // ends the servers
        });
    });
}

#[test]
fn req_and_rep_pass_in_turn() {
    over(ALL, |place| {
        let (frontend, clients) = place.bound::<Rep>();
        let (backend, servers) = place.bound::<Req>();
        let (control, running) = start(Proxy::new(frontend, backend).unwrap());
        let mut server: Socket<Rep> = place.connected(&servers);
        let serving = thread::spawn(move || {
            while let Ok(mut request) = server.recv() {
                let message = request.take_message();
                if request.reply(message).is_err() {
                    return;
                }
            }
        });
        thread::scope(|scope| {
            for client in 0..3 {
                let mut socket: Socket<Req> = place.connected(&clients);
                scope.spawn(move || {
                    for number in 0..100 {
                        let message = Message::from([&numbered(client), &numbered(number)]);
                        let mut reply = socket.request_timeout(message.clone(), PATIENCE).unwrap();
                        assert_eq!(reply.recv_timeout(PATIENCE).unwrap(), message);
                    }
                });
            }
        });
        control.terminate();
        assert_eq!(running.join().unwrap().statistics.to_frontend.messages, 300);
        place.context.shutdown();
        serving.join().unwrap();
    });
}

#[test]
fn any_two_types_between_which_something_can_pass_make_a_proxy() {
    let context = Context::new();
    let open = |socket_type| context.open_any(socket_type).unwrap();
    let one_way = |types: &[SocketType], socket_type| types.contains(&socket_type);
    for &front in SocketType::ALL {
        for &back in SocketType::ALL {
            let made = Proxy::new(open(front), open(back));
            let both_send = [front, back].iter().all(|it| one_way(&[SocketType::Push, SocketType::Pub], *it));
            let both_receive =
                [front, back].iter().all(|it| one_way(&[SocketType::Pull, SocketType::Sub], *it));
            if both_send || both_receive {
                assert_eq!(made.unwrap_err(), ForwardError::NothingPasses(front, back));
            } else {
                drop(made.unwrap());
            }
        }
        let proxy = Proxy::new(open(SocketType::Pull), open(SocketType::Push)).unwrap();
        let captured = proxy.capture(open(front)).map(drop);
        let cannot = [SocketType::Pull, SocketType::Sub, SocketType::Rep, SocketType::Req].contains(&front);
        assert_eq!(captured, if cannot { Err(ForwardError::CannotCapture(front)) } else { Ok(()) });
    }
}

#[test]
fn two_sockets_of_the_same_type_pass_both_ways() {
    over(ALL, |place| {
        for socket_type in [SocketType::Pair, SocketType::Dealer] {
            let open = || -> (Socket<AnyPattern>, Endpoint) {
                let mut socket =
                    place.context.builder_for_any(socket_type).linger(Linger::DISCARD).open().unwrap();
                let endpoint = socket.bind(place.address()).unwrap().into();
                (socket, endpoint)
            };
            let ((frontend, left), (backend, right)) = (open(), open());
            let (control, running) = start(Proxy::new(frontend, backend).unwrap());
            let (mut left_socket, mut right_socket) = (open().0, open().0);
            left_socket.connect(&left).unwrap();
            right_socket.connect(&right).unwrap();
            for number in 0..100 {
                send(&mut left_socket, &numbered(number));
                assert_eq!(number_of(&recv(&mut right_socket)), number);
                send(&mut right_socket, &numbered(number));
                send(&mut right_socket, ["two", "frames"]);
                assert_eq!(number_of(&recv(&mut left_socket)), number);
                assert_eq!(recv(&mut left_socket), ["two", "frames"]);
            }
            control.terminate();
            running.join().unwrap();
        }
    });
}

#[test]
fn while_one_way_is_full_the_other_goes_on() {
    over(ALL, |place| {
        let open = || -> (Socket<Pair>, Endpoint) {
            let mut socket: Socket<Pair> = place.builder().send_hwm(1).recv_hwm(5).open().unwrap();
            let endpoint = socket.bind(place.address()).unwrap().into();
            (socket, endpoint)
        };
        let ((frontend, left), (backend, right)) = (open(), open());
        let (control, running) = start(Proxy::new(frontend, backend).unwrap());
        let ((mut left_socket, _), (mut right_socket, _)) = (open(), open());
        left_socket.connect(&left).unwrap();
        right_socket.connect(&right).unwrap();
        fill(&mut right_socket, &Message::from(vec![1; 100_000]));
        let mut dice = Dice(3);
        for number in 0..count(1000, 20_000) {
            // The second one may come while the way down is tried in vain again.
            for half in 0..2 {
                send(&mut left_socket, &numbered(2 * number + half));
                (0..dice.roll(1000)).for_each(|_| std::hint::spin_loop());
            }
            for half in 0..2 {
                assert_eq!(number_of(&recv(&mut right_socket)), 2 * number + half);
            }
        }
        control.terminate();
        assert!(running.join().unwrap().to_frontend.is_some(), "it was held all the time");
    });
}

/// A proxy of XSUB and XPUB, connected to `up`, and bound at `at`.
fn relay(place: &Place, up: &Endpoint, at: &Endpoint) -> (ProxyControl, Running<XSub, XPub>) {
    let mut upstream: Socket<XSub> = place.builder().recv_hwm(0).open().unwrap();
    upstream.connect(up).unwrap();
    let mut downstream: Socket<XPub> = place.builder().send_hwm(0).open().unwrap();
    eventually("the address is free", || downstream.bind(at).is_ok());
    start(Proxy::new(upstream, downstream).unwrap())
}

/// Publishes until the subscriber has something new, of this round.
fn hears(publisher: &mut Socket<Pub>, subscriber: &mut Socket<Sub>, round: u32) {
    eventually("the subscriber hears the publisher", || {
        publisher.send([b"b", &numbered(round)[..]].concat()).unwrap();
        publisher.send([b"a", &numbered(round)[..]].concat()).unwrap();
        thread::yield_now();
        while let Ok(message) = subscriber.try_recv() {
            assert_eq!(message.body()[0], b'a', "nobody asked for it");
            if message.body()[1..] == numbered(round) {
                return true;
            }
        }
        false
    });
}

#[test]
fn subscriptions_survive_restarts_of_everybody_over_three_hops() {
    // S-25, S-29, A-17: the set of topics is told again to every publisher that comes back.
    over(WIRES, |place| {
        let at: Vec<Endpoint> = (0..4).map(|_| place.address()).collect();
        let publish = || {
            let mut publisher: Socket<Pub> = place.builder().send_hwm(0).open().unwrap();
            eventually("the address is free", || publisher.bind(&at[0]).is_ok());
            publisher
        };
        let subscribe = || {
            let mut subscriber: Socket<Sub> = place.builder().recv_hwm(0).open().unwrap();
            subscriber.subscribe("a").unwrap();
            subscriber.connect(&at[3]).unwrap();
            subscriber
        };
        let (mut publisher, mut subscriber) = (publish(), subscribe());
        let mut relays: Vec<_> = (0..3).map(|hop| relay(place, &at[hop], &at[hop + 1])).collect();
        hears(&mut publisher, &mut subscriber, 0);
        for round in 1..count(8, 40) {
            match round % 4 {
                0 => {
                    drop(publisher);
                    publisher = publish();
                }
                1 => {
                    drop(subscriber);
                    publisher.wait_for_subscribers(0, PATIENCE).unwrap();
                    subscriber = subscribe();
                }
                _ => {
                    let hop = (round as usize / 2) % 3;
                    let (control, running) = relays.remove(hop);
                    control.terminate();
                    drop(running.join().unwrap());
                    relays.insert(hop, relay(place, &at[hop], &at[hop + 1]));
                }
            }
            hears(&mut publisher, &mut subscriber, round);
        }
        // The last one leaves: nobody asks for anything any more, all the way up.
        assert_eq!((publisher.subscriber_count(), publisher.topic_count()), (1, 1));
        subscriber.unsubscribe("a");
        eventually("the cancellation is at the publisher", || publisher.topic_count() == 0);
        for (control, running) in relays {
            control.terminate();
            let end = running.join().unwrap();
            assert_eq!((end.statistics.to_backend.refused, end.frontend.dropped().full), (0, 0));
        }
    });
}

#[test]
fn senders_receivers_and_proxies_come_and_go_and_everything_passes_once() {
    // L-05, E-10, E-11
    over(ALL, |place| {
        let (proxy, into, out) = pull_and_push(place, 100);
        let (mut control, mut running) = start(proxy);
        let mut pull: Socket<Pull> = place.connected(&out);
        let mut ledger = Ledger::new(2);
        for sender in 0..count(20, 100) {
            let mut push: Socket<Push> = place.connected(&into);
            for _ in 0..100 {
                let message = ledger.next(sender, 50);
                send(&mut push, message);
                ledger.accepted(sender, 1);
            }
            if sender % 2 == 0 {
                // In the middle of the traffic, and its sockets go on in another one.
                control.terminate();
                let end = running.join().unwrap();
                let (frontend, mut backend) = (end.frontend, end.backend);
                if let Some(held) = end.to_backend {
                    send(&mut backend, held);
                }
                (control, running) = start(Proxy::new(frontend, backend).unwrap());
            }
            while ledger.missing() > 0 {
                ledger.delivered(0, &recv(&mut pull));
            }
            drop(push);
            if sender % 3 == 0 {
                // What is sent before its leaving is noticed would be lost with it.
                control.terminate();
                let mut end = running.join().unwrap();
                drop(pull);
                eventually("the receiver's leaving is noticed", || {
                    end.backend.core.handle_mail(&mut end.backend.pattern);
                    end.backend.core.pipes.iter().count() == 0
                });
                (control, running) = start(Proxy::new(end.frontend, end.backend).unwrap());
                pull = place.connected(&out);
            }
        }
        control.terminate();
        running.join().unwrap();
        ledger.figures.check(2);
    });
}

#[test]
fn a_paused_proxy_takes_nothing_and_goes_on_when_it_is_told_to() {
    over(ALL, |place| {
        let (proxy, into, out) = pull_and_push(place, 1000);
        let control = proxy.control();
        control.pause(); // before it runs, too
        let running = thread::spawn(move || proxy.run());
        let mut push: Socket<Push> = place.connected(&into);
        let mut pull: Socket<Pull> = place.connected(&out);
        for round in 0..20 {
            control.pause();
            let before = control.statistics();
            for number in 0..10 {
                send(&mut push, &numbered(round * 10 + number));
            }
            if round < 2 {
                assert_eq!(pull.recv_timeout(STALL), Err(RecvError::WouldBlock));
            }
            assert_eq!(control.statistics(), before);
            control.resume();
            for number in 0..10 {
                assert_eq!(number_of(&recv(&mut pull)), round * 10 + number);
            }
        }
        control.terminate();
        control.pause(); // nothing to wait for, whether it is over or not
        let end = running.join().unwrap();
        control.pause();
        assert_eq!(end.statistics, control.statistics());
        assert_eq!(end.statistics.to_backend.messages, 200);
    });
}

#[test]
fn what_has_no_room_is_held_and_handed_back_in_the_end() {
    over(ALL, |place| {
        let (proxy, into, _) = pull_and_push(place, 5);
        let (control, running) = start(proxy);
        let mut push: Socket<Push> = place.builder().send_hwm(1).open().unwrap();
        push.connect(&into).unwrap();
        for number in 0..5 {
            send(&mut push, &numbered(number));
        }
        // Nobody is at the backend: one message is held, and the proxy sleeps.
        eventually("one is held", || place.context.stats().received.messages == 1);
        let asleep = || {
            let mut rounds = control.rounds();
            eventually("it sleeps", || {
                thread::sleep(TURN);
                std::mem::replace(&mut rounds, control.rounds()) == rounds
            });
            rounds
        };
        let rounds = asleep();
        assert_eq!(control.statistics().to_backend.messages, 0);
        // What concerns another socket does not keep it awake.
        let other: Socket<Push> = place.connected(&into);
        drop(other);
        assert!(asleep() < rounds + 100);
        control.terminate();
        let mut end = running.join().unwrap();
        assert_eq!(end.to_backend.as_ref().map(number_of), Some(0));
        for number in 1..5 {
            assert_eq!(number_of(&recv(&mut end.frontend)), number);
        }
    });
}

#[test]
fn a_shutdown_ends_it_and_what_it_held_is_handed_back() {
    // Promise 11, X-31
    over(ALL, |place| {
        for is_paused in [false, true] {
            let place = Place::new(place.transport);
            let (proxy, into, _) = pull_and_push(&place, 5);
            let (control, running) = start(proxy);
            let sender = Place::new(place.transport);
            let mut push: Socket<Push> =
                if place.transport == Transport::Inproc { place.open() } else { sender.open() };
            push.connect(&into).unwrap();
            send(&mut push, "held");
            if is_paused {
                control.pause();
            }
            place.context.shutdown();
            let end = running.join().unwrap();
            assert!(end.was_shut_down);
            assert!(end.to_backend.is_none_or(|message| message == "held"));
        }
    });
}

#[test]
fn the_capture_gets_a_copy_of_everything_both_ways() {
    over(ALL, |place| {
        let (frontend, left) = place.bound::<Pair>();
        let (backend, right) = place.bound::<Pair>();
        let mut capture: Socket<Push> = place.builder().send_hwm(3).open().unwrap();
        let copies = capture.bind(place.address()).unwrap();
        let (control, running) = start(Proxy::new(frontend, backend).unwrap().capture(capture).unwrap());
        let mut left: Socket<Pair> = place.connected(&left);
        let mut right: Socket<Pair> = place.connected(&right);
        send(&mut left, "waits for somebody who takes its copy");
        assert_eq!(right.recv_timeout(TURN), Err(RecvError::WouldBlock));
        let mut listener: Socket<Pull> = place.builder().recv_hwm(3).open().unwrap();
        listener.connect(&*copies).unwrap();
        let large = vec![9; LARGE];
        assert_eq!(recv(&mut right), "waits for somebody who takes its copy");
        assert_eq!(recv(&mut listener), "waits for somebody who takes its copy");
        for number in 0..50 {
            send(&mut left, [&numbered(number)[..], &large]);
            assert_eq!(recv(&mut right), [&numbered(number)[..], &large]);
            send(&mut right, ["back", "again"]);
            assert_eq!(recv(&mut left), ["back", "again"]);
            assert_eq!(recv(&mut listener), [&numbered(number)[..], &large]);
            assert_eq!(recv(&mut listener), ["back", "again"]);
        }
        control.terminate();
        assert_eq!(running.join().unwrap().statistics.to_frontend.messages, 50);
    });
}

#[test]
fn what_is_for_nobody_is_counted_and_the_rest_goes_on() {
    //
    over(ALL, |place| {
        let mut frontend: Socket<Router> = place.builder().router_mandatory(true).open().unwrap();
        let clients = frontend.bind(place.address()).unwrap();
        let (backend, servers) = place.bound::<Dealer>();
        let (control, running) = start(Proxy::new(frontend, backend).unwrap());
        let ada = RoutingId::new("ada").unwrap();
        let mut client: Socket<Dealer> = place.builder().routing_id(ada).open().unwrap();
        client.connect(&*clients).unwrap();
        let mut server: Socket<Dealer> = place.connected(&servers);
        send(&mut client, "hello");
        assert_eq!(recv(&mut server), ["ada", "hello"]);
        send(&mut server, ["bob", "who is that?"]);
        send(&mut server, "nothing behind it");
        send(&mut server, ["ada", "hello, Ada"]);
        assert_eq!(recv(&mut client), "hello, Ada");
        control.terminate();
        let passed = running.join().unwrap().statistics.to_frontend;
        assert_eq!((passed.messages, passed.refused), (1, 2));
    });
}

#[test]
fn without_anybody_to_steer_it_a_proxy_goes_on() {
    let place = Place::new(Transport::Inproc);
    let (proxy, into, out) = pull_and_push(&place, 5);
    let (control, running) = start(proxy);
    drop(control);
    let mut push: Socket<Push> = place.connected(&into);
    let mut pull: Socket<Pull> = place.connected(&out);
    send(&mut push, "through");
    assert_eq!(recv(&mut pull), "through");
    place.context.shutdown();
    assert!(running.join().unwrap().was_shut_down);
}
