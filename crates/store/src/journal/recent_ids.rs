//! What ingest remembers to recognise repetitions: per tenant, dataset and UTC day, every id with the digest and
//! revision of its latest content. Digests of records of the lake are added when a repetition first asks for them.
//!
//! A day is either known wholly or not at all; rows of a day that is not known go in unsettled, and compaction and
//! export settle them. Ids are kept whole, not hashed: a false match would drop a record. How a day is read from
//! journal and lake is `day_loader`'s business.

use crate::record_keys::RecordId;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_model::ports::SnapshotScope;

/// What a day costs beside its entries, in entries, so that any number of empty days is bounded too.
const DAY_COST: usize = 64;
/// A day used within this time is not given up for another one, lest days push each other out in turn (a backfill of
/// years, say); the newcomer stays unknown for as long.
const RESIDENCE: Duration = Duration::from_secs(30);

/// An id in words of four bytes: less padding in the table.
type Packed = [u32; 4];

fn pack(id: &RecordId) -> Packed {
    std::array::from_fn(|at| u32::from_ne_bytes([id[4 * at], id[4 * at + 1], id[4 * at + 2], id[4 * at + 3]]))
}

/// The latest content that is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    digest: [u32; 2],
    /// With [`NO_DIGEST`] where the digest is not known yet: there are millions of these.
    revision: u32,
}

const NO_DIGEST: u32 = 1 << 31;

impl Known {
    pub(super) fn new(digest: Option<u64>, revision: i64) -> Self {
        let revision = u32::try_from(revision).unwrap_or(u32::MAX).min(NO_DIGEST - 1);
        let mark = if digest.is_none() { NO_DIGEST } else { 0 };
        let digest = digest.unwrap_or(0);
        Self { digest: [(digest >> 32) as u32, digest as u32], revision: revision | mark }
    }

    /// None when the record is in the lake and nobody has needed its digest yet.
    pub(super) fn digest(self) -> Option<u64> {
        let digest = u64::from(self.digest[0]) << 32 | u64::from(self.digest[1]);
        self.has_digest().then_some(digest)
    }

    fn has_digest(self) -> bool {
        self.revision & NO_DIGEST == 0
    }

    pub(super) fn revision(self) -> i64 {
        i64::from(self.revision & !NO_DIGEST)
    }
}

/// Ids of one day.
#[derive(Debug, Default)]
pub(super) struct DayIds {
    ids: FxHashMap<Packed, Known>,
    /// How many of them have no digest yet.
    without_digest: usize,
}

impl DayIds {
    pub(super) fn with_capacity(rows: usize) -> Self {
        let ids = FxHashMap::with_capacity_and_hasher(rows, rustc_hash::FxBuildHasher);
        Self { ids, without_digest: 0 }
    }

    pub(super) fn get(&self, id: &RecordId) -> Option<Known> {
        self.ids.get(&pack(id)).copied()
    }

    pub(super) fn insert(&mut self, id: &RecordId, known: Known) {
        let before = self.ids.insert(pack(id), known);
        self.without_digest += usize::from(!known.has_digest());
        self.without_digest -= usize::from(before.is_some_and(|before| !before.has_digest()));
    }

    fn lacks_digest(&self, id: &RecordId) -> bool {
        self.get(id).is_some_and(|known| !known.has_digest())
    }

    fn cost(&self) -> usize {
        self.ids.len() + DAY_COST
    }
}

#[derive(Debug)]
enum Day {
    /// Being read; what is committed meanwhile is noted, for the reading may not see it.
    Loading(Vec<(RecordId, Known)>),
    /// Every id of the day.
    Known(DayIds),
    /// Too large, or no room for it; not tried again before this moment of the monotonic clock.
    Unknown { until: Duration },
}

#[derive(Debug)]
struct Slot {
    day: Day,
    used: Duration,
}

type DayKey = (SnapshotScope, i32);

#[derive(Debug, Default)]
struct Slots {
    days: FxHashMap<DayKey, Slot>,
    cost: usize,
}

/// The recent-id filter. All calls are short; the lock is never held over I/O.
#[derive(Debug)]
pub(super) struct RecentIds {
    slots: Mutex<Slots>,
    bound: usize,
    clock: Arc<dyn Clock>,
}

/// Sees to it that days marked as being loaded do not stay so when the loading is given up.
pub(super) struct Loading<'f> {
    filter: &'f RecentIds,
    scope: SnapshotScope,
    days: Vec<i32>,
}

