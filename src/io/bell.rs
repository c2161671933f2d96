//! What wakes a thread out of its poll.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::task::Wake;

use mio::{Registry, Token};

use crate::transport::{Call, faults};

/// Wakes the thread that waits in a poll, or is about to.
#[derive(Debug)]
pub(crate) struct Bell(mio::Waker);

impl Bell {
    /// One whose ringing this poll reports under `token`.
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        faults::before(Call::PollNew)?;
        mio::Waker::new(registry, token).map(Self)
    }

    /// Rings. Nothing is lost by a failure: what can be is that there is no room for one more ring, which means that it
    /// has rung already.
    pub(crate) fn ring(&self) {
        let is_interrupted =
            |rung: io::Result<()>| matches!(rung, Err(error) if error.kind() == io::ErrorKind::Interrupted);
        while is_interrupted(faults::before(Call::Wake).and_then(|()| self.0.wake())) {}
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

#[cfg(all(test, unix, not(loom)))]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;
    use crate::transport::faults::Plan;

    #[test]
    fn a_signal_that_comes_while_it_rings_is_no_reason_to_sleep_on() {
        //
        let mut poll = Poll::new().unwrap();
        let bell = Bell::new(poll.registry(), Token(7)).unwrap();
        let plan = Plan::quiet();
        let _entered = plan.enter();
        plan.fail_next(Call::Wake, libc::EINTR);
        bell.ring();
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(plan.has_failed() && events.iter().any(|event| event.token() == Token(7)));
    }
}
