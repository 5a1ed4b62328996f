//! From the submissions of one commit to the batches that are appended: duplicates dropped, revisions numbered, small
//! submissions of one scope and day put together.
//!
//! A batch holds records of one UTC day: its times are what exports and compaction judge it by, and a single record of
//! long ago beside those of today would make it concern all days between.
//!
//! Nothing here does I/O or waits; what is durable is the committer's business.

use super::recent_ids::{Known, RecentIds};
use super::submission::{DayRows, OWN_BATCH_ROWS, Submitted};
use crate::record_keys::{RecordId, RecordKeys, id_day, id_ms};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use tollbook_columns::batch_codec;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::ids::IdSource;
use tollbook_model::call::CallField;
use tollbook_model::ports::{BatchContent, NewBatch, SnapshotScope};
use uuid::Uuid;

/// Records of a batch put together from small submissions, at most about.
const SHARED_BATCH_ROWS: usize = 64 * 1024;

/// Where the records of one submission went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// Batch and position of the first stored record; none when all were duplicates.
    pub(super) batch: Option<(Uuid, u64)>,
    /// Records stored.
    pub(super) stored: u64,
    /// Records dropped.
    pub(super) duplicates: u64,
    /// Of those stored: revisions.
    pub(super) revisions: u64,
}

/// What has to be remembered of a scope once the group is durable.
pub(super) struct Learnt {
    pub(super) scope: SnapshotScope,
    pub(super) by_day: FxHashMap<i32, Vec<(RecordId, Known)>>,
}

/// A group ready to be appended. Contents of batches are inline still, however large.
pub(super) struct PreparedGroup {
    pub(super) batches: Vec<NewBatch>,
    /// One per submission, in order.
    pub(super) placements: Vec<Placement>,
    pub(super) learnt: Vec<Learnt>,
}

/// Turns submissions into batches.
///
/// # Errors
/// `internal` when records cannot be put together or encoded.
pub(super) fn prepare(
    submissions: &[Submitted],
    recent: &RecentIds,
    ids: &IdSource,
    now_ms: i64,
) -> Result<PreparedGroup, Fault> {
    let mut by_scope: Vec<(&SnapshotScope, Vec<usize>)> = Vec::new();
    for (at, submission) in submissions.iter().enumerate() {
        match by_scope.iter_mut().find(|(scope, _)| **scope == submission.scope) {
            Some((_, members)) => members.push(at),
            None => by_scope.push((&submission.scope, vec![at])),
        }
    }
    let nowhere = Placement { batch: None, stored: 0, duplicates: 0, revisions: 0 };
    let mut group = PreparedGroup {
        batches: Vec::new(),
        placements: vec![nowhere; submissions.len()],
        learnt: Vec::with_capacity(by_scope.len()),
    };
    for (scope, members) in by_scope {
        let settled = settle_scope(submissions, scope, &members, recent)?;
        let mut builder = BatchBuilder { ids, scope, now_ms, group: &mut group, shared: BTreeMap::new() };
        for (&at, settled) in members.iter().zip(&settled.submissions) {
            builder.add(at, &submissions[at], settled)?;
        }
        builder.close_all()?;
        group.learnt.push(Learnt { scope: scope.clone(), by_day: settled.learnt });
    }
    Ok(group)
}

/// What the filter says about the records of one submission and day.
#[derive(Debug, Default)]
struct Settled {
    /// Rows to drop.
    duplicates: Vec<usize>,
    /// Rows stored with a revision number, and that number.
    numbered: Vec<(usize, i64)>,
    /// Rows that are known to be revisions.
    revisions: u64,
    /// Some rows could not be looked up, or compared with the content before them.
    unsure: bool,
}

struct SettledScope {
    /// Of each submission, what was settled of each of its days.
    submissions: Vec<Vec<Settled>>,
    learnt: FxHashMap<i32, Vec<(RecordId, Known)>>,
}

