//! `conflate`: the latest message in the place of a queue.

use std::collections::BTreeSet;

use super::*;
use crate::{Dealer, Pub, Rep, Router, Sub, Subscribes, XPub, XSub};

/// Which of two sockets conflates. The one may without the other, as its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Both,
    Receiver,
    Sender,
}

const SIDES: &[Side] = &[Side::Both, Side::Receiver, Side::Sender];

/// What two types do with each other that is not the same for all.
struct Exchange<S: Sends, R: Pattern> {
    sides: &'static [Side],
    /// Every receiver gets every message; else they take turns.
    is_to_all: bool,
    /// Before the sender is connected, and when it is, to so many.
    prepare: fn(&mut Socket<R>),
    await_peers: fn(&mut Socket<S>, usize),
    recv: fn(&mut Socket<R>) -> Message,
}

impl<S: Sends, R: Pattern> Exchange<S, R> {
    fn new(sides: &'static [Side], recv: fn(&mut Socket<R>) -> Message) -> Self {
        Self { sides, is_to_all: false, prepare: |_| {}, await_peers: |_, _| {}, recv }
    }

    fn builder<P: Pattern>(place: &Place, conflates: bool) -> Builder<P> {
        place.builder().conflate(conflates)
    }

    /// Each receiver hears from each sender: whole messages, in order, none twice, and the last of all.
    fn check(&self, place: &Place) {
        for &side in self.sides {
            for (senders, receivers) in [(1, 1), (1, 3), (3, 1)] {
                self.check_among(place, side, senders, receivers);
            }
        }
    }

    fn check_among(&self, place: &Place, side: Side, senders: usize, receivers: usize) {
        let count = 300 * receivers;
        let what = format!("{:?} {side:?} {senders} {receivers}", place.transport);
        let mut from = Vec::new();
        from.resize_with(senders, || Self::builder::<S>(place, side != Side::Receiver).open().unwrap());
        let mut to = Vec::new();
        for _ in 0..receivers {
            let mut receiver = Self::builder::<R>(place, side != Side::Sender).open().unwrap();
            (self.prepare)(&mut receiver);
            let endpoint = receiver.bind(place.address()).unwrap();
            from.iter_mut().for_each(|sender| drop(sender.connect(&endpoint).unwrap()));
            to.push(receiver);
        }
        from.iter_mut().for_each(|sender| (self.await_peers)(sender, receivers));
        for number in 0..count {
            for (at, sender) in from.iter_mut().enumerate() {
                send(sender, Message::from([format!("{number} {at}"), "x".repeat(number)]));
            }
        }
        let mut last_of_all = BTreeSet::new();
        for receiver in &mut to {
            let mut last = vec![None; senders];
            let is_last = |last: &Option<usize>| {
                last.is_some_and(|last| last >= count - if self.is_to_all { 1 } else { receivers })
            };
            while !last.iter().all(is_last) {
                let message = (self.recv)(receiver);
                let (number, at) = message.to_str().unwrap().split_once(' ').unwrap();
                let (number, at): (usize, usize) = (number.parse().unwrap(), at.parse().unwrap());
                assert_eq!(message.frame_count(), 2, "{what}");
                assert_eq!(message.frame(1).unwrap().len(), number, "{what}");
                assert!(last[at] < Some(number), "{what}: {number} after {:?}", last[at]);
                last[at] = Some(number);
            }
            last_of_all.extend(last);
        }
        assert_eq!(last_of_all.len(), if self.is_to_all { 1 } else { receivers }, "{what}");
    }
}

fn from_publisher<S: crate::Publishes, R: Subscribes>(sides: &'static [Side]) -> Exchange<S, R> {
    Exchange {
        is_to_all: true,
        prepare: |receiver| receiver.subscribe("").unwrap(),
        await_peers: |sender, count| sender.wait_for_subscribers(count, PATIENCE).unwrap(),
        ..Exchange::new(sides, recv)
    }
}

#[test]
fn whoever_conflates_the_last_message_arrives_whole() {
    over(ALL, |place| Exchange::<Push, Pull>::new(SIDES, recv).check(place));
    over(ALL, |place| Exchange::<Dealer, Dealer>::new(SIDES, recv).check(place));
    over(ALL, |place| {
        let recv = |router: &mut Socket<Router>| router.recv_timeout(PATIENCE).unwrap().1;
        Exchange::<Dealer, Router>::new(&[Side::Sender], recv).check(place);
    });
}

