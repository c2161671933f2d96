//! Who gets a message, and whose message comes next.

use super::conservation::{attend, until_peers};
use super::*;
use crate::{KernelBuffer, Pair, RecvError, SendError};

const PEERS: usize = 5;
const ROUNDS: usize = 100;

/// Tq6: p ready peers, k·p sends, each gets exactly k.
fn each_gets_its_share<S: Sends, R: Receives>(push: &mut Socket<S>, pulls: &mut [Socket<R>]) {
    for number in 0..u32::try_from(PEERS * ROUNDS).unwrap() {
        send(push, &numbered(number));
    }
    for pull in pulls {
        let mine: Vec<u32> = (0..ROUNDS).map(|_| number_of(&recv(pull))).collect();
        let step = u32::try_from(PEERS).unwrap();
        assert!(mine.windows(2).all(|pair| pair[1] == pair[0] + step), "{mine:?}");
        assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    }
}

/// Tq6, with peers that `S` connects to.
pub(super) fn those_connected_to_are_served_in_turn<S: Sends, R: Receives>(place: &Place) {
    let mut push: Socket<S> = place.open();
    let mut pulls: Vec<_> = (0..PEERS)
        .map(|_| {
            let (pull, endpoint) = place.bound::<R>();
            push.connect(&endpoint).unwrap();
            pull
        })
        .collect();
    each_gets_its_share(&mut push, &mut pulls);
}

#[test]
fn push_serves_the_peers_that_it_connected_to_in_turn() {
    // L-03, Tq6
    over(ALL, those_connected_to_are_served_in_turn::<Push, Pull>);
}

/// Tq6, with peers that connect to `S`.
pub(super) fn those_that_connected_are_served_in_turn<S: Sends, R: Receives>(place: &Place) {
    let (mut push, endpoint) = place.bound::<S>();
    let mut pulls: Vec<_> = (0..PEERS).map(|_| place.connected::<R>(&endpoint)).collect();
    settle(&mut push, &mut pulls);
    each_gets_its_share(&mut push, &mut pulls);
}

#[test]
fn push_serves_the_peers_that_connected_to_it_in_turn() {
    // L-03, Tq6
    over(ALL, those_that_connected_are_served_in_turn::<Push, Pull>);
}

/// "SHALL consider a peer as available only when it has a outgoing queue that is not full."
pub(super) fn a_stalled_peer_is_skipped<S: Sends, R: Receives>(place: &Place) {
    let small = KernelBuffer::octets(64 * 1024).unwrap();
    let mut push: Socket<S> = place.builder().send_hwm(10).send_buffer(small).open().unwrap();
    let mut pulls = Vec::new();
    for _ in 0..2 {
        let mut pull: Socket<R> = place.builder().recv_hwm(10).recv_buffer(small).open().unwrap();
        push.connect(pull.bind(place.address()).unwrap()).unwrap();
        pulls.push(pull);
    }
    let body = Message::from(vec![1; LARGE]);
    let accepted = fill(&mut push, &body);
    let [stalled, lively] = &mut pulls[..] else { unreachable!("two were made") };
    let (mut from_stalled, mut from_lively) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            // It held 20 at least: more than may be free before a queue tells that it has room.
            for _ in 0..515 {
                recv(lively);
                from_lively += 1;
            }
        });
        for _ in 0..500 {
            send(&mut push, &body);
        }
    });
    eventually("everything accepted is delivered", || {
        from_lively += u64::from(lively.try_recv().is_ok());
        from_stalled += u64::from(stalled.try_recv().is_ok());
        from_lively + from_stalled == accepted + 500
    });
    assert!(from_stalled <= accepted - 20, "{from_stalled} of {accepted}");
}

#[test]
fn push_skips_a_stalled_peer() {
    // Promise 7, L-03
    over(ALL, a_stalled_peer_is_skipped::<Push, Pull>);
}

/// Tq5: p peers each with a full queue, over k·p receives every peer is served k ± 1.
pub(super) fn peers_are_received_from_in_turn<S: Sends, R: Receives>(place: &Place) {
    let rounds = u32::try_from(ROUNDS).unwrap();
    let mut pull: Socket<R> = place.builder().recv_hwm(rounds + 1).open().unwrap();
    let endpoint = pull.bind(place.address()).unwrap();
    let small = KernelBuffer::octets(16 * 1024).unwrap();
    let mut pushes: Vec<Socket<S>> =
        (0..PEERS).map(|_| place.builder().send_hwm(1).send_buffer(small).open().unwrap()).collect();
    thread::scope(|scope| {
        for (peer, push) in (0..).zip(&mut pushes) {
            push.connect(&endpoint).unwrap();
            scope.spawn(move || fill(push, &Message::from([numbered(peer).to_vec(), vec![0; LARGE]])));
        }
    });
    let mut served = [0_usize; PEERS];
    for _ in 0..PEERS * ROUNDS {
        served[number_of(&recv(&mut pull)) as usize] += 1;
    }
    assert!(served.iter().all(|count| count.abs_diff(ROUNDS) <= 1), "{served:?}");
}

