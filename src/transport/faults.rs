//! System calls that fail when a test wants them to: with any error that they may have, and by seed.
//!
//! A [`Plan`] holds for the threads that have entered it, and for those that they start through [`inherit`]: the I/O
//! threads of a context that is made within are, those of other tests beside it are not. Each thread draws from a
//! generator of its own, so that a seed means the same whatever the others do.
//!
//! What is drawn before a call takes its place, as if the kernel had refused: nothing is sent, received, accepted or
//! opened. A call that says to try later, or that does less than it was asked for, has the kernel report readiness
//! once more, as it does when that is the truth: everything here is edge-triggered.
//!
//! Nobody asks before the calls that Linux cannot refuse on a descriptor which is open: `close`, `fcntl`, `TIOCOUTQ`, and
//! `shutdown`, which fails only when there is nothing to shut down.
#![forbid(unsafe_code)]
#![allow(clippy::indexing_slicing, reason = "of tests only")]

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;
use std::sync::Once;

use libc::{
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EBUSY, ECONNABORTED, ECONNREFUSED, ECONNRESET,
    EHOSTUNREACH, EINTR, EINVAL, EIO, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS, ENOENT, ENOLCK, ENOMEM,
    ENOSPC, EPERM, EPIPE, EPROTO, EROFS, ETIMEDOUT,
};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, lock};
use crate::transport::call::Call;

thread_local! {
    static PLAYER: RefCell<Option<Player>> = const { RefCell::new(None) };
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The call fails.
    Errno(i32),
    /// It does a part of what it was asked for.
    Short,
}

/// What a plan draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Interruptions, calls to be tried later, and those that do less: nothing may come of it.
    None,
    /// Also errors that end a connection, or that somebody has to be told of.
    Any,
    /// All of these but of reads: what the kernel has of a peer can be read.
    ButReads,
}

impl Call {
    /// What happens every day, and is no failure.
    const fn harmless(self) -> &'static [Fault] {
        match self {
            Self::Accept => &[Fault::Errno(EAGAIN), Fault::Errno(EINTR), Fault::Errno(ECONNABORTED)],
            Self::Connect | Self::ConnectIpc | Self::Lock | Self::Poll | Self::Ring | Self::Wake => {
                &[Fault::Errno(EINTR)]
            }
            Self::Read | Self::Write => &[Fault::Errno(EAGAIN), Fault::Errno(EINTR), Fault::Short],
            _ => &[],
        }
    }

    /// The errors that Linux's manual pages name, but for those that mean a mistake in the program.
    const fn harmful(self) -> &'static [i32] {
        match self {
            Self::Accept => &[EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO, ENETDOWN],
            Self::Bind => &[EACCES, EADDRINUSE, EADDRNOTAVAIL, ENOMEM, ENOSPC, EROFS],
            Self::Connect => &[
                EADDRNOTAVAIL,
                EAGAIN,
                ECONNREFUSED,
                EHOSTUNREACH,
                ENETUNREACH,
                ENOBUFS,
                ENOMEM,
                EPERM,
                ETIMEDOUT,
            ],
            Self::ConnectIpc => &[EACCES, EAGAIN, ECONNREFUSED, ENOBUFS, ENOENT, ENOMEM, EPERM],
            Self::GetOption => &[ENOBUFS, ENOMEM],
            Self::Listen => &[EADDRINUSE, ENOMEM],
            Self::Lock => &[ENOLCK],
            Self::Look => &[EACCES, EIO, ENOMEM],
            Self::Open => &[EACCES, EMFILE, ENFILE, ENOMEM],
            Self::Outcome => &[ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT],
            Self::Poll | Self::Wake => &[],
            Self::PollNew => &[EMFILE, ENFILE, ENOMEM],
            Self::Read => &[ECONNRESET, EHOSTUNREACH, EIO, ENOBUFS, ENOMEM, ETIMEDOUT],
            Self::Register => &[ENOMEM, ENOSPC],
            Self::Remove => &[EACCES, EBUSY, EIO, ENOMEM, EPERM, EROFS],
            Self::Reregister => &[ENOMEM],
            Self::Ring => &[ENOBUFS, ENOMEM],
            Self::SetOption => &[EINVAL, ENOBUFS, ENOMEM, EPERM],
            Self::Socket => &[EACCES, EAFNOSUPPORT, EMFILE, ENFILE, ENOBUFS, ENOMEM],
            Self::Spawn => &[EAGAIN, ENOMEM],
            Self::Write => &[ECONNRESET, EHOSTUNREACH, ENETDOWN, ENOBUFS, ENOMEM, EPERM, EPIPE, ETIMEDOUT],
        }
    }

    /// One of how many calls fails harmfully: few of those that every message needs, or no connection would last.
    const fn one_in(self) -> u64 {
        match self {
            Self::Read | Self::Write => 40,
            Self::Register | Self::Reregister => 20,
            _ => 6,
        }
    }
}

