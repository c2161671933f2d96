//! Upstream: what a SUB or XSUB wants from all its publishers, and how each of them gets to know.
//!
//! The application's thread changes it; every connection has a [`Feed`], which first tells all there is and
//! from then on each change. So a connection that comes up again is told everything without the application
//! being in a call (RFC 29). The whole is told in the order of the topics: a feed keeps its place, no copy; a
//! change behind that place needs no entry.
//!
//! Not in a pipe, because it must not wait behind messages. Changes are rare, so a lock serves.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use bytes::Bytes;

use crate::pipe::wake::{Ready, WakeUp};
use crate::sync::{Mutex, lock};

/// One thing that a publisher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Cancel(Bytes),
    Subscribe(Bytes),
}

/// Which subscriptions publishers are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Each: what counts them may stand behind an XSUB.
    All,
    /// Each, and each cancellation at once, even of nothing.
    AllAndCancellations,
    /// The first of several to the same topic.
    First,
}

/// The subscriptions of one socket.
pub(crate) struct Upstream {
    told: Told,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<Bytes, Count>,
    feeds: HashMap<u64, Teller>,
    next_feed: u64,
}

/// How often a topic was subscribed to.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    held: u64,
    told: u64,
}

/// Where one feed stands.
struct Teller {
    phase: Phase,
    /// Told before anything else, each so many times.
    changes: VecDeque<(Change, u64)>,
    /// It had nothing to tell when asked, and is woken when it has.
    is_idle: bool,
    wake_up: WakeUp,
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
    /// Tells every topic. The place is the last one told; `None` before the first.
    Replaying(Option<Bytes>),
}

/// One connection's, or one publisher's, view of the subscriptions.
pub(crate) struct Feed {
    upstream: Arc<Upstream>,
    id: u64,
}

impl Upstream {
    pub(crate) fn new(told: Told) -> Arc<Self> {
        Arc::new(Self { told, state: Mutex::new(State::default()) })
    }

    /// Subscribes once more.
    pub(crate) fn subscribe(&self, topic: &[u8]) {
        let mut state = lock(&self.state);
        let topic = Bytes::copy_from_slice(topic);
        let count = state.topics.entry(topic.clone()).or_default();
        count.held += 1;
        if self.told != Told::First || count.held == 1 {
            count.told += 1;
            state.tell(&topic, &Change::Subscribe(topic.clone()), 1);
        }
    }

    /// Takes one subscription back. `false`: there was none.
    pub(crate) fn unsubscribe(&self, topic: &[u8]) -> bool {
        let mut state = lock(&self.state);
        let tells_each = self.told == Told::AllAndCancellations;
        let Some(count) = state.topics.get_mut(topic) else {
            if tells_each {
                let topic = Bytes::copy_from_slice(topic);
                state.tell(&topic, &Change::Cancel(topic.clone()), 1);
            }
            return false;
        };
        count.held -= 1;
        if count.held == 0 {
            if let Some((topic, count)) = state.topics.remove_entry(topic) {
                state.tell(&topic, &Change::Cancel(topic.clone()), count.told);
            }
        } else if tells_each {
            count.told -= 1;
            let topic = Bytes::copy_from_slice(topic);
            state.tell(&topic, &Change::Cancel(topic.clone()), 1);
        }
        true
    }

    /// Topics with subscriptions.
    pub(crate) fn count(&self) -> usize {
        lock(&self.state).topics.len()
    }

    /// Opens a feed that tells everything from the start. Whoever reads it is woken through `wake_up`.
    pub(crate) fn open(self: &Arc<Self>, wake_up: WakeUp) -> Feed {
        let mut state = lock(&self.state);
        let id = state.next_feed;
        state.next_feed += 1;
        let phase = Phase::Replaying(None);
        state.feeds.insert(id, Teller { phase, changes: VecDeque::new(), is_idle: false, wake_up });
        Feed { upstream: Arc::clone(self), id }
    }
}

impl State {
    fn tell(&mut self, topic: &Bytes, change: &Change, times: u64) {
        for teller in self.feeds.values_mut() {
            let is_told = match &teller.phase {
                Phase::Closing { .. } => false,
                Phase::Live => true,
                Phase::Replaying(place) => place.as_ref().is_some_and(|place| topic <= place),
            };
            if !is_told {
                continue;
            }
            teller.changes.push_back((change.clone(), times));
            if std::mem::take(&mut teller.is_idle) {
                teller.wake_up.wake(Ready::Readable);
            }
        }
    }
}

