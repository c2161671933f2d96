//! The message that every new subscriber is sent first.
#![forbid(unsafe_code)]

use std::fmt;

use bytes::Bytes;

use super::value::Unit;

/// The message that every new subscriber is sent first, if there is one: a single frame.
///
/// ```
/// use peermq::WelcomeMessage;
///
/// assert_eq!(WelcomeMessage::from("hello").octets(), Some(&b"hello"[..]));
/// assert_eq!(WelcomeMessage::NONE.octets(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WelcomeMessage(Option<Bytes>);

impl WelcomeMessage {
    /// There is none.
    pub const NONE: Self = Self(None);

    /// Returns the octets; `None` when there is no such message. It may be empty.
    #[must_use]
    pub fn octets(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }
}

impl<T: Into<Bytes>> From<T> for WelcomeMessage {
    fn from(octets: T) -> Self {
        Self(Some(octets.into()))
    }
}

impl fmt::Display for WelcomeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(octets) => write!(f, "\"{}\"", octets.escape_ascii()),
            None => f.write_str("none"),
        }
    }
}

impl Unit for WelcomeMessage {
    const UNIT: &'static str = "octets";
}
