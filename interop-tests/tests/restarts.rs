//! libzmq and pyzmq as peers that are killed and started again, a hundred times, or stopped for five seconds, while
//! messages flow: ours recovers, loses only what may be lost when a connection dies, and gets nothing twice. I2 to
//! I5, B-13, E-08, H-07, H-12.
//!
//! Messages say which they are. What arrives of one connection must be a run without gaps: then what is missing was
//! under way when it died.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::wildcard_enum_match_arm, reason = "most types need nothing special")]

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::random::Random;
use interop_tests::raw::{DEADLINE, message_of};
use interop_tests::theirs::{Address, Binds, Implementation, Place, Theirs, numbered};
use peermq::{AnyPattern, Context, Hwm, Outgoing, ReconnectInterval, Socket, SocketType};

use SocketType as T;

/// A socket of ours, one of theirs, and what theirs does.
#[derive(Clone, Copy, Debug)]
struct Flow {
    ours: T,
    theirs: T,
    task: &'static str,
}

const fn flow(ours: T, theirs: T, task: &'static str) -> Flow {
    Flow { ours, theirs, task }
}

const FLOWS: [Flow; 10] = [
    flow(T::Push, T::Pull, "ledger"),
    flow(T::Pair, T::Pair, "ledger"),
    flow(T::Pub, T::Sub, "ledger"),
    flow(T::Pull, T::Push, "count"),
    flow(T::Pair, T::Pair, "count"),
    flow(T::Sub, T::Pub, "count"),
    flow(T::Req, T::Rep, "echo"),
    flow(T::Dealer, T::Router, "echo"),
    flow(T::Rep, T::Req, "inquire"),
    flow(T::Router, T::Dealer, "inquire"),
];

/// How long an answer is worth waiting for that may have died: at first, as a busy machine may take longer.
const SOON: Duration = Duration::from_millis(50);

/// After how long a stopped peer is missed: many times as long as a busy machine keeps one waiting that is not.
const SILENT: Duration = Duration::from_secs(2);

const TURN: Duration = Duration::from_millis(1);

/// Our side, which lives through all of it.
struct Ours {
    flow: Flow,
    has_heartbeats: bool,
    socket: Socket<AnyPattern>,
    /// The number of the next message of ours.
    next: u32,
    asked: Option<Instant>,
    /// After which a request is given up; twice as long after each that was.
    patience: Duration,
    /// How many were given up in a row.
    in_vain: u32,
    /// How many times theirs was started before.
    epoch: u32,
    /// The numbers of the messages that were compared, as they came, by the epoch that they belong to: for `count`
    /// the sender's, otherwise that of the time.
    seen: BTreeMap<u32, Vec<u32>>,
}

impl Ours {
    fn open(flow: Flow, has_heartbeats: bool, patience: Duration) -> Self {
        let context = Context::builder().io_threads(1).build();
        let mut builder = context
            .builder_for_any(flow.ours)
            .send_timeout(DEADLINE)
            .recv_timeout(DEADLINE)
            .linger(Duration::ZERO)
            .reconnect_interval(ReconnectInterval::Every(TURN));
        builder = match flow.ours {
            T::Push | T::Pair | T::Dealer => builder.send_hwm(Hwm::messages(50)),
            T::Pub => builder.send_hwm(Hwm::UNLIMITED),
            T::Sub => builder.recv_hwm(Hwm::UNLIMITED),
            T::Req => builder.req_relaxed(true).req_correlate(true),
            _ => builder,
        };
        if has_heartbeats {
            builder = builder.heartbeat_interval(SOON).heartbeat_timeout(SILENT);
        }
        let mut socket = builder.open().unwrap();
        if flow.ours == T::Sub {
            socket.subscribe("").unwrap();
        }
        Self {
            flow,
            has_heartbeats,
            socket,
            next: 0,
            asked: None,
            patience,
            in_vain: 0,
            epoch: 0,
            seen: BTreeMap::new(),
        }
    }

    /// How many messages were compared in this epoch.
    fn progress(&self) -> usize {
        self.seen.get(&self.epoch).map_or(0, Vec::len)
    }

    fn note(&mut self, epoch: u32, numbers: Vec<u32>) {
        self.seen.entry(epoch).or_default().extend(numbers);
    }

