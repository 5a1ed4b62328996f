//! Entries by key in shards, each swept of its idle entries from time to time.

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
    sweep_at: usize,
}

/// Entries by key; one lock per shard makes every change of an entry exact.
pub(super) struct Table<K, E> {
    shards: Vec<Mutex<Shard<K, E>>>,
    spread: FxBuildHasher,
}

impl<K: Eq + Hash + Clone, E> Table<K, E> {
    pub(super) fn new() -> Self {
        let shard = || Mutex::new(Shard { entries: HashMap::default(), sweep_at: SWEPT_FROM });
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), spread: FxBuildHasher }
    }

    /// Changes the entry of a key, made by `fresh` when there is none. `idle` says which entries say no more than their
    /// absence would: those may be forgotten.
    pub(super) fn with<T>(
        &self,
        key: &K,
        fresh: impl FnOnce() -> E,
        idle: impl Fn(&E) -> bool,
        change: impl FnOnce(&mut E) -> T,
    ) -> T {
        let at = usize::try_from(self.spread.hash_one(key) >> 32).unwrap_or(0) % SHARDS;
        let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        if shard.entries.len() >= shard.sweep_at && !shard.entries.contains_key(key) {
            shard.entries.retain(|_, entry| !idle(entry));
            shard.entries.shrink_to(SWEPT_FROM);
            shard.sweep_at = (shard.entries.len() * 2).max(SWEPT_FROM);
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
