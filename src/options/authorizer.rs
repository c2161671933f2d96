//! Whom a socket lets in: what is known of a candidate, what may be decided, and who decides.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use subtle::{Choice, ConstantTimeEq as _};

use super::allowed_keys::AllowedKeys;
use super::value::Unit;
use super::{CurvePublicKey, Mechanism, Metadata, PlainCredentials};
use crate::endpoint::Endpoint;
use crate::error::{AuthStatus, InvalidValue, OsError, Reason};
use crate::sync::{Mutex, lock};

/// A peer that wants to be let in, as far as it is known.
///
/// With PLAIN and CURVE its credentials; with NULL nothing is proven. See [`Authorizer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub(crate) endpoint: Endpoint,
    pub(crate) credentials: Credentials,
    pub(crate) properties: Arc<[(Box<str>, Bytes)]>,
    pub(crate) process: Option<ProcessCredentials>,
}

/// What a candidate has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Proven to be the holder's.
    #[cfg_attr(not(feature = "curve"), allow(dead_code, reason = "there are no keys"))]
    Curve(CurvePublicKey),
    Null,
    Plain(PlainCredentials),
}

impl Candidate {
    /// Returns where the peer is: its address with tcp, else the endpoint at which both met.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the mechanism with which it has come, which is the socket's.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self.credentials {
            Credentials::Curve(_) => Mechanism::Curve,
            Credentials::Null => Mechanism::Null,
            Credentials::Plain(_) => Mechanism::Plain,
        }
    }

    /// Returns the name and the password that it shows, with PLAIN.
    #[must_use]
    pub fn plain(&self) -> Option<&PlainCredentials> {
        match &self.credentials {
            Credentials::Plain(credentials) => Some(credentials),
            Credentials::Curve(_) | Credentials::Null => None,
        }
    }

    /// Returns its public key, with CURVE. It has proven that it has the secret key.
    #[must_use]
    pub fn public_key(&self) -> Option<CurvePublicKey> {
        match self.credentials {
            Credentials::Curve(key) => Some(key),
            Credentials::Null | Credentials::Plain(_) => None,
        }
    }

    /// Returns what it says of itself, in its order and spelling. With PLAIN, where that comes later, nothing.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.properties.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Returns who its process runs as, with ipc, where the system tells.
    #[must_use]
    pub fn process(&self) -> Option<ProcessCredentials> {
        self.process
    }
}

/// The process at the other end of an ipc connection, as the system knew it when the connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ProcessCredentials {
    /// The process, where the system tells.
    pub pid: Option<u32>,
    /// The user.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
}

/// What becomes of a candidate.
///
/// ```
/// use peermq::{Admission, Decision};
///
/// assert_eq!(Decision::allow(), Decision::Allow(Admission::default()));
/// let Decision::Allow(admission) = Decision::allow_as("alice") else { unreachable!() };
/// assert_eq!(admission.user_id(), "alice");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It is let in: ZAP's 200.
    Allow(Admission),
    /// It is not, and is told so with this status, or with nothing. The words, like those of a ZAP handler, are for
    /// this side's monitor: [`ProtocolError::NotLetIn`](crate::ProtocolError::NotLetIn).
    Refuse(AuthStatus, Reason),
}

impl Decision {
    /// Lets the candidate in, as nobody in particular.
    #[must_use]
    pub fn allow() -> Self {
        Self::Allow(Admission::default())
    }

    /// Lets the candidate in as this user: see [`Peer::user_id`](crate::Peer::user_id).
    #[must_use]
    pub fn allow_as(user_id: impl Into<String>) -> Self {
        Self::Allow(Admission::new(user_id, Metadata::NONE))
    }

    /// Keeps the candidate out: ZAP's 400. It is told, and one that follows RFC 26 does not come back with the same
    /// credentials.
    #[must_use]
    pub const fn refuse() -> Self {
        Self::Refuse(AuthStatus::Refused, Reason::NONE)
    }

    /// Keeps the candidate out for now: ZAP's 300. It is not told, and may come back.
    #[must_use]
    pub const fn not_now() -> Self {
        Self::Refuse(AuthStatus::NotNow, Reason::NONE)
    }
}

/// As whom a peer was let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    user_id: String,
    properties: Vec<(Box<str>, Bytes)>,
}

impl Admission {
    /// Returns an admission for this user, with properties for [`Peer::property`](crate::Peer::property).
    #[must_use]
    pub fn new(user_id: impl Into<String>, metadata: Metadata) -> Self {
        let properties = metadata.properties();
        let properties = properties.map(|(name, value)| (name.into(), Bytes::copy_from_slice(value)));
        Self { user_id: user_id.into(), properties: properties.collect() }
    }

    /// Returns the user; empty is nobody in particular.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Returns the properties that whoever let it in has added.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.properties.iter().map(|(name, value)| (&**name, &**value))
    }

    pub(crate) fn from_zap(user_id: String, properties: Vec<(Box<str>, Bytes)>) -> Self {
        Self { user_id, properties }
    }
}

