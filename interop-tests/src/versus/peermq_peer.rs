//! peermq, through its public interface only.

use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};
use peermq::{
    Builder, Context, Dealer, Hwm, Interest, Message, Pattern, Poller, Pub, Pull as PullType,
    Push as PushType, RecvError, Router as RouterType, RoutingId, Socket, Sub,
};

use super::bodies::{Bodies, Body};
use super::fan::{FanImplementation, Publisher, Router, Subscriber, TOPIC_OCTETS, Topic};
use super::peermq_pair::PeermqPair;
use super::secrets;
use super::side::{Implementation, Pull, Push};
use super::stamp;
use super::task::Task;
use super::workload::Workload;

/// A context with its defaults.
#[derive(Debug)]
pub(crate) struct Peermq {
    context: Context,
    pub(super) task: Task,
    /// Has the subscribers that were waited for last.
    poller: Mutex<Poller<()>>,
}

/// PUSH.
#[derive(Debug)]
pub(crate) struct PeermqPush {
    socket: Socket<PushType>,
    bodies: Bodies,
}

/// PULL.
#[derive(Debug)]
pub(crate) struct PeermqPull {
    socket: Socket<PullType>,
    message: Message,
    size: usize,
}

/// PUB.
#[derive(Debug)]
pub(crate) struct PeermqPublisher {
    socket: Socket<Pub>,
    buffer: Vec<u8>,
}

/// SUB.
#[derive(Debug)]
pub(crate) struct PeermqSubscriber {
    socket: Socket<Sub>,
    message: Message,
    size: usize,
    /// Where in a message the stamp is.
    stamp_at: usize,
}

/// ROUTER.
#[derive(Debug)]
pub(crate) struct PeermqRouter {
    socket: Socket<RouterType>,
    id: RoutingId,
    message: Message,
    size: usize,
}

/// DEALER.
#[derive(Debug)]
pub(crate) struct PeermqDealer {
    socket: Socket<Dealer>,
    message: Message,
    buffer: Vec<u8>,
}

impl Peermq {
    pub(super) fn builder<P: Pattern>(&self) -> Builder<P> {
        let builder = self.context.builder_for::<P>();
        match self.task.hwm.map(Hwm::messages) {
            Some(hwm) => builder.send_hwm(hwm).recv_hwm(hwm),
            None => builder,
        }
    }

    pub(super) fn bind<P: Pattern>(&self, builder: Builder<P>) -> Result<(Socket<P>, String)> {
        self.bind_to(builder, &self.task.address)
    }

    pub(super) fn bind_to<P: Pattern>(&self, builder: Builder<P>, at: &str) -> Result<(Socket<P>, String)> {
        let builder = if self.task.curve { secrets::serve(builder) } else { builder };
        let mut socket = builder.open()?;
        let endpoint = socket.bind(at)?.to_string();
        Ok((socket, endpoint))
    }

    /// Opens a socket that will connect.
    pub(super) fn open_to_connect<P: Pattern>(&self) -> Result<Socket<P>> {
        let builder = self.builder();
        let builder = if self.task.curve { secrets::ask(builder) } else { builder };
        Ok(builder.open()?)
    }

    pub(super) fn connect<P: Pattern>(&self, endpoint: &str) -> Result<Socket<P>> {
        let mut socket = self.open_to_connect()?;
        socket.connect(endpoint)?;
        Ok(socket)
    }

    fn size(&self) -> usize {
        self.task.case.size
    }
}

impl Implementation for Peermq {
    type Push = PeermqPush;
    type Pull = PeermqPull;
    type Pair = PeermqPair;

    fn new(task: &Task) -> Result<Self> {
        Ok(Self { context: Context::new(), task: task.clone(), poller: Mutex::default() })
    }

    fn bind_pull(&self) -> Result<(PeermqPull, String)> {
        let (socket, endpoint) = self.bind(self.builder())?;
        Ok((PeermqPull { socket, message: Message::new(), size: self.size() }, endpoint))
    }

    fn connect_push(&self, endpoint: &str) -> Result<PeermqPush> {
        Ok(PeermqPush { socket: self.connect(endpoint)?, bodies: Bodies::new(self.size()) })
    }

    fn bind_pair(&self) -> Result<(PeermqPair, String)> {
        PeermqPair::bind(self)
    }

    fn connect_pair(&self, endpoint: &str) -> Result<PeermqPair> {
        PeermqPair::connect(self, endpoint)
    }
}

impl FanImplementation for Peermq {
    type Publisher = PeermqPublisher;
    type Subscriber = PeermqSubscriber;
    type Router = PeermqRouter;
    type Dealer = PeermqDealer;