    /// Sends what there is room for, if it may, and takes what has come.
    fn turn(&mut self, theirs: &Theirs, may_send: bool) {
        match (self.flow.task, self.flow.ours) {
            ("ledger", _) => {
                self.send(may_send);
                self.note(self.epoch, theirs.got(TURN));
            }
            ("count", _) => self.receive(|_, epoch, number| (epoch, number)),
            ("echo", T::Req) => self.request(may_send),
            ("echo", _) => {
                self.send(may_send);
                self.receive(|ours, _, number| (ours.epoch, number));
            }
            (_, _) => {
                let mut wait = TURN;
                while let Ok(request) = self.socket.recv_timeout(wait) {
                    self.socket.send(request).unwrap();
                    wait = Duration::ZERO;
                }
                self.note(self.epoch, theirs.got(Duration::ZERO));
            }
        }
    }

    fn send(&mut self, may_send: bool) {
        // A publisher never waits for room.
        let most = if self.flow.ours == T::Pub { 1 } else { 20 };
        for _ in 0..most * u32::from(may_send) {
            if self.socket.try_send(message_of(&numbered("0", self.next))).is_err() {
                break;
            }
            self.next += 1;
        }
    }

    fn receive(&mut self, whose: impl Fn(&Self, u32, u32) -> (u32, u32)) {
        let mut wait = TURN;
        while let Ok(message) = self.socket.recv_timeout(wait) {
            let [epoch, number] = [0, 1].map(|at| message.frame(at).unwrap().to_str().unwrap().to_owned());
            // I2: whole, and as it was sent.
            assert!(message == message_of(&numbered(&epoch, number.parse().unwrap())), "{epoch}, {number}");
            let (epoch, number) = whose(self, epoch.parse().unwrap(), number.parse().unwrap());
            self.note(epoch, vec![number]);
            wait = Duration::ZERO;
        }
    }

    fn request(&mut self, may_send: bool) {
        let patience = self.patience * (1 << self.in_vain.min(5));
        if self.asked.is_none_or(|asked| asked.elapsed() > patience) && may_send {
            let request = message_of(&numbered("0", self.next));
            if self.socket.try_send(request).is_ok() {
                self.in_vain += u32::from(self.asked.is_some());
                self.asked = Some(Instant::now());
                self.next += 1;
            }
        }
        if self.asked.is_some()
            && let Ok(reply) = self.socket.recv_timeout(TURN)
        {
            // Never the answer to another request.
            assert!(reply == message_of(&numbered("0", self.next - 1)), "{}", self.next - 1);
            self.note(self.epoch, vec![self.next - 1]);
            (self.asked, self.in_vain) = (None, 0);
        }
    }

    /// Takes turns until it is so.
    fn until(&mut self, what: &str, theirs: &Theirs, may_send: bool, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !is_so(self) {
            assert!(
                Instant::now() < until,
                "{what}: {:?} in epoch {}: {} of {}",
                self.flow,
                self.epoch,
                self.progress(),
                self.next
            );
            self.turn(theirs, may_send);
        }
    }

    /// Sends no more, and waits for what is under way to the peer that is still there.
    fn settle(&mut self, theirs: &Theirs) {
        if matches!(self.flow.task, "ledger" | "echo") {
            self.until("the last one", theirs, false, |ours| {
                ours.seen.values().flatten().any(|number| *number + 1 == ours.next)
            });
        }
    }

    /// What became of what was queued, when nothing is any more. The kernel may have given the last messages to the peer
    /// before whoever wrote them has counted them.
    fn settled(&self) -> Outgoing {
        let until = Instant::now() + DEADLINE;
        loop {
            let outgoing = self.socket.outgoing();
            if outgoing.queued == 0 || Instant::now() >= until {
                return outgoing;
            }
            thread::yield_now();
        }
    }

    /// The numbers of all messages, sorted; fails when one is there twice, or two of one epoch came out of order.
    fn all(&self) -> Vec<u32> {
        let mut all = Vec::new();
        for (epoch, numbers) in &self.seen {
            let is_ordered = numbers.windows(2).all(|two| two[0] < two[1]);
            // Whoever takes from two connections, of which one is dead, takes from them in turn: ours when replies
            // come, theirs when it was stopped and finds both.
            let is_of_one =
                self.flow.ours != T::Dealer && !(self.has_heartbeats && self.flow.task == "ledger");
            assert!(is_ordered || !is_of_one, "I3, I4: {:?}, epoch {epoch}: {numbers:?}", self.flow);
            all.extend(numbers);
        }
        if self.flow.task == "count" || self.flow.task == "inquire" {
            return all; // of several senders
        }
        all.sort_unstable();
        assert!(all.windows(2).all(|two| two[0] < two[1]), "I3: {:?} twice in {all:?}", self.flow);
        all
    }

