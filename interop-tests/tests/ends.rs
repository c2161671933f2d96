//! How connections with libzmq end: both talk, and one goes at a random moment. Of what ours has accepted, and lingered
//! for, nothing is lost; nor of what theirs has handed to the kernel as far as that fits what is between us: libzmq
//! closes its descriptor when the kernel has everything, and what is not with us by then can be lost by its own doing.
//!
//! Seeded: 60 runs each way, 10,000 with `PEERMQ_FULL`; `PEERMQ_SEED` runs one again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::random::Random;
use interop_tests::raw::{DEADLINE, Transport, full_or};
use interop_tests::theirs::Address;
use peermq::{AnyPattern, Authorizer, Context, CurveKeyPair, CurvePublicKey, Security, Socket, SocketType};

/// What a run is like.
#[derive(Clone, Copy, Debug)]
struct Terms {
    seed: u64,
    transport: Transport,
    ours: SocketType,
    theirs: zmq::SocketType,
    we_bind: bool,
    has_curve: bool,
    /// In milliseconds; 0 is none.
    our_heartbeats: u64,
    their_heartbeats: i32,
    messages: u32,
    octets: usize,
    recv_hwm: u32,
    slowness: usize,
}

impl Terms {
    /// `octets_max`: of all messages, if that is bounded.
    fn new(seed: u64, pairs: &[(SocketType, zmq::SocketType)], octets_max: usize) -> Self {
        let mut random = Random(seed);
        let (ours, theirs) = pairs[random.below(pairs.len())];
        let octets = [4, 100, 1000, 10_000][random.below(4)];
        let messages = 1 + random.below(400.min(octets_max / octets));
        let mut heartbeats = || if random.below(2) == 0 { 0 } else { 1 + random.below(10) };
        let (ours_beat, theirs_beat) = (heartbeats(), heartbeats());
        Self {
            seed,
            transport: [Transport::Ipc, Transport::Tcp][random.below(2)],
            ours,
            theirs,
            we_bind: random.below(2) == 0,
            has_curve: zmq::has("curve").unwrap_or_default() && random.below(2) == 0,
            our_heartbeats: ours_beat as u64,
            their_heartbeats: i32::try_from(theirs_beat).unwrap(),
            messages: u32::try_from(messages).unwrap(),
            octets,
            recv_hwm: [1, 10, 1000][random.below(3)],
            slowness: [0, 0, 10, 50][random.below(4)],
        }
    }

    fn body(&self, number: u32) -> Vec<u8> {
        let mut body = vec![7; self.octets];
        body[..4].copy_from_slice(&number.to_be_bytes());
        body
    }

    /// A socket of ours and one of theirs, which lingers so long in milliseconds, connected or about to be, and their
    /// context.
    fn meet(&self, linger: i32) -> (Socket<AnyPattern>, zmq::Context, zmq::Socket) {
        let their_context = zmq::Context::new();
        let theirs = their_context.socket(self.theirs).unwrap();
        theirs.set_sndhwm(0).unwrap();
        theirs.set_rcvhwm(i32::try_from(self.recv_hwm).unwrap()).unwrap();
        theirs.set_linger(linger).unwrap();
        theirs.set_rcvtimeo(1).unwrap();
        let wait = i32::try_from(DEADLINE.as_millis()).unwrap();
        if self.their_heartbeats > 0 {
            theirs.set_heartbeat_ivl(self.their_heartbeats).unwrap();
            theirs.set_heartbeat_timeout(wait).unwrap();
        }
        let context = Context::builder().io_threads(1).build();
        let mut builder = context.builder_for_any(self.ours).send_timeout(DEADLINE).recv_hwm(self.recv_hwm);
        // A close waits as long as it is told to; answers to whoever is gone are not waited for.
        builder = builder.linger(Duration::ZERO).reconnect_interval(Duration::from_millis(2));
        if self.our_heartbeats > 0 {
            let interval = Duration::from_millis(self.our_heartbeats);
            builder = builder.heartbeat_interval(interval).heartbeat_timeout(DEADLINE);
        }
        if self.has_curve {
            let (server, client) = (CurveKeyPair::generate().unwrap(), zmq::CurveKeyPair::new().unwrap());
            let theirs_as_server = zmq::CurveKeyPair::new().unwrap();
            if self.we_bind {
                theirs.set_curve_serverkey(server.public_key().as_bytes()).unwrap();
                theirs.set_curve_publickey(&client.public_key).unwrap();
                theirs.set_curve_secretkey(&client.secret_key).unwrap();
                builder = builder.security(Security::CurveServer { keys: server });
                builder = builder.authorizer(Authorizer::anyone());
            } else {
                theirs.set_curve_server(true).unwrap();
                theirs.set_curve_secretkey(&theirs_as_server.secret_key).unwrap();
                let server_key = CurvePublicKey::from_bytes(theirs_as_server.public_key);
                builder = builder.security(Security::CurveClient { keys: server, server_key });
            }
        }
        let mut ours = builder.open().unwrap();
        if self.we_bind {
            theirs.connect(&ours.bind(self.transport.free_endpoint()).unwrap().to_string()).unwrap();
        } else {
            let address = Address::new();
            theirs.bind(&address.endpoint(self.transport)).unwrap();
            let connection = ours.connect(theirs.get_last_endpoint().unwrap().unwrap()).unwrap();
            connection.wait_ready(DEADLINE).unwrap(); // before the address goes
        }
        (ours, their_context, theirs)
    }

