//! The command line, and the plan it asks for.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit};

use super::task::{Case, Peer, Pin, PingPong, Role, Task, Transport};
use super::workload::{Workload, message_count};

const DEFAULT_REPS: u32 = 5;
const QUICK_REPS: u32 = 3;

/// Descriptors that a process needs besides those of its connections.
const OTHER_DESCRIPTORS: u64 = 100;

/// Compares peermq with libzmq and with plain sockets on this machine.
///
/// Medians of paired runs: within each repetition every implementation runs in turn, as two processes
/// (inproc: two threads). Prints tables, and writes target/versus/ with the results as JSON lines, a report
/// in Markdown and plots.
#[derive(Debug, Parser)]
#[command(name = "versus", args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Fewer cases and messages, and 3 repetitions unless --reps is given; writes target/versus/quick
    #[arg(long)]
    quick: bool,

    /// One JSON object per line instead of tables
    #[arg(long)]
    json: bool,

    /// What to measure [default: all]
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        hide_default_value = true,
        default_value = "thr,lat,oneway,pub,stalled,topics,fanin,route,threads,connections"
    )]
    workload: Vec<Workload>,

    /// What carries the messages
    #[arg(long, value_enum, value_delimiter = ',', default_value = "tcp,ipc,inproc")]
    transport: Vec<Transport>,

    /// Round trips between which sockets (lat)
    #[arg(long, value_enum, value_delimiter = ',', default_value = "req-rep,dealer-router,pair,push-pull")]
    ping_pong: Vec<PingPong>,

    /// Message sizes in octets, 8 or more each (lat: 1; topics and stalled: 16) [default: each workload its own]
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<usize>,

    /// Subscribers, senders, dealers, pairs of threads, connections [default: each workload its own]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=100_000))]
    fan: Vec<u32>,

    /// Binding side on CPU 0 and connecting side on CPU 1, both on CPU 0, or not pinned
    /// [default: split; lat both same and split]
    #[arg(long, value_enum, value_delimiter = ',')]
    pin: Vec<Pin>,

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

    /// Compare with the crates omq-tokio, monocoque-rs, rzmq and zeromq, too; builds them first
    #[arg(long)]
    rivals: bool,

    /// Both sides encrypt with CURVE; peermq and libzmq only, not within a process
    #[arg(long, conflicts_with = "rivals")]
    curve: bool,

    /// Where the results go [default: versus in the target directory, with --quick versus/quick]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What the program does instead of measuring.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One side of a run, started by the comparison itself
    #[command(hide = true)]
    Side {
        /// The task, as JSON
        task: String,
    },
    /// Writes report and plots from results that are there, of one run or several
    Draw {
        /// Results, as versus writes them; of two for the same case the later one counts
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// Where report and plots go [default: as above]
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// What becomes one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) workload: Workload,
    pub(crate) transport: Transport,
    pub(crate) pin: Pin,
}

/// What to run, in which order.
#[derive(Debug)]
pub(crate) struct Plan {
    /// JSON lines instead of tables.
    pub(crate) json: bool,
    /// Repetitions of each run.
    pub(crate) reps: u32,
    pub(crate) quick: bool,
    /// Both sides encrypt.
    pub(crate) curve: bool,
    /// Where the results go, unless that is up to the program.
    pub(crate) out: Option<PathBuf>,
    /// Whom to compare, in turn.
    pub(crate) peers: Vec<Peer>,
    workloads: Vec<Workload>,
    transports: Vec<Transport>,
    ping_pongs: Vec<PingPong>,
    sizes: Vec<usize>,
    fans: Vec<u32>,
    pins: Vec<Pin>,
    hwm: Option<u32>,
    /// Connections that this process could have.
    connections_max: u64,
}

