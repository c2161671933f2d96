//! A session: one stream, its handshake, and from then on octets between the stream and two pipes.
//!
//! Called by its [`Link`](super::Link) only, by one thread at a time. It never sleeps: it goes on until the
//! kernel has no more, a pipe is dry or full, or its turn's budget is spent.
#![forbid(unsafe_code)]

mod ending;
mod handshake;
mod last_words;
mod pacing;
mod topics;

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use crate::io::{End, Notice};
use crate::limits::{BATCH_OCTETS, LARGE_READ_MAX, STREAM_READ_OCTETS};
use crate::options::fill_random;
use crate::pipe::{Assist, Chores, Feed, Passage, Skimmed, Slices};
use crate::session::calls::Calls;
use crate::session::care::{Care, Gait};
use crate::session::link::Link;
use crate::session::pace::{Grace, Pace, Steps};
use crate::session::protocol::{Farewell, Progress, Turn};
use crate::session::translator::{Translator, Written};
use crate::session::work;
use crate::session::{Ends, gate};
use crate::socket_type::SocketType;
use crate::transport::{Read, Stream};
use crate::wire::{Connection, Local, Outbox, Refusal, Security, Signs};

/// One connection at work.
#[derive(Debug)]
pub(super) struct Session {
    stream: Stream,
    /// Between the stream and the pipes of a peer whose frames are not those of the pipes.
    translator: Option<Box<Translator>>,
    connection: Connection,
    outbox: Outbox,
    /// Whether the peer may come in is being decided elsewhere.
    judged: Option<Box<handshake::Judged>>,
    /// There from the start for a dialer's session; made after the handshake for an accepted one.
    ends: Option<Box<Ends>>,
    /// A large body has come or gone.
    is_wide: bool,
    is_readable: bool,
    is_writable: bool,
    /// The inbound pipe was full, or no chores were left: octets that were read may wait in it.
    is_full: bool,
    /// The peer has closed its side, or sends urgent octets: read on until the end shows, or nothing is left.
    is_closed: bool,
    stage: ending::Stage,
    /// No poll may report the stream any more.
    is_unwatched: bool,
    is_shaking_hands: bool,
    /// What is queued now is the last.
    is_stopped: bool,
    takes_notes: bool,
    /// What the socket wants from this peer; from the end of the handshake on.
    feed: Option<Feed>,
    asked: topics::Asked,
    held: topics::Held,
    care: Care,
    /// The socket's own thread was at work since the last tick.
    was_called: bool,
    /// The kernel was asked for the peer's octets since the last tick.
    was_heard: bool,
    /// Messages that the kernel had at the last tick.
    sent_at_tick: u64,
    pace: Pace,
    /// Ticks in a row in which nobody asked for the peer's octets.
    unheard_ticks: u32,
    /// Ticks in a row in which nothing moved.
    idle_ticks: u32,
    steps: Steps,
    /// Whose turn it is, or was last.
    turn: Turn,
    calls: Calls,
    /// Octets read and written.
    moved: u64,
    /// Octets read.
    heard: u64,
    /// From the end of the handshake on. Boxed: there may be many connections that never get there.
    counted: Option<Box<last_words::Counted>>,
    /// When the task was asked to look after heartbeats next.
    beat_at: Option<Instant>,
    /// What `moved` was when the I/O thread took the connection back because nothing moved.
    idle_since: u64,
}

impl Session {
    /// A session over a connected stream. The first [`run`](Self::run) sends the greeting.
    pub(super) fn new(stream: Stream, link: &Link, ends: Option<Box<Ends>>) -> Self {
        let owner = link.owner();
        let mut outbox = Outbox::new();
        let (socket_type, options) = (owner.socket_type, Arc::clone(&owner.options));
        let (settings, has_judge) = (Arc::clone(&owner.security), gate::has_judge(&owner.options));
        let security = Security::new(settings, has_judge, link.is_accepted(), fill_random);
        let (naming, comes_back) = (link.naming(), !link.is_accepted());
        let local = Local { socket_type, options, security, naming, comes_back };
        // Pipes that are made for one connection come and go with it: no note needs to tell.
        let takes_notes = ends.is_some() && owner.socket_type.takes_notes();
        Self {
            stream,
            translator: None,
            connection: Connection::new(local, &mut outbox),
            outbox,
            judged: None,
            ends,
            is_wide: false,
            is_readable: true,
            is_writable: true,
            is_full: false,
            is_closed: false,
            stage: ending::Stage::Talks,
            is_unwatched: false,
            is_shaking_hands: true,
            is_stopped: false,
            takes_notes,
            feed: None,
            asked: topics::Asked::Nothing,
            held: topics::Held::default(),
            care: Care::new(),
            was_called: false,
            was_heard: false,
            sent_at_tick: 0,
            pace: Pace::default(),
            unheard_ticks: 0,
            idle_ticks: 0,
            steps: Steps::default(),
            turn: Turn::Task,
            calls: Calls::default(),
            moved: 0,
            heard: 0,
            counted: None,
            beat_at: None,
            idle_since: 0,
        }
    }

