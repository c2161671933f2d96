//! What a session says last, and hears last: see [`LastWords`].
//!
//! A session that ends before it has read its peer's end says how many of the peer's messages were received, as the last
//! octets before its own end: also in the middle of a message, which nobody will hear the end of. What the kernel has no
//! room for outlives the session: see [`parting`](crate::session::parting). One that leaves reads the words of its peer
//! out of what it throws away.
#![forbid(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};

use crate::io::End;
use crate::limits::{PARTING_OCTETS, RAW_READ, RAW_READ_CHORES};
use crate::pipe::{Chores, Unread};
use crate::session::Ends;
use crate::session::driver::Session;
use crate::session::driver::ending::Stage;
use crate::session::leave::{Discarded, discard_from};
use crate::session::link::Link;
use crate::session::translator::Written;
use crate::transport::Read;
use crate::wire::{LastWords, Outbox};

/// The counts of one connection, and what was said last.
#[derive(Debug, Default)]
pub(super) struct Counted {
    words: Words,
    /// The inbound pipe counts subscriptions as messages.
    is_of_topics: bool,
    /// Messages of the peer that the inbound pipe had before this connection.
    heard_before: u64,
    /// Messages that the outbound pipe had given away before this connection.
    sent_before: u64,
    /// Messages that did not come out of that pipe, and went first.
    greetings: u64,
    /// For those that did, and that the peer has not received.
    unread: Option<Unread>,
    /// The last octets of the peer, from where they began to be thrown away.
    thrown_away: Option<Box<LastWords>>,
}

/// How far this side is with the last that it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Words {
    /// The peer does not know last words, or can have told nothing.
    #[default]
    None,
    /// They, or an ERROR in their place, are in the outbox, or the kernel has them.
    Said,
    ToSay,
}

impl Session {
    /// The traffic begins, with so many messages that are in the outbox.
    pub(super) fn begin_to_count(&mut self, greetings: u64, link: &Link) {
        let (heard, sent) =
            self.ends.as_ref().map_or((0, 0), |ends| (ends.inbound.heard(), ends.outbound.sent()));
        link.take_confirmation_back();
        let socket_type = link.owner().socket_type;
        let has_words = socket_type.can_receive() && self.connection.knows_last_words();
        self.counted = Some(Box::new(Counted {
            words: if has_words { Words::ToSay } else { Words::None },
            is_of_topics: socket_type.is_publisher(),
            heard_before: heard,
            sent_before: sent,
            greetings,
            unread: self.ends.as_ref().map(|ends| ends.outbound.unread()),
            thrown_away: None,
        }));
    }

    /// Puts last words behind everything that this side has to say. `false`: it has nothing more to say.
    pub(super) fn put_last_words(&mut self) -> bool {
        let Some(counted) = self.counted.as_mut().filter(|counted| counted.words == Words::ToSay) else {
            return false;
        };
        counted.words = Words::Said;
        let received = match &self.ends {
            Some(_) if counted.is_of_topics => u64::MAX, // nobody knows: never what the peer has said
            Some(ends) => ends.received(self.is_stopped).saturating_sub(counted.heard_before),
            None => 0,
        };
        self.connection.say_last(received, &mut self.outbox);
        true
    }

    /// An ERROR is the last that this side says.
    pub(super) fn say_nothing_more(&mut self) {
        if let Some(counted) = &mut self.counted {
            counted.words = Words::Said;
        }
    }

    /// Says what is to be said before this end: last words, if it is in peace, and not the peer's of whom the socket, which
    /// is there, has or may still receive all; and why the peer is parted from. Returns what the kernel had no room for.
    pub(in crate::session) fn say_last(&mut self, end: Option<End>, link: &Link) -> Vec<u8> {
        let is_peaceful = match end {
            Some(End::PeerClosed) => self.is_stopped || self.ends.as_ref().is_some_and(|ends| ends.is_left()),
            Some(End::Dismissed | End::Sent) | None => true,
            // Nobody would hear them, or what they are about is not in order.
            Some(
                End::GivenUp { .. }
                | End::Io(_)
                | End::NameLost(_)
                | End::Protocol(_)
                | End::Silent
                | End::Unheard,
            ) => false,
        };
        if end == Some(End::PeerClosed) && self.is_talking() {
            self.stage = Stage::Listens(End::PeerClosed); // what it is still told nobody counts as told
        }
        let words = self.counted.as_ref().map_or(Words::None, |counted| counted.words);
        let has_words = is_peaceful && !self.is_shaking_hands && words != Words::None;
        let is_parting = matches!(end, Some(End::Dismissed | End::NameLost(_) | End::Protocol(_)));
        let is_between = self.is_between_messages();
        let mut lead = 0;
        if has_words && words == Words::ToSay {
            if !is_between {
                lead = self.lead_out();
            }
            self.put_last_words();
        } else if !(is_between && (has_words || is_parting && self.is_talking())) {
            return Vec::new();
        }
        // Whoever gets the ends back goes on with what this connection has not told.
        self.write_last(lead, end.is_some() && link.keeps_queue())
    }

    /// Nothing of a message is under way, or so much of it is that a translator makes it whole.
    pub(super) fn is_between_messages(&self) -> bool {
        self.ends.as_ref().is_none_or(|ends| ends.outbound.is_between_messages())
            && self.translator.as_ref().is_none_or(|it| it.is_between_frames())
    }

