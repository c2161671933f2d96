//! What a side does, as `interop_tests::versus::side` has it, with sockets that are asynchronous.

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use interop_tests::versus::stamp::{self, HELLO};
use interop_tests::versus::{
    Bodies, Body, Note, ONE_WAY_PAUSE, Order, Port, Role, Task, Times, Workload, cpu_ns, nanoseconds,
    shared_clock_ns,
};

/// The type of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Push,
    Pull,
    Req,
    Rep,
}

/// One socket with one connection.
pub(crate) trait Socket: Sized {
    /// Runs a side, on the runtime that the implementation likes best.
    fn run(side: impl Future<Output = Result<()>>) -> Result<()>;
    /// Binds to the task's address; returns the endpoint to connect to.
    async fn bind(task: &Task, kind: Kind) -> Result<(Self, String)>;
    async fn connect(task: &Task, kind: Kind, endpoint: &str) -> Result<Self>;
    async fn send(&mut self, body: Body<'_>) -> Result<()>;
    async fn recv(&mut self) -> Result<Bytes>;

    /// Sends what is still held back.
    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

pub(crate) fn play<S: Socket>(task: &Task) -> Result<()> {
    S::run(async {
        match (task.role, task.case.workload) {
            (Role::Bind, Workload::Thr) => receive(bind::<S>(task, Kind::Pull).await?, task).await,
            (Role::Connect, Workload::Thr) => send(connect::<S>(task, Kind::Push).await?, task).await,
            (Role::Bind, Workload::Lat) => echo(bind::<S>(task, Kind::Rep).await?, task).await,
            (Role::Connect, Workload::Lat) => ask(connect::<S>(task, Kind::Req).await?, task).await,
            (Role::Bind, Workload::Oneway) => receive_one_way(bind::<S>(task, Kind::Pull).await?, task).await,
            (Role::Connect, Workload::Oneway) => {
                send_one_way(connect::<S>(task, Kind::Push).await?, task).await
            }
            (Role::Bind | Role::Connect | Role::Both, _) => bail!("not played by rivals"),
        }
    })
}

async fn bind<S: Socket>(task: &Task, kind: Kind) -> Result<S> {
    let (socket, endpoint) = S::bind(task, kind).await?;
    Port::Standard.say(Note::Bound(endpoint))?;
    Ok(socket)
}

async fn connect<S: Socket>(task: &Task, kind: Kind) -> Result<S> {
    let Order::Connect(endpoint) = Port::Standard.hear()? else { bail!("told to start without an endpoint") };
    S::connect(task, kind, &endpoint).await
}

async fn receive<S: Socket>(mut pull: S, task: &Task) -> Result<()> {
    take(&mut pull, task, HELLO).await?;
    let cpu_before = cpu_ns()?;
    Port::Standard.say(Note::Ready)?;
    take(&mut pull, task, 0).await?;
    let first = Instant::now();
    for expected in 1..task.messages {
        take(&mut pull, task, expected).await?;
    }
    let elapsed_ns = nanoseconds(first.elapsed());
    let cpu_ns = cpu_ns()? - cpu_before;
    Port::Standard.say(Note::Pulled { messages: task.messages - 1, elapsed_ns, cpu_ns })?;
    await_order(&Order::Stop)
}

async fn send<S: Socket>(mut push: S, task: &Task) -> Result<()> {
    let mut bodies = Bodies::new(task.case.size);
    push.send(bodies.next(HELLO)).await?;
    push.flush().await?;
    await_order(&Order::Go)?;
    let cpu_before = cpu_ns()?;
    for sequence in 0..task.messages {
        push.send(bodies.next(sequence)).await?;
    }
    push.flush().await?;
    await_order(&Order::Stop)?;
    Port::Standard.say(Note::Pushed { cpu_ns: cpu_ns()? - cpu_before })
}

async fn echo<S: Socket>(mut rep: S, task: &Task) -> Result<()> {
    let mut cpu_before = 0;
    for number in 0..task.warm_up + task.messages {
        if number == task.warm_up {
            cpu_before = cpu_ns()?;
        }
        let request = rep.recv().await?;
        stamp::read(&request, task.case.size)?;
        rep.send(Body::Shared(request)).await?;
    }
    let cpu_ns = cpu_ns()? - cpu_before;
    await_order(&Order::Stop)?;
    Port::Standard.say(Note::Pushed { cpu_ns })
}

async fn ask<S: Socket>(mut req: S, task: &Task) -> Result<()> {
    let size = task.case.size;
    let mut bodies = Bodies::new(size);
    let (mut times, mut cpu_before) = (Vec::with_capacity(usize::try_from(task.messages)?), 0);
    for sequence in 0..task.warm_up + task.messages {
        if sequence == task.warm_up {
            times.clear();
            cpu_before = cpu_ns()?;
        }
        let start = Instant::now();
        req.send(bodies.next(sequence)).await?;
        let reply = req.recv().await?;
        times.push(nanoseconds(start.elapsed()));
        stamp::check(stamp::read(&reply, size)?, stamp::cut(sequence, size))?;
    }
    let cpu_ns = cpu_ns()? - cpu_before;
    let times = Times::of(times).context("no round trips")?;
    Port::Standard.say(Note::Pinged { times, messages: task.messages, cpu_ns })?;
    await_order(&Order::Stop)
}

async fn receive_one_way<S: Socket>(mut pull: S, task: &Task) -> Result<()> {
    take(&mut pull, task, HELLO).await?;
    Port::Standard.say(Note::Ready)?;
    let mut times_ns = Vec::with_capacity(usize::try_from(task.messages)?);
    let cpu_before = cpu_ns()?;
    for expected in 0..task.messages {
        let body = pull.recv().await?;
        times_ns.push(shared_clock_ns()?);
        stamp::check(stamp::read(&body, task.case.size)?, expected)?;
    }
    Port::Standard.say(Note::Clocked { times_ns, cpu_ns: cpu_ns()? - cpu_before })?;
    await_order(&Order::Stop)
}

async fn send_one_way<S: Socket>(mut push: S, task: &Task) -> Result<()> {
    let mut bodies = Bodies::new(task.case.size);
    push.send(bodies.next(HELLO)).await?;
    push.flush().await?;
    await_order(&Order::Go)?;
    let mut times_ns = Vec::with_capacity(usize::try_from(task.messages)?);
    let cpu_before = cpu_ns()?;
    for sequence in 0..task.messages {
        tokio::time::sleep(ONE_WAY_PAUSE).await;
        times_ns.push(shared_clock_ns()?);
        push.send(bodies.next(sequence)).await?;
        push.flush().await?;
    }
    await_order(&Order::Stop)?;
    Port::Standard.say(Note::Clocked { times_ns, cpu_ns: cpu_ns()? - cpu_before })
}

#[inline]
async fn take<S: Socket>(pull: &mut S, task: &Task, expected: u64) -> Result<()> {
    let body = pull.recv().await?;
    stamp::check(stamp::read(&body, task.case.size)?, expected)
}

/// Blocks the thread: what goes on in the background goes on in others, or has nothing to do.
fn await_order(expected: &Order) -> Result<()> {
    let order = Port::Standard.hear()?;
    ensure!(order == *expected, "told {order:?} instead of {expected:?}");
    Ok(())
}

/// A body that is kept, a copy if need be.
pub(crate) fn into_bytes(body: Body<'_>) -> Bytes {
    match body {
        Body::Copied(body) => Bytes::copy_from_slice(body),
        Body::Shared(body) => body,
    }
}
