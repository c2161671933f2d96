//! N to M: any number of binds and connects on one socket, over several transports at once.

use super::*;
use crate::{Pair, RecvError};

#[test]
fn every_type_binds_and_connects() {
    // E-06
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        send(&mut push, "push connects");
        assert_eq!(recv(&mut pull), "push connects");

        let (mut push, endpoint) = place.bound::<Push>();
        let mut pull: Socket<Pull> = place.connected(&endpoint);
        send(&mut push, "pull connects");
        assert_eq!(recv(&mut pull), "pull connects");

        let (mut ours, endpoint) = place.bound::<Pair>();
        let mut theirs: Socket<Pair> = place.connected(&endpoint);
        send(&mut ours, "pair binds");
        assert_eq!(recv(&mut theirs), "pair binds");
        send(&mut theirs, "pair connects");
        assert_eq!(recv(&mut ours), "pair connects");
    });
}

#[test]
fn one_push_is_connected_to_three_pulls_and_bound_for_two_more() {
    // L-03, E-06
    over(ALL, |place| {
        let (mut push, endpoint) = place.bound::<Push>();
        let mut pulls: Vec<Socket<Pull>> = Vec::new();
        for _ in 0..3 {
            let (pull, theirs) = place.bound::<Pull>();
            push.connect(&theirs).unwrap();
            pulls.push(pull);
        }
        for _ in 0..2 {
            pulls.push(place.connected(&endpoint));
        }
        settle(&mut push, &mut pulls);
        for number in 0..500 {
            send(&mut push, &numbered(number));
        }
        for pull in &mut pulls {
            for _ in 0..100 {
                recv(pull);
            }
            assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
        }
    });
}

#[test]
fn one_pull_is_bound_and_connected_over_every_transport() {
    // L-08, E-06
    let context = Context::new();
    let mut pull: Socket<Pull> = context.builder_for().linger(Linger::DISCARD).open().unwrap();
    let mut pushes: Vec<Socket<Push>> = Vec::new();
    let places: Vec<Place> =
        ALL.iter().map(|&transport| Place::in_context(transport, context.clone())).collect();
    for place in &places {
        let endpoint = pull.bind(place.address()).unwrap();
        pushes.push(place.connected(&endpoint));
        let (push, endpoint) = place.bound::<Push>();
        pull.connect(&endpoint).unwrap();
        pushes.push(push);
    }
    for (peer, push) in (0..).zip(&mut pushes) {
        for number in 0..100 {
            send(push, &numbered(peer * 1000 + number));
        }
    }
    let mut next = vec![0; pushes.len()];
    for _ in 0..100 * pushes.len() {
        let number = number_of(&recv(&mut pull));
        let next = &mut next[number as usize / 1000];
        assert_eq!(number % 1000, *next);
        *next += 1;
    }
    assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn many_pushes_and_pulls_deliver_each_message_once() {
    // L-05, E-10, E-11
    over(ALL, |place| {
        const EACH: u32 = 2000;
        let bound: Vec<_> = (0..3).map(|_| place.bound::<Pull>()).collect();
        let (pulls, endpoints): (Vec<_>, Vec<_>) = bound.into_iter().unzip();
        let received = AtomicU64::new(0);
        let seen = thread::scope(|scope| {
            for sender in 0..4 {
                let (received, endpoints) = (&received, &endpoints);
                scope.spawn(move || {
                    let mut push: Socket<Push> = place.open();
                    for endpoint in endpoints {
                        push.connect(endpoint).unwrap();
                    }
                    for number in 0..EACH {
                        send(&mut push, &numbered(sender * EACH + number));
                    }
                    // With this linger the socket must outlive its messages.
                    eventually("everything arrived", || {
                        received.load(Ordering::SeqCst) == u64::from(4 * EACH)
                    });
                });
            }
            let receivers: Vec<_> = pulls
                .into_iter()
                .map(|mut pull| {
                    let received = &received;
                    scope.spawn(move || {
                        let mut mine = Vec::new();
                        eventually("everything arrived", || {
                            while let Ok(message) = pull.recv_timeout(Duration::from_millis(1)) {
                                mine.push(number_of(&message));
                                received.fetch_add(1, Ordering::SeqCst);
                            }
                            received.load(Ordering::SeqCst) == u64::from(4 * EACH)
                        });
                        mine
                    })
                })
                .collect();
            let each: Vec<Vec<u32>> = receivers.into_iter().map(|thread| thread.join().unwrap()).collect();
            each
        });
        for mine in &seen {
            // From one sender over one connection: strictly increasing.
            for sender in 0..4 {
                let of_sender: Vec<_> = mine.iter().filter(|number| *number / EACH == sender).collect();
                assert!(of_sender.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
        let mut all = seen.concat();
        all.sort_unstable();
        assert_eq!(all, (0..4 * EACH).collect::<Vec<_>>());
    });
}
