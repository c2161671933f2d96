//! Every tuning number, with its unit, its reason, and how it was measured.
//!
//! Nothing here is an option: what users should be able to change is in `options.rs`.
#![forbid(unsafe_code)]

use std::time::Duration;

/// Longest ipc path in octets: `sun_path` has 108 on Linux, one of them for the NUL.
pub(crate) const IPC_PATH_MAX: usize = 107;

/// Longest name of a network interface in octets: `IFNAMSIZ` is 16 on Linux, one of them for the NUL.
pub(crate) const DEVICE_NAME_MAX: usize = 15;

/// Longest inproc name in octets, as in libzmq.
pub(crate) const INPROC_NAME_MAX: usize = 256;

/// Most octets of one command during the handshake. READY with a 255-octet routing id takes some 320; this is what an
/// unknown peer can make us hold, and with the rest of its connection it stays under 4 KiB.
pub(crate) const HANDSHAKE_COMMAND_MAX: u64 = 3072;

/// Connections of one socket that may be in their handshake at the same time, unless the option says otherwise. A silent
/// one takes 860 octets, one that sends a command 4 KiB: 64 MiB at most. Nobody honest comes near it: ten thousand
/// clients that connect at once have less than a hundred in their handshake, as each takes under a millisecond.
pub(crate) const HANDSHAKES_MAX: u32 = 16_384;

/// The part of these places that one host may have when half of all are taken: one of so many.
pub(crate) const HANDSHAKE_SHARES: u32 = 8;

/// Bits of an IPv6 address that tell one host from another: networks give each at least so many addresses more.
pub(crate) const IPV6_HOST_BITS: u32 = 64;

/// Most questions of one context that a ZAP handler has not answered. Each is a handshake that waits, and takes some
/// 300 octets; more are refused.
pub(crate) const ZAP_PENDING_MAX: usize = 10_000;

/// How long a client of CURVE may take from WELCOME to INITIATE: as long as RFC 26
/// lets a server keep a cookie's key.
#[cfg_attr(not(feature = "curve"), allow(dead_code, reason = "CURVE is not there"))]
pub(crate) const COOKIE_LIFE: Duration = Duration::from_secs(60);

/// Most octets of one command after the handshake: a SUBSCRIBE with the longest topic. As much as is reserved
/// for a large body before any of it came.
pub(crate) const TRAFFIC_COMMAND_MAX: u64 = TOPIC_OCTETS_MAX as u64 + 16;

/// Longest topic in octets. Real ones have tens; this is what one subscription can make us hold.
pub(crate) const TOPIC_OCTETS_MAX: usize = 1024 * 1024;

/// Most topics that one peer may subscribe to. Users have up to 100,000; each takes some 150 octets.
pub(crate) const TOPICS_PER_PEER: usize = 4_000_000;

/// Nodes of an index of topics from which on it is worth to give their memory back, of some 80 octets each.
pub(crate) const NODES_MANY: usize = 1024;

/// Most octets of topics that one peer may subscribe to, counted as if none shared their beginnings.
pub(crate) const TOPIC_OCTETS_PER_PEER: usize = 256 * 1024 * 1024;

/// Messages that a proxy passes on one way before the other has its turn, and before it hears those who steer it: some
/// 100 µs of work. As libzmq's `proxy_burst_size`.
pub(crate) const PROXY_BATCH: u32 = 1000;

/// How often in a row those who wait for a shared socket are passed by threads that find what they want at once. Each
/// time that the next in line is woken costs a switch of threads, which is some hundred times as long as a message.
pub(crate) const PASSED_MAX: u32 = 100;

/// Results of futures in a row after which a thread's next one gives way to other tasks, as many as tokio allows its own:
/// some 10 µs of small messages, 20 ms of messages of 1 MiB. To give way costs some 100 ns with tokio, futures and smol.
pub(crate) const READY_RESULTS_MAX: u32 = 128;

