//! Connections that this side has ended against the peer's will, because it broke the protocol, or was dismissed; or on which
//! it could not say its last, because the kernel had no room.
//!
//! Closing the descriptor at once would reset the connection if anything is unread or comes later, and that would cost the
//! peer what the kernel has of us: the ERROR that tells why, or the last messages. So the stream outlives its session for
//! a while: what is left to say is said when there is room, then it is half-closed, and what comes is thrown away, as when
//! this side [leaves](crate::session::leave) in peace. Unlike there nobody waits for that end but a context that goes, for
//! what is left to say, and peers like these are given little time, few octets, and few places.
#![forbid(unsafe_code)]

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use mio::{Registry, Token};

use crate::io::{Fate, IoMailbox, Notice, Readiness, Task, ToIo, Turn, unique_id};
use crate::limits::{PARTING_OCTETS, PARTING_TIME, PARTINGS_MAX, RAW_READ};
use crate::session::leave::{Discarded, discard};
use crate::time::later;
use crate::transport::Stream;

/// A stream without a session.
struct Parting {
    stream: Stream,
    /// What is left to say, before its half is closed.
    rest: Vec<u8>,
    over_at: Option<Instant>,
    /// How much more is thrown away.
    octets: usize,
    /// One of the places of its context, for which it stands as long as it lives.
    place: Option<Arc<()>>,
}

/// Parts from the peer at the other end of a stream that no poll knows any more, when it was told the rest.
pub(super) fn part(stream: Stream, rest: Vec<u8>, mailbox: &IoMailbox) {
    let parting = Parting { stream, rest, over_at: None, octets: PARTING_OCTETS, place: None };
    mailbox.post(ToIo::Start(unique_id(), Box::new(parting)));
}

impl Parting {
    fn begin(&mut self, id: u64, registry: &Registry) -> Fate {
        let token = Token(usize::try_from(id).unwrap_or(usize::MAX));
        let registered = if self.rest.is_empty() {
            self.stream.finish();
            self.stream.register_reader(registry, token)
        } else {
            self.stream.register(registry, token)
        };
        match registered {
            Ok(()) => Fate::Goes,
            Err(_) => Fate::Done,
        }
    }

    fn go_on(&mut self, turn: &mut Turn<'_>) -> Fate {
        if !self.rest.is_empty() {
            let Ok(count) = self.stream.write(&[IoSlice::new(&self.rest)]) else { return Fate::Done };
            self.rest.drain(..count);
            if self.rest.is_empty() {
                self.stream.finish();
            }
        }
        let Ok((discarded, octets)) = discard(&mut self.stream, self.octets.min(8 * RAW_READ)) else {
            return Fate::Done;
        };
        self.octets = self.octets.saturating_sub(octets);
        match discarded {
            Discarded::Dry => Fate::Goes,
            Discarded::Some if self.octets > 0 => {
                turn.come_again();
                Fate::Goes
            }
            // Who has closed its half reads on.
            Discarded::End if !self.rest.is_empty() => Fate::Goes,
            Discarded::End | Discarded::Some => Fate::Done,
        }
    }
}

impl Task for Parting {
    fn on_start(&mut self, turn: &mut Turn<'_>) -> Fate {
        self.place = turn.pool.enter_parting(PARTINGS_MAX);
        if self.place.is_none() || self.begin(turn.id, turn.registry) == Fate::Done {
            return Fate::Done;
        }
        let over_at = later(turn.now, PARTING_TIME);
        self.over_at = Some(over_at);
        turn.wake_at(over_at);
        self.go_on(turn)
    }

    fn on_event(&mut self, _: Readiness, turn: &mut Turn<'_>) -> Fate {
        self.go_on(turn)
    }

    fn on_notice(&mut self, notice: Notice, turn: &mut Turn<'_>) -> Fate {
        match notice {
            Notice::Drive => self.go_on(turn),
            // What the peer is not told it may get wrong; for more no context waits.
            Notice::Finish(_) if !self.rest.is_empty() => Fate::Goes,
            Notice::Finish(_) | Notice::Stop(_) => Fate::Done,
            Notice::Ended { .. }
            | Notice::LookLater
            | Notice::Resolved(_)
            | Notice::Tick
            | Notice::WakeAt(_) => Fate::Goes,
        }
    }

    fn on_timer(&mut self, turn: &mut Turn<'_>) -> Fate {
        if self.over_at.is_some_and(|at| turn.now >= at) { Fate::Done } else { Fate::Goes }
    }
}
