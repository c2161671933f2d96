//! What each side of a run does, the same for every implementation.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use core_affinity::CoreId;
use nix::sys::prctl;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

use super::conductor::{Conductor, Note, Order, Outlet, Port};
use super::libzmq_peer::Libzmq;
use super::peermq_peer::Peermq;
use super::raw_peer::Raw;
use super::sample::Times;
use super::stamp::{self, HELLO};
use super::task::{Peer, Role, Task};
use super::workload::Workload;
use super::{connections, fan, threads};

/// No run lasts longer, start and end included.
pub(crate) const RUN_DEADLINE: Duration = Duration::from_secs(60);

/// How far apart the messages of `oneway` are: longer than anything that a library might wait for more.
pub const ONE_WAY_PAUSE: Duration = Duration::from_millis(10);

/// An implementation under measurement. One value serves one process: `inproc` sides share it.
pub(crate) trait Implementation: Sized + Sync {
    type Push: Push + Send;
    type Pull: Pull + Send;
    type Pair: Pair;

    /// Prepares what the sockets of a process share. Opens nothing yet.
    fn new(task: &Task) -> Result<Self>;
    /// Binds the receiver to the task's address; returns the endpoint to connect to.
    fn bind_pull(&self) -> Result<(Self::Pull, String)>;
    /// Connects the sender.
    fn connect_push(&self, endpoint: &str) -> Result<Self::Push>;
    /// Binds the side that echoes; returns the endpoint to connect to, or two with a space in between.
    fn bind_pair(&self) -> Result<(Self::Pair, String)>;
    /// Connects the side that asks.
    fn connect_pair(&self, endpoint: &str) -> Result<Self::Pair>;
}

/// The sender of `thr`.
pub(crate) trait Push {
    /// Sends a message of the task's size that starts with `sequence`.
    fn push(&mut self, sequence: u64) -> Result<()>;

