//! What a call does on behalf of peers before it looks up.
//!
//! A peer decides how much it sends of what nobody wants, of what is malformed, and of what concerns the socket alone.
//! A call that took all of it in would last as long as the peer goes on. So a call has a budget for each attempt, and
//! [`Pipes::spend`] is asked before the next piece of such work. Without any left the attempt ends as if nothing were
//! there; the socket's mailbox is reminded, so that whoever waits, in whatever way, tries again after it has looked at
//! its deadline, at its mail, and whether its context is shut down.
#![forbid(unsafe_code)]

use crate::limits::{CALL_BUDGET, LOOK_WORK};
use crate::message::Message;
use crate::pipe::{PipeKey, Pipes};

/// Work done since the attempt began.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: u32,
    was_cut_short: bool,
    /// Peers that were not attended to because of that.
    put_off: Vec<PipeKey>,
}

impl Pipes {
    /// Begins an attempt, with the whole budget.
    #[inline]
    pub(crate) fn start_attempt(&mut self) {
        (self.budget.spent, self.budget.was_cut_short) = (0, false);
    }

    /// Counts work that comes next. `false`: there is no budget for it, and the attempt ends here.
    pub(crate) fn spend(&mut self, work: u32) -> bool {
        let is_left = self.budget.spent < CALL_BUDGET;
        self.budget.was_cut_short |= !is_left;
        self.budget.spent = self.budget.spent.saturating_add(work);
        is_left
    }

    /// Counts the work that a message made which is of no use: one for each of its frames.
    pub(crate) fn spend_on(&mut self, frames: usize) -> bool {
        self.spend(u32::try_from(frames).unwrap_or(u32::MAX).max(1))
    }

    /// Counts a look for what a peer has sent.
    pub(super) fn note_look(&mut self) {
        self.budget.spent = self.budget.spent.saturating_add(LOOK_WORK);
    }

    /// There was no budget for this peer: it has its turn in the next attempt.
    pub(crate) fn put_off(&mut self, key: PipeKey) {
        self.budget.put_off.push(key);
    }

    /// Peers that were put off.
    pub(crate) fn take_put_off(&mut self) -> Vec<PipeKey> {
        std::mem::take(&mut self.budget.put_off)
    }

    /// Whether the attempt has left work undone, for which there was no budget.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.budget.was_cut_short
    }

    /// Drops what a peer has sent that nobody asked for, and asks to be told of more. What there is no budget for stays
    /// in the pipe, whose mark bounds it; of a peer that is gone nothing stays.
    pub(crate) fn discard(&mut self, key: PipeKey) {
        let mut message = Message::new();
        let mut count = 0;
        loop {
            if self.budget.spent >= CALL_BUDGET {
                if self.has_left(key) {
                    self.finished.push(key);
                }
                break;
            }
            if self.recv(key, &mut message).is_err() {
                break;
            }
            count += 1;
            self.spend_on(message.frame_count());
        }
        self.drops().unwanted.add(count);
    }

    /// Messages of this peer up to the last one that is here now.
    #[inline]
    pub(crate) fn last_here(&mut self, key: PipeKey) -> u64 {
        let Some(pipe) = self.get_mut(key) else { return 0 };
        let more = if pipe.inbound.may_have_more() { pipe.inbound.waiting() } else { 0 };
        pipe.inbound.received() + more
    }

    /// Drops the messages up to this one of a peer, as far as they are there and the budget goes.
    pub(crate) fn drop_up_to(&mut self, key: PipeKey, last: u64) -> bool {
        let mut message = Message::new();
        let mut count = 0;
        let mut is_left = true;
        while is_left
            && self.get_mut(key).is_some_and(|pipe| pipe.inbound.received() < last)
            && self.recv(key, &mut message).is_ok()
        {
            count += 1;
            is_left = self.spend_on(message.frame_count());
        }
        self.drops().unwanted.add(count);
        is_left
    }
}
