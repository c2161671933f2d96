//! One thread, one loop: sockets, a listener of the system's and a timer in one poller.
//!
//! A thermometer publishes; a thread keeps the last value of each place, tells it to whoever opens a plain tcp
//! connection, and prints how many came since the last tick. `cargo run --example event_loop` runs until somebody has
//! heard a value.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use peermq::{Context, Endpoint, Interest, Poller, Pub, RecvError, Socket, Sub, Timers};

const TICK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);
const PLACES: [&str; 3] = ["cellar", "kitchen", "roof"];

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone, Copy)]
enum Source {
    Thermometers,
    Visitors,
}

fn main() -> Result<(), Failure> {
    let context = Context::new();
    let mut thermometers = context.open::<Sub>()?;
    thermometers.subscribe("")?;
    let endpoint: Endpoint = thermometers.bind("tcp://127.0.0.1:0")?.into();
    let publisher = context.open::<Pub>()?;
    let measuring = thread::spawn(move || measure(publisher, &endpoint));

    let visitors = TcpListener::bind("127.0.0.1:0")?;
    visitors.set_nonblocking(true)?;
    let address = visitors.local_addr()?;
    let visiting = thread::spawn(move || visit(address));

    serve(thermometers, &visitors)?;
    let heard = visiting.join().map_err(|_| "the visitor panicked")??;
    println!("a visitor heard: {heard}");
    context.shutdown(); // ends the thermometer's calls
    measuring.join().map_err(|_| "the thermometer panicked")?
}

/// Serves everybody until a visitor has heard of all places.
fn serve(mut thermometers: Socket<Sub>, visitors: &TcpListener) -> Result<(), Failure> {
    let mut poller = Poller::new();
    poller.add(&mut thermometers, Interest::READABLE, Source::Thermometers)?;
    poller.add_fd(visitors, Interest::READABLE, Source::Visitors)?;
    let mut timers = Timers::new();
    timers.add(TICK, ());
    let (mut last, mut count) = (BTreeMap::new(), 0);
    loop {
        for event in poller.wait(timers.timeout())? {
            match event.key {
                Source::Thermometers => loop {
                    match thermometers.try_recv() {
                        Ok(message) => {
                            let text = message.to_str()?;
                            let (place, value) = text.split_once(' ').ok_or("a value without a place")?;
                            last.insert(place.to_owned(), value.to_owned());
                            count += 1;
                        }
                        Err(RecvError::WouldBlock) => break,
                        Err(error) => return Err(error.into()),
                    }
                },
                Source::Visitors => {
                    let (mut visitor, _) = visitors.accept()?;
                    visitor.write_all(format!("{last:?}").as_bytes())?;
                    if last.len() == PLACES.len() {
                        return Ok(());
                    }
                }
            }
        }
        timers.execute(|_, ()| println!("{} values since the last tick", std::mem::take(&mut count)));
    }
}

/// Publishes until the context is shut down.
fn measure(mut publisher: Socket<Pub>, endpoint: &Endpoint) -> Result<(), Failure> {
    publisher.connect(endpoint)?;
    publisher.wait_for_subscribers(1, PATIENCE)?;
    for tenths in 0_u32.. {
        for place in PLACES {
            if publisher.send(format!("{place} {}.{}", 20 + tenths / 10 % 5, tenths % 10)).is_err() {
                return Ok(());
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Asks until all places are among the answers.
fn visit(address: SocketAddr) -> Result<String, Failure> {
    loop {
        let mut heard = String::new();
        TcpStream::connect(address)?.read_to_string(&mut heard)?;
        if PLACES.iter().all(|place| heard.contains(place)) {
            return Ok(heard);
        }
    }
}
