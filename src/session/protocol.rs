//! What a session speaks: ZMTP, or with a STREAM's peer nothing.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::io::End;
use crate::pipe::Chores;
use crate::session::care::Gait;
use crate::session::link::Link;
use crate::session::lookout::Desk;
use crate::session::{Ends, driver, raw};
use crate::transport::Stream;
use crate::wire::Refusal;

/// How a turn ended, if the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The budget is spent: no event will come for what is left.
    Again,
    /// An event or a pipe will tell when there is more.
    Waits,
}

/// Whose turn it is to work on a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A call of the socket's: it cannot send meanwhile.
    Call,
    /// The same, of a thread that has waited since its last message: no stream.
    Step,
    /// Some thread's, beside calls of the socket.
    Task,
    /// A call's that has nothing to do before the peer has said something.
    Wait,
}

/// What the application is told at the end of a connection.
pub(super) struct Farewell<'a> {
    /// As a message.
    pub(super) octets: Option<&'a [u8]>,
    /// No other connection comes behind it.
    pub(super) is_last: bool,
}

/// One connection at work.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "boxed as a whole, and most are of the large kind")]
pub(super) enum Session {
    Raw(raw::Session),
    Zmtp(driver::Session),
}

impl Progress {
    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::Again { self } else { other }
    }
}

impl Session {
    /// A session over a connected stream; the caller runs it.
    pub(super) fn new(stream: Stream, link: &Arc<Link>, ends: Option<Box<Ends>>) -> Self {
        if link.owner().socket_type.is_raw() {
            Self::Raw(raw::Session::new(stream, link))
        } else {
            Self::Zmtp(driver::Session::new(stream, link, ends))
        }
    }

    pub(super) fn is_shaking_hands(&self) -> bool {
        match self {
            Self::Raw(_) => false,
            Self::Zmtp(session) => session.is_shaking_hands(),
        }
    }

    /// Whether a message of the peer has come.
    pub(super) fn has_heard(&self) -> bool {
        match self {
            Self::Raw(_) => false,
            Self::Zmtp(session) => session.has_heard(),
        }
    }

    /// Goes on with other pipe ends if nothing of the old ones has gone or come, or hands them back.
    pub(super) fn change_ends(&mut self, ends: Box<Ends>) -> Result<(), Box<Ends>> {
        match self {
            Self::Raw(_) => Err(ends),
            Self::Zmtp(session) => session.change_ends(ends),
        }
    }

    /// Whether the peer should have said something, and has not.
    pub(super) fn is_unheard(&self) -> bool {
        match self {
            Self::Raw(_) => false,
            Self::Zmtp(session) => session.is_unheard(),
        }
    }

    /// The last that the peer is told is that it is not wanted, if there are words for that.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        match self {
            Self::Raw(_) => {}
            Self::Zmtp(session) => session.refuse(refusal),
        }
    }

    /// Whether the kernel has had a message for the peer.
    pub(super) fn has_told(&self) -> bool {
        match self {
            Self::Raw(_) => false, // a STREAM does not come back with what it has not sent
            Self::Zmtp(session) => session.has_told_here(),
        }
    }

    /// See [`driver::Session::say_last`].
    pub(super) fn say_last(&mut self, end: Option<End>, link: &Link) -> Vec<u8> {
        match self {
            Self::Raw(_) => Vec::new(),
            Self::Zmtp(session) => session.say_last(end, link),
        }
    }

    /// Gives pipe ends back that are for the next session, too, and the stream, of which nobody hears any more.
    pub(super) fn part(self, farewell: Farewell<'_>, link: &Link) -> (Option<Box<Ends>>, Option<Stream>) {
        match self {
            Self::Raw(session) => (None, session.part(link)),
            Self::Zmtp(session) => session.part(farewell, link),
        }
    }

    /// Gives pipe ends back that are for the next session, too.
    pub(super) fn into_ends(self, farewell: Farewell<'_>) -> Option<Box<Ends>> {
        match self {
            Self::Raw(_) => None, // dropped, which tells the socket
            Self::Zmtp(session) => session.into_ends(farewell),
        }
    }

    /// See [`driver::Session::tick`].
    pub(super) fn tick(&mut self, link: &Link) -> Gait {
        match self {
            Self::Raw(_) => Gait::Quiet,
            Self::Zmtp(session) => session.tick(link),
        }
    }

    /// See [`driver::Session::lend`].
    pub(super) fn lend(&mut self, desk: Option<&Arc<Desk>>, link: &Link) -> bool {
        match self {
            Self::Raw(_) => false,
            Self::Zmtp(session) => session.lend(desk, link),
        }
    }

    /// See [`driver::Session::is_patient`].
    pub(super) fn is_patient(&self) -> bool {
        match self {
            Self::Raw(_) => false,
            Self::Zmtp(session) => session.is_patient(),
        }
    }

    /// See [`driver::Session::run`].
    #[inline]
    pub(super) fn run(
        &mut self,
        noted: u8,
        turn: Turn,
        chores: &mut Chores,
        link: &Link,
    ) -> Result<Progress, End> {
        match self {
            Self::Raw(session) => session.run(noted, chores, link),
            Self::Zmtp(session) => session.run(noted, turn, chores, link),
        }
    }

    /// System calls so far; of a ZMTP session only.
    #[cfg(test)]
    pub(super) fn calls(&self) -> u64 {
        match self {
            Self::Raw(_) => 0,
            Self::Zmtp(session) => session.calls(),
        }
    }

    /// Whether the kernel takes no more.
    pub(super) fn is_stuffed(&self) -> bool {
        match self {
            Self::Raw(session) => session.is_stuffed(),
            Self::Zmtp(session) => session.is_stuffed(),
        }
    }
}