/// Decides whom a socket lets in. Clones are the same authorizer, which can be [replaced](Self::replace) while it is
/// in use.
///
/// Asked once for each handshake, after the credentials were proven as far as the mechanism can: with PLAIN and CURVE
/// by servers, with NULL for peers that connect to us. It runs on an I/O thread, which serves other connections too,
/// and so should decide at once, and must call no socket of the same context. A panic refuses the candidate
/// ([`AuthStatus::Failed`]) and harms nothing else.
///
/// ```
/// use peermq::{Authorizer, Candidate, Context, Decision, Rep};
///
/// let gate = Authorizer::new(|peer: &Candidate| {
///     if peer.endpoint().to_string().starts_with("tcp://127.") { Decision::allow() } else { Decision::refuse() }
/// });
/// let mut rep = Context::new().builder_for::<Rep>().authorizer(&gate).open()?;
/// rep.bind("tcp://127.0.0.1:0")?;
/// // Later, when the shop closes:
/// gate.replace(|_: &Candidate| Decision::not_now());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Authorizer(Option<Arc<Mutex<Judge>>>);

type Judge = Arc<dyn Fn(&Candidate) -> Decision + Send + Sync>;

impl Authorizer {
    /// There is none.
    pub const NONE: Self = Self(None);

    /// Returns one that decides so.
    pub fn new(decide: impl Fn(&Candidate) -> Decision + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Mutex::new(Arc::new(decide)))))
    }

    /// Returns one that lets everybody in. With CURVE that is encryption without knowing to whom.
    #[must_use]
    pub fn anyone() -> Self {
        Self::new(|_| Decision::allow())
    }

    /// Returns one that lets those in who show one of these names with its password, as the user of that name.
    ///
    /// A wrong name and a wrong password cannot be told apart, by what is answered nor by how long it takes. That
    /// takes time for each name in the list; for very many, decide by other means.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for a name or a password of more than 255 octets.
    pub fn passwords<N, P>(passwords: impl IntoIterator<Item = (N, P)>) -> Result<Self, InvalidValue>
    where
        N: AsRef<str>,
        P: AsRef<[u8]>,
    {
        let known = passwords.into_iter().map(|(name, password)| {
            let credentials = PlainCredentials::new(name.as_ref(), password)?;
            Ok((name.as_ref().to_owned(), credentials))
        });
        let known: Vec<_> = known.collect::<Result<_, _>>()?;
        Ok(Self::new(move |candidate| match candidate.plain() {
            Some(shown) => find(&known, shown).map_or_else(Decision::refuse, Decision::allow_as),
            None => Decision::refuse(),
        }))
    }

    /// Returns one that lets holders of the public keys in this file in.
    ///
    /// One key a line, in Z85; what follows it on the line, if anything, is the user. Empty lines and those that begin
    /// with `//` are passed over (`#` may begin a key). The file is read again when it has changed; while it is not
    /// there, or has a line that is no key, nobody is let in.
    ///
    /// ```
    /// # #[cfg(feature = "curve")] {
    /// use peermq::{Authorizer, CurveKeyPair};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("allowed");
    /// let alice = CurveKeyPair::generate()?.public_key();
    /// std::fs::write(&path, format!("// friends\n{alice} alice\n"))?;
    /// let authorizer = Authorizer::allowed_keys(&path)?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the file cannot be read now, or has a line that is no key.
    pub fn allowed_keys(path: impl Into<std::path::PathBuf>) -> Result<Self, OsError> {
        let keys = AllowedKeys::open(path.into())?;
        Ok(Self::new(move |candidate| keys.decide(candidate)))
    }

    /// Decides so from now on. What was decided stays.
    ///
    /// Without effect on [`NONE`](Self::NONE), which is nobody's.
    pub fn replace(&self, decide: impl Fn(&Candidate) -> Decision + Send + Sync + 'static) {
        if let Some(judge) = &self.0 {
            let old = std::mem::replace(&mut *lock(judge), Arc::new(decide));
            drop(old); // behind the lock
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Decides; `None` when there is nobody to decide.
    pub(crate) fn decide(&self, candidate: &Candidate) -> Option<Decision> {
        let judge = Arc::clone(&*lock(self.0.as_ref()?));
        let decided = catch_unwind(AssertUnwindSafe(|| judge(candidate)));
        Some(decided.unwrap_or(Decision::Refuse(AuthStatus::Failed, Reason::NONE)))
    }
}

impl From<&Self> for Authorizer {
    fn from(authorizer: &Self) -> Self {
        authorizer.clone()
    }
}

/// Clones are equal, others are not.
impl PartialEq for Authorizer {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl Eq for Authorizer {}

impl fmt::Display for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_none() { "none" } else { "set" })
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorizer({self})")
    }
}

