//! A client that gets its answers although the server is killed again and again: REQ and REP over tcp.
//!
//! The client asks, waits a moment, and asks again if nothing comes: there is no state from which it could
//! not go on. `cargo run --example request_reply` plays it all: the server is a process of its own, which
//! is killed and started again while the client asks. `-- QUESTIONS KILLS` sets how often.

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use peermq::{Context, Message, RecvError, Rep, Req, Socket};

/// How long the client waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often the server is killed.
const KILL_EVERY: Duration = Duration::from_millis(100);

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", endpoint] => serve(endpoint),
        [] => play(2_000, 10),
        [questions, kills] => play(questions.parse()?, kills.parse()?),
        _ => Err("usage: request_reply [QUESTIONS KILLS]".into()),
    }
}

/// Squares numbers until it is killed.
fn serve(endpoint: &str) -> Result<(), Failure> {
    let mut rep = Context::new().open::<Rep>()?;
    println!("{}", rep.bind(endpoint)?);
    loop {
        let request = rep.recv()?;
        let number: u64 = request.message().to_str()?.parse()?;
        request.reply((number * number).to_string())?;
    }
}

fn play(questions: u64, kills: u32) -> Result<(), Failure> {
    let (server, endpoint) = start("tcp://127.0.0.1:0")?;
    let (done, is_done) = channel();
    let place = endpoint.clone();
    let nemesis = thread::spawn(move || kill_and_restart(server, &place, kills, &is_done));

    let mut req = Context::new().open::<Req>()?;
    req.connect(endpoint.as_str())?;
    let mut retries = 0;
    for number in 0..questions {
        let answer = ask(&mut req, number, &mut retries)?;
        if answer != (number * number).to_string() {
            return Err(format!("{number} squared is not {answer:?}").into());
        }
    }
    drop(done);
    let killed = nemesis.join().map_err(|_| "the nemesis panicked")??;
    println!("{questions} questions, {questions} right answers; {killed} servers killed, {retries} retries");
    Ok(())
}

/// Asks until there is an answer. What is dropped with the guard is only the hope for this one reply.
fn ask(req: &mut Socket<Req>, number: u64, retries: &mut u32) -> Result<Message, Failure> {
    loop {
        let mut reply = req.request(number.to_string())?;
        match reply.recv_timeout(PATIENCE) {
            Ok(answer) => return Ok(answer),
            Err(RecvError::WouldBlock) => *retries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Starts a server and returns it with the endpoint that it got.
fn start(endpoint: &str) -> Result<(Child, String), Failure> {
    let mut command = Command::new(env::current_exe()?);
    let mut server = command.args(["serve", endpoint]).stdout(Stdio::piped()).spawn()?;
    let output = server.stdout.take().ok_or("the server has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok((server, line.trim().to_owned()))
}

/// Kills the server `kills` times, and starts another each time; ends the last one when all is done.
fn kill_and_restart(
    mut server: Child,
    endpoint: &str,
    kills: u32,
    is_done: &Receiver<()>,
) -> Result<u32, Failure> {
    for _ in 0..kills {
        if is_done.recv_timeout(KILL_EVERY) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
        server.kill()?;
        server.wait()?;
        (server, _) = start(endpoint)?;
    }
    let _ = is_done.recv(); // returns when the client is gone
    server.kill()?;
    server.wait()?;
    Ok(kills)
}
