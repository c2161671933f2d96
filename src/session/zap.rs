//! What is said to a ZAP handler, and what it answers: messages without the sockets that carry them.
//!
//! Whatever an answer says that RFC 27 does not allow keeps the peer out. Source: RFC 27/ZAP.
#![forbid(unsafe_code)]

use crate::endpoint::{Address, Endpoint, Host};
use crate::error::{AuthStatus, Reason};
use crate::message::{Frame, Message};
use crate::options::{Admission, Candidate, Credentials, Decision, ProcessCredentials};
use crate::wire;

/// The request about a candidate, with this number as its id.
pub(crate) fn request(number: u64, domain: &str, candidate: &Candidate) -> Message {
    let identity = candidate.properties().find(|(name, _)| name.eq_ignore_ascii_case("Identity"));
    let mut message = Message::from(Frame::default());
    message.push(VERSION);
    message.push(number.to_string());
    message.push(domain);
    message.push(address(candidate.endpoint(), candidate.process()));
    message.push(identity.map_or(&b""[..], |(_, value)| value));
    message.push(candidate.mechanism().name());
    match &candidate.credentials {
        Credentials::Null => {}
        Credentials::Plain(credentials) => {
            message.push(credentials.username());
            message.push(credentials.password());
        }
        Credentials::Curve(key) => message.push(&key.as_bytes()[..]),
    }
    message
}

/// What an answer says about which number; `None` when it answers nothing that could have been asked.
pub(crate) fn parse_reply(reply: &Message) -> Option<(u64, Decision)> {
    let frames: Vec<&[u8]> = reply.frames().map(Frame::as_bytes).collect();
    let number = std::str::from_utf8(frames.get(2)?).ok()?;
    let number = number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number)?;
    Some((number, parse_decision(&frames).unwrap_or(Decision::Refuse(AuthStatus::Failed, Reason::NONE))))
}

/// `None` when the answer is not as RFC 27 has it.
fn parse_decision(frames: &[&[u8]]) -> Option<Decision> {
    let [b"", b"1.0", _, status, text, user_id, metadata] = *frames else { return None };
    let is_text = |octets: &[u8]| octets.len() <= usize::from(u8::MAX);
    if !is_text(text) || !is_text(user_id) {
        return None;
    }
    let properties = wire::parse_metadata(metadata).ok()?;
    if status == b"200" {
        let user_id = String::from_utf8(user_id.to_vec()).ok()?;
        return Some(Decision::Allow(Admission::from_zap(user_id, properties)));
    }
    AuthStatus::from_text(status).map(|status| Decision::Refuse(status, Reason::from_octets(text)))
}

/// The address as RFC 27 has it, or as libzmq has it for ipc.
fn address(endpoint: &Endpoint, process: Option<ProcessCredentials>) -> String {
    match (endpoint.address(), process) {
        (Address::Tcp { host: Host::Ip(ip), .. }, _) => ip.to_canonical().to_string(),
        (Address::Tcp { host: Host::Zoned(ip, zone), .. }, _) => format!("{ip}%{zone}"),
        (_, Some(ProcessCredentials { pid, uid, gid })) => {
            format!(":{uid}:{gid}:{}", pid.unwrap_or_default())
        }
        _ => String::new(),
    }
}

const VERSION: &str = "1.0";

#[cfg(test)]
mod rfc27 {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::options::PlainCredentials;

    fn candidate(endpoint: &str, credentials: Credentials) -> Candidate {
        let properties = Arc::new([("identity".into(), Bytes::from_static(b"me"))]);
        Candidate { endpoint: endpoint.parse().unwrap(), credentials, properties, process: None }
    }

    fn plain() -> Credentials {
        Credentials::Plain(PlainCredentials::new("admin", "secret").unwrap())
    }

    #[test]
    fn requests_have_the_frames_of_the_rfc() {
        //
        let null = request(7, "global", &candidate("tcp://127.0.0.1:5", Credentials::Null));
        assert_eq!(null, ["", "1.0", "7", "global", "127.0.0.1", "me", "NULL"]);
        let message = request(8, "d", &candidate("tcp://[::1]:5", plain()));
        assert_eq!(message, ["", "1.0", "8", "d", "::1", "me", "PLAIN", "admin", "secret"]);
        let mut ipc = candidate("ipc:///tmp/x", Credentials::Null);
        assert_eq!(request(7, "d", &ipc).frame(4).unwrap().as_bytes(), b"");
        ipc.process = Some(ProcessCredentials { pid: Some(3), uid: 1, gid: 2 });
        assert_eq!(request(7, "d", &ipc).frame(4).unwrap().as_bytes(), b":1:2:3");
    }

