//! Where the bodies of a sender come from, for implementations that can take large ones over.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::stamp;

/// Larger bodies are shared with the implementation instead of being copied into its queue.
const LARGEST_COPIED: usize = 4096;

/// Bodies of one size, each with its number.
#[derive(Debug)]
pub struct Bodies(Kind);

#[derive(Debug)]
enum Kind {
    Copied(Vec<u8>),
    /// Bodies in flight, the oldest first, and those that the implementation has let go of.
    Shared {
        size: usize,
        in_flight: VecDeque<Bytes>,
        free: Vec<BytesMut>,
    },
}

/// A body to send.
#[derive(Debug)]
pub enum Body<'a> {
    /// To be copied.
    Copied(&'a [u8]),
    /// To be kept for as long as it takes.
    Shared(Bytes),
}

impl Bodies {
    /// Bodies of `size` octets.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self(if size <= LARGEST_COPIED {
            Kind::Copied(vec![0; size])
        } else {
            Kind::Shared { size, in_flight: VecDeque::new(), free: Vec::new() }
        })
    }

    /// A body that starts with `sequence`.
    #[inline]
    pub fn next(&mut self, sequence: u64) -> Body<'_> {
        match &mut self.0 {
            Kind::Copied(buffer) => {
                stamp::write(buffer, sequence);
                Body::Copied(buffer)
            }
            Kind::Shared { size, in_flight, free } => {
                Body::Shared(shared_body(in_flight, free, *size, sequence))
            }
        }
    }
}

/// A stamped body that the implementation may keep: the one that it has let go of last, which is in the cache
/// still, or a new one. As with libzmq only the stamp is written once a body exists.
fn shared_body(
    in_flight: &mut VecDeque<Bytes>,
    free: &mut Vec<BytesMut>,
    size: usize,
    sequence: u64,
) -> Bytes {
    while let Some(body) = in_flight.pop_front() {
        match body.try_into_mut() {
            Ok(body) => free.push(body),
            Err(held) => {
                in_flight.push_front(held);
                break;
            }
        }
    }
    let mut body = free.pop().unwrap_or_else(|| BytesMut::zeroed(size));
    stamp::write(&mut body, sequence);
    let body = body.freeze();
    in_flight.push_back(body.clone());
    body
}
