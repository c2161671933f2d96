//! A socket of ours and raw peers of it, in either role and over either transport.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use peermq::{
    Context, Message, Pair, Pattern, Pub, Publishes, Pull, Push, ReconnectInterval, Sends, Socket, Sub,
    Subscribes, XPub, XSub,
};

use super::{DEADLINE, Listener, Peer, Transport, vectors};

/// Which end our socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Ours is bound, and raw peers connect.
    Binds,
    /// Ours is connected, and a raw listener accepts.
    Connects,
}

/// A socket of ours and a place to meet it.
#[derive(Debug)]
pub struct Meeting<P: Pattern> {
    /// Our socket.
    pub socket: Socket<P>,
    /// Which end it is.
    pub role: Role,
    /// Over what.
    pub transport: Transport,
    /// What our socket is bound to, for raw peers and for good ones.
    endpoint: String,
    listener: Option<Listener>,
}

impl<P: Speaks> Meeting<P> {
    /// Opens a socket with default options but for times: it connects again at once, waits no longer than
    /// the hang guard, and does not linger.
    #[must_use]
    pub fn new(role: Role, transport: Transport) -> Self {
        Self::with(role, transport, |builder| builder)
    }

    /// Opens a socket with options of its own.
    #[must_use]
    pub fn with(
        role: Role,
        transport: Transport,
        options: impl FnOnce(peermq::Builder<P>) -> peermq::Builder<P>,
    ) -> Self {
        let context = Context::builder().io_threads(1).build();
        let builder = context
            .builder_for::<P>()
            .reconnect_interval(ReconnectInterval::Every(Duration::from_millis(1)))
            .send_timeout(DEADLINE)
            .recv_timeout(DEADLINE)
            .linger(Duration::ZERO);
        let mut socket = options(builder).open().unwrap();
        let (mut endpoint, mut listener) = (String::new(), None);
        if role == Role::Connects {
            let theirs = Listener::bind(transport);
            socket.connect(theirs.endpoint()).unwrap();
            listener = Some(theirs);
        }
        // A second place for good peers, where the type has any room for them.
        if role == Role::Binds || P::HAS_MANY_PEERS {
            endpoint = socket.bind(transport.free_endpoint()).unwrap().to_string();
        }
        Self { socket, role, transport, endpoint, listener }
    }

    /// Makes so many connections more, if our socket is the one that connects.
    pub fn connect_more(&mut self, connections: usize) {
        if let Some(listener) = &self.listener {
            for _ in 0..connections {
                self.socket.connect(listener.endpoint()).unwrap();
            }
        }
    }

    /// The next connection, on which nothing was said.
    #[must_use]
    pub fn peer(&self) -> Peer {
        match &self.listener {
            Some(listener) => listener.accept(),
            None => Peer::connect(&self.endpoint),
        }
    }

    /// The next connection, with the handshake done. For a type of one peer: once that is free.
    #[must_use]
    pub fn ready_peer(&self) -> Peer {
        Self::first_ready(|| self.peer())
    }

    /// Whether a good peer can be there beside the test's.
    #[must_use]
    pub fn has_room(&self) -> bool {
        P::HAS_MANY_PEERS
    }

    /// A peer beside those of the test, where the type has room for it, with the handshake done.
    #[must_use]
    pub fn good_peer(&self) -> Peer {
        Self::first_ready(|| if P::HAS_MANY_PEERS { Peer::connect(&self.endpoint) } else { self.peer() })
    }

    /// Returns when our socket has taken notice of everything that raw peers wrote before: its one I/O thread
    /// greets a new peer behind that.
    pub fn settle(&mut self) {
        if self.endpoint.is_empty() {
            self.endpoint = self.socket.bind(self.transport.free_endpoint()).unwrap().to_string();
        }
        let greeting = Peer::connect(&self.endpoint).read(vectors::SIGNATURE_OCTETS);
        assert!(vectors::G_NULL31.starts_with(&greeting));
    }

