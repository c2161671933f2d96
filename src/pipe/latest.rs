//! The latest message only: what a conflating socket has in place of a queue.
//!
//! Whole messages, of any number of frames. A new one takes the place of one that nobody has taken. The pipe
//! beside it carries nothing: it tells each side when the other is gone.
#![forbid(unsafe_code)]

use std::fmt;

use crate::message::{Frame, Message, Payload};
use crate::pipe::outstanding::Outstanding;
use crate::pipe::producer::Producer;
use crate::pipe::ring::Ring;
use crate::pipe::wake::{Ready, WakeUp};
use crate::sync::{Arc, Mutex, lock};

/// One message, from one side to another.
#[derive(Clone)]
pub(crate) struct Latest(Arc<Mutex<Place>>);

#[derive(Default)]
struct Place {
    message: Option<Message>,
    /// Messages that were put here, and those whose place a newer one took.
    put: u64,
    replaced: u64,
    taken: u64,
    /// The pipe through which all that is taken goes on to the kernel, if it does.
    way_out: Option<Arc<Ring>>,
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

    /// What is taken goes into this pipe, which nothing else goes into.
    pub(crate) fn set_way_out(&self, way_out: &Producer) {
        lock(&self.0).way_out = Some(Arc::clone(&way_out.ring));
    }

    /// Tells what becomes of what was put here, and not replaced. `beside`: the pipe that carries nothing.
    pub(super) fn outstanding(&self, beside: &Arc<Ring>) -> Outstanding {
        let place = lock(&self.0);
        let sent = place.put - place.replaced;
        match &place.way_out {
            Some(way_out) => Outstanding::new(Arc::clone(way_out), sent),
            None => Outstanding::of_latest(Arc::clone(beside), sent, self.clone()),
        }
    }

    /// Puts a message in the place of the last one.
    pub(crate) fn put(&self, message: Message) {
        let mut place = lock(&self.0);
        let replaced = place.message.replace(message);
        place.put += 1;
        place.replaced += u64::from(replaced.is_some());
        let wake_up = if std::mem::take(&mut place.is_reader_waiting) { place.reader.clone() } else { None };
        drop(place);
        // Behind the lock: the drop of a body is foreign code, and so is the waiter.
        drop(replaced);
        if let Some(wake_up) = wake_up {
            wake_up.wake(Ready::Readable);
        }
    }

    /// Puts a payload with other frames in front in the place of the last one.
    pub(super) fn put_behind(&self, envelope: &[Frame], payload: &mut Payload<'_>) {
        let behind = payload.take_message().into_frames();
        self.put(envelope.iter().cloned().chain(behind).collect::<Vec<_>>().into());
    }

    pub(crate) fn take(&self) -> Option<Message> {
        let mut place = lock(&self.0);
        let message = place.message.take();
        place.taken += u64::from(message.is_some());
        message
    }

    /// Messages that were taken.
    pub(crate) fn taken(&self) -> u64 {
        lock(&self.0).taken
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

    /// What `look` says of the message that is there, which stays.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Message) -> T) -> Option<T> {
        lock(&self.0).message.as_ref().map(look)
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
