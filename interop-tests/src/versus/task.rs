//! What a run is: who, what, how many, where. It travels to the child processes as JSON.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    /// One way, PUSH to PULL, as fast as it goes.
    Thr,
    /// Round trips, one at a time.
    Lat,
    /// One PUB to several SUBs, which take all.
    Pub,
    /// One PUB with 1,000 topics to several SUBs, which take 10 each.
    Topics,
    /// Several PUSHes to one PULL.
    Fanin,
    /// Several DEALERs with 100 requests in flight each, to one ROUTER, which echoes.
    Route,
}

impl Workload {
    /// Sockets on the side that connects, without `--fan`.
    pub(crate) fn fans(self) -> &'static [u32] {
        match self {
            Self::Thr | Self::Lat => &[1],
            Self::Pub => &[1, 8, 64],
            Self::Topics => &[8, 64],
            Self::Fanin | Self::Route => &[8],
        }
    }

    /// Message sizes without `--sizes`.
    pub(crate) fn sizes(self) -> &'static [usize] {
        match self {
            Self::Thr | Self::Lat => &[8, 64, 256, 1024, 8192, 65_536, 1_048_576],
            Self::Pub => &[64, 1024],
            Self::Topics | Self::Fanin | Self::Route => &[64],
        }
    }

    /// Whether there is a plain-sockets side, and an inproc one.
    pub(crate) fn is_one_to_one(self) -> bool {
        matches!(self, Self::Thr | Self::Lat)
    }
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// Loopback, two processes.
    Tcp,
    /// A socket in the file system, two processes.
    Ipc,
    /// Two threads of one process.
    Inproc,
}

/// Whose implementation is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    /// The library of this workspace.
    Peermq,
    /// The reference implementation, as its own performance tools use it.
    Libzmq,
    /// Plain blocking sockets, one thread a side: the floor.
    Raw,
}

/// Where the two sides run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pin {
    /// The binding side on CPU 0, the connecting one on CPU 1.
    Split,
    /// Both on CPU 0.
    Same,
    /// Wherever the system puts them.
    None,
}

/// A side of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Binds; receives or echoes.
    Bind,
    /// Connects; sends or measures round trips.
    Connect,
    /// A process that plays both, in two threads (`inproc`).
    Both,
}

/// One line of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    /// What is measured.
    pub(crate) workload: Workload,
    /// What carries the messages.
    pub(crate) transport: Transport,
    /// Octets of a message.
    pub(crate) size: usize,
    /// Sockets on the side that connects.
    pub(crate) fan: u32,
}

/// All that a side of a run has to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// What is measured.
    pub(crate) case: Case,
    /// Whose implementation.
    pub(crate) peer: Peer,
    /// Messages or round trips that are timed; with several sockets, those of each.
    pub(crate) messages: u64,
    /// Round trips before the clock starts (`lat` only).
    pub(crate) warm_up: u64,
    /// Queue limit in messages for both sides; `None` is each implementation's default, 0 no limit.
    pub(crate) hwm: Option<u32>,
    /// Where the two sides run.
    pub(crate) pin: Pin,
    /// Which side this process is.
    pub(crate) role: Role,
    /// What the binding side binds to.
    pub(crate) address: String,
}

/// What one run measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Sample {
    /// One-way throughput.
    Thr {
        /// Messages a second, from the first to the last that arrived.
        msgs_per_s: f64,
        /// User and system time of both sides, divided by the messages.
        cpu_ns_per_msg: f64,
    },
    /// Round-trip times.
    Lat {
        /// Half of the round trips took no longer.
        p50_us: f64,
        /// 99 of 100 round trips took no longer.
        p99_us: f64,
    },
}

impl Task {
    /// The CPU for `role`, if it is pinned.
    pub(crate) fn core(&self, role: Role) -> Option<usize> {
        match (self.pin, role) {
            (Pin::None, _) | (_, Role::Both) => None,
            (Pin::Split, Role::Connect) => Some(1),
            (Pin::Split, Role::Bind) | (Pin::Same, Role::Bind | Role::Connect) => Some(0),
        }
    }
}

