//! Brokerless, ZeroMQ-compatible message sockets.

mod context;
mod endpoint;
mod error;
mod frame;
mod io;
mod limits;
mod message;
mod options;
mod patterns;
mod pipe;
mod routing;
mod session;
mod socket;
mod socket_type;
mod sync;
mod transport;
mod wire;

pub use context::{Context, ContextBuilder};
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
pub use patterns::{Pair, Pattern, Pull, Push, Receives, Sends};
pub use socket::{Builder, Socket};
pub use socket_type::SocketType;
