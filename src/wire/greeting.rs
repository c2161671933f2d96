//! The greeting: 64 octets that name the version and the mechanism.
//!
//! Nothing older than ZMTP 3.0 is spoken, so ours goes out whole and at once, and the peer is expected to
//! send 64 octets too. Peers of ZMTP 1.0 and 2.0 are recognised by RFC 37's rules and refused, as is anything
//! else, at the first octet that settles it.
//!
//! Source: RFC 37, "Version Negotiation" and "Backwards Interoperability".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use smallvec::SmallVec;

use crate::error::ProtocolError;
use crate::wire::mechanism::Name;
use crate::wire::outbox::Outbox;

/// Octets of a greeting.
pub(super) const GREETING_OCTETS: usize = 64;

/// The version that a peer announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) major: u8,
    pub(super) minor: u8,
}

impl Version {
    /// What we speak.
    pub(super) const OURS: Self = Self { major: 3, minor: 1 };
}

/// Sends our greeting; as-server is zero, for NULL knows no roles.
pub(super) fn push(out: &mut Outbox, mechanism: Name) {
    out.push(&[SIGNATURE_FIRST, 0, 0, 0, 0, 0, 0, 0, 0, SIGNATURE_LAST]);
    out.push(&[Version::OURS.major, Version::OURS.minor]);
    out.push(&mechanism.0);
    out.push(&[0; 1 + FILLER_OCTETS]);
}

/// The peer's greeting, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    octets: SmallVec<[u8; GREETING_OCTETS]>,
}

impl Incoming {
    /// Takes what belongs to the greeting off the front of `input`; `Some` when it is complete.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::InvalidGreeting`] and [`ProtocolError::UnsupportedVersion`] as soon as they are certain.
    /// [`ProtocolError::MechanismMismatch`] only at the end: a peer that sent a whole greeting is owed ours, and
    /// to close with octets unread could take it away again.
    pub(super) fn take(
        &mut self,
        input: &mut &[u8],
        mechanism: Name,
    ) -> Result<Option<Version>, ProtocolError> {
        let missing = GREETING_OCTETS - self.octets.len();
        let (mine, rest) = input.split_at(missing.min(input.len()));
        self.octets.extend_from_slice(mine);
        *input = rest;
        self.check_signature()?;
        if self.octets.len() < GREETING_OCTETS {
            return Ok(None);
        }
        match self.octets.as_slice() {
            [_, _, _, _, _, _, _, _, _, _, major, minor, rest @ ..] => match rest.first_chunk() {
                Some(theirs) if *theirs == mechanism.0 => Ok(Some(Version { major: *major, minor: *minor })),
                _ => Err(ProtocolError::MechanismMismatch),
            },
            _ => unreachable!("the length was just compared with the full greeting"),
        }
    }

    /// Judges the octets up to the major version in the order they came, so that the verdict does not depend
    /// on how the stream was cut. The padding between the ends of the signature is never looked at.
    fn check_signature(&self) -> Result<(), ProtocolError> {
        if self.octets.first().is_some_and(|&first| first != SIGNATURE_FIRST) {
            return Err(ProtocolError::InvalidGreeting);
        }
        match self.octets.get(SIGNATURE_LAST_AT) {
            None | Some(&SIGNATURE_LAST) => {}
            // ZMTP 1.0 sends the flags of its identity frame here, and the last frame has bit 0 clear.
            Some(flags) if flags & 1 == 0 => return Err(ProtocolError::UnsupportedVersion(1)),
            Some(_) => return Err(ProtocolError::InvalidGreeting),
        }
        match self.octets.get(MAJOR_AT) {
            Some(&major) if major < Version::OURS.major => Err(ProtocolError::UnsupportedVersion(major)),
            _ => Ok(()),
        }
    }

    #[cfg(test)]
    pub(super) fn held_octets(&self) -> usize {
        self.octets.capacity()
    }
}

const SIGNATURE_FIRST: u8 = 0xFF;
const SIGNATURE_LAST: u8 = 0x7F;
const SIGNATURE_LAST_AT: usize = 9;
const MAJOR_AT: usize = 10;
const FILLER_OCTETS: usize = 31;
