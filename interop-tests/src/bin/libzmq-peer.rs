//! libzmq as a peer in a process of its own, which can be killed and stopped: one socket that does one task, or a
//! proxy. `src/theirs.rs` starts it, and says what it is told; `python/peer.py` does the same with pyzmq.
#![allow(clippy::indexing_slicing, clippy::panic, reason = "a peer of tests fails by panicking")]

use std::io::{self, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use interop_tests::raw::DEADLINE;
use interop_tests::theirs::{Frames, numbered};

const NUMBERS_IN_ONE_GO: u32 = 100;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (path, task, words) = match &words[..] {
        [path, task, words @ ..] => (path, *task, words),
        _ => bail!("libzmq-peer PATH TASK ..."),
    };
    let mut reports = Reports(UnixStream::connect(path)?);
    reports.say(format!("pid {}", process::id()))?;
    match words {
        [front, front_side, front_at, back, back_side, back_at] if task == "proxy" => {
            let context = zmq::Context::new();
            let front = reports.end(&context, front, front_side, front_at)?;
            let back = reports.end(&context, back, back_side, back_at)?;
            reports.watch_input();
            Ok(zmq::proxy(&front, &back)?)
        }
        [kind, side, endpoint, options @ ..] => {
            let mut peer = Peer::new(kind, options, reports)?;
            peer.open(side, endpoint)?;
            peer.run(task)
        }
        _ => bail!("{task}: TYPE bind|connect ENDPOINT [OPTION=VALUE ...]"),
    }
}

/// Both ways to whoever started this.
struct Reports(UnixStream);

impl Reports {
    fn say(&mut self, line: String) -> io::Result<()> {
        self.0.write_all((line + "\n").as_bytes())
    }

    fn number(&mut self) -> Result<u32> {
        let mut octets = [0; 4];
        self.0.read_exact(&mut octets)?;
        Ok(u32::from_be_bytes(octets))
    }

    fn messages(&mut self) -> Result<Vec<Frames>> {
        (0..self.number()?).map(|_| (0..self.number()?).map(|_| self.octets()).collect()).collect()
    }

    fn octets(&mut self) -> Result<Vec<u8>> {
        let mut octets = vec![0; usize::try_from(self.number()?)?];
        self.0.read_exact(&mut octets)?;
        Ok(octets)
    }

    /// Whether anything was told since; ends the process with the input.
    fn watch_input(&self) -> Arc<AtomicBool> {
        let told = Arc::new(AtomicBool::new(false));
        let (input, tell) = (self.0.try_clone(), told.clone());
        thread::spawn(move || {
            if let Ok(mut input) = input {
                while input.read(&mut [0]).is_ok_and(|count| count == 1) {
                    tell.store(true, Ordering::Relaxed);
                }
            }
            process::exit(1);
        });
        told
    }

    fn end(&mut self, context: &zmq::Context, kind: &str, side: &str, endpoint: &str) -> Result<zmq::Socket> {
        let socket = context.socket(kind_named(kind)?)?;
        socket.set_sndhwm(0)?;
        socket.set_rcvhwm(0)?;
        self.open(&socket, side, endpoint)?;
        Ok(socket)
    }

    /// Binds, also at a place that another process has just left; or connects.
    fn open(&mut self, socket: &zmq::Socket, side: &str, endpoint: &str) -> Result<()> {
        let until = Instant::now() + DEADLINE;
        if side == "connect" {
            socket.connect(endpoint)?;
        } else {
            while let Err(error) = socket.bind(endpoint) {
                ensure!(error == zmq::Error::EADDRINUSE && Instant::now() < until, "{endpoint}: {error}");
                thread::yield_now();
            }
        }
        let at = socket.get_last_endpoint()?.ok().context("an endpoint is UTF-8")?;
        Ok(self.say(format!("at {at}"))?)
    }
}

struct Peer {
    context: zmq::Context,
    zap: Option<ZapHandler>,
    socket: zmq::Socket,
    kind: zmq::SocketType,
    reports: Reports,
    topics: Vec<String>,
    epoch: String,
    holds: bool,
    stays: bool,
}

