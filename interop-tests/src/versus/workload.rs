//! What there is to measure, and which cases of it without options.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::fan::TOPIC_OCTETS;
use super::stamp;
use super::task::{Case, Peer, Pin, PingPong, Transport};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// One way, PUSH to PULL, as fast as it goes.
    Thr,
    /// Round trips, one at a time.
    Lat,
    /// One way, PUSH to PULL, a message every 10 ms: from before it is sent until it is received.
    Oneway,
    /// One PUB to several SUBs, which take all.
    Pub,
    /// One PUB to several SUBs, a message every millisecond, while all receive and while one has stopped.
    Stalled,
    /// One PUB with 1,000 topics to several SUBs, which take 10 each.
    Topics,
    /// Several PUSHes to one PULL.
    Fanin,
    /// Several DEALERs with 100 requests in flight each, to one ROUTER, which echoes.
    Route,
    /// Several pairs of PUSH and PULL, each socket on a thread of its own.
    Threads,
    /// Many idle peers of one ROUTER.
    Connections,
}

impl Workload {
    /// Sockets or connections on the side that connects, without `--fan`.
    pub(crate) fn fans(self, quick: bool) -> &'static [u32] {
        match self {
            Self::Thr | Self::Lat | Self::Oneway => &[1],
            Self::Pub if quick => &[1, 8, 64],
            Self::Pub => &[1, 2, 4, 8, 16, 32, 64],
            Self::Stalled => &[64],
            Self::Topics => &[8, 64],
            Self::Fanin | Self::Route => &[8],
            Self::Threads => &[1, 8],
            Self::Connections if quick => &[10, 100, 1_000],
            Self::Connections => &[10, 100, 1_000, 10_000],
        }
    }

    /// Message sizes without `--sizes`.
    pub(crate) fn sizes(self, ping_pong: Option<PingPong>) -> &'static [usize] {
        match (self, ping_pong) {
            (Self::Thr, _) => &[8, 64, 256, 1024, 8192, 65_536, 1_048_576],
            (Self::Lat, Some(PingPong::ReqRep)) => &[1, 64, 1024, 8192, 65_536],
            (Self::Lat, _) => &[1, 1024],
            (Self::Pub, _) => &[64, 1024],
            (Self::Stalled, _) => &[1024],
            (Self::Oneway | Self::Topics | Self::Fanin | Self::Route | Self::Threads, _) => &[64],
            (Self::Connections, _) => &[stamp::OCTETS],
        }
    }

    /// The smallest message that says what has to be checked.
    pub(crate) fn least_size(self) -> usize {
        match self {
            // Of its number as much as there is room for: one at a time is under way.
            Self::Lat => 1,
            Self::Topics | Self::Stalled => TOPIC_OCTETS + stamp::OCTETS,
            Self::Thr
            | Self::Oneway
            | Self::Pub
            | Self::Fanin
            | Self::Route
            | Self::Threads
            | Self::Connections => stamp::OCTETS,
        }
    }

    /// Between which sockets, if there is a choice.
    pub(crate) fn ping_pongs(self) -> &'static [Option<PingPong>] {
        const ALL: &[Option<PingPong>] = &[
            Some(PingPong::ReqRep),
            Some(PingPong::DealerRouter),
            Some(PingPong::Pair),
            Some(PingPong::PushPull),
        ];
        if self == Self::Lat { ALL } else { &[None] }
    }

    /// Where the sides run, without `--pin`.
    pub(crate) fn pins(self) -> &'static [Pin] {
        if self == Self::Lat { &[Pin::Same, Pin::Split] } else { &[Pin::Split] }
    }

    /// Whether it is measured over `transport`.
    pub(crate) fn is_over(self, transport: Transport) -> bool {
        match self {
            Self::Thr | Self::Lat | Self::Oneway => true,
            Self::Pub | Self::Topics | Self::Fanin | Self::Route => transport != Transport::Inproc,
            Self::Stalled | Self::Threads | Self::Connections => transport == Transport::Tcp,
        }
    }

    /// Whether each side has one socket.
    pub(crate) fn is_one_to_one(self) -> bool {
        matches!(self, Self::Thr | Self::Lat | Self::Oneway)
    }

    /// Whether `peer` plays it: there is no floor for patterns, and what rivals play, `interop-rivals` says.
    pub(crate) fn is_played_by(self, peer: Peer, transport: Transport, ping_pong: Option<PingPong>) -> bool {
        match peer {
            Peer::Peermq | Peer::Libzmq => true,
            Peer::Raw => self.is_one_to_one() || matches!(self, Self::Threads | Self::Connections),
            Peer::Omq | Peer::Monocoque | Peer::Rzmq | Peer::ZmqRs => {
                let is_common =
                    matches!(self, Self::Thr | Self::Oneway) || ping_pong == Some(PingPong::ReqRep);
                is_common && transport != Transport::Inproc
            }
        }
    }
}

