//! Contexts: what the sockets of one program share: I/O threads and inproc names.
#![forbid(unsafe_code)]

mod finish;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

pub use self::finish::{FinishReport, Undelivered};
#[cfg(test)]
pub(crate) use self::finish::{end_with_program, remembered};
use crate::error::OpenError;
use crate::io::{Pool, SocketMailbox, ToSocket, unique_id};
use crate::limits::SPIN_MAX;
use crate::options::Linger;
use crate::patterns::{AnyPattern, Pattern};
use crate::pipe::Books;
use crate::session::Manner;
use crate::socket::inproc::InprocNames;
use crate::socket::zap::ZapDesk;
use crate::socket::{Archive, Totals};
use crate::socket::{Builder, Socket};
use crate::socket_type::SocketType;
use crate::sync::{AtomicBool, Mutex, Ordering, lock, prepare_fences};

/// What the sockets of one program share: I/O threads, and the names of inproc endpoints.
///
/// A handle: clones are the same context. I/O threads start with the first tcp or ipc endpoint, one by one
/// as there is work for them, at most one for each core that the process may use.
///
/// # How it ends
///
/// When the last handle and the last socket are dropped, the drop waits until messages that
/// [`linger`](crate::Options::linger) are handed to the kernel: 30 seconds at most, unless
/// [`ContextBuilder::linger`] says otherwise. After a second it tells on standard error, or to `tracing`, for what it
/// waits, and in the end what was lost. Without such messages it returns at once. After [`shutdown`](Self::shutdown),
/// unless [`ContextBuilder::linger`] says otherwise, and in a thread that panics, only peers that can be reached are
/// waited for, a second at most.
///
/// [`finish`](Self::finish) waits as long as one likes, and reports.
///
/// A program whose contexts or sockets are never dropped, as those in a `static` are not, loses what peers do not take
/// within a second of the end of `main`, and is told so where there is an `atexit`. [`finish`](Self::finish) before the
/// end of `main` leaves nothing to chance.
///
/// ```
/// use peermq::{Context, Pair};
///
/// let context = Context::builder().io_threads(1).build();
/// let mut pair = context.open::<Pair>()?;
/// let endpoint = pair.bind("tcp://127.0.0.1:0")?;
/// assert_ne!(endpoint.port(), Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) inner: Arc<ContextInner>,
}

/// The context behind the handles.
#[derive(Debug)]
pub(crate) struct ContextInner {
    pub(crate) pool: Arc<Pool>,
    pub(crate) inproc: Mutex<InprocNames>,
    /// Open sockets, to be told of a shutdown.
    sockets: Mutex<HashMap<u64, Entry>>,
    /// The books of sockets that are gone.
    archive: Mutex<Archive>,
    is_terminated: AtomicBool,
    pub(crate) zap_desk: Arc<ZapDesk>,
    /// How long a call looks before it sleeps.
    pub(crate) spin: Duration,
    /// Signals end waits.
    pub(crate) is_interruptible: bool,
    /// None: the builder did not say.
    linger: Option<Linger>,
}

/// An open socket.
#[derive(Debug)]
struct Entry {
    mailbox: Arc<SocketMailbox>,
    books: Arc<Books>,
}

/// How a context uses the machine.
///
/// ```
/// use peermq::Context;
///
/// // Two I/O threads, pinned to cores 0 and 1.
/// let context = Context::builder().io_threads(2).pin_to_cores([0, 1]).build();
/// # drop(context);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ContextBuilder {
    io_threads: Option<usize>,
    cores: Vec<usize>,
    spin: Duration,
    is_interruptible: bool,
    linger: Option<Linger>,
}

impl Context {
    /// Returns a context with default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder for a context with settings of its own.
    #[must_use]
    pub fn builder() -> ContextBuilder {
        ContextBuilder::default()
    }

    /// Opens a socket with default options.
    ///
    /// # Errors
    ///
    /// [`OpenError::Terminated`] after [`shutdown`](Self::shutdown), and in a child that was forked since the context was
    /// built.
    pub fn open<P: Pattern>(&self) -> Result<Socket<P>, OpenError> {
        self.builder_for().open()
    }

    /// Opens a socket of a type that is chosen at run time, with default options: see [`AnyPattern`].
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_any(&self, socket_type: SocketType) -> Result<Socket<AnyPattern>, OpenError> {
        self.builder_for_any(socket_type).open()
    }

    /// Returns a builder for a socket with options of its own.
    #[must_use]
    pub fn builder_for<P: Pattern>(&self) -> Builder<P> {
        const { assert!(P::TYPE.is_some(), "AnyPattern is no type: use `open_any` or `builder_for_any`") };
        let Some(socket_type) = P::TYPE else { unreachable!("asserted when this is compiled") };
        Builder::new(self.clone(), socket_type)
    }

