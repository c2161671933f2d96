//! What monitors are told of, as a counter of the crate metrics: `peermq_events_total`, with what happened as label
//! `event` and the bound or connected endpoint as label `endpoint`.
#![forbid(unsafe_code)]

use metrics::counter;

use crate::session::{EventKind, Scene};

/// Counts what has happened.
pub(super) fn count(scene: Scene<'_>, kind: &EventKind) {
    let endpoint = scene.endpoint.map_or_else(String::new, ToString::to_string);
    counter!("peermq_events_total", "event" => kind.name(), "endpoint" => endpoint).increment(1);
}
