//! Options: who has which, and when they can be changed.

use super::*;
use crate::options::FixedMessage;
use crate::{
    Change, Dealer, Hwm, Interest, OpenError, OptionError, Options, Pair, Poller, Pub, RecvError, Rep, Req,
    Router, RouterNotify, RoutingId, SocketType, Stream, Sub, TakesEffect, XPub, XSub,
};

/// Makes two lists of the options that not every type has, and how to give them another value than their default: when
/// a socket is built, and when it is open.
macro_rules! special {
    ($($name:ident: $value:expr;)*) => {
        type Build<P> = fn(Builder<P>) -> Builder<P>;
        type Set<P> = for<'a> fn(Change<'a, P>) -> Change<'a, P>;

        fn special<P: Pattern>() -> Vec<(&'static str, Build<P>, Set<P>)> {
            vec![$((stringify!($name), |it| it.$name($value), |it| it.$name($value)),)*]
        }
    };
}

special! {
    conflate: true;
    routing_id: RoutingId::new("me").unwrap();
    router_mandatory: true;
    router_handover: true;
    router_notify: RouterNotify::BOTH;
    stream_notify: false;
    probe_router: true;
    req_correlate: true;
    req_relaxed: true;
    hello_msg: FixedMessage::from("hello");
    disconnect_msg: FixedMessage::from("gone");
    hiccup_msg: FixedMessage::from("lost");
    xpub_verbose: true;
    xpub_verboser: true;
    xpub_nodrop: true;
    xpub_manual: true;
    xpub_manual_last_value: true;
    xpub_welcome_message: "welcome";
    xsub_verbose_unsubscribe: true;
    invert_matching: true;
    only_first_subscribe: true;
}

/// Opens a socket with each of them, and sets each of them later; those that its type does not have are refused.
fn has_its_own_only<P: Pattern>(
    context: &Context,
    socket_type: SocketType,
    builder: fn(&Context) -> Builder<P>,
) {
    let special = special::<P>();
    for row in Options::TABLE.iter().filter(|row| !row.only.is_empty()) {
        let option = row.name;
        let (_, build, set) =
            special.iter().find(|(name, ..)| *name == option).unwrap_or_else(|| panic!("{option}"));
        let is_its_own = row.only.contains(&socket_type);
        let opened = build(builder(context)).open().map(drop);
        let foreign = OpenError::ForeignOption { option, socket_type };
        assert_eq!(opened, if is_its_own { Ok(()) } else { Err(foreign) }, "{option} of a {socket_type:?}");
        let mut socket = builder(context).open().unwrap();
        let before = socket.options().clone();
        let changed = set(socket.change()).apply();
        let expected = match row.takes_effect {
            _ if !is_its_own => Err(OptionError::ForeignOption { option, socket_type }),
            TakesEffect::Open => Err(OptionError::Fixed { option }),
            TakesEffect::Live | TakesEffect::NextConnect => Ok(()),
        };
        assert_eq!(changed, expected, "{option} of a {socket_type:?}");
        let names: Vec<_> = before.differing(socket.options()).map(|row| row.name).collect();
        assert_eq!(names, if expected.is_ok() { vec![option] } else { vec![] });
    }
}

#[test]
fn an_option_that_the_type_does_not_have_is_refused() {
    let context = Context::new();
    macro_rules! each {
        ($($pattern:ident)*) => {$(
            has_its_own_only::<$pattern>(&context, SocketType::$pattern, |it| it.builder_for());
            has_its_own_only(&context, SocketType::$pattern, |it| it.builder_for_any(SocketType::$pattern));
        )*};
    }
    each!(Dealer Pair Pub Pull Push Rep Req Router Stream Sub XPub XSub);
}

#[test]
fn what_takes_effect_at_once_is_felt_by_connections_that_exist() {
    over(ALL, |place| {
        let named =
            |name| place.builder::<Dealer>().routing_id(RoutingId::new(name).unwrap()).open().unwrap();
        let (mut router, endpoint) = place.bound::<Router>();
        let mut ada = named("ada");
        ada.connect(&endpoint).unwrap();
        send(&mut ada, "here");
        let (to_ada, _) = router.recv_timeout(PATIENCE).unwrap();
        let nobody = RoutingId::new("nobody").unwrap();
        router.send_to(&nobody, "dropped").unwrap();
        router.change().router_mandatory(true).apply().unwrap();
        assert_eq!(router.send_to(&nobody, "refused").unwrap_err().error, SendError::Unroutable);
        router.change().router_mandatory(false).apply().unwrap();
        router.send_to(&nobody, "dropped").unwrap();

        router.change().router_notify(RouterNotify::BOTH).apply().unwrap();
        let mut bob = named("bob");
        bob.connect(&endpoint).unwrap();
        let (who, news) = router.recv_timeout(PATIENCE).unwrap();
        assert_eq!((who.as_bytes(), news.size()), (&b"bob"[..], 0));
        router.change().router_notify(RouterNotify::NOTHING).apply().unwrap();

        // Whoever comes as ada is ada from now on.
        router.change().router_handover(true).apply().unwrap();
        let mut another = named("ada");
        another.connect(&endpoint).unwrap();
        send(&mut another, "here, too");
        assert_eq!(router.recv_timeout(PATIENCE).unwrap().1, "here, too");
        router.send_to(&to_ada, "hello").unwrap();
        assert_eq!(recv(&mut another), "hello");
    });
}

