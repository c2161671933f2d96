//! The command line, and the plan it asks for.

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use super::fan::TOPIC_OCTETS;
use super::stamp;
use super::task::{Case, Peer, Pin, Role, Task, Transport, Workload, message_count};

const DEFAULT_REPS: u32 = 5;
const QUICK_REPS: u32 = 3;

/// Compares peermq with libzmq and with plain sockets on this machine.
///
/// Medians of paired runs: within each repetition every implementation runs in turn, as two processes
/// (inproc: two threads).
#[derive(Debug, Parser)]
#[command(name = "versus", args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    child: Option<Child>,

    /// Fewer messages, and 3 repetitions unless --reps is given
    #[arg(long)]
    quick: bool,

    /// One JSON object per line instead of tables
    #[arg(long)]
    json: bool,

    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_value = "thr,lat,pub,topics,fanin,route")]
    workload: Vec<Workload>,

    /// What carries the messages
    #[arg(long, value_enum, value_delimiter = ',', default_value = "tcp,ipc,inproc")]
    transport: Vec<Transport>,

    /// Message sizes in octets, 8 or more each (topics: 16) [default: each workload its own]
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<usize>,

    /// Subscribers, senders or dealers [default: pub 1, 8, 64; topics 8, 64; fanin and route 8]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=256))]
    fan: Vec<u32>,

    /// Binding side on CPU 0 and connecting side on CPU 1, both on CPU 0, or not pinned
    #[arg(long, value_enum, default_value = "split")]
    pin: Pin,

    /// Repetitions of each run [default: 5, with --quick 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    reps: Option<u32>,

    /// Queue limit in messages on both sides of every implementation, 0 for none [default: each its own]
    /// A publisher waits for room: nothing is dropped.
    #[arg(long)]
    hwm: Option<u32>,

    /// Whom to compare
    #[arg(long, value_enum, value_delimiter = ',', default_value = "peermq,libzmq,raw")]
    peers: Vec<Peer>,
}

#[derive(Debug, Subcommand)]
enum Child {
    /// One side of a run, started by the comparison itself
    #[command(hide = true)]
    Side {
        /// The task, as JSON
        task: String,
    },
}

/// What to run, in which order.
#[derive(Debug)]
pub(crate) struct Plan {
    /// JSON lines instead of tables.
    pub(crate) json: bool,
    /// Repetitions of each run.
    pub(crate) reps: u32,
    /// Whom to compare, in turn.
    peers: Vec<Peer>,
    workloads: Vec<Workload>,
    transports: Vec<Transport>,
    sizes: Vec<usize>,
    fans: Vec<u32>,
    quick: bool,
    pin: Pin,
    hwm: Option<u32>,
}

impl Arguments {
    /// The task of a child process; `None` in the process that the user started.
    pub(crate) fn task(&self) -> Option<&str> {
        self.child.as_ref().map(|Child::Side { task }| task.as_str())
    }

    /// The plan that the options ask for; fails if this machine or a size does not allow it.
    pub(crate) fn plan(self) -> Result<Plan> {
        ensure!(
            self.sizes.iter().all(|&size| size >= stamp::OCTETS && u32::try_from(size).is_ok()),
            "--sizes: a message has {} octets or more, and fewer than 4 GiB",
            stamp::OCTETS
        );
        ensure!(
            !self.workload.contains(&Workload::Topics)
                || self.sizes.iter().all(|&size| size >= TOPIC_OCTETS + stamp::OCTETS),
            "--sizes: with topics a message has {} octets or more",
            TOPIC_OCTETS + stamp::OCTETS
        );
        Ok(Plan {
            json: self.json,
            reps: self.reps.unwrap_or(if self.quick { QUICK_REPS } else { DEFAULT_REPS }),
            peers: distinct(self.peers),
            workloads: distinct(self.workload),
            transports: distinct(self.transport),
            sizes: distinct(self.sizes),
            fans: distinct(self.fan),
            quick: self.quick,
            pin: self.pin,
            hwm: self.hwm,
        })
    }
}

