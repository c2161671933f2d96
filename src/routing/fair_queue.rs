//! Fair queueing in: one message from each peer that has some, in turn.
//!
//! A peer that lost its connection and made a new one has two pipes here, and nothing tells that they are its.
//! So that its messages keep their order, a pipe waits for every older one whose peer is gone: for what those
//! hold, and no longer. Who came first never waits for who came later. All this is decided when a pipe comes
//! or closes, nothing per message.
//!
//! Source: RFC 30, PULL: "SHALL receive incoming messages from its peers using a fair-queuing strategy".
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Frame, Message};
use crate::pipe::{Head, NoMessage, Opened, PipeKey, Pipes, Since, Taken, Waste};
use crate::routing::NoneReady;
use crate::routing::turns::Turns;

/// Peers in turn.
#[derive(Debug, Default)]
pub(crate) struct FairQueue {
    /// Peers that may have messages. One that runs dry leaves, and comes back when it tells of more.
    active: Turns,
    /// Peers that are gone and have left messages.
    gone: BTreeSet<Since>,
    /// Peers that came after one of those.
    held: BTreeMap<Since, PipeKey>,
}

impl FairQueue {
    /// A new peer, or one that has messages again, or has left some.
    pub(crate) fn add(&mut self, pipes: &mut Pipes, key: PipeKey) {
        let Some(since) = pipes.since(key) else { return };
        if pipes.has_left(key) && self.gone.insert(since) {
            self.hold(pipes);
        }
        if self.gone.first().is_some_and(|oldest| *oldest < since) {
            self.held.insert(since, key);
        } else if !self.active.contains(key) {
            // It may tell of messages that were found meanwhile: one place in the turn is enough.
            self.active.add(key);
        }
    }

    pub(crate) fn remove(&mut self, pipes: &mut Pipes, key: PipeKey) {
        self.active.remove(key);
        if let Some(since) = pipes.since(key) {
            self.held.remove(&since);
            self.forget(pipes, since);
        }
    }

    /// Takes the next message; passes over notes. From whom it is.
    #[inline]
    pub(crate) fn recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<PipeKey, NoneReady> {
        let next = self.next_by(pipes, |pipes, key| pipes.recv(key, message).map(|()| Taken::Message))?;
        Ok(next.0)
    }

    /// Takes the next message apart, and passes over notes: see [`Pipes::recv_enveloped`]. From whom it is.
    #[inline]
    pub(crate) fn recv_enveloped(
        &mut self,
        pipes: &mut Pipes,
        envelope: &mut Vec<Frame>,
        message: &mut Message,
    ) -> Result<(PipeKey, Opened), NoneReady> {
        let mut opened = Opened::default();
        let next = self.next_by(pipes, |pipes, key| {
            opened = pipes.recv_enveloped(key, None, envelope, message)?;
            Ok(Taken::Message)
        })?;
        Ok((next.0, opened))
    }

    /// Takes the next message or note, and tells from whom it is. A note does not use up a peer's turn.
    #[inline]
    pub(crate) fn take(
        &mut self,
        pipes: &mut Pipes,
        message: &mut Message,
    ) -> Result<(PipeKey, Taken), NoneReady> {
        self.next_by(pipes, |pipes, key| pipes.take(key, message))
    }

    #[inline]
    fn next_by(
        &mut self,
        pipes: &mut Pipes,
        mut take: impl FnMut(&mut Pipes, PipeKey) -> Result<Taken, NoMessage>,
    ) -> Result<(PipeKey, Taken), NoneReady> {
        while let Some(key) = self.active.current() {
            match take(pipes, key) {
                Ok(taken) => {
                    if taken == Taken::Message {
                        pipes.heard = Some(key);
                        self.active.advance();
                    }
                    return Ok((key, taken));
                }
                Err(why) => self.take_out(pipes, key, why),
            }
        }
        Err(NoneReady)
    }

    /// Whether there is a message, or a note. If not, each peer tells when it has one.
    pub(crate) fn has_message(&mut self, pipes: &mut Pipes) -> bool {
        self.next(pipes).is_some()
    }

