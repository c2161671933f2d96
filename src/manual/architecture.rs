//! The floors of the source, and who may know whom.
//!
//! # The idea
//!
//! 1. A message is framed once, on the caller's thread, straight into a lock-free pipe: what lies in the pipe
//!    is what goes on the wire.
//! 2. I/O threads move batches of octets, not messages: one vectored write sends everything a pipe holds, one
//!    read lands in the pipe where the application will find it.
//! 3. The receiving application's thread decodes its own messages; whoever reads only skims frame headers.
//! 4. A thread is woken only if it sleeps, and a caller that would sleep does the I/O itself instead.
//! 5. Everything above the pipe (routing, patterns, sockets) knows neither descriptors nor ZMTP; everything
//!    below the session (wire, transport) knows neither sockets nor patterns.
//!
//! [`life_of_a_message`](super::life_of_a_message) follows one message through all of it.
//!
//! # Floors
//!
//! A file imports from its own folder and from floors below it. A unit test (`src/layers.rs`) reads the source
//! and fails on an import upwards, on a "never" of this table, on a file of more than 600 lines, and on
//! `unsafe` outside `pipe/`, `sync.rs` and `transport/syscalls.rs`.
//!
//! | floor | files | what it is | never |
//! |---|---|---|---|
//! | 0 | `sync` `limits` `time` `error` | the only door to atomics, cells and locks (`std`, or loom in the models); every tuning number; the only sums of times; one error enum for each operation | |
//! | 0 | `message` `frame` `endpoint` `socket_type` `options` | messages, frame headers, parsed endpoints, and the two tables: socket types and options | |
//! | 1 | `wire/` | the ZMTP conversation of one connection, sans-IO | mio, sockets, threads, clocks |
//! | 1 | `pipe/` | one direction, one producer, one consumer, whole messages as ZMTP frames | mio, the wire |
//! | 2 | `transport/` | non-blocking streams and listeners over tcp and ipc; the names of inproc | the wire, messages |
//! | 3 | `io/` | I/O threads, their mailboxes and timers, name lookup | the wire, patterns, messages |
//! | 4 | `session/` | a stream, the wire and two pipes put together; dialers and listeners | patterns |
//! | 5 | `routing/` | which pipe comes next: round robin, fair queue, a single peer | mio, the wire, threads |
//! | 6 | `patterns/` | one file for each socket type, composed from `routing/` | mio, the wire, descriptors |
//! | 7 | `context` `socket/` | what applications use | mio, the wire |
//! | 8 | `manual/` `bench` | these pages; what the benchmarks of the repository call of lower floors, with a feature of its own | |
//!
//! `error` and `message` share floor 0 because a failed `send` hands its message back inside the error.
//!
//! # What a connection costs
//!
//! Octets of user memory, counted by the allocator over a thousand connections of one socket, tcp and ipc, ROUTER,
//! DEALER, REP, PULL, PUSH and PUB (2026-11-21):
//!
//! | connection | accepted | made by `connect` | bound of the tests |
//! |---|---|---|---|
//! | half-open, with nothing, half a greeting or all of it | 860 | 4,070: its queues are there already | 1 KiB, and 4 KiB |
//! | half-open, with a command of 3,071 octets but for the last | 3,200 to 3,900 | | 4 KiB |
//! | ready, nothing sent | 4,300 | 5,800 | 8 KiB |
//! | used once both ways | 5,700 | 7,200 | 8 KiB |
//! | after a burst of 64 KiB both ways, which took 107 KiB | 5,500 to 6,400 | 6,900 | 8 KiB |
//! | gone | below 350 | | 512 |
//!
//! What is large in it: two pipes with a first segment each (512 octets, and places for 16 bodies), made by the first
//! message; their shared counters on cache lines of their own; the session; the socket's ends. Octets are read into
//! the pipe, those of a handshake on the stack, so no connection has a buffer for reading. The greeting waits in an
//! outbox that is freed when it is empty.
//!
//! A socket's connections are spread over all I/O threads of its context: each goes to the one that has least to do,
//! those that wait to be taken over included. Nothing is shared between the threads but the list that picks, so
//! sockets on threads of their own do not meet. Ten thousand tcp peers of one ROUTER take 5.6 KiB each and, idle, no
//! measurable time.
//!
//! # Adding a socket type
//!
//! One row in `socket_type.rs`, one file of 40 to 150 lines in `patterns/`, one `mod` and one `pub use`. A
//! pattern keeps keys of pipes, never pipes; a stale key finds nothing. There is no `match` on the socket
//! type anywhere on the way of a message: `Socket<P>` is compiled for each type.
//!
//! # Made impossible
//!
//! | mistake | by |
//! |---|---|
//! | `recv` on a PUSH socket | the verbs exist only where they mean something: [`Sends`](crate::Sends), [`Receives`](crate::Receives) |
//! | two threads in one socket | verbs take `&mut self`; a [`Socket`](crate::Socket) is `Send` and not `Clone`. Who wants it shares a [`SharedSocket`](crate::SharedSocket) |
//! | answering a request twice, asking twice at once | [`Request`](crate::Request) and [`Reply`](crate::Reply) borrow the socket, and are used up |
//! | half of a multipart message at the receiver | only whole messages are published in a pipe |
//! | a message of a pipe that is gone | keys of pipes have a generation |
//! | an option out of range | value types, parsed once |
//! | a message lost because a queue is full | a failed `send` hands it back, or leaves it with the caller: [`Unsent`](crate::Unsent) |
