//! Everything that meets other implementations: libzmq as a real peer, plain sockets as the floor, and a peer
//! of octets that does what no honest one does.

pub mod meet;
pub mod program;
pub mod raw;
pub mod tally;
pub mod theirs;
pub mod versus;