    /// Sends what is still held back. Only plain sockets hold anything back.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The receiver of `thr`.
pub(crate) trait Pull {
    /// Receives a message, checks its size and returns its sequence number.
    fn pull(&mut self) -> Result<u64>;
}

/// Either side of `lat`.
pub(crate) trait Pair {
    /// Receives a message and sends it back.
    fn echo(&mut self) -> Result<()>;
    /// Sends a message that starts with `sequence` and returns what the one that comes back starts with.
    fn round_trip(&mut self, sequence: u64) -> Result<u64>;
}

/// Plays the side that `text` describes (a [`Task`] as JSON), led by the parent process.
pub(crate) fn main(text: &str) -> Result<()> {
    end_with_parent()?;
    let task: Task = serde_json::from_str(text).context("not a task")?;
    raise_descriptor_limit()?;
    let outcome = match (task.case.workload, task.peer) {
        (_, Peer::Omq | Peer::Monocoque | Peer::Rzmq | Peer::ZmqRs) => bail!("not played by this program"),
        (Workload::Thr | Workload::Lat | Workload::Oneway, Peer::Peermq) => play_role::<Peermq>(&task),
        (Workload::Thr | Workload::Lat | Workload::Oneway, Peer::Libzmq) => play_role::<Libzmq>(&task),
        (Workload::Thr | Workload::Lat | Workload::Oneway, Peer::Raw) => play_role::<Raw>(&task),
        (Workload::Threads, Peer::Peermq) => threads::play::<Peermq>(&task),
        (Workload::Threads, Peer::Libzmq) => threads::play::<Libzmq>(&task),
        (Workload::Threads, Peer::Raw) => threads::play::<Raw>(&task),
        (Workload::Connections, Peer::Peermq) => connections::play::<Peermq>(&task),
        (Workload::Connections, Peer::Libzmq) => connections::play::<Libzmq>(&task),
        (Workload::Connections, Peer::Raw) => connections::play::<Raw>(&task),
        (_, Peer::Peermq) => fan::play::<Peermq>(&task),
        (_, Peer::Libzmq) => fan::play::<Libzmq>(&task),
        (_, Peer::Raw) => bail!("plain sockets have no patterns"),
    };
    // The parent reports a failure: this process only tells it.
    if let Err(error) = outcome {
        Port::Standard.say(Note::Failed(format!("{error:#}")))?;
        std::process::exit(1);
    }
    Ok(())
}

fn play_role<I: Implementation>(task: &Task) -> Result<()> {
    if task.role == Role::Both {
        return play_both::<I>(task);
    }
    pin(task, task.role)?;
    let implementation = I::new(task)?;
    play(&implementation, task, task.role, &Port::Standard)
}

/// Both sides as threads, for `inproc`.
fn play_both<I: Implementation>(task: &Task) -> Result<()> {
    let implementation = I::new(task)?;
    let (say, notes) = mpsc::channel();
    let (tell_binder, binder_orders) = mpsc::channel();
    let (tell_connecter, connecter_orders) = mpsc::channel();
    let mut conductor = Conductor {
        notes,
        binder: Outlet::Channel(tell_binder),
        connecter: Outlet::Channel(tell_connecter),
        deadline: Instant::now() + RUN_DEADLINE,
    };
    let binder = Port::Channel(Role::Bind, say.clone(), binder_orders);
    let connecter = Port::Channel(Role::Connect, say, connecter_orders);
    thread::scope(|scope| {
        for (role, port) in [(Role::Bind, binder), (Role::Connect, connecter)] {
            let implementation = &implementation;
            scope.spawn(move || {
                let outcome = pin(task, role).and_then(|()| play(implementation, task, role, &port));
                if let Err(error) = outcome {
                    // Without a conductor nobody is left to tell.
                    let _ = port.say(Note::Failed(format!("{error:#}")));
                }
            });
        }
        match conductor.lead(task.case.workload, true) {
            Ok(sample) => Port::Standard.say(Note::Measured(sample)),
            Err(error) => {
                Port::Standard.say(Note::Failed(format!("{error:#}")))?;
                // The scope would wait for a thread that may be blocked for ever.
                std::process::exit(1);
            }
        }
    })
}

/// Pins this thread, and so all that it starts.
///
/// # Errors
///
/// When the processor is not ours to use.
pub fn pin(task: &Task, role: Role) -> Result<()> {
    match task.core(role) {
        Some(id) => {
            let pinned = core_affinity::set_for_current(CoreId { id });
            ensure!(pinned, "CPU {id} is not ours to use: try --pin same or --pin none");
            Ok(())
        }
        None => Ok(()),
    }
}

fn play<I: Implementation>(implementation: &I, task: &Task, role: Role, port: &Port) -> Result<()> {
    match (role, task.case.workload) {
        (Role::Bind, Workload::Thr) => {
            let (mut pull, endpoint) = implementation.bind_pull()?;
            port.say(Note::Bound(endpoint))?;
            receive(&mut pull, task, port)?;
            await_stop(port)
        }
        (Role::Bind, Workload::Lat) => {
            let (mut pair, endpoint) = implementation.bind_pair()?;
            port.say(Note::Bound(endpoint))?;
            for _ in 0..task.warm_up {
                pair.echo()?;
            }
            let cpu_before = cpu_ns()?;
            for _ in 0..task.messages {
                pair.echo()?;
            }
            let cpu_ns = cpu_ns()? - cpu_before;
            await_stop(port)?;
            port.say(Note::Pushed { cpu_ns })
        }
        (Role::Bind, Workload::Oneway) => {
            let (mut pull, endpoint) = implementation.bind_pull()?;
            port.say(Note::Bound(endpoint))?;
            receive_one_way(&mut pull, task, port)?;
            await_stop(port)
        }
        (Role::Connect, Workload::Thr) => {
            let mut push = implementation.connect_push(&await_endpoint(port)?)?;
            send(&mut push, task, port)
        }
        (Role::Connect, Workload::Lat) => {
            let mut pair = implementation.connect_pair(&await_endpoint(port)?)?;
            measure_round_trips(&mut pair, task, port)?;
            await_stop(port)
        }
        (Role::Connect, Workload::Oneway) => {
            let mut push = implementation.connect_push(&await_endpoint(port)?)?;
            send_one_way(&mut push, task, port)
        }
        (Role::Both, _) => bail!("a port has one role"),
        (Role::Bind | Role::Connect, _) => bail!("not a workload of two sockets"),
    }
}

fn receive<P: Pull>(pull: &mut P, task: &Task, port: &Port) -> Result<()> {
    stamp::check(pull.pull()?, HELLO)?;
    let cpu_before = cpu_ns()?;
    port.say(Note::Ready)?;
    stamp::check(pull.pull()?, 0)?;
    let first = Instant::now();
    for expected in 1..task.messages {
        stamp::check(pull.pull()?, expected)?;
    }
    let elapsed_ns = nanoseconds(first.elapsed());
    let cpu_ns = cpu_ns()? - cpu_before;
    port.say(Note::Pulled { messages: task.messages - 1, elapsed_ns, cpu_ns })
}

fn send<P: Push>(push: &mut P, task: &Task, port: &Port) -> Result<()> {
    push.push(HELLO)?;
    push.flush()?;
    ensure!(port.hear()? == Order::Go, "told to stop before the start");
    let cpu_before = cpu_ns()?;
    for sequence in 0..task.messages {
        push.push(sequence)?;
    }
    push.flush()?;
    await_stop(port)?;
    port.say(Note::Pushed { cpu_ns: cpu_ns()? - cpu_before })
}

fn measure_round_trips<P: Pair>(pair: &mut P, task: &Task, port: &Port) -> Result<()> {
    let size = task.case.size;
    for sequence in 0..task.warm_up {
        stamp::check(pair.round_trip(sequence)?, stamp::cut(sequence, size))?;
    }
    let mut times = Vec::with_capacity(usize::try_from(task.messages)?);
    let cpu_before = cpu_ns()?;
    for sequence in task.warm_up..task.warm_up + task.messages {
        let start = Instant::now();
        let returned = pair.round_trip(sequence)?;
        times.push(nanoseconds(start.elapsed()));
        stamp::check(returned, stamp::cut(sequence, size))?;
    }
    let cpu_ns = cpu_ns()? - cpu_before;
    let times = Times::of(times).context("no round trips")?;
    port.say(Note::Pinged { times, messages: task.messages, cpu_ns })
}

fn receive_one_way<P: Pull>(pull: &mut P, task: &Task, port: &Port) -> Result<()> {
    stamp::check(pull.pull()?, HELLO)?;
    port.say(Note::Ready)?;
    let mut times_ns = Vec::with_capacity(usize::try_from(task.messages)?);
    let cpu_before = cpu_ns()?;
    for expected in 0..task.messages {
        let found = pull.pull()?;
        times_ns.push(shared_clock_ns()?);
        stamp::check(found, expected)?;
    }
    port.say(Note::Clocked { times_ns, cpu_ns: cpu_ns()? - cpu_before })
}

fn send_one_way<P: Push>(push: &mut P, task: &Task, port: &Port) -> Result<()> {
    push.push(HELLO)?;
    push.flush()?;
    ensure!(port.hear()? == Order::Go, "told to stop before the start");
    let mut times_ns = Vec::with_capacity(usize::try_from(task.messages)?);
    let cpu_before = cpu_ns()?;
    for sequence in 0..task.messages {
        thread::sleep(ONE_WAY_PAUSE);
        times_ns.push(shared_clock_ns()?);
        push.push(sequence)?;
        push.flush()?;
    }
    await_stop(port)?;
    port.say(Note::Clocked { times_ns, cpu_ns: cpu_ns()? - cpu_before })
}

pub(crate) fn await_endpoint(port: &Port) -> Result<String> {
    match port.hear()? {
        Order::Connect(endpoint) => Ok(endpoint),
        Order::Go | Order::Stop => bail!("told to start before there is an endpoint"),
    }
}

pub(crate) fn await_stop(port: &Port) -> Result<()> {
    ensure!(port.hear()? == Order::Stop, "told to start twice");
    Ok(())
}

/// This process ends with the one that leads it, whatever it is waiting for.
///
/// # Errors
///
/// When the system has no such thing.
pub fn end_with_parent() -> Result<()> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// Many connections take many descriptors: as many as this process may have.
fn raise_descriptor_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// The clock that is the same in all processes.
///
/// # Errors
///
/// When there is no such clock.
pub fn shared_clock_ns() -> Result<u64> {
    Ok(u64::try_from(clock_gettime(ClockId::CLOCK_MONOTONIC)?.num_nanoseconds())?)
}

/// User and system time of this process so far.
///
/// # Errors
///
/// When the system does not tell.
pub fn cpu_ns() -> Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(u64::try_from((usage.user_time() + usage.system_time()).num_nanoseconds())?)
}

/// As many as there are, up to the largest number.
#[must_use]
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
