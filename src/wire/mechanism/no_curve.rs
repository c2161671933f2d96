//! In place of CURVE, without the feature `curve`: types that have no values, as its keys have none.
#![forbid(unsafe_code)]

use std::time::Instant;

use crate::error::ProtocolError;
use crate::options::{CurveKeyPair, CurvePublicKey};
use crate::wire::greeting::Version;
use crate::wire::mechanism::{Random, Step};
use crate::wire::metadata::Local;
use crate::wire::outbox::Outbox;

#[derive(Debug)]
pub(in crate::wire) enum Handshake {}

impl Handshake {
    pub(super) fn start_client(
        keys: &CurveKeyPair,
        _: CurvePublicKey,
        _: Random,
        _: &mut Outbox,
    ) -> Result<Box<Self>, ProtocolError> {
        match *keys {}
    }

    pub(super) fn start_server(keys: &CurveKeyPair) -> Box<Self> {
        match *keys {}
    }

    pub(super) fn handle_command(
        &mut self,
        _: &Local,
        _: Version,
        _: &mut [u8],
        _: Instant,
        _: &mut Outbox,
    ) -> Result<Step, ProtocolError> {
        match *self {}
    }

    pub(super) fn admit(&mut self, _: &Local, _: &mut Outbox) -> Result<Step, ProtocolError> {
        match *self {}
    }
}

/// Nothing is encrypted.
#[derive(Debug)]
pub(crate) struct Boxes {
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
}

#[derive(Debug)]
pub(crate) enum Sealer {}

impl Sealer {
    pub(crate) const OVERHEAD: usize = 0;

    pub(crate) fn begin(&mut self, _: u8, _: usize, _: &mut Vec<u8>) -> Result<usize, ProtocolError> {
        match *self {}
    }

    pub(crate) fn end(&mut self, _: usize, _: &mut [u8]) {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Opener {}

impl Opener {
    pub(crate) fn open<'a>(&mut self, _: &'a mut [u8]) -> Result<(u8, &'a [u8]), ProtocolError> {
        match *self {}
    }
}
