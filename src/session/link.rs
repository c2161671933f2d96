//! A link: one connection's place, and who may work on it.
//!
//! Work on a session is done by whoever has it in hand: the I/O thread that hears of events, or the socket's
//! thread that would otherwise sleep. Nobody waits for the other: work is noted first, then the session is
//! taken if it is free, and whoever gives it back looks for work that was noted meanwhile.
//!
//! ```text
//!   note work ─▶ is it free? ──no──▶ whoever holds it will see the note
//!                    │ yes
//!                    ▼
//!        take notes, run, give back ─▶ notes again? ──no──▶ done
//!                    ▲                      │ yes
//!                    └──────────────────────┘
//! ```
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::io::{End, IoMailbox, Notice, ToIo, ToSocket};
use crate::pipe::{Assist, Ready, Wake};
use crate::session::session::{Progress, Session};
use crate::session::{Ends, Owner, connect_pipes};
use crate::sync::{AtomicU8, Mutex, MutexGuard, Ordering, fence, lock, try_lock};

/// Notes of work to be done on a session.
pub(crate) mod work {
    /// The kernel has octets for us.
    pub(crate) const READABLE: u8 = 1;
    /// The kernel has room again.
    pub(crate) const WRITABLE: u8 = 2;
    /// The peer has closed, or there is an error: read to the end.
    pub(crate) const CLOSED: u8 = 4;
    /// A pipe has changed: messages to write, or room to read into.
    pub(crate) const PIPES: u8 = 8;
    /// Somebody would like to have messages now: look at the kernel without being told.
    pub(crate) const FILL: u8 = 16;
    /// The socket's own thread is at work.
    pub(crate) const CALLER: u8 = 32;
    /// The last turn's budget was spent before all was done.
    pub(crate) const AGAIN: u8 = 64;
}

/// A session, or the pipe ends that wait for one.
enum Place {
    Down(Option<Ends>),
    Up(Box<Session>),
}

/// One connection's place.
pub(crate) struct Link {
    id: u64,
    mailbox: Arc<IoMailbox>,
    owner: Arc<Owner>,
    this: Weak<Link>,
    work: AtomicU8,
    place: Mutex<Place>,
}

impl Link {
    /// A link without a session, driven by the thread of `mailbox` under the number `id`.
    pub(crate) fn new(mailbox: Arc<IoMailbox>, owner: Arc<Owner>) -> Arc<Self> {
        let id = crate::io::unique_id();
        Arc::new_cyclic(|this| Self {
            id,
            mailbox,
            owner,
            this: Weak::clone(this),
            work: AtomicU8::new(0),
            place: Mutex::new(Place::Down(None)),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn owner(&self) -> &Arc<Owner> {
        &self.owner
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
    pub(crate) fn set_ends(&self, ends: Ends) {
        *self.place() = Place::Down(Some(ends));
    }

    /// Puts a session in place.
    pub(crate) fn up(&self, make: impl FnOnce(Option<Ends>) -> Session) {
        let mut place = self.place();
        if let Place::Down(ends) = &mut *place {
            let ends = ends.take();
            *place = Place::Up(Box::new(make(ends)));
        }
    }

    /// Ends the session, if there is one, and returns the pipe ends.
    pub(crate) fn take_ends(&self) -> Option<Ends> {
        match std::mem::replace(&mut *self.place(), Place::Down(None)) {
            Place::Down(ends) => ends,
            Place::Up(session) => session.into_ends(),
        }
    }

    /// Whether a session is in place that has not finished its handshake.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        matches!(&*self.place(), Place::Up(session) if session.is_shaking_hands())
    }

    /// Whether a session is in place.
    pub(crate) fn is_up(&self) -> bool {
        matches!(&*self.place(), Place::Up(_))
    }

    /// Does `work`, or leaves it to whoever holds the session. `true`: there is more, come again.
    pub(crate) fn drive(&self, work: u8) -> bool {
        // Relaxed: ordered by the fence.
        self.work.fetch_or(work, Ordering::Relaxed);
        let mut has_more = false;
        loop {
            // Pairs with the same fence of whoever holds the session: we noted the work and now look at the
            // lock; it gives the lock back and then looks at the notes. One of us sees the other.
            fence(Ordering::SeqCst);
            if self.work.load(Ordering::Relaxed) == 0 {
                if has_more {
                    // Relaxed: whoever takes the note looks at everything. Without it the next turn would
                    // find nothing noted, and no event comes for what the kernel reported before.
                    self.work.fetch_or(work::AGAIN, Ordering::Relaxed);
                }
                return has_more;
            }
            let Some(mut place) = try_lock(&self.place) else { return has_more };
            // AcqRel: what was done before the work was noted is visible to us.
            let work = self.work.swap(0, Ordering::AcqRel);
            has_more = self.run(&mut place, work);
        }
    }

    /// Looks after a connection whose caller streams: see [`Session::tick`]. `false`: no more ticks.
    pub(crate) fn tick(&self) -> bool {
        let goes_on = match try_lock(&self.place).as_deref_mut() {
            Some(Place::Up(session)) => session.tick(),
            Some(Place::Down(_)) => false,
            None => true, // somebody is at work
        };
        if self.drive(work::PIPES) {
            self.post(Notice::Drive);
        }
        goes_on
    }

    fn run(&self, place: &mut Place, work: u8) -> bool {
        let Place::Up(session) = place else { return false };
        match session.run(work, self) {
            Ok(Progress::Again) => true,
            Ok(Progress::Waits) => false,
            Err(end) => {
                if let Place::Up(session) = std::mem::replace(place, Place::Down(None)) {
                    *place = Place::Down(session.into_ends());
                }
                self.post(Notice::Ended(end));
                false
            }
        }
    }

    /// Makes pipes and gives the socket its ends: the peer is ready.
    pub(super) fn attach(&self) -> Option<Ends> {
        let (pipe, ends) = connect_pipes(&self.owner, &self.this.upgrade()?);
        self.owner.mailbox.post(ToSocket::Attach(pipe));
        Some(ends)
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        lock(&self.place)
    }
}

impl Wake for Link {
    fn wake(&self, _: u64, _: Ready) {
        // Relaxed: the mailbox's lock orders the note before the task's look at it.
        if self.work.fetch_or(work::PIPES, Ordering::Relaxed) & work::PIPES == 0 {
            self.post(Notice::Drive);
        }
    }
}

impl Assist for Link {
    fn flush(&self) {
        if self.drive(work::PIPES | work::CALLER) {
            self.post(Notice::Drive);
        }
    }

    fn fill(&self) {
        if self.drive(work::FILL | work::CALLER) {
            self.post(Notice::Drive);
        }
    }

    fn stop(&self, deadline: Option<Instant>) {
        self.post(Notice::Stop(deadline));
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("id", &self.id).finish_non_exhaustive()
    }
}
