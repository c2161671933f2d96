//! libzmq, used as its own performance tools use it (`perf/remote_thr.cpp` and its siblings).
//!
//! One I/O thread. A sender allocates a message of the size without clearing it and hands it over; a
//! receiver reuses one message. `zmq::Message` can only be made cleared or copied, which the tools do
//! not pay for: hence the direct calls.
#![allow(unsafe_code, reason = "messages that are not cleared exist only in the C interface")]

use std::ffi::c_int;
use std::fmt;
use std::mem;

use anyhow::{Context, Result};
use zmq::{Message, Socket};

use super::fan::{FanImplementation, Publisher, Router, Subscriber, TOPIC_OCTETS, Topic};
use super::libzmq_pair::LibzmqPair;
use super::secrets;
use super::side::{Implementation, Pull, Push};
use super::stamp;
use super::task::Task;
use super::workload::Workload;

/// A context with its default of one I/O thread.
pub(crate) struct Libzmq {
    context: zmq::Context,
    hwm: Option<i32>,
    pub(super) task: Task,
}

/// PUSH or PUB.
pub(crate) struct LibzmqPush {
    socket: Socket,
    size: usize,
}

/// PULL or SUB.
pub(crate) struct LibzmqPull {
    socket: Socket,
    message: Message,
    size: usize,
    /// Where in a message the stamp is.
    stamp_at: usize,
}

/// ROUTER.
pub(crate) struct LibzmqRouter {
    socket: Socket,
    id: Message,
    message: Message,
    size: usize,
}

/// DEALER.
pub(crate) struct LibzmqDealer {
    push: LibzmqPush,
    message: Message,
}

impl Libzmq {
    pub(super) fn open(&self, kind: zmq::SocketType) -> Result<Socket> {
        let socket = self.context.socket(kind)?;
        if let Some(hwm) = self.hwm {
            socket.set_sndhwm(hwm)?;
            socket.set_rcvhwm(hwm)?;
        }
        Ok(socket)
    }

    pub(super) fn bind(&self, kind: zmq::SocketType) -> Result<(Socket, String)> {
        let socket = self.open(kind)?;
        let endpoint = self.bind_socket(&socket)?;
        Ok((socket, endpoint))
    }

    pub(super) fn bind_socket(&self, socket: &Socket) -> Result<String> {
        self.bind_to(socket, &self.task.address)
    }

    pub(super) fn bind_to(&self, socket: &Socket, address: &str) -> Result<String> {
        if self.task.curve {
            secrets::serve_libzmq(socket)?;
        }
        socket.bind(address).with_context(|| format!("bind to {address}"))?;
        let endpoint = socket.get_last_endpoint()?;
        endpoint.map_err(|_| zmq::Error::EINVAL).context("the endpoint is not text")
    }

    /// Opens a socket that will connect.
    pub(super) fn open_to_connect(&self, kind: zmq::SocketType) -> Result<Socket> {
        let socket = self.open(kind)?;
        if self.task.curve {
            secrets::ask_libzmq(&socket)?;
        }
        Ok(socket)
    }

    pub(super) fn connect(&self, kind: zmq::SocketType, endpoint: &str) -> Result<Socket> {
        let socket = self.open_to_connect(kind)?;
        socket.connect(endpoint).with_context(|| format!("connect to {endpoint}"))?;
        Ok(socket)
    }

    fn size(&self) -> usize {
        self.task.case.size
    }
}

impl Implementation for Libzmq {
    type Push = LibzmqPush;
    type Pull = LibzmqPull;
    type Pair = LibzmqPair;

    fn new(task: &Task) -> Result<Self> {
        let hwm = task.hwm.map(i32::try_from).transpose()?;
        Ok(Self { context: zmq::Context::new(), hwm, task: task.clone() })
    }

    fn bind_pull(&self) -> Result<(LibzmqPull, String)> {
        let (socket, endpoint) = self.bind(zmq::PULL)?;
        Ok((LibzmqPull { socket, message: Message::new(), size: self.size(), stamp_at: 0 }, endpoint))
    }

    fn connect_push(&self, endpoint: &str) -> Result<LibzmqPush> {
        Ok(LibzmqPush { socket: self.connect(zmq::PUSH, endpoint)?, size: self.size() })
    }

    fn bind_pair(&self) -> Result<(LibzmqPair, String)> {
        LibzmqPair::bind(self)
    }

    fn connect_pair(&self, endpoint: &str) -> Result<LibzmqPair> {
        LibzmqPair::connect(self, endpoint)
    }
}

impl FanImplementation for Libzmq {
    type Publisher = LibzmqPush;
    type Subscriber = LibzmqPull;
    type Router = LibzmqRouter;
    type Dealer = LibzmqDealer;

    fn bind_publisher(&self) -> Result<(LibzmqPush, String)> {
        let mut socket = self.open(zmq::PUB)?;
        let wait = c_int::from(self.task.case.workload != Workload::Stalled);
        let option = zmq_sys::ZMQ_XPUB_NODROP as c_int;
        let (value, octets) = ((&raw const wait).cast(), size_of_val(&wait));
        // SAFETY: the socket is open, and the value is an int that outlives the call.
        check(unsafe { zmq_sys::zmq_setsockopt(socket.as_mut_ptr(), option, value, octets) })?;
        let endpoint = self.bind_socket(&socket)?;
        Ok((LibzmqPush { socket, size: self.size() }, endpoint))
    }

