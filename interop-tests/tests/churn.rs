//! Connections that come and go without end leave nothing behind: B-15, B-26, B-30, B-41.
//!
//! A few hundred rounds; with `PEERMQ_FULL` 10^5 to 10^6, for which a test takes minutes. What was reached is printed:
//! run with `--nocapture`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;
use std::time::{Duration, Instant};

use cap::Cap;
use interop_tests::raw::random::Random;
use interop_tests::raw::vectors::{G_NULL31, command, message, ready, ready_with};
use interop_tests::raw::{ALLOCATOR_LIMIT, Account, DEADLINE, FIGURE, Peer, Transport, alone, full_or};
use peermq::{
    ConnectionError, Context, Dealer, EventKind, Pattern, Pub, ReconnectInterval, Rep, Router, Socket,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Ipc];

/// Time for a handshake: how long a timer of a connection that is gone may be kept.
const HANDSHAKE: Duration = Duration::from_millis(200);

/// Most octets of memory more after all rounds than after a tenth of them; or 1 %, if that is more. Lists keep room for
/// some hundred entries.
const GROWTH_MAX: usize = 32 * 1024;

/// The same of a socket that nobody calls: it lets some tens of connections gather.
const UNSEEN_MAX: usize = 1024 * 1024;

/// A bound socket, and where.
struct Server<P: Pattern> {
    socket: Socket<P>,
    endpoint: String,
}

impl<P: Pattern> Server<P> {
    fn new(transport: Transport) -> Self {
        let context = Context::builder().io_threads(1).build();
        let builder = context.builder_for().recv_timeout(DEADLINE).handshake_interval(HANDSHAKE);
        let mut socket: Socket<P> = builder.linger(Duration::ZERO).open().unwrap();
        let endpoint = socket.bind(transport.free_endpoint()).unwrap().to_string();
        Self { socket, endpoint }
    }

    /// A peer that has shaken hands; the server may not know it yet.
    fn peer(&self, socket_type: &str, routing_id: &[u8]) -> Peer {
        let until = Instant::now() + DEADLINE;
        loop {
            let mut peer = Peer::connect(&self.endpoint);
            let properties = [("Socket-Type", socket_type.as_bytes()), ("Identity", routing_id)];
            _ = peer.try_write(&[&G_NULL31[..], &ready_with(&properties)].concat());
            if peer.take_handshake() {
                return peer;
            }
            assert!(Instant::now() < until, "no handshake succeeds");
        }
    }

    /// The server has taken notice that all are gone.
    fn await_nobody(&self) {
        let until = Instant::now() + DEADLINE;
        while !self.socket.peers().is_empty() {
            assert!(Instant::now() < until, "somebody is still there");
            std::thread::yield_now();
        }
    }
}

/// Calls `act` with the number of each round, and compares what is held at the end with what was after a tenth of the
/// rounds. Without a number: everybody leaves.
fn leaves_nothing(what: &str, rounds: usize, mut act: impl FnMut(Option<usize>)) {
    let start = Instant::now();
    let empty = Account::take(&ALLOCATOR);
    let mut held = |from: usize, to: usize| {
        (from..to).for_each(|round| act(Some(round)));
        // Until the last timer of a handshake has come.
        let until = Instant::now() + HANDSHAKE + Duration::from_millis(100);
        while Instant::now() < until {
            act(None);
            std::thread::sleep(Duration::from_millis(20));
        }
        empty.assert_closed_but(0);
        (Account::take(&ALLOCATOR), Account::resident())
    };
    let (before, resident_before) = held(0, rounds / 10);
    let (after, resident) = held(rounds / 10, rounds);
    println!(
        "{FIGURE}{what}: {rounds} rounds in {:.1?}, {} octets, {} more than after a tenth of them; resident {} KiB, \
         before {} KiB",
        start.elapsed(),
        after.octets(),
        after.octets().saturating_sub(before.octets()),
        resident / 1024,
        resident_before / 1024,
    );
    assert!(after.octets() <= before.octets() + GROWTH_MAX.max(before.octets() / 100), "{what}");
    assert!(resident <= resident_before + resident_before / 50 + (1 << 20), "{what}");
}

/// Who comes, and how far: nothing, half a greeting, a handshake, a handshake and these octets. Then it goes, with RST
/// or FIN.
fn visit(endpoint: &str, socket_type: &str, octets: &[u8], round: usize) {
    let mut peer = Peer::connect(endpoint);
    match round % 4 {
        0 => {}
        1 => _ = peer.try_write(&G_NULL31[..32]),
        _ => {
            let hello = [&G_NULL31[..], &ready(socket_type)].concat();
            _ = peer.try_write(&hello);
            _ = peer.take_handshake();
            if round % 4 == 3 {
                _ = peer.try_write(octets);
            }
        }
    }
    if round / 4 % 2 == 0 {
        peer.reset();
    } else {
        peer.finish();
        peer.read_to_end();
    }
}