impl Plan {
    /// Workloads and transports, each pair a table of its own.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (Workload, Transport)> {
        let pairs = self
            .workloads
            .iter()
            .flat_map(|&workload| self.transports.iter().map(move |&transport| (workload, transport)));
        pairs.filter(|(workload, transport)| workload.is_one_to_one() || *transport != Transport::Inproc)
    }

    /// The lines of one section.
    pub(crate) fn cases(&self, workload: Workload, transport: Transport) -> impl Iterator<Item = Case> {
        let sizes = if self.sizes.is_empty() { workload.sizes() } else { &self.sizes };
        let fans =
            if self.fans.is_empty() || workload.is_one_to_one() { workload.fans() } else { &self.fans };
        sizes
            .iter()
            .flat_map(move |&size| fans.iter().map(move |&fan| Case { workload, transport, size, fan }))
    }

    /// Who can play `workload`.
    pub(crate) fn peers(&self, workload: Workload) -> Vec<Peer> {
        let plays = |peer: &Peer| workload.is_one_to_one() || *peer != Peer::Raw;
        self.peers.iter().copied().filter(plays).collect()
    }

    /// A run of `peer`; whoever starts it fills in the role and the address.
    pub(crate) fn task(&self, case: Case, peer: Peer) -> Task {
        let messages = message_count(case, peer, self.quick);
        Task {
            case,
            peer,
            messages,
            warm_up: messages / 10,
            hwm: self.hwm,
            pin: self.pin,
            role: Role::Both,
            address: String::new(),
        }
    }

    /// How many runs there are in all.
    pub(crate) fn run_count(&self) -> u64 {
        let runs = self.sections().map(|(workload, transport)| {
            self.cases(workload, transport).count() * self.peers(workload).len()
        });
        runs.sum::<usize>() as u64 * u64::from(self.reps)
    }
}

/// `values` without repetitions, in their order.
fn distinct<T: PartialEq>(values: Vec<T>) -> Vec<T> {
    let mut kept = Vec::with_capacity(values.len());
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn plan(arguments: &[&str]) -> Plan {
        let all = ["versus"].iter().chain(arguments);
        Arguments::try_parse_from(all).unwrap().plan().unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_options_everything_runs_five_times() {
        let plan = plan(&[]);
        assert_eq!(plan.sections().count(), 2 * 3 + 4 * 2);
        assert_eq!(plan.peers, [Peer::Peermq, Peer::Libzmq, Peer::Raw]);
        assert_eq!((plan.reps, plan.pin, plan.hwm), (5, Pin::Split, None));
        let pairs = 2 * 3 * 7 * 3;
        let fans = 2 * (3 * 2 + 2 + 1 + 1) * 2;
        assert_eq!(plan.run_count(), (pairs + fans) * 5);
    }

    #[test]
    fn lists_are_separated_by_commas_and_repetitions_dropped() {
        let plan =
            plan(&["--workload", "lat", "--transport", "ipc,tcp,ipc", "--sizes", "64,8", "--peers=raw"]);
        assert_eq!(
            plan.sections().collect::<Vec<_>>(),
            [(Workload::Lat, Transport::Ipc), (Workload::Lat, Transport::Tcp)]
        );
        assert_eq!(
            plan.cases(Workload::Lat, Transport::Ipc).map(|case| case.size).collect::<Vec<_>>(),
            [64, 8]
        );
        assert_eq!(plan.peers, [Peer::Raw]);
    }

    #[test]
    fn quick_means_three_repetitions_unless_said_otherwise() {
        assert_eq!(plan(&["--quick"]).reps, 3);
        assert_eq!(plan(&["--quick", "--reps", "7"]).reps, 7);
    }

    #[test]
    fn a_message_too_small_for_its_number_is_refused() {
        let arguments = Arguments::try_parse_from(["versus", "--sizes", "7"]).unwrap();
        assert!(arguments.plan().is_err());
    }

    #[test]
    fn a_child_is_told_its_task() {
        let arguments = Arguments::try_parse_from(["versus", "side", "{}"]).unwrap();
        assert_eq!(arguments.task(), Some("{}"));
    }
}