/// One of how many calls fails in a way that is none.
const HARMLESS_ONE_IN: u64 = 3;

/// How the system calls of some threads fail.
pub(crate) struct Plan {
    seed: u64,
    harm: Harm,
    is_over: AtomicBool,
    /// So many such calls pass, and the one behind them fails so.
    next: Mutex<Option<(Call, u64, i32)>>,
    threads: AtomicU64,
    panics: AtomicU64,
    breaks: AtomicU64,
    read_breaks: AtomicU64,
    tally: Mutex<Tally>,
    edges: Mutex<HashMap<i32, (Registry, Token, Interest)>>,
}

/// How often each call has failed, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(BTreeMap<(Call, Fault), u64>);

/// A thread in a plan.
struct Player {
    plan: Arc<Plan>,
    state: u64,
}

/// Takes its thread out of the plan again.
#[derive(Debug)]
pub(crate) struct Entered;

impl Plan {
    pub(crate) fn new(seed: u64, harm: Harm) -> Arc<Self> {
        watch_panics();
        Arc::new(Self {
            seed,
            harm,
            is_over: AtomicBool::new(false),
            next: Mutex::default(),
            threads: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            breaks: AtomicU64::new(0),
            read_breaks: AtomicU64::new(0),
            tally: Mutex::default(),
            edges: Mutex::default(),
        })
    }

    /// A plan in which nothing fails but what [`fail_next`](Self::fail_next) names.
    pub(crate) fn quiet() -> Arc<Self> {
        let plan = Self::new(0, Harm::None);
        plan.end();
        plan
    }

    /// Has the next such call fail so, once.
    pub(crate) fn fail_next(&self, call: Call, errno: i32) {
        self.fail_behind(0, call, errno);
    }

    /// The same behind so many that do not.
    pub(crate) fn fail_behind(&self, passed: u64, call: Call, errno: i32) {
        *lock(&self.next) = Some((call, passed, errno));
    }

    /// Whether what was to fail has failed.
    pub(crate) fn has_failed(&self) -> bool {
        lock(&self.next).is_none()
    }

    /// From now on the calls of this thread fail as planned.
    #[must_use]
    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        let number = self.threads.fetch_add(1, Ordering::Relaxed);
        let state = mixed(self.seed ^ mixed(number + 1)) | 1;
        PLAYER.set(Some(Player { plan: Arc::clone(self), state }));
        Entered
    }

    /// From now on no call fails that would not do so by itself.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Panics of threads in this plan.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::SeqCst)
    }

    /// Faults so far that may have ended a connection.
    pub(crate) fn breaks(&self) -> u64 {
        self.breaks.load(Ordering::SeqCst)
    }

    /// Those of them that may have cost what the kernel had of a peer.
    pub(crate) fn read_breaks(&self) -> u64 {
        self.read_breaks.load(Ordering::SeqCst)
    }

    pub(crate) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Has the kernel report anew what is ready, as after it was not.
    fn report_anew(&self, fd: i32) {
        if let Some((registry, token, interest)) = lock(&self.edges).get(&fd) {
            // Fails when it was closed, or is somewhere else meanwhile, where entering it reports it.
            let _ = registry.reregister(&mut SourceFd(&fd), *token, *interest);
        }
    }

    fn is_entered(&self, fd: i32) -> bool {
        lock(&self.edges).contains_key(&fd)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("seed", &self.seed).field("harm", &self.harm).finish_non_exhaustive()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        PLAYER.set(None);
    }
}

