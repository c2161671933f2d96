//! Which peers of a ROUTER have which names, from the moment in a handshake at which it is decided.
//!
//! A name is claimed before its peer hears that it may talk: what a peer has queued is not written into a connection
//! that is closed because of its name. Whoever claims it has it until the connection is gone, or the socket has let
//! the peer go. Touched when peers come and go; messages never come by.
//!
//! Source: libzmq's ZMQ_ROUTER_HANDOVER.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use crate::error::{ConnectionError, ProtocolError};
use crate::limits::PEERS_MANY;
use crate::routing_id::RoutingId;
use crate::sync::{AtomicBool, Mutex, Ordering, lock};

/// Why a connection is ended on account of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameLost {
    /// To a newer connection, whose peer announced it, too.
    HandedOver,
    /// Another peer has it.
    InUse,
}

impl NameLost {
    /// As the side says it that has ended the connection.
    pub(crate) fn error(self) -> ConnectionError {
        match self {
            Self::HandedOver => ConnectionError::HandedOver,
            Self::InUse => ProtocolError::RoutingIdInUse.into(),
        }
    }
}

/// The names of one socket's peers.
pub(crate) struct Names {
    /// A newcomer takes a name over.
    hands_over: AtomicBool,
    claimed: Mutex<HashMap<RoutingId, Holder>>,
}

/// Who has a name.
struct Holder {
    /// The number of the connection, or of a pipe of this process.
    id: u64,
    doubted: Option<Weak<dyn Doubted>>,
}

/// Whoever has a name that somebody else wants.
pub(crate) trait Doubted: Send + Sync {
    /// Finds out soon whether the peer is still there, and ends the connection if it is not.
    fn doubt(&self);
}

impl Names {
    pub(crate) fn new(hands_over: bool) -> Self {
        Self { hands_over: AtomicBool::new(hands_over), claimed: Mutex::default() }
    }

    /// From now on a newcomer takes a name over, or does not.
    pub(crate) fn set_hands_over(&self, hands_over: bool) {
        self.hands_over.store(hands_over, Ordering::Relaxed); // a peer that comes at this moment finds either
    }

    /// Gives the name to the peer with this number, unless another one has it, who has to show then that it is there.
    pub(crate) fn claim(&self, name: &RoutingId, id: u64, doubted: Option<Weak<dyn Doubted>>) -> bool {
        let hands_over = self.hands_over.load(Ordering::Relaxed); // stands for itself
        let mut claimed = lock(&self.claimed);
        let other = claimed.get(name.as_bytes()).filter(|other| other.id != id && !hands_over);
        let Some(other) = other else {
            claimed.insert(name.clone(), Holder { id, doubted });
            return true;
        };
        let other = other.doubted.clone();
        drop(claimed);
        if let Some(other) = other.and_then(|other| other.upgrade()) {
            other.doubt(); // without the lock
        }
        false
    }

    /// Frees the name, if it belongs to this number.
    pub(crate) fn release(&self, name: &RoutingId, id: u64) {
        let mut claimed = lock(&self.claimed);
        if claimed.get(name.as_bytes()).is_some_and(|holder| holder.id == id) {
            claimed.remove(name.as_bytes());
            if claimed.capacity() >= 8 * PEERS_MANY.max(claimed.len()) {
                claimed.shrink_to_fit();
            }
        }
    }

    /// Whether the name belongs to somebody with another number now.
    fn is_lost(&self, name: &RoutingId, id: u64) -> bool {
        lock(&self.claimed).get(name.as_bytes()).is_some_and(|holder| holder.id != id)
    }

    /// How many have a name.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        lock(&self.claimed).len()
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("hands_over", &self.hands_over).finish_non_exhaustive()
    }
}

/// A name of a peer of this process, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    names: Arc<Names>,
    name: RoutingId,
    id: u64,
}

impl Claim {
    /// `None`: another peer has it.
    pub(crate) fn new(names: &Arc<Names>, name: &RoutingId, id: u64) -> Option<Self> {
        let is_given = names.claim(name, id, None);
        is_given.then(|| Self { names: Arc::clone(names), name: name.clone(), id })
    }

    /// Whether somebody else has taken the name over.
    pub(crate) fn is_lost(&self) -> bool {
        self.names.is_lost(&self.name, self.id)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.names.release(&self.name, self.id);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_name_belongs_to_one_at_a_time() {
        let (names, name) = (Arc::new(Names::new(false)), RoutingId::new("ada").unwrap());
        let first = Claim::new(&names, &name, 1).unwrap();
        assert!(Claim::new(&names, &name, 2).is_none() && names.claim(&name, 1, None));
        names.release(&name, 2);
        assert!(!names.claim(&name, 2, None), "it was another one's");
        drop(first);
        assert!(names.claim(&name, 2, None) && names.count() == 1);
    }

    #[test]
    fn whoever_takes_a_name_over_keeps_it_when_the_other_goes() {
        let (names, name) = (Arc::new(Names::new(true)), RoutingId::new("ada").unwrap());
        let first = Claim::new(&names, &name, 1).unwrap();
        assert!(!first.is_lost());
        let second = Claim::new(&names, &name, 2).unwrap();
        assert!(first.is_lost() && !second.is_lost());
        drop(first);
        assert_eq!(names.count(), 1);
        drop(second);
        assert_eq!(names.count(), 0);
    }
}
