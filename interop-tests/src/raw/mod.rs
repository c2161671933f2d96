//! RAW: a peer made of octets, for what no library would send.
//!
//! [`Peer`] is one connection, with exact writes, buffered reads that never wait for ever, and every way to
//! go: FIN, RST, silence. [`Listener`] accepts them. [`Meeting`] brings one together with a socket of ours
//! in either role, and [`Account`] counts what a conversation leaves behind.
//!
//! It fails by panicking: what calls it is a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness fails by panicking"
)]

mod account;
mod meeting;
pub mod old;
pub mod random;
pub mod vectors;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::SockRef;

pub use account::{ALLOCATOR_LIMIT, Account, FIGURE, alone, full_or};
pub use meeting::{Meeting, Role, Speaks, everywhere, message_of};

/// A hang guard: no test needs so long, and none may wait for ever.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Connections that may wait to be accepted: those of a tcp socket that finds no room try again only after a second.
const BACKLOG: i32 = 1024;

/// tcp or ipc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `ipc://`
    Ipc,
    /// `tcp://`
    Tcp,
}

impl Transport {
    /// Where to bind to a place that is free, as all implementations write it.
    #[must_use]
    pub fn free_endpoint(self) -> &'static str {
        match self {
            Self::Ipc => "ipc://*",
            Self::Tcp => "tcp://127.0.0.1:*",
        }
    }
}

/// One end of a connection, as octets.
#[derive(Debug)]
pub struct Peer {
    stream: Stream,
    /// Read and not taken yet.
    buffer: Vec<u8>,
    has_ended: bool,
}

/// One frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The flags octet.
    pub flags: u8,
    /// The octets behind the size.
    pub body: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
        }
    };
}

impl Peer {
    /// Connects to what a socket is bound to.
    #[must_use]
    pub fn connect(endpoint: &str) -> Self {
        let stream = if let Some(address) = endpoint.strip_prefix("tcp://") {
            Stream::Tcp(TcpStream::connect(address).expect("a bound socket accepts"))
        } else {
            let path = endpoint.strip_prefix("ipc://").expect("tcp or ipc");
            Stream::Unix(UnixStream::connect(path).expect("a bound socket accepts"))
        };
        Self::new(stream)
    }

    fn new(stream: Stream) -> Self {
        if let Stream::Tcp(tcp) = &stream {
            tcp.set_nodelay(true).unwrap();
        }
        each!(&stream, inner => inner.set_write_timeout(Some(DEADLINE))).unwrap();
        Self { stream, buffer: Vec::new(), has_ended: false }
    }

    /// Writes all of it in one go.
    pub fn write(&mut self, octets: &[u8]) {
        self.try_write(octets).expect("the other side takes octets");
    }