impl Unit for Authorizer {
    const UNIT: &'static str = "callback";
}

/// Who has exactly these credentials. Looks at all of the list and all of the octets, whatever they are.
fn find(known: &[(String, PlainCredentials)], shown: &PlainCredentials) -> Option<String> {
    let mut found = usize::MAX;
    for (index, (_, credentials)) in known.iter().enumerate() {
        let is_it =
            equal(credentials.username(), shown.username()) & equal(credentials.password(), shown.password());
        if bool::from(is_it) {
            found = index;
        }
    }
    known.get(found).map(|(name, _)| name.clone())
}

/// Compares octets that are 255 at most, in the same time whatever they are.
fn equal(a: &[u8], b: &[u8]) -> Choice {
    let padded = |octets: &[u8]| {
        let mut room = [0; 255];
        for (place, octet) in room.iter_mut().zip(octets) {
            *place = *octet;
        }
        room
    };
    padded(a).ct_eq(&padded(b)) & a.len().ct_eq(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(credentials: Credentials) -> Candidate {
        Candidate {
            endpoint: "tcp://127.0.0.1:1".parse().unwrap(),
            credentials,
            properties: Arc::default(),
            process: None,
        }
    }

    fn plain(username: &str, password: &str) -> Candidate {
        candidate(Credentials::Plain(PlainCredentials::new(username, password).unwrap()))
    }

    #[test]
    fn passwords_are_compared_whole() {
        // P-12, P-13
        let long = "x".repeat(255);
        let known = [("alice", "a"), ("bob", ""), ("", "nobody"), ("long", &long), ("alice", "b")];
        let authorizer = Authorizer::passwords(known).unwrap();
        for (name, password) in known {
            assert_eq!(authorizer.decide(&plain(name, password)), Some(Decision::allow_as(name)));
        }
        let almost = &long[1..];
        for (name, password) in [
            ("alice", ""),
            ("alice", "a\0"),
            ("alice", "c"),
            ("bob", "a"),
            ("Alice", "a"),
            ("", ""),
            ("long", almost),
        ] {
            assert_eq!(authorizer.decide(&plain(name, password)), Some(Decision::refuse()), "{name}");
        }
        assert_eq!(authorizer.decide(&candidate(Credentials::Null)), Some(Decision::refuse()));
        assert!(Authorizer::passwords([("a", [0; 256])]).is_err());
    }

    #[test]
    fn how_long_it_takes_tells_nothing() {
        // P-13: Welch's t between a wrong name, and a wrong password of somebody known. Whatever else runs disturbs
        // it, so only with `PEERMQ_FULL`, and alone.
        if std::env::var_os("PEERMQ_FULL").is_none() {
            return;
        }
        let authorizer = Authorizer::passwords([("alice", "secret"), ("bob", "hidden")]).unwrap();
        let shown = [plain("mabel", "secret"), plain("alice", "seCret")];
        let mut taken: [Vec<f64>; 2] = Default::default();
        let mut random = 0x2545_F491_4F6C_DD1D_u64;
        while taken.iter().any(|taken| taken.len() < 100_000) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let which = usize::from(random >> 63 == 1);
            let begun = std::time::Instant::now();
            assert_eq!(authorizer.decide(&shown[which]), Some(Decision::refuse()));
            taken[which].push(begun.elapsed().as_secs_f64());
        }
        // Without the slowest, which somebody else has delayed.
        let mut all = taken.concat();
        all.sort_by(f64::total_cmp);
        let most = all[all.len() * 9 / 10];
        let [a, b] = taken.map(|taken| {
            let kept: Vec<f64> = taken.into_iter().filter(|it| *it <= most).collect();
            let count = kept.len() as f64;
            let mean = kept.iter().sum::<f64>() / count;
            (mean, kept.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0) / count)
        });
        let t = (a.0 - b.0) / (a.1 + b.1).sqrt();
        println!("t = {t:.2}, {:.1} and {:.1} ns", a.0 * 1e9, b.0 * 1e9);
        assert!(t.abs() < 4.5, "{t}");
    }

    #[test]
    fn a_panic_refuses_and_the_next_is_decided_as_ever() {
        let authorizer = Authorizer::new(|candidate| {
            assert!(candidate.plain().is_none(), "this panic is part of the test");
            Decision::allow()
        });
        let failed = Some(Decision::Refuse(AuthStatus::Failed, Reason::NONE));
        assert_eq!(authorizer.decide(&plain("a", "b")), failed);
        assert_eq!(authorizer.decide(&candidate(Credentials::Null)), Some(Decision::allow()));
        Authorizer::from(&authorizer).replace(|_| Decision::not_now());
        assert_eq!(authorizer.decide(&candidate(Credentials::Null)), Some(Decision::not_now()));
        assert_eq!(Authorizer::NONE.decide(&plain("a", "b")), None);
    }
}
