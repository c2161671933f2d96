//! Sockets through the public API: what a message costs within one process, a round trip, and how soon a poller sees it.
//!
//! `cargo bench` runs them; `versus` in `interop-tests` compares with libzmq, across processes.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::error::Error;
use std::hint::{black_box, spin_loop};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::{TimeVal, TimeValLike as _};
use peermq::{Context, Interest, Message, Pair, Poller, Proxy, Pull, Push, RecvError, SharedSocket, Socket};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PATIENCE: Duration = Duration::from_secs(10);

/// After so long without a message a thread sleeps.
const FALLS_ASLEEP: Duration = Duration::from_micros(100);

/// What a relay reads at most.
const RELAYED_OCTETS: usize = 256 * 1024;

const SIZES: [usize; 5] = [8, 64, 1024, 8 * 1024, 64 * 1024];

/// PUSH on one thread, PULL on another: the time until so many messages were received.
fn stream(endpoint: &str, size: usize, count: u64) -> Result<Duration> {
    let context = Context::new();
    let mut pull = context.open::<Pull>()?;
    let endpoint = pull.bind(endpoint)?;
    let mut push = context.open::<Push>()?;
    push.connect(endpoint)?;
    transfer(push, &mut pull, size, count)
}

/// PUSH on one thread, PULL on another, and a proxy on a third: the time until so many messages were received.
fn stream_through_proxy(from: &str, to: &str, size: usize, count: u64) -> Result<Duration> {
    let context = Context::new();
    let mut frontend = context.open::<Pull>()?;
    let into = frontend.bind(from)?;
    let mut backend = context.open::<Push>()?;
    let out = backend.bind(if to.starts_with("tcp") { to } else { "inproc://out" })?;
    let mut push = context.open::<Push>()?;
    push.connect(into)?;
    let mut pull = context.open::<Pull>()?;
    pull.connect(out)?;
    let proxy = Proxy::new(frontend, backend)?;
    let control = proxy.control();
    let running = thread::spawn(move || proxy.run());
    let elapsed = transfer(push, &mut pull, size, count)?;
    control.terminate();
    running.join().map_err(|_| "the proxy panicked")?;
    Ok(elapsed)
}

/// The same with two threads in the middle that know nothing of messages: what one plain socket has, the other gets. No
/// proxy over tcp costs less.
fn stream_through_relay(size: usize, count: u64) -> Result<Duration> {
    let context = Context::new();
    let mut pull = context.open::<Pull>()?;
    let out = pull.bind("tcp://127.0.0.1:0")?.to_string();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut push = context.open::<Push>()?;
    push.connect(format!("tcp://{}", listener.local_addr()?).as_str())?;
    let (sender, _) = listener.accept()?;
    let receiver = TcpStream::connect(out.trim_start_matches("tcp://"))?;
    for stream in [&sender, &receiver] {
        stream.set_nodelay(true)?;
    }
    let ways = [(sender.try_clone()?, receiver.try_clone()?), (receiver, sender)];
    let relays = ways.map(|(from, to)| thread::spawn(move || relay(from, to)));
    let elapsed = transfer(push, &mut pull, size, count)?;
    drop(pull);
    for relay in relays {
        relay.join().map_err(|_| "a relay panicked")?;
    }
    Ok(elapsed)
}

/// Until either end hangs up.
fn relay(mut from: TcpStream, mut to: TcpStream) {
    let mut octets = vec![0; RELAYED_OCTETS];
    while let Ok(count @ 1..) = from.read(&mut octets) {
        if to.write_all(octets.get(..count).unwrap_or_default()).is_err() {
            break;
        }
    }
    // An error: it is closed already.
    let _ = to.shutdown(Shutdown::Both);
}

/// So many threads with one PUSH, PULL on another: the time until so many messages were received.
fn stream_shared(endpoint: &str, threads: u64, count: u64) -> Result<Duration> {
    let context = Context::new();
    let mut pull = context.open::<Pull>()?;
    let endpoint = pull.bind(endpoint)?;
    let mut push = context.open::<Push>()?;
    push.connect(endpoint)?;
    let push = SharedSocket::new(push);
    let senders: Vec<_> = (0..threads)
        .map(|number| {
            let push = push.clone();
            let share = count / threads + u64::from(number < count % threads) + u64::from(number == 0);
            thread::spawn(move || (0..share).try_for_each(|_| push.send(&[7; 64])))
        })
        .collect();
    let elapsed = receive(&mut pull, count)?;
    for sender in senders {
        sender.join().map_err(|_| "a sender panicked")??;
    }
    Ok(elapsed)
}

