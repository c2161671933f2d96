//! What of a socket's options may change while connections exist, for the threads that look after them.
//!
//! Everything else that a session knows of options is a copy of what they were when it was bound or connected. Read on
//! slow paths only: when a connection is stopped, and when a peer has come.
#![forbid(unsafe_code)]

use std::time::Instant;

use crate::options::{Linger, Options, RouterNotify};
use crate::sync::{Mutex, lock};
use crate::time::later;

/// A socket's live options, shared with its connections.
#[derive(Debug)]
pub(crate) struct Live(Mutex<(Linger, RouterNotify)>);

impl Live {
    pub(crate) fn new(options: &Options) -> Self {
        Self(Mutex::new((options.linger(), options.router_notify())))
    }

    pub(crate) fn set(&self, options: &Options) {
        *lock(&self.0) = (options.linger(), options.router_notify());
    }

    /// Until when a connection that is stopped now may send what is queued; none: for ever.
    pub(crate) fn linger_deadline(&self) -> Option<Instant> {
        let (linger, _) = *lock(&self.0);
        linger.limit().map(|limit| later(Instant::now(), limit))
    }

    /// Whether the application is told of peers that come, or go.
    pub(super) fn tells_of_peers(&self) -> bool {
        lock(&self.0).1 != RouterNotify::NOTHING
    }
}
