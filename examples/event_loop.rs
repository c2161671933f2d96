//! One thread, one loop: sockets, a listener of the system's and timers in one poller.
//!
//! Thermometers are read by a timer, and published; a subscriber keeps the last value of each place, and tells all of
//! them to whoever opens a plain tcp connection; another timer prints how many came since it last did. `cargo run
//! --example event_loop` runs until somebody has heard a value of each place: it visits itself, or with `-- --wait` waits
//! for you and your `nc`.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use std::{env, thread};

use peermq::{Context, Interest, Poller, Pub, RecvError, Socket, Sub, Timers};

const MEASURE: Duration = Duration::from_millis(1);
const REPORT: Duration = Duration::from_millis(20);
const PLACES: [&str; 3] = ["cellar", "kitchen", "roof"];

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone, Copy)]
enum Source {
    Thermometers,
    Visitors,
}

#[derive(Clone, Copy)]
enum Due {
    Measure,
    Report,
}

fn main() -> Result<(), Failure> {
    let context = Context::new();
    let mut thermometers = context.open::<Sub>()?;
    thermometers.subscribe("")?;
    let binding = thermometers.bind("tcp://127.0.0.1:0")?;
    let mut publisher = context.open::<Pub>()?;
    publisher.connect(&binding)?;

    let visitors = TcpListener::bind("127.0.0.1:0")?;
    visitors.set_nonblocking(true)?;
    let address = visitors.local_addr()?;
    println!("{binding} is for thermometers, {address} for visitors");
    let waits = env::args().any(|arg| arg == "--wait");
    let visiting = (!waits).then(|| thread::spawn(move || visit(address)));

    serve(thermometers, publisher, &visitors)?;
    if let Some(visiting) = visiting {
        let heard = visiting.join().map_err(|_| "the visitor panicked")??;
        println!("a visitor heard: {heard}");
    }
    Ok(())
}

/// Measures, and serves everybody, until a visitor has heard of all places.
fn serve(
    mut thermometers: Socket<Sub>,
    mut publisher: Socket<Pub>,
    visitors: &TcpListener,
) -> Result<(), Failure> {
    let mut poller = Poller::new();
    poller.add(&mut thermometers, Interest::READABLE, Source::Thermometers)?;
    poller.add_fd(visitors, Interest::READABLE, Source::Visitors)?;
    let mut timers = Timers::new();
    timers.add(MEASURE, Due::Measure);
    timers.add(REPORT, Due::Report);
    let (mut last, mut count, mut tenths) = (BTreeMap::new(), 0, 0);
    loop {
        for event in poller.wait(timers.timeout())? {
            match event.key {
                Source::Thermometers => loop {
                    match thermometers.try_recv() {
                        // What is no value of a place comes from a stranger, and must not end the loop.
                        Ok(message) => {
                            let value = message.to_str().ok().and_then(|text| text.split_once(' '));
                            if let Some((place, value)) = value.filter(|(place, _)| PLACES.contains(place)) {
                                last.insert(place.to_owned(), value.to_owned());
                                count += 1;
                            }
                        }
                        Err(RecvError::WouldBlock) => break,
                        Err(error) => return Err(error.into()),
                    }
                },
                Source::Visitors => {
                    // One who has left meanwhile, or does not listen, is none.
                    let Ok((mut visitor, _)) = visitors.accept() else { continue };
                    let has_heard = visitor.write_all(format!("{last:?}").as_bytes()).is_ok();
                    if has_heard && last.len() == PLACES.len() {
                        return Ok(());
                    }
                }
            }
        }
        let mut due = Vec::new();
        timers.execute(|_, what| due.push(*what));
        for what in due {
            match what {
                Due::Measure => measure(&mut publisher, &mut tenths)?,
                Due::Report => println!("{} values since the last report", std::mem::take(&mut count)),
            }
        }
    }
}

/// Publishes what the thermometers show now.
fn measure(publisher: &mut Socket<Pub>, tenths: &mut u32) -> Result<(), Failure> {
    *tenths += 1;
    for place in PLACES {
        publisher.send(format!("{place} {}.{}", 20 + *tenths / 10 % 5, *tenths % 10))?;
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
