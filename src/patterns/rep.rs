//! REP: takes one request, from each peer in turn, and sends the reply back to whom it came from.
//! Source: RFC 28/REQREP.
//!
//! ```text
//!            request taken            reply sent, or given up
//!    Idle ─────────────────▶ Asked ──────────────────────────▶ Idle
//! ```
#![forbid(unsafe_code)]

use crate::error::{RecvError, SendError};
use crate::message::{Frame, Message, Payload};
use crate::options::Options;
use crate::patterns::{Attach, Pattern, Strategy};
use crate::pipe::{Head, Opened, PipeKey, Pipes, Refused, Waste};
use crate::routing::FairQueue;
use crate::socket_type::SocketType;

/// REP: answers the requests of [`Req`](crate::Req) and [`Dealer`](crate::Dealer) peers, one after the other.
///
/// `recv` takes one request from each peer in turn. It returns a [`Request`](crate::Request), which borrows the
/// socket until it is [answered](crate::Request::reply) or, by dropping it, left without an answer. The reply
/// goes back the way that the request came, through any number of routers, and never waits: for a peer that is
/// gone, or does not read, it is dropped and counted, as is a request without the empty frame that ends its
/// envelope ([`dropped`](crate::Socket::dropped)). Source: RFC 28/REQREP.
///
/// ```
/// use peermq::{Context, Rep, Req};
///
/// let context = Context::new();
/// let mut server = context.open::<Rep>()?;
/// server.bind("inproc://double")?;
/// let mut client = context.open::<Req>()?;
/// client.connect("inproc://double")?;
///
/// let reply = client.request("21")?;
/// let request = server.recv()?;
/// let number: u32 = request.message().to_str()?.parse()?;
/// request.reply((2 * number).to_string())?;
/// assert_eq!(reply.recv()?, "42");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Rep {
    peers: FairQueue,
    /// Who waits for a reply.
    asker: Option<PipeKey>,
    /// The way back.
    envelope: Vec<Frame>,
    /// Which request was looked at last, and is whole: its envelope, of as many frames as its sender likes, is walked once,
    /// however often somebody looks.
    whole: Option<(PipeKey, u64)>,
}

impl Rep {
    /// Sends no reply to the last request.
    pub(crate) fn forget(&mut self) {
        self.asker = None;
    }
}

impl Pattern for Rep {}

impl Strategy for Rep {
    const TYPE: Option<SocketType> = Some(SocketType::Rep);

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
        if self.asker.is_some() {
            return false;
        }
        if self.whole.is_some() && self.whole == self.peers.place(pipes) {
            return true;
        }
        let is_whole = |head: Head<'_>| Opened::judge(head.frames, None) == Opened::Whole;
        let is_any = self.peers.has_wanted(pipes, is_whole, |pipes| pipes.drops().malformed.add(1));
        self.whole = if is_any { self.peers.place(pipes) } else { None };
        is_any
    }

    fn is_writable(&mut self, _: &mut Pipes) -> bool {
        self.asker.is_some()
    }

    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        if self.asker.is_some() && payload.has_too_many_parts(self.envelope.len()) {
            return Err(SendError::TooManyParts);
        }
        let asker = self.asker.take().ok_or(SendError::OutOfTurn)?;
        // Pipes of a REP end with their connection: a peer that is back is another one, and did not ask.
        match pipes.send_behind(asker, &self.envelope, payload) {
            Ok(()) => {}
            Err(Refused::Closed) => pipes.drops().unroutable.add(1),
            Err(Refused::Full) => pipes.drops().full.add(1),
            Err(Refused::TooLarge) => {
                self.asker = Some(asker);
                return Err(SendError::TooLarge);
            }
        }
        Ok(())
    }

    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        if self.asker.is_some() {
            return Err(RecvError::OutOfTurn);
        }
        loop {
            let (asker, opened) = self.peers.recv_enveloped(pipes, &mut self.envelope, message)?;
            match opened {
                Opened::Whole => {
                    self.asker = Some(asker);
                    return Ok(());
                }
                Opened::Malformed | Opened::Unwanted(_) => pipes.drops().malformed.add(1),
            }
            if !pipes.spend_on(Waste::of_frames(&self.envelope)) {
                return Err(RecvError::WouldBlock);
            }
        }
    }
}