/// The same where what they find is a whole exchange of request and reply, which takes as long as a switch of threads, or
/// as long as the peer likes.
pub(crate) const EXCHANGES_PASSED_MAX: u32 = 2;

/// Looks at a lock before a thread sleeps: a few microseconds, as long as some ten others need for a message each.
pub(crate) const LOCK_LOOKS: u32 = 8;

/// Longest label in the index of topics: what splitting one copies, however long the topic is.
pub(crate) const LABEL_OCTETS_MAX: usize = 256;

/// What one attempt of a call may do on behalf of peers, in small frames that are dropped, before it looks at its deadline, at
/// its mail, and whether its context is shut down: some 50 µs of work, which is little beside the 10 ms that a call may
/// be late, and much beside the microsecond that another attempt costs. Not tuned.
pub(crate) const CALL_BUDGET: u32 = 1024;

/// Octets in a unit of that work: so many are read and thrown away in the time that a frame takes, some 50 ns.
pub(crate) const OCTETS_PER_WORK: usize = 512;

/// Attempts in one poll of a future: another one follows at once if something has come while the last found nothing, which
/// peers can make last. Then other tasks of the executor have their turn, as when the budget is spent.
pub(crate) const LOOKS_PER_POLL: u32 = 4;

/// What it costs to take in a subscription or the end of one: some 400 ns, as eight frames.
pub(crate) const TOPIC_WORK: u32 = 8;

/// Changes in what one peer subscribes to that a publisher's next call takes in before it does what it is called for,
/// notices and as much of others beside them: half of the budget. So a publisher tells a peer that it is subscribed when no
/// more of what it said than this waits.
pub(crate) const CHANGES_PER_CALL: usize = (CALL_BUDGET / TOPIC_WORK / 2) as usize;

/// What a look costs for what a peer has sent, which is a system call.
pub(crate) const LOOK_WORK: u32 = 16;

/// Chores in a unit of work: a chore is a frame of a peer that is looked at, some 8 ns.
pub(crate) const CHORES_PER_WORK: u32 = 8;

/// Chores of one look at a connection by a call that has spent its budget: 64 commands. Each look costs more than that in
/// system calls, and a look without any would find none of the messages behind them.
pub(crate) const CHORES_PER_LOOK: u32 = 512;

/// Chores of one connection before the others of its I/O thread get their turn: 8,192 commands, or some 0.8 ms of PINGs.
pub(crate) const CHORES_PER_TURN: u32 = 65_536;

/// Chores that a command of a peer makes: answering a PING takes some 70 ns, the write of many answers included.
pub(crate) const COMMAND_CHORES: u32 = 8;

/// Chores that a frame makes which its session throws away, because the socket does not receive.
pub(crate) const UNHEARD_CHORES: u32 = 2;

/// Frames of a peer that are looked at to tell the messages among them which nobody has received, when it is let go: by an
/// estimate some 30 µs. What takes no place of its own among commands is known without that.
pub(crate) const UNREAD_LOOKS: u32 = 4096;

/// What a notice to the socket costs, such as that a peer has something to say.
pub(crate) const NOTICE_WORK: u32 = 4;

/// Notices of one peer that wait for an XPUB's application; more wait in the peer's queue, and then at the
/// peer. Many, because a subscription takes effect only when its notice has its place.
pub(crate) const NEWS_PER_PEER: usize = 65_536;

/// Octets of notices of all peers, as of eight of them. A frame behind the first counts for its place in memory, too: a
/// message of 131,072 empty ones takes 9.4 MB.
pub(crate) const NEWS_OCTETS_MAX: usize = 64 * 1024 * 1024;

/// Peers that came or went of whom a ROUTER's application is to be told and has not been, of up to 300 octets each: one
/// that sends and never receives hears of no more.
pub(crate) const ROUTER_NEWS_MAX: usize = 10_000;

/// Octets of such notices of one peer.
pub(crate) const NEWS_OCTETS_PER_PEER: usize = 8 * 1024 * 1024;

