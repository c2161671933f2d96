//! How this side leaves a connection on which it has said everything.
//!
//! Its half is shut down, as soon as the kernel has the last of what it has said, and what comes is thrown away until the
//! peer closes its half, too: closing a descriptor with octets unread, or before a late PING comes, makes the kernel reset
//! the connection, and that costs the peer what it has not read yet. The connection's task ends it when the linger is over. Without such an end, connections whose peer
//! stays are looked at now and then.
#![forbid(unsafe_code)]

use std::io::IoSliceMut;
use std::time::Instant;

use crate::error::OsError;
use crate::io::{End, Notice};
use crate::limits::{LEAVE_LOOK, LEAVE_LOOKS_MAX, RAW_READ};
use crate::session::link::Link;
use crate::session::protocol::Progress;
use crate::session::work;
use crate::time::later;
use crate::transport::{Read, Stream};

/// A connection that only waits for its peer to close.
#[derive(Debug)]
pub(super) struct Leave {
    /// What the peer's kernel had not acknowledged at the last look.
    unacknowledged: Option<u64>,
    /// Looks in a row that found the same.
    looks: u8,
    /// The peer had closed its half before this side had said everything: its end says nothing.
    is_unheard: bool,
}

/// What throwing away came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discarded {
    /// There is nothing more now.
    Dry,
    /// The peer has closed its half.
    End,
    /// There may be more.
    Some,
}

impl Leave {
    /// Begins: the socket is gone, and the kernel has all messages. The caller shuts its half down, behind what else there
    /// is to say.
    pub(super) fn begin(stream: &Stream, link: &Link) -> Self {
        let is_unheard = stream.is_peer_closed();
        link.post(Notice::WakeAt(later(Instant::now(), LEAVE_LOOK)));
        Self { unacknowledged: stream.unacknowledged(), looks: 0, is_unheard }
    }

    /// Does what was noted, behind what throwing away came to. A peer that goes, too, `has_all` of what it was told, or
    /// has not.
    ///
    /// # Errors
    ///
    /// [`End::Sent`] when the connection is over, or nobody has to wait for its end.
    pub(super) fn go_on<E>(
        &mut self,
        discarded: Result<(Discarded, usize), E>,
        has_all: Option<bool>,
        noted: u8,
        stream: &Stream,
        link: &Link,
    ) -> Result<Progress, End> {
        match discarded {
            Ok((Discarded::End, _)) => {
                if has_all.unwrap_or(!self.is_unheard) {
                    link.confirm();
                }
                Err(End::Sent)
            }
            Err(_) => {
                if has_all == Some(true) {
                    link.confirm();
                }
                Err(End::Sent)
            }
            Ok((discarded @ (Discarded::Dry | Discarded::Some), _)) => {
                // Also of a peer that does not stop talking: each look asks for the next.
                if noted & work::BEAT != 0 && !link.is_bounded() {
                    self.look(stream.unacknowledged())?;
                    link.post(Notice::WakeAt(later(Instant::now(), LEAVE_LOOK)));
                }
                Ok(if discarded == Discarded::Dry { Progress::Waits } else { Progress::Again })
            }
        }
    }

    /// Compares what the peer's kernel has not acknowledged with what it was at the last look.
    fn look(&mut self, unacknowledged: Option<u64>) -> Result<(), End> {
        let before = std::mem::replace(&mut self.unacknowledged, unacknowledged);
        self.looks = if self.unacknowledged == before { self.looks + 1 } else { 0 };
        if self.unacknowledged.is_none_or(|octets| octets == 0) || self.looks >= LEAVE_LOOKS_MAX {
            return Err(End::Sent);
        }
        Ok(())
    }
}

/// Throws away what comes, about `budget` octets at most, and tells how many it was.
pub(super) fn discard(stream: &mut Stream, budget: usize) -> Result<(Discarded, usize), OsError> {
    discard_from(budget, |octets| stream.read(&mut [IoSliceMut::new(octets)]))
}

/// The same of what `read` brings.
pub(super) fn discard_from<E>(
    budget: usize,
    mut read: impl FnMut(&mut [u8]) -> Result<Read, E>,
) -> Result<(Discarded, usize), E> {
    let mut octets = [0; RAW_READ];
    let mut discarded = 0;
    while discarded < budget {
        match read(&mut octets)? {
            Read::Dry => return Ok((Discarded::Dry, discarded)),
            Read::End => return Ok((Discarded::End, discarded)),
            Read::Octets(count) => discarded += count,
        }
    }
    Ok((Discarded::Some, discarded))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How many looks there are, of which each finds what `find` says of its number.
    fn looks(find: impl Fn(u8) -> Option<u64>) -> u8 {
        let mut leave = Leave { unacknowledged: find(0), looks: 0, is_unheard: false };
        let end = (1..u8::MAX).find(|number| leave.look(find(*number)).is_err());
        end.unwrap_or(u8::MAX)
    }

    #[test]
    fn a_peer_that_takes_nothing_has_a_minute_and_as_long_again_for_each_octet() {
        assert_eq!(looks(|_| Some(0)), 1, "its kernel has everything");
        assert_eq!(looks(|_| None), 1, "nobody knows, and it is not waited for");
        assert_eq!(looks(|_| Some(7)), LEAVE_LOOKS_MAX);
        assert_eq!(LEAVE_LOOK * LEAVE_LOOKS_MAX.into(), Duration::from_secs(60));
        for last in 1..LEAVE_LOOKS_MAX {
            assert_eq!(looks(|number| Some(if number < last { 7 } else { 6 })), last + LEAVE_LOOKS_MAX);
        }
        assert_eq!(looks(|number| Some(1000 - u64::from(number))), u8::MAX, "it reads on");
        assert_eq!(looks(|number| Some(20 - u64::from(number))), 20);
    }
}
