//! Input that no honest peer sends, on real sockets: B-04, B-12, B-40, B-52, B-57 to B-60, B-62; F-07, F-17.
//!
//! A good peer of the same socket goes on throughout; descriptors, threads and memory return to what they
//! were; a panic in any thread ends the test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::alloc::System;

use cap::Cap;
use interop_tests::raw::random::Random;
use interop_tests::raw::vectors::{G_NULL31, PING, PONG, command, frame, message, ready};
use interop_tests::raw::{ALLOCATOR_LIMIT, Account, Meeting, Peer, Role, Speaks, Transport, alone, full_or};
use peermq::{Hwm, MaxMessageSize, Pair, Pull, Push, Receives};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATOR_LIMIT);

const EVERYWHERE: [(Role, Transport); 4] = [
    (Role::Binds, Transport::Tcp),
    (Role::Connects, Transport::Tcp),
    (Role::Binds, Transport::Ipc),
    (Role::Connects, Transport::Ipc),
];

/// Connections more that ours makes, where it is the one that connects: while one of them pauses the others go on.
const DIALERS: usize = 15;

/// What port scanners and clients of other protocols say first.
const SCANNERS: [&[u8]; 12] = [
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0\r\n\r\n",
    b"OPTIONS * HTTP/1.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"SSH-2.0-OpenSSH_9.7\r\n",
    // TLS ClientHello.
    b"\x16\x03\x01\0\x2f\x01\0\0\x2b\x03\x03\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\
      \x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\x42\0\0\x04\x13\x01\x13\x02\x01\0",
    // nmap: GenericLines, DNSVersionBindReqTCP, SMBProgNeg, X11Probe, LDAPBindReq, TerminalServer, RPCCheck.
    b"\r\n\r\n",
    b"\0\x1e\0\x06\x01\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03",
    b"\0\0\0\xa4\xffSMB\x72\0\0\0\0\x08\x01\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\x06\0\0\x01\0\0\x81\0\x02PC NET",
    b"l\0\x0b\0\0\0\0\0\0\0\0\0",
    b"0\x0c\x02\x01\x01`\x07\x02\x01\x02\x04\0\x80\0",
    b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0",
    b"\x80\0\0\x28\x72\xfe\x1d\x13\0\0\0\0\0\0\0\x02\0\x01\x86\xa0\0\x01\x97\x7c\0\0\0\0\0\0\0\0",
];

/// A socket under attack, and a good peer of it.
struct Siege<P: Speaks> {
    meeting: Meeting<P>,
    good: Option<Peer>,
    account: Account,
}

impl<P: Speaks> Siege<P> {
    fn new(role: Role, transport: Transport) -> Self {
        let mut meeting = Meeting::new(role, transport);
        meeting.live();
        let account = Account::take(&ALLOCATOR);
        let good = meeting.has_room().then(|| meeting.good_peer());
        Self { meeting, good, account }
    }

    /// The good peer is still served.
    fn check(&mut self) {
        if let Some(good) = &mut self.good {
            assert!(P::exchange(&mut self.meeting.socket, good, 1));
        }
    }

    /// Says these octets and FIN on a new connection, hears until we close.
    fn attack(&self, octets: &[u8], cuts: &[usize]) {
        let mut peer = self.meeting.peer();
        let mut from = 0;
        for &cut in cuts.iter().chain([&octets.len()]) {
            // We may close before all of it is written.
            _ = peer.try_write(&octets[from..cut]);
            from = cut;
        }
        peer.finish();
        peer.read_to_end();
    }

    fn end(mut self) {
        if let Some(good) = &mut self.good {
            assert!(P::exchange(&mut self.meeting.socket, good, 100));
        }
        self.meeting.live();
        let account = self.account;
        drop(self);
        account.assert_restored();
    }
}

