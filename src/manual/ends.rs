//! Orderly ends: what is guaranteed when a side closes, disconnects, unbinds, shuts down or exits.
//!
//! # The rule
//!
//! *What a socket has accepted, and lingers for, arrives once, whatever the other side says meanwhile, as long as that
//! side is alive and receives.* It holds over tcp and ipc, for NULL, PLAIN and CURVE alike, with heartbeats or without,
//! for every version of ZMTP, through proxies, whoever connected, and for every socket type that does not drop by its
//! nature (a PUB drops what a slow subscriber has no room for, before and at the end).
//!
//! *Nobody is told that a message has arrived which the other side has thrown away*: the second rule, for what `close`
//! and `finish` report, as far as the other side can say so: see [below](#two-that-go-at-the-same-time).
//!
//! Four things make them hold:
//!
//! 1. **The side that goes** hands everything to the kernel, shuts its half of the connection down, and reads and throws
//!    away what still comes until the peer has closed its half, too, or the linger is over. Closing at once would make
//!    the kernel reset the connection as soon as there is something unread, or a PING comes later: a reset costs the peer
//!    what it has not read yet.
//! 2. **The side that stays** reads to the end, however slowly its application receives. A write that fails, a kernel
//!    that has no memory to report what there is to do, or the news that the peer has closed its half, ends only the
//!    writing: no message, no PING and no PONG goes to a peer that has closed its half. When everything before the end
//!    is in its queue it closes at once, so that the other has to wait no longer than a round trip.
//! 3. **A message counts as handed over** when the kernel has all of it, with CURVE all of its sealed frames. What was
//!    not is sent again on the next connection, from its first octet; what was, never is.
//! 4. **Last words.** A side that ends a connection before it has read the other's end says in its last octets how many
//!    messages it has received, also in the middle of a message: see [below](#two-that-go-at-the-same-time).
//!
//! # Who ends it, and how
//!
//! | this side | what it has accepted | what has come and was not received |
//! |---|---|---|
//! | [`close(within)`](crate::Socket::close) | arrives, if the peers take it `within` that time; the report tells | counted as `unreceived` |
//! | drop of the socket, [`disconnect`](crate::Socket::disconnect) | arrives, if the peer takes it as long as [`linger`](crate::Options::linger) says; without linger, what the kernel has may arrive or not | dropped; counted by [`dropped`](crate::Socket::dropped) after a disconnect |
//! | [`unbind`](crate::Socket::unbind) | nothing changes: peers that are connected stay. Who has connected and was not accepted yet is refused by the kernel, has been told nothing, and connects again | stays |
//! | [`Context::shutdown`](crate::Context::shutdown) | nothing is dropped by it; it lingers when the sockets are dropped, but the drop of the last handle then waits a second at most, and not for peers that cannot be reached, unless [`ContextBuilder::linger`](crate::ContextBuilder::linger) was set. `close` and `finish` have their own times | cannot be received any more |
//! | [`Context::finish`](crate::Context::finish) | arrives, if the peers take it in the time that it is given; the report tells | counted as `unreceived` |
//! | the end of `main`, which drops its sockets and context; any drop of the last handle | arrives, if the peers take it in 30 s; after one second it is told on standard error for what it waits, and in the end what was lost. [`ContextBuilder::linger`](crate::ContextBuilder::linger) is another time | dropped |
//! | exit without a drop: a socket in a `static`, `process::exit` | is looked after for a second on Unix, but for peers that cannot be reached, see [`compatibility`](super::compatibility#how-things-end) | gone |
//! | `_exit`, a signal that kills | what the kernel has arrives, unless the peer says something meanwhile or had said something that was not read: that makes the kernel reset the connection (tcp). A message that the kernel has in part arrives not at all | gone |
//! | [`Peer::close`](crate::Peer::close), and the end of a peer that breaks the protocol | what the kernel has arrives, with an ERROR behind it if there is one, if the peer reads on and closes within a second; a side that connected keeps the rest for its next connection | what is in our queue is received; what the kernel has still is thrown away |
//! | a REQ that gives up, a ROUTER that lets a name change hands | of what the kernel has nobody knows; a side that connected keeps the rest for its next connection | what had come is received, of a peer that connects again before anything that comes later |
//! | heartbeats find the peer silent | the same | the same |
//!
//! | the other side | what it has sent | what is queued for it |
//! |---|---|---|
//! | closes in any of these ways, is killed, or cannot be reached any more | whole messages that the kernel here has are received, all of them, and nothing of one that came in part | kept for the next connection by the side that connected, else counted as [`lost`](crate::Outgoing::lost) |
//! | breaks the protocol | what it has sent wholly before that is received | the same |
//!
//! Over inproc there is no connection: what was sent lies with the receiver already, and is received after its sender is
//! gone. What was sent to a socket that goes is counted as lost by the sender.
//!
//! # How long it takes
//!
//! A side that has said everything waits for its peer to close: a round trip, or as long as the peer takes to receive.
//! It waits no longer than `within` or a finite linger. With a linger without end it looks every five seconds, and lets
//! the connection go when the peer's kernel has acknowledged every octet, or has taken none for a minute: a peer that
//! is stopped, or never closes, holds a descriptor no longer than that, and no memory but, with CURVE, one frame. A
//! connection on which nothing was said is closed at once.
//!
//! While an application does not receive, its side does not read, and does not see the end: the other one waits, and its
//! `close` tells who is [`unconfirmed`](crate::CloseReport::unconfirmed).
//!
//! # What `close` and `finish` report
//!
//! | | [`close`](crate::CloseReport) of a socket | [`finish`](crate::FinishReport) of a context |
//! |---|---|---|
//! | `flushed` | messages that were handed over since, and the peer has closed its half behind them, or has said so: it has read them | messages that were handed over to the kernel since, whether or not their peers have read them |
//! | `uncertain` | messages that were handed over since, to peers that have not closed theirs. What the kernel had before is not counted, so this is no upper bound of what may be lost | is in `flushed` |
//! | `dropped` | messages that were not handed over: they will never arrive | the same |
//! | `unconfirmed` | peers that have not closed their half behind what was handed over, now or before, or went themselves without all of it | the same, those of sockets that were dropped before, and those that have gone of whom no call of their socket has heard yet |
//!
//! `dropped == 0` alone does not mean that everything has arrived: what a peer that is stopped, or dies, has not read
//! is with the kernel, and so not dropped. The complete check is `dropped == 0 && unconfirmed == 0`: then everything
//! that was handed over on connections that stood has been read by the peers. It may still lie in a peer's queue, and
//! if that peer goes later, that peer counts it as `unreceived`: who must know that a message was *worked on* needs an
//! answer to it.
//!
//! **Of peers that went before the close** the reports tell only as long as somebody waits for them: the side that
//! connected counts such a peer as `unconfirmed` until it is connected again; a side that was bound does not wait for
//! anybody to come back, and when a call of its socket has heard that a peer has gone, that peer is in no later report.
//! What these peers have cost is in the counts of the socket and of the context, for good: what was queued for one that
//! does not come back as [`lost`](crate::Outgoing::lost); and what a peer of this library left without receiving it as
//! [`unread`](crate::Outgoing::unread). Only a peer that was killed, a cable that was pulled, or another implementation
//! has cost what was handed over and not read without telling anybody. Messages are delivered at most once; so of all
//! that was accepted,
//!
//! * `lost` and `dropped` have certainly not arrived, and what was queued for a peer that has just gone may be in both:
//!   [`Context::stats`](crate::Context::stats) counts each once, as lost, also after a close;
//! * `unread` has not been received, and will not be;
//! * if no connection broke ([`EventKind::Disconnected`](crate::EventKind::Disconnected) at a monitor), and `dropped`,
//!   `lost`, `unread` and `unconfirmed` are 0, everything has been read;
//! * else nobody knows of what was handed over on connections that broke. To know it, number the messages, and let the
//!   receiver answer.
//!
//! # Two that go at the same time
//!
//! A side that closes takes its peer's end as proof that it has read everything; a peer that goes by itself at that
//! moment ends in the same way, and throws away what it has not received. So a side of this library that can receive,
//! and that ends a connection before it has read the other's end, whatever the way, says last how many messages its
//! socket has received, or can still receive: a PING whose context is `peermq--` and that number in eight octets. A
//! peer of this library does not answer it, and compares the number with what it has handed over. If it is the same,
//! everything has arrived, also when both go; if not, the peer is `unconfirmed`, and the difference is
//! [`unread`](crate::Outgoing::unread). Every other peer of ZMTP 3.1 takes it for a PING, and may answer it.
//!
//! What the side that goes throws away is counted there as `unreceived` as far as it had come into its queues; what the
//! kernel has still is in no count of that side, but in no confirmation of the other either.
//!
//! A side that goes in the middle of a message says them there: nobody hears the end of that message, and a peer that
//! has gone looks at the last octets only. They stand where nobody who still reads takes them for the end of a message.
//! When the kernel has no room, the connection outlives its socket, for a second at most, until it has: 64 of a context
//! may, and the drop of its last handle waits for them. An ERROR is said in the same way, but not in the middle of a
//! message.
//!
//! What remains: last words are not said to peers before ZMTP 3.1, not when the kernel takes nothing for that second,
//! or when the time of a context is over, not behind an ERROR, or to a peer that has broken the protocol, is silent, or
//! is given up; not by a side that connected, and keeps for its next connection, encrypted, the message that it is in
//! the middle of; and libzmq says none. A peer of these kinds that goes at that moment is taken for one that has read
//! everything. An XPUB does not count messages apart from subscriptions, so who closes while an XPUB goes is told
//! `unconfirmed`.
//!
//! # An error that ends the program
//!
//! An error that `main` returns is printed by `std` after `main`'s variables are dropped. So with a message queued for a
//! peer that is gone it shows only after 30 s, although the program has failed at once. Let something else do the work,
//! and give what is queued a time of your own:
//!
//! ```
//! use std::error::Error;
//! use std::time::Duration;
//!
//! use peermq::{Context, Push};
//!
//! fn main() -> Result<(), Box<dyn Error>> {
//!     let context = Context::new();
//!     let result = work(&context);
//!     context.finish(Duration::from_secs(1));
//!     result
//! }
//!
//! fn work(context: &Context) -> Result<(), Box<dyn Error>> {
//!     let mut push = context.open::<Push>()?;
//!     push.connect("tcp://127.0.0.1:9")?;
//!     push.send("nobody is there")?;
//!     # if false {
//!     Err("something else is wrong")?;
//!     # }
//!     Ok(())
//! }
//! ```
//!
//! # Ctrl-C
//!
//! Nothing is sent any more when a signal kills the program. To end in order, let a thread that waits for the signal
//! call [`Context::shutdown`](crate::Context::shutdown), which ends every call that waits, also one that begins later;
//! the crates `ctrlc` and `signal-hook` have such threads. It ends sends and replies, too: a service that answers what
//! it has begun lets the thread set a flag instead, looks at it whenever `recv_timeout` finds nothing, and goes on to
//! `finish`. Then give what is queued its time:
//!
//! ```
//! use std::thread;
//! use std::time::Duration;
//!
//! use peermq::{Context, Pull, RecvError};
//!
//! let context = Context::new();
//! let mut pull = context.open::<Pull>()?;
//! pull.bind("tcp://127.0.0.1:0")?;
//! let stop = context.clone();
//! thread::spawn(move || stop.shutdown()); // here it waits for no signal
//! loop {
//!     match pull.recv() {
//!         Ok(job) => println!("{job:?}"),
//!         Err(RecvError::Terminated) => break,
//!         Err(error) => return Err(error.into()),
//!     }
//! }
//! context.finish(Duration::from_secs(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Without such a thread, a handler can set a flag, and an [`interruptible`](crate::ContextBuilder::interruptible)
//! context lets its signal end a call with `Interrupted`, behind which the program looks at the flag. A signal that comes
//! just before a call sleeps does not end it: use it with calls that have a timeout, or let the handler write to a pipe
//! whose other end is in a [`Poller`](crate::Poller) beside the sockets.
//!
//! # libzmq
//!
//! libzmq reads on after a failed write, too, and closes when it sees the end: what ours says arrives there as it does
//! with a peer of ours. When libzmq goes it closes its descriptor as soon as the kernel has everything: what the kernel
//! here has by then is received; the rest is lost if libzmq had left something unread, or something is written to it
//! later. Nothing on this side can help that, but not to write, as soon as the end is known.
//!
//! # STREAM
//!
//! A peer that closes only its half is answered until its end was received, because plain protocols do so. Everything
//! else is as above: a connection that the socket ends is shut down behind what was queued, and read until the peer
//! closes.
