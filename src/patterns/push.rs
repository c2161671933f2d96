//! PUSH: sends only, in turn, to peers with room. Source: RFC 30/PIPELINE.
#![forbid(unsafe_code)]

use crate::error::{RecvError, SendError};
use crate::message::{Message, Payload};
use crate::options::Options;
use crate::patterns::{Attach, Pattern, Sends, Strategy};
use crate::pipe::{PipeKey, Pipes};
use crate::routing::RoundRobin;
use crate::socket_type::SocketType;

/// PUSH: hands each message to the next [`Pull`](crate::Pull) peer that has room.
///
/// Full, or without peers: `send` waits and discards nothing, unless [`conflate`](crate::Options::conflate) is set. A
/// `connect` counts as a peer from the start, unless [`immediate`](crate::Options::immediate) is set, which inproc does
/// not heed: one whose endpoint is mistyped takes its share of the messages, until its queue is full. A peer that connects later gets what is sent
/// from then on. What peers send to it is dropped as it comes, and counted
/// ([`unwanted`](crate::Dropped::unwanted)); their PINGs are answered. Messages queued for a peer that connected to us are
/// lost with it; those for a peer that we connected to wait until it is back. Source: RFC 30/PIPELINE.
///
/// ```
/// use peermq::{Context, Pull, Push};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// pull.bind("inproc://work")?;
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://work")?;
/// push.send("a task")?;
/// assert_eq!(pull.recv()?, "a task");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It does not receive:
///
/// ```compile_fail,E0599
/// # use peermq::{Context, Push};
/// Context::new().open::<Push>()?.recv()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Push {
    peers: RoundRobin,
}

impl Pattern for Push {}
impl Sends for Push {}

impl Strategy for Push {
    const TYPE: Option<SocketType> = Some(SocketType::Push);

    fn new(_: SocketType, _: &Options) -> Self {
        Self::default()
    }

    fn attach(&mut self, _: &mut Pipes, key: PipeKey) -> Attach {
        self.peers.add(key);
        Attach::Accepted
    }

    fn detach(&mut self, _: &mut Pipes, key: PipeKey) {
        self.peers.remove(key);
    }

    fn on_readable(&mut self, _: &mut Pipes, _: PipeKey) {}

    fn on_writable(&mut self, _: &mut Pipes, key: PipeKey) {
        self.peers.resume(key);
    }

    fn is_writable(&mut self, pipes: &mut Pipes) -> bool {
        self.peers.has_room(pipes)
    }

    #[inline]
    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        Ok(self.peers.send(pipes, payload)?)
    }

    fn try_recv(&mut self, _: &mut Pipes, _: &mut Message) -> Result<(), RecvError> {
        Err(RecvError::NotSupported)
    }
}