#[test]
fn pull_takes_from_its_peers_in_turn() {
    // Promise 7, L-08, Tq5
    over(ALL, peers_are_received_from_in_turn::<Push, Pull>);
}

#[test]
fn whoever_is_quiet_does_not_wait_behind_one_that_floods() {
    // Promise 7: in places of the queue, of which a flood of any size takes one in each round.
    const QUIET: usize = 63;
    over(ALL, |place| {
        let (mut pull, endpoint) = place.bound::<Pull>();
        let mut flood: Socket<Push> = place.connected(&endpoint);
        let mut quiet: Vec<Socket<Push>> = (0..QUIET).map(|_| place.connected(&endpoint)).collect();
        until_peers(&mut pull, 1 + QUIET, 1 + QUIET);
        for _ in 0..500 {
            send(&mut flood, "flood");
        }
        quiet.iter_mut().for_each(|push| send(push, "quiet"));
        eventually("everything has come", || {
            attend(&mut pull);
            let pipes = &mut pull.core.pipes;
            let keys = pipes.keys().into_iter();
            let come: Vec<u64> =
                keys.map(|key| pipes.get_mut(key).map_or(0, |pipe| pipe.inbound.unread())).collect();
            come.iter().sum::<u64>() == 500 + QUIET as u64 && come.iter().all(|come| *come > 0)
        });
        // One round, and one place for where it begins.
        let heard = (0..QUIET + 2).filter(|_| recv(&mut pull) == "quiet").count();
        assert_eq!(heard, QUIET);
    });
}

pub(super) fn without_a_peer_the_message_is_handed_back<S: Sends>(place: &Place) {
    let mut sender: Socket<S> = place.open();
    for _ in 0..2 {
        let large = Message::from([vec![1; 100_000], vec![], b"tail".to_vec()]);
        let unsent = sender.try_send(large.clone()).unwrap_err();
        assert_eq!((unsent.error, unsent.message.as_ref()), (SendError::WouldBlock, Some(&large)));
        // Lent, and not given away.
        let unsent = sender.send_timeout(&large, Duration::from_millis(5)).unwrap_err();
        assert_eq!((unsent.error, unsent.message), (SendError::WouldBlock, None));
        assert_eq!(sender.try_send("slice").unwrap_err().message, None);
        assert_eq!(sender.try_send(vec![7; 9000]).unwrap_err().message, Some(vec![7; 9000].into()));
        // Bound, and still without a peer.
        sender.bind(place.address()).unwrap();
    }
}

#[test]
fn push_without_peers_hands_the_message_back() {
    // L-04, L-05
    over(ALL, without_a_peer_the_message_is_handed_back::<Push>);
}

#[test]
fn pair_without_a_peer_hands_the_message_back() {
    // L-12
    over(ALL, without_a_peer_the_message_is_handed_back::<Pair>);
}

#[test]
fn a_full_queue_hands_the_message_back_whole() {
    // L-04, L-05, L-12
    over(ALL, |place| {
        let mut push: Socket<Push> = place.builder().send_hwm(1).open().unwrap();
        push.connect(place.address()).unwrap();
        push.try_send("queued").unwrap();
        let parts: Vec<crate::Frame> = (0..300_u32).map(|part| numbered(part).to_vec().into()).collect();
        let message = Message::from(parts);
        assert_eq!(push.try_send(message.clone()).unwrap_err().message, Some(message));
        let large = Message::from(vec![3; 5 << 20]);
        let start = large.body().as_ptr();
        let back = push.try_send(large).unwrap_err().message.unwrap();
        assert_eq!((back.size(), back.body().as_ptr()), (5 << 20, start));
    });
}

#[test]
fn a_send_that_waits_goes_on_with_the_first_peer() {
    // L-04
    over(ALL, |place| {
        let (mut push, endpoint) = place.bound::<Push>();
        thread::scope(|scope| {
            scope.spawn(|| send(&mut push, "waited for a peer"));
            let mut pull: Socket<Pull> = place.connected(&endpoint);
            assert_eq!(recv(&mut pull), "waited for a peer");
        });
    });
}
