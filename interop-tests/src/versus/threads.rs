//! What each side of `threads` does: as `thr`, several times at once, each socket on a thread of its own.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::conductor::{Note, Order, Port};
use super::side::{Implementation, Pull, Push, await_endpoint, await_stop, cpu_ns, nanoseconds, pin};
use super::stamp::{self, HELLO};
use super::task::{Role, Task};

/// Plays the side that `task` describes.
pub(crate) fn play<I: Implementation>(task: &Task) -> Result<()> {
    pin(task, task.role)?;
    let implementation = I::new(task)?;
    match task.role {
        Role::Bind => receive_all(&implementation, task, &Port::Standard),
        Role::Connect => send_all(&implementation, task, &Port::Standard),
        Role::Both => bail!("a side has one role"),
    }
}

fn receive_all<I: Implementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let pulls = (0..task.case.fan).map(|_| implementation.bind_pull());
    let (pulls, endpoints): (Vec<_>, Vec<_>) = pulls.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    port.say(Note::Bound(endpoints.join(" ")))?;
    let connected = Barrier::new(pulls.len() + 1);
    let (cpu_before, spans) = thread::scope(|scope| {
        let threads: Vec<_> =
            pulls.into_iter().map(|pull| scope.spawn(|| receive(pull, task, &connected))).collect();
        connected.wait();
        let cpu_before = cpu_ns()?;
        port.say(Note::Ready)?;
        let spans = threads.into_iter().map(|it| it.join().map_err(|_| anyhow!("a receiver panicked"))?);
        anyhow::Ok((cpu_before, spans.collect::<Result<Vec<_>>>()?))
    })?;
    let first = spans.iter().map(|&(first, _)| first).min().context("no sockets")?;
    let last = spans.iter().map(|&(_, last)| last).max().context("no sockets")?;
    let messages = task.messages * u64::from(task.case.fan) - 1;
    let cpu_ns = cpu_ns()? - cpu_before;
    port.say(Note::Pulled { messages, elapsed_ns: nanoseconds(last - first), cpu_ns })?;
    await_stop(port)
}

/// Returns when the first and the last message came.
fn receive<P: Pull>(mut pull: P, task: &Task, connected: &Barrier) -> Result<(Instant, Instant)> {
    // A barrier that one of them never reaches would hold the others for ever: it fails behind it.
    let hello = pull.pull().and_then(|found| stamp::check(found, HELLO));
    connected.wait();
    hello?;
    stamp::check(pull.pull()?, 0)?;
    let first = Instant::now();
    for expected in 1..task.messages {
        stamp::check(pull.pull()?, expected)?;
    }
    Ok((first, Instant::now()))
}

fn send_all<I: Implementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let endpoints = await_endpoint(port)?;
    let mut pushes = endpoints
        .split(' ')
        .map(|endpoint| implementation.connect_push(endpoint))
        .collect::<Result<Vec<_>>>()?;
    for push in &mut pushes {
        push.push(HELLO)?;
        push.flush()?;
    }
    ensure!(port.hear()? == Order::Go, "told to stop before the start");
    let cpu_before = cpu_ns()?;
    // The sockets outlive their threads: what is queued is sent until all has arrived.
    let pushes = thread::scope(|scope| {
        let threads: Vec<_> = pushes.into_iter().map(|push| scope.spawn(|| send(push, task))).collect();
        let pushes = threads.into_iter().map(|it| it.join().map_err(|_| anyhow!("a sender panicked"))?);
        pushes.collect::<Result<Vec<_>>>()
    })?;
    await_stop(port)?;
    drop(pushes);
    port.say(Note::Pushed { cpu_ns: cpu_ns()? - cpu_before })
}

fn send<P: Push>(mut push: P, task: &Task) -> Result<P> {
    for sequence in 0..task.messages {
        push.push(sequence)?;
    }
    push.flush()?;
    Ok(push)
}
