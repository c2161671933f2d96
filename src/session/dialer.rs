//! Dialers: connect, keep connected, and connect again after a pause.
//!
//! ```text
//!            ┌──────────────────── pause over ─────────────────────┐
//!            ▼                                                     │
//!       Resolving ──▶ Connecting ──▶ Proxying ──▶ Connected ──▶ Pausing
//!            │            │       ◀──────┤             │           ▲
//!            └────────────┴──────────────┴─── failed ──┴───────────┘
//! ```
//!
//! The pipes to the socket outlive every session, so that what was queued waits for the next one; with
//! `immediate` they are made anew for each. Names are looked up at every try, and their addresses raced: see
//! [`Attempts`]. A lookup cannot be called off: one that takes too long has failed, but its answer is of use when it comes.
//! Source: RFC 37, "Error handling"; libzmq's zmq_connect(3).
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::endpoint::{Address, Endpoint, Host};
use crate::error::{ConnectionError, ProtocolError};
use crate::io::{End, Fate, Finish, Notice, Question, Readiness, Task, Turn};
use crate::limits::{GIVE_UPS_AT_ONCE, HANDSHAKE_READ, IN_STEP_TICK};
use crate::options::{Options, ReconnectInterval, ReconnectStop};
use crate::pipe::Assist;
use crate::session::alarms::Alarms;
use crate::session::attempts::{Attempts, Progress, interleaved};
use crate::session::backoff::Backoff;
use crate::session::link::Link;
use crate::session::protocol::Session;
use crate::session::socks::Socks;
use crate::session::ticker::{Beat, Ticker};
use crate::session::work::{self, noted};
use crate::session::{ConnectionState, EventKind, Scene};
use crate::sync::do_each;
use crate::time::later;
use crate::transport::{Read, Stream, Target};

/// One endpoint that a socket is connected to.
pub(crate) struct Dialer {
    link: Arc<Link>,
    state: State,
    /// The name is being looked up, perhaps for so long that this pauses. Dropping it takes it back.
    question: Option<Question>,
    /// The address of which is told, if somebody watches. Boxed: few have it.
    target: Option<Box<Endpoint>>,
    backoff: Backoff,
    /// How often in a row this side has given the peer up.
    given_up: u8,
    ticker: Ticker,
    beat: Beat,
    alarms: Alarms,
    /// The socket is done; `Some(None)` lets it take as long as it takes.
    stop: Option<Option<Instant>>,
    /// The context ends soon: an address that cannot be connected to is the last that is tried.
    is_hurried: bool,
}

enum State {
    Connected {
        shake_hands_by: Option<Instant>,
    },
    Connecting(Box<Attempts>),
    Pausing(Instant),
    Proxying(Box<Proxying>),
    /// Or nothing yet.
    Resolving {
        give_up_at: Option<Instant>,
    },
}

const NOTHING_YET: State = State::Resolving { give_up_at: None };

/// A proxy is connected, and asked to connect us.
struct Proxying {
    stream: Stream,
    socks: Socks,
    give_up_at: Option<Instant>,
    /// Its other addresses.
    others: Box<Attempts>,
}

impl Dialer {
    /// Starts to connect `link` to its owner's endpoint, which is a tcp or ipc address without wildcards.
    pub(crate) fn start(link: &Arc<Link>) {
        let dialer = Self {
            link: Arc::clone(link),
            state: NOTHING_YET,
            question: None,
            target: None,
            backoff: Backoff::default(),
            given_up: 0,
            ticker: Ticker::default(),
            beat: Beat::default(),
            alarms: Alarms::default(),
            stop: None,
            is_hurried: false,
        };
        link.start(Box::new(dialer));
    }

    fn options(&self) -> &Options {
        &self.link.owner().options
    }

    /// Tells whoever watches.
    fn tell(&self, kind: EventKind) {
        self.tell_of(None, kind);
    }

    fn tell_of(&self, descriptor: Option<i32>, kind: EventKind) {
        let owner = self.link.owner();
        let (address, connection) = (self.target.as_deref(), Some(self.link.id()));
        owner.tell(Scene { address, connection, descriptor, ..Scene::default() }, kind);
    }