fn visitors<P: Pattern>(socket_type: &str, octets: &[u8], mut work: impl FnMut(&mut Socket<P>)) {
    for transport in TRANSPORTS {
        let mut server = Server::<P>::new(transport);
        let what = format!("visitors of {:?} over {transport:?}", server.socket.socket_type());
        leaves_nothing(&what, full_or(1_000_000, 1000), |round| {
            if let Some(round) = round {
                visit(&server.endpoint, socket_type, octets, round);
            }
            if round.is_none_or(|round| round % 50 == 0) {
                work(&mut server.socket);
            }
        });
    }
}

#[test]
fn visitors_of_a_pub_leave_nothing_behind() {
    // B-26
    alone("visitors_of_a_pub_leave_nothing_behind", || {
        visitors::<Pub>("SUB", &command("SUBSCRIBE", b"topic"), |publisher| {
            publisher.send("topic").unwrap();
        });
    });
}

#[test]
fn visitors_of_a_router_leave_nothing_behind() {
    // B-26
    alone("visitors_of_a_router_leave_nothing_behind", || {
        visitors::<Router>("DEALER", &message(&["hello"]), |router| {
            while let Ok((from, _)) = router.try_recv() {
                router.send_to(&from, "too late, perhaps").unwrap();
            }
        });
    });
}

#[test]
fn visitors_of_a_rep_leave_nothing_behind() {
    // B-26
    alone("visitors_of_a_rep_leave_nothing_behind", || {
        visitors::<Rep>("REQ", &message(&["", "question"]), |rep| {
            while let Ok(request) = rep.try_recv() {
                request.reply("too late, perhaps").unwrap();
            }
        });
    });
}

/// Nobody calls the socket meanwhile.
fn unseen_visitors<P: Pattern>(socket_type: &str, octets: &[u8]) {
    for transport in TRANSPORTS {
        let start = Instant::now();
        let server = Server::<P>::new(transport);
        let account = Account::take(&ALLOCATOR);
        let rounds = full_or(1_000_000, 1000);
        let mut most = 0;
        for round in 0..rounds {
            visit(&server.endpoint, socket_type, octets, round);
            most = most.max(account.growth());
        }
        server.await_nobody();
        println!(
            "{FIGURE}unseen visitors of {:?} over {transport:?}: {rounds} rounds in {:.1?}, at most {most} octets",
            server.socket.socket_type(),
            start.elapsed(),
        );
        assert!(most < UNSEEN_MAX, "{most}");
        drop(server);
        account.assert_closed_but(0);
    }
}

#[test]
fn visitors_that_nobody_looks_at_leave_nothing_behind() {
    // B-26: the program is busy with something else. What they said is kept, if it can be received.
    alone("visitors_that_nobody_looks_at_leave_nothing_behind", || {
        unseen_visitors::<Pub>("SUB", &command("SUBSCRIBE", b"topic"));
        unseen_visitors::<Router>("DEALER", b"");
    });
}

/// A client asks and is gone before the reply. `answer` takes what it asked, calls the closure, and replies.
fn leave_early<P: Pattern>(mut answer: impl FnMut(&mut Socket<P>, &mut dyn FnMut())) {
    for transport in TRANSPORTS {
        let mut server = Server::<P>::new(transport);
        let what = format!("clients of {:?} that leave, over {transport:?}", server.socket.socket_type());
        let rounds = full_or(100_000, 500);
        let mut ask = |leaves: bool, waits: bool| {
            let mut peer = server.peer("REQ", b"");
            peer.write(&message(&["", "question"]));
            let mut peer = Some(peer);
            answer(&mut server.socket, &mut || {
                if leaves {
                    peer.take().unwrap().reset();
                }
            });
            if let Some(mut peer) = peer {
                assert_eq!(peer.message().unwrap(), [&b""[..], b"answer"]);
                peer.reset();
            }
            // Else the server may learn of it before the reply, or after it.
            if waits {
                server.await_nobody();
            }
        };
        leaves_nothing(&what, rounds, |round| {
            if let Some(round) = round {
                ask(round % 100 != 0, round % 2 == 0);
            }
        });
        ask(false, true);
    }
}

#[test]
fn clients_that_leave_before_their_reply_cost_nothing() {
    // B-15
    alone("clients_that_leave_before_their_reply_cost_nothing", || {
        leave_early::<Rep>(|rep, leave| {
            let request = rep.recv().unwrap();
            leave();
            request.reply("answer").unwrap();
        });
        leave_early::<Router>(|router, leave| {
            let (from, request) = router.recv().unwrap();
            assert_eq!(request, ["", "question"]);
            leave();
            router.send_to(&from, ["", "answer"]).unwrap();
        });
    });
}