impl Peer {
    fn new(kind: &str, options: &[&str], reports: Reports) -> Result<Self> {
        let kind = kind_named(kind)?;
        let context = zmq::Context::new();
        let socket = context.socket(kind)?;
        let mut peer = Self {
            context,
            zap: None,
            socket,
            kind,
            reports,
            topics: Vec::new(),
            epoch: "0".into(),
            holds: false,
            stays: false,
        };
        for option in options {
            let (name, value) = option.split_once('=').context("OPTION=VALUE")?;
            peer.set(name, value).with_context(|| (*option).to_owned())?;
        }
        Ok(peer)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let socket = &self.socket;
        match name {
            "EPOCH" => self.epoch = value.into(),
            "HOLD" => self.holds = true,
            "STAY" => self.stays = true,
            "TOPIC" => self.topics.push(value.into()),
            "SUBSCRIBE" if self.kind == zmq::XSUB => socket.send(&format!("\x01{value}"), 0)?,
            "SUBSCRIBE" => socket.set_subscribe(value.as_bytes())?,
            "ROUTING_ID" => socket.set_identity(value.as_bytes())?,
            "CONFLATE" => socket.set_conflate(value == "1")?,
            "HEARTBEAT_IVL" => socket.set_heartbeat_ivl(value.parse()?)?,
            "HEARTBEAT_TIMEOUT" => socket.set_heartbeat_timeout(value.parse()?)?,
            "HEARTBEAT_TTL" => socket.set_heartbeat_ttl(value.parse()?)?,
            "PLAIN_PASSWORD" => socket.set_plain_password(Some(value))?,
            "PLAIN_SERVER" => socket.set_plain_server(value == "1")?,
            "PLAIN_USERNAME" => socket.set_plain_username(Some(value))?,
            "ZAP" => self.zap = Some(ZapHandler::start(&self.context, value.to_owned())?),
            "ZAP_DOMAIN" => socket.set_zap_domain(value)?,
            "LINGER" => socket.set_linger(value.parse()?)?,
            "PROBE_ROUTER" => socket.set_probe_router(value == "1")?,
            "RCVHWM" => socket.set_rcvhwm(value.parse()?)?,
            "RCVTIMEO" => socket.set_rcvtimeo(value.parse()?)?,
            "RECONNECT_IVL" => socket.set_reconnect_ivl(value.parse()?)?,
            "REQ_CORRELATE" => socket.set_req_correlate(value == "1")?,
            "REQ_RELAXED" => socket.set_req_relaxed(value == "1")?,
            "ROUTER_MANDATORY" => socket.set_router_mandatory(value == "1")?,
            "SNDHWM" => socket.set_sndhwm(value.parse()?)?,
            "SNDTIMEO" => socket.set_sndtimeo(value.parse()?)?,
            _ => bail!("an option that is not known here"),
        }
        Ok(())
    }

    fn open(&mut self, side: &str, endpoint: &str) -> Result<()> {
        self.reports.open(&self.socket, side, endpoint)
    }

    fn run(mut self, task: &str) -> Result<()> {
        let has_messages = ["ask", "receive", "send"].contains(&task);
        let messages = if has_messages { self.reports.messages()? } else { Vec::new() };
        let told = self.reports.watch_input();
        self.wait_until_told(&told)?;
        match task {
            "ask" => self.ask(&messages)?,
            "count" => self.count()?,
            "echo" => self.echo()?,
            "inquire" => self.inquire()?,
            "ledger" => self.ledger()?,
            "receive" => self.receive(&messages)?,
            "send" => messages.iter().try_for_each(|frames| self.socket.send_multipart(frames, 0))?,
            _ => bail!("no task {task}"),
        }
        self.reports.say(format!("sent {}", messages.len()))?;
        while self.stays && !told.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        if let Some(zap) = self.zap {
            zap.end();
        }
        // Waits for what is not sent, as its context goes, too.
        drop(self.socket);
        drop(self.context);
        Ok(self.reports.say(format!("done {}", messages.len()))?)
    }

    /// A publisher repeats `TOPIC?`: only who asked knows that the subscriptions have arrived.
    fn wait_until_told(&self, told: &AtomicBool) -> Result<()> {
        let mut wait = Duration::from_millis(1);
        let must_wait = self.holds || (!self.topics.is_empty() && self.kind != zmq::SUB);
        while must_wait && !told.load(Ordering::Relaxed) {
            // libzmq takes new connections in only when it is called.
            self.socket.get_events()?;
            for topic in &self.topics {
                self.socket.send(&format!("{topic}?"), 0)?;
            }
            thread::sleep(wait);
            wait = (2 * wait).min(Duration::from_millis(100));
        }
        Ok(())
    }

    fn ask(&self, messages: &[Frames]) -> Result<()> {
        for (number, frames) in messages.iter().enumerate() {
            let until = Instant::now() + DEADLINE;
            while let Err(error) = self.socket.send_multipart(frames, 0) {
                ensure!(error == zmq::Error::EHOSTUNREACH && Instant::now() < until, "{error}");
                thread::yield_now();
            }
            compare(number, &self.socket.recv_multipart(0)?, frames)?;
        }
        Ok(())
    }

