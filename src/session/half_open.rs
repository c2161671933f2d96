//! Connections in their handshake: how many a socket has, in all and from each address.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

use crate::endpoint::Endpoint;
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
    from: Whence,
}

/// Where a connection comes from, as it was when it was accepted: the kernel does not know any more of a peer that has
/// reset it, though what that has said before can be read. In less room than an optional address.
#[derive(Clone, Copy, Debug)]
struct Whence {
    /// [`NOWHERE`] over ipc, where peers have none; an IPv4 address as a mapped one.
    address: Ipv6Addr,
    scope: u32,
    port: u16,
    is_ipv4: bool,
}

/// No host is counted as this one.
const NOWHERE: Ipv6Addr = Ipv6Addr::from_bits(u128::MAX);

impl Whence {
    fn new(address: Option<SocketAddr>) -> Self {
        let (ip, scope) = match address {
            None => (NOWHERE, 0),
            Some(SocketAddr::V4(address)) => (address.ip().to_ipv6_mapped(), 0),
            Some(SocketAddr::V6(address)) => (*address.ip(), address.scope_id()),
        };
        let port = address.map_or(0, |address| address.port());
        Self { address: ip, scope, port, is_ipv4: address.is_some_and(|address| address.is_ipv4()) }
    }

    fn address(&self) -> Option<SocketAddr> {
        let Self { address, scope, port, is_ipv4 } = *self;
        match is_ipv4 {
            _ if address == NOWHERE => None,
            true => Some((address.to_canonical(), port).into()),
            false => Some(SocketAddrV6::new(address, port, 0, scope).into()),
        }
    }

    /// What it is counted as.
    fn host(&self) -> Option<Ipv6Addr> {
        (self.address != NOWHERE).then(|| host(self.address.into()))
    }
}

impl Place {
    /// Where the connection comes from; `None` over ipc, where peers have no addresses.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        self.from.address().map(Endpoint::tcp)
    }
}

impl HalfOpen {
    /// Enters a connection from this address; over ipc there is none. `None`: there are too many.
    pub(super) fn enter(self: &Arc<Self>, address: Option<SocketAddr>, options: &Options) -> Option<Place> {
        let mut counts = lock(&self.0);
        let from = Whence::new(address);
        let host = from.host();
        let (most, from_one) = (options.handshakes_max(), options.handshakes_max_per_address());
        let from_there = host.and_then(|host| counts.by_host.get(&host)).copied().unwrap_or_default();
        let has_share = host.is_none() || from_one.has_room_for_host(from_there, counts.all, most);
        if !has_share || !most.has_room(counts.all) {
            return None;
        }
        counts.all += 1;
        if let Some(host) = host {
            *counts.by_host.entry(host).or_default() += 1;
        }
        drop(counts);
        Some(Place { half_open: Arc::clone(self), from })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.half_open.0);
        counts.all -= 1;
        let Some(host) = self.from.host() else { return };
        if let Some(count) = counts.by_host.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                counts.by_host.remove(&host);
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

/// Whether anybody from this address may connect; over ipc there is none.
pub(super) fn may_connect(address: Option<SocketAddr>, options: &Options) -> bool {
    let Some(address) = address.map(|address| address.ip()) else { return true };
    let is_wanted = options.accept_only.is_none() || options.accept_only.contains(address);
    is_wanted && !options.accept_never.contains(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::HandshakesMax;

    fn entered(half_open: &Arc<HalfOpen>, address: &str, options: &Options) -> Option<Place> {
        half_open
            .enter((!address.is_empty()).then(|| (address.parse::<IpAddr>().unwrap(), 1).into()), options)
    }

    #[test]
    fn where_a_peer_was_is_kept_as_it_was() {
        for address in ["1.2.3.4:5", "[::ffff:1.2.3.4]:5", "[2001:db8::1]:65535", "[fe80::1%3]:7"] {
            let address = address.parse().unwrap();
            assert_eq!(Whence::new(Some(address)).address(), Some(address));
        }
        assert_eq!(Whence::new(None).address(), None);
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