    /// Which message is the next, if there is one: whose, and how many of its peer's were received before. If not, each
    /// peer tells when it has one. `None`, too, where a newer message may take its place.
    pub(crate) fn place(&mut self, pipes: &mut Pipes) -> Option<(PipeKey, u64)> {
        let key = self.next(pipes)?;
        let pipe = pipes.get_mut(key)?;
        pipe.latest_in.is_none().then(|| (key, pipe.inbound.received()))
    }

    /// Whose message or note is the next.
    fn next(&mut self, pipes: &mut Pipes) -> Option<PipeKey> {
        while let Some(key) = self.active.current() {
            match pipes.look(key) {
                Ok(()) => return Some(key),
                Err(why) => self.take_out(pipes, key, why),
            }
        }
        None
    }

    /// Lets `judge` look at the message or note that [`take`](Self::take) takes next. From whom it is.
    pub(crate) fn look<T>(
        &mut self,
        pipes: &mut Pipes,
        judge: impl FnOnce(Head<'_>) -> T,
    ) -> Option<(PipeKey, T)> {
        let key = self.next(pipes)?;
        Some((key, pipes.head(key, judge)?))
    }

    /// Whether there is a message that is wanted. What is before it is dropped, as far as the budget goes, and told to
    /// `dropped`.
    pub(crate) fn has_wanted(
        &mut self,
        pipes: &mut Pipes,
        mut is_wanted: impl FnMut(Head<'_>) -> bool,
        dropped: impl Fn(&Pipes),
    ) -> bool {
        let (mut message, heard) = (Message::new(), pipes.heard);
        let is_any = loop {
            match self.look(pipes, |head| !head.is_note && is_wanted(head)) {
                None => break false,
                Some((_, true)) => break true,
                Some((_, false)) => {}
            }
            let Ok((_, taken)) = self.take(pipes, &mut message) else { break false };
            if taken == Taken::Message {
                dropped(pipes);
            }
            if !pipes.spend_on(Waste::of(&message)) {
                break false;
            }
        };
        // Nobody has received what was dropped.
        pipes.heard = heard;
        is_any
    }

    /// Dry, or closed: the next peer moves into its place.
    #[cold]
    fn take_out(&mut self, pipes: &mut Pipes, key: PipeKey, why: NoMessage) {
        self.active.skip();
        if why == NoMessage::Closed {
            if let Some(since) = pipes.since(key) {
                self.forget(pipes, since);
            }
        }
    }

    /// Holds those that are newer than the oldest that is gone.
    fn hold(&mut self, pipes: &mut Pipes) {
        let Some(&oldest) = self.gone.first() else { return };
        self.active.retain(|key| match pipes.since(*key) {
            Some(since) if since > oldest => {
                self.held.insert(since, *key);
                false
            }
            _ => true,
        });
    }

    /// Everything was taken of a peer that may be gone: those that waited for it alone wait no longer.
    #[cold]
    fn forget(&mut self, pipes: &mut Pipes, since: Since) {
        if !self.gone.remove(&since) {
            return;
        }
        while self
            .gone
            .first()
            .is_none_or(|oldest| self.held.first_key_value().is_some_and(|(since, _)| since <= oldest))
        {
            let Some((since, key)) = self.held.pop_first() else { return };
            self.active.add(key);
            if pipes.has_left(key) {
                self.gone.insert(since);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Payload;
    use crate::pipe::{Pipe, Producer, pipe};

    /// A queue with its pipes.
    #[derive(Default)]
    struct Bench {
        queue: FairQueue,
        pipes: Pipes,
    }

    impl Bench {
        /// A peer whose pipe has this number, and what it sends.
        fn peer(&mut self, number: u64, messages: &[&str]) -> (PipeKey, Producer) {
            let ((outbound, _), (mut far, inbound)) = (pipe(None), pipe(None));
            for message in messages {
                far.try_send(&mut Payload::from(*message)).unwrap();
            }
            let key = self.pipes.insert(Pipe::new(number, outbound, inbound));
            self.queue.add(&mut self.pipes, key);
            (key, far)
        }

        /// The peer goes, and what it sent stays.
        fn leave(&mut self, (key, far): (PipeKey, Producer)) {
            drop(far);
            self.queue.add(&mut self.pipes, key);
        }

        fn recv(&mut self) -> Option<String> {
            let mut message = Message::new();
            self.queue.recv(&mut self.pipes, &mut message).ok()?;
            Some(message.to_str().unwrap().to_owned())
        }

        fn all(&mut self) -> Vec<String> {
            std::iter::from_fn(|| self.recv()).collect()
        }
    }

    #[test]
    fn a_peer_that_tells_of_messages_twice_has_one_place_in_the_turn() {
        // L-08, Tq5
        let mut bench = Bench::default();
        let (first, _far) = bench.peer(0, &["0"; 3]);
        let _second = bench.peer(1, &["1"; 3]);
        bench.queue.add(&mut bench.pipes, first);
        assert_eq!(bench.all(), ["0", "1", "0", "1", "0", "1"]);
    }

    #[test]
    fn a_new_connection_waits_for_what_an_older_one_left() {
        // E-11
        let mut bench = Bench::default();
        let old = bench.peer(1, &["1", "2", "3"]);
        assert_eq!(bench.recv().unwrap(), "1");
        bench.leave(old);
        let newer = bench.peer(2, &["4", "5"]);
        assert_eq!(bench.all(), ["2", "3", "4", "5"]);
        drop(newer);
    }

    #[test]
    fn a_new_connection_waits_from_when_the_old_one_is_found_to_be_gone() {
        // E-11: the peer may be back before its loss is noticed.
        let mut bench = Bench::default();
        let old = bench.peer(1, &["1", "2", "3"]);
        let _new = bench.peer(2, &["4", "5"]);
        bench.leave(old);
        assert_eq!(bench.all(), ["1", "2", "3", "4", "5"]);
    }

    #[test]
    fn several_that_are_gone_come_in_the_order_in_which_they_came() {
        // E-11, whichever loss is noticed first.
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut bench = Bench::default();
            let mut peers = [
                Some(bench.peer(1, &["1", "2"])),
                Some(bench.peer(2, &["3", "4"])),
                Some(bench.peer(3, &["5", "6"])),
            ];
            let _new = bench.peer(4, &["7"]);
            order.into_iter().for_each(|at: usize| bench.leave(peers[at].take().unwrap()));
            assert_eq!(bench.all(), ["1", "2", "3", "4", "5", "6", "7"]);
        }
    }

    #[test]
    fn those_that_leave_starve_nobody_who_was_there_before() {
        // Tq5: one new peer after the other comes, sends, and goes.
        let mut bench = Bench::default();
        let _stays = bench.peer(0, &["stays"; 100]);
        for number in 1..=100 {
            let short = bench.peer(number, &["short"; 10]);
            bench.leave(short);
        }
        let taken: Vec<_> = (0..200).map(|_| bench.recv().unwrap()).collect();
        assert_eq!(taken.iter().filter(|message| *message == "stays").count(), 100);
        assert_eq!(bench.all().len(), 1_100 - 200);
    }

    #[test]
    fn who_waits_for_one_that_is_gone_is_served_when_that_is_let_go() {
        let mut bench = Bench::default();
        let (old, far) = bench.peer(1, &["never received"]);
        let (new, mut new_far) = bench.peer(2, &["1"]);
        bench.leave((old, far));
        bench.queue.remove(&mut bench.pipes, old);
        drop(bench.pipes.remove(old));
        assert_eq!(bench.all(), ["1"]);
        // It has run dry, and takes part again.
        new_far.try_send(&mut Payload::from("2")).unwrap();
        bench.queue.add(&mut bench.pipes, new);
        assert_eq!(bench.all(), ["2"]);
    }

    #[test]
    fn a_held_peer_that_is_let_go_does_not_come_back() {
        let mut bench = Bench::default();
        let old = bench.peer(1, &["1"]);
        bench.leave(old);
        let (held, _far) = bench.peer(2, &["never received"]);
        bench.queue.remove(&mut bench.pipes, held);
        drop(bench.pipes.remove(held));
        assert_eq!(bench.all(), ["1"]);
    }
}
