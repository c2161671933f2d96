//! What monitors are told of, as events of the crate tracing: target `peermq`, a name for what happened in `event`, and
//! where and why in the other fields.
#![forbid(unsafe_code)]

use tracing::{Level, enabled, event};

use crate::session::{EventKind, Scene};

const TARGET: &str = "peermq";

/// Whether anybody would hear of some events: those that matter most.
pub(super) fn is_on() -> bool {
    enabled!(target: TARGET, Level::WARN)
}

/// Tells what has happened.
pub(super) fn tell(scene: Scene<'_>, kind: &EventKind) {
    let routing_id = if let EventKind::RoutingIdInUse(name) = kind { Some(name) } else { None };
    // A level has to be known when this is compiled.
    macro_rules! at {
        ($level:expr) => {
            event!(
                target: TARGET,
                $level,
                event = kind.name(),
                endpoint = scene.endpoint.map(tracing::field::display),
                address = scene.address.map(tracing::field::display),
                connection = scene.connection,
                accepted = scene.is_accepted,
                reason = kind.reason().map(tracing::field::display),
                routing_id = routing_id.map(tracing::field::display),
            )
        };
    }
    match kind {
        EventKind::AcceptFailed(_)
        | EventKind::BindFailed(_)
        | EventKind::HandshakeFailed(_)
        | EventKind::RoutingIdInUse(_)
        | EventKind::TurnedAway(_) => at!(Level::WARN),
        EventKind::Closed(_) | EventKind::Disconnected(_) | EventKind::Listening | EventKind::Ready(_) => {
            at!(Level::INFO)
        }
        EventKind::Accepted
        | EventKind::ConnectFailed(_)
        | EventKind::Connected
        | EventKind::Connecting
        | EventKind::Dropped(_)
        | EventKind::Left
        | EventKind::Missed(_)
        | EventKind::Retried { .. }
        | EventKind::Stopped => at!(Level::DEBUG),
    }
}

/// Tells of messages that keep a context from ending, or are lost with it. If nobody listens, and it is something that
/// people wait for, to whoever reads what the program says.
pub(crate) fn tell_left(text: &str, messages: u64, is_waited_for: bool) {
    if enabled!(target: TARGET, Level::WARN) {
        event!(target: TARGET, Level::WARN, event = "left", messages, "{text}");
    } else if is_waited_for {
        eprintln!("peermq: {text}");
    }
}
