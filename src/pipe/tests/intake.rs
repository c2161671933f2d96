//! What an intake makes of commands, of what is under way, and of what is too much.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;

#[test]
fn commands_without_messages_take_no_memory() {
    // F-17: a million unknown commands; the tail is used again and again.
    let (producer, mut consumer) = pipe(None);
    let mut intake = producer.into_intake();
    for _ in 0..rounds(200_000, 1000) {
        feed(&mut intake, b"\x04\x04\x03FOO");
    }
    assert!(intake.tail_capacity() <= crate::limits::SEGMENT_OCTETS_MAX);
    assert_eq!(recv(&mut consumer), Err(NoMessage::Dry));
    feed(&mut intake, b"\x00\x01x");
    assert_eq!(recv(&mut consumer).unwrap(), "x");
}

#[test]
fn a_frame_whose_end_comes_octet_by_octet_stays_where_it_is() {
    for (flags, octets) in [(2, 8 * 1024), (6, crate::limits::TRAFFIC_COMMAND_MAX)] {
        let (producer, _consumer) = pipe(None);
        let mut intake = producer.into_intake();
        let frame =
            [&[flags][..], &octets.to_be_bytes(), &vec![3; usize::try_from(octets).unwrap()]].concat();
        let (most, end) = frame.split_at(frame.len() - 100);
        feed(&mut intake, most);
        let place = intake.tail_place();
        end.chunks(1).for_each(|octet| feed(&mut intake, octet));
        assert_eq!(intake.tail_place(), place);
    }
}

#[test]
fn a_long_command_is_not_held_with_the_messages_around_it() {
    let (producer, mut consumer) = pipe(None);
    let mut intake = producer.into_intake();
    let mut parts = 0;
    for round in 0..40 {
        feed(&mut intake, if round % 4 == 1 { b"\x01\x01x" } else { b"\0\x01x" });
        parts += 1;
        for piece in long_command(rounds(100_000, 10_000)).chunks(1000) {
            feed(&mut intake, piece);
        }
    }
    assert!(intake.tail_capacity() < 16 * 1024);
    for _ in 0..parts * 3 / 4 {
        assert_eq!(recv(&mut consumer).unwrap().frame(0).unwrap(), "x");
    }
    assert_eq!(recv(&mut consumer), Err(NoMessage::Dry));
    // Their headers, and those of the commands before the last message, without a body.
    assert_eq!(consumer.octets(), parts * 3 + 39 * 9);
}

#[test]
fn a_long_note_waits_for_room_and_is_told_once() {
    let (producer, mut consumer) = pipe(Some(1));
    let mut intake = producer.into_intake();
    let mut message = Message::new();
    for round in 0..3 {
        let stream = [&b"\0\x01a"[..], &long_command(20_000), b"\0\x01b"].concat();
        let (mut rest, mut told) = (&stream[..], 0);
        let mut skim = |intake: &mut Intake| {
            intake.skim(u64::MAX, &mut Chores::of_turn(), |body| {
                told += 1;
                assert!(body == [7; 20_000]);
                Ok(true)
            })
        };
        while !rest.is_empty() {
            assert_eq!(skim(&mut intake), Ok(Skimmed::Dry));
            read(&mut intake, &mut rest, 5000);
        }
        assert_eq!(skim(&mut intake), Ok(Skimmed::Full));
        assert_eq!(consumer.try_take(&mut message), Ok(Taken::Message));
        assert_eq!(consumer.try_take(&mut message), Err(NoMessage::Dry));
        if round == 2 {
            // Its connection goes meanwhile.
            intake.roll_back();
            assert_eq!(consumer.try_take(&mut message), Err(NoMessage::Dry));
            break;
        }
        assert_eq!(skim(&mut intake), Ok(Skimmed::Full));
        assert_eq!(consumer.try_take(&mut message), Ok(Taken::Note));
        assert!(message.body() == [7; 20_000]);
        assert_eq!(skim(&mut intake), Ok(Skimmed::Dry));
        assert_eq!(consumer.try_take(&mut message), Ok(Taken::Message));
        assert_eq!(message.body(), b"b");
    }
    // Nor can it stand inside a message.
    feed(&mut intake, b"\x01\x01a");
    let mut rest = &long_command(20_000)[..];
    while !rest.is_empty() {
        let _ = intake.skim(u64::MAX, &mut Chores::of_turn(), |_| unreachable!("it is not whole"));
        read(&mut intake, &mut rest, 5000);
    }
    let refused = intake.skim(u64::MAX, &mut Chores::of_turn(), |_| Ok(true));
    assert_eq!(refused, Err(crate::ProtocolError::UnexpectedCommand));
    assert_eq!(consumer.try_take(&mut message), Err(NoMessage::Dry));
}