    /// The address to connect to first: the proxy's, if there is one.
    fn first_hop(&self) -> &Address {
        match (self.link.owner().endpoint.address(), self.options().socks_proxy.endpoint()) {
            (Address::Tcp { .. }, Some(proxy)) => proxy.address(),
            (address, _) => address,
        }
    }

    fn resolve(&mut self, turn: &mut Turn<'_>) -> Fate {
        self.target = None;
        self.link.show(ConnectionState::Connecting);
        let target = match self.first_hop() {
            Address::Tcp { host, port, .. } => match (host.address(*port), host) {
                (Some(address), _) => self.target(address),
                (None, Host::Name(name)) => return self.ask(&name.clone(), *port, turn),
                (None, Host::Zoned(ip, zone)) => return self.ask(&format!("{ip}%{zone}"), *port, turn),
                (None, Host::Any | Host::Ip(_)) => return Fate::Done,
            },
            Address::Ipc(address) => Target::Ipc(address.clone()),
            Address::Inproc(_) => return Fate::Done,
        };
        self.connect(Attempts::new([target]), turn)
    }

    fn target(&self, address: SocketAddr) -> Target {
        match self.link.owner().endpoint.source() {
            Some(source) => Target::TcpFrom(Box::new(source.clone()), address),
            None => Target::Tcp(address),
        }
    }

    fn ask(&mut self, name: &str, port: u16, turn: &mut Turn<'_>) -> Fate {
        let ask = || turn.pool.resolver().ask(name, port, turn.mailbox, turn.id);
        self.question.get_or_insert_with(ask);
        let give_up_at = self.options().connect_timeout().limit().map(|limit| later(turn.now, limit));
        self.state = State::Resolving { give_up_at };
        self.set_alarm(turn);
        Fate::Goes
    }

    fn lookup_took_too_long(&mut self, turn: &mut Turn<'_>) -> Fate {
        let error = ConnectionError::TimedOut;
        self.tell(EventKind::ConnectFailed(error));
        self.failed(error, ReconnectStop::NEVER, turn)
    }

    fn resolved(&mut self, mut addresses: Vec<SocketAddr>, turn: &mut Turn<'_>) -> Fate {
        self.question = None;
        self.link.show(ConnectionState::Connecting); // not yet again if it is late
        // An address with a zone is wanted, whatever its family.
        let is_name = matches!(self.first_hop(), Address::Tcp { host: Host::Name(_), .. });
        addresses.retain(|address| self.options().ipv6() || address.is_ipv4() || !is_name);
        let targets = interleaved(addresses).into_iter().map(|address| self.target(address));
        self.connect(Attempts::new(targets), turn)
    }

    /// Tries addresses until one of them connects.
    fn connect(&mut self, attempts: Attempts, turn: &mut Turn<'_>) -> Fate {
        self.state = State::Connecting(Box::new(attempts));
        self.go_on_connecting(turn)
    }

    fn go_on_connecting(&mut self, turn: &mut Turn<'_>) -> Fate {
        loop {
            let State::Connecting(attempts) = &mut self.state else { return Fate::Goes };
            match attempts.poll(&self.link.owner().options, turn) {
                Progress::Connected(target, stream) => {
                    self.aim_at(&target);
                    return self.connected(stream, turn);
                }
                Progress::Exhausted(error, is_refused) => {
                    if error == ConnectionError::NoAddress {
                        self.tell(EventKind::ConnectFailed(error));
                    }
                    let kind = if is_refused { ReconnectStop::REFUSED } else { ReconnectStop::NEVER };
                    return self.failed(error, kind, turn);
                }
                Progress::Failed(target, error) => {
                    self.aim_at(&target);
                    self.tell(EventKind::ConnectFailed(error));
                }
                Progress::Started(target) => {
                    self.aim_at(&target);
                    self.tell(EventKind::Connecting);
                }
                Progress::Waits => {
                    self.set_alarm(turn);
                    return Fate::Goes;
                }
            }
        }
    }

    /// What is told from now on concerns this address.
    fn aim_at(&mut self, target: &Target) {
        let is_watched = self.link.owner().peers.watchers().is_any();
        self.target = is_watched.then(|| target.endpoint()).flatten().map(Box::new);
    }

