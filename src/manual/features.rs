//! What works now, and what is planned.
//!
//! | | works now | planned |
//! |---|---|---|
//! | Socket types | PUSH, PULL, PAIR; REQ, REP, DEALER, ROUTER; PUB, SUB, XPUB, XSUB; STREAM for plain tcp; any of them [chosen at run time](crate::AnyPattern) | CLIENT, SERVER and the other draft types |
//! | Transports | tcp over IPv4 and IPv6, ipc by path and (Linux) abstract name, inproc | WebSocket |
//! | Wire | ZMTP 3.1, and [peers](super::compatibility#old-peers) of 3.0, 2.0 and 1.0; heartbeats both ways, the TTL of a peer honoured in full | |
//! | Security | NULL, which is none: see [compatibility](super::compatibility#null-is-not-for-public-networks); PLAIN; CURVE, with the feature `curve`; an authorizer that can be replaced, a file of allowed keys, ZAP handlers; who a peer is, as a property of the peer and of [each message](crate::Socket::last_peer); a refusal in the peer's own words | |
//! | Connections | bind and connect in any number and order, unbind, disconnect; handles with state, last error and `wait_ready`, for any thread; a list of peers, each of which can be closed; reconnect with a jittered pause that can grow, or stop; names looked up off the I/O threads and again at each try; their addresses raced, the next one 250 ms after the one before (RFC 8305); source addresses, IPv6 zones; SOCKS5; listening on a descriptor from outside | |
//! | Watching | [monitors](super::compatibility#monitors-and-statistics) with typed events, as an iterator, a [future](crate::Monitor::recv_async) or, with the feature `futures`, a `Stream`, or in libzmq's form; exact statistics for each peer, socket and context; the crates tracing and metrics, with features of these names | |
//! | Messages | one or many frames, small ones without allocation, large ones by reference, a failed send hands back what it was given | |
//! | Queues | high-water marks in messages, exact, and in octets; conflate; nothing is discarded, but by ROUTER, REP, PUB, XPUB and XSUB, which count it | |
//! | Waiting | blocking, with a timeout, not at all; in a task of [any executor](super::executors); one thread for any number of sockets and descriptors ([`Poller`](crate::Poller)), with [timers](crate::Timers); a [readable descriptor](crate::Descriptor) for any event loop | |
//! | Threads | I/O threads started when needed, count and cores by the context's builder; sockets are `Send`; [halves](crate::Socket::split) that send and receive at once; a [handle](crate::SharedSocket) that many threads and tasks share | |
//! | Proxies | between any two sockets, of types known or chosen at run time, both ways; back-pressure instead of loss; a capture; pause, resume, statistics and end from any thread | |
//! | Limits on a peer | frame size, parts of a message, size of handshake commands, topics and their size, one deadline for the whole handshake, half-open connections in all and from one address, lists of addresses | |
//! | Ends | linger, `shutdown`, bounded drop that tells for what it waits, `close` and `Context::finish` with a deadline and an exact report | |
//! | Other languages | | a C library with libzmq's interface, a command-line tool |
//! | Platforms | Linux | FreeBSD, macOS and Windows, for which it compiles, but where nobody has run it; others. ipc is on Unix only |
//!
//! Neither a C compiler nor libzmq nor an async runtime is needed.
