//! What every peer program does, whichever implementation it is made of: one socket, one task.
//!
//! ```text
//! PROGRAM TASK TYPE bind|connect ENDPOINT [TOPIC ...]
//! ```
//!
//! Reads the messages of its task from standard input: how many; for each, how many frames; for each of those,
//! its size and octets; numbers as four octets, big-endian. Writes to standard output `at ENDPOINT` when its
//! socket is bound or connects, and `done COUNT` when so many messages were sent, or came and were the same octet
//! by octet. What is wrong goes to standard error, with a status other than 0. When standard input ends, the test
//! is over, and so is the program.
//!
//! The tasks:
//!
//! * `send`, `receive`: the messages. A PUB repeats `TOPIC?` before, until one more octet comes on standard
//!   input: only who asked knows that the subscriptions have arrived.
//! * `ask`: sends each message and gets it back.
//! * `echo`: sends back what it gets.
//! * `flow`: sends messages of two frames, `TOPIC` and a number from 0 on.
//! * `demand`: the same, and gets each back before it sends the next; what begins with another topic it ignores.
//! * `record`: reports `got COUNT TEXT` for each message: of how many frames it was, and the last of them.
//!
//! The last four go on until the program is ended.

use std::env;
use std::io::{self, Read, Write};
use std::process;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;

/// The routing ids that the tests expect.
pub const OURS: &[u8] = b"one of ours";
/// See [`OURS`].
pub const THEIRS: &[u8] = b"one of theirs";

/// A socket of the implementation; both verbs wait.
pub trait Socket {
    /// Sends one message, a ROUTER to the peer that the first frame names.
    ///
    /// # Errors
    ///
    /// What the implementation says.
    fn send(&mut self, frames: Vec<Bytes>) -> Result<()>;

    /// The next message, from a ROUTER with the sender's routing id as its first frame.
    ///
    /// # Errors
    ///
    /// What the implementation says.
    fn recv(&mut self) -> Result<Vec<Bytes>>;
}

/// What the program was started for.
#[derive(Debug)]
pub struct Task {
    verb: String,
    /// The type of the socket, as the RFCs write it.
    pub kind: String,
    /// Whether it binds; else it connects.
    pub binds: bool,
    /// Where.
    pub endpoint: String,
    /// What a SUB subscribes to.
    pub topics: Vec<String>,
}

/// Does what the command line says, with the socket that `open` opens; `open` returns where that is, too.
///
/// # Errors
///
/// Whatever goes wrong.
pub fn run<S: Socket>(open: impl FnOnce(&Task) -> Result<(String, S)>) -> Result<()> {
    let task = Task::from_arguments()?;
    let (endpoint, mut socket) = open(&task)?;
    report(&format!("at {endpoint}"))?;
    let messages = read_messages(&mut io::stdin().lock())?;
    let told = watch_input();
    let in_front = if task.kind == "ROUTER" { vec![Bytes::from_static(OURS)] } else { Vec::new() };
    if task.kind == "PUB" {
        await_subscribers(&mut socket, &task.topics, &told)?;
    }
    match task.verb.as_str() {
        "echo" => echo(&mut socket, &in_front)?,
        "ask" => {
            for (number, frames) in messages.iter().enumerate() {
                let frames = [in_front.as_slice(), frames].concat();
                ask(&mut socket, number, frames)?;
            }
        }
        "send" => {
            for frames in &messages {
                socket.send(frames.clone())?;
            }
        }
        "receive" => {
            for (number, frames) in messages.iter().enumerate() {
                compare(number, &socket.recv()?, frames)?;
            }
        }
        "flow" => {
            for number in 0.. {
                // A PUB would drop what a subscriber does not take in time.
                if task.kind == "PUB" && number % 32 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
                socket.send(numbered(&task, number))?;
            }
        }
        "demand" => {
            for number in 0.. {
                demand(&mut socket, number, &numbered(&task, number))?;
            }
        }
        "record" => record(&mut socket)?,
        verb => bail!("{verb} is no task"),
    }
    report(&format!("done {}", messages.len()))?;
    // What was sent may still be on its way: the socket stays until the test is over.
    loop {
        thread::park();
    }
}

impl Task {
    fn from_arguments() -> Result<Self> {
        let mut arguments = env::args().skip(1);
        let mut next = || arguments.next().context("TASK TYPE bind|connect ENDPOINT [TOPIC ...]");
        let (verb, kind, side, endpoint) = (next()?, next()?, next()?, next()?);
        Ok(Self { verb, kind, binds: side == "bind", endpoint, topics: arguments.collect() })
    }
}

fn echo(socket: &mut impl Socket, in_front: &[Bytes]) -> Result<()> {
    loop {
        let frames = socket.recv()?;
        ensure!(frames.starts_with(in_front), "from {:?}", frames.first());
        socket.send(frames)?;
    }
}

fn ask(socket: &mut impl Socket, number: usize, frames: Vec<Bytes>) -> Result<()> {
    socket.send(frames.clone())?;
    compare(number, &socket.recv()?, &frames)
}

/// A reply to the one that had this routing id before is none to this.
fn demand(socket: &mut impl Socket, number: usize, frames: &[Bytes]) -> Result<()> {
    socket.send(frames.to_vec())?;
    loop {
        let reply = socket.recv()?;
        if reply.first() == frames.first() {
            return compare(number, &reply, frames);
        }
    }
}

/// The life of a `flow` or `demand` is told by its first topic.
fn numbered(task: &Task, number: usize) -> Vec<Bytes> {
    let life = task.topics.first().cloned().unwrap_or_default();
    vec![Bytes::from(life), Bytes::from(number.to_string())]
}

fn record(socket: &mut impl Socket) -> Result<()> {
    loop {
        // A connection that ended is no reason to end: the next one may have more.
        if let Ok(frames) = socket.recv() {
            let last = frames.last().cloned().unwrap_or_default();
            report(&format!("got {} {}", frames.len(), String::from_utf8_lossy(&last)))?;
        }
    }
}

fn await_subscribers(socket: &mut impl Socket, topics: &[String], told: &Receiver<()>) -> Result<()> {
    while told.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
        for topic in topics {
            socket.send(vec![Bytes::from(format!("{topic}?"))])?;
        }
    }
    Ok(())
}

fn compare(number: usize, got: &[Bytes], expected: &[Bytes]) -> Result<()> {
    let sizes = |frames: &[Bytes]| frames.iter().map(Bytes::len).collect::<Vec<_>>();
    ensure!(
        got == expected,
        "message {number} is another one: frames of {:?} octets instead of {:?}",
        sizes(got),
        sizes(expected)
    );
    Ok(())
}

/// Tells of each octet that comes; at the end the process ends.
fn watch_input() -> Receiver<()> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut octet = [0];
        while let Ok(1..) = io::stdin().read(&mut octet) {
            // An error says that nobody wants to know.
            _ = tell.send(());
        }
        process::exit(1);
    });
    told
}

fn read_messages(input: &mut impl Read) -> Result<Vec<Vec<Bytes>>> {
    (0..read_number(input)?).map(|_| (0..read_number(input)?).map(|_| read_octets(input)).collect()).collect()
}

fn read_octets(input: &mut impl Read) -> Result<Bytes> {
    let mut octets = vec![0; usize::try_from(read_number(input)?)?];
    input.read_exact(&mut octets)?;
    Ok(Bytes::from(octets))
}

fn read_number(input: &mut impl Read) -> Result<u32> {
    let mut octets = [0; 4];
    input.read_exact(&mut octets)?;
    Ok(u32::from_be_bytes(octets))
}

fn report(line: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}
