//! Names are looked up off the I/O threads, by a few threads of each context: a slow resolver delays dialers, not
//! connections.
//!
//! Whoever asks for a name that is being looked up gets the same answer. A lookup cannot be called off: one that the
//! system does not answer keeps its thread, also when the context is gone, but nothing else of it. Nor does it keep the
//! place of another for long: few go on at a time, but one that has gone on for a while counts only among those of the
//! whole context. Threads start when there is something to do and end when there is nothing; one at most waits for a place.
#![forbid(unsafe_code)]

#[cfg(test)]
pub(crate) mod names;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::io::{IoMailbox, Notice, ToIo};
use crate::limits::{ADDRESSES_MAX, LOOKUP_PATIENCE, LOOKUPS_AT_ONCE, LOOKUPS_IN_ALL, LOOKUPS_OF_CONTEXT};
use crate::sync::{AtomicU64, Condvar, Mutex, Ordering, lock, spawn, wait_until};
use crate::time::later;
use crate::transport::{Call, faults};

#[cfg(not(test))]
use crate::transport::look_up;
#[cfg(test)]
use names::look_up;

/// Looks names up for one context.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    state: Mutex<State>,
    /// Whoever waits for a place may look again.
    change: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Who asks for each name, by the number of the task.
    askers: HashMap<Arc<str>, HashMap<u64, Asker>>,
    /// Names that wait for a thread.
    queue: VecDeque<Arc<str>>,
    /// Those that have not ended, whatever they do.
    threads: usize,
    /// For each lookup that goes on: until when it counts among those that may go on at a time.
    running: Vec<Instant>,
    /// A thread waits for one of these times.
    is_place_awaited: bool,
    is_finished: bool,
}

#[derive(Debug)]
struct Asker {
    mailbox: Arc<IoMailbox>,
    port: u16,
}

/// A question that waits for its answer, which is no longer wanted when this is dropped.
#[derive(Debug)]
pub(crate) struct Question {
    resolver: Arc<Resolver>,
    name: Arc<str>,
    id: u64,
}

impl Resolver {
    /// Has the addresses of `name` posted to task `id`: none when there are none, or no thread. A task asks for one name
    /// at a time.
    pub(crate) fn ask(
        self: &Arc<Self>,
        name: &str,
        port: u16,
        mailbox: &Arc<IoMailbox>,
        id: u64,
    ) -> Question {
        let (name, asker) = (Arc::<str>::from(name), Asker { mailbox: Arc::clone(mailbox), port });
        let question = Question { resolver: Arc::clone(self), name: Arc::clone(&name), id };
        let mut state = lock(&self.state);
        if state.is_finished {
            return question;
        }
        let is_new = !state.askers.contains_key(&name);
        state.askers.entry(Arc::clone(&name)).or_default().insert(id, asker);
        if is_new {
            state.queue.push_back(Arc::clone(&name));
            self.start_if_missing(&mut state);
            if state.threads == 0 {
                state.queue.pop_back();
                let askers = state.askers.remove(&name).unwrap_or_default();
                drop(state);
                answer(askers, &[]);
            }
        }
        question
    }

    /// How many wait for an answer.
    #[cfg(test)]
    pub(crate) fn asking(&self) -> usize {
        lock(&self.state).askers.values().map(HashMap::len).sum()
    }

    /// Looks nothing up any more, and forgets who has asked.
    pub(super) fn finish(&self) {
        let mut state = lock(&self.state);
        state.is_finished = true;
        state.queue.clear();
        let forgotten = std::mem::take(&mut state.askers);
        drop(state);
        self.change.notify_all();
        drop(forgotten); // behind the lock: it may be the end of an I/O thread's mailbox
    }

    /// Starts one more thread if those that look nothing up yet are too few for the queue. It may not start: then the
    /// system has none, or contexts that are gone have left too many behind.
    fn start_if_missing(self: &Arc<Self>, state: &mut State) {
        if !state.is_thread_missing(Instant::now()) {
            return;
        }
        let Some(place) = Place::take() else { return };
        let resolver = Arc::clone(self);
        let run = move || {
            let _place = place;
            while resolver.answer_next(look_up) {}
        };
        let thread = faults::before(Call::Spawn).and_then(|()| spawn("peermq-dns".to_owned(), run));
        state.threads += usize::from(thread.is_ok());
    }

    /// Answers the next question. `false`: there is none, or another thread waits for it, and the thread that asks ends.
    fn answer_next(self: &Arc<Self>, look_up: impl Fn(&str) -> Vec<SocketAddr>) -> bool {
        let Some((name, counts_until)) = self.take_next() else { return false };
        let mut addresses = look_up(&name);
        addresses.truncate(ADDRESSES_MAX);
        let mut state = lock(&self.state);
        // Those with the same time are alike.
        if let Some(at) = state.running.iter().position(|until| *until == counts_until) {
            state.running.swap_remove(at);
        }
        let askers = state.askers.remove(&name).unwrap_or_default();
        drop(state);
        answer(askers, &addresses);
        true
    }

