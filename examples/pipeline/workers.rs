//! The worker processes: they live as long as the pipe to their standard input is open, whoever closes it.

use std::env;
use std::process::{Child, Command, Stdio};

use peermq::Endpoint;

use crate::Result;

pub(crate) struct Workers(Vec<Child>);

impl Workers {
    /// Starts `count` workers that send their results to `sink`.
    pub(crate) fn start(count: usize, sink: &Endpoint) -> Result<Self> {
        let mut workers = Self(Vec::new());
        for _ in 0..count {
            let mut command = Command::new(env::current_exe()?);
            command.arg("--work-for").arg(sink.to_string()).stdin(Stdio::piped());
            workers.0.push(command.spawn()?);
        }
        Ok(workers)
    }

    pub(crate) fn are_running(&mut self) -> bool {
        self.0.iter_mut().all(|child| matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.stdin.take());
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}