impl Feed {
    /// What to tell next; `None` when there is nothing, and a change will wake.
    pub(crate) fn next(&mut self) -> Option<Change> {
        let mut state = lock(&self.upstream.state);
        let State { topics, feeds, .. } = &mut *state;
        let teller = feeds.get_mut(&self.id)?;
        loop {
            if let Some((change, times)) = teller.changes.front_mut() {
                *times = times.saturating_sub(1);
                if *times > 0 {
                    return Some(change.clone());
                }
                return teller.changes.pop_front().map(|(change, _)| change);
            }
            match &mut teller.phase {
                Phase::Replaying(place) => {
                    let Some((topic, count)) = behind(topics, place.as_ref(), None) else {
                        teller.phase = Phase::Live;
                        continue;
                    };
                    *place = Some(topic.clone());
                    // Once is enough where one cancellation takes all of them back.
                    let is_each = self.upstream.told == Told::AllAndCancellations;
                    let times = if is_each { count.told } else { 1 };
                    teller.changes.push_back((Change::Subscribe(topic.clone()), times));
                }
                Phase::Closing { place, until } => {
                    let (topic, count) = behind(topics, place.as_ref(), until.as_ref())?;
                    *place = Some(topic.clone());
                    teller.changes.push_back((Change::Cancel(topic.clone()), count.told));
                }
                Phase::Live => {
                    teller.is_idle = true;
                    return None;
                }
            }
        }
    }

    /// From now on takes back what was told, and tells nothing else.
    pub(crate) fn close(&mut self) {
        let mut state = lock(&self.upstream.state);
        let Some(teller) = state.feeds.get_mut(&self.id) else { return };
        let until = match &teller.phase {
            Phase::Closing { .. } => return,
            Phase::Live => None,
            Phase::Replaying(place) => Some(place.clone().unwrap_or_default()),
        };
        teller.phase = Phase::Closing { place: None, until };
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let teller = lock(&self.upstream.state).feeds.remove(&self.id);
        drop(teller); // outside of the lock: it may own the last handle of a waiter
    }
}