/// Octets of what a publisher's peer has said, a topic more at most, until a call of the publisher takes it in; the rest
/// waits at the peer. 1,000 topics of 8 KiB, while a thousand of the longest would be a gibibyte.
pub(crate) const NOTES_OCTETS_PER_PEER: u64 = 8 * 1024 * 1024;

/// Notices of all peers, those that left included, that wait for an XPUB's application.
pub(crate) const NEWS_MAX: usize = 4_000_000;

/// Most octets of one message from a peer that sends octets without ZMTP: what one read brings. As in libzmq;
/// a message of this size is copied into the pipe, not shared.
pub(crate) const RAW_READ: usize = 8 * 1024;

/// Chores that such a read makes: a system call and two copies. An estimate: some 1 µs.
pub(crate) const RAW_READ_CHORES: u32 = 128;

/// Chores that it makes to decrypt a frame, however little is in it. An estimate: some 500 ns.
pub(crate) const OPEN_CHORES: u32 = 64;

/// Cancellations of nothing that wait for a publisher that is told of them, beside what is subscribed to: as many as a
/// queue holds by default. Who counts misses nothing if more are not told.
pub(crate) const CANCELLATIONS_OF_NOTHING_MAX: usize = 1000;

/// Room for topics whose changes wait for a publisher that is kept when all are told: some 100 octets for each.
pub(crate) const UNTOLD_MANY: usize = 64;

/// Octets of subscriptions that a session has ready for its peer at a time: few writes for many of them.
pub(crate) const FEED_OCTETS: usize = 32 * 1024;

/// Most octets that an application's metadata takes in READY: with our own properties, and CURVE's keys around
/// them, it fits what a peer like us takes.
pub(crate) const METADATA_OCTETS_MAX: usize = 2500;

/// Octets of unsent control traffic from which on no more is read from a peer: it sends PINGs faster than it
/// takes the PONGs. Room for 178 of the longest, 23 octets each; a healthy peer has one or two on the way.
pub(crate) const OUTBOX_OCTETS: usize = 4096;

/// PINGs that we send without a sign of life between them: a peer that answers late must not find a heap of
/// them (RFC 37), and one whose time to live we renew must hear from us.
pub(crate) const PINGS_UNANSWERED_MAX: u8 = 3;

/// How long a peer whose routing id another one announces may go without a sign of life once it was asked for one.
/// Long enough for a round trip around the
/// world and a collection of garbage, short enough for a client that comes back after its network was gone.
pub(crate) const DOUBT_LIMIT: Duration = Duration::from_secs(2);

/// Probes of the kernel, a second between two, that such a tcp peer may leave unanswered.
pub(crate) const DOUBT_PROBES: u32 = 2;

/// The longest pause before a connection is tried again that the peer has refused for a reason that may pass: its pauses
/// double up to here although the options do not say so. The other side writes a line for each try.
pub(crate) const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(2);

/// The longest pause between two looks at a connection whose peer gave a time to live. Bounds the timers
/// that one peer can leave behind by changing its mind.
pub(crate) const HEARTBEAT_LOOK_MAX: Duration = Duration::from_secs(10);

/// Most parts of one message. Users send up to 100,000; a peer that never ends its message stops here.
pub(crate) const PARTS_MAX: u32 = 131_072;

/// How long a greeting and handshake may take in all, unless the option says otherwise.
pub(crate) const HANDSHAKE_INTERVAL: Duration = Duration::from_secs(30);

/// Longest body that is copied into the pipe to a connection; a longer one travels by reference. Copying
/// 8 KiB costs less than the allocation and the extra `iovec` that a reference needs (ipc, 8 KiB: 1.8 µs of
/// processor time copied, 2.6 by reference).
pub(crate) const COPIED_BODY_MAX: usize = if cfg!(loom) { 4 } else { 8 * 1024 };

/// The same between two sockets of one process, where a reference saves two copies and another core's cache
/// misses (inproc, 8 KiB: 4.3 million messages/s copied, 6.3 by reference).
pub(crate) const COPIED_BODY_MAX_INPROC: usize = 4 * 1024;

