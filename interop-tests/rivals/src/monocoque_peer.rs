//! The crate `monocoque-rs`: one thread, and for throughput the coalescing of writes that it leaves to the caller.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use compio_io::{AsyncRead, AsyncWrite};
use interop_tests::versus::{Body, Task, Workload};
use monocoque::SocketOptions;
use monocoque::rt::{LocalRuntime, TcpListener, TcpStream, UnixListener, UnixStream};
use monocoque::zmq::{PullSocket, PushSocket, RepSocket, ReqSocket};

use crate::side::{self, Kind, into_bytes};

/// A listener turns into what it has accepted when it is first used.
pub(crate) enum Socket {
    Listening { listener: Listener, kind: Kind, options: SocketOptions },
    Tcp(Connected<TcpStream>, Vec<Bytes>),
    Ipc(Connected<UnixStream>, Vec<Bytes>),
}

pub(crate) enum Listener {
    Tcp(TcpListener),
    Ipc(UnixListener),
}

pub(crate) enum Connected<S: AsyncRead + AsyncWrite + Unpin> {
    Push(PushSocket<S>),
    Pull(PullSocket<S>),
    Req(ReqSocket<S>),
    Rep(RepSocket<S>),
}

macro_rules! connected {
    ($variant:ident, $stream:expr, $kind:expr, $options:expr, $from:ident) => {
        Socket::$variant(
            match $kind {
                Kind::Push => Connected::Push(PushSocket::$from($stream, $options).await?),
                Kind::Pull => Connected::Pull(PullSocket::$from($stream, $options).await?),
                Kind::Req => Connected::Req(ReqSocket::$from($stream, $options).await?),
                Kind::Rep => Connected::Rep(RepSocket::$from($stream, $options).await?),
            },
            Vec::new(),
        )
    };
}

macro_rules! each {
    ($socket:expr, $connected:ident, $received:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($connected, $received) => $call,
            Socket::Ipc($connected, $received) => $call,
            Socket::Listening { .. } => bail!("nobody has connected"),
        }
    };
}

impl Socket {
    async fn accept(&mut self) -> Result<()> {
        if let Self::Listening { listener, kind, options } = self {
            *self = match listener {
                Listener::Tcp(listener) => {
                    let (stream, _) = listener.accept().await?;
                    connected!(Tcp, stream, kind, options.clone(), from_tcp_with_options)
                }
                Listener::Ipc(listener) => {
                    let (stream, _) = listener.accept().await?;
                    connected!(Ipc, stream, kind, options.clone(), from_unix_stream_with_options)
                }
            };
        }
        Ok(())
    }
}

/// Buffers as its own benchmarks have them.
fn options(task: &Task) -> SocketOptions {
    if task.case.workload == Workload::Thr {
        SocketOptions::default().with_buffer_sizes(16_384, 16_384).with_write_coalescing(true)
    } else {
        SocketOptions::default().with_buffer_sizes(4_096, 4_096)
    }
}

impl side::Socket for Socket {
    fn run(side: impl Future<Output = Result<()>>) -> Result<()> {
        LocalRuntime::new()?.block_on(side)
    }

    async fn bind(task: &Task, kind: Kind) -> Result<(Self, String)> {
        let (listener, endpoint) = match task.address.strip_prefix("ipc://") {
            Some(path) => (Listener::Ipc(UnixListener::bind(path).await?), task.address.clone()),
            None => {
                let address = task.address.strip_prefix("tcp://").context("neither tcp nor ipc")?;
                let listener = TcpListener::bind(address).await?;
                let endpoint = format!("tcp://{}", listener.local_addr()?);
                (Listener::Tcp(listener), endpoint)
            }
        };
        Ok((Self::Listening { listener, kind, options: options(task) }, endpoint))
    }

    async fn connect(task: &Task, kind: Kind, endpoint: &str) -> Result<Self> {
        let options = options(task);
        Ok(match endpoint.strip_prefix("ipc://") {
            Some(path) => {
                let stream = UnixStream::connect(path).await?;
                connected!(Ipc, stream, kind, options, from_unix_stream_with_options)
            }
            None => {
                let address = endpoint.strip_prefix("tcp://").context("neither tcp nor ipc")?;
                let stream = TcpStream::connect(address).await?;
                connected!(Tcp, stream, kind, options, from_tcp_with_options)
            }
        })
    }

    async fn send(&mut self, body: Body<'_>) -> Result<()> {
        let body = into_bytes(body);
        each!(self, connected, _received => match connected {
            Connected::Push(push) => push.send_one(body).await?,
            Connected::Req(req) => req.send_one(body).await?,
            Connected::Rep(rep) => rep.send(vec![body]).await?,
            Connected::Pull(_) => bail!("a PULL sends nothing"),
        });
        Ok(())
    }

    async fn recv(&mut self) -> Result<Bytes> {
        self.accept().await?;
        each!(self, connected, received => {
            let is_there = match connected {
                Connected::Pull(pull) => pull.try_recv_into(received)? || pull.recv_into(received).await?,
                Connected::Req(req) => req.recv_into(received).await?,
                Connected::Rep(rep) => rep.recv_into(received).await?,
                Connected::Push(_) => bail!("a PUSH receives nothing"),
            };
            ensure!(is_there, "the connection was closed");
            received.pop().context("a message without a frame")
        })
    }

    async fn flush(&mut self) -> Result<()> {
        each!(self, connected, _received => {
            if let Connected::Push(push) = connected {
                push.flush().await?;
            }
        });
        Ok(())
    }
}
