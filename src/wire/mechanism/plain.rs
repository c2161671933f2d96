//! The PLAIN handshake: a name and a password in clear, then metadata both ways.
//!
//! ```text
//!  client: HELLO ──▶ Hello: WELCOME comes ──▶ INITIATE ──▶ Initiate: READY comes ──▶ done
//!  server: Hello: HELLO comes ──▶ Judged ──▶ WELCOME ──▶ Initiate: INITIATE comes ──▶ READY: done
//! ```
//!
//! Source: RFC 24/ZMTP PLAIN.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use crate::error::{AuthStatus, ProtocolError};
use crate::options::{Credentials, PlainCredentials};
use crate::wire::command;
use crate::wire::greeting::Version;
use crate::wire::mechanism::{Question, Step, enter_name, expect, peer};
use crate::wire::metadata::{self, Local};
use crate::wire::outbox::Outbox;

/// Whose it is, and what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Handshake {
    /// READY.
    ClientInitiate,
    /// WELCOME.
    ClientHello,
    /// HELLO.
    ServerHello,
    /// INITIATE.
    ServerInitiate,
    /// Whether the client may come in.
    ServerJudged,
}

impl Handshake {
    pub(super) fn start_client(credentials: &PlainCredentials, out: &mut Outbox) -> Self {
        let (username, password) = (credentials.username(), credentials.password());
        let (Ok(username_octets), Ok(password_octets)) =
            (u8::try_from(username.len()), u8::try_from(password.len()))
        else {
            unreachable!("credentials are made of up to 255 octets each")
        };
        out.push_command(HELLO, &[&[username_octets], username, &[password_octets], password]);
        Self::ClientHello
    }

    pub(super) fn start_server() -> Self {
        Self::ServerHello
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
        body: &[u8],
        out: &mut Outbox,
    ) -> Result<Step, ProtocolError> {
        if matches!(self, Self::ClientHello | Self::ClientInitiate) {
            if let Some(status) = refusal_of_libzmq(body) {
                return Err(ProtocolError::NotLetInByPeer(status));
            }
        }
        match self {
            Self::ClientHello => {
                let [] = expect(WELCOME, body)? else { return Err(ProtocolError::MalformedCommand) };
                out.push_command(INITIATE, &[&metadata::encode(local)]);
                *self = Self::ClientInitiate;
                Ok(Step::Waits)
            }
            Self::ClientInitiate => {
                let peer = peer(local, version, expect(READY, body)?, None)?;
                enter_name(local, &peer, Some(out))?;
                Ok(Step::Done(peer, None))
            }
            Self::ServerHello => {
                let credentials = parse_hello(expect(HELLO, body)?).ok_or(ProtocolError::MalformedCommand)?;
                *self = Self::ServerJudged;
                let credentials = Credentials::Plain(credentials);
                Ok(Step::Asks(Question { credentials, properties: Arc::default() }))
            }
            Self::ServerInitiate => {
                let peer = peer(local, version, expect(INITIATE, body)?, Some(out))?;
                enter_name(local, &peer, Some(out))?;
                command::push_ready(out, &metadata::encode(local));
                Ok(Step::Done(peer, None))
            }
            Self::ServerJudged => Err(ProtocolError::UnexpectedCommand),
        }
    }

    pub(super) fn admit(&mut self, out: &mut Outbox) -> Step {
        if *self == Self::ServerJudged {
            out.push_command(WELCOME, &[]);
            *self = Self::ServerInitiate;
        }
        Step::Waits
    }
}

/// The status of libzmq's ERROR, which a slip of the pen in its source (`"\x05ERROR"`, where C takes the `E` for a digit)
/// has robbed of its length octet. All versions up to 4.3.5 send it so.
fn refusal_of_libzmq(body: &[u8]) -> Option<AuthStatus> {
    body.strip_prefix(b"^RROR\x03").and_then(AuthStatus::from_text)
}

/// Name and password, each behind its length, and nothing else.
fn parse_hello(data: &[u8]) -> Option<PlainCredentials> {
    let (username, rest) = split_text(data)?;
    let (password, rest) = split_text(rest)?;
    if !rest.is_empty() {
        return None;
    }
    PlainCredentials::new(username, password).ok()
}

fn split_text(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (octets, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(*octets))
}

const HELLO: &str = "HELLO";
const INITIATE: &str = "INITIATE";
const READY: &str = "READY";
const WELCOME: &str = "WELCOME";
