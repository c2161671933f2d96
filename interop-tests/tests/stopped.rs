//! Peers of ours that are stopped as a whole, between two calls or while one waits: everybody else is served meanwhile,
//! and when they go on nothing is lost or doubled. X-10.
//!
//! The stopped peer is this program again, in a process of its own. Every message has a number.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::ops::Range;
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::{DEADLINE, Transport};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use peermq::{
    Builder, Connection, Context, Dealer, Endpoint, Pair, Pattern, Receives, ReconnectInterval, RecvError,
    Router, RoutingId, Sends, Socket,
};

/// What the stopped peer connects to.
const SERVER: &str = "PEERMQ_TEST_STOPPED_PEER_OF";

const TRANSPORTS: [Transport; 2] = [Transport::Ipc, Transport::Tcp];

/// Round trips after which both sides are surely in step.
const STEPS: u32 = 50;

/// How often a peer is stopped that waits.
const STOPS: u32 = 20;

/// The name of the peer that is stopped.
const STOPPED: &[u8] = b"stopped";

/// The name of one that is not.
const STEADY: &[u8] = b"steady";

/// After how long a stopped peer is missed: many times as long as a busy machine keeps one waiting that is not.
const SILENT: Duration = Duration::from_millis(1500);

/// The peer that is stopped.
struct Stopped {
    process: process::Child,
    pid: Pid,
}

impl Stopped {
    fn start(test: &str, server: &Endpoint) -> Self {
        let process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--test-threads=1"])
            .env(SERVER, server.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(process.id().try_into().unwrap());
        Self { process, pid }
    }

    /// Waits until it is stopped, by whomever.
    fn await_stop(&self) {
        eventually("the peer is stopped", || {
            let status = waitpid(self.pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)).unwrap();
            assert!(matches!(status, WaitStatus::StillAlive | WaitStatus::Stopped(..)), "{status:?}");
            status == WaitStatus::Stopped(self.pid, Signal::SIGSTOP)
        });
    }

    /// Stops it when all of its threads wait.
    fn stop(&self) {
        eventually("the peer waits", || {
            let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap();
            tasks.into_iter().all(|task| {
                let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('S'))
            })
        });
        kill(self.pid, Signal::SIGSTOP).unwrap();
        self.await_stop();
    }

    fn go_on(&self) {
        kill(self.pid, Signal::SIGCONT).unwrap();
    }

    /// It may make its next call.
    fn tell(&self) {
        writeln!(self.process.stdin.as_ref().unwrap()).unwrap();
    }

    /// It has seen nothing wrong.
    fn finish(mut self) {
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Where the stopped peer connects to, if this process is that; it does not outlive the test.
fn server() -> Option<String> {
    let server = env::var(SERVER).ok()?;
    prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
    Some(server)
}

/// In the stopped peer: stops it here, until it goes on and is told to make its next call.
fn stop_between_calls() {
    raise(Signal::SIGSTOP).unwrap();
    io::stdin().read_line(&mut String::new()).unwrap();
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        thread::yield_now();
    }
}

fn send<P: Sends>(socket: &mut Socket<P>, number: u32) {
    socket.send_timeout(&number.to_be_bytes(), DEADLINE).unwrap();
}

fn take<P: Receives>(socket: &mut Socket<P>, number: u32) {
    assert_eq!(socket.recv_timeout(DEADLINE).unwrap(), number.to_be_bytes()[..]);
}

fn ask<P: Sends + Receives>(socket: &mut Socket<P>, numbers: Range<u32>) {
    for number in numbers {
        send(socket, number);
        take(socket, number);
    }
}

fn answer(socket: &mut Socket<Pair>, numbers: Range<u32>) {
    for number in numbers {
        take(socket, number);
        send(socket, number);
    }
}

fn builder<P: Pattern>(context: &Context) -> Builder<P> {
    context.builder_for().linger(Duration::ZERO)
}

/// A client by this name, in a context of its own.
fn client(name: &[u8], server: &str) -> (Socket<Dealer>, Connection) {
    let context = Context::builder().io_threads(1).build();
    let builder = builder(&context).reconnect_interval(ReconnectInterval::Every(Duration::from_millis(5)));
    let mut client = builder.routing_id(RoutingId::new(name).unwrap()).open().unwrap();
    let connection = client.connect(server).unwrap();
    (client, connection)
}

