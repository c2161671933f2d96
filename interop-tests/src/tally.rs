//! What the tests exchanged with other implementations, for the table at the end of `run-all`.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Adds a line to the file that `PEERMQ_TALLY` names, if it names one: the other implementation, the
/// pattern, the transport, the direction, and how many messages were exchanged and compared.
pub fn count(implementation: &str, pattern: &str, transport: &str, direction: &str, messages: usize) {
    let Some(path) = env::var_os("PEERMQ_TALLY") else { return };
    let line = format!("{implementation}\t{pattern}\t{transport}\t{direction}\t{messages}\n");
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        eprintln!("not tallied: {error}");
    }
}