impl RecentIds {
    /// Remembers at most `bound` ids.
    pub(super) fn new(bound: usize, clock: Arc<dyn Clock>) -> Self {
        Self { slots: Mutex::default(), bound, clock }
    }

    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks those of `days` as being loaded that are neither known nor to be left alone; none when there is nothing
    /// to load. One caller per scope at a time.
    pub(super) fn begin_loading(&self, scope: &SnapshotScope, days: &[i32]) -> Option<Loading<'_>> {
        let now = self.clock.monotonic();
        let mut slots = self.slots();
        let mut missing = Vec::new();
        for &day in days {
            let slot = slots.days.entry((scope.clone(), day));
            match slot {
                Entry::Occupied(mut slot) => match slot.get().day {
                    Day::Unknown { until } if until <= now => {
                        slot.get_mut().day = Day::Loading(Vec::new());
                        missing.push(day);
                    }
                    Day::Known(_) | Day::Unknown { .. } | Day::Loading(_) => slot.get_mut().used = now,
                },
                Entry::Vacant(slot) => {
                    slot.insert(Slot { day: Day::Loading(Vec::new()), used: now });
                    missing.push(day);
                }
            }
        }
        (!missing.is_empty()).then(|| Loading { filter: self, scope: scope.clone(), days: missing })
    }

    /// Are all these days known, or not worth another try?
    pub(super) fn covers(&self, scope: &SnapshotScope, days: &[i32]) -> bool {
        let now = self.clock.monotonic();
        let mut slots = self.slots();
        days.iter().all(|&day| match slots.days.get_mut(&(scope.clone(), day)) {
            Some(Slot { day: Day::Known(_), used }) => {
                *used = now;
                true
            }
            Some(Slot { day: Day::Unknown { until }, .. }) => *until > now,
            Some(Slot { day: Day::Loading(_), .. }) | None => false,
        })
    }

    /// Looks ids of one scope up: `f` gets a function from day and id to what is known. The outer option is none
    /// when the day is not known.
    pub(super) fn look_up<T>(
        &self,
        scope: &SnapshotScope,
        days: &[i32],
        f: impl FnOnce(&dyn Fn(i32, &RecordId) -> Option<Option<Known>>) -> T,
    ) -> T {
        let slots = self.slots();
        let known: FxHashMap<i32, &DayIds> = days
            .iter()
            .filter_map(|&day| match &slots.days.get(&(scope.clone(), day))?.day {
                Day::Known(ids) => Some((day, ids)),
                _ => None,
            })
            .collect();
        f(&|day, id| known.get(&day).map(|ids| ids.get(id)))
    }

    /// Is there an id without a digest in these days?
    pub(super) fn lack_digests(&self, scope: &SnapshotScope, days: &[i32]) -> bool {
        let slots = self.slots();
        days.iter().any(|&day| match slots.days.get(&(scope.clone(), day)) {
            Some(Slot { day: Day::Known(ids), .. }) => ids.without_digest > 0,
            _ => false,
        })
    }

    /// Those of `ids`, all of `day`, that are known without their digest, sorted.
    pub(super) fn without_digest(&self, scope: &SnapshotScope, day: i32, ids: &[RecordId]) -> Vec<RecordId> {
        let slots = self.slots();
        let Some(Slot { day: Day::Known(known), .. }) = slots.days.get(&(scope.clone(), day)) else {
            return Vec::new();
        };
        if known.without_digest == 0 {
            return Vec::new();
        }
        let mut lacking: Vec<RecordId> = ids.iter().filter(|id| known.lacks_digest(id)).copied().collect();
        lacking.sort_unstable();
        lacking
    }

    /// Adds digests that were read; what is known with its digest, as all that came since, stays.
    pub(super) fn add_digests(
        &self,
        scope: &SnapshotScope,
        day: i32,
        read: impl Iterator<Item = (RecordId, Known)>,
    ) {
        let mut slots = self.slots();
        let Some(Slot { day: Day::Known(ids), .. }) = slots.days.get_mut(&(scope.clone(), day)) else {
            return;
        };
        for (id, known) in read {
            if ids.lacks_digest(&id) {
                ids.insert(&id, known);
            }
        }
    }

    /// Notes what has become durable.
    pub(super) fn remember(&self, scope: &SnapshotScope, day: i32, entries: &[(RecordId, Known)]) {
        let now = self.clock.monotonic();
        let mut slots = self.slots();
        let slots = &mut *slots;
        let Some(slot) = slots.days.get_mut(&(scope.clone(), day)) else { return };
        match &mut slot.day {
            Day::Known(ids) => {
                let before = ids.cost();
                for (id, known) in entries {
                    ids.insert(id, *known);
                }
                slot.used = now;
                slots.cost += ids.cost() - before;
            }
            Day::Loading(arrived) => arrived.extend_from_slice(entries),
            Day::Unknown { .. } => {}
        }
        slots.shrink_to(self.bound, now);
    }

    /// Forgets days whose true state is in doubt, as after a commit that failed; they are read again when needed.
    pub(super) fn forget(&self, scope: &SnapshotScope, days: &[i32]) {
        let mut slots = self.slots();
        for &day in days {
            slots.remove(&(scope.clone(), day));
        }
    }
}

