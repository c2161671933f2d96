//! Peers that say the same for ever, as fast as they can: what they say, and to whom.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::{Condvar, Mutex};
use std::thread::JoinHandle;

use socket2::{Socket as Octets, Type};

use super::ends::system_address;
use super::*;
use crate::{AnyPattern, SocketType};

/// What a raw peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tongue {
    /// Octets, to a STREAM.
    Octets,
    Zmtp1,
    Zmtp2,
    Zmtp3,
}

impl Tongue {
    /// What it says before it floods.
    fn hello(self, theirs: SocketType) -> Vec<u8> {
        match self {
            Self::Octets => Vec::new(),
            Self::Zmtp1 => b"\x01\0".to_vec(),
            Self::Zmtp2 => [&b"\xff\0\0\0\0\0\0\0\0\x7f\x01"[..], &[theirs.revision_1()], b"\0\0"].concat(),
            Self::Zmtp3 => matrix::greeting_and_ready(theirs.name()),
        }
    }

    /// A message of these frames, or its beginning.
    fn message(self, frames: &[&[u8]], has_end: bool) -> Vec<u8> {
        let mut octets = Vec::new();
        for (at, body) in frames.iter().enumerate() {
            let more = u8::from(!has_end || at + 1 < frames.len());
            match (self, u8::try_from(body.len() + 1)) {
                (Self::Zmtp1, Ok(length @ ..=0xFE)) => octets.extend([length, more]),
                (Self::Zmtp1, _) => {
                    octets.push(0xFF);
                    octets.extend((body.len() as u64 + 1).to_be_bytes());
                    octets.push(more);
                }
                (_, Ok(length)) => octets.extend([more, length - 1]),
                (_, Err(_)) => {
                    octets.push(more | 2);
                    octets.extend((body.len() as u64).to_be_bytes());
                }
            }
            octets.extend(*body);
        }
        octets
    }
}

