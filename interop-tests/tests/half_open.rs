//! Strangers that do not go on with their handshakes, beside honest peers with CURVE: B-06, B-37, B-43, B-59, B-69,
//! C-12, X-14.
//!
//! 400 strangers beside 10 honest clients; with `PEERMQ_FULL` 10,000 beside 100. The strangers are a process of their
//! own, because few systems let one process have the descriptors of both ends. Figures are printed: run with
//! `--nocapture`, and for figures worth having in release and with nothing else on the machine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;
use std::env;
use std::io::{self, BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cap::Cap;
use interop_tests::raw::vectors::{command, greeting, message};
use interop_tests::raw::{ALLOCATOR_LIMIT, Account, DEADLINE, FIGURE, Meeting, Role, Transport, alone};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use peermq::{
    Authorizer, Context, CurveKeyPair, Dealer, Endpoint, HandshakesMax, Pull, Router, Security, Socket,
};
use socket2::{Domain, Type};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

/// Where the strangers' process connects to, and how often.
const STRANGERS_OF: &str = "PEERMQ_TEST_STRANGERS_OF";

/// Most octets of a connection that has not shaken hands, on average of those below: with what is in flight: 0, 32,
/// 64 or 164 octets of greeting and HELLO that were read and wait for the rest, or as many as have dripped in.
const HALF_OPEN_MAX: usize = 1024;

/// No stranger gives up, nor is given up.
const NEVER: Duration = Duration::from_secs(3600);

/// So slow that the default deadline of 30 s would not cut the shortest greeting short if each octet renewed it.
const BETWEEN_OCTETS: Duration = Duration::from_millis(30_000 / 65);

/// Octets of an honest request.
const REQUEST: usize = 256;

/// How long honest clients are measured, with strangers and without.
const MEASURED: Duration = Duration::from_secs(3);

#[test]
fn honest_clients_are_served_beside_strangers() {
    const NAME: &str = "honest_clients_are_served_beside_strangers";
    if let Ok(server) = env::var(STRANGERS_OF) {
        return be_the_strangers(&server);
    }
    alone(NAME, || {
        let is_full = env::var_os("PEERMQ_FULL").is_some();
        let (honest, wanted) = if is_full { (100, 10_000) } else { (10, 400) };
        let strangers = wanted.min(raise_descriptor_limit().saturating_sub(1000));
        let measured = if is_full { MEASURED } else { MEASURED / 10 };
        let keys = CurveKeyPair::generate().unwrap();
        let server_key = keys.public_key();
        let context = Context::builder().io_threads(1).build();
        let mut router: Socket<Router> = context
            .builder_for()
            .security(Security::CurveServer { keys })
            .authorizer(Authorizer::anyone())
            .handshake_interval(NEVER)
            .handshakes_max(HandshakesMax::UNLIMITED)
            .backlog(4096)
            .linger(Duration::ZERO)
            .recv_timeout(Duration::from_millis(10))
            .open()
            .unwrap();
        let endpoint: Endpoint = router.bind("tcp://127.0.0.1:0").unwrap().into();
        let done = AtomicBool::new(false);
        let clients_context = Context::builder().io_threads(1).build();
        let clients: Vec<Socket<Dealer>> = (0..honest)
            .map(|_| {
                let keys = CurveKeyPair::generate().unwrap();
                let security = Security::CurveClient { keys, server_key };
                let builder = clients_context.builder_for().security(security).linger(Duration::ZERO);
                let mut client = builder.recv_timeout(DEADLINE).send_timeout(DEADLINE).open().unwrap();
                client.connect(&endpoint).unwrap();
                client
            })
            .collect();
        // Until the server has counted them.
        let mut clients = Clients(clients);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    if let Ok((from, question)) = router.recv() {
                        router.send_to(&from, question).unwrap();
                    }
                }
                // Whoever has not shaken hands is no peer, and gets no message.
                assert_eq!(router.peers().len(), honest);
            });
            clients.measure(Duration::from_millis(300));
            let alone = clients.measure(measured);
            let account = Account::take(&ALLOCATOR);
            let crowd = Strangers::start(NAME, &endpoint, strangers);
            let octets = account.growth() / strangers;
            println!("{FIGURE}a half-open connection costs {octets} octets, on average of {strangers}");
            assert!(octets <= HALF_OPEN_MAX, "{octets} octets");
            let beside = clients.measure(measured);
            println!("{FIGURE}{honest} honest clients alone: {alone}");
            println!("{FIGURE}beside {strangers} strangers: {beside}");
            println!(
                "{FIGURE}goodput {:.3} of that without them, p99 {:.2} times",
                beside.per_second / alone.per_second,
                beside.p99.as_secs_f64() / alone.p99.as_secs_f64()
            );
            crowd.finish();
            // LIVE
            clients.measure(measured / 3);
            done.store(true, Ordering::Relaxed);
        });
    });
}

/// Honest clients, all of which ask before any of them hears an answer.
struct Clients(Vec<Socket<Dealer>>);

struct Figures {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { per_second, p50, p99 } = self;
        write!(f, "{per_second:.0} answers a second, p50 {p50:.0?}, p99 {p99:.0?}")
    }
}

