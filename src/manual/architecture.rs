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
//! `unsafe` outside `pipe/` and `sync.rs`.
//!
//! | floor | files | what it is | never |
//! |---|---|---|---|
//! | 0 | `sync` `limits` `error` | the only door to atomics, cells and locks (`std`, or loom in the models); every tuning number; one error enum for each operation | |
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
//! | two threads in one socket | verbs take `&mut self`; a [`Socket`](crate::Socket) is `Send` and not `Clone` |
//! | half of a multipart message at the receiver | only whole messages are published in a pipe |
//! | a message of a pipe that is gone | keys of pipes have a generation |
//! | an option out of range | value types, parsed once |
//! | a message lost because a queue is full | a failed `send` hands it back: [`Unsent`](crate::Unsent) |
