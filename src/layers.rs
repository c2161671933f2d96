//! Keeps the floors of `manual::architecture`: reads the source and fails on what they forbid.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// A module imports modules of lower floors, and those that share its entry.
const FLOORS: &[&[&[&str]]] = &[
    &[&[
        "sync",
        "limits",
        "error",
        "message",
        "frame",
        "endpoint",
        "routing_id",
        "socket_type",
        "options",
        "capabilities",
        "interest",
        "time",
        "timers",
    ]],
    &[&["wire"], &["pipe"]],
    &[&["transport"]],
    &[&["io"]],
    &[&["session"]],
    &[&["routing"]],
    &[&["patterns"]],
    &[&["context", "socket", "poller"]],
    &[&["manual"], &["bench"], &["fuzz"]],
];

const NEVER: &[(&str, &[&str])] = &[
    ("wire", &["mio", "socket2", "std::net", "std::thread", "Instant::now", "crate::sync"]),
    ("pipe", &["mio", "socket2", "std::net", "std::os", "std::thread"]),
    ("transport", &["crate::wire", "crate::pipe", "crate::message", "crate::frame", "std::thread"]),
    ("io", &["crate::wire", "crate::message", "crate::frame"]),
    ("routing", &["mio", "crate::wire", "crate::transport", "crate::io", "crate::session", "std::thread"]),
    ("patterns", &["mio", "crate::wire", "crate::transport", "crate::io", "crate::session", "std::thread"]),
    ("context", &["mio", "crate::wire"]),
    ("socket", &["mio", "crate::wire"]),
];

/// Only `sync.rs` may name these, so that loom sees every access.
const ONLY_SYNC: &[&str] = &["std::sync::atomic::Atomic", "std::sync::atomic::{", "std::cell::UnsafeCell"];

/// What times are called. Only `time.rs` may add to one: `+` panics when the clock does not reach so far.
const TIMES: &[&str] = &["now", "now()", "begin", "begun", "by", "deadline", "until", "_at"];

const LINES_MAX: usize = 600;

/// What a source file breaks.
fn complaints(path: &Path, source: &str) -> Vec<String> {
    let lines = source.lines().count();
    let mut found: Vec<String> = (lines > LINES_MAX).then(|| format!("{lines} lines")).into_iter().collect();
    let module = path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
    let is_test =
        path.iter().any(|part| ["tests", "tests.rs", "models.rs"].contains(&part.to_str().unwrap()));
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let never = NEVER.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, never)| never);
    for line in code.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        if words(line).any(|word| word == "unsafe")
            && !["layers", "pipe", "sync"].contains(&module)
            && path != Path::new("transport/syscalls.rs")
        {
            found.push(format!("unsafe: {line}"));
        }
        if !["layers", "sync"].contains(&module) {
            let direct = ONLY_SYNC.iter().filter(|it| line.contains(**it));
            found.extend(direct.map(|it| format!("{it} instead of crate::sync: {line}")));
        }
        if is_test || ["lib", "layers"].contains(&module) {
            continue;
        }
        let imported =
            line.match_indices("crate::").filter_map(|(at, found)| words(&line[at + found.len()..]).next());
        found.extend(imported.filter(|it| !may_import(module, it)).map(|it| format!("imports {it}: {line}")));
        if module != "time" {
            found.extend(sums_of_times(line).map(|it| format!("{it} + instead of crate::time: {line}")));
        }
        found.extend(never.iter().filter(|it| line.contains(**it)).map(|it| format!("never {it}: {line}")));
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// The names of times in `line` to which something is added.
fn sums_of_times(line: &str) -> impl Iterator<Item = &'static str> {
    let summands = line.match_indices(" +").filter_map(|(at, _)| line.get(..at));
    summands.filter_map(|summand| {
        let name = summand.rsplit(|c: char| !(c.is_alphanumeric() || "_()".contains(c))).next()?;
        TIMES.iter().find(|time| name == **time || time.starts_with('_') && name.ends_with(**time)).copied()
    })
}

fn may_import(module: &str, imported: &str) -> bool {
    let place = |name| FLOORS.iter().position(|floor| floor.iter().any(|group| group.contains(&name)));
    let together = FLOORS
        .iter()
        .flat_map(|floor| floor.iter())
        .any(|group| group.contains(&module) && group.contains(&imported));
    module == imported
        || together
        || matches!((place(module), place(imported)), (Some(ours), Some(theirs)) if theirs < ours)
}

fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[test]
fn no_file_breaks_the_rules_of_its_floor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root).unwrap();
    assert!(files.len() > 50, "only {} files found", files.len());
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap();
        let source = fs::read_to_string(&file).unwrap();
        found.extend(
            complaints(name, &source).into_iter().map(|complaint| format!("{}: {complaint}", name.display())),
        );
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn each_rule_finds_its_offender() {
    let offends = |path: &str, source: &str| complaints(Path::new(path), source).len() == 1;
    assert!(offends("wire/x.rs", "use crate::pipe::Pipe;"));
    assert!(offends("wire/x.rs", "use mio::Poll;"));
    assert!(offends("routing/x.rs", "use std::thread;"));
    assert!(offends("pipe/x.rs", "let a = crate::session::Link::new();"));
    assert!(offends("patterns/x.rs", "use crate::Context;"));
    assert!(offends("options.rs", "unsafe { read() }"));
    assert!(offends("pipe/x.rs", &"\n".repeat(LINES_MAX + 1)));
    assert!(offends("session/x.rs", "let at = Instant::now() + PAUSE;"));
    assert!(offends("session/x.rs", "turn.wake_at(turn.now + limit);"));
    assert!(offends("session/x.rs", "self.give_up_at += limit;"));
    assert!(!offends("session/x.rs", "let at = later(turn.now, limit) || known + 1;"));
    assert!(!offends("time.rs", "from.checked_add(wait).unwrap_or(now + CENTURY)"));
    assert!(!offends(
        "options.rs",
        "#![forbid(unsafe_code)]\n// unsafe\nuse crate::socket_type::SocketType;"
    ));
    assert!(!offends("socket/x.rs", "use crate::context::Context;\nuse crate::session::Link;"));
}
