//! A publisher that gives every new subscriber the last value of its topic at once: XPUB and SUB.
//!
//! Subscribers that come late miss what was published before. An XPUB hears of every subscription, here also
//! of repeated ones (`xpub_verbose`), and publishes what it has for that topic once more.
//! `cargo run --example last_value_cache` follows the sizes of this repository's files, `-- FILE...` of others.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, thread};

use peermq::{Context, Endpoint, RecvError, Socket, Sub, Subscription, XPub};

const SUBSCRIBERS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(10);

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut files: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        files.extend(["Cargo.toml", "README.md", "src/lib.rs"].map(PathBuf::from));
    }
    let mut last = BTreeMap::new();
    for file in files {
        last.insert(file.to_string_lossy().into_owned(), fs::metadata(&file)?.len().to_string());
    }
    let topics: Vec<String> = last.keys().cloned().collect();

    let context = Context::new();
    let mut cache = context.builder_for::<XPub>().xpub_verbose(true).open()?;
    let endpoint: Endpoint = cache.bind("tcp://127.0.0.1:0")?.endpoint().clone();
    // Everything is published before anybody listens.
    for (topic, value) in &last {
        cache.send([topic, value])?;
    }
    let server = thread::spawn(move || serve(cache, &last));
    let mut received = 0;
    for _ in 0..SUBSCRIBERS {
        for topic in &topics {
            let mut late = context.open::<Sub>()?;
            late.subscribe(topic)?;
            late.connect(&endpoint)?;
            let update = late.recv_timeout(PATIENCE)?;
            if update.body() != topic.as_bytes() {
                return Err(format!("{update:?} came for {topic}").into());
            }
            received += 1;
        }
    }
    context.shutdown();
    let answered = server.join().map_err(|_| "the cache panicked")??;
    println!("{received} late subscribers had their last value at once; the cache answered {answered} times");
    Ok(())
}

/// Publishes the last value of each topic that somebody subscribes to, until the context is shut down.
fn serve(mut cache: Socket<XPub>, last: &BTreeMap<String, String>) -> Result<usize, Failure> {
    let mut answered = 0;
    loop {
        let event = match cache.recv() {
            Ok(event) => event,
            Err(RecvError::Terminated) => return Ok(answered),
            Err(error) => return Err(error.into()),
        };
        let Some(subscription) = Subscription::from_message(&event).filter(Subscription::is_subscribe) else {
            continue;
        };
        let topic = String::from_utf8_lossy(subscription.topic());
        if let Some(value) = last.get(&*topic) {
            cache.send([&*topic, value])?;
            answered += 1;
        }
    }
}
