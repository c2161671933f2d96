//! Peers that are killed, held and started again in the middle of the traffic. What our side promises: it comes
//! back by itself; no message arrives twice, in another order or in part; none is missing while a connection
//! lives. What a death costs is what was with the kernel and, where we bind, in the queue for that peer, which our
//! socket counts.
//!
//! Peers send and report messages of two frames: octets, or the name of the peer's life, and a number.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use peermq::{
    ConnectionError, Dealer, Message, Pattern, Pub, Pull, Push, Receives, RecvError, Rep, Req, Router, Sends,
    Socket, Sub,
};

use super::{Binds, Frames, HELD, Implementation, Meeting, Peer, Place, Task, builder, named, octets};
use crate::raw::random::Random;
use crate::raw::{DEADLINE, Transport, message_of};

/// Their PULLs die while our PUSH goes on. X-09.
pub fn our_push_outlives_their_pulls(theirs: &Implementation) {
    for place in PLACES {
        let mut ours = builder::<Push>().open().unwrap();
        let ledger = send_through_lives(theirs, &mut ours, place, Task::new("record", "PULL"), |_| true);
        let outgoing = ours.outgoing();
        assert_eq!((outgoing.accepted(), outgoing.queued), (ledger.sent, 0));
        // Who connects keeps the queue: what is missing then was with the kernel.
        assert!(outgoing.lost == 0 || place.1 == Binds::We, "{outgoing:?}");
        assert!(ledger.received <= outgoing.handed_over, "{outgoing:?}");
        theirs.count("PUSH to PULL", place, "ours to theirs, killed", ledger.received.try_into().unwrap());
    }
}

/// Their SUBs die while our PUB goes on. X-09.
pub fn our_pub_outlives_their_subs(theirs: &Implementation) {
    for place in PLACES {
        // It waits for its subscribers: what they miss, they miss because they are away.
        let mut ours = builder::<Pub>().xpub_nodrop(true).open().unwrap();
        let task = Task { topics: &[""], ..Task::new("record", "SUB") };
        let ledger = send_through_lives(theirs, &mut ours, place, task, |ours| ours.subscriber_count() > 0);
        theirs.count("PUB to SUB", place, "ours to theirs, killed", ledger.received.try_into().unwrap());
    }
}

/// Their PUSHes die while our PULL goes on. X-09.
pub fn our_pull_outlives_their_pushes(theirs: &Implementation) {
    receive_through_lives(theirs, "PUSH to PULL", "PUSH", || builder::<Pull>().open().unwrap());
}

/// Their PUBs die while our SUB goes on, which subscribes again by itself. X-09.
pub fn our_sub_outlives_their_pubs(theirs: &Implementation) {
    receive_through_lives(theirs, "PUB to SUB", "PUB", || {
        let mut ours = builder::<Sub>().open().unwrap();
        ours.subscribe(LIFE).unwrap();
        ours
    });
}

/// Their REPs die with our requests: each reply is the one to its request. X-09.
pub fn our_req_outlives_their_reps(theirs: &Implementation) {
    let open = || builder::<Req>().open().unwrap();
    ask_through_lives(theirs, "REQ/REP", "REP", open, |ours, request, patience| {
        let mut reply = ours.request(request).unwrap();
        received(reply.recv_timeout(patience))
    });
}

/// Their ROUTERs die with what our DEALER sent: what they send back is in order. X-09.
pub fn our_dealer_outlives_their_routers(theirs: &Implementation) {
    let latest = Cell::new(None);
    let open = || {
        latest.set(None);
        named(builder::<Dealer>()).open().unwrap()
    };
    ask_through_lives(theirs, "DEALER/ROUTER", "ROUTER", open, |ours, message, patience| {
        let number = number_of(message);
        ours.send(message).unwrap();
        loop {
            let reply = received(ours.recv_timeout(patience))?;
            // One to an earlier message may come late, but never twice.
            let replied = number_of(&reply);
            let before = latest.replace(Some(replied));
            assert!(before < Some(replied), "{replied} after {before:?}");
            if replied == number {
                return Some(reply);
            }
        }
    });
}

