//! Times to come. The one place that adds to an [`Instant`]: `+` panics when the clock does not reach so far, and how
//! far that is may be an option's.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// Returns the time `wait` after `from`. One that the clock does not reach is as good as never, and is a century away.
pub(crate) fn later(from: Instant, wait: Duration) -> Instant {
    from.checked_add(wait).or_else(|| from.checked_add(CENTURY)).unwrap_or(from)
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_the_clock_does_not_reach_is_a_century_away() {
        let now = Instant::now();
        assert_eq!(later(now, Duration::from_secs(1)), now + Duration::from_secs(1));
        assert_eq!(later(now, Duration::MAX), now + CENTURY);
    }
}
