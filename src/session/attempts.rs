//! The addresses of one try to connect, raced against each other.
//!
//! The first address is tried at once, each other one when the one before it has failed or taken a while, and the
//! first that connects wins: the others are closed. So a host whose first address is silent is reached about as fast as
//! one without that address, and addresses of both families have their turn early. When many are silent, the one that has
//! been for longest makes room for the next.
//! Source: RFC 8305, "Happy Eyeballs Version 2", sections 4 and 5.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Instant;

use mio::Token;

use crate::error::{ConnectionError, OsError};
use crate::io::Turn;
use crate::limits::{ATTEMPT_DELAY, ATTEMPTS_AT_ONCE};
use crate::options::Options;
use crate::time::later;
use crate::transport::{Stream, Target};

/// One try to connect.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Addresses that have not had their turn.
    waiting: VecDeque<Target>,
    /// In the order in which they began.
    running: Vec<Attempt>,
    /// When the next address has its turn, although others may still connect.
    next_at: Option<Instant>,
    /// What was wrong with the last address that failed.
    error: ConnectionError,
    /// Nothing was wrong but that nobody listens there.
    is_refused: bool,
}

/// The system connects to one address.
#[derive(Debug)]
struct Attempt {
    target: Target,
    stream: Stream,
    give_up_at: Option<Instant>,
}

/// What has become of a try.
#[derive(Debug)]
pub(super) enum Progress {
    Connected(Target, Stream),
    /// No address is left; whether every one of them refused.
    Exhausted(ConnectionError, bool),
    Failed(Target, ConnectionError),
    Started(Target),
    /// For the system, or a timer.
    Waits,
}

impl Attempts {
    pub(super) fn new(targets: impl IntoIterator<Item = Target>) -> Self {
        let waiting = targets.into_iter().collect();
        let (running, error) = (Vec::new(), ConnectionError::NoAddress);
        Self { waiting, running, next_at: None, error, is_refused: true }
    }

    /// The next thing that has happened, or that is done now.
    pub(super) fn poll(&mut self, options: &Options, turn: &Turn<'_>) -> Progress {
        for at in 0..self.running.len() {
            let Some(outcome) = self.running.get(at).and_then(|attempt| attempt.outcome(turn.now)) else {
                continue;
            };
            let Attempt { target, stream, .. } = self.running.remove(at);
            return match outcome {
                Ok(()) => {
                    // Should a proxy behind this address not do, the others have their turn again.
                    let others = std::mem::take(&mut self.running).into_iter().map(|attempt| attempt.target);
                    others.rev().for_each(|other| self.waiting.push_front(other));
                    Progress::Connected(target, stream)
                }
                Err(error) => self.failed(target, error),
            };
        }
        let is_due = self.next_at.is_none_or(|at| turn.now >= at);
        if !self.running.is_empty() && (!is_due || self.waiting.is_empty()) {
            return Progress::Waits;
        }
        if self.running.len() >= ATTEMPTS_AT_ONCE {
            let oldest = self.running.remove(0);
            return self.failed(oldest.target, ConnectionError::TimedOut);
        }
        match self.waiting.pop_front() {
            Some(target) => self.start(target, options, turn),
            None => Progress::Exhausted(self.error, self.is_refused),
        }
    }

    /// What was connected did not do.
    pub(super) fn note_failure(&mut self, error: ConnectionError) {
        self.error = error;
        self.is_refused &= is_refusal(error);
        self.next_at = None;
    }

    /// When something is to be done, if the system says nothing before.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let give_ups = self.running.iter().filter_map(|attempt| attempt.give_up_at);
        give_ups.chain(self.next_at).min()
    }

    fn start(&mut self, target: Target, options: &Options, turn: &Turn<'_>) -> Progress {
        let stream = match connect(&target, options, turn) {
            Ok(stream) => stream,
            Err(error) => return self.failed(target, ConnectionError::Io(error.into())),
        };
        let give_up_at = options.connect_timeout().limit().map(|limit| later(turn.now, limit));
        self.next_at = (!self.waiting.is_empty()).then(|| later(turn.now, ATTEMPT_DELAY));
        self.running.push(Attempt { target: target.clone(), stream, give_up_at });
        Progress::Started(target)
    }

    fn failed(&mut self, target: Target, error: ConnectionError) -> Progress {
        self.note_failure(error);
        Progress::Failed(target, error)
    }
}

impl Attempt {
    /// How it has ended, if it has.
    fn outcome(&self, now: Instant) -> Option<Result<(), ConnectionError>> {
        match self.stream.check_connected() {
            Ok(true) => Some(Ok(())),
            Ok(false) if self.give_up_at.is_some_and(|at| now >= at) => Some(Err(ConnectionError::TimedOut)),
            Ok(false) => None,
            Err(error) => Some(Err(ConnectionError::Io(error.into()))),
        }
    }
}

fn connect(target: &Target, options: &Options, turn: &Turn<'_>) -> io::Result<Stream> {
    let token = Token(usize::try_from(turn.id).unwrap_or(usize::MAX));
    let mut stream = Stream::connect(target, options)?;
    stream.register(turn.registry, token)?;
    Ok(stream)
}

/// The same addresses, of one family and the other in turn, beginning with that of the first: within each of them as
/// the system has sorted them.
pub(super) fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let count = addresses.len();
    let begins_with_4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == begins_with_4);
    let (mut first, mut other) = (first.into_iter(), other.into_iter());
    let mut mixed = Vec::with_capacity(count);
    while mixed.len() < count {
        mixed.extend(first.next().into_iter().chain(other.next()));
    }
    mixed
}

fn is_refusal(error: ConnectionError) -> bool {
    matches!(error, ConnectionError::Io(OsError { kind: ErrorKind::ConnectionRefused, .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_have_their_turn_as_the_system_has_sorted_them() {
        let cases: [(&[&str], &[&str]); 4] = [
            (&[], &[]),
            (&["1.1.1.1:1", "2.2.2.2:1"], &["1.1.1.1:1", "2.2.2.2:1"]),
            (
                &["[a::]:1", "[b::]:1", "[c::]:1", "1.1.1.1:1", "2.2.2.2:1"],
                &["[a::]:1", "1.1.1.1:1", "[b::]:1", "2.2.2.2:1", "[c::]:1"],
            ),
            (&["1.1.1.1:1", "[a::]:1", "[b::]:1"], &["1.1.1.1:1", "[a::]:1", "[b::]:1"]),
        ];
        for (sorted, mixed) in cases {
            let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
            assert_eq!(interleaved(parse(sorted)), parse(mixed));
        }
    }
}