impl Clients {
    fn measure(&mut self, time: Duration) -> Figures {
        let (start, question) = (Instant::now(), [7; REQUEST]);
        let mut times = Vec::new();
        while start.elapsed() < time || times.is_empty() {
            let mut asked = Vec::with_capacity(self.0.len());
            for client in &mut self.0 {
                asked.push(Instant::now());
                client.send(&question).unwrap();
            }
            for (client, asked) in self.0.iter_mut().zip(asked) {
                assert_eq!(client.recv().unwrap(), question[..]);
                times.push(asked.elapsed());
            }
        }
        let per_second = times.len() as f64 / start.elapsed().as_secs_f64();
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        Figures { per_second, p50: at(50), p99: at(99) }
    }
}

/// The process of the strangers.
struct Strangers {
    process: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
}

const OPEN: &str = "open: ";
const HELD: &str = "held: ";

impl Strangers {
    /// All of them are there when this returns.
    fn start(test: &str, server: &Endpoint, count: usize) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--test-threads=1", "--nocapture"])
            .env(STRANGERS_OF, format!("{count} {server}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, reports) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut strangers = Self { process, orders, reports: BufReader::new(reports).lines() };
        strangers.await_report(&format!("{OPEN}{count}"));
        strangers
    }

    fn await_report(&mut self, report: &str) {
        assert!(self.reports.by_ref().any(|line| line.unwrap() == report), "the strangers have died");
    }

    fn finish(mut self) {
        writeln!(self.orders, "count").unwrap();
        let line = self.reports.by_ref().map(Result::unwrap).find(|line| line.starts_with(HELD));
        // Nobody was closed to make room for others, and nobody was let in.
        assert!(line.is_some_and(|line| line.ends_with(" none has ended")));
        drop(self.orders);
        self.reports.for_each(drop);
        assert!(self.process.wait().unwrap().success());
    }
}

/// Connects so often, says something or nothing, and goes on octet by octet with a few.
fn be_the_strangers(server: &str) {
    let (count, server) = server.split_once(' ').unwrap();
    let count: usize = count.parse().unwrap();
    raise_descriptor_limit();
    let server: SocketAddr = server.strip_prefix("tcp://").unwrap().parse().unwrap();
    let mut hello = greeting(3, 1, b"CURVE").to_vec();
    hello.extend(command("HELLO", &[0; 194]));
    let mut strangers: Vec<TcpStream> = (0..count).map(|number| connect(number, server)).collect();
    for (number, stream) in strangers.iter_mut().enumerate() {
        let said = [0, 32, 64, 64 + 100, 1][number % 5];
        stream.read_exact(&mut [0; 10]).unwrap();
        stream.write_all(&hello[..said]).unwrap();
    }
    println!("\n{OPEN}{count}");
    let (order, orders) = std::sync::mpsc::channel();
    thread::spawn(move || io::stdin().lines().for_each(|_| _ = order.send(())));
    for next in 1..hello.len() - 1 {
        for stream in strangers.iter_mut().skip(4).step_by(5) {
            stream.write_all(&hello[next..=next]).unwrap();
        }
        if orders.recv_timeout(BETWEEN_OCTETS).is_ok() {
            break;
        }
    }
    for stream in &mut strangers {
        stream.set_nonblocking(true).unwrap();
        // The rest of the greeting may be there; no end.
        while matches!(stream.read(&mut [0; 64]), Ok(1..)) {}
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
    println!("\n{HELD}{count}, none has ended");
    orders.iter().for_each(drop);
}

/// From an address of a few thousand: no address has more ports than a system gives.
fn connect(number: usize, server: SocketAddr) -> TcpStream {
    let [.., high, low] = (number / 8).to_be_bytes();
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = SocketAddr::from(([127, 9, high, low.max(1)], 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.into()
}

fn raise_descriptor_limit() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    usize::try_from(hard).unwrap()
}

#[test]
fn whoever_goes_on_slowly_is_closed_in_the_middle() {
    // X-14, B-45, B-59: one deadline for all of the handshake, not one for each octet; LIVE, ACCT.
    alone("whoever_goes_on_slowly_is_closed_in_the_middle", || {
        let interval = Duration::from_millis(300);
        for transport in [Transport::Tcp, Transport::Ipc] {
            let mut meeting =
                Meeting::<Pull>::with(Role::Binds, transport, |it| it.handshake_interval(interval));
            meeting.live();
            let account = Account::take(&ALLOCATOR);
            let mut good = meeting.good_peer();
            let mut slow: Vec<_> = (0..50).map(|_| meeting.peer()).collect();
            let octets = [&greeting(3, 1, b"NULL")[..], &command("READY", &[b'x'; 200])].concat();
            let ended = octets.chunks(1).any(|octet| {
                good.write(&message(&["still here"]));
                assert_eq!(meeting.socket.recv().unwrap(), "still here");
                // The time between two octets.
                meeting.socket.recv_timeout(Duration::from_millis(10)).unwrap_err();
                slow.iter_mut().all(|peer| peer.try_write(octet).is_err())
            });
            assert!(ended, "somebody could say all of it");
            drop((slow, good));
            drop(meeting);
            account.assert_restored();
        }
    });
}
