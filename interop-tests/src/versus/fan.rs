//! What each side does in the workloads with several sockets on one side, the same for every
//! implementation: fan-out, fan-in, and requests to a router.
//!
//! One thread on each side serves all of its sockets, as one that waits for many would.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::conductor::{Note, Order, Port};
use super::side::{Implementation, Pull, Push, await_endpoint, await_stop, cpu_ns, nanoseconds, pin};
use super::stalled;
use super::stamp::{self, HELLO};
use super::task::{Role, Task};
use super::workload::Workload;

/// Topics of a publisher.
const TOPICS: u64 = 1_000;

/// Topics that one subscriber takes.
const TOPICS_TAKEN: u64 = 10;

/// How far apart the topics of two messages in a row are: every topic has its turn, in no order that an
/// index would have.
const TOPIC_STRIDE: u64 = 619;

/// Octets of a topic.
pub(crate) const TOPIC_OCTETS: usize = 8;

/// Requests that each dealer has in flight.
const IN_FLIGHT: u64 = 100;

/// Where a sender's number is in a stamp.
const SENDER_SHIFT: u32 = 48;

/// A topic as it goes in front of a message.
pub(crate) type Topic = [u8; TOPIC_OCTETS];

/// An implementation that has these patterns.
pub(crate) trait FanImplementation: Implementation {
    type Publisher: Publisher;
    type Subscriber: Subscriber;
    type Router: Router;
    type Dealer: Push + Pull;

    /// Binds a publisher that waits for room, but in `stalled`, where it drops; returns the endpoint to connect to.
    fn bind_publisher(&self) -> Result<(Self::Publisher, String)>;
    /// Connects a subscriber that takes these topics, or everything without any.
    fn connect_subscriber(&self, endpoint: &str, topics: &[Topic]) -> Result<Self::Subscriber>;
    /// Waits until one of them may have a message.
    fn wait(&self, subscribers: &mut [Self::Subscriber]) -> Result<()>;
    /// Binds a router; returns the endpoint to connect to.
    fn bind_router(&self) -> Result<(Self::Router, String)>;
    /// Connects a dealer.
    fn connect_dealer(&self, endpoint: &str) -> Result<Self::Dealer>;
}

/// The sender of `pub` and `topics`.
pub(crate) trait Publisher {
    /// Sends a message of the task's size: the topic, if there is one, and `sequence`.
    fn publish(&mut self, topic: Option<Topic>, sequence: u64) -> Result<()>;
}

/// A receiver of `pub` and `topics`.
pub(crate) trait Subscriber {
    /// Receives a message if one is there, and returns its sequence number.
    fn try_pull(&mut self) -> Result<Option<u64>>;
}

/// The side of `route` that echoes.
pub(crate) trait Router {
    /// Receives a message and sends it back to where it came from.
    fn echo(&mut self) -> Result<()>;
}

/// Plays the side that `task` describes.
pub(crate) fn play<I: FanImplementation>(task: &Task) -> Result<()> {
    pin(task, task.role)?;
    let implementation = I::new(task)?;
    let port = Port::Standard;
    match (task.role, task.case.workload) {
        (Role::Bind, Workload::Pub | Workload::Topics | Workload::Stalled) => publish(&implementation, task),
        (Role::Connect, Workload::Pub | Workload::Topics) => subscribe(&implementation, task, &port),
        (Role::Connect, Workload::Stalled) => stalled::subscribe(&implementation, task, &port),
        (Role::Bind, Workload::Fanin) => gather(&implementation, task, &port),
        (Role::Connect, Workload::Fanin) => push_all(&implementation, task, &port),
        (Role::Bind, Workload::Route) => echo(&implementation, task, &port),
        (Role::Connect, Workload::Route) => request(&implementation, task, &port),
        (Role::Bind | Role::Connect | Role::Both, _) => bail!("not a workload of several sockets"),
    }
}

