//! Upstream: what a SUB or XSUB wants from all its publishers, and how each of them gets to know.
//!
//! The application's thread changes it; every connection has a [`Feed`], which first tells all there is and
//! from then on each change. So a connection that comes up again is told everything without the application
//! being in a call (RFC 29). The whole is told in the order of the topics, of which a feed keeps its place, no copy; what
//! is cancelled behind that place is not told. Every other change is told behind the whole, in the order in which they
//! were made, so that none overtakes what was subscribed to before it.
//!
//! What a publisher has not been told yet is kept per topic, not per change: a subscription and its cancellation that
//! both wait are nothing. So what waits is bounded by the topics, however often they change.
//!
//! Not in a pipe, because it must not wait behind messages. Changes are rare, so a lock serves; whoever is to be woken
//! is woken behind it.
#![forbid(unsafe_code)]

mod untold;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::endpoint::Endpoint;
use crate::limits::{CANCELLATIONS_OF_NOTHING_MAX, CHANGES_PER_CALL};
use crate::pipe::upstream::untold::Untold;
use crate::pipe::wake::{Ready, WakeUp};
use crate::sync::{Mutex, lock};

/// One thing that a publisher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Cancel(Bytes),
    /// Whether it has everything that it was told: to be answered with this number by [`Feed::confirm`].
    Question(u64),
    Subscribe(Bytes),
}

/// Which cancellations publishers are told of; they are told of every subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The one that leaves no subscription to the topic: a publisher keeps a set of topics for each peer, so that an
    /// earlier one would take the others back, too.
    Last,
    /// Each at once, even of nothing: for publishers that count.
    Each,
}

/// What an `unsubscribe` has taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakenBack {
    /// The last subscription to the topic.
    Last,
    Nothing,
    OneOfSeveral,
}

/// The subscriptions of one socket.
pub(crate) struct Upstream {
    told: Told,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<Bytes, Held>,
    feeds: HashMap<u64, Teller>,
    next_feed: u64,
    /// Changes so far.
    changes: u64,
    asker: Option<Asker>,
    /// How often feeds were asked, which takes the lock.
    #[cfg(test)]
    looks: u64,
}

/// That a topic is subscribed to.
#[derive(Clone, Copy)]
struct Held {
    times: u64,
    /// The change by which it came to be.
    since: u64,
}

/// Somebody waits until every publisher has the first so many changes.
struct Asker {
    changes: u64,
    wake_up: WakeUp,
}

/// Where one feed stands.
struct Teller {
    phase: Phase,
    /// Told behind a replay.
    untold: Untold,
    /// It had nothing to tell when asked, and is woken when it has.
    is_idle: bool,
    wake_up: WakeUp,
    reader: Reader,
    /// It was asked whether it has so many changes, and has said so of so many.
    asked: u64,
    confirmed: u64,
}

/// Who reads a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A publisher of this process, which takes a call's worth of changes in before it does what it is called for.
    Publisher,
    /// A session, whose peer can be asked.
    Session,
}

/// ```text
///  Replaying ──all told──▶ Live
///      └──────────┬─────────┘
///              Closing
/// ```
enum Phase {
    /// Cancels what was told, up to `until` if not everything was; `None` before the first.
    Closing { place: Option<Bytes>, until: Option<Bytes> },
    /// Every topic was told.
    Live,
    /// Tells every topic that was there when the feed was opened.
    Replaying(Replay),
}

struct Replay {
    /// Later topics than by this change are none of it.
    opened: u64,
    /// The last one told; `None` before the first.
    place: Option<Bytes>,
    /// How often that is to be told again.
    again: u64,
    /// Topics behind the place.
    left: usize,
}

/// One connection's, or one publisher's, view of the subscriptions.
pub(crate) struct Feed {
    upstream: Arc<Upstream>,
    id: u64,
}

/// How many publishers have what was asked for, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) confirmed: usize,
    pub(crate) publishers: usize,
}

