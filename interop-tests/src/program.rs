//! Programs at a keyboard and a screen: the examples, and programs of others.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "for tests")]

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::raw::DEADLINE;

/// A running program. Killed when dropped.
#[derive(Debug)]
pub struct Program {
    process: Child,
    keyboard: Option<ChildStdin>,
    screen: Receiver<String>,
}

impl Program {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keyboard, stdout) = (process.stdin.take(), process.stdout.take().unwrap());
        let (show, screen) = mpsc::channel();
        // A thread of its own, as pipes have no deadlines: it ends with the process.
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| show.send(line))
        });
        Self { process, keyboard, screen }
    }

    /// Starts one of our examples.
    pub fn example<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Self {
        let Some(examples) = env::var_os("PEERMQ_EXAMPLES") else {
            panic!("PEERMQ_EXAMPLES is not set: run interop-tests/run-all, which builds them and sets it");
        };
        Self::start(Command::new(Path::new(&examples).join(name)).args(arguments))
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Types a line.
    pub fn type_in(&mut self, line: &str) {
        writeln!(self.keyboard.as_ref().unwrap(), "{line}").unwrap();
    }

    /// The next line that it shows.
    #[must_use]
    pub fn line(&self) -> String {
        self.line_within(DEADLINE).unwrap()
    }

    /// The same, if it shows one in this time.
    #[must_use]
    pub fn line_within(&self, time: Duration) -> Option<String> {
        self.screen.recv_timeout(time).ok()
    }

    /// The next line is this one.
    pub fn shows(&self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// Its input ends, and so does it.
    pub fn leave(mut self) {
        drop(self.keyboard.take());
        let until = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it stays");
            thread::sleep(Duration::from_millis(1));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error says that it has ended.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