    fn idle(&self) {
        (0..self.slowness).for_each(|_| thread::yield_now());
    }
}

fn number_of(body: &[u8]) -> u32 {
    u32::from_be_bytes(body[..4].try_into().unwrap())
}

/// Theirs receives everything that ours has sent before it was closed.
fn ours_goes(terms: &Terms) {
    // What theirs still has to say when ours is gone is nobody's.
    let (mut ours, _context, theirs) = terms.meet(0);
    thread::scope(|scope| {
        let hearing = scope.spawn(|| {
            let (theirs, mut next) = (theirs, 0);
            let begun = Instant::now();
            while next < terms.messages && begun.elapsed() < DEADLINE {
                if terms.theirs != zmq::PULL && terms.theirs != zmq::ROUTER {
                    let _ = theirs.send(&[1; 500][..], zmq::DONTWAIT);
                }
                let Ok(parts) = theirs.recv_multipart(0) else { continue };
                assert_eq!(number_of(parts.last().unwrap()), next, "{terms:?}");
                next += 1;
                if terms.theirs != zmq::PULL {
                    let _ = theirs.send_multipart(&parts, zmq::DONTWAIT);
                }
                terms.idle();
            }
            assert_eq!(next, terms.messages, "{terms:?}");
            theirs
        });
        for number in 0..terms.messages {
            ours.send_timeout(terms.body(number), DEADLINE).unwrap();
            if terms.seed % 2 == 0 && terms.ours != SocketType::Push {
                let _ = ours.try_recv();
            }
        }
        let report = ours.close(DEADLINE);
        assert_eq!((report.dropped, report.uncertain), (0, 0), "{report:?} {terms:?}");
        drop(hearing.join().unwrap());
    });
}

/// Ours receives everything that theirs has handed over before it was closed.
fn theirs_goes(terms: &Terms) {
    let (mut ours, context, theirs) = terms.meet(-1);
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..terms.messages {
                theirs.send(terms.body(number), 0).unwrap();
            }
            drop(theirs);
            drop(context); // waits until the kernel has everything
        });
        let (mut next, begun) = (0, Instant::now());
        while next < terms.messages && begun.elapsed() < DEADLINE {
            if terms.ours != SocketType::Pull && terms.ours != SocketType::Router {
                let _ = ours.try_send(&[1; 500]);
            }
            let Ok(message) = ours.recv_timeout(Duration::from_millis(1)) else { continue };
            let body = message.frame(message.frame_count() - 1).unwrap().as_bytes();
            assert_eq!(number_of(body), next, "{terms:?}");
            next += 1;
            if terms.ours != SocketType::Pull {
                let _ = ours.try_send(message);
            }
            terms.idle();
        }
        assert_eq!(next, terms.messages, "{terms:?}");
    });
}

/// Many runs, or the one that is asked for.
fn campaign(run: impl Fn(u64)) {
    if let Some(seed) = std::env::var_os("PEERMQ_SEED") {
        return run(seed.to_str().unwrap().parse().unwrap());
    }
    (0..full_or(10_000, 60) as u64).for_each(run);
}

#[test]
fn whatever_ours_has_lingered_for_arrives_at_theirs_once() {
    let pairs = [
        (SocketType::Dealer, zmq::DEALER),
        (SocketType::Dealer, zmq::ROUTER),
        (SocketType::Pair, zmq::PAIR),
        (SocketType::Push, zmq::PULL),
    ];
    campaign(|seed| ours_goes(&Terms::new(seed, &pairs, usize::MAX)));
}

#[test]
fn whatever_theirs_has_handed_over_arrives_at_ours_once() {
    let pairs = [
        (SocketType::Dealer, zmq::DEALER),
        (SocketType::Router, zmq::DEALER),
        (SocketType::Pair, zmq::PAIR),
        (SocketType::Pull, zmq::PUSH),
    ];
    campaign(|seed| theirs_goes(&Terms::new(seed, &pairs, 40_000)));
}
