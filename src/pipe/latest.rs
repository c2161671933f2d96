//! The latest message only: what a conflating socket has in place of a queue.
//!
//! Whole messages, of any number of frames. A new one takes the place of one that nobody has taken. The pipe
//! beside it carries nothing: it tells each side when the other is gone.
#![forbid(unsafe_code)]

use std::fmt;

use crate::message::Message;
use crate::pipe::wake::{Ready, WakeUp};
use crate::sync::{Arc, Mutex, lock};

/// One message, from one side to another.
#[derive(Clone)]
pub(crate) struct Latest(Arc<Mutex<Place>>);

#[derive(Default)]
struct Place {
    message: Option<Message>,
    replaced: u64,
    reader: Option<WakeUp>,
    is_reader_waiting: bool,
}

impl Latest {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Place::default())))
    }

    /// Whoever waits for a message is told through `wake_up`.
    pub(crate) fn set_wake_up(&self, wake_up: WakeUp) {
        lock(&self.0).reader = Some(wake_up);
    }

    /// Puts a message in the place of the last one.
    pub(crate) fn put(&self, message: Message) {
        let mut place = lock(&self.0);
        let replaced = place.message.replace(message);
        place.replaced += u64::from(replaced.is_some());
        let wake_up = if std::mem::take(&mut place.is_reader_waiting) { place.reader.clone() } else { None };
        drop(place);
        // Behind the lock: the drop of a body is foreign code, and so is the waiter.
        drop(replaced);
        if let Some(wake_up) = wake_up {
            wake_up.wake(Ready::Readable);
        }
    }

    pub(crate) fn take(&self) -> Option<Message> {
        lock(&self.0).message.take()
    }

    /// Asks to be told of the next message. `false`: there is one.
    pub(crate) fn wait(&self) -> bool {
        let mut place = lock(&self.0);
        place.is_reader_waiting = place.message.is_none();
        place.is_reader_waiting
    }

    /// Messages that nobody has taken before the next one came.
    pub(crate) fn replaced(&self) -> u64 {
        lock(&self.0).replaced
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).message.is_none()
    }
}

impl fmt::Debug for Latest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}