fn publish<I: FanImplementation>(implementation: &I, task: &Task) -> Result<()> {
    let port = Port::Standard;
    let (mut publisher, endpoint) = implementation.bind_publisher()?;
    port.say(Note::Bound(endpoint))?;
    let is_over = AtomicBool::new(false);
    let is_slow = task.case.workload == Workload::Stalled;
    thread::scope(|scope| {
        let go = scope.spawn(|| {
            let order = Port::Standard.hear();
            is_over.store(true, Ordering::Relaxed);
            order
        });
        // Subscriptions come when they come: repeat until every subscriber has heard of us.
        while !is_over.load(Ordering::Relaxed) {
            for subscriber in 0..u64::from(task.case.fan) {
                publisher.publish(last_topic(task, subscriber), HELLO)?;
            }
            // With pauses where nothing waits for room: what is measured is not to stand behind it.
            if is_slow { thread::sleep(stalled::PAUSE) } else { thread::yield_now() }
        }
        let order = go.join().map_err(|_| anyhow!("the listener panicked"))??;
        ensure!(order == Order::Go, "told to stop before the start");
        anyhow::Ok(())
    })?;
    if is_slow {
        return stalled::publish(&mut publisher, task, &port);
    }
    let round: Vec<Option<Topic>> = (0..TOPICS).map(|sequence| topic_of(task, sequence)).collect();
    let mut topics = round.iter().cycle();
    let cpu_before = cpu_ns()?;
    for sequence in 0..task.messages {
        publisher.publish(topics.next().copied().flatten(), sequence)?;
    }
    await_stop(&port)?;
    port.say(Note::Pushed { cpu_ns: cpu_ns()? - cpu_before })
}

/// Waits until every subscriber has heard of the publisher.
pub(crate) fn hear_hello<I: FanImplementation>(
    implementation: &I,
    subscribers: &mut [I::Subscriber],
    port: &Port,
) -> Result<()> {
    let mut has_heard = vec![false; subscribers.len()];
    let mut unheard = subscribers.len();
    receive(implementation, subscribers, |at, found| {
        stamp::check(found, HELLO)?;
        let heard = has_heard.get_mut(at).context("a message of nobody")?;
        unheard -= usize::from(!std::mem::replace(heard, true));
        Ok(unheard > 0)
    })?;
    port.say(Note::Ready)
}

fn subscribe<I: FanImplementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let endpoint = await_endpoint(port)?;
    let subscribers = (0..u64::from(task.case.fan))
        .map(|subscriber| implementation.connect_subscriber(&endpoint, &topics_of(task, subscriber)));
    let mut subscribers = subscribers.collect::<Result<Vec<_>>>()?;
    let mut expected: Vec<_> =
        (0..u64::from(task.case.fan)).map(|number| Expected::new(task, number)).collect();
    hear_hello(implementation, &mut subscribers, port)?;
    let cpu_before = cpu_ns()?;
    let (mut first, mut messages, mut unfinished) = (None, 0, expected.len());
    receive(implementation, &mut subscribers, |at, found| {
        if found == HELLO {
            return Ok(true);
        }
        first.get_or_insert_with(Instant::now);
        let expected = expected.get_mut(at).context("a message of nobody")?;
        stamp::check(found, expected.next)?;
        messages += 1;
        unfinished -= usize::from(!expected.advance());
        Ok(unfinished > 0)
    })?;
    let elapsed_ns = nanoseconds(first.context("no message")?.elapsed());
    let cpu_ns = cpu_ns()? - cpu_before;
    port.say(Note::Pulled { messages: messages - 1, elapsed_ns, cpu_ns })?;
    await_stop(port)
}

/// Hands every message to `take` until that says `false`.
pub(crate) fn receive<I: FanImplementation>(
    implementation: &I,
    subscribers: &mut [I::Subscriber],
    mut take: impl FnMut(usize, u64) -> Result<bool>,
) -> Result<()> {
    loop {
        let mut is_idle = true;
        for (at, subscriber) in subscribers.iter_mut().enumerate() {
            while let Some(found) = subscriber.try_pull()? {
                is_idle = false;
                if !take(at, found)? {
                    return Ok(());
                }
            }
        }
        if is_idle {
            implementation.wait(subscribers)?;
        }
    }
}