/// Asks every publisher, also those that come, for as long as it lives. One at a time.
#[derive(Debug)]
pub(crate) struct Question {
    upstream: Arc<Upstream>,
    changes: u64,
}

/// Who is to be woken when the lock is given back.
type Woken = SmallVec<[WakeUp; 1]>;

impl Upstream {
    pub(crate) fn new(told: Told) -> Arc<Self> {
        Arc::new(Self { told, state: Mutex::new(State::default()) })
    }

    /// Subscribes once more.
    pub(crate) fn subscribe(&self, topic: &[u8]) {
        let topic = Bytes::copy_from_slice(topic);
        let mut state = lock(&self.state);
        state.changes += 1;
        let since = state.changes;
        let held = state.topics.entry(topic.clone()).or_insert(Held { times: 0, since });
        let before = (held.times > 0).then_some(*held);
        held.times += 1;
        let woken = state.tell(&topic, before, |untold| untold.subscribe(&topic, before.is_some()));
        drop(state);
        wake(&woken);
    }

    /// Takes one subscription back.
    pub(crate) fn unsubscribe(&self, topic: &[u8]) -> TakenBack {
        let topic = Bytes::copy_from_slice(topic);
        let mut state = lock(&self.state);
        let before = state.topics.get(&topic).copied();
        let taken_back = match state.topics.get_mut(&topic) {
            None => TakenBack::Nothing,
            Some(held) if held.times > 1 => {
                held.times -= 1;
                TakenBack::OneOfSeveral
            }
            Some(_) => {
                state.topics.remove(&topic);
                TakenBack::Last
            }
        };
        state.changes += 1;
        let most = state.topics.len() + CANCELLATIONS_OF_NOTHING_MAX;
        let woken = state.tell(&topic, before, |untold| match (self.told, taken_back) {
            (Told::Last, TakenBack::Nothing) => {}
            (Told::Last, TakenBack::OneOfSeveral) => untold.take_back_one(&topic),
            (Told::Last, TakenBack::Last) => untold.cancel_all(&topic),
            (Told::Each, TakenBack::Nothing) if untold.len() >= most => {}
            (Told::Each, _) => untold.cancel_one(&topic),
        });
        drop(state);
        wake(&woken);
        taken_back
    }

    /// Topics with subscriptions.
    pub(crate) fn count(&self) -> usize {
        lock(&self.state).topics.len()
    }

    /// How often feeds were asked for the next change.
    #[cfg(test)]
    pub(crate) fn looks(&self) -> u64 {
        lock(&self.state).looks
    }

    /// Asks every publisher whether it has what is subscribed to now. Whoever waits for the answers is woken through
    /// `wake_up` when there may be more of them.
    pub(crate) fn ask(self: &Arc<Self>, wake_up: WakeUp) -> Question {
        let mut state = lock(&self.state);
        let changes = state.changes;
        let replaced = state.asker.replace(Asker { changes, wake_up });
        let idle = state.feeds.values_mut().filter(|teller| teller.confirmed < changes && teller.is_idle);
        let woken = idle.map(|teller| {
            teller.is_idle = false;
            teller.wake_up.clone()
        });
        let woken: Woken = woken.collect();
        drop(state);
        drop(replaced);
        wake(&woken);
        Question { upstream: Arc::clone(self), changes }
    }

    /// Wakes whoever waits for answers: the publishers have changed.
    pub(crate) fn nudge(&self) {
        let asker = lock(&self.state).asker.as_ref().map(|asker| asker.wake_up.clone());
        wake(&asker.into_iter().collect());
    }

    /// Opens a feed that tells everything from the start. Whoever reads it is woken through `wake_up`.
    pub(crate) fn open(self: &Arc<Self>, wake_up: WakeUp, reader: Reader) -> Feed {
        let mut state = lock(&self.state);
        let id = state.next_feed;
        state.next_feed += 1;
        let replay = Replay { opened: state.changes, place: None, again: 0, left: state.topics.len() };
        let phase = Phase::Replaying(replay);
        let untold = Untold::default();
        let teller = Teller { phase, untold, is_idle: false, wake_up, reader, asked: 0, confirmed: 0 };
        state.feeds.insert(id, teller);
        Feed { upstream: Arc::clone(self), id }
    }
}

