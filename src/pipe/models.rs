//! Loom models: the shipped pipe in every order in which its two threads can meet.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release --lib models`. Segments are tiny there (`limits.rs`),
//! so that almost every message crosses into the next one. Loom sees each octet, each slot for a body and
//! the life of each segment (`Shadow`): it fails on an access that no ordering covers, on a thread that
//! nobody wakes, and on a segment or a body that is not dropped.
//!
//! Orders with many preemptions are left out, so that each model takes seconds; `LOOM_MAX_PREEMPTIONS`
//! overrules that. To trust a change of an ordering, weaken it further and see a model fail.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::VecDeque;

use bytes::Bytes;
use loom::sync::Notify;
use loom::thread;

use super::*;
use crate::frame::{MORE, encode_header};
use crate::message::{Frame, Message, Payload};
use crate::sync::Track;

/// Runs `model` in every order with at most three preemptions.
pub(super) fn check(model: impl Fn() + Send + Sync + 'static) {
    check_within(3, model);
}

pub(super) fn check_within(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder.check(model);
}

mod publish {
    use super::*;

    #[test]
    fn messages_cross_segments_whole_and_in_order() {
        check_within(5, || {
            let bodies = Bodies::new();
            let mut expected = Messages::from([
                Message::from("a"),
                bodies.parts(["b", "*", "c"]),
                bodies.parts(["*", "*", "*"]),
            ]);
            let messages = expected.clone();
            let (mut producer, mut consumer) = pipe(None);
            let writer = thread::spawn(move || {
                messages.into_iter().for_each(|message| producer.try_send(&mut message.into()).unwrap());
            });
            take_published(&mut consumer, &mut expected);
            take_published(&mut consumer, &mut expected);
            writer.join().unwrap();
            take_published(&mut consumer, &mut expected);
            assert!(expected.is_empty());
            assert_eq!(consumer.try_recv(&mut Message::new()), Err(NoMessage::Closed));
            drop(consumer);
            bodies.assert_dropped();
        });
    }

    #[test]
    fn a_drain_gets_whole_messages() {
        check_within(4, || {
            let bodies = Bodies::new();
            let messages = [Message::from("a"), bodies.parts(["b", "*", "*", "*"]), Message::from("c")];
            let expected: Vec<u8> = messages.iter().flat_map(framed).collect();
            let (mut producer, consumer) = pipe(None);
            let mut drain = consumer.into_drain();
            let writer = thread::spawn(move || {
                for message in messages {
                    producer.try_send(&mut message.into()).unwrap();
                }
                producer
            });
            let mut written = Vec::new();
            for cut in [usize::MAX, 5, usize::MAX] {
                write(&mut drain, &mut written, cut);
                assert!(cut == 5 || drain.is_between_messages());
            }
            let producer = writer.join().unwrap();
            write(&mut drain, &mut written, usize::MAX);
            assert!(drain.is_dry());
            assert_eq!(written, expected);
            assert_eq!(producer.outstanding().left(), 0);
            drop(producer);
            drop(drain);
            bodies.assert_dropped();
        });
    }

    #[test]
    fn an_intake_shows_nothing_of_a_message_that_breaks_off() {
        check(|| {
            let (producer, mut receiver) = ends(None);
            let peer = thread::spawn(move || {
                let mut intake = producer.producer.into_intake();
                for octets in ["\0\x01a\x01\x01b", "\0\x01c\x01\x05large", "\x01\x01d", "\x01\x09half"] {
                    intake.push(octets.as_bytes());
                    assert_eq!(
                        intake.skim(u64::MAX, &mut Chores::of_turn(), |_| Ok(false)),
                        Ok(Skimmed::Dry)
                    );
                }
            });
            assert_eq!(receiver.recv().unwrap(), "a");
            assert_eq!(receiver.recv().unwrap(), ["b", "c"]);
            assert_eq!(receiver.recv(), None);
            peer.join().unwrap();
        });
    }

    #[test]
    fn segments_go_back_and_are_used_again() {
        check_within(5, || {
            let mut expected = Messages::from(["a", "b", "c", "d", "e"].map(Message::from));
            let mut messages = expected.clone();
            let (mut producer, mut consumer) = pipe(None);
            // Two segments are full before the threads meet, so that both sides have work at once.
            for message in messages.drain(..2) {
                producer.try_send(&mut message.into()).unwrap();
            }
            let writer = thread::spawn(move || {
                messages.into_iter().for_each(|message| producer.try_send(&mut message.into()).unwrap());
            });
            take_published(&mut consumer, &mut expected);
            take_published(&mut consumer, &mut expected);
            writer.join().unwrap();
            take_published(&mut consumer, &mut expected);
            assert!(expected.is_empty());
        });
    }
}

