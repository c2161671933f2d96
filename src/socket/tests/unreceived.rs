//! What has come and is not received before its connection is let go is counted, and what conflating sockets
//! have sent is in the books as well.

use super::conservation::{OCTETS, attend, conserve, narrow};
use super::ledger::{Figures, Ledger};
use super::*;
use crate::limits::VISITORS_TOLD_MAX;
use crate::pipe::Pipe;
use crate::{
    CloseReason, CloseReport, ConnectionState, Dealer, Dropped, Outgoing, Pair, RecvError, Router,
    RouterNotify, Sub, XPub, XSub,
};

/// More than one segment of a pipe holds, and of every shape: in parts, and by reference.
fn shape(number: u32) -> Message {
    let octets = [0, 1, 300, 5000, 40_000][number as usize % 5];
    let parts = 1 + number as usize % 3;
    Message::from_frames((0..parts).map(|_| [&numbered(number)[..], &vec![7; octets]].concat())).unwrap()
}

const MANY: u32 = 300;

/// A socket to which [`MANY`] messages have come, of which it has received so many, and who sent them.
fn come_to<S: Sends, R: Receives>(
    place: &Place,
    received: u32,
    binds: bool,
) -> (Socket<S>, Socket<R>, Endpoint) {
    let (mut sender, mut receiver) = (place.open::<S>(), place.open::<R>());
    let endpoint = place.address();
    if binds {
        receiver.bind(&endpoint).unwrap();
        sender.connect(&endpoint).unwrap();
    } else {
        sender.bind(&endpoint).unwrap();
        receiver.connect(&endpoint).unwrap();
    }
    for number in 0..MANY {
        send(&mut sender, shape(number));
    }
    for number in 0..received {
        assert_eq!(recv(&mut receiver), shape(number));
    }
    eventually("all have come", || {
        attend(&mut receiver);
        let keys = receiver.core.pipes.keys();
        let pipes = keys.into_iter().filter_map(|key| receiver.core.pipes.get_mut(key).map(Pipe::unreceived));
        pipes.sum::<u64>() == u64::from(MANY - received)
    });
    (sender, receiver, endpoint)
}

/// A sender, which stays, hears how much of what it handed over was not received.
fn is_told_of<S: Sends>(sender: &mut Socket<S>, unread: u64) {
    eventually("its receiver is gone", || {
        attend(sender);
        let Outgoing { handed_over, unread: told, .. } = sender.outgoing();
        (handed_over, told) == (MANY.into(), unread)
    });
    assert_eq!(sender.stats().total.outgoing, sender.outgoing());
}

fn what_is_not_received_is_counted<S: Sends, R: Receives>(place: &Place) {
    for received in [0, 1, MANY / 2, MANY - 1, MANY] {
        let left = u64::from(MANY - received);
        let (mut sender, mut receiver, endpoint) = come_to::<S, R>(place, received, false);
        assert_eq!(receiver.dropped(), Dropped::default());
        receiver.disconnect(&endpoint).unwrap();
        assert_eq!(receiver.dropped(), Dropped { unreceived: left, ..Dropped::default() });
        is_told_of(&mut sender, left);
        for binds in [false, true] {
            let (mut sender, receiver, _) = come_to::<S, R>(place, received, binds);
            let report = receiver.close(Duration::ZERO);
            assert_eq!(report, CloseReport { unreceived: left, ..CloseReport::default() });
            is_told_of(&mut sender, left);
        }
    }
}

#[test]
fn what_has_come_and_is_not_received_is_counted_when_its_peer_is_let_go() {
    // Promise 4: the loss counter is exact.
    over(WIRES, what_is_not_received_is_counted::<Push, Pull>);
    over(WIRES, what_is_not_received_is_counted::<Pair, Pair>);
    over(WIRES, what_is_not_received_is_counted::<Dealer, Dealer>);
}

