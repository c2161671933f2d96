//! A guest: one XSUB that hears the room and talks to it, and a thread that reads what is typed.

use std::io::{IsTerminal, stdin};
use std::process;
use std::time::Duration;

use peermq::{Context, Endpoint, Interest, Message, Poller, Pull, RecvError, Socket, XSub};

use crate::room::{PRESENCE, notice};
use crate::{Failure, terminal};

/// How long it may take until a room is found, or tells what was said.
const PATIENCE: Duration = Duration::from_secs(10);

struct Guest {
    room: Socket<XSub>,
    name: String,
    /// By this a guest knows its own words, also among others of the same name.
    mark: String,
    print: Box<dyn FnMut(String)>,
}

/// Talks and listens until the input ends.
pub(crate) fn visit(context: &Context, endpoint: &Endpoint, name: &str) -> Result<(), Failure> {
    let mut room = context.open::<XSub>()?;
    room.subscribe("")?;
    room.subscribe([PRESENCE, name].concat())?;
    room.connect(endpoint)?
        .wait_ready(PATIENCE)
        .map_err(|error| format!("no room at {endpoint}: {error}; open one with --bind"))?;

    let mut editor = terminal::editor()?;
    let print = terminal::printer(&mut editor);
    let mark = format!("{name} {}", process::id());
    let mut guest = Guest { room, name: name.to_owned(), mark, print };
    let came = notice(name, true);
    if !guest.listen_until(|message| *message == came)? {
        return Err(format!("whoever is at {endpoint} does not say who comes: not a chat room").into());
    }

    let (mut typed, reader) = terminal::start(context, editor, format!("{name}> "))?;
    guest.talk(&mut typed)?;
    guest.room.close(PATIENCE);
    reader.join().map_err(|_| "the thread that reads panicked")?
}

impl Guest {
    /// Says what is typed, and shows what is said, until the end is typed.
    fn talk(&mut self, typed: &mut Socket<Pull>) -> Result<(), Failure> {
        let mut poller = Poller::new();
        poller.add(&mut self.room, Interest::READABLE, ())?;
        poller.add(typed, Interest::READABLE, ())?;
        loop {
            while let Ok(message) = self.room.try_recv() {
                self.show(&message);
            }
            match typed.try_recv() {
                Ok(line) if line == terminal::END => return Ok(()),
                Ok(line) => self.say(line.to_str()?)?,
                Err(RecvError::WouldBlock) => {
                    poller.wait(None)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Says a line. It comes back from the room when everybody is told.
    fn say(&mut self, line: &str) -> Result<(), Failure> {
        self.room.send([format!("{}: {line}", self.name), self.mark.clone()])?;
        let mark = self.mark.clone();
        if self.listen_until(|message| is_marked(message, &mark))? {
            return Ok(());
        }
        if !stdin().is_terminal() {
            return Err(format!("the room is gone: nobody has heard {line:?}").into());
        }
        (self.print)("* nobody has heard that yet: is the room still open?".into());
        Ok(())
    }

    /// Shows what is said until the given message is among it. `false`: nothing was said for too long.
    fn listen_until(&mut self, is_wanted: impl Fn(&Message) -> bool) -> Result<bool, Failure> {
        loop {
            match self.room.recv_timeout(PATIENCE) {
                Ok(message) => {
                    self.show(&message);
                    if is_wanted(&message) {
                        return Ok(true);
                    }
                }
                Err(RecvError::WouldBlock) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Shows a line, unless it is an own one: that is on the screen already.
    fn show(&mut self, message: &Message) {
        if !is_marked(message, &self.mark) {
            let line = String::from_utf8_lossy(message.body());
            (self.print)(line.chars().filter(|it| !it.is_control()).collect());
        }
    }
}

fn is_marked(message: &Message, mark: &str) -> bool {
    message.frame(1).is_some_and(|frame| frame == mark)
}
