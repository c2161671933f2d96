//! Listeners: accept connections and hand each to the least loaded I/O thread.
#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::Token;

use crate::endpoint::Endpoint;
use crate::error::{ConnectionError, OsError, ProtocolError};
use crate::io::{End, Fate, IoMailbox, Notice, Readiness, Task, ToIo, Turn};
use crate::limits::{ACCEPT_PAUSE, ACCEPTS_PER_TURN, IN_STEP_TICK};
use crate::session::link::Link;
use crate::session::protocol::Session;
use crate::session::ticker::{Beat, Ticker};
use crate::session::work::{self, noted};
use crate::session::{EventKind, Owner, Scene, TurnedAway, half_open};
use crate::sync::{Mutex, lock};
use crate::time::later;
use crate::transport::{self, Listener, Stream};

/// A bound listener, shared by its socket and its I/O thread: unbinding must not wait for the thread.
#[derive(Debug)]
struct Shared {
    owner: Arc<Owner>,
    listener: Mutex<Option<Listener>>,
    trouble: Mutex<Trouble>,
}

/// What keeps a listener from accepting.
#[derive(Debug, Default)]
struct Trouble {
    last_error: Option<OsError>,
    /// Nobody is accepted until the next try.
    is_paused: bool,
}

/// The socket's handle of a listener; dropping it closes the listener at once.
#[derive(Debug)]
pub(crate) struct Bound {
    id: u64,
    mailbox: Arc<IoMailbox>,
    shared: Arc<Shared>,
}

impl Bound {
    /// Starts to accept on `listener` for `owner`'s socket.
    pub(crate) fn start(listener: Listener, mailbox: Arc<IoMailbox>, owner: Arc<Owner>) -> Self {
        let id = crate::io::unique_id();
        let descriptor = listener.descriptor();
        owner.tell(Scene { descriptor, ..Scene::default() }, EventKind::Listening);
        let (listener, trouble) = (Mutex::new(Some(listener)), Mutex::default());
        let shared = Arc::new(Shared { owner, listener, trouble });
        let task = ListenerTask { shared: Arc::clone(&shared), is_registered: false, try_at: None };
        mailbox.post(ToIo::Start(id, Box::new(task)));
        Self { id, mailbox, shared }
    }

    /// Why a connection could last not be accepted.
    pub(crate) fn last_error(&self) -> Option<OsError> {
        lock(&self.shared.trouble).last_error
    }

    /// Whether nobody is accepted for now, because of the last error.
    pub(crate) fn is_paused(&self) -> bool {
        lock(&self.shared.trouble).is_paused
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if !self.mailbox.is_here() {
            return; // it is the listener of the process that was forked
        }
        drop(lock(&self.shared.listener).take());
        self.shared.owner.tell(Scene::default(), EventKind::Closed(None));
        self.mailbox.post(ToIo::Notice(self.id, Notice::Stop(None)));
    }
}

/// The I/O thread's side of a listener.
pub(crate) struct ListenerTask {
    shared: Arc<Shared>,
    /// The kernel tells of peers.
    is_registered: bool,
    /// Nobody is accepted before: the one timer of a pause.
    try_at: Option<Instant>,
}

impl ListenerTask {
    fn owner(&self) -> &Arc<Owner> {
        &self.shared.owner
    }

    /// Looks for peers, unless that has to wait. Each peer that comes during a pause is an event of its own.
    fn look(&mut self, turn: &mut Turn<'_>) -> Fate {
        if self.try_at.is_some_and(|at| turn.now < at) {
            return Fate::Goes;
        }
        self.try_at = None;
        if !self.is_registered {
            let token = Token(usize::try_from(turn.id).unwrap_or(usize::MAX));
            let registered = match &mut *lock(&self.shared.listener) {
                Some(listener) => listener.register(turn.registry, token),
                None => return Fate::Done,
            };
            if let Err(error) = registered {
                return self.pause(error, turn);
            }
            self.is_registered = true;
        }
        self.accept(turn)
    }

    /// Nothing goes on until a while has passed. What waits stays in the backlog, for which no new event will come
    ///
    fn pause(&mut self, error: io::Error, turn: &mut Turn<'_>) -> Fate {
        let error = OsError::from(error);
        let mut trouble = lock(&self.shared.trouble);
        trouble.last_error = Some(error);
        let is_new = !std::mem::replace(&mut trouble.is_paused, true);
        drop(trouble);
        if is_new {
            self.owner().tell(Scene::default(), EventKind::AcceptFailed(error));
        } else {
            self.owner().peers.watchers().count_accept_failed();
        }
        let at = later(turn.now, ACCEPT_PAUSE);
        self.try_at = Some(at);
        turn.wake_at(at);
        Fate::Goes
    }

    fn accept(&mut self, turn: &mut Turn<'_>) -> Fate {
        // A peer that has gone counts as if it had its descriptor until the socket has received what it said: who comes,
        // says much and goes, over and over, would have it held without end. Each connection has the owner once.
        if let Err(error) = transport::check_descriptors(Arc::strong_count(self.owner())) {
            return self.pause(error, turn);
        }
        for _ in 0..ACCEPTS_PER_TURN {
            let accepted = match &*lock(&self.shared.listener) {
                Some(listener) => listener.accept(&self.owner().options),
                None => return Fate::Done,
            };
            match accepted {
                Ok(Some((stream, address))) => self.hand_over(stream, address, turn),
                Ok(None) => {
                    lock(&self.shared.trouble).is_paused = false;
                    return Fate::Goes;
                }
                // Out of descriptors or memory.
                Err(error) => return self.pause(error, turn),
            }
        }
        lock(&self.shared.trouble).is_paused = false;
        turn.come_again();
        Fate::Goes
    }

