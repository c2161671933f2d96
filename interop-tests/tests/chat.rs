//! The example `chat`, with programs in Python on both sides: two in the style of pyzmq's examples (they are not its
//! own, which only talk to each other), and one that comes with pyzmq, the log watcher.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::time::{Duration, Instant};

use interop_tests::program::Program;
use interop_tests::raw::DEADLINE;
use interop_tests::{tally, theirs};

fn chat(name: &str, side: &str, endpoint: &str) -> Program {
    Program::example("chat", ["--name", name, side, endpoint])
}

fn python(program: &str, arguments: &[&str]) -> Program {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(program);
    Program::start(theirs::python().arg(program).args(arguments))
}

fn count(direction: &str, messages: usize) {
    tally::count("pyzmq", "chat", "tcp", direction, messages);
}

const LINES: usize = 100;

/// They talk in turn. Our guests do not show their own words, which are on the screen; those in Python do.
fn talk(ada: &mut Program, bob: &mut Program, bob_shows_his_own: bool) {
    for number in 0..LINES {
        ada.type_in(&format!("{number}, says ada"));
        bob.shows(&format!("ada: {number}, says ada"));
        let answer = format!("{number}, says bob");
        bob.type_in(&answer);
        ada.shows(&format!("bob: {answer}"));
        if bob_shows_his_own {
            bob.shows(&format!("bob: {answer}"));
        }
    }
}

#[test]
fn a_guest_in_python_is_in_our_room() {
    let mut ada = chat("ada", "--bind", "tcp://127.0.0.1:*");
    let place = ada.line();
    let place = place.strip_prefix("* the room is open at ").unwrap();
    ada.shows("* ada came");
    let mut bob = python("chat_guest.py", &["bob", place]);
    ada.shows("* bob came");
    bob.shows("* bob came");
    talk(&mut ada, &mut bob, true);
    bob.leave();
    ada.shows("* bob left");
    ada.leave();
    count("we bind", 3 * LINES + 4);
}

#[test]
fn our_guests_are_in_a_room_in_python() {
    let room = python("chat_room.py", &["tcp://127.0.0.1:*"]);
    let place = room.line();
    let mut ada = chat("ada", "--connect", &place);
    ada.shows("* ada came");
    let mut bob = chat("bob", "--connect", &place);
    ada.shows("* bob came");
    bob.shows("* bob came");
    talk(&mut ada, &mut bob, false);
    bob.leave();
    ada.shows("* bob left");
    ada.leave();
    count("they bind", 2 * LINES + 4);
}

#[test]
fn the_log_watcher_of_pyzmq_shows_what_is_said_in_our_room() {
    let mut ada = chat("ada", "--bind", "tcp://127.0.0.1:*");
    let place = ada.line();
    let place = place.strip_prefix("* the room is open at ").unwrap();
    ada.shows("* ada came");
    let watcher = Program::start(theirs::python().args(["-m", "zmq.log", "--topic", "ada: ", place]));
    // That it hears is all that tells that it is there.
    let until = Instant::now() + DEADLINE;
    while watcher.line_within(Duration::from_millis(20)).is_none() {
        assert!(Instant::now() < until, "it shows nothing");
        ada.type_in("anybody there?");
    }
    let mark = format!(" | ada {}", ada.id());
    for number in 0..LINES {
        ada.type_in(&number.to_string());
        let is_old = |line: &String| line.starts_with("ada: anybody there?");
        let line = std::iter::repeat_with(|| watcher.line()).find(|line| !is_old(line)).unwrap();
        assert_eq!(line, format!("ada: {number}{mark}"));
    }
    ada.leave();
    count("we bind, log watcher", LINES);
}
