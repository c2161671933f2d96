//! Every option of a socket, with its default.
//!
//! Set with the socket's [`Builder`](crate::Builder), read with [`Socket::options`](crate::Socket::options), and changed
//! with [`Socket::change`](crate::Socket::change): what takes effect at once is felt by connections that exist, other
//! changes with the next `bind` or `connect`, and what takes effect when the socket is opened is fixed from then on. The
//! same rows are in [`Options::TABLE`](crate::Options::TABLE), for programs, with the types of sockets that have the
//! option ([`OptionInfo::only`](crate::OptionInfo::only)); the code is libzmq's, for those who come from there.
//!
//! ```
//! use std::time::Duration;
//!
//! use peermq::{Context, Hwm, Push};
//!
//! let context = Context::new();
//! let mut push = context.builder_for::<Push>().send_hwm(50).linger(Duration::ZERO).open()?;
//! assert_eq!(push.options().send_hwm(), Hwm::messages(50));
//! push.change().send_hwm(100).linger(Duration::from_secs(1)).apply()?;
//! assert_eq!(push.options().send_hwm(), Hwm::messages(100));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Names that end in `_msg` are messages of one frame that the library sends or delivers by itself; over inproc
//! only `hello_msg` is. `use_fd` (89) is a method here, [`Socket::bind_fd`](crate::Socket::bind_fd), because a
//! descriptor that is handed over has an owner.
//!
//! # Options of libzmq that do not exist here
//!
//! | options | why |
//! |---|---|
//! | `RATE` 8, `RECOVERY_IVL` 9, `MULTICAST_HOPS` 25, `MULTICAST_MAXTPDU` 84, `MULTICAST_LOOP` 96, NORM 117 to 124 | pgm and norm: no such transport |
//! | `VMCI_` 85 to 88 | vmci: no such transport |
//! | `GSSAPI_` 62 to 65, 90, 91 | no such mechanism |
//! | `PLAIN_` 44 to 46, `CURVE_` 47 to 50 | one value in their place: `security`, whose code is that of `MECHANISM`, 43 |
//! | `ZAP_ENFORCE_DOMAIN` 93 | always so |
//! | `LOOPBACK_FASTPATH` 94 | Windows, where it is obsolete |
//! | `TCP_ACCEPT_FILTER` 38, `IPC_FILTER_` 58 to 60 | obsolete: `accept_only`, `accept_never` and `authorizer` take their place |
//! | `IPV4ONLY` 31, `ROUTER_RAW` 41 | old names of `ipv6` and STREAM |
//! | `FD` 14, `EVENTS` 15, `RCVMORE` 13 | of the C interface |
//! | `SOCKS_USERNAME` 99, `SOCKS_PASSWORD` 100 | a proxy is used without authentication |
//!
//! tipc is no transport here either; libzmq has no options for it.
//!
//! # The options
//!
//! | option | what it does | default | unit | code | takes effect |
//! |---|---|---|---|---|---|
//! | [`send_hwm`](crate::Options::send_hwm) | Most messages queued for one peer. A full queue blocks or drops, as the socket type says. | 1000 | messages | 23 | next bind or connect |
//! | [`recv_hwm`](crate::Options::recv_hwm) | Most messages from one peer that wait to be received. The peer has to wait when there are more. | 1000 | messages | 24 | next bind or connect |
//! | [`send_hwm_octets`](crate::Options::send_hwm_octets) | Most octets queued for one peer, beside the limit in messages; exact to a quarter of it or 128 KiB, whatever is less. A single message of any size finds room in an empty queue. | unlimited | octets | -1 | next bind or connect |
//! | [`recv_hwm_octets`](crate::Options::recv_hwm_octets) | Most octets from one peer that wait to be received, as for `send_hwm_octets`. A message of several frames counts as it arrives: beyond the limit its rest waits until those before it are received. | unlimited | octets | -2 | next bind or connect |
//! | [`linger`](crate::Options::linger) | How long a closed socket keeps trying to send what is queued; the drop of the context ends it after 30 s, unless its builder says otherwise. SUB and XSUB have 0 in place of the default. | for ever | time | 17 | at once |
//! | [`send_timeout`](crate::Options::send_timeout) | How long `send` waits for room. | for ever | time | 28 | at once |
//! | [`recv_timeout`](crate::Options::recv_timeout) | How long `recv` waits for a message. | for ever | time | 27 | at once |
//! | [`reconnect_interval`](crate::Options::reconnect_interval) | The pause before a lost or refused connection is tried again. A random part of up to as much again comes on top. | 100ms | time | 18 | next bind or connect |
//! | [`reconnect_interval_max`](crate::Options::reconnect_interval_max) | How far the pause grows, doubling after each failure. A random part of up to as much again comes on top. A maximum below the interval has no effect. | no growth | time | 21 | next bind or connect |
//! | [`reconnect_stop`](crate::Options::reconnect_stop) | After which failures a dialer does not try again. | never | set | 109 | next bind or connect |
//! | [`connect_timeout`](crate::Options::connect_timeout) | How long the system may take to connect to one address, until the attempt is begun anew; for ever: as long as the system tries, which is minutes. A name may take as long to be looked up; then it has failed, and an answer that comes later counts all the same. A proxy has `handshake_interval` to connect in turn. | 5s | time | 79 | next bind or connect |
//! | [`socks_proxy`](crate::Options::socks_proxy) | The SOCKS5 proxy, without authentication, through which tcp connections are made. It looks names up. | none | host:port | 68 | next bind or connect |
//! | [`handshake_interval`](crate::Options::handshake_interval) | How long a new connection may take until both ends have agreed on the protocol. | 30s | time | 66 | next bind or connect |
//! | [`heartbeat_interval`](crate::Options::heartbeat_interval) | How often a peer is asked for a sign of life (PING). Off: never. | off | time | 75 | next bind or connect |
//! | [`heartbeat_timeout`](crate::Options::heartbeat_timeout) | How long a PING may go without any sign of life until the connection is closed; a dialer connects again. | the interval | time | 77 | next bind or connect |
//! | [`heartbeat_ttl`](crate::Options::heartbeat_ttl) | What our PINGs tell the peer: close when nothing comes from here for so long. | none | time | 76 | next bind or connect |
//! | [`max_message_size`](crate::Options::max_message_size) | Longest message that a peer may send, all its frames together. The header of the frame that goes beyond ends the connection, before its body is read. libzmq looks at each frame alone. Within a process a larger one is refused when it is sent, with `TooLarge`; a PUB, XPUB or XSUB drops it for that peer; what was sent before the bind is not measured. | unlimited | octets | 22 | next bind or connect |
//! | [`backlog`](crate::Options::backlog) | Most connections that wait to be accepted by a bound endpoint. | 100 | connections | 19 | next bind or connect |
//! | [`immediate`](crate::Options::immediate) | Queue messages for finished connections only, not for peers that may never answer. | false | boolean | 39 | next bind or connect |
//! | [`conflate`](crate::Options::conflate) | Keep only the latest message for each peer, and from each peer, in the place of a queue. Whole messages; the older ones are discarded. Over inproc a receiver that binds after its sender has connected finds a queue, and gets all of it. | false | boolean | 54 | next bind or connect |
//! | [`routing_id`](crate::Options::routing_id) | The name by which ROUTER peers address this socket; without one each of them makes one up. | none | octets | 5 | next bind or connect |
//! | [`router_mandatory`](crate::Options::router_mandatory) | Say so when a message cannot be routed: `Unroutable` for a routing id that no peer has; a full queue is waited for. Without it such messages are dropped and counted. | false | boolean | 33 | at once |
//! | [`router_handover`](crate::Options::router_handover) | A new peer with the routing id of another takes its place, and the old connection is closed, at the ROUTER's next call. Two that both connect again with one name displace each other again and again; those of this library are told why, and their pauses double. Without it the new one is refused. | false | boolean | 56 | at once |
//! | [`router_notify`](crate::Options::router_notify) | Receive an empty message from a peer when it connects or disconnects. | nothing | events | 97 | at once |
//! | [`stream_notify`](crate::Options::stream_notify) | Receive an empty message from a peer when it connects or disconnects. | true | boolean | 73 | when opened |
//! | [`probe_router`](crate::Options::probe_router) | Send an empty message to each new peer, so that a ROUTER learns of this socket at once. | false | boolean | 51 | next bind or connect |
//! | [`req_correlate`](crate::Options::req_correlate) | Put a number in front of each request, and take only the reply that brings it back. | false | boolean | 52 | at once |
//! | [`req_relaxed`](crate::Options::req_relaxed) | Allow a request before the reply to the last one, which is given up. | false | boolean | 53 | at once |
//! | [`metadata`](crate::Options::metadata) | Properties of the application's own, which every peer is told in READY. | none | properties | 95 | next bind or connect |
//! | [`hello_msg`](crate::Options::hello_msg) | The first message to every new peer, before all others. | none | octets | 110 | next bind or connect |
//! | [`disconnect_msg`](crate::Options::disconnect_msg) | Delivered to this socket behind the last message of a peer that had connected to it, when it goes. | none | octets | 111 | next bind or connect |
//! | [`hiccup_msg`](crate::Options::hiccup_msg) | Delivered to this socket when a connection that it made is lost, and will be made again. Not when the queue is full. | none | octets | 114 | next bind or connect |
//! | [`security`](crate::Options::security) | The security mechanism, and what it needs. Both ends must have the same, one as the client and one as the server. | NULL | mechanism | 43 | next bind or connect |
//! | [`authorizer`](crate::Options::authorizer) | Decides whom the socket lets in. A server of PLAIN or CURVE without it lets nobody in, unless a ZAP handler does. | none | callback | -3 | next bind or connect |
//! | [`zap_domain`](crate::Options::zap_domain) | Ask the program's ZAP handler, which is bound to `inproc://zeromq.zap.01`, about every peer. Without such a handler nobody is let in. | none | text | 55 | next bind or connect |
//! | [`accept_only`](crate::Options::accept_only) | Accept tcp connections from these addresses only; none: from all. | none | ranges | -4 | next bind or connect |
//! | [`accept_never`](crate::Options::accept_never) | Accept no tcp connection from these addresses, also if `accept_only` has them. | none | ranges | -5 | next bind or connect |
//! | [`handshakes_max`](crate::Options::handshakes_max) | Most accepted connections of the socket that are in their handshake; one more is closed at once. Unlimited, there is no limit from one address either, as in libzmq. | 16384 | connections | -6 | next bind or connect |
//! | [`handshakes_max_per_address`](crate::Options::handshakes_max_per_address) | The same for those from one address, so that nobody can keep all others out; with IPv6 from one network of 64 bits. | a fair share | connections | -7 | next bind or connect |
//! | [`ipv6`](crate::Options::ipv6) | Use IPv6 beside IPv4 for names and wildcards. | false | boolean | 42 | next bind or connect |
//! | [`send_buffer`](crate::Options::send_buffer) | The kernel's send buffer of a connection (`SO_SNDBUF`). Over loopback it is set to 256 KiB, or 1 MiB from the first large body on; Linux doubles what is set, for its own use. | the system's | octets | 11 | next bind or connect |
//! | [`recv_buffer`](crate::Options::recv_buffer) | The kernel's receive buffer of a connection (`SO_RCVBUF`). Over loopback it is set to 256 KiB, or 1 MiB from the first large body on; Linux doubles what is set, for its own use. | the system's | octets | 12 | next bind or connect |
//! | [`tcp_keepalive`](crate::Options::tcp_keepalive) | Whether the kernel probes idle tcp connections (`SO_KEEPALIVE`). | the system's | switch | 34 | next bind or connect |
//! | [`tcp_keepalive_count`](crate::Options::tcp_keepalive_count) | Probes without an answer after which the kernel gives up (`TCP_KEEPCNT`). | the system's | probes | 35 | next bind or connect |
//! | [`tcp_keepalive_idle`](crate::Options::tcp_keepalive_idle) | How long a tcp connection is idle before the first probe, in whole seconds (`TCP_KEEPIDLE`). | the system's | time | 36 | next bind or connect |
//! | [`tcp_keepalive_interval`](crate::Options::tcp_keepalive_interval) | The pause between two probes, in whole seconds (`TCP_KEEPINTVL`). | the system's | time | 37 | next bind or connect |
//! | [`tos`](crate::Options::tos) | The type-of-service octet of every packet (`IP_TOS`, `IPV6_TCLASS`); 0 leaves it to the system. | 0 | octet | 57 | next bind or connect |
//! | [`tcp_max_retransmit`](crate::Options::tcp_max_retransmit) | How long what was sent may go unacknowledged until the kernel gives the connection up (`TCP_USER_TIMEOUT`). Linux. | the system's | time | 80 | next bind or connect |
//! | [`bind_to_device`](crate::Options::bind_to_device) | The only network interface to use (`SO_BINDTODEVICE`). Linux; may need privileges. | any | name | 92 | next bind or connect |
//! | [`priority`](crate::Options::priority) | The priority of every packet inside this host (`SO_PRIORITY`); 0 leaves it to the system, more than 6 may need privileges. Linux. | 0 | number | 112 | next bind or connect |
//! | [`busy_poll`](crate::Options::busy_poll) | How long the kernel polls the network device when it has nothing (`SO_BUSY_POLL`), in microseconds. Linux; may need privileges. | the system's | time | 113 | next bind or connect |
//! | [`affinity`](crate::Options::affinity) | Which I/O threads of the context serve new connections. | any | mask | 4 | next bind or connect |
//! | [`in_batch_size`](crate::Options::in_batch_size) | Most octets that a connection reads before the others of its thread get their turn. | 1048576 | octets | 101 | next bind or connect |
//! | [`out_batch_size`](crate::Options::out_batch_size) | Most octets that a connection writes before the others of its thread get their turn. | 4194304 | octets | 102 | next bind or connect |
//! | [`xpub_verbose`](crate::Options::xpub_verbose) | Tell the application of every subscription, not only of the first to a topic. | false | boolean | 40 | when opened |
//! | [`xpub_verboser`](crate::Options::xpub_verboser) | Tell the application of every subscription and of every cancellation. | false | boolean | 78 | when opened |
//! | [`xpub_nodrop`](crate::Options::xpub_nodrop) | A send waits, as `send_timeout` says, until every subscriber has room; nothing is dropped. | false | boolean | 69 | when opened |
//! | [`xpub_manual`](crate::Options::xpub_manual) | Subscriptions have no effect but that the application receives them; it subscribes for the peers. | false | boolean | 71 | when opened |
//! | [`xpub_manual_last_value`](crate::Options::xpub_manual_last_value) | As `xpub_manual`, and the next message after a subscription was received goes to that peer only, if it wants it: a late subscriber gets the last value, and nobody else gets it again. | false | boolean | 98 | when opened |
//! | [`xpub_welcome_message`](crate::Options::xpub_welcome_message) | What every new subscriber is sent first, whatever it subscribes to. | none | octets | 72 | when opened |
//! | [`xsub_verbose_unsubscribe`](crate::Options::xsub_verbose_unsubscribe) | Tell publishers of every `unsubscribe`, at once, not only of the last to a topic: for applications of an XPUB that count. A publisher lets go of the topic at the first. | false | boolean | 115 | when opened |
//! | [`invert_matching`](crate::Options::invert_matching) | Pass on what does not match. Set it at both ends, or a SUB leaves nothing over. | false | boolean | 74 | when opened |
//! | [`only_first_subscribe`](crate::Options::only_first_subscribe) | Of a message of several frames only the first can be a subscription. | false | boolean | 108 | when opened |
