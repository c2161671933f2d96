//! What is promised to users, each promise with its figures (shown by `--nocapture`).
//!
//! Promises that have a test elsewhere are named there. `PEERMQ_FULL` makes the counts those of the promises.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::conservation::{THREE, attend};
use super::ledger::{Ledger, count};
use super::reconnect::quick;
use super::*;
use crate::sync::AtomicBool;
use crate::{
    CloseReason, Dealer, Hwm, KernelBuffer, MaxMessageSize, Pair, Pub, RecvError, Rep, Router, RoutingId,
    SendError, Sub, XPub,
};

/// Small, but no smaller than a segment of the loopback: below that the kernel's timers decide when a peer that
/// had no room goes on, which takes up to a minute.
fn small() -> KernelBuffer {
    KernelBuffer::octets(64 * 1024).unwrap()
}

fn tight<P: Pattern>(place: &Place, hwm: u32) -> Builder<P> {
    place.builder().send_hwm(hwm).recv_hwm(hwm).send_buffer(small()).recv_buffer(small())
}

#[test]
fn promise_01_a_message_arrives_with_all_its_parts_or_not_at_all() {
    // Receivers die while messages of five parts, of all sizes, are on their way.
    over(THREE, |place| {
        let mut push: Socket<Push> = tight(place, 10).open().unwrap();
        let endpoint = push.bind(place.address()).unwrap();
        let is_over = AtomicBool::new(false);
        let open = || {
            let mut pull: Socket<Pull> = tight(place, 10).open().unwrap();
            pull.connect(&endpoint).unwrap();
            pull
        };
        let kills = count(100, 10_000);
        let (mut whole, mut dice) = (0_u64, Dice(1));
        let outgoing = thread::scope(|scope| {
            let ending = Ending(&is_over);
            let sender = scope.spawn(|| {
                let (mut number, mut dice) = (0, Dice(2));
                while !is_over.load(Ordering::SeqCst) {
                    let parts = (0..5).map(|_| [&numbered(number)[..], &vec![7; dice.roll(600)]].concat());
                    let message = Message::from_frames(parts.collect::<Vec<_>>()).unwrap();
                    number += u32::from(push.send_timeout(message, Duration::from_millis(10)).is_ok());
                }
                assert_eq!(push.outgoing().accepted(), number.into());
                push.outgoing()
            });
            let mut pulls = [open(), open(), open()];
            for kill in 1..=kills {
                eventually("messages are on their way", || {
                    let Ok(message) = pulls[dice.roll(3)].try_recv() else { return false };
                    let number = number_of(&message);
                    let is_part = |part: &crate::Frame| part[..4] == numbered(number);
                    assert!(message.frame_count() == 5 && message.frames().all(is_part), "in part");
                    whole += 1;
                    whole >= kill
                });
                pulls[dice.roll(3)] = open();
            }
            drop(ending);
            sender.join().unwrap()
        });
        println!("promise 1 {:?}: {kills} kills, {whole} whole, partial 0; {outgoing:?}", place.transport);
        assert!(whole <= outgoing.handed_over);
    });
}

/// Receives one message. The name that a ROUTER gives a connection tells which one it came over.
fn hear(
    router: &mut Socket<Router>,
    ledger: &mut Ledger,
    epochs: &mut HashMap<RoutingId, u32>,
) -> Option<u32> {
    let (from, message) = router.try_recv().ok()?;
    let next = u32::try_from(epochs.len()).unwrap();
    let (_, number) = ledger.delivered(*epochs.entry(from).or_insert(next), &message);
    Some(number)
}

