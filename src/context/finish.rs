//! The end of a context: what is waited for, how long, and who is told.
//!
//! ```text
//!                            waits for                         at most                  tells
//!  finish                    all that is queued                as long as it is told    a report
//!  drop                      what lingers                      ContextBuilder::linger   after a second, and of losses
//!  drop in a panic, or       what lingers for peers            a second                 of losses, to `tracing`
//!   behind a shutdown if      that can be reached
//!   the builder said nothing
//!  the end of the program    all that is queued for such       a second                 of losses
//! ```
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use crate::context::{Context, ContextInner};
use crate::endpoint::Endpoint;
use crate::io::Finish;
use crate::limits::{DROP_LINGER, HURRIED_LINGER, PEERS_NAMED, SILENT_LINGER};
use crate::options::{Linger, Timeout};
use crate::pipe::Queue;
use crate::session::tell_left;
use crate::socket::Archive;
use crate::sync::{Mutex, Ordering, at_exit, lock, try_lock};
use crate::time::later;

/// What became of the messages that the sockets of a context held when it was [finished](Context::finish).
///
/// Messages over inproc are not in here: they were with the other socket as soon as they were sent.
///
/// Nothing [`dropped`](Self::dropped) alone does not mean that everything has arrived: what a peer has not read when it
/// dies is lost, although the kernel had it. Nothing `dropped` *and* nobody [`unconfirmed`](Self::unconfirmed) does, for
/// all connections that stood when the context began to end.
///
/// ```
/// use std::time::Duration;
///
/// use peermq::{Context, Push};
///
/// let context = Context::new();
/// let mut push = context.open::<Push>()?;
/// push.connect("tcp://127.0.0.1:9")?;
/// push.send("nobody is there")?;
/// let report = context.finish(Duration::from_millis(10));
/// assert_eq!((report.flushed, report.dropped), (0, 1));
/// assert_eq!(report.undelivered[0].endpoint.to_string(), "tcp://127.0.0.1:9");
/// let has_everything_arrived = report.dropped == 0 && report.unconfirmed == 0;
/// assert!(!has_everything_arrived);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinishReport {
    /// Messages that were handed over to the kernel since. Their peers need not have read them: a peer that is stopped
    /// makes no difference here, as long as the kernel takes what is for it.
    pub flushed: u64,
    /// Messages that were not, and never will be.
    pub dropped: u64,
    /// Messages that had come over connections and that sockets which are still open have not received; what subscribers
    /// have said to a publisher, and news of who comes and goes, included.
    pub unreceived: u64,
    /// Peers whose connections stood, to whom something was handed over, now or before, and who have not closed their
    /// ends of the connections behind it: because the time was over, because they went first without all of it, or because the
    /// connection broke. What was handed over last may not arrive. Zero: they have read everything that was. Peers of
    /// sockets that were dropped before count, too, since the context began: nobody else has told of them, as
    /// [`Socket::close`](crate::Socket::close) does.
    pub unconfirmed: u64,
    /// For whom those were that were dropped: one entry for each connection.
    pub undelivered: Vec<Undelivered>,
}

/// Messages for one peer that were dropped when a context was [finished](Context::finish).
///
/// ```
/// use peermq::Context;
///
/// assert!(Context::new().finish(std::time::Duration::ZERO).undelivered.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undelivered {
    /// Where a socket had connected to; of a peer that had connected to us, its own address.
    pub endpoint: Endpoint,
    /// How many.
    pub messages: u64,
}

impl Context {
    /// Ends the context: waits until everything that its sockets have queued is handed over to the kernel, `within` at
    /// most, and until the peers have closed their ends of the connections behind it, and tells how much that was. The
    /// rest is dropped. [`Timeout::Never`] waits for ever; but for a peer that has only its end to close no longer than
    /// [its kernel shows signs of reading](crate::manual::ends#how-long-it-takes).
    ///
    /// With nothing `dropped` and nobody `unconfirmed` in the report, the peers have read everything. `dropped == 0` alone
    /// says that the kernel has it.
    ///
    /// What sockets hold that are still open counts, wherever they are, as if they were closed now: they need not be
    /// dropped, which those in a `static` never are. As after [`shutdown`](Self::shutdown), every call on them says
    /// `Terminated`. What sockets that were dropped have left behind is sent as their [`linger`](crate::Options::linger)
    /// says, but no longer than `within`.
    ///
    /// Waits for its I/O threads, so it must not be called on one of them, which an
    /// [`Authorizer`](crate::Authorizer) is. In a forked child it does nothing.
    pub fn finish(&self, within: impl Into<Timeout>) -> FinishReport {
        let ending = Ending::begin(&self.inner, within.into());
        self.inner.pool.wait(None);
        ending.report()
    }

