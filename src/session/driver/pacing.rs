//! How a session's traffic goes, and so who looks after it: see [`care`](crate::session::care).
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use crate::io::Notice;
use crate::limits::{IN_STEP_MAX, LENT_IDLE_TICKS, STREAM_BURST, STREAM_MESSAGES, STREAM_OCTETS};
use crate::session::care::Gait;
use crate::session::driver::Session;
use crate::session::link::Link;
use crate::session::lookout::Desk;
use crate::session::pace::Steps;

impl Session {
    /// Decides at a tick who looks after the connection until the next. `Quiet`: its I/O thread is told of every
    /// change again, from the next run on, and needs no tick.
    pub(in crate::session) fn tick(&mut self, link: &Link) -> Gait {
        let was_called = std::mem::take(&mut self.was_called);
        let is_lent = self.care.is_lent();
        self.idle_ticks = if self.has_sent_many() || was_called { 0 } else { self.idle_ticks + 1 };
        let goes_on = match self.care.gait() {
            Gait::Quiet => false,
            Gait::Stream => self.idle_ticks == 0 || is_lent && self.idle_ticks < LENT_IDLE_TICKS,
            // A caller that stays away does not hear of what the kernel tells it.
            Gait::InStep => {
                let is_heeded = was_called || link.owner().mailbox.is_awaited();
                is_heeded && self.idle_ticks < LENT_IDLE_TICKS
            }
        };
        if goes_on {
            // Lent, the kernel tells only a caller that waits; one that always finds room never does.
            self.unheard_ticks = if std::mem::take(&mut self.was_heard) { 0 } else { self.unheard_ticks + 1 };
            self.is_readable |= self.care.is_stream() && is_lent && self.unheard_ticks >= LENT_IDLE_TICKS;
            return self.care.gait();
        }
        self.idle_since = self.moved;
        self.take_back(link);
        Gait::Quiet
    }

    /// Whether the kernel took as many messages since the last call as make a stream, though they may be too few
    /// for the caller to write a batch in each tick.
    fn has_sent_many(&mut self) -> bool {
        let sent = self.sent();
        sent - std::mem::replace(&mut self.sent_at_tick, sent) >= STREAM_MESSAGES
    }

    /// Lends a connection that is in step or streams to the thread at `desk`, which is about to wait. `false`: the
    /// I/O thread hears of it, as it does again without a desk.
    pub(in crate::session) fn lend(&mut self, desk: Option<&Arc<Desk>>, link: &Link) -> bool {
        if self.care.gait() == Gait::Quiet {
            return false;
        }
        let (stream, calls) = (&mut self.stream, &mut self.calls);
        let lent = match desk {
            Some(desk) => self.care.lend(stream, desk, link.registry(), link.token(), calls),
            None => self.care.take_back(stream, link.registry(), link.token(), calls).map(|()| false),
        };
        let is_lent = *lent.as_ref().unwrap_or(&false);
        self.check_watch(lent.map(drop), link);
        if desk.is_some() && !self.is_writable {
            self.tell_writer(link);
        }
        is_lent
    }

    /// From now on the I/O thread is told of every change.
    pub(super) fn take_back(&mut self, link: &Link) {
        self.be_quiet(link);
        let taken = self.care.take_back(&mut self.stream, link.registry(), link.token(), &mut self.calls);
        self.check_watch(taken, link);
        if !self.is_writable {
            self.tell_writer(link);
        }
    }

    /// Nobody is asked to wait for this connection, and no tick comes.
    pub(super) fn be_quiet(&mut self, link: &Link) {
        self.care.set_gait(Gait::Quiet);
        self.steps = Steps::default();
        link.set_gait(Gait::Quiet);
        self.keep_buffers(false);
    }

    pub(super) fn tell_writer(&mut self, link: &Link) {
        // Who says nothing more needs no room.
        if self.is_unwatched {
            return;
        }
        let told = self.care.tell_writer(&mut self.stream, link.registry(), link.token(), &mut self.calls);
        self.check_watch(told, link);
    }

    pub(super) fn hush_writer(&mut self, link: &Link) {
        let hushed = self.care.hush_writer(&mut self.stream, link.registry(), link.token(), &mut self.calls);
        self.check_watch(hushed, link);
    }

    fn keep_buffers(&mut self, keep: bool) {
        if let Some(ends) = &self.ends {
            ends.inbound.keep_buffers(keep);
        }
        if let Some(translator) = &mut self.translator {
            translator.keep_buffers(keep);
        }
    }

    /// The caller has moved so many octets and messages in one go: enough to count as streaming?
    pub(super) fn note_caller(&mut self, moved: u64, messages: u64, is_turn: bool, link: &Link) {
        let is_stuffed = !self.is_writable && self.moved != self.idle_since;
        let is_much = moved >= STREAM_OCTETS && !is_turn || messages >= STREAM_BURST || is_stuffed;
        if is_much {
            self.note_stream(link);
        }
        self.was_called |= moved > 0;
    }

    /// Messages come so fast that the pipes need not tell of each: the I/O thread looks at every tick.
    pub(super) fn note_stream(&mut self, link: &Link) {
        if !self.care.is_stream() && !self.is_shaking_hands {
            self.start_ticks(Gait::Stream, link);
        }
    }

    /// The caller looks for messages, and is perhaps about to wait.
    pub(super) fn note_look(&mut self, link: &Link) {
        let messages = self.messages();
        if !self.is_shaking_hands
            && self.steps.note_look(messages, Instant::now)
            && link.ticking() < IN_STEP_MAX
        {
            self.start_ticks(Gait::InStep, link);
        }
    }

    fn start_ticks(&mut self, gait: Gait, link: &Link) {
        self.care.set_gait(gait);
        self.keep_buffers(true);
        self.was_called = true;
        self.idle_ticks = 0;
        link.set_gait(gait);
        link.post(Notice::Tick);
    }
}
