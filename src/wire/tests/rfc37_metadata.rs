//! N-12 to N-28: the properties of READY.

use super::*;

/// READY of a PUSH with more properties behind its socket type.
fn with(properties: &[(&str, &[u8])]) -> Outcome {
    after_greeting(&ready(&[&[("Socket-Type", &b"PUSH"[..])], properties].concat()))
}

/// READY of a PUSH with raw octets behind its socket type.
fn with_raw(octets: &[u8]) -> Outcome {
    after_greeting(&command("READY", &[&property("Socket-Type", b"PUSH"), octets].concat()))
}

#[test]
fn a_name_has_at_least_one_octet_and_at_most_255() {
    // N-12: "Zero-sized names are not valid."
    assert_eq!(with_raw(b"\0\0\0\0\0").error(), ProtocolError::MalformedMetadata);
    let name = "x".repeat(255);
    assert_eq!(&*with(&[(&name, b"v")]).peer().properties[1].0, name);
}

#[test]
fn the_case_of_names_is_not_significant() {
    // N-13, D10: "The case (upper or lower) of names SHALL NOT be significant."
    for name in ["socket-type", "SOCKET-TYPE", "Socket-Type", "sOCKET-tYPE"] {
        let outcome = after_greeting(&ready(&[(name, b"PUSH"), ("iDeNtItY", b"id")]));
        let peer = outcome.peer();
        assert_eq!((peer.socket_type, &peer.routing_id[..]), (SocketType::Push, &b"id"[..]));
        assert_eq!(&*peer.properties[0].0, name);
    }
}

#[test]
fn names_have_letters_digits_and_four_signs() {
    // N-14: "name-char = ALPHA | DIGIT | "-" | "_" | "." | "+"".
    for octet in 0..=255u8 {
        let outcome = with_raw(&[1, octet, 0, 0, 0, 0]);
        if octet.is_ascii_alphanumeric() || b"-_.+".contains(&octet) {
            assert_eq!(outcome.peer().properties[1].0.as_bytes(), [octet]);
        } else {
            assert_eq!(outcome.error(), ProtocolError::MalformedMetadata, "{octet:#04x}");
        }
    }
}

#[test]
fn a_size_that_is_not_that_of_the_value_is_refused() {
    // N-15, B-39: sizes of 2^31 and more, and one octet more or less than there is.
    for size in [0x8000_0000u32, 0xFFFF_FFFF, 0x7FFF_FFFF, 3, 1] {
        let outcome = with_raw(&[&b"\x03X-a"[..], &size.to_be_bytes(), b"ab"].concat());
        assert_eq!(outcome.error(), ProtocolError::MalformedMetadata, "{size:#x}");
    }
    assert_eq!(with_raw(b"\x03X-a\0\0\0\x02ab").peer().properties[1].1, "ab");
}

#[test]
fn values_may_be_empty() {
    // N-16: "Zero-sized values are allowed."
    let outcome = with(&[("Identity", b""), ("X-foo", b"")]);
    assert!(outcome.peer().routing_id.is_empty());
    assert_eq!(outcome.peer().properties.len(), 3);
}

#[test]
fn a_truncated_list_is_refused() {
    // N-17, B-39: every prefix of READY_DEALER (here PUSH, which we talk to) as a frame of its own.
    let whole = body("READY", &metadata(&[("Socket-Type", b"PUSH"), ("Identity", b"")]));
    let name = 1 + "READY".len();
    let first = name + property("Socket-Type", b"PUSH").len();
    for len in 0..whole.len() {
        let outcome = after_greeting(&frame(&whole[..len]));
        let expected = match len {
            _ if len < name => Err(ProtocolError::MalformedCommand),
            _ if len == name => Err(ProtocolError::MissingSocketType),
            _ if len == first => Ok(64 + 2 + len),
            _ => Err(ProtocolError::MalformedMetadata),
        };
        assert_eq!(outcome.result, expected, "{len}");
    }
    assert!(after_greeting(&frame(&whole)).peer.is_some());
}

