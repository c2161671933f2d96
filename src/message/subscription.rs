//! Subscriptions as messages: what an XPUB receives and an XSUB sends, in libzmq's form.
#![forbid(unsafe_code)]

use super::{Message, Payload};

/// A subscription, or the end of one: what an [`XPub`](crate::XPub) receives and an [`XSub`](crate::XSub) may
/// send.
///
/// As a message it is an octet, 1 or 0, and the topic behind it, in the first frame. Source: RFC 29, XPUB.
///
/// ```
/// use peermq::{Message, Subscription};
///
/// let message = Message::from(b"\x01weather.");
/// assert_eq!(Subscription::from_message(&message), Some(Subscription::Subscribe(b"weather.")));
/// assert_eq!(Subscription::Unsubscribe(b"").to_message(), b"\x00");
/// assert_eq!(Subscription::from_message(&Message::from("not one")), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subscription<'a> {
    /// Messages that begin with this topic are wanted.
    Subscribe(&'a [u8]),
    /// They are not wanted any more.
    Unsubscribe(&'a [u8]),
}

impl<'a> Subscription<'a> {
    /// Reads a message; `None` when it is not a subscription.
    #[must_use]
    pub fn from_message(message: &'a Message) -> Option<Self> {
        Self::from_octets(message.body())
    }

    /// Returns the topic.
    #[must_use]
    pub const fn topic(self) -> &'a [u8] {
        match self {
            Self::Subscribe(topic) | Self::Unsubscribe(topic) => topic,
        }
    }

    /// Whether this is a new subscription, not the end of one.
    #[must_use]
    pub const fn is_subscribe(self) -> bool {
        matches!(self, Self::Subscribe(_))
    }

    /// Returns the message that says so.
    #[must_use]
    pub fn to_message(self) -> Message {
        Message::from([&[u8::from(self.is_subscribe())], self.topic()].concat())
    }

    /// Reads the octets of a frame.
    pub(crate) const fn from_octets(octets: &'a [u8]) -> Option<Self> {
        match octets {
            [1, topic @ ..] => Some(Self::Subscribe(topic)),
            [0, topic @ ..] => Some(Self::Unsubscribe(topic)),
            _ => None,
        }
    }
}

impl From<Subscription<'_>> for Message {
    fn from(subscription: Subscription<'_>) -> Self {
        subscription.to_message()
    }
}

impl From<Subscription<'_>> for Payload<'_> {
    fn from(subscription: Subscription<'_>) -> Self {
        Self::from(subscription.to_message())
    }
}
