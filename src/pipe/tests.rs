//! Pipes in one thread against a plain model, and in two threads under load.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use bytes::Bytes;

use super::*;
use crate::frame::{MORE, encode_header};
use crate::message::{Frame, Message, Payload};
use crate::sync::Mutex;

mod intake;

/// A small seeded generator: the same runs every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % below
    }

    fn message(&mut self) -> Message {
        let parts = 1 + self.roll(8) / 7 * self.roll(40);
        let frames = (0..parts).map(|_| {
            let sizes = [0, 1, 7, 8, 70, 71, 254, 255, 256, 300, 4000, 8192, 8193, 9000, 70_000];
            let size = sizes[self.roll(sizes.len())];
            vec![u8::try_from(self.roll(256)).unwrap(); size]
        });
        Message::from_frames(frames).unwrap()
    }
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

/// How often something is done: under Miri, which takes a thousand times as long, not as `usual`.
pub(super) fn rounds(usual: u32, under_miri: u32) -> u32 {
    if cfg!(miri) { under_miri } else { usual }
}

fn recv(consumer: &mut Consumer) -> Result<Message, NoMessage> {
    let mut message = Message::new();
    consumer.try_recv(&mut message).map(|()| message)
}

#[test]
fn messages_come_out_as_they_went_in() {
    let mut dice = Dice(1);
    let (mut producer, mut consumer) = pipe(None);
    let mut model = VecDeque::new();
    for _ in 0..rounds(20_000, 200) {
        if dice.roll(2) == 0 {
            let message = dice.message();
            producer.try_send(&mut Payload::from(&message)).unwrap();
            model.push_back(message);
        } else {
            assert_eq!(recv(&mut consumer).ok(), model.pop_front());
        }
        if dice.roll(8) == 0 {
            producer.rest();
        }
    }
    drop(producer);
    for message in model {
        assert_eq!(recv(&mut consumer).unwrap(), message);
    }
    assert_eq!(recv(&mut consumer), Err(NoMessage::Closed));
}

#[test]
fn the_high_water_mark_is_exact() {
    for limit in [1, 2, 10, 1000] {
        let (mut producer, mut consumer) = pipe(Some(limit));
        for round in 0..5 {
            let free = if round == 0 { limit } else { 1 };
            for _ in 0..free {
                producer.try_send(&mut Payload::from("x")).unwrap();
            }
            assert_eq!(producer.try_send(&mut Payload::from("x")), Err(Refused::Full));
            recv(&mut consumer).unwrap();
        }
    }
}

#[test]
fn a_refused_message_is_whole() {
    let (mut producer, consumer) = pipe(Some(1));
    producer.try_send(&mut Payload::from("x")).unwrap();
    let parts = ["a".repeat(9000), "b".repeat(10)];
    let mut payload = Payload::from(parts.clone());
    assert_eq!(producer.try_send(&mut payload), Err(Refused::Full));
    drop(consumer);
    assert_eq!(producer.try_send(&mut payload), Err(Refused::Closed));
    assert_eq!(payload.into_message(), parts);
}

#[test]
fn a_drain_gives_the_octets_of_the_wire() {
    let mut dice = Dice(2);
    let (mut producer, consumer) = pipe(None);
    let mut drain = consumer.into_drain();
    let mut expected = Vec::new();
    let mut written = Vec::new();
    for _ in 0..rounds(2_000, 50) {
        let message = dice.message();
        expected.extend(framed(&message));
        producer.try_send(&mut Payload::from(message)).unwrap();
        if dice.roll(4) == 0 {
            take(&mut drain, &mut dice, &mut written);
        }
        match dice.roll(32) {
            0 => producer.rest(),
            1 => drain.rest(),
            2 => drain.walk_on(),
            _ => {}
        }
    }
    while !drain.is_dry() {
        take(&mut drain, &mut dice, &mut written);
    }
    assert!(written == expected);
    assert!(drain.is_between_messages());
    assert_eq!(producer.outstanding().left(), 0);
}

/// One write of which the kernel takes a random part.
fn take(drain: &mut Drain, dice: &mut Dice, written: &mut Vec<u8>) {
    let before = written.len();
    let mut slices = Slices::new();
    drain.gather(&mut slices, false);
    let total: usize = slices.iter().map(|slice| slice.len()).sum();
    slices.iter().for_each(|slice| written.extend_from_slice(slice));
    let count = if dice.roll(2) == 0 { total } else { dice.roll(total + 1) };
    written.truncate(before + count);
    drop(slices);
    drain.advance(count);
}

