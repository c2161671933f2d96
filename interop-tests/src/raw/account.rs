//! ACCT: what a conversation leaves behind: descriptors, threads, and octets of memory.

use std::env;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cap::Cap;
use std::alloc::System;

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

    /// Octets of memory in use beyond what this account says.
    #[must_use]
    pub fn growth(&self) -> usize {
        self.allocator.allocated().saturating_sub(self.octets)
    }

    /// Waits until everything is back to this account; memory to within 4 KiB.
    ///
    /// # Panics
    ///
    /// When it is not in time.
    pub fn assert_restored(&self) {
        let until = Instant::now() + DEADLINE;
        loop {
            let now = Self::take(self.allocator);
            let is_restored = now.descriptors <= self.descriptors
                && now.threads <= self.threads
                && now.octets <= self.octets + SLACK;
            if is_restored {
                return;
            }
            assert!(Instant::now() < until, "{now:?} is left of {self:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Runs a test by itself, in a process that runs no other test: `name` is the test's own.
///
/// # Panics
///
/// When the test fails, or there is none of this name.
pub fn alone(name: &str, test: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
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
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

const SLACK: usize = 4096;
const ALONE: &str = "PEERMQ_TEST_ALONE";
