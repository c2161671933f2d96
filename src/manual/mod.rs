//! The manual: how this library works, what it promises, and why it is as it is.
//!
//! What most programs have to know first:
//!
//! * At the end of `main` the drop of the context waits for what is queued: 30 s at most, unless
//!   [`ContextBuilder::linger`](crate::ContextBuilder::linger) or [`Context::finish`](crate::Context::finish) says
//!   otherwise: see [`ends`].
//! * When a peer is gone, whoever connected to it tries again, after 100 ms to 200 ms
//!   ([`reconnect_interval`](crate::Options::reconnect_interval)), and keeps what is queued for it; whoever had bound
//!   counts that as lost, see [`ends`](ends#who-ends-it-and-how).
//! * What a publisher sends before a subscriber has come is lost to it. A publisher waits for those that it knows of with
//!   [`wait_for_subscribers`](crate::Socket::wait_for_subscribers), a subscriber until publishers know what it wants with
//!   [`wait_subscribed`](crate::Socket::wait_subscribed); who comes late and needs the last value finds it in the example
//!   `last_value_cache`.
//! * When a queue is full, at 1000 messages for each peer ([`send_hwm`](crate::Options::send_hwm); over inproc the mark
//!   of the sender and the [`recv_hwm`](crate::Options::recv_hwm) of the receiver together; beside what the kernels of
//!   both sides hold, which is many small messages), `send` waits, as long as
//!   [`send_timeout`](crate::Options::send_timeout) says, by default for ever; ROUTER, REP, PUB, XPUB and XSUB do not
//!   wait, but drop and count: see [`compatibility`](compatibility#high-water-marks).
//!
//! * [`executors`]: sockets in tasks, of any executor.
//! * [`features`]: what works now, and what is planned.
//! * [`options`]: every option of a socket, with its default.
//! * [`compatibility`]: where the specifications leave a choice, what libzmq does, and what this library does;
//!   what may be lost when a connection dies.
//! * [`ends`]: what is guaranteed when either side closes, disconnects, unbinds, shuts down or exits; errors of `main`,
//!   Ctrl-C.
//! * [`attacks`]: what has broken libraries of this kind, and what stands against it.
//! * [`bounds`]: everything that is held for peers, sockets and contexts, how large it can become, and what moves that.
//! * [`life_of_a_message`]: from `send` to `recv`, step by step.
//! * [`architecture`]: the floors of the source, and who may know whom.
//! * [`rationale`]: the decisions that made it fast, with the measurements behind them.

pub mod architecture;
pub mod attacks;
pub mod bounds;
pub mod compatibility;
pub mod ends;
pub mod executors;
pub mod features;
pub mod life_of_a_message;
pub mod options;
pub mod rationale;

/// The examples of the README, which run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(test)]
mod tests;