mod sleep {
    use super::*;

    #[test]
    fn a_consumer_that_waits_is_woken() {
        check(|| {
            let (mut sender, mut receiver) = ends(None);
            let writer = thread::spawn(move || {
                sender.send("a").unwrap();
                sender.send("b").unwrap();
            });
            assert_eq!(receiver.recv().unwrap(), "a");
            assert_eq!(receiver.recv().unwrap(), "b");
            assert_eq!(receiver.recv(), None);
            writer.join().unwrap();
        });
    }

    #[test]
    fn a_drain_that_waits_is_woken() {
        check(|| {
            let (mut sender, receiver) = ends(None);
            let writer = thread::spawn(move || {
                sender.send("a").unwrap();
                sender.send("b").unwrap();
            });
            assert_eq!(receiver.write_all(), b"\0\x01a\0\x01b");
            writer.join().unwrap();
        });
    }

    #[test]
    fn a_producer_that_waits_for_room_is_woken() {
        check_within(2, || producer_waits_for_consumer(1, ["a", "b", "c"]));
    }

    #[test]
    fn a_producer_that_waits_for_half_of_the_limit_is_woken() {
        check(|| producer_waits_for_consumer(2, ["a", "b", "c"]));
    }

    #[test]
    fn a_producer_that_waits_for_a_drain_is_woken() {
        check(|| producer_waits_for_drain(1, ["a", "b"], b"\0\x01a\0\x01b"));
    }

    #[test]
    fn a_producer_that_waits_for_a_drain_to_take_half_is_woken() {
        check_within(2, || producer_waits_for_drain(2, ["a", "b", "c"], b"\0\x01a\0\x01b\0\x01c"));
    }