/// Their REQs die while our REP goes on. X-09.
pub fn our_rep_outlives_their_reqs(theirs: &Implementation) {
    answer_through_lives(
        theirs,
        "REQ/REP",
        "REQ",
        || builder::<Rep>().open().unwrap(),
        |ours| {
            let mut request = ours.recv().unwrap();
            let message = request.take_message();
            request.reply(&message).unwrap();
            message
        },
    );
}

/// Their DEALERs die, and others come by the same name. X-09.
pub fn our_router_outlives_their_dealers(theirs: &Implementation) {
    let open = || builder::<Router>().router_handover(true).open().unwrap();
    answer_through_lives(theirs, "DEALER/ROUTER", "DEALER", open, |ours| {
        let (from, message) = ours.recv().unwrap();
        ours.send_to(&from, &message).unwrap();
        message
    });
}

/// Our PULL goes and another comes; their PUSH comes to it. E-08.
pub fn their_push_comes_back(theirs: &Implementation) {
    let (mut ours, _peer, mut lives) = pull_again(theirs);
    let first = octets(&ours.recv().unwrap());
    lives.skip_to(&first);
    lives.take(&first);
    (0..100).for_each(|_| lives.take(&octets(&ours.recv().unwrap())));
    theirs.count("PUSH to PULL", PLACES[0], "theirs to ours, we restart", lives.count);
}

/// Their PUSH does not come back, although RFC 23 says under "Error Handling": "The peer SHALL treat an unexpected
/// connection close as a temporary error, and SHOULD reconnect." E-04, E-08.
pub fn their_push_stays_away(theirs: &Implementation) {
    let (mut ours, mut peer, _) = pull_again(theirs);
    // Much longer than anyone's pause before the first attempt: when this fails, it does come back.
    assert_eq!(ours.recv_timeout(Duration::from_secs(2)).err(), Some(RecvError::WouldBlock), "mended");
    assert!(peer.is_alive());
}

/// Our PUB goes and another comes; their SUB comes to it, and subscribes again. E-08.
pub fn their_sub_comes_back(theirs: &Implementation) {
    let task = Task { topics: &[""], ..Task::new("record", "SUB") };
    let mut random = Random(15);
    let mut exchange = |ours: &mut Socket<Pub>, peer: &Peer, numbers: Range<u64>| {
        ours.wait_for_subscribers(1, DEADLINE).unwrap();
        for number in numbers {
            ours.send(numbered(&mut random, number)).unwrap();
            assert_eq!(reported(&peer.line()), number);
        }
    };
    let mut ours = builder::<Pub>().open().unwrap();
    let (meeting, peer) = Meeting::begin(theirs, &mut ours, PLACES[0], &task);
    exchange(&mut ours, &peer, 0..100);
    drop(ours);
    let mut ours = builder::<Pub>().open().unwrap();
    meeting.return_with(&mut ours);
    exchange(&mut ours, &peer, 100..200);
    theirs.count("PUB to SUB", PLACES[0], "ours to theirs, we restart", 200);
}

/// Peers that are held for five seconds miss nothing, and nothing of theirs is missed. X-10.
pub fn held_peers_miss_nothing(theirs: &Implementation) {
    thread::scope(|scope| {
        for place in PLACES {
            scope.spawn(move || hold_pull(theirs, place));
            scope.spawn(move || hold_push(theirs, place));
            scope.spawn(move || hold_rep(theirs, place));
        }
    });
}

