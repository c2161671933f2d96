//! Metadata: what each end says of itself in READY, a list of named values.
//!
//! Names are compared without regard to case and sent in RFC 37's spelling. What a peer sends is checked as a
//! whole before any of it is used; properties that mean nothing here are kept for whoever asks.
//!
//! Source: RFC 37, "Connection Metadata".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::error::ProtocolError;
use crate::limits::ROUTING_ID_MAX;
use crate::options::{Admission, Options};
use crate::socket_type::SocketType;
use crate::wire::greeting::Version;
use crate::wire::mechanism::Security;

/// What we say of ourselves, and how we keep the connection alive.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub(crate) socket_type: SocketType,
    /// Its routing id is sent as `Identity` by those types that announce one, and by no others.
    pub(crate) options: Arc<Options>,
    pub(crate) security: Security,
    /// Who knows which names are taken, at a socket that addresses its peers by name.
    pub(crate) naming: Option<Naming>,
    /// We have connected, and come back when another peer has our routing id.
    pub(crate) comes_back: bool,
}

/// Who decides about the name of a connection's peer.
#[derive(Clone)]
pub(crate) struct Naming {
    /// Gone only with the connection.
    pub(crate) registrar: Weak<dyn Registrar>,
    /// The peer has connected to us: it hears that we are ready when it has its name.
    pub(crate) is_accepted: bool,
}

/// Knows which names are taken.
pub(crate) trait Registrar: Send + Sync {
    /// Enters the name under which the peer will be addressed. `false`: another one has it.
    fn enter(&self, peer: &Peer) -> bool;
}

impl fmt::Debug for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Naming").field("is_accepted", &self.is_accepted).finish_non_exhaustive()
    }
}

impl Local {
    /// Whether the peer has to say who it is before we are ready.
    pub(super) fn hears_name_first(&self) -> bool {
        self.naming.as_ref().is_some_and(|naming| naming.is_accepted)
    }
}

/// What the peer says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// A guess with ZMTP 1.0, which does not tell: one that ours may talk to.
    pub(crate) socket_type: SocketType,
    /// The `Identity` as announced; empty without one. Only a ROUTER may act on it.
    pub(crate) routing_id: Bytes,
    /// The minor version: 0 for ZMTP 3.0.
    pub(crate) minor: u8,
    pub(crate) major: u8,
    /// Every property in the order and spelling in which it was sent, the known ones too. None before ZMTP 3.
    pub(crate) properties: Arc<[Property]>,
    /// As whom it was let in, if somebody was asked.
    pub(crate) admission: Option<Arc<Admission>>,
}

/// A property's name and value.
pub(crate) type Property = (Box<str>, Bytes);

impl Peer {
    pub(super) fn new(version: Version, socket_type: SocketType, properties: Vec<Property>) -> Self {
        let routing_id = find(&properties, IDENTITY).cloned().unwrap_or_default();
        let properties = properties.into();
        Self {
            socket_type,
            routing_id,
            minor: version.minor,
            major: version.major,
            properties,
            admission: None,
        }
    }

    /// Whether it speaks ZMTP 1.0, whose frames are not those of later versions.
    pub(crate) fn is_zmtp1(&self) -> bool {
        self.major == 1
    }

    /// Whether it knows commands: those of RFC 23 at least.
    pub(super) fn knows_commands(&self) -> bool {
        self.major >= 3
    }

    /// Whether it knows PING, which came with ZMTP 3.1.
    pub(super) fn knows_heartbeats(&self) -> bool {
        (self.major, self.minor) >= (3, 1)
    }

    /// Whether it takes a name that is in use for no more than that.
    pub(super) fn comes_back(&self) -> bool {
        find(&self.properties, COMES_BACK).is_some()
    }

    /// Whether it knows SUBSCRIBE and CANCEL, which came with ZMTP 3.1; before, messages say the same (Z-17).
    pub(super) fn knows_topics(&self) -> bool {
        (self.major, self.minor) >= (3, 1)
    }
}

