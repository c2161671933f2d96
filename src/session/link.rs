//! A link: one connection's place, and who may work on it.
//!
//! Work on a session is done by whoever has it in hand: the I/O thread that hears of events, or the socket's
//! thread that would otherwise sleep. How it goes from one to the other: [`Handover`].
#![forbid(unsafe_code)]

mod arrival;
mod assist;
pub(in crate::session) mod late;
mod names;
mod orders;

use std::fmt;
use std::sync::{Arc, Weak};

use mio::{Registry, Token};

use crate::error::ConnectionError;
use crate::io::{End, IoMailbox, Notice, ToIo, ToSocket};
use crate::options::Decision;
use crate::pipe::{Assist, Chores, Handover, Pipe, Ready, Wake, WakeUp};
use crate::routing_id::RoutingId;
use crate::session::care::Gait;
use crate::session::half_open;
use crate::session::lookout::Desk;
use crate::session::parting::part;
use crate::session::protocol::{Farewell, Progress, Session, Turn};
use crate::session::streams;
use crate::session::vitals::Pulse;
use crate::session::work;
use crate::session::{ConnectionState, Ends, Owner, Status, connect_pipes};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, lock};

/// A session, or the pipe ends that wait for one.
enum Place {
    Down(Option<Box<Ends>>),
    Up(Box<Session>),
}

/// One connection's place.
pub(crate) struct Link {
    id: u64,
    mailbox: Arc<IoMailbox>,
    owner: Arc<Owner>,
    this: Weak<Self>,
    /// A notice to drive is on its way to the task: one is enough, however many ask.
    is_drive_posted: AtomicBool,
    /// The pipes tell nobody: whoever queues messages writes them before it sleeps.
    is_streamed: AtomicBool,
    /// Whoever waits hears from the kernel what there is to do.
    is_lendable: AtomicBool,
    /// The thread that has it in its list of streams.
    streamer: AtomicU64,
    /// The kernel tells that thread.
    is_lent: AtomicBool,
    /// Lent, it can wait in a read.
    is_patient: AtomicBool,
    is_stopped: AtomicBool,
    /// Stopped, it ends at a time, whatever its peer does.
    is_bounded: AtomicBool,
    /// The peer has closed its half behind everything that it was told.
    is_confirmed: AtomicBool,
    /// Stopped, it has lost a connection on which the peer was told something: what another one tells later covers that
    /// no more.
    is_in_doubt: AtomicBool,
    /// What the handle of a dialer's connection shows; none for an accepted one.
    pub(super) status: Option<Arc<Status>>,
    pub(super) pulse: Pulse,
    place: Handover<Place>,
    /// While an accepted connection shakes hands.
    half_open: Mutex<Option<half_open::Place>>,
    /// The question whether the peer may come in. Boxed: few connections have one.
    asked: Mutex<Option<Box<Asked>>>,
    /// The name that its peer has, at a socket that addresses peers by name. Boxed, as above.
    name: Mutex<Option<Box<RoutingId>>>,
    /// Somebody else wants that name: the peer has to show that it is there.
    is_doubted: AtomicBool,
    orders: orders::Orders,
}

/// A question that waits for an answer, and the answer.
#[derive(Debug)]
struct Asked {
    number: u64,
    answer: Option<Decision>,
}