/// A peer that is held is let go by heartbeats, and is there again when it goes on. H-01, X-10.
pub fn a_held_peer_is_noticed_by_heartbeats(theirs: &Implementation) {
    // Many PINGs go in the time after which a peer is silent: also a busy machine lets it answer one of them.
    const SILENT: Duration = Duration::from_secs(2);
    let place = (Transport::Tcp, Binds::They);
    let ours = builder::<Push>().heartbeat_interval(SILENT / 40);
    let mut ours = ours.heartbeat_timeout(SILENT).open().unwrap();
    let (meeting, peer) = Meeting::begin(theirs, &mut ours, place, &Task::new("record", "PULL"));
    let connection = meeting.connection.as_ref().unwrap();
    let mut random = Random(1);
    let mut exchange = |ours: &mut Socket<Push>, numbers: Range<u64>| {
        for number in numbers {
            ours.send(numbered(&mut random, number)).unwrap();
            assert_eq!(reported(&peer.line()), number);
        }
    };
    exchange(&mut ours, 0..100);
    assert_eq!(peer.line_within(2 * SILENT), None);
    assert_eq!(connection.last_error(), None, "it answers PING");
    peer.signal(Signal::SIGSTOP);
    let until = Instant::now() + DEADLINE;
    while connection.last_error() != Some(ConnectionError::Silent) {
        assert!(Instant::now() < until, "not noticed");
        thread::yield_now();
    }
    peer.signal(Signal::SIGCONT);
    exchange(&mut ours, 100..200);
    theirs.count("PUSH to PULL", place, "ours to theirs, cut by heartbeat", 200);
}

/// Messages with numbers from 0 on to peers that live one after the other, and report what they get. What is sent while
/// nobody is there may be missing.
fn send_through_lives<P: Sends>(
    theirs: &Implementation,
    ours: &mut Socket<P>,
    place: Place,
    task: Task<'_>,
    is_anybody_there: impl Fn(&mut Socket<P>) -> bool + Sync,
) -> Ledger {
    let (meeting, first) = Meeting::begin(theirs, ours, place, &task);
    let mut random = Random(9);
    let stop = AtomicBool::new(false);
    let mut ledger = Ledger { sent: 0, received: 0 };
    let for_nobody = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        let stopper = Stop(&stop);
        let sender = scope.spawn(|| {
            let mut random = Random(99);
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return number;
                }
                let was_there = is_anybody_there(ours);
                if !was_there {
                    thread::yield_now();
                }
                ours.send(numbered(&mut random, number)).unwrap();
                if !was_there || !is_anybody_there(ours) {
                    for_nobody.lock().unwrap().insert(number);
                }
            }
            unreachable!()
        });
        let mut next = 0;
        let mut first = Some(first);
        for life in 0..LIVES {
            let mut peer = first.take().unwrap_or_else(|| meeting.go_on(&task));
            // Where something may be missing behind the first:
            let may_miss = |missing: Range<u64>| match (task.kind, place.1) {
                // what went to a peer that was dead and not known to be;
                ("PULL", Binds::We) => true,
                // between what the queue has for one life and for the next, of which it may hold several.
                ("SUB", Binds::They) => for_nobody.lock().unwrap().range(missing).next().is_some(),
                _ => false,
            };
            let mut is_first = true;
            let mut take = |line: String| {
                let number = reported(&line);
                if number != next {
                    let may_be = number > next && (is_first || may_miss(next..number));
                    assert!(may_be, "{number} instead of {next} in life {life}, {place:?}");
                }
                (next, is_first) = (number + 1, false);
                ledger.received += 1;
                next
            };
            for _ in 0..=random.below(200) {
                take(peer.line());
            }
            if life + 1 < LIVES {
                peer.kill();
                peer.last_lines().for_each(|line| _ = take(line));
            } else {
                stopper.stop();
                ledger.sent = sender.join().unwrap();
                while take(peer.line()) < ledger.sent {}
                break;
            }
        }
    });
    ledger
}

/// Peers that live one after the other send messages with their life's name and numbers from 0 on.
fn receive_through_lives<P: Receives>(
    theirs: &Implementation,
    pattern: &str,
    kind: &str,
    open: impl Fn() -> Socket<P>,
) {
    for place in PLACES {
        let mut ours = open();
        let mut lives = Lives::default();
        through_lives(theirs, &mut ours, place, &Task::new("flow", kind), |ours, peer, life| {
            let message = octets(&ours.recv().unwrap());
            if message.len() == 1 {
                // A PUB asks who is there: its subscriber is. One that is dead may have asked more than once.
                if message == [format!("{life}?").into_bytes()] {
                    peer.tell();
                }
            } else {
                lives.take(&message);
            }
        });
        theirs.count(pattern, place, "theirs to ours, killed", lives.count);
    }
}

