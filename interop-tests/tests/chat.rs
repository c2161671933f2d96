//! The example `chat`, with programs in Python on both sides: two in the style of pyzmq's examples (they are not its
//! own, which only talk to each other), and one that comes with pyzmq, the log watcher.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::DEADLINE;
use interop_tests::{tally, theirs};

/// A program at a keyboard and a screen. Killed when dropped.
struct Program {
    process: Child,
    keyboard: Option<ChildStdin>,
    screen: Receiver<String>,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keyboard, stdout) = (process.stdin.take(), process.stdout.take().unwrap());
        let (show, screen) = mpsc::channel();
        // A thread of its own, as pipes have no deadlines: it ends with the process.
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| show.send(line))
        });
        Self { process, keyboard, screen }
    }

    /// Our example.
    fn chat(name: &str, side: &str, endpoint: &str) -> Self {
        let Some(examples) = env::var_os("PEERMQ_EXAMPLES") else {
            panic!("PEERMQ_EXAMPLES is not set: run interop-tests/run-all, which builds them and sets it");
        };
        let chat = Path::new(&examples).join("chat");
        Self::start(Command::new(chat).args(["--name", name, side, endpoint]))
    }

    fn python(program: &str, arguments: &[&str]) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(program);
        Self::start(theirs::python().arg(program).args(arguments))
    }

    fn type_in(&mut self, line: &str) {
        writeln!(self.keyboard.as_ref().unwrap(), "{line}").unwrap();
    }

    fn line(&self) -> String {
        self.screen.recv_timeout(DEADLINE).unwrap()
    }

    /// The next line is this one.
    fn shows(&self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// Its input ends, and so does it.
    fn leave(mut self) {
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
    let mut ada = Program::chat("ada", "--bind", "tcp://127.0.0.1:*");
    let place = ada.line();
    let place = place.strip_prefix("* the room is open at ").unwrap();
    ada.shows("* ada came");
    let mut bob = Program::python("chat_guest.py", &["bob", place]);
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
    let room = Program::python("chat_room.py", &["tcp://127.0.0.1:*"]);
    let place = room.line();
    let mut ada = Program::chat("ada", "--connect", &place);
    ada.shows("* ada came");
    let mut bob = Program::chat("bob", "--connect", &place);
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
    let mut ada = Program::chat("ada", "--bind", "tcp://127.0.0.1:*");
    let place = ada.line();
    let place = place.strip_prefix("* the room is open at ").unwrap();
    ada.shows("* ada came");
    let watcher = Program::start(theirs::python().args(["-m", "zmq.log", "--topic", "ada: ", place]));
    // That it hears is all that tells that it is there.
    let until = Instant::now() + DEADLINE;
    while watcher.screen.recv_timeout(Duration::from_millis(20)).is_err() {
        assert!(Instant::now() < until, "it shows nothing");
        ada.type_in("anybody there?");
    }
    let mark = format!(" | ada {}", ada.process.id());
    for number in 0..LINES {
        ada.type_in(&number.to_string());
        let is_old = |line: &String| line.starts_with("ada: anybody there?");
        let line = std::iter::repeat_with(|| watcher.line()).find(|line| !is_old(line)).unwrap();
        assert_eq!(line, format!("ada: {number}{mark}"));
    }
    ada.leave();
    count("we bind, log watcher", LINES);
}
