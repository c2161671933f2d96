//! Calls that a task waits for: the verbs as futures, for any executor.
//!
//! A call tries, leaves the task's waker in the socket's mailbox, and tries again when it is woken: whoever posts
//! there does for a task what it does for a thread that sleeps. While a call is pending the I/O threads read and
//! write; one that finds what it wants at once does so itself, as the calls that do not wait.
//!
//! A call that is always ready gives way to other tasks now and then: see [`session::poll_in_turn`].
//!
//! A call is a loan of its socket. Dropped before it is ready it has done nothing: messages are taken and queued in
//! the step that ends it, and in no other.
#![forbid(unsafe_code)]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::{RecvError, SendError, Unsent};
use crate::limits::LOOKS_PER_POLL;
use crate::message::Payload;
use crate::patterns::Strategy;
use crate::pipe::{Patience, Sleepers};
use crate::session;
use crate::socket::core::{Core, RecvVerb, SendVerb};

/// A verb, tried until it is done.
#[must_use = "futures do nothing unless they are polled"]
pub(super) struct Call<'a, P, F> {
    core: &'a mut Core,
    pattern: &'a mut P,
    attempt: F,
    /// The task's waker is in the mailbox, or is about to be.
    is_registered: bool,
}

impl<'a, P, F, T> Call<'a, P, F>
where
    P: Strategy,
    F: FnMut(&mut Core, &mut P) -> Poll<T> + Unpin,
{
    /// A call whose `attempt` has asked to be told when another one is worth it, each time that it is not ready.
    pub(super) fn new(core: &'a mut Core, pattern: &'a mut P, attempt: F) -> Self {
        Self { core, pattern, attempt, is_registered: false }
    }
}

impl<P, F, T> Future for Call<'_, P, F>
where
    P: Strategy,
    F: FnMut(&mut Core, &mut P) -> Poll<T> + Unpin,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Self { core, pattern, attempt, is_registered } = self.get_mut();
        core.poll_attempt(*pattern, context, Sleepers::CALL, |core, pattern| {
            let attempted = attempt(core, pattern);
            // What is ready at once leaves nothing to be taken back.
            *is_registered |= attempted.is_pending();
            attempted
        })
    }
}

impl<P, F> Drop for Call<'_, P, F> {
    fn drop(&mut self) {
        if self.is_registered {
            self.core.mailbox.unregister(Sleepers::CALL);
        }
    }
}

impl Core {
    /// Tries until it is done, or until the task, which is `who` of those who wait for this socket, will be told when
    /// another attempt is worth it.
    pub(super) fn poll_attempt<P: Strategy, T>(
        &mut self,
        pattern: &mut P,
        context: &Context<'_>,
        who: Sleepers,
        mut attempt: impl FnMut(&mut Self, &mut P) -> Poll<T>,
    ) -> Poll<T> {
        let mailbox = Arc::as_ptr(&self.mailbox);
        session::poll_in_turn((mailbox.addr(), who), context, || {
            let mut looks = 0;
            loop {
                if let done @ Poll::Ready(_) = attempt(self, pattern) {
                    return done;
                }
                looks += 1;
                // First, as it may read what this task waits for.
                session::leave();
                if self.mailbox.register(who, context.waker()) {
                    return Poll::Pending;
                }
                if self.pipes.is_cut_short() || looks == LOOKS_PER_POLL {
                    // Others of the executor have their turn first.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        })
    }

    /// A send of this message, ready when it is queued or never will be.
    pub(super) fn send_call<'a, P: Strategy>(
        &'a mut self,
        pattern: &'a mut P,
        mut payload: Payload<'a>,
        mut verb: impl SendVerb<P> + Unpin + 'a,
    ) -> impl Future<Output = Result<(), Unsent>> {
        Call::new(self, pattern, move |core: &mut Self, pattern: &mut P| {
            core.pipes.start(Patience::None);
            match core.poll_send(pattern, &mut payload, &mut verb) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(SendError::WouldBlock) => Poll::Pending,
                Err(error) => Poll::Ready(Err(Unsent { error, message: payload.take_back() })),
            }
        })
    }

    /// A receive by this verb, ready when it has taken something or never will.
    pub(super) fn recv_call<'a, P: Strategy>(
        &'a mut self,
        pattern: &'a mut P,
        mut verb: impl RecvVerb<P> + Unpin + 'a,
    ) -> impl Future<Output = Result<(), RecvError>> {
        Call::new(self, pattern, move |core: &mut Self, pattern: &mut P| {
            core.pipes.start(Patience::None);
            match core.poll_recv(pattern, &mut verb) {
                Err(RecvError::WouldBlock) => Poll::Pending,
                taken_or_not => Poll::Ready(taken_or_not),
            }
        })
    }
}
