//! The ZMTP conversation of one connection: greeting, handshake, and commands among the messages.
//!
//! Owns the state of the protocol and nothing else: octets come in as slices, octets for the peer go into an
//! [`Outbox`]. It never reads a descriptor or a clock, is handed its random source, and it never sees a message: frames
//! that carry data pass it by. One driver, the session, owns the descriptor and the deadline.
//!
//! Spoken: ZMTP 3.0, 3.1 and whatever calls itself higher, with NULL, PLAIN or CURVE; without these two also ZMTP 2.0 and 1.0 with whoever
//! knows no better. Source: RFC 37/ZMTP 3.1, RFC 23/ZMTP 3.0, RFC 15/ZMTP 2.0, RFC 13/ZMTP 1.0.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod connection;
mod greeting;
mod heartbeat;
mod last_words;
mod mechanism;
mod metadata;
mod old;
mod outbox;

pub(crate) use connection::{Connection, Refusal};
pub(crate) use heartbeat::Signs;
pub(crate) use last_words::LastWords;
pub(crate) use mechanism::{Boxes, Opener, Question, Sealer, Security};
pub(crate) use metadata::{Local, Naming, Peer, Registrar, parse as parse_metadata};
pub(crate) use outbox::Outbox;

#[cfg(test)]
mod tests;
