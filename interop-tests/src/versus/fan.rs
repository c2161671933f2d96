//! What each side does in the workloads with several sockets on one side, the same for every
//! implementation: fan-out, fan-in, and requests to a router.
//!
//! Each socket that receives has a thread of its own, except the dealers, which one thread serves in turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::conductor::{Note, Order, Port};
use super::side::{Implementation, Pull, Push, await_endpoint, await_stop, cpu_ns, nanoseconds, pin};
use super::stamp::{self, HELLO};
use super::task::{Role, Task, Workload};

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
    type Subscriber: Pull + Send;
    type Router: Router;
    type Dealer: Push + Pull;

    /// Binds a publisher that waits for room; returns the endpoint to connect to.
    fn bind_publisher(&self) -> Result<(Self::Publisher, String)>;
    /// Connects a subscriber that takes these topics, or everything without any.
    fn connect_subscriber(&self, endpoint: &str, topics: &[Topic]) -> Result<Self::Subscriber>;
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
        (Role::Bind, Workload::Pub | Workload::Topics) => publish(&implementation, task),
        (Role::Connect, Workload::Pub | Workload::Topics) => subscribe(&implementation, task, &port),
        (Role::Bind, Workload::Fanin) => gather(&implementation, task, &port),
        (Role::Connect, Workload::Fanin) => push_all(&implementation, task, &port),
        (Role::Bind, Workload::Route) => echo(&implementation, task, &port),
        (Role::Connect, Workload::Route) => request(&implementation, task, &port),
        (Role::Both, _) | (_, Workload::Thr | Workload::Lat) => bail!("not a workload of several sockets"),
    }
}

fn publish<I: FanImplementation>(implementation: &I, task: &Task) -> Result<()> {
    let port = Port::Standard;
    let (mut publisher, endpoint) = implementation.bind_publisher()?;
    port.say(Note::Bound(endpoint))?;
    let is_over = AtomicBool::new(false);
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
            thread::yield_now();
        }
        let order = go.join().map_err(|_| anyhow!("the listener panicked"))??;
        ensure!(order == Order::Go, "told to stop before the start");
        anyhow::Ok(())
    })?;
    let cpu_before = cpu_ns()?;
    for sequence in 0..task.messages {
        publisher.publish(topic_of(task, sequence), sequence)?;
    }
    await_stop(&port)?;
    port.say(Note::Pushed { cpu_ns: cpu_ns()? - cpu_before })
}

fn subscribe<I: FanImplementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let endpoint = await_endpoint(port)?;
    let subscribers = (0..u64::from(task.case.fan))
        .map(|subscriber| implementation.connect_subscriber(&endpoint, &topics_of(task, subscriber)));
    let mut subscribers = subscribers.collect::<Result<Vec<_>>>()?;
    for subscriber in &mut subscribers {
        stamp::check(subscriber.pull()?, HELLO)?;
    }
    let cpu_before = cpu_ns()?;
    port.say(Note::Ready)?;
    let outcomes: Vec<Result<Received>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(&mut subscribers)
            .map(|(number, subscriber)| scope.spawn(move || take_all(subscriber, task, number)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a subscriber panicked"))?)
            .collect()
    });
    let received = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    let first = received.iter().map(|it| it.first).min().context("no subscriber")?;
    let last = received.iter().map(|it| it.last).max().context("no subscriber")?;
    let messages = received.iter().map(|it| it.messages).sum::<u64>() - 1;
    let cpu_ns = cpu_ns()? - cpu_before;
    port.say(Note::Pulled { messages, elapsed_ns: nanoseconds(last - first), cpu_ns })?;
    await_stop(port)
}

/// What one subscriber had.
struct Received {
    first: Instant,
    last: Instant,
    messages: u64,
}

/// Receives all that `subscriber` is to have; fails at the first message that is lost or out of order.
fn take_all<P: Pull>(subscriber: &mut P, task: &Task, number: u64) -> Result<Received> {
    let mut expected = (0..task.messages)
        .filter(|&sequence| task.case.workload == Workload::Pub || is_taken(topic_number(sequence), number));
    let next = expected.next().context("a subscriber without messages")?;
    let mut found = HELLO;
    while found == HELLO {
        found = subscriber.pull()?;
    }
    stamp::check(found, next)?;
    let first = Instant::now();
    let mut messages = 1;
    for next in expected {
        stamp::check(subscriber.pull()?, next)?;
        messages += 1;
    }
    Ok(Received { first, last: Instant::now(), messages })
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
fn topics_of(task: &Task, subscriber: u64) -> Vec<Topic> {
    match task.case.workload {
        Workload::Topics => (0..TOPICS).filter(|&number| is_taken(number, subscriber)).map(topic).collect(),
        _ => Vec::new(),
    }
}

/// The topic that `subscriber` subscribes to last.
fn last_topic(task: &Task, subscriber: u64) -> Option<Topic> {
    topics_of(task, subscriber).pop()
}

/// Subscribers take neighbouring topics, from the start again when there are more than enough of them.
fn is_taken(topic: u64, subscriber: u64) -> bool {
    topic / TOPICS_TAKEN == subscriber % (TOPICS / TOPICS_TAKEN)
}

fn topic(number: u64) -> Topic {
    let mut topic = *b"topic000";
    for (place, octet) in [100, 10, 1].into_iter().zip(topic.iter_mut().skip(5)) {
        *octet += u8::try_from(number / place % 10).unwrap_or_default();
    }
    topic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_its_turn_and_a_name_of_its_own() {
        let mut numbers: Vec<u64> = (0..TOPICS).map(topic_number).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..TOPICS));
        assert_eq!((topic(0), topic(7), topic(999)), (*b"topic000", *b"topic007", *b"topic999"));
    }

    #[test]
    fn a_subscriber_takes_ten_topics_of_its_own() {
        for subscriber in [0, 1, 63, 99] {
            let taken: Vec<u64> = (0..TOPICS).filter(|&topic| is_taken(topic, subscriber)).collect();
            assert!(taken.into_iter().eq(subscriber * 10..subscriber * 10 + 10));
        }
    }
}
