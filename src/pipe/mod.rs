//! Pipes: one direction, one producer, one consumer, whole messages as ZMTP frames.
//!
//! What lies in the pipe is what goes on the wire. The application frames a message into the tail segment
//! and publishes it with one store; the session writes whole runs of segments. Inbound, the session reads
//! into the tail segment and publishes message ends; the application decodes. Two sockets of one process
//! hold the two ends of the same pipe.
//!
//! ```text
//!   Producer (messages) ══╗                 ╔══▶ Consumer (messages)     application
//!   Intake   (octets)   ══╩═▶  segments  ═══╩══▶ Drain    (octets)       session
//! ```
//!
//! Counts messages on both ends: the high-water mark is exact. Knows neither descriptors nor ZMTP.

mod assist;
mod books;
mod budget;
mod consumer;
mod drain;
mod dropped;
mod duplex;
mod enveloped;
mod handover;
mod head;
mod intake;
mod large_body;
mod latest;
mod look;
mod mailbox;
mod measure;
mod names;
pub(crate) mod note;
mod outstanding;
mod passage;
mod pipes;
mod producer;
mod rest;
mod ring;
mod room;
mod rung;
mod segment;
mod signal;
mod taken_body;
#[cfg(test)]
mod tally;
mod upstream;
mod wake;
mod watch;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use assist::{Assist, Patience, Vitals};
pub(crate) use books::{Books, Queue, Totals};
pub(crate) use budget::{Chores, Waste};
pub(crate) use consumer::{Consumer, NoMessage, Taken};
pub(crate) use drain::{Drain, Slices};
pub use dropped::Dropped;
pub(crate) use dropped::Drops;
pub(crate) use duplex::Pipe;
pub(crate) use enveloped::Opened;
pub(crate) use handover::Handover;
pub(crate) use head::Head;
#[cfg(test)]
pub(crate) use head::LOOKS;
pub(crate) use intake::{Intake, Skimmed};
pub(crate) use latest::Latest;
pub(crate) use mailbox::{Heed, Mailbox, Observer, Sleepers};
pub(crate) use names::{Claim, Doubted, NameLost, Names};
pub(crate) use outstanding::{Outstanding, Unread};
pub(crate) use passage::Passage;
pub(crate) use pipes::{PipeKey, Pipes, Since};
pub(crate) use producer::{Producer, Refused};
pub(crate) use rung::Rung;
pub(crate) use signal::Signal;
#[cfg(test)]
pub(crate) use tally::Tally;
pub(crate) use upstream::{Change, Feed, Question, Reader, TakenBack, Told, Upstream};
pub(crate) use wake::{Ready, Wake, WakeUp};

use crate::sync::Arc;

/// Makes a pipe that holds at most `limit` messages; `None` is no limit.
pub(crate) fn pipe(limit: Option<u64>) -> (Producer, Consumer) {
    let ring = Arc::new(ring::Ring::new(limit));
    (Producer::new(Arc::clone(&ring)), Consumer::new(ring))
}

impl Producer {
    /// Turns the end over to a session, which writes octets.
    pub(crate) fn into_intake(self) -> Intake {
        Intake::new(self)
    }
}

impl Consumer {
    /// Turns the end over to a session, which takes octets. Called before anything was taken.
    pub(crate) fn into_drain(self) -> Drain {
        Drain::new(self)
    }
}
