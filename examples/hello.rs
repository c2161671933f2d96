//! The README's example: one message from a PUSH socket to a PULL socket.
//! Run it: `cargo run --example hello`

use peermq::{Context, Pull, Push};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let context = Context::new();
    let mut pull = context.open::<Pull>()?;
    let endpoint = pull.bind("tcp://127.0.0.1:0")?;
    let mut push = context.open::<Push>()?;
    push.connect(&endpoint)?;
    push.send("hello, world")?;
    println!("{}", pull.recv()?.to_str()?);
    Ok(())
}
