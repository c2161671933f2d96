//! What every socket does: pipes, mail, and waiting. Not generic over the socket type; the verbs are, so
//! that the hot path is monomorphic.
#![forbid(unsafe_code)]

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::context::{Context, ContextInner};
use crate::endpoint::Endpoint;
use crate::error::{OpenError, OptionError, RecvError, SendError, Unsent};
use crate::interest::Interest;
use crate::io::{SocketMailbox, ToSocket};
use crate::limits::{MAILBOX_CAPACITY, NOTICE_WORK, PATIENT_CALL};
use crate::message::{Message, Payload};
use crate::options::{Options, Timeout};
use crate::patterns::{Attach, Strategy};
use crate::pipe::{Assist, Feed, NameLost, Names, Patience, Pipe, PipeKey, Pipes, Ready, Upstream};
use crate::routing_id::RoutingId;
use crate::session::{HalfOpen, Live, Owner, Peer, Peers};
use crate::socket::endpoints::{Endpoints, Lease};
pub(super) use crate::socket::verbs::{RecvVerb, SendVerb};
use crate::socket::zap::ZapUser;
use crate::socket_type::SocketType;
use crate::sync::do_each;

/// A socket without its pattern. On cache lines of its own: threads have neighbours in memory, and each call stores here.
#[repr(align(128))]
pub(super) struct Core {
    pub(super) id: u64,
    pub(super) context: Arc<ContextInner>,
    pub(super) mailbox: Arc<SocketMailbox>,
    pub(super) pipes: Pipes,
    pub(super) endpoints: Endpoints,
    pub(super) peers: Arc<Peers>,
    pub(super) socket_type: SocketType,
    /// What a SUB or XSUB subscribes to.
    pub(super) upstream: Option<Arc<Upstream>>,
    /// The names of its peers, if it is one that knows them by name.
    pub(super) names: Option<Arc<Names>>,
    /// Shared with everything that is bound or connected; another one after a change.
    options: Arc<Options>,
    /// That of a `recv` that waits as the option says.
    patience: Patience,
    /// What is taken in next, the last first: what a panic of foreign code on the way has left stays.
    mail: Vec<ToSocket>,
    /// Peers that have their turn next, as they had been put off.
    due: Vec<PipeKey>,
    /// How often something was posted, or left to be done.
    changes: u64,
    is_terminated: bool,
    /// What observers were shown last by this side.
    pub(super) shown: Interest,
    half_open: Arc<HalfOpen>,
    live: Arc<Live>,
    /// Asks about peers, if the socket has a ZAP domain.
    zap: Option<ZapUser>,
}

/// How long a `recv` waits.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    After(Duration),
    /// As the option says.
    Option,
}

impl Core {
    pub(super) fn open(
        context: &Context,
        socket_type: SocketType,
        options: Options,
        upstream: Option<Arc<Upstream>>,
        names: Option<Arc<Names>>,
    ) -> Result<Self, OpenError> {
        let context = Arc::clone(&context.inner);
        let mailbox = Arc::new(SocketMailbox::new());
        let zap = match options.zap_domain.name() {
            Some(_) => Some(context.zap_desk.enter(&context)?),
            None => None,
        };
        let pipes = Pipes::default();
        let peers = Arc::new(Peers::new(Arc::clone(pipes.books())));
        let id = context.enter(&mailbox, pipes.books())?;
        let patience = patience(options.recv_timeout(), context.is_interruptible);
        Ok(Self {
            id,
            context,
            mailbox,
            pipes,
            endpoints: Endpoints::default(),
            peers,
            socket_type,
            upstream,
            names,
            patience,
            live: Arc::new(Live::new(&options)),
            options: Arc::new(options),
            mail: Vec::with_capacity(MAILBOX_CAPACITY),
            due: Vec::new(),
            changes: 0,
            is_terminated: false,
            shown: Interest::NONE,
            half_open: Arc::default(),
            zap,
        })
    }