/// Peers that live one after the other ask, with their life's name and numbers from 0 on.
fn answer_through_lives<P: Pattern>(
    theirs: &Implementation,
    pattern: &str,
    kind: &str,
    open: impl Fn() -> Socket<P>,
    answer: impl Fn(&mut Socket<P>) -> Message,
) {
    for place in PLACES {
        let mut ours = open();
        let mut lives = Lives::default();
        through_lives(theirs, &mut ours, place, &Task::new("demand", kind), |ours, _, _| {
            lives.take(&octets(&answer(ours)));
        });
        theirs.count(pattern, place, "theirs ask, killed", 2 * lives.count);
    }
}

/// Peers that live one after the other send back what they get. What comes back must be what was sent last.
fn ask_through_lives<P: Pattern>(
    theirs: &Implementation,
    pattern: &str,
    kind: &str,
    open: impl Fn() -> Socket<P>,
    mut ask: impl FnMut(&mut Socket<P>, &Message, Duration) -> Option<Message>,
) {
    for place in PLACES {
        let mut ours = open();
        let mut random = Random(11);
        let mut number = 0;
        let mut answered = 0;
        through_lives(theirs, &mut ours, place, &Task::new("echo", kind), |ours, _, _| {
            let until = Instant::now() + DEADLINE;
            // What went to a dead one is given up. What a living one answers later than that may come over its
            // next connection, as the answer to another request: nobody is that slow.
            let mut patience = Duration::from_secs(2);
            loop {
                let message = numbered(&mut random, number);
                number += 1;
                if let Some(reply) = ask(ours, &message, patience) {
                    assert!(reply == message);
                    answered += 2;
                    return;
                }
                patience *= 2;
                assert!(Instant::now() < until, "nobody answers");
            }
        });
        theirs.count(pattern, place, "ours ask, killed", answered);
    }
}

/// Takes a random number of steps with each peer, then kills it while what follows is under way.
fn through_lives<P: Pattern>(
    theirs: &Implementation,
    ours: &mut Socket<P>,
    place: Place,
    task: &Task<'_>,
    mut step: impl FnMut(&mut Socket<P>, &Peer, &str),
) {
    let mut random = Random(12);
    let names: Vec<String> = (0..LIVES).map(|life| format!("{LIFE}{life}")).collect();
    let mut meeting = None;
    for name in &names {
        let task = Task { topics: &[name], ..*task };
        let mut peer = if let Some(meeting) = &meeting {
            Meeting::go_on(meeting, &task)
        } else {
            let (begun, first) = Meeting::begin(theirs, ours, place, &task);
            meeting = Some(begun);
            first
        };
        for _ in 0..=random.below(200) {
            step(ours, &peer, name);
        }
        peer.kill();
    }
}

/// A PULL of ours at the place of another one, which has got something from a PUSH of theirs.
fn pull_again(theirs: &Implementation) -> (Socket<Pull>, Peer, Lives) {
    let task = Task { topics: &[LIFE], ..Task::new("flow", "PUSH") };
    let mut ours = builder::<Pull>().open().unwrap();
    let (meeting, peer) = Meeting::begin(theirs, &mut ours, PLACES[0], &task);
    let mut lives = Lives::default();
    (0..100).for_each(|_| lives.take(&octets(&ours.recv().unwrap())));
    drop(ours);
    let mut ours = builder().open().unwrap();
    meeting.return_with(&mut ours);
    (ours, peer, lives)
}

/// Our PUSH goes on.
fn hold_pull(theirs: &Implementation, place: Place) {
    let mut ours = builder::<Push>().open().unwrap();
    let (_meeting, peer) = Meeting::begin(theirs, &mut ours, place, &Task::new("record", "PULL"));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(13);
            (0..MANY).for_each(|number| ours.send(numbered(&mut random, number)).unwrap());
        });
        for number in 0..MANY {
            assert_eq!(reported(&peer.line()), number);
            if number == MANY / 10 {
                peer.hold();
            }
        }
    });
    theirs.count("PUSH to PULL", place, "ours to theirs, held", MANY.try_into().unwrap());
}

