//! Dialers: connect, keep connected, and connect again after a pause.
//!
//! ```text
//!            ┌──────────── pause over ────────────────┐
//!            ▼                                        │
//!       Resolving ──▶ Connecting ──▶ Connected ──▶ Pausing
//!            │            │ next address    │         ▲
//!            └────────────┴────── failed ───┴─────────┘
//! ```
//!
//! The pipes to the socket outlive every session, so that what was queued waits for the next one; with
//! `immediate` they are made anew for each. Names are looked up at every try, and all addresses tried.
//! Source: RFC 37, "Error handling"; libzmq's zmq_connect(3).
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use mio::Token;

use crate::endpoint::{Address, Host};
use crate::error::ProtocolError;
use crate::io::{End, Fate, Notice, Readiness, Task, Turn, resolve};
use crate::session::backoff::Backoff;
use crate::session::driver::Session;
use crate::session::link::{Link, noted, work};
use crate::session::ticker::Ticker;
use crate::transport::{Stream, Target};

/// One endpoint that a socket is connected to.
pub(crate) struct Dialer {
    link: Arc<Link>,
    address: Address,
    state: State,
    /// Addresses of this try that were not tried yet.
    targets: VecDeque<Target>,
    backoff: Backoff,
    ticker: Ticker,
    /// The socket is done; `Some(None)` lets it take as long as it takes.
    stop: Option<Option<Instant>>,
}

enum State {
    Connected { shake_hands_by: Option<Instant> },
    Connecting(Stream),
    Pausing(Instant),
    Resolving,
}

impl Dialer {
    /// Starts to connect `link` to `address`, which is a tcp or ipc address without wildcards.
    pub(crate) fn start(link: &Arc<Link>, address: Address) {
        let dialer = Self {
            link: Arc::clone(link),
            address,
            state: State::Resolving,
            targets: VecDeque::new(),
            backoff: Backoff::default(),
            ticker: Ticker::default(),
            stop: None,
        };
        link.start(Box::new(dialer));
    }

    fn resolve(&mut self, turn: &mut Turn<'_>) -> Fate {
        self.state = State::Resolving;
        let target = match &self.address {
            Address::Tcp { host: Host::Ip(ip), port } => Target::Tcp((*ip, *port).into()),
            Address::Tcp { host: Host::Name(name), port } => {
                resolve(name, *port, &self.link.owner().options, turn.mailbox, turn.id);
                return Fate::Goes;
            }
            Address::Ipc(address) => Target::Ipc(address.clone()),
            Address::Tcp { host: Host::Any, .. } | Address::Inproc(_) => return Fate::Done,
        };
        self.targets = VecDeque::from([target]);
        self.connect(turn)
    }

    /// Tries the next address.
    fn connect(&mut self, turn: &mut Turn<'_>) -> Fate {
        let token = Token(usize::try_from(turn.id).unwrap_or(usize::MAX));
        while let Some(target) = self.targets.pop_front() {
            let Ok(mut stream) = Stream::connect(&target, &self.link.owner().options) else { continue };
            if stream.register(turn.registry, token).is_err() {
                continue;
            }
            self.state = State::Connecting(stream);
            // ipc connects at once, and an edge may have been before the registration.
            return self.check_connected(turn);
        }
        self.pause(turn)
    }

    fn check_connected(&mut self, turn: &mut Turn<'_>) -> Fate {
        let State::Connecting(stream) = &self.state else { return Fate::Goes };
        match stream.check_connected() {
            Ok(false) => Fate::Goes,
            Err(_) => self.connect(turn),
            Ok(true) => self.connected(turn),
        }
    }

    fn connected(&mut self, turn: &mut Turn<'_>) -> Fate {
        let limit = self.link.owner().options.handshake_interval().limit();
        let shake_hands_by = limit.map(|limit| turn.now + limit);
        if let Some(by) = shake_hands_by {
            turn.wake_at(by);
        }
        let state = std::mem::replace(&mut self.state, State::Connected { shake_hands_by });
        let State::Connecting(stream) = state else { return Fate::Goes };
        self.link.up(|ends| Session::new(stream, self.link.owner(), ends));
        self.drive(work::READABLE, turn)
    }

