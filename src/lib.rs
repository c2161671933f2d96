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

pub use endpoint::Endpoint;
pub use error::{
    BindError, ConnectError, EndpointError, InvalidValue, OpenError, OsError, ProtocolError, RecvError,
    SendError, Unsent,
};
pub use message::{Frame, Frames, Message, Payload};
pub use options::{
    Backlog, HandshakeInterval, Hwm, KernelBuffer, Linger, MaxMessageSize, OptionInfo, Options,
    ReconnectInterval, ReconnectIntervalMax, TakesEffect, Timeout,
};
pub use socket_type::SocketType;
