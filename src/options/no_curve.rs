//! In place of CURVE's keys, without the feature `curve`: types that have no values.
#![forbid(unsafe_code)]

use crate::error::InvalidValue;

/// A public key for CURVE. Exists with the feature `curve` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CurvePublicKey {}

/// A pair of keys for CURVE. Exists with the feature `curve` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CurveKeyPair {}

impl CurvePublicKey {
    /// Returns the octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        match *self {}
    }
}

impl std::str::FromStr for CurvePublicKey {
    type Err = InvalidValue;

    fn from_str(_: &str) -> Result<Self, InvalidValue> {
        Err(NO_KEY)
    }
}

/// There is no need of randomness.
pub(crate) fn fill_random(_: &mut [u8]) -> bool {
    false
}

/// What is wrong with other values.
const NO_KEY: InvalidValue =
    InvalidValue::new("security", "CURVE keys only with the feature `curve` of peermq");
