//! Retry schedules as data: which wait follows which failed attempt.
//!
//! Nothing here waits or counts; who retries keeps the count and asks for the next wait.

use std::time::Duration;

/// A finite list of waits; after the last one there is no further attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    waits: &'static [Duration],
}

impl Schedule {
    /// The schedule with these waits, in order.
    pub const fn new(waits: &'static [Duration]) -> Self {
        Self { waits }
    }

    /// The wait before attempt `failed + 1`, after `failed` failed attempts (1 and up); none when given up.
    pub fn wait_after(&self, failed: usize) -> Option<Duration> {
        self.waits.get(failed.checked_sub(1)?).copied()
    }
}

/// For an outside client that sends a file: about a minute in all.
pub const CLIENT: Schedule = Schedule::new(&[
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
]);
