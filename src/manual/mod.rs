//! The manual: how this library works, what it promises, and why it is as it is. No code.
//!
//! * [`executors`]: sockets in tasks, of any executor.
//! * [`features`]: what works now, and what is planned.
//! * [`options`]: every option of a socket, with its default.
//! * [`compatibility`]: where the specifications leave a choice, what libzmq does, and what this library does;
//!   what may be lost when a connection dies; how things end.
//! * [`ends`]: what is guaranteed when either side closes, disconnects, unbinds, shuts down or exits.
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
