//! A raw session: octets between a stream and two pipes, without greeting, handshake or frames.
//!
//! What one read brings is one message; a message is written as the octets of its frames. Notes in the inbound
//! pipe say when the peer is there, before its octets, and that it sends no more, behind them. Called by its
//! [`Link`](super::Link) only, as the session that speaks ZMTP is.
//!
//! ```text
//!          the peer closes its side                the socket lets the peer go
//!    Open ─────────────────────────▶ Ended ──┐   and has nothing more to send
//!      │                                     ├──────────────────────────────▶ over, when the peer has closed, too
//!      └── the socket wants no more ─▶ Unwanted: what comes is thrown away
//! ```
//!
//! A peer that takes no more is read to the end.
#![forbid(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use bytes::Bytes;

use crate::io::{End, ToSocket};
use crate::limits::{RAW_READ, RAW_READ_CHORES};
use crate::message::{Message, Payload};
use crate::pipe::{Assist, Chores, Consumer, NoMessage, Producer, Refused, Taken, note, pipe};
use crate::session::leave::{Discarded, Leave, discard};
use crate::session::link::Link;
use crate::session::protocol::Progress;
use crate::session::work;
use crate::session::{ConnectionState, Said, make_pipes};
use crate::socket_type::SocketType;
use crate::transport::{Read, Stream};
use crate::wire;

/// One connection at work.
#[derive(Debug)]
pub(super) struct Session {
    outbound: Consumer,
    inlet: Inlet,
    /// Dropped behind the pipe ends: the socket hears of the end before the peer can be back.
    stream: Stream,
    outgoing: Outgoing,
    /// Most octets of one turn.
    read_batch: usize,
    write_batch: usize,
    is_readable: bool,
    is_writable: bool,
    /// The kernel has reported an end, or an urgent octet: read until the end shows, or nothing is left.
    is_closed: bool,
    /// The kernel has had something for the peer.
    has_told: bool,
    /// Why the peer takes no more; what it has sent is read to the end.
    failed: Option<End>,
    /// Everything is said, and the socket is gone.
    leave: Option<Leave>,
}

/// Where the octets of the peer go.
#[derive(Debug)]
struct Inlet {
    pipe: Producer,
    input: Input,
}

/// What becomes of the octets that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// They go into the pipe.
    Open,
    /// None will come. The peer may still read.
    Ended,
    /// Nobody wants them.
    Unwanted,
}

/// The message on its way to the kernel.
#[derive(Debug, Default)]
struct Outgoing {
    octets: Bytes,
    written: usize,
}

impl Session {
    /// A session over a connected stream, whose socket finds a new peer in its mail.
    pub(super) fn new(stream: Stream, link: &Arc<Link>) -> Self {
        let owner = link.owner();
        let (mut pipe, outbound, mut inbound) = make_pipes(owner, link);
        inbound.note(&note::up(owner.peer_name.as_bytes()));
        pipe.peer = Some(owner.peer_name.clone());
        pipe.is_up = true;
        let routing_id = Bytes::copy_from_slice(owner.peer_name.as_bytes());
        let socket_type = SocketType::Stream;
        let properties = Arc::default();
        let peer = wire::Peer { socket_type, routing_id, major: 0, minor: 0, properties, admission: None };
        // Whoever receives from the peer finds it, and whoever sees that the connection is ready can send.
        link.enter_peer(&peer, &stream, Said { pipe: Some(pipe.id), behind: 0 });
        // A STREAM lets its pipes go by itself: the peer is known as long as the connection stands.
        owner.peers.let_go(link.id(), pipe.id);
        owner.mailbox.post(ToSocket::Attach(Box::new(pipe)));
        link.show(ConnectionState::Ready);
        Self {
            stream,
            outbound,
            inlet: Inlet { pipe: inbound, input: Input::Open },
            outgoing: Outgoing::default(),
            read_batch: owner.options.in_batch_size().size() as usize,
            write_batch: owner.options.out_batch_size().size() as usize,
            is_readable: true,
            is_writable: true,
            is_closed: false,
            has_told: false,
            failed: None,
            leave: None,
        }
    }

    /// Ends the session, but not the stream, of which nobody hears any more, if that is possible.
    pub(super) fn part(self, link: &Link) -> Option<Stream> {
        let Self { outbound, inlet, mut stream, .. } = self;
        drop((outbound, inlet));
        stream.deregister(link.registry()).is_ok().then_some(stream)
    }

    /// Does what was noted.
    pub(super) fn run(&mut self, noted: u8, chores: &mut Chores, link: &Link) -> Result<Progress, End> {
        if let Some(leave) = &mut self.leave {
            let discarded = discard(&mut self.stream, self.read_batch);
            return leave.go_on(discarded, None, noted, &self.stream, link);
        }
        let is_closed = noted & work::CLOSED != 0;
        self.is_closed |= is_closed;
        self.is_readable |= noted & (work::READABLE | work::CLOSED | work::FILL) != 0;
        self.is_writable |= noted & work::WRITABLE != 0;
        if is_closed && self.inlet.input == Input::Ended {
            // Nothing is left to be read that would tell of an error.
            match self.stream.check_connected() {
                Ok(true) => {}
                Ok(false) => return Err(End::PeerClosed),
                Err(error) => return Err(End::Io(error.into())),
            }
        }
        let written = match self.failed {
            Some(_) => Ok(Progress::Waits),
            None => self.write(link.is_stopped()),
        };
        match written {
            Ok(written) => self.read_on(written, chores),
            Err(End::Sent) if self.has_told && self.inlet.input != Input::Ended => self.leave(link),
            Err(end @ End::Io(_)) => {
                // What the peer has sent before may be here although it takes no more.
                self.failed = Some(end);
                self.outbound = pipe(Some(0)).1; // the socket finds nobody who takes anything
                self.is_readable = true;
                self.read_on(Progress::Waits, chores)
            }
            Err(end) => Err(end),
        }
    }