    /// The next name as soon as it may be looked up, and until when that counts.
    fn take_next(self: &Arc<Self>) -> Option<(Arc<str>, Instant)> {
        let mut state = lock(&self.state);
        let name = loop {
            match state.full_until(Instant::now()) {
                None => break state.queue.pop_front(),
                Some(_) if state.queue.is_empty() || state.is_place_awaited => break None,
                Some(until) => {
                    state.is_place_awaited = true;
                    state = wait_until(&self.change, state, until);
                    state.is_place_awaited = false;
                }
            }
        };
        let Some(name) = name else {
            state.threads = state.threads.saturating_sub(1);
            return None;
        };
        let counts_until = later(Instant::now(), LOOKUP_PATIENCE);
        state.running.push(counts_until);
        self.start_if_missing(&mut state);
        Some((name, counts_until))
    }
}

impl State {
    /// Until when no more lookups may go on, if that is so.
    fn full_until(&self, now: Instant) -> Option<Instant> {
        let counted = self.running.iter().filter(|until| **until > now);
        (counted.clone().count() >= LOOKUPS_AT_ONCE).then(|| counted.min().copied()).flatten()
    }

    /// Whether one more thread is of use: to look up, or to wait until it may.
    fn is_thread_missing(&self, now: Instant) -> bool {
        let counted = self.running.iter().filter(|until| **until > now).count();
        let free = self.threads.saturating_sub(self.running.len());
        let is_wanted = free == 0 || counted + free < LOOKUPS_AT_ONCE;
        self.threads < LOOKUPS_OF_CONTEXT && free < self.queue.len() && is_wanted
    }
}

/// Tells all of those who have asked for one name.
fn answer(askers: HashMap<u64, Asker>, addresses: &[SocketAddr]) {
    for (id, Asker { mailbox, port }) in askers {
        let with_port = |mut address: SocketAddr| {
            address.set_port(port);
            address
        };
        let addresses = addresses.iter().copied().map(with_port).collect();
        mailbox.post(ToIo::Notice(id, Notice::Resolved(addresses)));
    }
}

/// One of the threads that the contexts of this process have in all.
struct Place;

/// How many there are.
static TAKEN: AtomicU64 = AtomicU64::new(0);

impl Place {
    fn take() -> Option<Self> {
        let place = Self;
        // Relaxed: it stands for itself.
        (TAKEN.fetch_add(1, Ordering::Relaxed) < LOOKUPS_IN_ALL).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        TAKEN.fetch_sub(1, Ordering::Relaxed); // as in `take`
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let mut state = lock(&self.resolver.state);
        let State { askers, queue, .. } = &mut *state;
        let Some(its_askers) = askers.get_mut(&self.name) else { return };
        let asker = its_askers.remove(&self.id);
        let is_unwanted = its_askers.is_empty();
        // One that is being looked up stays: whoever asks next waits for the same answer.
        if let Some(at) = queue.iter().position(|name| is_unwanted && *name == self.name) {
            queue.remove(at);
            askers.remove(&self.name);
        }
        drop(state);
        drop(asker);
    }
}

#[cfg(test)]
mod tests {
    use mio::{Poll, Token};

    use super::*;
    use crate::io::Bell;

    fn mailbox() -> Arc<IoMailbox> {
        let poll = Poll::new().unwrap();
        let bell = Bell::new(poll.registry(), Token(0)).unwrap();
        Arc::new(IoMailbox::new(bell, poll.registry().try_clone().unwrap()))
    }

    /// A resolver whose threads are all busy with lookups that count no more.
    fn busy() -> Arc<Resolver> {
        let threads = LOOKUPS_OF_CONTEXT;
        let state = State { threads, running: vec![Instant::now(); threads], ..State::default() };
        Arc::new(Resolver { state: Mutex::new(state), change: Condvar::new() })
    }

    /// What was posted.
    fn answers(mailbox: &IoMailbox) -> Vec<(u64, Vec<SocketAddr>)> {
        let mut mail = Vec::new();
        mailbox.mailbox().take(&mut mail);
        let mail = mail.into_iter().map(|item| {
            let ToIo::Notice(id, Notice::Resolved(addresses)) = item else {
                unreachable!("nothing else is posted")
            };
            (id, addresses)
        });
        let mut mail: Vec<_> = mail.collect();
        mail.sort();
        mail
    }

    #[test]
    fn who_asks_for_the_same_name_gets_the_same_answer_with_its_own_port() {
        let (resolver, mailbox) = (busy(), mailbox());
        let _questions = [("a", 1), ("b", 2), ("a", 3)]
            .map(|(name, port)| resolver.ask(name, port, &mailbox, port.into()));
        let address = |port| SocketAddr::from(([1, 2, 3, 4], port));
        assert!(resolver.answer_next(|name| if name == "a" { vec![address(0)] } else { Vec::new() }));
        assert_eq!(answers(&mailbox), [(1, vec![address(1)]), (3, vec![address(3)])]);
        assert!(resolver.answer_next(|_| Vec::new()));
        assert_eq!(answers(&mailbox), [(2, Vec::new())]);
        assert!(!resolver.answer_next(|_| unreachable!("nobody asks")));
    }

