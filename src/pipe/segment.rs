//! A segment: one block of a pipe's chain, with framed octets and the large bodies that lie between them.
//!
//! The producer writes octets and bodies behind what is published and then publishes all of them with one
//! store of a [`Word`]. The consumer reads only what it has seen published. Nothing here decides who may do
//! what: [`Producer`](super::Producer) and [`Consumer`](super::Consumer) do.
#![allow(unsafe_code, reason = "two threads work on disjoint parts of one block")]

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use bytes::Bytes;

use crate::frame::{HEADER_MAX, encode_header};
use crate::limits::{SEGMENT_BODIES, SEGMENT_OCTETS_LIMIT};
#[cfg(loom)]
use crate::sync::Track;
use crate::sync::{AtomicPtr, AtomicU64, Ordering, UnsafeCell};

/// What of a segment is published: octets, messages that end in it, bodies by reference, and whether the
/// chain goes on. Packed, so that one store shows all four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) octets: u32,
    pub(super) messages: u32,
    pub(super) bodies: u8,
    pub(super) is_sealed: bool,
}

/// A word in the form in which it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed(u64);

impl Packed {
    pub(super) fn word(self) -> Word {
        Word::unpack(self.0)
    }
}

impl Word {
    #[inline]
    pub(super) fn pack(self) -> Packed {
        Packed(
            u64::from(self.octets)
                | u64::from(self.messages) << 24
                | u64::from(self.bodies) << 48
                | u64::from(self.is_sealed) << 63,
        )
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "each field is masked to its bits")]
    fn unpack(word: u64) -> Self {
        Self {
            octets: (word & 0xFF_FFFF) as u32,
            messages: (word >> 24 & 0xFF_FFFF) as u32,
            bodies: (word >> 48) as u8,
            is_sealed: word >> 63 == 1,
        }
    }
}

/// A large body and the octet of its segment that it comes before.
struct Body {
    at: u32,
    body: Bytes,
}

/// One block of the chain.
///
/// What the producer stores for each message comes first, and what both ends read for each of them last, behind the
/// bodies, so that it lies on other cache lines: the consumer would take the producer's line away for every message.
#[repr(C, align(64))]
pub(super) struct Segment {
    published: AtomicU64,
    next: AtomicPtr<Self>,
    bodies: [UnsafeCell<MaybeUninit<Body>>; SEGMENT_BODIES],
    octets: NonNull<u8>,
    capacity: usize,
    shadow: Shadow,
}

const _: () = assert!(
    cfg!(loom) || std::mem::offset_of!(Segment, octets) >= 128,
    "processors fetch lines in pairs, and the consumer would take the producer's line away"
);

impl Segment {
    /// Allocates a segment of `capacity` octets, all zero.
    pub(super) fn allocate(capacity: usize) -> NonNull<Self> {
        assert!(capacity <= SEGMENT_OCTETS_LIMIT, "what a frame under way may need is limited far below");
        let octets: Box<[u8]> = vec![0; capacity].into_boxed_slice();
        let segment = Box::new(Self {
            published: AtomicU64::new(0),
            next: AtomicPtr::new(ptr::null_mut()),
            octets: NonNull::from(Box::leak(octets)).cast(),
            capacity,
            bodies: std::array::from_fn(|_| UnsafeCell::new(MaybeUninit::uninit())),
            shadow: Shadow::new(capacity),
        });
        NonNull::from(Box::leak(segment))
    }