    /// In the middle of a message: leads to where last words can stand. Who has gone finds them anywhere, but who still
    /// reads must not take them for the end of a message. How many octets of it are in the outbox.
    pub(super) fn lead_out(&mut self) -> usize {
        let (None, Some(ends)) = (&self.translator, &self.ends) else { return 0 };
        let lead = ends.outbound.way_out(LastWords::OCTETS);
        let octets = lead.len();
        self.outbox = Outbox::of(lead); // nothing of what was there has gone: the message was to end first
        octets
    }

    /// Writes what is in the outbox, of which the first `lead` octets are of the pipe. Returns the rest, with what has to
    /// go before it.
    fn write_last(&mut self, lead: usize, is_kept: bool) -> Vec<u8> {
        let before = self.outbox.len();
        if !self.write_outbox() || self.outbox.is_empty() && lead == 0 {
            return Vec::new();
        }
        let written = lead.min(before - self.outbox.len());
        self.count_as_sent(written);
        let (rest, frames) = match &mut self.translator {
            None => (self.outbox.octets().to_vec(), lead - written),
            Some(translator) => translator.take_rest(self.outbox.octets()),
        };
        if frames > 0 && self.is_talking() && is_kept {
            return Vec::new(); // it would come twice, or be lost
        }
        self.count_as_sent(frames);
        if rest.len() > PARTING_OCTETS { Vec::new() } else { rest }
    }

    /// Octets of the pipe have gone. A peer that listens no more has thrown them away.
    fn count_as_sent(&mut self, octets: usize) {
        if let (Some(ends), Stage::Talks) = (&mut self.ends, &self.stage) {
            ends.outbound.advance(octets);
        }
    }

    /// Writes what is in the outbox, as much as the kernel takes. `false`: it takes nothing any more.
    pub(super) fn write_outbox(&mut self) -> bool {
        while !self.outbox.is_empty() {
            let control = IoSlice::new(self.outbox.octets());
            let octets = control.len();
            self.calls.count();
            let written = match &mut self.translator {
                None => {
                    self.stream.write(&[control]).map_err(End::Io).map(|it| Written::of(it, octets, octets))
                }
                Some(translator) => translator.write(&mut self.stream, &[control], octets),
            };
            let Ok(written) = written else { return false };
            self.outbox.advance(written.control);
            self.count_as_sent(written.frames);
            if written.is_short {
                break;
            }
        }
        true
    }

    /// The peer has closed its half. Whether it has received all that it was told, if it has said so: what it has not is
    /// counted.
    pub(super) fn hear_last_words(&self) -> Option<bool> {
        let Counted { sent_before, greetings, unread, thrown_away, .. } = self.counted.as_deref()?;
        let last_words = thrown_away.as_ref().and_then(|last| last.received());
        let received = last_words.or_else(|| self.connection.last_words())?;
        let of_pipe = self.sent() - sent_before;
        let told = of_pipe + greetings;
        if let (Some(unread), Some(count @ 1..)) = (unread, told.checked_sub(received)) {
            unread.add(count.min(of_pipe));
        }
        Some(received == told)
    }

    /// Whether the kernel has had a message for the peer, over this connection.
    pub(in crate::session) fn has_told_here(&self) -> bool {
        self.counted.as_ref().is_some_and(|counted| self.sent() > counted.sent_before)
    }

    /// Throws away what comes, but for the last words, as far as there are chores left: some of it in any case.
    pub(super) fn throw_away(&mut self, chores: &mut Chores) -> Result<(Discarded, usize), End> {
        self.calls.count();
        let most = self.read_batch().min(RAW_READ * chores.times(RAW_READ_CHORES).max(1));
        let (stream, translator, ends) = (&mut self.stream, &mut self.translator, &mut self.ends);
        let last = self.counted.get_or_insert_default().thrown_away.get_or_insert_with(|| {
            let unskimmed = ends.as_mut().map_or(&[][..], |ends| ends.inbound.unskimmed());
            Box::new(LastWords::behind(unskimmed))
        });
        discard_from(most, |octets| {
            let room = &mut [IoSliceMut::new(octets)];
            chores.note(RAW_READ_CHORES);
            let read = match translator {
                Some(translator) => translator.read(stream, room, None, chores)?,
                None => stream.read(room).map_err(End::Io)?,
            };
            if let Read::Octets(count) = read {
                #[cfg(test)]
                crate::pipe::Tally::note_octets(count);
                last.push(octets.get(..count).unwrap_or_default());
            }
            Ok(read)
        })
    }
}

impl Ends {
    /// Whether the socket is gone, or about to go, and has counted what lies in its pipe.
    fn is_left(&self) -> bool {
        match &self.diverted {
            Some(diverted) => diverted.socket.is_left(),
            None => self.inbound.is_left(),
        }
    }

    /// Messages of the peer that the socket has received or can still receive, since the pipe was made.
    fn received(&self, is_stopped: bool) -> u64 {
        match &self.diverted {
            Some(diverted) => self.inbound.heard() - diverted.left_behind(is_stopped || self.is_left()),
            None if is_stopped || self.is_left() => self.inbound.taken(),
            None => self.inbound.heard(),
        }
    }
}
