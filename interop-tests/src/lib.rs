//! Everything that meets other implementations: libzmq as a real peer, and plain sockets as the floor.

pub mod versus;
