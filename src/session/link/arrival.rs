//! The peer of a link's connection: where it is, and that it is there.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};

use crate::endpoint::Endpoint;
use crate::routing_id::RoutingId;
use crate::session::link::Link;
use crate::session::{ConnectionState, PeerInfo, Reach, Said, half_open};
use crate::sync::{AtomicBool, lock};
use crate::transport::Stream;
use crate::wire;

impl Link {
    /// The handshake is done.
    pub(in crate::session) fn on_ready(&self, peer: &wire::Peer, stream: &Stream, messages: Said) {
        self.enter_peer(peer, stream, messages);
        self.show(ConnectionState::Ready);
    }

    /// Where the peer of a connection is that shakes hands.
    pub(in crate::session) fn whereabouts(&self, stream: &Stream) -> Endpoint {
        let accepted = lock(&self.half_open).as_ref().and_then(half_open::Place::endpoint);
        accepted.or_else(|| stream.peer()).unwrap_or_else(|| self.owner.endpoint.clone())
    }

    /// Whoever looks finds the peer from now on, which has shaken hands.
    pub(in crate::session) fn enter_peer(&self, peer: &wire::Peer, stream: &Stream, messages: Said) {
        let endpoint = self.whereabouts(stream);
        drop(lock(&self.half_open).take());
        let info = PeerInfo {
            endpoint,
            is_accepted: self.status.is_none(),
            socket_type: peer.socket_type,
            routing_id: RoutingId::from_peer(&peer.routing_id),
            version: (peer.major, peer.minor),
            properties: Arc::clone(&peer.properties),
            admission: peer.admission.clone(),
            process: stream.process(),
            descriptor: stream.descriptor(),
            messages,
            is_let_go: AtomicBool::new(false),
        };
        let reach = Reach::Link(Weak::clone(&self.this));
        if self.pulse.note_ready() {
            self.owner.peers.watchers().count_reconnect();
        }
        self.owner.peers.insert(self.id, &self.owner.endpoint, info, reach);
    }
}
