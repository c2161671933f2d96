//! Floods by sockets of this library: in the same process, and sealed or guarded on the way. See [`floods`](super::floods).

use std::sync::Mutex;

use super::conservation_ends::{MECHANISMS, secured};
use super::flooded::{Any, Trial};
use super::flooders::Flood;
use super::ledger::is_full;
use super::*;
use crate::SocketType;

/// What a flooder does again and again.
type Act = fn(&mut Any);

/// Who is flooded by whom, with what.
const LOTS: &[(SocketType, SocketType, Act)] = &[
    (SocketType::Dealer, SocketType::Dealer, say_tiny_frames),
    (SocketType::Pair, SocketType::Pair, say_tiny_frames),
    (SocketType::Pub, SocketType::Sub, subscribe_and_unsubscribe),
    (SocketType::Pull, SocketType::Push, say_little),
    (SocketType::Rep, SocketType::Dealer, say_little),
    (SocketType::Rep, SocketType::Req, ask_and_hear),
    (SocketType::Req, SocketType::Router, answer_a_lot),
    (SocketType::Router, SocketType::Dealer, say_tiny_frames),
    (SocketType::Sub, SocketType::XPub, say_little),
    (SocketType::XPub, SocketType::Sub, subscribe_and_unsubscribe),
    (SocketType::XPub, SocketType::XSub, say_little),
    (SocketType::XSub, SocketType::Pub, say_tiny_frames),
];

fn say_little(socket: &mut Any) {
    let _ = socket.send_timeout("x", TURN);
}

fn say_tiny_frames(socket: &mut Any) {
    let _ = (socket.send_timeout(Message::from_frames([""; 501]).unwrap(), TURN), socket.try_recv());
}

fn subscribe_and_unsubscribe(socket: &mut Any) {
    let _ = (socket.subscribe("a"), socket.unsubscribe("a"), socket.try_recv());
}

fn ask_and_hear(socket: &mut Any) {
    let _ = (socket.send_timeout("question", TURN), socket.recv_timeout(TURN));
}

/// A request gets a thousand replies.
fn answer_a_lot(socket: &mut Any) {
    if let Ok(request) = socket.recv_timeout(TURN) {
        let name = request.frame(0).unwrap();
        for _ in 0..1000 {
            let _ = socket.try_send([name.as_bytes(), b"", b"an answer"]);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    lot: usize,
    connects: bool,
    peers: usize,
    /// None is in the same process.
    mechanism: Option<usize>,
}

impl Cell {
    /// Of each lot: all, or some that differ in everything.
    fn all() -> Vec<Self> {
        let mut chosen = Vec::new();
        for lot in 0..LOTS.len() {
            let mut cells = Vec::new();
            for mechanism in (1..MECHANISMS).map(Some).chain([None]) {
                for (connects, peers) in [(false, 1), (true, 10), (false, 10), (true, 1)] {
                    cells.push(Self { lot, connects, peers, mechanism });
                }
            }
            match is_full() {
                true => chosen.extend(cells),
                false => chosen.extend([0, 5, 10].map(|at| cells[(at + lot) % cells.len()])),
            }
        }
        chosen
    }

    fn open(self, context: &Context, socket_type: SocketType, binds: bool) -> Any {
        let builder = context.builder_for_any(socket_type).linger(Linger::DISCARD);
        let builder = secured(builder, self.mechanism.unwrap_or_default(), binds);
        let builder = if socket_type == SocketType::Req {
            builder.req_relaxed(true).req_correlate(true)
        } else {
            builder
        };
        let mut socket = builder.open().unwrap();
        if socket_type == SocketType::Sub {
            socket.subscribe("").unwrap();
        }
        socket
    }

    fn run(self) {
        let (ours, theirs, act) = LOTS[self.lot];
        let place = Place::new(self.mechanism.map_or(Transport::Inproc, |_| Transport::Tcp));
        // In the same process the peers hear of its end, too.
        let context = self.mechanism.map_or_else(|| place.context.clone(), |_| Context::new());
        let mut socket = self.open(&place.context, ours, !self.connects);
        let mut flooders: Vec<_> =
            (0..self.peers).map(|_| self.open(&context, theirs, self.connects)).collect();
        if self.connects {
            for flooder in &mut flooders {
                let _ = socket.connect(flooder.bind(place.address()).unwrap()); // a PAIR takes one
            }
        } else {
            let endpoint = socket.bind(place.address()).unwrap();
            flooders.iter_mut().for_each(|flooder| drop(flooder.connect(&endpoint)));
        }
        let flood = Flood::by(flooders, act);
        let peers = if ours == SocketType::Pair { 1 } else { self.peers };
        let cell = format!("{ours:?} by {theirs:?}, {self:?}");
        eventually(&format!("all have come: {cell}"), || {
            let _ = (socket.try_send("settling"), socket.try_recv());
            socket.peers().len() >= peers
        });
        let now = Mutex::new(String::new());
        let trial = Trial { ours, cell, flood: &flood, now: &now, known: None };
        let context = self.lot.is_multiple_of(2).then_some(&place.context);
        flood.during(&now, || trial.make_calls(socket, context));
    }
}

#[test]
fn no_call_stays_with_sockets_of_this_library_that_flood() {
    Cell::all().into_iter().for_each(Cell::run);
}
