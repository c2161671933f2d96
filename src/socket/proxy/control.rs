//! Steering a proxy from other threads, and what it has passed on.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use crate::io::{SocketMailbox, ToSocket};
use crate::pipe::Ready;
use crate::sync::{Condvar, Mutex, lock, wait};

/// Steers a [`Proxy`](crate::Proxy) from any thread: a handle, whose clones steer the same proxy.
///
/// Takes the place of the control socket of `zmq_proxy_steerable`:
///
/// | said to libzmq's control socket | here |
/// |---|---|
/// | `PAUSE` | [`pause`](Self::pause), which returns when nothing more is taken |
/// | `RESUME` | [`resume`](Self::resume) |
/// | `TERMINATE` | [`terminate`](Self::terminate) |
/// | `STATISTICS`, answered by eight numbers | [`statistics`](Self::statistics) |
///
/// ```
/// use std::thread;
///
/// use peermq::{Context, Proxy, Pull, Push};
///
/// let context = Context::new();
/// let mut frontend = context.open::<Pull>()?;
/// frontend.bind("inproc://in")?;
/// let mut backend = context.open::<Push>()?;
/// backend.bind("inproc://out")?;
/// let proxy = Proxy::new(frontend, backend)?;
/// let control = proxy.control();
/// let running = thread::spawn(move || proxy.run());
///
/// control.pause();
/// let mut push = context.open::<Push>()?;
/// push.connect("inproc://in")?;
/// push.send("waits in the queue of the frontend")?;
/// assert_eq!(control.statistics().to_backend.messages, 0);
/// control.resume();
/// let mut pull = context.open::<Pull>()?;
/// pull.connect("inproc://out")?;
/// assert_eq!(pull.recv()?, "waits in the queue of the frontend");
/// control.terminate();
/// let end = running.join().expect("it did not panic");
/// assert_eq!(end.statistics.to_backend.messages, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ProxyControl {
    desk: Arc<Desk>,
}

/// What a [`Proxy`](crate::Proxy) has passed on, each way.
///
/// libzmq's eight numbers: what the frontend has received and the backend has sent is `to_backend`, what the backend
/// has received and the frontend has sent is `to_frontend`. A message that is held counts when it is sent.
///
/// ```
/// use peermq::{Context, Proxy, Pull, Push};
///
/// let context = Context::new();
/// let proxy = Proxy::new(context.open::<Pull>()?, context.open::<Push>()?)?;
/// assert_eq!(proxy.control().statistics().to_backend.octets, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyStatistics {
    /// From the frontend.
    pub to_backend: ProxyPassed,
    /// From the backend.
    pub to_frontend: ProxyPassed,
}

/// What went one way through a [`Proxy`](crate::Proxy); subscriptions count as messages.
///
/// ```
/// use peermq::{Context, Pair, Proxy, ProxyPassed};
///
/// let context = Context::new();
/// let proxy = Proxy::new(context.open::<Pair>()?, context.open::<Pair>()?)?;
/// assert_eq!(proxy.control().statistics().to_frontend, ProxyPassed::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyPassed {
    /// Messages that the other socket has accepted. What it drops by itself is in its own
    /// [`dropped`](crate::Socket::dropped).
    pub messages: u64,
    /// Octets of their frames.
    pub octets: u64,
    /// Messages that the other socket will never accept, and that are gone: no peer of a ROUTER with
    /// [`router_mandatory`](crate::Options::router_mandatory) or STREAM has this routing id, or there is nothing behind
    /// it.
    pub refused: u64,
}

/// What the proxy is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Run,
    Pause,
    Terminate,
}

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It takes no message: it has not begun, stands still, or is over.
    AtRest,
    /// On this thread.
    Running(ThreadId),
}

/// Where a proxy and those who steer it meet.
struct Desk {
    state: Mutex<State>,
    has_answered: Condvar,
    /// Ends the proxy's wait; what is in the mail does not matter.
    mailbox: SocketMailbox,
}