/// Octets of a pipe's first segment. With its bodies it keeps a quiet pipe under 2 KiB. In the models one
/// message of one octet fills it.
pub(crate) const SEGMENT_OCTETS_MIN: usize = if cfg!(loom) { 12 } else { 512 };

/// Octets of a segment under load: two of them, and the kernel's copy, stay inside one core's cache.
pub(crate) const SEGMENT_OCTETS_MAX: usize = if cfg!(loom) { 24 } else { 128 * 1024 };

/// The largest segment that a quiet pipe keeps, in octets. Both pipes of a connection have one once they were used.
pub(crate) const QUIET_SEGMENT_OCTETS: usize = if cfg!(loom) { 12 } else { 1024 };

/// How often a connection is looked at whose pipes have grown: what they do not need goes back when no message has come
/// or gone since the last look. Growing again costs nine allocations.
pub(crate) const QUIET_LOOK: Duration = Duration::from_millis(500);

/// Emptied segments that a busy pipe keeps. With the default limits on both sides of an inproc pipe, messages of 64
/// octets lie in one to three segments: with two to spare none is ever allocated again.
pub(crate) const SPARE_SEGMENTS: usize = 2;

/// Bodies by reference in one segment. Each takes 40 octets of every segment, used or not.
pub(crate) const SEGMENT_BODIES: usize = if cfg!(loom) { 2 } else { 16 };

/// Most octets that one segment may ever count: the word that publishes it has 24 bits for them.
pub(crate) const SEGMENT_OCTETS_LIMIT: usize = (1 << 24) - 1;

/// Most slices of one vectored write. Linux takes 1024; 64 hold 32 large bodies with their headers.
pub(crate) const GATHER_SLICES_MAX: usize = 64;

/// Most octets gathered for one vectored write: as much as a socket buffer takes at once.
pub(crate) const GATHER_OCTETS_MAX: usize = 1024 * 1024;

/// Octets reserved for a large body before any of it arrived; beyond it, never more than doubles what did.
pub(crate) const LARGE_BODY_FIRST: usize = 1024 * 1024;

/// Most octets of a large body that one read takes: zeroed just before, so they should fit the cache.
pub(crate) const LARGE_READ_MAX: usize = 256 * 1024;

/// Longest body that a [`Frame`](crate::Frame) keeps in itself, in octets.
///
/// At least 64, so that small messages need no allocation; 70, because a tag and a length take two octets
/// more and that makes a frame of 72, a multiple of the word size without padding.
pub(crate) const INLINE_BODY_MAX: usize = 70;

/// Longest host name in octets, without a final dot: RFC 1035's 255 less the octets of length and root.
pub(crate) const HOST_NAME_MAX: usize = 253;

/// Peers from which on it is worth to give the memory of lists back when three quarters of them are gone.
pub(crate) const PEERS_MANY: usize = 64;

/// Events that one poll reports at most; more come with the next.
pub(crate) const EVENTS_PER_POLL: usize = 256;

/// Most octets one connection reads before the others of its thread get their turn.
pub(crate) const READ_OCTETS_PER_TURN: u32 = 1024 * 1024;

/// How often in a row one thread works on a connection for which others find work meanwhile. It may be a call's, and
/// its peer decides how often the kernel reports something.
pub(crate) const RUNS_MAX: u32 = 4;

/// Most octets of a routing id: RFC 37, "The Identity property".
pub(crate) const ROUTING_ID_MAX: usize = 255;

/// Most octets one connection writes before the others of its thread get their turn.
pub(crate) const WRITE_OCTETS_PER_TURN: u32 = 4 * 1024 * 1024;

/// Octets that are translated at once from and to the frames of ZMTP 1.0: bounds what a connection holds beside its
/// pipes. Not tuned.
pub(crate) const TRANSLATED_OCTETS: usize = 8 * 1024;

/// Octets that are encrypted before they are written, and at most read before they are decrypted unless a frame is
/// longer: as for a batch. Not tuned.
pub(crate) const SEALED_OCTETS: usize = BATCH_OCTETS;

