//! Envelopes: the frames in front of a request that lead the reply back, up to an empty one.
//!
//! Source: RFC 28, "Overall Protocol": "zero or more reply addresses, followed by an empty delimiter".
#![forbid(unsafe_code)]

use crate::message::{Frame, Message};

/// The frames in front of a message's data. Kept from one message to the next, for its allocations.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    frames: Vec<Frame>,
}

impl Envelope {
    /// Moves the envelope off the front of `message`. `false`: it has none, or nothing behind it, and is as it
    /// was.
    pub(crate) fn take_from(&mut self, message: &mut Message) -> bool {
        match message.frames().position(|frame| frame.is_empty()) {
            Some(delimiter) if delimiter + 1 < message.frame_count() => {
                message.split_front(delimiter + 1, &mut self.frames);
                true
            }
            Some(_) | None => false,
        }
    }

    pub(crate) fn frames(&self) -> &[Frame] {
        &self.frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(frames: &[&str]) -> Option<(Vec<Frame>, Message)> {
        let mut message = Message::from_frames(frames.iter().copied()).unwrap();
        let mut envelope = Envelope::default();
        envelope.take_from(&mut message).then_some((envelope.frames, message))
    }

    #[test]
    fn an_envelope_ends_at_the_first_empty_frame() {
        //
        let (envelope, data) = take(&["", "data"]).unwrap();
        assert!(envelope == [""] && data == "data");
        let (envelope, data) = take(&["a", "b", "", "data", "", "more"]).unwrap();
        assert!(envelope == ["a", "b", ""] && data == ["data", "", "more"]);
        let (envelope, data) = take(&["", ""]).unwrap();
        assert!(envelope == [""] && data == "");
    }

    #[test]
    fn without_delimiter_or_data_there_is_no_envelope() {
        // R-13, D17
        for frames in [&["data"][..], &["a", "b"], &[""], &["a", ""]] {
            assert!(take(frames).is_none(), "{frames:?}");
        }
    }
}