#[test]
fn a_rewound_drain_starts_at_the_first_message_not_wholly_written() {
    // L-02, "queue kept": what was not wholly handed to the kernel goes out again after a reconnect.
    let (mut producer, consumer) = pipe(None);
    let mut drain = consumer.into_drain();
    let big = "b".repeat(9000);
    for message in [Message::from("one"), Message::from(["two", big.as_str()]), Message::from("three")] {
        producer.try_send(&mut Payload::from(message)).unwrap();
    }
    let second = framed(&Message::from(["two", big.as_str()]));
    for cut in [5, 6, 7, 10, 19, 20, 5000, 4 + second.len()] {
        drain.rewind();
        let mut octets = Vec::new();
        {
            let mut slices = Slices::new();
            drain.gather(&mut slices, false);
            slices.iter().for_each(|slice| octets.extend_from_slice(slice));
        }
        let all = octets.len();
        let skipped = 5 + second.len() + 7 - all; // "one" is gone after the first round
        drain.advance(cut - skipped);
        assert_eq!(producer.outstanding().left(), 2, "cut {cut}");
        assert_eq!(drain.is_between_messages(), cut == 5, "cut {cut}");
        if cut > 5 {
            let mut rest = Slices::new();
            drain.gather(&mut rest, true);
            let left: usize = rest.iter().map(|slice| slice.len()).sum();
            assert_eq!(left, 5 + second.len() - cut, "only the message under way, cut {cut}");
        }
    }
}

#[test]
fn an_intake_finds_the_same_messages_at_every_cut() {
    // Z-24, F-05, F-06, F-14: the result does not depend on how the kernel cuts the stream.
    let mut dice = Dice(3);
    for round in 0..rounds(60, 10) as usize {
        let messages: Vec<_> = (0..rounds(50, 5)).map(|_| dice.message()).collect();
        let mut stream = Vec::new();
        let mut commands = 0;
        for message in &messages {
            if dice.roll(3) == 0 {
                stream.extend_from_slice(b"\x04\x05\x04PONG");
                commands += 1;
            }
            if !cfg!(miri) && dice.roll(10) == 0 {
                stream.extend_from_slice(&long_command(20_000));
                commands += 1;
            }
            stream.extend(framed(message));
        }
        let (producer, mut consumer) = pipe(None);
        let mut intake = producer.into_intake();
        let (mut seen, mut received) = (0, Vec::new());
        let mut rest = stream.as_slice();
        let most = [1, 3, 100, 5000, 1 << 20][round % 5];
        if most == 1 && rest.len() > 40_000 || cfg!(miri) && rest.len() > 1000 * most {
            continue;
        }
        while !rest.is_empty() {
            let most = 1 + dice.roll(most);
            read(&mut intake, &mut rest, most);
            let skimmed = intake.skim(u64::MAX, &mut Chores::of_turn(), |body| {
                assert!(body == b"\x04PONG" || body == [7; 20_000]);
                seen += 1;
                Ok(body.len() > 100 && seen % 2 == 0)
            });
            assert_eq!(skimmed, Ok(Skimmed::Dry));
            if round % 2 == 0 {
                received.extend(std::iter::from_fn(|| recv(&mut consumer).ok()));
                intake.rest();
            }
        }
        received.extend(std::iter::from_fn(|| recv(&mut consumer).ok()));
        assert!(received == messages);
        assert_eq!(recv(&mut consumer), Err(NoMessage::Dry));
        assert_eq!(seen, commands);
    }
}

#[test]
fn a_quiet_pipe_gives_up_what_it_has_grown_to() {
    let (mut producer, consumer) = pipe(None);
    let mut drain = consumer.into_drain();
    let (mut outside, mut from_outside) = pipe(None);
    for _ in 0..2 {
        for _ in 0..rounds(1000, 200) {
            producer.try_send(&mut Payload::from("x".repeat(100))).unwrap();
        }
        producer.rest();
        assert!(producer.is_large(), "what was not taken keeps its place");
        while !drain.is_dry() {
            take(&mut drain, &mut Dice(1), &mut Vec::new());
        }
        drain.rest();
        assert!(drain.is_large() && producer.spares() == 0);
        producer.rest();
        assert!(!producer.is_large() && drain.is_large());
        drain.walk_on();
        assert!(!drain.is_large() && producer.spares() == 0);

        let mut intake = outside.into_intake();
        feed(&mut intake, &[&b"\x00\x40"[..], &[b'x'; 64]].concat().repeat(rounds(1000, 200) as usize));
        feed(&mut intake, b"\x04\x05\x04PONG");
        intake.rest();
        assert!(intake.is_large());
        while recv(&mut from_outside).is_ok() {}
        intake.rest();
        assert!(!intake.is_large());
        assert_eq!((recv(&mut from_outside), intake.spares()), (Err(NoMessage::Dry), 0));
        feed(&mut intake, b"\x00\x05again");
        assert_eq!(recv(&mut from_outside).unwrap(), "again");
        (outside, from_outside) = pipe(None);
    }
}

