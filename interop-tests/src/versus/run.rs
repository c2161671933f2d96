//! Starts the processes of one run, watches them, and ends them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::conductor::{Conductor, Note, Outlet, hear};
use super::sample::Sample;
use super::side::RUN_DEADLINE;
use super::task::{Peer, Role, Task, Transport};
use super::workload::Workload;

/// How often a process that should end is looked at.
const EXIT_POLL: Duration = Duration::from_millis(1);

/// Runs `task` to its end. All its processes are gone when this returns.
///
/// `path` is where an `ipc` socket may be; nothing is left there.
pub(crate) fn run(mut task: Task, path: &Path) -> Result<Sample> {
    task.address = address(task.case.transport, path);
    let deadline = Instant::now() + RUN_DEADLINE;
    let (say, notes) = mpsc::channel();
    match task.case.transport {
        Transport::Inproc => run_in_one_process(&task, &say, &notes, deadline),
        _ if task.case.workload == Workload::Connections => run_with_restart(&task, &say, notes, deadline),
        Transport::Tcp | Transport::Ipc => run_in_two_processes(&task, &say, notes, deadline),
    }
}

fn run_in_one_process(
    task: &Task,
    say: &Sender<(Role, Note)>,
    notes: &Receiver<(Role, Note)>,
    deadline: Instant,
) -> Result<Sample> {
    let mut both = Running::start(task, Role::Both, say)?;
    let (_, note) = hear(notes, deadline)?;
    let Note::Measured(sample) = note else { bail!("the process said {note:?}") };
    both.wait(deadline)?;
    Ok(sample)
}

fn run_in_two_processes(
    task: &Task,
    say: &Sender<(Role, Note)>,
    notes: Receiver<(Role, Note)>,
    deadline: Instant,
) -> Result<Sample> {
    let mut binder = Running::start(task, Role::Bind, say)?;
    let mut connecter = Running::start(task, Role::Connect, say)?;
    let mut conductor = Conductor {
        notes,
        binder: Outlet::Pipe(binder.take_orders()?),
        connecter: Outlet::Pipe(connecter.take_orders()?),
        deadline,
    };
    let sample = conductor.lead(task.case.workload, false)?;
    binder.wait(deadline)?;
    connecter.wait(deadline)?;
    Ok(sample)
}

/// The binding side is killed in between, and another process takes its place.
fn run_with_restart(
    task: &Task,
    say: &Sender<(Role, Note)>,
    notes: Receiver<(Role, Note)>,
    deadline: Instant,
) -> Result<Sample> {
    let mut server = Running::start(task, Role::Bind, say)?;
    let mut peers = Running::start(task, Role::Connect, say)?;
    let mut conductor = Conductor {
        notes,
        binder: Outlet::Pipe(server.take_orders()?),
        connecter: Outlet::Pipe(peers.take_orders()?),
        deadline,
    };
    let (address, ready) = conductor.lead_arrival()?;
    let (octets_per_peer, idle_cpu_percent) = conductor.watch_idle()?;
    drop(server);
    conductor.hear_end(Role::Bind)?;
    let mut server = Running::start(&Task { address, ..task.clone() }, Role::Bind, say)?;
    conductor.binder = Outlet::Pipe(server.take_orders()?);
    let back = conductor.lead_return()?;
    server.wait(deadline)?;
    peers.wait(deadline)?;
    let (ready_s, back_s) = (ready.as_secs_f64(), back.as_secs_f64());
    Ok(Sample::Connections { octets_per_peer, idle_cpu_percent, ready_s, back_s })
}

/// What the binding side binds to.
fn address(transport: Transport, path: &Path) -> String {
    match transport {
        Transport::Tcp => "tcp://127.0.0.1:0".to_owned(),
        Transport::Ipc => format!("ipc://{}", path.display()),
        Transport::Inproc => "inproc://versus".to_owned(),
    }
}

/// This program again, or the one that has the rivals, which is beside it.
pub(crate) fn program(peer: Peer) -> Result<PathBuf> {
    let ours = std::env::current_exe()?;
    Ok(if peer.is_rival() { ours.with_file_name("versus-rivals") } else { ours })
}

/// Builds the program that has the rivals, where it is looked for.
pub(crate) fn build_rivals() -> Result<()> {
    let ours = std::env::current_exe()?;
    let target = ours.ancestors().nth(2).context("not in a target directory")?;
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let status = Command::new("cargo")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--package", "interop-rivals", "--profile", profile, "--target-dir"])
        .arg(target)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the rivals cannot be built: {status}");
    Ok(())
}

/// A child process, killed when dropped.
#[derive(Debug)]
struct Running {
    child: Child,
    role: Role,
}

impl Running {
    /// Starts the program as `role`; a thread passes on what it says.
    fn start(task: &Task, role: Role, say: &Sender<(Role, Note)>) -> Result<Self> {
        let text = serde_json::to_string(&Task { role, ..task.clone() })?;
        let mut child = Command::new(program(task.peer)?)
            .args(["side", &text])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a process")?;
        if let Some(output) = child.stdout.take() {
            let say = say.clone();
            thread::spawn(move || pass_on(output, role, &say));
        }
        Ok(Self { child, role })
    }

    fn take_orders(&mut self) -> Result<ChildStdin> {
        self.child.stdin.take().context("the process has no standard input")
    }

    fn wait(&mut self, deadline: Instant) -> Result<()> {
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the {:?} process ended with {status}", self.role);
            }
            thread::sleep(EXIT_POLL);
        }
        bail!("the {:?} process measured but did not end before the deadline", self.role)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends when the process closes its output or the conductor no longer listens.
fn pass_on(output: ChildStdout, role: Role, say: &Sender<(Role, Note)>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let note = serde_json::from_str(&line).unwrap_or_else(|_| Note::Failed(format!("it said {line:?}")));
        if say.send((role, note)).is_err() {
            return;
        }
    }
    let _ = say.send((role, Note::Gone));
}
