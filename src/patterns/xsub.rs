//! XSUB: a SUB that can send: subscriptions as messages, and messages to all publishers. Source: RFC 29/PUBSUB.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::error::{RecvError, SendError, SubscribeError};
use crate::limits::TOPIC_OCTETS_MAX;
use crate::message::{Message, Payload, Subscription};
use crate::options::Options;
use crate::patterns::{Attach, Pattern, Receives, Sends, Splits, Strategy, Subscribes, Subscribing};
use crate::pipe::{PipeKey, Pipes, TakenBack, Told, Upstream};
use crate::routing::{FairQueue, FanOut};
use crate::socket_type::SocketType;

/// XSUB: a [`Sub`](crate::Sub) that can send, and receives whatever its publishers send.
///
/// A message whose first octet is 1 or 0 is a [`Subscription`](crate::Subscription), as
/// [`subscribe`](crate::Socket::subscribe) and `unsubscribe` make it; any other goes to all publishers, of
/// which an [`XPub`](crate::XPub) receives it. It never waits: a message is dropped for a publisher whose
/// queue is full. Publishers are told of every subscription, even of a second one to the same topic.
/// Source: RFC 29/PUBSUB.
///
/// ```
/// use peermq::{Context, XPub, XSub};
///
/// let context = Context::new();
/// let mut news = context.open::<XPub>()?;
/// news.bind("inproc://news")?;
/// let mut relay = context.open::<XSub>()?;
/// relay.connect("inproc://news")?;
/// relay.send(b"\x01weather.")?;
/// assert_eq!(news.recv()?, b"\x01weather.");
/// news.send("weather.rain")?;
/// assert_eq!(relay.recv()?, "weather.rain");
/// relay.send("thank you")?;
/// assert_eq!(news.recv()?, "thank you");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct XSub {
    publishers: FairQueue,
    upstream: Arc<Upstream>,
    fan_out: FanOut,
    only_first: bool,
}

impl Pattern for XSub {}
impl Receives for XSub {}
impl Sends for XSub {}
impl Subscribes for XSub {}
impl Splits for XSub {}

impl Subscribing for XSub {
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), SubscribeError> {
        if topic.len() > TOPIC_OCTETS_MAX {
            return Err(SubscribeError::TooMuch);
        }
        self.upstream.subscribe(topic);
        Ok(())
    }

    fn unsubscribe(&mut self, topic: &[u8]) -> bool {
        topic.len() <= TOPIC_OCTETS_MAX && self.upstream.unsubscribe(topic) != TakenBack::Nothing
    }

    fn topic_count(&self) -> usize {
        self.upstream.count()
    }
}

impl XSub {
    /// Does what the octets of a frame say, if they are a subscription.
    fn apply(&mut self, octets: &[u8]) -> Result<(), SendError> {
        match Subscription::from_octets(octets) {
            Some(Subscription::Subscribe(topic)) => {
                self.subscribe(topic).map_err(|_| SendError::TopicTooLong)
            }
            // Publishers would end the connection, and nobody can have subscribed to it.
            Some(Subscription::Unsubscribe(topic)) if topic.len() > TOPIC_OCTETS_MAX => {
                Err(SendError::TopicTooLong)
            }
            Some(Subscription::Unsubscribe(topic)) => {
                self.unsubscribe(topic);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Strategy for XSub {
    const TYPE: Option<SocketType> = Some(SocketType::XSub);

    fn new(_: SocketType, options: &Options) -> Self {
        Self {
            publishers: FairQueue::default(),
            upstream: Upstream::new(if options.xsub_verbose_unsubscribe { Told::Each } else { Told::Last }),
            fan_out: FanOut::default(),
            only_first: options.only_first_subscribe,
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
        self.fan_out.add(key);
        Attach::Accepted
    }

    fn detach(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.publishers.remove(pipes, key);
        if let Some(seat) = self.fan_out.remove(key) {
            self.fan_out.vacate(seat);
        }
    }

    fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.publishers.add(pipes, key);
    }

    fn on_writable(&mut self, _: &mut Pipes, _: PipeKey) {}

    fn is_readable(&mut self, pipes: &mut Pipes) -> bool {
        self.publishers.has_message(pipes)
    }

    fn is_writable(&mut self, _: &mut Pipes) -> bool {
        true
    }

    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        if payload.has_too_many_parts(0) {
            return Err(SendError::TooManyParts);
        }
        if Subscription::from_octets(payload.body()).is_none() {
            self.fan_out.start();
            self.fan_out.invert(); // to all
            self.fan_out.send(pipes, payload);
            return Ok(());
        }
        self.apply(payload.body())?;
        let count = if self.only_first { 1 } else { payload.frames().count() };
        for frame in payload.frames().take(count).skip(1) {
            self.apply(frame)?;
        }
        Ok(())
    }

    #[inline]
    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        self.publishers.recv(pipes, message)?;
        Ok(())
    }
}