#[test]
fn what_came_from_a_peer_that_nobody_has_looked_at_is_counted() {
    over(WIRES, |place| {
        let (pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.connected(&endpoint);
        eventually("it is connected", || pull.peers().len() == 1);
        for number in 0..MANY {
            send(&mut push, shape(number));
        }
        assert_eq!(push.close(PATIENCE).dropped, 0);
        // It has gone behind all that it has sent.
        eventually("it is gone", || pull.peers().is_empty());
        assert_eq!(pull.close(Duration::ZERO).unreceived, MANY.into());
    });
}

#[test]
fn peers_that_nobody_has_looked_at_are_forgotten_but_not_what_they_sent() {
    // B-26: while nobody calls the socket, more come and go than are let gather.
    over(WIRES, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        for number in 0..100 {
            let mut push: Socket<Push> = place.context.open().unwrap();
            push.connect(&endpoint).unwrap();
            eventually("it has come", || pull.peers().len() == 1);
            if number % 10 == 0 {
                send(&mut push, &numbered(number));
            }
            assert_eq!(push.close(PATIENCE).dropped, 0);
            eventually("it is gone", || pull.peers().is_empty());
        }
        let mut mail = Vec::new();
        pull.core.mailbox.take(&mut mail);
        assert!(mail.len() < 100, "{}", mail.len());
        mail.into_iter().for_each(|item| pull.core.mailbox.post(item));
        for number in (0..100).step_by(10) {
            assert_eq!(number_of(&recv(&mut pull)), number);
        }
        // The last one's connection may be over a moment before its end of the pipe is gone.
        eventually("nobody is remembered", || {
            assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
            pull.core.peers.is_empty()
        });
    });
}

#[test]
fn who_tells_of_peers_tells_of_those_that_came_and_went_before_anybody_looked() {
    over(WIRES, |place| {
        let mut router: Socket<Router> = place.builder().router_notify(RouterNotify::BOTH).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap().into();
        for _ in 0..100 {
            let dealer: Socket<Dealer> = place.connected(&endpoint);
            eventually("it has come", || router.peers().len() == 1);
            drop(dealer);
            eventually("it is gone", || router.peers().is_empty());
        }
        for _ in 0..200 {
            assert_eq!(router.recv_timeout(PATIENCE).unwrap().1, Message::new());
        }
        assert_eq!(router.try_recv(), Err(RecvError::WouldBlock));
    });
}

#[test]
fn who_tells_of_peers_tells_of_so_many_visitors_and_no_more() {
    // B-26: of those that come and go while nobody calls the socket.
    let place = Place::new(Transport::Ipc);
    let mut router: Socket<Router> = place.builder().router_notify(RouterNotify::BOTH).open().unwrap();
    let endpoint = router.bind(place.address()).unwrap().into();
    let visit = || {
        let dealer: Socket<Dealer> = place.connected(&endpoint);
        eventually("it has come", || router.peers().len() == 1);
        drop(dealer);
        eventually("it is gone", || router.peers().is_empty());
    };
    (0..3 * VISITORS_TOLD_MAX).for_each(|_| visit());
    let mut mail = Vec::new();
    router.core.mailbox.take(&mut mail);
    // A pipe, and that it is over.
    assert!(mail.len() <= 4 * VISITORS_TOLD_MAX + 2, "{}", mail.len());
    mail.into_iter().for_each(|item| router.core.mailbox.post(item));
    let told = std::iter::from_fn(|| router.try_recv().ok()).count();
    assert!((2 * VISITORS_TOLD_MAX..=4 * VISITORS_TOLD_MAX).contains(&told), "{told}");
    assert!(router.core.peers.is_empty(), "nobody is remembered");
}

#[test]
fn a_peer_that_is_asked_to_go_over_and_over_is_asked_once() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let _push: Socket<Push> = place.connected(&endpoint);
    for _ in 0..1000 {
        pull.peers().iter().for_each(|peer| peer.close(CloseReason::Dismissed));
    }
    let mut mail = Vec::new();
    pull.core.mailbox.take(&mut mail);
    assert!(mail.len() <= 3, "{}", mail.len());
    mail.into_iter().for_each(|item| pull.core.mailbox.post(item));
    assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    assert!(pull.peers().is_empty());
}

