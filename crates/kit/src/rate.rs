//! Keyed rates over monotonic time: fixed windows and token buckets, exact between threads and bounded in memory.
//!
//! What a key is, and what follows when its permits are used up, is decided by who counts. Wall time plays no part:
//! setting the clock grants nothing.

mod buckets;
mod table;
mod windows;

pub use buckets::TokenBuckets;
pub use windows::FixedWindows;

use std::time::Duration;

/// What is left after one permit was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Was there a permit?
    pub allowed: bool,
    /// Permits that a full window or bucket has.
    pub limit: u32,
    /// Permits left now.
    pub remaining: u32,
    /// Until all permits are there again; when refused from a bucket, until the next one is there.
    pub wait: Duration,
}
