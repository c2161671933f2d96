//! Where the specifications leave a choice, what libzmq does, and what this library does.
//!
//! The wire is ZMTP 3.1 (RFC 37), the patterns are RFC 28 (REQ, REP, DEALER, ROUTER), RFC 29 (PUB, SUB, XPUB,
//! XSUB), RFC 30 (PUSH, PULL) and RFC 31 (PAIR). Peers of any higher version are accepted, and so are those of ZMTP
//! 3.0 (RFC 23), 2.0 (RFC 15) and 1.0 (RFC 13): see [Old peers](#old-peers).
//!
//! # NULL is not for public networks
//!
//! NULL is the default. It neither authenticates peers nor encrypts: whoever can reach a bound
//! endpoint can send to it and read what it sends. RFC 37 says that it SHOULD NOT be used on public
//! infrastructure; nor, by RFC 24, should PLAIN, whose passwords everybody on the way can read. Use CURVE there, or
//! bind to loopback, to an ipc path in a directory that others cannot enter, or inside a network that you trust.
//! What a peer can do by malice is limited all the same: see [Limits](#limits).
//!
//! # Decisions
//!
//! The numbers are those of this project's conformance list; the missing one concerns socket types that do not exist
//! here yet.
//!
//! | | the texts | libzmq | this library |
//! |---|---|---|---|
//! | D1 | RFC 37: a NULL client sends READY and waits, the server answers. RFC 23: each side sends READY before it reads the other's | both send at once | sends READY as soon as the peer's greeting is there, accepts either order; no message goes out before both are through |
//! | D2 | RFC 37's prose puts a null octet behind a command's name; its grammar puts a length octet before it | length octet and name | the grammar |
//! | D3 | RFC 26: the padding of HELLO has 72 octets in the grammar, 70 in the prose | 72 | 72, which must be zero (libzmq does not look) |
//! | D4 | RFC 26: who is not let in gets no answer, and also an ERROR | ERROR with ZAP's status for 400 and 500, nothing for 300 | the same |
//! | D5 | RFC 26: between WELCOME and INITIATE the server keeps nothing, the cookie holds all | keeps its keys | keeps the cookie's key for a minute at most, nothing else |
//! | D6 | mechanism names: the grammar allows `.` and `+`, the prose does not | compares all 20 octets with its own | the same |
//! | D7 | RFC 37 refers to 47/CLIENTSERVER; the document is 41 | | 41 is meant |
//! | D8 | reserved flag bits are zero; nothing is said for the receiver | ignores them | closes the connection |
//! | D9 | MORE is zero on a command; nothing is said for the receiver | ignores it | closes the connection |
//! | D10 | names of metadata are case-insensitive | compares with case | compares without case, sends RFC 37's spelling |
//! | D11 | an Identity has up to 255 octets and does not start with zero | does not check the peer's | refuses both |
//! | D13 | nothing on a malformed command after the handshake | stays connected | closes the connection |
//! | D14 | a command between the frames of one message is not in the grammar | handles it | handles it, and the message stays whole; ours go between messages only |
//! | D15 | PING is not in ZMTP 3.0 | sends it if configured | sends it if [`heartbeat_interval`](crate::Options::heartbeat_interval) is set, which is off by default; answers every PING, a question of `wait_subscribed` when it holds, and not the [last words](super::ends#two-that-go-at-the-same-time) of a side that goes |
//! | D16 | RFC 26: a flag for MORE in the box, all others zero; commands have no place | a flag for commands, too | the same; any other flag closes the connection |
//! | D17 | nothing on a REQ/REP request without delimiter | drops the message | drops the message, counts it, keeps the connection |
//! | D18 | RFC 27: a domain is not empty | may be empty; then CURVE lets everybody in who has no key of their own to show | [`zap_domain`](crate::Options::zap_domain) is not empty; without it and without an [`Authorizer`](crate::Authorizer), PLAIN and CURVE let nobody in |
//!
//! D12 concerns RADIO and DISH: not applicable yet.
//!
//! Other choices:
//!
//! * as-server is sent as zero with NULL, which has no roles, and ignored on receipt.
//! * A command that means nothing here (SUBSCRIBE, a name that nobody knows) is ignored after the
//!   handshake, and ends the connection before.
//! * A message before READY, a second READY, the same metadata property twice: the connection is closed.
//! * A `Socket-Type` that is missing, unknown or of no use to ours is answered with ERROR, then the connection is
//!   closed. The reason has no spaces, because the grammar allows none.
//! * An ERROR *of the peer* is final, whatever its reason, but for `Routing-Id-In-Use` and `Routing-Id-Handed-Over`: a
//!   `connect` does not try again (RFC 37), and its handle says [`Failed`](crate::ConnectionState::Failed), with
//!   [`NotLetInByPeer`](crate::ProtocolError::NotLetInByPeer) or [`RefusedByPeer`](crate::ProtocolError::RefusedByPeer).
//! * Every other end of a connection is temporary, and a `connect` tries again after a pause, unless
//!   [`reconnect_stop`](crate::Options::reconnect_stop) names it. So is all that *this* side finds wrong, every other
//!   [`ProtocolError`](crate::ProtocolError): another mechanism, a frame over the limit, and socket types that cannot
//!   talk. With NULL both sides say their types at once, and a SUB that connects to a PULL mostly finds that out by
//!   itself, before the ERROR comes: it tries again for ever, and `wait_ready` and `last_error` say
//!   [`IncompatibleSocketTypes`](crate::ProtocolError::IncompatibleSocketTypes). With PLAIN and CURVE the server
//!   compares first, and with NULL a side that asks an authorizer or a ZAP handler: for who connected to it, its ERROR
//!   is final.
//! * The pauses grow to two seconds and a random part of up to as much again, if no other maximum is set, while one
//!   connection after the other ends because another peer has the routing id, and after a command of the handshake that
//!   is too large.
//! * The pause has a random part of up to as much again, also when it grows, where libzmq has none; 64 clients that
//!   lost a server do not come back at the same moment.
//! * `hello_msg`, `disconnect_msg` and `hiccup_msg` as in libzmq: the greeting goes before all other messages; the
//!   farewell of an accepted connection comes behind its last message; that of a dialer's is left out when the queue
//!   is full, so that a line that breaks often cannot fill it. Over inproc there is only the greeting.
//! * `in_batch_size` and `out_batch_size` are octets of one turn of a connection, not of one system call, so their
//!   defaults are 1 and 4 MiB instead of 8192.
//! * A second peer of a PAIR is refused by closing its connection.
//! * A second peer of a ROUTER that announces the routing id of the first is refused in the handshake, before READY, so
//!   that its queue waits (libzmq leaves it connected and does not read it), unless
//!   [`router_handover`](crate::Options::router_handover) gives it the name and closes the first, with `ERROR
//!   Routing-Id-Handed-Over` ([`HandedOver`](crate::ConnectionError::HandedOver) at the ROUTER,
//!   [`RoutingIdTakenOver`](crate::ProtocolError::RoutingIdTakenOver) at the peer). With NULL a ROUTER to which
//!   somebody has connected therefore sends READY behind the peer's, as RFC 37 has it. The first one is asked for a
//!   sign of life (PING with ZMTP 3.1, else probes of the kernel, which does not send them while octets of ours are on
//!   their way), and is closed when none comes within two seconds, or some three with the kernel's. Both sides are
//!   told: [`RoutingIdInUse`](crate::EventKind::RoutingIdInUse) names the id,
//!   [`RoutingIdRefused`](crate::ProtocolError::RoutingIdRefused) is the error of the `connect`, which tries again,
//!   after pauses that grow to two seconds and a random part of up to as much again. A peer of ZMTP 1.0 or 2.0 has sent
//!   its first messages by then, and they are lost.
//! * That a name is in use, or was handed over, is said only to peers that announce the property `Name-Retry`, as ours
//!   do beside a routing id: for all others an ERROR is final, and libzmq would never connect again. They are closed
//!   without a word, and come back.
//!
//! # Security
//!
//! The mechanisms are NULL, PLAIN (RFC 24) and CURVE (RFC 25 and 26), see [`Security`](crate::Security); CURVE is the
//! feature `curve` of the crate. Who may come in is decided by an [`Authorizer`](crate::Authorizer), by a ZAP handler
//! (RFC 27) that is bound to `inproc://zeromq.zap.01` in the same context, or by both, who must agree then.
//!
//! * Nobody is let in by default: a server that was told of nobody, a handler that is not there, an answer that does
//!   not follow RFC 27, a panic, a file of keys that cannot be read all keep peers out.
//! * With NULL peers that connect to us are asked about, and not those to which we connect (libzmq asks about both).
//!   They hear our READY after they were let in. With PLAIN the decision is made on HELLO, before the peer has sent its
//!   metadata.
//! * A peer that was told ERROR 400 or 500 does not come back (RFC 26); libzmq does. 300 is a closed connection, after
//!   which ours comes back.
//! * What a peer says with ERROR, if that is no status, is in the error of the connection's handle:
//!   [`RefusedByPeer`](crate::ProtocolError::RefusedByPeer), cut at 30 characters. libzmq shows it nowhere.
//!   Of a decision of our own the status goes on the wire, as libzmq has it. The words beside it, a ZAP handler's or an
//!   authorizer's, are in our monitor's event, with the same cut; libzmq drops them.
//! * [`Socket::last_peer`](crate::Socket::last_peer) tells from whom a message is, in place of libzmq's properties of a
//!   message: a received message holds nothing of its peer, and costs nothing for it.
//! * Sealed frames have the flags of messages, as libzmq's do; RFC 26, and RFC 37 of what can be seen of a conversation
//!   (E-17), have them be commands. libzmq 4.3.5 with libsodium takes whatever comes with the command bit for a command,
//!   and so would lose all messages. What comes may have it or not; any other flag closes the connection.
//! * Whoever is not let in yet hears no more than it says (E-21), after our greeting, which has 64 octets: with PLAIN,
//!   with CURVE, and with NULL where somebody is asked about peers. So an ERROR waits until as much has come, or is not
//!   said. One exception is RFC 24's: a HELLO without name and password has ten octets, its refusal twelve. Where
//!   nobody is asked, everybody who comes is let in; before it has said who it is, it hears our READY (D1), of 3,072
//!   octets at most with all [`metadata`](crate::Options::metadata), and of ZMTP 1.0 and 2.0 our routing id.
//! * In PLAIN, libzmq spells its ERROR `^RROR`, by a slip in its source; that is understood here as a refusal.
//!   libzmq's clients take ours for another broken rule, and try again.
//! * CURVE's keys of a connection are drawn anew for each, and overwritten when it ends. Public keys with which
//!   everybody knows the shared secret are refused, and so is everything in HELLO and in the vouch that libzmq does not
//!   look at.
//! * A frame is sealed and opened as a whole, by the thread that moves its octets: both ends hold it once more.
//! * inproc is inside of one process: no mechanism, and nobody is asked. A STREAM has none either, and cannot be opened
//!   with one.
//!
//! # Old peers
//!
//! Our greeting begins with ten octets that every version understands; the rest follows when the first octets of the
//! peer show what it speaks (RFC 37, "Backwards Interoperability"). So a handshake takes a round trip more than one in
//! which both send everything at once; libzmq's does, too.
//!
//! | | ZMTP 3.1 | 3.0 | 2.0 | 1.0 |
//! |---|---|---|---|---|
//! | programs | libzmq since 4.2 | libzmq 4.0, 4.1 | libzmq 3.2, JeroMQ 0.3 | libzmq 2 |
//! | socket types | checked; the peer is told why not | the same | checked; closed without a word, as RFC 15 has it (libzmq does not check) | not told, cannot be checked |
//! | XPUB, XSUB are called | by their names | by their names | PUB, SUB | |
//! | routing id | in READY | in READY | a frame | a frame |
//! | subscriptions | commands | messages | messages | messages; a subscriber gets everything, for it may not tell what it wants |
//! | heartbeats | yes | yes (D15) | no | no |
//! | metadata, ERROR | yes | yes | no | no |
//!
//! * A program that needs more than NULL must not be talked out of it by an old greeting: RFC 37 has a socket with any
//!   other mechanism refuse versions before 3. So does one with NULL that asks somebody about its peers.
//! * By RFC 13 whatever does not begin with FF is ZMTP 1.0. So do HTTP, TLS and most other protocols, and what they say
//!   could become messages. A routing id in a frame of the short form is refused unless its flags are zero, or
//!   those that libzmq 2 sets for no purpose, although RFC 13 asks not to look at them; libzmq does not look.
//! * The rules for routing ids and reserved flags hold for all versions (D8, D11). A frame of ZMTP 1.0 with a length
//!   of zero ends the connection, as in libzmq; RFC 13 would ignore it.
//! * Revisions 1 and 2 are ZMTP 2.0, as RFC 37 says; 0 is refused. libzmq takes 0 for a ZMTP 1.0 with a version, and
//!   goes on with 2 as with 3.1.
//! * Frames of ZMTP 1.0 are translated where they leave and where they arrive, which copies each body once more. Limits,
//!   high-water marks and what is sent again after a lost connection are the same as with all peers.
//! * The tests meet peers made of octets. By hand, libzmq 2.1.11 and JeroMQ 0.3.6 were met as well (2026-11-21), with
//!   every pair of types and both bind sides.
//! * [`Peer::version`](crate::Peer::version) tells what a peer speaks; old ones can be turned away by
//!   [`Peer::close`](crate::Peer::close).
//!
//! # Connecting
//!
//! | | libzmq | this library |
//! |---|---|---|
//! | how long the system may take to connect | as long as it tries, about two minutes; [`connect_timeout`](crate::Options::connect_timeout) is off | 5 s, then it is asked anew: a peer that is back after a long outage is found in a few seconds, not at the system's next attempt, which may be half a minute away. A name that is looked up for longer is told as a failure, too, and its answer is taken when it comes. [`Timeout::Never`](crate::Timeout::Never) is libzmq's |
//! | a name with several addresses | the first | all, raced as in RFC 8305: each one 250 ms after the one before, or when that has failed; families in turn, the first 256; the first that connects is taken, the others are closed. The addresses of a proxy as well |
//! | `connect` to the same endpoint once more | DEALER, PUB, REQ and SUB stay as they are, except over inproc; the others have one more connection | the same; the handle that is returned is the first one's, and one `disconnect` ends it |
//! | `tcp://*` with [`ipv6`](crate::Options::ipv6) | one socket for both families | the same; where the system has none that takes both, one for IPv4. A port of which another program has one half is in use |
//! | source address, `tcp://source:port;host:port` | an interface or address of its own, for `connect` | the same; a `bind` to it says [`SourceAddress`](crate::BindErrorKind::SourceAddress) |
//! | looking a name up | on the I/O thread | on 8 threads of the context at most, once for all that connect to it. One that the system does not answer keeps its thread, also when the context is gone |
//!
//! # Heartbeats
//!
//! With [`heartbeat_interval`](crate::Options::heartbeat_interval) each peer gets a PING per interval, three at
//! most without an answer. Everything that comes is a sign of life, not just the PONG; while a PING still waits
//! behind messages of ours, so is everything that the peer takes. A connection without one for
//! [`heartbeat_timeout`](crate::Options::heartbeat_timeout) after a PING is closed, and a `connect` tries again
//! after a pause. The TTL of a peer's PING is honoured in full, up to 6553.5 seconds (libzmq wraps at 65.5), is
//! renewed by everything that comes, and replaced by the next PING's; zero is no hint.
//!
//! A connection whose inbound queue is full is not read, so nobody knows whether its peer lives: it is kept.
//!
//! # Limits
//!
//! All of them hold before memory is reserved for what a peer announces.
//!
//! | what | limit |
//! |---|---|
//! | greeting and handshake together | [`handshake_interval`](crate::Options::handshake_interval), 30 s |
//! | accepted connections in their handshake | [`handshakes_max`](crate::Options::handshakes_max), 16,384, and [from one address](crate::Options::handshakes_max_per_address) an eighth of them once half are taken. libzmq has no limit: [`HandshakesMax::UNLIMITED`](crate::HandshakesMax::UNLIMITED) for the first turns off both |
//! | who may connect | [`accept_only`](crate::Options::accept_only) and [`accept_never`](crate::Options::accept_never), by address |
//! | questions that a ZAP handler has not answered | 10,000; more peers are refused |
//! | a command of the handshake | 3,072 octets; a longer one is answered with `ERROR Handshake-Command-Too-Large`, which is final. libzmq has no limit |
//! | a command afterwards | 1,048,592 octets: a subscription to the longest topic |
//! | a message, all its frames together | [`max_message_size`](crate::Options::max_message_size), which libzmq applies to each frame; without it, memory is reserved only as octets arrive |
//! | parts of a message | 131,072 |
//! | PONGs that a peer asks for and does not read | 4,096 octets, then it is not read any more |
//!
//! # High-water marks
//!
//! Over tcp and ipc a peer's outbound queue takes [`send_hwm`](crate::Options::send_hwm) messages, counted
//! until the last octet of each is with the kernel, and its inbound queue
//! [`recv_hwm`](crate::Options::recv_hwm) messages, counted until they are received. Both are exact: message
//! 1000 is taken and message 1001 is not. What the kernel's buffers hold comes on top, and that can be many
//! small messages. libzmq's marks are not exact: its manual allows the real limit to be much lower.
//!
//! inproc has one queue for each direction, which takes the sum of the sender's `send_hwm` and the receiver's
//! `recv_hwm`, as in libzmq: 2000 by default, and no limit if either has none. While a `connect` waits for the
//! `bind`, only its own mark counts.
//!
//! PUSH passes over a peer whose queue is full. When all are full, and without peers, `send` waits or hands the
//! message back. So do DEALER and REQ. ROUTER and REP never wait: what they cannot queue is dropped, and
//! [counted](crate::Dropped); a ROUTER with [`router_mandatory`](crate::Options::router_mandatory) waits for room,
//! and says when nobody has the routing id; a STREAM does that always. PUB, XPUB and XSUB discard what finds a
//! queue full, and count it. No other socket type discards what it is to send, unless it conflates. What comes and
//! is not handed out (late replies, what a SUB filters, what does not follow the pattern) is counted, too, by
//! reason, for every type: [`dropped`](crate::Socket::dropped).
//!
//! # Monitors and statistics
//!
//! [`Socket::monitor`](crate::Socket::monitor) tells of more than libzmq does: with typed reasons, the peer, its address
//! and the number of the connection, and how much a slow reader has [missed](crate::EventKind::Missed).
//! [`monitor_pair`](crate::Socket::monitor_pair) has libzmq's numbers and frames. Differences there:
//!
//! | | libzmq | this library |
//! |---|---|---|
//! | a reader that stops | the I/O thread waits for room | events are dropped |
//! | `MONITOR_STOPPED` | when all connections have ended | when the socket is dropped; connections that linger end after it |
//! | value of `CLOSED`, of `DISCONNECTED` behind a failed handshake, and in version 2 our address of a connect | the descriptor, the address | -1, empty |
//! | `CONNECT_DELAYED` | when the system does not connect at once | for each address that is tried |
//! | a peer kept out by its address, or because too many shake hands | `ACCEPT_FAILED`, or nothing | `ACCEPT_FAILED` with `EACCES` |
//! | `CLOSE_FAILED`, `PIPES_STATS` | exist | do not: see [`stats`](crate::Socket::stats) |
//!
//! A failed handshake is told on both sides, with its reason, and for each try again (E-19): the filter against whom to
//! keep out is [`accept_never`](crate::Options::accept_never).
//!
//! [`Socket::stats`](crate::Socket::stats) is exact: accepted = handed over + queued + lost, for each peer and in all,
//! and together with what was [`dropped`](crate::Dropped) it accounts for every message.
//! [`Context::stats`](crate::Context::stats) tells the same from any thread, where what is queued may be told late.
//!
//! With the features `tracing` and `metrics` the same is told to the subscriber of the crate tracing (target `peermq`),
//! and counted for the recorder of the crate metrics (`peermq_events_total`, by event and endpoint). Both are called by
//! whoever sees the event, a call or an I/O thread, which may hold the connection meanwhile: they must not block, and
//! must not call a socket of the same context. A subscriber that publishes over peermq hands over to a thread of its
//! own.
//!
//! # Publish and subscribe
//!
//! The patterns are RFC 29 and the PUB-SUB part of RFC 37.
//!
//! * A subscriber counts: two subscriptions to the same topic need two `unsubscribe`. It tells its publishers of every
//!   subscription and of the last cancellation; a publisher keeps a set for each peer, in which one cancellation takes
//!   all subscriptions to the topic back. So does libzmq, and every other library that is in use. RFC 37 has the
//!   publisher count ("additive, not idempotent"): it would never let go of a subscriber that does as all do.
//!   A cancellation of nothing has no effect.
//! * What a publisher has not been told yet is told as it is by then: a subscription and its cancellation that both wait
//!   are nothing, so that what waits is bounded by the topics however often they change. A subscription that holds is
//!   told as often as it was made.
//! * A publisher is told of the changes of one subscriber in the order in which they were made, over every transport,
//!   behind the topics that a new connection is told: no cancellation overtakes an older subscription, to whatever
//!   topic. Subscriptions to one topic that wait come with the first of them, and cancellations, if each is told, with
//!   the last.
//! * [`wait_subscribed`](crate::Socket::wait_subscribed) asks by a PING behind the subscriptions, whose context is
//!   `peermq??` and a number of eight octets; twice, as libzmq may answer the first before its socket's queue has them.
//!   Without that call no such PING is sent. A publisher of this library answers it when no more than 64 of what came
//!   before it wait for the publisher's next call, however long that takes; nobody's heartbeat has such a context, and
//!   every other PING is answered at once meanwhile.
//! * Every connection that comes up is told all topics, in their order, while the application is in no call.
//!   (libzmq takes new connections in, and tells them, only while its application is in a call.) Peers
//!   before ZMTP 3.1 are told by messages, later ones by SUBSCRIBE and CANCEL; a publisher takes both from everybody.
//! * A topic may have a mebioctet, a peer 4,000,000 topics of 256 mebioctets in all. Who wants more is
//!   disconnected. A subscription of libzmq 4.3.4 to a topic of 246 to 255 octets is no legal frame, and ends
//!   that connection.
//! * A SUB looks through what comes, so that it receives nothing from the moment of `unsubscribe` on; an XSUB
//!   does not, as in libzmq.
//! * PUB, XPUB and XSUB never wait, not even the millisecond that others give the kernel (below), unless
//!   [`xpub_nodrop`](crate::Options::xpub_nodrop) is set. [`dropped`](crate::Socket::dropped) counts.
//! * The application of an XPUB that does not receive is told of 65,536 subscriptions of each peer, or 8
//!   mebioctets, and of 64 mebioctets of all peers, those that left included; more wait at the peer, and have no
//!   effect yet. In libzmq they gather without limit. A peer's message to an XPUB waits in its queue, and its later
//!   subscriptions behind it.
//! * With [`xpub_manual_last_value`](crate::Options::xpub_manual_last_value) a peer that subscribed and has left since
//!   is no reason to send to nobody, and a send that failed for lack of room (`xpub_nodrop`) is still for the last
//!   subscriber only when it is tried again; in libzmq it goes to all then.
//! * With [`xsub_verbose_unsubscribe`](crate::Options::xsub_verbose_unsubscribe) a new connection is told of each topic
//!   as often as it was subscribed to, so that the cancellations add up for a publisher that counts. For one that keeps a
//!   set, as libzmq's and ours, the first takes all of them back, as in libzmq.
//! * A connection that ends by `disconnect` or drop ends with cancellations of everything, as far as the kernel
//!   takes them at once: `linger` of SUB and XSUB is nothing by default, as in libzmq.
//! * A queue of a PUB that connected outlives the connection; the subscriptions do not.
//!
//! # What may be lost when a connection dies
//!
//! ZeroMQ is at most once: a message that the kernel has taken is never sent again, so that none arrives twice.
//!
//! | messages | tcp, ipc | inproc |
//! |---|---|---|
//! | queued by the side that connected | kept, and sent on the next connection, from the first message that was not wholly with the kernel | no reconnect: lost if the peer is dropped |
//! | queued by the side that bound | lost with the connection; a peer that comes back is a new peer | lost if the peer is dropped |
//! | with the kernel, not read by the peer | lost | |
//! | arrived, not received | still received, whole ones only | still received |
//!
//! Nothing else is lost, and [`outgoing`](crate::Socket::outgoing) tells how much: accepted = handed over + queued +
//! lost, exact at any time, also with [`conflate`](crate::Options::conflate), which counts what it replaces. What had
//! arrived and was not received when its connection is let go is [counted](crate::Dropped::unreceived) on that side, and
//! told to the sender, who counts it as [`unread`](crate::Outgoing::unread).
//! Only of what is with the kernel when a connection breaks nobody knows whether it arrived.
//!
//! This holds for all types alike, but for REP: its replies are lost with the connection that the request came from,
//! whoever connected, because whoever is at the other end next did not ask. libzmq delivers them there. Messages that
//! are queued for one PULL peer are not given to another. With [`immediate`](crate::Options::immediate), the side that
//! connected loses its queue with the connection, too. [`disconnect`](crate::Socket::disconnect) drops what arrived
//! from that peer and was not received. Whoever needs more numbers the messages, and has the receiver answer what it
//! has done: the example `pipeline` counts what came back.
//!
//! # Requests and replies
//!
//! * REQ has no `send` and `recv` that must be called in turn: [`request`](crate::Socket::request) returns a
//!   [`Reply`](crate::Reply), from which the answer is taken. Dropping it gives the request up, at any time and
//!   without any option. What libzmq does with `ZMQ_REQ_RELAXED` and `ZMQ_REQ_CORRELATE` off can take a late reply
//!   for the answer to the next request; here the connection is closed instead, as libzmq's manual intends, and a
//!   `connect` made again: at once, but after its pause when the peer has been given up for the fifth time and has said
//!   nothing in between. With [`req_correlate`](crate::Options::req_correlate) it stays; the number is libzmq's:
//!   a frame of four octets in front of the empty one. A ROUTER of ours or libzmq's that *connects* to a REQ keeps
//!   its replies over a reconnect: use the number there.
//! * A REQ whose peer dies waits for its reply until a timeout, as in libzmq. A request that was given up before
//!   it was on the wire is not sent, unless `req_correlate` is set.
//! * A reply without the empty frame, or from a peer that was not asked, is discarded.
//! * REP hands out a [`Request`](crate::Request), the only thing that can be replied to. Dropping it leaves it
//!   unanswered.
//! * ROUTER has the routing id beside the message, not in its first frame. A peer that announces none is called by
//!   five octets, a zero and a number that starts at random; a ROUTER that connects gives a peer without a name
//!   the same one again after a reconnect, and follows one that announces another (libzmq keeps the first).
//! * [`router_notify`](crate::Options::router_notify) works over inproc, too.
//!
//! # STREAM
//!
//! Octets over plain tcp, as in libzmq, with these differences:
//!
//! * A [`Stream`](crate::Stream) that connects loses what is queued with the connection: half of what one peer was
//!   told is nothing to begin the next conversation with. The next connection is a new peer, under a new name
//!   unless [`connect_as`](crate::Socket::connect_as) gave one. libzmq keeps queue and name. Until it is connected
//!   a peer is `Unroutable`.
//! * A peer that closes only its sending side is answered until that news is received; what is queued then is still
//!   sent. libzmq closes at once. A peer that was connected to is connected to again after that.
//! * An empty message closes the connection behind what is queued, without a further call, and ends a `connect` for
//!   good. How long that may take is what [`linger`](crate::Options::linger) says then.
//! * Frames of one message go out one behind the other. [`close`](crate::Socket::close) counts a message as flushed
//!   when the connection has begun to write it.
//! * [`probe_router`](crate::Options::probe_router) greets each new peer once, as libzmq does, not each new
//!   connection of a `connect`.
//! * A peer that connects to a socket is taken up when a verb of that socket is called next, in libzmq, too: only
//!   then is it greeted, given a name, or refused.
//!
//! # Proxies
//!
//! | | libzmq | this library |
//! |---|---|---|
//! | `zmq_proxy` | runs until the context ends | [`proxy`](crate::proxy()) |
//! | `zmq_proxy_steerable` | PAUSE, RESUME, TERMINATE, STATISTICS on a socket | [`ProxyControl`](crate::ProxyControl), for any thread. `pause` returns when nothing more is taken |
//! | eight numbers of STATISTICS | received and sent by each socket | [`ProxyStatistics`](crate::ProxyStatistics): what the frontend received is what the backend sent |
//! | capture | gets a copy before the message is passed on | the same |
//! | no room on the other side | nothing is taken; what was taken when the room went waits and blocks both ways | nothing is taken; one message each way can be held, and the other way goes on |
//! | ROUTER with `ROUTER_MANDATORY`, and nobody has the routing id | the proxy ends with an error | counted as `refused`, and the proxy goes on |
//! | its end | a return code | [`ProxyEnd`](crate::ProxyEnd): the sockets, and what was taken and not sent |
//!
//! A proxy of XSUB and XPUB cancels upstream what the last subscriber leaves, and tells a publisher that comes back all
//! topics again, over any number of proxies. Head of line: a ROUTER with `router_mandatory` waits for room at one peer
//! while messages for others wait behind; without, it drops what has no room, as RFC 28 says.
//!
//! # How things end
//!
//! What is guaranteed of messages at the end of a connection has a page of its own: [`ends`](super::ends).
//!
//! * [`close`](crate::Socket::close) waits until everything that is queued has been handed over and each peer has closed
//!   its end of the connection behind it, or the deadline has passed, and tells exactly what is known of how many
//!   messages. With inproc they are handed over as soon as they are sent.
//! * [`disconnect`](crate::Connection::disconnect) of a handle works from any thread, also while another one waits in
//!   the socket; what is queued lingers. A message that another thread sends at that very moment may be dropped.
//! * Dropping a [`Socket`](crate::Socket) never waits. Its listeners stop; what is queued goes on being sent
//!   as [`linger`](crate::Options::linger) says (default: for ever, as in libzmq), also while a peer is away.
//!   Messages that arrived and were not received are dropped; a close reports how many.
//! * The last handle of a [`Context`](crate::Context), sockets included, waits when it is dropped until what
//!   lingers is with the kernel: 30 seconds at most, then the rest is dropped. libzmq's `zmq_ctx_term` waits
//!   without end; [`ContextBuilder::linger`](crate::ContextBuilder::linger) has either, and everything in between, also
//!   after a [`shutdown`](crate::Context::shutdown), behind which the default is one second. After a
//!   second it tells for whom it waits, and then what was lost: to `tracing` if somebody listens there, else on standard
//!   error.
//! * [`finish`](crate::Context::finish) waits as long as it is told to, for ever if need be, for what sockets hold that
//!   are open and that are not, and tells what was dropped and for whom.
//! * [`shutdown`](crate::Context::shutdown) makes every call on every socket return `Terminated` and does
//!   not wait either. Behind it, and while its thread panics, the last drop waits a second at most, and not for a peer
//!   that cannot be reached.
//! * What is never dropped, such as a socket in a `static`, is looked after when the program ends (`atexit`, on Unix):
//!   what peers take within a second is sent, and the rest told; peers that cannot be reached are not waited for. A
//!   program that is killed, or calls `_exit`, loses what was not with the kernel.
//!
//! # Errors
//!
//! Every operation has an enum of its own; nothing panics or aborts because of a peer or the system.
//!
//! | libzmq | here |
//! |---|---|
//! | `EAGAIN` | `WouldBlock` of [`SendError`](crate::SendError) and [`RecvError`](crate::RecvError); a send hands back what it was given |
//! | `EINTR` | `Interrupted`, in a context that is [`interruptible`](crate::ContextBuilder::interruptible); else calls go on after a signal. To end a call that waits, use a timeout, or [`shutdown`](crate::Context::shutdown) from another thread |
//! | `ETERM` | `Terminated` |
//! | `EINVAL`, `EPROTONOSUPPORT` of an endpoint | [`EndpointError`](crate::EndpointError), with the reason |
//! | `EADDRINUSE` | [`BindErrorKind::AddressInUse`](crate::BindErrorKind::AddressInUse); an ipc path is taken over only if nobody listens there |
//! | `ENODEV`, `EADDRNOTAVAIL` | [`BindErrorKind::NoSuchInterface`](crate::BindErrorKind::NoSuchInterface), or `Io` with the system's code |
//! | `ENOENT` of unbind and disconnect | `NotBound`, `NotConnected` |
//! | `ENOENT` of bind | [`BindErrorKind::NoSuchDirectory`](crate::BindErrorKind::NoSuchDirectory) |
//! | `ENOTSUP`, `EFSM` | does not compile: a verb exists only where it means something |
//! | `EHOSTUNREACH` of a ROUTER | [`SendError::Unroutable`](crate::SendError::Unroutable) |
//! | `ENOTSOCK`, `EFAULT` | cannot happen |
//!
//! Out of descriptors (`EMFILE`), a listener pauses for 50 ms and looks again; connections that wait stay in the
//! backlog.
//!
//! # Children that are forked
//!
//! * Descriptors are close-on-exec: a program that a child executes has none of them.
//! * A child that goes on without `exec` has no I/O threads. It may drop the sockets and the context that it has
//!   inherited, and it may close them, which neither touches the parent's connections nor waits; `open`, `bind`,
//!   `connect`, `unbind` and `disconnect` with them say `Terminated`, and handles of bindings, connections and peers do
//!   nothing. Nothing else is supported: do not send or receive with them there. A new context works.
//! * What the parent closes is closed, also while a child has the same descriptors: peers hear of it, and nobody listens
//!   where a listener was. libzmq only closes its descriptors, and its peers hear nothing until the child ends. Two
//!   things wait for that here as well: an abstract ipc name is taken, and where a system cannot stop a listener without
//!   closing it, connections wait in its backlog.
//! * The library hears of `fork(2)` of the C library, not of bare system calls.
//!
//! # Waiting, in detail
//!
//! * A `send` that waits for room is woken when half of the queue is free, or when its connection has written
//!   what the kernel takes for now; libzmq does the former. A receiver in the same process that takes less than
//!   half of a full queue and then stops leaves it waiting; `try_send` finds the room.
//! * A `send` with much queued (128 KiB) that the kernel does not take gives the kernel one millisecond before it
//!   returns. It still queues up to the high-water mark.
//! * While a socket streams to or from a single peer, other events of that socket (a new peer, a shutdown) are
//!   seen within a millisecond or two, not at once.
//! * [`poll`](crate::poll) is `zmq_poll` for sockets, and [`Socket::readiness`](crate::Socket::readiness) is
//!   `ZMQ_EVENTS`: both exact. A message of which a SUB has told can still be unsubscribed; libzmq delivers it. A SUB
//!   that conflates and wants some topics only may find nothing, as a newer message has replaced that one.
//! * A [`Poller`](crate::Poller) answers as `zmq_poller` does, but for this: it may report a socket that has
//!   nothing after all, as when a peer has left, and then once; what a blocking `recv` would wait for then, `try_recv`
//!   says at once. An empty poller without a timeout is an error, as in `zmq_poller_wait`. After a shutdown a socket is
//!   reported as ready, and its call says why, where `zmq_poll` fails as a whole. Sockets that are dropped leave it.
//! * A [`Descriptor`](crate::Descriptor) is level-triggered, where `ZMQ_FD` is edge-triggered, and for what it was asked
//!   for only. [`Timers`](crate::Timers) are `zmq_timers`.
//! * A connection whose inbound queue is full is not read: that its peer has closed shows when the application
//!   receives again, or when something is sent.
//! * Messages over one connection come in the order in which they were sent. A peer that connects again is a new
//!   peer, and nothing tells that it is the same: so whatever a connection that is gone has left is received before
//!   anything of those that came after it, from the moment that its end is noticed. An end that this side makes is
//!   noticed before the peer can be back; one that the peer or the network makes, when the system reports it, which on
//!   a busy machine may be after the peer is back. (In libzmq they take turns.) The messages of XSUBs to an XPUB take
//!   turns here, too.