    /// Returns a builder for a socket of a type that is chosen at run time, with options of its own.
    #[must_use]
    pub fn builder_for_any(&self, socket_type: SocketType) -> Builder<AnyPattern> {
        Builder::new(self.clone(), socket_type)
    }

    /// Makes every call on every socket of this context return `Terminated`, also calls that wait now: at once, or
    /// within 10 ms if they wait in step with one peer. So does every [`open`](Self::open) from now on; there is no way
    /// back. Can be called from any thread, and again, which changes nothing.
    ///
    /// Returns at once. Messages that were accepted are still sent, as [`linger`](crate::Options::linger)
    /// says, when their sockets are dropped; but the last drop waits a second at most, and not for peers that cannot be
    /// reached, unless [`ContextBuilder::linger`] says for how long. [`Socket::close`] and [`finish`](Self::finish) wait as
    /// long as they are told to.
    ///
    /// ```
    /// use std::thread;
    ///
    /// use peermq::{Context, Pull, RecvError};
    ///
    /// let context = Context::new();
    /// let mut pull = context.open::<Pull>()?;
    /// let waiting = thread::spawn(move || pull.recv());
    /// context.shutdown();
    /// assert_eq!(waiting.join().unwrap(), Err(RecvError::Terminated));
    /// assert!(context.open::<Pull>().is_err());
    /// # Ok::<(), peermq::OpenError>(())
    /// ```
    pub fn shutdown(&self) {
        self.inner.shut_down();
    }

    /// Returns what all sockets of this context have sent, received and dropped so far, those that are gone
    /// included. Can be called from any thread, and holds no socket up.
    ///
    /// What is received, handed over, lost and dropped is exact. Producers write down only now and then how much they
    /// have sent: what is queued may be told late by what fits a segment of up to 128 KiB for each peer, unless the queue
    /// is full or empty, and so may octets. [`Socket::stats`] is exact.
    ///
    /// ```
    /// use peermq::{Context, Pull, Push};
    ///
    /// let context = Context::new();
    /// let mut pull = context.open::<Pull>()?;
    /// pull.bind("inproc://work")?;
    /// let mut push = context.open::<Push>()?;
    /// push.connect("inproc://work")?;
    /// push.send("a job")?;
    /// pull.recv()?;
    /// let stats = context.stats();
    /// assert_eq!((stats.sent.messages, stats.received.messages), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Totals {
        let mut archive = lock(&self.inner.archive);
        let open: Vec<_> = lock(&self.inner.sockets).values().map(|it| Arc::clone(&it.books)).collect();
        let mut totals = archive.so_far();
        drop(archive);
        for books in open {
            totals.add_books(&books);
        }
        totals
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl ContextInner {
    /// How a call waits.
    pub(crate) fn manner(&self) -> Manner {
        Manner { spin: self.spin, is_interruptible: self.is_interruptible }
    }

    /// Makes every call on every socket say so.
    fn shut_down(&self) {
        self.is_terminated.store(true, Ordering::SeqCst);
        for socket in lock(&self.sockets).values() {
            socket.mailbox.post(ToSocket::Terminated);
        }
    }

    /// Enters a socket, so that it hears of a shutdown.
    pub(crate) fn enter(&self, mailbox: &Arc<SocketMailbox>, books: &Arc<Books>) -> Result<u64, OpenError> {
        let id = unique_id();
        if self.pool.is_inherited() {
            return Err(OpenError::Terminated);
        }
        let mut sockets = lock(&self.sockets);
        // Looked at behind the lock that `shutdown` takes after it has set it: one of both sees the other.
        if self.is_terminated.load(Ordering::SeqCst) {
            return Err(OpenError::Terminated);
        }
        sockets.insert(id, Entry { mailbox: Arc::clone(mailbox), books: Arc::clone(books) });
        Ok(id)
    }

    pub(crate) fn leave(&self, id: u64) {
        let mut archive = lock(&self.archive); // so that no look at both misses it, or counts it twice
        if let Some(entry) = lock(&self.sockets).remove(&id) {
            archive.add(entry.books);
        }
    }
}

impl ContextBuilder {
    /// Sets how many I/O threads may be started. Default: one for each core that the process may use. They start when
    /// the first tcp or ipc endpoints need them, so a context that uses inproc only has none. With 0 it has nothing else,
    /// as with libzmq: what needs one fails with [`BindErrorKind::NoIoThreads`](crate::BindErrorKind::NoIoThreads) or
    /// [`ConnectErrorKind::NoIoThreads`](crate::ConnectErrorKind::NoIoThreads).
    #[must_use]
    pub fn io_threads(mut self, count: usize) -> Self {
        self.io_threads = Some(count);
        self
    }

