//! System calls made for one connection, or by a thread that waits for some, counted for tests.
#![forbid(unsafe_code)]

#[derive(Debug, Default)]
pub(super) struct Calls(#[cfg(test)] u64);

impl Calls {
    /// Counts a call that is about to be made.
    #[inline]
    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "counts in tests only"))]
    pub(super) fn count(&mut self) {
        #[cfg(test)]
        {
            self.0 += 1;
        }
    }

    /// How many there were.
    #[cfg(test)]
    pub(super) fn total(&self) -> u64 {
        self.0
    }
}
