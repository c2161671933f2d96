//! The features `tracing` and `metrics`: a subscriber and a recorder are told what monitors are told.
//!
//! In a process of its own: both are global, as I/O threads tell, too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata as About, Recorder, SharedString, Unit,
};
use peermq::{Context, Pull, Push};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// What was told: the level, and the fields as text.
type Told = (Level, HashMap<&'static str, String>);

static TOLD: Mutex<Vec<Told>> = Mutex::new(Vec::new());
static COUNTED: OnceLock<Mutex<HashMap<Key, Arc<Tally>>>> = OnceLock::new();

/// Only warnings are wanted.
static IS_BRIEF: AtomicBool = AtomicBool::new(false);

/// A subscriber of what this library tells.
struct Listener;

struct Fields(HashMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "peermq"
            && (!IS_BRIEF.load(Ordering::Relaxed) || *metadata.level() <= Level::WARN)
    }

    fn register_callsite(&self, _: &Metadata<'_>) -> Interest {
        Interest::sometimes()
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(HashMap::new());
        event.record(&mut fields);
        TOLD.lock().unwrap().push((*event.metadata().level(), fields.0));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Tally(Mutex<u64>);

impl CounterFn for Tally {
    fn increment(&self, value: u64) {
        *self.0.lock().unwrap() += value;
    }

    fn absolute(&self, value: u64) {
        *self.0.lock().unwrap() = value;
    }
}

/// A recorder of counters.
struct Counters;

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &About<'_>) -> Counter {
        let mut counted = COUNTED.get_or_init(Mutex::default).lock().unwrap();
        Counter::from_arc(Arc::clone(counted.entry(key.clone()).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &About<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &About<'_>) -> Histogram {
        Histogram::noop()
    }
}

fn counted(event: &str, endpoint: &str) -> u64 {
    let labels = [("event", event.to_owned()), ("endpoint", endpoint.to_owned())];
    let key = Key::from_parts("peermq_events_total", &labels);
    let counted = COUNTED.get_or_init(Mutex::default).lock().unwrap();
    counted.get(&key).map_or(0, |tally| *tally.0.lock().unwrap())
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_subscriber_and_a_recorder_are_told_what_monitors_are_told() {
    tracing::subscriber::set_global_default(Listener).unwrap();
    metrics::set_global_recorder(Counters).map_err(|_| "there is one").unwrap();
    let context = Context::new();
    let mut pull = context.open::<Pull>().unwrap();
    let binding = pull.bind("tcp://127.0.0.1:0").unwrap();
    let at = binding.to_string();
    let mut push = context.open::<Push>().unwrap();
    push.connect(&binding).unwrap().wait_ready(Duration::from_secs(30)).unwrap();
    let stranger = || TcpStream::connect(("127.0.0.1", binding.port().unwrap())).unwrap();
    let talk = || {
        let mut talker = stranger();
        talker.write_all(&[0xFF]).unwrap();
        format!("tcp://{}", talker.local_addr().unwrap())
    };
    let address = talk();
    eventually("a handshake has failed", || counted("handshake_failed", &at) == 1);
    // As a health check does.
    drop(stranger());
    eventually("one that said nothing has left", || counted("left", &at) == 1);
    assert_eq!((counted("listening", &at), counted("accepted", &at), counted("ready", &at)), (1, 3, 2));
    assert_eq!(counted("handshake_failed", &at), 1);

    let is_told = |level: Level, event: &str, more: &[(&str, &str)]| {
        let told = TOLD.lock().unwrap();
        told.iter().any(|(of_level, fields)| {
            let has = |name: &str, value: &str| fields.get(name).is_some_and(|found| found == value);
            *of_level == level && has("event", event) && more.iter().all(|(name, value)| has(name, value))
        })
    };
    assert!(is_told(Level::INFO, "listening", &[("endpoint", &at)]));
    assert!(is_told(Level::INFO, "ready", &[("endpoint", &at), ("accepted", "false")]));
    eventually("it is told, too", || {
        let of_it =
            [("address", &*address), ("accepted", "true"), ("reason", "the peer closed the connection")];
        is_told(Level::WARN, "handshake_failed", &of_it)
    });
    eventually("and so is that one", || is_told(Level::DEBUG, "left", &[("endpoint", &at)]));
    IS_BRIEF.store(true, Ordering::Relaxed);
    let address = talk();
    eventually("who wants warnings only is told all of them", || {
        is_told(Level::WARN, "handshake_failed", &[("address", &*address)])
    });
}