    /// Ends the context as [`finish`](Self::finish) does, in a task, for any executor.
    ///
    /// Cancel-safe: dropped after its first poll, the future leaves what is queued to be sent `within` the same time,
    /// and nobody is told. Dropped before, it does nothing.
    pub async fn finish_async(&self, within: impl Into<Timeout>) -> FinishReport {
        let ending = Ending::begin(&self.inner, within.into());
        poll_fn(
            |context| {
                if self.inner.pool.poll_ended(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
            },
        )
        .await;
        ending.report()
    }
}

/// A context that is about to end.
struct Ending<'a> {
    context: &'a ContextInner,
    queues: Vec<Queue>,
    /// Peers of sockets that were dropped, whose connections are over.
    unconfirmed: u64,
}

impl<'a> Ending<'a> {
    fn begin(context: &'a Arc<ContextInner>, within: Timeout) -> Self {
        if context.pool.is_inherited() {
            return Self { context, queues: Vec::new(), unconfirmed: 0 };
        }
        context.shut_down();
        let (queues, unconfirmed) = context.queues();
        let by = within.limit().map(|limit| later(Instant::now(), limit));
        context.pool.finish(Finish { by, is_hurried: false });
        Self { context, queues, unconfirmed }
    }

    /// What has become of it, when all I/O threads have ended.
    fn report(self) -> FinishReport {
        self.context.pool.join();
        let (unreceived, unconfirmed) = (self.context.unreceived(), self.unconfirmed);
        let mut report = FinishReport { unreceived, unconfirmed, ..FinishReport::default() };
        for queue in self.queues {
            let messages = queue.left();
            report.flushed += queue.flushed();
            report.dropped += messages;
            report.unconfirmed += u64::from(queue.is_unconfirmed());
            if messages > 0 {
                report.undelivered.push(Undelivered { endpoint: queue.to().clone(), messages });
            }
        }
        report
    }
}

impl ContextInner {
    /// All books, when the sockets are gone.
    fn take_archive(&self) -> Archive {
        let mut archive = std::mem::take(&mut *lock(&self.archive));
        // Of sockets that did not come as far as to leave: something has panicked when they were dropped.
        let sockets = std::mem::take(&mut *lock(&self.sockets));
        sockets.into_values().for_each(|entry| archive.add(entry.books));
        archive
    }

    /// What is queued for connections, of sockets that are open and of those that are gone; and how many peers of those that
    /// are gone, whose connections are over, may not have all.
    fn queues(&self) -> (Vec<Queue>, u64) {
        let archive = lock(&self.archive); // as in `leave`
        let (mut books, mut unconfirmed) = archive.books();
        books.extend(lock(&self.sockets).values().map(|entry| Arc::clone(&entry.books)));
        drop(archive);
        let mut queues = Vec::new();
        for books in books {
            let (of_it, more) = books.queues();
            queues.extend(of_it);
            unconfirmed += more;
        }
        (queues, unconfirmed)
    }

    /// What has come over connections, which are gone, and was not received by sockets that are open; also from peers
    /// of whom their sockets have not heard.
    fn unreceived(&self) -> u64 {
        let sockets = lock(&self.sockets);
        sockets.values().map(|entry| entry.mailbox.unreceived() + entry.books.unreceived()).sum()
    }

    /// Lets what peers take at once be sent, and tells of the rest.
    fn end_with_program(&self) {
        if self.pool.is_inherited() {
            return;
        }
        let (queues, _) = self.queues();
        let by = later(Instant::now(), HURRIED_LINGER);
        self.pool.finish(Finish { by: Some(by), is_hurried: true });
        // And a little more; but the caller may be one of these threads.
        self.pool.wait(Some(later(by, HURRIED_LINGER / 10)));
        if let Some((messages, peers)) = left(&queues) {
            let what = "was lost with the program, which did not drop its socket and context";
            tell_left(
                &format!("{peers} {what}, or call Context::finish, before the end of main"),
                messages,
                true,
            );
        }
    }
}

