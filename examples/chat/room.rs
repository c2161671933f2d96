//! The room: one XPUB, at which everything arrives.
//!
//! A guest subscribes to everything and, beside it, to its own name behind an `@`: nobody ever publishes that,
//! but the subscription says that the guest came, and its end, whatever ended it, that the guest left. Lines
//! come upstream through the same connection.

use peermq::{Context, Endpoint, Message, RecvError, Socket, Subscription, XPub};

use crate::Failure;

/// The room's endpoint within the process that opened it.
pub(crate) const INSIDE: &str = "inproc://room";

/// What a guest's presence is called, before its name.
pub(crate) const PRESENCE: &str = "@";

/// Opens a room and returns where.
pub(crate) fn open(context: &Context, endpoint: Endpoint) -> Result<(Socket<XPub>, Endpoint), Failure> {
    let mut room = context.open::<XPub>()?;
    let endpoint = room.bind(endpoint)?.endpoint().clone();
    room.bind(INSIDE)?;
    Ok((room, endpoint))
}

/// Passes on what guests say, and who comes and goes, until the context is shut down.
pub(crate) fn run(mut room: Socket<XPub>) -> Result<(), Failure> {
    loop {
        let heard = match room.recv() {
            Ok(heard) => heard,
            Err(RecvError::Terminated) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let said = match Subscription::from_message(&heard) {
            Some(subscription) => {
                let name = subscription.topic().strip_prefix(PRESENCE.as_bytes());
                let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) else { continue };
                let verb = if subscription.is_subscribe() { "came" } else { "left" };
                Message::from(format!("* {name} {verb}"))
            }
            None => heard,
        };
        room.send(said)?;
    }
}
