//! The ventilator: sends every line of the files, each with a number, one message a line.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use peermq::{Push, Socket};

use crate::Result;

/// Sends the lines to `tasks`, tells `end` how many they were, and returns that number.
pub(crate) fn send_lines(tasks: &mut Socket<Push>, end: &mut Socket<Push>, paths: &[PathBuf]) -> Result<u64> {
    let mut sent = 0;
    let result = paths.iter().try_for_each(|path| send_path(tasks, path, &mut sent));
    end.send(&sent.to_le_bytes())?;
    result.map(|()| sent)
}

fn send_path(tasks: &mut Socket<Push>, path: &Path, sent: &mut u64) -> Result<()> {
    if !path.is_dir() {
        return send_file(tasks, path, sent).map_err(|error| format!("{}: {error}", path.display()).into());
    }
    let mut entries = fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (kind, path) = (entry.file_type()?, entry.path());
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // Build directories carry this tag (Cargo's `target` does); links might lead in circles.
        let is_cache = path.join("CACHEDIR.TAG").exists();
        if !is_hidden && !is_cache && (kind.is_dir() || kind.is_file()) {
            send_path(tasks, &path, sent)?;
        }
    }
    Ok(())
}

fn send_file(tasks: &mut Socket<Push>, path: &Path, sent: &mut u64) -> Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        // Waits while every worker's queue is full: with the default high-water marks that is 1000 messages
        // here and 1000 there, for each worker. A slow worker is passed over while its queue is full.
        tasks.send([&sent.to_le_bytes(), text])?;
        *sent += 1;
        line.clear();
    }
    Ok(())
}
