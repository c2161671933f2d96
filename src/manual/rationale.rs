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
//! and listeners are the I/O threads' in any case. So one that never comes back, that panics between two calls, that
//! forks, or whose peer is stopped holds nobody up: `src/socket/tests/in_step.rs` and `panics.rs`, and
//! `interop-tests/tests/forks.rs` and `stopped.rs`.
//!
//! Measured, two processes on a core each, 64 B over tcp: 16 to 17 million messages/s when every batch was
//! handed to the I/O threads, 36 to 44 with ticks; 1 KiB over ipc: 3.1 to 3.8 million with ticks, 7.1 to 9.3
//! lent; 64 KiB over tcp: 44 thousand lent, 114 thousand with the 50 µs look before sleeping.
//!
//! Measured, 10,000 messages of 64 B on a live connection, sent at once: 3 to 40 system calls of the sender's session,
//! in debug and release builds; with batches of 128 KiB only, up to 1,500 and 900.
//!
//! The sketch of the plan lent connections for lock-step traffic only, and streams to the I/O threads. It is the other
//! way round that pays first: where application and I/O thread share a core, a hand-over for every batch costs more
//! than the batch, and where they do not, a wake-up costs more than writing it. What it costs instead: the end of a
//! stream may wait a tick for its I/O thread, and a blocking `send` may wait a tick when much is queued that the kernel
//! does not take. Within the first tick of a stream the I/O thread looks three times, as it may be a burst: the last of
//! 10,000 messages of 33 B, sent in 0.2 to 0.3 ms by a thread that then did something else, arrived 1.3 ms after the
//! first one was sent, and arrives after 0.5 ms (medians of 50 bursts, two cores, 2026-11-29).
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
//! # A quiet connection gives back what its pipes have grown to
//!
//! After a burst a pipe holds a last segment of up to 128 KiB and two spare ones, both ways. A connection with a segment
//! of more than 1 KiB is looked at every half second; if no message has come or gone since, the pipes rest. Whoever finds
//! a pipe quiet may free its spares, for a slot has one owner. The last segment is both ends' at once, and a flag that
//! lets a third party take it would be read for every message. So its producer makes the step: it seals the large one
//! and goes on in a small one, and the consumer frees what it leaves behind. Inbound the producer is the session.
//! Outbound it is the application: its socket finds a notice in its mail, and does it in its next call, or in the one
//! that waits. An application that never calls again keeps one last segment for each peer; with 32 peers or more that
//! is 16 KiB at most.
//!
//! Shrinking by how far the consumer is behind was not tried: in a stream whose consumer keeps up, segments must be
//! large all the same.
//!
//! # Thousands of peers want a longer backlog
//!
//! A client that finds no place in the backlog of a listener is not refused: the system drops its request, and the
//! client's system asks again after 1, 3 and 7 seconds. With the default of 100, which is libzmq's, a thousand
//! connections made at once took 8 seconds; with 4096 a tenth of one. Ten thousand peers whose server was closed and
//! bound again were back after 3.4 to 4.6 seconds with 100, and 1.8 with 4096 (debug build, both sides on the same two
//! busy cores). So whoever serves thousands sets [`backlog`](crate::Options::backlog).
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
//! # Statistics count nothing
//!
//! Both ends of a pipe count messages anyway, and the places where they stand tell the octets: a snapshot adds up. Other
//! threads see what the consumer stores for each message, and what the producer writes down when there is something to
//! be done anyway: a segment is full, its credit is used up, the consumer sleeps. A store for each message to a line of
//! its own would be exact at any time, and one more line in the cache for each pipe.
//!
//! Measured: with nothing written down, `send` and `recv` of 64 B take as many instructions as with it, to a tenth of one
//! (valgrind, `benches/instructions.rs`, 2026-11-22).
//!
//! # What two threads do not share
//!
//! Between two threads a message of 8 octets takes some 20 ns, less than a cache line takes from one core to the other.
//! So the one line that the producer stores to for each message, that of the published word, holds nothing that the
//! consumer reads for each message: where a segment's octets are stood beside it, and the consumer waited for that line
//! every time. Sockets and pipes begin on lines of their own, for the same reason: which of them shared one with a
//! neighbour depended on their sizes, and a few octets more in one of them cost 15 %.
//!
//! A consumer that is as fast as its producer is dry every few messages. Watching counts as streaming for as long as it
//! finds something sooner than a sleeping thread could be woken; before, it ended when fewer than 64 messages had come
//! since the watch before, and a third of the time at 256 octets went into going to sleep (`membarrier`).
//!
//! Measured: PUSH to PULL over inproc, paired, medians of 7 (2026-11-30): 8 octets 29 to 35 -> 46 million messages/s, 256
//! octets 10.8 -> 15.5, 8 KiB 3.0 -> 4.9.
//!
//! # A request that is given up closes its connection
//!
//! Its reply may be on the way, and nothing on the wire tells it from the reply to the next request, unless both
//! ends agree on a number, which not every peer brings back. A new connection, with new pipes, cannot carry it.
//! Counting outstanding replies instead would be wrong with peers that leave requests unanswered. For the same
//! reason the pipes of a REP end with each connection: a reply finds its pipe closed, or the one who asked.
//!
//! Nobody has failed, so it is made again without a pause, up to four times in a row to a peer that says nothing. Numbers
//! by default would spare the connection, but not every program behind a ROUTER brings them back.
//!
//! # Lookups have a few threads of each context
//!
//! `getaddrinfo` blocks, and cannot be called off; a resolver of our own would not read what the system's reads. A thread
//! for each lookup is a thousand of them when a name server is silent, and a single one has every name wait for that
//! server. Eight of each context, and one lookup for all who ask for the same name, bound both. A lookup that takes long
//! is not one of the eight any more, but of the 32 of the context: names whose servers are silent delay others by a
//! quarter of a second. Threads are not joined: one that hangs would hold up the end of the context for half a minute. It
//! holds a name and nothing else then.
//!
//! # One host has an eighth of the handshakes when half are taken
//!
//! Many honest clients have one address, behind a load balancer or on one machine, and come at once when a server is
//! back. While places are free, turning them away protects nobody. So one host may have half of them, which is none of
//! what is kept for others, and an eighth from there on: who wants to keep everybody out needs five hosts. With an
//! eighth from the start it would be eight, and 2,048 clients behind one address a crowd. A number for one address
//! always holds.
//!
//! # Subscriptions go round the pipe
//!
//! A connection that comes up must be told every topic, and the application's thread may be busy, or be the very
//! thread that waits for subscribers. So topics live in an object that sessions read by themselves: first the
//! whole set, chunk by chunk behind a cursor, then each change. The wire's form is chosen where its version is
//! known.
//!
//! # Old frames are translated at the stream
//!
//! What lies in a pipe is what goes on the wire, but to a peer of ZMTP 1.0. A session of another kind for those, as
//! STREAM has one, would say everything else a second time: subscriptions, conflation, lingering, reconnecting. So one
//! session serves all versions, and a translator of headers stands between its stream and its pipes, where a peer
//! needs one: a branch for each system call. It goes on exactly where the kernel stopped, even inside of a header, so
//! that what was not sent is known to the message.
//!
//! # Two crates seal and open
//!
//! Boxes of CURVE are XSalsa20 and Poly1305. Cryptography is a library's, in Rust, as the users of this one shall need
//! no C compiler; and libsodium, which libzmq uses, is what it is measured by. On one core, in nanoseconds, sealing and
//! then opening under a key that is there (2026-11-22, Intel Xeon with AVX-512, `interop-tests/versus-curve` for
//! the rest):
//!
//! | octets | 1 | 65 | 129 | 257 | 1,025 | 65,537 |
//! |---|---|---|---|---|---|---|
//! | salsa20 0.11 and poly1305 0.9, sealing alone | 970 | 1,520 | 1,670 | 1,820 | 3,120 | 110,000 |
//! | salsabox 0.1 | 2,100 | 3,030 | 3,450 | 3,630 | 4,790 | 68,200 |
//! | dryoc 2.0 | 480 | 660 | 820 | 840 | 1,030 | 32,800 |
//! | libsodium 1.0.18, `crypto_box_afternm` | 660 | 970 | 1,250 | 1,310 | 2,100 | 83,800 |
//! | here: up to 96 octets salsa20 0.11 with dryoc's Poly1305, else dryoc | 270 | 530 | as dryoc | | | |
//!
//! poly1305 with AVX2 takes 0.85 to 1.2 µs for a tag of whatever length, and that made a message of 64 octets four
//! times as slow as libzmq's. dryoc has neither that cost nor a scalar cipher, and tells where and why it is unsafe.
//! But it makes the sub-key of a nonce's first 16 octets, here always the same, for each box: 90 ns. So
//! a text of at most two blocks gets its stream from salsa20, under a sub-key that was made once. RustCrypto's crates
//! check the tests' boxes, and libsodium has made their vectors.
//!
//! What it comes to, PUSH to PULL over tcp, a core for each side, medians of 3 paired runs: 2.77 million messages/s of
//! 64 B (2.06 times libzmq over CURVE), 0.778 of 1 KiB (2.05), 0.0306 of 64 KiB (2.01). Of the receiver's core at 64 B
//! half is Salsa20, 23 % Poly1305, 12 % the kernel. A caller in step waits in the read, as without encryption: round
//! trips between REQ and REP with 64 B take 7.9 µs at the median over tcp on one core (libzmq 22.9) and 6.5 over ipc
//! (21.2), with a poll it was 10.3; with 64 KiB 93 and 91 (220, 222). With a core for each, where waking a core is most
//! of it, it is 65 over tcp (97) and 50 over ipc (95), 172 and 188 with 64 KiB (303, 317).
//!
//! dryoc needs Rust 1.89, so the feature `curve` does.
//!
//! # Smaller batches for many peers
//!
//! With 64 subscribers, batches of 128 KiB for each do not stay in the cache. Sharing half a mebioctet among all
//! pipes, 16 KiB at least each, took a delivery of 64 B over tcp from 217 to 130 ns of processor time (both
//! processes, a busy machine, paired with libzmq's 300).
//!
//! # A thread waits for all that it streams on, in one poll
//!
//! While a connection streams, its pipes tell nobody. So a thread keeps a list of the connections that it streams on,
//! of whatever sockets, writes them all before it sleeps, and has the kernel tell it, not their I/O threads, what they
//! have to be read. It reads only for sockets that it waits for: the others read more at once when it is their turn.
//! Somebody who has mail for it rings once, and after 10 ms in which nothing moved the I/O thread has the connection
//! back. The poll takes three descriptors, and is kept until the thread ends. Over tcp, 64 B, eight dealers and a
//! router went from 2.3 to 3.8 times libzmq, one publisher with 8 subscribers from 3.7 to 5.9, eight senders and one
//! receiver from 3.8 to 5.2.
//!
//! Tried and given up: watching the mailbox with yields instead of sleeping (four times slower on two busy cores); a
//! poll of its own for each connection (serves a socket with one peer only); reading for whoever has something
//! (64 subscribers on one thread lost a third, in small reads).
//!
//! The more connections of an I/O thread tick, the longer the ticks, from 1 to 4 ms: a publisher with 64 streams spent
//! a third of its core on writing a few KiB for each of them in every millisecond. 1,000 topics with 64 subscribers went
//! from 5.0 to 7.9 million deliveries/s.
//!
//! # A caller in step with its peer does the I/O
//!
//! A request and its reply that pass through two I/O threads wake two threads more than they have to, which is most of
//! a round trip. So whoever finds a session waiting for its message writes it at once, if it is the first since the
//! thread waited or in 10 µs; what comes faster goes to the I/O thread, which takes it together. And whoever waits
//! twice within 50 ms with a few messages in between is in step: its connection is lent to it while it waits, as
//! those are on which it streams, and the kernel wakes it, and nobody else. It is not lent for good: the I/O thread looks
//! every 5 ms, and takes a connection back whose caller is neither waiting nor has done anything since, so that nothing
//! waits longer than 10 ms for it; heartbeats and timers stay with the I/O thread all the time. With more than 64
//! connections that tick nobody else gets into step.
//!
//! A thread that is in step with one peer, has no other in its socket, streams to nobody else and may wait 100 ms or more
//! does so in the read itself. The descriptor of such a connection waits by itself, and all that must not wait says so
//! in each call (`MSG_DONTWAIT`): two system calls for a round trip, write and read, as with plain sockets, no poll, no
//! mail, and no pipe that asks to be told. Nothing else wakes such a read, so it lasts 4 ms at most, and only once: then
//! the thread waits in its poll as all others do. That is how late it may be for a new peer, a shutdown, a heartbeat, or
//! its own deadline.
//!
//! One message at a time is no stream, however large: what goes to and fro in turn stays in step, and only that which
//! goes the same way twice, or many at once, counts as one. Who has waited since its last message does not stream
//! either, though 140 messages in a millisecond look like that; and a stream of which 64 turns in a row bring a single
//! message each is none any more, however large. Before both were so, PUSH and PULL in turn lost a tick of 1 ms every
//! few messages.
//!
//! The kernel reports room to write into only after there was none. Over ipc it does so whenever the peer has read, which
//! woke the I/O thread of a PUSH for each message.
//!
//! A round trip over tcp, both sides on one core, 1 B, in µs: 18.1 before all this, 7.5 with a poll, 5.7 without; over
//! ipc 22.4, 5.7 and 4.6. What was left then were 4,250 instructions on each side, flat over pattern, pipe, hand-over
//! and session, but not all of them cost the same. Two readings of the clock for each wait are gone, which a virtual
//! machine makes slow; two fences and an atomic change of each hand-over, because whoever gives a session back and
//! whoever notes work for it both change the notes, and the second sees the first; what glibc's `send` and `recv`
//! change so that a thread can be cancelled; and two moves and an allocation of each message with an envelope, which is
//! taken apart in the pipe now. 3,600 instructions are left, and the medians of five paired runs on the Intel Xeon
//! (2026-11-22) are, as multiples of plain sockets' (of libzmq's), both sides on one core:
//!
//! | | 1 B | 1 KiB | 8 KiB | 64 KiB |
//! |---|---|---|---|---|
//! | tcp | 1.22 (0.33) | 1.25 (0.33) | 1.35 (0.27) | 1.29 (0.55) |
//! | ipc | 1.28 (0.27) | 1.32 (0.28) | 1.49 (0.29) | 1.35 (0.51) |
//!
//! With a core for each, where waking the other core is most of it, 0.76 and 0.71 of plain sockets, 0.65 and 0.57 of
//! libzmq. What plain sockets do not pay: a timer that the kernel sets for each read, as ours has a time limit; two
//! copies, which show from 8 KiB on; and 64 KiB come in two or three reads over ipc, because the reader runs as soon as
//! the first part is there. PUSH and PULL in turn take two connections, whose acknowledgements travel alone: over tcp
//! 1.32 to 1.35, over ipc 1.16 to 1.19. DEALER and ROUTER take 1.16 to 1.21 over tcp and 1.24 to 1.30 over ipc, two
//! PAIRs 1.18 to 1.21 and 1.19 to 1.30 (1 B and 1 KiB, medians of three).
//!
//! One round trip in a hundred of 64 KiB takes 2.7 times as long as with plain sockets: a timer that wakes another thread
//! of the same core takes 25 to 30 µs on that virtual machine, both sides have one every 5 ms, and the kernel its own
//! every 4, so that 1.2 % of all round trips of 18 µs meet one, and 0.4 % of those of 6 µs.
//!
//! Segments that grow no further than 4 KiB while one message at a time is under way changed nothing, though eight of
//! them would stay in a first-level cache.
//!
//! # Many threads in one socket are lined up outside of it
//!
//! A [`Socket`](crate::Socket) has no lock and no atomic for other threads, so one that is not shared pays nothing. A
//! [`SharedSocket`](crate::SharedSocket), and the halves of [`split`](crate::Socket::split), take the socket out of a
//! mutex for each message and put it back, which costs two locks and unlocks of that mutex: 205 instructions more for a
//! `send` of 64 B, which takes 138 by itself, and 175 more for a `recv` (valgrind, `benches/instructions.tsv`). It is
//! taken out, and not used under the mutex, so that the queue of who is next stands under the same lock, and a thread
//! that waits for its turn sleeps once and not on two locks.
//!
//! A lock that is handed to the next in line each time starves nobody, and costs a switch of threads for each message.
//! One that goes to whoever comes first is fast, and lets a thread wait for ever. So a running thread may pass those
//! that sleep, 100 times in a row; then it lines up itself. The same holds for those who wait for a message or for
//! room.
//!
//! Who waits does so outside: one of all, of senders and receivers, sleeps where the socket's own thread would, in the
//! poll of its connections or in the mailbox, and the others until they are called. Whoever takes mail in, be it on the
//! way to something else, calls the first in each line. Halves could have a lock each, one for the pipes in and one for
//! the pipes out; but a peer that comes or goes changes both, most types route by what both know, and a lock that
//! nobody contends for is most of the cost either way.
//!
//! Measured, 64 B, 2 cores (2026-11-22): over tcp 43 million messages/s through a PUSH of one thread, 19 through a handle
//! that one thread uses, 21 with two threads and 12 with eight; inproc 27, 11, 8 and 4.
//!
//! # A proxy holds one message
//!
//! libzmq's proxy polls for room before it takes, and blocks both ways in the send when the room is gone meanwhile.
//! Here what was taken and has no room is held, nothing more is taken that way, and the other way goes on. So nothing has
//! to be asked before a message is taken: two calls for each, in batches of up to 1,000, and one sleep for both sockets
//! and whoever steers when there is nothing left to do. Messages of up to 8 KiB are copied from one pipe to the other
//! through the same buffer, larger ones are passed on by reference.
//!
//! Measured over tcp, 64 B, on one core, which tells the work of all: sender and receiver take 32 ns for a message,
//! with a proxy between them 67, so that a proxy costs little more than the two ends together. On two cores that the
//! two ends keep busy, a third has no core to itself: three threads reach 0.43 of the direct throughput at 64 B, 0.31
//! at 1 KiB and 0.38 at 64 KiB. What there is to be had is shown by a relay, which takes what one plain socket has and
//! gives it to the other, and knows nothing of messages: 0.55, 0.39 and 0.38 (2026-11-22, Intel Xeon, medians of two
//! runs of `cargo bench --bench sockets -- 'push_(proxy_|relay_)?pull/tcp'`). So the proxy reaches 0.77, 0.78 and 1.0
//! of a relay, and 0.7 of the direct throughput takes a third core. Over inproc it is 0.57 and 0.38 at 64 B and 1 KiB:
//! before it sleeps, a proxy looks for a moment for the thread that streams to it, or has to make room, as a socket's
//! own thread does. Without that three threads on two cores took turns at sleeping, which made 0.33 and 0.1.
//!
//! # Loopback is not a network
//!
//! A tcp connection over a loopback address uses Reno congestion control and buffers of 256 KiB, unless options or
//! system say otherwise. Where the system's default is BBR, each connection over loopback is paced by timers, to
//! a rate that is estimated from how fast the application happens to send; on a virtual machine 64 KiB messages
//! then reached 60 thousand/s, without it 120, and 160 B went from 14 to 30 million/s. What is on the way between
//! two processes lies in their cores' caches, if it is not much: see `LOOPBACK_BUFFER` in `limits.rs`. From the first
//! body of 256 KiB on the buffers are 1 MiB: one such body fills the smaller ones, and each end waits for the other
//! (1 MiB messages: 4.6 to 7.0 thousand/s). A peer that another host's address leads to is not touched.
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
//! The ratio to libzmq ends at what the kernel does. Two cores of an AMD EPYC (2026-11-20) and of an Intel Xeon
//! (2026-11-21, a virtual machine whose cores share no cache but a distant third level) were met. On the first, one
//! sender and one receiver are 6 to 10 times as fast as libzmq over tcp and ipc up to 8 KiB. On the second it is 7 times
//! at 8 B, and 4 to 5 between 256 B and 8 KiB: a profile over ipc at 256 B shows 63 % of both cores' time in the kernel's
//! `readv` and `writev`, 38 % in its two copies, whose pages travel from one core's cache to the other's, and 4 to 8 %
//! in each of our own functions. Plain sockets with the same framing reach 4.9 times libzmq there at 256 B, 3.5 at 1 KiB
//! and 3.1 at 8 KiB; this library reaches 0.9, 1.2 and 1.1 of plain sockets. Over tcp `readv` and `writev` take 49 % of
//! both processes at 256 B, 57 % at 1 KiB and 62 % at 1 MiB, waiting for the other side 6, 14 and 20 %, our own functions
//! and copies 25, 13 and 1 %. Compare with plain sockets before you compare machines.
//!
//! # A task leaves its waker where a thread leaves its place
//!
//! Whoever posts to a socket finds there how to wake whoever waits: in the mailbox itself, or by a
//! [`Waker`](std::task::Waker). A thread in a poll has one, a task has one, and the two look the same to those who post,
//! so futures cost the others nothing: no second flag, no list of tasks, no reactor. While a task waits no thread is in
//! the poll of its connections, so they go back to their I/O threads first; what the thread has queued on its streams is
//! written before its task is left. A future takes or queues its message in the poll in which it is ready, because the
//! verbs beneath are those that do not wait: that is all that cancel-safety needs.
//!
//! Tasks that share a socket stand in the lines of the threads, each with its waker; the one that watches for all leaves
//! its own in the mailbox. Tasks that are called are woken when the socket has been given back: a waker may run its task
//! at once, on the thread that calls it, and that wants the socket.
//!
//! There is no timeout in a future. It would need a timer that wakes tasks, and executors have one; `close_async` needs
//! none either, since sessions keep the time of what lingers.
//!
//! # A call has a budget for its peers
//!
//! A call reads for its socket, so a peer that always has something to say could keep it for ever. Each attempt handles
//! 1,024 pieces of what is not handed out (messages that nobody wants, malformed ones, notes, subscriptions) and then
//! ends as if nothing were there; the mailbox is reminded, so that whoever waits looks at the deadline, at mail and at a
//! shutdown, and tries again. The price is that `try_recv` may find nothing although something is behind all that.
//!
//! Commands (PINGs, and what nobody knows) and frames of unfinished messages are taken in below the pipe, by whoever
//! reads from the kernel. A call pays for them from the same budget, eight frames or one command for each piece, and
//! its I/O thread goes on with what is left, in turns of 8,192 commands. With ten peers that send nothing but PINGs a
//! call took up to 339 ms; now it is over 1 ms after its deadline.
//!
//! What peers can make a future try again for, in the same poll, is bounded in attempts: four, and then other tasks have
//! their turn. Telling how many messages nobody has received, among notes that count as such, looks at 4,096 frames:
//! all of them were 2.4 million in one `close`, which ten peers had filled with messages of 501 frames.
//!
//! A PUSH receives nothing, so its sessions drop what comes, on the I/O thread, whose turns are bounded. libzmq leaves
//! it in the pipe up to the mark and then reads no more of that peer, not even its PINGs.
//!
//! # A socket that is observed shows what it can do
//!
//! A poller cannot look into sockets: they are the program's, on whatever thread. So it is the other way round: each call
//! on an observed socket ends with a look at what could be done next, and shows that if it has changed; whoever posts
//! what may change it shows that, until the socket has looked itself. A poller keeps a list of those that were shown to
//! be ready, so a wait costs as much with a thousand sockets as with one, and is level-triggered without asking any of
//! them. A socket that nobody observes has one flag more in a word that it reads anyway.
//!
//! Measured over tcp, 64 B, 2 cores of an Intel Xeon (2026-11-22, `benches/sockets.rs`, group `poller`). A poller that
//! sleeps sees what another thread sends after 44 µs with one socket, and after 61 with 1,000 of which another one has
//! each message; plain sockets in one epoll: 46 and 46. Nearly all of it is a core that wakes up. Idle, 1,000 take 0.6 ms
//! of processor time in 5 s.
//!
//! Sender and poller on one thread, nobody has to wake up: 2.6 µs with one socket, 2.8 with 1,000 if all messages come
//! over the same, 3 with 10 and 5 with 100 in turn (plain sockets: 2.2 with one, 2.6 with 1,000 in turn, so cold caches
//! are a fifth). With 1,000 in turn it is 56 µs: no thread is in step with a connection that it uses once in a thousand
//! times, an I/O thread on another core wakes up to read it, and wakes the poller. More connections in step are not the
//! answer: each has a tick of its own, so that none stays unread when its thread stays away, and a thread looks at all of
//! its own before it sleeps. Both would have to be done for all connections of a thread at once.
//!
//! A hint may be wrong, because those who post do not know the pattern: a peer that leaves wakes the poller of a socket
//! that waits for messages. The socket finds out in the call that finds nothing, and is reported no more. Peers that come
//! are not reported before their first message.
//!
//! Who lends its sockets is told exactly, as by `zmq_poll`: [`poll`](crate::poll) asks each of them, and waits for all
//! their mailboxes. To know that a message will be received, a socket judges it in the pipe, by its topic, its envelope
//! or as a note, and drops what is in front of it that nobody wants, within the budget of a call. libzmq takes the
//! message out and keeps it: it is delivered although it was unsubscribed meanwhile. Here it is in no other place than
//! before, so receiving has nothing more to look at, and counts, marks and `last_peer` are as if nobody had asked.
//!
//! The poller's thread does the I/O of its sockets while it waits, as a blocking call does. With descriptors of the
//! program's own it does not: these need a poll of their own, and nesting one in the other would make each report a
//! chain of two system calls.
//!
//! # A descriptor is one end of a stream
//!
//! `eventfd` would do with one descriptor instead of two, but is there on Linux only, and a safe wrapper of it is in
//! none of the crates that are needed anyway. One octet lies in the stream while the socket can do something, so any
//! event loop can wait for it, level- or edge-triggered; libzmq's `ZMQ_FD` is edge-triggered only, and must be asked for
//! `ZMQ_EVENTS` after each call.
//!
//! # A program that hangs at its end says why
//!
//! A library does not write on standard error. One thing does not go without: a program whose last drop waits for a peer
//! that will not come looks as if it hung, to somebody who has never heard of `linger`, and there is no caller left to
//! whom an error could be returned. So after a second, and when something was lost, there is a line, unless a subscriber
//! of `tracing` takes it. A drop that is not waited for by people (after a shutdown, or in a panic) says nothing.
//!
//! Such a drop waits a second: whoever shuts a context down wants it to end. libzmq waits there, too, as long as the
//! sockets linger, which by default is for ever. A program that counts on it says so with the context's `linger`: that of
//! a socket is for ever by default, and so tells nothing of what somebody wants.
//!
//! The end of the program is the end of contexts that were not dropped, by `atexit`: what was sent before the last line
//! of `main` should not depend on whether an I/O thread had its turn. It takes no more than a second, for `exit` is also
//! what people call who want a program to end. The calls of other threads go on meanwhile.
//!
//! # A name is decided in the handshake, by whoever holds the connection
//!
//! A ROUTER's pattern, on the application's thread, used to decide about names when it was handed a new peer. By then the
//! peer had heard READY and written its queue, which was lost with the connection. Now the session claims the name before
//! it sends READY, in a list that is shared by the connections of the socket; the pattern's own table remains, as that is
//! what messages are addressed by. The list is touched when peers come and go, under a lock, and costs messages nothing.
//!
//! An ERROR is final by RFC 37, and for libzmq it is: its dealer would never come back. Nothing else that can be said
//! in a handshake is less final there, but for closing. So the reason is told to those only who announce, with a property
//! of their READY, that they know it; it costs 16 octets, of connects with a routing id.
//!
//! Whoever has a name that is wanted is doubted rather than thrown out: a second program that was started with the same
//! name by mistake must not break the first, and a connection whose other end is gone without a word must not keep its
//! name for the two hours of TCP's keepalive.
//!
//! # Binding in turn
//!
//! A stale ipc file is told from a live one by a connect that is refused. So is a file that another bind has made a
//! moment ago and does not listen on yet; of two that find the same stale file, each removes what it finds. Renaming a
//! socket over the path replaces what it finds as blindly, and a lock file is one more file that is left behind. The
//! directory itself can be locked (`flock`), and is free again when its holder dies.
//!
//! # A failed send keeps nothing of what it was lent
//!
//! An error that hands every message back has to copy what was lent to the call: a mebioctet for each try at a full
//! queue. An error with the lifetime of what was lent would not go through `?` into a boxed error. So it has the message
//! that was given away, or none, and the caller of a `&[u8]` or `&Message` goes on with what it never lost.
//!
//! # Errors of endpoints have a text
//!
//! Other errors are small values, to be matched and copied. "The address is in use" helps nobody who binds ten sockets,
//! and the endpoint is not at hand any more where the error is printed. These have the text, and their reason as a value
//! (`kind`); it is not their source as well, as whoever prints the chain would print it twice.
//!
//! # Within a process a message is measured before it is sent
//!
//! Over a wire the receiver of a message that is too large closes the connection, as all it knows is a header. Here the
//! sender can be told. What fits the fast path is not measured: the path looks at the longest body that is copied, and
//! that is set to the limit, if there is one.
//!
//! # What every message passes is compiled where it is called
//!
//! Two processes that answer each other on one core forget, at each switch, where in memory their code lies. The
//! functions of a round trip lay on 37 pages, where 28 had been enough, as the compiler puts what it does not inline
//! with the module that it is written in: a round trip over ipc took 3 % longer, and hardly any more instructions. So
//! the small ones among them that are called from other modules are `#[inline]`, and come to lie beside their callers.