/// Octets of each buffer for encryption that a quiet connection keeps, so that small messages need no allocation.
pub(crate) const SEALED_KEPT: usize = 1024;

/// Most octets of a text that is sealed and opened block by block, under a sub-key that was made once: two blocks of the
/// cipher with the key of the tag. Sealing and opening 65 octets so takes 531 ns instead of 686, and 1 octet 273 instead
/// of 514; from three blocks on (129 octets) there is nothing in it. 2026-11-22, Intel Xeon (KVM) with AVX-512.
#[cfg_attr(not(feature = "curve"), allow(dead_code, reason = "of CURVE"))]
pub(crate) const SHORT_BOX_OCTETS: usize = 96;

/// Octets of one read while the handshake lasts; what is behind it in the same read goes to the pipe.
pub(crate) const HANDSHAKE_READ: usize = 1024;

/// Connections that wait to be accepted, unless the option says otherwise: as libzmq. Beyond it the system drops what
/// a client asks with, and the client asks again after 1, 3 and 7 seconds: a thousand connections made at once took 8
/// seconds, with 4096 a tenth of one.
pub(crate) const BACKLOG: u32 = 100;

/// Connections a listener accepts before the others of its thread get their turn.
pub(crate) const ACCEPTS_PER_TURN: usize = 64;

/// How often an ipc bind looks whether it is its turn to bind in its directory; then it binds out of turn. Another bind
/// takes some 50 µs; a second of waiting means that somebody keeps the directory for something else.
pub(crate) const BIND_LOOKS: u32 = 1000;

/// The pause between two such looks.
pub(crate) const BIND_PAUSE: Duration = Duration::from_millis(1);

/// How long a listener pauses when the system is out of descriptors or memory: short enough that nobody
/// notices, long enough that it costs no CPU.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long the system may take to connect to one address, unless the option says otherwise. Its second and third attempt
/// come after 1 and 3 seconds, the next ones after 7, 15, 31 and 63: a peer that is back after an outage of 45 seconds
/// would be found 18 seconds later. Begun anew every 5 seconds, there is one in any 2.3. Longer than any round trip.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an address may take to connect until the next one is tried beside it: what RFC 8305 recommends.
pub(crate) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Names that a context looks up at the same time, each on a thread, but for those that take long.
pub(crate) const LOOKUPS_AT_ONCE: usize = 8;

/// How long a lookup counts among them: a name server that answers does so sooner. The system takes up to half a minute to
/// give up one that does not, and eight of those would delay all other names for as long.
pub(crate) const LOOKUP_PATIENCE: Duration = Duration::from_millis(250);

/// Names that a context looks up at the same time, those included that take long: half of what all contexts have.
pub(crate) const LOOKUPS_OF_CONTEXT: usize = 32;

/// Threads for that in all contexts of a process, those that are gone included, whose lookups cannot be called off. While
/// there are so many, a context that has none finds no address, and asks again after the reconnect pause.
pub(crate) const LOOKUPS_IN_ALL: u64 = 64;

/// Addresses of one name that are tried at the same time: each takes a descriptor. The oldest makes room for the next one
/// when it has had the system's first three attempts, in four seconds.
pub(crate) const ATTEMPTS_AT_ONCE: usize = 16;

/// Addresses of one name, as the system sorts them, that are looked at; a name server can tell 4,000 of them. Each takes 32
/// octets of whoever connects to the name, and its turn: the last of so many silent ones would have it after a minute.
pub(crate) const ADDRESSES_MAX: usize = 256;

/// Connections in a row that are made again without a pause because this side gave its peer up, a REQ whose reply is late.
/// A peer that answers anything in between may be asked as often as one likes; one that is stuck costs no more than this.
pub(crate) const GIVE_UPS_AT_ONCE: u8 = 4;

/// The shortest pause before a connection is tried again, whatever the option says: a pause of nothing would
/// keep a core busy.
pub(crate) const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(1);