#[test]
fn many_with_one_name_cost_nothing() {
    // B-41: each is refused as long as the one before is there, or takes its place.
    alone("many_with_one_name_cost_nothing", || {
        for (transport, hands_over) in TRANSPORTS.into_iter().flat_map(|one| [(one, false), (one, true)]) {
            let context = Context::builder().io_threads(1).build();
            let builder = context.builder_for().router_handover(hands_over).handshake_interval(HANDSHAKE);
            let mut router: Socket<Router> = builder.linger(Duration::ZERO).open().unwrap();
            let endpoint = router.bind(transport.free_endpoint()).unwrap().to_string();
            let hello = [
                &G_NULL31[..],
                &ready_with(&[("Socket-Type", b"DEALER"), ("Identity", b"one")]),
                &message(&["hello"]),
            ]
            .concat();
            let what = format!("one name over {transport:?}, handover {hands_over}");
            let (mut last, mut served) = (None, 0);
            leaves_nothing(&what, full_or(25_000, 200), |round| {
                // The one before goes first, or at the same time.
                if round.is_none_or(|round| round % 3 == 0) {
                    last.take().into_iter().for_each(Peer::reset);
                }
                if round.is_some() {
                    let mut peer = Peer::connect(&endpoint);
                    _ = peer.try_write(&hello);
                    _ = peer.take_handshake();
                    last.replace(peer).into_iter().for_each(Peer::reset);
                }
                while let Ok((from, _)) = router.try_recv() {
                    served += 1;
                    _ = router.send_to(&from, "welcome");
                }
            });
            assert!(served > 0);
        }
    });
}

#[test]
fn a_turn_goes_on_when_those_in_it_are_killed() {
    // B-41: three peers with one name, of which one after the other is killed with messages to it and from it under
    // way.
    alone("a_turn_goes_on_when_those_in_it_are_killed", || {
        for transport in TRANSPORTS {
            let mut server = Server::<Dealer>::new(transport);
            let what = format!("killed in turn over {transport:?}");
            let (mut sent, mut received) = (0_u64, 0_u64);
            let (mut peers, mut random) = (Vec::new(), Random(41));
            leaves_nothing(&what, full_or(50_000, 400), |round| {
                if round.is_none() {
                    peers.drain(..).for_each(Peer::reset);
                    while server.socket.try_recv().is_ok() {}
                    return;
                }
                while peers.len() < 3 {
                    peers.push(server.peer("ROUTER", b"one"));
                }
                for peer in &mut peers {
                    peer.write(&message(&["from a peer"]));
                }
                let mut exchange = || {
                    for _ in 0..3 {
                        sent += u64::from(server.socket.try_send("to a peer").is_ok());
                        received += u64::from(server.socket.try_recv().is_ok());
                    }
                };
                exchange();
                peers.swap_remove(random.below(3)).reset();
                exchange();
            });
            assert!(sent > 0 && received > 0, "{sent} {received}");
        }
    });
}

#[test]
fn a_socket_does_not_meet_itself() {
    // B-30: connects to a port that is free, from ports of the same range. Ports of connects are even, those that
    // somebody is given to listen at are odd: nobody else is met.
    alone("a_socket_does_not_meet_itself", || {
        let port = 40_000 + 2 * (std::process::id() % 8000);
        let builder = Context::new().builder_for::<Dealer>().linger(Duration::ZERO);
        let interval = ReconnectInterval::Every(Duration::ZERO);
        let mut dealer = builder.reconnect_interval(interval).open().unwrap();
        let monitor = dealer.monitor();
        let (start, wanted) = (Instant::now(), full_or(100_000, 5000));
        let (mut attempts, mut oneself) = (0, 0);
        for _ in 0..16 {
            dealer.connect(format!("tcp://127.0.0.1:{port}")).unwrap();
        }
        while attempts < wanted {
            let kind = monitor.recv_timeout(DEADLINE).unwrap().kind;
            assert!(!matches!(kind, EventKind::Connected | EventKind::Ready(_)), "somebody is there");
            if let EventKind::ConnectFailed(ConnectionError::Io(error)) = kind {
                attempts += 1;
                // The system has no part in this one.
                oneself += usize::from(error.code.is_none());
            }
        }
        println!("{FIGURE}{attempts} connects in {:.1?}, {oneself} of them to itself", start.elapsed());
        assert!(oneself > 0 || wanted < 100_000, "it never came to it");
        assert!(dealer.peers().is_empty());
    });
}
