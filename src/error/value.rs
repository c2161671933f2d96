//! A value that an option does not take.
#![forbid(unsafe_code)]

use thiserror::Error;

/// A value outside of what its option, or its type, permits; and what that is.
///
/// ```
/// use peermq::{Backlog, BatchSize};
///
/// let error = Backlog::connections(u32::MAX).unwrap_err();
/// assert_eq!(error.option(), "backlog");
/// assert_eq!(error.to_string(), "not a value for `backlog`, which takes 0 to 2147483647 connections");
/// let error = BatchSize::octets(0).unwrap_err();
/// assert_eq!(error.option(), "in_batch_size or out_batch_size");
/// assert!(error.to_string().starts_with("not a value for `in_batch_size` or `out_batch_size`, which"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a value for `{}`, which takes {permitted}", option.replace(" or ", "` or `"))]
pub struct InvalidValue {
    option: &'static str,
    permitted: &'static str,
}

impl InvalidValue {
    pub(crate) const fn new(option: &'static str, permitted: &'static str) -> Self {
        Self { option, permitted }
    }

    /// Returns the name of the option, as in [`Options::TABLE`](crate::Options::TABLE), or of what else the value is for.
    /// Of a value for either of two options these are both names, as `in_batch_size or out_batch_size`.
    #[must_use]
    pub const fn option(&self) -> &'static str {
        self.option
    }

    /// Returns what is permitted, in words.
    #[must_use]
    pub const fn permitted(&self) -> &'static str {
        self.permitted
    }
}
