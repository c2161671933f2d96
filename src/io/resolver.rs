//! Names are looked up off the I/O threads, by a few threads of each context: a slow resolver delays dialers, not
//! connections.
//!
//! Whoever asks for a name that is being looked up gets the same answer. A lookup cannot be called off: one that the
//! system does not answer keeps its thread, also when the context is gone, but nothing else of it. Threads start when
//! there is something to do and end when there is nothing.
#![forbid(unsafe_code)]

#[cfg(test)]
pub(crate) mod names;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::io::{IoMailbox, Notice, ToIo};
use crate::limits::{LOOKUPS_AT_ONCE, LOOKUPS_IN_ALL};
use crate::sync::{AtomicU64, Mutex, Ordering, lock, spawn};
use crate::transport::{Call, faults};

#[cfg(not(test))]
use crate::transport::look_up;
#[cfg(test)]
use names::look_up;

/// Looks names up for one context.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Who asks for each name, by the number of the task.
    askers: HashMap<Arc<str>, HashMap<u64, Asker>>,
    /// Names that wait for a thread.
    queue: VecDeque<Arc<str>>,
    threads: usize,
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
            let is_helped = state.threads >= LOOKUPS_AT_ONCE || self.start(&mut state) || state.threads > 0;
            if is_helped {
                state.queue.push_back(name);
            } else {
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
        drop(forgotten); // behind the lock: it may be the end of an I/O thread's mailbox
    }

    /// Starts one more thread. `false`: the system has none, or contexts that are gone have left too many behind.
    fn start(self: &Arc<Self>, state: &mut State) -> bool {
        let Some(place) = Place::take() else { return false };
        let resolver = Arc::clone(self);
        let run = move || {
            let _place = place;
            while resolver.answer_next(look_up) {}
        };
        let thread = faults::before(Call::Spawn).and_then(|()| spawn("peermq-dns".to_owned(), run));
        state.threads += usize::from(thread.is_ok());
        thread.is_ok()
    }

    /// Answers the next question. `false`: there is none, and the thread that asks ends.
    fn answer_next(&self, look_up: impl Fn(&str) -> Vec<SocketAddr>) -> bool {
        let mut state = lock(&self.state);
        let Some(name) = state.queue.pop_front() else {
            state.threads = state.threads.saturating_sub(1);
            return false;
        };
        drop(state);
        let addresses = look_up(&name);
        let askers = lock(&self.state).askers.remove(&name).unwrap_or_default();
        answer(askers, &addresses);
        true
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
    use mio::{Poll, Token, Waker};

    use super::*;

    fn mailbox() -> Arc<IoMailbox> {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        Arc::new(IoMailbox::new(waker, poll.registry().try_clone().unwrap()))
    }

    /// A resolver whose threads are all busy.
    fn busy() -> Arc<Resolver> {
        let state = State { threads: LOOKUPS_AT_ONCE, ..State::default() };
        Arc::new(Resolver { state: Mutex::new(state) })
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
        lock(&resolver.state).threads = 0;
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
    fn a_context_that_has_ended_asks_nobody() {
        let (resolver, mailbox) = (busy(), mailbox());
        let _question = resolver.ask("a", 1, &mailbox, 1);
        resolver.finish();
        let _late = resolver.ask("b", 1, &mailbox, 2);
        assert!(!resolver.answer_next(|_| unreachable!("it has ended")));
        assert_eq!(Arc::strong_count(&mailbox), 1);
    }
}