/// From pure noise to a conversation with a few octets changed.
fn noise(random: &mut Random, peer: &str) -> Vec<u8> {
    let octets = random.below(400);
    let noise = random.octets(octets);
    let good = [&G_NULL31[..], &ready(peer)].concat();
    match random.below(5) {
        0 => noise,
        1 => [&[0xFF][..], &noise].concat(),
        2 => [&G_NULL31[..], &noise].concat(),
        3 => [&good, &noise[..]].concat(),
        _ => {
            let mut octets = [&good, &message(&["a", ""])[..], PING, &frame(0, &noise), PING].concat();
            for _ in 0..=random.below(4) {
                let at = random.below(octets.len());
                octets[at] = random.octets(1)[0];
            }
            octets
        }
    }
}

fn drain<P: Speaks + Receives>(siege: &mut Siege<P>) {
    while siege.meeting.socket.try_recv().is_ok() {}
}

/// Half of them in either role.
fn random_streams(transport: Transport, streams: usize) {
    let mut random = Random(0xBAD);
    for role in [Role::Binds, Role::Connects] {
        let mut siege = Siege::<Pull>::new(role, transport);
        siege.meeting.connect_more(DIALERS);
        for round in 0..streams / 2 {
            let octets = noise(&mut random, "PUSH");
            let cuts = if round % 4 == 0 { random.cuts(octets.len(), 20) } else { Vec::new() };
            siege.attack(&octets, &cuts);
            drain(&mut siege);
            if round % 10 == 0 {
                let mut good = siege.good.take().unwrap();
                good.write(&message(&["still here"]));
                while siege.meeting.socket.recv().unwrap() != "still here" {}
                siege.good = Some(good);
            }
        }
        siege.account.assert_closed_but(3 + DIALERS);
        drain(&mut siege);
        siege.end();
    }
}

#[test]
fn random_streams_over_tcp_harm_nobody() {
    // B-12, B-39: with the test below 10^4 in all; 10^6 with `PEERMQ_FULL`.
    alone("random_streams_over_tcp_harm_nobody", || random_streams(Transport::Tcp, full_or(500_000, 5000)));
}

#[test]
fn random_streams_over_ipc_harm_nobody() {
    // B-12, B-39
    alone("random_streams_over_ipc_harm_nobody", || random_streams(Transport::Ipc, full_or(500_000, 5000)));
}

#[test]
fn random_streams_harm_no_sender_and_no_pair() {
    // B-12
    alone("random_streams_harm_no_sender_and_no_pair", || {
        let mut random = Random(0xBEE);
        for (role, transport) in EVERYWHERE {
            let mut siege = Siege::<Push>::new(role, transport);
            for _ in 0..250 {
                siege.attack(&noise(&mut random, "PULL"), &[]);
                siege.check();
            }
            siege.end();
            let mut siege = Siege::<Pair>::new(role, transport);
            for _ in 0..250 {
                siege.attack(&noise(&mut random, "PAIR"), &[]);
                drain(&mut siege);
            }
            siege.meeting.settle();
            drain(&mut siege);
            siege.end();
        }
    });
}

#[test]
fn scanners_and_other_protocols_are_refused() {
    // B-12, B-52: whole, and one octet per write.
    alone("scanners_and_other_protocols_are_refused", || {
        for (role, transport) in EVERYWHERE {
            let mut siege = Siege::<Pull>::new(role, transport);
            for octets in SCANNERS {
                siege.attack(octets, &[]);
                siege.attack(octets, &(1..octets.len()).collect::<Vec<_>>());
                siege.check();
            }
            siege.end();
        }
    });
}

#[test]
fn sizes_beyond_reason_are_refused_without_memory() {
    // B-04, B-42, B-52, F-07: before READY and behind it, each followed by 64 KiB.
    alone("sizes_beyond_reason_are_refused_without_memory", || {
        let sizes = (0..64).map(|k| u64::MAX - k * 257).chain([1 << 63, (1 << 63) + 1]);
        let data = vec![0x41; 65_536];
        for (role, transport) in EVERYWHERE {
            let mut siege = Siege::<Pull>::new(role, transport);
            for size in sizes.clone() {
                for flags in [2, 3, 6] {
                    let header = [&[flags], &size.to_be_bytes()[..]].concat();
                    siege.attack(&[&G_NULL31[..], &header, &data].concat(), &[]);
                    siege.attack(&[&G_NULL31[..], &ready("PUSH"), &header, &data].concat(), &[]);
                    siege.check();
                }
            }
            siege.end();
        }
    });
}

