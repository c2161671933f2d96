//! Security mechanisms: what a socket demands, and the handshake of each mechanism in a file of its own.
//!
//! ```text
//!            our first command      the peer's commands         proven
//!  start ──────────────────────▶ handle_command ─┬──────────▶ Step::Asks ──▶ admit ─┐
//!                                   ▲  │ Waits   │ nobody is asked                  │
//!                                   └──┴─────────┼──────────────────────────────────┤ more commands
//!                                                ▼                                  ▼
//!                                          Step::Done: traffic            Step::Waits or Done
//! ```
//!
//! A socket speaks exactly one mechanism; a peer that announces another is refused. Whoever has to be asked whether a
//! peer may come in is asked before that peer hears that it may. Source: RFC 37, "Authentication and Confidentiality".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "curve")]
mod curve;
#[cfg(not(feature = "curve"))]
#[path = "no_curve.rs"]
mod curve;
mod null;
mod plain;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

pub(crate) use self::curve::{Boxes, Opener, Sealer};
use crate::error::ProtocolError;
use crate::options::{Credentials, Mechanism, Security as Settings};
use crate::socket_type::SocketType;
use crate::wire::command::{self, Command};
use crate::wire::greeting::Version;
use crate::wire::metadata::{self, Local, Peer, Property};
use crate::wire::outbox::Outbox;

/// Octets of the mechanism field in a greeting.
pub(super) const NAME_OCTETS: usize = 20;

/// A mechanism's name as the greeting carries it: ASCII, padded with zeros. Compared as a whole (D6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) [u8; NAME_OCTETS]);

impl From<Mechanism> for Name {
    fn from(mechanism: Mechanism) -> Self {
        Self(match mechanism {
            Mechanism::Curve => *b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            Mechanism::Null => *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            Mechanism::Plain => *b"PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        })
    }
}

/// Where random octets come from; `false`: there are none.
pub(crate) type Random = fn(&mut [u8]) -> bool;

/// What a connection demands of its peer.
#[derive(Clone)]
pub(crate) struct Security {
    /// The socket's: keys stand in one place for all its connections.
    pub(super) settings: Arc<Settings>,
    /// Somebody is asked about the peer before it is let in.
    pub(super) is_guarded: bool,
    pub(super) random: Random,
}

impl Security {
    /// Whoever comes is let in.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self::new(Arc::default(), false, false, |_| false)
    }

    /// For one connection of a socket, which may have somebody who decides about peers. With NULL they decide about
    /// those that connect to us: whom we connect to is our own choice.
    pub(crate) fn new(settings: Arc<Settings>, has_judge: bool, is_accepted: bool, random: Random) -> Self {
        let is_guarded = settings.is_server() || *settings == Settings::Null && has_judge && is_accepted;
        Self { settings, is_guarded, random }
    }

    pub(super) fn name(&self) -> Name {
        self.settings.mechanism().into()
    }

    /// Whether peers of ZMTP 1.0 and 2.0 are let in, which can neither prove who they are nor keep a secret: only
    /// where nothing at all is demanded (Z-20, Z-21).
    pub(super) fn admits_old_peers(&self) -> bool {
        *self.settings == Settings::Null && !self.is_guarded
    }

    pub(super) fn is_server(&self) -> bool {
        self.settings.is_server()
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Security");
        shown.field("settings", &self.settings).field("is_guarded", &self.is_guarded).finish_non_exhaustive()
    }
}

/// What is to be decided before the handshake goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) credentials: Credentials,
    /// What the peer has said of itself so far.
    pub(crate) properties: Arc<[Property]>,
}

/// What a step of the handshake has led to.
pub(super) enum Step {
    /// [`Handshake::admit`] goes on, if the peer may come in.
    Asks(Question),
    /// It is over. With CURVE everything is encrypted from now on.
    Done(Peer, Option<Box<Boxes>>),
    /// The peer's next command.
    Waits,
}

/// A handshake under way.
#[derive(Debug)]
pub(super) enum Handshake {
    Curve(Box<curve::Handshake>),
    Null(null::Handshake),
    Plain(plain::Handshake),
}

impl Handshake {
    /// Begins behind the greetings: sends our first command, if it is our turn.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::NoRandomness`].
    pub(super) fn start(local: &Local, out: &mut Outbox) -> Result<Self, ProtocolError> {
        Ok(match &*local.security.settings {
            Settings::Null => Self::Null(null::Handshake::start(local, out)),
            Settings::PlainClient(credentials) => {
                Self::Plain(plain::Handshake::start_client(credentials, out))
            }
            Settings::PlainServer => Self::Plain(plain::Handshake::start_server()),
            Settings::CurveClient { keys, server_key } => {
                let random = local.security.random;
                Self::Curve(curve::Handshake::start_client(keys, *server_key, random, out)?)
            }
            Settings::CurveServer { keys } => Self::Curve(curve::Handshake::start_server(keys)),
        })
    }

