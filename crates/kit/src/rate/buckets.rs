//! Permits that flow in at a steady rate up to a burst.

use super::Taken;
use super::table::{Table, ms};
use crate::clock::Clock;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// Parts of one permit that are counted: at a rate per second, one millisecond brings `rate` of them.
const PARTS: u64 = 1000;

#[derive(Clone, Copy)]
struct Bucket {
    /// Parts of permits in it, as of `at_ms`.
    parts: u64,
    at_ms: u64,
}

/// Token buckets: per key `burst` permits at first, and `per_second` new ones up to `burst`.
pub struct TokenBuckets<K> {
    clock: Arc<dyn Clock>,
    per_second: u32,
    burst: u32,
    table: Table<K, Bucket>,
}

impl<K> fmt::Debug for TokenBuckets<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenBuckets({} per second, burst {})", self.per_second, self.burst)
    }
}

impl<K: Eq + Hash + Clone> TokenBuckets<K> {
    /// Buckets with this rate and burst; both are at least 1.
    pub fn new(clock: Arc<dyn Clock>, per_second: u32, burst: u32) -> Self {
        let (per_second, burst) = (per_second.max(1), burst.max(1));
        // A bucket that nobody uses is full after this.
        let fills_ms = u64::from(burst) * PARTS / u64::from(per_second);
        Self { clock, per_second, burst, table: Table::new(fills_ms.max(PARTS)) }
    }

    /// Takes a permit of `key`, if one is there.
    pub fn take(&self, key: &K) -> Taken {
        let now_ms = ms(self.clock.monotonic());
        let full = u64::from(self.burst) * PARTS;
        let rate = u64::from(self.per_second);
        let level = |bucket: &Bucket| {
            let arrived = now_ms.saturating_sub(bucket.at_ms).saturating_mul(rate);
            bucket.parts.saturating_add(arrived).min(full)
        };
        let fresh = || Bucket { parts: full, at_ms: now_ms };
        self.table.with(
            key,
            now_ms,
            fresh,
            |bucket| level(bucket) == full,
            |bucket| {
                let parts = level(bucket);
                let allowed = parts >= PARTS;
                let left = if allowed { parts - PARTS } else { parts };
                *bucket = Bucket { parts: left, at_ms: now_ms.max(bucket.at_ms) };
                let flows_in = |parts: u64| Duration::from_millis(parts.div_ceil(rate));
                Taken {
                    allowed,
                    limit: self.burst,
                    remaining: u32::try_from(left / PARTS).unwrap_or(u32::MAX),
                    wait: flows_in(PARTS.saturating_sub(left)),
                    full_in: flows_in(full - left),
                }
            },
        )
    }

    /// Keys of which something is remembered.
    pub fn entries(&self) -> usize {
        self.table.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_burst_then_the_rate() {
        let clock = Arc::new(ManualClock::at(0));
        let buckets = TokenBuckets::new(clock.clone(), 20, 40);
        for left in (0..40).rev() {
            let taken = buckets.take(&"a");
            assert_eq!((taken.allowed, taken.remaining), (true, left));
        }
        let refused = buckets.take(&"a");
        assert_eq!((refused.allowed, refused.wait), (false, Duration::from_millis(50)));
        assert_eq!(refused.full_in, Duration::from_secs(2));
        clock.set_wall(1 << 40);
        assert!(!buckets.take(&"a").allowed, "a step of the wall clock grants nothing");
        clock.advance(Duration::from_millis(49));
        assert!(!buckets.take(&"a").allowed);
        clock.advance(Duration::from_millis(1));
        assert!(buckets.take(&"a").allowed);
        assert!(!buckets.take(&"a").allowed);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(buckets.take(&"a").remaining, 39, "no more than the burst");
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let clock = Arc::new(ManualClock::at(0));
        let buckets = TokenBuckets::new(clock.clone(), 20, 40);
        for key in 0..100_000u32 {
            buckets.take(&key);
        }
        clock.advance(Duration::from_secs(1));
        for key in 200_000..400_000u32 {
            buckets.take(&key);
        }
        assert!(buckets.entries() < 250_000, "{}", buckets.entries());
    }
}