    fn hand_over(&self, stream: Stream, address: Option<SocketAddr>, turn: &Turn<'_>) {
        let options = &self.owner().options;
        let is_watched = self.owner().peers.watchers().is_any();
        let peer = address.filter(|_| is_watched).map(Endpoint::tcp);
        let scene = Scene {
            address: peer.as_ref(),
            descriptor: stream.descriptor(),
            is_accepted: true,
            ..Scene::default()
        };
        if !half_open::may_connect(address, options) {
            return self.owner().tell(scene, EventKind::TurnedAway(TurnedAway::Address));
        }
        let Some(place) = self.owner().half_open.enter(address, options) else {
            return self.owner().tell(scene, EventKind::TurnedAway(TurnedAway::TooMany));
        };
        let Ok(mailbox) = turn.pool.pick(options.affinity()) else { return };
        let link = Link::new(mailbox, Arc::clone(self.owner()), None);
        link.set_half_open(place);
        self.owner().tell(Scene { connection: Some(link.id()), ..scene }, EventKind::Accepted);
        let task = Accepted {
            link: Arc::clone(&link),
            stream: Some(stream),
            peer: peer.map(Box::new),
            stop_at: None,
            ticker: Ticker::default(),
            beat: Beat::default(),
        };
        link.start(Box::new(task));
    }
}

impl Task for ListenerTask {
    fn on_start(&mut self, turn: &mut Turn<'_>) -> Fate {
        self.look(turn)
    }

    fn on_event(&mut self, _: Readiness, turn: &mut Turn<'_>) -> Fate {
        self.look(turn)
    }

    fn on_notice(&mut self, notice: Notice, turn: &mut Turn<'_>) -> Fate {
        match notice {
            Notice::Stop(_) | Notice::Finish(_) => Fate::Done,
            Notice::Drive => self.look(turn),
            Notice::Ended { .. }
            | Notice::LookLater
            | Notice::Resolved(_)
            | Notice::Tick
            | Notice::WakeAt(_) => Fate::Goes,
        }
    }

    fn on_timer(&mut self, turn: &mut Turn<'_>) -> Fate {
        self.look(turn)
    }
}

/// An accepted connection: lives as long as its session.
struct Accepted {
    link: Arc<Link>,
    /// The stream until the first turn.
    stream: Option<Stream>,
    /// Where the peer is, if somebody watches. Boxed: few connections have it.
    peer: Option<Box<Endpoint>>,
    stop_at: Option<Instant>,
    ticker: Ticker,
    beat: Beat,
}

impl Accepted {
    /// Tells whoever watches.
    fn tell(&self, kind: EventKind) {
        let (address, connection) = (self.peer.as_deref(), Some(self.link.id()));
        let scene = Scene { address, connection, is_accepted: true, ..Scene::default() };
        self.link.owner().tell(scene, kind);
    }

    fn drive(&self, noted: u8, turn: &mut Turn<'_>) -> Fate {
        if self.link.drive(noted) {
            turn.come_again();
        }
        Fate::Goes
    }

    /// Ends when what is queued is sent.
    fn stop(&mut self, deadline: Option<Instant>, turn: &mut Turn<'_>) -> Fate {
        self.stop_at = deadline;
        if let Some(deadline) = deadline {
            turn.wake_at(deadline);
        }
        self.drive(work::PIPES, turn)
    }
}

impl Task for Accepted {
    fn on_start(&mut self, turn: &mut Turn<'_>) -> Fate {
        let Some(mut stream) = self.stream.take() else { return Fate::Done };
        let token = Token(usize::try_from(turn.id).unwrap_or(usize::MAX));
        if let Err(error) = stream.register(turn.registry, token) {
            self.tell(EventKind::HandshakeFailed(ConnectionError::Io(error.into())));
            return Fate::Done;
        }
        if let Some(at) = self.link.owner().options.handshake_interval().deadline(turn.now) {
            turn.wake_at(at);
        }
        self.link.up(|ends| Session::new(stream, &self.link, ends));
        self.drive(work::READABLE, turn)
    }

    fn on_event(&mut self, ready: Readiness, turn: &mut Turn<'_>) -> Fate {
        self.drive(noted(ready), turn)
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
                if end == End::Unheard {
                    self.tell(EventKind::Left);
                } else if !was_ready {
                    let kind = end.error().map_or(EventKind::Disconnected(None), EventKind::HandshakeFailed);
                    self.tell(kind);
                }
                Fate::Done
            }
            Notice::Stop(deadline) => self.stop(deadline, turn),
            Notice::Finish(finish) if self.link.set_stopped() => self.stop(finish.by, turn),
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
            Notice::Finish(_) | Notice::Resolved(_) => Fate::Goes,
        }
    }

    fn on_timer(&mut self, turn: &mut Turn<'_>) -> Fate {
        if self.stop_at.is_some_and(|at| turn.now >= at) {
            return Fate::Done;
        }
        self.ticker.on_timer(&self.link, turn);
        // The handshake's deadline is the only other timer; a late stop timer finds the handshake done. Behind it nobody
        // has to wait for a caller that waits in a read.
        let was_ended = if self.link.is_half_open() { self.link.end_handshake() } else { Some(false) };
        match was_ended {
            Some(true) => {
                self.tell(EventKind::HandshakeFailed(ProtocolError::HandshakeTimeout.into()));
                return Fate::Done;
            }
            Some(false) => {}
            None => turn.wake_at(later(turn.now, IN_STEP_TICK)),
        }
        // And work that was noted while we held the session.
        let noted = self.beat.due(turn.now);
        self.drive(noted, turn)
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        if self.link.is_shaking_hands() {
            self.tell(EventKind::Disconnected(None));
        }
        // The pipes lead back to the link: dropping the ends lets both go.
        self.link.let_go();
    }
}
