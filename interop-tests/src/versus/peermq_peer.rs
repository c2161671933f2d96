//! peermq, through its public interface only.

use std::collections::VecDeque;

use anyhow::{Result, anyhow};
use bytes::{Bytes, BytesMut};
use peermq::{Context, Hwm, Message, Pair as PairType, Pattern, Pull as PullType, Push as PushType, Socket};

use super::side::{Implementation, Pair, Pull, Push};
use super::stamp;
use super::task::Task;

/// Larger bodies are shared with the library instead of being copied into its queue.
const LARGEST_COPIED: usize = 4096;

/// A context with its defaults.
#[derive(Debug)]
pub(crate) struct Peermq {
    context: Context,
    size: usize,
    hwm: Option<Hwm>,
    address: String,
}

/// PUSH.
#[derive(Debug)]
pub(crate) struct PeermqPush {
    socket: Socket<PushType>,
    bodies: Bodies,
}

/// PULL.
#[derive(Debug)]
pub(crate) struct PeermqPull {
    socket: Socket<PullType>,
    message: Message,
    size: usize,
}

/// PAIR, either side.
#[derive(Debug)]
pub(crate) struct PeermqPair {
    socket: Socket<PairType>,
    message: Message,
    buffer: Vec<u8>,
}

/// Where the bodies of a sender come from.
#[derive(Debug)]
enum Bodies {
    /// One buffer, copied by the library.
    Copied(Vec<u8>),
    /// Bodies in flight, the oldest first, and those that the library has let go of.
    Shared { size: usize, in_flight: VecDeque<Bytes>, free: Vec<BytesMut> },
}

impl Peermq {
    fn open<P: Pattern>(&self) -> Result<Socket<P>> {
        let builder = self.context.builder_for::<P>();
        Ok(match self.hwm {
            Some(hwm) => builder.send_hwm(hwm).recv_hwm(hwm).open()?,
            None => builder.open()?,
        })
    }

    fn pair(&self, socket: Socket<PairType>) -> PeermqPair {
        PeermqPair { socket, message: Message::new(), buffer: vec![0; self.size] }
    }
}

impl Implementation for Peermq {
    type Push = PeermqPush;
    type Pull = PeermqPull;
    type Pair = PeermqPair;

    fn new(task: &Task) -> Result<Self> {
        let hwm = task.hwm.map(Hwm::messages);
        Ok(Self { context: Context::new(), size: task.case.size, hwm, address: task.address.clone() })
    }

    fn bind_pull(&self) -> Result<(PeermqPull, String)> {
        let mut socket = self.open::<PullType>()?;
        let endpoint = socket.bind(self.address.as_str())?.to_string();
        Ok((PeermqPull { socket, message: Message::new(), size: self.size }, endpoint))
    }

    fn connect_push(&self, endpoint: &str) -> Result<PeermqPush> {
        let mut socket = self.open::<PushType>()?;
        socket.connect(endpoint)?;
        Ok(PeermqPush { socket, bodies: Bodies::new(self.size) })
    }

    fn bind_pair(&self) -> Result<(PeermqPair, String)> {
        let mut socket = self.open::<PairType>()?;
        let endpoint = socket.bind(self.address.as_str())?.to_string();
        Ok((self.pair(socket), endpoint))
    }

    fn connect_pair(&self, endpoint: &str) -> Result<PeermqPair> {
        let mut socket = self.open::<PairType>()?;
        socket.connect(endpoint)?;
        Ok(self.pair(socket))
    }
}

impl Push for PeermqPush {
    #[inline]
    fn push(&mut self, sequence: u64) -> Result<()> {
        let sent = match &mut self.bodies {
            Bodies::Copied(buffer) => {
                stamp::write(buffer, sequence);
                self.socket.send(&buffer[..])
            }
            Bodies::Shared { size, in_flight, free } => {
                self.socket.send(shared_body(in_flight, free, *size, sequence))
            }
        };
        sent.map_err(|unsent| anyhow!("not sent: {unsent}"))
    }
}

impl Pull for PeermqPull {
    #[inline]
    fn pull(&mut self) -> Result<u64> {
        self.socket.recv_into(&mut self.message)?;
        stamp::read(self.message.body(), self.size)
    }
}

impl Pair for PeermqPair {
    fn echo(&mut self) -> Result<()> {
        self.socket.recv_into(&mut self.message)?;
        stamp::read(self.message.body(), self.buffer.len())?;
        let message = std::mem::take(&mut self.message);
        self.socket.send(message).map_err(|unsent| anyhow!("not sent: {unsent}"))
    }

    fn round_trip(&mut self, sequence: u64) -> Result<u64> {
        stamp::write(&mut self.buffer, sequence);
        self.socket.send(&self.buffer[..]).map_err(|unsent| anyhow!("not sent: {unsent}"))?;
        self.socket.recv_into(&mut self.message)?;
        stamp::read(self.message.body(), self.buffer.len())
    }
}

impl Bodies {
    fn new(size: usize) -> Self {
        if size <= LARGEST_COPIED {
            Self::Copied(vec![0; size])
        } else {
            Self::Shared { size, in_flight: VecDeque::new(), free: Vec::new() }
        }
    }
}

/// A stamped body that the library may keep: the one that it has let go of last, which is in the cache
/// still, or a new one. As with libzmq only the stamp is written once a body exists.
fn shared_body(
    in_flight: &mut VecDeque<Bytes>,
    free: &mut Vec<BytesMut>,
    size: usize,
    sequence: u64,
) -> Bytes {
    while let Some(body) = in_flight.pop_front() {
        match body.try_into_mut() {
            Ok(body) => free.push(body),
            Err(held) => {
                in_flight.push_front(held);
                break;
            }
        }
    }
    let mut body = free.pop().unwrap_or_else(|| BytesMut::zeroed(size));
    stamp::write(&mut body, sequence);
    let body = body.freeze();
    in_flight.push_back(body.clone());
    body
}
