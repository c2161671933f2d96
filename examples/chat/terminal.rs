//! The terminal: lines that are typed go to a PUSH, lines that are heard appear above the one that is typed.
//!
//! Without a terminal on both ends: plain lines from standard input, and to standard output.

use std::thread::{self, JoinHandle};

use peermq::{Context, Pull, Push, Socket};
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter};

use crate::Failure;

/// What follows the last line that was typed.
pub(crate) const END: &str = "";

/// What is typed, and the thread that reads it.
type Typed = (Socket<Pull>, JoinHandle<Result<(), Failure>>);

/// Returns what reads lines.
pub(crate) fn editor() -> Result<DefaultEditor, Failure> {
    Ok(DefaultEditor::with_config(Config::builder().auto_add_history(true).build())?)
}

/// Returns what prints a line, also while another one is being typed.
pub(crate) fn printer(editor: &mut DefaultEditor) -> Box<dyn FnMut(String)> {
    match editor.create_external_printer() {
        Ok(mut printer) => Box::new(move |line| {
            if printer.print(format!("{line}\n")).is_err() {
                println!("{line}"); // the editor is gone
            }
        }),
        Err(_) => Box::new(|line| println!("{line}")),
    }
}

/// Starts a thread that reads lines; the socket receives them, and [`END`] at the end.
pub(crate) fn start(context: &Context, editor: DefaultEditor, prompt: String) -> Result<Typed, Failure> {
    let mut typed = context.open::<Pull>()?;
    typed.bind("inproc://typed")?;
    let mut keyboard = context.open::<Push>()?;
    keyboard.connect("inproc://typed")?;
    Ok((typed, thread::spawn(move || read(editor, &prompt, keyboard))))
}

fn read(mut editor: DefaultEditor, prompt: &str, mut typed: Socket<Push>) -> Result<(), Failure> {
    let end = loop {
        match editor.readline(prompt) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => typed.send(line)?,
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => break Ok(()),
            Err(error) => break Err(format!("cannot read any further: {error}").into()),
        }
    };
    drop(editor); // nobody shall print above a line that is not there
    typed.send(END)?;
    end
}
