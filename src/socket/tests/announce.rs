//! What sockets say without being asked: metadata, and messages at the begin and end of a connection.

use super::*;
use crate::{Metadata, Pair};

#[test]
fn metadata_reaches_the_peer() {
    over(WIRES, |place| {
        let metadata = Metadata::new([("X-Zone", "eu-1"), ("X-Empty", "")]).unwrap();
        let (pull, endpoint) = place.bound::<Pull>();
        let mut push: Socket<Push> = place.builder().metadata(metadata).open().unwrap();
        push.connect(&endpoint).unwrap().wait_ready(PATIENCE).unwrap();
        eventually("it is known", || pull.peers().len() == 1);
        let peer = &pull.peers()[0];
        assert_eq!(peer.property("x-zone"), Some(&b"eu-1"[..]));
        let names: Vec<_> = peer.properties().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["Socket-Type", "X-Zone", "X-Empty"]);
    });
}

#[test]
fn a_new_peer_is_greeted_before_anything_else() {
    over(ALL, |place| {
        let mut ours: Socket<Pair> = place.builder().hello_msg("hello").open().unwrap();
        let endpoint = place.address();
        let mut theirs: Socket<Pair> = place
            .builder()
            .hello_msg(vec![7; 300])
            .reconnect_interval(Duration::from_millis(1))
            .open()
            .unwrap();
        theirs.connect(&endpoint).unwrap();
        theirs.try_send("queued before").unwrap();
        ours.bind(&endpoint).unwrap();
        assert_eq!(recv(&mut theirs), "hello");
        assert_eq!(recv(&mut ours), vec![7; 300]);
        assert_eq!(recv(&mut ours), "queued before");
    });
}

#[test]
fn our_application_hears_of_a_peer_that_went() {
    over(WIRES, |place| {
        let mut pull: Socket<Pull> =
            place.builder().disconnect_msg("gone").hiccup_msg("never").open().unwrap();
        let endpoint = pull.bind(place.address()).unwrap();
        for number in 0..3 {
            let mut push: Socket<Push> = place.context.open().unwrap();
            push.connect(&endpoint).unwrap();
            send(&mut push, &numbered(number));
            drop(push);
            assert_eq!(number_of(&recv(&mut pull)), number);
            assert_eq!(recv(&mut pull), "gone");
        }
    });
}

#[test]
fn our_application_hears_of_a_connection_that_was_lost() {
    over(WIRES, |place| {
        let endpoint = place.address();
        let mut ours: Socket<Pair> = place
            .builder()
            .hiccup_msg("hiccup")
            .disconnect_msg("never")
            .recv_hwm(1)
            .reconnect_interval(Duration::from_millis(1))
            .open()
            .unwrap();
        ours.connect(&endpoint).unwrap();
        for _ in 0..3 {
            let mut theirs: Socket<Pair> = place.open();
            eventually("the address is free", || theirs.bind(&endpoint).is_ok());
            send(&mut theirs, "here");
            assert_eq!(recv(&mut ours), "here");
            drop(theirs);
            assert_eq!(recv(&mut ours), "hiccup");
        }
    });
}
