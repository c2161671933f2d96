//! What `send` accepts: anything that is a message, borrowed where that saves a copy.
//!
//! What is lent goes from the caller's memory straight into the queue, and is copied nowhere else: a send that fails
//! leaves it where it is. Only what was given away is handed back.
#![forbid(unsafe_code)]

use bytes::Bytes;

use super::{Frame, Frames, Message};
use crate::limits::PARTS_MAX;

/// What `send` accepts: octets borrowed from the caller (copied once, straight into the queue) or a message.
///
/// Callers rarely name it: every verb that sends takes `impl Into<Payload>`.
///
/// ```
/// use peermq::{Frame, Message, Payload};
///
/// fn count<'a>(payload: impl Into<Payload<'a>>) -> usize {
///     payload.into().into_message().frame_count()
/// }
///
/// let message = Message::from(["a", "b"]);
/// assert_eq!(count(&message), 2); // still ours
/// assert_eq!(count(message), 2);
/// assert_eq!(count("text"), 1);
/// assert_eq!(count(b"octets"), 1);
/// assert_eq!(count(&String::from("text")), 1);
/// assert_eq!(count(&Frame::from("a frame of another message")), 1);
/// assert_eq!(count(["several", "frames"]), 2);
/// ```
#[derive(Debug)]
pub struct Payload<'a>(pub(crate) PayloadKind<'a>);

/// Who owns what is sent.
#[derive(Debug)]
pub(crate) enum PayloadKind<'a> {
    Slice(&'a [u8]),
    /// Frames of a message of the caller's: at least the first.
    Borrowed(&'a Frame, &'a [Frame]),
    Owned(Message),
}

impl Payload<'_> {
    /// Turns the payload into a message and leaves an empty one.
    pub(crate) fn take_message(&mut self) -> Message {
        std::mem::replace(self, Self(PayloadKind::Slice(&[]))).into_message()
    }

    /// Turns the payload into a message; copies what was borrowed.
    #[must_use]
    pub fn into_message(self) -> Message {
        match self.0 {
            PayloadKind::Slice(octets) => Message::from(octets),
            PayloadKind::Borrowed(first, rest) => Message::copy_of(first, rest),
            PayloadKind::Owned(message) => message,
        }
    }

    /// What is handed back when it was not sent: nothing, if it was lent.
    #[cold]
    pub(crate) fn take_back(&mut self) -> Option<Message> {
        match &mut self.0 {
            PayloadKind::Slice(_) | PayloadKind::Borrowed(..) => None,
            PayloadKind::Owned(message) => Some(std::mem::take(message)),
        }
    }

    /// The octets of the only frame, if there is only one.
    #[inline]
    pub(crate) fn only_body(&self) -> Option<&[u8]> {
        let (first, rest) = match &self.0 {
            PayloadKind::Slice(octets) => return Some(octets),
            PayloadKind::Borrowed(first, rest) => (*first, *rest),
            PayloadKind::Owned(message) => message.first_and_rest(),
        };
        rest.is_empty().then_some(first)
    }

    /// The octets of the first frame.
    #[inline]
    pub(crate) fn body(&self) -> &[u8] {
        match &self.0 {
            PayloadKind::Slice(octets) => octets,
            PayloadKind::Borrowed(first, _) => first,
            PayloadKind::Owned(message) => message.body(),
        }
    }

    /// Whether a peer like us would refuse a message of these frames behind so many others.
    #[inline]
    pub(crate) fn has_too_many_parts(&self, in_front: usize) -> bool {
        let count = match &self.0 {
            PayloadKind::Slice(_) => 1,
            PayloadKind::Borrowed(_, rest) => 1 + rest.len(),
            PayloadKind::Owned(message) => message.frame_count(),
        };
        count + in_front > PARTS_MAX as usize
    }

    /// The octets of each frame.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let (slice, frames) = match &self.0 {
            PayloadKind::Slice(octets) => (Some(*octets), None),
            PayloadKind::Borrowed(first, rest) => (None, Some(Frames::new(first, rest))),
            PayloadKind::Owned(message) => (None, Some(message.frames())),
        };
        slice.into_iter().chain(frames.into_iter().flatten().map(Frame::as_bytes))
    }

    /// The same payload, not to be moved out of.
    #[inline]
    pub(crate) fn borrow(&self) -> Payload<'_> {
        Payload(match &self.0 {
            PayloadKind::Slice(octets) => PayloadKind::Slice(octets),
            PayloadKind::Borrowed(first, rest) => PayloadKind::Borrowed(first, rest),
            PayloadKind::Owned(message) => {
                let (first, rest) = message.first_and_rest();
                PayloadKind::Borrowed(first, rest)
            }
        })
    }

    /// Makes bodies of more than `octets` octets such that many pipes can share them.
    #[inline]
    pub(crate) fn share_above(&mut self, octets: usize) {
        let message = match &mut self.0 {
            PayloadKind::Slice(body) if body.len() <= octets => return,
            PayloadKind::Slice(body) => Message::from(Bytes::copy_from_slice(body)),
            PayloadKind::Borrowed(first, rest) => {
                if Frames::new(first, rest).all(|frame| frame.len() <= octets) {
                    return;
                }
                Message::copy_of(first, rest)
            }
            PayloadKind::Owned(message) => return message.share_above(octets),
        };
        let mut message = message;
        message.share_above(octets);
        self.0 = PayloadKind::Owned(message);
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    #[inline]
    fn from(octets: &'a [u8]) -> Self {
        Self(PayloadKind::Slice(octets))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Payload<'a> {
    #[inline]
    fn from(octets: &'a [u8; N]) -> Self {
        Self(PayloadKind::Slice(octets))
    }
}

impl<'a> From<&'a str> for Payload<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self(PayloadKind::Slice(text.as_bytes()))
    }
}

impl<'a> From<&'a String> for Payload<'a> {
    #[inline]
    fn from(text: &'a String) -> Self {
        Self(PayloadKind::Slice(text.as_bytes()))
    }
}

impl<'a> From<&'a Vec<u8>> for Payload<'a> {
    #[inline]
    fn from(octets: &'a Vec<u8>) -> Self {
        Self(PayloadKind::Slice(octets))
    }
}

impl<'a> From<&'a Frame> for Payload<'a> {
    #[inline]
    fn from(frame: &'a Frame) -> Self {
        Self(PayloadKind::Slice(frame))
    }
}

impl<'a> From<&'a Message> for Payload<'a> {
    #[inline]
    fn from(message: &'a Message) -> Self {
        let (first, rest) = message.first_and_rest();
        Self(PayloadKind::Borrowed(first, rest))
    }
}

impl From<Message> for Payload<'_> {
    #[inline]
    fn from(message: Message) -> Self {
        Self(PayloadKind::Owned(message))
    }
}

/// Expands the table of what is moved into a message of one frame.
macro_rules! owned_payloads {
    ($($owned:ty;)*) => {
        $(
            impl From<$owned> for Payload<'_> {
                #[inline]
                fn from(octets: $owned) -> Self {
                    Self(PayloadKind::Owned(Message::from(octets)))
                }
            }
        )*
    };
}

owned_payloads! {
    Bytes;
    Frame;
    String;
    Vec<u8>;
}

impl<F: Into<Frame>, const N: usize> From<[F; N]> for Payload<'_> {
    fn from(frames: [F; N]) -> Self {
        Self(PayloadKind::Owned(Message::from(frames)))
    }
}
