//! Records of journal batches on their way into the lake: parted by UTC day, sorted by id, settled among themselves.
//!
//! They are in memory; how many may be is the plan's business.

use super::settle::{SettledCounts, Version, settle};
use crate::journal::number_revisions;
use crate::record_keys::{RecordId, RecordKeys, id_day};
use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave_record_batch;
use std::collections::BTreeMap;
use std::sync::Arc;
use tollbook_kit::fault::{Fault, ResultExt};

/// Batches below this many records are put together: the arrays of a record alone take more room than its values.
const SMALL_ROWS: usize = 512;
/// Small batches put together at a time.
const SMALL_BATCHES: usize = 256;

/// Decoded batches, the small ones among them put together.
#[derive(Debug, Default)]
pub(super) struct Collected {
    batches: Vec<RecordBatch>,
    small: Vec<RecordBatch>,
}

impl Collected {
    /// Adds a batch.
    ///
    /// # Errors
    /// `internal` when batches cannot be put together.
    pub(super) fn push(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        if batch.num_rows() >= SMALL_ROWS {
            self.batches.push(batch);
            return Ok(());
        }
        self.small.push(batch);
        if self.small.len() >= SMALL_BATCHES { self.put_together() } else { Ok(()) }
    }

    fn put_together(&mut self) -> Result<(), Fault> {
        let small = std::mem::take(&mut self.small);
        if let Some(first) = small.first() {
            self.batches
                .push(concat_batches(&first.schema(), &small).fault("putting small batches together")?);
        }
        Ok(())
    }

    /// All of them, in no particular order.
    ///
    /// # Errors
    /// As [`Collected::push`].
    pub(super) fn finish(mut self) -> Result<Vec<RecordBatch>, Fault> {
        self.put_together()?;
        Ok(self.batches)
    }
}

/// Where a record is, in the order in which records are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    id: RecordId,
    sequence: u64,
    batch: u32,
    row: u32,
}

/// New records of one day by rising id, each id once.
#[derive(Debug)]
pub(super) struct FreshRows {
    batches: Arc<Vec<RecordBatch>>,
    places: Vec<Place>,
    /// Positions in `places` whose revision number is not as stored.
    renumbered: BTreeMap<usize, i64>,
    next: usize,
}

impl FreshRows {
    /// Parts, sorts and settles the records of `batches`, which have their sequences.
    ///
    /// # Errors
    /// `internal` when records lack their key columns.
    pub(super) fn by_day(
        batches: Vec<RecordBatch>,
        counts: &mut SettledCounts,
    ) -> Result<BTreeMap<i32, Self>, Fault> {
        let mut keys = batches.iter().map(RecordKeys::of).collect::<Result<Vec<_>, _>>()?;
        let mut by_day: BTreeMap<i32, Vec<Place>> = BTreeMap::new();
        for (batch, keys) in keys.iter().enumerate() {
            let batch = u32::try_from(batch).fault("counting batches")?;
            for row in 0..keys.len() {
                let (id, sequence) = (keys.id(row), keys.sequence(row));
                let place = Place { id, sequence, batch, row: u32::try_from(row).fault("counting records")? };
                by_day.entry(id_day(&id)).or_default().push(place);
            }
        }
        let batches = Arc::new(batches);
        let mut fresh = BTreeMap::new();
        for (day, mut places) in by_day {
            places.sort_unstable();
            let (places, renumbered) = settle_places(&places, &batches, &mut keys, counts)?;
            fresh.insert(day, Self { batches: Arc::clone(&batches), places, renumbered, next: 0 });
        }
        Ok(fresh)
    }

    /// Records in all.
    pub(super) fn rows(&self) -> usize {
        self.places.len()
    }

    /// First and last id; none without records.
    pub(super) fn id_span(&self) -> Option<(RecordId, RecordId)> {
        Some((self.places.first()?.id, self.places.last()?.id))
    }

    /// The next records, at most `rows`; none when there are no more.
    ///
    /// # Errors
    /// `internal` when they cannot be put together.
    pub(super) fn next_batch(&mut self, rows: usize) -> Result<Option<RecordBatch>, Fault> {
        let range = self.next..(self.next + rows).min(self.places.len());
        if range.is_empty() {
            return Ok(None);
        }
        let picks: Vec<(usize, usize)> = self.places[range.clone()]
            .iter()
            .map(|place| (place.batch as usize, place.row as usize))
            .collect();
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let sorted = interleave_record_batch(&batches, &picks).fault("sorting new records")?;
        let numbers: Vec<(usize, i64)> =
            self.renumbered.range(range.clone()).map(|(&at, &number)| (at - range.start, number)).collect();
        self.next = range.end;
        number_revisions(&sorted, &numbers).map(Some)
    }
}

fn settle_places(
    sorted: &[Place],
    batches: &[RecordBatch],
    keys: &mut [RecordKeys],
    counts: &mut SettledCounts,
) -> Result<(Vec<Place>, BTreeMap<usize, i64>), Fault> {
    let mut kept = Vec::with_capacity(sorted.len());
    let mut renumbered = BTreeMap::new();
    let mut versions = Vec::new();
    for same_id in sorted.chunk_by(|one, next| one.id == next.id) {
        let last = same_id[same_id.len() - 1];
        if same_id.len() > 1 {
            versions.clear();
            for place in same_id {
                let (batch, row) = (place.batch as usize, place.row as usize);
                let digest = keys[batch].digest_of(&batches[batch], row)?;
                let revision = keys[batch].revision(row);
                versions.push(Version { sequence: place.sequence, digest, revision });
            }
            let stored = versions[versions.len() - 1].revision;
            if let Some(number) = settle(&versions, counts).filter(|&number| number != stored) {
                renumbered.insert(kept.len(), number);
            }
        }
        kept.push(last);
    }
    Ok((kept, renumbered))
}
