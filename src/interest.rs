//! What a waiter wants to be told of, and what it is told.
#![forbid(unsafe_code)]

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// What a [`Poller`](crate::Poller), a [`Descriptor`](crate::Descriptor) or
/// [`Socket::readiness`](crate::Socket::readiness) tells of: that something can be received, that something can be sent, or
/// both.
///
/// ```
/// use peermq::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert_eq!(both, Interest::BOTH);
/// assert!(both.is_readable() && !Interest::WRITABLE.is_readable());
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Something can be received, or will never be: the socket's context is shut down, a descriptor's peer is gone.
    pub const READABLE: Self = Self(1);
    /// Something can be sent, or will never be.
    pub const WRITABLE: Self = Self(2);
    /// Either of the two.
    pub const BOTH: Self = Self(3);
    /// Nothing, for the time being.
    pub const NONE: Self = Self(0);

    /// Whether it tells of what can be received.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & Self::READABLE.0 != 0
    }

    /// Whether it tells of what can be sent.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE.0 != 0
    }

    /// Whether it tells of nothing.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Interest {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.is_readable(), self.is_writable()) {
            (true, true) => "BOTH",
            (true, false) => "READABLE",
            (false, true) => "WRITABLE",
            (false, false) => "NONE",
        })
    }
}
