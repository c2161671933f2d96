//! Subscriptions and messages through a chain of proxies: PUB, three times XSUB and XPUB, SUB.
//!
//! Each proxy passes subscriptions up and messages down, on a thread of its own. What nobody asked for does not
//! leave the publisher. `cargo run --example proxy_chain` publishes the words of this library's
//! README and follows those that begin with "me"; `-- FILE PREFIX` others.

use std::error::Error;
use std::time::Duration;
use std::{env, fs, thread};

use peermq::{Context, Endpoint, Hwm, Proxy, Pub, Sub, XPub, XSub};

const PROXIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut args = env::args().skip(1);
    let file = args.next().unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/README.md").into());
    let prefix = args.next().unwrap_or_else(|| "me".into());
    let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;

    let context = Context::new();
    let mut publisher = context.builder_for::<Pub>().send_hwm(Hwm::UNLIMITED).open()?;
    let mut endpoint: Endpoint = publisher.bind("tcp://127.0.0.1:0")?.into();
    let mut proxies = Vec::new();
    for _ in 0..PROXIES {
        let mut upstream = context.open::<XSub>()?;
        upstream.connect(endpoint)?;
        let mut downstream = context.builder_for::<XPub>().send_hwm(Hwm::UNLIMITED).open()?;
        endpoint = downstream.bind("tcp://127.0.0.1:0")?.into();
        let proxy = Proxy::new(upstream, downstream)?;
        let control = proxy.control();
        proxies.push((control, thread::spawn(move || proxy.run())));
    }
    let mut subscriber = context.open::<Sub>()?;
    subscriber.subscribe(&prefix)?;
    subscriber.connect(endpoint)?;

    // The subscription goes all the way up before the publisher knows of it.
    publisher.wait_for_subscribers(1, PATIENCE)?;
    for word in text.split_whitespace() {
        publisher.send(word)?;
    }
    let wanted: Vec<&str> = text.split_whitespace().filter(|word| word.starts_with(&prefix)).collect();
    for word in &wanted {
        let message = subscriber.recv_timeout(PATIENCE)?;
        if message != *word {
            return Err(format!("{message:?} came where {word:?} was next").into());
        }
    }
    let mut passed = Vec::new();
    for (control, running) in proxies {
        control.terminate();
        let end = running.join().map_err(|_| "a proxy panicked")?;
        passed.push(end.statistics.to_backend.messages);
    }
    let total = text.split_whitespace().count();
    println!("{} of {total} words were asked for; {PROXIES} proxies passed on {passed:?}", wanted.len());
    if passed != [wanted.len() as u64; PROXIES] {
        return Err("a proxy had what nobody asked for".into());
    }
    Ok(())
}
