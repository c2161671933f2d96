//! Medians and ratios, as JSON lines or as a table.

use std::collections::BTreeMap;

use serde::Serialize;

use super::stats::{median, median_ratio};
use super::table::{Table, cell};
use super::task::{Case, Peer, Sample, Transport, Workload};

/// One size: what every repetition of every peer measured; `None` where a run failed.
#[derive(Debug)]
pub(crate) struct Row {
    case: Case,
    samples: BTreeMap<Peer, Vec<Option<Sample>>>,
}

/// A line of `--json`. Medians.
#[derive(Debug, Serialize)]
struct Line {
    workload: Workload,
    transport: Transport,
    size: usize,
    fan: u32,
    peer: Peer,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Figures {
    Thr { msgs_per_s: f64, mb_per_s: f64, cpu_ns_per_msg: f64 },
    Lat { p50_us: f64, p99_us: f64 },
}

impl Row {
    pub(crate) fn new(case: Case, samples: BTreeMap<Peer, Vec<Option<Sample>>>) -> Self {
        Self { case, samples }
    }

    /// One object per peer that has a result.
    pub(crate) fn json_lines(&self) -> Vec<String> {
        let Case { workload, transport, size, fan } = self.case;
        let lines = self.samples.keys().filter_map(|&peer| {
            let line = Line { workload, transport, size, fan, peer, figures: self.figures(peer)? };
            serde_json::to_string(&line).ok()
        });
        lines.collect()
    }

    fn figures(&self, peer: Peer) -> Option<Figures> {
        Some(match self.case.workload {
            Workload::Thr | Workload::Pub | Workload::Topics | Workload::Fanin | Workload::Route => {
                let msgs_per_s = self.median(peer, main_figure)?;
                let mb_per_s = msgs_per_s * self.case.size as f64 / 1e6;
                Figures::Thr { msgs_per_s, mb_per_s, cpu_ns_per_msg: self.median(peer, second_figure)? }
            }
            Workload::Lat => Figures::Lat {
                p50_us: self.median(peer, main_figure)?,
                p99_us: self.median(peer, second_figure)?,
            },
        })
    }

    fn median(&self, peer: Peer, figure: fn(Sample) -> f64) -> Option<f64> {
        let values: Vec<f64> = self.values(peer, figure).into_iter().flatten().collect();
        median(&values)
    }

    /// The first of `peers` against `other`, repetition by repetition.
    fn ratio(&self, peer: Peer, other: Peer, figure: fn(Sample) -> f64) -> Option<f64> {
        median_ratio(&self.values(peer, figure), &self.values(other, figure))
    }

