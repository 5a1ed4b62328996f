//! Reads days for the recent-id filter: first the ids in the manifest's parts and batches, and digests of the lake's
//! records only once ids of theirs come again.
//!
//! What is remembered, and for how long, is the filter's business.

use super::day_digests;
use super::recent_ids::{DayIds, Known, RecentIds};
use crate::blob::Blobs;
use crate::lake::part_rows::PartBatches;
use crate::lake::snapshots::{PinnedSnapshot, SnapshotReader};
use crate::record_keys::{DAY_MS, KEY_COLUMNS, RecordId, RecordKeys, id_day};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tollbook_columns::batch_codec;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::ports::{ManifestBatch, Snapshot, SnapshotScope};
use tollbook_model::time_range::{TimeRange, utc_day};
use uuid::Uuid;

/// Rows decoded at a time; only four narrow columns are read.
const BATCH_ROWS: usize = 32 * 1024;

/// Loads days of the filter when they are first needed.
pub(super) struct DayLoader {
    filter: Arc<RecentIds>,
    snapshots: SnapshotReader,
    blobs: Arc<dyn Blobs>,
    /// One loading per scope at a time, so that no day is read twice and no tenant waits for another.
    turns: Mutex<FxHashMap<SnapshotScope, Arc<tokio::sync::Mutex<()>>>>,
}

/// Of one day: the latest sequence of every id, and what is known of its content.
type Latest = FxHashMap<RecordId, (u64, Known)>;

/// Ids of a submission that are known without their digest, by day.
type Repeated = Vec<(i32, Vec<RecordId>)>;

impl DayLoader {
    pub(super) fn new(filter: Arc<RecentIds>, snapshots: SnapshotReader, blobs: Arc<dyn Blobs>) -> Self {
        Self { filter, snapshots, blobs, turns: Mutex::default() }
    }

    /// Returns once each of `days`, which are those of `keys`, is known to the filter or cannot be, and so are the
    /// digests of all records with one of these ids.
    ///
    /// # Errors
    /// `unavailable` or `internal` when the manifest or the records cannot be read.
    pub(super) async fn cover(
        &self,
        scope: &SnapshotScope,
        days: &[i32],
        keys: &RecordKeys,
    ) -> Result<(), Fault> {
        if !self.filter.covers(scope, days) {
            let _turn = self.turn(scope).await;
            self.cover_days(scope, days).await?;
        }
        if !self.repeated(scope, days, keys).await?.is_empty() {
            let _turn = self.turn(scope).await;
            // Whoever had the turn before may have read them.
            let repeated = self.repeated(scope, days, keys).await?;
            self.add_digests(scope, repeated).await?;
        }
        Ok(())
    }

    async fn turn(&self, scope: &SnapshotScope) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(scope.clone()).or_default())
        };
        turn.lock_owned().await
    }

    async fn cover_days(&self, scope: &SnapshotScope, days: &[i32]) -> Result<(), Fault> {
        // The days are marked before the snapshot is taken: what is committed after it is noted by the filter.
        let Some(loading) = self.filter.begin_loading(scope, days) else { return Ok(()) };
        let wanted = loading.days().to_vec();
        let loaded = self.load(scope, wanted).await?;
        loading.finish(loaded);
        Ok(())
    }

    async fn load(
        &self,
        scope: &SnapshotScope,
        mut days: Vec<i32>,
    ) -> Result<Vec<(i32, Option<DayIds>)>, Fault> {
        days.sort_unstable();
        let snapshot = self.snapshots.pin(scope, span(&days)?).await?;
        let wanted = Wanted::of(&snapshot, &days, self.filter.bound());
        let ids: Vec<Uuid> = wanted.batches.iter().map(|&at| snapshot.batches[at].id).collect();
        let first_sequences = wanted.batches.iter().map(|&at| snapshot.batches[at].first_sequence);
        let batches: Vec<(u64, Bytes)> = first_sequences.zip(snapshot.batches(&ids).await?).collect();
        let blobs = Arc::clone(&self.blobs);
        tokio::task::spawn_blocking(move || read(&wanted, &snapshot, &batches, blobs.as_ref()))
            .await
            .fault("waiting for the ids of a day")?
    }

    async fn repeated(
        &self,
        scope: &SnapshotScope,
        days: &[i32],
        keys: &RecordKeys,
    ) -> Result<Repeated, Fault> {
        if !self.filter.lack_digests(scope, days) {
            return Ok(Repeated::new());
        }
        let (filter, scope, keys) = (Arc::clone(&self.filter), scope.clone(), keys.clone());
        tokio::task::spawn_blocking(move || {
            let mut by_day: BTreeMap<i32, Vec<RecordId>> = BTreeMap::new();
            for row in 0..keys.len() {
                let id = keys.id(row);
                by_day.entry(id_day(&id)).or_default().push(id);
            }
            let lacking =
                by_day.into_iter().map(|(day, ids)| (day, filter.without_digest(&scope, day, &ids)));
            lacking.filter(|(_, ids)| !ids.is_empty()).collect()
        })
        .await
        .fault("waiting for repeated ids")
    }

    async fn add_digests(&self, scope: &SnapshotScope, repeated: Repeated) -> Result<(), Fault> {
        if repeated.is_empty() {
            return Ok(());
        }
        let days: Vec<i32> = repeated.iter().map(|(day, _)| *day).collect();
        let snapshot = self.snapshots.pin(scope, span(&days)?).await?;
        let (filter, blobs) = (Arc::clone(&self.filter), Arc::clone(&self.blobs));
        tokio::task::spawn_blocking(move || {
            for (day, ids) in repeated {
                let read = day_digests::read(&snapshot, day, &ids, blobs.as_ref())?;
                filter.add_digests(snapshot.scope(), day, read.into_iter());
            }
            Ok(())
        })
        .await
        .fault("waiting for the digests of a day")?
    }
}

