//! Without the feature `tracing` nobody is told.
#![forbid(unsafe_code)]

use crate::session::{EventKind, Scene};

pub(super) const fn is_on() -> bool {
    false
}

pub(super) const fn tell(_: Scene<'_>, _: &EventKind) {}
