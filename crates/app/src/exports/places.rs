//! Places for exports and estimates: so many at once per token, kept in this process's memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollbook_kit::fault::{Code, Fault};
use uuid::Uuid;

/// Counts the places that are taken.
#[derive(Debug)]
pub(super) struct Places {
    most_per_token: usize,
    full: &'static str,
    taken: Mutex<HashMap<Uuid, usize>>,
}

impl Places {
    /// The places of direct exports (`natalia.md` section 8).
    pub(super) fn for_exports() -> Self {
        Self::new(4, "this token has 4 direct exports under way; wait until one has ended")
    }

    /// The places of estimates, which are short but read much of what describes the stored files.
    pub(super) fn for_estimates() -> Self {
        Self::new(2, "this token has 2 estimates under way; wait until one has ended")
    }

    fn new(most_per_token: usize, full: &'static str) -> Self {
        Self { most_per_token, full, taken: Mutex::default() }
    }

    /// Takes a place for this token; it is free again when the answer is dropped.
    ///
    /// # Errors
    /// `too_many` when all are taken.
    pub(super) fn take(self: &Arc<Self>, token: Uuid) -> Result<Place, Fault> {
        let mut taken = self.lock();
        let count = taken.entry(token).or_default();
        if *count >= self.most_per_token {
            return Err(Fault::new(Code::TooMany, self.full).with_retry_after(Duration::from_secs(5)));
        }
        *count += 1;
        Ok(Place { places: self.clone(), token })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    token: Uuid,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(count) = taken.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_four_places_and_gets_them_back() {
        let places = Arc::new(Places::for_exports());
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut held: Vec<Place> = (0..4).map(|_| places.take(one).unwrap()).collect();
        assert_eq!(places.take(one).unwrap_err().code(), Code::TooMany);
        assert!(places.take(other).is_ok());
        held.pop();
        held.push(places.take(one).unwrap());
        held.clear();
        assert!(places.lock().is_empty(), "nothing is kept of tokens without exports");
    }
}
