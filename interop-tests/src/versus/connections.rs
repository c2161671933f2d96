//! What each side of `connections` does: one ROUTER, and many idle peers of it in another process.
//!
//! Every peer greets the server, and the server, once it has heard of all, answers them one after the other. Then
//! nothing happens for a while, which shows what idle connections cost. Then the server's process is killed and
//! another one takes its place: all peers come back by themselves, greet it, and are answered again. A greeting may
//! be lost with the connection that ends, so all of them are repeated until the answers come.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::conductor::{Note, Order, Port};
use super::side::{Implementation, RUN_DEADLINE, await_endpoint, await_stop, cpu_ns, nanoseconds, pin};
use super::stamp;
use super::task::{Role, Task};

/// How long the idle server is left alone before it is watched, and for how long it is watched.
const SETTLE: Duration = Duration::from_millis(500);
const WATCH: Duration = Duration::from_secs(2);

/// What a peer says.
pub(crate) const GREETING: [u8; stamp::OCTETS] = stamp::HELLO.to_le_bytes();

/// How long peers wait for the first answer before they greet again.
const REPEAT: Duration = Duration::from_millis(100);

/// An implementation that has them.
pub(crate) trait ManyImplementation: Implementation {
    type Server: Server;
    type Peers: Peers;

    /// Binds the server; returns the endpoint to connect to.
    fn bind_server(&self) -> Result<(Self::Server, String)>;
    /// Connects so many peers.
    fn connect_peers(&self, endpoint: &str, count: u32) -> Result<Self::Peers>;
}

/// The one that is connected to.
pub(crate) trait Server {
    /// Waits until so many different peers have greeted, of any process.
    fn await_peers(&mut self, count: usize) -> Result<()>;
    /// Sends each of them its number, from 0 on.
    fn answer(&mut self) -> Result<()>;
}

/// All peers.
pub(crate) trait Peers {
    /// Sends one message from each, as far as there is room.
    fn greet(&mut self) -> Result<()>;
    /// Waits so long for an answer, for whichever peer, and returns the number in it.
    fn await_answer(&mut self, within: Duration) -> Result<Option<u64>>;

    /// Connects again, where that is not done by itself.
    fn come_back(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Plays the side that `task` describes.
pub(crate) fn play<I: ManyImplementation>(task: &Task) -> Result<()> {
    pin(task, task.role)?;
    let implementation = I::new(task)?;
    match task.role {
        Role::Bind => serve(&implementation, task, &Port::Standard),
        Role::Connect => visit(&implementation, task, &Port::Standard),
        Role::Both => bail!("a side has one role"),
    }
}

fn serve<I: ManyImplementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let (mut server, endpoint) = implementation.bind_server()?;
    let before = memory_octets()?;
    port.say(Note::Bound(endpoint))?;
    server.await_peers(usize::try_from(task.case.fan)?)?;
    port.say(Note::Ready)?;
    server.answer()?;
    // All answers have arrived: nothing more happens until this process is killed.
    while port.hear()? == Order::Go {
        thread::sleep(SETTLE);
        let (cpu_before, start) = (cpu_ns()?, Instant::now());
        thread::sleep(WATCH);
        let cpu_percent = 100.0 * (cpu_ns()? - cpu_before) as f64 / nanoseconds(start.elapsed()) as f64;
        let octets_per_peer = memory_octets()?.saturating_sub(before) as f64 / f64::from(task.case.fan);
        port.say(Note::Idle { octets_per_peer, cpu_percent })?;
    }
    Ok(())
}

fn visit<I: ManyImplementation>(implementation: &I, task: &Task, port: &Port) -> Result<()> {
    let endpoint = await_endpoint(port)?;
    let mut peers = implementation.connect_peers(&endpoint, task.case.fan)?;
    await_answers(&mut peers, task)?;
    port.say(Note::Ready)?;
    ensure!(port.hear()? == Order::Go, "told to stop before the server's end");
    peers.come_back()?;
    await_answers(&mut peers, task)?;
    port.say(Note::Ready)?;
    await_stop(port)
}

/// Every number has to come once.
fn await_answers<P: Peers>(peers: &mut P, task: &Task) -> Result<()> {
    let mut has_come = vec![false; usize::try_from(task.case.fan)?];
    let mut first = None;
    while first.is_none() {
        peers.greet()?;
        first = peers.await_answer(REPEAT)?;
    }
    for _ in 0..task.case.fan {
        let answer = first.take().map_or_else(|| peers.await_answer(RUN_DEADLINE), |it| Ok(Some(it)))?;
        let number = usize::try_from(answer.context("some were not answered")?)?;
        let has_come = has_come.get_mut(number).context("an answer to nobody")?;
        ensure!(!std::mem::replace(has_come, true), "two answers with number {number}");
    }
    Ok(())
}

/// The server's endpoint with an address of the peer's own in front, as libzmq has it: the whole loopback network is
/// this host, and with many addresses ports never run out.
pub(crate) fn from_own_address(endpoint: &str, peer: u32) -> String {
    let [_, high, middle, low] = peer.to_be_bytes();
    let own = format!("127.{}.{middle}.{low}", 1 + high % 254);
    match endpoint.strip_prefix("tcp://") {
        Some(server) => format!("tcp://{own}:0;{server}"),
        None => endpoint.to_owned(),
    }
}

/// Memory that this process has written to. Program code, which is mapped once it runs, is not part of it.
fn memory_octets() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("needs /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("RssAnon is a number of kB")?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_have_addresses_of_their_own() {
        let at = |peer| from_own_address("tcp://127.0.0.1:5555", peer);
        assert_eq!(at(0), "tcp://127.1.0.0:0;127.0.0.1:5555");
        assert_eq!(at(9_999), "tcp://127.1.39.15:0;127.0.0.1:5555");
    }

    #[test]
    fn memory_that_is_written_to_is_counted() {
        let before = memory_octets().unwrap();
        let memory = std::hint::black_box(vec![7_u8; 64 << 20]);
        let grown = memory_octets().unwrap().saturating_sub(before);
        assert!(grown >= 32 << 20, "{grown} for {}", memory.len());
    }
}