fn wake(woken: &Woken) {
    woken.iter().for_each(|wake_up| wake_up.wake(Ready::Readable));
}

impl State {
    /// Notes a change of a topic, which was held like this before it, for every feed that tells of it. Who had nothing to
    /// tell, and has now.
    fn tell(&mut self, topic: &Bytes, before: Option<Held>, note: impl Fn(&mut Untold)) -> Woken {
        let mut woken = Woken::new();
        for teller in self.feeds.values_mut() {
            match &mut teller.phase {
                Phase::Closing { .. } => continue,
                Phase::Replaying(replay) if before.is_some_and(|held| replay.has_left(topic, held)) => {
                    replay.left -= usize::from(!self.topics.contains_key(topic));
                    continue;
                }
                Phase::Live | Phase::Replaying(_) => note(&mut teller.untold),
            }
            if teller.is_idle && teller.untold.len() > 0 {
                teller.is_idle = false;
                woken.push(teller.wake_up.clone());
            }
        }
        woken
    }

    /// What a feed tells next.
    fn next_of(&mut self, feed: u64, told: Told) -> Option<Change> {
        let Self { topics, feeds, changes, asker, .. } = self;
        let teller = feeds.get_mut(&feed)?;
        if let Phase::Replaying(replay) = &mut teller.phase {
            if let Some(topic) = replay.next(topics, told) {
                return Some(Change::Subscribe(topic));
            }
            teller.phase = Phase::Live;
        }
        if let Some(change) = teller.untold.next() {
            return Some(change);
        }
        if let Phase::Closing { place, until } = &mut teller.phase {
            let (topic, held) = behind(topics, place.as_ref(), until.as_ref())?;
            *place = Some(topic.clone());
            teller.untold.cancel_often(topic, told.times(*held));
            return teller.untold.next();
        }
        let wanted = asker.as_ref().map_or(0, |asker| asker.changes);
        if teller.reader == Reader::Session && teller.asked < wanted {
            teller.asked = *changes;
            return Some(Change::Question(*changes));
        }
        teller.is_idle = true;
        None
    }

    /// Whether one publisher has so many changes.
    fn has(&self, teller: &Teller, changes: u64) -> bool {
        match teller.reader {
            Reader::Session => teller.confirmed >= changes,
            Reader::Publisher => {
                let behind = match &teller.phase {
                    Phase::Replaying(replay) => replay.left as u64 + replay.again,
                    Phase::Closing { .. } | Phase::Live => 0,
                };
                let most = (CHANGES_PER_CALL as u64).checked_sub(behind);
                most.is_some_and(|most| !teller.untold.has_more_than(most))
            }
        }
    }
}

impl Told {
    /// How often it is told at once that a topic is held, or is no more: once is enough where one cancellation takes all
    /// back.
    fn times(self, held: Held) -> u64 {
        if self == Self::Each { held.times } else { 1 }
    }
}

impl Replay {
    /// Whether it is still to tell a topic, which is held like this.
    fn has_left(&self, topic: &Bytes, held: Held) -> bool {
        held.since <= self.opened && self.place.as_ref().is_none_or(|place| place < topic)
    }

    /// The next topic to tell. Later ones, which it passes over, are looked at once in all.
    fn next(&mut self, topics: &BTreeMap<Bytes, Held>, told: Told) -> Option<Bytes> {
        if self.again > 0 {
            self.again -= 1;
            return self.place.clone();
        }
        if self.left == 0 {
            return None; // without a look at what is behind the last one
        }
        let from = self.place.as_ref().map_or(Unbounded, Excluded);
        let mut behind = topics.range::<Bytes, _>((from, Unbounded));
        let (topic, held) = behind.find(|(_, held)| held.since <= self.opened)?;
        self.left -= 1;
        self.again = told.times(*held).saturating_sub(1);
        self.place = Some(topic.clone());
        self.place.clone()
    }
}

