//! Every option of a socket, with its default.
//!
//! Set with the socket's [`Builder`](crate::Builder), read with [`Socket::options`](crate::Socket::options).
//! `linger`, `send_timeout` and `recv_timeout` can be changed later; the others hold from the next `bind` or
//! `connect` on, or from the start. The same rows are in [`Options::TABLE`](crate::Options::TABLE), for programs; the code is
//! libzmq's, for those who come from there.
//!
//! ```
//! use std::time::Duration;
//!
//! use peermq::{Context, Hwm, Push};
//!
//! let context = Context::new();
//! let push = context.builder_for::<Push>().send_hwm(50).linger(Duration::ZERO).open()?;
//! assert_eq!(push.options().send_hwm(), Hwm::messages(50));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | option | what it does | default | unit | code | takes effect |
//! |---|---|---|---|---|---|
//! | [`send_hwm`](crate::Options::send_hwm) | Most messages queued for one peer. A full queue blocks or drops, as the socket type says. | 1000 | messages | 23 | next bind or connect |
//! | [`recv_hwm`](crate::Options::recv_hwm) | Most messages from one peer that wait to be received. The peer has to wait when there are more. | 1000 | messages | 24 | next bind or connect |
//! | [`linger`](crate::Options::linger) | How long a closed socket keeps trying to send what is queued. | for ever | time | 17 | at once |
//! | [`send_timeout`](crate::Options::send_timeout) | How long `send` waits for room. | never | time | 28 | at once |
//! | [`recv_timeout`](crate::Options::recv_timeout) | How long `recv` waits for a message. | never | time | 27 | at once |
//! | [`reconnect_interval`](crate::Options::reconnect_interval) | The pause before a lost or refused connection is tried again. | 100ms | time | 18 | next bind or connect |
//! | [`reconnect_interval_max`](crate::Options::reconnect_interval_max) | How far the pause grows, doubling after each failure. | no growth | time | 21 | next bind or connect |
//! | [`handshake_interval`](crate::Options::handshake_interval) | How long a new connection may take until both ends have agreed on the protocol. | 30s | time | 66 | next bind or connect |
//! | [`max_message_size`](crate::Options::max_message_size) | Longest frame that a peer may send. A longer one ends the connection before its body is read. | unlimited | octets | 22 | next bind or connect |
//! | [`backlog`](crate::Options::backlog) | Most connections that wait to be accepted by a bound endpoint. | 100 | connections | 19 | next bind or connect |
//! | [`immediate`](crate::Options::immediate) | Queue messages for finished connections only, not for peers that may never answer. | false | boolean | 39 | next bind or connect |
//! | [`routing_id`](crate::Options::routing_id) | The name by which ROUTER peers address this socket; without one each of them makes one up. | none | octets | 5 | next bind or connect |
//! | [`ipv6`](crate::Options::ipv6) | Use IPv6 beside IPv4 for names and wildcards. | false | boolean | 42 | next bind or connect |
//! | [`send_buffer`](crate::Options::send_buffer) | The kernel's send buffer of a connection (`SO_SNDBUF`). | the system's | octets | 11 | next bind or connect |
//! | [`recv_buffer`](crate::Options::recv_buffer) | The kernel's receive buffer of a connection (`SO_RCVBUF`). | the system's | octets | 12 | next bind or connect |
//! | [`xpub_verbose`](crate::Options::xpub_verbose) | Tell the application of every subscription, not only of the first to a topic. | false | boolean | 40 | when opened |
//! | [`xpub_verboser`](crate::Options::xpub_verboser) | Tell the application of every subscription and of every cancellation. | false | boolean | 78 | when opened |
//! | [`xpub_nodrop`](crate::Options::xpub_nodrop) | A send waits, as `send_timeout` says, until every subscriber has room; nothing is dropped. | false | boolean | 69 | when opened |
//! | [`xpub_manual`](crate::Options::xpub_manual) | Subscriptions have no effect but that the application receives them; it subscribes for the peers. | false | boolean | 71 | when opened |
//! | [`xpub_welcome_message`](crate::Options::xpub_welcome_message) | What every new subscriber is sent first, whatever it subscribes to. | none | octets | 72 | when opened |
//! | [`invert_matching`](crate::Options::invert_matching) | Pass on what does not match. Set it at both ends, or a SUB leaves nothing over. | false | boolean | 74 | when opened |
//! | [`only_first_subscribe`](crate::Options::only_first_subscribe) | Of a message of several frames only the first can be a subscription. | false | boolean | 108 | when opened |
