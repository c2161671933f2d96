//! Many connections with plain blocking sockets, one thread a side.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Socket, Type};

use super::connections::{GREETING, ManyImplementation, Peers, Server, from_own_address};
use super::raw_peer::Raw;
use super::stamp;

/// How long a peer waits before it tries again, as long as nobody listens.
const RETRY: Duration = Duration::from_millis(1);

/// Accepts one after the other.
#[derive(Debug)]
pub(crate) struct RawServer {
    listener: TcpListener,
    streams: Vec<TcpStream>,
}

/// Connected one after the other.
#[derive(Debug)]
pub(crate) struct RawPeers {
    streams: Vec<(String, TcpStream)>,
    /// Whose answer is read next.
    next: usize,
}

impl ManyImplementation for Raw {
    type Server = RawServer;
    type Peers = RawPeers;

    fn bind_server(&self) -> Result<(RawServer, String)> {
        let address: SocketAddr = self.address.strip_prefix("tcp://").context("tcp only")?.parse()?;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(self.fan)?)?;
        let listener = TcpListener::from(socket);
        let endpoint = format!("tcp://{}", listener.local_addr()?);
        Ok((RawServer { listener, streams: Vec::new() }, endpoint))
    }

    fn connect_peers(&self, endpoint: &str, count: u32) -> Result<RawPeers> {
        let endpoints = (0..count).map(|peer| from_own_address(endpoint, peer));
        let streams = endpoints.map(|endpoint| connect(&endpoint).map(|stream| (endpoint, stream)));
        Ok(RawPeers { streams: streams.collect::<Result<_>>()?, next: 0 })
    }
}

impl Server for RawServer {
    fn await_peers(&mut self, count: usize) -> Result<()> {
        while self.streams.len() < count {
            let (mut stream, _) = self.listener.accept()?;
            stream.set_nodelay(true)?;
            let mut greeting = [0; stamp::OCTETS];
            stream.read_exact(&mut greeting)?;
            ensure!(greeting == GREETING, "a stranger");
            self.streams.push(stream);
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<()> {
        for (number, stream) in (0_u64..).zip(&mut self.streams) {
            stream.write_all(&number.to_le_bytes())?;
        }
        Ok(())
    }
}

impl Peers for RawPeers {
    /// Each has, when it connected.
    fn greet(&mut self) -> Result<()> {
        Ok(())
    }

    /// One after the other: the server does not answer before it has heard of all.
    fn await_answer(&mut self, _: Duration) -> Result<Option<u64>> {
        let (_, stream) = self.streams.get_mut(self.next).context("an answer to nobody")?;
        self.next += 1;
        let mut number = [0; stamp::OCTETS];
        stream.read_exact(&mut number)?;
        Ok(Some(u64::from_le_bytes(number)))
    }

    fn come_back(&mut self) -> Result<()> {
        self.next = 0;
        for (endpoint, stream) in &mut self.streams {
            // The server is gone: however that is told, this connection is over.
            let _ = stream.read(&mut [0]);
            let _ = stream.shutdown(Shutdown::Both);
            *stream = loop {
                match connect(endpoint) {
                    Ok(stream) => break stream,
                    Err(_) => thread::sleep(RETRY),
                }
            };
        }
        Ok(())
    }
}

/// Connects from the address that stands in front of the server's.
fn connect(endpoint: &str) -> Result<TcpStream> {
    let (own, server) = endpoint
        .strip_prefix("tcp://")
        .and_then(|both| both.split_once(';'))
        .context("an address of one's own")?;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let own: Ipv4Addr = own.trim_end_matches(":0").parse()?;
    socket.bind(&SocketAddr::from((own, 0)).into())?;
    socket.connect(&server.parse::<SocketAddr>()?.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.write_all(&GREETING)?;
    Ok(stream)
}
