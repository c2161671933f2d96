//! Messages and commands behind the handshake: each frame in a box of its own, with a number that only grows.
//!
//! A sealed frame goes as a message, not as a command as RFC 26 has it: libzmq sends it so, and takes what comes with
//! the flag of a command for one although it was not inside of the box. What comes may be either.
//!
//! Source: RFC 26, "The MESSAGE Command".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt;

use super::boxes::{PrefixedKey, SharedKey, TAG};
use crate::error::ProtocolError;
use crate::frame::{COMMAND, MORE, encode_header};

/// Which of the two we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// What frames are sealed and opened with, one way each.
#[derive(Debug)]
pub(crate) struct Boxes {
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
}

impl Boxes {
    /// With the key of both ends, and the numbers that were used last.
    pub(super) fn new(key: &SharedKey, role: Role, ours: u64, theirs: u64) -> Self {
        let (to_peer, from_peer) = match role {
            Role::Client => (CLIENT_NONCE, SERVER_NONCE),
            Role::Server => (SERVER_NONCE, CLIENT_NONCE),
        };
        Self {
            sealer: Sealer { key: key.with_prefix(to_peer), last: ours },
            opener: Opener { key: key.with_prefix(from_peer), last: theirs },
        }
    }
}

#[cfg(test)]
impl Boxes {
    /// Those of both ends, under a key that everybody knows.
    pub(crate) fn of_both_ends() -> [Self; 2] {
        let key = SharedKey::own(zeroize::Zeroizing::new([7; super::KEY]));
        [Self::new(&key, Role::Client, 0, 0), Self::new(&key, Role::Server, 0, 0)]
    }
}

/// Seals frames.
pub(crate) struct Sealer {
    key: PrefixedKey,
    last: u64,
}

impl Sealer {
    /// Octets by which a sealed frame's body is longer.
    pub(crate) const OVERHEAD: usize = PREFIX.len() + 8 + TAG + 1;

    /// Appends what stands before the body of a frame, which has to be appended next, and returns where the box
    /// begins.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::TooManyEncrypted`].
    pub(crate) fn begin(
        &mut self,
        flags: u8,
        body_octets: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, ProtocolError> {
        self.last = self.last.checked_add(1).ok_or(ProtocolError::TooManyEncrypted)?;
        let (header, header_octets) = encode_header(0, Self::OVERHEAD + body_octets);
        out.extend(header.iter().take(header_octets));
        out.extend_from_slice(PREFIX);
        out.extend(self.last.to_be_bytes());
        let start = out.len();
        out.extend([0; TAG]);
        let more = if flags & MORE == 0 { 0 } else { INNER_MORE };
        let command = if flags & COMMAND == 0 { 0 } else { INNER_COMMAND };
        out.push(more | command);
        Ok(start)
    }

    /// Seals the box at `start`, which goes to the end.
    pub(crate) fn end(&mut self, start: usize, out: &mut [u8]) {
        if let Some((tag, text)) = out.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut) {
            self.key.seal(self.last, tag, text);
        }
    }
}

/// Opens frames.
pub(crate) struct Opener {
    key: PrefixedKey,
    last: u64,
}

impl Opener {
    /// Opens the body of a frame in place; the flags and the body that were sealed.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::UnexpectedCommand`] for what is not sealed, [`ProtocolError::Repeated`],
    /// [`ProtocolError::Undecipherable`], and [`ProtocolError::ReservedFlags`] inside of the box (D16).
    pub(crate) fn open<'a>(&mut self, body: &'a mut [u8]) -> Result<(u8, &'a [u8]), ProtocolError> {
        let (prefix, rest) = body.split_first_chunk_mut().ok_or(ProtocolError::UnexpectedCommand)?;
        if prefix != PREFIX {
            return Err(ProtocolError::UnexpectedCommand);
        }
        let (number, rest) = rest.split_first_chunk_mut().ok_or(ProtocolError::MalformedCommand)?;
        let (tag, text) = rest.split_first_chunk_mut().ok_or(ProtocolError::MalformedCommand)?;
        if text.is_empty() {
            return Err(ProtocolError::MalformedCommand);
        }
        let value = u64::from_be_bytes(*number);
        if value <= self.last {
            return Err(ProtocolError::Repeated);
        }
        self.key.open(value, tag, text)?;
        self.last = value; // now that it is the peer's
        let Some((inner, body)) = text.split_first() else {
            unreachable!("it has an octet, as checked above")
        };
        match *inner {
            0 => Ok((0, body)),
            INNER_MORE => Ok((MORE, body)),
            INNER_COMMAND => Ok((COMMAND, body)),
            other if other == INNER_MORE | INNER_COMMAND => Err(ProtocolError::CommandWithMore),
            other => Err(ProtocolError::ReservedFlags(other)),
        }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("last", &self.last).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("last", &self.last).finish_non_exhaustive()
    }
}

const PREFIX: &[u8; 8] = b"\x07MESSAGE";
const CLIENT_NONCE: &[u8; 16] = b"CurveZMQMESSAGEC";
const SERVER_NONCE: &[u8; 16] = b"CurveZMQMESSAGES";

/// The flags inside of a box. The second is libzmq's, for what RFC 26 has no place for (D16).
const INNER_MORE: u8 = 1;
const INNER_COMMAND: u8 = 2;

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn numbers_end_and_do_not_begin_again() {
        // C-14, B-63: "more than 2^64-1 commands".
        let key = SharedKey::own(Zeroizing::new([7; 32]));
        let mut boxes = Boxes::new(&key, Role::Client, u64::MAX - 2, 0);
        let mut out = Vec::new();
        for _ in 0..2 {
            assert!(boxes.sealer.begin(0, 0, &mut out).is_ok());
        }
        for _ in 0..2 {
            assert_eq!(boxes.sealer.begin(0, 0, &mut out), Err(ProtocolError::TooManyEncrypted));
        }
    }
}
