//! Conservation at the end: two talk, and one goes at a random moment, in any of the ways there are. Of what it had
//! accepted, and lingered for, nothing is lost and nothing comes twice.
//!
//! Seeded; `PEERMQ_FULL` makes it 10,000 runs, and `PEERMQ_SEED` runs one again.

use super::ledger::count;
use super::*;
use crate::{
    AnyPattern, CloseReport, Dealer, KernelBuffer, Proxy, ProxyControl, ProxyEnd, Pull, Push, SocketType,
};

/// Runs at the same time.
const WORKERS: u32 = 4;

/// How the one goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Close,
    Disconnect,
    /// Of the socket, and then of its context.
    Drop,
    /// The context is shut down first.
    Shutdown,
    /// The same, and nobody waits but the drop of the context, which was told how long.
    ShutdownAndDrop,
}

/// What a run is like.
#[derive(Clone, Copy, Debug)]
struct Terms {
    seed: u64,
    transport: Transport,
    goes: SocketType,
    stays: SocketType,
    exit: Exit,
    /// The one that goes is bound.
    is_bound: bool,
    /// A proxy stands between.
    is_far: bool,
    mechanism: usize,
    /// In milliseconds; 0 is none.
    heartbeats: [u64; 2],
    /// Of the one that stays.
    recv_hwm: u32,
    has_small_buffers: bool,
    messages: u32,
    octets: usize,
    /// The one that goes receives what it is told.
    listens: bool,
    /// How often the one that stays gives way to others before it receives the next.
    slowness: usize,
}

