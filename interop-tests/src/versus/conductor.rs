//! Keeps the two sides of a run in step, whether they are processes or threads.
//!
//! A side says [`Note`]s and waits for [`Order`]s through its [`Port`]. The [`Conductor`] has the
//! other end. Nothing is said while messages are timed.

use std::io::{BufRead, Write, stdin, stdout};
use std::process::ChildStdin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::sample::{Sample, Times};
use super::task::Role;
use super::workload::Workload;

/// What a side says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Note {
    /// The binding side listens here.
    Bound(String),
    /// The first message came through: the connection stands.
    Ready,
    /// The receiver has everything.
    Pulled {
        /// Messages after the first.
        messages: u64,
        /// The time in which they came.
        elapsed_ns: u64,
        /// User and system time that they took.
        cpu_ns: u64,
    },
    /// The sender's, or the echoing side's, cost, everything included until the receiver had all.
    Pushed {
        /// User and system time.
        cpu_ns: u64,
    },
    /// Round trips, or times from sender to receiver.
    Pinged {
        /// How long they took.
        times: Times,
        /// How many there were.
        messages: u64,
        /// User and system time of this side.
        cpu_ns: u64,
    },
    /// When each message was sent or received, by the clock that all processes share.
    Clocked {
        /// In nanoseconds.
        times_ns: Vec<u64>,
        /// User and system time of this side.
        cpu_ns: u64,
    },
    /// What many connections cost that do nothing.
    Idle {
        /// Memory of each.
        octets_per_peer: f64,
        /// User and system time of all, in percent of one processor.
        cpu_percent: f64,
    },
    /// A whole run, from a process that played both sides.
    Measured(Sample),
    /// The side gave up, and why.
    Failed(String),
    /// The side's process ended.
    Gone,
}

/// What a side is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Connect to this endpoint.
    Connect(String),
    /// Send: the clock runs from the first message that arrives.
    Go,
    /// All has arrived.
    Stop,
}

/// A side's end of the line.
#[derive(Debug)]
pub enum Port {
    /// A process: standard input and output, one JSON value per line.
    Standard,
    /// A thread.
    Channel(Role, Sender<(Role, Note)>, Receiver<Order>),
}

