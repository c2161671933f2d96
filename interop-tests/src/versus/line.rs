//! The results: what all repetitions of a case say together, and the file in which that is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::sample::Sample;
use super::stats::{median, median_ratio};
use super::task::{Case, Peer, Pin, PingPong, Transport};
use super::workload::Workload;

/// Figures by name.
type Figures = IndexMap<String, f64>;

/// One case of one peer. Medians.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) workload: Workload,
    pub(crate) transport: Transport,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ping_pong: Option<PingPong>,
    pub(crate) size: usize,
    pub(crate) fan: u32,
    pub(crate) peer: Peer,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    pub(crate) pin: Pin,
    /// Runs that ended well, of all that were made.
    pub(crate) runs: (usize, usize),
    /// The same figures against those of libzmq: medians of ratios, repetition by repetition.
    #[serde(default, skip_serializing_if = "Figures::is_empty")]
    pub(crate) of_libzmq: Figures,
    /// The same against plain sockets.
    #[serde(default, skip_serializing_if = "Figures::is_empty")]
    pub(crate) of_raw: Figures,
}

/// Where the results come from: the first line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Machine, system, date, versions.
    pub(crate) machine: String,
    /// How this program was called.
    pub(crate) command: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Origin(Origin),
    Line(Box<Line>),
}

impl Line {
    /// What the samples of a case say, for each peer that has any; `None` stands for a run that failed.
    pub(crate) fn of(case: Case, samples: &BTreeMap<Peer, Vec<Option<Sample>>>) -> Vec<Self> {
        let Case { workload, transport, ping_pong, size, fan, pin } = case;
        let lines = samples.iter().filter_map(|(&peer, own)| {
            let figures = figures(own, size);
            let against = |other| match samples.get(&other) {
                Some(theirs) if other != peer => ratios(own, theirs, size),
                _ => Figures::new(),
            };
            let (of_libzmq, of_raw) = (against(Peer::Libzmq), against(Peer::Raw));
            let runs = (own.iter().flatten().count(), own.len());
            let line = Self {
                workload,
                transport,
                ping_pong,
                size,
                fan,
                peer,
                figures,
                pin,
                runs,
                of_libzmq,
                of_raw,
            };
            (runs.0 > 0).then_some(line)
        });
        lines.collect()
    }

    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }

    /// Whether both are about the same.
    fn is_about(&self, other: &Self) -> bool {
        let key = |line: &Self| {
            (line.workload, line.transport, line.ping_pong, line.size, line.fan, line.peer, line.pin)
        };
        key(self) == key(other)
    }
}

/// Reads results. Of two lines about the same the later one counts, in the place of the earlier.
pub(crate) fn read(files: &[impl AsRef<Path>]) -> Result<(Vec<Origin>, Vec<Line>)> {
    let (mut origins, mut lines) = (Vec::new(), Vec::<Line>::new());
    for path in files.iter().map(AsRef::as_ref) {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        for (number, text) in (1..).zip(text.lines()) {
            let entry = serde_json::from_str(text).with_context(|| format!("{}:{number}", path.display()))?;
            match entry {
                Entry::Origin(origin) => origins.push(origin),
                Entry::Line(line) => match lines.iter_mut().find(|it| it.is_about(&line)) {
                    Some(earlier) => *earlier = *line,
                    None => lines.push(*line),
                },
            }
        }
    }
    Ok((origins, lines))
}

/// The names of all figures, and for each repetition its values.
fn values(samples: &[Option<Sample>], size: usize) -> Vec<(&'static str, Vec<Option<f64>>)> {
    let names = samples.iter().flatten().next().map(|sample| sample.figures(size)).unwrap_or_default();
    let of = |at: usize| {
        let figure = |sample: Sample| sample.figures(size).get(at).map(|&(_, value)| value);
        samples.iter().map(|sample| sample.and_then(figure).filter(|it| it.is_finite())).collect()
    };
    names.iter().enumerate().map(|(at, &(name, _))| (name, of(at))).collect()
}

fn figures(samples: &[Option<Sample>], size: usize) -> Figures {
    let medians = values(samples, size).into_iter().filter_map(|(name, values)| {
        Some((name.to_owned(), median(&values.into_iter().flatten().collect::<Vec<_>>())?))
    });
    medians.collect()
}

fn ratios(ours: &[Option<Sample>], theirs: &[Option<Sample>], size: usize) -> Figures {
    let pairs = values(ours, size).into_iter().zip(values(theirs, size));
    let ratios = pairs.filter_map(|((name, ours), (_, theirs))| {
        Some((name.to_owned(), median_ratio(&ours, &theirs).filter(|it| it.is_finite())?))
    });
    ratios.collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Three repetitions, of which some failed.
    pub(crate) fn some_lines() -> Vec<Line> {
        let case = Case {
            workload: Workload::Thr,
            transport: Transport::Tcp,
            ping_pong: None,
            size: 64,
            fan: 1,
            pin: Pin::Split,
        };
        let thr = |msgs_per_s| Some(Sample::Thr { msgs_per_s, cpu_ns_per_msg: 20.0 });
        let samples = BTreeMap::from([
            (Peer::Peermq, vec![thr(40e6), thr(50e6), thr(60e6)]),
            (Peer::Libzmq, vec![thr(5e6), None, thr(6e6)]),
            (Peer::Raw, vec![None, None, None]),
        ]);
        Line::of(case, &samples)
    }

    #[test]
    fn a_json_line_has_the_documented_keys_in_order() {
        let lines = some_lines();
        assert_eq!(
            serde_json::to_string(&lines[0]).unwrap(),
            "{\"workload\":\"thr\",\"transport\":\"tcp\",\"size\":64,\"fan\":1,\"peer\":\"peermq\",\
             \"msgs_per_s\":50000000.0,\"mb_per_s\":3200.0,\"cpu_ns_per_msg\":20.0,\"pin\":\"split\",\
             \"runs\":[3,3],\
             \"of_libzmq\":{\"msgs_per_s\":9.0,\"mb_per_s\":9.0,\"cpu_ns_per_msg\":1.0}}"
        );
        assert_eq!(lines[1].runs, (2, 3));
        assert_eq!(lines.len(), 2, "a peer without results has no line");
    }

    #[test]
    fn of_two_results_for_the_same_the_later_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("results.jsonl");
        let origin = Origin { machine: "m".into(), command: "c".into() };
        let earlier = some_lines();
        let mut later = earlier[0].clone();
        later.figures.insert("msgs_per_s".into(), 1.0);
        let mut text = serde_json::to_string(&origin).unwrap();
        for line in earlier.iter().chain([&later]) {
            text += &format!("\n{}", serde_json::to_string(line).unwrap());
        }
        fs::write(&path, text).unwrap();
        let (origins, lines) = read(&[&path]).unwrap();
        assert_eq!(origins, [origin]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].figure("msgs_per_s"), Some(1.0));
        assert_eq!(lines[0].of_libzmq, earlier[0].of_libzmq);
    }
}
