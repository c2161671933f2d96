//! Keeps the two sides of a run in step, whether they are processes or threads.
//!
//! A side says [`Note`]s and waits for [`Order`]s through its [`Port`]. The [`Conductor`] has the
//! other end. Nothing is said while messages are timed.

use std::io::{BufRead, Write, stdin, stdout};
use std::process::ChildStdin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::task::{Role, Sample, Workload};

/// What a side says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Note {
    /// The binding side listens here.
    Bound(String),
    /// The first message came through: the connection stands.
    Ready,
    /// The receiver has everything. `messages` came after the first, in `elapsed_ns`.
    Pulled { messages: u64, elapsed_ns: u64, cpu_ns: u64 },
    /// The sender's cost, everything included until the receiver had all.
    Pushed { cpu_ns: u64 },
    /// Round-trip times.
    Pinged { p50_ns: u64, p99_ns: u64 },
    /// A whole run, from a process that played both sides.
    Measured(Sample),
    /// The side gave up, and why.
    Failed(String),
    /// The side's process ended.
    Gone,
}

/// What a side is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Connect to this endpoint.
    Connect(String),
    /// Send: the clock runs from the first message that arrives.
    Go,
    /// All has arrived.
    Stop,
}

/// A side's end of the line.
#[derive(Debug)]
pub(crate) enum Port {
    /// A process: standard input and output, one JSON value per line.
    Standard,
    /// A thread.
    Channel(Role, Sender<(Role, Note)>, Receiver<Order>),
}

impl Port {
    /// Says `note` to the conductor.
    pub(crate) fn say(&self, note: Note) -> Result<()> {
        match self {
            Self::Standard => {
                let mut out = stdout().lock();
                writeln!(out, "{}", serde_json::to_string(&note)?)?;
                out.flush()?;
                Ok(())
            }
            Self::Channel(role, notes, _) => notes.send((*role, note)).context("the conductor is gone"),
        }
    }

    /// Waits for the next order.
    pub(crate) fn hear(&self) -> Result<Order> {
        match self {
            Self::Standard => {
                let mut line = String::new();
                stdin().lock().read_line(&mut line)?;
                serde_json::from_str(&line).context("no order from the conductor")
            }
            Self::Channel(_, _, orders) => orders.recv().context("the conductor is gone"),
        }
    }
}

/// Where orders for a side go in.
#[derive(Debug)]
pub(crate) enum Outlet {
    /// To a process.
    Pipe(ChildStdin),
    /// To a thread.
    Channel(Sender<Order>),
}

impl Outlet {
    fn tell(&mut self, order: Order) -> Result<()> {
        match self {
            Self::Pipe(pipe) => Ok(writeln!(pipe, "{}", serde_json::to_string(&order)?)?),
            Self::Channel(orders) => orders.send(order).context("the side is gone"),
        }
    }
}

/// Leads both sides through one run.
#[derive(Debug)]
pub(crate) struct Conductor {
    /// What both sides say.
    pub(crate) notes: Receiver<(Role, Note)>,
    /// To the binding side.
    pub(crate) binder: Outlet,
    /// To the connecting side.
    pub(crate) connecter: Outlet,
    /// No run lasts longer.
    pub(crate) deadline: Instant,
}

impl Conductor {
    /// Runs both sides to the end. `one_process`: each side's CPU time is the time of both.
    pub(crate) fn lead(&mut self, workload: Workload, one_process: bool) -> Result<Sample> {
        let Note::Bound(endpoint) = self.hear(Role::Bind)? else { return Err(out_of_step()) };
        self.connecter.tell(Order::Connect(endpoint))?;
        match workload {
            Workload::Thr | Workload::Fanin => self.lead_throughput(one_process),
            Workload::Pub | Workload::Topics => self.lead_fan_out(),
            Workload::Route => self.lead_routing(),
            Workload::Lat => self.lead_round_trips(),
        }
    }

    fn lead_throughput(&mut self, one_process: bool) -> Result<Sample> {
        let Note::Ready = self.hear(Role::Bind)? else { return Err(out_of_step()) };
        self.connecter.tell(Order::Go)?;
        let Note::Pulled { messages, elapsed_ns, cpu_ns } = self.hear(Role::Bind)? else {
            return Err(out_of_step());
        };
        self.connecter.tell(Order::Stop)?;
        let Note::Pushed { cpu_ns: sender_cpu_ns } = self.hear(Role::Connect)? else {
            return Err(out_of_step());
        };
        self.binder.tell(Order::Stop)?;
        let cpu_ns = if one_process { cpu_ns } else { cpu_ns + sender_cpu_ns };
        Ok(throughput(messages, elapsed_ns, cpu_ns))
    }

