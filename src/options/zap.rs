//! Under which name a socket asks a ZAP handler. Source: RFC 27/ZAP.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use super::value::Unit;
use crate::error::InvalidValue;

/// The name under which a socket asks the program's ZAP handler about its peers; none: it does not ask.
///
/// ```
/// use peermq::{InvalidValue, ZapDomain};
///
/// assert_eq!(ZapDomain::new("global")?.to_string(), "global");
/// assert!(ZapDomain::new("").is_err());
/// # Ok::<(), InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZapDomain(Option<Arc<str>>);

impl ZapDomain {
    /// No handler is asked.
    pub const NONE: Self = Self(None);

    /// Returns a domain of 1 to 255 visible ASCII characters and spaces.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for other texts.
    pub fn new(name: &str) -> Result<Self, InvalidValue> {
        let is_legal = (1..=usize::from(u8::MAX)).contains(&name.len())
            && name.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ');
        if is_legal { Ok(Self(Some(name.into()))) } else { Err(NO_DOMAIN) }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Display for ZapDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("none"))
    }
}

impl Unit for ZapDomain {
    const UNIT: &'static str = "text";
}

/// What is wrong with other values.
const NO_DOMAIN: InvalidValue =
    InvalidValue::new("zap_domain", "1 to 255 visible ASCII characters and spaces");

#[cfg(test)]
mod rfc27 {
    use super::*;

    #[test]
    fn a_domain_is_a_text_of_1_to_255_characters() {
        // A-06, A-15
        let most = "x".repeat(255);
        for name in ["a", "a b", &most] {
            assert_eq!(ZapDomain::new(name).unwrap().name(), Some(name));
        }
        for name in ["", "\0", "a\n", "\u{e4}", &format!("{most}x")] {
            assert!(ZapDomain::new(name).is_err(), "{name:?}");
        }
    }
}
