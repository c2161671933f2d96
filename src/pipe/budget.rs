//! What a call does on behalf of peers before it looks up.
//!
//! A peer decides how much it sends of what nobody wants, of what is malformed, and of what concerns the socket alone.
//! A call that took all of it in would last as long as the peer goes on. So a call has a budget for each attempt, and
//! [`Pipes::spend`] is asked before the next piece of such work. Without any left the attempt ends as if nothing were
//! there; the socket's mailbox is reminded, so that whoever waits, in whatever way, tries again after it has looked at
//! its deadline, at its mail, and whether its context is shut down.
//!
//! Commands, and frames of no message yet, are taken in below, by whoever works on the connection. For a call that is a
//! part of its attempt: it gives its budget along as [`Chores`], and leaves to the I/O thread what goes beyond.
#![forbid(unsafe_code)]

use crate::limits::{
    CALL_BUDGET, CHORES_PER_LOOK, CHORES_PER_TURN, CHORES_PER_WORK, COMMAND_CHORES, LOOK_WORK,
    OCTETS_PER_WORK,
};
use crate::message::{Frame, Message};
use crate::pipe::{PipeKey, Pipes};

/// Work done since the attempt began.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: u32,
    was_cut_short: bool,
    /// Peers that were not attended to because of that.
    put_off: Vec<PipeKey>,
}

/// What may still be done on behalf of a connection's peer, in frames that are looked at.
#[derive(Debug)]
pub(crate) struct Chores(u32);

/// What a peer has sent for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waste {
    frames: usize,
    octets: usize,
}

impl Chores {
    /// Of a turn that no call waits for.
    pub(crate) const fn of_turn() -> Self {
        Self(CHORES_PER_TURN)
    }

    /// Of a call that looks after several connections, before it waits or after it was told of them.
    pub(crate) const fn of_call() -> Self {
        Self(CALL_BUDGET * CHORES_PER_WORK)
    }

    /// Of one look beside what a call does.
    pub(crate) const fn of_look() -> Self {
        Self(CHORES_PER_LOOK)
    }

    /// Gives a connection its share, however much others have taken.
    pub(crate) fn top_up(&mut self) {
        self.0 = self.0.max(CHORES_PER_LOOK);
    }

    #[inline]
    pub(crate) fn is_any_left(&self) -> bool {
        self.0 > 0
    }

    /// How often something that makes so many can be done.
    pub(crate) fn times(&self, chores: u32) -> usize {
        (self.0 / chores) as usize
    }

    /// Counts a command of a peer, of so many octets.
    #[inline]
    pub(crate) fn note_command(&mut self, octets: usize) {
        self.note(COMMAND_CHORES);
        self.note_octets(octets);
    }

    /// Counts octets that are of no use to the application.
    #[inline]
    pub(crate) fn note_octets(&mut self, octets: usize) {
        let per_chore = OCTETS_PER_WORK / CHORES_PER_WORK as usize;
        self.note(u32::try_from(octets / per_chore).unwrap_or(u32::MAX));
    }

    /// Counts what is done.
    #[inline]
    pub(crate) fn note(&mut self, chores: u32) {
        self.0 = self.0.saturating_sub(chores);
        #[cfg(test)]
        crate::pipe::Tally::note_chores(u64::from(chores));
    }
}

impl Waste {
    pub(crate) fn of(message: &Message) -> Self {
        Self { frames: message.frame_count(), octets: message.size() }
    }

    pub(crate) fn of_frames(frames: &[Frame]) -> Self {
        frames.iter().fold(Self::default(), |waste, frame| waste.and(frame.len()))
    }

    /// With a frame more, of so many octets.
    pub(crate) fn and(self, octets: usize) -> Self {
        Self { frames: self.frames + 1, octets: self.octets + octets }
    }

    fn work(self) -> u32 {
        u32::try_from(self.frames + self.octets / OCTETS_PER_WORK).unwrap_or(u32::MAX).max(1)
    }
}

impl Budget {
    /// What one look at a connection may cost beside the look itself.
    #[inline]
    pub(super) fn chores(&self) -> Chores {
        let mut chores = Chores(CALL_BUDGET.saturating_sub(self.spent) * CHORES_PER_WORK);
        chores.top_up();
        chores
    }

    /// Counts what a look has cost which could cost no more than [`chores`](Self::chores) just said.
    #[inline]
    pub(super) fn note_chores(&mut self, left: &Chores) {
        let given = self.chores();
        let done = given.0.saturating_sub(left.0);
        if done == 0 {
            return;
        }
        self.spent = self.spent.saturating_add(done / CHORES_PER_WORK);
    }
}

impl Pipes {
    /// Begins an attempt, with the whole budget.
    #[inline]
    pub(crate) fn start_attempt(&mut self) {
        (self.budget.spent, self.budget.was_cut_short) = (0, false);
        #[cfg(test)]
        crate::pipe::Tally::note_look();
    }

    /// Counts work that comes next. `false`: there is no budget for it, and the attempt ends here.
    pub(crate) fn spend(&mut self, work: u32) -> bool {
        let is_left = self.budget.spent < CALL_BUDGET;
        self.budget.was_cut_short |= !is_left;
        self.budget.spent = self.budget.spent.saturating_add(work);
        is_left
    }

    /// Counts the work that a message made which is of no use.
    pub(crate) fn spend_on(&mut self, waste: Waste) -> bool {
        self.spend(waste.work())
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
            self.spend_on(Waste::of(&message));
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
    #[inline]
    pub(crate) fn drop_up_to(&mut self, key: PipeKey, last: u64) -> bool {
        let is_any = self.get_mut(key).is_some_and(|pipe| pipe.inbound.received() < last);
        !is_any || self.drop_some_up_to(key, last)
    }

    fn drop_some_up_to(&mut self, key: PipeKey, last: u64) -> bool {
        let mut message = Message::new();
        let mut count = 0;
        let mut is_left = true;
        while is_left
            && self.get_mut(key).is_some_and(|pipe| pipe.inbound.received() < last)
            && self.recv(key, &mut message).is_ok()
        {
            count += 1;
            is_left = self.spend_on(Waste::of(&message));
        }
        self.drops().unwanted.add(count);
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_pays_for_the_chores_of_its_looks() {
        let mut budget = Budget::default();
        let mut chores = budget.chores();
        assert_eq!(chores.0, Chores::of_call().0);
        chores.note(CHORES_PER_WORK * 24 + 1);
        budget.note_chores(&chores);
        assert_eq!(budget.spent, 24);
        let mut chores = budget.chores();
        chores.note(u32::MAX);
        assert!(!chores.is_any_left());
        budget.note_chores(&chores);
        assert_eq!(budget.spent, CALL_BUDGET);
        // And a look finds something all the same.
        assert_eq!(budget.chores().0, CHORES_PER_LOOK);
    }

    #[test]
    fn octets_cost_as_much_as_the_frames_that_are_read_in_their_time() {
        let work = |octets: usize| Waste::of(&Message::from(vec![0; octets])).work();
        assert_eq!([0, 100, 10_000, 100_000].map(work), [1, 1, 20, 196]);
        assert_eq!(Waste { frames: 3, octets: usize::MAX }.work(), u32::MAX);
        let mut chores = Chores::of_call();
        chores.note_command(6);
        assert_eq!(chores.0, 8192 - 8);
        chores.note_command(6400);
        assert_eq!(chores.0, 8192 - 16 - 100);
    }
}