    fn bind_publisher(&self) -> Result<(PeermqPublisher, String)> {
        let waits = self.task.case.workload != Workload::Stalled;
        let (socket, endpoint) = self.bind(self.builder::<Pub>().xpub_nodrop(waits))?;
        Ok((PeermqPublisher { socket, buffer: vec![0; self.size()] }, endpoint))
    }

    fn connect_subscriber(&self, endpoint: &str, topics: &[Topic]) -> Result<PeermqSubscriber> {
        let mut socket = self.open_to_connect::<Sub>()?;
        if topics.is_empty() {
            socket.subscribe("")?;
        }
        for topic in topics {
            socket.subscribe(topic)?;
        }
        socket.connect(endpoint)?;
        let stamp_at = if topics.is_empty() { 0 } else { TOPIC_OCTETS };
        Ok(PeermqSubscriber { socket, message: Message::new(), size: self.size(), stamp_at })
    }

    fn wait(&self, subscribers: &mut [PeermqSubscriber]) -> Result<()> {
        let mut poller = self.poller.lock().unwrap_or_else(PoisonError::into_inner);
        if poller.len() != subscribers.len() {
            // One that has stopped receiving stays readable: a poller that has it never sleeps.
            *poller = Poller::new();
            for subscriber in subscribers {
                poller.add(&mut subscriber.socket, Interest::READABLE, ())?;
            }
        }
        poller.wait(None)?;
        Ok(())
    }

    fn bind_router(&self) -> Result<(PeermqRouter, String)> {
        let (socket, endpoint) = self.bind(self.builder())?;
        Ok((PeermqRouter::new(socket, self.size()), endpoint))
    }

    fn connect_dealer(&self, endpoint: &str) -> Result<PeermqDealer> {
        Ok(PeermqDealer::new(self.connect(endpoint)?, self.size()))
    }
}

impl PeermqRouter {
    pub(super) fn new(socket: Socket<RouterType>, size: usize) -> Self {
        Self { socket, id: RoutingId::NONE, message: Message::new(), size }
    }
}

impl PeermqDealer {
    pub(super) fn new(socket: Socket<Dealer>, size: usize) -> Self {
        Self { socket, message: Message::new(), buffer: vec![0; size] }
    }
}

impl Publisher for PeermqPublisher {
    #[inline]
    fn publish(&mut self, topic: Option<Topic>, sequence: u64) -> Result<()> {
        match topic.and_then(|topic| self.buffer.split_first_chunk_mut().map(|split| (topic, split))) {
            None => stamp::write(&mut self.buffer, sequence),
            Some((topic, (front, rest))) => {
                *front = topic;
                stamp::write(rest, sequence);
            }
        }
        self.socket.send(&self.buffer[..]).map_err(|unsent| anyhow!("not sent: {unsent}"))
    }
}

impl Subscriber for PeermqSubscriber {
    #[inline]
    fn try_pull(&mut self) -> Result<Option<u64>> {
        match self.socket.try_recv_into(&mut self.message) {
            Ok(()) => stamp::read_at(self.message.body(), self.size, self.stamp_at).map(Some),
            Err(RecvError::WouldBlock) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Router for PeermqRouter {
    #[inline]
    fn echo(&mut self) -> Result<()> {
        self.socket.recv_from_into(&mut self.id, &mut self.message)?;
        stamp::read(self.message.body(), self.size)?;
        self.socket.send_to(&self.id, &self.message).map_err(|unsent| anyhow!("not sent: {unsent}"))
    }
}

impl Push for PeermqDealer {
    #[inline]
    fn push(&mut self, sequence: u64) -> Result<()> {
        stamp::write(&mut self.buffer, sequence);
        self.socket.send(&self.buffer[..]).map_err(|unsent| anyhow!("not sent: {unsent}"))
    }
}

impl Pull for PeermqDealer {
    #[inline]
    fn pull(&mut self) -> Result<u64> {
        self.socket.recv_into(&mut self.message)?;
        stamp::read(self.message.body(), self.buffer.len())
    }
}

impl Push for PeermqPush {
    #[inline]
    fn push(&mut self, sequence: u64) -> Result<()> {
        let sent = match self.bodies.next(sequence) {
            Body::Copied(body) => self.socket.send(body),
            Body::Shared(body) => self.socket.send(body),
        };
        sent.map_err(|unsent| anyhow!("not sent: {unsent}"))
    }
}

impl Pull for PeermqPull {
    #[inline]
    fn pull(&mut self) -> Result<u64> {
        self.socket.recv_into(&mut self.message)?;
        stamp::read(self.message.body(), self.size)
    }
}
