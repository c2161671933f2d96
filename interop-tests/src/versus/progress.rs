//! How far the comparison is, on stderr: a bar on a terminal, else a line for each case.

use std::fmt::Display;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Runs that are done, of all.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
}

impl Progress {
    /// The bar has no ticker: a thread of ours would run beside the processes that are measured.
    pub(crate) fn new(runs: u64) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(runs), target);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left: {msg}");
        Self { bar: style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style)), is_terminal }
    }

    /// Runs that are done.
    pub(crate) fn done(&self) -> u64 {
        self.bar.position()
    }

    pub(crate) fn begin(&self, what: impl Display) {
        if self.is_terminal {
            self.bar.set_message(what.to_string());
        }
    }

    pub(crate) fn end(&self) {
        self.bar.inc(1);
    }

    /// A case is done, with this result.
    pub(crate) fn tell(&self, result: impl Display) {
        if !self.is_terminal {
            let all = self.bar.length().unwrap_or_default();
            eprintln!("{}/{all} runs: {result}", self.done());
        }
    }

    /// Writes something else in between.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