impl Player {
    fn roll(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.state) % below
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.roll(from.len().max(1) as u64);
        from.get(usize::try_from(at).ok()?).copied()
    }

    /// What becomes of the next call. `can_wait`: readiness is reported anew if it is to be tried later.
    fn draw(&mut self, call: Call, can_wait: bool) -> Option<Fault> {
        let named = lock(&self.plan.next).take_if(|(named, passed, _)| {
            let is_due = *named == call && *passed == 0;
            *passed -= u64::from(*named == call && !is_due);
            is_due
        });
        if let Some((.., errno)) = named {
            return Some(Fault::Errno(errno));
        }
        if self.plan.is_over.load(Ordering::Relaxed) {
            return None;
        }
        let mut fault = None;
        let is_harmful = match self.plan.harm {
            Harm::None => false,
            Harm::Any => true,
            Harm::ButReads => call != Call::Read,
        };
        if is_harmful && self.roll(call.one_in()) == 0 {
            fault = self.choose(call.harmful()).map(Fault::Errno);
            let may_break = fault.is_some()
                && [Call::Read, Call::Register, Call::Reregister, Call::Write].contains(&call);
            self.plan.breaks.fetch_add(u64::from(may_break), Ordering::SeqCst);
            let is_read = fault.is_some() && call == Call::Read;
            self.plan.read_breaks.fetch_add(u64::from(is_read), Ordering::SeqCst);
        }
        if fault.is_none() && self.roll(HARMLESS_ONE_IN) == 0 {
            fault = self.choose(call.harmless());
            let waits = fault.is_some_and(|it| [Fault::Short, Fault::Errno(EAGAIN)].contains(&it));
            fault = fault.filter(|_| can_wait || !waits);
        }
        let fault = fault?;
        *lock(&self.plan.tally).0.entry((call, fault)).or_default() += 1;
        Some(fault)
    }
}

fn mixed(seed: u64) -> u64 {
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    seed ^ (seed >> 31)
}

/// Counts panics of threads in a plan: an I/O thread goes on after one.
fn watch_panics() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if let Some(plan) = plan() {
                plan.panics.fetch_add(1, Ordering::SeqCst);
            }
            tell(panic);
        }));
    });
}

/// This thread's plan, if it is in one. A thread that ends is in none any more.
fn plan() -> Option<Arc<Plan>> {
    let found = PLAYER.try_with(|player| Some(Arc::clone(&player.try_borrow().ok()?.as_ref()?.plan)));
    found.ok().flatten()
}

fn draw(call: Call, fd: Option<i32>) -> Option<(Arc<Plan>, Fault)> {
    let drawn = PLAYER.try_with(|player| {
        let mut player = player.try_borrow_mut().ok()?;
        let player = player.as_mut()?;
        let can_wait = fd.is_some_and(|fd| player.plan.is_entered(fd));
        let fault = player.draw(call, can_wait)?;
        Some((Arc::clone(&player.plan), fault))
    });
    drawn.ok().flatten()
}

/// Asked before every system call that is not one of those below: an error takes its place.
pub(crate) fn before(call: Call) -> io::Result<()> {
    before_ready(call, None)
}

/// The same for a call on a descriptor that the kernel reports when it is ready.
pub(crate) fn before_ready(call: Call, fd: Option<i32>) -> io::Result<()> {
    match draw(call, fd) {
        Some((plan, Fault::Errno(errno))) => Err(failed(&plan, errno, fd)),
        Some((_, Fault::Short)) | None => Ok(()),
    }
}

fn failed(plan: &Plan, errno: i32, fd: Option<i32>) -> io::Error {
    if let (EAGAIN, Some(fd)) = (errno, fd) {
        plan.report_anew(fd);
    }
    io::Error::from_raw_os_error(errno)
}

