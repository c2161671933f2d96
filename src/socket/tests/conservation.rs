//! The law of conservation: what was accepted was delivered, or is counted by the library, by reason, while
//! peers come and go at random.
//!
//! Seeded: each run is the same every time, but for what the kernel and the I/O threads do. `PEERMQ_FULL`
//! makes it many more runs.

use super::ledger::{Figures, Ledger, count};
use super::*;
use crate::{Builder, Dealer, KernelBuffer, Pair};

/// Small enough to be full now and then.
const HWM: u32 = 20;

/// Most octets of a message: large enough that the kernel is full now and then as well.
pub(super) const OCTETS: usize = 30_000;

const STEPS: usize = 60;

pub(super) const THREE: &[Transport] = &[Transport::Inproc, Transport::Ipc, Transport::Tcp];

/// Runs `run` with many seeds over each transport, and tells the figures. `runs`: in a quick test; else 100.
pub(super) fn conserve(what: &str, runs: u64, run: impl Fn(&Place, u64) -> Figures + Sync) {
    over(THREE, |place| {
        let mut sum = Figures::default();
        for seed in 1..=count(runs, 100) {
            let figures = run(&Place::new(place.transport), seed);
            figures.check(seed);
            sum.add(figures);
        }
        println!("{what} {:?}: {sum}", place.transport);
    });
}

pub(super) fn narrow<P: Pattern>(place: &Place) -> Builder<P> {
    let interval = Duration::from_millis(1);
    // No smaller than a segment of the loopback: see `promises::small`.
    let small = KernelBuffer::octets(64 * 1024).unwrap();
    let builder = place.builder().send_buffer(small).recv_buffer(small);
    builder.send_hwm(HWM).recv_hwm(HWM).reconnect_interval(interval)
}

/// Does what was posted to the socket, as any verb does.
pub(super) fn attend<P: Pattern>(socket: &mut Socket<P>) {
    socket.core.handle_mail(&mut socket.pattern);
}

/// Waits until the socket knows of so many peers, and has queues for so many.
pub(super) fn until_peers<P: Pattern>(socket: &mut Socket<P>, peers: usize, queues: usize) {
    eventually("all have come, or left", || {
        attend(socket);
        socket.peers().len() == peers && socket.core.pipes.iter().count() == queues
    });
}

struct Member<P: Pattern> {
    socket: Socket<P>,
    id: u32,
    /// Where it is bound; none if it has connected.
    bound: Option<Endpoint>,
}

/// One socket, and peers that come and go.
struct Hub<S: Pattern, R: Pattern> {
    place: Place,
    socket: Socket<S>,
    endpoint: Endpoint,
    members: Vec<Member<R>>,
    /// Where the socket is connected to and nobody is bound any more.
    empty: Vec<Endpoint>,
    most: usize,
    ledger: Ledger,
    dice: Dice,
}

impl<S: Pattern, R: Pattern> Hub<S, R> {
    fn new(place: &Place, seed: u64, most: usize) -> Self {
        let place = Place::in_context(place.transport, place.context.clone());
        let mut socket = narrow(&place).open().unwrap();
        let endpoint = socket.bind(place.address()).unwrap().into();
        let (ledger, dice) = (Ledger::new(seed), Dice(seed * 0x9E37_79B9));
        Self { place, socket, endpoint, members: Vec::new(), empty: Vec::new(), most, ledger, dice }
    }

    fn is_wire(&self) -> bool {
        self.place.transport != Transport::Inproc
    }

    /// A peer comes: where another one was, or it connects, or is connected to.
    fn join(&mut self) {
        if self.members.len() == self.most {
            return;
        }
        let mut socket: Socket<R> = narrow(&self.place).open().unwrap();
        let bound = if let Some(endpoint) = self.empty.pop() {
            eventually("the address is free", || socket.bind(&endpoint).is_ok());
            Some(endpoint)
        } else if self.dice.roll(2) == 0 {
            socket.connect(&self.endpoint).unwrap();
            None
        } else {
            let endpoint: Endpoint = socket.bind(self.place.address()).unwrap().into();
            self.socket.connect(&endpoint).unwrap();
            Some(endpoint)
        };
        self.ledger.figures.came += 1;
        let id = u32::try_from(self.ledger.figures.came).unwrap();
        self.members.push(Member { socket, id, bound });
        self.until_settled();
    }

