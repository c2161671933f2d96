//! The server's side: see [`super`].
//!
//! Between WELCOME and INITIATE it keeps only the key of the cookie: what the client has shown, and the server's own
//! key for this connection, are in the cookie, which the client brings back. Source: RFC 26, "The WELCOME Command".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::boxes::{self, SharedKey, TransientKeys, long_nonce, random_octets, short_nonce};
use super::client::{HELLO_NONCE, INITIATE_NONCE, READY_NONCE, VOUCH_NONCE, WELCOME_NONCE};
use super::traffic::{Boxes, Role};
use super::{
    COOKIE, HELLO, HELLO_PADDING, HELLO_ZEROS, INITIATE, KEY, READY, VERSION, VOUCH, WELCOME, split,
};
use crate::error::ProtocolError;
use crate::limits::COOKIE_LIFE;
use crate::options::{Credentials, CurveKeyPair, CurvePublicKey};
use crate::time::later;
use crate::wire::greeting::Version;
use crate::wire::mechanism::{Question, Random, Step, enter_name, expect, peer};
use crate::wire::metadata::{self, Local, Peer};
use crate::wire::outbox::Outbox;

/// A server.
pub(in crate::wire) struct Server {
    keys: CurveKeyPair,
    state: State,
}

enum State {
    /// HELLO comes next.
    Waiting,
    /// INITIATE comes next, with the cookie that this key opens, and a number above this.
    Welcomed { cookie_key: Zeroizing<[u8; KEY]>, until: Instant, number: u64 },
    /// Whether the client may come in is being decided. READY goes in a box of S' and C'.
    Judged { peer: Option<Peer>, with_client: SharedKey, number: u64 },
}

impl Server {
    pub(super) fn new(keys: CurveKeyPair) -> Self {
        Self { keys, state: State::Waiting }
    }

    pub(super) fn handle_command(
        &mut self,
        local: &Local,
        version: Version,
        body: &[u8],
        now: Instant,
        out: &mut Outbox,
    ) -> Result<Step, ProtocolError> {
        match std::mem::replace(&mut self.state, State::Waiting) {
            State::Waiting => {
                self.state = welcome(&self.keys, expect(HELLO, body)?, local.security.random, now, out)?;
                Ok(Step::Waits)
            }
            State::Welcomed { cookie_key, until, number } => {
                let data = expect(INITIATE, body)?;
                if now >= until {
                    return Err(ProtocolError::HandshakeTimeout);
                }
                let (number, initiated) = open_initiate(&self.keys, data, cookie_key, number)?;
                let peer = peer(local, version, initiated.metadata(), Some(out))?;
                let credentials = Credentials::Curve(initiated.client_key);
                let question = Question { credentials, properties: Arc::clone(&peer.properties) };
                let with_client = initiated.with_client;
                self.state = State::Judged { peer: Some(peer), with_client, number };
                Ok(Step::Asks(question))
            }
            State::Judged { .. } => Err(ProtocolError::UnexpectedCommand),
        }
    }

    /// Sends READY.
    pub(super) fn admit(&mut self, local: &Local, out: &mut Outbox) -> Result<Step, ProtocolError> {
        let State::Judged { peer, with_client, number } = &mut self.state else { return Ok(Step::Waits) };
        let Some(peer) = peer.take() else { return Ok(Step::Waits) };
        enter_name(local, &peer, Some(out))?;
        let mut sealed = Vec::new();
        with_client.seal(&short_nonce(READY_NONCE, FIRST), &[&metadata::encode(local)], &mut sealed);
        out.push_command(READY, &[&FIRST.to_be_bytes(), &sealed]);
        Ok(Step::Done(peer, Some(Box::new(Boxes::new(with_client, Role::Server, FIRST, *number)))))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Waiting => "Server(Waiting)",
            State::Welcomed { .. } => "Server(Welcomed)",
            State::Judged { .. } => "Server(Judged)",
        })
    }
}

