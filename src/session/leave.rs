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
            Err(_) => Err(End::Sent),
            Ok((discarded @ (Discarded::Dry | Discarded::Some), _)) => {
                // Also of a peer that does not stop talking: each look asks for the next.
                if noted & work::BEAT != 0 && !link.is_bounded() {
                    self.look(stream, link)?;
                }
                Ok(if discarded == Discarded::Dry { Progress::Waits } else { Progress::Again })
            }
        }
    }

    fn look(&mut self, stream: &Stream, link: &Link) -> Result<(), End> {
        let before = std::mem::replace(&mut self.unacknowledged, stream.unacknowledged());
        self.looks = if self.unacknowledged == before { self.looks + 1 } else { 0 };
        if self.unacknowledged.is_none_or(|octets| octets == 0) || self.looks >= LEAVE_LOOKS_MAX {
            return Err(End::Sent);
        }
        link.post(Notice::WakeAt(later(Instant::now(), LEAVE_LOOK)));
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
