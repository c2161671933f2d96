//! What a socket's thread can do for a connection itself, instead of waiting for an I/O thread.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::pipe::{Chores, NameLost, PipeKey, Pipes};

/// How long a call may wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all.
    #[default]
    None,
    /// Somewhat, or as long as others have nothing for it.
    Short,
    /// Some ticks at least, whatever else happens.
    Long,
}

/// The thread that would sleep does the I/O itself: what a connection lends to its socket's thread.
pub(crate) trait Assist: Send + Sync {
    /// Its number: a newer connection has a greater one.
    fn id(&self) -> u64;
    /// Writes what the outbound pipe holds, and may read. `true`: the kernel takes no more now.
    fn flush(&self, chores: &mut Chores) -> bool;
    /// Writes the message for which the session waited, now or soon, and may read.
    fn hand_on(&self, chores: &mut Chores);
    /// Reads into the inbound pipe what has arrived, or what arrives soon. A caller that may wait for it need not be
    /// told at once.
    fn fill(&self, patience: Patience, chores: &mut Chores);
    /// Does `act` while the session stands still. `false`: not done, somebody is at work on it.
    fn hold(&self, act: &mut dyn FnMut()) -> bool;
    /// Ends the connection at once because of its peer's name, and tells the peer why if it understands that: a connect
    /// is tried again.
    fn hang_up(&self, why: NameLost);
    /// Ends the connection at once and for good: its peer is not to be borne.
    fn expel(&self);
    /// Ends the connection at once, because the socket waits no more for what it has asked the peer.
    fn give_up(&self);
    /// The socket is done with the connection; what is queued may be sent until `deadline`.
    fn stop(&self, deadline: Option<Instant>);
    /// Whether the socket said that it is done.
    fn is_stopped(&self) -> bool;
    /// Whether the peer has closed its half behind everything that it was told.
    fn is_confirmed(&self) -> bool;
    /// Ends the connection now, whatever is queued.
    fn cut(&self);
    /// What is counted of it.
    fn vitals(&self) -> Vitals;
    /// System calls made for the connection that stands, but for a waiting caller's polls.
    #[cfg(test)]
    fn calls(&self) -> u64;
}

/// What is counted of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// How often it was ready again after it was lost.
    pub(crate) reconnects: u64,
    /// How long the answer to the last PING took.
    pub(crate) round_trip: Option<Duration>,
}

impl Pipes {
    /// Removes the pipe of a peer whose connection ends for good when it has what is queued, or when `linger` is
    /// over.
    pub(crate) fn dismiss(&mut self, key: PipeKey, linger: Option<Duration>) {
        let assist = self.get_mut(key).and_then(|pipe| pipe.assist.clone());
        // Its ends first, so that the session finds the end when it looks for why it was stopped.
        drop(self.remove(key));
        if let Some(assist) = assist {
            assist.stop(linger.and_then(|linger| Instant::now().checked_add(linger)));
        }
    }
}
