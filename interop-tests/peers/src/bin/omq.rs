//! OMQ (crate `omq-tokio`) as a peer.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use interop_peers::{Socket, THEIRS, Task, run};
use omq_tokio::error::Error;
use omq_tokio::options::ReconnectPolicy;
use omq_tokio::{Context, Message, Options, SocketType, blocking};

fn main() -> Result<()> {
    run(open)
}

/// The context ends when it is dropped.
struct Omq(blocking::Socket, #[expect(dead_code, reason = "held")] Context);

fn open(task: &Task) -> Result<(String, Omq)> {
    let context = Context::new();
    let kind = SocketType::from_wire(task.kind.as_bytes()).context("a socket type")?;
    let reconnect = ReconnectPolicy::Fixed(Duration::from_millis(5));
    let mut options = Options::new().router_mandatory(true).reconnect(reconnect);
    if task.kind == "DEALER" {
        options = options.identity(THEIRS);
    }
    if let "PUB" | "SUB" = task.kind.as_str() {
        // Its queues have a limit in octets, too: what is lost is lost by mistake.
        options.xpub_nodrop = true;
    }
    let socket = context.blocking_socket(kind, options);
    if task.kind == "SUB" {
        for topic in &task.topics {
            socket.subscribe(topic.clone())?;
        }
    }
    let endpoint = if task.binds {
        socket.bind(task.endpoint.as_str())?.to_string()
    } else {
        socket.connect(task.endpoint.as_str())?;
        task.endpoint.clone()
    };
    Ok((endpoint, Omq(socket, context)))
}

impl Socket for Omq {
    fn send(&mut self, frames: Vec<Bytes>) -> Result<()> {
        let message = Message::multipart(frames);
        loop {
            match self.0.send(message.clone()) {
                // A ROUTER knows its peer only when that has connected.
                Err(Error::Unroutable) => std::thread::sleep(Duration::from_millis(1)),
                sent => return Ok(sent?),
            }
        }
    }

    fn recv(&mut self) -> Result<Vec<Bytes>> {
        let message = self.0.recv()?;
        Ok((0..message.len()).filter_map(|part| message.part_bytes(part)).collect())
    }
}
