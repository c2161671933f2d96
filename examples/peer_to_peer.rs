//! Two processes that talk as equals: PAIR over ipc.
//!
//! One thinks of a number, the other finds it by asking. `cargo run --example peer_to_peer` plays both sides:
//! it starts itself once more. To play in two terminals:
//!
//! ```text
//! cargo run --example peer_to_peer -- think ipc:///tmp/game.ipc
//! cargo run --example peer_to_peer -- guess ipc:///tmp/game.ipc
//! ```

use std::cmp::Ordering;
use std::error::Error;
use std::process::{Command, ExitCode};
use std::{env, process};

use peermq::{Context, Pair};

/// The numbers in play: 0 to this one.
const MOST: u32 = 1000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer_to_peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["think", endpoint] => think(endpoint),
        ["guess", endpoint] => guess(endpoint),
        [] => {
            let path = env::temp_dir().join(format!("peer_to_peer.{}.ipc", process::id()));
            let endpoint = format!("ipc://{}", path.display());
            let mut other = Command::new(env::current_exe()?).args(["guess", &endpoint]).spawn()?;
            think(&endpoint)?;
            if other.wait()?.success() { Ok(()) } else { Err("the other side failed".into()) }
        }
        _ => Err("usage: peer_to_peer [think|guess ipc://PATH]".into()),
    }
}

/// Binds, and answers every guess.
fn think(endpoint: &str) -> Result<(), Box<dyn Error>> {
    let secret = process::id() % (MOST + 1);
    println!("[thinker] my number is {secret}");
    let mut peer = Context::new().open::<Pair>()?;
    peer.bind(endpoint)?;
    loop {
        let message = peer.recv()?;
        // Whoever is there may say anything.
        let guess = message.to_str().ok().and_then(|text| text.parse::<u32>().ok());
        let answer = match guess.map(|guess| guess.cmp(&secret)) {
            Some(Ordering::Less) => "higher",
            Some(Ordering::Greater) => "lower",
            Some(Ordering::Equal) => "right",
            None => "guess a number",
        };
        println!("[thinker] {}? {answer}", guess.map_or_else(|| "what".into(), |guess| guess.to_string()));
        peer.send(answer)?;
        if answer == "right" {
            return Ok(());
        }
    }
}

/// Connects, before or after the other side binds, and halves what is left with every guess.
fn guess(endpoint: &str) -> Result<(), Box<dyn Error>> {
    let mut peer = Context::new().open::<Pair>()?;
    peer.connect(endpoint)?;
    let (mut low, mut high) = (0, MOST);
    for count in 1.. {
        let guess = low + (high - low) / 2;
        peer.send(guess.to_string())?;
        loop {
            // Whoever is there may say anything: what is no answer is passed over.
            match peer.recv()?.to_str() {
                Ok("higher") if guess < high => low = guess + 1,
                Ok("lower") if guess > low => high = guess - 1,
                Ok("right") => {
                    println!("[guesser] found {guess} with {count} guesses");
                    return Ok(());
                }
                Ok(_) | Err(_) => {
                    println!("[guesser] that is no answer to {guess}");
                    continue;
                }
            }
            break;
        }
    }
    Ok(())
}
