//! `versus`: one comparison of `peermq`, libzmq and plain sockets that everyone can repeat.
//!
//! The parent runs every implementation in turn within each repetition, so that a slow minute of the
//! machine meets all of them. A run is two processes of this same program (`inproc`: one process with
//! two threads), pinned before they open a socket; the side that binds takes CPU 0.
//!
//! [`workload`] says what there is to measure, [`task`] what a run is, [`conductor`] keeps its two sides in
//! step, [`side`], [`fan`], [`stalled`], [`threads`] and [`connections`] are what a side does, and [`peermq_peer`],
//! [`libzmq_peer`], [`raw_peer`] and their neighbours are the implementations behind one trait each. Other
//! implementations are in a program of their own, `interop-rivals`. What comes out are [`line`]s, of which
//! [`report`] makes tables and [`figures`] plots.

mod args;
mod bodies;
mod conductor;
mod connections;
mod fan;
mod figures;
mod handoff;
mod libzmq_many;
mod libzmq_pair;
mod libzmq_peer;
mod line;
mod machine;
mod peermq_many;
mod peermq_pair;
mod peermq_peer;
mod plot;
mod progress;
mod raw_link;
mod raw_many;
mod raw_peer;
mod report;
mod run;
mod sample;
mod secrets;
mod side;
mod stalled;
pub mod stamp;
mod stats;
mod table;
mod task;
mod threads;
mod workload;

// What a program with other implementations needs.
pub use self::bodies::{Bodies, Body};
pub use self::conductor::{Note, Order, Port};
pub use self::sample::{Sample, Times};
pub use self::side::{ONE_WAY_PAUSE, cpu_ns, end_with_parent, nanoseconds, pin, shared_clock_ns};
pub use self::task::{Case, Peer, Pin, PingPong, Role, Task, Transport};
pub use self::workload::Workload;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use self::args::{Arguments, Command, Plan};
use self::line::{Line, Origin};
use self::progress::Progress;

/// The file of the results, in their directory.
const RESULTS: &str = "results.jsonl";

/// Runs the program: the comparison, or one side of a run when started by itself.
///
/// Success only if every run of every implementation ended with a correct result.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Some(Command::Side { task }) => side::main(task).map(|()| true),
        Some(Command::Draw { results, out }) => draw(results, out.clone()).map(|()| true),
        None => arguments.plan().and_then(|plan| compare(&plan)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("versus: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the whole plan and prints as it goes. `false`: some run failed, which was said on stderr.
fn compare(plan: &Plan) -> Result<bool> {
    if plan.curve && plan.peers.contains(&Peer::Libzmq) {
        secrets::check_libzmq()?;
    }
    let out = directory(plan.out.clone(), plan.quick)?;
    let mut results = File::create(out.join(RESULTS)).with_context(|| out.display().to_string())?;
    let command = std::env::args().collect::<Vec<_>>().join(" ");
    let origin = Origin { machine: machine::describe(), command };
    writeln!(results, "{}", serde_json::to_string(&origin)?)?;
    if !plan.json {
        println!("{}", origin.machine);
    }
    if let Some(shortcoming) = plan.shortcoming() {
        eprintln!("versus: {shortcoming}");
    }
    if plan.peers.iter().any(|peer| peer.is_rival()) {
        run::build_rivals()?;
    }
    let sockets = tempfile::Builder::new().prefix("versus-").tempdir().context("no temporary directory")?;
    let progress = Progress::new(plan.run_count());
    let mut all_well = true;
    for section in plan.sections() {
        let mut lines = Vec::new();
        for case in plan.cases(section) {
            let samples = measure(plan, case, sockets.path(), &progress);
            all_well &= samples.values().flatten().all(Option::is_some);
            for line in Line::of(case, &samples) {
                let text = serde_json::to_string(&line)?;
                writeln!(results, "{text}")?;
                if plan.json {
                    progress.suspend(|| println!("{text}"));
                }
                lines.push(line);
            }
            let told = lines.iter().filter(|line| line.size == case.size && line.fan == case.fan);
            let told = told.filter(|line| line.ping_pong == case.ping_pong).map(report::brief);
            progress.tell(format!("{case}: {}", told.collect::<Vec<_>>().join(", ")));
        }
        if !plan.json && !lines.is_empty() {
            progress.suspend(|| println!("\n{}", report::section(section, &lines)));
        }
    }
    progress.finish();
    draw(&[out.join(RESULTS)], Some(out))?;
    Ok(all_well)
}

/// All repetitions of a case, of each peer in turn. Another crate is left out after its first failure.
fn measure(
    plan: &Plan,
    case: Case,
    sockets: &Path,
    progress: &Progress,
) -> BTreeMap<Peer, Vec<Option<Sample>>> {
    let mut samples: BTreeMap<Peer, Vec<Option<Sample>>> = BTreeMap::new();
    for _ in 0..plan.reps {
        for peer in plan.peers(case) {
            // Another crate that fails mostly hangs, which takes as long each time.
            let has_failed = samples.get(&peer).is_some_and(|samples| samples.iter().any(Option::is_none));
            if peer.is_rival() && has_failed {
                progress.end();
                continue;
            }
            let path = sockets.join(progress.done().to_string());
            progress.begin(format_args!("{case}, {peer}"));
            let sample = run::run(plan.task(case, peer), &path);
            if let Err(error) = &sample {
                progress.suspend(|| eprintln!("versus: {case}, {peer}: {error:#}"));
            }
            samples.entry(peer).or_default().push(sample.ok());
            progress.end();
        }
    }
    samples
}

/// Writes what can be read out of results.
fn draw(results: &[PathBuf], out: Option<PathBuf>) -> Result<()> {
    let out = directory(out, false)?;
    let (origins, lines) = line::read(results)?;
    let mut caption = origins.iter().map(|it| it.machine.as_str()).collect::<Vec<_>>().join(" · ");
    let least = lines.iter().map(|line| line.runs.0).min();
    caption += &least.map_or_else(String::new, |runs| format!("; medians of {runs} or more runs"));
    let mut plots = Vec::new();
    for figure in figures::figures(&lines) {
        let files = plot::draw(&figure, &caption, &out)?;
        plots.push((files, figure.title));
    }
    let report = out.join("report.md");
    fs::write(&report, report::document(&origins, &lines, &plots))?;
    eprintln!("versus: {}", report.display());
    Ok(())
}

/// Where results go, made if it is not there: in Cargo's target directory, in which this program is.
fn directory(asked: Option<PathBuf>, quick: bool) -> Result<PathBuf> {
    let out = match asked {
        Some(out) => out,
        None => {
            let program = std::env::current_exe()?;
            let target = program.ancestors().nth(2).context("not in a target directory")?;
            target.join(if quick { "versus/quick" } else { "versus" })
        }
    };
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    Ok(out)
}