#[test]
fn a_promise_of_a_huge_frame_costs_what_has_come_of_it() {
    // B-52, F-06: 2^63-1 octets are legal without a limit; memory follows what arrives.
    alone("a_promise_of_a_huge_frame_costs_what_has_come_of_it", || {
        for size in [(1_u64 << 63) - 1, 1 << 40, 1 << 33] {
            let mut siege = Siege::<Pull>::new(Role::Binds, Transport::Tcp);
            let mut peer = siege.meeting.ready_peer();
            peer.write(&[&[2], &size.to_be_bytes()[..]].concat());
            peer.write(&vec![7; 3 << 20]);
            siege.check();
            assert!(siege.account.growth() < 10 << 20, "{}", siege.account.growth());
            peer.finish();
            peer.read_to_end();
            drop(peer);
            siege.end();
        }
    });
}

#[test]
fn a_message_without_end_is_ended() {
    // B-40, B-58: more parts than anyone may send.
    alone("a_message_without_end_is_ended", || {
        for (role, transport) in EVERYWHERE {
            let mut siege = Siege::<Pull>::new(role, transport);
            for part in [&b"\x01\0"[..], b"\x01\x01x", b"\x03\0\0\0\0\0\0\0\0"] {
                siege.attack(&[&G_NULL31[..], &ready("PUSH"), &part.repeat(200_000)].concat(), &[]);
                siege.check();
            }
            assert!(siege.meeting.socket.try_recv().is_err());
            siege.end();
        }
    });
}

#[test]
fn commands_without_end_leave_nothing_behind() {
    // F-17, B-58: 10^6 of them, and the message behind them.
    alone("commands_without_end_leave_nothing_behind", || {
        for (role, transport) in [(Role::Binds, Transport::Tcp), (Role::Connects, Transport::Ipc)] {
            let mut siege = Siege::<Pull>::new(role, transport);
            let mut peer = siege.meeting.ready_peer();
            let commands = command("FOO", b"").repeat(1000);
            let growth = siege.account.growth();
            for _ in 0..1000 {
                peer.write(&commands);
            }
            assert!(siege.account.growth() < growth + (1 << 20), "{}", siege.account.growth());
            peer.write(&message(&["behind"]));
            assert_eq!(siege.meeting.socket.recv().unwrap(), "behind");
            siege.check();
            peer.finish();
            peer.read_to_end();
            drop(peer);
            siege.end();
        }
    });
}

#[test]
fn a_peer_that_floods_ping_and_reads_nothing_is_not_read_either() {
    // B-58, B-59, B-60: bounded memory; and every PING that was taken is answered when it reads again.
    alone("a_peer_that_floods_ping_and_reads_nothing_is_not_read_either", || {
        for (role, transport) in EVERYWHERE {
            let mut siege = Siege::<Pull>::new(role, transport);
            let mut peer = siege.meeting.ready_peer();
            let growth = siege.account.growth();
            let written = siege.meeting.fill(&mut peer, &PING.repeat(1000));
            assert!(siege.account.growth() < growth + (1 << 20), "{}", siege.account.growth());
            siege.check();
            let whole = written / PING.len();
            let rest = PING[written % PING.len()..].to_vec();
            let mut writer = peer.try_clone();
            let writing = std::thread::spawn(move || writer.write(&rest));
            for _ in 0..whole {
                assert_eq!(peer.read(PONG.len()), PONG);
            }
            writing.join().unwrap();
            peer.finish();
            peer.read_to_end();
            drop(peer);
            siege.end();
        }
    });
}

