//! A worker: takes lines, counts their words, and sends the counts with the numbers of the lines.

use std::collections::HashMap;
use std::time::Duration;
use std::{io, process, thread};

use peermq::{Context, Message, Pull, Push};

use crate::Result;

/// Most lines that one result answers. A worker that has nothing else to do answers each at once.
const BATCH: usize = 100;

/// Works until standard input ends: the parent closes it when all is done, the system if the parent dies.
pub(crate) fn work(sink: &str) -> Result<()> {
    let context = Context::builder().io_threads(1).build();
    let mut lines = context.open::<Pull>()?;
    let address = lines.bind("tcp://127.0.0.1:0")?;
    // The parent ends us when it has every result; if it died, nobody wants them.
    let mut results = context.builder_for::<Push>().linger(Duration::ZERO).open()?;
    results.connect(sink)?;
    results.send(address.to_string())?;
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        context.shutdown(); // ends the calls below
    });

    let mut line = Message::new();
    while lines.recv_into(&mut line).is_ok() {
        let (mut numbers, mut counts) = (Vec::new(), HashMap::new());
        count(&line, &mut numbers, &mut counts);
        for _ in 1..BATCH {
            if lines.try_recv_into(&mut line).is_err() {
                break;
            }
            count(&line, &mut numbers, &mut counts);
        }
        let counts: String = counts.iter().map(|(word, count)| format!("{word} {count}\n")).collect();
        if results.send([process::id().to_le_bytes().to_vec(), numbers, counts.into()]).is_err() {
            break;
        }
    }
    Ok(())
}

/// A word is a run of letters and digits, in lower case. Octets that are not UTF-8 are between words.
fn count(line: &Message, numbers: &mut Vec<u8>, counts: &mut HashMap<String, u64>) {
    numbers.extend_from_slice(line.body());
    let text = line.frame(1).map(|frame| String::from_utf8_lossy(frame)).unwrap_or_default();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
}
