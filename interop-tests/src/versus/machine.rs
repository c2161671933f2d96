//! What a figure depends on besides the code: machine, system, date, and which libzmq was met.

use std::fs;
use std::thread::available_parallelism;
use std::time::SystemTime;

/// One line for the head of a report.
pub(crate) fn describe() -> String {
    let cores = available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}, {cores} cores; {} {}; {}; {}",
        cpu_model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
        std::env::consts::OS,
        kernel.trim(),
        humantime::format_rfc3339_seconds(SystemTime::now()),
        libzmq(),
    )
}

fn cpu_model(cpuinfo: &str) -> &str {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown CPU", |(_, name)| name)
}

/// The version, who built it, and whether its threads wake each other by eventfd or by socket pairs,
/// which is slower. Found by looking at what a new socket opens, not at build flags.
fn libzmq() -> String {
    let (major, minor, patch) = zmq::version();
    let before = eventfds();
    let context = zmq::Context::new();
    let socket = context.socket(zmq::PAIR);
    let wake_up = if eventfds() > before { "eventfd" } else { "no eventfd" };
    drop(socket);
    let curve = if zmq::has("curve") == Some(true) { "libsodium, " } else { "" };
    format!("libzmq {major}.{minor}.{patch}, zeromq-src, {curve}{wake_up}")
}

/// Eventfds that this process has open.
fn eventfds() -> usize {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return 0 };
    let targets = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("eventfd")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_model_is_found() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: Fast CPU 9000: x\n"), "Fast CPU 9000: x");
        assert_eq!(cpu_model(""), "unknown CPU");
    }

    #[test]
    fn libzmq_wakes_by_eventfd() {
        assert!(libzmq().ends_with(", eventfd"), "{}", libzmq());
    }
}
