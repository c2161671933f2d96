//! The manual and the README say what the code says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Options, TakesEffect, limits};

const README: &str = include_str!("../../README.md");
const HELLO: &str = include_str!("../../examples/hello.rs");

/// The table of options as `options.rs` shows it.
fn render() -> String {
    let mut table = String::from("| option | what it does | default | unit | code | takes effect |\n");
    table += "|---|---|---|---|---|---|\n";
    for row in Options::TABLE {
        let takes_effect = match row.takes_effect {
            TakesEffect::Live => "at once",
            TakesEffect::NextConnect => "next bind or connect",
            TakesEffect::Open => "when opened",
        };
        let (name, default) = (row.name, row.default_text());
        table += &format!(
            "| [`{name}`](crate::Options::{name}) | {} | {default} | {} | {} | {takes_effect} |\n",
            row.doc, row.unit, row.code
        );
    }
    table
}

#[test]
fn the_table_of_options_is_the_one_in_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/options.rs");
    if std::env::var_os("PEERMQ_WRITE_MANUAL").is_some() {
        let page = std::fs::read_to_string(path).unwrap();
        let (before, _) = page.split_once("//! | option |").unwrap();
        let rows: String = render().lines().map(|row| format!("//! {row}\n")).collect();
        std::fs::write(path, format!("{before}{rows}")).unwrap();
        return;
    }
    let page: String =
        include_str!("options.rs").lines().map(|line| line[3..].trim_start().to_owned() + "\n").collect();
    let table = page.split_once("# The options\n\n").unwrap().1;
    assert_eq!(
        table,
        render(),
        "the table has changed: run this test with PEERMQ_WRITE_MANUAL=1 in the environment"
    );
}

#[test]
fn the_readme_shows_the_example_hello() {
    let code = README.split_once("```rust\n").unwrap().1.split_once("```").unwrap().0;
    let (header, body) = HELLO.split_once("\n\n").unwrap();
    assert_eq!(header.lines().filter(|line| line.starts_with("//!")).count(), 2);
    assert_eq!(code, body);
}

#[test]
fn the_rust_that_is_needed_is_the_one_that_is_checked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let oldest = env!("CARGO_PKG_RUST_VERSION");
    assert!(
        README.contains(&format!("The library itself needs Rust {oldest}, with the feature `curve` 1.89"))
    );
    let run = std::fs::read_to_string(root.join(".ci/run")).unwrap();
    let workflow = std::fs::read_to_string(root.join(".github/workflows/ci.yml")).unwrap();
    for rust in [oldest, "1.89"] {
        assert!(run.contains(&format!("\noldest {rust}.0 ")), "{rust}");
        assert!(workflow.contains(&format!("{rust}.0 ")), "{rust}");
    }
}

#[test]
fn the_manual_warns_of_null_and_lists_the_decisions() {
    // N-11, P-11
    let page = include_str!("compatibility.rs");
    assert!(page.contains("# NULL is not for public networks"));
    assert!(page.contains("nor, by RFC 24, should PLAIN"), "P-11");
    for decision in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18] {
        assert!(page.contains(&format!("//! | D{decision} |")), "D{decision}");
    }
}

