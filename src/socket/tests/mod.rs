//! Sockets through their public verbs, each pattern over every transport.
//!
//! Nothing here sleeps to wait for a state: a test waits for a message or for room, or looks again until
//! [`PATIENCE`] is over. No test asserts that something is fast.

mod admission;
mod announce;
mod any;
mod behind_floods;
mod both_go;
mod bounds;
mod bursts;
mod close;
mod conflate;
mod conservation;
mod conservation_ends;
mod conservation_pubsub;
mod conservation_router;
mod context;
mod dealer;
mod dialing;
mod dropped;
mod endpoints;
mod ends;
mod extremes;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod faults_asked;
#[cfg(unix)]
mod faults_single;
#[cfg(unix)]
mod faults_stream;
mod finish;
mod flooded;
mod flooders;
mod floods;
mod floods_of_ours;
mod handles;
mod heartbeats;
mod idle_publishers;
mod in_step;
mod inline;
mod inproc;
mod last_peer;
mod ledger;
mod linger;
mod many_frames;
mod matrix;
mod messages;
mod monitor;
mod names;
mod options;
mod pair;
mod panics;
#[cfg(unix)]
mod poller;
mod promises;
mod proxy;
mod pubsub;
mod queues;
mod ready;
mod reconnect;
mod remains;
mod rep;
mod req;
mod resources;
mod router;
mod routing;
mod security;
mod shared;
mod shared_tasks;
#[cfg(unix)]
mod signals;
mod stats;
mod stream;
mod subscribed;
mod subscriptions;
#[cfg(feature = "curve")]
mod tapped;
mod tasks;
mod topology;
mod unreceived;
mod urgent;
mod verbs;
mod wait;
mod wakers;
mod whole;
mod xpubsub;
mod zap;

use std::process::{Command, id as process_id};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;

use crate::sync::{AtomicBool, AtomicU64, Ordering};
use crate::{
    Builder, Context, Endpoint, Linger, Message, Pattern, Pull, Push, Receives, SendError, Sends, Socket,
    Unsent,
};

/// How long a test waits for what must happen: a guard against hanging, not a measure.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long nothing happens where nothing must. No test fails because something took longer.
const STALL: Duration = Duration::from_millis(300);

/// How often in a row this thread has to look in vain until a queue counts as full all the way to a peer that does
/// not receive: in each of these turns the I/O threads have had theirs, however busy the machine is.
const TURNS: u32 = 300;

const TURN: Duration = Duration::from_millis(1);

/// Long enough to travel by reference, so that its owner tells when it is dropped.
const LARGE: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Abstract,
    Inproc,
    Ipc,
    Tcp,
}

const WIRES: &[Transport] = &[Transport::Abstract, Transport::Ipc, Transport::Tcp];
const ALL: &[Transport] = &[Transport::Abstract, Transport::Inproc, Transport::Ipc, Transport::Tcp];

/// A context, and addresses of one transport that nobody else uses.
struct Place {
    transport: Transport,
    context: Context,
    directory: TempDir,
}

impl Place {
    fn new(transport: Transport) -> Self {
        Self::in_context(transport, Context::new())
    }

    fn in_context(transport: Transport, context: Context) -> Self {
        Self { transport, context, directory: tempfile::tempdir().unwrap() }
    }

    /// A builder whose socket leaves nothing behind for which its context would have to wait.
    fn builder<P: Pattern>(&self) -> Builder<P> {
        self.context.builder_for().linger(Linger::DISCARD)
    }

    fn open<P: Pattern>(&self) -> Socket<P> {
        self.builder().open().unwrap()
    }

    /// An open socket that is bound, and where.
    fn bound<P: Pattern>(&self) -> (Socket<P>, Endpoint) {
        let mut socket = self.open();
        let endpoint = socket.bind(self.address()).unwrap().into();
        (socket, endpoint)
    }

    /// An open socket that is connected to `endpoint`.
    fn connected<P: Pattern>(&self, endpoint: &Endpoint) -> Socket<P> {
        let mut socket = self.open();
        socket.connect(endpoint).unwrap();
        socket
    }