    /// Writes these octets over and over, as long as our socket reads on. How many were written.
    pub fn fill(&mut self, peer: &mut Peer, octets: &[u8]) -> usize {
        let (mut written, mut refusals) = (0, 0);
        while refusals < 3 {
            match peer.write_some(&octets[written % octets.len()..]).unwrap() {
                0 => {
                    // It may have been about to read: no more so when it is asked again.
                    refusals += 1;
                    self.settle();
                }
                count => {
                    written += count;
                    refusals = 0;
                }
            }
            assert!(written < 256 << 20, "read on and on");
        }
        written
    }

    /// LIVE: a well-behaved peer of the same socket exchanges 100 messages.
    pub fn live(&mut self) {
        let until = Instant::now() + DEADLINE;
        loop {
            let mut peer = self.good_peer();
            // A type of one peer may still be busy with the last one: it closes, and is tried again.
            if P::exchange(&mut self.socket, &mut peer, 100) {
                peer.finish();
                peer.read_to_end();
                return;
            }
            assert!(Instant::now() < until, "no good peer is served");
        }
    }

    fn first_ready(connect: impl Fn() -> Peer) -> Peer {
        let until = Instant::now() + DEADLINE;
        loop {
            let mut peer = connect();
            if peer.shake_hands(P::PEER) {
                return peer;
            }
            assert!(Instant::now() < until, "no handshake succeeds");
        }
    }
}

/// Runs a test for both roles and both transports.
pub fn everywhere<P: Speaks>(test: impl Fn(&mut Meeting<P>)) {
    for transport in [Transport::Tcp, Transport::Ipc] {
        for role in [Role::Binds, Role::Connects] {
            test(&mut Meeting::new(role, transport));
        }
    }
}

/// A socket type, and how a well-behaved peer of it behaves.
pub trait Speaks: Pattern + Sized {
    /// The type that it talks to.
    const PEER: &'static str;
    /// Its own name.
    const NAME: &'static str;
    /// Whether a good peer can be there beside a bad one.
    const HAS_MANY_PEERS: bool;

    /// Exchanges so many messages with a peer that has shaken hands, and compares them. `false`: the
    /// connection was closed before the first of them.
    fn exchange(socket: &mut Socket<Self>, peer: &mut Peer, count: usize) -> bool;

    /// Whether a peer that has shaken hands is the socket's: one that has room for a single peer may refuse
    /// it. Knows when it returns.
    fn serves(_: &mut Socket<Self>, _: &mut Peer) -> bool {
        true
    }
}

impl Speaks for Pull {
    const PEER: &'static str = "PUSH";
    const NAME: &'static str = "PULL";
    const HAS_MANY_PEERS: bool = true;

    fn exchange(socket: &mut Socket<Self>, peer: &mut Peer, count: usize) -> bool {
        for number in 0..count {
            peer.write(&vectors::message(&[good(number)]));
            assert_eq!(socket.recv().unwrap(), good(number));
        }
        true
    }
}

impl Speaks for Push {
    const PEER: &'static str = "PULL";
    const NAME: &'static str = "PUSH";
    const HAS_MANY_PEERS: bool = true;

    fn exchange(socket: &mut Socket<Self>, peer: &mut Peer, count: usize) -> bool {
        send_until_heard(socket, peer, count)
    }
}

impl Speaks for Pair {
    const PEER: &'static str = "PAIR";
    const NAME: &'static str = "PAIR";
    const HAS_MANY_PEERS: bool = false;

    fn serves(socket: &mut Socket<Self>, peer: &mut Peer) -> bool {
        let is_served = Self::exchange(socket, peer, 1);
        // What a dead peer left behind keeps its place until it is received.
        while !is_served && socket.try_recv().is_ok() {}
        is_served
    }

    fn exchange(socket: &mut Socket<Self>, peer: &mut Peer, count: usize) -> bool {
        if !send_until_heard(socket, peer, count) {
            return false;
        }
        for number in 0..count {
            peer.write(&vectors::message(&[good(number)]));
            let mut got = socket.recv().unwrap();
            // What an earlier connection brought may still be in front.
            while number == 0 && got != good(0) {
                got = socket.recv().unwrap();
            }
            assert_eq!(got, good(number));
        }
        true
    }
}

