//! What a run is: who, what, how many, where. It travels to the child processes as JSON.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::workload::Workload;

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
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
pub enum Peer {
    /// The library of this workspace.
    Peermq,
    /// The reference implementation, as its own performance tools use it.
    Libzmq,
    /// Plain blocking sockets, one thread a side: the floor.
    Raw,
    /// The crate `omq-tokio`.
    Omq,
    /// The crate `monocoque-rs`.
    Monocoque,
    /// The crate `rzmq`.
    Rzmq,
    /// The crate `zeromq`.
    #[serde(rename = "zmq.rs")]
    #[value(name = "zmq.rs")]
    ZmqRs,
}

/// Between which sockets a message goes there and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PingPong {
    /// REQ to REP.
    ReqRep,
    /// DEALER to ROUTER.
    DealerRouter,
    /// PAIR to PAIR.
    Pair,
    /// PUSH to PULL, and back from PUSH to PULL.
    PushPull,
}

/// Where the two sides run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
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
pub enum Role {
    /// Binds; receives or echoes.
    Bind,
    /// Connects; sends or measures round trips.
    Connect,
    /// A process that plays both, in two threads (`inproc`).
    Both,
}

/// One line of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// What is measured.
    pub workload: Workload,
    /// What carries the messages.
    pub transport: Transport,
    /// Round trips (`lat`): between which sockets.
    pub ping_pong: Option<PingPong>,
    /// Octets of a message.
    pub size: usize,
    /// Sockets, or connections, on the side that connects.
    pub fan: u32,
    /// Where the two sides run.
    pub pin: Pin,
}

/// All that a side of a run has to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What is measured.
    pub case: Case,
    /// Whose implementation.
    pub peer: Peer,
    /// Messages or round trips that are timed; with several sockets, those of each.
    pub messages: u64,
    /// Round trips before the clock starts (`lat` only).
    pub warm_up: u64,
    /// Queue limit in messages for both sides; `None` is each implementation's default, 0 no limit.
    pub hwm: Option<u32>,
    /// Both sides encrypt with CURVE.
    #[serde(default)]
    pub curve: bool,
    /// Which side this process is.
    pub role: Role,
    /// What the binding side binds to.
    pub address: String,
}

impl Peer {
    /// Those that `--rivals` adds.
    pub(crate) const RIVALS: [Self; 4] = [Self::Omq, Self::Monocoque, Self::Rzmq, Self::ZmqRs];

    /// Whether it is in a program of its own, which is built when it is asked for.
    pub(crate) fn is_rival(self) -> bool {
        Self::RIVALS.contains(&self)
    }
}

impl Task {
    /// Where the way back is, if it is another one than the way there.
    pub(crate) fn address_of_return(&self) -> String {
        match self.case.transport {
            // Port 0: any that is free.
            Transport::Tcp => self.address.clone(),
            Transport::Ipc | Transport::Inproc => format!("{}-back", self.address),
        }
    }

    /// The CPU for `role`, if it is pinned.
    pub(crate) fn core(&self, role: Role) -> Option<usize> {
        match (self.case.pin, role) {
            (Pin::None, _) | (_, Role::Both) => None,
            (Pin::Split, Role::Connect) => Some(1),
            (Pin::Split, Role::Bind) | (Pin::Same, Role::Bind | Role::Connect) => Some(0),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.workload, self.transport)?;
        if let Some(ping_pong) = self.ping_pong {
            write!(f, " {ping_pong}")?;
        }
        write!(f, " {} B", self.size)?;
        if self.fan > 1 {
            write!(f, " to {}", self.fan)?;
        }
        if self.pin == Pin::Split { Ok(()) } else { write!(f, ", {}", self.pin) }
    }
}

/// Shows the name that the command line knows.
macro_rules! named {
    ($($kind:ty),*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
            }
        }
    )*};
}

named!(Transport, Peer, PingPong, Pin, Workload);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_survives_the_way_to_its_process() {
        let case = Case {
            workload: Workload::Lat,
            transport: Transport::Tcp,
            ping_pong: Some(PingPong::PushPull),
            size: 64,
            fan: 1,
            pin: Pin::Split,
        };
        let task = Task {
            case,
            peer: Peer::ZmqRs,
            messages: 5,
            warm_up: 1,
            hwm: Some(0),
            curve: true,
            role: Role::Bind,
            address: "tcp://127.0.0.1:0".to_owned(),
        };
        let text = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task);
        let core = |pin, role| Task { case: Case { pin, ..case }, ..task.clone() }.core(role);
        assert_eq!((core(Pin::Split, Role::Bind), core(Pin::Split, Role::Connect)), (Some(0), Some(1)));
        assert_eq!(core(Pin::Same, Role::Connect), Some(0));
        assert_eq!(core(Pin::None, Role::Bind), None);
    }

    #[test]
    fn a_case_is_told_in_words() {
        let case = Case {
            workload: Workload::Lat,
            transport: Transport::Ipc,
            ping_pong: Some(PingPong::ReqRep),
            size: 1,
            fan: 1,
            pin: Pin::Same,
        };
        assert_eq!(case.to_string(), "lat ipc req-rep 1 B, same");
        let case = Case { workload: Workload::Pub, ping_pong: None, fan: 8, pin: Pin::Split, ..case };
        assert_eq!(case.to_string(), "pub ipc 1 B to 8");
    }
}