/// What a subscriber is to have.
struct Expected {
    next: u64,
    /// One past the last message.
    end: u64,
    /// Which messages of each round through all topics it takes, in order; without topics: every one of one.
    of_round: Vec<u64>,
    round_length: u64,
    /// Where in `of_round` the next one is, and the first message of its round.
    at: usize,
    round: u64,
}

impl Expected {
    fn new(task: &Task, subscriber: u64) -> Self {
        let (of_round, round_length) = if task.case.workload == Workload::Topics {
            let taken = (0..TOPICS).filter(|&sequence| is_taken(topic_number(sequence), subscriber));
            (taken.collect(), TOPICS)
        } else {
            (vec![0], 1)
        };
        let next = of_round.first().copied().unwrap_or_default();
        Self { next, end: task.messages, of_round, round_length, at: 0, round: 0 }
    }

    /// Goes on to the next; `false`: that was the last.
    #[inline]
    fn advance(&mut self) -> bool {
        self.at += 1;
        if self.at == self.of_round.len() {
            self.at = 0;
            self.round += self.round_length;
        }
        self.next = self.round + self.of_round.get(self.at).copied().unwrap_or_default();
        self.next < self.end
    }
}

fn gather<I: Implementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let (mut pull, endpoint) = implementation.bind_pull()?;
    port.say(Note::Bound(endpoint))?;
    for _ in 0..task.case.fan {
        stamp::check(pull.pull()?, HELLO)?;
    }
    let cpu_before = cpu_ns()?;
    port.say(Note::Ready)?;
    let total = task.messages * u64::from(task.case.fan);
    let mut expected = vec![0; usize::try_from(task.case.fan)?];
    let mut first = Instant::now();
    for number in 0..total {
        let found = pull.pull()?;
        if number == 0 {
            first = Instant::now();
        }
        let sender = usize::try_from(found >> SENDER_SHIFT)?;
        let next = expected.get_mut(sender).context("a message of nobody")?;
        stamp::check(found & ((1 << SENDER_SHIFT) - 1), *next)?;
        *next += 1;
    }
    let elapsed_ns = nanoseconds(first.elapsed());
    port.say(Note::Pulled { messages: total - 1, elapsed_ns, cpu_ns: cpu_ns()? - cpu_before })?;
    await_stop(port)
}

fn push_all<I: Implementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let endpoint = await_endpoint(port)?;
    let pushes = (0..task.case.fan).map(|_| implementation.connect_push(&endpoint));
    let mut pushes = pushes.collect::<Result<Vec<_>>>()?;
    for push in &mut pushes {
        push.push(HELLO)?;
        push.flush()?;
    }
    ensure!(port.hear()? == Order::Go, "told to stop before the start");
    let cpu_before = cpu_ns()?;
    for sequence in 0..task.messages {
        for (sender, push) in (0..).zip(&mut pushes) {
            push.push((sender << SENDER_SHIFT) | sequence)?;
        }
    }
    await_stop(port)?;
    port.say(Note::Pushed { cpu_ns: cpu_ns()? - cpu_before })
}

fn echo<I: FanImplementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let (mut router, endpoint) = implementation.bind_router()?;
    port.say(Note::Bound(endpoint))?;
    for _ in 0..task.case.fan {
        router.echo()?;
    }
    let cpu_before = cpu_ns()?;
    for _ in 0..task.messages * u64::from(task.case.fan) {
        router.echo()?;
    }
    let cpu_ns = cpu_ns()? - cpu_before;
    await_stop(port)?;
    port.say(Note::Pushed { cpu_ns })
}

