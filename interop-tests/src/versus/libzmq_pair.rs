//! Round trips with libzmq, between whichever sockets the case says.

use std::mem;

use anyhow::{Context as _, Result};
use zmq::{Message, Socket};

use super::fan::Router as _;
use super::libzmq_peer::{Libzmq, LibzmqRouter};
use super::side::Pair;
use super::stamp;
use super::task::PingPong;

/// Either side.
pub(crate) enum LibzmqPair {
    Router(LibzmqRouter),
    /// One socket for both ways, or one for each.
    Other {
        out: Option<Socket>,
        socket: Socket,
        message: Message,
        size: usize,
    },
}

impl LibzmqPair {
    pub(super) fn bind(libzmq: &Libzmq) -> Result<(Self, String)> {
        let case = libzmq.task.case;
        Ok(match case.ping_pong.context("round trips between which sockets?")? {
            PingPong::ReqRep => {
                let (socket, endpoint) = libzmq.bind(zmq::REP)?;
                (Self::other(None, socket, case.size), endpoint)
            }
            PingPong::DealerRouter => {
                let (socket, endpoint) = libzmq.bind(zmq::ROUTER)?;
                (Self::Router(LibzmqRouter::new(socket, case.size)), endpoint)
            }
            PingPong::Pair => {
                let (socket, endpoint) = libzmq.bind(zmq::PAIR)?;
                (Self::other(None, socket, case.size), endpoint)
            }
            PingPong::PushPull => {
                let (pull, there) = libzmq.bind(zmq::PULL)?;
                let push = libzmq.open(zmq::PUSH)?;
                let back = libzmq.bind_to(&push, &libzmq.task.address_of_return())?;
                (Self::other(Some(push), pull, case.size), format!("{there} {back}"))
            }
        })
    }

    pub(super) fn connect(libzmq: &Libzmq, endpoint: &str) -> Result<Self> {
        let case = libzmq.task.case;
        let connect = |kind| Ok(Self::other(None, libzmq.connect(kind, endpoint)?, case.size));
        match case.ping_pong.context("round trips between which sockets?")? {
            PingPong::ReqRep => connect(zmq::REQ),
            PingPong::DealerRouter => connect(zmq::DEALER),
            PingPong::Pair => connect(zmq::PAIR),
            PingPong::PushPull => {
                let (there, back) = endpoint.split_once(' ').context("two endpoints")?;
                let push = libzmq.connect(zmq::PUSH, there)?;
                Ok(Self::other(Some(push), libzmq.connect(zmq::PULL, back)?, case.size))
            }
        }
    }

    fn other(out: Option<Socket>, socket: Socket, size: usize) -> Self {
        Self::Other { out, socket, message: Message::new(), size }
    }
}

impl Pair for LibzmqPair {
    fn echo(&mut self) -> Result<()> {
        match self {
            Self::Router(router) => router.echo(),
            Self::Other { out, socket, message, size } => {
                socket.recv(message, 0)?;
                stamp::read(message, *size)?;
                let message = mem::replace(message, Message::new());
                Ok(out.as_ref().unwrap_or(socket).send(message, 0)?)
            }
        }
    }

    /// As in `perf/remote_lat.cpp` the message that came back is the next one to go.
    fn round_trip(&mut self, sequence: u64) -> Result<u64> {
        let Self::Other { out, socket, message, size } = self else {
            anyhow::bail!("the binding side answers")
        };
        if message.len() != *size {
            *message = Message::with_size(*size);
        }
        stamp::write(message, sequence);
        out.as_ref().unwrap_or(socket).send(mem::replace(message, Message::new()), 0)?;
        socket.recv(message, 0)?;
        stamp::read(message, *size)
    }
}
