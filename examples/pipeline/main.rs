//! Counts the words of text files in several processes, over tcp, and checks that no line is lost.
//!
//! ```text
//!                     ┌─▶ worker (PULL, counts, PUSH) ─┐
//!  ventilator (PUSH) ─┼─▶ worker                      ─┼─▶ sink (PULL)
//!                     └─▶ worker                      ─┘
//! ```
//!
//! The ventilator and the sink are two threads of this process; the workers are processes that it starts.
//! Run it: `cargo run --release --example pipeline -- [--workers N] [--top N] [PATHS]`

mod sink;
mod ventilator;
mod worker;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use peermq::{Context, Pull, Push};

use crate::sink::Sink;
use crate::workers::Workers;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Counts the words of text files in several processes.
#[derive(Parser)]
struct Args {
    /// Files, and directories to be read with all that is in them [default: this repository]
    paths: Vec<PathBuf>,
    /// Worker processes [default: one for each core, at least 2]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// How many of the most frequent words to print
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// Be a worker, with results for this endpoint
    #[arg(long, hide = true)]
    work_for: Option<String>,
}

fn main() -> Result<ExitCode> {
    let mut args = Args::parse();
    if let Some(sink) = &args.work_for {
        worker::work(sink)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.paths.is_empty() {
        args.paths.push(env!("CARGO_MANIFEST_DIR").into());
    }
    let cores = thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let count = args.workers.map_or(cores, usize::from);

    let context = Context::new();
    let mut results = context.open::<Pull>()?;
    let endpoint = results.bind("tcp://127.0.0.1:0")?;
    let mut workers = Workers::start(count, &endpoint)?;
    // What is not taken when this is dropped, no worker will take any more.
    let mut tasks = context.builder_for::<Push>().linger(Duration::ZERO).open()?;
    let mut connected = 0;
    while connected < count {
        // A worker says where it listens. The queue for it is there as soon as we connect, so that the turns
        // of round robin are even from the first line on. Whoever says anything else is no worker.
        let address = results.recv_timeout(Duration::from_secs(30))?;
        let is_one = address.to_str().is_ok_and(|address| tasks.connect(address).is_ok());
        connected += usize::from(is_one);
    }
    println!("{count} workers, results to {endpoint}");

    let mut end = context.open::<Push>()?;
    results.bind("inproc://end")?;
    end.connect("inproc://end")?;
    let start = Instant::now();
    let mut sink = Sink::new();
    let sent = thread::scope(|scope| {
        let ventilator = scope.spawn(|| ventilator::send_lines(&mut tasks, &mut end, &args.paths));
        sink.collect(&mut results, || workers.are_running());
        context.shutdown(); // a ventilator whose workers are gone must not wait for them
        ventilator.join().unwrap_or_else(|_| Err("the ventilator panicked".into()))
    })?;
    let is_exact = sink.report(sent, start.elapsed(), args.top);
    Ok(if is_exact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
