//! Names are looked up off the I/O threads: a slow resolver delays one dialer, not every connection.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::thread;

use crate::io::{IoMailbox, Notice, ToIo};
use crate::options::Options;
use crate::transport;

/// Looks `name` up on a thread of its own and posts the addresses to task `id`; none when there are none,
/// or no thread. A dialer has one lookup under way at most.
pub(crate) fn resolve(name: &str, port: u16, options: &Options, mailbox: &Arc<IoMailbox>, id: u64) {
    let (name, options) = (name.to_owned(), options.clone());
    let reply = Arc::clone(mailbox);
    let lookup = move || {
        let addresses = transport::resolve(&name, port, &options).unwrap_or_default();
        reply.post(ToIo::Notice(id, Notice::Resolved(addresses)));
    };
    if thread::Builder::new().name("peermq-dns".into()).spawn(lookup).is_err() {
        mailbox.post(ToIo::Notice(id, Notice::Resolved(Vec::new())));
    }
}
