//! Connections that end when a timer of theirs is due, a millisecond earlier or later: B-16.
//!
//! 400 for each timer and place; with `PEERMQ_FULL` 10^5 for each timer. Each test has a process of its own, in which a
//! panic of any thread ends it, and leaves no descriptor, thread or memory behind. How many were before their timer is
//! printed: run with `--nocapture`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use cap::Cap;
use interop_tests::raw::random::Random;
use interop_tests::raw::vectors::{G_NULL31, PONG, message, ready};
use interop_tests::raw::{
    ALLOCATOR_LIMIT, Account, DEADLINE, FIGURE, Listener, Meeting, Peer, Role, Speaks, Transport, alone,
    full_or,
};
use peermq::{
    Builder, Connection, ConnectionState, Context, EventKind, Monitor, Pull, Push, ReconnectInterval, Socket,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

const TRANSPORTS: [Transport; 2] = [Transport::Ipc, Transport::Tcp];

/// When timers are due that are tested, or a multiple.
const TIMER: Duration = Duration::from_millis(20);

/// How many connections there are at a time: they are made in less than [`TIMER`].
const BATCH: usize = 100;

/// What is on its way to its time.
struct Due<T>(Vec<(Instant, T)>);

impl<T> Due<T> {
    fn new() -> Self {
        Self(Vec::with_capacity(BATCH))
    }

    /// At a random time within a millisecond of `timer`.
    fn add(&mut self, timer: Instant, random: &mut Random, what: T) {
        let late = u64::try_from(random.below(2000)).unwrap();
        self.0.push((timer - Duration::from_millis(1) + Duration::from_micros(late), what));
    }

    /// Acts on each at its time.
    fn each(mut self, mut act: impl FnMut(T)) {
        self.0.sort_by_key(|(at, _)| *at);
        for (at, what) in self.0 {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            act(what);
        }
    }
}

/// What a peer does at its time, and how many did it before ours had closed.
struct Ways {
    random: Random,
    early: usize,
    late: usize,
}

impl Ways {
    fn new() -> Self {
        Self { random: Random(16), early: 0, late: 0 }
    }

    /// Goes with RST, with FIN, or says `words` and FIN. `None`: it is gone.
    fn go(&mut self, mut peer: Peer, words: &[u8]) -> Option<Peer> {
        if peer.is_closed() {
            self.late += 1;
        } else {
            self.early += 1;
        }
        match self.random.below(3) {
            0 => {
                peer.reset();
                return None;
            }
            1 => {}
            _ => _ = peer.try_write(words),
        }
        peer.finish();
        Some(peer)
    }
}

fn report(what: &str, ways: &Ways, start: Instant) {
    let Ways { early, late, .. } = ways;
    println!(
        "{FIGURE}{what}: {} connections in {:.1?}, {early} before their timer",
        early + late,
        start.elapsed()
    );
}

/// When the next event of this kind was.
fn time_of(monitor: &Monitor, is_it: impl Fn(&EventKind) -> bool) -> Instant {
    loop {
        let event = monitor.recv_timeout(DEADLINE).unwrap();
        assert!(!matches!(event.kind, EventKind::Missed(_)));
        if is_it(&event.kind) {
            return event.at;
        }
    }
}

/// Runs batches of peers that `open` brings to the point from which on `timers` run, which it returns.
fn besiege(
    what: &str,
    timers: &[Duration],
    words: &[u8],
    options: impl Fn(Builder<Pull>) -> Builder<Pull>,
    open: impl Fn(&Meeting<Pull>, &Monitor) -> (Peer, Instant),
) {
    for (role, transport) in
        TRANSPORTS.into_iter().flat_map(|one| [(Role::Binds, one), (Role::Connects, one)])
    {
        // The thread, and what it keeps.
        drop(Meeting::<Pull>::new(role, transport).peer());
        let account = Account::take(&ALLOCATOR);
        let start = Instant::now();
        let mut meeting = Meeting::<Pull>::with(role, transport, &options);
        let monitor = meeting.socket.monitor();
        // The monitor may be too late for the first connection: behind its end each has its event.
        drop(meeting.peer());
        time_of(&monitor, |kind| {
            matches!(kind, EventKind::Disconnected(_) | EventKind::HandshakeFailed(_) | EventKind::Left)
        });
        meeting.connect_more(BATCH - 1);
        let mut ways = Ways::new();
        for _ in 0..full_or(25_000, 400) / BATCH {
            let mut due = Due::new();
            for _ in 0..BATCH {
                let (peer, from) = open(&meeting, &monitor);
                let timer = timers[ways.random.below(timers.len())];
                due.add(from + timer, &mut ways.random, peer);
            }
            let mut gone = Vec::with_capacity(BATCH);
            due.each(|peer| gone.extend(ways.go(peer, words)));
            for mut peer in gone {
                peer.read_to_end();
            }
            while meeting.socket.try_recv().is_ok() {}
        }
        is_alive(&mut meeting);
        report(&format!("{what}, {role:?} over {transport:?}"), &ways, start);
        assert!(ways.early > 0 && ways.late > 0, "all on one side of the timer");
        drop((meeting, monitor));
        account.assert_restored();
    }
}

/// LIVE; a peer may be too slow for a timer, the next one is not.
fn is_alive(meeting: &mut Meeting<Pull>) {
    let until = Instant::now() + DEADLINE;
    loop {
        let mut peer = meeting.ready_peer();
        if peer.try_write(&message(&["alive"])).is_ok() {
            while let Ok(got) = meeting.socket.recv_timeout(TIMER) {
                if got == "alive" {
                    return;
                }
            }
        }
        assert!(Instant::now() < until, "no peer is served");
    }
}

#[test]
fn connections_end_when_their_handshake_is_too_late() {
    alone("connections_end_when_their_handshake_is_too_late", || {
        let words = [&G_NULL31[..], &ready(Pull::PEER), &message(&["in time, perhaps"])].concat();
        let options = |builder: Builder<Pull>| builder.handshake_interval(TIMER);
        besiege("handshake", &[TIMER], &words, options, |meeting, monitor| {
            let is_there = |kind: &EventKind| matches!(kind, EventKind::Accepted | EventKind::Connected);
            (meeting.peer(), time_of(monitor, is_there))
        });
    });
}

#[test]
fn connections_end_when_a_heartbeat_is_due() {
    // The first PING, and the end of those who did not answer it.
    alone("connections_end_when_a_heartbeat_is_due", || {
        let words = [PONG, &message(&["in time, perhaps"])].concat();
        let options = |builder: Builder<Pull>| builder.heartbeat_interval(TIMER);
        besiege("heartbeat", &[TIMER, 2 * TIMER], &words, options, |meeting, monitor| {
            (meeting.ready_peer(), time_of(monitor, |kind| matches!(kind, EventKind::Ready(_))))
        });
    });
}

#[test]
fn connections_end_when_they_are_to_be_made_again() {
    // Their peers are gone, and the program takes them back when the pause is over.
    alone("connections_end_when_they_are_to_be_made_again", || {
        for transport in TRANSPORTS {
            drop(Meeting::<Pull>::new(Role::Connects, transport).peer());
            let account = Account::take(&ALLOCATOR);
            let (start, mut ways) = (Instant::now(), Ways::new());
            let listener = Listener::bind(transport);
            let context = Context::builder().io_threads(1).build();
            let builder = context.builder_for::<Pull>().reconnect_interval(ReconnectInterval::Every(TIMER));
            let mut socket = builder.linger(Duration::ZERO).open().unwrap();
            let monitor = socket.monitor();
            let mut newest = 0;
            for _ in 0..full_or(50_000, 400) / BATCH {
                let connections: Vec<Connection> =
                    (0..BATCH).map(|_| socket.connect(listener.endpoint()).unwrap()).collect();
                let mut peers = Vec::with_capacity(BATCH);
                while peers.len() < BATCH {
                    // Some are of the last batch, and over.
                    let mut peer = listener.accept();
                    peers.extend(peer.shake_hands(Pull::PEER).then_some(peer));
                }
                peers.into_iter().for_each(Peer::reset);
                let mut retried = BTreeMap::new();
                while retried.len() < BATCH {
                    let event = monitor.recv_timeout(DEADLINE).unwrap();
                    assert!(!matches!(event.kind, EventKind::Missed(_)));
                    if let (EventKind::Retried { pause, .. }, Some(number)) = (event.kind, event.connection) {
                        retried.extend((number > newest).then_some((number, event.at + pause)));
                    }
                }
                newest = *retried.last_key_value().unwrap().0;
                let mut due = Due::new();
                for (connection, timer) in connections.into_iter().zip(retried.into_values()) {
                    due.add(timer, &mut ways.random, connection);
                }
                due.each(|connection| {
                    let is_early = connection.state() == ConnectionState::Waiting;
                    ways.early += usize::from(is_early);
                    ways.late += usize::from(!is_early);
                    connection.disconnect();
                });
                while socket.try_recv().is_ok() {}
            }
            socket.connect(listener.endpoint()).unwrap();
            loop {
                let mut peer = listener.accept();
                if peer.shake_hands(Pull::PEER) {
                    peer.write(&message(&["alive"]));
                    assert_eq!(socket.recv_timeout(DEADLINE).unwrap(), "alive");
                    break;
                }
            }
            report(&format!("reconnect over {transport:?}"), &ways, start);
            assert!(ways.early > 0 && ways.late > 0, "all on one side of the timer");
            drop((socket, monitor, listener, context));
            account.assert_restored();
        }
    });
}

#[test]
fn connections_end_when_their_socket_lingers_no_longer() {
    alone("connections_end_when_their_socket_lingers_no_longer", || {
        let words = [&G_NULL31[..], &ready(Push::PEER)].concat();
        for transport in TRANSPORTS {
            drop(Meeting::<Pull>::new(Role::Connects, transport).peer());
            let account = Account::take(&ALLOCATOR);
            let (start, mut ways, mut served) = (Instant::now(), Ways::new(), 0);
            let listener = Listener::bind(transport);
            let context = Context::builder().io_threads(1).build();
            for _ in 0..full_or(50_000, 400) / BATCH {
                let mut due = Due::new();
                for _ in 0..BATCH {
                    let mut socket: Socket<Push> = context.builder_for().linger(TIMER).open().unwrap();
                    socket.connect(listener.endpoint()).unwrap();
                    socket.try_send("the last").unwrap();
                    // It waits for a peer that shakes hands.
                    let peer = listener.accept();
                    drop(socket);
                    due.add(Instant::now() + TIMER, &mut ways.random, peer);
                }
                let mut gone = Vec::with_capacity(BATCH);
                due.each(|peer| gone.extend(ways.go(peer, &words)));
                for mut peer in gone {
                    served += usize::from(peer.read_to_end().ends_with(&message(&["the last"])));
                }
            }
            report(&format!("linger over {transport:?}, {served} were served still"), &ways, start);
            assert!(ways.early > 0 && ways.late > 0, "all on one side of the timer");
            drop((listener, context));
            account.assert_restored();
        }
    });
}
