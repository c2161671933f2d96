//! The NULL handshake: each side sends one READY and takes one.
//!
//! RFC 37 lets the server wait for the client's READY, RFC 23 has both send at once. Both orders are
//! accepted, and ours goes out at once (D1), so that two peers of either kind never wait for each other; but not
//! before somebody who has to be asked about the peer has let it in, nor before a peer that has connected to us has the
//! name that it wants, where it is addressed by name. Source: RFC 37, "The NULL Security Mechanism".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use crate::error::ProtocolError;
use crate::options::Credentials;
use crate::wire::command;
use crate::wire::greeting::Version;
use crate::wire::mechanism::{Question, Step, enter_name, expect, peer};
use crate::wire::metadata::{self, Local, Peer};
use crate::wire::outbox::Outbox;

/// What of the handshake is done.
#[derive(Debug)]
pub(in crate::wire) enum Handshake {
    /// The peer is ready; whether we are is being decided. Boxed: most peers are never judged, and a half-open
    /// connection is small.
    Judged(Option<Box<Peer>>),
    /// We have sent READY, unless the peer's comes first.
    Waiting,
}

impl Handshake {
    /// Sends our READY, if nobody has to be asked, and no name to be entered.
    pub(super) fn start(local: &Local, out: &mut Outbox) -> Self {
        if !local.security.is_guarded && !local.hears_name_first() {
            command::push_ready(out, &metadata::encode(local));
        }
        Self::Waiting
    }

    /// Takes the peer's first command, which ends the handshake one way or the other.
    ///
    /// A peer with the wrong socket type finds the reason in `out`, as RFC 37 asks; where somebody is asked about peers,
    /// one that has sent no socket type at all does not.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::RefusedByPeer`] on ERROR, [`ProtocolError::UnexpectedCommand`] on anything but READY, and
    /// what is wrong with the metadata of a READY.
    pub(super) fn handle_command(
        &mut self,
        local: &Local,
        version: Version,
        body: &[u8],
        out: &mut Outbox,
    ) -> Result<Step, ProtocolError> {
        let data = expect("READY", body)?;
        let mut refusal = Outbox::new();
        let peer = peer(local, version, data, Some(&mut refusal)).inspect_err(|_| {
            if local.security.is_guarded && refusal.len() > SHORTEST_HEADER + body.len() {
                return; // a stranger is not told more than it says (E-21)
            }
            if !refusal.is_empty() && !local.security.is_guarded && local.hears_name_first() {
                // It learns what we are, as it does from others.
                command::push_ready(out, &metadata::encode(local));
            }
            out.push(refusal.octets());
        })?;
        if !local.security.is_guarded {
            enter_name(local, &peer, Some(out))?;
            if local.hears_name_first() {
                command::push_ready(out, &metadata::encode(local));
            }
            return Ok(Step::Done(peer, None));
        }
        let properties = Arc::clone(&peer.properties);
        *self = Self::Judged(Some(Box::new(peer)));
        Ok(Step::Asks(Question { credentials: Credentials::Null, properties }))
    }

    pub(super) fn admit(&mut self, local: &Local, out: &mut Outbox) -> Result<Step, ProtocolError> {
        let Self::Judged(peer) = self else { return Ok(Step::Waits) };
        let Some(peer) = peer.take() else { return Ok(Step::Waits) };
        enter_name(local, &peer, Some(out))?;
        command::push_ready(out, &metadata::encode(local));
        Ok(Step::Done(*peer, None))
    }
}

/// Octets that a frame has beside its body at least.
const SHORTEST_HEADER: usize = 2;
