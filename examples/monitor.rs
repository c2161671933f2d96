//! Watching a socket: who comes and goes, who is kept out and why, and what has gone where.
//!
//! One monitor is read by a thread, as an iterator, the other one in a task.
//!
//! `cargo run --example monitor` opens a socket that asks for a password, lets one peer in and another one not, and ends.

use std::error::Error;
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use peermq::{Authorizer, Context, EventKind, Monitor, PlainCredentials, Pull, Push, RecvError, Security};

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let context = Context::new();
    let ada = PlainCredentials::new("ada", "lovelace")?;
    let guests = Authorizer::passwords([("ada", "lovelace")])?;
    let mut pull = context.builder_for::<Pull>().security(Security::PlainServer).authorizer(guests).open()?;
    let watching = thread::spawn({
        let monitor = pull.monitor();
        move || watch(monitor)
    });
    let binding = pull.bind("tcp://127.0.0.1:0")?;

    let mallory = PlainCredentials::new("mallory", "guess")?;
    let mut stranger = context.builder_for::<Push>().security(Security::PlainClient(mallory)).open()?;
    let news = stranger.monitor();
    stranger.connect(&binding)?;
    println!("mallory: {}", block_on(outcome(&news))?);

    let mut push = context.builder_for::<Push>().security(Security::PlainClient(ada)).open()?;
    push.connect(&binding)?;
    for job in ["one", "two", "three"] {
        push.send(job)?;
        pull.recv_timeout(PATIENCE)?;
    }

    let stats = pull.stats();
    for peer in &stats.peers {
        let received = peer.received;
        println!(
            "connection {}: {} messages, {} octets",
            peer.connection, received.messages, received.octets
        );
    }
    let total = stats.total;
    let (came, kept_out) = (total.received.messages, total.connections.handshakes_failed);
    drop((stranger, push, pull));
    watching.join().map_err(|_| "the watcher panicked")?;
    println!("{came} jobs came, {kept_out} peer was kept out");
    Ok(())
}

/// Waits, in a task, until a peer has let us in or not.
async fn outcome(news: &Monitor) -> Result<String, RecvError> {
    loop {
        let event = news.recv_async().await?;
        if let EventKind::Ready(_) | EventKind::HandshakeFailed(_) = event.kind {
            return Ok(event.kind.reason().map_or_else(|| "let in".into(), |reason| reason.to_string()));
        }
    }
}

/// Tells what happens until the socket is gone.
fn watch(monitor: Monitor) {
    for event in monitor {
        println!("{event}");
    }
}