/// All of these files, and of those in directories below.
fn read_all(directory: &Path, text: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            read_all(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("attacks.rs")
        {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_attack_has_a_test_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The tests that meet raw peers are not in the package.
    if !root.join("interop-tests/tests").exists() {
        return;
    }
    let mut tests = String::new();
    read_all(&root.join("src"), &mut tests);
    read_all(&root.join("interop-tests/tests"), &mut tests);
    let page = include_str!("attacks.rs");
    let comments: Vec<&str> = tests.lines().filter(|line| line.trim_start().starts_with("//")).collect();
    for row in 1..=69 {
        let id = format!("B-{row:02}");
        // "B-58 to B-60" names all three.
        let is_tested = comments.iter().any(|line| line.contains(&id)) || (58..=60).contains(&row);
        assert_ne!(is_tested, page.contains(&format!("| {id}")) || page.contains(&format!(", {id}")), "{id}");
    }
}

/// A number as the pages write it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    if digits.len() > 4 || number > 2000 { groups.join(",") } else { digits }
}

fn kib(octets: usize) -> String {
    format!("{} KiB", octets / 1024)
}

fn seconds(time: Duration) -> String {
    format!("{} seconds", time.as_secs())
}

/// What a page says about a tuning number, with the number as the code has it.
fn claims() -> Vec<(&'static str, String)> {
    let octets = |number: usize| grouped(number as u64);
    let millis = |time: Duration| format!("{} ms", time.as_millis());
    vec![
        ("src/context.rs", format!("a segment of up to {} for each peer", kib(limits::SEGMENT_OCTETS_MAX))),
        ("src/context.rs", format!("{} at most", seconds(limits::DROP_LINGER))),
        ("src/context.rs", format!("within {} if they wait in step", millis(2 * limits::IN_STEP_TICK))),
        ("src/context.rs", format!("before it sleeps; at most {}", millis(limits::SPIN_MAX))),
        ("src/endpoint.rs", format!("a Unix domain socket, at most {} octets", limits::IPC_PATH_MAX)),
        ("src/endpoint.rs", format!("in the same context, at most {} octets", limits::INPROC_NAME_MAX)),
        ("src/error/endpoint.rs", format!("An inproc name longer than {} octets", limits::INPROC_NAME_MAX)),
        ("src/options.rs", format!("a quarter of it or {}", kib(limits::SEGMENT_OCTETS_MAX))),
        (
            "src/options.rs",
            format!(
                "(`SO_SNDBUF`). Over loopback it is set to {}, or {} MiB",
                kib(limits::LOOPBACK_BUFFER),
                limits::LOOPBACK_BUFFER_WIDE >> 20
            ),
        ),
        (
            "src/options.rs",
            format!(
                "(`SO_RCVBUF`). Over loopback it is set to {}, or {} MiB",
                kib(limits::LOOPBACK_BUFFER),
                limits::LOOPBACK_BUFFER_WIDE >> 20
            ),
        ),
        (
            "src/options/announce.rs",
            format!("more than {} octets in all", octets(limits::METADATA_OCTETS_MAX)),
        ),
        ("src/options/dialing.rs", format!("{} MiB.", limits::READ_OCTETS_PER_TURN >> 20)),
        ("src/options/dialing.rs", format!("{} MiB.", limits::WRITE_OCTETS_PER_TURN >> 20)),
        ("src/options/kernel.rs", format!("more than {} octets, and for a NUL", limits::DEVICE_NAME_MAX)),
        ("src/options/value.rs", format!("/// {}.", seconds(limits::HANDSHAKE_INTERVAL))),
        ("src/options/value.rs", format!("/// {} connections.", limits::BACKLOG)),
        ("src/session/monitor.rs", format!("Holds {} events", grouped_1000(limits::MONITOR_EVENTS_MAX))),
        ("src/manual/architecture.rs", format!("first segment each ({} octets", limits::SEGMENT_OCTETS_MIN)),
        ("src/manual/architecture.rs", format!("places for {} bodies", limits::SEGMENT_BODIES)),
        (
            "src/manual/compatibility.rs",
            format!(
                "`handshake_interval`](crate::Options::handshake_interval), {} s",
                limits::HANDSHAKE_INTERVAL.as_secs()
            ),
        ),
        ("src/manual/compatibility.rs", format!("has not answered | {}", octets(limits::ZAP_PENDING_MAX))),
        (
            "src/manual/compatibility.rs",
            format!("a command of the handshake | {} octets", grouped(limits::HANDSHAKE_COMMAND_MAX)),
        ),
        (
            "src/manual/compatibility.rs",
            format!("a command afterwards | {} octets", grouped(limits::TRAFFIC_COMMAND_MAX)),
        ),
        (
            "src/manual/compatibility.rs",
            format!("parts of a message | {} ", grouped(limits::PARTS_MAX.into())),
        ),
        (
            "src/manual/compatibility.rs",
            format!("asks for and does not read | {} octets", octets(limits::OUTBOX_OCTETS)),
        ),
        (
            "src/manual/compatibility.rs",
            format!(
                "defaults are {} and {} MiB",
                limits::READ_OCTETS_PER_TURN >> 20,
                limits::WRITE_OCTETS_PER_TURN >> 20
            ),
        ),
        (
            "src/manual/compatibility.rs",
            format!(
                "a peer {} topics of {} mebioctets in all",
                octets(limits::TOPICS_PER_PEER),
                limits::TOPIC_OCTETS_PER_PEER >> 20
            ),
        ),
        (
            "src/manual/compatibility.rs",
            format!("is with the kernel: {} at most", seconds(limits::DROP_LINGER)),
        ),
        ("src/manual/compatibility.rs", format!("a listener pauses for {}", millis(limits::ACCEPT_PAUSE))),
        ("src/manual/compatibility.rs", format!("with much queued ({})", kib(limits::BATCH_OCTETS))),
        ("src/manual/life_of_a_message.rs", format!("{} is copied there", kib(limits::COPIED_BODY_MAX))),
        ("src/manual/life_of_a_message.rs", format!("a batch of {} is together", kib(limits::BATCH_OCTETS))),
    ]
}

/// The same of what is held.
fn claims_of_bounds() -> Vec<(&'static str, String)> {
    let octets = |number: usize| grouped(number as u64);
    vec![
        ("src/manual/bounds.rs", format!("metadata | {} octets", grouped(limits::HANDSHAKE_COMMAND_MAX))),
        ("src/manual/bounds.rs", format!("may take | {} s", limits::HANDSHAKE_INTERVAL.as_secs())),
        ("src/manual/bounds.rs", format!("; {} parts", grouped(limits::PARTS_MAX.into()))),
        (
            "src/manual/bounds.rs",
            format!("after the handshake | {} octets", grouped(limits::TRAFFIC_COMMAND_MAX)),
        ),
        ("src/manual/bounds.rs", format!("does not read | {} octets", octets(limits::OUTBOX_OCTETS))),
        ("src/manual/bounds.rs", format!("routing id | {} octets", limits::ROUTING_ID_MAX)),
        (
            "src/manual/bounds.rs",
            format!(
                "its subscriptions | {} topics of {} mebioctets",
                octets(limits::TOPICS_PER_PEER),
                limits::TOPIC_OCTETS_PER_PEER >> 20
            ),
        ),
        ("src/manual/bounds.rs", format!("to be accepted | {}, in", limits::BACKLOG)),
        (
            "src/manual/bounds.rs",
            format!("in their handshake | {}; one", grouped(limits::HANDSHAKES_MAX.into())),
        ),
        ("src/manual/bounds.rs", format!("for them, {} notices", limits::MAIL_SWEPT_MIN)),
        ("src/manual/bounds.rs", format!("nobody receives | {};", octets(limits::ROUTER_NEWS_MAX))),
        (
            "src/manual/bounds.rs",
            format!(
                "has not heard | {} of a peer, of {} mebioctets",
                octets(limits::NEWS_PER_PEER),
                limits::NEWS_OCTETS_PER_PEER >> 20
            ),
        ),
        (
            "src/manual/bounds.rs",
            format!(
                "that left included, {} of {} mebioctets",
                octets(limits::NEWS_MAX),
                limits::NEWS_OCTETS_MAX >> 20
            ),
        ),
        ("src/manual/bounds.rs", format!("the first counts {} octets", size_of::<crate::Frame>())),
        (
            "src/manual/compatibility.rs",
            format!("and of {} mebioctets of all peers", limits::NEWS_OCTETS_MAX >> 20),
        ),
        (
            "src/manual/bounds.rs",
            format!("tells of peers | {} to {};", limits::VISITORS_TOLD_MAX, 2 * limits::VISITORS_TOLD_MAX),
        ),
        ("src/manual/bounds.rs", format!("may come in | {} octets", grouped(limits::HANDSHAKE_READ as u64))),
        (
            "src/manual/bounds.rs",
            format!(
                "(CURVE) | {} each way, or the longest frame; out, a frame more, and 24 octets for each, 96 KiB at \
                 most; {} each",
                kib(limits::SEALED_OCTETS),
                kib(limits::SEALED_KEPT)
            ),
        ),
        ("src/manual/bounds.rs", format!("(ZMTP 1.0) | {} each way while", kib(limits::TRANSLATED_OCTETS))),
        ("src/manual/bounds.rs", format!("large bodies | {} MiB", limits::SHELF_OCTETS >> 20)),
        (
            "src/manual/bounds.rs",
            format!(
                "loopback {}, or {} MiB",
                kib(limits::LOOPBACK_BUFFER),
                limits::LOOPBACK_BUFFER_WIDE >> 20
            ),
        ),
        ("src/manual/bounds.rs", format!("in messages of up to {}", kib(limits::RAW_READ))),
        ("src/manual/bounds.rs", format!("the same time | {} of each connect", limits::ATTEMPTS_AT_ONCE)),
        ("src/manual/bounds.rs", format!("it connects | {} |", limits::ADDRESSES_MAX)),
        (
            "src/manual/bounds.rs",
            format!("of them, {} and as many", grouped_1000(limits::CANCELLATIONS_OF_NOTHING_MAX)),
        ),
        (
            "src/manual/bounds.rs",
            format!("| {}, of a second, {} mebioctets", limits::PARTINGS_MAX, limits::PARTING_OCTETS >> 20),
        ),
        ("src/manual/bounds.rs", format!("gone included, {} threads", limits::LOOKUPS_IN_ALL)),
        ("src/manual/bounds.rs", format!("looked up | {} at a time", limits::LOOKUPS_AT_ONCE)),
        (
            "src/manual/bounds.rs",
            format!(
                "and {} with those that take more than {} ms",
                limits::LOOKUPS_OF_CONTEXT,
                limits::LOOKUP_PATIENCE.as_millis()
            ),
        ),
        ("src/manual/bounds.rs", format!("they stream | {}, or twice", limits::STREAMS_FEW)),
        ("src/manual/bounds.rs", format!("gone | {} of each I/O thread", limits::TIMERS_SWEPT_MIN)),
        ("src/manual/bounds.rs", format!("a monitor | {} for", grouped_1000(limits::MONITOR_EVENTS_MAX))),
        ("src/manual/bounds.rs", format!("not answered | {};", octets(limits::ZAP_PENDING_MAX))),
        ("src/manual/compatibility.rs", format!("{}, and [from one", grouped(limits::HANDSHAKES_MAX.into()))),
        ("src/options/admission.rs", format!("In all: {}, more", grouped(limits::HANDSHAKES_MAX.into()))),
    ]
}

fn grouped_1000(number: usize) -> String {
    format!("{},{:03}", number / 1000, number % 1000)
}

/// A source file without what begins its lines of comments, in one line.
fn prose(file: &str) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let lines = text.lines().map(|line| line.trim_start());
    let words = lines.map(|line| {
        let rest = line
            .strip_prefix("//!")
            .or_else(|| line.strip_prefix("///").filter(|_| !file.ends_with("value.rs")));
        rest.unwrap_or(line).trim()
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn numbers_of_the_pages_are_those_of_the_code() {
    let wrong: Vec<_> = claims()
        .into_iter()
        .chain(claims_of_bounds())
        .filter(|(file, claim)| !prose(file).contains(claim))
        .collect();
    assert!(wrong.is_empty(), "the code has other numbers, or the text has changed: {wrong:#?}");
}

/// All paths of this repository that a text names: words that end in `.rs`, or in a slash.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|it: char| !(it.is_alphanumeric() || "_-./".contains(it)));
    words.map(|word| word.trim_end_matches('.')).filter(|word| word.ends_with(".rs") && *word != ".rs")
}

#[test]
fn files_that_the_pages_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> = std::fs::read_dir(root.join("src/manual"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("tests.rs"))
        .collect();
    pages.extend([root.join("README.md"), root.join("CHANGELOG.md")]);
    let mut missing = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let is_there = |path: &str| root.join(path).exists() || root.join("src").join(path).exists();
        missing.extend(
            named_paths(&text)
                .filter(|path| path.contains('/') && !path.contains("//"))
                .filter(|path| !is_there(path))
                .map(|path| format!("{}: {path}", page.display())),
        );
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Whether there is a test of this name in the file.
fn is_test(file: &str, name: &str) -> bool {
    let Some((before, _)) = file.split_once(&format!("fn {name}()")) else { return false };
    let lines = before.lines().rev().map(str::trim).skip_while(|line| line.is_empty());
    lines.take_while(|line| line.starts_with("#[")).any(|line| line == "#[test]")
}

#[test]
fn every_bound_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let has_interop = root.join("interop-tests/tests").exists();
    let is_row = |line: &&str| line.starts_with("//! | ") && !line.starts_with("//! | what is held");
    for row in include_str!("bounds.rs").lines().filter(is_row) {
        let test_column = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let (mut file, mut tests) = (String::new(), 0);
        for name in test_column.split('`').skip(1).step_by(2) {
            if name.ends_with(".rs") {
                let path = root.join(name);
                let is_there = has_interop || !name.starts_with("interop-tests");
                file = if is_there { std::fs::read_to_string(&path).unwrap() } else { String::new() };
            } else {
                tests += 1;
                assert!(file.is_empty() || is_test(&file, name), "{name}: {row}");
            }
        }
        assert!(tests > 0 || test_column == "the same", "no test: {row}");
    }
}
