//! Other implementations as peers in processes of their own, which can be killed, stopped and started again:
//! libzmq (`src/bin/libzmq-peer.rs`) and pyzmq (`python/peer.py`).
//!
//! A peer has one socket and one task:
//!
//! | task | |
//! |---|---|
//! | `send`, `receive`, `ask` | the messages that it is given: `receive` compares them, `ask` gets each of them back and compares it |
//! | `echo` | sends back what it gets |
//! | `count`, `ledger`, `inquire` | without end, with messages that say which they are ([`numbered`]): sends; receives; asks. The latter two report each |
//! | `proxy` | two sockets |
//!
//! Options have libzmq's names, without `ZMQ_`. Four more: `EPOCH` is in the messages that are counted; with
//! `HOLD` it only starts, with `STAY` it only closes its socket when it is told to; with `TOPIC` so, too, and it publishes `TOPIC?` until then, which a SUB
//! with `TOPIC` reports and passes over.
//!
//! It fails by panicking: what calls it is a test.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test harness fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::raw::{DEADLINE, Transport};
use crate::tally;

/// The frames of one message.
pub type Frames = Vec<Vec<u8>>;

/// Whose socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementation {
    /// The one that the crate `zmq` builds.
    Libzmq,
    /// The one of `requirements.txt`, with the libzmq that comes with it.
    Pyzmq,
}

impl Implementation {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Libzmq, Self::Pyzmq];

    /// As it is called in the table of `run-all`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Libzmq => "libzmq",
            Self::Pyzmq => "pyzmq",
        }
    }
}

/// Who binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binds {
    /// Ours binds, theirs connects.
    We,
    /// Theirs binds, ours connects.
    They,
}

/// Where two sockets meet: over what, and who binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Over what.
    pub transport: Transport,
    /// Who binds.
    pub binds: Binds,
}

impl Place {
    /// Both transports, both sides.
    pub const EVERYWHERE: [Self; 4] = [
        Self { transport: Transport::Tcp, binds: Binds::We },
        Self { transport: Transport::Tcp, binds: Binds::They },
        Self { transport: Transport::Ipc, binds: Binds::We },
        Self { transport: Transport::Ipc, binds: Binds::They },
    ];

    /// What theirs does: bind or connect.
    #[must_use]
    pub fn their_side(self) -> &'static str {
        match self.binds {
            Binds::We => "connect",
            Binds::They => "bind",
        }
    }

    /// Adds to the table of `run-all`.
    pub fn count(self, theirs: Implementation, pattern: &str, direction: &str, messages: usize) {
        let transport = if self.transport == Transport::Tcp { "tcp" } else { "ipc" };
        let direction = format!("{direction}, {} bind", if self.binds == Binds::We { "we" } else { "they" });
        tally::count(theirs.name(), pattern, transport, &direction, messages);
    }
}

/// A place to bind to that nobody else takes while it is free for a moment, because whoever is bound there is
/// being restarted: a path of its own, or an address of the loopback that no other test uses.
#[derive(Debug)]
pub struct Address {
    directory: TempDir,
    host: String,
}

impl Address {
    /// One that was not there before.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [_, _, high, low] = process::id().to_be_bytes();
        // Above 127.64.0.0: apart from 127.0.0.1, and from process to process at the same time.
        let host = format!("127.{}.{high}.{low}", 64 + number % 191);
        Self { directory: tempfile::tempdir().unwrap(), host }
    }

    /// Where to bind to.
    #[must_use]
    pub fn endpoint(&self, transport: Transport) -> String {
        match transport {
            Transport::Ipc => format!("ipc://{}", self.directory.path().join("theirs").display()),
            Transport::Tcp => format!("tcp://{}:*", self.host),
        }
    }
}

/// A peer. Killed when dropped.
#[derive(Debug)]
pub struct Theirs {
    pid: Pid,
    /// What is to be waited for, if it is a child of this process.
    child: Option<Child>,
    lines: Receiver<String>,
    input: Sender<Vec<u8>>,
}