#[test]
fn whoever_of_publisher_and_subscriber_conflates_the_last_message_arrives_whole() {
    over(ALL, |place| from_publisher::<Pub, Sub>(SIDES).check(place));
    over(ALL, |place| from_publisher::<XPub, Sub>(&[Side::Receiver]).check(place));
    over(ALL, |place| from_publisher::<Pub, XSub>(&[Side::Sender]).check(place));
}

#[test]
fn a_publisher_that_drops_nothing_has_room_for_a_subscriber_that_conflates() {
    over(ALL, |place| {
        let mut publisher = place.builder::<XPub>().xpub_nodrop(true).open().unwrap();
        let endpoint = publisher.bind(place.address()).unwrap();
        let mut subscriber = place.builder::<Sub>().conflate(true).open().unwrap();
        subscriber.subscribe("").unwrap();
        subscriber.connect(&endpoint).unwrap();
        assert_eq!(recv(&mut publisher), b"\x01");
        for number in 0..2000 {
            send(&mut publisher, &numbered(number));
        }
        while number_of(&recv(&mut subscriber)) != 1999 {}
    });
}

#[test]
fn a_router_answers_a_dealer_that_conflates() {
    over(ALL, |place| {
        let mut router = place.builder::<Router>().send_hwm(0).open().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        let mut dealer = place.builder::<Dealer>().conflate(true).open().unwrap();
        dealer.connect(&endpoint).unwrap();
        send(&mut dealer, Message::from(["a question", "of two"]));
        let (from, question) = router.recv_timeout(PATIENCE).unwrap();
        assert_eq!(question, ["a question", "of two"]);
        for number in 0..2000 {
            router.send_to_timeout(&from, &numbered(number), PATIENCE).unwrap();
        }
        while number_of(&recv(&mut dealer)) != 1999 {}
    });
}

#[test]
fn envelopes_pass_between_a_rep_and_a_dealer_that_conflates() {
    over(ALL, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut dealer = place.builder::<Dealer>().conflate(true).open().unwrap();
        dealer.connect(&endpoint).unwrap();
        for round in 0..10 {
            let text = format!("{round}");
            send(&mut dealer, Message::from(["back", "", &text, "of two"]));
            let request = rep.recv_timeout(PATIENCE).unwrap();
            assert_eq!(request.message(), &Message::from([&*text, "of two"]));
            request.reply(["so", "it is"]).unwrap();
            assert_eq!(recv(&mut dealer), ["back", "", "so", "it is"]);
        }
        send(&mut dealer, "without an envelope");
        send(&mut dealer, Message::from(["", "last"]));
        assert_eq!(rep.recv_timeout(PATIENCE).unwrap().message(), &Message::from("last"));
    });
}

#[test]
fn what_takes_the_place_of_a_request_is_looked_at_anew() {
    over(ALL, |place| {
        let (mut rep, endpoint) = place.bound::<Rep>();
        let mut dealer = place.builder::<Dealer>().conflate(true).open().unwrap();
        dealer.connect(&endpoint).unwrap();
        for request in ["a", "b"] {
            send(&mut dealer, Message::from(["", request]));
            eventually("there is a request", || rep.readiness().is_readable());
            assert!(rep.readiness().is_readable());
            if place.transport == Transport::Inproc {
                send(&mut dealer, "no request");
                assert!(!rep.readiness().is_readable());
                send(&mut dealer, Message::from(["", request]));
            }
            let asked = rep.recv_timeout(PATIENCE).unwrap();
            assert_eq!(asked.message(), request);
            asked.reply("").unwrap();
        }
    });
}

#[test]
fn as_many_parts_as_a_peer_takes_pass_between_a_rep_and_a_dealer_that_conflates() {
    const PARTS: usize = crate::limits::PARTS_MAX as usize;
    let place = Place::new(Transport::Inproc);
    let (mut rep, endpoint) = place.bound::<Rep>();
    let mut dealer = place.builder::<Dealer>().conflate(true).open().unwrap();
    dealer.connect(&endpoint).unwrap();
    for in_front in [PARTS / 2, PARTS - 2] {
        let frames = (0..PARTS).map(|at| if at == in_front { "" } else { "x" });
        send(&mut dealer, Message::from_frames(frames).unwrap());
        let request = rep.recv_timeout(PATIENCE).unwrap();
        assert_eq!(request.message().frame_count(), PARTS - in_front - 1);
        let reply = request.message().clone();
        request.reply(reply).unwrap();
        let answer = recv(&mut dealer);
        assert_eq!(answer.frame_count(), PARTS);
        let empty: Vec<usize> = (0..PARTS).filter(|at| answer.frame(*at).unwrap().is_empty()).collect();
        assert_eq!(empty, [in_front]);
    }
}

