//! Takes messages whose data stands behind an envelope: frames that lead a reply back, up to an empty one.
//!
//! Envelope and data go each to where they are kept, so that a message that is used again keeps its allocation.
//!
//! Source: RFC 28, "Overall Protocol": "zero or more reply addresses, followed by an empty delimiter".
#![forbid(unsafe_code)]

use crate::frame::{COMMAND, COUNTED, MORE};
use crate::message::{Frame, Message};
use crate::pipe::budget::Waste;
use crate::pipe::consumer::{Consumer, NoMessage};

/// What a message was that was taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Opened {
    /// Without an empty frame, or with nothing behind it. What was written is of no use.
    #[default]
    Malformed,
    /// Behind another envelope than the one that was wanted. So much is dropped.
    Unwanted(Waste),
    Whole,
}

impl Opened {
    /// What a message with these frames is when it is taken apart.
    pub(crate) fn judge<'a>(mut frames: impl Iterator<Item = &'a [u8]>, wanted: Option<&[Frame]>) -> Self {
        let (mut in_front, mut is_wanted) = (0, true);
        while let Some(frame) = frames.next() {
            is_wanted &= wanted
                .is_none_or(|wanted| wanted.get(in_front).is_some_and(|wanted| wanted.as_bytes() == frame));
            in_front += 1;
            if frame.is_empty() {
                is_wanted &= wanted.is_none_or(|wanted| wanted.len() == in_front);
                return match frames.next() {
                    None => Self::Malformed,
                    Some(_) if is_wanted => Self::Whole,
                    Some(first) => {
                        let start = Waste::default().and(first.len());
                        Self::Unwanted(frames.fold(start, |waste, frame| waste.and(frame.len())))
                    }
                };
            }
        }
        Self::Malformed
    }

    /// Takes a message apart that was not framed, as [`Consumer::try_recv_enveloped`] does one of a queue.
    pub(super) fn open(
        whole: Message,
        wanted: Option<&[Frame]>,
        envelope: &mut Vec<Frame>,
        message: &mut Message,
    ) -> Self {
        envelope.clear();
        let mut frames = whole.into_frames();
        for frame in frames.by_ref() {
            let is_delimiter = frame.is_empty();
            envelope.push(frame);
            if is_delimiter {
                break;
            }
        }
        // There is nothing behind the last frame, be it a delimiter or none.
        let Some(data) = Message::from_frames(frames) else { return Self::Malformed };
        if wanted.is_some_and(|wanted| wanted != envelope.as_slice()) {
            return Self::Unwanted(Waste::of(&data));
        }
        *message = data;
        Self::Whole
    }
}

impl Consumer {
    /// Takes the next message: its frames up to the first empty one into `envelope`, those behind it into `message`,
    /// and uses the allocations of both again. Passes over notes.
    ///
    /// `message` is as before unless the message is whole and its envelope is `wanted`, or none is.
    #[inline(never)]
    pub(crate) fn try_recv_enveloped(
        &mut self,
        wanted: Option<&[Frame]>,
        envelope: &mut Vec<Frame>,
        message: &mut Message,
    ) -> Result<Opened, NoMessage> {
        let mut in_front = 0;
        let mut behind: Option<Waste> = None;
        let mut is_wanted = true;
        loop {
            let (flags, body) = self.next_frame()?;
            if flags & COMMAND != 0 {
                if flags & COUNTED != 0 {
                    self.count_message();
                }
                continue;
            }
            if let Some(waste) = &mut behind {
                let is_first = *waste == Waste::default();
                *waste = waste.and(body.len());
                if is_wanted {
                    body.copy_to(if is_first { message.start() } else { message.add() });
                }
            } else {
                let frame = place(envelope, in_front);
                body.copy_to(frame);
                in_front += 1;
                if frame.is_empty() {
                    behind = Some(Waste::default());
                    is_wanted = wanted.is_none_or(|wanted| envelope.get(..in_front) == Some(wanted));
                }
            }
            if flags & MORE == 0 {
                break;
            }
        }
        self.count_message();
        envelope.truncate(in_front);
        Ok(match behind {
            None => Opened::Malformed,
            Some(waste) if waste == Waste::default() => Opened::Malformed,
            Some(_) if is_wanted => Opened::Whole,
            Some(waste) => Opened::Unwanted(waste),
        })
    }
}

