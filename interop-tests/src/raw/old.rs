//! Peers of one version of ZMTP, written from its specification: RFC 13 (1.0), RFC 15 (2.0), RFC 23 (3.0).
//!
//! They say what those versions said, in the order in which programs of their time said it, and hear what was
//! meant for them: no later word.

use std::time::Duration;

use super::{Peer, vectors};

/// A version of ZMTP before 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 13, libzmq 2.
    One,
    /// RFC 15, libzmq 3.
    Two,
    /// RFC 23, libzmq 4.0 and 4.1.
    Three,
}

/// Socket types that those versions had, in the order of RFC 15's numbers.
pub const TYPES: [&str; 9] = ["PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH"];

/// What both 2.0 and later begin with, if they need nothing older.
pub const SIGNATURE: &[u8; 10] = b"\xff\0\0\0\0\0\0\0\0\x7f";

impl Version {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::Three];

    /// How tables call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "ZMTP 1.0",
            Self::Two => "ZMTP 2.0",
            Self::Three => "ZMTP 3.0",
        }
    }

    /// Everything that such a peer says before its messages.
    #[must_use]
    pub fn handshake(self, socket_type: &str, routing_id: &[u8]) -> Vec<u8> {
        match self {
            Self::One => frame1(0, routing_id),
            Self::Two => [SIGNATURE, &[1, code(socket_type)][..], &vectors::frame(0, routing_id)].concat(),
            Self::Three => {
                let name = ("Socket-Type", socket_type.as_bytes());
                let ready = match socket_type {
                    "DEALER" | "REQ" | "ROUTER" => vectors::ready_with(&[name, ("Identity", routing_id)]),
                    _ => vectors::ready_with(&[name]),
                };
                [&vectors::G_NULL30[..], &ready].concat()
            }
        }
    }

    /// Everything that such a peer hears from a socket of ours before its messages.
    #[must_use]
    pub fn answer(self, ours: &str, routing_id: &[u8]) -> Vec<u8> {
        let length = u8::try_from(routing_id.len() + 1).unwrap();
        let signature = [&[0xFF, 0, 0, 0, 0, 0, 0, 0, length, 0x7F][..]].concat();
        match self {
            Self::One => [&signature[..], routing_id].concat(),
            Self::Two => [&signature, &[3, code(ours)][..], &vectors::frame(0, routing_id)].concat(),
            Self::Three => {
                let rest =
                    [&vectors::G_NULL31[10..], &Self::Three.handshake(ours, routing_id)[64..]].concat();
                [signature, rest].concat()
            }
        }
    }

    /// A message as it has it on the wire.
    #[must_use]
    pub fn message<T: AsRef<[u8]>>(self, frames: &[T]) -> Vec<u8> {
        let last = frames.len().saturating_sub(1);
        let frame = if self == Self::One { frame1 } else { vectors::frame };
        frames.iter().enumerate().flat_map(|(at, body)| frame(u8::from(at < last), body.as_ref())).collect()
    }
}

/// A peer of an old version, whose handshake is done.
#[derive(Debug)]
pub struct OldPeer {
    /// The connection.
    pub peer: Peer,
    version: Version,
}

impl OldPeer {
    /// Shakes hands as this version does, one step after the other, and checks every octet that it hears. `ours` is
    /// the type of our socket, `our_id` its routing id.
    #[must_use]
    pub fn new(mut peer: Peer, version: Version, theirs: (&str, &[u8]), ours: (&str, &[u8])) -> Self {
        let (said, heard) = (version.handshake(theirs.0, theirs.1), version.answer(ours.0, ours.1));
        // 2.0 does not tell its revision before it has seen a signature; 3.0 says READY behind the greeting.
        let (first_said, first_heard) = match version {
            Version::One => (said.len(), 0),
            Version::Two => (10, 10),
            Version::Three => (64, 64),
        };
        peer.write(&said[..first_said]);
        assert_eq!(peer.read(first_heard), heard[..first_heard], "{version:?} {theirs:?} {ours:?}");
        peer.write(&said[first_said..]);
        let rest = &heard[first_heard..];
        if version == Version::Three {
            let ready = peer.frame().expect("READY").body;
            // Ours say behind a routing id whether they come back when it is in use.
            let known = ready.strip_suffix(b"\x0aName-Retry\0\0\0\x011").unwrap_or(&ready);
            assert_eq!(known, &rest[2..], "{version:?} {theirs:?} {ours:?}");
        } else {
            assert_eq!(peer.read(rest.len()), rest, "{version:?} {theirs:?} {ours:?}");
        }
        Self { peer, version }
    }

    /// Sends a message.
    pub fn say<T: AsRef<[u8]>>(&mut self, frames: &[T]) {
        self.peer.write(&self.version.message(frames));
    }

    /// Receives a message.
    #[must_use]
    pub fn hear(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            let (flags, body) = self.frame();
            // F-01, F-04: no reserved bit, and no command.
            assert!(flags <= 1, "flags {flags:#04x}");
            frames.push(body);
            if flags == 0 {
                return frames;
            }
        }
    }

    /// Whether nothing comes for so long.
    #[must_use]
    pub fn is_left_alone(&mut self, wait: Duration) -> bool {
        self.peer.frame_within(wait).is_none() && self.peer.is_silent()
    }

    /// Sends FIN, and reads until the other side closes.
    pub fn finish(mut self) -> Vec<u8> {
        self.peer.finish();
        self.peer.read_to_end()
    }

    fn frame(&mut self) -> (u8, Vec<u8>) {
        if self.version != Version::One {
            let frame = self.peer.frame().expect("a frame");
            return (frame.flags & !2, frame.body);
        }
        let length = match self.peer.read(1)[0] {
            0xFF => u64::from_be_bytes(self.peer.read(8).try_into().unwrap()),
            length => u64::from(length),
        };
        let flags = self.peer.read(1)[0];
        let body = usize::try_from(length).unwrap().checked_sub(1).expect("a length counts the flags");
        (flags, self.peer.read(body))
    }
}

/// A frame of ZMTP 1.0, in short form if it fits.
#[must_use]
pub fn frame1(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len() + 1) {
        Ok(length) if length < 0xFF => [&[length, flags], body].concat(),
        _ => long_frame1(flags, body),
    }
}

/// A frame of ZMTP 1.0 in the long form, whatever its size.
#[must_use]
pub fn long_frame1(flags: u8, body: &[u8]) -> Vec<u8> {
    [&[0xFF], &(body.len() as u64 + 1).to_be_bytes()[..], &[flags], body].concat()
}

/// The number that RFC 15 gives a type; XPUB and XSUB are PUB and SUB on the wire.
#[must_use]
pub fn code(socket_type: &str) -> u8 {
    let known = socket_type.strip_prefix('X').unwrap_or(socket_type);
    TYPES.iter().zip(0..).find(|(name, _)| **name == known).expect("a type of RFC 15").1
}