    /// I5: what is missing is what a connection that dies may lose, and this many of them have.
    fn judge(&self, place: Place, deaths: usize) -> usize {
        let all = self.all();
        let what = format!("{:?} {place:?}, {deaths} deaths", self.flow);
        match (self.flow.task, self.flow.ours) {
            ("count", _) => {
                for (epoch, numbers) in &self.seen {
                    // A PUB is heard once it knows of the subscription; a PAIR may be refused as long as it is not
                    // known that the one before is dead, and has sent something then.
                    let may_begin_anywhere = matches!(self.flow.ours, T::Sub | T::Pair);
                    let first = if may_begin_anywhere { numbers[0] } else { 0 };
                    let more = if deaths > 0 && self.epoch == 0 { 1 } else { 0 };
                    assert!(
                        numbers[0] == first && gaps(numbers) <= more,
                        "{what}, epoch {epoch}: {numbers:?}"
                    );
                }
            }
            ("ledger", T::Pub) => assert!(gaps(&all) <= 2 * deaths, "{what}: {} gaps", gaps(&all)),
            ("ledger" | "echo", T::Push | T::Pair | T::Dealer) => {
                let outgoing = self.settled();
                assert_eq!((outgoing.accepted(), outgoing.queued), (u64::from(self.next), 0), "{what}");
                assert!(outgoing.handed_over >= all.len() as u64, "{what}: {outgoing:?}");
                if place.binds == Binds::They {
                    // What is queued by the side that connects goes to the next connection.
                    assert_eq!(outgoing.lost, 0, "{what}");
                    assert!(gaps(&all) <= deaths, "{what}: {} gaps", gaps(&all));
                }
                if deaths == 0 {
                    assert!(all.into_iter().eq(0..self.next), "{what}: {outgoing:?}");
                }
            }
            _ if deaths == 0 => assert_eq!(gaps(&all), 0, "{what}: {all:?}"),
            _ => {}
        }
        self.seen.values().map(Vec::len).sum()
    }
}

/// Between how many neighbours something is missing.
fn gaps(numbers: &[u32]) -> usize {
    numbers.windows(2).filter(|two| two[0] + 1 != two[1]).count()
}

/// Whoever asks gives up an answer after a multiple of our patience: ours dies with nobody's questions.
fn start(
    implementation: Implementation,
    flow: Flow,
    place: Place,
    endpoint: &str,
    epoch: u32,
    patience: Duration,
) -> Theirs {
    let epoch = format!("EPOCH={epoch}");
    let patience = format!("RCVTIMEO={}", (20 * patience).as_millis());
    let mut words =
        vec![flow.task, flow.theirs.name(), place.their_side(), endpoint, &epoch, "RECONNECT_IVL=5"];
    let asking = ["REQ_CORRELATE=1", "REQ_RELAXED=1", &patience];
    words.extend(match flow.theirs {
        T::Pub => &["SNDHWM=0"][..],
        T::Sub => &["RCVHWM=0", "SUBSCRIBE="],
        T::Req => &asking,
        T::Dealer => &asking[2..],
        _ => &[],
    });
    Theirs::start(implementation, &words)
}

/// Lets theirs begin, where ours finds it.
fn begin(
    ours: &mut Ours,
    implementation: Implementation,
    place: Place,
    address: &Address,
) -> (Theirs, String) {
    let endpoint = match place.binds {
        Binds::We => ours.socket.bind(place.transport.free_endpoint()).unwrap().to_string(),
        Binds::They => address.endpoint(place.transport),
    };
    let theirs = start(implementation, ours.flow, place, &endpoint, 0, ours.patience);
    let at = theirs.report("at");
    if place.binds == Binds::They {
        ours.socket.connect(&at[..]).unwrap();
        return (theirs, at);
    }
    (theirs, endpoint)
}

const RESTARTS: u32 = 100;

/// Kills theirs again and again, after a few messages each time.
fn restarted(implementation: Implementation, task: &str) {
    for (number, flow) in FLOWS.into_iter().enumerate().filter(|(_, flow)| flow.task == task) {
        for place in Place::EVERYWHERE {
            let mut ours = Ours::open(flow, false, SOON);
            let address = Address::new();
            let mut random = Random(number as u64);
            let (mut theirs, endpoint) = begin(&mut ours, implementation, place, &address);
            loop {
                let goal = 1 + random.below(30);
                ours.until("messages", &theirs, true, |ours| ours.progress() >= goal);
                if ours.epoch == RESTARTS {
                    break;
                }
                let before_its_death = theirs.kill();
                ours.note(ours.epoch, before_its_death);
                ours.epoch += 1;
                theirs = start(implementation, flow, place, &endpoint, ours.epoch, SOON);
                _ = theirs.report("at");
            }
            ours.settle(&theirs);
            let messages = ours.judge(place, RESTARTS as usize);
            let pattern = format!("{} with {}", flow.ours.name(), flow.theirs.name());
            place.count(implementation, &pattern, "killed 100 times", messages);
        }
    }
}

