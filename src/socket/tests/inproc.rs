//! inproc: names of one context, bound and connected to in any order.

use super::*;
use crate::{BindErrorKind, ConnectErrorKind, Pair, RecvError, SocketType};

#[test]
fn a_name_is_bound_once_and_free_after_unbind_or_drop() {
    let place = Place::new(Transport::Inproc);
    let (mut first, name) = place.bound::<Pull>();
    let mut second: Socket<Pull> = place.open();
    assert_eq!(second.bind(&name).map_err(|error| error.kind()), Err(BindErrorKind::AddressInUse));
    assert_eq!(first.bind(&name).map_err(|error| error.kind()), Err(BindErrorKind::AddressInUse));
    first.unbind(&name).unwrap();
    assert_eq!(first.unbind(&name).map_err(|error| error.kind()), Err(BindErrorKind::NotBound));
    assert_eq!(second.bind(&name).as_deref(), Ok(&name));
    drop(second);
    assert_eq!(first.bind(&name).as_deref(), Ok(&name));
}

#[test]
fn peers_stay_when_their_name_goes() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, name) = place.bound::<Pull>();
    let mut push: Socket<Push> = place.connected(&name);
    pull.unbind(&name).unwrap();
    send(&mut push, "still here");
    assert_eq!(recv(&mut pull), "still here");
    let mut late: Socket<Push> = place.connected(&name);
    send(&mut late, "for whoever binds next");
    assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    let mut next: Socket<Pull> = place.open();
    next.bind(&name).unwrap();
    assert_eq!(recv(&mut next), "for whoever binds next");
}

#[test]
fn names_of_two_contexts_are_apart() {
    let (here, there) = (Place::new(Transport::Inproc), Place::new(Transport::Inproc));
    let (mut ours, name) = here.bound::<Pull>();
    let mut theirs: Socket<Pull> = there.open();
    theirs.bind(&name).unwrap();
    let mut push: Socket<Push> = here.connected(&name);
    send(&mut push, "ours");
    assert_eq!(recv(&mut ours), "ours");
    assert_eq!(theirs.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn a_type_that_cannot_be_talked_to_is_named() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, name) = place.bound::<Pull>();
    let refused = Err(ConnectErrorKind::IncompatibleSocketTypes(SocketType::Pull));
    assert_eq!(place.open::<Pull>().connect(&name).map_err(|error| error.kind()), refused);
    assert_eq!(place.open::<Pair>().connect(&name).map_err(|error| error.kind()), refused);
    let mut push: Socket<Push> = place.connected(&name);
    send(&mut push, "unharmed");
    assert_eq!(recv(&mut pull), "unharmed");
}

#[test]
fn a_type_that_cannot_be_talked_to_is_let_go_at_the_bind() {
    let place = Place::new(Transport::Inproc);
    let name = place.address();
    let mut pair: Socket<Pair> = place.connected(&name);
    pair.try_send("for another pair").unwrap();
    let mut push: Socket<Push> = place.connected(&name);
    push.try_send("for a pull").unwrap();
    let mut pull: Socket<Pull> = place.open();
    pull.bind(&name).unwrap();
    assert_eq!(recv(&mut pull), "for a pull");
    assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    // The pair has no peer any more, and may have another.
    eventually("the pair is free", || pair.try_send("nobody").is_err());
    let (mut other, there) = place.bound::<Pair>();
    pair.connect(&there).unwrap();
    send(&mut pair, "a pair at last");
    assert_eq!(recv(&mut other), "a pair at last");
}

#[test]
fn a_connecter_that_went_before_the_bind_leaves_its_messages() {
    // L-05: accepted, so delivered.
    let place = Place::new(Transport::Inproc);
    let name = place.address();
    let mut push: Socket<Push> = place.context.open().unwrap();
    push.connect(&name).unwrap();
    push.try_send("left behind").unwrap();
    drop(push);
    let mut pull: Socket<Pull> = place.open();
    pull.bind(&name).unwrap();
    assert_eq!(recv(&mut pull), "left behind");
}

#[test]
fn every_order_of_bind_and_connect_delivers() {
    // Promise 14, X-47, E-07: seeded orders of N pushes and M pulls that bind or connect, and send in between.
    for seed in 1..=300 {
        let place = Place::new(Transport::Inproc);
        let mut dice = Dice(seed);
        let names: Vec<_> = (0..3).map(|_| place.address()).collect();
        let mut pulls: Vec<Socket<Pull>> = (0..3).map(|_| place.open()).collect();
        let mut pushes: Vec<Socket<Push>> = (0..3).map(|_| place.open()).collect();
        // Pull i binds name i; pushes connect to names at random; in a random order, with sends in between.
        let mut steps: Vec<(bool, usize, usize)> = (0..3).map(|pull| (true, pull, pull)).collect();
        steps.extend((0..9).map(|edge| (false, edge / 3, edge % 3)).filter(|_| dice.roll(2) == 0));
        let mut sent = 0;
        while !steps.is_empty() {
            let (is_bind, socket, name) = steps.swap_remove(dice.roll(steps.len()));
            if is_bind {
                pulls[socket].bind(&names[name]).unwrap();
            } else {
                pushes[socket].connect(&names[name]).unwrap();
            }
            for push in &mut pushes {
                sent += u32::from(push.try_send(&numbered(sent)).is_ok());
            }
        }
        let mut seen = vec![false; sent as usize];
        eventually("every message is here", || {
            for pull in &mut pulls {
                while let Ok(message) = pull.try_recv() {
                    let seen = &mut seen[number_of(&message) as usize];
                    assert!(!*seen, "seed {seed}: twice");
                    *seen = true;
                }
            }
            seen.iter().all(|seen| *seen)
        });
    }
}

#[test]
fn threads_that_bind_connect_send_and_drop_at_once_agree() {
    // real threads; whatever is received is whole, and received once, in order.
    let place = Place::new(Transport::Inproc);
    let name = place.address();
    for _ in 0..200 {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut push: Socket<Push> = place.connected(&name);
                for number in 0..50 {
                    if push.try_send(&numbered(number)).is_err() {
                        break;
                    }
                }
            });
            scope.spawn(|| {
                let mut pull: Socket<Pull> = place.open();
                pull.bind(&name).unwrap();
                let first = number_of(&recv(&mut pull));
                let mut next = first + 1;
                while let Ok(message) = pull.try_recv() {
                    assert_eq!(number_of(&message), next);
                    next += 1;
                }
            });
        });
        // What nobody took is waiting under the name: the next round must begin without it.
        let mut last: Socket<Pull> = place.open();
        last.bind(&name).unwrap();
        while last.try_recv().is_ok() {}
    }
}