#[test]
fn an_intake_stops_at_the_high_water_mark_and_goes_on() {
    let (producer, mut consumer) = pipe(Some(3));
    let mut intake = producer.into_intake();
    let stream: Vec<u8> = (0..10u8).flat_map(|n| [0, 1, n]).collect();
    intake.push(&stream);
    let mut received = Vec::new();
    while received.len() < 10 {
        let skimmed = intake.skim(u64::MAX, &mut Chores::of_turn(), |_| Ok(false)).unwrap();
        let mut count = 0;
        while let Ok(message) = recv(&mut consumer) {
            received.push(message.body()[0]);
            count += 1;
        }
        assert!(count <= 3);
        assert_eq!(skimmed == Skimmed::Full, received.len() < 10);
    }
    assert_eq!(received, (0..10).collect::<Vec<_>>());
}

#[test]
fn half_a_multipart_is_never_seen() {
    // F-14, B-13: a connection that ends at any octet of a message delivers nothing of it.
    let big = "z".repeat(20_000);
    let message = Message::from(["a", "", big.as_str(), "d"]);
    let stream = framed(&message);
    for cut in (0..40).chain(19_990..stream.len()) {
        let (producer, mut consumer) = pipe(None);
        let mut intake = producer.into_intake();
        intake.push(b"\x00\x01x");
        feed(&mut intake, &stream[..cut]);
        intake.roll_back();
        feed(&mut intake, b"\x00\x01y");
        assert_eq!(recv(&mut consumer).unwrap(), "x");
        assert_eq!(recv(&mut consumer).unwrap(), "y");
        assert_eq!(recv(&mut consumer), Err(NoMessage::Dry));
    }
}

fn feed(intake: &mut Intake, mut octets: &[u8]) {
    loop {
        intake.skim(u64::MAX, &mut Chores::of_turn(), |_| Ok(false)).unwrap();
        if octets.is_empty() {
            break;
        }
        read(intake, &mut octets, usize::MAX);
    }
}

fn long_command(octets: u32) -> Vec<u8> {
    [&[6][..], &u64::from(octets).to_be_bytes(), &vec![7; octets as usize]].concat()
}

/// One read that brings `most` octets at most.
fn read(intake: &mut Intake, octets: &mut &[u8], most: usize) {
    let (mut room, size) = intake.room().unwrap();
    assert!(size > 0);
    let mut cut = &octets[..octets.len().min(most)];
    let count = std::io::Read::read_vectored(&mut cut, &mut room).unwrap();
    *octets = &octets[count..];
    intake.filled(count);
}

#[test]
fn an_intake_goes_on_behind_what_was_sent() {
    let (mut producer, mut consumer) = pipe(None);
    producer.try_send(&mut Payload::from("one")).unwrap();
    let mut intake = producer.into_intake();
    feed(&mut intake, b"\x00\x03two");
    assert_eq!(recv(&mut consumer).unwrap(), "one");
    assert_eq!(recv(&mut consumer).unwrap(), "two");
}

#[test]
fn a_drain_of_a_consumer_that_had_looked_drops_each_body_once() {
    let bodies = Bodies::new();
    let (mut producer, mut consumer) = pipe(None);
    producer.try_send(&mut Payload::from([bodies.body(), bodies.body(), bodies.body()])).unwrap();
    assert!(!consumer.wait_for_messages());
    let mut drain = consumer.into_drain();
    // One that fills the first segment, one that opens the next.
    for size in [470, 1] {
        producer.try_send(&mut Payload::from("x".repeat(size))).unwrap();
    }
    while !drain.is_dry() {
        take(&mut drain, &mut Dice(1), &mut Vec::new());
    }
    drop(drain);
    drop(producer);
    assert_eq!(bodies.dropped(), 3);
}

