//! ZAP: sockets that ask a handler in the same program..

use super::monitor::until;
use super::security::Sides;
use super::*;
#[cfg(unix)]
use crate::transport::faults::{Harm, Plan};
use crate::{
    AnyPattern, AuthStatus, Authorizer, BindErrorKind, ConnectionError, Decision, EventKind, NotReadyKind,
    OpenError, ProtocolError, Reason, RecvError, Rep, Router, RoutingId, SocketType, ZapDomain,
};

const HANDLER: &str = "inproc://zeromq.zap.01";

impl Place {
    /// A server that asks the handler.
    fn asking(&self, sides: &Sides) -> (Socket<Pull>, Endpoint) {
        let builder = self.builder().security(sides.server.clone());
        let mut pull = builder.zap_domain(ZapDomain::new("global").unwrap()).open().unwrap();
        let endpoint = pull.bind(self.address()).unwrap().into();
        (pull, endpoint)
    }

    fn handler(&self) -> Socket<Rep> {
        let mut handler = self.builder::<Rep>().recv_timeout(PATIENCE).open().unwrap();
        handler.bind(HANDLER).unwrap();
        handler
    }
}

fn failed() -> Result<(), NotReadyKind> {
    let error = ProtocolError::NotLetInByPeer(AuthStatus::Failed);
    Err(NotReadyKind::Failed(ConnectionError::Protocol(error)))
}

/// Answers the next request with this status, user and metadata; the request.
fn answer(handler: &mut Socket<Rep>, status: &str, user: &str, metadata: &[u8]) -> Message {
    let request = handler.recv().unwrap();
    let asked = request.message().clone();
    let id = asked.frame(1).unwrap().clone();
    let mut reply = Message::from("1.0");
    reply.push(id);
    for frame in [status.as_bytes(), b"text", user.as_bytes(), metadata] {
        reply.push(frame);
    }
    request.reply(reply).unwrap();
    asked
}

#[test]
fn a_handler_lets_in_and_says_who_it_is() {
    //
    for sides in Sides::all() {
        let place = Place::new(Transport::Tcp);
        let mut handler = place.handler();
        let (mut pull, endpoint) = place.asking(&sides);
        let mut push = place.client::<Push>(&sides);
        push.connect(&endpoint).unwrap();
        push.send("hello").unwrap();
        let asked = answer(&mut handler, "200", "alice", b"\x05Hello\0\0\0\x05World");
        let frames: Vec<_> = asked.frames().map(crate::Frame::as_bytes).collect();
        assert_eq!([frames[0], frames[2], frames[3], frames[4]], [&b"1.0"[..], b"global", b"127.0.0.1", b""]);
        assert_eq!(frames[5], sides.server.mechanism().name().as_bytes());
        assert_eq!(pull.recv().unwrap(), "hello");
        let peer = pull.peers().remove(0);
        assert_eq!((peer.user_id(), peer.property("hello")), (Some("alice"), Some(&b"World"[..])));
    }
}

#[test]
fn a_handler_keeps_out() {
    // A-12, C-29
    for sides in Sides::all() {
        for (status, expected) in
            [("400", AuthStatus::Refused), ("500", AuthStatus::Failed), ("201", AuthStatus::Failed)]
        {
            // What the handler says beside is told where it was asked.
            let text = Reason::new(if status == "201" { "" } else { "text" });
            let place = Place::new(Transport::Tcp);
            let mut handler = place.handler();
            let (pull, endpoint) = place.asking(&sides);
            let monitor = pull.monitor();
            let mut push = place.client::<Push>(&sides);
            let connection = push.connect(&endpoint).unwrap();
            answer(&mut handler, status, "", b"");
            let ours = ConnectionError::Protocol(ProtocolError::NotLetIn(expected, text));
            until(&monitor, |kind| matches!(kind, EventKind::HandshakeFailed(error) if *error == ours));
            let error = ConnectionError::Protocol(ProtocolError::NotLetInByPeer(expected));
            assert_eq!(
                connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
                Err(NotReadyKind::Failed(error))
            );
            assert!(pull.peers().is_empty());
        }
        // 300: not told, and tried again.
        let place = Place::new(Transport::Tcp);
        let mut handler = place.handler();
        let (mut pull, endpoint) = place.asking(&sides);
        let mut push = place.client::<Push>(&sides);
        let connection = push.connect(&endpoint).unwrap();
        answer(&mut handler, "300", "", b"");
        push.send("hello").unwrap();
        answer(&mut handler, "200", "", b"");
        assert_eq!(pull.recv().unwrap(), "hello");
        assert_eq!(connection.last_error(), Some(ConnectionError::PeerClosed));
        assert_eq!(pull.peers()[0].user_id(), None);
    }
}

