//! The sides of `versus` that other implementations play: `thr`, `oneway`, and `lat` between REQ and REP.
//!
//! Apart from `interop-tests`, because they need a newer compiler than the library and take long to build. `versus
//! --rivals` builds and starts this program. All of them are asynchronous, so that what a side does is written once
//! more here, in [`side`]; each is used as its own documentation says is fast.

mod monocoque_peer;
mod omq_peer;
mod rzmq_peer;
mod side;
mod zmq_rs_peer;

use anyhow::{Context as _, Result, bail};
use interop_tests::versus::{Note, Peer, Port, Task, end_with_parent, pin};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some("side"), Some(text)) = (arguments.next().as_deref(), arguments.next()) else {
        bail!("started by versus --rivals")
    };
    end_with_parent()?;
    let task: Task = serde_json::from_str(&text).context("not a task")?;
    // `versus` reports a failure: this process only tells it.
    if let Err(error) = play(&task) {
        Port::Standard.say(Note::Failed(format!("{error:#}")))?;
        std::process::exit(1);
    }
    // Sockets that linger have nothing left to do: the other side has told that it has everything.
    std::process::exit(0);
}

fn play(task: &Task) -> Result<()> {
    // The runtime's threads are started by this one, and stay where it is.
    pin(task, task.role)?;
    match task.peer {
        Peer::Monocoque => side::play::<monocoque_peer::Socket>(task),
        Peer::Omq => side::play::<omq_peer::Socket>(task),
        Peer::Rzmq => side::play::<rzmq_peer::Socket>(task),
        Peer::ZmqRs => side::play::<zmq_rs_peer::Socket>(task),
        Peer::Peermq | Peer::Libzmq | Peer::Raw => bail!("not a rival"),
    }
}
