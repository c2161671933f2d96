//! Every code and default in `Options::TABLE` against libzmq's own answers.
//!
//! What libzmq lets one read is read from a fresh socket, what it only lets one set is set. What this libzmq does
//! not know is listed in [`UNKNOWN`], with the only two defaults that differ from newer ones on purpose.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unsafe_code, reason = "the crate zmq has no access to options by number")]

use std::time::Duration;

use peermq::{OptionInfo, Options, SocketType};

/// Options that libzmq 4.3.4 without its drafts does not know, and what the header of 4.3.5 calls them.
const UNKNOWN: [(&str, &str); 10] = [
    ("busy_poll", "ZMQ_BUSY_POLL"),
    ("disconnect_msg", "ZMQ_DISCONNECT_MSG"),
    ("hello_msg", "ZMQ_HELLO_MSG"),
    ("hiccup_msg", "ZMQ_HICCUP_MSG"),
    // 8192 octets there: of one read or write. Here they are those of one turn, and no buffer depends on them.
    ("in_batch_size", "ZMQ_IN_BATCH_SIZE"),
    ("only_first_subscribe", "ZMQ_ONLY_FIRST_SUBSCRIBE"),
    ("out_batch_size", "ZMQ_OUT_BATCH_SIZE"),
    ("priority", "ZMQ_PRIORITY"),
    ("router_notify", "ZMQ_ROUTER_NOTIFY"),
    ("xsub_verbose_unsubscribe", "ZMQ_XSUB_VERBOSE_UNSUBSCRIBE"),
];

/// Options that can be set and not be read there, and a value that is accepted.
const WRITE_ONLY: [(&str, &[u8]); 13] = [
    ("metadata", b"X-name:value"),
    ("probe_router", &ON),
    ("req_correlate", &ON),
    ("req_relaxed", &ON),
    ("router_handover", &ON),
    ("router_mandatory", &ON),
    ("stream_notify", &ON),
    ("xpub_manual", &ON),
    ("xpub_manual_last_value", &ON),
    ("xpub_nodrop", &ON),
    ("xpub_verbose", &ON),
    ("xpub_verboser", &ON),
    ("xpub_welcome_message", b"hello"),
];

/// Options that libzmq does not have.
const OURS: [&str; 7] = [
    "accept_never",
    "accept_only",
    "authorizer",
    "handshakes_max",
    "handshakes_max_per_address",
    "recv_hwm_octets",
    "send_hwm_octets",
];

/// Defaults that differ on purpose, and libzmq's.
const DIFFERENT: [(&str, &str); 1] = [("connect_timeout", "for ever")];

const ON: [u8; 4] = 1_i32.to_ne_bytes();

/// A type of theirs that has an option of ours. DEALER has all those that every type has.
fn type_with(row: &OptionInfo) -> zmq::SocketType {
    match row.only {
        [] => zmq::DEALER,
        types if types.contains(&SocketType::Dealer) => zmq::DEALER,
        [SocketType::Router, ..] => zmq::ROUTER,
        [SocketType::Req, ..] => zmq::REQ,
        [SocketType::Stream, ..] => zmq::STREAM,
        types if types.contains(&SocketType::XPub) => zmq::XPUB,
        [SocketType::XSub, ..] => zmq::XSUB,
        types => panic!("which of theirs is one of {types:?}?"),
    }
}

/// Reads an option: numbers want room of exactly their size.
fn get(socket: &mut zmq::Socket, code: i32) -> Option<Vec<u8>> {
    [4, 8, 256].into_iter().find_map(|octets| {
        let mut room = vec![0; octets];
        let mut size = octets;
        // SAFETY: the handle is live, and `room` is as large as `size` says.
        let result = unsafe {
            zmq_sys::zmq_getsockopt(socket.as_mut_ptr(), code, room.as_mut_ptr().cast(), &raw mut size)
        };
        room.truncate(size);
        (result == 0).then_some(room)
    })
}

fn set(socket: &mut zmq::Socket, code: i32, value: &[u8]) -> bool {
    // SAFETY: the handle is live, and the octets are as many as said.
    unsafe { zmq_sys::zmq_setsockopt(socket.as_mut_ptr(), code, value.as_ptr().cast(), value.len()) == 0 }
}

/// A default of libzmq's in the words of our table.
fn in_our_words(row: &OptionInfo, value: &[u8]) -> String {
    let number = match *value {
        [a, b, c, d] => i64::from(i32::from_ne_bytes([a, b, c, d])),
        _ => value.first_chunk().map_or(0, |octets| i64::from_ne_bytes(*octets)),
    };
    let special = match (row.name, number) {
        ("send_hwm" | "recv_hwm", 0) | ("max_message_size", -1) => "unlimited",
        ("linger", -1) => "for ever",
        ("send_timeout" | "recv_timeout", -1) | ("connect_timeout", 0) => "for ever",
        ("reconnect_stop", 0) => "never",
        ("reconnect_interval_max", 0) => "no growth",
        ("heartbeat_interval", 0) => "off",
        ("heartbeat_timeout", -1) => "the interval",
        ("heartbeat_ttl", 0) => "none",
        ("tcp_max_retransmit", 0) => "the system's",
        ("affinity", 0) | ("bind_to_device", _) => "any",
        ("routing_id" | "socks_proxy" | "zap_domain", _) => "none",
        ("security", 0) => "NULL",
        _ => match (row.unit, number) {
            ("boolean", 0) => "false",
            ("boolean", 1) => "true",
            (_, -1) => "the system's",
            ("time", _) => return format!("{:?}", Duration::from_millis(number.unsigned_abs())),
            _ => return number.to_string(),
        },
    };
    special.to_owned()
}

#[test]
fn our_codes_and_defaults_are_libzmqs() {
    let context = zmq::Context::new();
    let (mut unknown, mut compared) = (Vec::new(), 0);
    for row in Options::TABLE {
        if row.code < 0 {
            assert!(OURS.contains(&row.name), "{} is not theirs", row.name);
            continue;
        }
        let mut socket = context.socket(type_with(row)).unwrap();
        if let Some((_, value)) = WRITE_ONLY.iter().find(|(name, _)| *name == row.name) {
            assert!(
                get(&mut socket, row.code).is_none() && set(&mut socket, row.code, value),
                "{}",
                row.name
            );
            continue;
        }
        match get(&mut socket, row.code) {
            Some(value) => {
                let theirs = in_our_words(row, &value);
                let differs = DIFFERENT.iter().find(|(name, _)| *name == row.name);
                let ours = differs.map_or_else(|| row.default_text(), |(_, theirs)| (*theirs).to_owned());
                assert_eq!(theirs, ours, "{} ({}): {value:?}", row.name, row.code);
                compared += 1;
            }
            None => unknown.push(row.name),
        }
    }
    unknown.sort_unstable();
    assert_eq!(unknown, UNKNOWN.map(|(name, _)| name));
    assert!(compared > 25, "{compared}");
}
