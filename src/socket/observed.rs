//! A socket that somebody watches: a poller, or a descriptor.
//!
//! Observers are on any thread and cannot look into a socket. So the socket shows them what it can do, exactly, each
//! time that it has been used; and whoever posts something that may change it shows them that, until the socket has
//! looked. A socket that nobody observes knows nothing of all this.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::error::{RecvError, SendError};
use crate::interest::Interest;
use crate::io::SocketMailbox;
use crate::message::Payload;
use crate::patterns::{Pattern, Strategy};
use crate::pipe::{Heed, Observer, Patience};
use crate::session::Manner;
use crate::socket::Socket;
use crate::socket::core::{Core, RecvVerb, SendVerb};
use crate::socket_type::SocketType;

/// A socket of any type, for a [`Poller`](crate::Poller) or [`poll`](crate::poll). Implemented by this crate only.
#[allow(private_bounds, reason = "sealed: how a socket is watched is not for other crates")]
pub trait Pollable: Observed {}

/// What is asked of a socket that is one of several.
pub(crate) trait Observed {
    /// Names the socket among all of this process.
    fn id(&self) -> u64;
    /// How a call waits.
    fn manner(&self) -> Manner;
    /// Where it is told of news.
    fn mailbox(&self) -> &SocketMailbox;
    /// Takes in what was posted. What can be done now.
    fn look(&mut self) -> Interest;
    /// From now on `observer` is shown what the socket can do, until the mailbox ignores it.
    fn observe(&mut self, observer: Arc<dyn Observer>) -> Arc<SocketMailbox>;
}

impl<P: Pattern> Pollable for Socket<P> {}

impl<P: Pattern> Observed for Socket<P> {
    fn id(&self) -> u64 {
        self.core.id
    }

    fn manner(&self) -> Manner {
        self.core.context.manner()
    }

    fn mailbox(&self) -> &SocketMailbox {
        &self.core.mailbox
    }

    fn look(&mut self) -> Interest {
        self.readiness()
    }

    fn observe(&mut self, observer: Arc<dyn Observer>) -> Arc<SocketMailbox> {
        self.core.mailbox.observe(observer, self.core.heed());
        self.core.show(&mut self.pattern, true);
        Arc::clone(&self.core.mailbox)
    }
}

impl<P: Pattern> Socket<P> {
    /// Returns what can be done now, and does not wait.
    ///
    /// If it is readable, the next `try_recv` finds a message: what nobody wants (no subscription matches it, it is no
    /// request, or the reply to another one) was dropped and counted before. If not, it finds nothing, unless
    /// something has come meanwhile. The exception is a SUB that conflates and wants some topics only, whose message a
    /// newer one can replace in between.
    ///
    /// If it is writable, a `try_send` finds a peer with room. A ROUTER, STREAM, PUB, XPUB and XSUB are always writable,
    /// since they decide for each message; a REQ is while it has no request under way, a REP while it has a request to
    /// answer. After a shutdown of the context a socket is ready for everything, and the call says why.
    ///
    /// A [`Poller`](crate::Poller) cannot look into sockets: what it reports is to be asked here, or tried.
    /// [`poll`](crate::poll) waits for several sockets and asks them itself.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use peermq::{Context, Interest, Pub, Sub};
    ///
    /// let context = Context::new();
    /// let mut news = context.open::<Pub>()?;
    /// news.bind("inproc://news")?;
    /// let mut reader = context.open::<Sub>()?;
    /// reader.connect("inproc://news")?;
    /// reader.subscribe("weather.")?;
    /// reader.subscribe("sports.")?;
    /// news.wait_for_subscribers(1, Duration::from_secs(10))?;
    /// news.send("sports.chess")?;
    /// reader.unsubscribe("sports.");
    /// assert_eq!(reader.readiness(), Interest::NONE, "nobody wants what has come");
    /// news.send("weather.rain")?;
    /// assert_eq!(reader.readiness(), Interest::READABLE);
    /// assert_eq!(reader.try_recv()?, "weather.rain");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ZMQ_EVENTS")]
    pub fn readiness(&mut self) -> Interest {
        self.core.look(&mut self.pattern)
    }
}

