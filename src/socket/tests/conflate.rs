//! `conflate`: the latest message in the place of a queue.

use super::*;

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
