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

/// A wait that outlives the process: kept as wall-clock time, and judged so that a clock that is set cannot make it
/// last for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// When the wait began, in milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: i64,
    /// How long it lasts, in milliseconds.
    pub wait_ms: i64,
}

impl Pending {
    /// A wait that begins now.
    pub fn new(now_ms: i64, wait: Duration) -> Self {
        Self { since_ms: now_ms, wait_ms: i64::try_from(wait.as_millis()).unwrap_or(i64::MAX) }
    }

    /// Is it over? It is also over when the clock now shows a time before it began: then the clock was set back, and
    /// an attempt too early is better than one that never comes.
    pub fn is_over(&self, now_ms: i64) -> bool {
        now_ms < self.since_ms || now_ms >= self.since_ms.saturating_add(self.wait_ms)
    }

    /// How long is left; nothing when it is over.
    pub fn left(&self, now_ms: i64) -> Duration {
        if self.is_over(now_ms) {
            return Duration::ZERO;
        }
        let left_ms = self.since_ms.saturating_add(self.wait_ms).saturating_sub(now_ms);
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_in_time_and_when_the_clock_was_set_back() {
        let pending = Pending::new(10_000, Duration::from_secs(5));
        for (now_ms, over) in
            [(10_000, false), (14_999, false), (15_000, true), (99_000, true), (9_999, true)]
        {
            assert_eq!(pending.is_over(now_ms), over, "{now_ms}");
            assert_eq!(pending.left(now_ms).is_zero(), over, "{now_ms}");
        }
        assert_eq!(pending.left(12_000), Duration::from_secs(3));
        assert!(
            !Pending::new(0, Duration::MAX).is_over(i64::MAX - 1),
            "a wait without end does not overflow"
        );
    }
}
