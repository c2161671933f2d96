//! Options that change what goes over the wire, with libzmq and pyzmq as peers in processes of their own, set on
//! either side: at every place. H-01 to H-08, R-10 to R-48, S-30 to S-33, X-41.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::thread;
use std::time::{Duration, Instant};

use interop_tests::raw::{DEADLINE, Transport, message_of};
use interop_tests::theirs::{Address, Binds, Frames, Implementation, Place, Theirs};
use peermq::{
    Builder, Context, Dealer, HeartbeatTtl, Message, Pattern, Pull, ReconnectInterval, RecvError, Rep, Req,
    Router, RoutingId, SendError, Socket,
};

/// Each implementation at each place.
fn everywhere(test: impl Fn(Implementation, Place, &Address)) {
    for implementation in Implementation::ALL {
        for place in Place::EVERYWHERE {
            println!("{implementation:?} {place:?}");
            test(implementation, place, &Address::new());
        }
    }
}

fn builder<P: Pattern>() -> Builder<P> {
    let context = Context::builder().io_threads(1).build();
    let builder = context.builder_for::<P>().send_timeout(DEADLINE).recv_timeout(DEADLINE);
    builder.reconnect_interval(ReconnectInterval::Every(Duration::from_millis(5)))
}

/// Connects theirs, of these words, with ours.
fn meet<P: Pattern>(
    ours: &mut Socket<P>,
    implementation: Implementation,
    (place, address): (Place, &Address),
    [task, kind]: [&str; 2],
    options: &[&str],
) -> Theirs {
    let endpoint = match place.binds {
        Binds::We => ours.bind(place.transport.free_endpoint()).unwrap().to_string(),
        Binds::They => address.endpoint(place.transport),
    };
    let words = [&[task, kind, place.their_side(), &endpoint, "SNDTIMEO=30000"], options].concat();
    let theirs = Theirs::start(implementation, &words);
    let at = theirs.report("at");
    if place.binds == Binds::They {
        ours.connect(&at[..]).unwrap();
    }
    theirs
}

fn eventually<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < until, "{what}");
        thread::yield_now();
    }
}

fn route(router: &mut Socket<Router>, to: &RoutingId, message: &Message) {
    eventually("somebody of that name", || match router.send_to(to, message) {
        Ok(()) => Some(()),
        Err(unsent) => {
            assert!(unsent.error == SendError::Unroutable, "{unsent}");
            None
        }
    });
}

#[test]
fn routing_ids_of_1_to_255_octets_name_either_side() {
    everywhere(|implementation, place, address| {
        for length in [1, 5, 254, 255] {
            let name = "n".repeat(length);
            let id = RoutingId::new(&name[..]).unwrap();
            let message = Message::from(["to whom it may concern", &name]);

            let mut ours = builder::<Router>().router_mandatory(true).open().unwrap();
            let option = format!("ROUTING_ID={name}");
            let meeting = (place, &Address::new());
            let theirs = meet(&mut ours, implementation, meeting, ["echo", "DEALER"], &[&option]);
            route(&mut ours, &id, &message);
            assert_eq!(ours.recv().unwrap(), (id.clone(), message.clone()));
            drop(theirs);

            let mut ours = builder::<Dealer>().routing_id(id).open().unwrap();
            let options = ["ROUTER_MANDATORY=1", "RCVTIMEO=30000"];
            let theirs = meet(&mut ours, implementation, (place, address), ["ask", "ROUTER"], &options);
            theirs.give(&[vec![name.clone().into_bytes(), b"for you".to_vec()]]);
            assert_eq!(ours.recv().unwrap(), "for you");
            ours.send("for you").unwrap();
            theirs.finish(1);
        }
        place.count(implementation, "ROUTER with DEALER, names", "both", 4 * 4);
    });
}

