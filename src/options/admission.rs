//! Who may connect at all, and how many at a time may try: before anything is known of them but an address.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::value::Unit;
use crate::error::InvalidValue;
use crate::limits::{HANDSHAKE_SHARES, HANDSHAKES_MAX};

/// Ranges of IP addresses, such as `10.0.0.0/8`, `::1` and `fe80::/10`.
///
/// An IPv4 address that comes by IPv6 (`::ffff:10.0.0.1`) is the IPv4 address, and a range of them
/// (`::ffff:10.0.0.0/104`) is the range of IPv4 addresses. Ranges of other IPv6 addresses, such as `::/0`, hold none
/// of those.
///
/// A list that was made of nothing is not [`NONE`](Self::NONE): no address is in it, so that
/// [`accept_only`](crate::Options::accept_only) of it lets nobody in.
///
/// ```
/// use peermq::{AddressRanges, InvalidValue};
///
/// let local = AddressRanges::new(["127.0.0.0/8", "::1"])?;
/// assert!(local.contains("127.0.0.1".parse().unwrap()));
/// assert!(!local.contains("10.0.0.1".parse().unwrap()));
/// assert!(AddressRanges::new(["10.0.0.0/33"]).is_err());
/// # Ok::<(), InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRanges(Option<Arc<[Range]>>);

/// An address, and how many of its bits count.
type Range = (IpAddr, u32);

impl AddressRanges {
    /// No list: as an option, nothing is asked of addresses.
    pub const NONE: Self = Self(None);

    /// Returns ranges, each an address, or an address and how many of its bits count.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for a text that is none, and for IPv4 addresses in IPv6's form with fewer than 96 bits.
    pub fn new<T: AsRef<str>>(ranges: impl IntoIterator<Item = T>) -> Result<Self, InvalidValue> {
        let ranges: Vec<_> =
            ranges.into_iter().map(|range| parse(range.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self(Some(ranges.into())))
    }

    /// Whether there are no ranges: no address is in them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|ranges| ranges.is_empty())
    }

    /// Whether this is [`NONE`](Self::NONE), and no list.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the address is in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().flat_map(|ranges| ranges.iter()).any(|range| is_in(address, *range))
    }
}

fn parse(text: &str) -> Result<Range, InvalidValue> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| NO_RANGE)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits: u32 = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| NO_RANGE))?;
    match (address, address.to_canonical()) {
        _ if bits > most => Err(NO_RANGE),
        (IpAddr::V6(_), mapped @ IpAddr::V4(_)) => {
            Ok((mapped, bits.checked_sub(MAPPED_BITS).ok_or(NO_RANGE)?))
        }
        (address, _) => Ok((address, bits)),
    }
}

/// Bits in front of an IPv4 address in IPv6's form.
const MAPPED_BITS: u32 = 96;

fn is_in(address: IpAddr, (range, bits): Range) -> bool {
    match (address, range) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let differs = a.to_bits() ^ b.to_bits();
            differs.checked_shr(32 - bits).unwrap_or_default() == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let differs = a.to_bits() ^ b.to_bits();
            differs.checked_shr(128 - bits).unwrap_or_default() == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

impl fmt::Display for AddressRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ranges) = &self.0 else { return f.write_str("none") };
        if ranges.is_empty() {
            return f.write_str("nobody");
        }
        let ranges: Vec<_> = ranges.iter().map(|(address, bits)| format!("{address}/{bits}")).collect();
        f.write_str(&ranges.join(", "))
    }
}

impl Unit for AddressRanges {
    const UNIT: &'static str = "ranges";
}

/// Most connections that may be in their handshake at the same time, in all or from one host.
///
/// ```
/// use peermq::HandshakesMax;
///
/// assert_eq!(HandshakesMax::from(100).limit(), Some(100));
/// assert_eq!(HandshakesMax::from(0), HandshakesMax::UNLIMITED);
/// assert_eq!(HandshakesMax::DEFAULT.limit(), Some(16_384));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandshakesMax(Most);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Most {
    Any,
    Number(NonZeroU32),
    Share,
}