/// Sends one message more on a thread of its own: the time until so many were received.
fn transfer(mut push: Socket<Push>, pull: &mut Socket<Pull>, size: usize, count: u64) -> Result<Duration> {
    let sender = thread::spawn(move || -> Result<()> {
        let body = vec![7; size];
        (0..=count).try_for_each(|_| push.send(&body).map_err(Into::into))
    });
    let elapsed = receive(pull, count)?;
    sender.join().map_err(|_| "the sender panicked")??;
    Ok(elapsed)
}

/// The time until so many messages were received behind the first one, with which everybody is at work.
fn receive(pull: &mut Socket<Pull>, count: u64) -> Result<Duration> {
    let mut message = pull.recv()?;
    let start = Instant::now();
    for _ in 0..count {
        pull.recv_into(&mut message)?;
        black_box(message.body());
    }
    Ok(start.elapsed())
}

/// PAIR to PAIR and back, on two threads: the time for so many round trips.
fn round_trips(endpoint: &str, count: u64) -> Result<Duration> {
    let context = Context::new();
    let mut near = context.open::<Pair>()?;
    let endpoint = near.bind(endpoint)?;
    let mut far = context.open::<Pair>()?;
    far.connect(endpoint)?;
    let echo = thread::spawn(move || -> Result<()> {
        for _ in 0..=count {
            let message = far.recv()?;
            far.send(message)?;
        }
        Ok(())
    });
    let body = [7; 64];
    let mut message = Message::new();
    near.send(&body)?;
    near.recv_into(&mut message)?;
    let start = Instant::now();
    for _ in 0..count {
        near.send(&body)?;
        near.recv_into(&mut message)?;
    }
    let elapsed = start.elapsed();
    echo.join().map_err(|_| "the echo panicked")??;
    Ok(elapsed)
}

/// PULLs in one poller, each with a PUSH of its own, over tcp.
struct Watched {
    pushes: Vec<Socket<Push>>,
    pulls: Vec<Socket<Pull>>,
    poller: Poller<usize>,
}

impl Watched {
    fn new(sockets: usize) -> Result<Self> {
        // Each pair takes three descriptors.
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        let context = Context::new();
        let (mut pushes, mut pulls, mut poller) = (Vec::new(), Vec::new(), Poller::new());
        for number in 0..sockets {
            let mut pull = context.open::<Pull>()?;
            let binding = pull.bind("tcp://127.0.0.1:0")?;
            poller.add(&mut pull, Interest::READABLE, number)?;
            pulls.push(pull);
            let mut push = context.open::<Push>()?;
            push.connect(&binding)?.wait_ready(PATIENCE)?;
            pushes.push(push);
        }
        Ok(Self { pushes, pulls, poller })
    }

    /// Sender and poller are one thread: the time until so many messages were seen, each over the next socket.
    fn see_own(&mut self, count: u64) -> Result<Duration> {
        let start = Instant::now();
        for (_, number) in (0..count).zip((0..self.pushes.len()).cycle()) {
            at(&mut self.pushes, number)?.send(&[7; 64])?;
            see(&mut self.poller, &mut self.pulls)?;
        }
        Ok(start.elapsed())
    }

    /// The sender is a thread of its own, and sends when the poller sleeps.
    fn see_another_s(&mut self, count: u64) -> Result<Duration> {
        let Self { pushes, pulls, poller } = self;
        let seen = AtomicU64::new(0);
        thread::scope(|scope| {
            let sender = scope.spawn(|| -> Result<Duration> {
                let mut elapsed = Duration::ZERO;
                for (sent, number) in (0..count).zip((0..pushes.len()).cycle()) {
                    let pause = Instant::now();
                    while pause.elapsed() < FALLS_ASLEEP {
                        spin_loop();
                    }
                    let start = Instant::now();
                    at(pushes, number)?.send(&[7; 64])?;
                    while seen.load(Ordering::Acquire) == sent {
                        if start.elapsed() > 2 * PATIENCE {
                            return Err("a message was not seen".into());
                        }
                        thread::yield_now();
                    }
                    elapsed += start.elapsed();
                }
                Ok(elapsed)
            });
            for _ in 0..count {
                see(poller, pulls)?;
                seen.fetch_add(1, Ordering::Release);
            }
            sender.join().map_err(|_| "the sender panicked")?
        })
    }

