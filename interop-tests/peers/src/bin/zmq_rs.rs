//! zmq.rs (crate `zeromq`) as a peer.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use interop_peers::{THEIRS, Task, run};
use tokio::runtime::Runtime;
use zeromq::util::PeerIdentity;
use zeromq::{
    DealerSocket, PubSocket, PullSocket, PushSocket, RepSocket, ReqSocket, RouterSocket, Socket as _,
    SocketOptions, SocketRecv as _, SocketSend as _, SubSocket, ZmqError, ZmqMessage, ZmqResult,
};

fn main() -> Result<()> {
    run(ZmqRs::open)
}

struct ZmqRs {
    runtime: Runtime,
    socket: Socket,
}

enum Socket {
    Dealer(DealerSocket),
    Pub(PubSocket),
    Pull(PullSocket),
    Push(PushSocket),
    Rep(RepSocket),
    Req(ReqSocket),
    Router(RouterSocket),
    Sub(SubSocket),
}

macro_rules! each {
    ($socket:expr, [$($kind:ident),*], $inner:ident => $call:expr) => {
        match $socket {
            $(Socket::$kind($inner) => $call,)*
            #[allow(unreachable_patterns, reason = "some calls are for all types")]
            _ => bail!("not a verb of this type"),
        }
    };
}

impl ZmqRs {
    fn open(task: &Task) -> Result<(String, Self)> {
        let runtime = Runtime::new()?;
        let mut options = SocketOptions::default();
        let mut socket = match task.kind.as_str() {
            "DEALER" => {
                options.peer_identity(PeerIdentity::try_from(THEIRS)?);
                Socket::Dealer(DealerSocket::with_options(options))
            }
            "PUB" => runtime.block_on(async { Socket::Pub(PubSocket::new()) }),
            "PULL" => Socket::Pull(PullSocket::new()),
            "PUSH" => Socket::Push(PushSocket::new()),
            "REP" => Socket::Rep(RepSocket::new()),
            "REQ" => Socket::Req(ReqSocket::new()),
            "ROUTER" => Socket::Router(RouterSocket::new()),
            "SUB" => Socket::Sub(SubSocket::new()),
            kind => bail!("no socket type: {kind}"),
        };
        let endpoint = runtime.block_on(async {
            if let Socket::Sub(sub) = &mut socket {
                for topic in &task.topics {
                    sub.subscribe(topic).await?;
                }
            }
            let endpoint = each!(&mut socket, [Dealer, Pub, Pull, Push, Rep, Req, Router, Sub], inner => {
                if task.binds {
                    inner.bind(&task.endpoint).await?.to_string()
                } else {
                    inner.connect(&task.endpoint).await?;
                    task.endpoint.clone()
                }
            });
            Ok(endpoint)
        })?;
        Ok((endpoint, Self { runtime, socket }))
    }
}

impl interop_peers::Socket for ZmqRs {
    fn send(&mut self, frames: Vec<Bytes>) -> Result<()> {
        let Ok(message) = ZmqMessage::try_from(frames) else { bail!("no frames") };
        self.runtime.block_on(async {
            each!(&mut self.socket, [Dealer, Pub, Push, Rep, Req, Router], inner => {
                send_when_connected(&message, async |message| inner.send(message).await).await
            })
        })
    }

    fn recv(&mut self) -> Result<Vec<Bytes>> {
        let received = self.runtime.block_on(async {
            each!(&mut self.socket, [Dealer, Pull, Rep, Req, Router, Sub], inner => Ok(inner.recv().await?))
        });
        received.map(ZmqMessage::into_vec)
    }
}

/// It does not wait for a peer by itself; `BufferFull` says that the peer has gone.
async fn send_when_connected(
    message: &ZmqMessage,
    mut send: impl AsyncFnMut(ZmqMessage) -> ZmqResult<()>,
) -> Result<()> {
    loop {
        match send(message.clone()).await {
            Err(
                ZmqError::BufferFull(_)
                | ZmqError::ReturnToSender { .. }
                | ZmqError::Other("Destination client not found by identity"),
            ) => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            sent => return Ok(sent?),
        }
    }
}