/// How often a connection is looked at that has said everything, with a linger without end, while its peer does not
/// close: one whose kernel has acknowledged everything needs this side no more. Long for a peer that is at work, short
/// for a program that waits for its end. A finite linger is its own limit.
pub(crate) const LEAVE_LOOK: Duration = Duration::from_secs(5);

/// How many such looks in a row may find that the peer's kernel has not taken a single octet more: a minute. A peer that
/// reads nothing must not hold a descriptor for ever.
pub(crate) const LEAVE_LOOKS_MAX: u8 = 12;

/// How often a connection is looked at that no poll reports any more, because the kernel had no memory for that: until its
/// peer, which has heard that it is over, has closed it, too. A few times a second would do; nobody waits for less.
pub(crate) const UNWATCHED_LOOK: Duration = Duration::from_millis(20);

/// How long a connection outlives its session that this side has ended against its peer's will: a peer that is there reads
/// what it was told in far less, and longer nobody owes it anything.
pub(crate) const PARTING_TIME: Duration = Duration::from_secs(1);

/// Most octets that are thrown away for that, and that are still said: what the kernels of both sides may hold by default.
pub(crate) const PARTING_OCTETS: usize = 8 * 1024 * 1024;

/// Most such connections of one context; others are closed at once. Each holds a descriptor, some 100 octets, and what the
/// kernel had no room for: an ERROR or last words, behind the rest of a sealed frame that is under way.
pub(crate) const PARTINGS_MAX: usize = 64;

/// How long dropping the last handle of a context waits for messages that linger: a reachable peer takes
/// everything long before; an unreachable one must not hang the program for ever.
pub(crate) const DROP_LINGER: Duration = Duration::from_secs(30);

/// The same after a shutdown, in a thread that panics, and at the end of a program that has not dropped its context: as
/// long as a peer that is there takes to read some megabytes on a busy machine, and nobody who waits for a prompt minds.
pub(crate) const HURRIED_LINGER: Duration = Duration::from_secs(1);

/// How long the end of a context waits in silence: then it tells for what. From here on people wonder.
pub(crate) const SILENT_LINGER: Duration = Duration::from_secs(1);

/// Peers that such a message names; of more it tells the number.
pub(crate) const PEERS_NAMED: usize = 3;

/// Messages that a caller moves by itself in one go to count as streaming, however small they are: more than a
/// conversation has, less than a window of requests in flight.
pub(crate) const STREAM_BURST: u64 = 16;

/// Times in a row that the caller of a stream has moved a single message, after which it is none.
pub(crate) const STREAM_SINGLES: u32 = 64;

/// Octets that a caller moves by itself in one go to count as streaming.
pub(crate) const STREAM_OCTETS: u64 = 8 * 1024;

/// Writes after which a sender counts as streaming if [`STREAM_MESSAGES`] came in each tick of their time. Without
/// that, a thread that sends a message every 2 to 15 µs has each of them written by itself: 10,000 of 64 B on a
/// connection that was idle cost up to 1,500 system calls in a debug build and 900 in a release build, with it up to
/// 50. A burst of fewer messages, or a sender that waits for answers, is written without waiting for a tick.
pub(crate) const PACE_WRITES: u32 = 16;

/// How often an I/O thread looks after a connection whose caller streams: the longest that the end of a
/// stream, or a command of the peer, waits for it.
pub(crate) const STREAM_TICK: Duration = Duration::from_millis(1);

/// How often an I/O thread looks for what is left of a burst in the first tick of a stream, and how many times: the end
/// of one whose caller does something else then. Later a stream has gone on for so long that a tick more is little. A burst
/// that comes two or three ticks behind another begins a stream anew; one that comes sooner is the same stream. Whether such
/// a one pauses, only looks in each of its ticks would tell, and those would wake a thread four times as often for every
/// publisher that has a little to write in each tick.
pub(crate) const BURST_LOOK: Duration = Duration::from_micros(250);
pub(crate) const BURST_LOOKS: u32 = 3;

