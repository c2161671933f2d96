//! PAIR: one peer, both ways. Source: RFC 31/EXPAIR.
#![forbid(unsafe_code)]

use crate::error::{RecvError, SendError};
use crate::message::{Message, Payload};
use crate::options::Options;
use crate::patterns::{Attach, Pattern, Receives, Sends, Splits, Strategy};
use crate::pipe::{PipeKey, Pipes};
use crate::routing::Single;
use crate::socket_type::SocketType;

/// PAIR: talks to exactly one other [`Pair`], both ways.
///
/// A second peer is refused while the first is there. Without a peer, or when its queue is full, `send`
/// waits and discards nothing. Source: RFC 31/EXPAIR.
///
/// ```
/// use peermq::{Context, Pair};
///
/// let context = Context::new();
/// let mut ours = context.open::<Pair>()?;
/// ours.bind("inproc://pair")?;
/// let mut theirs = context.open::<Pair>()?;
/// theirs.connect("inproc://pair")?;
/// ours.send("ping")?;
/// assert_eq!(theirs.recv()?, "ping");
/// theirs.send("pong")?;
/// assert_eq!(ours.recv()?, "pong");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Pair {
    peer: Single,
}

impl Pattern for Pair {}
impl Sends for Pair {}
impl Receives for Pair {}
impl Splits for Pair {}

impl Strategy for Pair {
    const TYPE: Option<SocketType> = Some(SocketType::Pair);

    fn new(_: SocketType, _: &Options) -> Self {
        Self::default()
    }

    fn attach(&mut self, _: &mut Pipes, key: PipeKey) -> Attach {
        if self.peer.add(key) { Attach::Accepted } else { Attach::Refused }
    }

    fn detach(&mut self, _: &mut Pipes, key: PipeKey) {
        self.peer.remove(key);
    }

    fn on_readable(&mut self, _: &mut Pipes, _: PipeKey) {
        self.peer.resume();
    }

    fn on_writable(&mut self, _: &mut Pipes, _: PipeKey) {}

    fn is_readable(&mut self, pipes: &mut Pipes) -> bool {
        self.peer.has_message(pipes)
    }

    fn is_writable(&mut self, pipes: &mut Pipes) -> bool {
        self.peer.has_room(pipes)
    }

    #[inline]
    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        Ok(self.peer.send(pipes, payload)?)
    }

    #[inline]
    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        Ok(self.peer.recv(pipes, message)?)
    }
}
