//! Notes: what a session tells its socket's pattern between the messages of a peer, in order with them.
//!
//! A note has the shape of a command: the octets of its name counted, the name, data. SUBSCRIBE and CANCEL
//! come from the peer as they are (RFC 37); the others are ours, and never on the wire.
#![forbid(unsafe_code)]

/// Connections came or went: what, the pipe tells.
pub(super) const PASSAGE: &[u8] = b"\x07PASSAGE";

/// The connection is over; what the peer said of itself does not hold any more.
pub(crate) const DOWN: &[u8] = b"\x04DOWN";

const UP: &[u8] = b"\x02UP";

/// A note, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note<'a> {
    /// The peer takes a subscription to this topic back.
    Cancel(&'a [u8]),
    /// The connection is over.
    Down,
    /// Connections of a pipe that outlives them came or went: see [`Pipes::take_passage`](super::Pipes::take_passage).
    Passage,
    /// The peer wants what starts with this topic.
    Subscribe(&'a [u8]),
    /// A connection is ready. The routing id that the peer announced; empty without one.
    Up(&'a [u8]),
}

impl<'a> Note<'a> {
    /// Parses the frame of a [`Taken::Note`](super::Taken).
    pub(crate) fn parse(octets: &'a [u8]) -> Option<Self> {
        if let Some(topic) = octets.strip_prefix(b"\x09SUBSCRIBE") {
            return Some(Self::Subscribe(topic));
        }
        if let Some(topic) = octets.strip_prefix(b"\x06CANCEL") {
            return Some(Self::Cancel(topic));
        }
        match octets.strip_prefix(UP) {
            Some(routing_id) => Some(Self::Up(routing_id)),
            None if octets == PASSAGE => Some(Self::Passage),
            None => (octets == DOWN).then_some(Self::Down),
        }
    }
}

/// The note that a connection is ready.
pub(crate) fn up(routing_id: &[u8]) -> Vec<u8> {
    [UP, routing_id].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_parse_back() {
        assert_eq!(Note::parse(DOWN), Some(Note::Down));
        assert_eq!(Note::parse(PASSAGE), Some(Note::Passage));
        assert_eq!(Note::parse(&up(b"id")), Some(Note::Up(b"id")));
        assert_eq!(Note::parse(&up(b"")), Some(Note::Up(b"")));
        assert_eq!(Note::parse(b"\x09SUBSCRIBEa"), Some(Note::Subscribe(b"a")));
        assert_eq!(Note::parse(b"\x06CANCEL"), Some(Note::Cancel(b"")));
        assert_eq!(Note::parse(b"\x04PING"), None);
    }
}