    fn producer_waits_for_consumer<const N: usize>(limit: u64, bodies: [&'static str; N]) {
        let (mut sender, mut receiver) = ends(Some(limit));
        let writer = thread::spawn(move || bodies.iter().for_each(|body| sender.send(*body).unwrap()));
        bodies.iter().for_each(|body| assert_eq!(receiver.recv().unwrap(), *body));
        writer.join().unwrap();
    }

    fn producer_waits_for_drain<const N: usize>(limit: u64, bodies: [&'static str; N], octets: &[u8]) {
        let (mut sender, receiver) = ends(Some(limit));
        let writer = thread::spawn(move || bodies.iter().for_each(|body| sender.send(*body).unwrap()));
        assert_eq!(receiver.write_all(), octets);
        writer.join().unwrap();
    }

    #[test]
    fn an_intake_that_waits_for_room_is_woken() {
        check(|| {
            let (sender, mut receiver) = ends(Some(1));
            let peer = thread::spawn(move || {
                let mut intake = sender.producer.into_intake();
                intake.push(b"\0\x01a\x01\x01b\0\x01c");
                loop {
                    match intake.skim(u64::MAX, &mut Chores::of_turn(), |_| Ok(false)).unwrap() {
                        Skimmed::Dry => break,
                        Skimmed::Full if intake.wait_for_room() => sender.bell.wait(),
                        Skimmed::Full => {}
                        Skimmed::Closed => unreachable!("the consumer stays"),
                        Skimmed::Cut => unreachable!("there is little to do"),
                    }
                }
            });
            assert_eq!(receiver.recv().unwrap(), "a");
            assert_eq!(receiver.recv().unwrap(), ["b", "c"]);
            peer.join().unwrap();
        });
    }
}

mod rest {
    use super::*;

    #[test]
    fn a_producer_rests_while_the_consumer_takes() {
        check_within(4, || {
            let mut expected = Messages::from(["a", "b", "c", "d", "e"].map(Message::from));
            let messages = expected.clone();
            let (mut producer, mut consumer) = pipe(None);
            let writer = thread::spawn(move || {
                for message in messages {
                    producer.try_send(&mut message.into()).unwrap();
                    producer.rest();
                }
            });
            take_published(&mut consumer, &mut expected);
            take_published(&mut consumer, &mut expected);
            take_published(&mut consumer, &mut expected);
            writer.join().unwrap();
            take_published(&mut consumer, &mut expected);
            assert!(expected.is_empty());
        });
    }

    #[test]
    fn a_drain_rests_while_the_producer_sends_and_rests() {
        check_within(2, || {
            let bodies = Bodies::new();
            let messages =
                [Message::from("a"), Message::from("b"), bodies.parts(["c", "*"]), Message::from("d")];
            let expected: Vec<u8> = messages.iter().flat_map(framed).collect();
            let (mut producer, consumer) = pipe(None);
            let mut drain = consumer.into_drain();
            let writer = thread::spawn(move || {
                for message in messages {
                    producer.try_send(&mut message.into()).unwrap();
                    producer.rest();
                }
                producer
            });
            let mut written = Vec::new();
            for cut in [usize::MAX, 4, usize::MAX] {
                write(&mut drain, &mut written, cut);
                drain.rest();
            }
            let mut producer = writer.join().unwrap();
            write(&mut drain, &mut written, usize::MAX);
            producer.rest();
            drain.rest();
            assert!(drain.is_dry() && !drain.is_large() && !producer.is_large() && producer.spares() == 0);
            assert_eq!(written, expected);
            drop(producer);
            drop(drain);
            bodies.assert_dropped();
        });
    }
}

mod close {
    use super::*;

    #[test]
    fn a_producer_goes_while_the_consumer_waits() {
        check_within(5, || {
            let (sender, mut receiver) = ends(None);
            let writer = thread::spawn(move || drop(sender));
            assert_eq!(receiver.recv(), None);
            writer.join().unwrap();
        });
    }

    #[test]
    fn a_producer_goes_while_a_drain_waits() {
        check_within(5, || {
            let (sender, receiver) = ends(None);
            let writer = thread::spawn(move || drop(sender));
            assert_eq!(receiver.write_all(), b"");
            writer.join().unwrap();
        });
    }

    #[test]
    fn a_consumer_goes_while_the_producer_waits_for_room() {
        check_within(5, || {
            let bodies = Bodies::new();
            let (mut sender, mut receiver) = ends(Some(1));
            let message = bodies.parts(["a", "*"]);
            let writer = thread::spawn(move || {
                sender.send(message.clone()).unwrap();
                let _ = sender.send(message.clone());
                // At most one was taken, so the third found the pipe full until the other end was gone.
                assert_eq!(sender.send(message), Err(Refused::Closed));
            });
            let _ = receiver.consumer.try_recv(&mut Message::new());
            drop(receiver);
            writer.join().unwrap();
            bodies.assert_dropped();
        });
    }

    #[test]
    fn a_drain_goes_while_the_producer_waits_for_room() {
        check_within(5, || {
            let bodies = Bodies::new();
            let (mut sender, receiver) = ends(Some(1));
            let message = bodies.parts(["*"]);
            let writer = thread::spawn(move || while sender.send(message.clone()).is_ok() {});
            let mut drain = receiver.consumer.into_drain();
            write(&mut drain, &mut Vec::new(), usize::MAX);
            write(&mut drain, &mut Vec::new(), 5);
            drop(drain);
            writer.join().unwrap();
            bodies.assert_dropped();
        });
    }

    #[test]
    fn a_consumer_goes_while_the_producer_publishes() {
        for taken in 0..2 {
            check_within(5, move || {
                let bodies = Bodies::new();
                let messages = [bodies.parts(["*"]), bodies.parts(["*", "*", "a"]), bodies.parts(["b"])];
                let (mut producer, mut consumer) = pipe(None);
                let writer = thread::spawn(move || {
                    for message in messages {
                        producer.try_send(&mut message.into()).unwrap();
                    }
                });
                for _ in 0..taken {
                    let _ = consumer.try_recv(&mut Message::new());
                }
                drop(consumer);
                writer.join().unwrap();
                bodies.assert_dropped();
            });
        }
    }

    #[test]
    fn both_ends_go_at_once() {
        check_within(5, || {
            let bodies = Bodies::new();
            let (mut producer, mut consumer) = pipe(None);
            for message in [bodies.parts(["*", "a"]), bodies.parts(["*", "*", "*"])] {
                producer.try_send(&mut message.into()).unwrap();
            }
            consumer.try_recv(&mut Message::new()).unwrap();
            let unsent = [bodies.body(), Frame::from("b"), bodies.body(), bodies.body()];
            let writer = thread::spawn(move || {
                unsent.into_iter().for_each(|frame| producer.put_unpublished(frame));
            });
            drop(consumer);
            writer.join().unwrap();
            bodies.assert_dropped();
        });
    }
}

mod callers;
mod signal;

type Messages = VecDeque<Message>;

/// Takes whatever is there, which must be what was expected.
fn take_published(consumer: &mut Consumer, expected: &mut Messages) {
    let mut message = Message::new();
    while consumer.try_recv(&mut message).is_ok() {
        assert_eq!(Some(&message), expected.pop_front().as_ref());
    }
}

/// One write of which the kernel takes at most `cut` octets.
fn write(drain: &mut Drain, written: &mut Vec<u8>, cut: usize) {
    let before = written.len();
    let mut slices = Slices::new();
    drain.gather(&mut slices, false);
    slices.iter().for_each(|slice| written.extend_from_slice(slice));
    let count = cut.min(written.len() - before);
    drop(slices);
    written.truncate(before + count);
    drain.advance(count);
}

fn framed(message: &Message) -> Vec<u8> {
    let mut octets = Vec::new();
    let last = message.frame_count() - 1;
    for (index, frame) in message.frames().enumerate() {
        let (header, len) = encode_header(if index < last { MORE } else { 0 }, frame.len());
        octets.extend_from_slice(&header[..len]);
        octets.extend_from_slice(frame);
    }
    octets
}

/// A pipe whose ends can sleep.
fn ends(limit: Option<u64>) -> (Sender, Receiver) {
    let (mut producer, mut consumer) = pipe(limit);
    let (room, news) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    producer.set_wake_up(Sleeper::wake_up(Ready::Writable, &room));
    consumer.set_wake_up(Sleeper::wake_up(Ready::Readable, &news));
    (Sender { producer, bell: room }, Receiver { consumer, bell: news })
}

struct Sender {
    producer: Producer,
    bell: Arc<Notify>,
}

impl Sender {
    fn send(&mut self, message: impl Into<Message>) -> Result<(), Refused> {
        let mut payload = Payload::from(message.into());
        loop {
            match self.producer.try_send(&mut payload) {
                Err(Refused::Full) if self.producer.wait_for_room() => self.bell.wait(),
                Err(Refused::Full) => {}
                done => return done,
            }
        }
    }
}

struct Receiver {
    consumer: Consumer,
    bell: Arc<Notify>,
}

impl Receiver {
    /// The next message; `None` when the producer is gone.
    fn recv(&mut self) -> Option<Message> {
        let mut message = Message::new();
        loop {
            match self.consumer.try_recv(&mut message) {
                Ok(()) => return Some(message),
                Err(NoMessage::Closed) => return None,
                Err(NoMessage::Dry) if self.consumer.wait_for_messages() => self.bell.wait(),
                Err(NoMessage::Dry) => {}
            }
        }
    }

    /// Takes octets until the producer is gone.
    fn write_all(self) -> Vec<u8> {
        let mut drain = self.consumer.into_drain();
        let mut written = Vec::new();
        while !drain.is_finished() {
            write(&mut drain, &mut written, usize::MAX);
            if drain.wait_for_messages(false) {
                self.bell.wait();
            }
        }
        written
    }
}

/// Wakes the thread that waits on `bell`.
struct Sleeper {
    expected: Ready,
    bell: Arc<Notify>,
}

impl Sleeper {
    fn wake_up(expected: Ready, bell: &Arc<Notify>) -> WakeUp {
        WakeUp::new(7, std::sync::Arc::new(Self { expected, bell: Arc::clone(bell) }))
    }
}

impl Wake for Sleeper {
    fn wake(&self, id: u64, ready: Ready) {
        assert_eq!(id, 7);
        // `Closed` comes whether or not somebody waits: whoever waits must be woken without it.
        if ready != Ready::Closed {
            assert_eq!(ready, self.expected);
            self.bell.notify();
        }
    }
}

/// Makes bodies that travel by reference, and knows whether all of them were dropped.
struct Bodies {
    live: std::sync::Arc<()>,
}

impl Bodies {
    fn new() -> Self {
        Self { live: std::sync::Arc::new(()) }
    }

    /// A message of these frames; `*` stands for a body by reference.
    fn parts<const N: usize>(&self, parts: [&str; N]) -> Message {
        Message::from(parts.map(|part| if part == "*" { self.body() } else { Frame::from(part) }))
    }

    fn body(&self) -> Frame {
        let live = std::sync::Arc::clone(&self.live);
        Frame::from(Bytes::from_owner(Body { octets: [b'*'; 9], _live: live, _leak: Track::new(()) }))
    }

    fn assert_dropped(&self) {
        assert_eq!(std::sync::Arc::strong_count(&self.live), 1, "a body was not dropped");
    }
}

struct Body {
    octets: [u8; 9],
    _live: std::sync::Arc<()>,
    _leak: Track<()>,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}