impl Question {
    pub(crate) fn answers(&self) -> Answers {
        let state = lock(&self.upstream.state);
        let mut answers = Answers::default();
        for teller in state.feeds.values().filter(|teller| !matches!(teller.phase, Phase::Closing { .. })) {
            answers.publishers += 1;
            answers.confirmed += usize::from(state.has(teller, self.changes));
        }
        answers
    }
}

impl Question {
    /// Where a publisher is that has not confirmed it, if that is not in this process.
    pub(crate) fn missing(&self) -> Option<Endpoint> {
        let state = lock(&self.upstream.state);
        let tellers = state.feeds.values().filter(|teller| !matches!(teller.phase, Phase::Closing { .. }));
        let mut late = tellers.filter(|teller| !state.has(teller, self.changes));
        let wake_up = late.next().map(|teller| teller.wake_up.clone());
        drop(state);
        wake_up?.destination() // without the lock
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let asker = lock(&self.upstream.state).asker.take();
        drop(asker); // outside of the lock, as a feed's
    }
}

impl Feed {
    /// What to tell next; `None` when there is nothing, and a change will wake.
    pub(crate) fn next(&mut self) -> Option<Change> {
        let mut state = lock(&self.upstream.state);
        #[cfg(test)]
        {
            state.looks += 1;
        }
        let change = state.next_of(self.id, self.upstream.told);
        let asker = state.asker.as_ref().filter(|_| {
            // It has not been told everything, but so much that its next call takes in the rest.
            let teller = state.feeds.get(&self.id);
            teller.is_some_and(|teller| teller.reader == Reader::Publisher && state.has(teller, 0))
        });
        let woken: Woken = asker.map(|asker| asker.wake_up.clone()).into_iter().collect();
        drop(state);
        wake(&woken);
        change
    }

    /// The publisher has what it was told before it was asked this.
    pub(crate) fn confirm(&mut self, question: u64) {
        let mut state = lock(&self.upstream.state);
        let State { feeds, asker, .. } = &mut *state;
        let Some(teller) = feeds.get_mut(&self.id) else { return };
        teller.confirmed = teller.confirmed.max(question);
        let woken: Woken = asker.iter().map(|asker| asker.wake_up.clone()).collect();
        drop(state);
        wake(&woken);
    }

    /// From now on takes back what was told, and tells nothing else.
    pub(crate) fn close(&mut self) {
        let mut state = lock(&self.upstream.state);
        let State { topics, feeds, .. } = &mut *state;
        let Some(teller) = feeds.get_mut(&self.id) else { return };
        let until = match &teller.phase {
            Phase::Closing { .. } => return,
            Phase::Live => None,
            Phase::Replaying(replay) => Some(replay.place.clone().unwrap_or_default()),
        };
        // What is still subscribed to is cancelled with everything else.
        teller.untold.keep_cancellations(|topic| !topics.contains_key(topic));
        teller.phase = Phase::Closing { place: None, until };
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut state = lock(&self.upstream.state);
        let teller = state.feeds.remove(&self.id);
        let woken: Woken = state.asker.iter().map(|asker| asker.wake_up.clone()).collect();
        drop(state);
        drop(teller); // outside of the lock: it may own the last handle of a waiter
        wake(&woken);
    }
}

/// The first topic behind `place`, up to `until`.
fn behind<'a>(
    topics: &'a BTreeMap<Bytes, Held>,
    place: Option<&Bytes>,
    until: Option<&Bytes>,
) -> Option<(&'a Bytes, &'a Held)> {
    if place.is_some() && place == until {
        return None;
    }
    let from = place.map_or(Unbounded, Excluded);
    topics.range::<Bytes, _>((from, until.map_or(Unbounded, Included))).next()
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("told", &self.told).finish_non_exhaustive()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