/// Waits of I/O threads below this, for what is not to be late, are counted in nanoseconds, which takes a system call more;
/// others in milliseconds, as the kernel's poll does, rounded up: so the ticks of many connections have one wake-up. Where
/// each had its own, a second of a publisher with 32 subscribers had 4,500 such waits.
pub(crate) const BRIEF_WAIT: Duration = Duration::from_micros(500);

/// Reports of room where there was some, after which they are turned off until there is none: a
/// system call then, and one when there is none again. The I/O thread of a publisher with 32 subscribers over ipc that are
/// as fast as it woke up 115,000 times a second for them, and took an eighth of all processor time.
pub(crate) const VAIN_REPORTS_MAX: u8 = 16;

/// How soon a caller must look for messages again, with some in between, to be in step with its peer.
pub(crate) const IN_STEP_PAUSE: Duration = Duration::from_millis(50);

/// How often an I/O thread looks after a connection whose caller is in step. One that stays away is found out at the
/// second tick: nothing waits longer than 10 ms for it.
pub(crate) const IN_STEP_TICK: Duration = Duration::from_millis(5);

/// Longest that a call looks before it sleeps, if the context says so: nothing else that concerns a connection is seen
/// meanwhile.
pub(crate) const SPIN_MAX: Duration = Duration::from_millis(1);

/// How long a read of a caller in step waits for its peer: nothing else that concerns the connection, or the call, is
/// seen meanwhile. The rest of a message that has begun is waited for as long again at most, and one tick of a stream.
pub(crate) const PATIENT_READ: Duration = Duration::from_millis(4);

/// A call that may wait so long may wait in such reads: it may be over as much later.
pub(crate) const PATIENT_CALL: Duration = Duration::from_millis(100);

/// Connections of an I/O thread that tick, with which no other is in step: so many look after each other well enough.
pub(crate) const IN_STEP_MAX: u64 = 64;

/// How long after a message that found an idle connection the next such message is written by its sender, too. Those
/// that come faster are left to the I/O thread, which takes them together; waking it costs as much as a write.
pub(crate) const QUIET: Duration = Duration::from_micros(10);

/// Connections that tick as often as [`STREAM_TICK`] says; twice as many tick half as often, and so on, but not
/// less often than every [`STREAM_TICKS_MAX`] of them. A publisher with 64 streams wrote a few KiB for each of them
/// in every millisecond, with a third of its core.
pub(crate) const TICKING_PER_TICK: u64 = 16;

/// Longest tick, in [`STREAM_TICK`]s.
pub(crate) const STREAM_TICKS_MAX: u64 = 4;

/// Most octets that a streaming caller reads in one go: what it will take out of the pipe next is still in
/// the cache.
pub(crate) const STREAM_READ_OCTETS: usize = 256 * 1024;

/// Ticks in which nothing moved, after which a lent connection goes back to its I/O thread, and ticks in which
/// nobody asked for the peer's octets, after which it looks for them itself: a thread that serves 64 sockets comes by
/// each of them every 6 ms.
pub(crate) const LENT_IDLE_TICKS: u32 = 10;

/// Octets after which a sender hands a batch to the kernel by itself, without waiting for an I/O thread: few
/// enough to be in the cache still, many enough to be worth a system call.
pub(crate) const BATCH_OCTETS: usize = 128 * 1024;

/// The smallest batch, of a sender with many peers. Half of it does not count as streaming, and each message
/// would wake an I/O thread.
pub(crate) const BATCH_OCTETS_MIN: usize = 16 * 1024;

/// Whole batches that stay in a core's cache together. One message to each of 64 peers took 217 ns of processor
/// time with batches of 128 KiB, 130 ns with 16 KiB.
pub(crate) const PIPES_IN_CACHE: usize = 4;

/// Longest pause of the kernel's keep-alive probes, and most of them without an answer: what Linux takes.
pub(crate) const KEEPALIVE_TIME_MAX: Duration = Duration::from_secs(32_767);

