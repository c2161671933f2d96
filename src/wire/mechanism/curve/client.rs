//! The client's side: see [`super`].
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt;

use super::boxes::{self, SharedKey, TransientKeys, long_nonce, random_octets, short_nonce};
use super::traffic::{Boxes, Role};
use super::{COOKIE, HELLO, HELLO_PADDING, HELLO_ZEROS, INITIATE, KEY, READY, VERSION, WELCOME, split};
use crate::error::ProtocolError;
use crate::options::{CurveKeyPair, CurvePublicKey};
use crate::wire::greeting::Version;
use crate::wire::mechanism::{Random, Step, enter_name, expect, peer};
use crate::wire::metadata::{self, Local};
use crate::wire::outbox::Outbox;

/// A client, which knows the server's key.
pub(in crate::wire) struct Client {
    keys: CurveKeyPair,
    server_key: CurvePublicKey,
    random: Random,
    state: State,
}

enum State {
    /// READY comes next, in a box of c' and S'.
    Initiated(SharedKey),
    /// WELCOME comes next, in a box of c' and S.
    Started { transient: TransientKeys, with_server: SharedKey },
}

impl Client {
    /// Sends HELLO.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::NoRandomness`]; [`ProtocolError::Undecipherable`] when the server's key is none.
    pub(super) fn start(
        keys: CurveKeyPair,
        server_key: CurvePublicKey,
        random: Random,
        out: &mut Outbox,
    ) -> Result<Self, ProtocolError> {
        let transient = TransientKeys::new(random)?;
        let with_server = SharedKey::new(&transient.secret, server_key.as_bytes())?;
        let mut sealed = Vec::new();
        with_server.seal(&short_nonce(HELLO_NONCE, FIRST), &[&[0; HELLO_ZEROS]], &mut sealed);
        let number = FIRST.to_be_bytes();
        out.push_command(HELLO, &[&VERSION, &[0; HELLO_PADDING], &transient.public, &number, &sealed]);
        Ok(Self { keys, server_key, random, state: State::Started { transient, with_server } })
    }

    pub(super) fn handle_command(
        &mut self,
        local: &Local,
        version: Version,
        body: &[u8],
        out: &mut Outbox,
    ) -> Result<Step, ProtocolError> {
        match &self.state {
            State::Started { transient, with_server } => {
                let with_transient =
                    self.initiate(local, expect(WELCOME, body)?, transient, with_server, out)?;
                self.state = State::Initiated(with_transient);
                Ok(Step::Waits)
            }
            State::Initiated(with_transient) => {
                let data = expect(READY, body)?;
                let Some((number, rest)) = data.split_first_chunk() else {
                    return Err(ProtocolError::MalformedCommand);
                };
                let number = u64::from_be_bytes(*number);
                let mut sealed = rest.to_vec();
                let metadata = with_transient.open(&short_nonce(READY_NONCE, number), &mut sealed)?;
                let peer = peer(local, version, metadata, None)?;
                enter_name(local, &peer, None)?; // from READY on everything is encrypted
                let boxes = Boxes::new(with_transient, Role::Client, INITIATE_NUMBER, number);
                Ok(Step::Done(peer, Some(Box::new(boxes))))
            }
        }
    }

    /// Answers a WELCOME with INITIATE, and returns the key of c' and S'.
    fn initiate(
        &self,
        local: &Local,
        data: &[u8],
        transient: &TransientKeys,
        with_server: &SharedKey,
        out: &mut Outbox,
    ) -> Result<SharedKey, ProtocolError> {
        let (nonce, sealed) = data.split_first_chunk().ok_or(ProtocolError::MalformedCommand)?;
        if sealed.len() != boxes::TAG + KEY + COOKIE {
            return Err(ProtocolError::MalformedCommand);
        }
        let mut sealed = sealed.to_vec();
        let opened = with_server.open(&long_nonce(WELCOME_NONCE, nonce), &mut sealed)?;
        let Some((server_transient, cookie, [])) = split::<KEY, COOKIE>(opened) else {
            return Err(ProtocolError::MalformedCommand);
        };
        let with_transient = SharedKey::new(&transient.secret, server_transient)?;
        let vouch_nonce = random_octets(self.random)?;
        let vouch_key = SharedKey::new(self.keys.secret(), server_transient)?;
        let mut vouch = Vec::new();
        let vouched: [&[u8]; 2] = [&transient.public, self.server_key.as_bytes()];
        vouch_key.seal(&long_nonce(VOUCH_NONCE, &vouch_nonce), &vouched, &mut vouch);
        let mut sealed = Vec::new();
        let (client_key, metadata) = (self.keys.public_key(), metadata::encode(local));
        let parts: [&[u8]; 4] = [client_key.as_bytes(), &vouch_nonce, &vouch, &metadata];
        with_transient.seal(&short_nonce(INITIATE_NONCE, INITIATE_NUMBER), &parts, &mut sealed);
        out.push_command(INITIATE, &[cookie, &INITIATE_NUMBER.to_be_bytes(), &sealed]);
        Ok(with_transient)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server_key", &self.server_key).finish_non_exhaustive()
    }
}

/// The number of HELLO.
const FIRST: u64 = 1;
/// The number of INITIATE.
const INITIATE_NUMBER: u64 = 2;

pub(super) const HELLO_NONCE: &[u8; 16] = b"CurveZMQHELLO---";
pub(super) const INITIATE_NONCE: &[u8; 16] = b"CurveZMQINITIATE";
pub(super) const READY_NONCE: &[u8; 16] = b"CurveZMQREADY---";
pub(super) const VOUCH_NONCE: &[u8; 8] = b"VOUCH---";
pub(super) const WELCOME_NONCE: &[u8; 8] = b"WELCOME-";