#[test]
fn promises_02_03_04_nothing_twice_or_out_of_order_and_losses_are_counted() {
    // The connection is broken again and again, with octets on their way. The dialer keeps its queue.
    const OCTETS: usize = 1000;
    /// Messages that two kernel buffers of 64 KiB hold, doubled by the system, and a read and a write under way.
    const IN_FLIGHT: u64 = 400;
    over(&[Transport::Ipc, Transport::Tcp], |place| {
        let mut router: Socket<Router> = tight(place, 10).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        let interval = Duration::from_millis(1);
        let mut dealer: Socket<Dealer> = tight(place, 10).reconnect_interval(interval).open().unwrap();
        dealer.connect(&endpoint).unwrap();
        let (mut ledger, mut epochs, mut dice) = (Ledger::new(2), HashMap::new(), Dice(3));
        let (breaks, mut broken) = (count(100, 6000), 0);
        let (mut highest, mut late) = (0, 0);
        let mut note = |number: u32| {
            // Who connects again is a new peer to a socket that is bound; but this one ends its connections itself, so
            // that what they left comes first.
            late += u32::from(number < highest);
            highest = highest.max(number);
        };
        while broken < breaks {
            for _ in 0..dice.roll(60) {
                if dealer.try_send(ledger.next(0, OCTETS)).is_ok() {
                    ledger.accepted(0, 1);
                }
            }
            for _ in 0..dice.roll(30) {
                let Some(number) = hear(&mut router, &mut ledger, &mut epochs) else { break };
                note(number);
            }
            for peer in router.peers() {
                peer.close(CloseReason::Dismissed);
                broken += 1;
            }
        }
        eventually("nothing is queued", || {
            hear(&mut router, &mut ledger, &mut epochs).map(&mut note);
            dealer.outgoing().queued == 0
        });
        let outgoing = dealer.outgoing();
        assert_eq!(dealer.close(PATIENCE).dropped, 0);
        eventually("the sender is gone", || {
            hear(&mut router, &mut ledger, &mut epochs).map(&mut note);
            router.peers().is_empty()
        });
        while let Some(number) = hear(&mut router, &mut ledger, &mut epochs) {
            note(number);
        }
        let missing = ledger.missing();
        println!(
            "promises 2, 3, 4 {:?}: {broken} breaks, accepted {}, delivered {}, missing {missing}, duplicates \
             0, inversions in {} epochs 0, behind a message of a later epoch {late}; {outgoing:?}",
            place.transport,
            ledger.figures.accepted,
            ledger.figures.delivered,
            epochs.len(),
        );
        // The test's count is the library's; and no break cost more than two kernel buffers hold.
        assert_eq!((outgoing.accepted(), outgoing.lost), (ledger.figures.accepted, 0));
        assert_eq!(missing, outgoing.handed_over - ledger.figures.delivered);
        assert!(missing <= broken * IN_FLIGHT, "{missing}");
        assert_eq!(late, 0);
    });
}

#[test]
fn promise_05_the_high_water_mark_is_exact_for_each_peer() {
    over(THREE, |place| {
        let is_inproc = place.transport == Transport::Inproc;
        for hwm in [1, 2, 10, 1000] {
            let mut pull: Socket<Pull> = tight(place, hwm).open().unwrap();
            let endpoint = pull.bind(place.address()).unwrap();
            let mut push: Socket<Push> = tight(place, hwm).open().unwrap();
            push.connect(&endpoint).unwrap();
            let accepted = fill(&mut push, &Message::from(vec![1; 4000]));
            let (outgoing, hwm) = (push.outgoing(), u64::from(hwm));
            let with_kernel = accepted - 2 * hwm;
            println!("promise 5 {:?}: HWM {hwm} + {hwm}, accepted {accepted}", place.transport);
            // The sender holds exactly its mark, the receiver holds its own, the rest is with the kernel.
            assert_eq!(outgoing.queued, if is_inproc { 2 * hwm } else { hwm });
            assert_eq!(outgoing.accepted(), accepted);
            assert!(!is_inproc || with_kernel == 0);
            for _ in 0..1000 {
                assert_eq!(push.try_send("more").unwrap_err().error, SendError::WouldBlock);
            }
            for _ in 0..accepted {
                recv(&mut pull);
            }
            eventually("the count follows", || push.outgoing().handed_over == accepted);
        }
        let mut push: Socket<Push> = place.builder().send_hwm(Hwm::UNLIMITED).open().unwrap();
        push.connect(place.address()).unwrap();
        let accepted = count(50_000, 1_000_000);
        for _ in 0..accepted {
            push.try_send("x").unwrap();
        }
        println!("promise 5 {:?}: no limit, accepted {accepted} without a peer", place.transport);
        assert_eq!(push.outgoing().queued, accepted);
    });
}

