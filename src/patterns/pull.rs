//! PULL: receives only, one message from each peer in turn. Source: RFC 30/PIPELINE.
#![forbid(unsafe_code)]

use crate::error::{RecvError, SendError};
use crate::message::{Message, Payload};
use crate::options::Options;
use crate::patterns::{Attach, Pattern, Receives, Strategy};
use crate::pipe::{PipeKey, Pipes};
use crate::routing::FairQueue;
use crate::socket_type::SocketType;

/// PULL: takes messages from [`Push`](crate::Push) peers, one from each in turn.
///
/// Without peers, or when none has a message, `recv` waits. A peer whose messages nobody takes is stopped
/// at `recv_hwm`; nothing is discarded. Source: RFC 30/PIPELINE.
///
/// ```
/// use peermq::{Context, Pull, RecvError};
///
/// let mut pull = Context::new().open::<Pull>()?;
/// assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It does not send:
///
/// ```compile_fail,E0599
/// # use peermq::{Context, Pull};
/// Context::new().open::<Pull>()?.send("to nobody")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Pull {
    peers: FairQueue,
}

impl Pattern for Pull {}
impl Receives for Pull {}

impl Strategy for Pull {
    const TYPE: Option<SocketType> = Some(SocketType::Pull);

    fn new(_: SocketType, _: &Options) -> Self {
        Self::default()
    }

    fn attach(&mut self, pipes: &mut Pipes, key: PipeKey) -> Attach {
        self.peers.add(pipes, key);
        Attach::Accepted
    }

    fn detach(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.peers.remove(pipes, key);
    }

    fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.peers.add(pipes, key);
    }

    fn on_writable(&mut self, _: &mut Pipes, _: PipeKey) {}

    fn is_readable(&mut self, pipes: &mut Pipes) -> bool {
        self.peers.has_message(pipes)
    }

    fn takes_all(&self) -> bool {
        true
    }

    fn try_send(&mut self, _: &mut Pipes, _: &mut Payload<'_>) -> Result<(), SendError> {
        Err(SendError::NotSupported)
    }

    #[inline]
    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        self.peers.recv(pipes, message)?;
        Ok(())
    }
}
