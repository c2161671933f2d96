//! How connections end: what was said before is heard, whoever goes, and whatever the other says meanwhile.
//!
//! Peers made of octets stand for those that do what ours never do.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::ops::Range;

use socket2::{Domain, SockAddr, Socket as Octets, Type};

use super::conservation_ends::{MECHANISMS, secured};
use super::*;
use crate::endpoint::{Address, Host, IpcAddress};
use crate::limits::{PARTINGS_MAX, TOPIC_OCTETS_MAX};
use crate::transport::Call;
use crate::transport::faults::Plan;
use crate::{CloseReason, Dealer, KernelBuffer, Pair, RecvError, Stream, XPub};

pub(super) const TCP_AND_IPC: &[Transport] = &[Transport::Ipc, Transport::Tcp];

/// A peer of ZMTP 3.1 that says what it is told to, and reads when it is told to.
pub(super) struct Raw(pub(super) Octets);

impl Raw {
    /// Connects, and shakes hands.
    pub(super) fn connect(endpoint: &Endpoint, socket_type: &str) -> Self {
        let (domain, address) = system_address(endpoint);
        let octets = Octets::new(domain, Type::STREAM, None).unwrap();
        octets.connect(&address).unwrap();
        Self(octets).shake_hands(socket_type)
    }

    /// Waits for who connects, and shakes hands.
    pub(super) fn accept(listener: &Octets, socket_type: &str) -> Self {
        Self(listener.accept().unwrap().0).shake_hands(socket_type)
    }

    fn shake_hands(mut self, socket_type: &str) -> Self {
        // What it says is on its way at once, before it goes.
        let _ = self.0.set_tcp_nodelay(true);
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        self.0.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut greeting = [0; 64];
        greeting[0] = 0xFF;
        greeting[9..12].copy_from_slice(&[0x7F, 3, 1]);
        greeting[12..16].copy_from_slice(b"NULL");
        self.say(&greeting);
        self.0.read_exact(&mut [0; 64]).unwrap();
        let value =
            [&u32::try_from(socket_type.len()).unwrap().to_be_bytes(), socket_type.as_bytes()].concat();
        let body = [b"\x05READY\x0BSocket-Type", &value[..]].concat();
        self.say(&[&[4, u8::try_from(body.len()).unwrap()], &body[..]].concat());
        self.frame();
        self
    }

    pub(super) fn say(&mut self, octets: &[u8]) {
        self.0.write_all(octets).unwrap();
    }

    /// The body of the next frame, which is a short one.
    pub(super) fn frame(&mut self) -> Vec<u8> {
        let mut header = [0; 2];
        self.0.read_exact(&mut header).unwrap();
        let mut body = vec![0; header[1].into()];
        self.0.read_exact(&mut body).unwrap();
        body
    }

    /// Reads to the end, whatever comes.
    pub(super) fn hear_to_the_end(&mut self) {
        std::io::copy(&mut self.0, &mut std::io::sink()).unwrap();
    }

    /// Reads to the end, slowly, and says something now and then. The numbers of the messages of this size.
    fn hear_slowly(&mut self, octets: usize, says: &[u8]) -> Vec<u32> {
        let (mut heard, mut part) = (Vec::new(), vec![0; octets / 2]);
        loop {
            let count = self.0.read(&mut part).unwrap();
            if count == 0 {
                break;
            }
            heard.extend_from_slice(&part[..count]);
            self.say(says);
            thread::yield_now();
        }
        let frames = before_last_words(&heard).chunks(9 + octets);
        frames.map(|frame| u32::from_be_bytes(frame[9..13].try_into().unwrap())).collect()
    }