fn command(name: &[u8], body: &[u8]) -> Vec<u8> {
    let body = [&[u8::try_from(name.len()).unwrap()], name, body].concat();
    [&[4, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

/// A kind of lot: what is said again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Messages,
    MessagesOf64,
    LargeMessages,
    EmptyMessages,
    /// Requests, or replies that nobody waits for.
    Enveloped,
    /// Requests with an envelope, or replies to another request.
    DeepEnvelopes,
    /// No delimiter where there should be one.
    Malformed,
    TinyFrames,
    /// Tiny frames of a message that does not end, until its peer is cut off, and comes again.
    NoEnd,
    SubscriptionsAsMessages,
    ManySubscriptionsAsMessages,
    Pings,
    PingsWithContext,
    /// By peers that do not read the answers.
    PingsUnread,
    Pongs,
    Unknown,
    /// Which ends the connection, and the peer comes again.
    Errors,
    Subscriptions,
    /// That come and go.
    Changing,
    ManySubscriptions,
    CancellationsOfNothing,
    /// A subscription, and tiny frames behind it.
    SubscriptionAndTinyFrames,
    /// Connections that come, say a little, and go.
    Visits,
}

pub(super) const KINDS: &[Kind] = &[
    Kind::Messages,
    Kind::MessagesOf64,
    Kind::LargeMessages,
    Kind::EmptyMessages,
    Kind::Enveloped,
    Kind::DeepEnvelopes,
    Kind::Malformed,
    Kind::TinyFrames,
    Kind::NoEnd,
    Kind::SubscriptionsAsMessages,
    Kind::ManySubscriptionsAsMessages,
    Kind::Pings,
    Kind::PingsWithContext,
    Kind::PingsUnread,
    Kind::Pongs,
    Kind::Unknown,
    Kind::Errors,
    Kind::Subscriptions,
    Kind::Changing,
    Kind::ManySubscriptions,
    Kind::CancellationsOfNothing,
    Kind::SubscriptionAndTinyFrames,
    Kind::Visits,
];

impl Kind {
    /// Whether it makes sense in this tongue: a STREAM knows octets only, and old peers no commands.
    pub(super) fn is_in(self, tongue: Tongue) -> bool {
        match tongue {
            Tongue::Octets => matches!(
                self,
                Self::Messages
                    | Self::MessagesOf64
                    | Self::LargeMessages
                    | Self::EmptyMessages
                    | Self::TinyFrames
                    | Self::Visits
            ),
            Tongue::Zmtp1 | Tongue::Zmtp2 => !self.has_commands(),
            Tongue::Zmtp3 => true,
        }
    }

    fn has_commands(self) -> bool {
        matches!(
            self,
            Self::Pings
                | Self::PingsWithContext
                | Self::PingsUnread
                | Self::Pongs
                | Self::Unknown
                | Self::Errors
                | Self::Subscriptions
                | Self::Changing
                | Self::ManySubscriptions
                | Self::CancellationsOfNothing
                | Self::SubscriptionAndTinyFrames
        )
    }

    /// Whether its connections do not last.
    pub(super) fn is_brief(self) -> bool {
        matches!(self, Self::Errors | Self::NoEnd | Self::Visits)
    }

    fn lot(self, tongue: Tongue) -> Vec<u8> {
        let message = |frames: &[&[u8]]| tongue.message(frames, true);
        let tiny = || message(&[&[&b""[..]; 500][..], &[b"x"]].concat());
        let topics = |of: &dyn Fn(&[u8]) -> Vec<u8>| (0..2000_u32).flat_map(|it| of(&numbered(it))).collect();
        match self {
            Self::Messages | Self::Visits => message(&[b"x"]),
            Self::MessagesOf64 => message(&[&[b'x'; 64]]),
            Self::LargeMessages => message(&[&[b'x'; 100_000]]),
            Self::EmptyMessages => message(&[b""]),
            Self::Enveloped => message(&[b"", b"x"]),
            Self::DeepEnvelopes => message(&[b"from", b"to", b"", b"x"]),
            Self::Malformed => [message(&[b"x"]), message(&[b"a", b"b"])].concat(),
            Self::TinyFrames => tiny(),
            Self::NoEnd => tongue.message(&[b""], false),
            Self::SubscriptionsAsMessages => [message(&[b"\x01b"]), message(&[b"\0b"])].concat(),
            Self::ManySubscriptionsAsMessages => [1, 0]
                .iter()
                .flat_map(|it| -> Vec<u8> { topics(&|topic| message(&[&[&[*it], topic].concat()])) })
                .collect(),
            Self::Pings | Self::PingsUnread => command(b"PING", b"\0\0"),
            Self::PingsWithContext => command(b"PING", b"\0\x07a context of 15"),
            Self::Pongs => command(b"PONG", b"question"),
            Self::Unknown => command(b"WHAT", b""),
            Self::Errors => command(b"ERROR", b"\x03why"),
            Self::Subscriptions => command(b"SUBSCRIBE", b"a"),
            Self::Changing => [command(b"SUBSCRIBE", b"a"), command(b"CANCEL", b"a")].concat(),
            Self::ManySubscriptions => [&b"SUBSCRIBE"[..], b"CANCEL"]
                .iter()
                .flat_map(|name| -> Vec<u8> { topics(&|topic| command(name, topic)) })
                .collect(),
            Self::CancellationsOfNothing => command(b"CANCEL", b"a"),
            Self::SubscriptionAndTinyFrames => [command(b"SUBSCRIBE", b"a"), tiny()].concat(),
        }
    }
}

/// What raw peers say and do.
#[derive(Clone, Debug)]
pub(super) struct Script {
    hello: Vec<u8>,
    lot: Vec<u8>,
    reads: bool,
    /// Not before it is told.
    waits: bool,
    /// After so much it goes, and comes again.
    visits: bool,
}

impl Script {
    /// Of this type, to `ours`.
    pub(super) fn new(ours: SocketType, kind: Kind, tongue: Tongue) -> Self {
        let visits = kind == Kind::Visits;
        let lot = kind.lot(tongue);
        let times = if visits { 1 } else { 64 * 1024 / lot.len() + 1 };
        let hello = tongue.hello(their_type(ours));
        let (reads, waits) = (kind != Kind::PingsUnread, !kind.is_brief());
        Self { hello, lot: lot.repeat(times), reads, waits, visits }
    }

    /// A peer of this type that says this.
    pub(super) fn of(theirs: &str, lot: &[u8]) -> Self {
        let lot = lot.repeat(64 * 1024 / lot.len() + 1);
        Self { hello: matrix::greeting_and_ready(theirs), lot, reads: true, waits: false, visits: false }
    }

    /// What one connection does until it is cut off.
    fn speak(&self, mut stream: &Octets, shared: &Shared) {
        let mut answers = stream;
        thread::scope(|scope| {
            if self.reads {
                // Whoever does not read the answers is not read for long.
                scope.spawn(move || while answers.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
            }
            let mut goes_on = stream.write_all(&self.hello).is_ok();
            if self.waits {
                shared.wait();
            }
            let mut said = 0;
            while goes_on && !shared.is_over.load(Ordering::SeqCst) {
                let is_said = stream.write_all(&self.lot).is_ok();
                goes_on = is_said && !self.visits;
                said += u64::from(is_said);
                shared.heard.fetch_add(u64::from(is_said && said == 1), Ordering::SeqCst);
            }
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

/// The type that such a socket is flooded by.
pub(super) fn their_type(ours: SocketType) -> SocketType {
    match ours {
        SocketType::Dealer => SocketType::Router,
        SocketType::Pair => SocketType::Pair,
        SocketType::Pub => SocketType::Sub,
        SocketType::Pull => SocketType::Push,
        SocketType::Push => SocketType::Pull,
        SocketType::Rep => SocketType::Req,
        SocketType::Req => SocketType::Rep,
        SocketType::Router => SocketType::Dealer,
        SocketType::Stream => SocketType::Stream,
        SocketType::Sub => SocketType::Pub,
        SocketType::XPub => SocketType::XSub,
        SocketType::XSub => SocketType::XPub,
    }
}

/// Peers that go on until this is dropped.
pub(super) struct Flood {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    is_over: AtomicBool,
    /// Connections that were made.
    met: AtomicU64,
    /// Those on which the first lot was said.
    heard: AtomicU64,
    begun: (Mutex<bool>, Condvar),
    /// What is shut down in the end: the connection of each peer, and behind them listeners.
    open: Mutex<Vec<Option<Octets>>>,
}

impl Shared {
    fn new(open: Vec<Option<Octets>>) -> Arc<Self> {
        Arc::new(Self {
            is_over: AtomicBool::new(false),
            met: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            begun: Default::default(),
            open: Mutex::new(open),
        })
    }

    fn begin(&self) {
        *self.begun.0.lock().unwrap() = true;
        self.begun.1.notify_all();
    }

    /// Waits until all begin.
    fn wait(&self) {
        drop(self.begun.1.wait_while(self.begun.0.lock().unwrap(), |has_begun| !*has_begun).unwrap());
    }

    /// A connection was made. `false`: too late.
    fn keep(&self, peer: usize, connection: &Octets) -> bool {
        let mut open = self.open.lock().unwrap();
        open[peer] = Some(connection.try_clone().unwrap());
        self.met.fetch_add(1, Ordering::SeqCst);
        !self.is_over.load(Ordering::SeqCst)
    }

    fn stop(&self) {
        let open = self.open.lock().unwrap();
        self.is_over.store(true, Ordering::SeqCst);
        open.iter().flatten().for_each(|octets| drop(octets.shutdown(Shutdown::Both)));
        drop(open);
        self.begin();
    }
}

impl Flood {
    /// By raw peers that connect to `endpoint`.
    pub(super) fn to(endpoint: &Endpoint, peers: usize, script: &Script) -> Self {
        let (domain, address) = system_address(endpoint);
        Self::start((0..peers).map(|_| None).collect(), peers, script, move |_| {
            let octets = Octets::new(domain, Type::STREAM, None).unwrap();
            octets.connect(&address).is_ok().then_some(octets)
        })
    }

    /// By one raw peer at each of these listeners.
    pub(super) fn from(listeners: Vec<Octets>, script: &Script) -> Self {
        let open = listeners.iter().map(|_| None);
        let open = open.chain(listeners.iter().map(|it| Some(it.try_clone().unwrap()))).collect();
        let peers = listeners.len();
        Self::start(open, peers, script, move |peer| listeners[peer].accept().ok().map(|met| met.0))
    }

    fn start(
        open: Vec<Option<Octets>>,
        peers: usize,
        script: &Script,
        meet: impl Fn(usize) -> Option<Octets> + Send + Sync + 'static,
    ) -> Self {
        let (shared, meet) = (Shared::new(open), Arc::new(meet));
        let threads = (0..peers).map(|peer| {
            let (shared, meet, script) = (Arc::clone(&shared), Arc::clone(&meet), script.clone());
            thread::spawn(move || {
                while !shared.is_over.load(Ordering::SeqCst) {
                    let Some(connection) = meet(peer) else {
                        thread::yield_now(); // it is going, or has no room for more
                        continue;
                    };
                    if shared.keep(peer, &connection) {
                        script.speak(&connection, &shared);
                    }
                }
            })
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    /// By sockets of this library, which each do this again and again.
    pub(super) fn by(sockets: Vec<Socket<AnyPattern>>, act: fn(&mut Socket<AnyPattern>)) -> Self {
        let shared = Shared::new(Vec::new());
        let threads = sockets.into_iter().map(|mut socket| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while !shared.is_over.load(Ordering::SeqCst) {
                    act(&mut socket);
                }
            })
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    pub(super) fn peers(&self) -> usize {
        self.threads.len()
    }

    /// Connections that were made so far.
    pub(super) fn met(&self) -> u64 {
        self.shared.met.load(Ordering::SeqCst)
    }

    /// Connections that have been flooded so far.
    pub(super) fn heard(&self) -> u64 {
        self.shared.heard.load(Ordering::SeqCst)
    }

    /// Lets those begin who wait for it.
    pub(super) fn begin(&self) {
        self.shared.begin();
    }

    /// What `calls` return while the flood goes on; it is stopped should that take too long. `what` is what they do now.
    pub(super) fn during<T>(&self, what: &Mutex<String>, calls: impl FnOnce() -> T) -> T {
        let is_done = (Mutex::new(false), Condvar::new());
        thread::scope(|scope| {
            let late = scope.spawn(|| {
                let guard = is_done.0.lock().unwrap();
                let (guard, _) = is_done.1.wait_timeout_while(guard, PATIENCE, |is_done| !*is_done).unwrap();
                let late = (!*guard).then(|| what.lock().unwrap().clone());
                if late.is_some() {
                    self.shared.stop();
                }
                late
            });
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(calls));
            *is_done.0.lock().unwrap() = true;
            is_done.1.notify_all();
            let late = late.join().unwrap();
            assert_eq!(late, None, "comes back only with the end of the flood");
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}