/// Sends to a peer that does not receive. Accepted, and refused.
fn overfill<S: Sends, R: Pattern>(place: &Place, sends: u64) -> (u64, u64, Socket<S>, Socket<R>) {
    let mut receiver: Socket<R> = tight(place, 10).open().unwrap();
    let endpoint = receiver.bind(place.address()).unwrap();
    let mut sender: Socket<S> = tight(place, 10).open().unwrap();
    sender.connect(&endpoint).unwrap();
    let mut refused = 0;
    for _ in 0..sends {
        refused += u64::from(sender.try_send(["", "full?"].map(|part| part.repeat(400))).is_err());
    }
    (sends - refused, refused, sender, receiver)
}

#[test]
fn promise_06_each_type_refuses_or_drops_and_all_adds_up() {
    let sends = count(3000, 1_000_000);
    over(THREE, |place| {
        let told = |what: &str, accepted: u64, dropped: u64, refused: u64| {
            println!(
                "promise 6 {:?} {what}: {sends} sends = {accepted} accepted + {dropped} dropped + {refused} refused",
                place.transport
            );
            assert_eq!(accepted + dropped + refused, sends, "{what}");
        };
        let (accepted, refused, push, _pull) = overfill::<Push, Pull>(place, sends);
        assert_eq!(push.outgoing().accepted(), accepted);
        told("PUSH", accepted, 0, refused);
        let (accepted, refused, pair, _other) = overfill::<Pair, Pair>(place, sends);
        assert_eq!(pair.outgoing().accepted(), accepted);
        told("PAIR", accepted, 0, refused);
        let (accepted, refused, dealer, _rep) = overfill::<Dealer, Rep>(place, sends);
        assert_eq!(dealer.outgoing().accepted(), accepted);
        told("DEALER", accepted, 0, refused);

        let mut publisher: Socket<XPub> = tight(place, 10).open().unwrap();
        let mut reader: Socket<Sub> = tight(place, 10).open().unwrap();
        reader.connect(publisher.bind(place.address()).unwrap()).unwrap();
        reader.subscribe("").unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        for _ in 0..sends {
            publisher.send(vec![1; 2000]).unwrap();
        }
        told("XPUB", publisher.outgoing().accepted(), publisher.dropped().full, 0);

        let mut router: Socket<Router> = tight(place, 10).open().unwrap();
        let name = RoutingId::new("slow").unwrap();
        let mut dealer: Socket<Dealer> = tight(place, 10).routing_id(name.clone()).open().unwrap();
        dealer.connect(router.bind(place.address()).unwrap()).unwrap();
        send(&mut dealer, "here");
        router.recv_timeout(PATIENCE).unwrap();
        for _ in 0..sends {
            router.send_to(&name, vec![1; 2000]).unwrap();
        }
        told("ROUTER", router.outgoing().accepted(), router.dropped().full, 0);
    });
}

/// Jain's index: 1 if all have the same.
fn fairness(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|share| *share as f64).sum();
    let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
    sum * sum / (shares.len() as f64 * squares)
}

