//! Frame headers: the flags octet and the size that precede every body.
//!
//! Pure functions over slices: nothing here allocates, reads a clock or knows about sockets. The pipe
//! frames outgoing messages with it, the session skims incoming octets with it, `wire` builds commands.
//!
//! A size is checked against the limit *before* anyone reserves room for the body: it comes from a peer
//! that may not be authenticated yet.
//!
//! Source: RFC 37/ZMTP 3.1, "Framing".
#![forbid(unsafe_code)]

pub(crate) mod zmtp1;

use crate::error::ProtocolError;

/// More frames of the same message follow.
pub(crate) const MORE: u8 = 0b001;
/// The size takes eight octets, not one.
pub(crate) const LONG: u8 = 0b010;
/// The body is a command, not part of a message.
pub(crate) const COMMAND: u8 = 0b100;
/// Never on the wire. In an inbound pipe: a command that is left for the socket's pattern.
pub(crate) const NOTE: u8 = 0b1000_0000;
/// Never on the wire. A note that counts as a message, because a peer can send any number of them.
pub(crate) const COUNTED: u8 = 0b0100_0000;
/// Bits 7-3: zero when sent; a frame that sets one is refused (D8).
const RESERVED: u8 = !(MORE | LONG | COMMAND);

/// Octets of the longest header: flags and an eight-octet size.
pub(crate) const HEADER_MAX: usize = 9;
/// The longest body whose size fits one octet.
pub(crate) const SHORT_BODY_MAX: usize = 255;

/// What a header says, and how many octets it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flags: u8,
    pub(crate) header_octets: usize,
    pub(crate) body_octets: u64,
}

impl Header {
    /// Parses the header at the start of `octets`; `None` when it is not complete yet.
    #[inline]
    pub(crate) fn parse(octets: &[u8]) -> Option<Self> {
        match *octets {
            [flags, size, ..] if flags & LONG == 0 => {
                Some(Self { flags, header_octets: 2, body_octets: u64::from(size) })
            }
            [flags, a, b, c, d, e, f, g, h, ..] => Some(Self {
                flags,
                header_octets: HEADER_MAX,
                body_octets: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            }),
            _ => None,
        }
    }

    /// Checks a header that a peer sent: reserved bits, MORE on a command, and the size.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::ReservedFlags`], [`ProtocolError::CommandWithMore`], [`ProtocolError::FrameTooLarge`].
    #[inline]
    pub(crate) fn check(self, max_body_octets: u64) -> Result<Self, ProtocolError> {
        if self.flags & RESERVED != 0 {
            return Err(ProtocolError::ReservedFlags(self.flags));
        }
        if self.flags & (COMMAND | MORE) == COMMAND | MORE {
            return Err(ProtocolError::CommandWithMore);
        }
        // RFC 37: sizes end at 2^63-1; beyond is not legal whatever the configured limit.
        if self.body_octets > max_body_octets || self.body_octets > i64::MAX.unsigned_abs() {
            return Err(ProtocolError::FrameTooLarge(self.body_octets));
        }
        Ok(self)
    }

    #[inline]
    pub(crate) fn has_more(self) -> bool {
        self.flags & MORE != 0
    }

    #[inline]
    pub(crate) fn is_command(self) -> bool {
        self.flags & COMMAND != 0
    }
}

/// Encodes the header of a body of `body_octets`; short form up to 255 octets, long form above.
///
/// `flags` carries MORE and COMMAND only. The second value is how many octets of the array count.
#[inline]
pub(crate) fn encode_header(flags: u8, body_octets: usize) -> ([u8; HEADER_MAX], usize) {
    let mut header = [0; HEADER_MAX];
    match u8::try_from(body_octets) {
        Ok(size) => {
            header[0] = flags;
            header[1] = size;
            (header, 2)
        }
        Err(_) => {
            let [a, b, c, d, e, f, g, h] = (body_octets as u64).to_be_bytes();
            ([flags | LONG, a, b, c, d, e, f, g, h], HEADER_MAX)
        }
    }
}

#[cfg(test)]
mod rfc37_framing {
    use super::*;

    #[test]
    fn a_header_parses_back_to_what_was_encoded() {
        // F-05, F-06, F-08, F-10: short size up to 255, long size above, in network order.
        for size in [0, 1, 254, 255, 256, 257, 65_535, 65_536, 1 << 20, usize::MAX >> 1] {
            for flags in [0, MORE, COMMAND] {
                let (octets, len) = encode_header(flags, size);
                assert_eq!(len == 2, size <= SHORT_BODY_MAX);
                let header = Header::parse(&octets[..len]).unwrap();
                assert_eq!(header.body_octets, size as u64);
                assert_eq!(header.header_octets, len);
                assert_eq!(header.flags & !LONG, flags);
                assert_eq!(octets[0] & RESERVED, 0); // F-01
                for cut in 0..len {
                    assert_eq!(Header::parse(&octets[..cut]), None);
                }
            }
        }
    }

    #[test]
    fn every_reserved_flag_is_refused() {
        // F-02, D8: all 248 flag octets with a reserved bit.
        let refused = (0..=255u8)
            .filter(|&flags| {
                let header = Header { flags, header_octets: 2, body_octets: 0 };
                matches!(header.check(u64::MAX), Err(ProtocolError::ReservedFlags(_)))
            })
            .count();
        assert_eq!(refused, 248);
    }

    #[test]
    fn the_legal_flags_are_six() {
        // F-03, F-04, D9: eight combinations of three bits, less MORE+COMMAND in both sizes.
        let legal: Vec<u8> = (0..=255u8)
            .filter(|&flags| Header { flags, header_octets: 2, body_octets: 0 }.check(u64::MAX).is_ok())
            .collect();
        assert_eq!(legal, [0, MORE, LONG, LONG | MORE, COMMAND, COMMAND | LONG]);
    }

    #[test]
    fn a_size_of_two_to_the_63_is_refused_whatever_the_limit() {
        // F-07: size >= 2^63 is not legal.
        for size in [1 << 63, u64::MAX, u64::MAX - 16_384] {
            let header = Header { flags: LONG, header_octets: 9, body_octets: size };
            assert_eq!(header.check(u64::MAX), Err(ProtocolError::FrameTooLarge(size)));
        }
        assert!(Header { flags: LONG, header_octets: 9, body_octets: (1 << 63) - 1 }.check(u64::MAX).is_ok());
    }

    #[test]
    fn a_long_header_with_a_small_size_is_legal() {
        // F-09
        let header = Header::parse(&[LONG, 0, 0, 0, 0, 0, 0, 0, 5]).unwrap();
        assert_eq!((header.header_octets, header.body_octets), (9, 5));
        assert!(header.check(5).is_ok());
    }
}
