//! The captures, with a socket of ours in its place and a peer of octets in the other: what is written there is what
//! goes over the wire. Z-01, Z-17, Z-23, F-05, F-06, S-02, S-03, H-04.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../captures/mod.rs"]
mod reader;

use std::time::Duration;

use interop_tests::raw::{DEADLINE, Listener, Peer, Role, Transport, message_of};
use peermq::{
    AnyPattern, Context, PlainCredentials, ReconnectInterval, RoutingId, Security, Socket, SocketType,
};
use reader::{Conversation, Step};

fn open(conversation: &Conversation) -> Socket<AnyPattern> {
    let socket_type = SocketType::from_name(conversation.socket_type.as_bytes()).unwrap();
    let mut builder = Context::builder()
        .io_threads(1)
        .build()
        .builder_for_any(socket_type)
        .reconnect_interval(ReconnectInterval::Every(Duration::from_millis(1)))
        .send_timeout(DEADLINE)
        .recv_timeout(DEADLINE)
        .linger(Duration::ZERO);
    if !conversation.routing_id.is_empty() {
        builder = builder.routing_id(RoutingId::new(&conversation.routing_id).unwrap());
    }
    if let Some((name, password)) = &conversation.plain {
        builder = builder.security(Security::PlainClient(PlainCredentials::new(name, password).unwrap()));
    }
    builder.open().unwrap()
}

fn meet(socket: &mut Socket<AnyPattern>, role: Role, transport: Transport) -> Peer {
    match role {
        Role::Binds => Peer::connect(&socket.bind(transport.free_endpoint()).unwrap().to_string()),
        Role::Connects => {
            let listener = Listener::bind(transport);
            socket.connect(listener.endpoint()).unwrap();
            listener.accept()
        }
    }
}

#[test]
fn conversations_go_as_they_are_written() {
    let conversations = reader::all(env!("CARGO_MANIFEST_DIR"));
    assert!(conversations.len() >= 12);
    for conversation in conversations {
        // Of ours that connect with a routing id, READY has one property more: `Name-Retry`.
        let is_said_more = !conversation.routing_id.is_empty();
        let roles = if is_said_more { &[Role::Binds][..] } else { &[Role::Binds, Role::Connects] };
        for &role in roles {
            for transport in [Transport::Tcp, Transport::Ipc] {
                play(&conversation, role, transport);
            }
        }
    }
}

fn play(conversation: &Conversation, role: Role, transport: Transport) {
    let name = &conversation.name;
    let mut socket = open(conversation);
    let mut peer = meet(&mut socket, role, transport);
    for step in &conversation.steps {
        match step {
            Step::Ours(octets) => assert_eq!(peer.read(octets.len()), *octets, "{name}"),
            Step::Peer(octets) => peer.write(octets),
            Step::Recv(frames) => assert_eq!(socket.recv().unwrap(), message_of(frames), "{name}"),
            Step::Send(frames) => socket.send(message_of(frames)).unwrap(),
            Step::Subscribe(topic) => socket.subscribe(topic).unwrap(),
            Step::Unsubscribe(topic) => assert!(socket.unsubscribe(topic).unwrap(), "{name}"),
            Step::Subscribers(count) => socket.wait_for_subscribers(*count, DEADLINE).unwrap(),
        }
    }
    assert_eq!(socket.peers()[0].version(), conversation.version, "{name}");
    // Nothing else: neither before the end nor because of it.
    peer.finish();
    assert_eq!(peer.read_to_end(), b"", "{name}");
}
