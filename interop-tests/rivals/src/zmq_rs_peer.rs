//! The crate `zeromq` (zmq.rs): on the runtime of several threads, as its examples are.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use interop_tests::versus::{Body, Task};
use zeromq::{
    PullSocket, PushSocket, RepSocket, ReqSocket, Socket as _, SocketRecv as _, SocketSend as _, ZmqError,
    ZmqMessage, ZmqResult,
};

use crate::side::{self, Kind, into_bytes};

pub(crate) enum Socket {
    Push(PushSocket),
    Pull(PullSocket),
    Req(ReqSocket),
    Rep(RepSocket),
}

impl Socket {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Push => Self::Push(PushSocket::new()),
            Kind::Pull => Self::Pull(PullSocket::new()),
            Kind::Req => Self::Req(ReqSocket::new()),
            Kind::Rep => Self::Rep(RepSocket::new()),
        }
    }

    async fn try_send(&mut self, message: ZmqMessage) -> ZmqResult<()> {
        match self {
            Self::Push(push) => push.send(message).await,
            Self::Req(req) => req.send(message).await,
            Self::Rep(rep) => rep.send(message).await,
            Self::Pull(_) => Err(ZmqError::Socket("a PULL sends nothing")),
        }
    }
}

impl side::Socket for Socket {
    fn run(side: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(side)
    }

    async fn bind(task: &Task, kind: Kind) -> Result<(Self, String)> {
        let mut socket = Self::new(kind);
        let endpoint = match &mut socket {
            Self::Push(push) => push.bind(&task.address).await?,
            Self::Pull(pull) => pull.bind(&task.address).await?,
            Self::Req(req) => req.bind(&task.address).await?,
            Self::Rep(rep) => rep.bind(&task.address).await?,
        };
        Ok((socket, endpoint.to_string()))
    }

    async fn connect(_: &Task, kind: Kind, endpoint: &str) -> Result<Self> {
        let mut socket = Self::new(kind);
        match &mut socket {
            Self::Push(push) => push.connect(endpoint).await?,
            Self::Pull(pull) => pull.connect(endpoint).await?,
            Self::Req(req) => req.connect(endpoint).await?,
            Self::Rep(rep) => rep.connect(endpoint).await?,
        }
        Ok(socket)
    }

    /// It does not wait for room by itself.
    async fn send(&mut self, body: Body<'_>) -> Result<()> {
        let mut message = ZmqMessage::from(into_bytes(body));
        loop {
            match self.try_send(message).await {
                Err(ZmqError::ReturnToSender { message: returned, .. }) => message = returned,
                sent => return Ok(sent?),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn recv(&mut self) -> Result<Bytes> {
        let message = match self {
            Self::Pull(pull) => pull.recv().await?,
            Self::Req(req) => req.recv().await?,
            Self::Rep(rep) => rep.recv().await?,
            Self::Push(_) => bail!("a PUSH receives nothing"),
        };
        message.into_vec().pop().context("a message without a frame")
    }
}
