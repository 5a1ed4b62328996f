//! The journal's tables: batches of records with their sequence numbers, durable when `append` returns.

use crate::dataset::Dataset;
use crate::tenant::TenantName;
use async_trait::async_trait;
use bytes::Bytes;
use tollbook_kit::fault::Fault;
use uuid::Uuid;

/// Where the bytes of a batch are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchContent {
    /// In the control database.
    Inline(Bytes),
    /// In an object that is durable already.
    Object(String),
}

/// A batch to append: encoded records of one tenant and dataset.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Its id.
    pub id: Uuid,
    /// Whose records.
    pub tenant: TenantName,
    /// Of which dataset.
    pub dataset: Dataset,
    /// How many; record `i` gets sequence `first_sequence + i`.
    pub rows: u64,
    /// Of these: revisions of records stored earlier.
    pub revisions: u64,
    /// May it hold repetitions that ingest could not look for?
    pub unsettled: bool,
    /// Earliest and latest time of its records, in milliseconds.
    pub time_ms: (i64, i64),
    /// Encoded size in bytes.
    pub bytes: u64,
    /// When it was received, in milliseconds.
    pub received_at_ms: i64,
    /// The encoded records.
    pub content: BatchContent,
}

/// A batch that is durable now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendedBatch {
    /// Its id.
    pub id: Uuid,
    /// Sequence number of its first record.
    pub first_sequence: u64,
}

/// The journal in the control database.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Allocates gapless sequences and appends all batches in one durable transaction. Sequences start at 1 per
    /// tenant and dataset. A batch id that is there already is refused.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`; then nothing was appended.
    async fn append(&self, batches: Vec<NewBatch>) -> Result<Vec<AppendedBatch>, Fault>;

    /// The contents of these batches, in their order.
    ///
    /// # Errors
    /// `internal` when one is no longer there.
    async fn contents(&self, batches: &[Uuid]) -> Result<Vec<BatchContent>, Fault>;
}
