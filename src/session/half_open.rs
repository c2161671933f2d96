//! Connections in their handshake: how many a socket has, in all and from each address.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use crate::limits::IPV6_HOST_BITS;
use crate::options::Options;
use crate::sync::{Mutex, lock};

/// The accepted connections of one socket that have not shaken hands yet.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    by_host: HashMap<Ipv6Addr, u32>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    half_open: Arc<HalfOpen>,
    /// [`NOWHERE`] if there is none: smaller than an option.
    host: Ipv6Addr,
}

/// No host is counted as this one.
const NOWHERE: Ipv6Addr = Ipv6Addr::from_bits(u128::MAX);

impl HalfOpen {
    /// Enters a connection from this address; over ipc there is none. `None`: there are too many.
    pub(super) fn enter(self: &Arc<Self>, address: Option<IpAddr>, options: &Options) -> Option<Place> {
        let mut counts = lock(&self.0);
        let host = address.map_or(NOWHERE, host);
        let (most, from_one) = (options.handshakes_max(), options.handshakes_max_per_address());
        let from_there = counts.by_host.get(&host).copied().unwrap_or_default();
        let has_share = host == NOWHERE || from_one.has_room_for_host(from_there, counts.all, most);
        if !has_share || !most.has_room(counts.all) {
            return None;
        }
        counts.all += 1;
        if host != NOWHERE {
            *counts.by_host.entry(host).or_default() += 1;
        }
        drop(counts);
        Some(Place { half_open: Arc::clone(self), host })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.half_open.0);
        counts.all -= 1;
        if let Some(count) = counts.by_host.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                counts.by_host.remove(&self.host);
            }
        }
    }
}

/// What is counted as one host: an IPv4 address, here as a mapped one, or the network of an IPv6 address, of which one
/// host has all others.
fn host(address: IpAddr) -> Ipv6Addr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::MAX << (u128::BITS - IPV6_HOST_BITS);
            Ipv6Addr::from_bits(address.to_bits() & network)
        }
        IpAddr::V4(address) => address.to_ipv6_mapped(),
    }
}

/// Whether anybody from this address may connect.
pub(super) fn may_connect(address: Option<IpAddr>, options: &Options) -> bool {
    let Some(address) = address else { return true };
    let is_wanted = options.accept_only.is_none() || options.accept_only.contains(address);
    is_wanted && !options.accept_never.contains(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::HandshakesMax;

    fn entered(half_open: &Arc<HalfOpen>, address: &str, options: &Options) -> Option<Place> {
        half_open.enter((!address.is_empty()).then(|| address.parse().unwrap()), options)
    }

    #[test]
    fn one_host_has_its_share_only_when_places_are_short() {
        // B-06, B-43
        let half_open = Arc::default();
        let options = Options { handshakes_max: HandshakesMax::from(64), ..Options::default() };
        let enter = |address: &str| entered(&half_open, address, &options);
        let greedy: Vec<_> = std::iter::from_fn(|| enter("127.0.0.1")).collect();
        assert_eq!(greedy.len(), 32, "half of all");
        // Others have an eighth each, whatever address of their network they take.
        let addresses = |host: &str| std::iter::repeat_n(host.to_owned(), 10);
        let many = (0..10).map(|number| format!("2001:db8:0:1::{number}"));
        let hosts: [Vec<String>; 3] =
            [addresses("10.0.0.1").collect(), addresses("::ffff:10.0.0.2").collect(), many.collect()];
        let honest = hosts.map(|tries| tries.iter().filter_map(|address| enter(address)).collect::<Vec<_>>());
        assert_eq!(honest.each_ref().map(Vec::len), [8, 8, 8]);
        assert!(enter("10.0.0.2").is_none() && enter("2001:db8:0:2::1").is_some());
        // Without an address there is no share, and the end is where there are no more places.
        let local: Vec<_> = std::iter::from_fn(|| enter("")).collect();
        assert_eq!(local.len(), 8);
        drop(greedy);
        assert!(enter("127.0.0.1").is_some());
        let loopback: Vec<_> = std::iter::from_fn(|| enter("::1")).collect();
        assert!(lock(&half_open.0).by_host.contains_key(&host("::1".parse().unwrap())));
        drop(loopback);
        drop((honest, local));
        assert!(lock(&half_open.0).by_host.is_empty() && lock(&half_open.0).all == 0);
    }

    #[test]
    fn without_a_limit_in_all_there_is_none_for_one_host() {
        let half_open = Arc::default();
        let options = Options { handshakes_max: HandshakesMax::UNLIMITED, ..Options::default() };
        let all: Vec<_> = (0..50_000).map_while(|_| entered(&half_open, "127.0.0.1", &options)).collect();
        assert_eq!(all.len(), 50_000);
        drop(all);
        let default = Options::default();
        let all: Vec<_> = (0..50_000).map_while(|_| entered(&half_open, "127.0.0.1", &default)).collect();
        assert_eq!(all.len(), 8_192);
    }
}