    /// Writes all of it, unless the other side has closed.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn try_write(&mut self, octets: &[u8]) -> io::Result<()> {
        each!(&mut self.stream, inner => inner.write_all(octets))
    }

    /// Writes what the kernel takes without waiting; how much that was.
    pub fn write_some(&mut self, octets: &[u8]) -> io::Result<usize> {
        each!(&self.stream, inner => inner.set_nonblocking(true))?;
        let written = each!(&mut self.stream, inner => inner.write(octets));
        each!(&self.stream, inner => inner.set_nonblocking(false))?;
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }

    /// Writes in pieces that end at these offsets, which grow, and at the end.
    pub fn write_cut(&mut self, octets: &[u8], cuts: impl IntoIterator<Item = usize>) {
        let mut from = 0;
        for cut in cuts {
            self.write(&octets[from..cut]);
            from = cut;
        }
        self.write(&octets[from..]);
    }

    /// Reads exactly so many octets.
    #[must_use]
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let deadline = Instant::now() + DEADLINE;
        while self.buffer.len() < count {
            assert!(self.fill(deadline), "ended or silent after {:02x?}", self.buffer);
        }
        let octets = self.buffer.drain(..count).collect();
        self.let_buffer_go();
        octets
    }

    /// A peer that has taken everything holds nothing.
    fn let_buffer_go(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }

    /// Reads the next frame; `None` when the other side closed before a whole one came.
    pub fn frame(&mut self) -> Option<Frame> {
        self.frame_within(DEADLINE).unwrap_or_else(|| panic!("silent after {:02x?}", self.buffer))
    }

    /// Reads the next frame; the outer `None` when none came in time.
    pub fn frame_within(&mut self, wait: Duration) -> Option<Option<Frame>> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(Some(frame));
            }
            if !self.fill(deadline) {
                return self.has_ended.then_some(None);
            }
        }
    }

    /// Whether nothing is here that was not taken, without waiting for it.
    #[must_use]
    pub fn is_silent(&mut self) -> bool {
        each!(&self.stream, inner => inner.set_nonblocking(true)).unwrap();
        let read = each!(&mut self.stream, inner => inner.read(&mut [0]));
        each!(&self.stream, inner => inner.set_nonblocking(false)).unwrap();
        self.buffer.is_empty() && read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the other side has closed, without waiting for it.
    #[must_use]
    pub fn is_closed(&mut self) -> bool {
        each!(&self.stream, inner => inner.set_nonblocking(true)).unwrap();
        let mut octets = [0; 4096];
        while !self.has_ended {
            match each!(&mut self.stream, inner => inner.read(&mut octets)) {
                Ok(count) if count > 0 => self.buffer.extend_from_slice(&octets[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => self.has_ended = true,
            }
        }
        each!(&self.stream, inner => inner.set_nonblocking(false)).unwrap();
        self.has_ended
    }

    /// Reads the frames of the next message; commands are left out. `None` at the end.
    pub fn message(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame()?;
            if frame.flags & 4 != 0 {
                continue;
            }
            frames.push(frame.body);
            if frame.flags & 1 == 0 {
                return Some(frames);
            }
        }
    }

    /// Reads until the other side closes; what came.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + DEADLINE;
        while self.fill(deadline) {}
        assert!(self.has_ended, "not closed, and silent after {:02x?}", self.buffer);
        std::mem::take(&mut self.buffer)
    }

    /// Sends FIN; the other direction stays open.
    pub fn finish(&mut self) {
        // An error says that the other side was faster.
        _ = each!(&self.stream, inner => inner.shutdown(std::net::Shutdown::Write));
    }

    /// Closes with RST, and throws away what is on its way (ipc has no RST; what was not read tells instead).
    pub fn reset(self) {
        if let Stream::Tcp(stream) = &self.stream {
            SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }

    /// The same connection, for another thread to write to.
    #[must_use]
    pub fn try_clone(&self) -> Self {
        Self::new(match &self.stream {
            Stream::Tcp(inner) => Stream::Tcp(inner.try_clone().unwrap()),
            Stream::Unix(inner) => Stream::Unix(inner.try_clone().unwrap()),
        })
    }

    /// Makes the kernel's receive buffer small.
    pub fn shrink_buffer(&self) {
        each!(&self.stream, inner => SockRef::from(inner).set_recv_buffer_size(65_536)).unwrap();
    }

    /// Says and hears both greetings and both READYs; `false` when the other side closed.
    #[must_use]
    pub fn shake_hands(&mut self, socket_type: &str) -> bool {
        _ = self.try_write(&[&vectors::G_NULL31[..], &vectors::ready(socket_type)].concat());
        self.take_handshake()
    }

    /// Hears a greeting and a READY; `false` when the other side closed before they were whole.
    #[must_use]
    pub fn take_handshake(&mut self) -> bool {
        let deadline = Instant::now() + DEADLINE;
        while self.buffer.len() < vectors::G_NULL31.len() {
            if !self.fill(deadline) {
                assert!(self.has_ended, "no greeting");
                return false;
            }
        }
        assert_eq!(self.read(64), vectors::G_NULL31);
        match self.frame() {
            Some(frame) => {
                assert_eq!((frame.flags, &frame.body[..6]), (4, &b"\x05READY"[..]));
                true
            }
            None => false,
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let flags = *self.buffer.first()?;
        let (header, size) = if flags & 2 == 0 {
            (2, usize::from(*self.buffer.get(1)?))
        } else {
            let size = self.buffer.get(1..9)?.try_into().unwrap();
            (9, usize::try_from(u64::from_be_bytes(size)).unwrap())
        };
        // F-01: no frame of ours has a reserved bit; F-04: no command has more.
        assert!(flags < 7 && flags & 5 != 5, "flags {flags:#04x}");
        let body = self.buffer.get(header..header + size)?.to_vec();
        self.buffer.drain(..header + size);
        self.let_buffer_go();
        Some(Frame { flags, body })
    }

    /// Reads once. `false`: the other side closed, or the deadline passed.
    fn fill(&mut self, deadline: Instant) -> bool {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
        let wait = left.max(Duration::from_micros(1));
        each!(&self.stream, inner => inner.set_read_timeout(Some(wait))).unwrap();
        let mut octets = [0; 65_536];
        loop {
            match each!(&mut self.stream, inner => inner.read(&mut octets)) {
                Ok(0) => self.has_ended = true,
                Ok(count) => self.buffer.extend_from_slice(&octets[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => self.has_ended = true,
            }
            return !self.has_ended;
        }
    }
}

/// Where sockets of ours connect to.
#[derive(Debug)]
pub struct Listener {
    inner: Inner,
    endpoint: String,
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpListener),
    /// The directory goes with the listener.
    Unix(UnixListener, #[allow(dead_code, reason = "kept for its Drop")] tempfile::TempDir),
}

impl Listener {
    /// Listens on a free port of the loopback, or a path of its own.
    #[must_use]
    pub fn bind(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => {
                let inner = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                SockRef::from(&inner).listen(BACKLOG).unwrap();
                let endpoint = format!("tcp://{}", inner.local_addr().unwrap());
                Self { inner: Inner::Tcp(inner), endpoint }
            }
            Transport::Ipc => {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("raw");
                let inner = UnixListener::bind(&path).unwrap();
                SockRef::from(&inner).listen(BACKLOG).unwrap();
                let endpoint = format!("ipc://{}", path.display());
                Self { inner: Inner::Unix(inner, directory), endpoint }
            }
        }
    }

    /// What to connect to.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Takes the next connection.
    #[must_use]
    pub fn accept(&self) -> Peer {
        let descriptor = match &self.inner {
            Inner::Tcp(inner) => inner.as_fd(),
            Inner::Unix(inner, _) => inner.as_fd(),
        };
        let timeout = PollTimeout::try_from(DEADLINE).unwrap();
        let ready = poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], timeout).unwrap();
        assert_eq!(ready, 1, "nobody connected");
        Peer::new(match &self.inner {
            Inner::Tcp(inner) => Stream::Tcp(inner.accept().unwrap().0),
            Inner::Unix(inner, _) => Stream::Unix(inner.accept().unwrap().0),
        })
    }
}