/// See [`KEEPALIVE_TIME_MAX`].
pub(crate) const KEEPALIVE_PROBES_MAX: u8 = 127;

/// The kernel's buffers of a tcp connection over loopback, in octets, unless the options say otherwise. What is on
/// the way between two processes stays in their caches; the system's buffers grow to megabytes. Messages of 256 B
/// went from 15 to 21 million/s, those of 64 B from 36 to 41.
pub(crate) const LOOPBACK_BUFFER: usize = 256 * 1024;

/// The same from the first body of [`LARGE_READ_MAX`] on, which fills the smaller ones at once. Messages of 1 MiB
/// went from 4.6 to 7.0 thousand/s; those of 64 and 256 B would lose a tenth.
pub(crate) const LOOPBACK_BUFFER_WIDE: usize = 1024 * 1024;

/// Octets behind a large body that the same read may bring: the next header. More would be copied once more
/// when the next body is large, too.
pub(crate) const BEHIND_LARGE_BODY: usize = 512;

/// Octets of large bodies' buffers that a streaming connection keeps for the next bodies.
pub(crate) const SHELF_OCTETS: usize = 4 * 1024 * 1024;

/// So many connections a thread has in its list before it looks which of them are gone; a few hundred octets for each.
pub(crate) const STREAMS_FEW: usize = 8;

/// How long a streaming caller looks for its peer before it sleeps, giving way to other threads at each
/// look. Waking a sleeping core costs 5 to 25 µs on both sides; with 50 µs, 64 KiB over tcp went from 44 to
/// 114 thousand messages/s and took 16 instead of 26 µs of processor time each (two pinned cores).
pub(crate) const STREAM_SPIN: Duration = Duration::from_micros(50);

/// When a waiting caller that streams looks for the second time; each look is twice as late as the one before. So 6
/// looks, each a system call, do for [`STREAM_SPIN`] instead of some 100, and none is late by more than the wait so
/// far. 64 KiB over tcp went from 45 to 59 thousand messages/s, other streams stayed as they were.
pub(crate) const STREAM_LOOK: Duration = Duration::from_micros(2);

/// Messages that count as a stream: between two waits for a pipe, and in a tick of a connection.
pub(crate) const STREAM_MESSAGES: u64 = 64;

/// Processor pauses between two looks at a watched pipe: about 1 µs, in which some 50 messages come.
pub(crate) const PAUSES_PER_LOOK: u32 = 8;

/// Events that wait for the reader of a monitor; more are counted as missed. Each takes some 200 octets.
pub(crate) const MONITOR_EVENTS_MAX: usize = 1000;

/// How long a monitor that has told of dropped messages tells of no more.
pub(crate) const DROPPED_PAUSE: Duration = Duration::from_secs(1);

/// How often the reader of a monitor that waits looks for dropped messages.
pub(crate) const DROPPED_LOOK: Duration = Duration::from_millis(250);

/// Notices a mailbox has room for from the start, so that a burst of them allocates nothing later.
pub(crate) const MAILBOX_CAPACITY: usize = 8;

/// Notices that gather in the mailbox of a socket that nobody calls, until it is looked for those of peers that came and
/// went meanwhile; and again whenever twice as many are there as were left, so that looking costs little.
pub(crate) const MAIL_SWEPT_MIN: usize = 64;

/// Peers that came and went while nobody called a socket that tells of them, of up to 8 KiB each; of more than twice as
/// many it does not tell.
pub(crate) const VISITORS_TOLD_MAX: usize = 1000;

/// Notices of what nobody asked to be told of, such as peers that come and go, that a poller lets gather before it
/// reports the socket all the same, so that it looks at them. Each may hold a pipe.
pub(crate) const MAIL_UNSEEN_MAX: usize = 64;

/// Timers of an I/O thread, of 24 octets each, from which on those of connections that are gone are looked for; and again
/// whenever twice as many are there as were left.
pub(crate) const TIMERS_SWEPT_MIN: usize = 1024;
