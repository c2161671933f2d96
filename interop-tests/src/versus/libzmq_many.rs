//! Many connections with libzmq: a ROUTER, and a DEALER that connects again and again.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use zmq::{Message, Socket};

use super::connections::{GREETING, ManyImplementation, Peers, Server, from_own_address};
use super::libzmq_peer::Libzmq;
use super::stamp;

/// ROUTER.
pub(crate) struct LibzmqServer {
    socket: Socket,
    ids: HashSet<Vec<u8>>,
}

/// One DEALER with all connections.
pub(crate) struct LibzmqPeers {
    socket: Socket,
    message: Message,
    count: u32,
}

impl ManyImplementation for Libzmq {
    type Server = LibzmqServer;
    type Peers = LibzmqPeers;

    fn bind_server(&self) -> Result<(LibzmqServer, String)> {
        let socket = self.open(zmq::ROUTER)?;
        socket.set_backlog(i32::try_from(self.task.case.fan)?)?;
        let endpoint = self.bind_socket(&socket)?;
        Ok((LibzmqServer { socket, ids: HashSet::new() }, endpoint))
    }

    /// Each from an address of its own: a second connection to the same endpoint would be ignored.
    fn connect_peers(&self, endpoint: &str, count: u32) -> Result<LibzmqPeers> {
        let socket = self.open_to_connect(zmq::DEALER)?;
        for endpoint in (0..count).map(|peer| from_own_address(endpoint, peer)) {
            socket.connect(&endpoint).with_context(|| format!("connect to {endpoint}"))?;
        }
        Ok(LibzmqPeers { socket, message: Message::new(), count })
    }
}

impl Server for LibzmqServer {
    fn await_peers(&mut self, count: usize) -> Result<()> {
        while self.ids.len() < count {
            let mut frames = self.socket.recv_multipart(0)?;
            self.ids.insert(frames.swap_remove(0));
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<()> {
        for (number, id) in (0_u64..).zip(&self.ids) {
            self.socket.send(id, zmq::SNDMORE)?;
            self.socket.send(&number.to_le_bytes()[..], 0)?;
        }
        Ok(())
    }
}

impl Peers for LibzmqPeers {
    /// In turn: each connection takes one.
    fn greet(&mut self) -> Result<()> {
        for _ in 0..self.count {
            match self.socket.send(&GREETING[..], zmq::DONTWAIT) {
                Err(zmq::Error::EAGAIN) => break,
                sent => sent?,
            }
        }
        Ok(())
    }

    fn await_answer(&mut self, within: Duration) -> Result<Option<u64>> {
        if self.socket.poll(zmq::POLLIN, i64::try_from(within.as_millis())?)? == 0 {
            return Ok(None);
        }
        self.socket.recv(&mut self.message, 0)?;
        stamp::read(&self.message, stamp::OCTETS).map(Some)
    }
}
