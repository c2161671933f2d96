//! The sink: adds up the counts, and notes how often each line came back.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use peermq::{Message, Pull, Socket};

/// Lines of which it is noted whether they are back: a stranger's number must not take all memory.
const LINES_MAX: usize = 1 << 30;

#[derive(Default)]
pub(crate) struct Sink {
    /// How often the line with this number came back; one octet for each line.
    seen: Vec<u8>,
    received: u64,
    words: HashMap<String, u64>,
    lines_by_worker: BTreeMap<u32, u64>,
}

impl Sink {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Collects until as many lines are back as the ventilator says at its end, or nothing can come.
    pub(crate) fn collect(
        &mut self,
        results: &mut Socket<Pull>,
        mut are_workers_running: impl FnMut() -> bool,
    ) {
        let style = ProgressStyle::with_template("{spinner} {human_pos} of {human_len} lines, {per_sec}");
        let progress = ProgressBar::no_length(); // draws on a terminal only
        progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let mut total = None;
        while total.is_none_or(|total| self.received < total) {
            match results.recv_timeout(Duration::from_secs(1)) {
                Ok(message) if message.frame_count() == 1 => {
                    if let Ok(end) = message.body().try_into().map(u64::from_le_bytes) {
                        total = Some(end);
                        progress.set_length(end);
                    }
                }
                Ok(message) => self.add(&message),
                Err(_) if are_workers_running() => {}
                Err(_) => break,
            }
            progress.set_position(self.received);
        }
        progress.finish_and_clear();
    }

    fn add(&mut self, result: &Message) {
        let frame = |index| result.frame(index).map(|frame| &frame[..]).unwrap_or_default();
        let worker = frame(0).try_into().map_or(0, u32::from_le_bytes);
        for number in frame(1).chunks_exact(8) {
            let number = number.try_into().map_or(u64::MAX, u64::from_le_bytes);
            let Ok(index @ ..LINES_MAX) = usize::try_from(number) else { continue };
            if index >= self.seen.len() {
                self.seen.resize(index + 1, 0);
            }
            if let Some(seen) = self.seen.get_mut(index) {
                *seen = seen.saturating_add(1);
            }
            self.received += 1;
            *self.lines_by_worker.entry(worker).or_default() += 1;
        }
        for line in String::from_utf8_lossy(frame(2)).lines() {
            if let Some((word, count)) = line.split_once(' ') {
                *self.words.entry(word.to_owned()).or_default() += count.parse::<u64>().unwrap_or(0);
            }
        }
    }

    /// Prints what was found. Returns whether every line came back exactly once.
    pub(crate) fn report(&self, sent: u64, elapsed: Duration, top: usize) -> bool {
        let mut words: Vec<_> = self.words.iter().collect();
        words.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        for (word, count) in words.iter().take(top) {
            println!("{count:>9}  {word}");
        }
        let once = self.seen.iter().filter(|seen| **seen > 0).count() as u64;
        let (missing, duplicate) = (sent.abs_diff(once), self.received - once);
        let seconds = elapsed.as_secs_f64();
        println!("{sent} lines in {seconds:.3} s: {:.0} lines/s", sent as f64 / seconds);
        println!("lines by worker: {:?}", self.lines_by_worker.values().collect::<Vec<_>>());
        let is_exact = missing == 0 && duplicate == 0;
        let verdict =
            if is_exact { "every line came back exactly once" } else { "LINES WERE LOST OR REPEATED" };
        println!("{missing} missing, {duplicate} duplicate: {verdict}");
        is_exact
    }
}
