//! Every system call of a context fails at random, and then none does any more: no thread panics, no call stays out,
//! everything comes back by itself, and the books are right.
//!
//! Seeded. A third of the runs has no harmful faults, and must not lose anything, nor change the order. A third
//! has all but of reads: whatever the kernel had of a message arrives, and the rest is counted as lost, or, by a side that
//! connects, sent on the next connection. In the last third only a read that failed can cost what the kernel had.
//! `PEERMQ_FULL` makes it a million faults; `PEERMQ_FAULTS_SEED` makes it the run of one seed, as a failure names it.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::task::{Poll, Waker};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::conservation::{OCTETS, attend, narrow};
use super::ledger::count;
use super::security::Sides;
use super::tasks::Parked;
use super::*;
use crate::io::names;
use crate::sync::AtomicBool;
use crate::transport::faults::{self, Harm, Plan, Tally};
use crate::{
    Authorizer, Builder, Candidate, Dealer, Decision, Descriptor, Interest, Outgoing, Pair, Poller, Pub,
    Publishes, Sub, Subscribes, XPub, XSub,
};

/// Faults of a run.
pub(super) const FAULTS: u64 = 2000;

/// What is sent when no fault is left.
pub(super) const CLOSING: u32 = 12;

/// One run.
pub(super) struct Trial {
    seed: u64,
    pub(super) place: Place,
    pub(super) plan: Arc<Plan>,
    pub(super) dice: Dice,
    sides: Sides,
    pub(super) harm: Harm,
    /// The first socket is the one that is bound.
    is_first_server: bool,
    /// How long one call waits before something else is tried: for ever, as it were, if nothing may go wrong.
    pub(super) patience: Duration,
}

impl Trial {
    fn new(seed: u64) -> Self {
        let harm = [Harm::None, Harm::ButReads, Harm::Any][(seed % 3) as usize];
        let mut dice = Dice(seed * 0x9E37_79B9 + 1);
        let place = Place::new(WIRES[dice.roll(WIRES.len())]);
        let sides = Sides::all();
        let sides = sides[dice.roll(sides.len())].clone();
        let patience = if harm == Harm::None { PATIENCE } else { TURN };
        let is_first_server = dice.roll(2) == 0;
        Self { seed, place, plan: Plan::new(seed, harm), dice, sides, harm, is_first_server, patience }
    }

    pub(super) fn is_harmless(&self) -> bool {
        self.harm == Harm::None
    }

    /// Holds what was promised about messages that the first socket has sent: so many are lost, so many the kernel had, and
    /// in so many places something is missing of those that have arrived.
    pub(super) fn check_loss(&self, outgoing: Outgoing, heard: &Heard, sent: u32) {
        let Outgoing { handed_over, lost, .. } = outgoing;
        let (arrived, gaps) = (heard.count(), heard.gaps(sent));
        // What is counted as lost has not arrived.
        assert!(arrived <= handed_over, "{arrived} {outgoing:?}");
        if self.harm != Harm::Any {
            assert_eq!(arrived, handed_over, "the kernel had it, and it could be read: {outgoing:?}");
        }
        if !self.is_first_server {
            assert_eq!(lost, 0, "it is kept for the next connection");
        }
        let (breaks, read_breaks) = (self.plan.breaks(), self.plan.read_breaks());
        let most = if self.is_first_server { breaks } else { read_breaks };
        assert!(gaps <= most, "{gaps} gaps, but {breaks} breaks, of which {read_breaks} were of reads");
    }

    /// Two sockets that are, or will be, connected: either may be the one that binds.
    pub(super) fn join<A: Pattern, B: Pattern>(&mut self) -> (Socket<A>, Socket<B>) {
        let is_first_server = self.is_first_server;
        let [first, second] = [is_first_server, !is_first_server]
            .map(|is_server| if is_server { self.sides.server.clone() } else { self.sides.client.clone() });
        let everybody = Authorizer::new(|_: &Candidate| Decision::allow());
        let narrow_a: Builder<A> = narrow(&self.place);
        let mut a = narrow_a.security(first).authorizer(&everybody).open().unwrap();
        let narrow_b: Builder<B> = narrow(&self.place);
        let mut b = narrow_b.security(second).authorizer(&everybody).open().unwrap();
        if is_first_server {
            self.connect(&mut a, &mut b)
        } else {
            self.connect(&mut b, &mut a)
        }
        (a, b)
    }

