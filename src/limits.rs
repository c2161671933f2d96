//! Every tuning number, with its unit, its reason, and how it was measured.
//!
//! Nothing here is an option: what users should be able to change is in `options.rs`.
#![forbid(unsafe_code)]

use std::time::Duration;

/// Longest ipc path in octets: `sun_path` has 108 on Linux, one of them for the NUL.
pub(crate) const IPC_PATH_MAX: usize = 107;

/// Longest inproc name in octets, as in libzmq.
pub(crate) const INPROC_NAME_MAX: usize = 256;

/// Most octets of one command during the handshake. READY with a 255-octet routing id takes some 320;
/// this is what an unknown peer can make us hold.
pub(crate) const HANDSHAKE_COMMAND_MAX: u64 = 4096;

/// Most octets of one command after the handshake: the longest that the null mechanism knows is a PING
/// of 23; the room is for what later versions may add.
pub(crate) const TRAFFIC_COMMAND_MAX: u64 = 65_536;

/// Octets of unsent control traffic from which on no more is read from a peer: it sends PINGs faster than it
/// takes the PONGs. Room for 178 of the longest, 23 octets each; a healthy peer has one or two on the way.
pub(crate) const OUTBOX_OCTETS: usize = 4096;

/// Most parts of one message. Users send up to 100,000; a peer that never ends its message stops here.
pub(crate) const PARTS_MAX: u32 = 131_072;

/// How long a greeting and handshake may take in all, unless the option says otherwise.
pub(crate) const HANDSHAKE_INTERVAL: Duration = Duration::from_secs(30);