    /// Waits until the hub knows who is there and who is not.
    fn until_settled(&mut self) {
        until_peers(&mut self.socket, self.members.len(), self.members.len() + self.empty.len());
    }

    fn forget_empty(&mut self) {
        for endpoint in std::mem::take(&mut self.empty) {
            self.socket.disconnect(&endpoint).unwrap();
        }
    }
}

impl<S: Sends, R: Receives> Hub<S, R> {
    /// A receiver leaves, and the hub knows.
    fn lose_one(&mut self) {
        let Member { socket, bound, .. } = self.members.swap_remove(self.dice.roll(self.members.len()));
        self.ledger.figures.unreceived += socket.close(Duration::ZERO).unreceived;
        self.ledger.figures.left += 1;
        // With inproc the connect ends with its peer.
        if self.is_wire() {
            self.empty.extend(bound);
        }
        self.until_settled();
    }

    fn send_some(&mut self) {
        for _ in 0..self.dice.roll(3 * HWM as usize) {
            if self.socket.try_send(self.ledger.next(0, self.dice.roll(OCTETS))).is_ok() {
                self.ledger.accepted(0, 1);
            }
        }
    }

    /// One peer receives some of what is there.
    fn receive_some(&mut self) {
        let most = self.dice.roll(2 * HWM as usize);
        let at = self.dice.roll(self.members.len().max(1));
        let Some(member) = self.members.get_mut(at) else { return };
        for _ in 0..most {
            let Ok(message) = member.socket.try_recv() else { return };
            self.ledger.delivered(member.id, &message);
        }
    }

    fn receive_all(&mut self) {
        for member in &mut self.members {
            while let Ok(message) = member.socket.try_recv() {
                self.ledger.delivered(member.id, &message);
            }
        }
    }

    /// Everything that was accepted arrives.
    fn drain(&mut self) {
        while !self.empty.is_empty() {
            if self.members.len() == self.most {
                unreachable!("whoever was there has left its place");
            }
            self.join();
        }
        eventually("everything is here", || {
            self.receive_all();
            self.ledger.missing() == 0
        });
    }

    /// Receivers come and go. `is_orderly`: they leave when they have received everything.
    fn run(mut self, is_orderly: bool) -> Figures {
        // What the kernel may hold at most of connections that were cut.
        let mut bound = 0;
        for _ in 0..STEPS {
            match self.dice.roll(8) {
                0 | 1 => self.join(),
                2 if self.members.is_empty() => {}
                2 if is_orderly => {
                    self.drain();
                    self.lose_one();
                }
                2 => {
                    bound += self.ledger.missing();
                    self.lose_one();
                }
                3 | 4 => self.send_some(),
                _ => self.receive_some(),
            }
            let stats = self.socket.stats();
            assert_eq!(stats.total.sent.messages, self.ledger.figures.accepted);
            let of_peers: u64 = stats.peers.iter().map(|peer| peer.sent.messages).sum();
            assert!(of_peers <= stats.total.sent.messages);
        }
        if is_orderly && !self.members.is_empty() {
            self.drain();
        }
        self.forget_empty();
        eventually("nothing is queued", || {
            self.receive_all();
            attend(&mut self.socket);
            self.socket.outgoing().queued == 0
        });
        let total = self.socket.stats().total;
        let outgoing = total.outgoing;
        assert_eq!((outgoing, total.sent.messages), (self.socket.outgoing(), self.ledger.figures.accepted));
        // Its end is how the receivers know that nothing is on its way any more.
        assert_eq!(self.socket.close(PATIENCE).dropped, 0);
        for member in &mut self.members {
            eventually("the sender is gone", || {
                while let Ok(message) = member.socket.try_recv() {
                    self.ledger.delivered(member.id, &message);
                }
                member.socket.peers().is_empty()
            });
            while let Ok(message) = member.socket.try_recv() {
                self.ledger.delivered(member.id, &message);
            }
            assert_eq!(member.socket.stats().total.received.messages, self.ledger.delivered_to(member.id));
        }
        let figures = &mut self.ledger.figures;
        figures.lost = outgoing.lost;
        figures.cut = outgoing.handed_over - figures.delivered - figures.unreceived;
        assert!(figures.cut <= if self.place.transport == Transport::Inproc { 0 } else { bound });
        *figures
    }
}

