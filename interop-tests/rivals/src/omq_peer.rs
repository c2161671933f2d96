//! The crate `omq-tokio`: its own I/O threads, and sockets that block.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use interop_tests::versus::{Body, Task, Workload};
use omq_tokio::options::WorkloadProfile;
use omq_tokio::{Context, Message, Options, SocketType, blocking};

use crate::side::{self, Kind};

/// The context ends when it is dropped.
pub(crate) struct Socket(blocking::Socket, #[expect(dead_code, reason = "held")] Context);

impl Socket {
    fn new(task: &Task, kind: Kind) -> Self {
        let context = Context::new();
        let kind = match kind {
            Kind::Push => SocketType::Push,
            Kind::Pull => SocketType::Pull,
            Kind::Req => SocketType::Req,
            Kind::Rep => SocketType::Rep,
        };
        let mut options = Options::new();
        if task.case.workload != Workload::Thr {
            options = options.workload_profile(WorkloadProfile::Latency);
        }
        Self(context.blocking_socket(kind, options), context)
    }
}

impl side::Socket for Socket {
    fn run(side: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(side)
    }

    async fn bind(task: &Task, kind: Kind) -> Result<(Self, String)> {
        let socket = Self::new(task, kind);
        let endpoint = socket.0.bind(task.address.as_str())?.to_string();
        Ok((socket, endpoint))
    }

    async fn connect(task: &Task, kind: Kind, endpoint: &str) -> Result<Self> {
        let socket = Self::new(task, kind);
        socket.0.connect(endpoint)?;
        Ok(socket)
    }

    async fn send(&mut self, body: Body<'_>) -> Result<()> {
        Ok(self.0.send(match body {
            Body::Copied(body) => Message::from_slice(body),
            Body::Shared(body) => Message::single(body),
        })?)
    }

    async fn recv(&mut self) -> Result<Bytes> {
        self.0.recv()?.part_bytes(0).context("a message without a frame")
    }
}
