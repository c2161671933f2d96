//! The last words of a side that goes first: how many messages of the other it has received.
//!
//! Both sides end with the end of their octets, and whoever closes takes the peer's end as proof that it has read
//! everything. But a peer that goes by itself at that moment ends in the same way, and throws away what it has not
//! received. So who goes says so in its last octets, with the count: its peer compares that with what it has said. They are
//! a frame, but in the middle of a message, where they are found by whoever throws that away.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::wire::command;

/// The last octets of a peer, of which nobody looks at more.
#[derive(Debug)]
pub(crate) struct LastWords([u8; Self::OCTETS]);

impl LastWords {
    /// Octets of the frame that says it.
    pub(crate) const OCTETS: usize = 25;

    /// Behind octets that came before.
    pub(crate) fn behind(octets: &[u8]) -> Self {
        let mut last = Self([0; Self::OCTETS]);
        last.push(octets);
        last
    }

    pub(crate) fn push(&mut self, octets: &[u8]) {
        let octets = octets.get(octets.len().saturating_sub(Self::OCTETS)..).unwrap_or_default();
        self.0.rotate_left(octets.len());
        let places = self.0.iter_mut().rev().zip(octets.iter().rev());
        places.for_each(|(place, octet)| *place = *octet);
    }

    /// How many messages the peer has received, if it has said so last.
    pub(crate) fn received(&self) -> Option<u64> {
        command::going(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Outbox;

    #[test]
    fn last_words_are_found_behind_anything_and_in_any_cut() {
        let mut out = Outbox::new();
        command::push_going(&mut out, 0x0102_0304);
        let octets = [&[7; 40], out.octets()].concat();
        for first in 0..octets.len() {
            for second in first..octets.len() {
                let mut last = LastWords::behind(&octets[..first]);
                last.push(&octets[first..second]);
                assert_eq!(last.received(), None);
                last.push(&octets[second..]);
                assert_eq!(last.received(), Some(0x0102_0304));
                last.push(&[]);
                assert_eq!(last.received(), Some(0x0102_0304));
                last.push(&[0]);
                assert_eq!(last.received(), None, "it has said something else behind them");
            }
        }
    }
}
