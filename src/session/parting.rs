//! Connections that this side has ended against the peer's will: it broke the protocol, or was dismissed.
//!
//! Closing the descriptor at once would reset the connection if anything is unread or comes later, and that would cost the
//! peer what the kernel has of us: the ERROR that tells why, or the last messages. So the stream outlives its session for
//! a while: half-closed, and what comes is thrown away, as when this side [leaves](crate::session::leave) in peace.
//! Unlike there nobody waits for that end, and peers like these are given little time, few octets, and few places.
#![forbid(unsafe_code)]

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
    over_at: Option<Instant>,
    /// How much more is thrown away.
    octets: usize,
    /// One of the places of its context, for which it stands as long as it lives.
    place: Option<Arc<()>>,
}

/// Parts from the peer at the other end of a stream that no poll knows any more.
pub(super) fn part(stream: Stream, mailbox: &IoMailbox) {
    let parting = Parting { stream, over_at: None, octets: PARTING_OCTETS, place: None };
    mailbox.post(ToIo::Start(unique_id(), Box::new(parting)));
}

impl Parting {
    fn begin(&mut self, id: u64, registry: &Registry) -> Fate {
        self.stream.finish();
        let token = Token(usize::try_from(id).unwrap_or(usize::MAX));
        match self.stream.register_reader(registry, token) {
            Ok(()) => Fate::Goes,
            Err(_) => Fate::Done,
        }
    }

    fn go_on(&mut self, turn: &mut Turn<'_>) -> Fate {
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
            // No context waits for a peer that it has parted from.
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
