//! A socket's options, set before it is opened.
#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::context::Context;
use crate::error::OpenError;
use crate::options::{
    AddressRanges, Authorizer, Backlog, BatchSize, DeviceName, FixedMessage, HandshakeInterval,
    HandshakesMax, HeartbeatInterval, HeartbeatTimeout, HeartbeatTtl, Hwm, HwmOctets, IoAffinity,
    KeepaliveProbes, KernelBuffer, KernelTime, Linger, MaxMessageSize, Metadata, Options, ReconnectInterval,
    ReconnectIntervalMax, ReconnectStop, RouterNotify, Security, SocksProxy, TcpKeepalive, Timeout,
    WelcomeMessage, ZapDomain, for_each_option,
};
use crate::patterns::Pattern;
use crate::routing_id::RoutingId;
use crate::socket::Socket;
use crate::socket::core::Core;
use crate::socket_type::SocketType;

/// Opens a socket with options of its own; made by [`Context::builder_for`].
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Hwm, Push};
///
/// let context = Context::new();
/// let push = context
///     .builder_for::<Push>()
///     .send_hwm(Hwm::messages(10))
///     .linger(Duration::from_secs(1))
///     .open()?;
/// assert_eq!(push.options().send_hwm(), Hwm::messages(10));
/// # Ok::<(), peermq::OpenError>(())
/// ```
pub struct Builder<P: Pattern> {
    context: Context,
    socket_type: SocketType,
    options: Options,
    pattern: PhantomData<fn() -> P>,
}

impl<P: Pattern> Builder<P> {
    pub(crate) fn new(context: Context, socket_type: SocketType) -> Self {
        let mut options = Options::default();
        if matches!(socket_type, SocketType::Sub | SocketType::XSub) {
            // As in libzmq: subscriptions that nobody has heard of yet are not worth waiting for.
            options.linger = Linger::DISCARD;
        }
        Self { context, socket_type, options, pattern: PhantomData }
    }

    /// Opens the socket.
    ///
    /// # Errors
    ///
    /// [`Terminated`](OpenError::Terminated) when the context was shut down, and in a child that was forked since it was
    /// built;
    /// [`Io`](OpenError::Io) when a `zap_domain` is set and the system starts no thread for it;
    /// [`ForeignOption`](OpenError::ForeignOption) when an option has another value than its default although
    /// sockets of the type do not have it; with a STREAM, which knows no mechanisms, also for `security`.
    pub fn open(self) -> Result<Socket<P>, OpenError> {
        let Self { context, socket_type, options, .. } = self;
        if socket_type.is_raw() && gives_security(&options) {
            return Err(OpenError::ForeignOption { option: "security", socket_type });
        }
        if let Some(option) = options.foreign_to(socket_type) {
            return Err(OpenError::ForeignOption { option, socket_type });
        }
        let pattern = P::new(socket_type, &options);
        let (upstream, names) = (pattern.upstream().map(Arc::clone), pattern.names().map(Arc::clone));
        Ok(Socket { core: Core::open(&context, socket_type, options, upstream, names)?, pattern })
    }
}

/// Whether a peer is to be anything but whoever comes.
pub(super) fn gives_security(options: &Options) -> bool {
    options.security != Security::Null
        || !options.authorizer.is_none()
        || options.zap_domain != ZapDomain::NONE
}

/// One setter for each row of the table of options.
macro_rules! builder_methods {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $value:ty = $default:expr, code $code:literal, when $when:ident
        $(, only [$($socket_type:ident),+])?;
    )*) => {
        impl<P: Pattern> Builder<P> {
            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!("Default: `", stringify!($default), "`.")]
                #[must_use]
                pub fn $name(mut self, value: impl Into<$value>) -> Self {
                    self.options.$name = value.into();
                    self
                }
            )*
        }
    };
}

for_each_option!(builder_methods);

impl<P: Pattern> fmt::Debug for Builder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("type", &self.socket_type).field("options", &self.options).finish()
    }
}