    /// Where nobody is bound, to be bound or connected to as it is.
    ///
    /// Each tcp address is a loopback address of its own: no other socket of this machine gets this port by
    /// chance while nobody is bound to it. None comes twice while the kernel remembers connections to it.
    fn address(&self) -> Endpoint {
        let (process, number) = (process_id(), unique());
        let text = match self.transport {
            Transport::Abstract => format!("ipc://@peermq-{process}-{number}"),
            Transport::Inproc => format!("inproc://{number}"),
            Transport::Ipc => format!("ipc://{}/{number}", self.directory.path().display()),
            Transport::Tcp => {
                let [.., high, low] = process.to_be_bytes();
                let host = 1 + (number + number / 10_000) % 250;
                format!("tcp://127.{host}.{high}.{low}:{}", 20_000 + number % 10_000)
            }
        };
        text.parse().unwrap()
    }
}

/// Runs `check` once for each transport, at the same time.
fn over(transports: &[Transport], check: impl Fn(&Place) + Sync) {
    thread::scope(|scope| {
        for &transport in transports {
            let name = format!("{transport:?}");
            let check = &check;
            thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, move || check(&Place::new(transport)))
                .unwrap();
        }
    });
}

/// Says that a test is over when that ends, also when it fails: whoever goes on beside it until then does not for ever.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Looks until it is so.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::yield_now();
    }
}

fn send<'a, P: Sends>(socket: &mut Socket<P>, message: impl Into<crate::Payload<'a>>) {
    socket.send_timeout(message, PATIENCE).unwrap();
}

fn recv<P: Receives>(socket: &mut Socket<P>) -> Message {
    socket.recv_timeout(PATIENCE).unwrap()
}

/// Sends until everything up to a peer that does not receive is full. The number of messages.
fn fill<P: Sends>(socket: &mut Socket<P>, message: &Message) -> u64 {
    fill_with(|| message.clone(), |message| socket.send_timeout(message, TURN))
}

/// The same with other messages. One more is made, which is handed back in the end.
fn fill_with(make: impl Fn() -> Message, mut send: impl FnMut(Message) -> Result<(), Unsent>) -> u64 {
    for accepted in 0.. {
        let (mut message, mut turns) = (make(), 0);
        while let Err(unsent) = send(message) {
            assert_eq!(unsent.error, SendError::WouldBlock);
            (message, turns) = (unsent.message.unwrap(), turns + 1);
            if turns == TURNS {
                return accepted;
            }
        }
    }
    unreachable!("it is full before")
}

/// Sends until every peer has received something, and then receives everything that was sent.
fn settle<S: Sends, R: Receives>(push: &mut Socket<S>, pulls: &mut [Socket<R>]) {
    let (mut sent, mut received) = (0, vec![0; pulls.len()]);
    eventually("every peer has its place in the turn", || {
        if received.contains(&0) && push.try_send("settling").is_ok() {
            sent += 1;
        }
        for (pull, received) in pulls.iter_mut().zip(&mut received) {
            while pull.try_recv().is_ok() {
                *received += 1;
            }
        }
        !received.contains(&0) && received.iter().sum::<u64>() == sent
    });
}

fn numbered(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn number_of(message: &Message) -> u32 {
    u32::from_be_bytes(message.body()[..4].try_into().unwrap())
}

/// Counts the bodies that were dropped.
#[derive(Clone, Debug, Default)]
struct Drops(Arc<AtomicU64>);

impl Drops {
    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// A large body that is counted when nobody holds it any more.
    fn body(&self) -> Message {
        struct Owner(Drops);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                &[7; LARGE]
            }
        }
        impl Drop for Owner {
            fn drop(&mut self) {
                self.0.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        Bytes::from_owner(Owner(self.clone())).into()
    }
}

/// A small seeded generator: the same runs every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % below
    }
}

/// Runs `check` in a process of its own, where no other test opens descriptors or starts threads.
///
/// `name` is the calling test's, with its module: this program starts itself again for that test alone.
fn alone(name: &str, check: impl FnOnce()) {
    let _ = alone_and_said(name, check);
}

/// The same, and returns what that process has written to its standard error; in that process itself nothing.
fn alone_and_said(name: &str, check: impl FnOnce()) -> Option<String> {
    alone_with(name, ("PEERMQ_TEST_UNUSED", ""), check)
}

/// The same, with a variable in its environment.
fn alone_with(name: &str, variable: (&str, &str), check: impl FnOnce()) -> Option<String> {
    const CHILD: &str = "PEERMQ_TEST_ALONE";
    if std::env::var_os(CHILD).is_some() {
        check();
        return None;
    }
    let test = format!("socket::tests::{name}");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "")
        .env(variable.0, variable.1)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{errors}");
    Some(errors.into_owned())
}
