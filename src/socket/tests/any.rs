//! Sockets whose type is chosen at run time: what a type cannot do is an error when it is tried.

use super::*;
use crate::{
    AnyPattern, ConnectErrorKind, Frame, OpenError, RecvError, RoutingId, SendError, SocketType,
    SubscribeError, SubscribersError,
};

type Any = Socket<AnyPattern>;

fn open(socket_type: SocketType) -> Any {
    Context::new().builder_for_any(socket_type).linger(Linger::DISCARD).open().unwrap()
}

fn send_error(socket: &mut Any) -> SendError {
    socket.try_send(["a", "b"]).map_err(|unsent| unsent.error).unwrap_err()
}

#[test]
fn each_type_says_which_it_is() {
    for &socket_type in SocketType::ALL {
        let socket = open(socket_type);
        assert_eq!(socket.socket_type(), socket_type);
        assert!(format!("{socket:?}").contains(&format!("{socket_type:?}")));
    }
    assert_eq!(Context::new().open::<Push>().unwrap().socket_type(), SocketType::Push);
}

#[test]
fn types_that_only_send_or_only_receive_say_so() {
    // S-08, S-26, L-01, L-06; sockets of a type that the program knows have no such verb.
    for socket_type in [SocketType::Push, SocketType::Pub] {
        assert_eq!(open(socket_type).recv(), Err(RecvError::NotSupported), "{socket_type:?}");
    }
    for socket_type in [SocketType::Pull, SocketType::Sub] {
        let mut socket = open(socket_type);
        assert_eq!(send_error(&mut socket), SendError::NotSupported, "{socket_type:?}");
        assert_eq!(socket.send(Message::from("x")).unwrap_err().message, Some("x".into()));
    }
}

#[test]
fn req_and_rep_keep_to_their_turn() {
    //
    let place = Place::new(Transport::Inproc);
    let mut server = place.context.open_any(SocketType::Rep).unwrap();
    let mut client = place.context.open_any(SocketType::Req).unwrap();
    let endpoint = server.bind(place.address()).unwrap();
    client.connect(&endpoint).unwrap();
    assert_eq!(client.try_recv(), Err(RecvError::OutOfTurn));
    assert_eq!(send_error(&mut server), SendError::OutOfTurn);
    for number in 0..3 {
        send(&mut client, &numbered(number));
        assert_eq!(send_error(&mut client), SendError::OutOfTurn);
        assert_eq!(number_of(&recv(&mut server)), number);
        assert_eq!(server.try_recv(), Err(RecvError::OutOfTurn));
        send(&mut server, &numbered(number));
        assert_eq!(number_of(&recv(&mut client)), number);
    }
}

#[test]
fn a_reply_that_was_not_asked_for_leaves_the_message_as_before() {
    //
    let place = Place::new(Transport::Inproc);
    let mut server = place.context.open_any(SocketType::Router).unwrap();
    let mut client = place.context.builder_for_any(SocketType::Req).req_correlate(true).open().unwrap();
    let endpoint = server.bind(place.address()).unwrap();
    client.connect(&endpoint).unwrap();
    send(&mut client, Message::from("question"));
    let request: Vec<_> = recv(&mut server).into_frames().collect();
    let [id, number, ..] = &request[..] else { panic!("a name, a number, an empty frame and the question") };
    let reply = |number: &Frame| Message::from([id.clone(), number.clone(), Frame::new(), "answer".into()]);

    let mut message = Message::from(["as", "before"]);
    send(&mut server, reply(&"an earlier number".into()));
    assert_eq!(client.try_recv_into(&mut message), Err(RecvError::WouldBlock));
    assert_eq!(message, Message::from(["as", "before"]));
    assert_eq!(client.stats().total.dropped.unwanted, 1);
    send(&mut server, reply(number));
    client.try_recv_into(&mut message).unwrap();
    assert_eq!(message, "answer");
}

