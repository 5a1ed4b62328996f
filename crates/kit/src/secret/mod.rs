//! Values that must never be printed, and how they are sealed at rest: tokens, keys, passwords.
//!
//! Where the sealing key comes from is the binary's business; what is sealed is the catalog's.

mod sealer;

pub use sealer::{SEALING_KEY_BYTES, Sealer};

use std::fmt;

/// Holds a value whose `Debug` and `Display` say only that it is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; the name makes every use visible in review.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
