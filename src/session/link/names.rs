//! The name that a link's peer has, at a socket that addresses its peers by name: see [`Names`](crate::pipe::Names).
#![forbid(unsafe_code)]

use std::sync::Weak;

use crate::pipe::{Doubted, NameLost};
use crate::routing_id::RoutingId;
use crate::session::link::Link;
use crate::session::{EventKind, Scene, work};
use crate::sync::{Ordering, lock};
use crate::wire;

impl Link {
    /// Who decides about the name of the peer, if it is addressed by one.
    pub(in crate::session) fn naming(&self) -> Option<wire::Naming> {
        let (registrar, is_accepted): (Weak<Self>, _) = (Weak::clone(&self.this), self.is_accepted());
        self.owner.names.as_ref().map(|_| wire::Naming { registrar, is_accepted })
    }

    /// Gives the peer this name, until the connection is gone; one that the socket keeps for it, until the socket lets
    /// it go. `false`: another one has it.
    pub(crate) fn claim_name(&self, name: RoutingId) -> bool {
        let Some(names) = &self.owner.names else { return true };
        let doubted: Weak<Self> = Weak::clone(&self.this);
        let is_given = names.claim(&name, self.id, Some(doubted));
        if is_given {
            *lock(&self.name) = Some(Box::new(name));
        }
        is_given
    }

    /// The peer is gone, and nothing is kept for it.
    pub(in crate::session) fn release_name(&self) {
        let name = lock(&self.name).take();
        if let (Some(names), Some(name)) = (&self.owner.names, name) {
            names.release(&name, self.id);
        }
    }

    /// The session is over, and its ends are closed if they do not outlive it.
    pub(super) fn release_passing_name(&self) {
        if self.is_accepted() || !self.owner.keeps_pipes() {
            self.release_name();
        }
    }

    /// Whether the peer has to show that it is there; once.
    pub(in crate::session) fn is_doubted(&self) -> bool {
        // Relaxed, here and there: the note of work that goes with it is ordered.
        self.is_doubted.load(Ordering::Relaxed) && self.is_doubted.swap(false, Ordering::Relaxed)
    }
}

impl wire::Registrar for Link {
    fn enter(&self, peer: &wire::Peer) -> bool {
        let name = RoutingId::from_peer(self.owner.name_of(&peer.routing_id));
        // Without one it gets one that nobody else has.
        if name.is_none() || self.claim_name(name.clone()) {
            return true;
        }
        let (connection, is_accepted) = (Some(self.id), self.is_accepted());
        let scene = Scene { connection, is_accepted, ..Scene::default() };
        self.owner.tell(scene, EventKind::RoutingIdInUse(name));
        false
    }
}

impl From<NameLost> for wire::Refusal {
    fn from(why: NameLost) -> Self {
        match why {
            NameLost::HandedOver => Self::NameHandedOver,
            NameLost::InUse => Self::NameInUse,
        }
    }
}

impl Doubted for Link {
    fn doubt(&self) {
        self.is_doubted.store(true, Ordering::Relaxed); // as where it is read
        if self.place.note(work::BEAT) {
            self.post_drive();
        }
    }
}
