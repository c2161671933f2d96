//! A chat room on PUB/SUB: one binds the room, the others connect to it.
//!
//! ```text
//! cargo run --example chat -- --name ada --bind tcp://*:5555
//! cargo run --example chat -- --name bob --connect tcp://localhost:5555
//! ```
//!
//! A terminal program with what was said above and the line that you type below; with its input from a file
//! or a pipe it reads that and leaves at its end. `room.rs` is the room, `guest.rs` somebody in it. Whoever
//! binds is a guest of the own room, too.

mod guest;
mod room;

use std::error::Error;
use std::thread;

use clap::Parser;
use peermq::{Context, Endpoint};

/// Errors that can go from thread to thread.
type Failure = Box<dyn Error + Send + Sync>;

/// A chat room on PUB/SUB.
#[derive(Debug, Parser)]
struct Arguments {
    /// Who you are
    #[arg(long)]
    name: String,

    /// Open a room here, such as tcp://*:5555
    #[arg(long, required_unless_present = "connect", conflicts_with = "connect")]
    bind: Option<Endpoint>,

    /// Enter the room that is there, such as tcp://localhost:5555
    #[arg(long)]
    connect: Option<Endpoint>,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let context = Context::new();
    let (room, endpoint) = match (arguments.bind, arguments.connect) {
        (Some(bind), _) => {
            let (room, endpoint) = room::open(&context, bind)?;
            eprintln!("the room is open at {endpoint}");
            (Some(thread::spawn(move || room::run(room))), room::INSIDE.parse()?)
        }
        (None, Some(connect)) => (None, connect),
        (None, None) => return Err("either --bind or --connect".into()),
    };
    guest::visit(&context, &endpoint, &arguments.name)?;
    if let Some(room) = room {
        context.shutdown();
        room.join().map_err(|_| "the room panicked")??;
    }
    Ok(())
}
