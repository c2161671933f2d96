//! Large bodies on their way in: a buffer of their own, and a shelf where used buffers wait for the next.
//!
//! A buffer grows only as octets arrive, so that a header alone cannot make us reserve what it announces.
//! While a connection streams, buffers that the application has dropped are used again: their pages are
//! there already, and zeroed once. 1 MiB over ipc spent more time on fresh pages than on copying.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::error::ProtocolError;
use crate::limits::{LARGE_BODY_FIRST, LARGE_READ_MAX, SHELF_OCTETS};
use crate::sync::lock_std;

/// A body of which `received` octets are there.
#[derive(Debug)]
pub(super) struct LargeBody {
    /// Those of its frame.
    pub(super) flags: u8,
    wanted: usize,
    received: usize,
    /// Initialised a stretch ahead of what is received, or as far as the buffer was used before.
    octets: Vec<u8>,
}

/// Buffers that were used; none are kept until [`open`](Shelf::open).
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf(Arc<Mutex<Shelved>>);

#[derive(Debug, Default)]
struct Shelved {
    is_open: bool,
    octets: usize,
    buffers: Vec<Vec<u8>>,
}

/// A body in use by the application, whose buffer goes back to the shelf.
struct Lent {
    octets: Vec<u8>,
    length: usize,
    shelf: Shelf,
}

impl LargeBody {
    /// A body of `wanted` octets that begins with `start`.
    pub(super) fn new(start: &[u8], wanted: usize, flags: u8, shelf: &Shelf) -> Result<Self, ProtocolError> {
        let mut octets = shelf.take(wanted).unwrap_or_default();
        if octets.len() < start.len() {
            let first = wanted.min(LARGE_BODY_FIRST).max(start.len());
            octets.try_reserve_exact(first).map_err(|_| ProtocolError::FrameTooLarge(wanted as u64))?;
            octets.clear();
            octets.extend_from_slice(start);
        } else if let Some(room) = octets.get_mut(..start.len()) {
            room.copy_from_slice(start);
        }
        Ok(Self { flags, wanted, received: start.len(), octets })
    }

    /// Octets that are still to come.
    pub(super) fn left(&self) -> usize {
        self.wanted - self.received
    }

    /// Room for the next octets; not more than are to come, and not empty unless none are.
    pub(super) fn room(&mut self) -> Result<&mut [u8], ProtocolError> {
        if self.octets.len() == self.received {
            let ahead = self.left().min(LARGE_READ_MAX);
            if self.octets.capacity() < self.received + ahead {
                // Doubling: what is reserved is at most what the peer has sent, or the first stretch.
                let target = (self.octets.capacity() * 2).max(LARGE_BODY_FIRST).min(self.wanted);
                self.octets
                    .try_reserve_exact(target - self.received)
                    .map_err(|_| ProtocolError::FrameTooLarge(self.wanted as u64))?;
            }
            let ahead = ahead.min(self.octets.capacity() - self.received);
            self.octets.resize(self.received + ahead, 0);
        }
        let end = self.octets.len().min(self.wanted);
        Ok(self.octets.get_mut(self.received..end).unwrap_or_default())
    }

    /// Up to `count` octets of the room were filled; returns how many of them were.
    pub(super) fn filled(&mut self, count: usize) -> usize {
        let of_body = count.min(self.octets.len().min(self.wanted) - self.received);
        self.received += of_body;
        of_body
    }

    /// What has come.
    pub(super) fn octets(&self) -> &[u8] {
        self.octets.get(..self.received).unwrap_or_default()
    }

    pub(super) fn into_bytes(mut self, shelf: &Shelf) -> Bytes {
        if shelf.is_open() {
            return Bytes::from_owner(Lent {
                octets: self.octets,
                length: self.wanted,
                shelf: shelf.clone(),
            });
        }
        self.octets.truncate(self.wanted);
        Bytes::from(self.octets)
    }
}

impl Shelf {
    /// Buffers are kept from now on.
    pub(super) fn open(&self) {
        lock_std(&self.0).is_open = true;
    }

    /// Lets all buffers go, and keeps none from now on.
    pub(super) fn close(&self) {
        let closed = std::mem::take(&mut *lock_std(&self.0));
        drop(closed);
    }

    fn is_open(&self) -> bool {
        lock_std(&self.0).is_open
    }

    /// A buffer that was used for about as many octets.
    fn take(&self, wanted: usize) -> Option<Vec<u8>> {
        let mut shelved = lock_std(&self.0);
        let fits = |buffer: &Vec<u8>| buffer.capacity() >= wanted && buffer.capacity() / 2 <= wanted;
        let index = shelved.buffers.iter().rposition(fits)?;
        let buffer = shelved.buffers.swap_remove(index);
        shelved.octets -= buffer.capacity();
        Some(buffer)
    }

    fn put(&self, buffer: Vec<u8>) {
        let mut shelved = lock_std(&self.0);
        let octets = shelved.octets + buffer.capacity();
        if shelved.is_open && octets <= SHELF_OCTETS {
            shelved.octets = octets;
            shelved.buffers.push(buffer);
        }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.shelf.put(std::mem::take(&mut self.octets));
    }
}

/// Not under Miri, which takes minutes for as many octets, and has nothing to find here.
#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;

    fn fill(mut body: LargeBody, octet: u8, shelf: &Shelf) -> Bytes {
        while body.left() > 0 {
            let room = body.room().unwrap();
            room.fill(octet);
            let count = room.len();
            assert_eq!(body.filled(count), count);
        }
        body.into_bytes(shelf)
    }

    #[test]
    fn a_buffer_is_used_again_only_while_the_shelf_is_open() {
        let shelf = Shelf::default();
        for is_open in [false, true, false] {
            if is_open {
                shelf.open()
            } else {
                shelf.close()
            }
            let first = fill(LargeBody::new(b"abc", 100_000, 0, &shelf).unwrap(), 1, &shelf);
            drop(first);
            assert_eq!(lock_std(&shelf.0).buffers.len(), usize::from(is_open));
            let second = fill(LargeBody::new(b"de", 90_000, 0, &shelf).unwrap(), 2, &shelf);
            assert_eq!(second.len(), 90_000);
            assert_eq!(second.get(..4), Some(&b"de\x02\x02"[..]));
            assert!(second.iter().skip(2).all(|octet| *octet == 2));
        }
    }

    #[test]
    fn nothing_is_reserved_beyond_the_first_stretch_before_it_arrives() {
        // B-37, F-07: a header that announces 2^62 octets.
        let mut body = LargeBody::new(b"", 1 << 62, 0, &Shelf::default()).unwrap();
        assert!(body.room().unwrap().len() <= LARGE_READ_MAX);
        assert!(body.octets.capacity() <= LARGE_BODY_FIRST);
    }

    #[test]
    #[cfg_attr(miri, ignore = "megabytes, octet by octet, and no unsafe code")]
    fn the_shelf_keeps_no_more_than_its_limit() {
        let shelf = Shelf::default();
        shelf.open();
        let bodies: Vec<_> =
            (0..20).map(|_| fill(LargeBody::new(b"", 1 << 20, 0, &shelf).unwrap(), 0, &shelf)).collect();
        drop(bodies);
        assert!(lock_std(&shelf.0).octets <= SHELF_OCTETS);
    }
}
