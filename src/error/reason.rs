//! The words with which somebody is refused.
#![forbid(unsafe_code)]

use std::fmt;

/// Why somebody was refused, in the words of whoever refused: the first 30 characters of them.
///
/// For people who read logs: of a peer's words nothing says that they are true. What is no visible ASCII character
/// stands there as `?`, so that they can be shown anywhere.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Reason {
    octets: u8,
    text: [u8; Self::OCTETS_MAX],
}

impl Reason {
    /// So that an error stays small. RFC 37 allows 255.
    const OCTETS_MAX: usize = 30;

    /// No words.
    pub const NONE: Self = Self { octets: 0, text: [0; Self::OCTETS_MAX] };

    /// Returns these words, as far as there is room for them.
    #[must_use]
    pub fn new(words: &str) -> Self {
        Self::from_octets(words.as_bytes())
    }

    /// From what an ERROR command or a ZAP handler says.
    pub(crate) fn from_octets(said: &[u8]) -> Self {
        let mut reason = Self::NONE;
        for (place, octet) in reason.text.iter_mut().zip(said) {
            *place = if matches!(octet, b' '..=b'~') { *octet } else { b'?' };
            reason.octets += 1;
        }
        reason
    }

    /// Returns the words; empty if there were none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let octets = self.text.get(..usize::from(self.octets)).unwrap_or_default();
        std::str::from_utf8(octets).unwrap_or_default()
    }
}

/// `: ` and the words, or nothing.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.octets == 0 { Ok(()) } else { write!(f, ": {}", self.as_str()) }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ConnectionError, ProtocolError};

    #[test]
    fn words_are_cut_and_made_visible() {
        // C-42, N-08: 0 to 255 octets of anything.
        for octets in 0..=255_usize {
            let said = "x".repeat(octets);
            assert_eq!(Reason::from_octets(said.as_bytes()).as_str(), &said[..octets.min(30)]);
        }
        let all: Vec<u8> = (0..=255).collect();
        for octets in all.chunks(7) {
            let reason = Reason::from_octets(octets);
            assert!(reason.as_str().bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()));
            assert_eq!(reason.as_str().len(), octets.len());
        }
    }

    #[test]
    fn an_error_shows_the_words_and_stays_small() {
        let refused =
            |said: &str| ProtocolError::RefusedByPeer(Reason::from_octets(said.as_bytes())).to_string();
        assert_eq!(refused("No such room"), "the peer refused the connection: No such room");
        assert_eq!(refused(""), "the peer refused the connection");
        assert!(size_of::<ProtocolError>() <= 32 && size_of::<ConnectionError>() <= 32);
    }
}