    pub(super) fn connect<A: Pattern, B: Pattern>(&self, server: &mut Socket<A>, client: &mut Socket<B>) {
        let address = self.place.address();
        eventually("it is bound", || server.bind(&address).is_ok());
        let address = match self.seed % 4 {
            0 | 2 => named(address),
            1 => from_here(address),
            _ => address,
        };
        eventually("a connection is begun", || client.connect(&address).is_ok());
    }

    /// Does both, in two threads or in turns, until enough has failed.
    pub(super) fn storm(
        &mut self,
        mut first: impl FnMut(&mut Dice),
        mut second: impl FnMut(&mut Dice) + Send,
    ) {
        let deadline = Instant::now() + PATIENCE;
        let plan = Arc::clone(&self.plan);
        let goes_on = || {
            assert!(Instant::now() < deadline, "too little happens");
            plan.tally().total() < FAULTS
        };
        let mut dice = Dice(self.seed + 2);
        if self.dice.roll(2) == 0 {
            while goes_on() {
                first(&mut self.dice);
                second(&mut dice);
            }
            return;
        }
        let first = || {
            while goes_on() {
                first(&mut self.dice);
            }
        };
        beside(first, || second(&mut dice));
    }
}

/// Does `first`, and beside it, in a thread of its own, `second` again and again.
pub(super) fn beside(first: impl FnOnce(), mut second: impl FnMut() + Send) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(faults::inherit(|| {
            while !is_over.load(Ordering::SeqCst) {
                second();
            }
        }));
        let done = catch_unwind(AssertUnwindSafe(first));
        is_over.store(true, Ordering::SeqCst);
        done.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

/// The same with a name that has to be looked up, if there are such.
fn named(address: Endpoint) -> Endpoint {
    let text = address.to_string();
    let Some(numbers) = text.strip_prefix("tcp://") else { return address };
    let numbers: std::net::SocketAddr = numbers.parse().unwrap();
    let name = format!("faults-{}.test", unique());
    names::answer(&name, move || vec![numbers]);
    format!("tcp://{name}:{}", numbers.port()).parse().unwrap()
}

/// The same, to be connected to from an address of this host, if there are such.
fn from_here(address: Endpoint) -> Endpoint {
    match address.to_string().strip_prefix("tcp://") {
        Some(numbers) => format!("tcp://127.0.0.1:0;{numbers}").parse().unwrap(),
        None => address,
    }
}

/// Whether it has one peer and one queue.
pub(super) fn is_single<P: Pattern>(socket: &mut Socket<P>) -> bool {
    attend(socket);
    socket.peers().len() == 1 && socket.core.pipes.iter().count() == 1
}

/// The next message, of two frames.
pub(super) fn message(number: u32, dice: &mut Dice) -> Message {
    let octets = if dice.roll(2) == 0 { dice.roll(200) } else { dice.roll(OCTETS) };
    Message::from([numbered(number).to_vec(), vec![number.to_be_bytes()[3]; octets]])
}

/// What has arrived.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) numbers: BTreeSet<u32>,
    pub(super) is_disordered: bool,
}

impl Heard {
    /// It is whole, and here for the first time.
    pub(super) fn note(&mut self, message: &Message) -> u32 {
        assert_eq!(message.frame_count(), 2, "in part");
        let number = number_of(message);
        let filler = number.to_be_bytes()[3];
        assert!(message.frame(1).unwrap().iter().all(|octet| *octet == filler), "corrupt");
        self.is_disordered |= self.numbers.last().is_some_and(|last| *last > number);
        assert!(self.numbers.insert(number), "{number} twice");
        number
    }

    pub(super) fn count(&self) -> u64 {
        self.numbers.len() as u64
    }

    /// In how many places something is missing among the first `sent`.
    pub(super) fn gaps(&self, sent: u32) -> u64 {
        let mut next = 0;
        let all = self.numbers.iter().chain([&sent]);
        all.filter(|number| std::mem::replace(&mut next, **number + 1) != **number).count() as u64
    }
}