impl Core {
    /// Takes mail in. What can be done now.
    fn look<P: Strategy>(&mut self, pattern: &mut P) -> Interest {
        self.pipes.start(Patience::None);
        let had_mail = self.mailbox.has_items() && self.handle_mail(pattern);
        let mut ready = self.readiness(pattern);
        while ready != Interest::BOTH && self.goes_on(pattern) {
            ready = self.readiness(pattern);
        }
        // Observers may have been told of more than there is.
        self.show(pattern, had_mail || !ready.is_readable());
        ready
    }

    /// What of that which is posted observers have to hear of.
    pub(super) fn heed(&self) -> Heed {
        let news = self.options().router_notify();
        let is_curious = self.options().probe_router() || news.on_connect() || news.on_disconnect();
        let hints = match self.socket_type {
            // When these can send, nobody else decides.
            SocketType::Pull | SocketType::Rep | SocketType::Sub => Interest::READABLE,
            SocketType::Pub | SocketType::Push => Interest::WRITABLE,
            SocketType::Dealer
            | SocketType::Pair
            | SocketType::Req
            | SocketType::Router
            | SocketType::Stream
            | SocketType::XPub
            | SocketType::XSub => Interest::BOTH,
        };
        Heed { hints, is_curious }
    }

    /// What can be done now. What cannot is told by the mailbox when it can.
    pub(super) fn readiness<P: Strategy>(&mut self, pattern: &mut P) -> Interest {
        if self.is_terminated() {
            return Interest::BOTH;
        }
        let pipes = &mut self.pipes;
        let readable = if pattern.is_readable(pipes) { Interest::READABLE } else { Interest::NONE };
        let writable = if pattern.is_writable(pipes) { Interest::WRITABLE } else { Interest::NONE };
        readable | writable
    }

    /// Shows observers what can be done, if there are any: when it has changed, or if they were shown what others
    /// thought.
    pub(super) fn show<P: Strategy>(&mut self, pattern: &mut P, mut is_due: bool) {
        if !self.mailbox.is_observed() {
            return;
        }
        loop {
            if self.mailbox.has_items() {
                self.handle_mail(pattern);
                is_due = true;
            }
            let ready = self.readiness(pattern);
            let was_any = self.settle(pattern);
            if !was_any && !is_due && ready == self.shown && !self.pipes.is_cut_short() {
                return;
            }
            if self.pipes.is_cut_short() {
                // There may be more, which nobody will tell of.
                self.shown = Interest::BOTH;
                self.mailbox.remind();
                return self.mailbox.show_as_told(ready);
            }
            if !was_any && self.mailbox.settle(ready) {
                self.shown = ready;
                return;
            }
            is_due = true;
        }
    }

    #[cold]
    pub(super) fn send_observed<P: Strategy>(
        &mut self,
        pattern: &mut P,
        payload: &mut Payload<'_>,
        verb: &mut impl SendVerb<P>,
    ) -> Result<(), SendError> {
        let had_mail = self.mailbox.has_items() && self.handle_mail(pattern);
        let sent = self.send_now(pattern, payload, verb);
        self.show(pattern, had_mail || sent.is_err());
        sent
    }

    #[inline(never)]
    pub(super) fn recv_observed<P: Strategy>(
        &mut self,
        pattern: &mut P,
        verb: &mut impl RecvVerb<P>,
    ) -> Result<(), RecvError> {
        let had_mail = self.mailbox.has_items() && self.handle_mail(pattern);
        let taken = self.recv_now(pattern, verb);
        // In a stream the next message is there already, and nothing else can change.
        let is_as_shown = taken.is_ok()
            && !had_mail
            && self.shown == Interest::READABLE
            && pattern.takes_all()
            && self.pipes.last_heard().is_some_and(|pipe| pipe.inbound.has_in_view());
        if !is_as_shown {
            self.show(pattern, had_mail || taken.is_err());
        }
        taken
    }
}
