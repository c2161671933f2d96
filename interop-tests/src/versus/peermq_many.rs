//! Many connections with peermq: a ROUTER, and a DEALER that connects again and again.

use std::collections::HashSet;

use anyhow::{Result, anyhow};
use peermq::{Backlog, Dealer, Message, Router, RoutingId, Socket};

use super::connections::{ManyImplementation, Peers, Server};
use super::peermq_peer::Peermq;
use super::stamp;

/// ROUTER.
#[derive(Debug)]
pub(crate) struct PeermqServer {
    socket: Socket<Router>,
    ids: HashSet<RoutingId>,
}

/// One DEALER with all connections.
#[derive(Debug)]
pub(crate) struct PeermqPeers {
    socket: Socket<Dealer>,
    message: Message,
}

impl ManyImplementation for Peermq {
    type Server = PeermqServer;
    type Peers = PeermqPeers;

    fn bind_server(&self) -> Result<(PeermqServer, String)> {
        let backlog = Backlog::connections(self.task.case.fan)?;
        let (socket, endpoint) = self.bind(self.builder().backlog(backlog))?;
        Ok((PeermqServer { socket, ids: HashSet::new() }, endpoint))
    }

    /// All from one address, whose 28,000 ports are enough for as many as there may be descriptors.
    fn connect_peers(&self, endpoint: &str, count: u32) -> Result<PeermqPeers> {
        // The greeting: an empty message on each new connection.
        let mut socket = self.builder::<Dealer>().probe_router(true).open()?;
        for _ in 0..count {
            socket.connect(endpoint)?;
        }
        Ok(PeermqPeers { socket, message: Message::new() })
    }
}

impl Server for PeermqServer {
    fn await_peers(&mut self, count: usize) -> Result<()> {
        let (mut id, mut message) = (RoutingId::NONE, Message::new());
        while self.ids.len() < count {
            self.socket.recv_from_into(&mut id, &mut message)?;
            self.ids.insert(id.clone());
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<()> {
        for (number, id) in (0_u64..).zip(&self.ids) {
            let sent = self.socket.send_to(id, &number.to_le_bytes());
            sent.map_err(|unsent| anyhow!("not sent: {unsent}"))?;
        }
        Ok(())
    }
}

impl Peers for PeermqPeers {
    fn await_answer(&mut self) -> Result<u64> {
        self.socket.recv_into(&mut self.message)?;
        stamp::read(self.message.body(), stamp::OCTETS)
    }
}