/// Runs `run` with seed after seed until so much has failed.
pub(super) fn campaign(what: &'static str, run: fn(&mut Trial)) {
    let only = std::env::var("PEERMQ_FAULTS_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    let goal = if only.is_some() { 1 } else { count(3 * FAULTS, 125_000) };
    let (mut sum, mut runs) = (Tally::default(), 0);
    for seed in only.unwrap_or(1).. {
        if sum.total() >= goal {
            break;
        }
        runs += 1;
        let (tell, told) = mpsc::channel();
        let tried = thread::Builder::new().name(format!("{what} {seed}")).spawn(move || {
            let mut trial = Trial::new(seed);
            tell.send(Arc::clone(&trial.plan)).unwrap();
            let entered = trial.plan.enter();
            run(&mut trial);
            assert!(trial.plan.panics() == 0, "a thread has panicked");
            drop(trial);
            drop(entered);
            tell.send(Plan::new(0, Harm::None)).unwrap();
        });
        let tried = tried.unwrap();
        let plan = told.recv().unwrap();
        // Longer than everything in it that is waited for.
        let told = told.recv_timeout(6 * PATIENCE);
        let is_stuck = matches!(told, Err(mpsc::RecvTimeoutError::Timeout));
        assert!(!is_stuck, "{what}, seed {seed}: a call does not come back");
        assert!(tried.join().is_ok(), "{what}, {plan:?} failed, after{}", plan.tally());
        sum.add(&plan.tally());
    }
    println!("{what}: {runs} runs, {} faults{sum}", sum.total());
}

/// How a socket waits for messages.
enum Ear {
    Call,
    Descriptor(Descriptor),
    Poller(Poller<()>),
    /// A poller that waits for a descriptor.
    Polled(Poller<()>, #[allow(dead_code, reason = "to be open")] Descriptor),
    Task,
}

impl Ear {
    fn new<R: Receives>(dice: &mut Dice, socket: &mut Socket<R>) -> Self {
        let mut descriptor = || {
            loop {
                if let Ok(descriptor) = socket.descriptor(Interest::READABLE) {
                    return descriptor;
                }
            }
        };
        match dice.roll(5) {
            0 => Self::Descriptor(descriptor()),
            1 => {
                let (mut poller, descriptor) = (Poller::new(), descriptor());
                eventually("it is in", || poller.add_fd(&descriptor, Interest::READABLE, ()).is_ok());
                Self::Polled(poller, descriptor)
            }
            2 => {
                let mut poller = Poller::new();
                poller.add(socket, Interest::READABLE, ()).unwrap();
                Self::Poller(poller)
            }
            3 => Self::Task,
            _ => Self::Call,
        }
    }

    /// The next message, if one comes in time.
    fn hear<R: Receives>(&mut self, socket: &mut Socket<R>, within: Duration) -> Option<Message> {
        if let Self::Call = self {
            return socket.recv_timeout(within).ok();
        }
        let deadline = Instant::now() + within;
        if let Self::Task = self {
            let parked = Parked::new();
            let waker = Waker::from(Arc::clone(&parked));
            let mut call = std::pin::pin!(socket.recv_async());
            loop {
                let polled = call.as_mut().poll(&mut std::task::Context::from_waker(&waker));
                if let Poll::Ready(received) = polled {
                    return received.ok();
                }
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::park_timeout(left);
            }
        }
        loop {
            if let Ok(message) = socket.try_recv() {
                return Some(message);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            match self {
                Self::Call | Self::Task => {}
                Self::Descriptor(descriptor) => {
                    let wanted = PollFd::new(descriptor.as_fd(), PollFlags::POLLIN);
                    poll(&mut [wanted], PollTimeout::try_from(left).unwrap()).unwrap();
                }
                Self::Poller(poller) | Self::Polled(poller, _) => {
                    // The system may not be able to wait, for once.
                    let reported = poller.wait(Some(left)).map_or(0, <[_]>::len);
                    assert!(reported <= 1);
                }
            }
        }
    }
}

/// Messages go one way. `is_dropping`: what there is no room for is counted, and so is what nobody subscribes to not.
fn one_way<S: Sends, R: Receives>(
    trial: &mut Trial,
    mut sender: Socket<S>,
    mut receiver: Socket<R>,
    is_dropping: bool,
) {
    let (mut next, mut heard) = (0, Heard::default());
    let mut ear = Ear::new(&mut trial.dice, &mut receiver);
    let patience = trial.patience;
    // Whatever is accepted comes, and wakes whoever waits for it.
    let comes = trial.is_harmless() && !is_dropping;
    let accepted = AtomicU64::new(0);
    let send_some = |dice: &mut Dice| {
        for _ in 0..dice.roll(10) {
            match sender.send_timeout(message(next, dice), patience) {
                Ok(()) => next += 1,
                Err(unsent) => assert!(patience == TURN, "{unsent:?}"),
            }
            accepted.store(next.into(), Ordering::SeqCst);
        }
    };
    let receive_some = |dice: &mut Dice| {
        while comes && heard.count() < accepted.load(Ordering::SeqCst) {
            heard.note(&ear.hear(&mut receiver, PATIENCE).expect("it does not come"));
        }
        for _ in 0..10 + dice.roll(10) {
            let Some(message) = ear.hear(&mut receiver, TURN) else { break };
            heard.note(&message);
        }
    };
    trial.storm(send_some, receive_some);
    trial.plan.end();
    let drain = |receiver: &mut Socket<R>, heard: &mut Heard| {
        while let Ok(message) = receiver.recv_timeout(TURN) {
            heard.note(&message);
        }
    };
    if trial.is_harmless() {
        while heard.count() < sender.outgoing().accepted() {
            heard.note(&receiver.recv_timeout(PATIENCE).unwrap());
        }
    }
    let first = next;
    eventually("there is one connection, which works", || {
        drain(&mut receiver, &mut heard);
        if !is_single(&mut sender) || !is_single(&mut receiver) {
            return false;
        }
        if heard.numbers.last().is_some_and(|last| *last >= first) {
            return true;
        }
        next += u32::from(sender.try_send(message(next, &mut trial.dice)).is_ok());
        false
    });
    let closing = next;
    for _ in 0..CLOSING {
        sender.send_timeout(message(next, &mut trial.dice), PATIENCE).unwrap();
        next += 1;
    }
    while heard.numbers.range(closing..).count() < CLOSING as usize {
        heard.note(&recv(&mut receiver));
    }
    eventually("nothing is queued", || {
        drain(&mut receiver, &mut heard);
        sender.outgoing().queued == 0
    });
    let (outgoing, dropped) = (sender.outgoing(), sender.dropped().total());
    assert_eq!(sender.close(PATIENCE).dropped, 0);
    eventually("the sender is gone", || {
        drain(&mut receiver, &mut heard);
        receiver.peers().is_empty()
    });
    drain(&mut receiver, &mut heard);
    let sent = u64::from(next);
    assert!(heard.numbers.last().is_none_or(|last| *last < next), "never sent");
    assert!(is_dropping || (outgoing.accepted(), dropped) == (sent, 0), "{outgoing:?} {dropped} {sent}");
    if trial.is_harmless() {
        assert!(!heard.is_disordered);
        assert_eq!((outgoing.lost, heard.count() + dropped), (0, sent));
    }
    if is_dropping {
        let (arrived, handed_over) = (heard.count(), outgoing.handed_over);
        assert!(arrived == handed_over || trial.harm == Harm::Any && arrived < handed_over, "{outgoing:?}");
    } else {
        trial.check_loss(outgoing, &heard, next);
    }
}

fn queued<S: Sends, R: Receives>(trial: &mut Trial) {
    let (sender, receiver) = trial.join::<S, R>();
    one_way(trial, sender, receiver, false);
}

fn published<P: Publishes + Sends, S: Subscribes + Receives>(trial: &mut Trial) {
    let (mut publisher, mut subscriber) = trial.join::<P, S>();
    subscriber.subscribe("").unwrap();
    publisher.wait_for_subscribers(1, PATIENCE).unwrap();
    one_way(trial, publisher, subscriber, true);
}

#[test]
fn push_and_pull_outlive_all_faults() {
    campaign("PUSH and PULL", queued::<Push, Pull>);
}

#[test]
fn pairs_outlive_all_faults() {
    campaign("PAIR", queued::<Pair, Pair>);
}

#[test]
fn dealers_outlive_all_faults() {
    campaign("DEALER and DEALER", queued::<Dealer, Dealer>);
}

#[test]
fn pub_and_sub_outlive_all_faults() {
    campaign("PUB and SUB", published::<Pub, Sub>);
}

#[test]
fn xpub_and_xsub_outlive_all_faults() {
    campaign("XPUB and XSUB", published::<XPub, XSub>);
}
