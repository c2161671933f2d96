//! Lower floors, as the benches of this repository call them. There with the feature `bench-internals` only, which is
//! no part of the interface: it may change or go with any version.
#![forbid(unsafe_code)]
#![allow(missing_debug_implementations, reason = "for benches only")]

use std::io::IoSliceMut;

use crate::message::{Message, Payload};
use crate::pipe::{self, Chores, Consumer, Drain, Intake, Producer, Slices};
use crate::routing;

/// The writing end of a pipe.
pub struct Sender(Producer);

/// The reading end of a pipe.
pub struct Receiver(Consumer);

/// An inbound pipe: octets go in, messages come out.
pub struct Decoder {
    intake: Intake,
    consumer: Consumer,
    message: Message,
}

/// An outbound pipe: messages go in, octets come out.
pub struct Encoder {
    producer: Producer,
    drain: Drain,
}

/// An index of subscriptions.
pub struct Topics(routing::Topics);

/// Makes a pipe that holds at most `limit` messages.
#[must_use]
pub fn pipe(limit: u64) -> (Sender, Receiver) {
    let (producer, consumer) = pipe::pipe(Some(limit));
    (Sender(producer), Receiver(consumer))
}

impl Sender {
    /// `false`: the pipe is full.
    #[inline]
    pub fn send(&mut self, body: &[u8]) -> bool {
        self.0.try_send(&mut Payload::from(body)).is_ok()
    }
}

impl Receiver {
    /// `false`: the pipe is dry.
    #[inline]
    pub fn recv(&mut self, message: &mut Message) -> bool {
        self.0.try_recv(message).is_ok()
    }
}

impl Decoder {
    /// Starts behind a handshake.
    #[must_use]
    pub fn new() -> Self {
        let (producer, consumer) = pipe::pipe(None);
        Self { intake: producer.into_intake(), consumer, message: Message::new() }
    }

    /// Takes what one or several reads bring, as a session does, and the messages in it, as an application does;
    /// returns how many. `None`: that was not ZMTP.
    pub fn decode(&mut self, mut octets: &[u8]) -> Option<usize> {
        let mut count = 0;
        while !octets.is_empty() {
            let (mut room, _) = self.intake.room().ok()?;
            let filled = room.iter_mut().map(|room| take(&mut octets, room)).sum();
            self.intake.filled(filled);
            self.intake.skim(u64::MAX, &mut Chores::of_turn(), |_| Ok(false)).ok()?;
            while self.consumer.try_recv(&mut self.message).is_ok() {
                count += 1;
            }
        }
        Some(count)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Copies as much as there is, and room for.
fn take(octets: &mut &[u8], room: &mut IoSliceMut<'_>) -> usize {
    let (now, rest) = octets.split_at(octets.len().min(room.len()));
    for (place, octet) in room.iter_mut().zip(now) {
        *place = *octet;
    }
    *octets = rest;
    now.len()
}

impl Encoder {
    /// Starts behind a handshake.
    #[must_use]
    pub fn new() -> Self {
        let (producer, consumer) = pipe::pipe(None);
        Self { producer, drain: consumer.into_drain() }
    }

    /// Sends so many messages, as an application does, and gathers what one or several writes would take, as a
    /// session does; returns how many octets.
    pub fn encode(&mut self, body: &[u8], count: usize) -> usize {
        for _ in 0..count {
            // There is no limit, and the other end is ours.
            _ = self.producer.try_send(&mut Payload::from(body));
        }
        let mut octets = 0;
        loop {
            let mut slices = Slices::new();
            self.drain.gather(&mut slices, false);
            let gathered = slices.iter().map(|slice| slice.len()).sum();
            drop(slices);
            if gathered == 0 {
                return octets;
            }
            self.drain.advance(gathered);
            octets += gathered;
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Topics {
    /// One subscriber to each.
    pub fn new(topics: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut index = routing::Topics::new();
        for topic in topics {
            // A peer may have millions of them.
            _ = index.add(0, &topic);
        }
        Self(index)
    }

    /// Topics with subscribers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// How many topics a message is for.
    #[inline]
    #[must_use]
    pub fn matches(&self, body: &[u8]) -> usize {
        self.0.matches(body).count()
    }
}
