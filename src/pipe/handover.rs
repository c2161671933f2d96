//! A hand-over: a value that many threads have work for, and that one at a time works on.
//!
//! Nobody waits for the other: whoever finds the value taken notes the work, and whoever gives it back takes what was
//! noted meanwhile. What the notes mean is the caller's business.
//!
//! ```text
//!   is it free? ──no──▶ note work ─▶ is it free now? ──no──▶ whoever holds it will see the note
//!        │ yes                            │ yes
//!        ▼                                ▼
//!   run, with what is noted ◀─────────────┘
//!        │          ▲
//!        ▼          │ yes
//!   give back ─▶ notes? ──no──▶ done
//! ```
//!
//! Holds for whoever takes the value without running, too: after giving it back, [`Handover::drive`].
#![forbid(unsafe_code)]

use crate::limits::RUNS_MAX;
use crate::sync::{AtomicU8, Held, Mutex, Ordering, lock, try_lock};

/// A value, and notes of work to be done on it: one bit for each kind.
pub(crate) struct Handover<T> {
    notes: AtomicU8,
    /// Noted for whoever is told to come again.
    again: u8,
    value: Mutex<T>,
}

impl<T> Handover<T> {
    /// Nothing is noted. `again` is noted whenever a run leaves something to do.
    pub(crate) fn new(value: T, again: u8) -> Self {
        Self { notes: AtomicU8::new(0), again, value: Mutex::new(value) }
    }

    /// Notes work. `true`: none of it was noted before, and the caller must see to it that somebody drives.
    pub(crate) fn note(&self, work: u8) -> bool {
        // Release: publishes what was done before, to the swaps in `drive`. Acquire: see there.
        self.notes.fetch_or(work, Ordering::AcqRel) & work == 0
    }

    /// Runs `work` and what else was noted, or leaves it to whoever holds the value. `run` returns whether it
    /// left something to do. `true`: it did, come again.
    pub(crate) fn drive(&self, mut work: u8, mut run: impl FnMut(&mut T, u8) -> bool) -> bool {
        let mut has_more = false;
        for runs in 0.. {
            if work == 0 && runs >= RUNS_MAX && self.is_noted() {
                // Whoever comes again finds it.
                self.note(self.again);
                return true;
            }
            if work == 0 {
                work = self.take_notes();
            }
            if work == 0 {
                if has_more {
                    // Nobody else knows: when the caller comes again it must find something noted.
                    self.note(self.again);
                }
                return has_more;
            }
            if has_more {
                // Whoever takes it next does what was left, too: what was noted meanwhile may be less.
                work |= self.again;
            }
            let Some(mut value) = self.take_for(work) else { return has_more };
            if self.is_noted() {
                work |= self.take_notes();
            }
            has_more = run(&mut value, std::mem::take(&mut work));
        }
        has_more
    }

