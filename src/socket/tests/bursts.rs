//! Bursts: a thread that sends many messages and then does something else leaves the end of them to its I/O thread.

use std::sync::mpsc;

use super::*;
use crate::{EventKind, IoAffinity, session};

/// Bursts whose end a look between ticks has to find, each behind a pause.
const FOUND: u32 = 3;

#[test]
fn the_end_of_a_burst_whose_caller_stays_away_waits_for_no_tick() {
    for transport in WIRES {
        let place = Place::in_context(*transport, Context::builder().io_threads(1).build());
        let mailbox = place.context.inner.pool.pick(IoAffinity::ANY).unwrap();
        let elsewhere = Place::new(*transport);
        let (mut pull, endpoint) = elsewhere.bound::<Pull>();
        let mut push: Socket<Push> = place.builder().send_hwm(10_000).open().unwrap();
        let monitor = push.monitor();
        push.connect(&endpoint).unwrap();
        let connection = loop {
            let event = monitor.recv_timeout(PATIENCE).unwrap();
            if matches!(event.kind, EventKind::Ready(_)) {
                break event.connection.unwrap();
            }
        };
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                loop {
                    let message = recv(&mut pull);
                    if message == "the end" && tell.send(()).is_err() {
                        break;
                    }
                }
            });
            // The I/O thread may be so fast that it finds nothing left, or so late that it finds all of it.
            let (mut round, mut found) = (0, 0);
            eventually("looks have written the ends of bursts", || {
                let before = session::fruitful_looks(connection);
                for _ in 0..100 << (round % 6) {
                    push.try_send(&[7; 64]).unwrap();
                }
                push.try_send("the end").unwrap();
                // Outside of the library: nothing is written for this thread because it waits.
                told.recv().unwrap();
                eventually("the stream is over", || mailbox.ticking() == 0);
                found += u32::from(session::fruitful_looks(connection) > before);
                round += 1;
                found == FOUND
            });
            drop(told);
            send(&mut push, "the end");
        });
    }
}
