//! A publisher that gives every new subscriber the last value of its topic at once: XPUB and SUB.
//!
//! Subscribers that come late miss what was published before. An XPUB hears of every subscription, here also of
//! those to topics that somebody has already (`xpub_verbose`), and publishes what it has for that topic once
//! more. `cargo run --example last_value_cache` publishes the sizes of some of this library's files, `-- FILE...`
//! of others, before anybody listens.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;
use std::{env, fs, thread};

use peermq::{Context, Endpoint, RecvError, Socket, Sub, Subscription, XPub};

const SUBSCRIBERS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut files: Vec<String> = env::args().skip(1).collect();
    if files.is_empty() {
        let ours = ["Cargo.toml", "README.md", "src/lib.rs"];
        files = ours.map(|file| format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).into();
    }
    let context = Context::new();
    let mut cache = context.builder_for::<XPub>().xpub_verbose(true).open()?;
    let endpoint: Endpoint = cache.bind("tcp://127.0.0.1:0")?.into();
    let mut last = BTreeMap::new();
    for file in files {
        let octets = fs::metadata(&file).map_err(|error| format!("{file}: {error}"))?.len().to_string();
        cache.send([&file, &octets])?; // to nobody
        last.insert(file, octets);
    }
    let (received, answered) = thread::scope(|scope| {
        let cache = scope.spawn(|| answer(cache, &last));
        let received = come_late(&context, &endpoint, &last);
        context.shutdown(); // ends the call in which the cache waits
        Ok::<_, Failure>((received?, cache.join().map_err(|_| "the cache panicked")??))
    })?;
    println!("{received} late subscribers had their last value at once; the cache answered {answered} times");
    Ok(())
}

/// Publishes the last value of every topic that somebody subscribes to, until the context is shut down.
fn answer(mut cache: Socket<XPub>, last: &BTreeMap<String, String>) -> Result<usize, Failure> {
    let mut answered = 0;
    loop {
        let message = match cache.recv() {
            Ok(message) => message,
            Err(RecvError::Terminated) => return Ok(answered),
            Err(error) => return Err(error.into()),
        };
        let Some(Subscription::Subscribe(topic)) = Subscription::from_message(&message) else { continue };
        let topic = String::from_utf8_lossy(topic);
        if let Some(value) = last.get(&*topic) {
            cache.send([&*topic, value])?;
            answered += 1;
        }
    }
}

/// Subscribes to every topic, several times; each subscriber has to receive its topic's last value first.
fn come_late(
    context: &Context,
    endpoint: &Endpoint,
    last: &BTreeMap<String, String>,
) -> Result<usize, Failure> {
    let mut subscribers = Vec::new();
    for (topic, value) in (0..SUBSCRIBERS).flat_map(|_| last) {
        let mut late = context.open::<Sub>()?;
        late.subscribe(topic)?;
        late.connect(endpoint)?;
        let update = late.recv_timeout(PATIENCE)?;
        if update != [topic, value] {
            return Err(format!("{update:?} came for {topic}").into());
        }
        subscribers.push(late); // stays, so that the next one is not the first
    }
    Ok(subscribers.len())
}