#[test]
fn promise_07_in_turn_out_and_fair_in_with_64_peers() {
    const PEERS: usize = 64;
    let rounds = count(50, 16_000);
    over(THREE, |place| {
        let mut push: Socket<Push> = place.open();
        let mut pulls: Vec<_> = (0..PEERS)
            .map(|_| {
                let (pull, endpoint) = place.bound::<Pull>();
                push.connect(&endpoint).unwrap();
                pull
            })
            .collect();
        let mut out = vec![0_u64; PEERS];
        for _ in 0..rounds {
            for number in 0..PEERS {
                send(&mut push, &numbered(u32::try_from(number).unwrap()));
            }
            for (number, pull) in pulls.iter_mut().enumerate() {
                assert_eq!(number_of(&recv(pull)) as usize, number, "not its turn");
                out[number] += 1;
            }
        }
        let (mut hub, endpoint) = place.bound::<Pull>();
        let mut pushes: Vec<Socket<Push>> = (0..PEERS).map(|_| place.connected(&endpoint)).collect();
        let mut fair = vec![0_u64; PEERS];
        for _ in 0..rounds {
            for (number, push) in (0..).zip(&mut pushes) {
                send(push, &numbered(number));
            }
            for _ in 0..PEERS {
                fair[number_of(&recv(&mut hub)) as usize] += 1;
            }
        }
        let (sent, heard) = (fairness(&out), fairness(&fair));
        println!(
            "promise 7 {:?}: {PEERS} peers, {} messages each way, Jain {sent:.6} out, {heard:.6} in",
            place.transport,
            rounds * PEERS
        );
        assert!(sent > 0.9999 && heard > 0.9999);
    });
}

#[test]
fn promise_09_a_slow_subscriber_loses_what_is_counted_and_a_fast_one_nothing() {
    let messages = count(3000, 1_000_000);
    over(THREE, |place| {
        let mut publisher: Socket<Pub> = tight(place, 10).open().unwrap();
        let endpoint = publisher.bind(place.address()).unwrap();
        let open = || {
            let mut reader: Socket<Sub> = tight(place, 10).open().unwrap();
            reader.connect(&endpoint).unwrap();
            reader.subscribe("").unwrap();
            reader
        };
        let (mut fast, mut slow) = (open(), open());
        publisher.wait_for_subscribers(2, PATIENCE).unwrap();
        for number in 0..messages {
            publisher.send([&numbered(number)[..], &[0; 2000]].concat()).unwrap();
            assert_eq!(number_of(&recv(&mut fast)), number);
        }
        let (mut heard, mut last, dropped) = (0, None, publisher.dropped().full);
        eventually("the slow one has what was not dropped", || {
            if let Ok(message) = slow.try_recv() {
                let number = number_of(&message);
                assert!(last.replace(number).is_none_or(|last| last < number));
                heard += 1;
            }
            heard + dropped == u64::from(messages)
        });
        println!(
            "promise 9 {:?}: sent {messages}, fast {messages}, slow {heard} + dropped {dropped}",
            place.transport
        );
        assert!(slow.try_recv().is_err() && dropped > 0);
    });
}

/// The median, all but one in a hundred, and the longest.
pub(super) fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let [half, most] = [50, 99].map(|percent| times[(times.len() - 1) * percent / 100]);
    format!("p50 {half:?}, p99 {most:?}, p100 {:?}", times[times.len() - 1])
}

#[test]
fn promise_10_a_close_lingers_for_ever_or_not_at_all_or_as_long_as_it_is_told() {
    const LINGER: Duration = Duration::from_millis(50);
    let (closes, lingering) = (count(30, 3400), count(2, 100));
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let open = |linger: Linger, endpoint: &Endpoint| {
            let context = Context::builder().io_threads(1).build();
            let mut push = context.builder_for::<Push>().linger(linger).open().unwrap();
            push.connect(endpoint).unwrap();
            for number in 0..10 {
                push.try_send(&numbered(number)).unwrap();
            }
            (push, context)
        };
        let time = |dropped: (Socket<Push>, Context)| {
            let start = Instant::now();
            drop(dropped);
            start.elapsed()
        };
        let waiting = (0..closes).map(|_| {
            let waited = time(open(Linger::Forever, &endpoint));
            assert!((0..10).all(|number| number_of(&recv(&mut pull)) == number), "missing");
            waited
        });
        let waiting = spread(waiting.collect());
        let nowhere = place.address();
        let at_once = spread((0..closes).map(|_| time(open(Linger::DISCARD, &nowhere))).collect());
        let in_time = (0..lingering).map(|_| {
            let waited = time(open(Linger::AtMost(LINGER), &nowhere));
            waited.checked_sub(LINGER).expect("it waits that long")
        });
        let in_time = spread(in_time.collect());
        println!(
            "promise 10 {:?}: {closes} closes deliver everything, {waiting}; {closes} without linger {at_once}; \
             {lingering} of {LINGER:?}, beyond that {in_time}",
            place.transport
        );
    });
}

