//! The desk at which a context asks the program's ZAP handler: a thread with a DEALER.
//!
//! ```text
//!  I/O threads ── PUSH, under a lock ──▶ PULL, the desk's thread, DEALER ──▶ inproc://zeromq.zap.01
//!       ▲                                              │
//!       └──────────── Link::decide ────────────────────┘
//! ```
//!
//! The thread is there as long as a socket of the context has a ZAP domain, and ends before the last of these lets
//! its context go. Source: RFC 27/ZAP, "Architecture".
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use crate::context::{Context, ContextInner};
use crate::error::{AuthStatus, OpenError, Reason, RecvError};
use crate::interest::Interest;
use crate::io::unique_id;
use crate::limits::ZAP_PENDING_MAX;
use crate::message::Message;
use crate::options::{Decision, Linger};
use crate::patterns::{Dealer, Pull, Push};
use crate::poller::Poller;
use crate::session::{Doorkeeper, Inquiry, Link, zap};
use crate::socket::{Connection, Socket};
use crate::sync::{Mutex, lock, spawn};
use crate::transport::{Call, faults};

/// Where handlers are bound: RFC 27.
const HANDLER: &str = "inproc://zeromq.zap.01";
const HANDLER_NAME: &str = "zeromq.zap.01";

/// A context's desk, for all of its sockets that have a ZAP domain.
pub(crate) struct ZapDesk {
    state: Mutex<State>,
    pending: Arc<Pending>,
}

#[derive(Default)]
struct State {
    users: usize,
    open: Option<Open>,
}

/// Where requests are sent, and the thread to which they go.
type Open = (Socket<Push>, JoinHandle<()>);

/// Questions without an answer, by their numbers.
type Pending = Mutex<HashMap<u64, Weak<Link>>>;

/// One socket's share in the desk.
pub(crate) struct ZapUser(Arc<ZapDesk>);

impl ZapDesk {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), pending: Arc::default() }
    }

    /// Opens the desk, if this is its first user.
    pub(crate) fn enter(self: &Arc<Self>, context: &Arc<ContextInner>) -> Result<ZapUser, OpenError> {
        let mut state = lock(&self.state);
        if state.open.is_none() {
            state.open = Some(open(context, &self.pending)?);
        }
        state.users += 1;
        drop(state);
        Ok(ZapUser(Arc::clone(self)))
    }
}

impl ZapUser {
    pub(super) fn doorkeeper(&self) -> Arc<dyn Doorkeeper> {
        Arc::<ZapDesk>::clone(&self.0)
    }
}

impl Drop for ZapUser {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.users -= 1;
        if state.users > 0 {
            return;
        }
        if let Some((mut requests, thread)) = state.open.take() {
            // Fails only when the thread has ended by itself.
            let _ = requests.send(STOP);
            drop(requests);
            let _ = thread.join();
        }
    }
}

impl Doorkeeper for ZapDesk {
    fn ask(&self, inquiry: Inquiry) -> bool {
        let Inquiry { candidate, number, link } = inquiry;
        let Some(domain) = link.owner().options.zap_domain.name().map(str::to_owned) else { return false };
        let mut pending = lock(&self.pending);
        if pending.len() >= ZAP_PENDING_MAX {
            pending.retain(|number, link| link.upgrade().is_some_and(|link| link.awaits(*number)));
        }
        if pending.len() >= ZAP_PENDING_MAX {
            return false;
        }
        pending.insert(number, Arc::downgrade(&link));
        drop(pending);
        let request = zap::request(number, &domain, &candidate);
        let is_sent =
            lock(&self.state).open.as_mut().is_some_and(|(requests, _)| requests.try_send(request).is_ok());
        if !is_sent {
            lock(&self.pending).remove(&number);
        }
        is_sent
    }
}

impl fmt::Debug for ZapDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZapDesk").finish_non_exhaustive()
    }
}

/// Starts the thread. Without it nobody would be let in, and those who are refused do not come back.
fn open(context: &Arc<ContextInner>, pending: &Arc<Pending>) -> Result<Open, OpenError> {
    let context = Context { inner: Arc::clone(context) };
    let endpoint = format!("inproc://peermq.zap.{}", unique_id());
    let mut requests = context.builder_for::<Pull>().open()?;
    let mut push = context.builder_for::<Push>().linger(Linger::DISCARD).open()?;
    if requests.bind(endpoint.as_str()).is_err() || push.connect(endpoint.as_str()).is_err() {
        return Err(OpenError::Terminated);
    }
    let handler = context.builder_for::<Dealer>().linger(Linger::DISCARD).open()?;
    let desk = Desk { requests, handler, connection: None, pending: Arc::clone(pending) };
    let run = faults::inherit(move || desk.run());
    let started = faults::before(Call::Spawn).and_then(|()| spawn("peermq zap".to_owned(), run));
    let thread = started.map_err(|error| OpenError::Io(error.into()))?;
    Ok((push, thread))
}