    fn connect_subscriber(&self, endpoint: &str, topics: &[Topic]) -> Result<LibzmqPull> {
        let socket = self.connect(zmq::SUB, endpoint)?;
        if topics.is_empty() {
            socket.set_subscribe(b"")?;
        }
        for topic in topics {
            socket.set_subscribe(topic)?;
        }
        let stamp_at = if topics.is_empty() { 0 } else { TOPIC_OCTETS };
        Ok(LibzmqPull { socket, message: Message::new(), size: self.size(), stamp_at })
    }

    fn wait(&self, subscribers: &mut [LibzmqPull]) -> Result<()> {
        let mut items: Vec<_> = subscribers.iter().map(|it| it.socket.as_poll_item(zmq::POLLIN)).collect();
        zmq::poll(&mut items, -1)?;
        Ok(())
    }

    fn bind_router(&self) -> Result<(LibzmqRouter, String)> {
        let (socket, endpoint) = self.bind(zmq::ROUTER)?;
        Ok((LibzmqRouter::new(socket, self.size()), endpoint))
    }

    fn connect_dealer(&self, endpoint: &str) -> Result<LibzmqDealer> {
        Ok(LibzmqDealer::new(self.connect(zmq::DEALER, endpoint)?, self.size()))
    }
}

impl LibzmqRouter {
    pub(super) fn new(socket: Socket, size: usize) -> Self {
        Self { socket, id: Message::new(), message: Message::new(), size }
    }
}

impl LibzmqDealer {
    pub(super) fn new(socket: Socket, size: usize) -> Self {
        Self { push: LibzmqPush { socket, size }, message: Message::new() }
    }
}

impl Push for LibzmqPush {
    #[inline]
    fn push(&mut self, sequence: u64) -> Result<()> {
        self.publish(None, sequence)
    }
}

impl Publisher for LibzmqPush {
    #[inline]
    fn publish(&mut self, topic: Option<Topic>, sequence: u64) -> Result<()> {
        let mut message = zmq_sys::zmq_msg_t::default();
        // SAFETY: `message` is memory for a message, valid for writes, and holds none yet.
        check(unsafe { zmq_sys::zmq_msg_init_size(&raw mut message, self.size) })?;
        // SAFETY: the call above succeeded, so `message` is initialised.
        let body = unsafe { zmq_sys::zmq_msg_data(&raw mut message) }.cast::<[u8; stamp::OCTETS]>();
        let stamp = sequence.to_le_bytes();
        // `Arguments::plan` keeps the size at `stamp::OCTETS` or more, and at twice as many with topics.
        match topic {
            // SAFETY: the body is long enough; nobody else knows it yet; an array of octets has no alignment.
            None => unsafe { body.write(stamp) },
            // SAFETY: as above.
            Some(topic) => unsafe { body.cast::<[Topic; 2]>().write([topic, stamp]) },
        }
        // SAFETY: `message` is initialised, and `self.socket` is open for as long as we have it.
        let sent = check(unsafe { zmq_sys::zmq_msg_send(&raw mut message, self.socket.as_mut_ptr(), 0) });
        // SAFETY: `message` is initialised: empty if it was sent, as it was if not. Not used after.
        check(unsafe { zmq_sys::zmq_msg_close(&raw mut message) })?;
        sent
    }
}

impl Pull for LibzmqPull {
    #[inline]
    fn pull(&mut self) -> Result<u64> {
        self.socket.recv(&mut self.message, 0)?;
        stamp::read_at(&self.message, self.size, self.stamp_at)
    }
}

impl Subscriber for LibzmqPull {
    #[inline]
    fn try_pull(&mut self) -> Result<Option<u64>> {
        match self.socket.recv(&mut self.message, zmq::DONTWAIT) {
            Ok(()) => stamp::read_at(&self.message, self.size, self.stamp_at).map(Some),
            Err(zmq::Error::EAGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Router for LibzmqRouter {
    fn echo(&mut self) -> Result<()> {
        self.socket.recv(&mut self.id, 0)?;
        self.socket.recv(&mut self.message, 0)?;
        stamp::read(&self.message, self.size)?;
        self.socket.send(mem::replace(&mut self.id, Message::new()), zmq::SNDMORE)?;
        Ok(self.socket.send(mem::replace(&mut self.message, Message::new()), 0)?)
    }
}

impl Push for LibzmqDealer {
    fn push(&mut self, sequence: u64) -> Result<()> {
        self.push.push(sequence)
    }
}

impl Pull for LibzmqDealer {
    fn pull(&mut self) -> Result<u64> {
        self.push.socket.recv(&mut self.message, 0)?;
        stamp::read(&self.message, self.push.size)
    }
}

impl fmt::Debug for Libzmq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Libzmq").field("task", &self.task).finish_non_exhaustive()
    }
}

/// Turns the C interface's -1 into its error.
#[inline]
fn check(status: c_int) -> Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: the call has no preconditions.
    let code = unsafe { zmq_sys::zmq_errno() };
    Err(zmq::Error::from_raw(code).into())
}