    /// Reads behind a turn of writing.
    fn read_on(&mut self, written: Progress, chores: &mut Chores) -> Result<Progress, End> {
        let progress = written.and(self.read(chores)?);
        match self.failed {
            // Not every such error ends the connection: a peer that goes on is not waited for.
            Some(end) if self.inlet.input == Input::Ended || !self.is_readable => Err(end),
            Some(_) | None => Ok(progress),
        }
    }

    /// Everything is with the kernel, and nothing more will come.
    fn leave(&mut self, link: &Link) -> Result<Progress, End> {
        let mut leave = Leave::begin(&self.stream, link);
        self.stream.finish();
        let discarded = discard(&mut self.stream, self.read_batch);
        let progress = leave.go_on(discarded, None, 0, &self.stream, link);
        self.leave = Some(leave);
        progress
    }

    /// Whether the kernel takes no more.
    pub(super) fn is_stuffed(&self) -> bool {
        !self.is_writable
    }

    /// Writes until everything is written, the kernel takes no more, or the budget is spent.
    fn write(&mut self, is_stopped: bool) -> Result<Progress, End> {
        let mut budget = self.write_batch;
        while self.is_writable {
            if self.outgoing.is_empty() && !self.take_next(is_stopped)? {
                break;
            }
            let rest = self.outgoing.rest();
            let (count, total) = (self.stream.write(&[IoSlice::new(rest)]).map_err(End::Io)?, rest.len());
            // A short write is how the kernel says that it is full; an event tells when it is not.
            self.is_writable = count == total;
            self.has_told |= count > 0;
            self.outgoing.advance(count);
            budget = budget.saturating_sub(count);
            if budget == 0 {
                return Ok(Progress::Again);
            }
        }
        Ok(Progress::Waits)
    }

    /// Takes the next message from the pipe. `false`: there is none, and the pipe will tell.
    fn take_next(&mut self, is_stopped: bool) -> Result<bool, End> {
        let mut message = Message::new();
        loop {
            match self.outbound.try_take(&mut message) {
                Ok(Taken::Message) => {
                    self.outgoing = Outgoing::new(message);
                    return Ok(true);
                }
                Ok(Taken::Note) => {}
                Err(NoMessage::Dry) if !is_stopped => {
                    if self.outbound.wait_for_messages() {
                        return Ok(false);
                    }
                }
                Err(NoMessage::Closed | NoMessage::Dry) => return Err(End::Sent),
            }
        }
    }

    /// Reads until the kernel has no more, the pipe is full, or the budget or the chores are spent.
    fn read(&mut self, chores: &mut Chores) -> Result<Progress, End> {
        let mut budget = self.read_batch;
        let mut octets = [0; RAW_READ];
        while self.is_readable {
            match self.inlet.input {
                Input::Ended => self.is_readable = false,
                Input::Unwanted => return self.discard(),
                Input::Open if self.inlet.pipe.is_closed() => self.inlet.input = Input::Unwanted,
                Input::Open => match self.inlet.pipe.has_room() {
                    Ok(()) if budget == 0 || !chores.is_any_left() => return Ok(Progress::Again),
                    Ok(()) => {
                        chores.note(RAW_READ_CHORES);
                        budget = budget.saturating_sub(self.read_some(&mut octets)?);
                    }
                    Err(Refused::Closed | Refused::TooLarge) => self.inlet.input = Input::Unwanted,
                    Err(Refused::Full) => {
                        if self.inlet.pipe.wait_for_room() {
                            break;
                        }
                    }
                },
            }
        }
        Ok(Progress::Waits)
    }

    /// One read into the pipe, which has room.
    fn read_some(&mut self, octets: &mut [u8]) -> Result<usize, End> {
        let wanted = octets.len();
        match self.stream.read(&mut [IoSliceMut::new(octets)]).map_err(End::Io)? {
            Read::Dry => {
                self.is_readable = false;
                Ok(0)
            }
            Read::End => {
                self.inlet.input = Input::Ended;
                self.inlet.pipe.note(note::DOWN);
                Ok(0)
            }
            Read::Octets(count) => {
                let octets = octets.get(..count).unwrap_or_default();
                // There is room; and a socket that is gone meanwhile does not miss it.
                let _ = self.inlet.pipe.try_send(&mut Payload::from(octets));
                // A short read emptied the kernel's buffer, unless the end is left to be found.
                self.is_readable = count == wanted || self.is_closed;
                Ok(count)
            }
        }
    }

    /// Throws away what comes, so that the peer can read what it was sent.
    fn discard(&mut self) -> Result<Progress, End> {
        let (discarded, _) = discard(&mut self.stream, self.read_batch).map_err(End::Io)?;
        match discarded {
            Discarded::Some => return Ok(Progress::Again),
            Discarded::End => self.inlet.input = Input::Ended,
            Discarded::Dry => {}
        }
        self.is_readable = false;
        Ok(Progress::Waits)
    }
}

impl Outgoing {
    fn new(message: Message) -> Self {
        let octets = if message.frame_count() == 1 {
            message.into_frames().next().map(|mut frame| frame.take_bytes()).unwrap_or_default()
        } else {
            message.frames().flat_map(|frame| frame.as_bytes()).copied().collect()
        };
        Self { octets, written: 0 }
    }

    fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    fn rest(&self) -> &[u8] {
        self.octets.get(self.written..).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        self.written += count;
        if self.is_empty() {
            *self = Self::default(); // a large body is not needed any more
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        // The connection is over without a word of the peer's.
        if self.input == Input::Open {
            self.pipe.note(note::DOWN);
        }
    }
}