#[test]
fn without_a_handler_nobody_is_let_in() {
    // none yet; one that has gone; and then one that is there.
    for sides in Sides::all() {
        let place = Place::new(Transport::Tcp);
        let (mut pull, endpoint) = place.asking(&sides);
        let mut push = place.client::<Push>(&sides);
        assert_eq!(
            push.connect(&endpoint).unwrap().wait_ready(PATIENCE).map_err(|error| error.kind()),
            failed()
        );
        let mut handler = place.handler();
        let mut push = place.client::<Push>(&sides);
        push.connect(&endpoint).unwrap();
        push.send("hello").unwrap();
        answer(&mut handler, "200", "", b"");
        assert_eq!(pull.recv().unwrap(), "hello");
        drop(handler);
        let mut push = place.client::<Push>(&sides);
        assert_eq!(
            push.connect(&endpoint).unwrap().wait_ready(PATIENCE).map_err(|error| error.kind()),
            failed()
        );
        let mut handler = place.handler();
        let mut push = place.client::<Push>(&sides);
        push.connect(&endpoint).unwrap();
        push.send("again").unwrap();
        answer(&mut handler, "200", "", b"");
        assert_eq!(pull.recv().unwrap(), "again");
    }
}

/// A handler that can answer in any order, and whatever it likes.
fn free_handler(place: &Place) -> Socket<Router> {
    let mut handler = place.builder::<Router>().recv_timeout(PATIENCE).open().unwrap();
    handler.bind(HANDLER).unwrap();
    handler
}

/// Lets in whoever has this number.
fn let_in(handler: &mut Socket<Router>, to: &RoutingId, id: &str) {
    handler.send_to(to, ["", "1.0", id, "200", "", "", ""]).unwrap();
}