impl Theirs {
    /// Starts one: the words are its task, then the type, `bind` or `connect` and the endpoint of its socket, and
    /// options; for a `proxy` the first three of these, twice.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(implementation: Implementation, words: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reports");
        let listener = UnixListener::bind(&path).unwrap();
        let words = [&[path.to_str().unwrap()], words].concat();
        let child = match implementation {
            Implementation::Libzmq => Some(Command::new(libzmq_peer()).args(&words).spawn().unwrap()),
            Implementation::Pyzmq => {
                writeln!(nursery().lock().unwrap(), "{}", serde_json::to_string(&words).unwrap()).unwrap();
                None
            }
        };
        let timeout = PollTimeout::try_from(DEADLINE).unwrap();
        let ready = poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], timeout).unwrap();
        assert_eq!(ready, 1, "{} does not start", implementation.name());
        let (stream, _) = listener.accept().unwrap();
        let (input, written) = mpsc::channel::<Vec<u8>>();
        // Threads of their own, as streams are no channels: both end with the process.
        let mut writer = stream.try_clone().unwrap();
        thread::spawn(move || written.iter().try_for_each(|octets| writer.write_all(&octets)));
        let (read, lines) = mpsc::channel();
        let reader = BufReader::new(stream);
        thread::spawn(move || reader.lines().map_while(Result::ok).try_for_each(|line| read.send(line)));
        let mut theirs = Self { pid: Pid::this(), child, lines, input };
        theirs.pid = Pid::from_raw(theirs.report("pid").parse().unwrap());
        theirs
    }

    /// What it reports next.
    ///
    /// # Panics
    ///
    /// When it reports nothing, or is gone.
    #[must_use]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("theirs reports nothing: {error}"))
    }

    /// What it reports next, which has this word in front.
    ///
    /// # Panics
    ///
    /// When it reports something else, or nothing.
    #[must_use]
    pub fn report(&self, word: &str) -> String {
        let line = self.line();
        match line.split_once(' ') {
            Some((first, rest)) if first == word => rest.to_owned(),
            _ => panic!("theirs reports {line:?} instead of {word}"),
        }
    }

    /// The numbers of the messages that it `got` since: waits for the first one, `wait` at most.
    ///
    /// # Panics
    ///
    /// When it reports something else, or is gone.
    #[must_use]
    pub fn got(&self, wait: Duration) -> Vec<u32> {
        let first = match self.lines.recv_timeout(wait) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Vec::new(),
            Err(RecvTimeoutError::Disconnected) => panic!("theirs is gone"),
        };
        std::iter::once(first).chain(self.lines.try_iter()).map(|line| number_got(&line)).collect()
    }

    /// Gives it its messages.
    pub fn give(&self, messages: &[Frames]) {
        // An error says that it is gone, as will be seen.
        _ = self.input.send(encode(messages));
    }

    /// Tells it that its time has come: see the options `HOLD`, `STAY` and `TOPIC`.
    pub fn tell(&self) {
        _ = self.input.send(vec![1]);
    }

    /// Its task is done: it has sent, or got and compared, so many messages, and is gone.
    ///
    /// # Panics
    ///
    /// When it has not.
    pub fn finish(self, messages: usize) {
        assert_eq!(self.report("sent"), messages.to_string());
        assert_eq!(self.report("done"), messages.to_string());
    }

    /// Kills it in the middle of whatever it does; the numbers that it `got` and that nobody has asked for yet.
    #[must_use]
    pub fn kill(self) -> Vec<u32> {
        self.signal(Signal::SIGKILL);
        self.lines.iter().map(|line| number_got(&line)).collect()
    }

    /// Stops it: it does nothing, but its connections stay.
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        // An error says that it is gone.
        _ = kill(self.pid, signal);
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        if let Some(child) = &mut self.child {
            _ = child.wait();
        }
    }
}

/// The frames of a message that says which one it is; `python/peer.py` and libzmq's peer know them, too.
#[must_use]
pub fn numbered(epoch: &str, number: u32) -> Frames {
    let size = number as usize * 7919 % 3000;
    let body = format!("{number},").into_bytes().into_iter().cycle().take(size).collect();
    vec![epoch.as_bytes().to_vec(), number.to_string().into_bytes(), body]
}

fn number_got(line: &str) -> u32 {
    let Some(number) = line.strip_prefix("got ") else { panic!("theirs reports {line:?}") };
    number.parse().unwrap()
}

/// As peers read messages.
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

/// Cargo builds it before it runs the tests of this package, two folders above theirs.
fn libzmq_peer() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("libzmq-peer")
}

/// The interpreter that `run-all` has installed pyzmq for.
///
/// # Panics
///
/// When it has not.
#[must_use]
pub fn python() -> Command {
    let Ok(python) = std::env::var("PEERMQ_PYTHON") else {
        panic!("PEERMQ_PYTHON is not set: run interop-tests/run-all, which installs pyzmq and sets it");
    };
    let mut command = Command::new(python);
    // Nothing but what is installed there; and what is printed, is printed at once.
    command.args(["-I", "-u"]);
    command
}

/// Where pyzmq's peers come from, for all tests of this process; it ends with it, as its input does.
fn nursery() -> &'static Mutex<ChildStdin> {
    static NURSERY: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    NURSERY.get_or_init(|| {
        let mut command = python();
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/peer.py"));
        Mutex::new(command.stdin(Stdio::piped()).spawn().unwrap().stdin.unwrap())
    })
}
