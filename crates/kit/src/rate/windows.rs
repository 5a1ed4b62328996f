//! So many permits per key in a window that begins with the key's first use.

use super::Taken;
use super::table::{Table, ms};
use crate::clock::Clock;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy)]
struct Window {
    began_ms: u64,
    used: u32,
}

/// Fixed windows: `permits` per key within `window`, all of them back when it ends.
pub struct FixedWindows<K> {
    clock: Arc<dyn Clock>,
    permits: u32,
    window_ms: u64,
    ttl_ms: u64,
    table: Table<K, Window>,
}

impl<K> fmt::Debug for FixedWindows<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FixedWindows({} per {} ms)", self.permits, self.window_ms)
    }
}

impl<K: Eq + Hash + Clone> FixedWindows<K> {
    /// Windows whose entries may be forgotten `entry_ttl` after they began. A time to live that is not greater than
    /// the window is raised to it: forgetting an entry never grants a permit.
    pub fn new(clock: Arc<dyn Clock>, permits: u32, window: Duration, entry_ttl: Duration) -> Self {
        let (window_ms, ttl_ms) = (ms(window), ms(entry_ttl.max(window)));
        Self { clock, permits, window_ms, ttl_ms, table: Table::new(ttl_ms) }
    }

    /// Takes a permit of `key`, if one is left.
    pub fn take(&self, key: &K) -> Taken {
        self.count(key, |used, permits| if used < permits { Some(used + 1) } else { None })
    }

    /// Gives a permit back that was taken in the window under way, as for an attempt that turned out not to count.
    pub fn give_back(&self, key: &K) {
        self.count(key, |used, _| used.checked_sub(1));
    }

    /// Keys of which something is remembered.
    pub fn entries(&self) -> usize {
        self.table.len()
    }

    fn count(&self, key: &K, change: impl FnOnce(u32, u32) -> Option<u32>) -> Taken {
        let now_ms = ms(self.clock.monotonic());
        let fresh = || Window { began_ms: now_ms, used: 0 };
        let idle = |entry: &Window| now_ms.saturating_sub(entry.began_ms) >= self.ttl_ms;
        self.table.with(key, now_ms, fresh, idle, |entry| {
            if now_ms.saturating_sub(entry.began_ms) >= self.window_ms {
                *entry = fresh();
            }
            let changed = change(entry.used, self.permits);
            if let Some(used) = changed {
                entry.used = used;
            }
            let ends_ms = entry.began_ms.saturating_add(self.window_ms);
            let full_in = Duration::from_millis(ends_ms.saturating_sub(now_ms));
            let is_empty = entry.used >= self.permits;
            Taken {
                allowed: changed.is_some(),
                limit: self.permits,
                remaining: self.permits.saturating_sub(entry.used),
                wait: if is_empty { full_in } else { Duration::ZERO },
                full_in,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn windows(permits: u32) -> (Arc<ManualClock>, FixedWindows<u64>) {
        let clock = Arc::new(ManualClock::at(0));
        let windows =
            FixedWindows::new(clock.clone(), permits, Duration::from_secs(60), Duration::from_secs(300));
        (clock, windows)
    }

    #[test]
    fn a_window_begins_with_the_first_use_and_gives_all_permits_back_at_its_end() {
        let (clock, windows) = windows(3);
        clock.advance(Duration::from_secs(7));
        for remaining in [2, 1, 0] {
            let taken = windows.take(&1);
            assert_eq!((taken.allowed, taken.remaining), (true, remaining));
            clock.advance(Duration::from_secs(10));
        }
        let refused = windows.take(&1);
        assert_eq!((refused.allowed, refused.wait), (false, Duration::from_secs(30)));
        assert!(windows.take(&2).allowed, "another key has its own");
        clock.set_wall(9_000_000_000);
        assert!(!windows.take(&1).allowed, "a step of the wall clock grants nothing");
        clock.advance(Duration::from_secs(30));
        assert_eq!(windows.take(&1).remaining, 2);
        windows.give_back(&1);
        assert_eq!(windows.take(&1).remaining, 2);
    }

    #[test]
    fn sixty_four_threads_get_exactly_the_permits() {
        let (_, windows) = windows(1000);
        let allowed = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        if windows.take(&7).allowed {
                            allowed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(allowed.into_inner(), 1000);
    }

    #[test]
    fn idle_keys_are_forgotten_and_busy_ones_are_not() {
        let (clock, windows) = windows(1);
        assert!(windows.take(&u64::MAX).allowed);
        for key in 0..1_000_000 {
            windows.take(&key);
        }
        assert!(!windows.take(&u64::MAX).allowed, "forgetting others grants nothing");
        assert_eq!(windows.entries(), 1_000_001);
        assert!(size_of::<(u64, Window)>() <= 24, "a million idle keys are some 30 MB");
        clock.advance(Duration::from_secs(300));
        // A few keys in use are enough for the idle ones to go: one or more per shard.
        for key in 2_000_000..2_001_000 {
            windows.take(&key);
        }
        assert!(windows.entries() <= 1_000, "{}", windows.entries());
    }
}
