//! What carries the octets of [`raw_peer`](super::raw_peer): a blocking socket, or within a process a
//! bounded channel of batches that are handed over whole and handed back for reuse.

use std::fs;
use std::io::{Read, Write};
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, Result, ensure};

/// Most octets that one write or read moves.
pub(crate) const BATCH_OCTETS: usize = 64 * 1024;

/// Batches on their way within a process: 1 MiB, as much as a socket would hold.
const CHANNEL_BATCHES: usize = 16;

/// A connection, or a listener that accepts its one peer when it is first used.
#[derive(Debug)]
pub(crate) enum Link {
    TcpListener(TcpListener),
    IpcListener(UnixListener, PathBuf),
    Tcp(TcpStream),
    Ipc(UnixStream),
    Inproc(Channel),
}

/// One end of a pair of bounded channels.
#[derive(Debug)]
pub(crate) struct Channel {
    out: SyncSender<Vec<u8>>,
    /// Batches that the other end has emptied.
    returned: Receiver<Vec<u8>>,
    incoming: Receiver<Vec<u8>>,
    /// Where batches that we have emptied go.
    give_back: SyncSender<Vec<u8>>,
}

impl Link {
    /// Listens at `address`; returns the endpoint to connect to.
    pub(crate) fn bind(address: &str) -> Result<(Self, String)> {
        if let Some(path) = address.strip_prefix("ipc://") {
            let listener = UnixListener::bind(path).with_context(|| format!("bind to {address}"))?;
            return Ok((Self::IpcListener(listener, path.into()), address.to_owned()));
        }
        let listener =
            TcpListener::bind(tcp_address(address)?).with_context(|| format!("bind to {address}"))?;
        let endpoint = format!("tcp://{}", listener.local_addr()?);
        Ok((Self::TcpListener(listener), endpoint))
    }

    /// Connects to what [`bind`](Self::bind) returned.
    pub(crate) fn connect(endpoint: &str) -> Result<Self> {
        if let Some(path) = endpoint.strip_prefix("ipc://") {
            let stream = UnixStream::connect(path).with_context(|| format!("connect to {endpoint}"))?;
            return Ok(Self::Ipc(stream));
        }
        let stream =
            TcpStream::connect(tcp_address(endpoint)?).with_context(|| format!("connect to {endpoint}"))?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Sends all of `batch`, which is empty and ready to be filled again afterwards.
    pub(crate) fn send_batch(&mut self, batch: &mut Vec<u8>) -> Result<()> {
        if let Self::Inproc(channel) = self {
            let mut next = channel.returned.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH_OCTETS));
            next.clear();
            return Ok(channel.out.send(mem::replace(batch, next))?);
        }
        self.stream()?.write_all(batch)?;
        batch.clear();
        Ok(())
    }

    /// Waits for octets, puts them at the front of `batch` and returns how many.
    pub(crate) fn receive_batch(&mut self, batch: &mut Vec<u8>) -> Result<usize> {
        if let Self::Inproc(channel) = self {
            let emptied = mem::replace(batch, channel.incoming.recv()?);
            // A batch that finds no room is dropped: there are enough.
            let _ = channel.give_back.try_send(emptied);
            return Ok(batch.len());
        }
        batch.resize(BATCH_OCTETS, 0);
        let octets = self.stream()?.read(batch)?;
        ensure!(octets > 0, "the connection was closed");
        Ok(octets)
    }

    /// Sends `frame` by itself.
    pub(crate) fn send_frame(&mut self, frame: &[u8]) -> Result<()> {
        Ok(self.stream()?.write_all(frame)?)
    }

    /// Waits for a frame that is as long as `frame`, and puts it there.
    pub(crate) fn receive_frame(&mut self, frame: &mut [u8]) -> Result<()> {
        Ok(self.stream()?.read_exact(frame)?)
    }

    /// The socket, after it has a peer.
    fn stream(&mut self) -> Result<&mut dyn ReadWrite> {
        match self {
            Self::TcpListener(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                *self = Self::Tcp(stream);
            }
            Self::IpcListener(listener, path) => {
                let (stream, _) = listener.accept()?;
                fs::remove_file(path)?;
                *self = Self::Ipc(stream);
            }
            Self::Tcp(_) | Self::Ipc(_) | Self::Inproc(_) => {}
        }
        match self {
            Self::Tcp(stream) => Ok(stream),
            Self::Ipc(stream) => Ok(stream),
            Self::TcpListener(_) | Self::IpcListener(..) | Self::Inproc(_) => {
                unreachable!("accepted above, or inproc")
            }
        }
    }
}

impl Channel {
    /// Both ends of a connection within a process.
    pub(crate) fn pair() -> (Self, Self) {
        let (one_out, other_incoming) = sync_channel(CHANNEL_BATCHES);
        let (other_out, one_incoming) = sync_channel(CHANNEL_BATCHES);
        let (one_give_back, other_returned) = sync_channel(CHANNEL_BATCHES);
        let (other_give_back, one_returned) = sync_channel(CHANNEL_BATCHES);
        let one =
            Self { out: one_out, returned: one_returned, incoming: one_incoming, give_back: one_give_back };
        let other = Self {
            out: other_out,
            returned: other_returned,
            incoming: other_incoming,
            give_back: other_give_back,
        };
        (one, other)
    }
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

fn tcp_address(endpoint: &str) -> Result<SocketAddr> {
    let address = endpoint.strip_prefix("tcp://").context("neither tcp nor ipc")?;
    Ok(address.parse()?)
}