struct State {
    order: Order,
    phase: Phase,
    statistics: ProxyStatistics,
    /// How often the proxy has asked what to do.
    #[cfg(test)]
    rounds: u64,
}

impl ProxyControl {
    /// Takes no more messages: what comes waits in the queues of its sockets. Returns when the proxy has stopped; a
    /// message that has no room is held until [`resume`](Self::resume). Peers still come and go.
    ///
    /// A proxy that does not run yet begins paused.
    ///
    /// On the proxy's own thread, where a task runs that is woken by what the proxy sends, this returns at once: the proxy
    /// ends its turn, of 1,000 messages at most each way, and then stops.
    pub fn pause(&self) {
        self.desk.order(Order::Pause);
        let mut state = lock(&self.desk.state);
        let here = thread::current().id();
        while state.order == Order::Pause && matches!(state.phase, Phase::Running(at) if at != here) {
            state = wait(&self.desk.has_answered, state);
        }
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.desk.order(Order::Run);
    }

    /// Ends the proxy: [`Proxy::run`](crate::Proxy::run) returns, with what it has not passed on. Returns at once.
    pub fn terminate(&self) {
        self.desk.order(Order::Terminate);
    }

    /// Returns what was passed on so far. While messages pass this may be a batch behind, of 1,000 at most each way.
    #[must_use]
    pub fn statistics(&self) -> ProxyStatistics {
        lock(&self.desk.state).statistics
    }

    /// How often the proxy has asked what to do.
    #[cfg(test)]
    pub(in crate::socket) fn rounds(&self) -> u64 {
        lock(&self.desk.state).rounds
    }
}

impl fmt::Debug for ProxyControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.desk.state);
        f.debug_struct("ProxyControl")
            .field("order", &state.order)
            .field("statistics", &state.statistics)
            .finish_non_exhaustive()
    }
}

impl Desk {
    fn order(&self, order: Order) {
        let mut state = lock(&self.state);
        // To terminate is the last order.
        if state.order == Order::Terminate {
            return;
        }
        state.order = order;
        drop(state);
        // Whoever waits for an answer to another order need not any more.
        self.has_answered.notify_all();
        self.mailbox.post(ToSocket::Ready(0, Ready::Quiet));
    }
}

/// The proxy's side of its desk.
pub(super) struct Post {
    desk: Arc<Desk>,
    mail: Vec<ToSocket>,
}

impl Post {
    pub(super) fn new() -> Self {
        let state = State {
            order: Order::Run,
            phase: Phase::AtRest,
            statistics: ProxyStatistics::default(),
            #[cfg(test)]
            rounds: 0,
        };
        let desk =
            Desk { state: Mutex::new(state), has_answered: Condvar::new(), mailbox: SocketMailbox::new() };
        Self { desk: Arc::new(desk), mail: Vec::new() }
    }

    pub(super) fn control(&self) -> ProxyControl {
        ProxyControl { desk: Arc::clone(&self.desk) }
    }

    /// Tells what was passed on; what to do next.
    pub(super) fn report(&mut self, statistics: ProxyStatistics) -> Order {
        // The mail first: an order that comes behind this look at them ends the next wait.
        if self.desk.mailbox.has_mail() {
            self.desk.mailbox.take(&mut self.mail);
            self.mail.clear();
        }
        let mut state = lock(&self.desk.state);
        state.statistics = statistics;
        #[cfg(test)]
        {
            state.rounds += 1;
        }
        let phase = match state.order {
            Order::Run => Phase::Running(thread::current().id()),
            Order::Pause | Order::Terminate => Phase::AtRest,
        };
        if state.phase != phase {
            state.phase = phase;
            self.desk.has_answered.notify_all();
        }
        state.order
    }

    pub(super) fn mailbox(&self) -> &SocketMailbox {
        &self.desk.mailbox
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        lock(&self.desk.state).phase = Phase::AtRest;
        self.desk.has_answered.notify_all();
        self.desk.mailbox.close();
    }
}
