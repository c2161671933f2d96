//! What could be taken from a pipe, or put into one: for whoever is told before it tries.
#![forbid(unsafe_code)]

use crate::pipe::{NoMessage, Patience, Pipe, PipeKey, Pipes, Refused};

impl Pipes {
    /// Whether there is a message, or a note, to be taken. Dry: the pipe will tell when there is one.
    pub(crate) fn look(&mut self, key: PipeKey) -> Result<(), NoMessage> {
        let mut chores = self.budget.chores();
        let Some(pipe) = self.get_mut(key) else { return Err(NoMessage::Closed) };
        if pipe.has_message() {
            return Ok(());
        }
        if let Some(assist) = &pipe.assist {
            assist.fill(Patience::Short, &mut chores);
        }
        self.budget.note_chores(&chores);
        let Some(pipe) = self.get_mut(key) else { return Err(NoMessage::Closed) };
        loop {
            if pipe.has_message() {
                return Ok(());
            }
            if pipe.is_finished() {
                self.finished.push(key);
                return Err(NoMessage::Closed);
            }
            let waits = match &pipe.latest_in {
                Some(latest) => latest.wait(),
                None => pipe.wait_for_messages(),
            };
            if waits {
                return Err(NoMessage::Dry);
            }
        }
    }

    /// Whether [`send`](Self::send) would queue a message. Full: the pipe will tell when there is room.
    #[inline]
    pub(crate) fn look_for_room(&mut self, key: PipeKey) -> Result<(), Refused> {
        let Some(pipe) = self.get_mut(key) else { return Err(Refused::Closed) };
        match pipe.outbound.has_room() {
            Err(Refused::Full) if pipe.latest_out.is_none() => self.make_room(key),
            Err(Refused::Full) => Ok(()),
            room => room,
        }
    }

    /// Writes what is queued, if that is possible, and looks whether there is room then.
    #[cold]
    fn make_room(&mut self, key: PipeKey) -> Result<(), Refused> {
        let mut chores = self.budget.chores();
        let Some(pipe) = self.get_mut(key) else { return Err(Refused::Closed) };
        if let Some(assist) = &pipe.assist {
            assist.flush(&mut chores);
        }
        let room = loop {
            match pipe.outbound.has_room() {
                Err(Refused::Full) if !pipe.outbound.wait_for_room() => {}
                room => break room,
            }
        };
        self.budget.note_chores(&chores);
        room
    }
}

impl Pipe {
    fn has_message(&mut self) -> bool {
        match &self.latest_in {
            Some(latest) => !latest.is_empty(),
            None => self.inbound.has_message(),
        }
    }
}