    #[test]
    fn an_identity_is_passed_on_whatever_its_octets() {
        //
        for identity in [&b""[..], &[0xFF; 255]] {
            let mut candidate = candidate("tcp://127.0.0.1:5", Credentials::Null);
            candidate.properties = Arc::new([("Identity".into(), Bytes::from_static(identity))]);
            let message = request(7, "d", &candidate);
            assert_eq!(message.frame(5).unwrap().as_bytes(), identity);
        }
    }

    #[cfg(feature = "curve")]
    #[test]
    fn a_key_is_32_octets() {
        //
        let key = crate::options::CurvePublicKey::from_bytes([0xE1; 32]);
        let message = request(9, "d", &candidate("tcp://[fe80::1]:5", Credentials::Curve(key)));
        let frames: Vec<&[u8]> = message.frames().map(Frame::as_bytes).collect();
        assert_eq!(frames[4..], [&b"fe80::1"[..], b"me", b"CURVE", &[0xE1; 32]]);
    }

    fn reply(frames: &[&[u8]]) -> Message {
        Message::from_frames(frames.iter().map(|frame| Frame::from(*frame))).unwrap()
    }

    const GOOD: [&[u8]; 7] = [b"", b"1.0", b"7", b"200", b"OK", b"joe", b"\x01a\0\0\0\x01b"];

    /// What an answer with one other frame says.
    fn with(at: usize, frame: &[u8]) -> Option<(u64, Decision)> {
        let mut frames = GOOD;
        frames[at] = frame;
        parse_reply(&reply(&frames))
    }

    const FAILED: Option<(u64, Decision)> = Some((7, Decision::Refuse(AuthStatus::Failed, Reason::NONE)));

    #[test]
    fn a_good_answer_lets_in_with_user_and_metadata() {
        //
        let Some((7, Decision::Allow(admission))) = parse_reply(&reply(&GOOD)) else { panic!() };
        assert_eq!(admission.user_id(), "joe");
        assert_eq!(admission.properties().collect::<Vec<_>>(), [("a", &b"b"[..])]);
    }

    #[test]
    fn every_other_answer_keeps_out() {
        //
        for (at, frame) in [
            (0, &b"x"[..]),
            (1, b"1.1"),
            (1, b"2.0"),
            (1, b""),
            (4, &[b'x'; 256]),
            (5, &[b'x'; 256]),
            (5, b"\xff"),
            (6, b"\0"),
            (6, b"\x01a\0\0\0\x02b"),
            (6, b"\x01a\0\0\0\x01b\x01A\0\0\0\x01b"),
            (6, b"\x01a\xff\xff\xff\xff"),
        ] {
            assert_eq!(with(at, frame), FAILED, "{at} {frame:?}");
        }
        for status in 0..1000 {
            let text = format!("{status:03}");
            let expected = match status {
                200 => continue,
                300 => AuthStatus::NotNow,
                400 => AuthStatus::Refused,
                500 => AuthStatus::Failed,
                _ => {
                    assert_eq!(with(3, text.as_bytes()), FAILED);
                    continue;
                }
            };
            let expected = Decision::Refuse(expected, Reason::new("OK"));
            assert_eq!(with(3, text.as_bytes()), Some((7, expected)), "with the text of the answer");
        }
        for status in [&b""[..], b"20", b"2000", b" 200", b"0200", b"OK"] {
            assert_eq!(with(3, status), FAILED);
        }
    }

    #[test]
    fn an_answer_has_seven_frames() {
        //
        for count in 1..10 {
            let frames: Vec<&[u8]> = GOOD.into_iter().chain([&b""[..]; 3]).take(count).collect();
            match (parse_reply(&reply(&frames)), count) {
                (None, 1 | 2) | (Some((7, Decision::Allow(_))), 7) => {}
                (answer, _) => assert_eq!(answer, FAILED, "{count}"),
            }
        }
    }

    #[test]
    fn an_answer_to_something_else_is_none() {
        //
        for number in [&b""[..], b"07", b"+7", b" 7", b"seven", b"7\0", b"18446744073709551616", b"\xff"] {
            assert_eq!(with(2, number), None);
        }
        assert_eq!(with(2, b"8").unwrap().0, 8);
    }
}