#[test]
fn a_body_whose_drop_panics_breaks_nothing_else() {
    // Each way on which bodies are dropped: by either end as it goes, and by a drain that moves on.
    for way in 0..4 {
        let bodies = Bodies::new();
        let (mut producer, mut consumer) = pipe(None);
        for _ in 0..3 {
            producer.try_send(&mut Payload::from("x".repeat(300))).unwrap(); // one segment each
            recv(&mut consumer).unwrap();
        }
        // In several segments.
        let unsent = (0..8).flat_map(|_| [bodies.body(), bodies.panicking(), bodies.body()]);
        let unsent = Message::from_frames(unsent).unwrap();
        let (died, producer) = match way {
            0 => {
                producer.try_send(&mut Payload::from(unsent)).unwrap();
                (panic::catch_unwind(AssertUnwindSafe(move || drop(consumer))), Some(producer))
            }
            1 => {
                producer.try_send(&mut Payload::from(unsent)).unwrap();
                let mut drain = consumer.into_drain();
                let died = panic::catch_unwind(AssertUnwindSafe(move || {
                    while !drain.is_dry() {
                        take(&mut drain, &mut Dice(1), &mut Vec::new());
                    }
                }));
                (died, Some(producer))
            }
            2 => {
                drop(consumer);
                producer.try_send(&mut Payload::from(unsent)).unwrap();
                (panic::catch_unwind(AssertUnwindSafe(|| drop(producer))), None)
            }
            _ => {
                for frame in unsent.into_frames() {
                    producer.put_unpublished(frame);
                }
                (panic::catch_unwind(AssertUnwindSafe(|| drop(producer))), None)
            }
        };
        assert!(died.is_err(), "way {way}");
        assert_eq!(bodies.dropped(), 24, "way {way}: each of them, once");
        assert!(producer.is_none_or(|producer| producer.is_closed()), "way {way}: it is told");
    }
}

#[test]
fn two_threads_lose_nothing() {
    for limit in [Some(1), Some(2), Some(1000), None] {
        let (mut producer, mut consumer) = pipe(limit);
        let count = rounds(30_000, 100);
        let writer = thread::spawn(move || {
            let mut dice = Dice(7);
            for n in 0..count {
                let mut payload = Payload::from(numbered(&mut dice, n));
                while producer.try_send(&mut payload).is_err() {
                    thread::yield_now();
                }
                if n % 7 == 0 {
                    producer.rest();
                }
            }
        });
        let mut dice = Dice(7);
        for n in 0..count {
            let expected = numbered(&mut dice, n);
            let message = loop {
                match recv(&mut consumer) {
                    Ok(message) => break message,
                    Err(NoMessage::Dry) => thread::yield_now(),
                    Err(NoMessage::Closed) => unreachable!(),
                }
            };
            assert_eq!(message, expected);
        }
        writer.join().unwrap();
    }
}

fn numbered(dice: &mut Dice, n: u32) -> Message {
    let size = [10, 60, 300, 9000][dice.roll(64) / 21];
    let mut body = n.to_le_bytes().to_vec();
    body.resize(size, 1);
    Message::from(body)
}

/// Makes bodies and counts how often they are dropped.
struct Bodies(Arc<Mutex<usize>>);

struct Body {
    dropped: Arc<Mutex<usize>>,
    panics: bool,
}

impl Bodies {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(0)))
    }

    fn body(&self) -> Frame {
        Frame::from(Bytes::from_owner(Body { dropped: Arc::clone(&self.0), panics: false }))
    }

    fn panicking(&self) -> Frame {
        Frame::from(Bytes::from_owner(Body { dropped: Arc::clone(&self.0), panics: true }))
    }

    fn dropped(&self) -> usize {
        *self.0.lock().unwrap()
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &[7; 9000]
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        *self.dropped.lock().unwrap() += 1;
        if self.panics {
            panic::resume_unwind(Box::new("as asked")); // without a word: there are many
        }
    }
}

#[test]
fn connections_that_nobody_saw_take_no_room() {
    let (producer, mut consumer) = pipe(None);
    let mut intake = producer.into_intake();
    let name = [7; 255];
    intake.note_passage(|passage| passage.arrive(&name));
    let small = intake.tail_capacity();
    for _ in 0..rounds(10_000, 100) {
        intake.note_passage(Passage::leave);
        intake.note_passage(|passage| passage.arrive(&name));
    }
    assert_eq!(intake.tail_capacity(), small);
    let mut note = Message::new();
    assert_eq!(consumer.try_take(&mut note), Ok(Taken::Note));
    assert_eq!(note.body(), note::PASSAGE);
    let passage = Passage { has_left: false, arrived: Some(Box::from(name)) };
    assert_eq!((consumer.take_passage(), consumer.take_passage()), (Some(passage), None));
    assert_eq!(consumer.try_take(&mut note), Err(NoMessage::Dry));
}