#[test]
fn what_the_sender_counts_as_lost_is_not_counted_again() {
    let place = Place::new(Transport::Inproc);
    let (mut pull, endpoint) = place.bound::<Pull>();
    let mut push: Socket<Push> = place.connected(&endpoint);
    for number in 0..10 {
        send(&mut push, &numbered(number));
    }
    recv(&mut pull);
    assert_eq!(pull.close(Duration::ZERO), CloseReport::default());
    assert_eq!(push.outgoing(), Outgoing { handed_over: 1, lost: 9, ..Outgoing::default() });
}

#[test]
fn what_an_xpub_was_sent_and_has_not_received_is_counted_without_subscriptions() {
    // S-22: one of its messages is outside of the queue.
    over(WIRES, |place| {
        let (mut xpub, endpoint) = place.bound::<XPub>();
        let mut xsub: Socket<XSub> = place.connected(&endpoint);
        for topic in ["a", "b", "c"] {
            xsub.subscribe(topic).unwrap();
        }
        eventually("it is known", || xpub.topic_count() == 3);
        for _ in 0..5 {
            send(&mut xsub, "upstream");
        }
        xsub.subscribe("behind").unwrap();
        eventually("all have come", || {
            attend(&mut xpub);
            let keys = xpub.core.pipes.keys();
            let pipes = keys.into_iter().filter_map(|key| xpub.core.pipes.get_mut(key).map(Pipe::unreceived));
            pipes.sum::<u64>() == 4
        });
        assert_eq!(xpub.close(Duration::ZERO).unreceived, 5);
    });
}

#[test]
fn what_a_conflating_socket_sends_is_in_the_books() {
    //
    over(ALL, |place| {
        let mut push = place.builder::<Push>().conflate(true).open().unwrap();
        let endpoint = place.address();
        push.connect(&endpoint).unwrap();
        assert_eq!(push.outgoing(), Outgoing::default());
        for number in 0..1000 {
            push.try_send(&numbered(number)).unwrap();
        }
        let queued = Outgoing { queued: 1, ..Outgoing::default() };
        assert_eq!((push.outgoing(), push.dropped().replaced), (queued, 999));
        let mut pull: Socket<Pull> = place.open();
        pull.bind(&endpoint).unwrap();
        assert_eq!(number_of(&recv(&mut pull)), 999);
        let handed_over = Outgoing { handed_over: 1, ..Outgoing::default() };
        eventually("the count follows", || push.outgoing() == handed_over);
        assert_eq!(push.dropped().replaced, 999);
        // Also when it is let go, and what is left for nobody.
        push.disconnect(&endpoint).unwrap();
        assert_eq!((push.outgoing(), push.dropped().replaced), (handed_over, 999));
        push.connect(place.address()).unwrap();
        push.try_send("nobody is there").unwrap();
        let report = push.close(Duration::ZERO);
        let dropped = u64::from(place.transport != Transport::Inproc);
        assert_eq!((report.flushed, report.dropped), (1 - dropped, dropped));
    });
}

#[test]
fn a_close_waits_for_the_latest_message() {
    over(WIRES, |place| {
        let mut push = place.builder::<Push>().conflate(true).open().unwrap();
        let endpoint = place.address();
        let connection = push.connect(&endpoint).unwrap();
        for number in 0..10 {
            push.try_send(&numbered(number)).unwrap();
        }
        thread::scope(|scope| {
            let closing = scope.spawn(move || push.close(PATIENCE));
            // It has counted what is queued, and nobody is there who could have taken it before.
            eventually("the close has begun", || connection.state() == ConnectionState::Closed);
            let mut pull: Socket<Pull> = place.open();
            pull.bind(&endpoint).unwrap();
            assert_eq!(number_of(&recv(&mut pull)), 9);
            assert_eq!(closing.join().unwrap(), CloseReport { flushed: 1, ..CloseReport::default() });
        });
    });
}

