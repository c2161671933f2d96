//! The CURVE handshake: both ends prove who they are, agree on keys for this connection, and encrypt from then on.
//!
//! ```text
//!  client: HELLO ──▶ WELCOME comes ──▶ INITIATE ──▶ READY comes: done
//!  server: HELLO comes ──▶ WELCOME ──▶ INITIATE comes ──▶ judged ──▶ READY: done
//! ```
//!
//! Letters as in the RFC: C and S are the permanent public keys of client and server, C' and S' those of one
//! connection; small letters are the secret keys. Source: RFC 26/CURVEZMQ, RFC 25.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod boxes;
mod client;
mod server;
mod traffic;

use std::time::Instant;

pub(crate) use self::traffic::{Boxes, Opener, Sealer};
use crate::error::ProtocolError;
use crate::options::{CurveKeyPair, CurvePublicKey};
use crate::wire::greeting::Version;
use crate::wire::mechanism::{Random, Step};
use crate::wire::metadata::Local;
use crate::wire::outbox::Outbox;

/// A handshake, from one side.
#[derive(Debug)]
pub(in crate::wire) enum Handshake {
    Client(client::Client),
    Server(server::Server),
}

impl Handshake {
    /// Sends HELLO.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::NoRandomness`].
    pub(super) fn start_client(
        keys: &CurveKeyPair,
        server_key: CurvePublicKey,
        random: Random,
        out: &mut Outbox,
    ) -> Result<Box<Self>, ProtocolError> {
        let client = client::Client::start(keys.clone(), server_key, random, out)?;
        Ok(Box::new(Self::Client(client)))
    }

    pub(super) fn start_server(keys: &CurveKeyPair) -> Box<Self> {
        Box::new(Self::Server(server::Server::new(keys.clone())))
    }

    /// Takes the peer's next command.
    ///
    /// # Errors
    ///
    /// What is wrong with it; [`ProtocolError::NotLetInByPeer`] and [`ProtocolError::RefusedByPeer`].
    pub(super) fn handle_command(
        &mut self,
        local: &Local,
        version: Version,
        body: &mut [u8],
        now: Instant,
        out: &mut Outbox,
    ) -> Result<Step, ProtocolError> {
        match self {
            Self::Client(client) => client.handle_command(local, version, body, out),
            Self::Server(server) => server.handle_command(local, version, body, now, out),
        }
    }

    pub(super) fn admit(&mut self, local: &Local, out: &mut Outbox) -> Result<Step, ProtocolError> {
        match self {
            Self::Client(_) => Ok(Step::Waits),
            Self::Server(server) => server.admit(local, out),
        }
    }
}

/// Splits the data of a command into two parts of fixed size and the rest.
fn split<const A: usize, const B: usize>(data: &[u8]) -> Option<(&[u8; A], &[u8; B], &[u8])> {
    let (a, rest) = data.split_first_chunk()?;
    let (b, rest) = rest.split_first_chunk()?;
    Some((a, b, rest))
}

const HELLO: &str = "HELLO";
const INITIATE: &str = "INITIATE";
const READY: &str = "READY";
const WELCOME: &str = "WELCOME";

/// Octets of a public or secret key.
const KEY: usize = 32;
/// Octets of the cookie: its nonce, and a box with a public and a secret key.
const COOKIE: usize = 16 + boxes::TAG + 2 * KEY;
/// Octets of the vouch's box: two public keys.
const VOUCH: usize = boxes::TAG + 2 * KEY;

/// What the version of a HELLO is.
const VERSION: [u8; 2] = [1, 0];
const HELLO_PADDING: usize = 72;
const HELLO_ZEROS: usize = 64;
