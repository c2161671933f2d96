//! Who looks after a connection, and how closely: its I/O thread, or the socket's own thread.
//!
//! ```text
//!                    the caller waits after each few messages
//!           Quiet ─────────────────────────────────────────────▶ InStep
//!           ▲ ▲ ▲     nothing for some ticks, or it stays away    │ │
//!           │ │ └─────────────────────────────────────────────────┘ │
//!           │ │       the caller moves many octets, or messages     ▼
//!           │ └──────────────────────────────────────────────────▶ Stream
//!           └──── no call, few messages in a tick ──────────────────┘
//! ```
//!
//! `Quiet`: kernel and pipes tell the I/O thread of every change; but a caller that sends now and then writes at
//! once itself. `InStep`: the pipes tell of every change, and whenever the caller waits the connection is lent to it:
//! the kernel tells it, and not the I/O thread. `Stream`: lent in the same way, and the caller flushes and fills; the
//! pipes tell nobody, because the I/O thread looks by itself at every tick.
//!
//! Lent or not, any thread may work on a connection for which it has something to do; the tick takes one back whose
//! caller stays away.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;

use mio::{Registry, Token};

use crate::limits::{PATIENT_READ, VAIN_REPORTS_MAX};
use crate::session::calls::Calls;
use crate::session::lookout::Desk;
use crate::transport::{PATIENCE_CALLS, Stream};

/// How a connection's traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gait {
    InStep,
    Quiet,
    Stream,
}

#[derive(Debug)]
pub(super) struct Care {
    gait: Gait,
    /// Whose poll hears of the stream, if it is not the I/O thread's.
    desk: Option<Arc<Desk>>,
    /// Whoever hears of the stream hears of room to write into, too. Not before there is none: over ipc the kernel
    /// reports it whenever the peer has read, which is no reason to wake up.
    is_writer_told: bool,
    /// Reports of room since then where there was some.
    vain_reports: u8,
    /// Whoever reads from the stream can wait in that.
    is_patient: bool,
}

impl Care {
    pub(super) fn new() -> Self {
        Self { gait: Gait::Quiet, desk: None, is_writer_told: true, vain_reports: 0, is_patient: false }
    }

    pub(super) fn gait(&self) -> Gait {
        self.gait
    }

    pub(super) fn set_gait(&mut self, gait: Gait) {
        self.gait = gait;
    }

    /// The pipes tell nobody.
    pub(super) fn is_stream(&self) -> bool {
        self.gait == Gait::Stream
    }

    /// Whether a read can wait.
    pub(super) fn is_patient(&self) -> bool {
        self.is_patient
    }

    pub(super) fn is_lent(&self) -> bool {
        self.desk.is_some()
    }

    /// Lends `stream` to the thread at `desk`, which hears of what can be read. `false`: that is not possible, and
    /// its I/O thread hears of it. After an error nobody does.
    pub(super) fn lend(
        &mut self,
        stream: &mut Stream,
        desk: &Arc<Desk>,
        registry: &Registry,
        token: Token,
        calls: &mut Calls,
    ) -> io::Result<bool> {
        if self.desk.as_ref().is_some_and(|to| Arc::ptr_eq(to, desk)) {
            return Ok(true);
        }
        self.take_back(stream, registry, token, calls)?;
        calls.count();
        stream.deregister(registry)?;
        calls.count();
        self.is_writer_told = false;
        if stream.register_reader(&desk.registry, token).is_err() {
            calls.count();
            stream.register_reader(registry, token)?;
            return Ok(false);
        }
        self.desk = Some(Arc::clone(desk));
        if self.gait == Gait::InStep && !self.is_patient {
            calls.count_all(PATIENCE_CALLS);
            self.is_patient = stream.set_patience(PATIENT_READ).is_ok();
        }
        Ok(true)
    }

    /// From now on whoever hears of `stream` hears of room to write into, too. After an error nobody does.
    pub(super) fn tell_writer(
        &mut self,
        stream: &mut Stream,
        registry: &Registry,
        token: Token,
        calls: &mut Calls,
    ) -> io::Result<()> {
        if std::mem::replace(&mut self.is_writer_told, true) {
            return Ok(());
        }
        self.vain_reports = 0;
        calls.count();
        stream.tell_writer(self.desk.as_ref().map_or(registry, |desk| &desk.registry), token)
    }

    /// Room was reported where there was some. `true`: so often that it is not to be reported any more until there is none.
    pub(super) fn note_vain_report(&mut self) -> bool {
        self.vain_reports += 1;
        self.vain_reports >= VAIN_REPORTS_MAX
    }

    /// From now on whoever hears of `stream`, which is connected, does not hear of room to write into. After an error nobody
    /// hears of it.
    pub(super) fn hush_writer(
        &mut self,
        stream: &mut Stream,
        registry: &Registry,
        token: Token,
        calls: &mut Calls,
    ) -> io::Result<()> {
        self.vain_reports = 0;
        if !std::mem::replace(&mut self.is_writer_told, false) {
            return Ok(());
        }
        calls.count();
        stream.hush_writer(self.desk.as_ref().map_or(registry, |desk| &desk.registry), token)
    }

    /// From now on nobody hears of `stream`.
    pub(super) fn let_go(
        &mut self,
        stream: &mut Stream,
        registry: &Registry,
        calls: &mut Calls,
    ) -> io::Result<()> {
        calls.count();
        let desk = self.desk.take();
        stream.deregister(desk.as_ref().map_or(registry, |desk| &desk.registry))
    }

    /// Puts `stream` back where its I/O thread hears of it; what can be read now is reported at once.
    pub(super) fn take_back(
        &mut self,
        stream: &mut Stream,
        registry: &Registry,
        token: Token,
        calls: &mut Calls,
    ) -> io::Result<()> {
        let Some(desk) = self.desk.take() else { return Ok(()) };
        calls.count();
        stream.deregister(&desk.registry)?;
        calls.count();
        self.is_writer_told = false;
        stream.register_reader(registry, token)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::{Read, Write};
    use std::time::Duration;

    use mio::net::UnixStream;
    use mio::{Events, Poll};

    use super::*;

    const TOKEN: Token = Token(1);

    /// Whether room is reported when the peer has read an octet, and there was room all the time.
    fn is_room_reported(poll: &mut Poll, stream: &mut Stream, peer: &mut UnixStream) -> bool {
        let Stream::Ipc(ours) = stream else { unreachable!("it is ipc") };
        ours.write_all(&[7]).unwrap();
        peer.read_exact(&mut [0]).unwrap();
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().any(mio::event::Event::is_writable)
    }

    #[test]
    #[cfg_attr(miri, ignore = "it has no such poll")]
    fn room_that_was_there_is_reported_a_few_times_only() {
        let mut poll = Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let (mut stream, mut care, mut calls) = (Stream::Ipc(ours), Care::new(), Calls::default());
        stream.register_reader(&registry, TOKEN).unwrap();
        stream.tell_writer(&registry, TOKEN).unwrap();
        for _ in 0..2 {
            let mut reports = 0;
            for _ in 0..10 * VAIN_REPORTS_MAX {
                if is_room_reported(&mut poll, &mut stream, &mut peer) {
                    reports += 1;
                    if care.note_vain_report() {
                        care.hush_writer(&mut stream, &registry, TOKEN, &mut calls).unwrap();
                    }
                }
            }
            assert_eq!(reports, VAIN_REPORTS_MAX);
            // There was none for a while.
            care.tell_writer(&mut stream, &registry, TOKEN, &mut calls).unwrap();
        }
        assert_eq!(calls.total(), 4, "one to be told no more and one to be told again, each time");
    }
}
