//! Subscriptions and messages through a chain of proxies: PUB, XSUB and XPUB three times, SUB.
//!
//! Each proxy passes subscriptions up and messages down, with one thread for its two sockets. Nothing that
//! nobody asked for leaves the publisher. `cargo run --example proxy_chain`.

use std::error::Error;
use std::thread;
use std::time::Duration;

use peermq::{Context, Endpoint, Message, Pub, RecvError, Socket, Sub, XPub, XSub, wait_any};

const PROXIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(10);

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let context = Context::new();
    let mut publisher = context.open::<Pub>()?;
    let mut endpoint: Endpoint = publisher.bind("tcp://127.0.0.1:0")?.endpoint().clone();
    let mut proxies = Vec::new();
    for _ in 0..PROXIES {
        let mut upstream = context.open::<XSub>()?;
        upstream.connect(&endpoint)?;
        let mut downstream = context.open::<XPub>()?;
        endpoint = downstream.bind("tcp://127.0.0.1:0")?.endpoint().clone();
        proxies.push(thread::spawn(move || forward(upstream, downstream)));
    }
    let mut subscriber = context.open::<Sub>()?;
    subscriber.subscribe("weather")?;
    subscriber.connect(&endpoint)?;

    // The subscription has to go all the way up before the publisher can know of it.
    publisher.wait_for_subscribers(1, PATIENCE)?;
    for number in 0..100 {
        publisher.send([format!("weather {number}"), String::from("sunny")])?;
        publisher.send([format!("traffic {number}"), String::from("dense")])?;
    }
    for number in 0..100 {
        let message = subscriber.recv_timeout(PATIENCE)?;
        if message != [format!("weather {number}"), String::from("sunny")] {
            return Err(format!("{message:?} came where weather {number} was next").into());
        }
    }
    context.shutdown();
    let mut passed = Vec::new();
    for proxy in proxies {
        passed.push(proxy.join().map_err(|_| "a proxy panicked")??);
    }
    println!("100 of 200 messages were asked for; the {PROXIES} proxies passed on {passed:?}");
    if passed == [100; PROXIES] { Ok(()) } else { Err("a proxy had what nobody asked for".into()) }
}

/// Passes messages down and subscriptions up until the context is shut down; returns how many messages.
fn forward(mut upstream: Socket<XSub>, mut downstream: Socket<XPub>) -> Result<usize, Failure> {
    let mut message = Message::new();
    let mut passed = 0;
    loop {
        while downstream.try_recv_into(&mut message).is_ok() {
            upstream.send(&message)?;
        }
        loop {
            match upstream.try_recv_into(&mut message) {
                Ok(()) => {
                    downstream.send(&message)?;
                    passed += 1;
                }
                Err(RecvError::WouldBlock) => break,
                Err(_) => return Ok(passed),
            }
        }
        wait_any(&mut [&mut upstream, &mut downstream], None);
    }
}
