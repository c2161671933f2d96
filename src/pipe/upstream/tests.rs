//! What feeds tell, and what they do not.

use std::collections::BTreeSet;

use super::Change::{Cancel, Subscribe};
use super::*;
use crate::pipe::Wake;
use crate::pipe::tests::rounds;
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
    (upstream.open(WakeUp::new(0, Arc::clone(&bell)), Reader::Session), bell)
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
    let upstream = Upstream::new(Told::Last);
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
fn a_replay_tells_what_was_there_and_still_is_and_changes_are_told_behind_it() {
    let upstream = Upstream::new(Told::Last);
    upstream.subscribe(b"b");
    upstream.subscribe(b"d");
    upstream.subscribe(b"e");
    let (mut feed, _) = open(&upstream);
    assert_eq!(feed.next(), Some(subscribe("b")));
    upstream.subscribe(b"c");
    upstream.unsubscribe(b"d");
    upstream.subscribe(b"a");
    upstream.unsubscribe(b"b");
    upstream.subscribe(b"d");
    upstream.subscribe(b"e");
    upstream.subscribe(b"f");
    upstream.unsubscribe(b"f");
    let behind = [subscribe("c"), subscribe("a"), cancel("b"), subscribe("d")];
    assert_eq!(rest(&mut feed), [&[subscribe("e")], &behind[..]].concat());
    assert_eq!(feed.next(), None);
}

#[test]
fn a_topic_that_is_told_several_times_is_cancelled_behind_all_of_them() {
    let upstream = Upstream::new(Told::Each);
    (0..3).for_each(|_| upstream.subscribe(b"a"));
    upstream.subscribe(b"b");
    let (mut feed, _) = open(&upstream);
    assert_eq!(feed.next(), Some(subscribe("a")));
    upstream.unsubscribe(b"a");
    upstream.unsubscribe(b"b");
    assert_eq!(rest(&mut feed), [subscribe("a"), subscribe("a"), cancel("a")]);
}

#[test]
fn what_waits_is_told_in_the_order_in_which_it_was_made() {
    for told in [Told::Last, Told::Each] {
        let upstream = Upstream::new(told);
        let (mut feed, _) = open(&upstream);
        upstream.subscribe(b"a");
        rest(&mut feed);
        // An older subscription to the same topic lends a cancellation no place.
        upstream.subscribe(b"a");
        upstream.subscribe(b"b");
        upstream.unsubscribe(b"a");
        upstream.unsubscribe(b"a");
        assert_eq!(rest(&mut feed), [subscribe("b"), cancel("a")], "{told:?}");
        // Nor does a cancellation a subscription.
        upstream.unsubscribe(b"b");
        upstream.subscribe(b"c");
        upstream.subscribe(b"b");
        upstream.subscribe(b"d");
        assert_eq!(
            rest(&mut feed),
            [cancel("b"), subscribe("c"), subscribe("b"), subscribe("d")],
            "{told:?}"
        );
        // What is taken back leaves the others where they are.
        upstream.unsubscribe(b"b");
        upstream.subscribe(b"e");
        upstream.subscribe(b"b");
        upstream.unsubscribe(b"b");
        assert_eq!(rest(&mut feed), [cancel("b"), subscribe("e")], "{told:?}");
    }
    // Of several cancellations the last one counts.
    let upstream = Upstream::new(Told::Each);
    let (mut feed, _) = open(&upstream);
    (0..2).for_each(|_| upstream.subscribe(b"a"));
    rest(&mut feed);
    upstream.unsubscribe(b"a");
    upstream.subscribe(b"b");
    upstream.unsubscribe(b"a");
    assert_eq!(rest(&mut feed), [subscribe("b"), cancel("a"), cancel("a")]);
}

#[test]
fn every_subscription_is_told_and_the_last_cancellation() {
    // S-05 on our side: right for publishers that keep a set, and those that count learn of it in the end.
    let upstream = Upstream::new(Told::Last);
    let (mut feed, _) = open(&upstream);
    assert_eq!(feed.next(), None);
    upstream.subscribe(b"a");
    upstream.subscribe(b"a");
    assert_eq!(rest(&mut feed), [subscribe("a"), subscribe("a")]);
    assert_eq!(upstream.unsubscribe(b"a"), TakenBack::OneOfSeveral);
    assert_eq!(rest(&mut feed), []);
    assert_eq!(upstream.unsubscribe(b"a"), TakenBack::Last);
    assert_eq!(upstream.unsubscribe(b"a"), TakenBack::Nothing);
    assert_eq!(rest(&mut feed), [cancel("a")]);
    assert_eq!(upstream.count(), 0);
}