    /// As throughput, but it is the connecting side that receives.
    fn lead_fan_out(&mut self) -> Result<Sample> {
        let Note::Ready = self.hear(Role::Connect)? else { return Err(out_of_step()) };
        self.binder.tell(Order::Go)?;
        let Note::Pulled { messages, elapsed_ns, cpu_ns } = self.hear(Role::Connect)? else {
            return Err(out_of_step());
        };
        self.binder.tell(Order::Stop)?;
        let Note::Pushed { cpu_ns: sender_cpu_ns } = self.hear(Role::Bind)? else {
            return Err(out_of_step());
        };
        self.connecter.tell(Order::Stop)?;
        Ok(throughput(messages, elapsed_ns, cpu_ns + sender_cpu_ns))
    }

    fn lead_routing(&mut self) -> Result<Sample> {
        let Note::Pulled { messages, elapsed_ns, cpu_ns } = self.hear(Role::Connect)? else {
            return Err(out_of_step());
        };
        self.binder.tell(Order::Stop)?;
        let Note::Pushed { cpu_ns: router_cpu_ns } = self.hear(Role::Bind)? else {
            return Err(out_of_step());
        };
        self.connecter.tell(Order::Stop)?;
        Ok(throughput(messages, elapsed_ns, cpu_ns + router_cpu_ns))
    }

    fn lead_round_trips(&mut self) -> Result<Sample> {
        let Note::Pinged { p50_ns, p99_ns } = self.hear(Role::Connect)? else { return Err(out_of_step()) };
        self.connecter.tell(Order::Stop)?;
        self.binder.tell(Order::Stop)?;
        Ok(Sample::Lat { p50_us: p50_ns as f64 / 1e3, p99_us: p99_ns as f64 / 1e3 })
    }

    fn hear(&self, from: Role) -> Result<Note> {
        let (role, note) = hear(&self.notes, self.deadline)?;
        if role == from { Ok(note) } else { bail!("{} said {note:?} out of turn", name(role)) }
    }
}

/// The next note of either side that is not the end of it.
pub(crate) fn hear(notes: &Receiver<(Role, Note)>, deadline: Instant) -> Result<(Role, Note)> {
    let left = deadline.saturating_duration_since(Instant::now());
    match notes.recv_timeout(left) {
        Ok((role, Note::Failed(reason))) => bail!("{} failed: {reason}", name(role)),
        Ok((role, Note::Gone)) => bail!("{} ended early", name(role)),
        Ok(heard) => Ok(heard),
        Err(RecvTimeoutError::Timeout) => bail!("not done before the deadline"),
        Err(RecvTimeoutError::Disconnected) => bail!("both sides ended early"),
    }
}

fn throughput(messages: u64, elapsed_ns: u64, cpu_ns: u64) -> Sample {
    Sample::Thr {
        msgs_per_s: messages as f64 * 1e9 / elapsed_ns as f64,
        cpu_ns_per_msg: cpu_ns as f64 / messages as f64,
    }
}

fn out_of_step() -> anyhow::Error {
    anyhow!("the sides are out of step")
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Bind => "the binding side",
        Role::Connect => "the connecting side",
        Role::Both => "the process",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn conductor() -> (Conductor, Sender<(Role, Note)>, Receiver<Order>) {
        let (say, notes) = mpsc::channel();
        let (binder, _) = mpsc::channel();
        let (connecter, orders) = mpsc::channel();
        let deadline = Instant::now() + Duration::from_secs(10);
        let (binder, connecter) = (Outlet::Channel(binder), Outlet::Channel(connecter));
        (Conductor { notes, binder, connecter, deadline }, say, orders)
    }

    #[test]
    fn the_cpu_time_of_two_processes_is_summed() {
        for (one_process, cpu) in [(false, 50.0), (true, 20.0)] {
            let (mut conductor, say, orders) = conductor();
            let (binder, _stop) = mpsc::channel();
            conductor.binder = Outlet::Channel(binder);
            say.send((Role::Bind, Note::Bound("here".to_owned()))).unwrap();
            say.send((Role::Bind, Note::Ready)).unwrap();
            let pulled = Note::Pulled { messages: 10, elapsed_ns: 1_000, cpu_ns: 200 };
            say.send((Role::Bind, pulled)).unwrap();
            say.send((Role::Connect, Note::Pushed { cpu_ns: 300 })).unwrap();
            let sample = conductor.lead(Workload::Thr, one_process).unwrap();
            assert_eq!(sample, Sample::Thr { msgs_per_s: 1e7, cpu_ns_per_msg: cpu });
            let orders: Vec<Order> = orders.try_iter().collect();
            assert_eq!(orders, [Order::Connect("here".to_owned()), Order::Go, Order::Stop]);
        }
    }

    #[test]
    fn a_side_that_fails_ends_the_run_with_its_reason() {
        let (mut conductor, say, _orders) = conductor();
        say.send((Role::Connect, Note::Failed("no".to_owned()))).unwrap();
        let error = conductor.lead(Workload::Lat, false).unwrap_err();
        assert_eq!(error.to_string(), "the connecting side failed: no");
    }
}