impl Slots {
    fn remove(&mut self, key: &DayKey) {
        if let Some(Slot { day: Day::Known(ids), .. }) = self.days.remove(key) {
            self.cost -= ids.cost();
        }
    }

    /// Gives up days, the longest unused first, until `bound` holds; a day that is too large even alone stays
    /// unknown for a while.
    fn shrink_to(&mut self, bound: usize, now: Duration) {
        while self.cost > bound {
            let Some(key) = self.longest_unused() else { return };
            let alone = self
                .days
                .get(&key)
                .is_some_and(|slot| matches!(&slot.day, Day::Known(ids) if ids.cost() > bound));
            self.remove(&key);
            if alone {
                self.days.insert(key, Slot { day: Day::Unknown { until: now + RESIDENCE }, used: now });
            }
        }
        // Marks of unknown days are small, but their number is bounded too.
        if self.days.len() > bound / DAY_COST + 1024 {
            self.days.retain(|_, slot| !matches!(slot.day, Day::Unknown { until } if until <= now));
        }
    }

    fn longest_unused(&self) -> Option<DayKey> {
        let known = self.days.iter().filter(|(_, slot)| matches!(slot.day, Day::Known(_)));
        known.min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone())
    }

    /// Room for `cost` more, once days unused for [`RESIDENCE`] are given up.
    fn has_room(&mut self, cost: usize, bound: usize, now: Duration) -> bool {
        while self.cost + cost > bound {
            let stale = self
                .longest_unused()
                .filter(|key| self.days.get(key).is_some_and(|slot| slot.used + RESIDENCE <= now));
            match stale {
                Some(key) => self.remove(&key),
                None => return false,
            }
        }
        true
    }
}

