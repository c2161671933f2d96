//! The room: an XPUB, to which guests say what it then tells everybody.
//!
//! A guest subscribes to everything and, beside it, to its own name behind an `@`. Nobody ever publishes that,
//! but the subscription says that the guest has come, and its end that it has left, whatever the cause: a
//! connection that breaks, or is silent for too long, takes its subscriptions along.

use std::time::Duration;

use peermq::{Context, Endpoint, Message, Socket, Subscription, XPub};

use crate::Failure;

/// The room's endpoint for whoever opened it.
pub(crate) const INSIDE: &str = "inproc://room";

/// What comes before a guest's name in the topic that says it is here.
pub(crate) const PRESENCE: &str = "@";

/// How long a guest may be silent, unless its program answers for it.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long the room stays for guests who are slow to hear the last words.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// Opens a room, and tells where.
pub(crate) fn open(context: &Context, endpoint: Endpoint) -> Result<Socket<XPub>, Failure> {
    // Verboser: guests who share a name come and leave one by one.
    let mut room = context.builder_for::<XPub>().xpub_verboser(true).heartbeat_interval(HEARTBEAT).open()?;
    let text = endpoint.to_string();
    let binding = room.bind(endpoint).map_err(|error| format!("cannot open a room at {text}: {error}"))?;
    println!("* the room is open at {binding}");
    room.bind(INSIDE)?;
    Ok(room)
}

/// Tells everybody what guests say, and who comes and leaves, until whoever opened the room has left.
pub(crate) fn run(mut room: Socket<XPub>) -> Result<(), Failure> {
    loop {
        let heard = room.recv()?;
        let Some(subscription) = Subscription::from_message(&heard) else {
            room.send(heard)?;
            continue;
        };
        let Some(name) = subscription.topic().strip_prefix(PRESENCE.as_bytes()) else { continue };
        let has_come = subscription.is_subscribe();
        room.send(notice(&String::from_utf8_lossy(name), has_come))?;
        if !has_come && !room.peers().iter().any(|peer| peer.endpoint() == INSIDE) {
            room.close(CLOSING_TIME);
            return Ok(());
        }
    }
}

/// What the room says when a guest has come, or left.
pub(crate) fn notice(name: &str, has_come: bool) -> Message {
    Message::from(format!("* {name} {}", if has_come { "came" } else { "left" }))
}
