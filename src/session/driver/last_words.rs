//! What a session says last, and hears last: see [`LastWords`].
//!
//! A session that ends before it has read its peer's end says how many of the peer's messages were received, as the last
//! frame before its own end. One that leaves reads that of its peer out of what it throws away.
#![forbid(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};

use crate::io::End;
use crate::session::Ends;
use crate::session::driver::Session;
use crate::session::leave::{Discarded, discard_from};
use crate::session::link::Link;
use crate::session::translator::Written;
use crate::transport::Read;
use crate::wire::LastWords;

/// The counts of one connection, and what was said last.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Last words are still to be said, to a peer that knows them and may have told something.
    has_last_words: bool,
    /// The inbound pipe counts subscriptions as messages.
    is_of_topics: bool,
    /// Messages of the peer that the inbound pipe had before this connection.
    heard_before: u64,
    /// Messages that the outbound pipe had given away before this connection.
    sent_before: u64,
    /// Messages that did not come out of that pipe.
    greetings: u64,
    /// The last octets of the peer, from where they began to be thrown away.
    thrown_away: Option<Box<LastWords>>,
}

impl Session {
    /// The traffic begins, with so many messages that are in the outbox.
    pub(super) fn begin_to_count(&mut self, greetings: u64, link: &Link) {
        let (heard, sent) =
            self.ends.as_ref().map_or((0, 0), |ends| (ends.inbound.heard(), ends.outbound.sent()));
        link.take_confirmation_back();
        let socket_type = link.owner().socket_type;
        self.counted = Some(Box::new(Counted {
            has_last_words: socket_type.can_receive() && self.connection.knows_last_words(),
            is_of_topics: socket_type.is_publisher(),
            heard_before: heard,
            sent_before: sent,
            greetings,
            thrown_away: None,
        }));
    }

    /// Puts last words behind everything that this side has to say. `false`: it has nothing more to say.
    pub(super) fn put_last_words(&mut self) -> bool {
        let Some(counted) = self.counted.as_mut().filter(|counted| counted.has_last_words) else {
            return false;
        };
        counted.has_last_words = false;
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
            counted.has_last_words = false;
        }
    }

    /// Says last words before an end in peace, if the kernel takes them, unless the end is the peer's, and the socket,
    /// which is there, has or may still receive all.
    pub(in crate::session) fn say_last(&mut self, end: Option<End>) {
        let is_needed = match end {
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
        if !self.is_shaking_hands && is_needed && self.put_last_words() {
            self.write_outbox();
        }
    }

    /// Writes what is in the outbox, if nothing else is under way, and the kernel takes it.
    pub(super) fn write_outbox(&mut self) {
        while !self.outbox.is_empty()
            && self.ends.as_ref().is_none_or(|ends| ends.outbound.is_between_messages())
        {
            let control = IoSlice::new(self.outbox.octets());
            let octets = control.len();
            self.calls.count();
            let written = match &mut self.translator {
                None => {
                    self.stream.write(&[control]).map_err(End::Io).map(|it| Written::of(it, octets, octets))
                }
                Some(translator) => translator.write(&mut self.stream, &[control], octets),
            };
            let Ok(written) = written else { return };
            self.outbox.advance(written.control);
            if let Some(ends) = &mut self.ends {
                ends.outbound.advance(written.frames);
            }
            if written.is_short {
                return;
            }
        }
    }

    /// The peer has closed its half, by itself: perhaps with all that it was told.
    pub(super) fn confirm_if_all(&self, link: &Link) {
        if self.has_peer_all() == Some(true) {
            link.confirm();
        }
    }

    /// Whether a peer that has said last words has received all that it was told; none if it has said none.
    pub(super) fn has_peer_all(&self) -> Option<bool> {
        let Counted { sent_before, greetings, thrown_away, .. } = self.counted.as_deref()?;
        let last_words = thrown_away.as_ref().and_then(|last| last.received());
        let received = last_words.or_else(|| self.connection.last_words())?;
        let told = self.sent() - sent_before + greetings;
        Some(received == told)
    }

    /// Whether the kernel has had a message for the peer, over this connection.
    pub(in crate::session) fn has_told_here(&self) -> bool {
        self.counted.as_ref().is_some_and(|counted| self.sent() > counted.sent_before)
    }

    /// Throws away what comes, but for the last words.
    pub(super) fn throw_away(&mut self) -> Result<(Discarded, usize), End> {
        self.calls.count();
        let most = self.read_batch();
        let (stream, translator, ends) = (&mut self.stream, &mut self.translator, &mut self.ends);
        let last = self.counted.get_or_insert_default().thrown_away.get_or_insert_with(|| {
            let unskimmed = ends.as_mut().map_or(&[][..], |ends| ends.inbound.unskimmed());
            Box::new(LastWords::behind(unskimmed))
        });
        discard_from(most, |octets| {
            let room = &mut [IoSliceMut::new(octets)];
            let read = match translator {
                Some(translator) => translator.read(stream, room, None)?,
                None => stream.read(room).map_err(End::Io)?,
            };
            if let Read::Octets(count) = read {
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
