//! Another implementation as a peer, in a process of its own, and the conversations that every one of them must
//! hold with our sockets: [`exchange`] compares what comes through, [`faults`] ends peers in the middle of it.
//!
//! All peer programs are told the same way what to do; `peers/src/lib.rs` says how.
//!
//! It fails by panicking: what calls it is a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test harness fails by panicking"
)]

pub mod exchange;
pub mod faults;

use std::io::{BufRead, BufReader, Write};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use peermq::{Builder, Connection, Context, Hwm, Message, Pattern, ReconnectInterval, RoutingId, Socket};
use tempfile::TempDir;

use crate::raw::{DEADLINE, Transport};
use crate::tally;

/// The routing ids that the peer programs know.
pub const OURS: &[u8] = b"one of ours";
/// See [`OURS`].
pub const THEIRS: &[u8] = b"one of theirs";

/// How long peers are held that miss nothing.
pub const HELD: Duration = Duration::from_secs(5);

/// A message, frame by frame.
pub type Frames = Vec<Vec<u8>>;

/// Another implementation, and how to start a peer made of it.
#[derive(Debug)]
pub struct Implementation {
    /// As the table of `run-all` calls it.
    pub name: &'static str,
    /// What it has.
    pub transports: &'static [Transport],
    /// The program, without its task.
    pub program: fn() -> Command,
}

/// Who binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binds {
    /// Our socket.
    We,
    /// The peer's.
    They,
}

/// Where two sockets meet.
pub type Place = (Transport, Binds);

/// The place of our socket and of the peers that come to it, one after the other.
#[derive(Debug)]
pub struct Meeting<'a> {
    implementation: &'a Implementation,
    side: &'static str,
    endpoint: String,
    /// Where our socket connected.
    pub connection: Option<Connection>,
    /// Where the peer's ipc endpoint is.
    _directory: TempDir,
}

/// A peer program at its task. Killed when dropped.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    process: Child,
    lines: Receiver<String>,
    /// What it reads; it ends itself when this is dropped.
    input: Sender<Vec<u8>>,
}

impl Implementation {
    /// All transports, both bind sides.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let transports = self.transports.iter();
        transports.flat_map(|&transport| [(transport, Binds::We), (transport, Binds::They)])
    }

    /// Adds to the table of `run-all`.
    pub fn count(&self, pattern: &str, (transport, binds): Place, direction: &str, messages: usize) {
        let transport = if transport == Transport::Tcp { "tcp" } else { "ipc" };
        let direction = format!("{direction}, {} bind", if binds == Binds::We { "we" } else { "they" });
        tally::count(self.name, pattern, transport, &direction, messages);
    }
}

impl<'a> Meeting<'a> {
    /// Brings our socket together with a first peer.
    pub fn begin<P: Pattern>(
        implementation: &'a Implementation,
        ours: &mut Socket<P>,
        (transport, binds): Place,
        task: &Task<'_>,
    ) -> (Self, Peer) {
        let directory = tempfile::tempdir().unwrap();
        let endpoint = match (binds, transport) {
            (Binds::We, Transport::Tcp) => ours.bind(&own_address()[..]).unwrap().to_string(),
            (Binds::We, Transport::Ipc) => ours.bind("ipc://*").unwrap().to_string(),
            (Binds::They, Transport::Tcp) => own_address(),
            (Binds::They, Transport::Ipc) => format!("ipc://{}", directory.path().join("peer").display()),
        };
        let side = if binds == Binds::We { "connect" } else { "bind" };
        let mut meeting = Self { implementation, side, endpoint, connection: None, _directory: directory };
        let (at, peer) = meeting.start(task);
        if binds == Binds::They {
            meeting.connection = Some(ours.connect(&at[..]).unwrap());
            meeting.endpoint = at;
        }
        (meeting, peer)
    }

    /// Brings another peer to the same place.
    #[must_use]
    pub fn go_on(&self, task: &Task<'_>) -> Peer {
        self.start(task).1
    }

    /// Brings another socket of ours to the same place, where the one before was bound.
    pub fn return_with<P: Pattern>(&self, ours: &mut Socket<P>) {
        let until = Instant::now() + DEADLINE;
        while let Err(error) = ours.bind(&self.endpoint[..]) {
            assert!(Instant::now() < until, "{error}");
            thread::yield_now();
        }
    }

