//! The values of options that hold octets: what a socket says of itself, and messages made in advance.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::value::Unit;
use crate::error::InvalidValue;
use crate::limits::METADATA_OCTETS_MAX;
use crate::message::Frame;

/// Properties of the application's own, sent to every peer in READY.
///
/// Peers find them with [`Peer::property`](crate::Peer::property).
///
/// ```
/// use peermq::{InvalidValue, Metadata};
///
/// let metadata = Metadata::new([("X-Zone", "eu-1"), ("X-Build", "42")])?;
/// assert_eq!(metadata.to_string(), "X-Zone, X-Build");
/// assert!(Metadata::new([("Zone", "eu-1")]).is_err());
/// # Ok::<(), InvalidValue>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Option<Arc<[Property]>>);

/// A name and a value.
type Property = (Box<str>, Bytes);

impl Metadata {
    /// Nothing but what RFC 37 asks for.
    pub const NONE: Self = Self(None);

    /// Returns properties, whose names begin with `X-`.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for another name, one with other characters than letters, digits and `-_.+`, one that is
    /// longer than 255 octets or comes twice, and for more than 2,500 octets in all.
    pub fn new<N, V>(properties: impl IntoIterator<Item = (N, V)>) -> Result<Self, InvalidValue>
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        let mut all: Vec<Property> = Vec::new();
        let mut octets = 0;
        for (name, value) in properties {
            let (name, value) = (name.as_ref(), value.as_ref());
            octets += 1 + name.len() + 4 + value.len();
            let is_known = all.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
            if !is_ours(name) || is_known || octets > METADATA_OCTETS_MAX {
                return Err(NOT_METADATA);
            }
            all.push((name.into(), Bytes::copy_from_slice(value)));
        }
        Ok(Self((!all.is_empty()).then(|| all.into())))
    }

    /// Returns the properties in their order.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().flat_map(|all| all.iter()).map(|(name, value)| (&**name, &**value))
    }
}

fn is_ours(name: &str) -> bool {
    name.len() > 2
        && name.len() <= usize::from(u8::MAX)
        && name.starts_with("X-")
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.+".contains(&c))
}

impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.properties().map(|(name, _)| name).collect();
        if names.is_empty() { f.write_str("none") } else { f.write_str(&names.join(", ")) }
    }
}

impl Unit for Metadata {
    const UNIT: &'static str = "properties";
}

/// A message of one frame that the library sends or delivers by itself.
///
/// ```
/// use peermq::FixedMessage;
///
/// assert_eq!(FixedMessage::from("bye").octets(), Some(&b"bye"[..]));
/// assert_eq!(FixedMessage::from(""), FixedMessage::NONE);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedMessage(Option<Frame>);

impl FixedMessage {
    /// No message.
    pub const NONE: Self = Self(None);

    /// Returns the octets; `None` when there is no message.
    #[must_use]
    pub fn octets(&self) -> Option<&[u8]> {
        self.0.as_ref().map(Frame::as_bytes)
    }
}

/// Empty is no message, as in libzmq.
impl<T: Into<Frame>> From<T> for FixedMessage {
    fn from(octets: T) -> Self {
        let frame = octets.into();
        Self((!frame.is_empty()).then_some(frame))
    }
}

impl fmt::Display for FixedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(frame) => write!(f, "{} octets", frame.len()),
            None => f.write_str("none"),
        }
    }
}

impl Unit for FixedMessage {
    const UNIT: &'static str = super::value::OCTETS;
}

/// What is wrong with other values.
const NOT_METADATA: InvalidValue = InvalidValue::new(
    "metadata",
    "names of letters, digits and `-_.+` that begin with `X-`, each once, with 2500 octets in all",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_checked_as_a_peer_would() {
        let long = "X-".to_owned() + &"n".repeat(254);
        for name in ["", "X-", "x-a", "Socket-Type", "X-a b", "X-ä", &long] {
            assert!(Metadata::new([(name, "")]).is_err(), "{name}");
        }
        assert!(Metadata::new([("X-a", ""), ("X-A", "")]).is_err());
        assert!(Metadata::new([("X-a", [0; METADATA_OCTETS_MAX])]).is_err());
        let most = vec![7; METADATA_OCTETS_MAX - 8];
        assert_eq!(Metadata::new([("X-a", &most)]).unwrap().properties().next(), Some(("X-a", &most[..])));
        assert_eq!(Metadata::new::<&str, &str>([]), Ok(Metadata::NONE));
    }
}
