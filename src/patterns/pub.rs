//! PUB: sends to all who subscribed, receives nothing. Source: RFC 29/PUBSUB.
#![forbid(unsafe_code)]

use crate::error::{RecvError, SendError};
use crate::message::{Message, Payload};
use crate::options::Options;
use crate::patterns::{Attach, Pattern, Publisher, Publishes, Publishing, Sends, Strategy};
use crate::pipe::{PipeKey, Pipes};
use crate::socket_type::SocketType;

/// PUB: sends each message to every [`Sub`](crate::Sub) that subscribed to what its first frame begins with.
///
/// Never waits: a message is dropped for a subscriber whose queue is full, and lost if nobody subscribed.
/// A subscriber that has just connected is known only when its subscription has arrived: that is what
/// [`wait_for_subscribers`](crate::Socket::wait_for_subscribers) waits for. Source: RFC 29/PUBSUB.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Pub, Sub};
///
/// let context = Context::new();
/// let mut news = context.open::<Pub>()?;
/// let endpoint = news.bind("tcp://127.0.0.1:0")?;
/// let mut reader = context.open::<Sub>()?;
/// reader.connect(&endpoint)?;
/// reader.subscribe("weather.")?;
/// news.wait_for_subscribers(1, Duration::from_secs(10))?;
/// news.send("sports.chess")?;
/// news.send("weather.rain")?;
/// assert_eq!(reader.recv()?, "weather.rain");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It does not subscribe:
///
/// ```compile_fail,E0599
/// # use peermq::{Context, Pub};
/// Context::new().open::<Pub>()?.subscribe("weather.")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pub {
    publisher: Publisher,
}

impl Pattern for Pub {}
impl Sends for Pub {}
impl Publishes for Pub {}

impl Publishing for Pub {
    fn publisher_ref(&self) -> &Publisher {
        &self.publisher
    }
}

impl Strategy for Pub {
    const TYPE: Option<SocketType> = Some(SocketType::Pub);

    fn new(_: SocketType, options: &Options) -> Self {
        Self { publisher: Publisher::new(options) }
    }

    fn as_publisher(&mut self) -> Option<&mut Publisher> {
        Some(&mut self.publisher)
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

    fn is_writable(&mut self, _: &mut Pipes) -> bool {
        true
    }

    #[inline]
    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        self.publisher.send(pipes, payload)
    }

    fn try_recv(&mut self, _: &mut Pipes, _: &mut Message) -> Result<(), RecvError> {
        Err(RecvError::NotSupported)
    }
}