#[test]
fn a_limit_on_octets_is_one_on_all_frames_of_a_message() {
    let part = |flags, octets: u8| [&[flags, octets], &vec![7; octets.into()][..]].concat();
    let skim = |intake: &mut Intake, octets: &[u8]| {
        intake.push(octets);
        intake.skim(100, &mut Chores::of_turn(), |_| Ok(false))
    };
    for _ in 0..2 {
        let (producer, mut consumer) = pipe(None);
        let mut intake = producer.into_intake();
        // To the octet, message for message, with a command between the frames, and for a connection that is new.
        for _ in 0..3 {
            for octets in [part(1, 60), b"\x04\x04\x03FOO".to_vec(), part(1, 0), part(0, 40)] {
                assert_eq!(skim(&mut intake, &octets), Ok(Skimmed::Dry));
            }
            assert_eq!(recv(&mut consumer).unwrap().size(), 100);
            assert_eq!(skim(&mut intake, &part(1, 99)), Ok(Skimmed::Dry));
            intake.roll_back();
        }
        assert_eq!(skim(&mut intake, &part(1, 60)), Ok(Skimmed::Dry));
        // The header is enough.
        let refused = skim(&mut intake, b"\0\x29");
        assert_eq!(refused, Err(crate::ProtocolError::MessageTooLarge(101)));
    }
}

#[test]
fn octets_of_a_message_under_way_wait_for_those_before_it() {
    for large in [4 * 1024_u32, 16 * 1024] {
        let (mut producer, mut consumer) = pipe(None);
        producer.limit_octets(64 * 1024);
        let mut intake = producer.into_intake();
        feed(&mut intake, b"\0\x01a");
        let part = [&[3][..], &u64::from(large).to_be_bytes(), &vec![7; large as usize]].concat();
        let go_on = |intake: &mut Intake| {
            for parts in 0..100_u32 {
                intake.push(&part);
                if intake.skim(u64::MAX, &mut Chores::of_turn(), |_| Ok(false)) == Ok(Skimmed::Full) {
                    return parts * large;
                }
            }
            u32::MAX
        };
        let waits = go_on(&mut intake);
        assert!((32 * 1024..=80 * 1024).contains(&waits), "{waits}");
        assert!(intake.wait_for_room());
        assert_eq!(recv(&mut consumer).unwrap(), "a");
        // It has the pipe for itself now, and may be as long as it likes.
        assert_eq!(intake.skim(u64::MAX, &mut Chores::of_turn(), |_| Ok(false)), Ok(Skimmed::Dry));
        assert_eq!(go_on(&mut intake), u32::MAX);
    }
}

#[test]
#[cfg_attr(miri, ignore = "131,072 frames, one by one")]
fn endless_more_ends_at_the_limit_of_parts() {
    // B-40: frames with MORE and no end.
    let (producer, _consumer) = pipe(None);
    let mut intake = producer.into_intake();
    let mut frames = 0;
    let refused = loop {
        intake.push(b"\x01\x00");
        match intake.skim(u64::MAX, &mut Chores::of_turn(), |_| Ok(false)) {
            Ok(_) => frames += 1,
            Err(error) => break error,
        }
        assert!(frames <= crate::limits::PARTS_MAX, "there is no end");
    };
    assert_eq!(refused, crate::ProtocolError::TooManyParts);
    assert_eq!(frames, crate::limits::PARTS_MAX);
}