    /// The processor time that this process takes in so many milliseconds in which nothing comes.
    fn idle(&mut self, milliseconds: u64) -> Result<Duration> {
        let before = processor_time()?;
        self.poller.wait(Some(Duration::from_millis(milliseconds)))?;
        Ok(processor_time()? - before)
    }
}

fn at<T>(sockets: &mut [T], number: usize) -> Result<&mut T> {
    Ok(sockets.get_mut(number).ok_or("no such socket")?)
}

/// Now and then a socket is reported that has nothing after all.
fn see(poller: &mut Poller<usize>, pulls: &mut [Socket<Pull>]) -> Result<()> {
    loop {
        let ready = poller.wait(Some(PATIENCE))?.first().ok_or("nothing is ready")?;
        match at(pulls, ready.key)?.try_recv() {
            Ok(message) => {
                black_box(message);
                return Ok(());
            }
            Err(RecvError::WouldBlock) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn processor_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let microseconds = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    Ok(microseconds(usage.user_time()) + microseconds(usage.system_time()))
}

/// Adds a benchmark that measures itself. A failure ends the run.
fn add(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    mut run: impl FnMut(u64) -> Result<Duration>,
) {
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|count| match run(count) {
            Ok(elapsed) => elapsed,
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(1);
            }
        });
    });
}

fn sockets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("push_pull");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        for transport in ["inproc", "tcp"] {
            let endpoint = endpoint(transport);
            add(&mut group, BenchmarkId::new(transport, size), |count| stream(endpoint, size, count));
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("push_proxy_pull");
    for size in [8, 64, 1024, 64 * 1024] {
        group.throughput(Throughput::Bytes(size as u64));
        // The last one: to workers in the proxy's process.
        for (name, from, to) in
            [("inproc", "inproc", "inproc"), ("tcp", "tcp", "tcp"), ("tcp_inproc", "tcp", "inproc")]
        {
            let run = |count| stream_through_proxy(endpoint(from), endpoint(to), size, count);
            add(&mut group, BenchmarkId::new(name, size), run);
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("push_relay_pull");
    for size in [64, 1024, 64 * 1024] {
        group.throughput(Throughput::Bytes(size as u64));
        add(&mut group, BenchmarkId::new("tcp", size), |count| stream_through_relay(size, count));
    }
    group.finish();
    let mut group = criterion.benchmark_group("shared_push_pull_64");
    group.throughput(Throughput::Bytes(64));
    for threads in [1, 2, 8] {
        for transport in ["inproc", "tcp"] {
            let endpoint = endpoint(transport);
            let run = |count| stream_shared(endpoint, threads, count);
            add(&mut group, BenchmarkId::new(transport, threads), run);
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("pair_round_trip");
    for transport in ["inproc", "tcp"] {
        let endpoint = endpoint(transport);
        add(&mut group, BenchmarkId::from_parameter(transport), |count| round_trips(endpoint, count));
    }
    group.finish();
}

fn pollers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("poller");
    for sockets in [1, 1000] {
        let mut watched = match Watched::new(sockets) {
            Ok(watched) => watched,
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(1);
            }
        };
        add(&mut group, BenchmarkId::new("same_thread", sockets), |count| watched.see_own(count));
        add(&mut group, BenchmarkId::new("other_thread", sockets), |count| watched.see_another_s(count));
        add(&mut group, BenchmarkId::new("processor_time_of_an_idle_ms", sockets), |count| {
            watched.idle(count)
        });
    }
    group.finish();
}

fn endpoint(transport: &str) -> &'static str {
    if transport == "tcp" { "tcp://127.0.0.1:0" } else { "inproc://bench" }
}

criterion_group!(benches, sockets, pollers);
criterion_main!(benches);
