//! Socket types: each composed from routing strategies, in a file of its own.
//!
//! A pattern decides which pipe a message goes to or comes from. It keeps keys; the socket keeps the pipes
//! and tells the pattern when one came, went, or has messages or room again.
#![forbid(unsafe_code)]

mod any;
mod dealer;
mod news;
mod pair;
mod r#pub;
mod publisher;
mod pull;
mod push;
mod rep;
mod req;
mod router;
mod stream;
mod sub;
mod xpub;
mod xsub;

pub use any::AnyPattern;
pub use dealer::Dealer;
pub use pair::Pair;
pub use r#pub::Pub;
pub use pull::Pull;
pub use push::Push;
pub use rep::Rep;
pub use req::Req;
pub use router::Router;
pub use stream::Stream;
pub use sub::Sub;
pub use xpub::XPub;
pub use xsub::XSub;

pub use crate::pipe::Dropped;
pub(crate) use publisher::Publisher;

use std::fmt;
use std::sync::Arc;

use crate::error::{ConnectErrorKind, RecvError, SendError, SubscribeError};
use crate::message::{Message, Payload, PayloadKind};
use crate::options::Options;
use crate::pipe::{Names, PipeKey, Pipes, Upstream};
use crate::routing_id::RoutingId;
use crate::socket_type::SocketType;

/// What a pattern says to a new peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attach {
    Accepted,
    /// This socket type has no place for it; the connection is closed.
    Refused,
}

/// What a socket asks of its type.
pub(crate) trait Strategy: fmt::Debug + Send + 'static {
    /// The type of every socket with this pattern; none if each has its own.
    const TYPE: Option<SocketType>;

    /// The pattern of a socket of this type, which is [`TYPE`](Self::TYPE) if that is one.
    fn new(socket_type: SocketType, options: &Options) -> Self;

    /// The socket's options have changed: takes those that are live.
    fn on_options(&mut self, _: &Options) {}

    /// What the socket subscribes to, for its connections.
    fn upstream(&self) -> Option<&Arc<Upstream>> {
        None
    }

    /// The names of its peers, if this type knows them by name.
    fn names(&self) -> Option<&Arc<Names>> {
        None
    }

    /// The publisher in it, if this type has subscribers.
    fn as_publisher(&mut self) -> Option<&mut Publisher> {
        None
    }

    /// What subscribes, if this type does.
    fn as_subscriber(&mut self) -> Option<&mut dyn Subscribing> {
        None
    }

    /// Whether the next connect may give its peer this name.
    fn check_name(&self, _: &mut Pipes, _: &RoutingId) -> Result<(), ConnectErrorKind> {
        Err(ConnectErrorKind::NotSupported)
    }

    /// Messages that it has taken out of pipes and nobody has received yet.
    fn unreceived(&self) -> u64 {
        0
    }

    /// A new peer.
    fn attach(&mut self, pipes: &mut Pipes, key: PipeKey) -> Attach;

    /// The peer is gone, and everything from it was taken; or the socket lets it go. Its pipe is still there.
    fn detach(&mut self, pipes: &mut Pipes, key: PipeKey);

    /// A peer that was dry has messages.
    fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey);

    /// A peer that was full has room.
    fn on_writable(&mut self, pipes: &mut Pipes, key: PipeKey);

    /// Whether a receive would find a message. What nobody wants is dropped before that is said. `false`: every pipe
    /// that could change that will tell, or the budget is spent.
    fn is_readable(&mut self, _: &mut Pipes) -> bool {
        false
    }

    /// Whether it receives every message of every peer, whatever it says.
    fn takes_all(&self) -> bool {
        false
    }

    /// Whether a send would find room; to a certain peer, or for a certain topic, there may be none all the same.
    /// `false`: every pipe that could change that will tell.
    fn is_writable(&mut self, _: &mut Pipes) -> bool {
        false
    }

    /// Queues a message; `payload` is empty after success and whole otherwise. `WouldBlock`: every pipe that
    /// could change that will tell.
    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError>;

    /// Takes a message. `WouldBlock`: every pipe that could change that will tell.
    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError>;
}

