//! What a connection costs in memory: half-open, idle, and when it is gone.
//!
//! Raw peers, which hold nothing themselves, so that every octet that is counted belongs to one side of a connection.
//! Figures are printed: run with `--nocapture`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;
use std::time::{Duration, Instant};

use cap::Cap;
use interop_tests::raw::vectors::{G_NULL31, command, message, ready};
use interop_tests::raw::{
    ALLOCATOR_LIMIT, Account, DEADLINE, FIGURE, Listener, Peer, Role, Transport, alone,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use peermq::{
    Authorizer, Builder, Context, CurveKeyPair, Dealer, Pattern, Pub, Pull, Push, Rep, Router, Security,
    Socket, SocketType, ZapDomain,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

/// Connections of one socket.
const CONNECTIONS: usize = 1000;

/// Most octets of a connection that is ready and has nothing to do.
const IDLE_MAX: usize = 8 * 1024;

/// Most octets of a connection that a stranger made and that has not shaken hands.
const HALF_OPEN_MAX: usize = 1024;

/// The same while a command of the handshake is coming in. Of a connection that we made: it has queues already.
const COMMAND_MAX: usize = 4 * 1024;

/// The longest command of a handshake that is taken.
const LONGEST_COMMAND: u16 = 3072;

/// Messages of 1 KiB to and from each peer in a burst: pipes grow far beyond what a quiet connection may cost.
const BURST: usize = 64;

/// What may be left of a connection that is gone: the timer of its handshake, and room in lists.
const GONE_MAX: usize = 512;

/// Half-open connections do not give up while they are counted.
const NEVER: Duration = Duration::from_secs(3600);

/// Whether sockets of this type connect once to the same endpoint.
fn connects_once(socket_type: SocketType) -> bool {
    matches!(socket_type, SocketType::Dealer | SocketType::Pub | SocketType::Req | SocketType::Sub)
}

/// A socket of ours and its raw peers, of which each knows the first octets of our greeting.
struct Crowd<P: Pattern> {
    name: String,
    socket: Socket<P>,
    peers: Vec<Peer>,
    before: Account,
}

impl<P: Pattern> Crowd<P> {
    fn new(role: Role, transport: Transport) -> Self {
        Self::open(role, transport, |_, builder| builder)
    }

    /// The same with other options; `prepare` may use the context.
    fn open(
        role: Role,
        transport: Transport,
        prepare: impl FnOnce(&Context, Builder<P>) -> Builder<P>,
    ) -> Self {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
        let context = Context::builder().io_threads(2).build();
        let builder = context.builder_for().linger(Duration::ZERO).backlog(4096).handshake_interval(NEVER);
        let mut socket: Socket<P> = prepare(&context, builder).open().unwrap();
        let mut peers = Vec::with_capacity(CONNECTIONS);
        let before;
        match role {
            Role::Binds => {
                let endpoint = socket.bind(transport.free_endpoint()).unwrap().to_string();
                // Both I/O threads run.
                drop((Peer::connect(&endpoint).read(10), Peer::connect(&endpoint).read(10)));
                before = Account::take(&ALLOCATOR);
                peers.extend((0..CONNECTIONS).map(|_| Peer::connect(&endpoint)));
            }
            Role::Connects => {
                let mut listener = Listener::bind(transport);
                before = Account::take(&ALLOCATOR);
                for number in 0..CONNECTIONS {
                    if number > 0 && connects_once(socket.socket_type()) {
                        // Of its own.
                        listener = Listener::bind(transport);
                    }
                    socket.connect(listener.endpoint()).unwrap();
                    peers.push(listener.accept());
                }
            }
        }
        peers.iter_mut().for_each(|peer| drop(peer.read(10)));
        let name = format!("{:?} that {role:?} over {transport:?}", socket.socket_type());
        Self { name, socket, peers, before }
    }

    /// Every peer says so.
    fn say(&mut self, octets: &[u8]) {
        self.peers.iter_mut().for_each(|peer| peer.write(octets));
    }

    /// Every peer hears the rest of the greeting, which answers the first half of its own.
    fn hear_greeting(&mut self) {
        self.peers.iter_mut().for_each(|peer| assert_eq!(peer.read(54), G_NULL31[10..]));
    }

    /// Every peer hears READY, which answers its greeting.
    fn hear_ready(&mut self) {
        self.peers.iter_mut().for_each(|peer| assert_eq!(&peer.frame().unwrap().body[..6], b"\x05READY"));
    }

    /// Waits until the socket has all its peers.
    fn meet(&self) {
        let deadline = Instant::now() + DEADLINE;
        while self.socket.peers().len() < CONNECTIONS {
            assert!(Instant::now() < deadline, "{} of {CONNECTIONS}", self.socket.peers().len());
        }
    }

    /// Waits until a connection costs at least and at most so many octets, and prints what it costs.
    fn assert_costs(&self, least: usize, most: usize, what: &str) {
        let deadline = Instant::now() + DEADLINE;
        let octets = loop {
            let octets = self.before.growth() / CONNECTIONS;
            if (least..=most).contains(&octets) {
                break octets;
            }
            let name = &self.name;
            assert!(Instant::now() < deadline, "{name}, {what}: {octets} octets, not {least} to {most}");
            std::thread::yield_now();
        };
        println!("{FIGURE}{}, {what}: {octets} octets a connection", self.name);
    }

    /// Waits until a connection costs at most so many octets again, while the application makes calls.
    fn assert_recovers(&mut self, most: usize, what: &str, mut call: impl FnMut(&mut Socket<P>)) {
        println!("{FIGURE}{}, before: {} octets a connection", self.name, self.before.growth() / CONNECTIONS);
        let deadline = Instant::now() + DEADLINE;
        while self.before.growth() / CONNECTIONS > most && Instant::now() < deadline {
            call(&mut self.socket);
        }
        self.assert_costs(0, most, what);
    }

    /// Ends all connections, and finds what was held for them given back.
    fn leave(mut self) {
        self.peers = Vec::with_capacity(CONNECTIONS);
        while !self.socket.peers().is_empty() {
            std::thread::yield_now();
        }
        // Any call will do: the socket takes notice of who has gone.
        self.assert_recovers(GONE_MAX, "gone", |socket| _ = socket.disconnect("tcp://127.0.0.1:1"));
    }
}

fn over_both<P: Pattern>(role: Role, check: impl Fn(Crowd<P>)) {
    [Transport::Tcp, Transport::Ipc].into_iter().for_each(|transport| check(Crowd::new(role, transport)));
}

/// Connections with a peer of this type, ready and when they have `served` each peer once.
fn assert_idle_is_small<P: Pattern>(peer_type: &str, serve: impl Fn(&mut Socket<P>, &mut [Peer])) {
    for role in [Role::Binds, Role::Connects] {
        over_both(role, |mut crowd| {
            crowd.say(&[&G_NULL31[..], &ready(peer_type)].concat());
            crowd.hear_greeting();
            crowd.hear_ready();
            crowd.meet();
            crowd.assert_costs(0, IDLE_MAX, "ready");
            serve(&mut crowd.socket, &mut crowd.peers);
            crowd.assert_costs(0, IDLE_MAX, "used once");
            if role == Role::Binds {
                crowd.leave();
            }
        });
    }
}

#[test]
fn a_half_open_connection_is_tiny() {
    alone("a_half_open_connection_is_tiny", || {
        over_both::<Router>(Role::Binds, |mut crowd| {
            crowd.assert_costs(0, HALF_OPEN_MAX, "nothing said");
            crowd.say(&G_NULL31[..32]);
            crowd.hear_greeting();
            crowd.assert_costs(0, HALF_OPEN_MAX, "half a greeting");
            crowd.say(&G_NULL31[32..]); // no answer: a ROUTER hears the name first
            crowd.assert_costs(0, HALF_OPEN_MAX, "a greeting");
            let [high, low] = LONGEST_COMMAND.to_be_bytes();
            let most = usize::from(LONGEST_COMMAND) - 1;
            crowd.say(&[6, 0, 0, 0, 0, 0, 0, high, low]);
            crowd.say(&vec![b'x'; most / 2]);
            crowd.assert_costs(most / 2, COMMAND_MAX, "half a command");
            crowd.say(&vec![b'x'; most - most / 2]);
            crowd.assert_costs(most, COMMAND_MAX, "a command but for an octet");
            crowd.leave();
        });
        over_both::<Router>(Role::Connects, |crowd| crowd.assert_costs(0, COMMAND_MAX, "nothing said"));
    });
}

#[test]
fn an_idle_connection_is_small() {
    alone("an_idle_connection_is_small", || {
        assert_idle_is_small::<Router>("DEALER", |router, peers| {
            peers.iter_mut().for_each(|peer| peer.write(&message(&["question"])));
            for _ in 0..peers.len() {
                let (from, message) = router.recv().unwrap();
                router.send_to(&from, message).unwrap();
            }
            peers.iter_mut().for_each(|peer| assert_eq!(peer.message().unwrap(), [b"question"]));
        });
        assert_idle_is_small::<Dealer>("DEALER", |dealer, peers| {
            peers.iter_mut().for_each(|peer| peer.write(&message(&["question"])));
            for _ in 0..peers.len() {
                let message = dealer.recv().unwrap();
                dealer.send(message).unwrap();
            }
            peers.iter_mut().for_each(|peer| assert_eq!(peer.message().unwrap(), [b"question"]));
        });
        assert_idle_is_small::<Rep>("REQ", |rep, peers| {
            peers.iter_mut().for_each(|peer| peer.write(&message(&["", "question"])));
            (0..peers.len()).for_each(|_| rep.recv().unwrap().reply("answer").unwrap());
            peers.iter_mut().for_each(|peer| assert_eq!(peer.message().unwrap(), [&b""[..], b"answer"]));
        });
        assert_idle_is_small::<Pull>("PUSH", |pull, peers| {
            peers.iter_mut().for_each(|peer| peer.write(&message(&["task"])));
            (0..peers.len()).for_each(|_| assert_eq!(pull.recv().unwrap(), "task"));
        });
        assert_idle_is_small::<Push>("PULL", |push, peers| {
            (0..peers.len()).for_each(|_| push.send("task").unwrap());
            peers.iter_mut().for_each(|peer| assert_eq!(peer.message().unwrap(), [b"task"]));
        });
        assert_idle_is_small::<Pub>("SUB", |publisher, peers| {
            peers.iter_mut().for_each(|peer| peer.write(&command("SUBSCRIBE", b"topic")));
            publisher.wait_for_subscribers(peers.len(), DEADLINE).unwrap();
            publisher.send("topic").unwrap();
            peers.iter_mut().for_each(|peer| assert_eq!(peer.message().unwrap(), [b"topic"]));
        });
    });
}

/// Two bursts, after each of which the socket, which goes on making calls, is within its bound again.
fn assert_burst_leaves_nothing<P: Pattern>(
    mut crowd: Crowd<P>,
    peer_type: &str,
    burst: impl Fn(&mut Socket<P>, &mut [Peer]),
    call: impl Fn(&mut Socket<P>),
) {
    crowd.say(&[&G_NULL31[..], &ready(peer_type)].concat());
    crowd.hear_greeting();
    crowd.hear_ready();
    crowd.meet();
    for _ in 0..2 {
        burst(&mut crowd.socket, &mut crowd.peers);
        crowd.assert_recovers(IDLE_MAX, "after a burst", &call);
    }
}

fn say_burst(peers: &mut [Peer]) {
    let burst = message(&[[7; 1024]]).repeat(BURST);
    peers.iter_mut().for_each(|peer| peer.write(&burst));
}

fn hear_burst(peers: &mut [Peer]) {
    for peer in peers {
        (0..BURST).for_each(|_| assert_eq!(peer.message().unwrap()[0].len(), 1024));
    }
}

#[test]
fn a_burst_both_ways_leaves_nothing_behind() {
    alone("a_burst_both_ways_leaves_nothing_behind", || {
        for role in [Role::Binds, Role::Connects] {
            over_both::<Router>(role, |crowd| {
                let burst = |router: &mut Socket<Router>, peers: &mut [Peer]| {
                    say_burst(peers);
                    for _ in 0..peers.len() * BURST {
                        let (from, message) = router.recv().unwrap();
                        router.send_to(&from, message).unwrap();
                    }
                    hear_burst(peers);
                };
                let wait = |router: &mut Socket<Router>| {
                    router.recv_timeout(Duration::from_millis(10)).unwrap_err();
                };
                assert_burst_leaves_nothing(crowd, "DEALER", burst, wait);
            });
        }
    });
}

#[test]
fn a_burst_one_way_leaves_nothing_behind() {
    alone("a_burst_one_way_leaves_nothing_behind", || {
        let pull = |pull: &mut Socket<Pull>, peers: &mut [Peer]| {
            say_burst(peers);
            (0..peers.len() * BURST).for_each(|_| assert_eq!(pull.recv().unwrap().size(), 1024));
        };
        let wait = |pull: &mut Socket<Pull>| _ = pull.recv_timeout(Duration::from_millis(10)).unwrap_err();
        assert_burst_leaves_nothing(Crowd::new(Role::Binds, Transport::Tcp), "PUSH", pull, wait);
        let push = |push: &mut Socket<Push>, peers: &mut [Peer]| {
            (0..peers.len() * BURST).for_each(|_| push.send(&[7; 1024]).unwrap());
            hear_burst(peers);
        };
        // Any call will do.
        let call = |push: &mut Socket<Push>| _ = push.disconnect("tcp://127.0.0.1:1").unwrap_err();
        assert_burst_leaves_nothing(Crowd::new(Role::Binds, Transport::Tcp), "PULL", push, call);
    });
}

#[test]
fn a_connection_that_is_being_judged_is_small() {
    alone("a_connection_that_is_being_judged_is_small", || {
        let mut handler = None;
        let mut crowd: Crowd<Router> = Crowd::open(Role::Binds, Transport::Tcp, |context, builder| {
            let mut rep: Socket<Rep> = context.builder_for().linger(Duration::ZERO).open().unwrap();
            rep.bind("inproc://zeromq.zap.01").unwrap();
            handler = Some(rep); // that never answers
            builder.zap_domain(ZapDomain::new("global").unwrap())
        });
        crowd.say(&[&G_NULL31[..], &ready("DEALER")].concat());
        crowd.hear_greeting();
        // More than is read before it is decided; the kernel takes it.
        crowd.say(&message(&[[7; 1024]]).repeat(BURST));
        crowd.assert_costs(0, COMMAND_MAX, "waits for a judgement");
        assert!(crowd.socket.peers().is_empty());
        drop(handler);
    });
}

#[test]
fn an_encrypted_connection_is_small_when_it_is_quiet() {
    alone("an_encrypted_connection_is_small_when_it_is_quiet", || {
        // Both sides are ours, and both are counted.
        const BOTH_SIDES_MAX: usize = 2 * (IDLE_MAX + 4 * 1024);
        const PAIRS: usize = 200;
        let context = Context::builder().io_threads(2).build();
        let [keys, servers] = [(); 2].map(|()| CurveKeyPair::generate().unwrap());
        let client = Security::CurveClient { keys, server_key: servers.public_key() };
        let builder = context.builder_for::<Pull>().security(Security::CurveServer { keys: servers });
        let mut pull = builder.authorizer(Authorizer::anyone()).open().unwrap();
        let binding = pull.bind("tcp://127.0.0.1:0").unwrap();
        let builder = context.builder_for::<Push>().security(client).linger(Duration::ZERO);
        let mut push = builder.open().unwrap();
        let burst = |pull: &mut Socket<Pull>, push: &mut Socket<Push>, peers: usize| {
            for _ in 0..BURST {
                (0..peers).for_each(|_| push.send_timeout(&[7; 1024], DEADLINE).unwrap());
                (0..peers).for_each(|_| assert_eq!(pull.recv_timeout(DEADLINE).unwrap().size(), 1024));
            }
        };
        // What threads and sockets need by themselves is there.
        push.connect(&binding).unwrap().wait_ready(DEADLINE).unwrap();
        burst(&mut pull, &mut push, 1);
        let before = Account::take(&ALLOCATOR);
        for _ in 0..PAIRS {
            push.connect(&binding).unwrap().wait_ready(DEADLINE).unwrap();
        }
        println!("{FIGURE}encrypted, ready: {} octets for both sides", before.growth() / PAIRS);
        for _ in 0..2 {
            burst(&mut pull, &mut push, PAIRS);
            println!("{FIGURE}encrypted, after a burst: {} octets for both sides", before.growth() / PAIRS);
            let until = Instant::now() + DEADLINE;
            while before.growth() / PAIRS > BOTH_SIDES_MAX {
                assert!(Instant::now() < until, "{} octets for both sides", before.growth() / PAIRS);
                pull.recv_timeout(Duration::from_millis(10)).unwrap_err();
                push.disconnect("tcp://127.0.0.1:1").unwrap_err();
            }
            println!("{FIGURE}encrypted, quiet: {} octets for both sides", before.growth() / PAIRS);
        }
    });
}