    /// The system has connected, to the peer or to a proxy.
    fn connected(&mut self, stream: Stream, turn: &mut Turn<'_>) -> Fate {
        let owner = Arc::clone(self.link.owner());
        let state = std::mem::replace(&mut self.state, NOTHING_YET);
        match (owner.endpoint.address(), owner.options.socks_proxy.endpoint(), state) {
            (Address::Tcp { host, port, .. }, Some(_), State::Connecting(others)) => {
                let socks = Socks::new(host, *port);
                let give_up_at = self.handshake_deadline(turn.now);
                self.state = State::Proxying(Box::new(Proxying { stream, socks, give_up_at, others }));
                self.set_alarm(turn);
                self.ask_proxy(turn)
            }
            _ => self.begin(stream, turn),
        }
    }

    /// Talks to the proxy as far as the kernel goes along.
    fn ask_proxy(&mut self, turn: &mut Turn<'_>) -> Fate {
        let State::Proxying(proxying) = &mut self.state else { return Fate::Goes };
        match talk(&mut proxying.stream, &mut proxying.socks) {
            Ok(false) => Fate::Goes,
            Ok(true) => match std::mem::replace(&mut self.state, NOTHING_YET) {
                State::Proxying(proxying) => self.begin(proxying.stream, turn),
                State::Connected { .. }
                | State::Connecting(_)
                | State::Pausing(_)
                | State::Resolving { .. } => Fate::Goes,
            },
            Err(error) => self.proxy_failed(error, turn),
        }
    }

    /// The proxy did not connect us: perhaps it does at another address.
    fn proxy_failed(&mut self, error: ConnectionError, turn: &mut Turn<'_>) -> Fate {
        self.tell(EventKind::ConnectFailed(error));
        if let State::Proxying(proxying) = std::mem::replace(&mut self.state, NOTHING_YET) {
            let mut others = proxying.others;
            others.note_failure(error);
            self.state = State::Connecting(others);
        }
        self.go_on_connecting(turn)
    }

    fn handshake_deadline(&self, now: Instant) -> Option<Instant> {
        self.options().handshake_interval().deadline(now)
    }

    /// Sees to it that the next thing that is due is not missed.
    fn set_alarm(&mut self, turn: &mut Turn<'_>) {
        let at = match &self.state {
            State::Connected { shake_hands_by } => *shake_hands_by,
            State::Connecting(attempts) => attempts.due_at(),
            State::Pausing(until) => Some(*until),
            State::Proxying(proxying) => proxying.give_up_at,
            State::Resolving { give_up_at } => *give_up_at,
        };
        if let Some(at) = at {
            self.alarms.wake_at(at, turn);
        }
    }

    /// Begins the handshake.
    fn begin(&mut self, stream: Stream, turn: &mut Turn<'_>) -> Fate {
        let shake_hands_by = self.handshake_deadline(turn.now);
        self.state = State::Connected { shake_hands_by };
        self.set_alarm(turn);
        self.tell_of(stream.descriptor(), EventKind::Connected);
        self.link.show(ConnectionState::ShakingHands);
        self.link.up(|ends| Session::new(stream, &self.link, ends));
        self.drive(work::READABLE, turn)
    }

    fn drive(&self, noted: u8, turn: &mut Turn<'_>) -> Fate {
        if self.link.drive(noted) {
            turn.come_again();
        }
        Fate::Goes
    }

    fn ended(&mut self, end: End, was_ready: bool, turn: &mut Turn<'_>) -> Fate {
        if !was_ready {
            self.tell(end.error().map_or(EventKind::Disconnected(None), EventKind::HandshakeFailed));
        }
        let error = match end.error() {
            // A refusal is final: the same credentials would be refused again (E-01).
            Some(
                error @ ConnectionError::Protocol(
                    ProtocolError::NotLetInByPeer(_) | ProtocolError::RefusedByPeer(_),
                ),
            ) => return self.give_up(error),
            Some(error) => error,
            None if self.stop.is_some() || self.link.owner().keeps_pipes() => return Fate::Done,
            // Sent, and not stopped: the socket had no place for this peer.
            None => ConnectionError::PeerClosed,
        };
        if !self.link.owner().keeps_pipes() {
            drop(self.link.take_ends());
        }
        if self.may_return_at_once(end) {
            return self.return_at_once(error, turn);
        }
        let stop = if was_ready { ReconnectStop::DISCONNECTED } else { ReconnectStop::HANDSHAKE_FAILED };
        self.failed(error, stop, turn)
    }

