//! A client that gets its answers although the server is killed again and again: REQ and REP over tcp.
//!
//! The client asks, waits a moment, and asks again if nothing comes: there is no state from which it could not go
//! on. `cargo run --example request_reply` plays it all: the server is a process of its own, which is killed with
//! a question on its way, and started again. `-- QUESTIONS KILLS` sets how many. A server by itself, and a client that
//! asks it for anything:
//!
//! ```text
//! cargo run --example request_reply -- serve tcp://127.0.0.1:5560
//! cargo run --example request_reply -- ask tcp://127.0.0.1:5560 12
//! ```

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use peermq::{Context, RecvError, Rep, Req};

/// How long the client waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("request_reply: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    if let [verb, endpoint, question] = args.as_slice() {
        if verb == "ask" {
            return ask(&endpoint.to_string_lossy(), question.as_encoded_bytes());
        }
    }
    let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    match args.iter().map(|arg| &**arg).collect::<Vec<_>>().as_slice() {
        ["serve", endpoint] => serve(endpoint),
        [] => play(2_000, 10),
        [questions, kills] => play(questions.parse()?, kills.parse()?),
        _ => Err("usage: request_reply [QUESTIONS KILLS] | serve ENDPOINT | ask ENDPOINT QUESTION".into()),
    }
}

/// Squares numbers until it is killed. Whatever somebody sends must not end it for the others.
fn serve(endpoint: &str) -> Result<(), Box<dyn Error>> {
    let mut rep = Context::new().open::<Rep>()?;
    println!("{}", rep.bind(endpoint)?);
    loop {
        let request = rep.recv()?;
        let number = request.message().to_str().ok().and_then(|text| text.parse::<u128>().ok());
        let square = number.and_then(|number| number.checked_mul(number));
        request.reply(
            square.map_or_else(|| "not a number that I can square".into(), |square| square.to_string()),
        )?;
    }
}

/// Asks a server one question, and prints its answer.
fn ask(endpoint: &str, question: &[u8]) -> Result<(), Box<dyn Error>> {
    // Its error shows within a second, also if the question was never sent.
    let context = Context::builder().linger(Duration::from_secs(1)).build();
    let mut req = context.open::<Req>()?;
    req.connect(endpoint)?;
    println!("{}", req.request(question)?.recv_timeout(Duration::from_secs(10))?.to_str()?);
    Ok(())
}

fn play(questions: u64, kills: u64) -> Result<(), Box<dyn Error>> {
    let mut server = Server::start("tcp://127.0.0.1:0")?;
    let mut req = Context::new().open::<Req>()?;
    req.connect(server.endpoint.as_str())?;
    let (mut killed, mut retries) = (0, 0);
    for number in 0..questions {
        let answer = loop {
            let mut reply = req.request(number.to_string())?;
            if killed < kills && killed * questions <= number * kills {
                killed += 1;
                server = server.kill_and_restart()?;
            }
            match reply.recv_timeout(PATIENCE) {
                Ok(answer) => break answer,
                // Dropping the reply gives this request up: a late answer to it is not taken for one to the next.
                Err(RecvError::WouldBlock) => retries += 1,
                Err(error) => return Err(error.into()),
            }
        };
        let square = u128::from(number) * u128::from(number);
        if answer != square.to_string() {
            return Err(format!("{number} squared is not {answer:?}").into());
        }
    }
    println!("{questions} questions, {questions} right answers; {killed} servers killed, {retries} retries");
    Ok(())
}

/// A server process, which ends with its owner.
struct Server {
    process: Child,
    endpoint: String,
}

impl Server {
    /// Starts a server; when this returns it is bound.
    fn start(endpoint: &str) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env::current_exe()?);
        let mut process = command.args(["serve", endpoint]).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let mut server = Self { process, endpoint: String::new() };
        BufReader::new(output).read_line(&mut server.endpoint)?;
        server.endpoint.truncate(server.endpoint.trim_end().len());
        if server.endpoint.is_empty() {
            return Err(format!("the server could not bind to {endpoint}; what it said is above").into());
        }
        Ok(server)
    }

    fn kill_and_restart(self) -> Result<Self, Box<dyn Error>> {
        let endpoint = self.endpoint.clone();
        drop(self);
        Self::start(&endpoint)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