/// Answers a HELLO.
fn welcome(
    keys: &CurveKeyPair,
    data: &[u8],
    random: Random,
    now: Instant,
    out: &mut Outbox,
) -> Result<State, ProtocolError> {
    let Some((version, padding, rest)) = split::<2, HELLO_PADDING>(data) else {
        return Err(ProtocolError::MalformedCommand);
    };
    let Some((client_transient, number, sealed)) = split::<KEY, 8>(rest) else {
        return Err(ProtocolError::MalformedCommand);
    };
    let is_whole = sealed.len() == boxes::TAG + HELLO_ZEROS;
    if *version != VERSION || *padding != [0; HELLO_PADDING] || !is_whole {
        return Err(ProtocolError::MalformedCommand);
    }
    let number = u64::from_be_bytes(*number);
    let with_client = SharedKey::new(keys.secret(), client_transient)?;
    let mut sealed = sealed.to_vec();
    if *with_client.open(&short_nonce(HELLO_NONCE, number), &mut sealed)? != [0; HELLO_ZEROS] {
        return Err(ProtocolError::MalformedCommand);
    }
    let transient = TransientKeys::new(random)?;
    let cookie_key = Zeroizing::new(random_octets(random)?);
    let cookie_nonce: [u8; 16] = random_octets(random)?;
    let mut cookie = cookie_nonce.to_vec();
    let kept: [&[u8]; 2] = [client_transient, &*transient.secret];
    let own = SharedKey::own(cookie_key.clone());
    own.seal(&long_nonce(COOKIE_NONCE, &cookie_nonce), &kept, &mut cookie);
    let nonce = random_octets(random)?;
    let mut sealed = Vec::new();
    with_client.seal(&long_nonce(WELCOME_NONCE, &nonce), &[&transient.public, &cookie], &mut sealed);
    out.push_command(WELCOME, &[&nonce, &sealed]);
    Ok(State::Welcomed { cookie_key, until: later(now, COOKIE_LIFE), number })
}

/// What a good INITIATE says.
struct Initiated {
    client_key: CurvePublicKey,
    with_client: SharedKey,
    opened: Vec<u8>,
}

impl Initiated {
    fn metadata(&self) -> &[u8] {
        self.opened.get(KEY + 16 + VOUCH..).unwrap_or_default()
    }
}

/// Opens an INITIATE, and checks that the client is who it says to be.
fn open_initiate(
    keys: &CurveKeyPair,
    data: &[u8],
    cookie_key: Zeroizing<[u8; KEY]>,
    last_number: u64,
) -> Result<(u64, Initiated), ProtocolError> {
    let Some((cookie, number, sealed)) = split::<COOKIE, 8>(data) else {
        return Err(ProtocolError::MalformedCommand);
    };
    if sealed.len() < boxes::TAG + KEY + 16 + VOUCH {
        return Err(ProtocolError::MalformedCommand);
    }
    let mut cookie = Zeroizing::new(*cookie);
    let (cookie_nonce, cookie_box) = cookie.split_first_chunk_mut().ok_or(ProtocolError::MalformedCommand)?;
    let kept = SharedKey::own(cookie_key).open(&long_nonce(COOKIE_NONCE, cookie_nonce), cookie_box)?;
    let Some((client_transient, server_transient, [])) = split::<KEY, KEY>(kept) else {
        return Err(ProtocolError::MalformedCommand);
    };
    let number = u64::from_be_bytes(*number);
    if number <= last_number {
        return Err(ProtocolError::Repeated);
    }
    let with_client = SharedKey::new(server_transient, client_transient)?;
    let mut sealed = sealed.to_vec();
    let opened = with_client.open(&short_nonce(INITIATE_NONCE, number), &mut sealed)?.to_vec();
    let Some((client_key, vouch_nonce, rest)) = split::<KEY, 16>(&opened) else {
        return Err(ProtocolError::MalformedCommand);
    };
    let Some((vouch, _)) = rest.split_first_chunk::<VOUCH>() else {
        return Err(ProtocolError::MalformedCommand);
    };
    let mut vouch = *vouch;
    let vouch_key = SharedKey::new(server_transient, client_key)?;
    let vouched = vouch_key.open(&long_nonce(VOUCH_NONCE, vouch_nonce), &mut vouch)?;
    let Some((for_transient, for_server, [])) = split::<KEY, KEY>(vouched) else {
        return Err(ProtocolError::MalformedCommand);
    };
    let is_vouched: Choice =
        for_transient.ct_eq(client_transient) & for_server.ct_eq(keys.public_key().as_bytes());
    if !bool::from(is_vouched) {
        return Err(ProtocolError::Undecipherable);
    }
    let client_key = CurvePublicKey::from_bytes(*client_key);
    Ok((number, Initiated { client_key, with_client, opened }))
}

/// The number of READY.
const FIRST: u64 = 1;

const COOKIE_NONCE: &[u8; 8] = b"COOKIE--";