/// How many messages `peer` gets in `case`, so that a run of a fast peer lasts about a second
/// (a quarter of it when `quick`).
///
/// Only rates are compared, so each peer has its own count: expected nanoseconds per message, a fixed
/// part and a part per octet, from measurements on two cores of an AMD EPYC.
pub(crate) fn message_count(case: Case, peer: Peer, quick: bool, curve: bool) -> u64 {
    let (fixed_ns, per_kib_ns, least) = match (case.workload, case.transport, peer) {
        (Workload::Thr | Workload::Threads, Transport::Inproc, Peer::Peermq) => (20, 10, 400),
        (Workload::Thr | Workload::Threads, Transport::Inproc, Peer::Raw) => (6, 30, 400),
        (Workload::Thr | Workload::Threads, Transport::Inproc, _) => (300, 6, 400),
        (Workload::Thr | Workload::Threads, _, Peer::Peermq) => (15, 180, 400),
        (Workload::Thr | Workload::Threads, _, Peer::Raw) => (7, 150, 400),
        (Workload::Thr | Workload::Threads, _, _) => (100, 400, 400),
        (Workload::Lat, _, _) => (60_000, 1_000, 200),
        (Workload::Oneway, _, _) => (5_000_000, 0, 50),
        (Workload::Pub | Workload::Fanin, _, Peer::Peermq) => (25, 200, 400),
        (Workload::Pub | Workload::Fanin, _, _) => (150, 500, 400),
        (Workload::Stalled, _, _) => (500_000, 0, 200),
        (Workload::Topics, _, Peer::Peermq) => (60, 60, 20_000),
        (Workload::Topics, _, _) => (300, 300, 20_000),
        (Workload::Route, _, Peer::Peermq) => (250, 400, 400),
        (Workload::Route, _, _) => (1_000, 800, 400),
        (Workload::Connections, _, _) => return 1,
    };
    let budget_ns: u64 = if quick { 250_000_000 } else { 1_000_000_000 };
    let (sealing_ns, sealing_per_kib_ns) = if curve { (400, 500) } else { (0, 0) };
    let per_kib_ns = per_kib_ns + sealing_per_kib_ns;
    let message_ns = fixed_ns + sealing_ns + per_kib_ns * case.size as u64 / 1024;
    let total = budget_ns / message_ns;
    // Of these every message that is sent counts, however many of them are delivered.
    let counts_sent = matches!(case.workload, Workload::Topics | Workload::Stalled);
    let share = if counts_sent { total } else { total / u64::from(case.fan) };
    share.max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_messages_are_fewer_but_never_too_few() {
        let case = |size| Case {
            workload: Workload::Thr,
            transport: Transport::Tcp,
            ping_pong: None,
            size,
            fan: 1,
            pin: Pin::Split,
        };
        let thr = |size| message_count(case(size), Peer::Libzmq, false, false);
        assert!(thr(8) > thr(1024) && thr(1024) > thr(1 << 20));
        assert_eq!(message_count(case(1 << 30), Peer::Libzmq, true, false), 400);
        assert!(message_count(case(8), Peer::Libzmq, true, false) < thr(8));
    }
}