impl Speaks for Pub {
    const PEER: &'static str = "SUB";
    const NAME: &'static str = "PUB";
    const HAS_MANY_PEERS: bool = true;

    fn exchange(socket: &mut Socket<Self>, peer: &mut Peer, count: usize) -> bool {
        publish_until_heard(socket, peer, count)
    }
}

impl Speaks for XPub {
    const PEER: &'static str = "SUB";
    const NAME: &'static str = "XPUB";
    const HAS_MANY_PEERS: bool = true;

    fn exchange(socket: &mut Socket<Self>, peer: &mut Peer, count: usize) -> bool {
        publish_until_heard(socket, peer, count)
    }
}

impl Speaks for Sub {
    const PEER: &'static str = "PUB";
    const NAME: &'static str = "SUB";
    const HAS_MANY_PEERS: bool = true;

    fn exchange(socket: &mut Socket<Self>, peer: &mut Peer, count: usize) -> bool {
        hear_what_is_published(socket, peer, count)
    }
}

impl Speaks for XSub {
    const PEER: &'static str = "PUB";
    const NAME: &'static str = "XSUB";
    const HAS_MANY_PEERS: bool = true;

    fn exchange(socket: &mut Socket<Self>, peer: &mut Peer, count: usize) -> bool {
        hear_what_is_published(socket, peer, count)
    }
}

fn publish_until_heard<P: Publishes>(socket: &mut Socket<P>, peer: &mut Peer, count: usize) -> bool {
    _ = peer.try_write(&vectors::command("SUBSCRIBE", GOOD.as_bytes()));
    send_until_heard(socket, peer, count)
}

fn hear_what_is_published<P: Subscribes>(socket: &mut Socket<P>, peer: &mut Peer, count: usize) -> bool {
    socket.subscribe(GOOD).unwrap();
    for number in 0..count {
        peer.write(&vectors::message(&[good(number)]));
        assert_eq!(socket.recv().unwrap(), good(number));
    }
    assert!(socket.unsubscribe(GOOD));
    true
}

/// Sends numbered messages until `peer` has heard so many of them. Others may get some: each comes once, whole
/// and in order.
fn send_until_heard<P: Sends>(socket: &mut Socket<P>, peer: &mut Peer, count: usize) -> bool {
    let until = Instant::now() + DEADLINE;
    let first = number_of_next();
    let (mut next, mut heard, mut last) = (first, 0, None);
    while heard < count {
        assert!(Instant::now() < until, "heard {heard} of {count}");
        if socket.try_send(good(next)).is_ok() {
            next = number_of_next();
        }
        if let Some(frame) = peer.frame_within(Duration::from_millis(1)) {
            let Some(frame) = frame else {
                assert_eq!(heard, 0, "closed under way");
                return false;
            };
            let text = String::from_utf8_lossy(&frame.body);
            let number = text.strip_prefix(GOOD).and_then(|number| number.parse::<usize>().ok());
            // Commands, and what was sent to this peer or its predecessors before.
            let Some(number) = number.filter(|number| *number >= first) else { continue };
            assert!(frame.flags == 0 && number < next && last < Some(number), "{number} behind {last:?}");
            last = Some(number);
            heard += 1;
        }
    }
    true
}

fn number_of_next() -> usize {
    let mut next = NEXT.lock().unwrap();
    *next += 1;
    *next
}

/// The body of a good peer's message.
fn good(number: usize) -> String {
    format!("{GOOD}{number}")
}

/// A message of octets, for comparisons.
#[must_use]
pub fn message_of<T: AsRef<[u8]>>(frames: &[T]) -> Message {
    Message::from_frames(frames.iter().map(|octets| octets.as_ref())).unwrap()
}

const GOOD: &str = "good-";

/// The number of the next message to a good peer: what an earlier exchange left behind is known by it. Tests
/// that run at the same time use sockets of their own, and share the numbers.
static NEXT: Mutex<usize> = Mutex::new(0);
