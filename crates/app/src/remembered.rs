//! A small memory of look-ups that every request repeats: bounded, and forgotten after a short while.
//!
//! Only for what may be a few seconds stale. It never remembers that something does not exist.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tollbook_kit::clock::Clock;

/// Values by key, each for at most `life` after it was looked up.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    clock: Arc<dyn Clock>,
    life: Duration,
    most: usize,
    values: Mutex<HashMap<K, (Duration, V)>>,
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// A memory of at most `most` values.
    pub(crate) fn new(clock: Arc<dyn Clock>, life: Duration, most: usize) -> Self {
        Self { clock, life, most, values: Mutex::new(HashMap::new()) }
    }

    /// The value, if it was looked up lately.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let now = self.clock.monotonic();
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, value) = values.get(key)?;
        (now < *until).then(|| value.clone())
    }

    /// Forgets everything, because what was looked up has changed.
    pub(crate) fn forget_all(&self) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Remembers a value that was just looked up.
    pub(crate) fn keep(&self, key: K, value: V) {
        let now = self.clock.monotonic();
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= self.most {
            values.retain(|_, (until, _)| now < *until);
        }
        // Still full of fresh values: the next request looks it up again, which is only slower.
        if values.len() < self.most {
            values.insert(key, (now + self.life, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_kit::clock::ManualClock;

    #[test]
    fn values_fade_and_their_number_is_bounded() {
        let clock = Arc::new(ManualClock::at(0));
        let memory = Remembered::new(clock.clone(), Duration::from_secs(5), 2);
        memory.keep("a", 1);
        memory.keep("b", 2);
        memory.keep("c", 3);
        assert_eq!((memory.get(&"a"), memory.get(&"b"), memory.get(&"c")), (Some(1), Some(2), None));
        clock.advance(Duration::from_secs(5));
        assert_eq!(memory.get(&"a"), None);
        memory.keep("c", 3);
        assert_eq!(memory.get(&"c"), Some(3));
    }
}