/// Our PULL takes all that is under way, and waits.
fn hold_push(theirs: &Implementation, place: Place) {
    let mut ours = builder::<Pull>().open().unwrap();
    let task = Task { topics: &[LIFE], ..Task::new("flow", "PUSH") };
    let (_meeting, peer) = Meeting::begin(theirs, &mut ours, place, &task);
    let mut lives = Lives::default();
    (0..MANY).for_each(|_| lives.take(&octets(&ours.recv().unwrap())));
    peer.signal(Signal::SIGSTOP);
    while let Some(message) = received(ours.recv_timeout(HELD)) {
        lives.take(&octets(&message));
    }
    peer.signal(Signal::SIGCONT);
    (0..MANY).for_each(|_| lives.take(&octets(&ours.recv().unwrap())));
    theirs.count("PUSH to PULL", place, "theirs to ours, held", lives.count);
}

/// Our REQ gets its reply.
fn hold_rep(theirs: &Implementation, place: Place) {
    let mut ours = builder::<Req>().open().unwrap();
    let (_meeting, peer) = Meeting::begin(theirs, &mut ours, place, &Task::new("echo", "REP"));
    let mut random = Random(14);
    for number in 0..REQUESTS {
        if number == REQUESTS / 2 {
            peer.hold();
        }
        let request = numbered(&mut random, number);
        assert!(ours.request(&request).unwrap().recv().unwrap() == request);
    }
    theirs.count("REQ/REP", place, "ours ask, held", (2 * REQUESTS).try_into().unwrap());
}

/// How many messages were sent, and how many of them arrived.
struct Ledger {
    sent: u64,
    received: u64,
}

/// What came from each life: what comes next has the next number, beginning with 0.
#[derive(Default)]
struct Lives {
    next: BTreeMap<Vec<u8>, u64>,
    count: usize,
}

impl Lives {
    fn take(&mut self, message: &Frames) {
        let [life, number] = &message[..] else { panic!("{} frames", message.len()) };
        let next = self.next.entry(life.clone()).or_default();
        assert_eq!(number, next.to_string().as_bytes(), "from {}", String::from_utf8_lossy(life));
        *next += 1;
        self.count += 1;
    }

    /// What a life sent before this message is lost.
    fn skip_to(&mut self, message: &Frames) {
        let [life, number] = &message[..] else { panic!("{} frames", message.len()) };
        let number = String::from_utf8_lossy(number).parse().unwrap();
        let next = self.next.insert(life.clone(), number);
        assert!(next <= Some(number), "{number} after {next:?}");
    }
}

/// Ends the sender, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Stop<'_> {
    fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Octets that differ in size, and a number.
fn numbered(random: &mut Random, number: u64) -> Message {
    let octets = random.below(2000);
    message_of(&[random.octets(octets), number.to_string().into_bytes()])
}

fn number_of(message: &Message) -> u64 {
    String::from_utf8_lossy(&octets(message)[1]).parse().unwrap()
}

/// The number in a line `got FRAMES NUMBER`.
fn reported(line: &str) -> u64 {
    line.strip_prefix("got 2 ").unwrap_or_else(|| panic!("{line}")).parse().unwrap()
}

/// What came in time.
fn received(result: Result<Message, RecvError>) -> Option<Message> {
    match result {
        Err(RecvError::WouldBlock) => None,
        received => Some(received.unwrap()),
    }
}

/// Over tcp: what a killed peer leaves of an ipc endpoint is in the way of the next one.
const PLACES: [Place; 2] = [(Transport::Tcp, Binds::We), (Transport::Tcp, Binds::They)];

/// So many peers in each place, one after the other. With eight patterns and two places that is 112 restarts.
const LIVES: u64 = 8;

/// What their names begin with.
const LIFE: &str = "life ";

/// More than the queues and the kernel hold.
const MANY: u64 = 20_000;

const REQUESTS: u64 = 200;
