//! Frame headers of ZMTP 1.0: a length that counts the flags octet, and the flags behind it.
//!
//! Pure functions over slices, as in [`frame`](super). They give and take the same [`Header`], so that whoever
//! translates from one framing to the other has one form in between. Source: RFC 13, "The Framing Layer".
#![forbid(unsafe_code)]

use crate::error::ProtocolError;
use crate::frame::{Header, MORE};

/// Octets of the longest header: the mark of the long form, an eight-octet length, flags.
pub(crate) const HEADER_MAX: usize = 10;

/// Parses the header at the start of `octets`; `None` when it is not complete yet. Looks at no flag.
///
/// # Errors
///
/// [`ProtocolError::FrameTooShort`] for a length of zero, which leaves no room for the flags.
pub(crate) fn parse(octets: &[u8]) -> Result<Option<Header>, ProtocolError> {
    let (length, flags, header_octets) = match *octets {
        [LONG, a, b, c, d, e, f, g, h, ref rest @ ..] => {
            (u64::from_be_bytes([a, b, c, d, e, f, g, h]), rest.first(), HEADER_MAX)
        }
        [LONG, ..] | [] => return Ok(None),
        [length, ref rest @ ..] => (u64::from(length), rest.first(), 2),
    };
    let body_octets = length.checked_sub(1).ok_or(ProtocolError::FrameTooShort)?;
    Ok(flags.map(|&flags| Header { flags, header_octets, body_octets }))
}

/// Checks the flags of a header that a peer sent in front of a message's frame.
///
/// # Errors
///
/// [`ProtocolError::ReservedFlags`] for anything but MORE (D8), unless it is what libzmq 2 sets.
pub(crate) fn check(header: Header) -> Result<Header, ProtocolError> {
    match header.flags & !MORE {
        0 | UNUSED => Ok(header),
        _ => Err(ProtocolError::ReservedFlags(header.flags)),
    }
}

/// Encodes the header of a body of `body_octets`: short form up to 253 octets, long form above.
///
/// The second value is how many octets of the array count.
pub(crate) fn encode(has_more: bool, body_octets: u64) -> ([u8; HEADER_MAX], usize) {
    let (length, flags) = (body_octets + 1, u8::from(has_more));
    let mut header = [0; HEADER_MAX];
    match u8::try_from(length) {
        Ok(length) if length != LONG => {
            header[0] = length;
            header[1] = flags;
            (header, 2)
        }
        _ => {
            let [a, b, c, d, e, f, g, h] = length.to_be_bytes();
            ([LONG, a, b, c, d, e, f, g, h, flags], HEADER_MAX)
        }
    }
}

/// Flags that libzmq 2 sets in every frame beside MORE, and that mean nothing (seen with 2.1.11).
const UNUSED: u8 = 0x7E;

/// In place of a length: eight octets of it follow.
const LONG: u8 = 0xFF;

#[cfg(test)]
mod rfc13_framing {
    use super::*;

    #[test]
    fn a_header_parses_back_to_what_was_encoded() {
        // "For frames with a length of 1 to 254 octets, the length SHOULD BE encoded as a single octet."
        for body_octets in [0, 1, 252, 253, 254, 255, 256, 65_535, 1 << 20, (1 << 63) - 1] {
            for has_more in [false, true] {
                let (octets, len) = encode(has_more, body_octets);
                assert_eq!(len == 2, body_octets <= 253);
                let header = Header { flags: u8::from(has_more), header_octets: len, body_octets };
                assert_eq!(parse(&octets[..len]), Ok(Some(header)));
                assert_eq!(check(header), Ok(header));
                for cut in 0..len {
                    assert_eq!(parse(&octets[..cut]), Ok(None));
                }
            }
        }
    }

    #[test]
    fn a_long_header_with_a_small_length_is_legal() {
        // "For frames with lengths of 1 to 254 octets this encoding MAY be also used."
        let header = parse(&[0xFF, 0, 0, 0, 0, 0, 0, 0, 6, 1]).unwrap().unwrap();
        assert_eq!((header.header_octets, header.body_octets, header.has_more()), (10, 5, true));
    }

    #[test]
    fn a_length_of_zero_is_refused_as_soon_as_it_shows() {
        // "The minimum valid length of a frame is 1 octet, thus a length of 0 is invalid".
        assert_eq!(parse(&[0]), Err(ProtocolError::FrameTooShort));
        assert_eq!(parse(&[0xFF, 0, 0, 0, 0, 0, 0, 0, 0]), Err(ProtocolError::FrameTooShort));
    }

    #[test]
    fn the_only_flag_that_means_anything_is_more() {
        // D8, "Bits 1-7 are reserved for future use and SHOULD be zero." libzmq 2 sets all of them but the last.
        let is_legal = |&flags: &u8| check(Header { flags, header_octets: 2, body_octets: 0 }).is_ok();
        assert_eq!((0..=255).filter(is_legal).collect::<Vec<u8>>(), [0, 1, 0x7E, 0x7F]);
    }
}