    fn drive(&self, noted: u8, turn: &mut Turn<'_>) -> Fate {
        if self.link.drive(noted) {
            turn.come_again();
        }
        Fate::Goes
    }

    fn ended(&mut self, end: End, turn: &mut Turn<'_>) -> Fate {
        match end {
            // A refusal is final: the same credentials would be refused again (E-01).
            End::Sent | End::Protocol(ProtocolError::RefusedByPeer) => return Fate::Done,
            End::Io(_) | End::PeerClosed | End::Protocol(_) => {}
        }
        if self.link.owner().options.immediate() {
            drop(self.link.take_ends());
        }
        self.pause(turn)
    }

    fn pause(&mut self, turn: &mut Turn<'_>) -> Fate {
        if self.stop.is_some() && self.has_nothing_to_send() {
            return Fate::Done;
        }
        let random = RandomState::new().build_hasher().finish();
        let Some(pause) = self.backoff.next_pause(&self.link.owner().options, random) else {
            return Fate::Done;
        };
        let until = turn.now + pause;
        self.state = State::Pausing(until);
        turn.wake_at(until);
        Fate::Goes
    }

    fn has_nothing_to_send(&self) -> bool {
        let Some(mut ends) = self.link.take_ends() else { return true };
        let is_dry = ends.is_finished();
        self.link.set_ends(ends);
        is_dry
    }

    fn stop(&mut self, deadline: Option<Instant>, turn: &mut Turn<'_>) -> Fate {
        self.stop = Some(deadline);
        if let Some(deadline) = deadline {
            turn.wake_at(deadline);
        }
        match self.state {
            State::Connected { .. } => self.drive(work::PIPES, turn),
            State::Connecting(_) | State::Pausing(_) | State::Resolving => {
                if self.has_nothing_to_send() {
                    Fate::Done
                } else {
                    Fate::Goes
                }
            }
        }
    }
}

impl Task for Dialer {
    fn on_start(&mut self, turn: &mut Turn<'_>) -> Fate {
        self.resolve(turn)
    }

    fn on_event(&mut self, ready: Readiness, turn: &mut Turn<'_>) -> Fate {
        match self.state {
            State::Connected { .. } => self.drive(noted(ready), turn),
            State::Connecting(_) => self.check_connected(turn),
            State::Pausing(_) | State::Resolving => Fate::Goes,
        }
    }

    fn on_notice(&mut self, notice: Notice, turn: &mut Turn<'_>) -> Fate {
        match notice {
            Notice::Drive => {
                if self.link.drive_as_told() {
                    turn.come_again();
                }
                Fate::Goes
            }
            Notice::Ended { end, was_ready } => {
                if was_ready {
                    self.backoff.reset();
                }
                self.ended(end, turn)
            }
            Notice::Resolved(addresses) => {
                self.targets = addresses.into_iter().map(Target::Tcp).collect();
                self.connect(turn)
            }
            Notice::Stop(deadline) => self.stop(deadline, turn),
            Notice::Tick => {
                self.ticker.start(&self.link, turn);
                Fate::Goes
            }
        }
    }

    fn on_timer(&mut self, turn: &mut Turn<'_>) -> Fate {
        if self.stop.flatten().is_some_and(|at| turn.now >= at) {
            return Fate::Done;
        }
        self.ticker.on_timer(&self.link, turn);
        match self.state {
            State::Pausing(until) if turn.now >= until => self.resolve(turn),
            State::Connected { shake_hands_by: Some(by) } if turn.now >= by => {
                if self.link.is_shaking_hands() {
                    let ends = self.link.take_ends();
                    if let Some(ends) = ends {
                        self.link.set_ends(ends);
                    }
                    return self.pause(turn);
                }
                self.state = State::Connected { shake_hands_by: None };
                // Work that was noted while we held the session.
                self.drive(0, turn)
            }
            State::Connected { .. } | State::Connecting(_) | State::Pausing(_) | State::Resolving => {
                Fate::Goes
            }
        }
    }
}

impl Drop for Dialer {
    fn drop(&mut self) {
        // The pipes lead back to the link: dropping the ends lets both go.
        drop(self.link.take_ends());
    }
}