#[test]
fn opposite_changes_that_wait_cancel_out() {
    let upstream = Upstream::new(Told::Last);
    let (mut feed, bell) = open(&upstream);
    upstream.subscribe(b"known");
    rest(&mut feed);
    let rings = bell.rings();
    // A publisher that never knew need not hear of it.
    upstream.subscribe(b"a");
    upstream.subscribe(b"a");
    upstream.unsubscribe(b"a");
    upstream.unsubscribe(b"a");
    assert_eq!(bell.rings(), rings + 1);
    assert_eq!(rest(&mut feed), []);
    // What is taken back and said again is told: an XPUB's application may wait for it.
    upstream.unsubscribe(b"known");
    upstream.subscribe(b"b");
    upstream.subscribe(b"known");
    assert_eq!(rest(&mut feed), [cancel("known"), subscribe("b"), subscribe("known")]);
    // Subscriptions as many as hold, but the first in any case.
    (0..3).for_each(|_| upstream.subscribe(b"c"));
    (0..2).for_each(|_| _ = upstream.unsubscribe(b"c"));
    upstream.subscribe(b"b");
    upstream.unsubscribe(b"b");
    assert_eq!(rest(&mut feed), [subscribe("c")]);
    // The last cancellation is told even if a subscription more waits.
    upstream.subscribe(b"c");
    upstream.unsubscribe(b"c");
    upstream.unsubscribe(b"c");
    assert_eq!(rest(&mut feed), [cancel("c")]);
}

#[test]
fn what_waits_is_bounded_by_the_topics_however_often_they_change() {
    for told in [Told::Last, Told::Each] {
        let upstream = Upstream::new(told);
        let (mut behind, _) = open(&upstream);
        upstream.subscribe(b"told");
        rest(&mut behind);
        upstream.unsubscribe(b"told");
        for number in 0..rounds(50_000, 50) {
            let topic = number.to_be_bytes();
            upstream.subscribe(&topic);
            if number % 3 == 0 {
                upstream.subscribe(b"kept");
            }
            upstream.unsubscribe(&topic);
            if number % 3 == 0 {
                upstream.unsubscribe(b"kept");
            }
            // Of nothing.
            upstream.unsubscribe(&topic);
        }
        let state = lock(&upstream.state);
        let untold = &state.feeds.values().next().unwrap().untold;
        let most = if told == Told::Last { 1 } else { 1 + CANCELLATIONS_OF_NOTHING_MAX };
        assert!(untold.len() <= most, "{told:?} {}", untold.len());
        drop(state);
        assert_eq!(behind.next(), Some(cancel("told")));
    }
}

#[test]
fn cancellations_of_nothing_wait_up_to_as_many_as_there_are_topics_and_some_more() {
    let upstream = Upstream::new(Told::Each);
    let (mut behind, _) = open(&upstream);
    let untold = || lock(&upstream.state).feeds.values().next().unwrap().untold.len();
    let nothing = || {
        for number in 0..2 * CANCELLATIONS_OF_NOTHING_MAX {
            assert_eq!(upstream.unsubscribe(format!("nothing {number}").as_bytes()), TakenBack::Nothing);
        }
    };
    rest(&mut behind);
    nothing();
    assert_eq!(untold(), CANCELLATIONS_OF_NOTHING_MAX);
    rest(&mut behind);
    (0..100).for_each(|topic| upstream.subscribe(topic.to_string().as_bytes()));
    rest(&mut behind);
    nothing();
    assert_eq!(untold(), CANCELLATIONS_OF_NOTHING_MAX + 100);
    (0..100).for_each(|topic| _ = upstream.unsubscribe(topic.to_string().as_bytes()));
    nothing();
    assert_eq!(untold(), CANCELLATIONS_OF_NOTHING_MAX + 200, "these are of topics");
    assert_eq!(rest(&mut behind).len(), CANCELLATIONS_OF_NOTHING_MAX + 200);
}

