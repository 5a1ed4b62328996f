//! Reads the ids of days from the manifest's parts and batches, for the recent-id filter.
//!
//! What is remembered, and for how long, is the filter's business.

use super::recent_ids::{DayIds, Known, RecentIds};
use crate::blob::Blobs;
use crate::lake::part_rows::PartBatches;
use crate::lake::snapshots::{PinnedSnapshot, SnapshotReader};
use crate::record_keys::{DAY_MS, KEY_COLUMNS, RecordKeys, day_of_ms, id_day};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tollbook_columns::batch_codec;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::ports::SnapshotScope;
use tollbook_model::time_range::TimeRange;
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

/// Of one day: the latest sequence of every id, and its content.
type Latest = FxHashMap<[u8; 16], (u64, Known)>;

impl DayLoader {
    pub(super) fn new(filter: Arc<RecentIds>, snapshots: SnapshotReader, blobs: Arc<dyn Blobs>) -> Self {
        Self { filter, snapshots, blobs, turns: Mutex::default() }
    }

    /// Returns once each of `days` is known to the filter or cannot be.
    ///
    /// # Errors
    /// `unavailable` or `internal` when the manifest or the records cannot be read.
    pub(super) async fn cover(&self, scope: &SnapshotScope, days: &[i32]) -> Result<(), Fault> {
        if self.filter.covers(scope, days) {
            return Ok(());
        }
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(scope.clone()).or_default())
        };
        let _turn = turn.lock().await;
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
        let (Some(&first), Some(&last)) = (days.first(), days.last()) else { return Ok(Vec::new()) };
        let range = TimeRange::new(i64::from(first) * DAY_MS, (i64::from(last) + 1) * DAY_MS)
            .ok_or_else(|| Fault::internal("days of ids that end before they begin"))?;
        let snapshot = self.snapshots.pin(scope, range).await?;
        let wanted = Wanted::of(&snapshot, &days, self.filter.bound());
        let ids: Vec<Uuid> = wanted.batches.iter().map(|&at| snapshot.batches[at].id).collect();
        let first_sequences = wanted.batches.iter().map(|&at| snapshot.batches[at].first_sequence);
        let batches: Vec<(u64, Bytes)> = first_sequences.zip(snapshot.batches(&ids).await?).collect();
        let blobs = Arc::clone(&self.blobs);
        tokio::task::spawn_blocking(move || read(&wanted, &snapshot, &batches, blobs.as_ref()))
            .await
            .fault("waiting for the ids of a day")?
    }
}

/// What of a snapshot has to be read for which days.
struct Wanted {
    days: Vec<i32>,
    too_large: Vec<i32>,
    batches: Vec<usize>,
}

impl Wanted {
    /// Days with more records than the whole filter may hold are not read. Records of batches count for each of
    /// their days, since nobody knows their share.
    fn of(snapshot: &PinnedSnapshot, days: &[i32], bound: usize) -> Self {
        let touched = |day: i32, (from, to): (i64, i64)| day_of_ms(from) <= day && day <= day_of_ms(to);
        let rows = |day: i32| -> u64 {
            let parts = snapshot.parts.iter().filter(|part| part.day == day).map(|part| part.rows);
            let batches =
                snapshot.batches.iter().filter(|batch| touched(day, batch.time_ms)).map(|batch| batch.rows);
            parts.chain(batches).sum()
        };
        let (days, too_large): (Vec<i32>, Vec<i32>) =
            days.iter().partition(|&&day| rows(day) <= bound as u64);
        let batches = (0..snapshot.batches.len())
            .filter(|&at| days.iter().any(|&day| touched(day, snapshot.batches[at].time_ms)))
            .collect();
        Self { days, too_large, batches }
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
