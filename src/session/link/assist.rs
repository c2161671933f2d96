//! What a link does for its socket's own thread.
#![forbid(unsafe_code)]

use std::time::Instant;

use crate::endpoint::Endpoint;
use crate::io::{End, Notice};
use crate::pipe::{Assist, Chores, NameLost, Patience, Ready, Vitals, Wake};
use crate::session::link::{Link, Place};
use crate::session::protocol::Turn;
use crate::session::streams::{self, WaitsFor};
use crate::session::work;
use crate::sync::Ordering;

impl Link {
    /// The peer has closed its half behind everything that it was told.
    pub(in crate::session) fn confirm(&self) {
        // Relaxed: whoever has the session asks, and has set it.
        if self.is_in_doubt.load(Ordering::Relaxed) {
            return;
        }
        // Release: pairs with the Acquire of whoever asks, who may have heard of the end in another way.
        self.is_confirmed.store(true, Ordering::Release);
    }

    /// There is another connection, over which the peer may be told more.
    pub(in crate::session) fn take_confirmation_back(&self) {
        self.is_confirmed.store(false, Ordering::Release); // as in `confirm`
    }

    /// Does `work` on the thread that streams, which may be about to sleep.
    pub(in crate::session) fn drive_for_caller(&self, work: u8, chores: &mut Chores) {
        chores.top_up();
        if self.place.drive(work | work::CALLER, |place, work| self.run(place, work, Turn::Task, chores)) {
            self.post_drive();
        }
    }

    /// Does `work` during a call of the socket, which cannot send meanwhile.
    fn drive_in_call(&self, work: u8, chores: &mut Chores) {
        self.drive_turn(work, Turn::Call, chores);
    }

    #[inline]
    fn drive_turn(&self, work: u8, mut turn: Turn, chores: &mut Chores) {
        let mut run = |place: &mut Place, work| {
            // Waiting is the first thing that it does, and the last.
            let turn = std::mem::replace(&mut turn, Turn::Call);
            self.run(place, work, turn, chores)
        };
        if self.place.drive(work | work::CALLER, &mut run) {
            self.post_drive();
        }
    }
}

impl Assist for Link {
    fn id(&self) -> u64 {
        self.id
    }

    fn flush(&self, chores: &mut Chores) -> bool {
        self.drive_in_call(work::PIPES, chores);
        self.enter_stream();
        self.is_stuffed(chores)
    }

    fn hand_on(&self, chores: &mut Chores) {
        match streams::may_write() {
            Some(turn) => self.drive_turn(work::PIPES, turn, chores),
            None => self.wake(self.id, Ready::Readable),
        }
        self.enter_stream();
    }

    fn fill(&self, patience: Patience, chores: &mut Chores) {
        // The poll in which this thread is about to wait tells of what has come, unless it has told.
        let is_told = patience != Patience::None
            && self.is_lent.load(Ordering::Relaxed)
            && !self.is_streamed()
            && !self.place.is_noted();
        let waits_for = if is_told { streams::waits_for(&self.streamer) } else { WaitsFor::Others };
        match waits_for {
            WaitsFor::Others => self.drive_in_call(work::FILL, chores),
            WaitsFor::ThisAlone if patience == Patience::Long && self.is_patient.load(Ordering::Relaxed) => {
                streams::note_wait();
                self.drive_turn(work::FILL, Turn::Wait, chores);
            }
            WaitsFor::ThisAlone | WaitsFor::This => {}
        }
        self.enter_stream();
    }

    fn hold(&self, act: &mut dyn FnMut()) -> bool {
        let Some(place) = self.place.try_lock() else { return false };
        act();
        drop(place);
        self.drive_rest();
        true
    }

    fn hang_up(&self, why: NameLost) {
        let mut place = self.place.lock();
        if let (Place::Up(session), true) = (&mut *place, self.mailbox.is_here()) {
            session.refuse(why.into());
            self.end(&mut place, End::NameLost(why));
        }
        drop(place);
        self.drive_rest();
    }

    fn expel(&self) {
        let mut place = self.place.lock();
        if let (Place::Up(_), true) = (&*place, self.mailbox.is_here()) {
            self.end(&mut place, End::Dismissed); // it hears what the kernel has
        }
        drop(place);
        self.drive_rest();
        self.stop(Some(Instant::now()));
    }

    fn give_up(&self) {
        self.end_given_up(&mut self.place.lock());
        self.drive_rest();
    }

    fn stop(&self, deadline: Option<Instant>) {
        // Relaxed: a session that runs now may miss it, and runs again for the notice.
        self.is_bounded.store(deadline.is_some(), Ordering::Relaxed);
        self.is_stopped.store(true, Ordering::Relaxed);
        self.post(Notice::Stop(deadline));
    }

    #[cfg(test)]
    fn calls(&self) -> u64 {
        let calls = match &*self.place.lock() {
            Place::Up(session) => session.calls(),
            Place::Down(_) => 0,
        };
        self.drive_rest();
        calls
    }

    fn vitals(&self) -> Vitals {
        self.pulse.vitals()
    }

    fn is_confirmed(&self) -> bool {
        self.is_confirmed.load(Ordering::Acquire)
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    fn cut(&self) {
        drop(self.take_ends());
        self.post(Notice::Stop(Some(Instant::now())));
    }
}

impl Wake for Link {
    fn destination(&self) -> Option<Endpoint> {
        Some(self.owner.peers.endpoint(self.id).unwrap_or_else(|| self.owner.endpoint.clone()))
    }

    fn is_confirmed(&self) -> bool {
        self.is_confirmed.load(Ordering::Acquire) // as in `confirm`
    }

    fn wake(&self, _: u64, _: Ready) {
        if self.place.note(work::PIPES) {
            self.post_drive();
        }
    }
}