    fn start(&self, task: &Task<'_>) -> (String, Peer) {
        let mut process = (self.implementation.program)()
            .args([task.verb, task.kind, self.side, &self.endpoint])
            .args(task.topics)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (input, written) = mpsc::channel::<Vec<u8>>();
        // Threads of their own, as pipes have no deadlines: both end with the process.
        thread::spawn(move || written.iter().try_for_each(|octets| stdin.write_all(&octets)));
        let (read, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| read.send(line))
        });
        let peer = Peer { name: self.implementation.name, process, lines, input };
        peer.input.send(encode(task.messages)).unwrap();
        let line = peer.line();
        (line.strip_prefix("at ").unwrap().to_owned(), peer)
    }
}

/// What a peer is told to do.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// What.
    pub verb: &'a str,
    /// With which type of socket.
    pub kind: &'a str,
    /// What it subscribes to or asks for.
    pub topics: &'a [&'a str],
    /// What it sends or expects.
    pub messages: &'a [Frames],
}

impl<'a> Task<'a> {
    /// A task without messages.
    #[must_use]
    pub fn new(verb: &'a str, kind: &'a str) -> Self {
        Self { verb, kind, topics: &[], messages: &[] }
    }
}

impl Peer {
    /// What it reports next.
    #[must_use]
    pub fn line(&self) -> String {
        self.lines
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|error| panic!("{} reports nothing: {error}", self.name))
    }

    /// What it reports next; nothing if that takes longer.
    #[must_use]
    pub fn line_within(&self, wait: Duration) -> Option<String> {
        self.lines.recv_timeout(wait).ok()
    }

    /// What it had reported and nobody has read, after [`kill`](Self::kill).
    pub fn last_lines(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter()
    }

    /// Its task is done: it has sent, or got and compared, so many messages.
    pub fn finish(self, messages: usize) {
        assert_eq!(self.line(), format!("done {messages}"));
    }

    /// Tells a PUB that its subscribers are there.
    pub fn tell(&self) {
        self.input.send(vec![1]).unwrap();
    }

    /// It goes on with its task.
    pub fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Holds it where it is for a while ([`HELD`]), while others go on.
    pub fn hold(&self) {
        self.signal(Signal::SIGSTOP);
        let process = self.pid();
        thread::spawn(move || {
            thread::sleep(HELD);
            // An error says that it has ended.
            _ = kill(process, Signal::SIGCONT);
        });
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().try_into().unwrap())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // An error says that it has ended.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Our socket, that comes back at once and does not wait for ever.
#[must_use]
pub fn builder<P: Pattern>() -> Builder<P> {
    let context = Context::builder().io_threads(1).build();
    let builder = context.builder_for::<P>().send_timeout(DEADLINE).recv_timeout(DEADLINE);
    builder.reconnect_interval(ReconnectInterval::Every(Duration::from_millis(5)))
}

/// A publisher or subscriber without limits: what is lost is lost by mistake.
#[must_use]
pub fn unlimited<P: Pattern>() -> Socket<P> {
    builder().send_hwm(Hwm::UNLIMITED).recv_hwm(Hwm::UNLIMITED).open().unwrap()
}

/// With the routing id that the peer programs expect.
#[must_use]
pub fn named<P: Pattern>(builder: Builder<P>) -> Builder<P> {
    builder.routing_id(RoutingId::new(OURS).unwrap())
}

/// Without one.
#[must_use]
pub fn unnamed<P: Pattern>(builder: Builder<P>) -> Builder<P> {
    builder
}

/// A message's frames, as octets.
#[must_use]
pub fn octets(message: &Message) -> Frames {
    message.frames().map(|frame| frame.to_vec()).collect()
}

/// A loopback address of its own, where nobody else takes the port while one side is away to be started again:
/// apart from 127.0.0.1, and from process to process at the same time.
fn own_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = process::id().to_be_bytes();
    format!("tcp://127.{}.{high}.{low}:0", 64 + number % 192)
}

/// As the peer programs read messages.
fn encode(messages: &[Frames]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let mut encoded = number(messages.len()).to_vec();
    for frames in messages {
        encoded.extend(number(frames.len()));
        for frame in frames {
            encoded.extend(number(frame.len()));
            encoded.extend(frame);
        }
    }
    encoded
}