/// From the first to the last of these days, which rise.
fn span(days: &[i32]) -> Result<TimeRange, Fault> {
    let ends = days.first().zip(days.last());
    ends.and_then(|(&first, &last)| TimeRange::new(i64::from(first) * DAY_MS, (i64::from(last) + 1) * DAY_MS))
        .ok_or_else(|| Fault::internal("days of ids that end before they begin"))
}

/// What of a snapshot has to be read for which days.
struct Wanted {
    days: Vec<i32>,
    too_large: Vec<i32>,
    batches: Vec<usize>,
}

impl Wanted {
    /// What to read for `days`, which rise. Days with more records than the whole filter may hold are not read. Records
    /// of a batch that spans days count for each of them, since nobody knows their share.
    fn of(snapshot: &Snapshot, days: &[i32], bound: usize) -> Self {
        let mut rows = vec![0u64; days.len()];
        for part in &snapshot.parts {
            if let Ok(at) = days.binary_search(&part.day) {
                rows[at] += part.rows;
            }
        }
        // A batch holds one day, so that this is one look per batch.
        let touched = |batch: &ManifestBatch| {
            let (first, last) = (utc_day(batch.time_ms.0), utc_day(batch.time_ms.1));
            days.partition_point(|&day| day < first)..days.partition_point(|&day| day <= last)
        };
        for batch in &snapshot.batches {
            rows[touched(batch)].iter_mut().for_each(|rows| *rows += batch.rows);
        }
        let fits = |at: &usize| rows[*at] <= bound as u64;
        let batches = (0..snapshot.batches.len())
            .filter(|&batch| touched(&snapshot.batches[batch]).any(|at| fits(&at)))
            .collect();
        let (fitting, too_large): (Vec<usize>, Vec<usize>) = (0..days.len()).partition(fits);
        let days_at = |places: Vec<usize>| places.into_iter().map(|at| days[at]).collect();
        Self { days: days_at(fitting), too_large: days_at(too_large), batches }
    }
}

fn read(
    wanted: &Wanted,
    snapshot: &PinnedSnapshot,
    batches: &[(u64, Bytes)],
    blobs: &dyn Blobs,
) -> Result<Vec<(i32, Option<DayIds>)>, Fault> {
    let mut latest: FxHashMap<i32, Latest> =
        wanted.days.iter().map(|&day| (day, Latest::default())).collect();
    for part in &snapshot.parts {
        if !latest.contains_key(&part.day) {
            continue;
        }
        for batch in PartBatches::open(blobs, &part.path, &KEY_COLUMNS, BATCH_ROWS)? {
            note(&mut latest, &RecordKeys::of(&batch?)?);
        }
    }
    for (first_sequence, bytes) in batches {
        let batch = batch_codec::decode_batch(bytes, &KEY_COLUMNS)?;
        note(&mut latest, &RecordKeys::of(&batch_codec::with_sequences(batch, *first_sequence)?)?);
    }
    let known = latest.into_iter().map(|(day, latest)| {
        let mut ids = DayIds::with_capacity(latest.len());
        for (id, (_, known)) in latest {
            ids.insert(&id, known);
        }
        (day, Some(ids))
    });
    Ok(known.chain(wanted.too_large.iter().map(|&day| (day, None))).collect())
}

fn note(latest: &mut FxHashMap<i32, Latest>, keys: &RecordKeys) {
    for row in 0..keys.len() {
        let id = keys.id(row);
        let Some(of_day) = latest.get_mut(&id_day(&id)) else { continue };
        let sequence = keys.sequence(row);
        let known = Known::new(keys.digest(row), keys.revision(row));
        let entry = of_day.entry(id).or_insert((sequence, known));
        if entry.0 <= sequence {
            *entry = (sequence, known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::ports::ManifestPart;

    #[test]
    fn days_too_large_for_the_filter_are_not_read_and_nor_are_their_batches() {
        let part = |day: i32, rows: u64| ManifestPart {
            id: Uuid::nil(),
            path: String::new(),
            day,
            rows,
            bytes: rows,
            sequences: (1, 1),
            unsettled: false,
            layout: 1,
            row_groups: Vec::new(),
        };
        let batch = |first: i64, last: i64, rows: u64| ManifestBatch {
            id: Uuid::nil(),
            first_sequence: 1,
            rows,
            time_ms: (first * DAY_MS, (last + 1) * DAY_MS - 1),
            bytes: rows,
            unsettled: false,
            received_at_ms: 0,
        };
        let snapshot = Snapshot {
            watermark: 1,
            parts: vec![part(3, 60), part(3, 30), part(4, 99), part(7, 1)],
            batches: vec![batch(3, 3, 10), batch(4, 4, 2), batch(5, 5, 7), batch(4, 6, 1), batch(9, 9, 1)],
        };
        let wanted = Wanted::of(&snapshot, &[3, 4, 6, 8], 100);
        assert_eq!((wanted.days, wanted.too_large), (vec![3, 6, 8], vec![4]));
        assert_eq!(wanted.batches, [0, 3], "of day 3, and of day 6 among others");
    }
}
