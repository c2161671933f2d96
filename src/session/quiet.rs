//! What becomes of a session's memory when its connection is quiet.
//!
//! ```text
//!            a pipe has grown           no message since the last look: the pipes rest
//!   Small ───────────────────▶ Watched ────────────────────────────────────────────────▶ Small
//!     ▲                         ▲   ▲ │ a message, or one that nobody has received: ┘ └─▶ Asked
//!     │                         │   └─┘ look again                                         │ │
//!     │                         └───────────────── a message ──────────────────────────────┘ │
//!     └──────────── the socket has made a call, and its end of the outbound pipe rests ──────┘
//! ```
//!
//! The outbound pipe's last segment is the application's: only its next call, also one that waits, can give it up.
#![forbid(unsafe_code)]

use crate::io::Notice;
use crate::session::Ends;
use crate::session::link::Link;
use crate::session::work;

/// What is known of the memory of two pipes.
#[derive(Debug, Default)]
pub(super) enum Quiet {
    /// The socket was asked to give up its part, after so many messages.
    Asked(u64),
    /// There is nothing to be given up.
    #[default]
    Small,
    /// The task will look, and compare with the messages that there were.
    Watched(u64),
}

impl Ends {
    /// Sees to it that grown pipes rest when the connection is quiet. Called behind each run of a session.
    #[inline]
    pub(super) fn mind_memory(&mut self, noted: u8, link: &Link) {
        let looks_later = if noted & work::QUIET != 0 { self.note_look() } else { self.note_run() };
        if looks_later {
            link.post(Notice::LookLater);
        }
    }

    /// After a run. `true`: the task is to look later.
    fn note_run(&mut self) -> bool {
        match self.quiet {
            Quiet::Watched(_) => return false,
            Quiet::Asked(before) => {
                self.outbound.walk_on();
                if before == self.messages() && self.is_large() {
                    return false;
                }
            }
            Quiet::Small => {}
        }
        self.watch()
    }

    /// The task has looked. `true`: it is to look again.
    fn note_look(&mut self) -> bool {
        let messages = self.messages();
        match self.quiet {
            Quiet::Watched(before) if before == messages => {}
            Quiet::Watched(_) => return self.watch(),
            Quiet::Asked(_) | Quiet::Small => return false, // for a session before this one
        }
        self.rest();
        if self.inbound.is_large() {
            return true; // it waits to be received
        }
        self.quiet = if self.outbound.is_large() { Quiet::Asked(messages) } else { Quiet::Small };
        false
    }

    fn watch(&mut self) -> bool {
        let is_large = self.is_large();
        self.quiet = if is_large { Quiet::Watched(self.messages()) } else { Quiet::Small };
        is_large
    }
}
