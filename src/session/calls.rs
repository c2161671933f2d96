//! System calls made for one connection, or by a thread that waits for some, counted for tests.
#![forbid(unsafe_code)]

#[derive(Debug, Default)]
pub(super) struct Calls(#[cfg(test)] u64);

impl Calls {
    /// Counts a call that is about to be made.
    #[inline]
    pub(super) fn count(&mut self) {
        self.count_all(1);
    }

    /// Counts so many calls that are about to be made.
    #[inline]
    #[cfg_attr(not(test), allow(clippy::unused_self, unused_variables, reason = "counts in tests only"))]
    pub(super) fn count_all(&mut self, calls: u64) {
        #[cfg(test)]
        {
            self.0 += calls;
        }
    }

    /// How many there were.
    #[cfg(test)]
    pub(super) fn total(&self) -> u64 {
        self.0
    }
}