impl Terms {
    fn new(seed: u64) -> Self {
        // Neighbours shall have nothing in common, and a zero would stay one.
        let mut dice = Dice((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let pairs = [
            (SocketType::Dealer, SocketType::Dealer),
            (SocketType::Dealer, SocketType::Router),
            (SocketType::Pair, SocketType::Pair),
            (SocketType::Push, SocketType::Pull),
        ];
        let is_far = dice.roll(5) == 0;
        let (goes, stays) = if is_far { pairs[[0, 3][dice.roll(2)]] } else { pairs[dice.roll(pairs.len())] };
        let exits = [Exit::Close, Exit::Disconnect, Exit::Drop, Exit::Shutdown, Exit::ShutdownAndDrop];
        let exit = exits[dice.roll(exits.len())];
        Self {
            seed,
            transport: [Transport::Abstract, Transport::Ipc, Transport::Tcp, Transport::Tcp][dice.roll(4)],
            goes,
            stays,
            exit,
            is_bound: exit != Exit::Disconnect && dice.roll(2) == 0,
            is_far,
            mechanism: dice.roll(MECHANISMS),
            heartbeats: [0; 2].map(|_| if dice.roll(2) == 0 { 0 } else { 1 + dice.roll(10) as u64 }),
            recv_hwm: [1, 10, 1000][dice.roll(3)],
            has_small_buffers: dice.roll(2) == 0,
            messages: 1 + u32::try_from(dice.roll(400)).unwrap(),
            octets: [4, 100, 1000, 10_000][dice.roll(4)],
            listens: dice.roll(2) == 0,
            slowness: [0, 0, 1, 5][dice.roll(4)],
        }
    }

    fn builder(
        &self,
        context: &Context,
        socket_type: SocketType,
        is_server: bool,
        side: usize,
    ) -> Builder<AnyPattern> {
        let mut builder = secured(context.builder_for_any(socket_type), self.mechanism, is_server);
        if self.has_small_buffers {
            let small = KernelBuffer::octets(64 * 1024).unwrap();
            builder = builder.send_buffer(small).recv_buffer(small);
        }
        if self.heartbeats[side] > 0 {
            let interval = Duration::from_millis(self.heartbeats[side]);
            builder = builder.heartbeat_interval(interval).heartbeat_timeout(PATIENCE);
        }
        builder
    }
}

#[cfg(feature = "curve")]
pub(super) const MECHANISMS: usize = 3;
#[cfg(not(feature = "curve"))]
pub(super) const MECHANISMS: usize = 2;

/// One of the mechanisms: whoever is bound is the server.
pub(super) fn secured<P: Pattern>(builder: Builder<P>, mechanism: usize, is_server: bool) -> Builder<P> {
    use crate::{Authorizer, PlainCredentials, Security};
    match (mechanism, is_server) {
        (0, _) => builder,
        (1, true) => builder.security(Security::PlainServer).authorizer(Authorizer::anyone()),
        (1, false) => {
            builder.security(Security::PlainClient(PlainCredentials::new("somebody", "something").unwrap()))
        }
        #[cfg(feature = "curve")]
        (_, is_server) => {
            use std::sync::LazyLock;
            static SERVER: LazyLock<crate::CurveKeyPair> =
                LazyLock::new(|| crate::CurveKeyPair::generate().unwrap());
            if is_server {
                let security = Security::CurveServer { keys: SERVER.clone() };
                builder.security(security).authorizer(Authorizer::anyone())
            } else {
                let (keys, server_key) = (crate::CurveKeyPair::generate().unwrap(), SERVER.public_key());
                builder.security(Security::CurveClient { keys, server_key })
            }
        }
        #[cfg(not(feature = "curve"))]
        _ => unreachable!("there is no other"),
    }
}

/// A proxy between two addresses.
enum Between {
    Both(ProxyControl, thread::JoinHandle<ProxyEnd<Dealer, Dealer>>),
    OneWay(ProxyControl, thread::JoinHandle<ProxyEnd<Pull, Push>>),
}

impl Between {
    /// Bound at both addresses, or connected to what is bound already.
    fn new(terms: &Terms, context: &Context, near: (&Endpoint, bool), far: &Endpoint) -> Self {
        fn open<P: Pattern>(terms: &Terms, context: &Context, at: &Endpoint, binds: bool) -> Socket<P> {
            let builder = secured(context.builder_for::<P>(), terms.mechanism, binds);
            let mut socket = builder.linger(Linger::DISCARD).open().unwrap();
            if binds {
                socket.bind(at).unwrap();
            } else {
                socket.connect(at).unwrap();
            }
            socket
        }
        if terms.goes == SocketType::Push {
            let proxy = Proxy::new(
                open::<Pull>(terms, context, near.0, near.1),
                open::<Push>(terms, context, far, true),
            );
            let proxy = proxy.unwrap();
            Self::OneWay(proxy.control(), thread::spawn(move || proxy.run()))
        } else {
            let proxy = Proxy::new(
                open::<Dealer>(terms, context, near.0, near.1),
                open::<Dealer>(terms, context, far, true),
            );
            let proxy = proxy.unwrap();
            Self::Both(proxy.control(), thread::spawn(move || proxy.run()))
        }
    }

    /// Ends it, with everything that it has taken.
    fn end(self) {
        match self {
            Self::Both(control, running) => {
                control.terminate();
                drop(running.join().unwrap());
            }
            Self::OneWay(control, running) => {
                control.terminate();
                drop(running.join().unwrap());
            }
        }
    }
}

/// The one that stays: receives until nobody is there any more, and answers. How many it has heard.
fn stay(terms: &Terms, mut socket: Socket<AnyPattern>, heard: &AtomicU64) {
    let mut dice = Dice(terms.seed | 1);
    let mut next = 0;
    let mut has_seen = false;
    let can_send = terms.stays != SocketType::Pull;
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        let is_alone = socket.peers().is_empty();
        while let Ok(message) = socket.recv_timeout(if is_alone { Duration::ZERO } else { TURN }) {
            let body = message.frame(message.frame_count() - 1).unwrap().as_bytes();
            let number = u32::from_be_bytes(body[..4].try_into().unwrap());
            assert_eq!(number, next, "{terms:?}");
            next += 1;
            heard.store(next.into(), Ordering::SeqCst);
            if can_send && dice.roll(2) == 0 {
                let _ = socket.try_send(message);
            }
            (0..dice.roll(1 + 10 * terms.slowness)).for_each(|_| thread::yield_now());
        }
        if is_alone && has_seen {
            return;
        }
        has_seen |= !is_alone || next > 0;
        if can_send && terms.stays != SocketType::Router {
            let _ = socket.try_send(&[1; 500]);
        }
        assert!(Instant::now() < deadline, "{next} of {}: {terms:?}", terms.messages);
    }
}

/// The one that goes.
fn go(terms: &Terms, context: Context, mut socket: Socket<AnyPattern>, endpoint: &Endpoint) {
    let mut dice = Dice(!terms.seed);
    for number in 0..terms.messages {
        let mut body = vec![7; terms.octets];
        body[..4].copy_from_slice(&numbered(number));
        socket.send_timeout(body, PATIENCE).unwrap_or_else(|unsent| unreachable!("{unsent}: {terms:?}"));
        if terms.listens && terms.goes != SocketType::Push && dice.roll(3) == 0 {
            let _ = socket.try_recv();
        }
    }
    match terms.exit {
        Exit::Close | Exit::Shutdown => {
            if terms.exit == Exit::Shutdown {
                context.shutdown();
            }
            let CloseReport { dropped, uncertain, unconfirmed, .. } = socket.close(PATIENCE);
            assert_eq!((dropped, uncertain, unconfirmed), (0, 0, 0), "{terms:?}");
        }
        Exit::Disconnect => {
            socket.disconnect(endpoint).unwrap();
            eventually("it has said everything", || socket.peers().is_empty());
        }
        Exit::Drop => drop(socket),
        Exit::ShutdownAndDrop => {
            context.shutdown();
            drop(socket);
        }
    }
}

fn run(terms: &Terms) {
    let place = Place::new(terms.transport);
    let theirs = match terms.exit {
        Exit::ShutdownAndDrop => Context::builder().linger(PATIENCE).build(),
        Exit::Close | Exit::Disconnect | Exit::Drop | Exit::Shutdown => Context::new(),
    };
    // Without a proxy one of both is bound; with one between, it is bound where they are not.
    let (near, far) = (place.address(), place.address());
    let mut goes = terms.builder(&theirs, terms.goes, terms.is_bound, 0).send_hwm(0).open().unwrap();
    let stays = terms.builder(&place.context, terms.stays, !terms.is_bound && !terms.is_far, 1);
    let mut stays = stays.linger(Linger::DISCARD).recv_hwm(terms.recv_hwm).send_hwm(10).open().unwrap();
    if terms.is_bound {
        goes.bind(&near).unwrap();
    }
    let between = terms.is_far.then(|| Between::new(terms, &place.context, (&near, !terms.is_bound), &far));
    match (terms.is_far, terms.is_bound) {
        (true, _) => drop(stays.connect(&far).unwrap()),
        (false, true) => drop(stays.connect(&near).unwrap()),
        (false, false) => drop(stays.bind(&near).unwrap()),
    }
    if !terms.is_bound {
        goes.connect(&near).unwrap();
    }
    let heard = AtomicU64::new(0);
    thread::scope(|scope| {
        let staying = scope.spawn(|| stay(terms, stays, &heard));
        go(terms, theirs, goes, &near);
        if let Some(between) = between {
            eventually("all has passed", || {
                heard.load(Ordering::SeqCst) == terms.messages.into() || staying.is_finished()
            });
            between.end();
        }
        staying.join().unwrap();
    });
    assert_eq!(heard.into_inner(), u64::from(terms.messages), "{terms:?}");
}

#[test]
fn of_what_was_lingered_for_nothing_is_lost_and_nothing_comes_twice() {
    if let Some(seed) = std::env::var_os("PEERMQ_SEED") {
        return run(&Terms::new(seed.to_str().unwrap().parse().unwrap()));
    }
    let runs: u32 = count(160, 10_000);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            scope.spawn(move || {
                (worker..runs)
                    .step_by(WORKERS.try_into().unwrap())
                    .for_each(|seed| run(&Terms::new(seed.into())))
            });
        }
    });
}
