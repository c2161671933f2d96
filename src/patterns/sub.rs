//! SUB: receives what it subscribed to, from all its publishers in turn. Source: RFC 29/PUBSUB.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::error::{RecvError, SendError, SubscribeError};
use crate::message::{Message, Payload};
use crate::options::Options;
use crate::patterns::{Attach, Pattern, Receives, Strategy, Subscribes, Subscribing};
use crate::pipe::{Head, PipeKey, Pipes, TakenBack, Told, Upstream, Waste};
use crate::routing::{FairQueue, Seat, Topics};
use crate::socket_type::SocketType;

/// SUB: receives the messages whose first frame begins with a topic that it
/// [subscribed](crate::Socket::subscribe) to.
///
/// Without a subscription it receives nothing; the empty topic is in every message. Every publisher is told
/// of every subscription, also when it comes back after it was away; it sends only what is wanted. What a
/// publisher sent before it knew is lost: [`wait_subscribed`](crate::Socket::wait_subscribed) waits until it knows. What a
/// publisher had no room for, because this socket receives too slowly, is counted there, and not here.
/// Source: RFC 29/PUBSUB.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Pub, Sub};
///
/// let context = Context::new();
/// let mut sub = context.open::<Sub>()?;
/// sub.bind("inproc://news")?;
/// sub.subscribe("a")?;
/// sub.subscribe(b"\0binary")?;
/// let mut publisher = context.open::<Pub>()?;
/// publisher.connect("inproc://news")?;
/// publisher.wait_for_subscribers(1, Duration::from_secs(10))?;
/// publisher.send(["apple", "a second frame"])?;
/// assert_eq!(sub.recv()?, ["apple", "a second frame"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It does not send:
///
/// ```compile_fail,E0599
/// # use peermq::{Context, Sub};
/// Context::new().open::<Sub>()?.send("to nobody")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sub {
    publishers: FairQueue,
    upstream: Arc<Upstream>,
    /// What `upstream` tells, to look through what comes: a publisher need not be honest, and sends what was
    /// wanted until it knows better.
    topics: Topics,
    is_inverted: bool,
    /// What does not match must not be seen in the caller's message.
    message: Message,
}

/// The only one who subscribes in this index: we.
const WE: Seat = 0;

impl Pattern for Sub {}
impl Receives for Sub {}
impl Subscribes for Sub {}

impl Subscribing for Sub {
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), SubscribeError> {
        self.topics.add(WE, topic).map_err(|_| SubscribeError::TooMuch)?;
        self.upstream.subscribe(topic);
        Ok(())
    }

    fn unsubscribe(&mut self, topic: &[u8]) -> bool {
        let taken_back = self.upstream.unsubscribe(topic);
        if taken_back == TakenBack::Last {
            self.topics.remove(WE, topic);
        }
        taken_back != TakenBack::Nothing
    }

    fn topic_count(&self) -> usize {
        self.topics.count()
    }
}

impl Strategy for Sub {
    const TYPE: Option<SocketType> = Some(SocketType::Sub);

    fn new(_: SocketType, options: &Options) -> Self {
        Self {
            publishers: FairQueue::default(),
            upstream: Upstream::new(Told::Last),
            topics: Topics::new(),
            is_inverted: options.invert_matching,
            message: Message::new(),
        }
    }

    fn upstream(&self) -> Option<&Arc<Upstream>> {
        Some(&self.upstream)
    }

    fn as_subscriber(&mut self) -> Option<&mut dyn Subscribing> {
        Some(self)
    }

    fn attach(&mut self, pipes: &mut Pipes, key: PipeKey) -> Attach {
        self.publishers.add(pipes, key);
        Attach::Accepted
    }

    fn detach(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.publishers.remove(pipes, key);
    }

    fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.publishers.add(pipes, key);
    }

    fn on_writable(&mut self, _: &mut Pipes, _: PipeKey) {}

    fn is_readable(&mut self, pipes: &mut Pipes) -> bool {
        if self.takes_all() {
            return self.publishers.has_message(pipes);
        }
        let (topics, is_inverted) = (&self.topics, self.is_inverted);
        let is_wanted = |head: Head<'_>| topics.has_match(head.body()) != is_inverted;
        self.publishers.has_wanted(pipes, is_wanted, |pipes| pipes.drops().unwanted.add(1))
    }

    #[inline]
    fn takes_all(&self) -> bool {
        self.topics.has_match(b"") && !self.is_inverted
    }

    fn try_send(&mut self, _: &mut Pipes, _: &mut Payload<'_>) -> Result<(), SendError> {
        Err(SendError::NotSupported)
    }

    #[inline]
    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        if self.takes_all() {
            self.publishers.recv(pipes, message)?;
            return Ok(());
        }
        loop {
            self.publishers.recv(pipes, &mut self.message)?;
            if self.topics.has_match(self.message.body()) != self.is_inverted {
                std::mem::swap(message, &mut self.message);
                return Ok(());
            }
            pipes.drops().unwanted.add(1);
            if !pipes.spend_on(Waste::of(&self.message)) {
                return Err(RecvError::WouldBlock);
            }
        }
    }
}
