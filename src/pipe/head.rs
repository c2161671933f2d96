//! The message that comes next, looked at and left where it is.
//!
//! Whoever says that something can be received has to know that it will be: a message in a pipe may be one that nobody
//! wants. It is judged here in its place, so that nothing is taken before the application asks for it.
#![forbid(unsafe_code)]

use std::marker::PhantomData;

use crate::frame::{COMMAND, MORE, NOTE};
use crate::message::{Frames as OfMessage, Message};
use crate::pipe::consumer::{Consumer, Position, frame_at};
use crate::pipe::{PipeKey, Pipes};

/// What comes next in a pipe.
pub(crate) struct Head<'a> {
    /// It is the body of a command that the session left for the socket.
    pub(crate) is_note: bool,
    /// Its frames, in order.
    pub(crate) frames: Frames<'a>,
}

pub(crate) enum Frames<'a> {
    Queue(InPlace<'a>),
    Latest(OfMessage<'a>),
}

/// The frames of a message in the chain.
pub(crate) struct InPlace<'a> {
    /// Where the next one begins; none: that was the last.
    at: Option<Position>,
    /// Nobody takes anything meanwhile.
    pipe: PhantomData<&'a Consumer>,
}

impl<'a> Head<'a> {
    fn of_latest(message: &'a Message) -> Self {
        Self { is_note: false, frames: Frames::Latest(message.frames()) }
    }

    /// Its first frame.
    pub(crate) fn body(mut self) -> &'a [u8] {
        self.frames.next().unwrap_or_default()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Queue(frames) => frames.next(),
            Self::Latest(frames) => frames.next().map(|frame| frame.as_bytes()),
        }
    }
}

impl<'a> Iterator for InPlace<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let (behind, flags, body) = frame_at(self.at?)?;
            #[cfg(test)]
            LOOKS.set(LOOKS.get() + 1);
            let is_command = flags & (COMMAND | NOTE) == COMMAND; // the session has answered it
            self.at = (is_command || flags & MORE != 0).then_some(behind);
            if !is_command {
                return Some(body);
            }
        }
    }
}

impl Consumer {
    /// The next message or note.
    pub(super) fn head(&mut self) -> Option<Head<'_>> {
        if !self.has_message() {
            return None;
        }
        let at = self.taken?;
        let (_, flags, _) = frame_at(at)?;
        let frames = Frames::Queue(InPlace { at: Some(at), pipe: PhantomData });
        Some(Head { is_note: flags & COMMAND != 0, frames })
    }
}

impl Pipes {
    /// Lets `judge` look at the next message or note of this peer, which stays. `None`: there is none, see
    /// [`look`](Self::look).
    pub(crate) fn head<T>(&mut self, key: PipeKey, judge: impl FnOnce(Head<'_>) -> T) -> Option<T> {
        let pipe = self.get_mut(key)?;
        match &pipe.latest_in {
            Some(latest) => latest.look(|message| judge(Head::of_latest(message))),
            None => pipe.inbound.head().map(judge),
        }
    }
}

#[cfg(test)]
thread_local! {
    /// Frames that this thread has looked at in their place.
    pub(crate) static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::pipe::pipe;

    #[test]
    fn what_is_looked_at_is_what_is_taken() {
        let (mut producer, mut consumer) = pipe(None);
        let (large, middle) = (vec![7; 100_000], vec![8; 300]);
        let shapes: Vec<Vec<&[u8]>> = vec![
            vec![b"small"],
            vec![b""],
            vec![b"a", b"", b"b"],
            vec![&large],
            vec![b"a", &large, b"", &middle, &large],
            vec![&middle],
        ];
        let all: Vec<_> = shapes.iter().cycle().take(300).collect();
        for frames in &all {
            let message = Message::from_frames(frames.iter().copied()).unwrap();
            producer.try_send(&mut message.into()).unwrap();
        }
        let mut message = Message::new();
        for frames in all {
            for _ in 0..2 {
                let head = consumer.head().unwrap();
                assert!(!head.is_note);
                assert_eq!(head.frames.collect::<Vec<_>>(), *frames);
            }
            consumer.try_recv(&mut message).unwrap();
            assert_eq!(message, Message::from_frames(frames.iter().copied()).unwrap());
        }
        assert!(consumer.head().is_none());
    }

    #[test]
    fn a_note_is_known_and_stays() {
        let (mut producer, mut consumer) = pipe(None);
        producer.note(b"up");
        producer.try_send(&mut "message".into()).unwrap();
        let mut message = Message::new();
        for (is_note, body) in [(true, "up"), (false, "message")] {
            let head = consumer.head().unwrap();
            assert_eq!(head.is_note, is_note);
            assert_eq!(head.body(), body.as_bytes());
            consumer.try_take(&mut message).unwrap();
        }
        assert!(consumer.head().is_none());
    }
}