#[test]
fn messages_that_nobody_receives_are_bounded() {
    // B-57, B-58: empty messages and tiny ones stop at the high-water mark and the kernel's buffers.
    alone("messages_that_nobody_receives_are_bounded", || {
        for body in [&b""[..], b"x"] {
            let mut siege = Siege::<Pull>::new(Role::Binds, Transport::Tcp);
            let mut peer = siege.meeting.ready_peer();
            let growth = siege.account.growth();
            let written = siege.meeting.fill(&mut peer, &frame(0, body).repeat(4096));
            assert!(siege.account.growth() < growth + (2 << 20), "{}", siege.account.growth());
            for _ in 0..written / frame(0, body).len() {
                assert!(siege.meeting.socket.recv().unwrap() == *body);
            }
            peer.finish();
            peer.read_to_end();
            drop(peer);
            siege.end();
        }
    });
}

#[test]
fn a_million_tiny_messages_cost_what_they_took_on_the_wire() {
    // B-57: without a high-water mark; at most twice the octets, and a segment.
    alone("a_million_tiny_messages_cost_what_they_took_on_the_wire", || {
        let mut meeting =
            Meeting::<Pull>::with(Role::Binds, Transport::Tcp, |builder| builder.recv_hwm(Hwm::UNLIMITED));
        let mut peer = meeting.ready_peer();
        assert!(Pull::exchange(&mut meeting.socket, &mut peer, 1));
        let account = Account::take(&ALLOCATOR);
        let tiny = frame(0, b"x");
        for _ in 0..1000 {
            peer.write(&tiny.repeat(1000));
        }
        // Answered behind the last of them: all are in the pipe.
        peer.write(PING);
        assert_eq!(peer.read(PONG.len()), PONG);
        let growth = account.growth();
        assert!(growth < 2 * 1_000_000 * tiny.len() + (1 << 19), "{growth}");
        for _ in 0..1_000_000 {
            assert_eq!(meeting.socket.recv().unwrap(), "x");
        }
    });
}

#[test]
fn messages_that_never_end_and_connections_without_end_leave_nothing_behind() {
    // B-07, B-26: some MORE frames, or none, then FIN or RST. 10^5 in all with `PEERMQ_FULL`.
    alone("messages_that_never_end_and_connections_without_end_leave_nothing_behind", || {
        for (role, transport) in EVERYWHERE {
            let mut siege = Siege::<Pull>::new(role, transport);
            siege.meeting.connect_more(DIALERS);
            for round in 0..full_or(25_000, 400) {
                let mut peer = siege.meeting.ready_peer();
                peer.write(&frame(1, &[7; 1024]).repeat(round % 8));
                if round % 2 == 0 {
                    peer.finish();
                    peer.read_to_end();
                } else {
                    peer.reset();
                }
                if round % 20 == 0 {
                    siege.check();
                }
            }
            assert!(siege.meeting.socket.try_recv().is_err(), "none of them was whole");
            siege.end();
        }
    });
}

#[test]
fn a_limit_on_messages_is_none_on_the_handshake() {
    // B-24: whatever the limit, the handshake goes through; a message above it ends its connection alone.
    alone("a_limit_on_messages_is_none_on_the_handshake", || {
        for limit in [0, 1, 275] {
            let mut meeting = Meeting::<Pull>::with(Role::Binds, Transport::Tcp, |builder| {
                builder.max_message_size(MaxMessageSize::octets(limit))
            });
            let (mut good, mut bad) = (meeting.ready_peer(), meeting.ready_peer());
            let size = usize::try_from(limit).unwrap();
            bad.write(&frame(0, &vec![7; size + 1]));
            bad.read_to_end();
            good.write(&frame(0, &vec![7; size]));
            assert_eq!(meeting.socket.recv().unwrap(), vec![7; size]);
            assert!(meeting.socket.try_recv().is_err());
        }
    });
}
