//! A guest: hears with a SUB, speaks with an XSUB, each in a thread of its own.

use std::thread;

use peermq::{Context, Endpoint, RecvError, Socket, Sub, XSub};
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};

use crate::Failure;
use crate::room::PRESENCE;

/// Talks and listens until the input ends or the user leaves.
pub(crate) fn visit(context: &Context, room: &Endpoint, name: &str) -> Result<(), Failure> {
    let mut hearing = context.open::<Sub>()?;
    hearing.subscribe("")?;
    hearing.subscribe([PRESENCE, name].concat())?;
    hearing.connect(room)?;
    let mut speaking = context.open::<XSub>()?;
    speaking.connect(room)?.wait_ready(std::time::Duration::from_secs(10))?;

    let mut editor = DefaultEditor::new()?;
    let printer = editor.create_external_printer()?;
    // The room tells everybody who comes, this guest too: so it is known to be heard before it speaks.
    let own = format!("* {name} came");
    while hearing.recv()? != own {}
    let listener = thread::spawn(move || listen(hearing, printer));
    loop {
        match editor.readline(&format!("{name}> ")) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => speaking.send(format!("{name}: {line}"))?,
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => break,
            Err(error) => return Err(error.into()),
        }
    }
    speaking.close(std::time::Duration::from_secs(1));
    drop(listener); // it ends with the context
    Ok(())
}

/// Prints what is said above the line that is being typed.
fn listen(mut hearing: Socket<Sub>, mut printer: impl ExternalPrinter) -> Result<(), Failure> {
    loop {
        match hearing.recv() {
            Ok(message) => printer.print(format!("{}\n", message.to_str()?))?,
            Err(RecvError::Terminated) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