/// Sockets that know nothing of the peer that is stopped, on the I/O thread of those that do.
struct Others {
    context: Context,
    here: Socket<Pair>,
    there: Socket<Pair>,
    next: u32,
    transport: Transport,
}

impl Others {
    fn new(context: &Context, transport: Transport) -> Self {
        let (here, there) = pair(context, transport);
        Self { context: context.clone(), here, there, next: 0, transport }
    }

    fn go_on(&mut self) {
        let numbers = self.next..self.next + STEPS;
        self.next = numbers.end;
        step(&mut self.here, &mut self.there, numbers);
        let (mut here, mut there) = pair(&self.context, self.transport);
        step(&mut here, &mut there, 0..1);
    }
}

fn pair(context: &Context, transport: Transport) -> (Socket<Pair>, Socket<Pair>) {
    let mut there: Socket<Pair> = builder(context).open().unwrap();
    let endpoint = there.bind(transport.free_endpoint()).unwrap();
    let mut here: Socket<Pair> = builder(context).open().unwrap();
    here.connect(&endpoint).unwrap().wait_ready(DEADLINE).unwrap();
    (here, there)
}

fn step(here: &mut Socket<Pair>, there: &mut Socket<Pair>, numbers: Range<u32>) {
    thread::scope(|scope| {
        scope.spawn(|| answer(there, numbers.clone()));
        ask(here, numbers.clone());
    });
}

/// A server, a client that is always there, and sockets that have nothing to do with either, on one I/O thread.
struct Server {
    router: Socket<Router>,
    endpoint: Endpoint,
    /// What each client has asked, in order.
    heard: BTreeMap<Vec<u8>, Vec<u32>>,
    /// None while it asks.
    steady: Option<Socket<Dealer>>,
    connection: Connection,
    asked: u32,
    others: Others,
}

impl Server {
    fn new(transport: Transport, options: impl FnOnce(Builder<Router>) -> Builder<Router>) -> Self {
        let context = Context::builder().io_threads(1).build();
        let mut router = options(builder(&context)).open().unwrap();
        let endpoint: Endpoint = router.bind(transport.free_endpoint()).unwrap().into();
        let (steady, connection) = client(STEADY, &endpoint.to_string());
        let others = Others::new(&context, transport);
        Self { router, endpoint, heard: BTreeMap::new(), steady: Some(steady), connection, asked: 0, others }
    }

    /// Takes the next request.
    fn hear(&mut self) -> (RoutingId, u32) {
        let (from, message) = self.router.recv_timeout(DEADLINE).unwrap();
        let number = u32::from_be_bytes(message.body().try_into().unwrap());
        self.heard.entry(from.as_bytes().to_vec()).or_default().push(number);
        (from, number)
    }

    fn answer(&mut self, to: &RoutingId, number: u32) {
        self.router.send_to_timeout(to, &number.to_be_bytes(), DEADLINE).unwrap();
    }

    fn serve(&mut self, count: u32) {
        for _ in 0..count {
            let (from, number) = self.hear();
            self.answer(&from, number);
        }
    }

    /// Everybody else is served, in step and as before.
    fn serve_others(&mut self) {
        let numbers = self.asked..self.asked + STEPS;
        self.asked = numbers.end;
        let Some(mut steady) = self.steady.take() else { unreachable!("put back below") };
        thread::scope(|scope| {
            scope.spawn(|| ask(&mut steady, numbers));
            self.serve(STEPS);
        });
        self.steady = Some(steady);
        self.others.go_on();
    }

    fn has_stopped_peer(&self) -> bool {
        self.router.peers().iter().any(|peer| peer.routing_id().as_bytes() == STOPPED)
    }

    /// Each has been heard in order, and each message once.
    fn check(&mut self, asked: u32) {
        assert_eq!(self.router.try_recv(), Err(RecvError::WouldBlock));
        assert_eq!(self.heard[STOPPED], (0..asked).collect::<Vec<_>>());
        assert_eq!(self.heard[STEADY], (0..self.asked).collect::<Vec<_>>());
        assert_eq!(self.heard.len(), 2);
        assert_eq!(self.connection.last_error(), None);
    }
}

