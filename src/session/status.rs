//! What a connection is doing, for whoever looks from any thread.
//!
//! ```text
//!   Connecting ──▶ ShakingHands ──▶ Ready
//!     ▲    │            │             │
//!     │    ▼            ▼             ▼
//!     └─ Waiting ◀──────┴─────────────┤
//!                                     ▼
//!                        Failed, or Closed by us: final
//! ```
#![forbid(unsafe_code)]

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::error::{ConnectionError, NotReadyKind};
use crate::io::unique_id;
use crate::session::streams::{Manner, Waited};
use crate::session::tasks::Tasks;
use crate::sync::{Mutex, lock, wake};

/// What a connection that this side made is doing.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{ConnectionState, Context, Pull, Push};
///
/// let context = Context::new();
/// let mut push = context.open::<Push>()?;
/// let connection = push.connect("inproc://later")?;
/// assert_eq!(connection.state(), ConnectionState::Connecting);
/// context.open::<Pull>()?.bind("inproc://later")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// It was ended here: disconnected, or its socket was closed. Final.
    Closed,
    /// The name is looked up, the system connects, or a proxy does; inproc: nobody is bound yet.
    Connecting,
    /// It ended, and will not be tried again. Final.
    Failed,
    /// Both ends have agreed on the protocol: messages flow.
    Ready,
    /// The system has connected, the two ends have not agreed yet.
    ShakingHands,
    /// It ended, and will be tried again after a pause.
    Waiting,
}

impl ConnectionState {
    /// Whether nothing will ever change again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Closed | Self::Failed)
    }
}

/// The state of one connection, shared by those who change it and those who look.
#[derive(Debug)]
pub(crate) struct Status {
    now: Mutex<(ConnectionState, Option<ConnectionError>)>,
    /// Woken by the next change.
    tasks: Tasks,
}

impl Status {
    pub(crate) fn new() -> Self {
        let now = Mutex::new((ConnectionState::Connecting, None));
        Self { now, tasks: Tasks::default() }
    }

    pub(crate) fn state(&self) -> ConnectionState {
        lock(&self.now).0
    }

    pub(crate) fn last_error(&self) -> Option<ConnectionError> {
        lock(&self.now).1
    }

    /// Why it is not tried again, if it is not.
    pub(crate) fn failure(&self) -> Option<ConnectionError> {
        let now = lock(&self.now);
        if now.0 == ConnectionState::Failed { now.1 } else { None }
    }

    /// Moves on, unless the state is final. `false`: it is.
    pub(crate) fn set(&self, state: ConnectionState) -> bool {
        self.change(state, None)
    }

    /// Moves on because of an error, unless the state is final.
    pub(crate) fn fail(&self, state: ConnectionState, error: ConnectionError) {
        self.change(state, Some(error));
    }

    /// Waits until the connection is ready.
    pub(crate) fn wait_ready(&self, deadline: Option<Instant>, manner: Manner) -> Result<(), NotReadyKind> {
        let waited = self.tasks.wait(deadline, manner, || outcome(*lock(&self.now)));
        waited.unwrap_or_else(|waited| match waited {
            Waited::Interrupted => Err(NotReadyKind::Interrupted),
            Waited::InVain | Waited::News => Err(NotReadyKind::TimedOut(self.last_error())),
        })
    }

    /// Waits until the connection is ready, in a task.
    pub(crate) fn ready(&self) -> impl Future<Output = Result<(), NotReadyKind>> + Send {
        BecomesReady { status: self, id: unique_id() }
    }

    fn change(&self, state: ConnectionState, error: Option<ConnectionError>) -> bool {
        let mut now = lock(&self.now);
        if now.0.is_final() {
            return false;
        }
        now.0 = state;
        now.1 = error.or(now.1);
        drop(now);
        self.tasks.take().for_each(wake);
        true
    }
}

/// How waiting has ended, if it has.
fn outcome((state, error): (ConnectionState, Option<ConnectionError>)) -> Option<Result<(), NotReadyKind>> {
    match state {
        ConnectionState::Ready => Some(Ok(())),
        ConnectionState::Closed => Some(Err(NotReadyKind::Closed)),
        ConnectionState::Failed => {
            Some(Err(NotReadyKind::Failed(error.unwrap_or(ConnectionError::PeerClosed))))
        }
        ConnectionState::Connecting | ConnectionState::ShakingHands | ConnectionState::Waiting => None,
    }
}

/// See [`Status::ready`].
struct BecomesReady<'a> {
    status: &'a Status,
    /// Names the task's waker.
    id: u64,
}

impl Future for BecomesReady<'_> {
    type Output = Result<(), NotReadyKind>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The waker first: a change after it wakes, and one before it is seen.
        self.status.tasks.enter(self.id, context.waker());
        let now = *lock(&self.status.now);
        outcome(now).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for BecomesReady<'_> {
    fn drop(&mut self) {
        self.status.tasks.forget(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_stays_and_an_error_is_remembered() {
        let status = Status::new();
        status.fail(ConnectionState::Waiting, ConnectionError::Silent);
        assert!(status.set(ConnectionState::Ready));
        assert_eq!(
            (status.wait_ready(None, Manner::default()), status.last_error()),
            (Ok(()), Some(ConnectionError::Silent))
        );
        assert!(status.set(ConnectionState::Closed));
        assert!(!status.set(ConnectionState::Ready));
        assert_eq!(status.wait_ready(None, Manner::default()), Err(NotReadyKind::Closed));
    }

    #[test]
    fn waiting_ends_with_the_deadline_and_says_what_went_wrong() {
        let status = Status::new();
        assert_eq!(
            status.wait_ready(Some(Instant::now()), Manner::default()),
            Err(NotReadyKind::TimedOut(None))
        );
        status.fail(ConnectionState::Failed, ConnectionError::NoAddress);
        assert_eq!(
            status.wait_ready(None, Manner::default()),
            Err(NotReadyKind::Failed(ConnectionError::NoAddress))
        );
    }
}
