//! Security mechanisms: their names in the greeting, and one file with the handshake of each.
//!
//! A socket speaks exactly one mechanism; a peer that announces another is refused. Source: RFC 37,
//! "Authentication and Confidentiality".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(super) mod null;

/// Octets of the mechanism field in a greeting.
pub(super) const NAME_OCTETS: usize = 20;

/// A mechanism's name as the greeting carries it: ASCII, padded with zeros. Compared as a whole (D6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) [u8; NAME_OCTETS]);

impl Name {
    /// No authentication, no confidentiality.
    pub(super) const NULL: Self = Self(*b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
}

/// What a socket demands of everybody that it talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Security {
    /// What both greetings must announce.
    pub(super) mechanism: Name,
    /// Somebody is asked about each peer before it is let in.
    pub(super) is_guarded: bool,
}

impl Security {
    /// Whoever comes is let in.
    pub(crate) const NONE: Self = Self { mechanism: Name::NULL, is_guarded: false };

    /// Whether peers of ZMTP 1.0 and 2.0 are let in, which can neither prove who they are nor keep a secret: only
    /// where nothing at all is demanded (Z-20, Z-21).
    pub(super) fn admits_old_peers(self) -> bool {
        self == Self::NONE
    }
}

#[cfg(test)]
mod rfc37_greeting {
    use super::*;

    #[test]
    fn our_mechanism_names_use_the_public_charset() {
        // Z-04: "Mechanism names SHALL consist only of uppercase letters A to Z, digits, and embedded hyphens
        // or underscores." Z-03: null-padded to 20 octets.
        let Name(octets) = Name::NULL;
        let name_octets = octets.iter().position(|&octet| octet == 0).unwrap();
        let (name, padding) = octets.split_at(name_octets);
        assert_eq!(name, b"NULL");
        assert!(name.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || b"-_".contains(c)));
        assert!(padding.iter().all(|&octet| octet == 0));
    }
}