fn request<I: FanImplementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let endpoint = await_endpoint(port)?;
    let dealers = (0..task.case.fan).map(|_| implementation.connect_dealer(&endpoint));
    let mut dealers = dealers.collect::<Result<Vec<_>>>()?;
    for dealer in &mut dealers {
        dealer.push(HELLO)?;
        stamp::check(dealer.pull()?, HELLO)?;
    }
    let cpu_before = cpu_ns()?;
    let start = Instant::now();
    for sequence in 0..IN_FLIGHT.min(task.messages) {
        for dealer in &mut dealers {
            dealer.push(sequence)?;
        }
    }
    for sequence in 0..task.messages {
        for dealer in &mut dealers {
            stamp::check(dealer.pull()?, sequence)?;
            if sequence + IN_FLIGHT < task.messages {
                dealer.push(sequence + IN_FLIGHT)?;
            }
        }
    }
    let elapsed_ns = nanoseconds(start.elapsed());
    let messages = task.messages * u64::from(task.case.fan);
    port.say(Note::Pulled { messages, elapsed_ns, cpu_ns: cpu_ns()? - cpu_before })?;
    await_stop(port)
}

/// The topic of message `sequence`, where there are topics.
fn topic_of(task: &Task, sequence: u64) -> Option<Topic> {
    (task.case.workload == Workload::Topics).then(|| topic(topic_number(sequence)))
}

fn topic_number(sequence: u64) -> u64 {
    sequence * TOPIC_STRIDE % TOPICS
}

/// The topics that a subscriber takes.
pub(crate) fn topics_of(task: &Task, subscriber: u64) -> Vec<Topic> {
    let taken: Vec<u64> = match task.case.workload {
        Workload::Topics => (0..TOPICS).filter(|&number| is_taken(number, subscriber)).collect(),
        Workload::Stalled => stalled::topics_of(subscriber),
        Workload::Thr
        | Workload::Lat
        | Workload::Oneway
        | Workload::Pub
        | Workload::Fanin
        | Workload::Route
        | Workload::Threads
        | Workload::Connections => Vec::new(),
    };
    taken.into_iter().map(topic).collect()
}

/// The topic that `subscriber` subscribes to last.
fn last_topic(task: &Task, subscriber: u64) -> Option<Topic> {
    topics_of(task, subscriber).pop()
}

/// Subscribers take neighbouring topics, from the start again when there are more than enough of them.
fn is_taken(topic: u64, subscriber: u64) -> bool {
    topic / TOPICS_TAKEN == subscriber % (TOPICS / TOPICS_TAKEN)
}

pub(crate) fn topic(number: u64) -> Topic {
    let mut topic = *b"topic000";
    for (place, octet) in [100, 10, 1].into_iter().zip(topic.iter_mut().skip(5)) {
        *octet += u8::try_from(number / place % 10).unwrap_or_default();
    }
    topic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versus::task::{Case, Peer, Pin, Transport};

    #[test]
    fn every_topic_has_its_turn_and_a_name_of_its_own() {
        let mut numbers: Vec<u64> = (0..TOPICS).map(topic_number).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..TOPICS));
        assert_eq!((topic(0), topic(7), topic(999)), (*b"topic000", *b"topic007", *b"topic999"));
    }

    #[test]
    fn a_subscriber_expects_what_is_published_under_its_topics() {
        let case = Case {
            workload: Workload::Topics,
            transport: Transport::Tcp,
            ping_pong: None,
            size: 64,
            fan: 8,
            pin: Pin::None,
        };
        let task = Task {
            case,
            peer: Peer::Peermq,
            messages: 2_500,
            warm_up: 0,
            hwm: None,
            curve: false,
            role: Role::Connect,
            address: String::new(),
        };
        for subscriber in 0..8 {
            let mut expected = Expected::new(&task, subscriber);
            let mut found = vec![expected.next];
            while expected.advance() {
                found.push(expected.next);
            }
            let all = (0..2_500).filter(|&sequence| is_taken(topic_number(sequence), subscriber));
            assert!(found.into_iter().eq(all));
        }
    }

    #[test]
    fn a_subscriber_takes_ten_topics_of_its_own() {
        for subscriber in [0, 1, 63, 99] {
            let taken: Vec<u64> = (0..TOPICS).filter(|&topic| is_taken(topic, subscriber)).collect();
            assert!(taken.into_iter().eq(subscriber * 10..subscriber * 10 + 10));
        }
    }
}