/// How many messages `peer` gets in `case`, so that a run of a fast peer lasts about a second
/// (a quarter of it when `quick`).
///
/// Only rates are compared, so each peer has its own count: expected nanoseconds per message, a fixed
/// part and a part per octet, from measurements on two cores of an AMD EPYC.
pub(crate) fn message_count(case: Case, peer: Peer, quick: bool) -> u64 {
    let (fixed_ns, per_kib_ns, least) = match (case.workload, case.transport, peer) {
        (Workload::Thr, Transport::Tcp | Transport::Ipc, Peer::Peermq) => (15, 180, 400),
        (Workload::Thr, Transport::Tcp | Transport::Ipc, Peer::Libzmq) => (100, 400, 400),
        (Workload::Thr, Transport::Tcp | Transport::Ipc, Peer::Raw) => (7, 150, 400),
        (Workload::Thr, Transport::Inproc, Peer::Peermq) => (20, 10, 400),
        (Workload::Thr, Transport::Inproc, Peer::Libzmq) => (300, 6, 400),
        (Workload::Thr, Transport::Inproc, Peer::Raw) => (6, 30, 400),
        (Workload::Lat, _, _) => (60_000, 1_000, 200),
        (Workload::Pub | Workload::Fanin, _, Peer::Peermq) => (25, 200, 400),
        (Workload::Pub | Workload::Fanin, _, _) => (150, 500, 400),
        (Workload::Topics, _, Peer::Peermq) => (60, 60, 20_000),
        (Workload::Topics, _, _) => (300, 300, 20_000),
        (Workload::Route, _, Peer::Peermq) => (250, 400, 400),
        (Workload::Route, _, _) => (1_000, 800, 400),
    };
    let budget_ns: u64 = if quick { 250_000_000 } else { 1_000_000_000 };
    let message_ns = fixed_ns + per_kib_ns * case.size as u64 / 1024;
    let total = budget_ns / message_ns;
    match case.workload {
        // Every message that is sent counts: few of them are delivered.
        Workload::Topics => total.max(least),
        Workload::Thr | Workload::Lat | Workload::Pub | Workload::Fanin | Workload::Route => {
            (total / u64::from(case.fan)).max(least)
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} B", self.workload, self.transport, self.size)?;
        if self.fan > 1 { write!(f, " to {}", self.fan) } else { Ok(()) }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thr => "thr",
            Self::Lat => "lat",
            Self::Pub => "pub",
            Self::Topics => "topics",
            Self::Fanin => "fanin",
            Self::Route => "route",
        })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Ipc => "ipc",
            Self::Inproc => "inproc",
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peermq => "peermq",
            Self::Libzmq => "libzmq",
            Self::Raw => "raw",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(workload: Workload, size: usize) -> Case {
        Case { workload, transport: Transport::Tcp, size, fan: 1 }
    }

    #[test]
    fn a_task_survives_the_way_to_its_process() {
        let task = Task {
            case: case(Workload::Thr, 64),
            peer: Peer::Raw,
            messages: 5,
            warm_up: 1,
            hwm: Some(0),
            pin: Pin::Split,
            role: Role::Bind,
            address: "tcp://127.0.0.1:0".to_owned(),
        };
        let text = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task);
        assert_eq!(task.core(Role::Bind), Some(0));
        assert_eq!(task.core(Role::Connect), Some(1));
        assert_eq!(Task { pin: Pin::Same, ..task.clone() }.core(Role::Connect), Some(0));
        assert_eq!(Task { pin: Pin::None, ..task }.core(Role::Bind), None);
    }

    #[test]
    fn larger_messages_are_fewer_but_never_too_few() {
        let thr = |size| message_count(case(Workload::Thr, size), Peer::Libzmq, false);
        assert!(thr(8) > thr(1024) && thr(1024) > thr(1 << 20));
        assert_eq!(message_count(case(Workload::Thr, 1 << 30), Peer::Libzmq, true), 400);
        assert!(message_count(case(Workload::Thr, 8), Peer::Libzmq, true) < thr(8));
    }
}
