//! Changing the options of a socket that is open.
#![forbid(unsafe_code)]

use std::fmt;

use crate::error::OptionError;
use crate::options::{
    AddressRanges, Authorizer, Backlog, BatchSize, DeviceName, FixedMessage, HandshakeInterval,
    HandshakesMax, HeartbeatInterval, HeartbeatTimeout, HeartbeatTtl, Hwm, HwmOctets, IoAffinity,
    KeepaliveProbes, KernelBuffer, KernelTime, Linger, MaxMessageSize, Metadata, Options, ReconnectInterval,
    ReconnectIntervalMax, ReconnectStop, RouterNotify, Security, SocksProxy, TakesEffect, TcpKeepalive,
    Timeout, WelcomeMessage, ZapDomain, for_each_option,
};
use crate::patterns::Pattern;
use crate::routing_id::RoutingId;
use crate::socket::Socket;
use crate::socket::builder::gives_security;

/// Other options for an open socket; made by [`Socket::change`].
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Hwm, Router, RoutingId, SendError};
///
/// let context = Context::new();
/// let mut router = context.open::<Router>()?;
/// router.change().router_mandatory(true).linger(Duration::from_secs(1)).send_hwm(Hwm::messages(10)).apply()?;
/// assert!(router.options().router_mandatory());
/// let nobody = RoutingId::new("nobody")?;
/// assert_eq!(router.send_to(&nobody, "hello").unwrap_err().error, SendError::Unroutable);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is changed before `apply`"]
pub struct Change<'a, P: Pattern> {
    socket: &'a mut Socket<P>,
    options: Options,
}

impl<P: Pattern> Socket<P> {
    /// Changes options: those named on what this returns, when [`apply`](Change::apply) is called, all or none.
    ///
    /// When a change is felt is in the table of [`manual::options`](crate::manual::options), and in
    /// [`Options::TABLE`]: at once, also for connections that exist, or with the next `bind` or `connect`.
    pub fn change(&mut self) -> Change<'_, P> {
        let options = self.core.options().clone();
        Change { socket: self, options }
    }

    /// Changes how long messages are still sent after the socket is dropped.
    pub fn set_linger(&mut self, linger: impl Into<Linger>) {
        self.set(|options| options.linger = linger.into());
    }

    /// Changes how long `send`, `send_to` and `request` wait.
    pub fn set_send_timeout(&mut self, timeout: impl Into<Timeout>) {
        self.set(|options| options.send_timeout = timeout.into());
    }

    /// Changes how long `recv` waits.
    pub fn set_recv_timeout(&mut self, timeout: impl Into<Timeout>) {
        self.set(|options| options.recv_timeout = timeout.into());
    }

    /// Changes what every type has, and may change at any time.
    fn set(&mut self, set: impl FnOnce(&mut Options)) {
        let mut change = self.change();
        set(&mut change.options);
        let applied = change.apply();
        debug_assert_eq!(applied, Ok(()));
    }
}

impl<P: Pattern> Change<'_, P> {
    /// Changes all that was named.
    ///
    /// # Errors
    ///
    /// [`ForeignOption`](OptionError::ForeignOption) for one that sockets of this type do not have,
    /// [`Fixed`](OptionError::Fixed) for one that takes effect when a socket is opened, and
    /// [`Terminated`](OptionError::Terminated) for a first `zap_domain` after a shutdown. Nothing is changed then.
    pub fn apply(self) -> Result<(), OptionError> {
        let Self { socket, options } = self;
        let socket_type = socket.core.socket_type;
        if let Some(option) = options.foreign_to(socket_type) {
            return Err(OptionError::ForeignOption { option, socket_type });
        }
        if socket_type.is_raw() && gives_security(&options) {
            return Err(OptionError::ForeignOption { option: "security", socket_type });
        }
        let mut changed = options.differing(socket.core.options());
        if let Some(row) = changed.find(|row| row.takes_effect == TakesEffect::Open) {
            return Err(OptionError::Fixed { option: row.name });
        }
        socket.core.set_options(options)?;
        socket.pattern.on_options(socket.core.options());
        socket.core.show(&mut socket.pattern, true);
        Ok(())
    }
}

/// One setter for each row of the table of options.
macro_rules! change_methods {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $value:ty = $default:expr, code $code:literal, when $when:ident
        $(, only [$($socket_type:ident),+])?;
    )*) => {
        impl<P: Pattern> Change<'_, P> {
            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!("[`", stringify!($when), "`](TakesEffect::", stringify!($when), ").")]
                pub fn $name(mut self, value: impl Into<$value>) -> Self {
                    self.options.$name = value.into();
                    self
                }
            )*
        }
    };
}

for_each_option!(change_methods);

impl<P: Pattern> fmt::Debug for Change<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed: Vec<_> =
            self.options.differing(self.socket.core.options()).map(|row| row.name).collect();
        f.debug_struct("Change").field("changed", &changed).finish_non_exhaustive()
    }
}