#[test]
fn promise_12_what_is_queued_by_who_connected_arrives_in_order_after_a_restart() {
    let restarts = count(30, 1000);
    over(WIRES, |place| {
        let endpoint = place.address();
        let mut push: Socket<Push> = quick(place);
        push.connect(&endpoint).unwrap();
        let (mut next, mut recovered) = (0, Vec::new());
        for restart in 0..restarts {
            for number in 0..100 {
                push.try_send(&numbered(restart * 100 + number)).unwrap();
            }
            let start = Instant::now();
            let mut pull: Socket<Pull> = place.open();
            eventually("the address is free", || pull.bind(&endpoint).is_ok());
            for _ in 0..100 {
                assert_eq!(number_of(&recv(&mut pull)), next);
                next += 1;
            }
            recovered.push(start.elapsed());
            assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
            drop(pull);
            eventually("the loss is noticed", || push.peers().is_empty());
        }
        println!(
            "promise 12 {:?}: {restarts} restarts, {next} queued while down, all here in order; recovery {}",
            place.transport,
            spread(recovered)
        );
    });
}

#[test]
fn promise_13_a_dead_peer_holds_its_mark_and_with_immediate_nothing() {
    let messages = count(300, 100_000);
    over(WIRES, |place| {
        for immediate in [false, true] {
            let interval = Duration::from_millis(1);
            let builder = place.builder::<Push>().send_hwm(10).immediate(immediate);
            let mut push = builder.reconnect_interval(interval).open().unwrap();
            let dead = place.address();
            let mut alive: Vec<Socket<Pull>> = (0..2).map(|_| place.open()).collect();
            for pull in &mut alive {
                push.connect(pull.bind(place.address()).unwrap()).unwrap().wait_ready(PATIENCE).unwrap();
            }
            push.connect(&dead).unwrap();
            let mut delivered = 0;
            for number in 0..messages {
                // Whoever receives must not wait for room.
                eventually("there is room", || {
                    alive.iter_mut().for_each(|pull| delivered += u32::from(pull.try_recv().is_ok()));
                    push.try_send(&numbered(number)).is_ok()
                });
            }
            let stuck = if immediate { 0 } else { 10 };
            eventually("everything else is here", || {
                alive.iter_mut().for_each(|pull| delivered += u32::from(pull.try_recv().is_ok()));
                delivered == messages - stuck
            });
            eventually("the count follows", || push.outgoing().queued == u64::from(stuck));
            let mut back: Socket<Pull> = place.open();
            back.bind(&dead).unwrap();
            for _ in 0..stuck {
                recv(&mut back);
            }
            eventually("the count follows", || push.outgoing().queued == 0);
            assert_eq!(back.try_recv(), Err(RecvError::WouldBlock));
            println!(
                "promise 13 {:?}, immediate {immediate}: {messages} accepted, {delivered} delivered, {stuck} \
                 stuck, {stuck} delivered when the dead one was back",
                place.transport
            );
        }
    });
}