/// Greets a new peer with an empty message (`probe_router`).
fn probe(pipes: &mut Pipes, key: PipeKey) {
    // A peer without room for it has other worries.
    let _ = pipes.send(key, &mut Payload::from(""));
}

/// A socket type, as in [`Socket<Push>`](crate::Socket). Implemented by this crate only.
#[allow(private_bounds, reason = "sealed: what a pattern does with pipes is not for other crates")]
pub trait Pattern: Strategy {}

/// A socket type that sends.
pub trait Sends: Pattern {}

/// A socket type that receives.
pub trait Receives: Pattern {}

/// A socket type that sends and receives at any time, so that one thread can do the one and another thread the other:
/// see [`Socket::split`](crate::Socket::split).
pub trait Splits: Pattern {}

/// A socket type that knows its peers by name, and sends to the one it is told to.
#[allow(private_bounds, reason = "sealed, as `Pattern` is")]
pub trait Addresses: Pattern + Addressing {}

/// A socket type that sends to subscribers.
#[allow(private_bounds, reason = "sealed, as `Pattern` is")]
pub trait Publishes: Sends + Publishing {}

/// A socket type that subscribes.
#[allow(private_bounds, reason = "sealed, as `Pattern` is")]
pub trait Subscribes: Receives + Subscribing {}

/// What a socket asks of a type that knows its peers by name.
pub(crate) trait Addressing {
    /// Takes a message, and tells from whom it is. On an error both are as before.
    fn recv_from(
        &mut self,
        pipes: &mut Pipes,
        from: &mut RoutingId,
        message: &mut Message,
    ) -> Result<(), RecvError>;

    /// Queues a message for the peer of this name, with the promises of [`Strategy::try_send`].
    fn send_to(&mut self, pipes: &mut Pipes, name: &[u8], payload: &mut Payload<'_>)
    -> Result<(), SendError>;

    /// Whether a send waits for room.
    fn waits_for_room(&self) -> bool;
}

/// Sends a message whose first frame is the name of the peer.
fn send_behind_name<P: Addressing>(
    pattern: &mut P,
    pipes: &mut Pipes,
    payload: &mut Payload<'_>,
) -> Result<(), SendError> {
    if payload.has_too_many_parts(0) {
        return Err(SendError::TooManyParts);
    }
    let name = match &mut payload.0 {
        PayloadKind::Slice(_) => return Err(SendError::MissingBody),
        PayloadKind::Borrowed(name, rest) => {
            let (first, rest) = rest.split_first().ok_or(SendError::MissingBody)?;
            let mut behind = Payload(PayloadKind::Borrowed(first, rest));
            return pattern.send_to(pipes, name, &mut behind);
        }
        PayloadKind::Owned(message) => message.take_first().ok_or(SendError::MissingBody)?,
    };
    let sent = pattern.send_to(pipes, &name, payload);
    if let (Err(_), PayloadKind::Owned(message)) = (sent, &mut payload.0) {
        message.prepend(name);
    }
    sent
}

/// Receives a message and puts the name of the peer in front.
fn recv_behind_name<P: Addressing>(
    pattern: &mut P,
    pipes: &mut Pipes,
    message: &mut Message,
) -> Result<(), RecvError> {
    let mut from = RoutingId::NONE;
    pattern.recv_from(pipes, &mut from, message)?;
    message.prepend(from.into());
    Ok(())
}

/// What a socket asks of a type that publishes.
pub(crate) trait Publishing {
    fn publisher_ref(&self) -> &Publisher;
}

/// What a socket asks of a type that subscribes.
pub(crate) trait Subscribing {
    fn subscribe(&mut self, topic: &[u8]) -> Result<(), SubscribeError>;
    /// `false`: there was no such subscription.
    fn unsubscribe(&mut self, topic: &[u8]) -> bool;
    /// Topics with subscriptions.
    fn topic_count(&self) -> usize;
}