    /// Most octets to read in one turn.
    fn read_batch(&self) -> usize {
        self.connection.options().in_batch_size().size() as usize
    }

    fn max_body_octets(&self) -> u64 {
        self.connection.options().max_message_size().limit().unwrap_or(u64::MAX)
    }

    pub(super) fn is_shaking_hands(&self) -> bool {
        self.is_shaking_hands
    }

    /// Whether a message of the peer has come.
    pub(super) fn has_heard(&self) -> bool {
        self.ends.as_ref().is_some_and(|ends| ends.inbound.heard() > 0)
    }

    /// Goes on with other pipe ends as long as the handshake lasts: nothing of the old ones has gone or come.
    pub(super) fn change_ends(&mut self, ends: Box<Ends>) -> Result<(), Box<Ends>> {
        match &mut self.ends {
            Some(old) if self.is_shaking_hands => {
                *old = ends;
                self.sent_at_tick = self.sent();
                Ok(())
            }
            Some(_) | None => Err(ends),
        }
    }

    /// Whether not one octet of the peer's greeting has come.
    pub(super) fn is_unheard(&self) -> bool {
        self.is_shaking_hands && self.heard == 0
    }

    /// The last that the peer is told is that it is not wanted, if it understands that, and nothing is under way.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        if self.is_talking() && self.is_between_messages() {
            self.connection.refuse(refusal, &mut self.outbox);
            self.say_nothing_more();
        }
    }

    /// Gives the pipe ends back, with nothing of this connection in them but `farewell`, unless that is the last; and the
    /// stream, of which nobody hears any more, if that is possible.
    pub(super) fn part(mut self, farewell: Farewell<'_>, link: &Link) -> (Option<Box<Ends>>, Option<Stream>) {
        let released = self.care.let_go(&mut self.stream, link.registry(), &mut self.calls);
        let ends = self.ends.take();
        let ends = ends.and_then(|ends| ends_again(ends, self.is_shaking_hands, self.takes_notes, farewell));
        (ends, released.is_ok().then_some(self.stream))
    }

    /// Gives the pipe ends back, as [`part`](Self::part), and closes the stream.
    pub(super) fn into_ends(self, farewell: Farewell<'_>) -> Option<Box<Ends>> {
        ends_again(self.ends?, self.is_shaking_hands, self.takes_notes, farewell)
    }

    /// Whether a read can wait: see [`Turn::Wait`].
    pub(super) fn is_patient(&self) -> bool {
        self.care.is_patient() && self.translator.as_ref().is_none_or(|it| it.can_wait())
    }

    /// Does what was noted.
    pub(super) fn run(
        &mut self,
        noted: u8,
        turn: Turn,
        chores: &mut Chores,
        link: &Link,
    ) -> Result<Progress, End> {
        let (moved, heard, messages) = (self.moved, self.heard, self.messages());
        self.is_stopped = link.is_stopped();
        // What there was no room for may be what the caller waits for.
        self.turn = if self.is_full && turn == Turn::Wait { Turn::Call } else { turn };
        let progress = self.go_on(noted, chores, link);
        let (moved, heard, messages) = (self.moved - moved, self.heard - heard, self.messages() - messages);
        // The handshake counts as heard only.
        let is_turn = self.steps.note_turn(heard, moved.saturating_sub(heard), messages);
        if noted & work::CALLER != 0 {
            self.note_caller(moved, messages, is_turn, link);
            if self.care.is_stream() && self.steps.note_single(moved, messages, is_turn) && progress.is_ok() {
                self.take_back(link);
                return Ok(Progress::Again); // the pipes were not asked to tell
            }
        }
        if noted & work::FILL != 0 && self.care.gait() == Gait::Quiet {
            self.note_look(link);
        }
        self.ends.iter_mut().for_each(|ends| ends.mind_memory(noted, link));
        match progress {
            // The caller comes back, or the next tick finds what is left.
            Ok(Progress::Again) if self.care.is_stream() => Ok(Progress::Waits),
            progress => progress,
        }
    }

    /// System calls so far.
    #[cfg(test)]
    pub(super) fn calls(&self) -> u64 {
        self.calls.total()
    }

    /// Messages that have gone either way.
    fn messages(&self) -> u64 {
        self.ends.as_ref().map_or(0, |ends| ends.messages())
    }

    /// Messages that the kernel has.
    fn sent(&self) -> u64 {
        self.ends.as_ref().map_or(0, |ends| ends.outbound.sent())
    }

    /// Whether the kernel takes no more.
    pub(super) fn is_stuffed(&self) -> bool {
        !self.is_writable
    }

    fn read_and_write(&mut self, noted: u8, chores: &mut Chores, link: &Link) -> Result<Progress, End> {
        if noted & !work::CALLER == work::WRITABLE && self.is_writable {
            // Over ipc the kernel reports room whenever the peer reads: no reason to write before the tick.
            if self.care.note_vain_report() {
                self.hush_writer(link);
            }
            if noted == work::WRITABLE && self.care.is_stream() {
                return Ok(Progress::Waits);
            }
        }
        // Before a peer is taken for silent, one look for what it may have said.
        if noted & (work::READABLE | work::CLOSED | work::FILL | work::BEAT) != 0 {
            self.is_readable = true;
            self.was_heard = true;
        }
        self.is_writable |= noted & work::WRITABLE != 0;
        self.is_closed |= noted & work::CLOSED != 0;
        if noted & work::CLOSED != 0 {
            self.look_for_end(link);
        }
        // Reading first when somebody waits for it; a full outbox is written before more is read.
        // In step, the pipe tells when there is something to write.
        let is_told =
            noted & !(work::CALLER | work::FILL) == work::READABLE || noted == work::CALLER | work::FILL;
        let only_read = is_told && self.care.gait() == Gait::InStep;
        let mut progress = if only_read { Progress::Waits } else { self.write(link)? };
        let was_shaking_hands = self.is_shaking_hands;
        if self.is_readable || self.is_full {
            match self.read(chores, link) {
                Ok(read) if progress == Progress::Waits => progress = read,
                Ok(_) => {}
                Err(end) => {
                    // What the handshake has to say is said, as far as the kernel takes it, also to a peer that has closed
                    // its half.
                    if was_shaking_hands && self.is_talking() {
                        self.write_outbox();
                    }
                    return Err(end);
                }
            }
        }
        // A peer that has closed its side is not asked for signs of life: that would be answered with a reset.
        if (noted & work::BEAT != 0 || self.connection.wants_timer()) && self.is_talking() {
            // The task has forgotten what it was asked for: it knows one time only, which may have been another
            // session's, or one that a call has seen to meanwhile.
            self.beat_at = self.beat_at.filter(|_| noted & work::BEAT == 0);
            self.beat(link)?;
        }
        self.answer_if_taken();
        if !self.outbox.is_empty() || was_shaking_hands {
            progress = progress.and(self.write(link)?);
        }
        Ok(progress)
    }

    /// Looks after heartbeats, and asks to be called at the next deadline.
    fn beat(&mut self, link: &Link) -> Result<(), End> {
        let now = Instant::now();
        let signs = Signs { heard: self.heard, taken: self.moved, is_deaf: self.is_full };
        if link.is_doubted() && !self.connection.doubt(now, signs, &mut self.outbox) {
            self.stream.doubt();
        }
        let next = self.connection.handle_timeout(now, signs, &mut self.outbox).map_err(|_| End::Silent)?;
        if let Some(round_trip) = self.connection.round_trip() {
            link.pulse.note_round_trip(round_trip);
        }
        self.beat_at = self.beat_at.filter(|at| *at > now);
        if let Some(next) = next.filter(|next| self.beat_at.is_none_or(|at| *next < at)) {
            self.beat_at = Some(next);
            link.post(Notice::WakeAt(next));
        }
        Ok(())
    }

    /// Writes until everything is written, the kernel takes no more, or the budget is spent. What comes meanwhile
    /// in a stream is left for the next batch or tick, unless it is much.
    fn write(&mut self, link: &Link) -> Result<Progress, End> {
        let mut budget = self.connection.options().out_batch_size().size() as usize;
        while self.is_writable && self.is_talking() {
            self.tell_topics();
            let mut slices = Slices::new();
            let control = self.outbox.octets();
            if let (false, Some(ends)) = (self.is_shaking_hands, &mut self.ends) {
                ends.refill();
            }
            let ready = if self.is_shaking_hands { None } else { self.ends.as_mut() };
            let between = ready.as_ref().is_none_or(|ends| ends.outbound.is_between_messages())
                && self.translator.as_ref().is_none_or(|it| it.is_between_frames());
            let control_octets = if between { control.len() } else { 0 };
            if control_octets > 0 {
                slices.push(IoSlice::new(control));
            }
            if let Some(ends) = ready {
                ends.outbound.gather(&mut slices, !control.is_empty() && !between);
            }
            if slices.is_empty() {
                drop(slices);
                match self.wait_for_messages()? {
                    true => return Ok(Progress::Waits),
                    false => continue,
                }
            }
            let total: usize = slices.iter().map(|slice| slice.len()).sum();
            if total >= LARGE_READ_MAX && !self.is_wide {
                self.is_wide = slices.iter().any(|slice| slice.len() >= LARGE_READ_MAX);
                if self.is_wide {
                    self.stream.widen(&link.owner().options);
                }
            }
            self.calls.count();
            let done = match &mut self.translator {
                None => {
                    let taken = self.stream.write(&slices).map_err(End::Io);
                    taken.map(|taken| Written::of(taken, total, control_octets))
                }
                Some(translator) => translator.write(&mut self.stream, &slices, control_octets),
            };
            drop(slices);
            let done = match done {
                Err(end @ End::Io(_)) => {
                    self.stop_talking(end, link);
                    break;
                }
                done => done?,
            };
            // A short write is how the kernel says that it is full; an event tells when it is not.
            self.is_writable = !done.is_short;
            let written = done.control + done.frames;
            self.moved += written as u64;
            self.outbox.advance(done.control);
            if let Some(ends) = &mut self.ends {
                ends.outbound.advance(done.frames);
            }
            if !self.is_writable {
                // It may be long before the kernel has room again: half a queue is not worth waiting for.
                self.tell_of_room();
                self.tell_writer(link);
                break;
            }
            budget = budget.saturating_sub(written);
            if budget == 0 {
                return Ok(Progress::Again);
            }
            if self.turn == Turn::Step {
                self.pace = Pace::default();
            } else if self.pace.note_write(self.sent(), Instant::now) {
                self.note_stream(link);
            }
            let was_little = written < BATCH_OCTETS && self.outbox.is_empty();
            let is_all = match self.care.gait() {
                Gait::Stream => true, // what comes meanwhile waits for the next batch
                Gait::InStep => self.feed.is_none(),
                Gait::Quiet => false,
            };
            // Finds out whether it was the last.
            if was_little && is_all && (self.wait_for_messages()? || self.care.is_stream()) {
                break;
            }
        }
        if self.is_stopped && !self.is_writable && self.is_told() {
            // What is left answers the peer, which does not read: that is said while it is waited for, or not at all.
            self.put_last_words();
            return Err(End::Sent);
        }
        Ok(Progress::Waits)
    }

    /// Whether the kernel has all messages, but not all else that there is to say.
    fn is_told(&mut self) -> bool {
        let can_be = self.is_talking() && !self.is_shaking_hands && self.is_between_messages();
        can_be && self.ends.as_mut().is_some_and(|ends| ends.is_dry())
    }

    fn tell_of_room(&self) {
        if let Some(ends) = &self.ends {
            ends.outbound.tell_of_room();
        }
    }

    /// Asks the pipe to tell of the next message. `false`: look again.
    fn wait_for_messages(&mut self) -> Result<bool, End> {
        let Some(ends) = &mut self.ends else {
            // Nobody has come whom anything could be said to.
            return if self.is_stopped { Err(End::Sent) } else { Ok(true) };
        };
        if self.is_shaking_hands {
            // Nothing to say, and nobody who could: the peer's part of the handshake is not worth waiting for.
            let is_over = ends.is_finished() || self.is_stopped && ends.is_dry();
            return if is_over { Err(End::Sent) } else { Ok(true) };
        }
        if ends.is_finished() || self.is_stopped && ends.is_dry() {
            if let Some(feed) = &mut self.feed {
                // The last that the peer hears is that nothing is wanted any more (S-39).
                feed.close();
                self.tell_topics();
                if !self.outbox.is_empty() {
                    return Ok(false);
                }
            }
            return if self.put_last_words() { Ok(false) } else { Err(End::Sent) };
        }
        Ok(self.care.is_stream() || ends.wait_for_messages(self.turn != Turn::Task))
    }

    /// Reads until the kernel has no more, the pipe is full, or the budget or the chores are spent.
    fn read(&mut self, chores: &mut Chores, link: &Link) -> Result<Progress, End> {
        while self.is_shaking_hands {
            if !self.shake_hands(link)? {
                return Ok(Progress::Waits);
            }
        }
        if !self.is_talking() && link.owner().socket_type == SocketType::Pub {
            return self.discard(chores); // what it subscribed to goes with it
        }
        let mut grace = Grace::new(self.messages());
        let is_short = self.care.is_stream() || link.owner().socket_type.is_deaf();
        let most = self.read_batch();
        let mut budget = if is_short { most.min(STREAM_READ_OCTETS) } else { most };
        let max_octets = self.max_body_octets();
        loop {
            let is_talking = self.is_talking();
            let Some(ends) = &mut self.ends else { return Ok(Progress::Waits) };
            // Nobody hears the answers; but of what is in the outbox the kernel or a translator may have a part.
            let mut unheard = None;
            let outbox = if is_talking { &mut self.outbox } else { unheard.get_or_insert_with(Outbox::new) };
            let connection = &mut self.connection;
            let mut is_commanded = false;
            let skimmed = ends.inbound.skim(max_octets, chores, |body| {
                is_commanded = true;
                connection.handle_command(body, outbox)
            });
            let goes_on = ends.hand_over(chores);
            if is_commanded || self.held.is_any() {
                self.held.look(&ends.inbound, connection, outbox);
                if let (Some(feed), Some(answer)) = (&mut self.feed, connection.take_answer()) {
                    self.asked.on_answer(answer, feed, connection, outbox);
                }
            }
            self.is_full = matches!(skimmed, Ok(Skimmed::Cut | Skimmed::Full));
            match skimmed.map_err(End::Protocol)? {
                _ if !goes_on => return self.discard(chores),
                Skimmed::Closed => return self.discard(chores),
                Skimmed::Dry => {}
                Skimmed::Cut => return Ok(Progress::Again),
                Skimmed::Full if ends.is_diverting() && !chores.is_any_left() => return Ok(Progress::Again),
                Skimmed::Full if ends.is_diverting() => continue,
                // Nobody makes room any more, and only the end is left to find.
                Skimmed::Full if self.is_stopped && !is_talking => return self.discard(chores),
                Skimmed::Full => {
                    if self.care.is_stream() || self.held.wait_for_room(&mut ends.inbound) {
                        return Ok(Progress::Waits);
                    }
                    continue;
                }
            }
            let waits = self.turn == Turn::Wait && grace.is_left(ends.messages());
            if !self.is_readable && !waits {
                return Ok(Progress::Waits);
            }
            if budget == 0 || !chores.is_any_left() {
                return Ok(Progress::Again);
            }
            if is_talking && self.outbox.is_full() {
                // A peer that asks and does not read the answers is not read any more.
                self.write(link)?;
                if self.outbox.is_full() {
                    return Ok(Progress::Waits);
                }
                continue;
            }
            let (mut room, wanted) = ends.inbound.room().map_err(End::Protocol)?;
            if wanted >= LARGE_READ_MAX && !self.is_wide {
                self.is_wide = true;
                self.stream.widen(&link.owner().options);
            }
            self.calls.count();
            let waits = (self.turn == Turn::Wait).then(|| link.owner().spin);
            let read = match (&mut self.translator, waits) {
                (Some(translator), _) => translator.read(&mut self.stream, &mut room, waits, chores)?,
                (None, Some(spin)) => self.stream.wait_and_read(&mut room, spin).map_err(End::Io)?,
                (None, None) => self.stream.read(&mut room).map_err(End::Io)?,
            };
            match read {
                Read::Dry => (self.is_readable, self.turn) = (false, Turn::Call),
                Read::End => return Err(End::PeerClosed),
                Read::Octets(count) => {
                    ends.inbound.filled(count);
                    self.moved += count as u64;
                    self.heard += count as u64;
                    // A peer that answers waits for what we write next.
                    self.pace = Pace::default();
                    budget = budget.saturating_sub(count);
                    // A short read emptied the kernel's buffer; an event tells of more. Not so when the
                    // peer has closed: that event is used up, and only the end is left to find.
                    self.is_readable = count == wanted || self.is_closed;
                    self.is_readable |= self.translator.as_ref().is_some_and(|it| it.has_more());
                }
            }
        }
    }
}

/// Pipe ends without anything of their last connection but `farewell`; none if that is the last.
fn ends_again(
    mut ends: Box<Ends>,
    is_shaking_hands: bool,
    takes_notes: bool,
    farewell: Farewell<'_>,
) -> Option<Box<Ends>> {
    ends.start_again();
    if let (Some(octets), false) = (farewell.octets, is_shaking_hands) {
        ends.inbound.deliver(octets, farewell.is_last);
    }
    if takes_notes && !is_shaking_hands {
        ends.inbound.note_passage(Passage::leave);
    }
    // The last ones go before the stream: the socket hears of this end before the peer can be back.
    if farewell.is_last { None } else { Some(ends) }
}
