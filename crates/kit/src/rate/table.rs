//! Entries by key in shards, each swept of its idle entries while it is in use: when it has doubled, and once in a while.

use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SHARDS: usize = 16;
/// A shard is swept when it has at least this many entries and has doubled since the last sweep.
const SWEPT_FROM: usize = 1024;

struct Shard<K, E> {
    entries: HashMap<K, E, RandomState>,
    /// Entries at which it is swept.
    sweep_at: usize,
    /// Moment from which on it is swept however few it has become in use.
    sweep_from_ms: u64,
}

/// Entries by key; one lock per shard makes every change of an entry exact.
pub(super) struct Table<K, E> {
    shards: Vec<Mutex<Shard<K, E>>>,
    spread: FxBuildHasher,
    pause_ms: u64,
}

impl<K: Eq + Hash + Clone, E> Table<K, E> {
    /// A table whose shards are swept at least every `pause_ms` in which they are used.
    pub(super) fn new(pause_ms: u64) -> Self {
        let shard = || {
            let entries = HashMap::default();
            Mutex::new(Shard { entries, sweep_at: SWEPT_FROM, sweep_from_ms: 0 })
        };
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), spread: FxBuildHasher, pause_ms }
    }

    /// Changes the entry of a key, made by `fresh` when there is none. `idle` says which entries say no more than their
    /// absence would: those may be forgotten.
    pub(super) fn with<T>(
        &self,
        key: &K,
        now_ms: u64,
        fresh: impl FnOnce() -> E,
        idle: impl Fn(&E) -> bool,
        change: impl FnOnce(&mut E) -> T,
    ) -> T {
        let at = usize::try_from(self.spread.hash_one(key) >> 32).unwrap_or(0) % SHARDS;
        let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        let is_large = shard.entries.len() >= SWEPT_FROM;
        if is_large && (shard.entries.len() >= shard.sweep_at || now_ms >= shard.sweep_from_ms) {
            shard.entries.retain(|_, entry| !idle(entry));
            shard.entries.shrink_to(SWEPT_FROM);
            shard.sweep_at = (shard.entries.len() * 2).max(SWEPT_FROM);
            shard.sweep_from_ms = now_ms.saturating_add(self.pause_ms);
        }
        match shard.entries.get_mut(key) {
            Some(entry) => change(entry),
            None => change(shard.entries.entry(key.clone()).or_insert_with(fresh)),
        }
    }

    /// Entries held now.
    pub(super) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).entries.len())
            .sum()
    }
}

/// Monotonic time in milliseconds, for compact entries.
pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
