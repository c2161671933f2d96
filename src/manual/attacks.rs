//! Attacks that have broken libraries of this kind, and what stands against each here.
//!
//! Numbers are those of a list of 69 published bugs: of libzmq (B-01 to B-38), of other implementations of ZMTP (to
//! B-51), of nng and nanomsg (to B-55), and of other protocols (to B-69). A test names in a comment the rows that it
//! shows to be harmless; most attack a socket over tcp and ipc while a well-behaved peer goes on, and count descriptors,
//! threads and memory before and after.
//!
//! Where a row asks for a great number of rounds, the test runs some hundreds of them, and with `PEERMQ_FULL=1` in its
//! environment as many as the row says:
//!
//! | in `interop-tests/tests` | rounds in full |
//! |---|---|
//! | `churn.rs` | 10^5 requests whose client leaves, of REP and of ROUTER, over each transport (B-15) |
//! | | 10^6 connections to PUB, ROUTER and REP, over each transport, and while nobody calls the socket (B-26) |
//! | | 10^5 connects to a free port, of which some meet themselves (B-30) |
//! | | 10^5 connections with one name, and 10^5 kills of peers that have turns (B-41) |
//! | `half_open.rs` | 10,000 half-open connections beside 100 clients (B-06) |
//! | `heartbeat.rs` | 10^5 readers that stall and go on (B-17) |
//! | `hostile.rs` | 10^5 connections that end inside a message (B-07), 10^6 random streams (B-12) |
//! | `subscriptions.rs` | 10^6 messages upstream, and twice as many subscriptions, at each of four places (B-10) |
//! | | one peer's topics of 1 KiB, until it is let go (B-33); always |
//! | `timers.rs` | 10^5 connections that end within a millisecond of each timer (B-16), with real clocks |
//!
//! # Urgent octets
//!
//! A peer may send an octet as urgent (`MSG_OOB`). As in libzmq it is no part of the stream: nobody is told of it, and
//! the messages around it arrive. But a read ends where it was, so a connection whose peer sends such octets is read
//! until nothing is left: `src/socket/tests/urgent.rs`. Of several that have not been passed yet tcp takes only the
//! last out of the stream: the others break the framing, which ends the connection.
//!
//! # No test of their own
//!
//! These rows do not apply, or are excluded by construction:
//!
//! | rows | why |
//! |---|---|
//! | B-14 | a program receives whole messages: there is no half of one to be interrupted in |
//! | B-18 | bodies are counted by the crate `bytes`; what fan-out accepts, loses and delivers adds up in the tests of conservation |
//! | B-19, B-53, B-66 | pipes are closed from both ends in the loom models of `src/pipe/models.rs`; nothing else of a connection is shared by pointer |
//! | B-20 | as B-05: metadata are kept in buffers of their own size, never of a fixed one |
//! | B-22 | there is no UDP |
//! | B-50 | nothing here turns octets into objects; a socket that is bound to a wildcard address is not warned of |
//! | B-55 | limits before authentication hold always; [`max_message_size`](crate::Options::max_message_size) has none by default, as in libzmq, and memory is reserved as octets arrive |
//! | B-64, B-65 | held off by the versions in Cargo.lock; room is never reserved by a length from the wire |
//! | B-67 | there is no WebSocket |
//! | B-68 | tokens are numbers that are not used twice |
//!
//! These are held off by code that other tests cover, without a test that repeats the attack:
//!
//! | rows | what stands against it |
//! |---|---|
//! | B-11 | reads go into room of the pipe only; the result is the same at every cut (F-05, F-06) |
//! | B-21 | nobody is ready without an admission: A-21, for every mechanism and both forms of answers |
//! | B-23 | a TTL is honoured in full (H-11) |
//! | B-25 | a second peer with the same name is refused and closed, or takes over (N-27) |
//! | B-27 | connections of one peer keep their order (E-11) |
//! | B-29 | accepting goes on when descriptors are there again (X-18) |
//! | B-34 | routing ids that begin with zero, or are too long, are refused (N-25, N-26) |
//! | B-44, B-54 | random subscriptions while connections come and go end in the same topics (S-33); no run of half an hour |
//! | B-46, B-47, B-48 | as B-04 and B-12; greetings as Z-16 |
//! | B-51 | a subscriber that does not read is dropped for or waited for, as told (S-17) |
//!
//! # Fuzzing
//!
//! `interop-tests/fuzz/run` fuzzes greetings and handshakes of every mechanism in both roles, what somebody in between
//! may make of them, sealed and plain frames, commands, metadata, answers of ZAP handlers, endpoints, values of options,
//! and the index of topics against a list. What must hold is in `src/fuzz.rs`; `cargo test --features curve` runs a few
//! hundred cases of each.
