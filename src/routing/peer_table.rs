//! The names of peers: which pipe a routing id leads to.
//!
//! Source: RFC 28, ROUTER: "SHALL assign a unique identity to each queue"; RFC 37, "The Identity property".
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::limits::PEERS_MANY;
use crate::pipe::PipeKey;
use crate::routing_id::RoutingId;

/// Peers by routing id.
#[derive(Debug)]
pub(crate) struct PeerTable {
    keys: HashMap<RoutingId, PipeKey>,
    /// The number in the next name that is made up.
    next: u32,
}

impl PeerTable {
    /// An empty table, whose made-up names start at random: after a restart nobody is taken for somebody else.
    pub(crate) fn new() -> Self {
        let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
        Self { keys: HashMap::new(), next: u32::from_ne_bytes([a, b, c, d]) }
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<PipeKey> {
        self.keys.get(name).copied()
    }

    /// Enters a peer, in the place of one that has the same name.
    pub(crate) fn enter(&mut self, name: RoutingId, key: PipeKey) {
        self.keys.insert(name, key);
    }

    /// Removes a name, unless it leads to another peer by now.
    pub(crate) fn remove(&mut self, name: &RoutingId, key: PipeKey) {
        if self.find(name.as_bytes()) == Some(key) {
            self.keys.remove(name.as_bytes());
            if self.keys.capacity() >= 8 * PEERS_MANY.max(self.keys.len()) {
                self.keys.shrink_to_fit();
            }
        }
    }

    /// A name that no peer has and that none can give itself.
    pub(crate) fn make_up(&mut self) -> RoutingId {
        loop {
            let name = RoutingId::made_up(self.next);
            self.next = self.next.wrapping_add(1);
            if self.find(name.as_bytes()).is_none() {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::pipe::{Pipe, Pipes, pipe};

    fn key() -> PipeKey {
        let ((outbound, _), (_, inbound)) = (pipe(None), pipe(None));
        Pipes::default().insert(Pipe::new(0, outbound, inbound))
    }

    #[test]
    fn a_hundred_thousand_made_up_names_are_distinct() {
        // Promise 17, R-39, also where the number wraps.
        let (mut table, key) = (PeerTable::new(), key());
        table.next = u32::MAX - 50_000;
        let mut names = HashSet::new();
        for _ in 0..100_000 {
            let name = table.make_up();
            assert!(name.as_bytes().len() == 5 && name.as_bytes().first() == Some(&0));
            table.enter(name.clone(), key);
            assert!(names.insert(name));
        }
        table.next = u32::MAX - 50_000;
        assert!(!names.contains(&table.make_up()));
    }

    #[test]
    fn made_up_names_start_at_random() {
        //
        let starts: HashSet<u32> = (0..20).map(|_| PeerTable::new().next).collect();
        assert!(starts.len() > 10);
    }
}
