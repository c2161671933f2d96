//! How a session ends: what the peer has said is heard, and what it was told arrives.
//!
//! ```text
//!            it takes no more, or has closed its half          the end
//!   Talks ───────────────────────────────────────▶ Listens ──────────▶ over
//!     │ the socket is gone, and the kernel has everything                ▲
//!     └───────────────────────────────────────────▶ Leaves ──────────────┘
//! ```
//!
//! A peer that listens no more is written nothing: it would be lost, and the kernel's answer, a reset, may cost what the
//! peer has said before. The same is done when the kernel cannot report any more what there is to read, or room: then the
//! connection is looked at now and then.
#![forbid(unsafe_code)]

use std::io;
use std::time::Instant;

use crate::io::{End, Notice};
use crate::limits::UNWATCHED_LOOK;
use crate::pipe::Chores;
use crate::session::driver::Session;
use crate::session::leave::{Discarded, Leave};
use crate::session::link::Link;
use crate::session::protocol::Progress;
use crate::session::work;
use crate::time::later;

/// How far a connection is.
#[derive(Debug)]
pub(super) enum Stage {
    /// This side has said everything.
    Leaves(Box<Leave>),
    /// The peer listens no more, and why; what it has said is read to the end.
    Listens(End),
    Talks,
}

impl Session {
    /// Whether the peer listens, as far as is known, and this side has not said everything.
    #[inline]
    pub(super) fn is_talking(&self) -> bool {
        matches!(self.stage, Stage::Talks)
    }

    /// Does what was noted, as far as the connection is.
    pub(super) fn go_on(&mut self, noted: u8, chores: &mut Chores, link: &Link) -> Result<Progress, End> {
        if matches!(self.stage, Stage::Leaves(_)) {
            return self.go_on_leaving(noted, chores, link);
        }
        let progress = self.read_and_write(noted, chores, link);
        if self.is_unwatched && noted & work::BEAT != 0 {
            self.look_again(link);
        }
        match progress {
            Err(End::Sent) if self.has_told() => self.leave(chores, link),
            // The end was found at last, or a reset in its place. Why the first came is known if the peer was listened to.
            Err(end @ (End::PeerClosed | End::Io(_))) => {
                if self.hear_last_words() == Some(true) {
                    link.confirm();
                }
                Err(match self.stage {
                    Stage::Listens(first) if end == End::PeerClosed => first,
                    Stage::Listens(_) | Stage::Leaves(_) | Stage::Talks => end,
                })
            }
            progress => progress,
        }
    }

    /// The kernel has reported an end. Perhaps that of a connection before this one.
    pub(super) fn look_for_end(&mut self, link: &Link) {
        if self.is_talking() && self.stream.is_peer_closed() {
            self.listen(End::PeerClosed, link);
        }
    }

    /// The connection ends, but what the peer has said is read to the end. Not every such error is one of the connection,
    /// and only a peer that hears of it closes its side.
    pub(super) fn stop_talking(&mut self, end: End, link: &Link) {
        self.stream.finish();
        self.listen(end, link);
    }

    /// The same if the kernel will not report what it was asked to.
    pub(super) fn check_watch(&mut self, asked: io::Result<()>, link: &Link) {
        let Err(error) = asked else { return };
        self.be_quiet(link); // nobody asks again
        self.is_unwatched = true;
        if self.is_talking() {
            self.stop_talking(End::Io(error.into()), link);
        }
        self.look_again(link);
    }

    fn look_again(&self, link: &Link) {
        link.post(Notice::WakeAt(later(Instant::now(), UNWATCHED_LOOK)));
    }

    /// The peer listens no more: what it has said is read until the end shows.
    pub(super) fn listen(&mut self, end: End, link: &Link) {
        self.stage = Stage::Listens(end);
        self.is_readable = true;
        if !link.keeps_queue() {
            self.drop_queue();
        }
    }

    /// What is queued will not be sent: the socket hears of it before the last that the peer has said is received.
    pub(super) fn drop_queue(&mut self) {
        if !self.is_between_messages() {
            self.lead_out();
        }
        self.ends.iter_mut().for_each(|ends| ends.drop_queue());
    }

    /// Whether the kernel may have something that the peer has not read.
    fn has_told(&self) -> bool {
        !self.is_shaking_hands && self.sent() > 0
    }

    /// The socket is gone, and the kernel has everything.
    fn leave(&mut self, chores: &mut Chores, link: &Link) -> Result<Progress, End> {
        self.take_back(link);
        if !self.is_talking() {
            return Ok(Progress::Again);
        }
        self.ends.iter_mut().for_each(|ends| ends.rest());
        self.stage = Stage::Leaves(Box::new(Leave::begin(&self.stream, link)));
        self.say_rest();
        self.go_on_leaving(0, chores, link)
    }

    /// Says what the kernel had no room for, and nothing behind it.
    fn say_rest(&mut self) {
        if !self.outbox.is_empty() {
            self.write_outbox();
        }
        if self.outbox.is_empty() {
            self.stream.finish();
        }
    }

    fn go_on_leaving(&mut self, noted: u8, chores: &mut Chores, link: &Link) -> Result<Progress, End> {
        if noted & work::WRITABLE != 0 && !self.outbox.is_empty() {
            self.say_rest();
        }
        let discarded = self.throw_away(chores);
        // Before it was told everything, the peer's end says nothing.
        let is_told = self.outbox.is_empty();
        let has_all = match discarded {
            Ok((Discarded::Dry | Discarded::Some, _)) => None,
            Ok((Discarded::End, _)) | Err(_) => {
                self.hear_last_words().or_else(|| (!is_told).then_some(false))
            }
        };
        let Stage::Leaves(leave) = &mut self.stage else { return Ok(Progress::Waits) };
        leave.go_on(discarded, has_all, noted, &self.stream, link)
    }

    /// The socket does not want more: what still comes is thrown away, so that closing does not cut off
    /// what we have sent.
    pub(super) fn discard(&mut self, chores: &mut Chores) -> Result<Progress, End> {
        let (discarded, octets) = self.throw_away(chores)?;
        self.heard += octets as u64;
        match discarded {
            Discarded::Dry => {
                self.is_readable = false;
                Ok(Progress::Waits)
            }
            Discarded::End => Err(End::PeerClosed),
            Discarded::Some => Ok(Progress::Again),
        }
    }
}