    #[test]
    fn of_a_name_with_many_addresses_so_many_are_kept() {
        let (resolver, mailbox) = (busy(), mailbox());
        let _question = resolver.ask("a", 7, &mailbox, 1);
        let addresses: Vec<_> =
            (0..4000_u32).map(|number| SocketAddr::from((number.to_be_bytes(), 7))).collect();
        resolver.answer_next(|_| addresses.clone());
        assert_eq!(answers(&mailbox), [(1, addresses[..ADDRESSES_MAX].to_vec())]);
    }

    #[test]
    fn nothing_is_kept_for_those_who_ask_no_more() {
        let (resolver, mailbox) = (busy(), mailbox());
        for round in 0..100 {
            drop(resolver.ask("a", 1, &mailbox, round));
        }
        assert!(lock(&resolver.state).askers.is_empty() && lock(&resolver.state).queue.is_empty());
        // One of two who ask leaves; and both, while the system looks.
        let kept = resolver.ask("a", 1, &mailbox, 1);
        drop(resolver.ask("a", 1, &mailbox, 2));
        assert_eq!(lock(&resolver.state).queue.len(), 1);
        resolver.answer_next(|_| {
            drop(resolver.ask("a", 1, &mailbox, 3));
            assert!(lock(&resolver.state).queue.is_empty());
            Vec::new()
        });
        drop(kept);
        assert_eq!(answers(&mailbox), [(1, Vec::new())]);
        assert!(lock(&resolver.state).askers.is_empty());
    }

    #[test]
    fn who_gets_no_thread_is_answered_and_nobody_else() {
        let (resolver, mailbox) = (busy(), mailbox());
        let _waits = resolver.ask("a", 1, &mailbox, 1);
        (lock(&resolver.state).threads, lock(&resolver.state).running) = (0, Vec::new());
        let plan = faults::Plan::quiet();
        let _entered = plan.enter();
        plan.fail_next(Call::Spawn, libc::EAGAIN);
        let _in_vain = resolver.ask("b", 1, &mailbox, 2);
        assert_eq!(answers(&mailbox), [(2, Vec::new())]);
        // Then there is a thread again: it counts, and has all to do.
        lock(&resolver.state).threads = 1;
        assert!(resolver.answer_next(|_| Vec::new()));
        assert_eq!((answers(&mailbox), lock(&resolver.state).threads), (vec![(1, Vec::new())], 1));
        assert!(!resolver.answer_next(|_| unreachable!("nobody asks")));
        assert_eq!(lock(&resolver.state).threads, 0);
    }

    #[test]
    fn a_lookup_that_goes_on_for_long_keeps_no_place_but_those_of_the_context() {
        let now = Instant::now();
        let (soon, counted) = (later(now, LOOKUP_PATIENCE / 2), later(now, LOOKUP_PATIENCE));
        let waits = |threads: usize, running: Vec<Instant>, queued: usize| {
            let queue = (0..queued).map(|name| name.to_string().into()).collect();
            let state = State { threads, running, queue, ..State::default() };
            (state.full_until(now), state.is_thread_missing(now))
        };
        let going = |silent: usize, counting: usize| [vec![now; silent], vec![counted; counting]].concat();
        assert_eq!(waits(0, Vec::new(), 1), (None, true));
        // One that has started may have looked up nothing yet.
        assert_eq!(waits(1, Vec::new(), 1), (None, false));
        assert_eq!(waits(LOOKUPS_AT_ONCE, Vec::new(), 100), (None, false));
        assert_eq!(waits(LOOKUPS_AT_ONCE - 1, going(0, LOOKUPS_AT_ONCE - 1), 1), (None, true));
        // One waits for a place, which there is when the first lookup counts no more.
        let full = [going(3, LOOKUPS_AT_ONCE - 1), vec![soon]].concat();
        assert_eq!(waits(full.len(), full.clone(), 1), (Some(soon), true));
        assert_eq!(waits(full.len() + 1, full, 100), (Some(soon), false));
        assert_eq!(waits(LOOKUPS_AT_ONCE, going(LOOKUPS_AT_ONCE, 0), 1), (None, true));
        let most = LOOKUPS_OF_CONTEXT;
        assert_eq!(waits(most, going(most, 0), 1), (None, false));
        assert_eq!(waits(most - 1, going(most - 1, 0), 1), (None, true));
    }

    #[test]
    fn a_context_that_has_ended_asks_nobody() {
        let (resolver, mailbox) = (busy(), mailbox());
        let _question = resolver.ask("a", 1, &mailbox, 1);
        resolver.finish();
        let _late = resolver.ask("b", 1, &mailbox, 2);
        assert!(!resolver.answer_next(|_| unreachable!("it has ended")));
        assert_eq!(Arc::strong_count(&mailbox), 1);
    }
}
