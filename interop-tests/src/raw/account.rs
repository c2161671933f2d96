//! ACCT: what a conversation leaves behind: descriptors, threads, and octets of memory.

use std::alloc::System;
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, panic};

use cap::Cap;
use peermq::{Context, Pair};

use super::DEADLINE;

/// The limit for a counting allocator: none.
pub const ALLOCATOR_LIMIT: usize = usize::MAX;

/// What the process holds.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    descriptors: usize,
    threads: usize,
    octets: usize,
    allocator: &'static Cap<System>,
}

impl Account {
    /// Counts, with the test binary's own allocator.
    #[must_use]
    pub fn take(allocator: &'static Cap<System>) -> Self {
        Self {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            octets: allocator.allocated(),
            allocator,
        }
    }

    /// Octets of memory in use.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Octets that the system counts as the process's own, with what its allocator keeps for later.
    #[must_use]
    pub fn resident() -> usize {
        let pages = fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// Octets of memory in use beyond what this account says.
    #[must_use]
    pub fn growth(&self) -> usize {
        self.allocator.allocated().saturating_sub(self.octets)
    }

    /// Waits until so many octets more than this account says are in use, to within 4 KiB (what was on its way out when
    /// the account was taken may have gone since), and returns how many more they are.
    ///
    /// # Panics
    ///
    /// When they are not in time.
    #[must_use]
    pub fn wait_growth(&self, least: usize) -> usize {
        let until = Instant::now() + DEADLINE;
        loop {
            let growth = self.growth();
            if growth + SLACK >= least {
                return growth;
            }
            assert!(Instant::now() < until, "{growth} octets, and not {least}");
            std::thread::yield_now();
        }
    }

    /// Waits until all connections made since are closed, but for `rest` descriptors.
    ///
    /// # Panics
    ///
    /// When they are not in time.
    pub fn assert_closed_but(&self, rest: usize) {
        self.wait_until(|now| now.descriptors <= self.descriptors + rest);
    }

    /// Waits until everything is back to this account; memory to within 4 KiB.
    ///
    /// # Panics
    ///
    /// When it is not in time.
    pub fn assert_restored(&self) {
        self.wait_until(|now| {
            now.descriptors <= self.descriptors
                && now.threads <= self.threads
                && now.octets <= self.octets + SLACK
        });
    }

    fn wait_until(&self, is_restored: impl Fn(&Self) -> bool) {
        let until = Instant::now() + DEADLINE;
        loop {
            let now = Self::take(self.allocator);
            if is_restored(&now) {
                return;
            }
            assert!(Instant::now() < until, "{now:?} is left of {self:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// So many rounds with `PEERMQ_FULL`, which takes minutes, else as few.
#[must_use]
pub fn full_or(full: usize, few: usize) -> usize {
    if env::var_os("PEERMQ_FULL").is_some() { full } else { few }
}

/// Runs a test by itself, in a process that runs no other test and ends at the first panic of any thread,
/// also one that is caught: `name` is the test's own.
///
/// # Panics
///
/// When the test fails, or there is none of this name.
pub fn alone(name: &str, test: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            print(info);
            process::abort();
        }));
        wait_in_step();
        println!(); // behind the name of the test
        return test();
    }
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1", "--nocapture"])
        .env(ALONE, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    let is_passed = run.status.success() && output.contains("1 passed");
    assert!(is_passed, "{}\n{output}\n{}", run.status, String::from_utf8_lossy(&run.stderr));
    // With --nocapture: what the test has measured.
    output.lines().filter(|line| line.starts_with(FIGURE)).for_each(|line| println!("{line}"));
}

/// Waits on this thread for a connection that is lent to it: the thread keeps from then on what it waits with, until
/// it ends.
fn wait_in_step() {
    // A poll, its copy and a bell.
    const OF_A_THREAD: usize = 3;
    let context = Context::new();
    let mut there = context.open::<Pair>().unwrap();
    let binding = there.bind("tcp://127.0.0.1:0").unwrap();
    let mut here = context.open::<Pair>().unwrap();
    here.connect(&binding).unwrap().wait_ready(DEADLINE).unwrap();
    let echo = std::thread::spawn(move || {
        while let Ok(message) = there.recv_timeout(DEADLINE) {
            let is_last = message == "last";
            there.send(message).unwrap();
            if is_last {
                break;
            }
        }
    });
    let before = count("/proc/self/fd");
    let until = Instant::now() + DEADLINE;
    while count("/proc/self/fd") < before + 2 * OF_A_THREAD {
        assert!(Instant::now() < until, "no connection is lent");
        here.send("again").unwrap();
        here.recv_timeout(DEADLINE).unwrap();
    }
    here.send("last").unwrap();
    here.recv_timeout(DEADLINE).unwrap();
    echo.join().unwrap();
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

const SLACK: usize = 4096;
const ALONE: &str = "PEERMQ_TEST_ALONE";

/// How lines begin that [`alone`] hands on.
pub const FIGURE: &str = "figure: ";
