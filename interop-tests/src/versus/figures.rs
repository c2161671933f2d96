//! Which plots there are: what of the results is drawn against what.

use std::collections::BTreeMap;

use super::line::Line;
use super::plot::{Axis, Figure, Panel, Series};
use super::task::{Pin, PingPong, Transport};
use super::workload::Workload;

/// Percentiles in the order in which they are drawn: names of figures, and what to call them.
const PERCENTILES: [(&str, &str); 4] =
    [("p50_us", "50"), ("p90_us", "90"), ("p99_us", "99"), ("p999_us", "99.9")];

const TRANSPORTS: [Transport; 3] = [Transport::Tcp, Transport::Ipc, Transport::Inproc];

/// All plots for which there are results.
pub(crate) fn figures(lines: &[Line]) -> Vec<Figure> {
    let figures = [throughput(lines), latency(lines), fan_out(lines), connections(lines)];
    figures.into_iter().filter(|figure| figure.rows.iter().any(|row| !row.is_empty())).collect()
}

fn throughput(lines: &[Line]) -> Figure {
    let panels = TRANSPORTS.map(|transport| {
        let of = |line: &&Line| line.workload == Workload::Thr && line.transport == transport;
        let series =
            series(lines.iter().filter(of), |line| Some((line.size as f64, line.figure("msgs_per_s")?)));
        Panel {
            title: transport.to_string(),
            x: Axis::octets("message size"),
            y: Axis::rates("messages/s"),
            series,
        }
    });
    Figure {
        name: "throughput",
        title: "Throughput, PUSH to PULL, a core for each side".to_owned(),
        rows: vec![present(panels)],
    }
}

fn latency(lines: &[Line]) -> Figure {
    let is_lat = |line: &&Line| line.workload == Workload::Lat && line.ping_pong == Some(PingPong::ReqRep);
    let size = lines.iter().filter(is_lat).map(|line| line.size).min().unwrap_or_default();
    let row = |pin| {
        let panels = TRANSPORTS.map(|transport| {
            let of = |line: &&Line| (line.transport, line.pin, line.size) == (transport, pin, size);
            let mut series: BTreeMap<_, Series> = BTreeMap::new();
            for line in lines.iter().filter(is_lat).filter(of) {
                let points = (0..)
                    .zip(PERCENTILES)
                    .filter_map(|(at, (name, _))| Some((f64::from(at), line.figure(name)?)));
                series.entry(line.peer).or_default().extend(points);
            }
            let title = match pin {
                Pin::Same => format!("{transport}, both sides on one core"),
                Pin::Split => format!("{transport}, a core for each side"),
                Pin::None => format!("{transport}, not pinned"),
            };
            let x = Axis::named("percentile", &PERCENTILES.map(|(_, label)| label));
            Panel { title, x, y: Axis::times("round trip in µs"), series }
        });
        present(panels)
    };
    Figure {
        name: "latency",
        title: format!("Round trip, REQ to REP, {size} B"),
        rows: [Pin::Same, Pin::Split, Pin::None].map(row).into(),
    }
}

fn fan_out(lines: &[Line]) -> Figure {
    let is_pub = |line: &&Line| line.workload == Workload::Pub;
    let mut sizes: Vec<usize> = lines.iter().filter(is_pub).map(|line| line.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let row = |size: &usize| {
        let panels = [Transport::Tcp, Transport::Ipc].map(|transport| {
            let of = |line: &&Line| (line.transport, line.size) == (transport, *size);
            let series = series(lines.iter().filter(is_pub).filter(of), |line| {
                Some((f64::from(line.fan), line.figure("msgs_per_s")?))
            });
            let title = format!("{transport}, {}", super::plot::octets(*size as f64));
            Panel { title, x: Axis::counts("subscribers"), y: Axis::rates("deliveries/s"), series }
        });
        present(panels)
    };
    Figure {
        name: "fan-out",
        title: "Fan-out, one PUB to many SUBs, nothing lost".to_owned(),
        rows: sizes.iter().map(row).collect(),
    }
}

fn connections(lines: &[Line]) -> Figure {
    let panel = |title: &str, name: &'static str, y: Axis| {
        let of = |line: &&Line| line.workload == Workload::Connections;
        let series = series(lines.iter().filter(of), |line| Some((f64::from(line.fan), line.figure(name)?)));
        Panel { title: title.to_owned(), x: Axis::rates("connections"), y, series }
    };
    let panels = [
        panel("memory of the server", "octets_per_peer", Axis::octets("memory per connection")),
        panel("until all are connected", "ready_s", Axis::times("seconds")),
        panel("until all are back after a restart", "back_s", Axis::times("seconds")),
    ];
    Figure {
        name: "connections",
        title: "Idle tcp connections of one ROUTER".to_owned(),
        rows: vec![present(panels)],
    }
}

/// A curve for each peer.
fn series<'a>(
    lines: impl Iterator<Item = &'a Line>,
    point: impl Fn(&Line) -> Option<(f64, f64)>,
) -> BTreeMap<super::task::Peer, Series> {
    let mut series: BTreeMap<_, Series> = BTreeMap::new();
    for line in lines {
        // What cannot be drawn on a logarithmic axis: memory that did not grow.
        let point = point(line).filter(|&(_, y)| y > 0.0);
        series.entry(line.peer).or_default().extend(point);
    }
    series.values_mut().for_each(|points| points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    series.retain(|_, points| !points.is_empty());
    series
}

fn present(panels: impl IntoIterator<Item = Panel>) -> Vec<Panel> {
    panels.into_iter().filter(|panel| !panel.series.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versus::line::tests::some_lines;

    #[test]
    fn there_is_a_plot_for_what_was_measured_only() {
        let figures = figures(&some_lines());
        assert_eq!(figures.iter().map(|it| it.name).collect::<Vec<_>>(), ["throughput"]);
        assert_eq!(figures[0].rows[0].len(), 1);
        assert_eq!(figures[0].rows[0][0].series.len(), 2);
    }
}