impl Link {
    /// A link without a session, driven by the thread of `mailbox` under the number `id`.
    pub(crate) fn new(mailbox: Arc<IoMailbox>, owner: Arc<Owner>, status: Option<Arc<Status>>) -> Arc<Self> {
        let id = crate::io::unique_id();
        Arc::new_cyclic(|this| Self {
            id,
            mailbox,
            owner,
            this: Weak::clone(this),
            is_drive_posted: AtomicBool::new(false),
            is_streamed: AtomicBool::new(false),
            is_lendable: AtomicBool::new(false),
            streamer: AtomicU64::new(0),
            is_lent: AtomicBool::new(false),
            is_patient: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            is_bounded: AtomicBool::new(false),
            is_confirmed: AtomicBool::new(false),
            is_in_doubt: AtomicBool::new(false),
            status,
            pulse: Pulse::default(),
            place: Handover::new(Place::Down(None), work::PIPES),
            half_open: Mutex::new(None),
            asked: Mutex::new(None),
            name: Mutex::new(None),
            is_doubted: AtomicBool::new(false),
            orders: orders::Orders::default(),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn owner(&self) -> &Arc<Owner> {
        &self.owner
    }

    /// What is queued now is the last. `false`: so it was before.
    pub(super) fn set_stopped(&self) -> bool {
        // Relaxed: whoever sets it drives the session next.
        !self.is_stopped.swap(true, Ordering::Relaxed)
    }

    /// Counts as half-open until the handshake is done, or the link is gone. Of an accepted connection.
    pub(super) fn set_half_open(&self, place: half_open::Place) {
        *lock(&self.half_open) = Some(place);
    }

    /// Whether it is an accepted connection that has not shaken hands.
    pub(super) fn is_half_open(&self) -> bool {
        lock(&self.half_open).is_some()
    }

    /// Whether the peer has connected to us.
    pub(super) fn is_accepted(&self) -> bool {
        self.status.is_none()
    }

    /// Whether what is queued waits for the next connection when this one is lost.
    pub(super) fn keeps_queue(&self) -> bool {
        !self.is_accepted() && self.owner.keeps_pipes()
    }

    /// Whether its task ends it at a time, whatever the peer does.
    pub(super) fn is_bounded(&self) -> bool {
        // Relaxed: stored before the notice that stops the session.
        self.is_bounded.load(Ordering::Relaxed)
    }

    /// Waits for the answer to this question, and to no other.
    pub(crate) fn expect_decision(&self, number: u64) {
        *lock(&self.asked) = Some(Box::new(Asked { number, answer: None }));
    }

    /// Answers a question whether the peer may come in. Too late, it has no effect.
    pub(crate) fn decide(&self, number: u64, decision: Decision) {
        match lock(&self.asked).as_deref_mut() {
            Some(asked) if asked.number == number => asked.answer = Some(decision),
            Some(_) | None => return,
        }
        if self.place.note(work::PIPES) {
            self.post_drive();
        }
    }

    /// Whether this question has no answer yet.
    pub(crate) fn awaits(&self, number: u64) -> bool {
        lock(&self.asked).as_deref().is_some_and(|asked| asked.number == number && asked.answer.is_none())
    }

    /// The answer to this question, once, if it is there.
    pub(super) fn take_decision(&self, number: u64) -> Option<Decision> {
        match lock(&self.asked).as_deref_mut() {
            Some(asked) if asked.number == number => asked.answer.take(),
            Some(_) | None => None,
        }
    }

    /// The link as whoever has to find it later holds it.
    pub(super) fn this(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    /// How the session is woken.
    pub(super) fn wake_up(&self) -> Option<WakeUp> {
        Some(WakeUp::new(self.id, self.this.upgrade()?))
    }

    /// The poll of the link's I/O thread.
    pub(super) fn registry(&self) -> &Registry {
        self.mailbox.registry()
    }

    /// The link's token in that poll.
    pub(super) fn token(&self) -> Token {
        Token(usize::try_from(self.id).unwrap_or(usize::MAX))
    }

    /// Posts a notice to the link's task.
    pub(crate) fn post(&self, notice: Notice) {
        self.mailbox.post(ToIo::Notice(self.id, notice));
    }

    /// Posts the link's task itself.
    pub(crate) fn start(&self, task: Box<dyn crate::io::Task>) {
        self.mailbox.post(ToIo::Start(self.id, task));
    }

    /// Gives the link pipe ends that outlive its sessions.
    pub(crate) fn set_ends(&self, ends: Box<Ends>) {
        *self.place.lock() = Place::Down(Some(ends));
    }

    /// Puts a session in place.
    pub(super) fn up(&self, make: impl FnOnce(Option<Box<Ends>>) -> Session) {
        let mut place = self.place.lock();
        if let Place::Down(ends) = &mut *place {
            let ends = ends.take();
            *place = Place::Up(Box::new(make(ends)));
        }
    }

    /// Goes on with new pipe ends, and drops the old ones and what is in them. A session of which the peer may have got
    /// something ends: its peer is given up. Without a task drops the new ones, too.
    pub(crate) fn renew(&self, ends: Box<Ends>) {
        let mut place = self.place.lock();
        let ends = match &mut *place {
            Place::Up(session) => session.change_ends(ends),
            Place::Down(_) => Err(ends),
        };
        let goes_on = ends.is_ok();
        if let Err(ends) = ends {
            self.end_given_up(&mut place);
            if let Place::Down(old @ Some(_)) = &mut *place {
                *old = Some(ends);
            }
        }
        drop(place);
        self.drive_rest();
        if goes_on {
            // It has not looked at its new ends, in which there may be nothing: should its context end while it shakes
            // hands, nothing else has it find out that it is over.
            self.wake(self.id, Ready::Readable);
        }
    }

    fn end_given_up(&self, place: &mut Place) {
        if let Place::Up(session) = &*place {
            let was_heard = session.has_heard();
            self.end(place, End::GivenUp { was_heard });
        }
    }

    /// Ends the session, if there is one, and returns the pipe ends.
    pub(crate) fn take_ends(&self) -> Option<Box<Ends>> {
        self.take_from(&mut self.place.lock())
    }

    fn take_from(&self, place: &mut Place) -> Option<Box<Ends>> {
        if !self.mailbox.is_here() {
            return None;
        }
        let mut gone = None;
        let ends = match std::mem::replace(place, Place::Down(None)) {
            Place::Down(ends) => ends,
            Place::Up(mut session) => {
                let rest = session.say_last(None, self);
                gone = self.owner.peers.end(self.id);
                self.end_session(*session, rest, None)
            }
        };
        self.release_passing_name();
        self.owner.peers.tell_end(self.id, gone, Some(&self.owner.endpoint), None);
        ends
    }

    /// The caller goes on at this gait.
    pub(super) fn set_gait(&self, gait: Gait) {
        // Relaxed: whoever misses it loses a tick.
        self.is_streamed.store(gait == Gait::Stream, Ordering::Relaxed);
        self.is_lendable.store(gait != Gait::Quiet, Ordering::Relaxed);
        if gait == Gait::Quiet {
            self.is_lent.store(false, Ordering::Relaxed);
        }
    }

    /// Connections of the same I/O thread that tick.
    pub(super) fn ticking(&self) -> u64 {
        self.mailbox.ticking()
    }

    pub(super) fn is_streamed(&self) -> bool {
        self.is_streamed.load(Ordering::Relaxed)
    }

    /// Enters the connection in this thread's list, if it may be lent and is not there.
    #[inline]
    fn enter_stream(&self) {
        let is_lendable = self.is_lendable.load(Ordering::Relaxed);
        if is_lendable && streams::enter(&self.streamer, self.id, &self.this) {
            self.is_lent.store(false, Ordering::Relaxed);
        }
    }

    /// Writes what is queued, if the connection is still streamed, by `streamer`. `false`: it leaves the list.
    pub(super) fn flush_stream(&self, streamer: u64, chores: &mut Chores) -> bool {
        // Relaxed: whoever misses it finds out at the next sleep.
        if self.streamer.load(Ordering::Relaxed) != streamer {
            return false;
        }
        let is_lendable = self.is_lendable.load(Ordering::Relaxed);
        if !is_lendable {
            self.streamer.store(0, Ordering::Relaxed);
        } else if self.is_streamed() && !self.owner.socket_type.only_receives() {
            self.drive_for_caller(work::PIPES, chores);
        }
        is_lendable
    }

    /// Leaves what the kernel reported to the socket's own thread, or to the next tick; but what waits for room is
    /// written now.
    pub(super) fn leave(&self, work: u8, chores: &mut Chores) {
        let is_urgent = work & work::WRITABLE != 0 && self.is_stuffed(chores);
        self.place.note(work);
        if is_urgent {
            self.drive_for_caller(0, chores);
        }
    }

    /// Whether the kernel takes no more, as far as is known.
    fn is_stuffed(&self, chores: &mut Chores) -> bool {
        let is_stuffed =
            matches!(self.place.try_lock().as_deref(), Some(Place::Up(session)) if session.is_stuffed());
        self.drive_rest_for(chores);
        is_stuffed
    }

    /// Lends the connection to the thread at `desk`, if it may be lent and nobody is at work on it; without one gives
    /// it back to its I/O thread.
    pub(super) fn lend(&self, desk: Option<&Arc<Desk>>) -> bool {
        // Relaxed: when it is taken back meanwhile its I/O thread hears of it, and wakes whoever waits.
        if self.is_lent.load(Ordering::Relaxed) == desk.is_some() {
            return desk.is_some();
        }
        let Some(mut place) = self.place.try_lock() else { return false };
        let is_lent = match &mut *place {
            Place::Up(session) => {
                let is_lent = session.lend(desk, self);
                self.is_patient.store(session.is_patient(), Ordering::Relaxed);
                is_lent
            }
            Place::Down(_) => false,
        };
        self.is_lent.store(is_lent, Ordering::Relaxed); // under the lock, as when it is taken back
        drop(place);
        self.drive_rest();
        is_lent
    }

    fn farewell(&self) -> Farewell<'_> {
        let options = &self.owner.options;
        let is_last = self.is_accepted();
        let message = if is_last { &options.disconnect_msg } else { &options.hiccup_msg };
        let octets = message.octets().filter(|_| self.owner.socket_type.receives_unasked());
        Farewell { octets, is_last }
    }

    /// Moves the handle's state on, if there is a handle.
    pub(super) fn show(&self, state: ConnectionState) {
        if let Some(status) = &self.status {
            status.set(state);
        }
    }

    /// As [`show`](Self::show), because of an error.
    pub(super) fn show_error(&self, state: ConnectionState, error: ConnectionError) {
        if let Some(status) = &self.status {
            status.fail(state, error);
        }
    }

    /// Whether a session is in place that has not finished its handshake, on which nobody is at work.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        matches!(self.place.try_lock().as_deref(), Some(Place::Up(session)) if session.is_shaking_hands())
    }

    /// Does what was noted while this thread held the session.
    fn drive_rest(&self) {
        self.drive_rest_for(&mut Chores::of_look());
    }

    /// The same during a call that has so many chores left.
    fn drive_rest_for(&self, chores: &mut Chores) {
        if self.place.drive(0, |place, work| self.run(place, work, Turn::Task, chores)) {
            self.post_drive();
        }
    }

    /// Does what was noted when the task was told to. `true`: there is more, come again.
    pub(crate) fn drive_as_told(&self) -> bool {
        // AcqRel: pairs with the same in `post_drive`; what was noted before a notice that we make void is
        // visible now.
        self.is_drive_posted.swap(false, Ordering::AcqRel);
        self.drive(0)
    }

    fn post_drive(&self) {
        // AcqRel: see `drive_as_told`.
        if !self.is_drive_posted.swap(true, Ordering::AcqRel) {
            self.post(Notice::Drive);
        }
    }

    /// Does `work`, or leaves it to whoever holds the session. `true`: there is more, come again.
    pub(crate) fn drive(&self, work: u8) -> bool {
        self.place.drive(work, |place, work| self.run(place, work, Turn::Task, &mut Chores::of_turn()))
    }

    /// Looks after a connection that may be lent: see [`Session::tick`]. `Quiet`: no more ticks.
    pub(super) fn tick(&self) -> Gait {
        let gait = match self.place.try_lock().as_deref_mut() {
            Some(place) => match place {
                Place::Up(session) => session.tick(self),
                Place::Down(_) => Gait::Quiet,
            },
            // Somebody is at work.
            None if self.is_streamed() => Gait::Stream,
            None => Gait::InStep,
        };
        // In step, the pipes have told; but what was left to the next tick is noted.
        if self.drive(if gait == Gait::InStep { 0 } else { work::PIPES }) {
            self.post_drive();
        }
        gait
    }

    /// Writes what the caller of a stream has left.
    pub(super) fn look_between_ticks(&self) {
        if self.drive(work::PIPES) {
            self.post_drive();
        }
    }

    #[inline]
    fn run(&self, place: &mut Place, work: u8, turn: Turn, chores: &mut Chores) -> bool {
        if !self.mailbox.is_here() {
            return false; // the connection is that of the process that was forked
        }
        if self.orders.is_any() {
            self.obey(place);
        }
        let session = match place {
            Place::Up(session) => session,
            Place::Down(ends) => {
                // A socket whose connection is gone may have given up a large segment.
                ends.iter_mut().for_each(|ends| ends.outbound.walk_on());
                return false;
            }
        };
        let progress = session.run(work, turn, chores, self);
        self.has_more(place, progress)
    }

    fn has_more(&self, place: &mut Place, progress: Result<Progress, End>) -> bool {
        match progress {
            Ok(Progress::Again) => true,
            Ok(Progress::Waits) => false,
            Err(end) => {
                self.end(place, end);
                false
            }
        }
    }

    fn end(&self, place: &mut Place, mut end: End) {
        if !self.mailbox.is_here() {
            return; // as in `run`
        }
        let mut was_ready = false;
        *lock(&self.asked) = None;
        if let Place::Up(mut session) = std::mem::replace(place, Place::Down(None)) {
            let rest = session.say_last(Some(end), self);
            let is_in_doubt = self.is_stopped() && session.has_told() && !Assist::is_confirmed(self);
            self.is_in_doubt.fetch_or(is_in_doubt, Ordering::Relaxed); // as in `confirm`
            was_ready = !session.is_shaking_hands();
            let has_left = matches!(end, End::PeerClosed | End::Io(_));
            if has_left && self.is_accepted() && session.is_unheard() {
                end = End::Unheard;
            }
            let gone = self.owner.peers.end(self.id);
            *place = Place::Down(self.end_session(*session, rest, Some(end)));
            self.release_passing_name();
            // Last: whoever hears of it may be back at once, under the same name.
            self.owner.peers.tell_end(self.id, gone, Some(&self.owner.endpoint), end.error());
        }
        self.post(Notice::Ended { end, was_ready });
    }

    /// Ends a session that has this rest to say, and returns the pipe ends.
    fn end_session(&self, session: Session, rest: Vec<u8>, end: Option<End>) -> Option<Box<Ends>> {
        let is_parting = matches!(end, Some(End::Dismissed | End::NameLost(_) | End::Protocol(_)));
        if rest.is_empty() && !is_parting {
            return session.into_ends(self.farewell());
        }
        let (ends, stream) = session.part(self.farewell(), self);
        if let Some(stream) = stream {
            part(stream, rest, &self.mailbox);
        }
        ends
    }

    /// Makes pipes for a peer that is ready.
    pub(super) fn make_pipes(&self) -> Option<(Pipe, Ends)> {
        Some(connect_pipes(&self.owner, &self.this.upgrade()?))
    }

    /// Gives the socket its end.
    pub(super) fn attach(&self, mut pipe: Pipe, peer: RoutingId) {
        pipe.peer = Some(peer);
        pipe.is_up = true;
        self.owner.mailbox.post(ToSocket::Attach(Box::new(pipe)));
        self.owner.forget_unseen();
    }

    /// The connection will not be made again.
    pub(super) fn forget_peer(&self) {
        if self.is_stopped() {
            self.owner.peers.remove(self.id, Some(&self.owner.endpoint), None);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("id", &self.id).finish_non_exhaustive()
    }
}