/// The thread's side.
struct Desk {
    requests: Socket<Pull>,
    handler: Socket<Dealer>,
    /// To the handler that was there last.
    connection: Option<Connection>,
    pending: Arc<Pending>,
}

impl Desk {
    fn run(mut self) {
        let mut poller = Poller::new();
        let added = poller.add(&mut self.requests, Interest::READABLE, ());
        if added.and_then(|()| poller.add(&mut self.handler, Interest::READABLE, ())).is_err() {
            return;
        }
        loop {
            match self.requests.try_recv() {
                Ok(request) if request == STOP => return,
                Ok(request) => {
                    self.pass_on(request);
                    continue;
                }
                Err(RecvError::WouldBlock) => {}
                Err(_) => return,
            }
            match self.handler.try_recv() {
                Ok(reply) => {
                    if let Some((number, decision)) = zap::parse_reply(&reply) {
                        self.decide(number, decision);
                    }
                }
                Err(RecvError::WouldBlock) => {
                    if poller.wait(None).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Asks the handler, if there is one that has room.
    fn pass_on(&mut self, request: Message) {
        let number = request.frame(2).and_then(|frame| frame.to_str().ok()?.parse().ok());
        if self.connect() && self.handler.try_send(request).is_ok() {
            return;
        }
        if let Some(number) = number {
            self.decide(number, Decision::Refuse(AuthStatus::Failed, Reason::NONE));
        }
    }

    /// Connects to the handler that is bound now, if it is another than before. `false`: there is none.
    fn connect(&mut self) -> bool {
        if self.connection.as_ref().is_some_and(|connection| connection.state().is_final()) {
            self.connection = None;
        }
        if lock(&self.handler.core.context.inproc).bound(HANDLER_NAME).is_none() {
            return false;
        }
        if self.connection.is_none() {
            self.connection = self.handler.connect(HANDLER).ok();
        }
        self.connection.is_some()
    }

    fn decide(&self, number: u64, decision: Decision) {
        let link = lock(&self.pending).remove(&number);
        if let Some(link) = link.and_then(|link| link.upgrade()) {
            link.decide(number, decision);
        }
    }
}

/// What ends the thread. No request has a single frame.
const STOP: &str = "stop";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Candidate, Credentials, IoAffinity, ZapDomain};
    use crate::routing_id::RoutingId;

    #[test]
    fn only_so_many_questions_wait_for_an_answer() {
        let context = Context::builder().io_threads(1).build();
        // A handler that takes every question and answers none.
        let mut handler = context.builder_for::<crate::patterns::Router>().recv_hwm(0).open().unwrap();
        handler.bind(HANDLER).unwrap();
        let domain = ZapDomain::new("global").unwrap();
        let pull = context.builder_for::<Pull>().zap_domain(domain).open().unwrap();
        let endpoint: crate::Endpoint = "tcp://127.0.0.1:1".parse().unwrap();
        let (owner, mailbox) = (
            pull.core.owner(&endpoint, RoutingId::NONE),
            pull.core.context.pool.pick(IoAffinity::ANY).unwrap(),
        );
        let doorkeeper = owner.doorkeeper.clone().unwrap();
        let link = || Link::new(Arc::clone(&mailbox), Arc::clone(&owner), None);
        let ask = |link: Arc<Link>| {
            let number = unique_id();
            link.expect_decision(number);
            let (credentials, properties) = (Credentials::Null, Arc::default());
            let candidate = Candidate { endpoint: endpoint.clone(), credentials, properties, process: None };
            doorkeeper.ask(Inquiry { candidate, number, link })
        };
        let mut waiting = Vec::new();
        while waiting.len() < ZAP_PENDING_MAX {
            let link = link();
            // The way to the handler has its limits, too.
            if ask(Arc::clone(&link)) {
                waiting.push(link);
            }
            while handler.try_recv().is_ok() {}
        }
        assert!(!ask(link()), "one too many");
        // Those who are gone make room.
        waiting.truncate(ZAP_PENDING_MAX - 1);
        let late = link();
        while !ask(Arc::clone(&late)) {
            while handler.try_recv().is_ok() {}
        }
        assert_eq!(lock(&context.inner.zap_desk.pending).len(), ZAP_PENDING_MAX);
    }
}
