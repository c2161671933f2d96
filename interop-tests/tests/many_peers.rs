//! Thousands of peers of one ROUTER, over tcp: all are answered, cost nothing while idle, and come back when it does.
//!
//! 500 of them; with `PEERMQ_FULL` 10,000. They are DEALERs in a process of their own, because few
//! systems let one process have the descriptors of both ends. Figures are printed: run with `--nocapture`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;
use std::collections::HashSet;
use std::env;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use cap::Cap;
use interop_tests::raw::{ALLOCATOR_LIMIT, Account, DEADLINE, FIGURE, alone};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeVal;
use peermq::{Context, Dealer, Endpoint, Router, Socket};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

/// Where the peers' process connects to, and how often.
const PEERS_OF: &str = "PEERMQ_TEST_PEERS_OF";

/// Most octets of an idle connection.
const IDLE_MAX: usize = 8 * 1024;

/// How often a list of many peers is looked at, which takes milliseconds itself.
const LOOK: Duration = Duration::from_millis(100);

/// How long idle peers are watched.
const IDLE: Duration = Duration::from_secs(2);

#[test]
fn thousands_of_peers_are_answered_and_come_back() {
    const NAME: &str = "thousands_of_peers_are_answered_and_come_back";
    if let Ok(server) = env::var(PEERS_OF) {
        return be_the_peers(&server);
    }
    alone(NAME, || {
        let count = peer_count();
        let context = Context::new();
        let (mut router, endpoint) = serve(&context, "tcp://127.0.0.1:0");
        let before = Account::take(&ALLOCATOR);
        let start = Instant::now();
        let mut peers = Peers::start(NAME, &endpoint, count);
        await_peers(&mut router, count);
        println!("{FIGURE}{count} peers are connected after {:.2?}", start.elapsed());
        peers.ask(&mut router, count);
        println!("{FIGURE}{count} peers are answered after {:.2?}", start.elapsed());
        let octets = before.growth() / count;
        println!("{FIGURE}a peer costs {octets} octets");
        assert!(octets <= IDLE_MAX, "{octets} octets a peer");

        // Behind the last message the socket looks at each peer once more.
        router.recv_timeout(Duration::from_millis(10)).unwrap_err();
        let (start, busy) = (Instant::now(), cpu_time());
        router.recv_timeout(IDLE).unwrap_err();
        let share = (cpu_time() - busy).as_secs_f64() / start.elapsed().as_secs_f64();
        println!("{FIGURE}{count} idle peers take {:.2} % of a processor", 100.0 * share);
        assert!(share < 0.01, "{share} of a processor");

        let start = Instant::now();
        drop(router);
        let (mut router, _) = serve(&context, &endpoint.to_string());
        await_peers(&mut router, count);
        let back_after = start.elapsed();
        println!("{FIGURE}{count} peers are back after {back_after:.2?}");
        peers.ask(&mut router, count);
        peers.finish();
    });
}

fn serve(context: &Context, endpoint: &str) -> (Socket<Router>, Endpoint) {
    let builder = context.builder_for().linger(Duration::ZERO).backlog(4096);
    let mut router: Socket<Router> = builder.open().unwrap();
    let endpoint = router.bind(endpoint).unwrap().into();
    (router, endpoint)
}

fn await_peers(router: &mut Socket<Router>, count: usize) {
    let deadline = Instant::now() + DEADLINE;
    while router.peers().len() < count {
        assert!(Instant::now() < deadline, "{} of {count}", router.peers().len());
        router.recv_timeout(LOOK).unwrap_err();
    }
}

/// As many peers as asked for, or as one process may have descriptors for.
fn peer_count() -> usize {
    let wanted = if env::var_os("PEERMQ_FULL").is_some() { 10_000 } else { 500 };
    let possible = raise_descriptor_limit().saturating_sub(100);
    if possible < wanted {
        println!("{FIGURE}only {possible} peers: the system allows no more descriptors");
    }
    wanted.min(possible)
}

fn raise_descriptor_limit() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    usize::try_from(hard).unwrap()
}

/// The time that this process has had a processor.
fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let duration = |time: TimeVal| {
        let (seconds, micros) = (time.tv_sec(), time.tv_usec());
        Duration::from_secs(seconds.try_into().unwrap()) + Duration::from_micros(micros.try_into().unwrap())
    };
    duration(usage.user_time()) + duration(usage.system_time())
}

/// The process of the peers.
struct Peers {
    process: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Peers {
    fn start(test: &str, server: &Endpoint, count: usize) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--test-threads=1", "--nocapture"])
            .env(PEERS_OF, format!("{count} {server}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, reports) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, orders, reports: BufReader::new(reports).lines() }
    }

    /// Each asks, and is answered.
    fn ask(&mut self, router: &mut Socket<Router>, count: usize) {
        writeln!(self.orders, "ask").unwrap();
        let mut asked = HashSet::new();
        for _ in 0..count {
            let (from, question) = router.recv_timeout(DEADLINE).unwrap();
            router.send_to(&from, question).unwrap();
            assert!(asked.insert(from), "one has asked twice");
        }
        let answered = format!("{ANSWERED}{count}");
        assert!(self.reports.by_ref().any(|line| line.unwrap() == answered), "the peers have died");
    }

    fn finish(mut self) {
        drop(self.orders);
        // Nobody must wait for a pipe that is full.
        self.reports.for_each(drop);
        assert!(self.process.wait().unwrap().success());
    }
}

const ANSWERED: &str = "answered: ";

/// Connects so often, and has each connection ask once for every line of standard input.
fn be_the_peers(server: &str) {
    let (count, server) = server.split_once(' ').unwrap();
    let count: usize = count.parse().unwrap();
    raise_descriptor_limit();
    let context = Context::new();
    let mut dealers: Vec<Socket<Dealer>> = (0..count)
        .map(|_| {
            // One each: a DEALER connects once to the same.
            let mut dealer: Socket<Dealer> = context.builder_for().linger(Duration::ZERO).open().unwrap();
            dealer.connect(server).unwrap();
            dealer
        })
        .collect();
    for _ in io::stdin().lines() {
        dealers.iter_mut().for_each(|dealer| dealer.send_timeout("question", DEADLINE).unwrap());
        dealers.iter_mut().for_each(|dealer| assert_eq!(dealer.recv_timeout(DEADLINE).unwrap(), "question"));
        println!("\n{ANSWERED}{count}");
    }
}