/// Stops theirs in the middle of everything, all flows at the same time.
fn stopped(implementation: Implementation, has_heartbeats: bool) {
    thread::scope(|scope| {
        for (number, flow) in FLOWS.into_iter().enumerate() {
            // Each place for some; with heartbeats others than without. A PAIR of libzmq that is bound keeps a new
            // connection that came before the old one was seen to end, and never reads it: zmq_socket(3) says that
            // PAIR does not reconnect.
            let place = match (has_heartbeats, flow.ours) {
                (true, T::Pair) => Place::EVERYWHERE[number % 2 * 2],
                _ => Place::EVERYWHERE[(number + usize::from(has_heartbeats)) % 4],
            };
            scope.spawn(move || stop(implementation, flow, place, has_heartbeats));
        }
    });
}

fn stop(implementation: Implementation, flow: Flow, place: Place, has_heartbeats: bool) {
    const STOPPED: Duration = Duration::from_secs(5);
    // Without heartbeats nobody notices anything, and it is only a matter of time.
    let patience = if has_heartbeats { SOON } else { DEADLINE };
    let mut ours = Ours::open(flow, has_heartbeats, patience);
    let address = Address::new();
    let (theirs, _endpoint) = begin(&mut ours, implementation, place, &address);
    ours.until("messages", &theirs, true, |ours| ours.progress() >= 20);
    theirs.stop();
    let since = Instant::now();
    let mut is_missed = false;
    while since.elapsed() < STOPPED {
        ours.turn(&theirs, true);
        is_missed |= ours.socket.peers().is_empty();
    }
    assert_eq!(is_missed, has_heartbeats, "H-07: {flow:?}");
    theirs.go_on();
    // Behind what was under way already.
    let (goal, next) = (ours.progress() + 200, ours.next);
    ours.until("it goes on", &theirs, true, |ours| {
        let is_new = |number: &u32| *number >= next;
        ours.progress() >= goal && (next == 0 || ours.seen.values().flatten().any(is_new))
    });
    ours.settle(&theirs);
    let messages = ours.judge(place, usize::from(has_heartbeats));
    let pattern = format!("{} with {}", flow.ours.name(), flow.theirs.name());
    let what = if has_heartbeats { "stopped for 5 s, missed" } else { "stopped for 5 s" };
    place.count(implementation, &pattern, what, messages);
}

#[test]
fn what_ours_send_survives_100_restarts_of_libzmq() {
    restarted(Implementation::Libzmq, "ledger");
}

#[test]
fn what_ours_send_survives_100_restarts_of_pyzmq() {
    restarted(Implementation::Pyzmq, "ledger");
}

#[test]
fn what_100_lives_of_libzmq_send_is_heard() {
    restarted(Implementation::Libzmq, "count");
}

#[test]
fn what_100_lives_of_pyzmq_send_is_heard() {
    restarted(Implementation::Pyzmq, "count");
}

#[test]
fn ours_get_answers_from_100_lives_of_libzmq() {
    restarted(Implementation::Libzmq, "echo");
}

#[test]
fn ours_get_answers_from_100_lives_of_pyzmq() {
    restarted(Implementation::Pyzmq, "echo");
}

#[test]
fn ours_answer_100_lives_of_libzmq() {
    restarted(Implementation::Libzmq, "inquire");
}

#[test]
fn ours_answer_100_lives_of_pyzmq() {
    restarted(Implementation::Pyzmq, "inquire");
}

#[test]
fn nothing_is_lost_while_libzmq_is_stopped_for_five_seconds() {
    stopped(Implementation::Libzmq, false);
}

#[test]
fn nothing_is_lost_while_pyzmq_is_stopped_for_five_seconds() {
    stopped(Implementation::Pyzmq, false);
}

#[test]
fn heartbeats_miss_libzmq_when_it_is_stopped_and_find_it_again() {
    stopped(Implementation::Libzmq, true);
}

#[test]
fn heartbeats_miss_pyzmq_when_it_is_stopped_and_find_it_again() {
    stopped(Implementation::Pyzmq, true);
}
