//! What one run measured, and the names of its figures.

use serde::{Deserialize, Serialize};

use super::stats::percentile;

/// What one run measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Sample {
    /// Throughput.
    Thr {
        /// Messages a second, from the first to the last that arrived.
        msgs_per_s: f64,
        /// User and system time of both sides, divided by the messages.
        cpu_ns_per_msg: f64,
    },
    /// Times of single messages, or of round trips.
    Lat {
        /// How they are spread.
        times: Times,
        /// User and system time of both sides, divided by the messages or round trips.
        cpu_us: f64,
    },
    /// Times from publisher to subscribers.
    Stalled {
        /// While all of them receive.
        before: Times,
        /// Of the same ones, while another does not.
        during: Times,
    },
    /// Many idle connections.
    Connections {
        /// What the server's memory grew by, divided by the connections.
        octets_per_peer: f64,
        /// User and system time of the idle server, in percent of one processor.
        idle_cpu_percent: f64,
        /// From the first connect until the server has heard of all.
        ready_s: f64,
        /// From when another server is in its place until that has heard of all.
        back_s: f64,
    },
}

/// Percentiles of measured times, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Half took no longer.
    pub p50: f64,
    /// 90 of 100 took no longer.
    pub p90: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// 999 of 1,000 took no longer.
    pub p999: f64,
}

impl Times {
    /// The percentiles of these times in nanoseconds; `None` without any.
    #[must_use]
    pub fn of(mut times_ns: Vec<u64>) -> Option<Self> {
        let mut at = |per_mille| percentile(&mut times_ns, per_mille).map(|ns| ns as f64 / 1e3);
        Some(Self { p50: at(500)?, p90: at(900)?, p99: at(990)?, p999: at(999)? })
    }
}

impl Sample {
    /// Every figure by the name that it has in JSON; of messages of `size` octets.
    pub(crate) fn figures(self, size: usize) -> Vec<(&'static str, f64)> {
        match self {
            Self::Thr { msgs_per_s, cpu_ns_per_msg } => vec![
                ("msgs_per_s", msgs_per_s),
                ("mb_per_s", msgs_per_s * size as f64 / 1e6),
                ("cpu_ns_per_msg", cpu_ns_per_msg),
            ],
            Self::Lat { times: Times { p50, p90, p99, p999 }, cpu_us } => {
                vec![("p50_us", p50), ("p99_us", p99), ("p90_us", p90), ("p999_us", p999), ("cpu_us", cpu_us)]
            }
            Self::Stalled { before, during } => vec![
                ("p50_us", before.p50),
                ("p99_us", before.p99),
                ("stalled_p50_us", during.p50),
                ("stalled_p99_us", during.p99),
                ("p99_change_percent", 100.0 * (during.p99 / before.p99 - 1.0)),
            ],
            Self::Connections { octets_per_peer, idle_cpu_percent, ready_s, back_s } => vec![
                ("octets_per_peer", octets_per_peer),
                ("idle_cpu_percent", idle_cpu_percent),
                ("ready_s", ready_s),
                ("back_s", back_s),
            ],
        }
    }
}
