//! Round trips between two threads with nothing but a futex: the floor within a process.

use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One of the two ends of a frame that is handed to and fro.
#[derive(Debug)]
pub(crate) struct Handoff {
    shared: Arc<Shared>,
    /// Which end this is: 0 or 1.
    end: u32,
}

#[derive(Debug)]
struct Shared {
    /// The end that has the frame. Who has it not waits for this to change.
    turn: AtomicU32,
    /// Locked by whoever has the turn only, and so never waited for.
    frame: Mutex<Vec<u8>>,
}

impl Handoff {
    /// Both ends; the second one begins.
    pub(crate) fn pair() -> [Self; 2] {
        let shared = Arc::new(Shared { turn: AtomicU32::new(1), frame: Mutex::new(Vec::new()) });
        [Self { shared: shared.clone(), end: 0 }, Self { shared, end: 1 }]
    }

    /// Whether this is the end that does not begin.
    pub(crate) fn echoes(&self) -> bool {
        self.end == 0
    }

    /// Hands the frame over, and leaves another one.
    pub(crate) fn send(&self, frame: &mut Vec<u8>) {
        mem::swap(&mut *self.shared.frame.lock().unwrap_or_else(PoisonError::into_inner), frame);
        // Release: pairs with the Acquire in `receive`; publishes the frame.
        self.shared.turn.store(1 - self.end, Ordering::Release);
        atomic_wait::wake_one(&self.shared.turn);
    }

    /// Waits for the frame.
    pub(crate) fn receive(&self, frame: &mut Vec<u8>) {
        // Acquire: pairs with the Release in `send`.
        while self.shared.turn.load(Ordering::Acquire) != self.end {
            atomic_wait::wait(&self.shared.turn, 1 - self.end);
        }
        mem::swap(&mut *self.shared.frame.lock().unwrap_or_else(PoisonError::into_inner), frame);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_frame_goes_to_and_fro() {
        let [echo, asker] = Handoff::pair();
        let thread = thread::spawn(move || {
            let mut frame = Vec::new();
            for _ in 0..1_000 {
                echo.receive(&mut frame);
                echo.send(&mut frame);
            }
        });
        let mut frame = vec![0; 4];
        for number in 0..1_000_u32 {
            frame.copy_from_slice(&number.to_le_bytes());
            asker.send(&mut frame);
            asker.receive(&mut frame);
            assert_eq!(frame, number.to_le_bytes());
        }
        thread.join().unwrap();
    }
}