#[test]
fn a_probe_makes_either_side_known() {
    everywhere(|implementation, place, address| {
        let theirs_name = RoutingId::new("a prober").unwrap();
        let mut ours = builder::<Router>().open().unwrap();
        let options = ["ROUTING_ID=a prober", "PROBE_ROUTER=1"];
        let meeting = (place, &Address::new());
        let theirs = meet(&mut ours, implementation, meeting, ["echo", "DEALER"], &options);
        assert_eq!(ours.recv().unwrap(), (theirs_name.clone(), Message::from("")));
        ours.send_to(&theirs_name, "known").unwrap();
        assert_eq!(ours.recv().unwrap(), (theirs_name, Message::from("known")));
        drop(theirs);

        // Theirs sends back what it gets: the probe first.
        let mut ours = builder::<Dealer>().probe_router(true).open().unwrap();
        let _theirs = meet(&mut ours, implementation, (place, address), ["echo", "ROUTER"], &[]);
        assert_eq!(ours.recv().unwrap(), "");
        ours.send("known").unwrap();
        assert_eq!(ours.recv().unwrap(), "known");
        place.count(implementation, "ROUTER with DEALER, probe", "both", 6);
    });
}

#[test]
fn requests_that_were_given_up_do_not_get_the_next_ones_answers() {
    // every other request is given up at once, with a number or without. When theirs connects, it keeps its
    // answers over a reconnect, which a number alone can tell.
    const REQUESTS: usize = 100;
    everywhere(|implementation, place, _| {
        let numbers = if place.binds == Binds::They { &[false, true][..] } else { &[true] };
        for &correlates in numbers {
            let mut ours = builder::<Req>().req_correlate(correlates).open().unwrap();
            let meeting = (place, &Address::new());
            let _theirs = meet(&mut ours, implementation, meeting, ["echo", "REP"], &[]);
            for number in 0..REQUESTS {
                let request = number.to_string();
                drop(ours.request(["given up", &request]).unwrap());
                let reply = ours.request(&request).unwrap().recv().unwrap();
                assert_eq!(reply, request);
            }
        }
        place.count(implementation, "REQ asks REP, given up", "ours ask", 2 * numbers.len() * REQUESTS);
    });
}

#[test]
fn their_relaxed_requests_get_their_own_answers() {
    // ours answers late, so that theirs gives up now and then.
    const ANSWERS: usize = 10;
    everywhere(|implementation, place, address| {
        let mut ours = builder::<Rep>().open().unwrap();
        let options = ["REQ_CORRELATE=1", "REQ_RELAXED=1", "RCVTIMEO=200"];
        let theirs = meet(&mut ours, implementation, (place, address), ["inquire", "REQ"], &options);
        let mut got = Vec::new();
        let mut number = 0_u64;
        eventually("answers", || {
            if let Ok(mut request) = ours.recv_timeout(Duration::from_millis(1)) {
                number += 1;
                // Every third answer is late: that it may be in vain is what is tested.
                if number % 3 == 0 {
                    thread::sleep(Duration::from_millis(250));
                }
                let message = request.take_message();
                request.reply(message).unwrap();
            }
            got.extend(theirs.got(Duration::ZERO));
            (got.len() >= ANSWERS).then_some(())
        });
        // Theirs has compared them.
        assert!(got.windows(2).all(|two| two[0] < two[1]), "{got:?}");
        place.count(implementation, "REQ asks REP, relaxed", "theirs ask", 2 * got.len());
    });
}

#[test]
fn both_sides_keep_each_other_alive_with_heartbeats() {
    // H-01 to H-08: both ask every 50 ms and would close after two seconds; for four nothing else is said.
    const SILENT: Duration = Duration::from_secs(2);
    thread::scope(|scope| {
        for implementation in Implementation::ALL {
            for place in Place::EVERYWHERE {
                scope.spawn(move || {
                    let mut ours = builder::<Dealer>()
                        .heartbeat_interval(SILENT / 40)
                        .heartbeat_timeout(SILENT)
                        .heartbeat_ttl(HeartbeatTtl::after(SILENT).unwrap())
                        // A connection that breaks is heard of.
                        .disconnect_msg("broken")
                        .hiccup_msg("broken")
                        .open()
                        .unwrap();
                    let options = ["HEARTBEAT_IVL=50", "HEARTBEAT_TIMEOUT=2000", "HEARTBEAT_TTL=2000"];
                    let address = Address::new();
                    let theirs =
                        meet(&mut ours, implementation, (place, &address), ["echo", "DEALER"], &options);
                    ours.send("before").unwrap();
                    assert_eq!(ours.recv().unwrap(), "before");
                    assert_eq!(ours.recv_timeout(2 * SILENT), Err(RecvError::WouldBlock));
                    ours.send("after").unwrap();
                    assert_eq!(ours.recv().unwrap(), "after");
                    drop(theirs);
                    place.count(implementation, "DEALER with DEALER, heartbeats", "both", 4);
                });
            }
        }
    });
}