    /// Whether the peer has done nothing wrong: this side has given it up. One that is given up over and over, and says
    /// nothing in between, is given its time.
    fn may_return_at_once(&mut self, end: End) -> bool {
        let End::GivenUp { was_heard } = end else { return false };
        self.given_up = if was_heard { 1 } else { self.given_up.saturating_add(1) };
        self.given_up <= GIVE_UPS_AT_ONCE && self.options().reconnect_interval() != ReconnectInterval::Never
    }

    fn return_at_once(&mut self, error: ConnectionError, turn: &mut Turn<'_>) -> Fate {
        if self.stop.is_some() && self.has_nothing_to_send() {
            return self.give_up(error);
        }
        self.tell(EventKind::Retried { pause: Duration::ZERO, error });
        self.link.show_error(ConnectionState::Waiting, error);
        self.resolve(turn)
    }

    /// Pauses, unless this kind of failure is not to be tried again.
    fn failed(&mut self, error: ConnectionError, kind: ReconnectStop, turn: &mut Turn<'_>) -> Fate {
        let stops = kind != ReconnectStop::NEVER && self.options().reconnect_stop().contains(kind);
        let is_done = self.stop.is_some() && self.has_nothing_to_send();
        if stops || is_done || self.is_hurried {
            return self.give_up(error);
        }
        let random = RandomState::new().build_hasher().finish();
        let Some(pause) = self.backoff.next_pause(&self.link.owner().options, random, is_said_no(error))
        else {
            return self.give_up(error);
        };
        let until = later(turn.now, pause);
        self.state = State::Pausing(until);
        self.tell(EventKind::Retried { pause, error });
        self.link.show_error(ConnectionState::Waiting, error);
        self.set_alarm(turn);
        Fate::Goes
    }

    fn give_up(&self, error: ConnectionError) -> Fate {
        self.link.show_error(ConnectionState::Failed, error);
        Fate::Done
    }

    fn has_nothing_to_send(&self) -> bool {
        let Some(mut ends) = self.link.take_ends() else { return true };
        let is_dry = ends.is_finished() || self.link.is_stopped() && ends.is_dry();
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
            State::Connecting(_) | State::Pausing(_) | State::Proxying(_) | State::Resolving { .. } => {
                if self.has_nothing_to_send() { Fate::Done } else { Fate::Goes }
            }
        }
    }

    /// The context ends. A link that is stopped already keeps its own deadline.
    fn finish(&mut self, finish: Finish, turn: &mut Turn<'_>) -> Fate {
        self.is_hurried |= finish.is_hurried;
        if self.is_hurried && matches!(self.state, State::Pausing(_)) {
            return Fate::Done;
        }
        if self.link.set_stopped() { self.stop(finish.by, turn) } else { Fate::Goes }
    }
}

impl Task for Dialer {
    fn on_start(&mut self, turn: &mut Turn<'_>) -> Fate {
        self.resolve(turn)
    }

    fn on_event(&mut self, ready: Readiness, turn: &mut Turn<'_>) -> Fate {
        match self.state {
            State::Connected { .. } => self.drive(noted(ready), turn),
            State::Connecting(_) => self.go_on_connecting(turn),
            State::Proxying(_) => self.ask_proxy(turn),
            State::Pausing(_) | State::Resolving { .. } => Fate::Goes,
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
                if was_ready && !end.error().is_some_and(is_said_no) {
                    self.backoff.reset();
                }
                self.ended(end, was_ready, turn)
            }
            Notice::Resolved(addresses) => self.resolved(addresses, turn),
            Notice::Stop(deadline) => self.stop(deadline, turn),
            Notice::Finish(finish) => self.finish(finish, turn),
            Notice::Tick => {
                self.ticker.start(&self.link, turn);
                Fate::Goes
            }
            Notice::WakeAt(at) => {
                self.beat.wake_at(at, turn);
                Fate::Goes
            }
            Notice::LookLater => {
                self.beat.look_later(turn);
                Fate::Goes
            }
        }
    }

    fn on_timer(&mut self, turn: &mut Turn<'_>) -> Fate {
        if self.stop.flatten().is_some_and(|at| turn.now >= at) {
            return Fate::Done;
        }
        self.ticker.on_timer(&self.link, turn);
        self.alarms.on_timer(turn.now);
        let fate = self.on_alarm(turn);
        self.set_alarm(turn);
        fate
    }
}