/// The first topic behind `place`, up to `until`.
fn behind<'a>(
    topics: &'a BTreeMap<Bytes, Count>,
    place: Option<&Bytes>,
    until: Option<&Bytes>,
) -> Option<(&'a Bytes, &'a Count)> {
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
mod tests {
    use super::Change::{Cancel, Subscribe};
    use super::*;
    use crate::pipe::Wake;
    use crate::sync::{AtomicU64, Ordering};

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Bell(AtomicU64);

    impl Wake for Bell {
        fn wake(&self, _: u64, _: Ready) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Bell {
        fn rings(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn open(upstream: &Arc<Upstream>) -> (Feed, Arc<Bell>) {
        let bell = Arc::new(Bell::default());
        (upstream.open(WakeUp::new(0, Arc::clone(&bell))), bell)
    }

    fn rest(feed: &mut Feed) -> Vec<Change> {
        std::iter::from_fn(|| feed.next()).collect()
    }

    fn subscribe(topic: &'static str) -> Change {
        Subscribe(topic.into())
    }

    fn cancel(topic: &'static str) -> Change {
        Cancel(topic.into())
    }

    #[test]
    fn a_feed_tells_everything_and_then_each_change_in_order() {
        // S-33
        let upstream = Upstream::new(Told::First);
        upstream.subscribe(b"b");
        upstream.subscribe(b"a");
        let (mut feed, bell) = open(&upstream);
        assert_eq!(rest(&mut feed), [subscribe("a"), subscribe("b")]);
        assert_eq!(bell.rings(), 0);
        upstream.subscribe(b"c");
        upstream.unsubscribe(b"a");
        assert_eq!(bell.rings(), 1, "once per sleep");
        assert_eq!(rest(&mut feed), [subscribe("c"), cancel("a")]);
        // A later one, as after a reconnect, is told what is left.
        assert_eq!(rest(&mut open(&upstream).0), [subscribe("b"), subscribe("c")]);
    }

    #[test]
    fn a_change_behind_the_place_of_a_replay_is_told_by_the_replay() {
        let upstream = Upstream::new(Told::First);
        upstream.subscribe(b"b");
        upstream.subscribe(b"d");
        upstream.subscribe(b"e");
        let (mut feed, _) = open(&upstream);
        assert_eq!(feed.next(), Some(subscribe("b")));
        upstream.subscribe(b"c");
        upstream.unsubscribe(b"d");
        upstream.subscribe(b"a");
        upstream.unsubscribe(b"b");
        assert_eq!(rest(&mut feed), [subscribe("a"), cancel("b"), subscribe("c"), subscribe("e")]);
    }

    #[test]
    fn a_sub_tells_the_first_subscription_and_the_last_cancellation() {
        // S-05 on our side.
        let upstream = Upstream::new(Told::First);
        let (mut feed, _) = open(&upstream);
        upstream.subscribe(b"a");
        upstream.subscribe(b"a");
        assert!(upstream.unsubscribe(b"a"));
        assert_eq!(rest(&mut feed), [subscribe("a")]);
        assert!(upstream.unsubscribe(b"a"));
        assert!(!upstream.unsubscribe(b"a"));
        assert_eq!(rest(&mut feed), [cancel("a")]);
        assert_eq!(upstream.count(), 0);
    }

    #[test]
    fn an_xsub_tells_every_subscription_and_at_the_end_as_many_cancellations() {
        let upstream = Upstream::new(Told::All);
        let (mut feed, _) = open(&upstream);
        assert_eq!(feed.next(), None);
        upstream.subscribe(b"a");
        upstream.subscribe(b"a");
        upstream.unsubscribe(b"a");
        assert_eq!(rest(&mut feed), [subscribe("a"), subscribe("a")]);
        upstream.unsubscribe(b"a");
        assert_eq!(rest(&mut feed), [cancel("a"), cancel("a")]);
    }

    #[test]
    fn closing_takes_back_what_was_told() {
        // S-39
        let upstream = Upstream::new(Told::First);
        for topic in ["", "a", "b"] {
            upstream.subscribe(topic.as_bytes());
        }
        let (mut live, _) = open(&upstream);
        rest(&mut live);
        live.close();
        assert_eq!(rest(&mut live), [cancel(""), cancel("a"), cancel("b")]);
        let (mut halfway, _) = open(&upstream);
        halfway.next();
        halfway.next();
        halfway.close();
        upstream.subscribe(b"0");
        assert_eq!(rest(&mut halfway), [cancel(""), cancel("0"), cancel("a")], "one too many has no effect");
    }

    #[test]
    fn with_every_cancellation_a_new_feed_is_told_as_often_as_was_subscribed() {
        let upstream = Upstream::new(Told::AllAndCancellations);
        let a = || Bytes::from_static(b"a");
        (0..3).for_each(|_| upstream.subscribe(b"a"));
        assert!(upstream.unsubscribe(b"a"));
        let (mut feed, _) = open(&upstream);
        assert_eq!(
            [feed.next(), feed.next(), feed.next()],
            [Some(Subscribe(a())), Some(Subscribe(a())), None]
        );
        assert!(upstream.unsubscribe(b"a") && upstream.unsubscribe(b"a") && !upstream.unsubscribe(b"a"));
        let told = [feed.next(), feed.next(), feed.next(), feed.next()];
        assert_eq!(told, [Some(Cancel(a())), Some(Cancel(a())), Some(Cancel(a())), None]);
    }

    #[test]
    fn many_feeds_and_random_changes_leave_everybody_with_the_same_topics() {
        let mut random = 7_u64;
        let mut roll = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let upstream = Upstream::new(Told::First);
        let mut feeds: Vec<(Feed, BTreeMap<Bytes, i64>)> = Vec::new();
        let note = |heard: &mut BTreeMap<Bytes, i64>, change| match change {
            Subscribe(topic) => *heard.entry(topic).or_default() += 1,
            Cancel(topic) => *heard.entry(topic).or_default() -= 1,
        };
        for step in 0..20_000 {
            let topic = roll(300).to_string();
            match roll(4) {
                0 => upstream.subscribe(topic.as_bytes()),
                1 => drop(upstream.unsubscribe(topic.as_bytes())),
                _ if step % 2000 == 3 => feeds.push((open(&upstream).0, BTreeMap::new())),
                _ => {
                    for (feed, heard) in &mut feeds {
                        feed.next().into_iter().for_each(|change| note(heard, change));
                    }
                }
            }
        }
        let held: Vec<Bytes> = lock(&upstream.state).topics.keys().cloned().collect();
        for (mut feed, mut heard) in feeds {
            rest(&mut feed).into_iter().for_each(|change| note(&mut heard, change));
            assert!(heard.values().all(|count| [0, 1].contains(count)));
            let heard: Vec<Bytes> =
                heard.into_iter().filter(|(_, count)| *count == 1).map(|(topic, _)| topic).collect();
            assert_eq!(heard, held);
        }
    }
}
