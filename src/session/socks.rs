//! The client's side of SOCKS5, as far as CONNECT without authentication goes.
//!
//! ```text
//!   we: methods ──▶ proxy: none needed ──▶ we: CONNECT ──▶ proxy: granted ──▶ a stream to the target
//! ```
//!
//! Sans-IO. Says how many octets to read and never asks for more than belong to an answer: what follows the
//! last one is the target's. Names go to the proxy as they are, which looks them up. Source: RFC 1928.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use crate::endpoint::Host;
use crate::error::ProxyError;

/// One conversation with a proxy.
#[derive(Debug)]
pub(super) struct Socks {
    to_send: Vec<u8>,
    received: Vec<u8>,
    /// What is asked for once the proxy has agreed to no authentication.
    request: Option<Vec<u8>>,
}

impl Socks {
    /// Asks for a connection to `host`, which is no wildcard.
    pub(super) fn new(host: &Host, port: u16) -> Self {
        let mut request = vec![VERSION, CONNECT, 0];
        match host {
            Host::Ip(IpAddr::V4(address)) => {
                request.push(IPV4);
                request.extend(address.octets());
            }
            Host::Ip(IpAddr::V6(address)) => {
                request.push(IPV6);
                request.extend(address.octets());
            }
            Host::Name(name) => {
                request.extend([NAME, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
                request.extend(name.bytes().take(usize::from(u8::MAX)));
            }
            // A zone means something here; whether it does at the proxy, the proxy must know.
            Host::Zoned(address, zone) => {
                let name = format!("{address}%{zone}");
                request.extend([NAME, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
                request.extend(name.bytes());
            }
            Host::Any => unreachable!("a wildcard cannot be connected to"),
        }
        request.extend(port.to_be_bytes());
        Self { to_send: vec![VERSION, 1, NO_AUTHENTICATION], received: Vec::new(), request: Some(request) }
    }

    /// What is to be written next.
    pub(super) fn octets(&self) -> &[u8] {
        &self.to_send
    }

    /// So many of them were written.
    pub(super) fn advance(&mut self, count: usize) {
        self.to_send.drain(..count.min(self.to_send.len()));
    }

    /// How many octets of the next answer are missing at least.
    pub(super) fn wanted(&self) -> usize {
        let whole = match (&self.request, self.received.as_slice()) {
            (Some(_), _) => 2,
            (None, [_, _, _, IPV4, ..]) => 4 + 4 + 2,
            (None, [_, _, _, IPV6, ..]) => 4 + 16 + 2,
            (None, [_, _, _, NAME, octets, ..]) => 5 + usize::from(*octets) + 2,
            (None, _) => 5,
        };
        whole.saturating_sub(self.received.len())
    }

    /// Takes what was read, at most as many octets as were wanted. `true`: the stream is the target's.
    ///
    /// # Errors
    ///
    /// What the proxy says, or that it does not speak SOCKS5.
    pub(super) fn handle_octets(&mut self, octets: &[u8]) -> Result<bool, ProxyError> {
        self.received.extend_from_slice(octets);
        if self.received.first().is_some_and(|version| *version != VERSION) {
            return Err(ProxyError::NotSocks5);
        }
        if self.wanted() > 0 {
            return self.check_answer().map(|()| false);
        }
        let Some(request) = self.request.take() else { return self.check_answer().map(|()| true) };
        if self.received.get(1) != Some(&NO_AUTHENTICATION) {
            return Err(ProxyError::AuthenticationWanted);
        }
        self.to_send = request;
        self.received.clear();
        Ok(false)
    }

    /// Judges an answer to CONNECT, as far as it has come.
    fn check_answer(&self) -> Result<(), ProxyError> {
        match (&self.request, self.received.as_slice()) {
            (None, [_, code, ..]) if *code != 0 => Err(ProxyError::Refused(*code)),
            (None, [_, _, _, kind, ..]) if ![IPV4, IPV6, NAME].contains(kind) => Err(ProxyError::NotSocks5),
            _ => Ok(()),
        }
    }
}

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds answers octet by octet; how many were taken until the stream is the target's.
    fn feed(socks: &mut Socks, answers: &[u8]) -> Result<usize, ProxyError> {
        for (at, octet) in answers.iter().enumerate() {
            socks.advance(socks.octets().len());
            assert!(socks.wanted() > 0);
            if socks.handle_octets(&[*octet])? {
                return Ok(at + 1);
            }
        }
        Ok(0)
    }

    fn connect(host: &str) -> Socks {
        let host = host.parse().map_or_else(|_| Host::Name(host.to_owned()), Host::Ip);
        Socks::new(&host, 0x1234)
    }

    #[test]
    fn it_asks_for_names_and_addresses() {
        let cases: [(&str, &[u8]); 3] = [
            ("1.2.3.4", b"\x05\x01\0\x01\x01\x02\x03\x04\x12\x34"),
            ("::1", b"\x05\x01\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34"),
            ("example.org", b"\x05\x01\0\x03\x0bexample.org\x12\x34"),
        ];
        for (host, request) in cases {
            let mut socks = connect(host);
            assert_eq!(socks.octets(), [5, 1, 0]);
            socks.advance(3);
            assert_eq!(socks.handle_octets(&[5, 0]), Ok(false));
            assert_eq!(socks.octets(), request);
        }
    }

    #[test]
    fn it_takes_every_form_of_answer_and_nothing_behind_it() {
        let answers: [&[u8]; 3] =
            [b"\x05\0\0\x01abcdpp", b"\x05\0\0\x03\x04namepp", b"\x05\0\0\x04abcdefghijklmnoppp"];
        for answer in answers {
            let all = [b"\x05\0", answer, b"\xffZMTP"].concat();
            assert_eq!(feed(&mut connect("::1"), &all), Ok(2 + answer.len()));
        }
    }

    #[test]
    fn it_says_what_the_proxy_says() {
        let cases: [(&[u8], ProxyError); 4] = [
            (b"HTTP", ProxyError::NotSocks5),
            (b"\x05\xff", ProxyError::AuthenticationWanted),
            (b"\x05\0\x05\x05", ProxyError::Refused(5)),
            (b"\x05\0\x05\0\0\x02", ProxyError::NotSocks5),
        ];
        for (answers, error) in cases {
            assert_eq!(feed(&mut connect("::1"), answers), Err(error));
        }
    }

    #[test]
    fn it_holds_no_more_than_the_longest_answer() {
        let mut socks = connect("example.org");
        let longest = [&[5, 0, 5, 0, 0, 3, 255][..], &[b'x'; 255], &[0x12, 0x34]].concat();
        let most = longest.len() - 2; // the first two octets are an answer of their own
        for octet in longest {
            socks.advance(socks.octets().len());
            assert!(socks.wanted() <= most);
            _ = socks.handle_octets(&[octet]).unwrap();
            assert!(socks.received.len() <= most);
        }
        assert_eq!((socks.received.len(), socks.wanted()), (most, 0));
    }
}
