//! What each side of `stalled` does: one publisher that sends little, and subscribers of which one stops receiving.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::conductor::{Note, Order, Port};
use super::fan::{self, FanImplementation, Publisher, topic};
use super::sample::Times;
use super::side::{await_endpoint, await_stop, cpu_ns, shared_clock_ns};
use super::stamp::HELLO;
use super::task::Task;

/// How far apart the messages are.
pub(crate) const PAUSE: Duration = Duration::from_millis(1);

/// How long nothing is sent before them.
const SETTLE: Duration = Duration::from_millis(200);

/// What a subscriber that has stopped is sent: so many times so many messages, which no queues hold.
const FLOODS: u64 = 40;
const FLOOD_MESSAGES: u64 = 1_000;

/// What all subscribers take, and what only the one takes that stops.
const SLOW_TOPIC: u64 = 1;
const FLOOD_TOPIC: u64 = 0;

/// The topics that a subscriber takes. The last one is what the publisher says hello with: all of them have it.
pub(crate) fn topics_of(subscriber: u64) -> Vec<u64> {
    if subscriber == 0 { vec![FLOOD_TOPIC, SLOW_TOPIC] } else { vec![SLOW_TOPIC] }
}

/// What comes behind the hello.
pub(crate) fn publish<P: Publisher>(publisher: &mut P, task: &Task, port: &Port) -> Result<()> {
    publish_slowly(publisher, task)?;
    ensure!(port.hear()? == Order::Go, "told to stop before all was sent");
    flood(publisher)?;
    publish_slowly(publisher, task)?;
    await_stop(port)
}

/// One message after the other, each with the time at which it is sent; what was sent before has arrived by then.
fn publish_slowly<P: Publisher>(publisher: &mut P, task: &Task) -> Result<()> {
    thread::sleep(SETTLE);
    for _ in 0..task.messages {
        thread::sleep(PAUSE);
        publisher.publish(Some(topic(SLOW_TOPIC)), shared_clock_ns()?)?;
    }
    Ok(())
}

/// Fills all queues to the subscriber that has stopped, with what the others have not subscribed to.
fn flood<P: Publisher>(publisher: &mut P) -> Result<()> {
    for _ in 0..FLOODS {
        for _ in 0..FLOOD_MESSAGES {
            publisher.publish(Some(topic(FLOOD_TOPIC)), HELLO)?;
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Measures how long messages take to all subscribers but the first, which stops receiving in between.
pub(crate) fn subscribe<I: FanImplementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let endpoint = await_endpoint(port)?;
    let subscribers = (0..u64::from(task.case.fan))
        .map(|subscriber| implementation.connect_subscriber(&endpoint, &fan::topics_of(task, subscriber)));
    let mut subscribers = subscribers.collect::<Result<Vec<_>>>()?;
    fan::hear_hello(implementation, &mut subscribers, port)?;
    measure_deliveries(implementation, &mut subscribers, 1, task, port)?;
    let Some((_stopped, others)) = subscribers.split_first_mut() else { bail!("no subscribers") };
    measure_deliveries(implementation, others, 0, task, port)?;
    await_stop(port)
}

/// Receives until every subscriber has had as many messages as are sent; those of the first ones are not counted.
fn measure_deliveries<I: FanImplementation>(
    implementation: &I,
    subscribers: &mut [I::Subscriber],
    uncounted: usize,
    task: &Task,
    port: &Port,
) -> Result<()> {
    let each = usize::try_from(task.messages)?;
    let mut times = Vec::with_capacity(subscribers.len() * each);
    let mut left = subscribers.len() * each;
    let mut received = vec![0; subscribers.len()];
    let cpu_before = cpu_ns()?;
    fan::receive(implementation, subscribers, |at, sent| {
        if sent == HELLO {
            return Ok(true);
        }
        let received = received.get_mut(at).context("a message of nobody")?;
        *received += 1;
        ensure!(*received <= each, "a message came twice");
        left -= 1;
        if at >= uncounted {
            times.push(shared_clock_ns()?.saturating_sub(sent));
        }
        Ok(left > 0)
    })?;
    let messages = times.len() as u64;
    let times = Times::of(times).context("nobody received anything")?;
    port.say(Note::Pinged { times, messages, cpu_ns: cpu_ns()? - cpu_before })
}