#[test]
fn no_property_comes_twice() {
    // N-18: refused whatever the case, the value, and whether the name means anything.
    let doubles: [[(&str, &[u8]); 2]; 4] = [
        [("X-a", b"1"), ("X-a", b"1")],
        [("X-a", b"1"), ("x-A", b"2")],
        [("Identity", b"a"), ("identity", b"a")],
        [("X-a", b""), ("SOCKET-TYPE", b"PUSH")],
    ];
    for properties in doubles {
        assert_eq!(with(&properties).error(), ProtocolError::DuplicateProperty);
    }
}

#[test]
fn unknown_properties_are_kept_as_sent() {
    // N-20: "The implementation MAY provide other metadata properties"; a hundred of them.
    let names: Vec<String> = (0..100).map(|n| format!("X-Foo.{n}_+")).collect();
    let properties: Vec<(&str, &[u8])> = names.iter().map(|name| (&name[..], name.as_bytes())).collect();
    let outcome = with(&properties);
    let kept = &outcome.peer().properties[1..];
    assert_eq!(kept.len(), 100);
    for ((name, value), sent) in kept.iter().zip(&names) {
        assert_eq!((&**name, &value[..]), (&sent[..], sent.as_bytes()));
    }
}

#[test]
fn an_identity_is_0_to_255_octets_and_does_not_start_with_zero() {
    // N-23, N-24, N-25, N-26, D11: "The first octet of the Identity SHALL NOT be zero".
    for id in [&b""[..], b"a", b"\xff\0", b"a\0b", &[1; 255]] {
        let outcome = with(&[("Identity", id)]);
        assert_eq!(outcome.peer().routing_id, id);
        assert_eq!(outcome.peer().socket_type, SocketType::Push);
    }
    for id in [&b"\0"[..], b"\0\x01\x02\x03\x04", &[1; 256], &[1; 1000]] {
        for name in ["Identity", "identity"] {
            let outcome = with(&[(name, id)]);
            assert_eq!(outcome.error(), ProtocolError::MalformedMetadata);
            assert_eq!(outcome.commands(), READY_PULL);
        }
    }
}

#[test]
fn our_routing_id_is_announced_by_types_that_have_a_use_for_it_only() {
    // N-23; N-24: "For all other socket types, the Identity property shall be ignored."
    for &socket_type in SocketType::ALL {
        let mut out = Outbox::new();
        let local = Local { options: named(b"me"), ..local(socket_type) };
        let mut connection = Connection::new(local, &mut out);
        connection.handle_octets(&greeting(3, 1, b"NULL"), now(), &mut out).unwrap();
        assert_eq!(out.octets()[64..], ready_of(socket_type, b"me"));
    }
}

#[test]
fn a_resource_is_names_with_slashes_between() {
    // N-28: "resource = resource-name * ( "/" resource-name )"; N-29: any of them is accepted.
    for legal in ["a", "a/b", "system/name-service/test", "$-_@.&+/Z09"] {
        let outcome = with(&[("Resource", legal.as_bytes())]);
        assert_eq!(outcome.peer().properties[1].1, legal);
    }
    for illegal in [&b""[..], b"/", b"/a", b"a/", b"a//b", b"a b", b"\x80", b"a\0", b"a?b"] {
        for name in ["Resource", "rESOURCE"] {
            assert_eq!(with(&[(name, illegal)]).error(), ProtocolError::MalformedMetadata);
        }
    }
}

#[test]
fn metadata_is_judged_before_the_socket_type() {
    // N-15, N-22: a list that does not parse says nothing, so there is nothing to answer.
    let frames = command("READY", &[&property("Socket-Type", b"DEALER")[..], b"\x01"].concat());
    let outcome = after_greeting(&frames);
    assert_eq!(outcome.error(), ProtocolError::MalformedMetadata);
    assert_eq!(outcome.commands(), READY_PULL);
}