    /// Takes the peer's next command.
    ///
    /// # Errors
    ///
    /// Whatever the peer did wrong, or that it has refused us. What it should hear about that is in `out`.
    pub(super) fn handle_command(
        &mut self,
        local: &Local,
        version: Version,
        body: &mut [u8],
        now: Instant,
        out: &mut Outbox,
    ) -> Result<Step, ProtocolError> {
        match self {
            Self::Curve(handshake) => handshake.handle_command(local, version, body, now, out),
            Self::Null(handshake) => handshake.handle_command(local, version, body, out),
            Self::Plain(handshake) => handshake.handle_command(local, version, body, out),
        }
    }

    /// Goes on with a peer that may come in.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::RoutingIdInUse`].
    pub(super) fn admit(&mut self, local: &Local, out: &mut Outbox) -> Result<Step, ProtocolError> {
        match self {
            Self::Curve(handshake) => handshake.admit(local, out),
            Self::Null(handshake) => handshake.admit(local, out),
            Self::Plain(handshake) => Ok(handshake.admit(out)),
        }
    }
}

/// Has the peer's name entered where it matters, before the peer hears that it may talk.
///
/// # Errors
///
/// [`ProtocolError::RoutingIdInUse`]: another one has it. `out` says so to those who do not take it for final.
pub(super) fn enter_name(local: &Local, peer: &Peer, out: Option<&mut Outbox>) -> Result<(), ProtocolError> {
    let Some(naming) = &local.naming else { return Ok(()) };
    if naming.registrar.upgrade().is_none_or(|registrar| registrar.enter(peer)) {
        return Ok(());
    }
    if let Some(out) = out.filter(|_| takes_names_lightly(local, peer)) {
        command::push_error(out, command::ROUTING_ID_IN_USE);
    }
    Err(ProtocolError::RoutingIdInUse)
}

/// Whether an ERROR on account of the peer's name is not taken for final. One that has not connected will not connect
/// again either.
pub(super) fn takes_names_lightly(local: &Local, peer: &Peer) -> bool {
    local.naming.as_ref().is_some_and(|naming| !naming.is_accepted) || peer.comes_back()
}

/// The data of the command that has to come now.
///
/// # Errors
///
/// [`ProtocolError::MalformedCommand`] when it does not parse, [`ProtocolError::UnexpectedCommand`] when it is another
/// one; what an ERROR says.
fn expect<'a>(name: &str, body: &'a [u8]) -> Result<&'a [u8], ProtocolError> {
    let (found, data) = command::split_name(body).ok_or(ProtocolError::MalformedCommand)?;
    if found == name.as_bytes() {
        return Ok(data);
    }
    match Command::parse(body)? {
        Command::Error(reason) => Err(command::refusal(reason)),
        Command::Answer(_)
        | Command::Going(_)
        | Command::Other
        | Command::Ping { .. }
        | Command::Pong
        | Command::Question { .. }
        | Command::Ready(_)
        | Command::Topic => Err(ProtocolError::UnexpectedCommand),
    }
}

/// The peer that its metadata describes.
///
/// # Errors
///
/// What is wrong with them; that the two sockets cannot talk, as servers also say in `out`.
fn peer(
    local: &Local,
    version: Version,
    octets: &[u8],
    out: Option<&mut Outbox>,
) -> Result<Peer, ProtocolError> {
    let properties = metadata::parse(octets)?;
    match peer_type(local.socket_type, &properties) {
        Ok(socket_type) => Ok(Peer::new(version, socket_type, properties)),
        Err(error) => {
            if let Some(out) = out {
                command::push_error(out, WRONG_SOCKET_TYPE);
            }
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

/// Octets of memory that a server of CURVE keeps for one whose INITIATE has not come.
#[cfg(all(test, feature = "curve"))]
pub(super) const fn half_open_octets() -> usize {
    size_of::<curve::Handshake>()
}

/// A reason has no spaces: the grammar allows VCHAR only.
const WRONG_SOCKET_TYPE: &str = "Wrong-Socket-Type";

#[cfg(test)]
mod rfc37_greeting {
    use super::*;

    #[test]
    fn our_mechanism_names_use_the_public_charset() {
        // Z-04: "Mechanism names SHALL consist only of uppercase letters A to Z, digits, and embedded hyphens
        // or underscores." Z-03: null-padded to 20 octets.
        for mechanism in [Mechanism::Curve, Mechanism::Null, Mechanism::Plain] {
            let Name(octets) = mechanism.into();
            let (name, padding) = octets.split_at(mechanism.name().len());
            assert_eq!(name, mechanism.name().as_bytes());
            assert!(name.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || b"-_".contains(c)));
            assert!(padding.iter().all(|&octet| octet == 0));
        }
    }
}
