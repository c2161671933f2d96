//! The comparison runs to its end: every workload of every implementation, with few messages.

use std::fs;
use std::process::{Command, Stdio};

/// Of each line: the workload, the peer, and the figure that its plot or table begins with.
const EXPECTED: [(&str, &[&str], &str); 10] = [
    ("thr", &["peermq", "libzmq", "raw"], "msgs_per_s"),
    ("lat", &["peermq", "libzmq", "raw"], "p50_us"),
    ("oneway", &["peermq", "libzmq", "raw"], "p50_us"),
    ("pub", &["peermq", "libzmq"], "msgs_per_s"),
    ("stalled", &["peermq", "libzmq"], "stalled_p99_us"),
    ("topics", &["peermq", "libzmq"], "msgs_per_s"),
    ("fanin", &["peermq", "libzmq"], "msgs_per_s"),
    ("route", &["peermq", "libzmq"], "msgs_per_s"),
    ("threads", &["peermq", "libzmq", "raw"], "msgs_per_s"),
    ("connections", &["peermq", "libzmq", "raw"], "back_s"),
];

#[test]
fn every_workload_ends_with_figures_a_report_and_plots() {
    let out = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_versus"))
        .args("--quick --reps 1 --transport tcp --pin none --sizes 64 --fan 3 --out".split(' '))
        .arg(out.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "some run failed: {status}");
    let results = fs::read_to_string(out.path().join("results.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        results.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    for (workload, peers, figure) in EXPECTED {
        for peer in peers {
            let of = |line: &&serde_json::Value| line["workload"] == workload && line["peer"] == *peer;
            let figures: Vec<_> = lines.iter().filter(of).map(|line| line[figure].as_f64()).collect();
            let expected = if workload == "lat" { 4 } else { 1 };
            assert_eq!(figures.len(), expected, "{workload}, {peer}");
            assert!(
                figures.iter().all(|it| it.is_some_and(|it| it > 0.0)),
                "{workload}, {peer}: {figures:?}"
            );
        }
    }
    let report = fs::read_to_string(out.path().join("report.md")).unwrap();
    for plot in ["throughput", "latency", "fan-out", "connections"] {
        for file in [format!("{plot}.svg"), format!("{plot}-dark.svg")] {
            assert!(fs::metadata(out.path().join(&file)).is_ok_and(|it| it.len() > 1000), "{file}");
            assert!(report.contains(&file), "{file}");
        }
    }
}
