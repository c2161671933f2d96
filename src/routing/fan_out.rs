//! Fan-out: one message to every peer that is marked for it, framed once for each, a large body shared by all.
//!
//! It gives peers seats, the small numbers that [`Topics`](super::Topics) knows them by. It never waits: a
//! message that finds no room is dropped for that peer and counted, or is sent to nobody at all.
//!
//! Source: RFC 29, PUB: "SHALL NOT block on sending", "SHALL silently drop the message if the queue for a
//! subscriber is full".
#![forbid(unsafe_code)]

use std::collections::HashMap;

use crate::limits::COPIED_BODY_MAX_INPROC;
use crate::message::Payload;
use crate::pipe::{Patience, PipeKey, Pipes, Refused};
use crate::routing::{NoneReady, Seat};

/// Peers in seats, and which of them the next message is for.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    places: Vec<Place>,
    free: Vec<Seat>,
    seats: HashMap<PipeKey, Seat>,
    /// Without doubles.
    marked: Vec<Seat>,
    /// The number of the message that marks are for.
    round: u64,
}

#[derive(Debug, Default)]
struct Place {
    key: Option<PipeKey>,
    /// The round that it was last marked in.
    round: u64,
    /// It was full at the last try: looked at from afar until it has room.
    is_full: bool,
}

impl FanOut {
    /// Seats a peer.
    pub(crate) fn add(&mut self, key: PipeKey) -> Seat {
        let seat = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            // Room for all, so that sending never allocates.
            self.marked.reserve(self.places.len());
            Seat::try_from(self.places.len() - 1).unwrap_or(Seat::MAX)
        });
        if let Some(place) = self.places.get_mut(seat as usize) {
            *place = Place { key: Some(key), round: self.round, is_full: false };
        }
        self.seats.insert(key, seat);
        seat
    }

    /// Takes a peer out of its seat, which stays taken until it is [vacated](Self::vacate).
    pub(crate) fn remove(&mut self, key: PipeKey) -> Option<Seat> {
        let seat = self.seats.remove(&key)?;
        if let Some(place) = self.places.get_mut(seat as usize) {
            place.key = None;
        }
        Some(seat)
    }

    /// Somebody else may have the seat of a peer that was removed.
    pub(crate) fn vacate(&mut self, seat: Seat) {
        self.free.push(seat);
    }

    pub(crate) fn seat(&self, key: PipeKey) -> Option<Seat> {
        self.seats.get(&key).copied()
    }

    /// Begins a message: nobody is marked.
    #[inline]
    pub(crate) fn start(&mut self) {
        self.marked.clear();
        self.round += 1;
    }

    /// Marks a seat for the message.
    #[inline]
    pub(crate) fn mark(&mut self, seat: Seat) {
        let Some(place) = self.places.get_mut(seat as usize) else { return };
        if place.round != self.round && place.key.is_some() {
            place.round = self.round;
            self.marked.push(seat);
        }
    }

    /// Marks those that are not marked, and no others.
    pub(crate) fn invert(&mut self) {
        let (marked, round) = (&mut self.marked, self.round);
        marked.clear();
        for (seat, place) in self.places.iter().enumerate() {
            if place.key.is_some() && place.round != round {
                marked.push(Seat::try_from(seat).unwrap_or(Seat::MAX));
            }
        }
    }

    /// Peers that are marked.
    pub(crate) fn marked_count(&self) -> usize {
        self.marked.len()
    }

    /// Whether every marked peer has room; those that have none will tell.
    pub(crate) fn has_room(&self, pipes: &mut Pipes) -> Result<(), NoneReady> {
        let mut has_room = Ok(());
        for key in self.marked.iter().filter_map(|seat| self.key(*seat)) {
            if pipes.look_for_room(key) == Err(Refused::Full) {
                has_room = Err(NoneReady);
            }
        }
        has_room
    }

    /// Queues the payload for every marked peer that has room; counts those that have none.
    #[inline]
    pub(crate) fn send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) {
        // A sender that never waits does not watch its peers, either.
        pipes.set_patience(Patience::None);
        if let Some((&last, others)) = self.marked.split_last() {
            if !others.is_empty() {
                payload.share_above(COPIED_BODY_MAX_INPROC);
            }
            let mut dropped = 0;
            for &seat in others {
                dropped += offer(&mut self.places, pipes, seat, &mut payload.borrow());
            }
            // Moved out of the payload: nobody needs it any more.
            dropped += offer(&mut self.places, pipes, last, payload);
            if dropped > 0 {
                pipes.drops().full.add(dropped);
            }
        }
    }

    fn key(&self, seat: Seat) -> Option<PipeKey> {
        self.places.get(seat as usize)?.key
    }
}

