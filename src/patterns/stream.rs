//! STREAM: octets to and from peers that know nothing of ZeroMQ. Source: libzmq's zmq_socket(3), ZMQ_STREAM.
//!
//! A peer's name is in its pipe, made up or given by `connect_as`. Each connection has pipes of its own, in which
//! notes say that it is up, before its octets, and that it is down, behind them. A second connection under the
//! same name is not heard before everything from the first one was taken.
#![forbid(unsafe_code)]

use std::mem;
use std::time::Duration;

use crate::error::{ConnectErrorKind, RecvError, SendError};
use crate::message::{Message, Payload};
use crate::options::Options;
use crate::patterns::{
    Addresses, Addressing, Attach, Pattern, Splits, Strategy, recv_behind_name, send_behind_name,
};
use crate::pipe::note::Note;
use crate::pipe::{PipeKey, Pipes, Refused, Taken};
use crate::routing::{FairQueue, PeerTable};
use crate::routing_id::RoutingId;
use crate::socket_type::SocketType;

/// STREAM: exchanges octets over plain tcp, with any program that does: no ZMTP, no messages.
///
/// Each peer has a [`RoutingId`](crate::RoutingId): one that is made up, or for a peer that we connect to the one
/// that [`connect_as`](crate::Socket::connect_as) gives it. `recv` takes what one peer has sent, so much of it as
/// one read brought, from each peer in turn; `send_to` queues octets for one peer. Where one read or write ends
/// and the next begins means nothing.
///
/// An empty message is news: first that the peer has connected, then that it has disconnected
/// ([`stream_notify`](crate::Options::stream_notify) turns them off). To a peer it says good-bye: its
/// connection is closed when what is queued was sent, and nothing more is received from it. A peer that has closed
/// only its sending side can be answered until the news of that is received.
///
/// Queues are bounded both ways: a peer whose octets nobody takes is not read from, `send_to` waits for room, and
/// a peer that is not there is [`Unroutable`](crate::SendError::Unroutable). When a peer that we connected to
/// disconnects, it is connected to again after a pause, as a new peer: octets queued for it are lost.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// use peermq::{Context, Stream};
///
/// let context = Context::new();
/// let mut server = context.open::<Stream>()?;
/// let endpoint = server.bind("tcp://127.0.0.1:0")?;
///
/// let mut client = TcpStream::connect(("127.0.0.1", endpoint.port().unwrap()))?;
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
///
/// let (peer, connected) = server.recv()?;
/// assert!(connected.body().is_empty());
/// let (from, request) = server.recv()?;
/// assert!(from == peer && request.body().starts_with(b"GET /"));
/// server.send_to(&peer, "HTTP/1.0 200 OK\r\n\r\nhello")?;
/// server.send_to(&peer, "")?; // close
///
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stream {
    incoming: FairQueue,
    peers: PeerTable,
    /// Connections whose name is still that of an earlier one.
    successors: Vec<PipeKey>,
    /// Where messages and notes are taken into.
    taken: Message,
    notifies: bool,
    linger: Option<Duration>,
}

impl Stream {
    /// Has nothing more to do with this peer, and makes its name free.
    fn forget(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.incoming.remove(pipes, key);
        self.successors.retain(|other| *other != key);
        let Some(name) = pipes.get_mut(key).and_then(|pipe| pipe.peer.take()) else { return };
        if self.peers.find(name.as_bytes()) != Some(key) {
            return;
        }
        self.peers.remove(&name, key);
        let mut successors = self.successors.iter().copied();
        let is_same = |key: &PipeKey| pipes.get_mut(*key).and_then(|pipe| pipe.peer.as_ref()) == Some(&name);
        if let Some(next) = successors.find(is_same) {
            self.successors.retain(|other| *other != next);
            self.peers.enter(name, next);
            self.incoming.add(pipes, next);
        }
    }

    /// A note says that the peer has connected or disconnected. `false`: nobody wants to know.
    fn on_note(&mut self, pipes: &mut Pipes, key: PipeKey) -> bool {
        if Note::parse(self.taken.body()) == Some(Note::Down) {
            // What is queued for it still goes out, if it has closed one side only.
            self.forget(pipes, key);
            drop(pipes.remove(key));
        }
        self.notifies
    }
}

impl Pattern for Stream {}
impl Addresses for Stream {}
impl Splits for Stream {}

