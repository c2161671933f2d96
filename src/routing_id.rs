//! Routing ids: the names by which a ROUTER addresses its peers.
#![forbid(unsafe_code)]

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::error::InvalidValue;
use crate::limits::ROUTING_ID_MAX;
use crate::message::Frame;

/// The name by which a ROUTER knows a peer: up to 255 octets.
///
/// A peer gives itself one with the option [`routing_id`](crate::Options::routing_id); a ROUTER makes one up
/// for each that does not: five octets, the first of which is zero. Source: RFC 28, "The ROUTER Socket Type";
/// RFC 37, "The Identity property".
///
/// ```
/// use peermq::RoutingId;
///
/// let id = RoutingId::new("worker-1")?;
/// assert_eq!(id.as_bytes(), b"worker-1");
/// assert_eq!(id.to_string(), "worker-1");
/// assert!(RoutingId::new([0, 1]).is_err(), "made up by a ROUTER only");
/// assert!(RoutingId::NONE.is_none());
/// # Ok::<(), peermq::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RoutingId(Frame);

impl RoutingId {
    /// No name: a ROUTER makes one up.
    pub const NONE: Self = Self(Frame::new());

    /// Returns a name for a peer.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for more than 255 octets, and for a first octet of zero, which marks names that a
    /// ROUTER made up. Empty is [`NONE`](Self::NONE).
    pub fn new(octets: impl AsRef<[u8]>) -> Result<Self, InvalidValue> {
        let octets = octets.as_ref();
        if octets.len() > ROUTING_ID_MAX || octets.first() == Some(&0) {
            return Err(NO_NAME);
        }
        Ok(Self::from_peer(octets))
    }

    /// Returns a name as a ROUTER gave it, which may be one that it made up: for a program that passed the name
    /// on in a frame, and now addresses the peer.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for more than 255 octets. Empty is [`NONE`](Self::NONE).
    ///
    /// ```
    /// use peermq::{Context, Dealer, Frame, Router, RoutingId};
    ///
    /// let context = Context::new();
    /// let mut router = context.open::<Router>()?;
    /// router.bind("inproc://router")?;
    /// let mut dealer = context.open::<Dealer>()?;
    /// dealer.connect("inproc://router")?;
    /// dealer.send("hello")?;
    /// let ticket = Frame::from(router.recv()?.0);
    /// router.send_to(&RoutingId::from_received(ticket)?, "welcome back")?;
    /// assert_eq!(dealer.recv()?, "welcome back");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_received(octets: impl AsRef<[u8]>) -> Result<Self, InvalidValue> {
        let octets = octets.as_ref();
        if octets.len() > ROUTING_ID_MAX { Err(TOO_LONG) } else { Ok(Self::from_peer(octets)) }
    }

    /// Returns the octets.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether this is no name.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// Becomes the same name as `other`, and uses its allocation again.
    pub(crate) fn assign(&mut self, other: &Self) {
        self.0.assign(other.as_bytes());
    }

    /// A name as it came from a peer, whose handshake was checked, or from an application that addresses one.
    pub(crate) fn from_peer(octets: &[u8]) -> Self {
        Self(Frame::from(octets))
    }

    /// The name that a ROUTER makes up for its peer number `number`.
    pub(crate) fn made_up(number: u32) -> Self {
        let [a, b, c, d] = number.to_be_bytes();
        Self::from_peer(&[0, a, b, c, d])
    }
}

impl AsRef<[u8]> for RoutingId {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Default for RoutingId {
    fn default() -> Self {
        Self::NONE
    }
}

impl Hash for RoutingId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// So that a table of names can be asked for octets.
impl std::borrow::Borrow<[u8]> for RoutingId {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// The name as text, if it is printable; else its octets in hexadecimal.
impl fmt::Display for RoutingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_str() {
            Ok("") => f.write_str("none"),
            Ok(text) if !text.contains(char::is_control) => f.write_str(text),
            _ => {
                f.write_str("0x")?;
                self.as_bytes().iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    }
}

impl fmt::Debug for RoutingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoutingId({self})")
    }
}

impl From<RoutingId> for Frame {
    fn from(id: RoutingId) -> Self {
        id.0
    }
}

/// What is wrong with other values.
const NO_NAME: InvalidValue =
    InvalidValue::new("routing_id", "at most 255 octets, of which the first is not zero");

/// What is wrong with other values.
const TOO_LONG: InvalidValue = InvalidValue::new("routing_id", "at most 255 octets");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_up_to_255_octets_and_does_not_start_with_zero() {
        // D11
        assert!(RoutingId::new([7; 255]).is_ok());
        assert!(RoutingId::new([7; 256]).is_err());
        assert!(RoutingId::new([0]).is_err());
        assert_eq!(RoutingId::new(""), Ok(RoutingId::NONE));
    }

    #[test]
    fn a_name_that_was_received_may_be_a_made_up_one() {
        let made_up = RoutingId::made_up(7);
        let frame = Frame::from(made_up.clone());
        assert_eq!(RoutingId::from_received(&frame), Ok(made_up));
        assert_eq!(RoutingId::from_received(""), Ok(RoutingId::NONE));
        assert!(RoutingId::from_received([0; 255]).is_ok());
        assert!(RoutingId::from_received([0; 256]).is_err());
    }

    #[test]
    fn names_read_as_text_or_in_hexadecimal() {
        let texts = [RoutingId::new("ada").unwrap(), RoutingId::made_up(258), RoutingId::NONE]
            .map(|id| id.to_string());
        assert_eq!(texts, ["ada", "0x0000000102", "none"]);
    }
}