#[test]
fn the_latest_message_that_a_conflating_receiver_leaves_is_counted() {
    over(WIRES, |place| {
        let mut sub = place.builder::<Sub>().conflate(true).open().unwrap();
        let (mut publisher, endpoint) = place.bound::<XPub>();
        sub.connect(&endpoint).unwrap();
        sub.subscribe("").unwrap();
        publisher.wait_for_subscribers(1, PATIENCE).unwrap();
        for number in 0..100 {
            publisher.send(&numbered(number)).unwrap();
        }
        eventually("all have come", || sub.dropped().replaced == 99);
        sub.disconnect(&endpoint).unwrap();
        assert_eq!(sub.dropped(), Dropped { replaced: 99, unreceived: 1, ..Dropped::default() });
    });
}

/// One sender that conflates, and receivers of which some do, that come and go.
fn conflating_sender(place: &Place, seed: u64) -> Figures {
    let (mut ledger, mut dice) = (Ledger::new(seed), Dice(seed * 0x9E37_79B9));
    let mut push: Socket<Push> = narrow(place).conflate(true).open().unwrap();
    let endpoint = push.bind(place.address()).unwrap();
    let mut pulls: Vec<(u32, Socket<Pull>)> = Vec::new();
    let mut cut_at_most = 0;
    let (mut replaced, mut came) = (0, 0);
    for _ in 0..60 {
        match dice.roll(6) {
            0 if pulls.len() < 3 => {
                came += 1;
                let mut pull: Socket<Pull> = narrow(place).conflate(dice.roll(2) == 0).open().unwrap();
                pull.connect(&endpoint).unwrap();
                pulls.push((came, pull));
                eventually("it has come", || {
                    attend(&mut push);
                    push.core.pipes.iter().count() == pulls.len()
                });
            }
            1 if !pulls.is_empty() => {
                cut_at_most += ledger.missing();
                let (_, pull) = pulls.swap_remove(dice.roll(pulls.len()));
                replaced += pull.dropped().replaced;
                ledger.figures.unreceived += pull.close(Duration::ZERO).unreceived;
                ledger.figures.left += 1;
                eventually("it has left", || {
                    attend(&mut push);
                    push.core.pipes.iter().count() == pulls.len()
                });
            }
            2 | 3 => {
                for _ in 0..dice.roll(40) {
                    if push.try_send(ledger.next(0, dice.roll(OCTETS))).is_ok() {
                        ledger.accepted(0, 1);
                    }
                }
            }
            _ => {
                for (id, pull) in &mut pulls {
                    while let Ok(message) = pull.try_recv() {
                        ledger.delivered(*id, &message);
                    }
                }
            }
        }
        let sent = push.outgoing().accepted() + push.dropped().replaced;
        assert_eq!(sent, ledger.figures.accepted, "seed {seed}");
    }
    let mut receive_all = |ledger: &mut Ledger| {
        for (id, pull) in &mut pulls {
            while let Ok(message) = pull.try_recv() {
                ledger.delivered(*id, &message);
            }
        }
        pulls.iter().all(|(_, pull)| pull.peers().is_empty())
    };
    eventually("nothing is queued", || {
        receive_all(&mut ledger);
        attend(&mut push);
        push.outgoing().queued == 0
    });
    let outgoing = push.outgoing();
    let dropped = push.dropped().replaced;
    assert_eq!(push.close(PATIENCE).dropped, 0);
    eventually("the sender is gone", || receive_all(&mut ledger));
    receive_all(&mut ledger);
    replaced += pulls.iter().map(|(_, pull)| pull.dropped().replaced).sum::<u64>();
    let figures = &mut ledger.figures;
    figures.came = came.into();
    figures.dropped = dropped + replaced;
    figures.lost = outgoing.lost;
    figures.cut = outgoing.handed_over - figures.delivered - figures.unreceived - replaced;
    assert!(figures.cut <= if place.transport == Transport::Inproc { 0 } else { cut_at_most }, "seed {seed}");
    *figures
}

#[test]
fn a_conflating_push_conserves_while_receivers_come_and_go() {
    conserve("PUSH, conflating", 6, conflating_sender);
}
