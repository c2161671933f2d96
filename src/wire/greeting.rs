//! The greeting: who speaks which version of ZMTP, and with which mechanism.
//!
//! ```text
//!          we send              the peer's octets say              we send
//!                            ┌─ first not FF, or bit 0 of the ──▶ our routing id ──▶ ZMTP 1.0
//!    FF length 7F ──▶ 1 or 10┤  tenth clear
//!                            └─ else ▶ 03 ──▶ eleventh 1 or 2 ──▶ socket type, routing id ──▶ ZMTP 2.0
//!                                                 3 or more ────▶ the rest of 64 octets ──▶ ZMTP 3
//! ```
//!
//! So ours begins as the frame of a routing id in ZMTP 1.0, whose length takes the place of the padding. A socket
//! that demands more than NULL can give never falls back: it sends all 64 octets at once, without a length, and
//! refuses older peers at the first octet that shows them, as every socket does with what is no ZMTP.
//!
//! Source: RFC 37, "Version Negotiation" and "Backwards Interoperability".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use smallvec::SmallVec;

use crate::error::ProtocolError;
use crate::socket_type::SocketType;
use crate::wire::metadata::Local;
use crate::wire::old;
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

/// A greeting's octets, as far as they have come.
pub(super) type Octets = SmallVec<[u8; GREETING_OCTETS]>;

/// What a greeting has come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Greeted {
    /// ZMTP 3 or higher, and the whole greeting is there.
    Current(Version),
    /// ZMTP 1.0. These octets begin the frame of its routing id.
    One(Octets),
    /// ZMTP 2.0. The frame of its routing id comes next.
    Two(SocketType),
}

/// Sends what may be sent before anything is known of the peer.
pub(super) fn start(local: &Local, out: &mut Outbox) {
    let length = if local.security.admits_old_peers() { old::length(local) } else { 0 };
    out.push(&[SIGNATURE_FIRST]);
    out.push(&length.to_be_bytes());
    out.push(&[SIGNATURE_LAST]);
    if !local.security.admits_old_peers() {
        push_major(out);
        push_rest(local, out);
    }
}

/// The peer's greeting, as far as it has come.
#[derive(Debug)]
pub(super) struct Incoming {
    octets: Octets,
    /// Octets with which the next decision can be made.
    wanted: usize,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self { octets: Octets::new(), wanted: 1 }
    }

    /// Takes what belongs to the greeting off the front of `input`, and answers; `Some` when the version is known,
    /// and the greeting of that version is complete.
    ///
    /// Decides at the octets that matter, one after the other, so that nothing depends on how the stream was cut.
    /// The padding between the ends of the signature is never looked at.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::InvalidGreeting`] and [`ProtocolError::UnsupportedVersion`] as soon as they are certain;
    /// [`ProtocolError::UnknownSocketType`] and [`ProtocolError::IncompatibleSocketTypes`] with ZMTP 2.0.
    /// [`ProtocolError::MechanismMismatch`] only at the end: a peer that sent a whole greeting is owed ours, and
    /// to close with octets unread could take it away again.
    pub(super) fn take(
        &mut self,
        input: &mut &[u8],
        local: &Local,
        out: &mut Outbox,
    ) -> Result<Option<Greeted>, ProtocolError> {
        let admits_old = local.security.admits_old_peers();
        while self.fill(input) {
            match *self.octets.as_slice() {
                [SIGNATURE_FIRST] => self.wanted = SIGNATURE_OCTETS,
                [first] if first > 0 && admits_old => return Ok(Some(self.one(local, out))),
                [_] => return Err(ProtocolError::InvalidGreeting),
                [.., last] if self.wanted == SIGNATURE_OCTETS => {
                    match last {
                        SIGNATURE_LAST => {}
                        // The flags of ZMTP 1.0's routing id, which is the last frame of a message.
                        _ if last & 1 == 0 && admits_old => return Ok(Some(self.one(local, out))),
                        _ if last & 1 == 0 => return Err(ProtocolError::UnsupportedVersion(1)),
                        _ => return Err(ProtocolError::InvalidGreeting),
                    }
                    if admits_old {
                        push_major(out);
                    }
                    self.wanted = MAJOR_OCTETS;
                }
                [.., major] if self.wanted == MAJOR_OCTETS => match major {
                    1 | 2 if admits_old => {
                        old::push_socket_type(local, out);
                        self.wanted = SOCKET_TYPE_OCTETS;
                    }
                    0..=2 => return Err(ProtocolError::UnsupportedVersion(major)),
                    _ => {
                        if admits_old {
                            push_rest(local, out);
                        }
                        self.wanted = GREETING_OCTETS;
                    }
                },
                [.., code] if self.wanted == SOCKET_TYPE_OCTETS => {
                    return Ok(Some(Greeted::Two(old::peer_type(local, code)?)));
                }
                [_, _, _, _, _, _, _, _, _, _, major, minor, ref rest @ ..] => {
                    return match rest.first_chunk() {
                        Some(theirs) if *theirs == local.security.name().0 => {
                            Ok(Some(Greeted::Current(Version { major, minor })))
                        }
                        _ => Err(ProtocolError::MechanismMismatch),
                    };
                }
                _ => unreachable!("all that is wanted is there, and more than a signature was"),
            }
        }
        Ok(None)
    }

    /// Takes octets up to the next decision. `false`: some are missing.
    fn fill(&mut self, input: &mut &[u8]) -> bool {
        let missing = self.wanted - self.octets.len();
        let (mine, rest) = input.split_at(missing.min(input.len()));
        self.octets.extend_from_slice(mine);
        *input = rest;
        self.octets.len() == self.wanted
    }

    fn one(&mut self, local: &Local, out: &mut Outbox) -> Greeted {
        old::push_rest_of_frame(local, out);
        Greeted::One(std::mem::take(&mut self.octets))
    }

    #[cfg(test)]
    pub(super) fn held_octets(&self) -> usize {
        self.octets.capacity()
    }
}

fn push_major(out: &mut Outbox) {
    out.push(&[Version::OURS.major]);
}

/// Sends what is behind the major version; as-server is zero with NULL, which knows no roles. What the peer says
/// there is not looked at: two clients or two servers find no common handshake.
fn push_rest(local: &Local, out: &mut Outbox) {
    out.push(&[Version::OURS.minor]);
    out.push(&local.security.name().0);
    out.push(&[u8::from(local.security.is_server())]);
    out.push(&[0; FILLER_OCTETS]);
}

const SIGNATURE_FIRST: u8 = 0xFF;
const SIGNATURE_LAST: u8 = 0x7F;
const SIGNATURE_OCTETS: usize = 10;
const MAJOR_OCTETS: usize = 11;
/// In a greeting of ZMTP 2.0.
const SOCKET_TYPE_OCTETS: usize = 12;
const FILLER_OCTETS: usize = 31;