#[test]
fn a_question_is_asked_behind_everything_and_answered_for_that_only() {
    let upstream = Upstream::new(Told::Last);
    upstream.subscribe(b"a");
    let (mut feed, bell) = open(&upstream);
    assert_eq!(rest(&mut feed), [subscribe("a")], "nobody has asked");
    let asker = Arc::new(Bell::default());
    let ask = || upstream.ask(WakeUp::new(0, Arc::clone(&asker)));
    let answers = |confirmed, publishers| Answers { confirmed, publishers };
    let question = ask();
    assert_eq!((bell.rings(), question.answers()), (1, answers(0, 1)));
    upstream.subscribe(b"b");
    let Some((Change::Question(number), told)) =
        rest(&mut feed).split_last().map(|(a, b)| (a.clone(), b.to_vec()))
    else {
        panic!("it is to be asked");
    };
    assert_eq!(told, [subscribe("b")]);
    assert_eq!(question.answers(), answers(0, 1));
    feed.confirm(number);
    assert_eq!((asker.rings(), question.answers()), (1, answers(1, 1)));
    // A publisher that comes later is asked as well, and one that leaves does not count.
    let (mut late, _) = open(&upstream);
    assert_eq!(question.answers(), answers(1, 2));
    assert_eq!(rest(&mut late), [subscribe("a"), subscribe("b"), Change::Question(number)]);
    drop(feed);
    assert_eq!((asker.rings(), question.answers()), (2, answers(0, 1)));
    late.confirm(number);
    assert_eq!(question.answers(), answers(1, 1));
    drop(question);
    // What comes behind an answer has to be asked for again.
    upstream.subscribe(b"c");
    let question = ask();
    assert_eq!(question.answers(), answers(0, 1));
    assert_eq!(rest(&mut late).len(), 2);
}

#[test]
fn closing_takes_back_what_was_told() {
    // S-39
    let upstream = Upstream::new(Told::Last);
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
    let upstream = Upstream::new(Told::Each);
    let a = || Bytes::from_static(b"a");
    (0..3).for_each(|_| upstream.subscribe(b"a"));
    assert_eq!(upstream.unsubscribe(b"a"), TakenBack::OneOfSeveral);
    let (mut feed, _) = open(&upstream);
    assert_eq!([feed.next(), feed.next(), feed.next()], [Some(Subscribe(a())), Some(Subscribe(a())), None]);
    let taken_back = [(); 3].map(|()| upstream.unsubscribe(b"a"));
    assert_eq!(taken_back, [TakenBack::OneOfSeveral, TakenBack::Last, TakenBack::Nothing]);
    let told = [feed.next(), feed.next(), feed.next(), feed.next()];
    assert_eq!(told, [Some(Cancel(a())), Some(Cancel(a())), Some(Cancel(a())), None]);
}

/// What a publisher has heard, of which a set is kept.
struct Listener {
    feed: Feed,
    heard: BTreeSet<Bytes>,
    /// What was there when it came, and was not told.
    replay: BTreeSet<Bytes>,
    /// Those of all changes that are before what was told last.
    place: usize,
    opened: usize,
}

impl Listener {
    /// Hears of a change, which has to come in the order of `all` that had an effect.
    fn hear(&mut self, change: &Change, all: &[Change]) {
        let is_effective = match change {
            Subscribe(topic) => {
                self.heard.insert(topic.clone()) && !(self.place == self.opened && self.replay.remove(topic))
            }
            Cancel(topic) => {
                assert!(self.heard.remove(topic), "{topic:?} was not known");
                true
            }
            Change::Question(_) => unreachable!("nobody has asked"),
        };
        if is_effective {
            let later = all.iter().skip(self.place).position(|other| other == change);
            assert!(later.is_some(), "{change:?} was overtaken");
            self.place += later.map_or(0, |at| at + 1);
        }
    }
}

#[test]
fn many_feeds_and_random_changes_leave_everybody_with_the_same_topics_in_order() {
    let mut random = 7_u64;
    let mut roll = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let upstream = Upstream::new(Told::Last);
    let held = || -> BTreeSet<Bytes> { lock(&upstream.state).topics.keys().cloned().collect() };
    let mut listeners: Vec<Listener> = Vec::new();
    let mut all = Vec::new();
    for step in 0..rounds(20_000, 200) {
        let topic = Bytes::from(roll(300).to_string());
        match roll(4) {
            0 => {
                if !held().contains(&topic) {
                    all.push(Subscribe(topic.clone()));
                }
                upstream.subscribe(&topic);
            }
            1 => {
                if upstream.unsubscribe(&topic) == TakenBack::Last {
                    all.push(Cancel(topic));
                }
            }
            _ if step % 500 == 3 => {
                let (feed, heard) = (open(&upstream).0, BTreeSet::new());
                listeners.push(Listener { feed, heard, replay: held(), place: all.len(), opened: all.len() });
            }
            _ => {
                for listener in &mut listeners {
                    listener.feed.next().iter().for_each(|change| listener.hear(change, &all));
                }
            }
        }
    }
    assert!(listeners.len() > 1 || cfg!(miri));
    for mut listener in listeners {
        rest(&mut listener.feed).iter().for_each(|change| listener.hear(change, &all));
        assert_eq!(listener.heard, held());
    }
}
