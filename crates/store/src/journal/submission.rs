//! The records of one request on their way to the committer, parted by UTC day.
//!
//! How they are gathered is the sink's business, what becomes of them the committer's.

use crate::record_keys::{RecordKeys, id_day};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::JoinHandle;
use tollbook_columns::batch_codec::encode_batch;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::ports::{Committed, SnapshotScope};

/// Submissions with this many records of a day and more become a batch of their own, which is encoded already.
pub(super) const OWN_BATCH_ROWS: usize = 1000;

/// Records waiting for their commit.
pub(super) struct Submission {
    pub(super) scope: SnapshotScope,
    pub(super) records: Parting,
    pub(super) rows: usize,
    pub(super) days: Vec<i32>,
    pub(super) answer: oneshot::Sender<Result<Committed, Fault>>,
    /// Room in memory, given back with the submission.
    pub(super) room: OwnedSemaphorePermit,
}

/// Records of one UTC day.
pub(super) struct DayRows {
    pub(super) day: i32,
    pub(super) records: RecordBatch,
    /// Encoding that was made before anybody knew whether all records are new, as they nearly always are.
    pub(super) encoded: Option<Bytes>,
}

/// The records of a submission by rising day, or the work of getting there.
pub(super) enum Parting {
    /// Few records of one day, the normal case: nothing to do, and nothing is copied.
    Done(DayRows),
    /// They are parted, and what will be a batch of its own is encoded.
    Working(JoinHandle<Result<Vec<DayRows>, Fault>>),
}

/// The part of a submission that is worked on.
pub(super) struct Submitted {
    pub(super) scope: SnapshotScope,
    pub(super) by_day: Vec<DayRows>,
    pub(super) days: Vec<i32>,
}

/// The part of a submission that waits.
pub(super) struct Waiting {
    pub(super) answer: oneshot::Sender<Result<Committed, Fault>>,
    pub(super) rows: u64,
    _room: OwnedSemaphorePermit,
}

impl Submission {
    /// Waits for the parting and parts what is worked on from who waits.
    pub(super) async fn part(self) -> (Waiting, Result<Submitted, Fault>) {
        let waiting = Waiting { answer: self.answer, rows: self.rows as u64, _room: self.room };
        let by_day = match self.records {
            Parting::Done(records) => Ok(vec![records]),
            Parting::Working(work) => work.await.fault("waiting for records to be parted by day").flatten(),
        };
        let (scope, days) = (self.scope, self.days);
        (waiting, by_day.map(|by_day| Submitted { scope, by_day, days }))
    }
}

impl Parting {
    /// Begins to part `records`, whose keys and days these are.
    pub(super) fn begin(records: RecordBatch, keys: &RecordKeys, days: &[i32]) -> Self {
        match days {
            [day] if records.num_rows() < OWN_BATCH_ROWS => {
                Self::Done(DayRows { day: *day, records, encoded: None })
            }
            _ => {
                let keys = keys.clone();
                Self::Working(tokio::task::spawn_blocking(move || {
                    let mut by_day = part_by_day(&records, &keys)?;
                    for of_day in &mut by_day {
                        if of_day.records.num_rows() >= OWN_BATCH_ROWS {
                            of_day.encoded = Some(encode_batch(&of_day.records)?);
                        }
                    }
                    Ok(by_day)
                }))
            }
        }
    }
}

/// The records by rising day; those of one day keep their order, which decides between repetitions. They are copied
/// only when their days do not rise already.
///
/// # Errors
/// `internal` when the records cannot be put in order.
pub(super) fn part_by_day(records: &RecordBatch, keys: &RecordKeys) -> Result<Vec<DayRows>, Fault> {
    let rows = u32::try_from(keys.len()).fault("counting the records of a submission")?;
    let mut places: Vec<(i32, u32)> = (0..rows).map(|row| (id_day(&keys.id(row as usize)), row)).collect();
    let records = if places.is_sorted() {
        records.clone()
    } else {
        places.sort_unstable();
        let order = UInt32Array::from_iter_values(places.iter().map(|&(_, row)| row));
        take_record_batch(records, &order).fault("parting records by day")?
    };
    let mut offset = 0;
    let by_day = places.chunk_by(|one, next| one.0 == next.0).map(|of_day| {
        let part = records.slice(offset, of_day.len());
        offset += of_day.len();
        DayRows { day: of_day[0].0, records: part, encoded: None }
    });
    Ok(by_day.collect())
}

/// The UTC days of the records, sorted, each once.
pub(super) fn days_of(keys: &RecordKeys) -> Vec<i32> {
    let mut days: Vec<i32> = Vec::new();
    for row in 0..keys.len() {
        let day = id_day(&keys.id(row));
        if days.last() != Some(&day) {
            days.push(day);
        }
    }
    days.sort_unstable();
    days.dedup();
    days
}