    /// Takes the value to do `work`, or notes that for whoever holds it.
    fn take_for(&self, work: u8) -> Option<Held<'_, T>> {
        self.try_lock().or_else(|| {
            self.note(work);
            // Whoever held it may have looked at the notes before. One of us sees the other: both change the notes, they
            // after they gave the value back, we before we look for it again. Who is second there acquires what
            // the first has done.
            self.try_lock()
        })
    }

    fn take_notes(&self) -> u8 {
        // AcqRel: what was done before the work was noted is visible, and to who notes next, that the value is free.
        self.notes.swap(0, Ordering::AcqRel)
    }

    /// Whether work is noted that nobody has begun.
    pub(crate) fn is_noted(&self) -> bool {
        // Relaxed: whoever notes sees to it that somebody drives.
        self.notes.load(Ordering::Relaxed) != 0
    }

    /// Takes the value if nobody else has it.
    pub(crate) fn try_lock(&self) -> Option<Held<'_, T>> {
        try_lock(&self.value)
    }

    /// Takes the value, after whoever has it.
    pub(crate) fn lock(&self) -> Held<'_, T> {
        lock(&self.value)
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::thread;

    use super::*;
    use crate::pipe::models::{check, check_within};
    use crate::sync::{Arc, AtomicBool};

    const AGAIN: u8 = 128;

    /// What the threads hand over, and what they did before they noted it.
    struct Bench {
        handover: Handover<Worker>,
        /// One for each bit: set before the bit is noted.
        prepared: [AtomicBool; 3],
        is_running: AtomicBool,
    }

    struct Worker {
        /// Every bit that came.
        seen: u8,
        /// How many runs still leave something to do.
        left: u8,
    }

    impl Bench {
        fn new(left: u8) -> Arc<Self> {
            Arc::new(Self {
                handover: Handover::new(Worker { seen: 0, left }, AGAIN),
                prepared: [(); 3].map(|()| AtomicBool::new(false)),
                is_running: AtomicBool::new(false),
            })
        }

        fn prepare(&self, bit: u8) {
            // Relaxed: only the note may publish it.
            self.prepared[usize::from(bit)].store(true, Ordering::Relaxed);
        }

        fn note(&self, bit: u8) -> bool {
            self.prepare(bit);
            self.handover.note(1 << bit)
        }

        fn drive(&self, work: u8) -> bool {
            self.handover.drive(work, |worker, work| {
                assert!(!self.is_running.swap(true, Ordering::Relaxed), "two at once");
                worker.seen |= work & !AGAIN;
                for (bit, prepared) in self.prepared.iter().enumerate() {
                    assert!(
                        work & 1 << bit == 0 || prepared.load(Ordering::Relaxed),
                        "{bit} is not prepared"
                    );
                }
                let left = worker.left;
                worker.left = left.saturating_sub(1);
                self.is_running.store(false, Ordering::Relaxed);
                left > 0
            })
        }

        /// Prepares, notes and drives, and comes again while told to.
        fn work(&self, bit: u8) {
            self.prepare(bit);
            let mut is_told = self.drive(1 << bit);
            while is_told {
                is_told = self.drive(0);
            }
        }

        /// Nothing is left when everybody has returned.
        fn assert_done(&self, seen: u8) {
            assert_eq!(self.handover.notes.load(Ordering::Relaxed), 0);
            let worker = self.handover.lock();
            assert_eq!((worker.seen, worker.left), (seen, 0));
        }
    }

    #[test]
    fn two_that_drive_at_once_lose_nothing() {
        check_within(5, || {
            let bench = Bench::new(0);
            let other = spawn(&bench, |bench| {
                bench.work(1);
                bench.work(2);
            });
            bench.work(0);
            other.join().unwrap();
            bench.assert_done(0b111);
        });
    }

    #[test]
    fn three_that_drive_at_once_lose_nothing() {
        check(|| {
            let bench = Bench::new(0);
            let others = [1, 2].map(|bit| spawn(&bench, move |bench| bench.work(bit)));
            bench.work(0);
            others.into_iter().for_each(|other| other.join().unwrap());
            bench.assert_done(0b111);
        });
    }

    #[test]
    fn what_a_run_leaves_is_done_by_whoever_comes_again() {
        check_within(4, || {
            let bench = Bench::new(2);
            let other = spawn(&bench, |bench| bench.work(1));
            bench.work(0);
            other.join().unwrap();
            bench.assert_done(0b11);
        });
    }

    #[test]
    fn a_note_made_while_the_value_is_held_is_seen_afterwards() {
        check_within(5, || {
            let bench = Bench::new(0);
            let other = spawn(&bench, |bench| bench.work(1));
            if let Some(worker) = bench.handover.try_lock() {
                // A step that meets the other's: loom lets it in while the value is held.
                let _ = bench.handover.notes.load(Ordering::Relaxed);
                drop(worker);
                bench.drive(0);
            }
            other.join().unwrap();
            bench.assert_done(0b10);
        });
    }

    #[test]
    fn a_note_that_was_there_needs_nobody_else() {
        check_within(5, || {
            let bench = Bench::new(0);
            let others = [0, 0].map(|bit| {
                spawn(&bench, move |bench| {
                    if bench.note(bit) {
                        bench.drive(0);
                    }
                })
            });
            others.into_iter().for_each(|other| other.join().unwrap());
            bench.assert_done(0b1);
        });
    }

    fn spawn(bench: &Arc<Bench>, work: impl FnOnce(&Bench) + 'static) -> thread::JoinHandle<()> {
        let bench = Arc::clone(bench);
        thread::spawn(move || work(&bench))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_gets_all_that_was_noted() {
        let handover = Handover::new(0, 128);
        assert!(handover.note(1));
        assert!(!handover.note(1));
        assert!(handover.note(2));
        assert!(!handover.drive(4, |seen, work| {
            *seen |= work;
            false
        }));
        assert_eq!(*handover.lock(), 1 | 2 | 4);
    }

    #[test]
    fn what_a_run_leaves_is_noted_for_the_next() {
        let handover = Handover::new(Vec::new(), 128);
        let run = |seen: &mut Vec<u8>, work| {
            seen.push(work);
            seen.len() == 1
        };
        assert!(handover.drive(1, run));
        assert!(!handover.drive(0, run));
        assert!(!handover.drive(0, run));
        assert_eq!(*handover.lock(), [1, 128]);
    }

    #[test]
    fn what_a_run_leaves_is_done_with_what_was_noted_meanwhile() {
        let handover = Handover::new(Vec::new(), 128);
        let run = |seen: &mut Vec<u8>, work| {
            seen.push(work);
            seen.len() == 1 && handover.note(2)
        };
        assert!(!handover.drive(1, run));
        assert_eq!(*handover.lock(), [1, 2 | 128]);
    }

    #[test]
    fn a_note_waits_while_the_value_is_held() {
        let handover = Handover::new((), 128);
        let held = handover.try_lock().unwrap();
        assert!(!handover.drive(1, |(), _| unreachable!("it is held")));
        drop(held);
        let mut seen = 0;
        handover.drive(0, |(), work| {
            seen = work;
            false
        });
        assert_eq!(seen, 1);
    }
}
