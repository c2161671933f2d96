//! Connections in their handshake: how many a socket has, in all and from each address.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::options::Options;
use crate::sync::{Mutex, lock};

/// The accepted connections of one socket that have not shaken hands yet.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    half_open: Arc<HalfOpen>,
    address: Option<IpAddr>,
}

impl HalfOpen {
    /// Enters a connection from this address; over ipc there is none. `None`: there are too many.
    pub(super) fn enter(self: &Arc<Self>, address: Option<IpAddr>, options: &Options) -> Option<Place> {
        let mut counts = lock(&self.0);
        let address = address.map(|address| address.to_canonical());
        let from_there = address.and_then(|address| counts.by_address.get(&address)).copied();
        let has_room = options.handshakes_max().has_room(counts.all)
            && options.handshakes_max_per_address().has_room(from_there.unwrap_or_default());
        if !has_room {
            return None;
        }
        counts.all += 1;
        if let Some(address) = address {
            *counts.by_address.entry(address).or_default() += 1;
        }
        drop(counts);
        Some(Place { half_open: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.half_open.0);
        counts.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(count) = counts.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

/// Whether anybody from this address may connect.
pub(super) fn may_connect(address: Option<IpAddr>, options: &Options) -> bool {
    let Some(address) = address else { return true };
    let is_wanted = options.accept_only.is_none() || options.accept_only.contains(address);
    is_wanted && !options.accept_never.contains(address)
}
