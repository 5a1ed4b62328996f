//! The manifest: which parts of the lake and which journal batches are visible, and the atomic swap between them.

use crate::dataset::Dataset;
use crate::tenant::TenantName;
use crate::time_range::TimeRange;
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use uuid::Uuid;

/// A row group of a part, as planning needs it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RowGroup {
    /// Records.
    pub rows: u64,
    /// Stored bytes.
    pub bytes: u64,
    /// First and last id; records are sorted by id, which begins with the time in milliseconds.
    pub ids: ([u8; 16], [u8; 16]),
}

/// A live part: one Parquet file of one UTC day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestPart {
    /// Its id.
    pub id: Uuid,
    /// Key of its object.
    pub path: String,
    /// UTC day, in days since 1970-01-01.
    pub day: i32,
    /// Records.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// First and last sequence inside (a part need not hold all between).
    pub sequences: (u64, u64),
    /// Holds records that supersede, or may repeat, records of other parts or batches of its day.
    pub unsettled: bool,
    /// Version of the lake's file layout.
    pub layout: u32,
    /// Its row groups in file order.
    pub row_groups: Vec<RowGroup>,
}

/// A live journal batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestBatch {
    /// Its id.
    pub id: Uuid,
    /// First sequence.
    pub first_sequence: u64,
    /// Records.
    pub rows: u64,
    /// Earliest and latest time, in milliseconds.
    pub time_ms: (i64, i64),
    /// Encoded bytes.
    pub bytes: u64,
    /// Holds revisions or may hold repetitions.
    pub unsettled: bool,
    /// When it was received, in milliseconds.
    pub received_at_ms: i64,
}

/// All that is visible at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Last allocated sequence; 0 when none.
    pub watermark: u64,
    /// Live parts whose records may lie in the range, by day and first id.
    pub parts: Vec<ManifestPart>,
    /// Live batches whose records may lie in the range, by sequence.
    pub batches: Vec<ManifestBatch>,
}

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SnapshotScope {
    /// Whose records.
    pub tenant: TenantName,
    /// Of which dataset.
    pub dataset: Dataset,
}

/// Counts and sums of one hour, source and direction within one part: the rows from which KPIs are summed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rollup {
    /// Start of the hour, in hours since 1970-01-01T00:00:00Z.
    pub hour: i64,
    /// Source.
    pub pbx_alias: String,
    /// Direction, as in the record.
    pub direction: String,
    /// Calls.
    pub calls: u64,
    /// With result answered, no-answer, busy, abandoned.
    pub results: [u64; 4],
    /// Sum of connected seconds.
    pub duration_s: u64,
    /// Longest connected seconds.
    pub max_duration_s: u64,
}

/// A part to publish.
#[derive(Debug, Clone)]
pub struct NewPart {
    /// The part as it will be seen.
    pub part: ManifestPart,
    /// Its hourly counts.
    pub rollups: Vec<Rollup>,
}

/// A swap: what goes and what comes, in one transaction.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// Whose records.
    pub scope: SnapshotScope,
    /// Batches whose records are all in `new_parts` now. They are doomed.
    pub batches: Vec<Uuid>,
    /// Parts that `new_parts` replace. They are doomed.
    pub old_parts: Vec<Uuid>,
    /// Parts that become visible.
    pub new_parts: Vec<NewPart>,
    /// Moment of the swap, in milliseconds.
    pub at_ms: i64,
}

/// Something invisible whose bytes are still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoomedObject {
    /// Id of the part or batch.
    pub id: Uuid,
    /// Key of its object; none for a batch that was inline.
    pub path: Option<String>,
    /// Since when, in milliseconds.
    pub doomed_at_ms: i64,
}

/// The manifest in the control database.
#[async_trait]
pub trait Manifest: Send + Sync {
    /// Everything live of `scope` that may lie in `range`, from one consistent read.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn snapshot(&self, scope: &SnapshotScope, range: TimeRange) -> Result<Snapshot, Fault>;

    /// Every tenant and dataset that has live parts or batches.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn scopes(&self) -> Result<Vec<SnapshotScope>, Fault>;

    /// Swaps atomically. Answers false, and changes nothing, if any batch or old part is no longer live.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn replace(&self, replacement: Replacement) -> Result<bool, Fault>;

    /// Hourly counts of these parts, in no particular order.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn rollups(&self, parts: &[Uuid]) -> Result<Vec<(Uuid, Rollup)>, Fault>;

    /// What was doomed at or before `until_ms`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn doomed(&self, until_ms: i64, limit: usize) -> Result<Vec<DoomedObject>, Fault>;

    /// Forgets doomed things whose bytes are gone.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn forget(&self, ids: &[Uuid]) -> Result<(), Fault>;

    /// Is the object named by any row, live or doomed?
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn names_object(&self, path: &str) -> Result<bool, Fault>;
}