impl Drop for ContextInner {
    fn drop(&mut self) {
        if self.pool.is_inherited() {
            return;
        }
        // Relaxed: whoever has shut it down has let its handle go since.
        let is_brief = self.linger.is_none() && self.is_terminated.load(Ordering::Relaxed);
        let is_hurried = is_brief || thread::panicking();
        let limit = self.linger.unwrap_or(Linger::AtMost(DROP_LINGER)).limit();
        let limit = if is_hurried { limit.into_iter().chain([HURRIED_LINGER]).min() } else { limit };
        let is_silent = limit.is_some_and(|limit| limit <= SILENT_LINGER);
        let is_here = self.pool.is_here();
        let mut queues = if is_silent || is_here { self.queues().0 } else { Vec::new() };
        let begun = Instant::now();
        let by = limit.map(|limit| later(begun, limit));
        self.pool.finish(Finish { by, is_hurried });
        if is_here {
            // Whoever had the last handle was a task that this thread woke, and cannot wait for itself.
            let archive = self.take_archive();
            return self.pool.do_last(move || end(archive, &queues, begun, is_silent));
        }
        if !is_silent && !self.pool.wait(Some(later(begun, SILENT_LINGER))) {
            (queues, _) = self.queues();
            if let Some((messages, peers)) = left(&queues) {
                tell_left(&still_waits(&peers, limit), messages, true);
            }
        }
        self.pool.wait(None);
        self.pool.join();
        end(self.take_archive(), &queues, begun, is_silent);
    }
}

/// Behind the last I/O thread: tells what was lost of what was queued, and lets the books go, which may lead to themselves.
fn end(mut archive: Archive, queues: &[Queue], begun: Instant, is_silent: bool) {
    if let Some((messages, peers)) = left(queues) {
        let text =
            format!("{peers} was dropped with the context, {:.1?} after its end began", begun.elapsed());
        tell_left(&text, messages, !is_silent);
    }
    archive.burn();
}

/// Messages that were not handed over, and what there is to say of them; none, if there are none.
fn left(queues: &[Queue]) -> Option<(u64, String)> {
    let left: Vec<_> =
        queues.iter().map(|queue| (queue.left(), queue.to())).filter(|(left, _)| *left > 0).collect();
    let messages = left.iter().map(|(left, _)| left).sum();
    let named: Vec<_> = left.iter().take(PEERS_NAMED).map(|(_, to)| to.to_string()).collect();
    let more = match left.len().saturating_sub(PEERS_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let text = format!("what is queued ({messages}) for {}{more}", named.join(", "));
    (messages > 0).then_some((messages, text))
}

fn still_waits(peers: &str, limit: Option<Duration>) -> String {
    let rest = match limit {
        Some(limit) => format!("{:?} at most", limit.saturating_sub(SILENT_LINGER)),
        None => "as long as it takes".to_owned(),
    };
    format!("a context that was dropped waits until {peers} is sent: {rest}; see ContextBuilder::linger")
}

/// Contexts that are to be ended when the program ends.
static LIVING: Mutex<Vec<Weak<ContextInner>>> = Mutex::new(Vec::new());

/// Contexts that were ended then, so that this was not the last to hold one: dropping that would wait once more.
static ENDED: Mutex<Vec<Arc<ContextInner>>> = Mutex::new(Vec::new());

/// The end of the program is the end of this context, too.
pub(super) fn remember(context: &Arc<ContextInner>) {
    at_exit(end_with_program);
    let mut living = lock(&LIVING);
    living.retain(|context| context.strong_count() > 0);
    living.push(Arc::downgrade(context));
}

/// How many contexts are kept for the end of the program, and how many were ended by it.
#[cfg(test)]
pub(crate) fn remembered() -> (usize, usize) {
    (lock(&LIVING).len(), lock(&ENDED).len())
}

pub(crate) fn end_with_program() {
    // Not waited for: in a forked child a thread may hold it that is not there.
    let living = try_lock(&LIVING).map(|mut living| std::mem::take(&mut *living)).unwrap_or_default();
    let contexts: Vec<_> = living.iter().filter_map(Weak::upgrade).collect();
    contexts.iter().for_each(|context| context.end_with_program());
    lock(&ENDED).extend(contexts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_with_its_rest() {
        for (limit, rest) in [
            (Some(DROP_LINGER), "29s at most"),
            (Some(Duration::from_millis(1250)), "250ms at most"),
            (None, "as long as it takes"),
        ] {
            let told = still_waits("it", limit);
            assert!(told.ends_with(&format!(" is sent: {rest}; see ContextBuilder::linger")), "{told}");
        }
    }
}