#[test]
fn a_router_has_the_name_in_the_first_frame() {
    //
    let place = Place::new(Transport::Inproc);
    let mut router = place.context.builder_for_any(SocketType::Router).router_mandatory(true).open().unwrap();
    let endpoint = router.bind(place.address()).unwrap();
    let ada = RoutingId::new("ada").unwrap();
    let mut dealer = place.context.builder_for_any(SocketType::Dealer).routing_id(ada).open().unwrap();
    dealer.connect(&endpoint).unwrap();
    send(&mut dealer, ["two", "frames"]);
    assert_eq!(recv(&mut router), ["ada", "two", "frames"]);
    send(&mut router, ["ada", "answer"]);
    assert_eq!(recv(&mut dealer), "answer");
    let unsent = router.try_send(["nobody", "answer"]).unwrap_err();
    assert_eq!((unsent.error, unsent.message), (SendError::Unroutable, Some(["nobody", "answer"].into())));
    assert_eq!(router.try_send("ada").unwrap_err().error, SendError::MissingBody);
}

#[test]
fn only_types_that_know_names_give_them() {
    let (name, endpoint) = (RoutingId::new("name").unwrap(), "tcp://127.0.0.1:9");
    for &socket_type in SocketType::ALL {
        let mut socket = open(socket_type);
        let mut connect = || socket.connect_as(&name, endpoint).map(drop).map_err(|error| error.kind());
        if [SocketType::Router, SocketType::Stream].contains(&socket_type) {
            assert_eq!((connect(), connect()), (Ok(()), Err(ConnectErrorKind::RoutingIdInUse)));
        } else {
            assert_eq!(connect(), Err(ConnectErrorKind::NotSupported), "{socket_type:?}");
        }
    }
}

#[test]
fn only_types_that_subscribe_do() {
    use SocketType::{Sub, XPub, XSub};
    for &socket_type in SocketType::ALL {
        let mut socket = open(socket_type);
        let done = (socket.subscribe("a"), socket.unsubscribe("b"));
        let expected = if socket_type == XPub {
            (Err(SubscribeError::NoPeer), Ok(false))
        } else if [Sub, XSub].contains(&socket_type) {
            (Ok(()), Ok(false))
        } else {
            (Err(SubscribeError::NotSupported), Err(SubscribeError::NotSupported))
        };
        assert_eq!(done, expected, "{socket_type:?}");
    }
}

#[test]
fn only_types_with_subscribers_wait_for_them() {
    for &socket_type in SocketType::ALL {
        let waited = open(socket_type).wait_for_subscribers(1, Duration::from_millis(1));
        let expected = if [SocketType::Pub, SocketType::XPub].contains(&socket_type) {
            SubscribersError::TimedOut { subscribers: 0, wanted: 1 }
        } else {
            SubscribersError::NotSupported
        };
        assert_eq!(waited, Err(expected), "{socket_type:?}");
    }
}

#[test]
fn an_option_of_another_type_is_an_error_when_it_opens() {
    let context = Context::new();
    let foreign = context.builder_for_any(SocketType::Push).router_mandatory(true).open();
    let error = OpenError::ForeignOption { option: "router_mandatory", socket_type: SocketType::Push };
    assert_eq!(foreign.unwrap_err(), error);
    assert_eq!(error.to_string(), "a socket of type Push has no option `router_mandatory`");
    // A value that is the default asks for nothing.
    context.builder_for_any(SocketType::Push).router_mandatory(false).open().unwrap();
    context.builder_for_any(SocketType::Router).router_mandatory(true).open().unwrap();
}

#[test]
fn a_subscriber_discards_what_is_unsent_unless_told_otherwise() {
    let context = Context::new();
    for (socket_type, linger) in [(SocketType::Sub, Linger::DISCARD), (SocketType::Push, Linger::Forever)] {
        assert_eq!(context.open_any(socket_type).unwrap().options().linger(), linger);
    }
}

#[test]
fn a_shutdown_reaches_it() {
    let context = Context::new();
    let mut socket = context.open_any(SocketType::Pair).unwrap();
    context.shutdown();
    assert_eq!(socket.recv(), Err(RecvError::Terminated));
    assert_eq!(context.open_any(SocketType::Pair).unwrap_err(), OpenError::Terminated);
}
