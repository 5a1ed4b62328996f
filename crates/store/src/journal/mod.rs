//! The journal: takes records of many requests in and answers each once its records are durable.
//!
//! Durability and sequences come from the control database (`model::ports::Journal`); there is no other log.
//!
//! Three words for what is in doubt: a day is *unknown* when the recent-id filter does not hold its ids (too large, or no
//! room), so that no record of it can be looked up; records of a submission are *unsure* when one of them could not be
//! looked up, or not be compared with the content before it, so that there may be a repetition which nobody counted; a
//! batch or part is *unsettled* when it may hold a repetition, unsure ones or known revisions, so that readers must
//! compare ids before they use it. The first is the filter's state, the second a finding of one commit, the third the
//! mark in the manifest, which compaction takes away.

mod committer;
mod day_digests;
mod day_loader;
mod group;
mod recent_ids;
mod submission;

pub(crate) use group::number_revisions;

use crate::blob::{Blobs, storage_full};
use crate::config::{MAX_BODY_DAYS, StoreConfig};
use crate::lake::snapshots::SnapshotReader;
use crate::record_keys::RecordKeys;
use arrow_array::RecordBatch;
use async_trait::async_trait;
use committer::Committer;
use day_loader::DayLoader;
use recent_ids::RecentIds;
use std::sync::Arc;
use submission::{Parting, Submission};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tollbook_columns::decode;
use tollbook_columns::rows::CallRows;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::{OnError, Supervisor};
use tollbook_model::call::CallRecord;
use tollbook_model::dataset::Dataset;
use tollbook_model::format::RecordForm;
use tollbook_model::ports::{Committed, Intake, Journal, RecordSink, RowReport, SnapshotScope};
use tollbook_model::tenant::Tenant;

/// Requests that may wait for the committer; more wait before they are even encoded.
const WAITING_REQUESTS: usize = 1024;
/// Unit in which waiting memory is counted.
const ROOM_UNIT: usize = 1024;
/// Records for which a sink makes room at first.
const EXPECTED_ROWS: usize = 16;

/// What the journal needs of the outside.
pub struct JournalParts {
    /// Knobs.
    pub config: Arc<StoreConfig>,
    /// The journal's tables.
    pub journal: Arc<dyn Journal>,
    /// For large batches, and for reading ids back.
    pub blobs: Arc<dyn Blobs>,
    /// For reading ids back.
    pub snapshots: SnapshotReader,
    /// Makes ids of batches.
    pub ids: IdSource,
    /// Time of arrival.
    pub clock: Arc<dyn Clock>,
    /// Rung (`notify_waiters`) after every commit.
    pub bell: Arc<Notify>,
}

/// The store's entrance. Clones share one committer.
#[derive(Clone)]
pub struct JournalIntake {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<StoreConfig>,
    blobs: Arc<dyn Blobs>,
    days: DayLoader,
    queue: mpsc::Sender<Submission>,
    room: Arc<Semaphore>,
    room_units: u32,
}

impl JournalIntake {
    /// Starts the committer as task `journal-committer`. If it fails, which only a failed fsync makes it do, the
    /// process stops; when `supervisor` stops, it commits what waits and ends.
    pub fn start(parts: JournalParts, supervisor: &Supervisor) -> Self {
        let JournalParts { config, journal, blobs, snapshots, ids, clock, bell } = parts;
        let recent = Arc::new(RecentIds::new(config.recent_ids, Arc::clone(&clock)));
        let (queue, receiver) = mpsc::channel(WAITING_REQUESTS);
        let room_units = room_units(config.waiting_bytes);
        let committer = Committer {
            config: Arc::clone(&config),
            journal,
            blobs: Arc::clone(&blobs),
            recent: Arc::clone(&recent),
            ids,
            clock,
            bell,
        };
        let stop = supervisor.stop_token();
        supervisor.spawn("journal-committer", OnError::StopProcess, committer.run(receiver, stop));
        let days = DayLoader::new(recent, snapshots, Arc::clone(&blobs));
        let room = Arc::new(Semaphore::new(room_units as usize));
        Self { shared: Arc::new(Shared { config, blobs, days, queue, room, room_units }) }
    }
}

fn room_units(bytes: usize) -> u32 {
    let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
    u32::try_from(bytes / ROOM_UNIT + 1).unwrap_or(most).min(most)
}

fn too_many_days() -> Fault {
    let told = format!(
        "a body may hold records of at most {MAX_BODY_DAYS} different days; send it in pieces, and look whether the \
         clock of the records' source is right"
    );
    Fault::new(Code::Invalid, told)
}

impl Intake for JournalIntake {
    fn open(&self, tenant: &Tenant, dataset: Dataset) -> Box<dyn RecordSink> {
        Box::new(Sink {
            rows: CallRows::new(EXPECTED_ROWS),
            scope: SnapshotScope { tenant: tenant.name.clone(), dataset },
            shared: Arc::clone(&self.shared),
        })
    }

    fn read_native(
        &self,
        form: RecordForm,
        body: &[u8],
        tenant: &Tenant,
        received_at_ms: i64,
        sink: &mut dyn RecordSink,
    ) -> Result<RowReport, Fault> {
        decode::read_native(form, body, tenant, received_at_ms, sink)
    }
}

struct Sink {
    rows: CallRows,
    scope: SnapshotScope,
    shared: Arc<Shared>,
}

#[async_trait]
impl RecordSink for Sink {
    fn push(&mut self, record: &CallRecord<'_>) {
        self.rows.push(record);
    }

    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn bytes(&self) -> usize {
        self.rows.bytes()
    }

    async fn commit(mut self: Box<Self>) -> Result<Committed, Fault> {
        if self.rows.is_empty() {
            return Ok(Committed::default());
        }
        let bytes = self.rows.bytes();
        let records = self.rows.finish()?;
        self.shared.submit(self.scope, records, bytes).await
    }
}

impl Shared {
    async fn submit(
        &self,
        scope: SnapshotScope,
        records: RecordBatch,
        bytes: usize,
    ) -> Result<Committed, Fault> {
        // Asked here too, so that a full disk costs no encoding.
        if self.blobs.free_bytes()? < self.config.reserve_bytes {
            return Err(storage_full());
        }
        let stopping = || Fault::new(Code::Unavailable, "the service is stopping; send the records again");
        let units = room_units(bytes).min(self.room_units);
        let room = Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| stopping())?;
        let keys = RecordKeys::of(&records)?;
        let days = submission::days_of(&keys);
        if days.len() > MAX_BODY_DAYS {
            return Err(too_many_days());
        }
        let rows = records.num_rows();
        let records = Parting::begin(records, &keys, &days);
        self.days.cover(&scope, &days, &keys).await?;
        let (answer, answered) = oneshot::channel();
        let submission = Submission { scope, records, rows, days, answer, room };
        self.queue.send(submission).await.map_err(|_| stopping())?;
        answered.await.fault("waiting for the committer")?
    }
}
