//! What is wanted of a connection that somebody may be at work on: whoever has it does it, and nobody waits.
//!
//! A caller that waits in a read has its connection for some milliseconds. So long an I/O thread, which has others to look
//! after, must not stand still.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::io::End;
use crate::pipe::Chores;
use crate::session::link::{Link, Place};
use crate::session::protocol::Turn;
use crate::session::{CloseReason, PeerInfo, work};
use crate::sync::{AtomicBool, Mutex, Ordering, lock};
use crate::wire;

/// What nobody has begun.
#[derive(Debug, Default)]
pub(super) struct Orders {
    is_any: AtomicBool,
    /// The last of them. Boxed: few connections have one.
    order: Mutex<Option<Box<Order>>>,
}

#[derive(Debug)]
enum Order {
    /// Ends the connection to this peer, if it is still the one.
    Close(Arc<PeerInfo>, CloseReason),
    /// Drops what there is: the connection has no task any more.
    LetGo,
}

impl Orders {
    fn put(&self, order: Order) {
        let mut last = lock(&self.order);
        if !matches!(last.as_deref(), Some(Order::LetGo)) {
            *last = Some(Box::new(order));
        }
        // Relaxed: the note of work that goes with it is ordered.
        self.is_any.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Relaxed)
    }

    fn take(&self) -> Option<Box<Order>> {
        let mut last = lock(&self.order);
        self.is_any.store(false, Ordering::Relaxed);
        last.take()
    }
}

impl Link {
    /// Ends the connection to this peer, if it is still the one: now, or when whoever is at work on it has done.
    pub(in crate::session) fn close(&self, peer: &Arc<PeerInfo>, reason: CloseReason) {
        if self.mailbox.is_here() && self.owner.peers.is_current(self.id, peer) {
            self.orders.put(Order::Close(Arc::clone(peer), reason));
            self.drive_as_ordered();
        }
    }

    /// The connection's task is gone: drops the session and the pipe ends, as [`close`](Self::close).
    pub(in crate::session) fn let_go(&self) {
        self.orders.put(Order::LetGo);
        self.drive_as_ordered();
    }

    fn drive_as_ordered(&self) {
        let run = |place: &mut Place, work| self.run(place, work, Turn::Task, &mut Chores::of_look());
        if self.place.drive(work::PIPES, run) {
            self.post_drive();
        }
    }

    #[cold]
    pub(super) fn obey(&self, place: &mut Place) {
        match self.orders.take().map(|order| *order) {
            Some(Order::Close(peer, reason)) => {
                if !self.owner.peers.is_current(self.id, &peer) {
                    return;
                }
                if let (Place::Up(session), CloseReason::Refused) = (&mut *place, reason) {
                    session.refuse(wire::Refusal::Closed);
                }
                self.end(place, End::Dismissed);
            }
            Some(Order::LetGo) => drop(self.take_from(place)),
            None => {}
        }
    }
}
