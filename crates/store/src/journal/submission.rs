//! The records of one request on their way to the committer.
//!
//! How they are gathered is the sink's business, what becomes of them the committer's.

use crate::record_keys::{RecordKeys, id_day};
use arrow_array::RecordBatch;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::JoinHandle;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::ports::{Committed, SnapshotScope};

/// Records waiting for their commit.
pub(super) struct Submission {
    pub(super) scope: SnapshotScope,
    pub(super) records: RecordBatch,
    pub(super) days: Vec<i32>,
    /// Encoding that was begun before anybody knew whether all records are new, as they nearly always are.
    pub(super) encoding: Option<JoinHandle<Result<Bytes, Fault>>>,
    pub(super) answer: oneshot::Sender<Result<Committed, Fault>>,
    /// Room in memory, given back with the submission.
    pub(super) room: OwnedSemaphorePermit,
}

/// The part of a submission that is worked on.
pub(super) struct Submitted {
    pub(super) scope: SnapshotScope,
    pub(super) records: RecordBatch,
    pub(super) days: Vec<i32>,
    pub(super) encoded: Option<Bytes>,
}

/// The part of a submission that waits.
pub(super) struct Waiting {
    pub(super) answer: oneshot::Sender<Result<Committed, Fault>>,
    pub(super) rows: u64,
    _room: OwnedSemaphorePermit,
}

impl Submission {
    /// Waits for the encoding and parts what is worked on from who waits.
    pub(super) async fn part(self) -> (Waiting, Result<Submitted, Fault>) {
        let waiting = Waiting { answer: self.answer, rows: self.records.num_rows() as u64, _room: self.room };
        let encoded = match self.encoding {
            Some(encoding) => encoding.await.fault("waiting for an encoding").flatten().map(Some),
            None => Ok(None),
        };
        let (scope, records, days) = (self.scope, self.records, self.days);
        (waiting, encoded.map(|encoded| Submitted { scope, records, days, encoded }))
    }
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
