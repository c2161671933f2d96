//! XPUB: a PUB whose application receives the subscriptions. Source: RFC 29/PUBSUB.
#![forbid(unsafe_code)]

use crate::error::{RecvError, SendError, SubscribeError};
use crate::message::{Message, Payload};
use crate::options::Options;
use crate::patterns::{
    Attach, Pattern, Publisher, Publishes, Publishing, Receives, Sends, Splits, Strategy, Subscribing,
};
use crate::pipe::{PipeKey, Pipes};
use crate::socket_type::SocketType;

/// XPUB: a [`Pub`](crate::Pub) whose application receives the subscriptions, and messages of
/// [`XSub`](crate::XSub) peers.
///
/// The first subscription to a topic and its last cancellation are received as messages that
/// [`Subscription`](crate::Subscription) reads; `xpub_verbose` and `xpub_verboser` tell of more. When a peer
/// leaves, its subscriptions are cancelled. An application has to receive: a peer of which 65,536 notices
/// wait, or one message, says nothing more until some were received, and its later subscriptions have no
/// effect until then.
///
/// With `xpub_manual` a subscription has no effect but that it is received, and the application subscribes for
/// that peer, to the same topic or to another. Source: RFC 29/PUBSUB.
///
/// ```
/// use peermq::{Context, Sub, Subscription, XPub};
///
/// let context = Context::new();
/// let mut news = context.open::<XPub>()?;
/// let endpoint = news.bind("tcp://127.0.0.1:0")?;
/// let mut reader = context.open::<Sub>()?;
/// reader.connect(&endpoint)?;
/// reader.subscribe("weather.")?;
/// let message = news.recv()?;
/// assert_eq!(Subscription::from_message(&message), Some(Subscription::Subscribe(b"weather.")));
/// news.send("weather.rain")?;
/// assert_eq!(reader.recv()?, "weather.rain");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct XPub {
    publisher: Publisher,
}

/// For the peer whose subscription was received last.
impl Subscribing for XPub {
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), SubscribeError> {
        self.publisher.subscribe_manually(topic)
    }

    fn unsubscribe(&mut self, topic: &[u8]) -> bool {
        self.publisher.unsubscribe_manually(topic)
    }

    fn topic_count(&self) -> usize {
        self.publisher.topic_count()
    }
}

impl Pattern for XPub {}
impl Sends for XPub {}
impl Receives for XPub {}
impl Publishes for XPub {}
impl Splits for XPub {}

impl Publishing for XPub {
    fn publisher_ref(&self) -> &Publisher {
        &self.publisher
    }
}

impl Strategy for XPub {
    const TYPE: Option<SocketType> = Some(SocketType::XPub);

    fn new(_: SocketType, options: &Options) -> Self {
        Self { publisher: Publisher::with_news(options) }
    }

    fn as_publisher(&mut self) -> Option<&mut Publisher> {
        Some(&mut self.publisher)
    }

    fn as_subscriber(&mut self) -> Option<&mut dyn Subscribing> {
        Some(self)
    }

    fn unreceived(&self) -> u64 {
        self.publisher.unreceived()
    }

    fn attach(&mut self, pipes: &mut Pipes, key: PipeKey) -> Attach {
        self.publisher.attach(pipes, key);
        Attach::Accepted
    }

    fn detach(&mut self, _: &mut Pipes, key: PipeKey) {
        self.publisher.detach(key);
    }

    fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.publisher.on_readable(pipes, key);
    }

    fn on_writable(&mut self, _: &mut Pipes, _: PipeKey) {}

    fn is_readable(&mut self, pipes: &mut Pipes) -> bool {
        self.publisher.has_news(pipes)
    }

    fn is_writable(&mut self, _: &mut Pipes) -> bool {
        true
    }

    #[inline]
    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        self.publisher.send(pipes, payload)
    }

    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        *message = self.publisher.next_news(pipes).ok_or(RecvError::WouldBlock)?;
        Ok(())
    }
}