    fn receive(&mut self, messages: &[Frames]) -> Result<()> {
        let is_question = |frames: &Frames| {
            let is_about = |topic: &String| frames[0].strip_suffix(b"?") == Some(topic.as_bytes());
            frames.len() == 1 && self.topics.iter().any(is_about)
        };
        let mut has_heard = false;
        for (number, frames) in messages.iter().enumerate() {
            let mut got = self.socket.recv_multipart(0)?;
            while is_question(&got) {
                if !has_heard {
                    self.reports.say("heard 1".into())?;
                    has_heard = true;
                }
                got = self.socket.recv_multipart(0)?;
            }
            compare(number, &got, frames)?;
        }
        Ok(())
    }

    fn echo(&self) -> Result<()> {
        loop {
            let frames = self.socket.recv_multipart(0)?;
            if self.kind != zmq::XPUB || !matches!(frames[0][..], [0 | 1, ..]) {
                self.socket.send_multipart(&frames, 0)?;
            }
        }
    }

    fn count(&self) -> Result<()> {
        for number in 0.. {
            self.socket.send_multipart(numbered(&self.epoch, number), 0)?;
            // Who never waits for room would fill the memory.
            if matches!(self.kind, zmq::PUB | zmq::XPUB) && number % NUMBERS_IN_ONE_GO == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    fn ledger(&mut self) -> Result<()> {
        loop {
            let frames = self.socket.recv_multipart(0)?;
            let (epoch, number) =
                (std::str::from_utf8(&frames[0])?, std::str::from_utf8(&frames[1])?.parse()?);
            compare(number as usize, &frames, &numbered(epoch, number))?;
            self.reports.say(format!("got {number}"))?;
        }
    }

    fn inquire(&mut self) -> Result<()> {
        for number in 0.. {
            self.socket.send_multipart(numbered(&self.epoch, number), 0)?;
            match self.hear_answer(number) {
                Ok(heard) => self.reports.say(format!("got {heard}"))?,
                Err(error) if error.downcast_ref() == Some(&zmq::Error::EAGAIN) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn hear_answer(&self, number: u32) -> Result<u32> {
        loop {
            let frames = self.socket.recv_multipart(0)?;
            if self.kind == zmq::REQ {
                compare(number as usize, &frames, &numbered(&self.epoch, number))?;
                return Ok(number);
            }
            // Late ones, and what a ROUTER that connects had for whoever was here before, come, too.
            let (epoch, heard) =
                (std::str::from_utf8(&frames[0])?, std::str::from_utf8(&frames[1])?.parse()?);
            compare(heard as usize, &frames, &numbered(epoch, heard))?;
            if epoch == self.epoch {
                return Ok(heard);
            }
        }
    }
}

fn compare(number: usize, got: &Frames, expected: &Frames) -> Result<()> {
    let sizes = |frames: &Frames| frames.iter().map(Vec::len).collect::<Vec<_>>();
    ensure!(
        got == expected,
        "message {number} is another one: frames of {:?} octets instead of {:?}",
        sizes(got),
        sizes(expected)
    );
    Ok(())
}

/// A ZAP handler that says the same to everybody.
struct ZapHandler {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl ZapHandler {
    fn start(context: &zmq::Context, status: String) -> Result<Self> {
        let handler = context.socket(zmq::REP)?;
        handler.bind("inproc://zeromq.zap.01")?;
        handler.set_rcvtimeo(10)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let Ok(request) = handler.recv_multipart(0) else { continue };
                let [version, number, ..] = &request[..] else { break };
                // Without a user: a REQ of libzmq, if it has one, takes that for a reply.
                let answer = [&version[..], number, status.as_bytes(), b"said so", b"", b""];
                if handler.send_multipart(answer, 0).is_err() {
                    break;
                }
            }
        });
        Ok(Self { is_over, thread })
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        _ = self.thread.join();
    }
}

fn kind_named(name: &str) -> Result<zmq::SocketType> {
    Ok(match name {
        "DEALER" => zmq::DEALER,
        "PAIR" => zmq::PAIR,
        "PUB" => zmq::PUB,
        "PULL" => zmq::PULL,
        "PUSH" => zmq::PUSH,
        "REP" => zmq::REP,
        "REQ" => zmq::REQ,
        "ROUTER" => zmq::ROUTER,
        "SUB" => zmq::SUB,
        "XPUB" => zmq::XPUB,
        "XSUB" => zmq::XSUB,
        _ => bail!("no socket type {name}"),
    })
}
