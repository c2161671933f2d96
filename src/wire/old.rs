//! What ZMTP 1.0 and 2.0 have in place of a handshake: a frame with the routing id, before all messages.
//!
//! There are no commands, no mechanisms, no metadata. ZMTP 2.0 tells the socket type by a number; in ZMTP 1.0 each
//! side has to know what the other is. Source: RFC 13, "The Connection Layer"; RFC 15.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use bytes::Bytes;

use crate::error::ProtocolError;
use crate::frame::{Header, zmtp1};
use crate::limits::ROUTING_ID_MAX;
use crate::socket_type::SocketType;
use crate::wire::greeting::{Octets, Version};
use crate::wire::metadata::{self, Local, Peer};
use crate::wire::outbox::Outbox;

/// The frame with a peer's routing id, as far as it has come.
#[derive(Debug)]
pub(super) struct Incoming {
    version: Version,
    socket_type: SocketType,
    octets: Octets,
}

impl Incoming {
    /// Of a ZMTP 1.0 peer, from whose frame these octets are. Its type is the first that ours may talk to: it does
    /// not tell.
    pub(super) fn one(local: &Local, octets: Octets) -> Self {
        let socket_type = local.socket_type.peers().first().copied().unwrap_or(local.socket_type);
        Self { version: Version { major: 1, minor: 0 }, socket_type, octets }
    }

    /// Of a ZMTP 2.0 peer.
    pub(super) fn two(socket_type: SocketType) -> Self {
        Self { version: Version { major: 2, minor: 0 }, socket_type, octets: Octets::new() }
    }

    /// Takes what belongs to the frame off the front of `input`; the peer when it is complete.
    ///
    /// # Errors
    ///
    /// What is wrong with the header, as soon as that is there; [`ProtocolError::MalformedMetadata`] for a routing
    /// id of more than 255 octets, or one that starts with zero (D11).
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Result<Option<Peer>, ProtocolError> {
        loop {
            let body = match self.header()? {
                Some(header) => Some((header.header_octets, octets(header)?)),
                None => None,
            };
            let wanted = body.map_or(self.octets.len() + 1, |(header_octets, octets)| header_octets + octets);
            let missing = wanted - self.octets.len();
            if let (Some((header_octets, _)), 0) = (body, missing) {
                let routing_id = self.octets.get(header_octets..).unwrap_or_default();
                return self.peer(Bytes::copy_from_slice(routing_id)).map(Some);
            }
            if input.is_empty() {
                return Ok(None);
            }
            let (mine, rest) = input.split_at(missing.min(input.len()));
            self.octets.extend_from_slice(mine);
            *input = rest;
        }
    }

    fn header(&self) -> Result<Option<Header>, ProtocolError> {
        if self.version.major == 1 {
            return match zmtp1::parse(&self.octets)? {
                Some(header) if !is_routing_id(header) => Err(ProtocolError::InvalidGreeting),
                header => Ok(header),
            };
        }
        let Some(header) = Header::parse(&self.octets) else { return Ok(None) };
        let header = header.check(u64::MAX)?;
        if header.is_command() || header.has_more() {
            return Err(ProtocolError::UnexpectedCommand);
        }
        Ok(Some(header))
    }

    fn peer(&self, routing_id: Bytes) -> Result<Peer, ProtocolError> {
        if !metadata::is_legal_routing_id(&routing_id) {
            return Err(ProtocolError::MalformedMetadata);
        }
        let Self { version: Version { major, minor }, socket_type, .. } = *self;
        Ok(Peer { socket_type, routing_id, major, minor, properties: Arc::default(), admission: None })
    }

    #[cfg(test)]
    pub(super) fn held_octets(&self) -> usize {
        self.octets.capacity()
    }
}

/// What our signature says in place of the padding: the length of our routing id's frame in ZMTP 1.0.
pub(super) fn length(local: &Local) -> u64 {
    routing_id(local).len() as u64 + 1
}

/// Sends what a ZMTP 1.0 peer misses behind our signature, which it takes for the header of this frame.
pub(super) fn push_rest_of_frame(local: &Local, out: &mut Outbox) {
    out.push(routing_id(local));
}

/// Sends what a ZMTP 2.0 peer misses behind our signature and version.
pub(super) fn push_socket_type(local: &Local, out: &mut Outbox) {
    out.push(&[local.socket_type.revision_1()]);
    out.push_message(&[routing_id(local)]);
}

/// The type that a ZMTP 2.0 peer has announced by a number, if it may talk to ours. There is no way to tell it why
/// not.
pub(super) fn peer_type(local: &Local, code: u8) -> Result<SocketType, ProtocolError> {
    let theirs = SocketType::from_revision_1(code).ok_or(ProtocolError::UnknownSocketType)?;
    if !local.socket_type.talks_to(theirs) {
        return Err(ProtocolError::IncompatibleSocketTypes(theirs));
    }
    Ok(theirs)
}

/// The routing id, of those types that announce one: the others send the frame empty.
fn routing_id(local: &Local) -> &[u8] {
    if local.socket_type.announces_routing_id() { local.options.routing_id.as_bytes() } else { &[] }
}

/// Whether a ZMTP 1.0 peer's first frame may have this header. RFC 13 has us not look at the flags; but HTTP, TLS and
/// other protocols look like ZMTP 1.0 up to here, and what they say would be taken for messages. So they are to be like
/// those of other frames; with the long form others have shown already that they are none of these protocols.
fn is_routing_id(header: Header) -> bool {
    header.header_octets == zmtp1::HEADER_MAX || !header.has_more() && zmtp1::check(header).is_ok()
}

/// The octets of a routing id whose frame has this header.
fn octets(header: Header) -> Result<usize, ProtocolError> {
    match usize::try_from(header.body_octets) {
        Ok(octets) if octets <= ROUTING_ID_MAX => Ok(octets),
        _ => Err(ProtocolError::MalformedMetadata),
    }
}