    fn values(&self, peer: Peer, figure: fn(Sample) -> f64) -> Vec<Option<f64>> {
        let samples = self.samples.get(&peer).map_or(&[][..], Vec::as_slice);
        samples.iter().map(|sample| sample.map(figure)).collect()
    }
}

/// The table of one workload over one transport: a line per size.
pub(crate) fn section(workload: Workload, transport: Transport, peers: &[Peer], rows: &[Row]) -> String {
    let ratios = ratio_pairs(peers);
    let (title, main, scale, second) = match workload {
        Workload::Thr => ("million messages/s, PUSH to PULL", "M/s", 1e-6, "cpu ns/msg"),
        Workload::Pub => ("million deliveries/s, PUB to SUBs, none lost", "M/s", 1e-6, "cpu ns/msg"),
        Workload::Topics => {
            ("million deliveries/s, 1,000 topics, SUBs take 10 each, none lost", "M/s", 1e-6, "cpu ns/msg")
        }
        Workload::Fanin => ("million messages/s, PUSHes to one PULL", "M/s", 1e-6, "cpu ns/msg"),
        Workload::Route => ("million replies/s, DEALERs to one ROUTER", "M/s", 1e-6, "cpu ns/msg"),
        Workload::Lat => ("round trip in µs, REQ to REP", "p50", 1.0, "p99"),
    };
    let mut header = vec!["size".to_owned(), "fan".to_owned()];
    header.extend(peers.iter().map(|peer| format!("{peer} {main}")));
    header.extend(ratios.iter().map(|(peer, other)| format!("{peer}/{other}")));
    header.extend(peers.iter().map(|peer| format!("{peer} {second}")));
    if workload != Workload::Lat {
        header.extend(peers.iter().map(|peer| format!("{peer} MB/s")));
    }
    let mut table = Table::new(header);
    for row in rows {
        let mut cells = vec![row.case.size.to_string(), row.case.fan.to_string()];
        let medians = |figure, scale: f64| {
            peers.iter().map(move |&peer| cell(row.median(peer, figure).map(|value| value * scale)))
        };
        cells.extend(medians(main_figure, scale));
        cells.extend(ratios.iter().map(|&(peer, other)| cell(row.ratio(peer, other, main_figure))));
        cells.extend(medians(second_figure, 1.0));
        if workload != Workload::Lat {
            cells.extend(medians(main_figure, row.case.size as f64 / 1e6));
        }
        table.push(cells);
    }
    format!("{workload} {transport}: {title}; medians, ratios pair by pair\n\n{}", table.render())
}

/// Which peers are set against which: ours against the others, or else libzmq against the floor.
fn ratio_pairs(peers: &[Peer]) -> Vec<(Peer, Peer)> {
    let pairs = if peers.contains(&Peer::Peermq) {
        vec![(Peer::Peermq, Peer::Libzmq), (Peer::Peermq, Peer::Raw)]
    } else {
        vec![(Peer::Libzmq, Peer::Raw)]
    };
    pairs.into_iter().filter(|(peer, other)| peers.contains(peer) && peers.contains(other)).collect()
}

fn main_figure(sample: Sample) -> f64 {
    match sample {
        Sample::Thr { msgs_per_s, .. } => msgs_per_s,
        Sample::Lat { p50_us, .. } => p50_us,
    }
}

fn second_figure(sample: Sample) -> f64 {
    match sample {
        Sample::Thr { cpu_ns_per_msg, .. } => cpu_ns_per_msg,
        Sample::Lat { p99_us, .. } => p99_us,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thr(msgs_per_s: f64) -> Option<Sample> {
        Some(Sample::Thr { msgs_per_s, cpu_ns_per_msg: 20.0 })
    }

    fn row() -> Row {
        let case = Case { workload: Workload::Thr, transport: Transport::Tcp, size: 64, fan: 1 };
        let samples = BTreeMap::from([
            (Peer::Peermq, vec![thr(40e6), thr(50e6), thr(60e6)]),
            (Peer::Libzmq, vec![thr(5e6), None, thr(6e6)]),
            (Peer::Raw, vec![None, None, None]),
        ]);
        Row::new(case, samples)
    }

    #[test]
    fn a_json_line_has_the_documented_keys_in_order() {
        let lines = row().json_lines();
        assert_eq!(
            lines[0],
            "{\"workload\":\"thr\",\"transport\":\"tcp\",\"size\":64,\"fan\":1,\"peer\":\"peermq\",\
             \"msgs_per_s\":50000000.0,\"mb_per_s\":3200.0,\"cpu_ns_per_msg\":20.0}"
        );
        assert_eq!(lines.len(), 2, "a peer without results has no line");
    }

    #[test]
    fn latency_lines_have_percentiles() {
        let case = Case { workload: Workload::Lat, transport: Transport::Ipc, size: 8, fan: 1 };
        let samples = BTreeMap::from([(Peer::Raw, vec![Some(Sample::Lat { p50_us: 1.5, p99_us: 2.5 })])]);
        assert_eq!(
            Row::new(case, samples).json_lines(),
            ["{\"workload\":\"lat\",\"transport\":\"ipc\",\"size\":8,\"fan\":1,\"peer\":\"raw\",\
              \"p50_us\":1.5,\"p99_us\":2.5}"]
        );
    }

    #[test]
    fn the_table_shows_medians_and_paired_ratios() {
        let peers = [Peer::Peermq, Peer::Libzmq, Peer::Raw];
        let text = section(Workload::Thr, Transport::Tcp, &peers, &[row()]);
        let last = text.lines().last().unwrap();
        let cells: Vec<&str> = last.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(
            cells,
            ["64", "1", "50.0", "5.50", "–", "9.00", "–", "20.0", "20.0", "–", "3200", "352", "–"]
        );
    }
}
