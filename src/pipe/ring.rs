//! What both ends of a pipe share: counters, flags, the recycled segment, and the end of its life.
//!
//! Two questions cross the pipe against the data. "Is the reader asleep?" is asked after every publish,
//! "does the writer wait for room?" after every message taken; both are one relaxed load, and the side that
//! goes to sleep pays for the ordering with [`heavy_fence`](crate::sync::heavy_fence).
#![allow(unsafe_code, reason = "the last owner frees the chain")]

use std::ptr::{self, NonNull};

use bytes::Bytes;

use crate::limits::SPARE_SEGMENTS;
use crate::pipe::passage::{Passage, Passages};
use crate::pipe::segment::{Segment, Word};
use crate::pipe::wake::{Ready, WakeUp};
use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU64, CachePadded, Mutex, Ordering, UnsafeCell, do_each, heavy_fence,
    light_fence, lock,
};

/// [`Progress::resume_at`] while the producer does not wait.
const NOT_WAITING: u64 = u64::MAX;

/// A limit that no pipe reaches.
const UNLIMITED: u64 = u64::MAX;

/// Written by the consumer for every message, read by the producer when it seems full.
struct Progress {
    /// Messages taken since the pipe was made.
    consumed: AtomicU64,
    /// Octets of the segments and bodies that were let go since the pipe was made.
    freed: AtomicU64,
    /// The count at which a waiting producer wants to be woken.
    resume_at: AtomicU64,
    /// Messages that were taken, and that the peer has not received before it went, as it said.
    unread: AtomicU64,
    /// Messages sent, and octets of their frames, when the producer last wrote them down, which is rare.
    sent: AtomicU64,
    sent_octets: AtomicU64,
    /// Connections that came and went, of which the consumer does not know. Here, as there is room: with it the rarely
    /// written part would take another two cache lines.
    passages: Mutex<Passages>,
}

/// Rarely written.
struct Flags {
    is_reader_waiting: AtomicBool,
    is_producer_gone: AtomicBool,
    is_consumer_gone: AtomicBool,
    /// The consumer takes no more, and is about to count what is left, and to go.
    is_left: AtomicBool,
    /// Notes were put in that count as messages.
    has_notes: AtomicBool,
    /// Most messages between producer and consumer.
    limit: AtomicU64,
    /// Where the chain starts, until the consumer takes it over.
    first: AtomicPtr<Segment>,
    /// Emptied segments are kept; else they are freed at once.
    is_busy: AtomicBool,
    /// Emptied segments on their way back.
    spares: [AtomicPtr<Segment>; SPARE_SEGMENTS],
    reader: Mutex<Option<WakeUp>>,
    writer: Mutex<Option<WakeUp>>,
    /// The segment the consumer stopped in, and how many of its bodies it took.
    rest: UnsafeCell<Option<(NonNull<Segment>, usize)>>,
}

/// The shared part of one pipe.
pub(super) struct Ring {
    progress: CachePadded<Progress>,
    flags: CachePadded<Flags>,
}

// SAFETY: the raw pointers lead to segments, whose parts are handed from producer to consumer and back by
// Release/Acquire pairs; `rest` is written by the consumer's drop and read by the last owner's.
unsafe impl Send for Ring {}
// SAFETY: as above; every other field is atomic or behind a lock.
unsafe impl Sync for Ring {}

