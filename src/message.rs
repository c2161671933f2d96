//! Messages: one or more frames that travel as a whole.
//!
//! [`Frame`] is in `message/frame.rs`, what `send` accepts in `message/payload.rs`. Receiving into a message
//! that is used again allocates nothing.
//!
//! Nothing here knows about sizes on the wire or limits of a socket: see the crate's `frame` and `options`.
#![forbid(unsafe_code)]

mod frame;
mod payload;
mod subscription;

use std::iter::{self, FusedIterator};
use std::str::Utf8Error;
use std::{fmt, mem, slice};

use bytes::Bytes;

pub use self::frame::Frame;
pub use self::payload::Payload;
pub(crate) use self::payload::PayloadKind;
pub use self::subscription::Subscription;

/// One or more frames that are sent and received as a whole.
///
/// Most messages are a single frame; [`body`](Self::body) is all there is to them.
///
/// ```
/// use peermq::Message;
///
/// let single = Message::from("hello");
/// assert_eq!(single.body(), b"hello");
/// assert_eq!(single, "hello");
///
/// let mut parts = Message::from(["head", "body"]);
/// parts.push(vec![1, 2, 3]);
/// assert_eq!(parts.frame_count(), 3);
/// assert_eq!(parts.size(), 11);
/// assert_eq!(parts.frames().next().unwrap(), "head");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    first: Frame,
    rest: Vec<Frame>,
}

impl Message {
    /// Returns a message of one empty frame.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: Frame::new(), rest: Vec::new() }
    }

    /// Builds a message from frames in their order; `None` when there are none.
    #[must_use]
    pub fn from_frames<F: Into<Frame>>(frames: impl IntoIterator<Item = F>) -> Option<Self> {
        let mut frames = frames.into_iter();
        let first = frames.next()?.into();
        Some(Self { first, rest: frames.map(Into::into).collect() })
    }

    /// Appends a frame.
    pub fn push(&mut self, frame: impl Into<Frame>) {
        self.rest.push(frame.into());
    }

    /// Returns the octets of the first frame: the whole message when it has no other.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.first.as_bytes()
    }

    /// Returns the first frame as text.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] when it is not UTF-8.
    pub fn to_str(&self) -> Result<&str, Utf8Error> {
        self.first.to_str()
    }

    /// Returns the frame at `index`, counted from zero; `None` past the last.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<&Frame> {
        match index.checked_sub(1) {
            None => Some(&self.first),
            Some(index) => self.rest.get(index),
        }
    }

    /// Returns the number of frames, which is at least one.
    #[inline]
    #[must_use]
    pub fn frame_count(&self) -> usize {
        1 + self.rest.len()
    }

    /// Iterates over the frames in order.
    #[must_use]
    pub fn frames(&self) -> Frames<'_> {
        Frames::new(&self.first, &self.rest)
    }

    /// Takes the message apart into its frames, in order.
    pub fn into_frames(self) -> impl DoubleEndedIterator<Item = Frame> {
        iter::once(self.first).chain(self.rest)
    }

    /// Returns the octets of all frames together, without any framing.
    #[must_use]
    pub fn size(&self) -> usize {
        self.frames().map(|frame| frame.len()).sum()
    }

    pub(crate) fn copy_of(first: &Frame, rest: &[Frame]) -> Self {
        Self { first: first.clone(), rest: rest.to_vec() }
    }

    /// Drops every frame but the first and returns that one, to be assigned to.
    #[inline]
    pub(crate) fn start(&mut self) -> &mut Frame {
        self.rest.clear();
        &mut self.first
    }

    /// Appends an empty frame and returns it, to be assigned to.
    #[inline]
    pub(crate) fn add(&mut self) -> &mut Frame {
        let index = self.rest.len();
        self.rest.push(Frame::new());
        let Some(frame) = self.rest.get_mut(index) else { unreachable!("it was pushed there") };
        frame
    }

    /// Puts a frame in front.
    pub(crate) fn prepend(&mut self, frame: Frame) {
        let second = mem::replace(&mut self.first, frame);
        self.rest.insert(0, second);
    }

    /// Takes the first frame off, if there is another.
    pub(crate) fn take_first(&mut self) -> Option<Frame> {
        if self.rest.is_empty() {
            return None;
        }
        let second = self.rest.remove(0);
        Some(mem::replace(&mut self.first, second))
    }

    #[inline]
    pub(crate) fn first_and_rest(&self) -> (&Frame, &[Frame]) {
        (&self.first, &self.rest)
    }

    #[inline]
    pub(crate) fn first_and_rest_mut(&mut self) -> (&mut Frame, &mut [Frame]) {
        (&mut self.first, &mut self.rest)
    }

    /// Makes bodies of more than `octets` octets shared ones, without a copy.
    #[inline]
    pub(crate) fn share_above(&mut self, octets: usize) {
        for frame in iter::once(&mut self.first).chain(&mut self.rest) {
            if frame.len() > octets {
                let body = frame.take_bytes();
                frame.assign_shared(body);
            }
        }
    }

    fn is_single(&self, octets: &[u8]) -> bool {
        self.rest.is_empty() && self.first.as_bytes() == octets
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message")?;
        f.debug_list().entries(self).finish()
    }
}