/// Queues the payload for one peer. How many messages were dropped: one at most.
#[inline]
fn offer(places: &mut [Place], pipes: &mut Pipes, seat: Seat, payload: &mut Payload<'_>) -> u64 {
    let Some(Place { key: Some(key), is_full, .. }) = places.get_mut(seat as usize) else { return 0 };
    if *is_full && pipes.has_room(*key) == Err(Refused::Full) {
        return 1;
    }
    let offered = pipes.offer(*key, payload);
    *is_full = offered == Err(Refused::Full);
    u64::from(*is_full || offered == Err(Refused::TooLarge))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::Message;
    use crate::pipe::{Consumer, Pipe, pipe};

    /// Peers with queues of so many messages, all marked.
    fn fan_out(peers: u64, limit: u64) -> (FanOut, Pipes, Vec<Consumer>) {
        let (mut fan_out, mut pipes) = (FanOut::default(), Pipes::default());
        let mut others = Vec::new();
        for id in 0..peers {
            let (outbound, far) = pipe(Some(limit));
            let (_, inbound) = pipe(None);
            let pipe = Pipe::new(id, outbound, inbound);
            fan_out.add(pipes.insert(pipe));
            others.push(far);
        }
        mark_all(&mut fan_out);
        (fan_out, pipes, others)
    }

    fn mark_all(fan_out: &mut FanOut) {
        fan_out.start();
        fan_out.invert();
    }

    fn recv(consumer: &mut Consumer) -> Option<Message> {
        let mut message = Message::new();
        consumer.try_recv(&mut message).ok().map(|()| message)
    }

    #[test]
    fn each_marked_peer_gets_the_message_once() {
        let (mut fan_out, mut pipes, mut others) = fan_out(3, 10);
        fan_out.start();
        for seat in [2, 0, 2, 0] {
            fan_out.mark(seat);
        }
        let message = Message::from(["a", "b"]);
        fan_out.send(&mut pipes, &mut Payload::from(message.clone()));
        for (at, other) in others.iter_mut().enumerate() {
            assert_eq!(recv(other), (at != 1).then(|| message.clone()));
            assert_eq!(recv(other), None);
        }
    }

    #[test]
    fn a_large_body_is_shared_by_all() {
        // S-14, and no copy for each peer.
        let octets = vec![7; 100_000];
        let (large, small) = (Bytes::from(octets.clone()), Bytes::from("small"));
        let message = Message::from([large, small]);
        for payload in [Payload::from(&message), Payload::from(message.clone()), Payload::from(&octets)] {
            let (mut fan_out, mut pipes, mut others) = fan_out(3, 10);
            let mut payload = payload;
            fan_out.send(&mut pipes, &mut payload);
            let bodies: Vec<_> = others.iter_mut().map(|other| recv(other).unwrap()).collect();
            assert!(bodies.iter().all(|body| body.body() == octets));
            assert!(bodies.windows(2).all(|pair| pair[0].body().as_ptr() == pair[1].body().as_ptr()));
        }
    }

    #[test]
    fn a_full_queue_drops_and_the_others_get_everything() {
        // S-09, S-16
        let (mut fan_out, mut pipes, mut others) = fan_out(2, 5);
        for number in 0..100_u8 {
            mark_all(&mut fan_out);
            fan_out.send(&mut pipes, &mut Payload::from(&[number]));
            assert_eq!(recv(&mut others[1]).unwrap(), &[number]);
        }
        assert_eq!(pipes.drops().full.get(), 95);
        let heard: Vec<u8> =
            std::iter::from_fn(|| recv(&mut others[0])).map(|message| message.body()[0]).collect();
        assert_eq!(heard, [0, 1, 2, 3, 4]);
        // One place is enough to go on.
        mark_all(&mut fan_out);
        fan_out.send(&mut pipes, &mut Payload::from("next"));
        assert_eq!(recv(&mut others[0]).unwrap(), "next");
        assert_eq!(pipes.drops().full.get(), 95);
    }

    #[test]
    fn room_of_all_is_looked_at_before_anything_is_sent() {
        let (mut fan_out, mut pipes, mut others) = fan_out(2, 1);
        fan_out.start();
        fan_out.mark(0);
        fan_out.send(&mut pipes, &mut Payload::from("fills"));
        mark_all(&mut fan_out);
        assert_eq!(fan_out.has_room(&mut pipes), Err(NoneReady));
        assert_eq!(recv(&mut others[0]).unwrap(), "fills");
        assert_eq!(fan_out.has_room(&mut pipes), Ok(()));
    }

    #[test]
    fn a_seat_is_given_again_when_it_is_vacated() {
        let (mut fan_out, mut pipes, _others) = fan_out(2, 1);
        let key = fan_out.key(0).unwrap();
        assert_eq!(fan_out.remove(key), Some(0));
        assert_eq!(fan_out.remove(key), None);
        drop(pipes.remove(key));
        assert_eq!(fan_out.seat(key), None);
        mark_all(&mut fan_out);
        fan_out.send(&mut pipes, &mut Payload::from("a"));
        fan_out.vacate(0);
        assert_eq!(fan_out.add(key), 0);
    }
}
