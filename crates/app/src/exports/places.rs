//! Places for exports and estimates: so many at once per credential, kept in this process's memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollbook_kit::fault::{Code, Fault};
use uuid::Uuid;

/// When asking again makes sense.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Counts the places that are taken.
#[derive(Debug)]
pub(super) struct Places {
    what: &'static str,
    taken: Mutex<HashMap<Uuid, u32>>,
}

impl Places {
    /// The places of direct exports; how many there are is the tenant's quota.
    pub(super) fn for_exports() -> Self {
        Self { what: "direct exports", taken: Mutex::default() }
    }

    /// The places of estimates, which are short but read much of what describes the stored files.
    pub(super) fn for_estimates() -> Self {
        Self { what: "estimates", taken: Mutex::default() }
    }

    /// Takes one of `most` places of this credential; it is free again when the answer is dropped.
    ///
    /// # Errors
    /// `too_many` when all are taken.
    pub(super) fn take(self: &Arc<Self>, credential: Uuid, most: u32) -> Result<Place, Fault> {
        let mut taken = self.lock();
        let count = taken.get(&credential).copied().unwrap_or(0);
        if count >= most {
            let words =
                format!("this credential has {count} {} under way; wait until one has ended", self.what);
            return Err(Fault::new(Code::TooMany, words).with_retry_after(TRY_AGAIN));
        }
        taken.insert(credential, count + 1);
        Ok(Place { places: self.clone(), credential })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    credential: Uuid,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(count) = taken.get_mut(&self.credential) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.credential);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;

    #[test]
    fn a_credential_has_its_places_and_gets_them_back() {
        let places = Arc::new(Places::for_exports());
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut held: Vec<Place> = (0..3).map(|_| places.take(one, 3).unwrap()).collect();
        assert_eq!(places.take(one, 3).unwrap_err().code(), Code::TooMany);
        assert!(places.take(other, 3).is_ok());
        assert!(places.take(one, 4).is_ok(), "a raised quota counts at once");
        held.pop();
        assert_eq!(places.take(one, 2).unwrap_err().code(), Code::TooMany, "and so does a lowered one");
        held.push(places.take(one, 3).unwrap());
        held.clear();
        assert!(places.lock().is_empty(), "nothing is kept of credentials without exports");
    }
}
