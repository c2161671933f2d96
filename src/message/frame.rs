//! One frame of a message, kept where it costs least: in itself, in a `Vec`, or in shared [`Bytes`].
//!
//! A received frame is copied into the allocation that the last one left, so a reader that reuses its message
//! allocates only while bodies grow.
#![forbid(unsafe_code)]

use std::ops::Deref;
use std::str::Utf8Error;
use std::{fmt, mem, str};

use bytes::Bytes;

use crate::limits::INLINE_BODY_MAX;

/// One part of a message: a sequence of octets, possibly empty.
///
/// A `Vec<u8>`, a `String` or [`Bytes`] becomes a frame without a copy; slices are copied. Frames compare
/// by their octets, with each other and with anything that is a slice of octets.
///
/// ```
/// use peermq::Frame;
///
/// let frame = Frame::from(String::from("caf\u{e9}"));
/// assert_eq!(frame.to_str(), Ok("café"));
/// assert_eq!(frame.len(), 5);
/// assert_eq!(frame, "café");
/// assert_eq!(frame.into_bytes(), &b"caf\xc3\xa9"[..]);
/// assert_eq!(Frame::from(&vec![1, 2]), [1, 2]);
/// assert_eq!(Frame::from(&String::from("text")), "text");
/// ```
#[derive(Clone)]
pub struct Frame {
    body: Body,
}

/// Where the octets are. Which one it is never shows.
#[derive(Clone)]
enum Body {
    /// `len` is at most [`INLINE_BODY_MAX`].
    Inline {
        len: u8,
        octets: [u8; INLINE_BODY_MAX],
    },
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Frame {
    /// Returns an empty frame.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self { body: Body::Inline { len: 0, octets: [0; INLINE_BODY_MAX] } }
    }

    /// Returns the octets.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.body {
            Body::Inline { len, octets } => octets.get(..usize::from(*len)).unwrap_or_default(),
            Body::Owned(octets) => octets,
            Body::Shared(octets) => octets,
        }
    }

    /// Turns the frame into [`Bytes`]. Copies only a short body that was itself copied into the frame.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        self.take_bytes()
    }

    /// Returns the octets as text.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] when they are not UTF-8.
    pub fn to_str(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(self)
    }

    /// Replaces the body by a copy of `octets`. An allocation that the frame owns is used again.
    #[inline]
    pub(crate) fn assign(&mut self, octets: &[u8]) {
        match &mut self.body {
            Body::Owned(body) => {
                body.clear();
                body.extend_from_slice(octets);
            }
            Body::Inline { len, octets: room } if octets.len() <= INLINE_BODY_MAX => {
                copy_inline(octets, len, room);
            }
            Body::Inline { .. } | Body::Shared(_) => *self = Self::from(octets),
        }
    }

    /// Replaces the body by `octets`, without a copy.
    #[inline]
    pub(crate) fn assign_shared(&mut self, octets: Bytes) {
        self.body = Body::Shared(octets);
    }

    /// Takes the body out, which leaves the frame empty. Copies only an inline body.
    #[inline]
    pub(crate) fn take_bytes(&mut self) -> Bytes {
        match mem::take(self).body {
            Body::Inline { len, octets } => {
                Bytes::copy_from_slice(octets.get(..usize::from(len)).unwrap_or_default())
            }
            Body::Owned(octets) => Bytes::from(octets),
            Body::Shared(octets) => octets,
        }
    }

    /// Returns the body as [`Bytes`]: another handle on a shared one, a copy of any other.
    #[inline]
    pub(crate) fn to_bytes(&self) -> Bytes {
        match &self.body {
            Body::Shared(octets) => octets.clone(),
            Body::Inline { .. } | Body::Owned(_) => Bytes::copy_from_slice(self),
        }
    }
}

/// Fills an inline body. `octets` that do not fit leave it empty: callers check the length.
#[inline]
fn copy_inline(octets: &[u8], len: &mut u8, room: &mut [u8; INLINE_BODY_MAX]) {
    *len = 0;
    if let (Some(room), Ok(octets_len)) = (room.get_mut(..octets.len()), u8::try_from(octets.len())) {
        room.copy_from_slice(octets);
        *len = octets_len;
    }
}

impl Default for Frame {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Frame {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Frame {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Frame {
    /// Writes text as a string, anything else as a byte string; a long body is cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.get(..DEBUG_OCTETS).unwrap_or(self);
        let is_cut = shown.len() < self.len();
        match str::from_utf8(shown) {
            Ok(text) => write!(f, "{text:?}")?,
            // The cut went through a character; what comes before it is text.
            Err(error) if is_cut && error.error_len().is_none() => {
                let text = shown.get(..error.valid_up_to()).unwrap_or_default();
                write!(f, "{:?}", String::from_utf8_lossy(text))?;
            }
            Err(_) => write!(f, "b\"{}\"", shown.escape_ascii())?,
        }
        if is_cut {
            write!(f, "… ({} octets)", self.len())?;
        }
        Ok(())
    }
}

/// Most octets of a frame that `Debug` shows.
const DEBUG_OCTETS: usize = 64;

/// Equal octets make equal frames, wherever they are kept.
impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Frame {
    fn eq(&self, other: &T) -> bool {
        self.as_bytes() == other.as_ref()
    }
}

impl Eq for Frame {}

impl From<&[u8]> for Frame {
    #[inline]
    fn from(octets: &[u8]) -> Self {
        if octets.len() > INLINE_BODY_MAX {
            return Self::from(octets.to_vec());
        }
        let (mut len, mut room) = (0, [0; INLINE_BODY_MAX]);
        copy_inline(octets, &mut len, &mut room);
        Self { body: Body::Inline { len, octets: room } }
    }
}

impl<const N: usize> From<&[u8; N]> for Frame {
    #[inline]
    fn from(octets: &[u8; N]) -> Self {
        Self::from(octets.as_slice())
    }
}

impl From<&str> for Frame {
    #[inline]
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<&String> for Frame {
    fn from(text: &String) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<&Vec<u8>> for Frame {
    fn from(octets: &Vec<u8>) -> Self {
        Self::from(octets.as_slice())
    }
}

impl From<String> for Frame {
    #[inline]
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<Vec<u8>> for Frame {
    #[inline]
    fn from(octets: Vec<u8>) -> Self {
        Self { body: Body::Owned(octets) }
    }
}

impl From<Bytes> for Frame {
    #[inline]
    fn from(octets: Bytes) -> Self {
        Self { body: Body::Shared(octets) }
    }
}