    /// Whether the process was forked since: the socket belongs to its parent.
    pub(super) fn is_inherited(&self) -> bool {
        self.context.pool.is_inherited()
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Takes these options in place of those that it has. What is bound or connected keeps what is not live.
    pub(super) fn set_options(&mut self, options: Options) -> Result<(), OptionError> {
        if options.zap_domain.name().is_some() && self.zap.is_none() {
            let desk = self.context.zap_desk.enter(&self.context);
            self.zap = Some(desk.map_err(|error| match error {
                OpenError::Io(error) => OptionError::Io(error),
                OpenError::ForeignOption { .. } | OpenError::Terminated => OptionError::Terminated,
            })?);
        }
        self.patience = patience(options.recv_timeout(), self.context.is_interruptible);
        self.live.set(&options);
        self.options = Arc::new(options);
        if self.mailbox.is_observed() {
            self.mailbox.set_heed(self.heed());
        }
        Ok(())
    }

    /// What sessions at `endpoint` made from now on know of this socket. A `peer_name` goes before what peers
    /// announce.
    pub(super) fn owner(&self, endpoint: &Endpoint, peer_name: RoutingId) -> Arc<Owner> {
        Arc::new(Owner {
            socket_type: self.socket_type,
            options: Arc::clone(&self.options),
            security: Arc::new(self.options.security.clone()),
            mailbox: Arc::clone(&self.mailbox),
            peer_name,
            spin: self.context.spin,
            endpoint: endpoint.clone(),
            peers: Arc::clone(&self.peers),
            upstream: self.upstream.as_ref().map(Arc::clone),
            names: self.names.as_ref().map(Arc::clone),
            half_open: Arc::clone(&self.half_open),
            live: Arc::clone(&self.live),
            doorkeeper: self.zap.as_ref().map(ZapUser::doorkeeper),
        })
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.is_terminated
    }

    /// When a `send` that starts now gives up.
    pub(super) fn send_deadline(&self) -> Option<Instant> {
        self.options.send_timeout().limit().and_then(|limit| Instant::now().checked_add(limit))
    }

    pub(super) fn recv_timeout(&self, limit: Limit) -> Timeout {
        match limit {
            Limit::Option => self.options.recv_timeout(),
            Limit::After(time) => Timeout::After(time),
        }
    }

    #[inline]
    pub(super) fn try_send<P: Strategy>(
        &mut self,
        pattern: &mut P,
        payload: Payload<'_>,
    ) -> Result<(), Unsent> {
        self.try_send_by(pattern, payload, P::try_send)
    }

    /// [`try_send`](Self::try_send) by another verb of the pattern, with the same promises.
    #[inline]
    pub(super) fn try_send_by<P: Strategy>(
        &mut self,
        pattern: &mut P,
        mut payload: Payload<'_>,
        mut verb: impl SendVerb<P>,
    ) -> Result<(), Unsent> {
        self.pipes.start(Patience::None);
        match self.poll_send(pattern, &mut payload, &mut verb) {
            Ok(()) => Ok(()),
            Err(error) => Err(Unsent { error, message: payload.take_back() }),
        }
    }

    /// [`try_send`](Self::try_send) of a payload that stays with the caller: whole after an error, else of no use.
    #[inline]
    pub(super) fn try_pass<P: Strategy>(
        &mut self,
        pattern: &mut P,
        payload: &mut Payload<'_>,
    ) -> Result<(), SendError> {
        self.try_pass_by(pattern, payload, &mut P::try_send)
    }

    /// [`try_pass`](Self::try_pass) by another verb of the pattern, with the same promises.
    #[inline]
    pub(super) fn try_pass_by<P: Strategy>(
        &mut self,
        pattern: &mut P,
        payload: &mut Payload<'_>,
        verb: &mut impl SendVerb<P>,
    ) -> Result<(), SendError> {
        self.pipes.start(Patience::None);
        self.poll_send(pattern, payload, verb)
    }

    #[inline]
    pub(super) fn send<P: Strategy>(
        &mut self,
        pattern: &mut P,
        payload: Payload<'_>,
        deadline: impl FnOnce(&Self) -> Option<Instant>,
    ) -> Result<(), Unsent> {
        self.send_by(pattern, payload, deadline, P::try_send)
    }

    /// [`send`](Self::send) by another verb of the pattern, with the same promises.
    #[inline]
    pub(super) fn send_by<P: Strategy>(
        &mut self,
        pattern: &mut P,
        mut payload: Payload<'_>,
        deadline: impl FnOnce(&Self) -> Option<Instant>,
        mut verb: impl SendVerb<P>,
    ) -> Result<(), Unsent> {
        self.pipes.start(Patience::Short);
        match self.poll_send(pattern, &mut payload, &mut verb) {
            Ok(()) => {
                if self.pipes.take_far_ahead() {
                    self.wait_for_kernel();
                }
                Ok(())
            }
            Err(error) => self.send_waiting(pattern, payload, error, deadline, verb),
        }
    }

    #[inline]
    pub(super) fn try_recv<P: Strategy>(
        &mut self,
        pattern: &mut P,
        message: &mut Message,
    ) -> Result<(), RecvError> {
        self.try_recv_by(pattern, |pattern: &mut P, pipes: &mut Pipes| pattern.try_recv(pipes, message))
    }

    /// [`try_recv`](Self::try_recv) by another verb of the pattern, with the same promises.
    #[inline]
    pub(super) fn try_recv_by<P: Strategy>(
        &mut self,
        pattern: &mut P,
        mut verb: impl RecvVerb<P>,
    ) -> Result<(), RecvError> {
        self.pipes.start(Patience::None);
        self.poll_recv(pattern, &mut verb)
    }

    #[inline]
    pub(super) fn recv<P: Strategy>(
        &mut self,
        pattern: &mut P,
        message: &mut Message,
        limit: Limit,
    ) -> Result<(), RecvError> {
        let verb = |pattern: &mut P, pipes: &mut Pipes| pattern.try_recv(pipes, message);
        self.recv_by(pattern, limit, verb)
    }

    /// [`recv`](Self::recv) by another verb of the pattern, with the same promises.
    #[inline]
    pub(super) fn recv_by<P: Strategy>(
        &mut self,
        pattern: &mut P,
        limit: Limit,
        mut verb: impl RecvVerb<P>,
    ) -> Result<(), RecvError> {
        self.pipes.start(match limit {
            Limit::Option => self.patience,
            Limit::After(time) => patience(Timeout::After(time), self.context.is_interruptible),
        });
        match self.poll_recv(pattern, &mut verb) {
            Ok(()) => Ok(()),
            Err(error) => self.recv_waiting(pattern, error, limit, verb),
        }
    }

    /// Sends without waiting. After `WouldBlock` the mailbox tells when another try is worth it.
    #[inline]
    pub(super) fn poll_send<P: Strategy>(
        &mut self,
        pattern: &mut P,
        payload: &mut Payload<'_>,
        verb: &mut impl SendVerb<P>,
    ) -> Result<(), SendError> {
        if self.mailbox.has_mail() {
            if self.mailbox.is_observed() {
                return self.send_observed(pattern, payload, verb);
            }
            self.handle_mail(pattern);
        }
        self.send_now(pattern, payload, verb)
    }

    /// The same when the mail is done.
    #[inline]
    pub(super) fn send_now<P: Strategy>(
        &mut self,
        pattern: &mut P,
        payload: &mut Payload<'_>,
        verb: &mut impl SendVerb<P>,
    ) -> Result<(), SendError> {
        loop {
            if self.is_terminated {
                return Err(SendError::Terminated);
            }
            match verb(pattern, &mut self.pipes, payload) {
                Ok(()) => return Ok(()),
                // Whatever the reason was: no peer takes it.
                Err(_) if payload.has_too_many_parts(0) => return Err(SendError::TooManyParts),
                Err(SendError::WouldBlock) if self.goes_on(pattern) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives without waiting. After `WouldBlock` the mailbox tells when another try is worth it.
    #[inline]
    pub(super) fn poll_recv<P: Strategy>(
        &mut self,
        pattern: &mut P,
        verb: &mut impl RecvVerb<P>,
    ) -> Result<(), RecvError> {
        if self.mailbox.has_mail() {
            if self.mailbox.is_observed() {
                return self.recv_observed(pattern, verb);
            }
            self.handle_mail(pattern);
        }
        self.recv_now(pattern, verb)
    }

    /// The same when the mail is done.
    #[inline]
    pub(super) fn recv_now<P: Strategy>(
        &mut self,
        pattern: &mut P,
        verb: &mut impl RecvVerb<P>,
    ) -> Result<(), RecvError> {
        loop {
            if self.is_terminated {
                return Err(RecvError::Terminated);
            }
            match verb(pattern, &mut self.pipes) {
                Err(RecvError::WouldBlock) if self.goes_on(pattern) => {}
                taken_or_not => return taken_or_not,
            }
        }
    }

    /// Whether another try may find more: there were news, and the budget is not spent.
    #[cold]
    pub(super) fn goes_on<P: Strategy>(&mut self, pattern: &mut P) -> bool {
        self.handle_mail(pattern) && !self.pipes.is_cut_short()
    }

    /// Does what was posted, if anything was.
    pub(super) fn take_mail<P: Strategy>(&mut self, pattern: &mut P) {
        self.pipes.start_attempt();
        if self.mailbox.has_mail() {
            self.handle_mail(pattern);
        }
    }

    /// Does what was posted, and what the pattern left to be done. `false`: there was nothing.
    #[cold]
    pub(super) fn handle_mail<P: Strategy>(&mut self, pattern: &mut P) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.do_mail(pattern))).unwrap_or_else(|panic| {
            // Of foreign code: a body that is dropped, a waker. The rest is done next time.
            self.mailbox.remind();
            resume_unwind(panic)
        })
    }

    fn do_mail<P: Strategy>(&mut self, pattern: &mut P) -> bool {
        let mut was_mail = !self.mail.is_empty() || !self.due.is_empty();
        if self.mail.is_empty() {
            was_mail |= self.mailbox.take(&mut self.mail) || !self.mail.is_empty();
            self.mail.reverse();
        }
        self.due.extend(self.pipes.take_put_off().into_iter().rev());
        while let Some(key) = self.due.pop() {
            pattern.on_readable(&mut self.pipes, key);
        }
        while let Some(item) = self.mail.pop() {
            self.pipes.spend(NOTICE_WORK);
            match item {
                ToSocket::Attach(pipe) => {
                    self.attach(pattern, *pipe);
                }
                ToSocket::Disconnect(id) => self.disconnect_id(pattern, id),
                ToSocket::LetGo(id) => {
                    if let Some(key) = self.pipes.key(id) {
                        self.finish(pattern, key);
                    }
                }
                ToSocket::Feed(id, feed) => self.on_feed(pattern, id, feed),
                ToSocket::MessageMax(id, limit) => {
                    let pipe = self.pipes.key(id).and_then(|key| self.pipes.get_mut(key));
                    pipe.into_iter().for_each(|pipe| pipe.outbound.limit_message(Some(limit)));
                }
                ToSocket::Ready(id, ready) => self.on_ready(pattern, id, ready),
                ToSocket::Terminated => self.is_terminated = true,
            }
        }
        let mut has_changed = self.settle(pattern) || was_mail;
        // What those who left subscribed to is forgotten also if nothing is ever sent again.
        while pattern.as_publisher().is_some_and(|publisher| publisher.work(&mut self.pipes)) {
            has_changed = true;
        }
        if self.pipes.is_cut_short() {
            self.mailbox.remind();
        }
        self.changes += u64::from(has_changed);
        has_changed
    }

    /// Grows when there were news: whoever found nothing to do before may find something now.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Gives a pipe to the pattern; `None` when it is refused, and closed.
    pub(super) fn attach<P: Strategy>(&mut self, pattern: &mut P, mut pipe: Pipe) -> Option<PipeKey> {
        if pipe.is_stopped() {
            self.pipes.books().drops().unreceived.add(pipe.leave());
            self.forget_peer(&pipe);
            return None; // disconnected while it shook hands
        }
        let key = self.pipes.insert(pipe);
        if pattern.attach(&mut self.pipes, key) == Attach::Refused {
            drop(self.remove_pipe(key));
            return None;
        }
        if self.pipes.get_mut(key).is_some_and(Pipe::is_finished) {
            self.finish(pattern, key);
            return None;
        }
        Some(key)
    }

    fn on_feed<P: Strategy>(&mut self, pattern: &mut P, id: u64, feed: Feed) {
        let Some(key) = self.pipes.key(id) else { return };
        if let Some(pipe) = self.pipes.get_mut(key) {
            pipe.feed = Some(feed);
        }
        pattern.on_readable(&mut self.pipes, key);
    }

    fn on_ready<P: Strategy>(&mut self, pattern: &mut P, id: u64, ready: Ready) {
        let Some(key) = self.pipes.key(id) else { return };
        match ready {
            Ready::Closed => {
                let Some(pipe) = self.pipes.get_mut(key) else { return };
                // Messages from the peer may still be received; none will reach it.
                pipe.outbound.cut_off();
                if pipe.is_finished() {
                    self.finish(pattern, key);
                } else {
                    pattern.on_readable(&mut self.pipes, key);
                }
            }
            Ready::Quiet => self.pipes.rest(key),
            Ready::Readable => pattern.on_readable(&mut self.pipes, key),
            Ready::Writable => pattern.on_writable(&mut self.pipes, key),
        }
    }

    /// Lets pipes go that are over, and replaces those that the pattern gave up. `false`: there were none.
    pub(super) fn settle<P: Strategy>(&mut self, pattern: &mut P) -> bool {
        let mut were_any = false;
        while let Some(key) = self.pipes.next_finished() {
            self.finish(pattern, key);
            were_any = true;
        }
        while let Some(key) = self.pipes.next_given_up() {
            self.give_up(pattern, key);
            were_any = true;
        }
        were_any
    }

    /// Lets a pipe go whose other end is gone and which is empty.
    fn finish<P: Strategy>(&mut self, pattern: &mut P, key: PipeKey) {
        pattern.detach(&mut self.pipes, key);
        if let Some(pipe) = self.remove_pipe(key) {
            self.endpoints.forget(pipe.id, &self.peers);
        }
    }

    pub(super) fn remove_pipe(&mut self, key: PipeKey) -> Option<Pipe> {
        let pipe = self.pipes.remove(key)?;
        self.forget_peer(&pipe);
        Some(pipe)
    }

    /// Nothing more will be received from this pipe.
    fn forget_peer(&self, pipe: &Pipe) {
        match &pipe.assist {
            Some(connection) => self.peers.let_go(connection.id(), pipe.id),
            None => {
                let ended_here = pipe.name_lost.map(NameLost::error);
                let ended_there = pipe.outbound.is_closed().then(|| self.endpoints.end_of(pipe.id));
                self.peers.remove(pipe.id, None, ended_here.or(ended_there));
            }
        }
    }

    /// From whom the message is that was received last.
    pub(super) fn last_peer(&self) -> Option<Peer> {
        let pipe = self.pipes.last_heard()?;
        let connection = pipe.assist.as_ref().map_or(pipe.id, |connection| connection.id());
        self.peers.of_message(connection, pipe.id, pipe.inbound.received())
    }

    /// Lets a pipe go; its connection may still send what is queued, as `linger` says.
    pub(super) fn let_go(&mut self, key: PipeKey) {
        let deadline = self.linger_deadline();
        if let Some(pipe) = self.remove_pipe(key) {
            let assist = pipe.assist.as_ref().map(Arc::clone);
            // Its ends first: what is said for the last time when they are gone goes out before the stop.
            let _stop = Stop { assist, deadline };
            drop(pipe);
        }
    }

    pub(super) fn linger_deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.options.linger().limit()?)
    }
}

