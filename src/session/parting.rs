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

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write as _};
    use std::time::Duration;

    use mio::net::UnixStream;

    use super::*;
    use crate::io::Bench;

    /// One that has begun, the other end of its stream, and whether it goes on.
    fn begun(rest: Vec<u8>, bench: &mut Bench, now: Instant) -> (Parting, UnixStream, Fate) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut parting =
            Parting { stream: Stream::Ipc(ours), rest, over_at: None, octets: PARTING_OCTETS, place: None };
        let fate = parting.on_start(&mut bench.turn(unique_id(), now));
        (parting, theirs, fate)
    }

    #[test]
    fn it_takes_so_many_octets_and_no_more() {
        let (mut bench, now) = (Bench::new(), Instant::now());
        for rest in [Vec::new(), vec![7; PARTING_OCTETS]] {
            let (mut parting, mut theirs, mut fate) = begun(rest, &mut bench, now);
            let (octets, mut written) = ([0; RAW_READ], 0);
            while fate == Fate::Goes {
                match theirs.write(&octets) {
                    Ok(count) => written += count,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                fate = parting.on_notice(Notice::Drive, &mut bench.turn(1, now));
                assert!(written <= PARTING_OCTETS + RAW_READ, "{written}");
            }
            assert!(written >= PARTING_OCTETS, "{written}");
            assert!(parting.rest.capacity() <= PARTING_OCTETS);
        }
    }

    #[test]
    fn it_has_a_second_whatever_the_peer_does() {
        let (mut bench, now) = (Bench::new(), Instant::now());
        let (mut parting, _theirs, fate) = begun(vec![7; PARTING_OCTETS], &mut bench, now);
        assert_eq!((fate, bench.next_timer()), (Fate::Goes, Some(now + Duration::from_secs(1))));
        let just_before = now + PARTING_TIME - Duration::from_nanos(1);
        assert_eq!(parting.on_timer(&mut bench.turn(1, just_before)), Fate::Goes);
        assert_eq!(parting.on_timer(&mut bench.turn(1, now + PARTING_TIME)), Fate::Done);
    }

    #[test]
    fn there_is_room_for_so_many_and_again_when_one_has_ended() {
        let (mut bench, now) = (Bench::new(), Instant::now());
        let mut all: Vec<_> = (0..PARTINGS_MAX).map(|_| begun(Vec::new(), &mut bench, now)).collect();
        assert!(all.iter().all(|(_, _, fate)| *fate == Fate::Goes));
        assert_eq!(begun(Vec::new(), &mut bench, now).2, Fate::Done);
        assert_eq!(bench.pool().partings(), PARTINGS_MAX);
        all.pop();
        assert_eq!(begun(Vec::new(), &mut bench, now).2, Fate::Goes);
    }
}