fn place(frames: &mut Vec<Frame>, index: usize) -> &mut Frame {
    if index >= frames.len() {
        frames.push(Frame::new());
    }
    let Some(frame) = frames.get_mut(index) else {
        unreachable!("they are counted from zero, without a gap")
    };
    frame
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::pipe::pipe;

    /// Sends messages, and takes them apart into the same places.
    fn open(messages: &[&[&str]]) -> Vec<Option<(Vec<Frame>, Message)>> {
        let (mut producer, mut consumer) = pipe(None);
        for frames in messages {
            let message = Message::from_frames(frames.iter().copied()).unwrap();
            producer.try_send(&mut message.into()).unwrap();
        }
        let (mut envelope, mut message) = (Vec::new(), Message::new());
        let opened = messages.iter().map(|frames| {
            let judged = Opened::judge(frames.iter().map(|frame| frame.as_bytes()), None);
            let opened = consumer.try_recv_enveloped(None, &mut envelope, &mut message).unwrap();
            assert_eq!(opened, judged);
            let (mut front, mut behind) = (vec![Frame::from("old")], Message::from("old"));
            let whole = Message::from_frames(frames.iter().copied()).unwrap();
            assert_eq!(Opened::open(whole, None, &mut front, &mut behind), opened);
            assert!(opened != Opened::Whole || (&front, &behind) == (&envelope, &message));
            (opened == Opened::Whole).then(|| (envelope.clone(), message.clone()))
        });
        let opened = opened.collect();
        assert_eq!(consumer.try_recv_enveloped(None, &mut envelope, &mut message), Err(NoMessage::Dry));
        assert_eq!(consumer.received(), messages.len() as u64);
        opened
    }

    #[test]
    fn an_envelope_ends_at_the_first_empty_frame() {
        //
        let messages: &[(&[&str], &[&str], &[&str])] = &[
            (&["", "data"], &[""], &["data"]),
            (&["a", "b", "", "data", "", "more"], &["a", "b", ""], &["data", "", "more"]),
            (&["", ""], &[""], &[""]),
        ];
        let whole: Vec<_> = messages.iter().map(|(whole, ..)| *whole).collect();
        for (opened, (_, front, data)) in open(&whole).into_iter().zip(messages) {
            let (envelope, message) = opened.unwrap();
            assert_eq!(envelope, *front);
            assert_eq!(message, Message::from_frames(data.iter().copied()).unwrap());
        }
    }

    #[test]
    fn without_delimiter_or_data_a_message_is_malformed_and_the_next_is_not() {
        // R-13, D17
        for frames in [&["data"][..], &["a", "b"], &[""], &["a", ""]] {
            let opened = open(&[frames, &["", "data"]]);
            assert!(opened[0].is_none(), "{frames:?}");
            assert_eq!(opened[1], Some((vec![Frame::from("")], Message::from("data"))));
        }
    }

    #[test]
    fn behind_another_envelope_nothing_is_taken() {
        let (mut producer, mut consumer) = pipe(None);
        let wanted = [Frame::from("2"), Frame::new()];
        let (mut envelope, mut message) = (Vec::new(), Message::from(["as", "before"]));
        for (frames, opened) in [
            (&["1", "", "data", "more"][..], Opened::Unwanted(Waste::default().and(4).and(4))),
            (&["2", "2", "", "data"], Opened::Unwanted(Waste::default().and(4))),
            (&["", "data"], Opened::Unwanted(Waste::default().and(4))),
            (&["2", ""], Opened::Malformed),
        ] {
            let mut sent = Message::from_frames(frames.iter().copied()).unwrap().into();
            producer.try_send(&mut sent).unwrap();
            let judged = Opened::judge(frames.iter().map(|frame| frame.as_bytes()), Some(&wanted));
            let result = consumer.try_recv_enveloped(Some(&wanted), &mut envelope, &mut message);
            assert_eq!((result, judged), (Ok(opened), opened), "{frames:?}");
            let whole = Message::from_frames(frames.iter().copied()).unwrap();
            assert_eq!(Opened::open(whole, Some(&wanted), &mut envelope, &mut message), opened, "{frames:?}");
            assert_eq!(message, Message::from(["as", "before"]));
        }
        producer.try_send(&mut Message::from(["2", "", "data"]).into()).unwrap();
        let result = consumer.try_recv_enveloped(Some(&wanted), &mut envelope, &mut message);
        assert_eq!(result, Ok(Opened::Whole));
        let frames = [&b"2"[..], b"", b"data"];
        assert_eq!(Opened::judge(frames.into_iter(), Some(&wanted)), Opened::Whole);
        assert_eq!(message, "data");
    }

    #[test]
    fn notes_are_passed_over() {
        let (mut producer, mut consumer) = pipe(None);
        producer.note(b"up");
        producer.try_send(&mut Message::from(["", "data"]).into()).unwrap();
        let (mut envelope, mut message) = (Vec::new(), Message::new());
        assert_eq!(consumer.try_recv_enveloped(None, &mut envelope, &mut message), Ok(Opened::Whole));
        assert_eq!(message, "data");
    }
}