    /// Frees the segment. Bodies that were not taken are not dropped.
    ///
    /// # Safety
    ///
    /// `segment` came from [`allocate`](Self::allocate), was not freed, and nobody else can reach it.
    pub(super) unsafe fn free(segment: NonNull<Self>) {
        // SAFETY: the caller owns the segment alone, and it was leaked from a box in `allocate`.
        let segment = unsafe { Box::from_raw(segment.as_ptr()) };
        segment.shadow.changed_hands();
        let octets = ptr::slice_from_raw_parts_mut(segment.octets.as_ptr(), segment.capacity);
        // SAFETY: `octets` and `capacity` are what `allocate` leaked, never changed since.
        drop(unsafe { Box::from_raw(octets) });
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Empties a segment that came back from the consumer.
    pub(super) fn reset(&self) {
        self.shadow.changed_hands();
        // Relaxed: the producer owns it alone, and publishes it with a later Release store.
        self.published.store(0, Ordering::Relaxed);
        self.next.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Shows what `word` says to the consumer. Takes no `&self`: a reference to the whole segment must not
    /// outlive it, and the consumer may free it as soon as it sees that it is sealed.
    ///
    /// # Safety
    ///
    /// The caller is the producer, the segment is live until this store, and what `word` says is written.
    #[inline]
    pub(super) unsafe fn publish(segment: NonNull<Self>, word: Packed) {
        // SAFETY: live by the caller's promise; the borrow ends before the store.
        unsafe { segment.as_ref() }.shadow.used();
        // SAFETY: live by the caller's promise. The reference covers nothing but the atomic, which another
        // thread may free during its last call.
        let published = unsafe { &(*segment.as_ptr()).published };
        // Release: pairs with the Acquire in `published`; shows octets, bodies and `next` up to `word`.
        published.store(word.0, Ordering::Release);
    }

    #[inline]
    pub(super) fn published(&self) -> Word {
        self.shadow.used();
        // Acquire: pairs with the Release in `publish`.
        Word::unpack(self.published.load(Ordering::Acquire))
    }

    pub(super) fn link(&self, next: NonNull<Self>) {
        self.shadow.used();
        // Relaxed: shown to the consumer by the Release store of a sealed word.
        self.next.store(next.as_ptr(), Ordering::Relaxed);
    }

    /// Takes the link back. The caller is the producer, and the segment is not sealed.
    pub(super) fn unlink(&self) {
        self.shadow.used();
        // Relaxed: as in `link`.
        self.next.store(ptr::null_mut(), Ordering::Relaxed);
    }

    pub(super) fn next(&self) -> Option<NonNull<Self>> {
        self.shadow.used();
        // Relaxed: read after an Acquire load of a sealed word, or by an owner.
        NonNull::new(self.next.load(Ordering::Relaxed))
    }

    /// Copies `octets` to `at`.
    ///
    /// # Safety
    ///
    /// The caller is the producer, `at` is at or behind what is published, and `at + octets.len()` is
    /// within the capacity.
    #[inline]
    pub(super) unsafe fn write(&self, at: usize, octets: &[u8]) {
        debug_assert!(at + octets.len() <= self.capacity);
        self.shadow.wrote(at, octets.len());
        // SAFETY: in bounds by the caller's promise.
        let to = unsafe { self.octets.as_ptr().add(at) };
        // SAFETY: `to` has room for `octets` by the caller's promise; the consumer does not look behind what
        // is published, so nobody reads or writes these octets now; `octets` borrows other memory.
        unsafe { ptr::copy_nonoverlapping(octets.as_ptr(), to, octets.len()) };
    }

    /// Writes a frame at `at`, and returns its octets.
    ///
    /// # Safety
    ///
    /// As for [`write`](Self::write), for header and body.
    #[inline]
    pub(super) unsafe fn write_frame(&self, at: usize, flags: u8, body: &[u8]) -> usize {
        let header_octets = if let Ok(size) = u8::try_from(body.len()) {
            // SAFETY: as the caller has promised.
            unsafe { self.write(at, &[flags, size]) };
            2
        } else {
            // SAFETY: as above.
            unsafe { self.write(at, &encode_header(flags, body.len()).0) };
            HEADER_MAX
        };
        // SAFETY: as above.
        unsafe { self.write(at + header_octets, body) };
        header_octets + body.len()
    }

    /// Lends the octets `[from, to)` for writing.
    ///
    /// # Safety
    ///
    /// As for [`write`](Self::write), and the producer uses no other access to them while it holds this.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "the producer's half of the block is its own")]
    pub(super) unsafe fn spare(&self, from: usize, to: usize) -> &mut [u8] {
        debug_assert!(from <= to && to <= self.capacity);
        self.shadow.wrote(from, to - from);
        // SAFETY: in bounds by the caller's promise.
        let start = unsafe { self.octets.as_ptr().add(from) };
        // SAFETY: in bounds; octets are initialised (zeroed at allocation) and not shared with the consumer.
        unsafe { std::slice::from_raw_parts_mut(start, to - from) }
    }

    /// Lends the octets `[from, to)` for reading.
    ///
    /// # Safety
    ///
    /// Either the caller is the consumer and `to` is at or before what it saw published, or it is the
    /// producer. Nobody writes these octets while the slice lives; `from <= to <=` capacity.
    #[inline]
    pub(super) unsafe fn octets(&self, from: usize, to: usize) -> &[u8] {
        debug_assert!(from <= to && to <= self.capacity);
        self.shadow.read(from, to - from);
        // SAFETY: in bounds by the caller's promise.
        let start = unsafe { self.octets.as_ptr().add(from) };
        // SAFETY: in bounds, initialised, and not written while borrowed, by the caller's promise.
        unsafe { std::slice::from_raw_parts(start, to - from) }
    }

    /// Stores a large body that comes before octet `at`.
    ///
    /// # Safety
    ///
    /// The caller is the producer, slot `index` exists, is empty and is not published.
    pub(super) unsafe fn put_body(&self, index: usize, at: u32, body: Bytes) {
        let Some(slot) = self.bodies.get(index) else { unreachable!("the caller checked the index") };
        slot.with_mut(|slot| {
            // SAFETY: the slot is the producer's until it publishes it.
            unsafe { (*slot).write(Body { at, body }) };
        });
    }

    /// Returns where body `index` comes, and the body.
    ///
    /// # Safety
    ///
    /// The caller is the consumer, slot `index` is published and was not taken.
    pub(super) unsafe fn body(&self, index: usize) -> (u32, &Bytes) {
        let Some(slot) = self.bodies.get(index) else { unreachable!("the caller checked the index") };
        slot.with(|slot| {
            // SAFETY: published, so the producer will not touch the slot before the segment comes back to it.
            let slot = unsafe { &*slot };
            // SAFETY: published, so the producer wrote it; not taken, by the caller's promise.
            let body = unsafe { slot.assume_init_ref() };
            (body.at, &body.body)
        })
    }

    /// Takes body `index` out.
    ///
    /// # Safety
    ///
    /// As for [`body`](Self::body), or the caller is the producer and the slot is not published. It must
    /// not be taken or looked at again.
    pub(super) unsafe fn take_body(&self, index: usize) -> Bytes {
        let Some(slot) = self.bodies.get(index) else { unreachable!("the caller checked the index") };
        slot.with_mut(|slot| {
            // SAFETY: the slot is the caller's alone: its own and not published, or published for it to take.
            let slot = unsafe { &*slot };
            // SAFETY: initialised by `put_body`; the caller promises to take it once.
            unsafe { slot.assume_init_read() }.body
        })
    }
}

/// Tells loom what of a segment is touched; nothing otherwise.
#[cfg(not(loom))]
struct Shadow;

#[cfg(not(loom))]
impl Shadow {
    fn new(_: usize) -> Self {
        Self
    }

    #[inline]
    fn wrote(&self, _: usize, _: usize) {}

    #[inline]
    fn read(&self, _: usize, _: usize) {}

    #[inline]
    fn used(&self) {}

    #[inline]
    fn changed_hands(&self) {}
}

/// Tells loom what of a segment is touched.
#[cfg(loom)]
struct Shadow {
    octets: Box<[UnsafeCell<()>]>,
    /// Read by each use of the segment as a whole, written when it is emptied or freed: every use must come
    /// before, also one that is atomic by itself.
    life: UnsafeCell<()>,
    /// Fails the model when the segment is not freed.
    _leak: Track<()>,
}

#[cfg(loom)]
impl Shadow {
    fn new(capacity: usize) -> Self {
        let octets = (0..capacity).map(|_| UnsafeCell::new(())).collect();
        Self { octets, life: UnsafeCell::new(()), _leak: Track::new(()) }
    }

    fn wrote(&self, at: usize, count: usize) {
        self.octets[at..at + count].iter().for_each(|cell| cell.with_mut(|_| ()));
    }

    fn read(&self, at: usize, count: usize) {
        self.octets[at..at + count].iter().for_each(|cell| cell.with(|_| ()));
    }

    fn used(&self) {
        self.life.with(|_| ());
    }

    fn changed_hands(&self) {
        self.life.with_mut(|_| ());
        self.wrote(0, self.octets.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_unpacks_to_what_was_packed() {
        for octets in [0, 1, 0xFF_FFFF] {
            for messages in [0, 1, 0xFF_FFFF] {
                for bodies in [0, 1, 255] {
                    for is_sealed in [false, true] {
                        let word = Word { octets, messages, bodies, is_sealed };
                        assert_eq!(word.pack().word(), word);
                    }
                }
            }
        }
    }
}
