//! Brokerless, ZeroMQ-compatible message sockets.

mod endpoint;
mod error;
mod frame;
mod limits;
mod message;
mod options;
mod pipe;
mod socket_type;
mod sync;
