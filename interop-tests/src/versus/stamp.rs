//! What every message carries: a sequence number in its first octets, checked by who receives it. A message that is
//! shorter carries as much of it as there is room for, which is enough where one at a time is under way.

use anyhow::{Result, bail, ensure};

/// Octets of the whole sequence number.
pub const OCTETS: usize = size_of::<u64>();

/// The number of the message that opens a connection. It is not timed and never a sequence number.
pub const HELLO: u64 = u64::MAX;

/// Writes `sequence` to the front of `body`, little-endian.
#[inline]
pub fn write(body: &mut [u8], sequence: u64) {
    match body.first_chunk_mut::<OCTETS>() {
        Some(front) => *front = sequence.to_le_bytes(),
        None => body.iter_mut().zip(sequence.to_le_bytes()).for_each(|(octet, part)| *octet = part),
    }
}

/// As much of `sequence` as a message of `size` octets carries.
#[must_use]
pub fn cut(sequence: u64, size: usize) -> u64 {
    let mut octets = sequence.to_le_bytes();
    octets.iter_mut().skip(size).for_each(|octet| *octet = 0);
    u64::from_le_bytes(octets)
}

/// Returns the sequence number of `body`, which must have exactly `size` octets.
///
/// # Errors
///
/// When it has not.
#[inline]
pub fn read(body: &[u8], size: usize) -> Result<u64> {
    read_at(body, size, 0)
}

/// Returns the sequence number that is `at` octets into `body`, which must have exactly `size` octets.
///
/// # Errors
///
/// When it has not.
#[inline]
pub fn read_at(body: &[u8], size: usize, at: usize) -> Result<u64> {
    match body.get(at..).and_then(<[u8]>::first_chunk::<OCTETS>) {
        Some(front) if body.len() == size => Ok(u64::from_le_bytes(*front)),
        None if body.len() == size && at == 0 => {
            let mut octets = [0; OCTETS];
            octets.iter_mut().zip(body).for_each(|(octet, part)| *octet = *part);
            Ok(u64::from_le_bytes(octets))
        }
        _ => bail!("a message of {} octets arrived where {size} were sent", body.len()),
    }
}

/// Compares with the number that comes next.
///
/// # Errors
///
/// When `found` is another one.
#[inline]
pub fn check(found: u64, expected: u64) -> Result<()> {
    ensure!(found == expected, "message {found} arrived where {expected} comes next");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back() {
        let mut body = [0xff; 12];
        write(&mut body, 0x0102_0304);
        assert_eq!(body, [4, 3, 2, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(read(&body, 12).unwrap(), 0x0102_0304);
    }

    #[test]
    fn a_short_message_carries_the_end_of_its_number() {
        for size in 1..OCTETS {
            let mut body = vec![0xff; size];
            write(&mut body, 0x0102_0304_0506_0708);
            assert_eq!(read(&body, size).unwrap(), cut(0x0102_0304_0506_0708, size));
        }
        assert_eq!(cut(0x0102_0304, 1), 4);
        assert_eq!(cut(u64::MAX, 64), u64::MAX);
    }

    #[test]
    fn a_wrong_size_or_number_is_refused() {
        assert!(read(&[0; 12], 13).is_err());
        assert!(read_at(&[0; 12], 12, 8).is_err());
        assert!(check(3, 2).is_err());
    }
}