    /// Whether nothing comes while nothing has to.
    fn hears_nothing(&mut self) -> bool {
        self.0.set_read_timeout(Some(STALL)).unwrap();
        let read = self.0.read(&mut [0; 100]);
        matches!(read, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }
}

/// Last words, as they are on the wire without encryption: so many messages were received.
pub(super) fn last_words(received: u8) -> Vec<u8> {
    [&b"\x04\x17\x04PING\0\0peermq--\0\0\0\0\0\0\0"[..], &[received]].concat()
}

/// What a side that goes has said before its last words.
pub(super) fn before_last_words(heard: &[u8]) -> &[u8] {
    let (before, words) = heard.split_at(heard.len() - 25);
    assert!(words.starts_with(&last_words(0)[..17]), "{words:?}");
    before
}

/// Where a peer made of octets is found.
pub(super) fn listen(endpoint: &Endpoint) -> Octets {
    let (domain, address) = system_address(endpoint);
    let listener = Octets::new(domain, Type::STREAM, None).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(5).unwrap();
    // Also for who accepts, with Linux.
    listener.set_read_timeout(Some(PATIENCE)).unwrap();
    listener
}

pub(super) fn system_address(endpoint: &Endpoint) -> (Domain, SockAddr) {
    if let Address::Ipc(IpcAddress::Path(path)) = endpoint.address() {
        return (Domain::UNIX, SockAddr::unix(path).unwrap());
    }
    let Address::Tcp { host: Host::Ip(ip), port, .. } = endpoint.address() else {
        unreachable!("{endpoint}")
    };
    (Domain::IPV4, std::net::SocketAddr::from((*ip, *port)).into())
}

/// Messages with these numbers.
fn frames(numbers: Range<u32>) -> Vec<u8> {
    numbers.flat_map(|number| [&[0, 4][..], &numbered(number)].concat()).collect()
}

fn large(number: u32) -> Vec<u8> {
    [&numbered(number)[..], &[0; 996]].concat()
}

const MANY: u32 = 3000;

#[test]
fn a_peer_that_talks_while_it_reads_gets_everything_from_a_socket_that_was_closed() {
    over(TCP_AND_IPC, |place| {
        let mut pair = place.builder::<Pair>().send_hwm(0).open().unwrap();
        let endpoint = pair.bind(place.address()).unwrap().into();
        let mut peer = Raw::connect(&endpoint, "PAIR");
        for number in 0..MANY {
            send(&mut pair, large(number));
        }
        peer.say(&frames(0..100)); // which the socket never looks at
        thread::scope(|scope| {
            let closing = scope.spawn(move || pair.close(PATIENCE));
            assert!(peer.hear_slowly(1000, &frames(7..8)).into_iter().eq(0..MANY));
            drop(peer);
            let report = closing.join().unwrap();
            assert_eq!((report.dropped, report.uncertain, report.unconfirmed), (0, 0, 0), "{report:?}");
        });
    });
}

#[test]
fn a_peer_that_stays_is_waited_for_until_the_deadline() {
    over(TCP_AND_IPC, |place| {
        let (mut pair, endpoint) = place.bound::<Pair>();
        let mut peer = Raw::connect(&endpoint, "PAIR");
        send(&mut pair, large(7));
        let begun = Instant::now();
        let report = pair.close(STALL);
        assert!(begun.elapsed() >= STALL);
        assert_eq!((report.dropped, report.unconfirmed), (0, 1), "{report:?}");
        assert_eq!(peer.hear_slowly(1000, b""), [7]);
    });
}

#[test]
fn a_peer_to_whom_nothing_was_told_is_not_waited_for() {
    over(TCP_AND_IPC, |place| {
        let (mut pair, endpoint) = place.bound::<Pair>();
        let mut peer = Raw::connect(&endpoint, "PAIR");
        peer.say(&frames(1..2));
        recv(&mut pair);
        let begun = Instant::now();
        assert_eq!(pair.close(PATIENCE), crate::CloseReport::default());
        assert!(begun.elapsed() < PATIENCE);
    });
}

#[test]
fn nothing_is_written_to_a_peer_that_has_closed_its_side() {
    over(TCP_AND_IPC, |place| {
        let interval = Duration::from_millis(10);
        let mut pull = place.builder::<Pull>().recv_hwm(10).heartbeat_interval(interval).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap().into();
        let mut peer = Raw::connect(&endpoint, "PUSH");
        peer.say(&frames(0..1000));
        peer.0.shutdown(Shutdown::Write).unwrap();
        // But for what was written before that was seen.
        assert!((0..10).any(|_| peer.hears_nothing()), "it is asked for signs of life");
        for number in 0..1000 {
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
        eventually("it is known to be gone", || pull.peers().is_empty());
    });
}

/// A peer has sent much, and is gone with something unread, while the socket goes on sending: what it sent arrives.
fn what_it_sent_arrives(dealer: &mut Socket<Dealer>, mut peer: Raw) {
    dealer.try_send("something").unwrap();
    // In one segment, which waits for nothing: the reset takes back what is on its side still.
    peer.say(&frames(0..MANY));
    drop(peer);
    // The kernel takes no more soon; the queue is full then, or there is nobody.
    eventually("it takes no more", || dealer.try_send("to nobody").is_err());
    for number in 0..MANY {
        assert_eq!(number_of(&recv(dealer)), number);
    }
    assert_eq!(dealer.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn what_a_peer_has_sent_is_received_although_it_takes_no_more() {
    over(TCP_AND_IPC, |place| {
        let mut dealer = place.builder::<Dealer>().recv_hwm(10).open().unwrap();
        let endpoint = dealer.bind(place.address()).unwrap().into();
        let peer = Raw::connect(&endpoint, "DEALER");
        eventually("it is there", || dealer.try_send("first").is_ok());
        what_it_sent_arrives(&mut dealer, peer);
        eventually("it is known to be gone", || dealer.peers().is_empty());
        let outgoing = dealer.outgoing();
        assert_eq!(outgoing.queued, 0, "nobody will ever take it");
    });
}

#[test]
fn what_is_queued_for_a_peer_that_takes_no_more_waits_for_the_next() {
    over(TCP_AND_IPC, |place| {
        let endpoint = place.address();
        let listener = listen(&endpoint);
        let mut dealer = place.builder::<Dealer>().recv_hwm(10).send_hwm(100).open().unwrap();
        dealer.connect(&endpoint).unwrap();
        let peer = Raw::accept(&listener, "DEALER");
        what_it_sent_arrives(&mut dealer, peer);
        let queued = dealer.outgoing().queued;
        let mut next = Raw::accept(&listener, "DEALER");
        for _ in 0..queued {
            let mut frame = [0; 11];
            next.0.read_exact(&mut frame).unwrap();
            assert!([b"\x00\x09something", b"\x00\x09to nobody"].contains(&&frame));
        }
        assert!(next.hears_nothing());
    });
}

#[test]
fn a_stream_that_closes_a_connection_behind_much_is_read_to_the_end_whatever_its_peer_says() {
    let place = Place::new(Transport::Tcp);
    let mut stream = place.context.open::<Stream>().unwrap();
    let endpoint = stream.bind(place.address()).unwrap().into();
    let (domain, address) = system_address(&endpoint);
    let mut peer = Raw(Octets::new(domain, Type::STREAM, None).unwrap());
    peer.0.connect(&address).unwrap();
    peer.say(b"GET /");
    let (from, _) = loop {
        let (from, message) = stream.recv_timeout(PATIENCE).unwrap();
        if message.size() > 0 {
            break (from, message);
        }
    };
    let body = vec![7; 4_000_000];
    stream.send_to(&from, body).unwrap();
    stream.send_to(&from, "").unwrap();
    let (mut heard, mut part) = (0, vec![0; 10_000]);
    loop {
        match peer.0.read(&mut part).unwrap() {
            0 => break,
            count => heard += count,
        }
        peer.say(b"more");
    }
    assert_eq!(heard, 4_000_000);
}

/// Both talk, and one is closed: the other, slow and talking, receives everything that it was sent.
fn both_talk(place: &Place, mut closes: Socket<Dealer>, mut stays: Socket<Dealer>) {
    let sent = thread::scope(|scope| {
        let hears = scope.spawn(move || {
            let mut heard = 0;
            let deadline = Instant::now() + PATIENCE;
            while !stays.peers().is_empty() || heard == 0 {
                assert!(Instant::now() < deadline, "it stays, or has gone before it said anything");
                let _ = stays.try_send(&[1; 500]);
                while let Ok(message) = stays.recv_timeout(Duration::from_micros(100)) {
                    assert_eq!(number_of(&message), heard);
                    heard += 1;
                    let _ = stays.try_send(&[1; 500]);
                }
            }
            while let Ok(message) = stays.try_recv() {
                assert_eq!(number_of(&message), heard);
                heard += 1;
            }
            heard
        });
        for number in 0..MANY {
            send(&mut closes, large(number));
        }
        let report = closes.close(PATIENCE);
        assert_eq!((report.dropped, report.uncertain, report.unconfirmed), (0, 0, 0), "{report:?}");
        hears.join().unwrap()
    });
    assert_eq!(sent, MANY, "over {:?}", place.transport);
}

#[test]
fn whoever_closes_while_both_talk_is_heard_to_the_end() {
    over(TCP_AND_IPC, |place| {
        for closes_first in [true, false] {
            let narrow = || place.builder::<Dealer>().recv_hwm(10).send_hwm(0);
            let (mut bound, mut connected) = (narrow().open().unwrap(), narrow().open().unwrap());
            let endpoint: Endpoint = bound.bind(place.address()).unwrap().into();
            let connection = connected.connect(&endpoint).unwrap();
            connection.wait_ready(PATIENCE).unwrap();
            eventually("both are there", || !bound.peers().is_empty());
            if closes_first { both_talk(place, bound, connected) } else { both_talk(place, connected, bound) }
        }
    });
}

#[test]
fn nothing_comes_twice_over_connections_that_break_whatever_the_mechanism() {
    over(TCP_AND_IPC, |place| {
        for mechanism in 0..MECHANISMS {
            // Over ipc less than is encrypted at a time: the peer has a part of that when the connection breaks.
            let kib = if place.transport == Transport::Ipc { 8 } else { 64 };
            let small = KernelBuffer::octets(kib * 1024).unwrap();
            let pull = secured(place.builder::<Pull>().recv_hwm(50), mechanism, true);
            let mut pull = pull.recv_buffer(small).open().unwrap();
            let endpoint: Endpoint = pull.bind(place.address()).unwrap().into();
            let push = secured(place.builder::<Push>().send_hwm(500), mechanism, false);
            let mut push = push.send_buffer(small).reconnect_interval(TURN).open().unwrap();
            push.connect(&endpoint).unwrap();
            // How often in a row there was no room.
            let (is_over, refused) = (AtomicBool::new(false), AtomicU64::new(0));
            thread::scope(|scope| {
                let _ending = Ending(&is_over);
                scope.spawn(|| {
                    let mut next = 0;
                    while !is_over.load(Ordering::SeqCst) {
                        if push.send_timeout(large(next), TURN).is_ok() {
                            next += 1;
                            refused.store(0, Ordering::SeqCst);
                        } else {
                            refused.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
                let (mut next, mut breaks) = (0, 0);
                while breaks < 40 {
                    for _ in 0..300 {
                        let number = number_of(&recv(&mut pull));
                        assert!(number >= next, "{number} again: {next} was to come, mechanism {mechanism}");
                        next = number + 1;
                    }
                    // Until the kernel takes no more, somewhere in a message.
                    eventually("it is there", || pull.peers().len() == 1);
                    refused.store(0, Ordering::SeqCst);
                    eventually("both are full", || refused.load(Ordering::SeqCst) >= 3);
                    pull.peers().first().unwrap().close(CloseReason::Dismissed);
                    breaks += 1;
                }
            });
        }
    });
}

/// A socket and its peer, whose kernels hold little.
fn with_little_room(place: &Place, recv_hwm: u32) -> (Socket<Dealer>, Raw) {
    let small = KernelBuffer::octets(4096).unwrap();
    let builder = place.builder::<Dealer>().recv_hwm(recv_hwm).send_buffer(small);
    let mut dealer = builder.open().unwrap();
    let endpoint = dealer.bind(place.address()).unwrap().into();
    let (domain, address) = system_address(&endpoint);
    let octets = Octets::new(domain, Type::STREAM, None).unwrap();
    octets.set_recv_buffer_size(4096).unwrap();
    octets.connect(&address).unwrap();
    (dealer, Raw(octets).shake_hands("DEALER"))
}

#[test]
fn who_has_closed_its_half_behind_pings_hears_whole_answers_and_then_the_last_words() {
    over(TCP_AND_IPC, |place| {
        let (mut dealer, mut raw) = with_little_room(place, 1);
        // The kernel takes the answers to some of them, and perhaps half of one.
        let (pings, context) = (2400, [7; 16]);
        raw.say(&[b"\x04\x17\x04PING\0\0", &context[..]].concat().repeat(pings));
        assert_eq!(dealer.recv_timeout(STALL), Err(RecvError::WouldBlock), "it answers as long as it can");
        raw.say(&frames(0..100));
        raw.0.shutdown(Shutdown::Write).unwrap();
        assert_eq!(number_of(&recv(&mut dealer)), 0, "it reads on");
        raw.0.set_read_timeout(Some(STALL)).unwrap();
        let mut heard = Vec::new();
        let nothing_more = raw.0.read_to_end(&mut heard).unwrap_err();
        assert!(matches!(nothing_more.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        raw.0.set_read_timeout(Some(PATIENCE)).unwrap();
        dealer.close(PATIENCE);
        heard.extend(rest(&mut raw));
        let answer = [b"\x04\x15\x04PONG", &context[..]].concat();
        let answers = before_last_words(&heard).chunks(answer.len());
        assert!(answers.len() < pings);
        assert!(answers.into_iter().all(|it| it == answer), "{heard:?}");
    });
}

#[test]
fn last_words_come_behind_answers_for_which_the_kernel_has_no_room() {
    // Whether the close waits for the peer, or ends before it reads.
    over(TCP_AND_IPC, |place| {
        for within in [PATIENCE, STALL] {
            let (mut dealer, mut raw) = with_little_room(place, 1000);
            raw.say(&frames(0..3));
            (0..3).for_each(|number| assert_eq!(number_of(&recv(&mut dealer)), number));
            send(&mut dealer, "told");
            raw.say(&b"\x04\x17\x04PING\0\0sixteen octets..".repeat(2400));
            assert_eq!(
                dealer.recv_timeout(STALL),
                Err(RecvError::WouldBlock),
                "it answers as long as it can"
            );
            assert_eq!(dealer.outgoing().queued, 0);
            let heard = thread::scope(|scope| {
                let closing = scope.spawn(move || dealer.close(within));
                let report = (within == STALL).then(|| closing.join().unwrap());
                assert!(report.is_none_or(|report| (report.dropped, report.unconfirmed) == (0, 1)));
                let heard = rest(&mut raw);
                raw.0.shutdown(Shutdown::Both).unwrap();
                heard
            });
            assert!(heard.windows(6).any(|octets| octets == b"\0\x04told"));
            assert!(heard.ends_with(&last_words(3)), "{:?}", &heard[heard.len().saturating_sub(60)..]);
        }
    });
}

/// What a peer reads until the end, which is no reset.
fn rest(raw: &mut Raw) -> Vec<u8> {
    let mut octets = Vec::new();
    raw.0.read_to_end(&mut octets).unwrap();
    octets
}

/// How many messages of 250 octets the kernel has for a peer that does not read: few enough for ipc, where each takes some
/// 1,300 of 212,992 octets if it is written by itself.
const TOLD: usize = 100;

/// A socket with messages that its peer has not read, and the peer.
fn told(place: &Place) -> (Socket<Dealer>, Raw) {
    let mut dealer: Socket<Dealer> = place.builder().recv_hwm(1).send_hwm(10_000).open().unwrap();
    let endpoint: Endpoint = dealer.bind(place.address()).unwrap().into();
    let raw = Raw::connect(&endpoint, "DEALER");
    for _ in 0..TOLD {
        send(&mut dealer, &[7; 250][..]);
    }
    eventually("the kernel has it", || dealer.stats().total.outgoing.queued == 0);
    (dealer, raw)
}

#[test]
fn a_peer_that_is_refused_hears_of_it_behind_all_that_the_kernel_has() {
    // Whatever it has said meanwhile and goes on saying: closing at once would reset the connection.
    over(TCP_AND_IPC, |place| {
        let (dealer, mut raw) = told(place);
        raw.say(&b"\0\x01x".repeat(20_000));
        dealer.peers()[0].close(CloseReason::Refused);
        eventually("whoever is at work on the connection has ended it", || dealer.peers().is_empty());
        let _ = raw.0.write_all(&b"\0\x01y".repeat(1000));
        let heard = rest(&mut raw);
        assert_eq!(heard.len(), TOLD * 252 + 15);
        assert!(heard.ends_with(b"\x04\x0D\x05ERROR\x06Closed"));
    });
}

#[test]
fn an_error_for_which_the_kernel_has_no_room_is_heard_when_it_has() {
    over(TCP_AND_IPC, |place| {
        let plan = Plan::quiet();
        let _entered = plan.enter();
        let (dealer, mut raw) = told(place);
        plan.fail_next(Call::Write, libc::EAGAIN);
        dealer.peers()[0].close(CloseReason::Refused);
        eventually("whoever is at work on the connection has ended it", || dealer.peers().is_empty());
        let heard = rest(&mut raw);
        assert_eq!(heard.len(), TOLD * 252 + 15);
        assert!(heard.ends_with(b"\x04\x0D\x05ERROR\x06Closed"));
    });
}

#[test]
fn a_peer_that_breaks_the_protocol_hears_all_that_the_kernel_has() {
    over(TCP_AND_IPC, |place| {
        let (dealer, mut raw) = told(place);
        // A command whose name is longer than itself, and more behind it, some of it too late.
        raw.say(&[&b"\x04\x02\x02x"[..], &b"\0\x01x".repeat(20_000)].concat());
        eventually("it is found out", || dealer.peers().is_empty());
        let _ = raw.0.write_all(&b"\0\x01y".repeat(1000));
        assert_eq!(rest(&mut raw).len(), TOLD * 252);
    });
}

#[test]
fn a_subscriber_that_asks_for_too_much_hears_all_that_the_kernel_has() {
    over(TCP_AND_IPC, |place| {
        let (mut xpub, endpoint) = place.bound::<XPub>();
        let (domain, address) = system_address(&endpoint);
        let octets = Octets::new(domain, Type::STREAM, None).unwrap();
        octets.set_recv_buffer_size(4096).unwrap(); // as below
        octets.connect(&address).unwrap();
        let mut raw = Raw(octets).shake_hands("SUB");
        raw.say(b"\0\x02\x01b");
        assert_eq!(recv(&mut xpub), b"\x01b");
        for _ in 0..TOLD {
            xpub.send(&[b'b'; 250]).unwrap();
        }
        eventually("the kernel has it", || xpub.stats().total.outgoing.queued == 0);
        let topic = vec![1; TOPIC_OCTETS_MAX + 2];
        raw.say(&[&[2][..], &(topic.len() as u64).to_be_bytes(), &topic].concat());
        assert_eq!(recv(&mut xpub), b"\0b");
        eventually("it is let go", || xpub.peers().is_empty());
        let _ = raw.0.write_all(&b"\0\x02\x01y".repeat(1000)); // too late
        assert_eq!(before_last_words(&rest(&mut raw)).len(), TOLD * 252);
    });
}

#[test]
fn a_peer_of_a_stream_that_is_closed_hears_all_that_the_kernel_has() {
    over(&[Transport::Tcp], |place| {
        let mut stream: Socket<Stream> = place.builder().recv_hwm(1).open().unwrap();
        let endpoint: Endpoint = stream.bind(place.address()).unwrap().into();
        let (domain, address) = system_address(&endpoint);
        let mut raw = Raw(Octets::new(domain, Type::STREAM, None).unwrap());
        // It holds little: what is on the way still would be lost with a reset.
        raw.0.set_recv_buffer_size(4096).unwrap();
        raw.0.connect(&address).unwrap();
        raw.0.set_read_timeout(Some(PATIENCE)).unwrap();
        let (peer, _) = stream.recv_timeout(PATIENCE).unwrap();
        for _ in 0..TOLD {
            stream.send_to(&peer, large(7)).unwrap();
        }
        eventually("the kernel has it", || stream.stats().total.outgoing.queued == 0);
        raw.say(&[1; 60_000]);
        stream.peers()[0].close(CloseReason::Dismissed);
        let _ = raw.0.write_all(&[2; 1000]);
        assert_eq!(rest(&mut raw).len(), TOLD * 1000);
    });
}

#[test]
fn those_that_are_parted_from_have_few_places_and_not_for_long() {
    over(&[Transport::Tcp], |place| {
        let (_dealer, endpoint) = place.bound::<Dealer>();
        let mut raws: Vec<_> = (0..2 * PARTINGS_MAX).map(|_| Raw::connect(&endpoint, "DEALER")).collect();
        let pool = &place.context.inner.pool;
        let mut most = 0;
        for raw in &mut raws {
            raw.say(b"\x04\x02\x02x"); // a command whose name is longer than itself
            most = most.max(pool.partings());
        }
        // They stay, and those who find no place are closed at once.
        for raw in &mut raws {
            // It waits for the end, and then sees who is being parted from.
            let _ = std::io::copy(&mut raw.0, &mut std::io::sink());
            most = most.max(pool.partings());
        }
        assert!((1..=PARTINGS_MAX + 8).contains(&most), "{most}");
        eventually("none is left", || pool.partings() == 0);
    });
}
