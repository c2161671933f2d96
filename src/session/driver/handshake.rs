//! A session's handshake: octets to the wire's state machine, questions to the gate, and then the start of traffic.
#![forbid(unsafe_code)]

use std::io::IoSliceMut;
use std::time::Instant;

use crate::io::End;
use crate::limits::HANDSHAKE_READ;
use crate::pipe::Reader;
use crate::routing_id::RoutingId;
use crate::session::driver::Session;
use crate::session::link::Link;
use crate::session::sealed::Sealed;
use crate::session::translator::Translator;
use crate::session::zmtp1::Zmtp1;
use crate::session::{Said, gate};
use crate::transport::Read;

/// What waits for an answer.
#[derive(Debug)]
pub(super) struct Judged {
    /// The number of the question.
    number: u64,
    /// What the peer has sent behind what it is judged by.
    behind: Vec<u8>,
}

impl Session {
    /// One read of the handshake. `false`: nothing more now.
    pub(super) fn shake_hands(&mut self, link: &Link) -> Result<bool, End> {
        if let Some(judged) = self.judged.take() {
            return self.hear_decision(judged, link);
        }
        let mut octets = [0; HANDSHAKE_READ];
        self.calls.count();
        let count = match self.stream.read(&mut [IoSliceMut::new(&mut octets)]).map_err(End::Io)? {
            Read::Dry => {
                self.is_readable = false;
                return Ok(false);
            }
            Read::End => return Err(End::PeerClosed),
            Read::Octets(count) => count,
        };
        self.heard += count as u64;
        self.take_handshake(octets.get(..count).unwrap_or_default(), link)
    }

    /// Goes on if it was decided whether the peer may come in. `false`: it was not.
    fn hear_decision(&mut self, judged: Box<Judged>, link: &Link) -> Result<bool, End> {
        let Some(decision) = link.take_decision(judged.number) else {
            self.judged = Some(judged);
            return Ok(false);
        };
        self.connection.handle_verdict(decision, &mut self.outbox).map_err(End::Protocol)?;
        self.take_handshake(&judged.behind, link)
    }

    /// Takes octets of the handshake and what is behind it. `false`: it has to be decided elsewhere how to go on.
    fn take_handshake(&mut self, mut octets: &[u8], link: &Link) -> Result<bool, End> {
        loop {
            let (connection, outbox) = (&mut self.connection, &mut self.outbox);
            let taken = connection.handle_octets(octets, Instant::now(), outbox).map_err(End::Protocol)?;
            octets = octets.get(taken..).unwrap_or_default();
            let Some(question) = connection.question() else { break };
            match gate::decide(question, &self.stream, link) {
                Ok(decision) => connection.handle_verdict(decision, outbox).map_err(End::Protocol)?,
                Err(number) => {
                    self.judged = Some(Box::new(Judged { number, behind: octets.to_vec() }));
                    return Ok(true); // the answer may be there
                }
            }
        }
        if self.connection.peer().is_some() {
            self.begin_traffic(octets, link);
            if self.is_writable {
                self.hush_writer(link);
            }
        }
        Ok(true)
    }

    /// The handshake is done, and behind it the peer has sent this.
    fn begin_traffic(&mut self, mut behind: &[u8], link: &Link) {
        let boxes = self.connection.take_boxes();
        let Some(peer) = self.connection.peer() else { return };
        if peer.is_zmtp1() {
            self.translator = Some(Box::new(Translator::Zmtp1(Zmtp1::new(self.connection.unsaid(), behind))));
            behind = &[];
        }
        if let Some(boxes) = boxes {
            let sealed = Sealed::new(*boxes, self.max_body_octets(), self.outbox.len(), behind);
            self.translator = Some(Box::new(Translator::Sealed(sealed)));
            behind = &[];
        }
        self.is_shaking_hands = false;
        let name = link.owner().name_of(&peer.routing_id);
        let made = if self.ends.is_none() { link.make_pipes() } else { None };
        let said = Said {
            pipe: made.as_ref().map(|(pipe, _)| pipe.id),
            behind: self.ends.as_ref().map_or(0, |ends| ends.inbound.heard()),
        };
        // Before the connection shows as ready: then whoever looks finds out that it is to be told something.
        let upstream = link.owner().upstream.as_ref();
        let feed = upstream.zip(link.wake_up());
        self.feed = feed.map(|(upstream, wake_up)| upstream.open(wake_up, Reader::Session));
        link.on_ready(peer, &self.stream, said);
        if let Some(upstream) = upstream {
            upstream.nudge();
        }
        let hello = link.owner().hello();
        if let Some(hello) = hello {
            self.connection.push_message(&[hello], &mut self.outbox);
        }
        match &mut self.ends {
            Some(ends) if self.takes_notes => ends.inbound.note_passage(|passage| passage.arrive(name)),
            Some(_) => {}
            None => {
                self.ends = made.map(|(pipe, ends)| {
                    link.attach(pipe, RoutingId::from_peer(name));
                    Box::new(ends)
                });
            }
        }
        self.begin_to_count(hello.into_iter().count() as u64, link);
        if let Some(ends) = &mut self.ends {
            ends.inbound.push(behind);
        }
        if !self.is_talking() && !link.keeps_queue() {
            self.drop_queue(); // it has closed its half already
        }
    }
}