fn settle_scope(
    submissions: &[Submitted],
    scope: &SnapshotScope,
    members: &[usize],
    recent: &RecentIds,
) -> Result<SettledScope, Fault> {
    let mut days: Vec<i32> = members.iter().flat_map(|&at| submissions[at].days.iter().copied()).collect();
    days.sort_unstable();
    days.dedup();
    let keys_of = |submission: &Submitted| -> Result<Vec<RecordKeys>, Fault> {
        submission.by_day.iter().map(|of_day| RecordKeys::of(&of_day.records)).collect()
    };
    let keys = members.iter().map(|&at| keys_of(&submissions[at])).collect::<Result<Vec<_>, _>>()?;
    Ok(recent.look_up(scope, &days, |find| {
        let rows = keys.iter().flatten().map(RecordKeys::len).sum();
        let mut fresh: FxHashMap<RecordId, Known> =
            FxHashMap::with_capacity_and_hasher(rows, rustc_hash::FxBuildHasher);
        let submissions = keys
            .iter()
            .map(|by_day| by_day.iter().map(|keys| settle(keys, find, &mut fresh)).collect())
            .collect();
        let mut learnt: FxHashMap<i32, Vec<(RecordId, Known)>> = FxHashMap::default();
        for (id, known) in fresh {
            learnt.entry(id_day(&id)).or_default().push((id, known));
        }
        SettledScope { submissions, learnt }
    }))
}

/// Settles records of one submission against what is durable (`find`) and what came before it in the group (`fresh`).
fn settle(
    keys: &RecordKeys,
    find: &dyn Fn(i32, &RecordId) -> Option<Option<Known>>,
    fresh: &mut FxHashMap<RecordId, Known>,
) -> Settled {
    let mut settled = Settled::default();
    for row in 0..keys.len() {
        let (id, digest) = (keys.id(row), keys.digest(row));
        let before = match fresh.get(&id) {
            Some(known) => Some(*known),
            None => match find(id_day(&id), &id) {
                Some(known) => known,
                None => {
                    settled.unsure = true;
                    None
                }
            },
        };
        let revision = match before.map(|known| (known.digest(), known.revision())) {
            None => 0,
            Some((Some(before), _)) if Some(before) == digest => {
                settled.duplicates.push(row);
                continue;
            }
            Some((Some(_), revision)) => {
                settled.revisions += 1;
                revision + 1
            }
            // The day was given up and loaded anew since the digests were read: compaction will compare.
            Some((None, revision)) => {
                settled.unsure = true;
                revision
            }
        };
        if revision > 0 {
            settled.numbered.push((row, revision));
        }
        fresh.insert(id, Known::new(digest, revision));
    }
    settled
}

/// Small submissions of one scope and day on their way into one batch.
#[derive(Default)]
struct Shared {
    records: Vec<RecordBatch>,
    rows: usize,
    members: Vec<usize>,
    revisions: u64,
    unsure: bool,
}

struct BatchBuilder<'g> {
    ids: &'g IdSource,
    scope: &'g SnapshotScope,
    now_ms: i64,
    group: &'g mut PreparedGroup,
    /// By day. What is put aside here goes before anything else of its day, so that sequences follow the order in
    /// which repetitions were settled.
    shared: BTreeMap<i32, Shared>,
}

