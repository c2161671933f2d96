//! DEALER: sends to its peers in turn, receives from them in turn. Source: RFC 28/REQREP.
#![forbid(unsafe_code)]

use crate::error::{RecvError, SendError};
use crate::message::{Message, Payload};
use crate::options::Options;
use crate::patterns::{Attach, Pattern, Receives, Sends, Splits, Strategy, probe};
use crate::pipe::{PipeKey, Pipes};
use crate::routing::{FairQueue, RoundRobin};
use crate::socket_type::SocketType;

/// DEALER: both ways with any number of [`Router`](crate::Router), [`Rep`](crate::Rep) and [`Dealer`] peers.
///
/// `send` hands each message to the next peer that has room, and waits when none has; `recv` takes one message
/// from each peer in turn. Nothing is discarded, unless [`conflate`](crate::Options::conflate) is set, and nothing is
/// added: what goes to a REP needs an empty frame
/// in front, and so has what comes from one. Messages for a peer that connected to us are lost with it; those
/// for a peer that we connected to wait until it is back. Source: RFC 28/REQREP.
///
/// ```
/// use peermq::{Context, Dealer, Rep};
///
/// let context = Context::new();
/// let mut server = context.open::<Rep>()?;
/// server.bind("inproc://upper-case")?;
/// let mut dealer = context.open::<Dealer>()?;
/// dealer.connect("inproc://upper-case")?;
/// for word in ["one", "two"] {
///     dealer.send(["", word])?; // without waiting for an answer
/// }
/// for answer in ["ONE", "TWO"] {
///     let request = server.recv()?;
///     let text = request.message().to_str()?.to_uppercase();
///     request.reply(text)?;
///     assert_eq!(dealer.recv()?, ["", answer]);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Dealer {
    outgoing: RoundRobin,
    incoming: FairQueue,
    probes: bool,
}

impl Pattern for Dealer {}
impl Sends for Dealer {}
impl Receives for Dealer {}
impl Splits for Dealer {}

impl Strategy for Dealer {
    const TYPE: Option<SocketType> = Some(SocketType::Dealer);

    fn new(_: SocketType, options: &Options) -> Self {
        Self { probes: options.probe_router(), ..Self::default() }
    }

    fn on_options(&mut self, options: &Options) {
        self.probes = options.probe_router();
    }

    fn attach(&mut self, pipes: &mut Pipes, key: PipeKey) -> Attach {
        self.outgoing.add(key);
        self.incoming.add(pipes, key);
        if self.probes {
            probe(pipes, key);
        }
        Attach::Accepted
    }

    fn detach(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.outgoing.remove(key);
        self.incoming.remove(pipes, key);
    }

    fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.incoming.add(pipes, key);
    }

    fn on_writable(&mut self, _: &mut Pipes, key: PipeKey) {
        self.outgoing.resume(key);
    }

    fn is_readable(&mut self, pipes: &mut Pipes) -> bool {
        self.incoming.has_message(pipes)
    }

    fn is_writable(&mut self, pipes: &mut Pipes) -> bool {
        self.outgoing.has_room(pipes)
    }

    #[inline]
    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        Ok(self.outgoing.send(pipes, payload)?)
    }

    #[inline]
    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        self.incoming.recv(pipes, message)?;
        Ok(())
    }
}
