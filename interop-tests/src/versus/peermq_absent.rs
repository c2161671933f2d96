//! Stands in for [`peermq`](super::peermq_peer) where the package is built without that feature.

use anyhow::{Result, bail};

use super::libzmq_peer::{LibzmqPair, LibzmqPull, LibzmqPush};
use super::side::Implementation;
use super::task::Task;

/// Refuses every task.
#[derive(Debug)]
pub(crate) struct Peermq;

impl Implementation for Peermq {
    type Push = LibzmqPush;
    type Pull = LibzmqPull;
    type Pair = LibzmqPair;

    fn new(_: &Task) -> Result<Self> {
        bail!("built without the feature `peermq`")
    }

    fn bind_pull(&self) -> Result<(LibzmqPull, String)> {
        Self::refuse()
    }

    fn connect_push(&self, _: &str) -> Result<LibzmqPush> {
        Self::refuse()
    }

    fn bind_pair(&self) -> Result<(LibzmqPair, String)> {
        Self::refuse()
    }

    fn connect_pair(&self, _: &str) -> Result<LibzmqPair> {
        Self::refuse()
    }
}

impl Peermq {
    fn refuse<T>() -> Result<T> {
        bail!("built without the feature `peermq`")
    }
}
