//! A chat over CURVE: the room lets in whoever is on its list, and knows by the key who says what.
//!
//! ```text
//! cargo run --features curve --example curve_keygen -- room.key    # prints the key of the room
//! cargo run --features curve --example curve_keygen -- alice.key   # prints the key of alice
//! echo 'KEY-OF-ALICE alice' > guests
//! cargo run --features curve --example private_chat -- room 'tcp://*:5599' room.key guests
//! cargo run --features curve --example private_chat -- guest tcp://localhost:5599 alice.key 'KEY-OF-THE-ROOM'
//! ```
//!
//! The list is read again whenever it changes. A guest ends with its input.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use peermq::{
    Authorizer, ConnectionError, Context, CurveKeyPair, Dealer, NotReadyKind, Router, RoutingId, Security,
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("private_chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["room", endpoint, key, list] => room(endpoint, &read_keys(key)?, list),
        ["guest", endpoint, key, room] => guest(endpoint, &read_keys(key)?, room),
        _ => Err("private_chat room ENDPOINT KEY-FILE LIST | guest ENDPOINT KEY-FILE KEY-OF-THE-ROOM".into()),
    }
}

fn read_keys(path: &str) -> Result<CurveKeyPair, Box<dyn Error>> {
    Ok(CurveKeyPair::from_secret_text(std::fs::read_to_string(path)?.trim())?)
}

/// Tells everybody what anybody says.
fn room(endpoint: &str, keys: &CurveKeyPair, list: &str) -> Result<(), Box<dyn Error>> {
    let context = Context::new();
    let security = Security::CurveServer { keys: keys.clone() };
    let builder = context.builder_for::<Router>().security(security);
    let mut room = builder.authorizer(Authorizer::allowed_keys(list)?).open()?;
    let binding = room.bind(endpoint)?;
    writeln!(io::stdout(), "the room is at {}", binding.endpoint())?;
    loop {
        let (from, line) = room.recv()?;
        let guests = room.peers();
        // Who it is was proven; what it calls itself was not.
        let Some(who) = guests.iter().find(|guest| *guest.routing_id() == from) else { continue };
        let line = format!("{}: {}", who.user_id().unwrap_or("somebody"), line.to_str().unwrap_or("?"));
        writeln!(io::stdout(), "{line}")?;
        for guest in &guests {
            room.send_to(guest.routing_id(), line.as_str())?;
        }
    }
}

/// Says every line of the input, and shows what is said.
fn guest(endpoint: &str, keys: &CurveKeyPair, room: &str) -> Result<(), Box<dyn Error>> {
    let context = Context::new();
    let security = Security::CurveClient { keys: keys.clone(), server_key: room.parse()? };
    let name = RoutingId::new(keys.public_key().to_string())?;
    let mut guest = context.builder_for::<Dealer>().security(security).routing_id(name).open()?;
    if let Err(error) = guest.connect(endpoint)?.wait_ready(Duration::from_secs(10)) {
        if let NotReadyKind::Failed(why) = error.kind() {
            return Err(format!("not let in: {why}").into());
        }
        let is_cut_off = error.kind() == NotReadyKind::TimedOut(Some(ConnectionError::PeerClosed));
        let hint = if is_cut_off { " (is the key of the room right?)" } else { "" };
        return Err(format!("{error}{hint}").into());
    }
    writeln!(io::stdout(), "let in")?;
    let (say, lines) = mpsc::channel();
    thread::spawn(move || {
        io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| say.send(line))
    });
    loop {
        match lines.try_recv() {
            Ok(line) => guest.send(line.as_str())?,
            Err(mpsc::TryRecvError::Empty) => {}
            Err(mpsc::TryRecvError::Disconnected) => {
                guest.close(Duration::from_secs(10));
                return Ok(());
            }
        }
        if let Ok(said) = guest.recv_timeout(Duration::from_millis(50)) {
            writeln!(io::stdout(), "{}", said.to_str().unwrap_or("?"))?;
        }
    }
}
