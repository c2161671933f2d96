//! A chat room on XPUB and XSUB: one opens the room, the others come to it.
//!
//! ```text
//! cargo run --example chat -- --name ada --bind 'tcp://*:5555'
//! cargo run --example chat -- --name bob --connect tcp://localhost:5555
//! ```
//!
//! A terminal program, with what is said above the line that you type. With its input from a file or a pipe it
//! says that, line by line, and leaves. `room.rs` is the room, `guest.rs` is somebody in it: also whoever opened
//! it, and closes it by leaving.

mod guest;
mod room;
mod terminal;

use std::error::Error;
use std::process::ExitCode;
use std::thread;

use clap::{Args, Parser};
use peermq::{Context, Endpoint};

/// Errors that can go from thread to thread.
type Failure = Box<dyn Error + Send + Sync>;

/// A chat room on XPUB and XSUB.
#[derive(Parser)]
struct Arguments {
    /// Who you are
    #[arg(long, value_parser = parse_name)]
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Open a room here, such as tcp://*:5555
    #[arg(long, value_name = "ENDPOINT")]
    bind: Option<Endpoint>,
    /// Come to the room there, such as tcp://localhost:5555
    #[arg(long, value_name = "ENDPOINT")]
    connect: Option<Endpoint>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let Arguments { name, place } = Arguments::parse();
    let context = Context::new();
    if let Some(endpoint) = place.connect {
        return guest::visit(&context, &endpoint, &name);
    }
    let room = room::open(&context, place.bind.ok_or("--bind or --connect is missing")?)?;
    let room = thread::spawn(move || room::run(room));
    guest::visit(&context, &room::INSIDE.parse()?, &name)?;
    room.join().map_err(|_| "the room panicked")?
}

fn parse_name(name: &str) -> Result<String, &'static str> {
    if name.trim().is_empty() || name.contains(char::is_control) {
        return Err("a name has letters, digits or other characters that can be seen");
    }
    Ok(name.to_owned())
}
