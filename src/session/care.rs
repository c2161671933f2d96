//! Who looks after a connection: its I/O thread, or the socket's own thread while it streams.
//!
//! ```text
//!          the caller moves many octets,
//!          or messages come fast                  it waits
//!    Told ─────────────────────────────▶ Ticked ───────────▶ Lent
//!      ▲                                   │                   │
//!      └── no call, few messages in a tick ┴── nor in others ──┘
//! ```
//!
//! `Told`: kernel and pipes tell the I/O thread of every change. `Ticked`: the caller flushes and fills; the
//! pipes tell nobody, because the I/O thread looks by itself at every tick. `Lent`: the kernel, too, tells
//! only the caller, which waits in its own poll for all that is lent to it, instead of for another thread.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;

use mio::{Registry, Token};

use crate::session::calls::Calls;
use crate::session::lookout::Desk;
use crate::transport::Stream;

#[derive(Debug)]
pub(super) enum Care {
    Lent(Arc<Desk>),
    Ticked,
    Told,
}

impl Care {
    pub(super) fn is_told(&self) -> bool {
        matches!(self, Self::Told)
    }

    /// Lends `stream` to the thread at `desk`. `false`: that is not possible, and its I/O thread hears of it. After
    /// an error nobody does.
    pub(super) fn lend(
        &mut self,
        stream: &mut Stream,
        desk: &Arc<Desk>,
        registry: &Registry,
        token: Token,
        calls: &mut Calls,
    ) -> io::Result<bool> {
        match self {
            Self::Lent(to) if Arc::ptr_eq(to, desk) => return Ok(true),
            Self::Lent(_) => {
                self.take_back(stream, registry, token, calls)?;
                *self = Self::Ticked;
            }
            Self::Ticked | Self::Told => {}
        }
        calls.count();
        stream.deregister(registry)?;
        calls.count();
        if stream.register(&desk.registry, token).is_err() {
            stream.register(registry, token)?;
            return Ok(false);
        }
        *self = Self::Lent(Arc::clone(desk));
        Ok(true)
    }

    /// Puts `stream` back where its I/O thread hears of it; what is ready now is reported at once.
    pub(super) fn take_back(
        &mut self,
        stream: &mut Stream,
        registry: &Registry,
        token: Token,
        calls: &mut Calls,
    ) -> io::Result<()> {
        let Self::Lent(desk) = std::mem::replace(self, Self::Told) else { return Ok(()) };
        calls.count();
        stream.deregister(&desk.registry)?;
        calls.count();
        stream.register(registry, token)
    }
}
