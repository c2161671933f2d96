//! The NULL handshake: each side sends one READY and takes one.
//!
//! RFC 37 lets the server wait for the client's READY, RFC 23 has both send at once. Both orders are
//! accepted, and ours goes out at once (D1), so that two peers of either kind never wait for each other.
//! Source: RFC 37, "The NULL Security Mechanism".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::error::ProtocolError;
use crate::socket_type::SocketType;
use crate::wire::command::{self, Command};
use crate::wire::greeting::Version;
use crate::wire::metadata::{self, Local, Peer, Property};
use crate::wire::outbox::Outbox;

/// Sends our READY.
pub(in crate::wire) fn start(local: &Local, out: &mut Outbox) {
    command::push_ready(out, &metadata::encode(local));
}

/// Takes the peer's first command, which ends the handshake one way or the other.
///
/// A peer with the wrong socket type finds the reason in `out`, as RFC 37 asks.
///
/// # Errors
///
/// [`ProtocolError::RefusedByPeer`] on ERROR, [`ProtocolError::UnexpectedCommand`] on anything but READY, and
/// what is wrong with the metadata of a READY.
pub(in crate::wire) fn handle_command(
    local: &Local,
    version: Version,
    command: &Command<'_>,
    out: &mut Outbox,
) -> Result<Peer, ProtocolError> {
    let properties = match *command {
        Command::Ready(octets) => metadata::parse(octets)?,
        Command::Error => return Err(ProtocolError::RefusedByPeer),
        Command::Ping { .. } | Command::Other | Command::Topic => {
            return Err(ProtocolError::UnexpectedCommand);
        }
    };
    match peer_type(local.socket_type, &properties) {
        Ok(socket_type) => Ok(Peer::new(version, socket_type, properties)),
        Err(error) => {
            command::push_error(out, WRONG_SOCKET_TYPE);
            Err(error)
        }
    }
}

/// The type that the peer announced, if it may talk to `ours`.
fn peer_type(ours: SocketType, properties: &[Property]) -> Result<SocketType, ProtocolError> {
    let name = metadata::find(properties, metadata::SOCKET_TYPE).ok_or(ProtocolError::MissingSocketType)?;
    let theirs = SocketType::from_name(name).ok_or(ProtocolError::UnknownSocketType)?;
    if !ours.talks_to(theirs) {
        return Err(ProtocolError::IncompatibleSocketTypes(theirs));
    }
    Ok(theirs)
}

/// A reason has no spaces: the grammar allows VCHAR only.
const WRONG_SOCKET_TYPE: &str = "Invalid-Socket-Type";
