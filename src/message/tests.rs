//! Tests of [`Message`], [`Frame`] and [`Payload`].

use bytes::Bytes;

use super::*;
use crate::limits::INLINE_BODY_MAX;

/// Bodies around every boundary that matters to a frame.
fn bodies() -> Vec<Vec<u8>> {
    [0, 1, INLINE_BODY_MAX - 1, INLINE_BODY_MAX, INLINE_BODY_MAX + 1, 1000]
        .map(|len: usize| (0..=u8::MAX).cycle().take(len).collect())
        .into()
}

#[test]
fn a_frame_wastes_no_octet() {
    const { assert!(INLINE_BODY_MAX >= 64 && INLINE_BODY_MAX <= u8::MAX as usize) };
    assert_eq!(size_of::<Frame>(), INLINE_BODY_MAX + 2);
    assert_eq!(size_of::<Frame>() % size_of::<usize>(), 0);
}

#[test]
fn a_frame_holds_what_it_was_made_from() {
    for body in bodies() {
        let shared = Bytes::from(body.clone());
        for frame in [Frame::from(body.as_slice()), Frame::from(body.clone()), Frame::from(shared.clone())] {
            assert_eq!(frame, body);
            assert_eq!(frame, shared);
            assert_eq!(frame.clone(), frame);
            assert_eq!(frame.len(), body.len());
            assert_eq!(frame.to_bytes(), body);
            assert_eq!(frame.into_bytes(), body);
        }
    }
}

#[test]
fn frames_compare_with_slices_and_text() {
    let frame = Frame::from("abc");
    assert_eq!(frame, *"abc");
    assert_eq!(frame, "abc");
    assert_eq!(frame, String::from("abc"));
    assert_eq!(frame, b"abc");
    assert_eq!(frame, b"abc"[..]);
    assert_eq!(frame, &b"abc"[..]);
    assert_ne!(frame, "abd");
    assert_eq!(frame.to_str(), Ok("abc"));
    assert!(Frame::from(b"\xff").to_str().is_err());
}

#[test]
fn owned_and_shared_bodies_are_never_copied() {
    let vec = vec![7; 10];
    let place = vec.as_ptr();
    assert_eq!(Frame::from(vec).into_bytes().as_ptr(), place);

    let bytes = Bytes::from(vec![7; 1000]);
    let place = bytes.as_ptr();
    let mut frame = Frame::new();
    frame.assign_shared(bytes);
    assert_eq!(frame.to_bytes().as_ptr(), place);
    assert_eq!(frame.take_bytes().as_ptr(), place);
    assert!(frame.is_empty());
}

#[test]
fn assign_replaces_any_body_by_any_other() {
    for old in bodies() {
        for new in bodies() {
            let shared = Bytes::from(old.clone());
            for mut frame in [Frame::from(old.as_slice()), Frame::from(old.clone()), Frame::from(shared)] {
                frame.assign(&new);
                assert_eq!(frame, new);
            }
        }
    }
}

#[test]
fn assign_keeps_the_allocation() {
    let mut frame = Frame::from(vec![1; 1000]);
    let place = frame.as_ptr();
    for len in [5, 0, 1000, 70] {
        frame.assign(&vec![2; len]);
        assert_eq!(frame.as_ptr(), place);
    }
}

#[test]
fn a_message_has_at_least_one_frame() {
    assert_eq!(Message::new().frame_count(), 1);
    assert_eq!(Message::new(), "");
    assert_eq!(Message::from([""; 0]), Message::default());
    assert_eq!(Message::from(Vec::<Frame>::new()), Message::default());
    assert_eq!(Message::from_frames([""; 0]), None);
}

#[test]
fn frames_are_visited_in_order() {
    let mut message = Message::from_frames(["a", "bb"]).unwrap();
    message.push(vec![b'c'; 3]);
    assert_eq!(message, ["a", "bb", "ccc"]);
    assert_eq!(message.body(), b"a");
    assert_eq!(message.to_str(), Ok("a"));
    assert_eq!(message.size(), 6);
    assert_eq!(message.frames().len(), 3);
    assert_eq!(message.frames().rev().map(|frame| frame.len()).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(message.frame(0).unwrap(), "a");
    assert_eq!(message.frame(2).unwrap(), "ccc");
    assert_eq!(message.frame(3), None);
    assert_eq!(Message::from(message.clone().into_frames().collect::<Vec<_>>()), message);
}

#[test]
fn a_single_frame_compares_with_its_octets_and_more_frames_do_not() {
    let message = Message::from(b"abc");
    assert_eq!(message, "abc");
    assert_eq!(message, *"abc");
    assert_eq!(message, String::from("abc"));
    assert_eq!(message, b"abc");
    assert_eq!(message, b"abc"[..]);
    assert_eq!(message, &b"abc"[..]);
    assert_eq!(message, b"abc".to_vec());
    assert_eq!(message, Bytes::from_static(b"abc"));
    assert_eq!(message, ["abc"]);
    assert_ne!(message, ["abc", ""]);
    assert_ne!(Message::from(["abc", ""]), "abc");
    assert_ne!(Message::from(["a", "b"]), ["a"]);
    assert_eq!(vec![Message::from("a"), Message::from("b")], ["a", "b"]);
}

#[test]
fn a_message_used_again_forgets_what_it_held() {
    let mut message = Message::from(["a", "b", "c"]);
    message.start().assign(b"d");
    assert_eq!(message, "d");
    message.add().assign(b"e");
    assert_eq!(message, ["d", "e"]);
    let (first, rest) = message.first_and_rest();
    assert_eq!((first.len(), rest.len()), (1, 1));
    let (first, rest) = message.first_and_rest_mut();
    first.assign(b"f");
    rest[0].assign(b"g");
    assert_eq!(message, [b"f", b"g"]);
}

#[test]
fn debug_is_readable_and_short() {
    assert_eq!(format!("{:?}", Message::from(["a\n", "é"])), r#"Message["a\n", "é"]"#);
    assert_eq!(format!("{:?}", Frame::from(b"\x00\xff")), r#"b"\x00\xff""#);
    let long = format!("{:?}", Frame::from("x".repeat(1000)));
    assert_eq!(long, format!("{:?}… (1000 octets)", "x".repeat(64)));
    let cut = format!("{:?}", Frame::from(format!("x{}", "é".repeat(100))));
    assert_eq!(cut, format!("{:?}… (201 octets)", format!("x{}", "é".repeat(31))));
}

#[test]
fn every_payload_becomes_its_message() {
    fn message<'a>(payload: impl Into<Payload<'a>>) -> Message {
        payload.into().into_message()
    }
    let original = Message::from("abc");
    assert_eq!(message(&b"abc"[..]), original);
    assert_eq!(message(b"abc"), original);
    assert_eq!(message("abc"), original);
    let (text, octets) = (String::from("abc"), b"abc".to_vec());
    assert_eq!(message(&text), original);
    assert_eq!(message(&octets), original);
    assert_eq!((message(text), message(octets)), (original.clone(), original.clone()));
    assert_eq!(message(&original), original);
    assert_eq!(message(original.clone()), original);
    assert_eq!(message(Frame::from("abc")), original);
    assert_eq!(message(Bytes::from_static(b"abc")), original);
    assert_eq!(message(["abc", "d"]), ["abc", "d"]);
    assert!(matches!(Payload::from("abc").0, PayloadKind::Slice(b"abc")));
    assert!(matches!(Payload::from(&original).0, PayloadKind::Borrowed(..)));
}
