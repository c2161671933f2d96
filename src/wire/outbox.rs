//! Control octets on their way out: the greeting, the handshake's commands, PONGs.
//!
//! The session writes them between messages, and inside of one only when it will not say the rest. It holds no memory while it is empty, so an
//! idle connection pays nothing for it.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::frame;
use crate::limits;

/// Control octets (greeting, handshake commands, PONG) waiting to be written between messages.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    octets: Vec<u8>,
    /// Octets at the front that nobody asked for: they do not count as answers.
    unasked: usize,
}

impl Outbox {
    pub(crate) const fn new() -> Self {
        Self { octets: Vec::new(), unasked: 0 }
    }

    /// Control octets of somewhere else.
    pub(crate) fn of(octets: Vec<u8>) -> Self {
        Self { octets, unasked: 0 }
    }

    /// Forgets the first `n` octets: they are written.
    pub(crate) fn advance(&mut self, n: usize) {
        self.unasked = self.unasked.saturating_sub(n);
        if n >= self.octets.len() {
            self.octets = Vec::new();
        } else {
            self.octets.drain(..n);
        }
    }

    /// Appends a message of one frame, whose body is the parts in a row.
    pub(super) fn push_message(&mut self, parts: &[&[u8]]) {
        let body_octets = parts.iter().map(|part| part.len()).sum::<usize>();
        let (header, header_octets) = frame::encode_header(0, body_octets);
        self.octets.reserve(header_octets + body_octets);
        self.octets.extend(header.iter().take(header_octets));
        for part in parts {
            self.octets.extend_from_slice(part);
        }
    }

    /// Appends a message of one frame as ZMTP 1.0 has it, whose body is the parts in a row.
    pub(super) fn push_zmtp1_message(&mut self, parts: &[&[u8]]) {
        let body_octets = parts.iter().map(|part| part.len() as u64).sum();
        let (header, header_octets) = frame::zmtp1::encode(false, body_octets);
        self.octets.extend(header.iter().take(header_octets));
        for part in parts {
            self.octets.extend_from_slice(part);
        }
    }

    /// Appends octets as they are.
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Appends one command frame, short form up to 255 octets of body. The data is the parts in a row.
    pub(super) fn push_command(&mut self, name: &'static str, data: &[&[u8]]) {
        let Ok(name_octets) = u8::try_from(name.len()) else {
            unreachable!("command names are literals of this module, all under 256 octets")
        };
        let body_octets = 1 + name.len() + data.iter().map(|part| part.len()).sum::<usize>();
        let (header, header_octets) = frame::encode_header(frame::COMMAND, body_octets);
        self.octets.reserve(header_octets + body_octets);
        self.octets.extend(header.iter().take(header_octets));
        self.octets.push(name_octets);
        self.octets.extend_from_slice(name.as_bytes());
        for part in data {
            self.octets.extend_from_slice(part);
        }
    }

    /// What is in it now answers nothing.
    pub(super) fn count_as_unasked(&mut self) {
        self.unasked = self.octets.len();
    }

    /// The octets still to be written.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Whether a peer that sends PINGs and reads nothing has filled it: no more is read from that peer until
    /// this is `false` again. The check is the driver's; a push always succeeds.
    pub(crate) fn is_full(&self) -> bool {
        self.octets.len() - self.unasked >= limits::OUTBOX_OCTETS
    }

    pub(crate) fn len(&self) -> usize {
        self.octets.len()
    }
}

#[cfg(test)]
mod rfc37_framing {
    use super::*;

    #[test]
    fn a_command_is_one_short_frame_up_to_255_octets_and_a_long_one_above() {
        // F-10: "If the body is 0-255 octets, the command SHOULD use a short size field"; F-01, F-04, F-13.
        for body in [254, 255, 256, 257] {
            let data = vec![b'x'; body - 6];
            let mut out = Outbox::new();
            out.push_command("READY", &[&data]);
            let mut expected = match u8::try_from(body) {
                Ok(size) => vec![4, size],
                Err(_) => [&[6], &(body as u64).to_be_bytes()[..]].concat(),
            };
            expected.extend_from_slice(b"\x05READY");
            expected.extend_from_slice(&data);
            assert_eq!(out.octets(), expected);
        }
    }

    #[test]
    fn advancing_drops_what_is_written_and_frees_an_empty_outbox() {
        let mut out = Outbox::new();
        out.push(b"abc");
        out.push(b"def");
        out.advance(2);
        assert_eq!((out.octets(), out.len(), out.is_empty()), (&b"cdef"[..], 4, false));
        out.advance(4);
        assert!(out.is_empty());
        assert_eq!(out.octets.capacity(), 0);
    }
}