impl Arguments {
    /// The plan that the options ask for; fails if this machine or a size does not allow it.
    pub(crate) fn plan(self) -> Result<Plan> {
        for &workload in &self.workload {
            let least = workload.least_size();
            ensure!(
                self.sizes.iter().all(|&size| size >= least && u32::try_from(size).is_ok()),
                "--sizes: with {workload} a message has {least} octets or more, and fewer than 4 GiB",
            );
        }
        let (mut peers, mut transports) = (self.peers, self.transport);
        if self.rivals {
            peers.extend(Peer::RIVALS);
        }
        if self.curve {
            peers.retain(|peer| *peer != Peer::Raw);
            transports.retain(|transport| *transport != Transport::Inproc);
        }
        let (_, descriptors) = getrlimit(Resource::RLIMIT_NOFILE)?;
        Ok(Plan {
            json: self.json,
            reps: self.reps.unwrap_or(if self.quick { QUICK_REPS } else { DEFAULT_REPS }),
            quick: self.quick,
            curve: self.curve,
            out: self.out,
            peers: distinct(peers),
            workloads: distinct(self.workload),
            transports: distinct(transports),
            ping_pongs: distinct(self.ping_pong),
            sizes: distinct(self.sizes),
            fans: distinct(self.fan),
            pins: distinct(self.pin),
            hwm: self.hwm,
            connections_max: descriptors.saturating_sub(OTHER_DESCRIPTORS),
        })
    }
}

impl Plan {
    /// All tables.
    pub(crate) fn sections(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        for &workload in &self.workloads {
            let pins = if self.pins.is_empty() { workload.pins() } else { &self.pins };
            for &transport in self.transports.iter().filter(|it| workload.is_over(**it)) {
                sections.extend(pins.iter().map(|&pin| Section { workload, transport, pin }));
            }
        }
        sections
    }

    /// The lines of one table.
    pub(crate) fn cases(&self, section: Section) -> Vec<Case> {
        let Section { workload, transport, pin } = section;
        let all_fans = workload.fans(self.quick);
        let fans = if self.fans.is_empty() || workload.is_one_to_one() { all_fans } else { &self.fans };
        let mut cases = Vec::new();
        for &ping_pong in workload.ping_pongs().iter().filter(|it| self.is_wanted(**it, transport)) {
            let sizes = if self.sizes.is_empty() { workload.sizes(ping_pong) } else { &self.sizes };
            for &size in sizes {
                let cases_of_size =
                    fans.iter().map(|&fan| Case { workload, transport, ping_pong, size, fan, pin });
                cases.extend(cases_of_size.filter(|case| !self.is_too_many(*case)));
            }
        }
        cases
    }

    /// Within a process only the first is without an option: what is measured there is the waking of a thread.
    fn is_wanted(&self, ping_pong: Option<PingPong>, transport: Transport) -> bool {
        let Some(ping_pong) = ping_pong else { return true };
        let is_default = self.ping_pongs.len() > 1 && transport == Transport::Inproc;
        self.ping_pongs.contains(&ping_pong) && !(is_default && ping_pong != PingPong::ReqRep)
    }

    fn is_too_many(&self, case: Case) -> bool {
        case.workload == Workload::Connections && u64::from(case.fan) > self.connections_max
    }

    /// Who can play `case`.
    pub(crate) fn peers(&self, case: Case) -> Vec<Peer> {
        let plays = |peer: &Peer| case.workload.is_played_by(*peer, case.transport, case.ping_pong);
        self.peers.iter().copied().filter(plays).collect()
    }

    /// A run of `peer`; whoever starts it fills in the role and the address.
    pub(crate) fn task(&self, case: Case, peer: Peer) -> Task {
        let messages = message_count(case, peer, self.quick, self.curve);
        Task {
            case,
            peer,
            messages,
            warm_up: messages / 10,
            hwm: self.hwm,
            curve: self.curve,
            role: Role::Both,
            address: String::new(),
        }
    }

    /// How many runs there are in all.
    pub(crate) fn run_count(&self) -> u64 {
        let cases = self.sections().into_iter().flat_map(|section| self.cases(section));
        cases.map(|case| self.peers(case).len() as u64).sum::<u64>() * u64::from(self.reps)
    }

