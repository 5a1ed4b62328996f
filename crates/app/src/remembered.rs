//! A small memory of look-ups that every request repeats: bounded, and forgotten after a short while.
//!
//! Whoever changes what was looked up forgets it here at once; the short life bounds what other processes may have
//! changed. Nothing is looked up here, and failures are not remembered.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollbook_kit::clock::Clock;

/// Values by key, each for at most `life` after it was looked up.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    clock: Arc<dyn Clock>,
    life: Duration,
    most: usize,
    held: Mutex<Held<K, V>>,
}

#[derive(Debug)]
struct Held<K, V> {
    /// How often everything was forgotten: a look-up that began in an earlier generation may be stale.
    generation: u64,
    values: HashMap<K, (Duration, V)>,
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// A memory of at most `most` values.
    pub(crate) fn new(clock: Arc<dyn Clock>, life: Duration, most: usize) -> Self {
        let held = Mutex::new(Held { generation: 0, values: HashMap::new() });
        Self { clock, life, most, held }
    }

    /// The remembered value, else what `look_up` finds. That is remembered in turn, unless everything was forgotten while
    /// it was under way: it may have seen what was there before the change. That there is none is not remembered.
    ///
    /// # Errors
    /// Those of `look_up`.
    pub(crate) async fn find<E>(
        &self,
        key: K,
        look_up: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        let generation = match self.get(&key) {
            Ok(value) => return Ok(Some(value)),
            Err(generation) => generation,
        };
        let found = look_up.await?;
        if let Some(value) = &found {
            self.keep(key, value.clone(), generation);
        }
        Ok(found)
    }

    /// Forgets everything, because what was looked up has changed.
    pub(crate) fn forget_all(&self) {
        let mut held = self.held();
        held.generation += 1;
        held.values.clear();
    }

    /// The value, if it was looked up lately; else the generation in which it is looked up now.
    fn get(&self, key: &K) -> Result<V, u64> {
        let now = self.clock.monotonic();
        let held = self.held();
        match held.values.get(key) {
            Some((until, value)) if now < *until => Ok(value.clone()),
            _ => Err(held.generation),
        }
    }

    fn keep(&self, key: K, value: V, generation: u64) {
        let now = self.clock.monotonic();
        let mut held = self.held();
        if held.generation != generation {
            return;
        }
        if held.values.len() >= self.most {
            held.values.retain(|_, (until, _)| now < *until);
        }
        // Still full of fresh values: the next request looks it up again, which is only slower.
        if held.values.len() < self.most {
            held.values.insert(key, (now + self.life, value));
        }
    }

    fn held(&self) -> MutexGuard<'_, Held<K, V>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tollbook_kit::clock::ManualClock;

    async fn asked(memory: &Remembered<&'static str, u32>, key: &'static str, fresh: u32) -> u32 {
        memory.find(key, async { Ok::<_, Infallible>(Some(fresh)) }).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn values_fade_and_their_number_is_bounded() {
        let clock = Arc::new(ManualClock::at(0));
        let memory = Remembered::new(clock.clone(), Duration::from_secs(5), 2);
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            assert_eq!(asked(&memory, key, value).await, value);
        }
        for (key, value) in [("a", 1), ("b", 2), ("c", 9)] {
            assert_eq!(asked(&memory, key, 9).await, value, "{key}");
        }
        clock.advance(Duration::from_secs(5));
        assert_eq!(asked(&memory, "c", 4).await, 4);
        assert_eq!(asked(&memory, "c", 5).await, 4);
        memory.forget_all();
        assert_eq!(asked(&memory, "c", 6).await, 6);
    }

    #[tokio::test]
    async fn a_look_up_that_a_change_overtook_is_answered_and_not_kept() {
        let memory = Remembered::new(Arc::new(ManualClock::at(0)), Duration::from_secs(5), 2);
        let overtaken = memory.find("a", async {
            memory.forget_all();
            Ok::<_, Infallible>(Some(1))
        });
        assert_eq!(overtaken.await.unwrap(), Some(1));
        assert_eq!(asked(&memory, "a", 2).await, 2);
    }

    #[tokio::test]
    async fn neither_failures_nor_absence_are_remembered() {
        let memory = Remembered::new(Arc::new(ManualClock::at(0)), Duration::from_secs(5), 2);
        assert_eq!(memory.find("a", async { Err(7) }).await, Err(7));
        assert_eq!(memory.find("a", async { Ok::<_, Infallible>(None) }).await, Ok(None));
        assert_eq!(asked(&memory, "a", 2).await, 2);
    }
}