impl HandshakesMax {
    /// In all: 16,384, more than any honest crowd of clients needs at the same time.
    pub const DEFAULT: Self = match NonZeroU32::new(HANDSHAKES_MAX) {
        Some(limit) => Self(Most::Number(limit)),
        None => Self::UNLIMITED,
    };

    /// From one host: an eighth of all places, once half of them are taken; until then, and if their number is not
    /// limited, any number. Only for [`handshakes_max_per_address`](crate::Options::handshakes_max_per_address); in all
    /// it is any number.
    pub const FAIR_SHARE: Self = Self(Most::Share);

    /// Any number.
    pub const UNLIMITED: Self = Self(Most::Any);

    /// Returns the limit, if there is one that is a number.
    #[must_use]
    pub fn limit(self) -> Option<u32> {
        match self.0 {
            Most::Any | Most::Share => None,
            Most::Number(limit) => Some(limit.get()),
        }
    }

    /// Whether one more may come when there are so many.
    pub(crate) fn has_room(self, now: u32) -> bool {
        self.limit().is_none_or(|limit| now < limit)
    }

    /// Whether one more may come from a host when there are so many in `all`, of `most`, and so many from there.
    pub(crate) fn has_room_for_host(self, from_there: u32, all: u32, most: Self) -> bool {
        let Some(most) = most.limit().filter(|_| self.0 == Most::Share) else {
            return self.has_room(from_there);
        };
        all < most.div_ceil(2) || from_there < most.div_ceil(HANDSHAKE_SHARES)
    }
}

/// Zero is any number.
impl From<u32> for HandshakesMax {
    fn from(limit: u32) -> Self {
        Self(NonZeroU32::new(limit).map_or(Most::Any, Most::Number))
    }
}

impl fmt::Display for HandshakesMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Most::Any => f.write_str("unlimited"),
            Most::Number(limit) => limit.fmt(f),
            Most::Share => f.write_str("a fair share"),
        }
    }
}

impl Unit for HandshakesMax {
    const UNIT: &'static str = "connections";
}

/// What is wrong with other values.
const NO_RANGE: InvalidValue = InvalidValue::new(
    "accept_only or accept_never",
    "addresses such as 10.0.0.1, with at most so many bits behind a `/`: 32, or 128 for IPv6, and no fewer than 96 for IPv4 in the form of IPv6",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_their_bits_say() {
        for (range, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.2"),
            ("10.1.2.3/32", "::ffff:10.1.2.3", "10.1.2.4"),
            ("128.0.0.0/1", "255.0.0.0", "127.0.0.0"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
            ("fe80::/10", "febf::1", "fec0::"),
            ("::1", "::1", "::2"),
            ("::/0", "::1", "1.2.3.4"),
            ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"),
            ("::ffff:10.0.0.0/104", "::ffff:10.255.0.1", "::ffff:11.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("::ffff:0:0/96", "1.2.3.4", "::1"),
        ] {
            let ranges = AddressRanges::new([range]).unwrap();
            assert!(ranges.contains(inside.parse().unwrap()), "{range} {inside}");
            assert!(!ranges.contains(outside.parse().unwrap()), "{range} {outside}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0/8",
            "localhost",
            "10.0.0.0/8/8",
            "::ffff:10.0.0.0/8",
            "::ffff:0:0/95",
        ] {
            assert!(AddressRanges::new([text]).is_err(), "{text}");
        }
        assert!(!AddressRanges::NONE.contains("10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn a_list_of_nothing_holds_nobody_and_is_not_no_list() {
        let nobody = AddressRanges::new::<&str>([]).unwrap();
        assert!(nobody != AddressRanges::NONE && nobody.is_empty() && !nobody.is_none());
        assert!(AddressRanges::NONE.is_empty() && AddressRanges::NONE.is_none());
        assert!(!nobody.contains("10.1.2.3".parse().unwrap()));
        assert_eq!(nobody.to_string(), "nobody");
    }
}