/// Encodes what READY says of us: `Socket-Type` first.
pub(super) fn encode(local: &Local) -> Vec<u8> {
    let mut octets = Vec::new();
    push_property(&mut octets, SOCKET_TYPE, local.socket_type.name().as_bytes());
    if local.socket_type.announces_routing_id() {
        let routing_id = &local.options.routing_id;
        push_property(&mut octets, IDENTITY, routing_id.as_bytes());
        if local.comes_back && !routing_id.is_none() {
            push_property(&mut octets, COMES_BACK, b"1");
        }
    }
    for (name, value) in local.options.metadata.properties() {
        push_property(&mut octets, name, value);
    }
    octets
}

/// Parses and checks the metadata of a peer.
///
/// # Errors
///
/// [`ProtocolError::MalformedMetadata`] when the list, an `Identity` or a `Resource` break their grammar;
/// [`ProtocolError::DuplicateProperty`].
pub(crate) fn parse(mut octets: &[u8]) -> Result<Vec<Property>, ProtocolError> {
    let mut properties: Vec<Property> = Vec::new();
    while !octets.is_empty() {
        let (name, value, rest) = split_property(octets).ok_or(ProtocolError::MalformedMetadata)?;
        if !is_legal(name, value) {
            return Err(ProtocolError::MalformedMetadata);
        }
        if find(&properties, name).is_some() {
            return Err(ProtocolError::DuplicateProperty);
        }
        properties.push((name.into(), Bytes::copy_from_slice(value)));
        octets = rest;
    }
    Ok(properties)
}

/// The value of a property, whatever the case of its name.
pub(super) fn find<'a>(properties: &'a [Property], name: &str) -> Option<&'a Bytes> {
    properties.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn push_property(octets: &mut Vec<u8>, name: &str, value: &[u8]) {
    let (Ok(name_octets), Ok(value_octets)) = (u8::try_from(name.len()), i32::try_from(value.len())) else {
        unreachable!("names are literals or checked, values are type names, routing ids and checked")
    };
    octets.push(name_octets);
    octets.extend_from_slice(name.as_bytes());
    octets.extend_from_slice(&value_octets.to_be_bytes());
    octets.extend_from_slice(value);
}

/// The name and value at the front of a list, and the rest of it.
fn split_property(octets: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (name_octets, rest) = octets.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*name_octets))?;
    let (value_octets, rest) = rest.split_first_chunk()?;
    // Sizes end at 2^31-1: a negative number here is one that is too large.
    let value_octets = usize::try_from(i32::from_be_bytes(*value_octets)).ok()?;
    let (value, rest) = rest.split_at_checked(value_octets)?;
    if name.is_empty() || !name.iter().all(|c| c.is_ascii_alphanumeric() || b"-_.+".contains(c)) {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, value, rest))
}

/// Whether a value is one that RFC 37 allows for this property. Socket types are the handshake's to judge.
fn is_legal(name: &str, value: &[u8]) -> bool {
    if name.eq_ignore_ascii_case(IDENTITY) {
        is_legal_routing_id(value)
    } else if name.eq_ignore_ascii_case(RESOURCE) {
        value.split(|&octet| octet == b'/').all(|part| !part.is_empty() && part.iter().all(is_resource_char))
    } else {
        true
    }
}

/// Whether a peer may call itself so. A first octet of zero is for ids that implementations make up (D11).
pub(super) fn is_legal_routing_id(octets: &[u8]) -> bool {
    octets.len() <= ROUTING_ID_MAX && octets.first() != Some(&0)
}

fn is_resource_char(octet: &u8) -> bool {
    octet.is_ascii_alphanumeric() || b"$-_@.&+".contains(octet)
}

pub(super) const SOCKET_TYPE: &str = "Socket-Type";
const IDENTITY: &str = "Identity";
/// Of ours alone: the peer takes the ERROR that its routing id is in use for what it is, and comes back. For others ERROR
/// is final (E-01), and libzmq never connects again: they are closed without a word, which is temporary (E-03).
const COMES_BACK: &str = "Name-Retry";
const RESOURCE: &str = "Resource";

#[cfg(test)]
mod rfc37_metadata {
    use super::*;

    #[test]
    fn properties_are_encoded_as_in_the_worked_example() {
        // N-07: the DEALER's READY of RFC 37, "Worked Example".
        let mut octets = Vec::new();
        push_property(&mut octets, SOCKET_TYPE, b"DEALER");
        push_property(&mut octets, IDENTITY, b"");
        assert_eq!(octets, b"\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0");
    }
}