impl Dialer {
    /// It may be time for what the dialer waits for.
    fn on_alarm(&mut self, turn: &mut Turn<'_>) -> Fate {
        match &self.state {
            State::Pausing(until) if turn.now >= *until => self.resolve(turn),
            State::Connecting(_) => self.go_on_connecting(turn),
            State::Resolving { give_up_at: Some(at) } if turn.now >= *at => self.lookup_took_too_long(turn),
            State::Proxying(proxying) if proxying.give_up_at.is_some_and(|at| turn.now >= at) => {
                self.proxy_failed(ConnectionError::TimedOut, turn)
            }
            State::Connected { shake_hands_by: Some(by) } if turn.now >= *by => {
                match self.link.end_handshake() {
                    Some(true) => {
                        let error = ProtocolError::HandshakeTimeout.into();
                        self.tell(EventKind::HandshakeFailed(error));
                        return self.failed(error, ReconnectStop::HANDSHAKE_FAILED, turn);
                    }
                    Some(false) => self.state = State::Connected { shake_hands_by: None },
                    None => {
                        let again_at = later(turn.now, IN_STEP_TICK);
                        self.state = State::Connected { shake_hands_by: Some(again_at) };
                    }
                }
                // And work that was noted while we held the session.
                let noted = self.beat.due(turn.now);
                self.drive(noted, turn)
            }
            State::Connected { .. } => match self.beat.due(turn.now) {
                0 => Fate::Goes,
                noted => self.drive(noted, turn),
            },
            State::Pausing(_) | State::Proxying(_) | State::Resolving { .. } => Fate::Goes,
        }
    }

    /// The pipe ends are gone.
    fn leave(&mut self) {
        self.link.release_name();
        self.tell(EventKind::Closed(self.link.status.as_ref().and_then(|status| status.failure())));
        if let Some(upstream) = &self.link.owner().upstream {
            upstream.nudge(); // who waits for its peer waits in vain
        }
        self.link.forget_peer();
    }
}

impl Drop for Dialer {
    fn drop(&mut self) {
        let steps: [fn(&mut Self); 3] = [
            // Unless it failed: then the handle says why.
            |dialer| dialer.link.show(ConnectionState::Closed),
            // The pipes lead back to the link: dropping the ends lets both go.
            |dialer| dialer.link.let_go(),
            Self::leave,
        ];
        // Tasks are woken and messages dropped, which is foreign code: what panics there keeps none from the others.
        do_each(steps, |step| step(self));
    }
}

/// Writes and reads until the kernel has no more. `true`: the stream is the target's.
fn talk(stream: &mut Stream, socks: &mut Socks) -> Result<bool, ConnectionError> {
    let mut octets = [0; HANDSHAKE_READ];
    loop {
        while !socks.octets().is_empty() {
            match stream.write(&[IoSlice::new(socks.octets())]).map_err(ConnectionError::Io)? {
                0 => return Ok(false),
                count => socks.advance(count),
            }
        }
        let wanted = socks.wanted().min(octets.len());
        let Some(room) = octets.get_mut(..wanted) else { return Ok(false) };
        match stream.read(&mut [IoSliceMut::new(room)]).map_err(ConnectionError::Io)? {
            Read::Dry => return Ok(false),
            Read::End => return Err(ConnectionError::PeerClosed),
            Read::Octets(count) => {
                if socks.handle_octets(room.get(..count).unwrap_or_default())? {
                    return Ok(true);
                }
            }
        }
    }
}

/// Whether the peer has said no, or something that is of no use, and will soon say so again; or this side has, because
/// another one has the peer's name.
fn is_said_no(error: ConnectionError) -> bool {
    use ProtocolError::{CommandTooLarge, RoutingIdInUse, RoutingIdRefused, RoutingIdTakenOver};
    error == ConnectionError::HandedOver
        || matches!(
            error,
            ConnectionError::Protocol(
                CommandTooLarge(_) | RoutingIdInUse | RoutingIdRefused | RoutingIdTakenOver
            )
        )
}