impl<R: Receives, S: Sends> Hub<R, S> {
    fn hear_some(&mut self, most: usize) {
        for _ in 0..most {
            let Ok(message) = self.socket.try_recv() else { return };
            self.ledger.delivered(0, &message);
        }
    }

    /// One peer sends some.
    fn let_send(&mut self) {
        let most = self.dice.roll(3 * HWM as usize);
        let at = self.dice.roll(self.members.len().max(1));
        let Some(Member { socket, id, .. }) = self.members.get_mut(at) else { return };
        for _ in 0..most {
            if socket.try_send(self.ledger.next(*id, self.dice.roll(OCTETS))).is_ok() {
                self.ledger.accepted(*id, 1);
            }
        }
    }

    /// A sender leaves: when everything is flushed, or at once. Its report tells what was dropped.
    fn close_one(&mut self, is_orderly: bool) {
        let at = self.dice.roll(self.members.len());
        self.members.swap(at, 0);
        let within = if is_orderly { PATIENCE } else { Duration::ZERO };
        if is_orderly {
            eventually("it has handed over everything", || {
                self.hear_some(usize::MAX);
                self.members[0].socket.outgoing().queued == 0
            });
        }
        let Member { socket, bound, .. } = self.members.swap_remove(0);
        assert_eq!(socket.outgoing().lost, 0);
        let report = socket.close(within);
        assert!(!is_orderly || report.dropped == 0, "{report:?}");
        self.ledger.figures.dropped += report.dropped;
        self.ledger.figures.left += 1;
        // That it has closed shows behind everything that it has sent.
        eventually("it is gone", || {
            self.hear_some(usize::MAX);
            self.socket.peers().len() == self.members.len()
        });
        self.hear_some(usize::MAX);
        if let (Some(endpoint), true) = (bound, self.is_wire()) {
            self.socket.disconnect(&endpoint).unwrap();
        }
        self.until_settled();
    }

    /// Senders come and go.
    fn run_senders(mut self) -> Figures {
        for _ in 0..STEPS {
            match self.dice.roll(8) {
                0 | 1 => self.join(),
                2 if self.members.is_empty() => {}
                2 => {
                    let is_orderly = self.dice.roll(2) == 0;
                    self.close_one(is_orderly);
                }
                3 | 4 => self.let_send(),
                _ => {
                    let most = self.dice.roll(2 * HWM as usize);
                    self.hear_some(most);
                }
            }
        }
        while !self.members.is_empty() {
            self.close_one(true);
        }
        self.hear_some(usize::MAX);
        let total = self.socket.stats().total;
        assert_eq!(total.received.messages, self.ledger.figures.delivered);
        assert!(total.received.octets >= total.received.messages * 12, "numbers and headers");
        self.ledger.figures
    }
}

#[test]
fn push_conserves_while_receivers_come_and_go() {
    conserve("PUSH, receivers come and go", 6, |place, seed| {
        Hub::<Push, Pull>::new(place, seed, 5).run(seed % 2 == 0)
    });
}

#[test]
fn push_conserves_while_senders_come_and_go() {
    conserve("PUSH, senders come and go", 4, |place, seed| {
        Hub::<Pull, Push>::new(place, seed, 5).run_senders()
    });
}

#[test]
fn pair_conserves_while_peers_come_and_go() {
    conserve("PAIR, receivers come and go", 4, |place, seed| {
        Hub::<Pair, Pair>::new(place, seed, 1).run(seed % 2 == 0)
    });
    conserve("PAIR, senders come and go", 2, |place, seed| {
        Hub::<Pair, Pair>::new(place, seed, 1).run_senders()
    });
}

#[test]
fn dealer_conserves_while_peers_come_and_go() {
    conserve("DEALER, receivers come and go", 4, |place, seed| {
        Hub::<Dealer, Dealer>::new(place, seed, 4).run(seed % 2 == 0)
    });
    conserve("DEALER, senders come and go", 2, |place, seed| {
        Hub::<Dealer, Dealer>::new(place, seed, 4).run_senders()
    });
}
