//! The table of socket types: names on the wire, libzmq's codes, and who may talk to whom.
//!
//! A socket type is one row here and one file in `patterns/`. Source: RFC 37, "The Socket-Type property".
#![forbid(unsafe_code)]

/// Expands the table into [`SocketType`] and its lookups.
macro_rules! socket_types {
    ($($variant:ident = $code:literal, $name:literal, [$($peer:ident),*], $source:literal;)*) => {
        /// What a socket does with messages; announced to every peer in READY.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum SocketType {
            $(
                #[doc = concat!("`", $name, "`, libzmq's code ", $code, ". Source: ", $source, ".")]
                $variant,
            )*
        }

        impl SocketType {
            /// Every socket type, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the name that goes over the wire, such as `PUSH`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns libzmq's number for this type (`ZMQ_PUSH` is 8).
            #[must_use]
            pub const fn code(self) -> i32 {
                match self { $(Self::$variant => $code,)* }
            }

            /// Returns the types that may be at the other end.
            #[must_use]
            pub const fn peers(self) -> &'static [Self] {
                match self { $(Self::$variant => &[$(Self::$peer),*],)* }
            }
        }
    };
}

socket_types! {
    // name  code  on the wire  may talk to  source
    Pair = 0, "PAIR", [Pair], "RFC 31";
    Pub = 1, "PUB", [Sub, XSub], "RFC 29";
    Sub = 2, "SUB", [Pub, XPub], "RFC 29";
    Req = 3, "REQ", [Rep, Router], "RFC 28";
    Rep = 4, "REP", [Req, Dealer], "RFC 28";
    Dealer = 5, "DEALER", [Rep, Dealer, Router], "RFC 28";
    Router = 6, "ROUTER", [Req, Dealer, Router], "RFC 28";
    Pull = 7, "PULL", [Push], "RFC 30";
    Push = 8, "PUSH", [Pull], "RFC 30";
    XPub = 9, "XPUB", [Sub, XSub], "RFC 29";
    XSub = 10, "XSUB", [Pub, XPub], "RFC 29";
    Stream = 11, "STREAM", [], "libzmq's zmq_socket(3)";
}

impl SocketType {
    /// Finds the type by the octets of a `Socket-Type` property; exact, upper case (RFC 37).
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|candidate| candidate.name().as_bytes() == name)
    }

    /// Finds the type by its number in a ZMTP 2.0 greeting (RFC 15). XPUB and XSUB have none there, but libzmq
    /// sends theirs.
    pub(crate) fn from_revision_1(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|candidate| !candidate.is_raw() && candidate.code() == i32::from(code))
    }

    /// Returns the type's number in a ZMTP 2.0 greeting, where XPUB is PUB, and XSUB is SUB (RFC 15).
    pub(crate) fn revision_1(self) -> u8 {
        let known = match self {
            Self::XPub => Self::Pub,
            Self::XSub => Self::Sub,
            Self::Dealer | Self::Pair | Self::Pub | Self::Pull | Self::Push => self,
            Self::Rep | Self::Req | Self::Router | Self::Stream | Self::Sub => self,
        };
        u8::try_from(known.code()).unwrap_or(u8::MAX)
    }

    /// Whether the two types may be connected.
    #[must_use]
    pub fn talks_to(self, peer: Self) -> bool {
        self.peers().contains(&peer)
    }

    /// Whether sockets of this type tell their peers their routing id (RFC 37, "The Identity property").
    pub(crate) fn announces_routing_id(self) -> bool {
        matches!(self, Self::Dealer | Self::Req | Self::Router)
    }

    /// Whether `conflate` keeps only the latest message to a peer: as in libzmq.
    pub(crate) fn conflates_out(self) -> bool {
        matches!(self, Self::Dealer | Self::Pub | Self::Push)
    }

    /// Whether `conflate` keeps only the latest message from a peer: as in libzmq.
    pub(crate) fn conflates_in(self) -> bool {
        matches!(self, Self::Dealer | Self::Pull | Self::Sub)
    }

    /// Whether a peer of this type's sockets may hear from them at any time.
    pub(crate) fn sends_unasked(self) -> bool {
        matches!(self, Self::Dealer | Self::Pair | Self::Push | Self::Router)
    }

    /// Whether sockets of this type may receive at any time.
    pub(crate) fn receives_unasked(self) -> bool {
        matches!(self, Self::Dealer | Self::Pair | Self::Pull | Self::Router)
    }

    /// Whether a second connection to where one is connected already would make no sense: every message would arrive
    /// twice, or its answer at random. As in libzmq.
    pub(crate) fn connects_once(self) -> bool {
        matches!(self, Self::Dealer | Self::Pub | Self::Req | Self::Sub)
    }

    /// Whether an application never sends with sockets of this type.
    pub(crate) fn only_receives(self) -> bool {
        matches!(self, Self::Pull | Self::Sub)
    }

    /// Whether an application sends with sockets of this type.
    pub(crate) fn can_send(self) -> bool {
        !self.only_receives()
    }

    /// Whether an application receives with sockets of this type.
    pub(crate) fn can_receive(self) -> bool {
        !matches!(self, Self::Pub | Self::Push)
    }

    /// Whether nothing that a peer of this type's sockets sends concerns them: a PUB hears of subscriptions.
    pub(crate) fn is_deaf(self) -> bool {
        self == Self::Push
    }

    /// Whether peers subscribe at sockets of this type.
    pub(crate) fn is_publisher(self) -> bool {
        matches!(self, Self::Pub | Self::XPub)
    }

    /// Whether sockets of this type send and receive in turn.
    pub(crate) fn takes_turns(self) -> bool {
        matches!(self, Self::Rep | Self::Req)
    }

    /// Whether sockets of this type take notes between the messages of a peer: that it came, that it went,
    /// what it subscribes to.
    pub(crate) fn takes_notes(self) -> bool {
        matches!(self, Self::Pub | Self::Router | Self::XPub)
    }

    /// Whether whoever receives with sockets of this type hears of peers that said nothing to be received, whatever the
    /// options.
    pub(crate) fn tells_of_peers(self) -> bool {
        matches!(self, Self::Stream | Self::XPub)
    }

    /// Whether what is queued for a peer that we connected to waits for its next connection. A reply of a REP
    /// does not: the one who asked is gone. Nor do a STREAM's octets: they continue what the peer has read.
    pub(crate) fn keeps_queues(self) -> bool {
        !matches!(self, Self::Rep | Self::Stream)
    }

    /// Whether sockets of this type exchange octets without ZMTP, with peers that know nothing of it.
    pub(crate) fn is_raw(self) -> bool {
        self == Self::Stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_talks_to_whom_is_symmetric() {
        for &a in SocketType::ALL {
            for &b in SocketType::ALL {
                assert_eq!(a.talks_to(b), b.talks_to(a), "{a:?} {b:?}");
            }
            assert_eq!(SocketType::from_name(a.name().as_bytes()), Some(a));
        }
        assert_eq!(SocketType::from_name(b"push"), None);
    }
}
