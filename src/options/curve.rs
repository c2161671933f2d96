//! CURVE's keys: made, printed, read. Source: RFC 26/CURVEZMQ, RFC 32/Z85.
#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::z85;
use crate::error::{InvalidValue, OsError};

/// A public key for CURVE: who a peer is. Printed and parsed as Z85, 40 characters.
///
/// ```
/// use peermq::{CurveKeyPair, CurvePublicKey};
///
/// let keys = CurveKeyPair::generate()?;
/// let text = keys.public_key().to_string();
/// assert_eq!(text.len(), 40);
/// assert_eq!(text.parse::<CurvePublicKey>()?, keys.public_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CurvePublicKey([u8; 32]);

impl CurvePublicKey {
    /// Returns the key that these octets are.
    #[must_use]
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// Returns the octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for CurvePublicKey {
    type Err = InvalidValue;

    /// Reads Z85.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        parse(text).map(|octets| Self(*octets))
    }
}

impl fmt::Display for CurvePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&z85::encode(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for CurvePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CurvePublicKey({self})")
    }
}

/// A secret key for CURVE and the public key that belongs to it.
///
/// Clones share one secret, which is overwritten when the last of them is dropped. `Debug` does not show it.
///
/// ```
/// use peermq::CurveKeyPair;
///
/// let keys = CurveKeyPair::generate()?;
/// let again = CurveKeyPair::from_secret_text(&keys.secret_text())?;
/// assert_eq!(again.public_key(), keys.public_key());
/// assert!(!format!("{keys:?}").contains(keys.secret_text().as_str()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CurveKeyPair {
    public: CurvePublicKey,
    secret: Arc<Zeroizing<[u8; 32]>>,
}

impl CurveKeyPair {
    /// Makes a new pair, with randomness from the operating system.
    ///
    /// # Errors
    ///
    /// When the operating system has no random octets.
    pub fn generate() -> Result<Self, OsError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(|error| OsError::from(std::io::Error::from(error)))?;
        Ok(Self::new(secret))
    }

    /// Returns the pair of a secret key.
    #[must_use]
    pub fn from_secret_bytes(secret: [u8; 32]) -> Self {
        Self::new(Zeroizing::new(secret))
    }

    /// Returns the pair of a secret key in Z85, 40 characters.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] when the text is no such key.
    pub fn from_secret_text(secret: &str) -> Result<Self, InvalidValue> {
        parse(secret).map(Self::new)
    }

    /// Returns the public key, which is no secret: peers need it.
    #[must_use]
    pub fn public_key(&self) -> CurvePublicKey {
        self.public
    }

    /// Returns the secret key in Z85, for a file that nobody else can read. Overwritten when it is dropped.
    #[must_use]
    pub fn secret_text(&self) -> Zeroizing<String> {
        Zeroizing::new(z85::encode(&self.secret[..]).unwrap_or_default())
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        let public = PublicKey::from(&StaticSecret::from(*secret)).to_bytes();
        Self { public: CurvePublicKey(public), secret: Arc::new(secret) }
    }
}

/// Pairs with the same public key work alike.
impl PartialEq for CurveKeyPair {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for CurveKeyPair {}

impl fmt::Debug for CurveKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurveKeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

fn parse(text: &str) -> Result<Zeroizing<[u8; 32]>, InvalidValue> {
    let octets = Zeroizing::new(z85::decode(text).ok_or(NO_KEY)?);
    octets.as_slice().try_into().map(Zeroizing::new).map_err(|_| NO_KEY)
}

/// Fills `room` with random octets from the operating system. `false`: it has none.
pub(crate) fn fill_random(room: &mut [u8]) -> bool {
    getrandom::fill(room).is_ok()
}

/// What is wrong with other values.
const NO_KEY: InvalidValue = InvalidValue::new("security", "CURVE keys of 40 characters in Z85");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_libzmqs_manual_are_read_and_printed() {
        // C-47: zmq_curve(7)'s test vectors.
        for (public, secret) in [
            ("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"),
            ("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"),
        ] {
            let keys = CurveKeyPair::from_secret_text(secret).unwrap();
            assert_eq!(keys.public_key().to_string(), public);
            assert_eq!(*keys.secret_text(), secret);
            assert_eq!(public.parse(), Ok(keys.public_key()));
        }
    }

    #[test]
    fn texts_that_are_no_keys_are_refused() {
        // C-47, C-48
        let text = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
        for text in
            ["", &text[..35], &text[..39], &format!("{text}0"), &format!("{text}00000"), &"#".repeat(40)]
        {
            assert!(text.parse::<CurvePublicKey>().is_err(), "{text:?}");
            assert!(CurveKeyPair::from_secret_text(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_two_generated_pairs_are_alike_and_debug_hides_the_secret() {
        let (a, b) = (CurveKeyPair::generate().unwrap(), CurveKeyPair::generate().unwrap());
        assert_ne!(a, b);
        let shown = format!("{a:?}");
        assert!(shown.contains(&a.public_key().to_string()) && !shown.contains(a.secret_text().as_str()));
    }
}