/// Asked instead of a read.
pub(crate) fn read<S: AsRawFd>(
    socket: &S,
    room: &mut [IoSliceMut<'_>],
    read: impl FnOnce(&mut [IoSliceMut<'_>]) -> io::Result<usize>,
) -> io::Result<usize> {
    let fd = socket.as_raw_fd();
    let Some((plan, fault)) = draw(Call::Read, Some(fd)) else { return read(room) };
    let Fault::Errno(errno) = fault else {
        let Some(first) = room.iter_mut().find(|slice| !slice.is_empty()) else { return read(room) };
        let most = first.len().div_ceil(3);
        let done = read(&mut [IoSliceMut::new(&mut first[..most])]);
        plan.report_anew(fd);
        return done;
    };
    Err(failed(&plan, errno, Some(fd)))
}

/// Asked instead of a write.
pub(crate) fn write<S: AsRawFd>(
    socket: &S,
    slices: &[IoSlice<'_>],
    write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
) -> io::Result<usize> {
    let fd = socket.as_raw_fd();
    let Some((plan, fault)) = draw(Call::Write, Some(fd)) else { return write(slices) };
    let Fault::Errno(errno) = fault else {
        let Some(first) = slices.iter().find(|slice| !slice.is_empty()) else { return write(slices) };
        let done = write(&[IoSlice::new(&first[..first.len().div_ceil(3)])]);
        plan.report_anew(fd);
        return done;
    };
    Err(failed(&plan, errno, Some(fd)))
}

/// A descriptor is in a poll from now on, and what it is wanted for.
pub(crate) fn entered(fd: Option<i32>, registry: &Registry, token: Token, interest: Interest) {
    if let (Some(fd), Some(plan)) = (fd, plan()) {
        if let Ok(registry) = registry.try_clone() {
            lock(&plan.edges).insert(fd, (registry, token, interest));
        }
    }
}

/// It is in none any more.
pub(crate) fn left(fd: Option<i32>) {
    if let (Some(fd), Some(plan)) = (fd, plan()) {
        lock(&plan.edges).remove(&fd);
    }
}

/// What a new thread runs that is in the plan of this one.
pub(crate) fn inherit<T>(run: impl FnOnce() -> T + Send) -> impl FnOnce() -> T + Send {
    let plan = plan();
    move || {
        let _entered = plan.as_ref().map(Plan::enter);
        run()
    }
}

impl Tally {
    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            *self.0.entry(*key).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for ((call, fault), count) in &self.0 {
            if last.replace(call) != Some(call) {
                write!(f, "\n  {call:?}:")?;
            }
            match fault {
                Fault::Errno(errno) => write!(f, " {} {count}", name_of(*errno))?,
                Fault::Short => write!(f, " short {count}")?,
            }
        }
        Ok(())
    }
}

fn name_of(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os").next().unwrap_or_default().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What so many reads bring, each of one octet at most.
    fn reads(seed: u64, harm: Harm, count: usize) -> Vec<Result<usize, Option<i32>>> {
        let plan = Plan::new(seed, harm);
        let _entered = plan.enter();
        let socket = io::stdin();
        let one = |_| read(&socket, &mut [IoSliceMut::new(&mut [0])], |room| Ok(room.len()));
        (0..count).map(one).map(|read| read.map_err(|error| error.raw_os_error())).collect()
    }

    #[test]
    fn a_seed_means_the_same_faults() {
        assert_eq!(reads(7, Harm::Any, 1000), reads(7, Harm::Any, 1000));
        assert_ne!(reads(7, Harm::Any, 1000), reads(8, Harm::Any, 1000));
    }

    #[test]
    fn every_error_of_a_call_is_drawn_and_no_other() {
        let drawn = |harm| reads(1, harm, 20_000).into_iter().filter_map(|read| read.err().flatten());
        let all: Vec<_> = Call::Read.harmful().iter().copied().chain([EINTR]).collect();
        // Not to be tried later: no poll has it that could tell when.
        assert!(drawn(Harm::Any).all(|errno| all.contains(&errno)));
        assert!(all.iter().all(|errno| drawn(Harm::Any).any(|it| it == *errno)));
        assert!([Harm::None, Harm::ButReads].iter().all(|harm| drawn(*harm).all(|errno| errno == EINTR)));
    }

    #[test]
    fn only_the_threads_of_a_plan_have_its_faults_and_only_until_it_ends() {
        let plan = Plan::new(1, Harm::Any);
        let fails = || (0..1000).any(|_| before(Call::Socket).is_err());
        let entered = plan.enter();
        let heir = inherit(fails);
        assert!(fails());
        std::thread::scope(|scope| {
            assert!(!scope.spawn(fails).join().unwrap());
            assert!(scope.spawn(heir).join().unwrap());
        });
        plan.end();
        assert!(!fails());
        drop(entered);
    }
}
