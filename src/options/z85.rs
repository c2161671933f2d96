//! Z85: octets as text that can be pasted anywhere, five characters for four octets. Source: RFC 32/Z85.
#![forbid(unsafe_code)]

/// The text of octets whose count is a multiple of four; `None` for another count.
pub(super) fn encode(octets: &[u8]) -> Option<String> {
    let groups = octets.chunks_exact(4);
    if !groups.remainder().is_empty() {
        return None;
    }
    let mut text = String::with_capacity(octets.len() / 4 * 5);
    for group in groups {
        let value = u32::from_be_bytes(group.try_into().ok()?);
        for place in PLACES {
            text.push(char::from(*ALPHABET.get((value / place % 85) as usize)?));
        }
    }
    Some(text)
}

/// The octets of a text; `None` when its length is no multiple of five, a character is none of the alphabet, or five
/// of them are more than four octets hold.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let groups = text.as_bytes().chunks_exact(5);
    if !groups.remainder().is_empty() {
        return None;
    }
    let mut octets = Vec::with_capacity(text.len() / 5 * 4);
    for group in groups {
        let mut value = 0_u32;
        for character in group {
            let digit = ALPHABET.iter().position(|it| it == character)?;
            value = value.checked_mul(85)?.checked_add(u32::try_from(digit).ok()?)?;
        }
        octets.extend(value.to_be_bytes());
    }
    Some(octets)
}

const ALPHABET: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

const PLACES: [u32; 5] = [85 * 85 * 85 * 85, 85 * 85 * 85, 85 * 85, 85, 1];

#[cfg(test)]
mod rfc32 {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_goes_both_ways() {
        // C-47
        let octets = [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B];
        assert_eq!(encode(&octets).unwrap(), "HelloWorld");
        assert_eq!(decode("HelloWorld").unwrap(), octets);
    }

    #[test]
    fn lengths_are_multiples() {
        // C-47: "The binary frame SHALL have a length that is divisible by 4", "The string frame ... by 5".
        for length in 0..100 {
            assert_eq!(encode(&vec![7; length]).is_some(), length % 4 == 0, "{length}");
            assert_eq!(decode(&"0".repeat(length)).is_some(), length % 5 == 0, "{length}");
        }
    }

    #[test]
    fn what_is_no_z85_is_refused() {
        // C-48: four octets end at %nSc0; characters outside of the alphabet at each position.
        assert_eq!(decode("%nSc0").unwrap(), [0xFF; 4]);
        for text in ["%nSc1", "#####", "%nSd0"] {
            assert_eq!(decode(text), None, "{text}");
        }
        for octet in 0..=127_u8 {
            for at in 0..5 {
                let mut text = *b"00000";
                text[at] = octet;
                // The two that are worth most are too much in front.
                let is_known = ALPHABET.contains(&octet) && !(at == 0 && b"$#".contains(&octet));
                assert_eq!(
                    decode(std::str::from_utf8(&text).unwrap()).is_some(),
                    is_known,
                    "{octet} at {at}"
                );
            }
        }
    }

    #[test]
    fn every_kind_of_octets_comes_back() {
        // C-49: seeded.
        let mut seed = 0x2545_F491_4F6C_DD1D_u64;
        for length in (0..400).step_by(4) {
            for _ in 0..50 {
                let octets: Vec<u8> = std::iter::repeat_with(|| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    seed.to_be_bytes()[3]
                })
                .take(length)
                .collect();
                assert_eq!(decode(&encode(&octets).unwrap()).unwrap(), octets);
            }
        }
    }
}