/// How many messages are conflated.
const MANY: u32 = 10_000;

fn last() -> Frames {
    // One frame: conflation is for those.
    vec![(MANY - 1).to_string().into_bytes()]
}

fn many() -> Vec<Frames> {
    (0..MANY).map(|number| vec![number.to_string().into_bytes()]).collect()
}

/// Where whoever connects first can know that somebody will bind.
fn known(address: &Address, transport: Transport) -> String {
    address.endpoint(transport).replace('*', "5555")
}

#[test]
fn of_what_waits_at_a_conflating_sender_only_the_last_arrives() {
    // it connects before anybody is there.
    for implementation in Implementation::ALL {
        for transport in [Transport::Ipc, Transport::Tcp] {
            let address = Address::new();
            let mut ours = builder::<Dealer>().conflate(true).open().unwrap();
            let place = Place { transport, binds: Binds::They };
            let endpoint = known(&address, transport);
            ours.connect(&endpoint[..]).unwrap();
            many().iter().for_each(|frames| ours.send(message_of(frames)).unwrap());
            let theirs = Theirs::start(implementation, &["echo", "DEALER", "bind", &endpoint]);
            assert_eq!(ours.recv().unwrap(), message_of(&last()));
            ours.send("and nothing else").unwrap();
            assert_eq!(ours.recv().unwrap(), "and nothing else");
            drop(theirs);
            place.count(implementation, "DEALER with DEALER, conflate", "ours to theirs", 4);

            let address = Address::new();
            let place = Place { transport, binds: Binds::We };
            let endpoint = known(&address, transport);
            // libzmq loses the last one, too, when the socket is closed before it has gone.
            let options = ["CONFLATE=1", "STAY=1"];
            let words = [&["send", "PUSH", "connect", &endpoint][..], &options].concat();
            let theirs = Theirs::start(implementation, &words);
            _ = theirs.report("at");
            theirs.give(&many());
            assert_eq!(theirs.report("sent"), MANY.to_string());
            let mut ours = builder::<Pull>().open().unwrap();
            ours.bind(&endpoint[..]).unwrap();
            assert_eq!(ours.recv().unwrap(), message_of(&last()));
            theirs.tell();
            assert_eq!(theirs.report("done"), MANY.to_string());
            assert!(ours.try_recv().is_err());
            place.count(implementation, "PUSH to PULL, conflate", "theirs to ours", 1);
        }
    }
}

#[test]
fn a_conflating_receiver_of_ours_has_the_last_of_what_came() {
    // whoever does not receive meanwhile has not all of them afterwards.
    everywhere(|implementation, place, address| {
        let mut ours = builder::<Pull>().conflate(true).open().unwrap();
        let theirs = meet(&mut ours, implementation, (place, address), ["send", "PUSH"], &[]);
        theirs.give(&many());
        theirs.finish(MANY as usize);
        let mut received = Vec::new();
        while received.last() != Some(&(MANY - 1)) {
            received.push(ours.recv().unwrap().to_str().unwrap().parse::<u32>().unwrap());
        }
        assert!(received.len() < MANY as usize && received.is_sorted(), "{received:?}");
        assert!(ours.try_recv().is_err());
        place.count(implementation, "PUSH to PULL, conflate", "theirs to ours", received.len());
    });
}
