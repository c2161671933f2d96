//! The manual and the README say what the code says.

use crate::{Options, TakesEffect};

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
fn read_all(directory: &std::path::Path, text: &mut String) {
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
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
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
