//! Routing strategies: which pipe comes next. Socket types are composed from these.
//!
//! They keep pipe keys only; the pipes belong to the socket. Never sees a descriptor, the wire or a thread.

mod fair_queue;
mod fan_out;
mod peer_table;
mod round_robin;
mod single;
mod topics;
mod turns;

pub(crate) use fair_queue::FairQueue;
pub(crate) use fan_out::FanOut;
pub(crate) use peer_table::PeerTable;
pub(crate) use round_robin::RoundRobin;
pub(crate) use single::Single;
pub(crate) use topics::{Left, Removed, Seat, TooMuch, Topics};

use crate::error::{RecvError, SendError};

/// No pipe can serve the call now. Every pipe that was asked will tell when that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoneReady;

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSent {
    NoneReady,
    /// The peer whose turn it is takes no message of this size, or of so many parts.
    TooLarge,
}

impl From<NoneReady> for NotSent {
    fn from(_: NoneReady) -> Self {
        Self::NoneReady
    }
}

impl From<NotSent> for SendError {
    #[inline]
    fn from(not_sent: NotSent) -> Self {
        match not_sent {
            NotSent::NoneReady => Self::WouldBlock,
            NotSent::TooLarge => Self::TooLarge,
        }
    }
}

impl From<NoneReady> for SendError {
    #[inline]
    fn from(_: NoneReady) -> Self {
        Self::WouldBlock
    }
}

impl From<NoneReady> for RecvError {
    #[inline]
    fn from(_: NoneReady) -> Self {
        Self::WouldBlock
    }
}
