//! Whether a sleeper elsewhere was rung for: once is enough until it sleeps again.
#![forbid(unsafe_code)]

use crate::sync::{AtomicBool, Ordering};

/// Set by whoever rings, forgotten by the sleeper before it announces that it will sleep.
#[derive(Debug, Default)]
pub(crate) struct Rung(AtomicBool);

impl Rung {
    /// Somebody rings. `true`: nobody has since the sleeper forgot, and the bell must sound.
    pub(crate) fn ring(&self) -> bool {
        // AcqRel: pairs with the store in `forget`, after which the sleeper looks at its mail.
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Called before the sleeper asks to be rung for. An old ring that still sounds makes one sleep short.
    pub(crate) fn forget(&self) {
        // A swap, so that it comes behind a ring that is under way, and not before it: a plain store may, and then
        // the next ring finds that one and is silent. AcqRel: pairs with the swap in `ring`.
        self.0.swap(false, Ordering::AcqRel);
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Notify;
    use loom::thread;

    use super::*;
    use crate::pipe::models::check;
    use crate::pipe::{Mailbox, Sleepers};
    use crate::sync::Arc;

    struct Desk {
        first: Mailbox<()>,
        second: Mailbox<()>,
        rung: Rung,
        bell: Notify,
    }

    impl Desk {
        fn post(&self, to: &Mailbox<()>) {
            if !to.post(()).is_none() && self.rung.ring() {
                self.bell.notify();
            }
        }

        /// As a thread that waits for both mailboxes in a place of its own.
        fn wait(&self) {
            self.rung.forget();
            let both = [&self.first, &self.second];
            // All must be asked, or the one that was not would not ring.
            if both.map(|mailbox| mailbox.sleep_elsewhere(Sleepers::POLL)) == [true, true] {
                self.bell.wait();
            }
            both.into_iter().for_each(|mailbox| mailbox.awake(Sleepers::POLL));
        }

        fn take(&self) -> usize {
            let mut items = Vec::new();
            let mut count = 0;
            for mailbox in [&self.first, &self.second] {
                items.clear();
                mailbox.take(&mut items);
                count += items.len();
            }
            count
        }
    }

    #[test]
    fn who_sleeps_for_two_mailboxes_hears_of_every_post() {
        check(|| {
            let desk = Arc::new(Desk {
                first: Mailbox::new(),
                second: Mailbox::new(),
                rung: Rung::default(),
                bell: Notify::new(),
            });
            let poster = {
                let desk = Arc::clone(&desk);
                thread::spawn(move || {
                    desk.post(&desk.first);
                    desk.post(&desk.first);
                })
            };
            let other = {
                let desk = Arc::clone(&desk);
                thread::spawn(move || desk.post(&desk.second))
            };
            let mut taken = 0;
            while taken < 3 {
                desk.wait();
                taken += desk.take();
            }
            poster.join().unwrap();
            other.join().unwrap();
        });
    }
}
