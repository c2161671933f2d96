//! Many connections with libzmq: a ROUTER, and a DEALER that connects again and again.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use zmq::{Message, Socket};

use super::connections::{ManyImplementation, Peers, Server, from_own_address};
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
        let socket = self.open(zmq::DEALER)?;
        // The greeting: an empty message on each new connection.
        socket.set_probe_router(true)?;
        for endpoint in (0..count).map(|peer| from_own_address(endpoint, peer)) {
            socket.connect(&endpoint).with_context(|| format!("connect to {endpoint}"))?;
        }
        Ok(LibzmqPeers { socket, message: Message::new() })
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
    fn await_answer(&mut self) -> Result<u64> {
        self.socket.recv(&mut self.message, 0)?;
        stamp::read(&self.message, stamp::OCTETS)
    }
}
