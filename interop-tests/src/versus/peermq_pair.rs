//! Round trips with peermq, between whichever sockets the case says.

use anyhow::{Context as _, Result, anyhow, bail};
use peermq::{Message, Pair as PairType, Pull as PullType, Push as PushType, Rep, Req, Socket, Unsent};

use super::fan::Router as _;
use super::peermq_peer::{Peermq, PeermqDealer, PeermqRouter};
use super::side::{Pair, Pull as _, Push as _};
use super::stamp;
use super::task::PingPong;

/// Either side.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them in a process")]
pub(crate) enum PeermqPair {
    Rep { socket: Socket<Rep>, size: usize },
    Req { socket: Socket<Req>, message: Message, buffer: Vec<u8> },
    Router(PeermqRouter),
    Dealer(PeermqDealer),
    Pair { socket: Socket<PairType>, message: Message, buffer: Vec<u8> },
    PushPull { push: Socket<PushType>, pull: Socket<PullType>, message: Message, buffer: Vec<u8> },
}

impl PeermqPair {
    pub(super) fn bind(peermq: &Peermq) -> Result<(Self, String)> {
        let case = peermq.task.case;
        let (message, buffer) = (Message::new(), vec![0; case.size]);
        Ok(match case.ping_pong.context("round trips between which sockets?")? {
            PingPong::ReqRep => {
                let (socket, endpoint) = peermq.bind(peermq.builder())?;
                (Self::Rep { socket, size: case.size }, endpoint)
            }
            PingPong::DealerRouter => {
                let (socket, endpoint) = peermq.bind(peermq.builder())?;
                (Self::Router(PeermqRouter::new(socket, case.size)), endpoint)
            }
            PingPong::Pair => {
                let (socket, endpoint) = peermq.bind(peermq.builder())?;
                (Self::Pair { socket, message, buffer }, endpoint)
            }
            PingPong::PushPull => {
                let (pull, there) = peermq.bind(peermq.builder())?;
                let (push, back) =
                    peermq.bind_to(peermq.builder::<PushType>(), &peermq.task.address_of_return())?;
                (Self::PushPull { push, pull, message, buffer }, format!("{there} {back}"))
            }
        })
    }

    pub(super) fn connect(peermq: &Peermq, endpoint: &str) -> Result<Self> {
        let case = peermq.task.case;
        let (message, buffer) = (Message::new(), vec![0; case.size]);
        Ok(match case.ping_pong.context("round trips between which sockets?")? {
            PingPong::ReqRep => Self::Req { socket: peermq.connect(endpoint)?, message, buffer },
            PingPong::DealerRouter => Self::Dealer(PeermqDealer::new(peermq.connect(endpoint)?, case.size)),
            PingPong::Pair => Self::Pair { socket: peermq.connect(endpoint)?, message, buffer },
            PingPong::PushPull => {
                let (there, back) = endpoint.split_once(' ').context("two endpoints")?;
                let (push, pull) = (peermq.connect(there)?, peermq.connect(back)?);
                Self::PushPull { push, pull, message, buffer }
            }
        })
    }
}

impl Pair for PeermqPair {
    fn echo(&mut self) -> Result<()> {
        match self {
            Self::Rep { socket, size } => {
                let mut request = socket.recv()?;
                stamp::read(request.message().body(), *size)?;
                let message = request.take_message();
                request.reply(message).map_err(not_sent)
            }
            Self::Router(router) => router.echo(),
            Self::Pair { socket, message, buffer } => {
                socket.recv_into(message)?;
                stamp::read(message.body(), buffer.len())?;
                socket.send(&*message).map_err(not_sent)
            }
            Self::PushPull { push, pull, message, buffer } => {
                pull.recv_into(message)?;
                stamp::read(message.body(), buffer.len())?;
                push.send(&*message).map_err(not_sent)
            }
            Self::Req { .. } | Self::Dealer(_) => bail!("the connecting side asks"),
        }
    }

    fn round_trip(&mut self, sequence: u64) -> Result<u64> {
        match self {
            Self::Req { socket, message, buffer } => {
                stamp::write(buffer, sequence);
                socket.request(&buffer[..]).map_err(not_sent)?.recv_into(message)?;
                stamp::read(message.body(), buffer.len())
            }
            Self::Dealer(dealer) => {
                dealer.push(sequence)?;
                dealer.pull()
            }
            Self::Pair { socket, message, buffer } => {
                stamp::write(buffer, sequence);
                socket.send(&buffer[..]).map_err(not_sent)?;
                socket.recv_into(message)?;
                stamp::read(message.body(), buffer.len())
            }
            Self::PushPull { push, pull, message, buffer } => {
                stamp::write(buffer, sequence);
                push.send(&buffer[..]).map_err(not_sent)?;
                pull.recv_into(message)?;
                stamp::read(message.body(), buffer.len())
            }
            Self::Rep { .. } | Self::Router(_) => bail!("the binding side answers"),
        }
    }
}

fn not_sent(unsent: Unsent) -> anyhow::Error {
    anyhow!("not sent: {unsent}")
}