impl BatchBuilder<'_> {
    fn add(&mut self, at: usize, submission: &Submitted, settled: &[Settled]) -> Result<(), Fault> {
        let mut kept: Vec<(&DayRows, &Settled)> = Vec::with_capacity(1);
        let placement = &mut self.group.placements[at];
        for (of_day, settled) in submission.by_day.iter().zip(settled) {
            let stored = of_day.records.num_rows() - settled.duplicates.len();
            placement.stored += stored as u64;
            placement.duplicates += settled.duplicates.len() as u64;
            placement.revisions += settled.revisions;
            if stored > 0 {
                kept.push((of_day, settled));
            }
        }
        match kept.as_slice() {
            [(of_day, settled)] if of_day.records.num_rows() - settled.duplicates.len() < OWN_BATCH_ROWS => {
                self.share(at, of_day, settled)
            }
            own => self.push_own(at, own),
        }
    }

    fn share(&mut self, at: usize, of_day: &DayRows, settled: &Settled) -> Result<(), Fault> {
        let records = apply(&of_day.records, settled)?;
        let shared = self.shared.entry(of_day.day).or_default();
        shared.rows += records.num_rows();
        shared.records.push(records);
        shared.members.push(at);
        shared.revisions += settled.revisions;
        shared.unsure |= settled.unsure;
        if shared.rows >= SHARED_BATCH_ROWS { self.close_shared(of_day.day) } else { Ok(()) }
    }

    /// One batch per day. They follow each other, so that the sequences of a submission have no gap.
    fn push_own(&mut self, at: usize, by_day: &[(&DayRows, &Settled)]) -> Result<(), Fault> {
        for (of_day, _) in by_day {
            self.close_shared(of_day.day)?;
        }
        for (nth, (of_day, settled)) in by_day.iter().enumerate() {
            let records = apply(&of_day.records, settled)?;
            let untouched = settled.duplicates.is_empty() && settled.numbered.is_empty();
            let encoded = of_day.encoded.as_ref().filter(|_| untouched).cloned();
            // A submission's place is that of its first record.
            let placed: &[(usize, u64)] = if nth == 0 { &[(at, 0)] } else { &[] };
            self.push_batch(&records, encoded, placed, settled.revisions, settled.unsure)?;
        }
        Ok(())
    }

    fn close_all(&mut self) -> Result<(), Fault> {
        while let Some((&day, _)) = self.shared.first_key_value() {
            self.close_shared(day)?;
        }
        Ok(())
    }

    fn close_shared(&mut self, day: i32) -> Result<(), Fault> {
        let Some(shared) = self.shared.remove(&day) else { return Ok(()) };
        let Some(first) = shared.records.first() else { return Ok(()) };
        let records = match shared.records.as_slice() {
            [alone] => alone.clone(),
            several => concat_batches(&first.schema(), several).fault("putting submissions together")?,
        };
        let mut placed = Vec::with_capacity(shared.members.len());
        let mut position = 0;
        for (at, part) in shared.members.into_iter().zip(&shared.records) {
            placed.push((at, position));
            position += part.num_rows() as u64;
        }
        self.push_batch(&records, None, &placed, shared.revisions, shared.unsure)
    }

    fn push_batch(
        &mut self,
        records: &RecordBatch,
        encoded: Option<Bytes>,
        placed: &[(usize, u64)],
        revisions: u64,
        unsure: bool,
    ) -> Result<(), Fault> {
        let encoded = match encoded {
            Some(encoded) => encoded,
            None => batch_codec::encode_batch(records)?,
        };
        let id = self.ids.next_id();
        for &(at, position) in placed {
            self.group.placements[at].batch = Some((id, position));
        }
        self.group.batches.push(NewBatch {
            id,
            tenant: self.scope.tenant.clone(),
            dataset: self.scope.dataset,
            rows: records.num_rows() as u64,
            revisions,
            unsettled: revisions > 0 || unsure,
            time_ms: time_span(&RecordKeys::of(records)?),
            bytes: encoded.len() as u64,
            received_at_ms: self.now_ms,
            content: BatchContent::Inline(encoded),
        });
        Ok(())
    }
}

fn time_span(keys: &RecordKeys) -> (i64, i64) {
    let times = (0..keys.len()).map(|row| id_ms(&keys.id(row)));
    times.fold((i64::MAX, i64::MIN), |(low, high), ms| (low.min(ms), high.max(ms)))
}

/// The records without duplicates, revisions numbered.
fn apply(records: &RecordBatch, settled: &Settled) -> Result<RecordBatch, Fault> {
    let numbered = number_revisions(records, &settled.numbered)?;
    if settled.duplicates.is_empty() {
        return Ok(numbered);
    }
    let mut kept = vec![true; records.num_rows()];
    for &row in &settled.duplicates {
        kept[row] = false;
    }
    filter_record_batch(&numbered, &BooleanArray::from(kept)).fault("leaving duplicates out")
}

/// The records with these revision numbers in these rows.
pub(crate) fn number_revisions(
    records: &RecordBatch,
    numbers: &[(usize, i64)],
) -> Result<RecordBatch, Fault> {
    if numbers.is_empty() {
        return Ok(records.clone());
    }
    let at = CallField::Revision as usize;
    let found = records.column(at).as_any().downcast_ref::<Int64Array>();
    let found = found.ok_or_else(|| Fault::internal("the revision column is not a number"))?;
    let mut revisions: Vec<Option<i64>> = found.iter().collect();
    for &(row, number) in numbers {
        revisions[row] = Some(number);
    }
    let mut columns: Vec<ArrayRef> = records.columns().to_vec();
    columns[at] = Arc::new(Int64Array::from(revisions));
    RecordBatch::try_new(records.schema(), columns).fault("numbering revisions")
}
