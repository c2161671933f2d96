//! Instructions per message of `send` and `recv`, counted by valgrind's callgrind: the same on every run, so that small
//! changes of the hot paths show.
//!
//! ```sh
//! cargo bench --bench instructions             # compares with benches/instructions.tsv
//! cargo bench --bench instructions -- --write  # replaces it
//! ```
//!
//! PUSH and PULL over inproc, on one thread: as they are, and as sockets that threads may share. Each case runs twice with different numbers of messages: the difference
//! is what messages cost, without what comes before and after. Other compilers, C libraries (whose `memcpy` differs)
//! and kinds of processors count differently: compare what one machine counted.

use std::error::Error;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::{env, fs};

use peermq::{Context, Message, Pull, Push, SharedSocket, Socket};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.tsv");

const SIZES: [usize; 2] = [64, 1024];

/// What is counted: a function of this program that callgrind looks into.
const PATHS: [&str; 4] = ["send_messages", "recv_messages", "send_shared", "recv_shared"];

/// Messages that are sent before as many are received.
const BATCH: u32 = 100;

/// How many batches there are in the shorter of the two runs, and in the longer.
const BATCHES: [u32; 2] = [50, 150];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["messages", size, batches] => exchange(size, batches),
        // As a test nothing is counted.
        _ if !arguments.contains(&"--bench") => Ok(()),
        _ => count_all(arguments.contains(&"--write")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count_all(writes: bool) -> Result<()> {
    let Ok(valgrind) = Command::new("valgrind").arg("--version").output() else {
        println!("instructions: not counted, there is no valgrind");
        return Ok(());
    };
    let record = fs::read_to_string(RECORD).unwrap_or_default();
    let mut lines = vec![
        format!("# {}, {}, {}", String::from_utf8(valgrind.stdout)?.trim(), rustc()?, env::consts::ARCH),
        "path\tsize\tinstructions per message".to_owned(),
    ];
    println!("{:<16}{:>6}{:>14}{:>14}{:>10}", "path", "size", "instructions", "before", "change");
    for path in PATHS {
        for size in SIZES {
            let [less, more] = BATCHES.map(|batches| count(path, size, batches));
            let now = (more? - less?) as f64 / f64::from(BATCH * (BATCHES[1] - BATCHES[0]));
            let key = format!("{path}\t{size}\t");
            let before = record.lines().find_map(|line| line.strip_prefix(&key)?.parse::<f64>().ok());
            // Without a sign for nothing.
            let change = |it: f64| (1000.0 * (now / it - 1.0)).round() / 10.0 + 0.0;
            let change = before.map_or_else(String::new, |it| format!("{:+.1} %", change(it)));
            let before = before.map_or_else(String::new, |it| format!("{it:.1}"));
            println!("{path:<16}{size:>6}{now:>14.1}{before:>14}{change:>10}");
            lines.push(format!("{key}{now:.1}"));
        }
    }
    if writes {
        fs::write(RECORD, lines.join("\n") + "\n")?;
    }
    Ok(())
}

/// Instructions in the function and all that it calls.
fn count(path: &str, size: usize, batches: u32) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=*{path}*"))
        .arg(env::current_exe()?)
        .args(["messages", &size.to_string(), &batches.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : "));
    match collected {
        Some((_, count)) if output.status.success() => Ok(count.trim().parse()?),
        _ => Err(text.into()),
    }
}

fn rustc() -> Result<String> {
    let output =
        Command::new(env::var("RUSTC").unwrap_or_else(|_| "rustc".into())).arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// What valgrind runs.
fn exchange(size: &str, batches: &str) -> Result<()> {
    let context = Context::new();
    let mut pull = context.open::<Pull>()?;
    pull.bind("inproc://instructions")?;
    let mut push = context.open::<Push>()?;
    push.connect("inproc://instructions")?;
    let (body, mut message) = (vec![7; size.parse()?], Message::new());
    let batches = batches.parse()?;
    for _ in 0..batches {
        send_messages(&mut push, &body)?;
        recv_messages(&mut pull, &mut message)?;
    }
    let (push, pull) = (SharedSocket::new(push), SharedSocket::new(pull));
    for _ in 0..batches {
        send_shared(&push, &body)?;
        recv_shared(&pull, &mut message)?;
    }
    Ok(())
}

#[inline(never)]
fn send_shared(push: &SharedSocket<Push>, body: &[u8]) -> Result<()> {
    for _ in 0..BATCH {
        push.send(black_box(body))?;
    }
    Ok(())
}

#[inline(never)]
fn recv_shared(pull: &SharedSocket<Pull>, message: &mut Message) -> Result<()> {
    for _ in 0..BATCH {
        pull.recv_into(message)?;
        black_box(message.body());
    }
    Ok(())
}

#[inline(never)]
fn send_messages(push: &mut Socket<Push>, body: &[u8]) -> Result<()> {
    for _ in 0..BATCH {
        push.send(black_box(body))?;
    }
    Ok(())
}

#[inline(never)]
fn recv_messages(pull: &mut Socket<Pull>, message: &mut Message) -> Result<()> {
    for _ in 0..BATCH {
        pull.recv_into(message)?;
        black_box(message.body());
    }
    Ok(())
}
