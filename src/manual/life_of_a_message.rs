//! From `send` to `recv`, step by step.
//!
//! ```text
//!  application thread A                I/O thread or A      kernel      I/O thread or B         application thread B
//!  push.send(m)                                                                                 pull.recv()
//!   round robin picks a pipe
//!   frames m into the tail segment ═▶ session: writev of          ─▶ session: read into    ═▶   fair queue picks a pipe
//!   publishes it with one store       whole runs of segments          the tail segment,         decodes one message,
//!   wakes the reader if it sleeps                                     skims, publishes          copies a small body,
//!                                                                     whole messages            shares a large one
//! ```
//!
//! # Send
//!
//! 1. The pattern picks a pipe: PUSH the next peer that has room, PAIR its one peer. A peer is an outbound and
//!    an inbound pipe; over tcp and ipc the other ends are a session's, over inproc another socket's.
//! 2. The message is framed into the pipe's tail segment as ZMTP has it: flags, size, body. A body of up to
//!    8 KiB is copied there, straight from the caller's slice; a longer one travels by reference beside its
//!    header. Nothing is allocated for a small message: segments are recycled.
//! 3. One store publishes the whole message, with all its frames. The reader of the pipe is woken only if it
//!    said that it sleeps.
//! 4. The session waits for a message, and this is the first after a wait or a while: the caller takes it, if nobody
//!    has it in hand, and writes at once. More, and faster: its I/O thread is woken, and takes them together. A
//!    stream: when a batch of 128 KiB is together, the caller writes it. So it costs a system call for each
//!    batch, not for each message.
//! 5. The pipe is full (the high-water mark): the caller writes itself what it can, then waits for room, or
//!    gets the message back.
//!
//! When `send` returns, the message is queued; it may be on the wire already, or later. There is no flush:
//! an idle connection is written to at once, and a stream's is looked after by its I/O thread at every
//! tick, of one to four milliseconds.
//!
//! # On the wire
//!
//! The session gathers everything that is published into one vectored write. What the kernel takes is passed
//! over; a message counts against the high-water mark until its last octet is with the kernel. Control
//! traffic (our READY, a PONG) goes between two messages, never into one.
//!
//! # Receive
//!
//! 1. The session reads into the inbound pipe's tail segment, skims the headers it finds there, hands commands
//!    to the wire's state machine, checks limits before any room is made, and publishes at message ends. The
//!    body of a large frame gets a buffer of its own, which grows only as octets arrive and is read in place.
//! 2. PULL takes one message from each peer that has some, in turn. The calling thread decodes: a small body is
//!    copied into the [`Message`](crate::Message), a large one shared. With
//!    [`recv_into`](crate::Socket::recv_into) a small message allocates nothing.
//! 3. Nothing there: before it sleeps, the caller reads from the kernel itself. Only when that brings nothing
//!    does it ask to be woken, and look once more, so that no wake-up can be missed. A caller that streams, or is in
//!    step with its peer, waits for the descriptor itself, not for its I/O thread.
//! 4. The inbound pipe full: the session stops reading, the kernel's buffers fill, and the sender finds its own
//!    pipe full in the end. Nothing is discarded.
//!
//! # inproc
//!
//! The two sockets hold the two ends of the same pipes. No session, no I/O thread, no second copy.
