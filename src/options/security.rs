//! What a socket demands of its peers, and how it shows who it is: one value, so that mechanisms cannot be mixed.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::value::Unit;
use super::{CurveKeyPair, CurvePublicKey};
use crate::error::InvalidValue;

/// The security mechanism of a socket, and what it needs. Both ends of a connection must have the same mechanism, one
/// of them as the client and the other as the server; who binds does not matter.
///
/// A server lets nobody in unless it is told whom: by an [`Authorizer`](crate::Authorizer) or by a ZAP handler (see
/// [`zap_domain`](crate::Options::zap_domain)). A client takes nobody for its server but the holder of `server_key`.
/// Whatever fails, no connection falls back to another mechanism, nor to an old version of the protocol.
///
/// None of this concerns inproc, where both ends are in one process.
///
/// ```
/// use peermq::{Authorizer, Context, Decision, PlainCredentials, Pull, Push, Security};
///
/// let context = Context::new();
/// let passwords = Authorizer::passwords([("alice", "opensesame")])?;
/// let mut pull =
///     context.builder_for::<Pull>().security(Security::PlainServer).authorizer(&passwords).open()?;
/// let endpoint = pull.bind("tcp://127.0.0.1:0")?;
///
/// let alice = PlainCredentials::new("alice", "opensesame")?;
/// let mut push = context.builder_for::<Push>().security(Security::PlainClient(alice)).open()?;
/// push.connect(&endpoint)?;
/// push.send("hello")?;
/// assert_eq!(pull.recv()?, "hello");
/// assert_eq!(pull.peers()[0].user_id(), Some("alice"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A server has no use for the key of a server, and so on; what does not belong together does not compile:
///
/// ```compile_fail,E0533
/// use peermq::{PlainCredentials, Security};
///
/// let security = Security::PlainServer(PlainCredentials::new("alice", "opensesame").unwrap());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "two keys, once for each endpoint")]
pub enum Security {
    /// None: whoever comes may talk, and whoever listens in can read. With an [`Authorizer`](crate::Authorizer) or a
    /// ZAP domain they are asked, and see the address.
    #[default]
    Null,
    /// Shows a name and a password, which everybody on the way can read. RFC 24: for networks of one's own.
    PlainClient(PlainCredentials),
    /// Wants a name and a password from its peers.
    PlainServer,
    /// Shows who it is with a key of its own, and encrypts: RFC 26.
    CurveClient {
        /// Who we are.
        keys: CurveKeyPair,
        /// Who the server must be. One with another key closes the connection without a word, so the last error is that
        /// the peer closed it ([`PeerClosed`](crate::ConnectionError::PeerClosed)), and it is tried again.
        server_key: CurvePublicKey,
    },
    /// Wants a known public key from its peers, and encrypts: RFC 26.
    CurveServer {
        /// Who we are. Clients must know the public key.
        keys: CurveKeyPair,
    },
}

impl Security {
    /// The mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        match self {
            Self::Null => Mechanism::Null,
            Self::PlainClient(_) | Self::PlainServer => Mechanism::Plain,
            Self::CurveClient { .. } | Self::CurveServer { .. } => Mechanism::Curve,
        }
    }

    /// Whether peers have to show who they are.
    #[must_use]
    pub const fn is_server(&self) -> bool {
        matches!(self, Self::PlainServer | Self::CurveServer { .. })
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mechanism().name())?;
        match self {
            Self::Null => Ok(()),
            Self::PlainClient(_) | Self::CurveClient { .. } => f.write_str(" client"),
            Self::PlainServer | Self::CurveServer { .. } => f.write_str(" server"),
        }
    }
}

impl Unit for Security {
    const UNIT: &'static str = "mechanism";
}

/// A security mechanism.
///
/// ```
/// use peermq::{Mechanism, Security};
///
/// assert_eq!(Security::PlainServer.mechanism(), Mechanism::Plain);
/// assert_eq!(Mechanism::Plain.name(), "PLAIN");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// RFC 26: encrypted, both ends proven.
    Curve,
    /// RFC 37: nothing.
    Null,
    /// RFC 24: name and password, in clear.
    Plain,
}

impl Mechanism {
    /// The name in greetings and towards ZAP handlers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Curve => "CURVE",
            Self::Null => "NULL",
            Self::Plain => "PLAIN",
        }
    }
}

/// A name and a password for PLAIN. `Debug` does not show the password, which is overwritten when the last clone is
/// dropped.
///
/// ```
/// use peermq::{InvalidValue, PlainCredentials};
///
/// let alice = PlainCredentials::new("alice", "opensesame")?;
/// assert!(!format!("{alice:?}").contains("opensesame"));
/// assert!(PlainCredentials::new("alice", [b'x'; 256]).is_err());
/// # Ok::<(), InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PlainCredentials(Arc<NameAndPassword>);

#[derive(PartialEq, Eq)]
struct NameAndPassword {
    username: Box<[u8]>,
    password: Zeroizing<Vec<u8>>,
}

impl PlainCredentials {
    /// Returns credentials of up to 255 octets each.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] when one of them is longer.
    pub fn new(username: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Result<Self, InvalidValue> {
        let (username, password) = (username.as_ref(), password.as_ref());
        if username.len().max(password.len()) > usize::from(u8::MAX) {
            return Err(TOO_LONG);
        }
        let password = Zeroizing::new(password.to_vec());
        Ok(Self(Arc::new(NameAndPassword { username: username.into(), password })))
    }

    /// Returns the name.
    #[must_use]
    pub fn username(&self) -> &[u8] {
        &self.0.username
    }

    /// Returns the password.
    #[must_use]
    pub fn password(&self) -> &[u8] {
        &self.0.password
    }
}

impl fmt::Debug for PlainCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let username = self.username().escape_ascii().to_string();
        f.debug_struct("PlainCredentials").field("username", &username).finish_non_exhaustive()
    }
}

/// What is wrong with other values.
const TOO_LONG: InvalidValue =
    InvalidValue::new("security", "a name and a password of at most 255 octets each");