impl Addressing for Stream {
    fn recv_from(
        &mut self,
        pipes: &mut Pipes,
        from: &mut RoutingId,
        message: &mut Message,
    ) -> Result<(), RecvError> {
        loop {
            let (key, taken) = self.incoming.take(pipes, &mut self.taken)?;
            let name = pipes.get_mut(key).and_then(|pipe| pipe.peer.clone());
            let is_told = taken == Taken::Message || self.on_note(pipes, key);
            if let Some(name) = name.filter(|_| is_told) {
                if taken == Taken::Message {
                    mem::swap(&mut self.taken, message);
                } else {
                    pipes.heard = Some(key);
                    message.start().assign(&[]);
                }
                from.assign(&name);
                return Ok(());
            }
            if !pipes.spend(1) {
                return Err(RecvError::WouldBlock);
            }
        }
    }

    fn send_to(
        &mut self,
        pipes: &mut Pipes,
        name: &[u8],
        payload: &mut Payload<'_>,
    ) -> Result<(), SendError> {
        let key = self.peers.find(name).ok_or(SendError::Unroutable)?;
        if payload.has_too_many_parts(0) {
            return Err(SendError::TooManyParts);
        }
        if payload.frames().all(<[u8]>::is_empty) {
            self.forget(pipes, key);
            pipes.dismiss(key, self.linger);
            return Ok(());
        }
        pipes.send(key, payload).map_err(|refused| match refused {
            Refused::Closed => SendError::Unroutable,
            Refused::Full => SendError::WouldBlock,
            Refused::TooLarge => SendError::TooLarge,
        })
    }

    fn waits_for_room(&self) -> bool {
        true
    }
}

impl Strategy for Stream {
    const TYPE: Option<SocketType> = Some(SocketType::Stream);

    fn new(_: SocketType, options: &Options) -> Self {
        Self {
            incoming: FairQueue::default(),
            peers: PeerTable::new(),
            successors: Vec::new(),
            taken: Message::new(),
            notifies: options.stream_notify(),
            linger: options.linger().limit(),
        }
    }

    fn check_name(&self, pipes: &mut Pipes, name: &RoutingId) -> Result<(), ConnectErrorKind> {
        match self.peers.find(name.as_bytes()) {
            Some(other) if !pipes.is_gone(other) => Err(ConnectErrorKind::RoutingIdInUse),
            _ => Ok(()),
        }
    }

    fn on_options(&mut self, options: &Options) {
        self.linger = options.linger().limit();
    }

    fn attach(&mut self, pipes: &mut Pipes, key: PipeKey) -> Attach {
        let Some(pipe) = pipes.get_mut(key) else { return Attach::Refused };
        let given = pipe.peer.take().filter(|name| !name.is_none());
        let name = given.unwrap_or_else(|| self.peers.make_up());
        let other = self.peers.find(name.as_bytes());
        if other.is_some_and(|other| !pipes.is_gone(other)) {
            return Attach::Refused;
        }
        if other.is_some() {
            self.successors.push(key);
        } else {
            self.peers.enter(name.clone(), key);
            self.incoming.add(pipes, key);
        }
        if let Some(pipe) = pipes.get_mut(key) {
            pipe.peer = Some(name);
        }
        Attach::Accepted
    }

    fn detach(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.forget(pipes, key);
    }

    fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        if !self.successors.contains(&key) {
            self.incoming.add(pipes, key);
        }
    }

    fn on_writable(&mut self, _: &mut Pipes, _: PipeKey) {}

    fn is_readable(&mut self, pipes: &mut Pipes) -> bool {
        loop {
            let Some((key, is_note)) = self.incoming.look(pipes, |head| head.is_note) else { return false };
            let has_name = pipes.get_mut(key).is_some_and(|pipe| pipe.peer.is_some());
            if has_name && (!is_note || self.notifies) {
                return true;
            }
            match self.incoming.take(pipes, &mut self.taken) {
                Ok((key, Taken::Note)) => drop(self.on_note(pipes, key)),
                Ok((_, Taken::Message)) => {}
                Err(_) => return false,
            }
            if !pipes.spend(1) {
                return false;
            }
        }
    }

    fn is_writable(&mut self, _: &mut Pipes) -> bool {
        true
    }

    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        send_behind_name(self, pipes, payload)
    }

    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        recv_behind_name(self, pipes, message)
    }
}
