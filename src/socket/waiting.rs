//! Calls that found nothing, or no room, at first: how they wait, and what they look at before they try again.
#![forbid(unsafe_code)]

use std::iter;
use std::time::Instant;

use crate::error::{RecvError, SendError, Unsent};
use crate::limits::STREAM_TICK;
use crate::message::Payload;
use crate::patterns::Strategy;
use crate::pipe::Patience;
use crate::session::{self, Waited};
use crate::socket::core::{Core, Limit, RecvVerb, SendVerb};

impl Core {
    #[cold]
    pub(super) fn send_waiting<P: Strategy>(
        &mut self,
        pattern: &mut P,
        mut payload: Payload<'_>,
        mut error: SendError,
        deadline: impl FnOnce(&Self) -> Option<Instant>,
        mut verb: impl SendVerb<P>,
    ) -> Result<(), Unsent> {
        let deadline = deadline(self);
        while error == SendError::WouldBlock {
            let waited = self.wait_in_call(deadline);
            let is_over = waited != Waited::News;
            self.pipes.start_attempt();
            // Also when the time is over: a queue tells of room when half of it is free, and less will do.
            match self.poll_send(pattern, &mut payload, &mut verb) {
                Ok(()) => return Ok(()),
                Err(again) => error = again,
            }
            if waited == Waited::Interrupted && error == SendError::WouldBlock {
                error = SendError::Interrupted;
            }
            if is_over {
                break;
            }
        }
        Err(Unsent { error, message: payload.take_back() })
    }

    #[cold]
    pub(super) fn recv_waiting<P: Strategy>(
        &mut self,
        pattern: &mut P,
        mut error: RecvError,
        limit: Limit,
        mut verb: impl RecvVerb<P>,
    ) -> Result<(), RecvError> {
        let deadline = self.recv_timeout(limit).limit().and_then(|limit| Instant::now().checked_add(limit));
        while error == RecvError::WouldBlock {
            let waited = self.wait_in_call(deadline);
            let is_over = waited != Waited::News;
            if is_over {
                self.pipes.set_patience(Patience::None);
            }
            self.pipes.start_attempt();
            // Also when the time is over: what came in the last moment is there.
            match self.poll_recv(pattern, &mut verb) {
                Ok(()) => return Ok(()),
                Err(again) => error = again,
            }
            if waited == Waited::Interrupted && error == RecvError::WouldBlock {
                error = RecvError::Interrupted;
            }
            if is_over {
                break;
            }
        }
        Err(error)
    }

    /// Waits until another try is worth it: for connections that are lent to this thread, and for mail. `false`:
    /// `deadline` has passed.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> bool {
        session::wait(iter::once(&*self.mailbox), deadline, self.context.spin)
    }

    /// The same in a call that signals may end.
    pub(super) fn wait_in_call(&self, deadline: Option<Instant>) -> Waited {
        session::wait_as(iter::once(&*self.mailbox), deadline, self.context.manner())
    }

    /// A sender that is far ahead of the kernel gives it one tick. What is queued stays in the cache until it
    /// is sent, and the peer's thread gets the processor; a peer that takes nothing costs a few ticks, once.
    #[cold]
    pub(super) fn wait_for_kernel(&self) {
        if self.pipes.has_only_connection() {
            self.wait(Instant::now().checked_add(STREAM_TICK));
        }
    }
}