/// A message of one frame.
impl<F: Into<Frame>> From<F> for Message {
    #[inline]
    fn from(frame: F) -> Self {
        Self { first: frame.into(), rest: Vec::new() }
    }
}

/// A message with these frames; an empty array makes one empty frame.
impl<F: Into<Frame>, const N: usize> From<[F; N]> for Message {
    fn from(frames: [F; N]) -> Self {
        Self::from_frames(frames).unwrap_or_default()
    }
}

/// A message with these frames; an empty vector makes one empty frame.
impl From<Vec<Frame>> for Message {
    fn from(frames: Vec<Frame>) -> Self {
        Self::from_frames(frames).unwrap_or_default()
    }
}

impl<'a> IntoIterator for &'a Message {
    type Item = &'a Frame;
    type IntoIter = Frames<'a>;

    fn into_iter(self) -> Frames<'a> {
        self.frames()
    }
}

/// Whether the frames match the array's elements one to one.
impl<T: AsRef<[u8]>, const N: usize> PartialEq<[T; N]> for Message {
    fn eq(&self, other: &[T; N]) -> bool {
        self.frame_count() == N && self.frames().zip(other).all(|(frame, octets)| frame == octets)
    }
}

/// Whether this is a single frame with these octets.
impl<const N: usize> PartialEq<&[u8; N]> for Message {
    fn eq(&self, other: &&[u8; N]) -> bool {
        self.is_single(*other)
    }
}

/// Expands the table of what a message of one frame can be compared with.
macro_rules! single_frame_equality {
    ($($octets:ty;)*) => {
        $(
            /// Whether this is a single frame with these octets.
            impl PartialEq<$octets> for Message {
                fn eq(&self, other: &$octets) -> bool {
                    self.is_single(other.as_ref())
                }
            }
        )*
    };
}

single_frame_equality! {
    [u8];
    &[u8];
    str;
    &str;
    Bytes;
    Frame;
    String;
    Vec<u8>;
}

/// The frames of a [`Message`], in order; see [`Message::frames`].
///
/// ```
/// let message = peermq::Message::from(["a", "b"]);
/// let sizes: Vec<usize> = message.frames().map(|frame| frame.len()).collect();
/// assert_eq!(sizes, [1, 1]);
/// ```
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    first: Option<&'a Frame>,
    rest: slice::Iter<'a, Frame>,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(first: &'a Frame, rest: &'a [Frame]) -> Self {
        Self { first: Some(first), rest: rest.iter() }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a Frame;

    #[inline]
    fn next(&mut self) -> Option<&'a Frame> {
        self.first.take().or_else(|| self.rest.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.first.is_some()) + self.rest.len();
        (left, Some(left))
    }
}

impl DoubleEndedIterator for Frames<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.rest.next_back().or_else(|| self.first.take())
    }
}

impl ExactSizeIterator for Frames<'_> {}

impl FusedIterator for Frames<'_> {}

#[cfg(test)]
mod tests;