    /// What of the plan this machine does not allow, in words.
    pub(crate) fn shortcoming(&self) -> Option<String> {
        let wanted = if self.fans.is_empty() { Workload::Connections.fans(self.quick) } else { &self.fans };
        let most =
            wanted.iter().copied().max().filter(|_| self.workloads.contains(&Workload::Connections))?;
        (u64::from(most) > self.connections_max).then(|| {
            format!(
                "connections: no more than {} fit into the hard limit of descriptors",
                self.connections_max
            )
        })
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
        Plan { connections_max: 10_000, ..Arguments::try_parse_from(all).unwrap().plan().unwrap() }
    }

    fn section(workload: Workload, transport: Transport, pin: Pin) -> Section {
        Section { workload, transport, pin }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_options_everything_runs_five_times() {
        let plan = plan(&[]);
        assert_eq!(plan.peers, [Peer::Peermq, Peer::Libzmq, Peer::Raw]);
        assert_eq!((plan.reps, plan.hwm), (5, None));
        let thr = 3 * 7 * 3;
        let lat = (2 * 2 * (5 + 3 * 2) + 2 * 5) * 3;
        let one_way = 3 * 3;
        let fans = 2 * (2 * 7 + 2 + 1 + 1) * 2;
        let (stalled, threads, connections) = (2, 2 * 3, 4 * 3);
        let all = thr + lat + one_way + fans + stalled + threads + connections;
        assert_eq!(plan.run_count(), all * 5);
    }

    #[test]
    fn every_workload_runs_without_options() {
        use clap::ValueEnum;
        assert_eq!(plan(&[]).workloads, Workload::value_variants());
        assert_eq!(plan(&[]).ping_pongs.len(), PingPong::value_variants().len());
    }

    #[test]
    fn lists_are_separated_by_commas_and_repetitions_dropped() {
        let arguments = "--workload lat --transport ipc,tcp,ipc --sizes 64,8 --peers=raw --pin=same";
        let plan = plan(&arguments.split(' ').collect::<Vec<_>>());
        let ipc = section(Workload::Lat, Transport::Ipc, Pin::Same);
        assert_eq!(plan.sections(), [ipc, section(Workload::Lat, Transport::Tcp, Pin::Same)]);
        let sizes: Vec<usize> = plan.cases(ipc).iter().map(|case| case.size).collect();
        assert_eq!(sizes, [64, 8].repeat(4));
        assert_eq!(plan.peers, [Peer::Raw]);
    }

    #[test]
    fn rivals_join_where_they_have_the_pattern() {
        let plan = plan(&["--rivals", "--peers=peermq"]);
        let peers = |workload| {
            let case = plan.cases(section(workload, Transport::Tcp, Pin::Split))[0];
            plan.peers(case).len()
        };
        assert_eq!(peers(Workload::Thr), 5);
        assert_eq!(peers(Workload::Connections), 1);
    }

    #[test]
    fn what_does_not_encrypt_is_left_out() {
        let plan = plan(&["--curve", "--workload", "thr"]);
        assert_eq!(plan.peers, [Peer::Peermq, Peer::Libzmq]);
        assert_eq!(plan.sections().len(), 2);
        let case = plan.cases(plan.sections()[0])[0];
        assert!(plan.task(case, Peer::Peermq).curve);
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
        let arguments = Arguments::try_parse_from(["versus", "--sizes", "1", "--workload", "lat"]).unwrap();
        assert!(arguments.plan().is_ok());
    }

    #[test]
    fn more_connections_than_descriptors_are_left_out_and_that_is_said() {
        let plan = plan(&["--fan", "10,10001"]);
        let section = section(Workload::Connections, Transport::Tcp, Pin::Split);
        assert_eq!(plan.cases(section).iter().map(|case| case.fan).collect::<Vec<_>>(), [10]);
        assert!(plan.shortcoming().is_some());
    }

    #[test]
    fn a_child_is_told_its_task() {
        let arguments = Arguments::try_parse_from(["versus", "side", "{}"]).unwrap();
        assert!(matches!(arguments.command, Some(Command::Side { task }) if task == "{}"));
    }
}
