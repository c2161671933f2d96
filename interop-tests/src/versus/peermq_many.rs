//! Many connections with peermq: a ROUTER, and DEALERs, of which each connects once to the same endpoint.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use peermq::{Backlog, Dealer, Message, RecvError, Router, RoutingId, SendError, Socket};

use super::connections::{GREETING, ManyImplementation, Peers, Server};
use super::peermq_peer::Peermq;
use super::stamp;

/// ROUTER.
#[derive(Debug)]
pub(crate) struct PeermqServer {
    socket: Socket<Router>,
    ids: HashSet<RoutingId>,
}

/// DEALERs of one context.
#[derive(Debug)]
pub(crate) struct PeermqPeers {
    sockets: Vec<Socket<Dealer>>,
    /// The one whose answer is awaited next: each gets one.
    next: usize,
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
        let sockets = (0..count).map(|_| {
            let mut socket = self.open_to_connect::<Dealer>()?;
            socket.connect(endpoint)?;
            Ok(socket)
        });
        Ok(PeermqPeers { sockets: sockets.collect::<Result<_>>()?, next: 0 })
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
    fn greet(&mut self) -> Result<()> {
        for socket in &mut self.sockets {
            match socket.try_send(&GREETING) {
                Err(unsent) if unsent.error == SendError::WouldBlock => {}
                sent => sent.map_err(|unsent| anyhow!("not sent: {unsent}"))?,
            }
        }
        Ok(())
    }

    fn await_answer(&mut self, within: Duration) -> Result<Option<u64>> {
        let at = self.next % self.sockets.len().max(1);
        let socket = self.sockets.get_mut(at).context("there are no peers")?;
        match socket.recv_timeout(within) {
            Ok(message) => {
                self.next += 1;
                stamp::read(message.body(), stamp::OCTETS).map(Some)
            }
            Err(RecvError::WouldBlock) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