impl Loading<'_> {
    /// The days to load.
    pub(super) fn days(&self) -> &[i32] {
        &self.days
    }

    /// Keeps what was read: every id of a day, or nothing for one that is too large to be read.
    pub(super) fn finish(self, loaded: Vec<(i32, Option<DayIds>)>) {
        let now = self.filter.clock.monotonic();
        let mut slots = self.filter.slots();
        for (day, ids) in loaded {
            let key = (self.scope.clone(), day);
            // A day forgotten meanwhile may have been read before what made it doubtful: it is read again.
            let Some(Slot { day: Day::Loading(arrived), .. }) = slots.days.remove(&key) else { continue };
            let known = ids.map(|mut ids| {
                // Later than all that was read, or the very same.
                for (id, known) in &arrived {
                    ids.insert(id, *known);
                }
                ids
            });
            let day = match known {
                Some(ids) if slots.has_room(ids.cost(), self.filter.bound, now) => {
                    slots.cost += ids.cost();
                    Day::Known(ids)
                }
                _ => Day::Unknown { until: now + RESIDENCE },
            };
            slots.days.insert(key, Slot { day, used: now });
        }
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut slots = self.filter.slots();
        for &day in &self.days {
            let key = (self.scope.clone(), day);
            if matches!(slots.days.get(&key), Some(Slot { day: Day::Loading(_), .. })) {
                slots.days.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_kit::clock::ManualClock;
    use tollbook_model::dataset::Dataset;
    use tollbook_model::tenant::TenantName;

    fn scope() -> SnapshotScope {
        SnapshotScope { tenant: TenantName::default_tenant(), dataset: Dataset::Cdr }
    }

    fn filter(bound: usize) -> (RecentIds, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(0));
        (RecentIds::new(bound, clock.clone()), clock)
    }

    fn ids(range: std::ops::Range<u8>) -> DayIds {
        let mut ids = DayIds::default();
        for at in range {
            ids.insert(&[at; 16], Known::new(Some(u64::from(at)), 0));
        }
        ids
    }

    fn known(filter: &RecentIds, day: i32, id: u8) -> Option<Option<u64>> {
        filter
            .look_up(&scope(), &[day], |find| find(day, &[id; 16]).map(|known| known.and_then(Known::digest)))
    }

    #[test]
    fn what_is_committed_while_a_day_is_read_is_not_lost() {
        let (filter, _) = filter(1000);
        let loading = filter.begin_loading(&scope(), &[1]).unwrap();
        filter.remember(&scope(), 1, &[([9; 16], Known::new(Some(99), 1))]);
        assert_eq!(known(&filter, 1, 9), None, "not known before it is loaded");
        loading.finish(vec![(1, Some(ids(0..3)))]);
        assert_eq!(known(&filter, 1, 9), Some(Some(99)));
        assert_eq!(known(&filter, 1, 2), Some(Some(2)));
        assert_eq!(known(&filter, 1, 3), Some(None));
    }

    #[test]
    fn a_loading_that_is_given_up_can_be_tried_again() {
        let (filter, _) = filter(1000);
        drop(filter.begin_loading(&scope(), &[1, 2]).unwrap());
        let again = filter.begin_loading(&scope(), &[1, 2]).unwrap();
        assert_eq!(again.days(), [1, 2]);
    }

    #[test]
    fn days_in_use_are_not_pushed_out_by_newcomers_but_stale_ones_are() {
        let (filter, clock) = filter(2 * DAY_COST + 10);
        for day in [1, 2] {
            filter.begin_loading(&scope(), &[day]).unwrap().finish(vec![(day, Some(ids(0..5)))]);
        }
        filter.begin_loading(&scope(), &[3]).unwrap().finish(vec![(3, Some(ids(0..5)))]);
        assert_eq!(known(&filter, 3, 1), None, "no room for it");
        assert!(filter.covers(&scope(), &[1, 2, 3]), "and it is left alone for a while");
        clock.advance(RESIDENCE);
        assert!(filter.covers(&scope(), &[2]));
        filter.begin_loading(&scope(), &[3]).unwrap().finish(vec![(3, Some(ids(0..5)))]);
        assert_eq!(known(&filter, 3, 1), Some(Some(1)));
        assert_eq!(known(&filter, 1, 1), None, "the stale one made room");
        assert_eq!(known(&filter, 2, 1), Some(Some(1)));
    }

    #[test]
    fn a_day_that_outgrows_the_bound_becomes_unknown_as_a_whole() {
        let (filter, _) = filter(DAY_COST + 10);
        filter.begin_loading(&scope(), &[1]).unwrap().finish(vec![(1, Some(ids(0..5)))]);
        let more: Vec<_> = (5..20).map(|at| ([at; 16], Known::new(Some(0), 0))).collect();
        filter.remember(&scope(), 1, &more);
        assert_eq!(known(&filter, 1, 1), None);
        filter.forget(&scope(), &[1]);
        assert!(!filter.covers(&scope(), &[1]), "forgotten days are read again");
    }

    #[test]
    fn digests_survive_packing() {
        let known = Known::new(Some(0xFEDC_BA98_7654_3210), 7);
        assert_eq!((known.digest(), known.revision()), (Some(0xFEDC_BA98_7654_3210), 7));
        let unknown = Known::new(None, i64::MAX);
        assert_eq!((unknown.digest(), unknown.revision()), (None, (1 << 31) - 1));
    }

    #[test]
    fn digests_are_added_only_where_there_are_none() {
        let (filter, _) = filter(1000);
        let mut loaded = ids(0..2);
        loaded.insert(&[2; 16], Known::new(None, 4));
        loaded.insert(&[3; 16], Known::new(None, 0));
        filter.begin_loading(&scope(), &[1]).unwrap().finish(vec![(1, Some(loaded))]);
        let asked = [[3; 16], [2; 16], [1; 16], [9; 16]];
        assert_eq!(filter.without_digest(&scope(), 1, &asked), [[2; 16], [3; 16]]);
        // A revision comes in while the digests are read.
        filter.remember(&scope(), 1, &[([3; 16], Known::new(Some(33), 1))]);
        let read = (0..9).map(|at| ([at; 16], Known::new(Some(100 + u64::from(at)), 4)));
        filter.add_digests(&scope(), 1, read);
        assert_eq!([0, 1, 2, 3].map(|id| known(&filter, 1, id)), [0, 1, 102, 33].map(|at| Some(Some(at))));
        assert_eq!(known(&filter, 1, 5), Some(None), "what is not known is not added");
        assert!(!filter.lack_digests(&scope(), &[1]));
        filter.add_digests(&scope(), 2, std::iter::empty());
        assert!(!filter.lack_digests(&scope(), &[2]), "a day that is not known lacks nothing");
    }
}