/// Stops a connection when this is dropped, also by a panic.
struct Stop {
    /// None for inproc.
    assist: Option<Arc<dyn Assist>>,
    deadline: Option<Instant>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.assist.iter().for_each(|assist| assist.stop(self.deadline));
    }
}

/// That of a `recv` that waits so long.
fn patience(timeout: Timeout, is_interruptible: bool) -> Patience {
    match timeout {
        _ if is_interruptible => Patience::Short, // a read tells nobody of signals
        Timeout::After(limit) if limit < PATIENT_CALL => Patience::Short,
        Timeout::After(_) | Timeout::Never => Patience::Long,
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.is_inherited() {
            // Connections, listeners and files are the parent's, and its threads may have held any lock.
            mem::forget((mem::take(&mut self.pipes), mem::take(&mut self.endpoints), self.zap.take()));
            return;
        }
        let mut leases = Vec::new();
        let steps: [fn(&mut Self, &mut Vec<Lease>); 9] = [
            |core, _| core.unbind_all(),
            |core, leases| *leases = core.stop_all(core.linger_deadline()),
            |core, _| core.pipes.books().note_drop(),
            |core, _| do_each(core.pipes.keys(), |key| core.let_go(key)),
            // Freed when the pipes are gone: whoever takes a name over finds nobody who has it.
            |_, leases| leases.clear(),
            |core, _| core.stop_pairs(),
            // Peers that came meanwhile, and those that still come: their pipes close with the mail.
            |core, _| core.mailbox.close(),
            |core, _| core.context.leave(core.id),
            // Its thread has sockets of this context, which must not be the last.
            |core, _| drop(core.zap.take()),
        ];
        // Most of them wake somebody or drop messages, which is foreign code: what panics there keeps none from the others.
        do_each(steps, |step| step(self, &mut leases));
    }
}
