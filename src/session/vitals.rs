//! What is counted of connections: of one, and of all of a socket.
//!
//! On slow paths only, by any thread, and read by any.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::pipe::Vitals;
use crate::session::EventKind;
use crate::sync::{AtomicU64, Ordering};

/// Of one connection: how often it was ready, and the last round trip in microseconds (0 is not known), 32 bits each, as
/// there is one for each connection. Written by whoever has the session in hand.
#[derive(Debug, Default)]
pub(super) struct Pulse(AtomicU64);

impl Pulse {
    /// Messages flow. `true`: they did before, and the connection was lost.
    pub(super) fn note_ready(&self) -> bool {
        // Relaxed, here and below: numbers that stand for themselves.
        self.0.fetch_add(ONE_READY, Ordering::Relaxed) >= ONE_READY
    }

    pub(super) fn note_round_trip(&self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX).clamp(1, ROUND_TRIP);
        self.0.store(self.0.load(Ordering::Relaxed) & !ROUND_TRIP | micros, Ordering::Relaxed);
    }

    pub(super) fn vitals(&self) -> Vitals {
        let pulse = self.0.load(Ordering::Relaxed);
        let (readies, micros) = (pulse / ONE_READY, pulse & ROUND_TRIP);
        let round_trip = (micros > 0).then(|| Duration::from_micros(micros));
        Vitals { reconnects: readies.saturating_sub(1), round_trip }
    }
}

const ONE_READY: u64 = 1 << 32;
const ROUND_TRIP: u64 = ONE_READY - 1;

/// How often what happened to the endpoints and peers of a socket.
///
/// ```
/// use peermq::{Context, Pull, Push};
///
/// let context = Context::new();
/// let mut pull = context.open::<Pull>()?;
/// let binding = pull.bind("tcp://127.0.0.1:0")?;
/// let mut push = context.open::<Push>()?;
/// push.connect(&binding)?;
/// push.send("hello")?;
/// pull.recv()?;
/// let counts = pull.stats().total.connections;
/// assert_eq!((counts.accepted, counts.ready, counts.handshakes_failed), (1, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// Peers that have connected to us, and could say something.
    pub accepted: u64,
    /// Peers that were closed at once: see [`EventKind::TurnedAway`](crate::EventKind::TurnedAway).
    pub turned_away: u64,
    /// How often no peer could be accepted: out of descriptors, for example.
    pub accepts_failed: u64,
    /// Peers that had connected to us and left before they said anything: see
    /// [`EventKind::Left`](crate::EventKind::Left).
    pub left: u64,
    /// How often an address could not be connected to.
    pub connects_failed: u64,
    /// Handshakes that failed.
    pub handshakes_failed: u64,
    /// How often a peer became ready.
    pub ready: u64,
    /// How many of those had been ready before, and were lost: connects that connected again.
    pub reconnects: u64,
    /// How often a peer that was ready went, or was let go.
    pub disconnected: u64,
}

/// The counters behind it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    accepted: AtomicU64,
    turned_away: AtomicU64,
    accepts_failed: AtomicU64,
    left: AtomicU64,
    connects_failed: AtomicU64,
    handshakes_failed: AtomicU64,
    ready: AtomicU64,
    reconnects: AtomicU64,
    disconnected: AtomicU64,
}

impl Tally {
    /// Something has happened.
    pub(super) fn count(&self, kind: &EventKind) {
        let counter = match kind {
            EventKind::AcceptFailed(_) => &self.accepts_failed,
            EventKind::Accepted => &self.accepted,
            EventKind::ConnectFailed(_) => &self.connects_failed,
            EventKind::Disconnected(_) => &self.disconnected,
            EventKind::HandshakeFailed(_) => &self.handshakes_failed,
            EventKind::Left => &self.left,
            EventKind::Ready(_) => &self.ready,
            EventKind::TurnedAway(_) => &self.turned_away,
            EventKind::BindFailed(_)
            | EventKind::Closed(_)
            | EventKind::Connected
            | EventKind::Connecting
            | EventKind::Dropped(_)
            | EventKind::Listening
            | EventKind::Missed(_)
            | EventKind::Retried { .. }
            | EventKind::RoutingIdInUse(_)
            | EventKind::Stopped => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_accept_failed(&self) {
        self.accepts_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was lost, and is ready again.
    pub(super) fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> ConnectionCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ConnectionCounts {
            accepted: of(&self.accepted),
            turned_away: of(&self.turned_away),
            accepts_failed: of(&self.accepts_failed),
            left: of(&self.left),
            connects_failed: of(&self.connects_failed),
            handshakes_failed: of(&self.handshakes_failed),
            ready: of(&self.ready),
            reconnects: of(&self.reconnects),
            disconnected: of(&self.disconnected),
        }
    }
}
