//! A pattern whose socket type is chosen at run time: one of all the others.
//!
//! For bindings, proxies and tools. Sockets whose type the program knows do without: they pay for no match.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::error::{ConnectErrorKind, RecvError, SendError};
use crate::message::{Message, Payload};
use crate::options::Options;
use crate::patterns::{
    Attach, Dealer, Pair, Pattern, Pub, Publisher, Pull, Push, Receives, Rep, Req, Router, Sends, Strategy,
    Stream, Sub, Subscribing, XPub, XSub,
};
use crate::pipe::{Names, PipeKey, Pipes, Upstream};
use crate::routing_id::RoutingId;
use crate::socket_type::SocketType;

/// Any socket type, chosen when the socket is opened: by [`Context::open_any`](crate::Context::open_any).
///
/// Such a socket has the verbs of every type, in libzmq's form. What its type cannot do is an error when it is
/// tried: `NotSupported` for a `recv` on a PUSH, or a `subscribe` on a DEALER.
///
/// * A [`Router`] or [`Stream`] receives, and is sent, messages whose first frame is the peer's routing id.
/// * A [`Req`] sends and receives in turn, a [`Rep`] receives and sends in turn; any other order is `OutOfTurn`.
///   A request that got no reply can be given up only with [`req_relaxed`](crate::Options::req_relaxed).
/// * An option that the type does not have makes `open` fail with
///   [`ForeignOption`](crate::OpenError::ForeignOption), where libzmq says `EINVAL` when it is set.
///
/// ```
/// use peermq::{Context, RecvError, SocketType};
///
/// let context = Context::new();
/// let mut server = context.open_any(SocketType::Rep)?;
/// server.bind("inproc://any")?;
/// let mut client = context.open_any(SocketType::Req)?;
/// client.connect("inproc://any")?;
/// assert_eq!(client.recv(), Err(RecvError::OutOfTurn));
/// client.send("ping")?;
/// assert_eq!(server.recv()?, "ping");
/// server.send("pong")?;
/// assert_eq!(client.recv()?, "pong");
/// assert_eq!(client.socket_type(), SocketType::Req);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is no type by itself:
///
/// ```compile_fail
/// # use peermq::{AnyPattern, Context};
/// let socket = Context::new().open::<AnyPattern>();
/// ```
#[derive(Debug)]
pub struct AnyPattern(Any);

/// Expands the list of patterns into an enum, and how it is made.
macro_rules! patterns {
    ($($pattern:ident),* $(,)?) => {
        #[derive(Debug)]
        enum Any {
            $($pattern(Box<$pattern>),)*
        }

        impl Any {
            fn new(socket_type: SocketType, options: &Options) -> Self {
                match socket_type {
                    $(SocketType::$pattern => Self::$pattern(Box::new($pattern::new(socket_type, options))),)*
                }
            }
        }

        /// Calls the same of whatever pattern it is.
        macro_rules! each {
            ($any:expr, $inner:ident => $call:expr) => {
                match $any { $(Any::$pattern($inner) => $call,)* }
            };
        }
    };
}

patterns![Dealer, Pair, Pub, Pull, Push, Rep, Req, Router, Stream, Sub, XPub, XSub];

impl Pattern for AnyPattern {}
impl Sends for AnyPattern {}
impl Receives for AnyPattern {}

impl Strategy for AnyPattern {
    const TYPE: Option<SocketType> = None;

    fn new(socket_type: SocketType, options: &Options) -> Self {
        Self(Any::new(socket_type, options))
    }

    fn on_options(&mut self, options: &Options) {
        each!(&mut self.0, inner => inner.on_options(options));
    }

    fn upstream(&self) -> Option<&Arc<Upstream>> {
        each!(&self.0, inner => inner.upstream())
    }

    fn names(&self) -> Option<&Arc<Names>> {
        each!(&self.0, inner => inner.names())
    }

    fn as_publisher(&mut self) -> Option<&mut Publisher> {
        each!(&mut self.0, inner => inner.as_publisher())
    }

    fn as_subscriber(&mut self) -> Option<&mut dyn Subscribing> {
        each!(&mut self.0, inner => inner.as_subscriber())
    }

    fn check_name(&self, pipes: &mut Pipes, name: &RoutingId) -> Result<(), ConnectErrorKind> {
        each!(&self.0, inner => inner.check_name(pipes, name))
    }

    fn unreceived(&self) -> u64 {
        each!(&self.0, inner => inner.unreceived())
    }

    fn attach(&mut self, pipes: &mut Pipes, key: PipeKey) -> Attach {
        each!(&mut self.0, inner => inner.attach(pipes, key))
    }

    fn detach(&mut self, pipes: &mut Pipes, key: PipeKey) {
        each!(&mut self.0, inner => inner.detach(pipes, key));
    }

    fn on_readable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        each!(&mut self.0, inner => inner.on_readable(pipes, key));
    }

    fn on_writable(&mut self, pipes: &mut Pipes, key: PipeKey) {
        each!(&mut self.0, inner => inner.on_writable(pipes, key));
    }

    fn is_readable(&mut self, pipes: &mut Pipes) -> bool {
        each!(&mut self.0, inner => inner.is_readable(pipes))
    }

    fn takes_all(&self) -> bool {
        each!(&self.0, inner => inner.takes_all())
    }

    fn is_writable(&mut self, pipes: &mut Pipes) -> bool {
        each!(&mut self.0, inner => inner.is_writable(pipes))
    }

    fn try_send(&mut self, pipes: &mut Pipes, payload: &mut Payload<'_>) -> Result<(), SendError> {
        each!(&mut self.0, inner => inner.try_send(pipes, payload))
    }

    fn try_recv(&mut self, pipes: &mut Pipes, message: &mut Message) -> Result<(), RecvError> {
        each!(&mut self.0, inner => inner.try_recv(pipes, message))
    }
}
