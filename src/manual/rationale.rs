//! The decisions that made it fast, with the measurements behind them.
//!
//! Numbers that were tuned are in `limits.rs`, each with its unit and its reason. Compare figures of one run
//! only: machines differ by a factor of two, and so does one machine from hour to hour.
//!
//! # The pipe holds what goes on the wire
//!
//! Framing happens once, on the thread that sends. The session does not encode: it hands runs of octets to
//! `writev`. On the other side the octets of a read are published where they landed. A message is therefore
//! copied once on its way to the kernel and once on its way from it, and the I/O threads do work by the
//! segment, not by the message.
//!
//! Measured: one processor per process, 64 B over ipc and tcp take about the processor time of plain blocking
//! sockets with 64 KiB batches (38 to 42 ns a message for both processes, against 28 to 36).
//!
//! # Only whole messages are published
//!
//! A frame under way lies behind the mark that the consumer sees. So a multipart message needs no flag, no
//! rollback on the consumer's side and no special case when a connection dies in the middle of one: the
//! producer moves its write position back to the mark.
//!
//! # An asymmetric fence
//!
//! "Publish, then look whether the reader sleeps" needs a full fence between the store and the load, or a
//! wake-up can be lost. For a small message that fence costs more than everything else together. The side that
//! goes to sleep runs rarely: it pays with `membarrier(2)`, which makes every running thread of the process
//! execute a barrier; the side that publishes only keeps the compiler from reordering. Where there is no such
//! call, and under loom, both sides run an ordinary fence.
//!
//! Measured in a prototype: 42 million messages/s of 64 B with a full fence, 58 with the asymmetric one.
//! Copying the published word field by field right behind the stores that made it cost as much again, in
//! stalls: with the packed word kept, 8 B over inproc went from 31 to 53 million messages/s.
//!
//! # A caller does the I/O itself before it would sleep
//!
//! Handing work to another thread costs a wake-up, which is more than all the rest of a round trip. So a
//! `recv` that finds nothing reads its own connections first, and a `send` that finds a queue full writes
//! first. A connection whose caller moves many octets needs its I/O thread less and less:
//!
//! * at first the kernel and the pipes tell the I/O thread of every change;
//! * the caller streams: it writes each batch of 128 KiB while the octets are in its core's cache, the pipes tell
//!   nobody, and the I/O thread looks by itself at every tick of a millisecond, for what is left of a batch and
//!   for commands of the peer. The same once 16 writes took 64 messages or more for each tick of their time: a
//!   thread that sends a message every few microseconds would have each of them written by itself;
//! * the caller waits for this one peer only: it waits for the descriptor itself, in a poll of its own.
//!
//! A caller that stays away for a few ticks loses the connection to the I/O thread again. Timers, reconnects
//! and listeners are the I/O threads' in any case.
//!
//! Measured, two processes on a core each, 64 B over tcp: 16 to 17 million messages/s when every batch was
//! handed to the I/O threads, 36 to 44 with ticks; 1 KiB over ipc: 3.1 to 3.8 million with ticks, 7.1 to 9.3
//! lent; 64 KiB over tcp: 44 thousand lent, 114 thousand with the 50 µs look before sleeping.
//!
//! Measured, 10,000 messages of 64 B on a live connection, sent at once: 3 to 40 system calls of the sender's session,
//! in debug and release builds; with batches of 128 KiB only, up to 1,500 and 900.
//!
//! The sketch of the plan lent connections for lock-step traffic only, and streams to the I/O threads. It is
//! the other way round that pays first: where application and I/O thread share a core, a hand-over for every
//! batch costs more than the batch, and where they do not, a wake-up costs more than writing it. What it costs
//! instead: the end of a stream may wait a tick for its I/O thread, and a blocking `send` may wait a tick when
//! much is queued that the kernel does not take.
//!
//! # Links are locked by trying
//!
//! Two threads may want to work on one session. Neither ever waits for the other: work is noted first, then
//! the lock is tried; whoever holds it looks at the notes again when it gives it back. The fence between the
//! two is the only one on this way, and it runs once for each batch.
//!
//! # Segments of up to 128 KiB
//!
//! A pipe starts with 512 octets and doubles its segments with the traffic, up to 128 KiB: large enough that
//! a system call is spread over thousands of small messages, small enough that the segment being written, the
//! one being filled and the kernel's copy stay in one core's cache. An emptied segment goes back to the
//! producer, so a steady stream allocates nothing.
//!
//! Two emptied segments are kept, not one: with one, a sender that ran a segment ahead allocated now and then.
//!
//! # Bodies of up to 8 KiB are copied
//!
//! A reference costs an allocation on the sender's side, an `iovec`, and a counter that two cores share.
//! Copying 8 KiB costs about as much. Above that a body travels by reference, and is never copied on send.
//!
//! Measured: 8 KiB over ipc take 1.8 µs of processor time copied and 2.6 by reference. Between two sockets of
//! one process it is the other way round (4.3 million messages/s copied, 6.3 by reference): there the limit is
//! 4 KiB. Received buffers are used again while a connection streams: 64 KiB over ipc went from 45 to 137
//! thousand messages/s, 1 MiB from 2.3 to 8.6, because fresh pages cost more than the copy.
//!
//! # High-water marks without a shared counter for every message
//!
//! The consumer publishes how many messages it took; the producer keeps a credit and looks at that number only
//! when the credit is used up. So the mark is exact, and the cache line is shared once for each refill.
//!
//! # A request that is given up closes its connection
//!
//! Its reply may be on the way, and nothing on the wire tells it from the reply to the next request, unless both
//! ends agree on a number, which not every peer brings back. A new connection, with new pipes, cannot carry it.
//! Counting outstanding replies instead would be wrong with peers that leave requests unanswered. For the same
//! reason the pipes of a REP end with each connection: a reply finds its pipe closed, or the one who asked.
//!
//! # Subscriptions go round the pipe
//!
//! A connection that comes up must be told every topic, and the application's thread may be busy, or be the very
//! thread that waits for subscribers. So topics live in an object that sessions read by themselves: first the
//! whole set, chunk by chunk behind a cursor, then each change. The wire's form is chosen where its version is
//! known.
//!
//! # Smaller batches for many peers
//!
//! With 64 subscribers, batches of 128 KiB for each do not stay in the cache. Sharing half a mebioctet among all
//! pipes, 16 KiB at least each, took a delivery of 64 B over tcp from 217 to 130 ns of processor time (both
//! processes, a busy machine, paired with libzmq's 300).
//!
//! # A thread writes what it streams before it sleeps
//!
//! While a connection streams, its pipes tell nobody. A thread with several sockets that waits in one of them
//! would leave what it queued in the others to the tick. It keeps a list of the connections that it streams on,
//! and writes them all before it sleeps. Watching the mailbox with yields instead of sleeping was tried and made
//! eight dealers and a router four times slower on two busy cores.
//!
//! # Loopback is not a network
//!
//! A tcp connection over a loopback address uses Reno congestion control and buffers of 256 KiB, unless options or
//! system say otherwise. Where the system's default is BBR, each connection over loopback is paced by timers, to
//! a rate that is estimated from how fast the application happens to send; on a virtual machine 64 KiB messages
//! then reached 60 thousand/s, without it 120, and 160 B went from 14 to 30 million/s. What is on the way between
//! two processes lies in their cores' caches, if it is not much: see `LOOPBACK_BUFFER` in `limits.rs`. A peer that
//! another host's address leads to is not touched.
//!
//! # The fast path is one frame in short form
//!
//! A message of one frame of at most 255 octets goes into a pipe, through the skimming and out of a pipe on paths
//! of their own, and everything else, down to a peer's leaving the turn, is kept out of line. On one thread, in
//! process, 8 octets took 7.3 ns to send and 9.2 to receive before, 6.7 and 6.8 after; over tcp 60 million/s became
//! 75.
//!
//! # What depends on the machine
//!
//! The ratio to libzmq over tcp ends at what the kernel copies. On two cores of an AMD EPYC plain sockets reached
//! 9.0 times libzmq at 64 B, and this library 7.5; on two busy cores of an Intel Xeon (2026-11-21) plain sockets
//! reached 3.6 times, and this library 0.94 of that. At 64 KiB plain sockets fell behind libzmq there (0.33), and
//! so did this library (0.81, 2.5 times plain sockets). Compare with plain sockets before you compare machines.