impl Ring {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self {
            progress: CachePadded(Progress {
                consumed: AtomicU64::new(0),
                freed: AtomicU64::new(0),
                resume_at: AtomicU64::new(NOT_WAITING),
                unread: AtomicU64::new(0),
                sent: AtomicU64::new(0),
                sent_octets: AtomicU64::new(0),
                passages: Mutex::new(Passages::default()),
            }),
            flags: CachePadded(Flags {
                is_reader_waiting: AtomicBool::new(false),
                is_producer_gone: AtomicBool::new(false),
                is_consumer_gone: AtomicBool::new(false),
                is_left: AtomicBool::new(false),
                has_notes: AtomicBool::new(false),
                limit: AtomicU64::new(limit.unwrap_or(UNLIMITED)),
                first: AtomicPtr::new(ptr::null_mut()),
                is_busy: AtomicBool::new(true),
                spares: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
                reader: Mutex::new(None),
                writer: Mutex::new(None),
                rest: UnsafeCell::new(None),
            }),
        }
    }

    fn flags(&self) -> &Flags {
        &self.flags.0
    }

    // The producer's calls.

    /// Notes what became of the connection behind so many messages. `true`: the consumer has to be told to look.
    pub(super) fn note_passage(&self, messages: u64, note: impl FnOnce(&mut Passage)) -> bool {
        lock(&self.progress.0.passages).note(messages, note)
    }

    /// The producer puts a note in that counts as a message.
    pub(super) fn set_noted(&self) {
        // Relaxed: published with the note.
        self.flags().has_notes.store(true, Ordering::Relaxed);
    }

    /// Whether among what is published there may be such notes: the consumer's call.
    pub(super) fn is_noted(&self) -> bool {
        self.flags().has_notes.load(Ordering::Relaxed) // as where it is written
    }

    #[cfg(test)]
    pub(super) fn passages(&self) -> usize {
        lock(&self.progress.0.passages).len()
    }

    /// What became of connections, behind the messages that were taken: the consumer's call.
    pub(super) fn take_passage(&self) -> Option<Passage> {
        lock(&self.progress.0.passages).take()
    }

    pub(super) fn start(&self, segment: NonNull<Segment>) {
        // Release: pairs with the Acquire in `take_first`.
        self.flags().first.store(segment.as_ptr(), Ordering::Release);
    }

    pub(super) fn limit(&self) -> u64 {
        // Relaxed: a number that stands for itself.
        self.flags().limit.load(Ordering::Relaxed)
    }

    pub(super) fn consumed(&self) -> u64 {
        // Acquire: pairs with the Release in `consume`; what was taken is not looked at any more.
        self.progress.0.consumed.load(Ordering::Acquire)
    }

    /// Messages that were taken, and that the peer has not received before it went.
    pub(super) fn unread(&self) -> u64 {
        self.progress.0.unread.load(Ordering::Relaxed) // a number that stands for itself
    }

    /// Wakes the consumer if it waits. Called after every publish.
    #[inline]
    pub(super) fn wake_reader(&self) {
        if self.is_reader_waiting() {
            self.wake_sleeping_reader();
        }
    }

    /// Whether the consumer waits. Asked after every publish.
    #[inline]
    pub(super) fn is_reader_waiting(&self) -> bool {
        // Pairs with the heavy fence in `wait_for_messages`: we stored the word and now read the flag; the
        // consumer stored the flag and then reads the word. One of us sees the other.
        light_fence();
        self.flags().is_reader_waiting.load(Ordering::Relaxed)
    }

    /// Takes the duty to wake a consumer that waits.
    pub(super) fn take_waiting_reader(&self) -> bool {
        // Relaxed: only one side swaps a `true` away; the wake-up itself goes through a lock.
        self.flags().is_reader_waiting.swap(false, Ordering::Relaxed)
    }

    #[cold]
    fn wake_sleeping_reader(&self) {
        if self.take_waiting_reader() {
            let wake_up = lock(&self.flags().reader).clone();
            if let Some(wake_up) = wake_up {
                wake_up.wake(Ready::Readable);
            }
        }
    }

    /// Octets let go since the pipe was made, in steps of whole segments and bodies.
    pub(super) fn freed(&self) -> u64 {
        // Relaxed: a number that stands for itself; `consumed` is read first, and orders it where it matters.
        self.progress.0.freed.load(Ordering::Relaxed)
    }

    /// Asks to be woken when `resume_at` messages have been taken. `false`: do not wait, look again.
    pub(super) fn wait_for_room(&self, resume_at: u64, is_full: impl FnOnce() -> bool) -> bool {
        // Relaxed: ordered by the fence. A swap for the reason given in `wait_for_messages`.
        self.progress.0.resume_at.swap(resume_at, Ordering::Relaxed);
        // Pairs with the light fences in `consume` and `raise_limit`: we stored `resume_at` and now read
        // `consumed` and the limit.
        heavy_fence();
        if self.is_consumer_gone() || !is_full() {
            self.progress.0.resume_at.store(NOT_WAITING, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Asks to be woken when the consumer is gone. `false`: it is.
    pub(super) fn wait_for_end(&self) -> bool {
        // More than is ever taken. Relaxed: ordered by the fence. A swap for the reason given in `wait_for_messages`.
        self.progress.0.resume_at.swap(NOT_WAITING - 1, Ordering::Relaxed);
        // Pairs with the light fence in `consumer_gone`.
        heavy_fence();
        if self.is_consumer_gone() {
            self.progress.0.resume_at.store(NOT_WAITING, Ordering::Relaxed);
            return false;
        }
        true
    }

    pub(super) fn is_consumer_gone(&self) -> bool {
        // Acquire: pairs with the Release in `consumer_gone`.
        self.flags().is_consumer_gone.load(Ordering::Acquire)
    }

    pub(super) fn producer_gone(&self) {
        // Release: pairs with the Acquire in `is_producer_gone`; what was published before is there.
        self.flags().is_producer_gone.store(true, Ordering::Release);
        self.wake_reader();
        let wake_up = lock(&self.flags().reader).clone();
        if let Some(wake_up) = wake_up {
            wake_up.wake(Ready::Closed);
        }
    }

    /// An emptied segment, if the consumer left one.
    pub(super) fn take_spare(&self) -> Option<NonNull<Segment>> {
        // Acquire: pairs with the Release in `give_spare`.
        self.flags()
            .spares
            .iter()
            .find_map(|slot| NonNull::new(slot.swap(ptr::null_mut(), Ordering::Acquire)))
    }

    /// From now on emptied segments are kept.
    pub(super) fn set_busy(&self) {
        // Relaxed, as in `give_spare`. Stored only if it changes: the other side reads this line all the time.
        if !self.flags().is_busy.load(Ordering::Relaxed) {
            self.flags().is_busy.store(true, Ordering::Relaxed);
        }
    }

    /// Writes down for other threads how much was sent.
    pub(super) fn note_sent(&self, messages: u64, octets: u64) {
        // Relaxed: numbers that stand for themselves.
        self.progress.0.sent.store(messages, Ordering::Relaxed);
        self.progress.0.sent_octets.store(octets, Ordering::Relaxed);
    }

    // The consumer's calls.

    /// The start of the chain, once. From then on it is the consumer who knows where the chain starts.
    pub(super) fn take_first(&self) -> Option<NonNull<Segment>> {
        // Acquire: pairs with the Release in `start`.
        let first = NonNull::new(self.flags().first.load(Ordering::Acquire))?;
        // Relaxed: the producer stores here once, which was before; the last owner comes after our drop.
        self.flags().first.store(ptr::null_mut(), Ordering::Relaxed);
        Some(first)
    }

    /// The start of the chain, if the consumer has not taken it over.
    pub(super) fn first(&self) -> Option<NonNull<Segment>> {
        NonNull::new(self.flags().first.load(Ordering::Acquire)) // as in `take_first`
    }

    /// Counts messages as taken, and wakes the producer if it waited for that.
    #[inline]
    pub(super) fn consume(&self, consumed: u64) {
        // Release: pairs with the Acquire in `consumed`.
        self.progress.0.consumed.store(consumed, Ordering::Release);
        // Pairs with the heavy fence in `wait_for_room`.
        light_fence();
        if consumed >= self.progress.0.resume_at.load(Ordering::Relaxed) {
            self.wake_waiting_writer();
        }
    }

    /// The peer has gone without so many messages.
    pub(super) fn note_unread(&self, messages: u64) {
        // Relaxed: a number that stands for itself. Who takes a connection for over sees it with that.
        self.progress.0.unread.fetch_add(messages, Ordering::Relaxed);
    }

    /// Counts octets that are let go. Called before the messages that they belong to count as taken.
    pub(super) fn free(&self, octets: usize) {
        let freed = &self.progress.0.freed;
        // Relaxed: only the consumer writes; the Release in `consume` publishes it.
        freed.store(freed.load(Ordering::Relaxed) + octets as u64, Ordering::Relaxed);
    }

    /// Wakes the producer if it waits and anything was taken since it sent its last message.
    pub(super) fn tell_of_room(&self, consumed: u64) {
        let resume_at = self.progress.0.resume_at.load(Ordering::Relaxed);
        // The producer waits at `limit` messages ahead and wants half of them taken.
        let was_full_at = resume_at.saturating_sub(self.limit().div_ceil(2));
        if resume_at != NOT_WAITING && consumed > was_full_at {
            self.wake_waiting_writer();
        }
    }

    #[cold]
    fn wake_waiting_writer(&self) {
        // Relaxed: only one side swaps a real count away; the wake-up itself goes through a lock.
        if self.progress.0.resume_at.swap(NOT_WAITING, Ordering::Relaxed) != NOT_WAITING {
            let wake_up = lock(&self.flags().writer).clone();
            if let Some(wake_up) = wake_up {
                wake_up.wake(Ready::Writable);
            }
        }
    }

    /// Asks to be woken at the next publish. `false`: `has_news` says that there is something to do.
    pub(super) fn wait_for_messages(&self, has_news: impl FnOnce() -> bool) -> bool {
        // Relaxed: ordered by the fence. A swap, so that it comes right behind what the producer's swap for an
        // earlier wait left: loom takes a plain store to be free to come before it, and hears of no wake-up.
        self.flags().is_reader_waiting.swap(true, Ordering::Relaxed);
        // Pairs with the light fence in `is_reader_waiting`.
        heavy_fence();
        self.keeps_waiting(!has_news())
    }

    /// The same while nothing can be published: the producer is this thread's own, or shut out by a lock.
    pub(super) fn wait_for_messages_alone(&self, is_dry: bool) -> bool {
        // Relaxed: whatever lets the producer go on orders it.
        self.flags().is_reader_waiting.swap(true, Ordering::Relaxed);
        self.keeps_waiting(is_dry)
    }

    fn keeps_waiting(&self, is_dry: bool) -> bool {
        let waits = is_dry && !self.is_producer_gone();
        if !waits {
            self.flags().is_reader_waiting.store(false, Ordering::Relaxed);
        }
        waits
    }

    /// Whether the consumer waits already: whoever has published since sees that, and wakes it.
    pub(super) fn is_reader_told(&self) -> bool {
        self.flags().is_reader_waiting.load(Ordering::Relaxed)
    }

    pub(super) fn is_producer_gone(&self) -> bool {
        // Acquire: pairs with the Release in `producer_gone`.
        self.flags().is_producer_gone.load(Ordering::Acquire)
    }

    /// The consumer takes no more. What it does not find published from now on was published by a producer that finds
    /// this.
    pub(super) fn leave(&self) {
        self.flags().is_left.store(true, Ordering::Relaxed);
        // Pairs with the heavy fence in `is_left`.
        light_fence();
    }

    /// Whether the consumer takes no more of what the producer has published.
    pub(super) fn is_left(&self) -> bool {
        // Orders what was published before the look: see `leave`.
        heavy_fence();
        // Relaxed: nothing that the consumer has done is looked at.
        self.flags().is_left.load(Ordering::Relaxed) || self.is_consumer_gone()
    }

    /// Raises the limit, which may be what the producer waits for.
    pub(super) fn raise_limit(&self, limit: Option<u64>) {
        self.set_limit(limit);
        // Pairs with the heavy fence in `wait_for_room`.
        light_fence();
        self.wake_waiting_writer();
    }

    /// Remembers where the consumer stopped, for the one who frees the chain.
    pub(super) fn consumer_gone(&self, rest: Option<(NonNull<Segment>, usize)>) {
        self.flags().rest.with_mut(|slot| {
            // SAFETY: only the one consumer writes here, once; the last owner reads it after both are gone.
            unsafe { *slot = rest };
        });
        // Release: pairs with the Acquire in `is_consumer_gone`.
        self.flags().is_consumer_gone.store(true, Ordering::Release);
        light_fence();
        self.wake_waiting_writer();
    }

    /// Tells the producer that nothing has come for long, and that the last segment is large.
    pub(super) fn suggest_rest(&self) {
        let wake_up = lock(&self.flags().writer).clone();
        if let Some(wake_up) = wake_up {
            wake_up.wake(Ready::Quiet);
        }
    }

    /// Gives an emptied segment back; frees it when enough lie there, or when none are kept.
    pub(super) fn give_spare(&self, segment: NonNull<Segment>) {
        // Relaxed: at worst one is kept that need not be, until the next look at a quiet pipe. Who has seen the
        // segment sealed by `Producer::rest` sees what was stored before.
        let is_busy = self.flags().is_busy.load(Ordering::Relaxed);
        for slot in self.flags().spares.iter().filter(|_| is_busy) {
            // Release: our reads of the segment come before the producer's writes. Relaxed: a slot that is
            // taken is left alone.
            let given = slot.compare_exchange(
                ptr::null_mut(),
                segment.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            );
            if given.is_ok() {
                return;
            }
        }
        // SAFETY: it came from `allocate`; the chain has gone on behind it, and no slot took it, so it is
        // ours alone.
        unsafe { Segment::free(segment) };
    }

    /// Writes down, when the consumer goes, how much was sent that it has seen: the producer may not have done so.
    pub(super) fn note_left(&self, messages: u64) {
        let sent = &self.progress.0.sent;
        // Relaxed: a number that stands for itself. A producer that writes down more meanwhile does so again when it
        // goes.
        if messages > sent.load(Ordering::Relaxed) {
            sent.store(messages, Ordering::Relaxed);
        }
    }

    /// Corrects the octets that were let go when the consumer goes: to those that it has taken.
    pub(super) fn set_freed(&self, octets: u64) {
        self.progress.0.freed.store(octets, Ordering::Relaxed); // as in `free`
    }

    // Anybody's.

    /// Messages sent, and octets of their frames: as the producer last wrote them down, or as is known since.
    pub(super) fn sent(&self) -> (u64, u64) {
        let sent = self.progress.0.sent.load(Ordering::Relaxed).max(self.consumed());
        (sent, self.progress.0.sent_octets.load(Ordering::Relaxed).max(self.freed()))
    }

    /// Who is woken for the consumer.
    pub(super) fn reader(&self) -> Option<WakeUp> {
        lock(&self.flags().reader).clone()
    }

    // Either side's.

    /// Frees the emptied segments that lie here, and keeps none until the producer fills another one.
    pub(super) fn let_spares_go(&self) {
        self.flags().is_busy.store(false, Ordering::Relaxed); // as in `give_spare`
        while let Some(spare) = self.take_spare() {
            // SAFETY: taken out of the slot, so it is ours alone, and it is in no chain.
            unsafe { Segment::free(spare) };
        }
    }

    pub(super) fn set_limit(&self, limit: Option<u64>) {
        self.flags().limit.store(limit.unwrap_or(UNLIMITED), Ordering::Relaxed);
    }

    /// Emptied segments that lie here.
    #[cfg(test)]
    pub(super) fn spares(&self) -> usize {
        self.flags().spares.iter().filter(|slot| !slot.load(Ordering::Relaxed).is_null()).count()
    }

    // A wake-up that is set while its side waits may come too late for it: the other side may be about to
    // call the old one. Whoever changes it waits again.

    pub(super) fn set_reader(&self, wake_up: WakeUp) {
        *lock(&self.flags().reader) = Some(wake_up);
    }

    pub(super) fn set_writer(&self, wake_up: WakeUp) {
        *lock(&self.flags().writer) = Some(wake_up);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        while let Some(spare) = self.take_spare() {
            // SAFETY: ours alone: both ends are gone, and it is in no chain.
            unsafe { Segment::free(spare) };
        }
        let rest = self.flags().rest.with(|rest| {
            // SAFETY: both ends are gone; `Arc` ordered their drops before this.
            unsafe { *rest }
        });
        // Neither: nothing was written.
        let at = rest.or_else(|| self.take_first().map(|first| (first, 0)));
        do_each(Remains { at }, drop);
    }
}

/// The bodies that nobody has taken from the chain of a pipe without ends. Frees the segments as it passes them.
struct Remains {
    /// A segment, and how many of its bodies are taken.
    at: Option<(NonNull<Segment>, usize)>,
}

impl Iterator for Remains {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while let Some((segment, taken)) = self.at {
            // SAFETY: the chain from here on is reachable only from its ring, which is dropped, and each segment is live.
            let block = unsafe { segment.as_ref() };
            let Word { bodies, is_sealed, .. } = block.published();
            if taken < usize::from(bodies) {
                self.at = Some((segment, taken + 1));
                // SAFETY: published, not taken by the consumer, and taken here once: the place has passed it.
                return Some(unsafe { block.take_body(taken) });
            }
            self.at = if is_sealed { block.next().map(|next| (next, 0)) } else { None };
            // SAFETY: nobody else can reach it; `next` was read before.
            unsafe { Segment::free(segment) };
        }
        None
    }
}
