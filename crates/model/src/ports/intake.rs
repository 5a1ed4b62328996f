//! Where records go in: a sink per request, committed as a whole.

use crate::call::CallRecord;
use crate::ports::RowReport;
use crate::tenant::Tenant;
use crate::{dataset::Dataset, format::RecordForm};
use async_trait::async_trait;
use tollbook_kit::fault::Fault;

/// What a commit did. `accepted` counts every record that was taken, duplicates and revisions among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed {
    /// Records taken.
    pub accepted: u64,
    /// Of these: known already with the same content, not stored again.
    pub duplicates: u64,
    /// Of these: known already with other content, stored as a new revision.
    pub revisions: u64,
    /// First and last sequence number of what was stored; none when nothing was.
    pub sequences: Option<(u64, u64)>,
}

/// Takes the records of one request; nothing is kept before [`RecordSink::commit`].
#[async_trait]
pub trait RecordSink: Send {
    /// Adds an admitted record.
    fn push(&mut self, record: &CallRecord<'_>);
    /// Records so far.
    fn rows(&self) -> usize;
    /// Memory held so far, in bytes.
    fn bytes(&self) -> usize;
    /// Makes all records durable, or none; returns only then.
    ///
    /// # Errors
    /// `invalid` (records of too many different days), `storage_full`, `unavailable` (ask again), `internal`. Nothing
    /// was kept.
    async fn commit(self: Box<Self>) -> Result<Committed, Fault>;
}

/// The store's entrance.
pub trait Intake: Send + Sync {
    /// A sink for records of one tenant that arrived now.
    fn open(&self, tenant: &Tenant, dataset: Dataset) -> Box<dyn RecordSink>;

    /// Reads records in the native form into `sink`, reporting bad rows instead of failing.
    ///
    /// # Errors
    /// `invalid` when the body as a whole cannot be read (not JSON, a CSV without header, invalid UTF-8 in the header).
    fn read_native(
        &self,
        form: RecordForm,
        body: &[u8],
        tenant: &Tenant,
        received_at_ms: i64,
        sink: &mut dyn RecordSink,
    ) -> Result<RowReport, Fault>;
}
