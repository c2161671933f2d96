//! `versus`: one comparison of `peermq`, libzmq and plain sockets that everyone can repeat.
//!
//! The parent runs every implementation in turn within each repetition, so that a slow minute of the
//! machine meets all of them. A run is two processes of this same program (`inproc`: one process with
//! two threads), pinned before they open a socket; the side that binds takes CPU 0.
//!
//! [`task`] says what a run is, [`conductor`] keeps its two sides in step, [`side`] is what a side
//! does, and [`peermq_peer`], [`libzmq_peer`], [`raw_peer`] are the implementations behind one trait.

mod args;
mod conductor;
mod fan;
mod libzmq_peer;
mod machine;
mod peermq_peer;
mod raw_link;
mod raw_peer;
mod report;
mod run;
mod side;
mod stamp;
mod stats;
mod table;
mod task;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::args::{Arguments, Plan};
use self::report::Row;
use self::task::{Peer, Sample};

/// Runs the program: the comparison, or one side of a run when started by itself.
///
/// Success only if every run of every implementation ended with a correct result.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.task() {
        Some(text) => side::main(text).map(|()| true),
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
    let directory = tempfile::Builder::new().prefix("versus-").tempdir().context("no temporary directory")?;
    if !plan.json {
        println!("{}", machine::describe());
    }
    let progress = progress_bar(plan);
    let mut all_well = true;
    for (workload, transport) in plan.sections() {
        let mut rows = Vec::new();
        for case in plan.cases(workload, transport) {
            let mut samples: BTreeMap<Peer, Vec<Option<Sample>>> = BTreeMap::new();
            for _ in 0..plan.reps {
                for peer in plan.peers(workload) {
                    let path = directory.path().join(progress.position().to_string());
                    progress.set_message(format!("{case}, {peer}"));
                    let sample = match run::run(plan.task(case, peer), &path) {
                        Ok(sample) => Some(sample),
                        Err(error) => {
                            all_well = false;
                            progress.suspend(|| eprintln!("versus: {case}, {peer}: {error:#}"));
                            None
                        }
                    };
                    samples.entry(peer).or_default().push(sample);
                    progress.inc(1);
                }
            }
            let row = Row::new(case, samples);
            if plan.json {
                progress.suspend(|| row.json_lines().iter().for_each(|line| println!("{line}")));
            }
            rows.push(row);
        }
        if !plan.json {
            progress.suspend(|| {
                println!("\n{}", report::section(workload, transport, &plan.peers(workload), &rows))
            });
        }
    }
    progress.finish_and_clear();
    Ok(all_well)
}

/// A bar on a terminal, nothing elsewhere. It has no ticker: a thread of ours would run beside the
/// processes that are measured.
fn progress_bar(plan: &Plan) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(plan.run_count()), target);
    match ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left: {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
