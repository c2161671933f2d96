//! Heartbeats: when to send PING, and when silence means that the peer is gone.
//!
//! Time comes in as an argument, and so do counts of octets: whatever the peer sends is a sign of life, and
//! while a PING of ours still waits behind messages, so is whatever the peer takes. One look at the counts for
//! each deadline is enough, and costs nothing between them.
//!
//! ```text
//!   interval over: PING ──▶ no sign within the timeout ──▶ silent
//!   a PING of the peer with a TTL ──▶ no sign within it ──▶ silent
//!   somebody else wants its name: PING ──▶ no sign in a while ──▶ silent
//! ```
//!
//! Source: RFC 37, "Connection Heartbeating".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use crate::limits::{DOUBT_LIMIT, HEARTBEAT_LOOK_MAX, PINGS_UNANSWERED_MAX};
use crate::options::Options;
use crate::time::later;
use crate::wire::command;
use crate::wire::outbox::Outbox;

/// How a socket wants its peers to be asked for signs of life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Between two PINGs; `None` sends none.
    interval: Option<Duration>,
    /// How long a PING may go without a sign of life; `None` is for ever.
    timeout: Option<Duration>,
    /// What our PINGs tell the peer, in tenths of a second; 0 tells nothing.
    ttl_tenths: u16,
}

impl From<&Options> for Settings {
    fn from(options: &Options) -> Self {
        let interval = options.heartbeat_interval().interval();
        Self {
            interval,
            timeout: interval.and_then(|interval| options.heartbeat_timeout().limit(interval)),
            ttl_tenths: options.heartbeat_ttl().tenths(),
        }
    }
}

/// What a connection has moved so far, in octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Read from the peer.
    pub(crate) heard: u64,
    /// Taken by the kernel for the peer.
    pub(crate) taken: u64,
    /// Nothing is read because the application does not receive: silence says nothing about the peer.
    pub(crate) is_deaf: bool,
}

/// The peer has sent nothing for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silent;

/// The heartbeats of one connection, from the end of its handshake on.
#[derive(Debug)]
pub(super) struct Heartbeat {
    settings: Settings,
    ping_at: Option<Instant>,
    /// PINGs since the last sign of life.
    unanswered: u8,
    give_up_at: Option<Instant>,
    /// What the last PING of the peer said.
    peer_ttl: Option<Duration>,
    /// A PING has come since the last look.
    has_news: bool,
    /// When the oldest PING was sent that is not answered; and that it is now.
    pinged_at: Option<Instant>,
    has_pong: bool,
    round_trip: Option<Duration>,
    /// The last look that found a sign of life.
    alive_at: Option<Instant>,
    signs: Signs,
}

impl Heartbeat {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            ping_at: None,
            unanswered: 0,
            give_up_at: None,
            peer_ttl: None,
            has_news: settings.interval.is_some(),
            pinged_at: None,
            has_pong: false,
            round_trip: None,
            alive_at: None,
            signs: Signs::default(),
        }
    }

    /// A PING of the peer: its TTL takes the place of the last one's. Zero is no hint.
    pub(super) fn on_ping(&mut self, ttl_tenths: u16) {
        let ttl = (ttl_tenths > 0).then(|| Duration::from_millis(100) * u32::from(ttl_tenths));
        self.has_news |= ttl.is_some() || self.peer_ttl.is_some();
        self.peer_ttl = ttl;
    }

    /// A PONG of the peer, which answers the oldest PING of ours.
    pub(super) fn on_pong(&mut self) {
        self.has_pong = self.pinged_at.is_some();
    }

    /// What a PING of ours tells the peer.
    pub(super) fn ttl_tenths(&self) -> u16 {
        self.settings.ttl_tenths
    }

    /// Whether [`handle_timeout`](Self::handle_timeout) should be called soon: a deadline may have come nearer, or there
    /// is something to be timed.
    pub(super) fn has_news(&self) -> bool {
        self.has_news || self.has_pong
    }

    /// How long the answer to a PING took last.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Looks at the time and at the signs of life; sends a PING if one is due. When to look again, if at all.
    ///
    /// # Errors
    ///
    /// [`Silent`] when a deadline has passed without a sign of life.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        signs: Signs,
        out: &mut Outbox,
    ) -> Result<Option<Instant>, Silent> {
        let was_heard = signs.heard != self.signs.heard || signs.is_deaf;
        let is_taking = !out.is_empty() && signs.taken != self.signs.taken;
        let has_news = std::mem::take(&mut self.has_news);
        self.signs = signs;
        if std::mem::take(&mut self.has_pong) {
            let took = self.pinged_at.take().map(|at| now.saturating_duration_since(at));
            self.round_trip = took.or(self.round_trip);
        }
        if was_heard || is_taking || has_news {
            self.unanswered = 0;
            self.give_up_at = None;
            self.alive_at = Some(now);
        }
        let alive_at = *self.alive_at.get_or_insert(now);
        let dead_at = self.peer_ttl.and_then(|ttl| alive_at.checked_add(ttl));
        if dead_at.into_iter().chain(self.give_up_at).any(|at| now >= at) {
            return Err(Silent);
        }
        self.ping_if_due(now, out);
        // A sign of life is dated by the look that finds it: looks are close enough to be a quarter late.
        let look_at = self.peer_ttl.map(|ttl| later(now, (ttl / 4).min(HEARTBEAT_LOOK_MAX)));
        let look_at = look_at.into_iter().chain(dead_at).min();
        Ok(self.ping_at.into_iter().chain(self.give_up_at).chain(look_at).min())
    }

    /// Asks now for a sign of life, whatever the options say: without one, the peer is gone in a while.
    pub(super) fn doubt(&mut self, now: Instant, signs: Signs, out: &mut Outbox) {
        let give_up_at = later(now, DOUBT_LIMIT);
        if self.give_up_at.is_some_and(|at| at <= give_up_at) {
            return; // it was asked already
        }
        // Only what comes from now on counts.
        self.signs = signs;
        self.has_news = false;
        self.give_up_at = Some(give_up_at);
        command::push_ping(out, self.settings.ttl_tenths);
        self.pinged_at.get_or_insert(now);
    }

    fn ping_if_due(&mut self, now: Instant, out: &mut Outbox) {
        let Some(interval) = self.settings.interval else { return };
        if self.ping_at.is_some_and(|at| now < at) {
            return;
        }
        if self.ping_at.is_some() {
            // One that still waits behind messages will do.
            if self.unanswered < PINGS_UNANSWERED_MAX && out.is_empty() {
                command::push_ping(out, self.settings.ttl_tenths);
                self.unanswered += 1;
                self.pinged_at.get_or_insert(now);
            }
            let give_up_at = self.settings.timeout.and_then(|timeout| now.checked_add(timeout));
            self.give_up_at = self.give_up_at.or(give_up_at);
        }
        self.ping_at = now.checked_add(interval);
    }
}
