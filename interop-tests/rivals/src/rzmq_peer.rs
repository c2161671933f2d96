//! The crate `rzmq`: on the runtime of several threads, as its examples are; corked, and without throttling, as its
//! figures are.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use interop_tests::versus::{Body, Task, Transport, Workload};
use rzmq::socket::{ADAPTIVE_THROTTLE, LAST_ENDPOINT, TCP_CORK};
use rzmq::{Context, Msg, SocketType};

use crate::side::{self, Kind, into_bytes};

/// The context ends when it is dropped.
pub(crate) struct Socket(rzmq::Socket, #[expect(dead_code, reason = "held")] Context);

impl Socket {
    async fn new(task: &Task, kind: Kind) -> Result<Self> {
        let context = Context::new()?;
        let socket = context.socket(match kind {
            Kind::Push => SocketType::Push,
            Kind::Pull => SocketType::Pull,
            Kind::Req => SocketType::Req,
            Kind::Rep => SocketType::Rep,
        })?;
        socket.set_option(ADAPTIVE_THROTTLE, 0_i32).await?;
        if task.case.workload == Workload::Thr && task.case.transport == Transport::Tcp {
            socket.set_option(TCP_CORK, 1_i32).await?;
        }
        Ok(Self(socket, context))
    }
}

impl side::Socket for Socket {
    fn run(side: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(side)
    }

    async fn bind(task: &Task, kind: Kind) -> Result<(Self, String)> {
        let socket = Self::new(task, kind).await?;
        socket.0.bind(&task.address).await?;
        let endpoint = String::from_utf8(socket.0.get_option(LAST_ENDPOINT).await?)?;
        Ok((socket, endpoint.trim_end_matches('\0').to_owned()))
    }

    async fn connect(task: &Task, kind: Kind, endpoint: &str) -> Result<Self> {
        let socket = Self::new(task, kind).await?;
        socket.0.connect(endpoint).await?;
        Ok(socket)
    }

    async fn send(&mut self, body: Body<'_>) -> Result<()> {
        Ok(self.0.send(Msg::from_bytes(into_bytes(body))).await?)
    }

    async fn recv(&mut self) -> Result<Bytes> {
        self.0.recv().await?.data_bytes().context("a message without data")
    }
}