    /// Pins I/O threads to these cores, in turn, by the system's numbers. Default: not pinned.
    ///
    /// A core that does not exist, or that the process may not use, leaves its thread unpinned.
    #[must_use]
    pub fn pin_to_cores(mut self, cores: impl IntoIterator<Item = usize>) -> Self {
        self.cores = cores.into_iter().collect();
        self
    }

    /// Sets how long a call that finds nothing looks again and again before it sleeps; at most 1 ms. Default: zero,
    /// it sleeps at once.
    ///
    /// A thread that sleeps, and a core that sleeps with it, take 5 to 50 µs to wake up. A program whose peers answer
    /// sooner than that, and that has a core for each thread that waits, gets their answers at once, and pays with a
    /// busy core. With fewer cores it is a loss: whoever looks keeps the one away that would answer.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use peermq::Context;
    ///
    /// let context = Context::builder().spin(Duration::from_micros(50)).build();
    /// # drop(context);
    /// ```
    #[must_use]
    pub fn spin(mut self, time: Duration) -> Self {
        self.spin = time.min(SPIN_MAX);
        self
    }

    /// Sets whether a signal ends a call that waits: with [`Interrupted`](crate::RecvError::Interrupted), once the
    /// program's handler has run on the thread that waits. Default: no, calls go on, as most of those of `std` do.
    ///
    /// Holds for what receives and sends, also on a [`SharedSocket`](crate::SharedSocket), for the waits for subscribers
    /// and subscriptions, for [`wait_ready`](crate::Connection::wait_ready), for [`Monitor`](crate::Monitor)s, but for
    /// their iterators, and for a [`Poller`](crate::Poller) with a socket of this context. What ends something goes on
    /// to its end or its time: [`close`](crate::Socket::close), [`finish`](Context::finish) and drops; and so does a
    /// [`Proxy`](crate::Proxy), which its control ends. Has no effect where there are no signals. Whatever is set,
    /// handlers run on threads of the program's only: those of this library block all signals, but for those that tell
    /// of faults, and `SIGPROF`.
    ///
    /// A handler that runs just before the call sleeps does not end it, as with every call that sleeps. What misses no
    /// signal is a thread that waits for it and calls [`shutdown`](Context::shutdown), or a handler that writes to a pipe
    /// whose other end is in the `Poller`: see [Ctrl-C](crate::manual::ends#ctrl-c).
    ///
    /// ```
    /// use peermq::{Context, Pull, RecvError};
    ///
    /// let context = Context::builder().interruptible(true).build();
    /// let mut pull = context.open::<Pull>()?;
    /// # context.shutdown();
    /// match pull.recv() {
    ///     Err(RecvError::Interrupted) => println!("look at what the handler has noted"),
    ///     received => println!("{received:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn interruptible(mut self, interruptible: bool) -> Self {
        self.is_interruptible = interruptible;
        self
    }

    /// Sets how long the drop of the last handle waits for messages that [`linger`](crate::Options::linger): sockets
    /// that are gone send no longer than that, whatever their own option says. [`Linger::Forever`] is for ever,
    /// [`Linger::DISCARD`] not at all. Default: 30 seconds; after a [`shutdown`](Context::shutdown) a second, and not for
    /// peers that cannot be reached. In a thread that panics it is no longer than that, whatever is set here.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use peermq::{Context, Push};
    ///
    /// let context = Context::builder().linger(Duration::from_millis(10)).build();
    /// let mut push = context.open::<Push>()?;
    /// push.connect("tcp://127.0.0.1:9")?;
    /// push.send("nobody is there")?;
    /// drop((push, context)); // in no time
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn linger(mut self, linger: impl Into<Linger>) -> Self {
        self.linger = Some(linger.into());
        self
    }

    /// Returns the context. No thread starts and no descriptor is opened before the first endpoint.
    ///
    /// The first context of a program registers it with Linux's `membarrier`, on which cheap sends rest. That costs
    /// nothing as long as the program has one thread; else it takes up to some 50 ms, once.
    #[must_use]
    pub fn build(self) -> Context {
        prepare_fences(); // not in the middle of the first burst
        let cores = || available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = self.io_threads.unwrap_or_else(cores);
        let context = Context {
            inner: Arc::new(ContextInner {
                pool: Arc::new(Pool::new(threads, self.cores)),
                inproc: Mutex::new(InprocNames::default()),
                sockets: Mutex::new(HashMap::new()),
                archive: Mutex::default(),
                is_terminated: AtomicBool::new(false),
                zap_desk: Arc::new(ZapDesk::new()),
                spin: self.spin,
                is_interruptible: self.is_interruptible,
                linger: self.linger,
            }),
        };
        finish::remember(&context.inner);
        context
    }
}