#[test]
fn a_peer_that_is_stopped_between_two_calls_holds_nobody_up() {
    if let Some(server) = server() {
        let (mut peer, _) = client(STOPPED, &server);
        ask(&mut peer, 0..STEPS);
        stop_between_calls();
        // What was sent while it was stopped.
        (0..STEPS).for_each(|number| take(&mut peer, number));
        return ask(&mut peer, STEPS..2 * STEPS);
    }
    for transport in TRANSPORTS {
        let mut server = Server::new(transport, |it| it);
        let name = "a_peer_that_is_stopped_between_two_calls_holds_nobody_up";
        let stopped = Stopped::start(name, &server.endpoint);
        server.serve(STEPS);
        stopped.await_stop();
        server.serve_others();
        let name = RoutingId::new(STOPPED).unwrap();
        (0..STEPS).for_each(|number| server.answer(&name, number));
        server.serve_others();
        stopped.go_on();
        stopped.tell();
        server.serve(STEPS);
        stopped.finish();
        server.serve_others();
        server.check(2 * STEPS);
    }
}

#[test]
fn a_peer_that_is_stopped_and_let_go_by_heartbeats_comes_back() {
    // H-01
    if let Some(server) = server() {
        let (mut peer, _) = client(STOPPED, &server);
        ask(&mut peer, 0..STEPS);
        stop_between_calls();
        return ask(&mut peer, STEPS..2 * STEPS);
    }
    for transport in TRANSPORTS {
        let often = |it: Builder<Router>| it.heartbeat_interval(SILENT / 10).heartbeat_timeout(SILENT);
        let mut server = Server::new(transport, often);
        let name = "a_peer_that_is_stopped_and_let_go_by_heartbeats_comes_back";
        let stopped = Stopped::start(name, &server.endpoint);
        server.serve(STEPS);
        stopped.await_stop();
        assert!(server.has_stopped_peer());
        let until = Instant::now() + DEADLINE;
        while server.has_stopped_peer() {
            assert!(Instant::now() < until, "not missed");
            server.serve_others();
        }
        server.serve_others();
        stopped.go_on();
        eventually("it is there again", || server.has_stopped_peer());
        stopped.tell();
        server.serve(STEPS);
        stopped.finish();
        server.check(2 * STEPS);
    }
}

#[test]
fn a_peer_that_is_stopped_while_it_waits_gets_its_answer() {
    if let Some(server) = server() {
        return ask(&mut client(STOPPED, &server).0, 0..STEPS + STOPS);
    }
    for transport in TRANSPORTS {
        let mut server = Server::new(transport, |it| it);
        let name = "a_peer_that_is_stopped_while_it_waits_gets_its_answer";
        let stopped = Stopped::start(name, &server.endpoint);
        server.serve(STEPS);
        for round in 0..STOPS {
            let (from, number) = server.hear();
            stopped.stop();
            server.serve_others();
            if round % 2 == 0 {
                server.answer(&from, number);
                stopped.go_on();
            } else {
                stopped.go_on();
                server.answer(&from, number);
            }
        }
        stopped.finish();
        server.check(STEPS + STOPS);
    }
}

#[test]
fn a_caller_that_waits_for_a_stopped_peer_holds_nobody_up() {
    if let Some(server) = server() {
        let context = Context::new();
        let mut peer: Socket<Pair> = builder(&context).linger(DEADLINE).open().unwrap();
        peer.connect(&*server).unwrap();
        answer(&mut peer, 0..STEPS);
        take(&mut peer, STEPS);
        stop_between_calls();
        send(&mut peer, STEPS);
        return answer(&mut peer, STEPS + 1..2 * STEPS);
    }
    for transport in TRANSPORTS {
        let context = Context::builder().io_threads(1).build();
        let mut others = Others::new(&context, transport);
        let mut pair: Socket<Pair> = builder(&context).open().unwrap();
        let endpoint: Endpoint = pair.bind(transport.free_endpoint()).unwrap().into();
        let name = "a_caller_that_waits_for_a_stopped_peer_holds_nobody_up";
        let stopped = Stopped::start(name, &endpoint);
        thread::scope(|scope| {
            let waits = scope.spawn(|| ask(&mut pair, 0..2 * STEPS));
            stopped.await_stop();
            (0..3).for_each(|_| others.go_on());
            assert!(!waits.is_finished());
            stopped.go_on();
            stopped.tell();
            waits.join().unwrap();
        });
        stopped.finish();
        others.go_on();
        assert_eq!(pair.try_recv(), Err(RecvError::WouldBlock));
    }
}
