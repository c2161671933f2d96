//! Handshakes that take too long.
#![forbid(unsafe_code)]

use crate::session::link::{Link, Place};

impl Link {
    /// Ends the session without a notice, if it has not finished its handshake. `false`: it has, or is gone. `None`:
    /// somebody is at work on it, perhaps for longer than an I/O thread should wait.
    pub(in crate::session) fn end_handshake(&self) -> Option<bool> {
        let mut place = self.place.try_lock()?;
        #[cfg(test)]
        hold_up::meet(self.id);
        let is_late = matches!(&*place, Place::Up(session) if session.is_shaking_hands());
        if is_late {
            if let Place::Up(session) = std::mem::replace(&mut *place, Place::Down(None)) {
                // Closed at once: only a greeting can be on its way.
                *place = Place::Down(session.into_ends(self.farewell()));
            }
            self.release_passing_name();
        }
        Some(is_late)
    }
}

/// A test may have an I/O thread wait while it holds a session, so that others find it taken.
#[cfg(test)]
pub(crate) mod hold_up {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    /// Where the I/O thread says that it holds the session, and hears that it may go on.
    type Meeting = (Sender<()>, Receiver<()>);

    static MEETINGS: Mutex<Vec<(u64, Meeting)>> = Mutex::new(Vec::new());

    /// For the next time that the end of this connection's handshake is looked for: when it is held, and to let it go.
    pub(crate) fn arrange(connection: u64) -> (Receiver<()>, Sender<()>) {
        let ((hold, is_held), (go, may_go)) = (channel(), channel());
        MEETINGS.lock().unwrap_or_else(PoisonError::into_inner).push((connection, (hold, may_go)));
        (is_held, go)
    }

    pub(super) fn meet(connection: u64) {
        let mut meetings = MEETINGS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = meetings.iter().position(|(of, _)| *of == connection) else { return };
        let (_, (hold, may_go)) = meetings.swap_remove(at);
        drop(meetings);
        if hold.send(()).is_ok() {
            // Whoever is gone, or late, lets it go as well.
            let _ = may_go.recv_timeout(Duration::from_secs(60));
        }
    }
}