#[test]
fn promise_14_inproc_in_any_order_without_a_loss_or_a_copy() {
    let pairs = count(3000, 100_000);
    let place = Place::new(Transport::Inproc);
    let mut dice = Dice(14);
    for _ in 0..pairs {
        let name = place.address();
        let (mut push, mut pull) = (place.open::<Push>(), place.open::<Pull>());
        let body = Bytes::from(vec![1; LARGE]);
        let address = body.as_ptr();
        match dice.roll(3) {
            0 => {
                pull.bind(&name).unwrap();
                push.connect(&name).unwrap();
                push.try_send(body).unwrap();
            }
            1 => {
                push.connect(&name).unwrap();
                pull.bind(&name).unwrap();
                push.try_send(body).unwrap();
            }
            _ => {
                push.connect(&name).unwrap();
                push.try_send(body).unwrap();
                pull.bind(&name).unwrap();
            }
        }
        assert_eq!(pull.try_recv().unwrap().body().as_ptr(), address);
    }
    println!("promise 14: {pairs} pairs, missing 0, copied 0");
}

#[test]
fn promise_15_the_largest_message_is_exact_and_spares_the_handshake() {
    let limits = [0_u32, 1, 100, 255, 256, 65_536];
    over(WIRES, |place| {
        for limit in limits {
            let size = MaxMessageSize::octets(limit.into());
            let mut pull: Socket<Pull> = place.builder().max_message_size(size).open().unwrap();
            let endpoint = pull.bind(place.address()).unwrap();
            let mut push: Socket<Push> = quick(place);
            push.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
            let limit = limit as usize;
            for octets in [limit.saturating_sub(1), limit] {
                send(&mut push, vec![1; octets]);
                assert_eq!(recv(&mut pull).size(), octets);
            }
            send(&mut push, vec![1; limit + 1]);
            // The message that was too large went with its connection; the next one is whole again.
            eventually("the next connection carries messages", || {
                let _ = push.try_send(vec![2; limit]);
                pull.try_recv().is_ok_and(|message| {
                    assert_eq!(message.size(), limit);
                    assert!(message.body().iter().all(|octet| *octet == 2));
                    true
                })
            });
        }
        println!(
            "promise 15 {:?}: limits {limits:?}: cap - 1 and cap arrive, cap + 1 ends the connection",
            place.transport
        );
    });
}

#[test]
fn promise_17_names_are_distinct_and_a_handover_misroutes_nothing() {
    let (peers, rounds) = (count(300, 5000), count(30, 1000));
    over(THREE, |place| {
        let mut router: Socket<Router> = place.builder().router_handover(true).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        let mut names = HashSet::new();
        for _ in 0..peers {
            let mut dealer: Socket<Dealer> = place.connected(&endpoint);
            send(&mut dealer, "who am I?");
            let (name, _) = router.recv_timeout(PATIENCE).unwrap();
            assert!(name.as_bytes().len() == 5 && names.insert(name), "a name twice");
        }
        // Several peers take names over from each other; each is sent only what is for it.
        let mut routed: HashMap<RoutingId, Socket<Dealer>> = HashMap::new();
        for round in 0..rounds {
            let name = RoutingId::new(format!("name {}", round % 3)).unwrap();
            let never = crate::ReconnectInterval::Never;
            let builder = place.builder::<Dealer>().routing_id(name.clone()).reconnect_interval(never);
            let mut dealer = builder.open().unwrap();
            dealer.connect(&endpoint).unwrap();
            send(&mut dealer, &numbered(round));
            let (from, message) = router.recv_timeout(PATIENCE).unwrap();
            assert_eq!((&from, number_of(&message)), (&name, round));
            let before = routed.insert(name.clone(), dealer);
            router.send_to(&name, &numbered(round)).unwrap();
            assert_eq!(number_of(&recv(routed.get_mut(&name).unwrap())), round);
            if let Some(mut before) = before {
                eventually("the one before has lost its connection", || {
                    attend(&mut before);
                    before.peers().is_empty()
                });
                assert_eq!(before.try_recv(), Err(RecvError::WouldBlock));
            }
        }
        assert_eq!(router.dropped(), crate::Dropped::default());
        println!(
            "promise 17 {:?}: {} names distinct; {rounds} handovers, misrouted 0, dropped 0",
            place.transport,
            names.len()
        );
    });
}
