//! Waiting for several sockets at once.

use super::*;
use crate::wait_any;

#[test]
fn a_thread_serves_two_sockets_and_misses_nothing() {
    over(ALL, |place| {
        const EACH: u32 = 5_000;
        let mut pulls: Vec<(Socket<Pull>, Endpoint)> = (0..2).map(|_| place.bound()).collect();
        let senders: Vec<_> = pulls
            .iter()
            .map(|(_, endpoint)| {
                let mut push = place.connected::<Push>(endpoint);
                thread::spawn(move || {
                    for number in 0..EACH {
                        push.send_timeout(&number.to_be_bytes(), PATIENCE).unwrap();
                        if number % 100 == 0 {
                            thread::yield_now(); // so that the receiver runs dry now and then
                        }
                    }
                    push
                })
            })
            .collect();
        let (left, right) = pulls.split_at_mut(1);
        let (left, right) = (&mut left[0].0, &mut right[0].0);
        let mut next = [0_u32; 2];
        while next != [EACH; 2] {
            let mut is_idle = true;
            for (pull, next) in [&mut *left, &mut *right].into_iter().zip(&mut next) {
                while let Ok(message) = pull.try_recv() {
                    assert_eq!(message, &next.to_be_bytes()[..]);
                    *next += 1;
                    is_idle = false;
                }
            }
            if is_idle {
                assert!(wait_any(&mut [left, right], Some(PATIENCE)), "{next:?}");
            }
        }
        assert!(!wait_any(&mut [left, right], Some(Duration::ZERO)));
        senders.into_iter().for_each(|sender| drop(sender.join().unwrap()));
    });
}

#[test]
fn a_shutdown_ends_the_wait() {
    let context = Context::new();
    let (mut one, mut other) = (context.open::<Pull>().unwrap(), context.open::<Push>().unwrap());
    let stopping = thread::spawn(move || context.shutdown());
    while one.try_recv() != Err(crate::RecvError::Terminated) {
        assert!(wait_any(&mut [&mut one, &mut other], Some(PATIENCE)));
    }
    stopping.join().unwrap();
}