#[test]
fn a_request_has_a_number_from_when_it_is_wanted() {
    over(ALL, |place| {
        let (mut router, endpoint) = place.bound::<Router>();
        let mut req: Socket<Req> = place.connected(&endpoint);
        for (wanted, frames) in [(false, 2), (true, 3), (false, 2)] {
            req.change().req_correlate(wanted).apply().unwrap();
            let reply = req.request("a question").unwrap();
            let (from, message) = router.recv_timeout(PATIENCE).unwrap();
            assert_eq!(message.frame_count(), frames);
            router.send_to(&from, message).unwrap();
            assert_eq!(reply.recv().unwrap(), "a question");
        }
    });
    // In the middle of one: the answer has the number that the question had.
    let place = Place::new(Transport::Inproc);
    let (mut router, endpoint) = place.bound::<Router>();
    let builder = place.context.builder_for_any(SocketType::Req).recv_timeout(PATIENCE);
    let mut req = builder.req_correlate(true).open().unwrap();
    req.connect(&endpoint).unwrap();
    req.send("a question").unwrap();
    assert_eq!(req.try_send("another one").unwrap_err().error, SendError::OutOfTurn);
    let (from, message) = router.recv_timeout(PATIENCE).unwrap();
    req.change().req_correlate(false).req_relaxed(true).apply().unwrap();
    router.send_to(&from, message).unwrap();
    assert_eq!(req.recv().unwrap(), "a question");
    req.send("another one").unwrap();
    req.send("and one in its place").unwrap();
}

#[test]
fn pollers_are_told_when_a_change_makes_a_socket_ready() {
    over(ALL, |place| {
        let (_router, endpoint) = place.bound::<Router>();
        let mut req = place.context.builder_for_any(SocketType::Req).linger(Linger::DISCARD).open().unwrap();
        req.connect(&endpoint).unwrap();
        let mut poller = Poller::new();
        poller.add(&mut req, Interest::WRITABLE, ()).unwrap();
        req.send_timeout("a question", PATIENCE).unwrap();
        assert!(poller.wait(Some(Duration::ZERO)).unwrap().is_empty(), "it waits for its answer");
        req.change().req_relaxed(true).apply().unwrap();
        assert_eq!(poller.wait(Some(PATIENCE)).unwrap().len(), 1);
    });
}

#[test]
fn pollers_are_told_of_peers_from_when_the_application_wants_to_hear_of_them() {
    over(ALL, |place| {
        let mut router = place.open::<Router>();
        let mut poller = Poller::new();
        poller.add(&mut router, Interest::READABLE, ()).unwrap();
        router.change().router_notify(RouterNotify::BOTH).apply().unwrap();
        let endpoint = router.bind(place.address()).unwrap();
        let dealer: Socket<Dealer> = place.connected(&endpoint);
        assert_eq!(poller.wait(Some(PATIENCE)).unwrap().len(), 1);
        assert_eq!(router.try_recv().unwrap().1.size(), 0, "it has come");
        drop(dealer);
        assert_eq!(poller.wait(Some(PATIENCE)).unwrap().len(), 1);
        assert_eq!(router.try_recv().unwrap().1.size(), 0, "it has gone");
    });
}

#[test]
fn linger_counts_as_it_is_when_a_connection_ends() {
    over(WIRES, |place| {
        let drops = Drops::default();
        let mut push: Socket<Push> = place.context.builder_for().linger(Linger::Forever).open().unwrap();
        let connection = push.connect(place.address()).unwrap();
        push.send(drops.body()).unwrap();
        push.set_linger(Linger::DISCARD);
        connection.disconnect();
        eventually("it is discarded", || drops.count() == 1);
    });
}

#[test]
fn what_takes_effect_with_the_next_connect_leaves_those_before_alone() {
    over(WIRES, |place| {
        let mut push: Socket<Push> = place.builder().send_hwm(3).open().unwrap();
        push.connect(place.address()).unwrap();
        push.change().send_hwm(Hwm::messages(2)).apply().unwrap();
        push.connect(place.address()).unwrap();
        let taken = (0..10).filter(|_| push.try_send("a job").is_ok()).count();
        assert_eq!(taken, 3 + 2);
    });
}

#[test]
fn a_change_is_made_as_a_whole_or_not_at_all() {
    let context = Context::new();
    let mut publisher = context.open::<XPub>().unwrap();
    let before = publisher.options().clone();
    let change = publisher.change().send_hwm(7).xpub_verbose(true);
    assert_eq!(format!("{change:?}"), "Change { changed: [\"send_hwm\", \"xpub_verbose\"], .. }");
    assert_eq!(change.apply(), Err(OptionError::Fixed { option: "xpub_verbose" }));
    assert_eq!(*publisher.options(), before);
    // What is the same as before is no change.
    publisher.change().xpub_verbose(false).recv_timeout(SHORT).apply().unwrap();
    assert_eq!(publisher.recv(), Err(RecvError::WouldBlock));
}

const SHORT: Duration = Duration::from_millis(1);