impl Port {
    /// Says `note` to the conductor.
    ///
    /// # Errors
    ///
    /// When there is no conductor any more.
    pub fn say(&self, note: Note) -> Result<()> {
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
    ///
    /// # Errors
    ///
    /// When there is no conductor any more.
    pub fn hear(&self) -> Result<Order> {
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
    pub(crate) fn tell(&mut self, order: Order) -> Result<()> {
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
            Workload::Thr | Workload::Fanin | Workload::Threads => self.lead_throughput(one_process),
            Workload::Pub | Workload::Topics => self.lead_fan_out(),
            Workload::Route => self.lead_routing(),
            Workload::Lat => self.lead_round_trips(one_process),
            Workload::Oneway => self.lead_one_way(one_process),
            Workload::Stalled => self.lead_stalled(),
            Workload::Connections => bail!("its server is started twice"),
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

    fn lead_round_trips(&mut self, one_process: bool) -> Result<Sample> {
        let (times, messages, cpu_ns) = self.hear_times(Role::Connect)?;
        self.binder.tell(Order::Stop)?;
        let Note::Pushed { cpu_ns: echo_cpu_ns } = self.hear(Role::Bind)? else { return Err(out_of_step()) };
        self.connecter.tell(Order::Stop)?;
        let cpu_ns = if one_process { cpu_ns } else { cpu_ns + echo_cpu_ns };
        Ok(Sample::Lat { times, cpu_us: cpu_ns as f64 / 1e3 / messages as f64 })
    }

    fn lead_one_way(&mut self, one_process: bool) -> Result<Sample> {
        let Note::Ready = self.hear(Role::Bind)? else { return Err(out_of_step()) };
        self.connecter.tell(Order::Go)?;
        let Note::Clocked { times_ns: received, cpu_ns } = self.hear(Role::Bind)? else {
            return Err(out_of_step());
        };
        self.connecter.tell(Order::Stop)?;
        let Note::Clocked { times_ns: sent, cpu_ns: sender_cpu_ns } = self.hear(Role::Connect)? else {
            return Err(out_of_step());
        };
        self.binder.tell(Order::Stop)?;
        let cpu_ns = if one_process { cpu_ns } else { cpu_ns + sender_cpu_ns };
        let cpu_us = cpu_ns as f64 / 1e3 / sent.len() as f64;
        let times = received.iter().zip(sent).map(|(received, sent)| received.saturating_sub(sent)).collect();
        Ok(Sample::Lat { times: Times::of(times).context("no messages")?, cpu_us })
    }

    fn lead_stalled(&mut self) -> Result<Sample> {
        let Note::Ready = self.hear(Role::Connect)? else { return Err(out_of_step()) };
        self.binder.tell(Order::Go)?;
        let (before, ..) = self.hear_times(Role::Connect)?;
        self.binder.tell(Order::Go)?;
        let (during, ..) = self.hear_times(Role::Connect)?;
        self.binder.tell(Order::Stop)?;
        self.connecter.tell(Order::Stop)?;
        Ok(Sample::Stalled { before, during })
    }

    /// Lets all peers connect, be heard of and be answered; where the server is, and how long the first two took.
    pub(crate) fn lead_arrival(&mut self) -> Result<(String, Duration)> {
        let Note::Bound(endpoint) = self.hear(Role::Bind)? else { return Err(out_of_step()) };
        let start = Instant::now();
        self.connecter.tell(Order::Connect(endpoint.clone()))?;
        let ready = self.hear_of_all(start)?;
        Ok((endpoint, ready))
    }

    /// What the server costs while nothing happens: memory of each connection, percent of a processor.
    pub(crate) fn watch_idle(&mut self) -> Result<(f64, f64)> {
        self.binder.tell(Order::Go)?;
        let Note::Idle { octets_per_peer, cpu_percent } = self.hear(Role::Bind)? else {
            return Err(out_of_step());
        };
        Ok((octets_per_peer, cpu_percent))
    }

    /// Lets all peers come back to another server in the same place; how long that took.
    pub(crate) fn lead_return(&mut self) -> Result<Duration> {
        let Note::Bound(_) = self.hear(Role::Bind)? else { return Err(out_of_step()) };
        let start = Instant::now();
        self.connecter.tell(Order::Go)?;
        let back = self.hear_of_all(start)?;
        self.binder.tell(Order::Stop)?;
        self.connecter.tell(Order::Stop)?;
        Ok(back)
    }

    /// Waits until the server has heard of all peers, and all peers of the server, which may be heard first: each side's
    /// notes have a way of their own. How long the server took.
    fn hear_of_all(&self, start: Instant) -> Result<Duration> {
        let (mut server, mut are_peers_ready) = (None, false);
        loop {
            match hear(&self.notes, self.deadline)? {
                (Role::Bind, Note::Ready) if server.is_none() => server = Some(start.elapsed()),
                (Role::Connect, Note::Ready) if !are_peers_ready => are_peers_ready = true,
                (role, note) => bail!("{} said {note:?} out of turn", name(role)),
            }
            if let (Some(elapsed), true) = (server, are_peers_ready) {
                return Ok(elapsed);
            }
        }
    }

    /// Waits for the end of a process that was ended.
    pub(crate) fn hear_end(&self, of: Role) -> Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.notes.recv_timeout(left)? {
            (role, Note::Gone) if role == of => Ok(()),
            (role, note) => bail!("{} said {note:?} out of turn", name(role)),
        }
    }

    fn hear_times(&self, from: Role) -> Result<(Times, u64, u64)> {
        let Note::Pinged { times, messages, cpu_ns } = self.hear(from)? else { return Err(out_of_step()) };
        Ok((times, messages, cpu_ns))
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

pub(crate) fn out_of_step() -> anyhow::Error {
    anyhow!("the sides are out of step")
}

pub(crate) fn name(role: Role) -> &'static str {
    match role {
        Role::Bind => "the binding side",
        Role::Connect => "the connecting side",
        Role::Both => "the process",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

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
    fn either_side_may_be_heard_first_but_both_have_to_be() {
        let (here, there) = (Role::Bind, Role::Connect);
        for (said, is_enough) in [([here, there], true), ([there, here], true), ([there, there], false)] {
            let (conductor, say, _orders) = conductor();
            said.iter().for_each(|role| say.send((*role, Note::Ready)).unwrap());
            assert_eq!(conductor.hear_of_all(Instant::now()).is_ok(), is_enough, "{said:?}");
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