fn id_of(request: &Message) -> String {
    assert_eq!(request.frame(0).unwrap().as_bytes(), b"", "the delimiter");
    request.frame(2).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_router_can_be_the_handler() {
    // it sees who asks, and the delimiter; answers in any order.
    let place = Place::new(Transport::Tcp);
    let mut handler = free_handler(&place);
    let sides = Sides::plain();
    let (mut pull, endpoint) = place.asking(&sides);
    let mut clients = Vec::new();
    let mut requests = Vec::new();
    for number in 0..10_u8 {
        let mut push = place.client::<Push>(&sides);
        push.connect(&endpoint).unwrap();
        push.send(&[number][..]).unwrap();
        clients.push(push);
        requests.push(handler.recv().unwrap());
    }
    for (desk, request) in requests.iter().rev() {
        let_in(&mut handler, desk, &id_of(request));
    }
    let mut received: Vec<u8> = (0..10).map(|_| pull.recv().unwrap().body()[0]).collect();
    received.sort_unstable();
    assert_eq!(received, (0..10).collect::<Vec<_>>());
}

/// Sockets that pass requests on to the next handler, and its answers back.
struct Hop {
    servers: Socket<AnyPattern>,
    handler: Socket<AnyPattern>,
}

impl Hop {
    fn new(place: &Place, from: &str, to: &str) -> Self {
        let open = |kind| place.context.builder_for_any(kind).recv_timeout(PATIENCE).open().unwrap();
        let (mut servers, mut handler) = (open(SocketType::Router), open(SocketType::Dealer));
        servers.bind(from).unwrap();
        handler.connect(to).unwrap();
        Self { servers, handler }
    }

    /// Passes a request on; what it was.
    fn forward(&mut self) -> Message {
        let request = self.servers.recv().unwrap();
        self.handler.send(request.clone()).unwrap();
        request
    }

    fn bring_back(&mut self) {
        let reply = self.handler.recv().unwrap();
        self.servers.send(reply).unwrap();
    }
}

#[test]
fn handlers_behind_proxies_are_asked_and_heard() {
    // each proxy puts a routing frame in front and leaves the rest as it is; the last handler keeps
    // all of these and gives them back.
    for proxies in 0..=8_usize {
        let place = Place::new(Transport::Tcp);
        let names: Vec<String> = (1..=proxies).map(|hop| format!("inproc://handler-{hop}")).collect();
        let ends: Vec<&str> = [HANDLER].into_iter().chain(names.iter().map(String::as_str)).collect();
        let mut last = place.builder::<Rep>().recv_timeout(PATIENCE).open().unwrap();
        last.bind(ends[proxies]).unwrap();
        let mut hops: Vec<Hop> =
            (0..proxies).rev().map(|hop| Hop::new(&place, ends[hop], ends[hop + 1])).collect();
        hops.reverse();
        let sides = Sides::plain();
        let (mut pull, endpoint) = place.asking(&sides);
        let mut push = place.client::<Push>(&sides);
        push.connect(&endpoint).unwrap();
        push.send("hello").unwrap();
        let seen: Vec<Message> = hops.iter_mut().map(Hop::forward).collect();
        let asked = answer(&mut last, "200", "alice", b"");
        for (hop, request) in seen.iter().enumerate() {
            // A name for each hop so far, the delimiter, and the request.
            let frames: Vec<&[u8]> = request.frames().map(crate::Frame::as_bytes).collect();
            assert!(frames[..=hop].iter().all(|name| !name.is_empty()) && frames[hop + 1].is_empty());
            assert!(frames[hop + 2..].iter().copied().eq(asked.frames().map(crate::Frame::as_bytes)));
        }
        hops.iter_mut().rev().for_each(Hop::bring_back);
        assert_eq!(pull.recv().unwrap(), "hello");
        assert_eq!(pull.peers()[0].user_id(), Some("alice"));
    }
}

#[test]
fn answers_to_something_else_let_nobody_in() {
    // a number that nobody waits for, or one that nobody asked; the handshake's deadline goes on.
    let place = Place::new(Transport::Tcp);
    let mut handler = free_handler(&place);
    let sides = Sides::plain();
    let builder = place.builder::<Pull>().security(sides.server.clone());
    let builder = builder.handshake_interval(Duration::from_millis(300));
    let mut pull = builder.zap_domain(ZapDomain::new("global").unwrap()).open().unwrap();
    let endpoint = pull.bind(place.address()).unwrap();
    let mut push = place.client::<Push>(&sides);
    let connection = push.connect(&endpoint).unwrap();
    push.send("hello").unwrap();
    let mut late = Vec::new();
    for id in ["1", "x", "", "340282366920938463463374607431768211456"] {
        let (desk, request) = handler.recv().unwrap();
        let_in(&mut handler, &desk, id);
        late.push(id_of(&request));
    }
    assert!(pull.peers().is_empty() && pull.try_recv().is_err());
    assert_eq!(connection.last_error(), Some(ConnectionError::PeerClosed));
    let (desk, request) = handler.recv().unwrap();
    for id in late {
        let_in(&mut handler, &desk, &id);
    }
    let_in(&mut handler, &desk, &id_of(&request));
    assert_eq!(pull.recv().unwrap(), "hello");
}

#[test]
fn both_the_authorizer_and_the_handler_must_agree() {
    let place = Place::new(Transport::Tcp);
    let sides = Sides::plain();
    let gate = Authorizer::new(|_: &crate::Candidate| Decision::refuse());
    let builder = place.builder::<Pull>().security(sides.server.clone()).authorizer(&gate);
    let mut pull = builder.zap_domain(ZapDomain::new("d").unwrap()).open().unwrap();
    let endpoint = pull.bind(place.address()).unwrap();
    let mut handler = place.handler();
    let refused = ConnectionError::Protocol(ProtocolError::NotLetInByPeer(AuthStatus::Refused));
    let mut push = place.client::<Push>(&sides);
    let connection = push.connect(&endpoint).unwrap();
    assert_eq!(
        connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
        Err(NotReadyKind::Failed(refused))
    );
    assert_eq!(handler.try_recv().err(), Some(RecvError::WouldBlock), "it is not asked");
    gate.replace(|_: &crate::Candidate| Decision::allow());
    let mut push = place.client::<Push>(&sides);
    let connection = push.connect(&endpoint).unwrap();
    answer(&mut handler, "400", "", b"");
    assert_eq!(
        connection.wait_ready(PATIENCE).map_err(|error| error.kind()),
        Err(NotReadyKind::Failed(refused))
    );
}

#[test]
fn one_handler_is_enough() {
    // "There is one handler per process": here, per context.
    let place = Place::new(Transport::Tcp);
    let _handler = place.handler();
    let mut second = place.open::<Rep>();
    assert_eq!(second.bind(HANDLER).unwrap_err().kind(), BindErrorKind::AddressInUse);
}

#[cfg(unix)]
#[test]
fn without_a_thread_to_ask_for_it_a_socket_is_not_opened() {
    // nobody would be let in, and who is refused does not come back.
    let place = Place::new(Transport::Tcp);
    let plan = Plan::new(1, Harm::Any);
    let _entered = plan.enter();
    let open = || place.builder::<Pull>().zap_domain(ZapDomain::new("d").unwrap()).open();
    eventually("the system starts no thread", || matches!(open(), Err(OpenError::Io(_))));
    plan.end();
    assert!(open().is_ok());
}

#[test]
fn the_desk_ends_with_the_last_socket_that_asks() {
    // The context can be dropped, shut down, and asked again; a drop waits for no thread.
    let place = Place::new(Transport::Tcp);
    for _ in 0..3 {
        let pulls = [(); 3].map(|()| place.asking(&Sides::plain()));
        drop(pulls);
    }
    let weak = Arc::downgrade(&place.context.inner);
    let (pull, _) = place.asking(&Sides::plain());
    place.context.shutdown();
    drop(place);
    drop(pull);
    assert!(weak.upgrade().is_none());
    let place = Place::new(Transport::Tcp);
    place.context.shutdown();
    let opened = place.builder::<Push>().zap_domain(ZapDomain::new("d").unwrap()).open();
    assert_eq!(opened.err(), Some(OpenError::Terminated));
}