#[test]
fn a_conflating_sender_keeps_the_latest_whole_message_for_a_peer_that_comes_late() {
    over(ALL, |place| {
        let mut push = place.builder::<Push>().conflate(true).open().unwrap();
        let endpoint = place.address();
        push.connect(&endpoint).unwrap();
        for number in 0..5000 {
            // Never full, and never half a message.
            push.try_send([format!("{number}"), "x".repeat(number)]).unwrap();
        }
        let mut pull: Socket<Pull> = place.open();
        pull.bind(&endpoint).unwrap();
        let mut last = Message::new();
        while last.body() != b"4999" {
            last = pull.recv_timeout(PATIENCE).unwrap();
            let number: usize = last.to_str().unwrap().parse().unwrap();
            assert_eq!(last.frame(1).unwrap().len(), number);
        }
        assert!(pull.try_recv().is_err());
    });
}

#[test]
fn a_conflating_receiver_has_the_latest_and_never_stops_the_sender() {
    over(ALL, |place| {
        let mut pull = place.builder::<Pull>().conflate(true).recv_hwm(10).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        let mut push = place.connected::<Push>(&endpoint);
        for number in 0..20_000_u32 {
            push.send_timeout(&number.to_be_bytes(), PATIENCE).unwrap();
        }
        let mut numbers = Vec::new();
        while numbers.last() != Some(&19_999) {
            let message = pull.recv_timeout(PATIENCE).unwrap();
            numbers.push(u32::from_be_bytes(message.body().try_into().unwrap()));
        }
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
        // What comes when everything was taken is not lost.
        push.send("more").unwrap();
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap(), "more");
    });
}

#[test]
fn what_is_larger_than_a_conflating_peer_takes_does_not_take_the_place_of_the_latest() {
    // Over a wire it would end the connection; over inproc the sender knows.
    const LONG: &str = "more than ten octets";
    let place = Place::new(Transport::Inproc);
    let mut pull = place.builder::<Pull>().conflate(true).max_message_size(10).open().unwrap();
    let mut push: Socket<Push> = place.connected(&pull.bind(place.address()).unwrap());
    push.send("fits").unwrap();
    assert_eq!(push.send(LONG).unwrap_err().error, SendError::TooLarge);
    assert_eq!(recv(&mut pull), "fits");

    let mut sub = place.builder::<Sub>().conflate(true).max_message_size(10).open().unwrap();
    sub.subscribe("").unwrap();
    let mut publisher: Socket<Pub> = place.connected(&sub.bind(place.address()).unwrap());
    publisher.wait_for_subscribers(1, PATIENCE).unwrap();
    publisher.send("fits").unwrap();
    publisher.send(LONG).unwrap();
    assert_eq!(recv(&mut sub), "fits");
    assert_eq!(publisher.dropped().total(), 1);
}

#[test]
fn the_latest_message_outlives_its_sender() {
    over(ALL, |place| {
        let mut pull = place.builder::<Pull>().conflate(true).open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        for round in 0..10 {
            let mut push = place.context.builder_for::<Push>().conflate(true).open().unwrap();
            push.connect(&endpoint).unwrap();
            push.send(format!("{round}")).unwrap();
            drop(push);
            assert_eq!(pull.recv_timeout(PATIENCE).unwrap(), format!("{round}"));
        }
    });
}

#[test]
fn a_receiver_that_binds_an_inproc_name_late_finds_a_queue_and_loses_nothing_of_it() {
    // As `Options::conflate` says: the sender may be full in another thread by then.
    let place = Place::new(Transport::Inproc);
    let endpoint = place.address();
    let mut push: Socket<Push> = place.connected(&endpoint);
    for number in 0..500 {
        push.try_send(&numbered(number)).unwrap();
    }
    let mut pull = place.builder::<Pull>().conflate(true).open().unwrap();
    pull.bind(&endpoint).unwrap();
    for number in 500..1000 {
        push.try_send(&numbered(number)).unwrap();
    }
    for number in 0..1000 {
        assert_eq!(number_of(&recv(&mut pull)), number);
    }
    assert_eq!((push.dropped().total(), pull.dropped().total()), (0, 0));
    // Who connects after the bind knows that the receiver conflates.
    let mut next: Socket<Push> = place.connected(&endpoint);
    for number in 0..3 {
        send(&mut next, &numbered(number));
    }
    assert_eq!(number_of(&recv(&mut pull)), 2);
}
